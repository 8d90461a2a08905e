/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranked mutexes. A lock is a row of catalog/locks.tbl; locks are taken in
 * rising rank, which debug builds check, and never held over a callback. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>

#include "base/check.h"
#include "base/locks.gen.h" /* enum lock_rank */

struct lock {
    pthread_mutex_t mutex;
#ifdef OX_DEBUG
    enum lock_rank rank;
#endif
};

void ox_lock_init(struct lock *lock, enum lock_rank rank);
void ox_lock_fini(struct lock *lock);
void ox_lock(struct lock *lock);
void ox_unlock(struct lock *lock);

#endif
