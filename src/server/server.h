/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside server/: what main.c, config.c, boot.c and http.c share. Nothing above
 * this folder exists. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "engine/engine.h"
#include "meta/meta.h"
#include "net/net.h"

/* ---- configuration ---- */

/* listener.name.NAME.SETTING=VALUE, NAME in lower case. */
struct server_override {
    const char *listener, *value;
    const struct param *param;
};

struct server_options {
    struct arena arena; /* holds all strings */
    struct server_override *overrides;
    size_t override_count;
    const char *dir;    /* -D */
    const char *config_file; /* --config, or DIR/oxbow.conf if it is there */
    struct meta_setting *settings; /* what files and command line set */
    size_t setting_count;
    struct server_config config; /* effective at start */
    const struct env *env; /* NULL: the operating system's */
    FILE *faults; /* where bad settings are reported; NULL: stderr */
    bool by_hand; /* no loops and flushers of its own: see server_turn() */
};

/* Read argv, then the configuration file; -c wins over the file. Every bad
 * value is reported on stderr with its file and line before this fails.
 * Returns OX_OK, or OX_CONFIG_ERROR with the number of faults in the message. */
ox_code server_options_read(int argc, char **argv, struct server_options *options,
    struct ox_err *err);
/* The file alone, for SIGHUP: the settings whose rows may change live. */
ox_code server_options_reload(const struct server_options *options, struct arena *arena,
    struct meta_setting **settings, size_t *count, struct ox_err *err);
void server_options_fini(struct server_options *options);

enum { SERVER_LISTENERS_MAX = 8 };

/* A listener of the Kafka door; strings live in the arena or the settings. */
struct server_listener {
    const char *name, *host; /* host: to bind */
    int port;                /* to bind; 0 a free one */
    const char *advertised_host;
    int advertised_port; /* 0: the bound one */
    int protocol;        /* as in Kafka: 0 PLAINTEXT 1 SSL 2 SASL_PLAINTEXT 3 SASL_SSL */
    const struct server_config *config; /* with what is set for this listener alone */
};
static inline bool
server_listener_tls(const struct server_listener *listener)
{
    return (listener->protocol & 1) != 0;
}
static inline bool
server_listener_sasl(const struct server_listener *listener)
{
    return (listener->protocol & 2) != 0;
}

/* What the settings say about listeners, checked.
 * Fails:  OX_CONFIG_ERROR */
ox_code server_listeners(const struct server_options *options, struct arena *arena,
    struct server_listener *out, size_t *count, struct ox_err *err);
/* Where clients are told to go, as config says now; strings live in the arena or as
 * long as listeners. On failure the listeners are as they were.
 * Fails:  OX_CONFIG_ERROR */
ox_code server_advertise(const struct server_config *config, struct server_listener *listeners,
    size_t count, struct arena *arena, struct ox_err *err);
bool server_is_loopback(const char *address);
/* base with what is set for one listener alone, in the arena. */
const struct server_config *server_listener_config(const struct server_options *options,
    const struct server_config *base, const char *name, struct arena *arena);

/* Whether a setting of the server, by its number, is set for one listener alone. */
bool server_listener_has(const struct server_options *options, const char *name, int index);

/* ---- certificates (certificates.c) ---- */

struct server_certificates;
/* Reads what config names. client_auth: enum net_tls_client, or -1 for what the
 * setting says. Fails: OX_CONFIG_ERROR, OX_FILE_NOT_FOUND, I/O */
ox_code server_certificates_new(const struct env *env, const struct server_config *config,
    int client_auth, const char *alpn, struct server_certificates **out, struct ox_err *err);
void server_certificates_free(struct server_certificates *certificates);
struct net_tls *server_certificates_tls(struct server_certificates *certificates);
/* Read again; where something is new, new connections get it. A failure is
 * written down and leaves what there was. On: the main thread. */
void server_certificates_watch(struct server_certificates *certificates,
    const struct server_config *config);
/* Does config name a certificate? */
bool server_has_certificate(const struct server_config *config);

/* ---- boot ---- */

struct server; /* everything that runs */

/* Build every object, from the disk up, and serve. */
ox_code server_start(const struct server_options *options, struct server **out,
    struct ox_err *err);
/* Controlled shutdown: refuse new connections, answer what is under way, close
 * the logs cleanly. */
void server_stop(struct server *server);

/* For simulations (options.by_hand): one turn of the loops and one flush of the
 * logs; ready as loop_group_turn() has it. True: something was done. */
bool server_turn(struct server *server, void (*ready)(void *arg), void *arg);

struct server_doors {
    int32_t node_id;
    char kafka[64], sql[64], http[64]; /* host:port */
};
void server_doors(const struct server *server, struct server_doors *out);
/* Non-OK once the node cannot go on (its metadata disk failed). */
ox_code server_health(struct server *server, struct ox_err *err);
void server_reload(struct server *server, const struct server_options *options);
/* Once a second: certificates that changed, memory that a quiet server does not need. */
void server_tend(struct server *server);

/* ---- HTTP: /metrics, /healthz ---- */

struct http_door;
ox_code http_door_open(struct engine *engine, const char *address, int port,
    struct http_door **out, int *bound_port, struct ox_err *err);
void http_door_free(struct http_door *door);

#endif
