/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL over the catalog: read-only SQLite connections on catalog.db for pool
 * threads, behind a wrapper so that nobody else includes sqlite3.h. The leaves of
 * pg_catalog, information_schema and oxbow.* (catalog/views.tbl) are SELECTs here,
 * over the catalog's tables and over tables that callbacks feed with live facts.
 *
 * A connection belongs to one thread at a time. Catalog tables are those of
 * catalog/schema/; a statement sees one state of them however the meta thread
 * writes meanwhile. */
#ifndef META_CATALOG_H
#define META_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct meta;
struct catalog_db;
struct catalog_stmt;

/* A read-only connection. The catalog's tables are in schema "catalog", and found by
 * bare name. */
ox_code catalog_db_open(struct meta *meta, struct catalog_db **out, struct ox_err *err);
void catalog_db_close(struct catalog_db *db); /* NULL is allowed */

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
void catalog_bind_null(struct catalog_stmt *stmt, int at);
void catalog_bind_int(struct catalog_stmt *stmt, int at, int64_t value);
void catalog_bind_double(struct catalog_stmt *stmt, int at, double value);
void catalog_bind_text(struct catalog_stmt *stmt, int at, struct str value); /* copied */
void catalog_bind_blob(struct catalog_stmt *stmt, int at, struct str value); /* copied */

/* *row is false at the end. Values of a row live until the next step. */
ox_code catalog_stmt_step(struct catalog_stmt *stmt, bool *row, struct ox_err *err);

/* Columns count from 0. */
int catalog_column_count(const struct catalog_stmt *stmt);
/* The declared type of the column it comes from ("text", "oid", ...), or NULL
 * for an expression; so that a result column can be given a PostgreSQL type. */
enum catalog_type catalog_column_type(struct catalog_stmt *stmt, int at);
int64_t catalog_column_int(struct catalog_stmt *stmt, int at);
double catalog_column_double(struct catalog_stmt *stmt, int at);
struct str catalog_column_text(struct catalog_stmt *stmt, int at); /* null for NULL */
struct str catalog_column_blob(struct catalog_stmt *stmt, int at);

/* ---- Tables fed by callbacks --------------------------------------------- */

struct catalog_call; /* a column that is asked for */

void catalog_result_null(struct catalog_call *call);
void catalog_result_int(struct catalog_call *call, int64_t value);
void catalog_result_double(struct catalog_call *call, double value);
void catalog_result_text(struct catalog_call *call, struct str value); /* copied */

/* A scan of a fed table; the feeder embeds it as first member of its own. */
struct catalog_scan {
    const struct catalog_feed *feed;
};

struct catalog_feed {
    const char *name;    /* of the table, in schema "temp" */
    const char *columns; /* "a text, b int8" */
    size_t scan_len; /* size of the feeder's scan struct */
    /* Start a scan. */
    ox_code (*open)(struct catalog_scan *scan, void *arg, struct ox_err *err);
    /* Go to the next row (the first, after open); *row false at the end. */
    ox_code (*next)(struct catalog_scan *scan, bool *row, struct ox_err *err);
    /* The current row's column. */
    void (*column)(struct catalog_scan *scan, int at, struct catalog_call *call);
    void (*close)(struct catalog_scan *scan); /* may be NULL */
    void *arg; /* of open */
};

/* feed and what it points to must outlive the connection. */
ox_code catalog_db_feed(struct catalog_db *db, const struct catalog_feed *feed,
    struct ox_err *err);

#endif
