/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside server/: what main.c, config.c, boot.c and http.c share. Nothing above
 * this folder exists. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/engine.h"
#include "meta/meta.h"

/* ---- configuration ---- */

struct server_options {
    struct arena arena; /* holds all strings */
    const char *dir;    /* -D */
    const char *config_file; /* --config, or DIR/oxbow.conf if it is there */
    struct meta_setting *settings; /* what files and command line set */
    size_t setting_count;
    struct server_config config; /* effective at start */
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
};

/* What the settings say about listeners, checked.
 * Fails:  OX_CONFIG_ERROR, OX_FEATURE_NOT_SUPPORTED (TLS, SASL) */
ox_code server_listeners(const struct server_config *config, struct arena *arena,
    struct server_listener *out, size_t *count, struct ox_err *err);
bool server_is_loopback(const char *address);

/* ---- boot ---- */

struct server; /* everything that runs */

/* Build every object, from the disk up, and serve. */
ox_code server_start(const struct server_options *options, struct server **out,
    struct ox_err *err);
/* Controlled shutdown: refuse new connections, answer what is under way, close
 * the logs cleanly. */
void server_stop(struct server *server);

struct server_doors {
    int32_t node_id;
    char kafka[64], sql[64], http[64]; /* host:port */
};
void server_doors(const struct server *server, struct server_doors *out);
/* Non-OK once the node cannot go on (its metadata disk failed). */
ox_code server_health(struct server *server, struct ox_err *err);
void server_reload(struct server *server, const struct server_options *options);

/* ---- HTTP: /metrics, /healthz ---- */

struct http_door;
ox_code http_door_open(struct engine *engine, const char *address, int port,
    struct http_door **out, int *bound_port, struct ox_err *err);
void http_door_free(struct http_door *door);

#endif
