/* SPDX-License-Identifier: Apache-2.0
 *
 * The PostgreSQL front end: frontend/backend protocol 3.0 over sql/. It only
 * translates: messages here, statements in sql/, everything else in the engine. */
#ifndef PGWIRE_PGWIRE_H
#define PGWIRE_PGWIRE_H

#include "engine/engine.h"
#include "net/net.h"

struct pgwire_door;

enum pgwire_login {
    PGWIRE_TRUST,    /* whoever says so */
    PGWIRE_AUTO,     /* a certificate that fits, else SCRAM */
    PGWIRE_SCRAM,
    PGWIRE_PASSWORD, /* in clear, inside TLS */
    PGWIRE_CERT,
};

struct pgwire_door_config {
    struct engine *engine;
    struct net *net;
    const char *address; /* to bind */
    int port;            /* 0: a free one */
    const char *temp_dir; /* where statements spill; outlives the door */
    struct net_tls *tls;  /* offered; NULL: none */
    bool tls_required;
    enum pgwire_login login;
    const struct auth_mapping *mapping; /* names of certificates; outlives the door */
};

/* Bind; serving begins with net_start_accepting(). bound_port is the real one.
 * Fails: OX_ADDRESS_IN_USE. On: no loop. */
ox_code pgwire_door_open(const struct pgwire_door_config *config, struct pgwire_door **out,
    int *bound_port, struct ox_err *err);
/* After all its connections are closed. NULL is allowed. */
void pgwire_door_free(struct pgwire_door *door);

#endif
