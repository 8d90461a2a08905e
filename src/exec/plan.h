/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: what sql/ builds and exec/ runs. A plan is a tree of nodes in one
 * arena, read-only once built: any number of runs may use it at a time, all
 * state hangs off the run (exec.h).
 *
 * Every node embeds struct plan as its first member `plan` and is made with the
 * plan_*_new() helpers below, which fill in what follows from the inputs (the
 * output columns of a filter are those of its input, ...). An operator's output
 * is a struct batch whose vectors are the node's columns, in order.
 *
 * Expressions of a node see the columns of its input batch as EXPR_COLUMN; a
 * join's see the left columns followed by the right ones. Columns of an outer
 * query level are EXPR_OUTER(level, index): level 1 is the batch row for which
 * the nearest enclosing subquery (or the right side of a lateral join) was
 * opened, level 2 the one around that. */
#ifndef EXEC_PLAN_H
#define EXEC_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "row/row.h"

struct expr; /* exec/expr.h */
struct func; /* exec/expr.h */

enum plan_kind {
    PLAN_SCAN_TOPIC,    /* records of topics, bounded or following */
    PLAN_SCAN_HEADERS,  /* count, min, max from batch headers alone */
    PLAN_SCAN_CATALOG,  /* a SELECT of SQLite over the catalog */
    PLAN_VALUES,        /* rows of expressions; one row without columns: SELECT 1 */
    PLAN_FUNCTION_SCAN, /* generate_series, unnest, json_array_elements, ... */
    PLAN_FEED,          /* rows pushed in by the statement: COPY FROM */
    PLAN_FILTER,
    PLAN_PROJECT,
    PLAN_AGGREGATE,
    PLAN_SORT,
    PLAN_LIMIT,
    PLAN_DISTINCT,
    PLAN_JOIN_HASH,
    PLAN_JOIN_LOOP,
    PLAN_APPEND, /* UNION ALL */
    PLAN_SETOP,  /* UNION, INTERSECT, EXCEPT */
    PLAN_CTE_SCAN,
    PLAN_RECURSIVE,
    PLAN_WORK_SCAN, /* the working table inside the recursive term */
    PLAN_WINDOW,
    PLAN_SUBSCRIBE, /* progress rows, tokens, heartbeat */
    PLAN_INSERT,
    PLAN_KIND_COUNT
};

struct plan_column {
    struct str name;
    struct type type;
};

struct plan {
    enum plan_kind kind;
    uint32_t id; /* index into a run's counters; given by plan_root_finish() */
    const struct plan_column *columns;
    uint32_t column_count;
    double rows; /* the planner's guess, shown by EXPLAIN; 0 unknown */
    bool correlated; /* an expression runs a subquery for each row; set by plan_root_finish() */
    struct plan *input; /* or left; NULL for leaves */
    struct plan *right; /* joins, SETOP, RECURSIVE */
};

/* ---- Reading topics ------------------------------------------------------- */

/* What a scan can give about a record. Physical forms follow the type. */
enum scan_column {
    SCAN_PARTITION,      /* int4 */
    SCAN_OFFSET,         /* int8 */
    SCAN_TIMESTAMP,      /* timestamptz; NULL for Kafka's -1 */
    SCAN_TIMESTAMP_TYPE, /* text: create, append */
    SCAN_KEY,            /* text; hex when not UTF-8 or with a NUL byte */
    SCAN_KEY_BYTES,      /* bytea */
    SCAN_VALUE,          /* text, as the key */
    SCAN_VALUE_BYTES,    /* bytea */
    SCAN_HEADERS,        /* jsonb [{"key":"k","value":"v"},...] */
    SCAN_TOMBSTONE,      /* bool */
    SCAN_SIZE,           /* int4 */
    SCAN_TOPIC,          /* text */
    SCAN_LEADER_EPOCH,   /* int4 */
    SCAN_PRODUCER_ID,    /* int8; NULL for none, the next two as well */
    SCAN_PRODUCER_EPOCH, /* int2 */
    SCAN_SEQUENCE,       /* int4 */
    SCAN_TXN,            /* text: committed, open, none (aborted when uncommitted is read) */
    SCAN_COMPRESSION,    /* text */
    SCAN_BATCH_OFFSET,   /* int8 */
    SCAN_SCHEMA_ID,      /* int4: of Confluent's wire prefix, else NULL */
    SCAN_HEADERS_RAW,    /* record[]: (key text, value bytea) of each header, in order */
    SCAN_COLUMN_COUNT
};

/* Name ("_offset") and type of a scan column. */
struct str plan_scan_column_name(enum scan_column column);
struct type plan_scan_column_type(enum scan_column column);
/* -1 if there is no system column of that name. */
int plan_scan_column_find(struct str name);

struct plan_topic {
    struct str name;
    struct uuid id;
    uint32_t partition_count;
};

/* A condition that the scan itself obeys, exactly: a planner that turned a
 * condition into a bound drops it from its filter. All bounds must hold. The
 * values are expressions without columns of this scan (constants, parameters,
 * outer columns), evaluated once at open; a NULL value means no row.
 *   PARTITION int4/int8, OFFSET int8, TIMESTAMP timestamptz, KEY text (EQ, IN) or
 *   bytea (EQ, IN) compared with the key's bytes. */
enum scan_bound_what { BOUND_PARTITION, BOUND_OFFSET, BOUND_TIMESTAMP, BOUND_KEY };
enum scan_bound_op { BOUND_EQ, BOUND_LT, BOUND_LE, BOUND_GT, BOUND_GE, BOUND_IN };

struct scan_bound {
    enum scan_bound_what what;
    enum scan_bound_op op;
    struct expr **values; /* one; BOUND_IN: several. An array value with
                             BOUND_IN and value_count 1 gives its elements (= ANY) */
    uint32_t value_count;
};

/* Where a live or positioned scan starts, and where it ends. */
enum scan_start {
    SCAN_FROM_EARLIEST,
    SCAN_FROM_LATEST,
    SCAN_FROM_OFFSET,    /* start_value int8, every partition */
    SCAN_FROM_OFFSETS,   /* start_value text '{0:12,1:99}'; others: earliest */
    SCAN_FROM_TIMESTAMP, /* start_value timestamptz */
    SCAN_FROM_LAST_ROWS, /* start_value int8: the newest n rows over all partitions */
    SCAN_FROM_LAST_TIME, /* start_value interval */
    SCAN_FROM_TOKEN,     /* start_value text */
};
enum scan_until {
    SCAN_UNTIL_NEVER,
    SCAN_UNTIL_LATEST,    /* the end when the statement started */
    SCAN_UNTIL_OFFSET,    /* until_value int8, exclusive, every partition */
    SCAN_UNTIL_OFFSETS,   /* until_value text; partitions that are not named end at once */
    SCAN_UNTIL_TIMESTAMP, /* until_value timestamptz: a partition ends at its first
                             record at or after it, or when the clock passes it */
    SCAN_UNTIL_IDLE,      /* until_value interval without a new record */
};
enum scan_gap { SCAN_GAP_ERROR, SCAN_GAP_EARLIEST, SCAN_GAP_LATEST };

enum scan_order {
    SCAN_ORDER_NONE,        /* offset order inside a partition only */
    SCAN_ORDER_OFFSET,      /* by offset, then partition, over all partitions */
    SCAN_ORDER_OFFSET_DESC, /* the same backwards, read from the end by batch */
};

struct plan_scan_topic {
    struct plan plan;
    const struct plan_topic *topics;
    uint32_t topic_count;
    const enum scan_column *what; /* one an output column */
    const struct scan_bound *bounds;
    uint32_t bound_count;
    /* Every row wanted has each of these bytes in its key, value or headers:
     * records without them are skipped undecoded. A hint: the filter stays. */
    const struct str *needles;
    uint32_t needle_count;
    /* For EXPLAIN: conditions on columns that have bounds, and why they are none. */
    const struct scan_note {
        const struct expr *condition;
        const char *why;
    } *notes;
    uint32_t note_count;
    enum scan_order order;
    /* TABLESAMPLE: the part of all record batches (SYSTEM) or of all records (BERNOULLI)
     * that is read. percent float8; NULL: all. seed int8 by REPEATABLE, or NULL. */
    struct expr *sample_percent, *sample_seed;
    bool sample_records;
    uint64_t limit; /* stop after so many rows; 0 none. Only when no filter is above */
    /* follow: not bounded by the statement's snapshot but by `until`. With
     * follow false and start EARLIEST, until LATEST this is a plain SELECT. */
    bool follow;
    enum scan_start start;
    struct expr *start_value;
    enum scan_until until;
    struct expr *until_value;
    enum scan_gap on_gap;
    bool uncommitted; /* up to the high watermark, aborted records included */
};

struct plan_scan_topic *plan_scan_topic_new(struct arena *arena, const struct plan_topic *topics,
    uint32_t topic_count, const enum scan_column *what, uint32_t column_count);

/* count(*), min/max of _offset, max of _timestamp, with no GROUP BY or by _partition
 * and/or _topic: one row per group from batch headers. Made from an
 * aggregate by plan_aggregate_from_headers(). Columns as the aggregate's. */
enum header_what {
    HEADER_TOPIC,
    HEADER_PARTITION,
    HEADER_COUNT,
    HEADER_MIN_OFFSET,
    HEADER_MAX_OFFSET,
    HEADER_MAX_TIMESTAMP,
};

struct plan_scan_headers {
    struct plan plan;
    const struct plan_scan_topic *scan; /* topics and bounds */
    const enum header_what *what;
    bool by_topic, by_partition;
};

/* ---- Other leaves --------------------------------------------------------- */

struct plan_scan_catalog {
    struct plan plan;
    struct str sql; /* SQLite text; ?1.. are the params */
    struct expr **params; /* without columns; evaluated at open */
    uint32_t param_count;
    /* Some expression runs it, where nothing may wait: it is read before the plan
     * starts, and kept. Given by plan_root_finish(), with its index among those. */
    bool kept;
    uint32_t index;
};

struct plan_values {
    struct plan plan;
    struct expr **exprs; /* row by row: row_count * column_count */
    uint32_t row_count;
};

struct plan_function_scan {
    struct plan plan;
    /* EXPR_CALLs of set-returning functions, side by side: rows until the longest
     * has ended, NULL for those that ended before; or one scalar expression: one
     * row. The functions' columns, then int8 ordinality if asked for. */
    struct expr **calls;
    uint32_t call_count;
    bool ordinality;
    bool record; /* the function gives records: the columns are their fields */
};

struct plan_feed {
    struct plan plan;
};

/* ---- Row by row ------------------------------------------------------------ */

struct plan_filter {
    struct plan plan;
    struct expr *condition; /* bool */
};

struct plan_project {
    struct plan plan;
    struct expr **exprs; /* one an output column */
};

struct plan_limit {
    struct plan plan;
    struct expr *limit;  /* int8 without columns; NULL or a NULL value: all */
    struct expr *offset; /* the same: 0 */
    /* WITH TIES: the rows after the last that are equal to it in these columns too; the
     * input is sorted by them. */
    const uint32_t *ties;
    uint32_t tie_count;
};

/* ---- Sorting and grouping ---------------------------------------------------- */

struct plan_key {
    struct expr *expr;
    bool desc;
    bool nulls_first;
};

struct plan_sort {
    struct plan plan;
    const struct plan_key *keys;
    uint32_t key_count;
    /* Only the first limit + offset rows are wanted (the LIMIT above still
     * cuts them): a heap instead of a full sort. NULL: all. */
    struct expr *limit, *offset;
};

/* Rows equal in all exprs are given once, the first that came. For DISTINCT
 * ON (...) ORDER BY put it on a sort. No exprs: all columns. Nulls are equal. */
struct plan_distinct {
    struct plan plan;
    struct expr **exprs;
    uint32_t expr_count;
};

/* A call of an aggregate function. */
struct plan_agg {
    const struct func *func; /* FUNC_AGGREGATE */
    struct expr **args;      /* none for count(*) */
    uint32_t arg_count;
    struct type type;      /* of the result */
    struct expr *filter;   /* FILTER (WHERE ...), or NULL */
    bool distinct;
    const struct plan_key *order; /* ORDER BY inside the call */
    uint32_t order_count;
    bool descending; /* WITHIN GROUP (ORDER BY x DESC): x is the last argument */
};

/* Output: the group keys, then the aggregates. Without keys: one row always.
 * sets (GROUPING SETS): each a mask of keys that are kept, the others NULL. */
struct plan_aggregate {
    struct plan plan;
    struct expr **keys;
    uint32_t key_count;
    const struct plan_agg *aggs;
    uint32_t agg_count;
    const uint64_t *sets; /* NULL: one set of all keys */
    uint32_t set_count;
    /* GROUPING(): behind the aggregates, int4; [grouping][set] (one set if sets is NULL). */
    const int32_t *groupings;
    uint32_t grouping_count;
};

/* If agg (straight on a SCAN_TOPIC without needles) can be answered from batch headers,
 * the node that does it; else NULL and *why a sentence for EXPLAIN. */
struct plan *plan_aggregate_from_headers(struct arena *arena, const struct plan_aggregate *agg,
    const char **why);

/* ---- Combining --------------------------------------------------------------- */

enum join_kind {
    JOIN_INNER,
    JOIN_LEFT,
    JOIN_RIGHT,
    JOIN_FULL,
    JOIN_SEMI, /* left rows with a match: EXISTS, IN. Left columns only */
    JOIN_ANTI, /* left rows without one: NOT EXISTS. Left columns only */
};

/* Equality keys; the right side is built into the table. NULL keys match
 * nothing. condition (on left+right columns) must hold as well. */
struct plan_join_hash {
    struct plan plan;
    enum join_kind kind;
    struct expr **left_keys, **right_keys; /* same types, pairwise */
    uint32_t key_count;
    struct expr *condition; /* or NULL */
};

/* Any condition. lateral: the right side is opened anew for each left row,
 * which it sees as EXPR_OUTER level 1; else it is materialised once.
 * RIGHT and FULL cannot be lateral. */
struct plan_join_loop {
    struct plan plan;
    enum join_kind kind;
    struct expr *condition; /* or NULL: cross */
    bool lateral;
};

struct plan_append {
    struct plan plan;
    struct plan **inputs; /* same column types; plan.input is NULL */
    uint32_t input_count;
};

enum setop_kind {
    SETOP_UNION,
    SETOP_INTERSECT,
    SETOP_INTERSECT_ALL,
    SETOP_EXCEPT,
    SETOP_EXCEPT_ALL,
};

struct plan_setop {
    struct plan plan;
    enum setop_kind kind;
};

/* WITH name AS MATERIALIZED: computed once a run, by the first scan that asks. */
struct plan_cte {
    struct str name;
    struct plan *definition;
    bool correlated; /* the definition has EXPR_OUTER: computed anew by each scan */
    uint32_t index; /* in the root's ctes; given by plan_root_finish() */
};

struct plan_cte_scan {
    struct plan plan;
    struct plan_cte *cte;
    uint32_t level; /* query levels between the WITH and this scan: 0 the same */
};

/* input: the non-recursive term; right: the recursive term, whose
 * PLAN_WORK_SCANs name this node. distinct: UNION, else UNION ALL. */
struct plan_recursive {
    struct plan plan;
    bool distinct;
};

struct plan_work_scan {
    struct plan plan;
    const struct plan_recursive *of;
};

/* ---- Window functions ---------------------------------------------------------- */

enum window_func {
    WINDOW_AGGREGATE, /* agg over the frame */
    WINDOW_ROW_NUMBER,
    WINDOW_RANK,
    WINDOW_DENSE_RANK,
    WINDOW_PERCENT_RANK,
    WINDOW_CUME_DIST,
    WINDOW_NTILE,
    WINDOW_LAG,  /* args: value [, offset [, default]] */
    WINDOW_LEAD,
    WINDOW_FIRST_VALUE,
    WINDOW_LAST_VALUE,
    WINDOW_NTH_VALUE,
};

enum frame_unit { FRAME_RANGE, FRAME_ROWS, FRAME_GROUPS };
enum frame_edge {
    FRAME_UNBOUNDED_PRECEDING,
    FRAME_PRECEDING, /* value */
    FRAME_CURRENT,
    FRAME_FOLLOWING, /* value */
    FRAME_UNBOUNDED_FOLLOWING,
};
enum frame_exclude {
    FRAME_EXCLUDE_NONE,
    FRAME_EXCLUDE_CURRENT,
    FRAME_EXCLUDE_GROUP,
    FRAME_EXCLUDE_TIES,
};

struct window_frame {
    enum frame_unit unit;
    enum frame_edge start, end;
    /* ROWS, GROUPS: int8. RANGE: bound_value is order key -/+ value, already
     * bound by the planner on the input row (so that date - interval works):
     * start_value is the expression of the frame's lowest (desc: highest) key. */
    struct expr *start_value, *end_value;
    enum frame_exclude exclude;
};

struct window_call {
    enum window_func func;
    struct plan_agg agg; /* WINDOW_AGGREGATE: whole; others: args, arg_count, type, filter */
    struct window_frame frame;
};

/* All calls of one node share PARTITION BY and ORDER BY; the node sorts its
 * input itself. Output: the input columns, then one a call. */
struct plan_window {
    struct plan plan;
    struct expr **partition;
    uint32_t partition_count;
    const struct plan_key *order;
    uint32_t order_count;
    const struct window_call *calls;
    uint32_t call_count;
};

/* ---- SUBSCRIBE ------------------------------------------------------------------- */

/* Over a SCAN_TOPIC that follows, with filters and projections between.
 * progress: output is _progress bool, _token text, then the input's columns but for
 * the last two, which must be _partition int4 and _offset int8 (for the token of
 * a row). Without progress: the input's columns as they are. */
struct plan_subscribe {
    struct plan plan;
    const struct plan_scan_topic *scan;
    bool progress;
    int64_t heartbeat_ms; /* progress row at least so often when idle, at most so often when busy */
    uint64_t limit;       /* rows, progress rows not counted; 0 none */
};

/* ---- INSERT ------------------------------------------------------------------------ */

enum insert_acks { INSERT_ACKS_ALL, INSERT_ACKS_LEADER, INSERT_ACKS_NONE };

/* Input columns by number, -1: not given. */
struct plan_insert {
    struct plan plan; /* columns: RETURNING's, as `what`; none without RETURNING */
    struct plan_topic topic;
    int key;       /* text or bytea; NULL: no key */
    int value;     /* text or bytea; NULL: tombstone */
    int headers;   /* jsonb or json: object, or array of {"key","value"|"bytes"} */
    int timestamp; /* timestamptz; NULL or not given: now */
    int partition; /* int4; NULL: by the key */
    const enum scan_column *what; /* RETURNING: one an output column */
    /* Append as batches fill up (COPY); else everything is computed and
     * checked before the first append, as far as work_mem holds it. */
    bool stream;
};

/* ---- Building ----------------------------------------------------------------------- */

struct plan_root {
    struct plan *plan;
    struct arena *arena;
    /* Filled by plan_root_finish(): */
    uint32_t node_count;
    const struct plan **nodes; /* by id, preorder, subplans of expressions after their owner */
    struct plan_cte **ctes;
    uint32_t cte_count;
    bool follows; /* gives rows for ever */
    /* Subqueries that see no outer row: run before the plan, so that they may park. */
    const struct expr **subqueries;
    uint32_t subquery_count;
    /* Those that expressions run, for each row. */
    const struct expr **row_subqueries;
    uint32_t row_subquery_count;
    /* Catalog scans that expressions run: read before the plan as well, and kept. */
    const struct plan_scan_catalog **kept;
    uint32_t kept_count;
};

/* Number the nodes and check what the run relies on.
 * Fails: OX_STATEMENT_TOO_COMPLEX, OX_FEATURE_NOT_SUPPORTED (an endless input
 *        under an operator that needs its end) */
ox_code plan_root_finish(struct plan_root *root, struct ox_err *err);

/* Nodes whose columns follow from the inputs. Other members are set by the caller. */
struct plan *plan_filter_new(struct arena *arena, struct plan *input, struct expr *condition);
/* names may be NULL: no names. Types are those of the expressions. */
struct plan *plan_project_new(struct arena *arena, struct plan *input, struct expr **exprs,
    const struct str *names, uint32_t count);
struct plan *plan_limit_new(struct arena *arena, struct plan *input, struct expr *limit,
    struct expr *offset);
struct plan_sort *plan_sort_new(struct arena *arena, struct plan *input,
    const struct plan_key *keys, uint32_t key_count);
struct plan *plan_distinct_new(struct arena *arena, struct plan *input, struct expr **exprs,
    uint32_t expr_count);
/* After sets are set: columns of GROUPING() behind the others. */
void plan_aggregate_groupings(struct arena *arena, struct plan_aggregate *node,
    const int32_t *groupings, uint32_t count);
struct plan_aggregate *plan_aggregate_new(struct arena *arena, struct plan *input,
    struct expr **keys, uint32_t key_count, const struct plan_agg *aggs, uint32_t agg_count);
struct plan_join_hash *plan_join_hash_new(struct arena *arena, enum join_kind kind,
    struct plan *left, struct plan *right, struct expr **left_keys, struct expr **right_keys,
    uint32_t key_count, struct expr *condition);
struct plan_join_loop *plan_join_loop_new(struct arena *arena, enum join_kind kind,
    struct plan *left, struct plan *right, struct expr *condition, bool lateral);
struct plan *plan_append_new(struct arena *arena, struct plan **inputs, uint32_t count);
struct plan *plan_setop_new(struct arena *arena, enum setop_kind kind, struct plan *left,
    struct plan *right);
struct plan *plan_cte_scan_new(struct arena *arena, struct plan_cte *cte);
/* The recursive term is set later (plan.right), since it holds work scans. */
struct plan_recursive *plan_recursive_new(struct arena *arena, struct plan *base, bool distinct);
struct plan *plan_work_scan_new(struct arena *arena, const struct plan_recursive *of);
struct plan_window *plan_window_new(struct arena *arena, struct plan *input,
    const struct window_call *calls, const struct str *names, uint32_t call_count);
/* No columns and one row: SELECT 1. Else row_count rows of column_count exprs; types are
 * those of the first row. */
struct plan *plan_values_new(struct arena *arena, struct expr **exprs, uint32_t row_count,
    uint32_t column_count, const struct str *names);
struct plan *plan_feed_new(struct arena *arena, const struct plan_column *columns, uint32_t count);
struct plan *plan_scan_catalog_new(struct arena *arena, struct str sql, struct expr **params,
    uint32_t param_count, const struct plan_column *columns, uint32_t count);
struct plan *plan_function_scan_new(struct arena *arena, struct expr **calls, uint32_t call_count,
    bool ordinality, const struct plan_column *columns, uint32_t count);
struct plan_subscribe *plan_subscribe_new(struct arena *arena, struct plan *input,
    const struct plan_scan_topic *scan, bool progress);
struct plan_insert *plan_insert_new(struct arena *arena, struct plan *input,
    const struct plan_topic *topic, const enum scan_column *returning, uint32_t count);

const char *plan_kind_name(enum plan_kind kind); /* "Topic Scan", "Hash Join", ... */

#endif
