/* SPDX-License-Identifier: Apache-2.0
 *
 * LOOP_JOIN: every left row with every right row, any condition. The right side
 * is read once into a store, or, when it is lateral, opened anew for each left
 * row, which it sees as its outer row.
 *
 * Pairs come left row by left row. When the right side has several chunks, a
 * left batch meets one chunk after the other, and which left rows found nobody
 * is known, and given, after the last. */
#include "exec/join.h"
#include "exec/store.h"

struct join_loop {
    struct op op;
    struct joiner joiner;
    struct type *left_types, *right_types;
    struct store store;
    struct store_reader reader;
    bool built;
    uint8_t *matched; /* RIGHT, FULL: by right row */
    struct batch *left;
    uint32_t left_n, left_at;
    const struct batch *chunk;
    uint32_t chunk_at; /* right row of left_at that comes next */
    uint64_t chunk_base;
    bool several; /* more than one chunk: left_seen is used */
    uint8_t left_seen[VECTOR_MAX];
    enum { LEFT, PAIRS, LEFT_REST, RIGHT_REST } phase;
    struct exec_scope scope; /* lateral */
    struct batch none;       /* the right side without rows: types only */
};

static const struct plan_join_loop *
plan_of(const struct join_loop *join)
{
    return (const struct plan_join_loop *)join->op.plan;
}

static bool
loop_open(struct op *op)
{
    struct join_loop *join = (struct join_loop *)op;
    const struct plan_join_loop *plan = plan_of(join);
    if (op->input == NULL) {
        join->scope.outer = op->scope;
        op->input = op_new(op->run, op->plan->input, op->scope);
        op->right = op_new(op->run, op->plan->right, plan->lateral ? &join->scope : op->scope);
    }
    joiner_init(&join->joiner, op, plan->kind, plan->condition, op->plan->input->column_count,
        op->plan->right->column_count);
    join->left_types = plan_types(op->plan->input, &op->arena);
    join->right_types = plan_types(op->plan->right, &op->arena);
    store_init(&join->store, op->run, join->right_types, op->plan->right->column_count,
        op->run->config.work_mem);
    join->built = plan->lateral;
    join->left = NULL;
    join->chunk = NULL;
    join->phase = LEFT;
    join->matched = NULL;
    join->several = false;
    join->none = *batch_new(&op->arena, op->plan->right->column_count);
    for (uint32_t i = 0; i < join->none.ncols; i++)
        join->none.cols[i].type = join->right_types[i];
    return op_open(op->input) && (plan->lateral || op_open(op->right));
}

static void
loop_close(struct op *op)
{
    struct join_loop *join = (struct join_loop *)op;
    op_close(op->input);
    op_close(op->right);
    store_reader_fini(&join->reader);
    if (join->right_types != NULL)
        store_fini(&join->store);
    ox_free(join->matched);
    join->matched = NULL;
}

static enum exec_status
build(struct join_loop *join)
{
    struct op *op = &join->op;
    for (;;) {
        struct batch *in;
        enum exec_status status = op_next(op->right, &in);
        if (status == EXEC_DONE)
            break;
        if (status != EXEC_ROWS)
            return status;
        if (!store_add(&join->store, in))
            return EXEC_FAIL;
    }
    if (!store_end(&join->store))
        return EXEC_FAIL;
    op->counters->memory_max = join->store.rows.bytes;
    op->counters->spill_bytes += join->store.spill.len;
    join->several = join->store.rows.chunk_count > 1 || join->store.spilling;
    if (plan_of(join)->kind == JOIN_RIGHT || plan_of(join)->kind == JOIN_FULL)
        join->matched = ox_calloc(store_count(&join->store) + 1, 1);
    join->built = true;
    return EXEC_ROWS;
}

static bool
keeps_left(const struct join_loop *join)
{
    enum join_kind kind = plan_of(join)->kind;
    return kind == JOIN_LEFT || kind == JOIN_FULL || kind == JOIN_ANTI;
}

/* ---- right side in a store ------------------------------------------------------------ */

static void
add_pair(struct join_pairs *pairs, uint32_t left, uint32_t right, bool last)
{
    pairs->left[pairs->count] = left;
    pairs->right[pairs->count] = right;
    pairs->last[pairs->count++] = last;
}

/* Pairs of the left batch with the current chunk. */
static void
collect(struct join_loop *join)
{
    struct join_pairs *pairs = &join->joiner.pairs;
    uint32_t rows = join->chunk->count;
    while (join->left_at < join->left_n && pairs->count < VECTOR_MAX) {
        uint32_t row = batch_row(join->left, join->left_at);
        bool skip = join->several && join->left_seen[row] && join->joiner.kind == JOIN_SEMI;
        while (!skip && join->chunk_at < rows && pairs->count < VECTOR_MAX) {
            add_pair(pairs, row, join->chunk_at, join->chunk_at + 1 == rows);
            join->chunk_at++;
        }
        if (!skip && join->chunk_at < rows)
            return;
        join->chunk_at = 0;
        join->left_at++;
    }
}

/* With several chunks no pair is a left row's last: remember who was seen. */
static bool
emit_several(struct join_loop *join, const struct join_right *right, struct batch **out)
{
    struct joiner *joiner = &join->joiner;
    struct join_pairs *pairs = &joiner->pairs;
    enum join_kind kind = joiner->kind;
    uint32_t lefts[VECTOR_MAX], n = pairs->count;
    memcpy(lefts, pairs->left, n * sizeof(*lefts));
    joiner->kind = JOIN_INNER;
    bool good = joiner_emit(joiner, join->left, right, out);
    joiner->kind = kind;
    uint32_t first[VECTOR_MAX], firsts = 0;
    for (uint32_t k = 0; good && k < n; k++) {
        if (!joiner->pass[k])
            continue;
        if (!join->left_seen[lefts[k]])
            first[firsts++] = lefts[k];
        join->left_seen[lefts[k]] = 1;
    }
    joiner->left_matched = false;
    if (!good || (kind != JOIN_SEMI && kind != JOIN_ANTI))
        return good;
    joiner->out = *join->left;
    memcpy(joiner->sel, first, firsts * sizeof(*first));
    joiner->out.sel = joiner->sel;
    joiner->out.sel_count = kind == JOIN_SEMI ? firsts : 0;
    *out = &joiner->out;
    return true;
}

static enum exec_status
next_left(struct join_loop *join)
{
    enum exec_status status = op_next(join->op.input, &join->left);
    if (status != EXEC_ROWS)
        return status;
    join->left_n = join->left->sel != NULL ? join->left->sel_count : join->left->count;
    memset(join->left_seen, 0, sizeof(join->left_seen));
    store_reader_fini(&join->reader);
    store_reader_init(&join->reader, &join->store);
    join->chunk = NULL;
    join->chunk_base = 0;
    join->phase = PAIRS;
    return EXEC_ROWS;
}

/* Pairs of this left batch; EXEC_DONE when it has met every chunk. */
static enum exec_status
pairs_next(struct join_loop *join, struct batch **out)
{
    for (;;) {
        if (!run_check(join->op.run))
            return EXEC_FAIL;
        if (run_over_budget(join->op.run))
            return EXEC_PARK;
        if (join->chunk == NULL) {
            if (!store_read(&join->reader, &join->chunk))
                return EXEC_FAIL;
            if (join->chunk == NULL)
                return EXEC_DONE;
            join->left_at = join->chunk_at = 0;
        }
        collect(join);
        struct join_right right = {
            .chunk = join->chunk, .matched = join->matched, .base = join->chunk_base};
        if (join->joiner.pairs.count == 0) {
            join->chunk_base += join->chunk->count;
            join->chunk = NULL;
            continue;
        }
        bool good = join->several ? emit_several(join, &right, out)
                                  : joiner_emit(&join->joiner, join->left, &right, out);
        return good ? EXEC_ROWS : EXEC_FAIL;
    }
}

/* Left rows without a match: those not seen, or all when the right side is empty. */
static enum exec_status
left_rest(struct join_loop *join, struct batch **out)
{
    struct joiner *joiner = &join->joiner;
    join->phase = LEFT;
    if (!keeps_left(join) || (!join->several && store_count(&join->store) > 0))
        return EXEC_DONE;
    for (uint32_t k = 0; k < join->left_n; k++) {
        uint32_t row = batch_row(join->left, k);
        if (!join->left_seen[row])
            add_pair(&joiner->pairs, row, JOIN_NO_ROW, true);
    }
    if (joiner->pairs.count == 0)
        return EXEC_DONE;
    struct join_right right = {.chunk = &join->none};
    return joiner_emit(joiner, join->left, &right, out) ? EXEC_ROWS : EXEC_FAIL;
}

static enum exec_status
right_rest(struct join_loop *join, struct batch **out)
{
    for (;;) {
        if (!store_read(&join->reader, &join->chunk))
            return EXEC_FAIL;
        if (join->chunk == NULL)
            return EXEC_DONE;
        uint32_t refs[VECTOR_MAX], n = 0;
        for (uint32_t row = 0; row < join->chunk->count; row++)
            if (!join->matched[join->chunk_base + row])
                refs[n++] = row;
        join->chunk_base += join->chunk->count;
        if (n == 0)
            continue;
        struct join_right right = {.chunk = join->chunk};
        joiner_emit_right(&join->joiner, &right, join->left_types, refs, n, out);
        return EXEC_ROWS;
    }
}

/* ---- lateral ---------------------------------------------------------------------------- */

static enum exec_status
lateral_next(struct join_loop *join, struct batch **out)
{
    struct op *op = &join->op;
    for (;;) {
        enum exec_status status;
        if (join->left == NULL) {
            status = op_next(op->input, &join->left);
            if (status != EXEC_ROWS) {
                join->left = NULL;
                return status;
            }
            join->left_n = join->left->sel != NULL ? join->left->sel_count : join->left->count;
            join->left_at = 0;
        }
        if (join->left_at == join->left_n) {
            join->left = NULL;
            continue;
        }
        uint32_t row = batch_row(join->left, join->left_at);
        join->scope.batch = join->left;
        join->scope.row = row;
        if (!op->right->opened && !op_open(op->right))
            return EXEC_FAIL;
        struct batch *in;
        status = op_next(op->right, &in);
        struct join_pairs *pairs = &join->joiner.pairs;
        if (status == EXEC_ROWS) {
            uint32_t n = in->sel != NULL ? in->sel_count : in->count;
            for (uint32_t k = 0; k < n; k++)
                add_pair(pairs, row, batch_row(in, k), false);
        } else if (status == EXEC_DONE) {
            /* No row of it passed: a last pair without a right row says so. */
            op_close(op->right);
            join->left_at++;
            if (!keeps_left(join) && join->joiner.kind != JOIN_SEMI) {
                join->joiner.left_matched = false;
                continue;
            }
            in = &join->none;
            add_pair(pairs, row, JOIN_NO_ROW, true);
        } else {
            return status;
        }
        struct join_right right = {.chunk = in};
        if (!joiner_emit(&join->joiner, join->left, &right, out))
            return EXEC_FAIL;
        uint32_t given = (*out)->sel != NULL ? (*out)->sel_count : (*out)->count;
        if (given > 0)
            return EXEC_ROWS;
    }
}

static enum exec_status
loop_next(struct op *op, struct batch **out)
{
    struct join_loop *join = (struct join_loop *)op;
    if (plan_of(join)->lateral)
        return lateral_next(join, out);
    enum exec_status status;
    if (!join->built) {
        status = build(join);
        if (status != EXEC_ROWS)
            return status;
    }
    for (;;) {
        switch (join->phase) {
        case LEFT:
            status = next_left(join);
            if (status == EXEC_DONE && join->matched != NULL) {
                store_reader_fini(&join->reader);
                store_reader_init(&join->reader, &join->store);
                join->chunk_base = 0;
                join->phase = RIGHT_REST;
                break;
            }
            if (status != EXEC_ROWS)
                return status;
            break;
        case PAIRS:
            status = pairs_next(join, out);
            if (status != EXEC_DONE)
                return status;
            join->phase = LEFT_REST;
            break;
        case LEFT_REST:
            status = left_rest(join, out);
            if (status != EXEC_DONE)
                return status;
            break;
        case RIGHT_REST:
            return right_rest(join, out);
        }
    }
}

const struct op_ops op_join_loop = {
    .size = sizeof(struct join_loop),
    .own_inputs = true,
    .open = loop_open,
    .next = loop_next,
    .close = loop_close,
};
