/* SPDX-License-Identifier: Apache-2.0
 *
 * The doors of binding, and the numbering of columns (see bind_int.h). */
#include "base/near.h"
#include "sql/bind_int.h"
#include "sql/refuse.h"
#include "sql/syscat.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

ox_code
bind_fail(struct bind *b, ox_code code, int pos, const char *fmt, ...)
{
    char message[320];
    va_list args;
    if (code == OX_STATEMENT_TOO_COMPLEX)
        limit_met(LIMIT_SQL_NESTING);
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    ox_fail(b->err, code, "%s", message);
    if (b->err != NULL)
        b->err->position = pos + 1;
    return code;
}

void
bind_init(struct bind *b, const struct bind_config *config, struct arena *arena,
    struct ox_err *err)
{
    memset(b, 0, sizeof(*b));
    b->config = config;
    b->arena = arena;
    b->eb = (struct expr_bind){arena, config->format, config->param_types, config->param_count};
    b->next_id = 1;
    b->err = err;
    memset(err, 0, sizeof(*err));
}

/* Positions are bytes while binding; clients want characters. */
static ox_code
bind_end(struct bind *b, ox_code code)
{
    if (code != OX_OK && b->err->position > 0)
        b->err->position = ast_position(b->config->text, b->err->position - 1);
    return code;
}

ox_code
bind_finish(struct bind *b, ox_code code, const struct query *query, struct bound *out)
{
    if (code != OX_OK)
        return bind_end(b, code);
    memset(out, 0, sizeof(*out));
    out->root.plan = query->plan;
    out->root.arena = b->arena;
    out->columns = query->columns;
    out->column_count = query->count;
    out->live = b->live;
    out->why_no_headers = b->why_no_headers;
    return plan_root_finish(&out->root, b->err);
}

ox_code
bind_select(const struct bind_config *config, const struct ast_select *select,
    struct arena *arena, struct bound *out, struct ox_err *err)
{
    struct bind b;
    struct query query;
    bind_init(&b, config, arena, err);
    ox_code code = bind_query(&b, select, NULL, &query);
    return bind_finish(&b, code, &query, out);
}

ox_code
bind_type(const struct bind_config *config, const struct ast_type *ast, struct type *out,
    struct ox_err *err)
{
    const struct ast_name *name = ast->name;
    struct str last = name->parts[name->count - 1];
    if (!type_from_name(last, out)) {
        if (refuse_type(last, err) == OX_OK)
            ox_fail(err, OX_UNDEFINED_OBJECT, "type \"%.*s\" does not exist", OX_STR_ARG(last));
        err->position = ast->pos + 1;
        return err->code;
    }
    /* char and character are bpchar(1); only "char" in quotes is the internal type. */
    bool quoted = config->text.ptr == NULL || ast->pos < 0 || (size_t)ast->pos >= config->text.len ||
                  (config->text.ptr[ast->pos] | 32) != 'c';
    if (!quoted && name->count == 1 && (ox_str_is(last, "char") || ox_str_is(last, "bpchar")))
        *out = (struct type){TYPE_BPCHAR, out->array, 5};
    if (ast->mods != NULL && ast->mods->count > 0) {
        int32_t mods[4];
        uint32_t count = 0;
        for (size_t i = 0; i < ast->mods->count && count < 4; i++) {
            int64_t value;
            const struct ast_expr *mod = ast_at(ast->mods, i, struct ast_expr);
            bool negative = mod->kind == AST_OP && mod->a == NULL && mod->b != NULL;
            if (!ox_str_to_i64(negative ? mod->b->text : mod->text, &value) ||
                value > INT32_MAX || value < INT32_MIN) {
                ox_fail(err, OX_INVALID_PARAMETER_VALUE, "type modifiers must be integers");
                err->position = ast->pos + 1;
                return err->code;
            }
            mods[count++] = (int32_t)(negative ? -value : value);
        }
        ox_code code = type_set_modifiers(out, mods, count, err);
        if (code != OX_OK) {
            err->position = ast->pos + 1;
            return code;
        }
    }
    if (ast->dims > 0)
        *out = type_array_of(*out);
    return OX_OK;
}

ox_code
bind_constant(const struct bind_config *config, const struct ast_expr *ast, struct type type,
    struct arena *arena, struct datum *out, struct ox_err *err)
{
    struct bind b;
    struct scope scope = {.place = PLACE_OPTION};
    struct expr *expr;
    bind_init(&b, config, arena, err);
    b.scope = &scope;
    ox_code code = bind_expr(&b, ast, &expr);
    if (code == OX_OK)
        code = expr_coerce(&b.eb, expr, type, CAST_ASSIGNMENT, &expr, err);
    if (code == OX_OK)
        expr = expr_fold(&b.eb, expr);
    if (code == OX_OK && !expr_is_constant(expr))
        code = bind_fail(&b, OX_INVALID_PARAMETER_VALUE, ast->pos, "a constant is needed here");
    if (code == OX_OK)
        *out = expr->value;
    return bind_end(&b, code);
}

/* ---- topics by name ---- */

static bool
in_public(const struct ast_name *name)
{
    return name->count == 1 || (name->count == 2 && ox_str_is(name->parts[0], "public")) ||
           (name->count == 3 && ox_str_is(name->parts[1], "public"));
}

/* A topic that differs in case only: PostgreSQL folds what is not quoted. */
static const struct meta_topic *
same_but_case(const struct meta_view *view, struct str name)
{
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (ox_str_ieq(topic->name, name))
            return topic;
    }
    return NULL;
}

/* Of the topics that may be seen the one whose name is nearest. */
static void
hint_topic(const struct bind_config *config, const struct ast_name *name, struct ox_err *err)
{
    const struct meta_view *view = engine_view(config->session->engine);
    struct str last = name->parts[name->count - 1];
    const struct meta_topic *other = same_but_case(view, last);
    if (other != NULL && !ox_str_eq(other->name, last)) {
        ox_hint(err, "There is a topic \"%s\"; write it in double quotes.", other->name.ptr);
        return;
    }
    if (other != NULL) {
        ox_hint(err, "There is a topic \"%s\", in schema \"%s\".", other->name.ptr,
            other->internal ? "oxbow_internal" : "public");
        return;
    }
    struct near near;
    near_init(&near, last);
    for (uint32_t i = 0; name->count == 1 && i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (!topic->internal &&
            engine_allowed(config->session, ENGINE_TOPIC, topic->name, ENGINE_DESCRIBE))
            near_offer(&near, topic->name, topic);
    }
    for (uint32_t i = 0; name->count == 1 && i < syscat_relation_count; i++)
        if (ox_str_starts(last, OX_STR("pg_")) &&
            strcmp(syscat_relations[i].schema, "pg_catalog") == 0)
            near_offer(&near, ox_str(syscat_relations[i].name), NULL);
    if (near_found(&near) > 0)
        ox_hint(err, "Perhaps you meant \"%.*s\".", OX_STR_ARG(near.names[0]));
}

static bool
is_catalog(const struct ast_name *name)
{
    struct str last = name->parts[name->count - 1];
    if (name->count > 1)
        return syscat_find(name->parts[name->count - 2], last) != NULL;
    return syscat_find(OX_STR("pg_catalog"), last) != NULL;
}

ox_code
bind_topic(const struct bind_config *config, const struct ast_name *name,
    const struct meta_topic **out, struct ox_err *err)
{
    const struct meta_view *view = engine_view(config->session->engine);
    struct str last = name->parts[name->count - 1];
    char dotted[512];
    int len = 0;
    for (uint32_t i = 0; i < name->count && len < (int)sizeof(dotted); i++)
        len += snprintf(dotted + len, sizeof(dotted) - (size_t)len, "%s%.*s", i ? "." : "",
            OX_STR_ARG(name->parts[i]));
    *out = in_public(name) ? meta_view_topic(view, last) : NULL;
    if (*out == NULL && name->count > 1 && len < (int)sizeof(dotted)) {
        *out = meta_view_topic(view, ox_str_n(dotted, (size_t)len));
        if (*out != NULL && config->notice != NULL) {
            char message[640];
            snprintf(message, sizeof(message),
                "\"%s\" is taken for the topic of that name; quote it to be exact", dotted);
            config->notice(config->arg, message);
        }
    }
    if (*out != NULL)
        return OX_OK;
    if (is_catalog(name)) {
        ox_fail(err, OX_WRONG_OBJECT_TYPE, "\"%s\" is a view of the catalog, not a topic", dotted);
        err->position = name->pos + 1;
        return ox_hint(err, "Views are read with SELECT.");
    }
    ox_fail(err, OX_UNDEFINED_TABLE, "relation \"%s\" does not exist", dotted);
    err->position = name->pos + 1;
    hint_topic(config, name, err);
    return OX_UNDEFINED_TABLE;
}

/* ---- numbering ---- */

struct resolve {
    const struct scope *scope;
    const uint32_t *ids;
    uint32_t count;
    bool missing;
};

static bool
place_of(const struct resolve *to, uint32_t id, uint32_t *place)
{
    for (uint32_t i = 0; i < to->count; i++)
        if (to->ids[i] == id) {
            *place = i;
            return true;
        }
    return false;
}

/* EXPR_OUTER nodes keep their id in args' stead: value.i, until they are placed. */
static void
resolve_refs(struct resolve *to, const struct expr *via)
{
    for (struct outer_ref *ref = to->scope->refs; ref != NULL; ref = ref->next)
        if (ref->via == via && !place_of(to, (uint32_t)ref->node->value.i, &ref->node->column))
            to->missing = true;
}

static bool
resolve_node(struct expr *node, void *arg)
{
    struct resolve *to = arg;
    if (node->kind == EXPR_COLUMN && node->level == 0) {
        if (!place_of(to, node->column, &node->column))
            to->missing = true;
        else
            node->level = 1; /* placed: a shared node is not looked up again */
    } else if (node->kind == EXPR_SUBQUERY) {
        resolve_refs(to, node);
    }
    return true;
}

void
bind_resolve(struct expr *expr, const struct scope *scope, const uint32_t *ids, uint32_t count,
    bool *missing)
{
    struct resolve to = {scope, ids, count, false};
    if (expr == NULL)
        resolve_refs(&to, NULL); /* the lateral items of the scope */
    else
        expr_walk(expr, resolve_node, &to);
    if (missing != NULL)
        *missing |= to.missing;
    else
        ox_assert(!to.missing);
}

struct rel_mask {
    const struct scope *scope;
    uint64_t mask;
};

static void
add_id(struct rel_mask *of, uint32_t id)
{
    for (uint32_t i = 0; i < of->scope->rel_count; i++) {
        const struct rel *rel = of->scope->rels[i];
        for (uint32_t j = 0; j < rel->column_count; j++)
            if (rel->columns[j].id == id) {
                of->mask |= UINT64_C(1) << rel->number;
                return;
            }
    }
}

static bool
mask_node(struct expr *node, void *arg)
{
    struct rel_mask *of = arg;
    if (node->kind == EXPR_COLUMN)
        add_id(of, node->column);
    if (node->kind == EXPR_SUBQUERY)
        for (struct outer_ref *ref = of->scope->refs; ref != NULL; ref = ref->next)
            if (ref->via == node)
                add_id(of, (uint32_t)ref->node->value.i);
    return true;
}

uint64_t
bind_rels_of(const struct scope *scope, const struct expr *expr)
{
    struct rel_mask of = {scope, 0};
    expr_walk((struct expr *)expr, mask_node, &of);
    return of.mask;
}
