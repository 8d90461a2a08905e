/* SPDX-License-Identifier: Apache-2.0
 *
 * A log directory: its lock and identity, opening and closing it, running full,
 * going offline. The checkpoint files are checkpoint_files.c's, the two threads
 * dir_threads.c's.
 *
 *   .lock                             held while open
 *   meta.properties                   cluster.id, node.id, directory.id
 *   .kafka_cleanshutdown              there after a clean stop, gone while open
 *   recovery-point-offset-checkpoint  below: flushed, indexes and all
 *   log-start-offset-checkpoint       below: deleted
 *   replication-offset-checkpoint     high watermarks
 *   cleaner-offset-checkpoint         below: compacted
 *   oxbow-wal-*                       the write-ahead log, gone after a clean stop
 *   <topic>-<partition>/              a plog each
 *
 * States: open, full (appends refused until space returns), offline (a flush
 * failed: for good, nothing is acknowledged any more).
 *
 * 1. hints has, for every partition this directory has ever heard of since it
 *    was opened, what the checkpoint files say; open plogs refresh theirs.
 * 2. The clean mark is removed before the first plog can be opened and written
 *    after everything else. */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"

enum { SPACE_CHECK_BYTES = 16 << 20, SHRINK_PIECE = 4 << 20, SHRINK_PAUSE_US = 2000 };

void
log_dir_config_init(struct log_dir_config *config)
{
    *config = (struct log_dir_config){
        .node_id = -1,
        .threads = true,
        .reserve_bytes = LIMIT_DISK_RESERVE_VALUE,
        .wal_file_bytes = 64u << 20,
        .wal_bytes_max = 1u << 30,
        .flush_linger_us = 20000,
        .flush_queue_bytes_max = 64u << 20,
        .direct_bytes_min = 256u << 10,
        .direct_files_max = 4,
        .checkpoint_interval_ms = 60000,
        .high_watermark_interval_ms = 5000,
    };
}

/* ---- small text files ---- */

bool
log_next_line(struct str *text, struct str *line)
{
    if (text->len == 0)
        return false;
    const char *end = memchr(text->ptr, '\n', text->len);
    line->ptr = text->ptr;
    line->len = end != NULL ? (size_t)(end - text->ptr) : text->len;
    size_t step = line->len + (end != NULL);
    text->ptr += step;
    text->len -= step;
    if (line->len > 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    return true;
}

bool
log_split_last(struct str line, struct str *before, struct str *after)
{
    for (size_t i = line.len; i-- > 0;)
        if (line.ptr[i] == ' ') {
            *before = ox_str_n(line.ptr, i);
            *after = ox_str_n(line.ptr + i + 1, line.len - i - 1);
            return true;
        }
    return false;
}

bool
log_dir_parse_name(const char *name, char topic[256], int32_t *partition)
{
    const char *dash = strrchr(name, '-');
    int64_t value;
    if (dash == NULL || dash == name || dash - name > 249 ||
        !ox_str_to_i64(ox_str(dash + 1), &value) || value < 0 || value > INT32_MAX ||
        dash[1] < '0' || dash[1] > '9')
        return false;
    memcpy(topic, name, (size_t)(dash - name));
    topic[dash - name] = '\0';
    *partition = (int32_t)value;
    return true;
}

bool
log_read_partition_metadata(struct file_system *fs, const char *dir, struct uuid *out)
{
    char path[PATH_LEN_MAX], *ptr;
    size_t len;
    struct arena arena;
    bool found = false;
    snprintf(path, sizeof(path), "%s/partition.metadata", dir);
    ox_arena_init(&arena);
    if (file_read_all(fs, path, 4096, &arena, &ptr, &len, NULL) == OX_OK) {
        struct str text = ox_str_n(ptr, len), line;
        while (log_next_line(&text, &line))
            if (ox_str_starts(line, OX_STR("topic_id:"))) {
                struct str id = ox_str_n(line.ptr + 9, line.len - 9);
                while (id.len > 0 && id.ptr[0] == ' ')
                    id = ox_str_n(id.ptr + 1, id.len - 1);
                found = ox_uuid_from_base64(id, out) && !ox_uuid_is_zero(out);
            }
    }
    ox_arena_fini(&arena);
    return found;
}

/* A file system that gives back a gigabyte at once keeps every flush waiting for
 * tens of milliseconds: what nobody reads any more is cut off from its end, and the
 * unlink finds little. A hint, as what reads it is not disturbed. */
static void
shrink(struct log_dir *dir, const char *path)
{
    struct file *file;
    uint64_t size;
    if (!dir->config.threads ||
        fs_open(dir->fs, "dir.unlink", path, FILE_READ | FILE_WRITE, &file, NULL) != OX_OK)
        return;
    if (fs_size(dir->fs, file, &size, NULL) == OX_OK && size > SHRINK_PIECE &&
        fs_alone(dir->fs, file))
        while (size > SHRINK_PIECE) {
            size -= SHRINK_PIECE;
            if (fs_truncate(dir->fs, "dir.unlink", file, size, NULL) != OX_OK ||
                !log_dir_pause(dir, SHRINK_PAUSE_US))
                break;
        }
    fs_close(dir->fs, file);
}

static void
shrink_tree(struct log_dir *dir, const char *path)
{
    struct arena arena;
    struct file_name *names;
    size_t count;
    ox_arena_init(&arena);
    if (fs_list(dir->fs, path, &arena, &names, &count, NULL) == OX_OK)
        for (size_t i = 0; i < count; i++)
            if (!names[i].is_dir && strstr(names[i].name, ".log") != NULL)
                shrink(dir, ox_arena_printf(&arena, "%s/%s", path, names[i].name));
    ox_arena_fini(&arena);
}

ox_code
log_remove_tree(struct file_system *fs, const char *path, struct ox_err *err)
{
    struct arena arena;
    struct file_name *names;
    size_t count;
    ox_arena_init(&arena);
    ox_code rc = fs_list(fs, path, &arena, &names, &count, err);
    for (size_t i = 0; i < count && rc == OX_OK; i++)
        rc = fs_unlink(fs, "dir.unlink",
            ox_arena_printf(&arena, "%s/%s", path, names[i].name), err);
    if (rc == OX_OK)
        rc = fs_rmdir(fs, "dir.rmdir", path, err);
    ox_arena_fini(&arena);
    return rc == OX_FILE_NOT_FOUND ? OX_OK : rc;
}

/* ---- checkpoints ---- */

struct plog **
log_dir_hold_plogs(struct log_dir *dir, uint32_t *count)
{
    ox_lock(&dir->lock);
    struct plog **plogs = ox_calloc(dir->plog_count + 1, sizeof(*plogs));
    *count = 0;
    ox_list_each(node, &dir->plogs)
        plogs[(*count)++] = plog_get(ox_container_of(node, struct plog, link));
    ox_unlock(&dir->lock);
    return plogs;
}

static ox_code
checkpoint_plogs(struct log_dir *dir, struct ox_err *err)
{
    uint32_t count;
    ox_code rc = OX_OK;
    struct plog **plogs = log_dir_hold_plogs(dir, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (rc == OX_OK) {
            pthread_mutex_lock(&plogs[i]->work);
            rc = plog_checkpoint(plogs[i], false, err);
            pthread_mutex_unlock(&plogs[i]->work);
        }
        plog_put(plogs[i]);
    }
    ox_free(plogs);
    return rc;
}

ox_code
log_dir_checkpoint(struct log_dir *dir, bool closing, struct ox_err *err)
{
    pthread_mutex_lock(&dir->checkpoint);
    uint64_t mark = log_wal_mark(dir);
    ox_code rc = checkpoint_plogs(dir, err);
    if (rc == OX_OK)
        rc = log_dir_write_checkpoints(dir, err);
    if (rc == OX_OK)
        rc = log_wal_recycle(dir, mark, closing, err);
    if (rc == OX_OK)
        atomic_fetch_add(&dir->checkpoints, 1);
    pthread_mutex_unlock(&dir->checkpoint);
    return rc;
}

/* ---- logs that nobody holds any more ---- */

void
log_dir_close_later(struct log_dir *dir, struct plog *plog)
{
    ox_lock(&dir->lock);
    ox_list_push(&dir->closing, &plog->link);
    ox_unlock(&dir->lock);
    pthread_mutex_lock(&dir->thread_lock);
    pthread_cond_signal(&dir->checkpointer_wake);
    pthread_mutex_unlock(&dir->thread_lock);
}

uint32_t
log_dir_close_pending(struct log_dir *dir)
{
    for (uint32_t closed = 0;; closed++) {
        ox_lock(&dir->lock);
        struct list *link = ox_list_pop(&dir->closing);
        ox_unlock(&dir->lock);
        if (link == NULL)
            return closed;
        plog_close(ox_container_of(link, struct plog, link));
    }
}

/* ---- one step of what the threads do ---- */

ox_code
log_dir_checkpoint_step(struct log_dir *dir, struct ox_err *err)
{
    log_dir_close_pending(dir);
    ox_code rc = log_dir_checkpoint(dir, false, err);
    if (rc == OX_OK)
        log_wal_prepare(dir);
    return rc;
}

ox_code
log_dir_flush_step(struct log_dir *dir, struct ox_err *err)
{
    return log_wal_round(dir, err);
}

/* ---- going offline, running full ---- */

ox_code
log_dir_fail(struct log_dir *dir, ox_code code, const struct ox_err *err)
{
    ox_lock(&dir->lock);
    bool first = !atomic_load(&dir->offline);
    if (first) {
        ox_fail(&dir->offline_err, OX_STORAGE_ERROR, "log directory \"%s\" is offline: %s",
            dir->path, err != NULL ? err->message : ox_code_facts(code)->message);
        atomic_store(&dir->offline, true);
    }
    ox_unlock(&dir->lock);
    if (first) {
        ox_diag_err(OX_DIAG_ERROR, "log directory goes offline", &dir->offline_err);
        if (dir->config.on_offline != NULL)
            dir->config.on_offline(dir->config.arg, &dir->offline_err);
    }
    return code;
}

void
log_dir_check_space(struct log_dir *dir)
{
    struct file_space space;
    atomic_store(&dir->unchecked_bytes, 0);
    if (fs_space(dir->fs, dir->path, &space, NULL) != OX_OK)
        return;
    bool full = space.usable < dir->config.reserve_bytes;
    if (full == atomic_exchange(&dir->full, full))
        return;
    if (full)
        ox_error("disk is full, produce is refused", "dir=%s usable=%llu reserve=%llu", dir->path,
            (unsigned long long)space.usable, (unsigned long long)dir->config.reserve_bytes);
    else
        ox_info("disk has space again", "dir=%s usable=%llu", dir->path,
            (unsigned long long)space.usable);
}

void
log_dir_found_full(struct log_dir *dir)
{
    if (!atomic_exchange(&dir->full, true))
        ox_error("disk is full, produce is refused", "dir=%s", dir->path);
}

ox_code
log_dir_writable(struct log_dir *dir, size_t len, struct ox_err *err)
{
    if (ox_unlikely(atomic_load_explicit(&dir->offline, memory_order_acquire))) {
        if (err != NULL)
            *err = dir->offline_err;
        return OX_STORAGE_ERROR;
    }
    bool full = atomic_load_explicit(&dir->full, memory_order_relaxed);
    uint64_t unchecked = atomic_load_explicit(&dir->unchecked_bytes, memory_order_relaxed);
    if (ox_unlikely(unchecked > SPACE_CHECK_BYTES || (full && !dir->config.threads))) {
        log_dir_check_space(dir);
        full = atomic_load(&dir->full);
    }
    if (ox_likely(!full))
        return OX_OK;
    limit_met(LIMIT_DISK_RESERVE);
    return ox_fail(err, OX_DISK_FULL,
        "disk of log directory \"%s\" has less than its reserve of %llu bytes free", dir->path,
        (unsigned long long)dir->config.reserve_bytes);
}

/* ---- what waits to be unlinked ---- */

void
log_dir_condemn(struct log_dir *dir, const char *path, bool is_dir, int64_t due_ms)
{
    ox_lock(&dir->lock);
    if (dir->condemned_count == dir->condemned_cap) {
        dir->condemned_cap = OX_MAX(dir->condemned_cap * 2, 16u);
        dir->condemned = ox_realloc(dir->condemned,
            ox_size_mul(dir->condemned_cap, sizeof(*dir->condemned)));
    }
    dir->condemned[dir->condemned_count++] =
        (struct condemned){ox_strdup(path), is_dir, due_ms};
    ox_unlock(&dir->lock);
}

static bool
take_due(struct log_dir *dir, int64_t now_ms, struct condemned *out)
{
    bool found = false;
    ox_lock(&dir->lock);
    for (uint32_t i = 0; i < dir->condemned_count && !found; i++)
        if (dir->condemned[i].due_ms <= now_ms) {
            *out = dir->condemned[i];
            dir->condemned[i] = dir->condemned[--dir->condemned_count];
            found = true;
        }
    ox_unlock(&dir->lock);
    return found;
}

void
log_dir_purge(struct log_dir *dir, int64_t now_ms)
{
    struct condemned item;
    while (take_due(dir, now_ms, &item)) {
        struct ox_err err;
        if (item.is_dir)
            shrink_tree(dir, item.path);
        else
            shrink(dir, item.path);
        ox_code rc = item.is_dir ? log_remove_tree(dir->fs, item.path, &err)
                                 : fs_unlink(dir->fs, "dir.unlink", item.path, &err);
        if (rc != OX_OK && rc != OX_FILE_NOT_FOUND)
            ox_diag_err(OX_DIAG_WARN, "deleted file could not be unlinked", &err);
        ox_free(item.path);
    }
}

/* ---- identity ---- */

static void
take_property(struct log_dir *dir, struct str line)
{
    const char *equals = memchr(line.ptr, '=', line.len);
    if (equals == NULL || line.ptr[0] == '#')
        return;
    struct str name = ox_str_n(line.ptr, (size_t)(equals - line.ptr));
    struct str value = ox_str_n(equals + 1, line.len - name.len - 1);
    int64_t number;
    if (ox_str_is(name, "cluster.id") && value.len < sizeof(dir->cluster_id)) {
        memcpy(dir->cluster_id, value.ptr, value.len);
        dir->cluster_id[value.len] = '\0';
    } else if ((ox_str_is(name, "node.id") || ox_str_is(name, "broker.id")) &&
               ox_str_to_i64(value, &number)) {
        dir->node_id = (int32_t)number;
    } else if (ox_str_is(name, "directory.id")) {
        ox_uuid_from_base64(value, &dir->id);
    }
}

static ox_code
write_properties(struct log_dir *dir, struct ox_err *err)
{
    char path[PATH_LEN_MAX], text[512], id[23];
    if (ox_uuid_is_zero(&dir->id))
        env_random(dir->env, dir->id.bytes, sizeof(dir->id.bytes));
    ox_uuid_to_base64(&dir->id, id);
    int len = snprintf(text, sizeof(text),
        "#\nversion=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\n", dir->cluster_id,
        dir->node_id, id);
    snprintf(path, sizeof(path), "%s/meta.properties", dir->path);
    return file_replace(dir->fs, "dir.identity", path, text, (size_t)len, err);
}

/* A directory without identity is ours to take only if it holds no
 * partitions. */
static ox_code
take_directory(struct log_dir *dir, struct ox_err *err)
{
    struct arena arena;
    struct log_dir_entry *entries;
    size_t count;
    if (dir->config.cluster_id == NULL || dir->config.node_id < 0)
        return ox_fail(err, OX_IDENTITY_MISMATCH, "\"%s\" has no meta.properties", dir->path);
    ox_arena_init(&arena);
    ox_code rc = log_dir_list(dir, &arena, &entries, &count, err);
    ox_arena_fini(&arena);
    if (rc == OX_OK && count > 0) {
        ox_fail(err, OX_IDENTITY_MISMATCH,
            "\"%s\" holds partitions but no meta.properties", dir->path);
        return ox_hint(err, "Restore meta.properties, or use another directory.");
    }
    if (rc != OX_OK)
        return rc;
    snprintf(dir->cluster_id, sizeof(dir->cluster_id), "%s", dir->config.cluster_id);
    dir->node_id = dir->config.node_id;
    return write_properties(dir, err);
}

static ox_code
check_identity(struct log_dir *dir, struct ox_err *err)
{
    char path[PATH_LEN_MAX], *ptr;
    size_t len;
    struct arena arena;
    dir->node_id = -1;
    snprintf(path, sizeof(path), "%s/meta.properties", dir->path);
    ox_arena_init(&arena);
    ox_code rc = file_read_all(dir->fs, path, 65536, &arena, &ptr, &len, err);
    if (rc == OX_OK) {
        struct str text = ox_str_n(ptr, len), line;
        while (log_next_line(&text, &line))
            if (line.len > 0)
                take_property(dir, line);
    }
    ox_arena_fini(&arena);
    if (rc == OX_FILE_NOT_FOUND)
        return take_directory(dir, err);
    if (rc != OX_OK)
        return rc;
    if (dir->config.cluster_id != NULL && strcmp(dir->config.cluster_id, dir->cluster_id) != 0)
        return ox_fail(err, OX_IDENTITY_MISMATCH,
            "log directory \"%s\" belongs to cluster \"%s\", this is \"%s\"", dir->path,
            dir->cluster_id, dir->config.cluster_id);
    if (dir->config.node_id >= 0 && dir->config.node_id != dir->node_id)
        return ox_fail(err, OX_IDENTITY_MISMATCH,
            "log directory \"%s\" belongs to node %d, this is node %d", dir->path, dir->node_id,
            dir->config.node_id);
    return ox_uuid_is_zero(&dir->id) ? write_properties(dir, err) : OX_OK;
}

/* ---- opening and closing ---- */

static ox_code
take_clean_mark(struct log_dir *dir, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    snprintf(path, sizeof(path), "%s/.kafka_cleanshutdown", dir->path);
    ox_code rc = fs_unlink(dir->fs, "dir.clean_mark", path, err);
    dir->clean_start = rc == OX_OK;
    if (rc == OX_OK)
        rc = fs_sync_dir(dir->fs, "dir.clean_mark", dir->path, err);
    return rc == OX_FILE_NOT_FOUND ? OX_OK : rc;
}

/* Makes the directory, its name durable. */
static ox_code
make_directory(struct log_dir *dir, struct ox_err *err)
{
    char parent[PATH_LEN_MAX];
    ox_code rc = fs_mkdir(dir->fs, "dir.mkdir", dir->path, err);
    if (rc != OX_OK)
        return rc == OX_FILE_EXISTS ? OX_OK : rc;
    snprintf(parent, sizeof(parent), "%s", dir->path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        strcpy(parent, ".");
    else
        slash[slash == parent] = '\0';
    return fs_sync_dir(dir->fs, "dir.mkdir", parent, err);
}

static ox_code
lock_directory(struct log_dir *dir, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    ox_code rc = make_directory(dir, err);
    if (rc != OX_OK)
        return rc;
    snprintf(path, sizeof(path), "%s/.lock", dir->path);
    rc = fs_open(dir->fs, "dir.lock", path, FILE_READ | FILE_WRITE | FILE_CREATE,
        &dir->lock_file, err);
    if (rc == OX_OK)
        rc = fs_lock(dir->fs, dir->lock_file, err);
    return rc;
}

/* Directories that were being deleted are deleted now. */
static ox_code
finish_deletions(struct log_dir *dir, struct ox_err *err)
{
    struct arena arena;
    struct file_name *names;
    size_t count;
    ox_arena_init(&arena);
    ox_code rc = fs_list(dir->fs, dir->path, &arena, &names, &count, err);
    for (size_t i = 0; i < count && rc == OX_OK; i++) {
        size_t len = strlen(names[i].name);
        if (names[i].is_dir && len > 7 &&
            strcmp(names[i].name + len - 7, "-delete") == 0)
            rc = log_remove_tree(dir->fs,
                ox_arena_printf(&arena, "%s/%s", dir->path, names[i].name), err);
    }
    ox_arena_fini(&arena);
    return rc;
}

static ox_code
open_locked(struct log_dir *dir, struct ox_err *err)
{
    ox_code rc = check_identity(dir, err);
    if (rc == OX_OK)
        rc = take_clean_mark(dir, err);
    if (rc == OX_OK)
        rc = finish_deletions(dir, err);
    if (rc == OX_OK) {
        log_dir_read_checkpoints(dir);
        rc = log_wal_replay(dir, err);
    }
    if (rc == OX_OK)
        log_dir_check_space(dir);
    return rc;
}

static void
init_mutexes(struct log_dir *dir)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&dir->round, NULL);
    pthread_mutex_init(&dir->cleaned, NULL);
    pthread_mutex_init(&dir->checkpoint, NULL);
    pthread_mutex_init(&dir->files, NULL);
    pthread_mutex_init(&dir->thread_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&dir->flusher_wake, &attr);
    pthread_cond_init(&dir->checkpointer_wake, &attr);
    pthread_condattr_destroy(&attr);
    ox_lock_init(&dir->lock, LOCK_LOG_DIR);
}

static void
free_dir(struct log_dir *dir)
{
    struct map_entry *entry;
    uint32_t at = 0;
    log_wal_fini(dir);
    while ((entry = ox_map_next(&dir->hints, &at)) != NULL)
        ox_free(entry->value);
    ox_map_fini(&dir->hints);
    for (uint32_t i = 0; i < dir->condemned_count; i++)
        ox_free(dir->condemned[i].path);
    ox_free(dir->condemned);
    if (dir->lock_file != NULL)
        fs_close(dir->fs, dir->lock_file);
    ox_lock_fini(&dir->lock);
    pthread_mutex_destroy(&dir->round);
    pthread_mutex_destroy(&dir->cleaned);
    pthread_mutex_destroy(&dir->checkpoint);
    pthread_mutex_destroy(&dir->files);
    pthread_mutex_destroy(&dir->thread_lock);
    pthread_cond_destroy(&dir->flusher_wake);
    pthread_cond_destroy(&dir->checkpointer_wake);
    ox_free(dir->path);
    ox_free(dir);
}

ox_code
log_dir_open(const struct log_dir_config *config, const struct env *env, struct log_dir **out,
    struct ox_err *err)
{
    struct log_dir *dir = ox_calloc(1, sizeof(*dir));
    dir->config = *config;
    dir->env = env;
    dir->fs = env->fs;
    dir->path = ox_strdup(config->path);
    ox_list_init(&dir->plogs);
    ox_list_init(&dir->closing);
    ox_map_init(&dir->hints);
    init_mutexes(dir);
    log_wal_init(dir);
    ox_code rc = lock_directory(dir, err);
    if (rc == OX_OK)
        rc = open_locked(dir, err);
    if (rc != OX_OK) {
        free_dir(dir);
        return rc;
    }
    log_dir_start_threads(dir);
    *out = dir;
    return OX_OK;
}

static ox_code
write_clean_mark(struct log_dir *dir, struct ox_err *err)
{
    static const char mark[] = "{\"version\":0,\"brokerEpoch\":-1}";
    char path[PATH_LEN_MAX];
    snprintf(path, sizeof(path), "%s/.kafka_cleanshutdown", dir->path);
    return file_replace(dir->fs, "dir.clean_mark", path, mark, sizeof(mark) - 1, err);
}

/* Whether every log was closed as it should be. */
static bool
all_clean(struct log_dir *dir)
{
    struct map_entry *entry;
    uint32_t at = 0;
    bool clean = !dir->faulty_closed && !atomic_load(&dir->offline);
    while (clean && (entry = ox_map_next(&dir->hints, &at)) != NULL)
        clean = !((struct partition_hint *)entry->value)->dirty;
    return clean;
}

void
log_dir_close(struct log_dir *dir)
{
    if (dir == NULL)
        return;
    struct ox_err err;
    log_dir_stop_threads(dir);
    log_dir_close_pending(dir);
    ox_assert(ox_list_empty(&dir->plogs));
    ox_code rc = OX_OK;
    if (!atomic_load(&dir->offline))
        rc = log_wal_round(dir, &err);
    if (rc == OX_OK && !atomic_load(&dir->offline))
        rc = log_dir_checkpoint(dir, true, &err);
    if (rc == OX_OK && all_clean(dir))
        rc = write_clean_mark(dir, &err);
    if (rc != OX_OK)
        ox_diag_err(OX_DIAG_ERROR, "log directory was not closed cleanly", &err);
    free_dir(dir);
}

void
log_dir_abandon(struct log_dir *dir)
{
    log_dir_stop_threads(dir);
    log_dir_close_pending(dir); /* detached: that writes nothing */
    free_dir(dir);
}

/* ---- facts ---- */

ox_code
log_dir_list(struct log_dir *dir, struct arena *arena, struct log_dir_entry **out, size_t *count,
    struct ox_err *err)
{
    struct file_name *names;
    size_t name_count;
    *count = 0;
    ox_code rc = fs_list(dir->fs, dir->path, arena, &names, &name_count, err);
    if (rc != OX_OK)
        return rc;
    *out = ox_arena_array(arena, struct log_dir_entry, name_count + 1);
    for (size_t i = 0; i < name_count; i++) {
        char topic[256], path[PATH_LEN_MAX];
        struct log_dir_entry *entry = &(*out)[*count];
        if (!names[i].is_dir || !log_dir_parse_name(names[i].name, topic, &entry->partition))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir->path, names[i].name);
        entry->topic = ox_arena_strdup(arena, topic);
        if (!log_read_partition_metadata(dir->fs, path, &entry->topic_id))
            memset(&entry->topic_id, 0, sizeof(entry->topic_id));
        (*count)++;
    }
    return OX_OK;
}

/* <topic, maybe cut>-<partition>.<id>-future, or -stray */
static bool
parse_aside(const char *name, enum log_aside what, int32_t *partition)
{
    const char *end = what == LOG_FUTURE ? "-future" : "-stray";
    size_t len = strlen(name), end_len = strlen(end);
    char topic[256], stem[256];
    const char *dot = strrchr(name, '.');
    if (dot == NULL || len < end_len || len > 255 || strcmp(name + len - end_len, end) != 0)
        return false;
    snprintf(stem, sizeof(stem), "%.*s", (int)(dot - name), name);
    return log_dir_parse_name(stem, topic, partition);
}

ox_code
log_dir_list_aside(struct log_dir *dir, enum log_aside what, struct arena *arena,
    struct log_dir_entry **out, size_t *count, struct ox_err *err)
{
    struct file_name *names;
    size_t name_count;
    *count = 0;
    ox_code rc = fs_list(dir->fs, dir->path, arena, &names, &name_count, err);
    if (rc != OX_OK)
        return rc;
    *out = ox_arena_array(arena, struct log_dir_entry, name_count + 1);
    for (size_t i = 0; i < name_count; i++) {
        struct log_dir_entry *entry = &(*out)[*count];
        if (!names[i].is_dir || !parse_aside(names[i].name, what, &entry->partition))
            continue;
        entry->topic = names[i].name;
        if (!log_read_partition_metadata(dir->fs,
                ox_arena_printf(arena, "%s/%s", dir->path, names[i].name), &entry->topic_id))
            memset(&entry->topic_id, 0, sizeof(entry->topic_id));
        (*count)++;
    }
    return OX_OK;
}

ox_code
log_dir_remove_future(struct log_dir *dir, const char *name, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    int32_t partition;
    ox_assert(parse_aside(name, LOG_FUTURE, &partition));
    snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    return log_remove_tree(dir->fs, path, err);
}

ox_code
log_dir_take_back(struct log_dir *dir, const char *name, const char *topic, int32_t partition,
    struct ox_err *err)
{
    char from[PATH_LEN_MAX], to[PATH_LEN_MAX];
    struct file_stat stat;
    snprintf(from, sizeof(from), "%s/%s", dir->path, name);
    snprintf(to, sizeof(to), "%s/%s-%d", dir->path, topic, partition);
    if (fs_stat(dir->fs, to, &stat, NULL) == OX_OK)
        return ox_fail(err, OX_OBJECT_IN_USE, "\"%s\" is there already", to);
    ox_code rc = fs_rename(dir->fs, "plog.take_back", from, to, err);
    if (rc == OX_OK)
        rc = fs_sync_dir(dir->fs, "plog.take_back", dir->path, err);
    if (rc == OX_OK)
        ox_warn("partition directory that was set aside is of a topic that is known: it is taken back",
            "path=%s", from);
    return rc;
}

bool
log_dir_has(struct log_dir *dir, const char *topic, int32_t partition,
    const struct uuid *topic_id, int64_t *made_ms)
{
    char path[PATH_LEN_MAX], metadata[PATH_LEN_MAX + 32];
    struct uuid id;
    struct file_stat st = {0};
    snprintf(path, sizeof(path), "%s/%s-%d", dir->path, topic, partition);
    if (!log_read_partition_metadata(dir->fs, path, &id) || !ox_uuid_eq(&id, topic_id))
        return false;
    snprintf(metadata, sizeof(metadata), "%s/partition.metadata", path);
    fs_stat(dir->fs, metadata, &st, NULL);
    *made_ms = st.mtime_ms;
    return true;
}

uint32_t
log_dir_plog_count(struct log_dir *dir)
{
    ox_lock(&dir->lock);
    uint32_t count = dir->plog_count;
    ox_unlock(&dir->lock);
    return count;
}

bool
log_dir_is_offline(struct log_dir *dir)
{
    return atomic_load(&dir->offline);
}

const char *
log_dir_path(const struct log_dir *dir)
{
    return dir->path;
}

const struct uuid *
log_dir_id(const struct log_dir *dir)
{
    return &dir->id;
}

const char *
log_dir_cluster_id(const struct log_dir *dir)
{
    return dir->cluster_id;
}

int32_t
log_dir_node_id(const struct log_dir *dir)
{
    return dir->node_id;
}

void
log_dir_stats(struct log_dir *dir, struct log_dir_stats *out)
{
    struct file_space space = {0, 0};
    fs_space(dir->fs, dir->path, &space, NULL);
    *out = (struct log_dir_stats){
        .offline = atomic_load(&dir->offline),
        .full = atomic_load(&dir->full),
        .clean_start = dir->clean_start,
        .total_bytes = space.total,
        .usable_bytes = space.usable,
        .wal_bytes = atomic_load(&dir->wal.bytes),
        .wal_flushes = atomic_load(&dir->wal_flushes),
        .direct_flushes = atomic_load(&dir->direct_flushes),
        .checkpoints = atomic_load(&dir->checkpoints),
        .wal_batches = atomic_load(&dir->wal_batches),
        .wal_batch_bytes = atomic_load(&dir->wal_batch_bytes),
    };
    ox_lock(&dir->lock);
    out->plogs = dir->plog_count;
    ox_unlock(&dir->lock);
    ox_lock(&dir->wal.lock);
    out->queued_bytes = dir->wal.queue_bytes;
    ox_unlock(&dir->wal.lock);
}
