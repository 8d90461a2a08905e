/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers for blocking calls. A job runs on any worker, its completion is a
 * message to the loop that submitted it. Threads start with the first job, so
 * that an idle server pays for none. At most `most` jobs run at a time; when that
 * is lowered, threads that are over sleep. */
#include <pthread.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/lock.h"
#include "loop/loop_int.h"

enum { POOL_THREADS_MAX = 64 };

struct pool {
    struct lock lock;
    pthread_cond_t more, none; /* none: nothing is queued or running */
    struct pool_job *first, **end;
    pthread_t threads[POOL_THREADS_MAX];
    int most, running, thread_count;
    int idle, queued; /* threads that wait, though they may be woken; jobs nobody has taken */
    bool stopping;
};

void
pool_finish(struct loop_msg *msg)
{
    struct pool_job *job = ox_container_of(msg, struct pool_job, msg);
    job->done(job);
}

/* When stopping, what is left is done. */
static bool
nothing_to_do(const struct pool *pool)
{
    return !pool->stopping && (pool->first == NULL || pool->running >= pool->most);
}

static struct pool_job *
take_job(struct pool *pool)
{
    ox_lock(&pool->lock);
    pool->idle++;
    while (nothing_to_do(pool))
        pthread_cond_wait(&pool->more, &pool->lock.mutex);
    pool->idle--;
    struct pool_job *job = pool->first;
    if (job != NULL) {
        pool->running++;
        pool->queued--;
        pool->first = job->next;
        if (pool->first == NULL)
            pool->end = &pool->first;
    }
    ox_unlock(&pool->lock);
    return job;
}

static void
job_over(struct pool *pool)
{
    ox_lock(&pool->lock);
    pool->running--;
    if (pool->first != NULL) /* somebody may have been kept from it */
        pthread_cond_signal(&pool->more);
    else if (pool->running == 0)
        pthread_cond_broadcast(&pool->none);
    ox_unlock(&pool->lock);
}

static void *
worker_main(void *arg)
{
    struct pool *pool = arg;
    struct pool_job *job;
    pthread_setname_np(pthread_self(), "oxbow-pool");
    while ((job = take_job(pool)) != NULL) {
        job->work(job);
        job->msg.fn = pool_finish;
        loop_post(job->loop, &job->msg);
        job_over(pool);
    }
    return NULL;
}

struct pool *
pool_start(int threads)
{
    struct pool *pool = ox_calloc(1, sizeof(*pool));
    ox_lock_init(&pool->lock, LOCK_POOL);
    pthread_cond_init(&pool->more, NULL);
    pthread_cond_init(&pool->none, NULL);
    pool->end = &pool->first;
    pool->most = threads;
    return pool;
}

void
pool_resize(struct pool *pool, int threads)
{
    ox_assert(threads >= 1 && threads <= POOL_THREADS_MAX);
    ox_lock(&pool->lock);
    pool->most = threads;
    pthread_cond_broadcast(&pool->more);
    ox_unlock(&pool->lock);
}

void
pool_push(struct pool *pool, struct pool_job *job)
{
    job->next = NULL;
    ox_lock(&pool->lock);
    ox_assert(!pool->stopping);
    *pool->end = job;
    pool->end = &job->next;
    pool->queued++;
    if (pool->queued > pool->idle && pool->thread_count < pool->most) {
        int failed = pthread_create(&pool->threads[pool->thread_count], NULL, worker_main, pool);
        ox_assert(failed == 0 || pool->thread_count > 0);
        pool->thread_count += failed == 0;
    }
    pthread_cond_signal(&pool->more);
    ox_unlock(&pool->lock);
}

void
pool_drain(struct pool *pool)
{
    ox_lock(&pool->lock);
    while (pool->first != NULL || pool->running > 0)
        pthread_cond_wait(&pool->none, &pool->lock.mutex);
    ox_unlock(&pool->lock);
}

void
pool_stop(struct pool *pool)
{
    ox_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->more);
    ox_unlock(&pool->lock);
    for (int i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    ox_lock_fini(&pool->lock);
    pthread_cond_destroy(&pool->more);
    pthread_cond_destroy(&pool->none);
    ox_free(pool);
}
