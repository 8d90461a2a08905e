/* SPDX-License-Identifier: Apache-2.0
 *
 * UNION, INTERSECT [ALL], EXCEPT [ALL]. Both sides are read into one table of
 * tuples with a count of each side; what is asked for follows from the counts. */
#include "exec/keytable.h"

#include "exec/exec_int.h"

struct counts {
    uint64_t left, right;
};

struct setop {
    struct op op;
    struct keytable table;
    struct type *types;
    struct counts *counts; /* by id */
    uint32_t count_cap;
    bool left_done, right_done;
    uint32_t at;      /* id that comes next */
    uint64_t repeats; /* of it, still to be given */
    bool started;
    uint32_t ids[VECTOR_MAX];
    uint64_t hashes[VECTOR_MAX];
};

static bool
setop_open(struct op *op)
{
    struct setop *setop = (struct setop *)op;
    setop->types = plan_types(op->plan, &op->arena);
    keytable_init(&setop->table, setop->types, op->plan->column_count);
    setop->counts = NULL;
    setop->count_cap = 0;
    setop->left_done = setop->right_done = setop->started = false;
    setop->at = 0;
    setop->repeats = 0;
    return true;
}

static bool
setop_take(struct setop *setop, const struct batch *in, bool left)
{
    const struct plan_setop *plan = (const struct plan_setop *)setop->op.plan;
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    bool add = left || plan->kind == SETOP_UNION;
    keytable_hash(&setop->table, in->cols, in->sel, n, setop->hashes);
    keytable_find(&setop->table, in->cols, in->sel, n, setop->hashes, add, setop->ids);
    uint32_t known = keytable_count(&setop->table);
    if (known > setop->count_cap) {
        uint32_t cap = OX_MAX(setop->count_cap * 2, known);
        setop->counts = ox_realloc(setop->counts, cap * sizeof(*setop->counts));
        memset(
            setop->counts + setop->count_cap, 0, (cap - setop->count_cap) * sizeof(*setop->counts));
        setop->count_cap = cap;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (setop->ids[k] == KEYTABLE_NONE)
            continue;
        if (left)
            setop->counts[setop->ids[k]].left++;
        else
            setop->counts[setop->ids[k]].right++;
    }
    size_t bytes = keytable_bytes(&setop->table) + setop->count_cap * sizeof(struct counts);
    setop->op.counters->memory_max = OX_MAX(setop->op.counters->memory_max, bytes);
    if (bytes > OX_MAX(setop->op.run->config.work_mem, (size_t)65536) * 8) {
        ox_fail(run_err(setop->op.run), OX_WORK_MEM_EXCEEDED,
            "set operation needs more than 8 times \"work_mem\"");
        return false;
    }
    return true;
}

static uint64_t
times(enum setop_kind kind, const struct counts *counts)
{
    switch (kind) {
    case SETOP_UNION:
        return 1;
    case SETOP_INTERSECT:
        return counts->left > 0 && counts->right > 0;
    case SETOP_INTERSECT_ALL:
        return OX_MIN(counts->left, counts->right);
    case SETOP_EXCEPT:
        return counts->left > 0 && counts->right == 0;
    case SETOP_EXCEPT_ALL:
        return counts->left > counts->right ? counts->left - counts->right : 0;
    }
    return 0;
}

static enum exec_status
drain(struct setop *setop, struct op *input, bool left, bool *done)
{
    while (!*done) {
        struct batch *in;
        enum exec_status status = op_next(input, &in);
        if (status == EXEC_DONE)
            *done = true;
        else if (status != EXEC_ROWS)
            return status;
        else if (!setop_take(setop, in, left))
            return EXEC_FAIL;
    }
    return EXEC_ROWS;
}

static enum exec_status
setop_next(struct op *op, struct batch **out)
{
    struct setop *setop = (struct setop *)op;
    const struct plan_setop *plan = (const struct plan_setop *)op->plan;
    enum exec_status status = drain(setop, op->input, true, &setop->left_done);
    if (status == EXEC_ROWS)
        status = drain(setop, op->right, false, &setop->right_done);
    if (status != EXEC_ROWS)
        return status;
    if (run_over_budget(op->run))
        return EXEC_PARK;
    uint32_t refs[VECTOR_MAX], n = 0, total = keytable_count(&setop->table);
    while (n < VECTOR_MAX && setop->at < total) {
        if (!setop->started) {
            setop->repeats = times(plan->kind, &setop->counts[setop->at]);
            setop->started = true;
        }
        if (setop->repeats == 0) {
            setop->at++;
            setop->started = false;
            continue;
        }
        setop->repeats--;
        refs[n++] = setop->at;
    }
    if (n == 0)
        return EXEC_DONE;
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, op->plan->column_count);
    for (uint32_t i = 0; i < batch->ncols; i++)
        rows_gather(&setop->table.rows, i, refs, n, &batch->cols[i], &op->scratch);
    batch->count = batch->sel_count = n;
    *out = batch;
    return EXEC_ROWS;
}

static void
setop_close(struct op *op)
{
    struct setop *setop = (struct setop *)op;
    keytable_fini(&setop->table);
    ox_free(setop->counts);
    setop->counts = NULL;
}

const struct op_ops op_setop = {
    .size = sizeof(struct setop),
    .open = setop_open,
    .next = setop_next,
    .close = setop_close,
};
