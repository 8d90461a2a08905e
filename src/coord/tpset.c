/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of partitions as sorted arrays: all operations are merges. */
#include <stdlib.h>
#include <string.h>

#include "coord/consumer_int.h"

int
tp_cmp(const struct tp *a, const struct tp *b)
{
    int order = memcmp(&a->topic, &b->topic, sizeof(a->topic));
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int
compare(const void *a, const void *b)
{
    return tp_cmp(a, b);
}

void
tpset_fini(struct tpset *set)
{
    ox_free(set->at);
    *set = (struct tpset){0};
}

void
tpset_add(struct tpset *set, const struct uuid *topic, int32_t partition)
{
    if (set->count == set->cap) {
        set->cap = set->cap == 0 ? 8 : set->cap * 2;
        set->at = ox_realloc(set->at, ox_size_mul(set->cap, sizeof(*set->at)));
    }
    set->at[set->count++] = (struct tp){*topic, partition};
}

void
tpset_sort(struct tpset *set)
{
    uint32_t kept = 0;
    if (set->count > 1)
        qsort(set->at, set->count, sizeof(*set->at), compare);
    for (uint32_t i = 0; i < set->count; i++)
        if (kept == 0 || tp_cmp(&set->at[kept - 1], &set->at[i]) != 0)
            set->at[kept++] = set->at[i];
    set->count = kept;
}

void
tpset_copy(struct tpset *to, const struct tpset *from)
{
    struct tpset copy = {.count = from->count, .cap = from->count};
    if (from->count > 0) {
        copy.at = ox_malloc(from->count * sizeof(*copy.at));
        memcpy(copy.at, from->at, from->count * sizeof(*copy.at));
    }
    tpset_fini(to);
    *to = copy;
}

void
tpset_take(struct tpset *to, struct tpset *from)
{
    tpset_fini(to);
    *to = *from;
    *from = (struct tpset){0};
}

bool
tpset_equal(const struct tpset *a, const struct tpset *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (tp_cmp(&a->at[i], &b->at[i]) != 0)
            return false;
    return true;
}

int64_t
tpset_find(const struct tpset *set, const struct tp *tp)
{
    const struct tp *found =
        set->count > 0 ? bsearch(tp, set->at, set->count, sizeof(*tp), compare) : NULL;
    return found == NULL ? -1 : found - set->at;
}

bool
tpset_has(const struct tpset *set, const struct tp *tp)
{
    return tpset_find(set, tp) >= 0;
}

uint32_t
tpset_run(const struct tpset *set, uint32_t at)
{
    uint32_t end = at;
    while (end < set->count && ox_uuid_eq(&set->at[end].topic, &set->at[at].topic))
        end++;
    return end;
}

bool
tpset_meet(const struct tpset *a, const struct tpset *b)
{
    uint32_t i = 0, j = 0;
    while (i < a->count && j < b->count) {
        int order = tp_cmp(&a->at[i], &b->at[j]);
        if (order == 0)
            return true;
        if (order < 0)
            i++;
        else
            j++;
    }
    return false;
}

bool
tpset_within(const struct tpset *a, const struct tpset *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (!tpset_has(b, &a->at[i]))
            return false;
    return true;
}

static void
filter(struct tpset *out, const struct tpset *a, const struct tpset *b, bool in_b)
{
    *out = (struct tpset){0};
    for (uint32_t i = 0; i < a->count; i++)
        if (tpset_has(b, &a->at[i]) == in_b)
            tpset_add(out, &a->at[i].topic, a->at[i].partition);
}

void
tpset_and(struct tpset *out, const struct tpset *a, const struct tpset *b)
{
    filter(out, a, b, true);
}

void
tpset_minus(struct tpset *out, const struct tpset *a, const struct tpset *b)
{
    filter(out, a, b, false);
}

void
tpset_topics(struct tpset *out, const struct tpset *of)
{
    *out = (struct tpset){0};
    for (uint32_t at = 0; at < of->count; at = tpset_run(of, at))
        tpset_add(out, &of->at[at].topic, -1);
}

void
tpset_unite(struct tpset *to, const struct tpset *more)
{
    for (uint32_t i = 0; i < more->count; i++)
        tpset_add(to, &more->at[i].topic, more->at[i].partition);
    tpset_sort(to);
}

void
tpset_drop(struct tpset *from, const struct tpset *less)
{
    struct tpset left;
    tpset_minus(&left, from, less);
    tpset_take(from, &left);
}

int32_t
tpset_epoch(const struct tpset *set, const int32_t *epochs, const struct tp *tp)
{
    int64_t at = tpset_find(set, tp);
    return at >= 0 ? epochs[at] : -1;
}

/* ---- holders ---- */

static struct str
tp_key(const struct tp *tp)
{
    _Static_assert(sizeof(*tp) == 20, "no padding: partitions are keys");
    return ox_str_n(tp, sizeof(*tp));
}

void *
tp_holder(const struct map *held, const struct tp *tp)
{
    return ox_map_get(held, tp_key(tp));
}

void
tpset_hold(const struct tpset *set, struct map *held, void *holder)
{
    for (uint32_t i = 0; i < set->count; i++)
        ox_map_put(held, tp_key(&set->at[i]), holder);
}

void
tpset_let_go(const struct tpset *set, struct map *held, const void *holder)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (tp_holder(held, &set->at[i]) == holder)
            ox_map_remove(held, tp_key(&set->at[i]));
}
