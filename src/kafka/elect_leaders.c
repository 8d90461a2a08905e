/* SPDX-License-Identifier: Apache-2.0
 *
 * ElectLeaders. A partition's only replica is here and leads as long as its
 * directory works, so that no election is ever needed; where there is no leader
 * none can be had either. */
#include "kafka/kafka_int.h"

enum { ELECT_PREFERRED, ELECT_UNCLEAN };

typedef struct elect_leaders_response_replica_election_results topic_out;
typedef struct elect_leaders_response_replica_election_results_partition_result part_out;

static ox_code
elect(struct kafka_request *req, int8_t type, struct str topic_name, int32_t index,
    struct ox_err *err)
{
    const struct meta_topic *topic = meta_view_topic(kafka_view(req), topic_name);
    if (topic == NULL)
        return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "No such topic as %.*s",
            OX_STR_ARG(topic_name));
    const struct meta_partition *part = meta_topic_partition(topic, index);
    if (part == NULL)
        return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "No such partition as %s-%d",
            topic->name.ptr, index);
    bool settled = type == ELECT_PREFERRED ? part->leader == part->replicas[0] : part->leader >= 0;
    if (settled)
        return ox_fail_plain(err, OX_ELECTION_NOT_NEEDED);
    return ox_fail_plain(err, type == ELECT_PREFERRED ? OX_PREFERRED_LEADER_NOT_AVAILABLE
                                                      : OX_ELIGIBLE_LEADERS_NOT_AVAILABLE);
}

/* Partitions by name; when the whole request is refused they all are. */
static void
elect_named(struct kafka_request *req, ox_code refused, const struct ox_err *why,
    struct elect_leaders_response *response)
{
    const struct elect_leaders_request *request = req->body;
    int32_t count = request->topic_partitions.count;
    response->replica_election_results.count = count;
    response->replica_election_results.at = kafka_array(req, topic_out, count);
    for (int32_t t = 0; t < count; t++) {
        topic_out *out = &response->replica_election_results.at[t];
        out->topic = request->topic_partitions.at[t].topic;
        out->partition_result.count = request->topic_partitions.at[t].partitions.count;
        out->partition_result.at = kafka_array(req, part_out, out->partition_result.count);
        for (int32_t p = 0; p < out->partition_result.count; p++) {
            struct ox_err err;
            int32_t index = request->topic_partitions.at[t].partitions.at[p];
            ox_code code = refused != OX_OK
                               ? refused
                               : elect(req, request->election_type, out->topic, index, &err);
            out->partition_result.at[p] = (part_out){index, ox_code_kafka(code),
                kafka_error_text(req, code, refused != OX_OK ? why : &err)};
        }
    }
}

/* All partitions; those that need no election have no row. */
static void
elect_all(struct kafka_request *req, struct elect_leaders_response *response)
{
    const struct elect_leaders_request *request = req->body;
    const struct meta_view *view = kafka_view(req);
    response->replica_election_results.count = (int32_t)view->topic_count;
    response->replica_election_results.at = kafka_array(req, topic_out, view->topic_count);
    for (uint32_t t = 0; t < view->topic_count; t++) {
        const struct meta_topic *topic = meta_view_topic_at(view, t);
        topic_out *out = &response->replica_election_results.at[t];
        out->topic = topic->name;
        out->partition_result.at = kafka_array(req, part_out, topic->partition_count);
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            struct ox_err err;
            ox_code code = elect(req, request->election_type, topic->name, (int32_t)p, &err);
            if (code != OX_ELECTION_NOT_NEEDED)
                out->partition_result.at[out->partition_result.count++] = (part_out){(int32_t)p,
                    ox_code_kafka(code), kafka_error_text(req, code, &err)};
        }
    }
}

void
kafka_elect_leaders(struct kafka_request *req)
{
    const struct elect_leaders_request *request = req->body;
    struct elect_leaders_response response;
    struct ox_err err;
    elect_leaders_response_init(&response);
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER, &err);
    if (code == OX_OK && request->election_type != ELECT_PREFERRED &&
        request->election_type != ELECT_UNCLEAN)
        code = ox_fail(&err, OX_INVALID_REQUEST, "Unknown election type %d",
            request->election_type);
    response.error_code = ox_code_kafka(code);
    if (request->topic_partitions.count >= 0)
        elect_named(req, code, &err, &response);
    else if (code == OX_OK)
        elect_all(req, &response);
    kafka_answer(req, &response);
}
