/* SPDX-License-Identifier: Apache-2.0
 *
 * AddOffsetsToTxn: the partition of __consumer_offsets that keeps a group's
 * offsets becomes part of the transaction, so that they are committed with it. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

struct add_offsets {
    struct coord_txn_add_call call; /* first: done() gets its head */
    struct coord_txn_part part;
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, ox_code code)
{
    struct add_offsets_to_txn_response response;
    add_offsets_to_txn_response_init(&response);
    if (code == OX_PRODUCER_FENCED && req->version < 2)
        code = OX_INVALID_PRODUCER_EPOCH;
    response.error_code = ox_code_kafka(code);
    kafka_answer(req, &response);
}

static void
added(struct coord_call *call)
{
    struct add_offsets *job = (struct add_offsets *)(void *)call;
    answer(job->req, call->code);
}

void
kafka_add_offsets_to_txn(struct kafka_request *req)
{
    const struct add_offsets_to_txn_request *request = req->body;
    struct add_offsets *job = kafka_array(req, struct add_offsets, 1);
    int32_t partition = coord_find(engine_coord(kafka_engine(req)), request->group_id);
    if (!kafka_may(req, ENGINE_TRANSACTIONAL_ID, request->transactional_id, ENGINE_WRITE)) {
        answer(req, OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        return;
    }
    if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ)) {
        answer(req, OX_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    if (partition < 0) {
        kafka_auto_create(req, OX_STR("__consumer_offsets"));
        answer(req, OX_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    job->req = req;
    job->part = (struct coord_txn_part){OX_STR("__consumer_offsets"), partition, OX_OK};
    job->call.call.arena = &req->arena;
    job->call.call.done = added;
    job->call.transactional_id = request->transactional_id;
    job->call.producer_id = request->producer_id;
    job->call.producer_epoch = request->producer_epoch;
    job->call.parts = &job->part;
    job->call.part_count = 1;
    coord_txn_add(engine_txns(kafka_engine(req)), &job->call);
}
