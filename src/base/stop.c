/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stop.h"

_Thread_local struct ox_stop *ox_stop_here;

void
ox_stop_begin(struct ox_stop *stop)
{
    if (++stop->serial == 0)
        stop->serial = 1;
    stop->seen = false;
    stop->spent = 0;
    stop->deadline_ns = 0;
    atomic_store(&stop->state, (uint64_t)stop->serial << 32);
}

void
ox_stop_end(struct ox_stop *stop)
{
    stop->seen = false;
    stop->deadline_ns = 0;
    atomic_store_explicit(&stop->state, 0, memory_order_relaxed);
}

uint32_t
ox_stop_serial(const struct ox_stop *stop)
{
    return (uint32_t)(atomic_load_explicit(&stop->state, memory_order_relaxed) >> 32);
}

uint32_t
ox_stop_ask(struct ox_stop *stop, ox_code code)
{
    uint64_t state = atomic_load(&stop->state);
    while (state >> 32 != 0 && (uint32_t)state == OX_OK)
        if (atomic_compare_exchange_weak(&stop->state, &state, state | (uint32_t)code))
            break;
    return (uint32_t)(state >> 32);
}

bool
ox_stop_look(struct ox_stop *stop)
{
    if (stop->spent >= OX_STOP_CLOCK_NS) {
        stop->spent = 0;
        if (stop->deadline_ns != 0 && stop->env != NULL &&
            env_mono_ns(stop->env) >= stop->deadline_ns)
            ox_stop_ask(stop, OX_STATEMENT_TIMEOUT);
    }
    if (ox_stop_code(stop) == OX_OK)
        return false;
    stop->seen = true;
    return true;
}

ox_code
ox_stop_fail(struct ox_err *err)
{
    ox_code code = ox_stop_here != NULL ? ox_stop_code(ox_stop_here) : OX_OK;
    return ox_fail_plain(err, code != OX_OK ? code : OX_CANCELED);
}
