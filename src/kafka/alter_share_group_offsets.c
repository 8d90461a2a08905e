/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterShareGroupOffsets: where a share group without members goes on. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct alter_share_group_offsets_response_responses topic_out;
typedef struct alter_share_group_offsets_response_responses_partitions part_out;

struct alter_shares {
    struct coord_share_offsets_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_share_offsets_call *call)
{
    struct alter_share_group_offsets_response response;
    alter_share_group_offsets_response_init(&response);
    response.error_code = ox_code_kafka(call->call.code);
    response.error_message = kafka_error_text(req, call->call.code, NULL);
    size_t topics = call->call.code == OX_OK ? call->topic_count : 0;
    response.responses.at = kafka_array(req, topic_out, topics);
    response.responses.count = (int32_t)topics;
    for (size_t i = 0; i < topics; i++) {
        const struct coord_share_topic *from = &call->topics[i];
        part_out *parts = kafka_array(req, part_out, from->partition_count);
        for (size_t j = 0; j < from->partition_count; j++)
            parts[j] = (part_out){from->partitions[j].partition,
                ox_code_kafka(from->partitions[j].code),
                kafka_error_text(req, from->partitions[j].code, NULL)};
        response.responses.at[i] =
            (topic_out){from->name, from->id, {parts, (int32_t)from->partition_count}};
    }
    kafka_answer(req, &response);
}

static void
altered(struct coord_call *call)
{
    struct alter_shares *job = (struct alter_shares *)(void *)call;
    answer(job->req, &job->call);
}

static ox_code
check(struct kafka_request *req, const struct meta_topic *topic, struct str name, int32_t index,
    int64_t start_offset)
{
    if (!kafka_may(req, ENGINE_TOPIC, name, ENGINE_READ))
        return OX_TOPIC_AUTHORIZATION_FAILED;
    if (topic == NULL || index < 0 || (uint32_t)index >= topic->partition_count)
        return OX_UNKNOWN_TOPIC_OR_PARTITION;
    return start_offset < -1 ? OX_INVALID_REQUEST : OX_OK;
}

void
kafka_alter_share_group_offsets(struct kafka_request *req)
{
    const struct alter_share_group_offsets_request *request = req->body;
    struct alter_shares *job = kafka_array(req, struct alter_shares, 1);
    struct coord_share_offsets_call *call = &job->call;
    job->req = req;
    if (kafka_feature(req, PARAM_FEATURE_SHARE_VERSION) == 0) {
        call->call.code = OX_UNSUPPORTED_VERSION;
        answer(req, call);
        return;
    }
    if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ)) {
        call->call.code = OX_GROUP_AUTHORIZATION_FAILED;
        answer(req, call);
        return;
    }
    if (meta_view_topic(kafka_view(req), OX_STR("__share_group_state")) == NULL)
        kafka_auto_create(req, OX_STR("__share_group_state"));
    call->call.arena = &req->arena;
    call->call.done = altered;
    call->op = COORD_SHARE_ALTER;
    call->group_id = request->group_id;
    call->topic_count = (size_t)request->topics.count;
    call->topics = kafka_array(req, struct coord_share_topic, call->topic_count);
    for (size_t i = 0; i < call->topic_count; i++) {
        struct coord_share_topic *to = &call->topics[i];
        const struct meta_topic *topic =
            meta_view_topic(kafka_view(req), request->topics.at[i].topic_name);
        to->name = request->topics.at[i].topic_name;
        to->partition_count = (size_t)request->topics.at[i].partitions.count;
        to->partitions = kafka_array(req, struct coord_share_partition, to->partition_count);
        if (topic != NULL)
            to->id = topic->id;
        for (size_t j = 0; j < to->partition_count; j++) {
            int32_t index = request->topics.at[i].partitions.at[j].partition_index;
            int64_t start = request->topics.at[i].partitions.at[j].start_offset;
            to->partitions[j] = (struct coord_share_partition){.partition = index,
                .start_offset = start, .code = check(req, topic, to->name, index, start)};
        }
    }
    coord_share_offsets(engine_coord(kafka_engine(req)), call);
}
