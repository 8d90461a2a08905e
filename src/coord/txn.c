/* SPDX-License-Identifier: Apache-2.0
 *
 * The transaction coordinator: for each transactional id which producer holds
 * it, which partitions its open transaction has touched, and how it ended.
 *
 *            InitProducerId                      InitProducerId, expiry
 *                 |                                       |
 *                 v       first partition                 |
 *               EMPTY ----------------------> ONGOING     |
 *                 |                           |     |     |
 *     abort of    |           EndTxn commit   |     |  EndTxn abort, time-out,
 *     nothing (2) |                           |     |  InitProducerId of another
 *                 |                           v     v     |
 *                 +------------> PREPARE_ABORT   PREPARE_COMMIT
 *                                     |               |  a marker in each partition
 *                                     v               v
 *                              COMPLETE_ABORT   COMPLETE_COMMIT --> ONGOING, EMPTY, gone
 *
 * Every arrow is one record of __transaction_state, and takes effect when that
 * is committed (txn_move). The record PREPARE_* is the decision: before it a
 * crash aborts (by time-out, or when the producer comes back), after it every
 * coordinator that loads the log writes the same markers again, until all are
 * in. The client is answered at the decision.
 *
 * Two protocols. In the first the epoch stays with the producer until it calls
 * InitProducerId again, and a marker bears the epoch of the records. In the
 * second (KIP-890) every end raises the epoch, the marker bears the raised one,
 * and so a record that comes late is of an old epoch wherever it arrives. When
 * the epochs are used up, the end gives the client another producer id.
 *
 * Who fences (InitProducerId on an open transaction, a time-out) aborts as the
 * second protocol does, and so raises the epoch. Only a producer that timed out
 * itself, and says so in InitProducerId, is told that epoch.
 *
 * Invariants:
 * 1. moving is set from the moment an id is asked for or a record submitted to
 *    the commit of that record, and from PREPARE_* to COMPLETE_*: what else
 *    comes meanwhile is told OX_CONCURRENT_TRANSACTIONS, or waits.
 * 2. Partitions are touched in ONGOING and PREPARE_* only.
 * 3. A marker that is out names its transaction, unless the shard was unloaded;
 *    shard->outside counts all that are out.
 * 4. If the log refuses a record, the shard loads again: memory never differs
 *    from the log for longer than that. */
#include "base/diag.h"
#include "base/fault.h"
#include "base/wire.h"
#include "coord/txn_int.h"
#include "gen/disk.gen.h"

enum { KEY_VERSION = 0, VALUE_VERSION = 1, MARKER_RETRY_MS = 50, PATIENCE_MS = 100 };

const char *
txn_state_name(enum txn_state state)
{
    static const char *const names[] = {"Empty", "Ongoing", "PrepareCommit", "PrepareAbort",
        "CompleteCommit", "CompleteAbort", "Dead"};
    return names[state];
}

bool
coord_txn_state_known(struct str name)
{
    for (enum txn_state state = TXN_EMPTY; state <= TXN_DEAD; state++)
        if (ox_str_is(name, txn_state_name(state)))
            return true;
    return ox_str_is(name, "PrepareEpochFence");
}

/* ---- a transactional id ---- */

struct txn *
txn_find(struct shard *shard, struct str id)
{
    return ox_map_get(&shard->txns, id);
}

struct txn *
txn_new(struct shard *shard, struct str id, const struct txn_facts *facts)
{
    struct txn *txn = ox_calloc(1, sizeof(*txn));
    txn->shard = shard;
    txn->id = heap_str(id);
    txn->now = *facts;
    ox_map_init(&txn->topics);
    ox_list_init(&txn->waiters);
    ox_list_init(&txn->markers);
    ox_map_put(&shard->txns, txn->id, txn);
    return txn;
}

static void
clear_parts(struct txn *txn)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&txn->topics, &at)) != NULL;) {
        struct txn_topic *topic = entry->value;
        heap_str_free(&topic->name);
        ox_free(topic->partitions);
        ox_free(topic);
    }
    ox_map_fini(&txn->topics);
    ox_map_init(&txn->topics);
    txn->part_count = 0;
}

/* Where the partition is, or belongs. */
static uint32_t
part_slot(const struct txn_topic *topic, int32_t partition)
{
    uint32_t low = 0, high = topic->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (topic->partitions[mid] < partition)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool
txn_has(const struct txn *txn, struct str name, int32_t partition)
{
    const struct txn_topic *topic = ox_map_get(&txn->topics, name);
    if (topic == NULL)
        return false;
    uint32_t slot = part_slot(topic, partition);
    return slot < topic->count && topic->partitions[slot] == partition;
}

static void
add_part(struct txn *txn, struct str name, int32_t partition)
{
    struct txn_topic *topic = ox_map_get(&txn->topics, name);
    if (topic == NULL) {
        topic = ox_calloc(1, sizeof(*topic));
        topic->name = heap_str(name);
        ox_map_put(&txn->topics, topic->name, topic);
    }
    uint32_t slot = part_slot(topic, partition);
    if (slot < topic->count && topic->partitions[slot] == partition)
        return;
    if (topic->count == topic->cap) {
        topic->cap = OX_MAX(topic->cap * 2, 4u);
        topic->partitions =
            ox_realloc(topic->partitions, ox_size_mul(topic->cap, sizeof(*topic->partitions)));
    }
    memmove(topic->partitions + slot + 1, topic->partitions + slot,
        (topic->count - slot) * sizeof(*topic->partitions));
    topic->partitions[slot] = partition;
    topic->count++;
    txn->part_count++;
}

static void orphan_markers(struct txn *txn);

/* What waits was answered before. */
static void
txn_free(struct txn *txn)
{
    ox_assert(ox_list_empty(&txn->waiters));
    shard_timer_stop(txn->shard, &txn->retry);
    shard_timer_stop(txn->shard, &txn->patience);
    orphan_markers(txn);
    ox_map_remove(&txn->shard->txns, txn->id);
    clear_parts(txn);
    ox_map_fini(&txn->topics);
    heap_str_free(&txn->id);
    ox_free(txn);
}

static void
txn_check(const struct txn *txn)
{
    ox_assert(txn->now.state <= TXN_COMPLETE_ABORT);
    ox_assert(txn->part_count == 0 || txn->now.state == TXN_ONGOING || txn_preparing(txn));
    ox_assert(!txn_preparing(txn) || txn->moving);
    ox_assert(txn->now.epoch >= 0 || txn->now.state == TXN_EMPTY);
    ox_assert(ox_list_empty(&txn->markers) || txn_preparing(txn));
}

/* ---- records ---- */

static struct str
encode(struct arena *arena, const struct msg_type *type, const void *msg, int version)
{
    struct text text;
    ox_text_init(&text, arena);
    struct wire_out out = wire_out(&text);
    wire_put16(&out, (int16_t)version);
    msg_encode(type, msg, version, &out, NULL);
    return ox_text_str(&text);
}

static struct str
record_key(struct arena *arena, struct str id)
{
    struct transaction_log_key key = {id};
    return encode(arena, &transaction_log_key_type, &key, KEY_VERSION);
}

typedef struct transaction_log_value_transaction_partitions value_topic;

/* All partitions of the transaction, none for a state that has none. */
static void
list_parts(const struct txn *txn, struct arena *arena, struct transaction_log_value *value)
{
    struct map_entry *entry;
    value->transaction_partitions.at = ox_arena_array(arena, value_topic, txn->topics.count + 1);
    for (uint32_t at = 0; (entry = ox_map_next(&txn->topics, &at)) != NULL;) {
        const struct txn_topic *topic = entry->value;
        value_topic *out =
            &value->transaction_partitions.at[value->transaction_partitions.count++];
        out->topic = topic->name;
        out->partition_ids.at = topic->partitions;
        out->partition_ids.count = (int32_t)topic->count;
    }
}

static struct str
record_value(struct arena *arena, const struct txn *parts_of, const struct txn_facts *facts)
{
    struct transaction_log_value value;
    transaction_log_value_init(&value);
    value.producer_id = facts->producer_id;
    value.previous_producer_id = facts->previous_id;
    value.next_producer_id = facts->next_id;
    value.producer_epoch = facts->epoch;
    value.transaction_timeout_ms = facts->timeout_ms;
    value.transaction_status = (int8_t)facts->state;
    value.transaction_last_update_timestamp_ms = facts->update_ms;
    value.transaction_start_timestamp_ms = facts->start_ms;
    value.client_transaction_version = facts->version;
    if (facts->state == TXN_EMPTY)
        value.transaction_partitions.count = -1;
    else if (facts->state <= TXN_PREPARE_ABORT)
        list_parts(parts_of, arena, &value);
    return encode(arena, &transaction_log_value_type, &value, VALUE_VERSION);
}

/* The same, the other way. False: not well-formed, or not known. */
static bool
read_value(struct str bytes, struct arena *arena, struct transaction_log_value *value,
    struct txn_facts *facts)
{
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    int16_t version = wire_get16(&in);
    transaction_log_value_init(value);
    if (in.failed || version < 0 || version > VALUE_VERSION ||
        !msg_decode(&transaction_log_value_type, &in, version, arena, value))
        return false;
    *facts = (struct txn_facts){
        .state = (enum txn_state)value->transaction_status,
        .producer_id = value->producer_id,
        .previous_id = value->previous_producer_id,
        .next_id = value->next_producer_id,
        .epoch = value->producer_epoch,
        .last_epoch = TXN_EPOCH_NONE,
        .timeout_ms = value->transaction_timeout_ms,
        .start_ms = value->transaction_start_timestamp_ms,
        .update_ms = value->transaction_last_update_timestamp_ms,
        .version = (int8_t)OX_MIN(OX_MAX(value->client_transaction_version, 0), 2),
    };
    return value->transaction_status >= TXN_EMPTY &&
           value->transaction_status <= TXN_COMPLETE_ABORT && value->producer_epoch >= 0 &&
           value->producer_id >= 0;
}

static void
replay_value(struct shard *shard, struct str id, struct str bytes)
{
    struct transaction_log_value value;
    struct txn_facts facts;
    struct arena arena;
    ox_arena_init(&arena);
    arena.cap = bytes.len * 16 + (1 << 20);
    if (!read_value(bytes, &arena, &value, &facts)) {
        shard->skipped++;
        ox_arena_fini(&arena);
        return;
    }
    if (facts.state == TXN_PREPARE_COMMIT && ox_fault("txn.wrong_recovery") != OX_OK)
        facts.state = TXN_PREPARE_ABORT;
    struct txn *txn = txn_find(shard, id);
    if (txn == NULL)
        txn = txn_new(shard, id, &facts);
    txn->now = facts;
    clear_parts(txn);
    bool touched = facts.state == TXN_ONGOING || txn_preparing(txn);
    for (int32_t i = 0; touched && i < value.transaction_partitions.count; i++) {
        const value_topic *topic = &value.transaction_partitions.at[i];
        for (int32_t j = 0; j < topic->partition_ids.count; j++)
            add_part(txn, topic->topic, topic->partition_ids.at[j]);
    }
    ox_arena_fini(&arena);
}

static void
txns_replay(struct shard *shard, const struct coord_replayed *record)
{
    struct wire_in in = wire_in(record->key.ptr, record->key.len);
    struct transaction_log_key key;
    struct arena arena;
    ox_arena_init(&arena);
    bool known = wire_get16(&in) == KEY_VERSION && !in.failed &&
                 msg_decode(&transaction_log_key_type, &in, KEY_VERSION, &arena, &key);
    struct txn *txn = known ? txn_find(shard, key.transactional_id) : NULL;
    if (!known)
        shard->skipped++;
    else if (record->value.ptr != NULL)
        replay_value(shard, key.transactional_id, record->value);
    else if (txn != NULL)
        txn_free(txn);
    ox_arena_fini(&arena);
}

static void
txns_replay_marker(struct shard *shard, int64_t producer_id, bool committed)
{
    (void)producer_id;
    (void)committed;
    shard->skipped++; /* nobody has transactions here */
}

/* ---- moves ---- */

struct move {
    struct txn *txn;
    struct txn_facts to;
    const struct coord_txn_part *parts; /* of the call */
    size_t part_count;
    txn_moved_fn done;
};

static void wake(struct txn *txn);
static void send_markers(struct txn *txn);

static void
move_done(struct shard *shard, struct write *write, ox_code code)
{
    const struct move *move = write->extra;
    struct txn *txn = move->txn;
    struct coord_call *call = write->call;
    txn_moved_fn done = move->done;
    txn->moving = false;
    if (code == OX_OK) {
        txn->now = move->to;
        if (move->to.state == TXN_EMPTY || move->to.state >= TXN_COMPLETE_COMMIT)
            clear_parts(txn);
        for (size_t i = 0; i < move->part_count; i++)
            add_part(txn, move->parts[i].topic, move->parts[i].partition);
        if (txn_preparing(txn))
            txn->moving = true;
        txn_check(txn);
    } else if (code != OX_MESSAGE_TOO_LARGE) {
        shard_reload(shard);
    }
    if (done != NULL)
        done(txn, call, code == OX_OK ? OX_OK : write_error(code));
    if (shard->state == SHARD_ACTIVE && code == OX_OK && txn_preparing(txn))
        send_markers(txn);
    else if (shard->state == SHARD_ACTIVE)
        wake(txn);
}

void
txn_move(struct txn *txn, const struct txn_facts *to, const struct coord_txn_part *parts,
    size_t part_count, struct coord_call *call, txn_moved_fn done)
{
    struct write *write = write_new(txn->shard, NULL);
    struct move *move = ox_arena_alloc(&write->arena, sizeof(*move));
    ox_assert(!txn->moving || txn_preparing(txn));
    *move = (struct move){txn, *to, parts, part_count, done};
    move->to.previous_id = txn->now.producer_id;
    /* The record lists the parts as they will be. */
    struct txn after = {.id = txn->id, .shard = txn->shard};
    ox_map_init(&after.topics);
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&txn->topics, &at)) != NULL;) {
        const struct txn_topic *topic = entry->value;
        for (uint32_t i = 0; part_count > 0 && i < topic->count; i++)
            add_part(&after, topic->name, topic->partitions[i]);
    }
    for (size_t i = 0; i < part_count; i++)
        add_part(&after, parts[i].topic, parts[i].partition);
    write_add(write, record_key(&write->arena, txn->id),
        record_value(&write->arena, part_count > 0 ? &after : txn, &move->to));
    clear_parts(&after);
    ox_map_fini(&after.topics);
    txn->moving = true;
    write->extra = move;
    write->call = call;
    write->finish = move_done;
    write_submit(txn->shard, write);
}

struct txn_facts
txn_end_facts(const struct txn *txn, bool commit, int8_t version, int64_t next_id)
{
    struct txn_facts to = txn->now;
    to.state = commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
    to.update_ms = shard_wall(txn->shard);
    to.version = version;
    to.next_id = next_id;
    if (txn->now.state != TXN_ONGOING) /* the abort of nothing */
        to.start_ms = to.update_ms;
    if (version >= 2) {
        to.last_epoch = txn->now.epoch;
        if (txn->now.epoch < INT16_MAX)
            to.epoch++;
    }
    return to;
}

void
txn_fence(struct txn *txn, struct coord_call *call, txn_moved_fn done)
{
    ox_assert(txn->now.state == TXN_ONGOING);
    struct txn_facts to = txn_end_facts(txn, false, 2, -1);
    txn_move(txn, &to, NULL, 0, call, done);
}

/* ---- markers ---- */

struct marker_out {
    struct coord_marker marker;
    struct list link;  /* of txn->markers */
    struct txn *txn;   /* NULL: orphan */
    struct shard *shard;
    bool failed;       /* to be tried again */
};

static void
orphan_markers(struct txn *txn)
{
    for (struct list *node; (node = ox_list_pop(&txn->markers)) != NULL;) {
        struct marker_out *out = ox_container_of(node, struct marker_out, link);
        out->txn = NULL;
        if (out->failed) /* it is not outside */
            ox_free(out);
    }
}

static void
completed(struct txn *txn, struct coord_call *call, ox_code code)
{
    (void)txn;
    (void)call;
    (void)code; /* a failure loads the shard again, and that sends the markers again */
}

static void
complete(struct txn *txn)
{
    struct txn_facts to = txn->now;
    to.state = txn->now.state == TXN_PREPARE_COMMIT ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
    to.update_ms = shard_wall(txn->shard);
    to.next_id = -1;
    if (txn->now.version >= 2 && txn->now.next_id >= 0) {
        to.producer_id = txn->now.next_id;
        to.epoch = 0;
    }
    txn_move(txn, &to, NULL, 0, NULL, completed);
}

static void
write_markers(struct txn *txn)
{
    struct shard *shard = txn->shard;
    const struct coord_host *host = shard->coord->host;
    ox_list_each(node, &txn->markers)
    {
        struct marker_out *out = ox_container_of(node, struct marker_out, link);
        if (!out->failed)
            continue;
        out->failed = false;
        shard->outside++;
        host->marker(host->self, &out->marker);
    }
}

/* Those that were told of the decision have long had their answer. */
static void
retry_markers(struct shard *shard, struct coord_timer *timer)
{
    if (ox_fault("txn.markers_again") != OX_OK)
        shard_timer(shard, timer, MARKER_RETRY_MS, retry_markers);
    else
        write_markers(ox_container_of(timer, struct txn, retry));
}

/* Whether nothing more can be done for the partition: the topic is gone, or its
 * log knows a later epoch, so that the transaction cannot be open there. */
static bool
marker_settled(const struct txn *txn, const struct coord_marker *marker)
{
    switch (marker->code) {
    case OX_OK:
    case OX_UNKNOWN_TOPIC_OR_PARTITION:
        return true;
    case OX_INVALID_PRODUCER_EPOCH:
    case OX_TRANSACTION_COORDINATOR_FENCED:
        ox_warn("transaction marker was fenced off",
            "transactional_id=%.*s topic=%.*s partition=%d code=%s", OX_STR_ARG(txn->id),
            OX_STR_ARG(marker->topic), marker->partition, ox_code_facts(marker->code)->name);
        return true;
    default:
        return false;
    }
}

static void
marker_done(struct coord_marker *marker)
{
    struct marker_out *out = ox_container_of(marker, struct marker_out, marker);
    struct shard *shard = out->shard;
    struct txn *txn = out->txn;
    if (txn == NULL) {
        ox_free(out);
        shard_came_home(shard);
        return;
    }
    if (!marker_settled(txn, marker)) {
        ox_debug("transaction marker comes again", "topic=%.*s partition=%d code=%s",
            OX_STR_ARG(marker->topic), marker->partition, ox_code_facts(marker->code)->name);
        out->failed = true;
        if (txn->retry.slot == 0)
            shard_timer(shard, &txn->retry, MARKER_RETRY_MS, retry_markers);
        shard_came_home(shard);
        return;
    }
    ox_list_remove(&out->link);
    ox_free(out);
    if (ox_list_empty(&txn->markers))
        complete(txn);
    shard_came_home(shard);
}

static void
add_marker(struct txn *txn, struct txn_topic *topic, int32_t partition)
{
    struct marker_out *out = ox_calloc(1, sizeof(*out) + topic->name.len);
    char *name = (char *)(out + 1);
    memcpy(name, topic->name.ptr, topic->name.len);
    out->txn = txn;
    out->shard = txn->shard;
    out->marker = (struct coord_marker){
        .topic = {name, topic->name.len},
        .partition = partition,
        .producer_id = txn->now.producer_id,
        .producer_epoch = txn->now.epoch,
        .commit = txn->now.state == TXN_PREPARE_COMMIT &&
                  ox_fault("txn.wrong_marker") == OX_OK,
        .txn_version = txn->now.version,
        .coordinator_epoch = txn->shard->epoch,
        .done = marker_done,
    };
    out->failed = true; /* until it is sent */
    ox_list_push(&txn->markers, &out->link);
}

/* The decision is in the log: markers, then the end. */
static void
send_markers(struct txn *txn)
{
    struct map_entry *entry;
    ox_assert(txn_preparing(txn) && ox_list_empty(&txn->markers));
    txn->moving = true;
    for (uint32_t at = 0; (entry = ox_map_next(&txn->topics, &at)) != NULL;) {
        struct txn_topic *topic = entry->value;
        for (uint32_t i = 0; i < topic->count; i++)
            if (ox_fault("txn.wrong_marker_lost") == OX_OK)
                add_marker(txn, topic, topic->partitions[i]);
    }
    if (ox_list_empty(&txn->markers))
        complete(txn);
    else
        write_markers(txn);
}

/* ---- calls that wait for a transaction to be over ---- */

static void
out_of_patience(struct shard *shard, struct coord_timer *timer)
{
    struct txn *txn = ox_container_of(timer, struct txn, patience);
    uint64_t now = shard_now(shard), next = UINT64_MAX;
    ox_list_each(node, &txn->waiters)
    {
        struct coord_txn_add_call *call = ox_container_of(node, struct coord_txn_add_call, link);
        if (call->until_ms > now) {
            next = OX_MIN(next, call->until_ms);
            continue;
        }
        ox_list_remove(&call->link);
        txn_add_refuse(call, OX_CONCURRENT_TRANSACTIONS);
    }
    if (next != UINT64_MAX)
        shard_timer(shard, timer, (int64_t)(next - now), out_of_patience);
}

void
txn_wait(struct txn *txn, struct coord_txn_add_call *call)
{
    if (call->until_ms == 0)
        call->until_ms = shard_now(txn->shard) + PATIENCE_MS;
    ox_list_push(&txn->waiters, &call->link);
    if (txn->patience.slot == 0)
        shard_timer(txn->shard, &txn->patience, PATIENCE_MS, out_of_patience);
}

/* Have the calls that wait tried again. */
static void
wake(struct txn *txn)
{
    struct list waiters;
    ox_list_init(&waiters);
    for (struct list *node; (node = ox_list_pop(&txn->waiters)) != NULL;)
        ox_list_push(&waiters, node);
    for (struct list *node; (node = ox_list_pop(&waiters)) != NULL;)
        txn_add_again(txn, ox_container_of(node, struct coord_txn_add_call, link));
}

/* ---- the shard ---- */

/* Decisions that were made before are carried out. */
static void
txns_resume(struct shard *shard)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->txns, &at)) != NULL;) {
        struct txn *txn = entry->value;
        if (txn_preparing(txn))
            send_markers(txn);
    }
    shard->expire_ms = shard_now(shard) + (uint64_t)shard->config.txn_expire_check_ms;
}

static void
txns_fail_parked(struct shard *shard, ox_code code)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->txns, &at)) != NULL;) {
        struct txn *txn = entry->value;
        for (struct list *node; (node = ox_list_pop(&txn->waiters)) != NULL;)
            txn_add_refuse(ox_container_of(node, struct coord_txn_add_call, link), code);
    }
}

static void
txns_forget(struct shard *shard)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->txns, &at)) != NULL;)
        txn_free(entry->value);
    ox_map_fini(&shard->txns);
    ox_map_init(&shard->txns);
}

static void
timed_out(struct txn *txn, struct coord_call *call, ox_code code)
{
    (void)call;
    if (code == OX_OK)
        ox_info("transaction timed out", "transactional_id=%.*s timeout_ms=%d",
            OX_STR_ARG(txn->id), txn->now.timeout_ms);
}

static void
expired(struct shard *shard, struct write *write, ox_code code)
{
    struct txn *txn = write->extra;
    txn->moving = false;
    if (code == OX_OK && ox_list_empty(&txn->waiters))
        txn_free(txn);
    else
        shard_reload(shard);
}

static void
expire(struct txn *txn)
{
    struct write *write = write_new(txn->shard, NULL);
    write_add(write, record_key(&write->arena, txn->id), OX_STR_NULL);
    txn->moving = true;
    write->extra = txn;
    write->finish = expired;
    write_submit(txn->shard, write);
}

static void
txns_sweep(struct shard *shard)
{
    struct map_entry *entry;
    int64_t now = shard_wall(shard);
    bool expiring = shard_now(shard) >= shard->expire_ms;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->txns, &at)) != NULL;) {
        struct txn *txn = entry->value;
        if (txn->moving)
            continue;
        if (txn->now.state == TXN_ONGOING && now - txn->now.start_ms > txn->now.timeout_ms)
            txn_fence(txn, NULL, timed_out);
        else if (txn->now.state != TXN_ONGOING && expiring &&
                 now - txn->now.update_ms >= shard->config.txn_id_expiration_ms)
            expire(txn);
    }
    if (expiring)
        shard->expire_ms = shard_now(shard) + (uint64_t)shard->config.txn_expire_check_ms;
}

static int64_t
txns_sweep_ms(const struct shard *shard)
{
    return OX_MIN(shard->config.txn_abort_check_ms, shard->config.txn_expire_check_ms);
}

const struct coord_kind txn_kind = {
    .topic = "__transaction_state",
    .replay = txns_replay,
    .replay_marker = txns_replay_marker,
    .resume = txns_resume,
    .fail_parked = txns_fail_parked,
    .forget = txns_forget,
    .sweep = txns_sweep,
    .sweep_ms = txns_sweep_ms,
};
