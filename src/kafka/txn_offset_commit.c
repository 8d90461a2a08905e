/* SPDX-License-Identifier: Apache-2.0
 *
 * TxnOffsetCommit: offsets of a group that take effect when the producer's
 * transaction commits. The transaction's coordinator is asked first (from
 * version 5 on it is told), then the group's writes them, under the guard. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct txn_offset_commit_request_topics topic_in;
typedef struct txn_offset_commit_request_topics_partitions part_in;
typedef struct txn_offset_commit_response_topics topic_out;
typedef struct txn_offset_commit_response_topics_partitions part_out;

struct txn_offset_commit {
    struct coord_offset_commit_call call; /* first: done() gets its head */
    struct engine_enlist enlist;
    struct engine_enlist_part part;
    struct kafka_request *req;
};

static void
answer(struct txn_offset_commit *job, ox_code all)
{
    struct kafka_request *req = job->req;
    const struct coord_offset_commit_call *call = &job->call;
    struct txn_offset_commit_response response;
    txn_offset_commit_response_init(&response);
    response.topics.count = (int32_t)call->topic_count;
    response.topics.at = kafka_array(req, topic_out, call->topic_count);
    for (size_t t = 0; t < call->topic_count; t++) {
        const struct coord_offset_topic *topic = &call->topics[t];
        topic_out *out = &response.topics.at[t];
        out->name = topic->name;
        out->partitions.count = (int32_t)topic->partition_count;
        out->partitions.at = kafka_array(req, part_out, topic->partition_count);
        for (size_t p = 0; p < topic->partition_count; p++) {
            ox_code code = topic->partitions[p].code != OX_OK ? topic->partitions[p].code : all;
            if (code == OX_COORDINATOR_LOAD_IN_PROGRESS && req->version < 2)
                code = OX_COORDINATOR_NOT_AVAILABLE;
            out->partitions.at[p] = (part_out){topic->partitions[p].partition,
                ox_code_kafka(code)};
        }
    }
    kafka_answer(req, &response);
}

static void
committed(struct coord_call *call)
{
    answer((struct txn_offset_commit *)(void *)call, call->code);
}

static void
commit(struct txn_offset_commit *job)
{
    if (job->part.code != OX_OK) {
        answer(job, job->part.code);
        return;
    }
    job->call.guard = job->part.guard;
    coord_offset_commit(engine_coord(kafka_engine(job->req)), &job->call);
}

static void
enlisted(struct engine_enlist *enlist)
{
    commit(ox_container_of(enlist, struct txn_offset_commit, enlist));
}

/* How many partitions may be committed. */
static int
fill_topics(struct kafka_request *req, struct coord_offset_commit_call *call)
{
    const struct txn_offset_commit_request *request = req->body;
    int good = 0;
    call->topic_count = (size_t)request->topics.count;
    call->topics = kafka_array(req, struct coord_offset_topic, call->topic_count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const topic_in *in = &request->topics.at[t];
        const struct meta_topic *topic = meta_view_topic(kafka_view(req), in->name);
        bool may = kafka_may(req, ENGINE_TOPIC, in->name, ENGINE_READ);
        struct coord_offset_topic *out = &call->topics[t];
        out->name = in->name;
        out->partition_count = (size_t)in->partitions.count;
        out->partitions = kafka_array(req, struct coord_offset, out->partition_count);
        for (int32_t p = 0; p < in->partitions.count; p++) {
            const part_in *part = &in->partitions.at[p];
            bool known = topic != NULL && meta_topic_partition(topic, part->partition_index);
            out->partitions[p] = (struct coord_offset){
                .partition = part->partition_index,
                .leader_epoch = part->committed_leader_epoch,
                .offset = part->committed_offset,
                .metadata = part->committed_metadata.ptr ? part->committed_metadata : OX_STR(""),
                .commit_ms = -1,
                .code = !may     ? OX_TOPIC_AUTHORIZATION_FAILED
                        : !known ? OX_UNKNOWN_TOPIC_OR_PARTITION
                                 : OX_OK,
            };
            good += out->partitions[p].code == OX_OK;
        }
    }
    return good;
}

static void
fill_call(struct kafka_request *req, struct coord_offset_commit_call *call)
{
    const struct txn_offset_commit_request *request = req->body;
    call->call.arena = &req->arena;
    call->call.done = committed;
    call->transactional = true;
    call->producer_id = request->producer_id;
    call->producer_epoch = request->producer_epoch;
    call->version = INT16_MAX;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->instance_id = request->group_instance_id;
    call->generation = request->generation_id;
    call->retention_ms = -1;
}

/* True: done already. */
static bool
enlist(struct txn_offset_commit *job, int32_t partition)
{
    const struct txn_offset_commit_request *request = job->req->body;
    struct kafka_request *req = job->req;
    job->part = (struct engine_enlist_part){.topic = OX_STR("__consumer_offsets"),
        .partition = partition, .first_sequence = -1};
    job->enlist = (struct engine_enlist){
        .sess = req->sess,
        .what = ENLIST_OFFSETS,
        .version = req->version,
        .transactional_id = request->transactional_id,
        .producer_id = request->producer_id,
        .producer_epoch = request->producer_epoch,
        .parts = &job->part,
        .part_count = 1,
        .arena = kafka_arena(req),
        .done = enlisted,
    };
    return engine_enlist(&job->enlist);
}

void
kafka_txn_offset_commit(struct kafka_request *req)
{
    const struct txn_offset_commit_request *request = req->body;
    struct txn_offset_commit *job = kafka_array(req, struct txn_offset_commit, 1);
    job->req = req;
    int good = fill_topics(req, &job->call);
    ox_code code = OX_OK;
    if (!kafka_may(req, ENGINE_TRANSACTIONAL_ID, request->transactional_id, ENGINE_WRITE))
        code = OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    else if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ))
        code = OX_GROUP_AUTHORIZATION_FAILED;
    else if (request->group_id.len == 0)
        code = OX_INVALID_GROUP_ID;
    int32_t partition = coord_find(engine_coord(kafka_engine(req)), request->group_id);
    if (code != OX_OK)
        for (size_t t = 0; t < job->call.topic_count; t++)
            for (size_t p = 0; p < job->call.topics[t].partition_count; p++)
                job->call.topics[t].partitions[p].code = code;
    else if (partition < 0)
        kafka_auto_create(req, OX_STR("__consumer_offsets"));
    if (code == OX_OK && partition < 0)
        code = OX_COORDINATOR_NOT_AVAILABLE;
    if (code != OX_OK || good == 0) {
        answer(job, code);
        return;
    }
    fill_call(req, &job->call);
    if (enlist(job, partition))
        commit(job);
}
