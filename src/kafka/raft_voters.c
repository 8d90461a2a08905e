/* SPDX-License-Identifier: Apache-2.0
 *
 * Who takes part: DescribeQuorum, AddRaftVoter, RemoveRaftVoter, UnregisterBroker,
 * UnregisterController.
 * The metadata log has one voter, this node; others can neither join nor leave,
 * and are told so as by a Kafka cluster of one. */
#include "kafka/kafka_int.h"

/* ---- DescribeQuorum ---- */

typedef struct describe_quorum_response_topics topic_out;
typedef struct describe_quorum_response_topics_partitions part_out;
typedef struct describe_quorum_response_topics_partitions_current_voters voter_out;
typedef struct describe_quorum_response_nodes node_out;
typedef struct describe_quorum_response_nodes_listeners listener_out;

static void
list_nodes(struct kafka_request *req, struct describe_quorum_response *response)
{
    const struct meta_view *view = kafka_view(req);
    const struct meta_broker *broker = meta_view_broker(view, view->controller_id);
    if (broker == NULL)
        return;
    response->nodes.at = kafka_array(req, node_out, 1);
    response->nodes.count = 1;
    node_out *node = &response->nodes.at[0];
    node->node_id = broker->node_id;
    node->listeners.count = (int32_t)broker->listener_count;
    node->listeners.at = kafka_array(req, listener_out, broker->listener_count);
    for (uint32_t i = 0; i < broker->listener_count; i++)
        node->listeners.at[i] = (listener_out){broker->listeners[i].name,
            broker->listeners[i].host, (uint16_t)broker->listeners[i].port};
}

static void
describe_log(struct kafka_request *req, part_out *out)
{
    const struct meta_view *view = kafka_view(req);
    struct meta_stats stats;
    meta_stats(engine_meta(kafka_engine(req)), &stats);
    out->leader_id = view->controller_id;
    out->leader_epoch = (int32_t)stats.term;
    out->high_watermark = (int64_t)stats.applied + 1;
    out->current_voters.at = kafka_array(req, voter_out, 1);
    out->current_voters.count = 1;
    voter_out *voter = &out->current_voters.at[0];
    describe_quorum_response_topics_partitions_current_voters_init(voter);
    voter->replica_id = view->controller_id;
    if (kafka_feature(req, PARAM_FEATURE_KRAFT_VERSION) > 0)
        voter->replica_directory_id = meta_identity(engine_meta(kafka_engine(req)))->directory_id;
    voter->log_end_offset = (int64_t)stats.log_last + 1;
    voter->last_fetch_timestamp = env_wall_ms(engine_env(kafka_engine(req)));
    voter->last_caught_up_timestamp = voter->last_fetch_timestamp;
}

/* The one log there is, asked for alone; everything else is unknown. */
static bool
asks_for_metadata(const struct describe_quorum_request *request)
{
    return request->topics.count == 1 &&
           ox_str_is(request->topics.at[0].topic_name, "__cluster_metadata") &&
           request->topics.at[0].partitions.count == 1 &&
           request->topics.at[0].partitions.at[0].partition_index == 0;
}

static void
list_topics(struct kafka_request *req, ox_code code, struct describe_quorum_response *response)
{
    const struct describe_quorum_request *request = req->body;
    bool known = code == OX_OK;
    response->topics.count = request->topics.count;
    response->topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t t = 0; t < request->topics.count; t++) {
        topic_out *out = &response->topics.at[t];
        out->topic_name = request->topics.at[t].topic_name;
        out->partitions.count = request->topics.at[t].partitions.count;
        out->partitions.at = kafka_array(req, part_out, out->partitions.count);
        for (int32_t p = 0; p < out->partitions.count; p++) {
            part_out *part = &out->partitions.at[p];
            describe_quorum_response_topics_partitions_init(part);
            part->partition_index = request->topics.at[t].partitions.at[p].partition_index;
            part->error_code = ox_code_kafka(code);
            part->error_message = kafka_error_text(req, code, NULL);
            if (known)
                describe_log(req, part);
        }
    }
}

void
kafka_describe_quorum(struct kafka_request *req)
{
    const struct describe_quorum_request *request = req->body;
    struct describe_quorum_response response;
    struct ox_err err;
    describe_quorum_response_init(&response);
    ox_code code = kafka_may_cluster(req, ENGINE_DESCRIBE, &err);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    if (code == OX_OK && asks_for_metadata(request)) {
        list_topics(req, OX_OK, &response);
        list_nodes(req, &response);
    } else if (code == OX_OK) {
        list_topics(req, OX_UNKNOWN_TOPIC_OR_PARTITION, &response);
    }
    kafka_answer(req, &response);
}

/* ---- AddRaftVoter, RemoveRaftVoter ---- */

static ox_code
check_voter(struct kafka_request *req, struct str cluster_id, int32_t voter_id,
    const struct uuid *directory_id, struct ox_err *err)
{
    struct str ours = kafka_view(req)->cluster_id;
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER, err);
    if (code != OX_OK)
        return code;
    if (cluster_id.ptr != NULL && !ox_str_eq(cluster_id, ours))
        return ox_fail(err, OX_INCONSISTENT_CLUSTER_ID, "this is cluster \"%.*s\", not \"%.*s\"",
            OX_STR_ARG(ours), OX_STR_ARG(cluster_id));
    if (voter_id < 0 || ox_uuid_is_zero(directory_id))
        return ox_fail(err, OX_INVALID_REQUEST, "voter %d is not named by number and directory",
            voter_id);
    return OX_OK;
}

static ox_code
check_level(struct kafka_request *req, struct ox_err *err)
{
    if (kafka_feature(req, PARAM_FEATURE_KRAFT_VERSION) > 0)
        return OX_OK;
    return ox_fail(err, OX_UNSUPPORTED_VERSION,
        "voters are fixed: the level of feature kraft.version is 0");
}

void
kafka_add_raft_voter(struct kafka_request *req)
{
    const struct add_raft_voter_request *request = req->body;
    struct add_raft_voter_response response;
    struct ox_err err;
    add_raft_voter_response_init(&response);
    ox_code code = check_voter(req, request->cluster_id, request->voter_id,
        &request->voter_directory_id, &err);
    if (code == OX_OK && request->listeners.count == 0)
        code = ox_fail(&err, OX_INVALID_REQUEST, "voter %d has no listener", request->voter_id);
    if (code == OX_OK)
        code = check_level(req, &err);
    if (code == OX_OK)
        code = request->voter_id == kafka_view(req)->node_id
                   ? ox_fail(&err, OX_DUPLICATE_VOTER, "voter %d is this node", request->voter_id)
                   : ox_fail(&err, OX_REQUEST_TIMED_OUT, "voter %d cannot be reached",
                         request->voter_id);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

/* Neither a stranger nor the last voter can leave. */
void
kafka_remove_raft_voter(struct kafka_request *req)
{
    const struct remove_raft_voter_request *request = req->body;
    struct remove_raft_voter_response response;
    struct ox_err err;
    remove_raft_voter_response_init(&response);
    ox_code code = check_voter(req, request->cluster_id, request->voter_id,
        &request->voter_directory_id, &err);
    if (code == OX_OK)
        code = check_level(req, &err);
    if (code == OX_OK)
        code = ox_fail(&err, OX_VOTER_NOT_FOUND, "voter %d cannot leave a quorum of one",
            request->voter_id);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

/* ---- UnregisterBroker, UnregisterController ---- */

void
kafka_unregister_broker(struct kafka_request *req)
{
    const struct unregister_broker_request *request = req->body;
    struct unregister_broker_response response;
    struct ox_err err;
    unregister_broker_response_init(&response);
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER, &err);
    if (code == OX_OK && meta_view_broker(kafka_view(req), request->broker_id) == NULL)
        code = ox_fail(&err, OX_BROKER_ID_NOT_REGISTERED, "broker %d is not registered",
            request->broker_id);
    else if (code == OX_OK)
        code = ox_fail(&err, OX_INVALID_REQUEST, "broker %d is this node, and it is running",
            request->broker_id);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

void
kafka_unregister_controller(struct kafka_request *req)
{
    const struct unregister_controller_request *request = req->body;
    struct unregister_controller_response response;
    struct ox_err err;
    unregister_controller_response_init(&response);
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER, &err);
    if (code == OX_OK && request->controller_id == kafka_view(req)->controller_id)
        code = ox_fail(&err, OX_INVALID_REQUEST, "controller %d is the active one",
            request->controller_id);
    else if (code == OX_OK)
        code = ox_fail(&err, OX_CONTROLLER_ID_NOT_REGISTERED, "controller %d is not registered",
            request->controller_id);
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}
