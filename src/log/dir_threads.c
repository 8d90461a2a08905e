/* SPDX-License-Identifier: Apache-2.0
 *
 * The two threads of a log directory. The flusher makes queued appends durable;
 * the checkpointer looks after the rest: free space, closed logs, what is to be
 * unlinked, flush.ms, checkpoints. Both sleep on a condition under thread_lock,
 * which is never held while they work. */
#include "log/log_int.h"

#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/diag.h"

#define FLUSHER_QUIET_NS UINT64_C(4000000000)
enum {
    TICK_MS = 500,
    WRITE_BACK_MIN = 1 << 20,
    WRITE_BACK_PIECE = 256 << 10,
    WRITE_BACK_PAUSES = 32, /* a turn */
    WRITE_BACK_PAUSE_US = 2000,
    WRITE_BACK_PAGE = 4096,
};

void
log_dir_wake_flusher(struct log_dir *dir)
{
    pthread_mutex_lock(&dir->thread_lock);
    dir->flusher_work = true;
    pthread_cond_signal(&dir->flusher_wake);
    pthread_mutex_unlock(&dir->thread_lock);
}

void
log_dir_wake_checkpointer(struct log_dir *dir)
{
    pthread_mutex_lock(&dir->thread_lock);
    dir->checkpoint_work = true;
    pthread_cond_signal(&dir->checkpointer_wake);
    pthread_mutex_unlock(&dir->thread_lock);
}

static void
wait_until(struct log_dir *dir, pthread_cond_t *cond, uint64_t deadline_ns)
{
    struct timespec at = {(time_t)(deadline_ns / 1000000000u),
        (long)(deadline_ns % 1000000000u)};
    pthread_cond_timedwait(cond, &dir->thread_lock, &at);
}

bool
log_dir_pause(struct log_dir *dir, uint32_t us)
{
    if (!dir->config.threads)
        return true;
    uint64_t deadline = env_mono_ns(dir->env) + (uint64_t)us * 1000;
    pthread_mutex_lock(&dir->thread_lock);
    while (!dir->stop && env_mono_ns(dir->env) < deadline)
        wait_until(dir, &dir->checkpointer_wake, deadline);
    bool stop = dir->stop;
    pthread_mutex_unlock(&dir->thread_lock);
    return !stop;
}

static bool
flush_is_urgent(struct log_dir *dir)
{
    ox_lock(&dir->wal.lock);
    bool soon = dir->wal.soon;
    ox_unlock(&dir->wal.lock);
    return soon;
}

/* Sleeps until there is work. After some seconds without, the buffers that it let
 * go of and keeps go back to the system. */
static void
flusher_sleep(struct log_dir *dir)
{
    uint64_t quiet_at = env_mono_ns(dir->env) + FLUSHER_QUIET_NS;
    while (!dir->flusher_work && !dir->stop && env_mono_ns(dir->env) < quiet_at)
        wait_until(dir, &dir->flusher_wake, quiet_at);
    if (!dir->flusher_work && !dir->stop) {
        pthread_mutex_unlock(&dir->thread_lock);
        ox_buf_trim();
        pthread_mutex_lock(&dir->thread_lock);
    }
    while (!dir->flusher_work && !dir->stop)
        pthread_cond_wait(&dir->flusher_wake, &dir->thread_lock);
}

/* Sleeps until there is something to flush and somebody wants it, or it has
 * lingered long enough. Returns with thread_lock held. */
static void
flusher_wait(struct log_dir *dir)
{
    flusher_sleep(dir);
    uint64_t deadline =
        env_mono_ns(dir->env) + (uint64_t)dir->config.flush_linger_us * 1000;
    while (!dir->stop && !flush_is_urgent(dir) && env_mono_ns(dir->env) < deadline)
        wait_until(dir, &dir->flusher_wake, deadline);
    dir->flusher_work = false;
}

static void *
flusher_main(void *arg)
{
    struct log_dir *dir = arg;
    pthread_mutex_lock(&dir->thread_lock);
    while (!dir->stop) {
        flusher_wait(dir);
        pthread_mutex_unlock(&dir->thread_lock);
        log_wal_round(dir, NULL);
        pthread_mutex_lock(&dir->thread_lock);
    }
    pthread_mutex_unlock(&dir->thread_lock);
    return NULL;
}

/* Bytes in memory begin their way to disk soon after they were written: a
 * checkpoint, or the kernel when it has too many, would else write a pile of them
 * at once, and every flush of the write-ahead log would wait behind it. For the same
 * reason it is done by pieces, with rests while there are few. */
static void
write_back(struct log_dir *dir, struct plog *plog, uint32_t *pauses)
{
    struct log_segment *seg = NULL;
    uint64_t from = 0, to = 0;
    ox_lock(&plog->lock);
    if (plog->segment_count > 0 && !plog->closed) {
        seg = plog_active(plog);
        from = OX_MAX(seg->written_back, seg->flushed) & ~(uint64_t)(WRITE_BACK_PAGE - 1);
        to = seg->size & ~(uint64_t)(WRITE_BACK_PAGE - 1); /* the last page is being filled */
        seg = to > from && to - from >= WRITE_BACK_MIN ? log_segment_get(seg) : NULL;
        if (seg != NULL)
            seg->written_back = to;
    }
    ox_unlock(&plog->lock);
    if (seg == NULL)
        return;
    for (; from < to; from += WRITE_BACK_PIECE) {
        fs_write_back(plog->fs, seg->file, from, OX_MIN(to - from, (uint64_t)WRITE_BACK_PIECE));
        if (to - from > WRITE_BACK_PIECE && *pauses > 0 && (*pauses)-- > 0)
            log_dir_pause(dir, WRITE_BACK_PAUSE_US);
    }
    log_segment_put(seg);
}

/* flush.ms: logs whose oldest unflushed byte is too old. */
static void
flush_overdue(struct log_dir *dir, int64_t now_ms)
{
    uint32_t count, pauses = WRITE_BACK_PAUSES;
    struct plog **plogs = log_dir_hold_plogs(dir, &count);
    for (uint32_t i = 0; i < count; i++) {
        ox_lock(&plogs[i]->lock);
        int64_t since = plogs[i]->unflushed_since_ms, limit = plogs[i]->config.flush_ms;
        ox_unlock(&plogs[i]->lock);
        struct ox_err err;
        if (since != 0 && limit != INT64_MAX && now_ms - since >= limit)
            plog_flush(plogs[i], &err);
        else
            write_back(dir, plogs[i], &pauses);
        plog_put(plogs[i]);
    }
    ox_free(plogs);
}

/* Which failures say that the disk does not work. */
static bool
is_disk_failure(ox_code code)
{
    return code == OX_IO_ERROR || code == OX_FILE_NOT_FOUND || code == OX_READ_ONLY_FILE_SYSTEM;
}

/* An idle directory whose disk is gone is found by looking at it. */
static void
look_at_disk(struct log_dir *dir)
{
    char path[PATH_LEN_MAX];
    struct file_stat st;
    struct ox_err err;
    snprintf(path, sizeof(path), "%s/meta.properties", dir->path);
    ox_code rc = fs_stat(dir->fs, path, &st, &err);
    if (is_disk_failure(rc))
        log_dir_fail(dir, rc, &err);
}

/* When a topic of many partitions is gone, what they held in memory goes back to the
 * system, and does not wait for a quiet time. */
static void
close_pending(struct log_dir *dir)
{
    enum { MANY = 256 };
    uint32_t closed = log_dir_close_pending(dir);
    dir->closed_logs += closed;
    if (closed > 0 || dir->closed_logs < MANY)
        return;
    dir->closed_logs = 0;
    ox_heap_trim();
}

/* One turn of the checkpointer. */
static void
checkpointer_tick(struct log_dir *dir, bool asked, uint64_t *checkpoint_at, uint64_t *hw_at)
{
    uint64_t now = env_mono_ns(dir->env);
    struct ox_err err;
    ox_code rc = OX_OK;
    log_dir_check_space(dir);
    close_pending(dir);
    log_dir_purge(dir, env_wall_ms(dir->env));
    if (!atomic_load(&dir->offline))
        look_at_disk(dir);
    if (atomic_load(&dir->offline))
        return;
    flush_overdue(dir, env_wall_ms(dir->env));
    log_wal_prepare(dir);
    if (asked || now >= *checkpoint_at ||
        atomic_load(&dir->wal.bytes) > dir->config.wal_bytes_max) {
        rc = log_dir_checkpoint(dir, false, &err);
        *checkpoint_at = env_mono_ns(dir->env) +
                         (uint64_t)dir->config.checkpoint_interval_ms * 1000000;
    } else if (now >= *hw_at) {
        rc = log_dir_write_high_watermarks(dir, &err);
        *hw_at = now + (uint64_t)dir->config.high_watermark_interval_ms * 1000000;
    }
    if (rc != OX_OK)
        ox_diag_err(OX_DIAG_ERROR, "checkpoint failed", &err);
    if (is_disk_failure(rc))
        log_dir_fail(dir, rc, &err);
}

static void *
checkpointer_main(void *arg)
{
    struct log_dir *dir = arg;
    uint64_t now = env_mono_ns(dir->env);
    uint64_t checkpoint_at = now + (uint64_t)dir->config.checkpoint_interval_ms * 1000000;
    uint64_t hw_at = now + (uint64_t)dir->config.high_watermark_interval_ms * 1000000;
    pthread_mutex_lock(&dir->thread_lock);
    while (!dir->stop) {
        if (!dir->checkpoint_work)
            wait_until(dir, &dir->checkpointer_wake,
                env_mono_ns(dir->env) + (uint64_t)TICK_MS * 1000000);
        bool asked = dir->checkpoint_work;
        dir->checkpoint_work = false;
        if (dir->stop)
            break;
        pthread_mutex_unlock(&dir->thread_lock);
        checkpointer_tick(dir, asked, &checkpoint_at, &hw_at);
        pthread_mutex_lock(&dir->thread_lock);
    }
    pthread_mutex_unlock(&dir->thread_lock);
    return NULL;
}

void
log_dir_start_threads(struct log_dir *dir)
{
    if (!dir->config.threads)
        return;
    int rc = pthread_create(&dir->flusher, NULL, flusher_main, dir);
    ox_assert(rc == 0);
    rc = pthread_create(&dir->checkpointer, NULL, checkpointer_main, dir);
    ox_assert(rc == 0);
}

void
log_dir_stop_threads(struct log_dir *dir)
{
    if (!dir->config.threads)
        return;
    pthread_mutex_lock(&dir->thread_lock);
    dir->stop = true;
    pthread_cond_signal(&dir->flusher_wake);
    pthread_cond_signal(&dir->checkpointer_wake);
    pthread_mutex_unlock(&dir->thread_lock);
    pthread_join(dir->flusher, NULL);
    pthread_join(dir->checkpointer, NULL);
}
