/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void
ox_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "oxbow %s: assertion failed at %s:%d: %s\n", PACKAGE_VERSION, file, line,
        condition);
    void *frames[64];
    int count = backtrace(frames, 64);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    abort();
}
