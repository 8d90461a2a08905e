/* SPDX-License-Identifier: Apache-2.0
 *
 * CreatePartitions: a topic grows to a new number of partitions. */
#include "kafka/kafka_int.h"

typedef struct create_partitions_request_topics topic_in;
typedef struct create_partitions_response_results topic_out;

struct create_partitions {
    struct kafka_wait wait;
    struct grow_topic {
        struct engine_partitions_create call; /* first: done() gets its head */
        struct create_partitions *all;
        bool refused;
        bool again; /* named before: no row */
    } *topics;
};

static void finish(struct kafka_request *req);

static void
topic_done(struct engine_admin *admin)
{
    struct grow_topic *job = (struct grow_topic *)(void *)admin;
    kafka_wait_done(&job->all->wait);
}

static void
fill_assignments(struct kafka_request *req, const topic_in *in,
    struct engine_partitions_create *call)
{
    if (in->assignments.count < 0)
        return;
    struct meta_assignment *out =
        kafka_array(req, struct meta_assignment, OX_MAX(in->assignments.count, 1));
    for (int32_t i = 0; i < in->assignments.count; i++)
        out[i] = (struct meta_assignment){in->assignments.at[i].broker_ids.at,
            (uint32_t)in->assignments.at[i].broker_ids.count};
    call->assignments = out;
    call->assignment_count = (uint32_t)in->assignments.count;
}

/* Of all topics together. */
static bool
too_many_partitions(struct kafka_request *req)
{
    const struct create_partitions_request *request = req->body;
    int64_t sum = 0;
    for (int32_t i = 0; i < request->topics.count; i++) {
        const struct meta_topic *topic =
            meta_view_topic(kafka_view(req), request->topics.at[i].name);
        if (topic != NULL)
            sum += OX_MAX((int64_t)request->topics.at[i].count - topic->partition_count, 0);
    }
    if (sum > LIMIT_PARTITIONS_CREATED_VALUE)
        limit_met(LIMIT_PARTITIONS_CREATED);
    return sum > LIMIT_PARTITIONS_CREATED_VALUE;
}

static void
refuse(struct grow_topic *job, ox_code code)
{
    job->refused = true;
    job->call.admin.code = code;
}

void
kafka_create_partitions(struct kafka_request *req)
{
    const struct create_partitions_request *request = req->body;
    struct create_partitions *all = kafka_array(req, struct create_partitions, 1);
    all->topics = kafka_array(req, struct grow_topic, request->topics.count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    struct str *names = kafka_array(req, struct str, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++)
        names[i] = request->topics.at[i].name;
    const uint8_t *doubles = kafka_doubles(req, names, request->topics.count);
    bool too_many = too_many_partitions(req);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const topic_in *in = &request->topics.at[i];
        struct grow_topic *job = &all->topics[i];
        job->all = all;
        job->call.admin.sess = req->sess;
        job->call.admin.done = topic_done;
        job->again = doubles[i] == KAFKA_AGAIN;
        if (doubles[i] != KAFKA_ALONE) {
            refuse(job, ox_fail(&job->call.admin.err, OX_INVALID_REQUEST,
                "Duplicate topic name."));
            continue;
        }
        if (too_many) {
            refuse(job, ox_fail(&job->call.admin.err, OX_POLICY_VIOLATION,
                "Excessively large number of additional partitions per request."));
            continue;
        }
        job->call.name = in->name;
        job->call.count = in->count;
        job->call.validate_only = request->validate_only;
        fill_assignments(req, in, &job->call);
        all->wait.pending++;
        job->call.late = req->version < 3;
        if (engine_partitions_create(&job->call))
            kafka_wait_done(&all->wait);
    }
    kafka_wait_done(&all->wait);
}

/* Kafka's words. */
static void
say(struct kafka_request *req, struct engine_partitions_create *call)
{
    struct ox_err *err = &call->admin.err;
    const struct meta_topic *topic = meta_view_topic(kafka_view(req), call->name);
    if (topic == NULL)
        return;
    int32_t now = (int32_t)topic->partition_count;
    if (err->code == OX_INVALID_PARTITIONS && call->count == now)
        ox_fail(err, err->code, "Topic already has %d partition(s).", now);
    else if (err->code == OX_INVALID_PARTITIONS && call->count < now)
        ox_fail(err, err->code, "The topic %.*s currently has %d partition(s); %d would not be an "
            "increase.", OX_STR_ARG(call->name), now, call->count);
}

static void
finish(struct kafka_request *req)
{
    const struct create_partitions_request *request = req->body;
    struct create_partitions *all = req->state;
    struct create_partitions_response response;
    create_partitions_response_init(&response);
    response.results.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        struct grow_topic *job = &all->topics[i];
        struct engine_admin *admin = &job->call.admin;
        if (job->again)
            continue;
        if (admin->code != OX_OK && admin->err.code == admin->code)
            say(req, &job->call);
        response.results.at[response.results.count++] = (topic_out){request->topics.at[i].name,
            ox_code_kafka(admin->code), admin->code == OX_UNKNOWN_TOPIC_OR_PARTITION
                ? OX_STR_NULL
                : kafka_error_text(req, admin->code, &admin->err)};
        if (!job->refused)
            engine_admin_fini(admin);
    }
    kafka_answer(req, &response);
}
