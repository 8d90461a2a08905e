/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __consumer_offsets: the exact bytes that are written, all versions
 * that are read, and what is refused. */
#include "coord_sim.h"
#include "tap.h"

static struct arena arena;

static bool
bytes_are(struct str got, const void *want, size_t len)
{
    if (got.len == len && memcmp(got.ptr, want, len) == 0)
        return true;
    printf("# got");
    for (size_t i = 0; i < got.len; i++)
        printf(" %02x", (uint8_t)got.ptr[i]);
    printf("\n");
    return false;
}
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define STR(...) ox_str_n((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void
test_offset(void)
{
    struct record_key key;
    struct committed value;
    struct str bytes = record_offset_key(&arena, OX_STR("gr"), OX_STR("t"), 258);
    ok(bytes_are(bytes, BYTES(0, 1, 0, 2, 'g', 'r', 0, 1, 't', 0, 0, 1, 2)), "offset key");
    record_read_key(bytes, &key);
    ok(key.type == RECORD_OFFSET && ox_str_is(key.group_id, "gr") && ox_str_is(key.topic, "t") &&
           key.partition == 258,
        "is read back");
    bytes = record_offset_value(&arena, 0x0102030405060708, 9, OX_STR("md"), 0x1112131415161718,
        -1);
    ok(bytes_are(bytes, BYTES(0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 2, 'm', 'd', 0x11, 0x12,
                            0x13, 0x14, 0x15, 0x16, 0x17, 0x18)),
        "offset value, version 3");
    ok(record_read_offset(bytes, &value) && value.offset == 0x0102030405060708 &&
           value.leader_epoch == 9 && ox_str_is(value.metadata, "md") &&
           value.commit_ms == 0x1112131415161718 && value.expire_ms == -1,
        "is read back");
    bytes = record_offset_value(&arena, 7, 9, OX_STR_NULL, 1, 2);
    ok(bytes_are(bytes, BYTES(0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
                            0, 0, 0, 0, 2)),
        "offset value, version 1 for an expire time");
    ok(record_read_offset(bytes, &value) && value.expire_ms == 2 && value.leader_epoch == -1,
        "is read back");
    ok(record_read_offset(STR(0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 'x', 0, 0, 0, 0, 0, 0, 0, 5),
           &value) &&
           value.offset == 7 && value.commit_ms == 5,
        "version 0 is read");
    ok(record_read_offset(STR(0, 2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 'x', 0, 0, 0, 0, 0, 0, 0, 5),
           &value) &&
           ox_str_is(value.metadata, "x") && value.expire_ms == -1,
        "version 2 is read");
    ok(record_read_offset(STR(0, 4, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3, 2, 'x', 0, 0, 0, 0, 0, 0, 0,
                              5, 1, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
           &value) &&
           value.leader_epoch == 3 && value.commit_ms == 5 && ox_str_is(value.metadata, "x"),
        "version 4, flexible with a topic id, is read");
    ok(!record_read_offset(STR(0, 5, 0, 0), &value), "version 5 is not known");
    ok(!record_read_offset(STR(0xFF, 0xFF), &value), "version -1 neither");
    bytes = record_offset_value(&arena, 1, 1, OX_STR("m"), 1, -1);
    for (size_t len = 0; len < bytes.len; len++)
        ok(!record_read_offset(ox_str_n(bytes.ptr, len), &value), "cut short: refused");
}

static void
test_group(void)
{
    struct record_key key;
    struct record_member member = {OX_STR("m"), OX_STR_NULL, OX_STR("c"), OX_STR("/h"), OX_STR("s"),
        OX_STR("as"), 60000, 10000};
    struct record_group group = {OX_STR("consumer"), OX_STR("range"), OX_STR("m"), 4, 5, 1,
        &member};
    struct record_group read;
    struct str bytes = record_group_key(&arena, OX_STR("g"));
    ok(bytes_are(bytes, BYTES(0, 2, 0, 1, 'g')), "group key");
    record_read_key(bytes, &key);
    ok(key.type == RECORD_GROUP && ox_str_is(key.group_id, "g"), "is read back");
    bytes = record_group_value(&arena, &group);
    ok(bytes_are(bytes,
           BYTES(0, 3, 0, 8, 'c', 'o', 'n', 's', 'u', 'm', 'e', 'r', 0, 0, 0, 4, 0, 5, 'r', 'a',
               'n', 'g', 'e', 0, 1, 'm', 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 1, 'm', 0xFF, 0xFF,
               0, 1, 'c', 0, 2, '/', 'h', 0, 0, 0xEA, 0x60, 0, 0, 0x27, 0x10, 0, 0, 0, 1, 's', 0, 0,
               0, 2, 'a', 's')),
        "group value, version 3");
    ok(record_read_group(bytes, &arena, &read) && read.generation == 4 && read.member_count == 1 &&
           ox_str_is(read.members[0].assignment, "as") && read.members[0].instance_id.ptr == NULL &&
           read.members[0].rebalance_timeout_ms == 60000 && read.state_since_ms == 5,
        "is read back");
    for (size_t len = 0; len < bytes.len; len++)
        ok(!record_read_group(ox_str_n(bytes.ptr, len), &arena, &read), "cut short: refused");
    struct record_group empty = {OX_STR("consumer"), OX_STR_NULL, OX_STR_NULL, 5, 6, 0, NULL};
    ok(bytes_are(record_group_value(&arena, &empty),
           BYTES(0, 3, 0, 8, 'c', 'o', 'n', 's', 'u', 'm', 'e', 'r', 0, 0, 0, 5, 0xFF, 0xFF, 0xFF,
               0xFF, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0)),
        "an empty group");
    ok(record_read_group(STR(0, 0, 0, 1, 'c', 0, 0, 0, 1, 0, 1, 'r', 0, 1, 'm', 0, 0, 0, 1, 0, 1,
                             'm', 0, 1, 'c', 0, 1, 'h', 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0),
           &arena, &read) &&
           read.members[0].session_timeout_ms == 9 && read.members[0].rebalance_timeout_ms == 9 &&
           read.state_since_ms == -1,
        "version 0: the rebalance timeout is the session's");
    ok(record_read_group(STR(0, 1, 0, 1, 'c', 0, 0, 0, 1, 0, 1, 'r', 0, 1, 'm', 0, 0, 0, 1, 0, 1,
                             'm', 0, 1, 'c', 0, 1, 'h', 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0,
                             0),
           &arena, &read) &&
           read.members[0].rebalance_timeout_ms == 8,
        "version 1 has its own");
    ok(record_read_group(STR(0, 2, 0, 1, 'c', 0, 0, 0, 1, 0, 1, 'r', 0, 1, 'm', 0, 0, 0, 0, 0, 0, 0,
                             7, 0, 0, 0, 0),
           &arena, &read) &&
           read.state_since_ms == 7,
        "version 2 has the state's time");
    ok(record_read_group(STR(0, 4, 2, 'c', 0, 0, 0, 1, 2, 'r', 2, 'm', 0, 0, 0, 0, 0, 0, 0, 7, 2, 2,
                             'm', 2, 'i', 2, 'c', 2, 'h', 0, 0, 0, 8, 0, 0, 0, 9, 2, 's', 2, 'a', 0,
                             0),
           &arena, &read) &&
           ox_str_is(read.members[0].instance_id, "i") &&
           ox_str_is(read.members[0].assignment, "a"),
        "version 4, flexible, is read");
    ok(!record_read_group(STR(0, 3, 0, 1, 'c', 0, 0, 0, 1, 0, 1, 'r', 0, 1, 'm', 0, 0, 0, 0, 0, 0,
                              0, 7, 0x7F, 0xFF, 0xFF, 0xFF),
           &arena, &read),
        "a count that the bytes cannot hold allocates nothing");
}

static void
test_keys(void)
{
    static const struct {
        uint8_t bytes[6];
        size_t len;
        enum record_type type;
        const char *what;
    } rows[] = {
        {{0}, 0, RECORD_BAD, "no key"},
        {{0}, 1, RECORD_BAD, "half a version"},
        {{0, 0, 0, 1, 'g'}, 5, RECORD_BAD, "an offset without topic"},
        {{0, 2, 0, 9, 'g'}, 5, RECORD_BAD, "a group id that is cut off"},
        {{0, 2, 0xFF, 0xFF}, 4, RECORD_BAD, "a null group id"},
        {{0, 3, 0, 1, 'g'}, 5, RECORD_CONSUMER, "a consumer group epoch"},
        {{0, 16, 0, 1, 'g'}, 5, RECORD_CONSUMER, "a regular expression"},
        {{0x7F, 0xFF}, 2, RECORD_OTHER, "something of the future"},
        {{0xFF, 0xFF}, 2, RECORD_OTHER, "something odd"},
    };
    for (size_t i = 0; i < ox_count(rows); i++) {
        struct record_key key;
        record_read_key(ox_str_n(rows[i].bytes, rows[i].len), &key);
        is_int(key.type, rows[i].type, rows[i].what);
    }
}

static void
count_topic(void *arg, struct str topic)
{
    ++*(int *)arg;
}

static void
test_consumer_protocol(void)
{
    struct coord_offset_topic *topics;
    size_t count;
    int seen = 0;
    ok(consumer_subscription_topics(STR(0, 0, 0, 0, 0, 2, 0, 1, 'a', 0, 1, 'b', 0xFF, 0xFF, 0xFF,
                                        0xFF),
           count_topic, &seen) &&
           seen == 2,
        "subscription, version 0");
    ok(consumer_subscription_topics(STR(0, 9, 0, 0, 0, 1, 0, 1, 'a', 1, 2, 3), count_topic, &seen),
        "a later version begins alike");
    ok(!consumer_subscription_topics(STR(0xFF, 0xFF, 0, 0, 0, 0), count_topic, &seen),
        "a negative version");
    ok(!consumer_subscription_topics(STR(0, 0, 0x7F, 0, 0, 0), count_topic, &seen),
        "a count that lies");
    ok(!consumer_subscription_topics(OX_STR(""), count_topic, &seen), "nothing at all");
    ok(consumer_assignment_read(
           STR(0, 0, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0), &arena,
           &topics, &count) &&
           count == 1 && topics[0].partitions[0].partition == 4,
        "assignment");
    ok(consumer_assignment_read(OX_STR(""), &arena, &topics, &count) && count == 0,
        "an empty assignment");
    ok(!consumer_assignment_read(STR(0, 0, 0, 0, 0, 1, 0, 1, 'a', 0x7F, 0, 0, 1), &arena, &topics,
           &count) &&
           count == 0,
        "an assignment that lies");
}

int
main(void)
{
    ox_arena_init(&arena);
    test_offset();
    test_group();
    test_keys();
    test_consumer_protocol();
    ox_arena_fini(&arena);
    return done();
}
