/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits that input meets: the rows of catalog/limits.tbl. Code obeys
 * LIMIT_NAME_VALUE or the setting that the row names, and says limit_met() when
 * something was refused, closed or held back by it. Any thread. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.gen.h" /* enum limit_id, LIMIT_..._VALUE */

struct limit_facts {
    const char *name;
    const char *setting; /* whose value it is, or NULL */
    int64_t value;       /* a fixed one; -1: see setting */
    const char *unit, *where, *doc;
};

extern const struct limit_facts limit_table[LIMIT_COUNT];

void limit_met(enum limit_id id);
/* Whether limit_met() is said of it: libraries keep some without telling. */
bool limit_counted(enum limit_id id);
/* How often since the process started. */
uint64_t limit_times_met(enum limit_id id);

#endif
