/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed decimals: made from text, integers, doubles and PostgreSQL's wire form
 * and turned back; rounded, compared, hashed; added, multiplied, divided. A packed
 * value has no zero digit at either end, zero has no digits. What happens to the
 * digits is in num_digits.c, functions beyond division in num_math.c. */
#include "row/numeric_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const int32_t num_pow10[] = {1, 10, 100, 1000, 10000};

struct str
num_pack(struct num n, struct arena *arena)
{
    n = num_special(&n) ? (struct num){.sign = n.sign} : digits_trim(n);
    struct num_head head = {
        (int16_t)n.ndigits, (int16_t)n.weight, (uint16_t)n.sign, (uint16_t)n.dscale};
    size_t len = sizeof(head) + (size_t)n.ndigits * 2;
    char *to = ox_arena_alloc(arena, len);
    memcpy(to, &head, sizeof(head));
    if (n.ndigits > 0)
        memcpy(to + sizeof(head), n.digits, (size_t)n.ndigits * 2);
    return ox_str_n(to, len);
}

struct str
num_pack_inf(int sign, struct arena *arena)
{
    int special = sign > 0 ? NUM_PINF : sign < 0 ? NUM_NINF : NUM_NAN;
    return num_pack((struct num){.sign = special}, arena);
}

ox_code
num_overflow(struct ox_err *err)
{
    return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
}

ox_code
num_finish(struct num n, struct arena *arena, struct str *out, struct ox_err *err)
{
    if (!num_special(&n))
        n = digits_trim(n);
    if (n.weight > 32767 || n.dscale > NUM_DSCALE_MAX || n.weight < -32768)
        return num_overflow(err);
    *out = num_pack(n, arena);
    return OX_OK;
}

/* ---- text ------------------------------------------------------------------- */

static ox_code
num_bad(struct str text, struct ox_err *err)
{
    return ox_fail(err, OX_INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type numeric: \"%.*s\"", OX_STR_ARG(text));
}

static inline bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
word_is(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);
    return ox_str_ieq(ox_str_n(at, (size_t)(end - at)), ox_str_n(word, len));
}

/* A number as it is written: its digits, and where the point stands. */
struct spelled {
    int sign;
    const char *digits, *fraction; /* before and behind the point */
    int before, after;             /* how many */
    long exponent;
};

/* NaN and infinities; 0: it is none. */
static int
special_in(const char *start, const char *at, const char *end, int sign)
{
    if (word_is(start, end, "nan"))
        return NUM_NAN;
    if (word_is(at, end, "infinity") || word_is(at, end, "inf"))
        return sign == NUM_NEG ? NUM_NINF : NUM_PINF;
    return 0;
}

/* What follows e or E; false: no number. Far too large ones stay far too large. */
static bool
exponent_in(const char **at, const char *end, long *out)
{
    bool minus = false;
    if (*at < end && (**at == '-' || **at == '+'))
        minus = *(*at)++ == '-';
    if (*at == end)
        return false;
    for (*out = 0; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        if (*out < 100000000)
            *out = *out * 10 + (**at - '0');
    if (minus)
        *out = -*out;
    return true;
}

static bool
spelled_in(const char *at, const char *end, struct spelled *out)
{
    out->digits = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++, out->before++;
    out->fraction = at;
    if (at < end && *at == '.') {
        out->fraction = ++at;
        while (at < end && *at >= '0' && *at <= '9')
            at++, out->after++;
    }
    if (out->before + out->after == 0)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (!exponent_in(&at, end, &out->exponent))
            return false;
    }
    return at == end;
}

static ox_code
spelled_pack(const struct spelled *from, struct arena *arena, struct str *out, struct ox_err *err)
{
    if (from->exponent > 300000 || from->exponent < -300000)
        return num_overflow(err);
    int dscale = OX_MAX(from->after - (int)from->exponent, 0);
    if (dscale > NUM_DSCALE_MAX)
        return num_overflow(err);
    /* The position of the decimal point, in decimal digits from the first digit. */
    long point = from->before + from->exponent, total = from->before + from->after;
    int weight = (int)(point > 0 ? (point - 1) / 4 : -((-point) / 4) - 1);
    /* Leading padding so that the first group is aligned with the point. */
    long pad = (long)(weight + 1) * 4 - point;
    long groups = (total + pad + 3) / 4;
    int16_t *to = ox_arena_alloc0(arena, (size_t)groups * 2 + 2);
    for (long i = 0; i < total; i++) {
        char c = i < from->before ? from->digits[i] : from->fraction[i - from->before];
        long k = i + pad;
        to[k / 4] = (int16_t)(to[k / 4] + (c - '0') * num_pow10[3 - k % 4]);
    }
    return num_finish((struct num){(int)groups, weight, from->sign, dscale, to}, arena, out, err);
}

ox_code
numeric_in(
    struct str text, int32_t typmod, struct arena *arena, struct str *out, struct ox_err *err)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end && is_space(*at))
        at++;
    while (end > at && is_space(end[-1]))
        end--;
    struct spelled spelled = {.sign = NUM_POS};
    struct str packed;
    const char *start = at;
    if (at < end && (*at == '-' || *at == '+'))
        spelled.sign = *at++ == '-' ? NUM_NEG : NUM_POS;
    if (at < end && *at != '.' && (*at < '0' || *at > '9')) {
        int special = special_in(start, at, end, spelled.sign);
        if (special == 0)
            return num_bad(text, err);
        packed = num_pack((struct num){.sign = special}, arena);
    } else {
        if (!spelled_in(at, end, &spelled))
            return num_bad(text, err);
        ox_code code = spelled_pack(&spelled, arena, &packed, err);
        if (code != OX_OK)
            return code;
    }
    return numeric_apply_typmod(packed, typmod, arena, out, err);
}

void
numeric_out(struct str num, struct text *to)
{
    struct num n = num_load(num);
    if (num_special(&n)) {
        ox_text_adds(to, n.sign == NUM_NAN ? "NaN" : n.sign == NUM_PINF ? "Infinity" : "-Infinity");
        return;
    }
    size_t room = (size_t)(n.weight > 0 ? n.weight + 1 : 1) * 4 + (size_t)n.dscale + 12;
    char *start = ox_text_reserve(to, room), *at = start;
    if (n.sign == NUM_NEG)
        *at++ = '-';
    if (n.weight < 0) {
        *at++ = '0';
    } else {
        for (int i = 0; i <= n.weight; i++) {
            int d = i < n.ndigits ? n.digits[i] : 0;
            if (i > 0 || d >= 1000)
                *at++ = (char)('0' + d / 1000);
            if (i > 0 || d >= 100)
                *at++ = (char)('0' + d / 100 % 10);
            if (i > 0 || d >= 10)
                *at++ = (char)('0' + d / 10 % 10);
            *at++ = (char)('0' + d % 10);
        }
    }
    if (n.dscale > 0) {
        *at++ = '.';
        char *stop = at + n.dscale;
        for (int i = n.weight + 1; at < stop; i++) {
            /* digits before the first stored one are zero */
            int d = 0;
            if (n.weight < 0) {
                int k = i - (n.weight + 1); /* groups after the point start at -1 */
                int index = -1 - n.weight;
                d = k < index ? 0 : k - index < n.ndigits ? n.digits[k - index] : 0;
            } else if (i < n.ndigits) {
                d = n.digits[i];
            }
            for (int p = 3; p >= 0; p--, d %= num_pow10[p + 1])
                *at++ = (char)('0' + d / num_pow10[p]);
        }
        at = stop;
    }
    to->len += (size_t)(at - start);
    to->ptr[to->len] = '\0';
}

/* ---- rounding ---------------------------------------------------------------- */

struct str
numeric_round(struct str a, int scale, struct arena *arena)
{
    scale = OX_MAX(OX_MIN(scale, 2000), -2000);
    return num_pack(digits_round(num_load(a), scale, false, arena), arena);
}

struct str
numeric_trunc(struct str a, int scale, struct arena *arena)
{
    scale = OX_MAX(OX_MIN(scale, 2000), -2000);
    return num_pack(digits_round(num_load(a), scale, true, arena), arena);
}

ox_code
numeric_apply_typmod(
    struct str num, int32_t typmod, struct arena *arena, struct str *out, struct ox_err *err)
{
    *out = num;
    if (typmod < 4)
        return OX_OK;
    int precision = (int)(((uint32_t)(typmod - 4) >> 16) & 0xFFFF);
    int scale = ((typmod - 4) & 0x7FF);
    scale = (scale ^ 1024) - 1024;
    struct num n = num_load(num);
    if (num_special(&n)) {
        if (n.sign == NUM_NAN)
            return OX_OK;
        ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
        ox_detail(err, "A field with precision %d, scale %d cannot hold an infinite value.",
            precision, scale);
        return OX_NUMERIC_VALUE_OUT_OF_RANGE;
    }
    struct str rounded = num_pack(digits_round(n, scale, false, arena), arena);
    n = num_load(rounded);
    int max = precision - scale;
    if (n.ndigits > 0) {
        int d = n.digits[0];
        int whole = n.weight * 4 + (d >= 1000 ? 4 : d >= 100 ? 3 : d >= 10 ? 2 : 1);
        if (whole > max) {
            ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
            ox_detail(err,
                "A field with precision %d, scale %d must round to an absolute value less than "
                "%s%d.",
                precision, scale, max ? "10^" : "", max ? max : 1);
            return OX_NUMERIC_VALUE_OUT_OF_RANGE;
        }
    }
    *out = rounded;
    return OX_OK;
}

/* ---- arithmetic on packed values ---------------------------------------------------- */

ox_code
numeric_add(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (num_special(&x) || num_special(&y)) {
        int sx = num_inf_sign(&x), sy = num_inf_sign(&y);
        *out = num_pack_inf(num_either_nan(&x, &y) || sx * sy < 0 ? 0 : sx + sy, arena);
        return OX_OK;
    }
    return num_finish(digits_add(x, y, arena), arena, out, err);
}

ox_code
numeric_sub(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    return numeric_add(a, numeric_negate(b, arena), arena, out, err);
}

ox_code
numeric_mul(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (num_special(&x) || num_special(&y)) {
        int sign = num_either_nan(&x, &y) ? 0 : num_sign(&x) * num_sign(&y);
        *out = num_pack_inf(sign, arena);
        return OX_OK;
    }
    int rscale = OX_MIN(x.dscale + y.dscale, NUM_DSCALE_MAX);
    return num_finish(digits_mul(x, y, rscale, arena), arena, out, err);
}

static ox_code
div_special(const struct num *x, const struct num *y, struct arena *arena, struct str *out)
{
    if (num_either_nan(x, y) || (num_inf_sign(x) && num_inf_sign(y)))
        *out = num_pack_inf(0, arena);
    else if (num_inf_sign(x))
        *out = num_pack_inf(num_inf_sign(x) * num_sign(y), arena);
    else
        *out = num_pack((struct num){0}, arena);
    return OX_OK;
}

ox_code
numeric_div(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (!num_either_nan(&x, &y) && num_sign(&y) == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    if (num_special(&x) || num_special(&y))
        return div_special(&x, &y, arena, out);
    return num_finish(digits_div(x, y, digits_div_scale(&x, &y), false, arena), arena, out, err);
}

ox_code
numeric_div_trunc(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (!num_either_nan(&x, &y) && num_sign(&y) == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    if (num_special(&x) || num_special(&y))
        return div_special(&x, &y, arena, out);
    return num_finish(digits_div(x, y, 0, true, arena), arena, out, err);
}

ox_code
numeric_mod(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (!num_either_nan(&x, &y) && num_sign(&y) == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    if (num_special(&x) || num_special(&y)) {
        *out = num_either_nan(&x, &y) || num_special(&x) ? num_pack_inf(0, arena) : a;
        return OX_OK;
    }
    struct num q = digits_div(x, y, 0, true, arena);
    struct num r = digits_sub(x, digits_mul(y, q, y.dscale, arena), arena);
    r.dscale = OX_MAX(x.dscale, y.dscale);
    return num_finish(r, arena, out, err);
}

struct str
numeric_negate(struct str a, struct arena *arena)
{
    struct num n = num_load(a);
    if (n.sign == NUM_NAN)
        return a;
    if (num_special(&n))
        return num_pack_inf(-num_inf_sign(&n), arena);
    return num_pack(digits_neg(n), arena);
}

struct str
numeric_abs(struct str a, struct arena *arena)
{
    struct num n = num_load(a);
    return num_sign(&n) < 0 ? numeric_negate(a, arena) : a;
}

static struct str
num_to_whole(struct str a, int direction, struct arena *arena)
{
    struct num n = num_load(a);
    if (num_special(&n))
        return a;
    struct num t = digits_trim(digits_round(n, 0, true, arena));
    struct num rest = digits_sub(n, t, arena);
    if (num_sign(&rest) == direction) {
        static const int16_t one = 1;
        t = digits_add(t, (struct num){1, 0, direction > 0 ? NUM_POS : NUM_NEG, 0, &one}, arena);
    }
    t.dscale = 0;
    return num_pack(t, arena);
}

struct str
numeric_ceil(struct str a, struct arena *arena)
{
    return num_to_whole(a, 1, arena);
}

struct str
numeric_floor(struct str a, struct arena *arena)
{
    return num_to_whole(a, -1, arena);
}

int
numeric_min_scale(struct str a)
{
    struct num n = num_load(a);
    if (n.ndigits == 0)
        return 0;
    int scale = (n.ndigits - n.weight - 1) * 4;
    for (int d = n.digits[n.ndigits - 1]; d % 10 == 0 && scale > 0; d /= 10)
        scale--;
    return OX_MAX(scale, 0);
}

struct str
numeric_trim_scale(struct str a, struct arena *arena)
{
    struct num n = num_load(a);
    if (num_special(&n))
        return a;
    n.dscale = numeric_min_scale(a);
    return num_pack(n, arena);
}

/* ---- conversions ------------------------------------------------------------------ */

struct str
numeric_from_i128(__int128 value, struct arena *arena)
{
    int16_t digits[12];
    int at = 12;
    unsigned __int128 u = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    while (u > 0) {
        digits[--at] = (int16_t)(u % NUM_BASE);
        u /= NUM_BASE;
    }
    return num_pack(
        (struct num){12 - at, 11 - at, value < 0 ? NUM_NEG : NUM_POS, 0, digits + at}, arena);
}

struct str
numeric_from_i64(int64_t value, struct arena *arena)
{
    int16_t digits[5];
    int at = 5;
    uint64_t u = value < 0 ? -(uint64_t)value : (uint64_t)value;
    while (u > 0) {
        digits[--at] = (int16_t)(u % NUM_BASE);
        u /= NUM_BASE;
    }
    return num_pack(
        (struct num){5 - at, 4 - at, value < 0 ? NUM_NEG : NUM_POS, 0, digits + at}, arena);
}

struct str
numeric_from_f64(double value, int digits, struct arena *arena)
{
    if (isnan(value))
        return num_pack_inf(0, arena);
    if (isinf(value))
        return num_pack_inf(value > 0 ? 1 : -1, arena);
    char text[64];
    int len = snprintf(text, sizeof(text), "%.*g", digits, value);
    struct str out = OX_STR_NULL;
    numeric_in(ox_str_n(text, (size_t)len), -1, arena, &out, NULL);
    return out;
}

ox_code
numeric_to_i64_named(struct str num, const char *type, int64_t *out, struct ox_err *err)
{
    struct num n = num_load(num);
    if (num_special(&n))
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "cannot convert %s to %s",
            n.sign == NUM_NAN ? "NaN" : "infinity", type);
    /* Round half away from zero on the first fractional group. */
    __int128 v = 0;
    if (n.weight > 5)
        goto range;
    for (int i = 0; i <= n.weight; i++)
        v = v * NUM_BASE + (i < n.ndigits ? n.digits[i] : 0);
    int f = n.weight + 1;
    if (f >= 0 && f < n.ndigits && n.digits[f] >= NUM_BASE / 2)
        v++;
    if (n.sign == NUM_NEG)
        v = -v;
    if (v > INT64_MAX || v < INT64_MIN)
        goto range;
    *out = (int64_t)v;
    return OX_OK;
range:
    return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "%s out of range", type);
}

ox_code
numeric_to_i64(struct str num, int64_t *out, struct ox_err *err)
{
    return numeric_to_i64_named(num, "bigint", out, err);
}

double
numeric_to_f64(struct str num)
{
    struct num n = num_load(num);
    if (num_special(&n))
        return n.sign == NUM_NAN    ? (double)NAN
               : n.sign == NUM_PINF ? (double)INFINITY
                                    : -(double)INFINITY;
    if (n.ndigits <= 3 && n.weight >= n.ndigits - 1 && n.weight <= 2) {
        int64_t v = 0;
        for (int i = 0; i <= n.weight; i++)
            v = v * NUM_BASE + (i < n.ndigits ? n.digits[i] : 0);
        return n.sign == NUM_NEG ? -(double)v : (double)v;
    }
    struct text text;
    ox_text_init(&text, NULL);
    numeric_out(num, &text);
    double v = strtod(text.ptr, NULL);
    ox_text_fini(&text);
    return v;
}

int
numeric_compare(struct str a, struct str b)
{
    struct num x = num_load(a), y = num_load(b);
    if (num_special(&x) || num_special(&y)) {
        /* NaN above Infinity above numbers above -Infinity */
        int rx = x.sign == NUM_NAN ? 2 : num_inf_sign(&x);
        int ry = y.sign == NUM_NAN ? 2 : num_inf_sign(&y);
        return rx < ry ? -1 : rx > ry;
    }
    int sx = num_sign(&x), sy = num_sign(&y);
    if (sx != sy)
        return sx < sy ? -1 : 1;
    return sx * digits_compare_abs(&x, &y);
}

uint64_t
numeric_hash(struct str num, uint64_t seed)
{
    struct num n = num_load(num);
    uint64_t start = (uint64_t)(uint16_t)n.sign << 16 | (uint16_t)n.weight;
    return ox_hash(n.digits, (size_t)n.ndigits * 2, seed ^ (start * 0x9E3779B97F4A7C15u));
}

bool
numeric_is_nan(struct str num)
{
    return num_load(num).sign == NUM_NAN;
}

int
numeric_sign(struct str num)
{
    struct num n = num_load(num);
    return num_sign(&n);
}

int
numeric_scale(struct str num)
{
    struct num n = num_load(num);
    return num_special(&n) ? -1 : n.dscale;
}

/* ---- wire ---------------------------------------------------------------------------- */

ox_code
numeric_from_wire(struct str bytes, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    int ndigits = (uint16_t)wire_get16(&in);
    struct num n = {.ndigits = ndigits, .weight = wire_get16(&in)};
    n.sign = (uint16_t)wire_get16(&in);
    n.dscale = (uint16_t)wire_get16(&in);
    if (in.failed || wire_left(&in) != (size_t)ndigits * 2)
        return ox_fail(
            err, OX_INVALID_BINARY_REPRESENTATION, "invalid length in external \"numeric\" value");
    if (n.sign != NUM_POS && n.sign != NUM_NEG && !num_special(&n))
        return ox_fail(
            err, OX_INVALID_BINARY_REPRESENTATION, "invalid sign in external \"numeric\" value");
    if (num_special(&n) && n.sign != NUM_NAN && n.sign != NUM_PINF && n.sign != NUM_NINF)
        return ox_fail(
            err, OX_INVALID_BINARY_REPRESENTATION, "invalid sign in external \"numeric\" value");
    if (n.dscale > NUM_DSCALE_MAX)
        return ox_fail(
            err, OX_INVALID_BINARY_REPRESENTATION, "invalid scale in external \"numeric\" value");
    int16_t *digits = ox_arena_alloc(arena, (size_t)ndigits * 2 + 2);
    for (int i = 0; i < ndigits; i++) {
        digits[i] = wire_get16(&in);
        if (digits[i] < 0 || digits[i] >= NUM_BASE)
            return ox_fail(err, OX_INVALID_BINARY_REPRESENTATION,
                "invalid digit in external \"numeric\" value");
    }
    n.digits = digits;
    if (!num_special(&n))
        n = digits_trim(digits_round(digits_trim(n), n.dscale, true, arena));
    return num_finish(n, arena, out, err);
}

void
numeric_to_wire(struct str num, struct text *to)
{
    struct num n = num_load(num);
    struct wire_out out = wire_out(to);
    wire_put16(&out, (int16_t)n.ndigits);
    wire_put16(&out, (int16_t)n.weight);
    wire_put16(&out, (int16_t)n.sign);
    /* PostgreSQL leaves a bit of its own form of infinity where the scale is. */
    bool infinite = n.sign == NUM_PINF || n.sign == NUM_NINF;
    wire_put16(&out, infinite ? 0x20 : (int16_t)n.dscale);
    for (int i = 0; i < n.ndigits; i++)
        wire_put16(&out, n.digits[i]);
}
