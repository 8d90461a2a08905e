/* SPDX-License-Identifier: Apache-2.0
 *
 * Broker loggers: which diagnostics are written, as settings of a resource of their
 * own. They are this process's and forgotten when it ends. */
#include "base/diag.h"
#include "kafka/kafka_int.h"

ox_code
kafka_broker_named(struct kafka_request *req, const struct kafka_broker_words *words,
    struct str *name, struct ox_err *err)
{
    int32_t own = kafka_view(req)->node_id;
    int64_t id;
    if (!ox_str_to_i64(*name, &id) || id < INT32_MIN || id > INT32_MAX)
        return ox_fail(err, OX_INVALID_REQUEST, "%s id must be an integer, but it is: %.*s",
            words->kind, OX_STR_ARG(*name));
    if (id != own)
        return ox_fail(err, OX_INVALID_REQUEST, "Unexpected %s %d%s but received %.*s",
            words->unexpected, own, words->or_else, OX_STR_ARG(*name));
    *name = ox_str(ox_arena_printf(&req->arena, "%d", own));
    return OX_OK;
}

static ox_code
check_change(const struct engine_config_kv *change, struct ox_err *err)
{
    int logger = ox_logger_find(change->name.ptr, change->name.len);
    if (logger < 0)
        return ox_fail(err, OX_INVALID_CONFIG, "Logger %.*s does not exist!",
            OX_STR_ARG(change->name));
    switch (change->op) {
    case META_CONFIG_SET:
        if (change->value.ptr == NULL)
            return ox_fail(err, OX_INVALID_REQUEST, "Null value not supported for : %.*s",
                OX_STR_ARG(change->name));
        if (ox_logger_level_find(change->value.ptr, change->value.len) < 0)
            return ox_fail(err, OX_INVALID_CONFIG, "Cannot set the log level of %.*s to %.*s as "
                "it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, "
                "TRACE, WARN", OX_STR_ARG(change->name), OX_STR_ARG(change->value));
        return OX_OK;
    case META_CONFIG_DELETE:
        if (logger == 0)
            return ox_fail(err, OX_INVALID_REQUEST, "Removing the log level of the root "
                "logger is not allowed");
        return OX_OK;
    default:
        return ox_fail(err, OX_INVALID_REQUEST, "%s operation is not allowed for the "
            "BROKER_LOGGER resource", change->op == META_CONFIG_APPEND ? "APPEND" : "SUBTRACT");
    }
}

ox_code
kafka_loggers_check(struct kafka_request *req, struct str broker,
    const struct engine_config_kv *changes, uint32_t count, struct ox_err *err)
{
    static const struct kafka_broker_words alter = {"Node", "node id. Expected", ","};
    ox_code code = kafka_may_cluster(req, ENGINE_ALTER_CONFIGS, err);
    if (code == OX_OK)
        code = kafka_broker_named(req, &alter, &broker, err);
    for (uint32_t i = 0; i < count && code == OX_OK; i++)
        code = check_change(&changes[i], err);
    return code;
}

void
kafka_loggers_change(const struct engine_config_kv *changes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct engine_config_kv *change = &changes[i];
        int level = change->op == META_CONFIG_DELETE
                        ? -1
                        : ox_logger_level_find(change->value.ptr, change->value.len);
        ox_logger_set(ox_logger_find(change->name.ptr, change->name.len), level);
        ox_info("level of a logger changed", "logger=%.*s level=%s", OX_STR_ARG(change->name),
            level < 0 ? "root's" : ox_logger_level(ox_logger_find(change->name.ptr,
                                      change->name.len)));
    }
}

ox_code
kafka_loggers_describe(struct kafka_request *req, struct str broker,
    struct meta_config_fact **out, size_t *count, struct ox_err *err)
{
    static const struct kafka_broker_words describe = {"Broker", "broker id, expected", ""};
    if (broker.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "Broker id must not be empty");
    ox_code code = kafka_broker_named(req, &describe, &broker, err);
    if (code != OX_OK)
        return code;
    *count = (size_t)ox_logger_count();
    *out = kafka_array(req, struct meta_config_fact, *count);
    for (size_t i = 0; i < *count; i++) {
        (*out)[i].name = ox_logger_name((int)i);
        (*out)[i].value = ox_str(ox_logger_level((int)i));
        (*out)[i].source = META_SOURCE_LOGGER;
    }
    return OX_OK;
}
