/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-only SQL over the catalog, for pool threads.
 *
 * A connection's "main" is a private memory database; catalog.db is attached
 * read-only as "catalog", and its tables are found by bare name as well, since
 * SQLite looks through all attached schemas. An authorizer keeps statements from
 * writing the catalog, attaching files and loading code; tables with live facts
 * are fed by callbacks.
 *
 * Failures raised by feeds travel through SQLite as text; the connection keeps
 * the whole struct ox_err aside and gives it back when the statement fails. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta/catalog.h"
#include "meta/meta_int.h"
#include "meta/queries.h"
#include "meta/sqlite.h"
#include "meta/vfs.h"

enum { PROGRESS_STEPS = 4000 };

struct catalog_db {
    struct sqlite3 *db;
    bool internal; /* our own ATTACH, DDL: no authorizer */
    const volatile bool *cancel;
    bool raised; /* a feed's failure, in err */
    struct ox_err err;
};

struct catalog_stmt {
    struct catalog_db *db;
    struct sqlite3_stmt *stmt;
};

/* ---- Failures ------------------------------------------------------------ */

/* SQLite's own complaints, by how their text begins. */
static ox_code
message_code(const char *text)
{
    static const struct {
        const char *begin;
        ox_code code;
    } begins[] = {
        {"no such table", OX_UNDEFINED_TABLE},
        {"no such view", OX_UNDEFINED_TABLE},
        {"no such column", OX_UNDEFINED_COLUMN},
        {"no such function", OX_UNDEFINED_FUNCTION},
        {"no such collation", OX_UNDEFINED_OBJECT},
        {"ambiguous column", OX_AMBIGUOUS_COLUMN},
        {"unknown database", OX_UNDEFINED_SCHEMA},
        {"wrong number of arguments", OX_UNDEFINED_FUNCTION},
        {"too many columns", OX_PROGRAM_LIMIT_EXCEEDED},
        {"Expression tree is too large", OX_STATEMENT_TOO_COMPLEX},
        {"parser stack overflow", OX_STATEMENT_TOO_COMPLEX},
        {"not authorized", OX_INSUFFICIENT_PRIVILEGE},
        {"access to", OX_INSUFFICIENT_PRIVILEGE},
        {"attempt to write a readonly", OX_READ_ONLY_TRANSACTION},
        {"integer overflow", OX_NUMERIC_VALUE_OUT_OF_RANGE},
        {"malformed JSON", OX_INVALID_JSON_TEXT},
    };
    for (size_t i = 0; i < ox_count(begins); i++)
        if (strncmp(text, begins[i].begin, strlen(begins[i].begin)) == 0)
            return begins[i].code;
    return OX_SYNTAX_ERROR;
}

static ox_code
db_fail(struct catalog_db *db, int status, struct ox_err *err)
{
    const char *text = sqlite3_errmsg(db->db);
    if (db->raised) {
        db->raised = false;
        if (err != NULL)
            *err = db->err;
        return db->err.code;
    }
    switch (status & 0xff) {
    case SQLITE_INTERRUPT:
        return ox_fail_plain(err, OX_CANCELED);
    case SQLITE_AUTH:
        return ox_fail(err, OX_INSUFFICIENT_PRIVILEGE, "%s", text);
    case SQLITE_ERROR:
        return ox_fail(err, message_code(text), "%s", text);
    case SQLITE_TOOBIG:
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED, "%s", text);
    }
    return queries_fail(db->db, status, "catalog query", err);
}

/* ---- Open ---------------------------------------------------------------- */

static int
authorize(void *arg, int action, const char *a, const char *b, const char *schema,
    const char *inner)
{
    struct catalog_db *db = arg;
    if (db->internal)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b != NULL && strcmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
    case SQLITE_PRAGMA:
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return SQLITE_DENY;
    }
    /* Table functions (json_each) declare themselves in private memory. */
    return schema == NULL || strcmp(schema, "temp") == 0 || strcmp(schema, "main") == 0
               ? SQLITE_OK
               : SQLITE_DENY;
}

static int
progress(void *arg)
{
    struct catalog_db *db = arg;
    return db->cancel != NULL && *db->cancel;
}

/* Runs sql, which sqlite3_mprintf() made, and frees it. */
static ox_code
exec_internal(struct catalog_db *db, char *sql, struct ox_err *err)
{
    db->internal = true;
    int status = sqlite3_exec(db->db, sql, NULL, NULL, NULL);
    db->internal = false;
    sqlite3_free(sql);
    return status == SQLITE_OK ? OX_OK : db_fail(db, status, err);
}

/* A path as a file: URI. */
static void
file_uri(const char *path, const char *vfs, struct text *out)
{
    ox_text_adds(out, "file:");
    for (; *path != 0; path++) {
        if (strchr("%?#", *path) != NULL)
            ox_text_addf(out, "%%%02x", (unsigned char)*path);
        else
            ox_text_addc(out, *path);
    }
    ox_text_addf(out, "?mode=ro&vfs=%s", vfs);
}

static void
limit(struct sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 256 << 20);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 32 << 20);
    sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
}

ox_code
catalog_db_open(struct meta *meta, struct catalog_db **out, struct ox_err *err)
{
    struct catalog_db *db = ox_calloc(1, sizeof(*db));
    struct text path, uri;
    *out = NULL;
    ox_code code = OX_OK;
    int status = sqlite3_open_v2(":memory:", &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI |
        SQLITE_OPEN_NOMUTEX, NULL);
    if (status != SQLITE_OK)
        code = queries_fail(db->db, status, "opening a catalog connection", err);
    ox_text_init(&path, NULL);
    ox_text_init(&uri, NULL);
    if (code == OX_OK) {
        sqlite3_extended_result_codes(db->db, 1);
        limit(db->db);
        ox_text_addf(&path, "%s/catalog.db", meta->dir);
        file_uri(path.ptr, meta_vfs_name(meta->env), &uri);
        sqlite3_busy_timeout(db->db, 5000);
        sqlite3_set_authorizer(db->db, authorize, db);
        sqlite3_progress_handler(db->db, PROGRESS_STEPS, progress, db);
        code = exec_internal(db, sqlite3_mprintf("PRAGMA temp_store=MEMORY"), err);
    }
    if (code == OX_OK)
        code = exec_internal(db, sqlite3_mprintf("ATTACH %Q AS catalog", uri.ptr), err);
    ox_text_fini(&path);
    ox_text_fini(&uri);
    if (code != OX_OK) {
        catalog_db_close(db);
        return code;
    }
    *out = db;
    return OX_OK;
}

void
catalog_db_close(struct catalog_db *db)
{
    if (db == NULL)
        return;
    sqlite3_close_v2(db->db);
    ox_free(db);
}

void
catalog_db_cancel_flag(struct catalog_db *db, const volatile bool *flag)
{
    db->cancel = flag;
}

/* ---- Statements ---------------------------------------------------------- */

ox_code
catalog_stmt_prepare(struct catalog_db *db, struct str sql, struct catalog_stmt **out,
    struct str *rest, struct ox_err *err)
{
    struct sqlite3_stmt *stmt = NULL;
    const char *tail = NULL;
    *out = NULL;
    if (sql.len > INT32_MAX)
        return ox_fail_plain(err, OX_PROGRAM_LIMIT_EXCEEDED);
    db->raised = false;
    int status = sqlite3_prepare_v2(db->db, sql.ptr, (int)sql.len, &stmt, &tail);
    if (status != SQLITE_OK) {
        ox_code code = db_fail(db, status, err);
        int offset = sqlite3_error_offset(db->db);
        if (err != NULL && offset >= 0 && err->position == 0)
            err->position = (int)ox_utf8_count(sql.ptr, (size_t)offset) + 1;
        return code;
    }
    if (rest != NULL)
        *rest = ox_str_n(tail, sql.len - (size_t)(tail - sql.ptr));
    if (stmt == NULL)
        return OX_OK;
    struct catalog_stmt *result = ox_calloc(1, sizeof(*result));
    result->db = db;
    result->stmt = stmt;
    *out = result;
    return OX_OK;
}

void
catalog_stmt_close(struct catalog_stmt *stmt)
{
    if (stmt == NULL)
        return;
    sqlite3_finalize(stmt->stmt);
    ox_free(stmt);
}

void
catalog_bind_null(struct catalog_stmt *stmt, int at)
{
    sqlite3_bind_null(stmt->stmt, at);
}

void
catalog_bind_int(struct catalog_stmt *stmt, int at, int64_t value)
{
    sqlite3_bind_int64(stmt->stmt, at, value);
}

void
catalog_bind_double(struct catalog_stmt *stmt, int at, double value)
{
    sqlite3_bind_double(stmt->stmt, at, value);
}

void
catalog_bind_text(struct catalog_stmt *stmt, int at, struct str value)
{
    if (value.ptr == NULL)
        sqlite3_bind_null(stmt->stmt, at);
    else
        sqlite3_bind_text64(stmt->stmt, at, value.ptr, value.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void
catalog_bind_blob(struct catalog_stmt *stmt, int at, struct str value)
{
    if (value.ptr == NULL)
        sqlite3_bind_null(stmt->stmt, at);
    else if (value.len == 0)
        sqlite3_bind_zeroblob(stmt->stmt, at, 0);
    else
        sqlite3_bind_blob64(stmt->stmt, at, value.ptr, value.len, SQLITE_TRANSIENT);
}

ox_code
catalog_stmt_step(struct catalog_stmt *stmt, bool *row, struct ox_err *err)
{
    stmt->db->raised = false;
    int status = sqlite3_step(stmt->stmt);
    *row = status == SQLITE_ROW;
    if (status == SQLITE_ROW || status == SQLITE_DONE)
        return OX_OK;
    ox_code code = db_fail(stmt->db, status, err);
    sqlite3_reset(stmt->stmt);
    return code;
}

int
catalog_column_count(const struct catalog_stmt *stmt)
{
    return sqlite3_column_count(stmt->stmt);
}

static enum catalog_type
type_of(int type)
{
    switch (type) {
    case SQLITE_INTEGER:
        return CATALOG_INT;
    case SQLITE_FLOAT:
        return CATALOG_DOUBLE;
    case SQLITE_TEXT:
        return CATALOG_TEXT;
    case SQLITE_BLOB:
        return CATALOG_BLOB;
    }
    return CATALOG_NULL;
}

enum catalog_type
catalog_column_type(struct catalog_stmt *stmt, int at)
{
    return type_of(sqlite3_column_type(stmt->stmt, at));
}

int64_t
catalog_column_int(struct catalog_stmt *stmt, int at)
{
    return sqlite3_column_int64(stmt->stmt, at);
}

double
catalog_column_double(struct catalog_stmt *stmt, int at)
{
    return sqlite3_column_double(stmt->stmt, at);
}

struct str
catalog_column_text(struct catalog_stmt *stmt, int at)
{
    return queries_column_text(stmt->stmt, at);
}

struct str
catalog_column_blob(struct catalog_stmt *stmt, int at)
{
    return queries_column_blob(stmt->stmt, at);
}

/* ---- Fed tables ---------------------------------------------------------- */

/* A column that is asked for. */
struct catalog_call {
    sqlite3_context *context;
};

void
catalog_result_null(struct catalog_call *call)
{
    sqlite3_result_null(call->context);
}

void
catalog_result_int(struct catalog_call *call, int64_t value)
{
    sqlite3_result_int64(call->context, value);
}

void
catalog_result_double(struct catalog_call *call, double value)
{
    sqlite3_result_double(call->context, value);
}

void
catalog_result_text(struct catalog_call *call, struct str value)
{
    if (value.ptr == NULL)
        sqlite3_result_null(call->context);
    else
        sqlite3_result_text64(call->context, value.ptr, value.len, SQLITE_TRANSIENT,
            SQLITE_UTF8);
}

/* The module's client data. */
struct feed {
    const struct catalog_feed *facts;
    struct catalog_db *db;
    char declaration[2048];
};

struct feed_table {
    sqlite3_vtab base; /* first */
    struct feed *feed;
};

struct feed_cursor {
    sqlite3_vtab_cursor base; /* first */
    struct catalog_scan *scan;
    bool open, row;
    int64_t rowid;
};

static int
raise(struct feed *feed, sqlite3_vtab *table, const struct ox_err *err)
{
    feed->db->err = *err;
    feed->db->raised = true;
    sqlite3_free(table->zErrMsg);
    table->zErrMsg = sqlite3_mprintf("%s", err->message);
    return SQLITE_ERROR;
}

static int
feed_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out,
    char **message)
{
    struct feed *feed = aux;
    int status = sqlite3_declare_vtab(db, feed->declaration);
    if (status != SQLITE_OK) {
        *message = sqlite3_mprintf("declaring a table: %s", sqlite3_errmsg(db));
        return status;
    }
    struct feed_table *table = sqlite3_malloc(sizeof(*table));
    if (table == NULL)
        return SQLITE_NOMEM;
    memset(table, 0, sizeof(*table));
    table->feed = feed;
    *out = &table->base;
    return SQLITE_OK;
}

static int
feed_disconnect(sqlite3_vtab *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

/* There is one way: all rows. */
static int
feed_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    info->estimatedCost = 10000;
    info->estimatedRows = 1000;
    return SQLITE_OK;
}

static int
feed_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct feed *feed = ((struct feed_table *)base)->feed;
    struct feed_cursor *cursor = ox_calloc(1, sizeof(*cursor));
    cursor->scan = ox_calloc(1, OX_MAX(feed->facts->scan_len, sizeof(struct catalog_scan)));
    *out = &cursor->base;
    return SQLITE_OK;
}

static struct feed *
feed_of(struct feed_cursor *cursor)
{
    return ((struct feed_table *)cursor->base.pVtab)->feed;
}

static void
end_scan(struct feed_cursor *cursor)
{
    struct feed *feed = feed_of(cursor);
    if (cursor->open && feed->facts->close != NULL)
        feed->facts->close(cursor->scan);
    memset(cursor->scan, 0, OX_MAX(feed->facts->scan_len, sizeof(struct catalog_scan)));
    cursor->open = false;
}

static int
feed_close(sqlite3_vtab_cursor *base)
{
    struct feed_cursor *cursor = (void *)base;
    end_scan(cursor);
    ox_free(cursor->scan);
    ox_free(cursor);
    return SQLITE_OK;
}

static int
feed_next(sqlite3_vtab_cursor *base)
{
    struct feed_cursor *cursor = (void *)base;
    struct feed *feed = feed_of(cursor);
    struct ox_err err;
    cursor->rowid++;
    cursor->row = false;
    if (feed->facts->next(cursor->scan, &cursor->row, &err) != OX_OK)
        return raise(feed, base->pVtab, &err);
    return SQLITE_OK;
}

static int
feed_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc,
    sqlite3_value **argv)
{
    struct feed_cursor *cursor = (void *)base;
    struct feed *feed = feed_of(cursor);
    struct ox_err err;
    end_scan(cursor);
    cursor->scan->feed = feed->facts;
    cursor->rowid = 0;
    ox_code code = feed->facts->open(cursor->scan, feed->facts->arg, &err);
    if (code != OX_OK)
        return raise(feed, base->pVtab, &err);
    cursor->open = true;
    return feed_next(base);
}

static int
feed_eof(sqlite3_vtab_cursor *base)
{
    return !((struct feed_cursor *)(void *)base)->row;
}

static int
feed_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int at)
{
    struct feed_cursor *cursor = (void *)base;
    struct feed *feed = feed_of(cursor);
    struct catalog_call call = {context};
    feed->facts->column(cursor->scan, at, &call);
    return SQLITE_OK;
}

static int
feed_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = ((struct feed_cursor *)(void *)base)->rowid;
    return SQLITE_OK;
}

/* Without xCreate it is an eponymous table, there without CREATE; with one it
 * can be created in a schema of its own. */
static const sqlite3_module feed_module = {
    .iVersion = 1,
    .xCreate = feed_connect,
    .xConnect = feed_connect,
    .xBestIndex = feed_best_index,
    .xDisconnect = feed_disconnect,
    .xDestroy = feed_disconnect,
    .xOpen = feed_open,
    .xClose = feed_close,
    .xFilter = feed_filter,
    .xNext = feed_next,
    .xEof = feed_eof,
    .xColumn = feed_column,
    .xRowid = feed_rowid,
};

ox_code
catalog_db_feed(struct catalog_db *db, const struct catalog_feed *facts, struct ox_err *err)
{
    struct feed *feed = ox_calloc(1, sizeof(*feed));
    feed->facts = facts;
    feed->db = db;
    int len = snprintf(feed->declaration, sizeof(feed->declaration), "CREATE TABLE x(%s)",
        facts->columns);
    if (len >= (int)sizeof(feed->declaration)) {
        ox_free(feed);
        return ox_fail(err, OX_LIMIT_EXCEEDED, "table \"%s\" has too many columns", facts->name);
    }
    int status = sqlite3_create_module_v2(db->db, facts->name, &feed_module, feed, ox_free);
    if (status != SQLITE_OK)
        return db_fail(db, status, err);
    return exec_internal(db, sqlite3_mprintf("CREATE VIRTUAL TABLE temp.\"%w\" USING \"%w\"",
                                 facts->name, facts->name), err);
}
