/* SPDX-License-Identifier: Apache-2.0
 *
 * A scan of topics: shared by scan_topic.c, which reads, and scan_parts.c, which
 * knows the partitions. */
#ifndef EXEC_SCAN_PARTS_H
#define EXEC_SCAN_PARTS_H

#include "exec/scan_int.h"

enum part_state { PART_READY, PART_WAITING, PART_ENDED };

/* Rows of one partition decoded ahead, when partitions are merged. */
struct ahead {
    struct arena arena; /* of the columns */
    struct arena held;  /* of the record batch they borrow */
    struct scan_sink sink;
    struct batch batch;
    uint32_t at;
};

struct scan_part {
    struct scan *scan;
    struct partition *part; /* held */
    struct plog *plog;
    uint32_t number; /* in the scan */
    uint32_t topic;  /* in the plan */
    int32_t index;
    enum part_state state;
    int64_t start; /* where the scan began: positions never fall below */
    int64_t position, end;
    int64_t until; /* no record at or above; INT64_MAX */
    int32_t epoch; /* of the last record given */
    struct log_cursor *cursor;
    struct scan_cut cut;
    struct scan_aborted aborted;
    struct partition_waiter waiter;
    struct ahead *ahead;
};

struct scan {
    struct op op;
    struct scan_bounds bounds;
    struct scan_sink sink;
    struct scan_part **parts; /* each stays in place: waiters point to them */
    uint32_t part_count, part_cap, ended;
    uint32_t turn;
    bool backward, merge;
    bool newest_first;
    int64_t floor_us; /* batches with nothing at or after it are not wanted */
    struct text inflated;
    struct scan_last *last; /* the start is being looked for; else NULL */
    uint64_t given;
    /* until */
    int64_t stop_us;   /* TIMESTAMP */
    int64_t idle_us;   /* IDLE; -1 none */
    uint64_t last_row; /* mono ns */
    /* Partitions that are added while the scan follows: see scan_parts_watch. */
    bool watching, unwatched, more_parts;
    uint32_t *known;        /* partitions by topic */
    _Atomic uint32_t total; /* all of them */
    _Atomic bool view_posted;
    struct loop_msg view_msg;
    struct loop_timer timer;
    struct batch out;
};

static inline const struct plan_scan_topic *
scan_plan(const struct scan *scan)
{
    return (const struct plan_scan_topic *)scan->op.plan;
}

static inline enum partition_isolation
scan_isolation(const struct scan *scan)
{
    return scan_uncommitted(scan->op.run, scan_plan(scan)) ? READ_UNCOMMITTED : READ_COMMITTED;
}

/* ---- scan_parts.c ---- */

/* The wanted partitions of the plan's topics. False: run_err() is set, here and below. */
bool scan_parts_find(struct scan *scan);
/* Position and end of each, from FROM, UNTIL and the bounds; of FROM LAST n they hold when
 * scan_begin() has said EXEC_DONE. */
bool scan_parts_start(struct scan *scan);

/* A log that is damaged is readable up to the damage; one that is gone is not. */
bool scan_part_readable(struct scan_part *part);
/* What there is to be seen of it: of the snapshot, or now for a scan that follows. */
void scan_part_range(struct scan_part *part, struct exec_range *range);
/* Where to go on when an offset was asked for that is not in the log any more, or not
 * yet: as on_gap says. */
bool scan_part_check_gap(
    struct scan_part *part, int64_t asked, const struct exec_range *range, int64_t *start);

/* Partitions that a topic gets while a scan without a fixed end follows it. Unwatch
 * before the scan is closed; scan->more_parts tells that there are new ones. */
void scan_parts_watch(struct scan *scan);
void scan_parts_unwatch(struct scan *scan);
bool scan_parts_add_new(struct scan *scan);

/* ---- scan_last.c ---- */

/* FROM LAST n: the search for its start, in steps that end with the tick's budget. DONE:
 * the partitions have their positions. */
#define SCAN_LAST_MAX 1000000
void scan_last_open(struct scan *scan, size_t rows);
enum exec_status scan_last_step(struct scan *scan);
void scan_last_close(struct scan *scan);

/* ---- scan_topic.c ---- */

/* Gives back what reading the partition took. */
void scan_part_rest(struct scan_part *part);

/* Whether the batch can have rows: not a control batch, not aborted, not what its header
 * shows to be out of the bounds. */
bool scan_part_batch_visible(
    struct scan_part *part, const struct record_batch *batch, bool *visible);
/* Starts part->cut on the batch; inflated if need be, copied into the arena when rows of the
 * next one will join. */
bool scan_part_begin_cut(
    struct scan_part *part, const struct record_batch *batch, bool copy, struct arena *arena);

#endif
