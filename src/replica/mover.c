/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions between log directories: where a partition's log is, moves from one
 * directory to another, and what happens to the partitions of a directory that fails.
 *
 *   asked --> waiting --> moving --> done, or failed (reported, forgotten)
 *                 \__________\--> asked again for elsewhere: the newest wins
 *
 * A move that was asked for is a directory on the disk (plog_move_prepare()) until it
 * is done or forgotten: those found at the start are asked for again.
 *
 * One thread, the mover's, looks after all: it prepares, starts, removes what nobody
 * wants any more, and looks at the directories. Each move has a thread of its own; at
 * most num.replica.alter.log.dirs.threads of them copy at a time, and what they copy
 * counts together for replica.alter.log.dirs.io.max.bytes.per.second. The request that
 * has waited longest goes first.
 *
 * 1. Of the requests that wait at most one for a partition has `dead` false; dead ones
 *    only wait for their directory to be removed.
 * 2. While a partition moves nothing is started or removed for it, nor prepared in the
 *    directory that it moves to: that is in the hands of the move's thread, which removes
 *    what it leaves before it ends.
 * 3. A request that moves is cancelled by its work; one that is `ending` takes no more
 *    notice of what is asked: what is asked then becomes a request that waits.
 * 4. A directory that failed is told once to each of its partitions, when no move out of
 *    it is at work any more: until then it is not known where the log will be. */
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
    uint64_t not_before_ns;
    int tries;
    bool prepared; /* or it was tried */
    bool dead;     /* no more wanted */
};

/* A move under way. */
struct work {
    struct list link;
    struct mover *mover;
    struct request *request; /* NULL: it is done, the thread waits to be joined */
    struct log_dir *from;
    uint64_t copied; /* as far as it was counted */
    bool cancel, ending;
    pthread_t thread;
};

struct mover {
    const struct env *env;
    struct replica *replica;
    pthread_t thread;
    pthread_mutex_t mutex; /* all below */
    pthread_cond_t wake;
    struct list requests; /* that wait */
    struct list works;
    struct ox_rate rate;
    bool stopping, started;
    bool held; /* nothing moves until mover_go() */
    /* On the mover's thread. */
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

/* The move of the partition that is under way, or that is ending. */
static struct work *
find_work(const struct mover *mover, const struct partition *part)
{
    ox_list_each(link, &mover->works)
    {
        struct work *work = ox_container_of(link, struct work, link);
        if (work->request != NULL && work->request->part == part)
            return work;
    }
    return NULL;
}

static struct request *
unprepared(struct mover *mover)
{
    ox_list_each(link, &mover->requests)
    {
        struct request *request = ox_container_of(link, struct request, link);
        const struct work *work = find_work(mover, request->part);
        if (!request->prepared && !request->dead &&
            (work == NULL || work->request->to != request->to))
            return request;
    }
    return NULL;
}

/* What was asked for survives a restart from here on. Under mutex, which is let go
 * meanwhile; only this thread frees requests that wait. */
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

/* How long the move has to wait, as replica.alter.log.dirs.io.max.bytes.per.second is now.
 * Under mutex. */
static double
owes_ms(struct work *work)
{
    struct mover *mover = work->mover;
    const struct meta_view *view = meta_view_get(replica_meta(mover->replica));
    const struct server_config *config = view->settings;
    double most = (double)config->replica_alter_log_dirs_io_max_bytes_per_second;
    uint32_t samples = (uint32_t)OX_MAX(config->alter_log_dirs_replication_quota_window_num, 2);
    uint64_t sample_ms =
        (uint64_t)config->alter_log_dirs_replication_quota_window_size_seconds * 1000;
    uint64_t now_ms = env_mono_ns(mover->env) / 1000000, bytes = 0;
    int64_t end;
    meta_view_put(view);
    plog_moving(partition_log(work->request->part), &bytes, &end);
    if (bytes > work->copied)
        ox_rate_add(&mover->rate, samples, sample_ms,
            (double)OX_MIN(bytes - work->copied, COUNTED_MAX), now_ms);
    work->copied = bytes;
    if (most < 0) /* unset */
        return 0;
    return ox_rate_over_ms(&mover->rate, samples, sample_ms, OX_MAX(most, 1e-3), now_ms);
}

/* Under mutex. */
static bool
may_go_on(const struct work *work)
{
    return !work->mover->stopping && !work->cancel && !log_dir_is_offline(work->from) &&
           !log_dir_is_offline(work->request->to) &&
           !plog_detached(partition_log(work->request->part));
}

/* Between two pieces of a move. */
static bool
go_on(void *arg)
{
    struct work *work = arg;
    double owed;
    pthread_mutex_lock(&work->mover->mutex);
    while (may_go_on(work) && (owed = owes_ms(work)) > 0)
        wait_ms(work->mover, (uint64_t)OX_MIN(OX_MAX(owed, 1.0), (double)AGAIN_MS));
    bool go = may_go_on(work);
    pthread_mutex_unlock(&work->mover->mutex);
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

/* Puts it at the end of those that wait. Under mutex. */
static void
try_again(struct mover *mover, struct request *request)
{
    request->not_before_ns = env_mono_ns(mover->env) + (uint64_t)AGAIN_MS * 1000000;
    ox_list_push(&mover->requests, &request->link);
}

/* What becomes of a request that has moved, or has not: gives it, unless it waits
 * again. Under mutex, which is let go meanwhile. */
static struct request *
end_work(struct work *work, ox_code code, bool dropped, const struct ox_err *err)
{
    struct mover *mover = work->mover;
    struct request *request = work->request;
    bool wanted = !work->cancel && !dropped;
    if (wanted && !mover->stopping && (code == OX_OBJECT_IN_USE || code == OX_CANCELED) &&
        ++request->tries < TRIES_MAX) { /* it is being compacted, or was cut */
        try_again(mover, request);
        return NULL;
    }
    /* At the next start it is tried again if the disk failed, or there was no time. */
    bool later = wanted && (mover->stopping || code == OX_STORAGE_ERROR);
    work->ending = true;
    pthread_mutex_unlock(&mover->mutex);
    if (code == OX_OK)
        ox_info("partition was moved", "partition=%s-%d to=%s", partition_topic(request->part),
            partition_index(request->part), log_dir_path(request->to));
    else if (code != OX_CANCELED)
        ox_diag_err(OX_DIAG_ERROR, "partition could not be moved", err);
    if (code != OX_OK && !later)
        remove_copy(request);
    pthread_mutex_lock(&mover->mutex);
    return request;
}

static void *
work_main(void *arg)
{
    struct work *work = arg;
    struct mover *mover = work->mover;
    struct plog *plog = partition_log(work->request->part);
    struct ox_err err;
    bool dropped = plog_detached(plog);
    ox_code code = plog_move(plog, work->request->to, go_on, work, &err);
    dropped |= plog_detached(plog);
    pthread_mutex_lock(&mover->mutex);
    struct request *request = end_work(work, code, dropped, &err);
    work->request = NULL; /* the mover's from here on */
    pthread_cond_broadcast(&mover->wake);
    pthread_mutex_unlock(&mover->mutex);
    if (request != NULL)
        forget(request);
    return NULL;
}

/* ---- the mover's thread ---- */

/* Under mutex, as all of the following. */
static struct work *
find_ended(const struct mover *mover)
{
    ox_list_each(link, &mover->works)
    {
        struct work *work = ox_container_of(link, struct work, link);
        if (work->request == NULL)
            return work;
    }
    return NULL;
}

/* The mutex is let go meanwhile. */
static void
reap(struct mover *mover)
{
    struct work *work;
    while ((work = find_ended(mover)) != NULL) {
        ox_list_remove(&work->link);
        pthread_mutex_unlock(&mover->mutex);
        pthread_join(work->thread, NULL);
        ox_free(work);
        pthread_mutex_lock(&mover->mutex);
    }
}

static bool
may_start_more(const struct mover *mover)
{
    const struct replica_config *config = replica_config(mover->replica);
    const struct meta_view *view = meta_view_get(replica_meta(mover->replica));
    int32_t set = view->settings->num_replica_alter_log_dirs_threads;
    meta_view_put(view);
    size_t most = set > 0 ? (size_t)set : config->dir_count + config->failed_count, count = 0;
    ox_list_each(link, &mover->works)
        count += ox_container_of(link, struct work, link)->request != NULL;
    return count < most;
}

static void
start_work(struct mover *mover, struct request *request)
{
    struct work *work = ox_calloc(1, sizeof(*work));
    work->mover = mover;
    work->request = request;
    work->from = plog_log_dir(partition_log(request->part));
    if (pthread_create(&work->thread, NULL, work_main, work) != 0) {
        ox_free(work);
        try_again(mover, request);
        return;
    }
    ox_list_push(&mover->works, &work->link);
}

/* The oldest request for which something can be done now. */
static struct request *
next_request(struct mover *mover)
{
    uint64_t now_ns = env_mono_ns(mover->env);
    bool more = may_start_more(mover);
    ox_list_each(link, &mover->requests)
    {
        struct request *request = ox_container_of(link, struct request, link);
        request->dead |= plog_detached(partition_log(request->part)); /* the topic is no more */
        if ((request->dead || (more && request->not_before_ns <= now_ns)) &&
            find_work(mover, request->part) == NULL)
            return request;
    }
    return NULL;
}

/* False: nothing can be done now. */
static bool
do_next(struct mover *mover)
{
    struct request *request = next_request(mover);
    if (request == NULL)
        return false;
    ox_list_remove(&request->link);
    if (!request->dead && plog_log_dir(partition_log(request->part)) != request->to) {
        start_work(mover, request);
        return true;
    }
    bool dead = request->dead;
    pthread_mutex_unlock(&mover->mutex);
    if (dead)
        remove_copy(request);
    forget(request);
    pthread_mutex_lock(&mover->mutex);
    return true;
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

/* Invariant 4. The mutex is let go meanwhile. */
static void
look_at_dirs(struct mover *mover)
{
    size_t failed = count_failed(mover);
    if (failed <= mover->failed_count)
        return;
    ox_list_each(link, &mover->works)
    {
        const struct work *work = ox_container_of(link, struct work, link);
        if (work->request != NULL && log_dir_is_offline(work->from))
            return; /* it gives up, which wakes us */
    }
    mover->failed_count = failed;
    pthread_mutex_unlock(&mover->mutex);
    replica_each(mover->replica, tell_one, NULL);
    replica_elect(mover->replica);
    pthread_mutex_lock(&mover->mutex);
}

/* What waits is left to the next start. */
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
        reap(mover);
        look_at_dirs(mover);
        prepare_all(mover);
        if (mover->stopping)
            break;
        if (mover->held || !do_next(mover))
            wait_ms(mover, ox_list_empty(&mover->requests) ? LOOK_MS : AGAIN_MS);
    }
    while (reap(mover), !ox_list_empty(&mover->works))
        wait_ms(mover, LOOK_MS);
    end_requests(mover);
    pthread_mutex_unlock(&mover->mutex);
    return NULL;
}

/* ---- what is asked ---- */

/* The request for the partition that waits. Under mutex. */
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
    struct work *work = find_work(mover, part);
    bool there = plog_log_dir(partition_log(part)) == to;
    /* A move elsewhere may be past the point where it can be cancelled. */
    bool found = there && work == NULL;
    if (work != NULL && work->request->to != to)
        work->cancel = true;
    else if (work != NULL)
        found = !work->cancel && !work->ending;
    ox_list_each(link, &mover->requests)
    {
        struct request *request = ox_container_of(link, struct request, link);
        if (request->part != part)
            continue;
        request->dead = found || request->to != to;
        found |= !request->dead;
    }
    if (!found) {
        struct request *request = ox_calloc(1, sizeof(*request));
        request->part = partition_hold(part);
        request->to = to;
        ox_list_push(&mover->requests, &request->link);
    }
    pthread_cond_broadcast(&mover->wake);
    pthread_mutex_unlock(&mover->mutex);
}

struct log_dir *
mover_target(struct mover *mover, struct partition *part)
{
    pthread_mutex_lock(&mover->mutex);
    struct request *request = find_request(mover, part);
    struct log_dir *to = request != NULL ? request->to : NULL;
    struct work *work = find_work(mover, part);
    if (to == NULL && work != NULL && !work->cancel && !work->ending)
        to = work->request->to;
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
    ox_list_init(&mover->works);
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
    pthread_cond_broadcast(&mover->wake);
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
    pthread_cond_broadcast(&mover->wake);
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
