/* SPDX-License-Identifier: Apache-2.0
 *
 * What a partition knows about each idempotent or transactional producer: its
 * epoch, its last five batches, and its open transaction.
 *
 *   unknown --batch--> known, no transaction --transactional batch--> open
 *   open --marker--> known (and completed until the marker is below the high
 *   watermark) --silence--> unknown
 *
 * A client's transaction is opened here only under a guard: taken before its
 * coordinator is asked, void as soon as a marker of the producer is written. So
 * a batch that comes late, behind the marker that ended its transaction, cannot
 * open it again and leave it hanging.
 *
 *   none --plog_txn_guard()--> guarded --first batch--> open, guard gone
 *   guarded --marker, unguard, expiry--> none
 *
 * 1. The list `open` holds exactly the producers with a txn_first_offset, by
 *    rising first offset; appends come in offset order, so new ones go last.
 * 2. batches are in the order of their sequences, all of the current epoch.
 * 3. A guard's number is never given twice. */
#include "log/log_int.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/fault.h"

enum { SNAPSHOT_VERSION = 1, SNAPSHOT_ENTRY = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8 };

void
producers_init(struct producers *producers)
{
    *producers = (struct producers){.snapshot_offset = -1};
    ox_map_init(&producers->by_id);
    ox_map_init(&producers->guards);
    ox_list_init(&producers->open);
}

static void
clear_guards(struct producers *producers)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&producers->guards, &at)) != NULL;)
        ox_free(entry->value);
    ox_map_fini(&producers->guards);
    ox_map_init(&producers->guards);
}

void
producers_clear(struct producers *producers)
{
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(&producers->by_id, &at)) != NULL) {
        struct producer *producer = entry->value;
        ox_free(producer->recall);
        ox_free(producer);
    }
    ox_map_fini(&producers->by_id);
    ox_map_init(&producers->by_id);
    clear_guards(producers);
    ox_list_init(&producers->open);
    producers->completed_count = 0;
}

void
producers_fini(struct producers *producers)
{
    producers_clear(producers);
    ox_map_fini(&producers->by_id);
    ox_map_fini(&producers->guards);
    ox_free(producers->completed);
    producers->completed = NULL;
}

static struct producer *
find(const struct producers *producers, int64_t id)
{
    return ox_map_get(&producers->by_id, ox_key_i64(&id));
}

static int32_t
sequence_add(int32_t sequence, int32_t n)
{
    uint32_t sum = (uint32_t)sequence + (uint32_t)n;
    return (int32_t)(sum > INT32_MAX ? sum - INT32_MAX - 1 : sum);
}

/* ---- guards ---- */

enum { GUARDS_MAX = 100000 };

ox_code
producers_guard(struct producers *producers, int64_t producer_id, int16_t producer_epoch,
    int32_t sequence, bool raised, uint64_t *guard_out)
{
    const struct producer *producer = find(producers, producer_id);
    *guard_out = 0;
    if (producer != NULL && producer_epoch < producer->epoch && ox_fault("txn.wrong_epoch") == OX_OK)
        return OX_INVALID_PRODUCER_EPOCH;
    if (producer != NULL && producer->txn_first_offset >= 0 && producer->epoch == producer_epoch)
        return OX_OK;
    struct txn_guard *guard = ox_map_get(&producers->guards, ox_key_i64(&producer_id));
    if (guard == NULL) {
        if (producers->guards.count >= GUARDS_MAX)
            clear_guards(producers);
        guard = ox_calloc(1, sizeof(*guard));
        *guard = (struct txn_guard){producer_id, ++producers->guard_last, sequence,
            producer_epoch, raised};
        ox_map_put(&producers->guards, ox_key_i64(&guard->producer_id), guard);
    }
    if (producer_epoch > guard->producer_epoch) {
        guard->producer_epoch = producer_epoch;
        guard->lowest_sequence = sequence;
    } else if (producer_epoch == guard->producer_epoch) {
        guard->lowest_sequence = OX_MIN(guard->lowest_sequence, sequence);
    }
    guard->raised |= raised;
    *guard_out = guard->guard;
    return OX_OK;
}

static void
drop_guard(struct producers *producers, int64_t producer_id)
{
    if (producers->guards.count > 0)
        ox_free(ox_map_remove(&producers->guards, ox_key_i64(&producer_id)));
}

void
producers_unguard(struct producers *producers, int64_t producer_id, uint64_t guard)
{
    const struct txn_guard *known = ox_map_get(&producers->guards, ox_key_i64(&producer_id));
    if (known != NULL && known->guard == guard)
        drop_guard(producers, producer_id);
}

/* ---- may it be written? ---- */

/* The marker that ends a transaction. */
static ox_code
check_marker(const struct producer *producer, const struct log_append *append, struct ox_err *err)
{
    const struct record_batch *batch = &append->batch;
    struct control_record control;
    ox_code rc = record_batch_control(batch, &control, err);
    if (rc != OX_OK || producer == NULL || control.type == CONTROL_UNKNOWN)
        return rc;
    bool again = append->txn_version >= 2 && batch->producer_epoch == producer->epoch &&
                 producer->txn_first_offset >= 0;
    if (batch->producer_epoch < producer->epoch || again)
        return ox_fail(err, OX_INVALID_PRODUCER_EPOCH,
            "marker of producer %lld has epoch %d, known is %d", (long long)batch->producer_id,
            batch->producer_epoch, producer->epoch);
    if (control.coordinator_epoch < producer->coordinator_epoch)
        return ox_fail(err, OX_TRANSACTION_COORDINATOR_FENCED,
            "marker of producer %lld comes from coordinator epoch %d, seen %d",
            (long long)batch->producer_id, control.coordinator_epoch,
            producer->coordinator_epoch);
    return OX_OK;
}

static const struct producer_batch *
find_duplicate(const struct producer *producer, const struct record_batch *batch)
{
    int32_t last = sequence_add(batch->base_sequence, batch->last_offset_delta);
    if (producer->epoch != batch->producer_epoch)
        return NULL;
    for (uint32_t i = producer->batch_count; i-- > 0;)
        if (producer->batches[i].first_sequence == batch->base_sequence &&
            producer->batches[i].last_sequence == last)
            return &producer->batches[i];
    return NULL;
}

static ox_code
check_epoch(const struct producer *producer, const struct record_batch *batch, struct ox_err *err)
{
    if (batch->producer_epoch < producer->epoch && ox_fault("txn.wrong_epoch") == OX_OK)
        return ox_fail(err, OX_INVALID_PRODUCER_EPOCH,
            "producer %lld sent epoch %d, known is %d", (long long)producer->id,
            batch->producer_epoch, producer->epoch);
    return OX_OK;
}

/* A producer that is not known here may begin with any sequence: what came
 * before may have been deleted. So may one that had no epoch. */
static ox_code
check_sequence(const struct producer *producer, const struct record_batch *batch,
    struct ox_err *err)
{
    if (producer == NULL || producer->epoch < 0 || ox_fault("txn.wrong_sequence") != OX_OK)
        return OX_OK;
    int32_t expected = 0;
    if (batch->producer_epoch == producer->epoch && producer->batch_count > 0)
        expected =
            sequence_add(producer->batches[producer->batch_count - 1].last_sequence, 1);
    if (batch->base_sequence != expected)
        return ox_fail(err, OX_OUT_OF_ORDER_SEQUENCE,
            "producer %lld at epoch %d sent sequence %d, expected %d", (long long)producer->id,
            batch->producer_epoch, batch->base_sequence, expected);
    return OX_OK;
}

/* The first batch of a transaction: is the guard still good, and is it really
 * the first of those that were sent? */
static ox_code
check_guard(const struct producers *producers, const struct producer *producer,
    const struct log_append *append, struct ox_err *err)
{
    const struct record_batch *batch = &append->batch;
    if ((append->flags & LOG_TXN_VERIFIED) || ox_fault("txn.wrong_guard") != OX_OK)
        return OX_OK;
    const struct txn_guard *guard = ox_map_get(&producers->guards,
        ox_key_i64(&batch->producer_id));
    if (guard == NULL || guard->guard != append->txn_guard)
        return ox_fail(err, OX_INVALID_TXN_STATE,
            "batch of producer %lld is not part of an open transaction",
            (long long)batch->producer_id);
    if (batch->base_sequence < 0)
        return OX_OK;
    bool empty = producer == NULL || producer->batch_count == 0;
    int32_t first = guard->raised && empty ? 0 : guard->lowest_sequence;
    if (batch->base_sequence > first)
        return ox_fail(err, OX_OUT_OF_ORDER_SEQUENCE,
            "transaction of producer %lld begins with sequence %d, expected %d",
            (long long)batch->producer_id, batch->base_sequence, first);
    return OX_OK;
}

ox_code
producers_check(struct producers *producers, const struct log_append *append,
    const struct producer_batch **duplicate, struct ox_err *err)
{
    const struct record_batch *batch = &append->batch;
    *duplicate = NULL;
    if (batch->producer_id < 0)
        return OX_OK;
    const struct producer *producer = find(producers, batch->producer_id);
    if (record_batch_is_control(batch))
        return check_marker(producer, append, err);
    if (producer != NULL && batch->base_sequence >= 0)
        *duplicate = find_duplicate(producer, batch);
    if (*duplicate != NULL)
        return OX_OK;
    bool transactional = record_batch_is_transactional(batch);
    bool open = producer != NULL && producer->txn_first_offset >= 0;
    ox_code rc = producer == NULL ? OX_OK : check_epoch(producer, batch, err);
    if (rc == OX_OK && transactional && !(open && producer->epoch == batch->producer_epoch))
        rc = check_guard(producers, producer, append, err);
    if (rc == OX_OK && batch->base_sequence >= 0)
        rc = check_sequence(producer, batch, err);
    if (rc == OX_OK && !transactional && open)
        return ox_fail(err, OX_INVALID_TXN_STATE,
            "producer %lld has an open transaction, but its batch is not part of one",
            (long long)batch->producer_id);
    return rc;
}

static void
add_completed(struct producers *producers, int64_t first, int64_t last)
{
    if (producers->completed_count == producers->completed_cap) {
        producers->completed_cap = OX_MAX(producers->completed_cap * 2, 8u);
        producers->completed = ox_realloc(producers->completed,
            ox_size_mul(producers->completed_cap, sizeof(*producers->completed)));
    }
    producers->completed[producers->completed_count++] = (struct completed_txn){first, last};
}

/* The open transaction of the producer ends with the marker at `last`. */
static bool
end_txn(struct producers *producers, struct producer *producer, int64_t last, bool abort,
    struct log_aborted_txn *aborted)
{
    int64_t first = producer->txn_first_offset;
    if (first < 0)
        return false;
    producer->txn_first_offset = -1;
    ox_list_remove(&producer->txn_link);
    add_completed(producers, first, last);
    int64_t stable = last + 1;
    if (!ox_list_empty(&producers->open)) {
        struct producer *oldest =
            ox_container_of(producers->open.next, struct producer, txn_link);
        stable = OX_MIN(stable, oldest->txn_first_offset);
    }
    *aborted = (struct log_aborted_txn){producer->id, first, last, stable};
    return abort;
}

static struct producer *
find_or_add(struct producers *producers, const struct record_batch *batch)
{
    struct producer *producer = find(producers, batch->producer_id);
    if (producer != NULL)
        return producer;
    producer = ox_calloc(1, sizeof(*producer));
    producer->id = batch->producer_id;
    producer->epoch = batch->producer_epoch;
    producer->coordinator_epoch = -1;
    producer->txn_first_offset = -1;
    ox_list_init(&producer->txn_link);
    ox_map_put(&producers->by_id, ox_key_i64(&producer->id), producer);
    return producer;
}

/* Appends to the last five; returns how many there are now. */
static uint32_t
push_batch(struct producer_batch *batches, uint32_t count, const struct record_batch *batch)
{
    if (count == PRODUCER_BATCHES)
        memmove(batches, batches + 1, --count * sizeof(batches[0]));
    batches[count] = (struct producer_batch){
        .first_sequence = batch->base_sequence,
        .last_sequence = sequence_add(batch->base_sequence, batch->last_offset_delta),
        .offset_delta = batch->last_offset_delta,
        .last_offset = record_batch_last_offset(batch),
        .timestamp = batch->max_timestamp,
    };
    return count + 1;
}

bool
producers_update(struct producers *producers, const struct record_batch *batch,
    const struct control_record *control, struct log_aborted_txn *aborted)
{
    if (batch->producer_id < 0)
        return false;
    if (record_batch_is_control(batch) && control->type == CONTROL_UNKNOWN)
        return false;
    struct producer *producer = find_or_add(producers, batch);
    producers->changed = true;
    if (batch->producer_epoch != producer->epoch) {
        producer->epoch = batch->producer_epoch;
        producer->batch_count = 0;
    }
    producer->last_timestamp = batch->max_timestamp;
    producer->active_ms = producers->now_ms;
    if (record_batch_is_control(batch) || record_batch_is_transactional(batch))
        drop_guard(producers, batch->producer_id);
    if (record_batch_is_control(batch)) {
        producer->coordinator_epoch = control->coordinator_epoch;
        return end_txn(producers, producer, record_batch_last_offset(batch),
            control->type == CONTROL_ABORT, aborted);
    }
    if (batch->base_sequence >= 0)
        producer->batch_count = push_batch(producer->batches, producer->batch_count, batch);
    if (record_batch_is_transactional(batch) && producer->txn_first_offset < 0) {
        producer->txn_first_offset = batch->base_offset;
        ox_list_push(&producers->open, &producer->txn_link);
    }
    return false;
}

int64_t
producers_first_unstable(const struct producers *producers)
{
    int64_t first = INT64_MAX;
    if (!ox_list_empty(&producers->open))
        first = ox_container_of(producers->open.next, struct producer, txn_link)
                    ->txn_first_offset;
    for (uint32_t i = 0; i < producers->completed_count; i++)
        first = OX_MIN(first, producers->completed[i].first_offset);
    return first;
}

void
producers_high_watermark(struct producers *producers, int64_t offset)
{
    uint32_t keep = 0;
    for (uint32_t i = 0; i < producers->completed_count; i++)
        if (producers->completed[i].last_offset >= offset)
            producers->completed[keep++] = producers->completed[i];
    producers->completed_count = keep;
}

void
producers_expire(struct producers *producers, int64_t now_ms, int64_t age_ms)
{
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(&producers->by_id, &at)) != NULL) {
        struct producer *producer = entry->value;
        int64_t last_ms = OX_MAX(producer->last_timestamp, producer->active_ms);
        if (producer->txn_first_offset >= 0 || now_ms - last_ms <= age_ms)
            continue;
        ox_map_remove(&producers->by_id, ox_key_i64(&producer->id));
        ox_free(producer);
        producers->changed = true;
    }
}

/* ---- recalling batches from before a snapshot ---- */

struct producer_recall {
    struct producer_batch batches[PRODUCER_BATCHES];
    uint32_t count;
};

void
producers_recall(struct producers *producers, const struct record_batch *batch)
{
    struct producer *producer = find(producers, batch->producer_id);
    if (producer == NULL || producer->batch_count == 0 || batch->base_sequence < 0 ||
        record_batch_is_control(batch) || batch->producer_epoch != producer->epoch)
        return;
    if (producer->recall == NULL)
        producer->recall = ox_calloc(1, sizeof(*producer->recall));
    producer->recall->count = push_batch(producer->recall->batches, producer->recall->count, batch);
}

/* What was recalled is taken where it ends with the batch of the snapshot and
 * has no gap. */
void
producers_recalled(struct producers *producers)
{
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(&producers->by_id, &at)) != NULL) {
        struct producer *producer = entry->value;
        struct producer_recall *recall = producer->recall;
        if (recall == NULL)
            continue;
        const struct producer_batch *last = &recall->batches[recall->count - 1];
        uint32_t first = recall->count - 1;
        while (first > 0 && sequence_add(recall->batches[first - 1].last_sequence, 1) ==
                                recall->batches[first].first_sequence)
            first--;
        if (last->last_offset == producer->batches[0].last_offset &&
            last->last_sequence == producer->batches[0].last_sequence) {
            producer->batch_count = recall->count - first;
            memcpy(producer->batches, recall->batches + first,
                producer->batch_count * sizeof(producer->batches[0]));
        }
        ox_free(recall);
        producer->recall = NULL;
    }
}

bool
producers_txn_open(const struct producers *producers, int64_t producer_id)
{
    const struct producer *producer = find(producers, producer_id);
    return producer != NULL && producer->txn_first_offset >= 0;
}

void
producers_encode(const struct producers *producers, struct text *text)
{
    struct wire_out out = wire_out(text);
    size_t start = text->len;
    wire_put16(&out, SNAPSHOT_VERSION);
    wire_put32(&out, 0);
    wire_put32(&out, (int32_t)producers->by_id.count);
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(&producers->by_id, &at)) != NULL) {
        const struct producer *producer = entry->value;
        struct producer_batch last = {-1, -1, 0, -1, -1};
        if (producer->batch_count > 0)
            last = producer->batches[producer->batch_count - 1];
        wire_put64(&out, producer->id);
        wire_put16(&out, producer->epoch);
        wire_put32(&out, last.last_sequence);
        wire_put64(&out, last.last_offset);
        wire_put32(&out, last.offset_delta);
        wire_put64(&out, OX_MAX(producer->last_timestamp, producer->active_ms));
        wire_put32(&out, producer->coordinator_epoch);
        wire_put64(&out, producer->txn_first_offset);
    }
    char *at_crc = text->ptr + start + 2;
    wire_store32(at_crc, ox_crc32c(0, at_crc + 4, text->len - start - 6));
}

/* Puts a producer of a snapshot among the open ones, by first offset. */
static void
insert_open(struct producers *producers, struct producer *producer)
{
    struct list *after = producers->open.prev;
    while (after != &producers->open &&
           ox_container_of(after, struct producer, txn_link)->txn_first_offset >
               producer->txn_first_offset)
        after = after->prev;
    ox_list_add_after(after, &producer->txn_link);
}

static bool
decode_one(struct producers *producers, struct wire_in *in)
{
    struct record_batch key = {.producer_id = wire_get64(in)};
    int16_t epoch = wire_get16(in);
    int32_t last_sequence = wire_get32(in);
    int64_t last_offset = wire_get64(in);
    int32_t delta = wire_get32(in);
    int64_t timestamp = wire_get64(in);
    int32_t coordinator_epoch = wire_get32(in);
    int64_t txn_first = wire_get64(in);
    if (in->failed || key.producer_id < 0 || find(producers, key.producer_id) != NULL ||
        delta < 0)
        return false;
    struct producer *producer = find_or_add(producers, &key);
    producer->epoch = epoch;
    producer->last_timestamp = producer->active_ms = timestamp;
    producer->coordinator_epoch = coordinator_epoch;
    if (last_sequence >= 0) {
        int64_t first = (int64_t)last_sequence - delta;
        if (first < 0)
            first += (int64_t)INT32_MAX + 1;
        producer->batches[0] =
            (struct producer_batch){(int32_t)first, last_sequence, delta, last_offset, timestamp};
        producer->batch_count = 1;
    }
    if (txn_first >= 0) {
        producer->txn_first_offset = txn_first;
        insert_open(producers, producer);
    }
    return true;
}

ox_code
producers_decode(struct producers *producers, const void *ptr, size_t len, struct ox_err *err)
{
    struct wire_in in = wire_in(ptr, len);
    producers_clear(producers);
    int16_t version = wire_get16(&in);
    uint32_t crc = (uint32_t)wire_get32(&in);
    if (in.failed || version != SNAPSHOT_VERSION || ox_crc32c(0, in.at, wire_left(&in)) != crc)
        return ox_fail(err, OX_DATA_CORRUPTED, "producer snapshot has a wrong checksum");
    int32_t count = wire_get32(&in);
    if (in.failed || count < 0 || (size_t)count != wire_left(&in) / SNAPSHOT_ENTRY ||
        wire_left(&in) % SNAPSHOT_ENTRY != 0)
        return ox_fail(err, OX_DATA_CORRUPTED, "producer snapshot has a wrong count");
    for (int32_t i = 0; i < count; i++)
        if (!decode_one(producers, &in)) {
            producers_clear(producers);
            return ox_fail(err, OX_DATA_CORRUPTED, "producer snapshot has a bad entry");
        }
    return OX_OK;
}
