/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that is not there, for a server that knows nothing of it: loaded in
 * front of the C library. The file OX_BAD_MEMORY holds struct control, which is
 * mapped: while mode is OWN or LIBRARIES, the allocations made by the program
 * itself, or by anything else, are counted, and those from `from` to `to` fail. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OFF, OWN, LIBRARIES };

struct control {
    int32_t mode, failed;
    int64_t from, to, count;
};

extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *ptr, size_t len);

static volatile struct control *control;
static uintptr_t own_start, own_end;

static int
note_program(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD)
            continue;
        if (own_end == 0 || start < own_start)
            own_start = start;
        if (start + part->p_memsz > own_end)
            own_end = start + part->p_memsz;
    }
    return 1; /* the program is the first */
}

__attribute__((constructor)) static void
start(void)
{
    const char *path = getenv("OX_BAD_MEMORY");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    dl_iterate_phdr(note_program, NULL);
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        control = mapped;
}

static int
fails(const void *caller)
{
    if (control == NULL || control->mode == OFF)
        return 0;
    int own = (uintptr_t)caller >= own_start && (uintptr_t)caller < own_end;
    if (own != (control->mode == OWN))
        return 0;
    int64_t count = __atomic_add_fetch((int64_t *)&control->count, 1, __ATOMIC_RELAXED);
    if (count < control->from || count > control->to)
        return 0;
    __atomic_add_fetch((int32_t *)&control->failed, 1, __ATOMIC_RELAXED);
    errno = ENOMEM;
    return 1;
}

void *
malloc(size_t len)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(len);
}

void *
calloc(size_t count, size_t len)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, len);
}

void *
realloc(void *ptr, size_t len)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(ptr, len);
}
