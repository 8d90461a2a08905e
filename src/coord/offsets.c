/* SPDX-License-Identifier: Apache-2.0
 *
 * Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete, their expiry, and
 * what becomes of them when a topic or a group is deleted.
 *
 * A commit is one batch of records; it can be fetched once that is committed,
 * for it takes effect by being replayed. Offsets that were committed inside a
 * transaction are held per producer until its marker: COMMIT moves them in
 * unless a later record of the log has overtaken them, ABORT drops them. Until
 * then a fetch that requires stable offsets is told to come back. */
#include <string.h>

#include "base/diag.h"
#include "base/fault.h"
#include "coord/share_group.h"
#include "coord/streams_group.h"

/* ---- commit ---- */

/* Java counts a string in UTF-16 units. */
static size_t
utf16_len(struct str s)
{
    size_t units = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t byte = (uint8_t)s.ptr[i];
        units += (byte & 0xC0) != 0x80;
        units += byte >= 0xF0;
    }
    return units;
}

/* What failed by itself keeps its own code. */
static void
fail_rest(struct coord_offset_topic *topics, size_t count, ox_code code)
{
    for (size_t i = 0; code != OX_OK && i < count; i++)
        for (size_t j = 0; j < topics[i].partition_count; j++)
            if (topics[i].partitions[j].code == OX_OK)
                topics[i].partitions[j].code = code;
}

static void
commit_answer(struct coord_offset_commit_call *call, ox_code code)
{
    fail_rest(call->topics, call->topic_count, code);
    call_finish(&call->call, code);
}

static void
commit_done(struct shard *shard, struct write *write, ox_code code)
{
    commit_answer(ox_container_of(write->call, struct coord_offset_commit_call, call),
        write_error(code));
}

/* In a transaction a member need not be named, but if it is it must be right. */
static bool
commit_of_nobody(const struct coord_offset_commit_call *call)
{
    return call->transactional && call->generation < 0 && call->member_id.len == 0 &&
           call->instance_id.ptr == NULL;
}

/* Whether the member has had all these partitions since that epoch: its answer
 * with a later one may still be on the way. */
static bool
had_since(const struct consumer_member *member, const struct coord_offset_commit_call *call)
{
    const struct coord_host *host = member->group->shard->coord->host;
    struct coord_topic facts;
    for (size_t i = 0; i < call->topic_count; i++) {
        bool there = host->topic_by_name(host->self, call->topics[i].name, &facts);
        for (size_t j = 0; j < call->topics[i].partition_count; j++) {
            const struct coord_offset *offset = &call->topics[i].partitions[j];
            struct tp tp = {.partition = offset->partition};
            if (offset->code != OX_OK)
                continue;
            tp.topic = there ? facts.id : tp.topic;
            int32_t since = consumer_since(member, &tp);
            if (since < 0 || call->generation < since)
                return false;
        }
    }
    return true;
}

/* Of a group whose members have epochs: one that no member answers for. */
static bool
open_commit(const struct group *group, const struct coord_offset_commit_call *call)
{
    return (call->generation < 0 && group_is_empty(group)) ||
           (call->generation == -1 && commit_of_nobody(call));
}

/* A consumer group: by member epoch, or by when the partitions were assigned. */
static ox_code
commit_allowed_consumer(const struct group *group, const struct coord_offset_commit_call *call)
{
    if (open_commit(group, call))
        return OX_OK;
    const struct consumer_member *member = consumer_member_find(group, call->member_id);
    if (member == NULL)
        return OX_UNKNOWN_MEMBER_ID;
    bool classic = member->subscription.classic;
    if (!call->tells_epochs && !call->transactional && !classic)
        return OX_UNSUPPORTED_VERSION;
    if (call->generation == member->epoch ||
        (call->generation < member->epoch && had_since(member, call)))
        return OX_OK;
    return call->tells_epochs && !classic ? OX_STALE_MEMBER_EPOCH : OX_ILLEGAL_GENERATION;
}

/* A member that is behind may commit what it has had since. */
static ox_code
commit_allowed_streams(const struct group *group, const struct coord_offset_commit_call *call)
{
    if (open_commit(group, call))
        return OX_OK;
    const struct streams_member *member = streams_member_find(group, call->member_id);
    if (member == NULL)
        return OX_UNKNOWN_MEMBER_ID;
    if (!call->tells_epochs && !call->transactional)
        return OX_UNSUPPORTED_VERSION;
    ox_code stale = call->tells_epochs ? OX_STALE_MEMBER_EPOCH : OX_ILLEGAL_GENERATION;
    if (call->generation > member->current.epoch)
        return stale;
    for (size_t i = 0; call->generation < member->current.epoch && i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++)
            if (call->topics[i].partitions[j].code == OX_OK &&
                !streams_commit_allowed(member, call->topics[i].name,
                    call->topics[i].partitions[j].partition, call->generation))
                return stale;
    return OX_OK;
}

/* Whether the group takes the commit; also counts as a sign of life. */
static ox_code
commit_allowed(struct group *group, const struct coord_offset_commit_call *call)
{
    struct member *member = NULL;
    bool has_member = call->member_id.len > 0 || call->instance_id.ptr != NULL;
    if (group->state == GROUP_DEAD)
        return OX_COORDINATOR_NOT_AVAILABLE;
    if (group->share != NULL)
        return OX_GROUP_ID_NOT_FOUND; /* it has other offsets */
    if (group->consumer != NULL)
        return commit_allowed_consumer(group, call);
    if (group->streams != NULL)
        return commit_allowed_streams(group, call);
    if (commit_of_nobody(call) || (call->generation < 0 && group->state == GROUP_EMPTY))
        return OX_OK;
    if (call->generation < 0 && !has_member)
        return OX_UNKNOWN_MEMBER_ID;
    ox_code code = group_validate(group, call->member_id, call->instance_id, &member);
    if (code != OX_OK)
        return code;
    if (call->generation != group->generation)
        return OX_ILLEGAL_GENERATION;
    if (call->transactional)
        return OX_OK;
    if (group->state == GROUP_COMPLETING)
        return OX_REBALANCE_IN_PROGRESS;
    member_restart_session(member, member->session_timeout_ms);
    return OX_OK;
}

static ox_code
commit_group(struct shard *shard, const struct coord_offset_commit_call *call, struct group **out)
{
    *out = group_find(shard, call->group_id);
    if (*out == NULL && call->generation >= 0)
        return call->tells_epochs ? OX_GROUP_ID_NOT_FOUND : OX_ILLEGAL_GENERATION;
    if (call->group_id.len > INT16_MAX)
        return OX_INVALID_GROUP_ID;
    ox_code code = group_get(shard, call->group_id, out);
    return code != OX_OK ? code : commit_allowed(*out, call);
}

static ox_code
check_offset(const struct shard *shard, const struct coord_offset_topic *topic,
    const struct coord_offset *from)
{
    if (topic->name.len > INT16_MAX)
        return OX_INVALID_TOPIC;
    if (from->metadata.len > INT16_MAX ||
        utf16_len(from->metadata) > (size_t)shard->config.offset_metadata_max)
        return OX_OFFSET_METADATA_TOO_LARGE;
    return OX_OK;
}

static void
add_offsets(struct shard *shard, struct write *write, const struct coord_offset_commit_call *call)
{
    struct arena *arena = &write->arena;
    int64_t now = shard_wall(shard);
    int64_t expire = -1;
    if (call->retention_ms >= 0 && __builtin_add_overflow(now, call->retention_ms, &expire))
        expire = INT64_MAX;
    for (size_t i = 0; i < call->topic_count; i++) {
        struct coord_offset_topic *topic = &call->topics[i];
        for (size_t j = 0; j < topic->partition_count; j++) {
            struct coord_offset *from = &topic->partitions[j];
            if (from->code == OX_OK)
                from->code = check_offset(shard, topic, from);
            if (from->code != OX_OK)
                continue;
            write_add(write, record_offset_key(arena, call->group_id, topic->name, from->partition),
                record_offset_value(arena, from->offset, from->leader_epoch, from->metadata, now,
                    expire));
        }
    }
}

static void
commit_run(struct coord_call *base)
{
    struct coord_offset_commit_call *call =
        ox_container_of(base, struct coord_offset_commit_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    ox_code code = shard_ready(shard);
    if (code == OX_OK)
        code = commit_group(shard, call, &group);
    if (code != OX_OK) {
        commit_answer(call, code);
        if (group != NULL)
            group_maybe_drop(group);
        return;
    }
    struct write *write = write_new(shard, group);
    add_offsets(shard, write, call);
    if (write->record_count == 0) {
        commit_answer(call, OX_OK);
        write_drop(shard, write);
        return;
    }
    write->replay = true;
    write->call = base;
    write->finish = commit_done;
    if (call->transactional)
        write->stamp = (struct coord_stamp){.kind = COORD_TXN, .producer_id = call->producer_id,
            .producer_epoch = call->producer_epoch, .guard = call->guard};
    write_submit(shard, write);
}

void
coord_offset_commit(struct coord *coord, struct coord_offset_commit_call *call)
{
    call_start(coord, &call->call, call->group_id, commit_run);
}

/* ---- offsets of transactions ---- */

/* What transactions hold for a partition. */
struct held_place {
    struct list held; /* not empty */
};

struct held_topic {
    struct map places; /* partition -> struct held_place; not empty */
};

struct held_offset {
    struct list link, place_link;
    struct group *group;
    struct str topic;
    struct committed committed; /* metadata on the heap */
};

struct txn_offsets {
    int64_t producer_id;
    struct list held; /* in log order */
};

static struct str
partition_key(const int32_t *partition)
{
    return ox_str_n(partition, sizeof(*partition));
}

/* NULL: no transaction has an offset there. */
static struct held_place *
held_place_find(const struct group *group, struct str topic, int32_t partition)
{
    const struct held_topic *held = ox_map_get(&group->held, topic);
    return held != NULL ? ox_map_get(&held->places, partition_key(&partition)) : NULL;
}

static void
held_place_add(struct held_offset *held)
{
    struct group *group = held->group;
    int32_t partition = held->committed.partition;
    struct held_topic *topic = ox_map_get(&group->held, held->topic);
    if (topic == NULL) {
        topic = ox_calloc(1, sizeof(*topic));
        ox_map_init(&topic->places);
        ox_map_put(&group->held, held->topic, topic);
    }
    struct held_place *place = ox_map_get(&topic->places, partition_key(&partition));
    if (place == NULL) {
        place = ox_calloc(1, sizeof(*place));
        ox_list_init(&place->held);
        ox_map_put(&topic->places, partition_key(&partition), place);
    }
    ox_list_push(&place->held, &held->place_link);
}

static void
held_place_remove(struct held_offset *held)
{
    int32_t partition = held->committed.partition;
    struct held_topic *topic = ox_map_get(&held->group->held, held->topic);
    struct held_place *place = ox_map_get(&topic->places, partition_key(&partition));
    ox_list_remove(&held->place_link);
    if (!ox_list_empty(&place->held))
        return;
    ox_map_remove(&topic->places, partition_key(&partition));
    ox_free(place);
    if (topic->places.count > 0)
        return;
    ox_map_remove(&held->group->held, held->topic);
    ox_map_fini(&topic->places);
    ox_free(topic);
}

static void
held_free(struct held_offset *held)
{
    ox_list_remove(&held->link);
    held_place_remove(held);
    held->group->txns--;
    heap_str_free(&held->topic);
    heap_str_free(&held->committed.metadata);
    ox_free(held);
}

void
offsets_replay_txn(struct shard *shard, const struct coord_replayed *record)
{
    struct record_key key;
    struct committed committed;
    struct group *group;
    record_read_key(record->key, &key);
    /* Transactions write offsets, and never delete them. */
    if (key.type != RECORD_OFFSET || record->value.ptr == NULL ||
        !record_read_offset(record->value, &committed) ||
        group_get(shard, key.group_id, &group) != OX_OK) {
        shard->skipped++;
        return;
    }
    struct txn_offsets *txn = ox_map_get(&shard->pending_txns, ox_key_i64(&record->producer_id));
    if (txn == NULL) {
        txn = ox_calloc(1, sizeof(*txn));
        txn->producer_id = record->producer_id;
        ox_list_init(&txn->held);
        ox_map_put(&shard->pending_txns, ox_key_i64(&txn->producer_id), txn);
    }
    struct held_offset *held = ox_calloc(1, sizeof(*held));
    held->group = group;
    held->topic = heap_str(key.topic);
    held->committed = committed;
    held->committed.partition = key.partition;
    held->committed.log_offset = record->offset;
    held->committed.metadata = heap_str(committed.metadata);
    group->txns++;
    group->lingers = true;
    ox_list_push(&txn->held, &held->link);
    held_place_add(held);
}

static void
settle(const struct shard *shard, struct held_offset *held, bool committed)
{
    struct group *group = held->group;
    if (ox_fault("txn.wrong_offsets") != OX_OK) /* for the tests: the contrary */
        committed = !committed;
    if (committed) {
        const struct committed *own = group_offset(group, held->topic, held->committed.partition);
        bool stale = own != NULL && shard->state == SHARD_LOADING &&
                     ox_fault("coord.wrong_replay") != OX_OK;
        if (own == NULL || (own->log_offset < held->committed.log_offset && !stale))
            group_set_offset(group, held->topic, &held->committed);
    }
    held_free(held);
    group_maybe_drop(group);
}

void
offsets_replay_marker(struct shard *shard, int64_t producer_id, bool committed)
{
    struct txn_offsets *txn = ox_map_remove(&shard->pending_txns, ox_key_i64(&producer_id));
    if (txn == NULL)
        return;
    ox_list_each(node, &txn->held)
        settle(shard, ox_container_of(node, struct held_offset, link), committed);
    ox_free(txn);
}

void
offsets_forget_txns(struct shard *shard)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->pending_txns, &at)) != NULL;) {
        struct txn_offsets *txn = entry->value;
        ox_list_each(node, &txn->held)
            held_free(ox_container_of(node, struct held_offset, link));
        ox_free(txn);
    }
    ox_map_fini(&shard->pending_txns);
}

static void
marker_done(struct shard *shard, struct write *write, ox_code code)
{
    call_finish(write->call, code);
}

static void
marker_run(struct coord_call *base)
{
    struct coord_group_marker_call *call =
        ox_container_of(base, struct coord_group_marker_call, call);
    struct shard *shard = call_shard(base);
    /* Offsets that are being loaded would miss it: it must come again. */
    if (shard_ready(shard) != OX_OK) {
        call_finish(base, OX_NOT_LEADER);
        return;
    }
    struct write *write = write_new(shard, NULL);
    write->stamp = (struct coord_stamp){COORD_MARKER, call->producer_id, call->producer_epoch, 0,
        call->commit, call->txn_version, call->coordinator_epoch};
    write->call = base;
    write->finish = marker_done;
    write_submit(shard, write);
}

void
coord_group_marker(struct coord *coord, struct coord_group_marker_call *call)
{
    call_start_at(coord, &call->call, call->partition, marker_run);
}

/* A tombstone ends what transactions have for the partition, too. */
void
offsets_forget_held(struct group *group, struct str topic, int32_t partition)
{
    struct held_place *place;
    while ((place = held_place_find(group, topic, partition)) != NULL)
        held_free(ox_container_of(place->held.next, struct held_offset, place_link));
}

static bool
offset_pending(const struct group *group, struct str topic, int32_t partition)
{
    return group->txns > 0 && held_place_find(group, topic, partition) != NULL;
}

/* ---- fetch ---- */

static void
fetch_one(const struct coord_offset_fetch_call *call, const struct group *group, struct str topic,
    struct coord_offset *out)
{
    const struct committed *own = group ? group_offset(group, topic, out->partition) : NULL;
    out->offset = out->commit_ms = -1;
    out->leader_epoch = -1;
    out->metadata = OX_STR("");
    if (out->code != OX_OK)
        return;
    if (call->require_stable && group != NULL && offset_pending(group, topic, out->partition)) {
        out->code = OX_UNSTABLE_OFFSET_COMMIT;
        return;
    }
    if (own == NULL)
        return;
    out->offset = own->offset;
    out->leader_epoch = own->leader_epoch;
    out->commit_ms = own->commit_ms;
    if (own->metadata.len > 0)
        out->metadata = ox_str_dup(call->call.arena, own->metadata);
}

static void
list_topics(struct coord_offset_fetch_call *call, const struct group *group)
{
    struct arena *arena = call->call.arena;
    struct map_entry *entry;
    call->topics = ox_arena_array(arena, struct coord_offset_topic, group->topics.count);
    for (uint32_t at = 0; (entry = ox_map_next(&group->topics, &at)) != NULL;) {
        const struct group_topic *from = entry->value;
        struct coord_offset_topic *topic = &call->topics[call->topic_count++];
        topic->name = ox_str_dup(arena, from->name);
        topic->partition_count = from->count;
        topic->partitions = ox_arena_array(arena, struct coord_offset, from->count);
        for (uint32_t i = 0; i < from->count; i++)
            topic->partitions[i].partition = from->partitions[i].partition;
    }
}

/* The epoch of a member, of either kind of group that has some; -1: there is no
 * such member. */
static int32_t
member_epoch(const struct group *group, struct str member_id)
{
    if (group->streams != NULL) {
        const struct streams_member *member = streams_member_find(group, member_id);
        return member != NULL ? member->current.epoch : -1;
    }
    const struct consumer_member *member = consumer_member_find(group, member_id);
    return member != NULL ? member->epoch : -1;
}

/* A member must not read with a stale epoch. */
static ox_code
fetch_allowed(const struct group *group, const struct coord_offset_fetch_call *call)
{
    if (group == NULL || (group->consumer == NULL && group->streams == NULL) ||
        (call->member_id.ptr == NULL && call->member_epoch < 0))
        return OX_OK;
    int32_t epoch = member_epoch(group, call->member_id);
    if (epoch == -1)
        return OX_UNKNOWN_MEMBER_ID;
    if (call->member_epoch == epoch)
        return OX_OK;
    const struct consumer_member *member =
        group->consumer != NULL ? consumer_member_find(group, call->member_id) : NULL;
    return member != NULL && member->subscription.classic ? OX_ILLEGAL_GENERATION
                                                          : OX_STALE_MEMBER_EPOCH;
}

static void
fetch_run(struct coord_call *base)
{
    struct coord_offset_fetch_call *call =
        ox_container_of(base, struct coord_offset_fetch_call, call);
    struct shard *shard = call_shard(base);
    ox_code code = shard_ready(shard);
    if (code == OX_OK)
        code = fetch_allowed(group_find(shard, call->group_id), call);
    if (code != OX_OK) {
        for (size_t i = 0; i < call->topic_count; i++)
            for (size_t j = 0; j < call->topics[i].partition_count; j++) {
                struct coord_offset *out = &call->topics[i].partitions[j];
                ox_code own = out->code != OX_OK ? out->code : code;
                out->code = own;
                fetch_one(call, NULL, call->topics[i].name, out);
            }
        call_finish(base, code);
        return;
    }
    const struct group *group = group_find(shard, call->group_id);
    if (call->topics == NULL) {
        call->topic_count = 0;
        if (group != NULL)
            list_topics(call, group);
    }
    for (size_t i = 0; i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++)
            fetch_one(call, group, call->topics[i].name, &call->topics[i].partitions[j]);
    call_finish(base, OX_OK);
}

void
coord_offset_fetch(struct coord *coord, struct coord_offset_fetch_call *call)
{
    call_start(coord, &call->call, call->group_id, fetch_run);
}

/* ---- delete ---- */

static void
delete_answer(struct coord_offset_delete_call *call, ox_code code)
{
    fail_rest(call->topics, call->topic_count, code);
    call_finish(&call->call, code);
}

static void
delete_done(struct shard *shard, struct write *write, ox_code code)
{
    delete_answer(ox_container_of(write->call, struct coord_offset_delete_call, call),
        write_error(code));
}

static ox_code
delete_allowed(const struct group *group)
{
    if (group == NULL || group->state == GROUP_DEAD || group->share != NULL)
        return OX_GROUP_ID_NOT_FOUND; /* share groups have other offsets */
    if (group->consumer != NULL || group->streams != NULL || group->state == GROUP_EMPTY ||
        ox_str_is(group->protocol_type, "consumer"))
        return OX_OK;
    return OX_NON_EMPTY_GROUP;
}

static void
add_tombstone(struct write *write, const struct group *group, struct str topic, int32_t partition)
{
    write_add(write, record_offset_key(&write->arena, group->id, topic, partition), OX_STR_NULL);
}

static void
offset_delete_run(struct coord_call *base)
{
    struct coord_offset_delete_call *call =
        ox_container_of(base, struct coord_offset_delete_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    ox_code code = shard_ready(shard);
    if (code == OX_OK && call->group_id.len == 0)
        code = OX_INVALID_GROUP_ID;
    if (code == OX_OK) {
        group = group_find(shard, call->group_id);
        code = delete_allowed(group);
    }
    if (code != OX_OK) {
        delete_answer(call, code);
        return;
    }
    struct write *write = write_new(shard, group);
    for (size_t i = 0; i < call->topic_count; i++) {
        const struct coord_offset_topic *topic = &call->topics[i];
        bool subscribed = group_subscribed(group, topic->name);
        for (size_t j = 0; j < topic->partition_count; j++) {
            struct coord_offset *out = &topic->partitions[j];
            if (out->code == OX_OK && subscribed)
                out->code = OX_GROUP_SUBSCRIBED_TO_TOPIC;
            if (out->code == OX_OK && (group_offset(group, topic->name, out->partition) != NULL ||
                                          offset_pending(group, topic->name, out->partition)))
                add_tombstone(write, group, topic->name, out->partition);
        }
    }
    if (write->record_count == 0) {
        delete_answer(call, OX_OK);
        write_drop(shard, write);
        return;
    }
    write->replay = true;
    write->call = base;
    write->finish = delete_done;
    write_submit(shard, write);
}

void
coord_offset_delete(struct coord *coord, struct coord_offset_delete_call *call)
{
    call_start(coord, &call->call, call->group_id, offset_delete_run);
}

/* ---- many tombstones, in as many writes as they need ---- */

struct tombstones {
    struct group *group;
    struct write *write; /* being filled, or NULL */
};

static void
tombstones_flush(struct tombstones *to)
{
    if (to->write != NULL)
        write_submit(to->group->shard, to->write);
    to->write = NULL;
}

static void
tombstones_add(struct tombstones *to, struct str topic, int32_t partition)
{
    struct shard *shard = to->group->shard;
    if (to->write == NULL) {
        to->write = write_new(shard, to->group);
        to->write->replay = true;
    }
    add_tombstone(to->write, to->group, topic, partition);
    if (to->write->bytes > (size_t)shard->config.batch_bytes_max / 2)
        tombstones_flush(to);
}

/* Of what transactions have for the group, which has nothing else committed there.
 * topic: of that alone, unless it is null. */
static void
tombstones_add_held(struct tombstones *to, struct str topic)
{
    struct map_entry *entry;
    const struct map *txns = &to->group->shard->pending_txns;
    for (uint32_t at = 0; to->group->txns > 0 && (entry = ox_map_next(txns, &at)) != NULL;) {
        struct txn_offsets *txn = entry->value;
        ox_list_each(node, &txn->held) {
            const struct held_offset *held = ox_container_of(node, struct held_offset, link);
            if (held->group == to->group && (topic.ptr == NULL || ox_str_eq(held->topic, topic)) &&
                group_offset(to->group, held->topic, held->committed.partition) == NULL)
                tombstones_add(to, held->topic, held->committed.partition);
        }
    }
}

/* Who has been given an id, and has not come with it yet. */
static void
forget_pending(struct group *group)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->pending, &at)) != NULL;)
        group_remove_pending(entry->value);
}

/* The group and all its offsets leave the log; memory follows. If that fails
 * the group is back. */
static void
group_deleted(struct shard *shard, struct write *write, ox_code code)
{
    struct group *group = write->group;
    if (shard->state == SHARD_ACTIVE) {
        if (code == OX_OK) {
            group_set_protocol_type(group, OX_STR_NULL);
            group_set_protocol(group, OX_STR_NULL);
            group->generation = 0;
            group->logged = group->lingers = false;
            forget_pending(group);
        }
        group_transition(group, GROUP_EMPTY);
    }
    if (write->call != NULL)
        call_finish(write->call, write_error(code));
}

/* On a DEAD group without writes. Ends in group_deleted. */
void
group_start_delete(struct group *group)
{
    struct tombstones to = {group, NULL};
    struct map_entry *entry;
    struct coord_call *call = group->deleting ? &group->deleting->call : NULL;
    ox_assert(group->state == GROUP_DEAD);
    ox_assert(group->writes == 0);
    if (group->share != NULL && !share_forget_state(group))
        return;
    group->deleting = NULL;
    for (uint32_t at = 0; (entry = ox_map_next(&group->topics, &at)) != NULL;) {
        const struct group_topic *topic = entry->value;
        for (uint32_t i = 0; i < topic->count; i++)
            tombstones_add(&to, topic->name, topic->partitions[i].partition);
    }
    tombstones_add_held(&to, OX_STR_NULL);
    tombstones_flush(&to);
    struct write *write = write_new(group->shard, group);
    write->call = call;
    write->finish = group_deleted;
    if (group->consumer != NULL)
        put_group_gone(write, group);
    else if (group->share != NULL)
        put_share_group_gone(write);
    else if (group->streams != NULL)
        put_streams_group_gone(write);
    else
        write_add(write, record_group_key(&write->arena, group->id), OX_STR_NULL);
    write_submit(group->shard, write);
}

void
group_writes_done(struct group *group)
{
    if (group->deleting != NULL)
        group_start_delete(group);
    else
        group_maybe_drop(group);
}

/* ---- expiry ---- */

/* Whether offsets of the group may expire now, and since when they age: the
 * group's becoming empty, or each one's commit. */
static bool
may_expire(const struct group *group, int64_t *since)
{
    *since = -1;
    if (!group_is_classic(group) || group->protocol_type.ptr == NULL)
        return true;
    if (group->state == GROUP_EMPTY) {
        *since = group->state_since_ms;
        return true;
    }
    return group->state == GROUP_STABLE && ox_str_is(group->protocol_type, "consumer");
}

static bool
expired(const struct shard *shard, const struct committed *own, int64_t since, int64_t now)
{
    if (own->expire_ms >= 0)
        return now >= own->expire_ms;
    int64_t age;
    if (__builtin_sub_overflow(now, since >= 0 ? since : own->commit_ms, &age))
        return own->commit_ms < 0;
    return age >= shard->config.offsets_retention_ms;
}

static void
sweep_group(struct group *group, int64_t now)
{
    struct tombstones to = {group, NULL};
    struct map_entry *entry;
    int64_t since;
    size_t kept = 0, gone = 0;
    if (group->state == GROUP_DEAD || group->share != NULL)
        return; /* share groups stay until they are deleted, with what they have done */
    bool may = may_expire(group, &since);
    for (uint32_t at = 0; (entry = ox_map_next(&group->topics, &at)) != NULL;) {
        const struct group_topic *topic = entry->value;
        bool keep = !may || group_subscribed(group, topic->name);
        for (uint32_t i = 0; i < topic->count; i++) {
            const struct committed *own = &topic->partitions[i];
            if (keep || !expired(group->shard, own, since, now) ||
                offset_pending(group, topic->name, own->partition)) {
                kept++;
                continue;
            }
            gone++;
            tombstones_add(&to, topic->name, own->partition);
        }
    }
    if (gone > 0)
        ox_info("committed offsets expired", "group=%.*s count=%zu", OX_STR_ARG(group->id), gone);
    /* A group that nothing is left of goes with its last offset. */
    if (group_is_empty(group) && kept == 0 && group->txns == 0 &&
        group->pending.count == 0 && (group->logged || gone > 0) &&
        group->writes == (to.write != NULL)) {
        if (to.write != NULL)
            write_drop(group->shard, to.write);
        group_transition(group, GROUP_DEAD);
        group_start_delete(group);
        return;
    }
    tombstones_flush(&to);
    group->lingers = kept > 0;
    group_maybe_drop(group);
}

void
offsets_sweep(struct shard *shard)
{
    struct map_entry *entry;
    int64_t now = shard_wall(shard);
    for (uint32_t at = 0; (entry = ox_map_next(&shard->groups, &at)) != NULL;)
        sweep_group(entry->value, now);
}

/* ---- topics that were deleted ---- */

static void
forget_topic(struct group *group, struct str name)
{
    struct tombstones to = {group, NULL};
    const struct group_topic *topic = ox_map_get(&group->topics, name);
    for (uint32_t i = 0; topic != NULL && i < topic->count; i++)
        tombstones_add(&to, name, topic->partitions[i].partition);
    tombstones_add_held(&to, name);
    tombstones_flush(&to);
}

/* A topic may have gone while nobody coordinated the group. */
void
offsets_forget_gone_topics(struct group *group)
{
    const struct coord_host *host = group->shard->coord->host;
    struct map_entry *entry;
    struct coord_topic facts;
    for (uint32_t at = 0; (entry = ox_map_next(&group->topics, &at)) != NULL;)
        if (!host->topic_by_name(host->self, entry->key, &facts))
            forget_topic(group, entry->key);
}

struct topic_call {
    struct coord_call call;
    struct str topic; /* heap */
};

static void
topic_deleted_done(struct coord_call *call)
{
    struct topic_call *self = ox_container_of(call, struct topic_call, call);
    heap_str_free(&self->topic);
    ox_free(self);
}

static void
topic_deleted_run(struct coord_call *call)
{
    struct shard *shard = call_shard(call);
    struct str name = ox_container_of(call, struct topic_call, call)->topic;
    struct map_entry *entry;
    if (shard_ready(shard) == OX_OK)
        for (uint32_t at = 0; (entry = ox_map_next(&shard->groups, &at)) != NULL;)
            forget_topic(entry->value, name);
    call_next(call);
}

void
coord_topic_deleted(struct coord *coord, struct str topic)
{
    struct topic_call *self = ox_calloc(1, sizeof(*self));
    self->topic = heap_str(topic);
    self->call.done = topic_deleted_done;
    call_start_all(coord, &self->call, topic_deleted_run);
}
