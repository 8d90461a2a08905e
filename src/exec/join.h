/* SPDX-License-Identifier: Apache-2.0
 *
 * What both joins share: pairs of rows, the condition over them, and what
 * outer, semi and anti joins make of the pairs that pass. */
#ifndef EXEC_JOIN_H
#define EXEC_JOIN_H

#include "exec/exec_int.h"

#define JOIN_NO_ROW UINT32_MAX

/* A run of candidate pairs, those of one left row next to each other. */
struct join_pairs {
    uint32_t count;
    uint32_t left[VECTOR_MAX];  /* row of the left batch */
    uint32_t right[VECTOR_MAX]; /* row on the right; JOIN_NO_ROW: the left row has no candidate */
    bool last[VECTOR_MAX];      /* no more pairs of this left row will follow */
};

struct joiner {
    struct op *op;
    enum join_kind kind;
    const struct expr *condition;
    uint32_t left_cols, right_cols;
    bool left_matched; /* of the left row whose pairs go on in the next run */
    bool pending;      /* that row has had a pair */
    struct join_pairs pairs;
    bool pass[VECTOR_MAX];
    uint32_t sel[VECTOR_MAX];
    struct batch out;
    struct batch both;
};

void joiner_init(struct joiner *joiner, struct op *op, enum join_kind kind,
    const struct expr *condition, uint32_t left_cols, uint32_t right_cols);

/* Where right rows are: in a store by number, or in one chunk. */
struct join_right {
    const struct rows *rows; /* or NULL: */
    const struct batch *chunk;
    uint8_t *matched; /* RIGHT, FULL: a byte a row, set for those that passed */
    uint64_t base;    /* of matched for row 0 */
};

/* Evaluate and give the rows of joiner->pairs (cleared after). False: run_err(). */
bool joiner_emit(struct joiner *joiner, const struct batch *left, const struct join_right *right,
    struct batch **out);
/* Right rows refs[0..n-1] without a left one. */
void joiner_emit_right(struct joiner *joiner, const struct join_right *right,
    const struct type *left_types, const uint32_t *refs, uint32_t n, struct batch **out);

#endif
