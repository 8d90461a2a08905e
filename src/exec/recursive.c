/* SPDX-License-Identifier: Apache-2.0
 *
 * RECURSIVE: WITH RECURSIVE, as PostgreSQL runs it. Rows leave as they are
 * found, so that a LIMIT ends an endless recursion.
 *
 *   work := rows of the non-recursive term; give them
 *   while work is not empty:
 *       next := recursive term over work (PLAN_WORK_SCAN); give them
 *       work := next
 *
 * Both go to files beyond work_mem. UNION drops rows that were given before, and
 * keeps them all in memory for that: eight times work_mem at most. */
#include "exec/exec_int.h"
#include "exec/keytable.h"
#include "exec/store.h"

struct recursive {
    struct op op;
    struct type *types;
    struct store work, next;
    struct keytable seen;
    bool base_done;
    struct batch out;
    uint32_t sel[VECTOR_MAX], ids[VECTOR_MAX];
    uint64_t hashes[VECTOR_MAX];
};

struct work_scan {
    struct op op;
    struct store_reader reader;
    bool reading;
    struct batch out;
};

static struct str
key_of(const struct plan_recursive *const *plan)
{
    return ox_str_n(plan, sizeof(*plan));
}

static bool
recursive_open(struct op *op)
{
    struct recursive *recursive = (struct recursive *)op;
    const struct plan_recursive *plan = (const struct plan_recursive *)op->plan;
    if (op->input == NULL) {
        op->input = op_new(op->run, op->plan->input, op->scope);
        op->right = op_new(op->run, op->plan->right, op->scope);
    }
    recursive->types = plan_types(op->plan, &op->arena);
    size_t memory = OX_MAX(op->run->config.work_mem, (size_t)65536);
    store_init(&recursive->work, op->run, recursive->types, op->plan->column_count, memory);
    store_init(&recursive->next, op->run, recursive->types, op->plan->column_count, memory);
    keytable_init(&recursive->seen, recursive->types, op->plan->column_count);
    recursive->base_done = false;
    ox_map_put(&op->run->work_tables, key_of(&plan), &recursive->work);
    return op_open(op->input);
}

/* Keep what is new of `in` for the next round and give it. */
static bool
take(struct recursive *recursive, struct batch *in)
{
    struct op *op = &recursive->op;
    const struct plan_recursive *plan = (const struct plan_recursive *)op->plan;
    recursive->out = *in;
    if (plan->distinct) {
        uint32_t n = in->sel != NULL ? in->sel_count : in->count, kept = 0;
        uint32_t known = keytable_count(&recursive->seen);
        keytable_hash(&recursive->seen, in->cols, in->sel, n, recursive->hashes);
        keytable_find(
            &recursive->seen, in->cols, in->sel, n, recursive->hashes, true, recursive->ids);
        for (uint32_t k = 0; k < n; k++)
            if (recursive->ids[k] == known) {
                recursive->sel[kept++] = batch_row(in, k);
                known++;
            }
        recursive->out.sel = recursive->sel;
        recursive->out.sel_count = kept;
    }
    if (!store_add(&recursive->next, &recursive->out))
        return false;
    size_t seen = keytable_bytes(&recursive->seen);
    size_t bytes = recursive->next.rows.bytes + recursive->work.rows.bytes + seen;
    op->counters->memory_max = OX_MAX(op->counters->memory_max, bytes);
    if (seen > OX_MAX(op->run->config.work_mem, (size_t)65536) * 8) {
        ox_fail(run_err(op->run), OX_WORK_MEM_EXCEEDED,
            "recursive query needs more than 8 times \"work_mem\"");
        return false;
    }
    return true;
}

static enum exec_status
recursive_next(struct op *op, struct batch **out)
{
    struct recursive *recursive = (struct recursive *)op;
    for (;;) {
        struct op *term = recursive->base_done ? op->right : op->input;
        if (!term->opened && !op_open(term))
            return EXEC_FAIL;
        struct batch *in;
        enum exec_status status = op_next(term, &in);
        if (status == EXEC_ROWS) {
            *out = &recursive->out;
            return take(recursive, in) ? EXEC_ROWS : EXEC_FAIL;
        }
        if (status != EXEC_DONE)
            return status;
        op_close(term);
        recursive->base_done = true;
        if (!store_end(&recursive->next))
            return EXEC_FAIL;
        op->counters->spill_bytes += recursive->next.spill.len;
        store_fini(&recursive->work);
        recursive->work = recursive->next;
        store_init(&recursive->next, op->run, recursive->types, op->plan->column_count,
            recursive->work.memory);
        if (store_count(&recursive->work) == 0)
            return EXEC_DONE;
    }
}

static void
recursive_close(struct op *op)
{
    struct recursive *recursive = (struct recursive *)op;
    op_close(op->input);
    op_close(op->right);
    store_fini(&recursive->work);
    store_fini(&recursive->next);
    keytable_fini(&recursive->seen);
}

const struct op_ops op_recursive = {
    .size = sizeof(struct recursive),
    .own_inputs = true,
    .open = recursive_open,
    .next = recursive_next,
    .close = recursive_close,
};

static bool
work_scan_open(struct op *op)
{
    ((struct work_scan *)op)->reading = false;
    return true;
}

static enum exec_status
work_scan_next(struct op *op, struct batch **out)
{
    struct work_scan *scan = (struct work_scan *)op;
    const struct plan_work_scan *plan = (const struct plan_work_scan *)op->plan;
    if (!scan->reading) {
        struct store *work = ox_map_get(&op->run->work_tables, key_of(&plan->of));
        ox_assert(work != NULL);
        store_reader_init(&scan->reader, work);
        scan->reading = true;
    }
    const struct batch *chunk;
    if (!store_read(&scan->reader, &chunk))
        return EXEC_FAIL;
    if (chunk == NULL)
        return EXEC_DONE;
    scan->out = *chunk;
    *out = &scan->out;
    return EXEC_ROWS;
}

static void
work_scan_close(struct op *op)
{
    struct work_scan *scan = (struct work_scan *)op;
    if (scan->reading)
        store_reader_fini(&scan->reader);
    scan->reading = false;
}

const struct op_ops op_work_scan = {
    .size = sizeof(struct work_scan),
    .leaf = true,
    .open = work_scan_open,
    .next = work_scan_next,
    .close = work_scan_close,
};
