/* SPDX-License-Identifier: Apache-2.0
 *
 * Roots, logarithms, powers, the greatest common divisor. Each starts from a
 * double or a series, computes with guard digits, and rounds once, to the scale
 * that PostgreSQL gives its result. */
#include "base/stop.h"
#include "row/numeric_int.h"

#include <math.h>

static struct num
num_small(int value, struct arena *arena)
{
    int16_t *d = ox_arena_alloc(arena, 2);
    *d = (int16_t)(value < 0 ? -value : value);
    return digits_trim((struct num){1, 0, value < 0 ? NUM_NEG : NUM_POS, 0, d});
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
    for (int i = 0; i < 40 && !ox_stopped(0); i++) {
        struct num next = digits_add(x, digits_div(a, x, work, false, arena), arena);
        next = digits_mul(next, half, work, arena);
        struct num delta = digits_sub(next, x, arena);
        x = next;
        if (delta.ndigits == 0 || delta.weight * 4 < -work + 4)
            break;
    }
    return digits_trim(digits_round(x, rscale, false, arena));
}

ox_code
numeric_sqrt(struct str a, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num n = num_load(a);
    if (num_sign(&n) < 0)
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
        x = digits_mul(x, half, work + 8, arena);
    struct num sum = digits_add(num_small(1, arena), x, arena), term = x;
    for (int i = 2; i < 10000 && term.ndigits > 0 && !ox_stopped(0); i++) {
        term = digits_mul(term, x, work, arena);
        term = digits_div(term, num_small(i, arena), work, false, arena);
        sum = digits_add(sum, term, arena);
    }
    for (int i = 0; i < halvings; i++) {
        sum = digits_mul(sum, sum, work, arena);
    }
    *out = digits_trim(digits_round(sum, rscale, false, arena));
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
    while ((digits_compare_abs(&x, &low) < 0 || digits_compare_abs(&x, &high) > 0) &&
           !ox_stopped(0)) {
        int extra = x.weight < 0 ? -x.weight * 4 : 0;
        x = num_sqrt(x, work + roots / 2 + extra, arena);
        roots++;
    }
    int scale = work + roots / 3 + 4;
    struct num one = num_small(1, arena);
    struct num above = digits_sub(x, one, arena), below = digits_add(x, one, arena);
    struct num z = digits_div(above, below, scale, false, arena);
    struct num zz = digits_mul(z, z, scale, arena), power = z, sum = z;
    for (int i = 3; i < 100000 && power.ndigits > 0 && !ox_stopped(0); i += 2) {
        power = digits_mul(power, zz, scale, arena);
        struct num divisor = i < 10000 ? num_small(i, arena) : num_load(numeric_from_i64(i, arena));
        sum = digits_add(sum, digits_div(power, divisor, scale, false, arena), arena);
    }
    for (int i = 0; i <= roots; i++)
        sum = digits_add(sum, sum, arena);
    sum = digits_trim(digits_round(sum, rscale, false, arena));
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
    if (digits_compare_abs(&n, &low) >= 0 && digits_compare_abs(&n, &high) <= 0) {
        struct num x = digits_sub(n, num_small(1, arena), arena);
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
    int sign = num_sign(n);
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
        if (num_either_nan(&b, &n) || (num_special(&b) && num_special(&n)))
            *out = num_pack_inf(0, arena);
        else
            *out = num_special(&b) ? num_pack((struct num){0}, arena) : num_pack_inf(1, arena);
        return OX_OK;
    }
    int wb = ln_dweight(b, arena), wn = ln_dweight(n, arena), w = wn - wb;
    int rscale = clamp_scale(OX_MAX(NUM_MIN_SIG - w, OX_MAX(b.dscale, n.dscale)));
    struct num lb = num_ln(b, OX_MAX(rscale + w - wb + 8, 0), arena);
    struct num ln = num_ln(n, OX_MAX(rscale + w - wn + 8, 0), arena);
    if (lb.ndigits == 0)
        return ox_fail_plain(err, OX_DIVISION_BY_ZERO);
    return num_finish(digits_div(ln, lb, rscale, false, arena), arena, out, err);
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
            r = first ? x : digits_mul(r, x, OX_MIN(scale, r.dscale + x.dscale + 4 * sig), arena);
            first = false;
        }
        if (e <= 1 || ox_stopped(0))
            break;
        int scale = OX_MAX(0, sig - 2 * 4 * x.weight);
        x = digits_mul(x, x, scale, arena);
        if (r.weight > 32767 || x.weight > 40000)
            return num_overflow(err);
    }
    if (exp == 0)
        r = num_small(1, arena);
    if (exp < 0)
        r = digits_div(num_small(1, arena), r, rscale, false, arena);
    *out = digits_trim(digits_round(r, rscale, false, arena));
    out->dscale = rscale;
    return OX_OK;
}

static ox_code
power_special(struct str a, struct num x, struct num y, struct arena *arena,
    struct str *out, struct ox_err *err)
{
    static const int16_t one_digit = 1;
    struct num one = {1, 0, NUM_POS, 0, &one_digit};
    if (x.sign == NUM_NAN || y.sign == NUM_NAN) {
        bool is_one = (x.sign == NUM_POS && digits_compare_abs(&x, &one) == 0) ||
                      (y.sign != NUM_NAN && !num_special(&y) && y.ndigits == 0);
        *out = is_one ? num_pack(one, arena) : num_pack_inf(0, arena);
        return OX_OK;
    }
    bool whole = !num_special(&y) && y.ndigits <= y.weight + 1;
    if (num_special(&y)) {
        if (!num_special(&x) && x.sign == NUM_POS && digits_compare_abs(&x, &one) == 0)
            *out = num_pack(one, arena);
        else if (num_sign(&x) == 0 && y.sign == NUM_NINF)
            return ox_fail(
                err, OX_INVALID_ARGUMENT_FOR_POWER, "zero raised to a negative power is undefined");
        else {
            int c = num_special(&x) ? 1 : digits_compare_abs(&x, &one);
            if (c == 0)
                *out = num_pack(one, arena);
            else if ((c > 0) == (y.sign == NUM_PINF))
                *out = num_pack_inf(1, arena);
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
        *out = num_pack_inf(y.ndigits == y.weight + 1 && y.digits[y.ndigits - 1] % 2 ? -1 : 1,
            arena);
    return OX_OK;
}

ox_code
numeric_power(struct str a, struct str b, struct arena *arena, struct str *out, struct ox_err *err)
{
    struct num x = num_load(a), y = num_load(b), r;
    if (num_special(&x) || num_special(&y))
        return power_special(a, x, y, arena, out, err);
    bool whole = y.ndigits <= y.weight + 1;
    if (num_sign(&x) == 0 && num_sign(&y) < 0)
        return ox_fail(
            err, OX_INVALID_ARGUMENT_FOR_POWER, "zero raised to a negative power is undefined");
    if (num_sign(&x) < 0 && !whole)
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
    struct num ln = digits_mul(num_ln(x, local, arena), y, local, arena);
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
    ln = digits_mul(num_ln(x, local + OX_MAX(0, y.weight * 4 + 4), arena), y, local, arena);
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
        *out = num_pack_inf(0, arena);
        return OX_OK;
    }
    int dscale = OX_MAX(x.dscale, y.dscale);
    x.sign = y.sign = NUM_POS;
    while (y.ndigits > 0 && !ox_stopped(0)) {
        struct num q = digits_div(x, y, 0, true, arena);
        struct num r = digits_sub(x, digits_mul(y, q, dscale, arena), arena);
        x = y;
        y = r;
    }
    x.sign = NUM_POS;
    x.dscale = dscale;
    return num_finish(x, arena, out, err);
}
