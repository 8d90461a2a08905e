/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings of JSON: escapes resolved and made. */
#include "base/stop.h"
#include "row/json_int.h"

static int
hex4(const uint8_t *at)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = at[i], d = c >= '0' && c <= '9'                 ? c - '0'
                           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* What follows \u: one or two code units of UTF-16, as UTF-8. False: *why may say why. */
static bool
unescape_unicode(const uint8_t **at, const uint8_t *end, char *to, size_t *n, const char **why)
{
    int unit = end - *at >= 4 ? hex4(*at) : -1;
    if (unit < 0)
        return false;
    *at += 4;
    uint32_t code = (uint32_t)unit;
    if (unit == 0) {
        *why = "\\u0000 cannot be converted to text.";
        return false;
    }
    if (unit >= 0xDC00 && unit < 0xE000) {
        *why = "Unicode low surrogate must follow a high surrogate.";
        return false;
    }
    if (unit >= 0xD800 && unit < 0xDC00) {
        const uint8_t *next = *at;
        bool more = end - next >= 6 && next[0] == '\\' && next[1] == 'u';
        int low = more ? hex4(next + 2) : -1;
        if (low < 0xDC00 || low >= 0xE000) {
            *why = "Unicode low surrogate must follow a high surrogate.";
            return false;
        }
        *at += 6;
        code = 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    }
    *n += ox_utf8_put(to + *n, code);
    return true;
}

/* The character that a letter behind a backslash stands for; 0: none. */
static char
escaped_char(uint8_t letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '"':
    case '\\':
    case '/':
        return (char)letter;
    default:
        return 0;
    }
}

static bool
unescape_all(const uint8_t *at, const uint8_t *end, char *to, size_t *n, const char **why)
{
    while (at < end) {
        if (*at != '\\') {
            to[(*n)++] = (char)*at++;
            continue;
        }
        if (++at >= end)
            return false;
        uint8_t letter = *at++;
        if (letter == 'u') {
            if (!unescape_unicode(&at, end, to, n, why))
                return false;
        } else if ((to[(*n)++] = escaped_char(letter)) == 0) {
            return false;
        }
    }
    return true;
}

bool
json_unescape(const uint8_t *at, const uint8_t *end, struct arena *arena, bool strict,
    struct str *out, const char **why)
{
    const char *reason = NULL;
    size_t len = (size_t)(end - at), n = 0;
    for (const uint8_t *p = at; strict && p < end && reason == NULL; p++)
        if (*p < 0x20)
            reason = "Character must be escaped.";
    if (reason == NULL && (len == 0 || memchr(at, '\\', len) == NULL)) {
        *out = ox_str_n(at, len);
        return true;
    }
    char *to = ox_arena_alloc(arena, len + 1);
    bool good = reason == NULL && unescape_all(at, end, to, &n, &reason);
    *out = ox_str_n(to, n);
    if (why != NULL)
        *why = reason;
    return good;
}

bool
json_as_text(struct str value, struct arena *arena, struct str *out, bool *valid)
{
    if (valid != NULL)
        *valid = true;
    switch (json_kind_of(value)) {
    case JSON_NULL:
        return false;
    case JSON_STRING: {
        const uint8_t *at = (const uint8_t *)value.ptr;
        if (value.len < 2 || !json_unescape(at + 1, at + value.len - 1, arena, false, out, NULL)) {
            if (valid != NULL)
                *valid = false;
            return false;
        }
        return true;
    }
    default:
        *out = value;
        return true;
    }
}

void
json_quote(struct str s, struct text *to)
{
    ox_text_addc(to, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (ox_stopped_at(i + 1))
            break;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        ox_text_add(to, s.ptr + from, i - from);
        from = i + 1;
        switch (c) {
        case '"':
            ox_text_adds(to, "\\\"");
            break;
        case '\\':
            ox_text_adds(to, "\\\\");
            break;
        case '\b':
            ox_text_adds(to, "\\b");
            break;
        case '\f':
            ox_text_adds(to, "\\f");
            break;
        case '\n':
            ox_text_adds(to, "\\n");
            break;
        case '\r':
            ox_text_adds(to, "\\r");
            break;
        case '\t':
            ox_text_adds(to, "\\t");
            break;
        default:
            ox_text_addf(to, "\\u%04x", c);
        }
    }
    ox_text_add(to, s.ptr + from, s.len - from);
    ox_text_addc(to, '"');
}
