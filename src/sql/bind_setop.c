/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries made of queries: set operations, whose sides are brought to common
 * types column by column, and WITH, whose recursive form is a union that reads
 * itself. */
#include "base/check.h"
#include "sql/bind_int.h"

/* ---- set operations ---- */

static ox_code
cast_side(struct bind *b, struct query *side, const struct type *types)
{
    struct expr **exprs = ox_arena_array(b->arena, struct expr *, side->count);
    bool same = true;
    for (uint32_t i = 0; i < side->count; i++) {
        same &= type_same(side->columns[i].type, types[i]);
        ox_code code = expr_coerce(&b->eb, bind_output_ref(b, i, side->columns[i].type), types[i],
            side->columns[i].unknown ? CAST_EXPLICIT : CAST_IMPLICIT, &exprs[i], b->err);
        if (code != OX_OK)
            return code;
    }
    if (!same)
        side->plan = plan_project_new(b->arena, side->plan, exprs,
            bind_column_names(b, side->columns, side->count, side->count), side->count);
    return OX_OK;
}

static const char *
set_name(enum ast_set_op op)
{
    return op == AST_UNION ? "UNION" : op == AST_INTERSECT ? "INTERSECT" : "EXCEPT";
}

/* A literal without a type takes the other side's. */
static struct expr *
side_ref(struct bind *b, const struct query *side, uint32_t i)
{
    struct type unknown = {.id = TYPE_UNKNOWN, .typmod = -1};
    return bind_output_ref(b, i, side->columns[i].unknown ? unknown : side->columns[i].type);
}

static ox_code
match_sides(struct bind *b, const struct ast_select *ast, struct query *left,
    struct query *right)
{
    struct type *types = ox_arena_array(b->arena, struct type, left->count);
    if (left->count != right->count)
        return bind_fail(b, OX_SYNTAX_ERROR, ast->pos,
            "each %s query must have the same number of columns", set_name(ast->op));
    for (uint32_t i = 0; i < left->count; i++) {
        struct expr *pair[2] = {side_ref(b, left, i), side_ref(b, right, i)};
        ox_code code =
            expr_common_type(&b->eb, pair, 2, set_name(ast->op), &types[i], b->err);
        if (code != OX_OK) {
            b->err->position = ast->pos + 1;
            return code;
        }
    }
    ox_code code = cast_side(b, left, types);
    if (code == OX_OK)
        code = cast_side(b, right, types);
    for (uint32_t i = 0; i < left->count; i++) {
        left->columns[i].type = types[i];
        left->columns[i].unknown = false;
        left->columns[i].table_oid = 0;
        left->columns[i].attnum = 0;
    }
    return code;
}

static struct plan *
plan_both(struct bind *b, struct plan *left, struct plan *right)
{
    struct plan **inputs = ox_arena_array(b->arena, struct plan *, 2);
    inputs[0] = left;
    inputs[1] = right;
    return plan_append_new(b->arena, inputs, 2);
}

/* DISTINCT over both sides: it goes to files when memory ends. */
static struct plan *
plan_union(struct bind *b, struct plan *left, struct plan *right)
{
    struct plan *both = plan_both(b, left, right);
    struct expr **exprs = ox_arena_array(b->arena, struct expr *, both->column_count);
    for (uint32_t i = 0; i < both->column_count; i++)
        exprs[i] = bind_output_ref(b, i, both->columns[i].type);
    return plan_distinct_new(b->arena, both, exprs, both->column_count);
}

ox_code
bind_setop(struct bind *b, const struct ast_select *ast, struct scope *scope, struct query *out)
{
    struct query left, right;
    ox_code code = bind_query(b, ast->left, scope->parent, &left);
    if (code == OX_OK)
        code = bind_query(b, ast->right, scope->parent, &right);
    b->scope = scope;
    if (code == OX_OK)
        code = match_sides(b, ast, &left, &right);
    if (code != OX_OK)
        return code;
    *out = left;
    if (ast->op == AST_UNION && ast->all) {
        out->plan = plan_both(b, left.plan, right.plan);
        return OX_OK;
    }
    for (uint32_t i = 0; i < left.count && code == OX_OK; i++)
        code = bind_check_equality(b, left.plan->columns[i].type, ast->pos);
    if (code != OX_OK)
        return code;
    if (ast->op == AST_UNION && left.count > 0) {
        out->plan = plan_union(b, left.plan, right.plan);
        return OX_OK;
    }
    enum setop_kind kind = ast->op == AST_UNION ? SETOP_UNION
                           : ast->op == AST_INTERSECT
                               ? (ast->all ? SETOP_INTERSECT_ALL : SETOP_INTERSECT)
                               : (ast->all ? SETOP_EXCEPT_ALL : SETOP_EXCEPT);
    out->plan = plan_setop_new(b->arena, kind, left.plan, right.plan);
    return OX_OK;
}

/* ---- WITH ---- */

static ox_code
name_cte_columns(struct bind *b, const struct ast_cte *cte, struct query *query,
    struct cte_entry *entry)
{
    entry->column_count = query->count;
    entry->columns = ox_arena_array(b->arena, struct plan_column, query->count);
    if (cte->columns != NULL && cte->columns->count > query->count)
        return bind_fail(b, OX_INVALID_COLUMN_REFERENCE, cte->pos,
            "WITH query \"%.*s\" has %u columns available but %zu columns specified",
            OX_STR_ARG(cte->name), query->count, cte->columns->count);
    for (uint32_t i = 0; i < query->count; i++) {
        entry->columns[i].type = query->columns[i].type;
        entry->columns[i].name = cte->columns != NULL && i < cte->columns->count
                                     ? ast_at(cte->columns, i, struct ast_token)->text
                                     : query->columns[i].name;
    }
    return OX_OK;
}

static bool
names_itself(const struct ast_from *from, struct str name)
{
    if (from == NULL)
        return false;
    if (from->kind == AST_FROM_TABLE)
        return from->name->count == 1 && ox_str_eq(from->name->parts[0], name);
    return names_itself(from->left, name) || names_itself(from->right, name);
}

static bool
reads_itself(const struct ast_select *select, struct str name)
{
    for (size_t i = 0; select->from != NULL && i < select->from->count; i++)
        if (names_itself(ast_at(select->from, i, struct ast_from), name))
            return true;
    return false;
}

/* A UNION whose right side reads the name itself (or whose left one tries to). */
static bool
is_recursive(const struct ast_cte *cte)
{
    const struct ast_select *right = cte->select->right;
    if (cte->select->op != AST_UNION || right == NULL)
        return false;
    return reads_itself(right, cte->name) || reads_itself(cte->select->left, cte->name);
}

static ox_code
bind_recursive(struct bind *b, const struct ast_cte *cte, struct scope *scope,
    struct cte_entry *entry, struct query *out)
{
    struct query base, step;
    struct cte_entry *before = b->ctes;
    entry->not_here = true;
    entry->next = before;
    b->ctes = entry;
    ox_code code = bind_query(b, cte->select->left, scope->parent, &base);
    b->scope = scope;
    b->ctes = before;
    entry->not_here = false;
    if (code == OX_OK)
        code = name_cte_columns(b, cte, &base, entry);
    if (code != OX_OK)
        return code;
    struct plan_recursive *node = plan_recursive_new(b->arena, base.plan, !cte->select->all);
    entry->working = node;
    b->ctes = entry;
    code = bind_query(b, cte->select->right, scope->parent, &step);
    b->scope = scope;
    b->ctes = before;
    entry->working = NULL;
    if (code == OX_OK && step.count != base.count)
        code = bind_fail(b, OX_SYNTAX_ERROR, cte->pos,
            "each UNION query must have the same number of columns");
    struct type *types = ox_arena_array(b->arena, struct type, base.count);
    for (uint32_t i = 0; i < base.count; i++)
        types[i] = base.columns[i].type;
    if (code == OX_OK)
        code = cast_side(b, &step, types);
    if (code != OX_OK)
        return code;
    node->plan.right = step.plan;
    *out = base;
    out->plan = &node->plan;
    return OX_OK;
}

ox_code
bind_with(struct bind *b, const struct ast_select *ast, struct scope *scope)
{
    for (size_t i = 0; ast->ctes != NULL && i < ast->ctes->count; i++) {
        const struct ast_cte *cte = ast_at(ast->ctes, i, struct ast_cte);
        struct cte_entry *entry = ox_arena_new(b->arena, struct cte_entry);
        struct query query;
        ox_code code;
        for (size_t j = 0; j < i; j++)
            if (ox_str_eq(ast_at(ast->ctes, j, struct ast_cte)->name, cte->name))
                return bind_fail(b, OX_DUPLICATE_ALIAS, cte->pos,
                    "WITH query name \"%.*s\" specified more than once",
                    OX_STR_ARG(cte->name));
        entry->name = cte->name;
        entry->depth = scope->depth;
        if (ast->recursive && is_recursive(cte)) {
            code = bind_recursive(b, cte, scope, entry, &query);
        } else {
            code = bind_query(b, cte->select, scope->parent, &query);
            b->scope = scope;
            if (code == OX_OK)
                code = name_cte_columns(b, cte, &query, entry);
        }
        if (code != OX_OK)
            return code;
        entry->cte = ox_arena_new(b->arena, struct plan_cte);
        entry->cte->name = cte->name;
        entry->cte->definition = query.plan;
        entry->cte->correlated = scope->parent != NULL;
        entry->next = b->ctes;
        b->ctes = entry;
    }
    return OX_OK;
}
