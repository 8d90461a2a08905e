/* SPDX-License-Identifier: Apache-2.0
 *
 * HASH_JOIN: the right side is read into a store with a table over its keys;
 * left rows look their matches up. Rows with the same keys form a chain.
 *
 *   BUILD --(right ends)--> PROBE --(left ends)--> REST (RIGHT, FULL) --> end
 *     | over work_mem
 *     v
 *   both sides go to SPILL_PARTS files by the hash of their keys; then each pair of
 *   files is built and probed as above, split again if it is still too large. */
#include "exec/join.h"
#include "exec/keytable.h"
#include "exec/spill_parts.h"

enum { LEVEL_MAX = 4 };

struct join_hash {
    struct op op;
    struct joiner joiner;
    struct type *left_types, *right_types, *key_types;
    struct vector *keys;
    struct rows rows; /* the right side */
    struct keytable table;
    uint32_t *head, *tail; /* of a key's chain */
    uint32_t *next;        /* of a row, JOIN_NO_ROW ends */
    uint32_t head_cap, next_cap;
    uint8_t *matched; /* RIGHT, FULL */
    enum { BUILD, SPLIT_LEFT, PROBE, REST } phase;
    /* The left batch that is being probed. */
    struct batch *left;
    uint32_t left_at, left_n, chain;
    bool chain_on; /* chain holds the next candidate of row left_at */
    uint32_t rest_at;
    /* Files */
    struct spill_parts parts;
    bool split;
    uint32_t ids[VECTOR_MAX];
    uint64_t hashes[VECTOR_MAX];
};

static const struct plan_join_hash *
plan_of(const struct join_hash *join)
{
    return (const struct plan_join_hash *)join->op.plan;
}

static bool
keeps_right(const struct join_hash *join)
{
    return plan_of(join)->kind == JOIN_RIGHT || plan_of(join)->kind == JOIN_FULL;
}

static bool
keeps_left(const struct join_hash *join)
{
    enum join_kind kind = plan_of(join)->kind;
    return kind == JOIN_LEFT || kind == JOIN_FULL || kind == JOIN_ANTI;
}

static bool
join_open(struct op *op)
{
    struct join_hash *join = (struct join_hash *)op;
    const struct plan_join_hash *plan = plan_of(join);
    joiner_init(&join->joiner, op, plan->kind, plan->condition, op->plan->input->column_count,
        op->plan->right->column_count);
    join->left_types = plan_types(op->plan->input, &op->arena);
    join->right_types = plan_types(op->plan->right, &op->arena);
    join->key_types = ox_arena_alloc0(&op->arena, (plan->key_count + 1) * sizeof(struct type));
    join->keys = ox_arena_alloc0(&op->arena, (plan->key_count + 1) * sizeof(struct vector));
    for (uint32_t i = 0; i < plan->key_count; i++)
        join->key_types[i] = plan->right_keys[i]->type;
    rows_init(&join->rows, join->right_types, op->plan->right->column_count);
    keytable_init(&join->table, join->key_types, plan->key_count);
    join->phase = BUILD;
    join->split = false;
    join->left = NULL;
    join->chain_on = false;
    spill_parts_init(&join->parts, op, 1);
    return true;
}

static void
forget_build(struct join_hash *join)
{
    rows_fini(&join->rows);
    keytable_fini(&join->table);
    ox_free(join->head);
    ox_free(join->tail);
    ox_free(join->next);
    ox_free(join->matched);
    join->head = join->tail = join->next = NULL;
    join->matched = NULL;
    join->head_cap = join->next_cap = 0;
}

static void
join_close(struct op *op)
{
    struct join_hash *join = (struct join_hash *)op;
    forget_build(join);
    spill_parts_fini(&join->parts);
}

/* ---- build ------------------------------------------------------------------------- */

/* Keys and hashes of a side; rows with a NULL key get ids KEYTABLE_NONE and are
 * left out of sel. */
static bool
eval_keys(struct join_hash *join, const struct batch *in, struct expr **exprs, uint32_t *sel,
    uint32_t *count)
{
    const struct plan_join_hash *plan = plan_of(join);
    for (uint32_t i = 0; i < plan->key_count; i++)
        if (!op_eval(&join->op, exprs[i], in, &join->keys[i]))
            return false;
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    *count = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = batch_row(in, k);
        bool null = false;
        for (uint32_t i = 0; i < plan->key_count; i++)
            null |= vector_null(&join->keys[i], row);
        if (!null)
            sel[(*count)++] = row;
    }
    keytable_hash(&join->table, join->keys, sel, *count, join->hashes);
    return true;
}

static bool
to_part(struct join_hash *join, const struct batch *in, uint32_t row, uint64_t hash, bool left)
{
    struct spill_part *part = spill_parts_of(&join->parts, hash, 0, join->left_types,
        join->joiner.left_cols, join->right_types, join->joiner.right_cols);
    return spill_add(left ? &part->left : &part->right, in->cols, NULL, row, 1);
}

/* Rows of one side to the files. Those with a NULL key match nothing: they go
 * to the first file if an outer join must show them. */
static bool
split_batch(struct join_hash *join, const struct batch *in, bool left)
{
    uint32_t sel[VECTOR_MAX], count;
    ox_arena_reset(&join->op.scratch);
    if (!eval_keys(
            join, in, left ? plan_of(join)->left_keys : plan_of(join)->right_keys, sel, &count))
        return false;
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    bool keep = left ? keeps_left(join) : keeps_right(join);
    for (uint32_t k = 0, at = 0; k < n; k++) {
        uint32_t row = batch_row(in, k);
        bool keyed = at < count && sel[at] == row;
        if (keyed ? !to_part(join, in, row, join->hashes[at], left)
                  : keep && !to_part(join, in, row, 0, left))
            return false;
        at += keyed;
    }
    return true;
}

static void
link_rows(struct join_hash *join, uint32_t first, const struct batch *in, const uint32_t *sel,
    uint32_t count)
{
    uint32_t total = (uint32_t)join->rows.count, keys = keytable_count(&join->table);
    if (total > join->next_cap) {
        join->next_cap = OX_MAX(join->next_cap * 2, total);
        join->next = ox_realloc(join->next, join->next_cap * sizeof(uint32_t));
    }
    if (keys > join->head_cap) {
        uint32_t cap = OX_MAX(join->head_cap * 2, keys);
        join->head = ox_realloc(join->head, cap * sizeof(uint32_t));
        join->tail = ox_realloc(join->tail, cap * sizeof(uint32_t));
        for (uint32_t i = join->head_cap; i < cap; i++)
            join->head[i] = JOIN_NO_ROW;
        join->head_cap = cap;
    }
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    for (uint32_t k = 0, at = 0; k < n; k++) {
        uint32_t stored = first + k;
        join->next[stored] = JOIN_NO_ROW;
        if (at == count || sel[at] != batch_row(in, k))
            continue;
        uint32_t id = join->ids[at++];
        if (join->head[id] == JOIN_NO_ROW)
            join->head[id] = stored;
        else
            join->next[join->tail[id]] = stored;
        join->tail[id] = stored;
    }
}

static bool
build_batch(struct join_hash *join, const struct batch *in)
{
    uint32_t sel[VECTOR_MAX], count;
    ox_arena_reset(&join->op.scratch);
    if (!eval_keys(join, in, plan_of(join)->right_keys, sel, &count))
        return false;
    keytable_find(&join->table, join->keys, sel, count, join->hashes, true, join->ids);
    uint32_t first = (uint32_t)join->rows.count;
    rows_add_batch(&join->rows, in);
    link_rows(join, first, in, sel, count);
    return true;
}

static size_t
build_bytes(const struct join_hash *join)
{
    return join->rows.bytes + keytable_bytes(&join->table) +
           (join->head_cap * 2 + join->next_cap) * sizeof(uint32_t);
}

/* What is built so far goes to the files, and all that follows. */
static bool
start_split(struct join_hash *join)
{
    join->split = true;
    for (uint32_t i = 0; i < join->rows.chunk_count; i++)
        if (!split_batch(join, &join->rows.chunks[i]->batch, false))
            return false;
    forget_build(join);
    return true;
}

static enum exec_status
side_next(struct join_hash *join, bool left, struct batch **in)
{
    return join->parts.reading == NULL ? op_next(left ? join->op.input : join->op.right, in)
                                       : spill_parts_read(&join->parts, in);
}

static enum exec_status
build(struct join_hash *join)
{
    for (;;) {
        struct batch *in;
        enum exec_status status = side_next(join, false, &in);
        if (status == EXEC_DONE)
            break;
        if (status != EXEC_ROWS)
            return status;
        if (join->split ? !split_batch(join, in, false) : !build_batch(join, in))
            return EXEC_FAIL;
        struct exec_counters *counters = join->op.counters;
        counters->memory_max = OX_MAX(counters->memory_max, build_bytes(join));
        if (!join->split && join->parts.level < LEVEL_MAX &&
            build_bytes(join) > join->op.run->config.work_mem && !start_split(join))
            return EXEC_FAIL;
    }
    if (join->parts.reading != NULL)
        spill_parts_rewind(&join->parts, true);
    if (keeps_right(join) && !join->split)
        join->matched = ox_calloc(join->rows.count + 1, 1);
    join->phase = join->split ? SPLIT_LEFT : PROBE;
    return EXEC_ROWS;
}

/* ---- files -------------------------------------------------------------------------- */

static enum exec_status
split_left(struct join_hash *join)
{
    for (;;) {
        struct batch *in;
        enum exec_status status = side_next(join, true, &in);
        if (status == EXEC_DONE)
            return EXEC_ROWS;
        if (status != EXEC_ROWS)
            return status;
        if (!split_batch(join, in, true))
            return EXEC_FAIL;
    }
}

static bool
next_part(struct join_hash *join, bool *more)
{
    if (!spill_parts_next(&join->parts, more))
        return false;
    forget_build(join);
    if (!*more)
        return true;
    spill_parts_rewind(&join->parts, false); /* it is built from the right rows */
    join->split = false;
    join->left = NULL;
    join->phase = BUILD;
    return true;
}

/* ---- probe --------------------------------------------------------------------------- */

static bool
begin_left(struct join_hash *join, struct batch *in)
{
    struct op *op = &join->op;
    uint32_t sel[VECTOR_MAX], count, ids[VECTOR_MAX];
    ox_arena_reset(&op->scratch);
    if (!eval_keys(join, in, plan_of(join)->left_keys, sel, &count))
        return false;
    keytable_find(&join->table, join->keys, sel, count, join->hashes, false, ids);
    join->left_n = in->sel != NULL ? in->sel_count : in->count;
    for (uint32_t k = 0, at = 0; k < join->left_n; k++) {
        bool keyed = at < count && sel[at] == batch_row(in, k);
        join->ids[k] = keyed ? ids[at] : KEYTABLE_NONE;
        at += keyed;
    }
    join->left = in;
    join->left_at = 0;
    join->chain_on = false;
    return true;
}

/* Candidate pairs until there are VECTOR_MAX or the left batch ends. */
static void
collect(struct join_hash *join)
{
    struct join_pairs *pairs = &join->joiner.pairs;
    bool alone = keeps_left(join);
    while (join->left_at < join->left_n && pairs->count < VECTOR_MAX) {
        uint32_t row = batch_row(join->left, join->left_at);
        if (!join->chain_on) {
            uint32_t id = join->ids[join->left_at];
            join->chain = id == KEYTABLE_NONE ? JOIN_NO_ROW : join->head[id];
            join->chain_on = true;
            if (join->chain == JOIN_NO_ROW && alone) {
                pairs->left[pairs->count] = row;
                pairs->right[pairs->count] = JOIN_NO_ROW;
                pairs->last[pairs->count++] = true;
            }
        }
        while (join->chain != JOIN_NO_ROW && pairs->count < VECTOR_MAX) {
            pairs->left[pairs->count] = row;
            pairs->right[pairs->count] = join->chain;
            join->chain = join->next[join->chain];
            pairs->last[pairs->count++] = join->chain == JOIN_NO_ROW;
        }
        if (join->chain != JOIN_NO_ROW)
            return;
        join->left_at++;
        join->chain_on = false;
    }
}

static enum exec_status
probe(struct join_hash *join, struct batch **out)
{
    for (;;) {
        if (join->left == NULL) {
            struct batch *in;
            enum exec_status status = side_next(join, true, &in);
            if (status != EXEC_ROWS)
                return status;
            if (!begin_left(join, in))
                return EXEC_FAIL;
        }
        if (run_stopped(join->op.run, 5000))
            return EXEC_FAIL;
        if (run_over_budget(join->op.run))
            return EXEC_PARK;
        collect(join);
        struct batch *left = join->left;
        if (join->left_at == join->left_n)
            join->left = NULL;
        if (join->joiner.pairs.count == 0)
            continue;
        struct join_right right = {.rows = &join->rows, .matched = join->matched};
        if (!joiner_emit(&join->joiner, left, &right, out))
            return EXEC_FAIL;
        uint32_t n = (*out)->sel != NULL ? (*out)->sel_count : (*out)->count;
        if (n > 0)
            return EXEC_ROWS;
    }
}

/* Right rows that nobody matched. */
static enum exec_status
rest(struct join_hash *join, struct batch **out)
{
    uint32_t refs[VECTOR_MAX], n = 0;
    while (n < VECTOR_MAX && join->rest_at < join->rows.count) {
        if (!join->matched[join->rest_at])
            refs[n++] = join->rest_at;
        if (ox_stopped_at(++join->rest_at))
            break;
    }
    if (n == 0)
        return EXEC_DONE;
    struct join_right right = {.rows = &join->rows};
    joiner_emit_right(&join->joiner, &right, join->left_types, refs, n, out);
    return EXEC_ROWS;
}

static enum exec_status
join_next(struct op *op, struct batch **out)
{
    struct join_hash *join = (struct join_hash *)op;
    for (;;) {
        enum exec_status status = EXEC_DONE;
        bool more;
        switch (join->phase) {
        case BUILD:
            status = build(join);
            if (status != EXEC_ROWS)
                return status;
            continue;
        case SPLIT_LEFT:
            status = split_left(join);
            if (status != EXEC_ROWS)
                return status;
            break;
        case PROBE:
            status = probe(join, out);
            if (status != EXEC_DONE)
                return status;
            join->rest_at = 0;
            if (keeps_right(join)) {
                join->phase = REST;
                continue;
            }
            break;
        case REST:
            status = rest(join, out);
            if (status != EXEC_DONE)
                return status;
            break;
        }
        if (!next_part(join, &more))
            return EXEC_FAIL;
        if (!more)
            return EXEC_DONE;
    }
}

const struct op_ops op_join_hash = {
    .size = sizeof(struct join_hash),
    .open = join_open,
    .next = join_next,
    .close = join_close,
};
