/* SPDX-License-Identifier: Apache-2.0
 *
 * INSERT: rows to record batches to partitions.
 *
 *   FILL --(input ends)--> SEND --(all sent)--> WAIT --(all answered)--> GIVE | end
 *
 * Rows go to the builder of their partition: the one that was asked for, else
 * by murmur2 of the key as Java's producer does, else, without a key, to one
 * partition until its batch is full and then to the next. A full batch
 * (BATCH_BYTES, or what the topic takes) joins the queue.
 *
 * A statement keeps its batches until the input has ended, so that a bad row
 * leaves nothing behind and a small INSERT is one batch for each partition; in
 * stream mode (COPY), or when the queue is over work_mem, batches are sent as
 * they fill. At most IN_FLIGHT_BYTES wait for their answer; then the operator
 * parks, and with it whoever feeds it.
 *
 * Invariants
 *  1. A batch is in exactly one of: the queue, `flying`, `landed`.
 *  2. After the first failure nothing is sent any more; the statement fails
 *     when the last answer is in. */
#include "exec/insert_int.h"

#include <inttypes.h>

#include "engine/engine.h"
#include "exec/scan_int.h"
#include "exec/store.h"

enum {
    BATCH_BYTES = 1024 * 1024,
    IN_FLIGHT_BYTES = 32 * 1024 * 1024,
    APPEND_TIMEOUT_MS = 30000,
    HEADER_SLACK = 128, /* of a batch, and of a codec that makes it larger */
};

/* A batch on its way. */
struct flight {
    struct engine_append call;
    struct insert *insert;
    struct list link;
    uint32_t count;
};

struct target {
    struct record_builder builder;
    bool begun;
    struct flight *flight; /* that the builder's batch will be */
};

/* A row to be returned. */
struct kept {
    struct flight *flight;
    uint32_t delta; /* in its batch */
    int32_t partition;
    int64_t timestamp;
};

struct insert {
    struct op op;
    struct target *targets; /* by partition */
    uint32_t partitions;
    uint32_t sticky; /* of rows without a key */
    struct plog_config config;
    size_t batch_max;
    struct record_builder_config builder_config;
    struct list queue, flying, landed;
    size_t queued, in_flight; /* bytes */
    struct batch *input;      /* of which rows from input_at are to be taken */
    uint32_t input_at;
    enum { FILL, SEND, WAIT, GIVE } phase;
    bool failed;
    struct ox_err err; /* the first failure */
    uint64_t rows;
    struct arena row_arena; /* of one input batch */
    /* RETURNING */
    struct kept *kept;
    uint64_t kept_count, kept_cap, give_at;
    struct rows kept_rows; /* key, value, headers, number of headers */
    struct plan_scan_topic columns;
    struct scan_bounds no_bounds;
    struct scan_sink sink;
    struct batch out;
};

static const struct type kept_types[] = {{TYPE_BYTEA, false, -1}, {TYPE_BYTEA, false, -1},
    {TYPE_BYTEA, false, -1}, {TYPE_INT8, false, -1}};

static const struct plan_insert *
plan_of(const struct insert *insert)
{
    return (const struct plan_insert *)insert->op.plan;
}

/* ---- open ------------------------------------------------------------------------------ */

static bool
insert_open(struct op *op)
{
    struct insert *insert = (struct insert *)op;
    const struct plan_insert *plan = plan_of(insert);
    struct exec_run *run = op->run;
    ox_list_init(&insert->queue);
    ox_list_init(&insert->flying);
    ox_list_init(&insert->landed);
    ox_arena_init(&insert->row_arena);
    insert->partitions = scan_partition_count(run, &plan->topic);
    insert->targets =
        ox_arena_alloc0(&op->arena, (insert->partitions + 1) * sizeof(*insert->targets));
    rows_init(&insert->kept_rows, kept_types, 4);
    struct partition *part;
    ox_code code = OX_NOT_LEADER;
    for (uint32_t i = 0; i < insert->partitions && code != OX_OK; i++)
        code = engine_partition(run->config.session, plan->topic.name, &plan->topic.id, (int32_t)i,
            ENGINE_WRITE, &part, run_err(run));
    if (code != OX_OK)
        return false;
    plog_get_config(partition_log(part), &insert->config);
    insert->batch_max = OX_MIN((size_t)BATCH_BYTES, (size_t)insert->config.max_message_bytes);
    insert->builder_config = RECORD_BUILDER_PLAIN;
    if (insert->config.compression != LOG_COMPRESSION_PRODUCER) {
        insert->builder_config.codec = (enum ox_codec)insert->config.compression;
        switch (insert->builder_config.codec) {
        case OX_CODEC_GZIP:
            insert->builder_config.level = insert->config.gzip_level;
            break;
        case OX_CODEC_LZ4:
            insert->builder_config.level = insert->config.lz4_level;
            break;
        case OX_CODEC_ZSTD:
            insert->builder_config.level = insert->config.zstd_level;
            break;
        default:
            break;
        }
    }
    if (insert->partitions > 1) {
        env_random(run->config.env, &insert->sticky, sizeof(insert->sticky));
        insert->sticky %= insert->partitions;
    }
    insert->columns = (struct plan_scan_topic){
        .plan = *op->plan, .topics = &plan->topic, .topic_count = 1, .what = plan->what};
    scan_sink_init(&insert->sink, &insert->columns, &insert->no_bounds, &op->scratch);
    insert->phase = FILL;
    insert->failed = false;
    insert->input = NULL;
    insert->rows = insert->kept_count = insert->give_at = 0;
    insert->queued = insert->in_flight = 0;
    return true;
}

static void
drop_list(struct list *list, bool forget)
{
    struct list *node;
    while (list->next != NULL && (node = ox_list_pop(list)) != NULL) {
        struct flight *flight = ox_container_of(node, struct flight, link);
        if (forget)
            engine_append_forget(&flight->call);
        ox_buf_put(flight->call.records.buf);
        ox_free(flight);
    }
}

static void
insert_close(struct op *op)
{
    struct insert *insert = (struct insert *)op;
    for (uint32_t i = 0; insert->targets != NULL && i < insert->partitions; i++) {
        if (insert->targets[i].begun)
            record_builder_fini(&insert->targets[i].builder);
        ox_free(insert->targets[i].flight);
    }
    insert->targets = NULL;
    drop_list(&insert->queue, false);
    drop_list(&insert->flying, true);
    drop_list(&insert->landed, false);
    ox_free(insert->kept);
    insert->kept = NULL;
    insert->kept_cap = 0;
    rows_fini(&insert->kept_rows);
    ox_arena_fini(&insert->row_arena);
}

/* ---- sending ----------------------------------------------------------------------------- */

static void
landed(struct flight *flight)
{
    struct insert *insert = flight->insert;
    ox_list_remove(&flight->link);
    ox_list_push(&insert->landed, &flight->link);
    insert->in_flight -= flight->call.records.len;
    if (flight->call.code == OX_OK) {
        insert->op.run->rows_durable += flight->count;
    } else if (!insert->failed) {
        insert->failed = true;
        insert->err = flight->call.err;
        insert->err.code = flight->call.code;
        if (flight->call.record_error_count > 0)
            ox_detail(&insert->err, "%s.", flight->call.record_errors[0].message);
    }
    ox_buf_put(flight->call.records.buf);
    flight->call.records.buf = NULL;
}

static void
append_done(struct engine_append *call)
{
    struct flight *flight = ox_container_of(call, struct flight, call);
    struct exec_run *run = flight->insert->op.run;
    landed(flight);
    run_wake(run);
}

static void
send_one(struct insert *insert)
{
    struct flight *flight = ox_container_of(ox_list_pop(&insert->queue), struct flight, link);
    const struct plan_insert *plan = plan_of(insert);
    struct engine_append *call = &flight->call;
    call->sess = insert->op.run->config.session;
    call->topic = plan->topic.name;
    call->topic_id = plan->topic.id;
    call->acks = insert->op.run->config.acks == INSERT_ACKS_ALL      ? -1
                 : insert->op.run->config.acks == INSERT_ACKS_LEADER ? 1
                                                                     : 0;
    call->timeout_ms = APPEND_TIMEOUT_MS;
    call->produce_version = INT16_MAX;
    call->arena = &insert->op.arena;
    call->done = append_done;
    insert->queued -= call->records.len;
    insert->in_flight += call->records.len;
    ox_list_push(&insert->flying, &flight->link);
    if (engine_append(call))
        landed(flight);
}

/* As much as may fly. False: the window is full, or nothing more is to be sent. */
static bool
send_queued(struct insert *insert)
{
    while (!ox_list_empty(&insert->queue)) {
        if (insert->failed || insert->in_flight >= IN_FLIGHT_BYTES)
            return false;
        send_one(insert);
    }
    return true;
}

/* The builder's batch joins the queue. */
static bool
end_batch(struct insert *insert, uint32_t partition)
{
    struct target *target = &insert->targets[partition];
    struct flight *flight = target->flight;
    if (flight == NULL)
        return true;
    flight->count = (uint32_t)target->builder.count;
    flight->call.partition = (int32_t)partition;
    target->flight = NULL;
    if (record_builder_finish(&target->builder, &flight->call.records, run_err(insert->op.run)) !=
        OX_OK) {
        ox_free(flight);
        return false;
    }
    insert->queued += flight->call.records.len;
    ox_list_push(&insert->queue, &flight->link);
    return true;
}

/* ---- rows -------------------------------------------------------------------------------- */

struct row {
    struct str key, value, headers;
    int32_t header_count;
    int64_t timestamp;
    int32_t partition;
};

static struct str
bytes_of(const struct batch *in, int column, uint32_t row)
{
    if (column < 0 || vector_null(&in->cols[column], row))
        return OX_STR_NULL;
    const struct vector *col = &in->cols[column];
    struct str s = col->s[col->constant ? 0 : row];
    return s.ptr != NULL ? s : OX_STR("");
}

static bool
pick_partition(struct insert *insert, const struct batch *in, uint32_t row, struct row *to)
{
    const struct plan_insert *plan = plan_of(insert);
    if (plan->partition >= 0 && !vector_null(&in->cols[plan->partition], row)) {
        int64_t asked = vector_get(&in->cols[plan->partition], row).i;
        if (asked < 0 || asked >= insert->partitions) {
            ox_fail(run_err(insert->op.run), OX_INVALID_PARAMETER_VALUE,
                "topic \"%.*s\" has no partition %" PRId64, OX_STR_ARG(plan->topic.name), asked);
            ox_detail(run_err(insert->op.run), "Its partitions are 0 to %u.", insert->partitions - 1);
            return false;
        }
        to->partition = (int32_t)asked;
    } else if (to->key.ptr != NULL) {
        to->partition =
            (int32_t)((exec_murmur2(to->key.ptr, to->key.len) & 0x7fffffff) % insert->partitions);
    } else {
        to->partition = (int32_t)insert->sticky;
    }
    return true;
}

static bool
read_row(struct insert *insert, const struct batch *in, uint32_t row, struct row *to)
{
    const struct plan_insert *plan = plan_of(insert);
    to->key = bytes_of(in, plan->key, row);
    to->value = bytes_of(in, plan->value, row);
    to->headers = OX_STR("");
    to->header_count = 0;
    struct str headers = bytes_of(in, plan->headers, row);
    if (headers.ptr != NULL && insert_headers(headers, &insert->row_arena, &to->headers,
                                   &to->header_count, run_err(insert->op.run)) != OX_OK)
        return false;
    to->timestamp = env_wall_ms(insert->op.run->config.env);
    if (plan->timestamp >= 0 && !vector_null(&in->cols[plan->timestamp], row)) {
        int64_t us = vector_get(&in->cols[plan->timestamp], row).i;
        if (us == INT64_MIN || us == INT64_MAX) {
            ox_fail(run_err(insert->op.run), OX_DATETIME_FIELD_OVERFLOW,
                "_timestamp of a record cannot be infinite");
            return false;
        }
        int64_t ms = us >= 0 ? us / 1000 : -((999 - us) / 1000);
        to->timestamp = ms + ROW_EPOCH_UNIX_S * 1000;
        if (to->timestamp < 0) {
            ox_fail(run_err(insert->op.run), OX_DATETIME_FIELD_OVERFLOW,
                "_timestamp of a record must not lie before 1970");
            return false;
        }
    }
    return pick_partition(insert, in, row, to);
}

static void
keep_row(struct insert *insert, const struct row *row)
{
    struct target *target = &insert->targets[row->partition];
    if (insert->kept_count == insert->kept_cap) {
        insert->kept_cap = OX_MAX(insert->kept_cap * 2, (uint64_t)64);
        insert->kept = ox_realloc(insert->kept, insert->kept_cap * sizeof(*insert->kept));
    }
    insert->kept[insert->kept_count++] = (struct kept){
        target->flight, (uint32_t)target->builder.count, row->partition, row->timestamp};
    struct datum values[4] = {
        {.null = row->key.ptr == NULL || !insert->sink.want_key, .s = row->key},
        {.null = row->value.ptr == NULL || !insert->sink.want_value, .s = row->value},
        {.s = insert->sink.want_headers ? row->headers : OX_STR("")},
        {.i = row->header_count},
    };
    rows_add_datums(&insert->kept_rows, values);
}

static bool
add_row(struct insert *insert, const struct row *row)
{
    const struct plan_insert *plan = plan_of(insert);
    struct target *target = &insert->targets[row->partition];
    size_t need = record_builder_need(row->key, row->value, row->headers.len);
    if (need + RECORD_BATCH_HEADER > (size_t)insert->config.max_message_bytes + HEADER_SLACK) {
        ox_fail(run_err(insert->op.run), OX_MESSAGE_TOO_LARGE,
            "record of %zu bytes exceeds \"max.message.bytes\" (%d) of topic \"%.*s\"", need,
            insert->config.max_message_bytes, OX_STR_ARG(plan->topic.name));
        return false;
    }
    if (target->flight != NULL && record_builder_len(&target->builder) + need > insert->batch_max) {
        if (!end_batch(insert, (uint32_t)row->partition))
            return false;
        if (row->key.ptr == NULL)
            insert->sticky = (insert->sticky + 1) % insert->partitions;
    }
    if (!target->begun) {
        record_builder_init(&target->builder);
        target->begun = true;
    }
    if (target->flight == NULL) {
        target->flight = ox_calloc(1, sizeof(*target->flight));
        target->flight->insert = insert;
        ox_list_init(&target->flight->link);
        record_builder_begin(&target->builder, &insert->builder_config);
    }
    if (insert->op.plan->column_count > 0)
        keep_row(insert, row);
    record_builder_add_encoded(
        &target->builder, row->timestamp, row->key, row->value, row->header_count, row->headers);
    insert->rows++;
    return true;
}

/* Rows of the input batch at hand. */
static enum exec_status
take_rows(struct insert *insert)
{
    const struct plan_insert *plan = plan_of(insert);
    struct batch *in = insert->input;
    uint32_t n = in->sel != NULL ? in->sel_count : in->count;
    ox_arena_reset(&insert->row_arena);
    for (; insert->input_at < n; insert->input_at++) {
        struct row row;
        if (!read_row(insert, in, batch_row(in, insert->input_at), &row) || !add_row(insert, &row))
            return EXEC_FAIL;
    }
    insert->input = NULL;
    if (!plan->stream && insert->queued <= insert->op.run->config.work_mem)
        return EXEC_ROWS;
    return send_queued(insert) || insert->failed ? EXEC_ROWS : EXEC_PARK;
}

static enum exec_status
fill(struct insert *insert)
{
    struct op *op = &insert->op;
    while (!insert->failed) {
        if (insert->in_flight >= IN_FLIGHT_BYTES)
            return EXEC_PARK;
        enum exec_status status = op_next(op->input, &insert->input);
        if (status == EXEC_DONE)
            break;
        if (status != EXEC_ROWS)
            return status;
        insert->input_at = 0;
        status = take_rows(insert);
        if (status != EXEC_ROWS)
            return status;
    }
    for (uint32_t i = 0; !insert->failed && i < insert->partitions; i++)
        if (!end_batch(insert, i))
            return EXEC_FAIL;
    return EXEC_ROWS;
}

/* ---- RETURNING ------------------------------------------------------------------------------ */

static enum exec_status
give(struct insert *insert, struct batch **out)
{
    struct scan_sink *sink = &insert->sink;
    uint32_t n = (uint32_t)OX_MIN(insert->kept_count - insert->give_at, (uint64_t)VECTOR_MAX);
    if (n == 0)
        return EXEC_DONE;
    if (run_over_budget(insert->op.run))
        return EXEC_PARK;
    ox_arena_reset(&insert->op.scratch);
    scan_sink_begin(sink);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = insert->give_at + i;
        const struct kept *kept = &insert->kept[at];
        const struct engine_append *call = &kept->flight->call;
        bool stamped = call->append_time_ms >= 0;
        sink->partition[i] = kept->partition;
        sink->offset[i] = call->base_offset + kept->delta;
        sink->timestamp[i] = stamped ? call->append_time_ms : kept->timestamp;
        if (sink->key != NULL)
            sink->key[i] = rows_get(&insert->kept_rows, at, 0).s;
        if (sink->value != NULL)
            sink->value[i] = rows_get(&insert->kept_rows, at, 1).s;
        if (sink->want_headers) {
            sink->headers[i] = rows_get(&insert->kept_rows, at, 2).s;
            sink->header_count[i] = (int32_t)rows_get(&insert->kept_rows, at, 3).i;
        }
        if (sink->want_batch)
            sink->txn[i] = SCAN_TXN_NONE;
        if (sink->want_batch)
            sink->batch[i] = (struct record_batch){.base_offset = call->base_offset,
                .leader_epoch = call->leader_epoch,
                .producer_id = -1,
                .producer_epoch = -1,
                .base_sequence = -1,
                .attributes = (int16_t)(insert->builder_config.codec |
                                        (stamped ? RECORD_LOG_APPEND_TIME : 0))};
    }
    sink->count = n;
    scan_sink_batch(sink, &insert->out);
    insert->give_at += n;
    *out = &insert->out;
    return EXEC_ROWS;
}

static enum exec_status
insert_next(struct op *op, struct batch **out)
{
    struct insert *insert = (struct insert *)op;
    for (;;) {
        enum exec_status status;
        switch (insert->phase) {
        case FILL:
            status = fill(insert);
            if (status != EXEC_ROWS)
                return status;
            insert->phase = SEND;
            break;
        case SEND:
            if (!send_queued(insert) && !insert->failed)
                return EXEC_PARK;
            insert->phase = WAIT;
            break;
        case WAIT:
            if (!ox_list_empty(&insert->flying))
                return EXEC_PARK;
            if (insert->failed) {
                *run_err(op->run) = insert->err;
                if (op->run->rows_durable > 0 && insert->err.detail[0] == 0)
                    ox_detail(run_err(op->run), "%" PRIu64 " rows are in the topic already.",
                        op->run->rows_durable);
                return EXEC_FAIL;
            }
            if (op->plan->column_count == 0) {
                op->run->rows += insert->rows;
                return EXEC_DONE;
            }
            insert->phase = GIVE;
            break;
        case GIVE:
            return give(insert, out);
        }
    }
}

const struct op_ops op_insert = {
    .size = sizeof(struct insert),
    .open = insert_open,
    .next = insert_next,
    .close = insert_close,
};
