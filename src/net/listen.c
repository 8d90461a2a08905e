/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets. All are served by loop 0, which hands an accepted socket
 * to the first loop that is not busy, so that a quiet server stays on one core
 * and a busy one uses all.
 *
 * More connections in a second than may be wait in the backlog. A connection that
 * the gate turns away is not served; so that its peer does not come again at
 * once, it is closed after a while. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"
#include "net/net_int.h"

enum { ACCEPTS_PER_TURN = 64, BUSY_PERMILLE = 600, BACKLOG = 1024 };
/* Without a free descriptor nobody can be let in: look again after this. */
#define NO_DESCRIPTOR_NS UINT64_C(100000000)

struct listener {
    struct listener *next;
    struct net *net;
    const struct conn_handler *handler;
    void *arg;
    struct net_tls *tls;
    int fd, port;
    uv_poll_t poll;
    bool polling;
    struct loop_timer again;
    struct ox_rate rate;
    uint32_t rate_max;
};

/* One connection too many of an address, held for a while and closed. */
struct turned_away {
    struct list link;
    struct net *net;
    struct loop_timer timer;
    int fd;
};
enum { TURNED_AWAY_MAX = 1024 };

static void on_acceptable(uv_poll_t *poll, int status, int events);
static void acceptable(void *arg, int events);

struct net *
net_new(struct loop_group *loops, const struct net_limits *limits)
{
    struct net *net = ox_calloc(1, sizeof(*net));
    net->loops = loops;
    net->streams = loop_env(loop_at(loops, 0))->net;
    net->limits = *limits;
    ox_lock_init(&net->lock, LOCK_CONN_COUNTS);
    ox_map_init(&net->by_ip);
    ox_list_init(&net->turned_away);
    int count = loop_count(loops);
    net->per_loop = ox_calloc((size_t)count, sizeof(*net->per_loop));
    for (int i = 0; i < count; i++) {
        net->per_loop[i].net = net;
        net->per_loop[i].loop = loop_at(loops, i);
        ox_list_init(&net->per_loop[i].conns);
    }
    return net;
}

#define SET_LIMIT(net, from, name) \
    __atomic_store_n(&(net)->limits.name, (from)->name, __ATOMIC_RELAXED)

void
net_set_limits(struct net *net, const struct net_limits *limits)
{
    SET_LIMIT(net, limits, conns_max);
    SET_LIMIT(net, limits, conns_per_ip_max);
    SET_LIMIT(net, limits, strangers_max);
    SET_LIMIT(net, limits, conns_rate_max);
    SET_LIMIT(net, limits, rate_samples);
    SET_LIMIT(net, limits, rate_sample_ms);
    SET_LIMIT(net, limits, idle_ns);
    SET_LIMIT(net, limits, frame_ns);
    SET_LIMIT(net, limits, write_stall_ns);
    SET_LIMIT(net, limits, out_max);
}

/* ---- counting by address ---- */

static bool
count_in(struct net *net, const char *host, uint32_t per_ip, bool *surplus)
{
    ox_lock(&net->lock);
    uintptr_t count = (uintptr_t)ox_map_get(&net->by_ip, ox_str(host));
    uint64_t open = atomic_load(&net->open), most = NET_LIMIT(net, conns_max);
    if (per_ip == UINT32_MAX)
        per_ip = NET_LIMIT(net, conns_per_ip_max);
    bool fits = count < per_ip && open < most;
    bool told = !fits && *surplus && count < (uint64_t)per_ip + NET_SURPLUS_MAX &&
                open < most + NET_SURPLUS_MAX;
    if (!fits)
        limit_met(open >= most ? LIMIT_CONNECTIONS : LIMIT_CONNECTIONS_PER_IP);
    *surplus = told;
    fits |= told;
    if (fits) {
        ox_map_put(&net->by_ip, ox_str(host), (void *)(count + 1));
        atomic_fetch_add(&net->open, 1);
    }
    ox_unlock(&net->lock);
    return fits;
}

void
net_count_out(struct net *net, const char *host)
{
    ox_lock(&net->lock);
    uintptr_t count = (uintptr_t)ox_map_get(&net->by_ip, ox_str(host));
    ox_assert(count > 0);
    if (count == 1)
        ox_map_remove(&net->by_ip, ox_str(host));
    else
        ox_map_put(&net->by_ip, ox_str(host), (void *)(count - 1));
    atomic_fetch_sub(&net->open, 1);
    ox_unlock(&net->lock);
}

/* ---- accepting ---- */

struct handover {
    struct loop_msg msg;
    struct net_loop *home;
    struct listener *listener;
    int fd, peer_port;
    bool surplus;
    char peer_host[48];
};

static void
take_over(struct loop_msg *msg)
{
    struct handover *handover = ox_container_of(msg, struct handover, msg);
    conn_start(handover->home, handover->fd, handover->listener->handler,
        handover->listener->arg, handover->listener->tls, handover->peer_host, handover->peer_port,
        handover->surplus);
    ox_free(handover);
}

static struct net_loop *
pick_loop(struct net *net)
{
    int best = 0, best_load = 1001;
    for (int i = 0; i < loop_count(net->loops); i++) {
        int load = loop_load(loop_at(net->loops, i));
        if (load < BUSY_PERMILLE)
            return &net->per_loop[i];
        if (load < best_load) {
            best = i;
            best_load = load;
        }
    }
    return &net->per_loop[best];
}

static void
name_peer(const struct sockaddr_storage *address, char *host, size_t size, int *port)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, (socklen_t)size);
        *port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, (socklen_t)size);
        *port = ntohs(in6->sin6_port);
    }
}

static void
set_socket_options(int fd)
{
    int on = 1, idle_s = 60;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
}

static void
poll_listener(struct listener *listener, bool on)
{
    const struct stream_system *streams = listener->net->streams;
    if (streams != NULL)
        streams->watch(streams->self, listener->fd, on ? STREAM_READABLE : 0, acceptable, listener);
    else if (on)
        uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
    else
        uv_poll_stop(&listener->poll);
}

static void
accept_again(struct loop_timer *timer)
{
    struct listener *listener = ox_container_of(timer, struct listener, again);
    if (listener->polling)
        poll_listener(listener, true);
}

/* The socket stays readable: do not spin on it. */
static void
wait_for_descriptor(struct listener *listener)
{
    ox_warn("no descriptor is free for a connection", "port=%d", listener->port);
    poll_listener(listener, false);
    loop_timer_start(loop_at(listener->net->loops, 0), &listener->again, NO_DESCRIPTOR_NS,
        accept_again);
}

/* ---- turning away ---- */

void
net_set_gate(struct net *net, net_gate_fn gate, void *arg)
{
    net->gate = gate;
    net->gate_arg = arg;
}

static void
close_away(struct turned_away *away)
{
    loop_timer_stop(&away->timer);
    ox_list_remove(&away->link);
    away->net->turned_away_count--;
    sock_close(away->net, away->fd);
    ox_free(away);
}

static void
away_long_enough(struct loop_timer *timer)
{
    close_away(ox_container_of(timer, struct turned_away, timer));
}

static void
turn_away(struct net *net, int fd, uint64_t ms)
{
    atomic_fetch_add(&net->refused, 1);
    if (ms == 0 || net->turned_away_count >= TURNED_AWAY_MAX) {
        sock_close(net, fd);
        return;
    }
    struct turned_away *away = ox_calloc(1, sizeof(*away));
    away->net = net;
    away->fd = fd;
    ox_list_push(&net->turned_away, &away->link);
    net->turned_away_count++;
    loop_timer_start(loop_at(net->loops, 0), &away->timer, ms * 1000000, away_long_enough);
}

/* ---- how many in a second ---- */

void
net_listener_rate(struct listener *listener, uint32_t conns_rate_max)
{
    listener->rate_max = conns_rate_max;
}

static double
rate_over_ms(struct net *net, struct ox_rate *rate, uint32_t most, uint64_t now_ms)
{
    uint32_t samples = NET_LIMIT(net, rate_samples);
    uint64_t sample_ms = NET_LIMIT(net, rate_sample_ms);
    if (most == 0 || samples == 0)
        return 0;
    ox_rate_add(rate, samples, sample_ms, 1, now_ms);
    return OX_MIN(ox_rate_over_ms(rate, samples, sample_ms, most, now_ms), (double)sample_ms);
}

/* Counts the connection that was taken; those behind it may have to wait. */
static bool
slow_down(struct listener *listener, uint64_t now_ms)
{
    struct net *net = listener->net;
    double all = rate_over_ms(net, &net->rate, NET_LIMIT(net, conns_rate_max), now_ms);
    double own = rate_over_ms(net, &listener->rate, listener->rate_max, now_ms);
    double ms = OX_MAX(all, own);
    if (!(ms > 0))
        return false;
    poll_listener(listener, false);
    loop_timer_start(loop_at(net->loops, 0), &listener->again, (uint64_t)(ms * 1e6),
        accept_again);
    return true;
}

/* A socket of a peer that waits; -1 with errno. */
static int
take_socket(struct listener *listener, char *host, size_t size, int *port)
{
    const struct stream_system *streams = listener->net->streams;
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    if (streams != NULL) {
        snprintf(host, size, "127.0.0.1");
        return streams->accept(streams->self, listener->fd, port);
    }
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        name_peer(&address, host, size, port);
        set_socket_options(fd);
    }
    return fd;
}

static bool
accept_one(struct listener *listener)
{
    struct net *net = listener->net;
    char host[48] = "";
    int port = 0, fd = take_socket(listener, host, sizeof(host), &port);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
        wait_for_descriptor(listener);
    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED;
    bool surplus = listener->handler->tells_surplus;
    uint64_t now_ms = loop_now_ns(loop_at(net->loops, 0)) / 1000000, away_ms = 0;
    uint32_t per_ip = UINT32_MAX;
    bool more = !slow_down(listener, now_ms);
    if (net->gate != NULL)
        away_ms = net->gate(net->gate_arg, host, now_ms, &per_ip);
    if (away_ms > 0 || !count_in(net, host, per_ip, &surplus)) {
        turn_away(net, fd, away_ms);
        return more;
    }
    atomic_fetch_add(&net->accepted, 1);
    struct net_loop *home = pick_loop(net);
    if (loop_is(home->loop)) {
        conn_start(home, fd, listener->handler, listener->arg, listener->tls, host, port,
            surplus);
        return more;
    }
    struct handover *handover = ox_calloc(1, sizeof(*handover));
    handover->msg.fn = take_over;
    handover->home = home;
    handover->listener = listener;
    handover->fd = fd;
    handover->peer_port = port;
    handover->surplus = surplus;
    memcpy(handover->peer_host, host, sizeof(host));
    loop_post(home->loop, &handover->msg);
    return more;
}

static void
on_acceptable(uv_poll_t *poll, int status, int events)
{
    acceptable(ox_container_of(poll, struct listener, poll), events);
}

static void
acceptable(void *arg, int events)
{
    struct listener *listener = arg;
    loop_mark_work(loop_at(listener->net->loops, 0));
    for (int i = 0; i < ACCEPTS_PER_TURN; i++)
        if (!accept_one(listener))
            return;
}

static void
start_polling(struct loop *loop, void *arg)
{
    struct listener *listener = arg;
    if (loop_index(loop) != 0)
        return;
    int failed = listener->net->streams != NULL
                     ? 0
                     : uv_poll_init(loop_uv(loop), &listener->poll, listener->fd);
    ox_assert(failed == 0);
    poll_listener(listener, true);
    listener->polling = true;
}

/* ---- binding ---- */

static ox_code
bind_socket(const char *address, int port, int *out, struct ox_err *err)
{
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(address, service, &hints, &found);
    if (failed != 0)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "address \"%s\" cannot be resolved: %s",
            address, gai_strerror(failed));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    ox_code code = OX_OK;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        code = ox_fail_errno(err, errno, "cannot listen on %s port %d", address, port);
    freeaddrinfo(found);
    if (code != OX_OK && fd >= 0)
        close(fd);
    *out = fd;
    return code;
}

static int
bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char host[48];
    int port = 0;
    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        name_peer(&address, host, sizeof(host), &port);
    return port;
}

ox_code
net_listen(struct net *net, const char *address, int port, const struct conn_handler *handler,
    void *listener_arg, struct net_tls *tls, struct listener **out, struct ox_err *err)
{
    const struct stream_system *streams = net->streams;
    int fd = streams != NULL ? streams->listen(streams->self, port) : -1;
    ox_code code = OX_OK;
    if (streams == NULL)
        code = bind_socket(address, port, &fd, err);
    else if (fd < 0)
        code = ox_fail_errno(err, errno, "cannot listen on %s port %d", address, port);
    if (code != OX_OK)
        return code;
    struct listener *listener = ox_calloc(1, sizeof(*listener));
    listener->net = net;
    listener->handler = handler;
    listener->arg = listener_arg;
    listener->tls = tls;
    listener->fd = fd;
    listener->port = streams != NULL ? streams->port(streams->self, fd) : bound_port(fd);
    listener->next = net->listeners;
    net->listeners = listener;
    *out = listener;
    return OX_OK;
}

void
net_start_accepting(struct net *net)
{
    for (struct listener *listener = net->listeners; listener; listener = listener->next)
        if (!listener->polling)
            loop_each_sync(net->loops, start_polling, listener);
}

int
net_listener_port(const struct listener *listener)
{
    return listener->port;
}

static void
stop_polling(struct loop *loop, void *arg)
{
    struct net *net = arg;
    if (loop_index(loop) != 0)
        return;
    for (struct listener *listener = net->listeners; listener; listener = listener->next) {
        if (!listener->polling)
            continue;
        poll_listener(listener, false);
        loop_timer_stop(&listener->again);
        if (net->streams == NULL)
            uv_close((uv_handle_t *)&listener->poll, NULL);
        listener->polling = false;
    }
    while (!ox_list_empty(&net->turned_away))
        close_away(ox_container_of(net->turned_away.next, struct turned_away, link));
}

void
net_stop_accepting(struct net *net)
{
    loop_each_sync(net->loops, stop_polling, net);
    for (struct listener *listener = net->listeners; listener; listener = listener->next) {
        if (listener->fd >= 0)
            sock_close(net, listener->fd);
        listener->fd = -1;
    }
}

static void
close_conns(struct loop *loop, void *arg)
{
    struct net *net = arg;
    conn_close_all(&net->per_loop[loop_index(loop)]);
}

void
net_close_all(struct net *net)
{
    loop_each_sync(net->loops, close_conns, net);
}

static void
stop_sweep(struct loop *loop, void *arg)
{
    struct net *net = arg;
    loop_timer_stop(&net->per_loop[loop_index(loop)].sweep);
}

void
net_free(struct net *net)
{
    net_stop_accepting(net);
    net_close_all(net);
    loop_group_drain(net->loops); /* closed at the end of that turn, freed in the next */
    loop_each_sync(net->loops, stop_sweep, net);
    for (struct listener *listener = net->listeners, *next; listener; listener = next) {
        next = listener->next;
        ox_free(listener);
    }
    ox_map_fini(&net->by_ip);
    ox_lock_fini(&net->lock);
    ox_free(net->per_loop);
    ox_free(net);
}

void
net_stats(struct net *net, struct net_stats *out)
{
    *out = (struct net_stats){atomic_load(&net->accepted), atomic_load(&net->refused),
        atomic_load(&net->open), atomic_load(&net->bytes_in), atomic_load(&net->bytes_out)};
}
