/* SPDX-License-Identifier: Apache-2.0
 *
 * DISTINCT [ON]: the first row of each tuple passes at once, so that an endless
 * or limited input works. When the tuples outgrow the memory, rows that are not
 * known yet go to files by hash, and each file is then a smaller problem:
 * order among the rows of different tuples is lost from there on, which only
 * DISTINCT ON notices; it is given all the memory instead. */
#include "exec/keytable.h"
#include "exec/spill_parts.h"

#include "exec/exec_int.h"

enum { LEVEL_MAX = 4 };

struct distinct {
    struct op op;
    struct keytable table;
    struct type *types, *input_types;
    struct vector *keys;
    bool whole_row;
    struct spill_parts parts;
    struct batch out;
    uint32_t sel[VECTOR_MAX], ids[VECTOR_MAX];
    uint64_t hashes[VECTOR_MAX];
};

static bool
distinct_open(struct op *op)
{
    struct distinct *distinct = (struct distinct *)op;
    const struct plan_distinct *plan = (const struct plan_distinct *)op->plan;
    uint32_t count = plan->expr_count;
    distinct->whole_row = count == 0;
    distinct->input_types = plan_types(op->plan, &op->arena);
    if (distinct->whole_row) {
        distinct->types = distinct->input_types;
        count = op->plan->column_count;
    } else {
        distinct->types = ox_arena_alloc0(&op->arena, count * sizeof(struct type));
        for (uint32_t i = 0; i < count; i++)
            distinct->types[i] = plan->exprs[i]->type;
    }
    distinct->keys = ox_arena_alloc0(&op->arena, (count + 1) * sizeof(struct vector));
    keytable_init(&distinct->table, distinct->types, count);
    spill_parts_init(&distinct->parts, op, 1);
    return true;
}

static bool
spill_row(struct distinct *distinct, const struct batch *in, uint32_t row, uint64_t hash)
{
    struct spill_part *part =
        spill_parts_of(&distinct->parts, hash, 0, distinct->input_types, in->ncols, NULL, 0);
    return spill_add(&part->left, in->cols, NULL, row, 1);
}

/* Rows of `in` that are first of their tuple. */
static bool
firsts(struct distinct *distinct, const struct batch *in, uint32_t *kept)
{
    struct op *op = &distinct->op;
    const struct plan_distinct *plan = (const struct plan_distinct *)op->plan;
    const struct vector *keys = in->cols;
    if (!distinct->whole_row) {
        ox_arena_reset(&op->scratch);
        for (uint32_t i = 0; i < plan->expr_count; i++)
            if (!op_eval(op, plan->exprs[i], in, &distinct->keys[i]))
                return false;
        keys = distinct->keys;
    }
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    bool full = distinct->whole_row && distinct->parts.level < LEVEL_MAX &&
                keytable_bytes(&distinct->table) > op->run->config.work_mem;
    uint32_t known = keytable_count(&distinct->table);
    keytable_hash(&distinct->table, keys, in->sel, n, distinct->hashes);
    keytable_find(&distinct->table, keys, in->sel, n, distinct->hashes, !full, distinct->ids);
    *kept = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (distinct->ids[k] == KEYTABLE_NONE) {
            if (!spill_row(distinct, in, batch_row(in, k), distinct->hashes[k]))
                return false;
        } else if (distinct->ids[k] == known) {
            distinct->sel[(*kept)++] = batch_row(in, k);
            known++;
        }
    }
    op->counters->memory_max = OX_MAX(op->counters->memory_max, keytable_bytes(&distinct->table));
    return true;
}

static enum exec_status
distinct_next(struct op *op, struct batch **out)
{
    struct distinct *distinct = (struct distinct *)op;
    struct batch *in = NULL;
    for (;;) {
        enum exec_status status = distinct->parts.reading == NULL
                                      ? op_next(op->input, &in)
                                      : spill_parts_read(&distinct->parts, &in);
        if (status == EXEC_ROWS)
            break;
        if (status != EXEC_DONE)
            return status;
        bool more;
        if (!spill_parts_next(&distinct->parts, &more))
            return EXEC_FAIL;
        if (!more)
            return EXEC_DONE;
        keytable_fini(&distinct->table);
    }
    uint32_t kept;
    if (!firsts(distinct, in, &kept))
        return EXEC_FAIL;
    distinct->out = *in;
    distinct->out.sel = distinct->sel;
    distinct->out.sel_count = kept;
    *out = &distinct->out;
    return EXEC_ROWS;
}

static void
distinct_close(struct op *op)
{
    struct distinct *distinct = (struct distinct *)op;
    keytable_fini(&distinct->table);
    spill_parts_fini(&distinct->parts);
}

const struct op_ops op_distinct = {
    .size = sizeof(struct distinct),
    .open = distinct_open,
    .next = distinct_next,
    .close = distinct_close,
};
