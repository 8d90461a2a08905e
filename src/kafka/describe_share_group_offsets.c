/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeShareGroupOffsets: where share groups begin in each partition, and how
 * many records are still to be delivered. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct describe_share_group_offsets_response_groups group_out;
typedef struct describe_share_group_offsets_response_groups_topics topic_out;
typedef struct describe_share_group_offsets_response_groups_topics_partitions part_out;

struct describe_shares {
    struct kafka_wait wait;
    struct describe_share {
        struct coord_share_offsets_call call; /* first: done() gets its head */
        struct describe_shares *all;
    } *groups;
};

static void finish(struct kafka_request *req);

static void
described(struct coord_call *call)
{
    struct describe_share *job = (struct describe_share *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

/* The topics asked for; NULL stays NULL: all. */
static void
fill_topics(struct kafka_request *req,
    const struct describe_share_group_offsets_request_groups *from,
    struct coord_share_offsets_call *call)
{
    if (from->topics.count < 0)
        return;
    call->topic_count = (size_t)from->topics.count;
    call->topics = kafka_array(req, struct coord_share_topic, OX_MAX(call->topic_count, 1u));
    for (size_t i = 0; i < call->topic_count; i++) {
        struct coord_share_topic *to = &call->topics[i];
        to->name = from->topics.at[i].topic_name;
        const struct meta_topic *topic = meta_view_topic(kafka_view(req), to->name);
        bool may = kafka_may(req, ENGINE_TOPIC, to->name, ENGINE_DESCRIBE);
        if (topic != NULL && may)
            to->id = topic->id; /* of a topic that is not there nothing was read: no error */
        to->partition_count = (size_t)from->topics.at[i].partitions.count;
        to->partitions = kafka_array(req, struct coord_share_partition, to->partition_count);
        for (size_t j = 0; j < to->partition_count; j++) {
            int32_t index = from->topics.at[i].partitions.at[j];
            bool there = topic != NULL && index >= 0 && (uint32_t)index < topic->partition_count;
            to->partitions[j] = (struct coord_share_partition){.partition = index,
                .start_offset = -1, .complete = -1,
                .code = !may ? OX_TOPIC_AUTHORIZATION_FAILED
                        : there || topic == NULL ? OX_OK
                                                 : OX_UNKNOWN_TOPIC_OR_PARTITION};
        }
    }
}

void
kafka_describe_share_group_offsets(struct kafka_request *req)
{
    const struct describe_share_group_offsets_request *request = req->body;
    struct describe_shares *all = kafka_array(req, struct describe_shares, 1);
    all->groups = kafka_array(req, struct describe_share, request->groups.count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; i < request->groups.count; i++) {
        struct describe_share *job = &all->groups[i];
        job->all = all;
        job->call.op = COORD_SHARE_DESCRIBE;
        job->call.group_id = request->groups.at[i].group_id;
        job->call.call.code =
            kafka_feature(req, PARAM_FEATURE_SHARE_VERSION) == 0 ? OX_UNSUPPORTED_VERSION
            : kafka_may(req, ENGINE_GROUP, job->call.group_id, ENGINE_DESCRIBE)
                ? OX_OK
                : OX_GROUP_AUTHORIZATION_FAILED;
        if (job->call.call.code != OX_OK)
            continue;
        fill_topics(req, &request->groups.at[i], &job->call);
        job->call.call.arena = kafka_arena(req);
        job->call.call.done = described;
        all->wait.pending++;
        coord_share_offsets(engine_coord(kafka_engine(req)), &job->call);
    }
    kafka_wait_done(&all->wait);
}

/* ---- the answer ---- */

/* Records after the start that have not been dealt with; -1: not known. Below 0 where
 * the start is beyond the end, as Kafka has it. */
static int64_t
lag(struct kafka_request *req, const struct coord_share_topic *topic,
    const struct coord_share_partition *from)
{
    struct partition_state state;
    struct partition *part =
        replica_partition(engine_replica(kafka_engine(req)), &topic->id, from->partition);
    if (part == NULL || from->start_offset < 0 || from->complete < 0)
        return -1;
    partition_state(part, &state);
    return state.high_watermark - from->start_offset - from->complete;
}

static void
fill_topic(struct kafka_request *req, const struct coord_share_topic *from, topic_out *out)
{
    part_out *parts = kafka_array(req, part_out, from->partition_count);
    for (size_t i = 0; i < from->partition_count; i++) {
        const struct coord_share_partition *part = &from->partitions[i];
        parts[i] = (part_out){part->partition, part->start_offset, part->leader_epoch,
            lag(req, from, part), ox_code_kafka(part->code),
            kafka_error_text(req, part->code, NULL)};
    }
    *out = (topic_out){from->name, from->id, {parts, (int32_t)from->partition_count}};
}

static void
finish(struct kafka_request *req)
{
    const struct describe_share_group_offsets_request *request = req->body;
    const struct describe_shares *all = req->state;
    struct describe_share_group_offsets_response response;
    describe_share_group_offsets_response_init(&response);
    response.groups.count = request->groups.count;
    response.groups.at = kafka_array(req, group_out, request->groups.count);
    for (int32_t i = 0; i < request->groups.count; i++) {
        const struct coord_share_offsets_call *call = &all->groups[i].call;
        group_out *out = &response.groups.at[i];
        size_t topics = call->call.code == OX_OK ? call->topic_count : 0;
        describe_share_group_offsets_response_groups_init(out);
        out->group_id = call->group_id;
        out->error_code = ox_code_kafka(call->call.code);
        out->error_message = call->call.code == OX_UNSUPPORTED_VERSION
                                 ? OX_STR_NULL
                                 : kafka_error_text(req, call->call.code, NULL);
        out->topics.at = kafka_array(req, topic_out, topics);
        out->topics.count = (int32_t)topics;
        for (size_t j = 0; j < topics; j++)
            fill_topic(req, &call->topics[j], &out->topics.at[j]);
    }
    kafka_answer(req, &response);
}
