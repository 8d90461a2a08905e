/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a log shorter: retention and DeleteRecords at its start, truncation at
 * its end.
 *
 * 1. The log start moves before the bytes below it go.
 * 2. A segment goes only when everything in it is below the high watermark.
 * 3. Truncation first makes the rest durable, lowers the checkpoints and voids
 *    the queued and logged batches (generation, WAL_VOID), so that a replay
 *    cannot bring them back. */
#include "log/log_int.h"

#include "base/check.h"
#include "base/diag.h"

/* ---- at the start ---- */

/* Whether the oldest segment is to go. next: first offset after it. */
static bool
expired(struct plog *plog, const struct log_segment *seg, int64_t next, int64_t now_ms)
{
    const struct plog_config *config = &plog->config;
    if (next > plog_high_watermark(plog))
        return false;
    if (next <= plog_log_start(plog))
        return true;
    if (!config->policy_delete)
        return false;
    if (config->retention_ms >= 0) {
        int64_t latest = seg->max_timestamp;
        if (latest < 0) {
            struct file_stat st;
            latest = fs_stat(seg->fs, seg->path, &st, NULL) == OX_OK ? st.mtime_ms : now_ms;
        }
        if (now_ms - latest > config->retention_ms)
            return true;
    }
    return config->retention_bytes >= 0 &&
           plog_bytes(plog) >= (uint64_t)config->retention_bytes + seg->size;
}

/* Takes the oldest segment out of the list, if it is to go. Under lock. */
static ox_code
take_oldest(struct plog *plog, int64_t now_ms, struct log_segment **out, struct ox_err *err)
{
    *out = NULL;
    struct log_segment *seg = plog->segments[0];
    bool active = plog->segment_count == 1;
    int64_t next = active ? seg->next_offset : plog->segments[1]->base_offset;
    /* One that Kafka's cleaner left empty must not keep those behind it. */
    if ((active && seg->size == 0) || !expired(plog, seg, next, now_ms))
        return OX_OK;
    if (active) {
        ox_code rc = plog_roll_locked(plog, now_ms, err);
        if (rc != OX_OK)
            return rc;
    }
    memmove(plog->segments, plog->segments + 1,
        --plog->segment_count * sizeof(*plog->segments));
    if (plog_log_start(plog) < next) {
        atomic_store_explicit(&plog->log_start, next, memory_order_release);
        leader_epochs_cut_start(&plog->epochs, next);
    }
    atomic_fetch_sub_explicit(&plog->bytes, seg->size, memory_order_relaxed);
    *out = seg;
    return OX_OK;
}

/* Takes all segments that are to go out of the log; the log start is above them
 * then. Under plog->work. */
static ox_code
take_expired(struct plog *plog, int64_t now_ms, struct log_segment ***out, uint32_t *count,
    struct ox_err *err)
{
    ox_code rc = OX_OK;
    *count = 0;
    ox_lock(&plog->lock);
    *out = ox_calloc(plog->segment_count + 1, sizeof(**out));
    bool usable = plog->fault == OX_OK && !plog->closed && !atomic_load(&plog->dir->offline);
    for (uint32_t left = plog->segment_count; usable && left > 0 && rc == OX_OK; left--) {
        struct log_segment *seg;
        rc = take_oldest(plog, now_ms, &seg, err);
        if (seg == NULL)
            break;
        (*out)[(*count)++] = seg;
    }
    ox_unlock(&plog->lock);
    return rc;
}

/* The pointers first: log start and producers are durable before bytes go. */
static ox_code
remove_taken(struct plog *plog, struct log_segment **segs, uint32_t count, int64_t due_ms,
    struct ox_err *err)
{
    ox_code rc = log_dir_write_checkpoints(plog->dir, err);
    if (rc == OX_OK)
        rc = plog_save_producers(plog, err);
    for (uint32_t i = 0; i < count && rc == OX_OK; i++)
        rc = log_segment_condemn(segs[i], plog->dir, due_ms, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(plog->fs, "segment.delete", plog->path, err);
    if (rc == OX_OK)
        plog_prune_snapshots(plog, plog_log_start(plog));
    return rc;
}

ox_code
plog_retain(struct plog *plog, int64_t now_ms, uint64_t *freed, struct ox_err *err)
{
    struct plog_config config;
    struct log_segment **segs;
    uint32_t count;
    *freed = 0;
    plog_get_config(plog, &config);
    struct log_dir *dir = plog_lock_checkpoint(plog);
    pthread_mutex_lock(&plog->work);
    ox_code rc = take_expired(plog, now_ms, &segs, &count, err);
    if (count > 0) {
        ox_code removed =
            remove_taken(plog, segs, count, log_due_ms(now_ms, config.file_delete_delay_ms), err);
        rc = rc == OX_OK ? removed : rc;
    }
    for (uint32_t i = 0; i < count; i++) {
        *freed += segs[i]->size;
        log_segment_put(segs[i]);
    }
    pthread_mutex_unlock(&plog->work);
    pthread_mutex_unlock(&dir->checkpoint);
    ox_free(segs);
    return rc;
}

/* The next checkpoint file has the log start as it is now. Under lock, so that it
 * is not said of a later partition of that name. */
static void
note_log_start(struct plog *plog)
{
    ox_lock(&plog->dir->lock);
    if (!plog->closed)
        log_dir_hint(plog->dir, plog->topic, plog->partition)->log_start = plog_log_start(plog);
    ox_unlock(&plog->dir->lock);
}

ox_code
plog_delete_records(struct plog *plog, int64_t offset, int64_t *log_start, struct ox_err *err)
{
    ox_code rc = OX_OK;
    bool moved = false;
    ox_lock(&plog->lock);
    int64_t hw = plog_high_watermark(plog);
    if (offset == -1)
        offset = hw;
    if (offset < 0 || offset > hw)
        rc = ox_fail(err, OX_OFFSET_OUT_OF_RANGE,
            "records below offset %lld cannot be deleted: the high watermark is %lld",
            (long long)offset, (long long)hw);
    else if (offset > plog_log_start(plog)) {
        atomic_store_explicit(&plog->log_start, offset, memory_order_release);
        leader_epochs_cut_start(&plog->epochs, offset);
        note_log_start(plog);
        moved = true;
    }
    *log_start = plog_log_start(plog);
    ox_unlock(&plog->lock);
    return moved ? log_dir_write_log_starts(plog->dir, err) : rc;
}

/* ---- at the end ---- */

/* The batch boundary at or below offset in the segment. */
static ox_code
boundary(struct log_segment *seg, int64_t offset, uint64_t *pos, int64_t *next,
    struct ox_err *err)
{
    struct header_walk walk;
    bool more;
    ox_code rc = log_segment_lookup(seg, offset, pos, err);
    if (rc != OX_OK)
        return rc;
    header_walk_init(&walk, seg, *pos, seg->size);
    *next = seg->base_offset;
    while ((rc = header_walk_next(&walk, &more, err)) == OX_OK && more) {
        *pos = walk.batch_pos;
        *next = walk.batch.base_offset;
        if (record_batch_last_offset(&walk.batch) >= offset)
            return OX_OK;
        *pos = walk.pos;
        *next = record_batch_next_offset(&walk.batch);
    }
    return rc;
}

/* Brings a sealed segment's indexes back into memory, to be the active one. */
static ox_code
unseal(struct plog *plog, struct log_segment *seg, struct ox_err *err)
{
    ox_code rc = log_index_load(&seg->index, err);
    if (rc == OX_OK)
        rc = log_index_load(&seg->times, err);
    if (rc == OX_OK)
        rc = plog_load_aborted(plog, seg, err);
    seg->sealed = seg->index_stale = false;
    return rc;
}

static void
cut_indexes(struct log_segment *seg, int64_t next)
{
    struct log_index *index = &seg->index, *times = &seg->times;
    while (index->count > 0 &&
           seg->base_offset +
                   wire_load32(index->entries + (size_t)(index->count - 1) * INDEX_ENTRY) >=
               next)
        log_index_cut(index, index->count - 1);
    while (times->count > 0 &&
           seg->base_offset +
                   wire_load32(times->entries + (size_t)(times->count - 1) * TIME_ENTRY + 8) >=
               next)
        log_index_cut(times, times->count - 1);
    log_segment_cut_aborted(seg, next);
}

/* Largest timestamps of what is left of the segment. */
static ox_code
retime(struct log_segment *seg, struct ox_err *err)
{
    struct header_walk walk;
    bool more;
    ox_code rc;
    seg->first_timestamp = seg->max_timestamp = seg->max_timestamp_offset = -1;
    header_walk_init(&walk, seg, 0, seg->size);
    while ((rc = header_walk_next(&walk, &more, err)) == OX_OK && more) {
        if (walk.batch_pos == 0)
            seg->first_timestamp = walk.batch.max_timestamp;
        if (walk.batch.max_timestamp > seg->max_timestamp) {
            seg->max_timestamp = walk.batch.max_timestamp;
            seg->max_timestamp_offset = record_batch_last_offset(&walk.batch);
        }
    }
    return rc;
}

/* Cuts the active segment so that its next offset is <= offset. */
static ox_code
cut_active(struct plog *plog, int64_t offset, struct ox_err *err)
{
    struct log_segment *seg = plog_active(plog);
    uint64_t pos;
    int64_t next;
    ox_code rc = unseal(plog, seg, err);
    if (rc == OX_OK)
        rc = boundary(seg, offset, &pos, &next, err);
    if (rc == OX_OK)
        rc = fs_truncate(plog->fs, "log.truncate", seg->file, pos, err);
    if (rc == OX_OK)
        rc = fs_sync(plog->fs, "log.truncate", seg->file, err);
    if (rc != OX_OK)
        return rc;
    atomic_fetch_sub(&plog->bytes, seg->size - pos);
    seg->size = seg->flushed = pos;
    seg->reserved = 0;
    seg->next_offset = next;
    seg->unindexed = 0;
    cut_indexes(seg, next);
    return retime(seg, err);
}

/* Removes the segments that begin at or above offset, the last first; one is
 * always left. */
static ox_code
drop_segments(struct plog *plog, int64_t offset, struct ox_err *err)
{
    ox_code rc = OX_OK;
    while (rc == OX_OK && plog->segment_count > 1 && plog_active(plog)->base_offset >= offset) {
        struct log_segment *seg = plog_active(plog);
        rc = log_segment_unlink(seg, err);
        if (rc != OX_OK)
            break;
        plog->segment_count--;
        atomic_fetch_sub(&plog->bytes, seg->size);
        log_segment_put(seg);
    }
    return rc;
}

/* Values that must not point above the new end. Under lock. */
static ox_code
after_truncation(struct plog *plog, struct ox_err *err)
{
    int64_t end = plog_active(plog)->next_offset;
    atomic_store_explicit(&plog->log_end, end, memory_order_release);
    atomic_store(&plog->flushed_end, end);
    if (plog_high_watermark(plog) > end)
        atomic_store(&plog->high_watermark, end);
    if (plog_log_start(plog) > end)
        atomic_store(&plog->log_start, end);
    leader_epochs_cut_end(&plog->epochs, end);
    for (int i = 0; i < READ_HINTS; i++)
        plog->hints[i].offset = -1;
    return plog_rebuild_producers(plog, err);
}

static ox_code
truncate_locked(struct plog *plog, int64_t offset, struct ox_err *err)
{
    uint32_t before = plog->segment_count;
    ox_code rc = drop_segments(plog, offset, err);
    if (rc == OX_OK && plog->segment_count < before) /* before what they follow on goes */
        rc = fs_sync_dir(plog->fs, "log.truncate", plog->path, err);
    if (rc == OX_OK)
        rc = cut_active(plog, offset, err);
    if (rc == OX_OK)
        rc = after_truncation(plog, err);
    return rc;
}

/* To the start of the batch that holds the offset: where the log will end. */
static ox_code
round_down(struct plog *plog, int64_t *offset, struct ox_err *err)
{
    uint64_t pos;
    int64_t next = *offset;
    ox_lock(&plog->lock);
    int i = OX_MAX(plog_segment_at(plog, *offset), 0);
    ox_code rc = boundary(plog->segments[i], *offset, &pos, &next, err);
    ox_unlock(&plog->lock);
    *offset = OX_MIN(*offset, next);
    return rc;
}

/* Everything that is on disk or queued is settled before a cut: afterwards
 * nobody but us knows of the bytes above it. Under work. */
static ox_code
settle_before_cut(struct plog *plog, struct ox_err *err)
{
    int64_t end;
    ox_lock(&plog->lock);
    ox_code rc = plog->fault;
    if (rc != OX_OK && err != NULL)
        *err = *plog->fault_err;
    ox_unlock(&plog->lock);
    if (rc == OX_OK)
        rc = plog_sync_segments(plog, &end, err);
    return rc;
}

/* A cut that failed half way leaves memory and disk apart. */
static ox_code
cut_failed(struct plog *plog, ox_code rc, struct ox_err *err)
{
    struct ox_err fault;
    ox_fail(&fault, OX_STORAGE_ERROR, "partition log \"%s-%d\" could not be truncated: %s",
        plog->topic, plog->partition, err != NULL ? err->message : "");
    plog_set_fault(plog, OX_STORAGE_ERROR, &fault);
    return rc;
}

/* What the checkpoint files say must never lie above the end that a cut leaves,
 * or a recovery would take the difference for a loss. Under dir->checkpoint. */
static ox_code
lower_checkpoints(struct plog *plog, int64_t offset, struct ox_err *err)
{
    struct log_dir *dir = plog->dir;
    ox_lock(&dir->lock);
    plog->recovery_point = OX_MIN(plog->recovery_point, offset);
    ox_unlock(&dir->lock);
    if (plog_log_start(plog) > offset)
        atomic_store(&plog->log_start, offset);
    if (atomic_load(&plog->cleaned) > offset) {
        atomic_store(&plog->cleaned, offset);
        ox_code rc = log_dir_write_cleaned(dir, err);
        if (rc != OX_OK)
            return rc;
    }
    return log_dir_write_checkpoints(dir, err);
}

/* Cuts with the flusher shut out; queued and logged batches become void. */
static ox_code
cut(struct plog *plog, int64_t offset,
    ox_code (*how)(struct plog *plog, int64_t offset, struct ox_err *err), struct ox_err *err)
{
    ox_code rc = lower_checkpoints(plog, offset, err);
    if (rc != OX_OK)
        return rc;
    pthread_mutex_lock(&plog->dir->round);
    ox_lock(&plog->lock);
    plog->generation++;
    ox_unlock(&plog->lock);
    rc = log_wal_void(plog->dir, plog, err);
    if (rc == OX_OK) {
        ox_lock(&plog->lock);
        rc = how(plog, offset, err);
        if (rc != OX_OK)
            cut_failed(plog, rc, err);
        ox_unlock(&plog->lock);
    }
    pthread_mutex_unlock(&plog->dir->round);
    if (rc != OX_OK)
        return rc;
    rc = fs_sync_dir(plog->fs, "log.truncate", plog->path, err);
    if (rc == OX_OK)
        rc = plog_write_epochs(plog, err);
    if (rc != OX_OK) { /* names of what was cut may come back: no more appends */
        ox_lock(&plog->lock);
        cut_failed(plog, rc, err);
        ox_unlock(&plog->lock);
    }
    return rc;
}

ox_code
plog_truncate(struct plog *plog, int64_t offset, struct ox_err *err)
{
    struct ox_err local;
    err = err != NULL ? err : &local;
    if (offset >= plog_log_end(plog))
        return OX_OK;
    struct log_dir *dir = plog_lock_checkpoint(plog);
    pthread_mutex_lock(&plog->work);
    ox_code rc = settle_before_cut(plog, err);
    if (rc == OX_OK)
        rc = round_down(plog, &offset, err);
    if (rc == OX_OK)
        rc = cut(plog, offset, truncate_locked, err);
    pthread_mutex_unlock(&plog->work);
    pthread_mutex_unlock(&dir->checkpoint);
    return rc;
}

static ox_code
restart_locked(struct plog *plog, int64_t offset, struct ox_err *err)
{
    struct log_segment *seg;
    ox_lock(&plog->dir->lock);
    plog->recovery_point = offset;
    ox_unlock(&plog->dir->lock);
    ox_code rc = drop_segments(plog, INT64_MIN, err);
    struct log_segment *old = plog_active(plog);
    if (rc == OX_OK)
        rc = log_segment_unlink(old, err);
    if (rc == OX_OK)
        rc = plog_make_segment(plog, offset, &seg, err);
    if (rc != OX_OK)
        return rc;
    plog->segment_count = 0;
    log_segment_put(old);
    plog_push_segment(plog, seg);
    atomic_store(&plog->bytes, 0);
    atomic_store(&plog->log_start, offset);
    atomic_store(&plog->high_watermark, offset);
    plog->epochs.count = 0;
    plog->epochs.dirty = true;
    return after_truncation(plog, err);
}

/* Removes everything and starts again, empty, at offset. Blocks. */
static ox_code
restart_at(struct plog *plog, int64_t offset, struct ox_err *err)
{
    struct ox_err local;
    err = err != NULL ? err : &local;
    struct log_dir *dir = plog_lock_checkpoint(plog);
    pthread_mutex_lock(&plog->work);
    ox_code rc = settle_before_cut(plog, err);
    if (rc == OX_OK)
        rc = cut(plog, offset, restart_locked, err);
    pthread_mutex_unlock(&plog->work);
    pthread_mutex_unlock(&dir->checkpoint);
    return rc;
}

ox_code
plog_advance_log_start(struct plog *plog, int64_t offset, struct ox_err *err)
{
    if (offset > plog_log_end(plog))
        return restart_at(plog, offset, err);
    ox_lock(&plog->lock);
    if (offset > plog_log_start(plog)) {
        atomic_store_explicit(&plog->log_start, offset, memory_order_release);
        leader_epochs_cut_start(&plog->epochs, offset);
        if (plog_high_watermark(plog) < offset)
            atomic_store(&plog->high_watermark, offset);
    }
    ox_unlock(&plog->lock);
    return OX_OK;
}
