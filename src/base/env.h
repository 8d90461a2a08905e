/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything outside the program, as tables of functions handed down by boot:
 * clock, randomness, files, byte streams. env_os() is the real world, tests build
 * their own (file_sim.h, stream_sim.h, a clock that is set by hand). No code above base/, loop/ and
 * net/ calls the operating system for these. */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

struct file_system; /* base/file.h */
struct stream_system; /* base/stream.h */

struct clock {
    /* Monotonic nanoseconds: every timeout, lease, session, linger. */
    uint64_t (*mono_ns)(void *self);
    /* Wall clock, milliseconds since 1970: record timestamps, retention, logs. */
    int64_t (*wall_ms)(void *self);
    void *self;
};

struct env {
    struct clock clock;
    struct file_system *fs;
    const struct stream_system *net; /* NULL: the operating system's sockets */
    /* Fills with unpredictable bytes: nonces, salts, keys, ids. */
    void (*random_bytes)(void *self, void *to, size_t len);
    void *random_self;
};

/* The operating system's. Static, never freed. */
const struct env *env_os(void);

static inline uint64_t
env_mono_ns(const struct env *env)
{
    return env->clock.mono_ns(env->clock.self);
}

static inline int64_t
env_wall_ms(const struct env *env)
{
    return env->clock.wall_ms(env->clock.self);
}

static inline void
env_random(const struct env *env, void *to, size_t len)
{
    env->random_bytes(env->random_self, to, len);
}

#endif
