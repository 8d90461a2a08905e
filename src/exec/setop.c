/* SPDX-License-Identifier: Apache-2.0
 *
 * UNION, INTERSECT [ALL], EXCEPT [ALL]. Both sides are read into one table of
 * tuples with a count of each side; what is asked for follows from the counts.
 *
 *   LEFT --end--> RIGHT --end--> GIVE --all given, a part waits--> LEFT (of the part)
 *
 * When the tuples outgrow the memory the table takes no more of them until its
 * tuples are given: rows of others go to files by hash, left and right apart, and
 * each part is then a smaller problem. A right row that no left row can equal is
 * dropped, but for UNION.
 *
 * Invariants
 *  1. Rows of one tuple are all in the table or all in the same part: once full,
 *     the table stays so until the next part.
 *  2. A part of level n is of rows that agree in the first 4n bits of their hash. */
#include "exec/keytable.h"
#include "exec/spill_parts.h"

#include "exec/exec_int.h"

enum { LEVEL_MAX = 6 };

struct counts {
    uint64_t left, right;
};

struct setop {
    struct op op;
    struct keytable table;
    struct type *types;
    struct counts *counts; /* by id */
    uint32_t count_cap;
    enum { LEFT, RIGHT, GIVE } phase;
    bool full;
    struct spill_parts parts;
    uint32_t at;      /* id that comes next */
    uint64_t repeats; /* of it, still to be given */
    bool started;
    uint32_t ids[VECTOR_MAX];
    uint64_t hashes[VECTOR_MAX];
};

/* The table is empty: tuples of the inputs or of a part begin. */
static void
begin_round(struct setop *setop)
{
    keytable_fini(&setop->table);
    keytable_init(&setop->table, setop->types, setop->op.plan->column_count);
    ox_free(setop->counts);
    setop->counts = NULL;
    setop->count_cap = 0;
    setop->phase = LEFT;
    setop->full = setop->started = false;
    setop->at = 0;
    setop->repeats = 0;
}

static bool
setop_open(struct op *op)
{
    struct setop *setop = (struct setop *)op;
    setop->types = plan_types(op->plan, &op->arena);
    keytable_init(&setop->table, setop->types, op->plan->column_count);
    setop->counts = NULL;
    spill_parts_init(&setop->parts, op, 1);
    begin_round(setop);
    return true;
}

/* ---- rows into the table or into files ---- */

static bool
spill_row(struct setop *setop, const struct batch *in, uint32_t row, uint64_t hash, bool left)
{
    const struct plan_setop *plan = (const struct plan_setop *)setop->op.plan;
    if (!left && plan->kind != SETOP_UNION && spill_parts_find(&setop->parts, hash, 0) == NULL)
        return true;
    struct spill_part *part =
        spill_parts_of(&setop->parts, hash, 0, setop->types, in->ncols, setop->types, in->ncols);
    return spill_add(left ? &part->left : &part->right, in->cols, NULL, row, 1);
}

/* Whether the table has the memory it may have. False: run_err(). */
static bool
look_at_memory(struct setop *setop)
{
    size_t bytes = keytable_bytes(&setop->table) + setop->count_cap * sizeof(struct counts);
    size_t work_mem = OX_MAX(setop->op.run->config.work_mem, (size_t)65536);
    setop->op.counters->memory_max = OX_MAX(setop->op.counters->memory_max, bytes);
    if (setop->parts.level < LEVEL_MAX) {
        setop->full |= bytes > work_mem;
        return true;
    }
    if (bytes <= work_mem * 8)
        return true;
    ox_fail(run_err(setop->op.run), OX_WORK_MEM_EXCEEDED,
        "set operation needs more than 8 times \"work_mem\"");
    return false;
}

static bool
setop_take(struct setop *setop, const struct batch *in, bool left)
{
    const struct plan_setop *plan = (const struct plan_setop *)setop->op.plan;
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    bool wanted = left || plan->kind == SETOP_UNION;
    keytable_hash(&setop->table, in->cols, in->sel, n, setop->hashes);
    keytable_find(&setop->table, in->cols, in->sel, n, setop->hashes, wanted && !setop->full,
        setop->ids);
    uint32_t known = keytable_count(&setop->table);
    if (known > setop->count_cap) {
        uint32_t cap = OX_MAX(setop->count_cap * 2, known);
        setop->counts = ox_realloc(setop->counts, cap * sizeof(*setop->counts));
        memset(
            setop->counts + setop->count_cap, 0, (cap - setop->count_cap) * sizeof(*setop->counts));
        setop->count_cap = cap;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (setop->ids[k] == KEYTABLE_NONE) {
            if (setop->full && !spill_row(setop, in, batch_row(in, k), setop->hashes[k], left))
                return false;
        } else if (left) {
            setop->counts[setop->ids[k]].left++;
        } else {
            setop->counts[setop->ids[k]].right++;
        }
    }
    return look_at_memory(setop);
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

/* The next rows of this side: of an input, or of the part that is read. */
static enum exec_status
side_next(struct setop *setop, bool left, struct batch **in)
{
    return setop->parts.reading == NULL ? op_next(left ? setop->op.input : setop->op.right, in)
                                        : spill_parts_read(&setop->parts, in);
}

/* One side to its end. */
static enum exec_status
drain(struct setop *setop, bool left)
{
    for (;;) {
        struct batch *in;
        enum exec_status status = side_next(setop, left, &in);
        if (status == EXEC_DONE)
            return EXEC_ROWS;
        if (status != EXEC_ROWS)
            return status;
        if (!setop_take(setop, in, left))
            return EXEC_FAIL;
    }
}

/* Rows of the table's tuples; EXEC_DONE when all were given. */
static enum exec_status
give(struct setop *setop, struct batch **out)
{
    struct op *op = &setop->op;
    const struct plan_setop *plan = (const struct plan_setop *)op->plan;
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

static enum exec_status
setop_next(struct op *op, struct batch **out)
{
    struct setop *setop = (struct setop *)op;
    for (;;) {
        enum exec_status status;
        bool more;
        switch (setop->phase) {
        case LEFT:
            status = drain(setop, true);
            if (status != EXEC_ROWS)
                return status;
            if (setop->parts.reading != NULL)
                spill_parts_rewind(&setop->parts, false);
            setop->phase = RIGHT;
            break;
        case RIGHT:
            status = drain(setop, false);
            if (status != EXEC_ROWS)
                return status;
            setop->phase = GIVE;
            break;
        case GIVE:
            if (run_over_budget(op->run))
                return EXEC_PARK;
            status = give(setop, out);
            if (status != EXEC_DONE)
                return status;
            if (!spill_parts_next(&setop->parts, &more))
                return EXEC_FAIL;
            if (!more)
                return EXEC_DONE;
            begin_round(setop);
            break;
        }
    }
}

static void
setop_close(struct op *op)
{
    struct setop *setop = (struct setop *)op;
    keytable_fini(&setop->table);
    ox_free(setop->counts);
    setop->counts = NULL;
    spill_parts_fini(&setop->parts);
}

const struct op_ops op_setop = {
    .size = sizeof(struct setop),
    .open = setop_open,
    .next = setop_next,
    .close = setop_close,
};
