/* SPDX-License-Identifier: Apache-2.0 */
#include "meta_help.h"

#include <sqlite3.h>

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

static void
put_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static ox_code
try_open(const char *dir, int32_t node_id, const char *cluster_id, bool format)
{
    struct meta *meta = NULL;
    struct meta_config config = {.dir = dir, .node_id = node_id, .cluster_id = cluster_id,
        .format = format};
    memset(&err, 0, sizeof(err));
    ox_code code = meta_open(&config, env_os(), &meta, &err);
    if (code != OX_OK)
        printf("# %s: %s\n", ox_code_facts(code)->name, err.message);
    meta_close(meta);
    return code;
}

static void
shell(const char *fmt, const char *a, const char *b)
{
    char command[512];
    snprintf(command, sizeof(command), fmt, a, b);
    if (system(command) != 0)
        printf("# failed: %s\n", command);
}

static void
test_identity(void)
{
    const char *dir = new_dir(), *other = new_dir(), *saved = new_dir();
    is_int(try_open(dir, 5, NULL, false), OX_FILE_NOT_FOUND, "a new directory needs format");
    is_int(try_open(dir, 5, "here", true), OX_OK, "format");
    is_int(try_open(dir, -1, NULL, false), OX_OK, "starts as whoever it is");
    struct meta *first = start(dir, false);
    is_int(try_open(dir, -1, NULL, false), OX_LOCK_HELD, "one server a directory");
    meta_close(first);
    is_int(try_open(dir, 5, "here", false), OX_OK, "or as asked");
    is_int(try_open(dir, 6, NULL, true), OX_IDENTITY_MISMATCH, "another node is refused");
    is_int(try_open(dir, 5, "there", true), OX_IDENTITY_MISMATCH, "another cluster is refused");
    is_int(try_open(other, 5, "here", true), OX_OK, "a second directory");
    shell("cp %s/raft.db %s/", other, dir);
    is_int(try_open(dir, 5, NULL, true), OX_IDENTITY_MISMATCH,
        "raft.db of another directory is refused");
    shell("rm %s/raft.db*%s", dir, "");
    is_int(try_open(dir, 5, NULL, true), OX_DATA_CORRUPTED,
        "without its log no new cluster is begun");
    shell("rm %s/meta.properties%s", dir, "");
    is_int(try_open(dir, 5, NULL, true), OX_DATA_CORRUPTED, "nor beside a catalog");
    shell("rm %s/catalog.db*; mkdir %s/orders-0", dir, dir);
    is_int(try_open(dir, 5, NULL, true), OX_DATA_CORRUPTED, "nor beside partitions");
    shell("rm %s/meta.properties%s", other, "");
    is_int(try_open(other, 5, "here", false), OX_OK, "a format that was cut off is finished");
    struct meta_identity identity;
    is_int(meta_identity_read(env_os()->fs, other, &identity, &err), OX_OK,
        "meta.properties is there again");
    is_int(identity.node_id, 5, "with its node");
    put_file(other, "meta.properties", "node.id=x\n");
    is_int(try_open(other, 5, NULL, false), OX_DATA_CORRUPTED, "a damaged one is refused");
    put_file(other, "meta.properties", "version=1\ncluster.id=here\nnode.id=5\n");
    is_int(try_open(other, 5, NULL, false), OX_IDENTITY_MISMATCH, "one of another directory, too");
    remove_dir(dir);
    remove_dir(other);
    remove_dir(saved);
}

static void
test_old_copy(void)
{
    const char *dir = new_dir(), *saved = new_dir();
    struct meta *meta = start(dir, false);
    meta_close(meta);
    shell("cp %s/raft.db* %s/", dir, saved);
    meta = start(dir, false);
    register_broker(meta, 1);
    create(meta, "orders", 1, NULL, NULL);
    meta_close(meta);
    shell("rm -f %s/raft.db*%s", dir, "");
    shell("cp %s/raft.db* %s/", saved, dir);
    is_int(try_open(dir, -1, NULL, false), OX_IDENTITY_MISMATCH, "an older raft.db is refused");
    remove_dir(dir);
    remove_dir(saved);
}

/* Overwrite bytes in the middle of a file. */
static void
damage(const char *dir, const char *name, long pos)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "r+");
    if (pos < 0) {
        fseek(file, 0, SEEK_END);
        pos += ftell(file);
    }
    fseek(file, pos, SEEK_SET);
    for (int i = 0; i < 64; i++)
        fputc(0xa5, file);
    fclose(file);
}

static void
edit(const char *dir, const char *name, const char *sql)
{
    char path[256];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    sqlite3_open(path, &db);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        printf("# %s: %s\n", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void
test_damage(void)
{
    const char *dir = new_dir();
    struct meta *meta = start(dir, false);
    register_broker(meta, 1);
    create(meta, "orders", 5, "retention.ms", "1000");
    meta_close(meta);
    damage(dir, "catalog.db", 0);
    meta = start(dir, false);
    ok(meta != NULL, "a catalog without its header is rebuilt");
    const struct meta_view *view = meta_view_get(meta);
    ok(meta_view_topic(view, OX_STR("orders")) != NULL, "with everything in it");
    meta_view_put(view);
    meta_close(meta);
    put_file(dir, "catalog.db", "");
    meta = start(dir, false);
    ok(meta != NULL, "an empty one, too");
    meta_close(meta);
    edit(dir, "catalog.db", "UPDATE meta_state SET oid_next = 16384");
    meta = start(dir, false);
    ok(create(meta, "more", 1, NULL, NULL) != OX_OK, "one with rows in the way stops the metadata");
    meta_close(meta);
    meta = start(dir, false);
    view = meta_view_get(meta);
    ok(meta_view_topic(view, OX_STR("more")) != NULL, "and is made anew at the next start");
    meta_view_put(view);
    meta_close(meta);
    edit(dir, "raft.db", "UPDATE entry SET data = zeroblob(64) WHERE idx = 4");
    is_int(try_open(dir, -1, NULL, false), OX_DATA_CORRUPTED, "a changed entry is noticed");
    is_int(try_open(dir, -1, NULL, true), OX_DATA_CORRUPTED, "again");
    damage(dir, "raft.db", 0);
    is_int(try_open(dir, -1, NULL, true), OX_DATA_CORRUPTED, "so is a damaged file");
    remove_dir(dir);
}

static uint32_t
topics_seen(struct meta *meta)
{
    const struct meta_view *view = meta_view_get(meta);
    uint32_t count = view->topic_count;
    meta_view_put(view);
    return count;
}

static void
test_snapshots(void)
{
    const char *dir = new_dir();
    struct meta *meta = NULL;
    struct meta_config config = {.dir = dir, .node_id = -1, .format = true,
        .snapshot_threshold = 20, .snapshot_trailing = 5};
    struct meta_stats stats;
    char name[32];
    meta_open(&config, env_os(), &meta, &err);
    register_broker(meta, 1);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "topic%d", i);
        create(meta, name, 2, "retention.ms", "1000");
    }
    meta_stats(meta, &stats);
    ok(stats.snapshots >= 4, "snapshots are taken");
    ok(stats.log_first > 70 && stats.log_last - stats.log_first < 30, "the log is cut");
    printf("# log %llu..%llu snapshot %llu\n", (unsigned long long)stats.log_first,
        (unsigned long long)stats.log_last, (unsigned long long)stats.snapshot_index);
    meta_close(meta);
    meta_open(&config, env_os(), &meta, &err);
    is_int(topics_seen(meta), 100, "after a restart everything is there");
    meta_close(meta);
    shell("rm %s/catalog.db%s", dir, "");
    meta_open(&config, env_os(), &meta, &err);
    is_int(topics_seen(meta), 100, "and after the loss of the catalog, from the snapshot");
    const struct meta_view *view = meta_view_get(meta);
    const struct meta_topic *topic = meta_view_topic(view, OX_STR("topic99"));
    ok(topic != NULL && topic->config->retention_ms == 1000, "with settings");
    is_int(topic->oid, 16384 + 99, "and object ids");
    meta_view_put(view);
    is_int(create(meta, "more", 1, NULL, NULL), OX_OK, "it goes on");
    meta_close(meta);
    edit(dir, "raft.db", "UPDATE snapshot SET data = zeroblob(1000)");
    is_int(try_open(dir, -1, NULL, true), OX_DATA_CORRUPTED, "a damaged snapshot is noticed");
    remove_dir(dir);
}

static int64_t
log_start_min(struct meta *meta, const char *name, int32_t index)
{
    const struct meta_view *view = meta_view_get(meta);
    const struct meta_topic *topic = meta_view_topic(view, ox_str(name));
    int64_t start = topic->partitions[index]->log_start_min;
    meta_view_put(view);
    return start;
}

static ox_code
truncate_two(struct meta *meta, const char *one, const int64_t *starts, uint32_t count,
    const struct uuid *two)
{
    const struct meta_view *view = meta_view_get(meta);
    struct meta_cut cuts[] = {{meta_view_topic(view, ox_str(one))->id, starts, count},
        {*two, starts, 1}};
    struct meta_command cmd = {.kind = META_TRUNCATE, .truncate = {cuts, 2}};
    ox_code code = meta_propose_wait(meta, &cmd, NULL, &err);
    meta_view_put(view);
    return code;
}

static void
test_truncate(void)
{
    static const int64_t starts[] = {10, -1, 30}, lower[] = {9, 5, 31}, bad[] = {40, -2};
    const char *dir = new_dir();
    struct meta *meta = start(dir, false);
    struct uuid other, none = {{1}};
    register_broker(meta, 1);
    create(meta, "orders", 3, NULL, NULL);
    create(meta, "other", 1, NULL, NULL);
    const struct meta_view *view = meta_view_get(meta);
    other = meta_view_topic(view, OX_STR("other"))->id;
    meta_view_put(view);
    is_int(truncate_two(meta, "orders", starts, 3, &other), OX_OK, "logs of two topics are cut");
    ok(log_start_min(meta, "orders", 0) == 10 && log_start_min(meta, "orders", 1) == 0 &&
        log_start_min(meta, "orders", 2) == 30 && log_start_min(meta, "other", 0) == 10,
        "where it was said");
    is_int(truncate_two(meta, "orders", lower, 3, &other), OX_OK, "and again");
    ok(log_start_min(meta, "orders", 0) == 10 && log_start_min(meta, "orders", 1) == 5 &&
        log_start_min(meta, "orders", 2) == 31, "a start never moves down");
    is_int(truncate_two(meta, "orders", bad, 1, &none), OX_UNKNOWN_TOPIC_ID, "a topic is not there");
    is_int(truncate_two(meta, "orders", bad, 2, &other), OX_INVALID_REQUEST, "a bad start");
    is_int(truncate_two(meta, "other", starts, 2, &other), OX_INVALID_REQUEST,
        "a partition that is not there");
    is_int(log_start_min(meta, "orders", 0), 10, "what is refused changes nothing");
    meta_close(meta);
    meta = start(dir, false);
    ok(log_start_min(meta, "orders", 0) == 10 && log_start_min(meta, "orders", 2) == 31,
        "after a restart they are where they were");
    meta_close(meta);
    shell("rm %s/catalog.db%s", dir, "");
    meta = start(dir, false);
    ok(log_start_min(meta, "orders", 0) == 10 && log_start_min(meta, "orders", 2) == 31,
        "and with the catalog made anew");
    meta_close(meta);
    edit(dir, "catalog.db", "ALTER TABLE partition DROP COLUMN log_start_min; PRAGMA user_version=2");
    meta = start(dir, false);
    ok(meta != NULL && log_start_min(meta, "orders", 0) == 0,
        "a catalog of an older version is taken on");
    meta_close(meta);
    remove_dir(dir);
}

struct burst {
    struct meta_call call;
    int *left;
    int *refused;
};

static void
burst_done(struct meta_call *call)
{
    struct burst *burst = ox_container_of(call, struct burst, call);
    --*burst->left;
    *burst->refused += call->code != OX_OK;
}

static void
test_burst(void)
{
    enum { COUNT = 2000 };
    const char *dir = new_dir();
    struct meta *meta = start(dir, true);
    struct burst *bursts = ox_calloc(COUNT, sizeof(*bursts));
    struct meta_assignment *assignments;
    struct meta_stats stats;
    int left = COUNT, refused = 0;
    char name[32];
    register_broker(meta, 1);
    const struct meta_view *view = meta_view_get(meta);
    meta_place(view, 0, 1, 1, 0, &arena, &assignments, NULL);
    meta_view_put(view);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "topic%d", i / 2);
        struct meta_command cmd = {.kind = META_TOPIC_CREATE, .topic_create = {
            .name = ox_str(name), .partition_count = 1, .assignments = assignments}};
        bursts[i] = (struct burst){{.done = burst_done}, &left, &refused};
        meta_propose(meta, &bursts[i].call, &cmd, NULL);
    }
    is_int(left, COUNT, "nothing is answered before its turn");
    while (meta_turn(meta))
        continue;
    is_int(left, 0, "everything is answered");
    is_int(refused, COUNT / 2, "each name was taken once");
    is_int(topics_seen(meta), COUNT / 2, "all are there");
    meta_stats(meta, &stats);
    ok(stats.commits < 30, "many commands share a flush");
    meta_close(meta);
    ox_free(bursts);
    remove_dir(dir);
}

/* Bursts over many snapshots, on the thread; the tail of the log alone must not
 * be enough, nor the snapshot alone. */
static void
test_burst_snapshots(void)
{
    enum { COUNT = 3000 };
    const char *dir = new_dir();
    struct meta_config config = {.dir = dir, .node_id = -1, .format = true,
        .snapshot_threshold = 50, .snapshot_trailing = 10};
    struct meta *meta = NULL;
    struct burst *bursts = ox_calloc(COUNT, sizeof(*bursts));
    struct meta_stats stats;
    int left = COUNT, refused = 0;
    meta_open(&config, env_os(), &meta, &err);
    for (int i = 0; i < COUNT; i++) {
        struct meta_command cmd = {.kind = META_PRODUCER_IDS, .producer_ids = {1, 10}};
        bursts[i] = (struct burst){{.done = burst_done}, &left, &refused};
        meta_propose(meta, &bursts[i].call, &cmd, NULL);
    }
    struct meta_command last = {.kind = META_PRODUCER_IDS, .producer_ids = {1, 1}};
    struct meta_result result = {0};
    is_int(meta_propose_wait(meta, &last, &result, &err), OX_OK, "a command behind a burst");
    is_int(result.producer_id_first, COUNT * 10, "comes after all of it");
    is_int(left, 0, "which was answered before");
    is_int(refused, 0, "and accepted");
    meta_stats(meta, &stats);
    ok(stats.snapshots > 2, "snapshots were taken on the way");
    printf("# %llu snapshots, log %llu..%llu\n", (unsigned long long)stats.snapshots,
        (unsigned long long)stats.log_first, (unsigned long long)stats.log_last);
    meta_close(meta);
    shell("rm %s/catalog.db%s", dir, "");
    meta_open(&config, env_os(), &meta, &err);
    const struct meta_view *view = meta_view_get(meta);
    is_int(view->producer_id_next, COUNT * 10 + 1, "all of it is rebuilt");
    meta_view_put(view);
    meta_close(meta);
    ox_free(bursts);
    remove_dir(dir);
}

static void
test_limits(void)
{
    const char *dir = new_dir();
    struct meta *meta = start(dir, true);
    char *large = ox_calloc(9, 1 << 20);
    memset(large, 'x', (9 << 20) - 1);
    is_int(create(meta, "t", 1, NULL, NULL), OX_INVALID_REPLICATION_FACTOR,
        "without brokers nothing can be placed");
    register_broker(meta, 1);
    struct meta_command cmd = {.kind = META_COMMENT, .comment = {OX_STR("t"), ox_str(large)}};
    is_int(propose(meta, &cmd), OX_LIMIT_EXCEEDED, "a huge command is refused");
    cmd.kind = (enum meta_command_kind)99;
    ok(propose(meta, &cmd) != OX_OK, "an unknown one, too");
    int32_t twice[] = {1, 1}, nobody[] = {7};
    struct meta_assignment bad = {twice, 2};
    cmd = (struct meta_command){.kind = META_TOPIC_CREATE, .topic_create = {.name = OX_STR("t"),
        .partition_count = 1, .assignments = &bad}};
    is_int(propose(meta, &cmd), OX_INVALID_REPLICA_ASSIGNMENT, "a broker twice");
    bad = (struct meta_assignment){nobody, 1};
    is_int(propose(meta, &cmd), OX_INVALID_REPLICA_ASSIGNMENT, "an unknown broker");
    cmd.topic_create.partition_count = 0;
    is_int(propose(meta, &cmd), OX_INVALID_PARTITIONS, "no partitions");
    is_int(create(meta, "t", 1, "max.compaction.lag.ms", "1"), OX_OK, "settings that agree");
    is_int(alter(meta, META_RESOURCE_TOPIC, "t", "min.compaction.lag.ms", "2", META_CONFIG_SET),
        OX_INVALID_CONFIG, "and that do not");
    is_int(alter(meta, META_RESOURCE_TOPIC, "t", "", "2", META_CONFIG_SET), OX_INVALID_REQUEST,
        "a setting without a name");
    is_int(alter(meta, META_RESOURCE_TOPIC, "t", "retention.ms", NULL, META_CONFIG_SET),
        OX_INVALID_REQUEST, "a setting without a value");
    is_int(alter(meta, META_RESOURCE_TOPIC, "nope", "retention.ms", "1", META_CONFIG_SET),
        OX_UNKNOWN_TOPIC_OR_PARTITION, "a topic that is not there");
    is_int(alter(meta, 3, "t", "retention.ms", "1", META_CONFIG_SET), OX_INVALID_REQUEST,
        "a resource that is not there");
    const struct meta_view *view = meta_view_get(meta);
    const struct meta_topic *topic = meta_view_topic(view, OX_STR("t"));
    struct meta_partition_change change = {.index = 0, .expect_partition_epoch = 3, .leader = -1,
        .recovery = -1};
    cmd = (struct meta_command){.kind = META_PARTITION_CHANGE, .partition_change = {
        .topic_id = topic->id, .changes = &change, .change_count = 1}};
    is_int(propose(meta, &cmd), OX_INVALID_UPDATE_VERSION, "a partition that moved on");
    change.expect_partition_epoch = 0;
    is_int(propose(meta, &cmd), OX_OK, "a partition loses its leader");
    is_int(topic->partitions[0]->leader, 1, "an old view does not see it");
    meta_view_put(view);
    view = meta_view_get(meta);
    topic = meta_view_topic(view, OX_STR("t"));
    is_int(topic->partitions[0]->leader, -1, "a new one does");
    is_int(topic->partitions[0]->leader_epoch, 1, "with a new leader epoch");
    is_int(topic->partitions[0]->partition_epoch, 1, "and partition epoch");
    meta_view_put(view);
    meta_close(meta);
    ox_free(large);
    remove_dir(dir);
}

static void
count_views(const struct meta_view *view, void *arg)
{
    ++*(int *)arg;
}

static void
test_observers(void)
{
    const char *dir = new_dir();
    struct meta *meta = start(dir, true);
    int seen = 0;
    meta_on_view(meta, count_views, &seen);
    is_int(seen, 1, "an observer is shown the current view");
    register_broker(meta, 1);
    is_int(seen, 2, "and each new one");
    create(meta, "a b", 1, NULL, NULL);
    is_int(seen, 2, "a refusal changes nothing");
    meta_off_view(meta, count_views, &seen);
    create(meta, "a", 1, NULL, NULL);
    is_int(seen, 2, "until it leaves");
    meta_close(meta);
    remove_dir(dir);
}

META_TESTS(test_commands(), test_identity(), test_old_copy(), test_damage(), test_truncate(),
    test_snapshots(), test_burst(), test_burst_snapshots(), test_limits(), test_observers())
