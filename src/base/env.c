/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "base/file.h"

static uint64_t
os_mono_ns(void *self)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t
os_wall_ms(void *self)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
os_random_bytes(void *self, void *to, size_t len)
{
    char *at = to;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        ox_assert(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

const struct env *
env_os(void)
{
    static struct env env = {
        .clock = {os_mono_ns, os_wall_ms, NULL},
        .random_bytes = os_random_bytes,
    };
    if (env.fs == NULL)
        env.fs = file_system_os();
    return &env;
}
