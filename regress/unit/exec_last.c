/* SPDX-License-Identifier: Apache-2.0
 *
 * FROM LAST n over real partitions: what it gives is the end of what a whole scan
 * gives, and its search gives way to others. */
#include "exec_world.h"

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

static const struct plan_topic *
filled_topic(struct world *world, const char *name, int32_t partitions, const char *codec,
    int64_t records)
{
    const struct plan_topic *topic = keep(&world->help,
        create_topic_with(world, name, partitions, "compression.type", codec));
    run_it(world, insert_many(&world->help, topic, 1, records));
    return topic;
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
check_last(struct world *world, const struct plan_topic *topic, int64_t n)
{
    struct help *help = &world->help;
    struct seen all = {0}, last = {0};
    struct pull pull;
    size_t places[8], count[8] = {0}, total = 0, bad = 0;
    struct plan_scan_topic *node = scan(help, topic, timed, 3), *from = last_plan(help, topic, n);
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
        ox_arena_printf(&help->arena, "%.*s: the newest %lld", OX_STR_ARG(topic->name),
            (long long)n));
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
        check_last(world, large, counts[i]);
    check_last(world, packed, 20000);
    static const int64_t few[] = {1, 2, 10, 100, 333, 900, 100000};
    for (int32_t partitions = 1; partitions <= 3; partitions += 2) {
        const struct plan_topic *mixed = mixed_topic(
            world, ox_arena_printf(&help->arena, "mixed-%d", partitions), partitions);
        for (size_t i = 0; i < ox_count(few); i++)
            check_last(world, mixed, few[i]);
    }
}

/* All is read, but the loop gets its turns. */
static void
test_last_slices(struct world *world, const struct plan_topic *large)
{
    struct help *help = &world->help;
    struct plan_scan_topic *node = last_plan(help, large, 190000);
    struct pull pull;
    pull_init(&pull, world, &node->plan);
    pull.silent = true;
    pull_all(&pull);
    is_int(pull.rows, 190000, "nearly all");
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
    const struct plan_topic *large = filled_topic(&world, "large", 3, "producer", 200000);
    const struct plan_topic *packed = filled_topic(&world, "packed", 2, "snappy", 30000);
    test_last(&world, large, packed);
    test_last_slices(&world, large);
    world_stop(&world);
    return done();
}
