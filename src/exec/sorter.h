/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorting of rows: what SORT and WINDOW share. Rows are added in batches, then
 * taken in order. Stable. Beyond the memory it may use it writes sorted runs to
 * temporary files and merges them. */
#ifndef EXEC_SORTER_H
#define EXEC_SORTER_H

#include "exec/exec_int.h"

struct sorter_key {
    uint32_t column;
    bool desc, nulls_first;
};

struct sorter;

/* types, keys: borrowed until free. keep: only the first so many rows are
 * wanted, UINT64_MAX all. */
struct sorter *sorter_new(struct op *op, const struct type *types, uint32_t ncols,
    const struct sorter_key *keys, uint32_t key_count, uint64_t keep);
void sorter_free(struct sorter *sorter); /* NULL is allowed */

/* EXEC_ROWS: added. EXEC_PARK, EXEC_FAIL: call sorter_work() until it gives EXEC_ROWS. */
enum exec_status sorter_add(
    struct sorter *sorter, const struct vector *cols, const uint32_t *sel, uint32_t n);
/* Go on with a spill that was interrupted. */
enum exec_status sorter_work(struct sorter *sorter);
/* After the last add and until EXEC_DONE: batches in order, all columns, borrowed until the
 * next call. */
enum exec_status sorter_next(struct sorter *sorter, struct batch **out);

/* With `keep`: the first key of the last row that would be kept now. False: there are fewer. */
bool sorter_threshold(const struct sorter *sorter, struct datum *out);

/* -1, 0, 1 for two values of a type, nulls included, as a key says. */
int sorter_compare(struct type type, bool desc, bool nulls_first, const struct vector *a,
    uint32_t arow, const struct vector *b, uint32_t brow);

#endif
