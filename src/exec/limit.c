/* SPDX-License-Identifier: Apache-2.0
 *
 * LIMIT and OFFSET. Stops pulling as soon as it has enough. */
#include "exec/exec_int.h"

struct limit {
    struct op op;
    int64_t skip, left; /* left -1: all */
    struct batch out;
    uint32_t *sel;
};

static bool
limit_open(struct op *op)
{
    struct limit *limit = (struct limit *)op;
    const struct plan_limit *plan = (const struct plan_limit *)op->plan;
    if (!op_eval_count(op, plan->limit, -1, &limit->left) ||
        !op_eval_count(op, plan->offset, 0, &limit->skip))
        return false;
    struct datum value;
    if (limit->left < 0 && plan->limit != NULL) {
        if (!op_eval_one(op, plan->limit, &value))
            return false;
        if (!value.null) {
            ox_fail_plain(run_err(op->run), OX_INVALID_ROW_COUNT_IN_LIMIT);
            return false;
        }
    }
    if (limit->skip < 0) {
        ox_fail_plain(run_err(op->run), OX_INVALID_ROW_COUNT_IN_OFFSET);
        return false;
    }
    limit->sel = NULL;
    return true;
}

static enum exec_status
limit_next(struct op *op, struct batch **out)
{
    struct limit *limit = (struct limit *)op;
    for (;;) {
        if (limit->left == 0)
            return EXEC_DONE;
        struct batch *in;
        enum exec_status status = op_next(op->input, &in);
        if (status != EXEC_ROWS)
            return status;
        uint32_t count = in->sel != NULL ? in->sel_count : in->count;
        if (limit->skip >= count) {
            limit->skip -= count;
            continue;
        }
        uint32_t from = (uint32_t)limit->skip, take = count - from;
        if (limit->left >= 0 && take > limit->left)
            take = (uint32_t)limit->left;
        limit->skip = 0;
        if (limit->left > 0)
            limit->left -= take;
        if (take == count) {
            *out = in;
            return EXEC_ROWS;
        }
        if (limit->sel == NULL)
            limit->sel = ox_arena_alloc(&op->arena, VECTOR_MAX * sizeof(uint32_t));
        for (uint32_t k = 0; k < take; k++)
            limit->sel[k] = batch_row(in, from + k);
        limit->out = *in;
        limit->out.sel = limit->sel;
        limit->out.sel_count = take;
        *out = &limit->out;
        return EXEC_ROWS;
    }
}

const struct op_ops op_limit = {
    .size = sizeof(struct limit),
    .open = limit_open,
    .next = limit_next,
};
