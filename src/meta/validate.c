/* SPDX-License-Identifier: Apache-2.0
 *
 * May a command be applied to this state? The same function answers for an
 * entry that is being applied (on the image, where its answer decides on every
 * node alike) and for validate_only (on a view). So it looks at the state and
 * the command only: no clock, no settings of this node. */
#include <ctype.h>
#include <stdlib.h>

#include "meta/meta_int.h"

enum { COMMENT_MAX = 4096, VALUE_MAX = 32767, LISTENERS_MAX = 64, PRODUCER_IDS_MAX = 100000,
    RESOURCE_NAME_MAX = 1024, CONFIGS_MAX = 1000 };

/* ---- Names --------------------------------------------------------------- */

ox_code
meta_topic_name_check(struct str name, struct ox_err *err)
{
    if (name.ptr == NULL || name.len == 0)
        return ox_fail(err, OX_INVALID_TOPIC, "topic name is empty");
    if (name.len > 249)
        return ox_fail(err, OX_INVALID_TOPIC, "topic name is longer than 249 characters");
    if (ox_str_is(name, ".") || ox_str_is(name, ".."))
        return ox_fail(err, OX_INVALID_TOPIC, "topic name \"%.*s\" is not allowed",
            OX_STR_ARG(name));
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '.' || c == '_' || c == '-')
            continue;
        ox_code code = ox_fail(err, OX_INVALID_TOPIC, "topic name \"%.*s\" is not valid",
            OX_STR_ARG(name));
        ox_detail(err, "Topic names consist of ASCII letters, digits, '.', '_' and '-'.");
        return code;
    }
    return OX_OK;
}

bool
meta_topic_is_internal(struct str name)
{
    return ox_str_is(name, "__consumer_offsets") || ox_str_is(name, "__transaction_state") ||
        ox_str_is(name, "__share_group_state");
}

static ox_code
text_check(struct str text, size_t len_max, const char *what, struct ox_err *err)
{
    if (text.ptr == NULL)
        return OX_OK;
    if (text.len > len_max)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "%s is longer than %zu bytes", what, len_max);
    if (memchr(text.ptr, 0, text.len) != NULL || !ox_utf8_valid(text.ptr, text.len))
        return ox_fail(err, OX_INVALID_REQUEST, "%s is not valid UTF-8 text", what);
    return OX_OK;
}

/* ---- Replicas ------------------------------------------------------------ */

static bool
contains(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static ox_code
replicas_check(const struct view *view, const int32_t *ids, uint32_t count, struct ox_err *err)
{
    if (ids == NULL || count == 0)
        return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes an empty replica list.");
    for (uint32_t i = 0; i < count; i++) {
        if (contains(ids, i, ids[i]))
            return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
                "The manual partition assignment includes the broker %d more than once.", ids[i]);
        if (meta_view_broker(&view->pub, ids[i]) == NULL)
            return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
                "The manual partition assignment includes broker %d, but no such broker is "
                "registered.", ids[i]);
    }
    return OX_OK;
}

static ox_code
assignments_check(const struct view *view, const struct meta_assignment *at, uint32_t count,
    uint32_t replicas, struct ox_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        ox_code code = replicas_check(view, at[i].replicas, at[i].replica_count, err);
        if (code != OX_OK)
            return code;
        if (at[i].replica_count != replicas)
            return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
                "The manual partition assignment includes a partition with %u replica(s), but "
                "this is not consistent with previous partitions, which have %u replica(s).",
                at[i].replica_count, replicas);
    }
    return OX_OK;
}

/* ---- Settings ------------------------------------------------------------ */

struct merge {
    int resource;
    enum param_scope scope;
    struct arena *arena;
    struct meta_config_item *items;
    uint32_t count;
};

static struct meta_config_item *
merge_find(struct merge *merge, const struct param *param, struct str listener)
{
    for (uint32_t i = 0; i < merge->count; i++)
        if (meta_settings_is(&merge->items[i], param, listener))
            return &merge->items[i];
    return NULL;
}

static void
merge_put(struct merge *merge, const struct param *param, struct str listener, struct str value)
{
    struct meta_config_item *item = merge_find(merge, param, listener);
    struct str name = ox_str(param_wire_name(param));
    if (item == NULL)
        item = &merge->items[merge->count++];
    if (listener.ptr != NULL) {
        static const size_t before = sizeof("listener.name.") - 1;
        char *text = ox_arena_printf(merge->arena, "listener.name.%.*s.%s", OX_STR_ARG(listener),
            param_wire_name(param));
        for (size_t i = before; i < before + listener.len; i++)
            text[i] = (char)tolower((unsigned char)text[i]);
        listener = ox_str_n(text + before, listener.len);
        name = ox_str(text);
    }
    *item = (struct meta_config_item){param, name, value, listener};
}

static bool
has_item(const struct str *items, size_t count, struct str item)
{
    for (size_t i = 0; i < count; i++)
        if (ox_str_eq(items[i], item))
            return true;
    return false;
}

/* The list after APPEND or SUBTRACT of the items of value. */
static struct str
edit_list(struct merge *merge, const struct param *param, struct str value, bool append)
{
    struct meta_config_item *item = merge_find(merge, param, OX_STR_NULL);
    struct str now = item != NULL ? item->value : ox_str(param->fallback);
    struct str *old, *edit;
    size_t old_count = now.ptr != NULL ? param_list_items(now, merge->arena, &old) : 0;
    size_t edit_count = param_list_items(value, merge->arena, &edit);
    struct text text;
    ox_text_init(&text, merge->arena);
    for (size_t i = 0; i < old_count; i++)
        if (append || !has_item(edit, edit_count, old[i]))
            ox_text_addf(&text, "%s%.*s", text.len > 0 ? "," : "", OX_STR_ARG(old[i]));
    for (size_t i = 0; append && i < edit_count; i++)
        if (!has_item(old, old_count, edit[i]) && !has_item(edit, i, edit[i]))
            ox_text_addf(&text, "%s%.*s", text.len > 0 ? "," : "", OX_STR_ARG(edit[i]));
    return ox_text_str(&text);
}

static ox_code
change_check(const struct meta_config_change *changes, uint32_t at, struct ox_err *err)
{
    struct str name = changes[at].name;
    if (name.ptr == NULL || name.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "a setting has no name");
    for (uint32_t i = 0; i < at; i++)
        if (ox_str_eq(changes[i].name, name))
            return ox_fail(err, OX_INVALID_REQUEST, "setting \"%.*s\" is changed twice",
                OX_STR_ARG(name));
    if (changes[at].op < META_CONFIG_SET || changes[at].op > META_CONFIG_SUBTRACT)
        return ox_fail(err, OX_INVALID_REQUEST, "operation %d on setting \"%.*s\" does not exist",
            changes[at].op, OX_STR_ARG(name));
    if (changes[at].op != META_CONFIG_DELETE && changes[at].value.ptr == NULL)
        return ox_fail(err, OX_INVALID_REQUEST, "setting \"%.*s\" has no value",
            OX_STR_ARG(name));
    if (changes[at].value.len > VALUE_MAX)
        return ox_fail(err, OX_INVALID_CONFIG, "value of setting \"%.*s\" is longer than %d bytes",
            OX_STR_ARG(name), VALUE_MAX);
    return OX_OK;
}

/* Kafka's form of replicas: nothing, "*", or partition:broker and more of them. */
static ox_code
throttled_check(const struct param *param, struct str value, struct ox_err *err)
{
    bool good = true, digits = false, colon = false;
    for (size_t i = 0; i <= value.len && good; i++) {
        char c = i < value.len ? value.ptr[i] : ',';
        if (c >= '0' && c <= '9') {
            digits = true;
        } else if (c == ':') {
            good = digits && !colon;
            colon = true;
            digits = false;
        } else {
            good = c == ',' && digits && colon;
            digits = colon = false;
        }
    }
    if (good || value.len == 0 || ox_str_is(value, "*"))
        return OX_OK;
    return ox_fail(err, OX_INVALID_CONFIG,
        "\"%s\" is \"%.*s\", neither \"*\" nor partition:broker and more of them",
        param_wire_name(param), OX_STR_ARG(value));
}

static bool
is_throttled_list(const struct param *param)
{
    return param->scope == PARAM_SCOPE_TOPIC &&
           (param->index == PARAM_TOPIC_LEADER_REPLICATION_THROTTLED_REPLICAS ||
               param->index == PARAM_TOPIC_FOLLOWER_REPLICATION_THROTTLED_REPLICAS);
}

static ox_code
merge_change(struct merge *merge, const struct meta_config_change *change, struct ox_err *err)
{
    struct str value = change->value, listener;
    const struct param *param = meta_settings_find(merge->scope, change->name, &listener);
    if (param == NULL && change->op == META_CONFIG_DELETE)
        return OX_OK;
    if (param == NULL)
        return ox_fail(err, OX_INVALID_CONFIG, "there is no setting \"%.*s\"",
            OX_STR_ARG(change->name));
    if (merge->scope == PARAM_SCOPE_SERVER && param->change == PARAM_RESTART &&
        listener.ptr == NULL)
        return ox_fail(err, OX_CANT_CHANGE_RUNTIME_PARAM,
            "setting \"%s\" cannot be changed while the server runs", param_wire_name(param));
    if (change->op == META_CONFIG_DELETE) {
        struct meta_config_item *item = merge_find(merge, param, listener);
        if (item != NULL)
            *item = merge->items[--merge->count];
        return OX_OK;
    }
    if (change->op != META_CONFIG_SET) {
        if (listener.ptr != NULL || (param->type != PARAM_LIST && param->type != PARAM_SET))
            return ox_fail(err, OX_INVALID_CONFIG,
                "setting \"%s\" is not a list, so that nothing can be added to or taken from it",
                param_wire_name(param));
        if (change->op == META_CONFIG_APPEND && value.len == 0)
            return ox_fail(err, OX_INVALID_CONFIG, "Configuration '%s' values must not be empty.",
                param_wire_name(param));
        value = edit_list(merge, param, value, change->op == META_CONFIG_APPEND);
    }
    ox_code code = param_canonical(param, PARAM_KAFKA, value, merge->arena, &value, err);
    if (code == OX_OK && is_throttled_list(param))
        code = throttled_check(param, value, err);
    if (code == OX_OK && merge->scope == PARAM_SCOPE_SERVER &&
        param->index == PARAM_SERVER_SASL_ENABLED_MECHANISMS && value.len == 0)
        code = ox_fail(err, OX_INVALID_CONFIG, "\"%s\" is empty: nobody could log in",
            param_wire_name(param));
    if (code == OX_OK)
        merge_put(merge, param, listener, ox_str_dup(merge->arena, value));
    return code;
}

static int
item_cmp(const void *a, const void *b)
{
    return ox_str_cmp(((const struct meta_config_item *)a)->name,
        ((const struct meta_config_item *)b)->name);
}

/* Rules between settings of one topic; what is not set has its default. */
static ox_code
topic_settings_check(struct merge *merge, struct ox_err *err)
{
    struct topic_config config;
    param_defaults(PARAM_SCOPE_TOPIC, &config);
    for (uint32_t i = 0; i < merge->count; i++)
        param_store(merge->items[i].param, merge->items[i].value, &config, NULL);
    if (config.max_compaction_lag_ms < config.min_compaction_lag_ms)
        return ox_fail(err, OX_INVALID_CONFIG,
            "\"max.compaction.lag.ms\" (%lld) is less than \"min.compaction.lag.ms\" (%lld)",
            (long long)config.max_compaction_lag_ms, (long long)config.min_compaction_lag_ms);
    return OX_OK;
}

ox_code
meta_validate_config_changes(const struct meta_config_set *own, int resource, bool replace,
    const struct meta_config_change *changes, uint32_t count, struct arena *arena,
    struct meta_config_item **items, uint32_t *item_count, struct ox_err *err)
{
    struct merge merge = {.resource = resource, .arena = arena};
    uint32_t kept = own != NULL && !replace ? own->count : 0;
    merge.scope = (enum param_scope)meta_settings_scope(resource);
    if (count > CONFIGS_MAX)
        return ox_fail(err, OX_INVALID_REQUEST, "more than %d settings in a request", CONFIGS_MAX);
    merge.items = ox_arena_array(arena, struct meta_config_item, (size_t)kept + count + 1);
    for (uint32_t i = 0; i < kept; i++)
        merge.items[merge.count++] = own->items[i];
    for (uint32_t i = 0; i < count; i++) {
        ox_code code = change_check(changes, i, err);
        if (code == OX_OK)
            code = merge_change(&merge, &changes[i], err);
        if (code != OX_OK)
            return code;
    }
    qsort(merge.items, merge.count, sizeof(*merge.items), item_cmp);
    *items = merge.items;
    *item_count = merge.count;
    return resource == META_RESOURCE_TOPIC ? topic_settings_check(&merge, err) : OX_OK;
}

/* ---- One function a command ---------------------------------------------- */

static ox_code
check_topic_create(const struct view *view, const struct meta_command *cmd, struct arena *arena,
    struct ox_err *err)
{
    struct str name = cmd->topic_create.name;
    struct meta_config_item *items;
    uint32_t count;
    ox_code code = meta_topic_name_check(name, err);
    if (code != OX_OK)
        return code;
    if (ox_str_is(name, "__cluster_metadata"))
        return ox_fail(err, OX_INVALID_REQUEST, "topic name \"%.*s\" is reserved",
            OX_STR_ARG(name));
    if (meta_view_topic(&view->pub, name) != NULL)
        return ox_fail(err, OX_TOPIC_EXISTS, "topic \"%.*s\" already exists", OX_STR_ARG(name));
    const struct meta_topic *other = meta_view_topic_collides(view, name);
    if (other != NULL) {
        code = ox_fail(err, OX_INVALID_TOPIC, "Topic '%.*s' collides with existing topic: %s",
            OX_STR_ARG(name), other->name.ptr);
        ox_detail(err, "Names that differ only in '.' and '_' cannot be told apart in metrics.");
        return code;
    }
    if (cmd->topic_create.partition_count == 0 ||
        cmd->topic_create.partition_count > META_PARTITIONS_MAX)
        return ox_fail(err, OX_INVALID_PARTITIONS, "number of partitions must be 1 to %d",
            META_PARTITIONS_MAX);
    if (ox_uuid_is_zero(&cmd->topic_create.id) ||
        meta_view_topic_by_id(&view->pub, &cmd->topic_create.id) != NULL)
        return ox_fail(err, OX_INVALID_REQUEST, "topic id is zero or in use");
    code = assignments_check(view, cmd->topic_create.assignments,
        cmd->topic_create.partition_count, cmd->topic_create.assignments[0].replica_count, err);
    if (code == OX_OK)
        code = text_check(cmd->topic_create.owner, RESOURCE_NAME_MAX, "owner", err);
    if (code == OX_OK)
        code = text_check(cmd->topic_create.comment, COMMENT_MAX, "comment", err);
    if (code == OX_OK)
        code = meta_validate_config_changes(NULL, META_RESOURCE_TOPIC, false,
            cmd->topic_create.configs, cmd->topic_create.config_count, arena, &items, &count, err);
    return code;
}

static ox_code
no_such_topic(struct str name, struct ox_err *err)
{
    return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "topic \"%.*s\" does not exist",
        OX_STR_ARG(name));
}

static ox_code
check_topic_delete(const struct view *view, const struct meta_command *cmd, struct ox_err *err)
{
    struct str name = cmd->topic_delete.name;
    const struct meta_topic *topic;
    char id[23];
    if (ox_uuid_is_zero(&cmd->topic_delete.id))
        return meta_view_topic(&view->pub, name) != NULL ? OX_OK : no_such_topic(name, err);
    topic = meta_view_topic_by_id(&view->pub, &cmd->topic_delete.id);
    ox_uuid_to_base64(&cmd->topic_delete.id, id);
    if (topic == NULL)
        return ox_fail(err, OX_UNKNOWN_TOPIC_ID, "topic id %s does not exist", id);
    if (name.ptr != NULL && !ox_str_eq(topic->name, name))
        return ox_fail(err, OX_INCONSISTENT_TOPIC_ID, "topic id %s is not that of topic \"%.*s\"",
            id, OX_STR_ARG(name));
    return OX_OK;
}

static ox_code
check_partitions_create(const struct view *view, const struct meta_command *cmd,
    struct ox_err *err)
{
    struct str name = cmd->partitions_create.name;
    uint32_t count = cmd->partitions_create.count;
    const struct meta_topic *topic = meta_view_topic(&view->pub, name);
    if (topic == NULL)
        return no_such_topic(name, err);
    if (count == topic->partition_count)
        return ox_fail(err, OX_INVALID_PARTITIONS, "topic \"%.*s\" already has %u partitions",
            OX_STR_ARG(name), count);
    if (count < topic->partition_count || count > META_PARTITIONS_MAX)
        return ox_fail(err, OX_INVALID_PARTITIONS,
            "topic \"%.*s\" has %u partitions, their number can only grow, up to %d",
            OX_STR_ARG(name), topic->partition_count, META_PARTITIONS_MAX);
    if (cmd->partitions_create.assignment_count != count - topic->partition_count)
        return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
            "%u partitions are added and replicas of %u are given",
            count - topic->partition_count, cmd->partitions_create.assignment_count);
    return assignments_check(view, cmd->partitions_create.assignments,
        cmd->partitions_create.assignment_count, topic->partitions[0]->replica_count, err);
}

/* A listener of some broker: NAME://host:port. */
static ox_code
listener_check(const struct view *view, struct str item, struct ox_err *err)
{
    const char *sep = memmem(item.ptr, item.len, "://", 3);
    const char *colon = memrchr(item.ptr, ':', item.len);
    int64_t port = -1;
    struct str name = ox_str_n(item.ptr, sep != NULL ? (size_t)(sep - item.ptr) : 0);
    if (sep != NULL && colon > sep)
        ox_str_to_i64(ox_str_n(colon + 1, item.len - (size_t)(colon + 1 - item.ptr)), &port);
    if (port < 0 || port > 65535)
        return ox_fail(err, OX_INVALID_CONFIG, "\"%.*s\" is not a listener: NAME://host:port",
            OX_STR_ARG(item));
    for (uint32_t i = 0; i < view->pub.broker_count; i++)
        if (meta_broker_listener(view->pub.brokers[i], name) != NULL)
            return OX_OK;
    return ox_fail(err, OX_INVALID_CONFIG, "there is no listener \"%.*s\" to be advertised",
        OX_STR_ARG(name));
}

static ox_code
advertised_check(const struct view *view, const struct meta_config_item *items, uint32_t count,
    struct arena *arena, struct ox_err *err)
{
    const struct param *param =
        param_at(PARAM_SCOPE_SERVER, PARAM_SERVER_ADVERTISED_LISTENERS);
    ox_code code = OX_OK;
    for (uint32_t i = 0; i < count; i++) {
        struct str *listeners;
        if (items[i].param != param)
            continue;
        size_t listener_count = param_list_items(items[i].value, arena, &listeners);
        for (size_t j = 0; j < listener_count && code == OX_OK; j++)
            code = listener_check(view, listeners[j], err);
    }
    return code;
}

/* Only what the command says, by either name: what was set before may have become wrong. */
static bool
names_advertised(const struct meta_command *cmd)
{
    const struct param *wanted =
        param_at(PARAM_SCOPE_SERVER, PARAM_SERVER_ADVERTISED_LISTENERS);
    for (uint32_t i = 0; i < cmd->config_alter.change_count; i++)
        if (cmd->config_alter.changes[i].op != META_CONFIG_DELETE &&
            param_find(PARAM_SCOPE_SERVER, cmd->config_alter.changes[i].name) == wanted)
            return true;
    return false;
}

static ox_code
check_config_alter(const struct view *view, const struct meta_command *cmd, struct arena *arena,
    struct ox_err *err)
{
    struct str name = cmd->config_alter.name;
    int resource = cmd->config_alter.resource;
    struct meta_config_item *items;
    uint32_t count;
    int64_t node_id;
    ox_code code = text_check(name, RESOURCE_NAME_MAX, "name of the resource", err);
    if (code != OX_OK)
        return code;
    if (meta_settings_scope(resource) < 0)
        return ox_fail(err, OX_INVALID_REQUEST, "resource type %d has no settings", resource);
    if (resource == META_RESOURCE_TOPIC && meta_view_topic(&view->pub, name) == NULL)
        return no_such_topic(name, err);
    if (resource == META_RESOURCE_BROKER && name.len > 0 &&
        (!ox_str_to_i64(name, &node_id) || node_id < 0 || node_id > INT32_MAX))
        return ox_fail(err, OX_INVALID_REQUEST, "\"%.*s\" is not a broker id", OX_STR_ARG(name));
    if (resource != META_RESOURCE_BROKER && name.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "resource has no name");
    code = meta_validate_config_changes(meta_view_config(&view->pub, resource, name), resource,
        cmd->config_alter.replace, cmd->config_alter.changes, cmd->config_alter.change_count,
        arena, &items, &count, err);
    if (code == OX_OK && resource == META_RESOURCE_BROKER && names_advertised(cmd))
        code = advertised_check(view, items, count, arena, err);
    return code;
}

static ox_code
check_comment(const struct view *view, const struct meta_command *cmd, struct ox_err *err)
{
    if (meta_view_topic(&view->pub, cmd->comment.topic) == NULL)
        return no_such_topic(cmd->comment.topic, err);
    return text_check(cmd->comment.text, COMMENT_MAX, "comment", err);
}

static ox_code
check_broker_register(const struct meta_command *cmd, struct ox_err *err)
{
    uint32_t count = cmd->broker_register.listener_count;
    const struct meta_listener *at = cmd->broker_register.listeners;
    if (cmd->broker_register.node_id < 0)
        return ox_fail(err, OX_INVALID_REQUEST, "broker id must not be negative");
    if (count > LISTENERS_MAX)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "more than %d listeners", LISTENERS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        ox_code code = text_check(at[i].name, RESOURCE_NAME_MAX, "listener name", err);
        if (code == OX_OK)
            code = text_check(at[i].host, RESOURCE_NAME_MAX, "host of a listener", err);
        if (code != OX_OK)
            return code;
        if (at[i].name.len == 0 || at[i].host.len == 0)
            return ox_fail(err, OX_INVALID_REQUEST, "a listener has no name or no host");
        for (uint32_t j = 0; j < i; j++)
            if (ox_str_eq(at[i].name, at[j].name))
                return ox_fail(err, OX_INVALID_REQUEST, "listener \"%.*s\" is named twice",
                    OX_STR_ARG(at[i].name));
    }
    return text_check(cmd->broker_register.rack, RESOURCE_NAME_MAX, "rack", err);
}

static ox_code
check_broker_change(const struct view *view, const struct meta_command *cmd, struct ox_err *err)
{
    const struct meta_broker *broker = meta_view_broker(&view->pub, cmd->broker_change.node_id);
    if (broker == NULL)
        return ox_fail(err, OX_BROKER_ID_NOT_REGISTERED, "broker %d is not registered",
            cmd->broker_change.node_id);
    if (cmd->broker_change.epoch != -1 && cmd->broker_change.epoch != broker->epoch)
        return ox_fail(err, OX_STALE_BROKER_EPOCH, "epoch %lld of broker %d is not current",
            (long long)cmd->broker_change.epoch, broker->node_id);
    return OX_OK;
}

static ox_code
check_one_partition(const struct view *view, const struct meta_topic *topic,
    const struct meta_partition_change *change, struct ox_err *err)
{
    const struct meta_partition *part = meta_topic_partition(topic, change->index);
    if (part == NULL)
        return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "partition %s-%d does not exist",
            topic->name.ptr, change->index);
    if (change->expect_partition_epoch != -1 &&
        change->expect_partition_epoch != part->partition_epoch)
        return ox_fail(err, OX_INVALID_UPDATE_VERSION,
            "partition %s-%d is at epoch %d, not %d", topic->name.ptr, change->index,
            part->partition_epoch, change->expect_partition_epoch);
    const int32_t *replicas = change->replicas != NULL ? change->replicas : part->replicas;
    uint32_t replica_count = change->replicas != NULL ? change->replica_count
        : part->replica_count;
    const int32_t *isr = change->isr != NULL ? change->isr : part->isr;
    uint32_t isr_count = change->isr != NULL ? change->isr_count : part->isr_count;
    int32_t leader = change->leader != -2 ? change->leader : part->leader;
    ox_code code = replicas_check(view, replicas, replica_count, err);
    if (code != OX_OK)
        return code;
    if (isr_count == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "partition %s-%d would have no replica in sync",
            topic->name.ptr, change->index);
    for (uint32_t i = 0; i < isr_count; i++)
        if (!contains(replicas, replica_count, isr[i]) || contains(isr, i, isr[i]))
            return ox_fail(err, OX_INVALID_REQUEST,
                "broker %d in the ISR of %s-%d is no replica or named twice", isr[i],
                topic->name.ptr, change->index);
    if (leader != -1 && !contains(isr, isr_count, leader))
        return ox_fail(err, OX_INVALID_REQUEST, "leader %d of %s-%d is not in sync", leader,
            topic->name.ptr, change->index);
    return OX_OK;
}

static ox_code
check_partition_change(const struct view *view, const struct meta_command *cmd,
    struct ox_err *err)
{
    const struct meta_topic *topic = meta_view_topic_by_id(&view->pub,
        &cmd->partition_change.topic_id);
    const struct meta_partition_change *at = cmd->partition_change.changes;
    if (topic == NULL)
        return ox_fail_plain(err, OX_UNKNOWN_TOPIC_ID);
    for (uint32_t i = 0; i < cmd->partition_change.change_count; i++) {
        ox_code code = check_one_partition(view, topic, &at[i], err);
        if (code != OX_OK)
            return code;
        if (i > 0 && at[i].index <= at[i - 1].index)
            return ox_fail(err, OX_INVALID_REQUEST, "changed partitions are not in order");
    }
    return OX_OK;
}

static ox_code
check_cluster_init(const struct view *view, const struct meta_command *cmd, struct ox_err *err)
{
    if (view->pub.cluster_id.len > 0)
        return ox_fail(err, OX_INVALID_REQUEST, "cluster is initialised already");
    if (cmd->cluster_init.cluster_id.len == 0 ||
        cmd->cluster_init.cluster_id.len > META_CLUSTER_ID_MAX)
        return ox_fail(err, OX_INVALID_REQUEST, "cluster id is not valid");
    return text_check(cmd->cluster_init.cluster_id, META_CLUSTER_ID_MAX, "cluster id", err);
}

static ox_code
check_taken_over(const struct view *view, const struct meta_command *cmd, struct ox_err *err)
{
    const struct meta_topic *topic = meta_view_topic_by_id(&view->pub, &cmd->taken_over.topic_id);
    if (ox_uuid_is_zero(&cmd->taken_over.topic_id))
        return OX_OK;
    if (topic == NULL)
        return ox_fail_plain(err, OX_UNKNOWN_TOPIC_ID);
    if (cmd->taken_over.epoch_count > topic->partition_count)
        return ox_fail(err, OX_INVALID_REQUEST, "topic \"%s\" has no %u partitions",
            topic->name.ptr, cmd->taken_over.epoch_count);
    return OX_OK;
}

static ox_code
check_truncate(const struct view *view, const struct meta_command *cmd, struct ox_err *err)
{
    for (uint32_t i = 0; i < cmd->truncate.cut_count; i++) {
        const struct meta_cut *cut = &cmd->truncate.cuts[i];
        const struct meta_topic *topic = meta_view_topic_by_id(&view->pub, &cut->topic_id);
        if (topic == NULL)
            return ox_fail_plain(err, OX_UNKNOWN_TOPIC_ID);
        if (cut->start_count > topic->partition_count)
            return ox_fail(err, OX_INVALID_REQUEST, "topic \"%s\" has no %u partitions",
                topic->name.ptr, cut->start_count);
        for (uint32_t j = 0; j < cut->start_count; j++)
            if (cut->starts[j] < -1)
                return ox_fail(err, OX_INVALID_REQUEST, "log of %s-%u cannot begin at %lld",
                    topic->name.ptr, j, (long long)cut->starts[j]);
    }
    return OX_OK;
}

ox_code
meta_validate_command(const struct view *view, const struct meta_command *cmd, struct arena *arena,
    struct ox_err *err)
{
    switch (cmd->kind) {
    case META_TOPIC_CREATE:
        return check_topic_create(view, cmd, arena, err);
    case META_TOPIC_DELETE:
        return check_topic_delete(view, cmd, err);
    case META_PARTITIONS_CREATE:
        return check_partitions_create(view, cmd, err);
    case META_CONFIG_ALTER:
        return check_config_alter(view, cmd, arena, err);
    case META_COMMENT:
        return check_comment(view, cmd, err);
    case META_BROKER_REGISTER:
        return check_broker_register(cmd, err);
    case META_BROKER_CHANGE:
        return check_broker_change(view, cmd, err);
    case META_PARTITION_CHANGE:
        return check_partition_change(view, cmd, err);
    case META_PRODUCER_IDS:
        if (cmd->producer_ids.count < 1 || cmd->producer_ids.count > PRODUCER_IDS_MAX ||
            view->pub.producer_id_next > INT64_MAX - PRODUCER_IDS_MAX)
            return ox_fail(err, OX_INVALID_REQUEST, "a block of %d producer ids cannot be had",
                cmd->producer_ids.count);
        return OX_OK;
    case META_CLUSTER_INIT:
        return check_cluster_init(view, cmd, err);
    case META_SECURITY:
        return meta_security_check(view, cmd, arena, err);
    case META_TAKEN_OVER:
        return check_taken_over(view, cmd, err);
    case META_TRUNCATE:
        return check_truncate(view, cmd, err);
    }
    return ox_fail(err, OX_INVALID_REQUEST, "metadata command %d does not exist", (int)cmd->kind);
}

ox_code
meta_check(const struct meta_view *view, const struct meta_command *cmd, struct ox_err *err)
{
    struct meta_command copy = *cmd;
    struct arena arena;
    if (copy.kind == META_TOPIC_CREATE && ox_uuid_is_zero(&copy.topic_create.id))
        memset(copy.topic_create.id.bytes, 0xff, sizeof(copy.topic_create.id.bytes));
    ox_arena_init(&arena);
    ox_code code = meta_validate_command(
        ox_container_of((struct meta_view *)(uintptr_t)view, struct view, pub), &copy, &arena, err);
    ox_arena_fini(&arena);
    return code;
}
