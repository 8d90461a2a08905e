/* SPDX-License-Identifier: Apache-2.0
 *
 * VALUES: rows of expressions; without columns, so many empty rows. */
#include "exec/exec_int.h"

struct values {
    struct op op;
    uint32_t at; /* row that comes next */
};

static bool
values_open(struct op *op)
{
    ((struct values *)op)->at = 0;
    return true;
}

static enum exec_status
values_next(struct op *op, struct batch **out)
{
    struct values *values = (struct values *)op;
    const struct plan_values *plan = (const struct plan_values *)op->plan;
    uint32_t ncols = op->plan->column_count;
    uint32_t n = OX_MIN(plan->row_count - values->at, (uint32_t)VECTOR_MAX);
    if (n == 0)
        return EXEC_DONE;
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, ncols);
    for (uint32_t i = 0; i < ncols; i++)
        vector_init(&batch->cols[i], op->plan->columns[i].type, n, &op->scratch);
    for (uint32_t r = 0; r < n; r++) {
        struct expr *const *row = plan->exprs + (size_t)(values->at + r) * ncols;
        for (uint32_t i = 0; i < ncols; i++) {
            struct datum value;
            if (!op_eval_one(op, row[i], &value))
                return EXEC_FAIL;
            if (value.null)
                vector_nulls(&batch->cols[i], n, &op->scratch);
            vector_set(&batch->cols[i], r, value);
        }
    }
    batch->count = batch->sel_count = n;
    values->at += n;
    *out = batch;
    return EXEC_ROWS;
}

const struct op_ops op_values = {
    .size = sizeof(struct values),
    .leaf = true,
    .open = values_open,
    .next = values_next,
};
