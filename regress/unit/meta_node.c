/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/meta.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static struct arena arena;
static struct ox_err err;

static const char *
new_dir(void)
{
    char *dir = ox_arena_strdup(&arena, "/tmp/meta_node_XXXXXX");
    return mkdtemp(dir);
}

static void
remove_dir(const char *dir)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    if (system(command) != 0)
        printf("# %s was left\n", dir);
}

static struct meta *
start(const char *dir, bool manual)
{
    struct meta *meta = NULL;
    struct meta_config config = {.dir = dir, .node_id = -1, .format = true, .manual = manual};
    if (meta_open(&config, env_os(), &meta, &err) != OX_OK)
        printf("# %s (%s)\n", err.message, err.detail);
    return meta;
}

static ox_code
propose(struct meta *meta, struct meta_command *cmd)
{
    struct meta_result result;
    ox_code code = meta_propose_wait(meta, cmd, &result, &err);
    if (code != OX_OK)
        printf("# %s: %s\n", ox_code_facts(code)->name, err.message);
    return code;
}

static ox_code
register_broker(struct meta *meta, int32_t id)
{
    struct meta_listener listener = {OX_STR("PLAINTEXT"), OX_STR("localhost"), 9092, 0};
    struct meta_command cmd = {.kind = META_BROKER_REGISTER, .broker_register = {.node_id = id,
        .incarnation = {{7}}, .directory_id = {{9}}, .listeners = &listener,
        .listener_count = 1}};
    return propose(meta, &cmd);
}

static ox_code
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

static ox_code
alter(struct meta *meta, int resource, const char *name, const char *key, const char *value,
    int op)
{
    struct meta_config_change change = {ox_str(key), ox_str(value), (int8_t)op};
    struct meta_command cmd = {.kind = META_CONFIG_ALTER, .config_alter = {
        .resource = (int8_t)resource, .name = ox_str(name), .changes = &change,
        .change_count = 1}};
    return propose(meta, &cmd);
}

static void
check_state(struct meta *meta)
{
    const struct meta_view *view = meta_view_get(meta);
    const struct meta_topic *orders = meta_view_topic(view, OX_STR("orders"));
    ok(orders != NULL, "the topic is found by name");
    if (orders == NULL) {
        meta_view_put(view);
        return;
    }
    ok(meta_view_topic_by_id(view, &orders->id) == orders, "and by id");
    is_int(orders->partition_count, 5, "it has its partitions");
    is_int(orders->partitions[4]->leader, 1, "with their leader");
    is_int(orders->partitions[4]->isr_count, 1, "and ISR");
    is_int(orders->config->retention_ms, 1000, "its own setting is in force");
    is_str(orders->owner.ptr, "User:alice", "it has its owner");
    is_str(orders->comment.ptr, "hello", "and its comment");
    ok(meta_view_topic(view, OX_STR("gone")) == NULL, "a deleted topic is gone");
    is_int(view->topic_count, 2, "two topics");
    is_str(meta_view_topic_at(view, 0)->name.ptr, "audit", "in the order of names");
    is_str(meta_view_topic_at(view, 1)->name.ptr, "orders", "all of them");
    is_int(view->partition_count, 6, "partitions are counted");
    is_int(view->settings->num_partitions, 7, "ALTER SYSTEM is in force");
    is_int(meta_view_topic_at(view, 0)->config->segment_bytes, 2097152,
        "and gives topics their defaults");
    const struct meta_broker *broker = meta_view_broker(view, 1);
    is_str(broker->listeners[0].host.ptr, "localhost", "the broker has its listener");
    is_int(view->producer_id_next, 1000, "producer ids went on");
    meta_view_put(view);
}

static void
test_commands(void)
{
    const char *dir = new_dir();
    struct meta *meta = start(dir, false);
    ok(meta != NULL, "a new directory is initialised");
    is_int(register_broker(meta, 1), OX_OK, "a broker registers");
    is_int(create(meta, "orders", 3, "retention.ms", "1000"), OX_OK, "a topic is created");
    is_int(create(meta, "audit", 1, NULL, NULL), OX_OK, "another");
    is_int(create(meta, "gone", 1, NULL, NULL), OX_OK, "a third");
    is_int(create(meta, "orders", 3, NULL, NULL), OX_TOPIC_EXISTS, "a name is taken once");
    is_int(create(meta, "a b", 1, NULL, NULL), OX_INVALID_TOPIC, "names have their letters");
    is_int(create(meta, "x.y", 1, NULL, NULL), OX_OK, "a name with a dot");
    is_int(create(meta, "x_y", 1, NULL, NULL), OX_INVALID_TOPIC, "collides with an underscore");
    is_int(create(meta, "bad", 1, "retention.ms", "soon"), OX_INVALID_CONFIG, "values are checked");
    is_int(create(meta, "bad", 1, "colour", "blue"), OX_INVALID_CONFIG, "settings must exist");
    struct meta_command cmd = {.kind = META_TOPIC_DELETE, .topic_delete = {.name = OX_STR("x.y")}};
    is_int(propose(meta, &cmd), OX_OK, "a topic is deleted");
    is_int(propose(meta, &cmd), OX_UNKNOWN_TOPIC_OR_PARTITION, "once");
    cmd.topic_delete.name = OX_STR("gone");
    is_int(propose(meta, &cmd), OX_OK, "another is deleted");
    const struct meta_view *view = meta_view_get(meta);
    struct meta_assignment *assignments;
    meta_place(view, 3, 2, 1, 0, &arena, &assignments, NULL);
    cmd = (struct meta_command){.kind = META_PARTITIONS_CREATE, .partitions_create = {
        .name = OX_STR("orders"), .count = 5, .assignments = assignments, .assignment_count = 2}};
    is_int(propose(meta, &cmd), OX_OK, "partitions are added");
    is_int(propose(meta, &cmd), OX_INVALID_PARTITIONS, "not twice");
    is_int(meta_view_topic(view, OX_STR("orders"))->partition_count, 3,
        "a view that is held does not change");
    meta_view_put(view);
    cmd = (struct meta_command){.kind = META_COMMENT, .comment = {OX_STR("orders"),
        OX_STR("hello")}};
    is_int(propose(meta, &cmd), OX_OK, "a comment");
    is_int(alter(meta, META_RESOURCE_BROKER, "", "num.partitions", "7", META_CONFIG_SET), OX_OK,
        "a server setting");
    is_int(alter(meta, META_RESOURCE_BROKER, "", "log.segment.bytes", "2097152", META_CONFIG_SET),
        OX_OK, "another");
    is_int(alter(meta, META_RESOURCE_BROKER, "", "node.id", "7", META_CONFIG_SET),
        OX_CANT_CHANGE_RUNTIME_PARAM, "some need a restart");
    is_int(alter(meta, META_RESOURCE_TOPIC, "audit", "cleanup.policy", "compact",
        META_CONFIG_APPEND), OX_OK, "an item is added to a list");
    view = meta_view_get(meta);
    is_int(meta_view_topic(view, OX_STR("audit"))->config->cleanup_policy, 3, "to the default");
    meta_view_put(view);
    is_int(alter(meta, META_RESOURCE_TOPIC, "audit", "retention.ms", "1", META_CONFIG_APPEND),
        OX_INVALID_CONFIG, "a number is no list");
    is_int(alter(meta, META_RESOURCE_TOPIC, "audit", "cleanup.policy", NULL, META_CONFIG_DELETE),
        OX_OK, "a setting is taken back");
    cmd = (struct meta_command){.kind = META_PRODUCER_IDS, .producer_ids = {1, 1000}};
    is_int(propose(meta, &cmd), OX_OK, "a block of producer ids");
    check_state(meta);
    meta_close(meta);
    meta = start(dir, false);
    ok(meta != NULL, "starts again");
    check_state(meta);
    meta_close(meta);
    char path[256];
    snprintf(path, sizeof(path), "%s/catalog.db", dir);
    unlink(path);
    meta = start(dir, false);
    ok(meta != NULL, "starts without its catalog");
    check_state(meta);
    is_int(create(meta, "after", 1, NULL, NULL), OX_OK, "and goes on");
    view = meta_view_get(meta);
    meta_close(meta);
    ok(meta_view_topic(view, OX_STR("after")) != NULL, "a view outlives its owner");
    meta_view_put(view);
    remove_dir(dir);
}

int
main(void)
{
    ox_arena_init(&arena);
    test_commands();
    ox_arena_fini(&arena);
    return done();
}
