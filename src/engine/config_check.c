/* SPDX-License-Identifier: Apache-2.0
 *
 * What a change of settings must observe beyond the type and range of each value:
 * bounds that the server's own settings give to those of groups, patterns in
 * subscriptions to client metrics, users in settings of the server. meta/ checks the
 * rest. */
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "coord/coord.h"
#include "engine/engine_int.h"
#include "share/share.h"

/* ---- groups ---- */

static const struct bound {
    const char *name;
    size_t low, high; /* int32_t fields of struct server_config */
} bounds[] = {
#define BOUND(name, low, high) \
    {name, offsetof(struct server_config, low), offsetof(struct server_config, high)}
    BOUND("consumer.session.timeout.ms", group_consumer_min_session_timeout_ms,
        group_consumer_max_session_timeout_ms),
    BOUND("consumer.heartbeat.interval.ms", group_consumer_min_heartbeat_interval_ms,
        group_consumer_max_heartbeat_interval_ms),
    BOUND("consumer.assignment.interval.ms", group_consumer_min_assignment_interval_ms,
        group_consumer_max_assignment_interval_ms),
    BOUND("share.assignment.interval.ms", group_share_min_assignment_interval_ms,
        group_share_max_assignment_interval_ms),
    BOUND("share.session.timeout.ms", group_share_min_session_timeout_ms,
        group_share_max_session_timeout_ms),
    BOUND("share.heartbeat.interval.ms", group_share_min_heartbeat_interval_ms,
        group_share_max_heartbeat_interval_ms),
    BOUND("share.record.lock.duration.ms", group_share_min_record_lock_duration_ms,
        group_share_max_record_lock_duration_ms),
    BOUND("share.delivery.count.limit", group_share_min_delivery_count_limit,
        group_share_max_delivery_count_limit),
    BOUND("share.partition.max.record.locks", group_share_min_partition_max_record_locks,
        group_share_max_partition_max_record_locks),
    BOUND("streams.session.timeout.ms", group_streams_min_session_timeout_ms,
        group_streams_max_session_timeout_ms),
    BOUND("streams.heartbeat.interval.ms", group_streams_min_heartbeat_interval_ms,
        group_streams_max_heartbeat_interval_ms),
    BOUND("streams.assignment.interval.ms", group_streams_min_assignment_interval_ms,
        group_streams_max_assignment_interval_ms),
#undef BOUND
};

/* A bound without a lower end. */
static ox_code
check_standbys(const struct server_config *config, const struct engine_config_kv *change,
    struct ox_err *err)
{
    int64_t value;
    if (ox_str_is(change->name, "streams.num.standby.replicas") &&
        ox_str_to_i64(change->value, &value) &&
        value > config->group_streams_max_standby_replicas)
        return ox_fail(err, OX_INVALID_CONFIG, "streams.num.standby.replicas must be less than or "
            "equal to %d", config->group_streams_max_standby_replicas);
    return OX_OK;
}

static int32_t
field(const struct server_config *config, size_t offset)
{
    return *(const int32_t *)(const void *)((const char *)config + offset);
}

static ox_code
check_group(const struct server_config *config, const struct engine_config_kv *change,
    struct ox_err *err)
{
    int64_t value;
    if (ox_str_is(change->name, "share.auto.offset.reset") && change->value.ptr != NULL &&
        !share_reset_valid(change->value))
        return ox_fail(err, OX_INVALID_CONFIG, "Invalid value %.*s for configuration "
            "share.auto.offset.reset: Invalid value `%.*s` for configuration "
            "share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the "
            "format 'by_duration:<PnDTnHnMn.nS>'.", OX_STR_ARG(change->value),
            OX_STR_ARG(change->value));
    if (ox_str_is(change->name, "errors.deadletterqueue.topic.name") && change->value.len >= 2 &&
        memcmp(change->value.ptr, "__", 2) == 0)
        return ox_fail(err, OX_INVALID_CONFIG,
            "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'");
    for (size_t i = 0; i < ox_count(bounds); i++) {
        if (!ox_str_is(change->name, bounds[i].name) || !ox_str_to_i64(change->value, &value))
            continue;
        int32_t low = field(config, bounds[i].low), high = field(config, bounds[i].high);
        if (value < low || value > high)
            return ox_fail(err, OX_INVALID_CONFIG, "%s must be in the range %d to %d "
                "inclusive.", bounds[i].name, low, high);
    }
    return check_standbys(config, change, err);
}

/* ---- groups: sessions and heartbeats ---- */

static const struct pair {
    const char *session, *heartbeat;
    size_t session_default, heartbeat_default; /* int32_t fields of struct server_config */
} pairs[] = {
#define PAIR(kind) \
    {#kind ".session.timeout.ms", #kind ".heartbeat.interval.ms", \
        offsetof(struct server_config, group_##kind##_session_timeout_ms), \
        offsetof(struct server_config, group_##kind##_heartbeat_interval_ms)}
    PAIR(consumer), PAIR(share), PAIR(streams),
#undef PAIR
};

/* What the setting will be; false: the group has none of its own. */
static bool
will_be(const struct engine_config_alter *call, const struct meta_config_set *set,
    const char *name, int64_t *value)
{
    bool own = false;
    for (uint32_t i = 0; !call->replace && set != NULL && i < set->count; i++)
        if (ox_str_is(set->items[i].name, name))
            own = ox_str_to_i64(set->items[i].value, value);
    for (uint32_t i = 0; i < call->change_count; i++)
        if (ox_str_is(call->changes[i].name, name))
            own = call->changes[i].op == META_CONFIG_SET &&
                  ox_str_to_i64(call->changes[i].value, value);
    return own;
}

/* A session must be longer than the time between two heartbeats. */
static ox_code
check_sessions(struct engine_config_alter *call)
{
    struct engine_admin *admin = &call->admin;
    const struct server_config *config = engine_settings(admin->sess->engine);
    const struct meta_config_set *set = meta_view_config(engine_view(admin->sess->engine),
        META_RESOURCE_GROUP, call->name);
    for (size_t i = 0; i < ox_count(pairs); i++) {
        int64_t session, heartbeat;
        bool own_session = will_be(call, set, pairs[i].session, &session);
        bool own_heartbeat = will_be(call, set, pairs[i].heartbeat, &heartbeat);
        if (!own_session)
            session = field(config, pairs[i].session_default);
        if (!own_heartbeat)
            heartbeat = field(config, pairs[i].heartbeat_default);
        if ((own_session || own_heartbeat) && session <= heartbeat)
            return ox_fail(&admin->err, OX_INVALID_CONFIG, "%s must be greater than %s",
                pairs[i].session, pairs[i].heartbeat);
    }
    return OX_OK;
}

/* ---- subscriptions to client metrics ---- */

static ox_code
bad_match(struct str item, struct ox_err *err)
{
    return ox_fail(err, OX_INVALID_CONFIG, "Illegal client matching pattern: %.*s",
        OX_STR_ARG(item));
}

/* KEY=PATTERN. */
static ox_code
check_match(struct str item, struct ox_err *err)
{
    const char *equals = memchr(item.ptr, '=', item.len);
    size_t len = equals != NULL ? (size_t)(equals - item.ptr) : item.len;
    const char *reason = NULL;
    if (equals == NULL || len + 1 == item.len ||
        memchr(equals + 1, '=', item.len - len - 1) != NULL)
        return bad_match(item, err);
    if (engine_telemetry_key(ox_str_n(item.ptr, len)) < 0)
        return bad_match(item, err);
    struct coord_pattern *pattern =
        coord_pattern_new(ox_str_n(equals + 1, item.len - len - 1), &reason);
    if (pattern == NULL) {
        bad_match(item, err);
        return reason != NULL ? ox_detail(err, "The pattern: %s.", reason) : OX_INVALID_CONFIG;
    }
    coord_pattern_free(pattern);
    return OX_OK;
}

static ox_code
check_subscription(struct engine_admin *admin, const struct engine_config_kv *change)
{
    struct ox_err *err = &admin->err;
    const struct param *param = param_find(PARAM_SCOPE_CLIENT_METRICS, change->name);
    struct str *items;
    int64_t number;
    if (param == NULL)
        return ox_fail(err, OX_INVALID_REQUEST, "Unknown client metrics configuration: %.*s",
            OX_STR_ARG(change->name));
    if (change->op == META_CONFIG_DELETE)
        return OX_OK;
    if (change->op != META_CONFIG_SET) /* lists are, to Kafka, one value here */
        return ox_fail(err, OX_INVALID_CONFIG,
            "Can't %s to key %s because its type is not LIST.",
            change->op == META_CONFIG_APPEND ? "APPEND" : "SUBTRACT", param->kafka_name);
    if (param->index == PARAM_CLIENT_METRICS_INTERVAL_MS) {
        if (ox_str_to_i64(change->value, &number) && number >= INT32_MIN && number <= INT32_MAX &&
            (number < (int64_t)param->min || number > (int64_t)param->max))
            return ox_fail(err, OX_INVALID_REQUEST, "Invalid value %lld for interval.ms, "
                "interval must be between 100 and 3600000 (1 hour)", (long long)number);
        return OX_OK;
    }
    size_t count = param_list_items(change->value, &admin->arena, &items);
    for (size_t i = 0; i < count; i++) {
        if (items[i].len == 0)
            return ox_fail(err, OX_INVALID_CONFIG, "\"%s\" has an empty item", param->kafka_name);
        ox_code code = param->index == PARAM_CLIENT_METRICS_MATCH
                           ? check_match(items[i], err)
                           : OX_OK;
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

/* ---- the server ---- */

static bool
is_log_dir(struct replica *replica, struct str path)
{
    const struct log_dir *dir;
    const char *failed;
    for (size_t i = 0; (dir = replica_log_dir(replica, i)) != NULL; i++)
        if (ox_str_is(path, log_dir_path(dir)))
            return true;
    for (size_t i = 0; (failed = replica_failed_dir(replica, i)) != NULL; i++)
        if (ox_str_is(path, failed))
            return true;
    return false;
}

enum engine_cordoned
engine_cordoned_judge(struct replica *replica, struct str list, struct arena *arena,
    struct str *strays)
{
    struct str *items;
    struct text text;
    size_t count = param_list_items(list, arena, &items);
    *strays = OX_STR_NULL;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (ox_str_eq(items[i], items[j]))
                return ENGINE_CORDONED_TWICE;
    ox_text_init(&text, arena);
    for (size_t i = 0; i < count; i++)
        if (!ox_str_is(items[i], "*") && !is_log_dir(replica, items[i]))
            ox_text_addf(&text, "%s%.*s", text.len > 0 ? "," : "", OX_STR_ARG(items[i]));
    *strays = ox_text_str(&text);
    return text.len > 0 ? ENGINE_CORDONED_STRAY : ENGINE_CORDONED_GOOD;
}

ox_code
engine_check_cordoned(struct replica *replica, struct str list, struct ox_err *err)
{
    struct arena arena;
    struct str strays;
    ox_code code = OX_OK;
    ox_arena_init(&arena);
    switch (engine_cordoned_judge(replica, list, &arena, &strays)) {
    case ENGINE_CORDONED_GOOD:
        break;
    case ENGINE_CORDONED_TWICE:
        code = ox_fail(err, OX_INVALID_CONFIG, "Configuration 'cordoned.log.dirs' values must "
            "not be duplicated.");
        break;
    case ENGINE_CORDONED_STRAY:
        code = ox_fail(err, OX_INVALID_CONFIG, "Invalid value [%.*s] for configuration "
            "cordoned.log.dirs: Invalid entry in cordoned.log.dirs: %.*s. All cordoned log dirs "
            "must be entries of log.dirs or log.dir.", OX_STR_ARG(list), OX_STR_ARG(strays));
        break;
    }
    ox_arena_fini(&arena);
    return code;
}

static ox_code
check_server(struct engine *engine, const struct engine_config_kv *change, struct ox_err *err)
{
    struct str listener;
    const struct param *param = param_find(PARAM_SCOPE_SERVER, change->name);
    if (param == NULL)
        param = meta_listener_param(change->name, &listener);
    if (param == NULL || change->value.len == 0)
        return OX_OK;
    if (param->index == PARAM_SERVER_CORDONED_LOG_DIRS && change->op != META_CONFIG_SUBTRACT)
        return engine_check_cordoned(engine->config.replica, change->value, err);
    if (param->index == PARAM_SERVER_MAX_CONNECTIONS_PER_IP_OVERRIDES &&
        change->op != META_CONFIG_SUBTRACT)
        return engine_check_overrides(change->value, err);
    if (param->index == PARAM_SERVER_PLAIN_SASL_JAAS_CONFIG)
        return auth_jaas_check(change->value, err);
    return OX_OK;
}

ox_code
engine_config_check(struct engine_config_alter *call)
{
    struct engine_admin *admin = &call->admin;
    ox_code code = OX_OK;
    for (uint32_t i = 0; i < call->change_count && code == OX_OK; i++) {
        const struct engine_config_kv *change = &call->changes[i];
        if (call->resource == META_RESOURCE_GROUP && change->op == META_CONFIG_SET)
            code = check_group(engine_settings(admin->sess->engine), change, &admin->err);
        else if (call->resource == META_RESOURCE_BROKER && change->op != META_CONFIG_DELETE)
            code = check_server(admin->sess->engine, change, &admin->err);
        else if (call->resource == META_RESOURCE_CLIENT_METRICS)
            code = check_subscription(admin, change);
    }
    return code == OX_OK && call->resource == META_RESOURCE_GROUP ? check_sessions(call) : code;
}
