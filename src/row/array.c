/* SPDX-License-Identifier: Apache-2.0
 *
 * Arrays and records packed into one run of bytes.
 *
 * An array:  u32 ndim, u32 count, u32 element type id, u32 has_null,
 *            {i32 length, i32 lower bound} per dimension,
 *            has_null: a byte per element, padded to 8,
 *            elements of fixed size: 8 bytes each;
 *            else u32 offsets[count + 1] and the bytes.
 * A record:  u32 count, then per field: u8 id, u8 array, name and saved value. */
#include "row/row.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/stop.h"
#include "row/row_int.h"

enum { ARRAY_ITEMS_MAX = 64 * 1024 * 1024 };

void
array_view(struct str packed, struct array_view *out)
{
    uint32_t head[4];
    memset(out, 0, sizeof(*out));
    memcpy(head, packed.ptr, 16);
    out->ndim = head[0];
    out->count = head[1];
    out->element = TYPE((uint16_t)head[2]);
    const char *at = packed.ptr + 16;
    for (uint32_t i = 0; i < out->ndim; i++, at += 8) {
        memcpy(&out->len[i], at, 4);
        memcpy(&out->lower[i], at + 4, 4);
    }
    if (head[3]) {
        out->nulls = (const uint8_t *)at;
        at += (out->count + 7) / 8 * 8;
    }
    out->values = at;
    out->bytes = at + ((size_t)out->count + 1) * 4;
}

struct datum
array_get(const struct array_view *view, uint32_t i)
{
    struct datum d = {.null = view->nulls != NULL && view->nulls[i]};
    if (d.null)
        return d;
    const char *at = view->values;
    switch (type_phys(view->element)) {
    case PHYS_STR: {
        uint32_t from, to;
        memcpy(&from, at + (size_t)i * 4, 4);
        memcpy(&to, at + (size_t)i * 4 + 4, 4);
        d.s = ox_str_n(view->bytes + from, to - from);
        break;
    }
    case PHYS_BOOL: {
        int64_t v;
        memcpy(&v, at + (size_t)i * 8, 8);
        d.b = (uint8_t)v;
        break;
    }
    default:
        memcpy(&d.i, at + (size_t)i * 8, 8);
    }
    return d;
}

struct str
array_make_dims(struct type element, const struct datum *items, uint32_t count, uint32_t ndim,
    const int32_t *len, const int32_t *lower, struct arena *arena)
{
    bool has_null = false, strings = type_phys(type_element(element)) == PHYS_STR;
    size_t bytes = 0;
    if (ox_stopped(count / 4)) /* nobody wants it */
        count = ndim = 0;
    for (uint32_t i = 0; i < count; i++) {
        has_null |= items[i].null;
        bytes += strings && !items[i].null ? items[i].s.len : 0;
    }
    size_t size = 16 + ndim * 8u + (has_null ? (count + 7) / 8 * 8 : 0) +
                  (strings ? ((size_t)count + 1) * 4 + bytes : (size_t)count * 8);
    char *start = ox_arena_alloc(arena, size), *at = start;
    uint32_t head[4] = {ndim, count, element.id, has_null};
    memcpy(at, head, 16);
    at += 16;
    for (uint32_t i = 0; i < ndim; i++, at += 8) {
        memcpy(at, &len[i], 4);
        memcpy(at + 4, &lower[i], 4);
    }
    if (has_null) {
        memset(at, 0, (count + 7) / 8 * 8);
        for (uint32_t i = 0; i < count; i++)
            at[i] = items[i].null;
        at += (count + 7) / 8 * 8;
    }
    if (!strings) {
        for (uint32_t i = 0; i < count; i++, at += 8) {
            int64_t v = items[i].null ? 0 : element.id == TYPE_BOOL ? items[i].b : items[i].i;
            memcpy(at, &v, 8);
        }
    } else {
        char *data = at + ((size_t)count + 1) * 4;
        uint32_t off = 0;
        for (uint32_t i = 0; i <= count; i++) {
            memcpy(at + (size_t)i * 4, &off, 4);
            if (i < count && !items[i].null && items[i].s.len > 0) {
                memcpy(data + off, items[i].s.ptr, items[i].s.len);
                off += (uint32_t)items[i].s.len;
            }
        }
    }
    return ox_str_n(start, size);
}

struct str
array_make(struct type element, const struct datum *items, uint32_t count, struct arena *arena)
{
    int32_t len = (int32_t)count, lower = 1;
    return array_make_dims(element, items, count, count > 0, &len, &lower, arena);
}

/* ---- text -------------------------------------------------------------------------- */

struct array_parser {
    const char *at, *end;
    struct type element;
    const struct row_format *format;
    struct arena *arena;
    struct datum *items;
    size_t cap;
    uint32_t count, ndim;
    int32_t len[ARRAY_DIMS_MAX];
    struct str whole;
    struct ox_err *err;
};

static ox_code
malformed(struct array_parser *p, const char *detail)
{
    ox_fail(p->err, OX_INVALID_TEXT_REPRESENTATION, "malformed array literal: \"%.*s\"",
        OX_STR_ARG(p->whole));
    ox_detail(p->err, "%s", detail);
    return OX_INVALID_TEXT_REPRESENTATION;
}

static void
skip_blank(struct array_parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || (*p->at >= '\t' && *p->at <= '\r')))
        p->at++;
}

static ox_code
parse_item(struct array_parser *p)
{
    struct text word;
    bool quoted = false;
    size_t keep = 0; /* blanks at the end that were escaped or quoted stay */
    ox_text_init(&word, p->arena);
    ox_text_reserve(&word, 16);
    while (p->at < p->end && *p->at != ',' && *p->at != '}') {
        if (*p->at == '"') {
            if (quoted || word.len > 0)
                return malformed(p, "Unexpected array element.");
            quoted = true;
            for (p->at++; p->at < p->end && *p->at != '"'; p->at++) {
                if (*p->at == '\\' && p->at + 1 < p->end)
                    p->at++;
                ox_text_addc(&word, *p->at);
            }
            if (p->at == p->end)
                return malformed(p, "Unexpected end of input.");
            p->at++;
            skip_blank(p);
            keep = word.len;
            if (p->at < p->end && *p->at != ',' && *p->at != '}')
                return malformed(p, "Unexpected array element.");
            break;
        }
        if (*p->at == '{')
            return malformed(p, "Unexpected \"{\" character.");
        bool escaped = *p->at == '\\' && p->at + 1 < p->end;
        if (escaped)
            p->at++;
        bool blank = *p->at == ' ' || (*p->at >= '\t' && *p->at <= '\r');
        ox_text_addc(&word, *p->at++);
        if (escaped || !blank)
            keep = word.len;
    }
    if (p->at == p->end)
        return malformed(p, "Unexpected end of input.");
    struct str s = ox_str_n(word.ptr, keep);
    if (!quoted && s.len == 0)
        return malformed(
            p, *p->at == '}' ? "Unexpected \"}\" character." : "Unexpected array element.");
    ox_arena_grow(p->arena, (void **)&p->items, &p->cap, p->count + 1, sizeof(*p->items));
    struct datum *item = &p->items[p->count++];
    if (p->count > ARRAY_ITEMS_MAX)
        return ox_fail(p->err, OX_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed");
    memset(item, 0, sizeof(*item));
    if (!quoted && ox_str_ieq(s, OX_STR("null"))) {
        item->null = true;
        return OX_OK;
    }
    return type_in_text(p->element, s, p->format, p->arena, item, p->err);
}

static ox_code
parse_braces(struct array_parser *p, uint32_t dim)
{
    int32_t count = 0;
    if (dim >= ARRAY_DIMS_MAX)
        return ox_fail(p->err, OX_PROGRAM_LIMIT_EXCEEDED,
            "number of array dimensions exceeds the maximum allowed (%d)", ARRAY_DIMS_MAX);
    p->at++;
    skip_blank(p);
    if (p->at < p->end && *p->at == '}') {
        p->at++;
        if (dim > 0)
            return malformed(p, "Unexpected \"}\" character.");
        return OX_OK;
    }
    for (;;) {
        skip_blank(p);
        bool nested = p->at < p->end && *p->at == '{';
        ox_code code;
        if (count == 0 && p->ndim <= dim + 1 && p->count == 0)
            p->ndim = OX_MAX(p->ndim, dim + 1 + nested);
        else if ((dim + 1 < p->ndim) != nested)
            return malformed(
                p, "Multidimensional arrays must have sub-arrays with matching dimensions.");
        code = nested ? parse_braces(p, dim + 1) : parse_item(p);
        if (code != OX_OK)
            return code;
        count++;
        skip_blank(p);
        if (p->at == p->end)
            return malformed(p, "Unexpected end of input.");
        if (*p->at == '}')
            break;
        if (*p->at != ',')
            return malformed(p, "Unexpected array element.");
        p->at++;
    }
    p->at++;
    if (p->len[dim] == 0)
        p->len[dim] = count;
    else if (p->len[dim] != count)
        return malformed(
            p, "Multidimensional arrays must have sub-arrays with matching dimensions.");
    return OX_OK;
}

/* "[1:2][0:3]=" */
static bool
parse_bounds(struct array_parser *p, int32_t *lower, int32_t *len, uint32_t *ndim)
{
    *ndim = 0;
    while (p->at < p->end && *p->at == '[') {
        char *stop;
        if (*ndim == ARRAY_DIMS_MAX)
            return false;
        long from = strtol(p->at + 1, &stop, 10), to;
        if (stop == p->at + 1)
            return false;
        if (*stop == ':') {
            const char *second = stop + 1;
            to = strtol(second, &stop, 10);
            if (stop == second)
                return false;
        } else {
            to = from;
            from = 1;
        }
        if (*stop != ']' || to < from || to > INT32_MAX - 1 || from < INT32_MIN)
            return false;
        lower[*ndim] = (int32_t)from;
        len[(*ndim)++] = (int32_t)(to - from + 1);
        p->at = stop + 1;
    }
    if (*ndim > 0) {
        if (p->at >= p->end || *p->at != '=')
            return false;
        p->at++;
    }
    return true;
}

ox_code
array_in_text(struct type type, struct str text, const struct row_format *format,
    struct arena *arena, struct datum *out, struct ox_err *err)
{
    /* A terminated copy, for strtol. */
    const char *copy = ox_arena_strndup(arena, text.ptr, text.len);
    struct array_parser p = {
        copy, copy + text.len, type_element(type), format, arena, NULL, 0, 0, 0, {0}, text, err};
    int32_t lower[ARRAY_DIMS_MAX] = {1, 1, 1, 1, 1, 1}, want[ARRAY_DIMS_MAX];
    uint32_t bounds;
    skip_blank(&p);
    if (!parse_bounds(&p, lower, want, &bounds))
        return malformed(&p, "Array dimensions are not valid.");
    skip_blank(&p);
    if (p.at == p.end || *p.at != '{')
        return malformed(&p, "Array value must start with \"{\" or dimension information.");
    ox_code code = parse_braces(&p, 0);
    if (code != OX_OK)
        return code;
    skip_blank(&p);
    if (p.at != p.end)
        return malformed(&p, "Junk after closing right brace.");
    if (bounds > 0) {
        bool same = bounds == p.ndim;
        for (uint32_t i = 0; same && i < bounds; i++)
            same = want[i] == p.len[i];
        if (!same)
            return malformed(&p, "Specified array dimensions do not match array contents.");
    }
    out->s =
        array_make_dims(p.element, p.items, p.count, p.count > 0 ? p.ndim : 0, p.len, lower, arena);
    return OX_OK;
}

static void
item_out(
    const struct array_view *view, uint32_t i, const struct row_format *format, struct text *to)
{
    struct datum item = array_get(view, i);
    if (item.null) {
        ox_text_adds(to, "NULL");
        return;
    }
    size_t start = to->len;
    type_out_text(view->element, &item, format, to);
    ox_text_reserve(to, 1);
    size_t len = to->len - start, escapes = 0;
    const char *s = to->ptr + start;
    bool quote = len == 0 || ox_str_ieq(ox_str_n(s, len), OX_STR("null"));
    for (size_t k = 0; k < len; k++) {
        char c = s[k];
        if (c == '"' || c == '\\')
            escapes++, quote = true;
        else if (c == '{' || c == '}' || c == ',' || c == ' ' || (c >= '\t' && c <= '\r'))
            quote = true;
    }
    if (!quote)
        return;
    ox_text_reserve(to, escapes + 3);
    char *from = to->ptr + start;
    memmove(from + escapes + 2, from, len);
    const char *in = from + escapes + 2;
    char *at = from;
    *at++ = '"';
    for (size_t k = 0; k < len; k++) {
        if (in[k] == '"' || in[k] == '\\')
            *at++ = '\\';
        *at++ = in[k];
    }
    *at++ = '"';
    to->len = start + len + escapes + 2;
    to->ptr[to->len] = '\0';
}

static void
braces_out(const struct array_view *view, uint32_t dim, uint32_t *at,
    const struct row_format *format, struct text *to)
{
    ox_text_addc(to, '{');
    for (int32_t i = 0; i < view->len[dim]; i++) {
        if (i > 0)
            ox_text_addc(to, ',');
        if (dim + 1 < view->ndim)
            braces_out(view, dim + 1, at, format, to);
        else
            item_out(view, (*at)++, format, to);
    }
    ox_text_addc(to, '}');
}

void
array_out_text(
    struct type type, struct str packed, const struct row_format *format, struct text *to)
{
    struct array_view view;
    uint32_t at = 0;
    array_view(packed, &view);
    view.element = type_element(type);
    if (view.ndim == 0) {
        ox_text_adds(to, "{}");
        return;
    }
    bool shifted = false;
    for (uint32_t i = 0; i < view.ndim; i++)
        shifted |= view.lower[i] != 1;
    for (uint32_t i = 0; shifted && i < view.ndim; i++)
        ox_text_addf(to, "[%d:%d]", view.lower[i], view.lower[i] + view.len[i] - 1);
    if (shifted)
        ox_text_addc(to, '=');
    braces_out(&view, 0, &at, format, to);
}

/* ---- binary --------------------------------------------------------------------------- */

ox_code
array_in_binary(
    struct type type, struct str bytes, struct arena *arena, struct datum *out, struct ox_err *err)
{
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    uint32_t ndim = (uint32_t)wire_get32(&in);
    wire_get32(&in);
    uint32_t oid = (uint32_t)wire_get32(&in);
    int32_t len[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    uint64_t count = ndim > 0;
    if (in.failed || ndim > ARRAY_DIMS_MAX)
        return ox_fail(
            err, OX_INVALID_BINARY_REPRESENTATION, "invalid number of dimensions: %d", (int)ndim);
    if (oid != type_oid(type_element(type)))
        return ox_fail(err, OX_DATATYPE_MISMATCH,
            "binary data has array element type %u instead of expected %u", oid,
            type_oid(type_element(type)));
    for (uint32_t i = 0; i < ndim; i++) {
        len[i] = wire_get32(&in);
        lower[i] = wire_get32(&in);
        if (len[i] < 0)
            return ox_fail(err, OX_INVALID_BINARY_REPRESENTATION, "invalid array dimensions");
        count *= (uint64_t)len[i];
        if (count > wire_left(&in))
            return ox_fail(
                err, OX_INVALID_BINARY_REPRESENTATION, "insufficient data left in message");
    }
    struct datum *items = ox_arena_alloc0(arena, (count + 1) * sizeof(*items));
    for (uint64_t i = 0; i < count; i++) {
        int32_t n = wire_get32(&in);
        if (n == -1 && !in.failed) {
            items[i].null = true;
            continue;
        }
        const uint8_t *at = n < 0 ? NULL : wire_skip(&in, (size_t)n);
        if (at == NULL || in.failed)
            return ox_fail(
                err, OX_INVALID_BINARY_REPRESENTATION, "insufficient data left in message");
        ox_code code =
            type_in_binary(type_element(type), ox_str_n(at, (size_t)n), arena, &items[i], err);
        if (code != OX_OK)
            return code;
    }
    if (wire_left(&in) != 0)
        return ox_fail(err, OX_INVALID_BINARY_REPRESENTATION, "incorrect binary data format");
    out->s = array_make_dims(
        type_element(type), items, (uint32_t)count, count > 0 ? ndim : 0, len, lower, arena);
    return OX_OK;
}

void
array_out_binary(struct type type, struct str packed, struct text *to)
{
    struct array_view view;
    struct wire_out out = wire_out(to);
    array_view(packed, &view);
    wire_put32(&out, (int32_t)view.ndim);
    wire_put32(&out, view.nulls != NULL);
    wire_put32(&out, (int32_t)type_oid(type_element(type)));
    for (uint32_t i = 0; i < view.ndim; i++) {
        wire_put32(&out, view.len[i]);
        wire_put32(&out, view.lower[i]);
    }
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum item = array_get(&view, i);
        if (item.null) {
            wire_put32(&out, -1);
            continue;
        }
        size_t at = to->len;
        wire_put32(&out, 0);
        type_out_binary(type_element(type), &item, to);
        wire_store32(to->ptr + at, (uint32_t)(to->len - at - 4));
    }
}

/* ---- order ----------------------------------------------------------------------------- */

int
array_compare(struct str a, struct str b)
{
    struct array_view x, y;
    array_view(a, &x);
    array_view(b, &y);
    uint32_t n = OX_MIN(x.count, y.count);
    for (uint32_t i = 0; i < n; i++) {
        struct datum p = array_get(&x, i), q = array_get(&y, i);
        if (p.null || q.null) {
            if (p.null != q.null)
                return p.null ? 1 : -1;
            continue;
        }
        int c = datum_compare(x.element, &p, &q);
        if (c != 0)
            return c;
    }
    if (x.count != y.count)
        return x.count < y.count ? -1 : 1;
    if (x.ndim != y.ndim)
        return x.ndim < y.ndim ? -1 : 1;
    for (uint32_t i = 0; i < x.ndim; i++) {
        if (x.len[i] != y.len[i])
            return x.len[i] < y.len[i] ? -1 : 1;
        if (x.lower[i] != y.lower[i])
            return x.lower[i] < y.lower[i] ? -1 : 1;
    }
    return 0;
}

uint64_t
array_hash(struct str a, uint64_t seed)
{
    struct array_view view;
    array_view(a, &view);
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum item = array_get(&view, i);
        seed = datum_hash(view.element, &item, seed + 1);
    }
    return seed + view.ndim;
}

/* ---- records ---------------------------------------------------------------------------- */

struct str
record_make(const struct record_view *fields, struct arena *arena)
{
    struct text text;
    ox_text_init(&text, arena);
    struct wire_out out = wire_out(&text);
    wire_put_uvarint(&out, fields->count);
    for (uint32_t i = 0; i < fields->count; i++) {
        wire_put16(&out, (int16_t)fields->types[i].id);
        wire_put8(&out, fields->types[i].array);
        struct str name = fields->names != NULL ? fields->names[i] : OX_STR_NULL;
        wire_put_uvarint(&out, name.ptr == NULL ? 0 : name.len + 1);
        wire_put_bytes(&out, name.ptr, name.ptr == NULL ? 0 : name.len);
        datum_save(fields->types[i], &fields->values[i], &out);
    }
    return ox_text_str(&text);
}

void
record_view(struct str packed, struct arena *arena, struct record_view *out)
{
    struct wire_in in = wire_in(packed.ptr, packed.len);
    out->count = wire_get_uvarint(&in);
    struct str *names = ox_arena_alloc0(arena, (out->count + 1) * sizeof(*names));
    struct type *types = ox_arena_alloc0(arena, (out->count + 1) * sizeof(*types));
    struct datum *values = ox_arena_alloc0(arena, (out->count + 1) * sizeof(*values));
    for (uint32_t i = 0; i < out->count; i++) {
        types[i].id = (uint16_t)wire_get16(&in);
        types[i].array = wire_get8(&in) != 0;
        types[i].typmod = -1;
        size_t len = wire_get_uvarint(&in);
        if (len > 0)
            names[i] = ox_str_n(wire_skip(&in, len - 1), len - 1);
        datum_load(types[i], &in, arena, &values[i], NULL);
    }
    ox_assert(!in.failed);
    out->names = names;
    out->types = types;
    out->values = values;
}

void
record_out_text(struct str packed, const struct row_format *format, struct text *to)
{
    struct arena arena;
    struct record_view view;
    ox_arena_init(&arena);
    record_view(packed, &arena, &view);
    ox_text_addc(to, '(');
    for (uint32_t i = 0; i < view.count; i++) {
        if (i > 0)
            ox_text_addc(to, ',');
        if (view.values[i].null)
            continue;
        struct text field;
        ox_text_init(&field, &arena);
        type_out_text(view.types[i], &view.values[i], format, &field);
        struct str s = ox_text_str(&field);
        bool quote = s.len == 0;
        for (size_t k = 0; k < s.len; k++)
            quote |= strchr("\"\\(),", s.ptr[k]) != NULL || s.ptr[k] == ' ' ||
                     (s.ptr[k] >= '\t' && s.ptr[k] <= '\r');
        if (quote)
            ox_text_addc(to, '"');
        for (size_t k = 0; k < s.len; k++) {
            if (s.ptr[k] == '"' || s.ptr[k] == '\\')
                ox_text_addc(to, s.ptr[k]);
            ox_text_addc(to, s.ptr[k]);
        }
        if (quote)
            ox_text_addc(to, '"');
    }
    ox_text_addc(to, ')');
    ox_arena_fini(&arena);
}

void
record_out_binary(struct str packed, struct text *to)
{
    struct arena arena;
    struct record_view view;
    struct wire_out out = wire_out(to);
    ox_arena_init(&arena);
    record_view(packed, &arena, &view);
    wire_put32(&out, (int32_t)view.count);
    for (uint32_t i = 0; i < view.count; i++) {
        wire_put32(&out, (int32_t)type_oid(view.types[i]));
        if (view.values[i].null) {
            wire_put32(&out, -1);
            continue;
        }
        size_t at = to->len;
        wire_put32(&out, 0);
        type_out_binary(view.types[i], &view.values[i], to);
        wire_store32(to->ptr + at, (uint32_t)(to->len - at - 4));
    }
    ox_arena_fini(&arena);
}

int
record_compare(struct str a, struct str b)
{
    struct arena arena;
    struct record_view x, y;
    int c = 0;
    ox_arena_init(&arena);
    record_view(a, &arena, &x);
    record_view(b, &arena, &y);
    for (uint32_t i = 0; c == 0 && i < x.count && i < y.count; i++) {
        if (x.values[i].null || y.values[i].null)
            c = (int)x.values[i].null - (int)y.values[i].null;
        else if (type_same(x.types[i], y.types[i]))
            c = datum_compare(x.types[i], &x.values[i], &y.values[i]);
    }
    if (c == 0 && x.count != y.count)
        c = x.count < y.count ? -1 : 1;
    ox_arena_fini(&arena);
    return c;
}

uint64_t
record_hash(struct str a, uint64_t seed)
{
    struct arena arena;
    struct record_view view;
    ox_arena_init(&arena);
    record_view(a, &arena, &view);
    for (uint32_t i = 0; i < view.count; i++)
        seed = datum_hash(view.types[i], &view.values[i], seed + 1);
    ox_arena_fini(&arena);
    return seed;
}
