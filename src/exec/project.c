/* SPDX-License-Identifier: Apache-2.0
 *
 * PROJECT: one vector an expression; columns that pass through are shared. */
#include "exec/exec_int.h"

struct project {
    struct op op;
    struct batch out;
};

static bool
project_open(struct op *op)
{
    struct project *project = (struct project *)op;
    uint32_t count = op->plan->column_count;
    project->out.ncols = count;
    /* In the run's arena, once: an idle subscription is to be small. */
    if (project->out.cols == NULL)
        project->out.cols = ox_arena_alloc0(&op->run->arena, (count + 1) * sizeof(struct vector));
    return true;
}

static enum exec_status
project_next(struct op *op, struct batch **out)
{
    struct project *project = (struct project *)op;
    const struct plan_project *plan = (const struct plan_project *)op->plan;
    struct batch *in;
    enum exec_status status = op_next(op->input, &in);
    if (status == EXEC_PARK)
        ox_arena_fini(&op->scratch);
    if (status != EXEC_ROWS)
        return status;
    ox_arena_reset(&op->scratch);
    for (uint32_t i = 0; i < op->plan->column_count; i++)
        if (!op_eval(op, plan->exprs[i], in, &project->out.cols[i]))
            return EXEC_FAIL;
    project->out.count = in->count;
    project->out.sel = in->sel;
    project->out.sel_count = in->sel_count;
    *out = &project->out;
    return EXEC_ROWS;
}

const struct op_ops op_project = {
    .size = sizeof(struct project),
    .open = project_open,
    .next = project_next,
};
