/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets. All are served by the door's loop, on which nothing computes:
 * it hands an accepted socket to the first loop that is not busy, so that a quiet
 * server stays on one core and a busy one uses all.
 *
 *   accepted --no early()--> handed over
 *   accepted --early()--> looked at until its first bytes tell
 *        LOOKED AT --EARLY_SERVE, 50 ms, too many of them--> handed over, nothing read
 *        LOOKED AT --EARLY_DONE--> closed
 *
 * What is looked at is not counted yet; the loop that gets the socket asks the gate
 * and counts.
 *
 * More connections in a second than may be wait in the backlog. A connection that
 * the gate turns away is not served; so that its peer does not come again at
 * once, it is closed after a while.
 *
 * Where a listener waits for room, a socket has its place before it is taken:
 *
 *   net->arriving, listener->open   taken, on its way to its loop
 *   net->open, listener->open       a connection
 *
 * Who leaves a place tells the door's loop if a listener is full, which then looks
 * again. `full` is set before the last look, so that no place is missed.
 *
 * Listeners come and go while others serve:
 *
 *   BOUND --net_serve()--> SERVED --net_listener_start()--> POLLED
 *     --net_listener_close()--> CLOSED --its last connection ends--> gone, may be freed
 *
 * `refs` counts what points to a listener: sockets on their way, connections, the
 * handle of the poll, the messages that end its connections. */
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

enum { ACCEPTS_PER_TURN = 64, BUSY_PERMILLE = 600, BACKLOG = 1024, LOOKED_AT_MAX = 64 };
/* A loop whose turn lasts longer is passed over. */
#define HELD_NS UINT64_C(2000000)
/* Who says nothing for so long is handed over. */
#define SILENT_NS UINT64_C(50000000)
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
    _Atomic uint32_t rate_max;
    bool waits; /* net_listener_waits() */
    _Atomic bool exempt;
    _Atomic uint32_t conns_max, loops_max;
    _Atomic uint32_t open; /* with waits: sockets that were taken and have a place */
    bool full, slowed;     /* on the door's loop: why it is not polled */
    _Atomic bool closed;
    _Atomic uint32_t refs;
};

/* One connection too many of an address, held for a while and closed. */
struct turned_away {
    struct loop_msg msg;
    struct list link;
    struct net *net;
    struct loop_timer timer;
    uint64_t ms;
    int fd;
};
enum { TURNED_AWAY_MAX = 1024 };

static void on_acceptable(uv_poll_t *poll, int status, int events);
static void acceptable(void *arg, int events);
static void room_again(struct loop_msg *msg);

struct net *
net_new(struct loop_group *loops, const struct net_limits *limits)
{
    struct net *net = ox_calloc(1, sizeof(*net));
    net->loops = loops;
    net->streams = loop_env(loop_at(loops, 0))->net;
    net->limits = *limits;
    net->room.fn = room_again;
    ox_lock_init(&net->lock, LOCK_CONN_COUNTS);
    ox_map_init(&net->by_ip);
    ox_list_init(&net->turned_away);
    ox_list_init(&net->looked_at);
    net->per_loop = ox_calloc(LOOPS_MAX, sizeof(*net->per_loop));
    for (int i = 0; i < LOOPS_MAX; i++) {
        net->per_loop[i].net = net;
        ox_list_init(&net->per_loop[i].conns);
        ox_list_init(&net->per_loop[i].farewells);
    }
    return net;
}

#define SET_LIMIT(net, from, name) \
    __atomic_store_n(&(net)->limits.name, (from)->name, __ATOMIC_RELAXED)

/* A place may be free: who waits for one looks. */
static void
tell_room(struct net *net)
{
    if (atomic_load(&net->any_full) && !atomic_exchange(&net->room_posted, true))
        loop_post(loop_door(net->loops), &net->room);
}

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
    tell_room(net);
    net_shed(net);
}

/* ---- counting by address ---- */

/* Counts a connection of host; false if it is one too many. *surplus: whether it
 * may be let in all the same, and then whether it was. per_ip: how many the host
 * may have, UINT32_MAX: as the limits say. */
static bool
count_in(struct listener *listener, const char *host, uint32_t per_ip, bool *surplus)
{
    struct net *net = listener->net;
    ox_lock(&net->lock);
    uintptr_t count = (uintptr_t)ox_map_get(&net->by_ip, ox_str(host));
    uint64_t most = NET_LIMIT(net, conns_max), open = 0; /* it has its place if it waited */
    if (!listener->waits)
        open = atomic_load(&net->open) + atomic_load(&net->arriving);
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

static void
leave_place(struct listener *listener)
{
    if (listener->waits)
        atomic_fetch_sub(&listener->open, 1);
    tell_room(listener->net);
}

static void
listener_put(struct listener *listener)
{
    ox_assert(atomic_fetch_sub(&listener->refs, 1) > 0);
}

void
net_count_out(struct listener *listener, const char *host)
{
    struct net *net = listener->net;
    ox_lock(&net->lock);
    uintptr_t count = (uintptr_t)ox_map_get(&net->by_ip, ox_str(host));
    ox_assert(count > 0);
    if (count == 1)
        ox_map_remove(&net->by_ip, ox_str(host));
    else
        ox_map_put(&net->by_ip, ox_str(host), (void *)(count - 1));
    atomic_fetch_sub(&net->open, 1);
    ox_unlock(&net->lock);
    leave_place(listener);
    listener_put(listener);
}

/* ---- accepting ---- */

/* A socket on its way from the listener to its loop. */
struct arrival {
    struct loop_msg msg;
    struct net_loop *home;
    struct listener *listener;
    int fd, peer_port;
    char peer_host[48];
    /* While it is looked at; on the door's loop. */
    struct list link;
    uv_poll_t poll;
    struct loop_timer timer;
};

static void turn_away(struct net *net, int fd, uint64_t ms);

/* On its loop. */
static void
take_over(struct loop_msg *msg)
{
    struct arrival *arrival = ox_container_of(msg, struct arrival, msg);
    struct listener *listener = arrival->listener;
    struct net *net = listener->net;
    arrival->home->loop = loop_self();
    bool surplus = listener->handler->tells_surplus;
    uint64_t now_ms = loop_now_ns(arrival->home->loop) / 1000000, away_ms = 0;
    uint32_t per_ip = UINT32_MAX;
    if (net->gate != NULL)
        away_ms = net->gate(net->gate_arg, arrival->peer_host, now_ms, &per_ip);
    bool in = away_ms == 0 && !atomic_load(&listener->closed) &&
        count_in(listener, arrival->peer_host, per_ip, &surplus);
    if (listener->waits) {
        atomic_fetch_sub(&net->arriving, 1);
        tell_room(net); /* for a moment it was counted twice */
    }
    if (!in) {
        leave_place(listener);
        turn_away(net, arrival->fd, away_ms);
        listener_put(listener);
    } else {
        atomic_fetch_add(&net->accepted, 1);
        conn_start(arrival->home, arrival->fd, listener, listener->handler, listener->arg, listener->tls,
            arrival->peer_host, arrival->peer_port, surplus);
        if (atomic_load(&listener->exempt))
            net_shed(net);
    }
    ox_free(arrival);
}

static struct net_loop *
pick_loop(const struct listener *listener)
{
    struct net *net = listener->net;
    int best = 0, best_load = 1001, count = loop_running_count(net->loops);
    int most = (int)atomic_load(&listener->loops_max);
    count = OX_MIN(count, most > 0 ? most : loop_open_count(net->loops));
    for (int i = 0; i < count; i++) {
        int load = loop_load(loop_at(net->loops, i));
        if (loop_is_held(loop_at(net->loops, i), HELD_NS))
            load = 1000;
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
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) /* who came by IPv4 has that address */
            inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, (socklen_t)size);
        else
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
poll_again(struct listener *listener)
{
    if (listener->polling && !listener->full && !listener->slowed)
        poll_listener(listener, true);
}

static void
accept_again(struct loop_timer *timer)
{
    struct listener *listener = ox_container_of(timer, struct listener, again);
    listener->slowed = false;
    poll_again(listener);
}

static void
pause_for(struct listener *listener, uint64_t ns)
{
    poll_listener(listener, false);
    listener->slowed = true;
    loop_timer_start(loop_door(listener->net->loops), &listener->again, ns, accept_again);
}

/* The socket stays readable: do not spin on it. */
static void
wait_for_descriptor(struct listener *listener)
{
    ox_warn("no descriptor is free for a connection", "port=%d", listener->port);
    pause_for(listener, NO_DESCRIPTOR_NS);
}

/* ---- waiting for room ---- */

void
net_listener_waits(struct listener *listener, uint32_t most, bool exempt)
{
    if (!listener->waits) /* others read it once it accepts */
        listener->waits = true;
    atomic_store(&listener->conns_max, most);
    atomic_store(&listener->exempt, exempt);
    tell_room(listener->net);
}

bool
net_listener_sheds(const struct listener *listener)
{
    return listener->waits && !atomic_load(&listener->exempt);
}

static bool
has_room(struct listener *listener)
{
    struct net *net = listener->net;
    if (!listener->waits)
        return true;
    if (atomic_load(&listener->open) >= listener->conns_max)
        return false;
    uint64_t open = atomic_load(&net->open) + atomic_load(&net->arriving);
    return listener->exempt || open < NET_LIMIT(net, conns_max);
}

/* A peer waits. False: and has to. */
static bool
find_room(struct listener *listener)
{
    if (has_room(listener))
        return true;
    limit_met(LIMIT_CONNECTIONS);
    listener->full = true;
    atomic_store(&listener->net->any_full, true);
    if (has_room(listener)) {
        listener->full = false;
        return true;
    }
    poll_listener(listener, false);
    return false;
}

/* On the door's loop. */
static void
room_again(struct loop_msg *msg)
{
    struct net *net = ox_container_of(msg, struct net, room);
    bool full = false;
    atomic_store(&net->room_posted, false);
    for (struct listener *listener = net->listeners; listener; listener = listener->next) {
        if (listener->full && has_room(listener)) {
            listener->full = false;
            poll_again(listener);
        }
        full |= listener->full;
    }
    if (!full)
        atomic_store(&net->any_full, false);
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

/* On the door's loop. */
static void
hold_away(struct loop_msg *msg)
{
    struct turned_away *away = ox_container_of(msg, struct turned_away, msg);
    struct net *net = away->net;
    if (net->closed || net->turned_away_count >= TURNED_AWAY_MAX) {
        sock_close(net, away->fd);
        ox_free(away);
        return;
    }
    ox_list_push(&net->turned_away, &away->link);
    net->turned_away_count++;
    loop_timer_start(loop_door(net->loops), &away->timer, away->ms * 1000000, away_long_enough);
}

static void
turn_away(struct net *net, int fd, uint64_t ms)
{
    atomic_fetch_add(&net->refused, 1);
    if (ms == 0) {
        sock_close(net, fd);
        return;
    }
    struct turned_away *away = ox_calloc(1, sizeof(*away));
    *away = (struct turned_away){.msg.fn = hold_away, .net = net, .fd = fd, .ms = ms};
    loop_post(loop_door(net->loops), &away->msg);
}

/* ---- how many in a second ---- */

void
net_listener_rate(struct listener *listener, uint32_t conns_rate_max)
{
    atomic_store(&listener->rate_max, conns_rate_max);
}

void
net_listener_loops(struct listener *listener, uint32_t most)
{
    atomic_store(&listener->loops_max, most);
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
    pause_for(listener, (uint64_t)(ms * 1e6));
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

/* ---- looking at first bytes ---- */

static void
hand_over(struct arrival *arrival)
{
    struct net *net = arrival->listener->net;
    arrival->home = pick_loop(arrival->listener);
    arrival->msg.fn = take_over;
    loop_post(loop_at(net->loops, (int)(arrival->home - net->per_loop)), &arrival->msg);
}

static enum conn_early
look(const struct arrival *arrival)
{
    const struct listener *listener = arrival->listener;
    uint8_t bytes[CONN_EARLY_BYTES];
    ssize_t got = recv(arrival->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR) ? CONN_EARLY_MORE
                                                              : CONN_EARLY_SERVE;
    /* A part of them stays readable: nobody spins on that. */
    enum conn_early early = listener->handler->early(listener->arg, bytes, (size_t)got);
    if (early != CONN_EARLY_DONE)
        return CONN_EARLY_SERVE;
    /* A socket closed with bytes unread is reset, and its peer waits for a plain end. */
    while (recv(arrival->fd, bytes, (size_t)got, MSG_DONTWAIT) < 0 && errno == EINTR)
        continue;
    return CONN_EARLY_DONE;
}

static void
look_closed(uv_handle_t *handle)
{
    struct arrival *arrival = ox_container_of((uv_poll_t *)handle, struct arrival, poll);
    if (arrival->fd >= 0)
        hand_over(arrival);
    else
        ox_free(arrival);
}

static void
close_arrival(struct arrival *arrival)
{
    struct listener *listener = arrival->listener;
    close(arrival->fd);
    if (listener->waits)
        atomic_fetch_sub(&listener->net->arriving, 1);
    leave_place(listener);
    listener_put(listener);
}

/* serve: it is handed over once the loop has let go of its socket. */
static void
look_end(struct arrival *arrival, bool serve)
{
    ox_list_remove(&arrival->link);
    arrival->listener->net->looked_at_count--;
    loop_timer_stop(&arrival->timer);
    uv_close((uv_handle_t *)&arrival->poll, look_closed);
    if (!serve) {
        close_arrival(arrival);
        arrival->fd = -1;
    }
}

static void
look_again(uv_poll_t *poll, int status, int events)
{
    struct arrival *arrival = ox_container_of(poll, struct arrival, poll);
    loop_mark_work(loop_door(arrival->listener->net->loops));
    enum conn_early early = status < 0 ? CONN_EARLY_SERVE : look(arrival);
    if (early != CONN_EARLY_MORE)
        look_end(arrival, early == CONN_EARLY_SERVE);
}

static void
silent_too_long(struct loop_timer *timer)
{
    look_end(ox_container_of(timer, struct arrival, timer), true);
}

/* Whether the socket stays here for now, or is done with. */
static bool
looked_at(struct arrival *arrival)
{
    struct listener *listener = arrival->listener;
    struct net *net = listener->net;
    if (listener->handler->early == NULL || net->streams != NULL ||
        net->looked_at_count >= LOOKED_AT_MAX)
        return false;
    enum conn_early early = look(arrival);
    if (early == CONN_EARLY_SERVE)
        return false;
    if (early == CONN_EARLY_DONE) {
        close_arrival(arrival);
        ox_free(arrival);
        return true;
    }
    struct loop *door = loop_door(net->loops);
    int failed = uv_poll_init(loop_uv(door), &arrival->poll, arrival->fd);
    if (failed != 0)
        return false;
    uv_poll_start(&arrival->poll, UV_READABLE, look_again);
    loop_timer_start(door, &arrival->timer, SILENT_NS, silent_too_long);
    ox_list_push(&net->looked_at, &arrival->link);
    net->looked_at_count++;
    return true;
}

static bool
accept_one(struct listener *listener)
{
    struct net *net = listener->net;
    char host[sizeof(((struct arrival *)NULL)->peer_host)] = "";
    int port = 0, fd = take_socket(listener, host, sizeof(host), &port);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
        wait_for_descriptor(listener);
    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED;
    struct arrival *arrival = ox_calloc(1, sizeof(*arrival));
    arrival->listener = listener;
    atomic_fetch_add(&listener->refs, 1);
    arrival->fd = fd;
    arrival->peer_port = port;
    memcpy(arrival->peer_host, host, sizeof(host));
    if (listener->waits) {
        atomic_fetch_add(&net->arriving, 1);
        atomic_fetch_add(&listener->open, 1);
    }
    bool more = !slow_down(listener, loop_now_ns(loop_door(net->loops)) / 1000000);
    if (!looked_at(arrival))
        hand_over(arrival);
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
    loop_mark_work(loop_door(listener->net->loops));
    /* With the last place taken, whether another peer waits is known in the next turn. */
    for (int i = 0; i < ACCEPTS_PER_TURN; i++)
        if (!(i == 0 ? find_room(listener) : has_room(listener)) || !accept_one(listener))
            return;
}

static void
start_polling(struct loop *loop, void *arg)
{
    struct listener *listener = arg;
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
net_bind(struct net *net, const char *address, int port, struct listener **out,
    struct ox_err *err)
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
    listener->fd = fd;
    listener->port = streams != NULL ? streams->port(streams->self, fd) : bound_port(fd);
    *out = listener;
    return OX_OK;
}

void
net_unbind(struct listener *listener)
{
    if (listener == NULL)
        return;
    sock_close(listener->net, listener->fd);
    ox_free(listener);
}

static void
link_listener(struct loop *loop, void *arg)
{
    struct listener *listener = arg;
    (void)loop;
    listener->next = listener->net->listeners;
    listener->net->listeners = listener;
}

void
net_serve(struct listener *listener, const struct conn_handler *handler, void *listener_arg,
    struct net_tls *tls)
{
    listener->handler = handler;
    listener->arg = listener_arg;
    listener->tls = tls;
    loop_sync(loop_door(listener->net->loops), link_listener, listener);
}

ox_code
net_listen(struct net *net, const char *address, int port, const struct conn_handler *handler,
    void *listener_arg, struct net_tls *tls, struct listener **out, struct ox_err *err)
{
    ox_code code = net_bind(net, address, port, out, err);
    if (code == OX_OK)
        net_serve(*out, handler, listener_arg, tls);
    return code;
}

void
net_listener_start(struct listener *listener)
{
    loop_sync(loop_door(listener->net->loops), start_polling, listener);
}

void
net_start_accepting(struct net *net)
{
    for (struct listener *listener = net->listeners; listener; listener = listener->next)
        if (!listener->polling && !atomic_load(&listener->closed))
            net_listener_start(listener);
}

void
net_listener_sockets(struct listener *listener, int backlog, int send_bytes, int receive_bytes)
{
    if (listener->net->streams != NULL)
        return;
    if (send_bytes > 0) /* what is accepted inherits them */
        setsockopt(listener->fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    if (receive_bytes > 0)
        setsockopt(listener->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    if (backlog > 0)
        listen(listener->fd, backlog);
}

int
net_listener_port(const struct listener *listener)
{
    return listener->port;
}

static void
poll_closed(uv_handle_t *handle)
{
    listener_put(ox_container_of((uv_poll_t *)handle, struct listener, poll));
}

static void
stop_listener(struct listener *listener)
{
    if (!listener->polling)
        return;
    poll_listener(listener, false);
    loop_timer_stop(&listener->again);
    if (listener->net->streams == NULL) {
        atomic_fetch_add(&listener->refs, 1);
        uv_close((uv_handle_t *)&listener->poll, poll_closed);
    }
    listener->polling = false;
}

static void
stop_polling(struct loop *loop, void *arg)
{
    struct net *net = arg;
    (void)loop;
    net->closed = true;
    for (struct listener *listener = net->listeners; listener; listener = listener->next)
        stop_listener(listener);
    while (!ox_list_empty(&net->looked_at))
        look_end(ox_container_of(net->looked_at.next, struct arrival, link), false);
    while (!ox_list_empty(&net->turned_away))
        close_away(ox_container_of(net->turned_away.next, struct turned_away, link));
}

void
net_stop_accepting(struct net *net)
{
    loop_sync(loop_door(net->loops), stop_polling, net);
    for (struct listener *listener = net->listeners; listener; listener = listener->next) {
        if (listener->fd >= 0)
            sock_close(net, listener->fd);
        listener->fd = -1;
    }
}

/* ---- one listener goes ---- */

/* Ends its connections on one loop, when answers under way have left. */
struct farewell {
    struct loop_msg msg;
    struct loop_timer timer;
    struct listener *listener;
    struct net_loop *home;
    struct list link; /* of those that wait for their timer, on their loop */
    uint64_t grace_ns;
};

static void
farewell_due(struct loop_timer *timer)
{
    struct farewell *farewell = ox_container_of(timer, struct farewell, timer);
    conn_close_of(farewell->home, farewell->listener);
    ox_list_remove(&farewell->link);
    listener_put(farewell->listener);
    ox_free(farewell);
}

static void
farewell_begin(struct loop_msg *msg)
{
    struct farewell *farewell = ox_container_of(msg, struct farewell, msg);
    farewell->home->loop = loop_self();
    ox_list_push(&farewell->home->farewells, &farewell->link);
    loop_timer_start(farewell->home->loop, &farewell->timer, farewell->grace_ns, farewell_due);
}

/* At the end of all: nobody waits for the timers. */
static void
farewells_end(struct net_loop *home)
{
    while (!ox_list_empty(&home->farewells)) {
        struct farewell *farewell =
            ox_container_of(home->farewells.next, struct farewell, link);
        loop_timer_stop(&farewell->timer);
        farewell_due(&farewell->timer);
    }
}

static void
close_listener(struct loop *loop, void *arg)
{
    struct listener *listener = arg;
    struct net *net = listener->net;
    (void)loop;
    stop_listener(listener);
    ox_list_each(node, &net->looked_at) {
        struct arrival *arrival = ox_container_of(node, struct arrival, link);
        if (arrival->listener == listener)
            look_end(arrival, false);
    }
    if (listener->fd >= 0)
        sock_close(net, listener->fd);
    listener->fd = -1;
}

void
net_listener_close(struct listener *listener, uint64_t grace_ns)
{
    struct net *net = listener->net;
    atomic_store(&listener->closed, true);
    loop_sync(loop_door(net->loops), close_listener, listener);
    for (int i = 0; i < loop_running_count(net->loops); i++) {
        struct farewell *farewell = ox_calloc(1, sizeof(*farewell));
        *farewell = (struct farewell){.msg.fn = farewell_begin, .listener = listener,
            .home = &net->per_loop[i], .grace_ns = grace_ns};
        atomic_fetch_add(&listener->refs, 1);
        loop_post(loop_at(net->loops, i), &farewell->msg);
    }
}

bool
net_listener_gone(const struct listener *listener)
{
    return atomic_load(&listener->closed) && atomic_load(&listener->refs) == 0;
}

static void
unlink_listener(struct loop *loop, void *arg)
{
    struct listener *listener = arg, **at = &listener->net->listeners;
    (void)loop;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
}

void
net_listener_free(struct listener *listener)
{
    ox_assert(net_listener_gone(listener));
    loop_sync(loop_door(listener->net->loops), unlink_listener, listener);
    ox_free(listener);
}

static void
close_conns(struct loop *loop, void *arg)
{
    struct net *net = arg;
    farewells_end(&net->per_loop[loop_index(loop)]);
    conn_close_all(&net->per_loop[loop_index(loop)]);
}

void
net_close_all(struct net *net)
{
    loop_each_sync(net->loops, close_conns, net);
}

static void
pass(struct loop *loop, void *arg)
{
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
    net_shed_stop(net);
    net_close_all(net);
    loop_group_drain(net->loops); /* closed at the end of that turn, freed in the next */
    loop_each_sync(net->loops, stop_sweep, net);
    loop_sync(loop_door(net->loops), pass, NULL); /* its handles are closed before that */
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
