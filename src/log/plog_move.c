/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving a log to another directory while it is written and read.
 *
 *   from/t-0                  to/t-0.<uuid>-future
 *     segment --copy, batch by batch, checked--> segment
 *     ... again what was appended meanwhile, until little is left
 *     locked: the rest, flush, rename to to/t-0, the log's segments are those
 *   from/t-0.<uuid>-delete    to/t-0
 *
 * The struct plog stays the same one, with its producers, epochs and offsets:
 * its owner and its readers notice nothing. Who holds an old segment reads it to
 * the end.
 *
 * 1. Until the rename of the new directory the old one is the log. A move that
 *    ends before it, by a crash too, leaves the -future directory: it says that the
 *    partition shall move, and the next plog_move() goes on in it.
 * 2. When it is renamed, all of the log is on disk there, and nothing can be
 *    appended until memory follows.
 * 3. If both directories are found after a crash, the one made later is the log:
 *    nothing was acknowledged in the other one after that.
 * 4. What the write-ahead log of the old directory has finds no directory to be
 *    put back to, or the old one.
 * 5. What is found in a -future directory is worth what comparing it with the log
 *    shows: only segments are kept, and of them the bytes that are the same. The
 *    log may have been cut or compacted since, the copy may never have been flushed. */
#include "log/log_int.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/fault.h"

#define FUTURE "-future"

enum { CHUNK = 1 << 20, REST_MAX = 1 << 20, ROUNDS_MAX = 100, FUTURE_PATH = PATH_LEN_MAX - 64 };

struct pair {
    struct log_segment *from, *to;
    uint64_t kept; /* bytes of an earlier try; those from to->size on are not compared */
    bool finished; /* it was sealed: indexes are written, all is flushed */
};

struct move {
    struct plog *plog;
    struct log_dir *to;
    bool (*go_on)(void *arg);
    void *arg;
    char path[FUTURE_PATH]; /* of the new directory */
    struct pair *pairs;
    uint32_t count, cap;
    uint32_t generation;
    bool resumed; /* the directory was there */
    bool locked; /* appends are shut out: nobody is asked any more */
    struct buf *chunk, *kept; /* kept: what is compared with it; NULL until it is needed */
};

static ox_code
give_up(struct move *move, struct ox_err *err)
{
    return ox_fail(err, OX_CANCELED, "moving \"%s-%d\" was interrupted", move->plog->topic,
        move->plog->partition);
}

/* ---- copying ---- */

/* Whole, good batches at the front of a chunk. */
static ox_code
whole_batches(const struct log_segment *seg, const uint8_t *at, size_t len, size_t *used,
    size_t *want, struct ox_err *err)
{
    *used = 0;
    while (len - *used >= RECORD_BATCH_HEADER) {
        struct record_batch batch;
        ox_code rc = record_batch_decode(at + *used, len - *used, &batch, err);
        if (rc == OX_OK && batch.bytes > len - *used) {
            *want = batch.bytes;
            return OX_OK;
        }
        if (rc == OX_OK && !record_batch_crc_ok(&batch))
            rc = ox_fail(err, OX_CORRUPT_MESSAGE,
                "batch at offset %lld of \"%s\" has a wrong checksum",
                (long long)batch.base_offset, seg->path);
        if (rc != OX_OK)
            return rc;
        *used += batch.bytes;
    }
    return OX_OK;
}

/* What an earlier try left behind the end of what is known to be good. */
static ox_code
drop_kept(struct pair *pair, struct ox_err *err)
{
    bool more = pair->kept > pair->to->size;
    pair->kept = 0;
    return more ? fs_truncate(pair->to->fs, "move.trim", pair->to->file, pair->to->size, err)
                : OX_OK;
}

/* Puts the chunk's bytes behind the new segment, unless they are there. */
static ox_code
write_chunk(struct move *move, struct pair *pair, size_t len, struct ox_err *err)
{
    struct log_segment *to = pair->to;
    size_t got = 0;
    ox_code rc = OX_OK;
    if (pair->kept >= to->size + len) {
        if (move->kept == NULL || move->kept->cap < len) {
            ox_buf_put(move->kept);
            move->kept = ox_buf_new(move->chunk->cap);
        }
        rc = fs_pread(to->fs, to->file, move->kept->ptr, len, to->size, &got, err);
        if (rc == OX_OK && got == len && memcmp(move->kept->ptr, move->chunk->ptr, len) == 0)
            return OX_OK;
    }
    if (rc == OX_OK)
        rc = drop_kept(pair, err);
    return rc == OX_OK ? file_pwrite(to->fs, "move.write", to->file, move->chunk->ptr, len,
                             to->size, err)
                       : rc;
}

/* One chunk of a segment; its batches become part of the new one. */
static ox_code
copy_chunk(struct move *move, struct pair *pair, uint64_t end, struct ox_err *err)
{
    struct log_segment *to = pair->to;
    size_t got, used = 0, want = 0;
    for (;;) {
        size_t room = OX_MIN(end - to->size, (uint64_t)move->chunk->cap);
        ox_code rc =
            fs_pread(to->fs, pair->from->file, move->chunk->ptr, room, to->size, &got, err);
        if (rc == OX_OK)
            rc = whole_batches(pair->from, move->chunk->ptr, got, &used, &want, err);
        if (rc != OX_OK)
            return rc;
        if (used > 0)
            break;
        if (want <= move->chunk->cap)
            return ox_fail(err, OX_CORRUPT_MESSAGE, "segment \"%s\" ends inside a batch",
                pair->from->path);
        ox_buf_put(move->chunk);
        move->chunk = ox_buf_new(want);
    }
    ox_code rc = write_chunk(move, pair, used, err);
    for (size_t pos = 0; rc == OX_OK && pos < used;) {
        struct record_batch batch;
        rc = record_batch_decode(move->chunk->ptr + pos, used - pos, &batch, err);
        if (rc == OX_OK && !log_batch_fits(&batch, to->next_offset))
            rc = ox_fail(err, OX_CORRUPT_MESSAGE, "batch at offset %lld of \"%s\" is out of order",
                (long long)batch.base_offset, pair->from->path);
        if (rc != OX_OK)
            return rc;
        log_segment_added(to, &batch, to->size, move->plog->config.index_interval_bytes);
        pos += batch.bytes;
    }
    atomic_fetch_add(&move->plog->moved_bytes, used);
    atomic_store(&move->plog->moved_end, to->next_offset);
    return rc;
}

static ox_code
copy_to(struct move *move, struct pair *pair, uint64_t end, struct ox_err *err)
{
    ox_code rc = OX_OK;
    while (rc == OX_OK && pair->to->size < end) {
        rc = copy_chunk(move, pair, end, err);
        if (rc == OX_OK && !move->locked && !move->go_on(move->arg))
            rc = give_up(move, err);
    }
    return rc;
}

/* A segment that was sealed and copied whole: its derived files, all flushed. */
static ox_code
finish_pair(struct move *move, struct pair *pair, bool active, struct ox_err *err)
{
    struct log_segment *to = pair->to;
    to->aborted_count = 0;
    for (uint32_t i = 0; i < pair->from->aborted_count; i++)
        log_segment_add_aborted(to, &pair->from->aborted[i]);
    to->aborted_written = UINT32_MAX;
    to->created_ms = pair->from->created_ms;
    if (!active)
        log_segment_end_times(to);
    ox_code rc = drop_kept(pair, err);
    if (rc == OX_OK)
        rc = log_index_write(&to->index, true, err);
    if (rc == OX_OK)
        rc = log_index_write(&to->times, true, err);
    if (rc == OX_OK)
        rc = log_segment_write_aborted(to, true, err);
    if (rc == OX_OK)
        rc = fs_sync(to->fs, "move.sync", to->file, err);
    if (rc != OX_OK)
        return rc;
    to->flushed = to->size;
    to->name_flushed = true;
    if (active)
        return OX_OK;
    log_index_seal(&to->index);
    log_index_seal(&to->times);
    to->sealed = pair->finished = true;
    return OX_OK;
}

/* ---- following the log ---- */

static void
drop_pair(struct pair *pair)
{
    log_segment_unlink(pair->to, NULL);
    log_segment_put(pair->to);
    log_segment_put(pair->from);
}

/* The file of an earlier try; OX_FILE_NOT_FOUND: it had not come so far. */
static ox_code
open_kept(struct move *move, int64_t base, struct log_segment **out, uint64_t *kept,
    struct ox_err *err)
{
    ox_code rc = log_segment_open(move->plog->fs, move->path, base, false, out, err);
    if (rc != OX_OK)
        return rc;
    struct log_segment *to = *out;
    to->aborted_loaded = true; /* its other files were removed */
    to->name_flushed = false;
    rc = log_index_load(&to->index, err);
    if (rc == OX_OK)
        rc = log_index_load(&to->times, err);
    if (rc == OX_OK)
        rc = fs_size(to->fs, to->file, kept, err);
    if (rc != OX_OK)
        log_segment_put(to);
    return rc;
}

static ox_code
add_pair(struct move *move, struct log_segment *from, struct ox_err *err)
{
    struct log_segment *to;
    uint64_t kept = 0;
    ox_code rc = move->resumed ? open_kept(move, from->base_offset, &to, &kept, err)
                               : OX_FILE_NOT_FOUND;
    if (rc == OX_FILE_NOT_FOUND)
        rc = log_segment_open(move->plog->fs, move->path, from->base_offset, true, &to, err);
    if (rc != OX_OK)
        return rc;
    if (move->count == move->cap) {
        move->cap = OX_MAX(move->cap * 2, 8u);
        move->pairs = ox_realloc(move->pairs, ox_size_mul(move->cap, sizeof(*move->pairs)));
    }
    move->pairs[move->count++] = (struct pair){log_segment_get(from), to, kept, false};
    return OX_OK;
}

/* Makes the pairs those of the log's segments: retention takes the oldest away,
 * rolling adds. Under plog->lock. */
static ox_code
follow(struct move *move, struct ox_err *err)
{
    struct plog *plog = move->plog;
    uint32_t gone = 0;
    if (plog->closed || plog->fault != OX_OK || plog->generation != move->generation)
        return give_up(move, err);
    while (gone < move->count && move->pairs[gone].from != plog->segments[0])
        drop_pair(&move->pairs[gone++]);
    if (gone > 0)
        memmove(move->pairs, move->pairs + gone, (move->count -= gone) * sizeof(*move->pairs));
    for (uint32_t i = 0; i < plog->segment_count; i++) {
        ox_code rc = plog_load_aborted(plog, plog->segments[i], err);
        if (rc == OX_OK && i == move->count)
            rc = add_pair(move, plog->segments[i], err);
        if (rc != OX_OK)
            return rc;
        if (move->pairs[i].from != plog->segments[i]) /* an empty one was replaced */
            return give_up(move, err);
    }
    return OX_OK;
}

/* One round over all segments; *rest: bytes that were appended meanwhile. */
static ox_code
copy_round(struct move *move, uint64_t *rest, struct ox_err *err)
{
    struct plog *plog = move->plog;
    ox_lock(&plog->lock);
    ox_code rc = follow(move, err);
    uint32_t count = move->count;
    ox_unlock(&plog->lock);
    for (uint32_t i = 0; i < count && rc == OX_OK; i++) {
        struct pair *pair = &move->pairs[i];
        ox_lock(&plog->lock);
        uint64_t size = pair->from->size;
        bool sealed = pair->from->sealed;
        ox_unlock(&plog->lock);
        if (pair->finished)
            continue;
        rc = copy_to(move, pair, size, err);
        if (rc == OX_OK && sealed)
            rc = finish_pair(move, pair, false, err);
        else if (rc == OX_OK)
            rc = fs_sync(plog->fs, "move.sync", pair->to->file, err);
    }
    *rest = 0;
    ox_lock(&plog->lock);
    for (uint32_t i = 0; i < plog->segment_count && rc == OX_OK; i++)
        *rest += i < move->count ? plog->segments[i]->size - move->pairs[i].to->size
                                 : plog->segments[i]->size;
    ox_unlock(&plog->lock);
    return rc;
}

/* ---- the change of directory ---- */

/* What the checkpoint files of the new directory say from now on. */
static ox_code
announce(struct move *move, struct ox_err *err)
{
    struct plog *plog = move->plog;
    pthread_mutex_lock(&move->to->checkpoint);
    ox_lock(&move->to->lock);
    struct partition_hint *hint = log_dir_hint(move->to, plog->topic, plog->partition);
    hint->recovery_point = 0;
    hint->log_start = plog_log_start(plog);
    hint->high_watermark = plog_high_watermark(plog);
    hint->cleaned = plog->cleaned;
    ox_unlock(&move->to->lock);
    ox_code rc = log_dir_write_checkpoints(move->to, err);
    pthread_mutex_unlock(&move->to->checkpoint);
    return rc == OX_OK && plog->cleaned >= 0 ? log_dir_write_cleaned(move->to, err) : rc;
}

/* Everything of the log is on disk below the new path. Under plog->lock. */
static ox_code
complete(struct move *move, struct ox_err *err)
{
    struct plog *plog = move->plog;
    char path[PATH_LEN_MAX];
    struct text text;
    ox_code rc = follow(move, err);
    for (uint32_t i = 0; i < move->count && rc == OX_OK; i++) {
        struct pair *pair = &move->pairs[i];
        bool active = i + 1 == move->count;
        if (!pair->finished)
            rc = copy_to(move, pair, pair->from->size, err);
        if (rc == OX_OK && !pair->finished)
            rc = finish_pair(move, pair, active, err);
    }
    ox_text_init(&text, NULL);
    leader_epochs_encode(&plog->epochs, &text);
    snprintf(path, sizeof(path), "%s/leader-epoch-checkpoint", move->path);
    if (rc == OX_OK)
        rc = file_replace(plog->fs, "move.epochs", path, text.ptr, text.len, err);
    ox_text_fini(&text);
    return rc == OX_OK ? fs_sync_dir(plog->fs, "move.sync", move->path, err) : rc;
}

static ox_code
write_producers(struct move *move, struct ox_err *err)
{
    struct plog *plog = move->plog;
    char path[PATH_LEN_MAX];
    struct text text;
    ox_text_init(&text, NULL);
    producers_encode(&plog->producers, &text);
    log_segment_path(path, move->path, plog_log_end(plog), ".snapshot");
    ox_code rc = file_replace(plog->fs, "move.producers", path, text.ptr, text.len, err);
    if (rc == OX_OK)
        plog->producers.snapshot_offset = plog_log_end(plog);
    ox_text_fini(&text);
    return rc;
}

/* The names of the new segments, in memory, after the rename. */
static void
rebase_segment(struct log_segment *seg, const char *dir)
{
    char path[PATH_LEN_MAX];
    log_segment_path(path, dir, seg->base_offset, ".log");
    ox_free(seg->path);
    seg->path = ox_strdup(path);
    log_segment_path(path, dir, seg->base_offset, ".index");
    ox_free(seg->index.path);
    seg->index.path = ox_strdup(path);
    log_segment_path(path, dir, seg->base_offset, ".timeindex");
    ox_free(seg->times.path);
    seg->times.path = ox_strdup(path);
}

/* The log is that of the new directory. Under plog->lock. */
static void
take_over(struct move *move, const char *path)
{
    struct plog *plog = move->plog;
    struct log_dir *from = plog->dir;
    for (uint32_t i = 0; i < move->count; i++) {
        rebase_segment(move->pairs[i].to, path);
        log_segment_put(plog->segments[i]);
        plog->segments[i] = log_segment_get(move->pairs[i].to);
    }
    for (int i = 0; i < READ_HINTS; i++)
        plog->hints[i].offset = -1;
    ox_free(plog->path);
    plog->path = ox_strdup(path);
    plog->generation++; /* what is queued was copied and flushed */
    plog->round = 0;    /* rounds of the other directory have numbers of their own */
    plog->unflushed_since_ms = 0;
    plog->epochs.dirty = false;
    ox_lock(&from->lock);
    ox_list_remove(&plog->link);
    from->plog_count--;
    log_dir_hint(from, plog->topic, plog->partition)->open = false;
    ox_unlock(&from->lock);
    plog->dir = move->to;
    ox_lock(&move->to->lock);
    plog->recovery_point = plog_log_end(plog);
    struct partition_hint *hint = log_dir_hint(move->to, plog->topic, plog->partition);
    hint->dirty = hint->open = true;
    ox_list_push(&move->to->plogs, &plog->link);
    move->to->plog_count++;
    ox_unlock(&move->to->lock);
}

/* Under plog->lock. *done: the directory has its name, the log is there. */
static ox_code
change_locked(struct move *move, bool *done, struct ox_err *err)
{
    struct plog *plog = move->plog;
    char path[PATH_LEN_MAX];
    ox_code rc = complete(move, err);
    if (rc == OX_OK)
        rc = write_producers(move, err);
    if (rc == OX_OK)
        rc = ox_fault("log.move");
    snprintf(path, sizeof(path), "%s/%s-%d", move->to->path, plog->topic, plog->partition);
    if (rc == OX_OK)
        rc = fs_rename(plog->fs, "move.rename", move->path, path, err);
    if (rc != OX_OK)
        return rc;
    *done = true;
    take_over(move, path);
    rc = fs_sync_dir(plog->fs, "move.rename", move->to->path, err);
    if (rc != OX_OK) /* the name may get lost: the log must not go on */
        plog_set_fault(plog, OX_STORAGE_ERROR, err);
    return rc;
}

static ox_code
change_directory(struct move *move, bool *done, struct ox_err *err)
{
    struct plog *plog = move->plog;
    struct ox_err old_err;
    struct log_dir *from = plog_lock_checkpoint(plog);
    pthread_mutex_lock(&plog->work);
    pthread_mutex_lock(&from->round);
    plog_pin_files(plog);
    ox_lock(&plog->lock);
    move->locked = true;
    ox_code rc = change_locked(move, done, err);
    uint32_t generation = plog->generation;
    int64_t delay = plog->config.file_delete_delay_ms;
    ox_unlock(&plog->lock);
    if (rc == OX_OK)
        plog_flushed(plog, generation, plog_log_end(plog));
    pthread_mutex_unlock(&from->round);
    if (rc == OX_OK && !atomic_load(&from->offline) &&
        log_dir_condemn_partition(from, plog->topic, plog->partition, delay, &old_err) != OX_OK)
        ox_diag_err(OX_DIAG_WARN, "files of a moved partition log could not be deleted", &old_err);
    pthread_mutex_unlock(&plog->work);
    pthread_mutex_unlock(&from->checkpoint);
    return rc;
}

/* ---- a move ---- */

/* <topic>-<partition>. of the directory's name, the topic cut so that all fits. */
static void
future_stem(const struct plog *plog, char to[256])
{
    int tail_len = snprintf(NULL, 0, "-%d.", plog->partition) + 32 + (int)strlen(FUTURE);
    snprintf(to, 256, "%.*s-%d.", 255 - tail_len, plog->topic, plog->partition);
}

static bool
is_future(const struct file_name *name)
{
    size_t len = strlen(name->name), end = strlen(FUTURE);
    return name->is_dir && len > end && strcmp(name->name + len - end, FUTURE) == 0;
}

/* The directory of an earlier try; "": there is none. Others are removed if asked. */
static ox_code
find_future(const struct plog *plog, struct log_dir *to, bool remove, char *path, size_t size,
    struct ox_err *err)
{
    struct arena arena;
    struct file_name *names;
    struct uuid id;
    char stem[256];
    size_t count;
    path[0] = 0;
    future_stem(plog, stem);
    ox_arena_init(&arena);
    ox_code rc = fs_list(plog->fs, to->path, &arena, &names, &count, err);
    for (size_t i = 0; i < count && rc == OX_OK; i++) {
        if (!is_future(&names[i]) || strncmp(names[i].name, stem, strlen(stem)) != 0)
            continue;
        const char *found = ox_arena_printf(&arena, "%s/%s", to->path, names[i].name);
        bool ours = log_read_partition_metadata(plog->fs, found, &id) &&
                    ox_uuid_eq(&id, &plog->topic_id);
        if (ours && remove)
            rc = log_remove_tree(plog->fs, found, err);
        else if (ours && snprintf(path, size, "%s", found) >= (int)size)
            rc = ox_fail(err, OX_LIMIT_EXCEEDED, "path of \"%s\" is too long", plog->topic);
    }
    ox_arena_fini(&arena);
    return rc;
}

static ox_code
make_future(const struct plog *plog, struct log_dir *to, char *path, size_t size,
    struct ox_err *err)
{
    struct uuid id;
    char hex[37], stem[256];
    env_random(to->env, id.bytes, sizeof(id.bytes));
    ox_uuid_to_hex(&id, hex);
    size_t len = 0;
    for (size_t i = 0; hex[i] != '\0'; i++)
        if (hex[i] != '-')
            hex[len++] = hex[i];
    hex[len] = '\0';
    future_stem(plog, stem);
    if (snprintf(path, size, "%s/%s%s%s", to->path, stem, hex, FUTURE) >= (int)size)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "path of \"%s\" is too long", plog->topic);
    ox_code rc = fs_mkdir(plog->fs, "move.mkdir", path, err);
    if (rc == OX_OK)
        rc = log_write_partition_metadata(plog->fs, path, &plog->topic_id, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(plog->fs, "move.mkdir", path, err);
    return rc == OX_OK ? fs_sync_dir(plog->fs, "move.mkdir", to->path, err) : rc;
}

ox_code
plog_move_prepare(struct plog *plog, struct log_dir *to, struct ox_err *err)
{
    char path[FUTURE_PATH];
    if (plog->dir == to || plog_detached(plog))
        return OX_OK;
    ox_code rc = find_future(plog, to, false, path, sizeof(path), err);
    return rc == OX_OK && path[0] == 0 ? make_future(plog, to, path, sizeof(path), err) : rc;
}

ox_code
plog_move_forget(struct plog *plog, struct log_dir *to, struct ox_err *err)
{
    char path[FUTURE_PATH];
    return find_future(plog, to, true, path, sizeof(path), err);
}

/* Of an earlier try only segments are kept; all of them while the log's are not known. */
static ox_code
clear_future(struct move *move, bool known, struct ox_err *err)
{
    struct file_system *fs = move->plog->fs;
    struct arena arena;
    struct file_name *names;
    size_t count;
    ox_arena_init(&arena);
    ox_code rc = fs_list(fs, move->path, &arena, &names, &count, err);
    for (size_t i = 0; i < count && rc == OX_OK; i++) {
        const char *path = ox_arena_printf(&arena, "%s/%s", move->path, names[i].name);
        size_t len = strlen(names[i].name);
        bool keep = strcmp(names[i].name, "partition.metadata") == 0 ||
                    (!known && len > 4 && strcmp(names[i].name + len - 4, ".log") == 0);
        for (uint32_t j = 0; j < move->count && !keep; j++)
            keep = strcmp(path, move->pairs[j].to->path) == 0;
        if (!keep)
            rc = fs_unlink(fs, "move.unlink", path, err);
    }
    ox_arena_fini(&arena);
    return rc;
}

/* The new directory, with pairs for what the log has now. */
static ox_code
begin(struct move *move, struct ox_err *err)
{
    struct plog *plog = move->plog;
    ox_code rc = find_future(plog, move->to, false, move->path, sizeof(move->path), err);
    move->resumed = rc == OX_OK && move->path[0] != 0;
    if (rc != OX_OK)
        return rc;
    if (!move->resumed)
        return make_future(plog, move->to, move->path, sizeof(move->path), err);
    rc = clear_future(move, false, err);
    ox_lock(&plog->lock);
    if (rc == OX_OK)
        rc = follow(move, err);
    ox_unlock(&plog->lock);
    return rc == OX_OK ? clear_future(move, true, err) : rc;
}

static ox_code
run_move(struct move *move, bool *done, struct ox_err *err)
{
    uint64_t rest = UINT64_MAX;
    ox_code rc = begin(move, err);
    for (int round = 0; rc == OX_OK && rest > REST_MAX && round < ROUNDS_MAX; round++)
        rc = copy_round(move, &rest, err);
    if (rc == OX_OK)
        rc = announce(move, err);
    if (rc == OX_OK)
        rc = change_directory(move, done, err);
    return rc;
}

static void
end_move(struct move *move, bool done)
{
    struct plog *plog = move->plog;
    for (uint32_t i = 0; i < move->count; i++) {
        log_segment_put(move->pairs[i].from);
        log_segment_put(move->pairs[i].to);
    }
    ox_free(move->pairs);
    ox_buf_put(move->chunk);
    ox_buf_put(move->kept);
    if (!done)
        log_dir_forget(move->to, plog->topic, plog->partition, NULL);
    atomic_store(&plog->moving_to, NULL);
    atomic_store(&plog->compacting, false);
}

static ox_code
may_move(struct plog *plog, struct log_dir *to, struct ox_err *err)
{
    ox_code rc = plog_fault(plog, err);
    if (rc == OX_OK && atomic_load(&to->offline)) {
        if (err != NULL)
            *err = to->offline_err;
        rc = OX_STORAGE_ERROR;
    }
    if (rc == OX_OK && atomic_exchange(&plog->compacting, true))
        rc = ox_fail(err, OX_OBJECT_IN_USE, "partition log \"%s-%d\" is being moved or compacted",
            plog->topic, plog->partition);
    return rc;
}

ox_code
plog_move(struct plog *plog, struct log_dir *to, bool (*go_on)(void *arg), void *arg,
    struct ox_err *err)
{
    bool done = false;
    if (plog->dir == to)
        return OX_OK;
    ox_code rc = may_move(plog, to, err);
    if (rc != OX_OK)
        return rc;
    struct move move = {.plog = plog, .to = to, .go_on = go_on, .arg = arg,
        .chunk = ox_buf_new(CHUNK)};
    ox_lock(&plog->lock);
    move.generation = plog->generation;
    ox_unlock(&plog->lock);
    atomic_store(&plog->moved_bytes, 0);
    atomic_store(&plog->moved_end, plog_log_start(plog));
    atomic_store(&plog->moving_to, to);
    rc = run_move(&move, &done, err);
    end_move(&move, done);
    return rc;
}

struct log_dir *
plog_moving(struct plog *plog, uint64_t *bytes, int64_t *end_offset)
{
    *bytes = atomic_load(&plog->moved_bytes);
    *end_offset = atomic_load(&plog->moved_end);
    return atomic_load(&plog->moving_to);
}
