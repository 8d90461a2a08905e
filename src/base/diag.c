/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

static _Atomic int diag_level = OX_DIAG_INFO;

void
ox_diag_set_level(enum ox_diag_level level)
{
    atomic_store_explicit(&diag_level, (int)level, memory_order_relaxed);
}

enum ox_diag_level
ox_diag_level(void)
{
    return (enum ox_diag_level)atomic_load_explicit(&diag_level, memory_order_relaxed);
}

void
ox_diag(enum ox_diag_level level, const char *text, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info ", "warn ", "error"};
    if (level < ox_diag_level())
        return;
    char line[1200], facts[900], stamp[40];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    va_list args;
    va_start(args, fmt);
    vsnprintf(facts, sizeof(facts), fmt, args);
    va_end(args);
    int len = snprintf(line, sizeof(line), "%s.%03ldZ %s %s%s%s\n", stamp,
        now.tv_nsec / 1000000, names[level], text, facts[0] ? " " : "", facts);
    if (len >= (int)sizeof(line))
        len = (int)sizeof(line) - 1;
    ssize_t written = write(STDERR_FILENO, line, (size_t)len);
    (void)written;
}

void
ox_diag_err(enum ox_diag_level level, const char *text, const struct ox_err *err)
{
    ox_diag(level, text, "code=%s message=\"%s\"%s%s%s at=%s:%d", ox_code_facts(err->code)->name,
        err->message, err->detail[0] ? " detail=\"" : "", err->detail, err->detail[0] ? "\"" : "",
        err->file ? err->file : "?", err->line);
}
