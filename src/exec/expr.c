/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation of bound expressions, a batch at a time.
 *
 * Every step gets a list of rows (always a list: the identity stands for all) and
 * writes entries of those rows only. Steps that choose (AND, OR, CASE, COALESCE)
 * pass shorter lists down, so that an error can only come from a row that
 * needs the value. A constant vector stays constant through strict functions.
 *
 * Invariants: 1. rows in a list rise and are below the batch's count; 2. a strict
 * function never sees a row with a null argument; 3. what the result borrows
 * lives as long as the batch and the eval's arena. */
#include "exec/expr_eval.h"

#include <math.h>

/* State kept for one node: made on first use, by the node's address. */
struct eval_slot {
    const struct expr *expr;
    void *state;
};

enum { EVAL_DEPTH_MAX = 2000 };

#define R4(n) n, n + 1, n + 2, n + 3
#define R16(n) R4(n), R4(n + 4), R4(n + 8), R4(n + 12)
#define R64(n) R16(n), R16(n + 16), R16(n + 32), R16(n + 48)
#define R256(n) R64(n), R64(n + 64), R64(n + 128), R64(n + 192)
const uint32_t eval_all_rows[VECTOR_MAX] = {R256(0), R256(256), R256(512), R256(768)};

void
eval_init(struct eval *ev, const struct eval_config *config, struct arena *arena)
{
    memset(ev, 0, sizeof(*ev));
    ev->config = config;
    ev->arena = arena;
    ox_arena_init(&ev->kept);
}

void
eval_fini(struct eval *ev)
{
    ox_arena_fini(&ev->kept);
    ox_free(ev->slots);
    ev->slots = NULL;
    ev->slot_count = ev->slot_cap = 0;
}

static inline uint32_t
slot_hash(const struct expr *expr, uint32_t cap)
{
    return (uint32_t)(((uintptr_t)expr >> 4) * 0x9E3779B97F4A7C15u >> 32) & (cap - 1);
}

void **
eval_slot(struct eval *ev, const struct expr *expr)
{
    if (ev->slot_count * 2 >= ev->slot_cap) {
        uint32_t cap = ev->slot_cap ? ev->slot_cap * 2 : 16;
        struct eval_slot *bigger = ox_calloc(cap, sizeof(*bigger));
        for (uint32_t i = 0; i < ev->slot_cap; i++) {
            if (ev->slots[i].expr == NULL)
                continue;
            uint32_t at = slot_hash(ev->slots[i].expr, cap);
            while (bigger[at].expr != NULL)
                at = (at + 1) & (cap - 1);
            bigger[at] = ev->slots[i];
        }
        ox_free(ev->slots);
        ev->slots = bigger;
        ev->slot_cap = cap;
    }
    uint32_t at = slot_hash(expr, ev->slot_cap);
    while (ev->slots[at].expr != NULL && ev->slots[at].expr != expr)
        at = (at + 1) & (ev->slot_cap - 1);
    if (ev->slots[at].expr == NULL) {
        ev->slots[at].expr = expr;
        ev->slot_count++;
    }
    return &ev->slots[at].state;
}

/* ---- bounds ---------------------------------------------------------------------- */

ox_code
eval_value_too_large(struct ox_err *err)
{
    limit_met(LIMIT_SQL_VALUE);
    return ox_fail(
        err, OX_PROGRAM_LIMIT_EXCEEDED, "value would be larger than %d MiB", EVAL_VALUE_MAX >> 20);
}

ox_code
eval_bytes_exceeded(struct ox_err *err)
{
    return ox_fail(err, OX_WORK_MEM_EXCEEDED,
        "values that the statement works on at once take more than %d MiB", EVAL_BYTES_MAX >> 20);
}

/* ---- calls ---------------------------------------------------------------------- */

/* One row through a function that may only have a column form. */
ox_code
eval_call_row(
    struct call *call, const struct func *func, const struct datum *args, struct datum *out)
{
    memset(out, 0, sizeof(*out));
    if (func->strict)
        for (uint32_t i = 0; i < call->nargs; i++)
            if (args[i].null) {
                out->null = true;
                return OX_OK;
            }
    if (func->fn != NULL)
        return func->fn(call, args, out);
    struct vector vecs[16], result;
    ox_assert(call->nargs <= ox_count(vecs));
    for (uint32_t i = 0; i < call->nargs; i++) {
        vector_constant(&vecs[i], call->types[i], args[i], call->arena);
        vecs[i].constant = false;
    }
    vector_init(&result, call->type, 1, call->arena);
    ox_code code = func->vec(call, vecs, eval_all_rows, 1, &result);
    if (code == OX_OK)
        *out = vector_get(&result, 0);
    return code;
}

ox_code
func_call(struct eval *ev, const struct func *func, const struct type *types,
    const struct datum *args, uint32_t nargs, struct type result, struct datum *out,
    struct ox_err *err)
{
    void *state = NULL;
    struct call call = {.eval = ev,
        .types = types,
        .nargs = nargs,
        .type = result,
        .arena = ev->arena,
        .state = &state,
        .err = err};
    return eval_call_row(&call, func, args, out);
}

static ox_code
call_each(struct call *call, const struct func *func, const struct vector *args,
    struct eval_rows rows, struct vector *out)
{
    struct datum stack[16], *values = stack;
    bool sized = type_len(call->type) < 0; /* a value of any length */
    if (call->nargs > ox_count(stack))
        values = ox_arena_alloc(call->arena, call->nargs * sizeof(*values));
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        struct datum result = {.null = false};
        for (uint32_t i = 0; i < call->nargs; i++)
            values[i] = vector_get(&args[i], r);
        ox_code code = func->fn(call, values, &result);
        if (ox_stopped(20))
            return ox_stop_fail(call->err);
        if (code == OX_OK && sized && !result.null)
            code = CALL_ROOM(call, result.s.len);
        if (ox_unlikely(call->arena->used > EVAL_BYTES_MAX) && code == OX_OK)
            code = eval_bytes_exceeded(call->err);
        if (code != OX_OK)
            return code;
        if (result.null)
            vector_nulls(out, out->constant ? 1 : eval_rows_room(rows), call->arena);
        vector_set(out, r, result);
    }
    return OX_OK;
}

/* Rows without a null argument; marks the others in out. */
static struct eval_rows
skip_nulls(struct eval *ev, const struct vector *args, uint32_t nargs, struct eval_rows rows,
    struct vector *out)
{
    bool any = false;
    for (uint32_t i = 0; i < nargs; i++)
        any |= args[i].nulls != NULL;
    if (!any)
        return rows;
    uint32_t *sel = ox_arena_alloc(ev->arena, (rows.n + 1) * sizeof(*sel)), n = 0;
    uint8_t *nulls = vector_nulls(out, eval_rows_room(rows), ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        uint8_t null = 0;
        for (uint32_t i = 0; i < nargs; i++)
            null |= (uint8_t)eval_is_null(&args[i], r);
        nulls[r] = null;
        sel[n] = r;
        n += !null;
    }
    return n == rows.n ? rows : (struct eval_rows){sel, n};
}

static ox_code
eval_call(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    const struct func *func = expr->func;
    struct vector stack_args[8], *args = stack_args;
    struct type stack_types[8], *types = stack_types;
    if (expr->nargs > 8) {
        args = ox_arena_alloc(ev->arena, expr->nargs * sizeof(*args));
        types = ox_arena_alloc(ev->arena, expr->nargs * sizeof(*types));
    }
    bool constant = func->volatility != FUNC_VOLATILE;
    for (uint32_t i = 0; i < expr->nargs; i++) {
        ox_code code = eval_node(ev, expr->args[i], batch, rows, &args[i], err);
        if (code != OX_OK)
            return code;
        types[i] = expr->args[i]->type;
        constant &= args[i].constant;
        if (func->strict && args[i].constant && args[i].nulls != NULL && args[i].nulls[0]) {
            vector_constant(out, expr->type, DATUM_NULL, ev->arena);
            return OX_OK;
        }
    }
    if (rows.n == 0) { /* nothing to compute: an empty column */
        vector_init(out, expr->type, 1, ev->arena);
        return OX_OK;
    }
    struct eval_rows all = constant ? (struct eval_rows){eval_all_rows, 1} : rows;
    vector_init(out, expr->type, eval_rows_room(all), ev->arena);
    out->constant = constant;
    if (func->strict)
        all = skip_nulls(ev, args, expr->nargs, all, out);
    struct call call = {.eval = ev,
        .expr = expr,
        .types = types,
        .nargs = expr->nargs,
        .type = expr->type,
        .arena = ev->arena,
        .state = eval_slot(ev, expr),
        .err = err};
    if (all.n == 0)
        return OX_OK;
    if (func->vec != NULL) {
        ox_code code = func->vec(&call, args, all.sel, all.n, out);
        if (ox_stop_seen())
            return ox_stop_fail(err);
        if (ox_unlikely(ev->arena->used > EVAL_BYTES_MAX) && code == OX_OK)
            return eval_bytes_exceeded(err);
        return code;
    }
    return call_each(&call, func, args, all, out);
}

/* ---- logic ------------------------------------------------------------------------- */

/* AND, OR: a row that meets `stop` is decided. */
static ox_code
eval_logic(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    bool stop = expr->kind == EXPR_OR;
    uint32_t room = eval_rows_room(rows), n = rows.n;
    vector_init(out, expr->type, room, ev->arena);
    uint32_t *sel = ox_arena_alloc(ev->arena, (n + 1) * sizeof(*sel));
    memcpy(sel, rows.sel, n * sizeof(*sel));
    for (uint32_t k = 0; k < n; k++)
        out->b[sel[k]] = !stop;
    for (uint32_t i = 0; i < expr->nargs && n > 0; i++) {
        struct vector arg;
        ox_code code = eval_node(ev, expr->args[i], batch, (struct eval_rows){sel, n}, &arg, err);
        if (code != OX_OK)
            return code;
        uint32_t *next = ox_arena_alloc(ev->arena, (n + 1) * sizeof(*next)), m = 0;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t r = sel[k];
            if (eval_is_null(&arg, r)) {
                vector_nulls(out, room, ev->arena)[r] = 1;
                next[m++] = r;
            } else if ((AT(&arg, b, r) != 0) == stop) {
                out->b[r] = stop;
                if (out->nulls != NULL)
                    out->nulls[r] = 0;
            } else {
                next[m++] = r;
            }
        }
        sel = next;
        n = m;
    }
    return OX_OK;
}

static ox_code
eval_not(struct eval *ev, const struct expr *expr, const struct batch *batch, struct eval_rows rows,
    struct vector *out, struct ox_err *err)
{
    struct vector arg;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &arg, err);
    if (code != OX_OK)
        return code;
    if (arg.constant) {
        struct datum d = vector_get(&arg, 0);
        d.b = !d.b;
        vector_constant(out, expr->type, d, ev->arena);
        return OX_OK;
    }
    vector_init(out, expr->type, eval_rows_room(rows), ev->arena);
    out->nulls = arg.nulls;
    for (uint32_t k = 0; k < rows.n; k++)
        out->b[rows.sel[k]] = !arg.b[rows.sel[k]];
    return OX_OK;
}

static ox_code
eval_test(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector arg;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &arg, err);
    if (code != OX_OK)
        return code;
    vector_init(out, expr->type, eval_rows_room(rows), ev->arena);
    bool record = expr->args[0]->type.id == TYPE_RECORD && !expr->args[0]->type.array;
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        bool null = eval_is_null(&arg, r), v = false;
        bool boolean = !null && expr->test >= TEST_TRUE && AT(&arg, b, r);
        switch (expr->test) {
        case TEST_NULL:
            v = null;
            break;
        case TEST_NOT_NULL:
            v = !null;
            break;
        case TEST_TRUE:
            v = boolean;
            break;
        case TEST_NOT_TRUE:
            v = !boolean;
            break;
        case TEST_FALSE:
            v = !null && !boolean;
            break;
        case TEST_NOT_FALSE:
            v = null || boolean;
            break;
        case TEST_UNKNOWN:
            v = null;
            break;
        case TEST_NOT_UNKNOWN:
            v = !null;
            break;
        }
        if (record && !null && expr->test <= TEST_NOT_NULL) { /* all fields */
            struct record_view view;
            record_view(AT(&arg, s, r), ev->arena, &view);
            v = true;
            for (uint32_t i = 0; i < view.count; i++)
                v &= view.values[i].null == (expr->test == TEST_NULL);
        }
        out->b[r] = v;
    }
    return OX_OK;
}

static ox_code
eval_distinct(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector a, b;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &a, err);
    if (code == OX_OK)
        code = eval_node(ev, expr->args[1], batch, rows, &b, err);
    if (code != OX_OK)
        return code;
    vector_init(out, expr->type, eval_rows_room(rows), ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        struct datum x = vector_get(&a, r), y = vector_get(&b, r);
        out->b[r] = datum_equal(expr->args[0]->type, &x, &y) == expr->negate;
    }
    return OX_OK;
}

/* ---- choices --------------------------------------------------------------------------- */

static void
scatter(struct eval *ev, struct vector *out, uint32_t room, const struct vector *from,
    struct eval_rows rows)
{
    if (from->nulls != NULL) {
        uint8_t *nulls = vector_nulls(out, room, ev->arena);
        for (uint32_t k = 0; k < rows.n; k++)
            nulls[rows.sel[k]] = from->nulls[from->constant ? 0 : rows.sel[k]];
    } else if (out->nulls != NULL) {
        for (uint32_t k = 0; k < rows.n; k++)
            out->nulls[rows.sel[k]] = 0;
    }
    switch (type_phys(out->type)) {
    case PHYS_BOOL:
        for (uint32_t k = 0; k < rows.n; k++)
            out->b[rows.sel[k]] = AT(from, b, rows.sel[k]);
        break;
    case PHYS_I64:
    case PHYS_F64:
        for (uint32_t k = 0; k < rows.n; k++)
            out->i[rows.sel[k]] = AT(from, i, rows.sel[k]);
        break;
    case PHYS_STR:
        for (uint32_t k = 0; k < rows.n; k++)
            out->s[rows.sel[k]] = AT(from, s, rows.sel[k]);
        break;
    }
}

static ox_code
eval_into(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, uint32_t room, struct ox_err *err)
{
    struct vector value;
    if (rows.n == 0)
        return OX_OK;
    ox_code code = eval_node(ev, expr, batch, rows, &value, err);
    if (code == OX_OK)
        scatter(ev, out, room, &value, rows);
    return code;
}

static ox_code
eval_case(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    uint32_t room = eval_rows_room(rows);
    vector_init(out, expr->type, room, ev->arena);
    struct eval_rows left = rows;
    for (uint32_t i = 0; i + 1 < expr->nargs && left.n > 0; i += 2) {
        struct vector cond;
        ox_code code = eval_node(ev, expr->args[i], batch, left, &cond, err);
        if (code != OX_OK)
            return code;
        uint32_t *yes = ox_arena_alloc(ev->arena, (left.n + 1) * 4),
                 *no = ox_arena_alloc(ev->arena, (left.n + 1) * 4);
        uint32_t y = 0, n = 0;
        for (uint32_t k = 0; k < left.n; k++) {
            uint32_t r = left.sel[k];
            if (!eval_is_null(&cond, r) && AT(&cond, b, r))
                yes[y++] = r;
            else
                no[n++] = r;
        }
        code = eval_into(ev, expr->args[i + 1], batch, (struct eval_rows){yes, y}, out, room, err);
        if (code != OX_OK)
            return code;
        left = (struct eval_rows){no, n};
    }
    if (expr->nargs % 2 == 1)
        return eval_into(ev, expr->args[expr->nargs - 1], batch, left, out, room, err);
    for (uint32_t k = 0; k < left.n; k++)
        vector_nulls(out, room, ev->arena)[left.sel[k]] = 1;
    return OX_OK;
}

static ox_code
eval_coalesce(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    uint32_t room = eval_rows_room(rows);
    vector_init(out, expr->type, room, ev->arena);
    struct eval_rows left = rows;
    for (uint32_t i = 0; i < expr->nargs && left.n > 0; i++) {
        ox_code code = eval_into(ev, expr->args[i], batch, left, out, room, err);
        if (code != OX_OK)
            return code;
        uint32_t *next = ox_arena_alloc(ev->arena, (left.n + 1) * 4), n = 0;
        for (uint32_t k = 0; out->nulls != NULL && k < left.n; k++)
            if (out->nulls[left.sel[k]])
                next[n++] = left.sel[k];
        left = (struct eval_rows){next, n};
    }
    return OX_OK;
}

static ox_code
eval_extreme(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    uint32_t room = eval_rows_room(rows);
    int want = expr->kind == EXPR_GREATEST ? 1 : -1;
    vector_init(out, expr->type, room, ev->arena);
    memset(vector_nulls(out, room, ev->arena), 1, room);
    for (uint32_t i = 0; i < expr->nargs; i++) {
        struct vector arg;
        ox_code code = eval_node(ev, expr->args[i], batch, rows, &arg, err);
        if (code != OX_OK)
            return code;
        for (uint32_t k = 0; k < rows.n; k++) {
            uint32_t r = rows.sel[k];
            struct datum x = vector_get(&arg, r), best = vector_get(out, r);
            if (!x.null && (best.null || datum_compare(expr->type, &x, &best) == want))
                vector_set(out, r, x);
        }
    }
    return OX_OK;
}

static ox_code
eval_nullif(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    /* args: the left side, then the bound comparison of both */
    struct vector value, same;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &value, err);
    if (code == OX_OK)
        code = eval_node(ev, expr->args[1], batch, rows, &same, err);
    if (code != OX_OK)
        return code;
    uint32_t room = eval_rows_room(rows);
    vector_init(out, expr->type, room, ev->arena);
    scatter(ev, out, room, &value, rows);
    for (uint32_t k = 0; k < rows.n; k++)
        if (!eval_is_null(&same, rows.sel[k]) && AT(&same, b, rows.sel[k]))
            vector_nulls(out, room, ev->arena)[rows.sel[k]] = 1;
    return OX_OK;
}

/* ---- IN ------------------------------------------------------------------------------------ */

/* Constants of an IN list, by hash. */
struct in_set {
    uint32_t cap; /* power of two; 0: the list is short, compare one by one */
    bool has_null;
    struct datum *values;
    uint8_t *used;
};

static struct in_set *
in_set_make(struct eval *ev, const struct expr *expr)
{
    struct type type = expr->args[0]->type;
    struct in_set *set = ox_arena_new(&ev->kept, struct in_set);
    uint32_t count = expr->nargs - 1;
    bool constant = true;
    for (uint32_t i = 1; i < expr->nargs; i++)
        constant &= expr->args[i]->kind == EXPR_CONST;
    if (!constant || count < 6 || !type_hashable(type))
        return set;
    for (set->cap = 16; set->cap < count * 2; set->cap *= 2)
        ;
    set->values = ox_arena_alloc0(&ev->kept, set->cap * sizeof(*set->values));
    set->used = ox_arena_alloc0(&ev->kept, set->cap);
    for (uint32_t i = 1; i < expr->nargs; i++) {
        const struct datum *value = &expr->args[i]->value;
        if (value->null) {
            set->has_null = true;
            continue;
        }
        uint32_t at = (uint32_t)datum_hash(type, value, 1) & (set->cap - 1);
        while (set->used[at] && !datum_equal(type, &set->values[at], value))
            at = (at + 1) & (set->cap - 1);
        set->used[at] = 1;
        set->values[at] = *value;
    }
    return set;
}

static ox_code
eval_in(struct eval *ev, const struct expr *expr, const struct batch *batch, struct eval_rows rows,
    struct vector *out, struct ox_err *err)
{
    struct type type = expr->args[0]->type;
    void **state = eval_slot(ev, expr);
    if (*state == NULL)
        *state = in_set_make(ev, expr);
    const struct in_set *set = *state;
    uint32_t room = eval_rows_room(rows), n = 0;
    struct vector left;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &left, err);
    if (code != OX_OK)
        return code;
    vector_init(out, expr->type, room, ev->arena);
    uint32_t *sel = ox_arena_alloc(ev->arena, (rows.n + 1) * 4);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        out->b[r] = expr->negate;
        if (eval_is_null(&left, r))
            vector_nulls(out, room, ev->arena)[r] = 1;
        else
            sel[n++] = r;
    }
    if (set->cap > 0) {
        for (uint32_t k = 0; k < n; k++) {
            uint32_t r = sel[k];
            struct datum x = vector_get(&left, r);
            uint32_t at = (uint32_t)datum_hash(type, &x, 1) & (set->cap - 1);
            while (set->used[at] && !datum_equal(type, &set->values[at], &x))
                at = (at + 1) & (set->cap - 1);
            if (set->used[at])
                out->b[r] = !expr->negate;
            else if (set->has_null)
                vector_nulls(out, room, ev->arena)[r] = 1;
        }
        return OX_OK;
    }
    for (uint32_t i = 1; i < expr->nargs && n > 0; i++) {
        struct vector item;
        if ((code = eval_node(ev, expr->args[i], batch, (struct eval_rows){sel, n}, &item, err)) !=
            OX_OK)
            return code;
        uint32_t m = 0;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t r = sel[k];
            struct datum x = vector_get(&left, r), y = vector_get(&item, r);
            if (y.null) {
                vector_nulls(out, room, ev->arena)[r] = 1;
            } else if (datum_compare(type, &x, &y) == 0) {
                out->b[r] = !expr->negate;
                if (out->nulls != NULL)
                    out->nulls[r] = 0;
                continue;
            }
            sel[m++] = r;
        }
        n = m;
    }
    return OX_OK;
}

/* ---- texts, subqueries ---- */

ox_code
eval_args(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector **out, struct ox_err *err)
{
    *out = ox_arena_alloc(ev->arena, (expr->nargs + 1) * sizeof(**out));
    for (uint32_t i = 0; i < expr->nargs; i++) {
        if (expr->args[i] == NULL) {
            memset(&(*out)[i], 0, sizeof(**out));
            continue;
        }
        ox_code code = eval_node(ev, expr->args[i], batch, rows, &(*out)[i], err);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

static ox_code
eval_cast_text(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector arg;
    ox_code code = eval_node(ev, expr->args[0], batch, rows, &arg, err);
    if (code != OX_OK)
        return code;
    if (arg.constant && rows.n > 1)
        rows = (struct eval_rows){eval_all_rows, 1};
    uint32_t room = eval_rows_room(rows);
    struct type from = expr->args[0]->type;
    vector_init(out, expr->type, room, ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        struct datum value = vector_get(&arg, r), result = DATUM_NULL;
        if (value.null) {
            vector_nulls(out, room, ev->arena)[r] = 1;
            continue;
        }
        if (type_phys(from) == PHYS_STR && !from.array && type_category(from) == 'S') {
            code = type_in_text(expr->type, value.s, ev->config->format, ev->arena, &result, err);
        } else {
            struct text text;
            ox_text_init(&text, ev->arena);
            type_out_text(from, &value, ev->config->format, &text);
            code = type_in_text(
                expr->type, ox_text_str(&text), ev->config->format, ev->arena, &result, err);
        }
        if (code != OX_OK)
            return code;
        vector_set(out, r, result);
    }
    out->constant = arg.constant;
    return OX_OK;
}

static ox_code
eval_subquery(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    struct vector *args;
    ox_code code = eval_args(ev, expr, batch, rows, &args, err);
    if (code != OX_OK)
        return code;
    if (ev->config->subquery == NULL)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "subqueries are not allowed here");
    bool once = !expr->correlated && expr->nargs == 0;
    uint32_t room = eval_rows_room(rows);
    struct datum *values = ox_arena_alloc(ev->arena, (expr->nargs + 1) * sizeof(*values));
    vector_init(out, expr->type, room, ev->arena);
    for (uint32_t k = 0; k < rows.n; k++) {
        uint32_t r = rows.sel[k];
        struct datum value = {.null = false};
        for (uint32_t i = 0; i < expr->nargs; i++)
            values[i] = vector_get(&args[i], r);
        if ((code = ev->config->subquery(ev, expr, batch, r, values, &value, err)) != OX_OK)
            return code;
        if (once) {
            vector_constant(out, expr->type, value, ev->arena);
            return OX_OK;
        }
        if (value.null)
            vector_nulls(out, room, ev->arena);
        vector_set(out, r, value);
    }
    return OX_OK;
}

/* ---- the switch ---- */

static ox_code
eval_leaf(struct eval *ev, const struct expr *expr, const struct batch *batch, struct vector *out,
    struct ox_err *err)
{
    struct datum value = {.null = false};
    ox_code code = OX_OK;
    switch (expr->kind) {
    case EXPR_COLUMN:
        ox_assert(expr->column < batch->ncols);
        *out = batch->cols[expr->column];
        return OX_OK;
    case EXPR_PARAM:
        if (expr->column >= ev->config->param_count)
            return ox_fail(
                err, OX_UNDEFINED_PARAMETER, "there is no parameter $%u", expr->column + 1);
        value = ev->config->params[expr->column];
        break;
    case EXPR_OUTER:
        ox_assert(ev->config->outer != NULL);
        code = ev->config->outer(ev, expr, &value, err);
        break;
    default:
        value = expr->value;
    }
    if (code == OX_OK)
        vector_constant(out, expr->type, value, ev->arena);
    return code;
}

static const eval_step_fn steps[] = {
    [EXPR_CALL] = eval_call,
    [EXPR_AND] = eval_logic,
    [EXPR_OR] = eval_logic,
    [EXPR_NOT] = eval_not,
    [EXPR_TEST] = eval_test,
    [EXPR_DISTINCT] = eval_distinct,
    [EXPR_CASE] = eval_case,
    [EXPR_COALESCE] = eval_coalesce,
    [EXPR_NULLIF] = eval_nullif,
    [EXPR_GREATEST] = eval_extreme,
    [EXPR_LEAST] = eval_extreme,
    [EXPR_IN] = eval_in,
    [EXPR_ARRAY] = eval_array,
    [EXPR_SUBSCRIPT] = eval_subscript,
    [EXPR_SLICE] = eval_subscript,
    [EXPR_ANY] = eval_any_all,
    [EXPR_ALL] = eval_any_all,
    [EXPR_ROW] = eval_row,
    [EXPR_FIELD] = eval_field,
    [EXPR_ROW_COMPARE] = eval_row_compare,
    [EXPR_CAST_TEXT] = eval_cast_text,
    [EXPR_SUBQUERY] = eval_subquery,
};

ox_code
eval_node(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err)
{
    if (expr->kind <= EXPR_PARAM)
        return eval_leaf(ev, expr, batch, out, err);
    if (++ev->depth > EVAL_DEPTH_MAX) {
        ev->depth = 0;
        return ox_fail(err, OX_STATEMENT_TOO_COMPLEX, "expression is nested too deeply");
    }
    ox_assert(expr->kind < ox_count(steps) && steps[expr->kind] != NULL);
    ox_code code = steps[expr->kind](ev, expr, batch, rows, out, err);
    if (ev->depth > 0)
        ev->depth--;
    return code;
}

static struct eval_rows
batch_rows(const struct batch *batch)
{
    ox_assert(batch->count <= VECTOR_MAX);
    return batch->sel != NULL ? (struct eval_rows){batch->sel, batch->sel_count}
                              : (struct eval_rows){eval_all_rows, batch->count};
}

ox_code
expr_eval(struct eval *ev, const struct expr *expr, const struct batch *batch, struct vector *out,
    struct ox_err *err)
{
    ev->depth = 0;
    return eval_node(ev, expr, batch, batch_rows(batch), out, err);
}

static ox_code
select_rows(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, uint32_t *sel, uint32_t *count, struct ox_err *err)
{
    if (expr->kind == EXPR_AND) {
        for (uint32_t i = 0; i < expr->nargs; i++) {
            ox_code code = select_rows(ev, expr->args[i], batch, rows, sel, count, err);
            if (code != OX_OK)
                return code;
            rows = (struct eval_rows){sel, *count};
        }
        return OX_OK;
    }
    struct vector vec;
    uint32_t n = 0;
    *count = 0;
    if (rows.n == 0)
        return OX_OK;
    ox_code code = eval_node(ev, expr, batch, rows, &vec, err);
    if (code != OX_OK)
        return code;
    if (vec.constant) {
        struct datum value = vector_get(&vec, 0);
        n = !value.null && value.b ? rows.n : 0;
        memmove(sel, rows.sel, n * sizeof(*sel));
    } else if (vec.nulls == NULL) {
        for (uint32_t k = 0; k < rows.n; k++) {
            uint32_t r = rows.sel[k];
            sel[n] = r;
            n += vec.b[r];
        }
    } else {
        for (uint32_t k = 0; k < rows.n; k++) {
            uint32_t r = rows.sel[k];
            sel[n] = r;
            n += vec.b[r] & (uint8_t)!vec.nulls[r];
        }
    }
    *count = n;
    return OX_OK;
}

ox_code
expr_select(struct eval *ev, const struct expr *expr, const struct batch *batch, uint32_t *sel,
    uint32_t *sel_count, struct ox_err *err)
{
    ev->depth = 0;
    return select_rows(ev, expr, batch, batch_rows(batch), sel, sel_count, err);
}
