/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside coord/: the order of equals. Where Kafka's assignors say nothing of who comes
 * first, it is the order of Java's collections, which depends on the ids alone; with the
 * same order tasks go to the same members. */
#ifndef COORD_JAVA_ORDER_H
#define COORD_JAVA_ORDER_H

#include "base/str.h"

struct java_row {
    struct str id;
    uint32_t what;        /* the caller's */
    uint32_t place, turn; /* inside */
};

/* Strings by their hash. */
uint32_t java_hash(struct str id);

/* Rows in the order of a HashMap into which they were put as they come. */
void java_map_order(struct java_row *rows, uint32_t count);
/* The same of one made for so many entries, and filled with computeIfAbsent; rows may bear
 * an id again, and only the first of each stays. Returns how many do. */
uint32_t java_compute_order(struct java_row *rows, uint32_t count);
/* Rows in the order of Kafka's TimelineHashMap that had up to peak entries; rows come by
 * the time at which they were put. */
void java_timeline_order(struct java_row *rows, uint32_t count, uint32_t peak);

/* A PriorityQueue of numbers; the caller's array has room. */
struct java_heap {
    uint32_t *at;
    uint32_t count;
    bool (*less)(const void *self, uint32_t a, uint32_t b);
    const void *self;
};

void java_heap_add(struct java_heap *heap, uint32_t what);
uint32_t java_heap_poll(struct java_heap *heap); /* it must not be empty */

#endif
