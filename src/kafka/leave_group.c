/* SPDX-License-Identifier: Apache-2.0
 *
 * LeaveGroup: one member below version 3, any number from then on. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

struct leave_group {
    struct coord_leave_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_leave_call *call)
{
    typedef struct leave_group_response_members member_row;
    struct leave_group_response response;
    leave_group_response_init(&response);
    ox_code code = call->call.code;
    if (code == OX_OK && req->version < 3)
        code = call->members[0].code;
    response.error_code = ox_code_kafka(code);
    if (code == OX_OK) {
        response.members.at = kafka_array(req, member_row, call->member_count);
        response.members.count = (int32_t)call->member_count;
        for (size_t i = 0; i < call->member_count; i++)
            response.members.at[i] = (member_row){call->members[i].member_id,
                call->members[i].instance_id, ox_code_kafka(call->members[i].code)};
    }
    kafka_answer(req, &response);
}

static void
left(struct coord_call *call)
{
    struct leave_group *job = (struct leave_group *)(void *)call;
    answer(job->req, &job->call);
}

static void
fill_members(struct kafka_request *req, struct coord_leave_call *call)
{
    const struct leave_group_request *request = req->body;
    bool many = req->version >= 3;
    call->member_count = many ? (size_t)request->members.count : 1;
    call->members = kafka_array(req, struct coord_leave_member, call->member_count);
    if (!many)
        call->members[0] = (struct coord_leave_member){request->member_id, OX_STR_NULL, OX_OK};
    for (int32_t i = 0; many && i < request->members.count; i++)
        call->members[i] = (struct coord_leave_member){request->members.at[i].member_id,
            request->members.at[i].group_instance_id, OX_OK};
}

void
kafka_leave_group(struct kafka_request *req)
{
    const struct leave_group_request *request = req->body;
    struct leave_group *job = kafka_array(req, struct leave_group, 1);
    struct coord_leave_call *call = &job->call;
    job->req = req;
    fill_members(req, call);
    call->call.code = request->group_id.len == 0 ? OX_INVALID_GROUP_ID
                      : !kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ)
                          ? OX_GROUP_AUTHORIZATION_FAILED
                          : OX_OK;
    if (call->call.code != OX_OK) {
        answer(req, call);
        return;
    }
    call->call.arena = &req->arena;
    call->call.done = left;
    call->group_id = request->group_id;
    coord_leave(engine_coord(kafka_engine(req)), call);
}
