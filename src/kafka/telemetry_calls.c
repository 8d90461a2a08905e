/* SPDX-License-Identifier: Apache-2.0
 *
 * GetTelemetrySubscriptions and PushTelemetry: what clients tell about themselves. */
#include "base/codec.h"
#include "kafka/kafka_int.h"
#include "net/net.h"

static struct engine_telemetry
telemetry_call(struct kafka_request *req, const struct uuid *id)
{
    return (struct engine_telemetry){.sess = req->sess, .id = *id, .arena = &req->arena,
        .port = req->kc->conn != NULL ? conn_peer_port(req->kc->conn) : 0};
}

void
kafka_get_telemetry_subscriptions(struct kafka_request *req)
{
    /* as preferred */
    static int8_t codecs[] = {OX_CODEC_ZSTD, OX_CODEC_LZ4, OX_CODEC_GZIP, OX_CODEC_SNAPPY};
    const struct get_telemetry_subscriptions_request *request = req->body;
    struct get_telemetry_subscriptions_response response;
    struct engine_telemetry call = telemetry_call(req, &request->client_instance_id);
    get_telemetry_subscriptions_response_init(&response);
    ox_code code = engine_telemetry_subscribe(&call);
    response.error_code = ox_code_kafka(code);
    if (code == OX_OK) {
        response.client_instance_id = call.id;
        response.subscription_id = call.subscription_id;
        response.accepted_compression_types.at = codecs;
        response.accepted_compression_types.count = sizeof(codecs);
        response.push_interval_ms = call.interval_ms;
        response.telemetry_max_bytes = call.max_bytes;
        response.delta_temporality = true;
        response.requested_metrics.at = call.metrics;
        response.requested_metrics.count = (int32_t)call.metric_count;
    }
    kafka_answer(req, &response);
}

void
kafka_push_telemetry(struct kafka_request *req)
{
    const struct push_telemetry_request *request = req->body;
    struct push_telemetry_response response;
    struct engine_telemetry call = telemetry_call(req, &request->client_instance_id);
    push_telemetry_response_init(&response);
    response.error_code = ox_code_kafka(engine_telemetry_push(&call, request->subscription_id,
        request->terminating, request->compression_type, request->metrics));
    kafka_answer(req, &response);
}
