/* SPDX-License-Identifier: Apache-2.0
 *
 * The durable side of consensus: raft.db, and the raft_io on it. */
#ifndef META_RAFT_STORE_H
#define META_RAFT_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "meta/meta.h"

struct raft_io;
struct raft_store;

/* Whose log this is; written once, at format time. */
struct raft_store_identity {
    struct meta_identity who;
    struct uuid incarnation; /* of the log: another one after it was begun anew */
};

/* Make DIR/raft.db with a configuration of one voter (entry 1) and the command
 * that begins the cluster (entry 2). All or nothing: the file appears by rename. */
ox_code raft_store_format(const struct env *env, const char *dir,
    const struct raft_store_identity *identity, const void *command, size_t len,
    struct ox_err *err);

/* Fails:  OX_FILE_NOT_FOUND, OX_DATA_CORRUPTED, OX_LOCK_HELD */
ox_code raft_store_open(const struct env *env, const char *dir, struct raft_store **out,
    struct ox_err *err);
void raft_store_close(struct raft_store *store); /* NULL is allowed */

const struct raft_store_identity *raft_store_identity(const struct raft_store *store);
/* Newest index, of log or snapshot, when the file was opened. */
uint64_t raft_store_last_found(const struct raft_store *store);
struct raft_io *raft_store_io(struct raft_store *store);

/* Commit what was appended since, then call the callbacks that waited for it.
 * Returns whether there was anything to do. */
bool raft_store_flush(struct raft_store *store);

/* Call raft's timer callback. */
void raft_store_tick(struct raft_store *store);

/* Non-OK after the first failed write; nothing is promised from then on. */
ox_code raft_store_health(const struct raft_store *store, struct ox_err *err);

struct raft_store_stats {
    uint64_t commits, commit_ns_sum;
    uint64_t first, last; /* log entries kept; 0 when there are none */
    uint64_t snapshot_index;
};
void raft_store_stats(const struct raft_store *store, struct raft_store_stats *out);

/* Our raft id: a directory that was lost comes back as another server. */
uint64_t raft_store_server_id(int32_t node_id, const struct uuid *directory_id);
static inline int32_t
raft_store_node_id(uint64_t server_id)
{
    return (int32_t)(server_id >> 32);
}

#endif
