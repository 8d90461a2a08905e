/* SPDX-License-Identifier: Apache-2.0
 *
 * Size classes are powers of two from 4 KiB to 2 MiB. Each thread keeps a few
 * free buffers of each class (at most CACHE_BYTES a class) without a lock. What
 * does not fit goes to a depot that all threads share, and whose cache is empty
 * looks there before it allocates: a loop receives into buffers, the flusher
 * lets go of them, and they must find their way back. */
#include "base/buf.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"

enum { CLASS_MIN_SHIFT = 12, CLASS_COUNT = 10, CACHE_BYTES = 1024 * 1024, CACHE_MAX = 32 };

enum { DEPOT_BYTES = 6 * 1024 * 1024, DEPOT_MAX = 256 };

/* Free buffers of one class that no thread owns. The lock is a leaf, held for a
 * few instructions. */
struct depot {
    pthread_mutex_t mutex;
    struct buf *free[DEPOT_MAX];
    uint32_t count;
};

static struct depot depots[CLASS_COUNT] = {
    [0 ... CLASS_COUNT - 1] = {.mutex = PTHREAD_MUTEX_INITIALIZER},
};

struct class_cache {
    struct buf *free[CACHE_MAX];
    uint32_t count;
};

static _Thread_local struct class_cache cache[CLASS_COUNT];
static _Thread_local int cache_registered;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void
free_buf(struct buf *buf)
{
    mem_sub((enum mem_class)buf->mem, buf->cap);
    ox_free(buf->ptr);
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
    if (cache[class].count > 0)
        return cache[class].free[--cache[class].count];
    struct depot *depot = &depots[class];
    pthread_mutex_lock(&depot->mutex);
    struct buf *buf = depot->count > 0 ? depot->free[--depot->count] : NULL;
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
    buf->ptr = ox_malloc(buf->cap);
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
    if (class != UINT16_MAX && cache_registered != 2 && cache[class].count < CACHE_MAX &&
        (cache[class].count + 1) * buf->cap <= CACHE_BYTES) {
        if (!cache_registered)
            register_cache();
        cache[class].free[cache[class].count++] = buf;
        return;
    }
    if (class == UINT16_MAX || !give_depot(buf))
        free_buf(buf);
}

void
ox_buf_trim(void)
{
    struct buf *taken[DEPOT_MAX];
    for (int class = 0; class < CLASS_COUNT; class++) {
        struct depot *depot = &depots[class];
        while (cache[class].count > 0)
            free_buf(cache[class].free[--cache[class].count]);
        pthread_mutex_lock(&depot->mutex);
        uint32_t count = depot->count;
        memcpy(taken, depot->free, count * sizeof(struct buf *));
        depot->count = 0;
        pthread_mutex_unlock(&depot->mutex);
        while (count > 0)
            free_buf(taken[--count]);
    }
}
