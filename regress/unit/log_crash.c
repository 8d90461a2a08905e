/* SPDX-License-Identifier: Apache-2.0
 *
 * Power cuts over the simulated disk. Each seed makes a workload (appends,
 * flushes, checkpoints, rolls, truncation, retention, clean restarts) over three
 * partitions, cuts the power at a random operation, sometimes again during the
 * recovery, sometimes after injected errors, and then compares the logs with what a model remembers:
 *
 *   - nothing that was flushed is lost, nothing that was never written appears
 *   - every batch is what was written at its offset, in order
 *   - the last sequence of each producer is that of its last batch in the log
 *   - recovering once more changes no byte
 *
 * OX_SEED=n runs one seed, OX_LONG=1 many. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/env.h"
#include "base/file_sim.h"
#include "base/rand.h"
#include "log/log.h"
#include "tap.h"

enum { PARTITIONS = 3, BATCHES_MAX = 4096, OPS = 120, CUTS = 4 };

struct model_batch {
    int64_t base, last;
    uint32_t crc;
    int64_t pid;
    int32_t last_sequence;
    bool doubtful; /* the append failed: the bytes may be there or not */
};

struct model {
    struct plog *plog;
    struct model_batch batches[BATCHES_MAX]; /* in the log, or cut off a moment ago */
    int count;
    int64_t flushed, log_start;
    int32_t sequence[2]; /* next, of each producer */
    int32_t epoch;
    bool lazy;
    bool unsure; /* a truncation failed: how far it went is not known */
};

struct world {
    uint64_t seed;
    struct rand_state rand;
    struct file_sim *sim;
    struct env env;
    int64_t wall;
    uint64_t mono;
    bool failing; /* errors are injected: calls may fail without a power cut */
    struct rand_state random;
    struct log_dir *dir;
    struct model models[PARTITIONS];
    char problem[400];
};

static int64_t
world_wall(void *self)
{
    struct world *world = self;
    return world->wall += 3;
}

static uint64_t
world_mono(void *self)
{
    struct world *world = self;
    return world->mono += 1000000;
}

static void
world_random(void *self, void *to, size_t len)
{
    struct world *world = self;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = (uint8_t)ox_rand(&world->random);
}

static bool tracing;

#define trace(...) (tracing ? (void)printf("# " __VA_ARGS__) : (void)0)

static bool
problem(struct world *world, const char *what, int partition, int64_t a, int64_t b)
{
    if (world->problem[0] == '\0')
        snprintf(world->problem, sizeof(world->problem), "seed %llu, partition %d: %s (%lld, %lld)",
            (unsigned long long)world->seed, partition, what, (long long)a, (long long)b);
    return false;
}

static struct plog_config
config_of(const struct model *model)
{
    struct plog_config config;
    plog_config_init(&config);
    config.segment_bytes = 6000;
    config.index_interval_bytes = 200;
    config.max_message_bytes = 5000;
    config.retention_ms = -1;
    config.retention_bytes = 20000;
    config.file_delete_delay_ms = 10;
    config.timestamp_before_max_ms = config.timestamp_after_max_ms = INT64_MAX;
    config.producer_id_expiration_ms = INT64_MAX;
    config.flush_ack = !model->lazy;
    return config;
}

/* A failure that nothing explains. */
static bool
unexpected(const struct world *world)
{
    return !file_sim_crashed(world->sim) && !world->failing;
}

static bool
open_world(struct world *world)
{
    struct log_dir_config config;
    struct ox_err err;
    log_dir_config_init(&config);
    config.path = "/data";
    config.cluster_id = "crash";
    config.node_id = 1;
    config.threads = false;
    config.wal_file_bytes = 16384;
    config.wal_bytes_max = 1 << 20;
    config.direct_bytes_min = 3000;
    config.direct_files_max = 2;
    if (log_dir_open(&config, &world->env, &world->dir, &err) != OX_OK) {
        world->dir = NULL;
        return unexpected(world) ? problem(world, err.message, -1, 0, 0) : false;
    }
    for (int i = 0; i < PARTITIONS; i++) {
        struct plog_args args = {.topic = "t", .partition = i, .config = config_of(&world->models[i])};
        memset(args.topic_id.bytes, 9, 16);
        if (plog_open(world->dir, &args, &world->models[i].plog, &err) != OX_OK) {
            world->models[i].plog = NULL;
            return unexpected(world) ? problem(world, err.message, i, 0, 0) : false;
        }
    }
    return true;
}

static void
drop_world(struct world *world)
{
    for (int i = 0; i < PARTITIONS; i++)
        if (world->models[i].plog != NULL) {
            plog_drop(world->models[i].plog);
            world->models[i].plog = NULL;
        }
    if (world->dir != NULL)
        log_dir_abandon(world->dir);
    world->dir = NULL;
}

/* ---- the workload ---- */

static void
append(struct world *world, struct model *model)
{
    struct record_builder builder;
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    struct slice out;
    struct ox_err err;
    char value[1200];
    int count = 1 + (int)ox_rand_below(&world->rand, 4), producer = -1;
    size_t len = ox_rand_below(&world->rand, 10) == 0 ? 1100 : 10 + ox_rand_below(&world->rand, 200);
    if (model->count == BATCHES_MAX)
        return;
    if (ox_rand_below(&world->rand, 2)) {
        producer = (int)ox_rand_below(&world->rand, 2);
        config.producer_id = 100 + producer;
        config.producer_epoch = 0;
        config.base_sequence = model->sequence[producer];
    }
    for (size_t i = 0; i < len; i++)
        value[i] = (char)ox_rand(&world->rand);
    record_builder_init(&builder);
    record_builder_begin(&builder, &config);
    for (int i = 0; i < count; i++)
        record_builder_add(&builder, world->wall, OX_STR("key"), ox_str_n(value, len), NULL, 0);
    if (record_builder_finish(&builder, &out, &err) != OX_OK)
        abort();
    record_builder_fini(&builder);
    struct log_append append = {.records = out, .leader_epoch = model->epoch,
        .now_ms = world->wall};
    uint32_t crc = wire_load32(ox_slice_ptr(&out) + 17);
    int64_t end = plog_log_end(model->plog);
    ox_code rc = plog_append(model->plog, &append, &err);
    ox_buf_put(out.buf);
    trace("append on %d at %lld code %d crc %08x\n", (int)(model - world->models), (long long)end,
        rc, crc);
    if (rc == OX_OK) {
        model->batches[model->count++] = (struct model_batch){append.base_offset,
            append.last_offset, crc, config.producer_id,
            producer >= 0 ? config.base_sequence + count - 1 : -1, false};
        if (producer >= 0)
            model->sequence[producer] += count;
    } else if (file_sim_crashed(world->sim) || world->failing) {
        /* The write may be on the disk in part or whole. */
        model->batches[model->count++] = (struct model_batch){end, end + count - 1, crc,
            config.producer_id, producer >= 0 ? config.base_sequence + count - 1 : -1, true};
    } else {
        problem(world, err.message, 0, rc, 0);
    }
}

static void
resync_sequences(struct model *model)
{
    model->sequence[0] = model->sequence[1] = 0;
    for (int i = 0; i < model->count; i++)
        if (model->batches[i].pid >= 0)
            model->sequence[model->batches[i].pid - 100] = model->batches[i].last_sequence + 1;
}

static void
cut_model(struct model *model, int64_t end)
{
    while (model->count > 0 && model->batches[model->count - 1].last >= end)
        model->count--;
    resync_sequences(model);
}

/* Appends that failed and did not turn up. */
static void
drop_doubtful(struct model *model)
{
    int keep = 0;
    for (int i = 0; i < model->count; i++)
        if (!model->batches[i].doubtful)
            model->batches[keep++] = model->batches[i];
    model->count = keep;
}

static void
truncate_log(struct world *world, struct model *model)
{
    int64_t start = plog_log_start(model->plog), end = plog_log_end(model->plog);
    if (end - start < 4)
        return;
    int64_t at = end - 1 - (int64_t)ox_rand_below(&world->rand, (uint64_t)(end - start) / 2 + 1);
    struct ox_err err;
    for (int i = 0; i < model->count; i++)
        if (model->batches[i].base <= at && model->batches[i].last >= at && model->flushed > model->batches[i].base)
            model->flushed = model->batches[i].base;
    model->epoch++;
    model->unsure = true;
    ox_code rc = plog_truncate(model->plog, at, &err);
    model->unsure = rc != OX_OK;
    if (rc == OX_OK)
        cut_model(model, plog_log_end(model->plog));
    else if (unexpected(world))
        problem(world, err.message, 0, rc, at);
}

static void
note_flushed(struct world *world)
{
    for (int i = 0; i < PARTITIONS; i++) {
        struct model *model = &world->models[i];
        int64_t flushed = model->unsure ? -1 : plog_flushed_end(model->plog);
        if (flushed > model->flushed)
            model->flushed = flushed;
    }
}

static void
step(struct world *world)
{
    struct model *model = &world->models[ox_rand_below(&world->rand, PARTITIONS)];
    struct ox_err err;
    ox_code rc = OX_OK;
    uint64_t freed;
    int64_t start;
    uint64_t what = ox_rand_below(&world->rand, 24);
    trace("step %d on %d, log [%lld, %lld) flushed %lld\n", (int)what,
        (int)(model - world->models), (long long)plog_log_start(model->plog),
        (long long)plog_log_end(model->plog), (long long)plog_flushed_end(model->plog));
    switch (what) {
    case 0:
        rc = log_dir_checkpoint_step(world->dir, &err);
        log_dir_purge(world->dir, world->wall + 1000);
        break;
    case 1:
        rc = plog_roll(model->plog, &err);
        break;
    case 2:
        truncate_log(world, model);
        break;
    case 3:
        plog_set_high_watermark(model->plog, plog_flushed_end(model->plog));
        rc = plog_retain(model->plog, world->wall, &freed, &err);
        log_dir_purge(world->dir, world->wall);
        break;
    case 4:
        plog_set_high_watermark(model->plog, plog_flushed_end(model->plog));
        start = plog_log_start(model->plog);
        plog_delete_records(model->plog,
            start + (plog_high_watermark(model->plog) - start) / 3, &start, &err);
        break;
    case 5:
        model->lazy = !model->lazy;
        struct plog_config config = config_of(model);
        plog_set_config(model->plog, &config);
        break;
    case 6:
        rc = plog_begin_epoch(model->plog, ++model->epoch, &err);
        break;
    case 7: case 8: case 9: case 10: case 11:
        rc = log_dir_flush_step(world->dir, &err);
        break;
    default:
        append(world, model);
    }
    if (rc != OX_OK && unexpected(world))
        problem(world, err.message, -1, rc, 0);
    note_flushed(world);
}

/* ---- the comparison ---- */

static bool
compare_batches(struct world *world, int p)
{
    struct model *model = &world->models[p];
    struct log_cursor *cursor;
    struct record_batch batch;
    struct ox_err err;
    bool more;
    int64_t at = plog_log_start(model->plog), end = plog_log_end(model->plog);
    if (log_cursor_open(model->plog, at, end, 0, &cursor, &err) != OX_OK)
        return problem(world, err.message, p, at, end);
    for (int i = 0; i < model->count; i++)
        model->batches[i].doubtful |= model->batches[i].base >= at;
    ox_code rc;
    while ((rc = log_cursor_next(cursor, &batch, &more, &err)) == OX_OK && more) {
        /* Of two batches that were written at an offset, before and after a
         * cut, either may be there: look at both. */
        bool same = false;
        for (int i = 0; i < model->count; i++)
            if (model->batches[i].base == batch.base_offset) {
                model->batches[i].doubtful = model->batches[i].crc != batch.crc;
                same |= model->batches[i].crc == batch.crc;
            }
        if (!same)
            trace("found crc %08x\n", batch.crc);
        if (!same)
            problem(world, "a batch is not what was written", p, batch.base_offset, end);
        if (batch.base_offset > at)
            problem(world, "there is a hole", p, at, batch.base_offset);
        at = record_batch_next_offset(&batch);
    }
    log_cursor_close(cursor);
    if (rc != OX_OK)
        return problem(world, err.message, p, at, end);
    struct arena arena;
    struct log_segment_facts *segs;
    size_t seg_count;
    ox_arena_init(&arena);
    plog_segments(model->plog, &arena, &segs, &seg_count, &err);
    for (size_t i = 0; i < seg_count; i++)
        trace("%d has segment [%lld, %lld), %llu bytes\n", p, (long long)segs[i].base_offset,
            (long long)segs[i].next_offset, (unsigned long long)segs[i].bytes);
    ox_arena_fini(&arena);
    return at == end ? true : problem(world, "the log ends early", p, at, end);
}

static bool
compare_producers(struct world *world, int p)
{
    struct model *model = &world->models[p];
    struct arena arena;
    struct log_producer_facts *facts;
    size_t count;
    ox_arena_init(&arena);
    plog_producers(model->plog, &arena, &facts, &count);
    for (size_t i = 0; i < count; i++) {
        int32_t want = -2;
        for (int k = 0; k < model->count; k++)
            if (model->batches[k].pid == facts[i].producer_id)
                want = model->batches[k].last_sequence;
        if (want != -2 && want != facts[i].last_sequence)
            problem(world, "a producer's sequence is wrong", p, facts[i].last_sequence, want);
    }
    ox_arena_fini(&arena);
    return world->problem[0] == '\0';
}

static bool
compare(struct world *world)
{
    for (int p = 0; p < PARTITIONS; p++) {
        struct model *model = &world->models[p];
        struct ox_err err;
        int64_t end = plog_log_end(model->plog);
        if (plog_fault(model->plog, &err) != OX_OK)
            return problem(world, err.message, p, end, model->flushed);
        if (end < model->flushed)
            return problem(world, "flushed records are lost", p, end, model->flushed);
        if (!compare_batches(world, p))
            return false;
        drop_doubtful(model);
        cut_model(model, end);
        model->flushed = end;
        model->unsure = false;
        if (!compare_producers(world, p))
            return false;
    }
    return true;
}

/* Opens after a cut; the power may go again meanwhile. */
static bool
recover(struct world *world)
{
    for (int tries = 0;; tries++) {
        file_sim_restart(world->sim);
        trace("power cut at operation %llu\n", (unsigned long long)file_sim_ops(world->sim));
        if (tries < 3 && ox_rand_below(&world->rand, 3) == 0)
            file_sim_crash_at(world->sim,
                file_sim_ops(world->sim) + 1 + ox_rand_below(&world->rand, 12));
        bool open = open_world(world);
        file_sim_crash_at(world->sim, 0);
        if (open && !file_sim_crashed(world->sim))
            return true;
        if (!file_sim_crashed(world->sim))
            return false;
        drop_world(world);
    }
}

/* Recovery is done: once more, as after a kill, must change nothing. */
static bool
recover_again(struct world *world)
{
    drop_world(world);
    uint64_t before = file_sim_digest(world->sim, NULL);
    if (!open_world(world))
        return problem(world, "a second recovery failed", -1, 0, 0);
    drop_world(world);
    if (file_sim_digest(world->sim, NULL) != before)
        return problem(world, "a second recovery changes bytes", -1, 0, 0);
    return open_world(world);
}

static void
restart_clean(struct world *world)
{
    trace("clean restart\n");
    for (int i = 0; i < PARTITIONS; i++) {
        plog_close(world->models[i].plog);
        world->models[i].plog = NULL;
    }
    log_dir_close(world->dir);
    world->dir = NULL;
    if (!file_sim_crashed(world->sim) && open_world(world)) {
        for (int i = 0; i < PARTITIONS; i++)
            if (plog_log_end(world->models[i].plog) > world->models[i].flushed)
                world->models[i].flushed = plog_log_end(world->models[i].plog);
    }
}

static void note_site(void *arg, const char *site, uint64_t hits);

static bool
run_seed(uint64_t seed, char *why)
{
    struct world *world = calloc(1, sizeof(*world));
    world->seed = seed;
    world->wall = 1000000;
    ox_rand_seed(&world->rand, seed);
    ox_rand_seed(&world->random, seed ^ 77);
    world->sim = file_sim_new(seed * 31 + 7);
    world->env = (struct env){.clock = {world_mono, world_wall, world},
        .fs = file_sim_fs(world->sim), .random_bytes = world_random, .random_self = world};
    world->models[2].lazy = true;
    bool open = open_world(world);
    for (int cut = 0; cut < CUTS && open && world->problem[0] == '\0'; cut++) {
        file_sim_crash_at(world->sim,
            file_sim_ops(world->sim) + 1 + ox_rand_below(&world->rand, 150));
        world->failing = ox_rand_below(&world->rand, 3) == 0;
        if (world->failing)
            file_sim_fail(world->sim, NULL, 1 + ox_rand_below(&world->rand, 120),
                ox_rand_below(&world->rand, 4) == 0,
                ox_rand_below(&world->rand, 2) ? OX_IO_ERROR : OX_DISK_FULL);
        for (int i = 0; i < OPS && !file_sim_crashed(world->sim) && world->problem[0] == '\0'; i++) {
            step(world);
            /* Not after errors: who opens again without a power cut reads pages
             * from the cache that never reached the disk. */
            if (world->dir != NULL && ox_rand_below(&world->rand, 40) == 0 &&
                unexpected(world))
                restart_clean(world);
            if (world->dir == NULL || world->models[PARTITIONS - 1].plog == NULL)
                break;
        }
        drop_world(world);
        file_sim_fail_clear(world->sim);
        world->failing = false;
        open = recover(world) && compare(world) && recover_again(world) && compare(world);
    }
    if (world->dir != NULL || world->models[0].plog != NULL)
        drop_world(world);
    snprintf(why, 400, "%s", world->problem);
    file_sim_each_site(world->sim, note_site, NULL);
    file_sim_free(world->sim);
    bool good = open && world->problem[0] == '\0';
    free(world);
    return good;
}

/* Sites of log/ that some seed must pass, besides those of wal_replay.c's
 * rare cases: what is not met is not tested. */
static const char *const must_meet[] = {"log.append", "log.sync", "log.sync_dir", "log.truncate",
    "wal.create", "wal.header", "wal.append", "wal.sync", "wal.recycle", "wal.reuse", "wal.replay",
    "wal.replay_sync", "wal.unlink", "segment.create", "segment.delete", "segment.unlink",
    "index.write", "index.sync", "index.trim", "epochs.write", "snapshot.write", "snapshot.sync",
    "checkpoint.write", "recover.cut", "recover.sync", "recover.unlink", "recover.lost",
    "dir.identity", "dir.clean_mark", "dir.unlink", "plog.mkdir",
    "plog.metadata"};
static uint64_t met[sizeof(must_meet) / sizeof(must_meet[0])];

static void
note_site(void *arg, const char *site, uint64_t hits)
{
    for (size_t i = 0; i < sizeof(must_meet) / sizeof(must_meet[0]); i++)
        if (strcmp(site, must_meet[i]) == 0)
            met[i] += hits;
}

static void
check_sites(void)
{
    int missing = 0;
    for (size_t i = 0; i < sizeof(must_meet) / sizeof(must_meet[0]); i++)
        if (met[i] == 0) {
            printf("# no seed came past \"%s\"\n", must_meet[i]);
            missing++;
        }
    is_int(missing, 0, "every place that changes the disk was met");
}

int
main(void)
{
    const char *one = getenv("OX_SEED");
    tracing = one != NULL;
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t count = one ? 1 : getenv("OX_LONG") ? 20000 : 300;
    char why[400];
    if (one == NULL)
        ox_diag_set_level(OX_DIAG_ERROR + 1); /* every cut is reported as a lost disk */
    int bad = 0;
    for (uint64_t seed = first; seed < first + count && bad < 10; seed++)
        if (!run_seed(seed, why)) {
            printf("# %s\n", why);
            bad++;
        }
    is_int(bad, 0, "logs survive power cuts");
    if (one == NULL)
        check_sites();
    return done();
}
