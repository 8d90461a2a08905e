/* SPDX-License-Identifier: Apache-2.0 */
#include "base/side.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/check.h"

enum { THREADS_MAX = 64 };

struct side_work {
    void (*fn)(void *arg, uint32_t i);
    void *arg;
    uint32_t count;
    _Atomic uint32_t next;
};

static void *
side_main(void *arg)
{
    struct side_work *work = arg;
    for (uint32_t i; (i = atomic_fetch_add(&work->next, 1)) < work->count;)
        work->fn(work->arg, i);
    return NULL;
}

uint32_t
ox_side_by_side(uint32_t count, uint32_t most, void (*fn)(void *arg, uint32_t i), void *arg)
{
    struct side_work work = {.fn = fn, .arg = arg, .count = count};
    pthread_t threads[THREADS_MAX];
    ox_assert(most > 0);
    uint32_t started = 0, wanted = OX_MIN(most, (uint32_t)THREADS_MAX) - 1;
    while (started < wanted && pthread_create(&threads[started], NULL, side_main, &work) == 0)
        started++;
    side_main(&work);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return started + 1;
}
