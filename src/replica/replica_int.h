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
    char *topic;
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

/* ---- append_queue.c ---- */

enum { APPENDS_TOGETHER = 32 };

/* Of one loop, which alone touches it. */
struct append_queue {
    struct list waiting, finished; /* partition_append, in order */
    size_t waiting_len;
    struct loop_tick tick;
};
void append_queue_init(struct append_queue *queue);
/* False: it should be appended now, nothing waits before it. */
bool append_queue_take(struct append_queue *queue, struct partition_append *call);
/* Takes the call out if it is queued. */
void append_queue_forget(struct partition_append *call);
/* Validated calls of one partition, at most APPENDS_TOGETHER: code is set, and
 * node where the flusher will answer. */
void partition_append_all(struct partition *part, struct partition_append **calls,
    uint32_t count);
/* Of this thread's loop. */
struct append_queue *replica_append_queue(struct replica *replica);

/* Partitions whose log directory is offline lose their leader, soon. Any thread. */
void replica_elect(struct replica *replica);
/* Nobody can use it any more: its log directory is offline. */
void partition_fail(struct partition *part);

/* mover.c */
struct mover;
struct mover *mover_start(struct replica *replica, const struct env *env);
/* Moves begin: those of before the start have been asked for. */
void mover_go(struct mover *mover);
void mover_stop(struct mover *mover);
void mover_ask(struct mover *mover, struct partition *part, struct log_dir *to);
struct log_dir *mover_target(struct mover *mover, struct partition *part);
void mover_free(struct mover *mover);
struct meta *replica_meta(const struct replica *replica);
struct mover *replica_mover(struct replica *replica);
/* The directory that has the partition, or that shall have it; known: it has been
 * opened before, so that it must not be made anew when its directory failed. */
ox_code replica_choose_dir(struct replica *replica, const struct meta_topic *topic,
    const char *name, int32_t index, bool known, struct log_dir **out, struct ox_err *err);
/* The partitions of the first view are opened. */
bool replica_is_starting(const struct replica *replica);

const struct replica_config *replica_config(const struct replica *replica);

#endif
