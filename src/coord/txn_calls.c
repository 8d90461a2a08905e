/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls that move a transaction: InitProducerId, AddPartitionsToTxn (and all
 * that amounts to it), EndTxn. Each looks at the state, refuses, or ends in one
 * txn_move(). A call that needs a fresh producer id asks the host for one and
 * then begins anew, since the world may have changed meanwhile.
 *
 * What EndTxn answers (48 invalid state, 51 concurrent, 90 fenced), by state and
 * what is asked; "again" is the request whose answer was lost:
 *
 *                 protocol 1        protocol 2: commit    abort
 *                 commit  abort     again    now          again    now
 *   Empty         48      48        90       48           90       empty abort
 *   Ongoing       ok      ok        90       ok           90       ok
 *   Prepare*      51      51        51       90           51       90
 *   CompleteCommit ok     48        ok       48           48       empty abort
 *   CompleteAbort 48      ok        48       48           ok       empty abort */
#include "base/fault.h"
#include "coord/txn_int.h"

static ox_code
txn_shard_ready(const struct shard *shard)
{
    return shard == NULL ? OX_NOT_COORDINATOR : shard_ready(shard);
}

/* ---- fresh producer ids ---- */

struct id_wanted {
    struct coord_producer_id want;
    struct coord_call *call;
    struct shard *shard;
    int64_t *to;
};

static void
id_came(struct coord_producer_id *want)
{
    struct id_wanted *wanted = ox_container_of(want, struct id_wanted, want);
    struct coord_call *call = wanted->call;
    struct shard *shard = wanted->shard;
    ox_code code = want->code;
    *wanted->to = want->producer_id;
    ox_free(wanted);
    if (code == OX_OK)
        call->run(call);
    else
        call_finish(call, write_error(code));
    shard_came_home(shard);
}

/* The call begins anew when *to has an id. */
static void
want_id(struct shard *shard, struct coord_call *call, int64_t *to)
{
    struct id_wanted *wanted = ox_calloc(1, sizeof(*wanted));
    wanted->want.done = id_came;
    wanted->call = call;
    wanted->shard = shard;
    wanted->to = to;
    shard->outside++;
    shard->coord->host->producer_id(shard->coord->host->self, &wanted->want);
}

/* ---- InitProducerId ---- */

static void
init_answer(struct coord_txn_init_call *call, ox_code code, const struct txn *txn)
{
    call->producer_id = code == OX_OK ? txn->now.producer_id : -1;
    call->producer_epoch = code == OX_OK ? txn->now.epoch : -1;
    call_finish(&call->call, code);
}

static void
init_moved(struct txn *txn, struct coord_call *call, ox_code code)
{
    init_answer(ox_container_of(call, struct coord_txn_init_call, call), code, txn);
}

static void
init_fenced(struct txn *txn, struct coord_call *call, ox_code code)
{
    init_answer(ox_container_of(call, struct coord_txn_init_call, call),
        code == OX_OK ? OX_CONCURRENT_TRANSACTIONS : code, txn);
}

/* A producer that says who it is goes on only if nobody came after it. */
static bool
init_known(const struct txn *txn, const struct coord_txn_init_call *call)
{
    return call->producer_id < 0 || txn->now.epoch == TXN_EPOCH_NONE ||
           call->producer_id == txn->now.producer_id ||
           (call->producer_id == txn->now.previous_id && call->producer_epoch >= TXN_EPOCH_LAST);
}

static bool
init_needs_id(const struct txn *txn, const struct coord_txn_init_call *call)
{
    return txn_exhausted(txn) &&
           (call->producer_id < 0 || call->producer_epoch == txn->now.epoch);
}

/* The next epoch, of this id or a fresh one; OX_PRODUCER_FENCED. */
static ox_code
init_facts(const struct txn *txn, const struct coord_txn_init_call *call, struct txn_facts *to)
{
    bool goes_on = call->producer_id >= 0;
    *to = txn->now;
    to->state = TXN_EMPTY;
    to->timeout_ms = call->timeout_ms;
    to->start_ms = -1;
    to->update_ms = shard_wall(txn->shard);
    if (init_needs_id(txn, call)) {
        to->producer_id = call->fresh_id;
        to->epoch = 0;
        to->last_epoch = goes_on ? txn->now.epoch : TXN_EPOCH_NONE;
    } else if (!goes_on) {
        to->epoch++;
        to->last_epoch = TXN_EPOCH_NONE;
    } else if (txn->now.epoch == TXN_EPOCH_NONE || call->producer_epoch == txn->now.epoch) {
        to->epoch++;
        to->last_epoch = txn->now.epoch;
    } else if (call->producer_epoch != txn->now.last_epoch) {
        return OX_PRODUCER_FENCED;
    }
    return OX_OK;
}

static void
init_known_id(struct shard *shard, struct txn *txn, struct coord_txn_init_call *call)
{
    struct txn_facts to;
    if (txn->moving) {
        init_answer(call, OX_CONCURRENT_TRANSACTIONS, txn);
        return;
    }
    if (!init_known(txn, call)) {
        init_answer(call, OX_PRODUCER_FENCED, txn);
        return;
    }
    if (txn->now.state == TXN_ONGOING) {
        txn_fence(txn, &call->call, init_fenced);
        return;
    }
    if (init_needs_id(txn, call) && call->fresh_id < 0) {
        want_id(shard, &call->call, &call->fresh_id);
        return;
    }
    ox_code code = init_facts(txn, call, &to);
    if (code != OX_OK)
        init_answer(call, code, txn);
    else
        txn_move(txn, &to, NULL, 0, &call->call, init_moved);
}

static void
init_run(struct coord_call *base)
{
    struct coord_txn_init_call *call = ox_container_of(base, struct coord_txn_init_call, call);
    struct shard *shard = call_shard(base);
    ox_code code = call->transactional_id.len == 0 ? OX_INVALID_REQUEST : OX_OK;
    if (code == OX_OK && shard != NULL &&
        (call->timeout_ms <= 0 || call->timeout_ms > shard->config.txn_timeout_ms_max))
        code = OX_INVALID_TRANSACTION_TIMEOUT;
    if (code == OX_OK)
        code = txn_shard_ready(shard);
    struct txn *txn = code == OX_OK ? txn_find(shard, call->transactional_id) : NULL;
    if (code == OX_OK && txn == NULL && shard->txns.count >= (uint32_t)shard->config.txn_count_max)
        code = OX_LIMIT_EXCEEDED;
    if (code != OX_OK) {
        init_answer(call, code, NULL);
        return;
    }
    if (txn == NULL && call->fresh_id < 0) {
        want_id(shard, base, &call->fresh_id);
        return;
    }
    if (txn == NULL) {
        struct txn_facts facts = {TXN_EMPTY, call->fresh_id, -1, -1, TXN_EPOCH_NONE,
            TXN_EPOCH_NONE, call->timeout_ms, -1, shard_wall(shard), 0};
        txn = txn_new(shard, call->transactional_id, &facts);
    }
    init_known_id(shard, txn, call);
}

void
coord_txn_init(struct coord *coord, struct coord_txn_init_call *call)
{
    call->fresh_id = -1;
    call_start(coord, &call->call, call->transactional_id, init_run);
}

/* ---- AddPartitionsToTxn ---- */

static void
add_answer(struct coord_txn_add_call *call, ox_code code)
{
    for (size_t i = 0; code != OX_OK && i < call->part_count; i++)
        call->parts[i].code = code;
    call_finish(&call->call, code);
}

static void
add_moved(struct txn *txn, struct coord_call *call, ox_code code)
{
    (void)txn;
    add_answer(ox_container_of(call, struct coord_txn_add_call, call), code);
}

/* Whoever holds the id must be the one that asks. */
static ox_code
add_allowed(const struct txn *txn, int64_t producer_id, int16_t producer_epoch)
{
    if (txn == NULL || txn->now.producer_id != producer_id)
        return OX_INVALID_PRODUCER_ID_MAPPING;
    if (ox_fault("txn.wrong_fencing") != OX_OK)
        return OX_OK;
    return txn->now.epoch == producer_epoch ? OX_OK : OX_PRODUCER_FENCED;
}

static bool
has_all(const struct txn *txn, const struct coord_txn_add_call *call)
{
    for (size_t i = 0; i < call->part_count; i++)
        if (!txn_has(txn, call->parts[i].topic, call->parts[i].partition))
            return false;
    return true;
}

/* librdkafka sends the first batch of a transaction now and then before it was
 * told that its partition was added: while that is under way, again is soon
 * enough. */
static void
verify(const struct txn *txn, struct coord_txn_add_call *call)
{
    if (txn_preparing(txn)) {
        add_answer(call, OX_CONCURRENT_TRANSACTIONS);
        return;
    }
    bool under_way = txn->moving || !ox_list_empty(&txn->waiters);
    for (size_t i = 0; i < call->part_count; i++)
        call->parts[i].code = txn_has(txn, call->parts[i].topic, call->parts[i].partition)
            ? OX_OK
            : under_way ? OX_CONCURRENT_TRANSACTIONS
                        : OX_TRANSACTION_ABORTABLE;
    call_finish(&call->call, OX_OK);
}

static void
add(struct txn *txn, struct coord_txn_add_call *call)
{
    ox_code code = add_allowed(txn, call->producer_id, call->producer_epoch);
    if (code != OX_OK) {
        add_answer(call, code);
        return;
    }
    if (call->verify_only) {
        verify(txn, call);
        return;
    }
    if (txn->moving) {
        txn_wait(txn, call);
        return;
    }
    if (txn->now.state == TXN_ONGOING && has_all(txn, call)) {
        add_answer(call, OX_OK);
        return;
    }
    struct txn_facts to = txn->now;
    to.state = TXN_ONGOING;
    to.update_ms = shard_wall(txn->shard);
    if (txn->now.state != TXN_ONGOING)
        to.start_ms = to.update_ms;
    to.version = call->txn_version;
    txn_move(txn, &to, call->parts, call->part_count, &call->call, add_moved);
}

void
txn_add_refuse(struct coord_txn_add_call *call, ox_code code)
{
    add_answer(call, code);
}

void
txn_add_again(struct txn *txn, struct coord_txn_add_call *call)
{
    add(txn, call);
}

static void
add_run(struct coord_call *base)
{
    struct coord_txn_add_call *call = ox_container_of(base, struct coord_txn_add_call, call);
    struct shard *shard = call_shard(base);
    ox_code code =
        call->transactional_id.len == 0 ? OX_INVALID_REQUEST : txn_shard_ready(shard);
    if (code != OX_OK)
        add_answer(call, code);
    else
        add(txn_find(shard, call->transactional_id), call);
}

void
coord_txn_add(struct coord *coord, struct coord_txn_add_call *call)
{
    call->until_ms = 0;
    ox_list_init(&call->link);
    for (size_t i = 0; i < call->part_count; i++)
        call->parts[i].code = OX_OK;
    call_start(coord, &call->call, call->transactional_id, add_run);
}

/* ---- EndTxn ---- */

static void
end_answer(struct coord_txn_end_call *call, ox_code code, const struct txn *txn)
{
    call->producer_id = call->producer_epoch = -1;
    if (code == OX_OK && txn->now.next_id >= 0) {
        call->producer_id = txn->now.next_id;
        call->producer_epoch = 0;
    } else if (code == OX_OK) {
        call->producer_id = txn->now.producer_id;
        call->producer_epoch = txn->now.epoch;
    }
    call_finish(&call->call, code);
}

static void
end_moved(struct txn *txn, struct coord_call *call, ox_code code)
{
    end_answer(ox_container_of(call, struct coord_txn_end_call, call), code, txn);
}

enum end_verdict { END_REFUSE, END_DONE, END_MOVE };

static enum end_verdict
end_first(const struct txn *txn, const struct coord_txn_end_call *call, ox_code *code)
{
    *code = add_allowed(txn, call->producer_id, call->producer_epoch);
    if (*code == OX_OK && txn->moving)
        *code = OX_CONCURRENT_TRANSACTIONS;
    if (*code != OX_OK)
        return END_REFUSE;
    if (txn->now.state == TXN_ONGOING)
        return END_MOVE;
    if (txn->now.state == (call->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT))
        return END_DONE;
    *code = OX_INVALID_TXN_STATE;
    return END_REFUSE;
}

static bool
end_again(const struct txn *txn, const struct coord_txn_end_call *call)
{
    bool bumped = txn->now.producer_id == call->producer_id &&
                  txn->now.epoch == call->producer_epoch + 1;
    bool changed = txn->now.previous_id == call->producer_id &&
                   call->producer_epoch == TXN_EPOCH_LAST && txn->now.epoch == 0;
    return bumped || changed;
}

static enum end_verdict
end_second(const struct txn *txn, const struct coord_txn_end_call *call, ox_code *code)
{
    enum txn_state state = txn->now.state;
    bool again = end_again(txn, call), complete = state >= TXN_COMPLETE_COMMIT;
    bool same = txn->now.producer_id == call->producer_id;
    *code = OX_INVALID_PRODUCER_ID_MAPPING;
    if (!same && !again)
        return END_REFUSE;
    *code = OX_PRODUCER_FENCED;
    bool good = complete              ? again || txn->now.epoch == call->producer_epoch
                : txn_preparing(txn) ? again
                                      : txn->now.epoch == call->producer_epoch;
    if (!good)
        return END_REFUSE;
    *code = OX_CONCURRENT_TRANSACTIONS;
    if (txn->moving)
        return END_REFUSE;
    if (state == TXN_ONGOING || (!call->commit && !again))
        return END_MOVE;
    *code = OX_INVALID_TXN_STATE;
    return again && state == (call->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT)
               ? END_DONE
               : END_REFUSE;
}

static void
end_run(struct coord_call *base)
{
    struct coord_txn_end_call *call = ox_container_of(base, struct coord_txn_end_call, call);
    struct shard *shard = call_shard(base);
    ox_code code =
        call->transactional_id.len == 0 ? OX_INVALID_REQUEST : txn_shard_ready(shard);
    struct txn *txn = code == OX_OK ? txn_find(shard, call->transactional_id) : NULL;
    if (code == OX_OK && txn == NULL)
        code = OX_INVALID_PRODUCER_ID_MAPPING;
    enum end_verdict verdict = END_REFUSE;
    if (code == OX_OK)
        verdict = call->txn_version >= 2 ? end_second(txn, call, &code)
                                         : end_first(txn, call, &code);
    if (verdict != END_MOVE) {
        end_answer(call, verdict == END_DONE ? OX_OK : code, txn);
        return;
    }
    bool needs_id = call->txn_version >= 2 && txn_exhausted(txn);
    if (needs_id && call->fresh_id < 0) {
        want_id(shard, base, &call->fresh_id);
        return;
    }
    struct txn_facts to = txn_end_facts(txn, call->commit, call->txn_version,
        needs_id ? call->fresh_id : -1);
    txn_move(txn, &to, NULL, 0, base, end_moved);
}

void
coord_txn_end(struct coord *coord, struct coord_txn_end_call *call)
{
    call->fresh_id = -1;
    call_start(coord, &call->call, call->transactional_id, end_run);
}
