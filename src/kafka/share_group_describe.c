/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupDescribe: share groups and their members. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct share_group_describe_response_groups group_out;
typedef struct share_group_describe_response_groups_members member_out;
typedef struct share_group_describe_response_groups_members_assignment_topic_partitions topic_out;

struct describe_sharers {
    struct kafka_wait wait;
    struct describe_sharer {
        struct coord_share_describe_call call; /* first: done() gets its head */
        struct describe_sharers *all;
    } *groups;
};

static void finish(struct kafka_request *req);

static void
described(struct coord_call *call)
{
    struct describe_sharer *job = (struct describe_sharer *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

void
kafka_share_group_describe(struct kafka_request *req)
{
    const struct share_group_describe_request *request = req->body;
    struct describe_sharers *all = kafka_array(req, struct describe_sharers, 1);
    all->groups = kafka_array(req, struct describe_sharer, request->group_ids.count);
    req->state = all;
    bool off = kafka_feature(req, PARAM_FEATURE_SHARE_VERSION) == 0;
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; i < request->group_ids.count; i++) {
        struct describe_sharer *job = &all->groups[i];
        job->all = all;
        job->call.group_id = request->group_ids.at[i];
        bool may = kafka_may(req, ENGINE_GROUP, job->call.group_id, ENGINE_DESCRIBE);
        job->call.call.code = off                         ? OX_UNSUPPORTED_VERSION
                              : job->call.group_id.len == 0 ? OX_INVALID_GROUP_ID
                              : !may                      ? OX_GROUP_AUTHORIZATION_FAILED
                                                          : OX_OK;
        if (job->call.call.code != OX_OK)
            continue;
        job->call.call.arena = kafka_arena(req);
        job->call.call.done = described;
        all->wait.pending++;
        coord_share_describe(engine_coord(kafka_engine(req)), &job->call);
    }
    kafka_wait_done(&all->wait);
}

/* ---- the answer ---- */

static bool
may_see(struct kafka_request *req, const struct coord_consumer_member *member)
{
    for (size_t i = 0; i < member->topic_count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, member->topics[i], ENGINE_DESCRIBE))
            return false;
    for (size_t i = 0; i < member->assigned_count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, member->assigned[i].topic, ENGINE_DESCRIBE))
            return false;
    return true;
}

static void
fill_member(struct kafka_request *req, const struct coord_consumer_member *from, member_out *out)
{
    share_group_describe_response_groups_members_init(out);
    out->member_id = from->member_id;
    out->rack_id = from->rack_id;
    out->member_epoch = from->member_epoch;
    out->client_id = from->client_id;
    out->client_host = from->client_host;
    out->subscribed_topic_names.at = from->topics;
    out->subscribed_topic_names.count = (int32_t)from->topic_count;
    out->assignment.topic_partitions.at = kafka_array(req, topic_out, from->assigned_count);
    out->assignment.topic_partitions.count = (int32_t)from->assigned_count;
    for (size_t i = 0; i < from->assigned_count; i++)
        out->assignment.topic_partitions.at[i] =
            (topic_out){from->assigned[i].topic_id, from->assigned[i].topic,
                {from->assigned[i].partitions, (int32_t)from->assigned[i].partition_count}};
}

static ox_code
fill_members(struct kafka_request *req, const struct coord_share_describe_call *call,
    group_out *out)
{
    for (size_t i = 0; i < call->member_count; i++)
        if (!may_see(req, &call->members[i]))
            return OX_TOPIC_AUTHORIZATION_FAILED;
    out->members.at = kafka_array(req, member_out, call->member_count);
    out->members.count = (int32_t)call->member_count;
    for (size_t i = 0; i < call->member_count; i++)
        fill_member(req, &call->members[i], &out->members.at[i]);
    return OX_OK;
}

static void
fill_group(struct kafka_request *req, const struct coord_share_describe_call *call,
    group_out *out)
{
    const struct share_group_describe_request *request = req->body;
    share_group_describe_response_groups_init(out);
    out->group_id = call->group_id;
    ox_code code = call->call.code;
    if (code == OX_OK)
        code = fill_members(req, call, out);
    out->error_code = ox_code_kafka(code);
    if (code == OX_GROUP_ID_NOT_FOUND)
        out->error_message = ox_str(ox_arena_printf(&req->arena, "Group %.*s not found.",
            OX_STR_ARG(call->group_id)));
    if (code != OX_OK)
        return;
    out->group_state = ox_str(call->state);
    out->group_epoch = call->group_epoch;
    out->assignment_epoch = call->assignment_epoch;
    out->assignor_name = OX_STR("simple");
    if (request->include_authorized_operations)
        out->authorized_operations = engine_allowed_mask(req->sess, ENGINE_GROUP, call->group_id);
}

static void
finish(struct kafka_request *req)
{
    const struct share_group_describe_request *request = req->body;
    const struct describe_sharers *all = req->state;
    struct share_group_describe_response response;
    share_group_describe_response_init(&response);
    response.groups.count = request->group_ids.count;
    response.groups.at = kafka_array(req, group_out, request->group_ids.count);
    for (int32_t i = 0; i < request->group_ids.count; i++)
        fill_group(req, &all->groups[i].call, &response.groups.at[i]);
    kafka_answer(req, &response);
}
