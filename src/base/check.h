/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions. ox_assert stays in release builds and stops the node: it is for
 * facts that only a bug of ours can break. Input, disk content, peers, settings
 * and clocks are never asserted, they are errors. One condition each. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "config.h"

/* Prints the condition, the place and a backtrace to stderr, then aborts. */
_Noreturn void ox_assert_failed(const char *condition, const char *file, int line);

#define ox_assert(condition) \
    (__builtin_expect(!!(condition), 1) ? (void)0 : ox_assert_failed(#condition, __FILE__, __LINE__))

/* A scan too slow for production: debug builds only. */
#ifdef OX_DEBUG
#define ox_check_slow(condition) ox_assert(condition)
#else
#define ox_check_slow(condition) ((void)0)
#endif

#define ox_unreachable() ox_assert_failed("unreachable", __FILE__, __LINE__)

#define ox_count(array) (sizeof(array) / sizeof((array)[0]))
#define ox_likely(x) __builtin_expect(!!(x), 1)
#define ox_unlikely(x) __builtin_expect(!!(x), 0)
/* The struct that embeds *ptr as its member. */
#define ox_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define OX_MIN(a, b) ((a) < (b) ? (a) : (b))
#define OX_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
