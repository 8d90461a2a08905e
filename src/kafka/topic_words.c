/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong with a topic or a setting, in Kafka's words: scripts match on them.
 * Codes are decided elsewhere; what Kafka has no words for keeps ours. */
#include "kafka/kafka_int.h"

static bool
is_list(const struct param *param)
{
    return param != NULL && (param->type == PARAM_LIST || param->type == PARAM_SET);
}

static const char *
range_words(struct kafka_request *req, const struct param *param, double number)
{
    double least = param->has_also && param->also < param->min ? param->also : param->min;
    if (param->has_min && number < param->min)
        return ox_arena_printf(&req->arena, "Value must be at least %.16g", least);
    if (param->has_max && number > param->max && param->scope != PARAM_SCOPE_GROUP)
        return ox_arena_printf(&req->arena, "Value must be no more than %.16g", param->max);
    return NULL;
}

static const char *
choice_words(struct kafka_request *req, const struct param *param)
{
    struct text text;
    ox_text_init(&text, &req->arena);
    ox_text_adds(&text, "String must be one of: ");
    if (param->scope == PARAM_SCOPE_GROUP && param->index == PARAM_GROUP_SHARE_ISOLATION_LEVEL)
        return "String must be one of: read_committed, read_uncommitted";
    for (size_t i = 0; param->choices[i] != NULL; i++)
        ox_text_addf(&text, "%s%s", i > 0 ? ", " : "", param->choices[i]);
    return ox_text_str(&text).ptr;
}

/* Why a value does not fit; NULL where Kafka's words are not known. */
static const char *
value_words(struct kafka_request *req, const struct param *param, struct str *value)
{
    int64_t whole;
    double number;
    switch (param->type) {
    case PARAM_BOOL:
        return "Expected value to be either true or false";
    case PARAM_INT:
    case PARAM_LONG:
        if (!ox_str_to_i64(*value, &whole) ||
            (param->type == PARAM_INT && (whole < INT32_MIN || whole > INT32_MAX)))
            return param->type == PARAM_INT ? "Not a number of type INT"
                                            : "Not a number of type LONG";
        *value = ox_str(ox_arena_printf(&req->arena, "%lld", (long long)whole));
        return range_words(req, param, (double)whole);
    case PARAM_DOUBLE:
        if (!ox_str_to_f64(*value, &number))
            return "Not a number of type DOUBLE";
        if (memchr(value->ptr, '.', value->len) == NULL) /* as Java prints it */
            *value = ox_str(ox_arena_printf(&req->arena, "%.*s.0", OX_STR_ARG(*value)));
        return range_words(req, param, number);
    case PARAM_ENUM:
    case PARAM_SET:
        return choice_words(req, param);
    default:
        return NULL;
    }
}

bool
kafka_value_words(struct kafka_request *req, const struct param *param, struct str value,
    struct ox_err *err)
{
    struct str canonical;
    if (value.ptr == NULL ||
        param_canonical(param, PARAM_KAFKA, value, &req->arena, &canonical, NULL) == OX_OK)
        return false;
    const char *why = value_words(req, param, &value);
    if (why != NULL)
        ox_fail(err, err->code, "Invalid value %.*s for configuration %s: %s", OX_STR_ARG(value),
            param_wire_name(param), why);
    return true;
}

/* Names go before values, and lists before both, as with Kafka. */
static void
config_words(struct kafka_request *req, enum param_scope scope,
    const struct engine_config_kv *changes, uint32_t count, struct ox_err *err)
{
    const char *kind = scope == PARAM_SCOPE_TOPIC ? "topic" : "group";
    for (uint32_t i = 0; i < count; i++)
        if (changes[i].op >= META_CONFIG_APPEND && !is_list(param_find(scope, changes[i].name))) {
            ox_fail(err, err->code, "Can't %s to key %.*s because its type is not LIST.",
                changes[i].op == META_CONFIG_APPEND ? "APPEND" : "SUBTRACT",
                OX_STR_ARG(changes[i].name));
            return;
        }
    for (uint32_t i = 0; i < count; i++)
        if (param_find(scope, changes[i].name) == NULL && changes[i].op == META_CONFIG_SET) {
            ox_fail(err, err->code, "Unknown %s config name: %.*s", kind,
                OX_STR_ARG(changes[i].name));
            return;
        }
    for (uint32_t i = 0; i < count; i++)
        if (changes[i].op == META_CONFIG_SET &&
            kafka_value_words(req, param_find(scope, changes[i].name), changes[i].value, err))
            return;
}

void
kafka_config_words(struct kafka_request *req, int8_t resource,
    const struct engine_config_kv *changes, uint32_t count, struct ox_err *err)
{
    if (err->code != OX_INVALID_CONFIG)
        return;
    if (resource == META_RESOURCE_TOPIC || resource == META_RESOURCE_GROUP) {
        enum param_scope scope =
            resource == META_RESOURCE_TOPIC ? PARAM_SCOPE_TOPIC : PARAM_SCOPE_GROUP;
        config_words(req, scope, changes, count, err);
        return;
    }
    for (uint32_t i = 0; i < count && resource == META_RESOURCE_BROKER; i++)
        if (changes[i].op >= META_CONFIG_APPEND &&
            !is_list(param_find(PARAM_SCOPE_SERVER, changes[i].name))) {
            ox_fail(err, err->code, "Config value %s is not allowed for config key: %.*s",
                changes[i].op == META_CONFIG_APPEND ? "append" : "subtract",
                OX_STR_ARG(changes[i].name));
            return;
        }
}

static void
name_words(struct str name, struct ox_err *err)
{
    if (meta_topic_name_check(name, NULL) == OX_OK)
        return;
    if (name.len == 0)
        ox_fail(err, err->code, "Topic name is invalid: the empty string is not allowed");
    else if (name.len <= 2 && name.ptr[0] == '.' && name.ptr[name.len - 1] == '.')
        ox_fail(err, err->code, "Topic name is invalid: '%.*s' is not allowed", OX_STR_ARG(name));
    else if (name.len > 249)
        ox_fail(err, err->code, "Topic name is invalid: the length of '%.*s' is longer than the "
            "max allowed length 249", OX_STR_ARG(name));
    else
        ox_fail(err, err->code, "Topic name is invalid: '%.*s' contains one or more characters "
            "other than ASCII alphanumerics, '.', '_' and '-'", OX_STR_ARG(name));
}

void
kafka_topic_words(struct kafka_request *req, struct str name,
    const struct engine_config_kv *changes, uint32_t count, struct ox_err *err)
{
    switch (err->code) {
    case OX_INVALID_CONFIG:
        kafka_config_words(req, META_RESOURCE_TOPIC, changes, count, err);
        break;
    case OX_INVALID_TOPIC:
        name_words(name, err);
        break;
    case OX_TOPIC_EXISTS:
        ox_fail(err, err->code, "Topic '%.*s' already exists.", OX_STR_ARG(name));
        break;
    case OX_UNKNOWN_TOPIC_OR_PARTITION:
        ox_fail(err, err->code, "The topic '%.*s' does not exist.", OX_STR_ARG(name));
        break;
    default:
        break;
    }
}
