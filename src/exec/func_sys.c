/* SPDX-License-Identifier: Apache-2.0
 *
 * What a session may ask about itself and the server. The answers come from
 * struct session_info; without one they are those of a server at rest. */
#include "exec/expr_int.h"

#include <stdio.h>
#include <stdlib.h>

static const struct session_info *
session(const struct call *call)
{
    static const struct session_info none;
    const struct session_info *info = call->eval->config->session;
    return info != NULL ? info : &none;
}

static ox_code
give(struct call *call, const char *text, struct datum *out)
{
    out->null = text == NULL;
    if (text != NULL)
        out->s = ox_str(ox_arena_strdup(call->arena, text));
    return OX_OK;
}

ox_code
sys_version(struct call *call, const struct datum *args, struct datum *out)
{
    return give(
        call, session(call)->version != NULL ? session(call)->version : PACKAGE_STRING, out);
}

ox_code
sys_current_user(struct call *call, const struct datum *args, struct datum *out)
{
    return give(call, session(call)->user, out);
}

ox_code
sys_session_user(struct call *call, const struct datum *args, struct datum *out)
{
    return give(call, session(call)->session_user, out);
}

ox_code
sys_database(struct call *call, const struct datum *args, struct datum *out)
{
    return give(call, session(call)->database, out);
}

ox_code
sys_current_schema(struct call *call, const struct datum *args, struct datum *out)
{
    const char *const *path = session(call)->search_path;
    return give(call, path != NULL ? path[0] : NULL, out);
}

ox_code
sys_current_schemas(struct call *call, const struct datum *args, struct datum *out)
{
    const char *const *path = session(call)->search_path;
    struct datum items[64];
    uint32_t n = 0;
    if (args[0].b)
        items[n++] = datum_str(OX_STR("pg_catalog"));
    for (; path != NULL && *path != NULL && n < ox_count(items); path++)
        items[n++] = datum_str(ox_str(*path));
    out->s = array_make(TYPE(TYPE_NAME), items, n, call->arena);
    return OX_OK;
}

ox_code
sys_backend_pid(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = session(call)->backend_pid;
    return OX_OK;
}

static ox_code
cancel_session(struct call *call, const struct datum *args, bool end, struct datum *out)
{
    const struct session_info *info = session(call);
    out->b = info->session_cancel != NULL &&
             info->session_cancel(info->self, (int32_t)args[0].i, end);
    return OX_OK;
}

ox_code
sys_cancel_backend(struct call *call, const struct datum *args, struct datum *out)
{
    return cancel_session(call, args, false, out);
}

ox_code
sys_terminate_backend(struct call *call, const struct datum *args, struct datum *out)
{
    return cancel_session(call, args, true, out);
}

ox_code
sys_client_port(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = session(call)->client_port;
    out->null = session(call)->client_address == NULL;
    return OX_OK;
}

ox_code
sys_client_addr(struct call *call, const struct datum *args, struct datum *out)
{
    return give(call, session(call)->client_address, out);
}

ox_code
sys_started(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = session(call)->server_started_us;
    return OX_OK;
}

ox_code
sys_current_setting(struct call *call, const struct datum *args, struct datum *out)
{
    const struct session_info *info = session(call);
    const char *name = ox_arena_strndup(call->arena, args[0].s.ptr, args[0].s.len);
    const char *value = info->setting_get != NULL ? info->setting_get(info->self, name) : NULL;
    if (value == NULL && !(call->nargs > 1 && args[1].b))
        return call_fail(
            call, OX_UNDEFINED_OBJECT, "unrecognized configuration parameter \"%s\"", name);
    return give(call, value, out);
}

ox_code
sys_set_config(struct call *call, const struct datum *args, struct datum *out)
{
    const struct session_info *info = session(call);
    if (args[0].null)
        return call_fail(call, OX_NULL_VALUE_NOT_ALLOWED, "SET requires parameter name");
    if (info->setting_set == NULL)
        return call_fail(call, OX_FEATURE_NOT_SUPPORTED, "settings cannot be changed here");
    const char *name = ox_arena_strndup(call->arena, args[0].s.ptr, args[0].s.len);
    const char *value =
        args[1].null ? NULL : ox_arena_strndup(call->arena, args[1].s.ptr, args[1].s.len);
    ox_code code =
        info->setting_set(info->self, name, value, !args[2].null && args[2].b, call->err);
    if (code != OX_OK)
        return code;
    const char *now = info->setting_get != NULL ? info->setting_get(info->self, name) : value;
    return give(call, now != NULL ? now : value, out);
}

/* Behind pg_cursors and other relations that are the session's own. */
ox_code
sys_session_facts(struct call *call, const struct datum *args, struct datum *out)
{
    const struct session_info *info = session(call);
    struct text text;
    ox_text_init(&text, call->arena);
    if (info->facts != NULL)
        info->facts(info->self, args[0].s, &text);
    else
        ox_text_adds(&text, "[]");
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
sys_typeof(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = type_oid(call->types[0]);
    return OX_OK;
}

ox_code
sys_format_type(struct call *call, const struct datum *args, struct datum *out)
{
    struct type type;
    struct text text;
    out->null = args[0].null;
    if (args[0].null)
        return OX_OK;
    if (!type_from_oid((uint32_t)args[0].i, &type)) {
        out->s = args[0].i == 0 ? OX_STR("-") : OX_STR("???");
        return OX_OK;
    }
    if (!args[1].null)
        type.typmod = (int32_t)args[1].i;
    ox_text_init(&text, call->arena);
    type_format(type, &text);
    out->s = ox_text_str(&text);
    if (type.id == TYPE_BPCHAR && args[1].null && !type.array)
        out->s = OX_STR("character");
    return OX_OK;
}

ox_code
sys_to_reg(struct call *call, const struct datum *args, struct datum *out)
{
    out->null =
        type_in_text(call->type, args[0].s, call_format(call), call->arena, out, NULL) != OX_OK;
    return OX_OK;
}

ox_code
sys_false(struct call *call, const struct datum *args, struct datum *out)
{
    return OX_OK;
}

ox_code
sys_void(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = OX_STR("");
    return OX_OK;
}

ox_code
sys_encoding(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = OX_STR("UTF8");
    return OX_OK;
}

ox_code
sys_encoding_name(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = args[0].i == 6 ? OX_STR("UTF8") : args[0].i == 0 ? OX_STR("SQL_ASCII") : OX_STR("");
    return OX_OK;
}

static ox_code
pretty(struct call *call, int64_t size, struct datum *out)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    char *to = call_alloc(call, 40);
    uint64_t a = size < 0 ? -(uint64_t)size : (uint64_t)size, half = 0;
    int unit = 0;
    /* from 10 kB on: one bit is kept for rounding */
    if (a >= 10240) {
        a >>= 9;
        for (unit = 1; unit < 5 && a >= 20480 - 1; unit++)
            a >>= 10;
        half = (a + 1) / 2;
    }
    uint64_t shown = unit == 0 ? a : half;
    out->s = ox_str_n(to, (size_t)snprintf(to, 40, "%s%llu %s", size < 0 ? "-" : "",
                              (unsigned long long)shown, units[unit]));
    return OX_OK;
}

ox_code
sys_size_pretty(struct call *call, const struct datum *args, struct datum *out)
{
    return pretty(call, args[0].i, out);
}

ox_code
sys_size_pretty_num(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t size;
    ox_code code = numeric_to_i64(args[0].s, &size, call->err);
    return code != OX_OK ? code : pretty(call, size, out);
}

/* "12 MB" */
ox_code
sys_size_bytes(struct call *call, const struct datum *args, struct datum *out)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    const char *text = ox_arena_strndup(call->arena, args[0].s.ptr, args[0].s.len);
    char *unit;
    double size = strtod(text, &unit);
    bool bad = unit == text || size != size;
    unit += strspn(unit, " ");
    size_t len = strcspn(unit, " ");
    bool found = len == 0;
    for (size_t i = 0; i < ox_count(units) && !found; i++) {
        found = ox_str_ieq(ox_str_n(unit, len), ox_str(units[i])) ||
                (i == 0 && ox_str_ieq(ox_str_n(unit, len), OX_STR("B")));
        size *= found || i == 0 ? (double)(INT64_C(1) << (10 * (int)i)) : 1;
    }
    if (bad || !found || unit[len + strspn(unit + len, " ")] != '\0') {
        ox_code code = call_fail(call, OX_INVALID_PARAMETER_VALUE, "invalid size: \"%s\"", text);
        if (!bad && !found) {
            ox_detail(call->err, "Invalid size unit: \"%.*s\".", (int)len, unit);
            ox_hint(call->err, "Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", "
                               "and \"PB\".");
        }
        return code;
    }
    if (!(size < 9.2e18 && size > -9.2e18))
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
    out->i = (int64_t)(size < 0 ? size - 0.5 : size + 0.5);
    return OX_OK;
}

ox_code
sys_column_size(struct call *call, const struct datum *args, struct datum *out)
{
    int16_t len = type_len(call->types[0]);
    out->i = len > 0 ? len
             : type_phys(call->types[0]) == PHYS_STR
                 ? (int64_t)args[0].s.len + (args[0].s.len < 127 ? 1 : 4)
                 : 8;
    return OX_OK;
}

static ox_code
count_nulls(struct call *call, const struct datum *args, bool want, struct datum *out)
{
    const struct datum *items;
    const struct type *types;
    uint32_t count;
    call_items(call, args, 0, &items, &types, &count);
    for (uint32_t i = 0; i < count; i++)
        out->i += items[i].null == want;
    return OX_OK;
}

ox_code
sys_num_nulls(struct call *call, const struct datum *args, struct datum *out)
{
    return count_nulls(call, args, true, out);
}

ox_code
sys_num_nonnulls(struct call *call, const struct datum *args, struct datum *out)
{
    return count_nulls(call, args, false, out);
}

ox_code
sys_random_uuid(struct call *call, const struct datum *args, struct datum *out)
{
    const struct env *env = call->eval->config->env;
    uint8_t *to = call_alloc(call, 16);
    env_random(env != NULL ? env : env_os(), to, 16);
    to[6] = (uint8_t)((to[6] & 0x0F) | 0x40);
    to[8] = (uint8_t)((to[8] & 0x3F) | 0x80);
    out->s = ox_str_n(to, 16);
    return OX_OK;
}
