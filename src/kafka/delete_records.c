/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteRecords: moves log starts up. */
#include "kafka/kafka_int.h"

typedef struct delete_records_request_topics topic_in;
typedef struct delete_records_response_topics topic_out;
typedef struct delete_records_response_topics_partitions part_out;

struct delete_records {
    struct kafka_wait wait;
    struct cut_part {
        struct engine_delete_records call; /* first: done() gets its head */
        struct delete_records *all;
    } *parts;
};

static void finish(struct kafka_request *req);

static void
part_done(struct engine_admin *admin)
{
    struct cut_part *job = (struct cut_part *)(void *)admin;
    kafka_wait_done(&job->all->wait);
}

void
kafka_delete_records(struct kafka_request *req)
{
    const struct delete_records_request *request = req->body;
    struct delete_records *all = kafka_array(req, struct delete_records, 1);
    size_t count = 0;
    for (int32_t t = 0; t < request->topics.count; t++)
        count += (size_t)request->topics.at[t].partitions.count;
    all->parts = ox_arena_array(&req->arena, struct cut_part, count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    struct cut_part *job = all->parts;
    for (int32_t t = 0; t < request->topics.count; t++) {
        const topic_in *topic = &request->topics.at[t];
        for (int32_t p = 0; p < topic->partitions.count; p++, job++) {
            job->all = all;
            job->call.admin.sess = req->sess;
            job->call.admin.done = part_done;
            job->call.topic = topic->name;
            job->call.partition = topic->partitions.at[p].partition_index;
            job->call.offset = topic->partitions.at[p].offset;
            all->wait.pending++;
            if (engine_delete_records(&job->call))
                kafka_wait_done(&all->wait);
        }
    }
    kafka_wait_done(&all->wait);
}

static void
finish(struct kafka_request *req)
{
    const struct delete_records_request *request = req->body;
    struct delete_records *all = req->state;
    struct cut_part *job = all->parts;
    struct delete_records_response response;
    delete_records_response_init(&response);
    response.topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const topic_in *in = &request->topics.at[t];
        if (in->partitions.count == 0) /* Kafka leaves it out */
            continue;
        topic_out *out = &response.topics.at[response.topics.count++];
        out->name = in->name;
        out->partitions.count = in->partitions.count;
        out->partitions.at = kafka_array(req, part_out, in->partitions.count);
        for (int32_t p = 0; p < in->partitions.count; p++, job++) {
            ox_code code = job->call.admin.code;
            out->partitions.at[p] = (part_out){job->call.partition,
                code == OX_OK ? job->call.low_watermark : -1, ox_code_kafka(code)};
            engine_admin_fini(&job->call.admin);
        }
    }
    kafka_answer(req, &response);
}
