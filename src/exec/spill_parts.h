/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators by hash do when their table outgrows the memory: rows go to
 * files by their hash, and each file is a smaller problem for later, split again
 * if it is still too large.
 *
 * Invariant: rows of a part of level n agree in the first 4n bits of their hash. */
#ifndef EXEC_SPILL_PARTS_H
#define EXEC_SPILL_PARTS_H

#include "exec/exec_int.h"
#include "exec/spill.h"

enum { SPILL_PARTS = 16 };

struct spill_part {
    struct spill left, right; /* of the inputs; an operator with one has only left */
    uint32_t level;
    uint32_t set; /* of the operator's sets */
    struct spill_part *next;
};

struct spill_parts {
    struct op *op;
    struct spill_part **filling; /* SPILL_PARTS a set; all NULL before the first row */
    uint32_t count;
    struct spill_part *full;
    struct spill_part *reading; /* NULL: the operator reads its inputs */
    uint32_t level;             /* of what is read */
    struct spill_reader reader;
    struct chunk *chunk;
};

/* The operator keeps rows of so many sets apart. */
void spill_parts_init(struct spill_parts *parts, struct op *op, uint32_t sets);
void spill_parts_fini(struct spill_parts *parts);
/* The part for rows of that hash; right NULL: the operator has one input. The types are
 * borrowed until the end. */
struct spill_part *spill_parts_of(struct spill_parts *parts, uint64_t hash, uint32_t set,
    const struct type *left, uint32_t left_cols, const struct type *right, uint32_t right_cols);
/* The same, NULL: there is none yet. */
struct spill_part *spill_parts_find(const struct spill_parts *parts, uint64_t hash, uint32_t set);
/* What is being filled is full; begins with the next part, at its left rows. *more false:
 * there is none. False: run_err() is set. */
bool spill_parts_next(struct spill_parts *parts, bool *more);
/* Reads that side of the part from its beginning. */
void spill_parts_rewind(struct spill_parts *parts, bool left);
/* The next rows of it: EXEC_ROWS, EXEC_DONE, EXEC_PARK or EXEC_FAIL. Borrowed until the
 * next call. */
enum exec_status spill_parts_read(struct spill_parts *parts, struct batch **out);

#endif
