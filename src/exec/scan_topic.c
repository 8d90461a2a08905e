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
 * Partitions take turns: a scan that follows goes round after each output
 * batch, a bounded one finishes a partition first. With an order over offsets
 * and several partitions the heads of all are merged. */
#include "exec/scan_int.h"

#include <inttypes.h>

/* Record batches with fewer records to come than this are copied and joined. */
enum { JOIN_RECORDS = VECTOR_MAX, JOIN_BYTES = 256 * 1024 };

enum part_state { PART_READY, PART_WAITING, PART_ENDED };

/* Rows of one partition decoded ahead, when partitions are merged. */
struct ahead {
    struct arena arena; /* of the columns */
    struct arena held;  /* of the record batch they borrow */
    struct scan_sink sink;
    struct batch batch;
    uint32_t at;
};

struct scan_part {
    struct scan *scan;
    struct partition *part; /* held */
    struct plog *plog;
    uint32_t number; /* in the scan */
    uint32_t topic;  /* in the plan */
    int32_t index;
    enum part_state state;
    int64_t start; /* where the scan began: positions never fall below */
    int64_t position, end;
    int64_t until; /* no record at or above; INT64_MAX */
    int32_t epoch; /* of the last record given */
    struct log_cursor *cursor;
    struct scan_cut cut;
    struct scan_aborted aborted;
    struct partition_waiter waiter;
    uint64_t given;
    struct ahead *ahead;
};

struct scan {
    struct op op;
    struct scan_bounds bounds;
    struct scan_sink sink;
    struct scan_part **parts; /* each stays in place: waiters point to them */
    uint32_t part_count, part_cap, ended;
    uint32_t turn;
    bool backward, merge;
    bool newest_first;
    int64_t floor_us; /* batches with nothing at or after it are not wanted */
    struct text inflated;
    uint64_t given;
    /* until */
    int64_t stop_us;   /* TIMESTAMP */
    int64_t idle_us;   /* IDLE; -1 none */
    uint64_t last_row; /* mono ns */
    /* Partitions that are added while the scan follows: see watch.. below. */
    bool watching, unwatched, more_parts;
    uint32_t *known;        /* partitions by topic */
    _Atomic uint32_t total; /* all of them */
    _Atomic bool view_posted;
    struct loop_msg view_msg;
    struct loop_timer timer;
    struct batch out;
};

static const struct plan_scan_topic *
plan_of(const struct scan *scan)
{
    return (const struct plan_scan_topic *)scan->op.plan;
}

static enum partition_isolation
isolation_of(const struct scan *scan)
{
    return scan_uncommitted(scan->op.run, plan_of(scan)) ? READ_UNCOMMITTED : READ_COMMITTED;
}

/* ---- opening: partitions, starts and ends ------------------------------------------- */

/* A log that is damaged is readable up to the damage; one that is gone is not. */
static bool
part_readable(struct scan_part *part)
{
    struct partition_state state;
    partition_state(part->part, &state);
    if (state.fault == OX_OK ||
        (state.fault == OX_DATA_CORRUPTED && partition_log(part->part) != NULL))
        return true;
    const struct plan_topic *topic = &plan_of(part->scan)->topics[part->topic];
    ox_fail(run_err(part->scan->op.run), state.fault,
        "partition %d of topic \"%.*s\" cannot be read: %s", part->index, OX_STR_ARG(topic->name),
        ox_code_facts(state.fault)->message);
    return false;
}

static bool
add_part(struct scan *scan, uint32_t topic, int32_t index, struct ox_err *err)
{
    const struct plan_topic *of = &plan_of(scan)->topics[topic];
    struct partition *part;
    if (engine_partition(scan->op.run->config.session, of->name, &of->id, index, ENGINE_READ, &part,
            err) != OX_OK)
        return false;
    /* Not in the arena: an idle subscription is to be small. */
    if (scan->part_count == scan->part_cap) {
        scan->part_cap = OX_MAX(scan->part_cap * 2, 4u);
        scan->parts = ox_realloc(scan->parts, scan->part_cap * sizeof(*scan->parts));
    }
    struct scan_part *at = ox_calloc(1, sizeof(*at));
    *at = (struct scan_part){.scan = scan,
        .part = partition_hold(part),
        .number = scan->part_count,
        .topic = topic,
        .index = index,
        .until = INT64_MAX,
        .epoch = -1};
    scan->parts[scan->part_count++] = at;
    at->cut.stop_us = INT64_MAX;
    scan_aborted_init(&at->aborted);
    if (!part_readable(at))
        return false;
    at->plog = partition_log(part);
    return true;
}

static bool
find_parts(struct scan *scan)
{
    const struct plan_scan_topic *plan = plan_of(scan);
    struct op *op = &scan->op;
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        uint32_t count = scan_partition_count(op->run, &plan->topics[t]);
        op->counters->partitions_total += count;
        for (uint32_t p = 0; p < count; p++)
            if (scan_bounds_partition(&scan->bounds, (int32_t)p) &&
                !add_part(scan, t, (int32_t)p, run_err(op->run)))
                return false;
    }
    op->counters->partitions += scan->part_count;
    return true;
}

static void
visible_range(struct scan_part *part, struct exec_range *range)
{
    struct scan *scan = part->scan;
    if (!plan_of(scan)->follow) {
        snapshot_range(
            scan->op.run, part->part, scan_uncommitted(scan->op.run, plan_of(scan)), range);
        return;
    }
    struct partition_state state;
    partition_state(part->part, &state);
    range->start = state.log_start;
    range->end = partition_visible_end(&state, isolation_of(scan));
}

/* First offset with a timestamp at or after us; the end if there is none. */
static bool
offset_at_time(struct scan_part *part, int64_t us, const struct exec_range *range, int64_t *out)
{
    int64_t unix_us = us + ROW_EPOCH_UNIX_S * 1000000;
    int64_t ms = unix_us <= 0 ? 0 : (unix_us + 999) / 1000;
    struct log_timed_offset found;
    if (plog_offset_by_time(part->plog, ms, range->end, &found, run_err(part->scan->op.run)) != OX_OK)
        return false;
    *out = found.offset < 0 ? range->end : found.offset;
    return true;
}

static bool
bad_value(struct scan *scan, const char *what)
{
    ox_fail(run_err(scan->op.run), OX_INVALID_PARAMETER_VALUE, "%s", what);
    return false;
}

/* The plan's start or until value; NULL is refused. */
static bool
value_of(struct scan *scan, const struct expr *expr, const char *clause, struct datum *out)
{
    if (expr == NULL) {
        *out = DATUM_NULL;
        return true;
    }
    if (!op_eval_one(&scan->op, expr, out))
        return false;
    if (out->null)
        return bad_value(scan, clause);
    *out = datum_copy(expr->type, *out, &scan->op.arena);
    return true;
}

static int64_t
interval_us(const struct datum *value)
{
    struct interval interval;
    memcpy(&interval, value->s.ptr, sizeof(interval));
    return interval.us + ((int64_t)interval.days + (int64_t)interval.months * 30) * 86400000000;
}

static int64_t
position_in(
    const struct exec_position *positions, uint32_t count, int32_t partition, int64_t absent)
{
    for (uint32_t i = 0; i < count; i++)
        if (positions[i].partition == partition)
            return positions[i].offset;
    return absent;
}

/* A position asked for that is not in the log any more, or not yet. */
static bool
check_gap(struct scan_part *part, int64_t asked, const struct exec_range *range, int64_t *start)
{
    struct scan *scan = part->scan;
    const struct plan_scan_topic *plan = plan_of(scan);
    *start = asked;
    if (asked >= range->start && asked <= range->end)
        return true;
    /* Ahead of what is visible: records that are there but not yet visible. */
    if (asked > range->end && asked <= plog_log_end(part->plog))
        return true;
    switch (plan->on_gap) {
    case SCAN_GAP_EARLIEST:
        *start = range->start;
        return true;
    case SCAN_GAP_LATEST:
        *start = range->end;
        return true;
    case SCAN_GAP_ERROR:
        break;
    }
    ox_fail(run_err(scan->op.run), OX_OFFSET_OUT_OF_RANGE,
        "offset %" PRId64 " of partition %d of topic \"%.*s\" is out of range", asked, part->index,
        OX_STR_ARG(plan->topics[part->topic].name));
    ox_detail(run_err(scan->op.run), "The partition holds offsets %" PRId64 " to %" PRId64 ".",
        range->start, range->end);
    ox_hint(run_err(scan->op.run), "Set on_gap to earliest or latest to go on from there.");
    return false;
}

struct newest {
    int64_t timestamp, offset;
    uint32_t part;
};

static int
newer_first(const void *a, const void *b)
{
    const struct newest *x = a, *y = b;
    if (x->timestamp != y->timestamp)
        return x->timestamp < y->timestamp ? 1 : -1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? 1 : -1;
    return x->part < y->part ? -1 : x->part > y->part;
}

static bool batch_visible(struct scan_part *part, const struct record_batch *batch, bool *visible);
static bool begin_cut(
    struct scan_part *part, const struct record_batch *batch, bool copy, struct arena *arena);

/* Offsets and times of the newest n records of a partition, newest first. */
static bool
newest_of(struct scan_part *part, const struct exec_range *range, uint64_t n, struct newest **list,
    size_t *count, size_t *cap)
{
    struct scan *scan = part->scan;
    struct exec_run *run = scan->op.run;
    struct log_cursor *cursor;
    if (range->end <= range->start || n == 0)
        return true;
    if (log_cursor_open(
            part->plog, range->start, range->end, LOG_CURSOR_BACKWARD, &cursor, run_err(run)) != OX_OK)
        return false;
    struct arena arena;
    ox_arena_init(&arena);
    uint64_t found = 0;
    bool good = true, more = true;
    while (good && found < n) {
        struct record_batch batch;
        bool visible;
        good = log_cursor_next(cursor, &batch, &more, run_err(run)) == OX_OK;
        if (!good || !more)
            break;
        part->end = range->end;
        if (!(good = batch_visible(part, &batch, &visible)) || !visible)
            continue;
        if (!(good = begin_cut(part, &batch, false, &arena)))
            break;
        part->cut.from = range->start;
        part->cut.to = range->end;
        while (good && part->cut.active && found < n) {
            struct scan_sink sink;
            scan_sink_init(&sink, plan_of(scan), &scan->bounds, &arena);
            scan_sink_begin(&sink);
            good = scan_cut_backward(&part->cut, &sink, n - found, scan->op.counters, run_err(run));
            *list = *count + sink.count > *cap
                        ? ox_realloc(*list, (*cap = (*count + sink.count) * 2) * sizeof(**list))
                        : *list;
            for (uint32_t i = 0; i < sink.count; i++)
                (*list)[(*count)++] =
                    (struct newest){sink.timestamp[i], sink.offset[i], part->number};
            found += sink.count;
            ox_arena_reset(&arena);
        }
        ox_free(part->cut.places);
        part->cut.places = NULL;
        part->cut.active = false;
    }
    ox_arena_fini(&arena);
    log_cursor_close(cursor);
    return good;
}

/* FROM LAST n: the newest n over all partitions, as suffixes of each. */
static bool
start_at_last(struct scan *scan, int64_t rows)
{
    if (rows < 0)
        return bad_value(scan, "number of rows in FROM LAST must not be negative");
    if (rows > 1000000)
        return bad_value(scan, "number of rows in FROM LAST must not exceed 1000000");
    struct newest *list = NULL;
    size_t count = 0, cap = 0;
    bool good = true;
    for (uint32_t i = 0; good && i < scan->part_count; i++) {
        struct exec_range range;
        visible_range(scan->parts[i], &range);
        scan->parts[i]->position = range.end;
        good = newest_of(scan->parts[i], &range, (uint64_t)rows, &list, &count, &cap);
    }
    if (count > 0)
        qsort(list, count, sizeof(*list), newer_first);
    /* A partition's part is its suffix of as many rows as were chosen of it. */
    for (size_t k = 0; good && k < count && k < (size_t)rows; k++) {
        struct scan_part *part = scan->parts[list[k].part];
        part->given++;
    }
    for (uint32_t i = 0; good && i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        uint64_t chosen = part->given;
        part->given = 0;
        if (chosen == 0)
            continue;
        /* The chosen-th newest by offset. */
        int64_t *offsets = ox_malloc(count * sizeof(int64_t));
        size_t n = 0;
        for (size_t k = 0; k < count; k++)
            if (list[k].part == i)
                offsets[n++] = list[k].offset;
        for (size_t a = 1; a < n; a++)
            for (size_t b = a; b > 0 && offsets[b - 1] < offsets[b]; b--) {
                int64_t swap = offsets[b];
                offsets[b] = offsets[b - 1];
                offsets[b - 1] = swap;
            }
        part->position = offsets[chosen - 1];
        ox_free(offsets);
    }
    ox_free(list);
    return good;
}

static bool
set_start(struct scan *scan)
{
    const struct plan_scan_topic *plan = plan_of(scan);
    struct datum value;
    struct exec_position *positions = NULL;
    uint32_t count = 0;
    struct ox_err *err = run_err(scan->op.run);
    if (!value_of(scan, plan->start_value, "the position in FROM must not be NULL", &value))
        return false;
    if (plan->start == SCAN_FROM_OFFSETS &&
        !scan_parse_offsets(value.s, &scan->op.arena, &positions, &count, err))
        return false;
    if (plan->start == SCAN_FROM_TOKEN) {
        struct uuid id;
        if (exec_token_read(value.s, &scan->op.arena, &id, &positions, &count, err) != OX_OK)
            return false;
        if (!ox_uuid_eq(&id, &plan->topics[0].id))
            return bad_value(scan, "the token belongs to another topic");
    }
    if (plan->start == SCAN_FROM_LAST_ROWS)
        return start_at_last(scan, value.i);
    for (uint32_t i = 0; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        struct exec_range range;
        visible_range(part, &range);
        int64_t asked = range.start;
        bool good = true;
        switch (plan->start) {
        case SCAN_FROM_EARLIEST:
            break;
        case SCAN_FROM_LATEST:
            asked = range.end;
            break;
        case SCAN_FROM_OFFSET:
            good = check_gap(part, value.i, &range, &asked);
            break;
        case SCAN_FROM_OFFSETS:
        case SCAN_FROM_TOKEN:
            good = check_gap(
                part, position_in(positions, count, part->index, range.start), &range, &asked);
            break;
        case SCAN_FROM_TIMESTAMP:
            good = offset_at_time(part, value.i, &range, &asked);
            break;
        case SCAN_FROM_LAST_TIME: {
            int64_t now = row_us_from_unix_ms(env_wall_ms(scan->op.run->config.env));
            good = offset_at_time(part, now - interval_us(&value), &range, &asked);
            break;
        }
        case SCAN_FROM_LAST_ROWS:
            break;
        }
        if (!good)
            return false;
        part->position = asked;
    }
    return true;
}

static void timer_fired(struct loop_timer *timer);

static bool
set_until(struct scan *scan)
{
    const struct plan_scan_topic *plan = plan_of(scan);
    struct datum value;
    struct exec_position *positions = NULL;
    uint32_t count = 0;
    scan->stop_us = INT64_MAX;
    scan->idle_us = -1;
    if (!plan->follow)
        return true;
    if (!value_of(scan, plan->until_value, "the position in UNTIL must not be NULL", &value))
        return false;
    if (plan->until == SCAN_UNTIL_OFFSETS &&
        !scan_parse_offsets(value.s, &scan->op.arena, &positions, &count, run_err(scan->op.run)))
        return false;
    if (plan->until == SCAN_UNTIL_IDLE) {
        scan->idle_us = interval_us(&value);
        if (scan->idle_us < 0)
            return bad_value(scan, "interval in UNTIL IDLE must not be negative");
        scan->last_row = run_now_ns(scan->op.run);
    }
    if (plan->until == SCAN_UNTIL_TIMESTAMP)
        scan->stop_us = value.i;
    for (uint32_t i = 0; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        struct exec_range range;
        visible_range(part, &range);
        part->cut.stop_us = scan->stop_us;
        switch (plan->until) {
        case SCAN_UNTIL_LATEST:
            part->until = range.end;
            break;
        case SCAN_UNTIL_OFFSET:
            part->until = value.i;
            break;
        case SCAN_UNTIL_OFFSETS:
            part->until = position_in(positions, count, part->index, 0);
            break;
        case SCAN_UNTIL_NEVER:
        case SCAN_UNTIL_TIMESTAMP:
        case SCAN_UNTIL_IDLE:
            break;
        }
    }
    return true;
}

/* Position, end and bounds of partitions from first_part on, once start and until are known. */
static bool
set_ranges(struct scan *scan, uint32_t first_part)
{
    const struct plan_scan_topic *plan = plan_of(scan);
    for (uint32_t i = first_part; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        struct exec_range range;
        visible_range(part, &range);
        if (plan->follow) {
            part->until = OX_MIN(part->until, scan->bounds.offset_to);
            part->position = OX_MAX(part->position, scan->bounds.offset_from);
        } else {
            scan_bounds_range(&scan->bounds, &range.start, &range.end);
            part->position = OX_MAX(part->position, range.start);
        }
        /* Every record before the first one in time fails the bound. */
        if (scan->bounds.us_from != INT64_MIN) {
            int64_t first;
            if (!offset_at_time(part, scan->bounds.us_from, &range, &first))
                return false;
            part->position = OX_MAX(part->position, OX_MIN(first, range.end));
        }
        part->end = OX_MIN(range.end, part->until);
        part->position = plan->follow ? part->position : OX_MIN(part->position, part->end);
        part->start = part->position;
    }
    return true;
}

static void watch(struct scan *scan);
static void unwatch(struct scan *scan);

static bool
scan_open(struct op *op)
{
    struct scan *scan = (struct scan *)op;
    const struct plan_scan_topic *plan = plan_of(scan);
    scan->parts = NULL;
    scan->part_cap = 0;
    scan->part_count = scan->ended = scan->turn = 0;
    scan->given = 0;
    ox_text_init(&scan->inflated, NULL);
    if (!scan_bounds_eval(op, plan, &scan->bounds) || !find_parts(scan))
        return false;
    scan_sink_init(&scan->sink, plan, &scan->bounds, &op->scratch);
    scan->backward = plan->order == SCAN_ORDER_OFFSET_DESC || scan->newest_first;
    scan->merge = plan->order != SCAN_ORDER_NONE && scan->part_count > 1;
    scan->floor_us = INT64_MIN;
    if (!set_start(scan) || !set_until(scan) || !set_ranges(scan, 0))
        return false;
    if (plan->follow && op->run->config.loop != NULL)
        watch(scan);
    return true;
}

/* ---- reading ----------------------------------------------------------------------- */

static void
part_rest(struct scan_part *part)
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
    part_rest(part);
    part->state = PART_ENDED;
    part->scan->ended++;
}

/* Control batches, aborted transactions and, by its header, what no bound lets pass. */
static bool
batch_visible(struct scan_part *part, const struct record_batch *batch, bool *visible)
{
    struct scan *scan = part->scan;
    const struct scan_bounds *bounds = &scan->bounds;
    *visible = false;
    if (record_batch_is_control(batch))
        return true;
    if (isolation_of(scan) == READ_COMMITTED) {
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
static bool
begin_cut(struct scan_part *part, const struct record_batch *batch, bool copy, struct arena *arena)
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
    visible_range(part, &range);
    log_cursor_close(part->cursor);
    part->cursor = NULL;
    if (!plan_of(part->scan)->follow) {
        /* Retention removed what the snapshot still had. */
        int64_t start = plog_log_start(part->plog);
        if (start <= part->position)
            return false;
        part->position = OX_MIN(start, part->end);
        run_notice(
            run, "retention removed records of partition %d while they were read", part->index);
    } else if (!check_gap(part, part->position, &range, &part->position)) {
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
    if (isolation_of(scan) == READ_COMMITTED)
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

/* The next visible batch of a partition: cut is active, or *more is false. What
 * rows will borrow is copied always, or when the batch is small. */
static bool
next_batch(struct scan_part *part, struct arena *arena, bool always, bool may_copy, bool *more)
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
        if (!batch_visible(part, &batch, &visible))
            return false;
        if (!visible) {
            counters->batches_skipped++;
            if (!scan->backward)
                part->position = OX_MAX(part->position, record_batch_next_offset(&batch));
            continue;
        }
        counters->batches_read++;
        bool copy = always || (may_copy && batch.bytes <= JOIN_BYTES &&
                                  batch.count < JOIN_RECORDS && borrows(scan));
        if (!begin_cut(part, &batch, copy, arena) || !tell_txn(part, &batch))
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
            if (!next_batch(part, sink->arena, false, true, &more))
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
    if (!plan_of(scan)->follow || part->position >= part->until) {
        part_end(part);
        return true;
    }
    struct exec_range range;
    if (!part_readable(part))
        return false;
    visible_range(part, &range);
    int64_t end = OX_MIN(range.end, part->until);
    if (end > part->end) {
        part->end = end;
        if (part->cursor != NULL)
            log_cursor_extend(part->cursor, end);
        return true;
    }
    part_rest(part);
    part->waiter = (struct partition_waiter){.fn = data_arrived,
        .loop = scan->op.run->config.loop,
        .offset = OX_MAX(part->position, range.end),
        .isolation = isolation_of(scan)};
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
    if (plan_of(scan)->until == SCAN_UNTIL_TIMESTAMP)
        return row_us_from_unix_ms(env_wall_ms(run->config.env)) >= scan->stop_us;
    if (scan->idle_us < 0)
        return false;
    return run_now_ns(run) - scan->last_row >= (uint64_t)scan->idle_us * 1000;
}

/* ---- partitions that are added --------------------------------------------------------
 *
 * A scan without a fixed end watches the metadata: on the meta thread it only
 * compares how many partitions its topics have; the rest is done on the loop.
 * New partitions are read from their beginning. */

static uint32_t
partitions_in(const struct scan *scan, const struct meta_view *view)
{
    const struct plan_scan_topic *plan = plan_of(scan);
    uint32_t total = 0;
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        const struct meta_topic *topic = meta_view_topic_by_id(view, &plan->topics[t].id);
        total += topic != NULL ? topic->partition_count : 0;
    }
    return total;
}

/* On: the meta thread. */
static void
view_changed(const struct meta_view *view, void *arg)
{
    struct scan *scan = arg;
    if (partitions_in(scan, view) > atomic_load(&scan->total) &&
        !atomic_exchange(&scan->view_posted, true))
        loop_post(scan->op.run->config.loop, &scan->view_msg);
}

static void
view_message(struct loop_msg *msg)
{
    struct scan *scan = ox_container_of(msg, struct scan, view_msg);
    struct exec_run *run = scan->op.run;
    atomic_store(&scan->view_posted, false);
    if (scan->unwatched) {
        run_release(run);
        return;
    }
    scan->more_parts = true;
    run_wake(run);
}

static void
watch(struct scan *scan)
{
    const struct plan_scan_topic *plan = plan_of(scan);
    uint32_t total = 0;
    if (plan->until != SCAN_UNTIL_NEVER && plan->until != SCAN_UNTIL_TIMESTAMP &&
        plan->until != SCAN_UNTIL_IDLE)
        return;
    scan->known = ox_calloc(plan->topic_count, sizeof(*scan->known));
    for (uint32_t t = 0; t < plan->topic_count; t++)
        total += scan->known[t] = scan_partition_count(scan->op.run, &plan->topics[t]);
    atomic_store(&scan->total, total);
    atomic_store(&scan->view_posted, false);
    scan->view_msg.fn = view_message;
    scan->watching = true;
    scan->unwatched = false;
    meta_on_view(engine_meta(scan->op.run->config.session->engine), view_changed, scan);
}

static void
unwatch(struct scan *scan)
{
    if (!scan->watching)
        return;
    meta_off_view(engine_meta(scan->op.run->config.session->engine), view_changed, scan);
    scan->watching = false;
    scan->unwatched = true;
    if (atomic_load(&scan->view_posted))
        run_hold(scan->op.run); /* until the message has come */
    ox_free(scan->known);
    scan->known = NULL;
}

static bool
add_new_parts(struct scan *scan)
{
    const struct plan_scan_topic *plan = plan_of(scan);
    const struct meta_view *view = engine_view(scan->op.run->config.session->engine);
    uint32_t first = scan->part_count;
    scan->more_parts = false;
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        const struct meta_topic *topic = meta_view_topic_by_id(view, &plan->topics[t].id);
        uint32_t count = topic != NULL ? topic->partition_count : 0;
        for (; scan->known[t] < count; scan->known[t]++)
            if (scan_bounds_partition(&scan->bounds, (int32_t)scan->known[t]) &&
                !add_part(scan, t, (int32_t)scan->known[t], run_err(scan->op.run)))
                return false;
    }
    atomic_store(&scan->total, partitions_in(scan, view));
    for (uint32_t i = first; i < scan->part_count; i++)
        scan->parts[i]->cut.stop_us = scan->stop_us;
    return set_ranges(scan, first);
}

static enum exec_status
wait_for_data(struct scan *scan)
{
    struct exec_run *run = scan->op.run;
    ox_arena_fini(&scan->op.scratch);
    ox_text_fini(&scan->inflated);
    if (time_is_up(scan))
        return EXEC_DONE;
    if (plan_of(scan)->until == SCAN_UNTIL_TIMESTAMP) {
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
        scan_sink_init(&ahead->sink, plan_of(scan), &scan->bounds, &ahead->arena);
    }
    ox_arena_reset(&ahead->arena);
    scan_sink_begin(&ahead->sink);
    ahead->at = 0;
    while (part->state == PART_READY && ahead->sink.count == 0) {
        if (!part->cut.active) {
            bool more;
            ox_arena_reset(&ahead->held);
            if (!next_batch(part, &ahead->held, true, true, &more))
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
    uint64_t limit = plan_of(scan)->limit;
    return limit == 0 ? UINT64_MAX : limit - scan->given;
}

static enum exec_status
read_next(struct scan *scan, struct batch **out)
{
    struct op *op = &scan->op;
    bool follow = plan_of(scan)->follow;
    for (;;) {
        if (scan->more_parts && !add_new_parts(scan))
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
        if (follow || part->state != PART_READY)
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
    enum exec_status status = scan->merge ? merge_next(scan, out) : read_next(scan, out);
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
    unwatch(scan);
    for (uint32_t i = 0; scan->parts != NULL && i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        partition_unwait(&part->waiter);
        part_rest(part);
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
    *topic_id = plan_of(scan)->topics[0].id;
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
