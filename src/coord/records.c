/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __consumer_offsets. The key begins with its int16 version, which
 * is also the record's type: 0 and 1 an offset, 2 a group. The value begins
 * with its own version; a null value is a tombstone. Written are the versions
 * that every tool reads (offset 3, or 1 where an expire time was asked for;
 * group 3); all that Kafka has ever written are read, flexible ones included.
 *
 *   offset key   0|1  group s, topic s, partition i32
 *   offset value v0   offset i64, metadata s, commit_ms i64
 *                v1   .. commit_ms i64, expire_ms i64
 *                v2   offset i64, metadata s, commit_ms i64
 *                v3   offset i64, leader_epoch i32, metadata s, commit_ms i64
 *                v4   as 3, flexible; tag 0 topic_id
 *   group key    2    group s
 *   group value       protocol_type s, generation i32, protocol ?s, leader ?s,
 *                     v2+ state_since_ms i64, members[ id s, v3+ instance ?s,
 *                     client_id s, client_host s, v1+ rebalance_timeout i32,
 *                     session_timeout i32, subscription B, assignment B ]
 *                v4   as 3, flexible */
#include "base/diag.h"
#include "base/wire.h"
#include "coord/share_group.h"
#include "coord/streams_group.h"

enum { KEY_OFFSET_MAX = 1, KEY_GROUP = 2, VALUE_VERSION_MAX = 4, FLEXIBLE = 4 };

/* ---- writing ---- */

/* A buffer of exactly len bytes and a cursor over it. */
struct cursor {
    struct str out;
    uint8_t *at;
};

static struct cursor
cursor_new(struct arena *arena, size_t len)
{
    uint8_t *ptr = ox_arena_alloc(arena, len);
    return (struct cursor){{(const char *)ptr, len}, ptr};
}

static struct str
cursor_end(struct cursor *cursor)
{
    ox_assert(cursor->at == (const uint8_t *)cursor->out.ptr + cursor->out.len);
    return cursor->out;
}

static void
put16(struct cursor *cursor, int16_t v)
{
    wire_store16(cursor->at, (uint16_t)v);
    cursor->at += 2;
}

static void
put32(struct cursor *cursor, int32_t v)
{
    wire_store32(cursor->at, (uint32_t)v);
    cursor->at += 4;
}

static void
put64(struct cursor *cursor, int64_t v)
{
    wire_store64(cursor->at, (uint64_t)v);
    cursor->at += 8;
}

static void
put_raw(struct cursor *cursor, struct str s)
{
    if (s.len > 0)
        memcpy(cursor->at, s.ptr, s.len);
    cursor->at += s.len;
}

static void
put_str(struct cursor *cursor, struct str s)
{
    ox_assert(s.len <= INT16_MAX);
    put16(cursor, s.ptr == NULL ? -1 : (int16_t)s.len);
    put_raw(cursor, s);
}

static void
put_bytes(struct cursor *cursor, struct str s)
{
    ox_assert(s.len <= INT32_MAX);
    put32(cursor, (int32_t)s.len);
    put_raw(cursor, s);
}

struct str
record_offset_key(struct arena *arena, struct str group, struct str topic, int32_t partition)
{
    struct cursor cursor = cursor_new(arena, 2 + 2 + group.len + 2 + topic.len + 4);
    put16(&cursor, KEY_OFFSET_MAX);
    put_str(&cursor, group);
    put_str(&cursor, topic);
    put32(&cursor, partition);
    return cursor_end(&cursor);
}

struct str
record_offset_value(struct arena *arena, int64_t offset, int32_t leader_epoch, struct str metadata,
    int64_t commit_ms, int64_t expire_ms)
{
    struct cursor cursor;
    if (metadata.ptr == NULL)
        metadata = OX_STR("");
    if (expire_ms >= 0) {
        cursor = cursor_new(arena, 2 + 8 + 2 + metadata.len + 8 + 8);
        put16(&cursor, 1);
        put64(&cursor, offset);
    } else {
        cursor = cursor_new(arena, 2 + 8 + 4 + 2 + metadata.len + 8);
        put16(&cursor, 3);
        put64(&cursor, offset);
        put32(&cursor, leader_epoch);
    }
    put_str(&cursor, metadata);
    put64(&cursor, commit_ms);
    if (expire_ms >= 0)
        put64(&cursor, expire_ms);
    return cursor_end(&cursor);
}

struct str
record_group_key(struct arena *arena, struct str group)
{
    struct cursor cursor = cursor_new(arena, 2 + 2 + group.len);
    put16(&cursor, KEY_GROUP);
    put_str(&cursor, group);
    return cursor_end(&cursor);
}

struct str
record_group_value(struct arena *arena, const struct record_group *value)
{
    size_t len = 2 + 2 + value->protocol_type.len + 4 + 2 + value->protocol.len + 2 +
                 value->leader.len + 8 + 4;
    for (int32_t i = 0; i < value->member_count; i++) {
        const struct record_member *member = &value->members[i];
        len += 2 + member->id.len + 2 + member->instance_id.len + 2 + member->client_id.len + 2 +
               member->client_host.len + 4 + 4 + 4 + member->subscription.len + 4 +
               member->assignment.len;
    }
    struct cursor cursor = cursor_new(arena, len);
    put16(&cursor, 3);
    put_str(&cursor, value->protocol_type);
    put32(&cursor, value->generation);
    put_str(&cursor, value->protocol);
    put_str(&cursor, value->leader);
    put64(&cursor, value->state_since_ms);
    put32(&cursor, value->member_count);
    for (int32_t i = 0; i < value->member_count; i++) {
        const struct record_member *member = &value->members[i];
        put_str(&cursor, member->id);
        put_str(&cursor, member->instance_id);
        put_str(&cursor, member->client_id);
        put_str(&cursor, member->client_host);
        put32(&cursor, member->rebalance_timeout_ms);
        put32(&cursor, member->session_timeout_ms);
        put_bytes(&cursor, member->subscription);
        put_bytes(&cursor, member->assignment);
    }
    return cursor_end(&cursor);
}

/* ---- reading ---- */

struct reader {
    struct wire_in in;
    bool flexible;
};

/* A string or bytes of len, -1 null. */
static struct str
get_run(struct reader *reader, int64_t len, bool nullable)
{
    if (len == -1 && nullable)
        return OX_STR_NULL;
    if (len < 0 || (uint64_t)len > wire_left(&reader->in)) {
        reader->in.failed = true;
        return OX_STR("");
    }
    return ox_str_n(wire_skip(&reader->in, (size_t)len), (size_t)len);
}

static struct str
get_str(struct reader *reader, bool nullable)
{
    int64_t len = reader->flexible ? (int64_t)wire_get_uvarint(&reader->in) - 1
                                   : wire_get16(&reader->in);
    return get_run(reader, len, nullable);
}

static struct str
get_bytes(struct reader *reader)
{
    int64_t len = reader->flexible ? (int64_t)wire_get_uvarint(&reader->in) - 1
                                   : wire_get32(&reader->in);
    struct str bytes = get_run(reader, len, true);
    return bytes.ptr == NULL ? OX_STR("") : bytes;
}

static void
skip_tags(struct reader *reader)
{
    if (!reader->flexible)
        return;
    uint32_t count = wire_get_uvarint(&reader->in);
    while (count-- > 0 && !reader->in.failed) {
        wire_get_uvarint(&reader->in);
        wire_skip(&reader->in, wire_get_uvarint(&reader->in));
    }
}

/* ---- groups that are not classic: keys of one shape, values of a version ---- */

static struct str
kind_key(struct write *write, int16_t type, struct str id)
{
    struct str group_id = write->group->id;
    size_t id_len = id.ptr != NULL ? 2 + id.len : 0;
    struct cursor cursor = cursor_new(&write->arena, 2 + 2 + group_id.len + id_len);
    put16(&cursor, type);
    put_str(&cursor, group_id);
    if (id.ptr != NULL)
        put_str(&cursor, id);
    return cursor_end(&cursor);
}

void
record_put(struct write *write, int16_t type, struct str id, struct str value,
    record_apply_fn apply)
{
    struct str key = kind_key(write, type, id);
    write->ahead = true;
    write_add(write, key, value);
    if (!apply(write->group->shard, type, key, value))
        ox_unreachable();
}

struct str
record_encode(struct write *write, const struct msg_type *layout, const void *value)
{
    struct text text;
    ox_text_init(&text, &write->arena);
    struct wire_out out = wire_out(&text);
    wire_put16(&out, 0);
    msg_encode(layout, value, 0, &out, NULL);
    return ox_text_str(&text);
}

bool
record_read_ids(struct str key, struct str *group_id, struct str *id)
{
    struct reader reader = {wire_in(key.ptr, key.len), false};
    wire_skip(&reader.in, 2);
    *group_id = get_str(&reader, false);
    if (id != NULL)
        *id = get_str(&reader, false);
    return !reader.in.failed;
}

void
record_unset(struct shard *shard, int16_t type, struct str group_id, struct str id,
    void (*unset)(struct group *group, int16_t type, struct str id))
{
    struct group *group = group_find(shard, group_id);
    if (group == NULL)
        return;
    unset(group, type, id);
    if (shard->state == SHARD_LOADING)
        group_maybe_drop(group);
}

void
record_read_key(struct str key, struct record_key *out)
{
    struct reader reader = {wire_in(key.ptr, key.len), false};
    *out = (struct record_key){.type = RECORD_OTHER};
    out->version = wire_get16(&reader.in);
    if (reader.in.failed) {
        out->type = RECORD_BAD;
        return;
    }
    if ((out->version >= KEY_CONSUMER_EPOCH && out->version <= KEY_CONSUMER_CURRENT) ||
        out->version == KEY_CONSUMER_REGEX) {
        out->type = RECORD_CONSUMER;
        return;
    }
    if (out->version >= KEY_SHARE_MEMBER && out->version <= KEY_SHARE_STATE) {
        out->type = RECORD_SHARE;
        return;
    }
    if (out->version == KEY_STREAMS_EPOCH ||
        (out->version >= KEY_STREAMS_MEMBER && out->version <= KEY_STREAMS_TOPOLOGY)) {
        out->type = RECORD_STREAMS;
        return;
    }
    if (out->version < 0 || out->version > KEY_GROUP)
        return;
    out->type = out->version == KEY_GROUP ? RECORD_GROUP : RECORD_OFFSET;
    out->group_id = get_str(&reader, false);
    if (out->type == RECORD_OFFSET) {
        out->topic = get_str(&reader, false);
        out->partition = wire_get32(&reader.in);
    }
    if (reader.in.failed)
        out->type = RECORD_BAD;
}

bool
record_read_offset(struct str value, struct committed *out)
{
    struct reader reader = {wire_in(value.ptr, value.len), false};
    int16_t version = wire_get16(&reader.in);
    if (version < 0 || version > VALUE_VERSION_MAX)
        return false;
    reader.flexible = version >= FLEXIBLE;
    *out = (struct committed){.leader_epoch = -1, .expire_ms = -1, .log_offset = -1};
    out->offset = wire_get64(&reader.in);
    if (version >= 3)
        out->leader_epoch = wire_get32(&reader.in);
    out->metadata = get_str(&reader, false);
    out->commit_ms = wire_get64(&reader.in);
    if (version == 1)
        out->expire_ms = wire_get64(&reader.in);
    skip_tags(&reader);
    return !reader.in.failed;
}

static void
read_member(struct reader *reader, int16_t version, struct record_member *out)
{
    out->id = get_str(reader, false);
    out->instance_id = version >= 3 ? get_str(reader, true) : OX_STR_NULL;
    out->client_id = get_str(reader, false);
    out->client_host = get_str(reader, false);
    int32_t rebalance = version >= 1 ? wire_get32(&reader->in) : -1;
    out->session_timeout_ms = wire_get32(&reader->in);
    out->rebalance_timeout_ms = version >= 1 ? rebalance : out->session_timeout_ms;
    out->subscription = get_bytes(reader);
    out->assignment = get_bytes(reader);
    skip_tags(reader);
}

bool
record_read_group(struct str value, struct arena *arena, struct record_group *out)
{
    struct reader reader = {wire_in(value.ptr, value.len), false};
    int16_t version = wire_get16(&reader.in);
    if (version < 0 || version > VALUE_VERSION_MAX)
        return false;
    reader.flexible = version >= FLEXIBLE;
    *out = (struct record_group){.state_since_ms = -1};
    out->protocol_type = get_str(&reader, false);
    out->generation = wire_get32(&reader.in);
    out->protocol = get_str(&reader, true);
    out->leader = get_str(&reader, true);
    if (version >= 2)
        out->state_since_ms = wire_get64(&reader.in);
    int64_t count = reader.flexible ? (int64_t)wire_get_uvarint(&reader.in) - 1
                                    : wire_get32(&reader.in);
    /* 7: the least bytes that a member takes. */
    if (reader.in.failed || count < 0 || (uint64_t)count > wire_left(&reader.in) / 7)
        return false;
    out->members = ox_arena_array(arena, struct record_member, (size_t)count);
    out->member_count = (int32_t)count;
    for (int32_t i = 0; i < out->member_count && !reader.in.failed; i++)
        read_member(&reader, version, &out->members[i]);
    skip_tags(&reader);
    return !reader.in.failed;
}

/* ---- applying ---- */

static void
apply_offset(struct shard *shard, const struct record_key *key, struct str value,
    int64_t log_offset)
{
    struct committed committed;
    struct group *group;
    if (value.ptr == NULL) {
        group = group_find(shard, key->group_id);
        if (group != NULL) {
            group_remove_offset(group, key->topic, key->partition);
            offsets_forget_held(group, key->topic, key->partition);
            if (shard->state == SHARD_LOADING)
                group_maybe_drop(group);
        }
        return;
    }
    if (!record_read_offset(value, &committed)) {
        shard->skipped++;
        return;
    }
    committed.partition = key->partition;
    committed.log_offset = log_offset;
    if (group_get(shard, key->group_id, &group) == OX_OK)
        group_set_offset(group, key->topic, &committed);
    else
        shard->skipped++;
}

static void
remove_members(struct group *group)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;)
        group_remove_member(entry->value);
}

/* Whether the members of a record can be put into one group as they are. */
static bool
members_agree(const struct record_group *value)
{
    struct map ids;
    bool agree = value->member_count == 0 || value->protocol.ptr != NULL;
    ox_map_init(&ids);
    for (int32_t i = 0; i < value->member_count; i++) {
        const struct record_member *member = &value->members[i];
        agree &= ox_map_put(&ids, member->id, &ids) == NULL;
    }
    ox_map_fini(&ids);
    ox_map_init(&ids);
    for (int32_t i = 0; i < value->member_count; i++) {
        const struct record_member *member = &value->members[i];
        if (member->instance_id.ptr != NULL)
            agree &= ox_map_put(&ids, member->instance_id, &ids) == NULL;
    }
    ox_map_fini(&ids);
    return agree;
}

static void
apply_members(struct group *group, const struct record_group *value)
{
    for (int32_t i = 0; i < value->member_count; i++) {
        const struct record_member *from = &value->members[i];
        struct coord_join_protocol protocol = {value->protocol, from->subscription};
        struct member *member = group_add_member(group, from->id, from->instance_id,
            from->client_id, from->client_host);
        member->session_timeout_ms = OX_MAX(from->session_timeout_ms, 0);
        member->rebalance_timeout_ms = OX_MAX(from->rebalance_timeout_ms, 0);
        member_set_protocols(member, &protocol, 1);
        member_set_assignment(member, from->assignment);
    }
    if (value->leader.ptr != NULL) {
        struct member *leader = group_member(group, value->leader);
        if (leader != NULL)
            group->leader = leader;
    }
}

/* The group is what the record says, and keeps its offsets. Replay only: live
 * groups are ahead of their records. */
static void
apply_group(struct shard *shard, const struct record_key *key, struct str value)
{
    struct arena arena;
    struct record_group record;
    struct group *group;
    ox_assert(shard->state == SHARD_LOADING);
    if (value.ptr == NULL) {
        group = group_find(shard, key->group_id);
        if (group == NULL || !group_is_classic(group))
            return; /* it has become another kind */
        remove_members(group);
        group_forget_subscriptions(group);
        group_set_protocol_type(group, OX_STR_NULL);
        group_set_protocol(group, OX_STR_NULL);
        group->generation = 0;
        group->state = group->previous = GROUP_EMPTY;
        group->state_since_ms = -1;
        group->logged = false;
        group->lingers = group->topics.count > 0;
        group_maybe_drop(group);
        return;
    }
    ox_arena_init(&arena);
    if (!record_read_group(value, &arena, &record) || !members_agree(&record) ||
        group_get(shard, key->group_id, &group) != OX_OK) {
        shard->skipped++;
        ox_arena_fini(&arena);
        return;
    }
    consumer_group_free(group); /* it has become a classic one */
    share_group_free(group);
    streams_group_free(group);
    remove_members(group);
    group_forget_subscriptions(group);
    group_set_protocol_type(group, record.protocol_type.len > 0 || record.member_count > 0
                                       ? record.protocol_type
                                       : OX_STR_NULL);
    group_set_protocol(group, record.member_count > 0 ? record.protocol : OX_STR_NULL);
    group->generation = OX_MAX(record.generation, 0);
    group->state_since_ms = record.state_since_ms;
    group->logged = true;
    apply_members(group, &record);
    group->state = group->members.count > 0 ? GROUP_STABLE : GROUP_EMPTY;
    group->previous = group->state;
    ox_arena_fini(&arena);
}

void
shard_apply(struct shard *shard, struct str key, struct str value, int64_t log_offset)
{
    struct record_key read;
    record_read_key(key, &read);
    switch (read.type) {
    case RECORD_OFFSET:
        apply_offset(shard, &read, value, log_offset);
        return;
    case RECORD_GROUP:
        apply_group(shard, &read, value);
        return;
    case RECORD_CONSUMER:
        if (!consumer_apply(shard, read.version, key, value))
            shard->skipped++;
        return;
    case RECORD_SHARE:
        if (!share_apply(shard, read.version, key, value))
            shard->skipped++;
        return;
    case RECORD_STREAMS:
        if (!streams_apply(shard, read.version, key, value))
            shard->skipped++;
        return;
    case RECORD_OTHER:
    case RECORD_BAD:
        shard->skipped++;
        return;
    }
}
