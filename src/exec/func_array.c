/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions and operators of arrays. */
#include "exec/expr_int.h"

#include <stdio.h>

static struct type
element_of(const struct call *call, uint32_t i)
{
    return type_element(call->types[i]);
}

static struct datum *
items_of(struct call *call, const struct array_view *view, uint32_t more)
{
    struct datum *items = call_alloc(call, (view->count + more + 1) * sizeof(*items));
    for (uint32_t i = 0; i < view->count; i++)
        items[i] = array_get(view, i);
    return items;
}

static void
view_of(struct datum d, struct array_view *view)
{
    memset(view, 0, sizeof(*view));
    if (!d.null)
        array_view(d.s, view);
}

/* ---- putting together ---------------------------------------------------------------- */

static ox_code
add_element(struct call *call, struct datum array, struct datum item, bool front, struct datum *out)
{
    struct array_view view;
    view_of(array, &view);
    if (view.ndim > 1)
        return call_fail(
            call, OX_DATATYPE_MISMATCH, "argument must be empty or one-dimensional array");
    struct datum *items = items_of(call, &view, 1);
    int32_t len = (int32_t)view.count + 1, lower = view.ndim == 1 ? view.lower[0] : 1;
    if (front) {
        memmove(items + 1, items, view.count * sizeof(*items));
        items[0] = item;
    } else {
        items[view.count] = item;
    }
    out->s = array_make_dims(
        type_element(call->type), items, (uint32_t)len, 1, &len, &lower, call->arena);
    return OX_OK;
}

ox_code
array_append(struct call *call, const struct datum *args, struct datum *out)
{
    return add_element(call, args[0], args[1], false, out);
}

ox_code
array_prepend(struct call *call, const struct datum *args, struct datum *out)
{
    return add_element(call, args[1], args[0], true, out);
}

ox_code
array_cat(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view a, b;
    if (args[0].null || args[1].null) {
        *out = args[0].null ? args[1] : args[0];
        return OX_OK;
    }
    view_of(args[0], &a);
    view_of(args[1], &b);
    if (a.ndim == 0 || b.ndim == 0) {
        *out = a.ndim == 0 ? args[1] : args[0];
        return OX_OK;
    }
    /* Of one shape below the first dimension, or one is an element of the other. */
    const struct array_view *wide = a.ndim >= b.ndim ? &a : &b, *slim = a.ndim >= b.ndim ? &b : &a;
    bool fits = wide->ndim - slim->ndim <= 1;
    uint32_t skip = wide->ndim - slim->ndim;
    for (uint32_t d = 1; fits && d < wide->ndim; d++)
        fits = wide->len[d] == slim->len[d - skip];
    if (!fits)
        return call_fail(call, OX_ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays");
    struct datum *items = items_of(call, &a, b.count);
    for (uint32_t i = 0; i < b.count; i++)
        items[a.count + i] = array_get(&b, i);
    int32_t len[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    memcpy(len, wide->len, sizeof(len));
    memcpy(lower, wide->lower, sizeof(lower));
    len[0] = skip == 0 ? a.len[0] + b.len[0] : wide->len[0] + 1;
    if (skip == 0)
        lower[0] = a.lower[0];
    out->s = array_make_dims(
        type_element(call->type), items, a.count + b.count, wide->ndim, len, lower, call->arena);
    return OX_OK;
}

/* Of an array with one dimension, or without any. */
static ox_code
flat_view(struct call *call, struct datum array, const char *what, struct array_view *view)
{
    view_of(array, view);
    return view->ndim <= 1 ? OX_OK
                           : call_fail(call, OX_FEATURE_NOT_SUPPORTED,
                                 "%s multidimensional arrays is not supported", what);
}

ox_code
array_remove(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    if (args[0].null) {
        out->null = true;
        return OX_OK;
    }
    if (flat_view(call, args[0], "removing elements from", &view) != OX_OK)
        return OX_FEATURE_NOT_SUPPORTED;
    struct datum *items = call_alloc(call, (view.count + 1) * sizeof(*items));
    uint32_t n = 0;
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum item = array_get(&view, i);
        if (!datum_equal(element_of(call, 0), &item, &args[1]))
            items[n++] = item;
    }
    int32_t len = (int32_t)n, lower = view.ndim > 0 ? view.lower[0] : 1;
    out->s = array_make_dims(element_of(call, 0), items, n, n > 0, &len, &lower, call->arena);
    return OX_OK;
}

ox_code
array_replace(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    if (args[0].null) {
        out->null = true;
        return OX_OK;
    }
    view_of(args[0], &view);
    struct datum *items = items_of(call, &view, 0);
    for (uint32_t i = 0; i < view.count && !ox_stopped_at(i); i++)
        if (datum_equal(element_of(call, 0), &items[i], &args[1]))
            items[i] = args[2];
    out->s = array_make_dims(
        element_of(call, 0), items, view.count, view.ndim, view.len, view.lower, call->arena);
    return OX_OK;
}

ox_code
array_fill(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view dims;
    if (args[1].null)
        return call_fail(
            call, OX_NULL_VALUE_NOT_ALLOWED, "dimension array or low bound array cannot be null");
    view_of(args[1], &dims);
    int32_t len[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    uint64_t count = dims.count > 0;
    if (dims.count > ARRAY_DIMS_MAX)
        return call_fail(call, OX_PROGRAM_LIMIT_EXCEEDED,
            "number of array dimensions exceeds the maximum allowed (%d)", ARRAY_DIMS_MAX);
    for (uint32_t i = 0; i < dims.count; i++) {
        struct datum d = array_get(&dims, i);
        if (d.null)
            return call_fail(call, OX_NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null");
        if (d.i < 0 || (count *= (uint64_t)d.i) > 10000000)
            return call_fail(
                call, OX_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed");
        len[i] = (int32_t)d.i;
        lower[i] = 1;
    }
    struct datum *items = call_alloc(call, (count + 1) * sizeof(*items));
    for (uint64_t i = 0; i < count; i++)
        items[i] = args[0];
    out->s = array_make_dims(call->types[0], items, (uint32_t)count, count > 0 ? dims.count : 0,
        len, lower, call->arena);
    return OX_OK;
}

ox_code
array_trim(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    view_of(args[0], &view);
    int64_t have = view.ndim > 0 ? view.len[0] : 0;
    if (args[1].i < 0 || args[1].i > have)
        return call_fail(call, OX_ARRAY_SUBSCRIPT_ERROR,
            "number of elements to trim must be between 0 and %lld", (long long)have);
    uint32_t unit = have > 0 ? view.count / (uint32_t)have : 0,
             count = (uint32_t)(have - args[1].i) * unit;
    int32_t len[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    memcpy(len, view.len, sizeof(len));
    for (int d = 0; d < ARRAY_DIMS_MAX; d++)
        lower[d] = 1;
    len[0] = (int32_t)(have - args[1].i);
    out->s = array_make_dims(element_of(call, 0), items_of(call, &view, 0), count,
        count > 0 ? view.ndim : 0, len, lower, call->arena);
    return OX_OK;
}

/* ---- looking ------------------------------------------------------------------------------ */

static bool
holds(struct type element, const struct array_view *view, const struct datum *item)
{
    for (uint32_t i = 0; i < view->count && !ox_stopped_at(i); i++) {
        struct datum other = array_get(view, i);
        if (!other.null && datum_compare(element, &other, item) == 0)
            return true;
    }
    return false;
}

static bool
contains_all(struct type element, struct datum a, struct datum b)
{
    struct array_view x, y;
    view_of(a, &x);
    view_of(b, &y);
    for (uint32_t i = 0; i < y.count; i++) {
        struct datum item = array_get(&y, i);
        if (item.null || !holds(element, &x, &item) || ox_stopped(100))
            return false;
    }
    return true;
}

ox_code
array_contains(struct call *call, const struct datum *args, struct datum *out)
{
    out->b = contains_all(element_of(call, 0), args[0], args[1]);
    return OX_OK;
}

ox_code
array_contained(struct call *call, const struct datum *args, struct datum *out)
{
    out->b = contains_all(element_of(call, 0), args[1], args[0]);
    return OX_OK;
}

ox_code
array_overlaps(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view x, y;
    view_of(args[0], &x);
    view_of(args[1], &y);
    for (uint32_t i = 0; i < y.count && !out->b; i++) {
        struct datum item = array_get(&y, i);
        out->b = !item.null && holds(element_of(call, 0), &x, &item);
        if (ox_stopped(100))
            return ox_stop_fail(call->err);
    }
    return OX_OK;
}

ox_code
array_position(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    out->null = true;
    if (args[0].null)
        return OX_OK;
    if (flat_view(call, args[0], "searching for elements in", &view) != OX_OK)
        return OX_FEATURE_NOT_SUPPORTED;
    if (call->nargs > 2 && args[2].null)
        return call_fail(call, OX_NULL_VALUE_NOT_ALLOWED, "initial position must not be null");
    int64_t from = call->nargs > 2 ? args[2].i - view.lower[0] : 0;
    for (int64_t i = OX_MAX(from, 0); i < view.count && !ox_stopped_at((size_t)i); i++) {
        struct datum item = array_get(&view, (uint32_t)i);
        if (datum_equal(element_of(call, 0), &item, &args[1])) {
            *out = datum_i64(i + view.lower[0]);
            break;
        }
    }
    return OX_OK;
}

/* How many of the sorted bounds are not above the operand. */
ox_code
array_width_bucket(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    view_of(args[1], &view);
    if (view.ndim > 1)
        return call_fail(call, OX_ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array");
    uint32_t low = 0, high = view.count;
    for (uint32_t i = 0; i < view.count; i++)
        if (array_get(&view, i).null)
            return call_fail(call, OX_NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs");
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct datum bound = array_get(&view, mid);
        if (datum_compare(element_of(call, 1), &args[0], &bound) < 0)
            high = mid;
        else
            low = mid + 1;
    }
    out->i = low;
    return OX_OK;
}

ox_code
array_positions(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    if (args[0].null) {
        out->null = true;
        return OX_OK;
    }
    if (flat_view(call, args[0], "searching for elements in", &view) != OX_OK)
        return OX_FEATURE_NOT_SUPPORTED;
    struct datum *found = call_alloc(call, (view.count + 1) * sizeof(*found));
    uint32_t n = 0;
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum item = array_get(&view, i);
        if (datum_equal(element_of(call, 0), &item, &args[1]))
            found[n++] = datum_i64((int64_t)i + view.lower[0]);
    }
    out->s = array_make(TYPE(TYPE_INT4), found, n, call->arena);
    return OX_OK;
}

static ox_code
dimension(struct call *call, const struct datum *args, int what, struct datum *out)
{
    struct array_view view;
    view_of(args[0], &view);
    int64_t d = args[1].i;
    out->null = d < 1 || d > view.ndim;
    if (!out->null)
        out->i = what == 0   ? view.len[d - 1]
                 : what == 1 ? view.lower[d - 1]
                             : view.lower[d - 1] + view.len[d - 1] - 1;
    return OX_OK;
}

ox_code
array_length(struct call *call, const struct datum *args, struct datum *out)
{
    return dimension(call, args, 0, out);
}

ox_code
array_lower(struct call *call, const struct datum *args, struct datum *out)
{
    return dimension(call, args, 1, out);
}

ox_code
array_upper(struct call *call, const struct datum *args, struct datum *out)
{
    return dimension(call, args, 2, out);
}

ox_code
array_ndims(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    view_of(args[0], &view);
    out->null = view.ndim == 0;
    out->i = view.ndim;
    return OX_OK;
}

ox_code
array_cardinality(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    view_of(args[0], &view);
    out->i = view.count;
    return OX_OK;
}

ox_code
array_dims(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    struct text text;
    view_of(args[0], &view);
    ox_text_init(&text, call->arena);
    for (uint32_t d = 0; d < view.ndim; d++)
        ox_text_addf(&text, "[%d:%d]", view.lower[d], view.lower[d] + view.len[d] - 1);
    out->null = view.ndim == 0;
    out->s = ox_text_str(&text);
    return OX_OK;
}

/* ---- to and from text -------------------------------------------------------------------------
 */

ox_code
array_to_text(struct call *call, const struct datum *args, struct datum *out)
{
    struct array_view view;
    struct text text;
    bool any = false, mark = call->nargs > 2 && !args[2].null;
    out->null = args[0].null || args[1].null;
    if (out->null)
        return OX_OK;
    view_of(args[0], &view);
    ox_text_init(&text, call->arena);
    ox_text_reserve(&text, 1);
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum item = array_get(&view, i);
        if (item.null && !mark)
            continue;
        if (any)
            ox_text_add(&text, args[1].s.ptr, args[1].s.len);
        any = true;
        if (item.null)
            ox_text_add(&text, args[2].s.ptr, args[2].s.len);
        else
            type_out_text(element_of(call, 0), &item, call_format(call), &text);
        if (CALL_ROOM(call, text.len) != OX_OK)
            return OX_PROGRAM_LIMIT_EXCEEDED;
        if (ox_stopped(50))
            return ox_stop_fail(call->err);
    }
    out->s = ox_text_str(&text);
    return OX_OK;
}

/* Pieces of s between separators; NULL separator: characters; empty one: the whole. */
static uint32_t
split(struct arena *arena, struct datum string, struct datum by, const struct datum *null,
    struct datum **out)
{
    struct datum *items = NULL;
    size_t cap = 0;
    uint32_t n = 0;
    struct str s = string.s;
    while ((s.len > 0 || (n > 0 && !by.null)) && !ox_stopped(30)) {
        size_t len, skip = 0;
        const char *at = NULL;
        if (by.null) {
            uint8_t c = (uint8_t)s.ptr[0];
            len = OX_MIN(c < 0x80 ? 1u : c < 0xE0 ? 2u : c < 0xF0 ? 3u : 4u, s.len);
        } else {
            at = by.s.len > 0 && s.len > 0 ? memmem(s.ptr, s.len, by.s.ptr, by.s.len) : NULL;
            len = at != NULL ? (size_t)(at - s.ptr) : s.len;
            skip = at != NULL ? by.s.len : 0;
        }
        ox_arena_grow(arena, (void **)&items, &cap, n + 1, sizeof(*items));
        struct str piece = ox_str_n(s.ptr, len);
        bool is_null = null != NULL && !null->null && ox_str_eq(piece, null->s);
        items[n++] = is_null ? DATUM_NULL : datum_str(piece);
        s = ox_str_n(s.ptr + len + skip, s.len - len - skip);
        if (!by.null && at == NULL)
            break;
    }
    *out = items;
    return n;
}

ox_code
text_to_array(struct call *call, const struct datum *args, struct datum *out)
{
    struct datum *items;
    if (args[0].null) {
        out->null = true;
        return OX_OK;
    }
    uint32_t n = split(call->arena, args[0], args[1], call->nargs > 2 ? &args[2] : NULL, &items);
    out->s = array_make(TYPE(TYPE_TEXT), items, n, call->arena);
    return OX_OK;
}

struct pieces {
    struct datum *items;
    uint32_t count, at;
};

static ox_code
split_open(struct set_call *call, struct ox_err *err)
{
    struct pieces *p = ox_arena_new(call->arena, struct pieces);
    call->state = p;
    if (!call->args[0].null)
        p->count = split(call->arena, datum_copy(TYPE(TYPE_TEXT), call->args[0], call->arena),
            call->args[1], call->nargs > 2 ? &call->args[2] : NULL, &p->items);
    return OX_OK;
}

static ox_code
split_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct pieces *p = call->state;
    *end = p->at >= p->count;
    if (!*end)
        *row = p->items[p->at++];
    return OX_OK;
}

const struct set_func set_string_split = {split_open, split_next};
