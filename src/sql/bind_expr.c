/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions: every node of the syntax becomes a typed node, with overloads
 * resolved and casts put in by the builders of exec/expr.h. Columns are ids
 * until a plan gives them a place. Aggregates, window functions and
 * set-returning functions are lifted out into their scope and stand in the tree
 * as columns that a later node of the plan will give. */
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

static ox_code
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

/* ---- calls ---- */

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
    struct bound_window *window, bool start, enum frame_edge *kind, struct expr **value)
{
    static const enum frame_edge kinds[] = {[AST_UNBOUNDED_PRECEDING] = FRAME_UNBOUNDED_PRECEDING,
        [AST_PRECEDING] = FRAME_PRECEDING, [AST_CURRENT_ROW] = FRAME_CURRENT,
        [AST_FOLLOWING] = FRAME_FOLLOWING, [AST_UNBOUNDED_FOLLOWING] = FRAME_UNBOUNDED_FOLLOWING};
    (void)start;
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
        code = bind_frame_edge(b, syntax, start, window, true, &frame->start,
            &frame->start_value);
    if (code == OX_OK)
        code = bind_frame_edge(b, syntax, end, window, false, &frame->end, &frame->end_value);
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

static ox_code
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
        struct type type = TYPE(value <= INT32_MAX ? TYPE_INT4 : TYPE_INT8);
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
