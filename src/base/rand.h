/* SPDX-License-Identifier: Apache-2.0
 *
 * Seeded generator for logic that wants randomness but must replay. Not for
 * secrets: those come from env_random(). */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stdint.h>

struct rand_state {
    uint64_t s;
};

static inline void
ox_rand_seed(struct rand_state *state, uint64_t seed)
{
    state->s = seed;
}

/* splitmix64. */
static inline uint64_t
ox_rand(struct rand_state *state)
{
    uint64_t z = (state->s += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [0, bound). */
static inline uint64_t
ox_rand_below(struct rand_state *state, uint64_t bound)
{
    return (uint64_t)(((__uint128_t)ox_rand(state) * bound) >> 64);
}

#endif
