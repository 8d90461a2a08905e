/* SPDX-License-Identifier: Apache-2.0
 *
 * ListOffsets: an end of the log, or the first record from a time on. Ends are
 * known; looking for a time reads the log, so a request that asks for one is
 * worked off by the pool. */
#include "base/fault.h"
#include "kafka/kafka_int.h"

typedef struct list_offsets_request_topics topic_in;
typedef struct list_offsets_request_topics_partitions part_in;
typedef struct list_offsets_response_topics topic_out;
typedef struct list_offsets_response_topics_partitions part_out;

enum {
    ASK_LATEST = -1,
    ASK_EARLIEST = -2,
    ASK_MAX_TIME = -3,
    ASK_EARLIEST_LOCAL = -4,
    ASK_LATEST_TIERED = -5,
    ASK_EARLIEST_PENDING = -6,
};

/* A partition whose log must be searched. */
struct search {
    struct partition *part;
    int64_t timestamp, end_offset;
    part_out *out;
};

struct list_offsets {
    struct pool_job job; /* first */
    struct kafka_request *req;
    struct list_offsets_response response;
    struct search *searches;
    uint32_t search_count;
};

static bool
ask_known(int64_t timestamp, int version)
{
    switch (timestamp) {
    case ASK_MAX_TIME:
        return version >= 7;
    case ASK_EARLIEST_LOCAL:
        return version >= 8;
    case ASK_LATEST_TIERED:
        return version >= 9;
    case ASK_EARLIEST_PENDING:
        return version >= 11;
    default:
        return timestamp >= ASK_EARLIEST;
    }
}

static int64_t
latest(const struct kafka_request *req, const struct partition_state *state)
{
    const struct list_offsets_request *request = req->body;
    if (ox_fault("kafka.wrong_end") != OX_OK)
        return state->log_start;
    if (request->replica_id >= 0 || request->replica_id == -2)
        return state->log_end;
    return request->isolation_level == 1 ? state->last_stable : state->high_watermark;
}

/* Fills the row, or adds a search that will. */
static ox_code
ask(struct kafka_request *req, struct list_offsets *job, struct str topic, const part_in *in,
    part_out *out)
{
    const struct list_offsets_request *request = req->body;
    struct partition *part;
    struct partition_state state;
    if (request->isolation_level != 0 && request->isolation_level != 1)
        return OX_UNKNOWN_SERVER_ERROR;
    ox_code code =
        engine_partition(req->sess, topic, NULL, in->partition_index, ENGINE_DESCRIBE, &part, NULL);
    if (code != OX_OK)
        return code;
    partition_state(part, &state);
    code = kafka_epoch_check(in->current_leader_epoch, &state);
    if (code != OX_OK)
        return code;
    if (!ask_known(in->timestamp, req->version))
        return OX_UNSUPPORTED_VERSION;
    switch (in->timestamp) {
    case ASK_LATEST:
        out->offset = latest(req, &state);
        out->leader_epoch = state.leader_epoch;
        return OX_OK;
    case ASK_EARLIEST:
    case ASK_EARLIEST_LOCAL:
        out->offset = state.log_start;
        out->leader_epoch = plog_epoch_of(partition_log(part), state.log_start);
        return OX_OK;
    case ASK_LATEST_TIERED:
    case ASK_EARLIEST_PENDING:
        return OX_OK; /* nothing is tiered: -1, -1 */
    default:
        job->searches[job->search_count++] = (struct search){partition_hold(part), in->timestamp,
            latest(req, &state), out};
        return OX_OK;
    }
}

static void
search_work(struct pool_job *pool_job)
{
    struct list_offsets *job = (struct list_offsets *)(void *)pool_job;
    for (uint32_t i = 0; i < job->search_count; i++) {
        struct search *search = &job->searches[i];
        struct log_timed_offset found = {-1, -1, -1};
        struct plog *log = partition_log(search->part);
        ox_code code = search->timestamp == ASK_MAX_TIME
                           ? plog_offset_of_max_time(log, &found, NULL)
                           : plog_offset_by_time(log, search->timestamp, search->end_offset,
                                 &found, NULL);
        search->out->error_code = ox_code_kafka(code);
        /* The latest record of all may be one that is not to be seen yet. */
        if (code != OX_OK || found.offset < 0 || found.offset >= search->end_offset)
            continue;
        search->out->offset = found.offset;
        search->out->timestamp = found.timestamp;
        search->out->leader_epoch = found.leader_epoch;
    }
}

static void
search_done(struct pool_job *pool_job)
{
    struct list_offsets *job = (struct list_offsets *)(void *)pool_job;
    for (uint32_t i = 0; i < job->search_count; i++)
        partition_put(job->searches[i].part);
    kafka_answer(job->req, &job->response);
}

/* Each partition that is named more than once is refused. Its key is where its topic
 * stands first, and its number: a name may be long, and have many partitions. */
static const uint8_t *
find_doubles(struct kafka_request *req, int32_t count)
{
    const struct list_offsets_request *request = req->body;
    struct str *names = kafka_array(req, struct str, request->topics.count);
    struct str *keys = kafka_array(req, struct str, count), *key = keys;
    int32_t *pair = kafka_array(req, int32_t, 2 * (size_t)count);
    for (int32_t t = 0; t < request->topics.count; t++)
        names[t] = request->topics.at[t].name;
    const int32_t *firsts = kafka_firsts(req, names, request->topics.count);
    for (int32_t t = 0; t < request->topics.count; t++)
        for (int32_t p = 0; p < request->topics.at[t].partitions.count; p++, pair += 2) {
            pair[0] = firsts[t];
            pair[1] = request->topics.at[t].partitions.at[p].partition_index;
            *key++ = ox_str_n((const char *)pair, 2 * sizeof(*pair));
        }
    return kafka_doubles(req, keys, count);
}

void
kafka_list_offsets(struct kafka_request *req)
{
    const struct list_offsets_request *request = req->body;
    struct list_offsets *job = kafka_array(req, struct list_offsets, 1);
    int32_t count = 0;
    for (int32_t t = 0; t < request->topics.count; t++)
        count += request->topics.at[t].partitions.count;
    job->req = req;
    job->searches = kafka_array(req, struct search, count);
    const uint8_t *doubled = find_doubles(req, count);
    list_offsets_response_init(&job->response);
    job->response.topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const topic_in *in = &request->topics.at[t];
        topic_out *out = &job->response.topics.at[job->response.topics.count];
        out->name = in->name;
        out->partitions.at = kafka_array(req, part_out, in->partitions.count);
        for (int32_t p = 0; p < in->partitions.count; p++, doubled++) {
            if (*doubled == KAFKA_AGAIN)
                continue;
            part_out *row = &out->partitions.at[out->partitions.count++];
            list_offsets_response_topics_partitions_init(row);
            row->partition_index = in->partitions.at[p].partition_index;
            ox_code code = *doubled != KAFKA_ALONE
                               ? OX_INVALID_REQUEST
                               : ask(req, job, in->name, &in->partitions.at[p], row);
            row->error_code = ox_code_kafka(code);
        }
        /* as Kafka leaves out what has no partitions, or none that another has not */
        job->response.topics.count += out->partitions.count > 0;
    }
    if (job->search_count == 0) {
        kafka_answer(req, &job->response);
        return;
    }
    job->job.work = search_work;
    job->job.done = search_done;
    loop_pool_submit(req->sess->loop, &job->job);
}
