/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparison operators. Columns of one physical kind take tight loops; what
 * needs care (numeric, jsonb, arrays, a date against a timestamp) goes value by
 * value. */
#include "exec/expr_int.h"

#include <math.h>

/* A date or timestamp as microseconds comparable with `other`. */
static int64_t
as_instant(struct type type, struct type other, int64_t v, const struct row_format *format)
{
    if (type.id == TYPE_DATE) {
        if (v == DATE_INF || v == DATE_NINF)
            return v == DATE_INF ? TIME_INF : TIME_NINF;
        if (v > 106751991)
            return TIME_INF - 1;
        v *= US_DAY;
        return other.id == TYPE_TIMESTAMPTZ ? timezone_to_utc(format->tz, v) : v;
    }
    if (type.id == TYPE_TIMESTAMP && other.id == TYPE_TIMESTAMPTZ && v != TIME_INF &&
        v != TIME_NINF)
        return timezone_to_utc(format->tz, v);
    return v;
}

static int
compare_values(struct call *call, const struct datum *a, const struct datum *b)
{
    struct type x = call->types[0], y = call->types[1];
    if (!type_same(x, y) && type_category(x) == 'D' && type_category(y) == 'D') {
        int64_t p = as_instant(x, y, a->i, call_format(call)),
                q = as_instant(y, x, b->i, call_format(call));
        return p < q ? -1 : p > q;
    }
    return datum_compare(x, a, b);
}

static inline bool
text_like(struct type type)
{
    return !type.array &&
           (type.id == TYPE_TEXT || type.id == TYPE_VARCHAR || type.id == TYPE_BYTEA ||
               type.id == TYPE_NAME || type.id == TYPE_UUID || type.id == TYPE_CHAR);
}

static inline int
bytes_order(struct str a, struct str b)
{
    size_t n = OX_MIN(a.len, b.len);
    int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return c != 0 ? c : a.len < b.len ? -1 : a.len > b.len;
}

static inline bool
plain_time(struct call *call)
{
    return type_same(call->types[0], call->types[1]) || type_category(call->types[0]) != 'D';
}

#define LOOP_I64(OP)                                                                               \
    if (args[1].constant && !args[0].constant) {                                                   \
        const int64_t *x = args[0].i, y = args[1].i[0];                                            \
        if (sel == eval_all_rows)                                                                  \
            for (uint32_t k = 0; k < n; k++)                                                       \
                out->b[k] = x[k] OP y;                                                             \
        else                                                                                       \
            for (uint32_t k = 0; k < n; k++)                                                       \
                out->b[sel[k]] = x[sel[k]] OP y;                                                   \
    } else {                                                                                       \
        for (uint32_t k = 0; k < n; k++)                                                           \
            out->b[sel[k]] = AT(&args[0], i, sel[k]) OP AT(&args[1], i, sel[k]);                   \
    }

#define LOOP_F64(OP)                                                                               \
    for (uint32_t k = 0; k < n; k++) {                                                             \
        double x = AT(&args[0], f, sel[k]), y = AT(&args[1], f, sel[k]);                           \
        if (ox_unlikely(isnan(x) || isnan(y))) {                                                   \
            int c = isnan(x) ? (isnan(y) ? 0 : 1) : -1;                                            \
            out->b[sel[k]] = c OP 0;                                                               \
        } else {                                                                                   \
            out->b[sel[k]] = x OP y;                                                               \
        }                                                                                          \
    }

#define COMPARISON(NAME, OP)                                                                       \
    ox_code vec_##NAME(struct call *call, const struct vector *args, const uint32_t *sel,          \
        uint32_t n, struct vector *out)                                                            \
    {                                                                                              \
        enum phys phys = type_phys(call->types[0]);                                                \
        if (phys == PHYS_I64 && plain_time(call)) {                                                \
            LOOP_I64(OP)                                                                           \
        } else if (phys == PHYS_F64) {                                                             \
            LOOP_F64(OP)                                                                           \
        } else if (text_like(call->types[0])) {                                                    \
            for (uint32_t k = 0; k < n; k++)                                                       \
                out->b[sel[k]] =                                                                   \
                    bytes_order(AT(&args[0], s, sel[k]), AT(&args[1], s, sel[k])) OP 0;            \
        } else {                                                                                   \
            for (uint32_t k = 0; k < n; k++) {                                                     \
                struct datum a = vector_get(&args[0], sel[k]), b = vector_get(&args[1], sel[k]);   \
                out->b[sel[k]] = compare_values(call, &a, &b) OP 0;                                \
            }                                                                                      \
        }                                                                                          \
        return OX_OK;                                                                              \
    }                                                                                              \
    ox_code fn_##NAME(struct call *call, const struct datum *args, struct datum *out)              \
    {                                                                                              \
        out->b = compare_values(call, &args[0], &args[1]) OP 0;                                    \
        return OX_OK;                                                                              \
    }

COMPARISON(lt, <)
COMPARISON(le, <=)
COMPARISON(gt, >)
COMPARISON(ge, >=)

/* Equality need not order: lengths first. */
#define EQUALITY(NAME, OP, SAME)                                                                   \
    ox_code vec_##NAME(struct call *call, const struct vector *args, const uint32_t *sel,          \
        uint32_t n, struct vector *out)                                                            \
    {                                                                                              \
        enum phys phys = type_phys(call->types[0]);                                                \
        if (phys == PHYS_I64 && plain_time(call)) {                                                \
            LOOP_I64(OP)                                                                           \
        } else if (phys == PHYS_F64) {                                                             \
            LOOP_F64(OP)                                                                           \
        } else if (text_like(call->types[0])) {                                                    \
            for (uint32_t k = 0; k < n; k++) {                                                     \
                struct str a = AT(&args[0], s, sel[k]), b = AT(&args[1], s, sel[k]);               \
                bool same = a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;                    \
                out->b[sel[k]] = same == SAME;                                                     \
            }                                                                                      \
        } else {                                                                                   \
            for (uint32_t k = 0; k < n; k++) {                                                     \
                struct datum a = vector_get(&args[0], sel[k]), b = vector_get(&args[1], sel[k]);   \
                out->b[sel[k]] = compare_values(call, &a, &b) OP 0;                                \
            }                                                                                      \
        }                                                                                          \
        return OX_OK;                                                                              \
    }                                                                                              \
    ox_code fn_##NAME(struct call *call, const struct datum *args, struct datum *out)              \
    {                                                                                              \
        out->b = compare_values(call, &args[0], &args[1]) OP 0;                                    \
        return OX_OK;                                                                              \
    }

EQUALITY(eq, ==, true)
EQUALITY(ne, !=, false)
