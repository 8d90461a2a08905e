/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetDelete: forgets what a group committed for partitions. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct offset_delete_response_topics topic_out;
typedef struct offset_delete_response_topics_partitions part_out;

struct offset_delete {
    struct coord_offset_delete_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_offset_delete_call *call)
{
    struct offset_delete_response response;
    offset_delete_response_init(&response);
    response.error_code = ox_code_kafka(call->call.code);
    if (call->call.code == OX_OK) {
        response.topics.count = (int32_t)call->topic_count;
        response.topics.at = kafka_array(req, topic_out, call->topic_count);
        for (size_t t = 0; t < call->topic_count; t++) {
            const struct coord_offset_topic *topic = &call->topics[t];
            topic_out *out = &response.topics.at[t];
            out->name = topic->name;
            out->partitions.count = (int32_t)topic->partition_count;
            out->partitions.at = kafka_array(req, part_out, topic->partition_count);
            for (size_t p = 0; p < topic->partition_count; p++)
                out->partitions.at[p] = (part_out){topic->partitions[p].partition,
                    ox_code_kafka(topic->partitions[p].code)};
        }
    }
    kafka_answer(req, &response);
}

static void
deleted(struct coord_call *call)
{
    struct offset_delete *job = (struct offset_delete *)(void *)call;
    answer(job->req, &job->call);
}

static void
fill_topics(struct kafka_request *req, struct coord_offset_delete_call *call)
{
    const struct offset_delete_request *request = req->body;
    call->topic_count = (size_t)request->topics.count;
    call->topics = kafka_array(req, struct coord_offset_topic, call->topic_count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const struct offset_delete_request_topics *in = &request->topics.at[t];
        const struct meta_topic *topic = meta_view_topic(kafka_view(req), in->name);
        bool allowed = kafka_may(req, ENGINE_TOPIC, in->name, ENGINE_READ);
        struct coord_offset_topic *out = &call->topics[t];
        out->name = in->name;
        out->partition_count = (size_t)in->partitions.count;
        out->partitions = kafka_array(req, struct coord_offset, out->partition_count);
        for (int32_t p = 0; p < in->partitions.count; p++) {
            int32_t index = in->partitions.at[p].partition_index;
            bool known = topic != NULL && meta_topic_partition(topic, index) != NULL;
            out->partitions[p].partition = index;
            out->partitions[p].code = !allowed ? OX_TOPIC_AUTHORIZATION_FAILED
                                      : !known ? OX_UNKNOWN_TOPIC_OR_PARTITION
                                               : OX_OK;
        }
    }
}

void
kafka_offset_delete(struct kafka_request *req)
{
    const struct offset_delete_request *request = req->body;
    struct offset_delete *job = kafka_array(req, struct offset_delete, 1);
    struct coord_offset_delete_call *call = &job->call;
    job->req = req;
    call->call.code = request->group_id.len == 0 ? OX_INVALID_GROUP_ID
                      : !kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_DELETE)
                          ? OX_GROUP_AUTHORIZATION_FAILED
                          : OX_OK;
    if (call->call.code != OX_OK) {
        answer(req, call);
        return;
    }
    call->call.arena = &req->arena;
    call->call.done = deleted;
    call->group_id = request->group_id;
    fill_topics(req, call);
    coord_offset_delete(engine_coord(kafka_engine(req)), call); /* also of nothing: is there the group? */
}
