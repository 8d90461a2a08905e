/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the evaluator: expr.c walks, expr_compound.c has the
 * steps of arrays and rows. */
#ifndef EXEC_EXPR_EVAL_H
#define EXEC_EXPR_EVAL_H

#include "exec/expr_int.h"

/* Rows of a batch, rising. */
struct eval_rows {
    const uint32_t *sel;
    uint32_t n;
};

/* One kind of node over the rows: makes out, and fills the entries of those rows. */
typedef ox_code (*eval_step_fn)(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);

/* Entries that a vector of these rows has. */
static inline uint32_t
eval_rows_room(struct eval_rows rows)
{
    return rows.n > 0 ? rows.sel[rows.n - 1] + 1 : 1;
}

static inline bool
eval_is_null(const struct vector *vec, uint32_t row)
{
    return vec->nulls != NULL && vec->nulls[vec->constant ? 0 : row];
}

/* ---- expr.c ---- */

ox_code eval_node(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);
/* All arguments, in the eval's arena; one that is left out is zero. */
ox_code eval_args(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector **out, struct ox_err *err);
/* What a node keeps from batch to batch: NULL when it is asked for first. */
void **eval_slot(struct eval *ev, const struct expr *expr);
/* One row through a function that may only have a column form. */
ox_code eval_call_row(
    struct call *call, const struct func *func, const struct datum *args, struct datum *out);

/* ---- expr_compound.c ---- */

ox_code eval_array(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);
ox_code eval_subscript(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);
ox_code eval_any_all(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);
ox_code eval_row(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);
ox_code eval_field(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);
ox_code eval_row_compare(struct eval *ev, const struct expr *expr, const struct batch *batch,
    struct eval_rows rows, struct vector *out, struct ox_err *err);

#endif
