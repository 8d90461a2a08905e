/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening SQLite files through the file layer of base/. */
#ifndef META_SQLITE_H
#define META_SQLITE_H

#include "base/err.h"

struct env;
struct file_system;
struct sqlite3;

enum sqlite_open_flags {
    SQLITE_OLD = 0,       /* must exist: OX_FILE_NOT_FOUND */
    SQLITE_NEW = 1,       /* made when it is not there */
    SQLITE_READ_ONLY = 2,
    SQLITE_ALONE = 4,     /* nobody else opens it; needs no shared memory */
};

ox_code meta_sqlite_open(const struct env *env, const char *path, int flags, struct sqlite3 **out,
    struct ox_err *err);
void meta_sqlite_close(struct sqlite3 *db); /* NULL is allowed */

/* Give a database that nobody has open another name, all or nothing. All of it is in that one
 * file then, and what another database has left beside the new name is removed first.
 * Takes:  dir, the directory of `to`; that of `from` may be another */
ox_code meta_sqlite_publish(const struct env *env, const char *site, const char *from,
    const char *dir, const char *to, struct ox_err *err);

/* Remove a database with its write-ahead log; what is not there is fine. */
ox_code meta_sqlite_unlink(struct file_system *fs, const char *path, struct ox_err *err);

#endif
