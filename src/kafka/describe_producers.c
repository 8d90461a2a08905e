/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeProducers: what a partition remembers of its producers. */
#include "kafka/kafka_int.h"

typedef struct describe_producers_request_topics topic_in;
typedef struct describe_producers_response_topics topic_out;
typedef struct describe_producers_response_topics_partitions part_out;
typedef struct describe_producers_response_topics_partitions_active_producers producer_out;

static void
fill_producers(struct kafka_request *req, struct partition *part, part_out *out)
{
    struct log_producer_facts *facts;
    size_t count;
    plog_producers(partition_log(part), &req->arena, &facts, &count);
    out->active_producers.count = (int32_t)count;
    out->active_producers.at = kafka_array(req, producer_out, count);
    for (size_t i = 0; i < count; i++)
        out->active_producers.at[i] = (producer_out){facts[i].producer_id,
            facts[i].producer_epoch, facts[i].last_sequence, facts[i].last_timestamp,
            facts[i].coordinator_epoch, facts[i].txn_start_offset};
}

static void
fill_part(struct kafka_request *req, struct str topic, int32_t index, part_out *out)
{
    struct partition *part;
    struct ox_err err;
    describe_producers_response_topics_partitions_init(out);
    out->partition_index = index;
    ox_code code = engine_partition(req->sess, topic, NULL, index, ENGINE_READ, &part, &err);
    if (code == OX_UNKNOWN_TOPIC_OR_PARTITION && meta_topic_name_check(topic, &err) != OX_OK)
        code = OX_INVALID_TOPIC;
    out->error_code = ox_code_kafka(code);
    if (code != OX_OK)
        out->error_message = kafka_error_text(req, code, &err);
    else if (partition_log(part) != NULL)
        fill_producers(req, part, out);
}

void
kafka_describe_producers(struct kafka_request *req)
{
    const struct describe_producers_request *request = req->body;
    struct describe_producers_response response;
    describe_producers_response_init(&response);
    response.topics.count = request->topics.count;
    response.topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const topic_in *in = &request->topics.at[t];
        topic_out *out = &response.topics.at[t];
        out->name = in->name;
        out->partitions.count = in->partition_indexes.count;
        out->partitions.at = kafka_array(req, part_out, in->partition_indexes.count);
        for (int32_t p = 0; p < in->partition_indexes.count; p++)
            fill_part(req, in->name, in->partition_indexes.at[p], &out->partitions.at[p]);
    }
    kafka_answer(req, &response);
}
