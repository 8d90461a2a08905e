/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite's file access, through the file layer of base/. */
#ifndef META_VFS_H
#define META_VFS_H

#include "base/err.h"

struct file_system;

/* Name of the SQLite VFS that works on fs, registered at the first call; NULL
 * when there is no memory for it. */
const char *vfs_name(struct file_system *fs, struct ox_err *err);

#endif
