/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes what comes out of a raft entry: decode, check against a state, and
 * encode again: the bytes of a command that decodes are the only ones it has. */
#include "meta/meta_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Two brokers, a topic, a group with a setting. */
static struct image *
some_state(void)
{
    static struct image image;
    struct meta_partition part = {.leader = 1, .replica_count = 1, .isr_count = 1,
        .replicas = (const int32_t[]){1}, .isr = (const int32_t[]){1},
        .directories = (const struct uuid[]){{{1}}}};
    const struct meta_partition *parts[] = {NULL};
    struct meta_config_item item = {param_find(PARAM_SCOPE_TOPIC, OX_STR("cleanup.policy")),
        OX_STR("cleanup.policy"), OX_STR("compact")};
    if (image.view.slots != NULL)
        return &image;
    meta_image_init(&image, meta_settings_statics_new(NULL, 0), 1);
    meta_image_broker_put(&image, &(struct meta_broker){.node_id = 1});
    meta_image_broker_put(&image, &(struct meta_broker){.node_id = 2});
    parts[0] = meta_image_partition_new(&part);
    meta_image_topic_add(&image, &(struct image_topic){.name = OX_STR("orders"), .id = {{7}},
        .oid = 16384, .partition_count = 1, .partitions = parts,
        .own = meta_image_config_new(META_RESOURCE_TOPIC, OX_STR("orders"), &item, 1)});
    return &image;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena;
    struct meta_command cmd;
    struct text text;
    struct ox_err err;
    ox_arena_init(&arena);
    if (meta_command_decode(data, len, &arena, &cmd, &err) == OX_OK) {
        meta_validate_command(&some_state()->view, &cmd, &arena, &err);
        ox_text_init(&text, NULL);
        ox_code code = meta_command_encode(&cmd, &text, &err);
        ox_assert(code == OX_OK);
        struct meta_command again;
        code = meta_command_decode(text.ptr, text.len, &arena, &again, &err);
        ox_assert(code == OX_OK);
        ox_assert(again.kind == cmd.kind);
        ox_text_fini(&text);
    }
    ox_arena_fini(&arena);
    return 0;
}
