/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetCommit: which topics and partitions there are is checked here, the rest
 * by the coordinator. Who may not use the group learns nothing about topics. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct offset_commit_request_topics topic_in;
typedef struct offset_commit_response_topics topic_out;
typedef struct offset_commit_response_topics_partitions part_out;

struct offset_commit {
    struct coord_offset_commit_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_offset_commit_call *call)
{
    const struct offset_commit_request *request = req->body;
    struct offset_commit_response response;
    offset_commit_response_init(&response);
    response.topics.count = request->topics.count;
    response.topics.at = kafka_committed_topics(req, request->topics.at, call, call->call.code);
    kafka_answer(req, &response);
}

static void
committed(struct coord_call *call)
{
    struct offset_commit *job = (struct offset_commit *)(void *)call;
    answer(job->req, &job->call);
}

/* ---- topics: the same in TxnOffsetCommit ---- */

struct offset_commit_response_topics *
kafka_committed_topics(struct kafka_request *req, const topic_in *in,
    const struct coord_offset_commit_call *call, ox_code all)
{
    topic_out *topics = kafka_array(req, topic_out, call->topic_count);
    for (size_t t = 0; t < call->topic_count; t++) {
        const struct coord_offset_topic *topic = &call->topics[t];
        topic_out *out = &topics[t];
        out->name = in[t].name;
        out->topic_id = in[t].topic_id;
        out->partitions.count = (int32_t)topic->partition_count;
        out->partitions.at = kafka_array(req, part_out, topic->partition_count);
        for (size_t p = 0; p < topic->partition_count; p++) {
            ox_code code = topic->partitions[p].code;
            out->partitions.at[p] = (part_out){topic->partitions[p].partition,
                ox_code_kafka(code != OX_OK ? code : all)};
        }
    }
    return topics;
}

/* The topic as it is, or why its partitions are refused. */
static ox_code
find_topic(struct kafka_request *req, const topic_in *in, bool by_id,
    const struct meta_topic **out)
{
    *out = by_id ? meta_view_topic_by_id(kafka_view(req), &in->topic_id)
                 : meta_view_topic(kafka_view(req), in->name);
    if (by_id && *out == NULL)
        return OX_UNKNOWN_TOPIC_ID;
    if (!kafka_may(req, ENGINE_TOPIC, by_id ? (*out)->name : in->name, ENGINE_READ))
        return OX_TOPIC_AUTHORIZATION_FAILED;
    return *out != NULL ? OX_OK : OX_UNKNOWN_TOPIC_OR_PARTITION;
}

int
kafka_commit_topics(struct kafka_request *req, const topic_in *topics, int32_t count, bool by_id,
    struct coord_offset_commit_call *call)
{
    int good = 0;
    call->topic_count = (size_t)count;
    call->topics = kafka_array(req, struct coord_offset_topic, call->topic_count);
    for (int32_t t = 0; t < count; t++) {
        const topic_in *in = &topics[t];
        struct coord_offset_topic *out = &call->topics[t];
        const struct meta_topic *topic;
        ox_code code = find_topic(req, in, by_id, &topic);
        out->name = topic != NULL ? ox_str_dup(&req->arena, topic->name) : in->name;
        out->partition_count = (size_t)in->partitions.count;
        out->partitions = kafka_array(req, struct coord_offset, out->partition_count);
        for (int32_t p = 0; p < in->partitions.count; p++) {
            const struct offset_commit_request_topics_partitions *part = &in->partitions.at[p];
            bool known = topic != NULL && meta_topic_partition(topic, part->partition_index);
            out->partitions[p] = (struct coord_offset){
                .partition = part->partition_index,
                .leader_epoch = part->committed_leader_epoch,
                .offset = part->committed_offset,
                .metadata = part->committed_metadata.ptr ? part->committed_metadata : OX_STR(""),
                .commit_ms = -1,
                .code = code != OX_OK ? code : known ? OX_OK : OX_UNKNOWN_TOPIC_OR_PARTITION,
            };
            good += out->partitions[p].code == OX_OK;
        }
    }
    return good;
}

void
kafka_commit_refuse(struct coord_offset_commit_call *call, ox_code code)
{
    for (size_t t = 0; t < call->topic_count; t++)
        for (size_t p = 0; p < call->topics[t].partition_count; p++)
            call->topics[t].partitions[p].code = code;
}

/* ---- the request ---- */

void
kafka_offset_commit(struct kafka_request *req)
{
    const struct offset_commit_request *request = req->body;
    struct offset_commit *job = kafka_array(req, struct offset_commit, 1);
    struct coord_offset_commit_call *call = &job->call;
    job->req = req;
    kafka_commit_topics(req, request->topics.at, request->topics.count, req->version >= 10, call);
    if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ)) {
        kafka_commit_refuse(call, OX_GROUP_AUTHORIZATION_FAILED);
        call->call.code = OX_GROUP_AUTHORIZATION_FAILED;
        answer(req, call);
        return;
    }
    call->call.arena = &req->arena;
    call->call.done = committed;
    call->tells_epochs = req->version >= 9;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->instance_id = request->group_instance_id;
    call->generation = request->generation_id_or_member_epoch;
    call->retention_ms = request->retention_time_ms;
    coord_offset_commit(engine_coord(kafka_engine(req)), call);
}
