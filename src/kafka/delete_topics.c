/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteTopics: by name, and from version 6 on by id. */
#include "kafka/kafka_int.h"

typedef struct delete_topics_response_responses topic_out;

struct delete_topics {
    struct kafka_wait wait;
    int32_t count;
    struct delete_topic {
        struct engine_topic_delete call; /* first: done() gets its head */
        struct delete_topics *all;
        struct str name; /* for the answer; null: by an id that is not to be named */
        bool refused;
        bool again; /* named before: no row */
    } *topics;
};

static void finish(struct kafka_request *req);

static void
topic_done(struct engine_admin *admin)
{
    struct delete_topic *job = (struct delete_topic *)(void *)admin;
    kafka_wait_done(&job->all->wait);
}

/* Both lists of the request as one. */
static void
list_topics(struct kafka_request *req, struct delete_topics *all)
{
    const struct delete_topics_request *request = req->body;
    bool structs = req->version >= 6;
    all->count = structs ? request->topics.count : request->topic_names.count;
    all->topics = kafka_array(req, struct delete_topic, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        struct delete_topic *job = &all->topics[i];
        job->all = all;
        job->call.admin.sess = req->sess;
        job->call.admin.done = topic_done;
        job->call.name = structs ? request->topics.at[i].name : request->topic_names.at[i];
        if (structs)
            job->call.topic_id = request->topics.at[i].topic_id;
        job->name = job->call.name;
    }
}

static const uint8_t *
find_doubles(struct kafka_request *req, const struct delete_topics *all)
{
    struct str *keys = kafka_array(req, struct str, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        const struct engine_topic_delete *call = &all->topics[i].call;
        keys[i] = call->name.ptr != NULL
                      ? call->name
                      : ox_str_n(call->topic_id.bytes, sizeof(call->topic_id.bytes));
    }
    return kafka_doubles(req, keys, all->count);
}

/* A topic given by id is named in the answer if the client may know it. */
static void
find_name(struct kafka_request *req, struct delete_topic *job)
{
    const struct meta_topic *topic = meta_view_topic_by_id(kafka_view(req), &job->call.topic_id);
    if (topic != NULL && kafka_may(req, ENGINE_TOPIC, topic->name, ENGINE_DESCRIBE))
        job->name = ox_str_dup(&req->arena, topic->name);
}

void
kafka_delete_topics(struct kafka_request *req)
{
    struct delete_topics *all = kafka_array(req, struct delete_topics, 1);
    list_topics(req, all);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    const uint8_t *doubles = find_doubles(req, all);
    for (int32_t i = 0; i < all->count; i++) {
        struct delete_topic *job = &all->topics[i];
        bool by_id = !ox_uuid_is_zero(&job->call.topic_id);
        job->again = doubles[i] == KAFKA_AGAIN;
        if (by_id == (job->call.name.ptr != NULL) || doubles[i]) {
            job->refused = true;
            job->call.admin.code = ox_fail(&job->call.admin.err, OX_INVALID_REQUEST,
                "You may not specify both topic name and topic id.");
            continue;
        }
        if (by_id)
            find_name(req, job);
        all->wait.pending++;
        job->call.late = req->version < 5;
        if (engine_topic_delete(&job->call))
            kafka_wait_done(&all->wait);
    }
    kafka_wait_done(&all->wait);
}

static void
finish(struct kafka_request *req)
{
    struct delete_topics *all = req->state;
    struct delete_topics_response response;
    delete_topics_response_init(&response);
    response.responses.at = kafka_array(req, topic_out, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        struct delete_topic *job = &all->topics[i];
        struct engine_admin *admin = &job->call.admin;
        if (job->again)
            continue;
        ox_code code = admin->code;
        if (code == OX_TOPIC_DELETION_DISABLED && req->version < 3)
            code = OX_INVALID_REQUEST;
        topic_out *out = &response.responses.at[response.responses.count++];
        delete_topics_response_responses_init(out);
        out->name = job->name;
        out->topic_id = job->call.topic_id;
        out->error_code = ox_code_kafka(code);
        out->error_message = kafka_error_text(req, admin->code,
            admin->code == OX_UNKNOWN_TOPIC_OR_PARTITION || admin->code == OX_UNKNOWN_TOPIC_ID
                ? NULL : &admin->err);
        if (!job->refused)
            engine_admin_fini(admin);
    }
    kafka_answer(req, &response);
}
