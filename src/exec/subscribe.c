/* SPDX-License-Identifier: Apache-2.0
 *
 * SUBSCRIBE: what a live reader sees beside its rows: tokens, progress rows,
 * heartbeats, and the LIMIT that ends it.
 *
 * `positions` is what the client has been told: the next offset of each
 * partition after the rows given so far. A row moves its own partition; when a
 * batch is through, the scan's positions hold, which also count what filters
 * dropped. A progress row says the positions have moved (not more often than
 * the heartbeat), or that nothing has happened (once every heartbeat). */
#include "exec/exec_int.h"
#include "exec/scan_int.h"

struct subscribe {
    struct op op;
    struct op *scan; /* of whose places the tokens are; NULL without progress */
    struct exec_position *positions;
    uint32_t count;
    struct uuid topic_id;
    bool begun, moved, ended;
    uint64_t progress_at; /* mono ns of the last progress row */
    uint64_t given;
    struct loop_timer timer;
    struct batch out;
};

static const struct plan_subscribe *
plan_of(const struct subscribe *subscribe)
{
    return (const struct plan_subscribe *)subscribe->op.plan;
}

static bool
subscribe_open(struct op *op)
{
    struct subscribe *subscribe = (struct subscribe *)op;
    const struct plan_subscribe *plan = plan_of(subscribe);
    subscribe->scan = plan->progress ? op->input : NULL;
    while (plan->progress && subscribe->scan->plan != &plan->scan->plan)
        subscribe->scan = subscribe->scan->input;
    subscribe->begun = subscribe->moved = subscribe->ended = false;
    subscribe->given = 0;
    subscribe->positions = NULL;
    return true;
}

static void
take_positions(struct subscribe *subscribe)
{
    struct arena arena;
    ox_arena_init(&arena);
    struct exec_position *now;
    uint32_t count = scan_positions(subscribe->scan, &now, &subscribe->topic_id, &arena);
    if (subscribe->positions == NULL || count > subscribe->count) {
        ox_free(subscribe->positions);
        subscribe->count = count;
        subscribe->positions = ox_calloc(count + 1, sizeof(*subscribe->positions));
    }
    for (uint32_t i = 0; i < count; i++) {
        subscribe->moved |= now[i].offset != subscribe->positions[i].offset;
        subscribe->positions[i] = now[i];
    }
    ox_arena_fini(&arena);
}

static struct str
token(struct subscribe *subscribe)
{
    struct text text;
    ox_text_init(&text, &subscribe->op.scratch);
    exec_token_write(&subscribe->topic_id, subscribe->positions, subscribe->count, &text);
    return ox_text_str(&text);
}

static enum exec_status
progress_row(struct subscribe *subscribe, struct batch **out)
{
    struct op *op = &subscribe->op;
    uint32_t ncols = op->plan->column_count;
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, ncols);
    vector_constant(&batch->cols[0], TYPE(TYPE_BOOL), datum_bool(true), &op->scratch);
    vector_constant(&batch->cols[1], TYPE(TYPE_TEXT), datum_str(token(subscribe)), &op->scratch);
    for (uint32_t i = 2; i < ncols; i++)
        vector_constant(&batch->cols[i], op->plan->columns[i].type, DATUM_NULL, &op->scratch);
    batch->count = batch->sel_count = 1;
    subscribe->progress_at = run_now_ns(op->run);
    subscribe->moved = false;
    *out = batch;
    return EXEC_ROWS;
}

/* A partition that was added is not known before its first row. */
static struct exec_position *
position_of(struct subscribe *subscribe, int32_t partition)
{
    for (uint32_t i = 0; i < subscribe->count; i++)
        if (subscribe->positions[i].partition == partition)
            return &subscribe->positions[i];
    subscribe->positions =
        ox_realloc(subscribe->positions, (subscribe->count + 1) * sizeof(*subscribe->positions));
    subscribe->positions[subscribe->count] = (struct exec_position){partition, -1, 0};
    return &subscribe->positions[subscribe->count++];
}

/* The rows of a batch with the token that holds after each. */
static void
rows_with_tokens(struct subscribe *subscribe, const struct batch *in)
{
    struct op *op = &subscribe->op;
    uint32_t ncols = op->plan->column_count, last = in->ncols - 1;
    const struct vector *partitions = &in->cols[last - 1], *offsets = &in->cols[last];
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, ncols);
    vector_constant(&batch->cols[0], TYPE(TYPE_BOOL), datum_bool(false), &op->scratch);
    vector_init(&batch->cols[1], TYPE(TYPE_TEXT), in->count, &op->scratch);
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = batch_row(in, k);
        position_of(subscribe, (int32_t)vector_get(partitions, row).i)->offset =
            vector_get(offsets, row).i + 1;
        batch->cols[1].s[row] = token(subscribe);
    }
    memcpy(batch->cols + 2, in->cols, (ncols - 2) * sizeof(struct vector));
    batch->count = in->count;
    batch->sel = in->sel;
    batch->sel_count = in->sel_count;
    subscribe->out = *batch;
}

static void
timer_fired(struct loop_timer *timer)
{
    struct subscribe *subscribe = ox_container_of(timer, struct subscribe, timer);
    run_wake(subscribe->op.run);
}

/* Nothing to read now: a progress row if one is due, else wait. */
static enum exec_status
idle(struct subscribe *subscribe, struct batch **out)
{
    struct op *op = &subscribe->op;
    int64_t heartbeat_ms = plan_of(subscribe)->heartbeat_ms;
    uint64_t now = run_now_ns(op->run);
    uint64_t due = subscribe->progress_at + (uint64_t)OX_MAX(heartbeat_ms, 0) * 1000000;
    if (heartbeat_ms <= 0 ? subscribe->moved : now >= due)
        return progress_row(subscribe, out);
    ox_arena_fini(&op->scratch);
    if (heartbeat_ms > 0)
        loop_timer_start(op->run->config.loop, &subscribe->timer, due - now, timer_fired);
    return EXEC_PARK;
}

/* Cut the batch to what LIMIT leaves. */
static void
count_rows(struct subscribe *subscribe, struct batch *batch)
{
    uint64_t limit = plan_of(subscribe)->limit;
    uint32_t n = batch->sel != NULL ? batch->sel_count : batch->count;
    if (limit > 0 && n > limit - subscribe->given) {
        n = (uint32_t)(limit - subscribe->given);
        if (batch->sel == NULL)
            batch->count = n;
        batch->sel_count = n;
    }
    subscribe->given += n;
}

/* A tick may end in the middle of what was read. */
static bool
holds_rows(const struct subscribe *subscribe)
{
    for (const struct op *op = subscribe->op.input; op != subscribe->scan; op = op->input)
        if (slice_holds(op))
            return true;
    return false;
}

static enum exec_status
subscribe_next(struct op *op, struct batch **out)
{
    struct subscribe *subscribe = (struct subscribe *)op;
    const struct plan_subscribe *plan = plan_of(subscribe);
    struct batch *in;
    enum exec_status status;
    loop_timer_stop(&subscribe->timer);
    if (subscribe->ended)
        return EXEC_DONE;
    if (!plan->progress) {
        if (plan->limit > 0 && subscribe->given >= plan->limit)
            return EXEC_DONE;
        status = op_next(op->input, &in);
        if (status != EXEC_ROWS)
            return status;
        subscribe->out = *in;
        count_rows(subscribe, &subscribe->out);
        *out = &subscribe->out;
        return EXEC_ROWS;
    }
    if (!subscribe->begun) {
        status = scan_begin(subscribe->scan);
        if (status != EXEC_DONE)
            return status;
        subscribe->begun = true;
        take_positions(subscribe);
        return progress_row(subscribe, out);
    }
    if (plan->limit > 0 && subscribe->given >= plan->limit) {
        subscribe->ended = true;
        return progress_row(subscribe, out);
    }
    status = op_next(op->input, &in);
    if (status == EXEC_FAIL)
        return status;
    if (status == EXEC_ROWS) {
        subscribe->out = *in;
        count_rows(subscribe, &subscribe->out);
        struct batch cut = subscribe->out;
        rows_with_tokens(subscribe, &cut);
        subscribe->moved = true;
        *out = &subscribe->out;
        return EXEC_ROWS;
    }
    /* All that was read has been given: what filters dropped counts as well. */
    if (status == EXEC_DONE || !holds_rows(subscribe))
        take_positions(subscribe);
    if (status == EXEC_DONE) {
        subscribe->ended = true;
        return progress_row(subscribe, out);
    }
    if (!scan_caught_up(subscribe->scan))
        return EXEC_PARK; /* its tick was over */
    return idle(subscribe, out);
}

static void
subscribe_close(struct op *op)
{
    struct subscribe *subscribe = (struct subscribe *)op;
    loop_timer_stop(&subscribe->timer);
    ox_free(subscribe->positions);
    subscribe->positions = NULL;
}

const struct op_ops op_subscribe = {
    .size = sizeof(struct subscribe),
    .open = subscribe_open,
    .next = subscribe_next,
    .close = subscribe_close,
};
