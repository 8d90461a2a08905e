/* SPDX-License-Identifier: Apache-2.0
 *
 * Running plans. A struct exec_run is one execution of a plan_root; it belongs
 * to one loop. The caller pulls:
 *
 *     exec_run_new(root, &config, &run, err);
 *     for (;;) switch (exec_run_next(run, max_rows, &batch)) {
 *     case EXEC_ROWS: use batch (borrowed until the next call); continue;
 *     case EXEC_PARK: return;          wake() will be called, then pull again
 *     case EXEC_DONE: tag from exec_run_rows(); exec_run_free(run); return;
 *     case EXEC_FAIL: exec_run_err(run); exec_run_free(run); return;
 *     }
 *
 * Not pulling is back-pressure: a run that nobody pulls reads nothing. A run
 * that has worked for its tick budget parks and wakes itself, so that one query
 * does not hold a loop. wake() is called on the run's loop, never from inside
 * exec_run_next() or exec_run_new(); at most once a park. */
#ifndef EXEC_EXEC_H
#define EXEC_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "exec/plan.h"
#include "row/row.h"

struct env;
struct loop;
struct engine_session;
struct catalog_db;
struct row_format;
struct session_info;
struct ox_stop;

enum exec_status { EXEC_ROWS, EXEC_DONE, EXEC_PARK, EXEC_FAIL };

struct exec_run;
struct exec_snapshot;

struct exec_config {
    struct loop *loop;
    const struct env *env;
    struct engine_session *session; /* who reads and writes */
    const struct datum *params;     /* $1.. ; copied */
    const struct type *param_types;
    uint32_t param_count;
    const struct row_format *format; /* DateStyle, TimeZone, ...; borrowed for the run */
    /* now(), fixed for the transaction: microseconds since 2000-01-01 UTC. */
    int64_t now_us;
    size_t work_mem;             /* bytes an operator may hold before it spills */
    const char *temp_dir;        /* for spills; NULL: fail with OX_WORK_MEM_EXCEEDED */
    uint64_t temp_bytes_max;     /* of one run; 0 unlimited */
    int64_t statement_timeout_ms; /* 0 none */
    uint64_t row_limit;          /* OX_SCAN_LIMIT_EXCEEDED beyond; 0 none */
    uint64_t scan_bytes_limit;   /* the same, bytes read from logs; 0 none */
    bool read_uncommitted;
    enum insert_acks acks;
    bool analyze;                /* time every operator */
    /* The ends that a bounded scan sees; NULL: taken when the run starts.
     * A transaction in REPEATABLE READ passes one to all its runs. Held: a cursor WITH
     * HOLD reads on when the transaction is over. */
    struct exec_snapshot *snapshot;
    /* Connections for PLAN_SCAN_CATALOG, called on pool threads. */
    ox_code (*catalog_take)(void *arg, struct catalog_db **out, struct ox_err *err);
    void (*catalog_give)(void *arg, struct catalog_db *db);
    void *catalog_arg;
    /* Called on the run's loop, never inside exec_run_next(). */
    void (*wake)(void *arg);
    /* A NOTICE for the client, from inside exec_run_next(); may be NULL. */
    void (*notice)(void *arg, const char *message);
    void *arg; /* of wake and notice */
    /* What expression functions answer about the session (current_user, ...): struct
     * session_info of exec/expr.h, borrowed for the run; may be NULL. */
    const struct session_info *session_info;
    void *expr_context; /* eval_config.context */
    /* Whose work the run is: begun by the caller, looked at everywhere. NULL: only
     * exec_run_cancel() ends the run. */
    struct ox_stop *stop;
    bool stop_soft; /* what stops it only loses the current wait (sticky false) */
};

/* On: the loop. Evaluates nothing yet; opens on the first exec_run_next. The root
 * must outlive the run. */
ox_code exec_run_new(const struct plan_root *root, const struct exec_config *config,
    struct exec_run **out, struct ox_err *err);

/* At most max_rows rows (0: as they come, up to VECTOR_MAX). The batch may have a selection. */
enum exec_status exec_run_next(struct exec_run *run, uint64_t max_rows, struct batch **out);

/* After EXEC_FAIL. A run that was cancelled has OX_CANCELED, OX_STATEMENT_TIMEOUT. */
const struct ox_err *exec_run_err(struct exec_run *run);

/* Ends a run at any time on its loop: pending appends and reads are let go
 * (an append under way still reaches the log), temp files removed. No wake follows. */
void exec_run_free(struct exec_run *run); /* NULL is allowed */

/* Any thread while the run lives: it fails with code (OX_CANCELED, OX_SHUTTING_DOWN)
 * at its next step, and wakes if parked. A run for which sticky is false
 * only loses the current wait: the next exec_run_next after the failure goes on where
 * it was (a cancelled FETCH leaves its cursor). */
void exec_run_cancel(struct exec_run *run, ox_code code, bool sticky);

/* Whether the next exec_run_next() fails because the run was stopped. */
bool exec_run_stopped(const struct exec_run *run);

/* Sees what topics hold now, not when it first runs: a cursor, which is declared before. */
void exec_run_snapshot(struct exec_run *run);
/* From now on the run may take so long: statement_timeout of a FETCH or Execute; 0: for ever. */
void exec_run_time_limit(struct exec_run *run, int64_t ms);
/* Wake a parked run at this time at the latest (FETCH with a timeout, linger);
 * UINT64_MAX takes it back. exec_run_next then may return EXEC_PARK again. */
void exec_run_wake_at(struct exec_run *run, uint64_t mono_ns);

/* Rows given so far; for INSERT rows appended (and acknowledged as asked). */
uint64_t exec_run_rows(const struct exec_run *run);
/* Rows already durable when an INSERT in stream mode failed: for DETAIL. */
uint64_t exec_run_rows_durable(const struct exec_run *run);

/* ---- PLAN_FEED: COPY FROM --------------------------------------------------- */

/* While exec_run_next parked and exec_run_wants_feed is true, hand in rows (borrowed until
 * the run wants feed again); batch NULL: that was all. Then exec_run_next. */
bool exec_run_wants_feed(const struct exec_run *run);
void exec_run_feed(struct exec_run *run, const struct batch *batch);

/* ---- Snapshots --------------------------------------------------------------- */

/* Visible [start, end) of partitions, filled as runs touch topics. Counted; new: one. */
struct exec_snapshot *exec_snapshot_new(void);
struct exec_snapshot *exec_snapshot_get(struct exec_snapshot *snapshot);
void exec_snapshot_put(struct exec_snapshot *snapshot); /* or NULL */

/* ---- Counters: EXPLAIN ANALYZE ------------------------------------------------- */

struct exec_counters {
    uint64_t loops;   /* times opened */
    uint64_t rows;    /* given */
    uint64_t batches; /* given */
    uint64_t time_ns; /* in it and below it; only with analyze */
    uint64_t first_ns; /* until its first batch */
    /* Scans */
    uint64_t batches_read, batches_skipped; /* record batches decoded, passed over by header */
    uint64_t records_read, records_decoded;
    uint64_t bytes_read, bytes_decompressed;
    uint32_t partitions, partitions_total;
    /* Sorts, hashes */
    uint64_t memory_max;
    uint64_t spill_bytes;
    uint64_t groups;
    uint32_t spill_parts;
};

/* By plan id. */
const struct exec_counters *exec_run_counters(const struct exec_run *run, uint32_t id);

/* ---- Tokens and partitioner, shared with sql/ and tests -------------------------- */

/* Java's murmur2. */
uint32_t exec_murmur2(const void *ptr, size_t len);

struct exec_position {
    int32_t partition;
    int32_t leader_epoch; /* of the last record before offset; -1 unknown */
    int64_t offset;       /* the next to be read */
};

/* base64url of a versioned, checksummed vector. */
void exec_token_write(const struct uuid *topic_id, const struct exec_position *positions,
    uint32_t count, struct text *out);
/* Fails: OX_INVALID_PARAMETER_VALUE */
ox_code exec_token_read(struct str token, struct arena *arena, struct uuid *topic_id,
    struct exec_position **positions, uint32_t *count, struct ox_err *err);

#endif
