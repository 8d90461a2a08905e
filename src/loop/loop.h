/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads that run event loops. A connection, a coordinator shard, a running
 * plan belongs to one loop and is touched by that loop only; everybody else
 * posts a message to the loop's mailbox. Blocking work goes to the pool, which
 * touches nothing but its own job. uv_* is used here and in net/ only.
 *
 * A message, a timer, a job is a struct that the caller embeds in its own; it
 * must stay in place from the call that hands it over until it is called back
 * or taken back. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/list.h"

struct loop;
struct loop_group;

struct loop_config {
    int count;              /* loops, 1..64 */
    int pool_threads;       /* blocking workers, 1..64 */
    uint64_t poll_ns;       /* spin this long before sleeping after work was done */
    /* No threads: who made the group calls loop_group_turn(), which also does the
     * blocking work and, last, calls turned(arg). For simulations. */
    bool by_hand;
    void (*turned)(void *arg);
    void *arg;
};

/* Start the threads. Gives the group; loops sleep until something is posted. */
ox_code loop_group_start(const struct loop_config *config, const struct env *env,
    struct loop_group **out, struct ox_err *err);
/* Ask every loop to end after the callbacks already due, join all threads, free.
 * Whoever owns timers, connections and jobs has let them go before. */
void loop_group_stop(struct loop_group *group);

/* Wait until every loop has run what was posted so far and blocking jobs are done, and
 * what these posted in turn, twice over: answers and closes on their way arrive. On: no
 * loop. */
void loop_group_drain(struct loop_group *group);

/* One turn of every loop of a group that is run by hand, its sockets aside: ready,
 * if not NULL, is called on loop 0 before its messages. Jobs that do blocking work
 * may take turns of their own. True: something was done.
 * On: no loop. */
bool loop_group_turn(struct loop_group *group, void (*ready)(void *arg), void *arg);

/* pthread_cond_wait() for what a loop will signal; of a group that is run by hand
 * it takes a turn instead, without the mutex. On: no loop. */
void loop_group_wait(struct loop_group *group, pthread_cond_t *cond, pthread_mutex_t *mutex);

/* Another number of blocking workers, 1..64. Any thread. */
void loop_group_pool_resize(struct loop_group *group, int threads);

enum { LOOPS_MAX = 64 };
/* The loops of the start, on which coordinators and the like have their homes. */
int loop_count(const struct loop_group *group);
/* More of them for connections, 1..LOOPS_MAX: `open` for whoever does not say otherwise,
 * `running` at least. None ends before the group: who is not open any more gets nothing
 * new, and sleeps when its last connection is gone. Not by hand. On: one thread. */
void loop_group_resize(struct loop_group *group, int open, int running);
int loop_open_count(const struct loop_group *group);    /* any thread */
int loop_running_count(const struct loop_group *group); /* at least loop_count(); any thread */
struct loop *loop_at(struct loop_group *group, int index); /* of the running */
/* One loop more, not among the counted: it accepts connections and takes requests
 * to cancel, and nothing that computes runs on it. Its index is LOOPS_MAX. By hand: loop 0. */
struct loop *loop_door(struct loop_group *group);
int loop_index(const struct loop *loop);
const struct env *loop_env(const struct loop *loop);

/* The loop this thread runs, or NULL on any other thread. */
struct loop *loop_self(void);
static inline bool
loop_is(const struct loop *loop)
{
    return loop_self() == loop;
}

/* Monotonic nanoseconds, read once per turn. On: the loop. */
uint64_t loop_now_ns(const struct loop *loop);
/* Wall clock milliseconds, read once per turn. On: the loop. */
int64_t loop_wall_ms(const struct loop *loop);
/* Share of the last moments in which the loop worked, 0..1000. Any thread. */
int loop_load(const struct loop *loop);

/* Whether the turn that is under way has lasted longer than ns: what comes to the loop
 * waits. Any thread. */
bool loop_is_held(const struct loop *loop, uint64_t ns);

/* ---- messages: fn(msg) runs on the loop, in the order posted by one thread.
 * On: any thread, the loop itself included (then it runs in a later turn). ---- */
struct loop_msg {
    struct loop_msg *next;
    void (*fn)(struct loop_msg *msg);
};
void loop_post(struct loop *loop, struct loop_msg *msg);

/* ---- timers. On: the loop that owns the timer. ---- */
struct loop_timer {
    void (*fn)(struct loop_timer *timer);
    struct loop *loop; /* NULL until started once */
    uint64_t due_ns;
    uint32_t slot; /* in the loop's heap, 1-based; 0 not running */
};
/* (Re)start: fn runs once, at or after loop_now_ns() + delay_ns; millisecond
 * resolution. A zeroed struct is a stopped timer. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns,
    void (*fn)(struct loop_timer *timer));
void loop_timer_stop(struct loop_timer *timer); /* fine when not running */
static inline bool
loop_timer_running(const struct loop_timer *timer)
{
    return timer->slot != 0;
}

/* ---- end of turn: fn runs once when the callbacks of this turn are done, e.g.
 * to flush what a connection collected. Adding one that waits is a no-op.
 * On: the loop. ---- */
struct loop_tick {
    struct loop_tick *next;
    void (*fn)(struct loop_tick *tick);
    bool waiting;
};
void loop_at_tick_end(struct loop *loop, struct loop_tick *tick);

/* ---- pool: work(job) on a worker, then done(job) on the loop that submitted
 * it; order of completion carries no meaning. ---- */
struct pool_job {
    struct loop_msg msg;
    struct pool_job *next;
    struct loop *loop;
    void (*work)(struct pool_job *job);
    void (*done)(struct pool_job *job);
};
/* On: a loop. */
void loop_pool_submit(struct loop *loop, struct pool_job *job);

/* Run fn(loop, arg) on every running loop and return when all have; for start and stop.
 * On: a thread that is no loop. */
void loop_each_sync(struct loop_group *group, void (*fn)(struct loop *loop, void *arg), void *arg);
/* The same on one loop, which may be the door's. */
void loop_sync(struct loop *loop, void (*fn)(struct loop *loop, void *arg), void *arg);

/* For net/: the uv_loop_t of this loop, and a note that work was done. */
void *loop_uv(struct loop *loop);
void loop_mark_work(struct loop *loop);

#endif
