/* SPDX-License-Identifier: Apache-2.0
 *
 * SCAN_TOPIC: records of topics as rows.
 *
 * Each partition has a cursor over its log (opened when it is its turn, closed
 * when it has no more), a position (the next offset that has not been given)
 * and an end: the snapshot's for a bounded scan, the visible end of the moment
 * for one that follows. Output batches borrow keys and values from the record
 * batch under the cursor; small record batches are copied once, so that many of
 * them fill one output batch.
 *
 *   READY --(batch read to its end)--> READY --(end)--> WAITING (follow) | ENDED
 *   WAITING --(waiter, log start moved)--> READY
 *
 * Invariants
 *  1. position <= offset of every row that is still to come; rows below it were given.
 *  2. A WAITING partition has no cursor and one waiter; an idle scan keeps no
 *     per-batch memory.
 *  3. Ranges [position, end) only grow at the right, for a scan that follows.
 *
 * Partitions take turns: a scan that follows goes round when an output batch and a
 * record batch end together, a bounded one finishes a partition first. With an
 * order over offsets and several partitions the heads of all are merged. */
#include "exec/scan_parts.h"

#include <inttypes.h>

/* Record batches of up to so many bytes are copied and joined. */
enum { JOIN_BYTES = 256 * 1024 };

/* ---- opening ---- */

static bool
scan_open(struct op *op)
{
    struct scan *scan = (struct scan *)op;
    const struct plan_scan_topic *plan = scan_plan(scan);
    scan->parts = NULL;
    scan->part_cap = 0;
    scan->part_count = scan->ended = scan->turn = 0;
    scan->given = 0;
    scan->last = NULL;
    ox_text_init(&scan->inflated, NULL);
    if (!scan_bounds_eval(op, plan, &scan->bounds) || !scan_parts_find(scan))
        return false;
    scan_sink_init(&scan->sink, plan, &scan->bounds, &op->scratch);
    scan->backward = plan->order == SCAN_ORDER_OFFSET_DESC || scan->newest_first;
    scan->merge = plan->order != SCAN_ORDER_NONE && scan->part_count > 1;
    scan->floor_us = INT64_MIN;
    if (!scan_parts_start(scan))
        return false;
    if (plan->follow && op->run->config.loop != NULL)
        scan_parts_watch(scan);
    return true;
}

/* ---- reading ----------------------------------------------------------------------- */

void
scan_part_rest(struct scan_part *part)
{
    log_cursor_close(part->cursor);
    part->cursor = NULL;
    ox_free(part->cut.places);
    part->cut.places = NULL;
    part->cut.active = false;
    scan_aborted_fini(&part->aborted);
}

static void
part_end(struct scan_part *part)
{
    if (part->state == PART_ENDED)
        return;
    scan_part_rest(part);
    part->state = PART_ENDED;
    part->scan->ended++;
}

/* Control batches, aborted transactions and, by its header, what no bound lets pass. */
bool
scan_part_batch_visible(struct scan_part *part, const struct record_batch *batch, bool *visible)
{
    struct scan *scan = part->scan;
    const struct scan_bounds *bounds = &scan->bounds;
    *visible = false;
    if (record_batch_is_control(batch))
        return true;
    if (scan_isolation(scan) == READ_COMMITTED) {
        bool good;
        if (scan_aborted_has(&part->aborted, scan->op.run, part->plog, batch, part->end, &good))
            return true;
        if (!good)
            return false;
    }
    if (scan->floor_us != INT64_MIN && batch->base_timestamp >= 0 && batch->max_timestamp >= 0 &&
        row_us_from_unix_ms(batch->max_timestamp) < scan->floor_us)
        return true;
    if (bounds->sample_batches != UINT64_MAX &&
        !scan_sampled(bounds, bounds->sample_batches, part->index, batch->base_offset))
        return true;
    if (bounds->timed) {
        int64_t max_us = row_us_from_unix_ms(batch->max_timestamp);
        if (batch->max_timestamp == -1 || max_us < bounds->us_from)
            return true;
        if ((batch->attributes & RECORD_LOG_APPEND_TIME) != 0 && max_us >= bounds->us_to)
            return true;
    }
    *visible = true;
    return true;
}

/* Start on a batch: inflate it if need be, copy it when rows of the next one will join. */
bool
scan_part_begin_cut(
    struct scan_part *part, const struct record_batch *batch, bool copy, struct arena *arena)
{
    struct scan *scan = part->scan;
    const uint8_t *records = batch->ptr + RECORD_BATCH_HEADER;
    size_t len = batch->bytes - RECORD_BATCH_HEADER;
    if (record_batch_codec(batch) != OX_CODEC_NONE) {
        struct plog_config config;
        plog_get_config(part->plog, &config);
        struct text *to = &scan->inflated, own;
        if (copy) {
            ox_text_init(&own, arena);
            to = &own;
        }
        ox_text_clear(to);
        if (ox_decompress(record_batch_codec(batch), records, len,
                (size_t)OX_MAX(config.inflated_max, 1), to, run_err(scan->op.run)) != OX_OK)
            return false;
        records = (const uint8_t *)to->ptr;
        len = to->len;
        scan->op.counters->bytes_decompressed += len;
    } else if (copy) {
        records = ox_arena_copy(arena, records, len);
    }
    scan_cut_begin(&part->cut, batch, records, len);
    part->cut.partition = part->index;
    part->cut.topic = part->topic;
    return true;
}

static bool
open_cursor(struct scan_part *part)
{
    struct scan *scan = part->scan;
    int64_t from = scan->backward ? part->start : part->position;
    int64_t to = part->end;
    if (log_cursor_open(part->plog, from, to, scan->backward ? LOG_CURSOR_BACKWARD : 0,
            &part->cursor, run_err(scan->op.run)) != OX_OK)
        return false;
    return true;
}

/* The log start has passed the position of a scan that follows. */
static bool
fell_behind(struct scan_part *part)
{
    struct exec_run *run = part->scan->op.run;
    struct exec_range range;
    if (run_err(run)->code != OX_OFFSET_OUT_OF_RANGE)
        return false;
    scan_part_range(part, &range);
    log_cursor_close(part->cursor);
    part->cursor = NULL;
    if (!scan_plan(part->scan)->follow) {
        /* Retention removed what the snapshot still had. */
        int64_t start = plog_log_start(part->plog);
        if (start <= part->position)
            return false;
        part->position = OX_MIN(start, part->end);
        run_notice(
            run, "retention removed records of partition %d while they were read", part->index);
    } else if (!scan_part_check_gap(part, part->position, &range, &part->position)) {
        return false;
    }
    memset(run_err(run), 0, sizeof(struct ox_err));
    return true;
}

/* What has become of the batch's transaction, if _txn is asked for. */
static bool
tell_txn(struct scan_part *part, const struct record_batch *batch)
{
    struct scan *scan = part->scan;
    bool good = true;
    part->cut.txn = SCAN_TXN_NONE;
    if ((scan->sink.need >> SCAN_TXN & 1) == 0 || !record_batch_is_transactional(batch))
        return true;
    part->cut.txn = SCAN_TXN_COMMITTED;
    if (scan_isolation(scan) == READ_COMMITTED)
        return true;
    if (batch->base_offset >= plog_last_stable(part->plog))
        part->cut.txn = SCAN_TXN_OPEN;
    else if (scan_aborted_has(&part->aborted, scan->op.run, part->plog, batch, part->end, &good))
        part->cut.txn = SCAN_TXN_ABORTED;
    return good;
}

static bool
borrows(const struct scan *scan)
{
    return scan->sink.want_key || scan->sink.want_value || scan->sink.want_headers ||
           scan->bounds.keys != NULL;
}

/* The next visible batch of a partition: cut is active, or *more is false. What rows will
 * borrow is copied always, or when the batch is small and has fewer records than there is
 * room for: the arena is reset before the rest of one that is cut would be read. */
static bool
next_batch(struct scan_part *part, struct arena *arena, bool always, uint32_t room, bool *more)
{
    struct scan *scan = part->scan;
    struct exec_run *run = scan->op.run;
    struct exec_counters *counters = scan->op.counters;
    for (;;) {
        *more = false;
        if (part->position >= part->end && !scan->backward)
            return true;
        if (part->end <= part->start && scan->backward)
            return true;
        if (part->cursor == NULL && !open_cursor(part)) {
            if (fell_behind(part))
                continue;
            return false;
        }
        struct record_batch batch;
        if (log_cursor_next(part->cursor, &batch, more, run_err(run)) != OX_OK) {
            if (fell_behind(part))
                continue;
            return false;
        }
        if (!*more) {
            if (!scan->backward)
                part->position = OX_MAX(part->position, part->end);
            return true;
        }
        if (!run_count_bytes(run, batch.bytes))
            return false;
        counters->bytes_read += batch.bytes;
        bool visible;
        if (!scan_part_batch_visible(part, &batch, &visible))
            return false;
        if (!visible) {
            counters->batches_skipped++;
            if (!scan->backward)
                part->position = OX_MAX(part->position, record_batch_next_offset(&batch));
            continue;
        }
        counters->batches_read++;
        bool copy = always || (batch.bytes <= JOIN_BYTES && batch.count < (int64_t)room &&
                                  borrows(scan));
        if (!scan_part_begin_cut(part, &batch, copy, arena) || !tell_txn(part, &batch))
            return false;
        part->cut.from = scan->backward ? part->start : part->position;
        part->cut.to = part->end;
        return true;
    }
}

/* Whether the cut's bytes go away with the next batch. */
static bool
in_place(const struct scan *scan, const struct scan_cut *cut)
{
    return cut->at0 == cut->batch.ptr + RECORD_BATCH_HEADER ||
           cut->at0 == (const uint8_t *)scan->inflated.ptr;
}

/* Rows of a partition into the sink until it is full, the partition is at its
 * end, or bytes that rows have borrowed would move. */
static bool
fill(struct scan_part *part, struct scan_sink *sink, uint64_t limit, bool *at_end)
{
    struct scan *scan = part->scan;
    struct exec_run *run = scan->op.run;
    size_t budget = 4 * JOIN_BYTES;
    *at_end = false;
    while (sink->count < VECTOR_MAX && sink->count < limit) {
        if (!part->cut.active) {
            bool more;
            if (!next_batch(part, sink->arena, false, VECTOR_MAX - sink->count, &more))
                return false;
            if (!more) {
                *at_end = true;
                return true;
            }
        }
        uint32_t before = sink->count;
        bool good = scan->backward
                        ? scan_cut_backward(&part->cut, sink, limit, scan->op.counters, run_err(run))
                        : scan_cut_forward(&part->cut, sink, scan->op.counters, run_err(run));
        if (!good)
            return false;
        if (part->cut.stopped) {
            part_end(part);
            return true;
        }
        if (part->cut.active)
            return true;
        if (!scan->backward)
            part->position = OX_MAX(part->position, record_batch_next_offset(&part->cut.batch));
        if (sink->count > before && borrows(scan) && in_place(scan, &part->cut))
            return true;
        size_t took = (size_t)(part->cut.end - part->cut.at0);
        if (took >= budget || run_now_ns(run) - run->tick_start > 1000000)
            return true;
        budget -= took;
    }
    return true;
}

/* ---- following ---------------------------------------------------------------------- */

static void
data_arrived(struct partition_waiter *waiter)
{
    struct scan_part *part = ox_container_of(waiter, struct scan_part, waiter);
    struct scan *scan = part->scan;
    part->state = PART_READY;
    run_wake(scan->op.run);
}

static void
timer_fired(struct loop_timer *timer)
{
    struct scan *scan = ox_container_of(timer, struct scan, timer);
    run_wake(scan->op.run);
}

/* At its end: extend, wait, or end. False: the partition is gone. */
static bool
part_at_end(struct scan_part *part)
{
    struct scan *scan = part->scan;
    if (!scan_plan(scan)->follow || part->position >= part->until) {
        part_end(part);
        return true;
    }
    struct exec_range range;
    if (!scan_part_readable(part))
        return false;
    scan_part_range(part, &range);
    int64_t end = OX_MIN(range.end, part->until);
    if (end > part->end) {
        part->end = end;
        if (part->cursor != NULL)
            log_cursor_extend(part->cursor, end);
        return true;
    }
    scan_part_rest(part);
    part->waiter = (struct partition_waiter){.fn = data_arrived,
        .loop = scan->op.run->config.loop,
        .offset = OX_MAX(part->position, range.end),
        .isolation = scan_isolation(scan)};
    part->state = PART_WAITING;
    if (!partition_wait(part->part, &part->waiter))
        part->state = PART_READY;
    return true;
}

/* IDLE and TIMESTAMP end by the clock. */
static bool
time_is_up(struct scan *scan)
{
    struct exec_run *run = scan->op.run;
    if (scan_plan(scan)->until == SCAN_UNTIL_TIMESTAMP)
        return row_us_from_unix_ms(env_wall_ms(run->config.env)) >= scan->stop_us;
    if (scan->idle_us < 0)
        return false;
    return run_now_ns(run) - scan->last_row >= (uint64_t)scan->idle_us * 1000;
}

static enum exec_status
wait_for_data(struct scan *scan)
{
    struct exec_run *run = scan->op.run;
    ox_arena_fini(&scan->op.scratch);
    ox_text_fini(&scan->inflated);
    if (time_is_up(scan))
        return EXEC_DONE;
    if (scan_plan(scan)->until == SCAN_UNTIL_TIMESTAMP) {
        int64_t left = scan->stop_us - row_us_from_unix_ms(env_wall_ms(run->config.env));
        loop_timer_start(
            run->config.loop, &scan->timer, (uint64_t)left * 1000 + 1000000, timer_fired);
    } else if (scan->idle_us >= 0) {
        uint64_t due = scan->last_row + (uint64_t)scan->idle_us * 1000, now = run_now_ns(run);
        loop_timer_start(run->config.loop, &scan->timer, due > now ? due - now : 0, timer_fired);
    }
    return EXEC_PARK;
}

/* ---- merging by offset --------------------------------------------------------------- */

/* Rows of a partition ahead of their turn. The batch they come from is copied
 * whole: it is decoded piece by piece, while other partitions read theirs. */
static bool
ahead_fill(struct scan_part *part)
{
    struct scan *scan = part->scan;
    struct exec_counters *counters = scan->op.counters;
    struct ox_err *err = run_err(scan->op.run);
    struct ahead *ahead = part->ahead;
    if (ahead == NULL) {
        ahead = part->ahead = ox_calloc(1, sizeof(*ahead));
        ox_arena_init(&ahead->arena);
        ox_arena_init(&ahead->held);
        scan_sink_init(&ahead->sink, scan_plan(scan), &scan->bounds, &ahead->arena);
    }
    ox_arena_reset(&ahead->arena);
    scan_sink_begin(&ahead->sink);
    ahead->at = 0;
    while (part->state == PART_READY && ahead->sink.count == 0) {
        if (!part->cut.active) {
            bool more;
            ox_arena_reset(&ahead->held);
            if (!next_batch(part, &ahead->held, true, 0, &more))
                return false;
            if (!more) {
                part_end(part);
                break;
            }
        }
        bool good = scan->backward
                        ? scan_cut_backward(&part->cut, &ahead->sink, VECTOR_MAX, counters, err)
                        : scan_cut_forward(&part->cut, &ahead->sink, counters, err);
        if (!good)
            return false;
        if (!part->cut.active && !scan->backward)
            part->position = OX_MAX(part->position, record_batch_next_offset(&part->cut.batch));
    }
    scan_sink_batch(&ahead->sink, &ahead->batch);
    return true;
}

static struct scan_part *
merge_head(struct scan *scan)
{
    struct scan_part *best = NULL;
    for (uint32_t i = 0; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        if (part->ahead == NULL || part->ahead->at == part->ahead->sink.count)
            continue;
        int64_t offset = part->ahead->sink.offset[part->ahead->at];
        int64_t first = best != NULL ? best->ahead->sink.offset[best->ahead->at] : 0;
        if (best == NULL || (scan->backward ? offset > first : offset < first))
            best = part;
    }
    return best;
}

static void
merge_put(
    struct vector *to, const struct vector *from, uint32_t row, uint32_t at, struct arena *arena)
{
    if (from->nulls != NULL && from->nulls[row])
        vector_nulls(to, VECTOR_MAX, arena)[at] = 1;
    switch (type_phys(to->type)) {
    case PHYS_BOOL:
        to->b[at] = from->b[row];
        break;
    case PHYS_I64:
    case PHYS_F64:
        to->i[at] = from->i[row];
        break;
    case PHYS_STR:
        to->s[at] = from->s[row];
        break;
    }
}

static enum exec_status
merge_next(struct scan *scan, struct batch **out)
{
    struct op *op = &scan->op;
    for (uint32_t i = 0; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        bool spent = part->ahead == NULL || part->ahead->at == part->ahead->sink.count;
        if (part->state == PART_READY && spent && !ahead_fill(part))
            return EXEC_FAIL;
    }
    ox_arena_reset(&op->scratch);
    struct batch *batch = &scan->out;
    *batch = *batch_new(&op->scratch, op->plan->column_count);
    for (uint32_t c = 0; c < batch->ncols; c++)
        vector_init(&batch->cols[c], op->plan->columns[c].type, VECTOR_MAX, &op->scratch);
    while (batch->count < VECTOR_MAX) {
        struct scan_part *part = merge_head(scan);
        if (part == NULL)
            break;
        for (uint32_t c = 0; c < batch->ncols; c++)
            merge_put(&batch->cols[c], &part->ahead->batch.cols[c], part->ahead->at, batch->count,
                &op->scratch);
        batch->count++;
        /* Its next rows would move what was just borrowed. */
        if (++part->ahead->at == part->ahead->sink.count && part->state == PART_READY)
            break;
    }
    batch->sel_count = batch->count;
    *out = batch;
    return batch->count > 0 ? EXEC_ROWS : EXEC_DONE;
}

/* ---- giving rows ---------------------------------------------------------------------- */

/* The next partition that can be read, from `turn` on; NULL: none. */
static struct scan_part *
ready_part(struct scan *scan)
{
    for (uint32_t i = 0; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[(scan->turn + i) % scan->part_count];
        if (part->state == PART_READY) {
            scan->turn = part->number;
            return part;
        }
    }
    return NULL;
}

static uint64_t
limit_left(const struct scan *scan)
{
    uint64_t limit = scan_plan(scan)->limit;
    return limit == 0 ? UINT64_MAX : limit - scan->given;
}

static enum exec_status
read_next(struct scan *scan, struct batch **out)
{
    struct op *op = &scan->op;
    bool follow = scan_plan(scan)->follow;
    for (;;) {
        if (scan->more_parts && !scan_parts_add_new(scan))
            return EXEC_FAIL;
        if (scan->ended == scan->part_count)
            return EXEC_DONE;
        struct scan_part *part = ready_part(scan);
        if (part == NULL)
            return wait_for_data(scan);
        ox_arena_reset(&op->scratch);
        scan_sink_begin(&scan->sink);
        bool at_end;
        if (!fill(part, &scan->sink, limit_left(scan), &at_end))
            return EXEC_FAIL;
        if (scan->sink.count > 0) {
            uint32_t last = scan->sink.count - 1;
            if (!scan->backward && part->cut.active)
                part->position = OX_MAX(part->position, scan->sink.offset[last] + 1);
            part->epoch = part->cut.batch.leader_epoch;
        }
        if (at_end && part->state == PART_READY && !part_at_end(part))
            return EXEC_FAIL;
        /* Others would inflate theirs where a batch that is not through yet stands. */
        if ((follow && !part->cut.active) || part->state != PART_READY)
            scan->turn = (part->number + 1) % scan->part_count;
        if (scan->sink.count > 0) {
            scan_sink_batch(&scan->sink, &scan->out);
            *out = &scan->out;
            return EXEC_ROWS;
        }
        if (run_over_budget(op->run))
            return EXEC_PARK;
    }
}

static enum exec_status
scan_next(struct op *op, struct batch **out)
{
    struct scan *scan = (struct scan *)op;
    if (limit_left(scan) == 0)
        return EXEC_DONE;
    loop_timer_stop(&scan->timer);
    enum exec_status status = scan_begin(op);
    if (status != EXEC_DONE)
        return status;
    status = scan->merge ? merge_next(scan, out) : read_next(scan, out);
    if (status != EXEC_ROWS)
        return status;
    uint64_t left = limit_left(scan);
    if ((*out)->count > left) {
        (*out)->count = (*out)->sel_count = (uint32_t)left;
    }
    scan->given += (*out)->count;
    if (scan->idle_us >= 0)
        scan->last_row = run_now_ns(op->run);
    return EXEC_ROWS;
}

static void
scan_close(struct op *op)
{
    struct scan *scan = (struct scan *)op;
    loop_timer_stop(&scan->timer);
    scan_parts_unwatch(scan);
    scan_last_close(scan);
    for (uint32_t i = 0; scan->parts != NULL && i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        partition_unwait(&part->waiter);
        scan_part_rest(part);
        if (part->ahead != NULL) {
            ox_arena_fini(&part->ahead->arena);
            ox_arena_fini(&part->ahead->held);
            ox_free(part->ahead);
        }
        partition_put(part->part);
        ox_free(part);
    }
    ox_free(scan->parts);
    scan->parts = NULL;
    scan->part_count = 0;
    ox_text_fini(&scan->inflated);
}

const struct op_ops op_scan_topic = {
    .size = sizeof(struct scan),
    .leaf = true,
    .open = scan_open,
    .next = scan_next,
    .close = scan_close,
};

void
scan_newest_first(struct op *op)
{
    ((struct scan *)op)->newest_first = true;
}

void
scan_set_floor(struct op *op, int64_t us)
{
    ((struct scan *)op)->floor_us = us;
}

/* ---- what SUBSCRIBE asks ---------------------------------------------------------------- */

uint32_t
scan_positions(
    struct op *op, struct exec_position **out, struct uuid *topic_id, struct arena *arena)
{
    struct scan *scan = (struct scan *)op;
    *out = ox_arena_alloc0(arena, (scan->part_count + 1) * sizeof(**out));
    *topic_id = scan_plan(scan)->topics[0].id;
    for (uint32_t i = 0; i < scan->part_count; i++) {
        const struct scan_part *part = scan->parts[i];
        (*out)[i] = (struct exec_position){part->index, part->epoch, part->position};
    }
    return scan->part_count;
}

bool
scan_caught_up(const struct op *op)
{
    const struct scan *scan = (const struct scan *)op;
    for (uint32_t i = 0; i < scan->part_count; i++)
        if (scan->parts[i]->state == PART_READY)
            return false;
    return true;
}
