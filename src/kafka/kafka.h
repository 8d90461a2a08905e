/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka front end: Kafka's binary protocol over engine/. It only
 * translates: frames and messages here, everything else in the engine. */
#ifndef KAFKA_KAFKA_H
#define KAFKA_KAFKA_H

#include "engine/engine.h"
#include "net/net.h"

struct kafka_door;

/* What may change while the door is open. */
struct kafka_door_live {
    uint32_t mechanisms; /* bits of enum auth_mechanism; 0: as the settings say now */
    int64_t reauth_ms[AUTH_MECHANISM_COUNT]; /* connections.max.reauth.ms; -1: the same */
    int64_t sasl_request_max; /* sasl.server.max.receive.size; -1: the same */
    uint32_t conns_rate_max;  /* connections in a second; 0: as many as come */
    uint32_t conns_max;       /* open connections of this listener */
    uint32_t loops_max;       /* they are on; 0: all */
    bool conns_exempt;        /* from the limit of the node */
};

struct kafka_door_config {
    struct engine *engine;
    struct net *net;
    struct listener *bound;    /* net_bind(); the door serves it, it stays net's */
    const char *listener;      /* its name, "PLAINTEXT"; outlives the door */
    size_t request_bytes_max;  /* socket.request.max.bytes */
    uint32_t fetch_sessions_max;
    struct net_tls *tls; /* NULL: plain */
    const struct auth_mapping *mapping; /* names of certificates; outlives the door */
    bool sasl;           /* clients log in first */
    int backlog;             /* connections that wait to be taken */
    int send_buffer, receive_buffer; /* of the sockets; -1: the kernel's */
    struct kafka_door_live live;
};

/* Serving begins with net_start_accepting() or net_listener_start(). On: no loop. */
struct kafka_door *kafka_door_open(const struct kafka_door_config *config);
/* For what comes from now on. Any thread, one at a time. */
void kafka_door_set(struct kafka_door *door, const struct kafka_door_live *live);
/* Its listener was closed, and its last connection and request are over. */
bool kafka_door_gone(const struct kafka_door *door);
/* After all its connections are closed; the listener is net's. NULL is allowed. */
void kafka_door_free(struct kafka_door *door);

#endif
