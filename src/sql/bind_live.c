/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a reading of a topic starts and ends: SUBSCRIBE, and the functions that
 * read topics in FROM, subscribe(), tail(), read_topic(), topics(). */
#include <ctype.h>
#include <strings.h>

#include "base/check.h"
#include "sql/bind_int.h"

/* ---- values ---- */

/* An expression that sees no columns, in the type wanted; evaluated at open. */
ox_code
bind_value(struct bind *b, const struct ast_expr *ast, struct type type, struct expr **out)
{
    struct scope *before = b->scope;
    struct scope scope = {.place = PLACE_OPTION};
    b->scope = &scope;
    ox_code code = bind_expr(b, ast, out);
    if (code == OX_OK)
        code = expr_coerce(&b->eb, *out, type, CAST_ASSIGNMENT, out, b->err);
    if (code != OX_OK && b->err->position == 0)
        b->err->position = ast->pos + 1;
    b->scope = before;
    if (code == OX_OK)
        *out = expr_fold(&b->eb, *out);
    return code;
}

static ox_code
constant_value(struct bind *b, const struct ast_expr *ast, struct type type, struct datum *out)
{
    struct expr *expr;
    ox_code code = bind_value(b, ast, type, &expr);
    if (code == OX_OK && (!expr_is_constant(expr) || expr->value.null))
        return bind_fail(b, OX_INVALID_PARAMETER_VALUE, ast->pos, "a constant is needed here");
    if (code == OX_OK)
        *out = expr->value;
    return code;
}

/* ---- SUBSCRIBE's clauses ---- */

static ox_code
read_start(struct bind *b, const struct ast_position *from, struct plan_scan_topic *shape)
{
    switch (from->kind) {
    case AST_AT_EARLIEST: shape->start = SCAN_FROM_EARLIEST; return OX_OK;
    case AST_AT_LATEST: shape->start = SCAN_FROM_LATEST; return OX_OK;
    case AST_AT_OFFSET:
        shape->start = SCAN_FROM_OFFSET;
        return bind_value(b, from->value, TYPE(TYPE_INT8), &shape->start_value);
    case AST_AT_OFFSETS:
        shape->start = SCAN_FROM_OFFSETS;
        return bind_value(b, from->value, TYPE(TYPE_TEXT), &shape->start_value);
    case AST_AT_TIMESTAMP:
        shape->start = SCAN_FROM_TIMESTAMP;
        return bind_value(b, from->value, TYPE(TYPE_TIMESTAMPTZ), &shape->start_value);
    case AST_AT_LAST_ROWS:
        shape->start = SCAN_FROM_LAST_ROWS;
        return bind_value(b, from->value, TYPE(TYPE_INT8), &shape->start_value);
    case AST_AT_LAST_TIME:
        if (from->value->kind == AST_INTEGER) { /* LAST 10 are rows */
            shape->start = SCAN_FROM_LAST_ROWS;
            return bind_value(b, from->value, TYPE(TYPE_INT8), &shape->start_value);
        }
        shape->start = SCAN_FROM_LAST_TIME;
        return bind_value(b, from->value, TYPE(TYPE_INTERVAL), &shape->start_value);
    case AST_AT_TOKEN:
        shape->start = SCAN_FROM_TOKEN;
        return bind_value(b, from->value, TYPE(TYPE_TEXT), &shape->start_value);
    default:
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, from->pos,
            "FROM COMMITTED needs a consumer group, which SUBSCRIBE does not have");
    }
}

static ox_code
read_until(struct bind *b, const struct ast_position *until, struct plan_scan_topic *shape)
{
    switch (until->kind) {
    case AST_AT_NONE: shape->until = SCAN_UNTIL_NEVER; return OX_OK;
    case AST_AT_LATEST: shape->until = SCAN_UNTIL_LATEST; return OX_OK;
    case AST_AT_OFFSET:
        shape->until = SCAN_UNTIL_OFFSET;
        return bind_value(b, until->value, TYPE(TYPE_INT8), &shape->until_value);
    case AST_AT_OFFSETS:
        shape->until = SCAN_UNTIL_OFFSETS;
        return bind_value(b, until->value, TYPE(TYPE_TEXT), &shape->until_value);
    case AST_AT_TIMESTAMP:
        shape->until = SCAN_UNTIL_TIMESTAMP;
        return bind_value(b, until->value, TYPE(TYPE_TIMESTAMPTZ), &shape->until_value);
    case AST_AT_IDLE:
        shape->until = SCAN_UNTIL_IDLE;
        return bind_value(b, until->value, TYPE(TYPE_INTERVAL), &shape->until_value);
    default:
        return bind_fail(b, OX_SYNTAX_ERROR, until->pos, "this is no place to stop at");
    }
}

struct live_options {
    bool progress;
    int64_t heartbeat_ms;
};

static ox_code
interval_ms(struct bind *b, const struct ast_expr *ast, int64_t *out)
{
    struct datum value;
    ox_code code = constant_value(b, ast, TYPE(TYPE_INTERVAL), &value);
    if (code != OX_OK)
        return code;
    struct interval interval = datum_interval(&value);
    *out = (interval_wait_us(&interval) + 999) / 1000;
    return OX_OK;
}

/* The value of an option as a word: earliest, or 'earliest'. */
static ox_code
option_word(struct bind *b, const struct ast_option *option, struct str *word)
{
    struct datum value;
    if (option->value == NULL)
        return bind_fail(b, OX_SYNTAX_ERROR, option->pos, "option \"%.*s\" needs a value",
            OX_STR_ARG(option->name));
    if (option->value->kind == AST_COLUMN && option->value->name->count == 1) {
        *word = option->value->name->parts[0];
        return OX_OK;
    }
    ox_code code = constant_value(b, option->value, TYPE(TYPE_TEXT), &value);
    if (code == OX_OK)
        *word = value.s;
    return code;
}

static ox_code
read_option(struct bind *b, const struct ast_option *option, struct plan_scan_topic *shape,
    struct live_options *options)
{
    static const char *const known[] = {"heartbeat", "isolation", "linger", "on_gap", "progress",
        "snapshot"};
    struct datum value;
    ox_code code;
    struct str name = option->name;
    bool is_known = false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        is_known |= ox_str_is(name, known[i]);
    if (!is_known) {
        bind_fail(b, OX_INVALID_PARAMETER_VALUE, option->pos, "SUBSCRIBE has no option \"%.*s\"",
            OX_STR_ARG(name));
        return ox_hint(b->err, "Options are heartbeat, isolation, linger, on_gap, progress.");
    }
    if (ox_str_is(name, "heartbeat") && option->value != NULL)
        return interval_ms(b, option->value, &options->heartbeat_ms);
    if (ox_str_is(name, "linger")) /* the portal's */
        return OX_OK;
    if (ox_str_is(name, "progress") || ox_str_is(name, "snapshot")) {
        value = datum_bool(true);
        code = option->value != NULL ? constant_value(b, option->value, TYPE(TYPE_BOOL), &value)
                                     : OX_OK;
        if (code == OX_OK && ox_str_is(name, "progress"))
            options->progress = value.b != 0;
        return code;
    }
    struct str word = OX_STR_NULL;
    code = option_word(b, option, &word);
    if (code != OX_OK)
        return code;
    if (ox_str_is(name, "on_gap") && ox_str_is(word, "error"))
        shape->on_gap = SCAN_GAP_ERROR;
    else if (ox_str_is(name, "on_gap") && ox_str_is(word, "earliest"))
        shape->on_gap = SCAN_GAP_EARLIEST;
    else if (ox_str_is(name, "on_gap") && ox_str_is(word, "latest"))
        shape->on_gap = SCAN_GAP_LATEST;
    else if (ox_str_is(name, "isolation") && ox_str_is(word, "uncommitted"))
        shape->uncommitted = true;
    else if (!ox_str_is(name, "isolation") || !ox_str_is(word, "committed"))
        return bind_fail(b, OX_INVALID_PARAMETER_VALUE, option->pos,
            "option \"%.*s\" of SUBSCRIBE cannot be \"%.*s\"", OX_STR_ARG(name),
            OX_STR_ARG(word));
    return OX_OK;
}

static ox_code
read_clauses(struct bind *b, const struct ast_subscribe *ast, struct plan_scan_topic *shape,
    struct live_options *options)
{
    options->heartbeat_ms = 10000;
    if (ast->group.text.ptr != NULL)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->group.pos,
            "SUBSCRIBE ... GROUP is not supported; use FROM TOKEN to go on where you were");
    if (ast->envelope.text.ptr != NULL && !ox_str_ieq(ast->envelope.text, OX_STR("none")))
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->envelope.pos,
            "ENVELOPE %.*s is not supported; records of a topic are not retracted",
            OX_STR_ARG(ast->envelope.text));
    shape->follow = true;
    ox_code code = read_until(b, &ast->until, shape);
    if (code == OX_OK && ast->from.kind != AST_AT_NONE)
        code = read_start(b, &ast->from, shape);
    else
        shape->start = ast->until.kind == AST_AT_NONE ? SCAN_FROM_LATEST : SCAN_FROM_EARLIEST;
    if (code == OX_OK && ast->from.kind == AST_AT_NONE && ast->until.kind == AST_AT_NONE &&
        b->config->notice != NULL)
        b->config->notice(b->config->arg,
            "starting at the end of the topic; FROM EARLIEST starts at its beginning");
    for (size_t i = 0; ast->options != NULL && i < ast->options->count && code == OX_OK; i++)
        code = read_option(b, ast_at(ast->options, i, struct ast_option), shape, options);
    return code;
}

ox_code
bind_partitions(struct bind *b, const struct ast_list *ranges, struct rel *rel)
{
    for (size_t i = 0; ranges != NULL && i < ranges->count; i++) {
        const struct ast_range *range = ast_at(ranges, i, struct ast_range);
        if (range->first <= range->last && range->last < (int64_t)rel->topics[0].partition_count)
            continue;
        ox_fail(b->err, OX_INVALID_PARAMETER_VALUE, "topic \"%.*s\" has no partition %lld",
            OX_STR_ARG(rel->topics[0].name), (long long)range->last);
        return ox_detail(b->err, "Its partitions are 0 to %u.", rel->topics[0].partition_count - 1);
    }
    if (ranges == NULL)
        return OX_OK;
    struct scan_bound *bound = ox_arena_new(b->arena, struct scan_bound);
    uint32_t most = rel->topics[0].partition_count, count = 0;
    bound->what = BOUND_PARTITION;
    bound->op = BOUND_IN;
    bound->values = ox_arena_array(b->arena, struct expr *, most + 1);
    for (uint32_t partition = 0; partition < most; partition++)
        for (size_t i = 0; i < ranges->count; i++) {
            const struct ast_range *range = ast_at(ranges, i, struct ast_range);
            if ((int64_t)partition < range->first || (int64_t)partition > range->last)
                continue;
            bound->values[count++] =
                expr_const(b->arena, TYPE(TYPE_INT4), datum_i64(partition), 0);
            break;
        }
    bound->value_count = count;
    rel->bounds = bound;
    rel->bound_count = 1;
    return OX_OK;
}

/* ---- SUBSCRIBE topic ---- */

static ox_code
subscribed_targets(struct bind *b, const struct ast_subscribe *ast, struct rel *rel,
    struct query *query, struct expr ***exprs)
{
    uint32_t most = rel->column_count + (ast->columns ? (uint32_t)ast->columns->count : 0);
    *exprs = ox_arena_array(b->arena, struct expr *, most);
    query->columns = ox_arena_array(b->arena, struct sql_column, most + 2);
    query->count = 0;
    for (uint32_t i = 0; ast->columns == NULL && i < rel->column_count; i++) {
        struct rel_column *column = &rel->columns[i];
        if (column->hidden)
            continue;
        query->columns[query->count] =
            (struct sql_column){.name = column->name,
                .type = column->type, .table_oid = rel->oid, .attnum = column->attnum};
        (*exprs)[query->count++] = bind_column_ref(b, column, 0, b->scope, ast->pos);
    }
    for (size_t i = 0; ast->columns != NULL && i < ast->columns->count; i++) {
        const struct ast_token *name = ast_at(ast->columns, i, struct ast_token);
        bool ambiguous, rel_found;
        struct rel_column *column =
            bind_find_column(b->scope, OX_STR_NULL, name->text, &ambiguous, &rel_found);
        if (column == NULL)
            return bind_fail(b, OX_UNDEFINED_COLUMN, name->pos, "column \"%.*s\" does not exist",
                OX_STR_ARG(name->text));
        query->columns[query->count] =
            (struct sql_column){.name = column->name,
                .type = column->type, .table_oid = rel->oid, .attnum = column->attnum};
        (*exprs)[query->count++] = bind_column_ref(b, column, 0, b->scope, name->pos);
    }
    return OX_OK;
}

static void
show_rel(struct bind *b, struct scope *scope, struct rel *rel)
{
    scope->visible = ox_arena_array(b->arena, struct rel_column *, rel->column_count);
    scope->visible_count = rel->column_count;
    for (uint32_t i = 0; i < rel->column_count; i++)
        scope->visible[i] = &rel->columns[i];
}

static struct rel_column *
column_called(struct rel *rel, const char *name)
{
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (ox_str_is(rel->columns[i].name, name))
            return &rel->columns[i];
    ox_unreachable();
}

/* Targets over the scan, with what the token needs behind them. */
static void
project_targets(struct bind *b, struct rel *rel, struct expr **exprs, bool progress,
    struct fragment *at, struct query *query)
{
    uint32_t count = query->count;
    struct expr **all = ox_arena_array(b->arena, struct expr *, count + 2);
    struct str *names = ox_arena_array(b->arena, struct str, count + 2);
    for (uint32_t i = 0; i < count; i++) {
        all[i] = exprs[i];
        names[i] = query->columns[i].name;
    }
    if (progress) {
        names[count] = OX_STR("_partition");
        all[count++] = bind_column_ref(b, column_called(rel, "_partition"), 0, b->scope, 0);
        names[count] = OX_STR("_offset");
        all[count++] = bind_column_ref(b, column_called(rel, "_offset"), 0, b->scope, 0);
    }
    for (uint32_t i = 0; i < count; i++)
        bind_resolve(all[i], b->scope, at->ids, at->count, NULL);
    at->plan = plan_project_new(b->arena, at->plan, all, names, count);
}

static void
add_progress_columns(struct bind *b, struct query *query)
{
    struct sql_column *columns =
        ox_arena_array(b->arena, struct sql_column, query->count + 2);
    columns[0] = (struct sql_column){.name = OX_STR("_progress"), .type = TYPE(TYPE_BOOL)};
    columns[1] = (struct sql_column){.name = OX_STR("_token"), .type = TYPE(TYPE_TEXT)};
    if (query->count > 0)
        memcpy(columns + 2, query->columns, query->count * sizeof(columns[0]));
    query->columns = columns;
    query->count += 2;
}

static ox_code
wrap_subscribe(struct bind *b, const struct ast_subscribe *ast, const struct live_options *options,
    const struct plan_scan_topic *scan, struct query *query)
{
    struct plan_subscribe *node =
        plan_subscribe_new(b->arena, query->plan, scan, options->progress);
    node->heartbeat_ms = options->heartbeat_ms;
    if (ast->limit != NULL) {
        struct datum limit;
        ox_code code = constant_value(b, ast->limit, TYPE(TYPE_INT8), &limit);
        if (code != OX_OK)
            return code;
        if (limit.i < 0)
            return bind_fail(b, OX_INVALID_ROW_COUNT_IN_LIMIT, ast->limit->pos,
                "LIMIT must not be negative");
        node->limit = (uint64_t)limit.i;
        if (limit.i == 0) { /* no row at all */
            query->plan = plan_limit_new(b->arena, &node->plan,
                expr_const(b->arena, TYPE(TYPE_INT8), datum_i64(0), 0), NULL);
            return OX_OK;
        }
    }
    query->plan = &node->plan;
    return OX_OK;
}

static ox_code
subscribe_topic(struct bind *b, const struct ast_subscribe *ast, struct plan_scan_topic *shape,
    const struct live_options *options, struct query *query)
{
    struct scope *scope = ox_arena_new(b->arena, struct scope);
    const struct meta_topic *topic;
    struct expr **exprs, *where = NULL;
    struct fragment at;
    ox_code code = bind_topic(b->config, ast->table, &topic, b->err);
    if (code != OX_OK)
        return code;
    if (!engine_allowed(b->config->session, ENGINE_TOPIC, topic->name, ENGINE_READ))
        return bind_fail(b, OX_TOPIC_AUTHORIZATION_FAILED, ast->pos,
            "permission denied for topic \"%s\"", topic->name.ptr);
    b->scope = scope;
    struct rel *rel = bind_add_topic(b, scope, topic, topic->name, ast->pos);
    rel->shape = shape;
    code = bind_partitions(b, ast->partitions, rel);
    if (code != OX_OK)
        return code;
    show_rel(b, scope, rel);
    if (options->progress) {
        column_called(rel, "_partition")->used = true;
        column_called(rel, "_offset")->used = true;
    }
    if (ast->where != NULL)
        code = bind_condition(b, ast->where, PLACE_WHERE, "WHERE", &where);
    if (code == OX_OK)
        code = subscribed_targets(b, ast, rel, query, &exprs);
    if (code == OX_OK)
        code = bind_plan_topic(b, rel, where, &at);
    if (code != OX_OK)
        return code;
    project_targets(b, rel, exprs, options->progress, &at, query);
    query->plan = at.plan;
    code = wrap_subscribe(b, ast, options, rel->scan, query);
    if (options->progress)
        add_progress_columns(b, query);
    return code;
}

static const struct plan_scan_topic *
scan_below(const struct plan *plan)
{
    while (plan != NULL && plan->kind != PLAN_SCAN_TOPIC)
        plan = plan->input;
    return (const struct plan_scan_topic *)plan;
}

/* ---- SUBSCRIBE (query) ---- */

static struct ast_target *
position_target(struct bind *b, const char *name, int pos)
{
    struct ast_target *target = ox_arena_new(b->arena, struct ast_target);
    target->expr = ox_arena_new(b->arena, struct ast_expr);
    target->expr->kind = AST_COLUMN;
    target->expr->pos = target->pos = pos;
    target->expr->name = ox_arena_new(b->arena, struct ast_name);
    *target->expr->name = (struct ast_name){.pos = pos, .count = 1, .parts = {ox_str(name)}};
    return target;
}

/* Tokens need to know which record a row is of, so a query with progress gives at
 * most one row for a record; it gets the record's position behind its columns. */
static ox_code
with_positions(struct bind *b, const struct ast_select *select, const struct ast_select **out)
{
    const struct ast_from *from =
        select->from != NULL && select->from->count == 1 ? ast_at(select->from, 0, struct ast_from)
                                                         : NULL;
    if (select->op != AST_SET_NONE || select->values != NULL || select->ctes != NULL ||
        from == NULL || from->kind != AST_FROM_TABLE || select->group != NULL ||
        select->having != NULL || select->distinct || select->order != NULL ||
        select->limit != NULL || select->offset != NULL) {
        bind_fail(b, OX_FEATURE_NOT_SUPPORTED, select->pos,
            "progress needs a query that gives at most one row for each record of one topic");
        return ox_hint(b->err, "SELECT expressions FROM topic WHERE condition is such a query; "
                               "LIMIT belongs to SUBSCRIBE.");
    }
    struct ast_select *copy = ox_arena_copy(b->arena, select, sizeof(*select));
    struct ast_list *targets = ox_arena_new(b->arena, struct ast_list);
    size_t count = select->targets->count;
    targets->items = ox_arena_array(b->arena, void *, count + 2);
    memcpy(targets->items, select->targets->items, count * sizeof(void *));
    targets->items[count] = position_target(b, "_partition", select->pos);
    targets->items[count + 1] = position_target(b, "_offset", select->pos);
    targets->count = targets->cap = count + 2;
    copy->targets = targets;
    *out = copy;
    return OX_OK;
}

static bool
row_a_record(const struct plan *plan)
{
    if (plan->kind != PLAN_PROJECT)
        return false;
    for (plan = plan->input; plan->kind == PLAN_FILTER;)
        plan = plan->input;
    return plan->kind == PLAN_SCAN_TOPIC;
}

static ox_code
subscribe_query(struct bind *b, const struct ast_subscribe *ast, struct plan_scan_topic *shape,
    const struct live_options *options, struct query *query)
{
    const struct ast_select *select = ast->select;
    ox_code code = options->progress ? with_positions(b, select, &select) : OX_OK;
    if (code != OX_OK)
        return code;
    b->follow = shape;
    b->follow_partitions = ast->partitions;
    code = bind_query(b, select, NULL, query);
    b->follow = NULL;
    if (code != OX_OK)
        return code;
    const struct plan_scan_topic *scan = scan_below(query->plan);
    if (!b->live || scan == NULL)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->pos,
            "SUBSCRIBE (query) takes a SELECT from one topic");
    if (options->progress && !row_a_record(query->plan))
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->pos,
            "progress needs a query that gives at most one row for each record of one topic");
    if (options->progress)
        query->count -= 2;
    code = wrap_subscribe(b, ast, options, scan, query);
    if (options->progress)
        add_progress_columns(b, query);
    return code;
}

ox_code
bind_subscribe(const struct bind_config *config, const struct ast_subscribe *ast,
    struct arena *arena, struct bound *out, struct ox_err *err)
{
    struct bind b;
    struct query query;
    struct live_options options = {0};
    bind_init(&b, config, arena, err);
    struct plan_scan_topic *shape = ox_arena_new(arena, struct plan_scan_topic);
    ox_code code = read_clauses(&b, ast, shape, &options);
    if (code == OX_OK)
        code = ast->select != NULL ? subscribe_query(&b, ast, shape, &options, &query)
                                   : subscribe_topic(&b, ast, shape, &options, &query);
    b.live = true;
    return bind_finish(&b, code, &query, out);
}

/* ---- functions in FROM ---- */

bool
bind_is_topic_function(struct str name)
{
    return ox_str_is(name, "subscribe") || ox_str_is(name, "tail") ||
           ox_str_is(name, "read_topic") || ox_str_is(name, "topics");
}

/* An argument by name, or by position where it has none; NULL: not given. */
static const struct ast_expr *
find_arg(const struct ast_expr *call, const char *name, size_t position)
{
    const struct ast_list *args = call->call->args;
    for (size_t i = 0; args != NULL && i < args->count; i++) {
        const struct ast_expr *arg = ast_at(args, i, struct ast_expr);
        if (arg->kind == AST_NAMED ? ox_str_is(arg->text, name) : i == position)
            return arg->kind == AST_NAMED ? arg->a : arg;
    }
    return NULL;
}

static ox_code
check_arg_names(struct bind *b, const struct ast_expr *call, const char *const *names)
{
    const struct ast_list *args = call->call->args;
    for (size_t i = 0; args != NULL && i < args->count; i++) {
        const struct ast_expr *arg = ast_at(args, i, struct ast_expr);
        bool known = arg->kind != AST_NAMED;
        for (size_t j = 0; names[j] != NULL && !known; j++)
            known = ox_str_is(arg->text, names[j]);
        if (!known)
            return bind_fail(b, OX_UNDEFINED_FUNCTION, arg->pos,
                "function has no argument named \"%.*s\"", OX_STR_ARG(arg->text));
    }
    return OX_OK;
}

static ox_code
topic_arg(struct bind *b, struct scope *scope, const struct ast_expr *call, struct str alias,
    struct rel **out)
{
    struct datum name;
    const struct meta_topic *topic;
    const struct ast_expr *arg = find_arg(call, "topic", 0);
    if (arg == NULL)
        return bind_fail(b, OX_UNDEFINED_FUNCTION, call->pos, "the name of a topic is missing");
    ox_code code = constant_value(b, arg, TYPE(TYPE_TEXT), &name);
    if (code != OX_OK)
        return code;
    struct ast_name one = {.pos = arg->pos, .count = 1, .parts = {name.s}};
    code = bind_topic(b->config, &one, &topic, b->err);
    if (code != OX_OK)
        return code;
    if (!engine_allowed(b->config->session, ENGINE_TOPIC, topic->name, ENGINE_READ))
        return bind_fail(b, OX_TOPIC_AUTHORIZATION_FAILED, arg->pos,
            "permission denied for topic \"%s\"", topic->name.ptr);
    *out = bind_add_topic(b, scope, topic, alias, call->pos);
    return *out != NULL ? OX_OK : b->err->code;
}

/* start => and stop =>: words, a number, a timestamp, '{0:12}', 'last 10' or a token. */
static ox_code
position_arg(struct bind *b, const struct ast_expr *arg, bool start, struct ast_position *out)
{
    out->pos = arg->pos;
    out->value = (struct ast_expr *)arg;
    if (arg->kind == AST_NULL) {
        out->kind = AST_AT_NONE;
    } else if (arg->kind != AST_STRING) {
        out->kind = arg->kind == AST_INTEGER || arg->kind == AST_PARAM ? AST_AT_OFFSET
                                                                       : AST_AT_TIMESTAMP;
    } else if (ox_str_ieq(arg->text, OX_STR("latest"))) {
        out->kind = AST_AT_LATEST;
    } else if (ox_str_ieq(arg->text, OX_STR("earliest")) && start) {
        out->kind = AST_AT_EARLIEST;
    } else if (arg->text.len > 0 && arg->text.ptr[0] == '{') {
        out->kind = AST_AT_OFFSETS;
    } else if (arg->text.len > 4 && isdigit((uint8_t)arg->text.ptr[0]) && arg->text.ptr[4] == '-') {
        out->kind = AST_AT_TIMESTAMP; /* tokens, which may have a dash too, begin with a letter */
    } else if (start && arg->text.len > 5 && strncasecmp(arg->text.ptr, "last ", 5) == 0) {
        struct ast_expr *value = ox_arena_new(b->arena, struct ast_expr);
        int64_t rows;
        *value = *arg;
        value->text = ox_str_n(arg->text.ptr + 5, arg->text.len - 5);
        out->kind = AST_AT_LAST_TIME; /* or rows */
        value->kind = ox_str_to_i64(value->text, &rows) ? AST_INTEGER : AST_STRING;
        out->value = value;
    } else if (start) {
        out->kind = AST_AT_TOKEN;
    } else {
        return bind_fail(b, OX_INVALID_PARAMETER_VALUE, arg->pos,
            "\"%.*s\" is no place to stop at", OX_STR_ARG(arg->text));
    }
    return OX_OK;
}

static ox_code
bind_subscribe_function(struct bind *b, const struct ast_expr *call,
    struct plan_scan_topic *shape)
{
    static const char *const names[] = {"topic", "start", "stop", "progress", NULL};
    struct ast_position from = {.kind = AST_AT_NONE}, until = {.kind = AST_AT_NONE};
    const struct ast_expr *start = find_arg(call, "start", 1), *stop = find_arg(call, "stop", 2);
    ox_code code = check_arg_names(b, call, names);
    if (code == OX_OK && start != NULL)
        code = position_arg(b, start, true, &from);
    if (code == OX_OK && stop != NULL)
        code = position_arg(b, stop, false, &until);
    shape->follow = true;
    shape->start = until.kind == AST_AT_NONE ? SCAN_FROM_LATEST : SCAN_FROM_EARLIEST;
    if (code == OX_OK && from.kind != AST_AT_NONE)
        code = read_start(b, &from, shape);
    if (code == OX_OK)
        code = read_until(b, &until, shape);
    b->live |= shape->until == SCAN_UNTIL_NEVER;
    return code;
}

static ox_code
bind_tail_function(struct bind *b, const struct ast_expr *call, struct plan_scan_topic *shape)
{
    static const char *const names[] = {"topic", "n", NULL};
    const struct ast_expr *rows = find_arg(call, "n", 1);
    ox_code code = check_arg_names(b, call, names);
    shape->follow = true;
    shape->start = SCAN_FROM_LAST_ROWS;
    shape->until = SCAN_UNTIL_LATEST;
    if (rows == NULL)
        shape->start_value = expr_const(b->arena, TYPE(TYPE_INT8), datum_i64(10), 0);
    else if (code == OX_OK)
        code = bind_value(b, rows, TYPE(TYPE_INT8), &shape->start_value);
    return code;
}

static ox_code
bind_read_function(struct bind *b, const struct ast_expr *call, struct rel *rel)
{
    static const char *const names[] = {"topic", "partition", "from_offset", "to_offset", NULL};
    static const struct {
        enum scan_bound_what what;
        enum scan_bound_op op;
        enum type_id type;
    } bounds[] = {{BOUND_PARTITION, BOUND_EQ, TYPE_INT4}, {BOUND_OFFSET, BOUND_GE, TYPE_INT8},
        {BOUND_OFFSET, BOUND_LT, TYPE_INT8}};
    ox_code code = check_arg_names(b, call, names);
    rel->bounds = ox_arena_array(b->arena, struct scan_bound, 3);
    for (size_t i = 0; i < 3 && code == OX_OK; i++) {
        const struct ast_expr *arg = find_arg(call, names[i + 1], i + 1);
        if (arg == NULL)
            continue;
        struct scan_bound *bound = &rel->bounds[rel->bound_count++];
        *bound = (struct scan_bound){bounds[i].what, bounds[i].op,
            ox_arena_array(b->arena, struct expr *, 1), 1};
        code = bind_value(b, arg, TYPE(bounds[i].type), &bound->values[0]);
    }
    return code;
}

/* * stands for any characters, ? for one. */
static bool
glob_matches(struct str pattern, struct str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, back = 0;
    while (n < name.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            back = n;
        } else if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == name.ptr[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

/* topics('orders-*'): the topics of that name which may be read, as one relation. */
static ox_code
bind_topics_function(struct bind *b, struct scope *scope, const struct ast_expr *call,
    struct str alias, struct rel **out)
{
    static const char *const names[] = {"pattern", NULL};
    const struct meta_view *view = engine_view(b->config->session->engine);
    const struct ast_expr *arg = find_arg(call, "pattern", 0);
    struct datum pattern;
    ox_code code = check_arg_names(b, call, names);
    if (code == OX_OK && arg == NULL)
        code = bind_fail(b, OX_UNDEFINED_FUNCTION, call->pos, "the pattern of names is missing");
    if (code == OX_OK)
        code = constant_value(b, arg, TYPE(TYPE_TEXT), &pattern);
    if (code != OX_OK)
        return code;
    struct plan_topic *topics = ox_arena_array(b->arena, struct plan_topic, view->topic_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        /* An internal topic only where the pattern begins like one. */
        if ((topic->internal && (pattern.s.len < 2 || memcmp(pattern.s.ptr, "__", 2) != 0)) ||
            !glob_matches(pattern.s, topic->name) ||
            !engine_allowed(b->config->session, ENGINE_TOPIC, topic->name, ENGINE_READ))
            continue;
        topics[count++] = (struct plan_topic){.name = ox_str_dup(b->arena, topic->name),
            .id = topic->id, .partition_count = topic->partition_count};
    }
    *out = bind_add_topics(b, scope, topics, count, alias, call->pos);
    if (*out == NULL)
        return b->err->code;
    column_called(*out, "_topic")->hidden = false;
    return OX_OK;
}

/* subscribe('t', progress => true): the statement's plan as a relation. */
static ox_code
bind_subscribe_progress(struct bind *b, struct scope *scope, const struct ast_expr *call,
    struct str alias, struct plan_scan_topic *shape, struct rel **out)
{
    const struct ast_expr *topic = find_arg(call, "topic", 0);
    struct live_options options = {.progress = true, .heartbeat_ms = 10000};
    struct ast_subscribe ast = {.pos = call->pos};
    struct datum name;
    struct query query;
    ox_code code = topic != NULL ? constant_value(b, topic, TYPE(TYPE_TEXT), &name)
                                 : bind_fail(b, OX_UNDEFINED_FUNCTION, call->pos,
                                       "the name of a topic is missing");
    if (code != OX_OK)
        return code;
    struct ast_name one = {.pos = topic->pos, .count = 1, .parts = {name.s}};
    ast.table = &one;
    code = bind_subscribe_function(b, call, shape);
    if (code == OX_OK)
        code = subscribe_topic(b, &ast, shape, &options, &query);
    b->scope = scope;
    if (code != OX_OK)
        return code;
    *out = bind_add_query(b, scope, &query, alias, call->pos);
    return *out != NULL ? OX_OK : b->err->code;
}

ox_code
bind_topic_function(struct bind *b, struct scope *scope, const struct ast_expr *call,
    struct str alias, struct rel **out)
{
    struct str name = call->call->name->parts[call->call->name->count - 1];
    struct plan_scan_topic *shape = ox_arena_new(b->arena, struct plan_scan_topic);
    if (ox_str_is(name, "topics"))
        return bind_topics_function(b, scope, call, alias, out);
    const struct ast_expr *progress = find_arg(call, "progress", 3);
    struct datum on = {0};
    if (ox_str_is(name, "subscribe") && progress != NULL) {
        ox_code bad = constant_value(b, progress, TYPE(TYPE_BOOL), &on);
        if (bad != OX_OK || on.b)
            return bad != OX_OK ? bad
                                : bind_subscribe_progress(b, scope, call, alias, shape, out);
    }
    ox_code code = topic_arg(b, scope, call, alias, out);
    if (code != OX_OK)
        return code;
    if (ox_str_is(name, "read_topic"))
        return bind_read_function(b, call, *out);
    (*out)->shape = shape;
    return ox_str_is(name, "tail") ? bind_tail_function(b, call, shape)
                                   : bind_subscribe_function(b, call, shape);
}
