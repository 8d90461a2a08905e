/* SPDX-License-Identifier: Apache-2.0
 *
 * One compaction pass over one log: of each key only the newest record is kept.
 *
 *   segments   | clean ........ | dirty ............... | not to be touched ...
 *   offsets    log start        first dirty    end      limit            log end
 *
 * limit is the smallest of the last stable offset, the active segment's base and
 * the first segment that min.compaction.lag.ms protects. A pass
 *
 *   1 MAP    reads the dirty part and notes the newest offset of each key, up to
 *            what the buffer holds: that is `end`. Records of aborted
 *            transactions do not count.
 *   2 COPY   copies the segments from the first up to end, in groups that make
 *            one segment each, leaving out what the map knows a newer record of,
 *            tombstones whose time has come, aborted records, and markers of
 *            transactions of which nothing is left
 *   3 SWAP   puts the new segment in place of its group:
 *
 *        B.log.cleaned   being written          a crash: removed
 *        B.log.swap      complete, flushed      a crash: finished
 *        B.log                                  in place
 *
 * What stays, stays at its offset; a batch keeps its base offset, its last
 * offset, its producer, epoch and sequence. Left without records it goes, unless
 * it is the last one of its producer (whose sequence it remembers) or of its
 * segment (so that segments go on to join without a gap): then its header stays.
 *
 * Tombstones and markers get a delete horizon when they are first copied: base
 * timestamp = now + delete.retention.ms, attribute bit 6. They go in a pass after
 * that.
 *
 * 1. Nothing at or above `end` is left out.
 * 2. Groups are put in place from the oldest on: whatever a crash leaves, a
 *    tombstone never goes before the records it deletes.
 * 3. Before the first swap the write-ahead log has nothing of these segments to
 *    put back (WAL_VOID).
 * 4. The names: suffix .swap is durable on the new segment before an old name
 *    changes; the old names are gone before the new segment loses the suffix.
 * 5. Only the swap excludes other maintenance. It looks whether its segments are
 *    still those of the log, and gives up otherwise.
 * 6. Readers that hold an old segment go on reading it. */
#include "log/log_int.h"

#include "base/check.h"
#include "base/diag.h"
#include "base/fault.h"

/* ---- reading a segment batch by batch ---- */

struct reader {
    struct log_segment *seg;
    uint64_t size, pos; /* pos: of the batch that comes next */
    int64_t next;       /* it must not begin below this */
    struct buf *window;
    uint64_t window_pos;
    size_t window_len;
};

/* An aborted transaction of which the pass has met the beginning. */
struct aborted_open {
    struct log_aborted_txn txn;
    bool seen; /* one of its batches is there */
};

/* What the batches so far say about transactions. */
struct txn_walk {
    const struct log_aborted_txn *aborted;
    size_t count, at;
    struct aborted_open *opens;
    struct map open;      /* producer id -> struct aborted_open */
    struct map committed; /* producer id -> any: batches of a transaction not aborted */
};

/* The newest data batch of a producer, or that it has none. */
struct producer_last {
    int64_t id, last_offset; /* -1: only markers */
    int16_t epoch;
};

struct pass {
    struct plog *plog;
    const struct compact_run *run;
    struct plog_config config;
    int64_t now_ms;
    int64_t from, end; /* dirty part; end shrinks to what the map holds */
    struct log_segment **segs;
    uint32_t count;
    struct key_map map;
    struct arena arena;
    struct map producers; /* id -> struct producer_last */
    struct txn_walk txns;
    struct reader reader;
    struct text scratch;
    struct record_builder builder;
    uint8_t *kept; /* a bit for each record of a batch */
    size_t kept_cap;
    /* The segment that is written, and bytes that are not in its file yet. */
    struct log_segment *out;
    struct text pending;
    uint64_t written; /* bytes in the file */
    bool changed;     /* it differs from what it was copied from */
    /* for compact_state */
    uint64_t bytes_read, bytes_written, records_read, records_removed;
};

static ox_code
give_up(struct pass *pass, struct ox_err *err)
{
    return ox_fail(err, OX_CANCELED, "compaction of \"%s-%d\" was interrupted",
        pass->plog->topic, pass->plog->partition);
}

/* Bytes were moved: be slow, be seen, be interrupted. */
static ox_code
moved(struct pass *pass, uint64_t read, uint64_t written, struct ox_err *err)
{
    struct plog *plog = pass->plog;
    pass->bytes_read += read;
    pass->bytes_written += written;
    ox_lock(&plog->lock);
    plog->compact.bytes_done += read;
    bool closed = plog->closed || plog->fault != OX_OK || !plog->config.policy_compact;
    ox_unlock(&plog->lock);
    if (closed || !pass->run->go_on(pass->run->arg, read + written))
        return give_up(pass, err);
    return OX_OK;
}

static void
reader_start(struct pass *pass, struct log_segment *seg, uint64_t pos, uint64_t size)
{
    struct reader *reader = &pass->reader;
    reader->seg = seg;
    reader->pos = pos;
    reader->size = size;
    reader->next = seg->base_offset;
    reader->window_pos = pos;
    reader->window_len = 0;
}

/* Makes [pos, pos + len) available. */
static ox_code
reader_fill(struct pass *pass, size_t len, struct ox_err *err)
{
    struct reader *reader = &pass->reader;
    uint64_t skip = reader->pos - reader->window_pos;
    if (skip + len <= reader->window_len)
        return OX_OK;
    size_t want = OX_MAX(len, pass->run->io_buffer_bytes);
    if (reader->window == NULL || reader->window->cap < want) {
        ox_buf_put(reader->window);
        reader->window = ox_buf_new(want);
    }
    want = OX_MIN((uint64_t)want, reader->size - reader->pos);
    ox_code rc = fs_pread(reader->seg->fs, reader->seg->file, reader->window->ptr, want,
        reader->pos, &reader->window_len, err);
    reader->window_pos = reader->pos;
    if (rc == OX_OK && reader->window_len < len)
        rc = ox_fail(err, OX_CORRUPT_MESSAGE, "segment \"%s\" ends inside a batch",
            reader->seg->path);
    return rc == OX_OK ? moved(pass, reader->window_len, 0, err) : rc;
}

/* The next whole batch, checked; batch->ptr is valid until the next call. */
static ox_code
reader_next(struct pass *pass, struct record_batch *batch, bool *more, struct ox_err *err)
{
    struct reader *reader = &pass->reader;
    *more = reader->pos < reader->size;
    if (!*more)
        return OX_OK;
    ox_code rc = reader_fill(pass, RECORD_BATCH_HEADER, err);
    const uint8_t *at = reader->window->ptr;
    if (rc == OX_OK)
        rc = record_batch_decode(at + (reader->pos - reader->window_pos), RECORD_BATCH_HEADER,
            batch, err);
    if (rc == OX_OK && (batch->bytes > reader->size - reader->pos || batch->count < 0 ||
                           !log_batch_fits(batch, reader->next)))
        rc = ox_fail(err, OX_CORRUPT_MESSAGE,
            "batch with offset %lld does not belong at position %llu of \"%s\"",
            (long long)batch->base_offset, (unsigned long long)reader->pos, reader->seg->path);
    if (rc == OX_OK)
        rc = reader_fill(pass, batch->bytes, err);
    if (rc != OX_OK)
        return rc;
    batch->ptr = reader->window->ptr + (reader->pos - reader->window_pos);
    if (!record_batch_crc_ok(batch))
        return ox_fail(err, OX_CORRUPT_MESSAGE,
            "batch at offset %lld, position %llu of \"%s\" has a wrong checksum",
            (long long)batch->base_offset, (unsigned long long)reader->pos, reader->seg->path);
    reader->pos += batch->bytes;
    reader->next = record_batch_next_offset(batch);
    return OX_OK;
}

/* ---- transactions ---- */

static void
txn_start(struct pass *pass, const struct log_aborted_txn *aborted, size_t count)
{
    struct txn_walk *walk = &pass->txns;
    ox_map_fini(&walk->open);
    ox_map_fini(&walk->committed);
    ox_map_init(&walk->open);
    ox_map_init(&walk->committed);
    walk->aborted = aborted;
    walk->count = count;
    walk->at = 0;
    walk->opens = ox_arena_array(&pass->arena, struct aborted_open, count + 1);
}

/* The aborted transactions that begin up to offset are open from now on. */
static void
txn_advance(struct txn_walk *walk, int64_t offset)
{
    while (walk->at < walk->count && walk->aborted[walk->at].first_offset <= offset) {
        struct aborted_open *open = &walk->opens[walk->at];
        *open = (struct aborted_open){walk->aborted[walk->at++], false};
        ox_map_put(&walk->open, ox_key_i64(&open->txn.producer_id), open);
    }
}

/* A data batch: true if its records were aborted. */
static bool
txn_data(struct txn_walk *walk, const struct record_batch *batch)
{
    txn_advance(walk, record_batch_last_offset(batch));
    if (!record_batch_is_transactional(batch))
        return false;
    struct aborted_open *open = ox_map_get(&walk->open, ox_key_i64(&batch->producer_id));
    if (open != NULL)
        open->seen = true;
    else
        ox_map_put(&walk->committed, ox_key_i64(&batch->producer_id), walk);
    return open != NULL;
}

/* A marker: true if nothing of its transaction is left. *aborted: the
 * transaction that it aborts, if something is. */
static ox_code
txn_marker(struct txn_walk *walk, const struct record_batch *batch, bool *bare,
    const struct log_aborted_txn **aborted, struct ox_err *err)
{
    struct control_record control;
    struct str key = ox_key_i64(&batch->producer_id);
    *bare = true;
    *aborted = NULL;
    txn_advance(walk, record_batch_last_offset(batch));
    if (batch->count == 0)
        return OX_OK; /* it has been emptied before */
    ox_code rc = record_batch_control(batch, &control, err);
    if (rc != OX_OK)
        return rc;
    struct aborted_open *open = NULL;
    switch (control.type) {
    case CONTROL_ABORT:
        open = ox_map_remove(&walk->open, key);
        *bare = open == NULL || !open->seen;
        *aborted = *bare ? NULL : &open->txn;
        break;
    case CONTROL_COMMIT:
        *bare = ox_map_remove(&walk->committed, key) == NULL;
        break;
    case CONTROL_UNKNOWN:
        *bare = false;
        break;
    }
    return OX_OK;
}

/* ---- 1: the map ---- */

static ox_code
map_batch(struct pass *pass, const struct record_batch *batch, struct ox_err *err)
{
    struct record_iter iter;
    struct record record;
    ox_code rc = record_iter_init(&iter, batch, &pass->scratch, (size_t)1 << 30, err);
    while (rc == OX_OK && record_iter_next(&iter, &record))
        if (record.key.ptr != NULL && record.offset >= pass->from)
            key_map_put(&pass->map, record.key, record.offset);
    if (rc == OX_OK && iter.failed)
        rc = ox_fail(err, OX_CORRUPT_MESSAGE, "batch at offset %lld of \"%s\": %s",
            (long long)batch->base_offset, pass->reader.seg->path, iter.fault);
    return rc;
}

/* Maps the dirty part of a segment; *full: the batch at pass->end did not fit. */
static ox_code
map_segment(struct pass *pass, struct log_segment *seg, bool *full, struct ox_err *err)
{
    uint64_t pos, size;
    ox_lock(&pass->plog->lock);
    size = seg->size;
    ox_code rc = log_segment_lookup(seg, pass->from, &pos, err);
    ox_unlock(&pass->plog->lock);
    if (rc != OX_OK)
        return rc;
    reader_start(pass, seg, pos, size);
    struct record_batch batch;
    bool more;
    while ((rc = reader_next(pass, &batch, &more, err)) == OX_OK && more) {
        const struct log_aborted_txn *aborted;
        bool bare;
        if (record_batch_last_offset(&batch) < pass->from)
            continue;
        if (batch.base_offset >= pass->end)
            break;
        if (record_batch_is_control(&batch)) {
            rc = txn_marker(&pass->txns, &batch, &bare, &aborted, err);
        } else if (!txn_data(&pass->txns, &batch)) {
            if ((uint64_t)batch.count > key_map_room(&pass->map)) {
                pass->end = batch.base_offset;
                *full = true;
                return OX_OK;
            }
            rc = map_batch(pass, &batch, err);
        }
        if (rc != OX_OK)
            return rc;
    }
    return rc;
}

/* An upper bound for the keys of the dirty part, from the headers. */
static ox_code
count_keys(struct pass *pass, uint64_t *keys, struct ox_err *err)
{
    ox_code rc = OX_OK;
    struct buf *buf = ox_buf_new(HEADER_WALK_WIDE);
    *keys = 0;
    for (uint32_t i = 0; i < pass->count && rc == OX_OK; i++) {
        struct header_walk walk;
        uint64_t pos = 0, size;
        bool more;
        ox_lock(&pass->plog->lock);
        size = pass->segs[i]->size;
        if (pass->segs[i]->next_offset > pass->from)
            rc = log_segment_lookup(pass->segs[i], pass->from, &pos, err);
        else
            pos = size;
        ox_unlock(&pass->plog->lock);
        header_walk_init(&walk, pass->segs[i], pos, size);
        walk.buffer = buf->ptr;
        while (rc == OX_OK && (rc = header_walk_next(&walk, &more, err)) == OX_OK && more)
            *keys += walk.batch.count > 0 ? (uint64_t)walk.batch.count : 0;
    }
    ox_buf_put(buf);
    return rc;
}

static ox_code
build_map(struct pass *pass, struct ox_err *err)
{
    uint64_t keys, secret[2];
    struct log_aborted_txn *aborted;
    size_t count;
    bool full = false;
    ox_code rc = count_keys(pass, &keys, err);
    if (rc == OX_OK)
        rc = plog_aborted_txns(pass->plog, pass->from, pass->end, &pass->arena, &aborted, &count,
            err);
    if (rc != OX_OK)
        return rc;
    env_random(pass->plog->dir->env, secret, sizeof(secret));
    key_map_init(&pass->map, keys, pass->run->buffer_bytes, secret);
    txn_start(pass, aborted, count);
    for (uint32_t i = 0; i < pass->count && rc == OX_OK && !full; i++)
        if (pass->segs[i]->next_offset > pass->from)
            rc = map_segment(pass, pass->segs[i], &full, err);
    if (rc == OX_OK && pass->end <= pass->from)
        rc = ox_fail(err, OX_LIMIT_EXCEEDED,
            "the batch at offset %lld of \"%s-%d\" has more keys than the cleaner's buffer of "
            "%llu bytes holds",
            (long long)pass->end, pass->plog->topic, pass->plog->partition,
            (unsigned long long)pass->run->buffer_bytes);
    return rc;
}

/* ---- 2: the copy ---- */

static ox_code
write_pending(struct pass *pass, struct ox_err *err)
{
    size_t len = pass->pending.len;
    if (len == 0)
        return OX_OK;
    ox_code rc = ox_fault("compact.write");
    if (rc != OX_OK)
        return ox_fail_plain(err, rc);
    rc = file_pwrite(pass->plog->fs, "compact.write", pass->out->file, pass->pending.ptr, len,
        pass->written, err);
    if (rc != OX_OK)
        return rc;
    pass->written += len;
    ox_text_clear(&pass->pending);
    return moved(pass, 0, len, err);
}

/* Adds a batch to the new segment. */
static ox_code
emit(struct pass *pass, const void *ptr, size_t len, struct ox_err *err)
{
    struct record_batch batch;
    ox_code rc = record_batch_decode(ptr, len, &batch, err);
    if (rc != OX_OK)
        return rc;
    ox_assert(batch.bytes == len);
    ox_text_add(&pass->pending, ptr, len);
    log_segment_added(pass->out, &batch, pass->out->size, pass->config.index_interval_bytes);
    return pass->pending.len >= pass->run->io_buffer_bytes ? write_pending(pass, err) : OX_OK;
}

static bool
is_last_of_producer(struct pass *pass, const struct record_batch *batch)
{
    if (batch->producer_id < 0)
        return false;
    const struct producer_last *last =
        ox_map_get(&pass->producers, ox_key_i64(&batch->producer_id));
    if (last == NULL)
        return false;
    if (last->last_offset >= 0)
        return record_batch_last_offset(batch) == last->last_offset;
    return record_batch_is_control(batch) && batch->producer_epoch == last->epoch;
}

/* The time from which the batch's tombstones may go. */
static bool
horizon_passed(const struct pass *pass, const struct record_batch *batch)
{
    return (batch->attributes & RECORD_DELETE_HORIZON) != 0 &&
           batch->base_timestamp <= pass->now_ms;
}

static bool
keep_record(struct pass *pass, const struct record_batch *batch, const struct record *record)
{
    if (record->offset >= pass->end)
        return true;
    if (record->key.ptr == NULL || record->offset < key_map_get(&pass->map, record->key))
        return false;
    return record->value.ptr != NULL || !horizon_passed(pass, batch);
}

/* Which records stay: bits of pass->kept. */
static ox_code
choose(struct pass *pass, const struct record_batch *batch, struct record_iter iter,
    int32_t *count, bool *tombstones, struct ox_err *err)
{
    struct record record;
    size_t bytes = (size_t)batch->count / 8 + 1;
    /* A record has seven bytes or more. */
    if ((size_t)(iter.end - iter.at) / 7 < (size_t)batch->count)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "batch at offset %lld has no %d records",
            (long long)batch->base_offset, batch->count);
    if (bytes > pass->kept_cap) {
        pass->kept_cap = bytes * 2;
        pass->kept = ox_realloc(pass->kept, pass->kept_cap);
    }
    memset(pass->kept, 0, bytes);
    *count = 0;
    *tombstones = false;
    for (int32_t i = 0; record_iter_next(&iter, &record); i++) {
        if (!record_batch_is_control(batch) && !keep_record(pass, batch, &record))
            continue;
        pass->kept[i / 8] |= (uint8_t)(1 << (i % 8));
        *tombstones |= record.value.ptr == NULL;
        ++*count;
    }
    if (iter.failed)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "batch at offset %lld of \"%s\": %s",
            (long long)batch->base_offset, pass->reader.seg->path, iter.fault);
    return OX_OK;
}

/* The header of a batch of which no record is left. */
static ox_code
emit_empty(struct pass *pass, const struct record_batch *batch, struct ox_err *err)
{
    uint8_t bytes[RECORD_BATCH_HEADER];
    memcpy(bytes, batch->ptr, sizeof(bytes));
    wire_store32(bytes + 8, RECORD_BATCH_HEADER - RECORD_BATCH_PREFIX);
    wire_store16(bytes + 21,
        (uint16_t)(batch->attributes & ~(RECORD_CODEC_MASK | RECORD_DELETE_HORIZON)));
    wire_store64(bytes + 27, (uint64_t)batch->max_timestamp);
    wire_store32(bytes + 57, 0);
    record_batch_seal(bytes, sizeof(bytes));
    return emit(pass, bytes, sizeof(bytes), err);
}

/* The batch with the records of pass->kept. horizon: -1 none. */
static ox_code
emit_rebuilt(struct pass *pass, const struct record_batch *batch, struct record_iter iter,
    int64_t horizon, struct ox_err *err)
{
    struct record_builder *builder = &pass->builder;
    struct record record;
    struct slice out;
    enum ox_codec codec = record_batch_codec(batch);
    record_builder_begin(builder,
        &(struct record_builder_config){.codec = codec,
            .level = plog_codec_level(&pass->config, codec),
            .producer_id = batch->producer_id,
            .producer_epoch = batch->producer_epoch,
            .base_sequence = batch->base_sequence,
            .transactional = record_batch_is_transactional(batch),
            .control = record_batch_is_control(batch),
            .log_append_time = (batch->attributes & RECORD_LOG_APPEND_TIME) != 0,
            .delete_horizon = horizon >= 0,
            .base_timestamp = horizon});
    int32_t delta = -1;
    for (int32_t i = 0; record_iter_next(&iter, &record); i++) {
        if ((pass->kept[i / 8] >> (i % 8) & 1) == 0)
            continue;
        int64_t own = record.offset - batch->base_offset;
        if (own <= delta || own > batch->last_offset_delta)
            return ox_fail(err, OX_CORRUPT_MESSAGE, "records of the batch at offset %lld of "
                "\"%s\" are not in order", (long long)batch->base_offset, pass->reader.seg->path);
        delta = (int32_t)own;
        record_builder_add_at(builder, delta, record.timestamp, record.key, record.value,
            record.header_count, record.headers);
    }
    ox_code rc = record_builder_finish(builder, &out, err);
    if (rc != OX_OK)
        return rc;
    uint8_t *at = ox_slice_ptr(&out);
    record_batch_stamp(at, batch->base_offset, batch->leader_epoch);
    wire_store32(at + 23, (uint32_t)batch->last_offset_delta);
    record_batch_seal(at, out.len);
    rc = emit(pass, at, out.len, err);
    ox_buf_put(out.buf);
    return rc;
}

static ox_code
copy_verbatim(struct pass *pass, const struct record_batch *batch, struct ox_err *err)
{
    return emit(pass, batch->ptr, batch->bytes, err);
}

/* What is left of a batch of which not everything goes. bare: it is a marker
 * without a transaction. */
static ox_code
copy_rest(struct pass *pass, const struct record_batch *batch, bool bare, bool hold,
    struct ox_err *err)
{
    struct record_iter iter;
    int32_t count = 0;
    bool tombstones = false;
    ox_code rc = record_iter_init(&iter, batch, &pass->scratch, (size_t)1 << 30, err);
    if (rc == OX_OK)
        rc = choose(pass, batch, iter, &count, &tombstones, err);
    if (rc != OX_OK)
        return rc;
    bool stamped = (batch->attributes & RECORD_DELETE_HORIZON) != 0;
    bool stamp = (tombstones || bare) && !stamped && batch->base_offset < pass->end;
    pass->records_removed += (uint64_t)(batch->count - count);
    if (count == batch->count && (!stamp || count == 0))
        if (count > 0 || hold)
            return copy_verbatim(pass, batch, err);
    pass->changed = true;
    if (count == 0)
        return hold ? emit_empty(pass, batch, err) : OX_OK;
    int64_t horizon = -1;
    if (stamped)
        horizon = batch->base_timestamp;
    else if (stamp)
        horizon = log_due_ms(pass->now_ms, pass->config.delete_retention_ms);
    return emit_rebuilt(pass, batch, iter, horizon, err);
}

/* hold: the header must stay in any case. */
static ox_code
copy_batch(struct pass *pass, const struct record_batch *batch, bool hold, struct ox_err *err)
{
    const struct log_aborted_txn *aborted = NULL;
    bool bare = false, discard;
    ox_code rc = OX_OK;
    hold |= is_last_of_producer(pass, batch);
    pass->records_read += (uint64_t)batch->count;
    if (record_batch_is_control(batch)) {
        rc = txn_marker(&pass->txns, batch, &bare, &aborted, err);
        discard = bare && (batch->count == 0 || horizon_passed(pass, batch));
    } else {
        discard = txn_data(&pass->txns, batch);
    }
    if (rc != OX_OK)
        return rc;
    if (aborted != NULL)
        log_segment_add_aborted(pass->out, aborted);
    /* Nothing above the map is judged, except by where it lies. */
    if (batch->base_offset >= pass->end)
        return copy_verbatim(pass, batch, err);
    if (!discard)
        return copy_rest(pass, batch, bare, hold, err);
    pass->records_removed += (uint64_t)batch->count;
    if (hold && batch->count == 0)
        return copy_verbatim(pass, batch, err);
    pass->changed = true;
    return hold ? emit_empty(pass, batch, err) : OX_OK;
}

static ox_code
copy_segment(struct pass *pass, struct log_segment *seg, bool last, struct ox_err *err)
{
    struct record_batch batch;
    bool more;
    ox_code rc;
    reader_start(pass, seg, 0, seg->size);
    while ((rc = reader_next(pass, &batch, &more, err)) == OX_OK && more) {
        rc = copy_batch(pass, &batch, last && pass->reader.pos == pass->reader.size, err);
        if (rc != OX_OK)
            return rc;
    }
    return rc;
}

/* ---- 3: the swap ---- */

/* Everything of the new segment is on disk, under its .cleaned names. */
static ox_code
finish_out(struct pass *pass, struct ox_err *err)
{
    struct log_segment *seg = pass->out;
    ox_code rc = write_pending(pass, err);
    if (rc != OX_OK)
        return rc;
    log_segment_end_times(seg);
    rc = log_index_write(&seg->index, true, err);
    if (rc == OX_OK)
        rc = log_index_write(&seg->times, true, err);
    seg->aborted_written = UINT32_MAX; /* also if it is empty: it replaces another */
    if (rc == OX_OK)
        rc = log_segment_write_aborted(seg, true, err);
    if (rc != OX_OK)
        return rc;
    rc = fs_sync(seg->fs, "compact.sync", seg->file, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(seg->fs, "compact.sync", pass->plog->path, err);
    if (rc != OX_OK)
        return log_dir_fail(pass->plog->dir, rc, err);
    log_index_seal(&seg->index);
    log_index_seal(&seg->times);
    seg->flushed = seg->size;
    seg->name_flushed = seg->sealed = true;
    return OX_OK;
}

/* Whether the group is still part of the log; its indexes are opened, since
 * their names go. Under lock. */
static bool
still_there(struct pass *pass, uint32_t first, uint32_t count, uint32_t *slot)
{
    struct plog *plog = pass->plog;
    if (plog->closed || plog->fault != OX_OK || !plog->config.policy_compact ||
        atomic_load(&plog->dir->offline))
        return false;
    for (*slot = 0; *slot < plog->segment_count; ++*slot)
        if (plog->segments[*slot] == pass->segs[first])
            break;
    if (*slot + count >= plog->segment_count) /* the active one comes after */
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (plog->segments[*slot + i] != pass->segs[first + i])
            return false;
    for (uint32_t i = 0; i < count; i++) {
        struct log_segment *seg = pass->segs[first + i];
        log_index_pin(&seg->index);
        log_index_pin(&seg->times);
        if (plog_load_aborted(plog, seg, NULL) != OX_OK)
            return false;
    }
    return true;
}

/* From the first .swap name on there is no way back but recovery's. */
static ox_code
swap_names(struct pass *pass, uint32_t first, uint32_t count, bool *begun, struct ox_err *err)
{
    struct plog *plog = pass->plog;
    int64_t due = log_due_ms(pass->now_ms, pass->config.file_delete_delay_ms);
    ox_code rc = ox_fault("compact.swap");
    if (rc != OX_OK)
        return ox_fail_plain(err, rc);
    *begun = true;
    rc = log_segment_resuffix(pass->out, ".swap", err);
    if (rc == OX_OK)
        rc = fs_sync_dir(plog->fs, "compact.swap", plog->path, err);
    for (uint32_t i = 0; i < count && rc == OX_OK; i++)
        rc = log_segment_condemn(pass->segs[first + i], plog->dir, due, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(plog->fs, "compact.swap", plog->path, err);
    if (rc == OX_OK)
        rc = log_segment_resuffix(pass->out, "", err);
    if (rc == OX_OK)
        rc = fs_sync_dir(plog->fs, "compact.swap", plog->path, err);
    return rc;
}

/* The new segment in memory. Under lock. */
static void
splice(struct pass *pass, uint32_t slot, uint32_t count)
{
    struct plog *plog = pass->plog;
    uint64_t old_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        old_bytes += plog->segments[slot + i]->size;
        log_segment_put(plog->segments[slot + i]);
    }
    plog->segments[slot] = log_segment_get(pass->out);
    memmove(plog->segments + slot + 1, plog->segments + slot + count,
        (plog->segment_count - slot - count) * sizeof(*plog->segments));
    plog->segment_count -= count - 1;
    for (int i = 0; i < READ_HINTS; i++)
        plog->hints[i].offset = -1;
    atomic_fetch_add_explicit(&plog->bytes, pass->out->size - old_bytes, memory_order_relaxed);
}

static ox_code
swap_group(struct pass *pass, uint32_t first, uint32_t count, struct ox_err *err)
{
    struct plog *plog = pass->plog;
    uint32_t slot = 0;
    bool begun = false;
    pthread_mutex_lock(&plog->work);
    ox_lock(&plog->lock);
    bool there = still_there(pass, first, count, &slot);
    ox_unlock(&plog->lock);
    ox_code rc = there ? swap_names(pass, first, count, &begun, err) : give_up(pass, err);
    ox_lock(&plog->lock);
    if (rc == OX_OK)
        splice(pass, slot, count);
    else if (begun)
        plog_set_fault(plog, OX_STORAGE_ERROR, err);
    ox_unlock(&plog->lock);
    pthread_mutex_unlock(&plog->work);
    return rc;
}

/* ---- a group ---- */

/* The number of segments from first on that make one. */
static uint32_t
group_size(const struct pass *pass, uint32_t first)
{
    const struct log_segment *seg = pass->segs[first];
    uint64_t bytes = 0, index = 0, times = 0;
    uint32_t n = 0;
    for (; first + n < pass->count; n++) {
        const struct log_segment *next = pass->segs[first + n];
        bytes += next->size;
        index += (uint64_t)next->index.count * INDEX_ENTRY;
        times += (uint64_t)next->times.count * TIME_ENTRY;
        if (n > 0 && (bytes > (uint64_t)pass->config.segment_bytes ||
                         index > (uint64_t)pass->config.segment_index_bytes ||
                         times > (uint64_t)pass->config.segment_index_bytes ||
                         next->next_offset - 1 - seg->base_offset > INT32_MAX))
            break;
    }
    return n;
}

/* Makes the file, if the directory is still this log's. */
static ox_code
open_out(struct pass *pass, int64_t base, struct ox_err *err)
{
    struct plog *plog = pass->plog;
    pthread_mutex_lock(&plog->work);
    ox_lock(&plog->lock);
    bool closed = plog->closed || plog->fault != OX_OK;
    ox_unlock(&plog->lock);
    ox_code rc = closed ? give_up(pass, err)
                        : log_segment_create_cleaned(plog->fs, plog->path, base, &pass->out, err);
    pthread_mutex_unlock(&plog->work);
    ox_text_clear(&pass->pending);
    pass->written = 0;
    pass->changed = false;
    return rc;
}

/* Removes what was written for nothing. */
static void
drop_out(struct pass *pass)
{
    struct plog *plog = pass->plog;
    pthread_mutex_lock(&plog->work);
    ox_lock(&plog->lock);
    bool closed = plog->closed;
    ox_unlock(&plog->lock);
    if (!closed && strcmp(pass->out->suffix, ".cleaned") == 0)
        log_segment_unlink(pass->out, NULL);
    pthread_mutex_unlock(&plog->work);
}

/* The last of a group that has batches: Kafka's cleaner leaves segments without any. */
static uint32_t
last_filled(const struct pass *pass, uint32_t first, uint32_t count)
{
    uint32_t last = count - 1;
    while (last > 0 && pass->segs[first + last]->size == 0)
        last--;
    return last;
}

static ox_code
compact_group(struct pass *pass, uint32_t first, uint32_t count, struct ox_err *err)
{
    uint32_t last = last_filled(pass, first, count);
    ox_code rc = open_out(pass, pass->segs[first]->base_offset, err);
    if (rc != OX_OK)
        return rc;
    pass->out->created_ms = pass->segs[first]->created_ms;
    for (uint32_t i = 0; i < count && rc == OX_OK; i++)
        rc = copy_segment(pass, pass->segs[first + i], i == last, err);
    bool worth = count > 1 || pass->changed;
    if (rc == OX_OK && worth) {
        ox_assert(pass->out->size == 0 ||
                  pass->out->next_offset == pass->segs[first + last]->next_offset);
        rc = finish_out(pass, err);
        if (rc == OX_OK)
            rc = swap_group(pass, first, count, err);
    }
    if (rc != OX_OK || !worth)
        drop_out(pass);
    log_segment_put(pass->out);
    pass->out = NULL;
    return rc;
}

/* ---- the pass ---- */

/* Nothing of the segments may come back out of the write-ahead log: flush them
 * and void what it has. */
static ox_code
settle_wal(struct plog *plog, struct ox_err *err)
{
    struct log_dir *dir = plog_lock_checkpoint(plog);
    int64_t end;
    pthread_mutex_lock(&plog->work);
    ox_code rc = log_wal_round(dir, err); /* what is queued of them is written */
    if (rc == OX_OK)
        rc = plog_checkpoint(plog, false, err);
    if (rc == OX_OK)
        rc = log_dir_write_checkpoints(dir, err);
    if (rc == OX_OK) {
        pthread_mutex_lock(&dir->round);
        rc = plog_sync_segments(plog, &end, err);
        if (rc == OX_OK)
            rc = log_wal_settle(dir, plog, end, err);
        pthread_mutex_unlock(&dir->round);
    }
    pthread_mutex_unlock(&plog->work);
    pthread_mutex_unlock(&dir->checkpoint);
    return rc;
}

void
plog_plan_compaction(struct plog *plog, int64_t now_ms, struct compact_plan *out)
{
    const struct plog_config *config = &plog->config;
    int64_t active = plog_active(plog)->base_offset, start = plog_log_start(plog);
    int64_t first = atomic_load(&plog->cleaned), limit = OX_MIN(plog_last_stable(plog), active);
    int64_t oldest = INT64_MAX;
    if (first < start || first > active)
        first = start;
    *out = (struct compact_plan){.first_dirty = first};
    for (uint32_t i = 0; i + 1 < plog->segment_count; i++) {
        const struct log_segment *seg = plog->segments[i];
        if (seg->next_offset <= first) {
            out->clean_bytes += seg->size;
            continue;
        }
        if (config->min_compaction_lag_ms > 0 &&
            seg->max_timestamp > now_ms - config->min_compaction_lag_ms)
            limit = OX_MIN(limit, seg->base_offset);
        if (seg->base_offset >= limit)
            break;
        out->dirty_bytes += seg->size;
        if (seg->first_timestamp >= 0)
            oldest = OX_MIN(oldest, seg->first_timestamp);
    }
    out->limit = OX_MAX(limit, first);
    uint64_t all = out->clean_bytes + out->dirty_bytes;
    out->ratio = all > 0 ? (double)out->dirty_bytes / (double)all : 0;
    out->overdue = out->dirty_bytes > 0 && oldest < INT64_MAX &&
                   now_ms - oldest > config->max_compaction_lag_ms;
    out->wanted = config->policy_compact && out->limit > first && out->dirty_bytes > 0 &&
                  (out->overdue || out->ratio > config->min_cleanable_dirty_ratio);
}

/* Pins the segments below the limit and what is known of the producers. */
static bool
start_pass(struct pass *pass)
{
    struct plog *plog = pass->plog;
    struct compact_plan plan;
    ox_lock(&plog->lock);
    plog_plan_compaction(plog, pass->now_ms, &plan);
    bool any = plan.limit > plan.first_dirty && plan.dirty_bytes > 0 && !plog->closed &&
               plog->fault == OX_OK && plog->config.policy_compact;
    pass->config = plog->config;
    pass->from = plan.first_dirty;
    pass->end = plan.limit;
    pass->segs = ox_calloc(plog->segment_count, sizeof(*pass->segs));
    for (uint32_t i = 0; any && plog->segments[i]->base_offset < pass->end; i++)
        pass->segs[pass->count++] = log_segment_get(plog->segments[i]);
    struct map_entry *entry;
    uint32_t at = 0;
    while (any && (entry = ox_map_next(&plog->producers.by_id, &at)) != NULL) {
        const struct producer *producer = entry->value;
        struct producer_last *last = ox_arena_new(&pass->arena, struct producer_last);
        *last = (struct producer_last){producer->id, -1, producer->epoch};
        if (producer->batch_count > 0)
            last->last_offset = producer->batches[producer->batch_count - 1].last_offset;
        ox_map_put(&pass->producers, ox_key_i64(&last->id), last);
    }
    if (any) {
        plog->compact.phase = LOG_COMPACT_MAP;
        plog->compact.last_start_ms = pass->now_ms;
        plog->compact.bytes_done = 0;
        plog->compact.bytes_total = plan.clean_bytes + 2 * plan.dirty_bytes;
    }
    ox_unlock(&plog->lock);
    return any;
}

static ox_code
copy_all(struct pass *pass, struct ox_err *err)
{
    struct log_aborted_txn *aborted;
    size_t count;
    while (pass->count > 0 && pass->segs[pass->count - 1]->base_offset >= pass->end)
        log_segment_put(pass->segs[--pass->count]);
    ox_code rc = plog_aborted_txns(pass->plog, pass->segs[0]->base_offset,
        pass->segs[pass->count - 1]->next_offset, &pass->arena, &aborted, &count, err);
    if (rc == OX_OK)
        rc = settle_wal(pass->plog, err);
    if (rc != OX_OK)
        return rc;
    txn_start(pass, aborted, count);
    ox_lock(&pass->plog->lock);
    pass->plog->compact.phase = LOG_COMPACT_COPY;
    ox_unlock(&pass->plog->lock);
    for (uint32_t first = 0; first < pass->count && rc == OX_OK;) {
        uint32_t n = group_size(pass, first);
        rc = compact_group(pass, first, n, err);
        first += n;
    }
    return rc;
}

/* Durable progress: the next pass begins where this one ended. */
static ox_code
note_cleaned(struct pass *pass, struct ox_err *err)
{
    struct plog *plog = pass->plog;
    pthread_mutex_lock(&plog->work);
    ox_lock(&plog->lock);
    bool same = !plog->closed && plog->fault == OX_OK && plog_log_end(plog) >= pass->end;
    if (same)
        atomic_store(&plog->cleaned, pass->end);
    ox_unlock(&plog->lock);
    pthread_mutex_unlock(&plog->work);
    return same ? log_dir_write_cleaned(plog->dir, err) : give_up(pass, err);
}

static void
end_pass(struct pass *pass, bool done)
{
    struct plog *plog = pass->plog;
    ox_lock(&plog->lock);
    struct compact_state *state = &plog->compact;
    state->phase = LOG_COMPACT_IDLE;
    state->passes += done;
    state->bytes_read += pass->bytes_read;
    state->bytes_written += pass->bytes_written;
    state->records_read += pass->records_read;
    state->records_removed += pass->records_removed;
    state->last_end_ms = env_wall_ms(plog->dir->env);
    ox_unlock(&plog->lock);
    for (uint32_t i = 0; i < pass->count; i++)
        log_segment_put(pass->segs[i]);
    ox_free(pass->segs);
    key_map_fini(&pass->map);
    ox_map_fini(&pass->producers);
    ox_map_fini(&pass->txns.open);
    ox_map_fini(&pass->txns.committed);
    ox_buf_put(pass->reader.window);
    ox_text_fini(&pass->scratch);
    ox_text_fini(&pass->pending);
    record_builder_fini(&pass->builder);
    ox_free(pass->kept);
    ox_arena_fini(&pass->arena);
}

void
plog_compaction(struct plog *plog, int64_t now_ms, struct log_compaction_facts *out)
{
    struct compact_plan plan;
    ox_lock(&plog->lock);
    plog_plan_compaction(plog, now_ms, &plan);
    const struct compact_state *state = &plog->compact;
    *out = (struct log_compaction_facts){
        .compacted = plog->config.policy_compact,
        .uncleanable = state->uncleanable,
        .phase = state->phase,
        .bytes_done = state->bytes_done,
        .bytes_total = state->bytes_total,
        .cleaned = atomic_load(&plog->cleaned),
        .first_dirty = plan.first_dirty,
        .limit = plan.limit,
        .clean_bytes = plan.clean_bytes,
        .dirty_bytes = plan.dirty_bytes,
        .dirty_ratio = plan.ratio,
        .passes = state->passes,
        .bytes_read = state->bytes_read,
        .bytes_written = state->bytes_written,
        .records_read = state->records_read,
        .records_removed = state->records_removed,
        .last_start_ms = state->last_start_ms,
        .last_end_ms = state->last_end_ms,
    };
    ox_unlock(&plog->lock);
}

ox_code
plog_compact(struct plog *plog, const struct compact_run *run, int64_t now_ms, bool *ahead,
    struct ox_err *err)
{
    struct ox_err local;
    struct pass pass = {.plog = plog, .run = run, .now_ms = now_ms};
    err = err != NULL ? err : &local;
    ox_arena_init(&pass.arena);
    ox_map_init(&pass.producers);
    ox_map_init(&pass.txns.open);
    ox_map_init(&pass.txns.committed);
    ox_text_init(&pass.scratch, NULL);
    ox_text_init(&pass.pending, NULL);
    record_builder_init(&pass.builder);
    ox_code rc = OX_OK;
    *ahead = false;
    bool any = start_pass(&pass);
    if (any)
        rc = build_map(&pass, err);
    if (any && rc == OX_OK)
        rc = copy_all(&pass, err);
    if (any && rc == OX_OK)
        rc = note_cleaned(&pass, err);
    *ahead = any && rc == OX_OK;
    end_pass(&pass, *ahead);
    return rc;
}
