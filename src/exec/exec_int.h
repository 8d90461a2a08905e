/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside exec/: operators, what they share, and how a run drives them.
 *
 * An operator is made once for its plan node (op_new), opened, asked for
 * batches until EXEC_DONE, and closed; a lateral or correlated side is closed
 * and opened again. The batch that next() gives lives until the operator's next
 * call. EXEC_PARK and EXEC_FAIL leave the state as it was: the same call may be
 * made again (a cancelled FETCH goes on). */
#ifndef EXEC_EXEC_INT_H
#define EXEC_EXEC_INT_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "base/file.h"
#include "base/list.h"
#include "base/map.h"
#include "base/stop.h"
#include "exec/agg.h"
#include "exec/exec.h"
#include "exec/expr.h"
#include "exec/plan.h"
#include "exec/rows.h"
#include "exec/spill.h"
#include "loop/loop.h"
#include "row/row.h"

struct op;

struct op_ops {
    size_t size; /* of the operator's struct, which embeds struct op first */
    bool leaf;   /* pulls from no other operator: the tick budget is looked at here */
    void (*made)(struct op *op); /* inputs are there, nothing is open; may be NULL */
    /* Ready for the first next(). False: run_err() is set. */
    bool (*open)(struct op *op);
    enum exec_status (*next)(struct op *op, struct batch **out);
    /* Free all that open and next took; inputs are closed by the caller of
     * close. Safe after a failed open, and twice. */
    void (*close)(struct op *op);
    bool own_inputs; /* opens and closes its inputs itself (lateral, CTE, ...) */
};

/* The row of an enclosing query level that EXPR_OUTER reads. */
struct exec_scope {
    struct exec_scope *outer;
    const struct batch *batch; /* NULL: no row yet */
    uint32_t row;
};

struct op {
    const struct op_ops *ops;
    const struct plan *plan;
    struct exec_run *run;
    struct exec_scope *scope; /* of the enclosing level; NULL at the top */
    struct op *input, *right;
    struct eval eval;     /* its arena: per batch */
    struct arena arena;   /* life: open to close */
    struct arena scratch; /* life: one batch */
    bool opened, done;
    struct exec_counters *counters;
    struct list link; /* in the run */
};

/* A subquery in an expression, per run and enclosing operator. */
struct exec_subplan;

struct exec_run {
    const struct plan_root *root;
    struct exec_config config;
    struct arena arena; /* life of the run */
    struct op *top;
    struct exec_counters *counters;
    struct eval_config eval; /* of every operator's eval */
    struct list ops;         /* all made: for eval_fini */
    struct ox_err *err; /* run_err() */
    bool started, ended, failed, parked, freed;
    /* Waking itself: `posted` messages keep the struct in place. */
    struct loop_msg msg;
    bool posted;
    struct loop_msg cancel_msg;
    _Atomic bool cancel_posted;
    _Atomic int cancel_code; /* 0: none */
    _Atomic bool cancel_sticky;
    struct loop_timer timeout, deadline;
    uint64_t rest_until; /* mono ns: over a quota, nothing is done before */
    struct loop_timer rested;
    uint64_t timeout_at; /* mono ns; 0 none */
    uint64_t tick_start; /* mono ns of the first pull in this turn of the loop */
    uint64_t turn;       /* loop_now_ns() of it */
    uint32_t sync_depth; /* > 0: no parking (subqueries run to their end) */
    /* Results */
    uint64_t rows, rows_durable;
    struct batch *rest; /* a batch given in parts */
    uint32_t rest_at;
    struct batch part;
    uint32_t *part_sel;
    /* Totals against limits */
    uint64_t bytes_read, temp_bytes;
    struct exec_snapshot *snapshot;
    struct cte_state *ctes; /* by cte index */
    struct map work_tables; /* plan_recursive pointer -> struct store * */
    struct map subplans;    /* (expr, op) -> exec_subplan */
    struct op *feed;
    uint32_t prepared; /* subqueries that have run before the plan */
    struct catalog_kept *kept; /* rows of catalog scans, by index */
    uint32_t kept_ready;
    /* Teardown that outlives the run (waiters under way, pool jobs). */
    uint32_t holds;
};

/* ---- run.c ---- */

void op_init(struct op *op, struct exec_run *run, const struct op_ops *ops,
    const struct plan *plan, struct exec_scope *scope, struct exec_counters *counters);
struct op *op_new(struct exec_run *run, const struct plan *plan, struct exec_scope *scope);
bool op_open(struct op *op);  /* inputs first */
void op_close(struct op *op); /* and its inputs */
enum exec_status op_next(struct op *op, struct batch **out);

/* Evaluate over the selected rows of batch. False: run_err() is set. */
bool op_eval(struct op *op, const struct expr *expr, const struct batch *batch, struct vector *out);
/* An expression without columns. */
bool op_eval_one(struct op *op, const struct expr *expr, struct datum *out);
/* int8 without columns; NULL gives `absent`. */
bool op_eval_count(struct op *op, const struct expr *expr, int64_t absent, int64_t *out);

#define op_fail(op, code, ...) (ox_fail(run_err((op)->run), (code), __VA_ARGS__), EXEC_FAIL)

/* Where the run's failure goes. It is made when it is first asked for, and let go
 * when the run parks without one: nobody keeps the pointer. */
struct ox_err *run_err(struct exec_run *run);
/* A wake-up arrived, on the run's loop, outside of exec_run_next. */
void run_wake(struct exec_run *run);
/* Something keeps the struct in place beyond exec_run_free: counted. */
void run_hold(struct exec_run *run);
void run_release(struct exec_run *run);
/* Whether the operator may go on: cancelled, timed out -> false, err set. */
bool run_check(struct exec_run *run);
/* Within work that has no leaf to ask: has it been cancelled? ns: about how long since
 * this was asked last. True: run_check() has failed. */
static inline bool
run_stopped(struct exec_run *run, uint32_t ns)
{
    return ox_stopped(ns) && !run_check(run);
}
/* Has this tick's budget been used? Then the wake-up is posted: return EXEC_PARK. */
bool run_over_budget(struct exec_run *run);
bool run_count_bytes(struct exec_run *run, uint64_t bytes); /* scan_bytes_limit */
void run_notice(struct exec_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline uint64_t
run_now_ns(const struct exec_run *run)
{
    return env_mono_ns(run->config.env);
}

/* The k-th selected row. */
static inline uint32_t
batch_row(const struct batch *batch, uint32_t k)
{
    return batch->sel != NULL ? batch->sel[k] : k;
}

/* A batch header with column array in the arena. */
struct batch *batch_new(struct arena *arena, uint32_t ncols);

/* Types of a plan's columns into the arena. */
struct type *plan_types(const struct plan *plan, struct arena *arena);

/* ---- operators ---- */
extern const struct op_ops op_scan_topic, op_scan_headers, op_scan_catalog, op_values,
    op_function_scan, op_feed, op_filter, op_project, op_aggregate, op_sort, op_limit, op_distinct,
    op_join_hash, op_join_loop, op_append, op_setop, op_cte_scan, op_recursive, op_work_scan,
    op_window, op_subscribe, op_insert;

/* slice.c: an operator that gives its input's rows one by one. */
struct op *slice_new(struct exec_run *run, struct op *input);
bool slice_holds(const struct op *op); /* a slice, with rows that it has not given yet */

/* feed.c */
bool feed_wants(const struct op *op);
void feed_give(struct op *op, const struct batch *batch);

/* cte.c */
struct cte_state *cte_states_new(struct exec_run *run);
void cte_states_fini(struct exec_run *run);

/* scan_catalog.c: read what expressions will scan, before the plan; may park. */
enum exec_status catalog_prepare(struct exec_run *run);
void catalog_kept_fini(struct exec_run *run);

/* subquery.c: the hook of EXPR_SUBQUERY and EXPR_OUTER. */
ox_code subquery_eval(struct eval *eval, const struct expr *expr, const struct batch *batch,
    uint32_t row, const struct datum *args, struct datum *out, struct ox_err *err);
ox_code subquery_outer(
    struct eval *eval, const struct expr *expr, struct datum *out, struct ox_err *err);
/* Run those that see no outer row, before the plan; may park. EXEC_DONE: all have. */
enum exec_status subquery_prepare(struct exec_run *run);
void subquery_fini(struct exec_run *run);

/* snapshot.c: visible [start, end) of a partition, as this run's snapshot has it. */
struct partition;
struct exec_range {
    int64_t start, end;
};
void snapshot_range(
    struct exec_run *run, struct partition *part, bool uncommitted, struct exec_range *out);

#endif
