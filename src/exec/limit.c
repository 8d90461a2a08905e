/* SPDX-License-Identifier: Apache-2.0
 *
 * LIMIT and OFFSET. Stops pulling as soon as it has enough; WITH TIES that is
 * when a row differs from the last. */
#include "exec/exec_int.h"
#include "exec/sorter.h"

struct limit {
    struct op op;
    int64_t skip, left; /* left -1: all */
    struct batch out;
    uint32_t *sel;
    struct vector *last; /* WITH TIES: columns of the last row; NULL until it is known */
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
    limit->last = NULL;
    return true;
}

/* The row after which only its equals come. */
static void
keep_last(struct limit *limit, const struct batch *in, uint32_t row)
{
    const struct plan_limit *plan = (const struct plan_limit *)limit->op.plan;
    struct arena *arena = &limit->op.arena;
    limit->last = ox_arena_array(arena, struct vector, plan->tie_count);
    for (uint32_t i = 0; i < plan->tie_count; i++) {
        const struct vector *col = &in->cols[plan->ties[i]];
        struct datum value = vector_get(col, row);
        if (!value.null)
            value = datum_copy(col->type, value, arena);
        vector_constant(&limit->last[i], col->type, value, arena);
    }
}

/* How many rows of in, from one on, are equal to the last. */
static uint32_t
count_ties(const struct limit *limit, const struct batch *in, uint32_t from, uint32_t count)
{
    const struct plan_limit *plan = (const struct plan_limit *)limit->op.plan;
    uint32_t k = from;
    for (; k < count; k++)
        for (uint32_t i = 0; i < plan->tie_count; i++)
            if (sorter_compare(limit->last[i].type, false, false, &limit->last[i], 0,
                    &in->cols[plan->ties[i]], batch_row(in, k)) != 0)
                return k - from;
    return k - from;
}

static enum exec_status
limit_next(struct op *op, struct batch **out)
{
    struct limit *limit = (struct limit *)op;
    for (;;) {
        if (limit->left == 0 && limit->last == NULL)
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
        if (limit->left > 0) {
            limit->left -= take;
            if (limit->left == 0 && ((const struct plan_limit *)op->plan)->tie_count > 0)
                keep_last(limit, in, batch_row(in, from + take - 1));
        }
        if (limit->left == 0 && limit->last != NULL) {
            take += count_ties(limit, in, from + take, count);
            if (from + take < count)
                limit->last = NULL; /* that was all */
            if (take == 0)
                return EXEC_DONE;
        }
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
