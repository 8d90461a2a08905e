/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupHeartbeat: the one call of a share group's membership. The states of
 * what it reads are kept in a topic of their own, made with the first member. */
#include "kafka/group_calls.h"

_Static_assert(sizeof(struct share_group_heartbeat_response_assignment) ==
                       sizeof(kafka_assignment) &&
                   sizeof(struct share_group_heartbeat_response_assignment_topic_partitions) ==
                       sizeof(struct consumer_group_heartbeat_response_assignment_topic_partitions),
    "one layout under two names");

struct share_heartbeat {
    struct coord_share_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, const struct coord_share_call *call)
{
    struct share_group_heartbeat_response response;
    share_group_heartbeat_response_init(&response);
    ox_code code = call->call.code;
    response.error_code = ox_code_kafka(code);
    if (code == OX_OK) {
        response.member_id = call->member_id;
        response.member_epoch = call->out_member_epoch;
        response.heartbeat_interval_ms = call->heartbeat_interval_ms;
        if (call->has_assignment)
            response.assignment = (void *)kafka_assignment_row(req, call->assignment,
                call->assignment_count);
    } else {
        response.error_message = kafka_heartbeat_text(req, code, call->message);
    }
    kafka_answer(req, &response);
}

static void
beaten(struct coord_call *call)
{
    struct share_heartbeat *job = (struct share_heartbeat *)(void *)call;
    answer(job->req, &job->call);
}

void
kafka_share_group_heartbeat(struct kafka_request *req)
{
    const struct share_group_heartbeat_request *request = req->body;
    struct share_heartbeat *job = kafka_array(req, struct share_heartbeat, 1);
    struct coord_share_call *call = &job->call;
    job->req = req;
    call->call.code = kafka_feature(req, PARAM_FEATURE_SHARE_VERSION) > 0
                          ? kafka_may_subscribe(req, request->group_id,
                                request->subscribed_topic_names.at,
                                request->subscribed_topic_names.count)
                          : OX_UNSUPPORTED_VERSION;
    if (call->call.code != OX_OK) {
        answer(req, call);
        return;
    }
    if (meta_view_topic(kafka_view(req), OX_STR("__share_group_state")) == NULL)
        kafka_auto_create(req, OX_STR("__share_group_state"));
    call->call.arena = &req->arena;
    call->call.done = beaten;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->member_epoch = request->member_epoch;
    call->rack_id = request->rack_id;
    call->client_id = kafka_client_id(req);
    call->client_host = kafka_client_host(req);
    call->topics = kafka_names_given(&request->subscribed_topic_names, &call->topic_count);
    coord_share_heartbeat(engine_coord(kafka_engine(req)), call);
}
