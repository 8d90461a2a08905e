/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/keytable.h"

#include "base/check.h"
#include "base/stop.h"

enum { SLOTS_FIRST = 256 };

static const uint64_t null_hash = 0x9AE16A3B2F90404Full;

/* Types whose equality is that of their bytes. */
static bool
bytewise(struct type type)
{
    if (type.array)
        return false;
    switch (type.id) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_NAME:
    case TYPE_BYTEA:
    case TYPE_UUID:
        return true;
    default:
        return false;
    }
}

void
keytable_init(struct keytable *table, const struct type *types, uint32_t ncols)
{
    memset(table, 0, sizeof(*table));
    table->types = types;
    table->ncols = ncols;
    rows_init(&table->rows, types, ncols);
    table->mode = KEYTABLE_ANY;
    if (ncols == 1 && type_phys(types[0]) == PHYS_I64)
        table->mode = KEYTABLE_I64;
    else if (ncols == 1 && bytewise(types[0]))
        table->mode = KEYTABLE_BYTES;
}

void
keytable_fini(struct keytable *table)
{
    rows_fini(&table->rows);
    ox_free(table->hashes);
    ox_free(table->slots);
    keytable_init(table, table->types, table->ncols);
}

size_t
keytable_bytes(const struct keytable *table)
{
    return table->rows.bytes + table->hash_cap * sizeof(uint64_t) +
           table->slot_count * sizeof(struct keytable_slot);
}

static inline uint64_t
mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93ull;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93ull;
    return x ^ x >> 32;
}

static inline uint64_t
join_hash(uint64_t hash, uint64_t more)
{
    return mix(hash * 31 + more);
}

static void
hash_column(struct type type, const struct vector *vec, const uint32_t *sel, uint32_t n, bool first,
    uint64_t *hashes)
{
    enum phys phys = type_phys(type);
    bool plain = bytewise(type);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = vec->constant ? 0 : sel != NULL ? sel[k] : k;
        uint64_t hash;
        if (vec->nulls != NULL && vec->nulls[row])
            hash = null_hash;
        else if (phys == PHYS_I64)
            hash = mix((uint64_t)vec->i[row]);
        else if (phys == PHYS_BOOL)
            hash = mix(vec->b[row]);
        else if (plain)
            hash = ox_hash(vec->s[row].ptr, vec->s[row].len, 0);
        else {
            struct datum value = vector_get(vec, row);
            hash = datum_hash(type, &value, 0);
        }
        hashes[k] = first ? hash : join_hash(hashes[k], hash);
    }
}

void
keytable_hash(const struct keytable *table, const struct vector *cols, const uint32_t *sel,
    uint32_t n, uint64_t *hashes)
{
    if (table->ncols == 0)
        memset(hashes, 0, n * sizeof(*hashes));
    for (uint32_t i = 0; i < table->ncols; i++)
        hash_column(table->types[i], &cols[i], sel, n, i == 0, hashes);
}

/* Two values of one type, nulls equal. */
static bool
vector_same(const struct vector *a, uint32_t arow, const struct vector *b, uint32_t brow)
{
    if (a->constant)
        arow = 0;
    if (b->constant)
        brow = 0;
    bool anull = a->nulls != NULL && a->nulls[arow];
    bool bnull = b->nulls != NULL && b->nulls[brow];
    if (anull || bnull)
        return anull && bnull;
    switch (type_phys(a->type)) {
    case PHYS_BOOL:
        return a->b[arow] == b->b[brow];
    case PHYS_I64:
        return a->i[arow] == b->i[brow];
    case PHYS_F64:
        return a->f[arow] == b->f[brow] || (a->f[arow] != a->f[arow] && b->f[brow] != b->f[brow]);
    case PHYS_STR:
        break;
    }
    if (a->s[arow].len == b->s[brow].len &&
        (a->s[arow].len == 0 || memcmp(a->s[arow].ptr, b->s[brow].ptr, a->s[arow].len) == 0))
        return true;
    if (bytewise(a->type))
        return false;
    struct datum x = vector_get(a, arow), y = vector_get(b, brow);
    return datum_equal(a->type, &x, &y);
}

static void
rehash(struct keytable *table, uint32_t slot_count)
{
    ox_free(table->slots);
    table->slots = ox_calloc(slot_count, sizeof(*table->slots));
    table->slot_count = slot_count;
    for (uint32_t id = 0; id < table->rows.count && !ox_stopped_at(id); id++) {
        uint32_t at = (uint32_t)(table->hashes[id] >> 32) & (slot_count - 1);
        while (table->slots[at].id != 0)
            at = (at + 1) & (slot_count - 1);
        table->slots[at] = (struct keytable_slot){(uint32_t)table->hashes[id], id + 1};
    }
}

/* Tuples found missing in this call: ids from rows.count on, still in the batch. */
struct fresh {
    uint32_t base;
    uint32_t count;
    uint32_t rows[VECTOR_MAX];
};

static inline bool
same_tuple(const struct keytable *table, const struct vector *cols, uint32_t row, uint32_t id,
    const struct fresh *fresh)
{
    const struct vector *stored = cols;
    uint32_t at;
    if (id >= fresh->base)
        at = fresh->rows[id - fresh->base];
    else
        stored = rows_at(&table->rows, id, &at)->cols;
    if (table->mode == KEYTABLE_I64 && stored->nulls == NULL && cols->nulls == NULL)
        return stored->i[stored->constant ? 0 : at] == cols->i[cols->constant ? 0 : row];
    for (uint32_t i = 0; i < table->ncols; i++)
        if (!vector_same(&stored[i], at, &cols[i], row))
            return false;
    return true;
}

void
keytable_find(struct keytable *table, const struct vector *cols, const uint32_t *sel, uint32_t n,
    const uint64_t *hashes, bool add, uint32_t *ids)
{
    struct fresh fresh;
    fresh.base = (uint32_t)table->rows.count;
    fresh.count = 0;
    /* Room for all, so that the loop never grows. */
    uint64_t need = (table->rows.count + (add ? n : 0)) * 2;
    if (need > table->slot_count || table->slot_count == 0) {
        uint32_t slot_count = OX_MAX(table->slot_count, (uint32_t)SLOTS_FIRST);
        while (slot_count < need)
            slot_count *= 2;
        rehash(table, slot_count);
    }
    uint32_t mask = table->slot_count - 1;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t row = sel != NULL ? sel[k] : k;
        uint32_t at = (uint32_t)(hashes[k] >> 32) & mask, tag = (uint32_t)hashes[k];
        ids[k] = KEYTABLE_NONE;
        for (; table->slots[at].id != 0; at = (at + 1) & mask) {
            if (table->slots[at].tag != tag)
                continue;
            uint32_t id = table->slots[at].id - 1;
            if (same_tuple(table, cols, row, id, &fresh)) {
                ids[k] = id;
                break;
            }
        }
        if (ids[k] != KEYTABLE_NONE || !add)
            continue;
        uint32_t id = fresh.base + fresh.count;
        if (id >= table->hash_cap) {
            table->hash_cap = OX_MAX(table->hash_cap * 2, id + 256);
            table->hashes = ox_realloc(table->hashes, table->hash_cap * sizeof(uint64_t));
        }
        table->hashes[id] = hashes[k];
        table->slots[at] = (struct keytable_slot){tag, id + 1};
        fresh.rows[fresh.count++] = row;
        ids[k] = id;
    }
    rows_add(&table->rows, cols, fresh.rows, 0, fresh.count);
}
