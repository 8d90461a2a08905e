/* SPDX-License-Identifier: Apache-2.0
 *
 * ConsumerGroupHeartbeat: the one call of the consumer protocol. Fields that are
 * null say "as before"; the coordinator remembers what that was. */
#include "kafka/group_calls.h"

struct consumer_heartbeat {
    struct coord_consumer_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_consumer_call *call)
{
    struct consumer_group_heartbeat_response response;
    consumer_group_heartbeat_response_init(&response);
    ox_code code = call->call.code;
    response.error_code = ox_code_kafka(code);
    if (code == OX_OK) {
        response.member_id = call->out_member_id;
        response.member_epoch = call->out_member_epoch;
        response.heartbeat_interval_ms = call->heartbeat_interval_ms;
        if (call->has_assignment)
            response.assignment = kafka_assignment_row(req, call->assignment,
                call->assignment_count);
    } else {
        response.error_message = kafka_heartbeat_text(req, code, call->message);
    }
    kafka_answer(req, &response);
}

static void
beaten(struct coord_call *call)
{
    struct consumer_heartbeat *job = (struct consumer_heartbeat *)(void *)call;
    answer(job->req, &job->call);
}

static void
fill_owned(struct kafka_request *req, struct coord_consumer_call *call)
{
    const struct consumer_group_heartbeat_request *request = req->body;
    if (request->topic_partitions.count < 0)
        return;
    size_t count = (size_t)request->topic_partitions.count;
    /* NULL would mean: as before. */
    struct coord_topic_partitions *owned =
        kafka_array(req, struct coord_topic_partitions, OX_MAX(count, (size_t)1));
    for (size_t i = 0; i < count; i++)
        owned[i] = (struct coord_topic_partitions){request->topic_partitions.at[i].topic_id,
            OX_STR(""), request->topic_partitions.at[i].partitions.at,
            (size_t)request->topic_partitions.at[i].partitions.count};
    call->owned = owned;
    call->owned_count = count;
}

static bool
sees(const void *of, struct str topic)
{
    return engine_allowed_of(of, ENGINE_TOPIC, topic, ENGINE_DESCRIBE);
}

void
kafka_consumer_group_heartbeat(struct kafka_request *req)
{
    const struct consumer_group_heartbeat_request *request = req->body;
    struct consumer_heartbeat *job = kafka_array(req, struct consumer_heartbeat, 1);
    struct coord_consumer_call *call = &job->call;
    job->req = req;
    call->call.code = kafka_feature(req, PARAM_FEATURE_GROUP_VERSION) > 0
                          ? kafka_may_subscribe(req, request->group_id,
                                request->subscribed_topic_names.at,
                                request->subscribed_topic_names.count)
                          : OX_UNSUPPORTED_VERSION;
    if (call->call.code != OX_OK) {
        answer(req, call);
        return;
    }
    call->call.arena = &req->arena;
    call->call.done = beaten;
    call->version = req->version;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->member_epoch = request->member_epoch;
    call->instance_id = request->instance_id;
    call->rack_id = request->rack_id;
    call->client_id = kafka_client_id(req);
    call->client_host = kafka_client_host(req);
    call->rebalance_timeout_ms = request->rebalance_timeout_ms;
    call->regex = request->subscribed_topic_regex;
    call->assignor = request->server_assignor;
    call->topics = kafka_names_given(&request->subscribed_topic_names, &call->topic_count);
    fill_owned(req, call);
    call->sees_of = kafka_session_copy(req);
    call->sees = call->sees_of != NULL ? sees : NULL;
    coord_consumer_heartbeat(engine_coord(kafka_engine(req)), call);
}
