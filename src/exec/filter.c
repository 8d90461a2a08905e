/* SPDX-License-Identifier: Apache-2.0
 *
 * FILTER: narrows the selection; no bytes move. */
#include "exec/exec_int.h"

struct filter {
    struct op op;
    struct batch out;
    uint32_t *sel;
};

static bool
filter_open(struct op *op)
{
    struct filter *filter = (struct filter *)op;
    filter->sel = NULL;
    return true;
}

static enum exec_status
filter_next(struct op *op, struct batch **out)
{
    struct filter *filter = (struct filter *)op;
    const struct plan_filter *plan = (const struct plan_filter *)op->plan;
    struct batch *in;
    enum exec_status status = op_next(op->input, &in);
    if (status == EXEC_PARK) {
        /* It may be long: keep nothing. */
        filter->sel = NULL;
        ox_arena_fini(&op->arena);
        ox_arena_fini(&op->scratch);
    }
    if (status != EXEC_ROWS)
        return status;
    if (filter->sel == NULL)
        filter->sel = ox_arena_alloc(&op->arena, VECTOR_MAX * sizeof(uint32_t));
    ox_arena_reset(&op->scratch);
    filter->out = *in;
    filter->out.sel = filter->sel;
    if (expr_select(&op->eval, plan->condition, in, filter->sel, &filter->out.sel_count,
            run_err(op->run)) != OX_OK)
        return EXEC_FAIL;
    *out = &filter->out;
    return EXEC_ROWS;
}

const struct op_ops op_filter = {
    .size = sizeof(struct filter),
    .open = filter_open,
    .next = filter_next,
};
