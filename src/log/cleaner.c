/* SPDX-License-Identifier: Apache-2.0
 *
 * The cleaner: threads that look for the log that most wants a compaction pass
 * (compact.c), run it, and sleep when none does.
 *
 *   thread:  choose, over all directories --> pass --> choose ...
 *            nothing wanted: sleep backoff_ms
 *
 * Threads share a budget of bytes per second: each buffer moved pushes `free_at`
 * ahead, and whoever finds it in the future sleeps until then.
 *
 * 1. A log is in the hands of one thread at most (plog->compacting).
 * 2. Thread i runs while i < config.threads and enabled; it notices within one
 *    buffer. A thread that left is joined before its place is used again, or at
 *    the end.
 * 3. A log of which a pass met damaged bytes is left alone until it is opened
 *    again: what is damaged stays as it is. Other failures are tried again after
 *    the back-off. */
#include "log/log_int.h"

#include <time.h>

#include "base/check.h"
#include "base/diag.h"

enum { IO_BUFFER_MIN = 65536, FIRST_LOOK_MS = 100 };

struct worker {
    struct log_cleaner *cleaner;
    int index;
    pthread_t thread;
    bool started, left; /* under cleaner->mutex */
};

struct log_cleaner {
    const struct env *env;
    struct log_dir *const *dirs;
    size_t dir_count;
    pthread_mutex_t mutex; /* everything below */
    pthread_cond_t wake;
    struct log_cleaner_config config;
    bool stopping;
    uint64_t free_at; /* mono_ns from which bytes may be moved again */
    struct log_cleaner_stats stats;
    struct worker workers[LOG_CLEANER_THREADS_MAX];
};

/* ---- choosing ---- */

/* Whether a pass over b should come before one over a. Those of which the last pass
 * failed are behind all others, or one that always fails would be the only one tried. */
static bool
before(const struct compact_plan *a, const struct compact_plan *b)
{
    return b->failed_ms != a->failed_ms ? b->failed_ms < a->failed_ms : b->ratio > a->ratio;
}

/* The log of the directory that wants a pass most, if it does so more than
 * *best; counted, and marked. */
static struct plog *
choose_in(struct log_dir *dir, int64_t now_ms, struct plog *best, struct compact_plan *best_plan)
{
    uint32_t count;
    struct plog **plogs = log_dir_hold_plogs(dir, &count);
    bool offline = atomic_load(&dir->offline);
    for (uint32_t i = 0; i < count; i++) {
        struct plog *plog = plogs[i];
        struct compact_plan plan;
        ox_lock(&plog->lock);
        bool usable = plog->config.policy_compact && !plog->closed && plog->fault == OX_OK &&
                      !plog->compact.uncleanable && !atomic_load(&plog->compacting);
        if (usable && !offline)
            plog_plan_compaction(plog, now_ms, &plan);
        plan.failed_ms = plog->compact.failed_ms;
        ox_unlock(&plog->lock);
        if (usable && !offline && plan.wanted && (best == NULL || before(best_plan, &plan))) {
            if (best != NULL)
                plog_put(best);
            best = plog_get(plog);
            *best_plan = plan;
        }
        plog_put(plog);
    }
    ox_free(plogs);
    return best;
}

/* false: another thread was faster. */
static bool
claim(struct plog *plog)
{
    return !atomic_exchange(&plog->compacting, true);
}

/* One pass over the log, and what a failure means. */
static ox_code
run_pass(struct plog *plog, const struct compact_run *run, int64_t now_ms, bool *ahead,
    struct ox_err *err)
{
    ox_code rc = plog_compact(plog, run, now_ms, ahead, err);
    bool damaged = rc == OX_CORRUPT_MESSAGE || rc == OX_DATA_CORRUPTED ||
                   rc == OX_LIMIT_EXCEEDED;
    ox_lock(&plog->lock);
    plog->compact.uncleanable = damaged;
    plog->compact.failed_ms = rc == OX_OK || rc == OX_CANCELED ? 0 : now_ms;
    ox_unlock(&plog->lock);
    atomic_store(&plog->compacting, false);
    if (damaged) {
        ox_diag_err(OX_DIAG_ERROR, "partition log cannot be compacted", err);
    } else if (rc != OX_OK && rc != OX_CANCELED) {
        ox_diag_err(OX_DIAG_WARN, "compaction failed, it will be tried again", err);
    }
    return rc;
}

static bool
always(void *arg, uint64_t bytes)
{
    return true;
}

ox_code
log_dir_clean_step(struct log_dir *dir, uint64_t buffer_bytes, int64_t now_ms, bool *worked,
    struct ox_err *err)
{
    struct ox_err local;
    struct compact_plan plan;
    struct compact_run run = {buffer_bytes, IO_BUFFER_MIN, always, NULL};
    struct plog *plog = choose_in(dir, now_ms, NULL, &plan);
    err = err != NULL ? err : &local;
    *worked = false;
    if (plog == NULL)
        return OX_OK;
    ox_code rc = claim(plog) ? run_pass(plog, &run, now_ms, worked, err) : OX_OK;
    plog_put(plog);
    return rc;
}

/* ---- a thread ---- */

static bool
may_run(const struct worker *worker)
{
    const struct log_cleaner *cleaner = worker->cleaner;
    return !cleaner->stopping && cleaner->config.enabled &&
           worker->index < cleaner->config.threads;
}

static void
wait_until(struct log_cleaner *cleaner, uint64_t deadline_ns)
{
    struct timespec at = {(time_t)(deadline_ns / 1000000000u),
        (long)(deadline_ns % 1000000000u)};
    pthread_cond_timedwait(&cleaner->wake, &cleaner->mutex, &at);
}

static bool
slow_down(void *arg, uint64_t bytes)
{
    struct worker *worker = arg;
    struct log_cleaner *cleaner = worker->cleaner;
    pthread_mutex_lock(&cleaner->mutex);
    uint64_t now = env_mono_ns(cleaner->env), begin = now;
    double cost = (double)bytes / cleaner->config.io_bytes_per_second * 1e9;
    cleaner->free_at = OX_MAX(cleaner->free_at, now) + (uint64_t)OX_MIN(cost, 3600e9);
    uint64_t until = cleaner->free_at;
    /* Debts below a millisecond are left to add up. */
    while (may_run(worker) && until > now + 1000000) {
        wait_until(cleaner, until);
        now = env_mono_ns(cleaner->env);
    }
    cleaner->stats.throttled_ms += (now - begin) / 1000000;
    bool go_on = may_run(worker);
    pthread_mutex_unlock(&cleaner->mutex);
    return go_on;
}

/* The log that wants a pass most, claimed; NULL if none does. */
static struct plog *
choose(struct log_cleaner *cleaner)
{
    struct compact_plan plan;
    struct plog *plog = NULL;
    int64_t now_ms = env_wall_ms(cleaner->env);
    for (size_t i = 0; i < cleaner->dir_count; i++)
        plog = choose_in(cleaner->dirs[i], now_ms, plog, &plan);
    if (plog != NULL && !claim(plog)) {
        plog_put(plog);
        plog = NULL;
    }
    return plog;
}

static void
add_stats(struct log_cleaner *cleaner, ox_code rc, const struct log_compaction_facts *before_pass,
    const struct log_compaction_facts *after)
{
    struct log_cleaner_stats *stats = &cleaner->stats;
    stats->running--;
    stats->passes += rc == OX_OK;
    stats->failures += rc != OX_OK && rc != OX_CANCELED;
    stats->bytes_read += after->bytes_read - before_pass->bytes_read;
    stats->bytes_written += after->bytes_written - before_pass->bytes_written;
    stats->records_read += after->records_read - before_pass->records_read;
    stats->records_removed += after->records_removed - before_pass->records_removed;
}

/* Runs one pass; false if there was nothing to do, or it failed. Under mutex,
 * which is let go meanwhile. */
static bool
work_once(struct worker *worker)
{
    struct log_cleaner *cleaner = worker->cleaner;
    uint64_t threads = (uint64_t)OX_MAX(cleaner->config.threads, 1);
    struct compact_run run = {cleaner->config.buffer_bytes / threads,
        (size_t)OX_MAX(cleaner->config.io_buffer_bytes / threads / 2, (uint64_t)IO_BUFFER_MIN),
        slow_down, worker};
    struct log_compaction_facts then, now;
    struct ox_err err;
    bool ahead = false;
    pthread_mutex_unlock(&cleaner->mutex);
    struct plog *plog = choose(cleaner);
    if (plog == NULL) {
        pthread_mutex_lock(&cleaner->mutex);
        return false;
    }
    plog_compaction(plog, 0, &then);
    pthread_mutex_lock(&cleaner->mutex);
    cleaner->stats.running++;
    pthread_mutex_unlock(&cleaner->mutex);
    ox_code rc = run_pass(plog, &run, env_wall_ms(cleaner->env), &ahead, &err);
    plog_compaction(plog, 0, &now);
    plog_put(plog);
    pthread_mutex_lock(&cleaner->mutex);
    add_stats(cleaner, rc, &then, &now);
    return ahead;
}

static void *
worker_main(void *arg)
{
    struct worker *worker = arg;
    struct log_cleaner *cleaner = worker->cleaner;
    pthread_mutex_lock(&cleaner->mutex);
    int64_t sleep_ms = OX_MIN(cleaner->config.backoff_ms, (int64_t)FIRST_LOOK_MS);
    uint64_t at = env_mono_ns(cleaner->env) + (uint64_t)sleep_ms * 1000000;
    while (may_run(worker)) {
        uint64_t now = env_mono_ns(cleaner->env);
        if (now < at) {
            wait_until(cleaner, at);
            continue;
        }
        if (!work_once(worker))
            at = env_mono_ns(cleaner->env) +
                 (uint64_t)OX_MIN(cleaner->config.backoff_ms, (int64_t)1 << 40) * 1000000;
    }
    worker->left = true;
    pthread_mutex_unlock(&cleaner->mutex);
    return NULL;
}

/* ---- life ---- */

/* Starts the threads that the configuration has and that do not run. Under
 * mutex. */
static void
start_workers(struct log_cleaner *cleaner)
{
    for (int i = 0; i < LOG_CLEANER_THREADS_MAX; i++) {
        struct worker *worker = &cleaner->workers[i];
        if (!may_run(worker) || (worker->started && !worker->left))
            continue;
        if (worker->started)
            pthread_join(worker->thread, NULL);
        worker->left = false;
        int rc = pthread_create(&worker->thread, NULL, worker_main, worker);
        ox_assert(rc == 0);
        worker->started = true;
    }
}

struct log_cleaner *
log_cleaner_start(const struct log_cleaner_config *config, const struct env *env,
    struct log_dir *const *dirs, size_t dir_count)
{
    struct log_cleaner *cleaner = ox_calloc(1, sizeof(*cleaner));
    pthread_condattr_t attr;
    cleaner->env = env;
    cleaner->dirs = dirs;
    cleaner->dir_count = dir_count;
    cleaner->config = *config;
    pthread_mutex_init(&cleaner->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&cleaner->wake, &attr);
    pthread_condattr_destroy(&attr);
    for (int i = 0; i < LOG_CLEANER_THREADS_MAX; i++) {
        cleaner->workers[i].cleaner = cleaner;
        cleaner->workers[i].index = i;
    }
    pthread_mutex_lock(&cleaner->mutex);
    start_workers(cleaner);
    pthread_mutex_unlock(&cleaner->mutex);
    return cleaner;
}

void
log_cleaner_configure(struct log_cleaner *cleaner, const struct log_cleaner_config *config)
{
    pthread_mutex_lock(&cleaner->mutex);
    cleaner->config = *config;
    cleaner->free_at = 0;
    start_workers(cleaner);
    pthread_cond_broadcast(&cleaner->wake);
    pthread_mutex_unlock(&cleaner->mutex);
}

void
log_cleaner_stop(struct log_cleaner *cleaner)
{
    if (cleaner == NULL)
        return;
    pthread_mutex_lock(&cleaner->mutex);
    cleaner->stopping = true;
    pthread_cond_broadcast(&cleaner->wake);
    pthread_mutex_unlock(&cleaner->mutex);
    for (int i = 0; i < LOG_CLEANER_THREADS_MAX; i++) {
        if (cleaner->workers[i].started)
            pthread_join(cleaner->workers[i].thread, NULL);
        cleaner->workers[i].started = false;
    }
}

void
log_cleaner_free(struct log_cleaner *cleaner)
{
    if (cleaner == NULL)
        return;
    log_cleaner_stop(cleaner);
    pthread_cond_destroy(&cleaner->wake);
    pthread_mutex_destroy(&cleaner->mutex);
    ox_free(cleaner);
}

void
log_cleaner_stats(struct log_cleaner *cleaner, struct log_cleaner_stats *out)
{
    pthread_mutex_lock(&cleaner->mutex);
    *out = cleaner->stats;
    pthread_mutex_unlock(&cleaner->mutex);
}
