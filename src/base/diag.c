/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

/* As their numbers go, so do the levels; the first two and the last two are one
 * level to us, FATAL lets nothing through. */
static const char *const level_names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
static const int level_lets[] = {OX_DIAG_DEBUG, OX_DIAG_DEBUG, OX_DIAG_INFO, OX_DIAG_WARN,
    OX_DIAG_ERROR, OX_DIAG_ERROR + 1};

enum { LEVEL_INFO = 2, LEVEL_COUNT = 6 };

static struct logger {
    const char *name;
    _Atomic int level; /* index of level_names; -1: the root's */
} loggers[] = {{"root", LEVEL_INFO}, {"oxbow.auth", -1}, {"oxbow.base", -1}, {"oxbow.coord", -1},
    {"oxbow.engine", -1}, {"oxbow.exec", -1}, {"oxbow.kafka", -1}, {"oxbow.log", -1},
    {"oxbow.loop", -1}, {"oxbow.meta", -1}, {"oxbow.net", -1}, {"oxbow.pgwire", -1},
    {"oxbow.replica", -1}, {"oxbow.row", -1}, {"oxbow.server", -1}, {"oxbow.share", -1},
    {"oxbow.sql", -1}, {"oxbow.tool", -1}};

enum { LOGGER_COUNT = sizeof(loggers) / sizeof(loggers[0]), PREFIX_LEN = 6 };

static _Atomic int configured = OX_DIAG_INFO;
static _Atomic int lowest = OX_DIAG_INFO;

int
ox_logger_count(void)
{
    return LOGGER_COUNT;
}

const char *
ox_logger_name(int index)
{
    return loggers[index].name;
}

static int
effective(int index)
{
    int level = atomic_load_explicit(&loggers[index].level, memory_order_relaxed);
    return level >= 0 ? level : atomic_load_explicit(&loggers[0].level, memory_order_relaxed);
}

const char *
ox_logger_level(int index)
{
    return level_names[effective(index)];
}

int
ox_logger_find(const char *name, size_t len)
{
    for (int i = 0; i < LOGGER_COUNT; i++)
        if (strlen(loggers[i].name) == len && memcmp(loggers[i].name, name, len) == 0)
            return i;
    return -1;
}

int
ox_logger_level_find(const char *name, size_t len)
{
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (strlen(level_names[i]) == len && memcmp(level_names[i], name, len) == 0)
            return i;
    return -1;
}

void
ox_logger_set(int index, int level)
{
    int low = OX_DIAG_ERROR + 1;
    atomic_store_explicit(&loggers[index].level, level, memory_order_relaxed);
    for (int i = 0; i < LOGGER_COUNT; i++)
        if (level_lets[effective(i)] < low)
            low = level_lets[effective(i)];
    atomic_store_explicit(&lowest, low, memory_order_relaxed);
}

void
ox_diag_set_level(enum ox_diag_level level)
{
    if (atomic_exchange(&configured, (int)level) != (int)level)
        ox_logger_set(0, (int)level + 1);
}

enum ox_diag_level
ox_diag_level(void)
{
    return (enum ox_diag_level)atomic_load_explicit(&lowest, memory_order_relaxed);
}

/* Of ".../src/FOLDER/..."; else the root. The tree itself may lie in /usr/src. */
static int
logger_of(const char *file)
{
    const char *folder = NULL;
    for (const char *at = file; (at = strstr(at, "src/")) != NULL; at++)
        folder = at;
    const char *end = folder != NULL ? strchr(folder + 4, '/') : NULL;
    for (int i = 1; end != NULL && i < LOGGER_COUNT; i++) {
        const char *name = loggers[i].name + PREFIX_LEN;
        size_t len = (size_t)(end - folder) - 4;
        if (strlen(name) == len && memcmp(name, folder + 4, len) == 0)
            return i;
    }
    return 0;
}

/* What a client sent must not end the line or steer a terminal. */
static void
tame(char *text)
{
    for (; *text != 0; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = *text == '\n' || *text == '\t' ? ' ' : '?';
}

void
ox_diag_at(const char *file, enum ox_diag_level level, const char *text, const char *fmt, ...)
{
    static const char *const names[] = {"debug", "info ", "warn ", "error"};
    if (level < ox_diag_level() || (int)level < level_lets[effective(logger_of(file))])
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
    tame(facts);
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
    ox_diag_at(err->file != NULL ? err->file : "", level, text,
        "code=%s message=\"%s\"%s%s%s at=%s:%d", ox_code_facts(err->code)->name, err->message,
        err->detail[0] ? " detail=\"" : "", err->detail, err->detail[0] ? "\"" : "",
        err->file ? err->file : "?", err->line);
}
