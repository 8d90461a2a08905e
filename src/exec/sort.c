/* SPDX-License-Identifier: Apache-2.0
 *
 * SORT: keys that are not plain columns are kept as columns behind the input's.
 *
 * ORDER BY _timestamp DESC LIMIT n over a topic reads from the ends of the
 * partitions, and tells the scan which batches are too old as soon as n rows
 * are known. */
#include "exec/scan_int.h"
#include "exec/sorter.h"

struct sort {
    struct op op;
    struct sorter *sorter;
    struct type *types;
    struct sorter_key *keys;
    uint32_t width; /* input columns and computed keys */
    struct vector *cols;
    bool drained, working;
    struct op *scan; /* told about the threshold, or NULL */
    struct batch out;
};

/* The scan below whose _timestamp is the first key, if only filters and plain
 * projections lie between. */
static struct op *
newest_scan(struct op *op)
{
    const struct plan_sort *plan = (const struct plan_sort *)op->plan;
    if (plan->limit == NULL || plan->key_count == 0 || !plan->keys[0].desc)
        return NULL;
    const struct expr *expr = plan->keys[0].expr;
    for (op = op->input; op != NULL && expr->kind == EXPR_COLUMN; op = op->input) {
        if (op->plan->kind == PLAN_PROJECT) {
            expr = ((const struct plan_project *)op->plan)->exprs[expr->column];
            continue;
        }
        if (op->plan->kind == PLAN_FILTER)
            continue;
        const struct plan_scan_topic *scan = (const struct plan_scan_topic *)op->plan;
        bool suits = op->plan->kind == PLAN_SCAN_TOPIC && !scan->follow && scan->limit == 0 &&
                     scan->order == SCAN_ORDER_NONE && scan->what[expr->column] == SCAN_TIMESTAMP;
        return suits ? op : NULL;
    }
    return NULL;
}

static void
sort_made(struct op *op)
{
    struct sort *sort = (struct sort *)op;
    sort->scan = newest_scan(op);
    if (sort->scan != NULL)
        scan_newest_first(sort->scan);
}

static bool
sort_open(struct op *op)
{
    struct sort *sort = (struct sort *)op;
    const struct plan_sort *plan = (const struct plan_sort *)op->plan;
    uint32_t ncols = op->plan->column_count;
    sort->types = ox_arena_alloc0(&op->arena, (ncols + plan->key_count + 1) * sizeof(struct type));
    for (uint32_t i = 0; i < ncols; i++)
        sort->types[i] = op->plan->columns[i].type;
    sort->keys = ox_arena_alloc0(&op->arena, (plan->key_count + 1) * sizeof(*sort->keys));
    sort->width = ncols;
    for (uint32_t i = 0; i < plan->key_count; i++) {
        const struct plan_key *key = &plan->keys[i];
        sort->keys[i] = (struct sorter_key){0, key->desc, key->nulls_first};
        if (key->expr->kind == EXPR_COLUMN) {
            sort->keys[i].column = key->expr->column;
        } else {
            sort->types[sort->width] = key->expr->type;
            sort->keys[i].column = sort->width++;
        }
    }
    sort->cols = ox_arena_alloc0(&op->arena, (sort->width + 1) * sizeof(struct vector));
    int64_t limit, offset;
    if (!op_eval_count(op, plan->limit, -1, &limit) || !op_eval_count(op, plan->offset, 0, &offset))
        return false;
    uint64_t keep = UINT64_MAX;
    if (limit >= 0 && offset >= 0)
        keep = (uint64_t)limit + (uint64_t)offset;
    sort->sorter = sorter_new(op, sort->types, sort->width, sort->keys, plan->key_count, keep);
    sort->drained = sort->working = false;
    return true;
}

static enum exec_status
sort_take(struct sort *sort, const struct batch *in)
{
    struct op *op = &sort->op;
    const struct plan_sort *plan = (const struct plan_sort *)op->plan;
    ox_arena_reset(&op->scratch);
    memcpy(sort->cols, in->cols, in->ncols * sizeof(*sort->cols));
    for (uint32_t i = 0; i < plan->key_count; i++)
        if (plan->keys[i].expr->kind != EXPR_COLUMN &&
            !op_eval(op, plan->keys[i].expr, in, &sort->cols[sort->keys[i].column]))
            return EXEC_FAIL;
    return sorter_add(
        sort->sorter, sort->cols, in->sel, in->sel != NULL ? in->sel_count : in->count);
}

static enum exec_status
sort_next(struct op *op, struct batch **out)
{
    struct sort *sort = (struct sort *)op;
    enum exec_status status;
    while (!sort->drained) {
        if (sort->working) {
            status = sorter_work(sort->sorter);
        } else {
            struct batch *in;
            status = op_next(op->input, &in);
            if (status == EXEC_DONE) {
                sort->drained = true;
                break;
            }
            if (status != EXEC_ROWS)
                return status;
            status = sort_take(sort, in);
            struct datum last;
            if (sort->scan != NULL && sorter_threshold(sort->sorter, &last) && !last.null)
                scan_set_floor(sort->scan, last.i);
        }
        sort->working = status != EXEC_ROWS;
        if (status != EXEC_ROWS)
            return status;
    }
    struct batch *sorted;
    status = sorter_next(sort->sorter, &sorted);
    if (status != EXEC_ROWS)
        return status;
    sort->out = *sorted;
    sort->out.ncols = op->plan->column_count;
    *out = &sort->out;
    return EXEC_ROWS;
}

static void
sort_close(struct op *op)
{
    struct sort *sort = (struct sort *)op;
    sorter_free(sort->sorter);
    sort->sorter = NULL;
}

const struct op_ops op_sort = {
    .size = sizeof(struct sort),
    .made = sort_made,
    .open = sort_open,
    .next = sort_next,
    .close = sort_close,
};
