/* SPDX-License-Identifier: Apache-2.0
 *
 * Values one by one and in columns: copy, compare, hash, save. */
#include "row/row.h"

#include <math.h>

#include "base/check.h"
#include "base/stop.h"
#include "row/row_int.h"

enum { LONG_TEXT = 1 << 20 };

/* Of a text that takes long to copy only so much is there when the statement is stopped. */
static struct str
copy_long_text(struct str from, struct arena *arena)
{
    enum { PIECE = 1 << 18 };
    char *to = ox_arena_alloc(arena, from.len + 1);
    size_t done = 0;
    while (done < from.len && !ox_stopped(PIECE / 4)) {
        size_t piece = OX_MIN(from.len - done, (size_t)PIECE);
        memcpy(to + done, from.ptr + done, piece);
        done += piece;
    }
    to[done] = '\0';
    return ox_str_n(to, done);
}

struct datum
datum_copy(struct type type, struct datum value, struct arena *arena)
{
    if (!value.null && type.id == TYPE_TEXT && !type.array && value.s.len > LONG_TEXT)
        value.s = copy_long_text(value.s, arena);
    else if (!value.null && type_phys(type) == PHYS_STR)
        value.s = ox_str_n(ox_arena_copy(arena, value.s.ptr, value.s.len), value.s.len);
    return value;
}

static inline int
float_compare(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? (isnan(b) ? 0 : 1) : -1;
    return a < b ? -1 : a > b;
}

static struct str
pad_cut(struct str s)
{
    while (s.len > 0 && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

static inline int
bytes_compare(struct str a, struct str b)
{
    size_t n = OX_MIN(a.len, b.len);
    int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return c != 0 ? (c < 0 ? -1 : 1) : a.len < b.len ? -1 : a.len > b.len;
}

static struct interval
interval_of(struct str s)
{
    struct interval span;
    memcpy(&span, s.ptr, sizeof(span));
    return span;
}

int
datum_compare(struct type type, const struct datum *a, const struct datum *b)
{
    switch (type_phys(type)) {
    case PHYS_BOOL:
        return (int)a->b - (int)b->b;
    case PHYS_I64:
        return a->i < b->i ? -1 : a->i > b->i;
    case PHYS_F64:
        return float_compare(a->f, b->f);
    case PHYS_STR:
        break;
    }
    if (type.array)
        return array_compare(a->s, b->s);
    switch (type.id) {
    case TYPE_NUMERIC:
        return numeric_compare(a->s, b->s);
    case TYPE_INTERVAL: {
        struct interval x = interval_of(a->s), y = interval_of(b->s);
        return interval_compare(&x, &y);
    }
    case TYPE_BPCHAR:
        return bytes_compare(pad_cut(a->s), pad_cut(b->s));
    case TYPE_JSONB:
        return jsonb_compare(a->s, b->s);
    case TYPE_RECORD:
        return record_compare(a->s, b->s);
    default:
        return bytes_compare(a->s, b->s);
    }
}

bool
datum_equal(struct type type, const struct datum *a, const struct datum *b)
{
    if (a->null || b->null)
        return a->null && b->null;
    return datum_compare(type, a, b) == 0;
}

static inline uint64_t
mix(uint64_t v)
{
    v ^= v >> 32;
    v *= 0xD6E8FEB86659FD93u;
    v ^= v >> 32;
    v *= 0xD6E8FEB86659FD93u;
    return v ^ v >> 32;
}

static inline uint64_t
float_hash(double f, uint64_t seed)
{
    uint64_t bits;
    if (f == 0)
        f = 0;
    if (isnan(f))
        f = (double)NAN;
    f = isnan(f) ? (double)NAN : f;
    memcpy(&bits, &f, 8);
    return mix(bits ^ seed);
}

static uint64_t
str_hash(struct type type, struct str s, uint64_t seed)
{
    if (type.array)
        return array_hash(s, seed);
    switch (type.id) {
    case TYPE_NUMERIC:
        return numeric_hash(s, seed);
    case TYPE_BPCHAR:
        s = pad_cut(s);
        break;
    case TYPE_RECORD:
        return record_hash(s, seed);
    case TYPE_JSONB: {
        /* 1.0 and 1.00 are equal: digits after a point do not count */
        struct arena arena;
        ox_arena_init(&arena);
        char *to = ox_arena_alloc(&arena, s.len + 1);
        size_t n = 0;
        bool quoted = false;
        for (size_t i = 0; i < s.len; i++) {
            char c = s.ptr[i];
            if (quoted && c == '\\' && i + 1 < s.len) {
                to[n++] = c;
                c = s.ptr[++i];
            } else if (c == '"') {
                quoted = !quoted;
            } else if (!quoted && c == '.') {
                size_t stop = i + 1, last = i;
                for (; stop < s.len && s.ptr[stop] >= '0' && s.ptr[stop] <= '9'; stop++)
                    if (s.ptr[stop] != '0')
                        last = stop + 1;
                while (i < last)
                    to[n++] = s.ptr[i++];
                i = stop - 1;
                continue;
            }
            to[n++] = c;
        }
        uint64_t hash = ox_hash(to, n, seed);
        ox_arena_fini(&arena);
        return hash;
    }
    case TYPE_INTERVAL: {
        struct interval span = interval_of(s);
        return mix((uint64_t)interval_length(&span) ^ seed);
    }
    default:
        break;
    }
    return ox_hash(s.ptr, s.len, seed);
}

uint64_t
datum_hash(struct type type, const struct datum *value, uint64_t seed)
{
    if (value->null)
        return mix(seed ^ 0x9E3779B97F4A7C15u);
    switch (type_phys(type)) {
    case PHYS_BOOL:
        return mix(value->b ^ seed);
    case PHYS_I64:
        return mix((uint64_t)value->i ^ seed);
    case PHYS_F64:
        return float_hash(value->f, seed);
    case PHYS_STR:
        break;
    }
    return str_hash(type, value->s, seed);
}

bool
type_orderable(struct type type)
{
    return type.id != TYPE_JSON && type.id != TYPE_VOID && type.id != TYPE_XID;
}

bool
type_hashable(struct type type)
{
    return type.id != TYPE_JSON && type.id != TYPE_VOID;
}

void
datum_save(struct type type, const struct datum *value, struct wire_out *out)
{
    wire_put8(out, (int8_t)!value->null);
    if (value->null)
        return;
    switch (type_phys(type)) {
    case PHYS_BOOL:
        wire_put8(out, (int8_t)value->b);
        break;
    case PHYS_I64:
        wire_put_varint(out, value->i);
        break;
    case PHYS_F64:
        wire_put64(out, value->i);
        break;
    case PHYS_STR:
        wire_put_uvarint(out, value->s.len);
        wire_put_bytes(out, value->s.ptr, value->s.len);
        break;
    }
}

ox_code
datum_load(struct type type, struct wire_in *in, struct arena *arena, struct datum *out,
    struct ox_err *err)
{
    memset(out, 0, sizeof(*out));
    out->null = wire_get8(in) == 0;
    if (!out->null) {
        switch (type_phys(type)) {
        case PHYS_BOOL:
            out->b = (uint8_t)wire_get8(in);
            break;
        case PHYS_I64:
            out->i = wire_get_varlong(in);
            break;
        case PHYS_F64:
            out->i = wire_get64(in);
            break;
        case PHYS_STR: {
            size_t len = wire_get_uvarlong(in);
            const uint8_t *bytes = wire_skip(in, len);
            if (bytes != NULL)
                out->s = ox_str_n(ox_arena_copy(arena, bytes, len), len);
            break;
        }
        }
    }
    return in->failed ? ox_fail(err, OX_DATA_CORRUPTED, "saved value is cut short") : OX_OK;
}

/* ---- columns -------------------------------------------------------------------- */

static const size_t phys_len[] = {1, 8, 8, sizeof(struct str)};

void
vector_init(struct vector *vec, struct type type, uint32_t count, struct arena *arena)
{
    vec->type = type;
    vec->constant = false;
    vec->nulls = NULL;
    vec->data = ox_arena_alloc(arena, OX_MAX(count, 1u) * phys_len[type_phys(type)]);
}

uint8_t *
vector_nulls(struct vector *vec, uint32_t count, struct arena *arena)
{
    if (vec->nulls == NULL)
        vec->nulls = ox_arena_alloc0(arena, OX_MAX(count, 1u));
    return vec->nulls;
}

void
vector_constant(struct vector *vec, struct type type, struct datum value, struct arena *arena)
{
    vector_init(vec, type, 1, arena);
    vec->constant = true;
    if (value.null) {
        vector_nulls(vec, 1, arena);
        memset(vec->data, 0, phys_len[type_phys(type)]);
    }
    vector_set(vec, 0, value);
}

void
vector_set(struct vector *vec, uint32_t row, struct datum value)
{
    if (vec->nulls != NULL)
        vec->nulls[row] = value.null;
    else
        ox_assert(!value.null);
    if (value.null)
        return;
    switch (type_phys(vec->type)) {
    case PHYS_BOOL:
        vec->b[row] = value.b;
        break;
    case PHYS_I64:
        vec->i[row] = value.i;
        break;
    case PHYS_F64:
        vec->f[row] = value.f;
        break;
    case PHYS_STR:
        vec->s[row] = value.s;
        break;
    }
}
