/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#ifdef OX_DEBUG
enum { HELD_MAX = 16 };
static _Thread_local enum lock_rank held[HELD_MAX];
static _Thread_local int held_count;
#endif

void
ox_lock_init(struct lock *lock, enum lock_rank rank)
{
    pthread_mutex_init(&lock->mutex, NULL);
#ifdef OX_DEBUG
    lock->rank = rank;
#endif
}

void
ox_lock_fini(struct lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void
ox_lock(struct lock *lock)
{
#ifdef OX_DEBUG
    ox_assert(held_count < HELD_MAX);
    ox_assert(held_count == 0 || held[held_count - 1] < lock->rank);
    held[held_count++] = lock->rank;
#endif
    pthread_mutex_lock(&lock->mutex);
}

void
ox_unlock(struct lock *lock)
{
#ifdef OX_DEBUG
    ox_assert(held_count > 0 && held[held_count - 1] == lock->rank);
    held_count--;
#endif
    pthread_mutex_unlock(&lock->mutex);
}
