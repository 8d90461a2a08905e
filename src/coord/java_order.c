/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table of Java gives its entries by bucket, and within a bucket by the order in
 * which they came, or the other way round; how many buckets there are goes by how many
 * entries there were at most. (Buckets of nine and more, which Java makes trees of, come
 * in the same order here.) A priority queue is a binary heap, and which of equals comes
 * first is where the heap has them. */
#include "coord/java_order.h"

#include <stdlib.h>

#include "base/check.h"

enum { MAP_BUCKETS = 16 };

uint32_t
java_hash(struct str id)
{
    uint32_t hash = 0;
    const char *end = id.ptr + id.len;
    for (const char *at = id.ptr; at < end;) {
        size_t len;
        uint32_t code = ox_utf8_get(at, end, &len);
        at += len;
        if (code > 0xffff) { /* two units of UTF-16 */
            hash = 31 * hash + 0xd800 + ((code - 0x10000) >> 10);
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + code;
    }
    return hash;
}

/* ---- hash tables ---- */

/* In a table of a power of two. */
static uint32_t
bucket(struct str id, uint32_t buckets)
{
    uint32_t hash = java_hash(id);
    return (hash ^ hash >> 16) & (buckets - 1);
}

/* An entry more than so many and the table grows. */
static uint32_t
threshold(uint32_t buckets)
{
    return (uint32_t)((uint64_t)buckets * 3 / 4);
}

static int
by_place(const void *a, const void *b)
{
    const struct java_row *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->turn > y->turn) - (x->turn < y->turn);
}

static void
sort_rows(struct java_row *rows, uint32_t count)
{
    if (count > 1)
        qsort(rows, count, sizeof(*rows), by_place);
}

void
java_map_order(struct java_row *rows, uint32_t count)
{
    uint32_t buckets = MAP_BUCKETS;
    while (count > threshold(buckets))
        buckets *= 2;
    for (uint32_t i = 0; i < count; i++) {
        rows[i].place = bucket(rows[i].id, buckets);
        rows[i].turn = i;
    }
    sort_rows(rows, count);
}

static bool
among(const struct java_row *rows, uint32_t count, struct str id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ox_str_eq(rows[i].id, id))
            return true;
    return false;
}

/* The table grows before the id is looked for, and a new entry comes first in its bucket. */
uint32_t
java_compute_order(struct java_row *rows, uint32_t count)
{
    uint32_t buckets = 1, kept = 0;
    while (buckets < count)
        buckets *= 2;
    for (uint32_t i = 0; i < count; i++) {
        if (kept > threshold(buckets))
            buckets *= 2;
        if (!among(rows, kept, rows[i].id))
            rows[kept++] = rows[i];
    }
    for (uint32_t i = 0; i < kept; i++) {
        rows[i].place = bucket(rows[i].id, buckets);
        rows[i].turn = kept - i;
    }
    sort_rows(rows, kept);
    return kept;
}

void
java_timeline_order(struct java_row *rows, uint32_t count, uint32_t peak)
{
    uint32_t bits = 1;
    while (bits < 30 && (uint64_t)peak * 3 > (uint64_t)4 << bits)
        bits++;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = (uint64_t)(int64_t)(int32_t)java_hash(rows[i].id);
        rows[i].place = (uint32_t)(hash * UINT64_C(0x9E3779B97F4A7C15) >> (64 - bits));
        rows[i].turn = count - i;
    }
    sort_rows(rows, count);
}

/* ---- a heap ---- */

void
java_heap_add(struct java_heap *heap, uint32_t what)
{
    uint32_t at = heap->count++;
    for (; at > 0; at = (at - 1) / 2) {
        uint32_t above = heap->at[(at - 1) / 2];
        if (!heap->less(heap->self, what, above))
            break;
        heap->at[at] = above;
    }
    heap->at[at] = what;
}

uint32_t
java_heap_poll(struct java_heap *heap)
{
    ox_assert(heap->count > 0);
    uint32_t first = heap->at[0], last = heap->at[--heap->count], at = 0;
    while (at < heap->count / 2) {
        uint32_t below = 2 * at + 1;
        if (below + 1 < heap->count &&
            heap->less(heap->self, heap->at[below + 1], heap->at[below]))
            below++;
        if (!heap->less(heap->self, heap->at[below], last))
            break;
        heap->at[at] = heap->at[below];
        at = below;
    }
    heap->at[at] = last;
    return first;
}
