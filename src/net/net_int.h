/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside net/: what listen.c and conn.c share. */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include <stdatomic.h>
#include <uv.h>

#include "base/lock.h"
#include "base/map.h"
#include "net/net.h"

/* What one loop keeps for its connections. Only that loop touches it. */
struct net_loop {
    struct net *net;
    struct loop *loop;
    struct list conns;
    uint32_t conn_count;
    struct buf *shared; /* where small messages are read */
    size_t shared_used;
    struct loop_timer sweep;
};

struct net {
    struct loop_group *loops;
    struct net_limits limits; /* read with NET_LIMIT() */
    struct net_loop *per_loop;
    struct listener *listeners;
    struct lock lock; /* by_ip */
    struct map by_ip; /* host text -> number of connections, as pointer value */
    _Atomic uint64_t next_id, accepted, refused, open, bytes_in, bytes_out;
};
#define NET_LIMIT(net, name) __atomic_load_n(&(net)->limits.name, __ATOMIC_RELAXED)
/* Connections beyond the limits that are only told so. */
enum { NET_SURPLUS_MAX = 32 };

/* Take over an accepted socket. On: target's loop. */
void conn_start(struct net_loop *home, int fd, const struct conn_handler *handler,
    void *listener_arg, const char *peer_host, int peer_port, bool surplus);
/* Count a connection of host; false if it is one too many. *surplus: whether it
 * may be let in all the same, and then whether it was. Any thread. */
bool net_count_in(struct net *net, const char *host, bool *surplus);
void net_count_out(struct net *net, const char *host);
/* Close every connection of this loop. On: the loop. */
void conn_close_all(struct net_loop *home);

#endif
