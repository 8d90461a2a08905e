/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeGroups: an unknown group is a dead one, and from version 6 on an error
 * too. A group that is named again is looked up once, and has a row each time. */
#include "kafka/group_calls.h"

typedef struct describe_groups_response_groups group_out;
typedef struct describe_groups_response_groups_members member_out;

struct describe_groups {
    struct kafka_wait wait;
    struct describe_group {
        struct coord_describe_call call; /* first: done() gets its head */
        struct describe_groups *all;
    } *groups;
    int32_t *firsts; /* where each group is named for the first time */
};

static void finish(struct kafka_request *req);

static void
described(struct coord_call *call)
{
    struct describe_group *job = (struct describe_group *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

void
kafka_describe_groups(struct kafka_request *req)
{
    const struct describe_groups_request *request = req->body;
    struct describe_groups *all = kafka_array(req, struct describe_groups, 1);
    all->groups = kafka_array(req, struct describe_group, request->groups.count);
    all->firsts = kafka_firsts(req, request->groups.at, request->groups.count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; i < request->groups.count; i++) {
        struct describe_group *job = &all->groups[i];
        if (all->firsts[i] != i)
            continue;
        job->all = all;
        job->call.group_id = request->groups.at[i];
        if (!kafka_may(req, ENGINE_GROUP, job->call.group_id, ENGINE_DESCRIBE)) {
            job->call.call.code = OX_GROUP_AUTHORIZATION_FAILED;
            continue;
        }
        job->call.call.arena = kafka_arena(req);
        job->call.call.done = described;
        all->wait.pending++;
        coord_describe(engine_coord(kafka_engine(req)), &job->call);
    }
    kafka_wait_done(&all->wait);
}

static void
fill_members(struct kafka_request *req, const struct coord_describe_call *call, group_out *out)
{
    out->members.count = (int32_t)call->member_count;
    out->members.at = kafka_array(req, member_out, call->member_count);
    for (size_t i = 0; i < call->member_count; i++) {
        const struct coord_described_member *member = &call->members[i];
        out->members.at[i] = (member_out){member->member_id, member->instance_id,
            member->client_id, member->client_host, member->metadata, member->assignment};
    }
}

static void
fill_group(struct kafka_request *req, const struct coord_describe_call *call, group_out *out)
{
    const struct describe_groups_request *request = req->body;
    ox_code code = call->call.code;
    describe_groups_response_groups_init(out);
    out->group_id = call->group_id;
    out->error_message = OX_STR_NULL;
    bool unknown = code == OX_GROUP_ID_NOT_FOUND;
    if (unknown)
        out->group_state = OX_STR("Dead");
    if (unknown && req->version >= 6)
        out->error_message = kafka_group_text(req, code, call->group_id);
    if (code != OX_OK && !(unknown && req->version < 6))
        out->error_code = ox_code_kafka(code);
    if (request->include_authorized_operations && (code == OX_OK || unknown))
        out->authorized_operations = engine_allowed_mask(req->sess, ENGINE_GROUP, call->group_id);
    if (code != OX_OK)
        return;
    out->group_state = ox_str(call->state);
    out->protocol_type = call->protocol_type;
    out->protocol_data = call->protocol;
    fill_members(req, call, out);
}

static void
finish(struct kafka_request *req)
{
    const struct describe_groups_request *request = req->body;
    const struct describe_groups *all = req->state;
    struct describe_groups_response response;
    describe_groups_response_init(&response);
    response.groups.count = request->groups.count;
    response.groups.at = kafka_array(req, group_out, request->groups.count);
    for (int32_t i = 0; i < request->groups.count; i++)
        if (all->firsts[i] == i)
            fill_group(req, &all->groups[i].call, &response.groups.at[i]);
        else
            response.groups.at[i] = response.groups.at[all->firsts[i]];
    kafka_answer(req, &response);
}
