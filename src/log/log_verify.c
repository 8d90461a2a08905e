/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at a partition directory that nobody has open: every batch, every
 * record, and whether the derived files agree. Nothing is changed. */
#include "log/log_int.h"

#include <stdio.h>

#include "base/check.h"

struct verify {
    struct file_system *fs;
    const char *path;
    void (*say)(void *arg, const char *line);
    void *arg;
    struct log_verify_result *result;
    int64_t next;  /* offset that must come at the earliest */
    int32_t epoch;
    struct text scratch;
    struct buf *buf;
};

static void finding(struct verify *verify, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
finding(struct verify *verify, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    verify->result->problems++;
    verify->say(verify->arg, line);
}

static void
verify_records(struct verify *verify, const struct record_batch *batch, const char *name,
    uint64_t pos)
{
    struct record_iter iter;
    struct record_walk walk;
    struct ox_err err;
    if (record_iter_init(&iter, batch, &verify->scratch, (size_t)1 << 30, &err) != OX_OK ||
        record_walk(&iter, &walk, &err) != OX_OK) {
        finding(verify, "%s: position %llu, offset %lld: %s", name, (unsigned long long)pos,
            (long long)batch->base_offset, err.message);
        return;
    }
    verify->result->records += (uint64_t)walk.count;
}

/* One batch at pos; false when nothing further can be read from the file. */
static bool
verify_batch(struct verify *verify, struct file *file, const char *name, uint64_t pos,
    uint64_t size, uint64_t *next_pos)
{
    uint8_t header[RECORD_BATCH_HEADER];
    struct record_batch batch;
    struct ox_err err;
    size_t got;
    if (fs_pread(verify->fs, file, header, sizeof(header), pos, &got, &err) != OX_OK ||
        record_batch_decode(header, got, &batch, &err) != OX_OK) {
        finding(verify, "%s: position %llu: %s; %llu bytes are left", name,
            (unsigned long long)pos, err.message, (unsigned long long)(size - pos));
        return false;
    }
    if (batch.bytes > size - pos) {
        finding(verify, "%s: position %llu, offset %lld: batch of %zu bytes is cut off at %llu",
            name, (unsigned long long)pos, (long long)batch.base_offset, batch.bytes,
            (unsigned long long)(size - pos));
        return false;
    }
    if (verify->buf == NULL || verify->buf->cap < batch.bytes) {
        ox_buf_put(verify->buf);
        verify->buf = ox_buf_new(batch.bytes);
    }
    if (fs_pread(verify->fs, file, verify->buf->ptr, batch.bytes, pos, &got, &err) != OX_OK ||
        record_batch_check(verify->buf->ptr, got, &batch, &err) != OX_OK)
        finding(verify, "%s: position %llu, offset %lld: %s", name, (unsigned long long)pos,
            (long long)batch.base_offset, err.message);
    else
        verify_records(verify, &batch, name, pos);
    if (batch.base_offset < verify->next)
        finding(verify, "%s: position %llu: offset %lld comes after offset %lld", name,
            (unsigned long long)pos, (long long)batch.base_offset, (long long)verify->next - 1);
    if (batch.leader_epoch >= 0 && batch.leader_epoch < verify->epoch)
        finding(verify, "%s: position %llu, offset %lld: leader epoch %d comes after %d", name,
            (unsigned long long)pos, (long long)batch.base_offset, batch.leader_epoch,
            verify->epoch);
    verify->epoch = OX_MAX(verify->epoch, batch.leader_epoch);
    verify->next = record_batch_next_offset(&batch);
    verify->result->batches++;
    verify->result->bytes += batch.bytes;
    *next_pos = pos + batch.bytes;
    return true;
}

static ox_code
verify_segment(struct verify *verify, const char *name, int64_t base, struct ox_err *err)
{
    char path[PATH_LEN_MAX];
    struct file *file;
    uint64_t size, pos = 0;
    snprintf(path, sizeof(path), "%s/%s", verify->path, name);
    ox_code rc = fs_open(verify->fs, "verify.open", path, FILE_READ, &file, err);
    if (rc != OX_OK)
        return rc;
    rc = fs_size(verify->fs, file, &size, err);
    if (base < verify->next)
        finding(verify, "%s: begins below offset %lld, where the segment before ends", name,
            (long long)verify->next);
    verify->next = OX_MAX(verify->next, base);
    while (rc == OX_OK && pos < size && verify_batch(verify, file, name, pos, size, &pos))
        ;
    fs_close(verify->fs, file);
    return rc;
}

/* Whether the entries of an offset index point at the batches they name. */
static void
verify_index(struct verify *verify, const char *name, int64_t base)
{
    char path[PATH_LEN_MAX];
    struct log_segment *seg;
    struct ox_err err;
    uint64_t size;
    snprintf(path, sizeof(path), "%s/%s", verify->path, name);
    if (log_segment_open(verify->fs, verify->path, base, false, &seg, &err) != OX_OK) {
        finding(verify, "%s: has no segment", name);
        return;
    }
    if (log_index_attach(&seg->index, &err) != OX_OK ||
        fs_size(seg->fs, seg->file, &size, &err) != OX_OK)
        finding(verify, "%s: %s", name, err.message);
    for (uint32_t i = 0; i < seg->index.count; i++) {
        uint8_t entry[INDEX_ENTRY], header[RECORD_BATCH_HEADER];
        struct record_batch batch;
        size_t got;
        if (log_index_get(&seg->index, i, entry, &err) != OX_OK)
            break;
        int64_t last = base + wire_load32(entry);
        uint64_t pos = wire_load32(entry + 4);
        if (i > 0 && pos == 0)
            break; /* the preallocated tail of an index that Kafka has open */
        if (fs_pread(seg->fs, seg->file, header, sizeof(header), pos, &got, &err) != OX_OK ||
            record_batch_decode(header, got, &batch, &err) != OX_OK ||
            record_batch_last_offset(&batch) != last) {
            finding(verify, "%s: entry %u (offset %lld, position %llu) is wrong", name, i,
                (long long)last, (unsigned long long)pos);
            break;
        }
    }
    log_segment_put(seg);
}

static ox_code
verify_names(struct verify *verify, const struct file_name *names, size_t count,
    struct ox_err *err)
{
    ox_code rc = OX_OK;
    for (size_t i = 0; i < count && rc == OX_OK; i++) {
        struct str name = ox_str(names[i].name);
        int64_t base;
        if (name.len < 24 || !ox_str_to_i64(ox_str_n(name.ptr, 20), &base))
            continue;
        if (strcmp(name.ptr + 20, ".log") == 0)
            rc = verify_segment(verify, name.ptr, base, err);
        else if (strcmp(name.ptr + 20, ".index") == 0)
            verify_index(verify, name.ptr, base);
    }
    return rc;
}

ox_code
log_verify_partition(const struct env *env, const char *path,
    void (*say)(void *arg, const char *line), void *arg, struct log_verify_result *out,
    struct ox_err *err)
{
    struct verify verify = {.fs = env->fs, .path = path, .say = say, .arg = arg, .result = out,
        .epoch = -1};
    struct arena arena;
    struct file_name *names;
    size_t count;
    *out = (struct log_verify_result){0};
    ox_arena_init(&arena);
    ox_text_init(&verify.scratch, NULL);
    ox_code rc = fs_list(env->fs, path, &arena, &names, &count, err);
    if (rc == OX_OK)
        rc = verify_names(&verify, names, count, err);
    ox_buf_put(verify.buf);
    ox_text_fini(&verify.scratch);
    ox_arena_fini(&arena);
    return rc;
}
