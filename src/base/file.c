/* SPDX-License-Identifier: Apache-2.0
 *
 * The operating system's side of base/file.h, and the helpers that are written
 * over any struct file_system. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"

/* What a struct file of this file system really is. */
struct os_file {
    int fd;
    char path[];
};

enum { IOV_AT_ONCE = 64 };

static struct os_file *
os_of(struct file *file)
{
    return (struct os_file *)(void *)file;
}

/* EINTR is retried at once; EAGAIN (a pipe or a busy device given as a file)
 * after waiting for it. Anything else is a failure. */
static bool
retry(struct os_file *file, short events)
{
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        return false;
    struct pollfd pfd = {file->fd, events, 0};
    poll(&pfd, 1, -1);
    return true;
}

static ox_code
os_open(void *fs, const char *site, const char *path, int flags, struct file **out,
    struct ox_err *err)
{
    int oflags = O_CLOEXEC;
    if ((flags & FILE_READ) && (flags & FILE_WRITE))
        oflags |= O_RDWR;
    else if (flags & FILE_WRITE)
        oflags |= O_WRONLY;
    if (flags & FILE_CREATE)
        oflags |= O_CREAT;
    if (flags & FILE_EXCLUSIVE)
        oflags |= O_EXCL;
    if (flags & FILE_TRUNCATE)
        oflags |= O_TRUNC;
    int fd;
    do
        fd = open(path, oflags, 0640);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return ox_fail_errno(err, errno, "could not open file \"%s\"", path);
    size_t len = strlen(path);
    struct os_file *file = ox_malloc(sizeof(*file) + len + 1);
    file->fd = fd;
    memcpy(file->path, path, len + 1);
    *out = (struct file *)(void *)file;
    return OX_OK;
}

static void
os_close(void *fs, struct file *file)
{
    if (file == NULL)
        return;
    /* Nothing is learnt from close(): what had to be durable was synced. */
    close(os_of(file)->fd);
    ox_free(file);
}

static ox_code
os_pread(void *fs, struct file *generic, void *to, size_t len, uint64_t pos, size_t *got,
    struct ox_err *err)
{
    struct os_file *file = os_of(generic);
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(file->fd, (char *)to + done, len - done, (off_t)(pos + done));
        if (n < 0) {
            if (retry(file, POLLIN))
                continue;
            return ox_fail_errno(err, errno, "could not read file \"%s\"", file->path);
        }
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *got = done;
    return OX_OK;
}

/* Copies the next part of iov (from byte `skip`) into at most IOV_AT_ONCE
 * entries, so that a short write can be finished without changing the caller's. */
static int
iov_part(const struct iovec *iov, int count, size_t skip, struct iovec *to)
{
    int n = 0;
    for (int i = 0; i < count && n < IOV_AT_ONCE; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        to[n].iov_base = (char *)iov[i].iov_base + skip;
        to[n++].iov_len = iov[i].iov_len - skip;
        skip = 0;
    }
    return n;
}

static ox_code
os_pwritev(void *fs, const char *site, struct file *generic, const struct iovec *iov, int count,
    uint64_t pos, struct ox_err *err)
{
    struct os_file *file = os_of(generic);
    size_t len = 0, done = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    while (done < len) {
        struct iovec part[IOV_AT_ONCE];
        int n = iov_part(iov, count, done, part);
        ssize_t put = pwritev(file->fd, part, n, (off_t)(pos + done));
        if (put < 0) {
            if (retry(file, POLLOUT))
                continue;
            return ox_fail_errno(err, errno, "could not write file \"%s\"", file->path);
        }
        done += (size_t)put;
    }
    return OX_OK;
}

static ox_code
os_sync(void *fs, const char *site, struct file *generic, struct ox_err *err)
{
    struct os_file *file = os_of(generic);
    int rc;
    do
        rc = fdatasync(file->fd);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return ox_fail_errno(err, errno, "could not flush file \"%s\"", file->path);
    return OX_OK;
}

static ox_code
os_truncate(void *fs, const char *site, struct file *generic, uint64_t size, struct ox_err *err)
{
    struct os_file *file = os_of(generic);
    int rc;
    do
        rc = ftruncate(file->fd, (off_t)size);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return ox_fail_errno(err, errno, "could not truncate file \"%s\"", file->path);
    return OX_OK;
}

static ox_code
os_allocate(void *fs, const char *site, struct file *generic, uint64_t size, struct ox_err *err)
{
    struct os_file *file = os_of(generic);
    int rc;
    do
        rc = fallocate(file->fd, 0, 0, (off_t)size);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno == EOPNOTSUPP) {
        struct stat st;
        if (fstat(file->fd, &st) == 0 && (uint64_t)st.st_size >= size)
            return OX_OK;
        rc = ftruncate(file->fd, (off_t)size);
    }
    if (rc < 0)
        return ox_fail_errno(err, errno, "could not allocate %llu bytes for file \"%s\"",
            (unsigned long long)size, file->path);
    return OX_OK;
}

/* ext4 sets blocks aside page by page as a file grows, and that is a quarter of
 * what a large write costs; asked for many at a time they cost nearly nothing.
 * Other file systems look ahead by themselves, or it was not measured there. */
static bool
os_reserve(void *fs, struct file *generic, uint64_t size, uint64_t len)
{
    struct os_file *file = os_of(generic);
    struct statfs st;
    if (fstatfs(file->fd, &st) != 0 || st.f_type != EXT4_SUPER_MAGIC)
        return false;
    if (len > 0 && fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)size, (off_t)len) == 0)
        return true;
    /* To its own size: blocks behind the end go. */
    int rc = ftruncate(file->fd, (off_t)size);
    return len == 0 && rc == 0;
}

static void
os_write_back(void *fs, struct file *generic, uint64_t pos, uint64_t len)
{
    sync_file_range(os_of(generic)->fd, (off64_t)pos, (off64_t)len, SYNC_FILE_RANGE_WRITE);
}

/* A lease for writing is given to who is alone; it is not kept. Another name may be a
 * backup made by linking. */
static bool
os_alone(void *fs, struct file *file)
{
    int fd = os_of(file)->fd;
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_nlink <= 1 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0 &&
           fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

static ox_code
os_size(void *fs, struct file *generic, uint64_t *out, struct ox_err *err)
{
    struct os_file *file = os_of(generic);
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return ox_fail_errno(err, errno, "could not stat file \"%s\"", file->path);
    *out = (uint64_t)st.st_size;
    return OX_OK;
}

static ox_code
os_stat(void *fs, const char *path, struct file_stat *out, struct ox_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return ox_fail_errno(err, errno, "could not stat file \"%s\"", path);
    out->size = (uint64_t)st.st_size;
    out->mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    out->is_dir = S_ISDIR(st.st_mode);
    return OX_OK;
}

static ox_code
os_rename(void *fs, const char *site, const char *from, const char *to, struct ox_err *err)
{
    if (rename(from, to) < 0)
        return ox_fail_errno(err, errno, "could not rename \"%s\" to \"%s\"", from, to);
    return OX_OK;
}

static ox_code
os_unlink(void *fs, const char *site, const char *path, struct ox_err *err)
{
    if (unlink(path) < 0)
        return ox_fail_errno(err, errno, "could not remove file \"%s\"", path);
    return OX_OK;
}

static ox_code
os_mkdir(void *fs, const char *site, const char *path, struct ox_err *err)
{
    if (mkdir(path, 0750) < 0)
        return ox_fail_errno(err, errno, "could not create directory \"%s\"", path);
    return OX_OK;
}

static ox_code
os_rmdir(void *fs, const char *site, const char *path, struct ox_err *err)
{
    if (rmdir(path) < 0)
        return ox_fail_errno(err, errno, "could not remove directory \"%s\"", path);
    return OX_OK;
}

static ox_code
os_sync_dir(void *fs, const char *site, const char *path, struct ox_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ox_fail_errno(err, errno, "could not open directory \"%s\"", path);
    int rc;
    do
        rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    int errnum = errno;
    close(fd);
    if (rc < 0)
        return ox_fail_errno(err, errnum, "could not flush directory \"%s\"", path);
    return OX_OK;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(((const struct file_name *)a)->name, ((const struct file_name *)b)->name);
}

static bool
entry_is_dir(DIR *dir, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    struct stat st;
    return fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static ox_code
os_list(void *fs, const char *path, struct arena *arena, struct file_name **out, size_t *count,
    struct ox_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        ox_code rc = ox_fail_errno(err, errno, "could not open directory \"%s\"", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    struct file_name *names = NULL;
    size_t n = 0, cap = 0;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        ox_arena_grow(arena, (void **)&names, &cap, n + 1, sizeof(*names));
        names[n].name = ox_arena_strdup(arena, entry->d_name);
        names[n++].is_dir = entry_is_dir(dir, entry);
    }
    int errnum = errno;
    closedir(dir);
    if (errnum != 0)
        return ox_fail_errno(err, errnum, "could not read directory \"%s\"", path);
    if (n > 1)
        qsort(names, n, sizeof(*names), compare_names);
    *out = names;
    *count = n;
    return OX_OK;
}

/* An open-file-description lock: it conflicts with the POSIX lock that other
 * programs (Kafka) take on the same file, and with a second open in this
 * process. */
static ox_code
os_lock(void *fs, struct file *generic, struct ox_err *err)
{
    struct os_file *file = os_of(generic);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
        return OX_OK;
    if (errno == EAGAIN || errno == EACCES)
        return ox_fail(err, OX_LOCK_HELD, "\"%s\" is locked by another server", file->path);
    return ox_fail_errno(err, errno, "could not lock file \"%s\"", file->path);
}

static ox_code
os_space(void *fs, const char *path, struct file_space *out, struct ox_err *err)
{
    struct statvfs st;
    if (statvfs(path, &st) < 0)
        return ox_fail_errno(err, errno, "could not read the free space of \"%s\"", path);
    out->total = (uint64_t)st.f_blocks * st.f_frsize;
    out->usable = (uint64_t)st.f_bavail * st.f_frsize;
    return OX_OK;
}

static int
os_fd(void *fs, struct file *file)
{
    return os_of(file)->fd;
}

static const struct file_system_ops os_ops = {
    .open = os_open,
    .close = os_close,
    .pread = os_pread,
    .pwritev = os_pwritev,
    .sync = os_sync,
    .truncate = os_truncate,
    .allocate = os_allocate,
    .reserve = os_reserve,
    .write_back = os_write_back,
    .alone = os_alone,
    .size = os_size,
    .stat = os_stat,
    .rename = os_rename,
    .unlink = os_unlink,
    .mkdir = os_mkdir,
    .rmdir = os_rmdir,
    .sync_dir = os_sync_dir,
    .list = os_list,
    .lock = os_lock,
    .space = os_space,
    .fd = os_fd,
};

struct file_system *
file_system_os(void)
{
    static struct file_system fs = {&os_ops, NULL};
    return &fs;
}

ox_code
file_pwrite(struct file_system *fs, const char *site, struct file *file, const void *ptr,
    size_t len, uint64_t pos, struct ox_err *err)
{
    struct iovec iov = {(void *)(uintptr_t)ptr, len};
    return fs_pwritev(fs, site, file, &iov, 1, pos, err);
}

ox_code
file_read_all(struct file_system *fs, const char *path, size_t len_max, struct arena *arena,
    char **ptr, size_t *len, struct ox_err *err)
{
    struct file *file;
    ox_code rc = fs_open(fs, "file.read_all", path, FILE_READ, &file, err);
    if (rc != OX_OK)
        return rc;
    uint64_t size;
    rc = fs_size(fs, file, &size, err);
    if (rc == OX_OK && size > len_max)
        rc = ox_fail(err, OX_LIMIT_EXCEEDED, "file \"%s\" is longer than %zu bytes", path, len_max);
    if (rc == OX_OK) {
        *ptr = ox_arena_alloc(arena, (size_t)size + 1);
        rc = fs_pread(fs, file, *ptr, (size_t)size, 0, len, err);
        if (rc == OX_OK)
            (*ptr)[*len] = '\0';
    }
    fs_close(fs, file);
    return rc;
}

ox_code
file_write_whole(struct file_system *fs, const char *site, const char *path, const void *ptr,
    size_t len, struct ox_err *err)
{
    struct file *file;
    ox_code rc = fs_open(fs, site, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file, err);
    if (rc != OX_OK)
        return rc;
    rc = file_pwrite(fs, site, file, ptr, len, 0, err);
    if (rc == OX_OK)
        rc = fs_sync(fs, site, file, err);
    fs_close(fs, file);
    return rc;
}

ox_code
file_replace(struct file_system *fs, const char *site, const char *path, const void *ptr,
    size_t len, struct ox_err *err)
{
    char tmp[PATH_MAX], dir[PATH_MAX];
    size_t path_len = strlen(path);
    if (path_len + sizeof(".tmp") > sizeof(tmp))
        return ox_fail(err, OX_LIMIT_EXCEEDED, "path of %zu bytes is too long", path_len);
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    memcpy(dir, path, path_len + 1);
    char *slash = strrchr(dir, '/');
    if (slash == NULL)
        strcpy(dir, ".");
    else
        slash[slash == dir] = '\0';
    ox_code rc = file_write_whole(fs, site, tmp, ptr, len, err);
    if (rc == OX_OK)
        rc = fs_rename(fs, site, tmp, path, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(fs, site, dir, err);
    return rc;
}
