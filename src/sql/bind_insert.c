/* SPDX-License-Identifier: Apache-2.0
 *
 * INSERT and COPY on untyped topics: which column of the input is the key, the
 * value, ..., in the types an insert takes, and what RETURNING gives. */
#include "base/check.h"
#include "sql/bind_int.h"

enum part { PART_KEY, PART_VALUE, PART_HEADERS, PART_TIMESTAMP, PART_PARTITION, PART_COUNT };

static const struct {
    const char *name;
    enum type_id type;
} parts[PART_COUNT] = {{"_key", TYPE_TEXT}, {"_value", TYPE_TEXT}, {"_headers", TYPE_JSONB},
    {"_timestamp", TYPE_TIMESTAMPTZ}, {"_partition", TYPE_INT4}};

/* The columns of an insert, in the order in which values come. */
struct insert_columns {
    enum part parts[PART_COUNT];
    bool bytes[PART_COUNT]; /* _key_bytes, _value_bytes */
    uint32_t count;
};

static ox_code
find_part(struct bind *b, const struct ast_token *name, const struct meta_topic *topic,
    enum part *out, bool *bytes)
{
    *bytes = ox_str_is(name->text, "_key_bytes") || ox_str_is(name->text, "_value_bytes");
    if (*bytes) {
        *out = ox_str_is(name->text, "_key_bytes") ? PART_KEY : PART_VALUE;
        return OX_OK;
    }
    for (int part = 0; part < PART_COUNT; part++)
        if (ox_str_is(name->text, parts[part].name)) {
            *out = (enum part)part;
            return OX_OK;
        }
    if (plan_scan_column_find(name->text) >= 0)
        return bind_fail(b, OX_INVALID_COLUMN_REFERENCE, name->pos,
            "column \"%.*s\" cannot be written", OX_STR_ARG(name->text));
    return bind_fail(b, OX_UNDEFINED_COLUMN, name->pos,
        "column \"%.*s\" of relation \"%s\" does not exist", OX_STR_ARG(name->text),
        topic->name.ptr);
}

/* The list, or what `given` values mean without one: one is the value; more are
 * key, value, headers, timestamp, partition. */
static ox_code
read_columns(struct bind *b, const struct ast_list *list, const struct meta_topic *topic,
    uint32_t given, int pos, struct insert_columns *out)
{
    bool seen[PART_COUNT] = {false};
    out->count = 0;
    if (list == NULL) {
        if (given > PART_COUNT)
            return bind_fail(b, OX_SYNTAX_ERROR, pos,
                "INSERT has more expressions than target columns");
        for (uint32_t i = 0; i < given; i++) {
            out->parts[i] = given == 1 ? PART_VALUE : (enum part)i;
            out->bytes[i] = false;
        }
        out->count = given;
        return OX_OK;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct ast_token *name = ast_at(list, i, struct ast_token);
        enum part part = PART_KEY;
        bool bytes;
        ox_code code = find_part(b, name, topic, &part, &bytes);
        if (code != OX_OK)
            return code;
        if (seen[part])
            return bind_fail(b, OX_DUPLICATE_COLUMN, name->pos,
                "column \"%.*s\" specified more than once", OX_STR_ARG(name->text));
        seen[part] = true;
        out->parts[out->count] = part;
        out->bytes[out->count++] = bytes;
    }
    if (given > out->count)
        return bind_fail(b, OX_SYNTAX_ERROR, pos,
            "INSERT has more expressions than target columns");
    if (given < out->count)
        return bind_fail(b, OX_SYNTAX_ERROR, pos,
            "INSERT has more target columns than expressions");
    return OX_OK;
}

/* Key and value take bytea as it is; everything else by assignment. */
static struct type
wanted_type(const struct insert_columns *columns, uint32_t index, struct type from)
{
    enum part part = columns->parts[index];
    if ((part == PART_KEY || part == PART_VALUE) &&
        (columns->bytes[index] || (from.id == TYPE_BYTEA && !from.array)))
        return TYPE(TYPE_BYTEA);
    return TYPE(parts[part].type);
}

static ox_code
coerce_cell(struct bind *b, const struct insert_columns *columns, uint32_t index,
    struct expr *cell, struct expr **out)
{
    struct type type = wanted_type(columns, index, cell->type);
    struct type from = cell->type;
    ox_code code = expr_coerce(&b->eb, cell, type, CAST_ASSIGNMENT, out, b->err);
    if (code == OX_DATATYPE_MISMATCH || code == OX_CANNOT_COERCE) {
        bind_fail(b, OX_DATATYPE_MISMATCH, cell->position > 0 ? cell->position - 1 : 0,
            "column \"%s\" is of type %s but expression is of type %s",
            parts[columns->parts[index]].name, type_name(type, b->arena),
            type_name(from, b->arena));
        ox_hint(b->err, "You will need to rewrite or cast the expression.");
        return b->err->code;
    }
    return code;
}

/* ---- the rows ---- */

/* Each cell in its column's type, so that parameters learn theirs. */
static ox_code
bind_cells(struct bind *b, const struct ast_select *select, const struct insert_columns *columns,
    struct plan **out)
{
    uint32_t rows = (uint32_t)select->values->count;
    struct expr **cells = ox_arena_array(b->arena, struct expr *, (size_t)rows * columns->count);
    for (uint32_t i = 0; i < rows; i++) {
        const struct ast_list *row = ast_at(select->values, i, struct ast_list);
        if (row->count != columns->count)
            return bind_fail(b, OX_SYNTAX_ERROR, select->pos,
                "VALUES lists must all be the same length");
        for (uint32_t j = 0; j < columns->count; j++) {
            const struct ast_expr *ast = ast_at(row, j, struct ast_expr);
            struct expr *cell;
            ox_code code = OX_OK;
            if (ast->kind == AST_DEFAULT)
                cell = expr_null(b->arena, ast->pos + 1);
            else
                code = bind_expr(b, ast, &cell);
            if (code == OX_OK)
                code = coerce_cell(b, columns, j, cell, &cell);
            if (code != OX_OK)
                return code;
            cells[(size_t)i * columns->count + j] = expr_fold(&b->eb, cell);
        }
    }
    /* One type a column: text where bytea and text are mixed would change bytes. */
    for (uint32_t j = 0; j < columns->count; j++)
        for (uint32_t i = 1; i < rows; i++)
            if (!type_same(cells[j]->type, cells[(size_t)i * columns->count + j]->type))
                return bind_fail(b, OX_DATATYPE_MISMATCH, select->pos,
                    "VALUES types bytea and text cannot be matched");
    *out = plan_values_new(b->arena, cells, rows, columns->count, NULL);
    return OX_OK;
}

/* VALUES. */
static ox_code
bind_value_rows(struct bind *b, const struct ast_select *select,
    const struct insert_columns *columns, struct plan **out)
{
    struct scope scope = {.place = PLACE_VALUES}, *before = b->scope;
    b->scope = &scope;
    ox_code code = bind_cells(b, select, columns, out);
    b->scope = before;
    return code;
}

static ox_code
bind_query_rows(struct bind *b, struct query *query, const struct insert_columns *columns,
    struct plan **out)
{
    struct expr **exprs = ox_arena_array(b->arena, struct expr *, query->count);
    for (uint32_t i = 0; i < query->count; i++) {
        struct expr *column = expr_column(b->arena, i, query->columns[i].type, NULL, 0);
        column->level = 1; /* placed */
        ox_code code = coerce_cell(b, columns, i, column, &exprs[i]);
        if (code != OX_OK)
            return code;
    }
    *out = plan_project_new(b->arena, query->plan, exprs, NULL, query->count);
    return OX_OK;
}

static bool
is_plain_values(const struct ast_select *select)
{
    return select->values != NULL && select->order == NULL && select->limit == NULL &&
           select->offset == NULL && select->ctes == NULL;
}

static ox_code
bind_rows(struct bind *b, const struct ast_insert *ast, const struct meta_topic *topic,
    struct insert_columns *columns, struct plan **out)
{
    const struct ast_select *select = ast->select;
    if (select == NULL) { /* DEFAULT VALUES: a record without key and value */
        columns->count = 0;
        *out = plan_values_new(b->arena, NULL, 1, 0, NULL);
        return OX_OK;
    }
    if (is_plain_values(select)) {
        uint32_t width = (uint32_t)ast_at(select->values, 0, struct ast_list)->count;
        ox_code code =
            read_columns(b, ast->columns, topic, width, select->pos, columns);
        return code == OX_OK ? bind_value_rows(b, select, columns, out) : code;
    }
    struct query query;
    ox_code code = bind_query(b, select, NULL, &query);
    if (code == OX_OK)
        code = read_columns(b, ast->columns, topic, query.count, select->pos, columns);
    return code == OX_OK ? bind_query_rows(b, &query, columns, out) : code;
}

/* ---- the insert ---- */

static ox_code
find_target(struct bind *b, const struct ast_name *name, const struct meta_topic **out)
{
    ox_code code = bind_topic(b->config, name, out, b->err);
    if (code != OX_OK)
        return code;
    if (!engine_allowed(b->config->session, ENGINE_TOPIC, (*out)->name, ENGINE_WRITE))
        return bind_fail(b, OX_TOPIC_AUTHORIZATION_FAILED, name->pos,
            "permission denied for topic \"%s\"", (*out)->name.ptr);
    if ((*out)->internal)
        return bind_fail(b, OX_INVALID_TOPIC, name->pos,
            "internal topic \"%s\" cannot be written to", (*out)->name.ptr);
    return OX_OK;
}

static struct plan_insert *
make_insert(struct bind *b, struct plan *input, const struct meta_topic *topic,
    const struct insert_columns *columns, const enum scan_column *returning, uint32_t count)
{
    struct plan_topic *target = ox_arena_new(b->arena, struct plan_topic);
    *target = (struct plan_topic){ox_str_dup(b->arena, topic->name), topic->id,
        topic->partition_count};
    struct plan_insert *node = plan_insert_new(b->arena, input, target, returning, count);
    int *places[PART_COUNT] = {&node->key, &node->value, &node->headers, &node->timestamp,
        &node->partition};
    for (int part = 0; part < PART_COUNT; part++)
        *places[part] = -1;
    for (uint32_t i = 0; i < columns->count; i++)
        *places[columns->parts[i]] = (int)i;
    return node;
}

/* RETURNING: expressions over the columns that an insert can tell. */
static ox_code
bind_returning(struct bind *b, const struct ast_insert *ast, const struct meta_topic *topic,
    struct rel **rel, struct expr ***exprs, struct query *query)
{
    struct scope *scope = ox_arena_new(b->arena, struct scope);
    b->scope = scope;
    *rel = bind_add_topic(b, scope, topic, ast->alias.ptr != NULL ? ast->alias : topic->name,
        ast->table->pos);
    scope->visible = ox_arena_array(b->arena, struct rel_column *, (*rel)->column_count);
    scope->visible_count = (*rel)->column_count;
    for (uint32_t i = 0; i < (*rel)->column_count; i++)
        scope->visible[i] = &(*rel)->columns[i];
    return bind_targets(b, ast->returning, exprs, &query->columns, &query->count);
}

static void
plan_returning(struct bind *b, struct rel *rel, struct expr **exprs, struct plan *input,
    const struct meta_topic *topic, const struct insert_columns *columns, struct query *query)
{
    enum scan_column *what = ox_arena_array(b->arena, enum scan_column, rel->column_count);
    uint32_t *ids = ox_arena_array(b->arena, uint32_t, rel->column_count);
    struct str *names = ox_arena_array(b->arena, struct str, query->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        if (!rel->columns[i].used)
            continue;
        what[count] = bind_topic_column(i);
        ids[count++] = rel->columns[i].id;
    }
    for (uint32_t i = 0; i < query->count; i++) {
        bind_resolve(exprs[i], b->scope, ids, count, NULL);
        names[i] = query->columns[i].name;
    }
    struct plan_insert *node = make_insert(b, input, topic, columns, what, count);
    query->plan = plan_project_new(b->arena, &node->plan, exprs, names, query->count);
}

ox_code
bind_insert(const struct bind_config *config, const struct ast_insert *ast, struct arena *arena,
    struct bound *out, struct ox_err *err)
{
    struct bind b;
    struct query query = {0};
    struct insert_columns columns;
    const struct meta_topic *topic;
    struct plan *input = NULL;
    bind_init(&b, config, arena, err);
    ox_code code = find_target(&b, ast->table, &topic);
    if (code == OX_OK && ast->conflict.text.len > 0)
        code = bind_fail(&b, OX_FEATURE_NOT_SUPPORTED, ast->conflict.pos,
            "ON CONFLICT needs a table with a primary key; \"%s\" is a topic", topic->name.ptr);
    if (code == OX_OK)
        code = bind_rows(&b, ast, topic, &columns, &input);
    if (code == OX_OK && ast->returning != NULL) {
        struct rel *rel;
        struct expr **exprs;
        code = bind_returning(&b, ast, topic, &rel, &exprs, &query);
        if (code == OX_OK)
            plan_returning(&b, rel, exprs, input, topic, &columns, &query);
    } else if (code == OX_OK) {
        query.plan = &make_insert(&b, input, topic, &columns, NULL, 0)->plan;
    }
    code = bind_finish(&b, code, &query, out);
    if (code == OX_OK)
        out->writes = true;
    return code;
}

/* ---- COPY ---- */

/* Over the columns that are copied. */
static ox_code
copy_where(struct bind *b, const struct ast_expr *ast, const struct meta_topic *topic, int pos,
    struct plan **input)
{
    struct scope *scope = ox_arena_new(b->arena, struct scope);
    uint32_t count = (*input)->column_count;
    struct query feed = {*input, ox_arena_array(b->arena, struct sql_column, count), count};
    uint32_t *ids = ox_arena_array(b->arena, uint32_t, count);
    struct expr *condition;
    b->scope = scope;
    for (uint32_t i = 0; i < count; i++)
        feed.columns[i] = (struct sql_column){
            .name = (*input)->columns[i].name, .type = (*input)->columns[i].type};
    struct rel *rel = bind_add_query(b, scope, &feed, topic->name, pos);
    if (rel == NULL)
        return b->err->code;
    scope->visible = ox_arena_array(b->arena, struct rel_column *, count);
    scope->visible_count = count;
    for (uint32_t i = 0; i < count; i++) {
        scope->visible[i] = &rel->columns[i];
        ids[i] = rel->columns[i].id;
    }
    ox_code code = bind_condition(b, ast, PLACE_WHERE, "WHERE", &condition);
    if (code != OX_OK)
        return code;
    bind_resolve(condition, scope, ids, count, NULL);
    *input = plan_filter_new(b->arena, *input, condition);
    return OX_OK;
}

ox_code
bind_copy_from(const struct bind_config *config, const struct ast_name *table,
    const struct ast_list *list, const struct ast_expr *where, struct arena *arena,
    struct bound *out, struct ox_err *err)
{
    struct bind b;
    struct query query = {0};
    struct insert_columns columns;
    const struct meta_topic *topic;
    bind_init(&b, config, arena, err);
    ox_code code = find_target(&b, table, &topic);
    if (code == OX_OK)
        code = read_columns(&b, list, topic, list != NULL ? (uint32_t)list->count : 2, table->pos,
            &columns);
    if (code == OX_OK) {
        struct plan_column *feed = ox_arena_array(arena, struct plan_column, columns.count);
        for (uint32_t i = 0; i < columns.count; i++)
            feed[i] = (struct plan_column){ox_str(parts[columns.parts[i]].name),
                wanted_type(&columns, i, TYPE(TYPE_TEXT))};
        struct plan *input = plan_feed_new(arena, feed, columns.count);
        code = where != NULL ? copy_where(&b, where, topic, table->pos, &input) : OX_OK;
        struct plan_insert *node = make_insert(&b, input, topic, &columns, NULL, 0);
        node->stream = true;
        query.plan = &node->plan;
    }
    code = bind_finish(&b, code, &query, out);
    if (code == OX_OK)
        out->writes = true;
    return code;
}

ox_code
bind_copy_to(const struct bind_config *config, const struct ast_name *table,
    const struct ast_list *list, struct arena *arena, struct bound *out, struct ox_err *err)
{
    struct ast_list targets = {0}, from = {0};
    struct ast_from item = {.kind = AST_FROM_TABLE, .pos = table->pos,
        .name = (struct ast_name *)table};
    struct ast_select select = {.pos = table->pos, .targets = &targets, .from = &from};
    size_t count = list != NULL ? list->count : 1;
    void *items[1] = {&item};
    struct ast_target *all = ox_arena_array(arena, struct ast_target, count);
    struct ast_expr *exprs = ox_arena_array(arena, struct ast_expr, count);
    struct ast_name *names = ox_arena_array(arena, struct ast_name, count);
    targets.items = ox_arena_array(arena, void *, count);
    for (size_t i = 0; i < count; i++) {
        exprs[i].kind = AST_STAR;
        exprs[i].pos = table->pos;
        if (list != NULL) {
            const struct ast_token *name = ast_at(list, i, struct ast_token);
            names[i] = (struct ast_name){.pos = name->pos, .count = 1, .parts = {name->text}};
            exprs[i] = (struct ast_expr){.kind = AST_COLUMN, .pos = name->pos, .name = &names[i]};
        }
        all[i] = (struct ast_target){&exprs[i], OX_STR_NULL, exprs[i].pos};
        targets.items[i] = &all[i];
    }
    targets.count = count;
    from.items = items;
    from.count = 1;
    return bind_select(config, &select, arena, out, err);
}
