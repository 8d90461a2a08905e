/* SPDX-License-Identifier: Apache-2.0
 *
 * The listeners of the Kafka door that are open. They follow the settings while the
 * server runs:
 *
 *   a change of settings --kafka_doors_check(), on the pool--> refused, nothing is changed
 *        \--sockets of new listeners are BOUND and kept--> proposed, committed, published
 *             --kafka_doors_follow(), on the meta thread--> OPEN
 *   OPEN --not in "listeners" any more--> CLOSED: its socket at once, its connections
 *        after GRACE_NS, which answers under way need --the last is gone--> freed
 *
 * Who is open stays as it is but for what kafka_door_set() and the certificates take: its
 * address, security protocol and mapping rules are those of the moment it was opened.
 *
 * Invariants, under the lock
 *  1. No two of `open` have the same name.
 *  2. What is in `bound` is in no other list, and is let go after BOUND_NS. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/lock.h"
#include "kafka/kafka.h"
#include "server/server.h"

#define GRACE_NS UINT64_C(100000000)
#define BOUND_NS UINT64_C(10000000000)

struct open_door {
    struct list link;
    char *name, *host; /* host: as the setting says */
    int port, protocol;
    struct listener *listener;
    struct kafka_door *door;
    struct server_certificates *certificates;
    struct auth_mapping *mapping;
};

/* A socket of a listener that is about to be. */
struct bound {
    struct list link;
    char *name, *host;
    int port; /* as the setting says */
    struct listener *listener;
    uint64_t since_ns;
};

struct kafka_doors {
    struct kafka_doors_config config;
    struct lock lock;
    struct list open, closed, bound;
    bool stopped;
    const struct server_config *followed; /* the meta thread's */
};

/* ---- sockets that are kept ---- */

static void
bound_free(struct bound *bound, bool close)
{
    if (close)
        net_unbind(bound->listener);
    ox_free(bound->name);
    ox_free(bound->host);
    ox_free(bound);
}

static struct bound *
find_bound(struct kafka_doors *doors, const struct server_listener *want)
{
    ox_list_each(node, &doors->bound) {
        struct bound *bound = ox_container_of(node, struct bound, link);
        if (strcmp(bound->name, want->name) == 0 && strcmp(bound->host, want->host) == 0 &&
            bound->port == want->port)
            return bound;
    }
    return NULL;
}

static struct bound *
bound_new(struct kafka_doors *doors, const struct server_listener *want,
    struct listener *listener)
{
    struct bound *bound = ox_calloc(1, sizeof(*bound));
    *bound = (struct bound){.name = ox_strdup(want->name), .host = ox_strdup(want->host),
        .port = want->port, .listener = listener,
        .since_ns = env_mono_ns(doors->config.env)};
    return bound;
}

static struct listener *
take_bound(struct kafka_doors *doors, const struct server_listener *want)
{
    struct bound *bound = find_bound(doors, want);
    if (bound == NULL)
        return NULL;
    struct listener *listener = bound->listener;
    ox_list_remove(&bound->link);
    bound_free(bound, false);
    return listener;
}

/* ---- one listener ---- */

static struct open_door *
find_open(struct kafka_doors *doors, const char *name)
{
    ox_list_each(node, &doors->open) {
        struct open_door *open = ox_container_of(node, struct open_door, link);
        if (strcmp(open->name, name) == 0)
            return open;
    }
    return NULL;
}

static bool
has_own(const struct meta_view *view, const char *name, int index)
{
    return meta_listener_own(view, name, NULL, index).ptr != NULL;
}

static void
live_of(const struct meta_view *view, const char *name, size_t listeners, struct arena *arena,
    struct kafka_door_live *live)
{
    const struct server_config *own = meta_listener_settings(view, name, arena);
    *live = (struct kafka_door_live){.sasl_request_max = -1, .conns_max = UINT32_MAX,
        .conns_exempt = listeners > 1 &&
            ox_str_is(ox_str(view->settings->inter_broker_listener_name), name)};
    if (has_own(view, name, PARAM_SERVER_SASL_ENABLED_MECHANISMS))
        live->mechanisms = own->sasl_enabled_mechanisms;
    if (has_own(view, name, PARAM_SERVER_SASL_SERVER_MAX_RECEIVE_SIZE))
        live->sasl_request_max = own->sasl_server_max_receive_size;
    if (has_own(view, name, PARAM_SERVER_MAX_CONNECTION_CREATION_RATE) &&
        own->max_connection_creation_rate != INT32_MAX)
        live->conns_rate_max = (uint32_t)own->max_connection_creation_rate;
    if (has_own(view, name, PARAM_SERVER_MAX_CONNECTIONS))
        live->conns_max = (uint32_t)own->max_connections;
    if (has_own(view, name, PARAM_SERVER_LOOPS))
        live->loops_max = (uint32_t)own->loops;
    bool all = has_own(view, name, PARAM_SERVER_CONNECTIONS_MAX_REAUTH_MS);
    for (int i = 0; i < AUTH_MECHANISM_COUNT; i++) {
        struct str one = meta_listener_own(view, name, auth_mechanism_name((enum auth_mechanism)i),
            PARAM_SERVER_CONNECTIONS_MAX_REAUTH_MS);
        live->reauth_ms[i] = all ? own->connections_max_reauth_ms : -1;
        if (one.ptr != NULL)
            ox_str_to_i64(one, &live->reauth_ms[i]);
    }
}

/* What is closed, and its connections are gone; or everything is. */
static void
open_free(struct open_door *open, bool with_listener)
{
    kafka_door_free(open->door);
    if (with_listener)
        net_listener_free(open->listener);
    server_certificates_free(open->certificates);
    auth_mapping_free(open->mapping);
    ox_free(open->name);
    ox_free(open->host);
    ox_free(open);
}

static ox_code
open_one(struct kafka_doors *doors, const struct meta_view *view,
    const struct server_listener *want, size_t listeners, struct arena *arena, struct ox_err *err)
{
    struct open_door *open = ox_calloc(1, sizeof(*open));
    struct listener *bound = take_bound(doors, want);
    ox_code code = bound != NULL
                       ? OX_OK
                       : net_bind(doors->config.net, want->host, want->port, &bound, err);
    if (code == OX_OK)
        code = auth_mapping_parse(want->config->ssl_principal_mapping_rules, &open->mapping, err);
    if (code == OX_OK && server_listener_tls(want))
        code = server_certificates_new(doors->config.env, want->config, -1, NULL,
            &open->certificates, err);
    open->name = ox_strdup(want->name);
    open->host = ox_strdup(want->host);
    if (code != OX_OK) {
        net_unbind(bound);
        open_free(open, false);
        return code;
    }
    const struct server_config *config = view->settings;
    struct kafka_door_config kafka = {.engine = doors->config.engine, .net = doors->config.net,
        .bound = bound, .listener = open->name,
        .request_bytes_max = (size_t)config->socket_request_max_bytes,
        .fetch_sessions_max = (uint32_t)config->max_incremental_fetch_session_cache_slots,
        .tls = server_certificates_tls(open->certificates), .mapping = open->mapping,
        .sasl = server_listener_sasl(want), .backlog = config->socket_listen_backlog_size,
        .send_buffer = config->socket_send_buffer_bytes,
        .receive_buffer = config->socket_receive_buffer_bytes};
    live_of(view, want->name, listeners, arena, &kafka.live);
    open->port = net_listener_port(bound);
    open->protocol = want->protocol;
    open->listener = bound;
    open->door = kafka_door_open(&kafka);
    ox_list_push(&doors->open, &open->link);
    return OX_OK;
}

/* ---- all of them ---- */

/* As many loops as any listener's connections are to be on. */
static void
size_loops(struct kafka_doors *doors, const struct meta_view *view)
{
    struct arena arena;
    int open = view->settings->loops > 0 ? view->settings->loops
                                         : loop_count(doors->config.loops);
    int running = open;
    ox_arena_init(&arena);
    ox_list_each(node, &doors->open) {
        struct open_door *door = ox_container_of(node, struct open_door, link);
        if (has_own(view, door->name, PARAM_SERVER_LOOPS))
            running = OX_MAX(running, meta_listener_settings(view, door->name, &arena)->loops);
    }
    ox_arena_fini(&arena);
    loop_group_resize(doors->config.loops, open, running);
}

static const struct server_listener *
find_wanted(const struct server_listener *want, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(want[i].name, name) == 0)
            return &want[i];
    return NULL;
}

static void
close_others(struct kafka_doors *doors, const struct server_listener *want, size_t count)
{
    ox_list_each(node, &doors->open) {
        struct open_door *open = ox_container_of(node, struct open_door, link);
        if (find_wanted(want, count, open->name) != NULL)
            continue;
        net_listener_close(open->listener, GRACE_NS);
        ox_list_remove(&open->link);
        ox_list_push(&doors->closed, &open->link);
        ox_info("a listener is closed", "listener=%s port=%d", open->name, open->port);
    }
}

static ox_code
open_all(struct kafka_doors *doors, const struct meta_view *view, struct ox_err *err)
{
    struct server_listener want[SERVER_LISTENERS_MAX];
    struct arena arena;
    size_t count;
    ox_arena_init(&arena);
    ox_code code = server_listeners(view, &arena, want, &count, err);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        code = open_one(doors, view, &want[i], count, &arena, err);
    ox_arena_fini(&arena);
    return code;
}

ox_code
kafka_doors_open(const struct kafka_doors_config *config, const struct meta_view *view,
    const struct meta_view *other, struct kafka_doors **out, struct ox_err *err)
{
    struct kafka_doors *doors = *out = ox_calloc(1, sizeof(*doors));
    doors->config = *config;
    ox_lock_init(&doors->lock, LOCK_KAFKA_DOORS);
    ox_list_init(&doors->open);
    ox_list_init(&doors->closed);
    ox_list_init(&doors->bound);
    ox_code code = open_all(doors, view, err);
    if (code != OX_OK && other != NULL) {
        ox_diag_err(OX_DIAG_ERROR, "listeners are those of the configuration: what was set at run "
            "time cannot be", err);
        close_others(doors, NULL, 0);
        code = open_all(doors, other, err);
    }
    if (code == OX_OK)
        size_loops(doors, view);
    doors->followed = view->settings;
    return code;
}

static void
follow_one(struct kafka_doors *doors, const struct meta_view *view,
    const struct server_listener *want, size_t listeners, struct arena *arena)
{
    struct kafka_door_live live;
    struct ox_err err;
    struct open_door *open = find_open(doors, want->name);
    if (open == NULL && open_one(doors, view, want, listeners, arena, &err) != OX_OK) {
        ox_diag_err(OX_DIAG_ERROR, "a listener cannot be opened", &err);
    } else if (open == NULL) {
        open = find_open(doors, want->name);
        net_listener_start(open->listener);
        ox_info("a listener is open", "listener=%s port=%d", open->name, open->port);
    } else {
        live_of(view, open->name, listeners, arena, &live);
        kafka_door_set(open->door, &live);
        if (open->certificates != NULL)
            server_certificates_watch(open->certificates, want->config);
    }
}

bool
kafka_doors_follow(struct kafka_doors *doors, const struct meta_view *view)
{
    struct server_listener want[SERVER_LISTENERS_MAX];
    struct arena arena;
    struct ox_err err;
    size_t count;
    if (view->settings == doors->followed) /* made anew with each change */
        return false;
    doors->followed = view->settings;
    ox_arena_init(&arena);
    if (server_listeners(view, &arena, want, &count, &err) != OX_OK) {
        ox_diag_err(OX_DIAG_WARN, "the listeners stay as they are", &err);
    } else {
        ox_lock(&doors->lock);
        close_others(doors, want, count);
        for (size_t i = 0; i < count; i++)
            follow_one(doors, view, &want[i], count, &arena);
        size_loops(doors, view);
        ox_unlock(&doors->lock);
    }
    ox_arena_fini(&arena);
    return true;
}

/* ---- could it be? ---- */

/* Are the settings of TLS others for this listener? */
static bool
other_tls(const struct meta_view *now, const struct server_listener *want, struct arena *arena)
{
    const struct server_config *before =
        server_listener_settings(now, want->name, want->protocol, arena);
    for (int i = PARAM_SERVER_SSL_KEYSTORE_LOCATION; i <= PARAM_SERVER_SSL_KERNEL_TLS; i++) {
        const struct param *param = param_at(PARAM_SCOPE_SERVER, i);
        struct str a = param_load(param, before, arena);
        struct str b = param_load(param, want->config, arena);
        if ((a.ptr == NULL) != (b.ptr == NULL) || !ox_str_eq(a, b))
            return true;
    }
    return false;
}

static ox_code
try_certificates(struct kafka_doors *doors, const struct server_listener *want,
    struct ox_err *err)
{
    struct server_certificates *certificates;
    ox_code code = server_certificates_new(doors->config.env, want->config, -1, NULL,
        &certificates, err);
    if (code == OX_OK)
        server_certificates_free(certificates);
    return code;
}

/* Others for a listener that is open. */
static ox_code
try_others(struct kafka_doors *doors, const struct server_listener *want, struct ox_err *err)
{
    ox_code code = OX_OK;
    ox_lock(&doors->lock);
    const struct open_door *open = find_open(doors, want->name);
    if (open != NULL && open->certificates != NULL)
        code = server_certificates_try(open->certificates, want->config, err);
    ox_unlock(&doors->lock);
    return code;
}

/* One of those that go has the address: it is free only then. */
static bool
will_be_free(struct kafka_doors *doors, const struct server_listener *want,
    const struct server_listener *all, size_t count)
{
    ox_list_each(node, &doors->open) {
        struct open_door *open = ox_container_of(node, struct open_door, link);
        if (open->port == want->port && server_may_clash(open->host, want->host) &&
            find_wanted(all, count, open->name) == NULL)
            return true;
    }
    return false;
}

static ox_code
try_binding(struct kafka_doors *doors, const struct server_listener *want, struct list *tried,
    struct ox_err *err)
{
    struct listener *listener;
    ox_code code = net_bind(doors->config.net, want->host, want->port, &listener, err);
    if (code == OX_OK)
        ox_list_push(tried, &bound_new(doors, want, listener)->link);
    return code;
}

static ox_code
check_one(struct kafka_doors *doors, const struct meta_view *now, const struct server_listener *all,
    size_t count, size_t i, struct list *tried, struct arena *arena, struct ox_err *err)
{
    static const char *const protocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};
    const struct server_listener *want = &all[i];
    struct auth_mapping *mapping = NULL;
    ox_lock(&doors->lock);
    const struct open_door *open = find_open(doors, want->name);
    int protocol = open != NULL ? open->protocol : -1;
    bool ready = open != NULL || find_bound(doors, want) != NULL ||
        will_be_free(doors, want, all, count);
    ox_unlock(&doors->lock);
    if (protocol >= 0 && protocol != want->protocol)
        return ox_fail(err, OX_CONFIG_ERROR, "listener \"%s\" is open with %s, which cannot "
            "become %s while it is", want->name, protocols[protocol], protocols[want->protocol]);
    ox_code code = OX_OK;
    if (server_listener_tls(want) && (protocol < 0 || other_tls(now, want, arena)))
        code = protocol < 0 ? try_certificates(doors, want, err)
                            : try_others(doors, want, err);
    if (code == OX_OK && protocol < 0)
        code = auth_mapping_parse(want->config->ssl_principal_mapping_rules, &mapping, err);
    auth_mapping_free(mapping);
    return code == OX_OK && !ready ? try_binding(doors, want, tried, err) : code;
}

/* Kafka's brokers reach each other by that one, and so do tools that ask for it. */
static ox_code
check_inter_broker(const struct meta_view *then, const struct server_listener *all, size_t count,
    struct ox_err *err)
{
    const char *name = then->settings->inter_broker_listener_name;
    if (name == NULL || name[0] == 0 || find_wanted(all, count, name) != NULL)
        return OX_OK;
    return ox_fail(err, OX_CONFIG_ERROR, "listener \"%s\" of \"inter.broker.listener.name\" is "
        "not in \"listeners\"", name);
}

static void
keep(struct kafka_doors *doors, struct list *tried, bool kept)
{
    struct list *node;
    ox_lock(&doors->lock);
    kept &= !doors->stopped;
    while (kept && (node = ox_list_pop(tried)) != NULL)
        ox_list_push(&doors->bound, node);
    ox_unlock(&doors->lock);
    while ((node = ox_list_pop(tried)) != NULL)
        bound_free(ox_container_of(node, struct bound, link), true);
}

ox_code
kafka_doors_check(void *arg, const struct meta_view *now, const struct meta_view *then, bool kept,
    struct ox_err *err)
{
    struct kafka_doors *doors = arg;
    struct server_listener all[SERVER_LISTENERS_MAX];
    struct arena arena;
    struct list tried;
    size_t count;
    ox_list_init(&tried);
    ox_arena_init(&arena);
    ox_code code = server_listeners(then, &arena, all, &count, err);
    if (code == OX_OK)
        code = check_inter_broker(then, all, count, err);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        code = check_one(doors, now, all, count, i, &tried, &arena, err);
    keep(doors, &tried, kept && code == OX_OK);
    ox_arena_fini(&arena);
    return code;
}

/* ---- what others know of them ---- */

void
kafka_doors_tell(struct kafka_doors *doors, const struct server_config *settings,
    struct arena *arena, struct meta_listener **out, uint32_t *count)
{
    struct server_listener from[SERVER_LISTENERS_MAX];
    int ports[SERVER_LISTENERS_MAX];
    struct ox_err err;
    size_t used = 0;
    ox_lock(&doors->lock);
    ox_list_each(node, &doors->open) {
        const struct open_door *open = ox_container_of(node, struct open_door, link);
        if (used == SERVER_LISTENERS_MAX)
            break;
        ports[used] = open->port;
        from[used++] = (struct server_listener){.name = ox_arena_strdup(arena, open->name),
            .host = ox_arena_strdup(arena, open->host), .protocol = open->protocol};
    }
    ox_unlock(&doors->lock);
    if (server_advertise(settings, from, used, arena, &err) != OX_OK) {
        ox_diag_err(OX_DIAG_WARN, "listeners are advertised as they are bound", &err);
        struct server_config none = *settings;
        none.advertised_listeners = NULL;
        server_advertise(&none, from, used, arena, &err);
    }
    struct meta_listener *to = ox_arena_array(arena, struct meta_listener, used + 1);
    for (size_t i = 0; i < used; i++)
        to[i] = (struct meta_listener){ox_str(from[i].name), ox_str(from[i].advertised_host),
            (uint16_t)(from[i].advertised_port != 0 ? from[i].advertised_port : ports[i]),
            (int16_t)from[i].protocol};
    *out = to;
    *count = (uint32_t)used;
}

void
kafka_doors_first(struct kafka_doors *doors, char *text, size_t size)
{
    ox_lock(&doors->lock);
    snprintf(text, size, "-");
    if (!ox_list_empty(&doors->open)) {
        const struct open_door *open =
            ox_container_of(doors->open.next, struct open_door, link);
        snprintf(text, size, "%s:%d", open->host, open->port);
    }
    ox_unlock(&doors->lock);
}

bool
kafka_doors_ask(struct kafka_doors *doors, const struct meta_view *view)
{
    struct arena arena;
    bool ask = false;
    ox_arena_init(&arena);
    ox_lock(&doors->lock);
    ox_list_each(node, &doors->open) {
        const struct open_door *open = ox_container_of(node, struct open_door, link);
        ask |= (open->protocol & 2) != 0 ||
            meta_listener_settings(view, open->name, &arena)->ssl_client_auth ==
                SERVER_SSL_CLIENT_AUTH_REQUIRED;
    }
    ox_unlock(&doors->lock);
    ox_arena_fini(&arena);
    return ask;
}

/* ---- life ---- */

static void
take_over_ones(struct kafka_doors *doors, struct list *over)
{
    uint64_t now = env_mono_ns(doors->config.env);
    ox_list_each(node, &doors->closed) {
        struct open_door *open = ox_container_of(node, struct open_door, link);
        if (!kafka_door_gone(open->door))
            continue;
        ox_list_remove(&open->link);
        ox_list_push(over, &open->link);
    }
    ox_list_each(other, &doors->bound) {
        struct bound *bound = ox_container_of(other, struct bound, link);
        if (now - bound->since_ns < BOUND_NS)
            continue;
        ox_list_remove(&bound->link);
        bound_free(bound, true);
    }
}

void
kafka_doors_tend(struct kafka_doors *doors, const struct meta_view *view)
{
    struct arena arena;
    struct list over, *node;
    ox_list_init(&over);
    ox_arena_init(&arena);
    ox_lock(&doors->lock);
    ox_list_each(each, &doors->open) {
        struct open_door *open = ox_container_of(each, struct open_door, link);
        if (open->certificates != NULL)
            server_certificates_watch(open->certificates,
                server_listener_settings(view, open->name, open->protocol, &arena));
    }
    take_over_ones(doors, &over);
    ox_unlock(&doors->lock);
    while ((node = ox_list_pop(&over)) != NULL)
        open_free(ox_container_of(node, struct open_door, link), true);
    ox_arena_fini(&arena);
}

void
kafka_doors_stop(struct kafka_doors *doors)
{
    struct list *node;
    if (doors == NULL)
        return;
    ox_lock(&doors->lock);
    doors->stopped = true;
    while ((node = ox_list_pop(&doors->bound)) != NULL)
        bound_free(ox_container_of(node, struct bound, link), true);
    ox_unlock(&doors->lock);
}

void
kafka_doors_free(struct kafka_doors *doors)
{
    struct list *node;
    if (doors == NULL)
        return;
    while ((node = ox_list_pop(&doors->open)) != NULL)
        open_free(ox_container_of(node, struct open_door, link), false);
    while ((node = ox_list_pop(&doors->closed)) != NULL)
        open_free(ox_container_of(node, struct open_door, link), false);
    ox_lock_fini(&doors->lock);
    ox_free(doors);
}
