/* SPDX-License-Identifier: Apache-2.0
 *
 * Scans, subscriptions and inserts over real partitions. */
#include "exec_world.h"

/* ---- plans ---- */

static const enum scan_column place[] = {SCAN_PARTITION, SCAN_OFFSET, SCAN_KEY, SCAN_VALUE};

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

static void
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

static void
test_compressed(struct world *world)
{
    struct help *help = &world->help;
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
    }
    const struct plan_topic *topic = keep(
        help, create_topic_with(world, "stamped", 1, "message.timestamp.type", "LogAppendTime"));
    static const char *const rows[] = {"a", "1"};
    static const enum scan_column type[] = {SCAN_TIMESTAMP_TYPE};
    is_str(run_it(world, insert(help, topic, 1, rows, type, 1)), "append", "LogAppendTime");
    is_str(run_it(world, &scan(help, topic, type, 1)->plan), "append", "is in the batch");
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

int
main(void)
{
    struct world world;
    alarm(120); /* rather than hang */
    world_start(&world);
    const struct plan_topic *topic = keep(&world.help, create_topic(&world, "first", 1));
    test_insert(&world, topic);
    test_bounds(&world, topic);
    test_large(&world);
    test_follow(&world);
    test_new_partitions(&world);
    test_progress(&world);
    test_newest(&world);
    test_columns(&world);
    test_compressed(&world);
    test_transactions(&world);
    test_turns(&world);
    world_stop(&world);
    return done();
}
