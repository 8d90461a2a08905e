/* SPDX-License-Identifier: Apache-2.0
 *
 * One loop is one thread and one uv_loop_t. A turn is: sockets that are ready,
 * messages, timers due, then the end-of-turn hooks. The mailbox is a stack that
 * any thread pushes to without a lock; the loop takes it whole and reverses it,
 * which restores each sender's order.
 *
 *   post --push--> inbox --take all, reverse--> run        wake: one uv_async
 *
 * Waking a sleeping thread costs far more than a turn, so after a turn that did
 * work the loop looks for more without sleeping for poll_ns, as long as that
 * pays: luck counts up when work came in that time and down when it did not (a
 * client that has a megabyte to read first). An idle loop sleeps in epoll with no
 * timeout but its next timer's.
 *
 * Invariants
 *  1. A message is in at most one inbox; fn may free or repost it.
 *  2. heap[i]->slot == i + 1 for every running timer, none otherwise.
 *  3. Only the loop's own thread touches uv, heap and ticks. */
#include "loop/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/diag.h"
#include "loop/loop_int.h"

enum {
    LOAD_WINDOW_NS = 20 * 1000 * 1000,
    LUCK_MAX = 16,
    LUCK_TRY = 64,   /* without luck: looks once in so many turns that did work */
    READY_NS = 2000, /* work that comes sooner was there already */
};

struct loop {
    struct loop_group *group;
    const struct env *env;
    int index;
    pthread_t thread;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t alarm;
    _Atomic(struct loop_msg *) inbox;
    _Atomic bool stopping;
    struct loop_timer **heap;
    uint32_t heap_count, heap_cap;
    struct loop_tick *ticks, **ticks_end;
    uint64_t now_ns, poll_until_ns;
    uint64_t idle_since_ns; /* the end of the last turn that did work */
    uint32_t luck, turns;
    int64_t wall_ms;
    bool worked;
    bool looked; /* without sleeping, and found nothing, since idle_since_ns */
    uint64_t window_start_ns, window_busy_ns;
    _Atomic int load;
    _Atomic uint64_t turn_ns; /* when the turn began that is under way; 0: it waits */
};

struct loop_group {
    struct loop_config config;
    const struct env *env;
    struct pool *pool;
    struct loop *loops[LOOPS_MAX + 1]; /* those that run, and the door's */
    int door;                          /* its index: LOOPS_MAX, or by hand 0 */
    _Atomic int open, running;         /* loop_group_resize() */
    struct pool_job *jobs; /* by hand: submitted, newest first */
    bool in_turn;
};

static _Thread_local struct loop *self;

/* ---- timers: a binary heap by due time ---- */

static void
heap_set(struct loop *loop, uint32_t at, struct loop_timer *timer)
{
    loop->heap[at] = timer;
    timer->slot = at + 1;
}

static void
heap_up(struct loop *loop, uint32_t at)
{
    struct loop_timer *timer = loop->heap[at];
    for (; at > 0; at = (at - 1) / 2) {
        struct loop_timer *parent = loop->heap[(at - 1) / 2];
        if (parent->due_ns <= timer->due_ns)
            break;
        heap_set(loop, at, parent);
    }
    heap_set(loop, at, timer);
}

static void
heap_down(struct loop *loop, uint32_t at)
{
    struct loop_timer *timer = loop->heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count &&
            loop->heap[child + 1]->due_ns < loop->heap[child]->due_ns)
            child++;
        if (loop->heap[child]->due_ns >= timer->due_ns)
            break;
        heap_set(loop, at, loop->heap[child]);
        at = child;
    }
    heap_set(loop, at, timer);
}

static void
heap_remove(struct loop *loop, struct loop_timer *timer)
{
    uint32_t at = timer->slot - 1;
    ox_assert(at < loop->heap_count && loop->heap[at] == timer);
    struct loop_timer *last = loop->heap[--loop->heap_count];
    timer->slot = 0;
    if (last == timer)
        return;
    heap_set(loop, at, last);
    heap_up(loop, at);
    heap_down(loop, last->slot - 1);
}

void
loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns,
    void (*fn)(struct loop_timer *timer))
{
    ox_assert(loop_is(loop));
    loop_timer_stop(timer);
    timer->fn = fn;
    timer->loop = loop;
    timer->due_ns = loop->now_ns + delay_ns;
    if (loop->heap_count == loop->heap_cap) {
        loop->heap_cap = OX_MAX(loop->heap_cap * 2, 16u);
        loop->heap = ox_realloc(loop->heap, loop->heap_cap * sizeof(*loop->heap));
    }
    heap_set(loop, loop->heap_count++, timer);
    heap_up(loop, timer->slot - 1);
}

void
loop_timer_stop(struct loop_timer *timer)
{
    if (timer->slot != 0)
        heap_remove(timer->loop, timer);
}

static void
run_timers(struct loop *loop)
{
    while (loop->heap_count > 0 && loop->heap[0]->due_ns <= loop->now_ns) {
        struct loop_timer *timer = loop->heap[0];
        heap_remove(loop, timer);
        loop->worked = true;
        timer->fn(timer);
    }
}

static void
on_alarm(uv_timer_t *alarm)
{
    (void)alarm; /* the turn that follows runs the timers */
}

static void
set_alarm(struct loop *loop)
{
    if (loop->heap_count == 0) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    uint64_t due = loop->heap[0]->due_ns;
    uint64_t delay_ns = due > loop->now_ns ? due - loop->now_ns : 0;
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm, (delay_ns + 999999) / 1000000, 0);
}

/* ---- messages ---- */

void
loop_post(struct loop *loop, struct loop_msg *msg)
{
    struct loop_msg *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do
        msg->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, msg, memory_order_release,
        memory_order_relaxed));
    if (head == NULL && self != loop && !loop->group->config.by_hand)
        uv_async_send(&loop->wake);
}

static void
run_messages(struct loop *loop)
{
    struct loop_msg *taken = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct loop_msg *list = NULL;
    while (taken != NULL) {
        struct loop_msg *next = taken->next;
        taken->next = list;
        list = taken;
        taken = next;
    }
    while (list != NULL) {
        struct loop_msg *msg = list;
        list = msg->next;
        loop->worked = true;
        msg->fn(msg);
    }
}

static void
on_wake(uv_async_t *wake)
{
    (void)wake; /* the turn that follows runs the messages */
}

/* ---- turns ---- */

void
loop_at_tick_end(struct loop *loop, struct loop_tick *tick)
{
    ox_assert(loop_is(loop));
    if (tick->waiting)
        return;
    tick->waiting = true;
    tick->next = NULL;
    *loop->ticks_end = tick;
    loop->ticks_end = &tick->next;
}

static void
run_ticks(struct loop *loop)
{
    while (loop->ticks != NULL) {
        struct loop_tick *tick = loop->ticks;
        loop->ticks = tick->next;
        if (loop->ticks == NULL)
            loop->ticks_end = &loop->ticks;
        tick->waiting = false;
        tick->fn(tick);
    }
}

static void
read_clocks(struct loop *loop)
{
    loop->now_ns = env_mono_ns(loop->env);
    loop->wall_ms = env_wall_ms(loop->env);
}

/* Work began at start_ns: was it, or would it have been, worth looking for? */
static void
note_luck(struct loop *loop, uint64_t start_ns)
{
    uint64_t gap = start_ns - loop->idle_since_ns, poll_ns = loop->group->config.poll_ns;
    if (gap < READY_NS)
        return;
    /* To be woken takes time too. */
    if (gap <= (loop->looked ? poll_ns : 2 * poll_ns))
        loop->luck = OX_MIN(loop->luck + 2, (uint32_t)LUCK_MAX);
    else if (loop->looked && loop->luck > 0)
        loop->luck--;
}

static bool
feels_lucky(struct loop *loop)
{
    return loop->luck > 0 || loop->turns++ % LUCK_TRY == 0;
}

static void
note_load(struct loop *loop, uint64_t turn_start_ns)
{
    uint64_t now = env_mono_ns(loop->env);
    if (loop->worked)
        loop->window_busy_ns += now - turn_start_ns;
    uint64_t window = now - loop->window_start_ns;
    if (window >= LOAD_WINDOW_NS) {
        atomic_store_explicit(&loop->load, (int)(loop->window_busy_ns * 1000 / window),
            memory_order_relaxed);
        loop->window_start_ns = now;
        loop->window_busy_ns = 0;
    }
    if (loop->worked) {
        note_luck(loop, turn_start_ns);
        loop->poll_until_ns = now + (feels_lucky(loop) ? loop->group->config.poll_ns : 0);
        loop->idle_since_ns = now;
    }
    loop->looked = !loop->worked;
    loop->now_ns = now;
}

static bool
must_not_sleep(const struct loop *loop)
{
    return loop->now_ns < loop->poll_until_ns ||
           atomic_load_explicit(&loop->inbox, memory_order_relaxed) != NULL;
}

/* uv calls this between waiting for sockets and serving them. */
static void
run_turn(struct loop *loop)
{
    set_alarm(loop);
    loop->worked = false;
    uv_run_mode mode = must_not_sleep(loop) ? UV_RUN_NOWAIT : UV_RUN_ONCE;
    if (mode == UV_RUN_ONCE)
        atomic_store_explicit(&loop->load, (int)(loop->window_busy_ns * 1000 / LOAD_WINDOW_NS),
            memory_order_relaxed);
    uv_run(&loop->uv, mode);
    uint64_t start_ns = loop->worked ? loop->now_ns : env_mono_ns(loop->env);
    read_clocks(loop);
    atomic_store_explicit(&loop->turn_ns, start_ns, memory_order_relaxed);
    run_messages(loop);
    run_timers(loop);
    run_ticks(loop);
    note_load(loop, start_ns);
    atomic_store_explicit(&loop->turn_ns, 0, memory_order_relaxed);
}

/* Any order will do. */
static bool
run_jobs(struct loop_group *group)
{
    bool worked = false;
    while (group->jobs != NULL) {
        struct pool_job *job = group->jobs;
        group->jobs = job->next;
        job->work(job);
        job->msg.fn = pool_finish;
        loop_post(job->loop, &job->msg);
        worked = true;
    }
    return worked;
}

bool
loop_group_turn(struct loop_group *group, void (*ready)(void *arg), void *arg)
{
    bool worked = false;
    ox_assert(self == NULL && group->config.by_hand);
    group->in_turn = true;
    for (int i = 0; i < group->config.count; i++) {
        struct loop *loop = self = group->loops[i];
        loop->worked = false;
        read_clocks(loop);
        if (i == 0 && ready != NULL)
            ready(arg);
        run_messages(loop);
        run_timers(loop);
        worked |= loop->worked || loop->ticks != NULL;
        run_ticks(loop);
        self = NULL;
    }
    group->in_turn = false;
    worked |= run_jobs(group);
    if (group->config.turned != NULL)
        group->config.turned(group->config.arg);
    return worked;
}

void
loop_group_wait(struct loop_group *group, pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (!group->config.by_hand) {
        pthread_cond_wait(cond, mutex);
        return;
    }
    pthread_mutex_unlock(mutex);
    loop_group_turn(group, NULL, NULL);
    pthread_mutex_lock(mutex);
}

static void
loop_fini(struct loop *loop)
{
    run_messages(loop);
    run_ticks(loop);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
}

static void *
loop_main(void *arg)
{
    struct loop *loop = arg;
    self = loop;
    char name[16];
    if (loop->index == LOOPS_MAX)
        snprintf(name, sizeof(name), "oxbow-door");
    else
        snprintf(name, sizeof(name), "oxbow-loop%d", loop->index);
    pthread_setname_np(pthread_self(), name);
    read_clocks(loop);
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire))
        run_turn(loop);
    loop_fini(loop);
    return NULL;
}

void
loop_mark_work(struct loop *loop)
{
    if (!loop->worked) {
        read_clocks(loop);
        atomic_store_explicit(&loop->turn_ns, loop->now_ns, memory_order_relaxed);
    }
    loop->worked = true;
}

/* ---- the group ---- */

/* 0, or what is missing: descriptors. */
static int
loop_init(struct loop *loop, struct loop_group *group, int index, const struct env *env)
{
    loop->group = group;
    loop->env = env;
    loop->index = index;
    loop->ticks_end = &loop->ticks;
    loop->luck = LUCK_MAX;
    int failed = uv_loop_init(&loop->uv);
    if (failed != 0)
        return -failed;
    failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (failed != 0) {
        uv_loop_close(&loop->uv);
        return -failed;
    }
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->uv.data = loop;
    return 0;
}

static ox_code
start_loop(struct loop_group *group, int index, struct ox_err *err)
{
    struct loop *loop = ox_calloc(1, sizeof(*loop));
    int failed = loop_init(loop, group, index, group->env);
    if (failed != 0) {
        ox_free(loop);
        return ox_fail_errno(err, failed, "making a loop");
    }
    group->loops[index] = loop;
    if (group->config.by_hand) {
        read_clocks(loop);
        return OX_OK;
    }
    failed = pthread_create(&loop->thread, NULL, loop_main, loop);
    if (failed == 0)
        return OX_OK;
    group->loops[index] = NULL;
    self = loop;
    loop_fini(loop);
    self = NULL;
    ox_free(loop);
    return ox_fail_errno(err, failed, "starting the thread of a loop");
}

static pthread_once_t memory_once = PTHREAD_ONCE_INIT;

/* Where libuv has no memory for its tables it aborts without a word; ours says why. */
static void
use_our_memory(void)
{
    uv_replace_allocator(ox_malloc, ox_realloc, ox_calloc, ox_free);
}

ox_code
loop_group_start(const struct loop_config *config, const struct env *env, struct loop_group **out,
    struct ox_err *err)
{
    if (config->count < 1 || config->count > LOOPS_MAX)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "number of loops %d is not in 1..%d",
            config->count, LOOPS_MAX);
    pthread_once(&memory_once, use_our_memory);
    struct loop_group *group = ox_calloc(1, sizeof(*group));
    group->config = *config;
    group->env = env;
    group->pool = pool_start(config->pool_threads);
    group->door = config->by_hand ? 0 : LOOPS_MAX;
    ox_code code = OX_OK;
    for (int i = 0; i < config->count && code == OX_OK; i++)
        code = start_loop(group, i, err);
    if (code == OX_OK && !config->by_hand)
        code = start_loop(group, group->door, err);
    if (code != OX_OK) {
        loop_group_stop(group);
        return code;
    }
    atomic_store(&group->open, config->count);
    atomic_store(&group->running, config->count);
    *out = group;
    return OX_OK;
}

void
loop_group_resize(struct loop_group *group, int open, int running)
{
    struct ox_err err;
    int now = atomic_load(&group->running);
    ox_assert(open >= 1 && open <= LOOPS_MAX && running <= LOOPS_MAX);
    for (running = OX_MAX(running, open); now < running && !group->config.by_hand; now++) {
        if (start_loop(group, now, &err) != OX_OK) {
            ox_diag_err(OX_DIAG_WARN, "fewer loops than asked for", &err);
            break;
        }
        atomic_store(&group->running, now + 1);
    }
    atomic_store(&group->open, OX_MIN(open, now));
}

static void
stop_loop(struct loop_group *group, struct loop *loop)
{
    if (group->config.by_hand) {
        self = loop;
        loop_fini(loop);
        self = NULL;
    } else {
        atomic_store_explicit(&loop->stopping, true, memory_order_release);
        uv_async_send(&loop->wake);
        pthread_join(loop->thread, NULL);
    }
    ox_free(loop->heap);
    ox_free(loop);
}

void
loop_group_stop(struct loop_group *group)
{
    pool_stop(group->pool);
    for (int i = LOOPS_MAX; i >= 0; i--)
        if (group->loops[i] != NULL)
            stop_loop(group, group->loops[i]);
    ox_free(group);
}

void
loop_group_pool_resize(struct loop_group *group, int threads)
{
    pool_resize(group->pool, threads);
}

int
loop_count(const struct loop_group *group)
{
    return group->config.count;
}

int
loop_open_count(const struct loop_group *group)
{
    return atomic_load(&group->open);
}

int
loop_running_count(const struct loop_group *group)
{
    return atomic_load(&group->running);
}

struct loop *
loop_at(struct loop_group *group, int index)
{
    ox_assert(index >= 0 && index < atomic_load(&group->running));
    return group->loops[index];
}

struct loop *
loop_door(struct loop_group *group)
{
    return group->loops[group->door];
}

int
loop_index(const struct loop *loop)
{
    return loop->index;
}

const struct env *
loop_env(const struct loop *loop)
{
    return loop->env;
}

struct loop *
loop_self(void)
{
    return self;
}

uint64_t
loop_now_ns(const struct loop *loop)
{
    return loop->now_ns;
}

int64_t
loop_wall_ms(const struct loop *loop)
{
    return loop->wall_ms;
}

int
loop_load(const struct loop *loop)
{
    return atomic_load_explicit(&loop->load, memory_order_relaxed);
}

bool
loop_is_held(const struct loop *loop, uint64_t ns)
{
    uint64_t since = atomic_load_explicit(&loop->turn_ns, memory_order_relaxed);
    return since != 0 && env_mono_ns(loop->env) > since + ns;
}

void *
loop_uv(struct loop *loop)
{
    return &loop->uv;
}

void
loop_pool_submit(struct loop *loop, struct pool_job *job)
{
    job->loop = loop;
    if (!loop->group->config.by_hand) {
        pool_push(loop->group->pool, job);
        return;
    }
    job->next = loop->group->jobs;
    loop->group->jobs = job;
}

struct each_call {
    struct loop_msg msg;
    void (*fn)(struct loop *loop, void *arg);
    void *arg;
    uv_sem_t *done;
};

static void
run_each(struct loop_msg *msg)
{
    struct each_call *call = ox_container_of(msg, struct each_call, msg);
    call->fn(self, call->arg);
    uv_sem_post(call->done);
}

static void
run_on(struct loop *loop, void (*fn)(struct loop *loop, void *arg), void *arg)
{
    if (loop->group->config.by_hand) {
        self = loop;
        fn(self, arg);
        self = NULL;
        return;
    }
    uv_sem_t done;
    uv_sem_init(&done, 0);
    struct each_call call = {{.fn = run_each}, fn, arg, &done};
    loop_post(loop, &call.msg);
    uv_sem_wait(&done);
    uv_sem_destroy(&done);
}

void
loop_sync(struct loop *loop, void (*fn)(struct loop *loop, void *arg), void *arg)
{
    struct loop_group *group = loop->group;
    ox_assert(self == NULL);
    if (group->config.by_hand && !group->in_turn) /* what was posted before comes before */
        loop_group_turn(group, NULL, NULL);
    run_on(loop, fn, arg);
}

void
loop_each_sync(struct loop_group *group, void (*fn)(struct loop *loop, void *arg), void *arg)
{
    ox_assert(self == NULL);
    if (group->config.by_hand && !group->in_turn)
        loop_group_turn(group, NULL, NULL);
    for (int i = 0; i < atomic_load(&group->running); i++)
        run_on(group->loops[i], fn, arg);
}

static void
pass(struct loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
}

void
loop_group_drain(struct loop_group *group)
{
    for (int i = 0; i < 4; i++) {
        if (group->config.by_hand) {
            loop_group_turn(group, NULL, NULL);
            continue;
        }
        pool_drain(group->pool);
        loop_each_sync(group, pass, NULL);
    }
}
