/* SPDX-License-Identifier: Apache-2.0
 *
 * SyncGroup: brings the leader's assignment, gives each member its part. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

struct sync_group {
    struct coord_sync_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_sync_call *call)
{
    struct sync_group_response response;
    sync_group_response_init(&response);
    ox_code code = call->call.code;
    response.error_code = ox_code_kafka(code);
    response.protocol_type = code == OX_OK ? call->out_protocol_type : OX_STR_NULL;
    response.protocol_name = code == OX_OK ? call->out_protocol : OX_STR_NULL;
    response.assignment = call->assignment;
    kafka_answer(req, &response);
}

static void
synced(struct coord_call *call)
{
    struct sync_group *job = (struct sync_group *)(void *)call;
    answer(job->req, &job->call);
}

void
kafka_sync_group(struct kafka_request *req)
{
    const struct sync_group_request *request = req->body;
    struct sync_group *job = kafka_array(req, struct sync_group, 1);
    struct coord_sync_call *call = &job->call;
    job->req = req;
    call->call.code = request->group_id.len == 0 ? OX_INVALID_GROUP_ID
                      : !kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ)
                          ? OX_GROUP_AUTHORIZATION_FAILED
                      : req->version >= 5 && (request->protocol_type.ptr == NULL ||
                                                 request->protocol_name.ptr == NULL)
                          ? OX_INCONSISTENT_GROUP_PROTOCOL
                          : OX_OK;
    if (call->call.code != OX_OK) {
        answer(req, call);
        return;
    }
    struct coord_sync_assignment *assignments =
        kafka_array(req, struct coord_sync_assignment, request->assignments.count);
    for (int32_t i = 0; i < request->assignments.count; i++)
        assignments[i] = (struct coord_sync_assignment){request->assignments.at[i].member_id,
            request->assignments.at[i].assignment};
    call->call.arena = &req->arena;
    call->call.done = synced;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->instance_id = request->group_instance_id;
    call->protocol_type = request->protocol_type;
    call->protocol = request->protocol_name;
    call->generation = request->generation_id;
    call->assignments = assignments;
    call->assignment_count = (size_t)request->assignments.count;
    coord_sync(engine_coord(kafka_engine(req)), call);
}
