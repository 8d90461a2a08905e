/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans by hand, and their rows as text: columns by commas, rows by semicolons,
 * NULL as "-". */
#ifndef UNIT_EXEC_HELP_H
#define UNIT_EXEC_HELP_H

#include <stdio.h>

#include "base/arena.h"
#include "base/env.h"
#include "exec/exec.h"
#include "exec/expr.h"
#include "loop/loop.h"

struct help {
    struct arena arena;
    struct expr_bind bind;
    struct exec_config config;
    struct text text; /* of the last run */
    struct ox_err err;
    uint64_t spilled; /* bytes, of the last run */
    int parks;
};

static inline void
help_init(struct help *help)
{
    memset(help, 0, sizeof(*help));
    ox_arena_init(&help->arena);
    ox_text_init(&help->text, NULL);
    help->bind = (struct expr_bind){.arena = &help->arena, .format = &row_format_default};
    help->config = (struct exec_config){.env = env_os(),
        .format = &row_format_default,
        .work_mem = 4 * 1024 * 1024,
        .temp_dir = "/tmp"};
}

static inline void
help_fini(struct help *help)
{
    ox_arena_fini(&help->arena);
    ox_text_fini(&help->text);
}

static inline struct expr *
int_const(struct help *help, int64_t value)
{
    return expr_const(&help->arena, TYPE(TYPE_INT8), datum_i64(value), 0);
}

static inline struct expr *
text_const(struct help *help, const char *value)
{
    return expr_const(&help->arena, TYPE(TYPE_TEXT), datum_str(ox_str(value)), 0);
}

static inline struct expr *
null_const(struct help *help, struct type type)
{
    return expr_const(&help->arena, type, DATUM_NULL, 0);
}

static inline struct expr *
col(struct help *help, uint32_t column, struct type type)
{
    return expr_column(&help->arena, column, type, NULL, 0);
}

static inline struct expr *
int_col(struct help *help, uint32_t column)
{
    return col(help, column, TYPE(TYPE_INT8));
}

static inline struct expr *
text_col(struct help *help, uint32_t column)
{
    return col(help, column, TYPE(TYPE_TEXT));
}

static inline struct expr *
binary(struct help *help, const char *op, struct expr *left, struct expr *right)
{
    struct expr *out = NULL;
    struct ox_err err;
    if (expr_operator(&help->bind, ox_str(op), left, right, 0, &out, &err) != OX_OK)
        printf("# %s: %s\n", op, err.message);
    return out;
}

static inline const struct func *
func_named(
    struct help *help, const char *name, struct expr **args, uint32_t nargs, struct type *type)
{
    struct expr *out = NULL;
    struct ox_err err;
    if (expr_function(&help->bind, ox_str(name), args, nargs, false, 0, &out, &err) != OX_OK) {
        printf("# %s: %s\n", name, err.message);
        return NULL;
    }
    *type = out->type;
    return out->func;
}

/* Array of expressions in the arena. */
#define EXPRS(help, ...)                                                                           \
    ((struct expr **)ox_arena_copy(                                                                \
        &(help)->arena, (struct expr *[]){__VA_ARGS__}, sizeof((struct expr *[]){__VA_ARGS__})))

/* generate: n rows (i, i % modulo, text of i % modulo). */
static inline struct plan *
numbers(struct help *help, int64_t from, int64_t to)
{
    struct expr **args = EXPRS(help, int_const(help, from), int_const(help, to));
    struct expr *call = NULL;
    struct ox_err err;
    if (expr_function(&help->bind, OX_STR("generate_series"), args, 2, false, 0, &call, &err) !=
        OX_OK)
        printf("# generate_series: %s\n", err.message);
    static const struct plan_column column = {{"i", 1}, {TYPE_INT8, false, -1}};
    return plan_function_scan_new(&help->arena, EXPRS(help, call), 1, false, &column, 1);
}

static inline struct plan *
project(struct help *help, struct plan *input, struct expr **exprs, uint32_t count)
{
    return plan_project_new(&help->arena, input, exprs, NULL, count);
}

static inline void
help_rows(struct help *help, const struct batch *batch)
{
    uint32_t n = batch->sel != NULL ? batch->sel_count : batch->count;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = batch->sel != NULL ? batch->sel[k] : k;
        if (help->text.len > 0)
            ox_text_addc(&help->text, ';');
        for (uint32_t c = 0; c < batch->ncols; c++) {
            if (c > 0)
                ox_text_addc(&help->text, ',');
            if (vector_null(&batch->cols[c], row))
                ox_text_addc(&help->text, '-');
            else
                vector_out_text(&batch->cols[c], row, &row_format_default, &help->text);
        }
    }
}

/* Runs to the end; the rows as text, or "error: CODE". */
static inline const char *
run_plan(struct help *help, struct plan *plan)
{
    struct plan_root root = {.plan = plan, .arena = &help->arena};
    struct exec_run *run;
    struct batch *batch;
    ox_text_clear(&help->text);
    ox_text_adds(&help->text, "");
    help->text.len = 0;
    help->spilled = 0;
    help->parks = 0;
    if (plan_root_finish(&root, &help->err) != OX_OK)
        return "error: plan";
    exec_run_new(&root, &help->config, &run, &help->err);
    enum exec_status status;
    while ((status = exec_run_next(run, 0, &batch)) == EXEC_ROWS || status == EXEC_PARK)
        if (status == EXEC_ROWS)
            help_rows(help, batch);
        else
            help->parks++;
    for (uint32_t i = 0; i < root.node_count; i++)
        help->spilled += exec_run_counters(run, i)->spill_bytes;
    if (status == EXEC_FAIL) {
        help->err = *exec_run_err(run);
        ox_text_clear(&help->text);
        ox_text_addf(&help->text, "error: %s", ox_code_facts(help->err.code)->name);
    }
    exec_run_free(run);
    return help->text.ptr != NULL ? help->text.ptr : "";
}

/* The same, but only how many rows and a checksum that ignores their order. */
static inline uint64_t
run_count(struct help *help, struct plan *plan, uint64_t *sum)
{
    struct plan_root root = {.plan = plan, .arena = &help->arena};
    struct exec_run *run;
    struct batch *batch;
    uint64_t count = 0;
    *sum = 0;
    help->spilled = 0;
    if (plan_root_finish(&root, &help->err) != OX_OK)
        return UINT64_MAX;
    exec_run_new(&root, &help->config, &run, &help->err);
    enum exec_status status;
    while ((status = exec_run_next(run, 0, &batch)) == EXEC_ROWS) {
        uint32_t n = batch->sel != NULL ? batch->sel_count : batch->count;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t row = batch->sel != NULL ? batch->sel[k] : k;
            uint64_t hash = 0;
            for (uint32_t c = 0; c < batch->ncols; c++) {
                struct datum value = vector_get(&batch->cols[c], row);
                hash = datum_hash(batch->cols[c].type, &value, hash);
            }
            *sum += hash;
        }
        count += n;
    }
    for (uint32_t i = 0; i < root.node_count; i++)
        help->spilled += exec_run_counters(run, i)->spill_bytes;
    if (status == EXEC_FAIL) {
        help->err = *exec_run_err(run);
        count = UINT64_MAX;
    }
    exec_run_free(run);
    return count;
}

#endif
