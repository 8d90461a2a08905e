/* SPDX-License-Identifier: Apache-2.0
 *
 * InitializeShareGroupState, ReadShareGroupState, WriteShareGroupState,
 * DeleteShareGroupState, ReadShareGroupStateSummary: what a broker that leads a
 * partition asks of the share coordinator. Each partition is a call of its own.
 * A request that names nothing is answered with nothing. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

/* All answers begin so, row by row; what follows is the API's own. */
typedef struct initialize_share_group_state_response_results_partitions plain_out;
typedef struct initialize_share_group_state_response_results result_out;
typedef struct read_share_group_state_response_results_partitions read_out;
typedef struct read_share_group_state_response_results_partitions_state_batches batch_out;
typedef struct read_share_group_state_summary_response_results_partitions summary_out;
_Static_assert(sizeof(struct write_share_group_state_response_results_partitions) ==
                   sizeof(plain_out) &&
               sizeof(struct delete_share_group_state_response_results_partitions) ==
                   sizeof(plain_out) &&
               sizeof(struct read_share_group_state_response_results) == sizeof(result_out) &&
               sizeof(struct read_share_group_state_summary_response_results) ==
                   sizeof(result_out),
    "answers are alike");
_Static_assert(sizeof(struct initialize_share_group_state_response) ==
                   sizeof(struct read_share_group_state_response),
    "answers are alike");

struct state_jobs {
    struct kafka_wait wait;
    enum coord_state_op op;
    struct str group_id;
    bool nothing; /* is asked */
    struct state_topic {
        struct uuid id;
        int32_t count;
        struct state_job {
            struct coord_state_call call; /* first: done() gets its head */
            struct state_jobs *all;
        } *parts;
    } *topics;
    int32_t topic_count;
};

/* ---- the answer ---- */

static ox_code
fill_head(struct kafka_request *req, const struct state_job *job, plain_out *out)
{
    ox_code code = job->call.call.code;
    out->partition = job->call.partition;
    out->error_code = ox_code_kafka(code);
    out->error_message = kafka_error_text(req, code, NULL);
    return code;
}

static plain_out *
fill_plain(struct kafka_request *req, const struct state_topic *topic)
{
    plain_out *out = kafka_array(req, plain_out, topic->count);
    for (int32_t i = 0; i < topic->count; i++)
        fill_head(req, &topic->parts[i], &out[i]);
    return out;
}

static void
fill_read(struct kafka_request *req, const struct coord_state_call *call, read_out *out)
{
    out->state_epoch = call->state_epoch;
    out->start_offset = call->start_offset;
    out->state_batches.at = kafka_array(req, batch_out, call->batch_count);
    out->state_batches.count = (int32_t)call->batch_count;
    for (size_t i = 0; i < call->batch_count; i++)
        out->state_batches.at[i] = (batch_out){call->batches[i].first, call->batches[i].last,
            call->batches[i].state, call->batches[i].count};
}

static read_out *
fill_reads(struct kafka_request *req, const struct state_topic *topic)
{
    read_out *out = kafka_array(req, read_out, topic->count);
    for (int32_t i = 0; i < topic->count; i++) {
        plain_out head = {0};
        ox_code code = fill_head(req, &topic->parts[i], &head);
        read_share_group_state_response_results_partitions_init(&out[i]);
        out[i].partition = head.partition;
        out[i].error_code = head.error_code;
        out[i].error_message = head.error_message;
        if (code == OX_OK)
            fill_read(req, &topic->parts[i].call, &out[i]);
    }
    return out;
}

static summary_out *
fill_summaries(struct kafka_request *req, const struct state_topic *topic)
{
    summary_out *out = kafka_array(req, summary_out, topic->count);
    for (int32_t i = 0; i < topic->count; i++) {
        const struct coord_state_call *call = &topic->parts[i].call;
        plain_out head = {0};
        ox_code code = fill_head(req, &topic->parts[i], &head);
        read_share_group_state_summary_response_results_partitions_init(&out[i]);
        out[i].partition = head.partition;
        out[i].error_code = head.error_code;
        out[i].error_message = head.error_message;
        if (code != OX_OK)
            continue;
        out[i].state_epoch = call->state_epoch;
        out[i].leader_epoch = call->leader_epoch;
        out[i].start_offset = call->start_offset;
        out[i].delivery_complete_count = call->complete_count;
    }
    return out;
}

static void
finish(struct kafka_request *req)
{
    const struct state_jobs *all = req->state;
    struct initialize_share_group_state_response response;
    initialize_share_group_state_response_init(&response);
    int32_t count = all->nothing ? 0 : all->topic_count;
    response.results.at = kafka_array(req, result_out, count);
    response.results.count = count;
    for (int32_t i = 0; i < count; i++) {
        const struct state_topic *topic = &all->topics[i];
        result_out *out = &response.results.at[i];
        out->topic_id = topic->id;
        out->partitions.count = topic->count;
        if (all->op == COORD_STATE_READ)
            out->partitions.at = (void *)fill_reads(req, topic);
        else if (all->op == COORD_STATE_SUMMARY)
            out->partitions.at = (void *)fill_summaries(req, topic);
        else
            out->partitions.at = fill_plain(req, topic);
    }
    kafka_answer(req, &response);
}

/* ---- the requests ---- */

static struct state_jobs *
jobs_new(struct kafka_request *req, enum coord_state_op op, struct str group_id,
    int32_t topic_count)
{
    struct state_jobs *all = kafka_array(req, struct state_jobs, 1);
    all->op = op;
    all->group_id = group_id;
    all->topics = kafka_array(req, struct state_topic, topic_count);
    all->nothing = topic_count == 0 || group_id.len == 0;
    req->state = all;
    return all;
}

static struct state_topic *
add_topic(struct kafka_request *req, const struct uuid *id, int32_t count)
{
    struct state_jobs *all = req->state;
    struct state_topic *topic = &all->topics[all->topic_count++];
    topic->id = *id;
    topic->parts = kafka_array(req, struct state_job, count);
    all->nothing |= count == 0;
    return topic;
}

static struct coord_state_call *
add_part(struct kafka_request *req, struct state_topic *topic, int32_t partition)
{
    struct state_jobs *all = req->state;
    struct state_job *job = &topic->parts[topic->count++];
    job->all = all;
    job->call.op = all->op;
    job->call.strict = true;
    job->call.group_id = all->group_id;
    job->call.topic_id = topic->id;
    job->call.partition = partition;
    job->call.leader_epoch = job->call.state_epoch = job->call.complete_count = -1;
    job->call.start_offset = -1;
    return &job->call;
}

static void
part_done(struct coord_call *call)
{
    struct state_job *job = (struct state_job *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

static void
start(struct kafka_request *req)
{
    struct state_jobs *all = req->state;
    ox_code code = kafka_may_cluster(req, ENGINE_CLUSTER_ACTION, NULL);
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; !all->nothing && i < all->topic_count; i++)
        for (int32_t j = 0; j < all->topics[i].count; j++) {
            struct coord_state_call *call = &all->topics[i].parts[j].call;
            call->call.code = code;
            if (code != OX_OK)
                continue;
            call->call.arena = kafka_arena(req);
            call->call.done = part_done;
            all->wait.pending++;
            coord_state(engine_states(kafka_engine(req)), call);
        }
    kafka_wait_done(&all->wait);
}

void
kafka_initialize_share_group_state(struct kafka_request *req)
{
    const struct initialize_share_group_state_request *request = req->body;
    jobs_new(req, COORD_STATE_INITIALIZE, request->group_id, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct initialize_share_group_state_request_topics *in = &request->topics.at[i];
        struct state_topic *topic = add_topic(req, &in->topic_id, in->partitions.count);
        for (int32_t j = 0; j < in->partitions.count; j++) {
            struct coord_state_call *call =
                add_part(req, topic, in->partitions.at[j].partition);
            call->state_epoch = in->partitions.at[j].state_epoch;
            call->start_offset = in->partitions.at[j].start_offset;
        }
    }
    start(req);
}

void
kafka_read_share_group_state(struct kafka_request *req)
{
    const struct read_share_group_state_request *request = req->body;
    jobs_new(req, COORD_STATE_READ, request->group_id, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct read_share_group_state_request_topics *in = &request->topics.at[i];
        struct state_topic *topic = add_topic(req, &in->topic_id, in->partitions.count);
        for (int32_t j = 0; j < in->partitions.count; j++)
            add_part(req, topic, in->partitions.at[j].partition)->leader_epoch =
                in->partitions.at[j].leader_epoch;
    }
    start(req);
}

void
kafka_write_share_group_state(struct kafka_request *req)
{
    typedef struct write_share_group_state_request_topics_partitions part_in;
    const struct write_share_group_state_request *request = req->body;
    jobs_new(req, COORD_STATE_WRITE, request->group_id, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct write_share_group_state_request_topics *in = &request->topics.at[i];
        struct state_topic *topic = add_topic(req, &in->topic_id, in->partitions.count);
        for (int32_t j = 0; j < in->partitions.count; j++) {
            const part_in *part = &in->partitions.at[j];
            struct coord_state_call *call = add_part(req, topic, part->partition);
            call->state_epoch = part->state_epoch;
            call->leader_epoch = part->leader_epoch;
            call->start_offset = part->start_offset;
            call->complete_count = part->delivery_complete_count;
            call->batches =
                kafka_array(req, struct coord_state_batch, part->state_batches.count);
            for (int32_t k = 0; k < part->state_batches.count; k++)
                call->batches[call->batch_count++] =
                    (struct coord_state_batch){part->state_batches.at[k].first_offset,
                        part->state_batches.at[k].last_offset,
                        part->state_batches.at[k].delivery_state,
                        part->state_batches.at[k].delivery_count};
        }
    }
    start(req);
}

void
kafka_delete_share_group_state(struct kafka_request *req)
{
    const struct delete_share_group_state_request *request = req->body;
    jobs_new(req, COORD_STATE_DELETE, request->group_id, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct delete_share_group_state_request_topics *in = &request->topics.at[i];
        struct state_topic *topic = add_topic(req, &in->topic_id, in->partitions.count);
        for (int32_t j = 0; j < in->partitions.count; j++)
            add_part(req, topic, in->partitions.at[j].partition);
    }
    start(req);
}

void
kafka_read_share_group_state_summary(struct kafka_request *req)
{
    const struct read_share_group_state_summary_request *request = req->body;
    jobs_new(req, COORD_STATE_SUMMARY, request->group_id, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct read_share_group_state_summary_request_topics *in = &request->topics.at[i];
        struct state_topic *topic = add_topic(req, &in->topic_id, in->partitions.count);
        for (int32_t j = 0; j < in->partitions.count; j++)
            add_part(req, topic, in->partitions.at[j].partition)->leader_epoch =
                in->partitions.at[j].leader_epoch;
    }
    start(req);
}
