/* SPDX-License-Identifier: Apache-2.0
 *
 * What the generated statement functions (queries.gen.c, from
 * catalog/queries.sql) stand on: one SQLite connection and its prepared
 * statements, compiled at first use. */
#ifndef META_QUERIES_H
#define META_QUERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct sqlite3;
struct sqlite3_stmt;

struct queries {
    struct sqlite3 *db;
    struct sqlite3_stmt **stmts; /* by enum query_id; NULL: not compiled yet */
};

void queries_init(struct queries *queries, struct sqlite3 *db);
void queries_fini(struct queries *queries); /* does not close the connection */

/* Turn what SQLite said into a failure: full, corrupt, I/O ... */
ox_code queries_fail(struct sqlite3 *db, int status, const char *what, struct ox_err *err);

ox_code queries_exec(struct sqlite3 *db, const char *sql, struct ox_err *err);

ox_code queries_start(struct queries *queries, int id, struct sqlite3_stmt **out,
    struct ox_err *err);
void queries_bind_int(struct sqlite3_stmt *stmt, int at, int64_t value);
void queries_bind_real(struct sqlite3_stmt *stmt, int at, double value);
void queries_bind_text(struct sqlite3_stmt *stmt, int at, struct str value);
void queries_bind_blob(struct sqlite3_stmt *stmt, int at, struct str value);
ox_code queries_run(struct queries *queries, int id, struct sqlite3_stmt *stmt,
    struct ox_err *err);
ox_code queries_next(struct queries *queries, int id, struct sqlite3_stmt *stmt, bool *more,
    struct ox_err *err);
int64_t queries_column_int(struct sqlite3_stmt *stmt, int at);
double queries_column_real(struct sqlite3_stmt *stmt, int at);
struct str queries_column_text(struct sqlite3_stmt *stmt, int at);
struct str queries_column_blob(struct sqlite3_stmt *stmt, int at);
void queries_finish(struct sqlite3_stmt *stmt);

#endif
