/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of meta/ share: directories, and the usual commands. */
#ifndef UNIT_META_HELP_H
#define UNIT_META_HELP_H

#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "meta/meta.h"
#include "tap.h"

static struct arena arena __attribute__((unused));
static struct ox_err err __attribute__((unused));

static inline const char *
new_dir(void)
{
    char *dir = ox_arena_strdup(&arena, "/tmp/meta_node_XXXXXX");
    return mkdtemp(dir);
}

static inline void
remove_dir(const char *dir)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    if (system(command) != 0)
        printf("# %s was left\n", dir);
}

static inline struct meta *
start(const char *dir, bool manual)
{
    struct meta *meta = NULL;
    struct meta_config config = {.dir = dir, .node_id = -1, .format = true, .manual = manual};
    if (meta_open(&config, env_os(), &meta, &err) != OX_OK)
        printf("# %s (%s)\n", err.message, err.detail);
    return meta;
}

static inline ox_code
propose(struct meta *meta, struct meta_command *cmd)
{
    struct meta_result result;
    ox_code code = meta_propose_wait(meta, cmd, &result, &err);
    if (code != OX_OK)
        printf("# %s: %s\n", ox_code_facts(code)->name, err.message);
    return code;
}

static inline ox_code
register_broker(struct meta *meta, int32_t id)
{
    struct meta_listener listener = {OX_STR("PLAINTEXT"), OX_STR("localhost"), 9092, 0};
    struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = id,
        .incarnation = {{7}}, .directory_id = {{9}}, .listeners = &listener,
        .listener_count = 1}};
    return propose(meta, &cmd);
}

static inline ox_code
create(struct meta *meta, const char *name, uint32_t partitions, const char *key,
    const char *value)
{
    const struct meta_view *view = meta_view_get(meta);
    struct meta_assignment *assignments;
    struct meta_config_change config = {ox_str(key), ox_str(value), META_CONFIG_SET};
    struct meta_command cmd = {.kind = META_TOPIC_CREATE, .topic_create = {.name = ox_str(name),
        .owner = OX_STR("User:alice"), .partition_count = partitions, .configs = &config,
        .config_count = key != NULL}};
    ox_code code = meta_place(view, 0, partitions, 1, 0, &arena, &assignments, &err);
    meta_view_put(view);
    if (code != OX_OK)
        return code;
    cmd.topic_create.assignments = assignments;
    return propose(meta, &cmd);
}

static inline ox_code
alter(struct meta *meta, int resource, const char *name, const char *key, const char *value,
    int op)
{
    struct meta_config_change change = {ox_str(key), ox_str(value), (int8_t)op};
    struct meta_command cmd = {.kind = META_CONFIG_ALTER, .config_alter = {
        .resource = (int8_t)resource, .name = ox_str(name), .changes = &change,
        .change_count = 1}};
    return propose(meta, &cmd);
}

/* The test's main: arena, tests, plan. */
#define META_TESTS(...) \
    int \
    main(void) \
    { \
        ox_arena_init(&arena); \
        __VA_ARGS__; \
        ox_arena_fini(&arena); \
        return done(); \
    }

#endif
