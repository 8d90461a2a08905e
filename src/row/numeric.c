/* SPDX-License-Identifier: Apache-2.0
 *
 * Decimal arithmetic. Packed values are read into struct num (which borrows the
 * digits), computed on as arrays of base-10000 digits in the arena, and packed
 * again. Transcendental functions compute with guard digits and round once. */
#include "row/row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

struct num_head {
    int16_t ndigits, weight;
    uint16_t sign, dscale;
};

static const int32_t num_pow10[] = {1, 10, 100, 1000, 10000};

static struct num
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

/* Pack, dropping zero digits at both ends. */
static struct str
num_pack(struct num n, struct arena *arena)
{
    if (num_special(&n))
        n.ndigits = n.weight = n.dscale = 0;
    while (n.ndigits > 0 && n.digits[0] == 0) {
        n.digits++;
        n.ndigits--;
        n.weight--;
    }
    while (n.ndigits > 0 && n.digits[n.ndigits - 1] == 0)
        n.ndigits--;
    if (n.ndigits == 0) {
        n.weight = 0;
        if (!num_special(&n))
            n.sign = NUM_POS;
    }
    struct num_head head = {
        (int16_t)n.ndigits, (int16_t)n.weight, (uint16_t)n.sign, (uint16_t)n.dscale};
    size_t len = sizeof(head) + (size_t)n.ndigits * 2;
    char *to = ox_arena_alloc(arena, len);
    memcpy(to, &head, sizeof(head));
    if (n.ndigits > 0)
        memcpy(to + sizeof(head), n.digits, (size_t)n.ndigits * 2);
    return ox_str_n(to, len);
}

static struct str
num_pack_special(int sign, struct arena *arena)
{
    return num_pack((struct num){.sign = sign}, arena);
}

static ox_code
num_overflow(struct ox_err *err)
{
    return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
}

static ox_code
num_finish(struct num n, struct arena *arena, struct str *out, struct ox_err *err)
{
    while (n.ndigits > 0 && n.digits[0] == 0) {
        n.digits++;
        n.ndigits--;
        n.weight--;
    }
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

ox_code
numeric_in(
    struct str text, int32_t typmod, struct arena *arena, struct str *out, struct ox_err *err)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end && is_space(*at))
        at++;
    while (end > at && is_space(end[-1]))
        end--;
    int sign = NUM_POS;
    const char *start = at;
    if (at < end && (*at == '-' || *at == '+')) {
        sign = *at == '-' ? NUM_NEG : NUM_POS;
        at++;
    }
    if (at < end && *at != '.' && (*at < '0' || *at > '9')) {
        int special = 0;
        if (word_is(start, end, "nan"))
            special = NUM_NAN;
        else if (word_is(at, end, "infinity") || word_is(at, end, "inf"))
            special = sign == NUM_NEG ? NUM_NINF : NUM_PINF;
        if (special == 0)
            return num_bad(text, err);
        return numeric_apply_typmod(num_pack_special(special, arena), typmod, arena, out, err);
    }
    const char *digits = at;
    int before = 0, after = 0;
    while (at < end && *at >= '0' && *at <= '9')
        at++, before++;
    const char *fraction = at;
    if (at < end && *at == '.') {
        fraction = ++at;
        while (at < end && *at >= '0' && *at <= '9')
            at++, after++;
    }
    if (before + after == 0)
        return num_bad(text, err);
    long exponent = 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool minus = false;
        if (at < end && (*at == '-' || *at == '+'))
            minus = *at++ == '-';
        if (at == end)
            return num_bad(text, err);
        while (at < end && *at >= '0' && *at <= '9') {
            if (exponent < 100000000)
                exponent = exponent * 10 + (*at - '0');
            at++;
        }
        if (minus)
            exponent = -exponent;
    }
    if (at != end)
        return num_bad(text, err);
    if (exponent >= 1073741823 || exponent > 300000 || exponent < -300000)
        return num_overflow(err);
    int dscale = after - (int)exponent;
    if (dscale < 0)
        dscale = 0;
    /* The position of the decimal point, in decimal digits from the first digit. */
    long point = before + exponent;
    long total = before + after;
    int weight = (int)(point > 0 ? (point - 1) / 4 : -((-point) / 4) - 1);
    /* Leading padding so that the first group is aligned with the point. */
    long pad = (long)(weight + 1) * 4 - point;
    long groups = (total + pad + 3) / 4;
    int16_t *to = ox_arena_alloc0(arena, (size_t)groups * 2 + 2);
    for (long i = 0; i < total; i++) {
        char c = i < before ? digits[i] : fraction[i - before];
        long k = i + pad;
        to[k / 4] = (int16_t)(to[k / 4] + (c - '0') * num_pow10[3 - k % 4]);
    }
    struct str packed;
    struct num n = {(int)groups, weight, sign, dscale, to};
    if (dscale > NUM_DSCALE_MAX)
        return num_overflow(err);
    if (num_finish(n, arena, &packed, err) != OX_OK)
        return err ? err->code : OX_NUMERIC_VALUE_OUT_OF_RANGE;
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

/* n to scale decimals (may be negative), in a fresh array. */
static struct num
num_round_to(struct num n, int scale, bool truncate, struct arena *arena)
{
    if (num_special(&n))
        return n;
    int dscale = scale > 0 ? scale : 0;
    /* Decimal digits kept, from the first stored group. */
    long keep = (long)(n.weight + 1) * 4 + scale;
    if (keep < 0 || (keep == 0 && truncate))
        return (struct num){.dscale = dscale};
    if (keep >= (long)n.ndigits * 4) {
        n.dscale = dscale;
        return n;
    }
    int groups = (int)((keep + 3) / 4);
    int16_t *to = ox_arena_alloc0(arena, (size_t)(groups + 1) * 2);
    memcpy(to + 1, n.digits, (size_t)groups * 2);
    int part = (int)(keep % 4), carry = 0;
    int16_t *d = to + 1;
    if (part == 0) {
        carry = !truncate && n.digits[groups] >= NUM_BASE / 2;
    } else {
        int unit = num_pow10[4 - part], rest = d[groups - 1] % unit;
        d[groups - 1] = (int16_t)(d[groups - 1] - rest);
        if (!truncate && rest >= unit / 2) {
            int v = d[groups - 1] + unit;
            carry = v >= NUM_BASE;
            d[groups - 1] = (int16_t)(carry ? v - NUM_BASE : v);
            groups--;
            for (int i = groups - 1; carry && i >= -1; i--) {
                v = d[i] + 1;
                carry = v >= NUM_BASE;
                d[i] = (int16_t)(carry ? 0 : v);
            }
            return (struct num){groups + 2, n.weight + 1, n.sign, dscale, to};
        }
    }
    for (int i = groups - 1; carry && i >= -1; i--) {
        int v = d[i] + 1;
        carry = v >= NUM_BASE;
        d[i] = (int16_t)(carry ? 0 : v);
    }
    return (struct num){groups + 1, n.weight + 1, n.sign, dscale, to};
}

struct str
numeric_round(struct str a, int scale, struct arena *arena)
{
    scale = OX_MAX(OX_MIN(scale, 2000), -2000);
    return num_pack(num_round_to(num_load(a), scale, false, arena), arena);
}

struct str
numeric_trunc(struct str a, int scale, struct arena *arena)
{
    scale = OX_MAX(OX_MIN(scale, 2000), -2000);
    return num_pack(num_round_to(num_load(a), scale, true, arena), arena);
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
    struct str rounded = num_pack(num_round_to(n, scale, false, arena), arena);
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

/* ---- magnitudes ----------------------------------------------------------------- */

static int
num_compare_abs(const struct num *a, const struct num *b)
{
    if (a->ndigits == 0 || b->ndigits == 0)
        return a->ndigits == b->ndigits ? 0 : a->ndigits ? 1 : -1;
    if (a->weight != b->weight)
        return a->weight < b->weight ? -1 : 1;
    int n = OX_MIN(a->ndigits, b->ndigits);
    for (int i = 0; i < n; i++)
        if (a->digits[i] != b->digits[i])
            return a->digits[i] < b->digits[i] ? -1 : 1;
    return a->ndigits == b->ndigits ? 0 : a->ndigits < b->ndigits ? -1 : 1;
}

static struct num
num_trim(struct num n)
{
    while (n.ndigits > 0 && n.digits[0] == 0)
        n.digits++, n.ndigits--, n.weight--;
    while (n.ndigits > 0 && n.digits[n.ndigits - 1] == 0)
        n.ndigits--;
    if (n.ndigits == 0)
        n.weight = 0, n.sign = NUM_POS;
    return n;
}

/* |a| + |b| or |a| - |b| (|a| >= |b|). */
static struct num
num_combine_abs(struct num a, struct num b, bool subtract, struct arena *arena)
{
    int weight = OX_MAX(a.weight, b.weight) + 1;
    int low = OX_MIN(a.weight - a.ndigits, b.weight - b.ndigits) + 1;
    if (a.ndigits == 0)
        low = b.weight - b.ndigits + 1, weight = b.weight + 1;
    if (b.ndigits == 0)
        low = a.weight - a.ndigits + 1, weight = a.weight + 1;
    int count = weight - low + 1;
    int16_t *to = ox_arena_alloc(arena, (size_t)OX_MAX(count, 1) * 2);
    int carry = 0;
    for (int w = low, i = count - 1; i >= 0; w++, i--) {
        int ia = a.weight - w, ib = b.weight - w;
        int da = ia >= 0 && ia < a.ndigits ? a.digits[ia] : 0;
        int db = ib >= 0 && ib < b.ndigits ? b.digits[ib] : 0;
        int v = subtract ? da - db - carry : da + db + carry;
        if (subtract) {
            carry = v < 0;
            v += carry ? NUM_BASE : 0;
        } else {
            carry = v >= NUM_BASE;
            v -= carry ? NUM_BASE : 0;
        }
        to[i] = (int16_t)v;
    }
    return (struct num){count, weight, NUM_POS, 0, to};
}

static struct num
num_add(struct num a, struct num b, struct arena *arena)
{
    int dscale = OX_MAX(a.dscale, b.dscale);
    struct num r;
    if (a.sign == b.sign) {
        r = num_combine_abs(a, b, false, arena);
        r.sign = a.sign;
    } else if (num_compare_abs(&a, &b) >= 0) {
        r = num_combine_abs(a, b, true, arena);
        r.sign = a.sign;
    } else {
        r = num_combine_abs(b, a, true, arena);
        r.sign = b.sign;
    }
    r = num_trim(r);
    r.dscale = dscale;
    return r;
}

static struct num
num_neg(struct num a)
{
    a.sign = a.sign == NUM_NEG ? NUM_POS : NUM_NEG;
    return a;
}

static struct num
num_sub(struct num a, struct num b, struct arena *arena)
{
    return num_add(a, num_neg(b), arena);
}

/* The exact product, rounded to rscale decimals when that is less. */
static struct num
num_mul(struct num a, struct num b, int rscale, struct arena *arena)
{
    if (a.ndigits == 0 || b.ndigits == 0)
        return (struct num){.dscale = rscale};
    int count = a.ndigits + b.ndigits;
    uint64_t *acc = ox_arena_alloc0(arena, (size_t)count * 8);
    for (int i = 0; i < a.ndigits; i++) {
        uint64_t d = (uint64_t)a.digits[i];
        if (d == 0)
            continue;
        for (int j = 0; j < b.ndigits; j++)
            acc[i + j + 1] += d * (uint64_t)b.digits[j];
    }
    int16_t *to = ox_arena_alloc(arena, (size_t)count * 2);
    uint64_t carry = 0;
    for (int i = count - 1; i >= 0; i--) {
        carry += acc[i];
        to[i] = (int16_t)(carry % NUM_BASE);
        carry /= NUM_BASE;
    }
    struct num r = num_trim(
        (struct num){count, a.weight + b.weight + 1, a.sign == b.sign ? NUM_POS : NUM_NEG, 0, to});
    return num_trim(num_round_to(r, rscale, false, arena));
}

/* a / b to rscale decimals (may be beyond what is displayed), rounded or cut. */
static struct num
num_div(struct num a, struct num b, int rscale, bool truncate, struct arena *arena)
{
    if (a.ndigits == 0)
        return (struct num){.dscale = OX_MAX(rscale, 0)};
    int sign = a.sign == b.sign ? NUM_POS : NUM_NEG;
    /* Quotient groups: from weight qw down to what rscale needs, plus one. */
    int qw = a.weight - b.weight;
    int groups = qw + 1 + (rscale + 3) / 4 + 1;
    if (groups < 1)
        groups = 1;
    /* Knuth D: u has groups + n digits (plus a leading zero), v has n. */
    int n = b.ndigits, m = groups;
    int32_t *u = ox_arena_alloc0(arena, (size_t)(n + m + 1) * 4);
    int32_t *v = ox_arena_alloc(arena, (size_t)(n + 1) * 4);
    int d = NUM_BASE / (b.digits[0] + 1);
    int64_t carry = 0;
    for (int i = n - 1; i >= 0; i--) {
        carry += (int64_t)b.digits[i] * d;
        v[i] = (int32_t)(carry % NUM_BASE);
        carry /= NUM_BASE;
    }
    /* The dividend: a's digits at u[1..], as many as needed: n + m - 1 groups. */
    carry = 0;
    int have = n + m - 1;
    for (int i = have - 1; i >= 0; i--) {
        carry += i < a.ndigits ? (int64_t)a.digits[i] * d : 0;
        u[i + 1] = (int32_t)(carry % NUM_BASE);
        carry /= NUM_BASE;
    }
    u[0] = (int32_t)carry;
    int16_t *q = ox_arena_alloc0(arena, (size_t)(m + 1) * 2);
    for (int j = 0; j < m; j++) {
        int64_t top = (int64_t)u[j] * NUM_BASE + u[j + 1];
        int64_t qhat = top / v[0], rhat = top % v[0];
        while (qhat >= NUM_BASE || (n > 1 && qhat * v[1] > rhat * NUM_BASE + u[j + 2])) {
            qhat--;
            rhat += v[0];
            if (rhat >= NUM_BASE)
                break;
        }
        int64_t borrow = 0;
        for (int i = n - 1; i >= 0; i--) {
            int64_t t = u[j + i + 1] - qhat * v[i] - borrow;
            borrow = t < 0 ? (-t + NUM_BASE - 1) / NUM_BASE : 0;
            u[j + i + 1] = (int32_t)(t + borrow * NUM_BASE);
        }
        u[j] -= (int32_t)borrow;
        if (u[j] < 0) {
            qhat--;
            int32_t c = 0;
            for (int i = n - 1; i >= 0; i--) {
                int32_t t = u[j + i + 1] + v[i] + c;
                c = t >= NUM_BASE;
                u[j + i + 1] = t - (c ? NUM_BASE : 0);
            }
            u[j] += c;
        }
        q[j] = (int16_t)qhat;
    }
    struct num r = num_trim((struct num){m, qw, sign, 0, q});
    return num_trim(num_round_to(r, rscale, truncate, arena));
}

static int
num_div_scale(const struct num *a, const struct num *b)
{
    int wa = a->ndigits ? a->weight : 0, fa = a->ndigits ? a->digits[0] : 0;
    int wb = b->ndigits ? b->weight : 0, fb = b->ndigits ? b->digits[0] : 0;
    int qw = wa - wb - (fa <= fb);
    int rscale = NUM_MIN_SIG - qw * 4;
    rscale = OX_MAX(rscale, OX_MAX(a->dscale, b->dscale));
    return OX_MIN(OX_MAX(rscale, 0), NUM_SCALE_MAX);
}

/* ---- arithmetic on packed values ---------------------------------------------------- */

static inline int
inf_sign(const struct num *n)
{
    return n->sign == NUM_PINF ? 1 : n->sign == NUM_NINF ? -1 : 0;
}

static inline int
sign_of(const struct num *n)
{
    if (num_special(n))
        return inf_sign(n);
    return n->ndigits == 0 ? 0 : n->sign == NUM_NEG ? -1 : 1;
}

static struct str
inf_pack(int sign, struct arena *arena)
{
    return num_pack_special(sign > 0 ? NUM_PINF : sign < 0 ? NUM_NINF : NUM_NAN, arena);
}

static inline bool
either_nan(const struct num *a, const struct num *b)
{
    return a->sign == NUM_NAN || b->sign == NUM_NAN;
}

ox_code
numeric_add(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (num_special(&x) || num_special(&y)) {
        int sx = inf_sign(&x), sy = inf_sign(&y);
        *out = either_nan(&x, &y) || sx * sy < 0 ? inf_pack(0, arena) : inf_pack(sx + sy, arena);
        return OX_OK;
    }
    return num_finish(num_add(x, y, arena), arena, out, err);
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
        *out = either_nan(&x, &y) ? inf_pack(0, arena) : inf_pack(sign_of(&x) * sign_of(&y), arena);
        return OX_OK;
    }
    int rscale = OX_MIN(x.dscale + y.dscale, NUM_DSCALE_MAX);
    return num_finish(num_mul(x, y, rscale, arena), arena, out, err);
}

static ox_code
div_special(const struct num *x, const struct num *y, struct arena *arena, struct str *out)
{
    if (either_nan(x, y) || (inf_sign(x) && inf_sign(y)))
        *out = inf_pack(0, arena);
    else if (inf_sign(x))
        *out = inf_pack(inf_sign(x) * sign_of(y), arena);
    else
        *out = num_pack((struct num){0}, arena);
    return OX_OK;
}

ox_code
numeric_div(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (!either_nan(&x, &y) && sign_of(&y) == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    if (num_special(&x) || num_special(&y))
        return div_special(&x, &y, arena, out);
    return num_finish(num_div(x, y, num_div_scale(&x, &y), false, arena), arena, out, err);
}

ox_code
numeric_div_trunc(
    struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (!either_nan(&x, &y) && sign_of(&y) == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    if (num_special(&x) || num_special(&y))
        return div_special(&x, &y, arena, out);
    return num_finish(num_div(x, y, 0, true, arena), arena, out, err);
}

ox_code
numeric_mod(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (!either_nan(&x, &y) && sign_of(&y) == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    if (num_special(&x) || num_special(&y)) {
        *out = either_nan(&x, &y) || num_special(&x) ? inf_pack(0, arena) : a;
        return OX_OK;
    }
    struct num q = num_div(x, y, 0, true, arena);
    struct num r = num_sub(x, num_mul(y, q, y.dscale, arena), arena);
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
        return inf_pack(-inf_sign(&n), arena);
    return num_pack(num_neg(n), arena);
}

struct str
numeric_abs(struct str a, struct arena *arena)
{
    struct num n = num_load(a);
    return sign_of(&n) < 0 ? numeric_negate(a, arena) : a;
}

static struct str
num_to_whole(struct str a, int direction, struct arena *arena)
{
    struct num n = num_load(a);
    if (num_special(&n))
        return a;
    struct num t = num_trim(num_round_to(n, 0, true, arena));
    struct num rest = num_sub(n, t, arena);
    if (sign_of(&rest) == direction) {
        static const int16_t one = 1;
        t = num_add(t, (struct num){1, 0, direction > 0 ? NUM_POS : NUM_NEG, 0, &one}, arena);
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
        return num_pack_special(NUM_NAN, arena);
    if (isinf(value))
        return inf_pack(value > 0 ? 1 : -1, arena);
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
    char stack[256];
    struct text text;
    ox_text_init(&text, NULL);
    numeric_out(num, &text);
    char *at = text.len < sizeof(stack) ? memcpy(stack, text.ptr, text.len + 1) : text.ptr;
    double v = strtod(at, NULL);
    ox_text_fini(&text);
    return v;
}

int
numeric_compare(struct str a, struct str b)
{
    struct num x = num_load(a), y = num_load(b);
    if (num_special(&x) || num_special(&y)) {
        /* NaN above Infinity above numbers above -Infinity */
        int rx = x.sign == NUM_NAN ? 2 : inf_sign(&x), ry = y.sign == NUM_NAN ? 2 : inf_sign(&y);
        return rx < ry ? -1 : rx > ry;
    }
    int sx = sign_of(&x), sy = sign_of(&y);
    if (sx != sy)
        return sx < sy ? -1 : 1;
    return sx * num_compare_abs(&x, &y);
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
    return sign_of(&n);
}

int
numeric_scale(struct str num)
{
    struct num n = num_load(num);
    return num_special(&n) ? -1 : n.dscale;
}

/* ---- roots, logarithms, powers -------------------------------------------------------- */

static struct num
num_small(int value, struct arena *arena)
{
    int16_t *d = ox_arena_alloc(arena, 2);
    *d = (int16_t)(value < 0 ? -value : value);
    return num_trim((struct num){1, 0, value < 0 ? NUM_NEG : NUM_POS, 0, d});
}

static int
clamp_scale(int scale)
{
    return OX_MIN(OX_MAX(scale, 0), NUM_SCALE_MAX);
}

static double
num_to_double(struct num n, struct arena *arena)
{
    n.dscale = OX_MAX(0, (n.ndigits - n.weight - 1) * 4);
    return numeric_to_f64(num_pack(n, arena));
}

/* Newton's iteration on x = (x + a/x)/2 with precision doubling from a double. */
static struct num
num_sqrt(struct num a, int rscale, struct arena *arena)
{
    if (a.ndigits == 0)
        return (struct num){.dscale = rscale};
    int work = rscale + 4;
    /* a = m * 10000^(2k): start from sqrt(m) */
    int k = a.weight >= 0 ? a.weight / 2 : -((-a.weight + 1) / 2);
    struct num m = a;
    m.weight -= 2 * k;
    double d = sqrt(num_to_double(m, arena));
    struct num x = num_load(numeric_from_f64(d, 15, arena));
    x.weight += k;
    struct num half = {1, -1, NUM_POS, 0, (const int16_t[]){5000}};
    for (int i = 0; i < 40; i++) {
        struct num next =
            num_mul(num_add(x, num_div(a, x, work, false, arena), arena), half, work, arena);
        struct num delta = num_sub(next, x, arena);
        x = next;
        if (delta.ndigits == 0 || delta.weight * 4 < -work + 4)
            break;
    }
    return num_trim(num_round_to(x, rscale, false, arena));
}

ox_code
numeric_sqrt(struct str a, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num n = num_load(a);
    if (sign_of(&n) < 0)
        return ox_fail(
            err, OX_INVALID_ARGUMENT_FOR_POWER, "cannot take square root of a negative number");
    *out = a;
    if (num_special(&n))
        return OX_OK;
    int sweight = (n.weight + 1) * 4 / 2 - 1;
    int rscale = clamp_scale(OX_MAX(NUM_MIN_SIG - sweight, n.dscale));
    return num_finish(num_sqrt(n, rscale, arena), arena, out, err);
}

/* e^a by halving the argument and the Taylor series. */
static ox_code
num_exp(struct num a, int rscale, struct arena *arena, struct num *out, struct ox_err *err)
{
    double val = num_to_double(a, arena);
    if (fabs(val) >= 6000) {
        if (val > 0)
            return num_overflow(err);
        *out = (struct num){.dscale = rscale};
        return OX_OK;
    }
    int dweight = (int)(val * 0.434294481903252);
    int halvings = 0;
    double v = fabs(val);
    while (v > 0.01) {
        v /= 2;
        halvings++;
    }
    int work = OX_MAX(rscale + OX_MAX(dweight, 0) + halvings + 12, 12);
    struct num x = a, half = {1, -1, NUM_POS, 0, (const int16_t[]){5000}};
    for (int i = 0; i < halvings; i++)
        x = num_mul(x, half, work + 8, arena);
    struct num sum = num_add(num_small(1, arena), x, arena), term = x;
    for (int i = 2; i < 10000 && term.ndigits > 0; i++) {
        term = num_div(num_mul(term, x, work, arena), num_small(i, arena), work, false, arena);
        sum = num_add(sum, term, arena);
    }
    for (int i = 0; i < halvings; i++) {
        sum = num_mul(sum, sum, work, arena);
    }
    *out = num_trim(num_round_to(sum, rscale, false, arena));
    out->dscale = rscale;
    return OX_OK;
}

/* ln(a) for a > 0: roots until near 1, then 2 * atanh((a-1)/(a+1)). */
static struct num
num_ln(struct num a, int rscale, struct arena *arena)
{
    int work = rscale + 16 + OX_MAX(0, OX_MIN(a.weight, 0) * -1);
    struct num x = a;
    int roots = 0;
    struct num low = {1, -1, NUM_POS, 0, (const int16_t[]){9000}};
    struct num high = {2, 0, NUM_POS, 0, (const int16_t[]){1, 1000}};
    while (num_compare_abs(&x, &low) < 0 || num_compare_abs(&x, &high) > 0) {
        int extra = x.weight < 0 ? -x.weight * 4 : 0;
        x = num_sqrt(x, work + roots / 2 + extra, arena);
        roots++;
    }
    int scale = work + roots / 3 + 4;
    struct num one = num_small(1, arena);
    struct num z = num_div(num_sub(x, one, arena), num_add(x, one, arena), scale, false, arena);
    struct num zz = num_mul(z, z, scale, arena), power = z, sum = z;
    for (int i = 3; i < 100000 && power.ndigits > 0; i += 2) {
        power = num_mul(power, zz, scale, arena);
        struct num divisor = i < 10000 ? num_small(i, arena) : num_load(numeric_from_i64(i, arena));
        sum = num_add(sum, num_div(power, divisor, scale, false, arena), arena);
    }
    for (int i = 0; i <= roots; i++)
        sum = num_add(sum, sum, arena);
    sum = num_trim(num_round_to(sum, rscale, false, arena));
    sum.dscale = rscale;
    return sum;
}

static int
ln_dweight(struct num n, struct arena *arena)
{
    if (n.ndigits == 0 || n.sign == NUM_NEG)
        return 0;
    struct num low = {1, -1, NUM_POS, 0, (const int16_t[]){9000}};
    struct num high = {2, 0, NUM_POS, 0, (const int16_t[]){1, 1000}};
    if (num_compare_abs(&n, &low) >= 0 && num_compare_abs(&n, &high) <= 0) {
        struct num x = num_sub(n, num_small(1, arena), arena);
        return x.ndigits > 0 ? x.weight * 4 + (int)log10(x.digits[0]) : 0;
    }
    int digits = n.digits[0], weight = n.weight * 4;
    if (n.ndigits > 1) {
        digits = digits * NUM_BASE + n.digits[1];
        weight -= 4;
    }
    double ln = log((double)digits) + weight * 2.302585092994046;
    return (int)log10(fabs(ln));
}

static ox_code
log_argument(const struct num *n, struct ox_err *err)
{
    int sign = sign_of(n);
    if (n->sign == NUM_NAN || sign > 0)
        return OX_OK;
    return sign == 0
               ? ox_fail(err, OX_INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero")
               : ox_fail(err, OX_INVALID_ARGUMENT_FOR_LOGARITHM,
                     "cannot take logarithm of a negative number");
}

ox_code
numeric_exp(struct str a, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num n = num_load(a), r;
    if (num_special(&n)) {
        *out = n.sign == NUM_NINF ? num_pack((struct num){0}, arena) : a;
        return OX_OK;
    }
    double val = num_to_double(n, arena) * 0.434294481903252;
    val = fmin(fmax(val, -2000), 2000);
    int rscale = clamp_scale(OX_MAX(NUM_MIN_SIG - (int)val, n.dscale));
    ox_code code = num_exp(n, rscale, arena, &r, err);
    return code != OX_OK ? code : num_finish(r, arena, out, err);
}

ox_code
numeric_ln(struct str a, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num n = num_load(a);
    ox_code code = log_argument(&n, err);
    *out = a;
    if (code != OX_OK || num_special(&n))
        return code;
    int rscale = clamp_scale(OX_MAX(NUM_MIN_SIG - ln_dweight(n, arena), n.dscale));
    return num_finish(num_ln(n, rscale, arena), arena, out, err);
}

ox_code
numeric_log(struct str base, struct str a, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num b = num_load(base), n = num_load(a);
    ox_code code = log_argument(&b, err);
    if (code == OX_OK)
        code = log_argument(&n, err);
    if (code != OX_OK)
        return code;
    if (num_special(&b) || num_special(&n)) {
        if (either_nan(&b, &n) || (num_special(&b) && num_special(&n)))
            *out = inf_pack(0, arena);
        else
            *out = num_special(&b) ? num_pack((struct num){0}, arena) : inf_pack(1, arena);
        return OX_OK;
    }
    int wb = ln_dweight(b, arena), wn = ln_dweight(n, arena), w = wn - wb;
    int rscale = clamp_scale(OX_MAX(NUM_MIN_SIG - w, OX_MAX(b.dscale, n.dscale)));
    struct num lb = num_ln(b, OX_MAX(rscale + w - wb + 8, 0), arena);
    struct num ln = num_ln(n, OX_MAX(rscale + w - wn + 8, 0), arena);
    if (lb.ndigits == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    return num_finish(num_div(ln, lb, rscale, false, arena), arena, out, err);
}

/* Whole powers by squaring, with as many digits as rscale needs. */
static ox_code
num_power_int(struct num base, int64_t exp, int rscale, struct arena *arena, struct num *out,
    struct ox_err *err)
{
    if (base.ndigits == 0) {
        if (exp < 0)
            return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
        *out = exp == 0 ? num_small(1, arena) : (struct num){0};
        out->dscale = rscale;
        return OX_OK;
    }
    /* An estimate of log10(result) bounds the work. */
    double f = base.digits[0];
    int p = base.weight * 4;
    for (int i = 1; i < base.ndigits && i < 4; i++, p -= 4)
        f = f * NUM_BASE + base.digits[i];
    double weight = ((double)exp) * (log10(f) + p);
    if (weight > 4.0 * 32767 + 4)
        return num_overflow(err);
    if (weight + 1 < -(double)rscale || weight + 1 < -NUM_DSCALE_MAX) {
        *out = (struct num){.dscale = rscale};
        return OX_OK;
    }
    uint64_t e = exp < 0 ? -(uint64_t)exp : (uint64_t)exp;
    int sig = 1 + rscale + (int)weight;
    sig = OX_MAX(sig, 1) + 16 + (int)log((double)(e + 1)) * 2;
    struct num x = base, r = num_small(1, arena);
    bool first = true;
    for (;; e >>= 1) {
        if (e & 1) {
            int scale = first ? x.dscale : OX_MAX(0, sig - 4 * (r.weight + x.weight + 1));
            r = first ? x : num_mul(r, x, OX_MIN(scale, r.dscale + x.dscale + 4 * sig), arena);
            first = false;
        }
        if (e <= 1)
            break;
        int scale = OX_MAX(0, sig - 2 * 4 * x.weight);
        x = num_mul(x, x, scale, arena);
        if (r.weight > 32767 || x.weight > 40000)
            return num_overflow(err);
    }
    if (exp == 0)
        r = num_small(1, arena);
    if (exp < 0)
        r = num_div(num_small(1, arena), r, rscale, false, arena);
    *out = num_trim(num_round_to(r, rscale, false, arena));
    out->dscale = rscale;
    return OX_OK;
}

static ox_code
power_special(struct str a, struct str b, struct num x, struct num y, struct arena *arena,
    struct str *out, struct ox_err *err)
{
    static const int16_t one_digit = 1;
    struct num one = {1, 0, NUM_POS, 0, &one_digit};
    if (x.sign == NUM_NAN || y.sign == NUM_NAN) {
        bool is_one = (x.sign != NUM_NAN && num_compare_abs(&x, &one) == 0 && x.sign == NUM_POS) ||
                      (y.sign != NUM_NAN && !num_special(&y) && y.ndigits == 0);
        *out = is_one ? num_pack(one, arena) : inf_pack(0, arena);
        return OX_OK;
    }
    bool whole = !num_special(&y) && y.ndigits <= y.weight + 1;
    if (num_special(&y)) {
        if (!num_special(&x) && x.sign == NUM_POS && num_compare_abs(&x, &one) == 0)
            *out = num_pack(one, arena);
        else if (sign_of(&x) == 0 && y.sign == NUM_NINF)
            return ox_fail(
                err, OX_INVALID_ARGUMENT_FOR_POWER, "zero raised to a negative power is undefined");
        else {
            int c = num_special(&x) ? 1 : num_compare_abs(&x, &one);
            if (c == 0)
                *out = num_pack(one, arena);
            else if ((c > 0) == (y.sign == NUM_PINF))
                *out = inf_pack(1, arena);
            else
                *out = num_pack((struct num){0}, arena);
        }
        return OX_OK;
    }
    if (y.ndigits == 0)
        *out = num_pack(one, arena);
    else if (y.sign == NUM_NEG)
        *out = num_pack((struct num){0}, arena);
    else if (x.sign == NUM_PINF)
        *out = a;
    else if (!whole)
        return ox_fail(err, OX_INVALID_ARGUMENT_FOR_POWER,
            "a negative number raised to a non-integer power yields a complex result");
    else
        *out = inf_pack(y.ndigits == y.weight + 1 && (y.digits[y.ndigits - 1] & 1) ? -1 : 1, arena);
    return OX_OK;
}

ox_code
numeric_power(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b), r;
    if (num_special(&x) || num_special(&y))
        return power_special(a, b, x, y, arena, out, err);
    bool whole = y.ndigits <= y.weight + 1;
    if (sign_of(&x) == 0 && sign_of(&y) < 0)
        return ox_fail(
            err, OX_INVALID_ARGUMENT_FOR_POWER, "zero raised to a negative power is undefined");
    if (sign_of(&x) < 0 && !whole)
        return ox_fail(err, OX_INVALID_ARGUMENT_FOR_POWER,
            "a negative number raised to a non-integer power yields a complex result");
    int64_t exp;
    ox_code code;
    if (whole && numeric_to_i64(b, &exp, NULL) == OX_OK && exp >= INT32_MIN && exp <= INT32_MAX) {
        int rscale = clamp_scale(OX_MAX(NUM_MIN_SIG, x.dscale));
        code = num_power_int(x, exp, rscale, arena, &r, err);
        return code != OX_OK ? code : num_finish(r, arena, out, err);
    }
    if (x.ndigits == 0) {
        *out = num_pack((struct num){.dscale = NUM_MIN_SIG}, arena);
        return OX_OK;
    }
    bool odd = y.ndigits == y.weight + 1 && (y.digits[y.ndigits - 1] & 1);
    int sign = x.sign == NUM_NEG && odd ? NUM_NEG : NUM_POS;
    x.sign = NUM_POS;
    int dweight = ln_dweight(x, arena);
    int local = OX_MAX(8 - dweight, 0);
    struct num ln = num_mul(num_ln(x, local, arena), y, local, arena);
    double val = num_to_double(ln, arena);
    if (val > 2000 * 2.302585092994046 * 20)
        return num_overflow(err);
    if (val < -2000 * 2.302585092994046) {
        *out = num_pack((struct num){.dscale = NUM_SCALE_MAX}, arena);
        return OX_OK;
    }
    val *= 0.434294481903252;
    int rscale = clamp_scale(OX_MAX(NUM_MIN_SIG - (int)val, OX_MAX(x.dscale, y.dscale)));
    local = OX_MAX(rscale + (int)val - dweight + 8, 0) + 8;
    ln = num_mul(num_ln(x, local + OX_MAX(0, y.weight * 4 + 4), arena), y, local, arena);
    code = num_exp(ln, rscale, arena, &r, err);
    if (code != OX_OK)
        return code;
    if (r.ndigits > 0)
        r.sign = sign;
    return num_finish(r, arena, out, err);
}

ox_code
numeric_gcd(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b);
    if (num_special(&x) || num_special(&y)) {
        *out = inf_pack(0, arena);
        return OX_OK;
    }
    int dscale = OX_MAX(x.dscale, y.dscale);
    x.sign = y.sign = NUM_POS;
    while (y.ndigits > 0) {
        struct num q = num_div(x, y, 0, true, arena);
        struct num r = num_sub(x, num_mul(y, q, dscale, arena), arena);
        x = y;
        y = r;
    }
    x.sign = NUM_POS;
    x.dscale = dscale;
    return num_finish(x, arena, out, err);
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
        n = num_trim(num_round_to(num_trim(n), n.dscale, true, arena));
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

/* ---- sums ------------------------------------------------------------------------------ */

static void
sum_room(struct num_sum *sum, int high, int low, struct arena *arena)
{
    if (sum->count > 0 && high <= sum->high && low > sum->high - sum->count)
        return;
    int new_high = sum->count > 0 ? OX_MAX(sum->high, high) : high;
    int old_low = sum->high - sum->count + 1;
    int new_low = sum->count > 0 ? OX_MIN(old_low, low) : low;
    new_high += 2;
    int count = new_high - new_low + 1;
    int64_t *cols = ox_arena_alloc0(arena, (size_t)count * 8);
    if (sum->count > 0)
        memcpy(cols + (new_high - sum->high), sum->cols, (size_t)sum->count * 8);
    sum->cols = cols;
    sum->high = new_high;
    sum->count = count;
}

static void
sum_apply(struct num_sum *sum, struct str packed, int direction, struct arena *arena)
{
    struct num n = num_load(packed);
    if (num_special(&n)) {
        uint64_t *which = n.sign == NUM_NAN    ? &sum->nans
                          : n.sign == NUM_PINF ? &sum->pinfs
                                               : &sum->ninfs;
        *which += (uint64_t)(int64_t)direction;
        return;
    }
    sum->dscale = OX_MAX(sum->dscale, n.dscale);
    if (n.ndigits == 0)
        return;
    sum_room(sum, n.weight, n.weight - n.ndigits + 1, arena);
    int64_t *to = sum->cols + (sum->high - n.weight);
    int64_t sign = n.sign == NUM_NEG ? -direction : direction;
    for (int i = 0; i < n.ndigits; i++)
        to[i] += sign * n.digits[i];
}

void
num_sum_add(struct num_sum *sum, struct str num, struct arena *arena)
{
    sum_apply(sum, num, 1, arena);
}

void
num_sum_sub(struct num_sum *sum, struct str num, struct arena *arena)
{
    sum_apply(sum, num, -1, arena);
}

void
num_sum_merge(struct num_sum *into, const struct num_sum *from, struct arena *arena)
{
    into->nans += from->nans;
    into->pinfs += from->pinfs;
    into->ninfs += from->ninfs;
    into->dscale = OX_MAX(into->dscale, from->dscale);
    if (from->count == 0)
        return;
    sum_room(into, from->high, from->high - from->count + 1, arena);
    for (int i = 0; i < from->count; i++)
        into->cols[into->high - from->high + i] += from->cols[i];
}

struct str
num_sum_get(const struct num_sum *sum, struct arena *arena)
{
    if (sum->nans > 0 || (sum->pinfs > 0 && sum->ninfs > 0))
        return inf_pack(0, arena);
    if (sum->pinfs > 0 || sum->ninfs > 0)
        return inf_pack(sum->pinfs > 0 ? 1 : -1, arena);
    enum { SPARE = 6 }; /* carries of int64 columns: up to 19 digits */
    int count = sum->count + SPARE;
    int64_t *v = ox_arena_alloc0(arena, (size_t)count * 8);
    if (sum->count > 0)
        memcpy(v + SPARE, sum->cols, (size_t)sum->count * 8);
    int sign = NUM_POS;
    for (int pass = 0; pass < 2; pass++) {
        int64_t carry = 0;
        for (int i = count - 1; i >= 0; i--) {
            int64_t t = v[i] + carry;
            carry = t / NUM_BASE;
            int64_t d = t % NUM_BASE;
            if (d < 0) {
                d += NUM_BASE;
                carry--;
            }
            v[i] = d;
        }
        if (carry >= 0)
            break;
        /* Negative: the digits are the complement; negate the whole. */
        sign = NUM_NEG;
        v[0] += carry * NUM_BASE;
        for (int i = 0; i < count; i++)
            v[i] = -v[i];
    }
    int16_t *digits = ox_arena_alloc(arena, (size_t)count * 2);
    for (int i = 0; i < count; i++)
        digits[i] = (int16_t)v[i];
    return num_pack((struct num){count, sum->high + SPARE, sign, sum->dscale, digits}, arena);
}
