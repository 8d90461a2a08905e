/* SPDX-License-Identifier: Apache-2.0
 *
 * Size classes are powers of two from 4 KiB to 2 MiB. Each thread that takes
 * buffers of a class keeps a few free ones of it (at most CACHE_BYTES) without a
 * lock. What does not fit goes to a depot that all threads share, and whose cache
 * is empty looks there before it allocates: a loop receives into buffers, the
 * flusher lets go of them, and they must find their way back.
 *
 * Once a second what nobody needed in it is freed: a stack of free buffers never
 * was below `low`, so that many at its bottom were of no use. Large buffers are
 * mappings of their own, which go back to the system when they are freed. */
#include "base/buf.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/check.h"

enum { CLASS_MIN_SHIFT = 12, CLASS_COUNT = 10, CACHE_BYTES = 1024 * 1024, CACHE_MAX = 32 };
enum { MAPPED_MIN = 256 * 1024 };

enum { DEPOT_BYTES = 6 * 1024 * 1024, DEPOT_MAX = 256 };

/* Free buffers of one class that no thread owns. The lock is a leaf, held for a
 * few instructions. */
struct depot {
    pthread_mutex_t mutex;
    struct buf *free[DEPOT_MAX];
    uint32_t count, low; /* low: the fewest since ox_buf_tend_depot() */
};

static struct depot depots[CLASS_COUNT] = {
    [0 ... CLASS_COUNT - 1] = {.mutex = PTHREAD_MUTEX_INITIALIZER},
};

struct class_cache {
    struct buf *free[CACHE_MAX];
    uint32_t count, low; /* low: the fewest since ox_buf_tend() */
    bool takes;          /* this thread took such a buffer before */
};

static _Thread_local struct class_cache cache[CLASS_COUNT];
static _Thread_local int cache_registered;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

/* Where memory is watched (ASan), all of it is malloc's. */
static bool
is_mapped(uint16_t class, size_t cap)
{
#ifdef __SANITIZE_ADDRESS__
    return false;
#else
    return class != UINT16_MAX && cap >= MAPPED_MIN;
#endif
}

static uint8_t *
bytes_new(uint16_t class, size_t cap)
{
    if (!is_mapped(class, cap))
        return ox_malloc(cap);
    mem_mapped((int64_t)cap);
    return ox_pages(cap);
}

static void
free_buf(struct buf *buf)
{
    mem_sub((enum mem_class)buf->mem, buf->cap);
    if (is_mapped(buf->size_class, buf->cap)) {
        munmap(buf->ptr, buf->cap);
        mem_mapped(-(int64_t)buf->cap);
    } else {
        ox_free(buf->ptr);
    }
    ox_free(buf);
}

/* The buffer is somebody else's now. */
static void
change_owner(struct buf *buf, enum mem_class mem)
{
    mem_sub((enum mem_class)buf->mem, buf->cap);
    mem_add(mem, buf->cap);
    buf->mem = (uint16_t)mem;
}

static void
drain_cache(void *arg)
{
    (void)arg;
    for (int class = 0; class < CLASS_COUNT; class++)
        while (cache[class].count > 0)
            free_buf(cache[class].free[--cache[class].count]);
    cache_registered = 2; /* later puts on this thread free at once */
}

static void
make_key(void)
{
    pthread_key_create(&cache_key, drain_cache);
}

/* The cache empties itself when its thread ends. */
static void
register_cache(void)
{
    pthread_once(&cache_once, make_key);
    pthread_setspecific(cache_key, cache);
    cache_registered = 1;
}

static uint16_t
class_of(size_t cap)
{
    size_t size = (size_t)1 << CLASS_MIN_SHIFT;
    for (uint16_t class = 0; class < CLASS_COUNT; class++, size <<= 1)
        if (cap <= size)
            return class;
    return UINT16_MAX;
}

static struct buf *
take_free(uint16_t class)
{
    struct class_cache *own = &cache[class];
    own->takes = true;
    if (own->count > 0) {
        struct buf *buf = own->free[--own->count];
        own->low = OX_MIN(own->low, own->count);
        return buf;
    }
    struct depot *depot = &depots[class];
    pthread_mutex_lock(&depot->mutex);
    struct buf *buf = depot->count > 0 ? depot->free[--depot->count] : NULL;
    depot->low = OX_MIN(depot->low, depot->count);
    pthread_mutex_unlock(&depot->mutex);
    return buf;
}

struct buf *
ox_buf_new_as(size_t cap, enum mem_class mem)
{
    uint16_t class = cap < 2048 ? UINT16_MAX : class_of(cap);
    struct buf *buf = class != UINT16_MAX ? take_free(class) : NULL;
    if (buf != NULL) {
        change_owner(buf, mem);
        atomic_store_explicit(&buf->refs, 1, memory_order_relaxed);
        return buf;
    }
    buf = ox_malloc(sizeof(*buf));
    atomic_init(&buf->refs, 1);
    buf->size_class = class;
    buf->cap = class == UINT16_MAX ? cap : (size_t)1 << (CLASS_MIN_SHIFT + class);
    buf->ptr = bytes_new(class, buf->cap);
    buf->mem = (uint16_t)mem;
    mem_add(mem, buf->cap);
    return buf;
}

struct buf *
ox_buf_get(struct buf *buf)
{
    uint32_t before = atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);
    ox_assert(before > 0);
    return buf;
}

/* Whether the depot had room. */
static bool
give_depot(struct buf *buf)
{
    struct depot *depot = &depots[buf->size_class];
    pthread_mutex_lock(&depot->mutex);
    bool room = depot->count < DEPOT_MAX && (depot->count + 1) * buf->cap <= DEPOT_BYTES;
    if (room)
        depot->free[depot->count++] = buf;
    pthread_mutex_unlock(&depot->mutex);
    return room;
}

void
ox_buf_put(struct buf *buf)
{
    if (buf == NULL)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel);
    ox_assert(before > 0);
    if (before > 1)
        return;
    uint16_t class = buf->size_class;
    if (class != UINT16_MAX)
        change_owner(buf, MEM_CACHE);
    if (class != UINT16_MAX && cache_registered != 2 && cache[class].takes &&
        cache[class].count < CACHE_MAX && (cache[class].count + 1) * buf->cap <= CACHE_BYTES) {
        if (!cache_registered)
            register_cache();
        cache[class].free[cache[class].count++] = buf;
        return;
    }
    if (class == UINT16_MAX || !give_depot(buf))
        free_buf(buf);
}

/* The oldest of a depot, or all of them. */
static void
free_from_depot(struct depot *depot, bool all)
{
    struct buf *taken[DEPOT_MAX];
    pthread_mutex_lock(&depot->mutex);
    uint32_t count = all ? depot->count : depot->low;
    memcpy(taken, depot->free, count * sizeof(taken[0]));
    depot->count -= count;
    memmove(depot->free, depot->free + count, depot->count * sizeof(taken[0]));
    depot->low = depot->count;
    pthread_mutex_unlock(&depot->mutex);
    while (count > 0)
        free_buf(taken[--count]);
}

static void
free_from_cache(struct class_cache *own, bool all)
{
    uint32_t count = all ? own->count : own->low;
    for (uint32_t i = 0; i < count; i++)
        free_buf(own->free[i]);
    own->count -= count;
    memmove(own->free, own->free + count, own->count * sizeof(own->free[0]));
    own->low = own->count;
}

void
ox_buf_tend(void)
{
    for (int class = 0; class < CLASS_COUNT; class++)
        free_from_cache(&cache[class], false);
}

void
ox_buf_tend_depot(void)
{
    for (int class = 0; class < CLASS_COUNT; class++)
        free_from_depot(&depots[class], false);
}

void
ox_buf_trim(void)
{
    for (int class = 0; class < CLASS_COUNT; class++) {
        free_from_cache(&cache[class], true);
        free_from_depot(&depots[class], true);
    }
}
