/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers: arithmetic, rounding, logarithms, casts among them. */
#include "exec/expr_int.h"
#include "base/stop.h"

#include <math.h>

static const char *
int_name(uint16_t id)
{
    return id == TYPE_INT2 ? "smallint" : id == TYPE_INT4 ? "integer" : "bigint";
}

static ox_code
int_range(struct call *call)
{
    return call_fail(
        call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", int_name(call->type.id));
}

static inline bool
fits(uint16_t id, int64_t v)
{
    return id == TYPE_INT8 || (id == TYPE_INT4 ? v == (int32_t)v : v == (int16_t)v);
}

#define INT_LOOP(NAME, BUILTIN)                                                                    \
    ox_code vec_int_##NAME(struct call *call, const struct vector *args, const uint32_t *sel,      \
        uint32_t n, struct vector *out)                                                            \
    {                                                                                              \
        uint16_t id = call->type.id;                                                               \
        bool bad = false;                                                                          \
        for (uint32_t k = 0; k < n; k++) {                                                         \
            uint32_t r = sel[k];                                                                   \
            int64_t v;                                                                             \
            bad |= BUILTIN(AT(&args[0], i, r), AT(&args[1], i, r), &v);                            \
            bad |= !fits(id, v);                                                                   \
            out->i[r] = v;                                                                         \
        }                                                                                          \
        return bad ? int_range(call) : OX_OK;                                                      \
    }

INT_LOOP(add, __builtin_add_overflow)
INT_LOOP(sub, __builtin_sub_overflow)
INT_LOOP(mul, __builtin_mul_overflow)

ox_code
vec_int_div(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel[k];
        int64_t x = AT(&args[0], i, r), y = AT(&args[1], i, r);
        if (y == 0)
            return ox_fail_plain(call->err, OX_DIVISION_BY_ZERO);
        if (y == -1 && (x == INT64_MIN || !fits(call->type.id, -x)))
            return int_range(call);
        out->i[r] = x / y;
    }
    return OX_OK;
}

ox_code
vec_int_mod(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel[k];
        int64_t x = AT(&args[0], i, r), y = AT(&args[1], i, r);
        if (y == 0)
            return ox_fail_plain(call->err, OX_DIVISION_BY_ZERO);
        out->i[r] = y == -1 ? 0 : x % y;
    }
    return OX_OK;
}

static inline double
narrow(struct call *call, double v)
{
    return call->type.id == TYPE_FLOAT4 ? (double)(float)v : v;
}

static ox_code
float_check(struct call *call, double v, bool inf_ok, bool zero_ok)
{
    if (ox_unlikely(isinf(v)) && !inf_ok)
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
    if (ox_unlikely(v == 0) && !zero_ok)
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow");
    return OX_OK;
}

#define FLOAT_LOOP(NAME, OP, ZERO_OK)                                                              \
    ox_code vec_float_##NAME(struct call *call, const struct vector *args, const uint32_t *sel,    \
        uint32_t n, struct vector *out)                                                            \
    {                                                                                              \
        for (uint32_t k = 0; k < n; k++) {                                                         \
            uint32_t r = sel[k];                                                                   \
            double x = AT(&args[0], f, r), y = AT(&args[1], f, r), v = narrow(call, x OP y);       \
            if (ox_unlikely(isinf(v) || v == 0)) {                                                 \
                ox_code code = float_check(call, v, isinf(x) || isinf(y), ZERO_OK);                \
                if (code != OX_OK)                                                                 \
                    return code;                                                                   \
            }                                                                                      \
            out->f[r] = v;                                                                         \
        }                                                                                          \
        return OX_OK;                                                                              \
    }

FLOAT_LOOP(add, +, true)
FLOAT_LOOP(sub, -, true)
FLOAT_LOOP(mul, *, x == 0 || y == 0)

ox_code
vec_float_div(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel[k];
        double x = AT(&args[0], f, r), y = AT(&args[1], f, r), v = narrow(call, x / y);
        if (y == 0 && !isnan(x))
            return ox_fail_plain(call->err, OX_DIVISION_BY_ZERO);
        ox_code code = float_check(call, v, isinf(x), x == 0 || isinf(y));
        if (code != OX_OK)
            return code;
        out->f[r] = v;
    }
    return OX_OK;
}

#define NUMERIC2(NAME)                                                                             \
    ox_code num_##NAME(struct call *call, const struct datum *args, struct datum *out)             \
    {                                                                                              \
        return numeric_##NAME(args[0].s, args[1].s, call->arena, &out->s, call->err);              \
    }
NUMERIC2(add)
NUMERIC2(sub)
NUMERIC2(mul)
NUMERIC2(div)
NUMERIC2(div_trunc)
NUMERIC2(mod)
NUMERIC2(power)
NUMERIC2(gcd)
NUMERIC2(log)

#define NUMERIC1(NAME)                                                                             \
    ox_code num_##NAME(struct call *call, const struct datum *args, struct datum *out)             \
    {                                                                                              \
        return numeric_##NAME(args[0].s, call->arena, &out->s, call->err);                         \
    }
NUMERIC1(sqrt)
NUMERIC1(exp)
NUMERIC1(ln)

#define NUMERIC_PLAIN(NAME)                                                                        \
    ox_code num_##NAME(struct call *call, const struct datum *args, struct datum *out)             \
    {                                                                                              \
        out->s = numeric_##NAME(args[0].s, call->arena);                                           \
        return OX_OK;                                                                              \
    }
NUMERIC_PLAIN(negate)
NUMERIC_PLAIN(abs)
NUMERIC_PLAIN(ceil)
NUMERIC_PLAIN(floor)
NUMERIC_PLAIN(trim_scale)

ox_code
num_lcm(struct call *call, const struct datum *args, struct datum *out)
{
    struct str gcd, product;
    if (numeric_sign(args[0].s) == 0 || numeric_sign(args[1].s) == 0) {
        int scale = OX_MAX(numeric_scale(args[0].s), numeric_scale(args[1].s));
        out->s = numeric_round(numeric_from_i64(0, call->arena), scale, call->arena);
        return OX_OK;
    }
    ox_code code = numeric_gcd(args[0].s, args[1].s, call->arena, &gcd, call->err);
    if (code == OX_OK)
        code = numeric_div_trunc(args[0].s, gcd, call->arena, &product, call->err);
    if (code == OX_OK)
        code = numeric_mul(args[1].s, product, call->arena, &out->s, call->err);
    if (code == OX_OK)
        out->s = numeric_abs(out->s, call->arena);
    return code;
}

ox_code
num_log10(struct call *call, const struct datum *args, struct datum *out)
{
    return numeric_log(
        numeric_from_i64(10, call->arena), args[0].s, call->arena, &out->s, call->err);
}

static int
scale_arg(struct call *call, const struct datum *args)
{
    return call->nargs > 1 ? (int)OX_MAX(OX_MIN(args[1].i, 2000), -2000) : 0;
}

ox_code
num_round(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = numeric_round(args[0].s, scale_arg(call, args), call->arena);
    return OX_OK;
}

ox_code
num_trunc(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = numeric_trunc(args[0].s, scale_arg(call, args), call->arena);
    return OX_OK;
}

ox_code
num_sign(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = numeric_is_nan(args[0].s) ? args[0].s
                                       : numeric_from_i64(numeric_sign(args[0].s), call->arena);
    return OX_OK;
}

ox_code
num_scale(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = numeric_scale(args[0].s);
    out->null = out->i < 0;
    return OX_OK;
}

ox_code
num_min_scale(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = numeric_min_scale(args[0].s);
    out->null = numeric_scale(args[0].s) < 0;
    return OX_OK;
}

ox_code
num_same(struct call *call, const struct datum *args, struct datum *out)
{
    *out = args[0];
    return OX_OK;
}

ox_code
num_factorial(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[0].i < 0)
        return call_fail(
            call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "factorial of a negative number is undefined");
    if (args[0].i > 32177)
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    /* Of the products on the way only the last is kept. */
    struct arena turns[2];
    ox_arena_init(&turns[0]);
    ox_arena_init(&turns[1]);
    struct str product = numeric_from_i64(1, &turns[1]);
    ox_code code = OX_OK;
    for (int64_t i = 2; i <= args[0].i && code == OX_OK; i++) {
        struct arena *arena = &turns[i % 2];
        ox_arena_reset(arena);
        code = ox_stopped(50) ? ox_stop_fail(call->err)
                              : numeric_mul(product, numeric_from_i64(i, arena), arena, &product,
                                    call->err);
    }
    if (code == OX_OK)
        out->s = ox_str_n(ox_arena_copy(call->arena, product.ptr, product.len), product.len);
    ox_arena_fini(&turns[0]);
    ox_arena_fini(&turns[1]);
    return code;
}

/* ---- integers --------------------------------------------------------------------- */

ox_code
int_negate(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[0].i == INT64_MIN || !fits(call->type.id, -args[0].i))
        return int_range(call);
    out->i = -args[0].i;
    return OX_OK;
}

ox_code
int_abs(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[0].i < 0)
        return int_negate(call, args, out);
    out->i = args[0].i;
    return OX_OK;
}

ox_code
int_gcd(struct call *call, const struct datum *args, struct datum *out)
{
    uint64_t a = args[0].i < 0 ? -(uint64_t)args[0].i : (uint64_t)args[0].i;
    uint64_t b = args[1].i < 0 ? -(uint64_t)args[1].i : (uint64_t)args[1].i;
    while (b != 0) {
        uint64_t t = a % b;
        a = b;
        b = t;
    }
    out->i = (int64_t)a;
    return a > INT64_MAX || !fits(call->type.id, out->i) ? int_range(call) : OX_OK;
}

ox_code
int_lcm(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[0].i == 0 || args[1].i == 0)
        return OX_OK;
    ox_code code = int_gcd(call, args, out);
    int64_t v;
    if (code != OX_OK)
        return code;
    if (__builtin_mul_overflow(args[0].i / out->i, args[1].i, &v) || v == INT64_MIN)
        return int_range(call);
    out->i = v < 0 ? -v : v;
    return fits(call->type.id, out->i) ? OX_OK : int_range(call);
}

static int
int_bits(const struct call *call)
{
    return call->type.id == TYPE_INT2 ? 16 : call->type.id == TYPE_INT4 ? 32 : 64;
}

static int64_t
wrap(const struct call *call, int64_t v)
{
    return call->type.id == TYPE_INT2 ? (int16_t)v : call->type.id == TYPE_INT4 ? (int32_t)v : v;
}

ox_code
int_and(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = args[0].i & args[1].i;
    return OX_OK;
}

ox_code
int_or(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = args[0].i | args[1].i;
    return OX_OK;
}

ox_code
int_xor(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = args[0].i ^ args[1].i;
    return OX_OK;
}

ox_code
int_not(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = ~args[0].i;
    return OX_OK;
}

ox_code
int_shl(struct call *call, const struct datum *args, struct datum *out)
{
    int bits = int_bits(call) == 64 ? 63 : 31;
    out->i = wrap(call, (int64_t)((uint64_t)args[0].i << (args[1].i & bits)));
    return OX_OK;
}

ox_code
int_shr(struct call *call, const struct datum *args, struct datum *out)
{
    int bits = int_bits(call) == 64 ? 63 : 31;
    out->i = args[0].i >> (args[1].i & bits);
    return OX_OK;
}

/* ---- floats -------------------------------------------------------------------------- */

#define FLOAT1(NAME, EXPR)                                                                         \
    ox_code float_##NAME(struct call *call, const struct datum *args, struct datum *out)           \
    {                                                                                              \
        double x = args[0].f;                                                                      \
        out->f = (EXPR);                                                                           \
        return OX_OK;                                                                              \
    }
FLOAT1(negate, -x)
FLOAT1(abs, fabs(x))
FLOAT1(ceil, ceil(x))
FLOAT1(floor, floor(x))
FLOAT1(round, rint(x))
FLOAT1(trunc, trunc(x))
FLOAT1(sign, x > 0 ? 1 : x < 0 ? -1 : 0)
FLOAT1(cbrt, cbrt(x))
FLOAT1(sinh, sinh(x))
FLOAT1(cosh, cosh(x))
FLOAT1(tanh, tanh(x))
FLOAT1(asinh, asinh(x))
FLOAT1(atan, atan(x))

ox_code
float_degrees(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = args[0].f / 0.0174532925199432957692;
    return float_check(call, out->f, isinf(args[0].f), true);
}

ox_code
float_radians(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = args[0].f * 0.0174532925199432957692;
    return float_check(call, out->f, true, args[0].f == 0);
}

#define FLOAT_BOUND(NAME, EXPR, BAD)                                                               \
    ox_code float_##NAME(struct call *call, const struct datum *args, struct datum *out)           \
    {                                                                                              \
        double x = args[0].f;                                                                      \
        if (BAD)                                                                                   \
            return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range");        \
        out->f = (EXPR);                                                                           \
        return OX_OK;                                                                              \
    }
FLOAT_BOUND(sin, sin(x), isinf(x))
FLOAT_BOUND(cos, cos(x), isinf(x))
FLOAT_BOUND(tan, tan(x), isinf(x))
FLOAT_BOUND(asin, asin(x), x<-1 || x> 1)
FLOAT_BOUND(acos, acos(x), x<-1 || x> 1)
FLOAT_BOUND(acosh, acosh(x), x < 1)
FLOAT_BOUND(atanh, atanh(x), x<-1 || x> 1)

/* ---- degrees: exact where the angle is a multiple of 30 ---- */

static double
radians_of(double x)
{
    return x * 0.0174532925199432957692;
}

/* 0 to 30: half of the sine's part of that of 30 degrees, so that 30 gives 1/2. */
static double
sin_small(double x)
{
    volatile double whole = sin(radians_of(30));
    return sin(radians_of(x)) / whole / 2;
}

/* 0 to 60, so that 60 gives 1/2. */
static double
cos_small(double x)
{
    volatile double whole = 1 - cos(radians_of(60));
    return 1 - (1 - cos(radians_of(x))) / whole / 2;
}

/* 0 to 90 */
static double
sin_quarter(double x)
{
    return x <= 30 ? sin_small(x) : cos_small(90 - x);
}

static double
sin_degrees(double x)
{
    double sign = 1;
    x = fmod(x, 360);
    if (x < 0) {
        x = -x;
        sign = -1;
    }
    if (x > 180) {
        x = 360 - x;
        sign = -sign;
    }
    return sign * sin_quarter(x > 90 ? 180 - x : x);
}

static double
cos_degrees(double x)
{
    double sign = 1;
    x = fabs(fmod(x, 360));
    if (x > 180)
        x = 360 - x;
    if (x > 90) {
        x = 180 - x;
        sign = -1;
    }
    return sign * sin_quarter(90 - x);
}

/* 45 gives 1. */
static double
tan_degrees(double x)
{
    volatile double whole = sin_degrees(45) / cos_degrees(45);
    double value = sin_degrees(x) / cos_degrees(x) / whole;
    return value == 0 ? 0 : value;
}

static double
cot_degrees(double x)
{
    volatile double whole = cos_degrees(45) / sin_degrees(45);
    double value = cos_degrees(x) / sin_degrees(x) / whole;
    return value == 0 ? 0 : value;
}

/* 0 to 1, exact at 0, 1/2 and 1 */
static double
asin_quarter(double x)
{
    volatile double half = asin(0.5), rest = acos(0.5);
    return x <= 0.5 ? asin(x) / half * 30 : 90 - acos(x) / rest * 60;
}

static double
atan_degrees(double x)
{
    volatile double whole = atan(1.0);
    return atan(x) / whole * 45;
}

FLOAT_BOUND(sind, sin_degrees(x), isinf(x))
FLOAT_BOUND(cosd, cos_degrees(x), isinf(x))
FLOAT_BOUND(tand, tan_degrees(x), isinf(x))
FLOAT_BOUND(cotd, cot_degrees(x), isinf(x))
FLOAT_BOUND(asind, x < 0 ? -asin_quarter(-x) : asin_quarter(x), x < -1 || x > 1)
FLOAT_BOUND(acosd, x < 0 ? 90 + asin_quarter(-x) : 90 - asin_quarter(x), x < -1 || x > 1)
FLOAT1(atand, atan_degrees(x))

ox_code
float_atan2d(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    volatile double whole = atan2(1.0, 1.0);
    out->f = atan2(args[0].f, args[1].f) / whole * 45;
    return OX_OK;
}

ox_code
float_cot(struct call *call, const struct datum *args, struct datum *out)
{
    if (isinf(args[0].f))
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range");
    out->f = 1.0 / tan(args[0].f);
    return OX_OK;
}

ox_code
float_atan2(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = atan2(args[0].f, args[1].f);
    return OX_OK;
}

ox_code
float_sqrt(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[0].f < 0)
        return call_fail(
            call, OX_INVALID_ARGUMENT_FOR_POWER, "cannot take square root of a negative number");
    out->f = sqrt(args[0].f);
    return OX_OK;
}

ox_code
float_exp(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = exp(args[0].f);
    return float_check(call, out->f, isinf(args[0].f), isinf(args[0].f));
}

static ox_code
log_check(struct call *call, double x)
{
    if (x == 0)
        return call_fail(call, OX_INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero");
    if (x < 0)
        return call_fail(
            call, OX_INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of a negative number");
    return OX_OK;
}

ox_code
float_ln(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = log(args[0].f);
    return log_check(call, args[0].f);
}

ox_code
float_log10(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = log10(args[0].f);
    return log_check(call, args[0].f);
}

ox_code
float_power(struct call *call, const struct datum *args, struct datum *out)
{
    double x = args[0].f, y = args[1].f;
    if (x == 0 && y < 0)
        return call_fail(
            call, OX_INVALID_ARGUMENT_FOR_POWER, "zero raised to a negative power is undefined");
    if (x < 0 && floor(y) != y && !isnan(y))
        return call_fail(call, OX_INVALID_ARGUMENT_FOR_POWER,
            "a negative number raised to a non-integer power yields a complex result");
    out->f = pow(x, y);
    if (isinf(x) || isinf(y) || isnan(x) || isnan(y))
        return OX_OK;
    return float_check(call, out->f, false, x == 0);
}

ox_code
float_pi(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = M_PI;
    return OX_OK;
}

ox_code
float_random(struct call *call, const struct datum *args, struct datum *out)
{
    uint64_t bits;
    const struct env *env = call->eval->config->env;
    if (call->eval->random == 0) {
        env_random(env != NULL ? env : env_os(), &call->eval->random, 8);
        call->eval->random |= 1;
    }
    bits = (call->eval->random += 0x9E3779B97F4A7C15u);
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
    out->f = (double)((bits ^ bits >> 31) >> 11) * 0x1p-53;
    return OX_OK;
}

static ox_code
bucket_check(struct call *call, int64_t count, bool nan, bool infinite, bool equal)
{
    const char *wrong = count <= 0 ? "count must be greater than zero"
                        : nan      ? "operand, lower bound, and upper bound cannot be NaN"
                        : infinite ? "lower and upper bounds must be finite"
                        : equal    ? "lower bound cannot equal upper bound"
                                   : NULL;
    return wrong == NULL ? OX_OK : call_fail(call, OX_INVALID_WIDTH_BUCKET_ARGUMENT, "%s", wrong);
}

static ox_code
bucket_behind(struct call *call, int64_t count, struct datum *out)
{
    out->i = count + 1;
    return out->i <= INT32_MAX ? OX_OK : call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE,
                                             "integer out of range");
}

ox_code
float_width_bucket(struct call *call, const struct datum *args, struct datum *out)
{
    double x = args[0].f, low = args[1].f, high = args[2].f;
    int64_t count = args[3].i;
    ox_code code = bucket_check(call, count, isnan(x) || isnan(low) || isnan(high),
        isinf(low) || isinf(high), low == high);
    if (code != OX_OK)
        return code;
    bool up = low < high;
    if (up ? x >= high : x <= high)
        return bucket_behind(call, count, out);
    if (up ? x < low : x > low)
        out->i = 0;
    else
        out->i = OX_MIN((int64_t)((double)count * ((x - low) / (high - low))), count - 1) + 1;
    return OX_OK;
}

ox_code
num_width_bucket(struct call *call, const struct datum *args, struct datum *out)
{
    struct str x = args[0].s, low = args[1].s, high = args[2].s, span, at, width;
    int64_t count = args[3].i;
    struct arena *arena = call->arena;
    int way = numeric_compare(low, high);
    ox_code code = bucket_check(call, count,
        numeric_is_nan(x) || numeric_is_nan(low) || numeric_is_nan(high),
        numeric_scale(low) < 0 || numeric_scale(high) < 0, way == 0);
    if (code != OX_OK)
        return code;
    int to_low = numeric_compare(x, low), to_high = numeric_compare(x, high);
    if (way < 0 ? to_high >= 0 : to_high <= 0)
        return bucket_behind(call, count, out);
    out->i = 0;
    if (way < 0 ? to_low < 0 : to_low > 0)
        return OX_OK;
    code = numeric_sub(high, low, arena, &span, call->err);
    if (code == OX_OK)
        code = numeric_sub(x, low, arena, &at, call->err);
    if (code == OX_OK)
        code = numeric_mul(at, numeric_from_i64(count, arena), arena, &at, call->err);
    if (code == OX_OK)
        code = numeric_div_trunc(at, span, arena, &width, call->err);
    if (code == OX_OK)
        code = numeric_to_i64(width, &out->i, call->err);
    if (code == OX_OK)
        out->i++;
    return code;
}

/* ---- casts ------------------------------------------------------------------------------- */

ox_code
vec_relabel(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    out->data = args[0].data;
    return OX_OK;
}

ox_code
vec_int_to_int(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    uint16_t id = call->type.id;
    bool wide = id == TYPE_INT8 || call->types[0].id == TYPE_INT2 ||
                (id == TYPE_INT4 && call->types[0].id == TYPE_INT4);
    if (!wide)
        for (uint32_t k = 0; k < n; k++)
            if (!fits(id, AT(&args[0], i, sel[k])))
                return int_range(call);
    out->data = args[0].data;
    return OX_OK;
}

ox_code
vec_int_to_float(struct call *call, const struct vector *args, const uint32_t *sel, uint32_t n,
    struct vector *out)
{
    for (uint32_t k = 0; k < n; k++) {
        int64_t v = AT(&args[0], i, sel[k]);
        out->f[out->constant ? 0 : sel[k]] =
            call->type.id == TYPE_FLOAT4 ? (double)(float)v : (double)v;
    }
    return OX_OK;
}

ox_code
float_to_int(struct call *call, const struct datum *args, struct datum *out)
{
    double v = rint(args[0].f);
    if (isnan(v) || v < -9223372036854775808.0 || v >= 9223372036854775808.0 ||
        !fits(call->type.id, (int64_t)v))
        return int_range(call);
    out->i = (int64_t)v;
    return OX_OK;
}

ox_code
float_to_float(struct call *call, const struct datum *args, struct datum *out)
{
    double x = args[0].f;
    out->f = narrow(call, x);
    return float_check(call, out->f, isinf(x), x == 0);
}

ox_code
int_to_num(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = numeric_from_i64(args[0].i, call->arena);
    return OX_OK;
}

ox_code
float_to_num(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = numeric_from_f64(args[0].f, call->types[0].id == TYPE_FLOAT4 ? 6 : 15, call->arena);
    return OX_OK;
}

ox_code
num_to_int(struct call *call, const struct datum *args, struct datum *out)
{
    ox_code code = numeric_to_i64_named(args[0].s, int_name(call->type.id), &out->i, call->err);
    return code != OX_OK ? code : fits(call->type.id, out->i) ? OX_OK : int_range(call);
}

ox_code
num_to_float(struct call *call, const struct datum *args, struct datum *out)
{
    out->f = numeric_to_f64(args[0].s);
    if (isinf(out->f) && numeric_scale(args[0].s) >= 0) {
        struct text text;
        ox_text_init(&text, call->arena);
        numeric_out(args[0].s, &text);
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE,
            "\"%.*s\" is out of range for type double precision", (int)OX_MIN(text.len, (size_t)200),
            text.ptr);
    }
    if (call->type.id == TYPE_FLOAT4) {
        double wide = out->f;
        out->f = (double)(float)wide;
        if (isinf(out->f) && !isinf(wide))
            return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
    }
    return OX_OK;
}

ox_code
int_to_bool(struct call *call, const struct datum *args, struct datum *out)
{
    out->b = args[0].i != 0;
    return OX_OK;
}

ox_code
bool_to_int(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = args[0].b;
    return OX_OK;
}

ox_code
bool_to_text(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = args[0].b ? OX_STR("true") : OX_STR("false");
    return OX_OK;
}

ox_code
int_to_oid(struct call *call, const struct datum *args, struct datum *out)
{
    if (call->types[0].id == TYPE_INT8 && (args[0].i < 0 || args[0].i > UINT32_MAX))
        return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range");
    out->i = (uint32_t)args[0].i;
    return OX_OK;
}

ox_code
oid_to_int(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = call->type.id == TYPE_INT4 ? (int32_t)(uint32_t)args[0].i : args[0].i;
    return OX_OK;
}
