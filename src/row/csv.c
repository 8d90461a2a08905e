/* SPDX-License-Identifier: Apache-2.0
 *
 * COPY's CSV format: quoted values may hold delimiters and newlines; an
 * unquoted value equal to the null string is null. */
#include "row/row.h"

#include "base/check.h"
#include "row/row_int.h"

/* Quotes the value written from `start` on where it needs it. */
void
csv_quote_tail(const struct copy_format *copy, uint32_t column, size_t start, struct text *to)
{
    bool quote = column != UINT32_MAX && copy->force_quote != NULL && copy->force_quote[column];
    size_t doubles = 0, len = to->len - start;
    ox_text_reserve(to, 1);
    const char *s = to->ptr + start;
    quote |= ox_str_eq(ox_str_n(s, len), copy->null) || ox_str_is(ox_str_n(s, len), "\\.");
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == copy->quote || c == copy->escape)
            doubles++, quote |= c == copy->quote;
        else if (c == copy->delimiter || c == '\n' || c == '\r')
            quote = true;
    }
    if (!quote)
        return;
    ox_text_reserve(to, doubles + 3);
    size_t from = to->len, at = to->len + doubles + 2;
    to->len = at;
    to->ptr[at] = '\0';
    to->ptr[--at] = copy->quote;
    while (from > start) {
        char c = to->ptr[--from];
        to->ptr[--at] = c;
        if (c == copy->quote || c == copy->escape)
            to->ptr[--at] = copy->escape;
    }
    to->ptr[--at] = copy->quote;
}

size_t
csv_line_end(const struct copy_format *copy, struct str input)
{
    bool quoted = false;
    for (size_t i = 0; i < input.len; i++) {
        char c = input.ptr[i];
        if (quoted && c == copy->escape && copy->escape != copy->quote)
            i++;
        else if (c == copy->quote)
            quoted = !quoted;
        else if (c == '\n' && !quoted)
            return i;
    }
    return SIZE_MAX;
}

ox_code
csv_split_line(const struct copy_format *copy, struct str line, struct arena *arena,
    struct str *fields, uint32_t fields_max, uint32_t *count, struct ox_err *err)
{
    const char *at = line.ptr, *end = line.ptr + line.len;
    *count = 0;
    for (;;) {
        const char *start = at;
        char *to = NULL;
        size_t n = 0;
        bool was_quoted = false;
        while (at < end && *at != copy->delimiter) {
            if (*at == '\r') {
                ox_fail(err, OX_BAD_COPY_FILE_FORMAT, "unquoted carriage return found in data");
                return ox_hint(err, "Use quoted CSV field to represent carriage return.");
            }
            if (*at != copy->quote) {
                if (to != NULL)
                    to[n++] = *at;
                at++;
                continue;
            }
            if (to == NULL) { /* from here on a copy is made */
                to = ox_arena_alloc(arena, (size_t)(end - start) + 1);
                n = (size_t)(at - start);
                memcpy(to, start, n);
            }
            was_quoted = true;
            for (at++;; at++) {
                if (at >= end)
                    return ox_fail(err, OX_BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field");
                if (*at == copy->escape && at + 1 < end &&
                    (at[1] == copy->quote || at[1] == copy->escape)) {
                    to[n++] = *++at;
                } else if (*at == copy->quote) {
                    at++;
                    break;
                } else {
                    to[n++] = *at;
                }
            }
        }
        if (*count == fields_max)
            return ox_fail(err, OX_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
        struct str value = to != NULL ? ox_str_n(to, n) : ox_str_n(start, (size_t)(at - start));
        uint32_t column = *count;
        bool keep = copy->force_not_null != NULL && copy->force_not_null[column];
        bool force = copy->force_null != NULL && copy->force_null[column];
        bool null = ox_str_eq(value, copy->null) && (was_quoted ? force : !keep);
        fields[(*count)++] = null ? OX_STR_NULL : value;
        if (at >= end)
            return OX_OK;
        at++;
    }
}
