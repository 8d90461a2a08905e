/* SPDX-License-Identifier: Apache-2.0
 *
 * FROM LAST n: where the newest n records over all partitions begin.
 *
 * Partition after partition is read from its end backward, until it has given n
 * records or has no more. What they give competes by time for n places, kept as a
 * heap with the oldest on top. A partition then begins as many records before its
 * end as it has places.
 *
 * A scan of one partition needs no times: whole batches are counted by their
 * headers, and only the batch that holds the n-th record is looked into.
 *
 * All records of the partitions count: what the query asks of them is asked of
 * those that are found.
 *
 * Invariants
 *  1. A step is one record batch, or VECTOR_MAX records of one: between steps the
 *     run may park, fail of a lost wait and go on.
 *  2. A partition's offsets fall; no more than n of them are kept, and over all
 *     partitions no more than 4 n.
 *  3. The sum of all places is the size of the heap. */
#include "exec/scan_parts.h"

struct newest {
    int64_t timestamp, offset;
    uint32_t part;
};

/* What a partition has given. */
struct found {
    size_t count;  /* records */
    int64_t first; /* the lowest offset among them */
    int64_t *offsets;
    size_t kept, cap; /* of offsets */
    size_t places;
};

struct scan_last {
    size_t n;
    bool alone; /* one partition: found.count and .first are all that is wanted */
    uint32_t at; /* the partition that is being read */
    struct found *found; /* by partition */
    size_t offsets;      /* kept in all */
    struct newest *heap;
    size_t count, cap;
    struct arena arena; /* of one step */
};

void
scan_last_open(struct scan *scan, size_t rows)
{
    struct scan_last *last = ox_calloc(1, sizeof(*last));
    last->n = rows;
    last->alone = scan->part_count == 1;
    last->found = ox_calloc(scan->part_count + 1, sizeof(*last->found));
    ox_arena_init(&last->arena);
    scan->last = last;
    /* What is there now competes, whatever comes while it is looked through. */
    for (uint32_t i = 0; i < scan->part_count; i++) {
        struct scan_part *part = scan->parts[i];
        struct exec_range range;
        scan_part_range(part, &range);
        part->start = range.start;
        part->end = part->position = range.end;
    }
}

void
scan_last_close(struct scan *scan)
{
    struct scan_last *last = scan->last;
    if (last == NULL)
        return;
    for (uint32_t i = 0; i < scan->part_count; i++)
        ox_free(last->found[i].offsets);
    ox_free(last->found);
    ox_free(last->heap);
    ox_arena_fini(&last->arena);
    ox_free(last);
    scan->last = NULL;
}

/* ---- places ---- */

static bool
newer(const struct newest *a, const struct newest *b)
{
    if (a->timestamp != b->timestamp)
        return a->timestamp > b->timestamp;
    if (a->offset != b->offset)
        return a->offset > b->offset;
    return a->part < b->part;
}

static void
sift_up(struct newest *heap, size_t at)
{
    struct newest moved = heap[at];
    while (at > 0 && newer(&heap[(at - 1) / 2], &moved)) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moved;
}

static void
sift_down(struct newest *heap, size_t count)
{
    struct newest moved = heap[0];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && newer(&heap[child], &heap[child + 1]))
            child++;
        if (!newer(&moved, &heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void
compete(struct scan_last *last, const struct newest *one)
{
    if (last->count == last->n) {
        if (!newer(one, &last->heap[0]))
            return;
        last->found[last->heap[0].part].places--;
        last->heap[0] = *one;
        sift_down(last->heap, last->count);
    } else {
        if (last->count == last->cap) {
            last->cap = OX_MIN(OX_MAX(last->cap * 2, (size_t)VECTOR_MAX), last->n);
            last->heap = ox_realloc(last->heap, ox_size_mul(last->cap, sizeof(*last->heap)));
        }
        last->heap[last->count] = *one;
        sift_up(last->heap, last->count++);
    }
    last->found[one->part].places++;
}

static void
take(struct scan_last *last, uint32_t part, const struct scan_sink *sink)
{
    struct found *found = &last->found[part];
    if (sink->count == 0)
        return;
    found->count += sink->count;
    found->first = sink->offset[sink->count - 1];
    if (last->alone)
        return;
    if (found->kept + sink->count > found->cap) {
        found->cap = (found->kept + sink->count) * 2;
        found->offsets =
            ox_realloc(found->offsets, ox_size_mul(found->cap, sizeof(*found->offsets)));
    }
    memcpy(&found->offsets[found->kept], sink->offset, sink->count * sizeof(*found->offsets));
    found->kept += sink->count;
    last->offsets += sink->count;
    for (uint32_t i = 0; i < sink->count; i++)
        compete(last, &(struct newest){sink->timestamp[i], sink->offset[i], part});
}

/* Places are only ever lost to partitions that come later: what has none is forgotten. */
static void
forget(struct scan_last *last, uint32_t part_count)
{
    last->offsets = 0;
    for (uint32_t i = 0; i < part_count; i++) {
        struct found *found = &last->found[i];
        if (found->kept > found->places) {
            found->kept = found->cap = found->places;
            if (found->kept > 0)
                found->offsets =
                    ox_realloc(found->offsets, found->kept * sizeof(*found->offsets));
            else {
                ox_free(found->offsets);
                found->offsets = NULL;
            }
        }
        last->offsets += found->kept;
    }
}

/* ---- reading ---- */

/* The batch before: counted, passed over, or to be looked into (cut is active). */
static bool
batch_before(struct scan_part *part, struct found *found, bool *more)
{
    struct scan *scan = part->scan;
    struct scan_last *last = scan->last;
    struct exec_run *run = scan->op.run;
    struct record_batch batch;
    bool visible;
    if (part->cursor == NULL &&
        log_cursor_open(part->plog, part->start, part->end, LOG_CURSOR_BACKWARD, &part->cursor,
            run_err(run)) != OX_OK)
        return false;
    if (log_cursor_next(part->cursor, &batch, more, run_err(run)) != OX_OK)
        return false;
    if (!*more)
        return true;
    scan->op.counters->bytes_read += batch.bytes;
    if (!run_count_bytes(run, batch.bytes) || !scan_part_batch_visible(part, &batch, &visible))
        return false;
    if (visible && last->alone && batch.base_offset >= part->start &&
        record_batch_next_offset(&batch) <= part->end && batch.count > 0 &&
        (size_t)batch.count <= last->n - found->count) {
        found->count += (size_t)batch.count;
        found->first = batch.base_offset;
        visible = false;
    }
    if (!visible) {
        scan->op.counters->batches_skipped++;
        return true;
    }
    scan->op.counters->batches_read++;
    if (!scan_part_begin_cut(part, &batch, false, &last->arena))
        return false;
    part->cut.from = part->start;
    part->cut.to = part->end;
    return true;
}

static bool
records_before(struct scan_part *part, const struct found *found)
{
    struct scan *scan = part->scan;
    struct scan_last *last = scan->last;
    struct scan_sink sink;
    scan_sink_init(&sink, scan_plan(scan), &scan->bounds, &last->arena);
    sink.want_key = sink.want_value = sink.want_headers = sink.want_batch = false;
    scan_sink_begin(&sink);
    if (!scan_cut_backward(&part->cut, &sink, last->n - found->count, scan->op.counters,
            run_err(scan->op.run)))
        return false;
    take(last, part->number, &sink);
    ox_arena_reset(&last->arena);
    return true;
}

/* More of a partition; *more false: it has given what it could. */
static bool
step(struct scan_part *part, bool *more)
{
    struct found *found = &part->scan->last->found[part->number];
    *more = found->count < part->scan->last->n && part->start < part->end;
    if (!*more)
        return true;
    return part->cut.active ? records_before(part, found) : batch_before(part, found, more);
}

/* Retention may meanwhile have taken what was found. */
static void
place(struct scan_part *part, const struct scan_last *last)
{
    const struct found *found = &last->found[part->number];
    if (last->alone && found->count > 0)
        part->position = found->first;
    else if (found->places > 0)
        part->position = found->offsets[found->places - 1];
    part->position = OX_MAX(part->position, plog_log_start(part->plog));
}

enum exec_status
scan_last_step(struct scan *scan)
{
    struct scan_last *last = scan->last;
    while (last->at < scan->part_count) {
        struct scan_part *part = scan->parts[last->at];
        bool more;
        if (!run_check(scan->op.run))
            return EXEC_FAIL;
        if (run_over_budget(scan->op.run))
            return EXEC_PARK;
        if (!step(part, &more))
            return EXEC_FAIL;
        if (more)
            continue;
        scan_part_rest(part);
        last->at++;
        if (last->offsets > 2 * last->n)
            forget(last, last->at);
    }
    for (uint32_t i = 0; i < scan->part_count; i++)
        place(scan->parts[i], last);
    return EXEC_DONE;
}
