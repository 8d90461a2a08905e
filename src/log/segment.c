/* SPDX-License-Identifier: Apache-2.0
 *
 * One segment: the .log file and its indexes.
 *
 *   name   %020lld of the base offset, then .log .index .timeindex .txnindex
 *   bytes  batches back to back; [0, size) are whole ones
 *
 * A segment is counted: its plog, queued batches, ranges and cursors hold it,
 * and a file that was renamed or unlinked serves them to the end.
 *
 * 1. flushed <= size, and only size grows while the segment is active.
 * 2. A sealed segment's size, next_offset and indexes do not change.
 * 3. Bytes at or above unverified_end were checked when they came in. */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

enum { VERIFY_READ = 256 * 1024, RESERVE_FROM = 1 << 20, RESERVE_MAX = 16 << 20 };

void
log_segment_path(char to[PATH_LEN_MAX], const char *dir, int64_t base, const char *suffix)
{
    snprintf(to, PATH_LEN_MAX, "%s/%020lld%s", dir, (long long)base, suffix);
}

static ox_code
open_suffixed(struct file_system *fs, const char *dir, int64_t base, bool create,
    const char *suffix, struct log_segment **out, struct ox_err *err)
{
    char path[PATH_LEN_MAX], ending[32];
    struct file *file;
    snprintf(ending, sizeof(ending), ".log%s", suffix);
    log_segment_path(path, dir, base, ending);
    ox_code rc = fs_open(fs, create ? "segment.create" : "segment.open", path,
        FILE_READ | FILE_WRITE | (create ? FILE_CREATE | FILE_TRUNCATE : 0), &file, err);
    if (rc != OX_OK)
        return rc;
    struct log_segment *seg = ox_calloc(1, sizeof(*seg));
    atomic_init(&seg->refs, 1);
    seg->fs = fs;
    seg->file = file;
    path[strlen(path) - strlen(suffix)] = '\0';
    seg->path = ox_strdup(path);
    seg->suffix = suffix;
    seg->base_offset = seg->next_offset = base;
    seg->first_timestamp = seg->max_timestamp = seg->max_timestamp_offset = -1;
    seg->name_flushed = !create;
    seg->aborted_loaded = create;
    snprintf(ending, sizeof(ending), ".index%s", suffix);
    log_segment_path(path, dir, base, ending);
    log_index_init(&seg->index, fs, path, INDEX_ENTRY);
    snprintf(ending, sizeof(ending), ".timeindex%s", suffix);
    log_segment_path(path, dir, base, ending);
    log_index_init(&seg->times, fs, path, TIME_ENTRY);
    if (create) { /* in memory, also while they have no entries */
        log_index_load(&seg->index, NULL);
        log_index_load(&seg->times, NULL);
    }
    *out = seg;
    return OX_OK;
}

ox_code
log_segment_open(struct file_system *fs, const char *dir, int64_t base, bool create,
    struct log_segment **out, struct ox_err *err)
{
    return open_suffixed(fs, dir, base, create, "", out, err);
}

ox_code
log_segment_create_cleaned(struct file_system *fs, const char *dir, int64_t base,
    struct log_segment **out, struct ox_err *err)
{
    return open_suffixed(fs, dir, base, true, ".cleaned", out, err);
}

struct log_segment *
log_segment_get(struct log_segment *seg)
{
    uint32_t before = atomic_fetch_add_explicit(&seg->refs, 1, memory_order_relaxed);
    ox_assert(before > 0);
    return seg;
}

void
log_segment_put(struct log_segment *seg)
{
    if (seg == NULL)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&seg->refs, 1, memory_order_acq_rel);
    ox_assert(before > 0);
    if (before > 1)
        return;
    fs_close(seg->fs, seg->file);
    log_index_fini(&seg->index);
    log_index_fini(&seg->times);
    ox_free(seg->aborted);
    ox_free((void *)seg->verified);
    ox_free(seg->path);
    ox_free(seg);
}

/* A quarter of what is there, so that thousands of small segments do not take
 * the disk. */
void
log_segment_reserve(struct log_segment *seg, uint64_t end, uint64_t limit)
{
    if (ox_likely(end <= seg->reserved || end < RESERVE_FROM))
        return;
    uint64_t to = OX_MAX(OX_MIN(end + OX_MIN(end / 4, (uint64_t)RESERVE_MAX), limit), end);
    seg->reserved = fs_reserve(seg->fs, seg->file, seg->size, to - seg->size) ? to : UINT64_MAX;
}

void
log_segment_unreserve(struct log_segment *seg)
{
    /* Blocks may also be there from before a crash. */
    if (seg->size < RESERVE_FROM || seg->reserved == UINT64_MAX)
        return;
    (void)fs_reserve(seg->fs, seg->file, seg->size, 0);
    seg->reserved = 0;
}

static void
add_time(struct log_segment *seg)
{
    uint8_t entry[TIME_ENTRY];
    if (seg->max_timestamp < 0)
        return;
    if (seg->times.count > 0) {
        memcpy(entry, seg->times.entries + (size_t)(seg->times.count - 1) * TIME_ENTRY,
            TIME_ENTRY);
        if ((int64_t)wire_load64(entry) >= seg->max_timestamp)
            return;
    }
    wire_store64(entry, (uint64_t)seg->max_timestamp);
    wire_store32(entry + 8, (uint32_t)(seg->max_timestamp_offset - seg->base_offset));
    log_index_add(&seg->times, entry);
}

void
log_segment_added(struct log_segment *seg, const struct record_batch *batch, uint64_t pos,
    int32_t interval)
{
    ox_assert(pos == seg->size);
    ox_assert(batch->base_offset >= seg->next_offset);
    int64_t last = record_batch_last_offset(batch);
    if (seg->size == 0)
        seg->first_timestamp = batch->max_timestamp;
    if (batch->max_timestamp > seg->max_timestamp) {
        seg->max_timestamp = batch->max_timestamp;
        seg->max_timestamp_offset = last;
    }
    /* One entry for about so many bytes, never for the very first batch:
     * position 0 needs none. */
    if (seg->unindexed > (uint64_t)interval) {
        uint8_t entry[INDEX_ENTRY];
        wire_store32(entry, (uint32_t)(last - seg->base_offset));
        wire_store32(entry + 4, (uint32_t)pos);
        log_index_add(&seg->index, entry);
        add_time(seg);
        seg->unindexed = 0;
    }
    seg->unindexed += batch->bytes;
    seg->size = pos + batch->bytes;
    seg->next_offset = last + 1;
}

void
log_segment_end_times(struct log_segment *seg)
{
    if (seg->times.entries != NULL || seg->times.count == 0)
        add_time(seg);
}

/* The number of entries whose key is <= bound; keys are read by key_of. */
static ox_code
count_upto(struct log_index *index, int64_t bound, int64_t (*key_of)(const uint8_t *entry),
    uint8_t *last, uint32_t *count, struct ox_err *err)
{
    uint32_t low = 0, high = index->count;
    uint8_t entry[TIME_ENTRY];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        ox_code rc = log_index_get(index, middle, entry, err);
        if (rc != OX_OK)
            return rc;
        if (key_of(entry) <= bound) {
            low = middle + 1;
            memcpy(last, entry, index->entry_len);
        } else {
            high = middle;
        }
    }
    *count = low;
    return OX_OK;
}

static int64_t
key_offset(const uint8_t *entry)
{
    return wire_load32(entry);
}

static int64_t
key_pos(const uint8_t *entry)
{
    return wire_load32(entry + 4);
}

static int64_t
key_time(const uint8_t *entry)
{
    return (int64_t)wire_load64(entry);
}

ox_code
log_segment_lookup(struct log_segment *seg, int64_t offset, uint64_t *pos, struct ox_err *err)
{
    uint8_t entry[TIME_ENTRY];
    uint32_t count;
    ox_code rc =
        count_upto(&seg->index, offset - seg->base_offset, key_offset, entry, &count, err);
    *pos = rc == OX_OK && count > 0 ? wire_load32(entry + 4) : 0;
    return rc;
}

ox_code
log_segment_lookup_pos(struct log_segment *seg, uint64_t pos, uint64_t *found,
    struct ox_err *err)
{
    uint8_t entry[TIME_ENTRY];
    uint32_t count;
    ox_code rc = count_upto(&seg->index, (int64_t)pos, key_pos, entry, &count, err);
    *found = rc == OX_OK && count > 0 ? wire_load32(entry + 4) : 0;
    return rc;
}

ox_code
log_segment_lookup_time(struct log_segment *seg, int64_t timestamp, int64_t *offset,
    struct ox_err *err)
{
    uint8_t entry[TIME_ENTRY];
    uint32_t count;
    ox_code rc = count_upto(&seg->times, timestamp, key_time, entry, &count, err);
    *offset = seg->base_offset;
    if (rc == OX_OK && count > 0)
        *offset += wire_load32(entry + 8);
    return rc;
}

/* ---- trust ---- */

void
log_segment_distrust(struct log_segment *seg, uint64_t end)
{
    seg->unverified_end = end;
    if (end == 0 || seg->verified != NULL)
        return;
    size_t words = (end / VERIFY_CHUNK) / 64 + 1;
    seg->verified = ox_calloc(words, sizeof(*seg->verified));
}

bool
log_segment_trusted(const struct log_segment *seg, uint64_t pos)
{
    if (pos >= seg->unverified_end)
        return true;
    uint64_t chunk = pos / VERIFY_CHUNK;
    uint64_t word = atomic_load_explicit(&seg->verified[chunk / 64], memory_order_acquire);
    return (word >> (chunk % 64)) & 1;
}

/* Checks the batch whose header was just walked over. */
static ox_code
check_bytes(struct log_segment *seg, const struct header_walk *walk, struct buf **buf,
    struct ox_err *err)
{
    size_t len = walk->batch.bytes, got;
    if (*buf == NULL || (*buf)->cap < len) {
        ox_buf_put(*buf);
        *buf = ox_buf_new(OX_MAX(len, (size_t)VERIFY_READ));
    }
    ox_code rc = fs_pread(seg->fs, seg->file, (*buf)->ptr, len, walk->batch_pos, &got, err);
    if (rc != OX_OK)
        return rc;
    struct record_batch batch;
    if (record_batch_check((*buf)->ptr, got, &batch, NULL) == OX_OK)
        return OX_OK;
    return ox_fail(err, OX_CORRUPT_MESSAGE,
        "batch at offset %lld, position %llu of \"%s\" has a wrong checksum",
        (long long)walk->batch.base_offset, (unsigned long long)walk->batch_pos, seg->path);
}

ox_code
log_segment_verify(struct log_segment *seg, uint64_t start, uint64_t pos, uint64_t end,
    uint64_t size, struct ox_err *err)
{
    uint64_t first = pos / VERIFY_CHUNK, last = (OX_MAX(end, pos + 1) - 1) / VERIFY_CHUNK;
    bool all = true;
    for (uint64_t chunk = first; chunk <= last && all; chunk++)
        all = log_segment_trusted(seg, chunk * VERIFY_CHUNK);
    if (all)
        return OX_OK;
    /* start is at or before the first batch that starts in the first chunk. */
    struct header_walk walk;
    header_walk_init(&walk, seg, start, OX_MIN(size, seg->unverified_end));
    struct buf *buf = NULL;
    uint64_t limit = (last + 1) * VERIFY_CHUNK;
    bool more;
    ox_code rc;
    while ((rc = header_walk_next(&walk, &more, err)) == OX_OK && more && walk.batch_pos < limit) {
        if (walk.batch_pos < first * VERIFY_CHUNK || log_segment_trusted(seg, walk.batch_pos))
            continue;
        rc = check_bytes(seg, &walk, &buf, err);
        if (rc != OX_OK)
            break;
    }
    ox_buf_put(buf);
    if (rc != OX_OK)
        return rc;
    for (uint64_t chunk = first; chunk <= last && chunk * VERIFY_CHUNK < seg->unverified_end;
         chunk++)
        atomic_fetch_or_explicit(&seg->verified[chunk / 64], (uint64_t)1 << (chunk % 64),
            memory_order_release);
    return OX_OK;
}

/* ---- walking headers ---- */

void
header_walk_init(struct header_walk *walk, struct log_segment *seg, uint64_t pos, uint64_t end)
{
    walk->seg = seg;
    walk->pos = walk->batch_pos = pos;
    walk->end = end;
    walk->next_offset = seg->base_offset;
    walk->buffer = walk->space;
    walk->buffer_pos = pos;
    walk->buffer_len = 0;
    /* The first read is small: lookups end within one index interval, scans
     * over large batches want just the headers. It widens over small ones. */
    walk->window = 512;
}

/* How much to read next: just a header where the batches are large, a page or
 * more (the caller's buffer) where they are small. */
static size_t
next_window(const struct header_walk *walk, uint64_t skip)
{
    if (walk->batch.bytes >= 2048 || skip >= walk->buffer_len + 2048)
        return RECORD_BATCH_HEADER;
    return walk->buffer == walk->space ? sizeof(walk->space) : HEADER_WALK_WIDE;
}

static ox_code
fill(struct header_walk *walk, struct ox_err *err)
{
    size_t want = OX_MIN((uint64_t)walk->window, walk->end - walk->pos);
    ox_code rc = fs_pread(walk->seg->fs, walk->seg->file, walk->buffer, want, walk->pos,
        &walk->buffer_len, err);
    walk->buffer_pos = walk->pos;
    return rc;
}

ox_code
header_walk_next(struct header_walk *walk, bool *more, struct ox_err *err)
{
    *more = false;
    if (walk->pos >= walk->end)
        return OX_OK;
    uint64_t skip = walk->pos - walk->buffer_pos;
    if (skip + RECORD_BATCH_HEADER > walk->buffer_len) {
        if (walk->buffer_len > 0)
            walk->window = next_window(walk, skip);
        ox_code rc = fill(walk, err);
        if (rc != OX_OK)
            return rc;
        skip = 0;
    }
    ox_code rc =
        record_batch_decode(walk->buffer + skip, walk->buffer_len - skip, &walk->batch, err);
    if (rc == OX_OK && (walk->batch.bytes > walk->end - walk->pos ||
                           !log_batch_fits(&walk->batch, walk->next_offset)))
        rc = ox_fail_plain(err, OX_CORRUPT_MESSAGE);
    if (rc != OX_OK)
        return ox_fail(err, rc, "no valid batch at position %llu of \"%s\"",
            (unsigned long long)walk->pos, walk->seg->path);
    walk->batch_pos = walk->pos;
    walk->pos += walk->batch.bytes;
    walk->next_offset = record_batch_next_offset(&walk->batch);
    *more = true;
    return OX_OK;
}

/* ---- aborted transactions ---- */

static void
aborted_path(const struct log_segment *seg, char to[PATH_LEN_MAX])
{
    size_t len = strlen(seg->path) - strlen(".log");
    snprintf(to, PATH_LEN_MAX, "%.*s.txnindex%s", (int)len, seg->path, seg->suffix);
}

void
log_segment_add_aborted(struct log_segment *seg, const struct log_aborted_txn *txn)
{
    if (seg->aborted_count == seg->aborted_cap) {
        seg->aborted_cap = OX_MAX(seg->aborted_cap * 2, 16u);
        seg->aborted =
            ox_realloc(seg->aborted, ox_size_mul(seg->aborted_cap, sizeof(*seg->aborted)));
    }
    seg->aborted[seg->aborted_count++] = *txn;
}

void
log_segment_cut_aborted(struct log_segment *seg, int64_t next)
{
    while (seg->aborted_count > 0 && seg->aborted[seg->aborted_count - 1].last_offset >= next) {
        seg->aborted_count--;
        seg->aborted_written = UINT32_MAX; /* the file has too much */
    }
}

/* The file has no checksum: what a power cut leaves of it may be zeros. */
static bool
aborted_fits(const struct log_segment *seg, const struct log_aborted_txn *txn)
{
    int64_t least = seg->aborted_count > 0 ? seg->aborted[seg->aborted_count - 1].last_offset + 1
                                           : seg->base_offset;
    return txn->producer_id >= 0 && txn->first_offset >= 0 &&
           txn->first_offset < txn->last_offset && txn->last_offset >= least;
}

ox_code
log_segment_load_aborted(struct log_segment *seg, struct ox_err *err)
{
    if (seg->aborted_loaded)
        return OX_OK;
    char path[PATH_LEN_MAX], *ptr;
    size_t len;
    struct arena arena;
    aborted_path(seg, path);
    ox_arena_init(&arena);
    ox_code rc = file_read_all(seg->fs, path, 256u << 20, &arena, &ptr, &len, err);
    if (rc == OX_FILE_NOT_FOUND) {
        rc = OX_OK;
        len = 0;
    }
    if (rc == OX_OK && len % TXN_ENTRY != 0)
        rc = ox_fail(err, OX_DATA_CORRUPTED, "index \"%s\" has %zu bytes", path, len);
    struct wire_in in = wire_in(len > 0 ? ptr : "", rc == OX_OK ? len : 0);
    while (rc == OX_OK && wire_left(&in) > 0) {
        struct log_aborted_txn txn;
        int16_t version = wire_get16(&in);
        txn.producer_id = wire_get64(&in);
        txn.first_offset = wire_get64(&in);
        txn.last_offset = wire_get64(&in);
        txn.last_stable = wire_get64(&in);
        if (version != 0 || !aborted_fits(seg, &txn))
            rc = ox_fail(err, OX_DATA_CORRUPTED, "index \"%s\" has a bad entry", path);
        else
            log_segment_add_aborted(seg, &txn);
    }
    if (rc != OX_OK)
        seg->aborted_count = 0;
    seg->aborted_written = seg->aborted_count;
    log_segment_cut_aborted(seg, seg->next_offset); /* a truncation that was cut short */
    seg->aborted_loaded = rc == OX_OK;
    ox_arena_fini(&arena);
    return rc;
}

ox_code
log_segment_write_aborted(struct log_segment *seg, bool sync, struct ox_err *err)
{
    if (!seg->aborted_loaded || seg->aborted_written == seg->aborted_count)
        return OX_OK;
    char path[PATH_LEN_MAX];
    struct file *file;
    struct text text;
    aborted_path(seg, path);
    ox_code rc = fs_open(seg->fs, "txnindex.open", path, FILE_WRITE | FILE_CREATE, &file, err);
    if (rc != OX_OK)
        return rc;
    ox_text_init(&text, NULL);
    struct wire_out out = wire_out(&text);
    for (uint32_t i = 0; i < seg->aborted_count; i++) {
        wire_put16(&out, 0);
        wire_put64(&out, seg->aborted[i].producer_id);
        wire_put64(&out, seg->aborted[i].first_offset);
        wire_put64(&out, seg->aborted[i].last_offset);
        wire_put64(&out, seg->aborted[i].last_stable);
    }
    rc = fs_truncate(seg->fs, "txnindex.trim", file, text.len, err);
    if (rc == OX_OK)
        rc = file_pwrite(seg->fs, "txnindex.write", file, text.ptr, text.len, 0, err);
    if (rc == OX_OK && sync)
        rc = fs_sync(seg->fs, "txnindex.sync", file, err);
    if (rc == OX_OK)
        seg->aborted_written = seg->aborted_count;
    fs_close(seg->fs, file);
    ox_text_fini(&text);
    return rc;
}

/* ---- going away ---- */

static const char *const suffixes[] = {".txnindex", ".timeindex", ".index", ".log"};

ox_code
log_segment_condemn(struct log_segment *seg, struct log_dir *dir, int64_t due_ms,
    struct ox_err *err)
{
    size_t stem = strlen(seg->path) - strlen(".log");
    for (size_t i = ox_count(suffixes); i-- > 0;) { /* the data first: the rest is derived */
        char from[PATH_LEN_MAX], to[PATH_LEN_MAX];
        snprintf(from, sizeof(from), "%.*s%s", (int)stem, seg->path, suffixes[i]);
        if (snprintf(to, sizeof(to), "%s.deleted", from) >= (int)sizeof(to))
            return ox_fail(err, OX_LIMIT_EXCEEDED, "path \"%s\" is too long", from);
        ox_code rc = fs_rename(seg->fs, "segment.delete", from, to, err);
        if (rc == OX_FILE_NOT_FOUND && strcmp(suffixes[i], ".log") != 0)
            continue;
        if (rc != OX_OK)
            return rc;
        log_dir_condemn(dir, to, false, due_ms);
    }
    return OX_OK;
}

static void
follow_rename(char **path, const char *to)
{
    ox_free(*path);
    *path = ox_strdup(to);
}

ox_code
log_segment_resuffix(struct log_segment *seg, const char *suffix, struct ox_err *err)
{
    size_t stem = strlen(seg->path) - strlen(".log");
    for (size_t i = 0; i < ox_count(suffixes); i++) {
        char from[PATH_LEN_MAX], to[PATH_LEN_MAX];
        snprintf(from, sizeof(from), "%.*s%s%s", (int)stem, seg->path, suffixes[i], seg->suffix);
        snprintf(to, sizeof(to), "%.*s%s%s", (int)stem, seg->path, suffixes[i], suffix);
        ox_code rc = fs_rename(seg->fs, "segment.swap", from, to, err);
        if (rc == OX_FILE_NOT_FOUND && strcmp(suffixes[i], ".log") != 0)
            continue;
        if (rc != OX_OK)
            return rc;
        if (strcmp(from, seg->index.path) == 0)
            follow_rename(&seg->index.path, to);
        else if (strcmp(from, seg->times.path) == 0)
            follow_rename(&seg->times.path, to);
    }
    seg->suffix = suffix;
    return OX_OK;
}

ox_code
log_segment_unlink(struct log_segment *seg, struct ox_err *err)
{
    size_t stem = strlen(seg->path) - strlen(".log");
    for (size_t i = ox_count(suffixes); i-- > 0;) {
        char path[PATH_LEN_MAX];
        snprintf(path, sizeof(path), "%.*s%s%s", (int)stem, seg->path, suffixes[i], seg->suffix);
        ox_code rc = fs_unlink(seg->fs, "segment.unlink", path, err);
        if (rc != OX_OK && rc != OX_FILE_NOT_FOUND)
            return rc;
    }
    return OX_OK;
}
