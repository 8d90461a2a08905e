/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in force. A setting may be given in several places; the first wins:
 *
 *     topic      set for the topic, else the server setting behind it (each of
 *                its chain in turn), else the table's default
 *     server     set at run time for this node, set at run time for all nodes
 *                (ALTER SYSTEM), in the configuration file or command line, else
 *                the default
 *     group, client metrics    as topic
 *
 * The same walk fills the structs that code obeys and the rows that
 * DescribeConfigs and SHOW give, so that the two cannot disagree. */
#include <stdio.h>

#include "meta/meta_int.h"

/* Where server settings come from, best first. */
enum { LEVEL_BROKER, LEVEL_BROKER_DEFAULT, LEVEL_STATIC, LEVEL_DEFAULT, LEVEL_COUNT };

static const int8_t level_source[LEVEL_COUNT] = {META_SOURCE_BROKER, META_SOURCE_BROKER_DEFAULT,
    META_SOURCE_STATIC, META_SOURCE_DEFAULT};

struct levels {
    const struct meta_config_set *broker, *broker_default;
    const struct statics *statics;
    bool min_insync_said; /* min.insync.replicas is always set for all nodes: Kafka's
                             rule where eligible leader replicas are in use */
};

int
meta_settings_scope(int resource)
{
    switch (resource) {
    case META_RESOURCE_TOPIC:
        return PARAM_SCOPE_TOPIC;
    case META_RESOURCE_BROKER:
        return PARAM_SCOPE_SERVER;
    case META_RESOURCE_GROUP:
        return PARAM_SCOPE_GROUP;
    case META_RESOURCE_CLIENT_METRICS:
        return PARAM_SCOPE_CLIENT_METRICS;
    case META_RESOURCE_FEATURE:
        return PARAM_SCOPE_FEATURE;
    }
    return -1;
}

static struct str server_value(const struct levels *levels, int level,
    const struct param *param);

/* ---- Settings of one listener --------------------------------------------- */

static const struct str listener_prefix = {"listener.name.", 14};

static bool
is_of_listeners(const struct param *param)
{
    switch (param->index) {
    case PARAM_SERVER_MAX_CONNECTIONS:
    case PARAM_SERVER_MAX_CONNECTION_CREATION_RATE:
    case PARAM_SERVER_LOOPS:
    case PARAM_SERVER_SASL_ENABLED_MECHANISMS:
    case PARAM_SERVER_SASL_SERVER_MAX_RECEIVE_SIZE:
    case PARAM_SERVER_CONNECTIONS_MAX_REAUTH_MS:
    case PARAM_SERVER_PLAIN_SASL_JAAS_CONFIG:
        return true;
    default:
        return param->index >= PARAM_SERVER_SSL_KEYSTORE_LOCATION &&
            param->index <= PARAM_SERVER_SSL_KERNEL_TLS;
    }
}

bool
meta_is_of_listeners(const struct param *param)
{
    return is_of_listeners(param) || param->index == PARAM_SERVER_LISTENERS ||
        param->index == PARAM_SERVER_ADVERTISED_LISTENERS ||
        param->index == PARAM_SERVER_LISTENER_SECURITY_PROTOCOL_MAP;
}

/* MECHANISM.SETTING, for the only one that mechanisms have. */
static const struct param *
mechanism_param(struct str rest, const char *dot)
{
    const struct param *param = param_at(PARAM_SCOPE_SERVER, PARAM_SERVER_CONNECTIONS_MAX_REAUTH_MS);
    const char *const *choices =
        param_at(PARAM_SCOPE_SERVER, PARAM_SERVER_SASL_ENABLED_MECHANISMS)->choices;
    struct str mechanism = ox_str_n(rest.ptr, (size_t)(dot - rest.ptr));
    if (!ox_str_is(ox_str_n(dot + 1, rest.len - mechanism.len - 1), param->kafka_name))
        return NULL;
    for (; *choices != NULL; choices++)
        if (ox_str_ieq(ox_str(*choices), mechanism))
            return param;
    return NULL;
}

const struct param *
meta_listener_param(struct str name, struct str *listener)
{
    *listener = OX_STR_NULL;
    if (!ox_str_starts(name, listener_prefix))
        return NULL;
    struct str rest = ox_str_n(name.ptr + listener_prefix.len, name.len - listener_prefix.len);
    const char *dot = rest.len > 0 ? memchr(rest.ptr, '.', rest.len) : NULL;
    if (dot == NULL || dot == rest.ptr)
        return NULL;
    *listener = ox_str_n(rest.ptr, (size_t)(dot - rest.ptr));
    rest = ox_str_n(dot + 1, rest.len - listener->len - 1);
    const struct param *param = param_find(PARAM_SCOPE_SERVER, rest);
    if (param != NULL)
        return is_of_listeners(param) ? param : NULL;
    dot = rest.len > 0 ? memchr(rest.ptr, '.', rest.len) : NULL;
    if (dot != NULL)
        listener->len += 1 + (size_t)(dot - rest.ptr);
    return dot != NULL ? mechanism_param(rest, dot) : NULL;
}

/* Either name of a setting, or one of a single listener. */
const struct param *
meta_settings_find(enum param_scope scope, struct str name, struct str *listener)
{
    *listener = OX_STR_NULL;
    const struct param *param = param_find(scope, name);
    return param != NULL || scope != PARAM_SCOPE_SERVER ? param
                                                        : meta_listener_param(name, listener);
}

/* A null string is "for all". */
static bool
same_listener(struct str a, struct str b)
{
    return a.ptr == NULL || b.ptr == NULL ? a.ptr == b.ptr : ox_str_ieq(a, b);
}

bool
meta_settings_is(const struct meta_config_item *item, const struct param *param,
    struct str listener)
{
    return item->param == param && same_listener(item->listener, listener);
}

static bool
is_static(const struct meta_setting *setting, const struct param *param, struct str listener)
{
    return setting->param == param && same_listener(ox_str(setting->listener), listener);
}

static struct levels
levels_of(const struct view *view)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", view->pub.node_id);
    return (struct levels){
        .broker = meta_view_config(&view->pub, META_RESOURCE_BROKER, ox_str(name)),
        .broker_default = meta_view_config(&view->pub, META_RESOURCE_BROKER, OX_STR("")),
        .statics = view->statics,
        .min_insync_said = meta_feature_level(&view->pub,
                               PARAM_FEATURE_ELIGIBLE_LEADER_REPLICAS_VERSION) > 0,
    };
}

/* What set has for the setting of one listener, or null. */
static struct str
lookup_of(const struct meta_config_set *set, const struct param *param, struct str listener)
{
    for (uint32_t i = 0; set != NULL && i < set->count; i++)
        if (meta_settings_is(&set->items[i], param, listener))
            return set->items[i].value;
    return OX_STR_NULL;
}

/* What set has for the setting, or null. */
static struct str
lookup(const struct meta_config_set *set, const struct param *param)
{
    return lookup_of(set, param, OX_STR_NULL);
}

int
meta_feature_level(const struct meta_view *view, int which)
{
    const struct param *param = param_at(PARAM_SCOPE_FEATURE, which);
    struct str value = lookup(
        meta_view_config(view, META_RESOURCE_FEATURE, OX_STR(META_FEATURES)), param);
    int64_t level = 0;
    ox_str_to_i64(value.ptr != NULL ? value : ox_str(param->fallback), &level);
    return (int)level;
}

/* What is set for all nodes. */
static struct str
default_value(const struct levels *levels, const struct param *param)
{
    struct str value = lookup(levels->broker_default, param);
    if (value.ptr != NULL || !levels->min_insync_said ||
        param->index != PARAM_SERVER_MIN_INSYNC_REPLICAS)
        return value;
    value = server_value(levels, LEVEL_STATIC, param);
    return value.ptr != NULL ? value : ox_str(param->fallback);
}

static struct str
static_of(const struct statics *statics, const struct param *param, struct str listener)
{
    for (size_t i = 0; i < statics->count; i++)
        if (is_static(&statics->at[i], param, listener))
            return ox_str(statics->at[i].value);
    return OX_STR_NULL;
}

static struct str
server_value(const struct levels *levels, int level, const struct param *param)
{
    switch (level) {
    case LEVEL_BROKER:
        return lookup(levels->broker, param);
    case LEVEL_BROKER_DEFAULT:
        return default_value(levels, param);
    case LEVEL_STATIC:
        return static_of(levels->statics, param, OX_STR_NULL);
    }
    return ox_str(param->fallback);
}

/* What is set for one listener on a level, or null. */
static struct str
listener_value(const struct levels *levels, int level, const struct param *param,
    struct str listener)
{
    switch (level) {
    case LEVEL_BROKER:
        return lookup_of(levels->broker, param, listener);
    case LEVEL_BROKER_DEFAULT:
        return lookup_of(levels->broker_default, param, listener);
    case LEVEL_STATIC:
        return static_of(levels->statics, param, listener);
    }
    return OX_STR_NULL;
}

static struct str
listener_effective(const struct levels *levels, const struct param *param, struct str listener)
{
    struct str value = OX_STR_NULL;
    for (int level = 0; level < LEVEL_DEFAULT && value.ptr == NULL; level++)
        value = listener_value(levels, level, param, listener);
    return value;
}

/* The server setting's value in force; *level says where from. */
static struct str
server_effective(const struct levels *levels, const struct param *param, int *level)
{
    for (*level = 0; *level < LEVEL_DEFAULT; ++*level) {
        struct str value = server_value(levels, *level, param);
        if (value.ptr != NULL)
            return value;
    }
    return server_value(levels, LEVEL_DEFAULT, param);
}

/* value * factor; what is below zero means "none" and is -1. */
static struct str
scaled(struct str value, int64_t factor, struct arena *arena)
{
    int64_t number;
    if (factor == 1 || !ox_str_to_i64(value, &number))
        return value;
    if (number < 0)
        number = -1;
    else if (__builtin_mul_overflow(number, factor, &number))
        number = INT64_MAX;
    return ox_str(ox_arena_printf(arena, "%lld", (long long)number));
}

/* What a topic or group setting falls back to. */
static struct str
inherited(const struct levels *levels, const struct param *param, struct arena *arena)
{
    for (int i = 0; i < param->synonym_count; i++) {
        const struct param *server = param_at(PARAM_SCOPE_SERVER, param->synonyms[i].server);
        int level;
        struct str value = server_effective(levels, server, &level);
        if (value.ptr != NULL && level < LEVEL_DEFAULT)
            return scaled(value, param->synonyms[i].factor, arena);
    }
    return ox_str(param->fallback);
}

/* ---- Structs ------------------------------------------------------------- */

static bool
is_text(const struct param *param)
{
    return param->type == PARAM_STRING || param->type == PARAM_LIST ||
        param->type == PARAM_PASSWORD;
}

static size_t
listener_len(const struct meta_setting *setting)
{
    return setting->listener != NULL ? strlen(setting->listener) + 1 : 0;
}

const struct statics *
meta_settings_statics_new(const struct meta_setting *settings, size_t count)
{
    size_t len = sizeof(struct statics) + ox_size_mul(count, sizeof(settings[0]));
    size_t head = len;
    for (size_t i = 0; i < count; i++)
        len += strlen(settings[i].value) + 1 + listener_len(&settings[i]);
    struct statics *statics = ox_calloc(1, len);
    char *at = (char *)statics + head;
    statics->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t value_len = strlen(settings[i].value) + 1, own_len = listener_len(&settings[i]);
        statics->at[i] = (struct meta_setting){settings[i].param, at,
            own_len > 0 ? at + value_len : NULL, settings[i].fixed};
        memcpy(at, settings[i].value, value_len);
        if (own_len > 0)
            memcpy(at + value_len, settings[i].listener, own_len);
        at += value_len + own_len;
    }
    return statics;
}

static bool
names_setting(const struct meta_setting *settings, size_t count, const struct meta_setting *other)
{
    for (size_t i = 0; i < count; i++)
        if (is_static(&settings[i], other->param, ox_str(other->listener)))
            return true;
    return false;
}

const struct statics *
meta_settings_statics_merge(const struct statics *old, const struct statics *file)
{
    struct meta_setting *all = ox_calloc(old->count + file->count + 1, sizeof(*all));
    size_t count = 0;
    for (size_t i = 0; i < old->count; i++)
        if (old->at[i].fixed ||
            (old->at[i].param->change == PARAM_RESTART && old->at[i].listener == NULL))
            all[count++] = old->at[i];
    size_t kept = count;
    for (size_t i = 0; i < file->count; i++)
        if ((file->at[i].param->change != PARAM_RESTART || file->at[i].listener != NULL) &&
            !names_setting(all, kept, &file->at[i]))
            all[count++] = file->at[i];
    const struct statics *statics = meta_settings_statics_new(all, count);
    ox_free(all);
    return statics;
}

/* One allocation: the struct, then the texts it points to. */
struct server_config *
meta_settings_server_new(const struct view *view)
{
    struct levels levels = levels_of(view);
    struct str values[PARAM_SERVER_COUNT];
    size_t len = sizeof(struct server_config);
    int level;
    for (int i = 0; i < PARAM_SERVER_COUNT; i++) {
        const struct param *param = param_at(PARAM_SCOPE_SERVER, i);
        values[i] = server_effective(&levels, param, &level);
        if (is_text(param) && values[i].ptr != NULL)
            len += values[i].len + 1;
    }
    struct server_config *config = ox_calloc(1, len);
    char *at = (char *)(config + 1);
    for (int i = 0; i < PARAM_SERVER_COUNT; i++) {
        const struct param *param = param_at(PARAM_SCOPE_SERVER, i);
        if (is_text(param) && values[i].ptr != NULL) {
            memcpy(at, values[i].ptr, values[i].len);
            values[i].ptr = at;
            at += values[i].len + 1;
        }
        if (param_store(param, values[i], config, NULL) != OX_OK)
            param_store(param, ox_str(param->fallback), config, NULL);
    }
    return config;
}

const struct server_config *
meta_listener_settings(const struct meta_view *pub, const char *listener, struct arena *arena)
{
    struct view *view = ox_container_of((struct meta_view *)(uintptr_t)pub, struct view, pub);
    struct levels levels = levels_of(view);
    struct server_config *config = ox_arena_copy(arena, pub->settings, sizeof(*config));
    for (int i = 0; i < PARAM_SERVER_COUNT; i++) {
        const struct param *param = param_at(PARAM_SCOPE_SERVER, i);
        struct str value = is_of_listeners(param)
                               ? listener_effective(&levels, param, ox_str(listener))
                               : OX_STR_NULL;
        if (value.ptr != NULL)
            param_store(param, ox_str_dup(arena, value), config, NULL);
    }
    return config;
}

struct str
meta_listener_own(const struct meta_view *pub, const char *listener, const char *mechanism,
    int index)
{
    struct view *view = ox_container_of((struct meta_view *)(uintptr_t)pub, struct view, pub);
    struct levels levels = levels_of(view);
    char name[256];
    snprintf(name, sizeof(name), "%s%s%s", listener, mechanism != NULL ? "." : "",
        mechanism != NULL ? mechanism : "");
    return listener_effective(&levels, param_at(PARAM_SCOPE_SERVER, index), ox_str(name));
}

/* Texts are borrowed from own, which lives as long as the topic. */
struct topic_config *
meta_settings_topic_new(const struct view *view, const struct meta_config_set *own)
{
    struct levels levels = levels_of(view);
    struct topic_config *config = ox_calloc(1, sizeof(*config));
    struct arena arena;
    ox_arena_init(&arena);
    for (int i = 0; i < PARAM_TOPIC_COUNT; i++) {
        const struct param *param = param_at(PARAM_SCOPE_TOPIC, i);
        struct str value = lookup(own, param);
        if (value.ptr == NULL)
            value = is_text(param) ? ox_str(param->fallback) : inherited(&levels, param, &arena);
        if (param_store(param, value, config, NULL) != OX_OK)
            param_store(param, ox_str(param->fallback), config, NULL);
    }
    ox_arena_fini(&arena);
    return config;
}

/* ---- Rows ---------------------------------------------------------------- */

struct describe {
    const struct view *view;
    struct levels levels;
    const struct meta_config_set *own;
    int8_t own_source;
    struct arena *arena;
};

/* Values given for any server setting of the chain, level by level. Kafka cuts
 * what stands before the chain's first name, and so do we. */
static uint32_t
chain_synonyms(struct describe *describe, const int *servers, int server_count,
    struct meta_config_synonym *out)
{
    uint32_t count = 0;
    bool seen = false;
    for (int level = 0; level < LEVEL_COUNT; level++) {
        for (int i = 0; i < server_count; i++) {
            const struct param *server = param_at(PARAM_SCOPE_SERVER, servers[i]);
            struct str value = server_value(&describe->levels, level, server);
            seen |= value.ptr != NULL && i == 0;
            if (value.ptr != NULL && seen)
                out[count++] = (struct meta_config_synonym){param_wire_name(server), value,
                    level_source[level]};
        }
    }
    return count;
}

static void
describe_param(struct describe *describe, const struct param *param,
    struct meta_config_fact *fact)
{
    struct str own = lookup(describe->own, param);
    bool server = param->scope == PARAM_SCOPE_SERVER;
    int chain[8], count = 0, level;
    if (server)
        chain[count++] = param->index;
    for (int i = 0; i < param->synonym_count && count < (int)ox_count(chain); i++)
        chain[count++] = param->synonyms[i].server;
    struct meta_config_synonym *synonyms = ox_arena_array(describe->arena,
        struct meta_config_synonym, (size_t)count * LEVEL_COUNT + 2);
    uint32_t used = 0;
    if (!server && own.ptr != NULL)
        synonyms[used++] = (struct meta_config_synonym){param_wire_name(param), own,
            describe->own_source};
    used += chain_synonyms(describe, chain, count, synonyms + used);
    if (param->scope == PARAM_SCOPE_GROUP && count == 0)
        synonyms[used++] = (struct meta_config_synonym){param_wire_name(param),
            ox_str(param->fallback), META_SOURCE_DEFAULT};
    fact->param = param;
    fact->name = param_wire_name(param);
    fact->value = server ? server_effective(&describe->levels, param, &level)
        : own.ptr != NULL ? own
        : inherited(&describe->levels, param, describe->arena);
    fact->source = used > 0 ? synonyms[0].source : META_SOURCE_DEFAULT;
    fact->read_only = server && param->change != PARAM_LIVE;
    fact->sensitive = param->type == PARAM_PASSWORD;
    fact->synonyms = synonyms;
    fact->synonym_count = used;
    if (!fact->sensitive)
        return;
    fact->value = OX_STR_NULL;
    for (uint32_t i = 0; i < used; i++)
        synonyms[i].value = OX_STR_NULL;
}

/* ---- Rows of single listeners ---- */

static const char *
listener_name(struct describe *describe, const struct param *param, struct str listener)
{
    return ox_arena_printf(describe->arena, "%.*s%.*s.%s", OX_STR_ARG(listener_prefix),
        OX_STR_ARG(listener), param_wire_name(param));
}

static void
describe_listener(struct describe *describe, const struct param *param, struct str listener,
    bool all_nodes, struct meta_config_fact *fact)
{
    struct meta_config_synonym *synonyms =
        ox_arena_array(describe->arena, struct meta_config_synonym, LEVEL_COUNT * 2);
    uint32_t used = 0;
    bool sensitive = param->type == PARAM_PASSWORD;
    const char *name = listener_name(describe, param, listener);
    for (int level = all_nodes ? LEVEL_BROKER_DEFAULT : 0; level < LEVEL_COUNT; level++) {
        struct str own = listener_value(&describe->levels, level, param, listener);
        struct str base = server_value(&describe->levels, level, param);
        if (own.ptr != NULL)
            synonyms[used++] = (struct meta_config_synonym){name, own, level_source[level]};
        if (base.ptr != NULL && used > 0)
            synonyms[used++] = (struct meta_config_synonym){param_wire_name(param), base,
                level_source[level]};
        if (all_nodes)
            break;
    }
    *fact = (struct meta_config_fact){.param = param, .name = name, .value = synonyms[0].value,
        .source = synonyms[0].source, .of_listener = true, .sensitive = sensitive,
        .synonym_count = used, .synonyms = synonyms};
    if (sensitive)
        fact->value = OX_STR_NULL;
    for (uint32_t i = 0; i < used && sensitive; i++)
        synonyms[i].value = OX_STR_NULL;
}

static bool
is_described(const struct meta_config_fact *facts, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(facts[i].name, name) == 0)
            return true;
    return false;
}

struct rows {
    struct meta_config_fact *at;
    size_t count, cap, first; /* first: of single listeners */
};

static void
add_listener(struct describe *describe, const struct param *param, struct str listener,
    bool all_nodes, struct rows *rows)
{
    if (listener.ptr == NULL ||
        is_described(rows->at + rows->first, rows->count - rows->first,
            listener_name(describe, param, listener)))
        return;
    ox_arena_grow(describe->arena, (void **)&rows->at, &rows->cap, rows->count + 1,
        sizeof(*rows->at));
    describe_listener(describe, param, listener, all_nodes, &rows->at[rows->count++]);
}

static void
add_listeners(struct describe *describe, const struct meta_config_set *set, bool all_nodes,
    struct rows *rows)
{
    for (uint32_t i = 0; set != NULL && i < set->count; i++)
        add_listener(describe, set->items[i].param, set->items[i].listener, all_nodes, rows);
}

static void
describe_listeners(struct describe *describe, bool all_nodes, struct meta_config_fact **out,
    size_t *count)
{
    const struct statics *statics = describe->levels.statics;
    struct rows rows = {.at = *out, .count = *count, .cap = *count, .first = *count};
    add_listeners(describe, describe->levels.broker_default, all_nodes, &rows);
    if (!all_nodes)
        add_listeners(describe, describe->levels.broker, false, &rows);
    for (size_t i = 0; i < statics->count && !all_nodes; i++)
        add_listener(describe, statics->at[i].param, ox_str(statics->at[i].listener), false, &rows);
    *out = rows.at;
    *count = rows.count;
}

/* "": what is set for all nodes, and nothing else. */
static void
describe_default(struct describe *describe, struct meta_config_fact **out, size_t *count)
{
    *out = ox_arena_array(describe->arena, struct meta_config_fact, PARAM_SERVER_COUNT);
    *count = 0;
    for (int i = 0; i < PARAM_SERVER_COUNT; i++) {
        const struct param *param = param_at(PARAM_SCOPE_SERVER, i);
        struct str value = default_value(&describe->levels, param);
        if (value.ptr == NULL)
            continue;
        struct meta_config_fact *fact = &(*out)[(*count)++];
        struct meta_config_synonym *self =
            ox_arena_array(describe->arena, struct meta_config_synonym, 1);
        describe_param(describe, param, fact);
        fact->value = fact->sensitive ? OX_STR_NULL : value;
        fact->source = META_SOURCE_BROKER_DEFAULT;
        *self = (struct meta_config_synonym){fact->name, fact->value, META_SOURCE_BROKER_DEFAULT};
        fact->synonyms = self;
        fact->synonym_count = 1;
    }
}

static void
describe_all(struct describe *describe, enum param_scope scope, struct meta_config_fact **out,
    size_t *count)
{
    *count = (size_t)param_count(scope);
    *out = ox_arena_array(describe->arena, struct meta_config_fact, *count);
    for (size_t i = 0; i < *count; i++)
        describe_param(describe, param_at(scope, (int)i), &(*out)[i]);
}

static ox_code
describe_resource(struct describe *describe, int resource, struct str name, struct ox_err *err)
{
    char own_name[16];
    describe->own = meta_view_config(&describe->view->pub, resource, name);
    snprintf(own_name, sizeof(own_name), "%d", describe->view->pub.node_id);
    switch (resource) {
    case META_RESOURCE_TOPIC:
        describe->own_source = META_SOURCE_TOPIC;
        if (meta_view_topic(&describe->view->pub, name) == NULL)
            return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "topic \"%.*s\" does not exist",
                OX_STR_ARG(name));
        return OX_OK;
    case META_RESOURCE_BROKER:
        if (name.len > 0 && !ox_str_is(name, own_name))
            return ox_fail(err, OX_INVALID_REQUEST,
                "settings of broker \"%.*s\" are known to that broker only, this is broker %s",
                OX_STR_ARG(name), own_name);
        return OX_OK;
    case META_RESOURCE_GROUP:
        describe->own_source = META_SOURCE_GROUP;
        break;
    case META_RESOURCE_CLIENT_METRICS:
        describe->own_source = META_SOURCE_CLIENT_METRICS;
        break;
    default:
        return ox_fail(err, OX_INVALID_REQUEST, "resource type %d has no settings", resource);
    }
    if (name.len == 0)
        return ox_fail(err, OX_INVALID_REQUEST, "resource has no name");
    return OX_OK;
}

ox_code
meta_config_describe(const struct meta_view *pub, int resource, struct str name,
    struct arena *arena, struct meta_config_fact **out, size_t *count, struct ox_err *err)
{
    struct view *view = ox_container_of((struct meta_view *)(uintptr_t)pub, struct view, pub);
    struct describe describe = {.view = view, .arena = arena,
        .levels = levels_of(view)};
    ox_code code = describe_resource(&describe, resource, name, err);
    if (code != OX_OK)
        return code;
    if (resource == META_RESOURCE_BROKER && name.len == 0) {
        describe_default(&describe, out, count);
        describe_listeners(&describe, true, out, count);
        return OX_OK;
    }
    describe_all(&describe, (enum param_scope)meta_settings_scope(resource), out, count);
    if (resource == META_RESOURCE_BROKER)
        describe_listeners(&describe, false, out, count);
    return OX_OK;
}

ox_code
meta_config_describe_new(const struct meta_view *pub, const struct meta_config_change *changes,
    uint32_t change_count, struct arena *arena, struct meta_config_fact **out, size_t *count,
    struct ox_err *err)
{
    struct view *view = ox_container_of((struct meta_view *)(uintptr_t)pub, struct view, pub);
    struct meta_config_set own = {.resource = META_RESOURCE_TOPIC, .name = OX_STR("")};
    struct meta_config_item *items;
    ox_code code = meta_validate_config_changes(NULL, META_RESOURCE_TOPIC, false, changes,
        change_count, arena, &items, &own.count, err);
    if (code != OX_OK)
        return code;
    own.items = items;
    struct describe describe = {.view = view, .arena = arena, .levels = levels_of(view),
        .own = &own, .own_source = META_SOURCE_TOPIC};
    describe_all(&describe, PARAM_SCOPE_TOPIC, out, count);
    return OX_OK;
}
