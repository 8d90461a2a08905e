/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether what this thread computes is still wanted. A statement has a struct
 * ox_stop; whoever computes for it on a thread enters it there, and code that may
 * take long, however deep, asks ox_stopped() as it goes: a sort's comparison, a
 * step of a regular expression, a digit of a number.
 *
 * Code that cannot fail simply ends early with any result: once ox_stopped() was
 * true the results of this stop's work do not matter, and who drives it looks at
 * ox_stop_seen() before it uses them.
 *
 *   state    serial of the work << 32 | code it was asked to stop with
 *            serial 0: nothing is under way, nothing to be stopped */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/env.h"
#include "base/err.h"

struct ox_stop {
    _Atomic uint64_t state;
    /* The rest belongs to the thread that computes. */
    const struct env *env; /* of the deadline; NULL: none is looked at */
    uint64_t deadline_ns;  /* mono ns, then OX_STATEMENT_TIMEOUT; 0 none */
    uint32_t serial;
    uint32_t spent; /* estimated ns since the clock was read */
    bool seen;      /* ox_stopped() was true */
};

/* Estimated ns of work between two looks at the clock. */
enum { OX_STOP_CLOCK_NS = 100000 };

extern _Thread_local struct ox_stop *ox_stop_here;

/* Work begins, its end. On: the thread that computes. */
void ox_stop_begin(struct ox_stop *stop);
void ox_stop_end(struct ox_stop *stop);
/* The serial of what is under way, 0: nothing. Any thread. */
uint32_t ox_stop_serial(const struct ox_stop *stop);
/* Ask what is under way to stop; returns its serial, 0: there was nothing. Any thread. */
uint32_t ox_stop_ask(struct ox_stop *stop, ox_code code);

/* What it was asked to stop with, OX_OK: it may go on. Any thread. */
static inline ox_code
ox_stop_code(const struct ox_stop *stop)
{
    return (ox_code)(uint32_t)atomic_load_explicit(&stop->state, memory_order_relaxed);
}

/* This thread computes for stop (NULL: for none) until ox_stop_leave(what this returned). */
static inline struct ox_stop *
ox_stop_enter(struct ox_stop *stop)
{
    struct ox_stop *before = ox_stop_here;
    ox_stop_here = stop;
    return before;
}

static inline void
ox_stop_leave(struct ox_stop *before)
{
    ox_stop_here = before;
}

bool ox_stop_look(struct ox_stop *stop); /* the slow half of ox_stopped() */

/* Whether to end early; ns: about how long it took since this code asked last. */
static inline bool
ox_stopped(uint32_t ns)
{
    struct ox_stop *stop = ox_stop_here;
    if (stop == NULL)
        return false;
    stop->spent += ns;
    if (ox_likely(ox_stop_code(stop) == OX_OK && stop->spent < OX_STOP_CLOCK_NS))
        return false;
    return ox_stop_look(stop);
}

/* The same in a loop over bytes or the like: asked every 16 Ki steps. */
static inline bool
ox_stopped_at(size_t step)
{
    return ox_unlikely((step & 16383) == 0) && ox_stopped(16384);
}

/* Whether something on this thread ended early: its results are worth nothing. */
static inline bool
ox_stop_seen(void)
{
    return ox_unlikely(ox_stop_here != NULL && ox_stop_here->seen);
}

/* Fails with what this thread's work was asked to stop with; OX_CANCELED if with nothing. */
ox_code ox_stop_fail(struct ox_err *err);

#endif
