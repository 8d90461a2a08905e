/* SPDX-License-Identifier: Apache-2.0
 *
 * A chain of blocks; the newest is the one being cut. The first has 512 bytes, each
 * further one a quarter of what there is, so that small lives that stay (a statement
 * that waits) waste little, up to 256 KiB; a larger request gets a block of its
 * own. A life that comes again begins with one block that would have held the
 * last. */
#include "base/arena.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

enum { BLOCK_FIRST = 512, BLOCK_MAX = 256 * 1024, ALIGN = 16, HEAP_KEPT = 64 * 1024 };

struct arena_block {
    struct arena_block *prev;
    size_t len; /* bytes after the header */
    char bytes[] __attribute__((aligned(ALIGN)));
};

struct arena_cleanup {
    struct arena_cleanup *prev;
    void (*fn)(void *arg);
    void *arg;
};

void
ox_arena_init_as(struct arena *arena, enum mem_class mem)
{
    memset(arena, 0, sizeof(*arena));
    arena->cap = SIZE_MAX;
    arena->mem = mem;
}

static void
run_cleanups(struct arena *arena)
{
    while (arena->cleanups != NULL) {
        struct arena_cleanup *cleanup = arena->cleanups;
        arena->cleanups = cleanup->prev;
        cleanup->fn(cleanup->arg);
    }
}

void
ox_arena_fini(struct arena *arena)
{
    run_cleanups(arena);
    size_t freed = 0, cap = arena->cap;
    for (struct arena_block *block = arena->blocks, *prev; block != NULL; block = prev) {
        prev = block->prev;
        freed += block->len;
        free(block);
    }
    if (freed > 0)
        mem_sub(arena->mem, freed);
    ox_arena_init_as(arena, arena->mem);
    arena->cap = cap;
}

void
ox_arena_reset(struct arena *arena)
{
    run_cleanups(arena);
    struct arena_block *keep = arena->blocks;
    if (keep == NULL || keep->prev != NULL || keep->len > BLOCK_MAX) {
        size_t total = arena->total;
        ox_arena_fini(arena);
        arena->total = OX_MIN(total, (size_t)BLOCK_MAX);
        return;
    }
    arena->next = keep->bytes;
    arena->end = keep->bytes + keep->len;
    arena->used = 0;
}

static struct arena_block *
block_new(struct arena *arena, size_t len)
{
    mem_add(arena->mem, len);
    return ox_malloc(sizeof(struct arena_block) + len);
}

static struct arena_block *
add_block(struct arena *arena, size_t len)
{
    struct arena_block *block = block_new(arena, len);
    block->len = len;
    block->prev = arena->blocks;
    arena->total = arena->blocks == NULL ? len : arena->total + len;
    arena->blocks = block;
    return block;
}

static void *
alloc_slow(struct arena *arena, size_t len)
{
    size_t want = arena->blocks == NULL ? arena->total : arena->total / 4;
    want = OX_MIN(OX_MAX(want, (size_t)BLOCK_FIRST), (size_t)BLOCK_MAX);
    if (len > want / 2 && arena->blocks != NULL) {
        /* A block of its own, behind the one being cut. */
        struct arena_block *block = block_new(arena, len);
        block->len = len;
        block->prev = arena->blocks->prev;
        arena->blocks->prev = block;
        arena->total += len;
        return block->bytes;
    }
    struct arena_block *block = add_block(arena, OX_MAX(want, len));
    arena->next = block->bytes + len;
    arena->end = block->bytes + block->len;
    return block->bytes;
}

void *
ox_arena_alloc(struct arena *arena, size_t len)
{
    ox_assert(len < SIZE_MAX / 2);
    len = len == 0 ? ALIGN : (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    arena->used += len;
    if (ox_unlikely((size_t)(arena->end - arena->next) < len))
        return alloc_slow(arena, len);
    void *ptr = arena->next;
    arena->next += len;
    return ptr;
}

void *
ox_arena_alloc0(struct arena *arena, size_t len)
{
    return memset(ox_arena_alloc(arena, len), 0, len);
}

void
ox_arena_grow(struct arena *arena, void **ptr, size_t *cap, size_t count, size_t elem_len)
{
    if (count <= *cap)
        return;
    size_t want = OX_MAX(OX_MAX(*cap * 2, count), (size_t)8);
    void *bigger = ox_arena_alloc(arena, ox_size_mul(want, elem_len));
    if (*cap > 0)
        memcpy(bigger, *ptr, *cap * elem_len);
    memset((char *)bigger + *cap * elem_len, 0, (want - *cap) * elem_len);
    *ptr = bigger;
    *cap = want;
}

void *
ox_arena_copy(struct arena *arena, const void *from, size_t len)
{
    void *to = ox_arena_alloc(arena, len);
    if (len > 0)
        memcpy(to, from, len);
    return to;
}

char *
ox_arena_strndup(struct arena *arena, const char *text, size_t len)
{
    char *to = ox_arena_alloc(arena, len + 1);
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
    return to;
}

char *
ox_arena_strdup(struct arena *arena, const char *text)
{
    return ox_arena_strndup(arena, text, strlen(text));
}

char *
ox_arena_vprintf(struct arena *arena, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    ox_assert(len >= 0);
    char *to = ox_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(to, (size_t)len + 1, fmt, again);
    va_end(again);
    return to;
}

char *
ox_arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = ox_arena_vprintf(arena, fmt, args);
    va_end(args);
    return text;
}

void
ox_arena_on_free(struct arena *arena, void (*fn)(void *arg), void *arg)
{
    struct arena_cleanup *cleanup = ox_arena_alloc(arena, sizeof(*cleanup));
    *cleanup = (struct arena_cleanup){arena->cleanups, fn, arg};
    arena->cleanups = cleanup;
}

size_t
ox_size_mul(size_t a, size_t b)
{
    size_t product;
    ox_assert(!__builtin_mul_overflow(a, b, &product));
    return product;
}

/* Small things never fail: the node stops, and recovers when it is started. */
static void *
given(void *ptr, size_t len)
{
    if (ox_unlikely(ptr == NULL))
        fprintf(stderr, "oxbow: out of memory: %zu bytes are not to be had\n", len);
    ox_assert(ptr != NULL);
    return ptr;
}

void *
ox_malloc(size_t len)
{
    return given(malloc(len ? len : 1), len);
}

void *
ox_pages(size_t len)
{
    void *ptr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return given(ptr != MAP_FAILED ? ptr : NULL, len);
}

void *
ox_calloc(size_t count, size_t len)
{
    return given(calloc(count ? count : 1, len ? len : 1), count * len);
}

void *
ox_realloc(void *ptr, size_t len)
{
    return given(realloc(ptr, len ? len : 1), len);
}

char *
ox_strdup(const char *text)
{
    size_t len = strlen(text);
    return memcpy(ox_malloc(len + 1), text, len + 1);
}

void
ox_free(void *ptr)
{
    free(ptr);
}

void
ox_heap_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(HEAP_KEPT);
#endif
}
