/* SPDX-License-Identifier: Apache-2.0
 *
 * TxnOffsetCommit: offsets of a group that take effect when the producer's
 * transaction commits. The transaction's coordinator is asked first (from
 * version 5 on it is told), then the group's writes them, under the guard. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

_Static_assert(sizeof(struct txn_offset_commit_request_topics) ==
                       sizeof(struct offset_commit_request_topics) &&
                   sizeof(struct txn_offset_commit_request_topics_partitions) ==
                       sizeof(struct offset_commit_request_topics_partitions) &&
                   sizeof(struct txn_offset_commit_response_topics) ==
                       sizeof(struct offset_commit_response_topics) &&
                   sizeof(struct txn_offset_commit_response_topics_partitions) ==
                       sizeof(struct offset_commit_response_topics_partitions),
    "one layout under two names");

struct txn_offset_commit {
    struct coord_offset_commit_call call; /* first: done() gets its head */
    struct engine_enlist enlist;
    struct engine_enlist_part part;
    struct kafka_request *req;
};

static const struct offset_commit_request_topics *
topics_of(const struct txn_offset_commit_request *request)
{
    return (const void *)request->topics.at;
}

static void
answer(struct txn_offset_commit *job, ox_code all)
{
    struct kafka_request *req = job->req;
    const struct txn_offset_commit_request *request = req->body;
    struct txn_offset_commit_response response;
    txn_offset_commit_response_init(&response);
    if (all == OX_COORDINATOR_LOAD_IN_PROGRESS && req->version < 2)
        all = OX_COORDINATOR_NOT_AVAILABLE;
    response.topics.count = request->topics.count;
    response.topics.at = (void *)kafka_committed_topics(req, topics_of(request), &job->call, all);
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

static void
fill_call(struct kafka_request *req, struct coord_offset_commit_call *call)
{
    const struct txn_offset_commit_request *request = req->body;
    call->call.arena = &req->arena;
    call->call.done = committed;
    call->transactional = true;
    call->producer_id = request->producer_id;
    call->producer_epoch = request->producer_epoch;
    call->tells_epochs = req->version >= 6;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->instance_id = request->group_instance_id;
    call->generation = request->generation_id_or_member_epoch;
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
    int good = kafka_commit_topics(req, topics_of(request), request->topics.count,
        req->version >= 6, &job->call);
    ox_code code = OX_OK;
    if (!kafka_may(req, ENGINE_TRANSACTIONAL_ID, request->transactional_id, ENGINE_WRITE))
        code = OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    else if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ))
        code = OX_GROUP_AUTHORIZATION_FAILED;
    else if (request->group_id.len == 0 && good > 0)
        code = OX_INVALID_GROUP_ID;
    int32_t partition = coord_find(engine_coord(kafka_engine(req)), request->group_id);
    if (code != OX_OK)
        kafka_commit_refuse(&job->call, code);
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
