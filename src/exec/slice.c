/* SPDX-License-Identifier: Apache-2.0
 *
 * SLICE: its input's rows one by one. It has no plan node: op_new() puts it
 * below an operator whose expressions run a subquery for each row. Such an
 * expression cannot park, so the tick budget is looked at between rows. */
#include "exec/exec_int.h"

struct slice {
    struct op op;
    struct batch *in;
    uint32_t at, row;
    struct batch out;
    struct exec_counters unseen;
};

static bool
slice_open(struct op *op)
{
    ((struct slice *)op)->in = NULL;
    return true;
}

static enum exec_status
slice_next(struct op *op, struct batch **out)
{
    struct slice *slice = (struct slice *)op;
    if (slice->in == NULL) {
        struct batch *in;
        enum exec_status status = op_next(op->input, &in);
        if (status != EXEC_ROWS)
            return status;
        slice->in = in;
        slice->at = 0;
    }
    struct batch *in = slice->in;
    slice->row = batch_row(in, slice->at++);
    slice->out = *in;
    slice->out.sel = &slice->row;
    slice->out.sel_count = 1;
    if (slice->at == (in->sel != NULL ? in->sel_count : in->count))
        slice->in = NULL;
    *out = &slice->out;
    return EXEC_ROWS;
}

static const struct op_ops op_slice = {
    .size = sizeof(struct slice),
    .leaf = true,
    .open = slice_open,
    .next = slice_next,
};

struct op *
slice_new(struct exec_run *run, struct op *input)
{
    static const struct plan plan = {.kind = PLAN_KIND_COUNT};
    struct slice *slice = ox_arena_new(&run->arena, struct slice);
    op_init(&slice->op, run, &op_slice, &plan, input->scope, &slice->unseen);
    slice->op.input = input;
    return &slice->op;
}

bool
slice_holds(const struct op *op)
{
    return op->ops == &op_slice && ((const struct slice *)op)->in != NULL;
}
