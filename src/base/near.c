/* SPDX-License-Identifier: Apache-2.0 */
#include "base/near.h"

enum { NEAR_DISTANCE_MAX = 3, NEAR_LEN_MAX = 63 };

void
near_init(struct near *near, struct str wanted)
{
    *near = (struct near){.wanted = wanted, .distance = NEAR_DISTANCE_MAX + 1};
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Levenshtein's, of bytes without case; one row of the matrix at a time. */
static int
distance(struct str a, struct str b)
{
    int row[NEAR_LEN_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (int)j;
    for (size_t i = 0; i < a.len; i++) {
        int diagonal = row[0];
        row[0] = (int)i + 1;
        for (size_t j = 0; j < b.len; j++) {
            int other = diagonal + (lower(a.ptr[i]) != lower(b.ptr[j]));
            diagonal = row[j + 1];
            int least = row[j] < row[j + 1] ? row[j] + 1 : row[j + 1] + 1;
            row[j + 1] = other < least ? other : least;
        }
    }
    return row[b.len];
}

void
near_offer(struct near *near, struct str name, const void *tag)
{
    if (name.len == 0 || name.len > NEAR_LEN_MAX || near->wanted.len > NEAR_LEN_MAX)
        return;
    int d = distance(near->wanted, name);
    if (d > near->distance || d > NEAR_DISTANCE_MAX || (size_t)d > near->wanted.len / 2)
        return;
    if (d < near->distance)
        near->count = 0;
    near->distance = d;
    if (near->count < 2) {
        near->names[near->count] = name;
        near->tags[near->count] = tag;
    }
    near->count++;
}

int
near_found(const struct near *near)
{
    return near->count <= 2 ? near->count : 0;
}
