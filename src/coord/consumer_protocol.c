/* SPDX-License-Identifier: Apache-2.0
 *
 * The blobs that consumers of protocol type "consumer" exchange through the
 * coordinator. It needs them for little: which topics a group subscribes to,
 * and, to show people, who was assigned what. All versions begin alike:
 *
 *   subscription  version i16, topics[] s, user_data ?B,
 *                 v1+ owned[ topic s, partitions[] i32 ], v2+ generation i32,
 *                 v3+ rack ?s
 *   assignment    version i16, topics[ topic s, partitions[] i32 ], user_data ?B */
#include "base/wire.h"
#include "coord/consumer_int.h"

static struct str
get_str(struct wire_in *in)
{
    int16_t len = wire_get16(in);
    if (len < 0) {
        in->failed = true;
        return OX_STR("");
    }
    const uint8_t *ptr = wire_skip(in, (size_t)len);
    return ptr == NULL ? OX_STR("") : ox_str_n(ptr, (size_t)len);
}

/* A count of elements of at least size bytes each. */
static int32_t
get_count(struct wire_in *in, size_t size)
{
    int32_t count = wire_get32(in);
    if (count < 0 || (size_t)count > wire_left(in) / size) {
        in->failed = true;
        return 0;
    }
    return count;
}

bool
consumer_subscription_topics(struct str blob, void (*add)(void *arg, struct str topic), void *arg)
{
    struct wire_in in = wire_in(blob.ptr, blob.len);
    if (wire_get16(&in) < 0)
        return false;
    int32_t count = get_count(&in, 2);
    for (int32_t i = 0; i < count && !in.failed; i++) {
        struct str topic = get_str(&in);
        if (!in.failed)
            add(arg, topic);
    }
    return !in.failed;
}

bool
consumer_assignment_read(struct str blob, struct arena *arena, struct coord_offset_topic **topics,
    size_t *topic_count)
{
    struct wire_in in = wire_in(blob.ptr, blob.len);
    *topics = NULL;
    *topic_count = 0;
    if (blob.len == 0)
        return true;
    if (wire_get16(&in) < 0)
        return false;
    int32_t count = get_count(&in, 6);
    struct coord_offset_topic *list = ox_arena_array(arena, struct coord_offset_topic,
        (size_t)count);
    for (int32_t i = 0; i < count && !in.failed; i++) {
        list[i].name = ox_str_dup(arena, get_str(&in));
        int32_t partitions = get_count(&in, 4);
        list[i].partitions = ox_arena_array(arena, struct coord_offset, (size_t)partitions);
        list[i].partition_count = (size_t)partitions;
        for (int32_t j = 0; j < partitions; j++)
            list[i].partitions[j] = (struct coord_offset){.partition = wire_get32(&in),
                .leader_epoch = -1, .offset = -1, .commit_ms = -1, .metadata = OX_STR("")};
    }
    if (in.failed)
        return false;
    *topics = list;
    *topic_count = (size_t)count;
    return true;
}

static void
get_named(struct wire_in *in, struct arena *arena, struct consumer_blob *out)
{
    size_t cap = 0;
    int32_t topics = get_count(in, 6);
    for (int32_t i = 0; i < topics && !in->failed; i++) {
        struct str topic = get_str(in);
        int32_t count = get_count(in, 4);
        if (in->failed)
            return;
        ox_arena_grow(arena, (void **)&out->owned, &cap, out->owned_count + (size_t)count,
            sizeof(*out->owned));
        for (int32_t j = 0; j < count; j++)
            out->owned[out->owned_count++] = (struct named_tp){topic, wire_get32(in)};
    }
}

static void
skip_user_data(struct wire_in *in)
{
    int32_t len = wire_get32(in);
    if (len > 0)
        wire_skip(in, (size_t)len);
    else if (len < -1)
        in->failed = true;
}

bool
consumer_subscription_read(struct str blob, struct arena *arena, struct consumer_blob *out)
{
    struct wire_in in = wire_in(blob.ptr, blob.len);
    *out = (struct consumer_blob){.version = wire_get16(&in)};
    int32_t count = get_count(&in, 2);
    if (in.failed || out->version < 0)
        return false;
    out->topics = ox_arena_array(arena, struct str, (size_t)count);
    for (int32_t i = 0; i < count; i++)
        out->topics[out->topic_count++] = get_str(&in);
    skip_user_data(&in);
    if (out->version >= 1)
        get_named(&in, arena, out);
    if (out->version >= 2)
        wire_get32(&in); /* generation */
    if (out->version >= 3) {
        int16_t len = wire_get16(&in);
        const uint8_t *rack = len < 0 ? NULL : wire_skip(&in, (size_t)len);
        out->rack_id = rack == NULL ? OX_STR_NULL : ox_str_n(rack, (size_t)len);
    }
    return !in.failed;
}

bool
consumer_assigned_read(struct str blob, struct arena *arena, struct consumer_blob *out)
{
    struct wire_in in = wire_in(blob.ptr, blob.len);
    *out = (struct consumer_blob){0};
    if (blob.len == 0)
        return true;
    out->version = wire_get16(&in);
    if (out->version < 0)
        return false;
    get_named(&in, arena, out);
    if (wire_left(&in) > 0)
        out->user_data = (int32_t)wire_get32(&in) > 0;
    return !in.failed;
}

static size_t
run_of_topic(const struct named_tp *partitions, size_t count, size_t at)
{
    size_t end = at;
    while (end < count && ox_str_eq(partitions[end].topic, partitions[at].topic))
        end++;
    return end;
}

struct str
consumer_assignment_write(struct arena *arena, int16_t version, const struct named_tp *partitions,
    size_t count)
{
    struct text text;
    ox_text_init(&text, arena);
    struct wire_out out = wire_out(&text);
    int32_t topics = 0;
    for (size_t at = 0; at < count; at = run_of_topic(partitions, count, at))
        topics++;
    wire_put16(&out, OX_MIN(version, 3));
    wire_put32(&out, topics);
    for (size_t at = 0; at < count;) {
        size_t end = run_of_topic(partitions, count, at);
        struct str topic = partitions[at].topic;
        wire_put16(&out, (int16_t)topic.len);
        wire_put_bytes(&out, topic.ptr, topic.len);
        wire_put32(&out, (int32_t)(end - at));
        for (; at < end; at++)
            wire_put32(&out, partitions[at].partition);
    }
    wire_put32(&out, -1); /* no user data */
    return ox_text_str(&text);
}
