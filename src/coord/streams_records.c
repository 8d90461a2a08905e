/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of streams groups in __consumer_offsets: grammar/disk/streams_group.msg
 * has their layouts. A key begins with its int16 type, a value with its int16
 * version, 0. */
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "coord/streams_group.h"

static const char STANDBYS[] = "num.standby.replicas";
enum { STATE_BASE = 1 }; /* states of members are counted from 1 here */

/* Rows of tasks have one layout under many names, with epochs and without. */
typedef struct streams_group_target_assignment_member_value_active_tasks plain_row;
typedef struct streams_group_current_member_assignment_value_active_tasks epoch_row;
_Static_assert(sizeof(struct streams_group_target_assignment_member_value_warmup_tasks) ==
                   sizeof(plain_row) &&
               sizeof(struct streams_group_current_member_assignment_value_warmup_tasks) ==
                   sizeof(epoch_row),
    "rows of tasks are alike");

/* ---- writing ---- */

static void
emit(struct write *write, int16_t type, struct str id, const struct msg_type *layout,
    const void *value)
{
    struct str bytes = value != NULL ? record_encode(write, layout, value) : OX_STR_NULL;
    record_put(write, type, id, bytes, streams_apply);
}

void
put_streams_member(struct write *write, struct str member_id, const struct streams_said *said)
{
    typedef struct streams_group_member_metadata_value_client_tags tag_row;
    struct streams_group_member_metadata_value_user_endpoint endpoint = {said->host, said->port};
    tag_row *tags = ox_arena_array(&write->arena, tag_row, said->tag_count);
    for (size_t i = 0; i < said->tag_count; i++)
        tags[i] = (tag_row){said->tags[i].key, said->tags[i].value};
    struct streams_group_member_metadata_value value = {said->instance_id, said->rack_id,
        said->client_id, said->client_host, said->rebalance_timeout_ms, said->topology_epoch,
        said->process_id, said->host.ptr != NULL ? &endpoint : NULL,
        {tags, (int32_t)said->tag_count}};
    emit(write, KEY_STREAMS_MEMBER, member_id, &streams_group_member_metadata_value_type, &value);
}

void
put_streams_epoch(struct write *write, int32_t epoch, int64_t metadata_hash,
    int32_t validated_epoch, int64_t standbys)
{
    typedef struct streams_group_metadata_value_last_assignment_configs config_row;
    config_row config = {ox_str(STANDBYS),
        ox_str(ox_arena_printf(&write->arena, "%lld", (long long)standbys))};
    struct streams_group_metadata_value value;
    streams_group_metadata_value_init(&value);
    value.epoch = epoch;
    value.metadata_hash = metadata_hash;
    value.validated_topology_epoch = validated_epoch;
    value.last_assignment_configs.at = &config;
    value.last_assignment_configs.count = standbys >= 0;
    emit(write, KEY_STREAMS_EPOCH, OX_STR_NULL, &streams_group_metadata_value_type, &value);
}

void
put_streams_target_epoch(struct write *write, int32_t epoch, int64_t made_ms)
{
    struct streams_group_target_assignment_metadata_value value = {epoch,
        made_ms};
    emit(write, KEY_STREAMS_TARGET_EPOCH, OX_STR_NULL,
        &streams_group_target_assignment_metadata_value_type, &value);
}

static plain_row *
plain_rows(struct write *write, const struct tpset *set, int32_t *count)
{
    struct coord_tasks from =
        streams_task_rows(write->group->streams, set, &write->arena);
    plain_row *rows = ox_arena_array(&write->arena, plain_row, from.count);
    for (size_t i = 0; i < from.count; i++)
        rows[i] = (plain_row){from.at[i].subtopology,
            {from.at[i].partitions, from.at[i].partition_count}};
    *count = (int32_t)from.count;
    return rows;
}

void
put_streams_target(struct write *write, struct str member_id, const struct tasks *target)
{
    struct streams_group_target_assignment_member_value value;
    streams_group_target_assignment_member_value_init(&value);
    value.active_tasks.at =
        plain_rows(write, &target->of[COORD_ACTIVE], &value.active_tasks.count);
    value.standby_tasks.at =
        (void *)plain_rows(write, &target->of[COORD_STANDBY], &value.standby_tasks.count);
    value.warmup_tasks.at =
        (void *)plain_rows(write, &target->of[COORD_WARMUP], &value.warmup_tasks.count);
    emit(write, KEY_STREAMS_TARGET, member_id, &streams_group_target_assignment_member_value_type,
        &value);
}

/* epochs NULL: these tasks have none. */
static epoch_row *
epoch_rows(struct write *write, const struct tpset *set, const int32_t *epochs, int32_t *count)
{
    const struct streams_group *streams = write->group->streams;
    struct coord_tasks from = streams_task_rows(streams, set, &write->arena);
    epoch_row *rows = ox_arena_array(&write->arena, epoch_row, from.count);
    for (size_t i = 0; i < from.count; i++) {
        const struct coord_task_ids *own = &from.at[i];
        rows[i] = (epoch_row){own->subtopology, {own->partitions, own->partition_count},
            {NULL, -1}};
        if (epochs == NULL)
            continue;
        rows[i].assignment_epochs.at =
            ox_arena_array(&write->arena, int32_t, own->partition_count);
        rows[i].assignment_epochs.count = own->partition_count;
        for (int32_t j = 0; j < own->partition_count; j++) {
            struct tp task = streams_task_find(streams, own->subtopology, own->partitions[j]);
            rows[i].assignment_epochs.at[j] = epochs[tpset_find(set, &task)];
        }
    }
    *count = (int32_t)from.count;
    return rows;
}

void
put_streams_current(struct write *write, struct str member_id,
    const struct streams_current *current)
{
    struct streams_group_current_member_assignment_value value;
    const struct tpset *has = current->assigned.of, *gives = current->revoking.of;
    streams_group_current_member_assignment_value_init(&value);
    value.member_epoch = current->epoch;
    value.previous_member_epoch = current->previous_epoch;
    value.state = (int8_t)(current->state + STATE_BASE);
    value.active_tasks.at = epoch_rows(write, &has[COORD_ACTIVE], current->assigned_epochs,
        &value.active_tasks.count);
    value.standby_tasks.at =
        (void *)epoch_rows(write, &has[COORD_STANDBY], NULL, &value.standby_tasks.count);
    value.warmup_tasks.at =
        (void *)epoch_rows(write, &has[COORD_WARMUP], NULL, &value.warmup_tasks.count);
    value.active_tasks_pending_revocation.at = (void *)epoch_rows(write, &gives[COORD_ACTIVE],
        current->revoking_epochs, &value.active_tasks_pending_revocation.count);
    value.standby_tasks_pending_revocation.at = (void *)epoch_rows(write, &gives[COORD_STANDBY],
        NULL, &value.standby_tasks_pending_revocation.count);
    value.warmup_tasks_pending_revocation.at = (void *)epoch_rows(write, &gives[COORD_WARMUP],
        NULL, &value.warmup_tasks_pending_revocation.count);
    emit(write, KEY_STREAMS_CURRENT, member_id,
        &streams_group_current_member_assignment_value_type, &value);
}

void
put_streams_topology(struct write *write, const streams_topology *topology)
{
    emit(write, KEY_STREAMS_TOPOLOGY, OX_STR_NULL, &streams_group_topology_value_type, topology);
}

void
put_streams_gone(struct write *write, int16_t key, struct str member_id)
{
    /* The id may belong to what the tombstone frees. */
    emit(write, key, ox_str_dup(&write->arena, member_id), NULL, NULL);
}

/* The group's own record is the last that it has a say in. */
void
put_streams_group_gone(struct write *write)
{
    ox_assert(write->group->streams->members.count == 0);
    put_streams_gone(write, KEY_STREAMS_TARGET_EPOCH, OX_STR_NULL);
    put_streams_gone(write, KEY_STREAMS_EPOCH, OX_STR_NULL);
    put_streams_gone(write, KEY_STREAMS_TOPOLOGY, OX_STR_NULL);
}

/* ---- reading ---- */

/* Names become numbers of the group that the record is for. */
static void
add_rows(struct streams_group *streams, struct tpset *set, const plain_row *rows, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = 0; j < rows[i].partitions.count; j++) {
            struct tp task =
                streams_task(streams, rows[i].subtopology_id, rows[i].partitions.at[j]);
            tpset_add(set, &task.topic, task.partition);
        }
    tpset_sort(set);
}

/* What has no epochs was written before there were any: it counts as assigned
 * at the epoch that the member is at. */
static bool
add_epoch_rows(struct streams_group *streams, struct tpset *set, int32_t **epochs,
    const epoch_row *rows, int32_t count, int32_t epoch)
{
    for (int32_t i = 0; i < count; i++) {
        if (epochs != NULL && rows[i].assignment_epochs.count >= 0 &&
            rows[i].assignment_epochs.count != rows[i].partitions.count)
            return false;
        add_rows(streams, set, &(plain_row){rows[i].subtopology_id, rows[i].partitions}, 1);
    }
    if (epochs == NULL)
        return true;
    *epochs = ox_calloc(set->count + 1, sizeof(**epochs));
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = 0; j < rows[i].partitions.count; j++) {
            struct tp task =
                streams_task(streams, rows[i].subtopology_id, rows[i].partitions.at[j]);
            (*epochs)[tpset_find(set, &task)] = rows[i].assignment_epochs.count < 0
                                                    ? epoch
                                                    : rows[i].assignment_epochs.at[j];
        }
    return true;
}

static bool
read_member(struct wire_in *in, struct arena *arena, struct streams_value *out)
{
    struct streams_group_member_metadata_value value;
    if (!streams_group_member_metadata_value_decode(in, 0, arena, &value))
        return false;
    struct coord_tag *tags = ox_arena_array(arena, struct coord_tag, value.client_tags.count);
    for (int32_t i = 0; i < value.client_tags.count; i++)
        tags[i] = (struct coord_tag){value.client_tags.at[i].key, value.client_tags.at[i].value};
    out->said = (struct streams_said){
        .instance_id = value.instance_id,
        .rack_id = value.rack_id,
        .client_id = value.client_id,
        .client_host = value.client_host,
        .process_id = value.process_id,
        .rebalance_timeout_ms = value.rebalance_timeout_ms,
        .topology_epoch = value.topology_epoch,
        .tags = tags,
        .tag_count = (size_t)value.client_tags.count,
    };
    if (value.user_endpoint != NULL) {
        out->said.host = value.user_endpoint->host;
        out->said.port = value.user_endpoint->port;
    }
    return true;
}

static bool
read_epoch(struct wire_in *in, struct arena *arena, struct streams_value *out)
{
    struct streams_group_metadata_value value;
    if (!streams_group_metadata_value_decode(in, 0, arena, &value))
        return false;
    out->epoch = value.epoch;
    out->metadata_hash = value.metadata_hash;
    out->validated_epoch = value.validated_topology_epoch;
    out->standbys = -1;
    if (value.last_assignment_configs.count == 1 &&
        ox_str_is(value.last_assignment_configs.at[0].key, STANDBYS) &&
        !ox_str_to_i64(value.last_assignment_configs.at[0].value, &out->standbys))
        out->standbys = -1;
    return true;
}

static bool
read_target_epoch(struct wire_in *in, struct arena *arena, struct streams_value *out)
{
    struct streams_group_target_assignment_metadata_value value;
    if (!streams_group_target_assignment_metadata_value_decode(in, 0, arena, &value))
        return false;
    out->epoch = value.assignment_epoch;
    out->assignment_ms = value.assignment_timestamp;
    return true;
}

static bool
read_target(struct streams_group *streams, struct wire_in *in, struct arena *arena,
    struct streams_value *out)
{
    struct streams_group_target_assignment_member_value value;
    struct tpset *to = out->current.assigned.of;
    if (!streams_group_target_assignment_member_value_decode(in, 0, arena, &value))
        return false;
    add_rows(streams, &to[COORD_ACTIVE], value.active_tasks.at, value.active_tasks.count);
    add_rows(streams, &to[COORD_STANDBY], (void *)value.standby_tasks.at,
        value.standby_tasks.count);
    add_rows(streams, &to[COORD_WARMUP], (void *)value.warmup_tasks.at,
        value.warmup_tasks.count);
    return true;
}

static bool
read_current(struct streams_group *streams, struct wire_in *in, struct arena *arena,
    struct streams_current *out)
{
    struct streams_group_current_member_assignment_value value;
    struct tpset *has = out->assigned.of, *gives = out->revoking.of;
    if (!streams_group_current_member_assignment_value_decode(in, 0, arena, &value) ||
        value.state < STATE_BASE + CONSUMER_STABLE ||
        value.state > STATE_BASE + CONSUMER_UNRELEASED)
        return false;
    out->epoch = value.member_epoch;
    out->previous_epoch = value.previous_member_epoch;
    out->state = (enum consumer_state)(value.state - STATE_BASE);
    return add_epoch_rows(streams, &has[COORD_ACTIVE], &out->assigned_epochs,
               value.active_tasks.at, value.active_tasks.count, out->epoch) &&
           add_epoch_rows(streams, &has[COORD_STANDBY], NULL, (void *)value.standby_tasks.at,
               value.standby_tasks.count, 0) &&
           add_epoch_rows(streams, &has[COORD_WARMUP], NULL, (void *)value.warmup_tasks.at,
               value.warmup_tasks.count, 0) &&
           add_epoch_rows(streams, &gives[COORD_ACTIVE], &out->revoking_epochs,
               (void *)value.active_tasks_pending_revocation.at,
               value.active_tasks_pending_revocation.count, out->epoch) &&
           add_epoch_rows(streams, &gives[COORD_STANDBY], NULL,
               (void *)value.standby_tasks_pending_revocation.at,
               value.standby_tasks_pending_revocation.count, 0) &&
           add_epoch_rows(streams, &gives[COORD_WARMUP], NULL,
               (void *)value.warmup_tasks_pending_revocation.at,
               value.warmup_tasks_pending_revocation.count, 0);
}

static bool
read_value(struct streams_group *streams, int16_t type, struct str bytes, struct arena *arena,
    struct streams_value *out)
{
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    if (wire_get16(&in) != 0)
        return false;
    switch (type) {
    case KEY_STREAMS_MEMBER:
        return read_member(&in, arena, out);
    case KEY_STREAMS_EPOCH:
        return read_epoch(&in, arena, out);
    case KEY_STREAMS_TARGET_EPOCH:
        return read_target_epoch(&in, arena, out);
    case KEY_STREAMS_TARGET:
        return read_target(streams, &in, arena, out);
    case KEY_STREAMS_CURRENT:
        return read_current(streams, &in, arena, &out->current);
    case KEY_STREAMS_TOPOLOGY:
        out->topology = bytes;
        return streams_topology_read(bytes, arena) != NULL;
    default:
        return false;
    }
}

static bool
apply_value(struct shard *shard, int16_t type, struct str group_id, struct str bytes,
    struct streams_value *value)
{
    struct arena arena;
    struct group *group;
    if (group_get(shard, group_id, &group) != OX_OK || group->members.count > 0 ||
        group->consumer != NULL || group->share != NULL)
        return false;
    bool fresh = group->streams == NULL;
    ox_arena_init(&arena);
    bool good = read_value(streams_group_get(group), type, bytes, &arena, value);
    if (good)
        streams_group_set(group, type, value);
    else if (fresh)
        streams_group_free(group);
    tasks_fini(&value->current.assigned);
    tasks_fini(&value->current.revoking);
    ox_free(value->current.assigned_epochs);
    ox_free(value->current.revoking_epochs);
    ox_arena_fini(&arena);
    return good;
}

bool
streams_apply(struct shard *shard, int16_t type, struct str key, struct str bytes)
{
    struct streams_value value = {0};
    struct str group_id;
    bool member = type == KEY_STREAMS_MEMBER || type == KEY_STREAMS_TARGET ||
                  type == KEY_STREAMS_CURRENT;
    if (!record_read_ids(key, &group_id, member ? &value.id : NULL))
        return false;
    if (bytes.ptr != NULL)
        return apply_value(shard, type, group_id, bytes, &value);
    record_unset(shard, type, group_id, value.id, streams_group_unset);
    return true;
}
