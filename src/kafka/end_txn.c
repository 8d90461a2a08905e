/* SPDX-License-Identifier: Apache-2.0
 *
 * EndTxn: commit or abort. Answered when the decision is in the log; from
 * version 5 on with the epoch that the next transaction begins with. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

struct end_txn {
    struct coord_txn_end_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, ox_code code, const struct coord_txn_end_call *call)
{
    struct end_txn_response response;
    end_txn_response_init(&response);
    if (code == OX_PRODUCER_FENCED && req->version < 2)
        code = OX_INVALID_PRODUCER_EPOCH;
    response.error_code = ox_code_kafka(code);
    if (code == OX_OK) {
        response.producer_id = call->producer_id;
        response.producer_epoch = call->producer_epoch;
    }
    kafka_answer(req, &response);
}

static void
ended(struct coord_call *call)
{
    struct end_txn *job = (struct end_txn *)(void *)call;
    answer(job->req, call->code, &job->call);
}

void
kafka_end_txn(struct kafka_request *req)
{
    const struct end_txn_request *request = req->body;
    struct end_txn *job = kafka_array(req, struct end_txn, 1);
    if (!kafka_may(req, ENGINE_TRANSACTIONAL_ID, request->transactional_id, ENGINE_WRITE)) {
        answer(req, OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, NULL);
        return;
    }
    job->req = req;
    job->call.call.arena = &req->arena;
    job->call.call.done = ended;
    job->call.transactional_id = request->transactional_id;
    job->call.producer_id = request->producer_id;
    job->call.producer_epoch = request->producer_epoch;
    job->call.commit = request->committed;
    job->call.txn_version = req->version >= 5 ? 2 : 0;
    coord_txn_end(engine_txns(kafka_engine(req)), &job->call);
}
