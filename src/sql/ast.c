/* SPDX-License-Identifier: Apache-2.0
 *
 * Builders of the syntax tree: what the actions of grammar/sql.y call. Each
 * node knows the depth of the tree below it, so that a statement nested too
 * deeply is refused here and no later walk can exhaust the stack. */
#include "sql/ast.h"
#include "sql/refuse.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "row/row.h"

int
ast_position(struct str text, int pos)
{
    if (pos < 0)
        return 0;
    if ((size_t)pos > text.len)
        pos = (int)text.len;
    return (int)ox_utf8_count(text.ptr, (size_t)pos) + 1;
}

void
ast_syntax_error(struct ast_parse *p, struct ast_token token)
{
    bool first = p->code == OX_OK && token.pos == p->start;
    if (p->code == OX_OK && refuse_syntax(p, token))
        return;
    ast_fail(p, OX_SYNTAX_ERROR, token.pos, "syntax error at or near \"%.*s\"",
        token.end - token.pos, p->text.ptr + token.pos);
    if (first && isalpha((unsigned char)p->text.ptr[token.pos]))
        ox_hint(p->err, "Statements are SELECT, VALUES, TABLE, WITH, SUBSCRIBE, INSERT, COPY, DELETE, "
                        "TRUNCATE, EXPLAIN, SET, SHOW, and CREATE, ALTER, DROP, DESCRIBE TOPIC.");
}

void
ast_fail(struct ast_parse *p, ox_code code, int pos, const char *fmt, ...)
{
    if (p->code != OX_OK)
        return;
    p->code = code;
    if (code == OX_STATEMENT_TOO_COMPLEX)
        limit_met(LIMIT_SQL_NESTING);
    va_list args;
    va_start(args, fmt);
    char message[320];
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    ox_fail(p->err, code, "%s", message);
    if (p->err != NULL)
        p->err->position = ast_position(p->text, pos);
}

void
ast_refuse(struct ast_parse *p, int pos, const char *what, const char *hint)
{
    bool first = p->code == OX_OK;
    ast_fail(p, OX_FEATURE_NOT_SUPPORTED, pos, "%s is not served yet", what);
    if (first && p->err != NULL)
        ox_hint(p->err, "%s", hint);
}

/* ---- Lists and names ------------------------------------------------------- */

struct ast_list *
ast_list_new(struct ast_parse *p)
{
    return ox_arena_new(p->arena, struct ast_list);
}

struct ast_list *
ast_list_add(struct ast_parse *p, struct ast_list *list, void *item)
{
    if (list == NULL)
        list = ast_list_new(p);
    ox_arena_grow(p->arena, (void **)&list->items, &list->cap, list->count + 1, sizeof(void *));
    list->items[list->count++] = item;
    return list;
}

struct ast_list *
ast_list_one(struct ast_parse *p, void *item)
{
    return ast_list_add(p, NULL, item);
}

struct ast_token *
ast_token_copy(struct ast_parse *p, struct ast_token token)
{
    return ox_arena_copy(p->arena, &token, sizeof(token));
}

struct ast_name *
ast_name_new(struct ast_parse *p, struct ast_token token)
{
    struct ast_name *name = ox_arena_new(p->arena, struct ast_name);
    name->pos = token.pos;
    name->count = 1;
    name->parts[0] = token.text;
    return name;
}

struct ast_name *
ast_name_add(struct ast_parse *p, struct ast_name *name, struct ast_token token)
{
    if (name->count == ox_count(name->parts))
        ast_fail(p, OX_SYNTAX_ERROR, token.pos, "improper qualified name (too many dotted names)");
    else
        name->parts[name->count++] = token.text;
    return name;
}

struct ast_name *
ast_name_of(struct ast_parse *p, int pos, const char *schema, const char *text)
{
    struct ast_name *name = ox_arena_new(p->arena, struct ast_name);
    name->pos = pos;
    if (schema != NULL)
        name->parts[name->count++] = ox_str(schema);
    name->parts[name->count++] = ox_str(text);
    return name;
}

/* ---- Expressions -------------------------------------------------------------- */

struct ast_expr *
ast_expr_new(struct ast_parse *p, enum ast_expr_kind kind, int pos)
{
    struct ast_expr *expr = ox_arena_new(p->arena, struct ast_expr);
    expr->kind = kind;
    expr->pos = pos;
    expr->depth = 1;
    return expr;
}

/* Count a child's depth. */
static void
deepen(struct ast_parse *p, int *depth, int below, int pos)
{
    if (below + 1 > *depth)
        *depth = below + 1;
    if (*depth > AST_DEPTH_MAX)
        ast_fail(p, OX_STATEMENT_TOO_COMPLEX, pos, "statement is nested too deeply");
}

static void
below_expr(struct ast_parse *p, struct ast_expr *expr, const struct ast_expr *child)
{
    if (child != NULL)
        deepen(p, &expr->depth, child->depth, expr->pos);
}

static void
below_list(struct ast_parse *p, struct ast_expr *expr, const struct ast_list *list)
{
    for (size_t i = 0; list != NULL && i < list->count; i++)
        below_expr(p, expr, ast_at(list, i, struct ast_expr));
}

static void
below_select(struct ast_parse *p, struct ast_expr *expr, const struct ast_select *select)
{
    if (select != NULL)
        deepen(p, &expr->depth, select->depth, expr->pos);
}

struct ast_expr *
ast_leaf(struct ast_parse *p, enum ast_expr_kind kind, struct ast_token token)
{
    struct ast_expr *expr = ast_expr_new(p, kind, token.pos);
    expr->text = token.text;
    return expr;
}

struct ast_expr *
ast_bool(struct ast_parse *p, int pos, bool value)
{
    struct ast_expr *expr = ast_expr_new(p, AST_BOOL, pos);
    expr->flag = value;
    return expr;
}

struct ast_expr *
ast_param(struct ast_parse *p, struct ast_token token)
{
    struct ast_expr *expr = ast_expr_new(p, AST_PARAM, token.pos);
    int64_t number;
    if (!ox_str_to_i64(token.text, &number) || number < 1 || number > UINT16_MAX)
        ast_fail(p, OX_UNDEFINED_PARAMETER, token.pos, "there is no parameter $%.*s",
            OX_STR_ARG(token.text));
    else
        expr->number = (int32_t)number;
    if (p->params == 0 || token.pos < p->first_param.pos)
        p->first_param = token;
    if (expr->number > p->params)
        p->params = expr->number;
    return expr;
}

struct ast_expr *
ast_column(struct ast_parse *p, struct ast_name *name)
{
    struct ast_expr *expr = ast_expr_new(p, name->star ? AST_STAR : AST_COLUMN, name->pos);
    expr->name = name;
    return expr;
}

struct ast_expr *
ast_op(struct ast_parse *p, struct ast_token op, struct ast_expr *a, struct ast_expr *b)
{
    struct ast_expr *expr = ast_expr_new(p, AST_OP, op.pos);
    expr->text = ox_str_is(op.text, "!=") ? OX_STR("<>") : op.text;
    expr->a = a;
    expr->b = b;
    below_expr(p, expr, a);
    below_expr(p, expr, b);
    return expr;
}

struct ast_expr *
ast_negate(struct ast_parse *p, struct ast_token op, struct ast_expr *a)
{
    if (a->kind == AST_INTEGER || a->kind == AST_NUMBER) { /* PostgreSQL looks through parentheses */
        a->text = a->text.ptr[0] == '-'
                      ? ox_str_n(a->text.ptr + 1, a->text.len - 1)
                      : ox_str(ox_arena_printf(p->arena, "-%.*s", OX_STR_ARG(a->text)));
        a->pos = op.pos;
        return a;
    }
    return ast_op(p, op, NULL, a);
}

/* AND and OR take any number of arguments. */
struct ast_expr *
ast_logic(struct ast_parse *p, enum ast_expr_kind kind, int pos, struct ast_expr *a,
    struct ast_expr *b)
{
    struct ast_expr *expr = a;
    if (a->kind != kind || a->parens) {
        expr = ast_expr_new(p, kind, pos);
        expr->list = ast_list_one(p, a);
        below_expr(p, expr, a);
    }
    ast_list_add(p, expr->list, b);
    below_expr(p, expr, b);
    return expr;
}

struct ast_expr *
ast_unary(struct ast_parse *p, enum ast_expr_kind kind, int pos, struct ast_expr *a)
{
    struct ast_expr *expr = ast_expr_new(p, kind, pos);
    expr->a = a;
    below_expr(p, expr, a);
    return expr;
}

struct ast_expr *
ast_test(struct ast_parse *p, int pos, struct ast_expr *a, enum ast_test test, bool negated)
{
    struct ast_expr *expr = ast_unary(p, AST_TEST, pos, a);
    expr->number = (int32_t)test;
    expr->flag = negated;
    return expr;
}

struct ast_expr *
ast_three(struct ast_parse *p, enum ast_expr_kind kind, int pos, bool flag, struct ast_expr *a,
    struct ast_expr *b, struct ast_expr *c)
{
    struct ast_expr *expr = ast_expr_new(p, kind, pos);
    expr->flag = flag;
    expr->a = a;
    expr->b = b;
    expr->c = c;
    below_expr(p, expr, a);
    below_expr(p, expr, b);
    below_expr(p, expr, c);
    return expr;
}

struct ast_expr *
ast_like(struct ast_parse *p, int pos, const char *what, bool negated, struct ast_expr *a,
    struct ast_expr *b, struct ast_expr *escape)
{
    struct ast_expr *expr = ast_three(p, AST_LIKE, pos, negated, a, b, escape);
    expr->text = ox_str(what);
    return expr;
}

struct ast_expr *
ast_in(struct ast_parse *p, int pos, bool negated, struct ast_expr *a, struct ast_list *list,
    struct ast_select *select)
{
    struct ast_expr *expr = ast_unary(p, AST_IN, pos, a);
    expr->flag = negated;
    expr->list = list;
    expr->select = select;
    below_list(p, expr, list);
    below_select(p, expr, select);
    return expr;
}

struct ast_expr *
ast_quantified(struct ast_parse *p, struct ast_token op, bool all, struct ast_expr *a,
    struct ast_expr *b, struct ast_select *select)
{
    struct ast_expr *expr = ast_three(p, AST_QUANTIFIED, op.pos, all, a, b, NULL);
    expr->text = ox_str_is(op.text, "!=") ? OX_STR("<>") : op.text;
    expr->select = select;
    below_select(p, expr, select);
    return expr;
}

struct ast_expr *
ast_select_expr(struct ast_parse *p, enum ast_expr_kind kind, int pos, struct ast_select *select)
{
    struct ast_expr *expr = ast_expr_new(p, kind, pos);
    expr->select = select;
    below_select(p, expr, select);
    return expr;
}

struct ast_expr *
ast_listed(struct ast_parse *p, enum ast_expr_kind kind, int pos, struct ast_list *list)
{
    struct ast_expr *expr = ast_expr_new(p, kind, pos);
    expr->list = list;
    below_list(p, expr, list);
    return expr;
}

struct ast_expr *
ast_cast(struct ast_parse *p, int pos, struct ast_expr *a, struct ast_type *type)
{
    struct ast_expr *expr = ast_unary(p, AST_CAST, pos, a);
    expr->type = type;
    return expr;
}

struct ast_expr *
ast_literal(struct ast_parse *p, struct ast_type *type, struct ast_token string)
{
    return ast_cast(p, type->pos, ast_leaf(p, AST_STRING, string), type);
}

struct ast_fields
ast_fields(char from, char to, struct ast_token precision)
{
    static const struct {
        char letter;
        int field;
    } all[] = {{'Y', INTERVAL_YEAR}, {'O', INTERVAL_MONTH}, {'D', INTERVAL_DAY},
        {'H', INTERVAL_HOUR}, {'M', INTERVAL_MINUTE}, {'S', INTERVAL_SECOND}};
    struct ast_fields fields = {.precision = precision};
    size_t i = 0;
    while (all[i].letter != from)
        i++;
    fields.mask = all[i].field;
    while (all[i].letter != to)
        fields.mask |= all[++i].field;
    return fields;
}

struct ast_type *
ast_interval_type(struct ast_parse *p, int pos, struct ast_fields fields)
{
    struct ast_token mask = {.pos = pos}, full = {.pos = pos};
    bool precise = fields.precision.text.ptr != NULL;
    if (fields.mask == 0 && !precise)
        return ast_type_of(p, pos, "interval", NULL);
    mask.text = ox_str(ox_arena_printf(p->arena, "%d", fields.mask ? fields.mask
                                                                   : INTERVAL_ALL_FIELDS));
    full.text = ox_str(ox_arena_printf(p->arena, "%d", INTERVAL_FULL_PRECISION));
    struct ast_list *mods = ast_list_one(p, ast_leaf(p, AST_INTEGER, mask));
    ast_list_add(p, mods, ast_leaf(p, AST_INTEGER, precise ? fields.precision : full));
    return ast_type_of(p, pos, "interval", mods);
}

struct ast_expr *
ast_case(struct ast_parse *p, int pos, struct ast_expr *operand, struct ast_list *arms,
    struct ast_expr *otherwise)
{
    struct ast_expr *expr = ast_three(p, AST_CASE, pos, false, operand, otherwise, NULL);
    expr->list = arms;
    below_list(p, expr, arms);
    return expr;
}

struct ast_expr *
ast_call(struct ast_parse *p, struct ast_name *name, struct ast_list *args)
{
    struct ast_expr *expr = ast_expr_new(p, AST_CALL, name->pos);
    expr->call = ox_arena_new(p->arena, struct ast_call);
    expr->call->name = name;
    expr->call->args = args != NULL ? args : ast_list_new(p);
    below_list(p, expr, args);
    return expr;
}

struct ast_expr *
ast_call_of(struct ast_parse *p, int pos, const char *name, struct ast_list *args)
{
    return ast_call(p, ast_name_of(p, pos, "pg_catalog", name), args);
}

struct ast_expr *
ast_call_with(struct ast_parse *p, struct ast_expr *call, struct ast_list *within,
    struct ast_expr *filter, struct ast_window *over)
{
    if (within != NULL) {
        if (call->call->order != NULL)
            ast_fail(p, OX_SYNTAX_ERROR, call->pos,
                "cannot use multiple ORDER BY clauses with WITHIN GROUP");
        call->call->order = within;
        call->call->within_group = true;
    }
    call->call->filter = filter;
    call->call->over = over;
    below_expr(p, call, filter);
    return call;
}

struct ast_expr *
ast_keyword(struct ast_parse *p, struct ast_token token, int32_t precision)
{
    struct ast_expr *expr = ast_leaf(p, AST_KEYWORD, token);
    expr->number = precision;
    return expr;
}

struct ast_expr *
ast_named(struct ast_parse *p, struct ast_token name, struct ast_expr *a)
{
    struct ast_expr *expr = ast_unary(p, AST_NAMED, name.pos, a);
    expr->text = name.text;
    return expr;
}

struct ast_expr *
ast_collate(struct ast_parse *p, int pos, struct ast_expr *a, struct ast_name *name)
{
    struct ast_expr *expr = ast_unary(p, AST_COLLATE, pos, a);
    expr->name = name;
    return expr;
}

static void
to_slice(struct ast_expr *subscript)
{
    subscript->flag = true;
    subscript->c = subscript->b;
    subscript->b = NULL;
}

/* One [a:b] makes all subscripts of a chain slices: [n] then is [1:n]. */
struct ast_expr *
ast_subscript(struct ast_parse *p, struct ast_expr *a, struct ast_expr *b, struct ast_expr *c,
    bool slice)
{
    struct ast_expr *before = a;
    for (; slice && before->kind == AST_SUBSCRIPT && !before->parens; before = before->a)
        if (!before->flag)
            to_slice(before);
    if (!slice && a->kind == AST_SUBSCRIPT && !a->parens && a->flag) {
        slice = true;
        c = b;
        b = NULL;
    }
    return ast_three(p, AST_SUBSCRIPT, a->pos, slice, a, b, c);
}

struct ast_expr *
ast_field(struct ast_parse *p, struct ast_expr *a, struct ast_token name)
{
    struct ast_expr *expr = ast_unary(p, AST_FIELD, a->pos, a);
    expr->text = name.text;
    return expr;
}

int32_t
ast_digit(struct ast_token token)
{
    int64_t value = 0;
    return ox_str_to_i64(token.text, &value) && value >= 0 && value < 7 ? (int32_t)value : 6;
}

/* ---- Types ------------------------------------------------------------------------ */

struct ast_type *
ast_type_new(struct ast_parse *p, struct ast_name *name, struct ast_list *mods)
{
    struct ast_type *type = ox_arena_new(p->arena, struct ast_type);
    type->pos = name->pos;
    type->name = name;
    type->mods = mods;
    return type;
}

struct ast_type *
ast_type_of(struct ast_parse *p, int pos, const char *name, struct ast_list *mods)
{
    return ast_type_new(p, ast_name_of(p, pos, NULL, name), mods);
}

struct ast_type *
ast_type_array(struct ast_type *type)
{
    type->dims++;
    return type;
}

/* numeric(5, 2) '1.5': what looked like a call was a type. */
struct ast_type *
ast_type_of_call(struct ast_parse *p, struct ast_expr *call)
{
    return ast_type_new(p, call->call->name, call->call->args);
}

struct ast_column_def *
ast_column_def(struct ast_parse *p, struct ast_token name, struct ast_type *type)
{
    struct ast_column_def *def = ox_arena_new(p->arena, struct ast_column_def);
    def->name = name.text;
    def->pos = name.pos;
    def->type = type;
    return def;
}

/* ---- SELECT ------------------------------------------------------------------------- */

struct ast_target *
ast_target(struct ast_parse *p, struct ast_expr *expr, struct ast_token alias)
{
    struct ast_target *target = ox_arena_new(p->arena, struct ast_target);
    target->expr = expr;
    target->alias = alias.text;
    target->pos = expr->pos;
    return target;
}

struct ast_order *
ast_order(struct ast_parse *p, struct ast_expr *expr, bool desc, char nulls)
{
    struct ast_order *order = ox_arena_new(p->arena, struct ast_order);
    order->expr = expr;
    order->desc = desc;
    order->nulls = nulls;
    return order;
}

struct ast_alias *
ast_alias(struct ast_parse *p, struct ast_token name, struct ast_list *columns)
{
    struct ast_alias *alias = ox_arena_new(p->arena, struct ast_alias);
    alias->name = name.text;
    alias->pos = name.pos;
    alias->columns = columns;
    return alias;
}

static struct ast_from *
from_new(struct ast_parse *p, enum ast_from_kind kind, int pos, struct ast_alias *alias)
{
    struct ast_from *from = ox_arena_new(p->arena, struct ast_from);
    from->kind = kind;
    from->pos = pos;
    from->depth = 1;
    from->alias = alias;
    return from;
}

struct ast_from *
ast_from_table(struct ast_parse *p, struct ast_name *name, struct ast_alias *alias)
{
    struct ast_from *from = from_new(p, AST_FROM_TABLE, name->pos, alias);
    from->name = name;
    return from;
}

struct ast_from *
ast_from_select(struct ast_parse *p, int pos, struct ast_select *select, struct ast_alias *alias,
    bool lateral)
{
    struct ast_from *from = from_new(p, AST_FROM_SELECT, pos, alias);
    from->select = select;
    from->lateral = lateral;
    deepen(p, &from->depth, select->depth, pos);
    return from;
}

struct ast_from *
ast_from_function(struct ast_parse *p, struct ast_expr *call, bool ordinality,
    struct ast_alias *alias, bool lateral)
{
    struct ast_from *from = from_new(p, AST_FROM_FUNCTION, call->pos, alias);
    from->function = call;
    from->ordinality = ordinality;
    from->lateral = lateral;
    deepen(p, &from->depth, call->depth, call->pos);
    return from;
}

struct ast_from *
ast_from_join(struct ast_parse *p, int pos, enum ast_join_kind kind, struct ast_from *left,
    struct ast_from *right)
{
    struct ast_from *from = from_new(p, AST_FROM_JOIN, pos, NULL);
    from->join = kind;
    from->left = left;
    from->right = right;
    deepen(p, &from->depth, left->depth, pos);
    deepen(p, &from->depth, right->depth, pos);
    return from;
}

void
ast_from_qualify(struct ast_from *join, struct ast_join_qual qual)
{
    join->on = qual.on;
    join->using_columns = qual.columns;
}

struct ast_select *
ast_select_new(struct ast_parse *p, int pos)
{
    struct ast_select *select = ox_arena_new(p->arena, struct ast_select);
    select->pos = pos;
    select->depth = 1;
    return select;
}

static void
select_deepen(struct ast_parse *p, struct ast_select *select, const struct ast_list *exprs)
{
    for (size_t i = 0; exprs != NULL && i < exprs->count; i++)
        deepen(p, &select->depth, ast_at(exprs, i, struct ast_expr)->depth, select->pos);
}

struct ast_select *
ast_select_simple(struct ast_parse *p, int pos, struct ast_list *targets, struct ast_list *from,
    struct ast_expr *where, struct ast_groupby group, struct ast_expr *having,
    struct ast_list *windows)
{
    struct ast_select *select = ast_select_new(p, pos);
    select->targets = targets;
    select->from = from;
    select->where = where;
    select->group = group.items;
    select->group_distinct = group.distinct;
    select->having = having;
    select->windows = windows;
    for (size_t i = 0; i < targets->count; i++)
        deepen(p, &select->depth, ast_at(targets, i, struct ast_target)->expr->depth, pos);
    for (size_t i = 0; from != NULL && i < from->count; i++)
        deepen(p, &select->depth, ast_at(from, i, struct ast_from)->depth, pos);
    if (where != NULL)
        deepen(p, &select->depth, where->depth, pos);
    if (having != NULL)
        deepen(p, &select->depth, having->depth, pos);
    select_deepen(p, select, group.items);
    return select;
}

struct ast_select *
ast_select_from(struct ast_parse *p, int pos, struct ast_from *from)
{
    struct ast_expr *star = ast_expr_new(p, AST_STAR, pos);
    return ast_select_simple(p, pos,
        ast_list_one(p, ast_target(p, star, (struct ast_token){.text = OX_STR_NULL})),
        ast_list_one(p, from), NULL, (struct ast_groupby){0}, NULL, NULL);
}

struct ast_select *
ast_select_table(struct ast_parse *p, struct ast_token table, struct ast_name *name)
{
    return ast_select_from(p, table.pos, ast_from_table(p, name, NULL));
}

struct ast_select *
ast_select_set(struct ast_parse *p, int pos, enum ast_set_op op, bool all,
    struct ast_select *left, struct ast_select *right)
{
    struct ast_select *select = ast_select_new(p, pos);
    select->op = op;
    select->all = all;
    select->left = left;
    select->right = right;
    deepen(p, &select->depth, left->depth, pos);
    deepen(p, &select->depth, right->depth, pos);
    return select;
}

static bool
has_limit(const struct ast_limit *limit)
{
    return limit->limit != NULL || limit->offset != NULL;
}

void
ast_select_tail(struct ast_parse *p, struct ast_select *select, struct ast_list *order,
    struct ast_limit limit, struct ast_token locking)
{
    if (order != NULL && select->order != NULL)
        ast_fail(p, OX_SYNTAX_ERROR, ast_at(order, 0, struct ast_order)->expr->pos,
            "multiple ORDER BY clauses not allowed");
    if (limit.limit != NULL && select->limit != NULL)
        ast_fail(p, OX_SYNTAX_ERROR, limit.limit->pos, "multiple LIMIT clauses not allowed");
    if (limit.offset != NULL && select->offset != NULL)
        ast_fail(p, OX_SYNTAX_ERROR, limit.offset->pos, "multiple OFFSET clauses not allowed");
    if (order != NULL)
        select->order = order;
    if (has_limit(&limit)) {
        select->limit = limit.limit;
        select->offset = limit.offset;
        select->limit_ties = limit.ties;
    }
    if (locking.text.ptr != NULL)
        select->locking = locking;
    for (size_t i = 0; order != NULL && i < order->count; i++)
        deepen(p, &select->depth, ast_at(order, i, struct ast_order)->expr->depth, select->pos);
}

struct ast_select *
ast_select_with(struct ast_parse *p, struct ast_select *with, struct ast_select *select)
{
    if (select->ctes != NULL)
        ast_fail(p, OX_SYNTAX_ERROR, with->pos, "multiple WITH clauses not allowed");
    select->ctes = with->ctes;
    select->recursive = with->recursive;
    for (size_t i = 0; i < with->ctes->count; i++)
        deepen(p, &select->depth, ast_at(with->ctes, i, struct ast_cte)->select->depth,
            select->pos);
    return select;
}

struct ast_cte *
ast_cte(struct ast_parse *p, struct ast_token name, struct ast_list *columns, char materialized,
    struct ast_select *select)
{
    struct ast_cte *cte = ox_arena_new(p->arena, struct ast_cte);
    cte->name = name.text;
    cte->pos = name.pos;
    cte->columns = columns;
    cte->materialized = materialized;
    cte->select = select;
    return cte;
}

struct ast_window *
ast_window_new(struct ast_parse *p, int pos)
{
    struct ast_window *window = ox_arena_new(p->arena, struct ast_window);
    window->pos = pos;
    return window;
}

/* ---- Statements ----------------------------------------------------------------------- */

struct ast_option *
ast_option(struct ast_parse *p, struct ast_token name, struct ast_expr *value)
{
    struct ast_option *option = ox_arena_new(p->arena, struct ast_option);
    option->name = name.text;
    option->pos = name.pos;
    option->value = value;
    return option;
}

struct ast_option *
ast_option_word(struct ast_parse *p, struct ast_token at, const char *name, const char *value)
{
    struct ast_token token = {.text = ox_str(value), .pos = at.pos, .end = at.end};
    struct ast_expr *string = ast_leaf(p, AST_STRING, token);
    token.text = ox_str(name);
    return ast_option(p, token, string);
}

struct ast_option *
ast_option_list(struct ast_parse *p, struct ast_token at, const char *name,
    struct ast_list *names)
{
    if (name != NULL)
        at.text = ox_str(name);
    struct ast_option *option = ast_option(p, at, NULL);
    option->list = names != NULL ? names : ast_list_new(p);
    return option;
}

struct ast_stmt *
ast_stmt_new(struct ast_parse *p, enum ast_stmt_kind kind, int pos)
{
    struct ast_stmt *stmt = ox_arena_new(p->arena, struct ast_stmt);
    stmt->kind = kind;
    stmt->pos = pos;
    return stmt;
}

void
ast_stmt_add(struct ast_parse *p, struct ast_stmt *stmt, int end)
{
    stmt->end = end;
    stmt->params = p->params;
    stmt->first_param = p->first_param;
    ast_list_add(p, &p->stmts, stmt);
}

struct ast_subscribe *
ast_subscribe_new(struct ast_parse *p, int pos)
{
    struct ast_subscribe *subscribe = ox_arena_new(p->arena, struct ast_subscribe);
    subscribe->pos = pos;
    return subscribe;
}

struct ast_range *
ast_range(struct ast_parse *p, struct ast_token first, struct ast_token last)
{
    struct ast_range *range = ox_arena_new(p->arena, struct ast_range);
    int64_t low = 0, high = 0;
    if (!ox_str_to_i64(first.text, &low) || !ox_str_to_i64(last.text, &high) || high > INT32_MAX ||
        low > high)
        ast_fail(p, OX_INVALID_PARAMETER_VALUE, first.pos, "partition range is not valid");
    else
        *range = (struct ast_range){(int32_t)low, (int32_t)high};
    return range;
}

struct ast_token
ast_dotted(struct ast_parse *p, struct ast_token a, struct ast_token b)
{
    return (struct ast_token){
        .text = ox_str(ox_arena_printf(p->arena, "%.*s.%.*s", OX_STR_ARG(a.text),
            OX_STR_ARG(b.text))),
        .pos = a.pos,
        .end = b.end,
    };
}

struct ast_insert *
ast_insert_new(struct ast_parse *p, struct ast_list *columns, struct ast_select *select)
{
    struct ast_insert *insert = ox_arena_new(p->arena, struct ast_insert);
    insert->columns = columns;
    insert->select = select;
    return insert;
}

struct ast_copy *
ast_copy_new(struct ast_parse *p)
{
    return ox_arena_new(p->arena, struct ast_copy);
}

struct ast_stmt *
ast_copy(struct ast_parse *p, int pos, struct ast_copy *copy, bool from, struct ast_token target,
    struct ast_list *options, struct ast_expr *where)
{
    struct ast_stmt *stmt = ast_stmt_new(p, AST_COPY, pos);
    copy->from = from;
    copy->target = target;
    copy->options = options;
    copy->where = where;
    stmt->copy = copy;
    return stmt;
}

struct ast_create_topic *
ast_create_topic(struct ast_parse *p)
{
    return ox_arena_new(p->arena, struct ast_create_topic);
}

struct ast_create_topic *
ast_create_refuse(struct ast_create_topic *create, struct ast_token clause)
{
    if (create->refused.text.ptr == NULL)
        create->refused = clause;
    return create;
}

/* RAW and TEXT are what an untyped topic is. */
struct ast_create_topic *
ast_create_format(struct ast_parse *p, struct ast_create_topic *create, struct ast_token format)
{
    (void)p;
    if (!ox_str_is(format.text, "raw") && !ox_str_is(format.text, "text"))
        return ast_create_refuse(create, format);
    return create;
}

struct ast_word *
ast_word(struct ast_parse *p, struct ast_token token, char kind)
{
    struct ast_word *word = ox_arena_new(p->arena, struct ast_word);
    *word = (struct ast_word){token.text, token.pos, kind};
    return word;
}

struct ast_word *
ast_word_of(struct ast_parse *p, const char *text)
{
    struct ast_word *word = ox_arena_new(p->arena, struct ast_word);
    *word = (struct ast_word){ox_str(text), -1, 'k'};
    return word;
}

struct ast_stmt *
ast_role(struct ast_parse *p, int pos, enum ast_stmt_kind kind, struct ast_list *names,
    struct ast_list *words)
{
    struct ast_stmt *stmt = ast_stmt_new(p, kind, pos);
    stmt->role.names = names;
    stmt->role.words = words;
    return stmt;
}

struct ast_stmt *
ast_grant(struct ast_parse *p, int pos, enum ast_stmt_kind kind, struct ast_list *rights,
    struct ast_list *on, struct ast_list *whom)
{
    struct ast_stmt *stmt = ast_stmt_new(p, kind, pos);
    stmt->grant.rights = rights;
    stmt->grant.on = on;
    stmt->grant.whom = whom;
    return stmt;
}

struct ast_alter_topic *
ast_alter_refuse(struct ast_parse *p, struct ast_token at, const char *what)
{
    struct ast_alter_topic *alter = ast_alter_topic(p, AST_ALTER_REFUSED);
    alter->refused = at;
    alter->refused.text = ox_str(what);
    return alter;
}

struct ast_retain
ast_retain_add(struct ast_parse *p, struct ast_retain all, struct ast_retain one)
{
    if ((all.time != NULL && one.time != NULL) || (all.bytes != NULL && one.bytes != NULL) ||
        all.all || one.all)
        ast_fail(p, OX_SYNTAX_ERROR, one.pos, "conflicting or redundant options");
    if (one.time != NULL)
        all.time = one.time;
    if (one.bytes != NULL)
        all.bytes = one.bytes;
    return all;
}

struct ast_alter_topic *
ast_alter_topic(struct ast_parse *p, enum ast_alter_kind kind)
{
    struct ast_alter_topic *alter = ox_arena_new(p->arena, struct ast_alter_topic);
    alter->kind = kind;
    return alter;
}

struct ast_stmt *
ast_set(struct ast_parse *p, int pos, struct ast_token name, struct ast_list *values, int scope)
{
    struct ast_stmt *stmt = ast_stmt_new(p, AST_SET_VAR, pos);
    stmt->set.name = name.text;
    stmt->set.values = values;
    stmt->set.local = scope == 'L';
    stmt->set.session = scope == 'S';
    return stmt;
}

struct ast_stmt *
ast_show(struct ast_parse *p, int pos, enum ast_stmt_kind kind, struct str name)
{
    struct ast_stmt *stmt = ast_stmt_new(p, kind, pos);
    stmt->set.name = name;
    return stmt;
}

struct ast_stmt *
ast_transaction(struct ast_parse *p, int pos, enum ast_transaction_kind kind, struct str name,
    struct ast_list *modes)
{
    struct ast_stmt *stmt = ast_stmt_new(p, AST_TRANSACTION, pos);
    stmt->transaction.kind = kind;
    stmt->transaction.name = name;
    stmt->transaction.modes = modes;
    return stmt;
}

struct ast_stmt *
ast_named_stmt(struct ast_parse *p, enum ast_stmt_kind kind, int pos, struct ast_token name)
{
    struct ast_stmt *stmt = ast_stmt_new(p, kind, pos);
    stmt->execute.name = name.text;
    return stmt;
}

struct ast_stmt *
ast_explain(struct ast_parse *p, int pos, bool analyze, bool verbose, struct ast_list *options,
    struct ast_stmt *inner)
{
    struct ast_stmt *stmt = ast_stmt_new(p, AST_EXPLAIN, pos);
    stmt->explain = ox_arena_new(p->arena, struct ast_explain);
    *stmt->explain = (struct ast_explain){
        .analyze = analyze, .verbose = verbose, .options = options, .stmt = inner};
    return stmt;
}

struct ast_stmt *
ast_declare(struct ast_parse *p, int pos, struct ast_token name, int options, bool hold,
    struct ast_select *select, struct ast_subscribe *subscribe)
{
    struct ast_stmt *stmt = ast_stmt_new(p, AST_DECLARE, pos);
    stmt->declare.name = name.text;
    stmt->declare.binary = options & 1;
    stmt->declare.scroll = options & 2;
    stmt->declare.hold = hold;
    stmt->declare.select = select;
    stmt->declare.subscribe = subscribe;
    return stmt;
}

struct ast_fetch *
ast_fetch(struct ast_parse *p, char direction, struct ast_expr *count, struct ast_token cursor)
{
    struct ast_fetch *fetch = ox_arena_new(p->arena, struct ast_fetch);
    fetch->direction = direction;
    fetch->count = count;
    fetch->cursor = cursor.text;
    fetch->pos = cursor.pos;
    return fetch;
}
