/* SPDX-License-Identifier: Apache-2.0
 *
 * Running sums: a column of int64 for each base-10000 digit, into which values
 * are added or taken out digit by digit. Carries wait until the sum is asked
 * for: a column takes 9 * 10^14 values before it could run over. */
#include "row/numeric_int.h"

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
        return num_pack_inf(0, arena);
    if (sum->pinfs > 0 || sum->ninfs > 0)
        return num_pack_inf(sum->pinfs > 0 ? 1 : -1, arena);
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
