/* SPDX-License-Identifier: Apache-2.0
 *
 * Scans, subscriptions and inserts over real partitions: an engine without doors
 * in a directory of its own. Plans run on its one loop; this thread waits. */
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

static void
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

static void
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

static void
finished(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    world->done = true;
    pthread_cond_signal(&world->cond);
    pthread_mutex_unlock(&world->lock);
}

static void
wait_for_it(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    while (!world->done)
        pthread_cond_wait(&world->cond, &world->lock);
    world->done = false;
    pthread_mutex_unlock(&world->lock);
}

static void
on_loop(struct world *world, void (*fn)(struct loop *loop, void *arg), void *arg)
{
    loop_each_sync(world->loops, fn, arg);
}

struct create {
    struct engine_topic_create call;
    struct world *world;
};

static void
create_done(struct engine_admin *admin)
{
    finished(((struct create *)(void *)admin)->world);
}

static void
create_start(struct loop *loop, void *arg)
{
    struct create *create = arg;
    (void)loop;
    if (engine_topic_create(&create->call))
        finished(create->world);
}

static struct plan_topic
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

static struct plan_topic
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

static uint64_t
cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void
see(struct seen *seen, const struct batch *batch)
{
    uint32_t count = batch->sel != NULL ? batch->sel_count : batch->count;
    seen->rows = ox_realloc(seen->rows, (seen->count + count) * sizeof(*seen->rows));
    for (uint32_t i = 0; i < count; i++, seen->count++)
        for (uint32_t c = 0; c < 3; c++)
            seen->rows[seen->count][c] = batch->cols[c].i[batch->sel != NULL ? batch->sel[i] : i];
}

static void
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

static void
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

static void
pull_end(struct loop *loop, void *arg)
{
    (void)loop;
    exec_run_free(((struct pull *)arg)->run);
}

static void
pull_init(struct pull *pull, struct world *world, struct plan *plan)
{
    *pull = (struct pull){.world = world};
    pull->root = (struct plan_root){.plan = plan, .arena = &world->help.arena};
    ox_text_clear(&world->help.text);
    ox_text_adds(&world->help.text, " ");
    world->help.text.len = 0;
    must(plan_root_finish(&pull->root, &world->help.err), &world->help.err, "plan");
}

static const char *
pull_all(struct pull *pull)
{
    on_loop(pull->world, pull_start, pull);
    wait_for_it(pull->world);
    on_loop(pull->world, pull_end, pull);
    ox_text_addc(&pull->world->help.text, 0);
    return pull->world->help.text.ptr;
}

static const char *
run_it(struct world *world, struct plan *plan)
{
    struct pull pull;
    pull_init(&pull, world, plan);
    return pull_all(&pull);
}

/* ---- plans ------------------------------------------------------------------------------ */

static struct plan_topic *
keep(struct help *help, struct plan_topic topic)
{
    return ox_arena_copy(&help->arena, &topic, sizeof(topic));
}

static struct plan_scan_topic *
scan(
    struct help *help, const struct plan_topic *topic, const enum scan_column *what, uint32_t count)
{
    return plan_scan_topic_new(
        &help->arena, topic, 1, ox_arena_copy(&help->arena, what, count * sizeof(*what)), count);
}

static const enum scan_column place[] = {SCAN_PARTITION, SCAN_OFFSET, SCAN_KEY, SCAN_VALUE};

static void
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

/* INSERT of (key, value) rows given as texts; "-" is NULL. */
static struct plan *
insert(struct help *help, const struct plan_topic *topic, uint32_t rows, const char *const *texts,
    const enum scan_column *returning, uint32_t count)
{
    struct expr **exprs = ox_arena_alloc(&help->arena, rows * 2 * sizeof(*exprs));
    for (uint32_t i = 0; i < rows * 2; i++)
        exprs[i] = strcmp(texts[i], "-") == 0 ? null_const(help, TYPE(TYPE_TEXT))
                                              : text_const(help, texts[i]);
    struct plan_insert *node = plan_insert_new(
        &help->arena, plan_values_new(&help->arena, exprs, rows, 2, NULL), topic, returning, count);
    node->key = 0;
    node->value = 1;
    return &node->plan;
}

static struct expr *
as_text(struct help *help, struct expr *expr)
{
    struct ox_err err;
    must(expr_coerce(&help->bind, expr, TYPE(TYPE_TEXT), CAST_EXPLICIT, &expr, &err), &err, "cast");
    return expr;
}

/* Rows with key i % 100 and value {"i" : i, ...}. */
static struct plan *
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

/* ---- tests --------------------------------------------------------------------------------- */

static void
test_insert(struct world *world, const struct plan_topic *topic)
{
    struct help *help = &world->help;
    static const char *const rows[] = {"a", "1", "b", "2", "-", "3", "a", "-"};
    static const enum scan_column returning[] = {SCAN_OFFSET, SCAN_KEY, SCAN_VALUE, SCAN_TOMBSTONE};
    is_str(run_it(world, insert(help, topic, 4, rows, returning, 4)),
        "0,a,1,f;1,b,2,f;2,-,3,f;3,a,-,t", "INSERT gives the offsets the rows got");
    is_str(run_it(world, &scan(help, topic, place, 4)->plan), "0,0,a,1;0,1,b,2;0,2,-,3;0,3,a,-",
        "and a scan gives the rows");
    struct pull pull;
    pull_init(&pull, world, insert(help, topic, 1, rows, NULL, 0));
    pull_all(&pull);
    is_int(pull.rows, 1, "the count without RETURNING");
    static const char *const odd[] = {"\xff\x01", "x"};
    static const enum scan_column what[] = {SCAN_KEY, SCAN_SIZE, SCAN_HEADERS};
    is_str(run_it(world, insert(help, topic, 1, odd, what, 3)), "\\xff01,3,[]",
        "a key that is no text shows as hex");
    struct plan_scan_topic *node = scan(help, topic, what, 1);
    bound(help, node, BOUND_KEY, BOUND_EQ, text_const(help, "\\xff01"));
    is_str(run_it(world, &node->plan), "\\xff01", "and is found by that");
}

static void
test_bounds(struct world *world, const struct plan_topic *topic)
{
    struct help *help = &world->help;
    static const enum scan_column offset[] = {SCAN_OFFSET};
    struct plan_scan_topic *node = scan(help, topic, offset, 1);
    bound(help, node, BOUND_OFFSET, BOUND_GE, int_const(help, 1));
    bound(help, node, BOUND_OFFSET, BOUND_LT, int_const(help, 3));
    is_str(run_it(world, &node->plan), "1;2", "offsets between");
    node = scan(help, topic, offset, 1);
    bound(help, node, BOUND_KEY, BOUND_EQ, text_const(help, "a"));
    is_str(run_it(world, &node->plan), "0;3;4", "a key");
    node = scan(help, topic, offset, 1);
    bound(help, node, BOUND_PARTITION, BOUND_GT, int_const(help, 0));
    is_str(run_it(world, &node->plan), "", "a partition that is not there");
    node = scan(help, topic, offset, 1);
    bound(help, node, BOUND_OFFSET, BOUND_EQ, null_const(help, TYPE(TYPE_INT8)));
    is_str(run_it(world, &node->plan), "", "compared with NULL");
    node = scan(help, topic, offset, 1);
    static const struct str needle = {"2", 1};
    node->needles = &needle;
    node->needle_count = 1;
    is_str(run_it(world, &node->plan), "1", "a needle");
    node = scan(help, topic, offset, 1);
    node->order = SCAN_ORDER_OFFSET_DESC;
    node->limit = 3;
    is_str(run_it(world, &node->plan), "5;4;3", "backward");
    int64_t now = row_us_from_unix_ms(env_wall_ms(env_os()));
    node = scan(help, topic, offset, 1);
    bound(help, node, BOUND_TIMESTAMP, BOUND_GT,
        expr_const(&help->arena, TYPE(TYPE_TIMESTAMPTZ), datum_i64(now + 60000000), 0));
    is_str(run_it(world, &node->plan), "", "after now");
    node = scan(help, topic, offset, 1);
    bound(help, node, BOUND_TIMESTAMP, BOUND_GT,
        expr_const(&help->arena, TYPE(TYPE_TIMESTAMPTZ), datum_i64(now - 60000000), 0));
    is_str(run_it(world, &node->plan), "0;1;2;3;4;5", "of the last minute");
}

static struct plan *
count_of(struct help *help, struct plan_scan_topic *node, bool grouped, bool headers)
{
    struct plan_agg aggs[3] = {{0}};
    aggs[0].func = func_named(help, "count", NULL, 0, &aggs[0].type);
    aggs[1].args = aggs[2].args = EXPRS(help, int_col(help, 1));
    aggs[1].arg_count = aggs[2].arg_count = 1;
    aggs[1].func = func_named(help, "min", aggs[1].args, 1, &aggs[1].type);
    aggs[2].func = func_named(help, "max", aggs[2].args, 1, &aggs[2].type);
    struct plan_aggregate *agg =
        plan_aggregate_new(&help->arena, &node->plan, EXPRS(help, col(help, 0, TYPE(TYPE_INT4))),
            grouped, ox_arena_copy(&help->arena, aggs, sizeof(aggs)), 3);
    const char *why;
    struct plan *fast = plan_aggregate_from_headers(&help->arena, agg, &why);
    if (headers && fast == NULL)
        printf("# %s\n", why);
    return headers && fast != NULL ? fast : &agg->plan;
}

static const struct plan_topic *
test_large(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *topic = keep(help, create_topic(world, "large", 3));
    struct pull pull;
    pull_init(&pull, world, insert_many(help, topic, 1, 200000));
    pull_all(&pull);
    is_int(pull.rows, 200000, "a stream of rows");
    for (int grouped = 0; grouped < 2; grouped++) {
        char slow[256];
        snprintf(slow, sizeof(slow), "%s",
            run_it(world, count_of(help, scan(help, topic, place, 2), grouped, false)));
        const char *fast =
            run_it(world, count_of(help, scan(help, topic, place, 2), grouped, true));
        is_str(fast, slow, grouped ? "groups from headers" : "count, min, max from headers");
        printf("# %s\n", slow);
    }
    struct plan_scan_topic *cut = scan(help, topic, place, 2);
    bound(help, cut, BOUND_OFFSET, BOUND_GE, int_const(help, 100));
    bound(help, cut, BOUND_OFFSET, BOUND_LE, int_const(help, 20000));
    is_str(
        run_it(world, count_of(help, cut, false, true)), "59703,100,20000", "cut through batches");
    /* By key a partition each. */
    struct plan_scan_topic *node = scan(help, topic, place, 3);
    bound(help, node, BOUND_KEY, BOUND_EQ, text_const(help, "7"));
    pull_init(&pull, world, &node->plan);
    pull.silent = true;
    pull_all(&pull);
    is_int(pull.rows, 2000, "rows of one key");
    node = scan(help, topic, place, 4);
    static const struct str needle = {"\"i\" : 777,", 10};
    node->needles = &needle;
    node->needle_count = 1;
    pull_init(&pull, world, &node->plan);
    pull_all(&pull);
    is_int(pull.rows, 1, "one row by its bytes");
    ok(pull.counters.records_decoded == 1, "decoded alone");
    node = scan(help, topic, place, 2);
    node->order = SCAN_ORDER_OFFSET;
    node->limit = 5;
    is_str(run_it(world, &node->plan), "0,0;1,0;2,0;0,1;1,1", "partitions merged by offset");
    node->order = SCAN_ORDER_OFFSET_DESC;
    node->limit = 0;
    pull_init(&pull, world, &node->plan);
    pull.silent = true;
    pull_all(&pull);
    is_int(pull.rows, 200000, "backward over all of it");
    world->help.config.scan_bytes_limit = 100000;
    is_str(run_it(world, &scan(help, topic, place, 4)->plan), "error: scan_limit_exceeded",
        "scan_bytes_limit");
    world->help.config.scan_bytes_limit = 0;
    node = scan(help, topic, place, 4);
    node->follow = true;
    node->start = SCAN_FROM_LAST_ROWS;
    node->start_value = int_const(help, 50);
    node->until = SCAN_UNTIL_LATEST;
    pull_init(&pull, world, &node->plan);
    pull.silent = true;
    pull_all(&pull);
    is_int(pull.rows, 50, "FROM LAST 50 over three partitions");
    return topic;
}

static struct plan_scan_topic *
follow(struct help *help, const struct plan_topic *topic, enum scan_start start, struct expr *value)
{
    struct plan_scan_topic *node = scan(help, topic, place, 4);
    node->follow = true;
    node->start = start;
    node->start_value = value;
    node->until = SCAN_UNTIL_NEVER;
    return node;
}

static void
pause_ms(int ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&ts, NULL);
}

static void
test_follow(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *topic = keep(help, create_topic(world, "live", 2));
    static const char *const rows[] = {"a", "1", "b", "2", "c", "3", "d", "4"};
    run_it(world, insert(help, topic, 2, rows, NULL, 0));
    struct plan_scan_topic *node = follow(help, topic, SCAN_FROM_EARLIEST, NULL);
    node->until = SCAN_UNTIL_LATEST;
    struct pull pull;
    pull_init(&pull, world, &node->plan);
    pull_all(&pull);
    is_int(pull.rows, 2, "SUBSCRIBE ... UNTIL LATEST ends");
    /* One that waits, while rows come from elsewhere. */
    struct pull live;
    node = follow(help, topic, SCAN_FROM_LATEST, NULL);
    pull_init(&live, world, &node->plan);
    live.stop_rows = 2;
    on_loop(world, pull_start, &live);
    pause_ms(20);
    is_int(live.status, EXEC_PARK, "with nothing to read it parks");
    struct plan_root root = {
        .plan = insert(help, topic, 2, rows + 4, NULL, 0), .arena = &help->arena};
    plan_root_finish(&root, NULL);
    struct pull more = {.world = world, .root = root};
    on_loop(world, pull_start, &more);
    while (!live.ended || !more.ended) {
        pthread_mutex_lock(&world->lock);
        world->done = false;
        pthread_mutex_unlock(&world->lock);
        pause_ms(1);
    }
    is_int(live.rows, 2, "and wakes for rows that come");
    on_loop(world, pull_end, &more);
    on_loop(world, pull_end, &live);
    world->done = false;
    /* Ended while it waits. */
    pull_init(&live, world, &follow(help, topic, SCAN_FROM_LATEST, NULL)->plan);
    on_loop(world, pull_start, &live);
    on_loop(world, pull_end, &live);
    ok(true, "a run may be freed while it waits");
    /* Cancelled while it waits. */
    pull_init(&live, world, &follow(help, topic, SCAN_FROM_LATEST, NULL)->plan);
    on_loop(world, pull_start, &live);
    exec_run_cancel(live.run, OX_CANCELED, true);
    wait_for_it(world);
    is_int(live.status, EXEC_FAIL, "cancel wakes one that waits");
    on_loop(world, pull_end, &live);
    node = follow(help, topic, SCAN_FROM_OFFSET, int_const(help, 77));
    is_str(run_it(world, &node->plan), "error: offset_out_of_range", "an offset that is not there");
    node = follow(help, topic, SCAN_FROM_EARLIEST, NULL);
    node->until = SCAN_UNTIL_IDLE;
    struct interval idle = {.us = 20000};
    node->until_value = expr_const(&help->arena, TYPE(TYPE_INTERVAL),
        datum_copy(TYPE(TYPE_INTERVAL), datum_str(ox_str_n(&idle, sizeof(idle))), &help->arena), 0);
    pull_init(&pull, world, &node->plan);
    pull_all(&pull);
    is_int(pull.rows, 4, "UNTIL IDLE ends by the clock");
}

struct grow {
    struct engine_partitions_create call;
    struct world *world;
};

static void
grow_done(struct engine_admin *admin)
{
    finished(((struct grow *)(void *)admin)->world);
}

static void
grow_start(struct loop *loop, void *arg)
{
    struct grow *grow = arg;
    (void)loop;
    if (engine_partitions_create(&grow->call))
        finished(grow->world);
}

static void
test_new_partitions(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *topic = keep(help, create_topic(world, "grows", 1));
    struct pull live;
    pull_init(&live, world, &follow(help, topic, SCAN_FROM_LATEST, NULL)->plan);
    live.stop_rows = 1;
    live.silent = true;
    on_loop(world, pull_start, &live);
    struct grow grow = {.world = world};
    grow.call.admin.sess = &world->sess;
    grow.call.admin.done = grow_done;
    grow.call.name = ox_str("grows");
    grow.call.count = 3;
    on_loop(world, grow_start, &grow);
    wait_for_it(world);
    must(grow.call.admin.code, &grow.call.admin.err, "add partitions");
    engine_admin_fini(&grow.call.admin);
    /* The plan is older than the partitions. */
    struct expr **exprs = EXPRS(
        help, text_const(help, "x"), expr_const(&help->arena, TYPE(TYPE_INT4), datum_i64(2), 0));
    struct plan_insert *node = plan_insert_new(
        &help->arena, plan_values_new(&help->arena, exprs, 1, 2, NULL), topic, NULL, 0);
    node->value = 0;
    node->partition = 1;
    struct plan_root root = {.plan = &node->plan, .arena = &help->arena};
    plan_root_finish(&root, NULL);
    struct pull more = {.world = world, .root = root};
    on_loop(world, pull_start, &more);
    while (!live.ended || !more.ended)
        pause_ms(1);
    is_int(live.rows, 1, "a subscription reads partitions that are added");
    on_loop(world, pull_end, &more);
    on_loop(world, pull_end, &live);
    pthread_mutex_lock(&world->lock);
    world->done = false;
    pthread_mutex_unlock(&world->lock);
    is_str(run_it(world, count_of(help, scan(help, topic, place, 2), false, true)), "1,0,0",
        "an old plan counts them");
    is_str(run_it(world, &scan(help, topic, place, 2)->plan), "2,0", "and scans them");
}

static void
test_progress(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *topic = keep(help, create_topic(world, "progress", 1));
    static const char *const rows[] = {"a", "1", "b", "2", "c", "3"};
    run_it(world, insert(help, topic, 3, rows, NULL, 0));
    static const enum scan_column what[] = {SCAN_VALUE, SCAN_PARTITION, SCAN_OFFSET};
    struct plan_scan_topic *node = scan(help, topic, what, 3);
    node->follow = true;
    node->until = SCAN_UNTIL_LATEST;
    struct plan *filter = plan_filter_new(
        &help->arena, &node->plan, binary(help, "<>", text_col(help, 0), text_const(help, "3")));
    struct plan_subscribe *subscribe = plan_subscribe_new(&help->arena, filter, node, true);
    subscribe->heartbeat_ms = 10000;
    char all[1024];
    snprintf(all, sizeof(all), "%s", run_it(world, &subscribe->plan));
    int lines = 1;
    for (const char *p = all; *p; p++)
        lines += *p == ';';
    is_int(lines, 4, "a start, two rows, an end");
    ok(strncmp(all, "t,", 2) == 0, "the first is a progress row");
    char token[256];
    const char *second = strchr(all, ';') + 1;
    ok(strncmp(second, "f,", 2) == 0, "then rows");
    snprintf(token, sizeof(token), "%.*s", (int)strcspn(second + 2, ","), second + 2);
    node = scan(help, topic, what, 3);
    node->follow = true;
    node->until = SCAN_UNTIL_LATEST;
    node->start = SCAN_FROM_TOKEN;
    node->start_value = text_const(help, token);
    is_str(run_it(world, &node->plan), "2,0,1;3,0,2", "a row's token leads to the next row");
}

static void
test_newest(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *topic = keep(help, create_topic(world, "newest", 2));
    run_it(world, insert_many(help, topic, 1, 30000));
    static const enum scan_column what[] = {SCAN_TIMESTAMP, SCAN_VALUE};
    struct plan_key *key = ox_arena_alloc0(&help->arena, sizeof(*key));
    *key = (struct plan_key){col(help, 0, TYPE(TYPE_TIMESTAMPTZ)), true, true};
    struct plan_sort *sort = plan_sort_new(&help->arena, &scan(help, topic, what, 2)->plan, key, 1);
    sort->limit = int_const(help, 10);
    struct pull pull;
    pull_init(&pull, world, &sort->plan);
    pull.silent = true;
    pull_all(&pull);
    is_int(pull.rows, 10, "ORDER BY _timestamp DESC LIMIT");
}

/* All that a row can say, there and back. */
static void
test_columns(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *topic = keep(help, create_topic(world, "columns", 4));
    static const enum scan_column returning[] = {SCAN_PARTITION, SCAN_TIMESTAMP, SCAN_HEADERS};
    struct expr *time;
    struct ox_err err;
    must(expr_coerce(&help->bind, expr_literal(&help->arena, OX_STR("2024-05-06 07:08:09.123Z"), 0),
             TYPE(TYPE_TIMESTAMPTZ), CAST_EXPLICIT, &time, &err),
        &err, "time");
    const char *json = "[{\"key\": \"a\", \"value\": \"1\"}, {\"key\": \"b\", \"value\": null}, "
                       "{\"key\": \"c\", \"bytes\": \"AP8=\"}]";
    struct expr **exprs = EXPRS(help, text_const(help, "k"), text_const(help, "v"), time,
        expr_const(&help->arena, TYPE(TYPE_INT4), datum_i64(2), 0),
        expr_const(&help->arena, TYPE(TYPE_JSONB), datum_str(ox_str(json)), 0));
    struct plan_insert *node = plan_insert_new(
        &help->arena, plan_values_new(&help->arena, exprs, 1, 5, NULL), topic, returning, 3);
    node->key = 0;
    node->value = 1;
    node->timestamp = 2;
    node->partition = 3;
    node->headers = 4;
    char want[512];
    snprintf(want, sizeof(want), "2,2024-05-06 07:08:09.123+00,%s", json);
    is_str(run_it(world, &node->plan), want, "partition, time and headers are as given");
    is_str(run_it(world, &scan(help, topic, returning, 3)->plan), want, "and are read so");
    exprs[3] = expr_const(&help->arena, TYPE(TYPE_INT4), datum_i64(4), 0);
    is_str(run_it(world, &node->plan), "error: invalid_parameter_value", "no such partition");
    exprs[3] = expr_const(&help->arena, TYPE(TYPE_INT4), datum_i64(1), 0);
    exprs[4] = expr_const(&help->arena, TYPE(TYPE_JSONB), datum_str(OX_STR("[1]")), 0);
    is_str(run_it(world, &node->plan), "error: invalid_parameter_value", "no such headers");
    char *large = ox_arena_alloc0(&help->arena, 2000001);
    memset(large, 'x', 2000000);
    const char *const rows[] = {"small", "1", "large", large};
    is_str(run_it(world, insert(help, topic, 2, rows, NULL, 0)), "error: message_too_large",
        "a record larger than the topic takes");
    is_str(run_it(world, count_of(help, scan(help, topic, place, 2), false, true)), "1,0,0",
        "leaves nothing of its statement");
}

static const struct plan_topic *
test_compressed(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *packed = NULL;
    static const char *const codecs[] = {"lz4", "zstd", "gzip", "snappy"};
    static const enum scan_column what[] = {SCAN_COMPRESSION, SCAN_KEY};
    for (int i = 0; i < 4; i++) {
        const struct plan_topic *topic = keep(
            help, create_topic_with(world, ox_arena_printf(&help->arena, "packed-%s", codecs[i]), 2,
                      "compression.type", codecs[i]));
        struct pull pull;
        pull_init(&pull, world, insert_many(help, topic, 1, 30000));
        pull_all(&pull);
        struct plan_scan_topic *node = scan(help, topic, place, 4);
        pull_init(&pull, world, &node->plan);
        pull.silent = true;
        pull_all(&pull);
        is_int(pull.rows, 30000, codecs[i]);
        node->order = SCAN_ORDER_OFFSET_DESC;
        pull_init(&pull, world, &node->plan);
        pull.silent = true;
        pull_all(&pull);
        is_int(pull.rows, 30000, "backward and merged");
        node = scan(help, topic, what, 1);
        node->limit = 1;
        is_str(run_it(world, &node->plan), codecs[i], "is what _compression says");
        packed = topic;
    }
    const struct plan_topic *topic = keep(
        help, create_topic_with(world, "stamped", 1, "message.timestamp.type", "LogAppendTime"));
    static const char *const rows[] = {"a", "1"};
    static const enum scan_column type[] = {SCAN_TIMESTAMP_TYPE};
    is_str(run_it(world, insert(help, topic, 1, rows, type, 1)), "append", "LogAppendTime");
    is_str(run_it(world, &scan(help, topic, type, 1)->plan), "append", "is in the batch");
    return packed;
}

/* producer < 0: not of a transaction */
static void
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

static void
append_records(struct plog *plog, struct log_append *append)
{
    struct ox_err err;
    struct buf *buf = append->records.buf;
    must(plog_append(plog, append, &err), &err, "append");
    ox_buf_put(buf);
}

static void
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
static void
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

static void
find_partition(struct loop *loop, void *arg)
{
    struct find *find = arg;
    (void)loop;
    find->part = partition_hold(
        replica_partition(find->world->replica, &find->topic->id, find->index));
}

static void
test_transactions(struct world *world)
{
    struct help *help = &world->help;
    const struct plan_topic *topic = keep(help, create_topic(world, "transactions", 1));
    struct find find = {.world = world, .topic = topic};
    on_loop(world, find_partition, &find);
    struct plog *plog = partition_log(find.part);
    append_batch(plog, 100, "kept", 0);
    append_batch(plog, 100, NULL, 1);
    append_batch(plog, 101, "dropped", 0);
    append_batch(plog, 101, NULL, 0);
    append_batch(plog, 102, "open", 0);
    struct partition_state state;
    for (int i = 0; i < 2000; i++) {
        partition_state(find.part, &state);
        if (state.high_watermark == 5)
            break;
        pause_ms(1);
    }
    is_int(state.high_watermark, 5, "three transactions, two ended");
    is_int(state.last_stable, 4, "one is open");
    static const enum scan_column what[] = {SCAN_OFFSET, SCAN_VALUE, SCAN_TXN, SCAN_PRODUCER_ID};
    is_str(run_it(world, &scan(help, topic, what, 4)->plan), "0,kept,committed,100",
        "only what is committed is read");
    is_str(run_it(world, count_of(help, scan(help, topic, place, 2), false, true)), "1,0,0",
        "or counted");
    help->config.read_uncommitted = true;
    is_str(run_it(world, &scan(help, topic, what, 4)->plan),
        "0,kept,committed,100;2,dropped,aborted,101;4,open,open,102", "all, if that is wanted");
    is_str(run_it(world, count_of(help, scan(help, topic, place, 2), false, true)), "3,0,4",
        "and counted");
    help->config.read_uncommitted = false;
    partition_put(find.part);
}

static void
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

/* ---- batches that do not end with the rows given at once ---------------------------- */

static void
append_many(struct plog *plog, int records, enum ox_codec codec)
{
    struct record_builder builder;
    begin_batch(&builder, -1, codec);
    for (int i = 0; i < records; i++) {
        char value[64];
        snprintf(value, sizeof(value), "%lld-%lld-%d", (long long)plog_log_end(plog) + i,
            (long long)plog_log_end(plog), i);
        record_builder_add(&builder, env_wall_ms(env_os()), OX_STR_NULL, ox_str(value), NULL, 0);
    }
    append_built(plog, &builder);
}

/* How many rows' values begin with their offset. */
static void
check_values(struct world *world, struct plan_scan_topic *node, size_t rows, const char *sentence)
{
    struct pull pull;
    pull_init(&pull, world, &node->plan);
    pull_all(&pull);
    char *text = world->help.text.ptr;
    size_t good = 0;
    is_int(pull.status, EXEC_DONE, sentence);
    if (pull.status != EXEC_DONE)
        printf("# %s\n", world->help.err.message);
    for (char *row = strtok(text, ";"); row != NULL; row = strtok(NULL, ";")) {
        const char *offset = strchr(row, ','), *value = strrchr(row, ',');
        size_t len = offset != NULL ? (size_t)(value - offset) : 0;
        good += len > 1 && strncmp(offset + 1, value + 1, len - 1) == 0 && value[len] == '-';
    }
    is_int(good, rows, "each value is that of its offset");
}

static void
test_turns(struct world *world)
{
    struct help *help = &world->help;
    static const enum scan_column what[] = {SCAN_PARTITION, SCAN_OFFSET, SCAN_VALUE};
    static const int sizes[] = {600, 900, 3000, 1023, 1025};
    static const enum ox_codec codecs[] = {OX_CODEC_NONE, OX_CODEC_LZ4};
    for (size_t c = 0; c < ox_count(codecs); c++) {
        size_t rows = 0;
        const struct plan_topic *topic = keep(
            help, create_topic(world, ox_arena_printf(&help->arena, "turns-%zu", c), 3));
        for (int32_t p = 0; p < 3; p++) {
            struct find find = {.world = world, .topic = topic, .index = p};
            on_loop(world, find_partition, &find);
            for (size_t i = 0; i < 20; i++) {
                int records = sizes[(i + (size_t)p) % ox_count(sizes)];
                append_many(partition_log(find.part), records, codecs[c]);
                rows += (size_t)records;
            }
            wait_for_end(find.part);
            partition_put(find.part);
        }
        check_values(world, scan(help, topic, what, 3), rows, "a scan");
        struct plan_scan_topic *node = scan(help, topic, what, 3);
        node->order = SCAN_ORDER_OFFSET;
        check_values(world, node, rows, "merged");
        node = scan(help, topic, what, 3);
        node->order = SCAN_ORDER_OFFSET_DESC;
        check_values(world, node, rows, "merged backward");
        node = scan(help, topic, what, 3);
        node->follow = true;
        node->start = SCAN_FROM_EARLIEST;
        node->until = SCAN_UNTIL_LATEST;
        check_values(world, node, rows, "a subscription");
    }
}

/* ---- FROM LAST n ------------------------------------------------------------------------------ */

static uint32_t random_state = 1;

static uint32_t
roll(uint32_t sides)
{
    random_state = random_state * 1103515245 + 12345;
    return (random_state >> 16) % sides;
}

/* Records with few keys and times in any order. */
static void
append_mixed(struct plog *plog, int64_t producer, enum ox_codec codec)
{
    struct record_builder builder;
    int64_t now_ms = env_wall_ms(env_os());
    begin_batch(&builder, producer, codec);
    for (uint32_t i = 0, count = 1 + roll(30); i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", roll(200));
        record_builder_add(&builder, now_ms - roll(1000), ox_str(key), ox_str("v"), NULL, 0);
    }
    append_built(plog, &builder);
}

/* Plain and compressed batches, transactions of every end, and a compacted part. */
static const struct plan_topic *
mixed_topic(struct world *world, const char *name, int32_t partitions)
{
    const struct plan_topic *topic = keep(
        &world->help, create_topic_with(world, name, partitions, "cleanup.policy", "compact"));
    static int64_t producer = 1000;
    struct ox_err err;
    bool worked = true;
    for (int32_t p = 0; p < partitions; p++) {
        struct find find = {.world = world, .topic = topic, .index = p};
        on_loop(world, find_partition, &find);
        struct plog *plog = partition_log(find.part);
        for (uint32_t i = 0; i < 60; i++) {
            uint32_t kind = roll(4);
            append_mixed(plog, kind < 2 ? -1 : ++producer, kind == 1 ? OX_CODEC_LZ4 : OX_CODEC_NONE);
            if (kind >= 2)
                append_batch(plog, producer, NULL, kind == 2);
            if (i == 40) {
                wait_for_end(find.part);
                must(plog_roll(plog, &err), &err, "roll");
            }
        }
        if (p == 0)
            append_mixed(plog, ++producer, OX_CODEC_NONE); /* open */
        wait_for_end(find.part);
        partition_put(find.part);
    }
    for (int i = 0; worked && i < 100; i++)
        must(log_dir_clean_step(world->log_dir, 1 << 20, env_wall_ms(env_os()), &worked, &err),
            &err, "compaction");
    return topic;
}

static const enum scan_column timed[] = {SCAN_PARTITION, SCAN_OFFSET, SCAN_TIMESTAMP};

static int
newest_first(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    if (x[2] != y[2])
        return x[2] < y[2] ? 1 : -1;
    if (x[1] != y[1])
        return x[1] < y[1] ? 1 : -1;
    return (x[0] > y[0]) - (x[0] < y[0]);
}

/* How many records each partition has among the newest n, of its own newest n. */
static void
count_places(const struct seen *all, size_t n, size_t *places, size_t partitions)
{
    int64_t(*list)[3] = ox_malloc((all->count + 1) * sizeof(*list));
    size_t total = 0, taken[8] = {0};
    ox_assert(partitions <= ox_count(taken));
    memset(places, 0, partitions * sizeof(*places));
    for (size_t i = all->count; i-- > 0;)
        if (taken[all->rows[i][0]]++ < n)
            memcpy(list[total++], all->rows[i], sizeof(*list));
    qsort(list, total, sizeof(*list), newest_first);
    for (size_t i = 0; i < OX_MIN(n, total); i++)
        places[list[i][0]]++;
    ox_free(list);
}

static struct plan_scan_topic *
last_plan(struct help *help, const struct plan_topic *topic, int64_t n)
{
    struct plan_scan_topic *node = scan(help, topic, timed, 3);
    node->follow = true;
    node->start = SCAN_FROM_LAST_ROWS;
    node->start_value = int_const(help, n);
    node->until = SCAN_UNTIL_LATEST;
    return node;
}

/* The rows of FROM LAST n are the ends of the partitions that the whole scan gives. */
static void
check_last(struct world *world, const struct plan_topic *topic, int64_t n, const char *key)
{
    struct help *help = &world->help;
    struct seen all = {0}, last = {0};
    struct pull pull;
    size_t places[8], count[8] = {0}, total = 0, bad = 0;
    struct plan_scan_topic *node = scan(help, topic, timed, 3), *from = last_plan(help, topic, n);
    if (key != NULL) {
        bound(help, node, BOUND_KEY, BOUND_EQ, text_const(help, key));
        bound(help, from, BOUND_KEY, BOUND_EQ, text_const(help, key));
    }
    pull_init(&pull, world, &node->plan);
    pull.silent = true;
    pull.seen = &all;
    pull_all(&pull);
    count_places(&all, (size_t)n, places, topic->partition_count);
    pull_init(&pull, world, &from->plan);
    pull.silent = true;
    pull.seen = &last;
    pull_all(&pull);
    ok(pull.status == EXEC_DONE,
        ox_arena_printf(&help->arena, "%.*s: the newest %lld%s%s", OX_STR_ARG(topic->name),
            (long long)n, key != NULL ? " of key " : "", key != NULL ? key : ""));
    for (size_t i = 0; i < last.count; i++)
        count[last.rows[i][0]]++;
    /* From the end, partition by partition: the same rows in the same order. */
    for (size_t p = 0; p < topic->partition_count; p++) {
        size_t i = last.count, k = all.count;
        bad += count[p] != places[p];
        total += places[p];
        for (size_t left = OX_MIN(places[p], count[p]); left > 0; left--) {
            while (last.rows[--i][0] != (int64_t)p)
                ;
            while (all.rows[--k][0] != (int64_t)p)
                ;
            bad += memcmp(last.rows[i], all.rows[k], sizeof(*all.rows)) != 0;
        }
    }
    is_int(bad, 0, "are the ends of what the whole scan gives");
    is_int(total, OX_MIN((size_t)n, all.count), "as many as were asked for");
    if (pull.status != EXEC_DONE)
        printf("# %s\n", help->err.message);
    printf("# %zu of %zu rows, %d parks, longest turn %llu us\n", last.count, all.count, pull.parks,
        (unsigned long long)pull.longest_ns / 1000);
    ox_free(all.rows);
    ox_free(last.rows);
}

static void
test_last(struct world *world, const struct plan_topic *large, const struct plan_topic *packed)
{
    struct help *help = &world->help;
    static const int64_t counts[] = {0, 1, 50, 1024, 70000, 199999, 1000000};
    for (size_t i = 0; i < ox_count(counts); i++)
        check_last(world, large, counts[i], NULL);
    check_last(world, large, 700, "7");
    check_last(world, packed, 20000, NULL);
    static const int64_t few[] = {1, 2, 10, 100, 333, 900, 100000};
    for (int32_t partitions = 1; partitions <= 3; partitions += 2) {
        const struct plan_topic *mixed = mixed_topic(
            world, ox_arena_printf(&help->arena, "mixed-%d", partitions), partitions);
        for (size_t i = 0; i < ox_count(few); i++)
            check_last(world, mixed, few[i], NULL);
        check_last(world, mixed, 3, "k7");
    }
}

/* What is looked for is nowhere: all is read, but the loop gets its turns. */
static void
test_last_slices(struct world *world, const struct plan_topic *large)
{
    struct help *help = &world->help;
    struct plan_scan_topic *node = last_plan(help, large, 10);
    bound(help, node, BOUND_KEY, BOUND_EQ, text_const(help, "nobody"));
    struct pull pull;
    pull_init(&pull, world, &node->plan);
    is_str(pull_all(&pull), "", "no record has the key");
    printf("# %d parks, longest turn %llu us\n", pull.parks,
        (unsigned long long)pull.longest_ns / 1000);
    ok(pull.parks > 0, "the search gives way to others");
    pull_init(&pull, world, &node->plan);
    on_loop(world, pull_start, &pull);
    is_int(pull.status, EXEC_PARK, "once more");
    exec_run_cancel(pull.run, OX_CANCELED, true);
    wait_for_it(world);
    is_int(pull.status, EXEC_FAIL, "and cancelled while it searches");
    on_loop(world, pull_end, &pull);
    pull_init(&pull, world, &node->plan);
    on_loop(world, pull_start, &pull);
    on_loop(world, pull_end, &pull);
    ok(true, "or freed");
    world->help.config.scan_bytes_limit = 100000;
    is_str(run_it(world, &node->plan), "error: scan_limit_exceeded", "scan_bytes_limit holds for it");
    world->help.config.scan_bytes_limit = 0;
    struct plan_scan_topic *live = last_plan(help, large, 150000);
    live->until = SCAN_UNTIL_NEVER;
    struct plan_subscribe *subscribe = plan_subscribe_new(&help->arena, &live->plan, live, true);
    subscribe->heartbeat_ms = 10000;
    pull_init(&pull, world, &subscribe->plan);
    pull.silent = true;
    pull.stop_rows = 1;
    on_loop(world, pull_start, &pull);
    wait_for_it(world);
    on_loop(world, pull_end, &pull);
    ok(pull.parks > 0 && pull.rows == 1, "its first progress row waits for the start");
}

int
main(void)
{
    struct world world;
    alarm(120); /* rather than hang */
    world_start(&world);
    const struct plan_topic *topic = keep(&world.help, create_topic(&world, "first", 1));
    test_insert(&world, topic);
    test_bounds(&world, topic);
    const struct plan_topic *large = test_large(&world);
    test_follow(&world);
    test_new_partitions(&world);
    test_progress(&world);
    test_newest(&world);
    test_columns(&world);
    const struct plan_topic *packed = test_compressed(&world);
    test_transactions(&world);
    test_turns(&world);
    test_last(&world, large, packed);
    test_last_slices(&world, large);
    world_stop(&world);
    return done();
}
