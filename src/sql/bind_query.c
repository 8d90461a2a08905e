/* SPDX-License-Identifier: Apache-2.0
 *
 * SELECT and VALUES; bind_setop.c has set operations and WITH. A simple SELECT
 * becomes, from the bottom:
 *
 *   FROM and WHERE -> set-returning functions -> GROUP BY -> HAVING -> windows ->
 *   targets (and what ORDER BY needs besides) -> DISTINCT -> ORDER BY -> LIMIT ->
 *   the targets alone */
#include "base/check.h"
#include "sql/bind_int.h"

/* ---- targets ---- */

struct target_list {
    struct expr **exprs;
    struct sql_column *columns;
    size_t expr_cap, column_cap;
    uint32_t count;
};

static void
add_target(struct bind *b, struct target_list *list, struct expr *expr, struct sql_column column)
{
    ox_arena_grow(b->arena, (void **)&list->exprs, &list->expr_cap, list->count + 1,
        sizeof(*list->exprs));
    ox_arena_grow(b->arena, (void **)&list->columns, &list->column_cap, list->count + 1,
        sizeof(*list->columns));
    list->exprs[list->count] = expr;
    list->columns[list->count++] = column;
}

static const struct rel *
rel_of_column(const struct scope *scope, const struct rel_column *column)
{
    for (uint32_t i = 0; i < scope->rel_count; i++)
        if (column >= scope->rels[i]->columns &&
            column < scope->rels[i]->columns + scope->rels[i]->column_count)
            return scope->rels[i];
    return NULL;
}

static void
add_column_target(struct bind *b, struct target_list *list, struct rel_column *column, int pos)
{
    const struct rel *rel = rel_of_column(b->scope, column);
    struct expr *expr = bind_column_ref(b, column, 0, b->scope, pos);
    struct sql_column out = {column->name, column->type, rel != NULL ? rel->oid : 0,
        rel != NULL && rel->oid != 0 ? column->attnum : 0, false, column->shape};
    add_target(b, list, expr, out);
}

/* *, or rel.* */
static ox_code
add_star(struct bind *b, struct target_list *list, const struct ast_expr *star)
{
    struct scope *scope = b->scope;
    uint32_t before = list->count;
    if (star->name == NULL || star->name->count == 0) {
        if (scope->rel_count == 0)
            return bind_fail(b, OX_SYNTAX_ERROR, star->pos,
                "SELECT * with no tables specified is not valid");
        for (uint32_t i = 0; i < scope->visible_count; i++)
            if (!scope->visible[i]->hidden)
                add_column_target(b, list, scope->visible[i], star->pos);
        return OX_OK;
    }
    struct str name = star->name->parts[star->name->count - 1];
    for (uint32_t i = 0; i < scope->rel_count; i++) {
        struct rel *rel = scope->rels[i];
        if (!ox_str_eq(rel->alias, name))
            continue;
        for (uint32_t j = 0; j < rel->column_count; j++)
            if (!rel->columns[j].hidden)
                add_column_target(b, list, &rel->columns[j], star->pos);
        return OX_OK;
    }
    (void)before;
    return bind_missing_relation(b, star->pos, name);
}

/* (record).* */
static ox_code
add_fields(struct bind *b, struct target_list *list, const struct ast_expr *ast)
{
    struct expr *record;
    ox_code code = bind_expr(b, ast->a, &record);
    if (code != OX_OK)
        return code;
    if (record->type.id != TYPE_RECORD)
        return bind_fail(b, OX_WRONG_OBJECT_TYPE, ast->pos, "type %s is not composite",
            type_name(record->type, b->arena));
    if (bind_field_count(record) == 0)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->pos,
            "record type has not been registered");
    for (uint32_t i = 0; i < bind_field_count(record); i++) {
        struct sql_column column = {0};
        struct expr *field = bind_field_at(b, record, i, &column.name);
        code = expr_settle(&b->eb, &field, b->err);
        if (code != OX_OK)
            return code;
        column.type = field->type;
        add_target(b, list, field, column);
    }
    return OX_OK;
}

/* Which relation's column a bare reference is, for RowDescription. */
static void
describe_source(const struct scope *scope, const struct expr *expr, struct sql_column *column)
{
    if (expr->kind != EXPR_COLUMN)
        return;
    for (uint32_t i = 0; i < scope->rel_count; i++)
        for (uint32_t j = 0; j < scope->rels[i]->column_count; j++)
            if (scope->rels[i]->columns[j].id == expr->column && scope->rels[i]->oid != 0) {
                column->table_oid = scope->rels[i]->oid;
                column->attnum = scope->rels[i]->columns[j].attnum;
            }
}

ox_code
bind_targets(struct bind *b, const struct ast_list *targets, struct expr ***exprs,
    struct sql_column **columns, uint32_t *count)
{
    struct target_list list = {0};
    b->scope->place = PLACE_TARGET;
    for (size_t i = 0; targets != NULL && i < targets->count; i++) {
        const struct ast_target *target = ast_at(targets, i, struct ast_target);
        struct expr *expr;
        ox_code code;
        if (target->expr->kind == AST_STAR) {
            code = add_star(b, &list, target->expr);
            if (code != OX_OK)
                return code;
            continue;
        }
        if (target->expr->kind == AST_FIELD && ox_str_is(target->expr->text, "*")) {
            code = add_fields(b, &list, target->expr);
            if (code != OX_OK)
                return code;
            continue;
        }
        code = bind_expr(b, target->expr, &expr);
        bool unknown = code == OX_OK && expr->type.id == TYPE_UNKNOWN;
        if (code == OX_OK)
            code = expr_settle(&b->eb, &expr, b->err);
        if (code != OX_OK)
            return code;
        struct sql_column column = {
            target->alias.ptr != NULL ? target->alias : bind_target_name(target->expr),
            expr->type, 0, 0, unknown, expr->kind == EXPR_ROW ? expr : expr->shape};
        describe_source(b->scope, expr, &column);
        add_target(b, &list, expr, column);
    }
    if (list.count > BIND_COLUMNS_MAX)
        return bind_fail(b, OX_TOO_MANY_COLUMNS, -1, "target lists can have at most %d entries",
            BIND_COLUMNS_MAX);
    *exprs = list.exprs;
    *columns = list.columns;
    *count = list.count;
    return OX_OK;
}

/* ---- GROUP BY and ORDER BY items: numbers, output names, expressions ---- */

/* *number is UINT32_MAX when no output column has the name. */
static ox_code
find_output_name(struct bind *b, const struct simple *simple, const struct ast_expr *ast,
    const char *clause, uint32_t *number)
{
    struct str name = ast->name->parts[0];
    *number = UINT32_MAX;
    for (uint32_t i = 0; i < simple->target_count; i++) {
        if (!ox_str_eq(simple->columns[i].name, name))
            continue;
        if (*number == UINT32_MAX)
            *number = i;
        else if (!expr_equal(simple->targets[*number], simple->targets[i]))
            return bind_fail(b, OX_AMBIGUOUS_COLUMN, ast->pos, "%s \"%.*s\" is ambiguous", clause,
                OX_STR_ARG(name));
    }
    return OX_OK;
}

static ox_code
number_item(struct bind *b, const struct simple *simple, const struct ast_expr *ast,
    const char *clause, uint32_t *number)
{
    int64_t value;
    if (!ox_str_to_i64(ast->text, &value) || value < 1 || value > simple->target_count)
        return bind_fail(b, OX_INVALID_COLUMN_REFERENCE, ast->pos,
            "%s position %.*s is not in select list", clause, OX_STR_ARG(ast->text));
    *number = (uint32_t)value - 1;
    return OX_OK;
}

static bool
is_bare_name(const struct ast_expr *ast)
{
    return ast->kind == AST_COLUMN && ast->name->count == 1;
}

ox_code
bind_group_item(struct bind *b, struct simple *simple, const struct ast_expr *ast,
    struct expr **out)
{
    uint32_t number;
    bool ambiguous = false, rel_found;
    if (ast->kind == AST_INTEGER) {
        ox_code code = number_item(b, simple, ast, "GROUP BY", &number);
        if (code == OX_OK)
            *out = simple->targets[number];
        return code;
    }
    if (is_bare_name(ast) &&
        bind_find_column(b->scope, OX_STR_NULL, ast->name->parts[0], &ambiguous, &rel_found) ==
            NULL &&
        !ambiguous) {
        ox_code code = find_output_name(b, simple, ast, "GROUP BY", &number);
        if (code != OX_OK)
            return code;
        if (number != UINT32_MAX) {
            *out = simple->targets[number];
            return OX_OK;
        }
    }
    b->scope->place = PLACE_GROUP;
    ox_code code = bind_expr(b, ast, out);
    return code == OX_OK ? expr_settle(&b->eb, out, b->err) : code;
}

/* GROUP BY, DISTINCT and set operations compare. */
ox_code
bind_check_equality(struct bind *b, struct type type, int pos)
{
    return type_orderable(type)
               ? OX_OK
               : bind_fail(b, OX_UNDEFINED_FUNCTION, pos,
                     "could not identify an equality operator for type %s",
                     type_name(type, b->arena));
}

static bool
sees_aggregate(struct expr *node, void *arg)
{
    const struct scope *scope = ((void **)arg)[0];
    bool *found = ((void **)arg)[1];
    for (uint32_t i = 0; node->kind == EXPR_COLUMN && i < scope->agg_count; i++)
        *found |= scope->aggs[i].id == node->column;
    return true;
}

static bool
uses_aggregate(const struct scope *scope, struct expr *expr)
{
    bool found = false;
    const void *arg[2] = {scope, &found};
    expr_walk(expr, sees_aggregate, arg);
    return found;
}

static ox_code
bind_order_item(struct bind *b, struct simple *simple, const struct ast_order *item, uint32_t at)
{
    struct plan_key *key = &simple->keys[at];
    uint32_t number = UINT32_MAX;
    ox_code code = OX_OK;
    key->desc = item->desc || ox_str_is(item->op, ">");
    key->nulls_first = item->nulls == 'F' || (item->nulls == 0 && key->desc);
    if (item->expr->kind == AST_INTEGER) {
        code = number_item(b, simple, item->expr, "ORDER BY", &number);
    } else {
        number = UINT32_MAX;
        if (is_bare_name(item->expr))
            code = find_output_name(b, simple, item->expr, "ORDER BY", &number);
    }
    if (code == OX_OK && number == UINT32_MAX) {
        b->scope->place = PLACE_ORDER;
        code = bind_expr(b, item->expr, &key->expr);
        if (code == OX_OK)
            code = expr_settle(&b->eb, &key->expr, b->err);
        for (uint32_t i = 0; i < simple->target_count && code == OX_OK; i++)
            if (expr_equal(simple->targets[i], key->expr))
                number = i;
    }
    if (code != OX_OK)
        return code;
    simple->key_targets[at] = number;
    struct type type = number != UINT32_MAX ? simple->targets[number]->type : key->expr->type;
    if (!type_orderable(type))
        return bind_fail(b, OX_UNDEFINED_FUNCTION, item->expr->pos,
            "could not identify an ordering operator for type %s", type_name(type, b->arena));
    if (number == UINT32_MAX && (simple->ast->distinct && simple->ast->distinct_on == NULL))
        return bind_fail(b, OX_INVALID_COLUMN_REFERENCE, item->expr->pos,
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    return OX_OK;
}

static ox_code
bind_order(struct bind *b, struct simple *simple, const struct ast_list *order)
{
    simple->key_count = order != NULL ? (uint32_t)order->count : 0;
    simple->keys = ox_arena_array(b->arena, struct plan_key, simple->key_count);
    simple->key_targets = ox_arena_array(b->arena, uint32_t, simple->key_count);
    for (uint32_t i = 0; i < simple->key_count; i++) {
        ox_code code = bind_order_item(b, simple, ast_at(order, i, struct ast_order), i);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

/* LIMIT and OFFSET see no columns of this query. */
static ox_code
bind_limit_value(struct bind *b, struct scope *scope, const struct ast_expr *ast,
    const char *what, struct expr **out)
{
    struct scope inner = {.parent = NULL, .place = PLACE_LIMIT};
    *out = NULL;
    if (ast == NULL)
        return OX_OK;
    b->scope = &inner;
    ox_code code = bind_expr(b, ast, out);
    if (code == OX_OK)
        code = expr_coerce(&b->eb, *out, TYPE(TYPE_INT8), CAST_ASSIGNMENT, out, b->err);
    b->scope = scope;
    if (code != OX_OK) {
        if (b->err->code == OX_UNDEFINED_COLUMN)
            return bind_fail(b, OX_INVALID_COLUMN_REFERENCE, ast->pos,
                "argument of %s must not contain variables", what);
        return code;
    }
    *out = expr_fold(&b->eb, *out);
    if (expr_is_constant(*out) && !(*out)->value.null && (*out)->value.i < 0)
        return bind_fail(b, what[0] == 'L' ? OX_INVALID_ROW_COUNT_IN_LIMIT
                                           : OX_INVALID_ROW_COUNT_IN_OFFSET,
            ast->pos, "%s must not be negative", what);
    return OX_OK;
}

/* ---- grouping: what stands above an aggregate ---- */

struct regroup {
    struct bind *b;
    const struct simple *simple;
};

static struct expr *
group_reference(const struct expr *node, void *arg)
{
    struct regroup *to = arg;
    const struct simple *simple = to->simple;
    for (uint32_t i = 0; i < simple->group_count; i++)
        if (node == simple->group[i] || expr_equal(node, simple->group[i]))
            return expr_column(to->b->arena, simple->group_ids[i], node->type, node->label,
                node->position);
    if (node->kind == EXPR_SUBQUERY) { /* stays itself: outer references know it */
        struct expr *subquery = (struct expr *)node;
        for (uint32_t i = 0; i < subquery->nargs; i++)
            subquery->args[i] =
                expr_map(to->b->arena, subquery->args[i], group_reference, arg);
        return subquery;
    }
    return NULL;
}

static struct expr *
regroup(struct bind *b, const struct simple *simple, struct expr *expr)
{
    struct regroup to = {b, simple};
    return expr != NULL ? expr_map(b->arena, expr, group_reference, &to) : NULL;
}

struct ungrouped {
    const struct fragment *input;
    const struct expr *found;
};

static bool
find_ungrouped(struct expr *node, void *arg)
{
    struct ungrouped *to = arg;
    if (node->kind != EXPR_COLUMN || node->level != 0 || to->found != NULL)
        return true;
    for (uint32_t i = 0; i < to->input->count; i++)
        if (to->input->ids[i] == node->column)
            return true;
    to->found = node;
    return true;
}

/* Places the expression over the input; what cannot be placed was not grouped. */
static ox_code
place(struct bind *b, struct expr *expr, const struct fragment *input)
{
    struct ungrouped check = {input, NULL};
    bool missing = false;
    expr_walk(expr, find_ungrouped, &check);
    if (check.found == NULL) {
        bind_resolve(expr, b->scope, input->ids, input->count, &missing);
        if (!missing)
            return OX_OK;
        return bind_fail(b, OX_GROUPING_ERROR, expr->position > 0 ? expr->position - 1 : 0,
            "subquery uses ungrouped column from outer query");
    }
    const char *rel = "";
    for (uint32_t i = 0; i < b->scope->rel_count; i++)
        for (uint32_t j = 0; j < b->scope->rels[i]->column_count; j++)
            if (b->scope->rels[i]->columns[j].id == check.found->column)
                rel = ox_arena_printf(b->arena, "%.*s.", OX_STR_ARG(b->scope->rels[i]->alias));
    return bind_fail(b, OX_GROUPING_ERROR, check.found->position - 1,
        "column \"%s%s\" must appear in the GROUP BY clause or be used in an aggregate function",
        rel, check.found->label != NULL ? check.found->label : "?column?");
}

static ox_code
place_agg(struct bind *b, struct plan_agg *agg, const struct fragment *input)
{
    ox_code code = OX_OK;
    for (uint32_t i = 0; i < agg->arg_count && code == OX_OK; i++)
        code = place(b, agg->args[i], input);
    if (code == OX_OK && agg->filter != NULL)
        code = place(b, agg->filter, input);
    for (uint32_t i = 0; i < agg->order_count && code == OX_OK; i++)
        code = place(b, agg->order[i].expr, input);
    return code;
}

/* Everything above the groups sees their columns only. */
static void
regroup_all(struct bind *b, struct simple *simple)
{
    simple->having = regroup(b, simple, simple->having);
    for (uint32_t i = 0; i < simple->target_count; i++)
        simple->targets[i] = regroup(b, simple, simple->targets[i]);
    for (uint32_t i = 0; i < simple->key_count; i++)
        simple->keys[i].expr = regroup(b, simple, simple->keys[i].expr);
    for (uint32_t i = 0; i < simple->distinct_count; i++)
        simple->distinct_on[i] = regroup(b, simple, simple->distinct_on[i]);
    for (uint32_t i = 0; i < simple->scope->window_count; i++) {
        struct bound_window *window = &simple->scope->windows[i];
        for (uint32_t j = 0; j < window->call.agg.arg_count; j++)
            window->call.agg.args[j] = regroup(b, simple, window->call.agg.args[j]);
        window->call.agg.filter = regroup(b, simple, window->call.agg.filter);
        for (uint32_t j = 0; j < window->partition_count; j++)
            window->partition[j] = regroup(b, simple, window->partition[j]);
        for (uint32_t j = 0; j < window->order_count; j++)
            window->order[j].expr = regroup(b, simple, window->order[j].expr);
    }
}

static ox_code
plan_group(struct bind *b, struct simple *simple, struct fragment *at)
{
    struct scope *scope = simple->scope;
    uint32_t total = simple->group_count + scope->agg_count + scope->grouping_count;
    uint32_t *ids = ox_arena_array(b->arena, uint32_t, total);
    struct plan_agg *aggs = ox_arena_array(b->arena, struct plan_agg, scope->agg_count);
    struct expr **keys = ox_arena_array(b->arena, struct expr *, simple->group_count);
    for (uint32_t i = 0; i < simple->group_count; i++) {
        ids[i] = simple->group_ids[i];
        keys[i] = bind_copy(b, simple->group[i]);
        if (keys[i]->kind == EXPR_SUBQUERY)
            keys[i] = simple->group[i];
        ox_code code = place(b, keys[i], at);
        if (code != OX_OK)
            return code;
    }
    for (uint32_t i = 0; i < scope->agg_count; i++) {
        aggs[i] = scope->aggs[i].agg;
        ids[simple->group_count + i] = scope->aggs[i].id;
        ox_code code = place_agg(b, &aggs[i], at);
        if (code != OX_OK)
            return code;
    }
    struct plan_aggregate *aggregate = plan_aggregate_new(b->arena, at->plan, keys,
        simple->group_count, aggs, scope->agg_count);
    for (uint32_t i = 0; i < scope->grouping_count; i++)
        ids[simple->group_count + scope->agg_count + i] = scope->groupings[i].id;
    int32_t *groupings;
    ox_code code = bind_grouping_values(b, simple, &groupings);
    if (code != OX_OK)
        return code;
    aggregate->sets = simple->sets;
    aggregate->set_count = simple->set_count;
    if (scope->grouping_count > 0)
        plan_aggregate_groupings(b->arena, aggregate, groupings, scope->grouping_count);
    struct plan *headers =
        plan_aggregate_from_headers(b->arena, aggregate, &b->why_no_headers);
    at->plan = headers != NULL ? headers : &aggregate->plan;
    at->ids = ids;
    at->count = total;
    regroup_all(b, simple);
    if (simple->having == NULL)
        return OX_OK;
    code = place(b, simple->having, at);
    if (code == OX_OK)
        at->plan = plan_filter_new(b->arena, at->plan, simple->having);
    return code;
}

/* ---- windows ---- */

static bool
same_window(const struct bound_window *a, const struct bound_window *other)
{
    if (a->partition_count != other->partition_count || a->order_count != other->order_count)
        return false;
    for (uint32_t i = 0; i < a->partition_count; i++)
        if (!expr_equal(a->partition[i], other->partition[i]))
            return false;
    for (uint32_t i = 0; i < a->order_count; i++)
        if (!expr_equal(a->order[i].expr, other->order[i].expr) ||
            a->order[i].desc != other->order[i].desc ||
            a->order[i].nulls_first != other->order[i].nulls_first)
            return false;
    return true;
}

static ox_code
place_window(struct bind *b, struct bound_window *window, const struct fragment *input,
    bool keys_too)
{
    struct window_frame *frame = &window->call.frame;
    ox_code code = place_agg(b, &window->call.agg, input);
    if (code == OX_OK && frame->start_value != NULL)
        code = place(b, frame->start_value, input);
    if (code == OX_OK && frame->end_value != NULL)
        code = place(b, frame->end_value, input);
    for (uint32_t i = 0; keys_too && i < window->partition_count && code == OX_OK; i++)
        code = place(b, window->partition[i], input);
    for (uint32_t i = 0; keys_too && i < window->order_count && code == OX_OK; i++)
        code = place(b, window->order[i].expr, input);
    return code;
}

/* One node for all windows with the same PARTITION BY and ORDER BY as `first`. */
static ox_code
plan_one_window(struct bind *b, struct scope *scope, uint32_t first, struct fragment *at)
{
    struct window_call *calls = ox_arena_array(b->arena, struct window_call, scope->window_count);
    struct str *names = ox_arena_array(b->arena, struct str, scope->window_count);
    uint32_t *ids = ox_arena_array(b->arena, uint32_t, at->count + scope->window_count);
    uint32_t *members = ox_arena_array(b->arena, uint32_t, scope->window_count);
    uint32_t count = 0;
    if (at->count > 0)
        memcpy(ids, at->ids, at->count * sizeof(ids[0]));
    for (uint32_t i = first; i < scope->window_count; i++)
        if (!scope->windows[i].done && same_window(&scope->windows[first], &scope->windows[i]))
            members[count++] = i;
    for (uint32_t i = 0; i < count; i++) {
        struct bound_window *window = &scope->windows[members[i]];
        ox_code code = place_window(b, window, at, members[i] == first);
        if (code != OX_OK)
            return code;
        window->done = true;
        calls[i] = window->call;
        names[i] = ox_str(window->call.agg.func->name);
        ids[at->count + i] = window->id;
    }
    struct plan_window *node = plan_window_new(b->arena, at->plan, calls, names, count);
    node->partition = scope->windows[first].partition;
    node->partition_count = scope->windows[first].partition_count;
    node->order = scope->windows[first].order;
    node->order_count = scope->windows[first].order_count;
    at->plan = &node->plan;
    at->ids = ids;
    at->count += count;
    return OX_OK;
}

static ox_code
plan_windows(struct bind *b, struct scope *scope, struct fragment *at)
{
    for (uint32_t i = 0; i < scope->window_count; i++) {
        if (scope->windows[i].done)
            continue;
        ox_code code = plan_one_window(b, scope, i, at);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

/* ---- set-returning functions among the targets: a lateral join ---- */

struct sink_arg {
    struct bind *b;
    const struct fragment *at;
};

static struct expr *
sink_column(const struct expr *node, void *arg)
{
    struct sink_arg *to = arg;
    if (node->kind == EXPR_OUTER)
        return expr_outer(to->b->arena, node->level + 1, node->column, node->type, node->label,
            node->position);
    if (node->kind != EXPR_COLUMN)
        return NULL;
    for (uint32_t i = 0; i < to->at->count; i++)
        if (to->at->ids[i] == node->column)
            return expr_outer(to->b->arena, 1, i, node->type, node->label, node->position);
    return NULL;
}

static ox_code
plan_srfs(struct bind *b, struct scope *scope, struct fragment *at)
{
    if (scope->srf_count == 0)
        return OX_OK;
    if (scope->agg_count > 0)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, scope->srfs[0].call->position - 1,
            "set-returning functions beside aggregates are not supported in a select list");
    struct sink_arg to = {b, at};
    struct expr **calls = ox_arena_array(b->arena, struct expr *, scope->srf_count);
    uint32_t total = 0, count = 0;
    for (uint32_t i = 0; i < scope->srf_count; i++)
        total += scope->srfs[i].count;
    struct plan_column *columns = ox_arena_array(b->arena, struct plan_column, total);
    uint32_t *ids = ox_arena_array(b->arena, uint32_t, at->count + total);
    if (at->count > 0)
        memcpy(ids, at->ids, at->count * sizeof(ids[0]));
    for (uint32_t i = 0; i < scope->srf_count; i++) {
        const char *names[SET_COLUMNS_MAX];
        struct type types[SET_COLUMNS_MAX];
        calls[i] = expr_map(b->arena, scope->srfs[i].call, sink_column, &to);
        set_func_columns(calls[i], names, types);
        for (uint32_t j = 0; j < scope->srfs[i].count; j++, count++) {
            columns[count] = (struct plan_column){ox_str(names[j]), types[j]};
            ids[at->count + count] = scope->srfs[i].id + j;
        }
    }
    struct plan *scan =
        plan_function_scan_new(b->arena, calls, scope->srf_count, false, columns, total);
    at->plan = &plan_join_loop_new(b->arena, JOIN_INNER, at->plan, scan, NULL, true)->plan;
    at->ids = ids;
    at->count += total;
    return OX_OK;
}

/* ---- the top: targets, DISTINCT, ORDER BY, LIMIT ---- */

/* ORDER BY _offset [DESC] of a single scan is the scan's own order. */
static bool
as_scan_order(struct simple *simple)
{
    struct scope *scope = simple->scope;
    if (scope->rel_count != 1 || scope->rels[0]->scan == NULL || simple->grouped ||
        scope->window_count > 0 || scope->srf_count > 0 || simple->ast->distinct ||
        simple->key_count != 1 || scope->rels[0]->scan->follow)
        return false;
    const struct expr *key = simple->key_targets[0] != UINT32_MAX
                                 ? simple->targets[simple->key_targets[0]]
                                 : simple->keys[0].expr;
    if (key->kind != EXPR_COLUMN)
        return false;
    for (uint32_t i = 0; i < scope->rels[0]->column_count; i++)
        if (scope->rels[0]->columns[i].id == key->column &&
            ox_str_is(scope->rels[0]->columns[i].name, "_offset")) {
            scope->rels[0]->scan->order =
                simple->keys[0].desc ? SCAN_ORDER_OFFSET_DESC : SCAN_ORDER_OFFSET;
            return true;
        }
    return false;
}

struct str *
bind_column_names(struct bind *b, const struct sql_column *columns, uint32_t count, uint32_t total)
{
    struct str *names = ox_arena_array(b->arena, struct str, total);
    for (uint32_t i = 0; i < total; i++)
        names[i] = i < count ? columns[i].name : OX_STR("");
    return names;
}

struct expr *
bind_output_ref(struct bind *b, uint32_t index, struct type type)
{
    struct expr *expr = expr_column(b->arena, index, type, NULL, 0);
    expr->level = 1; /* placed */
    return expr;
}

static ox_code
plan_targets(struct bind *b, struct simple *simple, struct fragment *at, uint32_t *total)
{
    uint32_t most = simple->target_count + simple->key_count + simple->distinct_count;
    struct expr **exprs = ox_arena_array(b->arena, struct expr *, most);
    uint32_t count = simple->target_count;
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = simple->targets[i];
    for (uint32_t i = 0; i < simple->key_count; i++)
        if (simple->key_targets[i] == UINT32_MAX) {
            simple->key_targets[i] = count;
            exprs[count++] = simple->keys[i].expr;
        }
    for (uint32_t i = 0; i < simple->distinct_count; i++)
        exprs[count++] = simple->distinct_on[i];
    for (uint32_t i = 0; i < count; i++) {
        ox_code code = place(b, exprs[i], at);
        if (code != OX_OK)
            return code;
        exprs[i] = expr_fold(&b->eb, exprs[i]);
    }
    at->plan = plan_project_new(b->arena, at->plan, exprs,
        bind_column_names(b, simple->columns, simple->target_count, count), count);
    *total = count;
    return OX_OK;
}

static void
plan_order(struct bind *b, struct simple *simple, struct fragment *at, struct expr *limit,
    struct expr *offset)
{
    for (uint32_t i = 0; i < simple->key_count; i++)
        simple->keys[i].expr = bind_output_ref(b, simple->key_targets[i],
            at->plan->columns[simple->key_targets[i]].type);
    struct plan_sort *sort =
        plan_sort_new(b->arena, at->plan, simple->keys, simple->key_count);
    sort->limit = limit;
    sort->offset = offset;
    at->plan = &sort->plan;
}

static void
plan_distinct(struct bind *b, struct simple *simple, struct fragment *at, uint32_t total)
{
    uint32_t count = simple->distinct_count > 0 ? simple->distinct_count : simple->target_count;
    uint32_t first = simple->distinct_count > 0 ? total - simple->distinct_count : 0;
    struct expr **exprs = ox_arena_array(b->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++)
        exprs[i] = bind_output_ref(b, first + i, at->plan->columns[first + i].type);
    at->plan = plan_distinct_new(b->arena, at->plan, exprs, count);
}

/* A scan straight below the targets may stop by itself. */
static void
push_limit(struct simple *simple, const struct plan *project, struct expr *limit,
    struct expr *offset)
{
    struct scope *scope = simple->scope;
    if (scope->rel_count != 1 || scope->rels[0]->scan == NULL ||
        project->input != &scope->rels[0]->scan->plan || limit == NULL ||
        !expr_is_constant(limit) || limit->value.null ||
        (offset != NULL && (!expr_is_constant(offset) || offset->value.null)))
        return;
    int64_t rows = limit->value.i, before = offset != NULL ? offset->value.i : 0;
    if (rows >= 0 && before >= 0)
        scope->rels[0]->scan->limit = (uint64_t)rows + (uint64_t)before;
}

/* LIMIT and OFFSET over what is sorted. */
static void
plan_limit(struct bind *b, const struct simple *simple, struct fragment *at, struct expr *limit,
    struct expr *offset)
{
    if (limit == NULL && offset == NULL)
        return;
    at->plan = plan_limit_new(b->arena, at->plan, limit, offset);
    if (!simple->ast->limit_ties)
        return;
    struct plan_limit *node = (struct plan_limit *)at->plan;
    node->ties = simple->key_targets;
    node->tie_count = simple->key_count;
}

static ox_code
check_ties(struct bind *b, const struct simple *simple)
{
    const struct ast_select *ast = simple->ast;
    if (!ast->limit_ties)
        return OX_OK;
    if (simple->key_count == 0)
        return bind_fail(b, OX_SYNTAX_ERROR, -1,
            "WITH TIES cannot be specified without ORDER BY clause");
    if (ast->limit != NULL && ast->limit->kind == AST_NULL)
        return bind_fail(b, OX_INVALID_ROW_COUNT_IN_LIMIT, -1,
            "row count cannot be null in FETCH FIRST ... WITH TIES");
    return OX_OK;
}

static ox_code
plan_top(struct bind *b, struct simple *simple, struct fragment *at)
{
    const struct ast_select *ast = simple->ast;
    struct expr *limit, *offset;
    uint32_t total;
    ox_code code = bind_limit_value(b, simple->scope, ast->limit, "LIMIT", &limit);
    if (code == OX_OK)
        code = bind_limit_value(b, simple->scope, ast->offset, "OFFSET", &offset);
    if (code == OX_OK)
        code = check_ties(b, simple);
    if (code != OX_OK)
        return code;
    bool scan_sorts = as_scan_order(simple);
    code = plan_targets(b, simple, at, &total);
    if (code != OX_OK)
        return code;
    const struct plan *project = at->plan;
    bool distinct = ast->distinct || simple->distinct_count > 0;
    if (distinct && simple->distinct_count == 0)
        plan_distinct(b, simple, at, total);
    if (simple->key_count > 0 && !scan_sorts)
        plan_order(b, simple, at,
            ast->limit_ties || (distinct && simple->distinct_count > 0) ? NULL : limit, offset);
    if (distinct && simple->distinct_count > 0)
        plan_distinct(b, simple, at, total);
    if ((simple->key_count == 0 || scan_sorts) && !distinct && !ast->limit_ties)
        push_limit(simple, project, limit, offset);
    plan_limit(b, simple, at, limit, offset);
    if (total > simple->target_count) {
        struct expr **exprs = ox_arena_array(b->arena, struct expr *, simple->target_count);
        for (uint32_t i = 0; i < simple->target_count; i++)
            exprs[i] = bind_output_ref(b, i, at->plan->columns[i].type);
        at->plan = plan_project_new(b->arena, at->plan, exprs,
            bind_column_names(b, simple->columns, simple->target_count, simple->target_count),
            simple->target_count);
    }
    return OX_OK;
}

static ox_code
bind_distinct_on(struct bind *b, struct simple *simple)
{
    const struct ast_list *list = simple->ast->distinct_on;
    simple->distinct_count = list != NULL ? (uint32_t)list->count : 0;
    simple->distinct_on = ox_arena_array(b->arena, struct expr *, simple->distinct_count);
    for (uint32_t i = 0; i < simple->distinct_count; i++) {
        const struct ast_expr *ast = ast_at(list, i, struct ast_expr);
        uint32_t number;
        ox_code code;
        if (ast->kind == AST_INTEGER) {
            code = number_item(b, simple, ast, "SELECT DISTINCT ON", &number);
            if (code == OX_OK)
                simple->distinct_on[i] = bind_copy(b, simple->targets[number]);
        } else {
            b->scope->place = PLACE_ORDER;
            code = bind_expr(b, ast, &simple->distinct_on[i]);
            if (code == OX_OK)
                code = expr_settle(&b->eb, &simple->distinct_on[i], b->err);
        }
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

/* Equal rows must be neighbours in the order. */
static ox_code
check_distinct_on(struct bind *b, struct simple *simple)
{
    uint32_t most = simple->distinct_count < simple->key_count ? simple->distinct_count
                                                               : simple->key_count;
    for (uint32_t i = 0; i < most; i++) {
        const struct expr *key = simple->key_targets[i] != UINT32_MAX
                                     ? simple->targets[simple->key_targets[i]]
                                     : simple->keys[i].expr;
        bool found = false;
        for (uint32_t j = 0; j < simple->distinct_count && !found; j++)
            found = expr_equal(simple->distinct_on[j], key);
        if (!found)
            return bind_fail(b, OX_INVALID_COLUMN_REFERENCE,
                ast_at(simple->ast->distinct_on, 0, struct ast_expr)->pos,
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
    }
    return OX_OK;
}

static ox_code
bind_clauses(struct bind *b, struct simple *simple)
{
    const struct ast_select *ast = simple->ast;
    struct scope *scope = simple->scope;
    ox_code code = bind_from(b, ast->from, &simple->from);
    if (code == OX_OK && ast->where != NULL)
        code = bind_condition(b, ast->where, PLACE_WHERE, "WHERE", &simple->where);
    scope->can_aggregate = true;
    scope->named_windows = ast->windows;
    if (code == OX_OK)
        code = bind_targets(b, ast->targets, &simple->targets, &simple->columns,
            &simple->target_count);
    if (code == OX_OK)
        code = bind_group(b, simple);
    for (uint32_t i = 0; i < simple->group_count && code == OX_OK; i++)
        if (uses_aggregate(scope, simple->group[i]))
            code = bind_fail(b, OX_GROUPING_ERROR, simple->group[i]->position - 1,
                "aggregate functions are not allowed in GROUP BY");
        else
            code = bind_check_equality(b, simple->group[i]->type, simple->group[i]->position - 1);
    for (uint32_t i = 0; ast->distinct && i < simple->target_count && code == OX_OK; i++)
        code = bind_check_equality(b, simple->targets[i]->type, simple->targets[i]->position - 1);
    if (code == OX_OK && ast->having != NULL)
        code = bind_condition(b, ast->having, PLACE_HAVING, "HAVING", &simple->having);
    if (code == OX_OK)
        code = bind_distinct_on(b, simple);
    if (code == OX_OK)
        code = bind_order(b, simple, ast->order);
    if (code == OX_OK)
        code = check_distinct_on(b, simple);
    simple->grouped = scope->agg_count > 0 || scope->grouping_count > 0 || ast->group != NULL ||
                      ast->having != NULL;
    return code;
}

static ox_code
bind_simple(struct bind *b, const struct ast_select *ast, struct scope *scope, struct query *out)
{
    struct simple simple = {.ast = ast, .scope = scope};
    struct fragment at;
    ox_code code = bind_clauses(b, &simple);
    if (code == OX_OK)
        code = bind_plan_from(b, simple.from, simple.where, &at);
    if (code == OX_OK && simple.grouped)
        code = plan_group(b, &simple, &at);
    if (code == OX_OK)
        code = plan_srfs(b, scope, &at);
    if (code == OX_OK)
        code = plan_windows(b, scope, &at);
    if (code == OX_OK)
        code = plan_top(b, &simple, &at);
    if (code != OX_OK)
        return code;
    out->plan = at.plan;
    out->columns = simple.columns;
    out->count = simple.target_count;
    return OX_OK;
}

/* ---- VALUES ---- */

static ox_code
bind_values_column(struct bind *b, struct expr **cells, uint32_t rows, uint32_t width,
    uint32_t column, struct type *type)
{
    struct expr **list = ox_arena_array(b->arena, struct expr *, rows);
    for (uint32_t i = 0; i < rows; i++)
        list[i] = cells[(size_t)i * width + column];
    ox_code code = expr_unify(&b->eb, list, rows, "VALUES", type, b->err);
    for (uint32_t i = 0; i < rows && code == OX_OK; i++) {
        code = expr_settle(&b->eb, &list[i], b->err);
        cells[(size_t)i * width + column] = expr_fold(&b->eb, list[i]);
        *type = list[i]->type;
    }
    return code;
}

static ox_code
bind_values(struct bind *b, const struct ast_select *ast, struct scope *scope, struct query *out)
{
    uint32_t rows = (uint32_t)ast->values->count;
    uint32_t width = (uint32_t)ast_at(ast->values, 0, struct ast_list)->count;
    /* What is reserved is no more than what was written. */
    for (uint32_t i = 0; i < rows; i++)
        if (ast_at(ast->values, i, struct ast_list)->count != width)
            return bind_fail(b, OX_SYNTAX_ERROR, ast->pos,
                "VALUES lists must all be the same length");
    if (width > BIND_COLUMNS_MAX)
        return bind_fail(b, OX_TOO_MANY_COLUMNS, ast->pos,
            "VALUES lists can have at most %d entries", BIND_COLUMNS_MAX);
    struct expr **cells = ox_arena_array(b->arena, struct expr *, (size_t)rows * width);
    struct str *names = ox_arena_array(b->arena, struct str, width);
    scope->place = PLACE_VALUES;
    for (uint32_t i = 0; i < rows; i++) {
        const struct ast_list *row = ast_at(ast->values, i, struct ast_list);
        for (uint32_t j = 0; j < width; j++) {
            ox_code code = bind_expr(b, ast_at(row, j, struct ast_expr),
                &cells[(size_t)i * width + j]);
            if (code != OX_OK)
                return code;
        }
    }
    out->columns = ox_arena_array(b->arena, struct sql_column, width);
    out->count = width;
    for (uint32_t j = 0; j < width; j++) {
        names[j] = ox_str(ox_arena_printf(b->arena, "column%u", j + 1));
        out->columns[j].name = names[j];
        out->columns[j].unknown = true;
        for (uint32_t i = 0; i < rows; i++)
            out->columns[j].unknown &=
                cells[(size_t)i * width + j]->type.id == TYPE_UNKNOWN;
        ox_code code =
            bind_values_column(b, cells, rows, width, j, &out->columns[j].type);
        if (code != OX_OK)
            return code;
    }
    out->plan = plan_values_new(b->arena, cells, rows, width, names);
    return OX_OK;
}

/* ---- any query ---- */

/* ORDER BY and LIMIT of a query whose columns are all there is. */
static ox_code
plan_tail(struct bind *b, const struct ast_select *ast, struct scope *scope, struct query *query)
{
    struct simple simple = {.ast = ast, .scope = scope, .columns = query->columns,
        .target_count = query->count};
    struct fragment at = {query->plan, NULL, query->count};
    struct expr *limit, *offset;
    simple.targets = ox_arena_array(b->arena, struct expr *, query->count);
    for (uint32_t i = 0; i < query->count; i++)
        simple.targets[i] = bind_output_ref(b, i, query->columns[i].type);
    ox_code code = bind_limit_value(b, scope, ast->limit, "LIMIT", &limit);
    if (code == OX_OK)
        code = bind_limit_value(b, scope, ast->offset, "OFFSET", &offset);
    if (code == OX_OK)
        code = bind_order(b, &simple, ast->order);
    for (uint32_t i = 0; i < simple.key_count && code == OX_OK; i++)
        if (simple.key_targets[i] == UINT32_MAX)
            code = bind_fail(b, OX_FEATURE_NOT_SUPPORTED,
                ast_at(ast->order, i, struct ast_order)->expr->pos,
                "only result column names and numbers can be used in this ORDER BY");
    if (code != OX_OK)
        return code;
    code = check_ties(b, &simple);
    if (code != OX_OK)
        return code;
    if (simple.key_count > 0)
        plan_order(b, &simple, &at, ast->limit_ties ? NULL : limit, offset);
    plan_limit(b, &simple, &at, limit, offset);
    query->plan = at.plan;
    return OX_OK;
}

static ox_code
bind_body(struct bind *b, const struct ast_select *ast, struct scope *scope, struct query *out)
{
    if (ast->op == AST_SET_NONE && ast->values == NULL)
        return bind_simple(b, ast, scope, out); /* does its own tail */
    ox_code code = ast->op != AST_SET_NONE ? bind_setop(b, ast, scope, out)
                                           : bind_values(b, ast, scope, out);
    return code == OX_OK ? plan_tail(b, ast, scope, out) : code;
}

ox_code
bind_query(struct bind *b, const struct ast_select *ast, struct scope *parent, struct query *out)
{
    struct scope *scope = ox_arena_new(b->arena, struct scope);
    struct cte_entry *ctes = b->ctes;
    struct scope *before = b->scope;
    scope->parent = parent;
    scope->depth = parent != NULL ? parent->depth + 1 : 0;
    if (++b->depth > BIND_DEPTH_MAX)
        return bind_fail(b, OX_STATEMENT_TOO_COMPLEX, ast->pos, "queries are nested too deeply");
    if (ast->locking.text.len > 0)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->locking.pos,
            "SELECT ... FOR UPDATE and FOR SHARE are not served: records do not change");
    b->scope = scope;
    ox_code code = bind_with(b, ast, scope);
    b->scope = scope;
    if (code == OX_OK)
        code = bind_body(b, ast, scope, out);
    b->ctes = ctes;
    b->scope = before;
    b->depth--;
    return code;
}
