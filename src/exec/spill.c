/* SPDX-License-Identifier: Apache-2.0
 *
 * A chunk in the file, host byte order:
 *   u32 rows | u32 bytes after this header
 *   per column: u8 has_nulls [nulls: a byte a row]
 *               BOOL bytes | I64, F64 8 bytes a row | STR u32 len a row, then the bytes */
#include "exec/spill.h"

#include <inttypes.h>

#include "base/check.h"
#include "exec/exec_int.h"

/* Rows wait for each other up to so many bytes a column, and a step between two looks. */
enum { TAIL_BYTES = 64 * 1024, STEP_ROWS = 16 };

void
spill_init(struct spill *spill, struct exec_run *run, const struct type *types, uint32_t ncols)
{
    memset(spill, 0, sizeof(*spill));
    spill->run = run;
    rows_init(&spill->tail, types, ncols);
}

void
spill_fini(struct spill *spill)
{
    if (spill->run == NULL)
        return;
    if (spill->file != NULL)
        fs_close(spill->run->config.env->fs, spill->file);
    spill->file = NULL;
    rows_fini(&spill->tail);
}

static bool
open_file(struct spill *spill)
{
    struct exec_run *run = spill->run;
    if (run->config.temp_dir == NULL) {
        ox_fail(run_err(run), OX_WORK_MEM_EXCEEDED,
            "statement needs more than \"work_mem\" (%zu bytes)", run->config.work_mem);
        return false;
    }
    char path[1024];
    static _Atomic uint64_t seq;
    struct file_system *fs = run->config.env->fs;
    for (int attempt = 0;; attempt++) {
        uint64_t id;
        env_random(run->config.env, &id, sizeof(id));
        snprintf(path, sizeof(path), "%s/spill-%" PRIu64 "-%016" PRIx64 ".tmp",
            run->config.temp_dir, atomic_fetch_add(&seq, 1), id);
        ox_code code = fs_open(fs, "exec.spill.open", path,
            FILE_READ | FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &spill->file, run_err(run));
        if (code == OX_OK)
            break;
        if (code == OX_FILE_NOT_FOUND && attempt == 0 &&
            fs_mkdir(fs, "exec.spill.mkdir", run->config.temp_dir, NULL) == OX_OK)
            continue;
        return false;
    }
    fs_unlink(fs, "exec.spill.unlink", path, NULL);
    return true;
}

static void
put_column(struct text *to, const struct vector *col, uint32_t rows)
{
    ox_text_addc(to, col->nulls != NULL);
    if (col->nulls != NULL)
        ox_text_add(to, col->nulls, rows);
    switch (type_phys(col->type)) {
    case PHYS_BOOL:
        ox_text_add(to, col->b, rows);
        break;
    case PHYS_I64:
    case PHYS_F64:
        ox_text_add(to, col->i, rows * sizeof(int64_t));
        break;
    case PHYS_STR: {
        char *lens = ox_text_reserve(to, rows * sizeof(uint32_t));
        size_t total = 0;
        for (uint32_t i = 0; i < rows; i++) {
            uint32_t len = col->nulls != NULL && col->nulls[i] ? 0 : (uint32_t)col->s[i].len;
            memcpy(lens + i * sizeof(len), &len, sizeof(len));
            total += len;
        }
        to->len += rows * sizeof(uint32_t);
        char *bytes = ox_text_reserve(to, total);
        for (uint32_t i = 0; i < rows; i++) {
            if (col->nulls != NULL && col->nulls[i])
                continue;
            if (col->s[i].len > 0)
                memcpy(bytes, col->s[i].ptr, col->s[i].len);
            bytes += col->s[i].len;
        }
        to->len += total;
        break;
    }
    }
}

static bool
write_chunk(struct spill *spill, const struct batch *batch)
{
    struct exec_run *run = spill->run;
    if (spill->file == NULL && !open_file(spill))
        return false;
    struct text text;
    ox_text_init(&text, NULL);
    uint32_t header[2] = {batch->count, 0};
    ox_text_add(&text, header, sizeof(header));
    for (uint32_t i = 0; i < batch->ncols; i++)
        put_column(&text, &batch->cols[i], batch->count);
    header[1] = (uint32_t)(text.len - sizeof(header));
    memcpy(text.ptr, header, sizeof(header));
    run->temp_bytes += text.len;
    bool good = true;
    if (text.len > UINT32_MAX ||
        (run->config.temp_bytes_max > 0 && run->temp_bytes > run->config.temp_bytes_max)) {
        ox_fail(run_err(run), OX_LIMIT_EXCEEDED,
            "temporary files of the statement exceed their limit (%" PRIu64 " bytes)",
            run->config.temp_bytes_max);
        good = false;
    } else {
        good = file_pwrite(run->config.env->fs, "exec.spill.write", spill->file, text.ptr, text.len,
                   spill->len, run_err(run)) == OX_OK;
        spill->len += text.len;
    }
    ox_text_fini(&text);
    return good;
}

bool
spill_chunk(struct spill *spill, const struct batch *batch, uint64_t *pos)
{
    *pos = spill->len;
    spill->count += batch->count;
    return write_chunk(spill, batch);
}

bool
spill_flush(struct spill *spill)
{
    for (uint32_t i = 0; i < spill->tail.chunk_count; i++)
        if (!write_chunk(spill, &spill->tail.chunks[i]->batch))
            return false;
    rows_fini(&spill->tail);
    return true;
}

bool
spill_add(
    struct spill *spill, const struct vector *cols, const uint32_t *sel, uint32_t from, uint32_t n)
{
    size_t most = OX_MAX(spill->tail.ncols, 4u) * (size_t)TAIL_BYTES;
    spill->count += n;
    while (n > 0) {
        uint32_t take = OX_MIN(n, (uint32_t)STEP_ROWS);
        rows_add(&spill->tail, cols, sel, from, take);
        if ((spill->tail.count >= VECTOR_MAX || spill->tail.bytes >= most) && !spill_flush(spill))
            return false;
        from += take;
        n -= take;
    }
    return true;
}

static bool
damaged(struct spill *spill)
{
    ox_fail(run_err(spill->run), OX_DATA_CORRUPTED, "temporary file of the statement is damaged");
    return false;
}

static bool
get_column(struct wire_in *in, struct vector *col, uint32_t rows, struct arena *arena)
{
    const uint8_t *flag = wire_skip(in, 1);
    if (flag == NULL)
        return false;
    if (*flag)
        col->nulls = (uint8_t *)(uintptr_t)wire_skip(in, rows);
    const uint8_t *from;
    switch (type_phys(col->type)) {
    case PHYS_BOOL:
        if ((from = wire_skip(in, rows)) != NULL)
            memcpy(col->b, from, rows);
        break;
    case PHYS_I64:
    case PHYS_F64:
        if ((from = wire_skip(in, rows * sizeof(int64_t))) != NULL)
            memcpy(col->i, from, rows * sizeof(int64_t));
        break;
    case PHYS_STR:
        if ((from = wire_skip(in, rows * sizeof(uint32_t))) == NULL)
            break;
        for (uint32_t i = 0; i < rows; i++) {
            uint32_t len;
            memcpy(&len, from + i * sizeof(uint32_t), sizeof(len));
            col->s[i] = (struct str){(const char *)wire_skip(in, len), len};
            if (col->nulls != NULL && col->nulls[i])
                col->s[i] = (struct str){NULL, 0};
        }
        break;
    }
    return !in->failed;
}

bool
spill_read(struct spill_reader *reader, struct chunk **out)
{
    struct spill *spill = reader->spill;
    *out = NULL;
    if (reader->pos >= spill->len)
        return true;
    struct file_system *fs = spill->run->config.env->fs;
    uint32_t header[2];
    size_t got;
    if (fs_pread(fs, spill->file, header, sizeof(header), reader->pos, &got, run_err(spill->run)) !=
        OX_OK)
        return false;
    if (got != sizeof(header) || header[0] > VECTOR_MAX ||
        reader->pos + sizeof(header) + header[1] > spill->len)
        return damaged(spill);
    struct chunk *chunk = chunk_new(spill->tail.types, spill->tail.ncols, OX_MAX(header[0], 1u));
    char *bytes = ox_arena_alloc(&chunk->arena, header[1]);
    if (fs_pread(fs, spill->file, bytes, header[1], reader->pos + sizeof(header), &got,
            run_err(spill->run)) != OX_OK) {
        chunk_free(chunk);
        return false;
    }
    struct wire_in in = wire_in(bytes, got);
    bool good = got == header[1];
    for (uint32_t i = 0; good && i < chunk->batch.ncols; i++)
        good = get_column(&in, &chunk->batch.cols[i], header[0], &chunk->arena);
    if (!good) {
        chunk_free(chunk);
        return damaged(spill);
    }
    chunk->batch.count = chunk->batch.sel_count = header[0];
    reader->pos += sizeof(header) + header[1];
    *out = chunk;
    return true;
}
