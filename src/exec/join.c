/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/join.h"

void
joiner_init(struct joiner *joiner, struct op *op, enum join_kind kind, const struct expr *condition,
    uint32_t left_cols, uint32_t right_cols)
{
    memset(joiner, 0, sizeof(*joiner));
    joiner->op = op;
    joiner->kind = kind;
    joiner->condition = condition;
    joiner->left_cols = left_cols;
    joiner->right_cols = right_cols;
}

/* Column values of the pairs' rows; JOIN_NO_ROW gives NULL. */
static void
gather(struct vector *to, const struct vector *from, const uint32_t *rows, uint32_t n,
    struct arena *arena)
{
    vector_init(to, from->type, OX_MAX(n, 1u), arena);
    enum phys phys = type_phys(from->type);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = rows[k];
        if (row != JOIN_NO_ROW && from->constant)
            row = 0;
        if (row == JOIN_NO_ROW || (from->nulls != NULL && from->nulls[row])) {
            vector_nulls(to, n, arena)[k] = 1;
            if (phys == PHYS_STR)
                to->s[k] = (struct str){NULL, 0};
            continue;
        }
        vector_take(to, phys, k, from, row);
    }
}

static void
combine(struct joiner *joiner, const struct batch *left, const struct join_right *right,
    const uint32_t *lrows, const uint32_t *rrows, uint32_t n, struct batch *to)
{
    struct arena *arena = &joiner->op->scratch;
    *to = *batch_new(arena, joiner->left_cols + joiner->right_cols);
    for (uint32_t i = 0; i < joiner->left_cols; i++)
        gather(&to->cols[i], &left->cols[i], lrows, n, arena);
    for (uint32_t i = 0; i < joiner->right_cols; i++) {
        struct vector *col = &to->cols[joiner->left_cols + i];
        if (right->rows != NULL)
            rows_gather(right->rows, i, rrows, n, col, arena);
        else
            gather(col, &right->chunk->cols[i], rrows, n, arena);
    }
    to->count = to->sel_count = n;
}

/* Which pairs pass; pairs without a right row do not. */
static bool
judge(struct joiner *joiner, const struct batch *left, const struct join_right *right)
{
    struct join_pairs *pairs = &joiner->pairs;
    for (uint32_t k = 0; k < pairs->count; k++)
        joiner->pass[k] = joiner->condition == NULL && pairs->right[k] != JOIN_NO_ROW;
    if (joiner->condition == NULL)
        return true;
    combine(joiner, left, right, pairs->left, pairs->right, pairs->count, &joiner->both);
    uint32_t candidates[VECTOR_MAX], count = 0, passed;
    for (uint32_t k = 0; k < pairs->count; k++)
        if (pairs->right[k] != JOIN_NO_ROW)
            candidates[count++] = k;
    joiner->both.sel = candidates;
    joiner->both.sel_count = count;
    if (expr_select(&joiner->op->eval, joiner->condition, &joiner->both, joiner->sel, &passed,
            run_err(joiner->op->run)) != OX_OK)
        return false;
    for (uint32_t k = 0; k < passed; k++)
        joiner->pass[joiner->sel[k]] = true;
    return true;
}

static void
mark_right(struct joiner *joiner, const struct join_right *right)
{
    if (right->matched == NULL)
        return;
    for (uint32_t k = 0; k < joiner->pairs.count; k++)
        if (joiner->pass[k])
            right->matched[right->base + joiner->pairs.right[k]] = 1;
}

/* Left rows of SEMI and ANTI: a selection of the left batch. */
static void
emit_left_only(struct joiner *joiner, const struct batch *left, struct batch **out)
{
    struct join_pairs *pairs = &joiner->pairs;
    uint32_t n = 0;
    for (uint32_t k = 0; k < pairs->count; k++) {
        bool seen = joiner->left_matched;
        joiner->left_matched |= joiner->pass[k];
        if (joiner->kind == JOIN_SEMI && joiner->pass[k] && !seen)
            joiner->sel[n++] = pairs->left[k];
        if (pairs->last[k]) {
            if (joiner->kind == JOIN_ANTI && !joiner->left_matched)
                joiner->sel[n++] = pairs->left[k];
            joiner->left_matched = false;
        }
    }
    joiner->out = *left;
    joiner->out.sel = joiner->sel;
    joiner->out.sel_count = n;
    *out = &joiner->out;
}

bool
joiner_emit(struct joiner *joiner, const struct batch *left, const struct join_right *right,
    struct batch **out)
{
    struct join_pairs *pairs = &joiner->pairs;
    ox_arena_reset(&joiner->op->scratch);
    if (!judge(joiner, left, right))
        return false;
    mark_right(joiner, right);
    if (joiner->kind == JOIN_SEMI || joiner->kind == JOIN_ANTI) {
        emit_left_only(joiner, left, out);
        pairs->count = 0;
        return true;
    }
    bool outer = joiner->kind == JOIN_LEFT || joiner->kind == JOIN_FULL;
    uint32_t lrows[VECTOR_MAX], rrows[VECTOR_MAX], n = 0;
    for (uint32_t k = 0; k < pairs->count; k++) {
        joiner->left_matched |= joiner->pass[k];
        if (joiner->pass[k]) {
            lrows[n] = pairs->left[k];
            rrows[n++] = pairs->right[k];
        }
        if (!pairs->last[k])
            continue;
        if (outer && !joiner->left_matched) {
            lrows[n] = pairs->left[k];
            rrows[n++] = JOIN_NO_ROW;
        }
        joiner->left_matched = false;
    }
    combine(joiner, left, right, lrows, rrows, n, &joiner->out);
    pairs->count = 0;
    *out = &joiner->out;
    return true;
}

void
joiner_emit_right(struct joiner *joiner, const struct join_right *right,
    const struct type *left_types, const uint32_t *refs, uint32_t n, struct batch **out)
{
    struct arena *arena = &joiner->op->scratch;
    ox_arena_reset(arena);
    joiner->out = *batch_new(arena, joiner->left_cols + joiner->right_cols);
    for (uint32_t i = 0; i < joiner->left_cols; i++)
        vector_constant(&joiner->out.cols[i], left_types[i], DATUM_NULL, arena);
    for (uint32_t i = 0; i < joiner->right_cols; i++) {
        struct vector *col = &joiner->out.cols[joiner->left_cols + i];
        if (right->rows != NULL)
            rows_gather(right->rows, i, refs, n, col, arena);
        else
            gather(col, &right->chunk->cols[i], refs, n, arena);
    }
    joiner->out.count = joiner->out.sel_count = n;
    *out = &joiner->out;
}
