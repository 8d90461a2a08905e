/* SPDX-License-Identifier: Apache-2.0
 *
 * Cursors: batches one after the other, forward or backward, for scans.
 *
 * Forward, a window of the file is read at once and batches are handed out of
 * it; with LOG_CURSOR_HEADERS only headers are, in large steps where batches are
 * large. Backward, the positions of the batches from some index entry on are
 * listed, then handed out from the end.
 *
 * 1. The current segment is pinned. The next one is looked up by offset, so
 *    that retention and rolling may go on.
 * 2. pos is the start of the batch that comes next (forward). */
#include "log/log_int.h"

#include "base/check.h"

enum { WINDOW = 256 * 1024 };

struct back_batch {
    uint64_t pos;
    int64_t base_offset, last_offset;
    uint32_t bytes;
};

struct log_cursor {
    struct plog *plog;
    int64_t from, to;
    int flags;
    bool done;
    struct log_segment *seg;
    uint64_t pos, limit; /* in seg */
    int64_t next;        /* forward: offset to go on with; backward: bound */
    int64_t least;       /* forward: the batch at pos must not begin below it */
    struct buf *window;
    uint64_t window_pos;
    size_t window_len;
    struct header_walk walk; /* LOG_CURSOR_HEADERS */
    struct buf *walk_buf; /* of LOG_CURSOR_HEADERS and LOG_CURSOR_BACKWARD */
    /* backward */
    struct back_batch *back;
    uint32_t back_count, back_cap;
    uint64_t back_span; /* how far before the index entry a region begins */
};

ox_code
log_cursor_open(struct plog *plog, int64_t from, int64_t to, int flags, struct log_cursor **out,
    struct ox_err *err)
{
    if (atomic_load(&plog->dir->offline))
        return plog_fault(plog, err);
    struct log_cursor *cursor = ox_malloc(sizeof(*cursor));
    memset(cursor, 0, offsetof(struct log_cursor, walk));
    cursor->walk_buf = flags != 0 ? ox_buf_new(HEADER_WALK_WIDE) : NULL;
    cursor->back = NULL;
    cursor->back_count = cursor->back_cap = 0;
    cursor->back_span = 0;
    cursor->plog = plog_get(plog);
    int64_t start = plog_log_start(plog), end = plog_log_end(plog);
    cursor->from = OX_MAX(from, start);
    cursor->to = OX_MIN(to, end);
    cursor->flags = flags;
    cursor->next = flags & LOG_CURSOR_BACKWARD ? cursor->to : cursor->from;
    *out = cursor;
    return OX_OK;
}

void
log_cursor_extend(struct log_cursor *cursor, int64_t to)
{
    ox_assert(!(cursor->flags & LOG_CURSOR_BACKWARD));
    int64_t end = plog_log_end(cursor->plog);
    cursor->to = OX_MAX(cursor->to, OX_MIN(to, end));
}

void
log_cursor_close(struct log_cursor *cursor)
{
    if (cursor == NULL)
        return;
    log_segment_put(cursor->seg);
    ox_buf_put(cursor->window);
    ox_buf_put(cursor->walk_buf);
    plog_put(cursor->plog);
    ox_free(cursor->back);
    ox_free(cursor);
}

/* ---- reading a batch's bytes ---- */

/* Makes [pos, pos + len) available in the window; what follows is read along. */
static ox_code
fill(struct log_cursor *cursor, uint64_t pos, size_t len, const uint8_t **at, struct ox_err *err)
{
    if (pos < cursor->window_pos || pos + len > cursor->window_pos + cursor->window_len ||
        cursor->window == NULL) {
        size_t want = OX_MAX(len, (size_t)WINDOW);
        uint64_t wanted = pos;
        /* Backward, what comes next lies before: end the window here. */
        if ((cursor->flags & LOG_CURSOR_BACKWARD) && pos + len > cursor->pos + want)
            pos = pos + len - want;
        else if (cursor->flags & LOG_CURSOR_BACKWARD)
            pos = cursor->pos;
        if (cursor->window == NULL || cursor->window->cap < want) {
            ox_buf_put(cursor->window);
            cursor->window = ox_buf_new(want);
        }
        size_t room = OX_MIN((uint64_t)want, OX_MAX(cursor->limit, wanted + len) - pos);
        ox_code rc = fs_pread(cursor->seg->fs, cursor->seg->file, cursor->window->ptr, room, pos,
            &cursor->window_len, err);
        cursor->window_pos = pos;
        pos = wanted;
        if (rc != OX_OK || pos + len > cursor->window_pos + cursor->window_len) {
            cursor->window_len = 0;
            return rc != OX_OK ? rc : ox_fail(err, OX_CORRUPT_MESSAGE,
                "segment \"%s\" ends inside a batch", cursor->seg->path);
        }
    }
    *at = cursor->window->ptr + (pos - cursor->window_pos);
    return OX_OK;
}

static ox_code
load_batch(struct log_cursor *cursor, uint64_t pos, struct record_batch *batch,
    struct ox_err *err)
{
    const uint8_t *at;
    ox_code rc = fill(cursor, pos, RECORD_BATCH_HEADER, &at, err);
    if (rc == OX_OK)
        rc = record_batch_decode(at, RECORD_BATCH_HEADER, batch, err);
    if (rc == OX_OK && (cursor->flags & LOG_CURSOR_HEADERS))
        return OX_OK;
    if (rc == OX_OK && batch->bytes > cursor->limit - pos)
        rc = ox_fail(err, OX_CORRUPT_MESSAGE, "segment \"%s\" ends inside a batch",
            cursor->seg->path);
    if (rc == OX_OK)
        rc = fill(cursor, pos, batch->bytes, &at, err);
    if (rc != OX_OK)
        return rc;
    batch->ptr = at;
    if (!log_segment_trusted(cursor->seg, pos) && !record_batch_crc_ok(batch))
        return ox_fail(err, OX_CORRUPT_MESSAGE,
            "batch at offset %lld, position %llu of \"%s\" has a wrong checksum",
            (long long)batch->base_offset, (unsigned long long)pos, cursor->seg->path);
    return OX_OK;
}

/* ---- forward ---- */

/* Pins the segment that holds `next`, at a batch at or before it. */
static ox_code
enter_segment(struct log_cursor *cursor, struct ox_err *err)
{
    struct plog *plog = cursor->plog;
    log_segment_put(cursor->seg);
    cursor->seg = NULL;
    cursor->window_len = 0;
    ox_code rc = OX_OK;
    ox_lock(&plog->lock);
    if (cursor->next < plog_log_start(plog))
        rc = ox_fail(err, OX_OFFSET_OUT_OF_RANGE, "offset %lld was removed while it was read",
            (long long)cursor->next);
    int i = OX_MAX(plog_segment_at(plog, cursor->next), 0);
    while (i + 1 < (int)plog->segment_count &&
           plog->segments[i]->next_offset <= cursor->next) {
        i++;
        cursor->next = OX_MAX(cursor->next, plog->segments[i]->base_offset);
    }
    struct log_segment *seg = plog->segments[i];
    if (rc == OX_OK)
        rc = log_segment_lookup(seg, cursor->next, &cursor->pos, err);
    if (rc == OX_OK) {
        cursor->seg = log_segment_get(seg);
        cursor->limit = seg->size;
        cursor->least = seg->base_offset;
    }
    ox_unlock(&plog->lock);
    if (rc == OX_OK && (cursor->flags & LOG_CURSOR_HEADERS)) {
        header_walk_init(&cursor->walk, cursor->seg, cursor->pos, cursor->limit);
        cursor->walk.buffer = cursor->walk_buf->ptr;
    }
    return rc;
}

/* The active segment has grown, or the cursor is at the end of it. */
static bool
more_in_segment(struct log_cursor *cursor)
{
    ox_lock(&cursor->plog->lock);
    cursor->limit = cursor->seg->size;
    ox_unlock(&cursor->plog->lock);
    cursor->walk.end = cursor->limit;
    return cursor->pos < cursor->limit;
}

static ox_code
step_headers(struct log_cursor *cursor, struct record_batch *batch, struct ox_err *err)
{
    bool more;
    ox_code rc = header_walk_next(&cursor->walk, &more, err);
    ox_assert(rc != OX_OK || more);
    *batch = cursor->walk.batch;
    return rc;
}

static ox_code
step_bytes(struct log_cursor *cursor, struct record_batch *batch, struct ox_err *err)
{
    ox_code rc = load_batch(cursor, cursor->pos, batch, err);
    if (rc == OX_OK && !log_batch_fits(batch, cursor->least))
        return ox_fail(err, OX_CORRUPT_MESSAGE,
            "batch with offset %lld does not belong at position %llu of \"%s\"",
            (long long)batch->base_offset, (unsigned long long)cursor->pos, cursor->seg->path);
    return rc;
}

static ox_code
next_forward(struct log_cursor *cursor, struct record_batch *batch, bool *more,
    struct ox_err *err)
{
    *more = false;
    while (cursor->next < cursor->to) {
        if (cursor->seg == NULL || (cursor->pos >= cursor->limit && !more_in_segment(cursor))) {
            ox_code rc = enter_segment(cursor, err);
            if (rc != OX_OK)
                return rc;
            if (cursor->pos >= cursor->limit)
                return OX_OK;
        }
        ox_code rc = cursor->flags & LOG_CURSOR_HEADERS ? step_headers(cursor, batch, err)
                                                        : step_bytes(cursor, batch, err);
        if (rc != OX_OK)
            return rc;
        int64_t last = record_batch_last_offset(batch);
        if (batch->base_offset >= cursor->to) {
            cursor->walk.pos = cursor->pos; /* to be met again after extend */
            cursor->walk.next_offset = batch->base_offset;
            return OX_OK;
        }
        cursor->pos += batch->bytes;
        cursor->least = last + 1;
        if (last < cursor->next)
            continue;
        cursor->next = last + 1;
        *more = true;
        return OX_OK;
    }
    return OX_OK;
}

/* ---- backward ---- */

/* Segment and region with the last batches below next. The region begins at an
 * index entry, so that it is small. */
static ox_code
enter_before(struct log_cursor *cursor, struct ox_err *err)
{
    struct plog *plog = cursor->plog;
    log_segment_put(cursor->seg);
    cursor->seg = NULL;
    cursor->window_len = 0;
    cursor->pos = 0;
    ox_lock(&plog->lock);
    ox_code rc = OX_OK;
    int i = plog_segment_at(plog, cursor->next - 1);
    if (i < 0 || cursor->next - 1 < plog_log_start(plog)) {
        cursor->done = true;
    } else {
        cursor->seg = log_segment_get(plog->segments[i]);
        cursor->limit = cursor->seg->size;
        rc = log_segment_lookup(cursor->seg, cursor->next - 1, &cursor->pos, err);
    }
    if (rc == OX_OK && !cursor->done && cursor->back_span > 0)
        rc = log_segment_lookup_pos(cursor->seg,
            cursor->pos - OX_MIN(cursor->back_span, cursor->pos), &cursor->pos, err);
    ox_unlock(&plog->lock);
    /* The first region is small, for "the last n"; a longer walk takes more. */
    cursor->back_span = OX_MIN(cursor->back_span * 4 + 16384, (uint64_t)WINDOW - 32768);
    return rc;
}

static void
push_back(struct log_cursor *cursor, const struct header_walk *walk)
{
    if (cursor->back_count == cursor->back_cap) {
        cursor->back_cap = OX_MAX(cursor->back_cap * 2, 64u);
        cursor->back =
            ox_realloc(cursor->back, ox_size_mul(cursor->back_cap, sizeof(*cursor->back)));
    }
    cursor->back[cursor->back_count++] = (struct back_batch){walk->batch_pos,
        walk->batch.base_offset, record_batch_last_offset(&walk->batch),
        (uint32_t)walk->batch.bytes};
}

/* Lists the batches from pos on that begin below next. */
static ox_code
list_region(struct log_cursor *cursor, struct ox_err *err)
{
    struct header_walk *walk = &cursor->walk;
    bool more;
    ox_code rc;
    header_walk_init(walk, cursor->seg, cursor->pos, cursor->limit);
    walk->buffer = cursor->walk_buf->ptr;
    while ((rc = header_walk_next(walk, &more, err)) == OX_OK && more &&
           walk->batch.base_offset < cursor->next)
        push_back(cursor, walk);
    return rc;
}

static ox_code
next_backward(struct log_cursor *cursor, struct record_batch *batch, bool *more,
    struct ox_err *err)
{
    *more = false;
    while (cursor->back_count == 0) {
        if (cursor->done || cursor->next <= cursor->from)
            return OX_OK;
        ox_code rc = enter_before(cursor, err);
        if (rc != OX_OK || cursor->done)
            return rc;
        rc = list_region(cursor, err);
        if (rc != OX_OK)
            return rc;
        /* Nothing here (the segment is empty or begins above): go below it. */
        if (cursor->back_count == 0)
            cursor->next = OX_MIN(cursor->next - 1, cursor->seg->base_offset);
    }
    struct back_batch at = cursor->back[--cursor->back_count];
    cursor->next = at.base_offset;
    if (at.last_offset < cursor->from) {
        cursor->back_count = 0;
        cursor->done = true;
        return OX_OK;
    }
    ox_code rc = load_batch(cursor, at.pos, batch, err);
    *more = rc == OX_OK;
    return rc;
}

ox_code
log_cursor_next(struct log_cursor *cursor, struct record_batch *batch, bool *more,
    struct ox_err *err)
{
    if (cursor->flags & LOG_CURSOR_BACKWARD)
        return next_backward(cursor, batch, more, err);
    ox_code rc = next_forward(cursor, batch, more, err);
    if (!*more) { /* one that waits for more keeps no buffer meanwhile */
        ox_buf_put(cursor->window);
        cursor->window = NULL;
        cursor->window_len = 0;
    }
    return rc;
}
