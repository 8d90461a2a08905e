/* SPDX-License-Identifier: Apache-2.0
 *
 * A log directory whose files hold anything: it must open or be refused, and
 * what opens must be readable or say why not, take an append, and open again.
 *
 * The input is a run of files: a byte that picks the name, two bytes of length,
 * the bytes. */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/diag.h"
#include "base/env.h"
#include "base/file_sim.h"
#include "log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const names[] = {
    "/data/t-0/00000000000000000000.log",
    "/data/t-0/00000000000000000000.index",
    "/data/t-0/00000000000000000000.timeindex",
    "/data/t-0/00000000000000000000.txnindex",
    "/data/t-0/leader-epoch-checkpoint",
    "/data/t-0/00000000000000000004.snapshot",
    "/data/t-0/00000000000000000009.log",
    "/data/t-0/partition.metadata",
    "/data/recovery-point-offset-checkpoint",
    "/data/log-start-offset-checkpoint",
    "/data/replication-offset-checkpoint",
    "/data/oxbow-wal-00000001",
    "/data/oxbow-wal-00000002",
    "/data/meta.properties",
    "/data/.kafka_cleanshutdown",
    "/data/t-0/00000000000000000004.log.swap",
};

static uint64_t ticks;

static uint64_t
mono(void *self)
{
    return ticks += 1000;
}

static int64_t
wall(void *self)
{
    return 1000000;
}

static void
fill(void *self, void *to, size_t len)
{
    memset(to, 7, len);
}

static void
write_file(struct file_system *fs, const char *name, const uint8_t *ptr, size_t len)
{
    struct file *file;
    if (fs_open(fs, "fuzz", name, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file, NULL) != OX_OK)
        return;
    file_pwrite(fs, "fuzz", file, ptr, len, 0, NULL);
    fs_close(fs, file);
}

static void
unpack(struct file_system *fs, const uint8_t *data, size_t len)
{
    fs_mkdir(fs, "fuzz", "/data", NULL);
    fs_mkdir(fs, "fuzz", "/data/t-0", NULL);
    while (len >= 3) {
        const char *name = names[data[0] % ox_count(names)];
        size_t size = OX_MIN((size_t)data[1] << 8 | data[2], len - 3);
        write_file(fs, name, data + 3, size);
        data += 3 + size;
        len -= 3 + size;
    }
}

static void
read_all(struct plog *plog, int flags)
{
    struct log_cursor *cursor;
    struct record_batch batch;
    struct ox_err err;
    bool more;
    int64_t last = -1;
    if (log_cursor_open(plog, 0, INT64_MAX, flags, &cursor, &err) != OX_OK)
        return;
    while (log_cursor_next(cursor, &batch, &more, &err) == OX_OK && more) {
        ox_assert((flags & LOG_CURSOR_BACKWARD) || batch.base_offset > last);
        last = record_batch_last_offset(&batch);
    }
    log_cursor_close(cursor);
}

static void
use(struct plog *plog)
{
    struct log_range range;
    struct log_timed_offset timed;
    struct log_aborted_txn *aborted;
    struct slice marker;
    struct ox_err err;
    struct arena arena;
    size_t count;
    ox_arena_init(&arena);
    ox_assert(plog_log_start(plog) <= plog_log_end(plog));
    read_all(plog, 0);
    read_all(plog, LOG_CURSOR_HEADERS);
    read_all(plog, LOG_CURSOR_BACKWARD);
    if (plog_read(plog, plog_log_start(plog), plog_log_end(plog), 1000, true, &range, &err) ==
        OX_OK)
        log_range_put(&range);
    plog_offset_by_time(plog, 1000000, INT64_MAX, &timed, &err);
    plog_offset_of_max_time(plog, &timed, &err);
    plog_aborted_txns(plog, 0, INT64_MAX, &arena, &aborted, &count, &err);
    if (record_batch_marker(1, 0, false, 1, 1000000, &marker, &err) == OX_OK) {
        struct log_append append = {.records = marker, .origin = LOG_FROM_COORDINATOR,
            .now_ms = 1000000};
        plog_append(plog, &append, &err);
        ox_buf_put(marker.buf);
    }
    ox_arena_fini(&arena);
}

static void
run(const struct env *env)
{
    struct log_dir_config config;
    struct log_dir *dir;
    struct plog *plog;
    struct ox_err err;
    log_dir_config_init(&config);
    config.path = "/data";
    config.threads = false;
    config.reserve_bytes = 0;
    config.wal_file_bytes = 8192;
    if (log_dir_open(&config, env, &dir, &err) != OX_OK)
        return;
    struct plog_args args = {.topic = "t"};
    plog_config_init(&args.config);
    memset(args.topic_id.bytes, 5, 16);
    if (plog_open(dir, &args, &plog, &err) == OX_OK) {
        use(plog);
        log_dir_flush_step(dir, &err);
        log_dir_checkpoint_step(dir, &err);
        plog_close(plog);
    }
    log_dir_close(dir);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct file_sim *sim = file_sim_new(1);
    struct env env = {.clock = {mono, wall, NULL}, .fs = file_sim_fs(sim), .random_bytes = fill};
    ox_diag_set_level(OX_DIAG_ERROR + 1); /* nothing */
    unpack(env.fs, data, len);
    run(&env);
    run(&env);
    file_sim_free(sim);
    return 0;
}
