/* SPDX-License-Identifier: Apache-2.0
 *
 * The write-ahead log of a log directory: one file to flush instead of one per
 * partition. Batches of flush=ack logs are written to their segment (page
 * cache) and queued here; the flusher takes the whole queue, appends it to the
 * current file in one go and flushes that once.
 *
 *   oxbow-wal-SEQ   512 bytes: magic, version, crc, directory id, seq, end of
 *                   the file before; then entries, 8-aligned
 *   entry           80 bytes (see put_header), then the batch as it lies in the
 *                   segment. lsn = seq << 32 | position.
 *
 * A round flushes segments directly, without a copy here, when it is large and
 * touches few files, when a batch is too large for a file, and when a log has
 * unflushed bytes that are not in the queue (it was lazy a moment ago).
 *
 * Files are used again, and a new one is written with zeros some way ahead: a
 * flush of a file that does not grow is a third cheaper. Old entries in such a
 * file are told by their lsn.
 *
 * 1. A batch counts as flushed only when everything of its log below it is on
 *    disk, in segments or here (`covered`).
 * 2. A file is begun only after the one before was flushed.
 * 3. Replay writes batches back where they were; entries that a WAL_VOID follows
 *    are skipped. It needs the newest unbroken run of files: a shorter history
 *    is always safe, since recycling drops the oldest first.
 * 4. Without dir->round nobody but the queue's users touches anything here. */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/diag.h"
#include "base/fault.h"

enum {
    FILE_HEADER = 512,
    ENTRY_HEADER = 80,
    ENTRY_MAGIC = 0x4F58574C, /* OXWL */
    FILE_VERSION = 1,
    IOV_MAX_AT_ONCE = 60,
    ITEMS_AT_ONCE = 20, /* three iovecs each */
    QUEUE_WAKE_BYTES = 4 << 20,
    LARGE_BATCH = 64 << 10,
    SPARES_MAX = 2,
    ZEROS = 64 << 10,
    ZEROS_AHEAD = 8, /* times ZEROS */
    PREPARE_PIECE = 256 << 10,
    PREPARE_PAUSE_US = 2000,
};

static const char FILE_MAGIC[8] = {'O', 'X', 'B', 'O', 'W', 'W', 'A', 'L'};
static const uint8_t zeros[ZEROS];

void
log_wal_init(struct log_dir *dir)
{
    struct wal *wal = &dir->wal;
    ox_lock_init(&wal->lock, LOCK_WAL);
    ox_list_init(&wal->files);
    ox_list_init(&wal->spares);
    wal->seq_next = 1;
    wal->begin_new = true;
}

static void
free_files(struct log_dir *dir, struct list *list)
{
    struct list *node;
    while ((node = ox_list_pop(list)) != NULL) {
        struct wal_file *file = ox_container_of(node, struct wal_file, link);
        if (file->file != NULL)
            fs_close(dir->fs, file->file);
        ox_free(file);
    }
}

static void
release_items(struct wal_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ox_buf_put(items[i].buf);
        log_segment_put(items[i].seg);
        plog_put(items[i].plog);
    }
}

void
log_wal_fini(struct log_dir *dir)
{
    struct wal *wal = &dir->wal;
    release_items(wal->queue, wal->queue_count);
    free_files(dir, &wal->files);
    free_files(dir, &wal->spares);
    ox_free(wal->queue);
    ox_free(wal->taken);
    ox_free(wal->slots);
    ox_lock_fini(&wal->lock);
}

/* ---- the queue ---- */

void
log_wal_enqueue(struct log_dir *dir, const struct wal_item *item, bool soon)
{
    struct wal *wal = &dir->wal;
    ox_lock(&wal->lock);
    if (wal->queue_count == wal->queue_cap) {
        wal->queue_cap = OX_MAX(wal->queue_cap * 2, 64u);
        wal->queue = ox_realloc(wal->queue, ox_size_mul(wal->queue_cap, sizeof(*wal->queue)));
    }
    bool first = wal->queue_count == 0, was_soon = wal->soon;
    struct wal_item *slot = &wal->queue[wal->queue_count++];
    *slot = *item;
    plog_get(slot->plog);
    log_segment_get(slot->seg);
    /* Its segment will be flushed instead: a large batch is worth that sooner. */
    size_t most = dir->config.flush_queue_bytes_max / (slot->len >= LARGE_BATCH ? 16 : 1);
    if (slot->buf != NULL && wal->queue_bytes + slot->len > most)
        slot->buf = NULL;
    if (slot->buf != NULL) {
        ox_buf_get(slot->buf);
        wal->queue_bytes += slot->len;
    }
    wal->soon |= soon || wal->queue_bytes >= QUEUE_WAKE_BYTES;
    bool wake = first || wal->soon != was_soon;
    ox_unlock(&wal->lock);
    if (wake && dir->config.threads)
        log_dir_wake_flusher(dir);
}

/* Empties the queue into wal->taken; how many. */
static uint32_t
take_queue(struct wal *wal)
{
    ox_lock(&wal->lock);
    struct wal_item *items = wal->queue;
    uint32_t count = wal->queue_count, cap = wal->queue_cap;
    wal->queue = wal->taken;
    wal->queue_cap = wal->taken_cap;
    wal->queue_count = 0;
    wal->queue_bytes = 0;
    wal->soon = false;
    ox_unlock(&wal->lock);
    wal->taken = items;
    wal->taken_cap = cap;
    return count;
}

/* ---- files ---- */

static struct wal_file *
current_file(struct wal *wal)
{
    return ox_list_empty(&wal->files)
        ? NULL : ox_container_of(wal->files.prev, struct wal_file, link);
}

static void
file_path(struct log_dir *dir, char to[PATH_LEN_MAX], const char *kind, uint32_t seq)
{
    snprintf(to, PATH_LEN_MAX, "%s/oxbow-wal-%s%08x", dir->path, kind, seq);
}

static void
encode_file_header(struct log_dir *dir, uint8_t header[FILE_HEADER], uint32_t seq,
    uint32_t previous_end)
{
    memset(header, 0, FILE_HEADER);
    memcpy(header, FILE_MAGIC, 8);
    wire_store32(header + 8, FILE_VERSION);
    memcpy(header + 16, dir->id.bytes, 16);
    wire_store32(header + 32, seq);
    wire_store32(header + 36, previous_end);
    wire_store32(header + 12, ox_crc32c(0, header + 16, FILE_HEADER - 16));
}

/* A spare under its new name, or a new file. *written: how long it is. */
static ox_code
obtain_file(struct log_dir *dir, uint32_t seq, struct wal_file **out, uint64_t *written,
    struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    char path[PATH_LEN_MAX], from[PATH_LEN_MAX];
    file_path(dir, path, "", seq);
    struct list *node = ox_list_pop(&wal->spares);
    if (node != NULL) {
        struct wal_file *spare = ox_container_of(node, struct wal_file, link);
        wal->spare_count--;
        file_path(dir, from, "spare-", spare->seq);
        if (fs_size(dir->fs, spare->file, written, NULL) == OX_OK &&
            fs_rename(dir->fs, "wal.reuse", from, path, NULL) == OX_OK) {
            *out = spare;
            return OX_OK;
        }
        fs_close(dir->fs, spare->file);
        ox_free(spare);
    }
    struct file *file;
    ox_code rc = fs_open(dir->fs, "wal.create", path,
        FILE_READ | FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file, err);
    if (rc != OX_OK)
        return rc;
    *out = ox_calloc(1, sizeof(**out));
    (*out)->file = file;
    *written = FILE_HEADER;
    return OX_OK;
}

static ox_code
begin_file(struct log_dir *dir, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    uint8_t header[FILE_HEADER];
    struct wal_file *file;
    uint32_t seq = wal->seq_next;
    uint64_t written;
    ox_code rc = obtain_file(dir, seq, &file, &written, err);
    if (rc != OX_OK)
        return rc;
    file->seq = seq;
    encode_file_header(dir, header, seq, (uint32_t)wal->pos);
    rc = file_pwrite(dir->fs, "wal.header", file->file, header, sizeof(header), 0, err);
    if (rc == OX_OK)
        rc = fs_sync(dir->fs, "wal.header", file->file, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(dir->fs, "wal.header", dir->path, err);
    if (rc != OX_OK) {
        char path[PATH_LEN_MAX];
        file_path(dir, path, "", seq);
        fs_unlink(dir->fs, "wal.unlink", path, NULL);
        fs_close(dir->fs, file->file);
        ox_free(file);
        return rc;
    }
    ox_list_push(&wal->files, &file->link);
    wal->file_count++;
    wal->seq_next = seq + 1;
    wal->pos = FILE_HEADER;
    wal->written = written;
    wal->synced_lsn = (uint64_t)seq << 32 | FILE_HEADER;
    wal->begin_new = false;
    return OX_OK;
}

/* ---- entries ---- */

static size_t
entry_bytes(size_t len)
{
    return (ENTRY_HEADER + len + 7) & ~(size_t)7;
}

static void
put_header(uint8_t *to, enum wal_kind kind, uint64_t lsn, uint64_t synced_lsn,
    const struct plog *plog, const struct wal_item *item)
{
    uint32_t len = item != NULL && kind == WAL_BATCH ? item->len : 0;
    memset(to, 0, ENTRY_HEADER);
    wire_store32(to, ENTRY_MAGIC);
    wire_store64(to + 8, lsn);
    wire_store64(to + 16, synced_lsn);
    to[24] = (uint8_t)kind;
    wire_store32(to + 28, len);
    memcpy(to + 32, plog->topic_id.bytes, 16);
    wire_store32(to + 48, (uint32_t)plog->partition);
    if (item != NULL) {
        wire_store64(to + 56, (uint64_t)(item->seg != NULL ? item->seg->base_offset : 0));
        wire_store64(to + 64, item->pos);
        wire_store64(to + 72, (uint64_t)item->end_offset);
    }
    uint32_t crc = ox_crc32c(0, to + 8, ENTRY_HEADER - 8);
    if (len > 0)
        crc = ox_crc32c(crc, item->ptr, len);
    wire_store32(to + 4, crc);
}

bool
log_wal_decode(const uint8_t *ptr, size_t len, uint64_t lsn, struct wal_entry *out)
{
    if (len < ENTRY_HEADER || wire_load32(ptr) != ENTRY_MAGIC || wire_load64(ptr + 8) != lsn)
        return false;
    uint32_t payload = wire_load32(ptr + 28);
    if (payload > len - ENTRY_HEADER)
        return false;
    uint32_t crc = ox_crc32c(0, ptr + 8, ENTRY_HEADER - 8 + payload);
    if (crc != wire_load32(ptr + 4) || ptr[24] < WAL_BATCH || ptr[24] > WAL_FLUSHED)
        return false;
    out->kind = (enum wal_kind)ptr[24];
    out->lsn = lsn;
    out->synced_lsn = wire_load64(ptr + 16);
    memcpy(out->topic_id.bytes, ptr + 32, 16);
    out->partition = (int32_t)wire_load32(ptr + 48);
    out->seg_base = (int64_t)wire_load64(ptr + 56);
    out->pos = wire_load64(ptr + 64);
    out->end_offset = (int64_t)wire_load64(ptr + 72);
    out->payload = ptr + ENTRY_HEADER;
    out->len = payload;
    out->bytes = OX_MIN(entry_bytes(payload), len);
    return true;
}

/* ---- writing ---- */

/* Entries collected for one pwritev. */
struct gather {
    struct log_dir *dir;
    struct iovec iov[IOV_MAX_AT_ONCE];
    uint8_t headers[ITEMS_AT_ONCE][ENTRY_HEADER];
    int iov_count, item_count;
    uint64_t start; /* position of the first */
};

/* Zeros after the entries, so that the next flushes find the file as long as
 * they need it. It may fail: the entries are what counts. */
static void
write_ahead(struct log_dir *dir)
{
    struct wal *wal = &dir->wal;
    struct iovec iov[ZEROS_AHEAD];
    uint64_t len = 0;
    for (int i = 0; i < ZEROS_AHEAD; i++) {
        uint64_t left = dir->config.wal_file_bytes - OX_MIN(wal->pos + len,
            (uint64_t)dir->config.wal_file_bytes);
        iov[i] = (struct iovec){(void *)(uintptr_t)zeros, OX_MIN(left, (uint64_t)ZEROS)};
        len += iov[i].iov_len;
    }
    wal->written = wal->pos + len;
    if (len > 0)
        fs_pwritev(dir->fs, "wal.zeros", current_file(wal)->file, iov, ZEROS_AHEAD, wal->pos,
            NULL);
}

static ox_code
write_gather(struct gather *gather, struct ox_err *err)
{
    struct wal *wal = &gather->dir->wal;
    if (gather->iov_count == 0)
        return OX_OK;
    ox_code rc = fs_pwritev(gather->dir->fs, "wal.append", current_file(wal)->file, gather->iov,
        gather->iov_count, gather->start, err);
    gather->iov_count = gather->item_count = 0;
    /* A large piece grows the file as it goes: zeros would double its cost. */
    if (rc == OX_OK && wal->pos > wal->written && wal->pos - gather->start <= 2 * ZEROS)
        write_ahead(gather->dir);
    return rc;
}

static ox_code
sync_file(struct log_dir *dir, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    struct wal_file *file = current_file(wal);
    ox_code rc = ox_fault("log.fsync");
    if (rc != OX_OK)
        ox_fail_plain(err, rc);
    else if (ox_fault("log.wrong_flush") == OX_OK) /* for the tests: none, and nobody is told */
        rc = fs_sync(dir->fs, "wal.sync", file->file, err);
    if (rc != OX_OK)
        return log_dir_fail(dir, rc, err);
    wal->synced_lsn = (uint64_t)file->seq << 32 | wal->pos;
    atomic_fetch_add(&dir->wal_flushes, 1);
    return OX_OK;
}

/* Room for an entry in the current file, beginning the next if need be. */
static ox_code
make_room(struct gather *gather, size_t bytes, struct ox_err *err)
{
    struct log_dir *dir = gather->dir;
    struct wal *wal = &dir->wal;
    if (!wal->begin_new && wal->pos + bytes <= dir->config.wal_file_bytes)
        return OX_OK;
    ox_code rc = OX_OK;
    if (!wal->begin_new) {
        rc = write_gather(gather, err);
        if (rc == OX_OK)
            rc = sync_file(dir, err);
    }
    return rc == OX_OK ? begin_file(dir, err) : rc;
}

static ox_code
add_entry(struct gather *gather, enum wal_kind kind, const struct plog *plog,
    const struct wal_item *item, struct ox_err *err)
{
    struct wal *wal = &gather->dir->wal;
    uint32_t len = kind == WAL_BATCH ? item->len : 0;
    size_t bytes = entry_bytes(len);
    ox_code rc = make_room(gather, bytes, err);
    if (rc == OX_OK && gather->item_count == ITEMS_AT_ONCE)
        rc = write_gather(gather, err);
    if (rc != OX_OK)
        return rc;
    if (gather->iov_count == 0)
        gather->start = wal->pos;
    uint8_t *header = gather->headers[gather->item_count++];
    uint64_t lsn = (uint64_t)current_file(wal)->seq << 32 | wal->pos;
    put_header(header, kind, lsn, wal->synced_lsn, plog, item);
    gather->iov[gather->iov_count++] = (struct iovec){header, ENTRY_HEADER};
    if (len > 0)
        gather->iov[gather->iov_count++] =
            (struct iovec){(void *)(uintptr_t)item->ptr, len};
    if (bytes > ENTRY_HEADER + len)
        gather->iov[gather->iov_count++] =
            (struct iovec){(void *)(uintptr_t)zeros, bytes - ENTRY_HEADER - len};
    wal->pos += bytes;
    atomic_fetch_add(&wal->bytes, bytes);
    return OX_OK;
}

/* ---- one round ---- */

static struct wal_slot *
slot_of(struct wal *wal, struct plog *plog)
{
    if (plog->round == wal->round)
        return &wal->slots[plog->round_slot];
    if (wal->slot_count == wal->slot_cap) {
        wal->slot_cap = OX_MAX(wal->slot_cap * 2, 16u);
        wal->slots = ox_realloc(wal->slots, ox_size_mul(wal->slot_cap, sizeof(*wal->slots)));
    }
    plog->round = wal->round;
    plog->round_slot = wal->slot_count;
    struct wal_slot *slot = &wal->slots[wal->slot_count++];
    *slot = (struct wal_slot){.plog = plog_get(plog), .generation = plog->generation,
        .end = plog_flushed_end(plog)};
    return slot;
}

static bool
is_void(const struct wal_item *item)
{
    return item->plog->closed || item->generation != item->plog->generation;
}

/* Sorts the items by log and decides who goes through the write-ahead log. */
static void
plan_round(struct log_dir *dir, struct wal_item *items, uint32_t count)
{
    struct wal *wal = &dir->wal;
    uint64_t total = 0;
    wal->round++;
    wal->slot_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_void(&items[i]))
            continue;
        struct wal_slot *slot = slot_of(wal, items[i].plog);
        slot->bytes += items[i].len;
        total += items[i].len;
        if (items[i].buf == NULL || items[i].base_offset > slot->end ||
            entry_bytes(items[i].len) > dir->config.wal_file_bytes / 4)
            slot->direct = true;
        slot->end = OX_MAX(slot->end, items[i].end_offset);
    }
    bool all = wal->slot_count <= dir->config.direct_files_max &&
               total >= (uint64_t)wal->slot_count * dir->config.direct_bytes_min;
    for (uint32_t i = 0; i < wal->slot_count && all; i++)
        wal->slots[i].direct = true;
}

/* What is flushed where it lies is not needed in memory meanwhile. */
static void
let_go_of_direct(struct wal *wal, struct wal_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!is_void(&items[i]) && slot_of(wal, items[i].plog)->direct) {
            ox_buf_put(items[i].buf);
            items[i].buf = NULL;
        }
}

/* A batch in the write-ahead log is of no use if the name of its segment can
 * get lost. */
static ox_code
flush_name(struct log_segment *seg, struct plog *plog, struct ox_err *err)
{
    ox_lock(&plog->lock);
    bool flushed = seg->name_flushed;
    ox_unlock(&plog->lock);
    if (flushed)
        return OX_OK;
    ox_code rc = fs_sync_dir(plog->fs, "log.sync_dir", plog->path, err);
    if (rc != OX_OK)
        return log_dir_fail(plog->dir, rc, err);
    ox_lock(&plog->lock);
    seg->name_flushed = true;
    ox_unlock(&plog->lock);
    return OX_OK;
}

/* What comes next goes to another file, which says that this one ends where it was
 * flushed last. */
static void
leave_file(struct wal *wal)
{
    wal->begin_new = true;
    if (current_file(wal) != NULL)
        wal->pos = wal->synced_lsn & UINT32_MAX;
}

/* From a file that grows to one that is written already, as soon as there is one:
 * each growth is a flush that writes more than entries. */
static ox_code
change_file(struct log_dir *dir, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    if (wal->begin_new || wal->spare_count == 0 || wal->written >= dir->config.wal_file_bytes ||
        wal->pos > dir->config.wal_file_bytes / 2)
        return OX_OK;
    ox_code rc = sync_file(dir, err);
    wal->begin_new = rc == OX_OK;
    return rc;
}

static ox_code
write_round(struct log_dir *dir, const struct wal_item *items, uint32_t count, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    struct gather gather;
    gather.dir = dir;
    gather.iov_count = gather.item_count = 0;
    ox_code rc = change_file(dir, err);
    bool any = false;
    for (uint32_t i = 0; i < count && rc == OX_OK; i++) {
        if (is_void(&items[i]) || slot_of(wal, items[i].plog)->direct)
            continue;
        rc = flush_name(items[i].seg, items[i].plog, err);
        if (rc == OX_OK)
            rc = add_entry(&gather, WAL_BATCH, items[i].plog, &items[i], err);
        any = true;
        atomic_fetch_add(&dir->wal_batches, 1);
        atomic_fetch_add(&dir->wal_batch_bytes, items[i].len);
    }
    if (rc == OX_OK)
        rc = write_gather(&gather, err);
    if (rc == OX_OK && any)
        rc = sync_file(dir, err);
    if (rc == OX_OK || atomic_load(&dir->offline))
        return rc;
    /* The file cannot be written, on a full disk for instance: the segments
     * were, so flush these. */
    leave_file(wal);
    for (uint32_t i = 0; i < wal->slot_count; i++)
        wal->slots[i].direct = true;
    ox_diag_err(OX_DIAG_WARN, "write-ahead log could not be written", err);
    return OX_OK;
}

/* A note, not flushed, that tells a later recovery what had been. */
static void
note_flushed(struct log_dir *dir, const struct wal_slot *slot)
{
    struct wal *wal = &dir->wal;
    struct gather gather;
    struct wal_item item = {.end_offset = slot->end};
    if (wal->begin_new || wal->pos + ENTRY_HEADER > dir->config.wal_file_bytes)
        return;
    gather.dir = dir;
    gather.iov_count = gather.item_count = 0;
    if (add_entry(&gather, WAL_FLUSHED, slot->plog, &item, NULL) != OX_OK ||
        write_gather(&gather, NULL) != OX_OK)
        leave_file(wal);
}

static ox_code
flush_direct(struct log_dir *dir, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    for (uint32_t i = 0; i < wal->slot_count; i++) {
        struct wal_slot *slot = &wal->slots[i];
        if (!slot->direct)
            continue;
        ox_code rc = plog_sync_segments(slot->plog, &slot->end, err);
        if (rc != OX_OK)
            return rc;
        atomic_fetch_add(&dir->direct_flushes, 1);
        note_flushed(dir, slot);
    }
    return OX_OK;
}

ox_code
log_wal_round(struct log_dir *dir, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    struct ox_err local;
    err = err != NULL ? err : &local;
    pthread_mutex_lock(&dir->round);
    uint32_t count = take_queue(wal);
    ox_code rc = OX_OK;
    if (atomic_load(&dir->offline)) {
        *err = dir->offline_err;
        rc = OX_STORAGE_ERROR;
    }
    if (rc == OX_OK && count > 0) {
        plan_round(dir, wal->taken, count);
        let_go_of_direct(wal, wal->taken, count);
        rc = write_round(dir, wal->taken, count, err);
        if (rc == OX_OK)
            rc = flush_direct(dir, err);
        for (uint32_t i = 0; i < wal->slot_count; i++) {
            struct wal_slot *slot = &wal->slots[i];
            if (rc == OX_OK)
                plog_flushed(slot->plog, slot->generation, slot->end);
            plog_put(slot->plog);
        }
        wal->slot_count = 0;
    }
    release_items(wal->taken, count);
    pthread_mutex_unlock(&dir->round);
    if (atomic_load(&wal->bytes) > dir->config.wal_bytes_max)
        log_dir_wake_checkpointer(dir);
    return rc;
}

static ox_code
write_void(struct log_dir *dir, struct plog *plog, const struct wal_item *flushed,
    struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    if (wal->file_count == 0)
        return OX_OK;
    struct gather gather;
    gather.dir = dir;
    gather.iov_count = gather.item_count = 0;
    ox_code rc = add_entry(&gather, WAL_VOID, plog, NULL, err);
    if (rc == OX_OK && flushed != NULL)
        rc = add_entry(&gather, WAL_FLUSHED, plog, flushed, err);
    if (rc == OX_OK)
        rc = write_gather(&gather, err);
    if (rc == OX_OK)
        return sync_file(dir, err);
    leave_file(wal);
    return rc;
}

ox_code
log_wal_void(struct log_dir *dir, struct plog *plog, struct ox_err *err)
{
    return write_void(dir, plog, NULL, err);
}

ox_code
log_wal_settle(struct log_dir *dir, struct plog *plog, int64_t end, struct ox_err *err)
{
    struct wal_item item = {.end_offset = end};
    return write_void(dir, plog, &item, err);
}

/* ---- recycling ---- */

uint64_t
log_wal_mark(struct log_dir *dir)
{
    pthread_mutex_lock(&dir->round);
    struct wal_file *file = current_file(&dir->wal);
    uint64_t lsn = file != NULL ? (uint64_t)file->seq << 32 | dir->wal.pos : 0;
    pthread_mutex_unlock(&dir->round);
    return lsn;
}

/* One that was left early (change_file()) would be left again. */
static bool
is_worth_keeping(struct log_dir *dir, const struct wal_file *file)
{
    uint64_t size;
    return dir->wal.spare_count < SPARES_MAX && file->file != NULL &&
           fs_size(dir->fs, file->file, &size, NULL) == OX_OK &&
           size > dir->config.wal_file_bytes / 4 * 3;
}

static ox_code
drop_file(struct log_dir *dir, struct wal_file *file, bool keep, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    char path[PATH_LEN_MAX], spare[PATH_LEN_MAX];
    file_path(dir, path, "", file->seq);
    file_path(dir, spare, "spare-", file->seq);
    keep = keep && is_worth_keeping(dir, file);
    ox_code rc = keep ? fs_rename(dir->fs, "wal.recycle", path, spare, err)
                      : fs_unlink(dir->fs, "wal.unlink", path, err);
    if (rc != OX_OK)
        return rc;
    ox_list_remove(&file->link);
    wal->file_count--;
    if (keep) {
        ox_list_push(&wal->spares, &file->link);
        wal->spare_count++;
        return OX_OK;
    }
    if (file->file != NULL)
        fs_close(dir->fs, file->file);
    ox_free(file);
    return OX_OK;
}

static ox_code
drop_spares(struct log_dir *dir, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    ox_code rc = OX_OK;
    struct list *node;
    while (rc == OX_OK && (node = ox_list_pop(&wal->spares)) != NULL) {
        struct wal_file *file = ox_container_of(node, struct wal_file, link);
        char path[PATH_LEN_MAX];
        file_path(dir, path, "spare-", file->seq);
        rc = fs_unlink(dir->fs, "wal.unlink", path, err);
        fs_close(dir->fs, file->file);
        ox_free(file);
        wal->spare_count--;
    }
    return rc;
}

ox_code
log_wal_recycle(struct log_dir *dir, uint64_t lsn, bool all, struct ox_err *err)
{
    struct wal *wal = &dir->wal;
    ox_code rc = OX_OK;
    bool any = false;
    pthread_mutex_lock(&dir->round);
    while (rc == OX_OK && !ox_list_empty(&wal->files)) {
        struct wal_file *oldest = ox_container_of(wal->files.next, struct wal_file, link);
        bool newest = oldest->link.next == &wal->files;
        if (!all && (newest || oldest->seq >= lsn >> 32))
            break;
        /* The newest goes when the others are gone for good: alone it is safe,
         * an older one without it is not. */
        if (newest && any)
            rc = fs_sync_dir(dir->fs, "wal.recycle", dir->path, err);
        if (rc == OX_OK)
            rc = drop_file(dir, oldest, !all, err);
        any = true;
    }
    if (rc == OX_OK && all)
        rc = drop_spares(dir, err);
    if (rc == OX_OK && any)
        rc = fs_sync_dir(dir->fs, "wal.recycle", dir->path, err);
    if (ox_list_empty(&wal->files))
        wal->begin_new = true;
    uint64_t files = wal->file_count > 0 ? wal->file_count - 1 : 0;
    atomic_store(&wal->bytes, files * dir->config.wal_file_bytes +
        (wal->file_count > 0 ? wal->pos : 0));
    pthread_mutex_unlock(&dir->round);
    return rc;
}

void
log_wal_prepare(struct log_dir *dir)
{
    struct wal *wal = &dir->wal;
    pthread_mutex_lock(&dir->round);
    bool wanted = wal->file_count > 0 && wal->spare_count == 0;
    uint32_t seq = wal->seq_next;
    pthread_mutex_unlock(&dir->round);
    if (!wanted || atomic_load(&dir->full) || atomic_load(&dir->offline))
        return;
    char path[PATH_LEN_MAX];
    struct file *file;
    file_path(dir, path, "spare-", seq);
    if (fs_open(dir->fs, "wal.prepare", path,
            FILE_READ | FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file, NULL) != OX_OK)
        return;
    ox_code rc = OX_OK;
    for (uint64_t pos = 0; pos < dir->config.wal_file_bytes && rc == OX_OK; pos += ZEROS) {
        rc = file_pwrite(dir->fs, "wal.prepare", file, zeros,
            OX_MIN((uint64_t)ZEROS, dir->config.wal_file_bytes - pos), pos, NULL);
        /* By pieces: a flush of the log in use never waits behind much of it. */
        if (rc == OX_OK && (pos + ZEROS) % PREPARE_PIECE == 0) {
            fs_write_back(dir->fs, file, pos + ZEROS - PREPARE_PIECE, PREPARE_PIECE);
            if (!log_dir_pause(dir, PREPARE_PAUSE_US))
                rc = OX_CANCELED;
        }
    }
    if (rc == OX_OK)
        rc = fs_sync(dir->fs, "wal.prepare", file, NULL);
    if (rc != OX_OK) {
        fs_close(dir->fs, file);
        fs_unlink(dir->fs, "wal.unlink", path, NULL);
        return;
    }
    struct wal_file *spare = ox_calloc(1, sizeof(*spare));
    spare->file = file;
    spare->seq = seq;
    pthread_mutex_lock(&dir->round);
    ox_list_push(&wal->spares, &spare->link);
    wal->spare_count++;
    pthread_mutex_unlock(&dir->round);
}
