/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the Kafka door listens, and how clients are told to reach it.
 *
 *     listeners             NAME://host:port, ... what is bound; unset: one
 *                           PLAINTEXT listener at listen_address and kafka_port
 *     advertised_listeners  the same names with the hosts and ports that clients
 *                           use; unset: what is bound
 *
 *     listener.name.NAME.SETTING   what is set for one listener alone
 *
 * A listener on another address than loopback must encrypt and know its clients,
 * unless allow_insecure says that this is wanted.
 *
 * A listener without a host is bound at listen_address. Listeners that a Kafka
 * configuration has for its controllers are left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "server/server.h"

static const char *const protocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"};

bool
server_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
        strcmp(address, "localhost") == 0;
}

static bool
is_wildcard(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

bool
server_may_clash(const char *a, const char *b)
{
    bool names = !engine_is_address(ox_str(a)) || !engine_is_address(ox_str(b));
    return names || is_wildcard(a) || is_wildcard(b) || strcmp(a, b) == 0;
}

static ox_code
bad_listener(struct str text, const char *setting, struct ox_err *err)
{
    ox_code code = ox_fail(err, OX_CONFIG_ERROR, "\"%.*s\" in setting \"%s\" is not a listener",
        OX_STR_ARG(text), setting);
    ox_detail(err, "A listener is written NAME://host:port, with [] around an IPv6 address.");
    return code;
}

/* NAME://host:port. An empty host comes out as "". */
static ox_code
parse_one(struct str text, const char *setting, struct arena *arena, struct server_listener *out,
    struct ox_err *err)
{
    const char *sep = memmem(text.ptr, text.len, "://", 3);
    int64_t port;
    if (sep == NULL || sep == text.ptr)
        return bad_listener(text, setting, err);
    out->name = ox_arena_strndup(arena, text.ptr, (size_t)(sep - text.ptr));
    struct str rest = ox_str_n(sep + 3, text.len - (size_t)(sep + 3 - text.ptr));
    const char *colon = memrchr(rest.ptr, ':', rest.len);
    if (colon == NULL)
        return bad_listener(text, setting, err);
    struct str host = ox_str_n(rest.ptr, (size_t)(colon - rest.ptr));
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = ox_str_n(host.ptr + 1, host.len - 2);
    struct str digits = ox_str_n(colon + 1, rest.len - (size_t)(colon + 1 - rest.ptr));
    if (!ox_str_to_i64(digits, &port) || port < 0 || port > 65535)
        return bad_listener(text, setting, err);
    out->host = ox_arena_strndup(arena, host.ptr, host.len);
    out->port = (int)port;
    return OX_OK;
}

static bool
names_item(const char *list, const char *name)
{
    struct arena arena;
    struct str *items;
    bool found = false;
    ox_arena_init(&arena);
    size_t count = param_list_items(ox_str(list), &arena, &items);
    for (size_t i = 0; list != NULL && i < count; i++)
        found |= ox_str_is(items[i], name);
    ox_arena_fini(&arena);
    return found;
}

/* The security protocol that the map gives a name, -1 if it gives none. */
static int
protocol_of(const char *map, const char *name)
{
    char item[160];
    for (int i = 0; i < (int)ox_count(protocols); i++) {
        snprintf(item, sizeof(item), "%s:%s", name, protocols[i]);
        if (names_item(map, item))
            return i;
    }
    return -1;
}

/* Items NAME:PROTOCOL. */
static ox_code
check_map(const char *map, struct arena *arena, struct ox_err *err)
{
    struct str *items;
    size_t count = param_list_items(ox_str(map), arena, &items);
    for (size_t i = 0; i < count; i++) {
        const char *colon = items[i].len > 0 ? memrchr(items[i].ptr, ':', items[i].len) : NULL;
        bool known = false;
        for (size_t p = 0; p < ox_count(protocols) && colon != NULL; p++)
            known |= ox_str_is(ox_str_n(colon + 1, items[i].len -
                (size_t)(colon + 1 - items[i].ptr)), protocols[p]);
        if (!known)
            return ox_fail(err, OX_CONFIG_ERROR, "\"%.*s\" in \"listener.security.protocol.map\" "
                "is not NAME:PROTOCOL, the protocol being PLAINTEXT, SSL, SASL_PLAINTEXT or "
                "SASL_SSL", OX_STR_ARG(items[i]));
    }
    return OX_OK;
}

static ox_code
check_mechanisms(const struct server_listener *listener, struct ox_err *err)
{
    const struct server_config *config = listener->config;
    const char *url = config->sasl_oauthbearer_jwks_endpoint_url;
    bool tokens =
        (config->sasl_enabled_mechanisms & SERVER_SASL_ENABLED_MECHANISMS_OAUTHBEARER) != 0;
    if (tokens && (url == NULL || url[0] == 0)) {
        ox_fail(err, OX_CONFIG_ERROR, "listener \"%s\" has OAUTHBEARER in "
            "\"sasl.enabled.mechanisms\", but \"sasl.oauthbearer.jwks.endpoint.url\" is not set: "
            "no token could be verified, every login would fail", listener->name);
        return ox_hint(err, "Set it to where the keys are (https, http or file), or take "
            "OAUTHBEARER out of the mechanisms.");
    }
    const char *unmet = tokens ? engine_tokens_unmet(config) : NULL;
    if (unmet != NULL) {
        ox_fail(err, OX_CONFIG_ERROR, "%s", unmet);
        return ox_hint(err, "Set it, or sasl.oauthbearer.allow.unverified.audience or .issuer to "
            "true to accept tokens regardless of it.");
    }
    if (listener->config->sasl_enabled_mechanisms != 0)
        return OX_OK;
    return ox_fail(err, OX_CONFIG_ERROR, "listener \"%s\" has no mechanism in "
        "\"sasl.enabled.mechanisms\"", listener->name);
}

const struct server_config *
server_listener_settings(const struct meta_view *view, const char *name, int protocol,
    struct arena *arena)
{
    const struct server_listener listener = {.protocol = protocol};
    const struct server_config *config = meta_listener_settings(view, name, arena);
    if (!server_listener_sasl(&listener) ||
        meta_listener_own(view, name, NULL, PARAM_SERVER_SSL_CLIENT_AUTH).ptr != NULL)
        return config;
    struct server_config *without = ox_arena_copy(arena, config, sizeof(*config));
    without->ssl_client_auth = SERVER_SSL_CLIENT_AUTH_NONE;
    return without;
}

static ox_code
check_one(const struct meta_view *view, struct server_listener *listener, struct arena *arena,
    struct ox_err *err)
{
    const struct server_config *base = view->settings;
    listener->protocol = protocol_of(base->listener_security_protocol_map, listener->name);
    listener->config = server_listener_settings(view, listener->name, listener->protocol, arena);
    if (listener->protocol < 0)
        return ox_fail(err, OX_CONFIG_ERROR,
            "listener \"%s\" has no security protocol in \"listener.security.protocol.map\"",
            listener->name);
    if (server_listener_tls(listener) && !server_has_certificate(listener->config))
        return ox_fail(err, OX_CONFIG_ERROR, "listener \"%s\" asks for %s, but "
            "\"ssl.keystore.location\" is not set", listener->name,
            protocols[listener->protocol]);
    ox_code code = server_listener_sasl(listener) ? check_mechanisms(listener, err) : OX_OK;
    if (code != OX_OK || server_is_loopback(listener->host) || base->allow_insecure)
        return code;
    bool knows = server_listener_sasl(listener) ||
        listener->config->ssl_client_auth == SERVER_SSL_CLIENT_AUTH_REQUIRED;
    if (server_listener_tls(listener) && knows)
        return OX_OK;
    ox_fail(err, OX_CONFIG_ERROR,
        "listener \"%s\" at \"%s\" is not on a loopback address, and connections are not "
        "%s", listener->name, listener->host,
        server_listener_tls(listener) ? "authenticated" : "encrypted and authenticated");
    return ox_hint(err, "Use SASL_SSL, or SSL with ssl.client.auth=required, or set "
        "allow_insecure=on to accept that.");
}

static ox_code
parse_list(const char *text, const char *setting, const struct server_config *config,
    struct arena *arena, struct server_listener *out, size_t *count, struct ox_err *err)
{
    struct str *items;
    size_t item_count = param_list_items(ox_str(text), arena, &items);
    *count = 0;
    for (size_t i = 0; i < item_count; i++) {
        struct server_listener one = {0};
        ox_code code = parse_one(items[i], setting, arena, &one, err);
        if (code != OX_OK)
            return code;
        if (names_item(config->controller_listener_names, one.name))
            continue;
        for (size_t j = 0; j < *count; j++)
            if (strcmp(out[j].name, one.name) == 0)
                return ox_fail(err, OX_CONFIG_ERROR, "setting \"%s\" names listener \"%s\" twice",
                    setting, one.name);
        if (*count == SERVER_LISTENERS_MAX)
            return ox_fail(err, OX_CONFIG_ERROR, "setting \"%s\" names more than %d listeners",
                setting, SERVER_LISTENERS_MAX);
        out[(*count)++] = one;
    }
    return OX_OK;
}

/* What clients are told for one listener: as advertised, else as bound. */
static void
advertise(struct server_listener *listener, const struct server_listener *advertised,
    size_t count, struct arena *arena)
{
    char name[256] = "localhost";
    listener->advertised_host = listener->host;
    listener->advertised_port = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(advertised[i].name, listener->name) != 0)
            continue;
        listener->advertised_port = advertised[i].port;
        if (advertised[i].host[0] != 0)
            listener->advertised_host = advertised[i].host;
    }
    if (!is_wildcard(listener->advertised_host))
        return;
    if (gethostname(name, sizeof(name) - 1) == 0)
        listener->advertised_host = ox_arena_strdup(arena, name);
}

ox_code
server_advertise(const struct server_config *config, struct server_listener *listeners,
    size_t count, struct arena *arena, struct ox_err *err)
{
    struct server_listener advertised[SERVER_LISTENERS_MAX];
    size_t advertised_count = 0;
    ox_code code = parse_list(config->advertised_listeners, "advertised.listeners", config, arena,
        advertised, &advertised_count, err);
    for (size_t i = 0; i < advertised_count && code == OX_OK; i++) {
        bool bound = false;
        for (size_t j = 0; j < count; j++)
            bound |= strcmp(advertised[i].name, listeners[j].name) == 0;
        if (!bound)
            code = ox_fail(err, OX_CONFIG_ERROR,
                "listener \"%s\" is advertised but not in \"listeners\"", advertised[i].name);
    }
    for (size_t i = 0; i < count && code == OX_OK; i++)
        advertise(&listeners[i], advertised, advertised_count, arena);
    return code;
}

ox_code
server_listeners(const struct meta_view *view, struct arena *arena, struct server_listener *out,
    size_t *count, struct ox_err *err)
{
    const struct server_config *config = view->settings;
    ox_code code = check_map(config->listener_security_protocol_map, arena, err);
    if (code == OX_OK)
        code = parse_list(config->listeners, "listeners", config, arena, out, count, err);
    if (code != OX_OK)
        return code;
    if (*count == 0 && config->listeners != NULL && config->listeners[0] != 0)
        return ox_fail(err, OX_CONFIG_ERROR, "\"listeners\" names none that clients could use");
    if (*count == 0)
        out[(*count)++] = (struct server_listener){.name = "PLAINTEXT", .host = "",
            .port = config->kafka_port};
    for (size_t i = 0; i < *count; i++) {
        if (out[i].host[0] == 0)
            out[i].host = config->listen_address;
        code = check_one(view, &out[i], arena, err);
        if (code != OX_OK)
            return code;
    }
    return server_advertise(config, out, *count, arena, err);
}
