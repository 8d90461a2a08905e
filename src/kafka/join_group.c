/* SPDX-License-Identifier: Apache-2.0
 *
 * JoinGroup: parked by the coordinator until the group has its new generation. */
#include "kafka/group_calls.h"

struct join_group {
    struct coord_join_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_join_call *call)
{
    const struct join_group_request *request = req->body;
    typedef struct join_group_response_members member_row;
    struct join_group_response response;
    join_group_response_init(&response);
    ox_code code = call->call.code;
    response.error_code = ox_code_kafka(code);
    response.generation_id = code == OX_OK ? call->generation : -1;
    response.protocol_type = code == OX_OK ? call->out_protocol_type : OX_STR_NULL;
    response.protocol_name = code == OX_OK ? call->out_protocol : OX_STR_NULL;
    response.leader = call->leader;
    response.skip_assignment = call->skip_assignment;
    response.member_id = call->out_member_id.ptr != NULL ? call->out_member_id : request->member_id;
    response.members.at = kafka_array(req, member_row, call->member_count);
    response.members.count = (int32_t)call->member_count;
    for (size_t i = 0; i < call->member_count; i++)
        response.members.at[i] = (member_row){call->members[i].member_id,
            call->members[i].instance_id, call->members[i].metadata};
    kafka_answer(req, &response);
}

static void
joined(struct coord_call *call)
{
    struct join_group *job = (struct join_group *)(void *)call;
    answer(job->req, &job->call);
}

static void
fill_protocols(struct kafka_request *req, struct coord_join_call *call)
{
    const struct join_group_request *request = req->body;
    struct coord_join_protocol *protocols =
        kafka_array(req, struct coord_join_protocol, request->protocols.count);
    for (int32_t i = 0; i < request->protocols.count; i++)
        protocols[i] = (struct coord_join_protocol){request->protocols.at[i].name,
            request->protocols.at[i].metadata};
    call->protocols = protocols;
    call->protocol_count = (size_t)request->protocols.count;
}

void
kafka_join_group(struct kafka_request *req)
{
    const struct join_group_request *request = req->body;
    struct join_group *job = kafka_array(req, struct join_group, 1);
    struct coord_join_call *call = &job->call;
    job->req = req;
    ox_code code = request->group_id.len == 0 ? OX_INVALID_GROUP_ID
                   : !kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ)
                       ? OX_GROUP_AUTHORIZATION_FAILED
                       : OX_OK;
    if (code != OX_OK) {
        call->call.code = code;
        answer(req, call);
        return;
    }
    call->call.arena = &req->arena;
    call->call.done = joined;
    call->version = req->version;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->instance_id = request->group_instance_id;
    call->client_id = kafka_client_id(req);
    call->client_host = kafka_client_host(req);
    call->protocol_type = request->protocol_type;
    call->session_timeout_ms = request->session_timeout_ms;
    call->rebalance_timeout_ms = request->rebalance_timeout_ms;
    fill_protocols(req, call);
    coord_join(engine_coord(kafka_engine(req)), call);
}
