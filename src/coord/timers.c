/* SPDX-License-Identifier: Apache-2.0
 *
 * A binary heap of timers by due time. Each timer knows its slot, so that a
 * session which every heartbeat restarts costs a few swaps and no memory. */
#include "coord/coord_int.h"

static void
place(struct coord_timers *timers, uint32_t slot, struct coord_timer *timer)
{
    timers->heap[slot] = timer;
    timer->slot = slot;
}

static void
sift_up(struct coord_timers *timers, struct coord_timer *timer, uint32_t slot)
{
    while (slot > 1 && timers->heap[slot / 2]->at_ms > timer->at_ms) {
        place(timers, slot, timers->heap[slot / 2]);
        slot /= 2;
    }
    place(timers, slot, timer);
}

static void
sift_down(struct coord_timers *timers, struct coord_timer *timer, uint32_t slot)
{
    for (;;) {
        uint32_t child = slot * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && timers->heap[child + 1]->at_ms < timers->heap[child]->at_ms)
            child++;
        if (timers->heap[child]->at_ms >= timer->at_ms)
            break;
        place(timers, slot, timers->heap[child]);
        slot = child;
    }
    place(timers, slot, timer);
}

static void
settle(struct coord_timers *timers, struct coord_timer *timer, uint32_t slot)
{
    if (slot > 1 && timers->heap[slot / 2]->at_ms > timer->at_ms)
        sift_up(timers, timer, slot);
    else
        sift_down(timers, timer, slot);
}

void
timers_fini(struct coord_timers *timers)
{
    ox_assert(timers->count == 0);
    ox_free(timers->heap);
    *timers = (struct coord_timers){0};
}

void
timers_start(struct coord_timers *timers, struct coord_timer *timer, uint64_t at_ms)
{
    timer->at_ms = at_ms;
    if (timer->slot != 0) {
        settle(timers, timer, timer->slot);
        return;
    }
    if (timers->count + 1 >= timers->cap) {
        timers->cap = timers->cap == 0 ? 16 : timers->cap * 2;
        timers->heap = ox_realloc(timers->heap, ox_size_mul(timers->cap, sizeof(*timers->heap)));
    }
    timers->count++;
    sift_up(timers, timer, timers->count);
}

void
timers_stop(struct coord_timers *timers, struct coord_timer *timer)
{
    uint32_t slot = timer->slot;
    if (slot == 0)
        return;
    ox_assert(timers->heap[slot] == timer);
    struct coord_timer *last = timers->heap[timers->count--];
    timer->slot = 0;
    if (last != timer)
        settle(timers, last, slot);
}

uint64_t
timers_next(const struct coord_timers *timers)
{
    return timers->count == 0 ? UINT64_MAX : timers->heap[1]->at_ms;
}

struct coord_timer *
timers_pop(struct coord_timers *timers, uint64_t now_ms)
{
    if (timers->count == 0 || timers->heap[1]->at_ms > now_ms)
        return NULL;
    struct coord_timer *timer = timers->heap[1];
    timers_stop(timers, timer);
    return timer;
}
