/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a partition durable behind the appenders' backs: segments, then the
 * derived files, then the recovery point that vouches for both.
 *
 * 1. The recovery point moves only after everything below it is on disk:
 *    batches, index entries, epochs. Producers are replayed from a snapshot. */
#include "log/log_int.h"

#include <stdio.h>

#include "base/check.h"

enum { SNAPSHOT_EVERY = 64 << 20 }; /* bytes of log to replay at most, about */

/* A segment with bytes or names that are not on disk yet. */
struct dirty {
    struct log_segment *seg;
    uint64_t size;
};

struct dirty_list {
    struct dirty *items;
    uint32_t count;
    int64_t end;
    bool names; /* the directory must be flushed too */
};

static void
collect_dirty(struct plog *plog, struct dirty_list *list)
{
    *list = (struct dirty_list){0};
    ox_lock(&plog->lock);
    list->end = plog_log_end(plog);
    list->items = ox_calloc(plog->segment_count, sizeof(*list->items));
    for (uint32_t i = 0; i < plog->segment_count; i++) {
        struct log_segment *seg = plog->segments[i];
        if (seg->flushed == seg->size && (seg->name_flushed || seg->size == 0))
            continue; /* an empty one's name is flushed with its first batch */
        list->names |= !seg->name_flushed;
        list->items[list->count++] = (struct dirty){log_segment_get(seg), seg->size};
    }
    ox_unlock(&plog->lock);
}

static void
release_dirty(struct plog *plog, struct dirty_list *list, bool done)
{
    ox_lock(&plog->lock);
    for (uint32_t i = 0; i < list->count && done; i++) {
        struct log_segment *seg = list->items[i].seg;
        seg->name_flushed = true;
        seg->flushed = OX_MIN(OX_MAX(seg->flushed, list->items[i].size), seg->size);
    }
    if (done)
        plog->unflushed_since_ms = 0;
    ox_unlock(&plog->lock);
    for (uint32_t i = 0; i < list->count; i++)
        log_segment_put(list->items[i].seg);
    ox_free(list->items);
}

ox_code
plog_sync_segments(struct plog *plog, int64_t *end, struct ox_err *err)
{
    struct dirty_list list;
    ox_code rc = OX_OK;
    /* After a failed flush a later one that succeeds proves nothing. */
    if (atomic_load(&plog->dir->offline))
        return ox_fail(err, OX_STORAGE_ERROR, "%s", plog->dir->offline_err.message);
    collect_dirty(plog, &list);
    for (uint32_t i = 0; i < list.count && rc == OX_OK; i++)
        rc = fs_sync(plog->fs, "log.sync", list.items[i].seg->file, err);
    if (rc == OX_OK && list.names)
        rc = fs_sync_dir(plog->fs, "log.sync_dir", plog->path, err);
    release_dirty(plog, &list, rc == OX_OK);
    *end = list.end;
    /* What the kernel could not write is lost to it: nothing on this directory
     * may be acknowledged from now on. */
    return rc == OX_OK ? OX_OK : log_dir_fail(plog->dir, rc, err);
}

/* ---- derived files ---- */

/* The index of aborted transactions cannot be missed: when it is absent, that
 * says that there are none. */
static ox_code
sync_aborted(struct plog *plog, const struct log_segment *seg, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    struct file *file;
    log_segment_path(path, plog->path, seg->base_offset, ".txnindex");
    ox_code rc = fs_open(plog->fs, "txnindex.open", path, FILE_READ | FILE_WRITE, &file, err);
    if (rc != OX_OK)
        return rc;
    rc = fs_sync(plog->fs, "txnindex.sync", file, err);
    fs_close(plog->fs, file);
    return rc == OX_OK ? fs_sync_dir(plog->fs, "txnindex.sync", plog->path, err) : rc;
}

/* After a failure nothing is known of what the files hold. */
static void
write_again(struct plog *plog, struct log_segment *seg)
{
    ox_lock(&plog->lock);
    if (seg->index.entries != NULL)
        seg->index.written = 0;
    if (seg->times.entries != NULL)
        seg->times.written = 0;
    if (seg->aborted_loaded)
        seg->aborted_written = UINT32_MAX;
    ox_unlock(&plog->lock);
}

static ox_code
write_indexes(struct plog *plog, struct log_segment *seg, bool active, struct ox_err *err)
{
    /* Entries are copied to the file under the lock, since appends go on;
     * flushing needs none. */
    ox_lock(&plog->lock);
    bool aborted = seg->aborted_loaded && seg->aborted_written != seg->aborted_count;
    ox_code rc = log_index_write(&seg->index, false, err);
    if (rc == OX_OK)
        rc = log_index_write(&seg->times, false, err);
    if (rc == OX_OK)
        rc = log_segment_write_aborted(seg, false, err);
    struct file *index = seg->index.file, *times = seg->times.file;
    ox_unlock(&plog->lock);
    if (rc == OX_OK && index != NULL)
        rc = fs_sync(plog->fs, "index.sync", index, err);
    if (rc == OX_OK && times != NULL)
        rc = fs_sync(plog->fs, "index.sync", times, err);
    if (rc == OX_OK && aborted)
        rc = sync_aborted(plog, seg, err);
    if (rc != OX_OK)
        write_again(plog, seg);
    ox_lock(&plog->lock);
    log_index_release(&seg->index);
    log_index_release(&seg->times);
    if (rc == OX_OK && !active) {
        if (seg->index.entries != NULL)
            log_index_seal(&seg->index);
        if (seg->times.entries != NULL)
            log_index_seal(&seg->times);
        seg->index_stale = false;
    }
    ox_unlock(&plog->lock);
    return rc;
}

static ox_code
write_all_indexes(struct plog *plog, struct ox_err *err)
{
    ox_code rc = OX_OK;
    for (uint32_t i = 0; rc == OX_OK; i++) {
        ox_lock(&plog->lock);
        if (i >= plog->segment_count) {
            ox_unlock(&plog->lock);
            break;
        }
        struct log_segment *seg = log_segment_get(plog->segments[i]);
        bool active = i + 1 == plog->segment_count, stale = active || seg->index_stale;
        bool aborted = seg->aborted_loaded && seg->aborted_written != seg->aborted_count;
        ox_unlock(&plog->lock);
        if (stale || aborted)
            rc = write_indexes(plog, seg, active, err);
        log_segment_put(seg);
    }
    return rc;
}

ox_code
plog_write_epochs(struct plog *plog, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    struct text text;
    ox_text_init(&text, NULL);
    ox_lock(&plog->lock);
    const struct leader_epochs *epochs = &plog->epochs;
    bool dirty = epochs->dirty || (epochs->begun && epochs->count > 0 &&
        epochs->entries[epochs->count - 1].start < plog_log_end(plog));
    if (dirty) {
        leader_epochs_encode(&plog->epochs, &text);
        plog->epochs.dirty = plog->epochs.begun = false;
    }
    ox_unlock(&plog->lock);
    ox_code rc = OX_OK;
    snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", plog->path);
    if (dirty)
        rc = file_replace(plog->fs, "epochs.write", path, text.ptr, text.len, err);
    if (rc != OX_OK) {
        ox_lock(&plog->lock);
        plog->epochs.dirty = true;
        ox_unlock(&plog->lock);
    }
    ox_text_fini(&text);
    return rc;
}

/* A snapshot of the producers at the log end, when replaying from the last one
 * would take long, or at close. */
static ox_code
snapshot(struct plog *plog, bool closing, struct ox_err *err)
{
    struct text bytes;
    ox_text_init(&bytes, NULL);
    ox_lock(&plog->lock);
    int64_t end = plog_log_end(plog);
    struct log_segment *active = plog_active(plog);
    bool wanted = closing ? plog->producers.snapshot_offset != end
                          : plog->producers.changed && active->size > SNAPSHOT_EVERY;
    if (wanted) {
        producers_encode(&plog->producers, &bytes);
        plog->producers.snapshot_offset = end;
        plog->producers.changed = false;
    }
    ox_unlock(&plog->lock);
    ox_code rc = OX_OK;
    if (wanted) {
        rc = plog_write_snapshot(plog, end, &bytes, true, err);
        if (rc == OX_OK)
            plog_prune_snapshots(plog, plog_log_start(plog));
    }
    ox_text_fini(&bytes);
    return rc;
}

ox_code
plog_save_producers(struct plog *plog, struct ox_err *err)
{
    struct text bytes;
    int64_t flushed;
    ox_text_init(&bytes, NULL);
    ox_lock(&plog->lock);
    int64_t end = plog_log_end(plog);
    bool any = plog->producers.by_id.count > 0;
    if (any) {
        producers_encode(&plog->producers, &bytes);
        plog->producers.snapshot_offset = end;
        plog->producers.changed = false;
    }
    ox_unlock(&plog->lock);
    /* A snapshot above what is left after a crash would be thrown away. */
    ox_code rc = any ? plog_sync_segments(plog, &flushed, err) : OX_OK;
    if (rc == OX_OK && any)
        rc = plog_write_snapshot(plog, end, &bytes, true, err);
    if (rc == OX_OK && any)
        rc = fs_sync_dir(plog->fs, "snapshot.sync", plog->path, err);
    ox_text_fini(&bytes);
    return rc;
}

/* Under dir->round: closed tells whether the owner still wants to hear. */
void
plog_flushed(struct plog *plog, uint32_t generation, int64_t end)
{
    ox_lock(&plog->lock);
    bool moved = generation == plog->generation && end > plog_flushed_end(plog) && !plog->closed;
    if (moved)
        atomic_store_explicit(&plog->flushed_end, end, memory_order_release);
    ox_unlock(&plog->lock);
    if (moved && plog->on_flushed != NULL)
        plog->on_flushed(plog->arg, end);
}

/* A preallocated active segment is cut to its batches before a clean stop. */
static ox_code
trim_active(struct plog *plog, struct ox_err *err)
{
    uint64_t size;
    ox_lock(&plog->lock);
    struct log_segment *seg = log_segment_get(plog_active(plog));
    uint64_t want = seg->size;
    log_segment_end_times(seg);
    log_segment_unreserve(seg);
    ox_unlock(&plog->lock);
    ox_code rc = fs_size(plog->fs, seg->file, &size, err);
    if (rc == OX_OK && size > want) {
        rc = fs_truncate(plog->fs, "segment.trim", seg->file, want, err);
        if (rc == OX_OK)
            rc = fs_sync(plog->fs, "segment.trim", seg->file, err);
    }
    log_segment_put(seg);
    return rc;
}

/* Whether a clean stop would write what is there. */
static bool
is_tidy(struct plog *plog, int64_t end)
{
    ox_lock(&plog->lock);
    bool tidy = plog->tidy_end == end && plog->generation == 0 && !plog->epochs.dirty &&
                !plog_active(plog)->preallocated;
    for (uint32_t i = 0; i < plog->segment_count && tidy; i++) {
        const struct log_segment *seg = plog->segments[i];
        tidy = seg->size == 0 ||
               (!seg->index_stale &&
                   !(seg->aborted_loaded && seg->aborted_written != seg->aborted_count));
    }
    ox_unlock(&plog->lock);
    return tidy;
}

ox_code
plog_checkpoint(struct plog *plog, bool closing, struct ox_err *err)
{
    ox_lock(&plog->lock);
    bool idle = plog->fault != OX_OK || plog->closed;
    uint32_t generation = plog->generation;
    ox_unlock(&plog->lock);
    if (idle || atomic_load(&plog->dir->offline))
        return OX_OK;
    int64_t end;
    ox_code rc = plog_sync_segments(plog, &end, err);
    if (rc != OX_OK)
        return rc;
    pthread_mutex_lock(&plog->dir->round);
    plog_flushed(plog, generation, end);
    pthread_mutex_unlock(&plog->dir->round);
    if (end == plog->recovery_point && (!closing || is_tidy(plog, end)))
        return plog_write_epochs(plog, err);
    if (closing)
        rc = trim_active(plog, err);
    if (rc == OX_OK)
        rc = write_all_indexes(plog, err);
    if (rc == OX_OK)
        rc = plog_write_epochs(plog, err);
    if (rc == OX_OK)
        rc = snapshot(plog, closing, err);
    if (rc == OX_OK && closing)
        rc = fs_sync_dir(plog->fs, "log.sync_dir", plog->path, err);
    if (rc != OX_OK)
        return rc;
    ox_lock(&plog->dir->lock);
    plog->recovery_point = end;
    ox_unlock(&plog->dir->lock);
    return OX_OK;
}

ox_code
plog_flush(struct plog *plog, struct ox_err *err)
{
    int64_t end;
    pthread_mutex_lock(&plog->work);
    ox_lock(&plog->lock);
    uint32_t generation = plog->generation;
    ox_code rc = plog->fault;
    if (rc != OX_OK && err != NULL)
        *err = *plog->fault_err;
    ox_unlock(&plog->lock);
    if (rc == OX_OK)
        rc = plog_sync_segments(plog, &end, err);
    if (rc == OX_OK) {
        atomic_fetch_add(&plog->dir->direct_flushes, 1);
        pthread_mutex_lock(&plog->dir->round);
        plog_flushed(plog, generation, end);
        pthread_mutex_unlock(&plog->dir->round);
    }
    pthread_mutex_unlock(&plog->work);
    return rc;
}
