/* SPDX-License-Identifier: Apache-2.0
 *
 * Putting the batches of the write-ahead log back into the segments, before any
 * partition is opened.
 *
 * Two passes over the newest unbroken run of files: the first finds, for each
 * partition, the last WAL_VOID; the second writes each later batch where it was
 * and notes how far the partition had been flushed. Running it again writes the
 * same bytes. The files stay until the first checkpoint. */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/diag.h"
#include "base/side.h"

enum { FILE_HEADER = 512, OPEN_MAX = 512, SYNC_THREADS = 8, WORTH_A_THREAD = 16 };

/* A partition that entries name. */
struct target {
    char *path; /* NULL: no directory with this topic id */
    char topic[256];
    int32_t partition;
    uint64_t void_lsn;
    int64_t flushed_end;
    uint32_t slot; /* of its segment that was used last, if that is still open */
};

struct open_segment {
    struct file *file;
    const struct target *target;
    int64_t base;
};

struct replay {
    struct log_dir *dir;
    struct arena arena;
    struct map targets; /* topic id and partition -> struct target */
    struct map dirs;    /* the same for every directory there is -> path */
    bool dirs_listed;
    uint32_t *seqs; /* of the run, rising */
    uint32_t *ends; /* where entries end, from the next header; 0: unknown */
    size_t count;
    struct open_segment open[OPEN_MAX];
    uint32_t open_count;
    _Atomic bool sync_failed; /* who sets it fills the error */
    struct ox_err sync_err;
    uint64_t written;
    bool damaged;
};

struct target_key {
    uint8_t id[16];
    int32_t partition;
};

static struct str
key_str(const struct target_key *key)
{
    return ox_str_n(key, sizeof(*key));
}

/* ---- which files ---- */

static bool
parse_name(const char *name, uint32_t *seq)
{
    static const char prefix[] = "oxbow-wal-";
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || strlen(name) != sizeof(prefix) + 7)
        return false;
    char *end;
    *seq = (uint32_t)strtoul(name + sizeof(prefix) - 1, &end, 16);
    return *end == '\0';
}

static bool
read_header(struct replay *replay, uint32_t seq, uint32_t *previous_end)
{
    struct log_dir *dir = replay->dir;
    char path[PATH_LEN_MAX];
    uint8_t header[FILE_HEADER];
    struct file *file;
    size_t got;
    snprintf(path, sizeof(path), "%s/oxbow-wal-%08x", dir->path, seq);
    if (fs_open(dir->fs, "wal.open", path, FILE_READ, &file, NULL) != OX_OK)
        return false;
    ox_code rc = fs_pread(dir->fs, file, header, sizeof(header), 0, &got, NULL);
    fs_close(dir->fs, file);
    if (rc != OX_OK || got != sizeof(header) || memcmp(header, "OXBOWWAL", 8) != 0 ||
        wire_load32(header + 8) != 1 ||
        wire_load32(header + 12) != ox_crc32c(0, header + 16, FILE_HEADER - 16) ||
        memcmp(header + 16, dir->id.bytes, 16) != 0 || wire_load32(header + 32) != seq)
        return false;
    *previous_end = wire_load32(header + 36);
    return true;
}

static ox_code
remove_file(struct replay *replay, const char *name, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    snprintf(path, sizeof(path), "%s/%s", replay->dir->path, name);
    return fs_unlink(replay->dir->fs, "wal.unlink", path, err);
}

/* The files of the run so far lie before a gap: they are not needed any more,
 * and must not be met again when the newer ones are gone. */
static ox_code
remove_run(struct replay *replay, struct ox_err *err)
{
    ox_code rc = OX_OK;
    for (size_t i = 0; i < replay->count && rc == OX_OK; i++)
        rc = remove_file(replay,
            ox_arena_printf(&replay->arena, "oxbow-wal-%08x", replay->seqs[i]), err);
    replay->count = 0;
    return rc;
}

static ox_code
add_to_run(struct replay *replay, uint32_t seq, uint32_t previous_end, bool *changed,
    struct ox_err *err)
{
    ox_code rc = OX_OK;
    if (replay->count > 0 && replay->seqs[replay->count - 1] + 1 != seq) {
        rc = remove_run(replay, err);
        *changed = true;
    }
    if (replay->count > 0)
        replay->ends[replay->count - 1] = previous_end;
    replay->seqs[replay->count] = seq;
    replay->ends[replay->count++] = 0;
    replay->dir->wal.seq_next = OX_MAX(replay->dir->wal.seq_next, seq + 1);
    return rc;
}

/* Fills seqs with the newest unbroken run; removes what is not part of it. */
static ox_code
find_run(struct replay *replay, struct ox_err *err)
{
    struct log_dir *dir = replay->dir;
    struct file_name *names;
    size_t count;
    bool changed = false;
    ox_code rc = fs_list(dir->fs, dir->path, &replay->arena, &names, &count, err);
    if (rc != OX_OK)
        return rc;
    replay->seqs = ox_arena_array(&replay->arena, uint32_t, count + 1);
    replay->ends = ox_arena_array(&replay->arena, uint32_t, count + 1);
    for (size_t i = 0; i < count && rc == OX_OK; i++) {
        uint32_t seq, previous_end;
        if (strncmp(names[i].name, "oxbow-wal-", 10) != 0)
            continue;
        if (parse_name(names[i].name, &seq) && read_header(replay, seq, &previous_end)) {
            rc = add_to_run(replay, seq, previous_end, &changed, err);
        } else {
            rc = remove_file(replay, names[i].name, err);
            changed = true;
        }
    }
    return rc == OX_OK && changed ? fs_sync_dir(dir->fs, "wal.unlink", dir->path, err) : rc;
}

/* ---- targets ---- */

/* Topic ids of all partition directories, once an entry asks. */
static ox_code
list_dirs(struct replay *replay, struct ox_err *err)
{
    struct log_dir *dir = replay->dir;
    struct file_name *names;
    size_t count;
    if (replay->dirs_listed)
        return OX_OK;
    replay->dirs_listed = true;
    ox_code rc = fs_list(dir->fs, dir->path, &replay->arena, &names, &count, err);
    for (size_t i = 0; i < count && rc == OX_OK; i++) {
        char topic[256];
        struct target_key key;
        struct uuid id;
        char *path = ox_arena_printf(&replay->arena, "%s/%s", dir->path, names[i].name);
        memset(&key, 0, sizeof(key));
        if (!names[i].is_dir || !log_dir_parse_name(names[i].name, topic, &key.partition) ||
            !log_read_partition_metadata(dir->fs, path, &id))
            continue;
        memcpy(key.id, id.bytes, 16);
        ox_map_put(&replay->dirs, key_str(&key), path);
    }
    return rc;
}

static struct target *
target_of(struct replay *replay, const struct wal_entry *entry)
{
    struct target_key key;
    memset(&key, 0, sizeof(key));
    memcpy(key.id, entry->topic_id.bytes, 16);
    key.partition = entry->partition;
    struct target *target = ox_map_get(&replay->targets, key_str(&key));
    if (target != NULL)
        return target;
    target = ox_arena_new(&replay->arena, struct target);
    target->flushed_end = -1;
    target->path = ox_map_get(&replay->dirs, key_str(&key));
    if (target->path != NULL)
        log_dir_parse_name(strrchr(target->path, '/') + 1, target->topic, &target->partition);
    ox_map_put(&replay->targets, key_str(&key), target);
    return target;
}

/* ---- segments ---- */

static void
sync_segment(void *arg, uint32_t i)
{
    struct replay *replay = arg;
    struct ox_err err;
    if (fs_sync(replay->dir->fs, "wal.replay_sync", replay->open[i].file, &err) != OX_OK &&
        !atomic_exchange(&replay->sync_failed, true))
        replay->sync_err = err;
}

/* Flushes them side by side, and closes them. */
static ox_code
close_segments(struct replay *replay, struct ox_err *err)
{
    struct log_dir *dir = replay->dir;
    uint32_t count = replay->open_count, threads = 1;
    if (dir->config.threads)
        threads = OX_MIN(1 + count / WORTH_A_THREAD, (uint32_t)SYNC_THREADS);
    ox_side_by_side(count, threads, sync_segment, replay);
    for (uint32_t i = 0; i < count; i++)
        fs_close(dir->fs, replay->open[i].file);
    replay->open_count = 0;
    if (!atomic_load(&replay->sync_failed))
        return OX_OK;
    if (err != NULL)
        *err = replay->sync_err;
    return replay->sync_err.code;
}

static bool
is_open(const struct replay *replay, uint32_t slot, const struct target *target, int64_t base)
{
    return slot < replay->open_count && replay->open[slot].target == target &&
           replay->open[slot].base == base;
}

/* *out is NULL when the segment is gone: retention has removed it. */
static ox_code
open_segment(struct replay *replay, struct target *target, int64_t base, struct file **out,
    struct ox_err *err)
{
    struct log_dir *dir = replay->dir;
    char path[PATH_LEN_MAX];
    *out = NULL;
    if (!is_open(replay, target->slot, target, base))
        for (target->slot = replay->open_count; target->slot-- > 0;)
            if (is_open(replay, target->slot, target, base))
                break;
    if (is_open(replay, target->slot, target, base)) {
        *out = replay->open[target->slot].file;
        return OX_OK;
    }
    ox_code rc = replay->open_count == OPEN_MAX ? close_segments(replay, err) : OX_OK;
    if (rc != OX_OK)
        return rc;
    log_segment_path(path, target->path, base, ".log");
    rc = fs_open(dir->fs, "wal.replay_open", path, FILE_READ | FILE_WRITE, out, err);
    if (rc == OX_FILE_NOT_FOUND)
        return OX_OK;
    if (rc == OX_OK) {
        target->slot = replay->open_count++;
        replay->open[target->slot] =
            (struct open_segment){.file = *out, .target = target, .base = base};
    }
    return rc;
}

/* Writes a batch back, unless its bytes are there already. */
static ox_code
put_back(struct replay *replay, struct target *target, const struct wal_entry *entry,
    struct ox_err *err)
{
    struct log_dir *dir = replay->dir;
    struct file *file;
    ox_code rc = open_segment(replay, target, entry->seg_base, &file, err);
    if (rc != OX_OK || file == NULL)
        return rc;
    struct buf *there = ox_buf_new(entry->len);
    size_t got;
    rc = fs_pread(dir->fs, file, there->ptr, entry->len, entry->pos, &got, err);
    bool same = rc == OX_OK && got == entry->len && memcmp(there->ptr, entry->payload, got) == 0;
    ox_buf_put(there);
    if (rc == OX_OK && !same) {
        rc = file_pwrite(dir->fs, "wal.replay", file, entry->payload, entry->len, entry->pos, err);
        replay->written++;
    }
    if (rc == OX_OK)
        target->flushed_end = OX_MAX(target->flushed_end, entry->end_offset);
    return rc;
}

static ox_code
apply_entry(struct replay *replay, const struct wal_entry *entry, bool writing,
    struct ox_err *err)
{
    ox_code rc = list_dirs(replay, err);
    if (rc != OX_OK)
        return rc;
    struct target *target = target_of(replay, entry);
    if (!writing) {
        if (entry->kind == WAL_VOID)
            target->void_lsn = entry->lsn;
        return OX_OK;
    }
    if (target->path == NULL || entry->lsn <= target->void_lsn)
        return OX_OK;
    if (entry->kind == WAL_FLUSHED)
        target->flushed_end = OX_MAX(target->flushed_end, entry->end_offset);
    if (entry->kind != WAL_BATCH)
        return OX_OK;
    return put_back(replay, target, entry, err);
}

/* ---- entries ---- */

/* After invalid bytes at pos: the next entry that is known to be flushed, which
 * proves that they are damage and not the end. 0: none. */
static size_t
resync(const uint8_t *ptr, size_t len, size_t pos, uint32_t seq)
{
    uint64_t bad = (uint64_t)seq << 32 | pos;
    struct wal_entry entry;
    for (size_t at = pos + 8; at + 80 <= len; at += 8)
        if (ptr[at] == 'O' &&
            log_wal_decode(ptr + at, len - at, (uint64_t)seq << 32 | at, &entry) &&
            entry.synced_lsn > bad)
            return at;
    return 0;
}

static ox_code
read_entries(struct replay *replay, size_t i, const uint8_t *ptr, size_t len, bool writing,
    size_t *end, struct ox_err *err)
{
    uint32_t seq = replay->seqs[i];
    size_t limit = replay->ends[i] != 0 ? OX_MIN((size_t)replay->ends[i], len) : len;
    size_t pos = FILE_HEADER;
    *end = pos;
    while (pos < limit) {
        struct wal_entry entry;
        if (!log_wal_decode(ptr + pos, limit - pos, (uint64_t)seq << 32 | pos, &entry)) {
            size_t next = resync(ptr, limit, pos, seq);
            if (next == 0 && replay->ends[i] == 0)
                break;
            replay->damaged = true;
            if (next == 0)
                break;
            pos = next;
            continue;
        }
        ox_code rc = apply_entry(replay, &entry, writing, err);
        if (rc != OX_OK)
            return rc;
        pos += entry.bytes;
        *end = pos;
    }
    return OX_OK;
}

static ox_code
read_file(struct replay *replay, size_t i, bool writing, size_t *end, struct ox_err *err)
{
    char path[PATH_LEN_MAX], *ptr;
    size_t len;
    struct arena arena;
    snprintf(path, sizeof(path), "%s/oxbow-wal-%08x", replay->dir->path, replay->seqs[i]);
    ox_arena_init(&arena);
    ox_code rc = file_read_all(replay->dir->fs, path, (size_t)4 << 30, &arena, &ptr, &len, err);
    if (rc == OX_OK)
        rc = read_entries(replay, i, (const uint8_t *)ptr, len, writing, end, err);
    ox_arena_fini(&arena);
    return rc;
}

static void
keep_hints(struct replay *replay)
{
    struct map_entry *entry;
    uint32_t at = 0;
    ox_lock(&replay->dir->lock);
    while ((entry = ox_map_next(&replay->targets, &at)) != NULL) {
        const struct target *target = entry->value;
        if (target->path == NULL || target->flushed_end < 0)
            continue;
        struct partition_hint *hint =
            log_dir_hint(replay->dir, target->topic, target->partition);
        hint->flushed_end = OX_MAX(hint->flushed_end, target->flushed_end);
    }
    ox_unlock(&replay->dir->lock);
}

/* The files go on the list, to be recycled by the first checkpoint. */
static void
keep_files(struct replay *replay, size_t end)
{
    struct wal *wal = &replay->dir->wal;
    for (size_t i = 0; i < replay->count; i++) {
        struct wal_file *file = ox_calloc(1, sizeof(*file));
        file->seq = replay->seqs[i];
        ox_list_push(&wal->files, &file->link);
        wal->file_count++;
    }
    wal->begin_new = true;
    if (replay->count > 0) {
        wal->pos = end;
        wal->synced_lsn = (uint64_t)replay->seqs[replay->count - 1] << 32 | end;
        atomic_store(&wal->bytes, (uint64_t)replay->count * replay->dir->config.wal_file_bytes);
    }
}

ox_code
log_wal_replay(struct log_dir *dir, struct ox_err *err)
{
    struct replay replay = {.dir = dir};
    size_t end = 0;
    ox_arena_init(&replay.arena);
    ox_map_init(&replay.targets);
    ox_map_init(&replay.dirs);
    ox_code rc = find_run(&replay, err);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < replay.count && rc == OX_OK; i++)
            rc = read_file(&replay, i, pass == 1, &end, err);
    struct ox_err close_err;
    ox_code close_rc = close_segments(&replay, rc == OX_OK ? err : &close_err);
    rc = rc == OX_OK ? close_rc : rc;
    if (rc == OX_OK) {
        keep_hints(&replay);
        keep_files(&replay, end);
        if (replay.damaged)
            ox_error("write-ahead log has damaged entries below what was flushed", "dir=%s",
                dir->path);
        if (replay.count > 0)
            ox_info("write-ahead log replayed", "dir=%s files=%zu batches_restored=%llu",
                dir->path, replay.count, (unsigned long long)replay.written);
    }
    ox_map_fini(&replay.targets);
    ox_map_fini(&replay.dirs);
    ox_arena_fini(&replay.arena);
    return rc;
}
