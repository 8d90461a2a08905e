/* SPDX-License-Identifier: Apache-2.0
 *
 * FROM: relations, joins, and the plan that reads them. Binding comes first and
 * only collects: which relations there are, which columns are used, which
 * conditions hold. The plan is built when the whole query is bound: conditions
 * sink to the lowest node that has their columns, those on system columns of a
 * topic become bounds of its scan, equalities across a join become its keys. */
#include <stdio.h>

#include "base/check.h"
#include "sql/bind_int.h"

struct from_item {
    struct rel *rel; /* a leaf; else a join */
    enum ast_join_kind kind;
    struct from_item *left, *right;
    struct expr *on;
    struct scope *lateral; /* what the right side sees of the left; NULL: nothing */
    struct rel_column **visible;
    uint32_t visible_count;
    uint64_t rels;
};

/* A condition on its way down. */
struct conjunct {
    struct expr *expr;
    uint64_t rels;
    bool taken;
};

struct pool {
    struct conjunct *items;
    uint32_t count;
    size_t cap;
};

/* ---- relations ---- */

static struct rel *
add_rel(struct bind *b, struct scope *scope, enum rel_kind kind, struct str alias,
    uint32_t column_count, int pos)
{
    for (uint32_t i = 0; i < scope->rel_count; i++)
        if (ox_str_eq(scope->rels[i]->alias, alias) && alias.len > 0) {
            bind_fail(b, OX_DUPLICATE_ALIAS, pos, "table name \"%.*s\" specified more than once",
                OX_STR_ARG(alias));
            return NULL;
        }
    if (scope->rel_count == BIND_RELS_MAX) {
        bind_fail(b, OX_STATEMENT_TOO_COMPLEX, pos, "more than %d relations in one FROM clause",
            BIND_RELS_MAX);
        return NULL;
    }
    struct rel *rel = ox_arena_new(b->arena, struct rel);
    rel->kind = kind;
    rel->alias = alias;
    rel->schema = OX_STR_NULL;
    rel->number = scope->rel_count;
    rel->column_count = column_count;
    rel->columns = ox_arena_array(b->arena, struct rel_column, column_count);
    for (uint32_t i = 0; i < column_count; i++) {
        rel->columns[i].id = b->next_id++;
        rel->columns[i].attnum = (int16_t)(i + 1);
    }
    scope->rels[scope->rel_count++] = rel;
    return rel;
}

/* The columns that SELECT * of an untyped topic gives, in its order. */
static const enum scan_column shown[] = {SCAN_PARTITION, SCAN_OFFSET, SCAN_TIMESTAMP, SCAN_KEY,
    SCAN_VALUE, SCAN_HEADERS};

static void
name_topic_column(struct rel_column *column, enum scan_column what, bool hidden, int16_t attnum)
{
    column->name = plan_scan_column_name(what);
    column->type = plan_scan_column_type(what);
    column->hidden = hidden;
    column->attnum = attnum;
}

/* Column i of a topic relation is system column order[i]. */
enum scan_column
bind_topic_column(uint32_t index)
{
    static enum scan_column order[SCAN_COLUMN_COUNT];
    static _Thread_local bool made;
    if (!made) {
        uint32_t count = 0;
        for (; count < ox_count(shown); count++)
            order[count] = shown[count];
        for (int what = 0; what < SCAN_COLUMN_COUNT; what++) {
            bool is_shown = false;
            for (size_t i = 0; i < ox_count(shown); i++)
                is_shown |= (int)shown[i] == what;
            if (!is_shown)
                order[count++] = (enum scan_column)what;
        }
        made = true;
    }
    return order[index];
}

struct rel *
bind_add_topics(struct bind *b, struct scope *scope, struct plan_topic *topics, uint32_t count,
    struct str alias, int pos)
{
    struct rel *rel = add_rel(b, scope, REL_TOPIC, alias, SCAN_COLUMN_COUNT, pos);
    if (rel == NULL)
        return NULL;
    for (uint32_t i = 0; i < SCAN_COLUMN_COUNT; i++)
        name_topic_column(&rel->columns[i], bind_topic_column(i), i >= ox_count(shown),
            (int16_t)(i < ox_count(shown) ? (int)i + 1 : -(int)(i + 10)));
    rel->topics = topics;
    rel->topic_count = count;
    return rel;
}

struct rel *
bind_add_topic(struct bind *b, struct scope *scope, const struct meta_topic *topic,
    struct str alias, int pos)
{
    struct plan_topic *one = ox_arena_new(b->arena, struct plan_topic);
    one->name = ox_str_dup(b->arena, topic->name);
    one->id = topic->id;
    one->partition_count = topic->partition_count;
    struct rel *rel = bind_add_topics(b, scope, one, 1, alias, pos);
    if (rel != NULL) {
        rel->oid = topic->oid;
        rel->schema = OX_STR("public");
    }
    return rel;
}

static struct rel *
add_catalog(struct bind *b, struct scope *scope, const struct syscat_relation *relation,
    struct str alias, int pos)
{
    struct rel *rel = add_rel(b, scope, REL_CATALOG, alias, relation->column_count, pos);
    if (rel == NULL)
        return NULL;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        rel->columns[i].name = relation->columns[i].name;
        rel->columns[i].type = relation->columns[i].type;
    }
    rel->catalog = relation;
    rel->oid = relation->oid;
    rel->schema = ox_str(relation->schema);
    return rel;
}

struct rel *
bind_add_query(struct bind *b, struct scope *scope, const struct query *query, struct str alias,
    int pos)
{
    struct rel *rel = add_rel(b, scope, REL_PLAN, alias, query->count, pos);
    if (rel == NULL)
        return NULL;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        rel->columns[i].name = query->columns[i].name;
        rel->columns[i].type = query->columns[i].type;
        rel->columns[i].shape = query->columns[i].shape;
    }
    rel->plan = query->plan;
    return rel;
}

/* ---- names in FROM ---- */

static struct rel *
add_cte(struct bind *b, struct scope *scope, const struct cte_entry *entry, struct str alias,
    int pos)
{
    if (entry->not_here) {
        bind_fail(b, OX_INVALID_RECURSION, pos,
            "recursive reference to query \"%.*s\" must not appear within its non-recursive term",
            OX_STR_ARG(entry->name));
        return NULL;
    }
    struct rel *rel = add_rel(b, scope, REL_PLAN, alias, entry->column_count, pos);
    if (rel == NULL)
        return NULL;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        rel->columns[i].name = entry->columns[i].name;
        rel->columns[i].type = entry->columns[i].type;
    }
    if (entry->working != NULL) {
        rel->plan = plan_work_scan_new(b->arena, entry->working);
    } else {
        rel->plan = plan_cte_scan_new(b->arena, entry->cte);
        ((struct plan_cte_scan *)rel->plan)->level = scope->depth - entry->depth;
    }
    return rel;
}

/* In a schema of the catalog, or unqualified: pg_catalog comes first. */
static const struct syscat_relation *
find_catalog(struct bind *b, const struct ast_name *name)
{
    struct str last = name->parts[name->count - 1];
    if (name->count > 1)
        return syscat_find(name->parts[name->count - 2], last);
    const struct syscat_relation *found = syscat_find(OX_STR("pg_catalog"), last);
    for (uint32_t i = 0; found == NULL && b->config->search_path[i] != NULL; i++)
        found = syscat_find(ox_str(b->config->search_path[i]), last);
    return found;
}

/* What oxbow shows of topics asks for the right to describe all of them, the rest
 * for that of describing the cluster. Names in pg_catalog are everybody's, as in
 * PostgreSQL. */
static bool
may_see(const struct bind *b, const struct syscat_relation *relation)
{
    static const char *const of_topics[] = {"topics", "partitions", "segments", "compaction"};
    struct engine_session *sess = b->config->session;
    if (strcmp(relation->schema, "oxbow") != 0 || sess == NULL)
        return true;
    if (engine_allowed(sess, ENGINE_CLUSTER, OX_STR("kafka-cluster"), ENGINE_DESCRIBE))
        return true;
    for (size_t i = 0; i < ox_count(of_topics); i++)
        if (strcmp(relation->name, of_topics[i]) == 0)
            return engine_allowed(sess, ENGINE_TOPIC, OX_STR("*"), ENGINE_DESCRIBE);
    return false;
}

static ox_code
bind_table(struct bind *b, struct scope *scope, const struct ast_from *ast, struct str alias,
    struct rel **out)
{
    const struct ast_name *name = ast->name;
    struct str last = name->parts[name->count - 1];
    if (alias.ptr == NULL)
        alias = last;
    for (struct cte_entry *entry = name->count == 1 ? b->ctes : NULL; entry != NULL;
         entry = entry->next)
        if (ox_str_eq(entry->name, last)) {
            *out = add_cte(b, scope, entry, alias, ast->pos);
            return *out != NULL ? OX_OK : b->err->code;
        }
    const struct syscat_relation *relation = find_catalog(b, name);
    if (relation != NULL && !may_see(b, relation))
        return bind_fail(b, OX_INSUFFICIENT_PRIVILEGE, name->pos,
            "permission denied for relation \"%s\"", relation->name);
    if (relation != NULL) {
        *out = add_catalog(b, scope, relation, alias, ast->pos);
        return *out != NULL ? OX_OK : b->err->code;
    }
    const struct meta_topic *topic;
    ox_code code = bind_topic(b->config, name, &topic, b->err);
    if (code != OX_OK)
        return code;
    if (!engine_allowed(b->config->session, ENGINE_TOPIC, topic->name, ENGINE_READ))
        return bind_fail(b, OX_TOPIC_AUTHORIZATION_FAILED, name->pos,
            "permission denied for topic \"%s\"", topic->name.ptr);
    *out = bind_add_topic(b, scope, topic, alias, ast->pos);
    if (*out == NULL)
        return b->err->code;
    if (b->follow != NULL && b->live)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, name->pos,
            "SUBSCRIBE reads one topic at a time");
    (*out)->shape = b->follow;
    b->live |= b->follow != NULL;
    return b->follow != NULL ? bind_partitions(b, b->follow_partitions, *out) : OX_OK;
}

/* ---- lateral items ---- */

/* What stands left of an item, as a level of its own. NULL: nothing does. */
static struct scope *
lateral_scope(struct bind *b, struct scope *scope, const struct from_item *left)
{
    if (scope->rel_count == 0)
        return NULL;
    struct scope *lateral = ox_arena_new(b->arena, struct scope);
    lateral->parent = scope->parent;
    lateral->depth = scope->depth;
    lateral->rel_count = scope->rel_count;
    if (scope->rel_count > 0)
        memcpy(lateral->rels, scope->rels, sizeof(scope->rels[0]) * scope->rel_count);
    if (left != NULL) {
        lateral->visible = left->visible;
        lateral->visible_count = left->visible_count;
    }
    return lateral;
}

static bool
looks_outside(struct expr *node, void *arg)
{
    *(bool *)arg |= node->kind == EXPR_OUTER || node->kind == EXPR_SUBQUERY;
    return true;
}

/* The calls of a function item: the one call, those of ROWS FROM, or an unnest
 * for each argument of unnest(a, b). */
struct call_list {
    struct expr **calls;
    uint32_t count, columns;
};

static ox_code
add_call(struct bind *b, struct call_list *list, struct expr *call)
{
    const char *names[SET_COLUMNS_MAX];
    struct type types[SET_COLUMNS_MAX];
    bool is_set = call->kind == EXPR_CALL && call->func->kind == FUNC_SET;
    if (!is_set && list->count > 0)
        return bind_fail(b, OX_FEATURE_NOT_SUPPORTED, call->position - 1,
            "ROWS FROM takes set-returning functions");
    list->columns += is_set ? set_func_columns(call, names, types) : 1;
    list->calls[list->count++] = call;
    return OX_OK;
}

static ox_code
bind_one_call(struct bind *b, const struct ast_expr *ast, struct call_list *list)
{
    struct expr *call;
    ox_code code = bind_expr(b, ast, &call);
    if (code == OX_OK)
        code = expr_settle(&b->eb, &call, b->err);
    return code == OX_OK ? add_call(b, list, call) : code;
}

static ox_code
bind_calls(struct bind *b, const struct ast_from *ast, struct str name, struct call_list *list)
{
    const struct ast_expr *call = ast->function;
    bool side_by_side = ox_str_is(name, "unnest") && call->kind == AST_CALL &&
                        call->call->args != NULL && call->call->args->count > 1;
    const struct ast_list *several = side_by_side ? call->call->args : ast->functions;
    size_t count = several != NULL ? several->count : 1;
    ox_code code = OX_OK;
    *list = (struct call_list){ox_arena_array(b->arena, struct expr *, count), 0, 0};
    if (several == NULL)
        return bind_one_call(b, call, list);
    for (size_t i = 0; i < count && code == OX_OK; i++) {
        const struct ast_expr *item = ast_at(several, i, struct ast_expr);
        if (!side_by_side) {
            code = bind_one_call(b, item, list);
            continue;
        }
        struct expr *arg, *made;
        code = bind_expr(b, item, &arg);
        if (code == OX_OK)
            code = expr_function(&b->eb, name, &arg, 1, false, item->pos + 1, &made, b->err);
        if (code == OX_OK)
            code = add_call(b, list, made);
    }
    return code;
}

static void
name_function_columns(struct bind *b, struct rel *rel, const struct call_list *list,
    struct str alias, bool ordinality)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct expr *call = list->calls[i];
        const char *names[SET_COLUMNS_MAX];
        struct type types[SET_COLUMNS_MAX];
        bool is_set = call->kind == EXPR_CALL && call->func->kind == FUNC_SET;
        uint32_t count = is_set ? set_func_columns(call, names, types) : 1;
        if (!is_set) {
            names[0] = call->kind == EXPR_CALL ? call->func->name : "column1";
            types[0] = call->type;
        }
        for (uint32_t j = 0; j < count; j++, at++) {
            /* A function with one column calls it as the alias says. */
            rel->columns[at].name =
                list->columns == 1 && alias.ptr != NULL ? alias : ox_str(names[j]);
            rel->columns[at].type = types[j];
        }
    }
    if (ordinality) {
        rel->columns[at].name = OX_STR("ordinality");
        rel->columns[at].type = TYPE(TYPE_INT8);
    }
    struct plan_column *columns =
        ox_arena_array(b->arena, struct plan_column, rel->column_count);
    for (uint32_t i = 0; i < rel->column_count; i++)
        columns[i] = (struct plan_column){rel->columns[i].name, rel->columns[i].type};
    rel->plan = plan_function_scan_new(b->arena, list->calls, list->count, ordinality, columns,
        rel->column_count);
}

/* f(...) AS t(a int, b text): the fields of the records that f gives. */
static ox_code
bind_record_item(struct bind *b, struct scope *scope, const struct ast_from *ast,
    struct expr *call, uint32_t given, struct from_item *item)
{
    const struct ast_list *defs = ast->alias->types;
    uint32_t count = (uint32_t)defs->count, width = count + (ast->ordinality ? 1 : 0);
    if (given != 1 || call->type.array || call->type.id != TYPE_RECORD)
        return bind_fail(b, OX_SYNTAX_ERROR, ast->alias->pos,
            "a column definition list is only allowed for functions returning \"record\"");
    if (count > SET_COLUMNS_MAX)
        return bind_fail(b, OX_PROGRAM_LIMIT_EXCEEDED, ast->alias->pos,
            "a column definition list has at most %d columns", SET_COLUMNS_MAX);
    item->rel = add_rel(b, scope, REL_FUNCTION,
        ast->alias->name.ptr != NULL ? ast->alias->name : OX_STR("record"), width, ast->pos);
    if (item->rel == NULL)
        return b->err->code;
    struct plan_column *columns = ox_arena_array(b->arena, struct plan_column, width);
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_column_def *def = ast_at(defs, i, struct ast_column_def);
        columns[i].name = def->name;
        ox_code code = bind_type(b->config, def->type, &columns[i].type, b->err);
        if (code != OX_OK)
            return code;
    }
    if (ast->ordinality)
        columns[count] = (struct plan_column){OX_STR("ordinality"), TYPE(TYPE_INT8)};
    for (uint32_t i = 0; i < width; i++) {
        item->rel->columns[i].name = columns[i].name;
        item->rel->columns[i].type = columns[i].type;
    }
    item->rel->plan = plan_function_scan_new(b->arena, ox_arena_copy(b->arena, &call, sizeof(call)),
        1, ast->ordinality, columns, width);
    ((struct plan_function_scan *)item->rel->plan)->record = true;
    return OX_OK;
}

/* Functions over streams that are known but not there: what is. */
static const char *
unserved_function(struct str name)
{
    static const char *const windows[] = {"tumble", "hop", "cumulate", "session"};
    for (size_t i = 0; i < ox_count(windows); i++)
        if (ox_str_is(name, windows[i]))
            return AST_WINDOW_HINT;
    return ox_str_is(name, "consume")
               ? "subscribe(), tail() and read_topic() read topics; groups are Kafka's."
               : NULL;
}

static ox_code
bind_function_item(struct bind *b, struct scope *scope, const struct ast_from *ast,
    struct str alias, const struct from_item *left, struct from_item *item)
{
    const struct ast_expr *ast_call = ast->function;
    struct str name = ast_call->kind == AST_CALL
                          ? ast_call->call->name->parts[ast_call->call->name->count - 1]
                          : OX_STR("");
    if (bind_is_topic_function(name))
        return bind_topic_function(b, scope, ast_call, alias.ptr != NULL ? alias : name,
            &item->rel);
    if (ox_str_is(name, "pg_get_keywords") &&
        (ast_call->call->args == NULL || ast_call->call->args->count == 0)) {
        item->rel = add_catalog(b, scope, syscat_find(OX_STR("pg_catalog"), name),
            alias.ptr != NULL ? alias : name, ast->pos);
        return item->rel != NULL ? OX_OK : b->err->code;
    }
    const char *hint = unserved_function(name);
    if (hint != NULL) {
        bind_fail(b, OX_FEATURE_NOT_SUPPORTED, ast_call->pos, "%.*s() is not served yet",
            OX_STR_ARG(name));
        return ox_hint(b->err, "%s", hint);
    }
    struct scope inner = {.place = PLACE_FUNCTION};
    struct call_list list;
    bool outside = false;
    item->lateral = lateral_scope(b, scope, left);
    inner.parent = item->lateral != NULL ? item->lateral : scope->parent;
    inner.depth = inner.parent != NULL ? inner.parent->depth + 1 : 0;
    b->scope = &inner;
    ox_code code = bind_calls(b, ast, name, &list);
    b->scope = scope;
    if (code != OX_OK)
        return code;
    for (uint32_t i = 0; i < list.count; i++)
        expr_walk(list.calls[i], looks_outside, &outside);
    if (!outside)
        item->lateral = NULL;
    if (ast->alias != NULL && ast->alias->types != NULL)
        return bind_record_item(b, scope, ast, list.calls[0],
            list.count == 1 ? list.columns : 0, item);
    item->rel = add_rel(b, scope, REL_FUNCTION, alias.ptr != NULL ? alias : name,
        list.columns + (ast->ordinality ? 1 : 0), ast->pos);
    if (item->rel == NULL)
        return b->err->code;
    name_function_columns(b, item->rel, &list, alias, ast->ordinality);
    return OX_OK;
}

static ox_code
bind_select_item(struct bind *b, struct scope *scope, const struct ast_from *ast,
    struct str alias, const struct from_item *left, struct from_item *item)
{
    struct query query;
    item->lateral = ast->lateral ? lateral_scope(b, scope, left) : NULL;
    ox_code code = bind_query(b, ast->select,
        item->lateral != NULL ? item->lateral : scope->parent, &query);
    b->scope = scope;
    if (code != OX_OK)
        return code;
    item->rel = bind_add_query(b, scope, &query, alias.ptr != NULL ? alias : OX_STR(""), ast->pos);
    return item->rel != NULL ? OX_OK : b->err->code;
}

static ox_code
bind_record_item_query(struct bind *b, const struct ast_from *ast, struct str alias,
    const struct from_item *left, struct from_item *item)
{
    struct ast_from query;
    ox_code code = bind_record_query(b, ast, &query);
    return code == OX_OK ? bind_select_item(b, b->scope, &query, alias, left, item) : code;
}

/* AS t (a, b): new names for the first columns that are shown. */
static ox_code
rename_columns(struct bind *b, struct rel *rel, const struct ast_alias *alias)
{
    uint32_t at = 0;
    for (size_t i = 0; alias != NULL && alias->columns != NULL && i < alias->columns->count; i++) {
        while (at < rel->column_count && rel->columns[at].hidden)
            at++;
        if (at == rel->column_count)
            return bind_fail(b, OX_INVALID_COLUMN_REFERENCE, alias->pos,
                "table \"%.*s\" has %zu columns available but %zu columns specified",
                OX_STR_ARG(rel->alias), i, alias->columns->count);
        rel->columns[at++].name = ast_at(alias->columns, i, struct ast_token)->text;
    }
    return OX_OK;
}

static void
show_columns(struct bind *b, struct from_item *item)
{
    struct rel *rel = item->rel;
    item->visible = ox_arena_array(b->arena, struct rel_column *, rel->column_count);
    item->visible_count = rel->column_count;
    for (uint32_t i = 0; i < rel->column_count; i++)
        item->visible[i] = &rel->columns[i];
    item->rels = UINT64_C(1) << rel->number;
}

/* ---- joins ---- */

static ox_code bind_item(struct bind *b, const struct ast_from *ast, const struct from_item *left,
    struct from_item **out);

static struct rel_column *
visible_column(const struct from_item *item, struct str name)
{
    for (uint32_t i = 0; i < item->visible_count; i++)
        if (ox_str_eq(item->visible[i]->name, name))
            return item->visible[i];
    return NULL;
}

static bool
in_list(const struct str *names, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (ox_str_eq(names[i], name))
            return true;
    return false;
}

/* The names that both sides are joined by: USING's, or all that NATURAL finds. */
static uint32_t
join_names(struct bind *b, const struct ast_from *ast, const struct from_item *join,
    struct str **names)
{
    uint32_t count = 0;
    size_t most = ast->using_columns != NULL ? ast->using_columns->count
                                             : join->left->visible_count;
    *names = ox_arena_array(b->arena, struct str, most);
    if (ast->using_columns != NULL) {
        for (size_t i = 0; i < most; i++)
            (*names)[count++] = ast_at(ast->using_columns, i, struct ast_token)->text;
    } else if (ast->natural) {
        for (uint32_t i = 0; i < join->left->visible_count; i++) {
            struct rel_column *column = join->left->visible[i];
            if (!column->hidden && visible_column(join->right, column->name) != NULL &&
                !in_list(*names, count, column->name))
                (*names)[count++] = column->name;
        }
    }
    return count;
}

/* One merged column of USING, and its equality. */
static ox_code
merge_column(struct bind *b, const struct ast_from *ast, struct from_item *join, struct str name,
    struct rel_column **merged, struct expr **equal)
{
    struct rel_column *sides[2] = {visible_column(join->left, name),
        visible_column(join->right, name)};
    struct expr *refs[2], *again[2];
    for (int i = 0; i < 2; i++) {
        if (sides[i] == NULL)
            return bind_fail(b, OX_UNDEFINED_COLUMN, ast->pos,
                "column \"%.*s\" specified in USING clause does not exist in %s table",
                OX_STR_ARG(name), i == 0 ? "left" : "right");
        refs[i] = bind_column_ref(b, sides[i], 0, b->scope, ast->pos);
        again[i] = bind_column_ref(b, sides[i], 0, b->scope, ast->pos);
    }
    ox_code code = expr_operator(&b->eb, OX_STR("="), refs[0], refs[1], ast->pos + 1, equal,
        b->err);
    if (code != OX_OK)
        return code;
    *merged = ox_arena_new(b->arena, struct rel_column);
    **merged = *sides[0];
    (*merged)->id = b->next_id++;
    (*merged)->hidden = false;
    if (join->kind == AST_JOIN_FULL)
        code = expr_choice(&b->eb, EXPR_COALESCE, again, 2, ast->pos + 1, &(*merged)->merged,
            b->err);
    else
        (*merged)->merged = again[join->kind == AST_JOIN_RIGHT ? 1 : 0];
    (*merged)->type = (*merged)->merged != NULL ? (*merged)->merged->type : (*merged)->type;
    return code;
}

/* Which columns a join shows: the merged ones, then the rest of both sides. */
static ox_code
merge_sides(struct bind *b, const struct ast_from *ast, struct from_item *join)
{
    struct str *names;
    uint32_t count = join_names(b, ast, join, &names), at = 0;
    uint32_t most = count + join->left->visible_count + join->right->visible_count;
    struct expr **equal = ox_arena_array(b->arena, struct expr *, count + 1);
    join->visible = ox_arena_array(b->arena, struct rel_column *, most);
    for (uint32_t i = 0; i < count; i++) {
        ox_code code = merge_column(b, ast, join, names[i], &join->visible[at++], &equal[i]);
        if (code != OX_OK)
            return code;
    }
    const struct from_item *sides[2] = {join->left, join->right};
    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i < sides[side]->visible_count; i++)
            if (!in_list(names, count, sides[side]->visible[i]->name))
                join->visible[at++] = sides[side]->visible[i];
    join->visible_count = at;
    if (count > 0)
        join->on = expr_and(b->arena, equal, count);
    return OX_OK;
}

static ox_code
bind_join(struct bind *b, const struct ast_from *ast, const struct from_item *before,
    struct from_item *join)
{
    join->kind = ast->join;
    ox_code code = bind_item(b, ast->left, before, &join->left);
    if (code == OX_OK)
        code = bind_item(b, ast->right, join->left, &join->right);
    if (code != OX_OK)
        return code;
    join->lateral = join->right->lateral;
    if (join->lateral != NULL &&
        (ast->join == AST_JOIN_RIGHT || ast->join == AST_JOIN_FULL))
        return bind_fail(b, OX_INVALID_COLUMN_REFERENCE, ast->pos,
            "the combining JOIN type must be INNER or LEFT for a LATERAL reference");
    join->rels = join->left->rels | join->right->rels;
    code = merge_sides(b, ast, join);
    if (code != OX_OK || ast->on == NULL)
        return code;
    struct scope *scope = b->scope;
    scope->visible = join->visible;
    scope->visible_count = join->visible_count;
    return bind_condition(b, ast->on, PLACE_ON, "JOIN/ON", &join->on);
}

/* TABLESAMPLE SYSTEM or BERNOULLI (percent) [REPEATABLE (seed)] */
static ox_code
bind_sample(struct bind *b, const struct ast_from *ast, struct rel *rel)
{
    const struct ast_call *call = ast->sample->call;
    struct str method = call->name->parts[call->name->count - 1];
    bool records = ox_str_is(method, "bernoulli");
    if (rel == NULL || rel->kind != REL_TOPIC)
        return bind_fail(b, OX_WRONG_OBJECT_TYPE, ast->pos,
            "TABLESAMPLE clause can only be applied to topics");
    if (!records && !ox_str_is(method, "system"))
        return bind_fail(b, OX_UNDEFINED_OBJECT, ast->sample->pos,
            "tablesample method %.*s does not exist", OX_STR_ARG(method));
    if (call->args->count != 1)
        return bind_fail(b, OX_INVALID_TABLESAMPLE_ARGUMENT, ast->sample->pos,
            "tablesample method %.*s requires 1 argument, not %zu", OX_STR_ARG(method),
            call->args->count);
    struct type type = TYPE(TYPE_FLOAT8);
    ox_code code =
        bind_value(b, ast_at(call->args, 0, struct ast_expr), type, &rel->sample_percent);
    if (code == OX_OK && ast->sample_seed != NULL)
        code = bind_value(b, ast->sample_seed, type, &rel->sample_seed);
    rel->sample_records = records;
    return code;
}

static ox_code
bind_item(struct bind *b, const struct ast_from *ast, const struct from_item *left,
    struct from_item **out)
{
    struct from_item *item = ox_arena_new(b->arena, struct from_item);
    struct str alias = ast->alias != NULL ? ast->alias->name : OX_STR_NULL;
    ox_code code;
    *out = item;
    if (++b->depth > BIND_DEPTH_MAX)
        return bind_fail(b, OX_STATEMENT_TOO_COMPLEX, ast->pos, "FROM is nested too deeply");
    switch (ast->kind) {
    case AST_FROM_JOIN: code = bind_join(b, ast, left, item); break;
    case AST_FROM_TABLE: code = bind_table(b, b->scope, ast, alias, &item->rel); break;
    case AST_FROM_SELECT: code = bind_select_item(b, b->scope, ast, alias, left, item); break;
    default:
        code = bind_is_record_call(ast)
                   ? bind_record_item_query(b, ast, alias, left, item)
                   : bind_function_item(b, b->scope, ast, alias, left, item);
    }
    if (code == OX_OK && ast->sample != NULL)
        code = bind_sample(b, ast, item->rel);
    if (code == OX_OK && item->rel != NULL) {
        code = rename_columns(b, item->rel, ast->alias);
        show_columns(b, item);
    }
    b->depth--;
    return code;
}

ox_code
bind_from(struct bind *b, const struct ast_list *from, struct from_item **out)
{
    struct from_item *all = NULL;
    for (size_t i = 0; from != NULL && i < from->count; i++) {
        struct from_item *item;
        ox_code code = bind_item(b, ast_at(from, i, struct ast_from), all, &item);
        if (code != OX_OK)
            return code;
        if (all == NULL) {
            all = item;
            continue;
        }
        struct from_item *join = ox_arena_new(b->arena, struct from_item);
        *join = (struct from_item){.kind = AST_JOIN_CROSS, .left = all, .right = item,
            .lateral = item->lateral, .rels = all->rels | item->rels};
        join->visible_count = all->visible_count + item->visible_count;
        join->visible = ox_arena_array(b->arena, struct rel_column *, join->visible_count);
        if (all->visible_count > 0)
            memcpy(join->visible, all->visible, all->visible_count * sizeof(all->visible[0]));
        memcpy(join->visible + all->visible_count, item->visible,
            item->visible_count * sizeof(item->visible[0]));
        all = join;
    }
    b->scope->visible = all != NULL ? all->visible : NULL;
    b->scope->visible_count = all != NULL ? all->visible_count : 0;
    *out = all;
    return OX_OK;
}

/* ---- conditions ---- */

static void
split_into(struct bind *b, struct expr *condition, struct expr ***list, size_t *cap,
    uint32_t *count)
{
    if (condition->kind == EXPR_AND) {
        for (uint32_t i = 0; i < condition->nargs; i++)
            split_into(b, condition->args[i], list, cap, count);
        return;
    }
    ox_arena_grow(b->arena, (void **)list, cap, *count + 1, sizeof(**list));
    (*list)[(*count)++] = condition;
}

void
bind_split(struct bind *b, struct expr *condition, struct expr ***list, uint32_t *count)
{
    size_t cap = 0;
    *list = NULL;
    *count = 0;
    if (condition != NULL)
        split_into(b, condition, list, &cap, count);
}

static void
pool_add(struct bind *b, struct pool *pool, struct expr *condition)
{
    struct expr **list;
    uint32_t count;
    bind_split(b, condition, &list, &count);
    for (uint32_t i = 0; i < count; i++) {
        ox_arena_grow(b->arena, (void **)&pool->items, &pool->cap, pool->count + 1,
            sizeof(*pool->items));
        pool->items[pool->count++] =
            (struct conjunct){list[i], bind_rels_of(b->scope, list[i]), false};
    }
}

/* Those that look at these relations and at nothing else, taken out. */
static struct expr **
pool_take(struct bind *b, struct pool *pool, uint64_t rels, uint32_t *count)
{
    struct expr **list = ox_arena_array(b->arena, struct expr *, pool->count);
    *count = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        struct conjunct *item = &pool->items[i];
        if (item->taken || item->rels == 0 || (item->rels & ~rels) != 0 ||
            expr_volatility(item->expr) == FUNC_VOLATILE)
            continue;
        item->taken = true;
        list[(*count)++] = item->expr;
    }
    return list;
}

static void
add_filter(struct bind *b, struct fragment *fragment, struct expr **list, uint32_t count)
{
    struct expr *condition = expr_and(b->arena, list, count);
    if (condition == NULL)
        return;
    bind_resolve(condition, b->scope, fragment->ids, fragment->count, NULL);
    fragment->plan =
        plan_filter_new(b->arena, fragment->plan, expr_fold(&b->eb, condition));
}

/* ---- leaves ---- */

static uint32_t *
rel_ids(struct bind *b, const struct rel *rel, bool used_only, uint32_t *count)
{
    uint32_t *ids = ox_arena_array(b->arena, uint32_t, rel->column_count);
    *count = 0;
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (!used_only || rel->columns[i].used)
            ids[(*count)++] = rel->columns[i].id;
    return ids;
}

static void
add_needle(struct bind *b, struct plan_scan_topic *scan, struct str needle)
{
    struct str *needles = ox_arena_array(b->arena, struct str, scan->needle_count + 1);
    for (uint32_t i = 0; i < scan->needle_count; i++)
        needles[i] = scan->needles[i];
    needles[scan->needle_count++] = needle;
    scan->needles = needles;
}

static void
add_note(struct bind *b, struct plan_scan_topic *scan, const struct expr *condition,
    const char *why)
{
    struct scan_note *notes = ox_arena_array(b->arena, struct scan_note, scan->note_count + 1);
    for (uint32_t i = 0; i < scan->note_count; i++)
        notes[i] = scan->notes[i];
    notes[scan->note_count++] = (struct scan_note){condition, why};
    scan->notes = notes;
}

/* What the scan can do for a condition is added to bounds; true: that is all of it. FROM LAST
 * n has counted its records before conditions are looked at. */
static bool
push_condition(struct bind *b, const struct rel *rel, struct plan_scan_topic *scan,
    struct expr *condition, struct scan_bound *bounds, uint32_t *bound_count)
{
    struct str needle;
    bool last = scan->start == SCAN_FROM_LAST_ROWS;
    bool whole = bind_as_bound(b, rel, condition, &bounds[*bound_count]);
    uint32_t count = whole ? 1 : bind_implied_bounds(b, rel, condition, &bounds[*bound_count]);
    const char *why = count == 0 ? bind_why_not(b, rel, condition)
                      : last     ? "FROM LAST counts all records"
                                 : NULL;
    if (!last)
        *bound_count += count;
    if (!last && whole)
        return true;
    if (why != NULL)
        add_note(b, scan, condition, why);
    if (bind_as_needle(b, rel, condition, &needle))
        add_needle(b, scan, needle);
    return false;
}

static void
plan_topic_leaf(struct bind *b, struct rel *rel, struct expr **list, uint32_t count,
    struct fragment *out)
{
    enum scan_column what[SCAN_COLUMN_COUNT];
    uint32_t used = 0;
    for (uint32_t i = 0; i < rel->column_count; i++)
        if (rel->columns[i].used)
            what[used++] = bind_topic_column(i);
    enum scan_column *copy = ox_arena_copy(b->arena, what, used * sizeof(what[0]));
    struct plan_scan_topic *scan =
        plan_scan_topic_new(b->arena, rel->topics, rel->topic_count, copy, used);
    if (rel->shape != NULL) {
        scan->follow = rel->shape->follow;
        scan->start = rel->shape->start;
        scan->start_value = rel->shape->start_value;
        scan->until = rel->shape->until;
        scan->until_value = rel->shape->until_value;
        scan->on_gap = rel->shape->on_gap;
        scan->uncommitted = rel->shape->uncommitted;
    } else {
        scan->until = SCAN_UNTIL_LATEST;
    }
    scan->sample_percent = rel->sample_percent;
    scan->sample_seed = rel->sample_seed;
    scan->sample_records = rel->sample_records;
    rel->scan = scan;
    out->plan = &scan->plan;
    out->ids = rel_ids(b, rel, true, &out->count);
    struct scan_bound *bounds =
        ox_arena_array(b->arena, struct scan_bound,
            count * BIND_IMPLIED_MAX + rel->bound_count);
    struct expr **rest = ox_arena_array(b->arena, struct expr *, count);
    uint32_t bound_count = 0, rest_count = 0;
    for (uint32_t i = 0; i < rel->bound_count; i++)
        bounds[bound_count++] = rel->bounds[i];
    for (uint32_t i = 0; i < count; i++) {
        struct expr *folded = expr_fold(&b->eb, list[i]);
        if (!push_condition(b, rel, scan, folded, bounds, &bound_count))
            rest[rest_count++] = folded;
    }
    for (uint32_t i = 0; i < bound_count; i++)
        for (uint32_t j = 0; j < bounds[i].value_count; j++)
            bind_resolve(bounds[i].values[j], b->scope, NULL, 0, NULL);
    scan->bounds = bounds;
    scan->bound_count = bound_count;
    add_filter(b, out, rest, rest_count);
}

/* "$cursors" in a relation's SELECT is a parameter: what session_facts('cursors') gives. */
static struct expr **
session_facts(struct bind *b, const char *sql, uint32_t *count)
{
    const char *at = strchr(sql, '$');
    *count = 0;
    if (at == NULL)
        return NULL;
    size_t len = strspn(++at, "abcdefghijklmnopqrstuvwxyz_");
    struct expr **params = ox_arena_array(b->arena, struct expr *, 1);
    struct expr *what = expr_const(b->arena, TYPE(TYPE_TEXT), datum_str(ox_str_n(at, len)), 0);
    ox_code code =
        expr_function(&b->eb, OX_STR("session_facts"), &what, 1, false, 0, &params[0], b->err);
    ox_assert(code == OX_OK);
    *count = 1;
    return params;
}

static void
plan_catalog_leaf(struct bind *b, struct rel *rel, struct fragment *out)
{
    struct text sql;
    struct plan_column *columns = ox_arena_array(b->arena, struct plan_column, rel->column_count);
    uint32_t count = 0;
    if (rel->column_count > 0) {
        bool any = false;
        for (uint32_t i = 0; i < rel->column_count; i++)
            any |= rel->columns[i].used;
        rel->columns[0].used |= !any;
    }
    ox_text_init(&sql, b->arena);
    ox_text_adds(&sql, "SELECT ");
    for (uint32_t i = 0; i < rel->column_count; i++) {
        if (!rel->columns[i].used)
            continue;
        const struct plan_column *column = &rel->catalog->columns[i];
        ox_text_addf(&sql, "%s\"%.*s\"", count ? ", " : "", OX_STR_ARG(column->name));
        columns[count++] = *column;
    }
    ox_text_addf(&sql, " FROM (%s)", rel->catalog->sql);
    uint32_t param_count;
    struct expr **params = session_facts(b, rel->catalog->sql, &param_count);
    out->plan = plan_scan_catalog_new(b->arena, ox_text_str(&sql), params, param_count, columns,
        count);
    out->ids = rel_ids(b, rel, true, &out->count);
}

static void
plan_leaf(struct bind *b, struct rel *rel, struct pool *pool, struct fragment *out)
{
    uint32_t count;
    struct expr **list = pool_take(b, pool, UINT64_C(1) << rel->number, &count);
    if (rel->kind == REL_TOPIC) {
        plan_topic_leaf(b, rel, list, count, out);
        return;
    }
    if (rel->kind == REL_CATALOG) {
        plan_catalog_leaf(b, rel, out);
    } else {
        out->plan = rel->plan;
        out->ids = rel_ids(b, rel, false, &out->count);
    }
    add_filter(b, out, list, count);
}

ox_code
bind_plan_topic(struct bind *b, struct rel *rel, struct expr *where, struct fragment *out)
{
    struct expr **list;
    uint32_t count;
    bind_split(b, where, &list, &count);
    plan_topic_leaf(b, rel, list, count, out);
    return OX_OK;
}

/* ---- joins ---- */

static ox_code plan_item(struct bind *b, struct from_item *item, struct pool *pool,
    struct fragment *out);

static bool
is_integer(struct type type)
{
    return !type.array && (type.id == TYPE_INT2 || type.id == TYPE_INT4 || type.id == TYPE_INT8);
}

/* An equality with one side in each input becomes a key. */
static bool
as_key(struct bind *b, struct expr *condition, uint64_t left, uint64_t right, struct expr **keys)
{
    if (condition->kind != EXPR_CALL || condition->nargs != 2 ||
        condition->func->kind != FUNC_OPERATOR || strcmp(condition->func->name, "=") != 0)
        return false;
    uint64_t masks[2] = {bind_rels_of(b->scope, condition->args[0]),
        bind_rels_of(b->scope, condition->args[1])};
    int first = masks[0] != 0 && (masks[0] & ~left) == 0 ? 0 : 1;
    if (masks[0] == 0 || masks[1] == 0 || (masks[first] & ~left) != 0 ||
        (masks[1 - first] & ~right) != 0)
        return false;
    keys[0] = condition->args[first];
    keys[1] = condition->args[1 - first];
    for (int i = 0; i < 2 && !type_same(keys[0]->type, keys[1]->type); i++) {
        if (!is_integer(keys[0]->type) && i == 0)
            return false;
        if (!is_integer(keys[i]->type) || expr_coerce(&b->eb, keys[i], TYPE(TYPE_INT8),
                                              CAST_IMPLICIT, &keys[i], NULL) != OX_OK)
            return false;
    }
    return type_same(keys[0]->type, keys[1]->type) && type_hashable(keys[0]->type);
}

static enum join_kind
join_kind_of(enum ast_join_kind kind)
{
    switch (kind) {
    case AST_JOIN_LEFT: return JOIN_LEFT;
    case AST_JOIN_RIGHT: return JOIN_RIGHT;
    case AST_JOIN_FULL: return JOIN_FULL;
    default: return JOIN_INNER;
    }
}

static void
concat_ids(struct bind *b, const struct fragment *left, const struct fragment *right,
    struct fragment *out)
{
    uint32_t *ids = ox_arena_array(b->arena, uint32_t, left->count + right->count);
    if (left->count > 0)
        memcpy(ids, left->ids, left->count * sizeof(ids[0]));
    if (right->count > 0)
        memcpy(ids + left->count, right->ids, right->count * sizeof(ids[0]));
    out->ids = ids;
    out->count = left->count + right->count;
}

static void
join_sides(struct bind *b, struct from_item *item, struct fragment *left, struct fragment *right,
    struct expr **list, uint32_t count, struct fragment *out)
{
    struct expr **left_keys = ox_arena_array(b->arena, struct expr *, count);
    struct expr **right_keys = ox_arena_array(b->arena, struct expr *, count);
    struct expr **rest = ox_arena_array(b->arena, struct expr *, count);
    uint32_t key_count = 0, rest_count = 0;
    concat_ids(b, left, right, out);
    for (uint32_t i = 0; i < count; i++) {
        struct expr *keys[2];
        if (item->lateral == NULL &&
            as_key(b, list[i], item->left->rels, item->right->rels, keys)) {
            bind_resolve(keys[0], b->scope, left->ids, left->count, NULL);
            bind_resolve(keys[1], b->scope, right->ids, right->count, NULL);
            left_keys[key_count] = keys[0];
            right_keys[key_count++] = keys[1];
        } else {
            rest[rest_count++] = list[i];
        }
    }
    struct expr *condition = expr_and(b->arena, rest, rest_count);
    if (condition != NULL) {
        bind_resolve(condition, b->scope, out->ids, out->count, NULL);
        condition = expr_fold(&b->eb, condition);
    }
    enum join_kind kind = join_kind_of(item->kind);
    if (key_count > 0)
        out->plan = &plan_join_hash_new(b->arena, kind, left->plan, right->plan, left_keys,
            right_keys, key_count, condition)->plan;
    else
        out->plan = &plan_join_loop_new(b->arena, kind, left->plan, right->plan, condition,
            item->lateral != NULL)->plan;
}

static ox_code
plan_join(struct bind *b, struct from_item *item, struct pool *pool, struct fragment *out)
{
    struct fragment left, right;
    struct pool none = {0}, on = {0};
    bool inner = item->kind == AST_JOIN_INNER || item->kind == AST_JOIN_CROSS;
    uint32_t count;
    if (item->on != NULL)
        pool_add(b, inner ? pool : &on, item->on);
    bool keeps_left = inner || item->kind == AST_JOIN_LEFT;
    bool keeps_right = inner || item->kind == AST_JOIN_RIGHT;
    ox_code code = plan_item(b, item->left,
        keeps_left ? pool : item->kind == AST_JOIN_RIGHT ? &on : &none, &left);
    if (code == OX_OK)
        code = plan_item(b, item->right,
            keeps_right ? pool : item->kind == AST_JOIN_LEFT ? &on : &none, &right);
    if (code != OX_OK)
        return code;
    if (item->lateral != NULL) {
        bool missing = false;
        bind_resolve(NULL, item->lateral, left.ids, left.count, &missing);
        if (missing)
            return bind_fail(b, OX_UNDEFINED_TABLE, 0,
                "invalid reference to FROM-clause entry from a lateral item");
    }
    struct expr **list;
    if (inner) {
        list = pool_take(b, pool, item->rels, &count);
    } else { /* all of ON that did not sink into a side */
        list = ox_arena_array(b->arena, struct expr *, on.count);
        count = 0;
        for (uint32_t i = 0; i < on.count; i++)
            if (!on.items[i].taken)
                list[count++] = on.items[i].expr;
    }
    join_sides(b, item, &left, &right, list, count, out);
    return OX_OK;
}

static ox_code
plan_item(struct bind *b, struct from_item *item, struct pool *pool, struct fragment *out)
{
    if (item->rel != NULL) {
        plan_leaf(b, item->rel, pool, out);
        return OX_OK;
    }
    return plan_join(b, item, pool, out);
}

ox_code
bind_plan_from(struct bind *b, struct from_item *from, struct expr *where, struct fragment *out)
{
    struct pool pool = {0};
    pool_add(b, &pool, where);
    memset(out, 0, sizeof(*out));
    if (from == NULL)
        out->plan = plan_values_new(b->arena, NULL, 1, 0, NULL);
    ox_code code = from != NULL ? plan_item(b, from, &pool, out) : OX_OK;
    if (code != OX_OK)
        return code;
    struct expr **list = ox_arena_array(b->arena, struct expr *, pool.count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < pool.count; i++)
        if (!pool.items[i].taken)
            list[count++] = pool.items[i].expr;
    add_filter(b, out, list, count);
    return OX_OK;
}
