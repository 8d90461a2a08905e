/* SPDX-License-Identifier: Apache-2.0
 *
 * APPEND: UNION ALL, one input after the other. */
#include "exec/exec_int.h"

struct append {
    struct op op;
    struct op **inputs;
    uint32_t at;
};

static bool
append_open(struct op *op)
{
    struct append *append = (struct append *)op;
    const struct plan_append *plan = (const struct plan_append *)op->plan;
    if (append->inputs == NULL) {
        append->inputs = ox_arena_alloc0(&op->run->arena, plan->input_count * sizeof(struct op *));
        for (uint32_t i = 0; i < plan->input_count; i++)
            append->inputs[i] = op_new(op->run, plan->inputs[i], op->scope);
    }
    append->at = 0;
    return true;
}

static enum exec_status
append_next(struct op *op, struct batch **out)
{
    struct append *append = (struct append *)op;
    const struct plan_append *plan = (const struct plan_append *)op->plan;
    while (append->at < plan->input_count) {
        struct op *input = append->inputs[append->at];
        if (!input->opened && !op_open(input))
            return EXEC_FAIL;
        enum exec_status status = op_next(input, out);
        if (status != EXEC_DONE)
            return status;
        op_close(input);
        append->at++;
    }
    return EXEC_DONE;
}

static void
append_close(struct op *op)
{
    struct append *append = (struct append *)op;
    const struct plan_append *plan = (const struct plan_append *)op->plan;
    for (uint32_t i = 0; append->inputs != NULL && i < plan->input_count; i++)
        op_close(append->inputs[i]);
}

const struct op_ops op_append = {
    .size = sizeof(struct append),
    .own_inputs = true,
    .open = append_open,
    .next = append_next,
    .close = append_close,
};
