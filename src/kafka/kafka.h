/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka front end: Kafka's binary protocol over engine/. It only
 * translates: frames and messages here, everything else in the engine. */
#ifndef KAFKA_KAFKA_H
#define KAFKA_KAFKA_H

#include "engine/engine.h"
#include "net/net.h"

struct kafka_door;

struct kafka_door_config {
    struct engine *engine;
    struct net *net;
    const char *address;       /* to bind */
    int port;                  /* 0: a free one */
    const char *listener;      /* its name, "PLAINTEXT"; outlives the door */
    size_t request_bytes_max;  /* socket.request.max.bytes */
    uint32_t fetch_sessions_max;
    struct net_tls *tls; /* NULL: plain */
    const struct auth_mapping *mapping; /* names of certificates; outlives the door */
    bool sasl;           /* clients log in first */
    uint32_t mechanisms; /* bits of enum auth_mechanism; 0: as the settings say now */
    const char *plain_users; /* of PLAIN here alone; NULL: as the settings say now */
    uint32_t conns_rate_max; /* connections in a second; 0: as many as come */
    int backlog;             /* connections that wait to be taken */
    int send_buffer, receive_buffer; /* of the sockets; -1: the kernel's */
    uint32_t conns_max;      /* open connections of this listener */
    bool conns_exempt;       /* from the limit of the node */
};

/* Bind; serving begins with net_start_accepting(). bound_port is the real one.
 * Fails: OX_ADDRESS_IN_USE. On: no loop. */
ox_code kafka_door_open(const struct kafka_door_config *config, struct kafka_door **out,
    int *bound_port, struct ox_err *err);
/* After all its connections are closed. NULL is allowed. */
void kafka_door_free(struct kafka_door *door);

#endif
