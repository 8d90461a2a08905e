/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteShareGroupOffsets: a share group without members forgets topics. */
#include "coord/coord.h"
#include "kafka/group_calls.h"
#include "kafka/kafka_int.h"

typedef struct delete_share_group_offsets_response_responses topic_out;

struct delete_shares {
    struct coord_share_offsets_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

/* A topic that is there has nothing of the group. */
static struct str
topic_text(struct kafka_request *req, struct str name, ox_code code)
{
    if (code == OX_UNKNOWN_TOPIC_OR_PARTITION && meta_view_topic(kafka_view(req), name) != NULL)
        return OX_STR("There is no offset information to delete.");
    return kafka_error_text(req, code, NULL);
}

static void
answer(struct kafka_request *req, const struct coord_share_offsets_call *call)
{
    struct delete_share_group_offsets_response response;
    delete_share_group_offsets_response_init(&response);
    response.error_code = ox_code_kafka(call->call.code);
    response.error_message = call->call.code == OX_GROUP_ID_NOT_FOUND
                                 ? kafka_group_text(req, call->call.code, call->group_id)
                                 : kafka_error_text(req, call->call.code, NULL);
    size_t topics = call->call.code == OX_OK ? call->topic_count : 0;
    response.responses.at = kafka_array(req, topic_out, topics);
    response.responses.count = (int32_t)topics;
    for (size_t i = 0; i < topics; i++) {
        ox_code code = call->topics[i].code;
        bool asked = code != OX_UNKNOWN_TOPIC_OR_PARTITION && code != OX_TOPIC_AUTHORIZATION_FAILED;
        response.responses.at[i] = (topic_out){.topic_name = call->topics[i].name,
            .error_code = ox_code_kafka(code),
            .error_message = topic_text(req, call->topics[i].name, code)};
        if (asked)
            response.responses.at[i].topic_id = call->topics[i].id;
    }
    kafka_answer(req, &response);
}

static void
deleted(struct coord_call *call)
{
    struct delete_shares *job = (struct delete_shares *)(void *)call;
    answer(job->req, &job->call);
}

void
kafka_delete_share_group_offsets(struct kafka_request *req)
{
    const struct delete_share_group_offsets_request *request = req->body;
    struct delete_shares *job = kafka_array(req, struct delete_shares, 1);
    struct coord_share_offsets_call *call = &job->call;
    job->req = req;
    if (kafka_feature(req, PARAM_FEATURE_SHARE_VERSION) == 0) {
        call->call.code = OX_UNSUPPORTED_VERSION;
        answer(req, call);
        return;
    }
    if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_DELETE)) {
        call->call.code = OX_GROUP_AUTHORIZATION_FAILED;
        answer(req, call);
        return;
    }
    call->call.arena = &req->arena;
    call->call.done = deleted;
    call->op = COORD_SHARE_DELETE;
    call->group_id = request->group_id;
    call->topic_count = (size_t)request->topics.count;
    call->topics = kafka_array(req, struct coord_share_topic, call->topic_count);
    for (size_t i = 0; i < call->topic_count; i++) {
        struct str name = request->topics.at[i].topic_name;
        const struct meta_topic *topic = meta_view_topic(kafka_view(req), name);
        call->topics[i].name = name;
        call->topics[i].code = !kafka_may(req, ENGINE_TOPIC, name, ENGINE_READ)
                                   ? OX_TOPIC_AUTHORIZATION_FAILED
                               : topic == NULL ? OX_UNKNOWN_TOPIC_OR_PARTITION
                                               : OX_OK;
        if (topic != NULL)
            call->topics[i].id = topic->id;
    }
    coord_share_offsets(engine_coord(kafka_engine(req)), call);
}
