/* SPDX-License-Identifier: Apache-2.0
 *
 * Quotas: how much a user, a client id or both may use, in Kafka's order of
 * precedence:
 *
 *   user + client id, user + default client id, user, default user + client id,
 *   default user + default client id, default user, client id, default client id
 *
 * Whoever falls under the same quota by the same names shares a meter: samples of
 * a second, the newest eleven of them. Over the bound, the session owes the time
 * after which the rate over the samples would be right again:
 *
 *     used / bound - time of the samples
 *
 * Mutations have a bucket of tokens instead, which may go below zero. Addresses
 * have a quota of connections: one too many is held for a while and closed.
 *
 * A session keeps what it found until quotas, its user or its client id change. A
 * meter stays while sessions hold it and a while longer, so that a new connection
 * does not begin with a clean slate.
 *
 * Invariants
 *  1. a meter's key is in the map iff the meter lives
 *  2. bounds[i].meter of a session counts as one reference */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/rate.h"
#include "engine/engine_int.h"

enum { METERS_SWEEP = 1024, DELAY_MAX_MS = 3600 * 1000 };

struct quota_meter {
    uint32_t refs;
    uint64_t used_ms; /* when it was last used */
    struct ox_rate rate;
    double tokens; /* of mutations */
    uint64_t tokens_ms;
    size_t key_len;
    char key[];
};

struct quotas {
    struct lock lock; /* meters and all in them */
    struct map meters;
    uint32_t sweep_at;
};

static const char *const names[ENGINE_QUOTA_COUNT] = {"producer_byte_rate", "consumer_byte_rate",
    "request_percentage", "controller_mutation_rate"};

void
engine_quotas_start(struct engine *engine)
{
    struct quotas *quotas = ox_calloc(1, sizeof(*quotas));
    ox_lock_init(&quotas->lock, LOCK_QUOTAS);
    ox_map_init(&quotas->meters);
    quotas->sweep_at = METERS_SWEEP;
    engine->quotas = quotas;
}

void
engine_quotas_stop(struct engine *engine)
{
    struct quotas *quotas = engine->quotas;
    struct map_entry *entry;
    uint32_t at = 0;
    while ((entry = ox_map_next(&quotas->meters, &at)) != NULL)
        ox_free(entry->value);
    ox_map_fini(&quotas->meters);
    ox_lock_fini(&quotas->lock);
    ox_free(quotas);
}

static uint64_t
now_ms(const struct engine_session *sess)
{
    return loop_now_ns(sess->loop) / 1000000;
}

/* ---- meters ---- */

/* Meters that nobody has held for a while go; the map then grows again by half. */
static void
sweep(struct quotas *quotas, uint64_t now)
{
    struct map_entry *entry;
    uint32_t at = 0;
    if (quotas->meters.count < quotas->sweep_at)
        return;
    while ((entry = ox_map_next(&quotas->meters, &at)) != NULL) {
        struct quota_meter *meter = entry->value;
        if (meter->refs > 0 || now - meter->used_ms < 60 * 1000)
            continue;
        ox_map_remove(&quotas->meters, ox_str_n(meter->key, meter->key_len));
        ox_free(meter);
    }
    quotas->sweep_at = OX_MAX((uint32_t)METERS_SWEEP, quotas->meters.count * 2);
}

static struct quota_meter *
meter_get(struct quotas *quotas, struct str key, uint64_t now)
{
    ox_lock(&quotas->lock);
    struct quota_meter *meter = ox_map_get(&quotas->meters, key);
    if (meter == NULL) {
        sweep(quotas, now);
        meter = ox_calloc(1, sizeof(*meter) + key.len);
        memcpy(meter->key, key.ptr, key.len);
        meter->key_len = key.len;
        meter->tokens = NAN; /* full, as soon as the bound is known */
        ox_map_put(&quotas->meters, ox_str_n(meter->key, key.len), meter);
    }
    meter->refs++;
    meter->used_ms = now;
    ox_unlock(&quotas->lock);
    return meter;
}

void
engine_quota_changed(struct engine_session *sess)
{
    struct quotas *quotas = sess->engine->quotas;
    if (sess->bounds_of == 0)
        return;
    ox_lock(&quotas->lock);
    for (int i = 0; i < ENGINE_QUOTA_COUNT; i++)
        if (sess->bounds[i].meter != NULL)
            sess->bounds[i].meter->refs--;
    ox_unlock(&quotas->lock);
    memset(sess->bounds, 0, sizeof(sess->bounds));
    sess->bounds_of = 0;
}

void
engine_session_fini(struct engine_session *sess)
{
    engine_quota_changed(sess);
    ox_free(sess->decisions);
    sess->decisions = NULL;
}

/* ---- what is a quota ---- */

static ox_code
check_key(const struct meta_quota *quota, bool with_value, struct ox_err *err)
{
    bool known = ox_str_is(quota->key, "connection_creation_rate");
    bool fits = known == (quota->ip.ptr != NULL);
    for (size_t i = 0; i < ox_count(names) && !known; i++)
        known = ox_str_is(quota->key, names[i]);
    if (with_value && (!known || !fits)) /* what cannot be there may be taken away */
        return ox_fail(err, OX_INVALID_REQUEST, "Invalid configuration key %.*s",
            OX_STR_ARG(quota->key));
    return OX_OK;
}

ox_code
engine_quota_check(const struct meta_quota *quota, bool with_value, struct ox_err *err)
{
    ox_code code = check_key(quota, with_value, err);
    if (code != OX_OK || !with_value)
        return code;
    bool whole = !ox_str_is(quota->key, "request_percentage") &&
        !ox_str_is(quota->key, "controller_mutation_rate");
    if (!(quota->value > 0) || !isfinite(quota->value))
        return ox_fail(err, OX_INVALID_REQUEST, "Quota %.*s must be greater than 0",
            OX_STR_ARG(quota->key));
    double most = quota->ip.ptr != NULL ? 2147483647.0 : 9.2e18;
    if (whole && (quota->value > most || fabs(quota->value - floor(quota->value)) > 1e-6))
        return ox_fail(err, OX_INVALID_REQUEST, "%.*s cannot be a fractional value.",
            OX_STR_ARG(quota->key));
    return OX_OK;
}

/* ---- which quota applies ---- */

static bool
part_fits(struct str part, int8_t how, struct str name)
{
    switch (how) {
    case 'n':
        return part.ptr != NULL && part.len > 0 && ox_str_eq(part, name);
    case 'd':
        return part.ptr != NULL && part.len == 0;
    }
    return part.ptr == NULL;
}

/* n: by name, d: the default, -: not part of the entity. */
static const char levels[][2] = {{'n', 'n'}, {'n', 'd'}, {'n', '-'}, {'d', 'n'}, {'d', 'd'},
    {'d', '-'}, {'-', 'n'}, {'-', 'd'}};

static const struct meta_quota *
find_quota(const struct meta_security *security, const char *key, struct str user,
    struct str client, size_t *level)
{
    const struct meta_quota *best = NULL;
    *level = ox_count(levels);
    for (uint32_t i = 0; i < security->quota_count; i++) {
        const struct meta_quota *quota = &security->quotas[i];
        if (quota->ip.ptr != NULL || !ox_str_is(quota->key, key))
            continue;
        for (size_t l = 0; l < *level; l++) {
            if (!part_fits(quota->user, levels[l][0], user) ||
                !part_fits(quota->client_id, levels[l][1], client))
                continue;
            best = quota;
            *level = l;
        }
    }
    return best;
}

static void
look_up(struct engine_session *sess, const struct meta_security *security)
{
    struct str user = ox_str(strchr(sess->principal, ':') + 1), client = ox_str(sess->client_id);
    char key[sizeof(sess->principal) + sizeof(sess->client_id) + 40];
    engine_quota_changed(sess);
    for (int i = 0; i < ENGINE_QUOTA_COUNT; i++) {
        size_t level;
        const struct meta_quota *quota = find_quota(security, names[i], user, client, &level);
        if (quota == NULL)
            continue;
        int len = snprintf(key, sizeof(key), "%d %zu %zu\n%s\n%s", i, level, user.len,
            levels[level][0] != '-' ? user.ptr : "", levels[level][1] != '-' ? client.ptr : "");
        sess->bounds[i].bound = quota->value;
        sess->bounds[i].meter = meter_get(sess->engine->quotas, ox_str_n(key, (size_t)len),
            now_ms(sess));
    }
    sess->bounds_of = security->version + 1;
}

static struct engine_bound *
bound_of(struct engine_session *sess, enum engine_quota kind)
{
    const struct meta_security *security = engine_view(sess->engine)->security;
    if (security->quota_count == 0 || sess->internal || sess->loop == NULL)
        return NULL;
    if (sess->bounds_of != security->version + 1)
        look_up(sess, security);
    return sess->bounds[kind].meter != NULL ? &sess->bounds[kind] : NULL;
}

bool
engine_quota_applies(struct engine_session *sess, enum engine_quota kind)
{
    return bound_of(sess, kind) != NULL;
}

/* ---- counting ---- */

static void
owe(struct engine_session *sess, double ms, double most)
{
    if (!(ms > 0))
        return;
    uint32_t delay = (uint32_t)ceil(OX_MIN(ms, most));
    sess->throttle_ms = OX_MAX(sess->throttle_ms, delay);
}

static double
window_ms(const struct server_config *settings)
{
    return settings->quota_window_size_seconds * 1000.0;
}

/* Adds to a meter; milliseconds that are owed. */
static double
measure(struct quotas *quotas, struct quota_meter *meter, const struct server_config *settings,
    double bound, double amount, uint64_t now)
{
    uint32_t count = (uint32_t)OX_MIN(settings->quota_window_num, OX_RATE_SAMPLES_MAX);
    uint64_t size = (uint64_t)settings->quota_window_size_seconds * 1000;
    ox_lock(&quotas->lock);
    ox_rate_add(&meter->rate, count, size, amount, now);
    meter->used_ms = now;
    double ms = ox_rate_over_ms(&meter->rate, count, size, bound, now);
    ox_unlock(&quotas->lock);
    return ms;
}

void
engine_quota_use(struct engine_session *sess, enum engine_quota kind, double amount)
{
    struct engine_bound *bound = bound_of(sess, kind);
    const struct server_config *settings = engine_settings(sess->engine);
    if (bound == NULL)
        return;
    double ms = measure(sess->engine->quotas, bound->meter, settings, bound->bound, amount,
        now_ms(sess));
    owe(sess, ms, kind == ENGINE_QUOTA_REQUEST ? window_ms(settings) : DELAY_MAX_MS);
}

bool
engine_quota_fetch(struct engine_session *sess, double amount)
{
    engine_quota_use(sess, ENGINE_QUOTA_FETCH, amount);
    if (sess->throttle_ms == 0)
        return true;
    struct engine_bound *bound = bound_of(sess, ENGINE_QUOTA_FETCH);
    if (bound != NULL)
        measure(sess->engine->quotas, bound->meter, engine_settings(sess->engine), bound->bound,
            -amount, now_ms(sess));
    return false;
}

size_t
engine_quota_fetch_max(struct engine_session *sess, size_t most)
{
    struct engine_bound *bound = bound_of(sess, ENGINE_QUOTA_FETCH);
    if (bound == NULL)
        return most;
    const struct server_config *settings = engine_settings(sess->engine);
    double window = bound->bound * (settings->quota_window_num - 1) *
        settings->quota_window_size_seconds;
    return window < (double)most ? (size_t)window : most;
}

/* An address may have a quota of its own, by itself or by a name, or the default one. */
static const struct meta_quota *
find_address(struct engine *engine, const struct meta_security *security, struct str host)
{
    const struct meta_quota *named = NULL, *rest = NULL;
    for (uint32_t i = 0; i < security->quota_count; i++) {
        const struct meta_quota *quota = &security->quotas[i];
        if (quota->ip.ptr == NULL || !ox_str_is(quota->key, "connection_creation_rate"))
            continue;
        if (ox_str_eq(quota->ip, host))
            return quota;
        if (quota->ip.len == 0)
            rest = quota;
        else if (named == NULL && (auth_address_same(quota->ip, host) ||
            engine_host_is(engine, quota->ip, host)))
            named = quota;
    }
    return named != NULL ? named : rest;
}

/* An item of the list, address:number; the address may stand in brackets. */
static bool
read_override(struct str item, struct str *address, int64_t *most)
{
    size_t colon = item.len;
    while (colon > 0 && item.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    *address = ox_str_n(item.ptr, colon - 1);
    if (address->len > 2 && address->ptr[0] == '[' && address->ptr[address->len - 1] == ']' &&
        memchr(address->ptr, ':', address->len) != NULL)
        *address = ox_str_n(address->ptr + 1, address->len - 2);
    return engine_is_address(*address) &&
        ox_str_to_i64(ox_str_n(item.ptr + colon, item.len - colon), most) && *most >= 0 &&
        *most <= INT32_MAX;
}

ox_code
engine_check_overrides(struct str list, struct ox_err *err)
{
    struct arena arena;
    struct str *items, address;
    int64_t most;
    ox_code code = OX_OK;
    ox_arena_init(&arena);
    size_t count = param_list_items(list, &arena, &items);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        if (!read_override(items[i], &address, &most))
            code = ox_fail(err, OX_INVALID_CONFIG,
                "\"max.connections.per.ip.overrides\": \"%.*s\" is not an address, a colon and a "
                "number of connections", OX_STR_ARG(items[i]));
    ox_arena_fini(&arena);
    return code;
}

uint32_t
engine_override_of(struct str list, struct str host)
{
    struct arena arena;
    struct str *items, address;
    int64_t most;
    uint32_t found = UINT32_MAX;
    ox_arena_init(&arena);
    size_t count = param_list_items(list, &arena, &items);
    for (size_t i = 0; i < count && found == UINT32_MAX; i++)
        if (read_override(items[i], &address, &most) &&
            (ox_str_eq(address, host) || auth_address_same(address, host)))
            found = (uint32_t)most;
    ox_arena_fini(&arena);
    return found;
}

uint64_t
engine_quota_connect(struct engine *engine, const char *host, uint64_t mono_ms, uint32_t *most)
{
    const struct meta_view *view = engine_view(engine);
    const struct server_config *settings = view->settings;
    *most = engine_override_of(ox_str(settings->max_connections_per_ip_overrides), ox_str(host));
    const struct meta_quota *quota = find_address(engine, view->security, ox_str(host));
    if (quota == NULL)
        return 0;
    char key[80];
    int len = snprintf(key, sizeof(key), "ip\n%s", host);
    struct quotas *quotas = engine->quotas;
    struct quota_meter *meter = meter_get(quotas, ox_str_n(key, (size_t)len), mono_ms);
    double ms = measure(quotas, meter, settings, quota->value, 1, mono_ms);
    if (ms > 0) /* it is not let in, so it does not count */
        measure(quotas, meter, settings, quota->value, -1, mono_ms);
    ox_lock(&quotas->lock);
    meter->refs--;
    ox_unlock(&quotas->lock);
    return ms > 0 ? (uint64_t)ceil(OX_MIN(ms, window_ms(settings))) : 0;
}

ox_code
engine_quota_mutate(struct engine_session *sess, double count, bool strict, struct ox_err *err)
{
    struct engine_bound *bound = bound_of(sess, ENGINE_QUOTA_MUTATION);
    const struct server_config *settings = engine_settings(sess->engine);
    if (bound == NULL)
        return OX_OK;
    double most = bound->bound * settings->controller_quota_window_num *
        settings->controller_quota_window_size_seconds;
    struct quotas *quotas = sess->engine->quotas;
    struct quota_meter *meter = bound->meter;
    uint64_t now = now_ms(sess);
    ox_lock(&quotas->lock);
    if (isnan(meter->tokens)) {
        meter->tokens = most;
        meter->tokens_ms = now;
    }
    meter->tokens = OX_MIN(most,
        meter->tokens + bound->bound * (double)(now - meter->tokens_ms) / 1000);
    meter->tokens_ms = meter->used_ms = now;
    bool refused = strict && meter->tokens < 0;
    if (!refused)
        meter->tokens -= count;
    double ms = -meter->tokens * 1000 / bound->bound;
    ox_unlock(&quotas->lock);
    if (refused || !strict) /* who is told to come back waits only then */
        owe(sess, ms, DELAY_MAX_MS);
    return refused ? ox_fail(err, OX_THROTTLING_QUOTA_EXCEEDED,
                         "The throttling quota has been exceeded.")
                   : OX_OK;
}

uint32_t
engine_throttle_take(struct engine_session *sess)
{
    uint32_t ms = sess->throttle_ms;
    struct engine_stats *stats = &sess->engine->stats;
    sess->throttle_ms = 0;
    if (ms > 0) {
        atomic_fetch_add_explicit(&stats->throttles, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&stats->throttled_ms, ms, memory_order_relaxed);
    }
    return ms;
}
