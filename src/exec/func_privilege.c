/* SPDX-License-Identifier: Apache-2.0
 *
 * has_*_privilege(). What is named must exist and privileges must be PostgreSQL's;
 * whether a user has one on a relation the session is asked (access rules are the
 * engine's). Everything else is everybody's. */
#include "exec/expr_int.h"

#include <ctype.h>
#include <stdio.h>

enum object { OBJECT_TABLE, OBJECT_COLUMN, OBJECT_SCHEMA, OBJECT_DATABASE, OBJECT_FUNCTION,
    OBJECT_TYPE, OBJECT_TABLESPACE, OBJECT_SETTING };

static const char *const privileges[] = {
    [OBJECT_TABLE] = "SELECT|INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES|TRIGGER",
    [OBJECT_COLUMN] = "SELECT|INSERT|UPDATE|REFERENCES",
    [OBJECT_SCHEMA] = "CREATE|USAGE",
    [OBJECT_DATABASE] = "CREATE|CONNECT|TEMPORARY|TEMP",
    [OBJECT_FUNCTION] = "EXECUTE",
    [OBJECT_TYPE] = "USAGE",
    [OBJECT_TABLESPACE] = "CREATE",
    [OBJECT_SETTING] = "SET|ALTER SYSTEM",
};

static struct str
trim(struct str text)
{
    while (text.len > 0 && text.ptr[0] == ' ')
        text = ox_str_n(text.ptr + 1, text.len - 1);
    while (text.len > 0 && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

static bool
is_one_of(const char *words, struct str word)
{
    for (const char *at = words; *at != '\0';) {
        size_t len = strcspn(at, "|");
        if (ox_str_ieq(word, ox_str_n(at, len)))
            return true;
        at += len + (at[len] == '|');
    }
    return false;
}

/* Cut off the list's first, upper case, without WITH GRANT OPTION. */
static ox_code
next_privilege(struct call *call, enum object object, struct str *list, char *out, size_t out_len)
{
    const struct str grant = OX_STR(" WITH GRANT OPTION");
    const char *comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
    struct str item = comma != NULL ? ox_str_n(list->ptr, (size_t)(comma - list->ptr)) : *list;
    *list = comma != NULL ? ox_str_n(comma + 1, list->len - item.len - 1) : OX_STR_NULL;
    struct str whole = item = trim(item);
    if (item.len > grant.len &&
        ox_str_ieq(ox_str_n(item.ptr + item.len - grant.len, grant.len), grant))
        item = trim(ox_str_n(item.ptr, item.len - grant.len));
    if (!is_one_of(privileges[object], item))
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "unrecognized privilege type: \"%.*s\"",
            OX_STR_ARG(whole));
    snprintf(out, out_len, "%.*s", OX_STR_ARG(item));
    for (char *c = out; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    return OX_OK;
}

static ox_code
check_list(struct call *call, enum object object, struct str list)
{
    char one[40];
    ox_code code = OX_OK;
    do
        code = next_privilege(call, object, &list, one, sizeof(one));
    while (code == OX_OK && list.ptr != NULL);
    return code;
}

/* ---- relations ---- */

static const struct row_names *
names_of(struct call *call)
{
    const struct row_format *format = call->eval->config->format;
    return format != NULL ? format->names : NULL;
}

/* *oid 0: a number that no relation has. */
static ox_code
find_relation(struct call *call, const struct datum *arg, struct type type, uint32_t *oid)
{
    const struct row_names *names = names_of(call);
    *oid = 0;
    if (names == NULL)
        return OX_OK;
    if (type_phys(type) == PHYS_I64) {
        if (names->to_schema == NULL ||
            names->to_schema(names->self, (uint32_t)arg->i).ptr != NULL)
            *oid = (uint32_t)arg->i;
        return OX_OK;
    }
    if (!names->to_oid(names->self, TYPE_REGCLASS, arg->s, oid))
        return call_fail(call, OX_UNDEFINED_TABLE, "relation \"%.*s\" does not exist",
            OX_STR_ARG(arg->s));
    return OX_OK;
}

/* One of the list suffices. user NULL: the session's. */
static ox_code
ask(struct call *call, const struct datum *user, uint32_t oid, enum object object,
    struct str list, struct datum *out)
{
    const struct session_info *info = call->eval->config->session;
    char one[40];
    out->b = 0;
    do {
        ox_code code = next_privilege(call, object, &list, one, sizeof(one));
        if (code != OX_OK)
            return code;
        out->b |= info == NULL || info->may == NULL ||
                  info->may(info->self, user != NULL ? user->s : OX_STR_NULL, oid, one);
    } while (list.ptr != NULL);
    out->null = oid == 0;
    return OX_OK;
}

/* [user,] relation, privileges */
static ox_code
on_relation(struct call *call, const struct datum *args, enum object object, struct datum *out)
{
    uint32_t at = call->nargs == 3 ? 1 : 0, oid;
    ox_code code = find_relation(call, &args[at], call->types[at], &oid);
    return code != OX_OK ? code
                         : ask(call, at > 0 ? &args[0] : NULL, oid, object, args[at + 1].s, out);
}

ox_code
priv_table(struct call *call, const struct datum *args, struct datum *out)
{
    return on_relation(call, args, OBJECT_TABLE, out);
}

ox_code
priv_any_column(struct call *call, const struct datum *args, struct datum *out)
{
    return on_relation(call, args, OBJECT_COLUMN, out);
}

/* relation, column, privileges: a column has what its relation has. */
ox_code
priv_column(struct call *call, const struct datum *args, struct datum *out)
{
    uint32_t oid;
    ox_code code = find_relation(call, &args[0], call->types[0], &oid);
    return code != OX_OK ? code : ask(call, NULL, oid, OBJECT_COLUMN, args[2].s, out);
}

/* There are none. */
ox_code
priv_sequence(struct call *call, const struct datum *args, struct datum *out)
{
    uint32_t at = call->nargs == 3 ? 1 : 0, oid;
    ox_code code = find_relation(call, &args[at], call->types[at], &oid);
    if (code == OX_OK && oid != 0)
        code = call_fail(call, OX_WRONG_OBJECT_TYPE, "what is named is not a sequence");
    out->null = true;
    return code;
}

/* ---- what is everybody's ---- */

static ox_code
on_name(struct call *call, const struct datum *args, enum object object, int kind,
    const char *what, ox_code missing, struct datum *out)
{
    const struct row_names *names = names_of(call);
    uint32_t at = call->nargs == 3 ? 1 : 0, oid;
    if (kind != 0 && names != NULL && type_phys(call->types[at]) == PHYS_STR &&
        !names->to_oid(names->self, kind, args[at].s, &oid))
        return call_fail(call, missing, "%s \"%.*s\" does not exist", what, OX_STR_ARG(args[at].s));
    out->b = 1;
    return check_list(call, object, args[at + 1].s);
}

ox_code
priv_schema(struct call *call, const struct datum *args, struct datum *out)
{
    return on_name(call, args, OBJECT_SCHEMA, TYPE_REGNAMESPACE, "schema",
        OX_UNDEFINED_SCHEMA, out);
}

ox_code
priv_type(struct call *call, const struct datum *args, struct datum *out)
{
    return on_name(call, args, OBJECT_TYPE, TYPE_REGTYPE, "type", OX_UNDEFINED_OBJECT, out);
}

ox_code
priv_database(struct call *call, const struct datum *args, struct datum *out)
{
    const struct session_info *info = call->eval->config->session;
    uint32_t at = call->nargs == 3 ? 1 : 0;
    if (type_phys(call->types[at]) == PHYS_STR && info != NULL && info->database != NULL &&
        !ox_str_is(args[at].s, info->database))
        return call_fail(call, OX_UNDEFINED_DATABASE, "database \"%.*s\" does not exist",
            OX_STR_ARG(args[at].s));
    return on_name(call, args, OBJECT_DATABASE, 0, NULL, OX_OK, out);
}

ox_code
priv_function(struct call *call, const struct datum *args, struct datum *out)
{
    return on_name(call, args, OBJECT_FUNCTION, 0, NULL, OX_OK, out);
}

ox_code
priv_language(struct call *call, const struct datum *args, struct datum *out)
{
    return on_name(call, args, OBJECT_TYPE, 0, NULL, OX_OK, out);
}

ox_code
priv_tablespace(struct call *call, const struct datum *args, struct datum *out)
{
    return on_name(call, args, OBJECT_TABLESPACE, 0, NULL, OX_OK, out);
}

ox_code
priv_setting(struct call *call, const struct datum *args, struct datum *out)
{
    return on_name(call, args, OBJECT_SETTING, 0, NULL, OX_OK, out);
}
