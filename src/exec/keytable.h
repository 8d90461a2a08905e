/* SPDX-License-Identifier: Apache-2.0
 *
 * Tuples of values to dense numbers: groups of an aggregate, rows seen by
 * DISTINCT and set operations, keys of a hash join. Nulls equal each other.
 * Open addressing over (tag, id); the tuples lie in a row store by id. */
#ifndef EXEC_KEYTABLE_H
#define EXEC_KEYTABLE_H

#include "exec/rows.h"

#define KEYTABLE_NONE UINT32_MAX

struct keytable_slot {
    uint32_t tag; /* low half of the hash */
    uint32_t id;  /* + 1; 0 is empty */
};

struct keytable {
    const struct type *types; /* borrowed */
    uint32_t ncols;
    struct rows rows;    /* the tuple of an id */
    uint64_t *hashes;    /* the hash of an id */
    uint32_t hash_cap;
    struct keytable_slot *slots;
    uint32_t slot_count; /* power of two */
    enum { KEYTABLE_I64, KEYTABLE_BYTES, KEYTABLE_ANY } mode;
};

void keytable_init(struct keytable *table, const struct type *types, uint32_t ncols);
void keytable_fini(struct keytable *table);

static inline uint32_t
keytable_count(const struct keytable *table)
{
    return (uint32_t)table->rows.count;
}

size_t keytable_bytes(const struct keytable *table);

/* Hash of the columns of n selected rows: hashes[k] for the k-th. */
void keytable_hash(const struct keytable *table, const struct vector *cols, const uint32_t *sel,
    uint32_t n, uint64_t *hashes);

/* ids[k] of the k-th selected row. Missing tuples are added if add, else give
 * KEYTABLE_NONE. n is at most VECTOR_MAX. */
void keytable_find(struct keytable *table, const struct vector *cols, const uint32_t *sel,
    uint32_t n, const uint64_t *hashes, bool add, uint32_t *ids);

#endif
