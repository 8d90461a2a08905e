/* SPDX-License-Identifier: Apache-2.0
 *
 * Subqueries in expressions. A subplan that looks at no outer column runs once
 * and its answer is kept (scalar, EXISTS) or its rows are (IN, ANY, ALL, ARRAY);
 * a correlated one is opened anew for each row that asks. Either is driven to
 * its end from inside the expression: nothing below may park, so a subquery
 * only reads what is there. */
#include "engine/engine.h"
#include "exec/exec_int.h"
#include "exec/keytable.h"

struct exec_subplan {
    struct op *op;
    struct exec_scope scope;
    struct type *types;
    struct arena arena; /* of the kept answer, or of this row's */
    struct rows rows;
    bool kept;     /* rows are of the one run */
    bool has_null; /* IN over kept rows: some column is NULL */
    bool hashed;
    struct keytable table;
    struct exec_subplan *next;
};

struct subplan_key {
    const struct expr *expr;
    struct op *owner; /* NULL: kept, one for all */
};

/* owner NULL: a subquery that sees no outer row. */
static struct exec_subplan *
subplan_of(struct exec_run *run, struct op *owner, const struct expr *expr)
{
    struct subplan_key key = {expr, expr->correlated ? owner : NULL};
    struct str bytes = ox_str_n(&key, sizeof(key));
    struct exec_subplan *sub = ox_map_get(&run->subplans, bytes);
    if (sub != NULL)
        return sub;
    sub = ox_arena_new(&run->arena, struct exec_subplan);
    sub->scope.outer = owner != NULL ? owner->scope : NULL;
    sub->op = op_new(run, expr->subplan, &sub->scope);
    sub->types = plan_types(expr->subplan, &run->arena);
    ox_arena_init(&sub->arena);
    rows_init(&sub->rows, sub->types, sub->op->plan->column_count);
    ox_map_put(&run->subplans, bytes, sub);
    return sub;
}

void
subquery_fini(struct exec_run *run)
{
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&run->subplans, &at)) != NULL) {
        struct exec_subplan *sub = entry->value;
        op_close(sub->op);
        rows_fini(&sub->rows);
        if (sub->hashed)
            keytable_fini(&sub->table);
        ox_arena_fini(&sub->arena);
    }
}

/* How many rows can matter. */
static uint64_t
rows_wanted(const struct expr *expr)
{
    switch (expr->subkind) {
    case SUBQUERY_EXISTS:
        return 1;
    case SUBQUERY_SCALAR:
    case SUBQUERY_ROW:
        return 2;
    default:
        return UINT64_MAX;
    }
}

/* Go on running the subplan into rows: EXEC_DONE when there are enough. */
static enum exec_status
run_rows(struct exec_subplan *sub, uint64_t want)
{
    struct exec_run *run = sub->op->run;
    if (!sub->op->opened) {
        rows_fini(&sub->rows);
        if (!op_open(sub->op))
            return EXEC_FAIL;
    }
    while (sub->rows.count < want) {
        struct batch *in;
        enum exec_status status = op_next(sub->op, &in);
        if (status == EXEC_DONE)
            break;
        if (status != EXEC_ROWS)
            return status;
        rows_add_batch(&sub->rows, in);
        if (sub->rows.bytes > OX_MAX(run->config.work_mem, (size_t)65536) * 8)
            return op_fail(
                sub->op, OX_WORK_MEM_EXCEEDED, "subquery needs more than 8 times \"work_mem\"");
    }
    op_close(sub->op);
    return EXEC_DONE;
}

static ox_code
run_now(struct exec_subplan *sub, uint64_t want)
{
    struct exec_run *run = sub->op->run;
    op_close(sub->op);
    run->sync_depth++;
    enum exec_status status = run_rows(sub, want);
    run->sync_depth--;
    if (status == EXEC_PARK)
        ox_fail(run_err(run), OX_FEATURE_NOT_SUPPORTED, "a subquery cannot wait for new records");
    op_close(sub->op);
    return status == EXEC_DONE ? OX_OK : run_err(run)->code;
}

enum exec_status
subquery_prepare(struct exec_run *run)
{
    /* The inner ones come after those that hold them. */
    while (run->prepared < run->root->subquery_count) {
        const struct expr *expr =
            run->root->subqueries[run->root->subquery_count - 1 - run->prepared];
        struct exec_subplan *sub = subplan_of(run, NULL, expr);
        enum exec_status status = sub->kept ? EXEC_DONE : run_rows(sub, rows_wanted(expr));
        if (status != EXEC_DONE)
            return status;
        sub->kept = true;
        run->prepared++;
    }
    return EXEC_DONE;
}

static ox_code
scalar_answer(struct exec_subplan *sub, struct datum *out, struct ox_err *err)
{
    if (sub->rows.count > 1)
        return ox_fail_plain(err, OX_CARDINALITY_VIOLATION);
    *out = sub->rows.count == 0 ? DATUM_NULL : rows_get(&sub->rows, 0, 0);
    return OX_OK;
}

static ox_code
array_answer(struct exec_subplan *sub, struct eval *eval, struct datum *out)
{
    uint32_t count = (uint32_t)sub->rows.count;
    struct datum *items = ox_arena_alloc(eval->arena, (count + 1) * sizeof(*items));
    for (uint32_t i = 0; i < count; i++)
        items[i] = rows_get(&sub->rows, i, 0);
    *out = datum_str(array_make(sub->types[0], items, count, eval->arena));
    return OX_OK;
}

/* Three-valued comparison of the left side with one row: 1, 0, -1 unknown. */
static ox_code
compare_row(struct exec_subplan *sub, struct eval *eval, const struct expr *expr,
    const struct datum *args, uint64_t row, int *out, struct ox_err *err)
{
    if (expr->func != NULL) {
        struct datum pair[2] = {args[0], rows_get(&sub->rows, row, 0)}, result = {.null = false};
        struct type types[2] = {expr->args[0]->type, sub->types[0]};
        *out = -1;
        if (expr->func->strict && (pair[0].null || pair[1].null))
            return OX_OK;
        ox_code code = func_call(eval, expr->func, types, pair, 2, TYPE(TYPE_BOOL), &result, err);
        if (code == OX_OK && !result.null)
            *out = result.b != 0;
        return code;
    }
    /* Row comparison: the first field that differs decides. */
    bool unknown = false;
    int order = 0;
    for (uint32_t i = 0; i < expr->nargs && order == 0; i++) {
        struct datum value = rows_get(&sub->rows, row, i);
        if (args[i].null || value.null) {
            unknown = true;
            if (expr->op != OP_EQ && expr->op != OP_NE)
                break;
            continue;
        }
        order = datum_compare(sub->types[i], &args[i], &value);
    }
    if (order == 0 && unknown) {
        *out = -1;
        return OX_OK;
    }
    switch (expr->op) {
    case OP_EQ:
        *out = order == 0;
        break;
    case OP_NE:
        *out = order != 0;
        break;
    case OP_LT:
        *out = order < 0;
        break;
    case OP_LE:
        *out = order <= 0;
        break;
    case OP_GT:
        *out = order > 0;
        break;
    case OP_GE:
        *out = order >= 0;
        break;
    }
    return OX_OK;
}

/* = ANY over kept rows of the same type: by hash. */
static bool
hash_answer(
    struct exec_subplan *sub, const struct expr *expr, const struct datum *args, struct datum *out)
{
    bool equality = expr->func != NULL ? strcmp(expr->func->name, "=") == 0 : expr->op == OP_EQ;
    if (!sub->kept || !equality || sub->rows.count < 8 || expr->nargs != 1 ||
        !type_same(expr->args[0]->type, sub->types[0]) || !type_hashable(sub->types[0]))
        return false;
    uint64_t hashes[VECTOR_MAX];
    uint32_t ids[VECTOR_MAX];
    if (!sub->hashed) {
        keytable_init(&sub->table, sub->types, 1);
        sub->hashed = true;
        for (uint32_t i = 0; i < sub->rows.chunk_count; i++) {
            const struct batch *chunk = &sub->rows.chunks[i]->batch;
            for (uint32_t k = 0; chunk->cols[0].nulls != NULL && k < chunk->count; k++)
                sub->has_null |= chunk->cols[0].nulls[k] != 0;
            keytable_hash(&sub->table, chunk->cols, NULL, chunk->count, hashes);
            keytable_find(&sub->table, chunk->cols, NULL, chunk->count, hashes, true, ids);
        }
    }
    *out = DATUM_NULL;
    if (args[0].null)
        return true;
    struct vector value = {.type = sub->types[0], .constant = true};
    value.data = (void *)(uintptr_t)&args[0].i;
    keytable_hash(&sub->table, &value, NULL, 1, hashes);
    keytable_find(&sub->table, &value, NULL, 1, hashes, false, ids);
    if (ids[0] != KEYTABLE_NONE)
        *out = datum_bool(true);
    else if (!sub->has_null)
        *out = datum_bool(false);
    return true;
}

static ox_code
any_all_answer(struct exec_subplan *sub, struct eval *eval, const struct expr *expr,
    const struct datum *args, struct datum *out, struct ox_err *err)
{
    bool all = expr->subkind == SUBQUERY_ALL, unknown = false;
    if (!all && hash_answer(sub, expr, args, out))
        return OX_OK;
    for (uint64_t row = 0; row < sub->rows.count; row++) {
        int result = -1;
        if (ox_stopped(30))
            return ox_stop_fail(err);
        ox_code code = compare_row(sub, eval, expr, args, row, &result, err);
        if (code != OX_OK)
            return code;
        if (result == !all) {
            *out = datum_bool(!all);
            return OX_OK;
        }
        unknown |= result == -1;
    }
    *out = unknown ? DATUM_NULL : datum_bool(all);
    return OX_OK;
}

static ox_code
row_answer(struct exec_subplan *sub, struct eval *eval, const struct expr *expr,
    const struct datum *args, struct datum *out, struct ox_err *err)
{
    int result = -1;
    if (sub->rows.count > 1)
        return ox_fail_plain(err, OX_CARDINALITY_VIOLATION);
    ox_code code = sub->rows.count == 0 ? OX_OK
                                        : compare_row(sub, eval, expr, args, 0, &result, err);
    *out = result == -1 ? DATUM_NULL : datum_bool(result == 1);
    return code;
}

ox_code
subquery_eval(struct eval *eval, const struct expr *expr, const struct batch *batch, uint32_t row,
    const struct datum *args, struct datum *out, struct ox_err *err)
{
    struct op *owner = eval->exec;
    struct exec_subplan *sub = subplan_of(owner->run, owner, expr);
    if (!sub->kept) {
        sub->scope.batch = batch;
        sub->scope.row = row;
        ox_code code = run_now(sub, rows_wanted(expr));
        if (code != OX_OK) {
            if (err != NULL && err != run_err(owner->run))
                *err = *run_err(owner->run);
            return code;
        }
        sub->kept = !expr->correlated;
    }
    switch (expr->subkind) {
    case SUBQUERY_EXISTS:
        *out = datum_bool(sub->rows.count > 0);
        return OX_OK;
    case SUBQUERY_SCALAR: {
        ox_code code = scalar_answer(sub, out, err);
        if (code == OX_OK && !sub->kept)
            *out = datum_copy(sub->types[0], *out, eval->arena);
        return code;
    }
    case SUBQUERY_ARRAY:
        return array_answer(sub, eval, out);
    case SUBQUERY_ROW:
        return row_answer(sub, eval, expr, args, out, err);
    case SUBQUERY_IN:
    case SUBQUERY_ANY:
    case SUBQUERY_ALL:
        break;
    }
    return any_all_answer(sub, eval, expr, args, out, err);
}

ox_code
subquery_outer(struct eval *eval, const struct expr *expr, struct datum *out, struct ox_err *err)
{
    struct op *owner = eval->exec;
    const struct exec_scope *scope = owner->scope;
    for (uint32_t level = 1; level < expr->level && scope != NULL; level++)
        scope = scope->outer;
    ox_assert(scope != NULL && scope->batch != NULL);
    ox_assert(expr->column < scope->batch->ncols);
    *out = vector_get(&scope->batch->cols[expr->column], scope->row);
    return OX_OK;
}
