/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareFetch and ShareAcknowledge: what members of a share group are given, and
 * what they say of it. Both are one call of share/, with and without records. */
#include "coord/coord.h"
#include "kafka/group_calls.h"
#include "share/share.h"

typedef struct share_fetch_response_responses fetch_topic;
typedef struct share_fetch_response_responses_partitions fetch_part;
typedef struct share_fetch_response_responses_partitions_acquired_records acquired_row;
typedef struct share_acknowledge_response_responses ack_topic;
typedef struct share_acknowledge_response_responses_partitions ack_part;

struct share_job {
    struct share_call call; /* first: done() gets it */
    struct kafka_request *req;
    struct engine *engine;
    const struct engine_session *who; /* kafka_session_copy() */
};

/* Topics of both requests have one layout, under two names. */
typedef struct share_fetch_request_topics topic_in;
typedef struct share_acknowledge_request_topics ack_topic_in;
_Static_assert(sizeof(topic_in) == sizeof(ack_topic_in), "one layout");
_Static_assert(sizeof(struct share_fetch_request_topics_partitions) ==
                   sizeof(struct share_acknowledge_request_topics_partitions),
    "one layout");

/* ---- the request ---- */

/* On the connection's loop, of what the request names; on the group's, of all in the session. */
static ox_code
may_read(const struct share_call *call, const struct uuid *topic_id, int32_t partition)
{
    const struct share_job *job = (const struct share_job *)(const void *)call;
    const struct meta_topic *topic = meta_view_topic_by_id(engine_view(job->engine), topic_id);
    if (topic == NULL)
        return OX_UNKNOWN_TOPIC_ID;
    if (job->who != NULL && !engine_allowed_of(job->who, ENGINE_TOPIC, topic->name, ENGINE_READ))
        return OX_TOPIC_AUTHORIZATION_FAILED;
    return partition < 0 || (uint32_t)partition >= topic->partition_count
               ? OX_UNKNOWN_TOPIC_OR_PARTITION
               : OX_OK;
}

static void
fill_part(struct kafka_request *req, const struct share_call *call, const struct uuid *topic_id,
    const struct share_fetch_request_topics_partitions *from, struct share_call_part *to)
{
    size_t count = (size_t)from->acknowledgement_batches.count;
    struct share_ack *acks = kafka_array(req, struct share_ack, count);
    for (size_t i = 0; i < count; i++) {
        acks[i].first = from->acknowledgement_batches.at[i].first_offset;
        acks[i].last = from->acknowledgement_batches.at[i].last_offset;
        acks[i].types = from->acknowledgement_batches.at[i].acknowledge_types.at;
        acks[i].type_count = (size_t)from->acknowledgement_batches.at[i].acknowledge_types.count;
    }
    *to = (struct share_call_part){.topic_id = *topic_id, .partition = from->partition_index,
        .refused = may_read(call, topic_id, from->partition_index), .acks = acks,
        .ack_count = count};
}

static void
fill_parts(struct kafka_request *req, const topic_in *topics, int32_t count,
    struct share_call *call)
{
    size_t total = 0;
    for (int32_t i = 0; i < count; i++)
        total += (size_t)topics[i].partitions.count;
    call->parts = kafka_array(req, struct share_call_part, total);
    for (int32_t i = 0; i < count; i++)
        for (int32_t j = 0; j < topics[i].partitions.count; j++)
            fill_part(req, call, &topics[i].topic_id, &topics[i].partitions.at[j],
                &call->parts[call->part_count++]);
}

static struct share_job *
begin(struct kafka_request *req, struct str group_id, struct str member_id, int32_t epoch,
    void (*done)(struct share_call *call))
{
    struct share_job *job = kafka_array(req, struct share_job, 1);
    job->req = req;
    job->engine = kafka_engine(req);
    job->who = kafka_session_copy(req);
    job->call.may = may_read;
    job->call.arena = kafka_arena(req);
    job->call.done = done;
    job->call.group_id = group_id.ptr != NULL ? group_id : OX_STR("");
    job->call.member_id = member_id.ptr != NULL ? member_id : OX_STR("");
    job->call.session_epoch = epoch;
    job->call.conn_id = req->sess->conn_id;
    return job;
}

enum { MEMBER_ID_MAX = 36 }; /* a UUID, written out */

static ox_code
check(struct kafka_request *req, const struct share_call *call)
{
    if (kafka_feature(req, PARAM_FEATURE_SHARE_VERSION) == 0)
        return OX_UNSUPPORTED_VERSION;
    if (!kafka_may(req, ENGINE_GROUP, call->group_id, ENGINE_READ))
        return OX_GROUP_AUTHORIZATION_FAILED;
    return call->group_id.len == 0 || call->member_id.len == 0 ||
                   call->member_id.len > MEMBER_ID_MAX
               ? OX_INVALID_REQUEST
               : OX_OK;
}

/* ---- ShareFetch ---- */

static struct str
code_text(struct kafka_request *req, ox_code code)
{
    return code == OX_UNSUPPORTED_VERSION ? OX_STR_NULL : kafka_error_text(req, code, NULL);
}

static void
fill_fetched(struct kafka_request *req, struct share_call_part *from, fetch_part *to)
{
    share_fetch_response_responses_partitions_init(to);
    to->partition_index = from->partition;
    to->error_code = ox_code_kafka(from->code);
    to->error_message = code_text(req, from->code);
    to->acknowledge_error_code = ox_code_kafka(from->ack_code);
    to->acknowledge_error_message = code_text(req, from->ack_code);
    to->records.bytes = OX_STR("");
    if (from->range.len > 0)
        to->records = kafka_splice_range(req, &from->range);
    to->acquired_records.at = kafka_array(req, acquired_row, from->acquired.count);
    to->acquired_records.count = (int32_t)from->acquired.count;
    for (size_t i = 0; i < from->acquired.count; i++)
        to->acquired_records.at[i] = (acquired_row){from->acquired.at[i].first,
            from->acquired.at[i].last, from->acquired.at[i].count};
}

static void
fetched(struct share_call *call)
{
    struct kafka_request *req = ((struct share_job *)(void *)call)->req;
    struct share_fetch_response response;
    share_fetch_response_init(&response);
    response.error_code = ox_code_kafka(call->code);
    response.error_message = code_text(req, call->code);
    response.acquisition_lock_timeout_ms = call->code == OX_OK ? call->lock_ms : 0;
    fetch_part *parts = kafka_array(req, fetch_part, call->out_count);
    response.responses.at = kafka_array(req, fetch_topic, call->out_count);
    fetch_topic *topic = NULL;
    size_t bytes = 0;
    for (size_t i = 0; call->code == OX_OK && i < call->out_count; i++) {
        fill_fetched(req, &call->outs[i], &parts[i]);
        if (topic == NULL || !ox_uuid_eq(&topic->topic_id, &call->outs[i].topic_id)) {
            topic = &response.responses.at[response.responses.count++];
            topic->topic_id = call->outs[i].topic_id;
            topic->partitions.at = &parts[i];
        }
        topic->partitions.count++;
        bytes += call->outs[i].range.len;
    }
    engine_quota_use(req->sess, ENGINE_QUOTA_FETCH, (double)bytes);
    kafka_answer(req, &response);
}

void
kafka_share_fetch(struct kafka_request *req)
{
    const struct share_fetch_request *request = req->body;
    struct share_job *job = begin(req, request->group_id, request->member_id,
        request->share_session_epoch, fetched);
    struct share_call *call = &job->call;
    call->code = check(req, call);
    if (call->code != OX_OK) {
        fetched(call);
        return;
    }
    call->fetch = true;
    call->strict = request->share_acquire_mode == 1;
    call->renew = req->version >= 2;
    call->renewing = call->renew && request->is_renew_ack;
    if (call->renewing && (request->max_bytes != 0 || request->min_bytes != 0 ||
                              request->max_records != 0 || request->max_wait_ms != 0)) {
        call->code = OX_INVALID_REQUEST;
        fetched(call);
        return;
    }
    call->max_wait_ms = request->max_wait_ms;
    int32_t most = OX_MIN(request->max_bytes, engine_settings(kafka_engine(req))->fetch_max_bytes);
    if (most > 0) /* else it is what it is */
        most = (int32_t)engine_quota_fetch_max(req->sess, (size_t)most);
    call->max_bytes = most;
    call->min_bytes = OX_MIN(request->min_bytes, most);
    call->max_records = request->max_records;
    call->bundle_size = request->batch_size;
    fill_parts(req, request->topics.at, request->topics.count, call);
    size_t forgotten = 0;
    for (int32_t i = 0; i < request->forgotten_topics_data.count; i++)
        forgotten += (size_t)request->forgotten_topics_data.at[i].partitions.count;
    struct share_call_part *gone = kafka_array(req, struct share_call_part, forgotten);
    for (int32_t i = 0; i < request->forgotten_topics_data.count; i++)
        for (int32_t j = 0; j < request->forgotten_topics_data.at[i].partitions.count; j++)
            gone[call->forgotten_count++] = (struct share_call_part){
                .topic_id = request->forgotten_topics_data.at[i].topic_id,
                .partition = request->forgotten_topics_data.at[i].partitions.at[j]};
    call->forgotten = gone;
    req->kc->shares = true;
    share_call(engine_share(kafka_engine(req)), call);
}

/* ---- ShareAcknowledge ---- */

static void
acknowledged(struct share_call *call)
{
    struct kafka_request *req = ((struct share_job *)(void *)call)->req;
    struct share_acknowledge_response response;
    share_acknowledge_response_init(&response);
    response.error_code = ox_code_kafka(call->code);
    response.error_message = code_text(req, call->code);
    response.acquisition_lock_timeout_ms = call->code == OX_OK ? call->lock_ms : 0;
    ack_part *parts = kafka_array(req, ack_part, call->out_count);
    response.responses.at = kafka_array(req, ack_topic, call->out_count);
    ack_topic *topic = NULL;
    for (size_t i = 0; call->code == OX_OK && i < call->out_count; i++) {
        const struct share_call_part *from = &call->outs[i];
        share_acknowledge_response_responses_partitions_init(&parts[i]);
        parts[i].partition_index = from->partition;
        parts[i].error_code = ox_code_kafka(from->ack_code);
        parts[i].error_message = code_text(req, from->ack_code);
        if (topic == NULL || !ox_uuid_eq(&topic->topic_id, &from->topic_id)) {
            topic = &response.responses.at[response.responses.count++];
            topic->topic_id = from->topic_id;
            topic->partitions.at = &parts[i];
        }
        topic->partitions.count++;
    }
    kafka_answer(req, &response);
}

void
kafka_share_acknowledge(struct kafka_request *req)
{
    const struct share_acknowledge_request *request = req->body;
    struct share_job *job = begin(req, request->group_id, request->member_id,
        request->share_session_epoch, acknowledged);
    struct share_call *call = &job->call;
    call->code = check(req, call);
    if (call->code != OX_OK) {
        acknowledged(call);
        return;
    }
    call->renew = req->version >= 2;
    call->renewing = call->renew && request->is_renew_ack;
    fill_parts(req, (const topic_in *)(const void *)request->topics.at, request->topics.count,
        call);
    share_call(engine_share(kafka_engine(req)), call);
}
