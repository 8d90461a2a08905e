/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside JSON: what the finder (json_find.c), strings (json_string.c) and the
 * parser (json.c) share. Bytes are walked as const uint8_t from at to end. */
#ifndef ROW_JSON_INT_H
#define ROW_JSON_INT_H

#include "row/row.h"

static inline bool
json_is_ws(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline const uint8_t *
json_skip_ws(const uint8_t *at, const uint8_t *end)
{
    while (at < end && json_is_ws(*at))
        at++;
    return at;
}

/* json_find.c: behind the string whose opening quote is at `at`; NULL: unterminated. */
const uint8_t *json_string_end(const uint8_t *at, const uint8_t *end);

/* json_string.c: what stands between the quotes, escapes resolved; borrowed where
 * there are none, else in the arena. strict: control characters are refused. False:
 * it is not well-formed, and *why (may be NULL) says more than that, or is NULL. */
bool json_unescape(const uint8_t *at, const uint8_t *end, struct arena *arena, bool strict,
    struct str *out, const char **why);

#endif
