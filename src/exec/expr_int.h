/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the evaluator and the function files. */
#ifndef EXEC_EXPR_INT_H
#define EXEC_EXPR_INT_H

#include "base/stop.h"
#include "base/check.h"
#include "base/limits.h"
#include "exec/expr.h"
#include "exec/functions.gen.h"

/* 0, 1, 2, ...: the selection of all rows. Kernels compare the pointer. */
extern const uint32_t eval_all_rows[VECTOR_MAX];

/* Entry of a row, whether the vector is constant or not. */
#define AT(vec, member, row) ((vec)->member[(vec)->constant ? 0 : (row)])

/* The largest value an expression makes, and the memory that one batch of an
 * operator may take for its expressions or one group's aggregates keep. */
enum { EVAL_VALUE_MAX = LIMIT_SQL_VALUE_VALUE, EVAL_BYTES_MAX = 512 << 20 };

ox_code eval_value_too_large(struct ox_err *err);
ox_code eval_bytes_exceeded(struct ox_err *err);

/* For functions whose result can be much larger than their arguments: asked while
 * it grows. What grows by a few times only is looked at when it is there. */
#define CALL_ROOM(call, len) \
    (ox_likely((len) <= EVAL_VALUE_MAX) ? OX_OK : eval_value_too_large((call)->err))

static inline void *
call_alloc(struct call *call, size_t len)
{
    return ox_arena_alloc(call->arena, len);
}

static inline const struct row_format *
call_format(const struct call *call)
{
    return call->eval->config->format;
}

/* The row functions' errors. */
#define call_fail(call, code, ...) ox_fail((call)->err, (code), __VA_ARGS__)

/* The arguments of a VARIADIC function from one on: spread when an array was
 * given as VARIADIC. */
void call_items(struct call *call, const struct datum *args, uint32_t from,
    const struct datum **items, const struct type **types, uint32_t *count);
/* A key of a JSON object from any scalar. */
ox_code json_add_key(struct ox_err *err, struct type type, const struct datum *key,
    const struct row_format *format, struct text *to);

/* One character of UTF-8, case mapped; letters and digits. */
uint32_t text_fold(uint32_t c, bool upper);
bool text_is_word(uint32_t c);

static inline void
give_interval(struct arena *arena, struct interval span, struct datum *out)
{
    out->s = ox_str_n(ox_arena_copy(arena, &span, sizeof(span)), sizeof(span));
}

/* func_time.c: v times the factor, or divided by it. Fails: OX_DATETIME_FIELD_OVERFLOW */
ox_code interval_scaled(struct interval v, double factor, bool divide, struct interval *out,
    struct ox_err *err);

/* func_format.c: "st", "nd", "rd" or "th" of a number. */
void format_ordinal(int64_t n, bool lower, struct text *to);

/* ---- func_choose.c: what a name means ---- */

static inline bool
type_is_unknown(struct type type)
{
    return type.id == TYPE_UNKNOWN && !type.array;
}

static inline bool
type_is_polymorphic(struct type type)
{
    return type.id >= TYPE_ANY;
}

static inline bool
type_wants_array(struct type type)
{
    return type.id == TYPE_ANYARRAY || type.id == TYPE_ANYCOMPATIBLEARRAY;
}

enum { CALL_ARGS_MAX = 100 }; /* of one call */

/* The declared type of the i-th argument, which a variadic function may have many of. */
struct type func_declared(const struct func *func, uint32_t i);
/* The higher of two types in one category: the one the other casts to implicitly. */
bool type_common(struct type a, struct type b, struct type *out);
/* What anyelement and anycompatible stand for, from the actual types; false: they cannot
 * be one type. */
bool func_deduce(const struct func *func, const struct type *types, uint32_t nargs,
    struct type *element, struct type *compatible);
/* NULL: none or (*ambiguous) several. */
const struct func *func_choose(struct str name, const struct type *types, uint32_t nargs,
    bool operators, bool *ambiguous);

#endif
