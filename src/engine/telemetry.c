/* SPDX-License-Identifier: Apache-2.0
 *
 * Client telemetry (KIP-714). Subscriptions are settings of resources of their own
 * (META_RESOURCE_CLIENT_METRICS): which metrics, how often, of whom. A client asks
 * what it is to push (subscribe), pushes once an interval, and is forgotten when it
 * has been silent for three.
 *
 *     telemetry -> clients by instance id -> series by name and attributes
 *
 * A series keeps the last value; a sum that is pushed as the difference to the push
 * before is summed up here, so that it can be read like a counter of our own.
 *
 * Invariants, under the lock:
 * 1. At most telemetry_clients_max clients; a new one takes the place of the one that
 *    was silent longest. At most SERIES_MAX series and SERIES_BYTES_MAX bytes of their
 *    texts a client; what is beyond is left out.
 * 2. A client's subscription is that of version; when the subscriptions change it is
 *    made anew with its next request, and what it was told before is unknown.
 * 3. A client's times are those of requests that were in time, so that one that asks
 *    too often is refused until an interval has passed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/codec.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/map.h"
#include "coord/coord.h"
#include "engine/engine_int.h"
#include "engine/otlp.h"

enum {
    SERIES_MAX = 2000,
    SERIES_BYTES_MAX = 1 << 20,
    NAME_LEN_MAX = 256,
    ATTRS_LEN_MAX = 2048,
    INTERVAL_MS = 300000,
    SILENT_INTERVALS = 3,
    SILENT_MS_MIN = 60000,
    INFLATED_FACTOR = 4,
    METRICS_MAX = 1000,
};

struct series {
    char *key; /* name NUL unit NUL attributes NUL labels NUL, one allocation */
    size_t key_len;
    const char *unit, *attributes, *labels;
    enum otlp_kind kind;
    bool monotonic;
    double value;
    uint64_t count;
    int64_t updated_ms;
};

struct client {
    struct uuid id;
    struct map series;
    size_t bytes;
    char client_id[256], software[128], host[64];
    uint64_t seen_ns; /* any request */
    /* of its subscription */
    uint32_t version;
    int32_t subscription_id, interval_ms;
    uint64_t get_ns, push_ns; /* 0: never */
    bool made;                /* the subscription is known */
    bool unknown_told;        /* may ask again at once */
    bool terminating;
};

struct telemetry {
    struct lock lock;
    struct map clients;
};

struct telemetry *
telemetry_new(void)
{
    struct telemetry *telemetry = ox_calloc(1, sizeof(*telemetry));
    ox_lock_init(&telemetry->lock, LOCK_TELEMETRY);
    ox_map_init(&telemetry->clients);
    return telemetry;
}

static void
series_free(struct series *series)
{
    ox_free(series->key);
    ox_free(series);
}

static void
client_free(struct client *client)
{
    uint32_t at = 0;
    for (struct map_entry *entry; (entry = ox_map_next(&client->series, &at)) != NULL;)
        series_free(entry->value);
    ox_map_fini(&client->series);
    ox_free(client);
}

void
telemetry_free(struct telemetry *telemetry)
{
    uint32_t at = 0;
    if (telemetry == NULL)
        return;
    for (struct map_entry *entry; (entry = ox_map_next(&telemetry->clients, &at)) != NULL;)
        client_free(entry->value);
    ox_map_fini(&telemetry->clients);
    ox_lock_fini(&telemetry->lock);
    ox_free(telemetry);
}

static struct str
id_key(const struct uuid *id)
{
    return ox_str_n(id->bytes, sizeof(id->bytes));
}

/* ---- what a client is to push ---- */

static const char *const keys[] = {"client_instance_id", "client_id", "client_software_name",
    "client_software_version", "client_source_address", "client_source_port"};

int
engine_telemetry_key(struct str name)
{
    for (int i = 0; i < (int)ox_count(keys); i++)
        if (ox_str_is(name, keys[i]))
            return i;
    return -1;
}

/* The values that patterns are for, as keys go. */
struct facts {
    char id[23], port[16];
    struct str values[ox_count(keys)];
};

static void
fill_facts(const struct engine_telemetry *call, struct facts *facts)
{
    const char *software = call->sess->software;
    const char *blank = strchr(software, ' ');
    ox_uuid_to_base64(&call->id, facts->id);
    snprintf(facts->port, sizeof(facts->port), "%d", call->port);
    facts->values[0] = ox_str(facts->id);
    facts->values[1] = ox_str(call->sess->client_id);
    facts->values[2] = blank != NULL ? ox_str_n(software, (size_t)(blank - software))
                                     : ox_str("unknown");
    facts->values[3] = blank != NULL ? ox_str(blank + 1) : ox_str("unknown");
    facts->values[4] = ox_str(call->sess->host);
    facts->values[5] = ox_str(facts->port);
}

static bool
matches(struct str item, const struct facts *facts)
{
    const char *equals = memchr(item.ptr, '=', item.len);
    const char *reason;
    if (equals == NULL)
        return false;
    size_t len = (size_t)(equals - item.ptr);
    int key = engine_telemetry_key(ox_str_n(item.ptr, len));
    if (key < 0)
        return false;
    struct coord_pattern *pattern =
        coord_pattern_new(ox_str_n(equals + 1, item.len - len - 1), &reason);
    bool yes = pattern != NULL && coord_pattern_matches(pattern, facts->values[key]);
    coord_pattern_free(pattern);
    return yes;
}

static struct str
setting(const struct meta_config_set *set, int index)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->items[i].param != NULL && set->items[i].param->index == index)
            return set->items[i].value;
    return OX_STR_NULL;
}

/* All its patterns must match; one without patterns is for everybody. */
static bool
subscribed(struct arena *arena, const struct meta_config_set *set, const struct facts *facts)
{
    struct str match = setting(set, PARAM_CLIENT_METRICS_MATCH), *items;
    size_t count = match.ptr != NULL ? param_list_items(match, arena, &items) : 0;
    for (size_t i = 0; i < count; i++)
        if (!matches(items[i], facts))
            return false;
    return true;
}

static int
str_cmp(const void *a, const void *b)
{
    return ox_str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted, each once; "*" alone when it is among them. */
static void
tidy_metrics(struct engine_telemetry *call)
{
    uint32_t kept = 0;
    qsort(call->metrics, call->metric_count, sizeof(call->metrics[0]), str_cmp);
    for (uint32_t i = 0; i < call->metric_count; i++) {
        if (ox_str_is(call->metrics[i], "*")) {
            call->metrics[0] = call->metrics[i];
            kept = 1;
            break;
        }
        if (kept == 0 || !ox_str_eq(call->metrics[kept - 1], call->metrics[i]))
            call->metrics[kept++] = call->metrics[i];
    }
    call->metric_count = kept;
}

static void
add_metrics(struct engine_telemetry *call, const struct meta_config_set *set)
{
    struct str metrics = setting(set, PARAM_CLIENT_METRICS_METRICS), *items;
    size_t count = metrics.ptr != NULL ? param_list_items(metrics, call->arena, &items) : 0;
    for (size_t i = 0; i < count && call->metric_count < METRICS_MAX; i++)
        call->metrics[call->metric_count++] = ox_str_dup(call->arena, items[i]);
}

/* Those sets of settings that are subscriptions; returns a sum of what they say. */
static uint32_t
find_subscriptions(const struct meta_view *view, uint32_t *first, uint32_t *end)
{
    uint32_t version = 0, at = 0;
    while (at < view->config_count &&
           view->configs[at]->resource != META_RESOURCE_CLIENT_METRICS)
        at++;
    *first = at;
    for (; at < view->config_count && view->configs[at]->resource == META_RESOURCE_CLIENT_METRICS;
         at++) {
        const struct meta_config_set *set = view->configs[at];
        version = ox_crc32c(version, set->name.ptr, set->name.len + 1);
        for (uint32_t i = 0; i < set->count; i++) {
            version = ox_crc32c(version, set->items[i].name.ptr, set->items[i].name.len + 1);
            version = ox_crc32c(version, set->items[i].value.ptr, set->items[i].value.len + 1);
        }
    }
    *end = at;
    return version;
}

/* Fills metrics, interval and id of the subscription. */
static void
subscription(struct engine_telemetry *call, const struct meta_view *view, uint32_t first,
    uint32_t end)
{
    struct facts facts;
    int64_t interval;
    fill_facts(call, &facts);
    call->interval_ms = INTERVAL_MS;
    call->metrics = ox_arena_array(call->arena, struct str, METRICS_MAX);
    call->metric_count = 0;
    for (uint32_t i = first; i < end; i++) {
        const struct meta_config_set *set = view->configs[i];
        struct str value = setting(set, PARAM_CLIENT_METRICS_INTERVAL_MS);
        if (set->count == 0 || !subscribed(call->arena, set, &facts))
            continue;
        add_metrics(call, set);
        if (value.ptr != NULL && ox_str_to_i64(value, &interval) && interval < call->interval_ms)
            call->interval_ms = (int32_t)interval;
    }
    tidy_metrics(call);
    uint32_t sum = ox_crc32c(0, &call->interval_ms, sizeof(call->interval_ms));
    for (uint32_t i = 0; i < call->metric_count; i++)
        sum = ox_crc32c(sum, call->metrics[i].ptr, call->metrics[i].len);
    call->subscription_id = (int32_t)(sum ^ ox_crc32c(0, call->id.bytes, sizeof(call->id.bytes)));
}

/* ---- clients ---- */

static uint64_t
silent_ns(const struct client *client)
{
    uint64_t ms = (uint64_t)client->interval_ms * SILENT_INTERVALS;
    return OX_MAX(ms, (uint64_t)SILENT_MS_MIN) * 1000000;
}

static void
forget_silent(struct telemetry *telemetry, uint64_t now_ns)
{
    uint32_t at = 0;
    for (struct map_entry *entry; (entry = ox_map_next(&telemetry->clients, &at)) != NULL;) {
        struct client *client = entry->value;
        if (now_ns - client->seen_ns > silent_ns(client)) {
            ox_map_remove(&telemetry->clients, id_key(&client->id));
            client_free(client);
        }
    }
}

static void
make_room(struct telemetry *telemetry, uint32_t clients_max)
{
    while (telemetry->clients.count >= clients_max) {
        struct client *oldest = NULL;
        uint32_t at = 0;
        for (struct map_entry *entry; (entry = ox_map_next(&telemetry->clients, &at)) != NULL;) {
            struct client *client = entry->value;
            if (oldest == NULL || client->seen_ns < oldest->seen_ns)
                oldest = client;
        }
        ox_map_remove(&telemetry->clients, id_key(&oldest->id));
        client_free(oldest);
    }
}

static struct client *
client_get(struct engine *engine, const struct engine_telemetry *call, uint64_t now_ns)
{
    struct telemetry *telemetry = engine->telemetry;
    struct client *client = ox_map_get(&telemetry->clients, id_key(&call->id));
    if (client == NULL) {
        forget_silent(telemetry, now_ns);
        make_room(telemetry, (uint32_t)engine_settings(engine)->telemetry_clients_max);
        client = ox_calloc(1, sizeof(*client));
        client->id = call->id;
        client->interval_ms = INTERVAL_MS;
        ox_map_init(&client->series);
        ox_map_put(&telemetry->clients, id_key(&client->id), client);
    }
    client->seen_ns = now_ns;
    snprintf(client->client_id, sizeof(client->client_id), "%s", call->sess->client_id);
    snprintf(client->software, sizeof(client->software), "%s", call->sess->software);
    snprintf(client->host, sizeof(client->host), "%s", call->sess->host);
    return client;
}

/* The client, with the subscription that is in force. */
static struct client *
client_refresh(struct engine *engine, struct engine_telemetry *call, bool wanted, uint64_t now_ns)
{
    const struct meta_view *view = engine_view(engine);
    uint32_t first, end, version = find_subscriptions(view, &first, &end);
    struct client *client = client_get(engine, call, now_ns);
    bool fresh = !client->made || client->version != version;
    if (fresh || wanted)
        subscription(call, view, first, end);
    if (fresh) {
        client->made = true;
        client->version = version;
        client->subscription_id = call->subscription_id;
        client->interval_ms = call->interval_ms;
        client->get_ns = client->push_ns = 0;
        client->unknown_told = client->terminating = false;
    }
    return client;
}

static bool
interval_passed(const struct client *client, uint64_t since_ns, uint64_t now_ns)
{
    return since_ns == 0 || now_ns - since_ns >= (uint64_t)client->interval_ms * 1000000;
}

static ox_code
get_in_time(struct client *client, uint64_t now_ns)
{
    bool passed = interval_passed(client, OX_MAX(client->get_ns, client->push_ns), now_ns);
    bool unknown_told = client->unknown_told;
    if (passed)
        client->get_ns = now_ns;
    client->unknown_told = false;
    return passed || unknown_told ? OX_OK : OX_THROTTLING_QUOTA_EXCEEDED;
}

ox_code
engine_telemetry_subscribe(struct engine_telemetry *call)
{
    struct engine *engine = call->sess->engine;
    uint64_t now_ns = env_mono_ns(engine->env);
    if (ox_uuid_is_zero(&call->id)) {
        env_random(engine->env, call->id.bytes, sizeof(call->id.bytes));
        call->id.bytes[6] = (call->id.bytes[6] & 0x0f) | 0x40;
        call->id.bytes[8] = (call->id.bytes[8] & 0x3f) | 0x80;
    }
    call->max_bytes = engine_settings(engine)->telemetry_max_bytes;
    ox_lock(&engine->telemetry->lock);
    struct client *client = client_refresh(engine, call, true, now_ns);
    ox_code code = get_in_time(client, now_ns);
    ox_unlock(&engine->telemetry->lock);
    return code;
}

/* ---- what it pushed ---- */

/* [a-zA-Z_][a-zA-Z0-9_]* */
static void
add_prometheus_name(struct text *out, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool digit = c >= '0' && c <= '9';
        if (digit && i == 0)
            ox_text_addc(out, '_');
        ox_text_addc(out, letter || digit ? c : '_');
    }
}

/* Bytes of the character that begins there; 0: none does. */
static size_t
char_len(const char *at, size_t left)
{
    unsigned char c = (unsigned char)*at;
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return len <= left && ox_utf8_valid(at, len) ? len : 0;
}

/* Quoted, for JSON and Prometheus alike; controls become blanks, and bytes that are
 * not UTF-8 question marks. */
static void
add_quoted(struct text *out, struct str s)
{
    ox_text_addc(out, '"');
    for (size_t i = 0; i < s.len;) {
        unsigned char c = (unsigned char)s.ptr[i];
        size_t len = char_len(s.ptr + i, s.len - i);
        if (len == 0) {
            ox_text_addc(out, '?');
            i++;
            continue;
        }
        if (c == '"' || c == '\\')
            ox_text_addc(out, '\\');
        if (c < 0x20 || c == 0x7f)
            ox_text_addc(out, ' ');
        else
            ox_text_add(out, s.ptr + i, len);
        i += len;
    }
    ox_text_addc(out, '"');
}

/* Those labels are given to every series here. */
static bool
is_own_label(struct str key)
{
    return ox_str_is(key, "client_instance_id") || ox_str_is(key, "client_id") ||
           ox_str_is(key, "client_software");
}

static int
attr_cmp(const void *a, const void *b)
{
    return ox_str_cmp(((const struct otlp_attr *)a)->key, ((const struct otlp_attr *)b)->key);
}

/* Two texts of the same attributes, sorted, the last of a name. */
static void
print_attrs(const struct otlp_point *point, struct text *json, struct text *labels)
{
    struct otlp_attr attrs[OTLP_ATTRS_MAX];
    memcpy(attrs, point->attrs, point->attr_count * sizeof(attrs[0]));
    qsort(attrs, point->attr_count, sizeof(attrs[0]), attr_cmp);
    ox_text_addc(json, '{');
    for (size_t i = 0; i < point->attr_count; i++) {
        char number[32];
        if (i + 1 < point->attr_count && ox_str_eq(attrs[i].key, attrs[i + 1].key))
            continue;
        snprintf(number, sizeof(number), "%.17g", attrs[i].number);
        struct str value = attrs[i].text.ptr != NULL ? attrs[i].text : ox_str(number);
        if (json->len > 1)
            ox_text_adds(json, ", ");
        add_quoted(json, attrs[i].key);
        ox_text_adds(json, ": ");
        add_quoted(json, value);
        if (is_own_label(attrs[i].key))
            continue;
        if (labels->len > 0)
            ox_text_addc(labels, ',');
        add_prometheus_name(labels, attrs[i].key);
        ox_text_addc(labels, '=');
        add_quoted(labels, value);
    }
    ox_text_addc(json, '}');
}

struct push {
    struct client *client;
    int64_t now_ms;
    struct text key;
};

static struct series *
series_get(struct push *push, const struct otlp_point *point)
{
    struct client *client = push->client;
    struct text labels;
    struct text *key = &push->key;
    ox_text_clear(key);
    ox_text_init(&labels, NULL);
    add_quoted(key, point->name);
    key->len--; /* the quotes are not wanted here */
    memmove(key->ptr, key->ptr + 1, --key->len);
    ox_text_addc(key, '\0');
    size_t unit_at = key->len;
    for (size_t i = 0; i < point->unit.len && i < 32; i++)
        ox_text_addc(key, point->unit.ptr[i] > ' ' && point->unit.ptr[i] < 127
                              ? point->unit.ptr[i] : '_');
    ox_text_addc(key, '\0');
    struct text json;
    ox_text_init(&json, NULL);
    print_attrs(point, &json, &labels);
    size_t json_at = key->len;
    ox_text_add(key, json.ptr, json.len);
    ox_text_addc(key, '\0');
    size_t labels_at = key->len;
    bool fits = json.len <= ATTRS_LEN_MAX && labels.len <= ATTRS_LEN_MAX;
    struct series *series = ox_map_get(&client->series, ox_text_str(key));
    if (series == NULL && fits && client->series.count < SERIES_MAX &&
        client->bytes + key->len + labels.len < SERIES_BYTES_MAX) {
        series = ox_calloc(1, sizeof(*series));
        ox_map_put(&client->series, ox_text_str(key), series);
        ox_text_add(key, labels.ptr, labels.len);
        ox_text_addc(key, '\0');
        series->key = ox_malloc(key->len);
        memcpy(series->key, key->ptr, key->len);
        series->key_len = key->len;
        series->unit = series->key + unit_at;
        series->attributes = series->key + json_at;
        series->labels = series->key + labels_at;
        client->bytes += key->len;
    }
    ox_text_fini(&json);
    ox_text_fini(&labels);
    return series;
}

static void
take_point(const struct otlp_point *point, void *arg)
{
    struct push *push = arg;
    if (point->name.len == 0 || point->name.len > NAME_LEN_MAX)
        return;
    struct series *series = series_get(push, point);
    if (series == NULL)
        return;
    bool add = point->kind != OTLP_GAUGE && point->delta && series->kind == point->kind;
    series->kind = point->kind;
    series->monotonic = point->monotonic;
    series->value = add ? series->value + point->value : point->value;
    series->count = add ? series->count + point->count : point->count;
    series->updated_ms = push->now_ms;
}

static void
ignore_point(const struct otlp_point *point, void *arg)
{
}

/* The metrics in plain bytes: bytes itself, or what it inflates to, in text. */
static ox_code
inflate(struct engine *engine, int8_t compression, struct str bytes, struct text *text,
    struct str *plain)
{
    size_t most = (size_t)engine_settings(engine)->telemetry_max_bytes;
    *plain = bytes;
    if (compression == OX_CODEC_NONE || bytes.len == 0)
        return OX_OK;
    ox_code code = ox_decompress((enum ox_codec)compression, bytes.ptr, bytes.len,
        ox_size_mul(most, INFLATED_FACTOR), text, NULL);
    *plain = ox_text_str(text);
    return code == OX_OK ? OX_OK
           : code == OX_MESSAGE_TOO_LARGE ? OX_TELEMETRY_TOO_LARGE
                                          : OX_INVALID_RECORD;
}

static ox_code
push_allowed(struct engine *engine, struct client *client, int32_t subscription_id,
    bool terminating, int8_t compression, struct str metrics, uint64_t now_ns)
{
    if (client->terminating)
        return OX_INVALID_REQUEST;
    bool in_time = client->get_ns > client->push_ns ||
                   interval_passed(client, client->push_ns, now_ns);
    if (in_time)
        client->push_ns = now_ns;
    else if (!terminating)
        return OX_THROTTLING_QUOTA_EXCEEDED;
    if (subscription_id != client->subscription_id)
        return OX_UNKNOWN_SUBSCRIPTION_ID;
    if (compression < OX_CODEC_NONE || compression > OX_CODEC_ZSTD)
        return OX_UNSUPPORTED_COMPRESSION_TYPE;
    if (metrics.len > (size_t)engine_settings(engine)->telemetry_max_bytes)
        return OX_TELEMETRY_TOO_LARGE;
    return OX_OK;
}

/* Metrics are checked as a whole before any of them is taken; a client that was
 * forgotten meanwhile has none. */
static ox_code
take_metrics(struct engine *engine, const struct uuid *id, int8_t compression,
    struct str metrics)
{
    struct telemetry *telemetry = engine->telemetry;
    struct push push = {.now_ms = env_wall_ms(engine->env)};
    struct text text;
    struct str plain;
    ox_text_init(&text, NULL);
    ox_text_init(&push.key, NULL);
    ox_code code = inflate(engine, compression, metrics, &text, &plain);
    if (code == OX_OK && !otlp_decode(plain.ptr, plain.len, ignore_point, NULL))
        code = OX_INVALID_RECORD;
    if (code == OX_OK) {
        ox_lock(&telemetry->lock);
        push.client = ox_map_get(&telemetry->clients, id_key(id));
        if (push.client != NULL)
            otlp_decode(plain.ptr, plain.len, take_point, &push);
        ox_unlock(&telemetry->lock);
    }
    ox_text_fini(&push.key);
    ox_text_fini(&text);
    return code;
}

ox_code
engine_telemetry_push(struct engine_telemetry *call, int32_t subscription_id, bool terminating,
    int8_t compression, struct str metrics)
{
    static const struct uuid one = {{[15] = 1}};
    struct engine *engine = call->sess->engine;
    uint64_t now_ns = env_mono_ns(engine->env);
    if (ox_uuid_is_zero(&call->id) || ox_uuid_eq(&call->id, &one))
        return OX_INVALID_REQUEST;
    ox_lock(&engine->telemetry->lock);
    struct client *client = client_refresh(engine, call, false, now_ns);
    ox_code code = push_allowed(engine, client, subscription_id, terminating, compression, metrics,
        now_ns);
    client->unknown_told = code == OX_UNKNOWN_SUBSCRIPTION_ID ||
                           code == OX_UNSUPPORTED_COMPRESSION_TYPE;
    client->terminating |= code == OX_OK && terminating;
    ox_unlock(&engine->telemetry->lock);
    if (code == OX_OK)
        code = take_metrics(engine, &call->id, compression, metrics);
    atomic_fetch_add(code == OX_OK ? &engine->stats.telemetry_pushes
                                   : &engine->stats.telemetry_refused, 1);
    return code;
}

/* ---- for those who look ---- */

static int
metric_cmp(const void *a, const void *b)
{
    const struct engine_client_metric *one = a, *other = b;
    int order = ox_str_cmp(one->name, other->name);
    if (order == 0)
        order = strcmp(one->kind, other->kind);
    if (order == 0)
        order = memcmp(one->client.bytes, other->client.bytes, sizeof(one->client.bytes));
    return order != 0 ? order : ox_str_cmp(one->attributes, other->attributes);
}

static const char *
kind_name(const struct series *series)
{
    switch (series->kind) {
    case OTLP_GAUGE:
        return "gauge";
    case OTLP_SUM:
        return series->monotonic ? "counter" : "gauge";
    case OTLP_HISTOGRAM:
        return "histogram";
    case OTLP_SUMMARY:
        break;
    }
    return "summary";
}

static void
list_client(const struct client *client, struct arena *arena, struct engine_client_metric *out)
{
    const char *client_id = ox_arena_strdup(arena, client->client_id);
    const char *software = ox_arena_strdup(arena, client->software);
    const char *host = ox_arena_strdup(arena, client->host);
    uint32_t at = 0;
    for (struct map_entry *entry; (entry = ox_map_next(&client->series, &at)) != NULL; out++) {
        const struct series *series = entry->value;
        char *texts = ox_arena_copy(arena, series->key, series->key_len);
        *out = (struct engine_client_metric){.client = client->id, .client_id = client_id,
            .software = software, .host = host, .name = ox_str(texts),
            .unit = ox_str(texts + (series->unit - series->key)),
            .attributes = ox_str(texts + (series->attributes - series->key)),
            .labels = ox_str(texts + (series->labels - series->key)),
            .kind = kind_name(series), .value = series->value, .count = series->count,
            .updated_ms = series->updated_ms};
    }
}

struct engine_client_metric *
engine_telemetry_list(struct engine *engine, struct arena *arena, size_t *count)
{
    struct telemetry *telemetry = engine->telemetry;
    uint32_t at = 0;
    *count = 0;
    ox_lock(&telemetry->lock);
    forget_silent(telemetry, env_mono_ns(engine->env));
    for (struct map_entry *entry; (entry = ox_map_next(&telemetry->clients, &at)) != NULL;)
        *count += ((struct client *)entry->value)->series.count;
    struct engine_client_metric *out =
        ox_arena_array(arena, struct engine_client_metric, *count + 1);
    size_t used = 0;
    at = 0;
    for (struct map_entry *entry; (entry = ox_map_next(&telemetry->clients, &at)) != NULL;) {
        const struct client *client = entry->value;
        list_client(client, arena, out + used);
        used += client->series.count;
    }
    ox_unlock(&telemetry->lock);
    qsort(out, *count, sizeof(out[0]), metric_cmp);
    return out;
}

/* One sample; suffix is "_count" or "_sum" of histograms and summaries. */
static void
print_sample(struct text *out, const struct engine_client_metric *metric, const char *suffix,
    double value)
{
    char id[23];
    ox_uuid_to_base64(&metric->client, id);
    add_prometheus_name(out, metric->name);
    ox_text_addf(out, "%s{client_instance_id=\"%s\",client_id=", suffix, id);
    add_quoted(out, ox_str(metric->client_id));
    ox_text_adds(out, ",client_software=");
    add_quoted(out, ox_str(metric->software));
    ox_text_addf(out, "%s%s} ", metric->labels.len > 0 ? "," : "", metric->labels.ptr);
    if (isfinite(value))
        ox_text_addf(out, "%.17g\n", value);
    else /* Prometheus' words, which are not printf's */
        ox_text_adds(out, isnan(value) ? "NaN\n" : value > 0 ? "+Inf\n" : "-Inf\n");
}

void
engine_telemetry_text(struct engine *engine, struct text *out)
{
    struct arena arena;
    size_t count;
    ox_arena_init(&arena);
    const struct engine_client_metric *metrics = engine_telemetry_list(engine, &arena, &count);
    for (size_t i = 0; i < count; i++) {
        bool simple = strcmp(metrics[i].kind, "gauge") == 0 ||
                      strcmp(metrics[i].kind, "counter") == 0;
        if (i == 0 || !ox_str_eq(metrics[i].name, metrics[i - 1].name)) {
            ox_text_adds(out, "# TYPE ");
            add_prometheus_name(out, metrics[i].name);
            ox_text_addf(out, " %s\n", simple ? metrics[i].kind : "summary");
        }
        if (simple) {
            print_sample(out, &metrics[i], "", metrics[i].value);
            continue;
        }
        print_sample(out, &metrics[i], "_sum", metrics[i].value);
        print_sample(out, &metrics[i], "_count", (double)metrics[i].count);
    }
    ox_arena_fini(&arena);
}
