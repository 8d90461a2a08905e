/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that waits for the disk, done side by side: flushes of many files share what
 * the disk does for one. */
#ifndef BASE_SIDE_H
#define BASE_SIDE_H

#include <stdint.h>

/* fn for 0 to count - 1, in no order, by at most so many threads (1 to 64), this one
 * among them. Returns how many there were. Blocks. */
uint32_t ox_side_by_side(uint32_t count, uint32_t most, void (*fn)(void *arg, uint32_t i),
    void *arg);

#endif
