/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/vfs.h"

#include "base/file.h"

const char *
vfs_name(struct file_system *fs, struct ox_err *err)
{
    if (fs == file_system_os())
        return "unix";
    ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "SQLite works on the operating system's files only");
    return NULL;
}
