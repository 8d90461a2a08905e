/* SPDX-License-Identifier: Apache-2.0
 *
 * Building plans: nodes whose columns follow from their inputs, and the last
 * pass that numbers them and looks for what cannot run. */
#include "exec/plan.h"

#include "base/check.h"
#include "base/map.h"
#include "exec/expr.h"

enum { DEPTH_MAX = 1000 };

/* ---- system columns of topics --------------------------------------------------- */

static const struct {
    const char *name;
    struct type type;
} scan_columns[SCAN_COLUMN_COUNT] = {
    [SCAN_PARTITION] = {"_partition", {TYPE_INT4, false, -1}},
    [SCAN_OFFSET] = {"_offset", {TYPE_INT8, false, -1}},
    [SCAN_TIMESTAMP] = {"_timestamp", {TYPE_TIMESTAMPTZ, false, -1}},
    [SCAN_TIMESTAMP_TYPE] = {"_timestamp_type", {TYPE_TEXT, false, -1}},
    [SCAN_KEY] = {"_key", {TYPE_TEXT, false, -1}},
    [SCAN_KEY_BYTES] = {"_key_bytes", {TYPE_BYTEA, false, -1}},
    [SCAN_VALUE] = {"_value", {TYPE_TEXT, false, -1}},
    [SCAN_VALUE_BYTES] = {"_value_bytes", {TYPE_BYTEA, false, -1}},
    [SCAN_HEADERS] = {"_headers", {TYPE_JSONB, false, -1}},
    [SCAN_TOMBSTONE] = {"_tombstone", {TYPE_BOOL, false, -1}},
    [SCAN_SIZE] = {"_size", {TYPE_INT4, false, -1}},
    [SCAN_TOPIC] = {"_topic", {TYPE_TEXT, false, -1}},
    [SCAN_LEADER_EPOCH] = {"_leader_epoch", {TYPE_INT4, false, -1}},
    [SCAN_PRODUCER_ID] = {"_producer_id", {TYPE_INT8, false, -1}},
    [SCAN_PRODUCER_EPOCH] = {"_producer_epoch", {TYPE_INT2, false, -1}},
    [SCAN_SEQUENCE] = {"_sequence", {TYPE_INT4, false, -1}},
    [SCAN_TXN] = {"_txn", {TYPE_TEXT, false, -1}},
    [SCAN_COMPRESSION] = {"_compression", {TYPE_TEXT, false, -1}},
    [SCAN_BATCH_OFFSET] = {"_batch_offset", {TYPE_INT8, false, -1}},
    [SCAN_SCHEMA_ID] = {"_schema_id", {TYPE_INT4, false, -1}},
    [SCAN_HEADERS_RAW] = {"_headers_raw", {TYPE_RECORD, true, -1}},
};

struct str
plan_scan_column_name(enum scan_column column)
{
    return ox_str(scan_columns[column].name);
}

struct type
plan_scan_column_type(enum scan_column column)
{
    return scan_columns[column].type;
}

int
plan_scan_column_find(struct str name)
{
    for (int i = 0; i < SCAN_COLUMN_COUNT; i++)
        if (ox_str_is(name, scan_columns[i].name))
            return i;
    return -1;
}

static const char *const kind_names[PLAN_KIND_COUNT] = {
    [PLAN_SCAN_TOPIC] = "Topic Scan",
    [PLAN_SCAN_HEADERS] = "Batch Header Scan",
    [PLAN_SCAN_CATALOG] = "Catalog Query",
    [PLAN_VALUES] = "Values",
    [PLAN_FUNCTION_SCAN] = "Function Scan",
    [PLAN_FEED] = "Copy",
    [PLAN_FILTER] = "Filter",
    [PLAN_PROJECT] = "Project",
    [PLAN_AGGREGATE] = "Aggregate",
    [PLAN_SORT] = "Sort",
    [PLAN_LIMIT] = "Limit",
    [PLAN_DISTINCT] = "Distinct",
    [PLAN_JOIN_HASH] = "Hash Join",
    [PLAN_JOIN_LOOP] = "Nested Loop",
    [PLAN_APPEND] = "Append",
    [PLAN_SETOP] = "Set Operation",
    [PLAN_CTE_SCAN] = "CTE Scan",
    [PLAN_RECURSIVE] = "Recursive Union",
    [PLAN_WORK_SCAN] = "Work Table Scan",
    [PLAN_WINDOW] = "Window",
    [PLAN_SUBSCRIBE] = "Subscribe",
    [PLAN_INSERT] = "Insert",
};

const char *
plan_kind_name(enum plan_kind kind)
{
    return kind_names[kind];
}

/* ---- nodes ------------------------------------------------------------------------ */

static void
share_columns(struct plan *plan, const struct plan *from)
{
    plan->columns = from->columns;
    plan->column_count = from->column_count;
}

static struct plan_column *
new_columns(struct arena *arena, struct plan *plan, uint32_t count)
{
    struct plan_column *columns = ox_arena_alloc0(arena, (count + 1) * sizeof(*columns));
    plan->columns = columns;
    plan->column_count = count;
    return columns;
}

struct plan_scan_topic *
plan_scan_topic_new(struct arena *arena, const struct plan_topic *topics, uint32_t topic_count,
    const enum scan_column *what, uint32_t column_count)
{
    struct plan_scan_topic *scan = ox_arena_new(arena, struct plan_scan_topic);
    scan->plan.kind = PLAN_SCAN_TOPIC;
    scan->topics = topics;
    scan->topic_count = topic_count;
    scan->what = what;
    scan->start = SCAN_FROM_EARLIEST;
    scan->until = SCAN_UNTIL_LATEST;
    struct plan_column *columns = new_columns(arena, &scan->plan, column_count);
    for (uint32_t i = 0; i < column_count; i++)
        columns[i] =
            (struct plan_column){plan_scan_column_name(what[i]), plan_scan_column_type(what[i])};
    return scan;
}

struct plan *
plan_filter_new(struct arena *arena, struct plan *input, struct expr *condition)
{
    struct plan_filter *filter = ox_arena_new(arena, struct plan_filter);
    filter->plan.kind = PLAN_FILTER;
    filter->plan.input = input;
    filter->condition = condition;
    share_columns(&filter->plan, input);
    return &filter->plan;
}

struct plan *
plan_project_new(struct arena *arena, struct plan *input, struct expr **exprs,
    const struct str *names, uint32_t count)
{
    struct plan_project *project = ox_arena_new(arena, struct plan_project);
    project->plan.kind = PLAN_PROJECT;
    project->plan.input = input;
    project->exprs = exprs;
    struct plan_column *columns = new_columns(arena, &project->plan, count);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = (struct plan_column){names != NULL ? names[i] : OX_STR(""), exprs[i]->type};
    return &project->plan;
}

struct plan *
plan_limit_new(struct arena *arena, struct plan *input, struct expr *limit, struct expr *offset)
{
    struct plan_limit *node = ox_arena_new(arena, struct plan_limit);
    node->plan.kind = PLAN_LIMIT;
    node->plan.input = input;
    node->limit = limit;
    node->offset = offset;
    share_columns(&node->plan, input);
    return &node->plan;
}

struct plan_sort *
plan_sort_new(
    struct arena *arena, struct plan *input, const struct plan_key *keys, uint32_t key_count)
{
    struct plan_sort *sort = ox_arena_new(arena, struct plan_sort);
    sort->plan.kind = PLAN_SORT;
    sort->plan.input = input;
    sort->keys = keys;
    sort->key_count = key_count;
    share_columns(&sort->plan, input);
    return sort;
}

struct plan *
plan_distinct_new(struct arena *arena, struct plan *input, struct expr **exprs, uint32_t expr_count)
{
    struct plan_distinct *distinct = ox_arena_new(arena, struct plan_distinct);
    distinct->plan.kind = PLAN_DISTINCT;
    distinct->plan.input = input;
    distinct->exprs = exprs;
    distinct->expr_count = expr_count;
    share_columns(&distinct->plan, input);
    return &distinct->plan;
}

struct plan_aggregate *
plan_aggregate_new(struct arena *arena, struct plan *input, struct expr **keys, uint32_t key_count,
    const struct plan_agg *aggs, uint32_t agg_count)
{
    struct plan_aggregate *node = ox_arena_new(arena, struct plan_aggregate);
    node->plan.kind = PLAN_AGGREGATE;
    node->plan.input = input;
    node->keys = keys;
    node->key_count = key_count;
    node->aggs = aggs;
    node->agg_count = agg_count;
    struct plan_column *columns = new_columns(arena, &node->plan, key_count + agg_count);
    for (uint32_t i = 0; i < key_count; i++)
        columns[i] = (struct plan_column){
            keys[i]->label != NULL ? ox_str(keys[i]->label) : OX_STR(""), keys[i]->type};
    for (uint32_t i = 0; i < agg_count; i++)
        columns[key_count + i] = (struct plan_column){ox_str(aggs[i].func->name), aggs[i].type};
    return node;
}

void
plan_aggregate_groupings(struct arena *arena, struct plan_aggregate *node,
    const int32_t *groupings, uint32_t count)
{
    const struct plan_column *before = node->plan.columns;
    uint32_t width = node->key_count + node->agg_count;
    struct plan_column *columns = new_columns(arena, &node->plan, width + count);
    for (uint32_t i = 0; i < width; i++)
        columns[i] = before[i];
    for (uint32_t i = 0; i < count; i++)
        columns[width + i] = (struct plan_column){OX_STR("grouping"), TYPE(TYPE_INT4)};
    node->groupings = groupings;
    node->grouping_count = count;
}

static void
join_columns(struct arena *arena, struct plan *plan, enum join_kind kind)
{
    if (kind == JOIN_SEMI || kind == JOIN_ANTI) {
        share_columns(plan, plan->input);
        return;
    }
    uint32_t left = plan->input->column_count, right = plan->right->column_count;
    struct plan_column *columns = new_columns(arena, plan, left + right);
    for (uint32_t i = 0; i < left; i++)
        columns[i] = plan->input->columns[i];
    for (uint32_t i = 0; i < right; i++)
        columns[left + i] = plan->right->columns[i];
}

struct plan_join_hash *
plan_join_hash_new(struct arena *arena, enum join_kind kind, struct plan *left, struct plan *right,
    struct expr **left_keys, struct expr **right_keys, uint32_t key_count, struct expr *condition)
{
    struct plan_join_hash *join = ox_arena_new(arena, struct plan_join_hash);
    join->plan.kind = PLAN_JOIN_HASH;
    join->plan.input = left;
    join->plan.right = right;
    join->kind = kind;
    join->left_keys = left_keys;
    join->right_keys = right_keys;
    join->key_count = key_count;
    join->condition = condition;
    join_columns(arena, &join->plan, kind);
    return join;
}

struct plan_join_loop *
plan_join_loop_new(struct arena *arena, enum join_kind kind, struct plan *left, struct plan *right,
    struct expr *condition, bool lateral)
{
    struct plan_join_loop *join = ox_arena_new(arena, struct plan_join_loop);
    join->plan.kind = PLAN_JOIN_LOOP;
    join->plan.input = left;
    join->plan.right = right;
    join->kind = kind;
    join->condition = condition;
    join->lateral = lateral;
    join_columns(arena, &join->plan, kind);
    return join;
}

struct plan *
plan_append_new(struct arena *arena, struct plan **inputs, uint32_t count)
{
    struct plan_append *node = ox_arena_new(arena, struct plan_append);
    node->plan.kind = PLAN_APPEND;
    node->inputs = inputs;
    node->input_count = count;
    share_columns(&node->plan, inputs[0]);
    return &node->plan;
}

struct plan *
plan_setop_new(struct arena *arena, enum setop_kind kind, struct plan *left, struct plan *right)
{
    struct plan_setop *node = ox_arena_new(arena, struct plan_setop);
    node->plan.kind = PLAN_SETOP;
    node->plan.input = left;
    node->plan.right = right;
    node->kind = kind;
    share_columns(&node->plan, left);
    return &node->plan;
}

struct plan *
plan_cte_scan_new(struct arena *arena, struct plan_cte *cte)
{
    struct plan_cte_scan *scan = ox_arena_new(arena, struct plan_cte_scan);
    scan->plan.kind = PLAN_CTE_SCAN;
    scan->cte = cte;
    share_columns(&scan->plan, cte->definition);
    return &scan->plan;
}

struct plan_recursive *
plan_recursive_new(struct arena *arena, struct plan *base, bool distinct)
{
    struct plan_recursive *node = ox_arena_new(arena, struct plan_recursive);
    node->plan.kind = PLAN_RECURSIVE;
    node->plan.input = base;
    node->distinct = distinct;
    share_columns(&node->plan, base);
    return node;
}

struct plan *
plan_work_scan_new(struct arena *arena, const struct plan_recursive *of)
{
    struct plan_work_scan *scan = ox_arena_new(arena, struct plan_work_scan);
    scan->plan.kind = PLAN_WORK_SCAN;
    scan->of = of;
    share_columns(&scan->plan, &of->plan);
    return &scan->plan;
}

struct plan_window *
plan_window_new(struct arena *arena, struct plan *input, const struct window_call *calls,
    const struct str *names, uint32_t call_count)
{
    struct plan_window *window = ox_arena_new(arena, struct plan_window);
    window->plan.kind = PLAN_WINDOW;
    window->plan.input = input;
    window->calls = calls;
    window->call_count = call_count;
    uint32_t count = input->column_count;
    struct plan_column *columns = new_columns(arena, &window->plan, count + call_count);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = input->columns[i];
    for (uint32_t i = 0; i < call_count; i++)
        columns[count + i] =
            (struct plan_column){names != NULL ? names[i] : OX_STR(""), calls[i].agg.type};
    return window;
}

struct plan *
plan_values_new(struct arena *arena, struct expr **exprs, uint32_t row_count, uint32_t column_count,
    const struct str *names)
{
    struct plan_values *values = ox_arena_new(arena, struct plan_values);
    values->plan.kind = PLAN_VALUES;
    values->exprs = exprs;
    values->row_count = row_count;
    struct plan_column *columns = new_columns(arena, &values->plan, column_count);
    for (uint32_t i = 0; row_count > 0 && i < column_count; i++)
        columns[i] = (struct plan_column){names != NULL ? names[i] : OX_STR(""), exprs[i]->type};
    return &values->plan;
}

struct plan *
plan_feed_new(struct arena *arena, const struct plan_column *columns, uint32_t count)
{
    struct plan_feed *feed = ox_arena_new(arena, struct plan_feed);
    feed->plan.kind = PLAN_FEED;
    feed->plan.columns = columns;
    feed->plan.column_count = count;
    return &feed->plan;
}

struct plan *
plan_scan_catalog_new(struct arena *arena, struct str sql, struct expr **params,
    uint32_t param_count, const struct plan_column *columns, uint32_t count)
{
    struct plan_scan_catalog *scan = ox_arena_new(arena, struct plan_scan_catalog);
    scan->plan.kind = PLAN_SCAN_CATALOG;
    scan->plan.columns = columns;
    scan->plan.column_count = count;
    scan->sql = sql;
    scan->params = params;
    scan->param_count = param_count;
    return &scan->plan;
}

struct plan *
plan_function_scan_new(struct arena *arena, struct expr **calls, uint32_t call_count,
    bool ordinality, const struct plan_column *columns, uint32_t count)
{
    struct plan_function_scan *scan = ox_arena_new(arena, struct plan_function_scan);
    scan->plan.kind = PLAN_FUNCTION_SCAN;
    scan->plan.columns = columns;
    scan->plan.column_count = count;
    scan->calls = calls;
    scan->call_count = call_count;
    scan->ordinality = ordinality;
    return &scan->plan;
}

struct plan_subscribe *
plan_subscribe_new(
    struct arena *arena, struct plan *input, const struct plan_scan_topic *scan, bool progress)
{
    struct plan_subscribe *node = ox_arena_new(arena, struct plan_subscribe);
    node->plan.kind = PLAN_SUBSCRIBE;
    node->plan.input = input;
    node->scan = scan;
    node->progress = progress;
    if (!progress) {
        share_columns(&node->plan, input);
        return node;
    }
    ox_assert(input->column_count >= 2);
    struct plan_column *columns = new_columns(arena, &node->plan, input->column_count);
    columns[0] = (struct plan_column){OX_STR("_progress"), TYPE(TYPE_BOOL)};
    columns[1] = (struct plan_column){OX_STR("_token"), TYPE(TYPE_TEXT)};
    for (uint32_t i = 0; i + 2 < input->column_count; i++)
        columns[2 + i] = input->columns[i];
    return node;
}

struct plan_insert *
plan_insert_new(struct arena *arena, struct plan *input, const struct plan_topic *topic,
    const enum scan_column *returning, uint32_t count)
{
    struct plan_insert *insert = ox_arena_new(arena, struct plan_insert);
    insert->plan.kind = PLAN_INSERT;
    insert->plan.input = input;
    insert->topic = *topic;
    insert->key = insert->value = insert->headers = insert->timestamp = insert->partition = -1;
    insert->what = returning;
    struct plan_column *columns = new_columns(arena, &insert->plan, count);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = (struct plan_column){
            plan_scan_column_name(returning[i]), plan_scan_column_type(returning[i])};
    return insert;
}

/* ---- answering from headers --------------------------------------------------------- */

static bool
scans(const struct expr *expr, const struct plan_scan_topic *scan, enum scan_column what)
{
    return expr->kind == EXPR_COLUMN && scan->what[expr->column] == what;
}

struct plan *
plan_aggregate_from_headers(struct arena *arena, const struct plan_aggregate *agg, const char **why)
{
    *why = NULL;
    if (agg->plan.input->kind != PLAN_SCAN_TOPIC) {
        *why = "the input is filtered or computed";
        return NULL;
    }
    const struct plan_scan_topic *scan = (const struct plan_scan_topic *)agg->plan.input;
    if (scan->follow || scan->needle_count > 0 || scan->limit > 0 || agg->sets != NULL ||
        agg->grouping_count > 0)
        *why = "the scan is not a whole range";
    if (scan->sample_percent != NULL)
        *why = "a sample is taken of the records";
    for (uint32_t i = 0; i < scan->bound_count; i++)
        if (scan->bounds[i].what == BOUND_TIMESTAMP || scan->bounds[i].what == BOUND_KEY ||
            (scan->bounds[i].what == BOUND_OFFSET && scan->bounds[i].op == BOUND_IN))
            *why = "a condition needs the records themselves";
    struct plan_scan_headers *node = ox_arena_new(arena, struct plan_scan_headers);
    enum header_what *what = ox_arena_alloc0(arena, (agg->plan.column_count + 1) * sizeof(*what));
    for (uint32_t i = 0; *why == NULL && i < agg->key_count; i++) {
        if (scans(agg->keys[i], scan, SCAN_PARTITION)) {
            what[i] = HEADER_PARTITION;
            node->by_partition = true;
        } else if (scans(agg->keys[i], scan, SCAN_TOPIC)) {
            what[i] = HEADER_TOPIC;
            node->by_topic = true;
        } else {
            *why = "groups are not partitions";
        }
    }
    for (uint32_t i = 0; *why == NULL && i < agg->agg_count; i++) {
        const struct plan_agg *call = &agg->aggs[i];
        enum header_what *to = &what[agg->key_count + i];
        struct str name = ox_str(call->func->name);
        if (call->filter != NULL || call->distinct) {
            *why = "an aggregate has FILTER or DISTINCT";
        } else if (ox_str_is(name, "count") &&
                   (call->arg_count == 0 || scans(call->args[0], scan, SCAN_OFFSET) ||
                       scans(call->args[0], scan, SCAN_PARTITION))) {
            *to = HEADER_COUNT;
        } else if (call->arg_count == 1 && ox_str_is(name, "min") &&
                   scans(call->args[0], scan, SCAN_OFFSET)) {
            *to = HEADER_MIN_OFFSET;
        } else if (call->arg_count == 1 && ox_str_is(name, "max") &&
                   scans(call->args[0], scan, SCAN_OFFSET)) {
            *to = HEADER_MAX_OFFSET;
        } else if (call->arg_count == 1 && ox_str_is(name, "max") &&
                   scans(call->args[0], scan, SCAN_TIMESTAMP)) {
            *to = HEADER_MAX_TIMESTAMP;
        } else {
            *why = "an aggregate needs the records themselves";
        }
    }
    if (*why != NULL)
        return NULL;
    node->plan.kind = PLAN_SCAN_HEADERS;
    node->plan.rows = agg->plan.rows;
    share_columns(&node->plan, &agg->plan);
    node->scan = scan;
    node->what = what;
    return &node->plan;
}

/* ---- the last pass ------------------------------------------------------------------- */

struct finish {
    struct plan_root *root;
    size_t node_cap, cte_cap, subquery_cap, row_subquery_cap, kept_cap;
    uint32_t depth;
    uint32_t sync; /* enclosing subqueries that expressions run, where nothing may wait */
    uint32_t in_cte;
    bool any_sync;
    uint32_t rows;   /* enclosing things that run once a row: correlated subqueries, laterals */
    const struct plan *owner; /* of the expressions being visited */
    struct map seen; /* ctes */
    struct ox_err *err;
    ox_code code;
};

static void visit(struct finish *finish, const struct plan *plan);

static bool
visit_node(struct expr *expr, void *arg)
{
    struct finish *finish = arg;
    struct plan_root *root = finish->root;
    if (expr->kind != EXPR_SUBQUERY || expr->subplan == NULL)
        return finish->code == OX_OK;
    if (!expr->correlated && finish->rows == 0) {
        ox_arena_grow(root->arena, (void **)&root->subqueries, &finish->subquery_cap,
            root->subquery_count + 1, sizeof(*root->subqueries));
        root->subqueries[root->subquery_count++] = expr;
    }
    const struct plan *owner = finish->owner;
    if (expr->correlated)
        ((struct plan *)(uintptr_t)owner)->correlated = true;
    bool sync = expr->correlated || finish->rows > 0;
    finish->any_sync |= sync;
    if (sync) {
        ox_arena_grow(root->arena, (void **)&root->row_subqueries, &finish->row_subquery_cap,
            root->row_subquery_count + 1, sizeof(*root->row_subqueries));
        root->row_subqueries[root->row_subquery_count++] = expr;
    }
    finish->sync += sync;
    finish->rows += expr->correlated;
    visit(finish, expr->subplan);
    finish->rows -= expr->correlated;
    finish->sync -= sync;
    finish->owner = owner;
    return finish->code == OX_OK;
}

static void
visit_expr(struct finish *finish, struct expr *expr)
{
    if (expr != NULL)
        expr_walk(expr, visit_node, finish);
}

static void
visit_exprs(struct finish *finish, struct expr **exprs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        visit_expr(finish, exprs[i]);
}

static void
visit_keys(struct finish *finish, const struct plan_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        visit_expr(finish, keys[i].expr);
}

static void
visit_agg(struct finish *finish, const struct plan_agg *agg)
{
    visit_exprs(finish, agg->args, agg->arg_count);
    visit_expr(finish, agg->filter);
    visit_keys(finish, agg->order, agg->order_count);
}

static void
visit_scan(struct finish *finish, const struct plan_scan_topic *scan)
{
    for (uint32_t i = 0; i < scan->bound_count; i++)
        visit_exprs(finish, scan->bounds[i].values, scan->bounds[i].value_count);
    visit_expr(finish, scan->sample_percent);
    visit_expr(finish, scan->sample_seed);
    visit_expr(finish, scan->start_value);
    visit_expr(finish, scan->until_value);
}

/* A WITH query may be computed by whoever asks first, an expression too. Parameters are
 * facts of the session and see no rows. */
static void
visit_catalog(struct finish *finish, struct plan_scan_catalog *scan)
{
    struct plan_root *root = finish->root;
    scan->kept = finish->sync > 0;
    if (finish->sync == 0 && finish->in_cte == 0)
        return;
    ox_arena_grow(root->arena, (void **)&root->kept, &finish->kept_cap, root->kept_count + 1,
        sizeof(*root->kept));
    root->kept[root->kept_count++] = scan;
}

static void
choose_kept(struct finish *finish)
{
    struct plan_root *root = finish->root;
    uint32_t count = 0;
    for (uint32_t i = 0; i < root->kept_count; i++) {
        struct plan_scan_catalog *scan = (struct plan_scan_catalog *)(uintptr_t)root->kept[i];
        scan->kept |= finish->any_sync;
        if (!scan->kept)
            continue;
        scan->index = count;
        root->kept[count++] = scan;
    }
    root->kept_count = count;
}

static void
visit_window(struct finish *finish, const struct plan_window *window)
{
    visit_exprs(finish, window->partition, window->partition_count);
    visit_keys(finish, window->order, window->order_count);
    for (uint32_t i = 0; i < window->call_count; i++) {
        visit_agg(finish, &window->calls[i].agg);
        visit_expr(finish, window->calls[i].frame.start_value);
        visit_expr(finish, window->calls[i].frame.end_value);
    }
}

static void
visit_cte(struct finish *finish, struct plan_cte *cte)
{
    struct plan_root *root = finish->root;
    struct str key = ox_str_n(&cte, sizeof(cte));
    if (ox_map_get(&finish->seen, key) != NULL)
        return;
    ox_map_put(&finish->seen, key, cte);
    finish->rows += cte->correlated;
    ox_arena_grow(root->arena, (void **)&root->ctes, &finish->cte_cap, root->cte_count + 1,
        sizeof(*root->ctes));
    cte->index = root->cte_count;
    root->ctes[root->cte_count++] = cte;
    finish->in_cte++;
    visit(finish, cte->definition);
    finish->in_cte--;
    finish->rows -= cte->correlated;
}

static void
visit_sort(struct finish *finish, const struct plan_sort *node)
{
    visit_keys(finish, node->keys, node->key_count);
    visit_expr(finish, node->limit);
    visit_expr(finish, node->offset);
}

static void
visit_aggregate(struct finish *finish, const struct plan_aggregate *node)
{
    visit_exprs(finish, node->keys, node->key_count);
    for (uint32_t i = 0; i < node->agg_count; i++)
        visit_agg(finish, &node->aggs[i]);
}

static void
visit_join_hash(struct finish *finish, const struct plan_join_hash *node)
{
    visit_exprs(finish, node->left_keys, node->key_count);
    visit_exprs(finish, node->right_keys, node->key_count);
    visit_expr(finish, node->condition);
}

/* Inputs and expressions of a node. */
static void
visit_parts(struct finish *finish, const struct plan *plan)
{
    switch (plan->kind) {
    case PLAN_SCAN_TOPIC:
        visit_scan(finish, (const void *)plan);
        break;
    case PLAN_SCAN_HEADERS:
        visit_scan(finish, ((const struct plan_scan_headers *)plan)->scan);
        break;
    case PLAN_SCAN_CATALOG: {
        const struct plan_scan_catalog *node = (const void *)plan;
        visit_exprs(finish, node->params, node->param_count);
        visit_catalog(finish, (struct plan_scan_catalog *)(uintptr_t)node);
        break;
    }
    case PLAN_VALUES: {
        const struct plan_values *node = (const void *)plan;
        visit_exprs(finish, node->exprs, node->row_count * plan->column_count);
        break;
    }
    case PLAN_FUNCTION_SCAN:
        visit_exprs(finish, ((const struct plan_function_scan *)plan)->calls,
            ((const struct plan_function_scan *)plan)->call_count);
        break;
    case PLAN_FILTER:
        visit_expr(finish, ((const struct plan_filter *)plan)->condition);
        break;
    case PLAN_PROJECT:
        visit_exprs(finish, ((const struct plan_project *)plan)->exprs, plan->column_count);
        break;
    case PLAN_LIMIT:
        visit_expr(finish, ((const struct plan_limit *)plan)->limit);
        visit_expr(finish, ((const struct plan_limit *)plan)->offset);
        break;
    case PLAN_SORT:
        visit_sort(finish, (const void *)plan);
        break;
    case PLAN_DISTINCT: {
        const struct plan_distinct *node = (const void *)plan;
        visit_exprs(finish, node->exprs, node->expr_count);
        break;
    }
    case PLAN_AGGREGATE:
        visit_aggregate(finish, (const void *)plan);
        break;
    case PLAN_JOIN_HASH:
        visit_join_hash(finish, (const void *)plan);
        break;
    case PLAN_JOIN_LOOP:
        visit_expr(finish, ((const struct plan_join_loop *)plan)->condition);
        break;
    case PLAN_APPEND: {
        const struct plan_append *node = (const void *)plan;
        for (uint32_t i = 0; i < node->input_count; i++)
            visit(finish, node->inputs[i]);
        break;
    }
    case PLAN_CTE_SCAN:
        visit_cte(finish, ((const struct plan_cte_scan *)plan)->cte);
        break;
    case PLAN_WINDOW:
        visit_window(finish, (const void *)plan);
        break;
    case PLAN_FEED:
    case PLAN_SETOP:
    case PLAN_RECURSIVE:
    case PLAN_WORK_SCAN:
    case PLAN_SUBSCRIBE:
    case PLAN_INSERT:
    case PLAN_KIND_COUNT:
        break;
    }
}

/* Whether the node gives rows for ever. */
static bool
endless(const struct plan *plan)
{
    if (plan == NULL)
        return false;
    switch (plan->kind) {
    case PLAN_SCAN_TOPIC: {
        const struct plan_scan_topic *scan = (const void *)plan;
        return scan->follow && scan->until == SCAN_UNTIL_NEVER;
    }
    case PLAN_LIMIT:
        return ((const struct plan_limit *)plan)->limit == NULL && endless(plan->input);
    case PLAN_APPEND: {
        const struct plan_append *node = (const void *)plan;
        for (uint32_t i = 0; i < node->input_count; i++)
            if (endless(node->inputs[i]))
                return true;
        return false;
    }
    case PLAN_CTE_SCAN:
        return endless(((const struct plan_cte_scan *)plan)->cte->definition);
    case PLAN_SUBSCRIBE:
        return ((const struct plan_subscribe *)plan)->limit == 0 && endless(plan->input);
    default:
        return endless(plan->input) || endless(plan->right);
    }
}

static const char *
needs_an_end(const struct plan *plan)
{
    switch (plan->kind) {
    case PLAN_SORT:
        return endless(plan->input) ? "ORDER BY" : NULL;
    case PLAN_AGGREGATE:
        return endless(plan->input) ? "an aggregate" : NULL;
    case PLAN_WINDOW:
        return endless(plan->input) ? "a window function" : NULL;
    case PLAN_SETOP:
        return endless(plan->input) || endless(plan->right) ? "a set operation" : NULL;
    case PLAN_JOIN_HASH:
    case PLAN_JOIN_LOOP:
        return endless(plan->right) ? "the right side of a join" : NULL;
    case PLAN_CTE_SCAN:
        return endless(((const struct plan_cte_scan *)plan)->cte->definition) ? "a WITH query"
                                                                              : NULL;
    default:
        return NULL;
    }
}

static void
visit(struct finish *finish, const struct plan *plan)
{
    struct plan_root *root = finish->root;
    if (plan == NULL || finish->code != OX_OK)
        return;
    if (++finish->depth > DEPTH_MAX) {
        finish->code = ox_fail_plain(finish->err, OX_STATEMENT_TOO_COMPLEX);
        return;
    }
    ox_arena_grow(root->arena, (void **)&root->nodes, &finish->node_cap, root->node_count + 1,
        sizeof(*root->nodes));
    root->nodes[root->node_count] = plan;
    /* The one member that is given late. */
    ((struct plan *)(uintptr_t)plan)->id = root->node_count++;
    const char *what = needs_an_end(plan);
    if (what != NULL) {
        finish->code = ox_fail(finish->err, OX_FEATURE_NOT_SUPPORTED,
            "%s over an endless subscription would never give a row", what);
        ox_hint(finish->err, "Bound the subscription with UNTIL.");
        return;
    }
    bool lateral = plan->kind == PLAN_JOIN_LOOP && ((const struct plan_join_loop *)plan)->lateral;
    visit(finish, plan->input);
    finish->rows += lateral;
    visit(finish, plan->right);
    finish->rows -= lateral;
    finish->owner = plan;
    visit_parts(finish, plan);
    finish->depth--;
}

ox_code
plan_root_finish(struct plan_root *root, struct ox_err *err)
{
    struct finish finish = {.root = root, .err = err};
    ox_map_init(&finish.seen);
    root->node_count = root->cte_count = root->subquery_count = 0;
    root->nodes = NULL;
    root->ctes = NULL;
    root->subqueries = NULL;
    root->kept = NULL;
    root->row_subqueries = NULL;
    root->kept_count = root->row_subquery_count = 0;
    visit(&finish, root->plan);
    choose_kept(&finish);
    root->follows = finish.code == OX_OK && endless(root->plan);
    ox_map_fini(&finish.seen);
    return finish.code;
}
