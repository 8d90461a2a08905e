/* SPDX-License-Identifier: Apache-2.0
 *
 * Arenas: memory with one life (a tick, a call, a statement, a session), freed
 * as a whole. Not thread safe: an arena belongs to whoever owns the life.
 *
 * An allocation never returns NULL: a failed small malloc stops the node. An
 * arena may carry a cap; passing it stops nothing at once (so that code between
 * two checks stays simple) but ox_arena_over() is then true, and decoders look
 * before they reserve by a count that came from outside. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct arena_block;
struct arena_cleanup;

struct arena {
    char *next, *end;
    struct arena_block *blocks;
    struct arena_cleanup *cleanups;
    size_t used; /* bytes handed out since init or reset, rounding included */
    size_t total; /* of the blocks; without blocks: what the next life begins with */
    size_t cap;  /* bytes, SIZE_MAX = none */
    enum mem_class mem; /* whose memory it is */
};

void ox_arena_init_as(struct arena *arena, enum mem_class mem);
#define ox_arena_init(arena) ox_arena_init_as((arena), MEM_HERE)
/* Frees all memory, after running the cleanups in reverse order. */
void ox_arena_fini(struct arena *arena);
/* As fini then init, but keeps one block, or its size, for the next life. Keeps
 * the cap. */
void ox_arena_reset(struct arena *arena);

/* len bytes, 16-byte aligned, uninitialised; alloc0 zeroes them. */
void *ox_arena_alloc(struct arena *arena, size_t len);
void *ox_arena_alloc0(struct arena *arena, size_t len);
#define ox_arena_new(arena, type) ((type *)ox_arena_alloc0((arena), sizeof(type)))
#define ox_arena_array(arena, type, count) \
    ((type *)ox_arena_alloc0((arena), ox_size_mul(sizeof(type), (count))))

/* Grow the array *ptr of capacity *cap so that count elements fit. */
void ox_arena_grow(struct arena *arena, void **ptr, size_t *cap, size_t count, size_t elem_len);

void *ox_arena_copy(struct arena *arena, const void *from, size_t len);
char *ox_arena_strdup(struct arena *arena, const char *text);
char *ox_arena_strndup(struct arena *arena, const char *text, size_t len);
char *ox_arena_printf(struct arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
char *ox_arena_vprintf(struct arena *arena, const char *fmt, va_list args);

/* Run fn(arg) when the arena is reset or finished; last registered first. */
void ox_arena_on_free(struct arena *arena, void (*fn)(void *arg), void *arg);

static inline bool
ox_arena_over(const struct arena *arena)
{
    return arena->used > arena->cap;
}

/* a * b, or stops the node on overflow: for sizes already checked. */
size_t ox_size_mul(size_t a, size_t b);

/* malloc family for what outlives a call; never NULL. */
void *ox_malloc(size_t len);
void *ox_calloc(size_t count, size_t len);
void *ox_realloc(void *ptr, size_t len);
char *ox_strdup(const char *text);
/* len bytes of zeros, pages of their own; munmap() gives them back. Never NULL. */
void *ox_pages(size_t len);
void ox_free(void *ptr);
/* Gives free memory back to the system: some milliseconds, after a busy time. */
void ox_heap_trim(void);

#endif
