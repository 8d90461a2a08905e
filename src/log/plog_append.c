/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing batches at the end of a log. Everything slow was done by
 * plog_validate(); under the lock remain: the producer's sequence, rolling, the
 * stamp of offset and epoch, one gathered write, the indexes in memory, and the
 * hand-over to the flusher.
 *
 * Batches of one call that go to the same segment are collected in a group and
 * written at once. A group ends early when the next batch must see the state
 * that the group leaves (same producer, transaction, control).
 *
 * 1. State changes only after the write; a failed write is cut off again, so
 *    that the file never holds bytes beyond the log end. */
#include "log/log_int.h"

#include "base/check.h"
#include "base/fault.h"

enum { GROUP_MAX = 64 };

/* One batch about to be written. */
struct piece {
    struct record_batch batch;
    struct slice bytes;
    size_t append; /* index into the call's appends */
};

struct group {
    struct plog *plog;
    struct log_append **appends;
    ox_code *codes;
    struct ox_err *errs;
    struct piece pieces[GROUP_MAX];
    struct iovec iov[GROUP_MAX];
    uint32_t count;
    uint64_t bytes;
    int64_t next; /* offset after the last piece */
};

static struct ox_err *
err_of(const struct group *group, size_t i)
{
    return group->errs != NULL ? &group->errs[i] : NULL;
}

/* ---- writing a group ---- */

static ox_code
write_group(struct group *group, struct log_segment *seg, struct ox_err *err)
{
    struct plog *plog = group->plog;
    ox_code rc = ox_fault("log.append");
    if (rc != OX_OK)
        return ox_fail_plain(err, rc);
    log_segment_reserve(seg, seg->size + group->bytes, (uint64_t)plog->config.segment_bytes);
    rc = fs_pwritev(plog->fs, "log.append", seg->file, group->iov, (int)group->count, seg->size,
        err);
    if (rc == OX_OK)
        return OX_OK;
    if (rc == OX_DISK_FULL)
        log_dir_found_full(plog->dir);
    struct ox_err cut_err;
    seg->reserved = 0;
    if (fs_truncate(plog->fs, "log.append_undo", seg->file, seg->size, &cut_err) != OX_OK)
        plog_set_fault(plog, OX_STORAGE_ERROR, &cut_err);
    return rc;
}

static void
queue_piece(struct plog *plog, struct log_segment *seg, const struct piece *piece, uint64_t pos,
    bool soon)
{
    const struct plog_config *config = &plog->config;
    bool wal = config->flush_ack;
    if (!wal) {
        int64_t unflushed = plog->log_end - plog->flushed_end;
        if (config->flush_messages == INT64_MAX || unflushed < config->flush_messages)
            return;
    }
    struct wal_item item = {
        .plog = plog,
        .seg = seg,
        .buf = wal ? piece->bytes.buf : NULL,
        .ptr = ox_slice_ptr(&piece->bytes),
        .len = (uint32_t)piece->bytes.len,
        .generation = plog->generation,
        .pos = pos,
        .base_offset = piece->batch.base_offset,
        .end_offset = record_batch_next_offset(&piece->batch),
    };
    log_wal_enqueue(plog->dir, &item, soon);
}

/* The piece lies in the file: make it part of the log. */
static void
commit_piece(struct group *group, struct log_segment *seg, const struct piece *piece)
{
    struct plog *plog = group->plog;
    struct log_append *append = group->appends[piece->append];
    uint64_t pos = seg->size;
    struct ox_err err;
    log_segment_added(seg, &piece->batch, pos, plog->config.index_interval_bytes);
    plog->producers.now_ms = append->now_ms;
    if (plog_apply(plog, seg, &piece->batch, &err) != OX_OK)
        plog_set_fault(plog, OX_STORAGE_ERROR, &err);
    atomic_store_explicit(&plog->log_end, seg->next_offset, memory_order_release);
    atomic_fetch_add_explicit(&plog->bytes, piece->bytes.len, memory_order_relaxed);
    if (append->base_offset < 0)
        append->base_offset = piece->batch.base_offset;
    append->last_offset = record_batch_last_offset(&piece->batch);
    if (plog->unflushed_since_ms == 0)
        plog->unflushed_since_ms = append->now_ms;
    queue_piece(plog, seg, piece, pos, (append->flags & LOG_FLUSH_SOON) != 0);
}

static void
flush_group(struct group *group)
{
    if (group->count == 0)
        return;
    struct plog *plog = group->plog;
    struct log_segment *seg = plog_active(plog);
    struct ox_err err;
    ox_code rc = write_group(group, seg, &err);
    for (uint32_t i = 0; i < group->count; i++) {
        const struct piece *piece = &group->pieces[i];
        if (rc == OX_OK) {
            commit_piece(group, seg, piece);
        } else {
            group->codes[piece->append] = rc;
            if (group->errs != NULL)
                group->errs[piece->append] = err;
        }
    }
    if (rc == OX_OK)
        atomic_fetch_add_explicit(&plog->dir->unchecked_bytes, group->bytes,
            memory_order_relaxed);
    group->count = 0;
    group->bytes = 0;
    group->next = plog_log_end(plog);
}

/* ---- before the write ---- */

static bool
must_roll(struct group *group, const struct record_batch *batch, int64_t now_ms)
{
    struct plog *plog = group->plog;
    const struct log_segment *seg = plog_active(plog);
    const struct plog_config *config = &plog->config;
    uint64_t size = seg->size + group->bytes;
    if (record_batch_last_offset(batch) - seg->base_offset > INT32_MAX)
        return true;
    if (size == 0)
        return false;
    if (size + batch->bytes > (uint64_t)config->segment_bytes || size + batch->bytes > UINT32_MAX)
        return true;
    if (seg->index.count >= (uint32_t)config->segment_index_bytes / INDEX_ENTRY ||
        seg->times.count >= (uint32_t)config->segment_index_bytes / TIME_ENTRY)
        return true;
    int64_t age = seg->first_timestamp >= 0 && batch->max_timestamp >= 0
        ? batch->max_timestamp - seg->first_timestamp : now_ms - seg->created_ms;
    /* What must be compacted by a certain age must not stay active so long. */
    int64_t limit = config->policy_compact
        ? OX_MIN(config->segment_ms, config->max_compaction_lag_ms) : config->segment_ms;
    return age > limit - plog->jitter_ms;
}

/* The active segment is empty but cannot hold the offset: replace it. As long as
 * its file is there the old one stays, or the next recovery would find both. */
static ox_code
replace_empty(struct plog *plog, int64_t base, int64_t now_ms, struct ox_err *err)
{
    struct log_segment *old = plog_active(plog), *seg;
    ox_code rc = log_segment_open(plog->fs, plog->path, base, true, &seg, err);
    if (rc != OX_OK)
        return rc;
    rc = plog_prepare_segment(plog, seg, err);
    if (rc == OX_OK)
        rc = fs_unlink(plog->fs, "segment.unlink", old->path, err);
    if (rc != OX_OK) {
        log_segment_unlink(seg, NULL);
        log_segment_put(seg);
        return rc;
    }
    log_segment_unlink(old, NULL); /* its indexes: without a .log nobody reads them */
    seg->created_ms = now_ms;
    plog->segments[plog->segment_count - 1] = seg;
    log_segment_put(old);
    return OX_OK;
}

static ox_code
roll_for(struct group *group, const struct record_batch *batch, int64_t now_ms,
    struct ox_err *err)
{
    if (!must_roll(group, batch, now_ms))
        return OX_OK;
    flush_group(group);
    struct plog *plog = group->plog;
    if (plog->fault != OX_OK)
        return ox_fail(err, plog->fault, "%s", plog->fault_err->message);
    ox_code rc = plog_active(plog)->size == 0
        ? replace_empty(plog, batch->base_offset, now_ms, err)
        : plog_roll_locked(plog, now_ms, err);
    if (rc == OX_DISK_FULL)
        log_dir_found_full(plog->dir);
    return rc;
}

/* Whether the piece needs the state that the group's pieces will leave. */
static bool
depends_on_group(const struct group *group, const struct record_batch *batch)
{
    if (group->count == GROUP_MAX)
        return true;
    if (batch->producer_id < 0)
        return false;
    for (uint32_t i = 0; i < group->count; i++)
        if (group->pieces[i].batch.producer_id == batch->producer_id)
            return true;
    return false;
}

/* Adds a piece whose offsets are settled. */
static ox_code
add_piece(struct group *group, size_t i, const struct record_batch *batch, struct slice bytes,
    struct ox_err *err)
{
    ox_code rc = roll_for(group, batch, group->appends[i]->now_ms, err);
    if (rc != OX_OK)
        return rc;
    uint32_t slot = group->count++;
    group->pieces[slot] = (struct piece){*batch, bytes, i};
    group->iov[slot] = (struct iovec){ox_slice_ptr(&bytes), bytes.len};
    group->bytes += bytes.len;
    group->next = record_batch_next_offset(batch);
    return OX_OK;
}

static ox_code
add_new(struct group *group, size_t i, struct ox_err *err)
{
    struct plog *plog = group->plog;
    struct log_append *append = group->appends[i];
    struct record_batch *batch = &append->batch;
    const struct producer_batch *duplicate;
    if (depends_on_group(group, batch))
        flush_group(group);
    ox_code rc = producers_check(&plog->producers, append, &duplicate, err);
    if (rc != OX_OK)
        return rc;
    if (duplicate != NULL) {
        append->duplicate = true;
        append->last_offset = duplicate->last_offset;
        append->base_offset = duplicate->last_offset - duplicate->offset_delta;
        append->append_time_ms = plog->config.log_append_time ? duplicate->timestamp : -1;
        return OX_OK;
    }
    batch->base_offset = group->next;
    batch->leader_epoch = append->leader_epoch;
    record_batch_stamp(ox_slice_ptr(&append->bytes), batch->base_offset, batch->leader_epoch);
    return add_piece(group, i, batch, append->bytes, err);
}

static ox_code
add_replicated(struct group *group, size_t i, struct ox_err *err)
{
    struct slice rest = group->appends[i]->bytes;
    while (rest.len > 0) {
        struct record_batch batch;
        ox_code rc = record_batch_decode(ox_slice_ptr(&rest), rest.len, &batch, err);
        if (rc != OX_OK)
            return rc;
        if (depends_on_group(group, &batch))
            flush_group(group);
        if (group->codes[i] != OX_OK)
            return group->codes[i];
        if (batch.base_offset < group->next)
            return ox_fail(err, OX_OFFSET_OUT_OF_RANGE,
                "replicated batch at offset %lld is below the log end %lld",
                (long long)batch.base_offset, (long long)group->next);
        rc = add_piece(group, i, &batch, (struct slice){rest.buf, rest.pos, batch.bytes}, err);
        if (rc != OX_OK)
            return rc;
        rest.pos += batch.bytes;
        rest.len -= batch.bytes;
    }
    return OX_OK;
}

static ox_code
add_one(struct group *group, size_t i, struct ox_err *err)
{
    struct plog *plog = group->plog;
    struct log_append *append = group->appends[i];
    append->log_start = plog_log_start(plog);
    if (plog->fault != OX_OK)
        return ox_fail(err, plog->fault, "%s", plog->fault_err->message);
    if (plog->closed)
        return ox_fail(err, OX_NOT_LEADER, "partition log \"%s-%d\" is closed", plog->topic,
            plog->partition);
    bool control =
        append->origin != LOG_FROM_LEADER && record_batch_is_control(&append->batch);
    if (!control || atomic_load(&plog->dir->offline)) {
        ox_code rc = log_dir_writable(plog->dir, append->bytes.len, err);
        if (rc != OX_OK)
            return rc;
    }
    if (append->origin == LOG_FROM_LEADER)
        return add_replicated(group, i, err);
    return add_new(group, i, err);
}

void
plog_append_many(struct plog *plog, struct log_append **appends, size_t count, ox_code *codes,
    struct ox_err *errs)
{
    struct group group;
    group.plog = plog;
    group.appends = appends;
    group.codes = codes;
    group.errs = errs;
    group.count = 0;
    group.bytes = 0;
    for (size_t i = 0; i < count; i++)
        codes[i] = appends[i]->validated
            ? OX_OK : plog_validate(plog, appends[i], err_of(&group, i));
    ox_lock(&plog->lock);
    group.next = plog_log_end(plog);
    for (size_t i = 0; i < count; i++)
        if (codes[i] == OX_OK) {
            ox_code rc = add_one(&group, i, err_of(&group, i));
            if (rc != OX_OK)
                codes[i] = rc;
        }
    flush_group(&group);
    ox_unlock(&plog->lock);
    for (size_t i = 0; i < count; i++) {
        if (codes[i] != OX_OK)
            appends[i]->base_offset = appends[i]->last_offset = appends[i]->append_time_ms = -1;
        log_append_drop(appends[i]);
    }
}

ox_code
plog_append(struct plog *plog, struct log_append *append, struct ox_err *err)
{
    ox_code code;
    plog_append_many(plog, &append, 1, &code, err);
    return code;
}

void
plog_flush_soon(struct plog *plog)
{
    struct log_dir *dir = plog->dir;
    ox_lock(&dir->wal.lock);
    bool wake = dir->wal.queue_count > 0 && !dir->wal.soon;
    dir->wal.soon |= wake;
    ox_unlock(&dir->wal.lock);
    if (wake)
        log_dir_wake_flusher(dir);
}
