/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions that tools ask the catalog with: what psql's backslash commands, JDBC
 * and others call beside pg_catalog's relations. What does not exist here
 * (indexes, triggers, rules, ...) has no definition: NULL. Every relation is
 * visible, and today everybody may do everything. */
#include "exec/expr.h"
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
