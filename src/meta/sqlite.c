/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/sqlite.h"

#include <sqlite3.h>
#include <stdio.h>

#include "base/env.h"
#include "base/file.h"
#include "meta/queries.h"
#include "meta/vfs.h"

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

ox_code
meta_sqlite_unlink(struct file_system *fs, const char *path, struct ox_err *err)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal", ""};
    char name[4200];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s%s", path, endings[i]);
        ox_code code = fs_unlink(fs, "meta.unlink", name, err);
        if (code != OX_OK && code != OX_FILE_NOT_FOUND)
            return code;
    }
    return OX_OK;
}
