/* SPDX-License-Identifier: Apache-2.0
 *
 * A clock that is set back, for a server that works on recorded data: loaded in
 * front of the C library, the time of day is OX_CLOCK_AT (in seconds since 1970)
 * when it is asked for first, and goes on from there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static int
real_clock(clockid_t clock, struct timespec *out)
{
    static int (*_Atomic real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return real(clock, out);
}

int
clock_gettime(clockid_t clock, struct timespec *out)
{
    static _Atomic time_t back; /* seconds to take away; 0: not known yet */
    const char *at = getenv("OX_CLOCK_AT");
    int rc = real_clock(clock, out);
    if (rc != 0 || at == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return rc;
    if (back == 0)
        back = out->tv_sec - (time_t)atoll(at);
    out->tv_sec -= back;
    return rc;
}
