/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions that tools ask the catalog with: what psql's backslash commands, JDBC
 * and others call beside pg_catalog's relations. What does not exist here
 * (indexes, triggers, rules, ...) has no definition: NULL. Every relation is
 * visible, and today everybody may do everything. */
#include "exec/expr_int.h"
#include "exec/functions.gen.h"

ox_code
cat_true(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    (void)args;
    out->b = 1;
    return OX_OK;
}

ox_code
cat_false(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    (void)args;
    out->b = 0;
    return OX_OK;
}

ox_code
cat_null(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    (void)args;
    out->null = true;
    return OX_OK;
}

ox_code
cat_no_oid(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    (void)args;
    out->i = 0;
    return OX_OK;
}

/* Nobody blocks anybody. */
ox_code
cat_no_pids(struct call *call, const struct datum *args, struct datum *out)
{
    (void)args;
    out->s = array_make(TYPE(TYPE_INT4), NULL, 0, call->arena);
    return OX_OK;
}

ox_code
cat_zero_float(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    (void)args;
    out->f = 0;
    return OX_OK;
}

static const struct row_names *
names_of(struct call *call)
{
    const struct row_format *format = call->eval->config->format;
    return format != NULL ? format->names : NULL;
}

/* "unknown (OID=n)" for what is no role, as PostgreSQL says it. */
ox_code
cat_user_by_id(struct call *call, const struct datum *args, struct datum *out)
{
    const struct row_names *names = names_of(call);
    struct text text;
    ox_text_init(&text, call->arena);
    if (names == NULL || names->to_name == NULL ||
        !names->to_name(names->self, TYPE_REGROLE, (uint32_t)args[0].i, &text)) {
        ox_text_clear(&text);
        ox_text_addf(&text, "unknown (OID=%u)", (uint32_t)args[0].i);
    }
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
cat_description(struct call *call, const struct datum *args, struct datum *out)
{
    const struct row_names *names = names_of(call);
    struct text text;
    ox_text_init(&text, call->arena);
    if (names == NULL || names->to_comment == NULL ||
        !names->to_comment(names->self, (uint32_t)args[0].i, &text))
        out->null = true;
    else
        out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
cat_viewdef(struct call *call, const struct datum *args, struct datum *out)
{
    const struct row_names *names = names_of(call);
    struct text text;
    ox_text_init(&text, call->arena);
    if (names == NULL || names->to_definition == NULL ||
        !names->to_definition(names->self, (uint32_t)args[0].i, &text))
        out->null = true;
    else
        out->s = ox_text_str(&text);
    return OX_OK;
}

static ox_code
size_of(struct call *call, uint32_t oid, struct datum *out)
{
    const struct row_names *names = names_of(call);
    out->null = names == NULL || names->to_size == NULL ||
                !names->to_size(names->self, oid, &out->i);
    return OX_OK;
}

ox_code
cat_relation_size(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[0].i == 0) {
        out->null = true;
        return OX_OK;
    }
    return size_of(call, (uint32_t)args[0].i, out);
}

/* There is one database and one tablespace. */
ox_code
cat_all_size(struct call *call, const struct datum *args, struct datum *out)
{
    (void)args;
    return size_of(call, 0, out);
}

ox_code
cat_zero_size(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    (void)args;
    out->i = 0;
    return OX_OK;
}

/* Bit 3 is INSERT, which topics take, bit 4 DELETE. */
ox_code
cat_updatable(struct call *call, const struct datum *args, struct datum *out)
{
    const struct row_names *names = names_of(call);
    struct str schema = names != NULL && names->to_schema != NULL
                            ? names->to_schema(names->self, (uint32_t)args[0].i)
                            : OX_STR_NULL;
    out->i = ox_str_is(schema, "public") ? 1 << 3 | 1 << 4 : 0;
    return OX_OK;
}

/* In a schema of the search path: "schema.name" is how regclass writes what is
 * not in public or pg_catalog. */
ox_code
cat_table_visible(struct call *call, const struct datum *args, struct datum *out)
{
    const struct session_info *info = call->eval->config->session;
    const char *const *path = info != NULL ? info->search_path : NULL;
    struct str schema = OX_STR_NULL;
    const struct row_names *names = names_of(call);
    out->b = 1;
    if (names == NULL || names->to_schema == NULL || path == NULL)
        return OX_OK;
    schema = names->to_schema(names->self, (uint32_t)args[0].i);
    if (ox_str_is(schema, "pg_catalog"))
        return OX_OK;
    for (out->b = 0; *path != NULL && !out->b; path++)
        out->b = ox_str_is(schema, *path);
    return OX_OK;
}

/* ---- functions ---- */

static const struct func *
func_of(const struct datum *oid)
{
    for (uint32_t i = 0; i < func_count; i++)
        if (func_table[i].oid == (uint32_t)oid->i)
            return &func_table[i];
    return NULL;
}

static void
write_args(const struct func *func, struct text *text)
{
    for (uint8_t i = 0; i < func->nargs; i++) {
        ox_text_adds(text, i > 0 ? ", " : "");
        if (func->variadic && i + 1 == func->nargs)
            ox_text_adds(text, "VARIADIC ");
        type_format(func->args[i], text);
    }
}

ox_code
cat_function_args(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    const struct func *func = func_of(&args[0]);
    ox_text_init(&text, call->arena);
    out->null = func == NULL;
    if (func != NULL)
        write_args(func, &text);
    out->s = ox_text_str(&text);
    return OX_OK;
}

static void
write_result(const struct func *func, struct text *text)
{
    if (func->kind == FUNC_SET)
        ox_text_adds(text, "SETOF ");
    type_format(func->result, text);
}

ox_code
cat_function_result(struct call *call, const struct datum *args, struct datum *out)
{
    struct text text;
    const struct func *func = func_of(&args[0]);
    ox_text_init(&text, call->arena);
    out->null = func == NULL;
    if (func != NULL)
        write_result(func, &text);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
cat_functiondef(struct call *call, const struct datum *args, struct datum *out)
{
    static const char *const volatility[] = {" IMMUTABLE", " STABLE", ""};
    struct text text;
    const struct func *func = func_of(&args[0]);
    if (func == NULL) {
        out->null = true;
        return OX_OK;
    }
    if (func->kind == FUNC_AGGREGATE)
        return call_fail(call, OX_WRONG_OBJECT_TYPE, "\"%s\" is an aggregate function",
            func->name);
    ox_text_init(&text, call->arena);
    ox_text_addf(&text, "CREATE OR REPLACE FUNCTION pg_catalog.%s(", func->name);
    write_args(func, &text);
    ox_text_adds(&text, ")\n RETURNS ");
    write_result(func, &text);
    ox_text_addf(&text, "\n LANGUAGE internal\n%s%s%s", func->kind == FUNC_WINDOW ? " WINDOW" : "",
        volatility[func->volatility], " PARALLEL SAFE");
    ox_text_addf(&text, "%s\nAS $function$%s$function$\n", func->strict ? " STRICT" : "",
        func->name);
    out->s = ox_text_str(&text);
    return OX_OK;
}

/* Only UTF8, number 6, is known. */
ox_code
cat_char_to_encoding(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    out->i = ox_str_ieq(args[0].s, OX_STR("utf8")) || ox_str_ieq(args[0].s, OX_STR("utf-8"))
                 ? 6
                 : -1;
    return OX_OK;
}
