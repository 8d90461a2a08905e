/* SPDX-License-Identifier: Apache-2.0
 *
 * GROUP BY: its items, and what GROUPING SETS, ROLLUP and CUBE make of them. The
 * expressions become keys, each once; a grouping set is a mask of keys. Items
 * that stand side by side multiply: every set of one with every set of the other. */
#include "base/check.h"
#include "sql/bind_int.h"

enum { GROUP_SETS_MAX = 4096, GROUP_KEYS_MAX = 64, CUBE_MAX = 12 };

struct sets {
    uint64_t *masks;
    uint32_t count;
    size_t cap;
};

static ox_code
add_set(struct bind *b, struct sets *sets, uint64_t mask, int pos)
{
    if (sets->count == GROUP_SETS_MAX)
        return bind_fail(b, OX_STATEMENT_TOO_COMPLEX, pos,
            "too many grouping sets present (maximum %d)", GROUP_SETS_MAX);
    ox_arena_grow(b->arena, (void **)&sets->masks, &sets->cap, sets->count + 1,
        sizeof(*sets->masks));
    sets->masks[sets->count++] = mask;
    return OX_OK;
}

/* Each of left with each of right, into left. */
static ox_code
multiply(struct bind *b, struct sets *left, const struct sets *right, int pos)
{
    struct sets product = {0};
    for (uint32_t i = 0; i < left->count; i++)
        for (uint32_t j = 0; j < right->count; j++) {
            ox_code code = add_set(b, &product, left->masks[i] | right->masks[j], pos);
            if (code != OX_OK)
                return code;
        }
    *left = product;
    return OX_OK;
}

/* ---- keys ---- */

static ox_code
add_key(struct bind *b, struct simple *simple, const struct ast_expr *ast, uint64_t *mask)
{
    struct expr *item;
    ox_code code = bind_group_item(b, simple, ast, &item);
    if (code != OX_OK)
        return code;
    if (!type_hashable(item->type))
        return bind_fail(b, OX_UNDEFINED_FUNCTION, item->position - 1,
            "could not identify an equality operator for type %s",
            type_name(item->type, b->arena));
    uint32_t at = 0;
    while (at < simple->group_count && !expr_equal(simple->group[at], item))
        at++;
    if (at == simple->group_count) {
        ox_arena_grow(b->arena, (void **)&simple->group, &simple->group_cap, at + 1,
            sizeof(*simple->group));
        ox_arena_grow(b->arena, (void **)&simple->group_ids, &simple->group_id_cap, at + 1,
            sizeof(*simple->group_ids));
        simple->group[at] =
            item->kind == EXPR_COLUMN || item->kind == EXPR_CONST ? bind_copy(b, item) : item;
        simple->group_ids[at] = item->kind == EXPR_COLUMN ? item->column : b->next_id++;
        simple->group_count++;
    }
    if (at < GROUP_KEYS_MAX)
        *mask |= UINT64_C(1) << at;
    else
        simple->group_wide = true;
    return OX_OK;
}

static bool
is_set_word(const struct ast_expr *ast, const char *word)
{
    return ast->kind == AST_CALL && ast->call->name->count == 1 &&
           ox_str_is(ast->call->name->parts[0], word) && ast->call->args != NULL;
}

/* One element: an expression, or several in parentheses. */
static ox_code
element(struct bind *b, struct simple *simple, const struct ast_expr *ast, uint64_t *mask)
{
    if (ast->kind != AST_ROW)
        return add_key(b, simple, ast, mask);
    ox_code code = OX_OK;
    for (size_t i = 0; i < ast->list->count && code == OX_OK; i++)
        code = add_key(b, simple, ast_at(ast->list, i, struct ast_expr), mask);
    return code;
}

static ox_code
roll_up(struct bind *b, struct simple *simple, const struct ast_expr *ast, bool cube,
    struct sets *sets)
{
    const struct ast_list *args = ast->call->args;
    uint64_t masks[GROUP_KEYS_MAX];
    if (args->count > (cube ? (size_t)CUBE_MAX : (size_t)GROUP_KEYS_MAX))
        return bind_fail(b, OX_STATEMENT_TOO_COMPLEX, ast->pos,
            cube ? "CUBE is limited to %d elements" : "ROLLUP is limited to %d elements",
            cube ? CUBE_MAX : GROUP_KEYS_MAX);
    for (size_t i = 0; i < args->count; i++) {
        masks[i] = 0;
        ox_code code = element(b, simple, ast_at(args, i, struct ast_expr), &masks[i]);
        if (code != OX_OK)
            return code;
    }
    /* CUBE: every subset. ROLLUP: every prefix. The largest comes first. */
    uint32_t count = (uint32_t)args->count;
    uint32_t most = cube ? (1u << count) - 1 : count;
    for (uint32_t k = 0; k <= most; k++) {
        uint64_t mask = 0;
        for (uint32_t i = 0; i < count; i++)
            if (cube ? ((most - k) >> (count - 1 - i) & 1) != 0 : i < most - k)
                mask |= masks[i];
        ox_code code = add_set(b, sets, mask, ast->pos);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

/* The sets of one item of GROUP BY or of GROUPING SETS. */
static ox_code
item_sets(struct bind *b, struct simple *simple, const struct ast_expr *ast, struct sets *sets)
{
    bool cube = is_set_word(ast, "cube");
    if (cube || is_set_word(ast, "rollup"))
        return roll_up(b, simple, ast, cube, sets);
    if (ast->kind == AST_SET) {
        ox_code code = OX_OK;
        for (size_t i = 0; i < ast->list->count && code == OX_OK; i++)
            code = item_sets(b, simple, ast_at(ast->list, i, struct ast_expr), sets);
        return code;
    }
    uint64_t mask = 0;
    ox_code code = element(b, simple, ast, &mask);
    return code == OX_OK ? add_set(b, sets, mask, ast->pos) : code;
}

static void
drop_duplicates(struct sets *sets)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sets->count; i++) {
        bool seen = false;
        for (uint32_t j = 0; j < count && !seen; j++)
            seen = sets->masks[j] == sets->masks[i];
        if (!seen)
            sets->masks[count++] = sets->masks[i];
    }
    sets->count = count;
}

ox_code
bind_group(struct bind *b, struct simple *simple)
{
    const struct ast_list *group = simple->ast->group;
    struct sets all = {0};
    ox_code code = add_set(b, &all, 0, 0);
    bool sets_said = false;
    for (size_t i = 0; group != NULL && i < group->count && code == OX_OK; i++) {
        const struct ast_expr *item = ast_at(group, i, struct ast_expr);
        struct sets sets = {0};
        code = item_sets(b, simple, item, &sets);
        sets_said |= item->kind == AST_SET || sets.count != 1;
        if (code == OX_OK)
            code = multiply(b, &all, &sets, item->pos);
    }
    if (code != OX_OK || !sets_said)
        return code;
    if (simple->group_wide)
        return bind_fail(b, OX_STATEMENT_TOO_COMPLEX, ast_at(group, 0, struct ast_expr)->pos,
            "grouping sets are limited to %d different expressions", GROUP_KEYS_MAX);
    if (simple->ast->group_distinct)
        drop_duplicates(&all);
    simple->sets = all.masks;
    simple->set_count = all.count;
    return OX_OK;
}

/* ---- GROUPING(a, b): which of them a row's set leaves out, as bits ---- */

ox_code
bind_grouping(struct bind *b, const struct ast_expr *ast, struct expr **out)
{
    struct scope *scope = b->scope;
    if (ast->list->count > 31)
        return bind_fail(b, OX_PROGRAM_LIMIT_EXCEEDED, ast->pos,
            "GROUPING must have fewer than 32 arguments");
    if (!scope->can_aggregate || (scope->place != PLACE_TARGET && scope->place != PLACE_HAVING &&
                                     scope->place != PLACE_ORDER && scope->place != PLACE_WINDOW))
        return bind_fail(b, OX_GROUPING_ERROR, ast->pos,
            "grouping operations are not allowed in %s", bind_place_name(scope->place));
    struct bound_grouping grouping = {.pos = ast->pos, .count = (uint32_t)ast->list->count};
    grouping.args = ox_arena_array(b->arena, struct expr *, grouping.count);
    enum bind_place before = scope->place;
    scope->place = PLACE_AGG;
    for (uint32_t i = 0; i < grouping.count; i++) {
        ox_code code = bind_expr(b, ast_at(ast->list, i, struct ast_expr), &grouping.args[i]);
        if (code != OX_OK)
            return code;
    }
    scope->place = before;
    grouping.id = b->next_id++;
    ox_arena_grow(b->arena, (void **)&scope->groupings, &scope->grouping_cap,
        scope->grouping_count + 1, sizeof(*scope->groupings));
    scope->groupings[scope->grouping_count++] = grouping;
    *out = expr_column(b->arena, grouping.id, TYPE(TYPE_INT4), "grouping", ast->pos + 1);
    return OX_OK;
}

/* The value of a GROUPING() for each set. */
static ox_code
grouping_values(struct bind *b, const struct simple *simple, const struct bound_grouping *grouping,
    int32_t *values)
{
    uint32_t sets = OX_MAX(simple->set_count, 1u);
    memset(values, 0, sets * sizeof(*values));
    for (uint32_t i = 0; i < grouping->count; i++) {
        uint32_t key = 0;
        while (key < simple->group_count && !expr_equal(simple->group[key], grouping->args[i]))
            key++;
        if (key == simple->group_count)
            return bind_fail(b, OX_GROUPING_ERROR, grouping->args[i]->position - 1,
                "arguments to GROUPING must be grouping expressions of the associated query "
                "level");
        for (uint32_t set = 0; set < sets; set++) {
            bool left_out = simple->sets != NULL && (simple->sets[set] >> key & 1) == 0;
            values[set] = values[set] * 2 + left_out;
        }
    }
    return OX_OK;
}

ox_code
bind_grouping_values(struct bind *b, const struct simple *simple, int32_t **out)
{
    const struct scope *scope = simple->scope;
    uint32_t sets = OX_MAX(simple->set_count, 1u);
    *out = ox_arena_array(b->arena, int32_t, (size_t)scope->grouping_count * sets);
    for (uint32_t i = 0; i < scope->grouping_count; i++) {
        ox_code code = grouping_values(b, simple, &scope->groupings[i], *out + (size_t)i * sets);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}
