/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators over small plans, and over large ones with little memory. */
#include <unistd.h>

#include "base/check.h"
#include "exec/spill.h"
#include "exec_help.h"

#include "tap.h"

static struct plan_key *
keys_of(struct help *help, uint32_t count, ...)
{
    struct plan_key *keys = ox_arena_alloc0(&help->arena, count * sizeof(*keys));
    va_list args;
    va_start(args, count);
    for (uint32_t i = 0; i < count; i++) {
        keys[i].expr = va_arg(args, struct expr *);
        keys[i].desc = va_arg(args, int) != 0;
        keys[i].nulls_first = keys[i].desc;
    }
    va_end(args);
    return keys;
}

static struct plan_agg
agg(struct help *help, const char *name, struct expr *arg)
{
    struct plan_agg out = {0};
    if (arg != NULL) {
        out.args = EXPRS(help, arg);
        out.arg_count = 1;
    }
    out.func = func_named(help, name, out.args, out.arg_count, &out.type);
    return out;
}

static struct plan_agg *
aggs_of(struct help *help, const struct plan_agg *list, uint32_t count)
{
    return ox_arena_copy(&help->arena, list, count * sizeof(*list));
}

static void
test_rows(struct help *help)
{
    struct plan *plan = plan_values_new(&help->arena,
        EXPRS(help, int_const(help, 1), text_const(help, "a"), int_const(help, 2),
            null_const(help, TYPE(TYPE_TEXT))),
        2, 2, NULL);
    is_str(run_plan(help, plan), "1,a;2,-", "VALUES");
    is_str(run_plan(help, project(help, plan_values_new(&help->arena, NULL, 1, 0, NULL),
                              EXPRS(help, int_const(help, 7)), 1)),
        "7", "SELECT without FROM");
    plan = plan_filter_new(&help->arena, numbers(help, 1, 10),
        binary(help, ">", int_col(help, 0), int_const(help, 7)));
    is_str(run_plan(help, plan), "8;9;10", "WHERE");
    plan = plan_limit_new(
        &help->arena, numbers(help, 1, 5000), int_const(help, 3), int_const(help, 2000));
    is_str(run_plan(help, plan), "2001;2002;2003", "LIMIT and OFFSET");
    plan = plan_limit_new(&help->arena, numbers(help, 1, 5), int_const(help, -1), NULL);
    is_str(run_plan(help, plan), "error: invalid_row_count_in_limit", "a negative LIMIT");
    plan = project(help, numbers(help, 1, 3),
        EXPRS(help, binary(help, "/", int_const(help, 6),
                        binary(help, "-", int_col(help, 0), int_const(help, 2)))),
        1);
    is_str(run_plan(help, plan), "error: division_by_zero", "an error in an expression");
}

static void
test_sort(struct help *help)
{
    struct expr *mod = binary(help, "%", int_col(help, 0), int_const(help, 3));
    struct plan_sort *sort = plan_sort_new(
        &help->arena, numbers(help, 1, 7), keys_of(help, 2, mod, 0, int_col(help, 0), 1), 2);
    is_str(run_plan(help, &sort->plan), "6;3;7;4;1;5;2", "ORDER BY two keys");
    sort = plan_sort_new(
        &help->arena, numbers(help, 1, 50000), keys_of(help, 1, int_col(help, 0), 1), 1);
    sort->limit = int_const(help, 3);
    is_str(run_plan(help, &sort->plan), "50000;49999;49998", "the first of a large sort");
    struct plan *values = plan_values_new(&help->arena,
        EXPRS(help, text_const(help, "b"), null_const(help, TYPE(TYPE_TEXT)),
            text_const(help, "abcdefghi"), text_const(help, "abcdefgh")),
        4, 1, NULL);
    sort = plan_sort_new(&help->arena, values, keys_of(help, 1, text_col(help, 0), 0), 1);
    is_str(run_plan(help, &sort->plan), "abcdefgh;abcdefghi;b;-", "texts, nulls last");
}

static void
test_sort_spill(struct help *help)
{
    struct expr *key = binary(help, "%", binary(help, "*", int_col(help, 0), int_const(help, 7919)),
        int_const(help, 100003));
    struct plan_sort *sort =
        plan_sort_new(&help->arena, numbers(help, 1, 100002), keys_of(help, 1, key, 0), 1);
    struct plan *plan = project(help, &sort->plan, EXPRS(help, key), 1);
    help->config.work_mem = 200000;
    struct plan_root root = {.plan = plan, .arena = &help->arena};
    struct exec_run *run;
    struct batch *batch;
    plan_root_finish(&root, NULL);
    exec_run_new(&root, &help->config, &run, NULL);
    int64_t last = 0, count = 0;
    bool rising = true;
    while (exec_run_next(run, 0, &batch) == EXEC_ROWS)
        for (uint32_t i = 0; i < batch->count; i++, count++) {
            rising &= batch->cols[0].i[i] == last + 1;
            last = batch->cols[0].i[i];
        }
    is_int(count, 100002, "a sort that spills gives every row");
    ok(rising, "in order");
    ok(exec_run_counters(run, sort->plan.id)->spill_bytes > 1000000, "and it did spill");
    exec_run_free(run);
    help->config.temp_dir = NULL;
    is_str(run_plan(help, plan), "error: work_mem_exceeded", "without a place to spill it fails");
    help->config.temp_dir = "/tmp";
    help->config.work_mem = 4 * 1024 * 1024;
}

/* LIMIT n over rows of 2 KB: the keys, and how much memory the sort took. */
static char *
first_wide(struct help *help, int64_t limit, size_t work_mem, uint64_t *memory, uint64_t *spilled)
{
    struct ox_err err;
    struct expr *wide, *key = binary(help, "%",
        binary(help, "*", int_col(help, 0), int_const(help, 7919)), int_const(help, 100003));
    struct expr **args = EXPRS(help, text_const(help, "x"),
        expr_const(&help->arena, TYPE(TYPE_INT4), datum_i64(2000), 0));
    if (expr_function(&help->bind, OX_STR("repeat"), args, 2, false, 0, &wide, &err) != OX_OK)
        return NULL;
    struct plan_sort *sort = plan_sort_new(&help->arena,
        project(help, numbers(help, 1, 20000), EXPRS(help, key, wide), 2),
        keys_of(help, 1, int_col(help, 0), 1), 1);
    sort->limit = int_const(help, limit);
    struct plan *plan = project(help, &sort->plan, EXPRS(help, int_col(help, 0)), 1);
    struct plan_root root = {.plan = plan, .arena = &help->arena};
    struct exec_run *run;
    struct batch *batch;
    help->config.work_mem = work_mem;
    plan_root_finish(&root, NULL);
    exec_run_new(&root, &help->config, &run, NULL);
    ox_text_clear(&help->text);
    while (exec_run_next(run, 0, &batch) == EXEC_ROWS)
        help_rows(help, batch);
    *memory = exec_run_counters(run, sort->plan.id)->memory_max;
    *spilled = exec_run_counters(run, sort->plan.id)->spill_bytes;
    exec_run_free(run);
    help->config.work_mem = 4 * 1024 * 1024;
    return ox_arena_strndup(&help->arena, help->text.ptr, help->text.len);
}

static void
test_sort_wide(struct help *help)
{
    static const int64_t limits[] = {0, 10, 500, 3000};
    for (size_t i = 0; i < ox_count(limits); i++) {
        uint64_t memory, spilled;
        char *want = first_wide(help, limits[i], 1 << 30, &memory, &spilled);
        is_int(spilled, 0, "the first of wide rows, in memory");
        is_str(first_wide(help, limits[i], 1 << 18, &memory, &spilled), want, "with little of it");
        ok(memory < 5 << 20, "which it keeps to");
        ok((spilled > 0) == (limits[i] > 1000), "files are for what is too much in the end");
        printf("# LIMIT %d: %llu KB, %llu KB in files\n", (int)limits[i],
            (unsigned long long)memory / 1024, (unsigned long long)spilled / 1024);
    }
}

/* Rows wait in memory until a chunk is full: of rows, or of bytes. */
static void
test_spill_tail(struct help *help)
{
    static char bytes[50000];
    struct plan_root root = {.plan = numbers(help, 1, 1), .arena = &help->arena};
    struct exec_run *run;
    struct spill spill;
    struct str value = {bytes, sizeof(bytes)};
    struct type types[] = {TYPE(TYPE_BYTEA)};
    struct vector col = {.type = types[0], .constant = true, .s = &value};
    size_t most = 0, rows = 0, whole = 0;
    bool good = true;
    plan_root_finish(&root, NULL);
    exec_run_new(&root, &help->config, &run, NULL);
    spill_init(&spill, run, types, 1);
    for (int i = 0; i < 30; i++) {
        good &= spill_add(&spill, &col, NULL, 0, 1 + (uint32_t)i);
        most = OX_MAX(most, spill.tail.bytes);
    }
    ok(good && spill_flush(&spill), "rows of 50 KB go to a file");
    ok(most < 2 << 20, "few at a time");
    struct spill_reader reader = spill_reader(&spill);
    struct chunk *chunk;
    while ((good = spill_read(&reader, &chunk)) && chunk != NULL) {
        rows += chunk->batch.count;
        for (uint32_t i = 0; i < chunk->batch.count; i++)
            whole += chunk->batch.cols[0].s[i].len == sizeof(bytes);
        most = OX_MAX(most, chunk->arena.used);
        chunk_free(chunk);
    }
    ok(good, "and are read");
    is_int(rows, 465, "all");
    is_int(whole, 465, "whole");
    ok(most < 2 << 20, "few at a time too");
    spill_fini(&spill);
    exec_run_free(run);
}

static void
test_aggregate(struct help *help)
{
    struct expr *mod = binary(help, "%", int_col(help, 0), int_const(help, 3));
    struct plan_agg list[] = {agg(help, "count", NULL), agg(help, "sum", int_col(help, 0)),
        agg(help, "max", int_col(help, 0))};
    struct plan_aggregate *node = plan_aggregate_new(
        &help->arena, numbers(help, 1, 9), EXPRS(help, mod), 1, aggs_of(help, list, 3), 3);
    is_str(run_plan(help, &node->plan), "1,3,12,7;2,3,15,8;0,3,18,9", "GROUP BY");
    node =
        plan_aggregate_new(&help->arena, numbers(help, 1, 0), NULL, 0, aggs_of(help, list, 3), 3);
    is_str(run_plan(help, &node->plan), "0,-,-", "aggregates of nothing");
    node = plan_aggregate_new(
        &help->arena, numbers(help, 1, 0), EXPRS(help, mod), 1, aggs_of(help, list, 3), 3);
    is_str(run_plan(help, &node->plan), "", "groups of nothing");
    struct plan_agg distinct = agg(help, "count", mod), filtered = list[0];
    distinct.distinct = true;
    filtered.filter = binary(help, ">", int_col(help, 0), int_const(help, 4));
    struct plan_agg two[] = {distinct, filtered};
    node =
        plan_aggregate_new(&help->arena, numbers(help, 1, 10), NULL, 0, aggs_of(help, two, 2), 2);
    is_str(run_plan(help, &node->plan), "3,6", "DISTINCT and FILTER in an aggregate");
    struct plan_agg ordered = agg(help, "array_agg", int_col(help, 0));
    ordered.order = keys_of(help, 1, int_col(help, 0), 1);
    ordered.order_count = 1;
    node = plan_aggregate_new(
        &help->arena, numbers(help, 1, 6), EXPRS(help, mod), 1, aggs_of(help, &ordered, 1), 1);
    is_str(run_plan(help, &node->plan), "1,{4,1};2,{5,2};0,{6,3}", "ORDER BY in an aggregate");
    node = plan_aggregate_new(&help->arena, numbers(help, 1, 4), EXPRS(help, mod, int_col(help, 0)),
        2, aggs_of(help, list, 1), 1);
    static const uint64_t sets[] = {1, 0};
    node->sets = sets;
    node->set_count = 2;
    is_str(run_plan(help, &node->plan), "1,-,2;2,-,1;0,-,1;-,-,4", "GROUPING SETS");
}

static void
test_aggregate_spill(struct help *help)
{
    struct expr *mod = binary(help, "%", int_col(help, 0), int_const(help, 40000));
    struct plan_agg list[] = {agg(help, "count", NULL), agg(help, "sum", int_col(help, 0))};
    struct plan_aggregate *node = plan_aggregate_new(
        &help->arena, numbers(help, 1, 120000), EXPRS(help, mod), 1, aggs_of(help, list, 2), 2);
    uint64_t sum, sum_small;
    uint64_t count = run_count(help, &node->plan, &sum);
    is_int(help->spilled, 0, "an aggregate in memory");
    is_int(count, 40000, "has all groups");
    help->config.work_mem = 300000;
    count = run_count(help, &node->plan, &sum_small);
    ok(help->spilled > 0, "with little memory it spills");
    is_int(count, 40000, "and has all groups");
    ok(sum == sum_small, "the same ones");
    struct plan *distinct = plan_distinct_new(
        &help->arena, project(help, numbers(help, 1, 120000), EXPRS(help, mod), 1), NULL, 0);
    count = run_count(help, distinct, &sum);
    is_int(count, 40000, "DISTINCT that spills");
    ok(help->spilled > 0, "did so");
    help->config.work_mem = 4 * 1024 * 1024;
}

static struct plan *
join(struct help *help, enum join_kind kind, bool hash)
{
    /* left 1..4, right 3..6 */
    struct plan *left = numbers(help, 1, 4), *right = numbers(help, 3, 6);
    if (hash)
        return &plan_join_hash_new(&help->arena, kind, left, right, EXPRS(help, int_col(help, 0)),
            EXPRS(help, int_col(help, 0)), 1, NULL)
                    ->plan;
    return &plan_join_loop_new(&help->arena, kind, left, right,
        binary(help, "=", int_col(help, 0), int_col(help, 1)), false)
                ->plan;
}

static void
test_joins(struct help *help)
{
    static const char *const want[] = {[JOIN_INNER] = "3,3;4,4",
        [JOIN_LEFT] = "1,-;2,-;3,3;4,4",
        [JOIN_RIGHT] = "3,3;4,4;-,5;-,6",
        [JOIN_FULL] = "1,-;2,-;3,3;4,4;-,5;-,6",
        [JOIN_SEMI] = "3;4",
        [JOIN_ANTI] = "1;2"};
    static const char *const names[] = {"inner", "left", "right", "full", "semi", "anti"};
    for (int hash = 0; hash < 2; hash++)
        for (int kind = JOIN_INNER; kind <= JOIN_ANTI; kind++) {
            char sentence[64];
            snprintf(
                sentence, sizeof(sentence), "%s join by %s", names[kind], hash ? "hash" : "loop");
            is_str(run_plan(help, join(help, (enum join_kind)kind, hash)), want[kind], sentence);
        }
    /* A condition beside the keys, with several candidates. */
    struct expr *two = binary(help, "%", int_col(help, 0), int_const(help, 2));
    struct plan_join_hash *node = plan_join_hash_new(&help->arena, JOIN_LEFT, numbers(help, 1, 3),
        numbers(help, 1, 4), EXPRS(help, two), EXPRS(help, two), 1,
        binary(help, ">", int_col(help, 1), int_col(help, 0)));
    is_str(run_plan(help, &node->plan), "1,3;2,4;3,-", "a hash join with a condition");
    struct plan *plan = &plan_join_loop_new(
        &help->arena, JOIN_LEFT, numbers(help, 1, 2), numbers(help, 1, 0), NULL, false)
                             ->plan;
    is_str(run_plan(help, plan), "1,-;2,-", "a left join with nothing");
    plan = &plan_join_loop_new(
        &help->arena, JOIN_INNER, numbers(help, 1, 2), numbers(help, 1, 2), NULL, false)
                ->plan;
    is_str(run_plan(help, plan), "1,1;1,2;2,1;2,2", "a cross join");
}

static void
test_join_large(struct help *help)
{
    struct expr *third = binary(help, "/", int_col(help, 0), int_const(help, 3));
    uint64_t sum, sum_small;
    for (int kind = JOIN_INNER; kind <= JOIN_ANTI; kind++) {
        struct plan_join_hash *node = plan_join_hash_new(&help->arena, (enum join_kind)kind,
            numbers(help, 1, 20000), numbers(help, 30000, 60000), EXPRS(help, int_col(help, 0)),
            EXPRS(help, third), 1, NULL);
        help->config.work_mem = 64 * 1024 * 1024;
        uint64_t count = run_count(help, &node->plan, &sum);
        help->config.work_mem = 200000;
        uint64_t again = run_count(help, &node->plan, &sum_small);
        static const uint64_t want[] = {30001, 30001 + 9999, 30001, 30001 + 9999, 10001, 9999};
        is_int(count, want[kind], "rows of a join in memory");
        ok(again == count && sum == sum_small && help->spilled > 0, "the same when it spills");
    }
    /* The right side of a loop in several chunks, and in a file. */
    for (int kind = JOIN_INNER; kind <= JOIN_ANTI; kind++) {
        struct plan_join_loop *node = plan_join_loop_new(&help->arena, (enum join_kind)kind,
            numbers(help, 2990, 3009), numbers(help, 1, 3000),
            binary(help, "=", int_col(help, 0), int_col(help, 1)), false);
        help->config.work_mem = kind % 2 ? 16000 : 4 * 1024 * 1024;
        static const uint64_t want[] = {11, 20, 3000, 3009, 11, 9};
        is_int(run_count(help, &node->plan, &sum), want[kind], "a loop over several chunks");
    }
    help->config.work_mem = 4 * 1024 * 1024;
}

static void
test_lateral(struct help *help)
{
    struct expr **args =
        EXPRS(help, int_const(help, 2), expr_outer(&help->arena, 1, 0, TYPE(TYPE_INT8), NULL, 0));
    struct expr *call = NULL;
    expr_function(&help->bind, OX_STR("generate_series"), args, 2, false, 0, &call, NULL);
    static const struct plan_column column = {{"i", 1}, {TYPE_INT8, false, -1}};
    struct plan *right = plan_function_scan_new(&help->arena, EXPRS(help, call), 1, true, &column, 1);
    right->column_count = 1;
    ((struct plan_function_scan *)right)->ordinality = false;
    struct plan_join_loop *node =
        plan_join_loop_new(&help->arena, JOIN_INNER, numbers(help, 1, 3), right, NULL, true);
    is_str(run_plan(help, &node->plan), "2,2;3,2;3,3", "LATERAL");
    node = plan_join_loop_new(&help->arena, JOIN_LEFT, numbers(help, 1, 3), right, NULL, true);
    is_str(run_plan(help, &node->plan), "1,-;2,2;3,2;3,3", "LEFT LATERAL");
}

static void
test_sets(struct help *help)
{
    struct plan *a = numbers(help, 1, 4), *b = numbers(help, 3, 6);
    is_str(
        run_plan(help, plan_append_new(&help->arena,
                           ox_arena_copy(&help->arena, (struct plan *[]){a, b}, sizeof(a) * 2), 2)),
        "1;2;3;4;3;4;5;6", "UNION ALL");
    is_str(run_plan(help,
               plan_setop_new(&help->arena, SETOP_UNION, numbers(help, 1, 4), numbers(help, 3, 6))),
        "1;2;3;4;5;6", "UNION");
    is_str(run_plan(help, plan_setop_new(&help->arena, SETOP_INTERSECT, numbers(help, 1, 4),
                              numbers(help, 3, 6))),
        "3;4", "INTERSECT");
    is_str(run_plan(help, plan_setop_new(&help->arena, SETOP_EXCEPT, numbers(help, 1, 4),
                              numbers(help, 3, 6))),
        "1;2", "EXCEPT");
    struct expr *mod = binary(help, "%", int_col(help, 0), int_const(help, 2));
    struct plan *twice = project(help, numbers(help, 1, 4), EXPRS(help, mod), 1);
    is_str(
        run_plan(help, plan_setop_new(&help->arena, SETOP_EXCEPT_ALL, twice, numbers(help, 1, 1))),
        "1;0;0", "EXCEPT ALL");
    struct plan *on = plan_distinct_new(&help->arena, numbers(help, 1, 6), EXPRS(help, mod), 1);
    is_str(run_plan(help, on), "1;2", "DISTINCT ON");
}

static void
test_with(struct help *help)
{
    struct plan_cte *cte = ox_arena_new(&help->arena, struct plan_cte);
    cte->definition = numbers(help, 1, 3);
    struct plan *both = &plan_join_loop_new(&help->arena, JOIN_INNER,
        plan_cte_scan_new(&help->arena, cte), plan_cte_scan_new(&help->arena, cte),
        binary(help, "<", int_col(help, 0), int_col(help, 1)), false)
                             ->plan;
    is_str(run_plan(help, both), "1,2;1,3;2,3", "WITH read twice");
    struct plan_recursive *node = plan_recursive_new(&help->arena, numbers(help, 1, 1), false);
    struct plan *term = plan_filter_new(&help->arena, plan_work_scan_new(&help->arena, node),
        binary(help, "<", int_col(help, 0), int_const(help, 5)));
    node->plan.right = project(
        help, term, EXPRS(help, binary(help, "+", int_col(help, 0), int_const(help, 1))), 1);
    is_str(run_plan(help, &node->plan), "1;2;3;4;5", "WITH RECURSIVE");
    node = plan_recursive_new(&help->arena, numbers(help, 1, 1), true);
    node->plan.right = project(help, plan_work_scan_new(&help->arena, node),
        EXPRS(help, binary(help, "%", binary(help, "+", int_col(help, 0), int_const(help, 1)),
                        int_const(help, 4))),
        1);
    is_str(run_plan(help, &node->plan), "1;2;3;0", "a cycle ends with UNION");
}

static struct expr *
subquery(
    struct help *help, enum expr_subkind kind, struct plan *plan, struct type type, bool correlated)
{
    struct expr *expr = expr_new(&help->arena, EXPR_SUBQUERY, type, 0);
    expr->subkind = kind;
    expr->subplan = plan;
    expr->correlated = correlated;
    return expr;
}

static void
test_subqueries(struct help *help)
{
    struct plan_agg max = agg(help, "max", int_col(help, 0));
    struct plan *one =
        &plan_aggregate_new(&help->arena, numbers(help, 1, 9), NULL, 0, aggs_of(help, &max, 1), 1)
             ->plan;
    struct plan *plan = project(help, numbers(help, 1, 2),
        EXPRS(help, int_col(help, 0), subquery(help, SUBQUERY_SCALAR, one, TYPE(TYPE_INT8), false)),
        2);
    is_str(run_plan(help, plan), "1,9;2,9", "a scalar subquery");
    struct expr *outer = expr_outer(&help->arena, 1, 0, TYPE(TYPE_INT8), NULL, 0);
    struct plan *below = plan_filter_new(
        &help->arena, numbers(help, 1, 5), binary(help, ">", int_col(help, 0), outer));
    struct plan *count = &plan_aggregate_new(&help->arena, below, NULL, 0,
        aggs_of(help, (struct plan_agg[]){agg(help, "count", NULL)}, 1), 1)
                              ->plan;
    plan = project(help, numbers(help, 1, 3),
        EXPRS(help, subquery(help, SUBQUERY_SCALAR, count, TYPE(TYPE_INT8), true)), 1);
    is_str(run_plan(help, plan), "4;3;2", "a correlated one");
    plan = plan_filter_new(&help->arena, numbers(help, 3, 7),
        subquery(help, SUBQUERY_EXISTS, below, TYPE(TYPE_BOOL), true));
    is_str(run_plan(help, plan), "3;4", "EXISTS");
    plan = project(help, numbers(help, 1, 1),
        EXPRS(help, subquery(help, SUBQUERY_SCALAR, numbers(help, 1, 2), TYPE(TYPE_INT8), false)),
        1);
    is_str(run_plan(help, plan), "error: cardinality_violation", "more than one row");
    for (int large = 0; large < 2; large++) {
        struct expr *in =
            subquery(help, SUBQUERY_IN, numbers(help, 2, large ? 100 : 4), TYPE(TYPE_BOOL), false);
        in->args = EXPRS(help, int_col(help, 0));
        in->nargs = 1;
        struct type right;
        expr_subquery_compare(
            &help->bind, OX_STR("="), in->args, TYPE(TYPE_INT8), &right, &in->func, NULL);
        plan = plan_filter_new(&help->arena, numbers(help, 1, 3), in);
        is_str(run_plan(help, plan), "2;3", large ? "IN by hash" : "IN");
    }
}

static struct window_call
window(struct help *help, enum window_func func, struct expr *arg, struct type type)
{
    struct window_call call = {.func = func};
    call.agg.type = type;
    if (arg != NULL) {
        call.agg.args = EXPRS(help, arg);
        call.agg.arg_count = 1;
    }
    call.frame.end = FRAME_CURRENT;
    return call;
}

static void
test_windows(struct help *help)
{
    struct expr *mod = binary(help, "%", int_col(help, 0), int_const(help, 2));
    struct expr *half = binary(help, "/", int_col(help, 0), int_const(help, 2));
    struct plan_agg sum = agg(help, "sum", int_col(help, 0));
    struct window_call calls[] = {window(help, WINDOW_ROW_NUMBER, NULL, TYPE(TYPE_INT8)),
        window(help, WINDOW_LAG, int_col(help, 0), TYPE(TYPE_INT8)),
        window(help, WINDOW_AGGREGATE, NULL, sum.type)};
    calls[2].agg = sum;
    struct plan_window *node = plan_window_new(&help->arena, numbers(help, 1, 6), calls, NULL, 3);
    node->partition = EXPRS(help, mod);
    node->partition_count = 1;
    node->order = keys_of(help, 1, int_col(help, 0), 0);
    node->order_count = 1;
    is_str(run_plan(help, &node->plan), "2,1,-,2;4,2,2,6;6,3,4,12;1,1,-,1;3,2,1,4;5,3,3,9",
        "row_number, lag, running sum");
    struct window_call ranks[] = {window(help, WINDOW_RANK, NULL, TYPE(TYPE_INT8)),
        window(help, WINDOW_DENSE_RANK, NULL, TYPE(TYPE_INT8)),
        window(help, WINDOW_AGGREGATE, NULL, sum.type),
        window(help, WINDOW_LAST_VALUE, int_col(help, 0), TYPE(TYPE_INT8))};
    ranks[2].agg = sum;
    ranks[3].frame.end = FRAME_UNBOUNDED_FOLLOWING;
    node = plan_window_new(&help->arena, numbers(help, 1, 4), ranks, NULL, 4);
    node->order = keys_of(help, 1, half, 0);
    node->order_count = 1;
    is_str(run_plan(help, &node->plan), "1,1,1,1,4;2,2,2,6,4;3,2,2,6,4;4,4,3,10,4",
        "ranks, and peers in the frame");
    struct window_call moving = window(help, WINDOW_AGGREGATE, NULL, sum.type);
    moving.agg = sum;
    moving.frame = (struct window_frame){.unit = FRAME_ROWS,
        .start = FRAME_PRECEDING,
        .end = FRAME_FOLLOWING,
        .start_value = int_const(help, 1),
        .end_value = int_const(help, 1)};
    node = plan_window_new(&help->arena, numbers(help, 1, 4), &moving, NULL, 1);
    node->order = keys_of(help, 1, int_col(help, 0), 0);
    node->order_count = 1;
    is_str(run_plan(help, &node->plan), "1,3;2,6;3,9;4,7", "a frame that moves");
    /* A partition that does not fit. */
    struct window_call large[] = {window(help, WINDOW_LAG, int_col(help, 0), TYPE(TYPE_INT8)),
        window(help, WINDOW_FIRST_VALUE, int_col(help, 0), TYPE(TYPE_INT8)), moving};
    uint64_t sum_large, sum_small;
    struct plan_window *wide =
        plan_window_new(&help->arena, numbers(help, 1, 60000), large, NULL, 3);
    wide->order = keys_of(help, 1, int_col(help, 0), 1);
    wide->order_count = 1;
    is_int(run_count(help, &wide->plan, &sum_large), 60000, "a large window partition");
    help->config.work_mem = 65536;
    is_int(run_count(help, &wide->plan, &sum_small), 60000, "in little memory");
    ok(sum_large == sum_small && help->spilled > 0, "is the same");
    help->config.work_mem = 64 * 1024 * 1024;
    moving.frame.exclude = FRAME_EXCLUDE_CURRENT;
    is_str(run_plan(help, &node->plan), "1,2;2,4;3,6;4,3", "without the current row");
}

static void
test_feed(struct help *help)
{
    static const struct plan_column column = {{"i", 1}, {TYPE_INT8, false, -1}};
    struct plan *plan = project(help, plan_feed_new(&help->arena, &column, 1),
        EXPRS(help, binary(help, "*", int_col(help, 0), int_const(help, 2))), 1);
    struct plan_root root = {.plan = plan, .arena = &help->arena};
    struct exec_run *run;
    struct batch *out;
    plan_root_finish(&root, NULL);
    exec_run_new(&root, &help->config, &run, NULL);
    is_int(exec_run_next(run, 0, &out), EXEC_PARK, "a feed parks for rows");
    ok(exec_run_wants_feed(run), "and says so");
    int64_t values[] = {3, 4};
    struct vector vec = {.type = TYPE(TYPE_INT8), .i = values};
    struct batch in = {.count = 2, .ncols = 1, .cols = &vec, .sel_count = 2};
    exec_run_feed(run, &in);
    is_int(exec_run_next(run, 0, &out), EXEC_ROWS, "what is fed comes out");
    is_int(out->cols[0].i[1], 8, "computed");
    is_int(exec_run_next(run, 0, &out), EXEC_PARK, "then it wants more");
    exec_run_feed(run, NULL);
    is_int(exec_run_next(run, 0, &out), EXEC_DONE, "until it is told the end");
    exec_run_free(run);
}

static void
test_limits(struct help *help)
{
    help->config.row_limit = 10;
    is_str(run_plan(help, numbers(help, 1, 11)), "error: scan_limit_exceeded", "row_limit");
    is_str(run_plan(help, numbers(help, 1, 3)), "1;2;3", "below it");
    help->config.row_limit = 0;
    struct plan_root root = {.plan = numbers(help, 1, 2500), .arena = &help->arena};
    struct exec_run *run;
    struct batch *batch;
    plan_root_finish(&root, NULL);
    exec_run_new(&root, &help->config, &run, NULL);
    uint64_t total = 0;
    bool right = true;
    while (exec_run_next(run, 700, &batch) == EXEC_ROWS) {
        right &= batch->sel_count <= 700;
        total += batch->sel_count;
    }
    ok(right && total == 2500, "max_rows cuts batches and loses nothing");
    is_int(exec_run_rows(run), 2500, "the count for the tag");
    exec_run_free(run);
    exec_run_new(&root, &help->config, &run, NULL);
    exec_run_next(run, 5, &batch);
    exec_run_cancel(run, OX_CANCELED, false);
    is_int(exec_run_next(run, 5, &batch), EXEC_FAIL, "cancel stops a run");
    is_int(exec_run_err(run)->code, OX_CANCELED, "with its code");
    is_int(exec_run_next(run, 5, &batch), EXEC_ROWS, "one that is not sticky goes on");
    is_int(vector_get(&batch->cols[0], batch->sel[0]).i, 6, "where it was");
    exec_run_cancel(run, OX_CANCELED, true);
    is_int(exec_run_next(run, 5, &batch), EXEC_FAIL, "cancel for good");
    is_int(exec_run_next(run, 5, &batch), EXEC_FAIL, "is for good");
    exec_run_free(run);
    help->config.statement_timeout_ms = 1;
    struct plan_agg count = agg(help, "count", NULL);
    struct plan_aggregate *slow = plan_aggregate_new(
        &help->arena, numbers(help, 1, 1000000000), NULL, 0, aggs_of(help, &count, 1), 1);
    is_str(run_plan(help, &slow->plan), "error: statement_timeout", "statement_timeout");
    help->config.statement_timeout_ms = 0;
}

int
main(void)
{
    struct help help;
    alarm(120); /* rather than hang */
    help_init(&help);
    test_rows(&help);
    test_sort(&help);
    test_sort_spill(&help);
    test_sort_wide(&help);
    test_spill_tail(&help);
    test_aggregate(&help);
    test_aggregate_spill(&help);
    test_joins(&help);
    test_join_large(&help);
    test_lateral(&help);
    test_sets(&help);
    test_with(&help);
    test_subqueries(&help);
    test_windows(&help);
    test_feed(&help);
    test_limits(&help);
    help_fini(&help);
    return done();
}
