/* SPDX-License-Identifier: Apache-2.0
 *
 * The only door to disk. A struct file_system is a table of functions: the
 * operating system's (file.c) or the simulated disk's (file_sim.c), which can
 * crash at any operation and enumerate what may be left. Every call that
 * changes or forces something takes a site, a constant name such as
 * "log.append", so that faults can be injected and coverage counted by site.
 *
 * Short reads and writes, EINTR and EAGAIN are finished inside. Failures come
 * out as OX_DISK_FULL, OX_IO_ERROR, OX_TOO_MANY_FILES, OX_READ_ONLY_FILE_SYSTEM,
 * OX_FILE_NOT_FOUND, OX_FILE_EXISTS, with the path in the message.
 *
 * Any thread; one struct file must not be closed while another call is in it. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

struct file; /* an open file; opaque */
struct arena;

enum file_flags {
    FILE_READ = 1,
    FILE_WRITE = 2,
    FILE_CREATE = 4,    /* make it if it is not there */
    FILE_EXCLUSIVE = 8, /* with CREATE: fail with OX_FILE_EXISTS */
    FILE_TRUNCATE = 16,
};

struct file_stat {
    uint64_t size;
    int64_t mtime_ms;
    bool is_dir;
};

struct file_space {
    uint64_t total, usable; /* bytes */
};

/* One name in a directory. */
struct file_name {
    const char *name;
    bool is_dir;
};

struct file_system_ops {
    ox_code (*open)(void *fs, const char *site, const char *path, int flags, struct file **out,
        struct ox_err *err);
    void (*close)(void *fs, struct file *file);
    /* Reads up to len; *got is short only at the end of the file. */
    ox_code (*pread)(void *fs, struct file *file, void *to, size_t len, uint64_t pos, size_t *got,
        struct ox_err *err);
    ox_code (*pwritev)(void *fs, const char *site, struct file *file, const struct iovec *iov,
        int count, uint64_t pos, struct ox_err *err);
    ox_code (*sync)(void *fs, const char *site, struct file *file, struct ox_err *err);
    ox_code (*truncate)(void *fs, const char *site, struct file *file, uint64_t size,
        struct ox_err *err);
    ox_code (*allocate)(void *fs, const char *site, struct file *file, uint64_t size,
        struct ox_err *err);
    /* A hint, which may be absent: len bytes are going to be written behind size, the
     * end of the file, which stays where it is; 0: none, what was set aside is given
     * back. False: it does not help here, or there is no room. */
    bool (*reserve)(void *fs, struct file *file, uint64_t size, uint64_t len);
    /* A hint, which may be absent: begin to write these bytes to disk, and do not
     * wait. It promises nothing: a sync to come finds less to do. */
    void (*write_back)(void *fs, struct file *file, uint64_t pos, uint64_t len);
    /* May be absent: whether nobody else, here or elsewhere, has the file open, and it has no
     * other name. */
    bool (*alone)(void *fs, struct file *file);
    ox_code (*size)(void *fs, struct file *file, uint64_t *out, struct ox_err *err);
    ox_code (*stat)(void *fs, const char *path, struct file_stat *out, struct ox_err *err);
    ox_code (*rename)(void *fs, const char *site, const char *from, const char *to,
        struct ox_err *err);
    ox_code (*unlink)(void *fs, const char *site, const char *path, struct ox_err *err);
    ox_code (*mkdir)(void *fs, const char *site, const char *path, struct ox_err *err);
    ox_code (*rmdir)(void *fs, const char *site, const char *path, struct ox_err *err);
    ox_code (*sync_dir)(void *fs, const char *site, const char *path, struct ox_err *err);
    /* Names in byte order, without "." and "..", in the arena. */
    ox_code (*list)(void *fs, const char *path, struct arena *arena, struct file_name **out,
        size_t *count, struct ox_err *err);
    /* Exclusive lock on an open file; OX_LOCK_HELD if another process has it. */
    ox_code (*lock)(void *fs, struct file *file, struct ox_err *err);
    ox_code (*space)(void *fs, const char *path, struct file_space *out, struct ox_err *err);
    /* The descriptor for sendfile and splice, or -1 (simulated disk). */
    int (*fd)(void *fs, struct file *file);
};

struct file_system {
    const struct file_system_ops *ops;
    void *self;
};

struct file_system *file_system_os(void);

/* Thin wrappers, so that callers read like calls. */
#define fs_open(fs, site, path, flags, out, err) \
    ((fs)->ops->open((fs)->self, (site), (path), (flags), (out), (err)))
#define fs_close(fs, file) ((fs)->ops->close((fs)->self, (file)))
#define fs_pread(fs, file, to, len, pos, got, err) \
    ((fs)->ops->pread((fs)->self, (file), (to), (len), (pos), (got), (err)))
#define fs_pwritev(fs, site, file, iov, count, pos, err) \
    ((fs)->ops->pwritev((fs)->self, (site), (file), (iov), (count), (pos), (err)))
#define fs_sync(fs, site, file, err) ((fs)->ops->sync((fs)->self, (site), (file), (err)))
#define fs_truncate(fs, site, file, size, err) \
    ((fs)->ops->truncate((fs)->self, (site), (file), (size), (err)))
#define fs_allocate(fs, site, file, size, err) \
    ((fs)->ops->allocate((fs)->self, (site), (file), (size), (err)))
#define fs_reserve(fs, file, size, len) \
    ((fs)->ops->reserve != NULL && (fs)->ops->reserve((fs)->self, (file), (size), (len)))
#define fs_write_back(fs, file, pos, len) \
    do { \
        if ((fs)->ops->write_back != NULL) \
            (fs)->ops->write_back((fs)->self, (file), (pos), (len)); \
    } while (0)
#define fs_alone(fs, file) ((fs)->ops->alone != NULL && (fs)->ops->alone((fs)->self, (file)))
#define fs_size(fs, file, out, err) ((fs)->ops->size((fs)->self, (file), (out), (err)))
#define fs_stat(fs, path, out, err) ((fs)->ops->stat((fs)->self, (path), (out), (err)))
#define fs_rename(fs, site, from, to, err) \
    ((fs)->ops->rename((fs)->self, (site), (from), (to), (err)))
#define fs_unlink(fs, site, path, err) ((fs)->ops->unlink((fs)->self, (site), (path), (err)))
#define fs_mkdir(fs, site, path, err) ((fs)->ops->mkdir((fs)->self, (site), (path), (err)))
#define fs_rmdir(fs, site, path, err) ((fs)->ops->rmdir((fs)->self, (site), (path), (err)))
#define fs_sync_dir(fs, site, path, err) ((fs)->ops->sync_dir((fs)->self, (site), (path), (err)))
#define fs_list(fs, path, arena, out, count, err) \
    ((fs)->ops->list((fs)->self, (path), (arena), (out), (count), (err)))
#define fs_lock(fs, file, err) ((fs)->ops->lock((fs)->self, (file), (err)))
#define fs_space(fs, path, out, err) ((fs)->ops->space((fs)->self, (path), (out), (err)))
#define fs_fd(fs, file) ((fs)->ops->fd((fs)->self, (file)))

/* Writes all of len at pos. */
ox_code file_pwrite(struct file_system *fs, const char *site, struct file *file, const void *ptr,
    size_t len, uint64_t pos, struct ox_err *err);
/* The whole file into the arena; OX_LIMIT_EXCEEDED when longer than len_max. */
ox_code file_read_all(struct file_system *fs, const char *path, size_t len_max,
    struct arena *arena, char **ptr, size_t *len, struct ox_err *err);
/* Writes path whole and flushes it; its name in the directory may get lost. */
ox_code file_write_whole(struct file_system *fs, const char *site, const char *path,
    const void *ptr, size_t len, struct ox_err *err);
/* Replaces path safely: path.tmp whole, sync, rename, sync of the directory. */
ox_code file_replace(struct file_system *fs, const char *site, const char *path, const void *ptr,
    size_t len, struct ox_err *err);

#endif
