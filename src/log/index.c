/* SPDX-License-Identifier: Apache-2.0
 *
 * The sparse indexes beside a segment. The file holds a run of fixed-size,
 * sorted entries, as Kafka writes them after a roll (no preallocated tail).
 * Index files are derived: what is missing or wrong in them is rebuilt from the
 * segment, so writing them is never part of an append.
 *
 * 1. entries is NULL if and only if the index is sealed.
 * 2. written <= count, and the file's first `written` entries are ours. */
#include "log/log_int.h"

#include "base/check.h"

enum { INDEX_CAP_FIRST = 8 };

void
log_index_init(struct log_index *index, struct file_system *fs, const char *path,
    uint32_t entry_len)
{
    *index = (struct log_index){.fs = fs, .entry_len = entry_len, .path = ox_strdup(path)};
}

void
log_index_fini(struct log_index *index)
{
    log_index_release(index);
    ox_free(index->entries);
    ox_free(index->path);
    index->entries = NULL;
    index->path = NULL;
}

static ox_code
open_file(struct log_index *index, int flags, struct ox_err *err)
{
    if (index->file != NULL)
        return OX_OK;
    return fs_open(index->fs, "index.open", index->path, FILE_READ | FILE_WRITE | flags,
        &index->file, err);
}

ox_code
log_index_attach(struct log_index *index, struct ox_err *err)
{
    struct file_stat st;
    ox_code rc = fs_stat(index->fs, index->path, &st, err);
    if (rc != OX_OK)
        return rc;
    if (st.size % index->entry_len != 0 || st.size / index->entry_len > UINT32_MAX / 16)
        return ox_fail(err, OX_DATA_CORRUPTED, "index \"%s\" has %llu bytes", index->path,
            (unsigned long long)st.size);
    index->count = index->written = (uint32_t)(st.size / index->entry_len);
    return OX_OK;
}

static void
reserve(struct log_index *index, uint32_t count)
{
    if (index->entries != NULL && count <= index->cap)
        return;
    uint32_t cap = OX_MAX(index->cap, (uint32_t)INDEX_CAP_FIRST);
    while (cap < count)
        cap *= 2;
    index->entries = ox_realloc(index->entries, ox_size_mul(cap, index->entry_len));
    index->cap = cap;
}

ox_code
log_index_load(struct log_index *index, struct ox_err *err)
{
    if (index->entries != NULL)
        return OX_OK;
    reserve(index, index->count);
    if (index->count == 0)
        return OX_OK;
    ox_code rc = open_file(index, 0, err);
    size_t want = (size_t)index->count * index->entry_len, got = 0;
    if (rc == OX_OK)
        rc = fs_pread(index->fs, index->file, index->entries, want, 0, &got, err);
    if (rc == OX_OK && got != want)
        rc = ox_fail(err, OX_DATA_CORRUPTED, "index \"%s\" is cut off", index->path);
    if (rc != OX_OK) {
        ox_free(index->entries);
        index->entries = NULL;
        index->cap = 0;
    }
    return rc;
}

void
log_index_add(struct log_index *index, const void *entry)
{
    reserve(index, index->count + 1);
    memcpy(index->entries + (size_t)index->count * index->entry_len, entry, index->entry_len);
    index->count++;
}

void
log_index_cut(struct log_index *index, uint32_t count)
{
    ox_assert(count <= index->count);
    index->count = count;
    index->written = OX_MIN(index->written, count);
}

ox_code
log_index_get(struct log_index *index, uint32_t slot, uint8_t *entry, struct ox_err *err)
{
    ox_assert(slot < index->count);
    size_t pos = (size_t)slot * index->entry_len, got;
    if (index->entries != NULL) {
        memcpy(entry, index->entries + pos, index->entry_len);
        return OX_OK;
    }
    ox_code rc = open_file(index, 0, err);
    if (rc == OX_OK)
        rc = fs_pread(index->fs, index->file, entry, index->entry_len, pos, &got, err);
    if (rc == OX_OK && got != index->entry_len)
        rc = ox_fail(err, OX_DATA_CORRUPTED, "index \"%s\" is cut off", index->path);
    return rc;
}

ox_code
log_index_write(struct log_index *index, bool sync, struct ox_err *err)
{
    if (index->entries == NULL)
        return OX_OK;
    ox_code rc = open_file(index, FILE_CREATE, err);
    if (rc != OX_OK)
        return rc;
    size_t from = (size_t)index->written * index->entry_len;
    size_t to = (size_t)index->count * index->entry_len;
    if (to > from)
        rc = file_pwrite(index->fs, "index.write", index->file, index->entries + from, to - from,
            from, err);
    if (rc == OX_OK)
        rc = fs_truncate(index->fs, "index.trim", index->file, to, err);
    if (rc == OX_OK)
        index->written = index->count;
    if (rc == OX_OK && sync)
        rc = fs_sync(index->fs, "index.sync", index->file, err);
    return rc;
}

void
log_index_seal(struct log_index *index)
{
    ox_assert(index->written == index->count);
    ox_free(index->entries);
    index->entries = NULL;
    index->cap = 0;
}

void
log_index_release(struct log_index *index)
{
    if (index->file != NULL)
        fs_close(index->fs, index->file);
    index->file = NULL;
}

void
log_index_pin(struct log_index *index)
{
    if (index->entries == NULL)
        open_file(index, 0, NULL);
}
