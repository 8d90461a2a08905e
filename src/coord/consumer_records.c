/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of consumer groups in __consumer_offsets. Keys are not flexible: the
 * type as int16, group_id s, then member_id s or the pattern s. Values are
 * flexible, version 0:
 *
 *   3  epoch              epoch i32; tag 0 metadata_hash i64
 *   5  member             instance ?s, rack ?s, client_id, client_host, topics[] s,
 *                         regex ?s, rebalance_timeout i32, assignor ?s; tag 0:
 *                         0, or 1, session_timeout i32, protocols[ name s, metadata B ]
 *   6  target epoch       epoch i32; tag 0 assignment_timestamp i64
 *   7  target             partitions
 *   8  current            epoch i32, previous i32, state i8, assigned partitions,
 *                         revoking partitions
 *  16  pattern            topics[] s, version i64, time i64
 *      partitions         [ topic_id uuid, [] i32; of a current assignment tag 0:
 *                           [] i32, when each was assigned ]
 *
 * Unknown tagged fields are skipped. */
#include <string.h>

#include "base/wire.h"
#include "coord/consumer_int.h"

enum { TAG_METADATA_HASH = 0, TAG_CLASSIC = 0, TAG_EPOCHS = 0, TAG_ASSIGNMENT_TIME = 0 };

/* ---- writing ---- */

struct out {
    struct text text;
    struct wire_out wire;
};

static void
out_init(struct out *out, struct write *write)
{
    ox_text_init(&out->text, &write->arena);
    out->wire = wire_out(&out->text);
}

static void
emit(struct write *write, int16_t type, struct str id, struct str value)
{
    record_put(write, type, id, value, consumer_apply);
}

static void
put_str(struct out *out, struct str s)
{
    wire_put_uvarint(&out->wire, s.ptr == NULL ? 0 : s.len + 1);
    wire_put_bytes(&out->wire, s.ptr ? s.ptr : "", s.len);
}

static void
put_names(struct out *out, const struct str *names, size_t count)
{
    wire_put_uvarint(&out->wire, count + 1);
    for (size_t i = 0; i < count; i++)
        put_str(out, names[i]);
}

static void
put_tags(struct out *out)
{
    wire_put_uvarint(&out->wire, 0);
}

static void
put_epochs(struct out *out, const int32_t *epochs, uint32_t count)
{
    size_t len = (size_t)wire_uvarlong_len(count + 1) + count * sizeof(*epochs);
    wire_put_uvarint(&out->wire, 1);
    wire_put_uvarint(&out->wire, TAG_EPOCHS);
    wire_put_uvarint(&out->wire, len);
    wire_put_uvarint(&out->wire, count + 1);
    for (uint32_t i = 0; i < count; i++)
        wire_put32(&out->wire, epochs[i]);
}

/* epochs NULL: it has none. */
static void
put_partitions(struct out *out, const struct tpset *set, const int32_t *epochs)
{
    uint32_t topics = 0;
    for (uint32_t at = 0; at < set->count; at = tpset_run(set, at))
        topics++;
    wire_put_uvarint(&out->wire, topics + 1);
    for (uint32_t at = 0; at < set->count;) {
        uint32_t end = tpset_run(set, at);
        wire_put_bytes(&out->wire, &set->at[at].topic, sizeof(struct uuid));
        wire_put_uvarint(&out->wire, end - at + 1);
        for (uint32_t i = at; i < end; i++)
            wire_put32(&out->wire, set->at[i].partition);
        if (epochs != NULL)
            put_epochs(out, epochs + at, end - at);
        else
            put_tags(out);
        at = end;
    }
}

/* One tagged field, left out at its default. */
static void
put_tagged64(struct out *out, uint32_t number, int64_t value)
{
    if (value == 0) {
        put_tags(out);
        return;
    }
    wire_put_uvarint(&out->wire, 1);
    wire_put_uvarint(&out->wire, number);
    wire_put_uvarint(&out->wire, sizeof(value));
    wire_put64(&out->wire, value);
}

void
put_epoch(struct write *write, int32_t epoch, int64_t metadata_hash)
{
    struct out out;
    out_init(&out, write);
    wire_put16(&out.wire, 0);
    wire_put32(&out.wire, epoch);
    put_tagged64(&out, TAG_METADATA_HASH, metadata_hash);
    emit(write, KEY_CONSUMER_EPOCH, OX_STR_NULL, ox_text_str(&out.text));
}

/* The tagged field starts with 0 for null, which Kafka writes too, or 1. */
static void
put_no_classic(struct out *out)
{
    wire_put_uvarint(&out->wire, 1);
    wire_put_uvarint(&out->wire, TAG_CLASSIC);
    wire_put_uvarint(&out->wire, 1);
    wire_put_uvarint(&out->wire, 0);
}

static void
put_classic(struct out *out, struct write *write, const struct consumer_subscription *from)
{
    struct out field;
    out_init(&field, write);
    wire_put_uvarint(&field.wire, 1);
    wire_put32(&field.wire, from->session_timeout_ms);
    wire_put_uvarint(&field.wire, from->protocol_count + 1);
    for (size_t i = 0; i < from->protocol_count; i++) {
        put_str(&field, from->protocols[i].name);
        put_str(&field, from->protocols[i].metadata);
        put_tags(&field);
    }
    put_tags(&field);
    wire_put_uvarint(&out->wire, 1);
    wire_put_uvarint(&out->wire, TAG_CLASSIC);
    wire_put_uvarint(&out->wire, field.text.len);
    wire_put_bytes(&out->wire, field.text.ptr, field.text.len);
}

void
put_member(struct write *write, struct str member_id,
    const struct consumer_subscription *subscription)
{
    struct out out;
    out_init(&out, write);
    wire_put16(&out.wire, 0);
    put_str(&out, subscription->instance_id);
    put_str(&out, subscription->rack_id);
    put_str(&out, subscription->client_id);
    put_str(&out, subscription->client_host);
    put_names(&out, subscription->topics, subscription->topic_count);
    put_str(&out, subscription->regex);
    wire_put32(&out.wire, subscription->rebalance_timeout_ms);
    put_str(&out, subscription->assignor);
    if (subscription->classic)
        put_classic(&out, write, subscription);
    else
        put_no_classic(&out);
    emit(write, KEY_CONSUMER_MEMBER, member_id, ox_text_str(&out.text));
}

void
put_target_epoch(struct write *write, int32_t epoch, int64_t made_ms)
{
    struct out out;
    out_init(&out, write);
    wire_put16(&out.wire, 0);
    wire_put32(&out.wire, epoch);
    put_tagged64(&out, TAG_ASSIGNMENT_TIME, made_ms);
    emit(write, KEY_CONSUMER_TARGET_EPOCH, OX_STR_NULL, ox_text_str(&out.text));
}

void
put_target(struct write *write, struct str member_id, const struct tpset *target)
{
    struct out out;
    out_init(&out, write);
    wire_put16(&out.wire, 0);
    put_partitions(&out, target, NULL);
    put_tags(&out);
    emit(write, KEY_CONSUMER_TARGET, member_id, ox_text_str(&out.text));
}

/* When the member got each partition: what it has stays as it is. */
static const int32_t *
epochs_of(struct write *write, struct str member_id, const struct tpset *set, int32_t epoch)
{
    const struct group *group = write->group;
    const struct consumer_member *member =
        group->consumer != NULL ? consumer_member_find(group, member_id) : NULL;
    int32_t *epochs = ox_arena_array(&write->arena, int32_t, set->count + 1);
    for (uint32_t i = 0; i < set->count; i++) {
        int32_t since = member != NULL ? consumer_since(member, &set->at[i]) : -1;
        epochs[i] = since >= 0 ? since : epoch;
    }
    return epochs;
}

void
put_current(struct write *write, struct str member_id, int32_t epoch, int32_t previous_epoch,
    enum consumer_state state, const struct tpset *assigned, const struct tpset *revoking)
{
    struct out out;
    out_init(&out, write);
    wire_put16(&out.wire, 0);
    wire_put32(&out.wire, epoch);
    wire_put32(&out.wire, previous_epoch);
    wire_put8(&out.wire, (int8_t)state);
    put_partitions(&out, assigned, epochs_of(write, member_id, assigned, OX_MAX(epoch, 0)));
    put_partitions(&out, revoking, epochs_of(write, member_id, revoking, OX_MAX(epoch, 0)));
    put_tags(&out);
    emit(write, KEY_CONSUMER_CURRENT, member_id, ox_text_str(&out.text));
}

void
put_regex(struct write *write, struct str regex, const struct str *topics, size_t count,
    int64_t version, int64_t time_ms)
{
    struct out out;
    out_init(&out, write);
    wire_put16(&out.wire, 0);
    put_names(&out, topics, count);
    wire_put64(&out.wire, version);
    wire_put64(&out.wire, time_ms);
    put_tags(&out);
    emit(write, KEY_CONSUMER_REGEX, regex, ox_text_str(&out.text));
}

void
put_gone(struct write *write, int16_t key, struct str member_id)
{
    /* The id may belong to what the tombstone frees. */
    emit(write, key, ox_str_dup(&write->arena, member_id), OX_STR_NULL);
}

void
put_group_gone(struct write *write, const struct group *group)
{
    const struct consumer_group *consumer = group->consumer;
    struct map_entry *entry;
    ox_assert(consumer->members.count == 0);
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->regexes, &at)) != NULL;)
        put_gone(write, KEY_CONSUMER_REGEX, entry->key);
    put_gone(write, KEY_CONSUMER_TARGET_EPOCH, OX_STR_NULL);
    put_gone(write, KEY_CONSUMER_EPOCH, OX_STR_NULL);
}

/* ---- reading ---- */

static struct str
get_str(struct wire_in *in, bool nullable)
{
    uint32_t len = wire_get_uvarint(in);
    if (len == 0) {
        if (!nullable)
            in->failed = true;
        return nullable ? OX_STR_NULL : OX_STR("");
    }
    const uint8_t *at = wire_skip(in, len - 1);
    return at == NULL ? OX_STR("") : ox_str_n(at, len - 1);
}

/* A count of elements of at least size bytes. */
static uint32_t
get_count(struct wire_in *in, size_t size)
{
    uint32_t count = wire_get_uvarint(in);
    if (count == 0 || (count - 1) > wire_left(in) / size) {
        in->failed = true;
        return 0;
    }
    return count - 1;
}

static void
get_names(struct wire_in *in, struct arena *arena, struct str **names, size_t *count)
{
    uint32_t n = get_count(in, 1);
    *names = ox_arena_array(arena, struct str, n);
    *count = n;
    for (uint32_t i = 0; i < n; i++)
        (*names)[i] = get_str(in, false);
}

/* Calls tag for each tagged field that it wants to see. */
static void
get_tags(struct wire_in *in, void (*tag)(void *arg, uint32_t number, struct wire_in field),
    void *arg)
{
    uint32_t count = wire_get_uvarint(in);
    while (count-- > 0 && !in->failed) {
        uint32_t number = wire_get_uvarint(in), len = wire_get_uvarint(in);
        const uint8_t *at = wire_skip(in, len);
        if (at != NULL && tag != NULL)
            tag(arg, number, wire_in(at, len));
    }
}

/* Partitions of one topic, as they stand in a record, and the places of their
 * epochs. */
struct epoch_field {
    const struct tpset *set;
    int32_t *epochs;
    const uint8_t *topic, *partitions;
    uint32_t count;
    bool bad;
};

static void
epoch_tags(void *arg, uint32_t number, struct wire_in field)
{
    struct epoch_field *to = arg;
    uint32_t count = number == TAG_EPOCHS ? wire_get_uvarint(&field) : 0;
    if (count == 0)
        return; /* null, or another field */
    to->bad |= count - 1 != to->count;
    for (uint32_t i = 0; i < to->count && !to->bad; i++) {
        struct tp tp = {.partition = (int32_t)wire_load32(to->partitions + 4 * (size_t)i)};
        memcpy(&tp.topic, to->topic, sizeof(tp.topic));
        to->epochs[tpset_find(to->set, &tp)] = wire_get32(&field);
    }
    to->bad |= field.failed;
}

/* The same bytes again, for the epochs; those without are as old as the member's. */
static void
get_epochs(struct wire_in *in, const struct tpset *set, int32_t **epochs, int32_t epoch)
{
    uint32_t topics = get_count(in, sizeof(struct uuid) + 2);
    *epochs = ox_calloc(set->count + 1, sizeof(**epochs));
    for (uint32_t i = 0; i < set->count; i++)
        (*epochs)[i] = OX_MAX(epoch, 0);
    for (uint32_t i = 0; i < topics && !in->failed; i++) {
        struct epoch_field field = {.set = set, .epochs = *epochs};
        field.topic = wire_skip(in, sizeof(struct uuid));
        field.count = get_count(in, 4);
        field.partitions = wire_skip(in, (size_t)field.count * 4);
        if (!in->failed)
            get_tags(in, epoch_tags, &field);
        in->failed |= field.bad;
    }
}

static void
get_partitions(struct wire_in *in, struct tpset *set)
{
    uint32_t topics = get_count(in, sizeof(struct uuid) + 2);
    for (uint32_t i = 0; i < topics && !in->failed; i++) {
        const uint8_t *id = wire_skip(in, sizeof(struct uuid));
        uint32_t count = get_count(in, 4);
        for (uint32_t j = 0; j < count && id != NULL; j++)
            tpset_add(set, (const struct uuid *)(const void *)id, wire_get32(in));
        get_tags(in, NULL, NULL);
    }
    tpset_sort(set);
}

static void
epoch_tag(void *arg, uint32_t number, struct wire_in field)
{
    if (number == TAG_METADATA_HASH)
        ((struct consumer_value *)arg)->metadata_hash = wire_get64(&field);
}

static void
time_tag(void *arg, uint32_t number, struct wire_in field)
{
    if (number == TAG_ASSIGNMENT_TIME)
        ((struct consumer_value *)arg)->time_ms = wire_get64(&field);
}

struct member_tag {
    struct arena *arena;
    struct consumer_subscription *out;
    bool failed;
};

static void
member_tag(void *arg, uint32_t number, struct wire_in field)
{
    struct member_tag *tag = arg;
    struct consumer_subscription *out = tag->out;
    if (number != TAG_CLASSIC || wire_get_uvarint(&field) == 0)
        return;
    out->classic = true;
    out->session_timeout_ms = wire_get32(&field);
    uint32_t count = get_count(&field, 3);
    out->protocols = ox_arena_array(tag->arena, struct member_protocol, count);
    for (uint32_t i = 0; i < count && !field.failed; i++) {
        out->protocols[i].name = get_str(&field, false);
        out->protocols[i].metadata = get_str(&field, false);
        get_tags(&field, NULL, NULL);
    }
    out->protocol_count = count;
    get_tags(&field, NULL, NULL);
    tag->failed |= field.failed || count == 0;
}

static void
read_member(struct wire_in *in, struct arena *arena, struct consumer_subscription *out)
{
    struct member_tag tag = {arena, out, false};
    out->instance_id = get_str(in, true);
    out->rack_id = get_str(in, true);
    out->client_id = get_str(in, false);
    out->client_host = get_str(in, false);
    get_names(in, arena, &out->topics, &out->topic_count);
    out->regex = get_str(in, true);
    out->rebalance_timeout_ms = wire_get32(in);
    out->assignor = get_str(in, true);
    get_tags(in, member_tag, &tag);
    in->failed |= tag.failed;
}

static void
read_current(struct wire_in *in, struct consumer_current *out)
{
    out->epoch = wire_get32(in);
    out->previous_epoch = wire_get32(in);
    out->state = (enum consumer_state)wire_get8(in);
    struct wire_in again = *in;
    get_partitions(in, &out->assigned);
    if (!in->failed)
        get_epochs(&again, &out->assigned, &out->assigned_epochs, out->epoch);
    in->failed |= again.failed;
    again = *in;
    get_partitions(in, &out->revoking);
    if (!in->failed)
        get_epochs(&again, &out->revoking, &out->revoking_epochs, out->epoch);
    in->failed |= again.failed;
    get_tags(in, NULL, NULL);
    if (out->state != CONSUMER_STABLE && out->state != CONSUMER_UNREVOKED &&
        out->state != CONSUMER_UNRELEASED)
        in->failed = true;
}

static bool
read_value(int16_t type, struct str bytes, struct arena *arena, struct consumer_value *out)
{
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    if (wire_get16(&in) != 0)
        return false;
    switch (type) {
    case KEY_CONSUMER_EPOCH:
        out->epoch = wire_get32(&in);
        get_tags(&in, epoch_tag, out);
        break;
    case KEY_CONSUMER_MEMBER:
        read_member(&in, arena, &out->subscription);
        break;
    case KEY_CONSUMER_TARGET_EPOCH:
        out->epoch = wire_get32(&in);
        get_tags(&in, time_tag, out);
        break;
    case KEY_CONSUMER_TARGET:
        get_partitions(&in, &out->current.assigned);
        get_tags(&in, NULL, NULL);
        break;
    case KEY_CONSUMER_CURRENT:
        read_current(&in, &out->current);
        break;
    case KEY_CONSUMER_REGEX:
        get_names(&in, arena, &out->topics, &out->topic_count);
        out->version = wire_get64(&in);
        out->time_ms = wire_get64(&in);
        get_tags(&in, NULL, NULL);
        break;
    default:
        return false;
    }
    return !in.failed;
}

bool
consumer_apply(struct shard *shard, int16_t type, struct str key, struct str bytes)
{
    struct group *group;
    struct arena arena;
    struct consumer_value value = {0};
    struct str group_id;
    bool of_group = type == KEY_CONSUMER_EPOCH || type == KEY_CONSUMER_TARGET_EPOCH ||
                    type == KEY_CONSUMER_TOPICS;
    if (!record_read_ids(key, &group_id, of_group ? NULL : &value.id))
        return false;
    if (bytes.ptr == NULL) {
        record_unset(shard, type, group_id, value.id, consumer_group_unset);
        return true;
    }
    if (type == KEY_CONSUMER_TOPICS)
        return true; /* of an older release; the metadata is asked instead */
    ox_arena_init(&arena);
    bool good = read_value(type, bytes, &arena, &value) &&
                group_get(shard, group_id, &group) == OX_OK && group->members.count == 0 &&
                group->share == NULL && group->streams == NULL;
    if (good)
        consumer_group_set(group, type, &value);
    tpset_fini(&value.current.assigned);
    tpset_fini(&value.current.revoking);
    ox_free(value.current.assigned_epochs);
    ox_free(value.current.revoking_epochs);
    ox_arena_fini(&arena);
    return good;
}
