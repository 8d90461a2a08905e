/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetForLeaderEpoch: where an epoch ended, so that a consumer can tell whether
 * the log was cut behind its back. */
#include "kafka/kafka_int.h"

typedef struct offset_for_leader_epoch_request_topics topic_in;
typedef struct offset_for_leader_epoch_request_topics_partitions part_in;
typedef struct offset_for_leader_epoch_response_topics topic_out;
typedef struct offset_for_leader_epoch_response_topics_partitions part_out;

static ox_code
ask(struct kafka_request *req, struct str topic, const part_in *in, part_out *out)
{
    struct partition *part;
    struct partition_state state;
    ox_code code =
        engine_partition(req->sess, topic, NULL, in->partition, ENGINE_DESCRIBE, &part, NULL);
    if (code != OX_OK)
        return code;
    partition_state(part, &state);
    code = kafka_epoch_check(in->current_leader_epoch, &state);
    if (code != OX_OK)
        return code;
    if (in->leader_epoch == state.leader_epoch) {
        out->leader_epoch = state.leader_epoch;
        out->end_offset = state.log_end;
    } else {
        plog_epoch_end(partition_log(part), in->leader_epoch, state.leader_epoch,
            &out->leader_epoch, &out->end_offset);
    }
    return OX_OK;
}

void
kafka_offset_for_leader_epoch(struct kafka_request *req)
{
    const struct offset_for_leader_epoch_request *request = req->body;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_response_init(&response);
    response.topics.count = request->topics.count;
    response.topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const topic_in *in = &request->topics.at[t];
        topic_out *out = &response.topics.at[t];
        out->topic = in->topic;
        out->partitions.count = in->partitions.count;
        out->partitions.at = kafka_array(req, part_out, in->partitions.count);
        for (int32_t p = 0; p < in->partitions.count; p++) {
            part_out *row = &out->partitions.at[p];
            offset_for_leader_epoch_response_topics_partitions_init(row);
            row->partition = in->partitions.at[p].partition;
            row->error_code = ox_code_kafka(ask(req, in->topic, &in->partitions.at[p], row));
        }
    }
    kafka_answer(req, &response);
}
