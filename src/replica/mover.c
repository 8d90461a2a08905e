/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions between log directories: where a partition's log is, moves from one
 * directory to another (one at a time, on a thread of their own), and what
 * happens to the partitions of a directory that fails.
 *
 *   asked --> waiting --> moving --> done, or failed (reported, forgotten)
 *                 \__________\--> asked again for elsewhere: the newest wins
 *
 * A move that was asked for is a directory on the disk (plog_move_prepare()) until it
 * is done or forgotten: those found at the start are asked for again.
 *
 * 1. A partition is on the list of moves at most once with `dead` false; dead ones
 *    only wait for their directory to be removed.
 * 2. `current` is the one that moves; cancel makes it give up.
 * 3. A directory that failed is told once to each of its partitions. */
#include <pthread.h>
#include <time.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/rate.h"
#include "replica/replica_int.h"

/* metadata.version 4.3-IV0 has closed directories. */
enum { CORDONED_SINCE = 30 };
/* What an earlier try had copied already comes at once and is not counted. */
#define COUNTED_MAX (UINT64_C(4) << 20)
enum { AGAIN_MS = 200, TRIES_MAX = 600, LOOK_MS = 500 };

struct request {
    struct list link;
    struct partition *part; /* held */
    struct log_dir *to;
    int tries;
    bool prepared; /* or it was tried */
    bool dead;     /* no more wanted */
};

struct mover {
    const struct env *env;
    struct replica *replica;
    pthread_t thread;
    pthread_mutex_t mutex; /* all below */
    pthread_cond_t wake;
    struct list requests;
    struct request *current;
    bool cancel, stopping, started;
    bool held; /* nothing moves until mover_go() */
    /* On the mover's thread. */
    struct ox_rate rate;
    uint64_t copied; /* of the move under way, as far as it was counted */
    size_t failed_count; /* directories whose failure was told */
};

/* ---- where a log is ---- */

/* The directory made last is the log if a crash in a move left two. */
static struct log_dir *
find_dir(struct replica *replica, const struct meta_topic *topic, const char *name, int32_t index)
{
    const struct replica_config *config = replica_config(replica);
    struct log_dir *found = NULL;
    int64_t found_ms = 0, made_ms;
    for (size_t i = 0; i < config->dir_count; i++) {
        struct log_dir *dir = config->dirs[i], *older = NULL;
        struct ox_err err;
        if (!log_dir_has(dir, name, index, &topic->id, &made_ms))
            continue;
        if (found != NULL)
            older = made_ms >= found_ms ? found : dir;
        if (found == NULL || older == found) {
            found = dir;
            found_ms = made_ms;
        }
        if (older != NULL && log_dir_delete_partition(older, name, index, &err) != OX_OK)
            ox_diag_err(OX_DIAG_WARN, "what a move left behind could not be deleted", &err);
    }
    return found;
}

/* Does the list, in which * is everything, name each of the paths? */
static bool
names_all(struct str list, struct log_dir *const *dirs, size_t count, const char *only)
{
    struct arena arena;
    struct str *items;
    size_t named = 0;
    ox_arena_init(&arena);
    size_t item_count = param_list_items(list, &arena, &items);
    for (size_t i = 0; i < count; i++) {
        const char *path = only != NULL ? only : log_dir_path(dirs[i]);
        bool found = false;
        for (size_t j = 0; j < item_count; j++)
            found |= ox_str_is(items[j], "*") || ox_str_is(items[j], path);
        named += found;
    }
    ox_arena_fini(&arena);
    return count > 0 && named == count;
}

bool
replica_dir_cordoned(struct replica *replica, const char *path)
{
    const struct replica_config *config = replica_config(replica);
    const struct meta_view *view = meta_view_get(replica_meta(replica));
    const char *list = view->settings->cordoned_log_dirs;
    bool cordoned = list != NULL && list[0] != 0 &&
        meta_feature_level(view, PARAM_FEATURE_METADATA_VERSION) >= CORDONED_SINCE &&
        names_all(ox_str(list), config->dirs, path != NULL ? 1 : config->dir_count, path);
    meta_view_put(view);
    return cordoned;
}

/* The directory with the fewest logs; one that is closed to new ones only when no other
 * is left: it was closed while they were being made. */
static struct log_dir *
least_dir(struct replica *replica)
{
    const struct replica_config *config = replica_config(replica);
    struct log_dir *best = NULL;
    bool best_closed = false;
    for (size_t i = 0; i < config->dir_count; i++) {
        struct log_dir *dir = config->dirs[i];
        bool closed = replica_dir_cordoned(replica, log_dir_path(dir));
        if (log_dir_is_offline(dir))
            continue;
        bool fewer = best != NULL && log_dir_plog_count(dir) < log_dir_plog_count(best);
        if (best != NULL && (closed != best_closed ? closed : !fewer))
            continue;
        best = dir;
        best_closed = closed;
    }
    return best;
}

ox_code
replica_choose_dir(struct replica *replica, const struct meta_topic *topic, const char *name,
    int32_t index, bool known, struct log_dir **out, struct ox_err *err)
{
    const struct replica_config *config = replica_config(replica);
    *out = config->dirs[0];
    if (config->dir_count == 1 && config->failed_count == 0)
        return OX_OK;
    *out = find_dir(replica, topic, name, index);
    if (*out != NULL)
        return OX_OK;
    if (known && config->failed_count > 0)
        return ox_fail(err, OX_STORAGE_ERROR,
            "log of \"%s-%d\" is in none of the log directories that could be opened", name,
            index);
    *out = least_dir(replica);
    return *out != NULL ? OX_OK
                        : ox_fail(err, OX_STORAGE_ERROR, "all log directories are offline");
}

/* ---- moves ---- */

static struct request *
unprepared(struct mover *mover)
{
    ox_list_each(link, &mover->requests)
    {
        struct request *request = ox_container_of(link, struct request, link);
        if (!request->prepared && !request->dead)
            return request;
    }
    return NULL;
}

/* What was asked for survives a restart from here on. Under mutex, which is let go
 * meanwhile; only this thread frees requests. */
static void
prepare_all(struct mover *mover)
{
    struct request *request;
    struct ox_err err;
    while ((request = unprepared(mover)) != NULL) {
        struct log_dir *to = request->to;
        request->prepared = true;
        pthread_mutex_unlock(&mover->mutex);
        if (!log_dir_is_offline(to) &&
            plog_move_prepare(partition_log(request->part), to, &err) != OX_OK)
            ox_diag_err(OX_DIAG_WARN, "a move of a partition would not survive a restart", &err);
        pthread_mutex_lock(&mover->mutex);
    }
}

static void
wait_ms(struct mover *mover, uint64_t ms)
{
    uint64_t at = env_mono_ns(mover->env) + ms * 1000000;
    struct timespec until = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)};
    pthread_cond_timedwait(&mover->wake, &mover->mutex, &until);
}

/* How long the move has to wait, as replica.alter.log.dirs.io.max.bytes.per.second is now. */
static double
owes_ms(struct mover *mover)
{
    const struct meta_view *view = meta_view_get(replica_meta(mover->replica));
    const struct server_config *config = view->settings;
    double most = (double)config->replica_alter_log_dirs_io_max_bytes_per_second;
    uint32_t samples = (uint32_t)OX_MAX(config->alter_log_dirs_replication_quota_window_num, 2);
    uint64_t sample_ms =
        (uint64_t)config->alter_log_dirs_replication_quota_window_size_seconds * 1000;
    uint64_t now_ms = env_mono_ns(mover->env) / 1000000, bytes = 0;
    int64_t end;
    meta_view_put(view);
    plog_moving(partition_log(mover->current->part), &bytes, &end);
    if (bytes > mover->copied)
        ox_rate_add(&mover->rate, samples, sample_ms,
            (double)OX_MIN(bytes - mover->copied, COUNTED_MAX), now_ms);
    mover->copied = bytes;
    if (most < 0) /* unset */
        return 0;
    return ox_rate_over_ms(&mover->rate, samples, sample_ms, OX_MAX(most, 1e-3), now_ms);
}

/* Between two pieces of a move. */
static bool
go_on(void *arg)
{
    struct mover *mover = arg;
    double owed;
    pthread_mutex_lock(&mover->mutex);
    prepare_all(mover);
    while (!mover->stopping && !mover->cancel && (owed = owes_ms(mover)) > 0) {
        wait_ms(mover, (uint64_t)OX_MIN(OX_MAX(owed, 1.0), (double)AGAIN_MS));
        prepare_all(mover);
    }
    bool go = !mover->stopping && !mover->cancel;
    pthread_mutex_unlock(&mover->mutex);
    return go;
}

static void
forget(struct request *request)
{
    partition_put(request->part);
    ox_free(request);
}

static void
remove_copy(const struct request *request)
{
    struct ox_err err;
    if (!log_dir_is_offline(request->to) &&
        plog_move_forget(partition_log(request->part), request->to, &err) != OX_OK)
        ox_diag_err(OX_DIAG_WARN, "what was copied for a move could not be removed", &err);
}

static ox_code
run(struct mover *mover, const struct request *request, struct ox_err *err)
{
    if (request->dead)
        return OX_CANCELED;
    ox_code code = plog_move(partition_log(request->part), request->to, go_on, mover, err);
    if (code == OX_OK)
        ox_info("partition was moved", "partition=%s-%d to=%s", partition_topic(request->part),
            partition_index(request->part), log_dir_path(request->to));
    return code;
}

/* Runs the oldest request. Under mutex, which is let go meanwhile. */
static void
move_one(struct mover *mover)
{
    struct request *request =
        ox_container_of(ox_list_pop(&mover->requests), struct request, link);
    struct ox_err err;
    bool dropped = plog_detached(partition_log(request->part));
    mover->current = request->dead ? NULL : request;
    mover->cancel = false;
    mover->copied = 0;
    pthread_mutex_unlock(&mover->mutex);
    ox_code code = run(mover, request, &err);
    dropped |= plog_detached(partition_log(request->part));
    pthread_mutex_lock(&mover->mutex);
    bool wanted = !request->dead && !mover->cancel && !dropped;
    mover->current = NULL;
    if (wanted && !mover->stopping && (code == OX_OBJECT_IN_USE || code == OX_CANCELED) &&
        ++request->tries < TRIES_MAX) { /* it is being compacted, or was cut */
        ox_list_push(&mover->requests, &request->link);
        wait_ms(mover, AGAIN_MS);
        return;
    }
    /* At the next start it is tried again if the disk failed, or there was no time. */
    bool later = wanted && (mover->stopping || code == OX_STORAGE_ERROR);
    pthread_mutex_unlock(&mover->mutex);
    if (code != OX_OK && code != OX_CANCELED)
        ox_diag_err(OX_DIAG_ERROR, "partition could not be moved", &err);
    if (code != OX_OK && !later)
        remove_copy(request);
    forget(request);
    pthread_mutex_lock(&mover->mutex);
}

static void
tell_one(struct partition *part, void *arg)
{
    if (partition_log(part) != NULL && log_dir_is_offline(plog_log_dir(partition_log(part))))
        partition_fail(part);
}

static size_t
count_failed(const struct mover *mover)
{
    const struct replica_config *config = replica_config(mover->replica);
    size_t count = 0;
    for (size_t i = 0; i < config->dir_count; i++)
        count += log_dir_is_offline(config->dirs[i]);
    return count;
}

/* What waits is left to the next start. Under mutex. */
static void
end_requests(struct mover *mover)
{
    prepare_all(mover);
    while (!ox_list_empty(&mover->requests)) {
        struct request *request =
            ox_container_of(ox_list_pop(&mover->requests), struct request, link);
        if (request->dead)
            remove_copy(request);
        forget(request);
    }
}

static void *
mover_main(void *arg)
{
    struct mover *mover = arg;
    pthread_mutex_lock(&mover->mutex);
    while (!mover->stopping) {
        pthread_mutex_unlock(&mover->mutex);
        size_t failed = count_failed(mover);
        if (failed > mover->failed_count) {
            replica_each(mover->replica, tell_one, NULL);
            replica_elect(mover->replica);
        }
        mover->failed_count = failed;
        pthread_mutex_lock(&mover->mutex);
        if (mover->stopping)
            break;
        prepare_all(mover);
        if (mover->stopping)
            break;
        if (!ox_list_empty(&mover->requests) && !mover->held)
            move_one(mover);
        else
            wait_ms(mover, LOOK_MS);
    }
    end_requests(mover);
    pthread_mutex_unlock(&mover->mutex);
    return NULL;
}

/* The request for the partition, on the list or at work. Under mutex. */
static struct request *
find_request(struct mover *mover, const struct partition *part)
{
    ox_list_each(link, &mover->requests)
    {
        struct request *request = ox_container_of(link, struct request, link);
        if (request->part == part && !request->dead)
            return request;
    }
    return NULL;
}

void
mover_ask(struct mover *mover, struct partition *part, struct log_dir *to)
{
    pthread_mutex_lock(&mover->mutex);
    bool running = mover->current != NULL && mover->current->part == part;
    bool there = plog_log_dir(partition_log(part)) == to, found = there;
    if (running && mover->current->to != to)
        mover->cancel = true;
    ox_list_each(link, &mover->requests)
    {
        struct request *request = ox_container_of(link, struct request, link);
        if (request->part != part)
            continue;
        request->dead = there || request->to != to;
        found |= !request->dead;
    }
    if (!found && !(running && mover->current->to == to && !mover->cancel)) {
        struct request *request = ox_calloc(1, sizeof(*request));
        request->part = partition_hold(part);
        request->to = to;
        ox_list_push(&mover->requests, &request->link);
    }
    pthread_cond_signal(&mover->wake);
    pthread_mutex_unlock(&mover->mutex);
}

struct log_dir *
mover_target(struct mover *mover, struct partition *part)
{
    pthread_mutex_lock(&mover->mutex);
    struct request *request = find_request(mover, part);
    struct log_dir *to = request != NULL ? request->to : NULL;
    if (to == NULL && mover->current != NULL && mover->current->part == part && !mover->cancel)
        to = mover->current->to;
    pthread_mutex_unlock(&mover->mutex);
    return to;
}

/* ---- life ---- */

struct mover *
mover_start(struct replica *replica, const struct env *env)
{
    struct mover *mover = ox_calloc(1, sizeof(*mover));
    pthread_condattr_t attr;
    mover->env = env;
    mover->replica = replica;
    mover->held = true;
    ox_list_init(&mover->requests);
    pthread_mutex_init(&mover->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&mover->wake, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&mover->thread, NULL, mover_main, mover);
    ox_assert(rc == 0);
    mover->started = true;
    return mover;
}

void
mover_go(struct mover *mover)
{
    pthread_mutex_lock(&mover->mutex);
    mover->held = false;
    pthread_cond_signal(&mover->wake);
    pthread_mutex_unlock(&mover->mutex);
}

void
mover_stop(struct mover *mover)
{
    if (!mover->started)
        return;
    mover->started = false;
    pthread_mutex_lock(&mover->mutex);
    mover->stopping = true;
    pthread_cond_signal(&mover->wake);
    pthread_mutex_unlock(&mover->mutex);
    pthread_join(mover->thread, NULL);
    pthread_mutex_lock(&mover->mutex);
    end_requests(mover); /* asked for since */
    pthread_mutex_unlock(&mover->mutex);
}

void
mover_free(struct mover *mover)
{
    mover_stop(mover);
    pthread_cond_destroy(&mover->wake);
    pthread_mutex_destroy(&mover->mutex);
    ox_free(mover);
}
