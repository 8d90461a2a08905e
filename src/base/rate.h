/* SPDX-License-Identifier: Apache-2.0
 *
 * How much happened lately: samples that begin with an event and are full after
 * a while, as Kafka measures what it has quotas for. */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { OX_RATE_SAMPLES_MAX = 100 };

/* Zeroes are an empty one. The caller has the lock. */
struct ox_rate {
    uint32_t used, at;
    struct {
        double sum;
        uint64_t start_ms, last_ms;
    } samples[OX_RATE_SAMPLES_MAX + 1];
};

/* A sample takes size_ms; count of them are looked at, 2 to OX_RATE_SAMPLES_MAX. */
void ox_rate_add(struct ox_rate *rate, uint32_t count, uint64_t size_ms, double amount,
    uint64_t now_ms);
/* After how many milliseconds the rate would be down to bound (a second); 0 or
 * less: it is below. */
double ox_rate_over_ms(const struct ox_rate *rate, uint32_t count, uint64_t size_ms, double bound,
    uint64_t now_ms);

#endif
