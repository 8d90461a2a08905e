/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeConfigs: the settings of topics, this broker, groups. */
#include "kafka/kafka_int.h"

typedef struct describe_configs_request_resources resource_in;
typedef struct describe_configs_response_results resource_out;
typedef struct describe_configs_response_results_configs config_out;
typedef struct describe_configs_response_results_configs_synonyms synonym_out;

static ox_code
may_describe(struct kafka_request *req, const resource_in *in)
{
    switch (in->resource_type) {
    case META_RESOURCE_TOPIC:
        return kafka_may(req, ENGINE_TOPIC, in->resource_name, ENGINE_DESCRIBE_CONFIGS)
                   ? OX_OK
                   : OX_TOPIC_AUTHORIZATION_FAILED;
    case META_RESOURCE_GROUP:
        return kafka_may(req, ENGINE_GROUP, in->resource_name, ENGINE_DESCRIBE_CONFIGS)
                   ? OX_OK
                   : OX_GROUP_AUTHORIZATION_FAILED;
    default:
        return kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_DESCRIBE_CONFIGS)
                   ? OX_OK
                   : OX_CLUSTER_AUTHORIZATION_FAILED;
    }
}

/* No keys, or none named: all, but of Oxbow's own settings those that were set. What
 * Kafka has only while it is set is not there before. */
static bool
asked_for(const resource_in *in, const struct meta_config_fact *fact)
{
    bool hidden = kafka_config_hidden(fact);
    if (in->configuration_keys.count <= 0 || (hidden && fact->param->kafka_name != NULL))
        return !hidden;
    for (int32_t i = 0; i < in->configuration_keys.count; i++)
        if (ox_str_is(in->configuration_keys.at[i], fact->name))
            return true;
    return false;
}

/* Where the logs are, be it said by a setting or not. */
static struct str
log_dirs(struct kafka_request *req)
{
    struct replica *replica = engine_replica(kafka_engine(req));
    struct text text;
    const char *path;
    ox_text_init(&text, &req->arena);
    for (size_t i = 0; replica_log_dir(replica, i) != NULL; i++)
        ox_text_addf(&text, "%s%s", text.len > 0 ? "," : "",
            log_dir_path(replica_log_dir(replica, i)));
    for (size_t i = 0; (path = replica_failed_dir(replica, i)) != NULL; i++)
        ox_text_addf(&text, "%s%s", text.len > 0 ? "," : "", path);
    return ox_text_str(&text);
}

/* What holds while a setting is not set and its default comes from others; null: nothing
 * does. Kafka's defaults are values, and its tools show them. */
static struct str
derived_default(struct kafka_request *req, const struct meta_config_fact *fact)
{
    const struct server_config *now = engine_settings(kafka_engine(req));
    const struct param *param = fact->param;
    if (param == NULL || param->scope != PARAM_SCOPE_SERVER || fact->value.ptr != NULL ||
        fact->source != META_SOURCE_DEFAULT)
        return OX_STR_NULL;
    if (param->index == PARAM_SERVER_LOG_DIRS)
        return log_dirs(req);
    if (param->index != PARAM_SERVER_LISTENERS)
        return OX_STR_NULL;
    bool v6 = strchr(now->listen_address, ':') != NULL;
    return ox_str(ox_arena_printf(&req->arena, "PLAINTEXT://%s%s%s:%d", v6 ? "[" : "",
        now->listen_address, v6 ? "]" : "", now->kafka_port));
}

static void
fill_config(struct kafka_request *req, const struct meta_config_fact *fact, config_out *out)
{
    const struct describe_configs_request *request = req->body;
    describe_configs_response_results_configs_init(out);
    out->name = ox_str(fact->name);
    struct str derived = derived_default(req, fact);
    out->value = fact->sensitive ? OX_STR_NULL : derived.ptr != NULL ? derived : fact->value;
    out->read_only = fact->read_only || fact->of_listener; /* as Kafka says, and changes them */
    out->config_source = fact->source;
    out->is_sensitive = fact->sensitive;
    out->config_type = fact->param ? (int8_t)param_kafka_type(fact->param) : 0;
    bool documented = request->include_documentation && fact->param != NULL;
    out->documentation = documented ? ox_str(fact->param->doc) : OX_STR_NULL;
    if (fact->source == META_SOURCE_LOGGER) /* as Kafka: whether asked for or not */
        out->documentation = OX_STR("");
    if (!request->include_synonyms)
        return;
    out->synonyms.at = kafka_array(req, synonym_out, fact->synonym_count + 1);
    out->synonyms.count = (int32_t)fact->synonym_count;
    for (uint32_t i = 0; i < fact->synonym_count; i++)
        out->synonyms.at[i] = (synonym_out){ox_str(fact->synonyms[i].name),
            fact->sensitive ? OX_STR_NULL : fact->synonyms[i].value, fact->synonyms[i].source};
    if (derived.ptr != NULL)
        out->synonyms.at[out->synonyms.count++] =
            (synonym_out){out->name, derived, META_SOURCE_DEFAULT};
}

/* One resource of a type that does not exist spoils the request. */
static bool
types_known(const struct describe_configs_request *request)
{
    for (int32_t i = 0; i < request->resources.count; i++)
        switch (request->resources.at[i].resource_type) {
        case META_RESOURCE_TOPIC:
        case META_RESOURCE_BROKER:
        case META_RESOURCE_BROKER_LOGGER:
        case META_RESOURCE_CLIENT_METRICS:
        case META_RESOURCE_GROUP:
            break;
        default:
            return false;
        }
    return true;
}

/* Kafka's words. */
static void
nameless(int8_t type, struct ox_err *err)
{
    if (type == META_RESOURCE_GROUP)
        ox_fail(err, err->code, "Group name must not be empty");
    else if (type == META_RESOURCE_CLIENT_METRICS)
        ox_fail(err, err->code, "Client metrics subscription name must not be empty");
}

static void
describe(struct kafka_request *req, const resource_in *in, resource_out *out)
{
    static const struct kafka_broker_words words = {"Broker", "broker id, expected",
        " or empty string,"};
    struct meta_config_fact *facts = NULL;
    size_t count = 0;
    struct ox_err err;
    err.code = OX_OK;
    struct str name = in->resource_name;
    ox_code code = may_describe(req, in);
    if (code == OX_OK && in->resource_type == META_RESOURCE_TOPIC)
        code = meta_topic_name_check(in->resource_name, &err);
    if (code == OX_OK && in->resource_type == META_RESOURCE_BROKER_LOGGER)
        code = kafka_loggers_describe(req, name, &facts, &count, &err);
    if (code == OX_OK && in->resource_type == META_RESOURCE_BROKER && name.len > 0)
        code = kafka_broker_named(req, &words, &name, &err);
    if (code == OX_OK && in->resource_type != META_RESOURCE_BROKER_LOGGER)
        code = meta_config_describe(kafka_view(req), in->resource_type, name, &req->arena,
            &facts, &count, &err);
    if (code == OX_INVALID_REQUEST && err.code == code && name.len == 0)
        nameless(in->resource_type, &err);
    if (code == OX_INVALID_TOPIC && err.code == code)
        kafka_topic_words(req, in->resource_name, NULL, 0, &err);
    out->error_code = ox_code_kafka(code);
    out->error_message = code == OX_OK || code == OX_UNKNOWN_TOPIC_OR_PARTITION
                             ? OX_STR("")
                             : kafka_error_text(req, code, &err);
    if (code != OX_OK)
        return;
    out->configs.at = kafka_array(req, config_out, count);
    for (size_t i = 0; i < count; i++)
        if (asked_for(in, &facts[i]))
            fill_config(req, &facts[i], &out->configs.at[out->configs.count++]);
}

void
kafka_describe_configs(struct kafka_request *req)
{
    const struct describe_configs_request *request = req->body;
    struct describe_configs_response response;
    describe_configs_response_init(&response);
    response.results.count = request->resources.count;
    response.results.at = kafka_array(req, resource_out, request->resources.count);
    bool known = types_known(request);
    for (int32_t i = 0; i < request->resources.count; i++) {
        const resource_in *in = &request->resources.at[i];
        resource_out *out = &response.results.at[i];
        /* All settings of a broker, and that for a few bytes, as often as they are asked for. */
        if (i > 0 && mem_over()) {
            limit_met(LIMIT_MEMORY);
            kafka_answer_close(req);
            return;
        }
        out->resource_type = in->resource_type;
        out->resource_name = in->resource_name;
        out->error_code = ox_code_kafka(OX_INVALID_REQUEST);
        out->error_message = kafka_error_text(req, OX_INVALID_REQUEST, NULL);
        if (known)
            describe(req, in, out);
    }
    kafka_answer(req, &response);
}
