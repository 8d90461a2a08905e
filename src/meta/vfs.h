/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite's world, through the environment of base/: files, clock, randomness. */
#ifndef META_VFS_H
#define META_VFS_H

struct env;

/* Name of the SQLite VFS that works on env's file system; registered at the
 * first call and kept for the life of the process. Any thread. */
const char *meta_vfs_name(const struct env *env);

#endif
