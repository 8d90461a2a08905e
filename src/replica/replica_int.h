/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside replica/: the partition object, as home.c (the table) and partition.c
 * (one of them) see it. */
#ifndef REPLICA_REPLICA_INT_H
#define REPLICA_REPLICA_INT_H

#include <stdatomic.h>

#include "base/lock.h"
#include "replica/replica.h"

struct partition {
    _Atomic uint32_t refs;
    struct replica *replica;
    char topic[256];
    struct uuid topic_id;
    int32_t index;
    struct plog *log; /* NULL when it could not be opened; fault says why */
    struct lock lock; /* all below */
    int32_t leader_epoch;
    int64_t high_watermark;
    ox_code fault;
    bool lazy;            /* flush=lazy: visible once written */
    struct list appends;  /* wait_node, by rising end offset */
    struct list readers;  /* wait_node */
};

/* Open the log and make the object, with one reference. Never fails: a log that
 * cannot be opened makes a partition whose fault is set. Blocks. */
struct partition *partition_open(struct replica *replica, const struct meta_topic *topic,
    const struct meta_partition *facts);
/* What the view says about it now. */
void partition_update(struct partition *part, const struct meta_topic *topic,
    const struct meta_partition *facts);
/* No further use: waiters are answered with code; the log is closed when the last
 * reference goes, or its directory deleted now if it was dropped. */
void partition_close(struct partition *part, ox_code code, bool dropped);

const struct env *replica_env(const struct replica *replica);
const struct replica_config *replica_config(const struct replica *replica);

#endif
