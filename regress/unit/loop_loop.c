/* SPDX-License-Identifier: Apache-2.0
 *
 * Loops: mailboxes keep each sender's order, timers ring in order of their time,
 * hooks run at the end of the turn, jobs come home. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/loop.h"
#include "tap.h"

enum { LOOPS = 3, SENDERS = 4, POSTS = 5000, JOBS = 300 };

static struct loop_group *group;

/* ---- mailbox ---- */

struct numbered {
    struct loop_msg msg;
    int sender, number;
};

static struct numbered posts[SENDERS][POSTS];
static int seen_upto[SENDERS]; /* of the first loop */
static _Atomic int out_of_order, elsewhere, seen_all;

static void
see_number(struct loop_msg *msg)
{
    struct numbered *it = (struct numbered *)(void *)msg;
    if (!loop_is(loop_at(group, 0)))
        atomic_fetch_add(&elsewhere, 1);
    if (it->number != seen_upto[it->sender]++)
        atomic_fetch_add(&out_of_order, 1);
    atomic_fetch_add(&seen_all, 1);
}

static void *
send_numbers(void *arg)
{
    int sender = (int)(intptr_t)arg;
    for (int i = 0; i < POSTS; i++) {
        posts[sender][i] = (struct numbered){{NULL, see_number}, sender, i};
        loop_post(loop_at(group, 0), &posts[sender][i].msg);
    }
    return NULL;
}

static void
test_mailbox(void)
{
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_numbers, (void *)(intptr_t)i);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    loop_group_drain(group);
    is_int(atomic_load(&seen_all), SENDERS * POSTS, "every message of four threads arrives");
    is_int(atomic_load(&out_of_order), 0, "each thread's in the order posted");
    is_int(atomic_load(&elsewhere), 0, "on the loop that was named");
}

/* A message to oneself runs in a later turn, one to another loop there. */
static struct loop_msg hop;
static int hops[LOOPS], hop_self;
static _Atomic int hop_count;
static _Thread_local bool in_turn;
static _Atomic bool nested;

static void
take_hop(struct loop_msg *msg)
{
    struct loop *here = loop_self();
    if (in_turn)
        nested = true;
    in_turn = true;
    hops[loop_index(here)]++;
    if (++hop_count < 3 * LOOPS)
        loop_post(loop_at(group, hop_self ? 0 : (loop_index(here) + 1) % LOOPS), msg);
    in_turn = false;
}

static void
test_hops(void)
{
    for (hop_self = 0; hop_self < 2; hop_self++) {
        memset(hops, 0, sizeof(hops));
        hop_count = 0;
        hop.fn = take_hop;
        loop_post(loop_at(group, 0), &hop);
        while (hop_count < 3 * LOOPS)
            loop_group_drain(group);
        if (hop_self)
            ok(hops[0] == 3 * LOOPS && !nested, "a loop may post to itself, for a later turn");
        else
            ok(hops[0] == 3 && hops[1] == 3 && hops[2] == 3, "a message goes round the loops");
    }
    ok(loop_self() == NULL, "this thread is no loop");
}

/* ---- timers ---- */

struct rung {
    struct loop_timer timer;
    uint64_t wanted_ns;
    bool late_enough;
};

static struct rung bells[40];
static int ring_order[80], ring_count, again_left;
static struct rung stopped, again;
static _Atomic bool rung_last;

static void
ring(struct loop_timer *timer)
{
    struct rung *it = (struct rung *)(void *)timer;
    it->late_enough = loop_now_ns(timer->loop) >= it->wanted_ns && !loop_timer_running(timer);
    if (it >= bells && it < bells + 40)
        ring_order[ring_count++] = (int)(it - bells);
    if (it == &bells[0])
        loop_timer_stop(&stopped.timer);
    if (it == &again && --again_left > 0)
        loop_timer_start(timer->loop, timer, 2000000, ring);
}

static void
ring_last(struct loop_timer *timer)
{
    atomic_store(&rung_last, true);
}

static struct loop_timer last;

static void
start_timers(struct loop *loop, void *arg)
{
    if (loop_index(loop) != 0)
        return;
    uint64_t now = loop_now_ns(loop);
    for (int i = 0; i < 40; i++) { /* started in another order than they are due */
        int k = i * 17 % 40;
        uint64_t delay = (uint64_t)(5 + k) * 1000000;
        bells[k].wanted_ns = now + delay;
        loop_timer_start(loop, &bells[k].timer, k % 4 == 0 ? delay * 9 : delay, ring);
    }
    for (int k = 0; k < 40; k += 4) /* restarted: the later start counts */
        loop_timer_start(loop, &bells[k].timer, (uint64_t)(5 + k) * 1000000, ring);
    again_left = 5;
    loop_timer_start(loop, &again.timer, 1000000, ring);
    loop_timer_start(loop, &stopped.timer, 40000000, ring);
    loop_timer_start(loop, &last, 80000000, ring_last);
}

static void
test_timers(void)
{
    loop_each_sync(group, start_timers, NULL);
    while (!atomic_load(&rung_last))
        loop_group_drain(group);
    bool ordered = ring_count == 40, late = true;
    for (int i = 0; i < ring_count; i++) {
        ordered &= ring_order[i] == i;
        late &= bells[i].late_enough;
    }
    ok(ordered, "timers ring once, in the order of their time");
    ok(late, "none before its time, and not running any more");
    is_int(again_left, 0, "one may start itself again");
    ok(!stopped.late_enough && !loop_timer_running(&stopped.timer),
        "one that was stopped by another does not ring");
    loop_timer_stop(&stopped.timer);
    ok(true, "stopping it again is fine");
}

/* ---- the end of a turn ---- */

static struct loop_tick tick, tick_later;
static int tick_runs, tick_work_before, tick_work;
static bool tick_from_tick;

static void
at_end(struct loop_tick *self)
{
    tick_runs++;
    tick_work_before = tick_work;
    if (!tick_from_tick) {
        tick_from_tick = true;
        loop_at_tick_end(loop_self(), &tick_later);
    }
}

static void
later_end(struct loop_tick *self)
{
    tick_runs += 100;
}

static void
do_tick_work(struct loop_msg *msg)
{
    for (int i = 0; i < 3; i++) {
        tick_work++;
        loop_at_tick_end(loop_self(), &tick);
    }
}

static void
test_ticks(void)
{
    struct loop_msg msg = {NULL, do_tick_work};
    tick.fn = at_end;
    tick_later.fn = later_end;
    loop_post(loop_at(group, 1), &msg);
    loop_group_drain(group);
    is_int(tick_runs, 101, "a hook runs once however often it was asked for, also from a hook");
    is_int(tick_work_before, 3, "after what the turn did");
}

/* ---- the pool ---- */

struct job {
    struct pool_job job;
    int input;
    int output;
    bool on_loop; /* worked there */
};

static struct job jobs[LOOPS][JOBS];
static _Atomic int jobs_done, jobs_wrong, jobs_running, jobs_running_most;

static void
work(struct pool_job *job)
{
    int now = atomic_fetch_add(&jobs_running, 1) + 1;
    for (int most = atomic_load(&jobs_running_most); now > most &&
         !atomic_compare_exchange_weak(&jobs_running_most, &most, now);)
        ;
    struct job *it = (struct job *)(void *)job;
    it->on_loop = loop_self() != NULL;
    it->output = it->input * 2;
    atomic_fetch_sub(&jobs_running, 1);
}

static void
work_done(struct pool_job *job)
{
    struct job *it = (struct job *)(void *)job;
    if (!loop_is(job->loop) || it->on_loop || it->output != it->input * 2)
        atomic_fetch_add(&jobs_wrong, 1);
    atomic_fetch_add(&jobs_done, 1);
}

static void
submit(struct loop *loop, void *arg)
{
    struct job *mine = jobs[loop_index(loop)];
    for (int i = 0; i < JOBS; i++) {
        mine[i].input = i;
        mine[i].job.work = work;
        mine[i].job.done = work_done;
        loop_pool_submit(loop, &mine[i].job);
    }
}

static void
test_pool(void)
{
    loop_each_sync(group, submit, NULL);
    loop_group_drain(group);
    is_int(atomic_load(&jobs_done), LOOPS * JOBS, "every job is done when all is drained");
    is_int(atomic_load(&jobs_wrong), 0, "by a worker, and answered on the loop that gave it");
}

static void
test_pool_size(void)
{
    static const int sizes[] = {1, 8, 3};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        loop_group_pool_resize(group, sizes[i]);
        atomic_store(&jobs_done, 0);
        atomic_store(&jobs_running_most, 0);
        test_pool();
        ok(atomic_load(&jobs_running_most) <= sizes[i], "no more at a time than there may be");
    }
}

/* The first of two jobs ends when the second has begun: one thread is there and waits. */
static _Atomic int met;

static void
meet(struct pool_job *job)
{
    atomic_fetch_add(&met, 1);
    for (int i = 0; i < 2000 && atomic_load(&met) < 2; i++)
        usleep(1000);
    ((struct job *)(void *)job)->on_loop = atomic_load(&met) < 2;
}

static void
submit_one(struct loop *loop, void *arg)
{
    loop_pool_submit(loop, arg);
}

static void
submit_two(struct loop *loop, void *arg)
{
    struct job *two = arg;
    for (int i = 0; i < 2; i++) {
        two[i] = (struct job){.job = {.work = meet, .done = work_done}};
        loop_pool_submit(loop, &two[i].job);
    }
}

static void
test_pool_at_once(void)
{
    static struct job first, two[2];
    struct loop_group *own;
    const struct loop_config config = {.count = 1, .pool_threads = 4};
    struct ox_err err;
    if (loop_group_start(&config, env_os(), &own, &err) != OX_OK)
        abort();
    atomic_store(&met, 2);
    first.job = (struct pool_job){.work = meet, .done = work_done};
    loop_sync(loop_at(own, 0), submit_one, &first);
    loop_group_drain(own);
    usleep(20000);
    atomic_store(&met, 0);
    atomic_store(&jobs_wrong, 0);
    loop_sync(loop_at(own, 0), submit_two, two);
    loop_group_drain(own);
    is_int(atomic_load(&jobs_wrong), 0, "two jobs given at once run at once, though one thread waits");
    loop_group_stop(own);
}

static void
note_loop(struct loop *loop, void *arg)
{
    ((int *)arg)[loop_index(loop)] += loop_is(loop) && loop_at(group, loop_index(loop)) == loop;
}

/* Loops come while others run; none goes. */
static void
test_resize(void)
{
    int ran[LOOPS_MAX] = {0};
    loop_group_resize(group, LOOPS + 2, 0);
    is_int(loop_open_count(group), LOOPS + 2, "two loops more");
    is_int(loop_count(group), LOOPS, "which are no homes");
    loop_each_sync(group, note_loop, ran);
    ok(ran[LOOPS] == 1 && ran[LOOPS + 1] == 1 && ran[LOOPS + 2] == 0, "run");
    loop_group_resize(group, 1, 0);
    is_int(loop_open_count(group), 1, "one is in use");
    is_int(loop_running_count(group), LOOPS + 2, "the others are still there");
    loop_group_resize(group, 2, LOOPS_MAX);
    is_int(loop_running_count(group), LOOPS_MAX, "as many as there can be");
    loop_each_sync(group, note_loop, ran);
    ok(ran[0] == 2 && ran[LOOPS_MAX - 1] == 1, "run");
}

int
main(void)
{
    struct loop_config config = {.count = LOOPS, .pool_threads = 2};
    struct ox_err err;
    int ran[LOOPS] = {0};
    ok(loop_group_start(&config, env_os(), &group, &err) == OX_OK, "loops start");
    is_int(loop_count(group), LOOPS, "as many as asked for");
    loop_each_sync(group, note_loop, ran);
    ok(ran[0] == 1 && ran[1] == 1 && ran[2] == 1, "a call runs on each, and is waited for");
    test_mailbox();
    test_hops();
    test_timers();
    test_ticks();
    test_pool();
    test_pool_size();
    test_pool_at_once();
    test_resize();
    loop_group_stop(group);
    ok(true, "loops stop");
    return done();
}
