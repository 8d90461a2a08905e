/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows that are written once and read any number of times from the start: in
 * memory as far as they may, the rest in a temporary file. */
#ifndef EXEC_STORE_H
#define EXEC_STORE_H

#include "exec/spill.h"

struct store {
    struct rows rows;
    struct spill spill;
    bool spilling;
    size_t memory; /* of rows, before spilling starts */
};

/* types are borrowed. */
void store_init(struct store *store, struct exec_run *run, const struct type *types,
    uint32_t ncols, size_t memory);
void store_fini(struct store *store);
bool store_add(struct store *store, const struct batch *batch); /* false: run_err() */
bool store_end(struct store *store); /* after the last add */

static inline uint64_t
store_count(const struct store *store)
{
    return store->rows.count + store->spill.count;
}

struct store_reader {
    struct store *store;
    uint32_t chunk_at;
    struct spill_reader spill;
    struct chunk *chunk; /* read from the file */
};

void store_reader_init(struct store_reader *reader, struct store *store);
void store_reader_fini(struct store_reader *reader);
/* The next chunk, borrowed until the next call; NULL at the end. */
bool store_read(struct store_reader *reader, const struct batch **out);

#endif
