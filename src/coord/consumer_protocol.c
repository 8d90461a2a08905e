/* SPDX-License-Identifier: Apache-2.0
 *
 * The blobs that consumers of protocol type "consumer" exchange through the
 * coordinator. It needs them for little: which topics a group subscribes to,
 * and, to show people, who was assigned what. All versions begin alike:
 *
 *   subscription  version i16, topics[] s, ...
 *   assignment    version i16, topics[ topic s, partitions[] i32 ], ... */
#include "base/wire.h"
#include "coord/coord_int.h"

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
