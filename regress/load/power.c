/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk whose power can be cut, for a server that knows nothing of it: loaded in
 * front of the C library. Whatever is written to files below OX_POWER_DIR is
 * preceded by an entry in the journal OX_POWER_LOG with the bytes that were there;
 * a flush is followed by one that says so. When the server was killed,
 * power_cut takes back what had not been flushed.
 *
 * Names (creation, rename, removal) are on disk at once; what becomes of those is
 * tried on the simulated disk of the unit tests. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "power.h"

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { FILES_MAX = 65536, KEEP_MAX = 64 << 20 };

static pthread_rwlock_t change = PTHREAD_RWLOCK_INITIALIZER; /* held while bytes change */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t numbers;
static unsigned char watched[FILES_MAX]; /* by descriptor */
static int journal = -1;
static char folder[4096];

static void
begin(void)
{
    const char *path = getenv("OX_POWER_LOG"), *dir = getenv("OX_POWER_DIR");
    if (path == NULL || dir == NULL)
        return;
    snprintf(folder, sizeof(folder), "%s", dir);
    journal = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void
note(const struct power_entry *entry, const void *kept)
{
    struct iovec parts[2] = {{(void *)entry, sizeof(*entry)}, {(void *)kept, entry->kept}};
    size_t want = sizeof(*entry) + entry->kept;
    if (REAL(writev)(journal, parts, 2) != (ssize_t)want) {
        fprintf(stderr, "power: the journal cannot be written\n");
        abort();
    }
}

static void
watch(int fd, const char *path, int flags)
{
    struct stat st;
    if (fd < 0 || fd >= FILES_MAX)
        return;
    watched[fd] = 0;
    if (journal < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &st) != 0 ||
        !S_ISREG(st.st_mode) || strncmp(path, folder, strlen(folder)) != 0)
        return;
    struct power_entry entry = {.magic = POWER_MAGIC, .kind = POWER_OPEN, .device = st.st_dev,
        .inode = st.st_ino, .number = atomic_load(&numbers), .size = (uint64_t)st.st_size};
    note(&entry, NULL);
    watched[fd] = 1;
}

static int
is_watched(int fd)
{
    return fd >= 0 && fd < FILES_MAX && watched[fd];
}

/* Before [pos, pos + len) of the file changes, or what is behind a new end. */
static void
keep(int fd, uint64_t pos, uint64_t len)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return;
    uint64_t size = (uint64_t)st.st_size;
    uint64_t have = pos >= size ? 0 : size - pos < len ? size - pos : len;
    if (have > KEEP_MAX)
        have = KEEP_MAX;
    void *old = have > 0 ? malloc(have) : NULL;
    if (have > 0 && (old == NULL || pread(fd, old, have, (off_t)pos) != (ssize_t)have))
        have = 0;
    struct power_entry entry = {.magic = POWER_MAGIC, .kind = POWER_CHANGE, .device = st.st_dev,
        .inode = st.st_ino, .number = atomic_fetch_add(&numbers, 1) + 1, .pos = pos, .len = len,
        .size = size, .kept = (uint32_t)have};
    note(&entry, old);
    free(old);
}

/* ---- what the server calls ---- */

int
open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    pthread_once(&once, begin);
    int plain = flags;
    if (journal >= 0 && strncmp(path, folder, strlen(folder)) == 0) {
        plain &= ~O_TRUNC; /* ftruncate() below keeps what was there */
        if ((flags & O_ACCMODE) == O_WRONLY)
            plain = (plain & ~O_ACCMODE) | O_RDWR; /* old bytes are read */
    }
    int fd = REAL(open)(path, plain, mode);
    watch(fd, path, flags);
    if (fd >= 0 && flags != plain && flags & O_TRUNC && ftruncate(fd, 0) != 0)
        return -1;
    return fd;
}

int
open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open(path, flags, mode);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t pos)
{
    uint64_t len = 0;
    if (!is_watched(fd))
        return REAL(pwritev)(fd, iov, count, pos);
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    pthread_rwlock_rdlock(&change);
    keep(fd, (uint64_t)pos, len);
    ssize_t put = REAL(pwritev)(fd, iov, count, pos);
    pthread_rwlock_unlock(&change);
    return put;
}

ssize_t
pwritev64(int fd, const struct iovec *iov, int count, off64_t pos)
{
    return pwritev(fd, iov, count, pos);
}

int
ftruncate(int fd, off_t size)
{
    struct stat st;
    if (!is_watched(fd))
        return REAL(ftruncate)(fd, size);
    pthread_rwlock_rdlock(&change);
    if (fstat(fd, &st) == 0)
        keep(fd, (uint64_t)size, st.st_size > size ? (uint64_t)(st.st_size - size) : 0);
    int rc = REAL(ftruncate)(fd, size);
    pthread_rwlock_unlock(&change);
    return rc;
}

int
ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

static int
flush(int fd, int (*real)(int fd))
{
    struct stat st;
    if (!is_watched(fd) || fstat(fd, &st) != 0)
        return real(fd);
    pthread_rwlock_wrlock(&change); /* nothing is half written */
    uint64_t number = atomic_load(&numbers);
    pthread_rwlock_unlock(&change);
    int rc = real(fd);
    struct power_entry entry = {.magic = POWER_MAGIC, .kind = POWER_SYNC, .device = st.st_dev,
        .inode = st.st_ino, .number = number};
    if (rc == 0)
        note(&entry, NULL);
    return rc;
}

int
fsync(int fd)
{
    return flush(fd, REAL(fsync));
}

int
fdatasync(int fd)
{
    return flush(fd, REAL(fdatasync));
}
