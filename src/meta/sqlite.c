/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/sqlite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/env.h"
#include "base/file.h"
#include "meta/queries.h"
#include "meta/vfs.h"

enum { BUSY_MS = 5000 };

ox_code
meta_sqlite_open(const struct env *env, const char *path, int flags, struct sqlite3 **out,
    struct ox_err *err)
{
    struct file_stat stat;
    struct sqlite3 *db = NULL;
    int open_flags = SQLITE_OPEN_NOMUTEX |
        (flags & SQLITE_READ_ONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
        (flags & SQLITE_NEW ? SQLITE_OPEN_CREATE : 0);
    *out = NULL;
    if (!(flags & SQLITE_NEW)) {
        ox_code code = fs_stat(env->fs, path, &stat, err);
        if (code != OX_OK)
            return code;
    }
    int status = sqlite3_open_v2(path, &db, open_flags, meta_vfs_name(env));
    if (status == SQLITE_OK)
        status = sqlite3_extended_result_codes(db, 1);
    if (status != SQLITE_OK) {
        ox_code code = queries_fail(db, status, "opening a database", err);
        sqlite3_close_v2(db);
        return code;
    }
    if (flags & SQLITE_ALONE) {
        int keep = 1; /* a recycled log is faster to flush than a growing one */
        sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    } else {
        /* A reader that met the log's index half written has the writer's lock for a moment. */
        sqlite3_busy_timeout(db, BUSY_MS);
    }
    ox_code code = queries_exec(db, "PRAGMA temp_store=MEMORY", err);
    if (code != OX_OK) {
        sqlite3_close_v2(db);
        return code;
    }
    *out = db;
    return OX_OK;
}

void
meta_sqlite_close(struct sqlite3 *db)
{
    sqlite3_close_v2(db);
}

static const char *const endings[] = {"-wal", "-shm", "-journal", ""};

static ox_code
unlink_endings(struct file_system *fs, const char *path, size_t count, struct ox_err *err)
{
    char name[4200];
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s%s", path, endings[i]);
        ox_code code = fs_unlink(fs, "meta.unlink", name, err);
        if (code != OX_OK && code != OX_FILE_NOT_FOUND)
            return code;
    }
    return OX_OK;
}

ox_code
meta_sqlite_unlink(struct file_system *fs, const char *path, struct ox_err *err)
{
    return unlink_endings(fs, path, ox_count(endings), err);
}

/* What is in the write-ahead log goes into the file, which has none then. Closing does that as
 * well, but does not tell when it fails. */
static ox_code
fold(const struct env *env, const char *path, struct ox_err *err)
{
    struct sqlite3_stmt *stmt = NULL;
    struct sqlite3 *db;
    ox_code code = meta_sqlite_open(env, path, SQLITE_OLD, &db, err);
    if (code != OX_OK)
        return code;
    int status = sqlite3_prepare_v2(db, "PRAGMA journal_mode=DELETE", -1, &stmt, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_step(stmt);
    if (status != SQLITE_ROW)
        code = queries_fail(db, status, "ending a write-ahead log", err);
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "delete") != 0)
        code = ox_fail(err, OX_IO_ERROR, "the write-ahead log of \"%s\" cannot be ended", path);
    sqlite3_finalize(stmt);
    meta_sqlite_close(db);
    return code;
}

static ox_code
sync_file(struct file_system *fs, const char *site, const char *path, struct ox_err *err)
{
    struct file *file;
    ox_code code = fs_open(fs, site, path, FILE_READ | FILE_WRITE, &file, err);
    if (code != OX_OK)
        return code;
    code = fs_sync(fs, site, file, err);
    fs_close(fs, file);
    return code;
}

ox_code
meta_sqlite_publish(const struct env *env, const char *site, const char *from, const char *dir,
    const char *to, struct ox_err *err)
{
    ox_code code = fold(env, from, err);
    if (code == OX_OK)
        code = sync_file(env->fs, site, from, err);
    if (code == OX_OK)
        code = unlink_endings(env->fs, to, ox_count(endings) - 1, err);
    /* Both are durable before the name changes: a power cut must not bring back a log of
     * another database, nor let the rename find what an earlier attempt left. */
    if (code == OX_OK)
        code = fs_sync_dir(env->fs, site, dir, err);
    if (code == OX_OK)
        code = fs_rename(env->fs, site, from, to, err);
    if (code == OX_OK)
        code = fs_sync_dir(env->fs, site, dir, err);
    return code;
}
