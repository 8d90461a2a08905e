/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic on digits: what schoolbooks do, in base 10000, on values that are
 * neither NaN nor infinite. Results lie in the arena and may have zero digits at
 * either end where a function does not say that it trims; packing drops them. */
#include "base/stop.h"
#include "row/numeric_int.h"

static const int32_t tens[] = {1, 10, 100, 1000, 10000};

struct num
digits_trim(struct num n)
{
    while (n.ndigits > 0 && n.digits[0] == 0)
        n.digits++, n.ndigits--, n.weight--;
    while (n.ndigits > 0 && n.digits[n.ndigits - 1] == 0)
        n.ndigits--;
    if (n.ndigits == 0)
        n.weight = 0, n.sign = NUM_POS;
    return n;
}

struct num
digits_round(struct num n, int scale, bool truncate, struct arena *arena)
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
    int groups = (int)((keep + 3) / 4), part = (int)(keep % 4);
    int16_t *to = ox_arena_alloc0(arena, (size_t)(groups + 1) * 2);
    memcpy(to + 1, n.digits, (size_t)groups * 2);
    /* to[0] takes a carry out of the first group; more: what is added to the last one. */
    int more = 0;
    if (part == 0) {
        more = !truncate && n.digits[groups] >= NUM_BASE / 2;
    } else {
        int unit = tens[4 - part], rest = to[groups] % unit;
        to[groups] = (int16_t)(to[groups] - rest);
        more = !truncate && rest >= unit / 2 ? unit : 0;
    }
    for (int i = groups; more > 0; i--) {
        int v = to[i] + more;
        more = v >= NUM_BASE;
        to[i] = (int16_t)(v - (more ? NUM_BASE : 0));
    }
    return (struct num){groups + 1, n.weight + 1, n.sign, dscale, to};
}

int
digits_compare_abs(const struct num *a, const struct num *b)
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

struct num
digits_add(struct num a, struct num b, struct arena *arena)
{
    int dscale = OX_MAX(a.dscale, b.dscale);
    struct num r;
    if (a.sign == b.sign) {
        r = num_combine_abs(a, b, false, arena);
        r.sign = a.sign;
    } else if (digits_compare_abs(&a, &b) >= 0) {
        r = num_combine_abs(a, b, true, arena);
        r.sign = a.sign;
    } else {
        r = num_combine_abs(b, a, true, arena);
        r.sign = b.sign;
    }
    r = digits_trim(r);
    r.dscale = dscale;
    return r;
}

struct num
digits_neg(struct num a)
{
    a.sign = a.sign == NUM_NEG ? NUM_POS : NUM_NEG;
    return a;
}

struct num
digits_sub(struct num a, struct num b, struct arena *arena)
{
    return digits_add(a, digits_neg(b), arena);
}

struct num
digits_mul(struct num a, struct num b, int rscale, struct arena *arena)
{
    if (a.ndigits == 0 || b.ndigits == 0)
        return (struct num){.dscale = rscale};
    int count = a.ndigits + b.ndigits;
    uint64_t *acc = ox_arena_alloc0(arena, (size_t)count * 8);
    for (int i = 0; i < a.ndigits; i++) {
        uint64_t d = (uint64_t)a.digits[i];
        if (ox_stopped((uint32_t)b.ndigits))
            return (struct num){.dscale = rscale};
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
    struct num r = digits_trim(
        (struct num){count, a.weight + b.weight + 1, a.sign == b.sign ? NUM_POS : NUM_NEG, 0, to});
    return digits_trim(digits_round(r, rscale, false, arena));
}

/* ---- division: Knuth's algorithm D ---- */

/* have groups of a number times d, d being small enough; the carry is returned. */
static int32_t
scale_up(const struct num *n, int have, int d, int32_t *to)
{
    int64_t carry = 0;
    for (int i = have - 1; i >= 0; i--) {
        carry += i < n->ndigits ? (int64_t)n->digits[i] * d : 0;
        to[i] = (int32_t)(carry % NUM_BASE);
        carry /= NUM_BASE;
    }
    return (int32_t)carry;
}

/* One group of the quotient; u, n + 1 groups, becomes what remains of it by v. */
static int16_t
divide_step(int32_t *u, const int32_t *v, int n)
{
    int64_t top = (int64_t)u[0] * NUM_BASE + u[1];
    int64_t guess = top / v[0], rest = top % v[0];
    while (guess >= NUM_BASE || (n > 1 && guess * v[1] > rest * NUM_BASE + u[2])) {
        guess--;
        rest += v[0];
        if (rest >= NUM_BASE)
            break;
    }
    int64_t borrow = 0;
    for (int i = n - 1; i >= 0; i--) {
        int64_t t = u[i + 1] - guess * v[i] - borrow;
        borrow = t < 0 ? (-t + NUM_BASE - 1) / NUM_BASE : 0;
        u[i + 1] = (int32_t)(t + borrow * NUM_BASE);
    }
    u[0] -= (int32_t)borrow;
    if (u[0] < 0) { /* one too many */
        guess--;
        int32_t carry = 0;
        for (int i = n - 1; i >= 0; i--) {
            int32_t t = u[i + 1] + v[i] + carry;
            carry = t >= NUM_BASE;
            u[i + 1] = t - (carry ? NUM_BASE : 0);
        }
        u[0] += carry;
    }
    return (int16_t)guess;
}

struct num
digits_div(struct num a, struct num b, int rscale, bool truncate, struct arena *arena)
{
    if (a.ndigits == 0 || b.ndigits == 0) /* zero divides only what was stopped */
        return (struct num){.dscale = OX_MAX(rscale, 0)};
    int sign = a.sign == b.sign ? NUM_POS : NUM_NEG;
    /* Groups of the quotient: from its weight down to what rscale needs, plus one. */
    int weight = a.weight - b.weight;
    int groups = OX_MAX(weight + 1 + (rscale + 3) / 4 + 1, 1);
    /* Both are scaled so that the divisor's first group is large. */
    int n = b.ndigits, d = NUM_BASE / (b.digits[0] + 1);
    int32_t *u = ox_arena_alloc0(arena, (size_t)(n + groups + 1) * 4);
    int32_t *v = ox_arena_alloc(arena, (size_t)(n + 1) * 4);
    scale_up(&b, n, d, v);
    u[0] = scale_up(&a, n + groups - 1, d, u + 1);
    int16_t *q = ox_arena_alloc0(arena, (size_t)(groups + 1) * 2);
    for (int j = 0; j < groups && !ox_stopped((uint32_t)n * 4); j++)
        q[j] = divide_step(u + j, v, n);
    struct num r = digits_trim((struct num){groups, weight, sign, 0, q});
    return digits_trim(digits_round(r, rscale, truncate, arena));
}

int
digits_div_scale(const struct num *a, const struct num *b)
{
    int wa = a->ndigits ? a->weight : 0, fa = a->ndigits ? a->digits[0] : 0;
    int wb = b->ndigits ? b->weight : 0, fb = b->ndigits ? b->digits[0] : 0;
    int qw = wa - wb - (fa <= fb);
    int rscale = NUM_MIN_SIG - qw * 4;
    rscale = OX_MAX(rscale, OX_MAX(a->dscale, b->dscale));
    return OX_MIN(OX_MAX(rscale, 0), NUM_SCALE_MAX);
}
