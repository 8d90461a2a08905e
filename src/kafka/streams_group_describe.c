/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamsGroupDescribe: streams groups, their topologies and members. */
#include "kafka/group_calls.h"

typedef struct streams_group_describe_response_groups group_out;
typedef struct streams_group_describe_response_groups_members member_out;
typedef struct streams_group_describe_response_groups_members_assignment assignment_out;
typedef struct streams_group_describe_response_groups_topology topology_out;
typedef struct streams_group_describe_response_groups_topology_subtopologies subtopology_out;
typedef struct
    streams_group_describe_response_groups_topology_subtopologies_state_changelog_topics topic_out;
typedef struct
    streams_group_describe_response_groups_topology_subtopologies_state_changelog_topics_topic_configs
        config_out;

/* What became of the wish for a topology's description (KIP-1331). Nobody stores them
 * here, and StreamsGroupTopologyDescriptionUpdate is told so. */
enum { DESCRIPTION_NOT_STORED = 1 };

_Static_assert(sizeof(struct streams_group_describe_response_groups_members_target_assignment) ==
                   sizeof(assignment_out) &&
               sizeof(struct
                   streams_group_describe_response_groups_topology_subtopologies_repartition_source_topics) ==
                   sizeof(topic_out) &&
               sizeof(struct streams_group_describe_response_groups_members_task_offsets) ==
                   sizeof(struct coord_task_offset) &&
               sizeof(struct streams_group_describe_response_groups_members_task_end_offsets) ==
                   sizeof(struct coord_task_offset) &&
               sizeof(struct streams_group_describe_response_groups_members_assignment_active_tasks) ==
                   sizeof(kafka_tasks),
    "one layout under two names");

static bool
may_see_all(struct kafka_request *req, const struct coord_internal_topic *topics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, topics[i].name, ENGINE_DESCRIBE))
            return false;
    return true;
}

static bool
may_see(struct kafka_request *req, const struct coord_subtopology *sub)
{
    for (size_t i = 0; i < sub->source_count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, sub->sources[i], ENGINE_DESCRIBE))
            return false;
    for (size_t i = 0; i < sub->sink_count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, sub->sinks[i], ENGINE_DESCRIBE))
            return false;
    return may_see_all(req, sub->changelogs, sub->changelog_count) &&
           may_see_all(req, sub->repartitions, sub->repartition_count);
}

static topic_out *
fill_topics(struct kafka_request *req, const struct coord_internal_topic *from, size_t count)
{
    topic_out *out = kafka_array(req, topic_out, count);
    for (size_t i = 0; i < count; i++) {
        out[i].name = from[i].name;
        out[i].partitions = from[i].partitions;
        out[i].replication_factor = from[i].replication_factor;
        out[i].topic_configs.at = kafka_array(req, config_out, from[i].config_count);
        out[i].topic_configs.count = (int32_t)from[i].config_count;
        for (size_t j = 0; j < from[i].config_count; j++)
            out[i].topic_configs.at[j] =
                (config_out){from[i].configs[j].key, from[i].configs[j].value};
    }
    return out;
}

static topology_out *
fill_topology(struct kafka_request *req, const struct coord_modern_call *call)
{
    topology_out *out = kafka_array(req, topology_out, 1);
    out->epoch = call->topology_epoch;
    out->subtopologies.at = kafka_array(req, subtopology_out, call->subtopology_count);
    out->subtopologies.count = (int32_t)call->subtopology_count;
    for (size_t i = 0; i < call->subtopology_count; i++) {
        const struct coord_subtopology *from = &call->subtopologies[i];
        subtopology_out *to = &out->subtopologies.at[i];
        to->subtopology_id = from->id;
        to->source_topics = (struct msg_strs){from->sources, (int32_t)from->source_count};
        to->repartition_sink_topics = (struct msg_strs){from->sinks, (int32_t)from->sink_count};
        to->state_changelog_topics.at =
            fill_topics(req, from->changelogs, from->changelog_count);
        to->state_changelog_topics.count = (int32_t)from->changelog_count;
        to->repartition_source_topics.at =
            (void *)fill_topics(req, from->repartitions, from->repartition_count);
        to->repartition_source_topics.count = (int32_t)from->repartition_count;
    }
    return out;
}

static assignment_out
fill_assignment(struct kafka_request *req, const struct coord_tasks from[COORD_TASK_KINDS])
{
    assignment_out out;
    out.active_tasks.at =
        (void *)kafka_task_rows(req, &from[COORD_ACTIVE], &out.active_tasks.count);
    out.standby_tasks.at =
        (void *)kafka_task_rows(req, &from[COORD_STANDBY], &out.standby_tasks.count);
    out.warmup_tasks.at =
        (void *)kafka_task_rows(req, &from[COORD_WARMUP], &out.warmup_tasks.count);
    return out;
}

static void
fill_member(struct kafka_request *req, const struct coord_streams_member *from, member_out *out)
{
    typedef struct streams_group_describe_response_groups_members_user_endpoint endpoint_out;
    typedef struct streams_group_describe_response_groups_members_client_tags tag_out;
    streams_group_describe_response_groups_members_init(out);
    out->member_id = from->member_id;
    out->member_epoch = from->member_epoch;
    out->instance_id = from->instance_id;
    out->rack_id = from->rack_id;
    out->client_id = from->client_id;
    out->client_host = from->client_host;
    out->topology_epoch = from->topology_epoch;
    out->process_id = from->process_id;
    if (from->host.ptr != NULL) {
        out->user_endpoint = kafka_array(req, endpoint_out, 1);
        *out->user_endpoint = (endpoint_out){from->host, from->port};
    }
    out->client_tags.at = kafka_array(req, tag_out, from->tag_count);
    out->client_tags.count = (int32_t)from->tag_count;
    for (size_t i = 0; i < from->tag_count; i++)
        out->client_tags.at[i] = (tag_out){from->tags[i].key, from->tags[i].value};
    out->task_offsets.at = (void *)(uintptr_t)from->offsets.at;
    out->task_offsets.count = (int32_t)from->offsets.count;
    out->task_end_offsets.at = (void *)(uintptr_t)from->end_offsets.at;
    out->task_end_offsets.count = (int32_t)from->end_offsets.count;
    out->assignment = fill_assignment(req, from->assigned);
    assignment_out target = fill_assignment(req, from->target);
    memcpy(&out->target_assignment, &target, sizeof(target));
}

static void
fill_group(struct kafka_request *req, const struct coord_modern_call *call, void *row)
{
    group_out *out = row;
    const struct streams_group_describe_request *request = req->body;
    streams_group_describe_response_groups_init(out);
    out->group_id = call->group_id;
    ox_code code = call->call.code;
    for (size_t i = 0; code == OX_OK && i < call->subtopology_count; i++)
        if (!may_see(req, &call->subtopologies[i]))
            code = OX_TOPIC_AUTHORIZATION_FAILED;
    out->error_code = ox_code_kafka(code);
    out->error_message = kafka_group_text(req, code, call->group_id);
    if (code == OX_TOPIC_AUTHORIZATION_FAILED)
        out->error_message = OX_STR("The described group uses topics that the client is not "
                                    "authorized to describe.");
    if (code != OX_OK)
        return;
    out->group_state = ox_str(call->state);
    out->group_epoch = call->group_epoch;
    out->assignment_epoch = call->assignment_epoch;
    if (call->has_topology)
        out->topology = fill_topology(req, call);
    out->members.at = kafka_array(req, member_out, call->member_count);
    out->members.count = (int32_t)call->member_count;
    for (size_t i = 0; i < call->member_count; i++)
        fill_member(req, &call->streams_members[i], &out->members.at[i]);
    if (request->include_authorized_operations)
        out->authorized_operations = engine_allowed_mask(req->sess, ENGINE_GROUP, call->group_id);
    if (request->include_topology_description)
        out->topology_description_status = DESCRIPTION_NOT_STORED;
    out->assignor_name = OX_STR("sticky");
}

static void
finish(struct kafka_request *req)
{
    struct streams_group_describe_response response;
    streams_group_describe_response_init(&response);
    response.groups.at =
        kafka_described_rows(req, sizeof(group_out), fill_group, &response.groups.count);
    kafka_answer(req, &response);
}

void
kafka_streams_group_describe(struct kafka_request *req)
{
    const struct streams_group_describe_request *request = req->body;
    kafka_describe_modern(req, &request->group_ids, COORD_STREAMS_GROUP,
        PARAM_FEATURE_STREAMS_VERSION, finish);
}
