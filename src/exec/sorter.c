/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows lie in a store in the order they came; what is sorted is an array of
 * entries, each a 64-bit prefix of the first key (whose unsigned order agrees
 * with the key's order wherever two prefixes differ) and the row's number.
 *
 * Entries are sorted in small runs as they fill up, so that no step takes long;
 * a heap of sources merges the runs. When the store is over its memory, the
 * merge goes to a temporary file instead, which becomes one source of the
 * final merge.
 *
 *   ADD --(over memory)--> SPILL --(written)--> ADD --(next)--> GIVE
 *
 * With `keep` only the smallest rows stay: when twice as many have gathered, or
 * half as many again that take too much memory, they are cut, and the prefix of
 * the last one kept lets later rows be dropped before they are copied. If those
 * that stay take eight times the memory they go to a file like all others. */
#include "exec/sorter.h"

enum { RUN_ENTRIES = 8192, KEEP_MAX = 16384 };

struct entry {
    uint64_t prefix;
    uint32_t row;
};

/* Sorted rows, somewhere. */
struct source {
    uint64_t prefix;
    const struct batch *batch; /* of the current row */
    uint32_t row;
    uint32_t number;            /* earlier sources win ties: stability */
    uint32_t at, end;           /* memory: entries */
    struct spill_reader reader; /* file: reader.spill not NULL */
    struct chunk *chunk;
};

struct sorter {
    struct op *op;
    const struct type *types;
    uint32_t ncols;
    const struct sorter_key *keys;
    uint32_t key_count;
    uint64_t keep;
    size_t memory;
    struct rows rows;
    struct entry *entries, *temp;
    uint32_t count, cap, sorted; /* entries before `sorted` are in sorted runs */
    uint32_t *run_ends;
    uint32_t run_count, run_cap;
    bool cut; /* threshold holds */
    uint64_t threshold;
    enum { ADD, SPILL, GIVE } state;
    struct spill **spills;
    uint32_t spill_count, spill_cap;
    struct source *sources;
    struct source **heap;
    uint32_t heap_count;
    struct chunk **retired; /* read to their end, but the last batch given borrows them */
    uint32_t retired_count, retired_cap;
    struct arena arena; /* of the batch given last */
    uint64_t given;
};

struct sorter *
sorter_new(struct op *op, const struct type *types, uint32_t ncols, const struct sorter_key *keys,
    uint32_t key_count, uint64_t keep)
{
    struct sorter *sorter = ox_calloc(1, sizeof(*sorter));
    sorter->op = op;
    sorter->types = types;
    sorter->ncols = ncols;
    sorter->keys = keys;
    sorter->key_count = key_count;
    sorter->keep = keep;
    sorter->memory = OX_MAX(op->run->config.work_mem, (size_t)65536);
    rows_init(&sorter->rows, types, ncols);
    ox_arena_init(&sorter->arena);
    return sorter;
}

static void
drop_retired(struct sorter *sorter)
{
    for (uint32_t i = 0; i < sorter->retired_count; i++)
        chunk_free(sorter->retired[i]);
    sorter->retired_count = 0;
}

static void
drop_sources(struct sorter *sorter)
{
    for (uint32_t i = 0; sorter->sources != NULL && i < sorter->spill_count + sorter->run_count;
         i++)
        chunk_free(sorter->sources[i].chunk);
    ox_free(sorter->sources);
    ox_free(sorter->heap);
    sorter->sources = NULL;
    sorter->heap = NULL;
    sorter->heap_count = 0;
}

void
sorter_free(struct sorter *sorter)
{
    if (sorter == NULL)
        return;
    drop_sources(sorter);
    drop_retired(sorter);
    for (uint32_t i = 0; i < sorter->spill_count; i++) {
        spill_fini(sorter->spills[i]);
        ox_free(sorter->spills[i]);
    }
    ox_free(sorter->spills);
    ox_free(sorter->retired);
    ox_free(sorter->run_ends);
    ox_free(sorter->entries);
    ox_free(sorter->temp);
    rows_fini(&sorter->rows);
    ox_arena_fini(&sorter->arena);
    ox_free(sorter);
}

/* ---- order --------------------------------------------------------------------- */

int
sorter_compare(struct type type, bool desc, bool nulls_first, const struct vector *a, uint32_t arow,
    const struct vector *b, uint32_t brow)
{
    bool anull = vector_null(a, arow), bnull = vector_null(b, brow);
    if (anull || bnull) {
        if (anull && bnull)
            return 0;
        return anull == nulls_first ? -1 : 1;
    }
    if (a->constant)
        arow = 0;
    if (b->constant)
        brow = 0;
    int order;
    if (type_phys(type) == PHYS_I64) {
        int64_t x = a->i[arow], y = b->i[brow];
        order = (x > y) - (x < y);
    } else {
        struct datum x = vector_get(a, arow), y = vector_get(b, brow);
        order = datum_compare(type, &x, &y);
    }
    return desc ? -order : order;
}

static int
compare_rows(const struct sorter *sorter, const struct batch *a, uint32_t arow,
    const struct batch *b, uint32_t brow)
{
    for (uint32_t i = 0; i < sorter->key_count; i++) {
        const struct sorter_key *key = &sorter->keys[i];
        int order = sorter_compare(sorter->types[key->column], key->desc, key->nulls_first,
            &a->cols[key->column], arow, &b->cols[key->column], brow);
        if (order != 0)
            return order;
    }
    return 0;
}

static uint64_t
double_prefix(double f)
{
    uint64_t bits;
    if (f != f)
        return UINT64_MAX;
    if (f == 0)
        f = 0; /* -0 */
    memcpy(&bits, &f, sizeof(bits));
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

static uint64_t
bytes_prefix(struct str s)
{
    uint8_t bytes[8] = {0};
    if (s.len > 0)
        memcpy(bytes, s.ptr, OX_MIN(s.len, sizeof(bytes)));
    return wire_load64(bytes);
}

/* Two bits tell nulls first, values, nulls last; the value keeps 62. */
static uint64_t
prefix_of(const struct sorter_key *key, const struct vector *vec, uint32_t row)
{
    if (vector_null(vec, row))
        return key->nulls_first ? 0 : 3ull << 62;
    if (vec->constant)
        row = 0;
    uint64_t value = 0;
    switch (type_phys(vec->type)) {
    case PHYS_BOOL:
        value = (uint64_t)vec->b[row] << 63;
        break;
    case PHYS_I64:
        value = (uint64_t)vec->i[row] ^ 1ull << 63;
        break;
    case PHYS_F64:
        value = double_prefix(vec->f[row]);
        break;
    case PHYS_STR:
        if (vec->type.array)
            break;
        switch (vec->type.id) {
        case TYPE_TEXT:
        case TYPE_VARCHAR:
        case TYPE_NAME:
        case TYPE_BYTEA:
        case TYPE_UUID:
            value = bytes_prefix(vec->s[row]);
            break;
        case TYPE_NUMERIC:
            value = double_prefix(numeric_to_f64(vec->s[row]));
            break;
        default:
            break;
        }
        break;
    }
    return 1ull << 62 | (key->desc ? ~value : value) >> 2;
}

static inline bool
entry_after(const struct sorter *sorter, const struct entry *a, const struct entry *b)
{
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    uint32_t arow, brow;
    const struct batch *abatch = rows_at(&sorter->rows, a->row, &arow);
    const struct batch *bbatch = rows_at(&sorter->rows, b->row, &brow);
    return compare_rows(sorter, abatch, arow, bbatch, brow) > 0;
}

/* Stable merge sort of entries[from..to); short stretches by insertion. */
static void
merge_sort(struct sorter *sorter, struct entry *at, struct entry *temp, uint32_t n)
{
    if (n <= 12) {
        if (ox_stopped(600))
            return;
        for (uint32_t i = 1; i < n; i++) {
            struct entry moved = at[i];
            uint32_t k = i;
            for (; k > 0 && entry_after(sorter, &at[k - 1], &moved); k--)
                at[k] = at[k - 1];
            at[k] = moved;
        }
        return;
    }
    uint32_t half = n / 2;
    merge_sort(sorter, at, temp, half);
    merge_sort(sorter, at + half, temp, n - half);
    if (!entry_after(sorter, &at[half - 1], &at[half]))
        return;
    memcpy(temp, at, half * sizeof(*at));
    uint32_t left = 0, right = half, to = 0;
    while (left < half && right < n) {
        at[to++] = entry_after(sorter, &temp[left], &at[right]) ? at[right++] : temp[left++];
        if (ox_unlikely((to & 1023) == 0) && ox_stopped(20 * 1024))
            break;
    }
    memcpy(at + to, temp + left, (half - left) * sizeof(*at));
}

static void
end_run(struct sorter *sorter)
{
    uint32_t n = sorter->count - sorter->sorted;
    if (n == 0)
        return;
    sorter->temp = ox_realloc(sorter->temp, sizeof(struct entry) * (n / 2 + 1));
    merge_sort(sorter, sorter->entries + sorter->sorted, sorter->temp, n);
    sorter->sorted = sorter->count;
    if (sorter->run_count == sorter->run_cap) {
        sorter->run_cap = OX_MAX(sorter->run_cap * 2, 8u);
        sorter->run_ends =
            ox_realloc(sorter->run_ends, sorter->run_cap * sizeof(*sorter->run_ends));
    }
    sorter->run_ends[sorter->run_count++] = sorter->count;
}

/* ---- merging -------------------------------------------------------------------- */

static bool
source_after(const struct sorter *sorter, const struct source *a, const struct source *b)
{
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    int order = compare_rows(sorter, a->batch, a->row, b->batch, b->row);
    return order != 0 ? order > 0 : a->number > b->number;
}

static void
sift_down(struct sorter *sorter, uint32_t at)
{
    struct source **heap = sorter->heap, *moved = heap[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= sorter->heap_count)
            break;
        if (child + 1 < sorter->heap_count && source_after(sorter, heap[child], heap[child + 1]))
            child++;
        if (!source_after(sorter, moved, heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void
retire(struct sorter *sorter, struct chunk *chunk)
{
    if (chunk == NULL)
        return;
    if (sorter->retired_count == sorter->retired_cap) {
        sorter->retired_cap = OX_MAX(sorter->retired_cap * 2, 8u);
        sorter->retired =
            ox_realloc(sorter->retired, sorter->retired_cap * sizeof(*sorter->retired));
    }
    sorter->retired[sorter->retired_count++] = chunk;
}

/* Step to the next row; *more false at the end. */
static bool
source_step(struct sorter *sorter, struct source *source, bool *more)
{
    *more = true;
    if (source->reader.spill == NULL) {
        if (source->at == source->end) {
            *more = false;
            return true;
        }
        const struct entry *entry = &sorter->entries[source->at++];
        source->prefix = entry->prefix;
        source->batch = rows_at(&sorter->rows, entry->row, &source->row);
        return true;
    }
    if (source->chunk == NULL || ++source->row == source->chunk->batch.count) {
        retire(sorter, source->chunk);
        if (!spill_read(&source->reader, &source->chunk))
            return false;
        *more = source->chunk != NULL;
        if (!*more)
            return true;
        source->batch = &source->chunk->batch;
        source->row = 0;
    }
    source->prefix = sorter->key_count == 0
                         ? 0
                         : prefix_of(&sorter->keys[0], &source->batch->cols[sorter->keys[0].column],
                               source->row);
    return true;
}

/* Sources over all memory runs, and over the files when this is the final merge. */
static bool
open_sources(struct sorter *sorter, bool files)
{
    end_run(sorter);
    uint32_t spills = files ? sorter->spill_count : 0;
    uint32_t total = spills + sorter->run_count;
    /* drop_sources() counts all spills: keep the array that long. */
    sorter->sources =
        ox_calloc(sorter->spill_count + sorter->run_count + 1, sizeof(*sorter->sources));
    sorter->heap = ox_calloc(total + 1, sizeof(*sorter->heap));
    sorter->heap_count = 0;
    for (uint32_t i = 0; i < total; i++) {
        struct source *source = &sorter->sources[i];
        source->number = i;
        if (i < spills) {
            source->reader = spill_reader(sorter->spills[i]);
        } else {
            uint32_t run = i - spills;
            source->at = run == 0 ? 0 : sorter->run_ends[run - 1];
            source->end = sorter->run_ends[run];
        }
        bool more;
        if (!source_step(sorter, source, &more))
            return false;
        if (more)
            sorter->heap[sorter->heap_count++] = source;
    }
    for (uint32_t i = sorter->heap_count / 2; i-- > 0;)
        sift_down(sorter, i);
    return true;
}

struct ref {
    const struct batch *batch;
    uint32_t row;
};

static void
gather(struct sorter *sorter, const struct ref *refs, uint32_t n, uint32_t col, struct vector *to)
{
    struct type type = sorter->types[col];
    vector_init(to, type, n, &sorter->arena);
    enum phys phys = type_phys(type);
    for (uint32_t k = 0; k < n; k++) {
        const struct vector *from = &refs[k].batch->cols[col];
        uint32_t row = refs[k].row;
        if (from->nulls != NULL && from->nulls[row])
            vector_nulls(to, n, &sorter->arena)[k] = 1;
        vector_take(to, phys, k, from, row);
    }
}

/* The next VECTOR_MAX rows of the merge; *out NULL at the end. */
static bool
merge_batch(struct sorter *sorter, struct batch **out)
{
    struct ref refs[VECTOR_MAX];
    uint32_t n = 0;
    drop_retired(sorter);
    ox_arena_reset(&sorter->arena);
    while (n < VECTOR_MAX && sorter->heap_count > 0) {
        struct source *source = sorter->heap[0];
        refs[n++] = (struct ref){source->batch, source->row};
        bool more;
        if (!source_step(sorter, source, &more))
            return false;
        if (!more)
            sorter->heap[0] = sorter->heap[--sorter->heap_count];
        if (sorter->heap_count > 1)
            sift_down(sorter, 0);
    }
    *out = NULL;
    if (n == 0)
        return true;
    struct batch *batch = batch_new(&sorter->arena, sorter->ncols);
    for (uint32_t i = 0; i < sorter->ncols; i++)
        gather(sorter, refs, n, i, &batch->cols[i]);
    batch->count = batch->sel_count = n;
    *out = batch;
    return true;
}

/* ---- spilling ------------------------------------------------------------------- */

static bool
begin_spill(struct sorter *sorter)
{
    if (sorter->spill_count == sorter->spill_cap) {
        sorter->spill_cap = OX_MAX(sorter->spill_cap * 2, 8u);
        sorter->spills = ox_realloc(sorter->spills, sorter->spill_cap * sizeof(*sorter->spills));
    }
    if (!open_sources(sorter, false))
        return false;
    struct spill *spill = ox_calloc(1, sizeof(*spill));
    spill_init(spill, sorter->op->run, sorter->types, sorter->ncols);
    sorter->spills[sorter->spill_count++] = spill;
    sorter->state = SPILL;
    return true;
}

static void
forget_memory(struct sorter *sorter)
{
    rows_fini(&sorter->rows);
    sorter->count = sorter->sorted = sorter->run_count = 0;
}

enum exec_status
sorter_work(struct sorter *sorter)
{
    struct exec_run *run = sorter->op->run;
    while (sorter->state == SPILL) {
        if (!run_check(run))
            return EXEC_FAIL;
        if (run_over_budget(run))
            return EXEC_PARK;
        struct spill *spill = sorter->spills[sorter->spill_count - 1];
        struct batch *batch;
        if (!merge_batch(sorter, &batch))
            return EXEC_FAIL;
        if (batch != NULL) {
            if (!spill_add(spill, batch->cols, NULL, 0, batch->count))
                return EXEC_FAIL;
            continue;
        }
        if (!spill_flush(spill))
            return EXEC_FAIL;
        /* The sources of this merge are all of memory. */
        ox_free(sorter->sources);
        sorter->sources = NULL;
        drop_sources(sorter);
        forget_memory(sorter);
        sorter->op->counters->spill_bytes += spill->len;
        sorter->op->counters->spill_parts++;
        sorter->state = ADD;
    }
    return EXEC_ROWS;
}

/* ---- adding --------------------------------------------------------------------- */

/* Keep the first `keep` of the entries: copied to a new store. */
static void
cut(struct sorter *sorter)
{
    if (sorter->count <= sorter->keep)
        return;
    end_run(sorter);
    struct rows kept;
    rows_init(&kept, sorter->types, sorter->ncols);
    for (uint32_t i = 0; i < sorter->keep; i++) {
        uint32_t row;
        const struct batch *batch = rows_at(&sorter->rows, sorter->entries[i].row, &row);
        rows_add(&kept, batch->cols, NULL, row, 1);
        sorter->entries[i].row = i;
    }
    rows_fini(&sorter->rows);
    sorter->rows = kept;
    sorter->count = (uint32_t)sorter->keep;
    sorter->sorted = sorter->run_count = 0;
    sorter->cut = sorter->keep > 0;
    if (sorter->cut)
        sorter->threshold = sorter->entries[sorter->count - 1].prefix;
}

enum exec_status
sorter_add(struct sorter *sorter, const struct vector *cols, const uint32_t *sel, uint32_t n)
{
    ox_assert(sorter->state == ADD);
    bool small = sorter->keep <= KEEP_MAX;
    if (sorter->count + n > sorter->cap) {
        sorter->cap = OX_MAX(sorter->cap * 2, sorter->count + n);
        sorter->entries = ox_realloc(sorter->entries, sorter->cap * sizeof(*sorter->entries));
    }
    uint32_t taken[VECTOR_MAX];
    uint32_t take = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = sel != NULL ? sel[k] : k;
        uint64_t prefix = sorter->key_count == 0
                              ? 0
                              : prefix_of(&sorter->keys[0], &cols[sorter->keys[0].column], row);
        if (sorter->cut && prefix > sorter->threshold)
            continue;
        sorter->entries[sorter->count + take] =
            (struct entry){prefix, (uint32_t)(sorter->rows.count + take)};
        taken[take++] = row;
    }
    rows_add(&sorter->rows, cols, taken, 0, take);
    sorter->count += take;
    size_t memory = sorter->rows.bytes + sorter->cap * sizeof(struct entry);
    if (memory > sorter->op->counters->memory_max)
        sorter->op->counters->memory_max = memory;
    if (small) {
        bool over = sorter->rows.bytes > sorter->memory;
        uint64_t enough = over ? sorter->keep + sorter->keep / 2 + 64
                               : OX_MAX(sorter->keep * 2, (uint64_t)4096);
        if (sorter->count >= enough)
            cut(sorter);
        memory = sorter->rows.bytes / 8;
    } else if (sorter->count - sorter->sorted >= RUN_ENTRIES) {
        end_run(sorter);
    }
    if (memory <= sorter->memory)
        return EXEC_ROWS;
    return begin_spill(sorter) ? sorter_work(sorter) : EXEC_FAIL;
}

bool
sorter_threshold(const struct sorter *sorter, struct datum *out)
{
    if (!sorter->cut || sorter->spill_count > 0)
        return false;
    *out = rows_get(&sorter->rows, sorter->keep - 1, sorter->keys[0].column);
    return true;
}

enum exec_status
sorter_next(struct sorter *sorter, struct batch **out)
{
    if (sorter->state != GIVE) {
        ox_assert(sorter->state == ADD);
        if (sorter->keep <= KEEP_MAX)
            cut(sorter);
        if (!open_sources(sorter, true))
            return EXEC_FAIL;
        sorter->state = GIVE;
    }
    if (sorter->given >= sorter->keep)
        return EXEC_DONE;
    if (run_over_budget(sorter->op->run))
        return EXEC_PARK;
    if (!merge_batch(sorter, out))
        return EXEC_FAIL;
    if (*out == NULL)
        return EXEC_DONE;
    if ((*out)->count > sorter->keep - sorter->given)
        (*out)->count = (*out)->sel_count = (uint32_t)(sorter->keep - sorter->given);
    sorter->given += (*out)->count;
    return EXEC_ROWS;
}
