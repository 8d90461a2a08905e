/* SPDX-License-Identifier: Apache-2.0
 *
 * TAP for C: ok(), is_int(), is_str() with a sentence each, and done() as the
 * last statement of main. */
#ifndef UNIT_TAP_H
#define UNIT_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

static inline bool
tap_ok(bool pass, const char *file, int line, const char *sentence)
{
    tap_count++;
    printf("%sok %d - %s\n", pass ? "" : "not ", tap_count, sentence);
    if (!pass) {
        tap_failed++;
        printf("#   failed at %s:%d\n", file, line);
    }
    return pass;
}

static inline bool
tap_is_int(int64_t got, int64_t want, const char *file, int line, const char *sentence)
{
    bool pass = tap_ok(got == want, file, line, sentence);
    if (!pass)
        printf("#   got %lld, expected %lld\n", (long long)got, (long long)want);
    return pass;
}

static inline bool
tap_is_str(const char *got, const char *want, const char *file, int line, const char *sentence)
{
    bool pass = tap_ok(got && want && strcmp(got, want) == 0, file, line, sentence);
    if (!pass)
        printf("#   got \"%s\", expected \"%s\"\n", got ? got : "(null)", want ? want : "(null)");
    return pass;
}

#define ok(pass, sentence) tap_ok((pass), __FILE__, __LINE__, (sentence))
#define is_int(got, want, sentence) \
    tap_is_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, (sentence))
#define is_str(got, want, sentence) tap_is_str((got), (want), __FILE__, __LINE__, (sentence))

static inline int
done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed != 0;
}

#endif
