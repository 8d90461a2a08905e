/* SPDX-License-Identifier: Apache-2.0
 *
 * WINDOW: functions over a partition's rows. The input is sorted by PARTITION BY
 * and ORDER BY with everything the calls need computed beside it; then one
 * partition at a time is gathered and its results are worked out row by row.
 *
 * Columns of the sorted rows:
 *   input | partition keys | order keys | per call: args, filter, frame start, frame end
 *
 * A partition over work_mem keeps its last chunks in memory; full ones before
 * them are in a file and come back as they are looked at, at most CHUNKS_LOADED
 * at a time. Values that borrow from such a chunk are copied.
 *
 * Frames are half-open row ranges [start, end) of the partition. An aggregate
 * whose frame only grows keeps its state; otherwise the frame is added up anew. */
#include "exec/sorter.h"

enum { CHUNKS_LOADED = 8 };

/* Where a call's columns are, and how far its state has come. */
struct window_slot {
    const struct window_call *plan;
    uint32_t args, filter, start, end; /* columns; 0 absent (args: the first) */
    struct agg_call agg;
    struct type *types;
    void *state;
    struct arena arena; /* of the state */
    uint64_t from, to;  /* rows in the state */
    struct datum last;  /* result for that frame */
    bool has_last;
    struct arena last_arena;
};

struct window {
    struct op op;
    struct sorter *sorter;
    struct type *types;
    struct sorter_key *keys;
    uint32_t width, partition_at, order_at;
    struct vector *cols;
    struct window_slot *calls;
    bool drained, working, sorted_end;
    struct rows rows;     /* the partition */
    struct spill spill;  /* its first chunks, if it is large */
    uint64_t *positions; /* of them, in the file */
    uint32_t paged, positions_cap;
    uint32_t loaded[CHUNKS_LOADED], loaded_count; /* chunks that came back, oldest first */
    uint32_t pinned;                              /* the chunk that is being given */
    uint64_t at;                                  /* row to be given next */
    bool complete;        /* rows is a whole partition */
    struct batch *sorted; /* being cut into partitions */
    uint32_t sorted_at;
    uint64_t *group_starts; /* first rows of peer groups, and the count */
    uint32_t *group_of;
    uint64_t group_count, group_cap, row_cap;
};

static const struct plan_window *
plan_of(const struct window *window)
{
    return (const struct plan_window *)window->op.plan;
}

/* ---- open ------------------------------------------------------------------------------- */

static uint32_t
add_column(struct window *window, const struct expr *expr)
{
    window->types[window->width] = expr->type;
    return window->width++;
}

static void
slot_open(struct window *window, struct window_slot *call, const struct window_call *plan)
{
    struct op *op = &window->op;
    call->plan = plan;
    call->args = window->width;
    for (uint32_t i = 0; i < plan->agg.arg_count; i++)
        add_column(window, plan->agg.args[i]);
    call->filter = plan->agg.filter != NULL ? add_column(window, plan->agg.filter) : 0;
    call->start = plan->frame.start_value != NULL ? add_column(window, plan->frame.start_value) : 0;
    call->end = plan->frame.end_value != NULL ? add_column(window, plan->frame.end_value) : 0;
    ox_arena_init(&call->arena);
    ox_arena_init(&call->last_arena);
    call->state = NULL;
    if (plan->func != WINDOW_AGGREGATE)
        return;
    call->types = window->types + call->args;
    call->state = ox_arena_alloc0(&op->arena, plan->agg.func->agg->state_size + 16);
    call->agg = (struct agg_call){.func = plan->agg.func,
        .types = call->types,
        .nargs = plan->agg.arg_count,
        .type = plan->agg.type,
        .eval = &op->eval,
        .arena = &call->arena};
}

static bool
window_open(struct op *op)
{
    struct window *window = (struct window *)op;
    const struct plan_window *plan = plan_of(window);
    uint32_t ncols = op->plan->input->column_count;
    uint32_t width = ncols + plan->partition_count + plan->order_count;
    for (uint32_t i = 0; i < plan->call_count; i++)
        width += plan->calls[i].agg.arg_count + 3;
    window->types = ox_arena_alloc0(&op->arena, (width + 1) * sizeof(struct type));
    window->cols = ox_arena_alloc0(&op->arena, (width + 1) * sizeof(struct vector));
    window->keys = ox_arena_alloc0(
        &op->arena, (plan->partition_count + plan->order_count + 1) * sizeof(*window->keys));
    for (uint32_t i = 0; i < ncols; i++)
        window->types[i] = op->plan->input->columns[i].type;
    window->width = window->partition_at = ncols;
    for (uint32_t i = 0; i < plan->partition_count; i++)
        window->keys[i] = (struct sorter_key){add_column(window, plan->partition[i]), false, false};
    window->order_at = window->width;
    for (uint32_t i = 0; i < plan->order_count; i++)
        window->keys[plan->partition_count + i] =
            (struct sorter_key){add_column(window, plan->order[i].expr), plan->order[i].desc,
                plan->order[i].nulls_first};
    window->calls =
        ox_arena_alloc0(&op->arena, (plan->call_count + 1) * sizeof(struct window_slot));
    for (uint32_t i = 0; i < plan->call_count; i++)
        slot_open(window, &window->calls[i], &plan->calls[i]);
    window->sorter = sorter_new(op, window->types, window->width, window->keys,
        plan->partition_count + plan->order_count, UINT64_MAX);
    rows_init(&window->rows, window->types, window->width);
    spill_init(&window->spill, op->run, window->types, window->width);
    window->positions = NULL;
    window->paged = window->positions_cap = window->loaded_count = 0;
    window->pinned = UINT32_MAX;
    window->drained = window->working = window->sorted_end = window->complete = false;
    window->sorted = NULL;
    window->group_starts = NULL;
    window->group_of = NULL;
    window->group_cap = window->row_cap = 0;
    window->at = 0;
    return true;
}

static void
forget_partition(struct window *window)
{
    rows_fini(&window->rows);
    spill_fini(&window->spill);
    spill_init(&window->spill, window->op.run, window->types, window->width);
    window->paged = window->loaded_count = 0;
    window->pinned = UINT32_MAX;
}

static void
window_close(struct op *op)
{
    struct window *window = (struct window *)op;
    if (window->calls == NULL)
        return;
    for (uint32_t i = 0; i < plan_of(window)->call_count; i++) {
        ox_arena_fini(&window->calls[i].arena);
        ox_arena_fini(&window->calls[i].last_arena);
    }
    window->calls = NULL;
    sorter_free(window->sorter);
    window->sorter = NULL;
    forget_partition(window);
    ox_free(window->positions);
    ox_free(window->group_starts);
    ox_free(window->group_of);
    window->group_starts = NULL;
    window->group_of = NULL;
}

/* ---- chunks in a file --------------------------------------------------------------------- */

/* Full chunks go until the rest fits. */
static bool
page_out(struct window *window)
{
    size_t memory = OX_MAX(window->op.run->config.work_mem, (size_t)65536);
    struct rows *rows = &window->rows;
    while (rows->bytes > memory && window->paged + 1 < rows->chunk_count) {
        if (window->paged == window->positions_cap) {
            window->positions_cap = OX_MAX(window->positions_cap * 2, 64u);
            window->positions =
                ox_realloc(window->positions, window->positions_cap * sizeof(*window->positions));
        }
        struct chunk *chunk = rows->chunks[window->paged];
        uint64_t before = window->spill.len;
        if (!spill_chunk(&window->spill, &chunk->batch, &window->positions[window->paged]))
            return false;
        window->op.counters->spill_bytes += window->spill.len - before;
        rows->bytes -= OX_MIN(rows->bytes, chunk->arena.used);
        rows->chunks[window->paged++] = NULL;
        chunk_free(chunk);
    }
    return true;
}

static void
drop_oldest(struct window *window)
{
    uint32_t at = window->loaded[0] == window->pinned;
    uint32_t index = window->loaded[at];
    chunk_free(window->rows.chunks[index]);
    window->rows.chunks[index] = NULL;
    window->loaded_count--;
    memmove(window->loaded + at, window->loaded + at + 1,
        (window->loaded_count - at) * sizeof(*window->loaded));
}

/* The chunk of a row; NULL: run_err(). */
static const struct batch *
chunk_of(struct window *window, uint64_t row, uint32_t *in_chunk)
{
    uint32_t index = (uint32_t)(row / VECTOR_MAX);
    *in_chunk = (uint32_t)(row % VECTOR_MAX);
    struct chunk **slot = &window->rows.chunks[index];
    if (ox_unlikely(*slot == NULL)) {
        if (window->loaded_count == CHUNKS_LOADED)
            drop_oldest(window);
        struct spill_reader reader = {&window->spill, window->positions[index]};
        if (!spill_read(&reader, slot))
            return NULL;
        window->loaded[window->loaded_count++] = index;
    }
    return &(*slot)->batch;
}

/* ---- input -------------------------------------------------------------------------------- */

static bool
compute_columns(struct window *window, const struct batch *in)
{
    struct op *op = &window->op;
    const struct plan_window *plan = plan_of(window);
    ox_arena_reset(&op->scratch);
    struct vector *to = window->cols;
    memcpy(to, in->cols, in->ncols * sizeof(*to));
    to += in->ncols;
    for (uint32_t i = 0; i < plan->partition_count; i++)
        if (!op_eval(op, plan->partition[i], in, to++))
            return false;
    for (uint32_t i = 0; i < plan->order_count; i++)
        if (!op_eval(op, plan->order[i].expr, in, to++))
            return false;
    for (uint32_t c = 0; c < plan->call_count; c++) {
        const struct window_call *call = &plan->calls[c];
        for (uint32_t i = 0; i < call->agg.arg_count; i++)
            if (!op_eval(op, call->agg.args[i], in, to++))
                return false;
        if (call->agg.filter != NULL && !op_eval(op, call->agg.filter, in, to++))
            return false;
        if (call->frame.start_value != NULL && !op_eval(op, call->frame.start_value, in, to++))
            return false;
        if (call->frame.end_value != NULL && !op_eval(op, call->frame.end_value, in, to++))
            return false;
    }
    return true;
}

static enum exec_status
drain(struct window *window)
{
    struct op *op = &window->op;
    while (!window->drained) {
        enum exec_status status;
        if (window->working) {
            status = sorter_work(window->sorter);
        } else {
            struct batch *in;
            status = op_next(op->input, &in);
            if (status == EXEC_DONE) {
                window->drained = true;
                break;
            }
            if (status != EXEC_ROWS)
                return status;
            if (!compute_columns(window, in))
                return EXEC_FAIL;
            status = sorter_add(
                window->sorter, window->cols, in->sel, in->sel != NULL ? in->sel_count : in->count);
        }
        window->working = status != EXEC_ROWS;
        if (status != EXEC_ROWS)
            return status;
    }
    return EXEC_ROWS;
}

static bool
same_keys(const struct window *window, uint32_t from, uint32_t count, const struct batch *a,
    uint32_t arow, const struct batch *b, uint32_t brow)
{
    for (uint32_t i = 0; i < count; i++)
        if (sorter_compare(window->types[from + i], false, false, &a->cols[from + i], arow,
                &b->cols[from + i], brow) != 0)
            return false;
    return true;
}

static bool
begin_partition(struct window *window)
{
    const struct plan_window *plan = plan_of(window);
    uint64_t n = window->rows.count;
    if (n > window->row_cap) {
        window->row_cap = n;
        window->group_of = ox_realloc(window->group_of, n * sizeof(*window->group_of));
        window->group_starts =
            ox_realloc(window->group_starts, (n + 1) * sizeof(*window->group_starts));
    }
    window->group_count = 0;
    for (uint64_t row = 0; row < n; row++) {
        if (run_stopped(window->op.run, 20))
            return false;
        uint32_t at, before;
        bool first = row == 0;
        if (!first && plan->order_count > 0) {
            /* Two chunks at most: neither drives the other out. */
            const struct batch *last = chunk_of(window, row - 1, &before);
            const struct batch *batch = chunk_of(window, row, &at);
            if (last == NULL || batch == NULL)
                return false;
            first =
                !same_keys(window, window->order_at, plan->order_count, last, before, batch, at);
        }
        if (first)
            window->group_starts[window->group_count++] = row;
        window->group_of[row] = (uint32_t)window->group_count - 1;
    }
    window->group_starts[window->group_count] = n;
    for (uint32_t i = 0; i < plan->call_count; i++) {
        struct window_slot *call = &window->calls[i];
        call->from = call->to = 0;
        call->has_last = false;
        if (call->state == NULL)
            continue;
        ox_arena_reset(&call->arena);
        memset(call->state, 0, plan->calls[i].agg.func->agg->state_size);
        if (plan->calls[i].agg.func->agg->init != NULL)
            plan->calls[i].agg.func->agg->init(&call->agg, call->state);
    }
    window->at = 0;
    window->complete = true;
    return true;
}

/* Rows of the next partition; EXEC_DONE when there is none. */
static enum exec_status
gather_partition(struct window *window)
{
    struct op *op = &window->op;
    const struct plan_window *plan = plan_of(window);
    for (;;) {
        while (window->sorted != NULL && window->sorted_at < window->sorted->count) {
            uint32_t row = window->sorted_at;
            if (window->rows.count > 0 && plan->partition_count > 0) {
                uint32_t first;
                const struct batch *head = chunk_of(window, 0, &first);
                if (head == NULL)
                    return EXEC_FAIL;
                if (!same_keys(window, window->partition_at, plan->partition_count, head, first,
                        window->sorted, row)) {
                    return begin_partition(window) ? EXEC_ROWS : EXEC_FAIL;
                }
            }
            /* As many rows as share the partition. */
            uint32_t end = row + 1;
            while (end < window->sorted->count &&
                   same_keys(window, window->partition_at, plan->partition_count, window->sorted,
                       row, window->sorted, end))
                end++;
            rows_add(&window->rows, window->sorted->cols, NULL, row, end - row);
            window->sorted_at = end;
            if (run_stopped(op->run, (end - row) * 20))
                return EXEC_FAIL;
        }
        op->counters->memory_max = OX_MAX(op->counters->memory_max, window->rows.bytes);
        if (!page_out(window))
            return EXEC_FAIL;
        window->sorted = NULL;
        if (window->sorted_end) {
            if (window->rows.count == 0)
                return EXEC_DONE;
            return begin_partition(window) ? EXEC_ROWS : EXEC_FAIL;
        }
        enum exec_status status = sorter_next(window->sorter, &window->sorted);
        window->sorted_at = 0;
        if (status == EXEC_DONE) {
            window->sorted = NULL;
            window->sorted_end = true;
        } else if (status != EXEC_ROWS) {
            window->sorted = NULL;
            return status;
        }
    }
}

/* ---- frames -------------------------------------------------------------------------------- */

/* A value; false: run_err(). */
static bool
cell(struct window *window, uint64_t row, uint32_t column, struct datum *out)
{
    uint32_t at;
    const struct batch *chunk = chunk_of(window, row, &at);
    if (chunk == NULL)
        return false;
    *out = vector_get(&chunk->cols[column], at);
    if (window->paged > 0)
        *out = datum_copy(window->types[column], *out, &window->op.scratch);
    return true;
}

/* First row whose order key is at or after (after: after) the value. */
static bool
range_edge(
    struct window *window, const struct datum *value, struct type type, bool after, uint64_t *out)
{
    const struct plan_key *key = &plan_of(window)->order[0];
    uint64_t low = 0, high = window->rows.count;
    while (low < high) {
        uint64_t mid = (low + high) / 2;
        struct datum at;
        if (!cell(window, mid, window->order_at, &at))
            return false;
        int order;
        if (at.null)
            order = key->nulls_first ? -1 : 1;
        else
            order = datum_compare(type, &at, value) * (key->desc ? -1 : 1);
        if (after ? order <= 0 : order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *out = low;
    return true;
}

static bool
frame_offset(struct window *window, uint64_t row, uint32_t column, const char *which, int64_t *out)
{
    struct datum value;
    if (!cell(window, row, column, &value))
        return false;
    if (value.null || value.i < 0) {
        ox_fail(run_err(window->op.run),
            value.null ? OX_NULL_VALUE_NOT_ALLOWED : OX_INVALID_FRAME_OFFSET,
            "frame %s offset must not be %s", which, value.null ? "null" : "negative");
        return false;
    }
    *out = value.i;
    return true;
}

static int64_t
clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* One edge as a row number: of the frame's first row, or one past its last. */
static bool
edge(
    struct window *window, const struct window_slot *call, uint64_t row, bool is_end, uint64_t *out)
{
    const struct window_frame *frame = &call->plan->frame;
    enum frame_edge kind = is_end ? frame->end : frame->start;
    uint32_t column = is_end ? call->end : call->start;
    int64_t n = (int64_t)window->rows.count;
    uint32_t group = window->group_of[row];
    if (kind == FRAME_UNBOUNDED_PRECEDING || kind == FRAME_UNBOUNDED_FOLLOWING) {
        *out = kind == FRAME_UNBOUNDED_PRECEDING ? 0 : (uint64_t)n;
        return true;
    }
    if (kind == FRAME_CURRENT) {
        if (frame->unit == FRAME_ROWS)
            *out = row + is_end;
        else
            *out = window->group_starts[group + is_end];
        return true;
    }
    if (frame->unit == FRAME_RANGE) {
        struct datum value;
        if (!cell(window, row, column, &value))
            return false;
        *out = window->group_starts[group + is_end];
        return value.null ||
               range_edge(window, &value, window->types[window->order_at], is_end, out);
    }
    int64_t offset;
    if (!frame_offset(window, row, column, is_end ? "ending" : "starting", &offset))
        return false;
    int64_t limit = OX_MIN(offset, n);
    if (kind == FRAME_PRECEDING)
        limit = -limit;
    if (frame->unit == FRAME_ROWS) {
        *out = (uint64_t)clamp((int64_t)row + limit + is_end, 0, n);
        return true;
    }
    int64_t to = (int64_t)group + limit + is_end;
    *out = window->group_starts[clamp(to, 0, (int64_t)window->group_count)];
    return true;
}

static bool
frame_of(struct window *window, const struct window_slot *call, uint64_t row, uint64_t *from,
    uint64_t *to)
{
    if (!edge(window, call, row, false, from) || !edge(window, call, row, true, to))
        return false;
    if (*to < *from)
        *to = *from;
    return true;
}

static bool
excluded(
    const struct window *window, const struct window_slot *call, uint64_t current, uint64_t row)
{
    bool peer = window->group_of[row] == window->group_of[current];
    switch (call->plan->frame.exclude) {
    case FRAME_EXCLUDE_NONE:
        return false;
    case FRAME_EXCLUDE_CURRENT:
        return row == current;
    case FRAME_EXCLUDE_GROUP:
        return peer;
    case FRAME_EXCLUDE_TIES:
        return peer && row != current;
    }
    return false;
}

/* ---- functions -------------------- */

/* Rows [from, to) into the state, a chunk at a time. */
static bool
step_rows(
    struct window *window, struct window_slot *call, uint64_t current, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint32_t first, sel[VECTOR_MAX], n = 0;
        const struct batch *chunk = chunk_of(window, from, &first);
        if (chunk == NULL)
            return false;
        uint32_t end = (uint32_t)OX_MIN((uint64_t)VECTOR_MAX, first + (to - from));
        for (uint32_t at = first; at < end; at++) {
            if (call->filter != 0) {
                struct datum pass = vector_get(&chunk->cols[call->filter], at);
                if (pass.null || !pass.b)
                    continue;
            }
            if (!excluded(window, call, current, from + (at - first)))
                sel[n++] = at;
        }
        if (n > 0 && agg_step_one(&call->agg, call->state, chunk->cols + call->args, sel, n,
                         run_err(window->op.run)) != OX_OK)
            return false;
        from += end - first;
        if (run_stopped(window->op.run, 50 + n * 10))
            return false;
    }
    return true;
}

static bool
aggregate_value(struct window *window, struct window_slot *call, uint64_t row, struct datum *out)
{
    const struct agg_func *func = call->plan->agg.func->agg;
    uint64_t from, to;
    if (!frame_of(window, call, row, &from, &to))
        return false;
    bool plain = call->plan->frame.exclude == FRAME_EXCLUDE_NONE;
    if (plain && call->has_last && call->from == from && call->to == to) {
        *out = call->last;
        return true;
    }
    if (!plain || from != call->from || to < call->to) {
        ox_arena_reset(&call->arena);
        memset(call->state, 0, func->state_size);
        if (func->init != NULL)
            func->init(&call->agg, call->state);
        call->from = call->to = from;
    }
    if (!step_rows(window, call, row, call->to, to))
        return false;
    call->to = to;
    if (func->final(&call->agg, call->state, out, run_err(window->op.run)) != OX_OK)
        return false;
    ox_arena_reset(&call->last_arena);
    call->last = datum_copy(call->plan->agg.type, *out, &call->last_arena);
    call->has_last = true;
    return true;
}

/* lag and lead: the row at a distance, else the default. */
static bool
shifted_value(
    struct window *window, const struct window_slot *call, uint64_t row, struct datum *out)
{
    int64_t distance = 1;
    if (call->plan->agg.arg_count > 1) {
        struct datum value;
        if (!cell(window, row, call->args + 1, &value))
            return false;
        if (value.null) {
            *out = DATUM_NULL;
            return true;
        }
        distance = value.i;
    }
    int64_t n = (int64_t)window->rows.count;
    distance = clamp(distance, -n, n);
    int64_t to = (int64_t)row + (call->plan->func == WINDOW_LAG ? -distance : distance);
    if (to >= 0 && to < n)
        return cell(window, (uint64_t)to, call->args, out);
    if (call->plan->agg.arg_count > 2)
        return cell(window, row, call->args + 2, out);
    *out = DATUM_NULL;
    return true;
}

/* The nth row of the frame from its start (1), or its last (0). */
static bool
framed_value(struct window *window, const struct window_slot *call, uint64_t row, struct datum *out)
{
    uint64_t from, to, nth = 1;
    *out = DATUM_NULL;
    if (!frame_of(window, call, row, &from, &to))
        return false;
    if (call->plan->func == WINDOW_LAST_VALUE) {
        while (to > from && excluded(window, call, row, to - 1))
            to--;
        return to == from || cell(window, to - 1, call->args, out);
    }
    if (call->plan->func == WINDOW_NTH_VALUE) {
        struct datum value;
        if (!cell(window, row, call->args + 1, &value))
            return false;
        if (value.null)
            return true;
        if (value.i <= 0) {
            ox_fail(run_err(window->op.run), OX_INVALID_ARGUMENT_FOR_NTH_VALUE,
                "argument of nth_value must be greater than zero");
            return false;
        }
        nth = (uint64_t)value.i;
    }
    if (call->plan->frame.exclude == FRAME_EXCLUDE_NONE) {
        return nth > to - from || cell(window, from + nth - 1, call->args, out);
    }
    for (uint64_t at = from; at < to && !run_stopped(window->op.run, 2); at++)
        if (!excluded(window, call, row, at) && --nth == 0)
            return cell(window, at, call->args, out);
    return true;
}

static bool
ntile_value(struct window *window, const struct window_slot *call, uint64_t row, struct datum *out)
{
    struct datum value;
    if (!cell(window, 0, call->args, &value))
        return false;
    if (value.null) {
        *out = DATUM_NULL;
        return true;
    }
    if (value.i <= 0) {
        ox_fail(run_err(window->op.run), OX_INVALID_ARGUMENT_FOR_NTILE,
            "argument of ntile must be greater than zero");
        return false;
    }
    int64_t n = (int64_t)window->rows.count, buckets = value.i, at = (int64_t)row;
    int64_t size = n / buckets, larger = n % buckets; /* the first ones hold one more */
    if (at < larger * (size + 1))
        *out = datum_i64(at / (size + 1) + 1);
    else
        *out = datum_i64(larger + (at - larger * (size + 1)) / OX_MAX(size, 1) + 1);
    return true;
}

static bool
value_of(struct window *window, struct window_slot *call, uint64_t row, struct datum *out)
{
    uint32_t group = window->group_of[row];
    uint64_t first = window->group_starts[group], n = window->rows.count;
    switch (call->plan->func) {
    case WINDOW_AGGREGATE:
        return aggregate_value(window, call, row, out);
    case WINDOW_ROW_NUMBER:
        *out = datum_i64((int64_t)row + 1);
        return true;
    case WINDOW_RANK:
        *out = datum_i64((int64_t)first + 1);
        return true;
    case WINDOW_DENSE_RANK:
        *out = datum_i64((int64_t)group + 1);
        return true;
    case WINDOW_PERCENT_RANK:
        *out = datum_f64(n <= 1 ? 0 : (double)first / (double)(n - 1));
        return true;
    case WINDOW_CUME_DIST:
        *out = datum_f64((double)window->group_starts[group + 1] / (double)n);
        return true;
    case WINDOW_NTILE:
        return ntile_value(window, call, row, out);
    case WINDOW_LAG:
    case WINDOW_LEAD:
        return shifted_value(window, call, row, out);
    case WINDOW_FIRST_VALUE:
    case WINDOW_LAST_VALUE:
    case WINDOW_NTH_VALUE:
        return framed_value(window, call, row, out);
    }
    return true;
}

/* ---- giving ------------------------------------------------------------------------------------
 */

static enum exec_status
give(struct window *window, struct batch **out)
{
    struct op *op = &window->op;
    const struct plan_window *plan = plan_of(window);
    uint32_t first, ncols = op->plan->input->column_count;
    window->pinned = (uint32_t)(window->at / VECTOR_MAX);
    const struct batch *chunk = chunk_of(window, window->at, &first);
    if (chunk == NULL)
        return EXEC_FAIL;
    ox_assert(first == 0);
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, op->plan->column_count);
    memcpy(batch->cols, chunk->cols, ncols * sizeof(struct vector));
    batch->count = batch->sel_count = chunk->count;
    for (uint32_t c = 0; c < plan->call_count; c++) {
        struct vector *col = &batch->cols[ncols + c];
        vector_init(col, plan->calls[c].agg.type, chunk->count, &op->scratch);
        for (uint32_t k = 0; k < chunk->count; k++) {
            struct datum value = DATUM_NULL;
            if (!value_of(window, &window->calls[c], window->at + k, &value))
                return EXEC_FAIL;
            if (value.null)
                vector_nulls(col, chunk->count, &op->scratch);
            else if (plan->calls[c].func == WINDOW_AGGREGATE && type_phys(col->type) == PHYS_STR)
                value = datum_copy(col->type, value, &op->scratch);
            vector_set(col, k, value);
        }
    }
    window->at += chunk->count;
    *out = batch;
    return EXEC_ROWS;
}

static enum exec_status
window_next(struct op *op, struct batch **out)
{
    struct window *window = (struct window *)op;
    enum exec_status status = drain(window);
    if (status != EXEC_ROWS)
        return status;
    for (;;) {
        if (!run_check(op->run))
            return EXEC_FAIL;
        if (run_over_budget(op->run))
            return EXEC_PARK;
        if (window->complete && window->at < window->rows.count)
            return give(window, out);
        if (window->complete) {
            window->complete = false;
            forget_partition(window);
        }
        status = gather_partition(window);
        if (status != EXEC_ROWS)
            return status;
    }
}

const struct op_ops op_window = {
    .size = sizeof(struct window),
    .open = window_open,
    .next = window_next,
    .close = window_close,
};
