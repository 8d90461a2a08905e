/* SPDX-License-Identifier: Apache-2.0
 *
 * FUNCTION_SCAN: rows of a set-returning function; a scalar expression gives one. */
#include "exec/exec_int.h"

struct function_scan {
    struct op op;
    struct set_call call;
    struct datum *args;
    struct type *types;
    bool ended, scalar;
    int64_t number; /* WITH ORDINALITY */
};

static bool
function_open(struct op *op)
{
    struct function_scan *scan = (struct function_scan *)op;
    const struct expr *call = ((const struct plan_function_scan *)op->plan)->call;
    scan->ended = false;
    scan->number = 0;
    scan->scalar = call->kind != EXPR_CALL || call->func->kind != FUNC_SET;
    if (scan->scalar)
        return true;
    scan->args = ox_arena_alloc0(&op->arena, (call->nargs + 1) * sizeof(*scan->args));
    scan->types = ox_arena_alloc0(&op->arena, (call->nargs + 1) * sizeof(*scan->types));
    for (uint32_t i = 0; i < call->nargs; i++) {
        scan->types[i] = call->args[i]->type;
        if (!op_eval_one(op, call->args[i], &scan->args[i]))
            return false;
        scan->args[i] = datum_copy(scan->types[i], scan->args[i], &op->arena);
        if (scan->args[i].null && call->func->strict)
            scan->ended = true;
    }
    scan->call = (struct set_call){.eval = &op->eval,
        .func = call->func,
        .arena = &op->arena,
        .row_arena = &op->scratch,
        .types = scan->types,
        .args = scan->args,
        .nargs = call->nargs};
    return scan->ended || call->func->set->open(&scan->call, &op->run->err) == OX_OK;
}

/* One row into the columns. */
static void
put_row(struct op *op, struct batch *batch, const struct datum *row)
{
    struct function_scan *scan = (struct function_scan *)op;
    const struct plan_function_scan *plan = (const struct plan_function_scan *)op->plan;
    uint32_t own = batch->ncols - (plan->ordinality ? 1 : 0);
    for (uint32_t i = 0; i < own; i++) {
        if (row[i].null)
            vector_nulls(&batch->cols[i], VECTOR_MAX, &op->scratch);
        vector_set(&batch->cols[i], batch->count, row[i]);
    }
    scan->number++;
    if (plan->ordinality)
        batch->cols[own].i[batch->count] = scan->number;
    batch->count++;
}

static enum exec_status
function_next(struct op *op, struct batch **out)
{
    struct function_scan *scan = (struct function_scan *)op;
    const struct plan_function_scan *plan = (const struct plan_function_scan *)op->plan;
    if (scan->ended)
        return EXEC_DONE;
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, op->plan->column_count);
    uint32_t room = scan->scalar ? 1 : VECTOR_MAX;
    for (uint32_t i = 0; i < batch->ncols; i++)
        vector_init(&batch->cols[i], op->plan->columns[i].type, room, &op->scratch);
    if (scan->scalar) {
        struct datum value;
        if (!op_eval_one(op, plan->call, &value))
            return EXEC_FAIL;
        put_row(op, batch, &value);
        scan->ended = true;
    }
    while (!scan->ended && batch->count < VECTOR_MAX) {
        struct datum row[SET_COLUMNS_MAX];
        memset(row, 0, sizeof(row));
        if (plan->call->func->set->next(&scan->call, row, &scan->ended, &op->run->err) != OX_OK)
            return EXEC_FAIL;
        if (!scan->ended)
            put_row(op, batch, row);
    }
    batch->sel_count = batch->count;
    *out = batch;
    return EXEC_ROWS;
}

const struct op_ops op_function_scan = {
    .size = sizeof(struct function_scan),
    .leaf = true,
    .open = function_open,
    .next = function_next,
};
