/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rate.h"

#include "tap.h"

static struct ox_rate rate;

/* Milliseconds over a bound, with eleven samples of a second. */
static long
over(double bound, uint64_t now_ms)
{
    return (long)ox_rate_over_ms(&rate, 11, 1000, bound, now_ms);
}

static void
add(double amount, uint64_t now_ms)
{
    ox_rate_add(&rate, 11, 1000, amount, now_ms);
}

int
main(void)
{
    ok(over(1, 5000) < 0, "nothing is below any bound");
    add(2000, 5000);
    is_int(over(100, 5000), 10000, "what comes at once is spread over ten seconds");
    is_int(over(200, 5000), 0, "ten seconds' worth is just right");
    is_int(over(100, 5400), 9600, "waiting counts");
    add(1000, 5900);
    is_int(over(100, 5900), 19100, "the sample goes on for a second");
    add(1000, 6000);
    is_int(over(100, 6000), 30000, "then the next one begins");
    is_int(over(100, 16899), 28101, "the first counts until its last event is eleven seconds old");
    is_int(over(100, 16900), -900, "and then no more");
    add(-1000, 6100);
    is_int(over(100, 6100), 19900, "what did not happen is taken back");
    memset(&rate, 0, sizeof(rate));
    for (uint64_t s = 0; s < 40; s++)
        add(100, 1000 + s * 1000);
    ok(over(100, 41000) <= 0, "a steady rate at its bound is not over it");
    ok(over(90, 40999) > 0, "but over a lower one");
    is_int(over(1, 60000), -10000, "all is forgotten after the samples' time");
    memset(&rate, 0, sizeof(rate));
    for (uint64_t i = 0; i < 1000; i++)
        ox_rate_add(&rate, OX_RATE_SAMPLES_MAX, 1, 1, i);
    is_int(rate.used, OX_RATE_SAMPLES_MAX + 1, "samples come again");
    is_int((long)ox_rate_over_ms(&rate, OX_RATE_SAMPLES_MAX, 1, 1000, 999), 1, "and count once");
    return done();
}
