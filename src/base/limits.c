/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"

#include <stdatomic.h>

static _Atomic uint64_t times_met[LIMIT_COUNT];

void
limit_met(enum limit_id id)
{
    atomic_fetch_add_explicit(&times_met[id], 1, memory_order_relaxed);
}

bool
limit_counted(enum limit_id id)
{
    return id != LIMIT_HTTP_CONNECTIONS && id != LIMIT_ZSTD_WINDOW;
}

uint64_t
limit_times_met(enum limit_id id)
{
    return atomic_load_explicit(&times_met[id], memory_order_relaxed);
}
