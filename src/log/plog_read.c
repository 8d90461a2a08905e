/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding ranges of whole batches, cursors over batches, offsets by time.
 *
 * A read takes the lock to pick and pin a segment and to look at the indexes,
 * then walks at most an index interval of headers without it. A consumer that
 * reads on from where its last range ended needs neither: the end of each range
 * is remembered as a hint (offset -> position). */
#include "log/log_int.h"

#include "base/check.h"

/* A pinned segment and where to start in it. */
struct place {
    struct log_segment *seg;
    uint64_t pos;  /* start of a batch, at or before the one wanted */
    bool exact;    /* it is the one wanted */
    uint64_t size; /* of the segment when it was pinned */
    int64_t next_offset;
    int64_t end_of_segment; /* first offset that lies in a later segment, or log end */
    bool active;
};

static bool
use_hint(struct plog *plog, const struct log_segment *seg, int64_t offset, uint64_t *pos)
{
    for (int i = 0; i < READ_HINTS; i++)
        if (plog->hints[i].offset == offset && plog->hints[i].seg_base == seg->base_offset &&
            plog->hints[i].pos <= seg->size) {
            *pos = plog->hints[i].pos;
            return true;
        }
    return false;
}

static void
leave_hint(struct plog *plog, int64_t seg_base, int64_t offset, uint64_t pos)
{
    for (int i = 0; i < READ_HINTS; i++)
        if (plog->hints[i].offset == offset)
            return;
    plog->hints[plog->hint_next++ % READ_HINTS] = (struct read_hint){offset, seg_base, pos};
}

/* Pins segment i and finds a place at or before offset in it. Under lock. */
static ox_code
pin(struct plog *plog, uint32_t i, int64_t offset, struct place *place, struct ox_err *err)
{
    struct log_segment *seg = plog->segments[i];
    place->active = i + 1 == plog->segment_count;
    place->end_of_segment =
        place->active ? seg->next_offset : plog->segments[i + 1]->base_offset;
    place->size = seg->size;
    place->next_offset = seg->next_offset;
    place->exact = use_hint(plog, seg, offset, &place->pos);
    if (!place->exact) {
        ox_code rc = log_segment_lookup(seg, offset, &place->pos, err);
        if (rc != OX_OK)
            return rc;
    }
    place->seg = log_segment_get(seg);
    return OX_OK;
}

static ox_code
check_range(struct plog *plog, int64_t offset, struct ox_err *err)
{
    int64_t start = plog_log_start(plog), end = plog_log_end(plog);
    if (offset < start || offset > end)
        return ox_fail(err, OX_OFFSET_OUT_OF_RANGE,
            "offset %lld is outside of the log, which has [%lld, %lld)", (long long)offset,
            (long long)start, (long long)end);
    return OX_OK;
}

/* Finds the segment with the first batch at or after offset, under lock: a
 * compacted segment may end below the next one's base. */
static ox_code
pin_for_read(struct plog *plog, int64_t offset, struct place *place, struct ox_err *err)
{
    place->seg = NULL;
    ox_lock(&plog->lock);
    ox_code rc = check_range(plog, offset, err);
    int i = plog_segment_at(plog, offset);
    if (rc == OX_OK && i < 0)
        i = 0;
    while (rc == OX_OK && offset >= plog->segments[i]->next_offset &&
           i + 1 < (int)plog->segment_count) {
        i++;
        offset = OX_MAX(offset, plog->segments[i]->base_offset);
    }
    if (rc == OX_OK)
        rc = pin(plog, (uint32_t)i, offset, place, err);
    ox_unlock(&plog->lock);
    return rc;
}

/* Walks from place->pos to the batch that holds offset or the first after it.
 * *found is false at the end of the segment. */
static ox_code
walk_to(const struct place *place, int64_t offset, struct record_batch *batch, uint64_t *pos,
    bool *found, struct ox_err *err)
{
    struct header_walk walk;
    header_walk_init(&walk, place->seg, place->pos, place->size);
    ox_code rc;
    while ((rc = header_walk_next(&walk, found, err)) == OX_OK && *found)
        if (record_batch_last_offset(&walk.batch) >= offset) {
            *batch = walk.batch;
            batch->ptr = NULL;
            *pos = walk.batch_pos;
            return OX_OK;
        }
    *pos = walk.pos;
    return rc;
}

/* Where the bytes end that a reader bounded by end_offset may have, and the
 * offset there. */
static ox_code
find_limit(struct plog *plog, const struct place *place, uint64_t from, int64_t end_offset,
    uint64_t *limit, int64_t *next, struct ox_err *err)
{
    *limit = place->size;
    *next = place->end_of_segment;
    if (end_offset >= place->next_offset)
        return OX_OK;
    struct place at = *place;
    ox_lock(&plog->lock);
    bool hinted = use_hint(plog, place->seg, end_offset, &at.pos);
    ox_code rc = hinted ? OX_OK : log_segment_lookup(place->seg, end_offset, &at.pos, err);
    ox_unlock(&plog->lock);
    if (rc != OX_OK || hinted) {
        *limit = at.pos;
        *next = end_offset;
        return rc;
    }
    at.pos = OX_MAX(at.pos, from);
    struct record_batch batch;
    bool found;
    rc = walk_to(&at, end_offset, &batch, limit, &found, err);
    if (rc == OX_OK && found)
        *next = batch.base_offset;
    return rc;
}

/* The last batch boundary in (from, limit] that is at most from + max_bytes;
 * from itself when the first batch is larger. */
static ox_code
find_cut(struct plog *plog, const struct place *place, uint64_t from, size_t max_bytes,
    uint64_t *limit, int64_t *next, struct ox_err *err)
{
    uint64_t bound = from + max_bytes, start;
    ox_lock(&plog->lock);
    ox_code rc = log_segment_lookup_pos(place->seg, bound, &start, err);
    ox_unlock(&plog->lock);
    if (rc != OX_OK)
        return rc;
    struct header_walk walk;
    header_walk_init(&walk, place->seg, OX_MAX(start, from), *limit);
    bool more;
    while ((rc = header_walk_next(&walk, &more, err)) == OX_OK && more)
        if (walk.pos > bound) {
            *limit = walk.batch_pos;
            *next = walk.batch.base_offset;
            return OX_OK;
        }
    return rc;
}

static ox_code
first_whole(const struct place *place, uint64_t from, uint64_t *limit, int64_t *next,
    struct ox_err *err)
{
    struct header_walk walk;
    header_walk_init(&walk, place->seg, from, place->size);
    bool more;
    ox_code rc = header_walk_next(&walk, &more, err);
    if (rc == OX_OK && more) {
        *limit = walk.pos;
        *next = record_batch_next_offset(&walk.batch);
    }
    return rc;
}

static ox_code
verify_range(struct plog *plog, const struct place *place, uint64_t from, uint64_t to,
    struct ox_err *err)
{
    if (from >= place->seg->unverified_end)
        return OX_OK;
    uint64_t start;
    ox_lock(&plog->lock);
    ox_code rc =
        log_segment_lookup_pos(place->seg, from / VERIFY_CHUNK * VERIFY_CHUNK, &start, err);
    ox_unlock(&plog->lock);
    if (rc == OX_OK)
        rc = log_segment_verify(place->seg, start, from, to, place->size, err);
    return rc;
}

/* The range in the pinned segment; empty ranges leave *out untouched. */
static ox_code
read_pinned(struct plog *plog, struct place *place, int64_t offset, int64_t end_offset,
    size_t max_bytes, bool min_one, struct log_range *out, struct ox_err *err)
{
    struct record_batch batch = {.base_offset = offset};
    uint64_t from = place->pos, limit;
    int64_t next;
    bool found = true;
    ox_code rc = OX_OK;
    if (!place->exact)
        rc = walk_to(place, offset, &batch, &from, &found, err);
    if (rc != OX_OK || !found)
        return rc;
    rc = find_limit(plog, place, from, end_offset, &limit, &next, err);
    if (rc == OX_OK && limit > from && limit - from > max_bytes) {
        uint64_t whole = limit;
        rc = find_cut(plog, place, from, max_bytes, &limit, &next, err);
        if (rc == OX_OK && limit == from && min_one) {
            limit = whole;
            rc = first_whole(place, from, &limit, &next, err);
        }
    }
    if (rc != OX_OK || limit <= from)
        return rc;
    rc = verify_range(plog, place, from, limit, err);
    if (rc != OX_OK)
        return rc;
    ox_lock(&plog->lock);
    leave_hint(plog, place->seg->base_offset, next, limit);
    ox_unlock(&plog->lock);
    *out = (struct log_range){place->seg, place->seg->file, from, (size_t)(limit - from),
        batch.base_offset, next, end_offset > place->end_of_segment};
    return OX_OK;
}

ox_code
plog_read(struct plog *plog, int64_t offset, int64_t end_offset, size_t max_bytes, bool min_one,
    struct log_range *out, struct ox_err *err)
{
    *out = (struct log_range){0};
    if (atomic_load(&plog->dir->offline))
        return plog_fault(plog, err);
    struct place place;
    ox_code rc = check_range(plog, offset, err);
    if (rc != OX_OK || offset >= end_offset)
        return rc;
    rc = pin_for_read(plog, offset, &place, err);
    if (rc != OX_OK)
        return rc;
    rc = read_pinned(plog, &place, offset, end_offset, max_bytes, min_one, out, err);
    if (out->seg == NULL)
        log_segment_put(place.seg);
    return rc;
}

void
log_range_put(struct log_range *range)
{
    log_segment_put(range->seg);
    *range = (struct log_range){0};
}

ox_code
log_range_pread(const struct log_range *range, void *to, struct ox_err *err)
{
    size_t got;
    if (range->seg == NULL)
        return OX_OK;
    ox_code rc =
        fs_pread(range->seg->fs, range->file, to, range->len, range->pos, &got, err);
    if (rc == OX_OK && got != range->len)
        return ox_fail(err, OX_IO_ERROR, "segment \"%s\" is shorter than it was",
            range->seg->path);
    return rc;
}

/* ---- by time ---- */

/* First record with a timestamp >= bound in the batch at pos; false if none. */
static ox_code
time_in_batch(struct log_segment *seg, const struct record_batch *header, uint64_t pos,
    int64_t bound, int64_t from_offset, struct log_timed_offset *out, struct ox_err *err)
{
    struct buf *buf = ox_buf_new(header->bytes);
    struct text scratch;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    size_t got;
    ox_text_init(&scratch, NULL);
    ox_code rc = fs_pread(seg->fs, seg->file, buf->ptr, header->bytes, pos, &got, err);
    if (rc == OX_OK)
        rc = record_batch_check(buf->ptr, got, &batch, err);
    if (rc == OX_OK)
        rc = record_iter_init(&iter, &batch, &scratch, (size_t)1 << 30, err);
    while (rc == OX_OK && record_iter_next(&iter, &record)) {
        if (record.timestamp < bound || record.offset < from_offset)
            continue;
        *out = (struct log_timed_offset){record.offset, record.timestamp, batch.leader_epoch};
        break;
    }
    ox_text_fini(&scratch);
    ox_buf_put(buf);
    return rc;
}

static ox_code
time_in_segment(struct plog *plog, struct log_segment *seg, uint64_t size, int64_t timestamp,
    int64_t end_offset, struct log_timed_offset *out, struct ox_err *err)
{
    int64_t near;
    uint64_t pos;
    int64_t start = plog_log_start(plog);
    ox_lock(&plog->lock);
    ox_code rc = log_segment_lookup_time(seg, timestamp - 1, &near, err);
    if (rc == OX_OK)
        rc = log_segment_lookup(seg, OX_MAX(near, start), &pos, err);
    ox_unlock(&plog->lock);
    if (rc != OX_OK)
        return rc;
    struct header_walk walk;
    header_walk_init(&walk, seg, pos, size);
    bool more;
    while ((rc = header_walk_next(&walk, &more, err)) == OX_OK && more &&
           walk.batch.base_offset < end_offset && out->offset < 0) {
        if (walk.batch.max_timestamp < timestamp || record_batch_last_offset(&walk.batch) < start)
            continue;
        rc = time_in_batch(seg, &walk.batch, walk.batch_pos, timestamp, start, out, err);
        if (rc != OX_OK)
            return rc;
    }
    return rc;
}

/* The first segment from slot *i on that has a timestamp >= bound, pinned. */
static struct log_segment *
pin_timed(struct plog *plog, int64_t from_offset, int64_t bound, uint64_t *size)
{
    struct log_segment *found = NULL;
    ox_lock(&plog->lock);
    for (uint32_t i = (uint32_t)OX_MAX(plog_segment_at(plog, from_offset), 0);
         i < plog->segment_count && found == NULL; i++)
        if (plog->segments[i]->max_timestamp >= bound && plog->segments[i]->size > 0 &&
            plog->segments[i]->next_offset > from_offset) {
            found = log_segment_get(plog->segments[i]);
            *size = found->size;
        }
    ox_unlock(&plog->lock);
    return found;
}

ox_code
plog_offset_by_time(struct plog *plog, int64_t timestamp, int64_t end_offset,
    struct log_timed_offset *out, struct ox_err *err)
{
    *out = (struct log_timed_offset){-1, -1, -1};
    int64_t from = plog_log_start(plog);
    uint64_t size;
    struct log_segment *seg;
    ox_code rc = OX_OK;
    while (rc == OX_OK && out->offset < 0 && from < end_offset &&
           (seg = pin_timed(plog, from, timestamp, &size)) != NULL) {
        rc = time_in_segment(plog, seg, size, timestamp, end_offset, out, err);
        ox_lock(&plog->lock);
        from = seg->next_offset;
        ox_unlock(&plog->lock);
        log_segment_put(seg);
    }
    if (out->offset >= end_offset)
        *out = (struct log_timed_offset){-1, -1, -1};
    return rc;
}

ox_code
plog_offset_of_max_time(struct plog *plog, struct log_timed_offset *out, struct ox_err *err)
{
    *out = (struct log_timed_offset){-1, -1, -1};
    int64_t max = -1;
    ox_lock(&plog->lock);
    for (uint32_t i = 0; i < plog->segment_count; i++)
        max = OX_MAX(max, plog->segments[i]->max_timestamp);
    ox_unlock(&plog->lock);
    if (max < 0)
        return OX_OK;
    return plog_offset_by_time(plog, max, plog_log_end(plog), out, err);
}
