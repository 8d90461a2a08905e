/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation of what makes arrays and rows, and of what looks into them. */
#include "exec/expr_eval.h"

/* Items that are arrays themselves make one array of a dimension more. */
static ox_code
nest_arrays(struct eval *ev, const struct expr *expr, const struct datum *items, struct datum *out,
    struct ox_err *err)
{
    struct array_view view = {0}, first = {0};
    struct datum *flat = NULL;
    size_t cap = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < expr->nargs; i++) {
        if (items[i].null)
            view = (struct array_view){.ndim = 0};
        else
            array_view(items[i].s, &view);
        if (i == 0)
            first = view;
        bool same = view.ndim == first.ndim;
        for (uint32_t d = 0; same && d < view.ndim; d++)
            same = view.len[d] == first.len[d];
        if (!same)
            return ox_fail(err, OX_ARRAY_SUBSCRIPT_ERROR,
                "multidimensional arrays must have array expressions with matching dimensions");
        ox_arena_grow(ev->arena, (void **)&flat, &cap, count + view.count + 1, sizeof(*flat));
        for (uint32_t k = 0; k < view.count; k++)
            flat[count++] = array_get(&view, k);
    }
    int32_t len[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    if (first.ndim + 1 > ARRAY_DIMS_MAX)
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
            "number of array dimensions exceeds the maximum allowed (%d)", ARRAY_DIMS_MAX);
    len[0] = (int32_t)expr->nargs;
    lower[0] = 1;
    for (uint32_t d = 0; d < first.ndim; d++) {
        len[d + 1] = first.len[d];
        lower[d + 1] = 1;
    }
    out->s = array_make_dims(type_element(expr->type), flat, count, count > 0 ? first.ndim + 1 : 0,
        len, lower, ev->arena);
    return OX_OK;
}

ox_code
eval_array(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector *args;
    ox_code code = eval_args(ev, expr, batch, rows, &args, err);
    if (code != OX_OK)
        return code;
    struct datum *items = ox_arena_alloc(ev->arena, (expr->nargs + 1) * sizeof(*items));
    bool nested = expr->nargs > 0 && expr->args[0]->type.array;
    vector_init(out, expr->type, eval_rows_room(rows), ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        struct datum value = {.null = false};
        for (uint32_t i = 0; i < expr->nargs; i++)
            items[i] = vector_get(&args[i], rows.sel[k]);
        if (!nested)
            value.s = array_make(type_element(expr->type), items, expr->nargs, ev->arena);
        else if ((code = nest_arrays(ev, expr, items, &value, err)) != OX_OK)
            return code;
        vector_set(out, rows.sel[k], value);
    }
    return OX_OK;
}

static void
subscript(const struct array_view *view, const struct vector *args, uint32_t n, uint32_t row,
    struct datum *out)
{
    uint32_t at = 0;
    out->null = true;
    if (n != view->ndim)
        return;
    for (uint32_t d = 0; d < n; d++) {
        struct datum index = vector_get(&args[d + 1], row);
        int64_t i = index.i - view->lower[d];
        if (index.null || i < 0 || i >= view->len[d])
            return;
        at = at * (uint32_t)view->len[d] + (uint32_t)i;
    }
    *out = array_get(view, at);
}

/* args[1 + 2d] and args[2 + 2d] bound dimension d; further dimensions are whole. */
static void
slice(struct eval *ev, const struct array_view *view, const struct expr *expr,
    const struct vector *args, uint32_t row, struct datum *out)
{
    int64_t low[ARRAY_DIMS_MAX];
    int32_t len[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    uint32_t bounds = (expr->nargs - 1) / 2, count = 1;
    out->null = false;
    for (uint32_t d = 0; d < OX_MAX(view->ndim, bounds); d++) {
        const struct expr *from_expr = d < bounds ? expr->args[1 + 2 * d] : NULL;
        const struct expr *to_expr = d < bounds ? expr->args[2 + 2 * d] : NULL;
        struct datum from = from_expr ? vector_get(&args[1 + 2 * d], row) : datum_i64(INT64_MIN);
        struct datum to = to_expr ? vector_get(&args[2 + 2 * d], row) : datum_i64(INT64_MAX);
        if (from.null || to.null) {
            out->null = true;
            return;
        }
        if (d >= view->ndim) {
            count = 0;
            continue;
        }
        int64_t first = OX_MAX(from.i, (int64_t)view->lower[d]) - view->lower[d];
        int64_t last = OX_MIN(to.i, (int64_t)view->lower[d] + view->len[d] - 1) - view->lower[d];
        low[d] = first;
        len[d] = last >= first ? (int32_t)(last - first + 1) : 0;
        lower[d] = 1;
        count *= (uint32_t)len[d];
    }
    if (view->ndim == 0)
        count = 0;
    struct datum *items = ox_arena_alloc(ev->arena, ((size_t)count + 1) * sizeof(*items));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0, rest = i, unit = count;
        for (uint32_t d = 0; d < view->ndim; d++) {
            unit /= (uint32_t)len[d];
            at = at * (uint32_t)view->len[d] + (uint32_t)low[d] + rest / unit;
            rest %= unit;
        }
        items[i] = array_get(view, at);
    }
    out->s = array_make_dims(
        view->element, items, count, count > 0 ? view->ndim : 0, len, lower, ev->arena);
}

ox_code
eval_subscript(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector *args;
    ox_code code = eval_args(ev, expr, batch, rows, &args, err);
    if (code != OX_OK)
        return code;
    uint32_t room = eval_rows_room(rows);
    vector_init(out, expr->type, room, ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        struct datum array = vector_get(&args[0], r), value = {.null = array.null};
        if (!array.null) {
            struct array_view view;
            array_view(array.s, &view);
            if (expr->kind == EXPR_SUBSCRIPT)
                subscript(&view, args, expr->nargs - 1, r, &value);
            else
                slice(ev, &view, expr, args, r, &value);
        }
        if (value.null)
            vector_nulls(out, room, ev->arena);
        vector_set(out, r, value);
    }
    return OX_OK;
}

ox_code
eval_any_all(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector left, array;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &left, err);
    if (code == OX_OK)
        code = eval_node(ev, expr->args[1], batch, rows, &array, err);
    if (code != OX_OK)
        return code;
    bool any = expr->kind == EXPR_ANY;
    uint32_t room = eval_rows_room(rows);
    struct type types[2] = {expr->args[0]->type, type_element(expr->args[1]->type)};
    struct call call = {.eval = ev,
        .expr = expr,
        .types = types,
        .nargs = 2,
        .type = TYPE(TYPE_BOOL),
        .arena = ev->arena,
        .state = eval_slot(ev, expr),
        .err = err};
    vector_init(out, expr->type, room, ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        struct datum args[2] = {vector_get(&left, r)}, packed = vector_get(&array, r), result;
        struct array_view view = {0};
        if (!packed.null)
            array_view(packed.s, &view);
        bool null = packed.null || (args[0].null && view.count > 0), decided = false;
        for (uint32_t i = 0; i < view.count && !decided && !args[0].null; i++) {
            args[1] = array_get(&view, i);
            if ((code = eval_call_row(&call, expr->func, args, &result)) != OX_OK)
                return code;
            null |= result.null;
            decided = !result.null && (result.b != 0) == any;
        }
        out->b[r] = decided ? any : !any;
        if (null && !decided)
            vector_nulls(out, room, ev->arena)[r] = 1;
        else if (out->nulls != NULL)
            out->nulls[r] = 0;
    }
    return OX_OK;
}

ox_code
eval_row(struct eval *ev, const struct expr *expr, const struct batch *batch, struct eval_rows rows,
    struct vector *out, struct ox_err *err)
{
    struct vector *args;
    ox_code code = eval_args(ev, expr, batch, rows, &args, err);
    if (code != OX_OK)
        return code;
    struct datum *values = ox_arena_alloc(ev->arena, (expr->nargs + 1) * sizeof(*values));
    struct type *types = ox_arena_alloc(ev->arena, (expr->nargs + 1) * sizeof(*types));
    for (uint32_t i = 0; i < expr->nargs; i++)
        types[i] = expr->args[i]->type;
    struct record_view record = {expr->nargs, expr->names, types, values};
    vector_init(out, expr->type, eval_rows_room(rows), ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        for (uint32_t i = 0; i < expr->nargs; i++)
            values[i] = vector_get(&args[i], rows.sel[k]);
        out->s[rows.sel[k]] = record_make(&record, ev->arena);
    }
    return OX_OK;
}

ox_code
eval_field(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector arg;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &arg, err);
    if (code != OX_OK)
        return code;
    uint32_t room = eval_rows_room(rows);
    vector_init(out, expr->type, room, ev->arena);
    vector_nulls(out, room, ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        struct datum record = vector_get(&arg, rows.sel[k]), value = DATUM_NULL;
        if (!record.null) {
            struct record_view view;
            record_view(record.s, ev->arena, &view);
            if (expr->column < view.count)
                value = view.values[expr->column];
        }
        vector_set(out, rows.sel[k], value);
    }
    return OX_OK;
}

ox_code
eval_row_compare(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector *args;
    ox_code code = eval_args(ev, expr, batch, rows, &args, err);
    if (code != OX_OK)
        return code;
    uint32_t half = expr->nargs / 2, room = eval_rows_room(rows);
    bool equality = expr->op == OP_EQ || expr->op == OP_NE;
    vector_init(out, expr->type, room, ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        int c = 0;
        bool null = false;
        for (uint32_t i = 0; i < half && c == 0; i++) {
            struct datum x = vector_get(&args[i], r), y = vector_get(&args[half + i], r);
            if (x.null || y.null) {
                null = true;
                if (!equality)
                    break;
            } else {
                c = datum_compare(expr->args[i]->type, &x, &y);
            }
        }
        bool v = false;
        switch (expr->op) {
        case OP_EQ:
            v = c == 0;
            break;
        case OP_NE:
            v = c != 0;
            break;
        case OP_LT:
            v = c < 0;
            break;
        case OP_LE:
            v = c <= 0;
            break;
        case OP_GT:
            v = c > 0;
            break;
        case OP_GE:
            v = c >= 0;
            break;
        }
        out->b[r] = v;
        if (null && c == 0)
            vector_nulls(out, room, ev->arena)[r] = 1;
        else if (out->nulls != NULL)
            out->nulls[r] = 0;
    }
    return OX_OK;
}
