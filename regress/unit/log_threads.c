/* SPDX-License-Identifier: Apache-2.0
 *
 * The real threads on real files: appenders, readers, the flusher, the
 * checkpointer, retention, all at once; then everything is there. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/env.h"
#include "log/log.h"
#include "tap.h"

enum { LOGS = 4, APPENDERS = 3, ROUNDS = 400, RECORDS = 5 };

static struct log_dir *dir;
static struct plog *plogs[LOGS];
static _Atomic int64_t told[LOGS];
static _Atomic int failures;
static _Atomic int running;

static void
on_flushed(void *arg, int64_t end)
{
    _Atomic int64_t *slot = arg;
    if (atomic_load(slot) >= end)
        atomic_fetch_add(&failures, 1);
    atomic_store(slot, end);
    plog_set_high_watermark(plogs[slot - told], end);
}

static struct slice
make_batch(void)
{
    struct record_builder builder;
    struct slice out;
    struct ox_err err;
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    for (int i = 0; i < RECORDS; i++)
        record_builder_add(&builder, env_wall_ms(env_os()), OX_STR("key"),
            OX_STR("a value of some length, to fill segments"), NULL, 0);
    if (record_builder_finish(&builder, &out, &err) != OX_OK)
        abort();
    record_builder_fini(&builder);
    return out;
}

static void *
append_some(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct plog *plog = plogs[i % LOGS];
        struct slice batch = make_batch();
        struct log_append append = {.records = batch, .now_ms = env_wall_ms(env_os()),
            .flags = i % 3 == 0 ? LOG_FLUSH_SOON : 0};
        struct ox_err err;
        if (plog_append(plog, &append, &err) != OX_OK)
            atomic_fetch_add(&failures, 1);
        ox_buf_put(batch.buf);
        if (i % 50 == 49)
            plog_flush_soon(plog);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void
read_one(struct plog *plog, uint8_t *space, size_t len)
{
    struct log_range range;
    struct ox_err err;
    int64_t at = plog_log_start(plog), end = plog_log_end(plog);
    while (at < end) {
        ox_code rc = plog_read(plog, at, end, len, true, &range, &err);
        if (rc == OX_OFFSET_OUT_OF_RANGE)
            return; /* retention was faster */
        if (rc != OX_OK || range.seg == NULL || range.base_offset > at ||
            log_range_pread(&range, space, &err) != OX_OK) {
            atomic_fetch_add(&failures, 1);
            return;
        }
        struct record_batch batch;
        if (record_batch_check(space, range.len, &batch, &err) != OX_OK)
            atomic_fetch_add(&failures, 1);
        at = range.next_offset;
        log_range_put(&range);
    }
}

static void *
read_some(void *arg)
{
    uint8_t *space = malloc(1 << 16);
    for (int i = 0; atomic_load(&running) > 0; i++)
        read_one(plogs[i % LOGS], space, 1 << 15);
    free(space);
    return NULL;
}

static void *
retain_some(void *arg)
{
    while (atomic_load(&running) > 0) {
        struct ox_err err;
        uint64_t freed;
        for (int i = 0; i < LOGS; i++)
            if (plog_retain(plogs[i], env_wall_ms(env_os()), &freed, &err) != OX_OK)
                atomic_fetch_add(&failures, 1);
        usleep(1000);
    }
    return NULL;
}

static void
open_all(const char *path)
{
    struct log_dir_config config;
    struct ox_err err;
    log_dir_config_init(&config);
    config.path = path;
    config.cluster_id = "threads";
    config.node_id = 1;
    config.reserve_bytes = 0;
    config.wal_file_bytes = 256 << 10;
    config.wal_bytes_max = 1 << 20;
    config.flush_linger_us = 500;
    config.checkpoint_interval_ms = 20;
    if (log_dir_open(&config, env_os(), &dir, &err) != OX_OK) {
        printf("Bail out! %s\n", err.message);
        exit(1);
    }
    for (int i = 0; i < LOGS; i++) {
        struct plog_args args = {.topic = "t", .partition = i, .on_flushed = on_flushed,
            .arg = (void *)&told[i]};
        plog_config_init(&args.config);
        args.config.segment_bytes = 64 << 10;
        args.config.retention_bytes = 100 << 10;
        args.config.file_delete_delay_ms = 1;
        args.config.flush_ack = i != 3;
        memset(args.topic_id.bytes, 3, 16);
        if (plog_open(dir, &args, &plogs[i], &err) != OX_OK) {
            printf("Bail out! %s\n", err.message);
            exit(1);
        }
    }
}

static void
wait_flushed(void)
{
    for (int i = 0; i < LOGS - 1; i++) {
        plog_flush_soon(plogs[i]);
        for (int tries = 0; tries < 5000 && plog_flushed_end(plogs[i]) < plog_log_end(plogs[i]);
             tries++)
            usleep(1000);
        is_int(plog_flushed_end(plogs[i]), plog_log_end(plogs[i]), "all is flushed in the end");
        is_int(atomic_load(&told[i]), plog_log_end(plogs[i]), "and the owner was told");
    }
}

int
main(void)
{
    char path[64], command[128];
    pthread_t threads[APPENDERS + 2];
    ox_diag_set_level(OX_DIAG_WARN);
    snprintf(path, sizeof(path), "/tmp/oxbow-threads-%d", (int)getpid());
    open_all(path);
    atomic_store(&running, APPENDERS);
    for (int i = 0; i < APPENDERS; i++)
        pthread_create(&threads[i], NULL, append_some, NULL);
    pthread_create(&threads[APPENDERS], NULL, read_some, NULL);
    pthread_create(&threads[APPENDERS + 1], NULL, retain_some, NULL);
    for (int i = 0; i < APPENDERS + 2; i++)
        pthread_join(threads[i], NULL);
    is_int(atomic_load(&failures), 0, "nothing failed");
    int64_t total = 0;
    for (int i = 0; i < LOGS; i++)
        total += plog_log_end(plogs[i]);
    is_int(total, APPENDERS * ROUNDS * RECORDS, "every record got its offset");
    wait_flushed();
    for (int i = 0; i < LOGS; i++)
        plog_drop(plogs[i]);
    log_dir_abandon(dir);
    open_all(path);
    int64_t after = 0;
    for (int i = 0; i < LOGS; i++)
        after += plog_log_end(plogs[i]);
    is_int(after, total, "all are there after a kill");
    for (int i = 0; i < LOGS; i++)
        plog_close(plogs[i]);
    log_dir_close(dir);
    snprintf(command, sizeof(command), "rm -rf %s", path);
    if (system(command) != 0)
        return 1;
    return done();
}
