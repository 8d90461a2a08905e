/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters by class, each written by whoever takes and gives back, read without a
 * lock: a sum is right when nobody is at work. What the system says (heap,
 * resident pages, the mappings of program and libraries) is asked when it is
 * wanted. mem_tend() sees by the process's CPU clock whether it was quiet. */
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

enum { QUIET_SECONDS = 3, QUIET_CPU_NS = 20000000 /* less in each of them */ };

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

static _Atomic int64_t mapped;

void
mem_mapped(int64_t bytes)
{
    atomic_fetch_add_explicit(&mapped, bytes, memory_order_relaxed);
}

size_t
mem_heap(void)
{
#ifdef __GLIBC__
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd +
           (size_t)atomic_load_explicit(&mapped, memory_order_relaxed);
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

/* A mapping as /proc/self/smaps describes it. */
struct mapping {
    unsigned long from, to, resident, anonymous;
    bool code; /* of a file, and not to be written */
};

/* Pages that were written (relocations, probes, breakpoints) are anonymous: where
 * there is one, nothing is taken. */
static size_t
forget(const struct mapping *map)
{
    if (!map->code || map->anonymous > 0 ||
        madvise((void *)map->from, map->to - map->from, MADV_DONTNEED) != 0)
        return 0;
    return map->resident * 1024;
}

size_t
mem_forget_code(void)
{
    char line[512], mode[5];
    struct mapping map = {.code = false};
    size_t sum = 0;
    FILE *file = fopen("/proc/self/smaps", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3)
            map = (struct mapping){.from = from, .to = to,
                .code = mode[0] == 'r' && mode[1] == '-' && strchr(line, '/') != NULL};
        else if (sscanf(line, "Rss: %lu", &map.resident) == 1 ||
                 sscanf(line, "Anonymous: %lu", &map.anonymous) == 1)
            continue;
        else if (strncmp(line, "VmFlags:", 8) == 0) /* the last of a mapping */
            sum += forget(&map);
    }
    if (file != NULL)
        fclose(file);
    return sum;
}

void
mem_tend(void)
{
    static int64_t before_ns;
    static int quiet;
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    int64_t now_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    quiet = now_ns - before_ns < QUIET_CPU_NS ? OX_MIN(quiet + 1, QUIET_SECONDS + 1) : 0;
    before_ns = now_ns;
    if (quiet == QUIET_SECONDS)
        mem_forget_code();
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
