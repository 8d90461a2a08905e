/* SPDX-License-Identifier: Apache-2.0
 *
 * What was meant by a name that does not exist: of the names offered the nearest,
 * by the rules of PostgreSQL's hints for columns (at most three letters other,
 * missing or too many, and not more than half of them; of three that are equally
 * near none). */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stdint.h>

#include "base/str.h"

struct near {
    struct str wanted;
    struct str names[2]; /* borrowed; null: none */
    const void *tags[2];
    int distance, count; /* of the best so far, and how many there are */
};

void near_init(struct near *near, struct str wanted);
/* tag: comes back with the name. */
void near_offer(struct near *near, struct str name, const void *tag);
/* 0, 1 or 2 names. */
int near_found(const struct near *near);

#endif
