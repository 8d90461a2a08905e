/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rate.h"

#include "base/check.h"

static bool
is_old(const struct ox_rate *rate, uint32_t i, uint32_t count, uint64_t size_ms, uint64_t now_ms)
{
    return now_ms - rate->samples[i].last_ms >= count * size_ms;
}

/* One sample more than are looked at: the oldest is in view in part. */
void
ox_rate_add(struct ox_rate *rate, uint32_t count, uint64_t size_ms, double amount,
    uint64_t now_ms)
{
    ox_assert(count >= 1 && count <= OX_RATE_SAMPLES_MAX);
    bool full = rate->used > 0 && now_ms - rate->samples[rate->at].start_ms >= size_ms;
    if (rate->used == 0 || full) {
        rate->at = rate->used == 0 ? 0 : (rate->at + 1) % (count + 1);
        if (rate->at >= rate->used)
            rate->used = rate->at + 1;
        rate->samples[rate->at].sum = 0;
        rate->samples[rate->at].start_ms = now_ms;
    }
    rate->samples[rate->at].sum += amount;
    rate->samples[rate->at].last_ms = now_ms;
}

/* What was measured counts as spread over all whole samples but one, and the
 * time of the newest. */
double
ox_rate_over_ms(const struct ox_rate *rate, uint32_t count, uint64_t size_ms, double bound,
    uint64_t now_ms)
{
    uint64_t oldest = now_ms;
    double total = 0;
    for (uint32_t i = 0; i < rate->used; i++) {
        if (is_old(rate, i, count, size_ms, now_ms))
            continue;
        total += rate->samples[i].sum;
        oldest = OX_MIN(oldest, rate->samples[i].start_ms);
    }
    uint64_t elapsed = now_ms - oldest, whole = elapsed / size_ms;
    if (whole + 1 < count)
        elapsed += (count - 1 - whole) * size_ms;
    return total * 1000 / bound - (double)OX_MAX(elapsed, UINT64_C(1));
}
