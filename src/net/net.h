/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes between clients and front ends: listeners, connections, framing, write
 * queues, back-pressure. A front end gives a handler that says how long a
 * message is and takes whole messages; it answers by adding pieces to the
 * connection's output, which leaves in order at the end of the turn.
 *
 * A connection belongs to one loop; every call here is made on that loop. */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"

struct conn;
struct listener;
struct net;

enum { CONN_EARLY_BYTES = 16 };
enum conn_early {
    CONN_EARLY_MORE,  /* too few bytes */
    CONN_EARLY_SERVE, /* a connection like any other */
    CONN_EARLY_DONE,  /* close it */
};

/* What a front end does with a connection. All on the connection's loop, but early(). */
struct conn_handler {
    const char *protocol; /* "kafka", "sql": for diagnostics and views */
    /* A new connection: set its user pointer (conn_set_user). */
    void (*opened)(struct conn *conn, void *listener_arg);
    /* Length in bytes of the message that starts at bytes, of which have are
     * known: > 0 the whole message; 0 not yet known, needs more than `have`;
     * < 0 refused, the connection is closed (write the reason first). */
    ptrdiff_t (*frame_len)(struct conn *conn, const uint8_t *bytes, size_t have);
    /* One whole message. The slice is borrowed; to keep it past the call, take
     * a reference (ox_buf_get). Its bytes may be modified in place. May pause or
     * close the connection: no further message is delivered then. */
    void (*frame)(struct conn *conn, const struct slice *message);
    /* Output fell below the low mark after conn_full() was seen true; or NULL. */
    void (*drained)(struct conn *conn);
    /* The peer closed its side, and may read all the same. True: what it sent before is
     * delivered, if the connection is paused when that goes on, and what is queued for it
     * is sent; only then the connection is closed. A peer that is gone altogether looks
     * the same until something is written. NULL: never. */
    bool (*awaits_rest)(struct conn *conn);
    /* Peer closed, error, timeout or conn_close(): the last call for this conn,
     * which is freed when it returns. Answers still parked are dropped. */
    void (*closed)(struct conn *conn);
    /* Says itself that there are too many connections: some beyond the limits
     * are let in for that, with conn_is_surplus() true. */
    bool tells_surplus;
    /* The first bytes of a socket that is no connection yet: a request that must not
     * wait for a busy loop is obeyed here. Nothing was read when it is served. Not with
     * a listener's TLS. May be NULL. On: the door's loop. */
    enum conn_early (*early)(void *listener_arg, const uint8_t *bytes, size_t have);
};

struct net_limits {
    uint32_t conns_max;       /* of the node; see net_listener_waits() */
    uint32_t conns_per_ip_max;
    uint32_t strangers_max; /* of the node, without a login; 0 is any number */
    uint32_t conns_rate_max; /* taken in a second; 0: as many as come */
    uint32_t rate_samples;   /* how that is measured: so many samples */
    uint64_t rate_sample_ms; /* of this time */
    uint64_t idle_ns;         /* from connecting to conn_set_idle_limit(); 0 never */
    uint64_t frame_ns;        /* a started message must be whole by then */
    uint64_t write_stall_ns;  /* pending output must move within this time */
    size_t out_max;           /* conn_full() above this many pending bytes */
};

/* ---- certificates ---- */

enum net_tls_client { NET_TLS_NONE, NET_TLS_REQUESTED, NET_TLS_REQUIRED };

/* Contents, not paths: whoever reads the files sees when they change. */
struct net_tls_config {
    struct str chain; /* PEM, our certificate first; or a PKCS12 store with the key */
    struct str key;   /* PEM */
    bool keystore_pkcs12;
    const char *key_password; /* or NULL */
    struct str truststore;    /* who signs clients' certificates; PEM or PKCS12 */
    bool truststore_pkcs12;
    const char *truststore_password;
    const char *protocols; /* list of TLSv1.2, TLSv1.3 */
    const char *ciphers;   /* list, NULL: the library's */
    enum net_tls_client client_auth;
    bool kernel_tls;
    /* May the certificate get another subject, or lose alternative names? */
    bool any_subject, any_names;
};

struct net_tls;

/* alpn: the protocol clients may ask for by name, or NULL; outlives it.
 * Fails: OX_CONFIG_ERROR */
ox_code net_tls_new(const struct net_tls_config *config, const char *alpn, struct net_tls **out,
    struct ox_err *err);
/* New connections get what config says; on failure all stays. Any thread.
 * Fails: OX_CONFIG_ERROR, also when the certificate has other names than it may */
ox_code net_tls_load(struct net_tls *tls, const struct net_tls_config *config,
    struct ox_err *err);
/* Would net_tls_load() take it? */
ox_code net_tls_try(struct net_tls *tls, const struct net_tls_config *config,
    struct ox_err *err);
/* After all its connections are closed. NULL is allowed. */
void net_tls_free(struct net_tls *tls);

/* What a handshake came to. */
struct conn_tls {
    const char *protocol, *cipher;
    int bits;
    struct str subject; /* of the peer's certificate, DER; null: it showed none */
    uint8_t end_point[64]; /* tls-server-end-point of RFC 5929 */
    size_t end_point_len;
};

/* ---- listening ---- */

/* Over the sockets that the loops' environment has. */
struct net *net_new(struct loop_group *loops, const struct net_limits *limits);
/* From now on; of connections over a lowered number those are closed that were silent
 * longest, where their listener waits and is not exempt. Any thread. */
void net_set_limits(struct net *net, const struct net_limits *limits);
/* Asked about each new connection: 0 it is let in, else after how many
 * milliseconds it is closed, unserved. *most: how many connections the address may
 * have, if not as many as the limits say. On: a loop. */
typedef uint64_t (*net_gate_fn)(void *arg, const char *host, uint64_t mono_ms, uint32_t *most);
/* Before net_start_accepting(). */
void net_set_gate(struct net *net, net_gate_fn gate, void *arg);
/* Closes all connections (handlers get closed()) and frees. On: no loop. */
void net_free(struct net *net);

/* Bind and listen; port 0 takes a free one. Connections come to the first loop
 * that is not busy. tls: every connection begins with a handshake; or NULL.
 * Fails: OX_ADDRESS_IN_USE, OX_INVALID_PARAMETER_VALUE.
 * On: no loop, before or after loops run. */
ox_code net_listen(struct net *net, const char *address, int port,
    const struct conn_handler *handler, void *listener_arg, struct net_tls *tls,
    struct listener **out, struct ox_err *err);
/* The same in two steps; in between peers wait in the backlog.
 * On: no loop; net_bind() on a pool thread, too. */
ox_code net_bind(struct net *net, const char *address, int port, struct listener **out,
    struct ox_err *err);
void net_serve(struct listener *listener, const struct conn_handler *handler,
    void *listener_arg, struct net_tls *tls);
/* Instead of net_serve(). NULL is allowed. */
void net_unbind(struct listener *listener);
/* How many connections may wait to be taken (0: 1024), and the buffers of those that are
 * (0: as the kernel sizes them). Before connections come. */
void net_listener_sockets(struct listener *listener, int backlog, int send_bytes,
    int receive_bytes);
/* Connections that this listener takes in a second; 0: as many as come. Any thread. */
void net_listener_rate(struct listener *listener, uint32_t conns_rate_max);
/* On how many loops its connections are; 0: on all there are. Any thread. */
void net_listener_loops(struct listener *listener, uint32_t most);
/* What the limit of the node has no room for waits in the backlog instead of being closed,
 * and so does what is more than `most` connections of this listener. exempt: only the
 * latter; its connections may be too many for the node, then others are closed as
 * net_set_limits() says. For the first time before it accepts; then any thread. */
void net_listener_waits(struct listener *listener, uint32_t most, bool exempt);
int net_listener_port(const struct listener *listener);
/* Accept on one more, after net_start_accepting(). On: no loop. */
void net_listener_start(struct listener *listener);
/* Its socket is closed at once, its connections after grace_ns when their output was
 * sent. On: no loop. */
void net_listener_close(struct listener *listener, uint64_t grace_ns);
/* It was closed, and no connection of it is left. Any thread. */
bool net_listener_gone(const struct listener *listener);
/* One that is gone. net_free() frees those that are left. On: no loop. */
void net_listener_free(struct listener *listener);
/* Serve the sockets that listen. Until then peers wait in the backlog. On: no
 * loop. */
void net_start_accepting(struct net *net);
/* Stop accepting on all listeners (controlled shutdown). On: no loop. */
void net_stop_accepting(struct net *net);
/* Close every connection of that handler or all (NULL). On: no loop. */
void net_close_all(struct net *net);

/* ---- a connection ---- */

void conn_set_user(struct conn *conn, void *user);
void *conn_user(const struct conn *conn);
struct loop *conn_loop(const struct conn *conn);
uint64_t conn_id(const struct conn *conn); /* unique in this process */
/* Who is at the other end, as views show it; borrowed for the connection's life. */
void conn_set_session(struct conn *conn, void *session);
/* "127.0.0.1" and port of the peer; of our own end. Live as long as conn. */
const char *conn_peer_host(const struct conn *conn);
int conn_peer_port(const struct conn *conn);

/* NULL on a plain connection and until the handshake is done, which it is when
 * the first message comes. */
const struct conn_tls *conn_tls(const struct conn *conn);
/* Why the handshake failed, a static text: what the peer showed, said or asked for. NULL
 * if there was none, it did not fail, or the peer just went away. On: closed() too. */
const char *conn_tls_refusal(const struct conn *conn);
/* Go on with TLS, server side. On: frame(), when the answer was written (bytes
 * NULL; whatever the peer sent behind that message in clear ends the connection),
 * or frame_len() at the start of a hello (its bytes; return 0 then). */
void conn_start_tls(struct conn *conn, struct net_tls *tls, const void *bytes, size_t len);

/* Stop and go on delivering messages; bytes are not read while paused, so the
 * peer feels it. A close by the peer is noticed all the same, see awaits_rest. Pausing
 * nests. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
/* One more than may be: tell the peer and close. */
bool conn_is_surplus(const struct conn *conn);
/* Login done: until then the connection lives at most limits.idle_ns, messages
 * or not; from here it may be silent for idle_ns, 0 for ever. */
void conn_set_idle_limit(struct conn *conn, uint64_t idle_ns);

/* Output, in the order of calls. Nothing blocks or fails: trouble shows as
 * closed(). */
void conn_write(struct conn *conn, const void *ptr, size_t len); /* copies */
/* Room for at least len bytes, to be filled and then committed. Front ends that
 * produce rows write straight into it. No other output call in between. */
uint8_t *conn_reserve(struct conn *conn, size_t len);
void conn_commit(struct conn *conn, size_t len);
/* len bytes of an open descriptor, sent with sendfile; release(arg) once sent
 * or dropped. */
void conn_write_file(struct conn *conn, int fd, uint64_t pos, size_t len,
    void (*release)(void *arg), void *arg);
/* Send what can be sent now instead of at the end of the turn. */
void conn_flush(struct conn *conn);

/* More than limits.out_max is pending: stop producing until drained(). */
bool conn_full(struct conn *conn);
/* Whether anything is queued, or encrypted and not sent. */
bool conn_output_waits(const struct conn *conn);

/* Close after the pending output was sent (at most write_stall_ns). */
void conn_close_after_write(struct conn *conn);
/* Close at once; closed() runs at the end of this turn. */
void conn_close(struct conn *conn);
bool conn_closing(const struct conn *conn);

/* ---- what views and metrics show ---- */

struct conn_facts {
    uint64_t id;
    const char *protocol, *peer_host;
    int peer_port, loop_index;
    int64_t opened_ms;
    uint64_t bytes_in, bytes_out, messages;
    void *session; /* of conn_set_session(), or NULL */
};
/* Calls fn for each connection of this loop. On: that loop. */
void net_each_conn(struct net *net, struct loop *loop,
    void (*fn)(struct conn *conn, const struct conn_facts *facts, void *arg), void *arg);

struct net_stats {
    uint64_t accepted, refused, open, bytes_in, bytes_out;
};
void net_stats(struct net *net, struct net_stats *out); /* any thread */

#endif
