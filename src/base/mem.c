/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"

/* A line of the cache each, so that threads with different work do not meet. */
static struct {
    _Atomic int64_t bytes;
    char apart[64 - sizeof(int64_t)];
} classes[MEM_CLASS_COUNT] __attribute__((aligned(64)));
static _Atomic uint64_t limit;

const char *
mem_class_name(enum mem_class class)
{
    static const char *const names[] = {"other", "connections", "requests", "statements",
        "coordinators", "logs", "metadata", "cache"};
    _Static_assert(ox_count(names) == MEM_CLASS_COUNT, "each class has a name");
    return names[class];
}

void
mem_add(enum mem_class class, size_t bytes)
{
    atomic_fetch_add_explicit(&classes[class].bytes, (int64_t)bytes, memory_order_relaxed);
}

void
mem_sub(enum mem_class class, size_t bytes)
{
    atomic_fetch_sub_explicit(&classes[class].bytes, (int64_t)bytes, memory_order_relaxed);
}

size_t
mem_used(enum mem_class class)
{
    int64_t bytes = atomic_load_explicit(&classes[class].bytes, memory_order_relaxed);
    return bytes > 0 ? (size_t)bytes : 0; /* sums of different moments */
}

size_t
mem_heap(void)
{
#ifdef __GLIBC__
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

size_t
mem_resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void
mem_set_limit(uint64_t bytes)
{
    atomic_store_explicit(&limit, bytes, memory_order_relaxed);
}

uint64_t
mem_limit(void)
{
    return atomic_load_explicit(&limit, memory_order_relaxed);
}

bool
mem_over(void)
{
    uint64_t most = mem_limit(), sum = 0;
    for (int i = 0; i < MEM_CACHE; i++)
        sum += mem_used((enum mem_class)i);
    return most != 0 && sum > most;
}

uint64_t
mem_default_limit(void)
{
    static const char *const paths[] = {"/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t most = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < ox_count(paths); i++) {
        unsigned long long bytes;
        FILE *file = fopen(paths[i], "re");
        if (file != NULL && fscanf(file, "%llu", &bytes) == 1 && bytes > 0)
            most = OX_MIN(most, (uint64_t)bytes);
        if (file != NULL)
            fclose(file);
    }
    return most / 2;
}
