/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a partition directory as a crash, a clean stop or Kafka left it.
 *
 *   names     temporary, swap and deleted ones are resolved first
 *   segments  those wholly below the recovery point are taken as they are; the
 *             rest is scanned batch by batch from the last index entry that can
 *             be trusted, and its indexes are rebuilt on the way
 *   verdict   invalid bytes at offset o:
 *               o < known flushed end   corrupt: nothing is changed on disk, the
 *                                       log ends there and is faulty (also when
 *                                       bytes are missing without a trace)
 *               else, at the end        torn tail: cut off
 *               else, batches follow    the unflushed tail lost a piece in the
 *                                       middle: cut off too; later segments are
 *                                       kept aside as .lost
 *   state     epochs, producers
 *
 * 1. Run twice, or interrupted and run again, it leaves the same bytes.
 * 2. Only bytes that were never flushed are ever removed.
 * 3. Derived files never shorten data. */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/diag.h"

enum { SCAN_WINDOW = 256 * 1024, RECALL_BYTES = 1 << 20 };

struct recovery {
    struct plog *plog;
    struct arena arena;
    struct file_name *names;
    size_t name_count;
    int64_t *bases; /* of .log files, rising */
    size_t base_count;
    int64_t recovery_point, flushed_end;
    bool clean;
    bool renamed; /* names in the directory were changed */
    bool rebuilt; /* a segment's indexes were not taken as they are */
};

static bool
ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), tail = strlen(suffix);
    return len >= tail && strcmp(name + len - tail, suffix) == 0;
}

/* The number in front of a name such as 00000000000000000042.log. */
static bool
name_base(const char *name, int64_t *base)
{
    for (int i = 0; i < 20; i++)
        if (name[i] < '0' || name[i] > '9')
            return false;
    return name[20] == '.' && ox_str_to_i64(ox_str_n(name, 20), base);
}

static void
path_of(const struct recovery *rec, const char *name, char to[PATH_LEN_MAX])
{
    snprintf(to, PATH_LEN_MAX, "%s/%s", rec->plog->path, name);
}

static ox_code
list_names(struct recovery *rec, struct ox_err *err)
{
    return fs_list(rec->plog->fs, rec->plog->path, &rec->arena, &rec->names, &rec->name_count,
        err);
}

/* ---- names ---- */

static ox_code
unlink_name(struct recovery *rec, const char *name, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    path_of(rec, name, path);
    ox_code rc = fs_unlink(rec->plog->fs, "recover.unlink", path, err);
    return rc == OX_FILE_NOT_FOUND ? OX_OK : rc;
}

/* The offset after the last batch of a file, by its headers. */
static ox_code
end_of_file(struct recovery *rec, const char *name, int64_t *next, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    struct log_segment seg = {.fs = rec->plog->fs, .path = path};
    uint64_t size;
    bool more;
    path_of(rec, name, path);
    ox_code rc = fs_open(seg.fs, "recover.open", path, FILE_READ, &seg.file, err);
    if (rc != OX_OK)
        return rc;
    rc = fs_size(seg.fs, seg.file, &size, err);
    struct header_walk walk;
    header_walk_init(&walk, &seg, 0, rc == OX_OK ? size : 0);
    while (rc == OX_OK && (rc = header_walk_next(&walk, &more, err)) == OX_OK && more)
        *next = record_batch_next_offset(&walk.batch);
    fs_close(seg.fs, seg.file);
    return rc;
}

/* Takes the suffix off a .swap name. */
static ox_code
take_suffix_off(struct recovery *rec, const char *swap, struct ox_err *err)
{
    char from[PATH_LEN_MAX], to[PATH_LEN_MAX];
    path_of(rec, swap, from);
    path_of(rec, swap, to);
    to[strlen(to) - strlen(".swap")] = '\0';
    ox_code rc = fs_rename(rec->plog->fs, "recover.swap", from, to, err);
    return rc == OX_FILE_NOT_FOUND ? OX_OK : rc;
}

/* A compacted segment that was about to replace those it covers: finish. Its
 * index of aborted transactions replaces the old one, the other indexes are
 * built again. */
static ox_code
finish_swap(struct recovery *rec, const char *swap, int64_t base, struct ox_err *err)
{
    int64_t next = base + 1;
    char aborted[64];
    ox_code rc = end_of_file(rec, swap, &next, err);
    for (size_t i = 0; i < rec->name_count && rc == OX_OK; i++) {
        int64_t other;
        const char *name = rec->names[i].name;
        bool own = name_base(name, &other) && other == base && ends_with(name, ".txnindex");
        if (name_base(name, &other) && other >= base && other < next && strlen(name) > 20 &&
            !own && !ends_with(name, ".swap") && !ends_with(name, ".snapshot"))
            rc = unlink_name(rec, name, err);
    }
    snprintf(aborted, sizeof(aborted), "%020lld.txnindex.swap", (long long)base);
    if (rc == OX_OK)
        rc = take_suffix_off(rec, aborted, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(rec->plog->fs, "recover.swap", rec->plog->path, err);
    return rc == OX_OK ? take_suffix_off(rec, swap, err) : rc;
}

static ox_code
resolve_names(struct recovery *rec, struct ox_err *err)
{
    int64_t cleaned_min = INT64_MAX, base;
    ox_code rc = OX_OK;
    bool changed = false;
    for (size_t i = 0; i < rec->name_count; i++)
        if (ends_with(rec->names[i].name, ".cleaned") && name_base(rec->names[i].name, &base))
            cleaned_min = OX_MIN(cleaned_min, base);
    for (size_t i = 0; i < rec->name_count && rc == OX_OK; i++) {
        const char *name = rec->names[i].name;
        if (ends_with(name, ".deleted") || ends_with(name, ".cleaned") || ends_with(name, ".tmp"))
            rc = unlink_name(rec, name, err);
        else if (!ends_with(name, ".swap") || !name_base(name, &base))
            continue;
        else if (ends_with(name, ".log.swap") && base < cleaned_min)
            rc = finish_swap(rec, name, base, err);
        else if (ends_with(name, ".txnindex.swap") && base < cleaned_min)
            rc = take_suffix_off(rec, name, err); /* the data has its name already */
        else
            rc = unlink_name(rec, name, err);
        changed = true;
    }
    rec->renamed |= changed;
    if (rc == OX_OK && changed)
        rc = fs_sync_dir(rec->plog->fs, "recover.names", rec->plog->path, err);
    return rc == OX_OK && changed ? list_names(rec, err) : rc;
}

static void
collect_bases(struct recovery *rec)
{
    rec->bases = ox_arena_array(&rec->arena, int64_t, rec->name_count);
    for (size_t i = 0; i < rec->name_count; i++)
        if (name_base(rec->names[i].name, &rec->bases[rec->base_count]) &&
            strcmp(rec->names[i].name + 20, ".log") == 0)
            rec->base_count++;
}

static bool
has_base(const struct recovery *rec, int64_t base)
{
    for (size_t i = 0; i < rec->base_count; i++)
        if (rec->bases[i] == base)
            return true;
    return false;
}

/* Index files whose segment is gone. */
static ox_code
remove_orphans(struct recovery *rec, struct ox_err *err)
{
    ox_code rc = OX_OK;
    for (size_t i = 0; i < rec->name_count && rc == OX_OK; i++) {
        const char *name = rec->names[i].name;
        int64_t base;
        if (name_base(name, &base) && !has_base(rec, base) &&
            (strcmp(name + 20, ".index") == 0 || strcmp(name + 20, ".timeindex") == 0 ||
                strcmp(name + 20, ".txnindex") == 0)) {
            rc = unlink_name(rec, name, err);
            rec->renamed = true;
        }
    }
    return rc;
}

/* ---- scanning ---- */

struct scan {
    struct log_segment *seg;
    uint64_t size; /* of the file */
    struct buf *window;
    uint64_t window_pos;
    size_t window_len;
};

static const uint8_t *
scan_bytes(struct scan *scan, uint64_t pos, size_t len, ox_code *rc, struct ox_err *err)
{
    if (pos < scan->window_pos || pos + len > scan->window_pos + scan->window_len) {
        *rc = fs_pread(scan->seg->fs, scan->seg->file, scan->window->ptr,
            OX_MIN((uint64_t)SCAN_WINDOW, scan->size - pos), pos, &scan->window_len, err);
        scan->window_pos = pos;
        if (*rc != OX_OK || scan->window_len < len)
            return NULL;
    }
    return scan->window->ptr + (pos - scan->window_pos);
}

/* CRC over [pos, end), window by window. */
static ox_code
scan_crc(struct scan *scan, uint64_t pos, uint64_t end, uint32_t *crc, struct ox_err *err)
{
    ox_code rc = OX_OK;
    *crc = 0;
    while (pos < end && rc == OX_OK) {
        size_t part = OX_MIN(end - pos, (uint64_t)SCAN_WINDOW);
        const uint8_t *at = scan_bytes(scan, pos, part, &rc, err);
        if (at == NULL)
            return rc;
        *crc = ox_crc32c(*crc, at, part);
        pos += part;
    }
    return rc;
}

/* Whether a whole batch of this log with a right checksum starts at pos, with
 * an offset of at least next. */
static ox_code
scan_batch(struct scan *scan, uint64_t pos, int64_t next, struct record_batch *batch, bool *valid,
    struct ox_err *err)
{
    ox_code rc = OX_OK;
    uint32_t crc;
    *valid = false;
    if (scan->size - pos < RECORD_BATCH_HEADER)
        return OX_OK;
    const uint8_t *at = scan_bytes(scan, pos, RECORD_BATCH_HEADER, &rc, err);
    if (at == NULL)
        return rc;
    if (record_batch_decode(at, RECORD_BATCH_HEADER, batch, NULL) != OX_OK ||
        batch->bytes > scan->size - pos || batch->base_offset < next ||
        batch->last_offset_delta < 0 ||
        batch->base_offset - scan->seg->base_offset > INT32_MAX - batch->last_offset_delta)
        return OX_OK;
    rc = scan_crc(scan, pos + RECORD_BATCH_CRC_AT, pos + batch->bytes, &crc, err);
    *valid = rc == OX_OK && crc == batch->crc;
    return rc;
}

/* Whether any valid batch with a higher offset begins after pos. */
static ox_code
any_batch_after(struct scan *scan, uint64_t pos, int64_t next, bool *found, struct ox_err *err)
{
    struct record_batch batch;
    ox_code rc = OX_OK;
    *found = false;
    for (pos++; rc == OX_OK && !*found && pos + RECORD_BATCH_HEADER <= scan->size; pos++) {
        const uint8_t *at = scan_bytes(scan, pos, 17, &rc, err);
        if (at == NULL)
            return rc;
        if (at[16] == 2 && at[0] == 0) /* magic; offsets do not reach 2^56 */
            rc = scan_batch(scan, pos, next, &batch, found, err);
    }
    return rc;
}

/* Scans from seg->size on, making the batches part of the segment. Stops at the
 * end of the file or at invalid bytes. */
static ox_code
scan_segment(struct recovery *rec, struct scan *scan, struct ox_err *err)
{
    struct log_segment *seg = scan->seg;
    const struct plog_config *config = &rec->plog->config;
    int32_t epoch = -1;
    while (seg->size < scan->size) {
        struct record_batch batch;
        bool valid;
        ox_code rc = scan_batch(scan, seg->size, seg->next_offset, &batch, &valid, err);
        if (rc != OX_OK)
            return rc;
        /* An older epoch after a newer one: bytes of before a truncation. */
        if (!valid || (batch.leader_epoch >= 0 && batch.leader_epoch < epoch))
            break;
        epoch = OX_MAX(epoch, batch.leader_epoch);
        log_segment_added(seg, &batch, seg->size, config->index_interval_bytes);
        leader_epochs_add(&rec->plog->epochs, batch.leader_epoch, batch.base_offset);
    }
    return OX_OK;
}

/* ---- indexes that were there ---- */

static bool
rising(const struct log_index *index, uint32_t i, bool times)
{
    const uint8_t *a = index->entries + (size_t)(i - 1) * index->entry_len;
    const uint8_t *b = a + index->entry_len;
    if (times)
        return (int64_t)wire_load64(b) > (int64_t)wire_load64(a) &&
               wire_load32(b + 8) >= wire_load32(a + 8);
    return wire_load32(b) > wire_load32(a) && wire_load32(b + 4) > wire_load32(a + 4);
}

/* Loads an index and keeps its sorted front; nothing if it is missing or bad. */
static void
load_front(struct log_index *index, bool times)
{
    if (log_index_attach(index, NULL) != OX_OK || log_index_load(index, NULL) != OX_OK) {
        index->count = index->written = 0;
        log_index_load(index, NULL);
        return;
    }
    uint32_t count = index->count > 0;
    while (count < index->count && rising(index, count, times))
        count++;
    log_index_cut(index, count);
}

/* Cuts the indexes to what lies at or below offset, and sets the segment to
 * the batch of the last entry left, if that batch is what the entry says. */
static ox_code
trust_front(struct scan *scan, int64_t offset, struct ox_err *err)
{
    struct log_segment *seg = scan->seg;
    struct log_index *index = &seg->index, *times = &seg->times;
    load_front(index, false);
    load_front(times, true);
    while (index->count > 0) {
        const uint8_t *entry = index->entries + (size_t)(index->count - 1) * INDEX_ENTRY;
        int64_t last = seg->base_offset + wire_load32(entry);
        uint64_t pos = wire_load32(entry + 4);
        struct record_batch batch;
        bool valid = false;
        if (last <= offset && pos < scan->size) {
            ox_code rc = scan_batch(scan, pos, seg->base_offset, &batch, &valid, err);
            if (rc != OX_OK)
                return rc;
        }
        if (valid && record_batch_last_offset(&batch) == last) {
            seg->size = pos;
            seg->next_offset = batch.base_offset;
            break;
        }
        log_index_cut(index, index->count - 1);
    }
    while (times->count > 0 &&
           seg->base_offset +
                   wire_load32(times->entries + (size_t)(times->count - 1) * TIME_ENTRY + 8) >=
               seg->next_offset)
        log_index_cut(times, times->count - 1);
    return OX_OK;
}

/* Takes largest and first timestamp from the time index and the first batch. */
static ox_code
take_times(struct log_segment *seg, uint64_t size, struct ox_err *err)
{
    if (seg->times.count > 0) {
        uint8_t entry[TIME_ENTRY];
        ox_code rc = log_index_get(&seg->times, seg->times.count - 1, entry, err);
        if (rc != OX_OK)
            return rc;
        seg->max_timestamp = (int64_t)wire_load64(entry);
        seg->max_timestamp_offset = seg->base_offset + wire_load32(entry + 8);
    }
    struct header_walk walk;
    bool more;
    header_walk_init(&walk, seg, 0, size);
    ox_code rc = header_walk_next(&walk, &more, err);
    if (rc == OX_OK && more)
        seg->first_timestamp = walk.batch.max_timestamp;
    return rc;
}

/* ---- one segment ---- */

/* Whether a segment's indexes can be used as they are. */
static bool
indexes_usable(struct log_segment *seg, uint64_t size)
{
    uint8_t entry[TIME_ENTRY];
    if (size == 0)
        return false;
    if (log_index_attach(&seg->index, NULL) != OX_OK ||
        log_index_attach(&seg->times, NULL) != OX_OK)
        return false;
    if (seg->times.count == 0)
        return false;
    if (log_index_get(&seg->times, seg->times.count - 1, entry, NULL) != OX_OK ||
        (int64_t)wire_load64(entry) < 0)
        return false;
    if (seg->index.count == 0)
        return true;
    return log_index_get(&seg->index, seg->index.count - 1, entry, NULL) == OX_OK &&
           wire_load32(entry + 4) < size;
}

/* Walks headers from the last index entry to the end of the file. Fails with
 * OX_CORRUPT_MESSAGE when they do not end there. */
static ox_code
walk_tail(struct recovery *rec, struct log_segment *seg, uint64_t size, struct ox_err *err)
{
    struct header_walk walk;
    uint64_t pos;
    bool more;
    ox_code rc = log_segment_lookup_pos(seg, size, &pos, err);
    if (rc != OX_OK)
        return rc;
    header_walk_init(&walk, seg, pos, size);
    while ((rc = header_walk_next(&walk, &more, err)) == OX_OK && more) {
        seg->next_offset = record_batch_next_offset(&walk.batch);
        if (walk.batch.max_timestamp > seg->max_timestamp) {
            seg->max_timestamp = walk.batch.max_timestamp;
            seg->max_timestamp_offset = seg->next_offset - 1;
        }
    }
    if (rc == OX_OK) {
        seg->size = size;
        seg->unindexed = size - pos;
    }
    return rc;
}

/* The segment as it is; false in *taken when it must be scanned. */
static ox_code
take_segment(struct recovery *rec, struct log_segment *seg, uint64_t size, bool last, bool *taken,
    struct ox_err *err)
{
    *taken = false;
    if (!indexes_usable(seg, size))
        return OX_OK;
    ox_code rc = take_times(seg, size, NULL);
    if (rc == OX_OK)
        rc = walk_tail(rec, seg, size, NULL);
    if (rc == OX_CORRUPT_MESSAGE || rc == OX_DATA_CORRUPTED)
        return OX_OK;
    if (rc != OX_OK)
        return ox_fail(err, rc, "could not read segment \"%s\"", seg->path);
    if (last) {
        rc = log_index_load(&seg->index, err);
        if (rc == OX_OK)
            rc = log_index_load(&seg->times, err);
    }
    log_segment_distrust(seg, size);
    *taken = rc == OX_OK;
    return rc;
}

static void
reset_segment(struct log_segment *seg)
{
    seg->size = 0;
    seg->next_offset = seg->base_offset;
    seg->first_timestamp = seg->max_timestamp = seg->max_timestamp_offset = -1;
    seg->unindexed = 0;
}

/* Scans a segment from the last trusted batch at or below the recovery point. */
static ox_code
rescan_segment(struct recovery *rec, struct log_segment *seg, uint64_t size, bool *whole,
    bool *followed, struct ox_err *err)
{
    struct scan scan = {.seg = seg, .size = size, .window = ox_buf_new(SCAN_WINDOW)};
    reset_segment(seg);
    ox_code rc = trust_front(&scan, rec->recovery_point, err);
    uint64_t from = seg->size;
    if (rc == OX_OK && from > 0)
        rc = take_times(seg, size, err);
    if (rc == OX_OK)
        rc = scan_segment(rec, &scan, err);
    if (rc == OX_OK && from > 0)
        log_segment_distrust(seg, from);
    *whole = seg->size == size;
    *followed = false;
    if (rc == OX_OK && !*whole)
        rc = any_batch_after(&scan, seg->size, seg->next_offset, followed, err);
    ox_buf_put(scan.window);
    seg->index_stale = true;
    return rc;
}

/* ---- verdicts ---- */

static ox_code
mark_corrupt(struct recovery *rec, const struct log_segment *seg)
{
    struct ox_err fault;
    ox_fail(&fault, OX_DATA_CORRUPTED,
        "partition log \"%s-%d\" is corrupt at offset %lld, position %llu of \"%s\"",
        rec->plog->topic, rec->plog->partition, (long long)seg->next_offset,
        (unsigned long long)seg->size, seg->path);
    ox_detail(&fault, "Everything below offset %lld had been flushed to disk.",
        (long long)rec->flushed_end);
    plog_set_fault(rec->plog, OX_DATA_CORRUPTED, &fault);
    return OX_OK;
}

static void
unlink_derived(struct plog *plog, int64_t base)
{
    static const char *const derived[] = {".index", ".timeindex", ".txnindex"};
    for (size_t i = 0; i < ox_count(derived); i++) {
        char path[PATH_LEN_MAX];
        log_segment_path(path, plog->path, base, derived[i]);
        fs_unlink(plog->fs, "recover.unlink", path, NULL);
    }
}

/* Later segments of a log whose unflushed tail lost a piece before them. */
static ox_code
set_aside(struct recovery *rec, size_t from, struct ox_err *err)
{
    struct plog *plog = rec->plog;
    for (size_t i = from; i < rec->base_count; i++) {
        char path[PATH_LEN_MAX], lost[PATH_LEN_MAX + 8];
        struct file_stat st;
        unlink_derived(plog, rec->bases[i]);
        log_segment_path(path, plog->path, rec->bases[i], ".log");
        ox_code rc = fs_stat(plog->fs, path, &st, err);
        if (rc != OX_OK)
            return rc;
        snprintf(lost, sizeof(lost), "%s.lost", path);
        rc = st.size == 0 ? fs_unlink(plog->fs, "recover.unlink", path, err)
                          : fs_rename(plog->fs, "recover.lost", path, lost, err);
        if (rc != OX_OK)
            return rc;
        if (st.size > 0)
            ox_warn("segment kept aside after an unflushed piece was lost", "path=%s", lost);
    }
    rec->base_count = from;
    return from > 0 ? fs_sync_dir(plog->fs, "recover.lost", plog->path, err) : OX_OK;
}

/* The segment's file has invalid bytes from seg->size on. */
static ox_code
judge(struct recovery *rec, size_t i, struct log_segment *seg, uint64_t size, bool followed,
    struct ox_err *err)
{
    if (seg->next_offset < rec->flushed_end)
        return mark_corrupt(rec, seg);
    rec->renamed = true;
    ox_code rc = fs_truncate(rec->plog->fs, "recover.cut", seg->file, seg->size, err);
    if (rc == OX_OK)
        rc = fs_sync(rec->plog->fs, "recover.cut", seg->file, err);
    if (rc == OX_OK)
        ox_info("unflushed tail of a partition log was cut off",
            "partition=%s-%d offset=%lld bytes=%llu batches_follow=%d", rec->plog->topic,
            rec->plog->partition, (long long)seg->next_offset,
            (unsigned long long)(size - seg->size), followed);
    return rc == OX_OK && i + 1 < rec->base_count ? set_aside(rec, i + 1, err) : rc;
}

static ox_code
load_segment(struct recovery *rec, size_t i, struct ox_err *err)
{
    struct plog *plog = rec->plog;
    struct log_segment *seg;
    uint64_t size;
    bool last = i + 1 == rec->base_count, taken = false, whole = true, followed;
    ox_code rc = log_segment_open(plog->fs, plog->path, rec->bases[i], false, &seg, err);
    if (rc != OX_OK)
        return rc;
    rc = fs_size(plog->fs, seg->file, &size, err);
    bool settled = rec->clean || (!last && rec->bases[i + 1] <= rec->recovery_point);
    if (rc == OX_OK && settled)
        rc = take_segment(rec, seg, size, last, &taken, err);
    if (rc == OX_OK && !taken) {
        rc = rescan_segment(rec, seg, size, &whole, &followed, err);
        /* A segment below the recovery point holds flushed bytes only. */
        if (rc == OX_OK && !whole && !last)
            rec->flushed_end = OX_MAX(rec->flushed_end,
                OX_MIN(rec->bases[i + 1], rec->recovery_point));
    }
    /* Below the log start a segment may be missing: retention was at work. */
    int64_t joined = plog->config.policy_compact ? OX_MAX(rec->recovery_point, plog->cleaned)
                                                 : INT64_MIN; /* Kafka's cleaner leaves gaps */
    if (rc == OX_OK && whole && !taken && !last && rec->bases[i + 1] > joined &&
        seg->next_offset < rec->bases[i + 1] && rec->bases[i + 1] > plog_log_start(plog)) {
        whole = false; /* the tail is missing without a trace in this file */
        followed = true;
    }
    if (rc == OX_OK && !whole)
        rc = judge(rec, i, seg, size, followed, err);
    if (rc != OX_OK) {
        log_segment_put(seg);
        return rc;
    }
    /* Below the recovery point bytes are on disk, and so are the names of segments
     * that have some. */
    bool known = taken || (whole && seg->next_offset <= rec->recovery_point);
    seg->flushed = known ? seg->size : 0;
    seg->name_flushed = seg->base_offset < rec->recovery_point;
    rec->rebuilt |= !taken && seg->size > 0;
    seg->created_ms = env_wall_ms(plog->dir->env);
    plog_push_segment(plog, seg);
    atomic_fetch_add(&plog->bytes, seg->size);
    return OX_OK;
}

/* A segment that a failed roll made and could not remove durably: it is empty,
 * and the log went on in the one before. */
static ox_code
skip_stillborn(struct recovery *rec, size_t i, bool *skip, struct ox_err *err)
{
    struct plog *plog = rec->plog;
    char path[PATH_LEN_MAX];
    struct file_stat st;
    log_segment_path(path, plog->path, rec->bases[i], ".log");
    ox_code rc = fs_stat(plog->fs, path, &st, err);
    *skip = rc == OX_OK && st.size == 0;
    if (!*skip)
        return rc;
    rec->renamed = true;
    unlink_derived(plog, rec->bases[i]);
    return fs_unlink(plog->fs, "recover.unlink", path, err);
}

/* A segment must begin where the one before ends or, after compaction, later;
 * a missing piece below what was flushed is a loss. */
static ox_code
load_segments(struct recovery *rec, struct ox_err *err)
{
    struct plog *plog = rec->plog;
    for (size_t i = 0; i < rec->base_count && plog->fault == OX_OK; i++) {
        bool skip = false;
        ox_code rc = OX_OK;
        if (i > 0 && plog_active(plog)->next_offset > rec->bases[i]) {
            rc = skip_stillborn(rec, i, &skip, err);
            if (rc == OX_OK && !skip)
                return mark_corrupt(rec, plog_active(plog));
        }
        if (rc == OX_OK && !skip)
            rc = load_segment(rec, i, err);
        if (rc != OX_OK)
            return rc;
    }
    for (uint32_t i = 0; i + 1 < plog->segment_count; i++) {
        struct log_segment *seg = plog->segments[i];
        seg->sealed = true;
        if (seg->index_stale)
            log_segment_end_times(seg);
    }
    if (plog->segment_count == 0)
        return OX_OK;
    ox_code rc = log_index_load(&plog_active(plog)->index, err);
    return rc == OX_OK ? log_index_load(&plog_active(plog)->times, err) : rc;
}

static ox_code
first_segment(struct plog *plog, int64_t base, struct ox_err *err)
{
    struct log_segment *seg;
    ox_code rc = plog_make_segment(plog, base, &seg, err);
    if (rc != OX_OK)
        return rc;
    plog_push_segment(plog, seg); /* its name is flushed with its first batch */
    return OX_OK;
}

/* The log start passed everything that is left: nothing of it may be read. */
static ox_code
start_over(struct plog *plog, int64_t base, struct ox_err *err)
{
    ox_code rc = OX_OK;
    while (plog->segment_count > 0 && rc == OX_OK) {
        struct log_segment *seg = plog->segments[--plog->segment_count];
        rc = log_segment_unlink(seg, err);
        log_segment_put(seg);
    }
    atomic_store(&plog->bytes, 0);
    return rc == OX_OK ? first_segment(plog, base, err) : rc;
}

/* ---- state ---- */

static void
load_epochs(struct plog *plog)
{
    char path[PATH_LEN_MAX], *ptr;
    size_t len;
    struct arena arena;
    snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", plog->path);
    ox_arena_init(&arena);
    ox_code rc = file_read_all(plog->fs, path, 16u << 20, &arena, &ptr, &len, NULL);
    if (rc == OX_OK)
        rc = leader_epochs_decode(&plog->epochs, ox_str_n(ptr, len), NULL);
    if (rc != OX_OK) {
        plog->epochs.count = 0;
        plog->epochs.dirty = rc != OX_FILE_NOT_FOUND;
    }
    ox_arena_fini(&arena);
}

/* The epoch list was lost: read it from all batches. */
static ox_code
rebuild_epochs(struct plog *plog, struct ox_err *err)
{
    ox_code rc = OX_OK;
    bool more;
    for (uint32_t i = 0; i < plog->segment_count && rc == OX_OK; i++) {
        struct header_walk walk;
        header_walk_init(&walk, plog->segments[i], 0, plog->segments[i]->size);
        while ((rc = header_walk_next(&walk, &more, err)) == OX_OK && more)
            leader_epochs_add(&plog->epochs, walk.batch.leader_epoch, walk.batch.base_offset);
    }
    return rc == OX_CORRUPT_MESSAGE ? OX_OK : rc;
}

/* Files are missing, or end at a batch, below what was flushed and not deleted. */
static void
check_reach(struct recovery *rec)
{
    struct plog *plog = rec->plog;
    int64_t end = plog->segment_count > 0 ? plog_active(plog)->next_offset : -1;
    struct ox_err fault;
    if (plog->fault != OX_OK || OX_MAX(end, plog_log_start(plog)) >= rec->flushed_end)
        return;
    ox_fail(&fault, OX_DATA_CORRUPTED,
        "partition log \"%s-%d\" ends at offset %lld, but had been flushed up to %lld",
        plog->topic, plog->partition, (long long)OX_MAX(end, plog_log_start(plog)),
        (long long)rec->flushed_end);
    plog_set_fault(plog, OX_DATA_CORRUPTED, &fault);
}

/* Flushes what was scanned, so that the log end is the flushed end. */
static ox_code
settle(struct recovery *rec, struct ox_err *err)
{
    struct plog *plog = rec->plog;
    ox_code rc = OX_OK;
    bool names = rec->renamed;
    for (uint32_t i = 0; i < plog->segment_count && rc == OX_OK; i++) {
        struct log_segment *seg = plog->segments[i];
        names |= seg->size > 0 && !seg->name_flushed;
        if (seg->flushed == seg->size)
            continue;
        rc = fs_sync(plog->fs, "recover.sync", seg->file, err);
        seg->flushed = seg->size;
    }
    if (rc == OX_OK && names)
        rc = fs_sync_dir(plog->fs, "recover.sync", plog->path, err);
    for (uint32_t i = 0; i < plog->segment_count && rc == OX_OK && names; i++)
        plog->segments[i]->name_flushed = true;
    return rc;
}

static ox_code
finish(struct recovery *rec, bool epochs_lost, struct ox_err *err)
{
    struct plog *plog = rec->plog;
    int64_t start = plog_log_start(plog);
    ox_code rc = OX_OK;
    check_reach(rec);
    if (plog->segment_count == 0)
        rc = first_segment(plog, start, err);
    else if (plog_active(plog)->next_offset < start && plog->fault == OX_OK)
        rc = start_over(plog, start, err);
    if (rc == OX_OK && plog->fault == OX_OK)
        rc = settle(rec, err);
    if (rc != OX_OK)
        return rc;
    int64_t end = plog_active(plog)->next_offset;
    start = OX_MAX(start, plog->segments[0]->base_offset);
    atomic_store(&plog->log_start, OX_MIN(start, end)); /* above it only in a faulty log */
    atomic_store(&plog->log_end, end);
    atomic_store(&plog->flushed_end, end);
    /* Of a faulty log all that was flushed is remembered: a later recovery must
     * not take the damage for a torn tail. */
    plog->recovery_point = plog->fault != OX_OK ? OX_MAX(rec->recovery_point, rec->flushed_end)
        : rec->clean                            ? end
                                                : OX_MIN(rec->recovery_point, end);
    if (epochs_lost)
        rc = rebuild_epochs(plog, err);
    leader_epochs_cut_end(&plog->epochs, end);
    leader_epochs_cut_start(&plog->epochs, plog_log_start(plog));
    if (rc == OX_OK)
        rc = plog_rebuild_producers(plog, err);
    bool tidy = rec->clean && !rec->rebuilt && plog->producers.snapshot_offset == end;
    plog->tidy_end = end == 0 || tidy ? end : -1;
    return rc;
}

ox_code
plog_recover(struct plog *plog, int64_t recovery_point, int64_t flushed_hint, bool clean,
    struct ox_err *err)
{
    struct recovery rec = {.plog = plog, .recovery_point = recovery_point,
        .flushed_end = flushed_hint, .clean = clean};
    ox_arena_init(&rec.arena);
    ox_code rc = list_names(&rec, err);
    if (rc == OX_OK)
        rc = resolve_names(&rec, err);
    if (rc == OX_OK) {
        collect_bases(&rec);
        rc = remove_orphans(&rec, err);
    }
    if (rc == OX_OK) {
        load_epochs(plog);
        bool epochs_lost = plog->epochs.count == 0;
        rc = load_segments(&rec, err);
        if (rc == OX_OK)
            rc = finish(&rec, epochs_lost, err);
    }
    ox_arena_fini(&rec.arena);
    return rc;
}

/* ---- producers ---- */

ox_code
plog_write_snapshot(struct plog *plog, int64_t offset, const struct text *bytes, bool sync,
    struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    struct file *file;
    log_segment_path(path, plog->path, offset, ".snapshot");
    ox_code rc = fs_open(plog->fs, "snapshot.open", path,
        FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file, err);
    if (rc != OX_OK)
        return rc;
    rc = file_pwrite(plog->fs, "snapshot.write", file, bytes->ptr, bytes->len, 0, err);
    if (rc == OX_OK && sync)
        rc = fs_sync(plog->fs, "snapshot.sync", file, err);
    fs_close(plog->fs, file);
    return rc;
}

/* Snapshot offsets in the directory, rising. */
static ox_code
list_snapshots(struct plog *plog, struct arena *arena, int64_t **out, size_t *count,
    struct ox_err *err)
{
    struct file_name *names;
    size_t name_count;
    ox_code rc = fs_list(plog->fs, plog->path, arena, &names, &name_count, err);
    *count = 0;
    if (rc != OX_OK)
        return rc;
    *out = ox_arena_array(arena, int64_t, name_count + 1);
    for (size_t i = 0; i < name_count; i++)
        if (name_base(names[i].name, &(*out)[*count]) &&
            strcmp(names[i].name + 20, ".snapshot") == 0)
            (*count)++;
    return OX_OK;
}

static ox_code
unlink_snapshot(struct plog *plog, int64_t offset, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    log_segment_path(path, plog->path, offset, ".snapshot");
    ox_code rc = fs_unlink(plog->fs, "snapshot.unlink", path, err);
    return rc == OX_FILE_NOT_FOUND ? OX_OK : rc;
}

void
plog_prune_snapshots(struct plog *plog, int64_t keep_from)
{
    struct arena arena;
    int64_t *offsets;
    size_t count;
    ox_arena_init(&arena);
    if (list_snapshots(plog, &arena, &offsets, &count, NULL) == OX_OK)
        for (size_t i = 0; i + 2 < count && offsets[i + 1] <= keep_from; i++)
            unlink_snapshot(plog, offsets[i], NULL);
    ox_arena_fini(&arena);
}

/* Loads the newest snapshot that is good; *from is its offset, or -1. Those that
 * are bad or above the log end go: one that stayed would be believed when the
 * log has grown past it again. One above the recovery point is not used: only
 * below it the index of aborted transactions is known to be on disk, what is
 * missing of it comes back by replaying the markers. */
static ox_code
load_snapshot(struct plog *plog, struct arena *arena, const int64_t *offsets, size_t count,
    int64_t *from, struct ox_err *err)
{
    bool removed = false;
    *from = -1;
    for (size_t i = count; i-- > 0;) {
        char path[PATH_LEN_MAX], *ptr;
        size_t len;
        log_segment_path(path, plog->path, offsets[i], ".snapshot");
        if (offsets[i] > plog->recovery_point && offsets[i] <= plog_log_end(plog))
            continue;
        if (offsets[i] <= plog_log_end(plog) &&
            file_read_all(plog->fs, path, 256u << 20, arena, &ptr, &len, NULL) == OX_OK &&
            producers_decode(&plog->producers, ptr, len, NULL) == OX_OK) {
            *from = offsets[i];
            break;
        }
        ox_code rc = plog->fault == OX_OK ? unlink_snapshot(plog, offsets[i], err) : OX_OK;
        if (rc != OX_OK)
            return rc;
        removed |= plog->fault == OX_OK;
    }
    if (*from < 0)
        producers_clear(&plog->producers);
    return removed ? fs_sync_dir(plog->fs, "snapshot.unlink", plog->path, err) : OX_OK;
}

/* Control batches are read whole: the marker is in the record. Gives buf. */
static ox_code
read_control(struct log_segment *seg, const struct header_walk *walk, struct record_batch *batch,
    struct buf **buf, struct ox_err *err)
{
    size_t len = walk->batch.bytes, got;
    if (len > 1 << 20)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "control batch has %zu bytes", len);
    *buf = ox_buf_new(len);
    ox_code rc = fs_pread(seg->fs, seg->file, (*buf)->ptr, len, walk->batch_pos, &got, err);
    return rc == OX_OK ? record_batch_check((*buf)->ptr, got, batch, err) : rc;
}

static ox_code
apply_at(struct plog *plog, struct log_segment *seg, const struct header_walk *walk,
    struct ox_err *err)
{
    struct record_batch batch = walk->batch;
    struct buf *buf = NULL;
    ox_code rc = OX_OK;
    if (record_batch_is_control(&batch))
        rc = read_control(seg, walk, &batch, &buf, err);
    if (rc == OX_OK)
        rc = plog_apply(plog, seg, &batch, err);
    ox_buf_put(buf);
    return rc;
}

/* ---- an index of aborted transactions that is damaged ---- */

/* What one batch does to the producers; a transaction that it aborts goes into the index. */
static ox_code
follow_txns(struct producers *producers, struct log_segment *seg, const struct header_walk *walk,
    struct log_segment *into, struct ox_err *err)
{
    struct record_batch batch = walk->batch;
    struct control_record control = {CONTROL_UNKNOWN, -1};
    struct log_aborted_txn aborted;
    struct buf *buf = NULL;
    ox_code rc = OX_OK;
    if (batch.producer_id < 0 || (record_batch_is_control(&batch) && batch.count == 0))
        return OX_OK;
    if (record_batch_is_control(&batch))
        rc = read_control(seg, walk, &batch, &buf, err);
    if (rc == OX_OK && record_batch_is_control(&batch))
        rc = record_batch_control(&batch, &control, err);
    if (rc == OX_OK && producers_update(producers, &batch, &control, &aborted) && seg == into)
        log_segment_add_aborted(into, &aborted);
    ox_buf_put(buf);
    return rc;
}

ox_code
plog_load_aborted(struct plog *plog, struct log_segment *seg, struct ox_err *err)
{
    struct producers producers;
    ox_code rc = log_segment_load_aborted(seg, err);
    if (rc != OX_DATA_CORRUPTED)
        return rc;
    ox_warn("index of aborted transactions is damaged, it is made again", "segment=%s", seg->path);
    producers_init(&producers);
    rc = OX_OK;
    for (uint32_t i = 0; i < plog->segment_count && rc == OX_OK; i++) {
        struct log_segment *from = plog->segments[i];
        struct header_walk walk;
        bool more;
        header_walk_init(&walk, from, 0, from->size);
        while (rc == OX_OK && (rc = header_walk_next(&walk, &more, err)) == OX_OK && more)
            rc = follow_txns(&producers, from, &walk, seg, err);
        if (from == seg)
            break;
    }
    producers_fini(&producers);
    if (rc != OX_OK)
        seg->aborted_count = 0;
    seg->aborted_written = UINT32_MAX;
    seg->aborted_loaded = rc == OX_OK;
    return rc;
}

/* The batches just before the snapshot at `from`, for producers that send them
 * again. Derived and best effort: what cannot be read is not recalled. */
static void
recall_batches(struct plog *plog, int64_t from)
{
    int i = plog_segment_at(plog, from - 1);
    uint64_t end, pos = 0;
    struct header_walk walk;
    bool more;
    if (i < 0 || plog->producers.by_id.count == 0)
        return;
    struct log_segment *seg = plog->segments[i];
    end = seg->size;
    if (log_segment_lookup(seg, from, &end, NULL) != OX_OK ||
        log_segment_lookup_pos(seg, end > RECALL_BYTES ? end - RECALL_BYTES : 0, &pos, NULL) !=
            OX_OK)
        return;
    header_walk_init(&walk, seg, pos, seg->size);
    while (header_walk_next(&walk, &more, NULL) == OX_OK && more && walk.batch.base_offset < from)
        if (walk.batch.producer_id >= 0)
            producers_recall(&plog->producers, &walk.batch);
    producers_recalled(&plog->producers);
}

ox_code
plog_rebuild_producers(struct plog *plog, struct ox_err *err)
{
    struct arena arena;
    int64_t *offsets;
    size_t count;
    ox_arena_init(&arena);
    producers_clear(&plog->producers);
    ox_code rc = list_snapshots(plog, &arena, &offsets, &count, err);
    int64_t from = -1;
    if (rc == OX_OK)
        rc = load_snapshot(plog, &arena, offsets, count, &from, err);
    ox_arena_fini(&arena);
    plog->producers.snapshot_offset = from;
    plog->producers.changed = false;
    plog->producers.now_ms = env_wall_ms(plog->dir->env);
    if (rc == OX_OK && from > 0)
        recall_batches(plog, from);
    /* From the snapshot on, whatever the log start: a batch may straddle it. */
    int64_t start = OX_MAX(from, plog->segments[0]->base_offset);
    for (int i = OX_MAX(plog_segment_at(plog, start), 0);
         i < (int)plog->segment_count && rc == OX_OK; i++) {
        struct log_segment *seg = plog->segments[i];
        struct header_walk walk;
        uint64_t pos = 0;
        bool more;
        rc = log_segment_lookup(seg, start, &pos, err);
        header_walk_init(&walk, seg, pos, rc == OX_OK ? seg->size : 0);
        while (rc == OX_OK && (rc = header_walk_next(&walk, &more, err)) == OX_OK && more)
            if (walk.batch.base_offset >= start)
                rc = apply_at(plog, seg, &walk, err);
    }
    producers_expire(&plog->producers, env_wall_ms(plog->dir->env),
        plog->config.producer_id_expiration_ms);
    plog_first_unstable_changed(plog);
    return rc;
}
