/* SPDX-License-Identifier: Apache-2.0
 *
 * Any value as JSON, as PostgreSQL's to_json() prints it: arrays and records
 * with their parts, times in RFC 3339, numbers as numbers, the rest as strings. */
#include <stdio.h>

#include "row/row.h"

static void
array_to_json(const struct array_view *view, uint32_t dim, uint32_t *at,
    const struct row_format *format, struct text *to)
{
    ox_text_addc(to, '[');
    for (int32_t i = 0; view->ndim > 0 && i < view->len[dim]; i++) {
        if (i > 0)
            ox_text_addc(to, ',');
        if (dim + 1 < view->ndim) {
            array_to_json(view, dim + 1, at, format, to);
        } else {
            struct datum item = array_get(view, (*at)++);
            json_from_datum(view->element, &item, format, to);
        }
    }
    ox_text_addc(to, ']');
}

static void
iso_time(
    struct type type, const struct datum *value, const struct row_format *format, struct text *to)
{
    struct row_format iso = *format;
    iso.date_style = DATE_ISO;
    size_t at = to->len;
    ox_text_addc(to, '"');
    type_out_text(type, value, &iso, to);
    for (; at < to->len; at++)
        if (to->ptr[at] == ' ') {
            if (to->ptr[at + 1] != 'B')
                to->ptr[at] = 'T';
            break;
        }
    if (type.id == TYPE_TIMESTAMPTZ && to->len > 3 && value->i != TIME_INF &&
        value->i != TIME_NINF) {
        char sign = to->ptr[to->len - 3];
        if (sign == '+' || sign == '-') /* RFC 3339 wants minutes */
            ox_text_adds(to, ":00");
    }
    ox_text_addc(to, '"');
}

static void
record_to_json(struct str packed, const struct row_format *format, struct text *to)
{
    struct arena arena;
    struct record_view record;
    ox_arena_init(&arena);
    record_view(packed, &arena, &record);
    ox_text_addc(to, '{');
    for (uint32_t i = 0; i < record.count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%u", i + 1);
        if (i > 0)
            ox_text_addc(to, ',');
        json_quote(record.names[i].ptr ? record.names[i] : ox_str(name), to);
        ox_text_addc(to, ':');
        json_from_datum(record.types[i], &record.values[i], format, to);
    }
    ox_text_addc(to, '}');
    ox_arena_fini(&arena);
}

/* NaN and infinities are strings. */
static void
number_to_json(
    struct type type, const struct datum *value, const struct row_format *format, struct text *to)
{
    size_t at = to->len;
    type_out_text(type, value, format, to);
    char last = to->ptr[to->len - 1];
    if (last == 'N' || last == 'y') {
        char word[16];
        size_t len = to->len - at;
        memcpy(word, to->ptr + at, len);
        to->len = at;
        json_quote(ox_str_n(word, len), to);
    }
}

void
json_from_datum(
    struct type type, const struct datum *value, const struct row_format *format, struct text *to)
{
    if (value->null) {
        ox_text_adds(to, "null");
        return;
    }
    if (type.array) {
        struct array_view view;
        uint32_t at = 0;
        array_view(value->s, &view);
        array_to_json(&view, 0, &at, format, to);
        return;
    }
    switch (type.id) {
    case TYPE_BOOL:
        ox_text_adds(to, value->b ? "true" : "false");
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        row_put_int(value->i, to);
        return;
    case TYPE_JSON:
    case TYPE_JSONB:
        ox_text_add(to, value->s.ptr, value->s.len);
        return;
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        iso_time(type, value, format, to);
        return;
    case TYPE_RECORD:
        record_to_json(value->s, format, to);
        return;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
        number_to_json(type, value, format, to);
        return;
    default: {
        struct text text;
        ox_text_init(&text, NULL);
        type_out_text(type, value, format, &text);
        json_quote(ox_text_str(&text), to);
        ox_text_fini(&text);
    }
    }
}
