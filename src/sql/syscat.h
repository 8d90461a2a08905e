/* SPDX-License-Identifier: Apache-2.0
 *
 * The relations of pg_catalog, information_schema and oxbow. Each is a row of
 * catalog/views.tbl: a SELECT of SQLite over the catalog's tables and over
 * tables fed with live facts. They are leaves of ordinary plans, so that joins,
 * functions and casts over them are PostgreSQL's. */
#ifndef SQL_SYSCAT_H
#define SQL_SYSCAT_H

#include "engine/engine.h"
#include "exec/plan.h"
#include "meta/catalog.h"

struct syscat_relation {
    const char *schema, *name;
    const char *sql; /* a SELECT whose columns are these, in order */
    const struct plan_column *columns;
    uint32_t column_count;
    uint32_t oid, schema_oid;
};

extern const struct syscat_relation syscat_relations[];
extern const uint32_t syscat_relation_count;

/* NULL: there is none. */
const struct syscat_relation *syscat_find(struct str schema, struct str name);

/* A connection on which all of them can be read. Slow (it is kept by the caller);
 * on a pool thread. */
ox_code syscat_connect(struct engine *engine, struct catalog_db **out, struct ox_err *err);

/* What a name means as regclass, regtype, ...; on a loop (topics of this tick's view). */
bool syscat_name_to_oid(struct engine *engine, int kind, struct str name, uint32_t *oid);
bool syscat_oid_to_name(struct engine *engine, int kind, uint32_t oid, struct text *to);

/* A setting of sessions (settings.c); false: there are no more. */
struct setting_facts {
    const char *name, *fallback, *type, *doc;
    bool fixed;
};
bool settings_facts(uint32_t number, struct setting_facts *out);

#endif
