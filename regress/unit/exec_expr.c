/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation over columns: every function, operator and cast of functions.tbl
 * is called on columns with nulls, under a selection, and must give row for row
 * what it gives for constants; logic, CASE and IN touch no row they need not. */
#include <stdio.h>
#include <stdlib.h>

#include "base/rand.h"
#include "exec/agg.h"

#include "tap.h"

enum { ROWS = 64 };

static struct eval_config config;
static struct expr_bind bind;
static struct arena plan, scratch;
static struct rand_state seed;

static const char *const samples[TYPE_COUNT][8] = {
    [TYPE_BOOL] = {"t", "f"},
    [TYPE_INT2] = {"0", "1", "-1", "7", "12", "3"},
    [TYPE_INT4] = {"0", "1", "-1", "7", "12", "3", "2147483647"},
    [TYPE_INT8] = {"0", "1", "-1", "7", "12", "3", "9223372036854775807"},
    [TYPE_FLOAT4] = {"0", "1.5", "-2.25", "NaN", "3"},
    [TYPE_FLOAT8] = {"0", "1.5", "-2.25", "Infinity", "0.1", "3"},
    [TYPE_NUMERIC] = {"0", "1.50", "-2.25", "12345678901234567890.12", "0.001", "3"},
    [TYPE_TEXT] = {"", "abc", "Hello World", "a", "%b%", "day", "{\"a\":1}", "UTC"},
    [TYPE_VARCHAR] = {"", "abc", "x"},
    [TYPE_BPCHAR] = {"", "abc  ", "abc"},
    [TYPE_NAME] = {"abc", "def"},
    [TYPE_BYTEA] = {"\\x", "\\x616263", "\\x00ff"},
    [TYPE_UUID] = {"00112233-4455-6677-8899-aabbccddeeff", "ffffffff-4455-6677-8899-aabbccddeeff"},
    [TYPE_DATE] = {"2024-02-29", "2000-01-01", "infinity", "1969-07-20"},
    [TYPE_TIME] = {"00:00:00", "13:14:15.5"},
    [TYPE_TIMESTAMP] = {"2024-02-29 13:14:15.5", "2000-01-01 00:00:00", "infinity"},
    [TYPE_TIMESTAMPTZ] = {"2024-03-31 00:59:59+00", "2024-07-04 12:00:00+00", "-infinity"},
    [TYPE_INTERVAL] = {"1 day", "1 mon -2 days 03:04:05", "-00:00:01"},
    [TYPE_JSON] = {"{\"a\":1,\"b\":[1,2]}", "[1,2,3]", "null"},
    [TYPE_JSONB] = {"{\"a\":1,\"b\":[1,2]}", "[1,2,3]", "\"x\"", "{}"},
    [TYPE_OID] = {"0", "23", "16384"},
};

static bool
sample(struct type type, struct datum *out)
{
    uint32_t count = 0;
    if (type.array) {
        struct datum items[3];
        uint32_t n = (uint32_t)ox_rand_below(&seed, 4);
        for (uint32_t i = 0; i < n; i++)
            if (!sample(type_element(type), &items[i]))
                return false;
        *out = datum_str(array_make(type_element(type), items, n, &plan));
        return true;
    }
    while (count < 8 && samples[type.id][count] != NULL)
        count++;
    if (count == 0)
        return false;
    struct str text = ox_str(samples[type.id][ox_rand_below(&seed, count)]);
    return type_in_text(type, text, &row_format_default, &plan, out, NULL) == OX_OK;
}

static struct type
stand_in(struct type type)
{
    switch (type.id) {
    case TYPE_ANY:
    case TYPE_ANYELEMENT:
    case TYPE_ANYNONARRAY:
    case TYPE_ANYCOMPATIBLE:
        return TYPE(TYPE_INT4);
    case TYPE_ANYARRAY:
    case TYPE_ANYCOMPATIBLEARRAY:
        return TYPE_ARRAY(TYPE_INT4);
    default:
        return type;
    }
}

static struct type
result_of(struct type type)
{
    return stand_in(type);
}

/* One call with constants. */
static ox_code
by_row(const struct func *func, const struct type *types, const struct datum *args, uint32_t nargs,
    struct type result, struct datum *out)
{
    struct eval ev;
    struct vector vec;
    struct batch one = {.count = 1, .sel_count = 1};
    struct expr *exprs[8], *call = expr_new(&plan, EXPR_CALL, result, 0);
    for (uint32_t i = 0; i < nargs; i++)
        exprs[i] = expr_const(&plan, types[i], args[i], 0);
    call->func = func;
    call->args = exprs;
    call->nargs = nargs;
    eval_init(&ev, &config, &plan);
    ox_code code = expr_eval(&ev, call, &one, &vec, NULL);
    if (code == OX_OK)
        *out = datum_copy(result, vector_get(&vec, 0), &plan);
    eval_fini(&ev);
    return code;
}

/* -1: cannot be called with samples; 1: the same everywhere. */
static int
try_func(const struct func *func)
{
    struct type types[8];
    struct vector cols[8];
    struct expr *exprs[8], *call;
    uint32_t nargs = func->required, sel[ROWS], n = 0, failed = 0;
    struct type result = result_of(func->result);
    if (func->kind > FUNC_CAST || func->volatility == FUNC_VOLATILE || nargs == 0 || nargs > 7)
        return -1;
    for (uint32_t i = 0; i < nargs; i++) {
        types[i] = stand_in(func->args[i]);
        vector_init(&cols[i], types[i], ROWS, &plan);
        uint8_t *nulls = vector_nulls(&cols[i], ROWS, &plan);
        for (uint32_t r = 0; r < ROWS; r++) {
            struct datum value;
            if (!sample(types[i], &value))
                return -1;
            vector_set(&cols[i], r, value);
            nulls[r] = ox_rand_below(&seed, 8) == 0;
        }
        exprs[i] = expr_column(&plan, i, types[i], NULL, 0);
    }
    struct datum want[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) {
        struct datum args[8];
        for (uint32_t i = 0; i < nargs; i++)
            args[i] = vector_get(&cols[i], r);
        if (by_row(func, types, args, nargs, result, &want[r]) != OX_OK)
            failed++; /* not selected */
        else if (ox_rand_below(&seed, 4) > 0)
            sel[n++] = r;
    }
    if (n == 0)
        return -1;
    struct eval ev;
    struct vector vec;
    struct ox_err err = {0};
    struct batch batch = {.count = ROWS, .ncols = nargs, .cols = cols, .sel = sel, .sel_count = n};
    call = expr_new(&plan, EXPR_CALL, result, 0);
    call->func = func;
    call->args = exprs;
    call->nargs = nargs;
    eval_init(&ev, &config, &scratch);
    bool same = expr_eval(&ev, call, &batch, &vec, &err) == OX_OK;
    if (!same)
        printf("# %s: %s\n", func->name, err.message);
    for (uint32_t k = 0; same && k < n; k++) {
        struct datum got = vector_get(&vec, sel[k]);
        struct text a, b;
        ox_text_init(&a, &scratch);
        ox_text_init(&b, &scratch);
        ox_text_adds(&a, got.null ? "null" : "");
        ox_text_adds(&b, want[sel[k]].null ? "null" : "");
        if (!got.null)
            type_out_text(result, &got, &row_format_default, &a);
        if (!want[sel[k]].null)
            type_out_text(result, &want[sel[k]], &row_format_default, &b);
        same = ox_str_eq(ox_text_str(&a), ox_text_str(&b));
        if (!same)
            printf("# %s row %u: column %s, row %s\n", func->name, sel[k], a.ptr, b.ptr);
    }
    eval_fini(&ev);
    ox_arena_reset(&scratch);
    return same;
}

static void
test_functions(void)
{
    int tried = 0, same = 0;
    for (uint32_t i = 0; i < func_count; i++) {
        int result = try_func(&func_table[i]);
        tried += result >= 0;
        same += result > 0;
    }
    printf("# %d functions called on columns\n", tried);
    ok(tried > 500, "hundreds of functions take the samples");
    is_int(same, tried, "columns and single rows agree");
}

static struct expr *
op(const char *name, struct expr *a, struct expr *b)
{
    struct expr *out = NULL;
    struct ox_err err;
    if (expr_operator(&bind, ox_str(name), a, b, 0, &out, &err) != OX_OK)
        printf("# %s\n", err.message);
    return out;
}

static struct expr *
number(int64_t v)
{
    return expr_const(&plan, TYPE(TYPE_INT4), datum_i64(v), 0);
}

static void
test_laziness(void)
{
    struct vector col;
    struct batch batch = {.count = 10, .ncols = 1, .cols = &col, .sel_count = 10};
    uint32_t sel[VECTOR_MAX], n = 0;
    struct eval ev;
    struct vector vec;
    vector_init(&col, TYPE(TYPE_INT4), 10, &plan);
    for (uint32_t i = 0; i < 10; i++)
        col.i[i] = i;
    struct expr *x = expr_column(&plan, 0, TYPE(TYPE_INT4), "x", 0);
    struct expr *inverse = op("/", number(10), x);
    eval_init(&ev, &config, &scratch);
    is_int(
        expr_eval(&ev, inverse, &batch, &vec, NULL), OX_DIVISION_BY_ZERO, "10 / x fails at x = 0");
    struct expr *both =
        expr_and(&plan, (struct expr *[]){op("<>", x, number(0)), op(">", inverse, number(2))}, 2);
    ok(expr_select(&ev, both, &batch, sel, &n, NULL) == OX_OK && n == 3,
        "x <> 0 AND 10 / x > 2 does not");
    struct expr *chosen = NULL;
    struct expr *zero = op("=", x, number(0)), *none = number(-1);
    ok(expr_case(&bind, NULL, &zero, &none, 1, inverse, 0, &chosen, NULL) == OX_OK,
        "CASE is bound");
    ok(expr_eval(&ev, chosen, &batch, &vec, NULL) == OX_OK && vec.i[0] == -1 && vec.i[5] == 2,
        "and takes one branch a row");
    struct expr *list[8], *in = NULL;
    for (int i = 0; i < 7; i++)
        list[i] = number(i * 2);
    list[7] = expr_null(&plan, 0);
    ok(expr_in(&bind, x, list, 8, false, 0, &in, NULL) == OX_OK, "IN is bound");
    ok(expr_select(&ev, in, &batch, sel, &n, NULL) == OX_OK && n == 5 && sel[1] == 2,
        "five of ten are in the list");
    ok(expr_in(&bind, x, list, 8, true, 0, &in, NULL) == OX_OK &&
            expr_select(&ev, in, &batch, sel, &n, NULL) == OX_OK && n == 0,
        "with a null none is certainly not");
    struct text text;
    ox_text_init(&text, &plan);
    expr_deparse(both, &text);
    is_str(text.ptr, "((x <> 0) AND ((10 / x) > 2))", "as EXPLAIN shows it");
    struct expr *folded = op("+", number(1), number(2));
    ok(expr_is_constant(folded) && folded->value.i == 3, "constants are folded");
    ok(!expr_is_constant(op("/", number(1), number(0))), "but not where that fails");
    eval_fini(&ev);
}

/* Every aggregate: saved, loaded and merged halves equal the whole. */
static int
try_agg(const struct func *func)
{
    struct type types[3], result = result_of(func->result);
    struct vector cols[3];
    uint32_t nargs = func->nargs, sel[ROWS];
    for (uint32_t i = 0; i < nargs; i++) {
        types[i] = stand_in(func->args[i]);
        vector_init(&cols[i], types[i], ROWS, &plan);
        uint8_t *nulls = vector_nulls(&cols[i], ROWS, &plan);
        bool direct = func->agg->ordered_set && i + 1 < nargs;
        for (uint32_t r = 0; r < ROWS; r++) {
            struct datum value;
            if (direct)
                value = types[i].array ? datum_str(array_make(TYPE(TYPE_FLOAT8),
                                             &(struct datum){.f = 0.5}, 1, &plan))
                                       : datum_f64(0.5);
            else if (!sample(types[i], &value))
                return -1;
            vector_set(&cols[i], r, value);
            bool key = strstr(func->name, "object_agg") != NULL && i == 0;
            nulls[r] = !direct && !key && ox_rand_below(&seed, 8) == 0;
        }
    }
    for (uint32_t r = 0; r < ROWS; r++)
        sel[r] = r;
    struct eval ev;
    eval_init(&ev, &config, &plan);
    struct agg_call call = {
        .func = func, .types = types, .nargs = nargs, .type = result, .eval = &ev, .arena = &plan};
    const struct agg_func *agg = func->agg;
    void *whole = ox_arena_alloc0(&plan, agg->state_size),
         *left = ox_arena_alloc0(&plan, agg->state_size);
    void *right = ox_arena_alloc0(&plan, agg->state_size),
         *back = ox_arena_alloc0(&plan, agg->state_size);
    agg->init(&call, whole);
    agg->init(&call, left);
    agg->init(&call, right);
    agg->init(&call, back);
    struct datum a = {.null = false}, b = {.null = false};
    if (agg_step_one(&call, whole, cols, sel, ROWS, NULL) != OX_OK ||
        agg->final(&call, whole, &a, NULL) != OX_OK) {
        eval_fini(&ev);
        return -1;
    }
    agg_step_one(&call, left, cols, sel, ROWS / 2, NULL);
    agg_step_one(&call, right, cols, sel + ROWS / 2, ROWS / 2, NULL);
    struct text saved, x, y;
    ox_text_init(&saved, &plan);
    ox_text_init(&x, &plan);
    ox_text_init(&y, &plan);
    struct wire_out out = wire_out(&saved);
    agg->save(&call, right, &out);
    struct wire_in in = wire_in(saved.ptr, saved.len);
    bool good = agg->load(&call, back, &in, NULL) == OX_OK && wire_left(&in) == 0;
    good = good && agg->combine(&call, left, back, NULL) == OX_OK &&
           agg->final(&call, left, &b, NULL) == OX_OK;
    ox_text_adds(&x, a.null ? "null" : "");
    ox_text_adds(&y, b.null ? "null" : "");
    if (good && !a.null && type_phys(result) == PHYS_F64) {
        double d = a.f - b.f;
        good = !b.null && (a.f == b.f || (a.f != a.f && b.f != b.f) || (d < 1e-6 && d > -1e-6));
    } else if (good) {
        if (!a.null)
            type_out_text(result, &a, &row_format_default, &x);
        if (!b.null)
            type_out_text(result, &b, &row_format_default, &y);
        good = ox_str_eq(ox_text_str(&x), ox_text_str(&y));
    }
    if (!good)
        printf("# %s: whole %s, halves %s\n", func->name, x.ptr, y.ptr);
    eval_fini(&ev);
    return good;
}

static void
test_aggregates(void)
{
    int tried = 0, good = 0;
    for (uint32_t i = 0; i < func_count; i++) {
        if (func_table[i].kind != FUNC_AGGREGATE)
            continue;
        int result = try_agg(&func_table[i]);
        tried += result >= 0;
        good += result > 0;
    }
    printf("# %d aggregates\n", tried);
    ok(tried > 60, "dozens of aggregates take the samples");
    is_int(good, tried, "halves that were saved, loaded and merged make the whole");
}

int
main(void)
{
    ox_arena_init(&plan);
    ox_arena_init(&scratch);
    ox_rand_seed(&seed, 20240229);
    config = (struct eval_config){.format = &row_format_default, .env = env_os()};
    bind = (struct expr_bind){.arena = &plan, .format = &row_format_default};
    test_functions();
    test_laziness();
    test_aggregates();
    ox_arena_fini(&scratch);
    ox_arena_fini(&plan);
    return done();
}
