/* SPDX-License-Identifier: Apache-2.0
 *
 * FUNCTION_SCAN: rows of set-returning functions, side by side; a scalar
 * expression gives one. */
#include "exec/exec_int.h"

struct function_part {
    struct set_call call;
    uint32_t columns;
    bool ended;
};

struct function_scan {
    struct op op;
    struct function_part *parts; /* one a call; none for a scalar */
    bool ended, scalar;
    int64_t number; /* WITH ORDINALITY */
    struct loop_timer timer; /* of pg_sleep */
};

static const struct plan_function_scan *
plan_of(const struct function_scan *scan)
{
    return (const struct plan_function_scan *)scan->op.plan;
}

static bool
open_part(struct op *op, const struct expr *call, struct function_part *part)
{
    const char *names[SET_COLUMNS_MAX];
    struct type columns[SET_COLUMNS_MAX];
    struct datum *args = ox_arena_alloc0(&op->arena, (call->nargs + 1) * sizeof(*args));
    struct type *types = ox_arena_alloc0(&op->arena, (call->nargs + 1) * sizeof(*types));
    part->columns = set_func_columns(call, names, columns);
    if (((const struct plan_function_scan *)op->plan)->record)
        part->columns = op->plan->column_count -
                        (((const struct plan_function_scan *)op->plan)->ordinality ? 1 : 0);
    for (uint32_t i = 0; i < call->nargs; i++) {
        types[i] = call->args[i]->type;
        if (!op_eval_one(op, call->args[i], &args[i]))
            return false;
        args[i] = datum_copy(types[i], args[i], &op->arena);
        if (args[i].null && call->func->strict)
            part->ended = true;
    }
    part->call = (struct set_call){.eval = &op->eval,
        .func = call->func,
        .arena = &op->arena,
        .row_arena = &op->scratch,
        .types = types,
        .args = args,
        .nargs = call->nargs};
    return part->ended || call->func->set->open(&part->call, run_err(op->run)) == OX_OK;
}

static bool
function_open(struct op *op)
{
    struct function_scan *scan = (struct function_scan *)op;
    const struct plan_function_scan *plan = (const struct plan_function_scan *)op->plan;
    scan->ended = false;
    scan->number = 0;
    scan->scalar = plan->calls[0]->kind != EXPR_CALL || plan->calls[0]->func->kind != FUNC_SET;
    if (scan->scalar)
        return true;
    scan->parts = ox_arena_alloc0(&op->arena, plan->call_count * sizeof(*scan->parts));
    for (uint32_t i = 0; i < plan->call_count; i++)
        if (!open_part(op, plan->calls[i], &scan->parts[i]))
            return false;
    return true;
}

static void
put_value(struct op *op, struct batch *batch, uint32_t column, struct datum value)
{
    if (value.null)
        vector_nulls(&batch->cols[column], VECTOR_MAX, &op->scratch);
    vector_set(&batch->cols[column], batch->count, value);
}

/* Of a record its fields, which must be what AS t(a int, ...) says. */
static bool
take_fields(struct op *op, struct datum *row)
{
    const struct plan_function_scan *plan = (const struct plan_function_scan *)op->plan;
    uint32_t own = op->plan->column_count - (plan->ordinality ? 1 : 0);
    struct record_view view;
    if (!plan->record)
        return true;
    if (row[0].null) {
        for (uint32_t i = 0; i < own; i++)
            row[i] = DATUM_NULL;
        return true;
    }
    record_view(row[0].s, &op->scratch, &view);
    uint32_t i = 0;
    while (i < own && i < view.count && view.types[i].id == op->plan->columns[i].type.id &&
           view.types[i].array == op->plan->columns[i].type.array) {
        row[i] = view.values[i];
        i++;
    }
    if (i == own && i == view.count)
        return true;
    ox_fail(run_err(op->run), OX_DATATYPE_MISMATCH,
        "function return row and query-specified return row do not match");
    if (view.count != own)
        ox_detail(run_err(op->run), "Returned row contains %u attributes, but query expects %u.",
            view.count, own);
    else
        ox_detail(run_err(op->run), "Returned type %s at ordinal position %u, but query expects %s.",
            type_facts(view.types[i])->name, i + 1, type_facts(op->plan->columns[i].type)->name);
    return false;
}

/* The next row of every part that has one; no row when none has. */
static bool
put_row(struct op *op, struct batch *batch)
{
    struct function_scan *scan = (struct function_scan *)op;
    const struct plan_function_scan *plan = (const struct plan_function_scan *)op->plan;
    uint32_t column = 0;
    scan->ended = true;
    for (uint32_t i = 0; i < plan->call_count; i++) {
        struct function_part *part = &scan->parts[i];
        struct datum row[SET_COLUMNS_MAX];
        memset(row, 0, sizeof(row));
        if (!part->ended &&
            part->call.func->set->next(&part->call, row, &part->ended, run_err(op->run)) != OX_OK)
            return false;
        scan->ended &= part->ended;
        if (!part->ended && !take_fields(op, row))
            return false;
        for (uint32_t j = 0; j < part->columns; j++)
            put_value(op, batch, column++, part->ended ? DATUM_NULL : row[j]);
    }
    return true;
}

static void
count_row(struct op *op, struct batch *batch)
{
    struct function_scan *scan = (struct function_scan *)op;
    scan->number++;
    if (((const struct plan_function_scan *)op->plan)->ordinality)
        batch->cols[batch->ncols - 1].i[batch->count] = scan->number;
    batch->count++;
}

static void
wait_is_over(struct loop_timer *timer)
{
    run_wake(ox_container_of(timer, struct function_scan, timer)->op.run);
}

/* EXEC_ROWS: no part has to wait. */
static enum exec_status
wait_for_parts(struct function_scan *scan)
{
    struct exec_run *run = scan->op.run;
    uint64_t until = 0, now;
    for (uint32_t i = 0; i < plan_of(scan)->call_count; i++)
        until = OX_MAX(until, scan->parts[i].call.wait_until_ns);
    if (until == 0 || (now = run_now_ns(run)) >= until)
        return EXEC_ROWS;
    if (run->sync_depth > 0 || run->config.loop == NULL)
        return op_fail(
            &scan->op, OX_FEATURE_NOT_SUPPORTED, "pg_sleep cannot be run for each row of a query");
    loop_timer_start(run->config.loop, &scan->timer, until - now, wait_is_over);
    return EXEC_PARK;
}

static void
function_close(struct op *op)
{
    loop_timer_stop(&((struct function_scan *)op)->timer);
}

static enum exec_status
function_next(struct op *op, struct batch **out)
{
    struct function_scan *scan = (struct function_scan *)op;
    const struct plan_function_scan *plan = (const struct plan_function_scan *)op->plan;
    if (scan->ended)
        return EXEC_DONE;
    if (!scan->scalar) {
        enum exec_status status = wait_for_parts(scan);
        if (status != EXEC_ROWS)
            return status;
    }
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, op->plan->column_count);
    uint32_t room = scan->scalar ? 1 : VECTOR_MAX;
    for (uint32_t i = 0; i < batch->ncols; i++)
        vector_init(&batch->cols[i], op->plan->columns[i].type, room, &op->scratch);
    if (scan->scalar) {
        struct datum row[SET_COLUMNS_MAX];
        if (!op_eval_one(op, plan->calls[0], &row[0]) || !take_fields(op, row))
            return EXEC_FAIL;
        uint32_t columns = plan->record ? batch->ncols - (plan->ordinality ? 1 : 0) : 1;
        for (uint32_t i = 0; i < columns; i++)
            put_value(op, batch, i, row[i]);
        count_row(op, batch);
        scan->ended = true;
    }
    while (!scan->ended && batch->count < VECTOR_MAX) {
        if (!put_row(op, batch))
            return EXEC_FAIL;
        if (!scan->ended)
            count_row(op, batch);
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
    .close = function_close,
};
