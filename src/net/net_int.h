/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside net/: what listen.c and conn.c share. */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include <stdatomic.h>
#include <uv.h>

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/map.h"
#include "base/param.h"
#include "base/rate.h"
#include "base/stream.h"
#include "net/net.h"

/* What one loop keeps for its connections. Only that loop touches it. */
struct net_loop {
    struct net *net;
    struct loop *loop; /* NULL until it had a connection */
    struct list conns, farewells;
    uint32_t conn_count;
    struct buf *shared; /* where small messages are read */
    size_t shared_used;
    struct loop_timer sweep;
    uint64_t moved;         /* bytes since the last sweep */
    uint32_t quiet_seconds; /* without much of that */
};

/* Too many connections: which are closed (shed.c). */
enum { SHED_MAX = 32 };
struct shed {
    struct loop_msg msg;
    _Atomic bool running, stopped;
    enum { SHED_LOOK, SHED_CLOSE, SHED_SETTLE } phase;
    int at; /* the loop that has the message */
    uint32_t wanted, count;
    struct shed_one {
        uint64_t id, last_ns;
        int loop;
    } oldest[SHED_MAX];
};

struct net {
    struct loop_group *loops;
    const struct stream_system *streams; /* simulated sockets; or NULL */
    struct net_limits limits; /* read with NET_LIMIT() */
    struct net_loop *per_loop;
    struct listener *listeners;
    struct lock lock; /* by_ip */
    struct map by_ip; /* host text -> number of connections, as pointer value */
    net_gate_fn gate;
    void *gate_arg;
    /* On the door's loop. */
    struct ox_rate rate;     /* of all listeners */
    struct list turned_away; /* sockets that are closed later */
    struct list looked_at;   /* sockets whose first bytes have not come */
    uint32_t turned_away_count, looked_at_count;
    bool closed;
    _Atomic uint32_t arriving; /* taken by listeners that wait, not counted as open yet */
    _Atomic bool any_full;     /* a listener waits for room; set on the door's loop */
    _Atomic bool room_posted;
    struct loop_msg room;
    struct shed shed;
    _Atomic uint32_t strangers; /* connections that have not logged in */
    _Atomic uint64_t next_id, accepted, refused, open, bytes_in, bytes_out;
};
#define NET_LIMIT(net, name) __atomic_load_n(&(net)->limits.name, __ATOMIC_RELAXED)
/* Connections beyond the limits that are only told so. */
enum { NET_SURPLUS_MAX = 32 };

/* ---- sockets: the operating system's, or simulated ones. As the system calls. ---- */

static inline ssize_t
sock_recv(const struct net *net, int fd, void *to, size_t len)
{
    if (__builtin_expect(net->streams != NULL, 0))
        return net->streams->recv(net->streams->self, fd, to, len);
    return recv(fd, to, len, MSG_DONTWAIT);
}

static inline ssize_t
sock_send(const struct net *net, int fd, const struct iovec *iov, int count, bool more)
{
    if (__builtin_expect(net->streams != NULL, 0))
        return net->streams->send(net->streams->self, fd, iov, count);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
        .msg_iovlen = (size_t)count};
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
}

/* Simulated files have no descriptors: nobody comes here with one. */
static inline ssize_t
sock_send_file(const struct net *net, int fd, int file, off_t *pos, size_t len)
{
    if (__builtin_expect(net->streams == NULL, 1))
        return sendfile(fd, file, pos, len);
    errno = EINVAL;
    return -1;
}

static inline void
sock_shutdown(const struct net *net, int fd)
{
    if (net->streams != NULL)
        net->streams->shutdown(net->streams->self, fd);
    else
        shutdown(fd, SHUT_WR);
}

static inline void
sock_close(const struct net *net, int fd)
{
    if (net->streams != NULL)
        net->streams->close(net->streams->self, fd);
    else
        close(fd);
}

/* Take over an accepted socket. On: target's loop. */
void conn_start(struct net_loop *home, int fd, struct listener *listener,
    const struct conn_handler *handler, void *listener_arg, struct net_tls *tls,
    const char *peer_host, int peer_port, bool surplus);
/* A connection of host is closed. Any thread. */
void net_count_out(struct listener *listener, const char *host);
/* Close every connection of this loop. On: the loop. */
void conn_close_all(struct net_loop *home);
/* There may be too many connections: see. Any thread. */
void net_shed(struct net *net);
/* On: no loop. */
void net_shed_stop(struct net *net);
/* Whether connections of the listener may be closed for that. */
bool net_listener_sheds(const struct listener *listener);
/* Those of this loop that may be, and when they were heard last. On: the loop. */
void conn_each_idle(struct net_loop *home, void (*fn)(void *arg, uint64_t id, uint64_t last_ns),
    void *arg);
/* On: the loop. */
void conn_close_id(struct net_loop *home, uint64_t id);
/* Close those of one listener when their output was sent. On: the loop. */
void conn_close_of(struct net_loop *home, const struct listener *listener);

/* ---- tls.c: one connection's TLS ---- */

struct tls *tls_new(struct net_tls *server, int fd);
void tls_free(struct tls *tls); /* NULL is allowed */
/* Bytes of the peer that were read already. */
void tls_feed(struct tls *tls, const void *bytes, size_t len);
/* As recv(): plain bytes; 0 the end; -1 with EAGAIN, or EPROTO: it is broken. */
ssize_t tls_read(struct tls *tls, const struct net *net, int fd, void *to, size_t len);
/* tls_read() would find more without the socket becoming readable. */
bool tls_has_input(const struct tls *tls);
bool tls_ready(const struct tls *tls); /* the handshake is done */
/* Plain bytes to be sent: how many were taken; -1 with EAGAIN or EPROTO. */
ssize_t tls_write(struct tls *tls, const void *from, size_t len);
bool tls_wants_input(const struct tls *tls); /* none are taken until tls_read() was called */
size_t tls_out_len(const struct tls *tls); /* sealed, not sent */
ssize_t tls_send(struct tls *tls, const struct net *net, int fd); /* as send() */
void tls_goodbye(struct tls *tls);         /* close_notify */
const struct conn_tls *tls_facts(const struct tls *tls);
const char *tls_refusal(const struct tls *tls); /* see conn_tls_refusal() */

#endif
