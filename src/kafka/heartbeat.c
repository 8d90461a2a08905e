/* SPDX-License-Identifier: Apache-2.0
 *
 * Heartbeat: a member is alive, and learns of a rebalance. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

struct heartbeat {
    struct coord_heartbeat_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, ox_code code)
{
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    response.error_code = ox_code_kafka(code);
    kafka_answer(req, &response);
}

static void
beaten(struct coord_call *call)
{
    struct heartbeat *job = (struct heartbeat *)(void *)call;
    answer(job->req, call->code);
}

void
kafka_heartbeat(struct kafka_request *req)
{
    const struct heartbeat_request *request = req->body;
    if (request->group_id.len == 0) {
        answer(req, OX_INVALID_GROUP_ID);
        return;
    }
    if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ)) {
        answer(req, OX_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    struct heartbeat *job = kafka_array(req, struct heartbeat, 1);
    job->req = req;
    job->call.call.arena = &req->arena;
    job->call.call.done = beaten;
    job->call.group_id = request->group_id;
    job->call.member_id = request->member_id;
    job->call.instance_id = request->group_instance_id;
    job->call.generation = request->generation_id;
    coord_heartbeat(engine_coord(kafka_engine(req)), &job->call);
}
