/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of functions. Aggregates, window functions and set-returning functions
 * are lifted out into their scope and stand in the tree as columns that a later
 * node of the plan will give. */
#include "base/check.h"
#include "sql/bind_int.h"

const char *
bind_place_name(enum bind_place place)
{
    switch (place) {
    case PLACE_WHERE: return "WHERE";
    case PLACE_ON: return "JOIN conditions";
    case PLACE_GROUP: return "GROUP BY";
    case PLACE_LIMIT: return "LIMIT";
    case PLACE_VALUES: return "VALUES";
    case PLACE_FUNCTION: return "functions in FROM";
    case PLACE_HAVING: return "HAVING";
    default: return "this place";
    }
}

static ox_code
bind_order_keys(struct bind *b, const struct ast_list *order, struct plan_key **keys,
    uint32_t *count)
{
    *count = order != NULL ? (uint32_t)order->count : 0;
    *keys = ox_arena_array(b->arena, struct plan_key, *count);
    for (uint32_t i = 0; i < *count; i++) {
        const struct ast_order *item = ast_at(order, i, struct ast_order);
        struct plan_key *key = &(*keys)[i];
        ox_code code = bind_expr(b, item->expr, &key->expr);
        if (code == OX_OK)
            code = expr_settle(&b->eb, &key->expr, b->err);
        if (code != OX_OK)
            return code;
        key->desc = item->desc;
        key->nulls_first = item->nulls == 'F' || (item->nulls == 0 && item->desc);
    }
    return OX_OK;
}

/* ---- aggregates ---- */

static bool
same_agg(const struct plan_agg *a, const struct plan_agg *other)
{
    if (a->func != other->func || a->arg_count != other->arg_count ||
        a->distinct != other->distinct || a->order_count > 0 || other->order_count > 0 ||
        (a->filter == NULL) != (other->filter == NULL))
        return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!expr_equal(a->args[i], other->args[i]))
            return false;
    return a->filter == NULL || expr_equal(a->filter, other->filter);
}

static struct expr *
lift_agg(struct bind *b, const struct plan_agg *agg, int pos)
{
    struct scope *scope = b->scope;
    struct bound_agg *found = NULL;
    for (uint32_t i = 0; i < scope->agg_count && found == NULL; i++)
        if (same_agg(&scope->aggs[i].agg, agg))
            found = &scope->aggs[i];
    if (found == NULL) {
        ox_arena_grow(b->arena, (void **)&scope->aggs, &scope->agg_cap, scope->agg_count + 1,
            sizeof(*scope->aggs));
        found = &scope->aggs[scope->agg_count++];
        *found = (struct bound_agg){*agg, b->next_id++};
    }
    return expr_column(b->arena, found->id, agg->type, agg->func->name, pos + 1);
}

/* The arguments of an aggregate, FILTER and ORDER BY included, bound in place. */
static ox_code
finish_agg(struct bind *b, const struct ast_expr *ast, const struct expr *call,
    struct plan_agg *agg)
{
    const struct ast_call *syntax = ast->call;
    struct scope *scope = b->scope;
    enum bind_place before = scope->place;
    ox_code code = OX_OK;
    *agg = (struct plan_agg){.func = call->func, .args = call->args, .arg_count = call->nargs,
        .type = call->type, .distinct = syntax->distinct};
    scope->place = PLACE_AGG;
    if (syntax->filter != NULL) {
        code = bind_expr(b, syntax->filter, &agg->filter);
        if (code == OX_OK)
            code = expr_boolean(&b->eb, &agg->filter, "FILTER", b->err);
    }
    if (code == OX_OK && syntax->order != NULL && !syntax->within_group) {
        struct plan_key *keys;
        code = bind_order_keys(b, syntax->order, &keys, &agg->order_count);
        agg->order = keys;
    }
    if (syntax->within_group)
        agg->descending = ast_at(syntax->order, 0, struct ast_order)->desc;
    scope->place = before;
    return code;
}

static ox_code
find_window(struct bind *b, struct str name, int pos, const struct ast_window **out)
{
    const struct ast_list *named = b->scope->named_windows;
    for (size_t i = 0; named != NULL && i < named->count; i++)
        if (ox_str_eq(ast_at(named, i, struct ast_window)->name, name)) {
            *out = ast_at(named, i, struct ast_window);
            return OX_OK;
        }
    return bind_fail(b, OX_UNDEFINED_OBJECT, pos, "window \"%.*s\" does not exist",
        OX_STR_ARG(name));
}

static const struct ast_bound frame_default_end = {AST_CURRENT_ROW, NULL};

static ox_code
bind_frame_edge(struct bind *b, const struct ast_window *syntax, const struct ast_bound *edge,
    struct bound_window *window, enum frame_edge *kind, struct expr **value)
{
    static const enum frame_edge kinds[] = {[AST_UNBOUNDED_PRECEDING] = FRAME_UNBOUNDED_PRECEDING,
        [AST_PRECEDING] = FRAME_PRECEDING, [AST_CURRENT_ROW] = FRAME_CURRENT,
        [AST_FOLLOWING] = FRAME_FOLLOWING, [AST_UNBOUNDED_FOLLOWING] = FRAME_UNBOUNDED_FOLLOWING};
    *kind = kinds[edge->edge];
    *value = NULL;
    if (edge->value == NULL)
        return OX_OK;
    ox_code code = bind_expr(b, edge->value, value);
    if (code != OX_OK)
        return code;
    if (syntax->unit != 'R')
        return expr_coerce(&b->eb, *value, TYPE(TYPE_INT8), CAST_IMPLICIT, value, b->err);
    if (window->order_count != 1)
        return bind_fail(b, OX_WINDOWING_ERROR, syntax->pos,
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
    bool minus = (edge->edge == AST_PRECEDING) != window->order[0].desc;
    struct type type = window->order[0].expr->type;
    if (type.id == TYPE_DATE || type.id == TYPE_TIME || type.id == TYPE_TIMESTAMP ||
        type.id == TYPE_TIMESTAMPTZ)
        type = TYPE(TYPE_INTERVAL);
    if ((*value)->type.id == TYPE_UNKNOWN)
        code = expr_coerce(&b->eb, *value, type, CAST_IMPLICIT, value, b->err);
    if (code != OX_OK)
        return code;
    /* A date moves by parts of a day, too. */
    if (window->order[0].expr->type.id == TYPE_DATE)
        code = expr_coerce(&b->eb, window->order[0].expr, TYPE(TYPE_TIMESTAMP), CAST_EXPLICIT,
            &window->order[0].expr, b->err);
    struct expr *key = bind_copy(b, window->order[0].expr);
    struct type offset = (*value)->type;
    if (code == OX_OK)
        code = expr_operator(&b->eb, minus ? OX_STR("-") : OX_STR("+"), key, *value,
            syntax->pos + 1, value, b->err);
    if (code == OX_UNDEFINED_FUNCTION ||
        (code == OX_OK && !type_same((*value)->type, key->type) &&
            type_phys((*value)->type) != PHYS_I64 && type_phys((*value)->type) != PHYS_F64))
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, syntax->pos,
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s and "
            "offset type %s",
            type_name(key->type, b->arena), type_name(offset, b->arena));
    return code;
}

static ox_code
check_frame(struct bind *b, const struct ast_window *syntax)
{
    enum ast_frame_edge start = syntax->start.edge, end = syntax->end.edge;
    const char *why = NULL;
    if (start == AST_UNBOUNDED_FOLLOWING)
        why = "frame start cannot be UNBOUNDED FOLLOWING";
    else if (end == AST_UNBOUNDED_PRECEDING)
        why = "frame end cannot be UNBOUNDED PRECEDING";
    else if (start == AST_CURRENT_ROW && end == AST_PRECEDING)
        why = "frame starting from current row cannot have preceding rows";
    else if (start == AST_FOLLOWING && (end == AST_PRECEDING || end == AST_CURRENT_ROW))
        why = "frame starting from following row cannot have preceding rows";
    return !syntax->has_frame || why == NULL
               ? OX_OK
               : bind_fail(b, OX_WINDOWING_ERROR, syntax->pos, "%s", why);
}

static ox_code
bind_window_spec(struct bind *b, const struct ast_window *syntax, struct bound_window *window)
{
    const struct ast_window *base = NULL;
    struct window_frame *frame = &window->call.frame;
    ox_code code = OX_OK;
    if (syntax->by_name)
        code = find_window(b, syntax->name, syntax->pos, &syntax);
    if (code == OX_OK && syntax->base.ptr != NULL)
        code = find_window(b, syntax->base, syntax->pos, &base);
    if (code == OX_OK)
        code = bind_list(b, base != NULL ? base->partition : syntax->partition,
            &window->partition, &window->partition_count);
    for (uint32_t i = 0; i < window->partition_count && code == OX_OK; i++)
        code = expr_settle(&b->eb, &window->partition[i], b->err);
    if (code == OX_OK)
        code = bind_order_keys(b, syntax->order != NULL || base == NULL ? syntax->order
                                                                         : base->order,
            &window->order, &window->order_count);
    frame->unit = syntax->unit == 'O'   ? FRAME_ROWS
                  : syntax->unit == 'G' ? FRAME_GROUPS
                                        : FRAME_RANGE;
    frame->exclude = syntax->exclude == 'C'   ? FRAME_EXCLUDE_CURRENT
                     : syntax->exclude == 'G' ? FRAME_EXCLUDE_GROUP
                     : syntax->exclude == 'T' ? FRAME_EXCLUDE_TIES
                                              : FRAME_EXCLUDE_NONE;
    if (code == OX_OK)
        code = check_frame(b, syntax);
    const struct ast_bound *end = syntax->has_frame ? &syntax->end : &frame_default_end;
    static const struct ast_bound start_default = {AST_UNBOUNDED_PRECEDING, NULL};
    const struct ast_bound *start = syntax->has_frame ? &syntax->start : &start_default;
    if (code == OX_OK)
        code = bind_frame_edge(b, syntax, start, window, &frame->start, &frame->start_value);
    if (code == OX_OK)
        code = bind_frame_edge(b, syntax, end, window, &frame->end, &frame->end_value);
    return code;
}

static ox_code
bind_over(struct bind *b, const struct ast_expr *ast, struct expr *call, struct expr **out)
{
    struct scope *scope = b->scope;
    struct bound_window window = {.id = b->next_id++};
    if (scope->place == PLACE_AGG)
        return bind_fail(b, OX_GROUPING_ERROR, ast->pos,
            "aggregate function calls cannot contain window function calls");
    if (!scope->can_aggregate || scope->place == PLACE_WINDOW)
        return bind_fail(b, OX_WINDOWING_ERROR, ast->pos,
            "window functions are not allowed in %s", bind_place_name(scope->place));
    if (scope->place != PLACE_TARGET && scope->place != PLACE_ORDER)
        return bind_fail(b, OX_WINDOWING_ERROR, ast->pos,
            "window functions are not allowed in %s", bind_place_name(scope->place));
    if (ast->call->distinct)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->pos,
            "DISTINCT is not implemented for window functions");
    enum bind_place before = scope->place;
    scope->place = PLACE_WINDOW;
    ox_code code = finish_agg(b, ast, call, &window.call.agg);
    scope->place = PLACE_WINDOW;
    if (code == OX_OK)
        code = bind_window_spec(b, ast->call->over, &window);
    scope->place = before;
    if (code != OX_OK)
        return code;
    window.call.func =
        call->func->kind == FUNC_WINDOW ? (enum window_func)call->func->window : WINDOW_AGGREGATE;
    ox_arena_grow(b->arena, (void **)&scope->windows, &scope->window_cap, scope->window_count + 1,
        sizeof(*scope->windows));
    scope->windows[scope->window_count++] = window;
    *out = expr_column(b->arena, window.id, call->type, call->func->name, ast->pos + 1);
    return OX_OK;
}

static ox_code
lift_srf(struct bind *b, const struct ast_expr *ast, struct expr *call, struct expr **out)
{
    struct scope *scope = b->scope;
    if (scope->place == PLACE_FUNCTION) {
        *out = call; /* FROM f(...): the caller takes it as it is */
        return OX_OK;
    }
    if (scope->place != PLACE_TARGET)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->pos,
            "set-returning functions are not allowed in %s", bind_place_name(scope->place));
    ox_arena_grow(b->arena, (void **)&scope->srfs, &scope->srf_cap, scope->srf_count + 1,
        sizeof(*scope->srfs));
    const char *names[SET_COLUMNS_MAX];
    struct type types[SET_COLUMNS_MAX];
    struct bound_srf *srf = &scope->srfs[scope->srf_count++];
    uint32_t count = set_func_columns(call, names, types);
    *srf = (struct bound_srf){call, b->next_id, count};
    b->next_id += count;
    if (count == 1) {
        *out = expr_column(b->arena, srf->id, call->type, call->func->name, ast->pos + 1);
        return OX_OK;
    }
    struct expr **fields = ox_arena_array(b->arena, struct expr *, count);
    struct str *labels = ox_arena_array(b->arena, struct str, count);
    for (uint32_t i = 0; i < count; i++) {
        fields[i] = expr_column(b->arena, srf->id + i, types[i], names[i], ast->pos + 1);
        labels[i] = ox_str(names[i]);
    }
    *out = expr_row(b->arena, fields, labels, count, ast->pos + 1);
    return OX_OK;
}

/* Functions whose arguments can be given by name; each that is left out is 0. */
static const struct {
    const char *function;
    const char *names[8];
} named_args[] = {
    {"make_interval", {"years", "months", "weeks", "days", "hours", "mins", "secs"}},
    {"make_date", {"year", "month", "day"}},
    {"make_time", {"hour", "min", "sec"}},
    {"make_timestamp", {"year", "month", "mday", "hour", "min", "sec"}},
    {"make_timestamptz", {"year", "month", "mday", "hour", "min", "sec"}},
};

static ox_code
bind_named_args(struct bind *b, const struct ast_call *call, struct expr ***args, uint32_t *count)
{
    struct str function = call->name->parts[call->name->count - 1];
    const char *const *names = NULL;
    bool given[8] = {false};
    for (size_t i = 0; i < ox_count(named_args); i++)
        if (ox_str_is(function, named_args[i].function))
            names = named_args[i].names;
    *args = ox_arena_array(b->arena, struct expr *, 8);
    for (*count = 0; names != NULL && names[*count] != NULL; ++*count)
        (*args)[*count] = expr_const(b->arena, TYPE(TYPE_INT4), datum_i64(0), 0);
    for (size_t i = 0; i < call->args->count; i++) {
        const struct ast_expr *arg = ast_at(call->args, i, struct ast_expr);
        uint32_t at = (uint32_t)i;
        if (arg->kind == AST_NAMED)
            for (at = 0; at < *count && !ox_str_is(arg->text, names[at]);)
                at++;
        if (at >= *count || given[at])
            return bind_fail(b, OX_UNDEFINED_FUNCTION, arg->pos,
                "this function has no argument named \"%.*s\"", OX_STR_ARG(arg->text));
        given[at] = true;
        ox_code code =
            bind_expr(b, arg->kind == AST_NAMED ? arg->a : arg, &(*args)[at]);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

static ox_code
bind_args(struct bind *b, const struct ast_expr *ast, struct expr ***args, uint32_t *count)
{
    const struct ast_call *call = ast->call;
    static const char *const hypothetical[] = {"rank", "dense_rank", "percent_rank", "cume_dist"};
    struct str name = call->name->parts[call->name->count - 1];
    *args = NULL;
    *count = 0;
    for (size_t i = 0; call->within_group && i < ox_count(hypothetical); i++)
        if (ox_str_is(name, hypothetical[i])) {
            ox_code code = bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->pos,
                "the hypothetical-set aggregate %s is not served", hypothetical[i]);
            ox_hint(b->err, "%s() OVER (ORDER BY ...) ranks rows that are there.", hypothetical[i]);
            return code;
        }
    size_t plain = call->args != NULL ? call->args->count : 0;
    size_t ordered = call->within_group ? call->order->count : 0;
    *args = ox_arena_array(b->arena, struct expr *, plain + ordered);
    *count = (uint32_t)(plain + ordered);
    for (size_t i = 0; i < plain + ordered; i++) {
        const struct ast_expr *arg = i < plain
                                         ? ast_at(call->args, i, struct ast_expr)
                                         : ast_at(call->order, i - plain, struct ast_order)->expr;
        if (arg->kind == AST_NAMED)
            return bind_named_args(b, call, args, count);
        ox_code code = bind_expr(b, arg, &(*args)[i]);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

/* Is the name an aggregate (so that its arguments are bound as such)? */
static bool
is_aggregate_name(struct str name)
{
    uint32_t count = 0;
    const struct func *func = func_find(name, &count);
    return func != NULL && (func->kind == FUNC_AGGREGATE || func->kind == FUNC_WINDOW);
}

static ox_code
bind_aggregate(struct bind *b, const struct ast_expr *ast, struct expr *call, struct expr **out)
{
    struct plan_agg agg;
    struct scope *scope = b->scope;
    if (scope->place == PLACE_AGG)
        return bind_fail(b, OX_GROUPING_ERROR, ast->pos,
            "aggregate function calls cannot be nested");
    if (!scope->can_aggregate || (scope->place != PLACE_TARGET && scope->place != PLACE_HAVING &&
                                     scope->place != PLACE_ORDER && scope->place != PLACE_WINDOW))
        return bind_fail(b, OX_GROUPING_ERROR, ast->pos,
            "aggregate functions are not allowed in %s", bind_place_name(scope->place));
    ox_code code = finish_agg(b, ast, call, &agg);
    if (code == OX_OK)
        *out = lift_agg(b, &agg, ast->pos);
    return code;
}

ox_code
bind_call(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    const struct ast_call *syntax = ast->call;
    struct str name = syntax->name->parts[syntax->name->count - 1];
    struct scope *scope = b->scope;
    enum bind_place before = scope->place;
    struct expr **args, *call;
    uint32_t count;
    bool plain_agg = is_aggregate_name(name) && syntax->over == NULL;
    if (plain_agg && before != PLACE_AGG && scope->can_aggregate)
        scope->place = PLACE_AGG;
    ox_code code = bind_args(b, ast, &args, &count);
    scope->place = before;
    if (code == OX_OK)
        code = expr_function(&b->eb, name, args, count, syntax->variadic, ast->pos + 1, &call,
            b->err);
    if (code != OX_OK)
        return code;
    enum func_kind kind = call->kind == EXPR_CALL && call->func != NULL ? call->func->kind
                                                                       : FUNC_SCALAR;
    if (syntax->over != NULL && (kind == FUNC_AGGREGATE || kind == FUNC_WINDOW))
        return bind_over(b, ast, call, out);
    if (kind == FUNC_WINDOW)
        return bind_fail(b, OX_WRONG_OBJECT_TYPE, ast->pos,
            "window function %.*s requires an OVER clause", OX_STR_ARG(name));
    if (kind == FUNC_AGGREGATE)
        return bind_aggregate(b, ast, call, out);
    if (syntax->over != NULL || syntax->filter != NULL || syntax->distinct || syntax->star)
        return bind_fail(b, OX_WRONG_OBJECT_TYPE, ast->pos,
            "%s specified, but %.*s is not an aggregate function",
            syntax->over != NULL     ? "OVER"
            : syntax->filter != NULL ? "FILTER"
            : syntax->distinct       ? "DISTINCT"
                                     : "*",
            OX_STR_ARG(name));
    if (kind == FUNC_SET)
        return lift_srf(b, ast, call, out);
    *out = call;
    return OX_OK;
}
