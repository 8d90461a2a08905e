/* SPDX-License-Identifier: Apache-2.0
 *
 * ConsumerGroupDescribe: groups of the consumer protocol; a classic group is not
 * found here, and clients then ask DescribeGroups. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct consumer_group_describe_response_groups group_out;
typedef struct consumer_group_describe_response_groups_members member_out;
typedef struct consumer_group_describe_response_groups_members_assignment_topic_partitions topic_out;
typedef struct consumer_group_describe_response_groups_members_target_assignment_topic_partitions
    target_out;

enum { MEMBER_CONSUMER = 1 };

struct describe_consumers {
    struct kafka_wait wait;
    struct describe_consumer {
        struct coord_consumer_describe_call call; /* first: done() gets its head */
        struct describe_consumers *all;
    } *groups;
};

static void finish(struct kafka_request *req);

static void
described(struct coord_call *call)
{
    struct describe_consumer *job = (struct describe_consumer *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

void
kafka_consumer_group_describe(struct kafka_request *req)
{
    const struct consumer_group_describe_request *request = req->body;
    struct describe_consumers *all = kafka_array(req, struct describe_consumers, 1);
    all->groups = kafka_array(req, struct describe_consumer, request->group_ids.count);
    req->state = all;
    bool off = kafka_feature(req, PARAM_FEATURE_GROUP_VERSION) == 0;
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; i < request->group_ids.count; i++) {
        struct describe_consumer *job = &all->groups[i];
        job->all = all;
        job->call.group_id = request->group_ids.at[i];
        job->call.call.code = off                         ? OX_UNSUPPORTED_VERSION
                              : job->call.group_id.len == 0 ? OX_INVALID_GROUP_ID
                              : !kafka_may(req, ENGINE_GROUP, job->call.group_id,
                                    ENGINE_DESCRIBE)
                                  ? OX_GROUP_AUTHORIZATION_FAILED
                                  : OX_OK;
        if (job->call.call.code != OX_OK)
            continue;
        job->call.call.arena = kafka_arena(req);
        job->call.call.done = described;
        all->wait.pending++;
        coord_consumer_describe(engine_coord(kafka_engine(req)), &job->call);
    }
    kafka_wait_done(&all->wait);
}

/* ---- the answer ---- */

/* Both assignments of a member have rows of one shape, under two names. */
static void
fill_topics(struct kafka_request *req, const struct coord_topic_partitions *from, size_t count,
    topic_out **rows, int32_t *row_count)
{
    *rows = kafka_array(req, topic_out, count);
    *row_count = (int32_t)count;
    for (size_t i = 0; i < count; i++)
        (*rows)[i] = (topic_out){from[i].topic_id, from[i].topic,
            {from[i].partitions, (int32_t)from[i].partition_count}};
}

static bool
may_see(struct kafka_request *req, const struct coord_topic_partitions *topics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, topics[i].topic, ENGINE_DESCRIBE))
            return false;
    return true;
}

static void
fill_member(struct kafka_request *req, const struct coord_consumer_member *from, member_out *out)
{
    _Static_assert(sizeof(topic_out) == sizeof(target_out), "one shape");
    topic_out *rows;
    consumer_group_describe_response_groups_members_init(out);
    out->member_id = from->member_id;
    out->instance_id = from->instance_id;
    out->rack_id = from->rack_id;
    out->member_epoch = from->member_epoch;
    out->client_id = from->client_id;
    out->client_host = from->client_host;
    out->subscribed_topic_names.at = from->topics;
    out->subscribed_topic_names.count = (int32_t)from->topic_count;
    out->subscribed_topic_regex = from->regex.ptr != NULL ? from->regex : OX_STR("");
    fill_topics(req, from->assigned, from->assigned_count, &rows,
        &out->assignment.topic_partitions.count);
    out->assignment.topic_partitions.at = rows;
    fill_topics(req, from->target, from->target_count, &rows,
        &out->target_assignment.topic_partitions.count);
    out->target_assignment.topic_partitions.at = (target_out *)(void *)rows;
    out->member_type = MEMBER_CONSUMER;
}

static ox_code
fill_members(struct kafka_request *req, const struct coord_consumer_describe_call *call,
    group_out *out)
{
    for (size_t i = 0; i < call->member_count; i++)
        if (!may_see(req, call->members[i].assigned, call->members[i].assigned_count) ||
            !may_see(req, call->members[i].target, call->members[i].target_count))
            return OX_TOPIC_AUTHORIZATION_FAILED;
    out->members.at = kafka_array(req, member_out, call->member_count);
    out->members.count = (int32_t)call->member_count;
    for (size_t i = 0; i < call->member_count; i++)
        fill_member(req, &call->members[i], &out->members.at[i]);
    return OX_OK;
}

static void
fill_group(struct kafka_request *req, const struct coord_consumer_describe_call *call,
    group_out *out)
{
    const struct consumer_group_describe_request *request = req->body;
    consumer_group_describe_response_groups_init(out);
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
    out->assignor_name = ox_str(call->assignor);
    if (request->include_authorized_operations)
        out->authorized_operations = engine_allowed_mask(req->sess, ENGINE_GROUP, call->group_id);
}

static void
finish(struct kafka_request *req)
{
    const struct consumer_group_describe_request *request = req->body;
    const struct describe_consumers *all = req->state;
    struct consumer_group_describe_response response;
    consumer_group_describe_response_init(&response);
    response.groups.count = request->group_ids.count;
    response.groups.at = kafka_array(req, group_out, request->group_ids.count);
    for (int32_t i = 0; i < request->group_ids.count; i++)
        fill_group(req, &all->groups[i].call, &response.groups.at[i]);
    kafka_answer(req, &response);
}
