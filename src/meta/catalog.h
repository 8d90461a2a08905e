/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL over the catalog: read-only SQLite connections on catalog.db for pool
 * threads, behind a wrapper so that nobody else includes sqlite3.h.
 *
 * sql/syscat.c builds pg_catalog, information_schema and oxbow.* on it: it
 * creates views and tables in the connection's own memory schema, registers
 * functions under PostgreSQL's names, collations, and virtual tables fed by
 * callbacks for live facts (lag, connections, segments).
 *
 * A connection belongs to one thread at a time. Catalog tables are those of
 * catalog/schema/; a read transaction (begin .. end) sees one state of them
 * however the meta thread writes meanwhile. */
#ifndef META_CATALOG_H
#define META_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct meta;
struct catalog_db;
struct catalog_stmt;

/* A read-only connection. The catalog's tables are in schema "catalog" (and found
 * by bare name). CREATE without a schema goes to "main", which is private memory;
 * "temp" and what is attached below are, too. SQLite lets only TEMP views read
 * tables of other schemas: views over the catalog are TEMP views. */
ox_code catalog_db_open(struct meta *meta, struct catalog_db **out, struct ox_err *err);
void catalog_db_close(struct catalog_db *db); /* NULL is allowed */

/* Add an empty in-memory schema: "pg_catalog", "information_schema", "oxbow". */
ox_code catalog_db_attach_memory(struct catalog_db *db, const char *schema, struct ox_err *err);

/* Run statements that give no rows (DDL on the memory schemas). */
ox_code catalog_db_exec(struct catalog_db *db, const char *sql, struct ox_err *err);

/* A frozen picture of the catalog between begin and end. */
ox_code catalog_db_begin(struct catalog_db *db, struct ox_err *err);
void catalog_db_end(struct catalog_db *db);

/* Stop the running statement from another thread; it fails with OX_CANCELED. */
void catalog_db_interrupt(struct catalog_db *db);
/* Statements fail with OX_CANCELED once *flag is true; NULL removes it. Looked
 * at every few thousand steps. */
void catalog_db_cancel_flag(struct catalog_db *db, const volatile bool *flag);

/* ---- Statements ---------------------------------------------------------- */

/* Compile the first statement of sql; *rest (may be NULL) is what follows it.
 * *out is NULL for an empty statement.
 * Fails:  OX_SYNTAX_ERROR, OX_UNDEFINED_TABLE, OX_UNDEFINED_COLUMN,
 *         OX_UNDEFINED_FUNCTION, with SQLite's message, and OX_INSUFFICIENT_PRIVILEGE
 *         for what would write the catalog, attach files or load code */
ox_code catalog_stmt_prepare(struct catalog_db *db, struct str sql, struct catalog_stmt **out,
    struct str *rest, struct ox_err *err);
void catalog_stmt_close(struct catalog_stmt *stmt); /* NULL is allowed */

enum catalog_type { CATALOG_NULL, CATALOG_INT, CATALOG_DOUBLE, CATALOG_TEXT, CATALOG_BLOB };

/* Parameters count from 1; ?NNN and $NNN name them. */
int catalog_stmt_param_count(const struct catalog_stmt *stmt);
void catalog_bind_null(struct catalog_stmt *stmt, int at);
void catalog_bind_int(struct catalog_stmt *stmt, int at, int64_t value);
void catalog_bind_double(struct catalog_stmt *stmt, int at, double value);
void catalog_bind_text(struct catalog_stmt *stmt, int at, struct str value); /* copied */
void catalog_bind_blob(struct catalog_stmt *stmt, int at, struct str value); /* copied */

/* *row is false at the end. Values of a row live until the next step. */
ox_code catalog_stmt_step(struct catalog_stmt *stmt, bool *row, struct ox_err *err);
void catalog_stmt_reset(struct catalog_stmt *stmt); /* for the next run; keeps bindings */

/* Columns count from 0. */
int catalog_column_count(const struct catalog_stmt *stmt);
const char *catalog_column_name(struct catalog_stmt *stmt, int at);
/* The declared type of the column it comes from ("text", "oid", ...), or NULL
 * for an expression; so that a result column can be given a PostgreSQL type. */
const char *catalog_column_decltype(struct catalog_stmt *stmt, int at);
enum catalog_type catalog_column_type(struct catalog_stmt *stmt, int at);
int64_t catalog_column_int(struct catalog_stmt *stmt, int at);
double catalog_column_double(struct catalog_stmt *stmt, int at);
struct str catalog_column_text(struct catalog_stmt *stmt, int at); /* null for NULL */
struct str catalog_column_blob(struct catalog_stmt *stmt, int at);

/* ---- Functions ----------------------------------------------------------- */

struct catalog_call; /* one call of a registered function */
struct catalog_value; /* an argument */

enum catalog_type catalog_value_type(const struct catalog_value *value);
int64_t catalog_value_int(const struct catalog_value *value);
double catalog_value_double(const struct catalog_value *value);
struct str catalog_value_text(const struct catalog_value *value); /* null for NULL */
struct str catalog_value_blob(const struct catalog_value *value);

void catalog_result_null(struct catalog_call *call);
void catalog_result_int(struct catalog_call *call, int64_t value);
void catalog_result_double(struct catalog_call *call, double value);
void catalog_result_text(struct catalog_call *call, struct str value); /* copied */
void catalog_result_blob(struct catalog_call *call, struct str value); /* copied */
void catalog_result_value(struct catalog_call *call, const struct catalog_value *value);
/* The statement fails with this failure, code included. */
void catalog_result_error(struct catalog_call *call, const struct ox_err *err);
/* The arg of registration; aggregates: zeroed state of this group. */
void *catalog_call_arg(struct catalog_call *call);
void *catalog_call_state(struct catalog_call *call, size_t len);

typedef void (*catalog_function_fn)(struct catalog_call *call, int argc,
    const struct catalog_value *const *argv);

enum catalog_function_flags {
    CATALOG_FN_VOLATILE = 0,
    CATALOG_FN_IMMUTABLE = 1, /* same arguments, same answer: may be folded */
};

/* argc -1: any number. Registering again replaces. */
ox_code catalog_db_function(struct catalog_db *db, const char *name, int argc, int flags,
    catalog_function_fn fn, void *arg, struct ox_err *err);
/* final is called with argc 0; state from catalog_call_state. */
ox_code catalog_db_aggregate(struct catalog_db *db, const char *name, int argc,
    catalog_function_fn step, catalog_function_fn final, void *arg, struct ox_err *err);
ox_code catalog_db_collation(struct catalog_db *db, const char *name,
    int (*compare)(void *arg, struct str a, struct str b), void *arg, struct ox_err *err);

/* ---- Tables fed by callbacks --------------------------------------------- */

/* A scan of a fed table; the feeder embeds it as first member of its own. */
struct catalog_scan {
    const struct catalog_feed *feed;
    int argc; /* arg_count of the feed */
    const struct catalog_value *const *argv; /* in open only; an element is NULL
                                                when it was not given */
};

struct catalog_feed {
    const char *name;    /* of the table */
    const char *schema;  /* where it appears: "main", "temp", or an attached one */
    /* "a text, b int8, c text hidden": declared types come back from
     * catalog_column_decltype. The last arg_count columns, declared hidden, are
     * arguments: of a table function, FROM name(1, 'x'), or WHERE c = 'x'. */
    const char *columns;
    size_t scan_len; /* size of the feeder's scan struct */
    /* Start a scan; required arguments that are missing may be refused. */
    ox_code (*open)(struct catalog_scan *scan, void *arg, struct ox_err *err);
    /* Go to the next row (the first, after open); *row false at the end. */
    ox_code (*next)(struct catalog_scan *scan, bool *row, struct ox_err *err);
    /* The current row's column. */
    void (*column)(struct catalog_scan *scan, int at, struct catalog_call *call);
    void (*close)(struct catalog_scan *scan); /* may be NULL */
    int arg_count;
    void *arg;
};

/* feed and what it points to must outlive the connection. */
ox_code catalog_db_feed(struct catalog_db *db, const struct catalog_feed *feed,
    struct ox_err *err);

#endif
