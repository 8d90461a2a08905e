/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateTopics: every topic is a command of its own, all under way together. */
#include "kafka/kafka_int.h"

#include "base/limits.h"

typedef struct create_topics_request_topics topic_in;
typedef struct create_topics_response_topics topic_out;
typedef struct create_topics_response_topics_configs config_out;

struct create_topics {
    struct kafka_wait wait;
    struct create_topic {
        struct engine_topic_create call; /* first: done() gets its head */
        struct create_topics *all;
        bool refused; /* code is set, no call was made */
        bool again;   /* named before: no row */
    } *topics;
};

static void finish(struct kafka_request *req);

static void
refuse(struct create_topic *job, ox_code code)
{
    job->refused = true;
    job->call.admin.code = code;
}

static void
topic_done(struct engine_admin *admin)
{
    struct create_topic *job = (struct create_topic *)(void *)admin;
    kafka_wait_done(&job->all->wait);
}

/* Assignments by rising partition. */
static ox_code
read_assignments(struct kafka_request *req, const topic_in *in, struct engine_topic_create *call)
{
    int32_t count = in->assignments.count;
    struct meta_assignment *out = kafka_array(req, struct meta_assignment, count);
    struct ox_err *err = &call->admin.err;
    for (int32_t i = 0; i < count; i++) {
        const struct create_topics_request_topics_assignments *from = &in->assignments.at[i];
        int32_t at = from->partition_index;
        if (from->broker_ids.count == 0)
            return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
                "The manual partition assignment includes an empty replica list.");
        if (at < 0 || at >= count)
            return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
                "partitions should be a consecutive 0-based integer sequence");
        if (out[at].replicas != NULL)
            return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
                "Found multiple manual partition assignments for partition %d", at);
        out[at].replicas = from->broker_ids.at;
        out[at].replica_count = (uint32_t)from->broker_ids.count;
    }
    call->assignments = out;
    call->assignment_count = (uint32_t)count;
    return OX_OK;
}

/* A setting that is named twice has its last value. */
static ox_code
read_configs(struct kafka_request *req, const topic_in *in, struct engine_topic_create *call)
{
    struct engine_config_kv *configs =
        kafka_array(req, struct engine_config_kv, in->configs.count);
    uint32_t count = 0;
    ox_code code = OX_OK;
    struct map known;
    ox_map_init(&known);
    for (int32_t i = 0; i < in->configs.count && code == OX_OK; i++) {
        struct str name = in->configs.at[i].name, value = in->configs.at[i].value;
        if (name.len == 0 || value.ptr == NULL) {
            code = ox_fail(&call->admin.err, OX_INVALID_CONFIG,
                "Null value not supported for topic configs: %.*s", OX_STR_ARG(name));
            continue;
        }
        struct engine_config_kv *config = ox_map_get(&known, name);
        if (config == NULL) {
            config = &configs[count++];
            ox_map_put(&known, name, config);
        }
        *config = (struct engine_config_kv){name, value, META_CONFIG_SET};
    }
    ox_map_fini(&known);
    call->configs = configs;
    call->config_count = count;
    return code;
}

/* Returns a code when the topic cannot even be asked for. */
static ox_code
prepare(struct kafka_request *req, const topic_in *in, struct engine_topic_create *call)
{
    const struct create_topics_request *request = req->body;
    if (in->assignments.count > 0 && (in->num_partitions != -1 || in->replication_factor != -1))
        return ox_fail(&call->admin.err, OX_INVALID_REQUEST, "A manual partition assignment was "
            "specified, but %s was not set to -1.",
            in->replication_factor != -1 ? "replication factor" : "numPartitions");
    ox_code code = in->assignments.count > 0 ? read_assignments(req, in, call) : OX_OK;
    if (code == OX_OK)
        code = read_configs(req, in, call);
    if (code != OX_OK)
        return code;
    call->name = in->name;
    call->partitions = in->num_partitions;
    call->replication_factor = in->replication_factor;
    call->validate_only = request->validate_only;
    return OX_OK;
}

static bool
too_many_partitions(struct kafka_request *req)
{
    const struct create_topics_request *request = req->body;
    int64_t sum = 0;
    for (int32_t i = 0; i < request->topics.count; i++) {
        const topic_in *in = &request->topics.at[i];
        int32_t count = in->assignments.count > 0 ? in->assignments.count : in->num_partitions;
        if (count == -1)
            count = engine_settings(kafka_engine(req))->num_partitions;
        sum += OX_MAX(count, 0);
    }
    if (sum > LIMIT_PARTITIONS_CREATED_VALUE)
        limit_met(LIMIT_PARTITIONS_CREATED);
    return sum > LIMIT_PARTITIONS_CREATED_VALUE;
}

void
kafka_create_topics(struct kafka_request *req)
{
    const struct create_topics_request *request = req->body;
    struct create_topics *all = kafka_array(req, struct create_topics, 1);
    all->topics = kafka_array(req, struct create_topic, request->topics.count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    struct str *names = kafka_array(req, struct str, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++)
        names[i] = request->topics.at[i].name;
    const uint8_t *doubles = kafka_doubles(req, names, request->topics.count);
    bool too_many = too_many_partitions(req);
    for (int32_t i = 0; i < request->topics.count; i++) {
        const topic_in *in = &request->topics.at[i];
        struct create_topic *job = &all->topics[i];
        job->all = all;
        job->call.admin.sess = req->sess;
        job->call.admin.done = topic_done;
        job->again = doubles[i] == KAFKA_AGAIN;
        if (doubles[i] != KAFKA_ALONE) {
            refuse(job, ox_fail(&job->call.admin.err, OX_INVALID_REQUEST,
                "Duplicate topic name."));
            continue;
        }
        ox_code code = too_many
            ? ox_fail(&job->call.admin.err, OX_POLICY_VIOLATION,
                  "Excessively large number of partitions per request.")
            : ox_str_is(in->name, "__cluster_metadata")
                           ? ox_fail(&job->call.admin.err, OX_INVALID_REQUEST,
                                 "Creation of internal topic __cluster_metadata is prohibited.")
                           : prepare(req, in, &job->call);
        if (code != OX_OK) {
            refuse(job, code);
            continue;
        }
        all->wait.pending++;
        if (engine_topic_create(&job->call))
            kafka_wait_done(&all->wait);
    }
    kafka_wait_done(&all->wait);
}

/* ---- the answer ---- */

/* What is only checked is shown as it would be. */
static ox_code
describe_asked(struct kafka_request *req, const struct create_topic *job,
    struct meta_config_fact **facts, size_t *count)
{
    uint32_t change_count = job->call.config_count;
    struct meta_config_change *changes =
        kafka_array(req, struct meta_config_change, change_count);
    for (uint32_t i = 0; i < change_count; i++)
        changes[i] = (struct meta_config_change){job->call.configs[i].name,
            job->call.configs[i].value, META_CONFIG_SET};
    return meta_config_describe_new(kafka_view(req), changes, change_count, &req->arena, facts,
        count, NULL);
}

/* A value as it was written, where the topic has its canonical form. */
static struct str
as_written(const struct create_topic *job, const struct meta_config_fact *fact)
{
    for (uint32_t i = 0; i < job->call.config_count; i++)
        if (ox_str_is(job->call.configs[i].name, fact->name))
            return job->call.configs[i].value;
    return fact->value;
}

static void
echo_configs(struct kafka_request *req, const struct create_topic *job, topic_out *out)
{
    const struct meta_view *view = kafka_view(req);
    const struct create_topics_request *request = req->body;
    struct meta_config_fact *facts;
    size_t count;
    if (!kafka_may(req, ENGINE_TOPIC, out->name, ENGINE_DESCRIBE_CONFIGS)) {
        out->topic_config_error_code = ox_code_kafka(OX_TOPIC_AUTHORIZATION_FAILED);
        out->configs.count = -1;
        return;
    }
    out->num_partitions = job->call.partition_count;
    out->replication_factor = job->call.replicas;
    out->configs.count = 0;
    ox_code code = request->validate_only
                       ? describe_asked(req, job, &facts, &count)
                       : meta_config_describe(view, META_RESOURCE_TOPIC, out->name, &req->arena,
                             &facts, &count, NULL);
    if (code != OX_OK)
        return;
    out->configs.at = kafka_array(req, config_out, count);
    for (size_t i = 0; i < count; i++)
        if (!kafka_config_hidden(&facts[i]))
            out->configs.at[out->configs.count++] = (config_out){ox_str(facts[i].name),
            as_written(job, &facts[i]), facts[i].read_only, facts[i].source, facts[i].sensitive};
}

static void
placement_words(struct kafka_request *req, int16_t replicas, struct ox_err *err)
{
    uint32_t brokers = kafka_view(req)->broker_count;
    const char *why = ox_arena_strdup(&req->arena, err->message);
    if (replicas > (int32_t)brokers)
        why = ox_arena_printf(&req->arena, "The target replication factor of %d cannot be reached "
            "because only %u broker(s) are registered or some brokers have all their log "
            "directories cordoned.", replicas, brokers);
    ox_fail(err, err->code, "Unable to replicate the partition %d time(s): %s", replicas, why);
}

/* Kafka's words. */
static void
say(struct kafka_request *req, struct engine_topic_create *call, struct str name)
{
    struct ox_err *err = &call->admin.err;
    switch (err->code) {
    case OX_INVALID_PARTITIONS:
        if (call->partitions == 0 || call->partitions < -1)
            ox_fail(err, err->code,
                "Number of partitions was set to an invalid non-positive value.");
        break;
    case OX_INVALID_REPLICATION_FACTOR:
        placement_words(req, call->replicas, err);
        if (call->replication_factor == 0 || call->replication_factor < -1)
            ox_fail(err, err->code,
                "Replication factor must be larger than 0, or -1 to use the default value.");
        break;
    default:
        kafka_topic_words(req, name, call->configs, call->config_count, err);
        break;
    }
}

static void
finish(struct kafka_request *req)
{
    const struct create_topics_request *request = req->body;
    struct create_topics *all = req->state;
    struct create_topics_response response;
    create_topics_response_init(&response);
    response.topics.at = kafka_array(req, topic_out, request->topics.count);
    for (int32_t i = 0; i < request->topics.count; i++) {
        struct create_topic *job = &all->topics[i];
        struct engine_admin *admin = &job->call.admin;
        if (job->again)
            continue;
        topic_out *out = &response.topics.at[response.topics.count++];
        create_topics_response_topics_init(out);
        out->name = request->topics.at[i].name;
        out->error_code = ox_code_kafka(admin->code);
        if (admin->code != OX_OK && admin->err.code == admin->code)
            say(req, &job->call, out->name);
        out->error_message = kafka_error_text(req, admin->code, &admin->err);
        if (admin->code == OX_OK) {
            out->topic_id = job->call.topic_id;
            if (req->version >= 5)
                echo_configs(req, job, out);
        }
        if (!job->refused)
            engine_admin_fini(admin);
    }
    kafka_answer(req, &response);
}
