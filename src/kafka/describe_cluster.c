/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeCluster: the brokers, the controller, what the client may do. */
#include "kafka/kafka_int.h"

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static void
list_brokers(struct kafka_request *req, struct describe_cluster_response *response)
{
    const struct describe_cluster_request *request = req->body;
    const struct meta_view *view = kafka_view(req);
    struct str listener = ox_str(req->sess->listener);
    response->brokers.at =
        kafka_array(req, struct describe_cluster_response_brokers, view->broker_count);
    for (uint32_t i = 0; i < view->broker_count; i++) {
        const struct meta_broker *broker = view->brokers[i];
        const struct meta_listener *endpoint = meta_broker_listener(broker, listener);
        if (endpoint == NULL || (broker->fenced && !request->include_fenced_brokers))
            continue;
        response->brokers.at[response->brokers.count++] =
            (struct describe_cluster_response_brokers){broker->node_id, endpoint->host,
                endpoint->port, broker->rack, broker->fenced};
        if (broker->node_id == view->controller_id)
            response->controller_id = view->controller_id;
    }
}

void
kafka_describe_cluster(struct kafka_request *req)
{
    const struct describe_cluster_request *request = req->body;
    struct describe_cluster_response response;
    describe_cluster_response_init(&response);
    response.error_message = OX_STR_NULL;
    if (request->endpoint_type != ENDPOINT_BROKERS) {
        bool known = request->endpoint_type == ENDPOINT_CONTROLLERS;
        ox_code code = req->version == 0 ? OX_INVALID_REQUEST
                       : known           ? OX_MISMATCHED_ENDPOINT_TYPE
                                         : OX_UNSUPPORTED_ENDPOINT_TYPE;
        response.error_code = ox_code_kafka(code);
        response.error_message = known
            ? OX_STR("The request was sent to an endpoint of type BROKER, but we wanted an endpoint "
                     "of type CONTROLLER")
            : ox_str(ox_arena_printf(&req->arena, "Unsupported endpoint type %d",
                  request->endpoint_type));
        kafka_answer(req, &response);
        return;
    }
    response.cluster_id = kafka_view(req)->cluster_id;
    list_brokers(req, &response);
    if (request->include_cluster_authorized_operations)
        response.cluster_authorized_operations =
            kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_DESCRIBE)
                ? engine_allowed_mask(req->sess, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME)
                : 0;
    kafka_answer(req, &response);
}
