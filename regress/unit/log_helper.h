/* SPDX-License-Identifier: Apache-2.0
 *
 * A log directory on a simulated disk, for the tests of log/. */
#ifndef UNIT_LOG_HELPER_H
#define UNIT_LOG_HELPER_H

#include <stdlib.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/env.h"
#include "base/file_sim.h"
#include "log/log.h"
#include "tap.h"

static struct file_sim *sim;
static struct env env;
static int64_t wall = 1000000;
static uint64_t mono;
static uint64_t random_state = 1;
static struct log_dir *dir;
static struct plog *plog;
static struct plog_config config;
static struct log_dir_config dir_config;
static struct ox_err err;

static inline int64_t
help_wall(void *self)
{
    return wall;
}

static inline uint64_t
help_mono(void *self)
{
    return mono += 1000;
}

static inline void
help_random(void *self, void *to, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = (uint8_t)(random_state = random_state * 6364136223846793005u + 1442695);
}

static inline void
help_init(void)
{
    sim = file_sim_new(42);
    env.clock.mono_ns = help_mono;
    env.clock.wall_ms = help_wall;
    env.fs = file_sim_fs(sim);
    env.random_bytes = help_random;
    log_dir_config_init(&dir_config);
    dir_config.path = "/data";
    dir_config.cluster_id = "unit";
    dir_config.node_id = 1;
    dir_config.threads = false;
    dir_config.reserve_bytes = 0;
    dir_config.wal_file_bytes = 1 << 20;
    plog_config_init(&config);
    config.timestamp_before_max_ms = INT64_MAX;
}

static inline ox_code
help_open(const char *topic)
{
    struct plog_args args = {.topic = topic, .partition = 0, .config = config};
    memset(args.topic_id.bytes, 5, 16);
    if (dir == NULL) {
        ox_code rc = log_dir_open(&dir_config, &env, &dir, &err);
        if (rc != OX_OK) {
            printf("# %s\n", err.message);
            return rc;
        }
    }
    ox_code rc = plog_open(dir, &args, &plog, &err);
    if (rc != OX_OK)
        printf("# %s\n", err.message);
    return rc;
}

static inline void
help_close(void)
{
    plog_close(plog);
    log_dir_close(dir);
    dir = NULL;
}

/* As a kill would: nothing is written. */
static inline void
help_kill(void)
{
    plog_drop(plog);
    log_dir_abandon(dir);
    dir = NULL;
}

static inline struct slice
help_batch(const struct record_builder_config *with, int count, int64_t time, const char *value)
{
    struct record_builder builder;
    struct slice out;
    record_builder_init(&builder);
    record_builder_begin(&builder, with);
    for (int i = 0; i < count; i++)
        record_builder_add(&builder, time + i, OX_STR("key"), ox_str(value), NULL, 0);
    if (record_builder_finish(&builder, &out, &err) != OX_OK)
        abort();
    record_builder_fini(&builder);
    return out;
}

/* Puts the batch. */
static inline ox_code
help_send(struct slice batch, struct log_append *append)
{
    append->records = batch;
    append->now_ms = wall;
    ox_code rc = plog_append(plog, append, &err);
    ox_buf_put(batch.buf);
    return rc;
}

static inline ox_code
help_append(int count, const char *value)
{
    struct log_append append = {.leader_epoch = 1};
    return help_send(help_batch(&RECORD_BUILDER_PLAIN, count, wall, value), &append);
}

static inline int64_t
help_count(void)
{
    struct log_cursor *cursor;
    struct record_batch batch;
    bool more;
    int64_t n = 0;
    if (log_cursor_open(plog, 0, INT64_MAX, 0, &cursor, &err) != OX_OK)
        return -1;
    ox_code rc;
    while ((rc = log_cursor_next(cursor, &batch, &more, &err)) == OX_OK && more)
        n += batch.count;
    log_cursor_close(cursor);
    return rc == OX_OK ? n : -1;
}

#endif
