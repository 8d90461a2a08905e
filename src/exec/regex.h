/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions: PostgreSQL's advanced syntax without back references
 * and look-around, in time linear in the text. */
#ifndef EXEC_REGEX_H
#define EXEC_REGEX_H

#include "row/row.h"

struct regex;

enum {
    REGEX_FOLD = 1,     /* i */
    REGEX_NEWLINE = 2,  /* n: . and [^ do not match newlines, ^ and $ match at them */
    REGEX_EXPANDED = 4, /* x */
    REGEX_LITERAL = 8,  /* q */
    REGEX_GLOBAL = 16,  /* g: for the caller */
    REGEX_DOT = 32,     /* p: only . and [^ */
    REGEX_ANCHORS = 64, /* w: only ^ and $ */
};

/* Fails: OX_INVALID_REGULAR_EXPRESSION, OX_FEATURE_NOT_SUPPORTED (\1, (?=) */
ox_code regex_compile(
    struct str pattern, int flags, struct arena *arena, struct regex **out, struct ox_err *err);
uint32_t regex_groups(const struct regex *re); /* without group 0 */
/* The leftmost match at or after from: spans[2 * g] and [2 * g + 1] are byte positions of
 * group g, SIZE_MAX where it took no part; spans NULL: only whether there is one. */
bool regex_search(struct regex *re, struct str text, size_t from, size_t *spans);

#endif
