/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside numeric: unpacked numbers. Packed values (numeric.h) are read into a
 * struct num, which borrows the digits; computed on as arrays of base-10000
 * digits in the arena (num_digits.c, num_math.c); and packed again (numeric.c).
 * Who asks for a special value (NaN, infinities) asks before it computes. */
#ifndef ROW_NUMERIC_INT_H
#define ROW_NUMERIC_INT_H

#include "base/check.h"
#include "row/row.h"

/* What stands before the digits of a packed value. */
struct num_head {
    int16_t ndigits, weight;
    uint16_t sign, dscale;
};

/* An unpacked value: 0.d0 d1 d2 ... * 10000^(weight+1). dscale: decimals shown. */
struct num {
    int ndigits, weight, sign, dscale;
    const int16_t *digits;
};

static inline struct num
num_load(struct str s)
{
    struct num_head head;
    memcpy(&head, s.ptr, sizeof(head));
    return (struct num){head.ndigits, head.weight, head.sign, head.dscale,
        (const int16_t *)(const void *)(s.ptr + sizeof(head))};
}

static inline bool
num_special(const struct num *n)
{
    return (n->sign & 0xC000) == 0xC000;
}

/* 1, -1, or 0 for a number or NaN. */
static inline int
num_inf_sign(const struct num *n)
{
    return n->sign == NUM_PINF ? 1 : n->sign == NUM_NINF ? -1 : 0;
}

/* NaN: 0. */
static inline int
num_sign(const struct num *n)
{
    if (num_special(n))
        return num_inf_sign(n);
    return n->ndigits == 0 ? 0 : n->sign == NUM_NEG ? -1 : 1;
}

static inline bool
num_either_nan(const struct num *a, const struct num *b)
{
    return a->sign == NUM_NAN || b->sign == NUM_NAN;
}

/* ---- numeric.c: packing ---- */

/* Without zero digits at both ends; of a special value the sign alone counts. */
struct str num_pack(struct num n, struct arena *arena);
struct str num_pack_inf(int sign, struct arena *arena); /* 0: NaN */
/* The same, of a result. Fails: OX_NUMERIC_VALUE_OUT_OF_RANGE, it has no packed form. */
ox_code num_finish(struct num n, struct arena *arena, struct str *out, struct ox_err *err);
ox_code num_overflow(struct ox_err *err);

/* ---- num_digits.c: numbers that are not special ---- */

/* Without zero digits at both ends; the digits are borrowed. */
struct num digits_trim(struct num n);
/* To scale decimals (negative: to tens, hundreds, ...), half away from zero, or cut.
 * A special value stays. */
struct num digits_round(struct num n, int scale, bool truncate, struct arena *arena);
int digits_compare_abs(const struct num *a, const struct num *b); /* of trimmed ones */
struct num digits_neg(struct num a);
struct num digits_add(struct num a, struct num b, struct arena *arena);
struct num digits_sub(struct num a, struct num b, struct arena *arena);
/* The exact product, rounded to rscale decimals when that is less. */
struct num digits_mul(struct num a, struct num b, int rscale, struct arena *arena);
/* a / b to rscale decimals (may be beyond what is displayed), rounded or cut. b is
 * not 0. */
struct num digits_div(struct num a, struct num b, int rscale, bool truncate, struct arena *arena);
/* The scale that PostgreSQL gives the quotient of two values. */
int digits_div_scale(const struct num *a, const struct num *b);

#endif
