/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside loop/: the pool as loop.c sees it. */
#ifndef LOOP_LOOP_INT_H
#define LOOP_LOOP_INT_H

#include "loop/loop.h"

struct pool;

struct pool *pool_start(int threads);
void pool_resize(struct pool *pool, int threads); /* 1..64 */
void pool_push(struct pool *pool, struct pool_job *job);
/* What tells a job's loop that it is done: calls job->done. */
void pool_finish(struct loop_msg *msg);
/* Return when no job is queued or under way; their loops have been told by then. */
void pool_drain(struct pool *pool);
/* Finish the jobs already taken and queued, join the workers, free. */
void pool_stop(struct pool *pool);

#endif
