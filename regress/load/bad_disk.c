/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that fails, for a server that knows nothing of it: loaded in front of
 * the C library, writing and flushing below the folder that the file OX_BAD_DISK
 * names fails with EIO. An empty or missing file: all disks are well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The folder that fails now; "" for none. */
static void
bad_folder(char folder[4096])
{
    const char *switch_path = getenv("OX_BAD_DISK");
    folder[0] = '\0';
    int fd = switch_path != NULL ? REAL(open)(switch_path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    ssize_t got = REAL(read)(fd, folder, 4095);
    folder[got > 0 ? got : 0] = '\0';
    folder[strcspn(folder, "\n")] = '\0';
    close(fd);
}

static int
is_bad_path(const char *path)
{
    char folder[4096];
    bad_folder(folder);
    return folder[0] != '\0' && strncmp(path, folder, strlen(folder)) == 0;
}

static int
is_bad(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len <= 0)
        return 0;
    path[len] = '\0';
    return is_bad_path(path);
}

int
fsync(int fd)
{
    if (is_bad(fd)) {
        errno = EIO;
        return -1;
    }
    return REAL(fsync)(fd);
}

int
fdatasync(int fd)
{
    if (is_bad(fd)) {
        errno = EIO;
        return -1;
    }
    return REAL(fdatasync)(fd);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t pos)
{
    if (is_bad(fd)) {
        errno = EIO;
        return -1;
    }
    return REAL(pwritev)(fd, iov, count, pos);
}

/* Offsets are of 64 bits here: the two of each pair are one. */
ssize_t
pwritev64(int fd, const struct iovec *iov, int count, off64_t pos)
{
    return pwritev(fd, iov, count, pos);
}

int
open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (flags & O_CREAT && is_bad_path(path)) {
        errno = EIO;
        return -1;
    }
    return REAL(open)(path, flags, mode);
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
