/* SPDX-License-Identifier: Apache-2.0
 *
 * One partition log: opening, closing, its facts, rolling.
 *
 *   segments[0] ... segments[count-1]     by base offset, the last is active
 *   log_start ............ log_end        what may be read
 *   flushed_end                           below: survives a power cut
 *
 * 1. There is always an active segment; its next_offset is log_end.
 * 2. log_start <= flushed_end <= log_end; first segment's base <= log_start.
 * 3. Epochs and producers reflect exactly the batches in [log_start, log_end)
 *    (producers also older ones).
 * 4. A plog with a fault writes nothing any more, derived files included. */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"

void
plog_config_init(struct plog_config *config)
{
    *config = (struct plog_config){
        .segment_bytes = 1 << 30,
        .segment_ms = 604800000,
        .index_interval_bytes = 4096,
        .segment_index_bytes = 10485760,
        .retention_ms = 604800000,
        .retention_bytes = -1,
        .policy_delete = true,
        .max_decompressed_bytes = INT32_MAX,
        .max_message_bytes = 1048588,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = 3600000,
        .compression = LOG_COMPRESSION_PRODUCER,
        .gzip_level = -1,
        .lz4_level = 9,
        .zstd_level = 3,
        .flush_ack = true,
        .flush_messages = INT64_MAX,
        .flush_ms = INT64_MAX,
        .file_delete_delay_ms = 60000,
        .delete_retention_ms = 86400000,
        .max_compaction_lag_ms = INT64_MAX,
        .min_cleanable_dirty_ratio = 0.5,
        .producer_id_expiration_ms = 86400000,
        .inflated_max = LIMIT_INFLATED_BATCH_VALUE,
    };
}

struct log_dir *
plog_lock_checkpoint(struct plog *plog)
{
    for (;;) {
        struct log_dir *dir = plog->dir;
        pthread_mutex_lock(&dir->checkpoint);
        if (dir == plog->dir)
            return dir;
        pthread_mutex_unlock(&dir->checkpoint); /* it was moved meanwhile */
    }
}

struct log_dir *
plog_log_dir(const struct plog *plog)
{
    return plog->dir;
}

struct plog *
plog_get(struct plog *plog)
{
    atomic_fetch_add_explicit(&plog->refs, 1, memory_order_relaxed);
    return plog;
}

void
plog_put(struct plog *plog)
{
    uint32_t before = atomic_fetch_sub_explicit(&plog->refs, 1, memory_order_acq_rel);
    ox_assert(before > 0);
    if (before > 1)
        return;
    for (uint32_t i = 0; i < plog->segment_count; i++)
        log_segment_put(plog->segments[i]);
    ox_free(plog->segments);
    producers_fini(&plog->producers);
    leader_epochs_fini(&plog->epochs);
    ox_lock_fini(&plog->lock);
    pthread_mutex_destroy(&plog->work);
    ox_free(plog->topic);
    ox_free(plog->path);
    ox_free(plog->fault_err);
    ox_free(plog);
}

struct log_segment *
plog_active(struct plog *plog)
{
    ox_assert(plog->segment_count > 0);
    return plog->segments[plog->segment_count - 1];
}

int
plog_segment_at(const struct plog *plog, int64_t offset)
{
    int low = 0, high = (int)plog->segment_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (plog->segments[middle]->base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

void
plog_push_segment(struct plog *plog, struct log_segment *seg)
{
    ox_assert(plog->segment_count == 0 || plog_active(plog)->base_offset < seg->base_offset);
    if (plog->segment_count == plog->segment_cap) {
        plog->segment_cap = OX_MAX(plog->segment_cap * 2, 4u);
        plog->segments =
            ox_realloc(plog->segments, ox_size_mul(plog->segment_cap, sizeof(*plog->segments)));
    }
    plog->segments[plog->segment_count++] = seg;
}

void
plog_first_unstable_changed(struct plog *plog)
{
    atomic_store_explicit(&plog->first_unstable, producers_first_unstable(&plog->producers),
        memory_order_release);
}

ox_code
plog_set_fault(struct plog *plog, ox_code code, const struct ox_err *err)
{
    if (plog->fault == OX_OK) {
        plog->fault = code;
        plog->fault_err = ox_malloc(sizeof(*plog->fault_err));
        *plog->fault_err = *err;
        ox_diag_err(OX_DIAG_ERROR, "partition log is faulty", err);
    }
    return code;
}

/* ---- opening ---- */

ox_code
log_write_partition_metadata(struct file_system *fs, const char *dir, const struct uuid *topic_id,
    struct ox_err *err)
{
    char path[PATH_LEN_MAX], text[128], id[23];
    ox_uuid_to_base64(topic_id, id);
    int len = snprintf(text, sizeof(text), "version: 0\ntopic_id: %s", id);
    snprintf(path, sizeof(path), "%s/partition.metadata", dir);
    return file_write_whole(fs, "plog.metadata", path, text, (size_t)len, err);
}

/* One that a crash cuts short is as one that is missing: there is nothing in the
 * directory yet that it vouches for. */
static ox_code
make_directory(struct plog *plog, struct ox_err *err)
{
    ox_code rc = fs_mkdir(plog->fs, "plog.mkdir", plog->path, err);
    if (rc != OX_OK && rc != OX_FILE_EXISTS)
        return rc;
    return log_write_partition_metadata(plog->fs, plog->path, &plog->topic_id, err);
}

/* The names of a new partition: of its files, then the entry in the log
 * directory. */
static ox_code
flush_new_names(struct plog *plog, struct ox_err *err)
{
    ox_code rc = fs_sync_dir(plog->fs, "plog.mkdir", plog->path, err);
    if (rc == OX_OK)
        plog_active(plog)->name_flushed = true;
    if (rc == OX_OK && plog->name_later)
        atomic_store(&plog->dir->names_due, true);
    else if (rc == OX_OK)
        rc = fs_sync_dir(plog->fs, "plog.mkdir", plog->dir->path, err);
    return rc;
}

ox_code
log_dir_flush_names(struct log_dir *dir, struct ox_err *err)
{
    if (!atomic_exchange(&dir->names_due, false))
        return OX_OK;
    ox_code rc = fs_sync_dir(dir->fs, "plog.mkdir", dir->path, err);
    return rc == OX_OK ? OX_OK : log_dir_fail(dir, rc, err);
}

/* A directory that is there must be this topic's; one that Kafka made before
 * topic ids, or that a crash left without its metadata, becomes it. */
static ox_code
check_directory(struct plog *plog, bool *fresh, bool *made, struct ox_err *err)
{
    struct file_stat st;
    struct uuid id;
    ox_code rc = fs_stat(plog->fs, plog->path, &st, err);
    *made = *fresh = rc == OX_FILE_NOT_FOUND;
    if (*fresh) {
        /* What an older one of that name left in the checkpoints is not true
         * of this one: a log start would delete its records. */
        rc = log_dir_forget(plog->dir, plog->topic, plog->partition, err);
        return rc == OX_OK ? make_directory(plog, err) : rc;
    }
    if (rc != OX_OK)
        return rc;
    *made = !log_read_partition_metadata(plog->fs, plog->path, &id);
    if (*made)
        return make_directory(plog, err);
    if (!ox_uuid_eq(&id, &plog->topic_id))
        return ox_fail(err, OX_INCONSISTENT_TOPIC_ID,
            "directory \"%s\" belongs to another topic of that name", plog->path);
    return OX_OK;
}

static struct plog *
new_plog(struct log_dir *dir, const struct plog_args *args)
{
    struct plog *plog = ox_calloc(1, sizeof(*plog));
    char path[PATH_LEN_MAX];
    snprintf(path, sizeof(path), "%s/%s-%d", dir->path, args->topic, args->partition);
    atomic_init(&plog->refs, 1);
    plog->dir = dir;
    plog->fs = dir->fs;
    plog->topic = ox_strdup(args->topic);
    plog->path = ox_strdup(path);
    plog->partition = args->partition;
    plog->topic_id = args->topic_id;
    plog->on_flushed = args->on_flushed;
    plog->arg = args->arg;
    plog->config = args->config;
    plog->name_later = args->name_later;
    pthread_mutex_init(&plog->work, NULL);
    ox_lock_init(&plog->lock, LOCK_PLOG);
    producers_init(&plog->producers);
    ox_list_init(&plog->link);
    for (int i = 0; i < READ_HINTS; i++)
        plog->hints[i].offset = -1;
    return plog;
}

static void
take_high_watermark(struct plog *plog, int64_t hint)
{
    int64_t start = plog_log_start(plog), end = plog_log_end(plog);
    int64_t hw = OX_MIN(OX_MAX(hint, start), end);
    atomic_store(&plog->high_watermark, hw);
    producers_high_watermark(&plog->producers, hw);
    plog_first_unstable_changed(plog);
}

ox_code
plog_open(struct log_dir *dir, const struct plog_args *args, struct plog **out,
    struct ox_err *err)
{
    ox_lock(&dir->lock);
    struct partition_hint hint = *log_dir_hint(dir, args->topic, args->partition);
    ox_unlock(&dir->lock);
    if (hint.open)
        return ox_fail(err, OX_FILE_EXISTS, "partition log \"%s-%d\" is already open",
            args->topic, args->partition);
    struct plog *plog = new_plog(dir, args);
    bool fresh, made;
    ox_code rc = check_directory(plog, &fresh, &made, err);
    if (fresh)
        hint = PARTITION_HINT_NONE;
    atomic_store(&plog->log_start, OX_MAX(hint.log_start, 0));
    atomic_store(&plog->cleaned, hint.cleaned);
    if (rc == OX_OK)
        rc = plog_recover(plog, OX_MAX(hint.recovery_point, 0),
            OX_MAX(hint.flushed_end, hint.recovery_point), dir->clean_start && !hint.dirty, err);
    if (rc == OX_OK && made)
        rc = flush_new_names(plog, err);
    if (rc != OX_OK) {
        plog_put(plog);
        return rc;
    }
    take_high_watermark(plog, hint.high_watermark);
    ox_lock(&dir->lock);
    struct partition_hint *known = log_dir_hint(dir, args->topic, args->partition);
    known->recovery_point = plog->recovery_point;
    known->log_start = plog_log_start(plog);
    known->cleaned = hint.cleaned;
    known->dirty = known->open = true;
    ox_list_push(&dir->plogs, &plog->link);
    dir->plog_count++;
    ox_unlock(&dir->lock);
    *out = plog;
    return OX_OK;
}

/* ---- closing ---- */

/* After this no callback runs and no maintenance finds the plog. Under work. */
static void
leave_dir(struct plog *plog)
{
    struct log_dir *dir = plog->dir;
    pthread_mutex_lock(&dir->round);
    ox_lock(&plog->lock);
    bool left = plog->closed, faulty = plog->fault != OX_OK;
    plog->closed = true;
    ox_unlock(&plog->lock);
    pthread_mutex_unlock(&dir->round);
    if (left)
        return;
    ox_lock(&dir->lock);
    struct partition_hint *hint = log_dir_hint(dir, plog->topic, plog->partition);
    hint->recovery_point = plog->recovery_point;
    hint->log_start = plog_log_start(plog);
    hint->high_watermark = plog_high_watermark(plog);
    hint->cleaned = atomic_load(&plog->cleaned);
    hint->flushed_end = OX_MAX(plog->recovery_point, plog_flushed_end(plog));
    dir->faulty_closed |= faulty;
    hint->open = false;
    ox_list_remove(&plog->link);
    dir->plog_count--;
    ox_unlock(&dir->lock);
}

void
plog_close(struct plog *plog)
{
    struct ox_err err;
    pthread_mutex_lock(&plog->work);
    ox_code rc = plog_checkpoint(plog, true, &err);
    if (rc != OX_OK)
        ox_diag_err(OX_DIAG_ERROR, "partition log was not flushed at close", &err);
    bool detached = plog->closed;
    leave_dir(plog);
    if (rc == OX_OK && !detached) {
        ox_lock(&plog->dir->lock);
        log_dir_hint(plog->dir, plog->topic, plog->partition)->dirty = false;
        ox_unlock(&plog->dir->lock);
    }
    pthread_mutex_unlock(&plog->work);
    plog_put(plog);
}

void
plog_drop(struct plog *plog)
{
    pthread_mutex_lock(&plog->work);
    leave_dir(plog);
    pthread_mutex_unlock(&plog->work);
    plog_put(plog);
}

/* To `<topic>-<partition>.<uuid>-<what>`, the topic cut so that 255 bytes do. */
static ox_code
rename_partition(struct log_dir *dir, const char *topic, int32_t partition,
    const char *what, char to[PATH_LEN_MAX], struct ox_err *err)
{
    char from[PATH_LEN_MAX], hex[37], tail[64];
    struct uuid id;
    env_random(dir->env, id.bytes, sizeof(id.bytes));
    size_t len = 0;
    ox_uuid_to_hex(&id, hex);
    for (size_t i = 0; hex[i] != '\0'; i++)
        if (hex[i] != '-')
            hex[len++] = hex[i];
    hex[len] = '\0';
    int tail_len = snprintf(tail, sizeof(tail), "-%d.%s-%s", partition, hex, what);
    snprintf(from, sizeof(from), "%s/%s-%d", dir->path, topic, partition);
    if (snprintf(to, PATH_LEN_MAX, "%s/%.*s%s", dir->path, 255 - tail_len, topic, tail) >=
        PATH_LEN_MAX)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "path \"%s\" is too long", from);
    ox_code rc = fs_rename(dir->fs, "plog.delete", from, to, err);
    return rc == OX_OK ? fs_sync_dir(dir->fs, "plog.delete", dir->path, err) : rc;
}

/* A topic of the same name must not be taken for compacted. */
static ox_code
clear_hint(struct log_dir *dir, const char *topic, int32_t partition, struct ox_err *err)
{
    ox_lock(&dir->lock);
    struct partition_hint *hint = log_dir_hint(dir, topic, partition);
    bool cleaned = hint->cleaned >= 0;
    hint->recovery_point = hint->log_start = hint->high_watermark = hint->flushed_end = -1;
    hint->cleaned = -1;
    hint->dirty = false;
    ox_unlock(&dir->lock);
    return cleaned ? log_dir_write_cleaned(dir, err) : OX_OK;
}

ox_code
log_dir_condemn_partition(struct log_dir *dir, const char *topic, int32_t partition,
    int64_t delay_ms, struct ox_err *err)
{
    char to[PATH_LEN_MAX];
    ox_code rc = rename_partition(dir, topic, partition, "delete", to, err);
    if (rc != OX_OK)
        return rc;
    log_dir_condemn(dir, to, true, log_due_ms(env_wall_ms(dir->env), delay_ms));
    return clear_hint(dir, topic, partition, err);
}

/* What readers may still need by name is opened before the name changes. */
void
plog_pin_files(struct plog *plog)
{
    ox_lock(&plog->lock);
    for (uint32_t i = 0; i < plog->segment_count; i++) {
        log_index_pin(&plog->segments[i]->index);
        log_index_pin(&plog->segments[i]->times);
        plog_load_aborted(plog, plog->segments[i], NULL);
    }
    ox_unlock(&plog->lock);
}

ox_code
plog_detach(struct plog *plog, struct ox_err *err)
{
    struct plog_config config;
    pthread_mutex_lock(&plog->work);
    ox_code rc = OX_OK;
    if (!plog->closed) {
        plog_pin_files(plog);
        leave_dir(plog);
        plog_get_config(plog, &config);
        rc = log_dir_condemn_partition(plog->dir, plog->topic, plog->partition,
            config.file_delete_delay_ms, err);
    }
    pthread_mutex_unlock(&plog->work);
    return rc;
}

bool
plog_detached(struct plog *plog)
{
    ox_lock(&plog->lock);
    bool closed = plog->closed;
    ox_unlock(&plog->lock);
    return closed;
}

void
plog_close_later(struct plog *plog)
{
    ox_assert(plog_detached(plog));
    log_dir_close_later(plog->dir, plog);
}

ox_code
plog_delete(struct plog *plog, struct ox_err *err)
{
    ox_code rc = plog_detach(plog, err);
    plog_close(plog);
    return rc;
}

static ox_code
refuse_open(struct log_dir *dir, const char *topic, int32_t partition, struct ox_err *err)
{
    ox_lock(&dir->lock);
    bool open = log_dir_hint(dir, topic, partition)->open;
    ox_unlock(&dir->lock);
    if (!open)
        return OX_OK;
    return ox_fail(err, OX_OBJECT_IN_USE, "partition log \"%s-%d\" is open", topic, partition);
}

ox_code
log_dir_delete_partition(struct log_dir *dir, const char *topic, int32_t partition,
    struct ox_err *err)
{
    ox_code rc = refuse_open(dir, topic, partition, err);
    return rc == OX_OK ? log_dir_condemn_partition(dir, topic, partition, 60000, err) : rc;
}

ox_code
log_dir_set_stray(struct log_dir *dir, const char *topic, int32_t partition, struct ox_err *err)
{
    char to[PATH_LEN_MAX];
    ox_code rc = refuse_open(dir, topic, partition, err);
    if (rc == OX_OK)
        rc = rename_partition(dir, topic, partition, "stray", to, err);
    if (rc != OX_OK)
        return rc;
    rc = clear_hint(dir, topic, partition, err);
    ox_warn("partition directory is not in the metadata, it is set aside", "path=%s", to);
    return rc;
}

/* ---- facts ---- */

void
plog_set_config(struct plog *plog, const struct plog_config *config)
{
    ox_lock(&plog->lock);
    plog->config = *config;
    ox_unlock(&plog->lock);
}

void
plog_get_config(struct plog *plog, struct plog_config *out)
{
    ox_lock(&plog->lock);
    *out = plog->config;
    ox_unlock(&plog->lock);
}

const struct uuid *
plog_topic_id(const struct plog *plog)
{
    return &plog->topic_id;
}

ox_code
plog_fault(struct plog *plog, struct ox_err *err)
{
    if (atomic_load(&plog->dir->offline)) {
        if (err != NULL)
            *err = plog->dir->offline_err;
        return OX_STORAGE_ERROR;
    }
    ox_lock(&plog->lock);
    ox_code code = plog->fault;
    if (code != OX_OK && err != NULL)
        *err = *plog->fault_err;
    ox_unlock(&plog->lock);
    return code;
}

int64_t
plog_log_start(const struct plog *plog)
{
    return atomic_load_explicit(&plog->log_start, memory_order_acquire);
}

int64_t
plog_log_end(const struct plog *plog)
{
    return atomic_load_explicit(&plog->log_end, memory_order_acquire);
}

int64_t
plog_flushed_end(const struct plog *plog)
{
    return atomic_load_explicit(&plog->flushed_end, memory_order_acquire);
}

int64_t
plog_high_watermark(const struct plog *plog)
{
    return atomic_load_explicit(&plog->high_watermark, memory_order_acquire);
}

int64_t
plog_first_unstable(const struct plog *plog)
{
    return atomic_load_explicit(&plog->first_unstable, memory_order_acquire);
}

int64_t
plog_last_stable(const struct plog *plog)
{
    int64_t hw = plog_high_watermark(plog), unstable = plog_first_unstable(plog);
    return OX_MAX(OX_MIN(hw, unstable), plog_log_start(plog));
}

uint64_t
plog_bytes(const struct plog *plog)
{
    return atomic_load_explicit(&plog->bytes, memory_order_relaxed);
}

void
plog_set_high_watermark(struct plog *plog, int64_t offset)
{
    if (offset <= plog_high_watermark(plog))
        return;
    ox_lock(&plog->lock);
    offset = OX_MIN(offset, plog_log_end(plog));
    if (offset > plog_high_watermark(plog)) {
        atomic_store_explicit(&plog->high_watermark, offset, memory_order_release);
        if (plog->producers.completed_count > 0) {
            producers_high_watermark(&plog->producers, offset);
            plog_first_unstable_changed(plog);
        }
    }
    ox_unlock(&plog->lock);
}

int32_t
plog_epoch_of(struct plog *plog, int64_t offset)
{
    ox_lock(&plog->lock);
    int32_t epoch = leader_epochs_of(&plog->epochs, offset);
    ox_unlock(&plog->lock);
    return epoch;
}

int32_t
plog_latest_epoch(struct plog *plog)
{
    ox_lock(&plog->lock);
    const struct leader_epochs *epochs = &plog->epochs;
    int32_t epoch = epochs->count > 0 ? epochs->entries[epochs->count - 1].epoch : -1;
    ox_unlock(&plog->lock);
    return epoch;
}

void
plog_epoch_end(struct plog *plog, int32_t asked, int32_t current_leader_epoch, int32_t *epoch,
    int64_t *end_offset)
{
    *epoch = -1;
    *end_offset = -1;
    if (asked == -1 || asked > current_leader_epoch)
        return;
    ox_lock(&plog->lock);
    const struct leader_epochs *epochs = &plog->epochs;
    if (asked == current_leader_epoch) {
        *epoch = asked;
        *end_offset = plog_log_end(plog);
    } else if (epochs->count > 0 && asked < epochs->entries[0].epoch) {
        *epoch = asked;
        *end_offset = epochs->entries[0].start;
    } else if (epochs->count > 0) {
        uint32_t i = epochs->count - 1;
        while (epochs->entries[i].epoch > asked)
            i--;
        *epoch = epochs->entries[i].epoch;
        *end_offset =
            i + 1 < epochs->count ? epochs->entries[i + 1].start : plog_log_end(plog);
    }
    ox_unlock(&plog->lock);
}

ox_code
plog_begin_epoch(struct plog *plog, int32_t leader_epoch, struct ox_err *err)
{
    pthread_mutex_lock(&plog->work);
    ox_lock(&plog->lock);
    bool dirty = plog->epochs.dirty;
    plog->epochs.dirty = false;
    leader_epochs_add(&plog->epochs, leader_epoch, plog_log_end(plog));
    plog->epochs.begun |= plog->epochs.dirty;
    plog->epochs.dirty = dirty;
    ox_code rc = plog->fault;
    if (rc != OX_OK && err != NULL)
        *err = *plog->fault_err;
    ox_unlock(&plog->lock);
    pthread_mutex_unlock(&plog->work);
    return rc;
}

ox_code
plog_segments(struct plog *plog, struct arena *arena, struct log_segment_facts **out,
    size_t *count, struct ox_err *err)
{
    ox_lock(&plog->lock);
    *count = plog->segment_count;
    *out = ox_arena_array(arena, struct log_segment_facts, *count);
    for (size_t i = 0; i < *count; i++) {
        const struct log_segment *seg = plog->segments[i];
        (*out)[i] = (struct log_segment_facts){seg->base_offset, seg->next_offset, seg->size,
            seg->max_timestamp, seg->first_timestamp, i + 1 == *count};
    }
    ox_unlock(&plog->lock);
    return OX_OK;
}

void
plog_producers(struct plog *plog, struct arena *arena, struct log_producer_facts **out,
    size_t *count)
{
    ox_lock(&plog->lock);
    const struct map *map = &plog->producers.by_id;
    *out = ox_arena_array(arena, struct log_producer_facts, map->count);
    *count = 0;
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(map, &at)) != NULL) {
        const struct producer *producer = entry->value;
        (*out)[(*count)++] = (struct log_producer_facts){
            .producer_id = producer->id,
            .producer_epoch = producer->epoch,
            .last_sequence = producer->batch_count > 0
                ? producer->batches[producer->batch_count - 1].last_sequence : -1,
            .last_timestamp = producer->last_timestamp,
            .coordinator_epoch = producer->coordinator_epoch,
            .txn_start_offset = producer->txn_first_offset,
        };
    }
    ox_unlock(&plog->lock);
}

bool
plog_txn_open(struct plog *plog, int64_t producer_id)
{
    ox_lock(&plog->lock);
    bool open = producers_txn_open(&plog->producers, producer_id);
    ox_unlock(&plog->lock);
    return open;
}

ox_code
plog_txn_guard(struct plog *plog, int64_t producer_id, int16_t producer_epoch, int32_t sequence,
    bool raised, uint64_t *guard)
{
    ox_lock(&plog->lock);
    ox_code rc = producers_guard(&plog->producers, producer_id, producer_epoch, sequence, raised,
        guard);
    ox_unlock(&plog->lock);
    return rc;
}

void
plog_txn_unguard(struct plog *plog, int64_t producer_id, uint64_t guard)
{
    ox_lock(&plog->lock);
    producers_unguard(&plog->producers, producer_id, guard);
    ox_unlock(&plog->lock);
}

void
plog_expire_producers(struct plog *plog, int64_t now_ms, int64_t age_ms)
{
    ox_lock(&plog->lock);
    producers_expire(&plog->producers, now_ms, age_ms);
    ox_unlock(&plog->lock);
}

/* ---- what a batch in the log means ---- */

ox_code
plog_apply(struct plog *plog, struct log_segment *seg, const struct record_batch *batch,
    struct ox_err *err)
{
    struct control_record control = {CONTROL_UNKNOWN, -1};
    struct log_aborted_txn aborted;
    leader_epochs_add(&plog->epochs, batch->leader_epoch, batch->base_offset);
    if (batch->producer_id < 0)
        return OX_OK;
    if (record_batch_is_control(batch) && batch->count == 0)
        return OX_OK; /* compaction has emptied it: nothing of its transaction is left */
    if (record_batch_is_control(batch) && record_batch_control(batch, &control, err) != OX_OK)
        return OX_CORRUPT_MESSAGE;
    if (producers_update(&plog->producers, batch, &control, &aborted)) {
        ox_code rc = plog_load_aborted(plog, seg, err);
        if (rc != OX_OK)
            return rc;
        /* A replay after a crash meets what the index has already. */
        bool known = seg->aborted_count > 0 &&
                     seg->aborted[seg->aborted_count - 1].last_offset >= aborted.last_offset;
        if (!known)
            log_segment_add_aborted(seg, &aborted);
    }
    plog_first_unstable_changed(plog);
    return OX_OK;
}

ox_code
plog_aborted_txns(struct plog *plog, int64_t from, int64_t to, struct arena *arena,
    struct log_aborted_txn **out, size_t *count, struct ox_err *err)
{
    size_t cap = 0;
    ox_code rc = OX_OK;
    *out = NULL;
    *count = 0;
    ox_lock(&plog->lock);
    int first = OX_MAX(plog_segment_at(plog, from), 0);
    for (uint32_t i = (uint32_t)first; i < plog->segment_count && rc == OX_OK; i++) {
        struct log_segment *seg = plog->segments[i];
        rc = plog_load_aborted(plog, seg, err);
        for (uint32_t k = 0; k < seg->aborted_count && rc == OX_OK; k++) {
            const struct log_aborted_txn *txn = &seg->aborted[k];
            if (txn->last_offset < from || txn->first_offset >= to)
                continue;
            ox_arena_grow(arena, (void **)out, &cap, *count + 1, sizeof(**out));
            size_t at = (*count)++;
            for (; at > 0 && (*out)[at - 1].first_offset > txn->first_offset; at--)
                (*out)[at] = (*out)[at - 1];
            (*out)[at] = *txn;
        }
        /* Everything aborted later began at or above what was stable here. */
        if (seg->aborted_count > 0 && seg->aborted[seg->aborted_count - 1].last_stable >= to)
            break;
    }
    ox_unlock(&plog->lock);
    return rc;
}

/* ---- rolling ---- */

static ox_code
snapshot_at_roll(struct plog *plog, int64_t offset, struct ox_err *err)
{
    if (!plog->producers.changed && plog->producers.snapshot_offset >= 0 &&
        plog->producers.by_id.count == 0)
        return OX_OK;
    struct text bytes;
    ox_text_init(&bytes, NULL);
    producers_encode(&plog->producers, &bytes);
    ox_code rc = plog_write_snapshot(plog, offset, &bytes, false, err);
    ox_text_fini(&bytes);
    if (rc == OX_OK) {
        plog->producers.snapshot_offset = offset;
        plog->producers.changed = false;
    }
    return rc;
}

ox_code
plog_prepare_segment(struct plog *plog, struct log_segment *seg, struct ox_err *err)
{
    int64_t jitter_max = OX_MIN(plog->config.segment_jitter_ms, plog->config.segment_ms);
    plog->jitter_ms = 0;
    if (jitter_max > 0) {
        uint64_t random;
        env_random(plog->dir->env, &random, sizeof(random));
        plog->jitter_ms = (int64_t)(random % (uint64_t)jitter_max);
    }
    if (!plog->config.preallocate)
        return OX_OK;
    seg->reserved = UINT64_MAX;
    seg->preallocated = true; /* also when the setting is another by then */
    return fs_allocate(plog->fs, "segment.allocate", seg->file,
        (uint64_t)plog->config.segment_bytes, err);
}

ox_code
plog_make_segment(struct plog *plog, int64_t base, struct log_segment **out, struct ox_err *err)
{
    struct log_segment *seg;
    ox_code rc = log_segment_open(plog->fs, plog->path, base, true, &seg, err);
    if (rc != OX_OK)
        return rc;
    rc = plog_prepare_segment(plog, seg, err);
    if (rc != OX_OK) {
        log_segment_put(seg);
        return rc;
    }
    seg->created_ms = env_wall_ms(plog->dir->env);
    *out = seg;
    return OX_OK;
}

ox_code
plog_roll_locked(struct plog *plog, int64_t now_ms, struct ox_err *err)
{
    struct log_segment *old = plog_active(plog), *seg;
    int64_t base = plog_log_end(plog);
    ox_assert(base > old->base_offset);
    ox_code rc = log_segment_open(plog->fs, plog->path, base, true, &seg, err);
    if (rc != OX_OK)
        return rc;
    rc = snapshot_at_roll(plog, base, err);
    if (rc == OX_OK)
        rc = plog_prepare_segment(plog, seg, err);
    if (rc == OX_OK && (plog->config.preallocate || old->preallocated))
        rc = fs_truncate(plog->fs, "segment.trim", old->file, old->size, err);
    else if (rc == OX_OK)
        log_segment_unreserve(old);
    if (rc != OX_OK) {
        log_segment_unlink(seg, NULL);
        log_segment_put(seg);
        return rc;
    }
    seg->created_ms = now_ms;
    log_segment_end_times(old);
    old->sealed = old->index_stale = true;
    plog_push_segment(plog, seg);
    /* The old one is flushed behind the appender's back. */
    log_dir_wake_checkpointer(plog->dir);
    return OX_OK;
}

ox_code
plog_roll(struct plog *plog, struct ox_err *err)
{
    ox_code rc = OX_OK;
    pthread_mutex_lock(&plog->work);
    ox_lock(&plog->lock);
    if (plog->fault != OX_OK)
        rc = ox_fail(err, plog->fault, "%s", plog->fault_err->message);
    else if (plog_active(plog)->size > 0)
        rc = plog_roll_locked(plog, env_wall_ms(plog->dir->env), err);
    ox_unlock(&plog->lock);
    pthread_mutex_unlock(&plog->work);
    return rc;
}
