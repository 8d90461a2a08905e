/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated disk: a file system in memory that can lose power at any
 * operation. Per file it keeps the durable bytes and the ordered operations
 * that were not synced; per directory the entries that were not synced. A power
 * cut keeps a legal random subset of these: writes torn at 512 or 4,096 bytes,
 * zeros or stale bytes in a grown tail, entries that were never made.
 *
 * Also: errors by site and n-th hit, a full disk, hits counted by site. A failed
 * sync loses the unsynced operations, as Linux does: a second sync that succeeds
 * proves nothing.
 *
 * Any thread. Everything follows from the seed. */
#ifndef BASE_FILE_SIM_H
#define BASE_FILE_SIM_H

#include "base/file.h"

struct file_sim;

struct file_sim *file_sim_new(uint64_t seed);
/* All files must have been closed. */
void file_sim_free(struct file_sim *sim);
struct file_system *file_sim_fs(struct file_sim *sim);

/* Operations that change or force something, so far. */
uint64_t file_sim_ops(struct file_sim *sim);
/* The power goes when operation number `op` (1 is the next one made by a new
 * disk) begins: it may happen in part, and every call fails until restart. 0:
 * never. */
void file_sim_crash_at(struct file_sim *sim, uint64_t op);
bool file_sim_crashed(struct file_sim *sim);
/* The power goes now, if it has not, and comes back: what is left is chosen,
 * locks are free, files that are still open only know errors. */
void file_sim_restart(struct file_sim *sim);

/* The hit-th call from now at the site (NULL: at any) fails with code; with
 * forever every later one too. At most 16 at a time. */
void file_sim_fail(struct file_sim *sim, const char *site, uint64_t hit, bool forever,
    ox_code code);
void file_sim_fail_clear(struct file_sim *sim);
/* Bytes that files may still grow by; UINT64_MAX: no limit. */
void file_sim_set_usable(struct file_sim *sim, uint64_t bytes);

/* Hash over all names and bytes as a reader sees them now. skip: names that
 * contain it do not count (may be NULL). */
uint64_t file_sim_digest(struct file_sim *sim, const char *skip);
/* Flips one bit of a file, durably. */
ox_code file_sim_corrupt(struct file_sim *sim, const char *path, uint64_t pos);
/* Calls fn for each site met, with its hits, in order of the first. */
void file_sim_each_site(struct file_sim *sim,
    void (*fn)(void *arg, const char *site, uint64_t hits), void *arg);

#endif
