/* SPDX-License-Identifier: Apache-2.0
 *
 * CTE_SCAN: rows of a WITH query, computed once, by whichever scan wants more
 * than is kept, as they come: a LIMIT above ends an endless recursion.
 * Once rows went to a file the rest is computed at once. A CTE whose definition looks at an
 * outer query is computed anew by each scan, each time it is opened. */
#include "exec/exec_int.h"
#include "exec/store.h"

struct cte_state {
    struct op *op; /* of the definition; NULL before the first scan */
    struct type *types;
    struct store store;
    bool complete;
};

struct cte_scan {
    struct op op;
    struct cte_state *state;
    struct cte_state own; /* of a correlated definition */
    struct store_reader reader;
    uint32_t row_at; /* of the chunk in memory that the reader is at: given so far */
    struct batch out;
    uint32_t sel[VECTOR_MAX];
};

struct cte_state *
cte_states_new(struct exec_run *run)
{
    return ox_arena_alloc0(&run->arena, (run->root->cte_count + 1) * sizeof(struct cte_state));
}

static void
state_fini(struct cte_state *state)
{
    if (state->op == NULL)
        return;
    op_close(state->op);
    store_fini(&state->store);
    state->complete = false;
}

void
cte_states_fini(struct exec_run *run)
{
    for (uint32_t i = 0; run->ctes != NULL && i < run->root->cte_count; i++)
        state_fini(&run->ctes[i]);
}

static bool
cte_open(struct op *op)
{
    struct cte_scan *scan = (struct cte_scan *)op;
    const struct plan_cte_scan *plan = (const struct plan_cte_scan *)op->plan;
    const struct plan *definition = plan->cte->definition;
    struct cte_state *state = plan->cte->correlated ? &scan->own : &op->run->ctes[plan->cte->index];
    scan->state = state;
    if (state->op == NULL) {
        struct exec_scope *scope = op->scope;
        for (uint32_t i = 0; i < plan->level && scope != NULL; i++)
            scope = scope->outer;
        state->op = op_new(op->run, definition, scope);
        state->types = plan_types(definition, &op->run->arena);
        store_init(&state->store, op->run, state->types, definition->column_count,
            op->run->config.work_mem);
    }
    store_reader_init(&scan->reader, &state->store);
    scan->row_at = 0;
    return true;
}

static enum exec_status
finish(struct op *op, struct cte_state *state)
{
    if (!store_end(&state->store))
        return EXEC_FAIL;
    op->counters->memory_max = state->store.rows.bytes;
    op->counters->spill_bytes += state->store.spill.len;
    op_close(state->op);
    state->complete = true;
    return EXEC_ROWS;
}

/* Are there rows in memory that the scan has not given? */
static bool
has_unseen(struct cte_scan *scan)
{
    const struct rows *rows = &scan->state->store.rows;
    for (; scan->reader.chunk_at < rows->chunk_count; scan->reader.chunk_at++, scan->row_at = 0) {
        if (scan->row_at < rows->chunks[scan->reader.chunk_at]->batch.count)
            return true;
        if (!scan->state->complete && scan->reader.chunk_at + 1 == rows->chunk_count)
            return false; /* it may still grow */
    }
    return false;
}

/* Until there is a row that the scan has not given, or no more. */
static enum exec_status
compute(struct op *op, struct cte_state *state)
{
    if (!state->op->opened && !op_open(state->op))
        return EXEC_FAIL;
    while (state->store.spilling || !has_unseen((struct cte_scan *)op)) {
        struct batch *in;
        enum exec_status status = op_next(state->op, &in);
        if (status == EXEC_DONE)
            return finish(op, state);
        if (status != EXEC_ROWS)
            return status;
        if (!store_add(&state->store, in))
            return EXEC_FAIL;
    }
    return EXEC_ROWS;
}

static void
give_unseen(struct cte_scan *scan)
{
    scan->out = scan->state->store.rows.chunks[scan->reader.chunk_at]->batch;
    if (scan->row_at > 0) {
        uint32_t n = 0;
        for (uint32_t row = scan->row_at; row < scan->out.count; row++)
            scan->sel[n++] = row;
        scan->out.sel = scan->sel;
        scan->out.sel_count = n;
    }
    scan->row_at = scan->out.count;
}

static enum exec_status
cte_next(struct op *op, struct batch **out)
{
    struct cte_scan *scan = (struct cte_scan *)op;
    if (!scan->state->complete) {
        enum exec_status status = compute(op, scan->state);
        if (status != EXEC_ROWS)
            return status;
    }
    *out = &scan->out;
    if (has_unseen(scan)) {
        give_unseen(scan);
        return EXEC_ROWS;
    }
    const struct batch *chunk;
    if (!store_read(&scan->reader, &chunk))
        return EXEC_FAIL;
    if (chunk == NULL)
        return EXEC_DONE;
    scan->out = *chunk;
    return EXEC_ROWS;
}

static void
cte_close(struct op *op)
{
    struct cte_scan *scan = (struct cte_scan *)op;
    store_reader_fini(&scan->reader);
    state_fini(&scan->own);
}

const struct op_ops op_cte_scan = {
    .size = sizeof(struct cte_scan),
    .leaf = true,
    .open = cte_open,
    .next = cte_next,
    .close = cte_close,
};
