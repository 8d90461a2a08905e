/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows kept: columns copied out of batches into chunks of VECTOR_MAX rows,
 * strings included. What sorts, joins, CTEs and windows hold, and what spills. */
#ifndef EXEC_ROWS_H
#define EXEC_ROWS_H

#include "base/arena.h"
#include "row/row.h"

struct chunk {
    struct batch batch; /* no selection; count rows */
    struct arena arena;
    uint32_t cap;
};

struct rows {
    const struct type *types; /* borrowed */
    uint32_t ncols;
    struct chunk **chunks; /* all full but the last */
    uint32_t chunk_count, chunk_cap;
    uint64_t count;
    size_t bytes; /* of memory held */
};

void rows_init(struct rows *rows, const struct type *types, uint32_t ncols);
void rows_fini(struct rows *rows); /* then as after init */

/* Copy n rows of cols (sel NULL: rows from..from+n-1, else sel[from..from+n-1]). */
void rows_add(struct rows *rows, const struct vector *cols, const uint32_t *sel, uint32_t from,
    uint32_t n);
/* All selected rows of a batch that has the same columns. */
void rows_add_batch(struct rows *rows, const struct batch *batch);
/* One row given as datums. */
void rows_add_datums(struct rows *rows, const struct datum *values);

static inline const struct batch *
rows_at(const struct rows *rows, uint64_t row, uint32_t *in_chunk)
{
    *in_chunk = (uint32_t)(row % VECTOR_MAX);
    return &rows->chunks[row / VECTOR_MAX]->batch;
}

static inline struct datum
rows_get(const struct rows *rows, uint64_t row, uint32_t col)
{
    uint32_t at;
    const struct batch *batch = rows_at(rows, row, &at);
    return vector_get(&batch->cols[col], at);
}

/* to[k] = column col of row refs[k]; UINT32_MAX gives NULL. Strings are borrowed from rows. */
void rows_gather(const struct rows *rows, uint32_t col, const uint32_t *refs, uint32_t n,
    struct vector *to, struct arena *arena);

/* Take the chunk out of (or a fresh chunk into) rows, for spilling. */
struct chunk *chunk_new(const struct type *types, uint32_t ncols, uint32_t cap);
void chunk_free(struct chunk *chunk);

#endif
