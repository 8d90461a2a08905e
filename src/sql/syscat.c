/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of catalog relations, and names as oids. The rows come from SQLite, see
 * syscat_feeds.c. */
#include "sql/syscat.h"

#include <stdio.h>

#include "exec/expr.h"
#include "row/row.h"

enum { ARRAY_IN = 750 }; /* as PostgreSQL numbers it */

const struct syscat_relation *
syscat_find(struct str schema, struct str name)
{
    for (uint32_t i = 0; i < syscat_relation_count; i++)
        if (ox_str_is(name, syscat_relations[i].name) &&
            ox_str_is(schema, syscat_relations[i].schema))
            return &syscat_relations[i];
    return NULL;
}

static const struct {
    const char *name;
    uint32_t oid;
} namespaces[] = {{"pg_catalog", 11}, {"public", 2200}, {"information_schema", 12000},
    {"oxbow", 12001}, {"oxbow_internal", 12002}};

/* schema.name or name; quotes around parts are taken off. */
static void
split_name(struct str name, struct str *schema, struct str *last)
{
    const char *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;
    *schema = OX_STR_NULL;
    *last = name;
    if (dot != NULL) {
        size_t len = (size_t)(dot - name.ptr);
        *schema = ox_str_n(name.ptr, len);
        *last = ox_str_n(dot + 1, name.len - len - 1);
    }
    struct str *parts[2] = {schema, last};
    for (int i = 0; i < 2; i++)
        if (parts[i]->len >= 2 && parts[i]->ptr[0] == '"' &&
            parts[i]->ptr[parts[i]->len - 1] == '"')
            *parts[i] = ox_str_n(parts[i]->ptr + 1, parts[i]->len - 2);
}

static bool
relation_oid(struct engine *engine, struct str name, uint32_t *oid)
{
    struct str schema, last;
    split_name(name, &schema, &last);
    const struct meta_view *view = engine_view(engine);
    const struct meta_topic *topic = meta_view_topic(view, name);
    if (topic == NULL && (schema.ptr == NULL || ox_str_is(schema, "public")))
        topic = meta_view_topic(view, last);
    const struct syscat_relation *relation =
        syscat_find(schema.ptr != NULL ? schema : OX_STR("pg_catalog"), last);
    if (relation != NULL)
        *oid = relation->oid;
    else if (topic != NULL)
        *oid = topic->oid;
    return relation != NULL || topic != NULL;
}

/* array_in is no function here, but tools ask pg_type.typinput for it. */
static bool
function_oid(struct str name, uint32_t *oid)
{
    uint32_t count = 0;
    const struct func *func = func_find(name, &count);
    *oid = func != NULL ? func->oid : ARRAY_IN;
    return func != NULL ? count == 1 : ox_str_is(name, "array_in");
}

static bool
function_name(uint32_t oid, struct text *to)
{
    const char *name = oid == ARRAY_IN ? "array_in" : NULL;
    for (uint32_t i = 0; i < func_count && name == NULL; i++)
        if (func_table[i].oid == oid)
            name = func_table[i].name;
    if (name != NULL)
        ox_text_adds(to, name);
    return name != NULL;
}

/* PostgreSQL's types of no value, which tools name to leave functions out. */
static const struct {
    const char *name;
    uint32_t oid;
} pseudo_types[] = {{"trigger", 2279}, {"event_trigger", 3838}, {"language_handler", 2280},
    {"internal", 2281}, {"cstring", 2275}, {"any", 2276}, {"anyarray", 2277}, {"anyelement", 2283},
    {"anycompatible", 5077}, {"anycompatiblearray", 5078}, {"fdw_handler", 3115},
    {"index_am_handler", 325}, {"table_am_handler", 269}, {"tsm_handler", 3310}};

static bool
pseudo_type_oid(struct str name, uint32_t *oid)
{
    for (size_t i = 0; i < sizeof(pseudo_types) / sizeof(pseudo_types[0]); i++)
        if (ox_str_is(name, pseudo_types[i].name)) {
            *oid = pseudo_types[i].oid;
            return true;
        }
    return false;
}

static bool
pseudo_type_name(uint32_t oid, struct text *to)
{
    for (size_t i = 0; i < sizeof(pseudo_types) / sizeof(pseudo_types[0]); i++)
        if (pseudo_types[i].oid == oid) {
            ox_text_adds(to, pseudo_types[i].name);
            return true;
        }
    return false;
}

bool
syscat_name_to_oid(struct engine *engine, int kind, struct str name, uint32_t *oid)
{
    struct str schema, last;
    struct type type;
    switch (kind) {
    case TYPE_REGCLASS: return relation_oid(engine, name, oid);
    case TYPE_REGTYPE:
        split_name(name, &schema, &last);
        if (!type_from_name(last, &type))
            return pseudo_type_oid(last, oid);
        *oid = type_oid(type);
        return true;
    case TYPE_REGNAMESPACE:
        for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
            if (ox_str_is(name, namespaces[i].name)) {
                *oid = namespaces[i].oid;
                return true;
            }
        return false;
    case TYPE_REGPROC: split_name(name, &schema, &last); return function_oid(last, oid);
    case TYPE_REGROLE: *oid = 10; return ox_str_is(name, "oxbow");
    default: return false;
    }
}

static bool
relation_name(struct engine *engine, uint32_t oid, struct text *to)
{
    for (uint32_t i = 0; i < syscat_relation_count; i++)
        if (syscat_relations[i].oid == oid) {
            if (syscat_relations[i].schema_oid != 11)
                ox_text_addf(to, "%s.", syscat_relations[i].schema);
            ox_text_adds(to, syscat_relations[i].name);
            return true;
        }
    const struct meta_view *view = engine_view(engine);
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        if (topic->oid != oid)
            continue;
        bool plain = true;
        for (size_t j = 0; j < topic->name.len; j++)
            plain &= topic->name.ptr[j] == '_' || (topic->name.ptr[j] >= 'a' &&
                                                      topic->name.ptr[j] <= 'z') ||
                     (j > 0 && topic->name.ptr[j] >= '0' && topic->name.ptr[j] <= '9');
        ox_text_addf(to, plain ? "%s" : "\"%s\"", topic->name.ptr);
        return true;
    }
    return false;
}

bool
syscat_oid_to_name(struct engine *engine, int kind, uint32_t oid, struct text *to)
{
    struct type type;
    switch (kind) {
    case TYPE_REGCLASS: return relation_name(engine, oid, to);
    case TYPE_REGTYPE:
        if (!type_from_oid(oid, &type))
            return pseudo_type_name(oid, to);
        type_format(type, to);
        return true;
    case TYPE_REGNAMESPACE:
        for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
            if (namespaces[i].oid == oid) {
                ox_text_adds(to, namespaces[i].name);
                return true;
            }
        return false;
    case TYPE_REGPROC: return function_name(oid, to);
    case TYPE_REGROLE:
        if (oid == 10)
            ox_text_adds(to, "oxbow");
        return oid == 10;
    default: return false;
    }
}
