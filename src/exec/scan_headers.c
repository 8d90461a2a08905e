/* SPDX-License-Identifier: Apache-2.0
 *
 * SCAN_HEADERS: count(*), min and max of _offset, max of _timestamp from batch
 * headers. A batch's record count is exact, also after compaction; a header's
 * offsets are not (records may be gone), so the batches at the two ends of what
 * was counted, and those that a bound cuts, are decoded. */
#include "exec/keytable.h"
#include "exec/scan_int.h"

struct tally {
    uint32_t topic;
    int32_t partition;
    uint64_t count;
    int64_t min_offset, max_offset, max_timestamp; /* -1 none */
};

struct scan_headers {
    struct op op;
    struct scan_bounds bounds;
    struct tally *tallies;
    uint32_t tally_count;
    uint32_t *counts;               /* partitions by topic */
    uint32_t topic, next_partition; /* to be counted next */
    /* The partition being counted */
    struct partition *part;
    struct plog *plog;
    struct log_cursor *cursor;
    struct scan_aborted aborted;
    struct tally now;
    int64_t from, to;
    int64_t first_batch, last_batch; /* base offsets of whole batches; -1 none */
    bool complete;
    uint32_t give_at;
    struct text inflated;
};

static const struct plan_scan_headers *
plan_of(const struct scan_headers *scan)
{
    return (const struct plan_scan_headers *)scan->op.plan;
}

static bool
headers_open(struct op *op)
{
    struct scan_headers *scan = (struct scan_headers *)op;
    const struct plan_scan_topic *topics = plan_of(scan)->scan;
    uint32_t total = 1;
    scan->topic = scan->next_partition = scan->tally_count = scan->give_at = 0;
    scan->part = NULL;
    scan->cursor = NULL;
    scan->complete = false;
    ox_text_init(&scan->inflated, NULL);
    scan_aborted_init(&scan->aborted);
    if (!scan_bounds_eval(op, topics, &scan->bounds))
        return false;
    scan->counts = ox_arena_alloc0(&op->arena, (topics->topic_count + 1) * sizeof(uint32_t));
    for (uint32_t t = 0; t < topics->topic_count; t++) {
        scan->counts[t] = scan_partition_count(op->run, &topics->topics[t]);
        total += scan->counts[t];
        op->counters->partitions_total += scan->counts[t];
    }
    scan->tallies = ox_arena_alloc0(&op->arena, total * sizeof(*scan->tallies));
    /* The snapshot is of one moment: take every range before the first is read. */
    for (uint32_t t = 0; t < topics->topic_count; t++)
        for (uint32_t p = 0; p < scan->counts[t]; p++) {
            struct partition *part;
            struct exec_range range;
            if (!scan_bounds_partition(&scan->bounds, (int32_t)p))
                continue;
            if (engine_partition(op->run->config.session, topics->topics[t].name,
                    &topics->topics[t].id, (int32_t)p, ENGINE_READ, &part, run_err(op->run)) != OX_OK)
                return false;
            snapshot_range(op->run, part, scan_uncommitted(op->run, topics), &range);
            op->counters->partitions++;
        }
    return true;
}

static void
end_partition(struct scan_headers *scan)
{
    log_cursor_close(scan->cursor);
    scan->cursor = NULL;
    partition_put(scan->part);
    scan->part = NULL;
    scan_aborted_fini(&scan->aborted);
}

static void
headers_close(struct op *op)
{
    struct scan_headers *scan = (struct scan_headers *)op;
    end_partition(scan);
    ox_text_fini(&scan->inflated);
}

/* The next partition that the bounds allow; *more false: all are counted. */
static bool
begin_partition(struct scan_headers *scan, bool *more)
{
    const struct plan_scan_topic *topics = plan_of(scan)->scan;
    struct op *op = &scan->op;
    for (; scan->topic < topics->topic_count; scan->topic++, scan->next_partition = 0) {
        const struct plan_topic *topic = &topics->topics[scan->topic];
        while (scan->next_partition < scan->counts[scan->topic]) {
            int32_t index = (int32_t)scan->next_partition++;
            if (!scan_bounds_partition(&scan->bounds, index))
                continue;
            struct partition *part;
            if (engine_partition(op->run->config.session, topic->name, &topic->id, index,
                    ENGINE_READ, &part, run_err(op->run)) != OX_OK)
                return false;
            struct exec_range range;
            snapshot_range(op->run, part, scan_uncommitted(op->run, topics), &range);
            scan_bounds_range(&scan->bounds, &range.start, &range.end);
            scan->part = partition_hold(part);
            scan->plog = partition_log(part);
            scan->from = range.start;
            scan->to = range.end;
            scan->now = (struct tally){scan->topic, index, 0, -1, -1, -1};
            scan->first_batch = scan->last_batch = -1;
            *more = true;
            return range.start >= range.end ||
                   log_cursor_open(scan->plog, range.start, range.end, LOG_CURSOR_HEADERS,
                       &scan->cursor, run_err(op->run)) == OX_OK;
        }
    }
    *more = false;
    return true;
}

static void
widen(struct tally *tally, int64_t offset, int64_t timestamp)
{
    if (tally->min_offset < 0 || offset < tally->min_offset)
        tally->min_offset = offset;
    tally->max_offset = OX_MAX(tally->max_offset, offset);
    tally->max_timestamp = OX_MAX(tally->max_timestamp, timestamp);
}

/* The batch at base offset, record by record; count: its rows are not counted yet. */
static bool
decode_batch(struct scan_headers *scan, int64_t base, bool count)
{
    struct exec_run *run = scan->op.run;
    struct log_cursor *cursor;
    /* What is before the log's start cannot be asked for, the batch around it can. */
    int64_t at = OX_MAX(base, scan->from);
    if (log_cursor_open(scan->plog, at, at + 1, 0, &cursor, run_err(run)) != OX_OK)
        return false;
    struct record_batch batch;
    struct record_iter iter;
    bool more, good;
    struct plog_config config;
    plog_get_config(scan->plog, &config);
    good = log_cursor_next(cursor, &batch, &more, run_err(run)) == OX_OK;
    if (good && more)
        good = record_iter_init(&iter, &batch, &scan->inflated,
                   (size_t)OX_MAX(config.inflated_max, 1), run_err(run)) == OX_OK;
    struct record record;
    while (good && more && record_iter_next(&iter, &record)) {
        if (record.offset < scan->from || record.offset >= scan->to)
            continue;
        scan->now.count += count;
        widen(&scan->now, record.offset, record.timestamp);
    }
    if (good && more && iter.failed) {
        ox_fail(run_err(run), OX_CORRUPT_MESSAGE, "batch at offset %lld is damaged: %s",
            (long long)base, iter.fault);
        good = false;
    }
    scan->op.counters->batches_read++;
    log_cursor_close(cursor);
    return good;
}

static bool
take_header(struct scan_headers *scan, const struct record_batch *batch)
{
    struct op *op = &scan->op;
    bool good;
    op->counters->batches_skipped++;
    /* Compaction leaves batches without records for the sake of their producers; their time is
     * that of a record that is gone. */
    if (record_batch_is_control(batch) || batch->count <= 0)
        return true;
    if (!scan_uncommitted(op->run, plan_of(scan)->scan) &&
        scan_aborted_has(&scan->aborted, op->run, scan->plog, batch, scan->to, &good))
        return true;
    if (!scan_uncommitted(op->run, plan_of(scan)->scan) && !good)
        return false;
    if (batch->base_offset < scan->from || record_batch_next_offset(batch) > scan->to)
        return decode_batch(scan, batch->base_offset, true);
    scan->now.count += (uint64_t)batch->count;
    scan->now.max_timestamp = OX_MAX(scan->now.max_timestamp, batch->max_timestamp);
    if (scan->first_batch < 0)
        scan->first_batch = batch->base_offset;
    scan->last_batch = batch->base_offset;
    return true;
}

static bool
wants_offsets(const struct scan_headers *scan)
{
    for (uint32_t i = 0; i < scan->op.plan->column_count; i++)
        if (plan_of(scan)->what[i] == HEADER_MIN_OFFSET ||
            plan_of(scan)->what[i] == HEADER_MAX_OFFSET)
            return true;
    return false;
}

static bool
finish_partition(struct scan_headers *scan)
{
    bool good = true;
    if (scan->first_batch >= 0 && wants_offsets(scan)) {
        good = decode_batch(scan, scan->first_batch, false);
        if (good && scan->last_batch != scan->first_batch)
            good = decode_batch(scan, scan->last_batch, false);
    }
    const struct plan_scan_headers *plan = plan_of(scan);
    struct tally *to = NULL;
    for (uint32_t i = scan->tally_count; to == NULL && i-- > 0;)
        if ((!plan->by_topic || scan->tallies[i].topic == scan->now.topic) &&
            (!plan->by_partition || scan->tallies[i].partition == scan->now.partition))
            to = &scan->tallies[i];
    bool grouped = plan->by_topic || plan->by_partition;
    if (to == NULL && (scan->now.count > 0 || !grouped)) {
        to = &scan->tallies[scan->tally_count++];
        *to = (struct tally){scan->now.topic, scan->now.partition, 0, -1, -1, -1};
    }
    if (scan->now.count > 0) {
        to->count += scan->now.count;
        if (scan->now.min_offset >= 0) {
            widen(to, scan->now.min_offset, scan->now.max_timestamp);
            widen(to, scan->now.max_offset, scan->now.max_timestamp);
        }
        to->max_timestamp = OX_MAX(to->max_timestamp, scan->now.max_timestamp);
    }
    end_partition(scan);
    return good;
}

static enum exec_status
count_all(struct scan_headers *scan)
{
    struct exec_run *run = scan->op.run;
    for (;;) {
        bool more;
        if (scan->part == NULL) {
            if (!begin_partition(scan, &more))
                return EXEC_FAIL;
            if (!more)
                return EXEC_ROWS;
        }
        for (uint32_t n = 0;; n++) {
            if (n % 256 == 255 && run_over_budget(run))
                return EXEC_PARK;
            if (n % 256 == 255 && !run_check(run))
                return EXEC_FAIL;
            struct record_batch batch;
            more = false;
            if (scan->cursor != NULL &&
                log_cursor_next(scan->cursor, &batch, &more, run_err(run)) != OX_OK)
                return EXEC_FAIL;
            if (!more)
                break;
            scan->op.counters->bytes_read += RECORD_BATCH_HEADER;
            if (!run_count_bytes(run, RECORD_BATCH_HEADER) || !take_header(scan, &batch))
                return EXEC_FAIL;
        }
        if (!finish_partition(scan))
            return EXEC_FAIL;
    }
}

static struct datum
value_of(const struct scan_headers *scan, enum header_what what, const struct tally *tally)
{
    switch (what) {
    case HEADER_TOPIC:
        return datum_str(plan_of(scan)->scan->topics[tally->topic].name);
    case HEADER_PARTITION:
        return datum_i64(tally->partition);
    case HEADER_COUNT:
        return datum_i64((int64_t)tally->count);
    case HEADER_MIN_OFFSET:
        return tally->min_offset < 0 ? DATUM_NULL : datum_i64(tally->min_offset);
    case HEADER_MAX_OFFSET:
        return tally->max_offset < 0 ? DATUM_NULL : datum_i64(tally->max_offset);
    case HEADER_MAX_TIMESTAMP:
        return tally->max_timestamp < 0 ? DATUM_NULL
                                        : datum_i64(row_us_from_unix_ms(tally->max_timestamp));
    }
    return DATUM_NULL;
}

static enum exec_status
headers_next(struct op *op, struct batch **out)
{
    struct scan_headers *scan = (struct scan_headers *)op;
    const struct plan_scan_headers *plan = plan_of(scan);
    if (!scan->complete) {
        enum exec_status status = count_all(scan);
        if (status != EXEC_ROWS)
            return status;
        scan->complete = true;
        /* Without GROUP BY there is one row whatever was found. */
        if (!plan->by_topic && !plan->by_partition && scan->tally_count == 0)
            scan->tallies[scan->tally_count++] = (struct tally){0, 0, 0, -1, -1, -1};
    }
    uint32_t n = OX_MIN(scan->tally_count - scan->give_at, (uint32_t)VECTOR_MAX);
    if (n == 0)
        return EXEC_DONE;
    ox_arena_reset(&op->scratch);
    struct batch *batch = batch_new(&op->scratch, op->plan->column_count);
    for (uint32_t i = 0; i < batch->ncols; i++) {
        vector_init(&batch->cols[i], op->plan->columns[i].type, n, &op->scratch);
        for (uint32_t k = 0; k < n; k++) {
            struct datum value = value_of(scan, plan->what[i], &scan->tallies[scan->give_at + k]);
            if (value.null)
                vector_nulls(&batch->cols[i], n, &op->scratch);
            vector_set(&batch->cols[i], k, value);
        }
    }
    batch->count = batch->sel_count = n;
    scan->give_at += n;
    *out = batch;
    return EXEC_ROWS;
}

const struct op_ops op_scan_headers = {
    .size = sizeof(struct scan_headers),
    .leaf = true,
    .open = headers_open,
    .next = headers_next,
    .close = headers_close,
};
