/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions that this node holds: their log, who leads them, how far they are
 * visible, and who waits for that to move. A partition is opened and closed as
 * the metadata view says. Produce and Fetch enter it from any loop under its
 * lock, for as long as it takes to stamp and write a batch or to find and pin a
 * range; waiters are answered on their own loop by mailbox.
 *
 *   log start <= last stable <= high watermark <= log end
 *
 * The high watermark is the end of what every in-sync replica has flushed (for
 * topics with flush=lazy: has written). Readers see nothing above it. */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/list.h"
#include "log/log.h"
#include "loop/loop.h"
#include "meta/meta.h"

struct replica; /* all partitions of this node */
struct partition;
struct wait_node;

struct replica_config {
    int32_t node_id;
    struct log_dir *const *dirs; /* borrowed until replica_stop() */
    size_t dir_count;
    const char *const *failed; /* paths of log directories that could not be opened */
    size_t failed_count;
    struct loop_group *loops;
    int64_t housekeeping_ms; /* between rounds of retention */
};

/* Opens the partitions of meta's current view and follows its changes from
 * then on. A topic's partitions are open before the done() of the command that
 * made it runs.
 * On:     no loop, no meta thread; blocks
 * Fails:  what a log directory or the metadata says; a partition that cannot be opened is
 *         no failure, it has a fault
 * Gives:  out, for replica_stop() */
ox_code replica_start(const struct replica_config *config, const struct env *env,
    struct meta *meta, struct replica **out, struct ox_err *err);
/* Answers all waiters with OX_SHUTTING_DOWN; partitions stay readable. */
void replica_quiesce(struct replica *replica);
/* Closes all partitions (clean). The loops have stopped or hold nothing. */
void replica_stop(struct replica *replica);

/* Once a second: every loop lets go of what newer metadata has dropped.
 * On: one thread, while the loops run. */
void replica_tend(struct replica *replica);

/* ---- looking up. On: a loop ---- */

/* The metadata view of this tick: borrowed, valid to the end of the tick. A
 * command whose done() has been seen is in it. */
const struct meta_view *replica_view(struct replica *replica);
/* The partition, borrowed to the end of the tick; NULL if this node has none.
 * partition_hold to keep it longer. */
struct partition *replica_partition(struct replica *replica, const struct uuid *topic_id,
    int32_t index);
struct partition *partition_hold(struct partition *part);
void partition_put(struct partition *part); /* any thread, NULL allowed */

/* ---- facts; immutable ones need no lock ---- */
const char *partition_topic(const struct partition *part);
const struct uuid *partition_topic_id(const struct partition *part);
int32_t partition_index(const struct partition *part);
/* NULL: the log could not be opened (fault says why). Never of a partition that
 * engine_partition() gave; it stays valid for as long as the partition is held. */
struct plog *partition_log(struct partition *part);

/* Its log directory failed or could not be opened. Any thread, no lock. */
bool partition_offline(struct partition *part);

struct partition_state {
    int64_t log_start, last_stable, high_watermark, log_end;
    int32_t leader_epoch;
    ox_code fault; /* OX_OK, or why the partition cannot be used */
};
/* Any thread. */
void partition_state(struct partition *part, struct partition_state *out);

/* ---- append ---- */

struct partition_append {
    /* in; append.records etc. as log/log.h says */
    struct log_append append;
    int16_t acks;           /* 0, 1, -1 */
    int32_t current_leader_epoch; /* of the caller; -1: any */
    uint64_t timeout_ns;    /* acks=-1: give up waiting after this; 0: never */
    /* May be written with others of this turn of the loop: then partition_append()
     * returns false whatever acks is, and done() follows at the end of the turn. */
    bool together;
    /* Called on `loop` exactly once when partition_append() returned false. */
    void (*done)(struct partition_append *call);
    struct loop *loop;
    /* out */
    ox_code code;
    struct ox_err err;
    /* private */
    struct loop_timer timer;
    struct partition *part;
    struct wait_node *node;
    struct list link;
};

/* Append one batch. Returns true when the outcome is known (code, append's out
 * fields); false when acks=-1 waits for the flush, or the batch for others of
 * this turn, and done() follows.
 * On: call->loop (the current one). */
bool partition_append(struct partition *part, struct partition_append *call);
/* Forget a waiting append whose caller goes away; done() is not called after and
 * the struct is free to go. On: call->loop. The record stays. */
void partition_append_forget(struct partition_append *call);

/* ---- read ---- */

/* Who asks decides how far they see. */
enum partition_isolation {
    READ_UNCOMMITTED, /* to the high watermark */
    READ_COMMITTED,   /* to the last stable offset */
    READ_REPLICA,     /* to the log end */
};

/* Find whole batches from offset on. out->range is empty when there is nothing
 * to see yet. state is filled in either case, except on failure.
 * Fails: OX_OFFSET_OUT_OF_RANGE, OX_STORAGE_ERROR, OX_CORRUPT_MESSAGE,
 *        OX_FENCED_LEADER_EPOCH, OX_UNKNOWN_LEADER_EPOCH
 * Any thread. The range is put with log_range_put(). */
ox_code partition_read(struct partition *part, int64_t offset, size_t max_bytes, bool min_one,
    enum partition_isolation isolation, int32_t current_leader_epoch, struct log_range *range,
    struct partition_state *state, struct ox_err *err);

/* The bound of an isolation in a state. */
int64_t partition_visible_end(const struct partition_state *state,
    enum partition_isolation isolation);

/* ---- waiting for data ---- */

/* One waiter on one partition: fn runs on `loop` once, when the visible end (of
 * its isolation) passes `offset`, the log start moves past it, or the partition
 * closes or changes leader. */
struct partition_waiter {
    void (*fn)(struct partition_waiter *waiter);
    struct loop *loop;
    int64_t offset;
    enum partition_isolation isolation;
    /* private */
    struct wait_node *node; /* NULL: not waiting */
};
/* Returns false, and does not wait, if the condition holds already.
 * On: waiter->loop. */
bool partition_wait(struct partition *part, struct partition_waiter *waiter);
/* Stop waiting; fn will not run after, the struct is free to go. Fine when not
 * waiting. On: waiter->loop. */
void partition_unwait(struct partition_waiter *waiter);

/* ---- administration ---- */

/* Records below offset go; -1: all below the high watermark. *low_watermark: the log's start
 * after it. Waiters below it are told.
 * On:     any thread; may block on disk: use the pool
 * Fails:  OX_OFFSET_OUT_OF_RANGE (above the high watermark), the partition's fault, and as
 *         plog_delete_records() */
ox_code partition_delete_records(struct partition *part, int64_t offset, int64_t *low_watermark,
    struct ox_err *err);
int32_t replica_node_id(const struct replica *replica);
/* Every open partition; for views and housekeeping. Holds nothing after. */
void replica_each(struct replica *replica, void (*fn)(struct partition *part, void *arg),
    void *arg);
/* The directories that were opened, by number; NULL: there is none of that. */
struct log_dir *replica_log_dir(struct replica *replica, size_t number);
/* The paths of those that could not be opened; NULL: there is none of that. */
const char *replica_failed_dir(struct replica *replica, size_t number);
/* Is the directory closed to new partitions (cordoned.log.dirs)? path NULL: are all? Any thread. */
bool replica_dir_cordoned(struct replica *replica, const char *path);
/* Moves the partition's log to the directory, in the background; a move under way
 * to another one is given up. Any thread. */
void partition_move(struct partition *part, struct log_dir *to);
/* Where it will move or is moving to; NULL: nowhere. bytes: copied so far;
 * end_offset: up to which. Any thread. */
struct log_dir *partition_moving(struct partition *part, uint64_t *bytes, int64_t *end_offset);
/* What compaction has done since the start. */
void replica_cleaner_stats(struct replica *replica, struct log_cleaner_stats *out);

#endif
