/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupHeartbeat: the one call of a share group's membership. The states of
 * what it reads are kept in a topic of their own, made with the first member. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct share_group_heartbeat_response_assignment assignment_out;
typedef struct share_group_heartbeat_response_assignment_topic_partitions topic_out;

struct share_heartbeat {
    struct coord_share_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
fill_assignment(struct kafka_request *req, const struct coord_share_call *call,
    struct share_group_heartbeat_response *response)
{
    response->assignment = kafka_array(req, assignment_out, 1);
    response->assignment->topic_partitions.at =
        kafka_array(req, topic_out, call->assignment_count);
    response->assignment->topic_partitions.count = (int32_t)call->assignment_count;
    for (size_t i = 0; i < call->assignment_count; i++) {
        const struct coord_topic_partitions *topic = &call->assignment[i];
        response->assignment->topic_partitions.at[i] = (topic_out){topic->topic_id,
            {topic->partitions, (int32_t)topic->partition_count}};
    }
}

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
            fill_assignment(req, call, &response);
    } else {
        response.error_message =
            call->message.ptr ? call->message : kafka_error_text(req, code, NULL);
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
    call->client_id = req->client_id.ptr ? req->client_id : OX_STR("");
    call->client_host = ox_str(ox_arena_printf(&req->arena, "/%s", req->sess->host));
    if (request->subscribed_topic_names.count >= 0) {
        static const struct str none; /* NULL would mean: as before */
        call->topics = request->subscribed_topic_names.count > 0
                           ? request->subscribed_topic_names.at
                           : &none;
        call->topic_count = (size_t)request->subscribed_topic_names.count;
    }
    coord_share_heartbeat(engine_coord(kafka_engine(req)), call);
}
