/* SPDX-License-Identifier: Apache-2.0
 *
 * The checkpoint files of a log directory, in Kafka's format, and the hints they
 * are read into and written from: what is known about every partition that this
 * directory ever heard of since it was opened.
 *
 * A file is text: "0", the number of lines, then "topic partition offset" each.
 * One is written at a time (dir->files), as a whole, beside the old one. */
#include "log/log_int.h"

#include <stdio.h>

#include "base/diag.h"

enum { CHECKPOINT_FILE_MAX = 64 << 20 };

struct partition_hint *
log_dir_hint(struct log_dir *dir, const char *topic, int32_t partition)
{
    char name[300];
    int len = snprintf(name, sizeof(name), "%s %d", topic, partition);
    struct str key = ox_str_n(name, (size_t)len);
    struct partition_hint *hint = ox_map_get(&dir->hints, key);
    if (hint == NULL) {
        hint = ox_malloc(sizeof(*hint));
        *hint = PARTITION_HINT_NONE;
        ox_map_put(&dir->hints, key, hint);
    }
    return hint;
}

void
log_dir_expect(struct log_dir *dir, const char *topic, int32_t partition)
{
    ox_lock(&dir->lock);
    log_dir_hint(dir, topic, partition);
    ox_unlock(&dir->lock);
}

enum checkpoint_kind { RECOVERY_POINTS, LOG_STARTS, HIGH_WATERMARKS, CLEANED };

static const char *const checkpoint_names[] = {
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    "cleaner-offset-checkpoint",
};

static int64_t *
hint_value(struct partition_hint *hint, enum checkpoint_kind kind)
{
    return kind == RECOVERY_POINTS ? &hint->recovery_point
        : kind == LOG_STARTS       ? &hint->log_start
        : kind == HIGH_WATERMARKS  ? &hint->high_watermark
                                   : &hint->cleaned;
}

/* A line "topic partition offset"; lines that are not are left out. */
static void
take_line(struct log_dir *dir, enum checkpoint_kind kind, struct str line)
{
    struct str rest, topic, number;
    int64_t partition, offset;
    char name[256];
    if (!log_split_last(line, &rest, &number) || !ox_str_to_i64(number, &offset) || offset < 0 ||
        !log_split_last(rest, &topic, &number) || !ox_str_to_i64(number, &partition) ||
        partition < 0 || partition > INT32_MAX || topic.len == 0 || topic.len >= sizeof(name))
        return;
    memcpy(name, topic.ptr, topic.len);
    name[topic.len] = '\0';
    struct partition_hint *hint = log_dir_hint(dir, name, (int32_t)partition);
    *hint_value(hint, kind) = offset;
    hint->listed = true;
}

static void
read_checkpoint(struct log_dir *dir, enum checkpoint_kind kind)
{
    char path[PATH_LEN_MAX], *ptr;
    size_t len;
    struct arena arena;
    snprintf(path, sizeof(path), "%s/%s", dir->path, checkpoint_names[kind]);
    ox_arena_init(&arena);
    if (file_read_all(dir->fs, path, CHECKPOINT_FILE_MAX, &arena, &ptr, &len, NULL) == OX_OK) {
        struct str text = ox_str_n(ptr, len), line;
        if (log_next_line(&text, &line) && ox_str_is(line, "0") && log_next_line(&text, &line))
            while (log_next_line(&text, &line))
                take_line(dir, kind, line);
        else
            ox_warn("checkpoint file is not valid, it is ignored", "path=%s", path);
    }
    ox_arena_fini(&arena);
}

void
log_dir_read_checkpoints(struct log_dir *dir)
{
    for (int kind = RECOVERY_POINTS; kind <= CLEANED; kind++)
        read_checkpoint(dir, (enum checkpoint_kind)kind);
}

static ox_code
write_checkpoint(struct log_dir *dir, enum checkpoint_kind kind, struct ox_err *err)
{
    struct text lines, text;
    struct map_entry *entry;
    uint32_t at = 0, count = 0;
    char path[PATH_LEN_MAX];
    ox_text_init(&lines, NULL);
    ox_text_init(&text, NULL);
    pthread_mutex_lock(&dir->files);
    ox_lock(&dir->lock);
    while ((entry = ox_map_next(&dir->hints, &at)) != NULL) {
        struct partition_hint *hint = entry->value;
        int64_t value = *hint_value(hint, kind);
        if (value < 0 || (kind == LOG_STARTS && value == 0))
            continue;
        hint->listed = hint->listing = true;
        ox_text_addf(&lines, "%.*s %lld\n", OX_STR_ARG(entry->key), (long long)value);
        count++;
    }
    ox_unlock(&dir->lock);
    ox_text_addf(&text, "0\n%u\n", count);
    if (lines.len > 0)
        ox_text_add(&text, lines.ptr, lines.len);
    snprintf(path, sizeof(path), "%s/%s", dir->path, checkpoint_names[kind]);
    ox_code rc = file_replace(dir->fs, "checkpoint.write", path, text.ptr, text.len, err);
    pthread_mutex_unlock(&dir->files);
    ox_text_fini(&lines);
    ox_text_fini(&text);
    return rc;
}

static void
refresh_hints(struct log_dir *dir)
{
    ox_lock(&dir->lock);
    ox_list_each(node, &dir->plogs)
    {
        struct plog *plog = ox_container_of(node, struct plog, link);
        struct partition_hint *hint = log_dir_hint(dir, plog->topic, plog->partition);
        hint->recovery_point = plog->recovery_point;
        hint->log_start = plog_log_start(plog);
        hint->high_watermark = plog_high_watermark(plog);
        hint->cleaned = atomic_load(&plog->cleaned);
    }
    ox_unlock(&dir->lock);
}

/* Before the files are written nothing is being listed; once they are, nothing
 * else is. */
static void
turn_lists(struct log_dir *dir, bool written)
{
    struct map_entry *entry;
    uint32_t at = 0;
    ox_lock(&dir->lock);
    while ((entry = ox_map_next(&dir->hints, &at)) != NULL) {
        struct partition_hint *hint = entry->value;
        if (written)
            hint->listed = hint->listing;
        hint->listing = false;
    }
    ox_unlock(&dir->lock);
}

ox_code
log_dir_write_checkpoints(struct log_dir *dir, struct ox_err *err)
{
    ox_code rc = OX_OK;
    refresh_hints(dir);
    turn_lists(dir, false);
    for (int kind = RECOVERY_POINTS; kind <= HIGH_WATERMARKS && rc == OX_OK; kind++)
        rc = write_checkpoint(dir, (enum checkpoint_kind)kind, err);
    if (rc == OX_OK)
        turn_lists(dir, true);
    return rc;
}

ox_code
log_dir_write_log_starts(struct log_dir *dir, struct ox_err *err)
{
    return write_checkpoint(dir, LOG_STARTS, err);
}

ox_code
log_dir_forget(struct log_dir *dir, const char *topic, int32_t partition, struct ox_err *err)
{
    ox_lock(&dir->lock);
    struct partition_hint *hint = log_dir_hint(dir, topic, partition);
    bool listed = hint->listed;
    *hint = PARTITION_HINT_NONE;
    hint->listed = listed;
    ox_unlock(&dir->lock);
    if (!listed)
        return OX_OK;
    pthread_mutex_lock(&dir->checkpoint);
    ox_code rc = log_dir_write_checkpoints(dir, err);
    if (rc == OX_OK)
        rc = log_dir_write_cleaned(dir, err);
    pthread_mutex_unlock(&dir->checkpoint);
    return rc;
}

ox_code
log_dir_write_cleaned(struct log_dir *dir, struct ox_err *err)
{
    pthread_mutex_lock(&dir->cleaned);
    refresh_hints(dir);
    ox_code rc = write_checkpoint(dir, CLEANED, err);
    pthread_mutex_unlock(&dir->cleaned);
    return rc;
}

ox_code
log_dir_write_high_watermarks(struct log_dir *dir, struct ox_err *err)
{
    pthread_mutex_lock(&dir->checkpoint);
    refresh_hints(dir);
    ox_code rc = write_checkpoint(dir, HIGH_WATERMARKS, err);
    pthread_mutex_unlock(&dir->checkpoint);
    return rc;
}
