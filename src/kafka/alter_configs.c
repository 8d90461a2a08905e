/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterConfigs (which replaces all settings of a resource) and
 * IncrementalAlterConfigs (which changes some). One list of resources inside. */
#include "kafka/kafka_int.h"

enum { VALUE_CHARS_MAX = 32767 };

struct alter_configs {
    struct kafka_wait wait;
    int32_t count;
    struct alter_resource {
        struct engine_config_alter call; /* first: done() gets its head */
        struct alter_configs *all;
        struct str name; /* as it was written */
        struct engine_config_kv *changes;
        uint32_t change_count;
        bool refused; /* or done without a call: loggers */
    } *resources;
};

static void
resource_done(struct engine_admin *admin)
{
    struct alter_resource *job = (struct alter_resource *)(void *)admin;
    kafka_wait_done(&job->all->wait);
}

/* Type and name of a resource are its identity. */
static const uint8_t *
find_doubles(struct kafka_request *req, const struct alter_configs *all)
{
    struct str *keys = kafka_array(req, struct str, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        const struct engine_config_alter *call = &all->resources[i].call;
        char *key = ox_arena_alloc(&req->arena, call->name.len + 1);
        key[0] = (char)call->resource;
        memcpy(key + 1, call->name.ptr, call->name.len);
        keys[i] = ox_str_n(key, call->name.len + 1);
    }
    return kafka_doubles(req, keys, all->count);
}

static ox_code
check_change(int8_t type, const struct engine_config_kv *change, bool doubled, struct ox_err *err)
{
    /* as Kafka, which comes upon them at different places */
    ox_code unknown_op =
        type == META_RESOURCE_BROKER ? OX_INVALID_REQUEST : OX_UNKNOWN_SERVER_ERROR;
    ox_code unknown_name = type == META_RESOURCE_BROKER || type == META_RESOURCE_CLIENT_METRICS
                               ? OX_INVALID_REQUEST
                               : OX_INVALID_CONFIG;
    if (doubled)
        return ox_fail(err, OX_INVALID_REQUEST, "Error due to duplicate config keys");
    if (change->name.len == 0)
        return ox_fail(err, unknown_name, "a setting has no name");
    if (change->op < META_CONFIG_SET || change->op > META_CONFIG_SUBTRACT)
        return ox_fail(err, unknown_op, "Unknown operations type %d", change->op);
    if (change->op != META_CONFIG_DELETE && change->value.ptr == NULL)
        return ox_fail(err, OX_INVALID_REQUEST, "Null value not supported for : %.*s",
            OX_STR_ARG(change->name));
    if (change->value.len > VALUE_CHARS_MAX)
        return ox_fail(err, OX_INVALID_CONFIG, "The configuration value cannot be added because "
            "it exceeds the maximum value size of %d bytes.", VALUE_CHARS_MAX);
    return OX_OK;
}

/* While eligible leader replicas are in use their number is the cluster's alone, and
 * always said. */
static ox_code
check_min_insync(struct kafka_request *req, const struct alter_resource *job,
    const struct engine_config_kv *change, struct ox_err *err)
{
    bool cluster = job->call.name.len == 0;
    if (kafka_feature(req, PARAM_FEATURE_ELIGIBLE_LEADER_REPLICAS_VERSION) == 0)
        return OX_OK;
    if (!cluster || change->op == META_CONFIG_DELETE)
        return ox_fail(err, OX_INVALID_CONFIG, "%s-level min.insync.replicas cannot be %s while "
            "ELR is enabled.", cluster ? "Cluster" : "Broker", cluster ? "removed" : "altered");
    return OX_OK;
}

/* By at most half or double at a time, as Kafka has it. */
static ox_code
check_threads(const struct param *param, int now, struct str value, struct ox_err *err)
{
    int64_t wanted;
    if (!ox_str_to_i64(value, &wanted) ||
        (wanted > 0 && wanted >= now / 2 && wanted <= (int64_t)now * 2))
        return OX_OK;
    return ox_fail(err, OX_INVALID_REQUEST, "Invalid value "
        "org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation "
        "failed for %s=%lld, value should %s the current value %d for configuration Invalid "
        "dynamic configuration", param->kafka_name, (long long)wanted,
        wanted < now ? "be at least half" : "not be greater than double", now);
}

static ox_code
check_loops(struct kafka_request *req, const struct param *param, struct str listener,
    struct str value, struct ox_err *err)
{
    struct loop_group *loops = engine_loops(kafka_engine(req));
    int64_t own;
    const char *name = ox_arena_strndup(&req->arena, listener.ptr != NULL ? listener.ptr : "",
        listener.len);
    struct str set = meta_listener_own(kafka_view(req), name, NULL, PARAM_SERVER_LOOPS);
    bool has = listener.ptr != NULL && ox_str_to_i64(set, &own) && own > 0;
    return check_threads(param, has ? (int)own : loop_open_count(loops), value, err);
}

static ox_code
check_thread_counts(struct kafka_request *req, const struct param *param, struct str listener,
    struct str value, struct ox_err *err)
{
    const struct server_config *now = engine_settings(kafka_engine(req));
    switch (param->index) {
    case PARAM_SERVER_POOL_THREADS:
        return check_threads(param, now->pool_threads, value, err);
    case PARAM_SERVER_NUM_RECOVERY_THREADS_PER_DATA_DIR:
        return check_threads(param, now->num_recovery_threads_per_data_dir, value, err);
    case PARAM_SERVER_LOOPS:
        return check_loops(req, param, listener, value, err);
    default:
        return OX_OK;
    }
}

/* Set for each broker, not for all. */
static bool
is_per_broker(const struct param *param)
{
    switch (param->index) {
    case PARAM_SERVER_LISTENERS:
    case PARAM_SERVER_LISTENER_SECURITY_PROTOCOL_MAP:
    case PARAM_SERVER_SASL_ENABLED_MECHANISMS:
        return true;
    default:
        return param->index >= PARAM_SERVER_SSL_KEYSTORE_LOCATION &&
            param->index <= PARAM_SERVER_SSL_CIPHER_SUITES;
    }
}

static bool
is_cluster_wide(const struct param *param)
{
    return param->index == PARAM_SERVER_MAX_CONNECTIONS || param->index == PARAM_SERVER_LOOPS ||
        param->index == PARAM_SERVER_MAX_CONNECTION_CREATION_RATE;
}

/* Stores of keys and certificates: each listener's own. */
static bool
is_of_one_listener(const struct param *param)
{
    return param->index >= PARAM_SERVER_SSL_KEYSTORE_LOCATION &&
        param->index <= PARAM_SERVER_SSL_TRUSTSTORE_CERTIFICATES;
}

static ox_code
check_level(const struct alter_resource *job, const struct param *param, struct str name,
    bool listener, struct ox_err *err)
{
    bool all = job->call.name.len == 0;
    if (!listener && is_of_one_listener(param))
        return ox_fail(err, OX_INVALID_REQUEST, "These security configs can be dynamically updated "
            "only per-listener using the listener prefix: [%s]", param_wire_name(param));
    if (all && (listener ? !is_cluster_wide(param) : is_per_broker(param)))
        return ox_fail(err, OX_INVALID_REQUEST, "Cannot update these configs at default cluster "
            "level, broker id must be specified: [%.*s]", OX_STR_ARG(name));
    return OX_OK;
}

/* Directories are those of one broker. */
static ox_code
check_cordoned(struct kafka_request *req, const struct alter_resource *job,
    const struct engine_config_kv *change, struct ox_err *err)
{
    struct replica *replica = engine_replica(kafka_engine(req));
    struct str strays;
    if (job->call.name.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "Cannot update these configs at default cluster "
            "level, broker id must be specified: [cordoned.log.dirs]");
    if (change->op != META_CONFIG_SET && change->op != META_CONFIG_APPEND)
        return OX_OK;
    switch (engine_cordoned_judge(replica, change->value, &req->arena, &strays)) {
    case ENGINE_CORDONED_GOOD:
        break;
    case ENGINE_CORDONED_TWICE:
        engine_check_cordoned(replica, change->value, err);
        return err->code = OX_INVALID_REQUEST;
    case ENGINE_CORDONED_STRAY:
        return ox_fail(err, OX_INVALID_REQUEST, "requirement failed: All entries in "
            "cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : %.*s",
            OX_STR_ARG(strays));
    }
    return OX_OK;
}

/* Above Oxbow's bound, where Kafka has none. */
static bool
is_number_above(const struct param *param, struct str value)
{
    int64_t number;
    return ox_str_to_i64(value, &number) && param->has_max && (double)number > param->max;
}

/* What Kafka's brokers can change while they run, and values, as they word it. */
static ox_code
check_broker_change(struct kafka_request *req, const struct alter_resource *job,
    const struct engine_config_kv *change, struct ox_err *err)
{
    struct str canonical, listener = OX_STR_NULL;
    const struct param *param = param_find(PARAM_SCOPE_SERVER, change->name);
    if (param == NULL)
        param = meta_listener_param(change->name, &listener);
    if (param == NULL)
        return OX_OK; /* refused, or not there to delete */
    if (param->change != PARAM_LIVE && listener.ptr == NULL)
        return ox_fail(err, OX_INVALID_REQUEST, "Cannot update these configs dynamically: [%s]",
            param_wire_name(param));
    if (change->op != META_CONFIG_DELETE &&
        check_level(job, param, change->name, listener.ptr != NULL, err) != OX_OK)
        return err->code;
    if (change->op == META_CONFIG_SET &&
        param_canonical(param, PARAM_KAFKA, change->value, &req->arena, &canonical, err) != OX_OK) {
        err->code = OX_INVALID_REQUEST;
        if (!is_number_above(param, change->value) ||
            check_thread_counts(req, param, listener, change->value, err) == OX_OK)
            kafka_value_words(req, param, change->value, err);
        return OX_INVALID_REQUEST;
    }
    if (change->op == META_CONFIG_SET) {
        ox_code code = check_thread_counts(req, param, listener, change->value, err);
        if (code != OX_OK)
            return code;
    }
    if (change->op == META_CONFIG_SET && param->index == PARAM_SERVER_LISTENERS &&
        canonical.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "\"listeners\" is empty");
    if (param->index == PARAM_SERVER_CORDONED_LOG_DIRS)
        return check_cordoned(req, job, change, err);
    if (param->index == PARAM_SERVER_MAX_CONNECTIONS_PER_IP_OVERRIDES &&
        (change->op == META_CONFIG_SET || change->op == META_CONFIG_APPEND) &&
        engine_check_overrides(change->value, err) != OX_OK)
        return err->code = OX_INVALID_REQUEST;
    if (param->index == PARAM_SERVER_MIN_INSYNC_REPLICAS)
        return check_min_insync(req, job, change, err);
    return OX_OK;
}

static ox_code
check_broker(struct kafka_request *req, struct alter_resource *job, struct ox_err *err)
{
    static const struct kafka_broker_words words = {"Node", "broker id, expected", ","};
    if (kafka_may_cluster(req, ENGINE_ALTER_CONFIGS, err) != OX_OK)
        return err->code; /* before anything is said of the change */
    if (job->call.name.len > 0 &&
        kafka_broker_named(req, &words, &job->call.name, err) != OX_OK)
        return err->code;
    for (uint32_t i = 0; i < job->change_count; i++) {
        ox_code code = check_broker_change(req, job, &job->changes[i], err);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

static ox_code
check_type(const struct alter_resource *job, bool replace, struct ox_err *err)
{
    switch (job->call.resource) {
    case META_RESOURCE_TOPIC:
        if (job->call.name.len == 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Default topic resources are not allowed.");
        return meta_topic_name_check(job->call.name, err);
    case META_RESOURCE_BROKER:
    case META_RESOURCE_GROUP:
    case META_RESOURCE_CLIENT_METRICS:
        return OX_OK;
    case META_RESOURCE_BROKER_LOGGER:
        if (!replace)
            return OX_OK;
        break;
    default:
        break;
    }
    return ox_fail(err, OX_INVALID_REQUEST, "Unknown resource type %d", job->call.resource);
}

static ox_code
check_resource(struct kafka_request *req, struct alter_resource *job, bool replace, bool doubled)
{
    struct ox_err *err = &job->call.admin.err;
    if (doubled)
        return ox_fail(err, OX_INVALID_REQUEST, "Each resource must appear at most once.");
    ox_code type = check_type(job, replace, err);
    if (type != OX_OK)
        return type;
    if (job->call.resource == META_RESOURCE_TOPIC && job->call.name.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "Default topic resources are not allowed.");
    struct str *names = kafka_array(req, struct str, job->change_count);
    for (uint32_t i = 0; i < job->change_count; i++)
        names[i] = job->changes[i].name;
    const uint8_t *doubles = kafka_doubles(req, names, (int32_t)job->change_count);
    for (uint32_t i = 0; i < job->change_count; i++) {
        ox_code code = check_change(job->call.resource, &job->changes[i], doubles[i], err);
        if (code != OX_OK)
            return code;
    }
    if (job->call.resource == META_RESOURCE_BROKER_LOGGER)
        return kafka_loggers_check(req, job->call.name, job->changes, job->change_count, err);
    return job->call.resource == META_RESOURCE_BROKER ? check_broker(req, job, err) : OX_OK;
}

static struct alter_configs *
alter_new(struct kafka_request *req, int32_t count, void (*finish)(struct kafka_request *req))
{
    struct alter_configs *all = kafka_array(req, struct alter_configs, 1);
    all->count = count;
    all->resources = kafka_array(req, struct alter_resource, count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    return all;
}

static void
describe_resource(struct kafka_request *req, struct alter_configs *all, int32_t index,
    int8_t type, struct str name, int32_t change_count)
{
    struct alter_resource *job = &all->resources[index];
    job->all = all;
    job->call.resource = type;
    job->name = job->call.name = name;
    job->changes = kafka_array(req, struct engine_config_kv, change_count);
    job->change_count = (uint32_t)change_count;
}

static void
run(struct kafka_request *req, struct alter_configs *all, bool replace, bool validate_only)
{
    const uint8_t *doubles = find_doubles(req, all);
    for (int32_t i = 0; i < all->count; i++) {
        struct alter_resource *job = &all->resources[i];
        job->call.admin.sess = req->sess;
        job->call.admin.done = resource_done;
        job->call.replace = replace;
        job->call.validate_only = validate_only;
        job->call.changes = job->changes;
        job->call.change_count = job->change_count;
        job->call.admin.code = check_resource(req, job, replace, doubles[i]);
        bool loggers = job->call.resource == META_RESOURCE_BROKER_LOGGER;
        job->refused = job->call.admin.code != OX_OK || loggers;
        if (job->call.admin.code == OX_OK && loggers && !validate_only)
            kafka_loggers_change(job->changes, job->change_count);
        if (job->refused)
            continue;
        all->wait.pending++;
        if (engine_config_alter(&job->call))
            kafka_wait_done(&all->wait);
    }
    kafka_wait_done(&all->wait);
}

/* Kafka's words. */
static void
say(struct kafka_request *req, const struct alter_resource *job, struct ox_err *err)
{
    bool nameless = job->name.len == 0 && err->code == OX_INVALID_REQUEST;
    switch (job->call.resource) {
    case META_RESOURCE_TOPIC:
        kafka_topic_words(req, job->name, job->changes, job->change_count, err);
        break;
    case META_RESOURCE_GROUP:
        if (nameless)
            ox_fail(err, err->code, "Default group resources are not allowed.");
        break;
    case META_RESOURCE_CLIENT_METRICS:
        if (nameless)
            ox_fail(err, err->code, "Subscription name can't be empty");
        break;
    default:
        break;
    }
    kafka_config_words(req, job->call.resource, job->changes, job->change_count, err);
}

/* Fills one row's outcome and lets the call go. */
static void
outcome(struct kafka_request *req, struct alter_resource *job, int16_t *error_code,
    struct str *message)
{
    struct engine_admin *admin = &job->call.admin;
    if (job->call.unfit) /* whatever is the matter with sockets and files */
        admin->code = admin->err.code = OX_INVALID_REQUEST;
    if (admin->code != OX_OK && admin->err.code == admin->code)
        say(req, job, &admin->err);
    *error_code = ox_code_kafka(admin->code);
    *message = kafka_error_text(req, admin->code, &admin->err);
    if (!job->refused)
        engine_admin_fini(admin);
}

/* ---- AlterConfigs ---- */

static void
finish_replace(struct kafka_request *req)
{
    struct alter_configs *all = req->state;
    struct alter_configs_response response;
    alter_configs_response_init(&response);
    response.responses.count = all->count;
    response.responses.at =
        kafka_array(req, struct alter_configs_response_responses, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        struct alter_configs_response_responses *out = &response.responses.at[i];
        out->resource_type = all->resources[i].call.resource;
        out->resource_name = all->resources[i].name;
        outcome(req, &all->resources[i], &out->error_code, &out->error_message);
    }
    kafka_answer(req, &response);
}

void
kafka_alter_configs(struct kafka_request *req)
{
    const struct alter_configs_request *request = req->body;
    struct alter_configs *all = alter_new(req, request->resources.count, finish_replace);
    for (int32_t i = 0; i < all->count; i++) {
        const struct alter_configs_request_resources *in = &request->resources.at[i];
        describe_resource(req, all, i, in->resource_type, in->resource_name, in->configs.count);
        for (int32_t c = 0; c < in->configs.count; c++)
            all->resources[i].changes[c] = (struct engine_config_kv){in->configs.at[c].name,
                in->configs.at[c].value, META_CONFIG_SET};
    }
    run(req, all, true, request->validate_only);
}

/* ---- IncrementalAlterConfigs ---- */

static void
finish_change(struct kafka_request *req)
{
    struct alter_configs *all = req->state;
    struct incremental_alter_configs_response response;
    incremental_alter_configs_response_init(&response);
    response.responses.count = all->count;
    response.responses.at =
        kafka_array(req, struct incremental_alter_configs_response_responses, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        struct incremental_alter_configs_response_responses *out = &response.responses.at[i];
        out->resource_type = all->resources[i].call.resource;
        out->resource_name = all->resources[i].name;
        outcome(req, &all->resources[i], &out->error_code, &out->error_message);
    }
    kafka_answer(req, &response);
}

void
kafka_incremental_alter_configs(struct kafka_request *req)
{
    const struct incremental_alter_configs_request *request = req->body;
    struct alter_configs *all = alter_new(req, request->resources.count, finish_change);
    for (int32_t i = 0; i < all->count; i++) {
        const struct incremental_alter_configs_request_resources *in = &request->resources.at[i];
        describe_resource(req, all, i, in->resource_type, in->resource_name, in->configs.count);
        for (int32_t c = 0; c < in->configs.count; c++)
            all->resources[i].changes[c] = (struct engine_config_kv){in->configs.at[c].name,
                in->configs.at[c].value, in->configs.at[c].config_operation};
    }
    run(req, all, false, request->validate_only);
}
