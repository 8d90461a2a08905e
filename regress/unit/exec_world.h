/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of scans over real partitions share: an engine without doors in a
 * directory of its own, plans that run on its one loop while this thread waits, and
 * batches that go straight into a log. */
#ifndef UNIT_EXEC_WORLD_H
#define UNIT_EXEC_WORLD_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "engine/engine.h"
#include "exec_help.h"
#include "net/net.h"

#include "must.h"
#include "tap.h"

struct world {
    char dir[64];
    struct loop_group *loops;
    struct net *net;
    struct log_dir *log_dir;
    struct meta *meta;
    struct replica *replica;
    struct engine *engine;
    struct engine_session sess;
    struct help help;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static inline void
world_start(struct world *world)
{
    struct ox_err err;
    memset(world, 0, sizeof(*world));
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->cond, NULL);
    snprintf(world->dir, sizeof(world->dir), "/tmp/exec_topic.XXXXXX");
    if (mkdtemp(world->dir) == NULL)
        exit(1);
    struct loop_config loops = {.count = 1, .pool_threads = 2};
    must(loop_group_start(&loops, env_os(), &world->loops, &err), &err, "loops");
    struct net_limits limits = {.conns_max = 8, .conns_per_ip_max = 8, .out_max = 65536};
    world->net = net_new(world->loops, &limits);
    struct meta_config meta = {.dir = world->dir, .node_id = -1, .format = true};
    must(meta_open(&meta, env_os(), &world->meta, &err), &err, "metadata");
    struct log_dir_config logs;
    log_dir_config_init(&logs);
    logs.path = world->dir;
    logs.cluster_id = meta_identity(world->meta)->cluster_id;
    logs.node_id = meta_identity(world->meta)->node_id;
    logs.threads = true;
    must(log_dir_open(&logs, env_os(), &world->log_dir, &err), &err, "logs");
    struct replica_config replica = {.node_id = logs.node_id,
        .dirs = &world->log_dir, .dir_count = 1,
        .loops = world->loops,
        .housekeeping_ms = 60000};
    must(replica_start(&replica, env_os(), world->meta, &world->replica, &err), &err, "replica");
    struct engine_config engine = {.node_id = logs.node_id, .loops = world->loops,
        .net = world->net, .meta = world->meta, .replica = world->replica};
    must(engine_start(&engine, env_os(), &world->engine, &err), &err, "engine");
    struct meta_command cmd = {.kind = META_BROKER_REGISTER};
    cmd.broker_register.node_id = logs.node_id;
    cmd.broker_register.incarnation.bytes[0] = 1;
    cmd.broker_register.directory_id = *log_dir_id(world->log_dir);
    must(meta_propose_wait(world->meta, &cmd, NULL, &err), &err, "registration");
    engine_session_init(
        &world->sess, world->engine, loop_at(world->loops, 0), "sql", "test", "127.0.0.1", 1);
    help_init(&world->help);
    world->help.config.loop = loop_at(world->loops, 0);
    world->help.config.session = &world->sess;
}

static inline void
world_stop(struct world *world)
{
    char command[128];
    engine_quiesce(world->engine);
    replica_quiesce(world->replica);
    net_free(world->net);
    engine_stop(world->engine);
    loop_group_drain(world->loops);
    replica_stop(world->replica);
    meta_close(world->meta);
    loop_group_drain(world->loops);
    engine_free(world->engine);
    log_dir_close(world->log_dir);
    loop_group_stop(world->loops);
    help_fini(&world->help);
    snprintf(command, sizeof(command), "rm -rf %s", world->dir);
    if (system(command) != 0)
        printf("# %s stays\n", world->dir);
}

/* ---- one thing on the loop, waited for --------------------------------------------- */

static inline void
finished(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    world->done = true;
    pthread_cond_signal(&world->cond);
    pthread_mutex_unlock(&world->lock);
}

static inline void
wait_for_it(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    while (!world->done)
        pthread_cond_wait(&world->cond, &world->lock);
    world->done = false;
    pthread_mutex_unlock(&world->lock);
}

static inline void
on_loop(struct world *world, void (*fn)(struct loop *loop, void *arg), void *arg)
{
    loop_each_sync(world->loops, fn, arg);
}

struct create {
    struct engine_topic_create call;
    struct world *world;
};

static inline void
create_done(struct engine_admin *admin)
{
    finished(((struct create *)(void *)admin)->world);
}

static inline void
create_start(struct loop *loop, void *arg)
{
    struct create *create = arg;
    (void)loop;
    if (engine_topic_create(&create->call))
        finished(create->world);
}

static inline struct plan_topic
create_topic_with(struct world *world, const char *name, int32_t partitions, const char *config,
    const char *value)
{
    struct create create = {.world = world};
    struct engine_config_kv kv = {ox_str(config), ox_str(value), 0};
    create.call.configs = &kv;
    create.call.config_count = config != NULL;
    create.call.admin.sess = &world->sess;
    create.call.admin.done = create_done;
    create.call.name = ox_str(name);
    create.call.partitions = partitions;
    create.call.replication_factor = -1;
    on_loop(world, create_start, &create);
    wait_for_it(world);
    must(create.call.admin.code, &create.call.admin.err, "create topic");
    struct plan_topic topic = {ox_str(name), create.call.topic_id, (uint32_t)partitions};
    engine_admin_fini(&create.call.admin);
    return topic;
}

static inline struct plan_topic
create_topic(struct world *world, const char *name, int32_t partitions)
{
    return create_topic_with(world, name, partitions, NULL, NULL);
}

/* Partition, offset and time of rows. */
struct seen {
    int64_t (*rows)[3];
    size_t count;
};

/* A plan pulled to its end, or until `stop_rows` have come. */
struct pull {
    struct world *world;
    struct plan_root root;
    struct exec_run *run;
    uint64_t rows, stop_rows;
    _Atomic int status; /* enum exec_status */
    bool silent;
    _Atomic bool ended;
    struct exec_counters counters; /* of node `counted` */
    uint32_t counted;
    struct seen *seen;   /* or NULL */
    int parks;           /* before the first row */
    uint64_t longest_ns; /* that one turn took until then, of the processor */
};

static inline uint64_t
cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline void
see(struct seen *seen, const struct batch *batch)
{
    uint32_t count = batch->sel != NULL ? batch->sel_count : batch->count;
    seen->rows = ox_realloc(seen->rows, (seen->count + count) * sizeof(*seen->rows));
    for (uint32_t i = 0; i < count; i++, seen->count++)
        for (uint32_t c = 0; c < 3; c++)
            seen->rows[seen->count][c] = batch->cols[c].i[batch->sel != NULL ? batch->sel[i] : i];
}

static inline void
pull_on(void *arg)
{
    struct pull *pull = arg;
    struct batch *batch;
    if (pull->ended)
        return;
    enum exec_status status;
    uint64_t from = cpu_ns();
    while ((status = exec_run_next(pull->run, 0, &batch)) == EXEC_ROWS) {
        if (pull->rows == 0)
            pull->longest_ns = OX_MAX(pull->longest_ns, cpu_ns() - from);
        if (pull->seen != NULL)
            see(pull->seen, batch);
        pull->rows += batch->sel != NULL ? batch->sel_count : batch->count;
        if (!pull->silent)
            help_rows(&pull->world->help, batch);
        if (pull->stop_rows > 0 && pull->rows >= pull->stop_rows)
            break;
    }
    pull->status = (int)status;
    if (pull->rows == 0)
        pull->longest_ns = OX_MAX(pull->longest_ns, cpu_ns() - from);
    if (status == EXEC_PARK) {
        pull->parks += pull->rows == 0;
        return;
    }
    if (status == EXEC_FAIL) {
        pull->world->help.err = *exec_run_err(pull->run);
        pull->world->help.text.len = 0;
        ox_text_addf(
            &pull->world->help.text, "error: %s", ox_code_facts(pull->world->help.err.code)->name);
    }
    pull->counters = *exec_run_counters(pull->run, pull->counted);
    pull->rows = exec_run_rows(pull->run);
    finished(pull->world);
    pull->ended = true; /* last: who looks at it resets `done` */
}

static inline void
pull_start(struct loop *loop, void *arg)
{
    struct pull *pull = arg;
    struct exec_config config = pull->world->help.config;
    (void)loop;
    config.wake = pull_on;
    config.arg = pull;
    exec_run_new(&pull->root, &config, &pull->run, &pull->world->help.err);
    pull_on(pull);
}

static inline void
pull_end(struct loop *loop, void *arg)
{
    (void)loop;
    exec_run_free(((struct pull *)arg)->run);
}

static inline void
pull_init(struct pull *pull, struct world *world, struct plan *plan)
{
    *pull = (struct pull){.world = world};
    pull->root = (struct plan_root){.plan = plan, .arena = &world->help.arena};
    ox_text_clear(&world->help.text);
    ox_text_adds(&world->help.text, " ");
    world->help.text.len = 0;
    must(plan_root_finish(&pull->root, &world->help.err), &world->help.err, "plan");
}

static inline const char *
pull_all(struct pull *pull)
{
    on_loop(pull->world, pull_start, pull);
    wait_for_it(pull->world);
    on_loop(pull->world, pull_end, pull);
    ox_text_addc(&pull->world->help.text, 0);
    return pull->world->help.text.ptr;
}

static inline const char *
run_it(struct world *world, struct plan *plan)
{
    struct pull pull;
    pull_init(&pull, world, plan);
    return pull_all(&pull);
}

/* ---- plans ---- */

static inline struct plan_topic *
keep(struct help *help, struct plan_topic topic)
{
    return ox_arena_copy(&help->arena, &topic, sizeof(topic));
}

static inline struct plan_scan_topic *
scan(
    struct help *help, const struct plan_topic *topic, const enum scan_column *what, uint32_t count)
{
    return plan_scan_topic_new(
        &help->arena, topic, 1, ox_arena_copy(&help->arena, what, count * sizeof(*what)), count);
}

static inline void
bound(struct help *help, struct plan_scan_topic *node, enum scan_bound_what what,
    enum scan_bound_op op, struct expr *value)
{
    struct scan_bound *bounds =
        ox_arena_alloc0(&help->arena, (node->bound_count + 1) * sizeof(*bounds));
    if (node->bound_count > 0)
        memcpy(bounds, node->bounds, node->bound_count * sizeof(*bounds));
    bounds[node->bound_count] = (struct scan_bound){what, op, EXPRS(help, value), 1};
    node->bounds = bounds;
    node->bound_count++;
}

static inline struct expr *
as_text(struct help *help, struct expr *expr)
{
    struct ox_err err;
    must(expr_coerce(&help->bind, expr, TYPE(TYPE_TEXT), CAST_EXPLICIT, &expr, &err), &err, "cast");
    return expr;
}

/* Rows with key i % 100 and value {"i" : i, ...}. */
static inline struct plan *
insert_many(struct help *help, const struct plan_topic *topic, int64_t from, int64_t to)
{
    struct expr *mod = binary(help, "%", int_col(help, 0), int_const(help, 100));
    struct expr *key = as_text(help, mod), *value;
    struct expr **fields = EXPRS(help, text_const(help, "i"), int_col(help, 0),
        text_const(help, "pad"), text_const(help, "0123456789012345678901234567890123456789"));
    struct ox_err err;
    must(expr_function(&help->bind, OX_STR("json_build_object"), fields, 4, false, 0, &value, &err),
        &err, "json_build_object");
    value = as_text(help, value);
    struct plan_insert *node = plan_insert_new(&help->arena,
        project(help, numbers(help, from, to), EXPRS(help, key, value), 2), topic, NULL, 0);
    node->key = 0;
    node->value = 1;
    node->stream = true;
    return &node->plan;
}

/* ---- batches straight into a log ---- */

static inline void
pause_ms(int ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&ts, NULL);
}

/* producer < 0: not of a transaction */
static inline void
begin_batch(struct record_builder *builder, int64_t producer, enum ox_codec codec)
{
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    config.codec = codec;
    if (producer >= 0) {
        config.producer_id = producer;
        config.producer_epoch = 0;
        config.base_sequence = 0;
        config.transactional = true;
    }
    record_builder_init(builder);
    record_builder_begin(builder, &config);
}

static inline void
append_records(struct plog *plog, struct log_append *append)
{
    struct ox_err err;
    struct buf *buf = append->records.buf;
    must(plog_append(plog, append, &err), &err, "append");
    ox_buf_put(buf);
}

static inline void
append_built(struct plog *plog, struct record_builder *builder)
{
    struct log_append append = {.origin = LOG_FROM_CLIENT, .now_ms = env_wall_ms(env_os()),
        .flags = LOG_TXN_VERIFIED | LOG_FLUSH_SOON};
    struct ox_err err;
    must(record_builder_finish(builder, &append.records, &err), &err, "batch");
    record_builder_fini(builder);
    append_records(plog, &append);
}

/* One batch of a transaction, or its marker, straight into the log. */
static inline void
append_batch(struct plog *plog, int64_t producer, const char *value, int commit)
{
    int64_t now_ms = env_wall_ms(env_os());
    if (value != NULL) {
        struct record_builder builder;
        begin_batch(&builder, producer, OX_CODEC_NONE);
        record_builder_add(&builder, now_ms, OX_STR_NULL, ox_str(value), NULL, 0);
        append_built(plog, &builder);
        return;
    }
    struct log_append append = {.origin = LOG_FROM_COORDINATOR, .now_ms = now_ms,
        .flags = LOG_TXN_VERIFIED | LOG_FLUSH_SOON};
    struct ox_err err;
    must(record_batch_marker(producer, 0, commit != 0, 0, now_ms, &append.records, &err), &err,
        "marker");
    append_records(plog, &append);
}

struct find {
    struct world *world;
    const struct plan_topic *topic;
    int32_t index;
    struct partition *part;
};

static inline void
find_partition(struct loop *loop, void *arg)
{
    struct find *find = arg;
    (void)loop;
    find->part = partition_hold(
        replica_partition(find->world->replica, &find->topic->id, find->index));
}

static inline void
wait_for_end(struct partition *part)
{
    struct partition_state state;
    for (int i = 0; i < 20000; i++) {
        partition_state(part, &state);
        if (state.high_watermark == plog_log_end(partition_log(part)))
            return;
        pause_ms(1);
    }
    ok(false, "what was appended is readable");
}

#endif
