/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions: every node of the syntax becomes a typed node, with overloads
 * resolved and casts put in by the builders of exec/expr.h. Columns are ids
 * until a plan gives them a place. Calls are bind_call.c's. */
#include "base/near.h"
#include "sql/bind_int.h"

#include <stdio.h>

#include "base/check.h"

/* ---- columns ---- */

static bool
rel_matches(const struct rel *rel, struct str schema, struct str name)
{
    return ox_str_eq(rel->alias, name) &&
           (schema.ptr == NULL || rel->schema.ptr == NULL || ox_str_eq(rel->schema, schema));
}

static struct rel_column *
column_of_rel(struct rel *rel, struct str name)
{
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (ox_str_eq(rel->columns[i].name, name))
            return &rel->columns[i];
    return NULL;
}

struct rel_column *
bind_find_column(struct scope *scope, struct str rel_name, struct str name, bool *ambiguous,
    bool *rel_found)
{
    struct rel_column *found = NULL;
    *ambiguous = false;
    *rel_found = false;
    if (rel_name.ptr != NULL) {
        for (uint32_t i = 0; i < scope->rel_count; i++)
            if (rel_matches(scope->rels[i], OX_STR_NULL, rel_name)) {
                *rel_found = true;
                return column_of_rel(scope->rels[i], name);
            }
        return NULL;
    }
    for (uint32_t i = 0; i < scope->visible_count; i++) {
        if (!ox_str_eq(scope->visible[i]->name, name))
            continue;
        *ambiguous |= found != NULL && found != scope->visible[i];
        found = scope->visible[i];
    }
    return found;
}

static struct expr *
outer_column(struct bind *b, uint32_t id, struct type type, const char *label, uint32_t level,
    struct scope *scope, int position)
{
    struct expr *expr = expr_outer(b->arena, level, 0, type, label, position);
    struct outer_ref *ref = ox_arena_new(b->arena, struct outer_ref);
    expr->value.i = id;
    *ref = (struct outer_ref){expr, scope->subquery, scope->refs};
    scope->refs = ref;
    return expr;
}

/* A copy of what a merged column stands for, as seen from some levels below. */
struct lower {
    struct bind *b;
    struct scope *scope;
    uint32_t level;
};

static struct expr *
lower_column(const struct expr *node, void *arg)
{
    struct lower *to = arg;
    if (node->kind != EXPR_COLUMN || to->level == 0)
        return NULL;
    return outer_column(to->b, node->column, node->type, node->label, to->level, to->scope,
        node->position);
}

static struct expr *
keep_node(const struct expr *node, void *arg)
{
    (void)node;
    (void)arg;
    return NULL;
}

struct expr *
bind_copy(struct bind *b, const struct expr *expr)
{
    return expr_map(b->arena, expr, keep_node, NULL);
}

struct expr *
bind_column_ref(struct bind *b, struct rel_column *column, uint32_t level, struct scope *scope,
    int pos)
{
    char *label = ox_arena_strndup(b->arena, column->name.ptr, column->name.len);
    column->used = true;
    if (column->merged != NULL) {
        struct lower to = {b, scope, level};
        return expr_map(b->arena, column->merged, lower_column, &to);
    }
    struct expr *expr =
        level == 0 ? expr_column(b->arena, column->id, column->type, label, pos + 1)
                   : outer_column(b, column->id, column->type, label, level, scope, pos + 1);
    expr->shape = column->shape;
    return expr;
}

/* A reference to a whole row of a relation: SELECT t FROM t. */
static struct expr *
whole_row(struct bind *b, struct rel *rel, uint32_t level, struct scope *scope, int pos)
{
    struct expr **fields = ox_arena_array(b->arena, struct expr *, rel->column_count);
    struct str *names = ox_arena_array(b->arena, struct str, rel->column_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        if (rel->columns[i].hidden)
            continue;
        names[count] = rel->columns[i].name;
        fields[count++] = bind_column_ref(b, &rel->columns[i], level, scope, pos);
    }
    return expr_row(b->arena, fields, names, count, pos + 1);
}

/* The nearest columns that could be referenced here. */
static void
hint_column(struct bind *b, const struct ast_name *name, struct str rel, struct str column)
{
    static const char *const bare[] = {"value", "key", "offset", "partition", "timestamp",
        "headers"};
    for (size_t i = 0; i < ox_count(bare); i++)
        if (ox_str_is(column, bare[i])) {
            ox_hint(b->err, "The system column is \"_%s\".", bare[i]);
            return;
        }
    struct near near;
    near_init(&near, column);
    for (struct scope *scope = b->scope; scope != NULL; scope = scope->parent)
        for (uint32_t i = 0; i < scope->rel_count; i++) {
            const struct rel *from = scope->rels[i];
            bool named = rel.ptr == NULL || rel_matches(from, OX_STR_NULL, rel);
            for (uint32_t j = 0; named && j < from->column_count; j++)
                near_offer(&near, from->columns[j].name, from);
        }
    int found = near_found(&near);
    const struct rel *first = near.tags[0], *second = near.tags[1];
    if (found == 1)
        ox_hint(b->err, "Perhaps you meant to reference the column \"%.*s.%.*s\".",
            OX_STR_ARG(first->alias), OX_STR_ARG(near.names[0]));
    else if (found == 2)
        ox_hint(b->err,
            "Perhaps you meant to reference the column \"%.*s.%.*s\" or the column \"%.*s.%.*s\".",
            OX_STR_ARG(first->alias), OX_STR_ARG(near.names[0]), OX_STR_ARG(second->alias),
            OX_STR_ARG(near.names[1]));
    else if (name->count == 1 && (size_t)name->pos < b->config->text.len &&
             b->config->text.ptr[name->pos] == '"')
        ox_hint(b->err, "Double quotes are for names; text is written in single quotes.");
}

ox_code
bind_missing_relation(struct bind *b, int pos, struct str name)
{
    for (struct scope *scope = b->scope; scope != NULL; scope = scope->parent)
        for (uint32_t i = 0; i < scope->rel_count; i++) {
            const struct rel *rel = scope->rels[i];
            struct str own = rel->kind == REL_TOPIC && rel->topic_count == 1 ? rel->topics[0].name
                             : rel->kind == REL_CATALOG ? ox_str(rel->catalog->name)
                                                        : OX_STR_NULL;
            if (own.ptr == NULL || !ox_str_eq(own, name))
                continue;
            ox_code code = bind_fail(b, OX_UNDEFINED_TABLE, pos,
                "invalid reference to FROM-clause entry for table \"%.*s\"", OX_STR_ARG(name));
            ox_hint(b->err, "Perhaps you meant to reference the table alias \"%.*s\".",
                OX_STR_ARG(rel->alias));
            return code;
        }
    return bind_fail(b, OX_UNDEFINED_TABLE, pos, "missing FROM-clause entry for table \"%.*s\"",
        OX_STR_ARG(name));
}

static ox_code
missing_column(struct bind *b, const struct ast_name *name, struct str rel, struct str column,
    bool rel_found)
{
    if (rel.ptr != NULL && !rel_found)
        return bind_missing_relation(b, name->pos, rel);
    if (rel.ptr != NULL)
        bind_fail(b, OX_UNDEFINED_COLUMN, name->pos, "column %.*s.%.*s does not exist",
            OX_STR_ARG(rel), OX_STR_ARG(column));
    else
        bind_fail(b, OX_UNDEFINED_COLUMN, name->pos, "column \"%.*s\" does not exist",
            OX_STR_ARG(column));
    hint_column(b, name, rel, column);
    return OX_UNDEFINED_COLUMN;
}

/* The relation's own oid: what tools join pg_description with. */
static bool
bind_tableoid(struct bind *b, struct str name, int pos, struct expr **out)
{
    for (struct scope *scope = b->scope; scope != NULL; scope = scope->parent)
        for (uint32_t i = 0; i < scope->rel_count; i++) {
            const struct rel *rel = scope->rels[i];
            if (rel->oid == 0 || (name.ptr != NULL && !ox_str_eq(rel->alias, name)))
                continue;
            *out = expr_const(b->arena, TYPE(TYPE_OID), datum_i64(rel->oid), pos + 1);
            return true;
        }
    return false;
}

static ox_code
bind_column(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    const struct ast_name *name = ast->name;
    struct str column = name->parts[name->count - 1];
    struct str rel = name->count > 1 ? name->parts[name->count - 2] : OX_STR_NULL;
    bool ambiguous, rel_found = false, found_rel = false;
    uint32_t level = 0;
    for (struct scope *scope = b->scope; scope != NULL; scope = scope->parent, level++) {
        struct rel_column *found = bind_find_column(scope, rel, column, &ambiguous, &rel_found);
        if (ambiguous)
            return bind_fail(b, OX_AMBIGUOUS_COLUMN, name->pos,
                "column reference \"%.*s\" is ambiguous", OX_STR_ARG(column));
        if (found != NULL) {
            *out = bind_column_ref(b, found, level, scope, name->pos);
            return OX_OK;
        }
        found_rel |= rel_found;
        for (uint32_t i = 0; name->count == 1 && i < scope->rel_count; i++)
            if (rel_matches(scope->rels[i], OX_STR_NULL, column)) {
                *out = whole_row(b, scope->rels[i], level, scope, name->pos);
                return OX_OK;
            }
        if (rel_found)
            break;
    }
    if (ox_str_is(column, "tableoid") && bind_tableoid(b, rel, name->pos, out))
        return OX_OK;
    return missing_column(b, name, rel, column, found_rel);
}

/* ---- lists ---- */

ox_code
bind_list(struct bind *b, const struct ast_list *list, struct expr ***out, uint32_t *count)
{
    *count = list != NULL ? (uint32_t)list->count : 0;
    *out = ox_arena_array(b->arena, struct expr *, *count);
    for (uint32_t i = 0; i < *count; i++) {
        ox_code code = bind_expr(b, ast_at(list, i, struct ast_expr), &(*out)[i]);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

ox_code
bind_condition(struct bind *b, const struct ast_expr *ast, enum bind_place place,
    const char *what, struct expr **out)
{
    enum bind_place before = b->scope->place;
    b->scope->place = place;
    ox_code code = bind_expr(b, ast, out);
    b->scope->place = before;
    return code == OX_OK ? expr_boolean(&b->eb, out, what, b->err) : code;
}

/* ---- subqueries ---- */

static ox_code
bind_subselect(struct bind *b, const struct ast_select *select, struct expr *node,
    struct query *query)
{
    struct scope *scope = b->scope;
    struct expr *before = scope->subquery;
    scope->subquery = node;
    ox_code code = bind_query(b, select, scope, query);
    scope->subquery = before;
    b->scope = scope;
    if (code != OX_OK)
        return code;
    node->subplan = query->plan;
    for (struct outer_ref *ref = scope->refs; ref != NULL; ref = ref->next)
        node->correlated |= ref->via == node;
    return OX_OK;
}

static ox_code
one_column(struct bind *b, const struct query *query, int pos)
{
    if (query->count == 1)
        return OX_OK;
    return bind_fail(b, OX_SYNTAX_ERROR, pos, "subquery must return only one column");
}

static ox_code
bind_simple_subquery(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct query query;
    struct expr *node = expr_new(b->arena, EXPR_SUBQUERY, TYPE(TYPE_BOOL), ast->pos + 1);
    ox_code code = bind_subselect(b, ast->select, node, &query);
    if (code == OX_OK && ast->kind != AST_EXISTS)
        code = one_column(b, &query, ast->pos);
    if (code != OX_OK)
        return code;
    node->subkind = ast->kind == AST_EXISTS         ? SUBQUERY_EXISTS
                    : ast->kind == AST_ARRAY_SELECT ? SUBQUERY_ARRAY
                                                    : SUBQUERY_SCALAR;
    if (node->subkind == SUBQUERY_SCALAR)
        node->type = query.columns[0].type;
    else if (node->subkind == SUBQUERY_ARRAY)
        node->type = type_array_of(query.columns[0].type);
    *out = node;
    return OX_OK;
}

/* The subplan with its columns cast to the types the comparison wants. */
static ox_code
cast_columns(struct bind *b, struct query *query, const struct type *types)
{
    struct expr **exprs = ox_arena_array(b->arena, struct expr *, query->count);
    bool same = true;
    for (uint32_t i = 0; i < query->count; i++) {
        exprs[i] = expr_column(b->arena, i, query->columns[i].type, NULL, 0);
        exprs[i]->level = 1;
        same &= type_same(types[i], query->columns[i].type);
        ox_code code =
            expr_coerce(&b->eb, exprs[i], types[i], CAST_IMPLICIT, &exprs[i], b->err);
        if (code != OX_OK)
            return code;
    }
    if (!same)
        query->plan = plan_project_new(b->arena, query->plan, exprs, NULL, query->count);
    return OX_OK;
}

static ox_code
compare_one(struct bind *b, struct str op, struct query *query, struct expr *node)
{
    struct type wanted;
    ox_code code = expr_subquery_compare(&b->eb, op, &node->args[0], query->columns[0].type,
        &wanted, &node->func, b->err);
    return code == OX_OK ? cast_columns(b, query, &wanted) : code;
}

/* False: it does not compare. */
static bool
op_of(struct str op, enum expr_op *out)
{
    static const struct {
        const char *name;
        enum expr_op op;
    } ops[] = {{"=", OP_EQ}, {"<>", OP_NE}, {"!=", OP_NE}, {"<", OP_LT}, {"<=", OP_LE},
        {">", OP_GT}, {">=", OP_GE}};
    for (size_t i = 0; i < ox_count(ops); i++)
        if (ox_str_is(op, ops[i].name)) {
            *out = ops[i].op;
            return true;
        }
    return false;
}

static ox_code
compare_many(struct bind *b, struct str op, struct query *query, struct expr *node)
{
    struct type *wanted = ox_arena_array(b->arena, struct type, query->count);
    if (!op_of(op, &node->op))
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, node->position - 1,
            "could not determine interpretation of row comparison operator %.*s",
            OX_STR_ARG(op));
    for (uint32_t i = 0; i < query->count; i++) {
        struct expr *pair[2] = {node->args[i], expr_null(b->arena, 0)};
        pair[1]->type = query->columns[i].type;
        ox_code code = expr_common_type(&b->eb, pair, 2, "IN", &wanted[i], b->err);
        if (code == OX_DATATYPE_MISMATCH)
            return bind_fail(b, OX_UNDEFINED_FUNCTION, node->position - 1,
                "operator does not exist: %s %.*s %s", type_facts(node->args[i]->type)->name,
                OX_STR_ARG(op), type_facts(query->columns[i].type)->name);
        if (code == OX_OK)
            code = expr_coerce(&b->eb, node->args[i], wanted[i], CAST_IMPLICIT, &node->args[i],
                b->err);
        if (code != OX_OK)
            return code;
    }
    return cast_columns(b, query, wanted);
}

/* left op ANY/ALL (select), left IN (select), row op (select); left may be a row. */
static ox_code
bind_compared_subquery(struct bind *b, const struct ast_expr *ast, struct str op,
    enum expr_subkind kind, struct expr **out)
{
    struct query query;
    struct expr *node = expr_new(b->arena, EXPR_SUBQUERY, TYPE(TYPE_BOOL), ast->pos + 1);
    ox_code code;
    node->subkind = kind;
    if (ast->a->kind == AST_ROW) {
        code = bind_list(b, ast->a->list, &node->args, &node->nargs);
    } else {
        node->args = ox_arena_array(b->arena, struct expr *, 1);
        node->nargs = 1;
        code = bind_expr(b, ast->a, &node->args[0]);
    }
    if (code == OX_OK)
        code = bind_subselect(b, ast->select, node, &query);
    if (code != OX_OK)
        return code;
    if (query.count != node->nargs)
        return bind_fail(b, OX_SYNTAX_ERROR, ast->pos, "subquery has too %s columns",
            query.count > node->nargs ? "many" : "few");
    code = query.count == 1 ? compare_one(b, op, &query, node)
                            : compare_many(b, op, &query, node);
    node->subplan = query.plan;
    *out = node;
    return code;
}

/* As the above, the query being an operand. */
static ox_code
bind_row_subquery(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct ast_expr compared = *ast;
    compared.select = ast->b->select;
    return bind_compared_subquery(b, &compared, ast->text, SUBQUERY_ROW, out);
}

/* ---- operators and tests ---- */

static ox_code
bind_operator(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr *left = NULL, *right;
    if (ast->a != NULL && ast->a->kind == AST_ROW && ast->b->kind == AST_SUBQUERY)
        return bind_row_subquery(b, ast, out);
    if (ast->a != NULL && ast->a->kind == AST_ROW && ast->b->kind == AST_ROW) {
        struct expr **lefts, **rights;
        uint32_t left_count, right_count;
        ox_code code = bind_list(b, ast->a->list, &lefts, &left_count);
        if (code == OX_OK)
            code = bind_list(b, ast->b->list, &rights, &right_count);
        if (code == OX_OK && left_count != right_count)
            code = bind_fail(b, OX_SYNTAX_ERROR, ast->pos,
                "unequal number of entries in row expressions");
        return code != OX_OK ? code
                             : expr_row_compare(&b->eb, ast->text, lefts, rights, left_count,
                                   ast->pos + 1, out, b->err);
    }
    ox_code code = ast->a != NULL ? bind_expr(b, ast->a, &left) : OX_OK;
    if (code == OX_OK)
        code = bind_expr(b, ast->b, &right);
    return code != OX_OK ? code
                         : expr_operator(&b->eb, ast->text, left, right, ast->pos + 1, out,
                               b->err);
}

static ox_code
bind_logic(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr **args;
    uint32_t count;
    ox_code code = bind_list(b, ast->list, &args, &count);
    for (uint32_t i = 0; i < count && code == OX_OK; i++)
        code = expr_boolean(&b->eb, &args[i], ast->kind == AST_AND ? "AND" : "OR", b->err);
    if (code == OX_OK)
        *out = ast->kind == AST_AND ? expr_and(b->arena, args, count)
                                    : expr_or(b->arena, args, count);
    return code;
}

static ox_code
negate(struct bind *b, bool flag, ox_code code, struct expr **out)
{
    return code == OX_OK && flag ? expr_not(&b->eb, *out, out, b->err) : code;
}

static ox_code
bind_test(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    static const enum expr_test tests[4][2] = {{TEST_NULL, TEST_NOT_NULL},
        {TEST_TRUE, TEST_NOT_TRUE}, {TEST_FALSE, TEST_NOT_FALSE},
        {TEST_UNKNOWN, TEST_NOT_UNKNOWN}};
    struct expr *arg;
    ox_code code = bind_expr(b, ast->a, &arg);
    if (code == OX_OK && ast->number == AST_IS_NULL)
        code = expr_settle(&b->eb, &arg, b->err);
    else if (code == OX_OK)
        code = expr_boolean(&b->eb, &arg, "IS", b->err);
    if (code == OX_OK)
        *out = expr_test(b->arena, tests[ast->number][ast->flag], arg, ast->pos + 1);
    return code;
}

/* a >= low AND a <= high; a is bound anew for each, as its nodes are placed apart. */
static ox_code
bind_range(struct bind *b, const struct ast_expr *ast, const struct ast_expr *low,
    const struct ast_expr *high, struct expr **out)
{
    struct expr *a[2], *edge[2], *both[2];
    ox_code code = OX_OK;
    for (int i = 0; i < 2 && code == OX_OK; i++) {
        code = bind_expr(b, ast->a, &a[i]);
        if (code == OX_OK)
            code = bind_expr(b, i == 0 ? low : high, &edge[i]);
        if (code == OX_OK)
            code = expr_operator(&b->eb, i == 0 ? OX_STR(">=") : OX_STR("<="), a[i], edge[i],
                ast->pos + 1, &both[i], b->err);
    }
    if (code == OX_OK)
        *out = expr_and(b->arena, both, 2);
    return code;
}

static ox_code
bind_between(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr *ways[2];
    ox_code code = bind_range(b, ast, ast->b, ast->c, &ways[0]);
    *out = ways[0];
    if (code == OX_OK && ast->number != 0) { /* SYMMETRIC */
        code = bind_range(b, ast, ast->c, ast->b, &ways[1]);
        *out = code == OX_OK ? expr_or(b->arena, ways, 2) : NULL;
    }
    return negate(b, ast->flag, code, out);
}

static ox_code
bind_in(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    if (ast->select != NULL)
        return negate(b, ast->flag,
            bind_compared_subquery(b, ast, OX_STR("="), SUBQUERY_IN, out), out);
    if (ast->a->kind == AST_ROW) { /* (a, b) IN ((1, 2), ...): an OR of comparisons */
        struct expr **ways = ox_arena_array(b->arena, struct expr *, ast->list->count);
        ox_code code = OX_OK;
        for (size_t i = 0; i < ast->list->count && code == OX_OK; i++) {
            struct ast_expr equal = {.kind = AST_OP, .pos = ast->pos, .text = OX_STR("="),
                .a = ast->a, .b = ast_at(ast->list, i, struct ast_expr)};
            code = bind_operator(b, &equal, &ways[i]);
        }
        if (code == OX_OK)
            *out = expr_or(b->arena, ways, (uint32_t)ast->list->count);
        return negate(b, ast->flag, code, out);
    }
    struct expr *left, **list;
    uint32_t count;
    ox_code code = bind_expr(b, ast->a, &left);
    if (code == OX_OK)
        code = bind_list(b, ast->list, &list, &count);
    return code != OX_OK ? code
                         : expr_in(&b->eb, left, list, count, ast->flag, ast->pos + 1, out,
                               b->err);
}

static ox_code
bind_like(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr *left, *args[2];
    bool similar = ox_str_is(ast->text, "SIMILAR"), ilike = ox_str_is(ast->text, "ILIKE");
    ox_code code = bind_expr(b, ast->a, &left);
    if (code == OX_OK)
        code = bind_expr(b, ast->b, &args[0]);
    if (code == OX_OK && ast->c != NULL)
        code = bind_expr(b, ast->c, &args[1]);
    if (code == OX_OK && (similar || ast->c != NULL))
        code = expr_function(&b->eb, similar ? OX_STR("similar_to_escape") : OX_STR("like_escape"),
            args, ast->c != NULL ? 2 : 1, false, ast->pos + 1, &args[0], b->err);
    if (code != OX_OK)
        return code;
    const char *op = similar ? (ast->flag ? "!~" : "~")
                     : ilike ? (ast->flag ? "!~~*" : "~~*")
                             : (ast->flag ? "!~~" : "~~");
    return expr_operator(&b->eb, ox_str(op), left, args[0], ast->pos + 1, out, b->err);
}

static ox_code
bind_quantified(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    if (ast->select != NULL)
        return bind_compared_subquery(b, ast, ast->text,
            ast->flag ? SUBQUERY_ALL : SUBQUERY_ANY, out);
    struct expr *left, *array;
    ox_code code = bind_expr(b, ast->a, &left);
    if (code == OX_OK)
        code = bind_expr(b, ast->b, &array);
    return code != OX_OK ? code
                         : expr_any_all(&b->eb, ast->flag ? EXPR_ALL : EXPR_ANY, ast->text, left,
                               array, ast->pos + 1, out, b->err);
}

/* ---- CASE, casts, arrays, fields ---- */

static ox_code
bind_case(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    uint32_t count = (uint32_t)ast->list->count / 2;
    struct expr **conds = ox_arena_array(b->arena, struct expr *, count);
    struct expr **values = ox_arena_array(b->arena, struct expr *, count);
    struct expr *operand = NULL, *otherwise = NULL;
    ox_code code = ast->a != NULL ? bind_expr(b, ast->a, &operand) : OX_OK;
    for (uint32_t i = 0; i < count && code == OX_OK; i++) {
        code = bind_expr(b, ast_at(ast->list, i * 2, struct ast_expr), &conds[i]);
        if (code == OX_OK)
            code = bind_expr(b, ast_at(ast->list, i * 2 + 1, struct ast_expr), &values[i]);
    }
    if (code == OX_OK && ast->b != NULL)
        code = bind_expr(b, ast->b, &otherwise);
    return code != OX_OK ? code
                         : expr_case(&b->eb, operand, conds, values, count, otherwise,
                               ast->pos + 1, out, b->err);
}

static ox_code
bind_cast(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct type type;
    struct expr *arg;
    ox_code code = bind_type(b->config, ast->type, &type, b->err);
    if (code == OX_OK && type.array && ast->a->kind == AST_ARRAY &&
        (ast->a->list == NULL || ast->a->list->count == 0))
        code = expr_array(&b->eb, NULL, 0, ast->pos + 1, &arg, b->err);
    else if (code == OX_OK)
        code = bind_expr(b, ast->a, &arg);
    if (code != OX_OK)
        return code;
    code = expr_coerce(&b->eb, arg, type, CAST_EXPLICIT, out, b->err);
    if (code != OX_OK && b->err->position == 0)
        b->err->position = ast->pos + 1;
    return code;
}

static ox_code
bind_subscript(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr *array, *from = NULL, *to = NULL;
    bool inner = ast->a->kind == AST_SUBSCRIPT && !ast->a->parens;
    ox_code code = bind_expr(b, ast->a, &array);
    if (code == OX_OK && ast->b != NULL)
        code = bind_expr(b, ast->b, &from);
    if (code == OX_OK && ast->c != NULL)
        code = bind_expr(b, ast->c, &to);
    if (code != OX_OK)
        return code;
    return ast->flag ? expr_slice(&b->eb, array, from, to, inner, ast->pos + 1, out, b->err)
                     : expr_subscript(&b->eb, array, from, ast->pos + 1, out, b->err);
}

static const struct expr *
shape_of(const struct expr *record)
{
    return record->kind == EXPR_ROW ? record : record->shape;
}

uint32_t
bind_field_count(const struct expr *record)
{
    const struct expr *shape = shape_of(record);
    return shape != NULL ? shape->nargs : 0;
}

struct expr *
bind_field_at(struct bind *b, struct expr *record, uint32_t i, struct str *name)
{
    const struct expr *shape = shape_of(record);
    *name = shape->names != NULL ? shape->names[i]
                                 : ox_str(ox_arena_printf(b->arena, "f%u", i + 1));
    if (record->kind == EXPR_ROW)
        return record->args[i];
    struct expr *field =
        expr_new(b->arena, EXPR_FIELD, shape->args[i]->type, record->position);
    field->args = ox_arena_copy(b->arena, &record, sizeof(record));
    field->nargs = 1;
    field->column = i;
    return field;
}

static ox_code
bind_field(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr *record;
    ox_code code = bind_expr(b, ast->a, &record);
    if (code != OX_OK)
        return code;
    for (uint32_t i = 0; i < bind_field_count(record); i++) {
        struct str name;
        *out = bind_field_at(b, record, i, &name);
        if (ox_str_eq(name, ast->text))
            return OX_OK;
    }
    if (record->type.id != TYPE_RECORD)
        return bind_fail(b, OX_WRONG_OBJECT_TYPE, ast->pos,
            "column notation .%.*s applied to type %s, which is not a composite type",
            OX_STR_ARG(ast->text), type_name(record->type, b->arena));
    return bind_fail(b, OX_UNDEFINED_COLUMN, ast->pos,
        "could not identify column \"%.*s\" in record data type", OX_STR_ARG(ast->text));
}

/* ---- leaves ---- */

static ox_code
bind_keyword(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    ox_code code =
        expr_function(&b->eb, ast->text, NULL, 0, false, ast->pos + 1, out, b->err);
    if (code == OX_OK && ast->number >= 0) {
        struct type type = (*out)->type;
        type.typmod = ast->number;
        code = expr_coerce(&b->eb, *out, type, CAST_EXPLICIT, out, b->err);
    }
    return code;
}

static ox_code
bind_number(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    int64_t value;
    if (ast->kind == AST_INTEGER && ox_str_to_i64(ast->text, &value)) {
        bool small = value >= INT32_MIN && value <= INT32_MAX;
        struct type type = TYPE(small ? TYPE_INT4 : TYPE_INT8);
        *out = expr_const(b->arena, type, datum_i64(value), ast->pos + 1);
        return OX_OK;
    }
    struct datum number = {0};
    ox_code code = numeric_in(ast->text, -1, b->arena, &number.s, b->err);
    if (code == OX_OK)
        *out = expr_const(b->arena, TYPE(TYPE_NUMERIC), number, ast->pos + 1);
    return code;
}

static ox_code
bind_param_ref(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    uint32_t index = (uint32_t)ast->number - 1;
    if (ast->number < 1 || index >= b->eb.param_count)
        return bind_fail(b, OX_UNDEFINED_PARAMETER, ast->pos, "there is no parameter $%d",
            ast->number);
    *out = expr_param(b->arena, index, b->eb.param_types[index], ast->pos + 1);
    return OX_OK;
}

static ox_code
bind_choice(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr **args;
    uint32_t count;
    ox_code code = bind_list(b, ast->list, &args, &count);
    if (code != OX_OK)
        return code;
    switch (ast->kind) {
    case AST_NULLIF:
        return expr_nullif(&b->eb, args[0], args[1], ast->pos + 1, out, b->err);
    case AST_ARRAY:
        if (count == 0) {
            bind_fail(b, OX_INDETERMINATE_DATATYPE, ast->pos,
                "cannot determine type of empty array");
            return ox_hint(b->err, "Explicitly cast to the desired type, for example "
                                   "ARRAY[]::integer[].");
        }
        return expr_array(&b->eb, args, count, ast->pos + 1, out, b->err);
    case AST_ROW:
        *out = expr_row(b->arena, args, NULL, count, ast->pos + 1);
        return OX_OK;
    default:
        return expr_choice(&b->eb,
            ast->kind == AST_COALESCE   ? EXPR_COALESCE
            : ast->kind == AST_GREATEST ? EXPR_GREATEST
                                        : EXPR_LEAST,
            args, count, ast->pos + 1, out, b->err);
    }
}

static ox_code
bind_distinct_from(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr *left, *right;
    ox_code code = bind_expr(b, ast->a, &left);
    if (code == OX_OK)
        code = bind_expr(b, ast->b, &right);
    return code != OX_OK ? code
                         : expr_distinct(&b->eb, left, right, ast->flag, ast->pos + 1, out,
                               b->err);
}

static ox_code
bind_collate(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct str name = ast->name->parts[ast->name->count - 1];
    if (!ox_str_is(name, "default") && !ox_str_is(name, "C") && !ox_str_is(name, "POSIX") &&
        !ox_str_is(name, "ucs_basic"))
        return bind_fail(b, OX_UNDEFINED_OBJECT, ast->pos,
            "collation \"%.*s\" does not exist; there is \"C\"", OX_STR_ARG(name));
    return bind_expr(b, ast->a, out);
}

static ox_code
bind_node(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct expr *arg;
    ox_code code;
    switch (ast->kind) {
    case AST_NULL: *out = expr_null(b->arena, ast->pos + 1); return OX_OK;
    case AST_BOOL:
        *out = expr_const(b->arena, TYPE(TYPE_BOOL), datum_bool(ast->flag), ast->pos + 1);
        return OX_OK;
    case AST_STRING: *out = expr_literal(b->arena, ast->text, ast->pos + 1); return OX_OK;
    case AST_INTEGER:
    case AST_NUMBER: return bind_number(b, ast, out);
    case AST_PARAM: return bind_param_ref(b, ast, out);
    case AST_COLUMN: return bind_column(b, ast, out);
    case AST_OP: return bind_operator(b, ast, out);
    case AST_AND:
    case AST_OR: return bind_logic(b, ast, out);
    case AST_NOT:
        code = bind_expr(b, ast->a, &arg);
        return code == OX_OK ? expr_not(&b->eb, arg, out, b->err) : code;
    case AST_TEST: return bind_test(b, ast, out);
    case AST_DISTINCT_FROM: return bind_distinct_from(b, ast, out);
    case AST_BETWEEN: return bind_between(b, ast, out);
    case AST_IN: return bind_in(b, ast, out);
    case AST_LIKE: return bind_like(b, ast, out);
    case AST_QUANTIFIED: return bind_quantified(b, ast, out);
    case AST_EXISTS:
    case AST_SUBQUERY:
    case AST_ARRAY_SELECT: return bind_simple_subquery(b, ast, out);
    case AST_ARRAY:
    case AST_ROW:
    case AST_COALESCE:
    case AST_GREATEST:
    case AST_LEAST:
    case AST_NULLIF: return bind_choice(b, ast, out);
    case AST_SUBSCRIPT: return bind_subscript(b, ast, out);
    case AST_FIELD: return bind_field(b, ast, out);
    case AST_CAST: return bind_cast(b, ast, out);
    case AST_CASE: return bind_case(b, ast, out);
    case AST_CALL: return bind_call(b, ast, out);
    case AST_COLLATE: return bind_collate(b, ast, out);
    case AST_KEYWORD: return bind_keyword(b, ast, out);
    case AST_DEFAULT:
        return bind_fail(b, OX_SYNTAX_ERROR, ast->pos, "DEFAULT is not allowed in this context");
    case AST_STAR:
        return bind_fail(b, OX_SYNTAX_ERROR, ast->pos, "\"*\" is not allowed in this context");
    case AST_BITS:
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast->pos, "bit strings are not supported");
    case AST_GROUPING: return bind_grouping(b, ast, out);
    case AST_SET:
        return bind_fail(b, OX_SYNTAX_ERROR, ast->pos,
            "GROUPING SETS is allowed in GROUP BY only");
    case AST_NAMED:
    case AST_TABLE_ARG:
        return bind_fail(b, OX_SYNTAX_ERROR, ast->pos,
            "this argument is allowed in table functions only");
    }
    ox_unreachable();
}

ox_code
bind_expr(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    if (++b->depth > AST_DEPTH_MAX)
        return bind_fail(b, OX_STATEMENT_TOO_COMPLEX, ast->pos,
            "expression is nested more than %d levels deep", AST_DEPTH_MAX);
    if (ox_unlikely(b->arena->used > BIND_BYTES_MAX))
        return bind_fail(b, OX_PROGRAM_LIMIT_EXCEEDED, ast->pos,
            "statement has too many parts: send it in pieces");
    ox_code code = bind_node(b, ast, out);
    b->depth--;
    return code;
}

static struct str
written_type_name(const struct ast_type *type)
{
    struct type known;
    struct str last = type->name->parts[type->name->count - 1];
    if (ox_str_is(last, "char") && type->mods != NULL)
        return OX_STR("bpchar");
    return type_from_name(last, &known) ? ox_str(type_facts(known)->name) : last;
}

/* How sure the name is: 0 none, 1 of a type or CASE (an outer one replaces it), 2. */
static int
target_name(const struct ast_expr *ast, struct str *name)
{
    switch (ast->kind) {
    case AST_COLUMN: *name = ast->name->parts[ast->name->count - 1]; return 2;
    case AST_CALL: *name = ast->call->name->parts[ast->call->name->count - 1]; return 2;
    case AST_FIELD:
    case AST_KEYWORD: *name = ast->text; return 2;
    case AST_COLLATE:
    case AST_SUBSCRIPT: return target_name(ast->a, name);
    case AST_CAST:
        if (target_name(ast->a, name) == 2)
            return 2;
        *name = written_type_name(ast->type);
        return 1;
    case AST_CASE:
        if (ast->b != NULL && target_name(ast->b, name) == 2)
            return 2;
        *name = OX_STR("case");
        return 1;
    case AST_COALESCE: *name = OX_STR("coalesce"); return 2;
    case AST_GREATEST: *name = OX_STR("greatest"); return 2;
    case AST_LEAST: *name = OX_STR("least"); return 2;
    case AST_NULLIF: *name = OX_STR("nullif"); return 2;
    case AST_EXISTS: *name = OX_STR("exists"); return 2;
    case AST_ARRAY:
    case AST_ARRAY_SELECT: *name = OX_STR("array"); return 2;
    case AST_ROW: *name = OX_STR("row"); return 2;
    case AST_GROUPING: *name = OX_STR("grouping"); return 2;
    case AST_SUBQUERY: {
        const struct ast_select *select = ast->select;
        if (select->targets == NULL || select->targets->count != 1)
            return 0;
        const struct ast_target *target = ast_at(select->targets, 0, struct ast_target);
        if (target->alias.ptr == NULL)
            return target_name(target->expr, name);
        *name = target->alias;
        return 2;
    }
    default: return 0;
    }
}

struct str
bind_target_name(const struct ast_expr *ast)
{
    struct str name;
    return target_name(ast, &name) > 0 ? name : OX_STR("?column?");
}
