/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows per second of the executor's inner loops on one core: a JSON field out of
 * 200-byte documents with cast and comparison, aggregates, text output.
 *   build/regress/bench/row_bench [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>

#include "base/env.h"
#include "exec/agg.h"

static struct eval_config config;
static struct eval ev;
static struct arena batch_arena, plan;
static struct expr_bind bind;

static double
seconds(void)
{
    return (double)env_mono_ns(env_os()) / 1e9;
}

static struct expr *
must(ox_code code, struct expr *expr, const struct ox_err *err)
{
    if (code != OX_OK) {
        fprintf(stderr, "row_bench: %s\n", err->message);
        exit(1);
    }
    return expr;
}

static struct expr *
op(const char *name, struct expr *a, struct expr *b)
{
    struct ox_err err;
    struct expr *out = NULL;
    ox_code code = expr_operator(&bind, ox_str(name), a, b, 0, &out, &err);
    return must(code, out, &err);
}

static struct expr *
cast(struct expr *a, struct type type)
{
    struct ox_err err;
    struct expr *out = NULL;
    ox_code code = expr_coerce(&bind, a, type, CAST_EXPLICIT, &out, &err);
    return must(code, out, &err);
}

static void
report(const char *what, double start, double rows)
{
    double spent = seconds() - start;
    printf("%-44s %8.2f M rows/s %7.1f ns/row\n", what, rows / spent / 1e6, spent / rows * 1e9);
}

static void
filter(const char *what, struct expr *cond, struct batch *batch, int rounds)
{
    uint32_t sel[VECTOR_MAX], n;
    uint64_t passed = 0;
    struct ox_err err;
    double start = seconds();
    for (int i = 0; i < rounds; i++) {
        if (expr_select(&ev, cond, batch, sel, &n, &err) != OX_OK)
            must(1, NULL, &err);
        passed += n;
        ox_arena_reset(&batch_arena);
    }
    report(what, start, (double)rounds * batch->count);
    if (passed == 0)
        printf("  nothing passed\n");
}

static void
output(const char *what, const struct vector *vec, int rounds)
{
    struct text text;
    ox_text_init(&text, NULL);
    double start = seconds();
    for (int i = 0; i < rounds; i++) {
        ox_text_clear(&text);
        for (uint32_t r = 0; r < VECTOR_MAX; r++)
            vector_out_field(vec, r, false, &row_format_default, &text);
    }
    report(what, start, (double)rounds * VECTOR_MAX);
    ox_text_fini(&text);
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 2000;
    struct vector cols[4];
    struct batch batch = {.count = VECTOR_MAX, .ncols = 4, .cols = cols, .sel_count = VECTOR_MAX};
    ox_arena_init(&plan);
    ox_arena_init(&batch_arena);
    config = (struct eval_config){.format = &row_format_default, .env = env_os()};
    bind = (struct expr_bind){.arena = &plan, .format = &row_format_default};
    eval_init(&ev, &config, &batch_arena);
    vector_init(&cols[0], TYPE(TYPE_TEXT), VECTOR_MAX, &plan);
    vector_init(&cols[1], TYPE(TYPE_INT8), VECTOR_MAX, &plan);
    vector_init(&cols[2], TYPE(TYPE_TIMESTAMPTZ), VECTOR_MAX, &plan);
    vector_init(&cols[3], TYPE(TYPE_FLOAT8), VECTOR_MAX, &plan);
    for (uint32_t i = 0; i < VECTOR_MAX; i++) {
        char pad[140];
        memset(pad, 'x', sizeof(pad));
        cols[0].s[i] = ox_str(
            ox_arena_printf(&plan, "{\"user\": \"u%05u\", \"note\": \"%.*s\", \"amount\": %u}",
                i * 37 % 9999, 140, pad, i * 7919 % 100000));
        cols[1].i[i] = i * 7919 % 100003;
        cols[2].i[i] = 757382400000000LL + i * 1234567LL;
        cols[3].f[i] = (double)(i * 7919 % 100003) / 100;
    }
    struct expr *doc = expr_column(&plan, 0, TYPE(TYPE_TEXT), "v", 0),
                *n = expr_column(&plan, 1, TYPE(TYPE_INT8), "n", 0);
    struct expr *field = op("->>", doc, expr_literal(&plan, OX_STR("amount"), 0));
    struct expr *limit = expr_const(&plan, TYPE(TYPE_INT4), datum_i64(90000), 0);
    filter("(v->>'amount')::int8 > 90000, 200-byte JSON",
        op(">", cast(field, TYPE(TYPE_INT8)), limit), &batch, rounds);
    filter("(v->>'amount')::float8 > 90000", op(">", cast(field, TYPE(TYPE_FLOAT8)), limit), &batch,
        rounds);
    filter("(v->>'amount')::numeric > 90000", op(">", cast(field, TYPE(TYPE_NUMERIC)), limit),
        &batch, rounds / 2);
    filter("v->>'user' = 'u00370'",
        op("=", op("->>", doc, expr_literal(&plan, OX_STR("user"), 0)),
            expr_literal(&plan, OX_STR("u00370"), 0)),
        &batch, rounds);
    filter("n > 90000", op(">", n, limit), &batch, rounds * 4);
    filter("n % 10 = 3",
        op("=", op("%", n, expr_const(&plan, TYPE(TYPE_INT8), datum_i64(10), 0)),
            expr_const(&plan, TYPE(TYPE_INT4), datum_i64(3), 0)),
        &batch, rounds * 4);
    filter("v LIKE '%u00370%'", op("~~", doc, expr_literal(&plan, OX_STR("%u00370%"), 0)), &batch,
        rounds);
    filter("v ~ 'u0037[0-9]'", op("~", doc, expr_literal(&plan, OX_STR("u0037[0-9]"), 0)), &batch,
        rounds / 20 + 1);
    struct type int8 = TYPE(TYPE_INT8);
    const struct func *sum = func_resolve(OX_STR("sum"), &int8, 1);
    struct agg_call call = {
        .func = sum, .types = &int8, .nargs = 1, .type = sum->result, .eval = &ev, .arena = &plan};
    char state[64] __attribute__((aligned(16)));
    sum->agg->init(&call, state);
    double start = seconds();
    for (int i = 0; i < rounds * 4; i++)
        agg_step_one(&call, state, &cols[1], NULL, VECTOR_MAX, NULL);
    report("sum(n)", start, (double)rounds * 4 * VECTOR_MAX);
    output("DataRow field: int8", &cols[1], rounds);
    output("DataRow field: text of 200 bytes", &cols[0], rounds);
    output("DataRow field: timestamptz", &cols[2], rounds);
    output("DataRow field: float8", &cols[3], rounds);
    struct copy_format copy;
    struct text text;
    copy_format_init(&copy, false);
    ox_text_init(&text, NULL);
    start = seconds();
    for (int i = 0; i < rounds; i++) {
        ox_text_clear(&text);
        copy_out_rows(&batch, 0, VECTOR_MAX, SIZE_MAX / 2, &copy, &row_format_default, &text);
    }
    report("COPY text: JSON, int8, timestamptz, float8", start, (double)rounds * VECTOR_MAX);
    ox_text_fini(&text);
    eval_fini(&ev);
    ox_arena_fini(&batch_arena);
    ox_arena_fini(&plan);
    return 0;
}
