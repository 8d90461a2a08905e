/* SPDX-License-Identifier: Apache-2.0
 *
 * Decimal arithmetic of any precision with PostgreSQL's rules for scales. A
 * value is packed as its wire form in host order: struct num_head and base-10000
 * digits, without leading or trailing zero digits. Reached through row/row.h. */
#ifndef ROW_NUMERIC_H
#define ROW_NUMERIC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define NUM_BASE 10000
#define NUM_SCALE_MAX 1000 /* of typmods and of computed results */
#define NUM_DSCALE_MAX 0x3FFF
#define NUM_MIN_SIG 16

enum { NUM_POS = 0x0000, NUM_NEG = 0x4000, NUM_NAN = 0xC000, NUM_PINF = 0xD000, NUM_NINF = 0xF000 };

ox_code numeric_in(
    struct str text, int32_t typmod, struct arena *arena, struct str *out, struct ox_err *err);
void numeric_out(struct str num, struct text *to);
ox_code numeric_apply_typmod(
    struct str num, int32_t typmod, struct arena *arena, struct str *out, struct ox_err *err);
struct str numeric_from_i64(int64_t value, struct arena *arena);
struct str numeric_from_i128(__int128 value, struct arena *arena);
struct str numeric_from_f64(
    double value, int digits, struct arena *arena); /* 15: float8; 6: float4 */
/* type is the target's SQL name for the message. Rounds half away from zero. */
ox_code numeric_to_i64_named(struct str num, const char *type, int64_t *out, struct ox_err *err);
ox_code numeric_to_i64(struct str num, int64_t *out, struct ox_err *err);
double numeric_to_f64(struct str num);
int numeric_compare(struct str a, struct str b);
uint64_t numeric_hash(struct str num, uint64_t seed);
bool numeric_is_nan(struct str num);
int numeric_sign(struct str num);  /* -1 0 1; NaN: 0 */
int numeric_scale(struct str num); /* dscale; -1 for specials */

ox_code numeric_add(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_sub(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_mul(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_div(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_div_trunc(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_mod(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);
struct str numeric_negate(struct str a, struct arena *arena);
struct str numeric_abs(struct str a, struct arena *arena);
struct str numeric_round(struct str a, int scale, struct arena *arena);
struct str numeric_trunc(struct str a, int scale, struct arena *arena);
struct str numeric_ceil(struct str a, struct arena *arena);
struct str numeric_floor(struct str a, struct arena *arena);
struct str numeric_trim_scale(struct str a, struct arena *arena);
int numeric_min_scale(struct str a);
ox_code numeric_sqrt(struct str a, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_exp(struct str a, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_ln(struct str a, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_log(
    struct str base, struct str a, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_power(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);
ox_code numeric_gcd(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err);

ox_code numeric_from_wire(
    struct str bytes, struct arena *arena, struct str *out, struct ox_err *err);
void numeric_to_wire(struct str num, struct text *to);

/* A running sum: columns of base-10000 digits with late carries. */
struct num_sum {
    int64_t *cols; /* cols[0] is weight `high` */
    int high, count;
    int dscale;
    uint64_t nans, pinfs, ninfs;
};
void num_sum_add(struct num_sum *sum, struct str num, struct arena *arena);
void num_sum_merge(struct num_sum *into, const struct num_sum *from, struct arena *arena);
struct str num_sum_get(const struct num_sum *sum, struct arena *arena);

#endif
