/* SPDX-License-Identifier: Apache-2.0
 *
 * ConsumerGroupDescribe: groups of the consumer protocol; a classic group is not
 * found here, and clients then ask DescribeGroups. */
#include "kafka/group_calls.h"

typedef struct consumer_group_describe_response_groups group_out;
typedef struct consumer_group_describe_response_groups_members member_out;
enum { MEMBER_CLASSIC = 0, MEMBER_CONSUMER = 1 };

static void
fill_member(struct kafka_request *req, const struct coord_modern_member *from, member_out *out)
{
    _Static_assert(sizeof(*out->target_assignment.topic_partitions.at) ==
                       sizeof(kafka_named_partitions),
        "rows of both assignments have one shape, under two names");
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
    out->assignment.topic_partitions.at =
        kafka_named_rows(req, from->assigned, from->assigned_count);
    out->assignment.topic_partitions.count = (int32_t)from->assigned_count;
    out->target_assignment.topic_partitions.at =
        (void *)kafka_named_rows(req, from->target, from->target_count);
    out->target_assignment.topic_partitions.count = (int32_t)from->target_count;
    out->member_type = from->classic ? MEMBER_CLASSIC : MEMBER_CONSUMER;
}

static ox_code
fill_members(struct kafka_request *req, const struct coord_modern_call *call, group_out *out)
{
    for (size_t i = 0; i < call->member_count; i++)
        if (!kafka_may_see(req, call->members[i].assigned, call->members[i].assigned_count) ||
            !kafka_may_see(req, call->members[i].target, call->members[i].target_count))
            return OX_TOPIC_AUTHORIZATION_FAILED;
    out->members.at = kafka_array(req, member_out, call->member_count);
    out->members.count = (int32_t)call->member_count;
    for (size_t i = 0; i < call->member_count; i++)
        fill_member(req, &call->members[i], &out->members.at[i]);
    return OX_OK;
}

static void
fill_group(struct kafka_request *req, const struct coord_modern_call *call, void *row)
{
    group_out *out = row;
    const struct consumer_group_describe_request *request = req->body;
    consumer_group_describe_response_groups_init(out);
    out->group_id = call->group_id;
    ox_code code = call->call.code;
    if (code == OX_OK)
        code = fill_members(req, call, out);
    out->error_code = ox_code_kafka(code);
    out->error_message = kafka_group_text(req, code, call->group_id);
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
    struct consumer_group_describe_response response;
    consumer_group_describe_response_init(&response);
    response.groups.at =
        kafka_described_rows(req, sizeof(group_out), fill_group, &response.groups.count);
    kafka_answer(req, &response);
}

void
kafka_consumer_group_describe(struct kafka_request *req)
{
    const struct consumer_group_describe_request *request = req->body;
    kafka_describe_modern(req, &request->group_ids, COORD_CONSUMER_GROUP,
        PARAM_FEATURE_GROUP_VERSION, finish);
}
