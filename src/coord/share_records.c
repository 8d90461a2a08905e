/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of share groups in __consumer_offsets: grammar/disk/share_group.msg has
 * their layouts. A key begins with its int16 type, a value with its int16
 * version, 0. */
#include <string.h>

#include "coord/share_group.h"
#include "gen/disk.gen.h"

/* ---- writing ---- */

static void
emit(struct write *write, int16_t type, struct str id, const struct msg_type *layout,
    const void *value)
{
    struct str bytes = value != NULL ? record_encode(write, layout, value) : OX_STR_NULL;
    record_put(write, type, id, bytes, share_apply);
}

static struct msg_int32s
numbers(struct write *write, const struct tpset *set, uint32_t at, uint32_t end)
{
    struct msg_int32s out = {ox_arena_array(&write->arena, int32_t, end - at), 0};
    for (; at < end; at++)
        if (set->at[at].partition >= 0)
            out.at[out.count++] = set->at[at].partition;
    return out;
}

void
put_share_member(struct write *write, struct str member_id, const struct share_value *said)
{
    struct share_group_member_metadata_value value = {said->rack_id, said->client_id,
        said->client_host, {said->topics, (int32_t)said->topic_count}};
    emit(write, KEY_SHARE_MEMBER, member_id, &share_group_member_metadata_value_type, &value);
}

void
put_share_epoch(struct write *write, int32_t epoch, int64_t metadata_hash)
{
    struct share_group_metadata_value value = {epoch, metadata_hash};
    emit(write, KEY_SHARE_EPOCH, OX_STR_NULL, &share_group_metadata_value_type, &value);
}

void
put_share_target_epoch(struct write *write, int32_t epoch, int64_t made_ms)
{
    struct share_group_target_assignment_metadata_value value = {epoch,
        made_ms};
    emit(write, KEY_SHARE_TARGET_EPOCH, OX_STR_NULL,
        &share_group_target_assignment_metadata_value_type, &value);
}

void
put_share_target(struct write *write, struct str member_id, const struct tpset *target)
{
    typedef struct share_group_target_assignment_member_value_topic_partitions topic_row;
    struct share_group_target_assignment_member_value value = {
        {ox_arena_array(&write->arena, topic_row, target->count), 0}};
    for (uint32_t at = 0, end; at < target->count; at = end) {
        end = tpset_run(target, at);
        value.topic_partitions.at[value.topic_partitions.count++] =
            (topic_row){target->at[at].topic, numbers(write, target, at, end)};
    }
    emit(write, KEY_SHARE_TARGET, member_id, &share_group_target_assignment_member_value_type,
        &value);
}

void
put_share_current(struct write *write, struct str member_id, int32_t epoch,
    int32_t previous_epoch, const struct tpset *assigned)
{
    typedef struct share_group_current_member_assignment_value_assigned_partitions topic_row;
    struct share_group_current_member_assignment_value value = {epoch, previous_epoch, 0,
        {ox_arena_array(&write->arena, topic_row, assigned->count), 0}};
    for (uint32_t at = 0, end; at < assigned->count; at = end) {
        end = tpset_run(assigned, at);
        value.assigned_partitions.at[value.assigned_partitions.count++] =
            (topic_row){assigned->at[at].topic, numbers(write, assigned, at, end)};
    }
    emit(write, KEY_SHARE_CURRENT, member_id, &share_group_current_member_assignment_value_type,
        &value);
}

typedef struct share_group_state_partition_metadata_value_initializing_topics state_row;

/* Topics that have gone keep their id; their name is no longer known. */
static state_row *
state_rows(struct write *write, const struct tpset *set, int32_t *count)
{
    const struct coord_host *host = write->group->shard->coord->host;
    state_row *rows = ox_arena_array(&write->arena, state_row, set->count);
    *count = 0;
    for (uint32_t at = 0, end; at < set->count; at = end) {
        struct coord_topic facts = {.name = OX_STR("")};
        end = tpset_run(set, at);
        host->topic_by_id(host->self, &set->at[at].topic, &facts);
        rows[(*count)++] = (state_row){set->at[at].topic,
            ox_str_dup(&write->arena, facts.name), numbers(write, set, at, end)};
    }
    return rows;
}

void
put_share_state(struct write *write, const struct tpset *initializing,
    const struct tpset *initialized, const struct tpset *deleting)
{
    typedef struct share_group_state_partition_metadata_value_initialized_topics there_row;
    typedef struct share_group_state_partition_metadata_value_deleting_topics gone_row;
    _Static_assert(sizeof(there_row) == sizeof(state_row), "one layout under two names");
    struct share_group_state_partition_metadata_value value;
    share_group_state_partition_metadata_value_init(&value);
    value.initializing_topics.at =
        state_rows(write, initializing, &value.initializing_topics.count);
    value.initialized_topics.at =
        (there_row *)(void *)state_rows(write, initialized, &value.initialized_topics.count);
    int32_t count;
    state_row *gone = state_rows(write, deleting, &count);
    value.deleting_topics.at = ox_arena_array(&write->arena, gone_row, (size_t)count);
    for (int32_t i = 0; i < count; i++)
        value.deleting_topics.at[value.deleting_topics.count++] =
            (gone_row){gone[i].topic_id, gone[i].topic_name};
    emit(write, KEY_SHARE_STATE, OX_STR_NULL, &share_group_state_partition_metadata_value_type,
        &value);
}

void
put_share_gone(struct write *write, int16_t key, struct str member_id)
{
    /* The id may belong to what the tombstone frees. */
    emit(write, key, ox_str_dup(&write->arena, member_id), NULL, NULL);
}

void
put_share_group_gone(struct write *write)
{
    ox_assert(write->group->share->members.count == 0);
    put_share_gone(write, KEY_SHARE_TARGET_EPOCH, OX_STR_NULL);
    put_share_gone(write, KEY_SHARE_STATE, OX_STR_NULL);
    put_share_gone(write, KEY_SHARE_EPOCH, OX_STR_NULL);
}

/* ---- reading ---- */

static void
add_some(struct tpset *set, const struct uuid *topic, const struct msg_int32s *partitions)
{
    for (int32_t i = 0; i < partitions->count; i++)
        tpset_add(set, topic, partitions->at[i]);
}

/* A member's topic without partitions is partition -1. */
static void
add_all(struct tpset *set, const struct uuid *topic, const struct msg_int32s *partitions)
{
    if (partitions->count == 0)
        tpset_add(set, topic, -1);
    add_some(set, topic, partitions);
}

static bool
read_member(struct wire_in *in, struct arena *arena, struct share_value *out)
{
    struct share_group_member_metadata_value value;
    if (!share_group_member_metadata_value_decode(in, 0, arena, &value))
        return false;
    out->rack_id = value.rack_id;
    out->client_id = value.client_id;
    out->client_host = value.client_host;
    out->topics = value.subscribed_topic_names.at;
    out->topic_count = (size_t)value.subscribed_topic_names.count;
    return true;
}

static bool
read_target(struct wire_in *in, struct arena *arena, struct share_value *out)
{
    struct share_group_target_assignment_member_value value;
    if (!share_group_target_assignment_member_value_decode(in, 0, arena, &value))
        return false;
    for (int32_t i = 0; i < value.topic_partitions.count; i++)
        add_all(&out->partitions, &value.topic_partitions.at[i].topic_id,
            &value.topic_partitions.at[i].partitions);
    tpset_sort(&out->partitions);
    return true;
}

static bool
read_current(struct wire_in *in, struct arena *arena, struct share_value *out)
{
    struct share_group_current_member_assignment_value value;
    if (!share_group_current_member_assignment_value_decode(in, 0, arena, &value))
        return false;
    out->epoch = value.member_epoch;
    out->previous_epoch = value.previous_member_epoch;
    for (int32_t i = 0; i < value.assigned_partitions.count; i++)
        add_all(&out->partitions, &value.assigned_partitions.at[i].topic_id,
            &value.assigned_partitions.at[i].partitions);
    tpset_sort(&out->partitions);
    return true;
}

static bool
read_state(struct wire_in *in, struct arena *arena, struct share_value *out)
{
    struct share_group_state_partition_metadata_value value;
    if (!share_group_state_partition_metadata_value_decode(in, 0, arena, &value))
        return false;
    for (int32_t i = 0; i < value.initializing_topics.count; i++)
        add_some(&out->initializing, &value.initializing_topics.at[i].topic_id,
            &value.initializing_topics.at[i].partitions);
    for (int32_t i = 0; i < value.initialized_topics.count; i++)
        add_some(&out->initialized, &value.initialized_topics.at[i].topic_id,
            &value.initialized_topics.at[i].partitions);
    for (int32_t i = 0; i < value.deleting_topics.count; i++)
        tpset_add(&out->deleting, &value.deleting_topics.at[i].topic_id, -1);
    tpset_sort(&out->initializing);
    tpset_sort(&out->initialized);
    tpset_sort(&out->deleting);
    return true;
}

static bool
read_value(int16_t type, struct str bytes, struct arena *arena, struct share_value *out)
{
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    if (wire_get16(&in) != 0)
        return false;
    switch (type) {
    case KEY_SHARE_MEMBER:
        return read_member(&in, arena, out);
    case KEY_SHARE_EPOCH: {
        struct share_group_metadata_value value;
        if (!share_group_metadata_value_decode(&in, 0, arena, &value))
            return false;
        out->epoch = value.epoch;
        out->metadata_hash = value.metadata_hash;
        return true;
    }
    case KEY_SHARE_TARGET_EPOCH: {
        struct share_group_target_assignment_metadata_value value;
        if (!share_group_target_assignment_metadata_value_decode(&in, 0, arena, &value))
            return false;
        out->epoch = value.assignment_epoch;
        out->assignment_ms = value.assignment_timestamp;
        return true;
    }
    case KEY_SHARE_TARGET:
        return read_target(&in, arena, out);
    case KEY_SHARE_CURRENT:
        return read_current(&in, arena, out);
    case KEY_SHARE_STATE:
        return read_state(&in, arena, out);
    default:
        return false;
    }
}

static bool
apply_value(struct shard *shard, int16_t type, struct str group_id, struct str bytes,
    struct share_value *value)
{
    struct arena arena;
    struct group *group;
    ox_arena_init(&arena);
    bool good = read_value(type, bytes, &arena, value) &&
                group_get(shard, group_id, &group) == OX_OK && group->members.count == 0 &&
                group->consumer == NULL && group->streams == NULL;
    if (good)
        share_group_set(group, type, value);
    tpset_fini(&value->partitions);
    tpset_fini(&value->initializing);
    tpset_fini(&value->initialized);
    tpset_fini(&value->deleting);
    ox_arena_fini(&arena);
    return good;
}

bool
share_apply(struct shard *shard, int16_t type, struct str key, struct str bytes)
{
    struct share_value value = {0};
    struct str group_id;
    bool member = type == KEY_SHARE_MEMBER || type == KEY_SHARE_TARGET ||
                  type == KEY_SHARE_CURRENT;
    if (!record_read_ids(key, &group_id, member ? &value.id : NULL))
        return false;
    if (bytes.ptr != NULL)
        return apply_value(shard, type, group_id, bytes, &value);
    record_unset(shard, type, group_id, value.id, share_group_unset);
    return true;
}
