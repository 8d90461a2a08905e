/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at transactions: DescribeTransactions, ListTransactions. */
#include "coord/consumer_int.h"
#include "coord/txn_int.h"

/* ---- describe ---- */

static void
copy_parts(struct coord_txn_describe_call *call, const struct txn *txn)
{
    struct arena *arena = call->call.arena;
    struct map_entry *entry;
    call->parts = ox_arena_array(arena, struct coord_txn_part, txn->part_count);
    for (uint32_t at = 0; (entry = ox_map_next(&txn->topics, &at)) != NULL;) {
        const struct txn_topic *topic = entry->value;
        struct str name = ox_str_dup(arena, topic->name);
        for (uint32_t i = 0; i < topic->count; i++)
            call->parts[call->part_count++] =
                (struct coord_txn_part){name, topic->partitions[i], OX_OK};
    }
}

static void
describe_run(struct coord_call *base)
{
    struct coord_txn_describe_call *call =
        ox_container_of(base, struct coord_txn_describe_call, call);
    struct shard *shard = call_shard(base);
    ox_code code = call->transactional_id.len == 0 ? OX_INVALID_REQUEST
                   : shard == NULL                 ? OX_NOT_COORDINATOR
                                                   : shard_ready(shard);
    const struct txn *txn = code == OX_OK ? txn_find(shard, call->transactional_id) : NULL;
    if (code == OX_OK && txn == NULL)
        code = OX_TRANSACTIONAL_ID_NOT_FOUND;
    if (code == OX_OK) {
        call->state = txn_state_name(txn->now.state);
        call->timeout_ms = txn->now.timeout_ms;
        call->start_ms = txn->now.start_ms;
        call->update_ms = txn->now.update_ms;
        call->producer_id = txn->now.producer_id;
        call->producer_epoch = txn->now.epoch;
        copy_parts(call, txn);
    }
    call_finish(base, code);
}

void
coord_txn_describe(struct coord *coord, struct coord_txn_describe_call *call)
{
    call->part_count = 0;
    call_start(coord, &call->call, call->transactional_id, describe_run);
}

/* ---- list ---- */

static bool
wanted(const struct coord_txn_list_call *call, const struct txn *txn)
{
    bool good = call->state_count == 0;
    for (size_t i = 0; !good && i < call->state_count; i++)
        good = ox_str_is(call->states[i], txn_state_name(txn->now.state));
    if (!good)
        return false;
    good = call->producer_id_count == 0;
    for (size_t i = 0; !good && i < call->producer_id_count; i++)
        good = call->producer_ids[i] == txn->now.producer_id;
    if (!good)
        return false;
    if (call->duration_ms >= 0 &&
        shard_wall(txn->shard) - txn->now.start_ms <= call->duration_ms)
        return false;
    return call->regex == NULL || topic_regex_match(call->regex, txn->id);
}

static void
list_txn(struct coord_txn_list_call *call, const struct txn *txn)
{
    struct arena *arena = call->call.arena;
    ox_arena_grow(arena, (void **)&call->txns, &call->txn_cap, call->txn_count + 1,
        sizeof(*call->txns));
    call->txns[call->txn_count++] = (struct coord_listed_txn){
        .transactional_id = ox_str_dup(arena, txn->id),
        .producer_id = txn->now.producer_id,
        .start_ms = txn->now.start_ms,
        .update_ms = txn->now.update_ms,
        .producer_epoch = txn->now.epoch,
        .timeout_ms = txn->now.timeout_ms,
        .partition = txn->shard->partition,
        .part_count = txn->part_count,
        .state = txn_state_name(txn->now.state),
    };
}

static void
list_run(struct coord_call *base)
{
    struct coord_txn_list_call *call = ox_container_of(base, struct coord_txn_list_call, call);
    const struct shard *shard = call_shard(base);
    struct map_entry *entry;
    if (shard != NULL && shard->state == SHARD_LOADING)
        base->code = OX_COORDINATOR_LOAD_IN_PROGRESS;
    if (shard != NULL && shard->state == SHARD_ACTIVE)
        for (uint32_t at = 0; (entry = ox_map_next(&shard->txns, &at)) != NULL;)
            if (wanted(call, entry->value))
                list_txn(call, entry->value);
    if (shard != NULL && shard->partition + 1 < coord_partition_count(base->coord)) {
        call_next(base);
        return;
    }
    topic_regex_free(call->regex);
    call->regex = NULL;
    call_finish(base, base->code);
}

static void
list_refused(struct coord_call *base)
{
    call_finish(base, OX_INVALID_REGULAR_EXPRESSION);
}

void
coord_txn_list(struct coord *coord, struct coord_txn_list_call *call)
{
    const char *reason = NULL;
    call->txns = NULL;
    call->txn_count = call->txn_cap = 0;
    call->regex = NULL;
    if (call->pattern.len > 0)
        call->regex = topic_regex_new(call->pattern, &reason);
    call_start_all(coord, &call->call, reason != NULL ? list_refused : list_run);
}
