/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeTransactions: what the coordinator knows of transactional ids; topics
 * that the principal may not describe are left out. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct describe_transactions_response_transaction_states state_out;
typedef struct describe_transactions_response_transaction_states_topics topic_out;

struct describe_transactions {
    struct kafka_wait wait;
    struct describe_transaction {
        struct coord_txn_describe_call call; /* first: done() gets its head */
        struct describe_transactions *all;
    } *txns;
    int32_t *firsts; /* where each is named for the first time: it is asked for once */
};

static void finish(struct kafka_request *req);

static void
described(struct coord_call *call)
{
    struct describe_transaction *job = (struct describe_transaction *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

void
kafka_describe_transactions(struct kafka_request *req)
{
    const struct describe_transactions_request *request = req->body;
    struct describe_transactions *all = kafka_array(req, struct describe_transactions, 1);
    all->txns = kafka_array(req, struct describe_transaction, request->transactional_ids.count);
    all->firsts =
        kafka_firsts(req, request->transactional_ids.at, request->transactional_ids.count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; i < request->transactional_ids.count; i++) {
        struct describe_transaction *job = &all->txns[i];
        if (all->firsts[i] != i)
            continue;
        job->all = all;
        job->call.transactional_id = request->transactional_ids.at[i];
        if (!kafka_may(req, ENGINE_TRANSACTIONAL_ID, job->call.transactional_id,
                ENGINE_DESCRIBE)) {
            job->call.call.code = OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            continue;
        }
        job->call.call.arena = kafka_arena(req);
        job->call.call.done = described;
        all->wait.pending++;
        coord_txn_describe(engine_txns(kafka_engine(req)), &job->call);
    }
    kafka_wait_done(&all->wait);
}

static void
fill_topics(struct kafka_request *req, const struct coord_txn_describe_call *call,
    state_out *out)
{
    out->topics.at = kafka_array(req, topic_out, call->part_count);
    int32_t *indexes = kafka_array(req, int32_t, call->part_count);
    for (size_t i = 0, next; i < call->part_count; i = next) {
        struct str name = call->parts[i].topic;
        for (next = i; next < call->part_count && ox_str_eq(call->parts[next].topic, name); next++)
            indexes[next] = call->parts[next].partition;
        if (kafka_may(req, ENGINE_TOPIC, name, ENGINE_DESCRIBE))
            out->topics.at[out->topics.count++] = (topic_out){.topic = name,
                .partitions = {indexes + i, (int32_t)(next - i)}};
    }
}

static void
finish(struct kafka_request *req)
{
    const struct describe_transactions_request *request = req->body;
    const struct describe_transactions *all = req->state;
    struct describe_transactions_response response;
    describe_transactions_response_init(&response);
    response.transaction_states.count = request->transactional_ids.count;
    response.transaction_states.at =
        kafka_array(req, state_out, request->transactional_ids.count);
    for (int32_t i = 0; i < request->transactional_ids.count; i++) {
        const struct coord_txn_describe_call *call = &all->txns[i].call;
        state_out *out = &response.transaction_states.at[i];
        if (all->firsts[i] != i) {
            *out = response.transaction_states.at[all->firsts[i]];
            continue;
        }
        out->transactional_id = call->transactional_id;
        out->error_code = ox_code_kafka(call->call.code);
        out->transaction_state = OX_STR("");
        if (call->call.code != OX_OK)
            continue;
        out->transaction_state = ox_str(call->state);
        out->transaction_timeout_ms = call->timeout_ms;
        out->transaction_start_time_ms = call->start_ms;
        out->producer_id = call->producer_id;
        out->producer_epoch = call->producer_epoch;
        fill_topics(req, call, out);
    }
    kafka_answer(req, &response);
}
