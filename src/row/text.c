/* SPDX-License-Identifier: Apache-2.0
 *
 * COPY's text format: columns between delimiters, \N for null, backslash
 * escapes; and the parts that text and CSV share. */
#include "row/row.h"

#include <stdio.h>

#include "base/check.h"
#include "row/row_int.h"

void
copy_format_init(struct copy_format *format, bool csv)
{
    *format = (struct copy_format){.csv = csv,
        .delimiter = csv ? ',' : '\t',
        .quote = '"',
        .escape = '"',
        .null = csv ? OX_STR("") : OX_STR("\\N")};
}

/* ---- out ------------------------------------------------------------------------ */

/* The letter after the backslash; 0: the byte stands for itself. */
static inline char
escape_of(uint8_t c, char delimiter)
{
    if (c == (uint8_t)delimiter && c != '\t')
        return (char)c;
    switch (c) {
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\v':
        return 'v';
    case '\\':
        return '\\';
    default:
        return '\0';
    }
}

/* Escapes the bytes from `start` to the end, in place from behind. */
static void
escape_tail(struct text *to, size_t start, char delimiter)
{
    size_t extra = 0;
    for (size_t i = start; i < to->len; i++) {
        uint8_t c = (uint8_t)to->ptr[i];
        if (ox_unlikely(c < 0x20 || c == '\\' || c == (uint8_t)delimiter))
            extra += escape_of(c, delimiter) != '\0';
    }
    if (extra == 0)
        return;
    ox_text_reserve(to, extra + 1);
    size_t from = to->len, at = to->len + extra;
    to->len = at;
    to->ptr[at] = '\0';
    while (from > start) {
        uint8_t c = (uint8_t)to->ptr[--from];
        char letter = escape_of(c, delimiter);
        to->ptr[--at] = letter != '\0' ? letter : (char)c;
        if (letter != '\0')
            to->ptr[--at] = '\\';
    }
}

/* Numbers, dates and their like are written without tabs, control characters and
 * backslashes; but with signs, spaces and colons, which may be delimiters. */
static inline bool
is_plain(struct type type)
{
    return type_phys(type) != PHYS_STR ||
           (!type.array && (type.id == TYPE_NUMERIC || type.id == TYPE_UUID));
}

static void
field_out(const struct vector *vec, uint32_t row, uint32_t column, const struct copy_format *copy,
    const struct row_format *format, struct text *to)
{
    if (vector_null(vec, row)) {
        ox_text_add(to, copy->null.ptr, copy->null.len);
        return;
    }
    size_t start = to->len;
    vector_out_text(vec, row, format, to);
    if (copy->csv)
        csv_quote_tail(copy, column, start, to);
    else if (copy->delimiter != '\t' || !is_plain(vec->type))
        escape_tail(to, start, copy->delimiter);
}

uint32_t
copy_out_rows(const struct batch *batch, uint32_t from, uint32_t rows, size_t len_max,
    const struct copy_format *copy, const struct row_format *format, struct text *to)
{
    uint32_t count = batch->sel != NULL ? batch->sel_count : batch->count, done = 0;
    size_t stop = to->len + len_max;
    for (uint32_t k = from; k < count && done < rows && to->len < stop; k++, done++) {
        uint32_t row = batch->sel != NULL ? batch->sel[k] : k;
        for (uint32_t i = 0; i < batch->ncols; i++) {
            if (i > 0)
                ox_text_addc(to, copy->delimiter);
            field_out(&batch->cols[i], row, i, copy, format, to);
        }
        ox_text_addc(to, '\n');
    }
    return done;
}

void
copy_out_header(
    const struct str *names, uint32_t count, const struct copy_format *copy, struct text *to)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            ox_text_addc(to, copy->delimiter);
        size_t start = to->len;
        ox_text_add(to, names[i].ptr, names[i].len);
        if (copy->csv)
            csv_quote_tail(copy, UINT32_MAX, start, to);
        else
            escape_tail(to, start, copy->delimiter);
    }
    ox_text_addc(to, '\n');
}

/* ---- in --------------------------------------------------------------------------- */

static struct str
without_cr(struct str line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

size_t
copy_next_line(
    const struct copy_format *copy, struct str input, bool eof, struct str *line, bool *last)
{
    size_t end = copy->csv ? csv_line_end(copy, input) : 0;
    *last = false;
    if (!copy->csv) {
        const char *at = input.len > 0 ? memchr(input.ptr, '\n', input.len) : NULL;
        /* an escaped newline is data */
        while (at != NULL) {
            size_t slashes = 0;
            while ((size_t)(at - input.ptr) > slashes && at[-1 - (ptrdiff_t)slashes] == '\\')
                slashes++;
            if (slashes % 2 == 0)
                break;
            size_t used = (size_t)(at - input.ptr) + 1;
            at = used < input.len ? memchr(at + 1, '\n', input.len - used) : NULL;
        }
        end = at == NULL ? SIZE_MAX : (size_t)(at - input.ptr);
    }
    size_t used = end == SIZE_MAX ? input.len : end + 1;
    if (end == SIZE_MAX && (!eof || input.len == 0))
        return 0;
    *line = without_cr(ox_str_n(input.ptr, end == SIZE_MAX ? input.len : end));
    *last = ox_str_is(*line, "\\.");
    return used;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* What follows a backslash; returns how many bytes of input were used. */
static size_t
unescape_one(const char *at, const char *end, char *to)
{
    char c = *at;
    switch (c) {
    case 'b':
        *to = '\b';
        return 1;
    case 'f':
        *to = '\f';
        return 1;
    case 'n':
        *to = '\n';
        return 1;
    case 'r':
        *to = '\r';
        return 1;
    case 't':
        *to = '\t';
        return 1;
    case 'v':
        *to = '\v';
        return 1;
    default:
        break;
    }
    if (c >= '0' && c <= '7') {
        int v = 0;
        size_t n = 0;
        for (; n < 3 && at + n < end && at[n] >= '0' && at[n] <= '7'; n++)
            v = v * 8 + (at[n] - '0');
        *to = (char)v;
        return n;
    }
    if (c == 'x' && at + 1 < end && hex_digit(at[1]) >= 0) {
        int v = hex_digit(at[1]);
        bool two = at + 2 < end && hex_digit(at[2]) >= 0;
        *to = (char)(two ? v * 16 + hex_digit(at[2]) : v);
        return two ? 3 : 2;
    }
    *to = c;
    return 1;
}

static ox_code
split_text(const struct copy_format *copy, struct str line, struct arena *arena, struct str *fields,
    uint32_t fields_max, uint32_t *count, struct ox_err *err)
{
    const char *at = line.ptr, *end = line.ptr + line.len;
    *count = 0;
    for (;;) {
        const char *start = at;
        bool escaped = false;
        while (at < end && *at != copy->delimiter) {
            if (*at == '\r') {
                ox_fail(err, OX_BAD_COPY_FILE_FORMAT, "literal carriage return found in data");
                return ox_hint(err, "Use \"\\r\" to represent carriage return.");
            }
            if (*at == '\\' && at + 1 < end) {
                escaped = true;
                at++;
            }
            at++;
        }
        if (*count == fields_max)
            return ox_fail(err, OX_BAD_COPY_FILE_FORMAT, "extra data after last expected column");
        struct str raw = ox_str_n(start, (size_t)(at - start));
        if (ox_str_eq(raw, copy->null)) {
            fields[(*count)++] = OX_STR_NULL;
        } else if (!escaped) {
            fields[(*count)++] = raw;
        } else {
            char *to = ox_arena_alloc(arena, raw.len + 1);
            size_t n = 0;
            for (const char *p = start; p < at;) {
                if (*p == '\\' && p + 1 < at) {
                    p++;
                    p += unescape_one(p, at, &to[n++]);
                } else {
                    to[n++] = *p++;
                }
            }
            fields[(*count)++] = ox_str_n(to, n);
        }
        if (at >= end)
            return OX_OK;
        at++;
    }
}

ox_code
copy_split_line(const struct copy_format *copy, struct str line, struct arena *arena,
    struct str *fields, uint32_t fields_max, uint32_t *count, struct ox_err *err)
{
    if (copy->csv)
        return csv_split_line(copy, line, arena, fields, fields_max, count, err);
    return split_text(copy, line, arena, fields, fields_max, count, err);
}
