/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamsGroupHeartbeat: the one call of a streams group's membership. Topics
 * that the topology needs and that are missing are made before the answer, which
 * still says that they are missing: the next heartbeat sees them. */
#include "gen/disk.gen.h"
#include "kafka/group_calls.h"

typedef struct streams_group_heartbeat_request_topology topology_in;
typedef struct streams_group_heartbeat_request_topology_subtopologies subtopology_in;
typedef struct streams_group_heartbeat_response_partitions_by_user_endpoint endpoint_out;
typedef struct streams_group_heartbeat_response_partitions_by_user_endpoint_active_partitions
    partitions_out;

/* A topology in a request is laid out as in the record that keeps it. */
_Static_assert(sizeof(topology_in) == sizeof(struct streams_group_topology_value) &&
               sizeof(subtopology_in) ==
                   sizeof(struct streams_group_topology_value_subtopologies) &&
               sizeof(struct
                   streams_group_heartbeat_request_topology_subtopologies_copartition_groups) ==
                   sizeof(
                       struct streams_group_topology_value_subtopologies_copartition_groups) &&
               sizeof(struct
                   streams_group_heartbeat_request_topology_subtopologies_state_changelog_topics) ==
                   sizeof(struct
                       streams_group_topology_value_subtopologies_state_changelog_topics),
    "one layout under two names");
_Static_assert(
    sizeof(struct streams_group_heartbeat_response_warmup_tasks) == sizeof(kafka_tasks),
    "rows of tasks are alike");

/* How often clients tell how far they have the state of their tasks, and how far behind
 * counts as caught up: Kafka's values. Nothing is warmed up here, as in Kafka 4.4, so
 * nothing depends on either but what a description of the group shows. */
enum { TASK_OFFSET_INTERVAL_MS = 60000, ACCEPTABLE_RECOVERY_LAG = 10000 };

struct streams_heartbeat {
    struct coord_streams_call call; /* first: done() gets its head */
    struct kafka_request *req;
    struct kafka_wait wait; /* for topics being made */
    struct new_topic {
        struct engine_topic_create create; /* first, as above */
        struct streams_heartbeat *job;
    } *topics;
};

/* ---- the answer ---- */

static partitions_out *
fill_partitions(struct kafka_request *req, const struct coord_endpoint *from, int kind,
    int32_t *count)
{
    partitions_out *out = kafka_array(req, partitions_out, from->count[kind]);
    for (size_t i = 0; i < from->count[kind]; i++)
        out[i] = (partitions_out){from->of[kind][i].topic,
            {from->of[kind][i].partitions, (int32_t)from->of[kind][i].partition_count}};
    *count = (int32_t)from->count[kind];
    return out;
}

static void
fill_endpoints(struct kafka_request *req, const struct coord_streams_call *call,
    struct streams_group_heartbeat_response *response)
{
    response->partitions_by_user_endpoint.at =
        kafka_array(req, endpoint_out, call->endpoint_count);
    response->partitions_by_user_endpoint.count = (int32_t)call->endpoint_count;
    for (size_t i = 0; i < call->endpoint_count; i++) {
        endpoint_out *out = &response->partitions_by_user_endpoint.at[i];
        out->user_endpoint.host = call->endpoints[i].host;
        out->user_endpoint.port = call->endpoints[i].port;
        out->active_partitions.at = fill_partitions(req, &call->endpoints[i], COORD_ACTIVE,
            &out->active_partitions.count);
        out->standby_partitions.at = (void *)fill_partitions(req, &call->endpoints[i],
            COORD_STANDBY, &out->standby_partitions.count);
    }
}

static void
fill_response(struct kafka_request *req, const struct coord_streams_call *call,
    struct streams_group_heartbeat_response *response)
{
    typedef struct streams_group_heartbeat_response_status status_out;
    response->member_id = call->member_id;
    response->member_epoch = call->out_member_epoch;
    response->heartbeat_interval_ms = call->heartbeat_interval_ms;
    if (call->out_member_epoch >= 0) {
        response->task_offset_interval_ms = TASK_OFFSET_INTERVAL_MS;
        response->acceptable_recovery_lag = ACCEPTABLE_RECOVERY_LAG;
    }
    response->endpoint_information_epoch = call->out_endpoint_epoch;
    response->status.at = kafka_array(req, status_out, call->status_count);
    response->status.count = (int32_t)call->status_count;
    for (size_t i = 0; i < call->status_count; i++)
        response->status.at[i] =
            (status_out){call->statuses[i].status, call->statuses[i].detail};
    if (call->has_tasks) {
        response->active_tasks.at =
            kafka_task_rows(req, &call->tasks[COORD_ACTIVE], &response->active_tasks.count);
        response->standby_tasks.at = (void *)kafka_task_rows(req, &call->tasks[COORD_STANDBY],
            &response->standby_tasks.count);
        response->warmup_tasks.at = (void *)kafka_task_rows(req, &call->tasks[COORD_WARMUP],
            &response->warmup_tasks.count);
    }
    if (call->has_endpoints)
        fill_endpoints(req, call, response);
}

static void
answer(struct kafka_request *req, const struct coord_streams_call *call)
{
    struct streams_group_heartbeat_response response;
    streams_group_heartbeat_response_init(&response);
    ox_code code = call->call.code;
    response.error_code = ox_code_kafka(code);
    if (code == OX_OK)
        fill_response(req, call, &response);
    else
        response.error_message = kafka_heartbeat_text(req, code, call->message);
    kafka_answer(req, &response);
}

/* ---- topics that are missing ---- */

static void
add_detail(struct kafka_request *req, struct coord_streams_call *call, const struct text *more)
{
    for (size_t i = 0; i < call->status_count; i++)
        if (call->statuses[i].status == COORD_MISSING_INTERNAL_TOPICS)
            call->statuses[i].detail = ox_str(ox_arena_printf(&req->arena, "%.*s; %.*s.",
                OX_STR_ARG(call->statuses[i].detail), OX_STR_ARG(ox_text_str(more))));
}

static void
topics_made(struct kafka_request *req)
{
    struct streams_heartbeat *job = req->state;
    struct text failures;
    ox_text_init(&failures, &req->arena);
    for (size_t i = 0; i < job->call.wanted_count; i++) {
        struct engine_admin *admin = &job->topics[i].create.admin;
        if (admin->code != OX_OK && admin->code != OX_TOPIC_EXISTS)
            ox_text_addf(&failures, "%s%.*s (%.*s)",
                failures.len == 0 ? "Creation failed: " : ", ",
                OX_STR_ARG(job->topics[i].create.name),
                OX_STR_ARG(kafka_error_text(req, admin->code, &admin->err)));
        engine_admin_fini(admin);
    }
    if (failures.len > 0)
        add_detail(req, &job->call, &failures);
    answer(req, &job->call);
}

static void
topic_made(struct engine_admin *admin)
{
    struct new_topic *topic = (struct new_topic *)(void *)admin;
    kafka_wait_done(&topic->job->wait);
}

static void
make_topic(struct streams_heartbeat *job, struct new_topic *topic,
    const struct coord_wanted_topic *wanted)
{
    struct kafka_request *req = job->req;
    struct engine_config_kv *configs =
        kafka_array(req, struct engine_config_kv, wanted->config_count);
    for (size_t i = 0; i < wanted->config_count; i++)
        configs[i] = (struct engine_config_kv){wanted->configs[i].key, wanted->configs[i].value,
            META_CONFIG_SET};
    topic->job = job;
    topic->create.admin.sess = req->sess;
    topic->create.admin.done = topic_made;
    topic->create.name = wanted->name;
    topic->create.partitions = wanted->partitions;
    topic->create.replication_factor = wanted->replication_factor;
    topic->create.configs = configs;
    topic->create.config_count = (uint32_t)wanted->config_count;
    job->wait.pending++;
    if (engine_topic_create(&topic->create))
        kafka_wait_done(&job->wait);
}

/* All or none, as far as rights go. */
static bool
may_make(struct kafka_request *req, struct coord_streams_call *call)
{
    struct text refused;
    if (kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_CREATE))
        return true;
    ox_text_init(&refused, &req->arena);
    for (size_t i = 0; i < call->wanted_count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, call->wanted[i].name, ENGINE_CREATE))
            ox_text_addf(&refused, "%s%.*s",
                refused.len == 0 ? "Unauthorized to CREATE on topics " : ", ",
                OX_STR_ARG(call->wanted[i].name));
    if (refused.len > 0)
        add_detail(req, call, &refused);
    return refused.len == 0;
}

static void
beaten(struct coord_call *base)
{
    struct streams_heartbeat *job = (struct streams_heartbeat *)(void *)base;
    struct coord_streams_call *call = &job->call;
    struct kafka_request *req = job->req;
    if (base->code != OX_OK || call->wanted_count == 0 || !may_make(req, call)) {
        answer(req, call);
        return;
    }
    req->state = job;
    job->topics = kafka_array(req, struct new_topic, call->wanted_count);
    kafka_wait_init(&job->wait, req, topics_made);
    for (size_t i = 0; i < call->wanted_count; i++)
        make_topic(job, &job->topics[i], &call->wanted[i]);
    kafka_wait_done(&job->wait);
}

/* ---- descriptions of topologies ---- */

/* They are for a plugin of the broker to keep (KIP-1331). There is none, heartbeats never
 * ask for a description, and who sends one is answered as by a Kafka without a plugin. */
void
kafka_streams_group_topology_description_update(struct kafka_request *req)
{
    const struct streams_group_topology_description_update_request *request = req->body;
    struct streams_group_topology_description_update_response response;
    struct ox_err err;
    streams_group_topology_description_update_response_init(&response);
    ox_code code;
    if (kafka_feature(req, PARAM_FEATURE_STREAMS_VERSION) == 0)
        code = ox_fail_plain(&err, OX_UNSUPPORTED_VERSION);
    else if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ))
        code = ox_fail_plain(&err, OX_GROUP_AUTHORIZATION_FAILED);
    else
        code = ox_fail(&err, OX_UNSUPPORTED_VERSION, "descriptions of topologies are not stored");
    response.error_code = ox_code_kafka(code);
    response.error_message = kafka_error_text(req, code, &err);
    kafka_answer(req, &response);
}

/* ---- the request ---- */

/* Names that a topology uses: first whether they can be, then the rights. */
struct names {
    struct kafka_request *req;
    struct coord_streams_call *call;
    bool rights;
    ox_code code;
};

static void
see_name(struct names *names, struct str name)
{
    if (names->code != OX_OK)
        return;
    if (names->rights) {
        if (!kafka_may(names->req, ENGINE_TOPIC, name, ENGINE_DESCRIBE))
            names->code = OX_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    bool internal = meta_topic_is_internal(name);
    if (!internal && meta_topic_name_check(name, NULL) == OX_OK)
        return;
    names->code = OX_STREAMS_INVALID_TOPOLOGY;
    names->call->message = internal
                               ? OX_STR("internal topics must not be used in a topology")
                               : OX_STR("a topic of the topology has a name that is not valid");
}

static void
see_names(struct names *names, const topology_in *topology)
{
    for (int32_t i = 0; i < topology->subtopologies.count; i++) {
        const subtopology_in *sub = &topology->subtopologies.at[i];
        for (int32_t j = 0; j < sub->source_topics.count; j++)
            see_name(names, sub->source_topics.at[j]);
        for (int32_t j = 0; j < sub->repartition_sink_topics.count; j++)
            see_name(names, sub->repartition_sink_topics.at[j]);
        for (int32_t j = 0; j < sub->repartition_source_topics.count; j++)
            see_name(names, sub->repartition_source_topics.at[j].name);
        for (int32_t j = 0; j < sub->state_changelog_topics.count; j++)
            see_name(names, sub->state_changelog_topics.at[j].name);
    }
}

static ox_code
may_beat(struct kafka_request *req, struct coord_streams_call *call)
{
    const struct streams_group_heartbeat_request *request = req->body;
    struct names names = {req, call, false, OX_OK};
    if (!kafka_may(req, ENGINE_GROUP, request->group_id, ENGINE_READ))
        return OX_GROUP_AUTHORIZATION_FAILED;
    if (request->topology == NULL)
        return OX_OK;
    see_names(&names, request->topology);
    names.rights = true;
    see_names(&names, request->topology);
    return names.code;
}

/* count -1: not given. */
static struct coord_tasks
read_tasks(struct kafka_request *req, const void *at, int32_t count)
{
    const struct streams_group_heartbeat_request_active_tasks *from = at;
    struct coord_tasks out = {NULL, 0};
    if (count < 0)
        return out;
    out.at = kafka_array(req, struct coord_task_ids, count + 1);
    for (int32_t i = 0; i < count; i++)
        out.at[out.count++] = (struct coord_task_ids){from[i].subtopology_id,
            from[i].partitions.at, from[i].partitions.count};
    return out;
}

_Static_assert(sizeof(struct streams_group_heartbeat_request_task_offsets) ==
                       sizeof(struct coord_task_offset) &&
                   sizeof(struct streams_group_heartbeat_request_task_end_offsets) ==
                       sizeof(struct coord_task_offset),
    "one layout under three names");

/* count -1: not given. */
static struct coord_task_offsets
read_offsets(const void *at, int32_t count)
{
    static const struct coord_task_offset none;
    if (count < 0)
        return (struct coord_task_offsets){NULL, 0};
    return (struct coord_task_offsets){count > 0 ? at : &none, (size_t)count};
}

static void
read_rest(struct kafka_request *req, struct coord_streams_call *call)
{
    const struct streams_group_heartbeat_request *request = req->body;
    call->owned[COORD_ACTIVE] =
        read_tasks(req, request->active_tasks.at, request->active_tasks.count);
    call->owned[COORD_STANDBY] =
        read_tasks(req, request->standby_tasks.at, request->standby_tasks.count);
    call->owned[COORD_WARMUP] =
        read_tasks(req, request->warmup_tasks.at, request->warmup_tasks.count);
    if (request->user_endpoint != NULL) {
        call->host = request->user_endpoint->host;
        call->port = request->user_endpoint->port;
    }
    if (request->client_tags.count >= 0) {
        struct coord_tag *tags =
            kafka_array(req, struct coord_tag, request->client_tags.count + 1);
        for (int32_t i = 0; i < request->client_tags.count; i++)
            tags[call->tag_count++] = (struct coord_tag){request->client_tags.at[i].key,
                request->client_tags.at[i].value};
        call->tags = tags;
    }
}

void
kafka_streams_group_heartbeat(struct kafka_request *req)
{
    const struct streams_group_heartbeat_request *request = req->body;
    struct streams_heartbeat *job = kafka_array(req, struct streams_heartbeat, 1);
    struct coord_streams_call *call = &job->call;
    job->req = req;
    call->call.code = kafka_feature(req, PARAM_FEATURE_STREAMS_VERSION) > 0
                          ? may_beat(req, call)
                          : OX_UNSUPPORTED_VERSION;
    if (call->call.code != OX_OK) {
        answer(req, call);
        return;
    }
    call->call.arena = &req->arena;
    call->call.done = beaten;
    call->group_id = request->group_id;
    call->member_id = request->member_id;
    call->member_epoch = request->member_epoch;
    call->endpoint_epoch = request->endpoint_information_epoch;
    call->instance_id = request->instance_id;
    call->rack_id = request->rack_id;
    call->client_id = kafka_client_id(req);
    call->client_host = kafka_client_host(req);
    call->process_id = request->process_id;
    call->rebalance_timeout_ms = request->rebalance_timeout_ms;
    call->topology = (const struct streams_group_topology_value *)(const void *)request->topology;
    call->offsets = read_offsets(request->task_offsets.at, request->task_offsets.count);
    call->end_offsets = read_offsets(request->task_end_offsets.at, request->task_end_offsets.count);
    call->shutdown = request->shutdown_application;
    read_rest(req, call);
    coord_streams_heartbeat(engine_coord(kafka_engine(req)), call);
}
