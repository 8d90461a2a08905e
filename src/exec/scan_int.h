/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scans of topics share: bounds evaluated, positions, the decoder of
 * record batches into columns. */
#ifndef EXEC_SCAN_INT_H
#define EXEC_SCAN_INT_H

#include "engine/engine.h"
#include "exec/exec_int.h"
#include "log/log.h"

/* The bounds of a scan, evaluated at open. Offsets and times are half open. */
struct scan_bounds {
    bool empty; /* some bound is NULL or they contradict each other */
    int64_t offset_from, offset_to;
    int64_t us_from, us_to; /* timestamptz; INT64_MIN, INT64_MAX: none (then NULL passes) */
    bool timed;
    const int64_t *partitions; /* wanted, sorted; NULL all */
    uint32_t partition_count;
    int64_t partition_from, partition_to;
    const int64_t *offsets; /* = ANY: wanted, sorted; NULL all */
    uint32_t offset_count;
    const struct str *keys; /* wanted; NULL all */
    uint32_t key_count;
    bool keys_are_text; /* compare with the text form of the key */
    /* TABLESAMPLE: what hashes below it is in. UINT64_MAX: all. */
    uint64_t sample_batches, sample_records, sample_seed;
};

static inline bool
scan_sampled(const struct scan_bounds *bounds, uint64_t below, int32_t partition, int64_t offset)
{
    int64_t at[2] = {partition, offset};
    return ox_hash(at, sizeof(at), bounds->sample_seed) < below;
}

bool scan_bounds_eval(struct op *op, const struct plan_scan_topic *plan, struct scan_bounds *out);
bool scan_bounds_partition(const struct scan_bounds *bounds, int32_t partition);
/* Narrow [from, to) to what the bounds allow. */
void scan_bounds_range(const struct scan_bounds *bounds, int64_t *from, int64_t *to);

/* Which aborted transactions touch what is being read. Filled when the first
 * transactional batch is met. */
struct scan_aborted {
    struct log_aborted_txn *txns;
    size_t count;
    int64_t from, to; /* range it is known for; empty at first */
    struct arena arena;
};

void scan_aborted_init(struct scan_aborted *aborted);
void scan_aborted_fini(struct scan_aborted *aborted);
/* Whether the batch carries records of an aborted transaction; `to` is how far the
 * caller may read. False in *good: run_err() is set. */
bool scan_aborted_has(struct scan_aborted *aborted, struct exec_run *run, struct plog *plog,
    const struct record_batch *batch, int64_t to, bool *good);

/* Whether a plan's scan in this run reads what is not committed. */
static inline bool
scan_uncommitted(const struct exec_run *run, const struct plan_scan_topic *plan)
{
    return plan->uncommitted || (run->config.read_uncommitted && !plan->follow);
}

/* Partitions that the topic has now: it may have grown since the plan was made. */
uint32_t scan_partition_count(const struct exec_run *run, const struct plan_topic *topic);

/* Fixed columns in decode order. */
struct scan_sink {
    const struct plan_scan_topic *plan;
    const struct scan_bounds *bounds;
    struct arena *arena; /* of what a batch needs; reset by the caller between batches */
    uint32_t need;       /* bits: 1 << enum scan_column */
    bool want_key, want_value, want_headers, want_batch; /* parts of records to be kept */
    /* Rows so far. Arrays of VECTOR_MAX, NULL when not needed. */
    uint32_t count;
    int32_t *partition;
    uint32_t *topic;             /* index into plan->topics */
    int64_t *offset, *timestamp; /* ms, -1 none */
    struct str *key, *value, *headers;
    int32_t *header_count;
    struct record_batch *batch; /* facts of the row's batch */
    uint8_t *txn;               /* enum scan_txn of it */
};

enum scan_txn { SCAN_TXN_NONE, SCAN_TXN_COMMITTED, SCAN_TXN_ABORTED, SCAN_TXN_OPEN };

/* Where a decode stands inside one record batch. */
struct scan_cut {
    const uint8_t *at, *end;
    int32_t index, count; /* of records */
    struct record_batch batch;
    enum scan_txn txn;
    int32_t partition;
    uint32_t topic;
    int64_t from, to;   /* offsets wanted */
    const uint8_t *hit; /* next place of the first needle; NULL: not looked for */
    uint32_t *places;   /* backward: record starts from at0, still to be decoded */
    int32_t place_count;
    const uint8_t *at0;
    bool active;
    bool stopped; /* a record at or after stop_us was met */
    int64_t stop_us;
};

void scan_sink_init(struct scan_sink *sink, const struct plan_scan_topic *plan,
    const struct scan_bounds *bounds, struct arena *arena);
/* New arrays for the next output batch. */
void scan_sink_begin(struct scan_sink *sink);
/* Begin with a batch's plain records. */
void scan_cut_begin(
    struct scan_cut *cut, const struct record_batch *batch, const uint8_t *records, size_t len);
/* Decode until the batch ends or the sink is full. False: corrupt bytes, err set. *read:
 * records passed. cut->active tells whether there is more. */
bool scan_cut_forward(struct scan_cut *cut, struct scan_sink *sink, struct exec_counters *counters,
    struct ox_err *err);
bool scan_cut_backward(struct scan_cut *cut, struct scan_sink *sink, uint64_t limit,
    struct exec_counters *counters, struct ox_err *err);
/* The sink's rows as the plan's columns. */
void scan_sink_batch(struct scan_sink *sink, struct batch *out);

/* jsonb of encoded record headers. */
struct str scan_headers_json(struct str encoded, int32_t count, struct arena *arena);

/* '{0:12,1:99}'; fails with OX_INVALID_PARAMETER_VALUE. */
bool scan_parse_offsets(struct str text, struct arena *arena, struct exec_position **out,
    uint32_t *count, struct ox_err *err);

/* The newest rows by _timestamp are wanted: read partitions from their ends (before
 * open), and pass over batches that hold nothing at or after us (any time). */
void scan_newest_first(struct op *scan);
void scan_set_floor(struct op *scan, int64_t us);

/* For the subscribe operator and tokens. Positions hold once the scan has begun: PARK while
 * it looks for its start. */
enum exec_status scan_begin(struct op *scan);
uint32_t scan_positions(
    struct op *scan, struct exec_position **out, struct uuid *topic_id, struct arena *arena);
bool scan_caught_up(const struct op *scan);

#endif
