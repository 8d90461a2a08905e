/* SPDX-License-Identifier: Apache-2.0
 *
 * json_to_record(x) AS t(a int, b text) and its kin stand for a sub-query that takes
 * the members out of x: its text is written here, parsed, and x put into it. */
#include "sql/bind_int.h"

struct record_call {
    const char *name, *json;
    bool set;
};

static const struct record_call record_calls[] = {{"json_to_record", "json", false},
    {"json_to_recordset", "json", true}, {"jsonb_to_record", "jsonb", false},
    {"jsonb_to_recordset", "jsonb", true}};

static const struct record_call *
record_call_of(const struct ast_from *ast)
{
    const struct ast_expr *call = ast->function;
    if (ast->alias == NULL || ast->alias->types == NULL || ast->ordinality ||
        ast->functions != NULL || call->kind != AST_CALL || call->call->args == NULL ||
        call->call->args->count != 1)
        return NULL;
    struct str name = call->call->name->parts[call->call->name->count - 1];
    for (size_t i = 0; i < sizeof(record_calls) / sizeof(record_calls[0]); i++)
        if (ox_str_is(name, record_calls[i].name))
            return &record_calls[i];
    return NULL;
}

bool
bind_is_record_call(const struct ast_from *ast)
{
    return record_call_of(ast) != NULL;
}

static void
put_quoted(struct text *to, struct str s, char quote)
{
    ox_text_addc(to, quote);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == quote)
            ox_text_addc(to, quote);
        ox_text_addc(to, s.ptr[i]);
    }
    ox_text_addc(to, quote);
}

/* One member in its column's type; JSON's null is NULL. An array is made of the
 * elements of one, or read from its text form. */
static void
put_member(struct text *to, const struct record_call *call, const struct ast_column_def *def,
    struct type type)
{
    struct text name, kind;
    ox_text_init(&name, NULL);
    ox_text_init(&kind, NULL);
    put_quoted(&name, def->name, '\'');
    type_format(type, &kind);
    if (type.array)
        ox_text_addf(to,
            "CASE %s_typeof(e.v->%s) WHEN 'array' THEN ARRAY(SELECT x.x::%.*s FROM "
            "%s_array_elements_text(e.v->%s) AS x(x)) ELSE (e.v->>%s)::%s END",
            call->json, name.ptr, (int)kind.len - 2, kind.ptr, call->json, name.ptr, name.ptr,
            kind.ptr);
    else if (type.id == TYPE_JSON || type.id == TYPE_JSONB)
        ox_text_addf(to, "CASE WHEN e.v->>%s IS NOT NULL THEN (e.v->%s)::%s END", name.ptr,
            name.ptr, kind.ptr);
    else
        ox_text_addf(to, "(e.v->>%s)::%s", name.ptr, kind.ptr);
    ox_text_adds(to, " AS ");
    put_quoted(to, def->name, '"');
    ox_text_fini(&name);
    ox_text_fini(&kind);
}

static ox_code
write_query(struct bind *b, const struct ast_from *ast, const struct record_call *call,
    struct text *to)
{
    const struct ast_list *defs = ast->alias->types;
    ox_text_adds(to, "SELECT ");
    for (size_t i = 0; i < defs->count; i++) {
        const struct ast_column_def *def = ast_at(defs, i, struct ast_column_def);
        struct type type;
        ox_code code = bind_type(b->config, def->type, &type, b->err);
        if (code != OX_OK)
            return code;
        ox_text_adds(to, i > 0 ? ", " : "");
        put_member(to, call, def, type);
    }
    ox_text_addf(to, call->set ? " FROM %s_array_elements(NULL) AS e(v)"
                               : " FROM (SELECT NULL::%s) AS e(v)", call->json);
    return OX_OK;
}

/* The NULL of the text becomes the argument. */
static void
put_argument(struct ast_select *query, const struct record_call *call, struct ast_expr *arg)
{
    struct ast_from *from = ast_at(query->from, 0, struct ast_from);
    if (call->set)
        from->function->call->args->items[0] = arg;
    else
        ast_at(from->select->targets, 0, struct ast_target)->expr->a = arg;
}

ox_code
bind_record_query(struct bind *b, const struct ast_from *ast, struct ast_from *out)
{
    const struct record_call *call = record_call_of(ast);
    struct ast_parse parse;
    struct text text;
    ox_text_init(&text, b->arena);
    ox_code code = write_query(b, ast, call, &text);
    if (code == OX_OK)
        code = sql_parse(ox_text_str(&text), b->arena, &parse, b->err);
    if (code != OX_OK)
        return code;
    struct ast_select *query = ast_at(&parse.stmts, 0, struct ast_stmt)->select;
    put_argument(query, call, ast_at(ast->function->call->args, 0, struct ast_expr));
    *out = (struct ast_from){.kind = AST_FROM_SELECT, .pos = ast->pos, .select = query,
        .lateral = true};
    return OX_OK;
}
