/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/meta_int.h"

#include "tap.h"

static struct arena arena;
static struct ox_err err;

static const int32_t some_ids[] = {1, 2, 3};
static const struct meta_assignment some_assignments[] = {{some_ids, 3}, {some_ids + 1, 2}};

/* One of each kind, with every field set. */
static size_t
all_commands(struct meta_command *out)
{
    static struct meta_config_change changes[] = {
        {{"retention.ms", 12}, {"1000", 4}, META_CONFIG_SET},
        {{"cleanup.policy", 14}, {NULL, 0}, META_CONFIG_DELETE}};
    static struct meta_listener listeners[] = {{{"A", 1}, {"a.example", 9}, 9092, 0},
        {{"B", 1}, {"::1", 3}, 65535, 3}};
    static struct meta_partition_change parts[] = {
        {.index = 0, .expect_partition_epoch = -1, .leader = -2, .recovery = -1},
        {.index = 7, .expect_partition_epoch = 3, .leader = 2, .recovery = 1, .isr = some_ids,
            .isr_count = 2, .replicas = some_ids, .replica_count = 3}};
    size_t n = 0;
    out[n++] = (struct meta_command){.kind = META_TOPIC_CREATE, .topic_create = {
        .name = OX_STR("orders"), .id = {{7}}, .owner = OX_STR("User:a"),
        .comment = OX_STR(""), .assignments = some_assignments, .partition_count = 2,
        .configs = changes, .config_count = 2}};
    out[n++] = (struct meta_command){.kind = META_TOPIC_DELETE, .topic_delete = {OX_STR_NULL,
        {{9}}}};
    out[n++] = (struct meta_command){.kind = META_PARTITIONS_CREATE, .partitions_create = {
        OX_STR("orders"), 5, some_assignments, 2}};
    out[n++] = (struct meta_command){.kind = META_CONFIG_ALTER, .config_alter = {
        META_RESOURCE_GROUP, OX_STR("g"), true, changes, 2}};
    out[n++] = (struct meta_command){.kind = META_COMMENT, .comment = {OX_STR("t"),
        OX_STR_NULL}};
    out[n++] = (struct meta_command){.kind = META_BROKER_REGISTER, .broker_register = {
        .node_id = 4, .incarnation = {{1}}, .directory_id = {{2}}, .rack = OX_STR("r"),
        .listeners = listeners, .listener_count = 2, .fenced = true}};
    out[n++] = (struct meta_command){.kind = META_BROKER_CHANGE, .broker_change = {4, 99, 1, -1}};
    out[n++] = (struct meta_command){.kind = META_PARTITION_CHANGE, .partition_change = {{{5}},
        parts, 2}};
    out[n++] = (struct meta_command){.kind = META_PRODUCER_IDS, .producer_ids = {1, 1000}};
    out[n++] = (struct meta_command){.kind = META_CLUSTER_INIT, .cluster_init = {OX_STR("c"),
        {{3}}}};
    out[n++] = (struct meta_command){.kind = META_TAKEN_OVER, .taken_over = {{{6}}, some_ids, 3,
        5000}};
    static const int64_t starts[] = {7, -1, INT64_MAX};
    static const struct meta_cut cuts[] = {{{{5}}, starts, 3}, {{{6}}, starts, 1}};
    out[n++] = (struct meta_command){.kind = META_TRUNCATE, .truncate = {cuts, 2}};
    return n;
}

static void
check_one(struct meta_command *cmd)
{
    struct text first, second;
    struct meta_command again;
    char sentence[96];
    ox_text_init(&first, &arena);
    ox_text_init(&second, &arena);
    cmd->time_ms = 1234567890123;
    bool good = meta_command_encode(cmd, &first, &err) == OX_OK && first.len % 8 == 0 &&
        meta_command_decode(first.ptr, first.len, &arena, &again, &err) == OX_OK &&
        again.kind == cmd->kind && again.time_ms == cmd->time_ms &&
        meta_command_encode(&again, &second, &err) == OX_OK &&
        ox_str_eq(ox_text_str(&first), ox_text_str(&second));
    snprintf(sentence, sizeof(sentence), "kind %d comes back as it was", (int)cmd->kind);
    ok(good, sentence);
    bool refused = true;
    for (size_t len = 0; len + 8 <= first.len; len++) {
        char *cut = ox_malloc(len); /* so that a sanitizer sees reads past the end */
        memcpy(cut, first.ptr, len);
        refused &= meta_command_decode(cut, len, &arena, &again, &err) == OX_DATA_CORRUPTED;
        ox_free(cut);
    }
    snprintf(sentence, sizeof(sentence), "kind %d cut anywhere is refused", (int)cmd->kind);
    ok(refused, sentence);
}

static void
check_lies(void)
{
    struct meta_command cmd = {.kind = META_TOPIC_CREATE, .topic_create = {.name = OX_STR("t"),
        .assignments = some_assignments, .partition_count = 2}};
    struct meta_command again;
    struct text text;
    ox_text_init(&text, &arena);
    meta_command_encode(&cmd, &text, &err);
    size_t count_at = 32 + 4 + 1 + 16 + 4 + 4;
    is_int(wire_load32(text.ptr + count_at), 2, "the count of partitions is where it should be");
    wire_store32(text.ptr + count_at, 0x7fffffff);
    is_int(meta_command_decode(text.ptr, text.len, &arena, &again, &err), OX_DATA_CORRUPTED,
        "a count past the bytes that are left is refused");
    wire_store32(text.ptr + count_at, 0xffffffff);
    is_int(meta_command_decode(text.ptr, text.len, &arena, &again, &err), OX_DATA_CORRUPTED,
        "a negative one, too");
    wire_store32(text.ptr + count_at, 2);
    is_int(meta_command_decode(text.ptr, text.len, &arena, &again, &err), OX_OK,
        "the true one is not");
    text.ptr[0] = 'X';
    is_int(meta_command_decode(text.ptr, text.len, &arena, &again, &err), OX_DATA_CORRUPTED,
        "another first byte is refused");
    text.ptr[0] = 'M';
    text.ptr[1] = 2;
    is_int(meta_command_decode(text.ptr, text.len, &arena, &again, &err), OX_DATA_CORRUPTED,
        "another version is refused");
}

int
main(void)
{
    struct meta_command cmds[16];
    ox_arena_init(&arena);
    size_t count = all_commands(cmds);
    is_int(count, META_TRUNCATE - 1, "every kind but META_SECURITY is tried");
    for (size_t i = 0; i < count; i++)
        check_one(&cmds[i]);
    check_lies();
    ox_arena_fini(&arena);
    return done();
}
