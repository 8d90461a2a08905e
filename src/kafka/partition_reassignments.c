/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterPartitionReassignments and ListPartitionReassignments. A partition can
 * only be given the one broker that there is, which it has: what is valid is done
 * at once, and nothing is ever under way. */
#include "kafka/kafka_int.h"

typedef struct alter_partition_reassignments_request_topics topic_in;
typedef struct alter_partition_reassignments_request_topics_partitions part_in;
typedef struct alter_partition_reassignments_response_responses topic_out;
typedef struct alter_partition_reassignments_response_responses_partitions part_out;

static ox_code
check_replicas(const struct meta_view *view, const part_in *in, struct ox_err *err)
{
    const int32_t *at = in->replicas.at;
    if (in->replicas.count == 0)
        return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes an empty replica list.");
    for (int32_t i = 0; i < in->replicas.count; i++) {
        for (int32_t j = 0; j < i; j++)
            if (at[j] == at[i])
                return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
                    "The manual partition assignment includes the broker %d more than once.",
                    at[i]);
        if (meta_view_broker(view, at[i]) == NULL)
            return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT, "The manual partition assignment "
                "includes broker %d, but no such broker is registered.", at[i]);
    }
    return OX_OK;
}

static ox_code
reassign(struct kafka_request *req, struct str topic_name, const part_in *in, struct ox_err *err)
{
    const struct alter_partition_reassignments_request *request = req->body;
    const struct meta_view *view = kafka_view(req);
    const struct meta_topic *topic = meta_view_topic(view, topic_name);
    if (topic == NULL)
        return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named %.*s.",
            OX_STR_ARG(topic_name));
    const struct meta_partition *part = meta_topic_partition(topic, in->partition_index);
    if (part == NULL)
        return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition %s:%d.",
            topic->name.ptr, in->partition_index);
    if (in->replicas.count < 0)
        return ox_fail_plain(err, OX_NO_REASSIGNMENT_IN_PROGRESS);
    ox_code code = check_replicas(view, in, err);
    if (code == OX_OK && !request->allow_replication_factor_change &&
        (uint32_t)in->replicas.count != part->replica_count)
        code = ox_fail(err, OX_INVALID_REPLICATION_FACTOR,
            "The replication factor is changed from %u to %d", part->replica_count,
            in->replicas.count);
    return code;
}

void
kafka_alter_partition_reassignments(struct kafka_request *req)
{
    const struct alter_partition_reassignments_request *request = req->body;
    struct alter_partition_reassignments_response response;
    struct ox_err refusal, err;
    alter_partition_reassignments_response_init(&response);
    ox_code refused = kafka_may_cluster(req, ENGINE_ALTER, &refusal);
    response.allow_replication_factor_change = request->allow_replication_factor_change;
    response.error_code = ox_code_kafka(refused);
    response.error_message = kafka_error_text(req, refused, &refusal);
    if (refused == OX_OK && request->topics.count == 0)
        response.error_message = OX_STR(""); /* as Kafka */
    response.responses.count = request->topics.count;
    response.responses.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        const topic_in *in = &request->topics.at[t];
        topic_out *out = &response.responses.at[t];
        out->name = in->name;
        out->partitions.count = in->partitions.count;
        out->partitions.at = kafka_array(req, part_out, in->partitions.count);
        for (int32_t p = 0; p < in->partitions.count; p++) {
            ox_code code = refused != OX_OK
                               ? refused
                               : reassign(req, in->name, &in->partitions.at[p], &err);
            out->partitions.at[p] = (part_out){in->partitions.at[p].partition_index,
                ox_code_kafka(code), code == OX_NO_REASSIGNMENT_IN_PROGRESS
                    ? OX_STR_NULL
                    : kafka_error_text(req, code, refused != OX_OK ? &refusal : &err)};
        }
    }
    kafka_answer(req, &response);
}

/* A refusal repeats what was asked for. */
static void
repeat_question(struct kafka_request *req, struct list_partition_reassignments_response *response)
{
    typedef struct list_partition_reassignments_response_topics list_topic;
    typedef struct list_partition_reassignments_response_topics_partitions list_part;
    const struct list_partition_reassignments_request *request = req->body;
    response->topics.count = OX_MAX(request->topics.count, 0);
    response->topics.at = kafka_array(req, list_topic, response->topics.count);
    for (int32_t t = 0; t < response->topics.count; t++) {
        list_topic *out = &response->topics.at[t];
        out->name = request->topics.at[t].name;
        out->partitions.count = request->topics.at[t].partition_indexes.count;
        out->partitions.at = kafka_array(req, list_part, out->partitions.count);
        for (int32_t p = 0; p < out->partitions.count; p++)
            out->partitions.at[p].partition_index = request->topics.at[t].partition_indexes.at[p];
    }
}

void
kafka_list_partition_reassignments(struct kafka_request *req)
{
    struct list_partition_reassignments_response response;
    struct ox_err err;
    list_partition_reassignments_response_init(&response);
    ox_code code = kafka_may_cluster(req, ENGINE_DESCRIBE, &err);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    if (code != OX_OK)
        repeat_question(req, &response);
    kafka_answer(req, &response);
}
