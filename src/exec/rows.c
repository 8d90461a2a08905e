/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/rows.h"

#include "base/check.h"

/* A first chunk starts small: many stores hold a handful of rows. */
enum { CHUNK_FIRST = 64 };

static const size_t phys_len[] = {
    [PHYS_BOOL] = 1, [PHYS_I64] = 8, [PHYS_F64] = 8, [PHYS_STR] = sizeof(struct str)};

void
rows_init(struct rows *rows, const struct type *types, uint32_t ncols)
{
    memset(rows, 0, sizeof(*rows));
    rows->types = types;
    rows->ncols = ncols;
}

struct chunk *
chunk_new(const struct type *types, uint32_t ncols, uint32_t cap)
{
    struct chunk *chunk = ox_calloc(1, sizeof(*chunk));
    ox_arena_init(&chunk->arena);
    chunk->cap = cap;
    chunk->batch.ncols = ncols;
    chunk->batch.cols = ox_arena_alloc0(&chunk->arena, OX_MAX(ncols, 1u) * sizeof(struct vector));
    for (uint32_t i = 0; i < ncols; i++) {
        struct vector *col = &chunk->batch.cols[i];
        col->type = types[i];
        col->data = ox_arena_alloc(&chunk->arena, phys_len[type_phys(types[i])] * cap);
    }
    return chunk;
}

void
chunk_free(struct chunk *chunk)
{
    if (chunk == NULL)
        return;
    ox_arena_fini(&chunk->arena);
    ox_free(chunk);
}

void
rows_fini(struct rows *rows)
{
    for (uint32_t i = 0; i < rows->chunk_count; i++)
        chunk_free(rows->chunks[i]);
    ox_free(rows->chunks);
    rows_init(rows, rows->types, rows->ncols);
}

/* The same rows with room for VECTOR_MAX. */
static void
chunk_widen(struct chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->batch.ncols; i++) {
        struct vector *col = &chunk->batch.cols[i];
        size_t len = phys_len[type_phys(col->type)];
        void *bigger = ox_arena_alloc(&chunk->arena, len * VECTOR_MAX);
        memcpy(bigger, col->data, len * chunk->batch.count);
        col->data = bigger;
        if (col->nulls != NULL) {
            uint8_t *nulls = ox_arena_alloc0(&chunk->arena, VECTOR_MAX);
            memcpy(nulls, col->nulls, chunk->batch.count);
            col->nulls = nulls;
        }
    }
    chunk->cap = VECTOR_MAX;
}

static struct chunk *
chunk_with_room(struct rows *rows)
{
    struct chunk *last = rows->chunk_count > 0 ? rows->chunks[rows->chunk_count - 1] : NULL;
    if (last != NULL && last->batch.count < last->cap)
        return last;
    if (last != NULL && last->cap < VECTOR_MAX) {
        chunk_widen(last);
        return last;
    }
    if (rows->chunk_count == rows->chunk_cap) {
        rows->chunk_cap = OX_MAX(rows->chunk_cap * 2, 8u);
        rows->chunks = ox_realloc(rows->chunks, sizeof(*rows->chunks) * rows->chunk_cap);
    }
    last = chunk_new(rows->types, rows->ncols, rows->chunk_count == 0 ? CHUNK_FIRST : VECTOR_MAX);
    rows->chunks[rows->chunk_count++] = last;
    return last;
}

static inline uint32_t
pick(const struct vector *vec, const uint32_t *sel, uint32_t at)
{
    return vec->constant ? 0 : sel != NULL ? sel[at] : at;
}

static void
add_strings(struct chunk *chunk, struct vector *to, uint32_t at, const struct vector *vec,
    const uint32_t *sel, uint32_t from, uint32_t n)
{
    size_t total = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = pick(vec, sel, from + k);
        if (vec->nulls == NULL || !vec->nulls[row])
            total += vec->s[row].len;
    }
    char *bytes = ox_arena_alloc(&chunk->arena, total);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = pick(vec, sel, from + k);
        if (vec->nulls != NULL && vec->nulls[row]) {
            to->s[at + k] = (struct str){NULL, 0};
            continue;
        }
        struct str s = vec->s[row];
        to->s[at + k] = (struct str){bytes, s.len};
        if (s.len > 0)
            memcpy(bytes, s.ptr, s.len);
        bytes += s.len;
    }
}

static void
add_column(struct chunk *chunk, struct vector *to, uint32_t at, const struct vector *vec,
    const uint32_t *sel, uint32_t from, uint32_t n)
{
    switch (type_phys(to->type)) {
    case PHYS_BOOL:
        for (uint32_t k = 0; k < n; k++)
            to->b[at + k] = vec->b[pick(vec, sel, from + k)];
        break;
    case PHYS_I64:
    case PHYS_F64:
        if (sel == NULL && !vec->constant)
            memcpy(to->i + at, vec->i + from, n * sizeof(int64_t));
        else
            for (uint32_t k = 0; k < n; k++)
                to->i[at + k] = vec->i[pick(vec, sel, from + k)];
        break;
    case PHYS_STR:
        add_strings(chunk, to, at, vec, sel, from, n);
        break;
    }
    if (vec->nulls == NULL) {
        if (to->nulls != NULL)
            memset(to->nulls + at, 0, n);
        return;
    }
    if (to->nulls == NULL)
        to->nulls = ox_arena_alloc0(&chunk->arena, chunk->cap);
    for (uint32_t k = 0; k < n; k++)
        to->nulls[at + k] = vec->nulls[pick(vec, sel, from + k)];
}

void
rows_add(
    struct rows *rows, const struct vector *cols, const uint32_t *sel, uint32_t from, uint32_t n)
{
    while (n > 0) {
        struct chunk *chunk = chunk_with_room(rows);
        size_t before = rows->chunk_count > 0 && chunk->batch.count > 0 ? chunk->arena.used : 0;
        uint32_t take = OX_MIN(n, chunk->cap - chunk->batch.count);
        for (uint32_t i = 0; i < rows->ncols; i++)
            add_column(chunk, &chunk->batch.cols[i], chunk->batch.count, &cols[i], sel, from, take);
        chunk->batch.count += take;
        chunk->batch.sel_count = chunk->batch.count;
        rows->bytes += chunk->arena.used - before;
        rows->count += take;
        from += take;
        n -= take;
    }
}

void
rows_add_batch(struct rows *rows, const struct batch *batch)
{
    rows_add(
        rows, batch->cols, batch->sel, 0, batch->sel != NULL ? batch->sel_count : batch->count);
}

void
rows_add_datums(struct rows *rows, const struct datum *values)
{
    struct vector cols[64];
    struct vector *vecs = rows->ncols <= 64 ? cols : ox_malloc(rows->ncols * sizeof(*vecs));
    uint8_t null = 1;
    for (uint32_t i = 0; i < rows->ncols; i++) {
        vecs[i] = (struct vector){.type = rows->types[i], .constant = true};
        vecs[i].data = (void *)&values[i].i; /* every member of the union starts there */
        if (values[i].null)
            vecs[i].nulls = &null;
    }
    rows_add(rows, vecs, NULL, 0, 1);
    if (vecs != cols)
        ox_free(vecs);
}

void
rows_gather(const struct rows *rows, uint32_t col, const uint32_t *refs, uint32_t n,
    struct vector *to, struct arena *arena)
{
    vector_init(to, rows->types[col], n, arena);
    enum phys phys = type_phys(rows->types[col]);
    for (uint32_t k = 0; k < n; k++) {
        if (refs[k] == UINT32_MAX) {
            vector_nulls(to, n, arena)[k] = 1;
            if (phys == PHYS_STR)
                to->s[k] = (struct str){NULL, 0};
            continue;
        }
        uint32_t at;
        const struct vector *from = &rows_at(rows, refs[k], &at)->cols[col];
        if (from->nulls != NULL && from->nulls[at])
            vector_nulls(to, n, arena)[k] = 1;
        vector_take(to, phys, k, from, at);
    }
}
