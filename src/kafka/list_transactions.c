/* SPDX-License-Identifier: Apache-2.0
 *
 * ListTransactions: transactional ids that this node coordinates, filtered by
 * state, producer, time open and pattern. State names that do not exist are
 * said back, and match nothing. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct list_transactions_response_transaction_states state_out;

struct list_transactions {
    struct coord_txn_list_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
listed(struct coord_call *base)
{
    struct list_transactions *job = (struct list_transactions *)(void *)base;
    struct kafka_request *req = job->req;
    const struct list_transactions_request *request = req->body;
    struct list_transactions_response response;
    list_transactions_response_init(&response);
    response.error_code = ox_code_kafka(base->code);
    if (base->code != OX_OK) {
        kafka_answer(req, &response);
        return;
    }
    response.unknown_state_filters.at =
        kafka_array(req, struct str, request->state_filters.count);
    for (int32_t i = 0; i < request->state_filters.count; i++)
        if (!coord_txn_state_known(request->state_filters.at[i]))
            response.unknown_state_filters.at[response.unknown_state_filters.count++] =
                request->state_filters.at[i];
    response.transaction_states.at = kafka_array(req, state_out, job->call.txn_count);
    for (size_t i = 0; i < job->call.txn_count; i++) {
        const struct coord_listed_txn *txn = &job->call.txns[i];
        if (kafka_may(req, ENGINE_TRANSACTIONAL_ID, txn->transactional_id, ENGINE_DESCRIBE))
            response.transaction_states.at[response.transaction_states.count++] =
                (state_out){txn->transactional_id, txn->producer_id, ox_str(txn->state)};
    }
    kafka_answer(req, &response);
}

void
kafka_list_transactions(struct kafka_request *req)
{
    const struct list_transactions_request *request = req->body;
    struct list_transactions *job = kafka_array(req, struct list_transactions, 1);
    job->req = req;
    job->call.call.arena = &req->arena;
    job->call.call.done = listed;
    job->call.states = request->state_filters.at;
    job->call.state_count = (size_t)request->state_filters.count;
    job->call.producer_ids = request->producer_id_filters.at;
    job->call.producer_id_count = (size_t)request->producer_id_filters.count;
    job->call.duration_ms = req->version >= 1 ? request->duration_filter : -1;
    job->call.pattern = req->version >= 2 ? request->transactional_id_pattern : OX_STR_NULL;
    coord_txn_list(engine_txns(kafka_engine(req)), &job->call);
}
