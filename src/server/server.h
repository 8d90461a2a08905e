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

struct server_options {
    struct arena arena; /* holds all strings */
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

/* What the settings of a view say about listeners, checked; strings live in the arena or
 * the view.  Fails:  OX_CONFIG_ERROR */
ox_code server_listeners(const struct meta_view *view, struct arena *arena,
    struct server_listener *out, size_t *count, struct ox_err *err);
/* The settings of one listener, in the arena. One whose clients log in asks for their
 * certificates besides only where ssl.client.auth is set for it alone (KIP-684). */
const struct server_config *server_listener_settings(const struct meta_view *view,
    const char *name, int protocol, struct arena *arena);
/* Where clients are told to go, as config says now; strings live in the arena or as
 * long as listeners. On failure the listeners are as they were.
 * Fails:  OX_CONFIG_ERROR */
ox_code server_advertise(const struct server_config *config, struct server_listener *listeners,
    size_t count, struct arena *arena, struct ox_err *err);
bool server_is_loopback(const char *address);
/* Is a port of one address taken for the other? Of names nothing is known. */
bool server_may_clash(const char *a, const char *b);

/* ---- the listeners of the Kafka door that are open (doors.c) ---- */

struct kafka_doors;
struct kafka_doors_config {
    const struct env *env;
    struct engine *engine;
    struct net *net;
    struct loop_group *loops;
};
/* Open what the view's settings say, or if that cannot be, what those of another view (or
 * NULL) do; not served yet.
 * Fails: OX_CONFIG_ERROR, OX_ADDRESS_IN_USE, ...; *out is to be freed then, too. On: no loop */
ox_code kafka_doors_open(const struct kafka_doors_config *config, const struct meta_view *view,
    const struct meta_view *other, struct kafka_doors **out, struct ox_err *err);
/* An engine_broker_check_fn; arg: the doors. Could the listeners be as `then` says? kept:
 * sockets of new ones stay bound for kafka_doors_follow(). On: no loop */
ox_code kafka_doors_check(void *arg, const struct meta_view *now, const struct meta_view *then,
    bool kept, struct ox_err *err);
/* Be as the view says: after net_start_accepting(). What cannot be is written down.
 * True: something may have changed. On: the meta thread */
bool kafka_doors_follow(struct kafka_doors *doors, const struct meta_view *view);
/* What clients are told of them as the settings are, in the arena. */
void kafka_doors_tell(struct kafka_doors *doors, const struct server_config *settings,
    struct arena *arena, struct meta_listener **out, uint32_t *count);
/* host:port of the first. */
void kafka_doors_first(struct kafka_doors *doors, char *text, size_t size);
/* Whether one of them asks who its clients are. */
bool kafka_doors_ask(struct kafka_doors *doors, const struct meta_view *view);
/* Once a second: certificates that changed, what is closed and over. On: the main thread */
void kafka_doors_tend(struct kafka_doors *doors, const struct meta_view *view);
/* Before net_free(), and after. NULL is allowed. */
void kafka_doors_stop(struct kafka_doors *doors);
void kafka_doors_free(struct kafka_doors *doors);

/* ---- telling the cluster where this node listens (teller.c) ---- */

struct teller;
struct teller_config {
    const struct env *env;
    /* What to register as these settings are (NULL: as they are now); in the arena. */
    void (*make)(void *arg, const struct server_config *settings, struct arena *arena,
        struct meta_command *cmd);
    ox_code (*propose)(void *arg, struct meta_call *call, const struct meta_command *cmd,
        struct ox_err *err); /* as meta_propose() */
    void *arg;
};
struct teller *teller_new(const struct teller_config *config);
/* When all that was proposed is answered. NULL is allowed. */
void teller_free(struct teller *teller);
/* The cluster was told that, at the start. */
void teller_told(struct teller *teller, const struct meta_command *cmd);
/* Tell what the settings make of it, if that is something else. On: the meta thread */
void teller_tell(struct teller *teller, const struct server_config *settings);
/* Once a second: what was refused. On: the main thread */
void teller_tend(struct teller *teller);

/* ---- certificates (certificates.c) ---- */

struct server_certificates;
/* Reads what config names. client_auth: enum net_tls_client, or -1 for what the
 * setting says. Fails: OX_CONFIG_ERROR, OX_FILE_NOT_FOUND, I/O */
ox_code server_certificates_new(const struct env *env, const struct server_config *config,
    int client_auth, const char *alpn, struct server_certificates **out, struct ox_err *err);
void server_certificates_free(struct server_certificates *certificates);
struct net_tls *server_certificates_tls(struct server_certificates *certificates);
/* Read again; where something is new, new connections get it. A failure is
 * written down and leaves what there was. On: one thread at a time. */
void server_certificates_watch(struct server_certificates *certificates,
    const struct server_config *config);
/* Would they be taken? Fails: as server_certificates_new() */
ox_code server_certificates_try(struct server_certificates *certificates,
    const struct server_config *config, struct ox_err *err);
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
