/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/queries.h"

#include <sqlite3.h>

#include "base/arena.h"
#include "base/check.h"
#include "meta/queries.gen.h"

void
queries_init(struct queries *queries, struct sqlite3 *db)
{
    queries->db = db;
    queries->stmts = ox_calloc(QUERY_COUNT, sizeof(*queries->stmts));
}

void
queries_fini(struct queries *queries)
{
    if (queries->stmts == NULL)
        return;
    for (int i = 0; i < QUERY_COUNT; i++)
        sqlite3_finalize(queries->stmts[i]);
    ox_free(queries->stmts);
    queries->stmts = NULL;
}

static ox_code
status_code(int status)
{
    switch (status & 0xff) {
    case SQLITE_FULL:
        return OX_DISK_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_CONSTRAINT: /* what is written was checked: the tables hold something else */
        return OX_DATA_CORRUPTED;
    case SQLITE_NOMEM:
        return OX_OUT_OF_MEMORY;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return OX_READ_ONLY_FILE_SYSTEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return OX_LOCK_HELD;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return OX_IO_ERROR;
    }
    return OX_UNKNOWN_SERVER_ERROR;
}

ox_code
queries_fail(struct sqlite3 *db, int status, const char *what, struct ox_err *err)
{
    ox_code code = ox_fail(err, status_code(status), "%s failed: %s", what,
        db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(status));
    if (db != NULL)
        ox_detail(err, "Database file \"%s\", SQLite code %d.",
            sqlite3_db_filename(db, "main") ? sqlite3_db_filename(db, "main") : "", status);
    return code;
}

ox_code
queries_exec(struct sqlite3 *db, const char *sql, struct ox_err *err)
{
    int status = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return status == SQLITE_OK ? OX_OK : queries_fail(db, status, sql, err);
}

ox_code
queries_start(struct queries *queries, int id, struct sqlite3_stmt **out, struct ox_err *err)
{
    if (queries->stmts[id] == NULL) {
        int status = sqlite3_prepare_v3(queries->db, query_texts[id], -1,
            SQLITE_PREPARE_PERSISTENT, &queries->stmts[id], NULL);
        if (status != SQLITE_OK)
            return queries_fail(queries->db, status, query_names[id], err);
    }
    *out = queries->stmts[id];
    return OX_OK;
}

void
queries_bind_int(struct sqlite3_stmt *stmt, int at, int64_t value)
{
    sqlite3_bind_int64(stmt, at, value);
}

void
queries_bind_real(struct sqlite3_stmt *stmt, int at, double value)
{
    sqlite3_bind_double(stmt, at, value);
}

/* Bound values are borrowed: they stay until the statement was run. */
void
queries_bind_text(struct sqlite3_stmt *stmt, int at, struct str value)
{
    if (value.ptr == NULL)
        sqlite3_bind_null(stmt, at);
    else
        sqlite3_bind_text64(stmt, at, value.ptr, value.len, SQLITE_STATIC, SQLITE_UTF8);
}

void
queries_bind_blob(struct sqlite3_stmt *stmt, int at, struct str value)
{
    if (value.ptr == NULL)
        sqlite3_bind_null(stmt, at);
    else if (value.len == 0)
        sqlite3_bind_zeroblob(stmt, at, 0);
    else
        sqlite3_bind_blob64(stmt, at, value.ptr, value.len, SQLITE_STATIC);
}

ox_code
queries_run(struct queries *queries, int id, struct sqlite3_stmt *stmt, struct ox_err *err)
{
    int status = sqlite3_step(stmt);
    ox_code code = OX_OK;
    if (status != SQLITE_DONE && status != SQLITE_ROW)
        code = queries_fail(queries->db, status, query_names[id], err);
    queries_finish(stmt);
    return code;
}

ox_code
queries_next(struct queries *queries, int id, struct sqlite3_stmt *stmt, bool *more,
    struct ox_err *err)
{
    int status = sqlite3_step(stmt);
    *more = status == SQLITE_ROW;
    if (status != SQLITE_ROW && status != SQLITE_DONE)
        return queries_fail(queries->db, status, query_names[id], err);
    return OX_OK;
}

int64_t
queries_column_int(struct sqlite3_stmt *stmt, int at)
{
    return sqlite3_column_int64(stmt, at);
}

double
queries_column_real(struct sqlite3_stmt *stmt, int at)
{
    return sqlite3_column_double(stmt, at);
}

struct str
queries_column_text(struct sqlite3_stmt *stmt, int at)
{
    const void *ptr = sqlite3_column_text(stmt, at);
    return ox_str_n(ptr, (size_t)sqlite3_column_bytes(stmt, at));
}

struct str
queries_column_blob(struct sqlite3_stmt *stmt, int at)
{
    const void *ptr = sqlite3_column_blob(stmt, at);
    size_t len = (size_t)sqlite3_column_bytes(stmt, at);
    if (ptr == NULL && sqlite3_column_type(stmt, at) != SQLITE_NULL)
        ptr = "";
    return ox_str_n(ptr, len);
}

void
queries_finish(struct sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}
