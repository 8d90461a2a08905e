/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections over real sockets: messages cut anywhere, output in order with
 * back-pressure, pauses, goodbyes, peers that go silent or half away, limits.
 *
 * A message: its length in 4 bytes (itself included), a letter, the rest:
 *   E text    echo
 *   M         one answer out of three kinds of pieces
 *   F number  so many blocks, as fast as conn_full() allows
 *   P         pause; go on after 50 ms
 *   L number  in 50 ms pause for so many ms
 *   W         so too; what is sent before the peer leaves counts
 *   C         is counted
 *   B number  so many blocks at once; they are sent though the peer closes its side
 *   I number  may be idle for so many ms
 *   Q         write "bye", close after that
 * A length of 0 is refused with "bad". */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/wire.h"
#include "net/net.h"
#include "tap.h"

enum { BLOCK = 65536, OUT_MAX = 1 << 20, PER_ADDRESS = 12 };

static struct loop_group *group;
static struct net *net;
static int port;
static FILE *file; /* "file" */

struct user {
    struct conn *conn;
    struct loop_timer timer;
    bool awaits;
    uint32_t blocks, sent, pause_ms;
};

static char last_host[48]; /* read after an answer of that connection */
static _Atomic int opened_count, closed_count, drained_count, released_count,
    counted;
static _Atomic size_t out_most;

/* ---- the server ---- */

static void
opened(struct conn *conn, void *arg)
{
    struct user *user = calloc(1, sizeof(*user));
    user->conn = conn;
    conn_set_user(conn, user);
    snprintf(last_host, sizeof(last_host), "%s", conn_peer_host(conn));
    atomic_fetch_add(&opened_count, 1);
}

static void
closed(struct conn *conn)
{
    struct user *user = conn_user(conn);
    loop_timer_stop(&user->timer);
    free(user);
    atomic_fetch_add(&closed_count, 1);
}

static ptrdiff_t
frame_len(struct conn *conn, const uint8_t *bytes, size_t have)
{
    if (have < 4)
        return 0;
    uint32_t len = wire_load32(bytes);
    if (len >= 5)
        return len;
    conn_write(conn, "bad", 3);
    return -1;
}

static void
released(void *arg)
{
    atomic_fetch_add(&released_count, 1);
}

static void
answer_mixed(struct conn *conn)
{
    conn_write(conn, "copy ", 5);
    conn_write_file(conn, fileno(file), 1, 3, released, NULL);
    memcpy(conn_reserve(conn, 100), " room ", 6);
    conn_commit(conn, 6);
    conn_write_file(conn, fileno(file), 0, 4, released, NULL);
    conn_write(conn, "\n", 1);
}

/* Blocks are numbered, so that the reader sees one that is lost. */
static void
fill(struct user *user)
{
    size_t len = 0; /* at most what is pending: nothing is sent meanwhile */
    while (user->sent < user->blocks && !conn_full(user->conn)) {
        uint8_t *to = conn_reserve(user->conn, BLOCK);
        memset(to, 'x', BLOCK);
        wire_store32(to, user->sent++);
        conn_commit(user->conn, BLOCK);
        len += BLOCK;
    }
    if (len > atomic_load(&out_most))
        atomic_store(&out_most, len);
}

static void
drained(struct conn *conn)
{
    atomic_fetch_add(&drained_count, 1);
    fill(conn_user(conn));
}

static void
go_on(struct loop_timer *timer)
{
    struct user *user = (struct user *)(void *)((char *)timer - offsetof(struct user, timer));
    conn_resume(user->conn);
}

static void
pause_now(struct loop_timer *timer)
{
    struct user *user = (struct user *)(void *)((char *)timer - offsetof(struct user, timer));
    conn_pause(user->conn);
    loop_timer_start(timer->loop, timer, (uint64_t)user->pause_ms * 1000000, go_on);
}

static void
frame(struct conn *conn, const struct slice *message)
{
    const uint8_t *at = ox_slice_ptr(message);
    struct user *user = conn_user(conn);
    uint32_t number = message->len >= 9 ? wire_load32(at + 5) : 0;
    switch (at[4]) {
    case 'E':
        conn_write(conn, at, message->len);
        return;
    case 'M':
        answer_mixed(conn);
        return;
    case 'F':
        user->blocks = number;
        fill(user);
        return;
    case 'B':
        user->awaits = true;
        for (uint32_t i = 0; i < number; i++) {
            uint8_t *to = conn_reserve(conn, BLOCK);
            memset(to, 'x', BLOCK);
            wire_store32(to, i);
            conn_commit(conn, BLOCK);
        }
        return;
    case 'C':
        atomic_fetch_add(&counted, 1);
        return;
    case 'W':
    case 'P':
        user->awaits = at[4] == 'W';
        conn_pause(conn);
        loop_timer_start(conn_loop(conn), &user->timer, 50000000, go_on);
        return;
    case 'L':
        user->pause_ms = number;
        loop_timer_start(conn_loop(conn), &user->timer, 50000000, pause_now);
        return;
    case 'I':
        conn_set_idle_limit(conn, (uint64_t)number * 1000000);
        return;
    default:
        conn_write(conn, "bye", 3);
        conn_close_after_write(conn);
    }
}

static bool
awaits_rest(struct conn *conn)
{
    return ((struct user *)conn_user(conn))->awaits;
}

static const struct conn_handler handler = {.protocol = "test", .opened = opened,
    .frame_len = frame_len, .frame = frame, .drained = drained, .awaits_rest = awaits_rest,
    .closed = closed};

/* ---- the peer ---- */

static int
dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {60, 0};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        return -1;
    return fd;
}

static size_t
make(uint8_t *to, char letter, const void *rest, size_t len)
{
    wire_store32(to, (uint32_t)(5 + len));
    to[4] = (uint8_t)letter;
    if (len > 0)
        memcpy(to + 5, rest, len);
    return 5 + len;
}

static size_t
make_number(uint8_t *to, char letter, uint32_t number)
{
    uint8_t rest[4];
    wire_store32(rest, number);
    return make(to, letter, rest, 4);
}

static void
put(int fd, const void *ptr, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, (const char *)ptr + done, len - done, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

/* Reads len bytes, or to the end; returns how many. */
static size_t
get(int fd, void *to, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = recv(fd, (char *)to + done, len - done, 0);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

/* Nothing more comes, and the connection is closed. */
static bool
at_end(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
wait_ms(int ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static void
wait_count(_Atomic int *count, int want)
{
    for (int i = 0; i < 6000 && atomic_load(count) < want; i++)
        wait_ms(10);
}

/* Every connection so far is closed; returns how many. */
static int
all_closed(void)
{
    wait_count(&closed_count, atomic_load(&opened_count));
    return atomic_load(&closed_count);
}

/* ---- tests ---- */

static void
test_messages(void)
{
    int fd = dial();
    static uint8_t out[8192], in[8192];
    size_t len = 0, echoed = 0;
    for (int i = 0; i < 100; i++)
        len += make(out + len, 'E', "0123456789abcdefghijklmnopqrstuvwxyz", (size_t)(i % 37));
    put(fd, out, len);
    echoed = get(fd, in, len);
    ok(echoed == len && memcmp(in, out, len) == 0, "a hundred messages in one write, in order");
    for (size_t at = 0, part = 1; at < len; at += part, part = part % 11 + 1) {
        put(fd, out + at, at + part > len ? len - at : part);
        if (at % 64 == 0)
            wait_ms(1);
    }
    memset(in, 0, sizeof(in));
    echoed = get(fd, in, len);
    ok(echoed == len && memcmp(in, out, len) == 0, "the same cut into small pieces");
    close(fd);
    wait_count(&closed_count, 1);
    is_int(atomic_load(&closed_count), 1, "the handler hears that the peer is gone");
}

static void *
send_large(void *arg)
{
    int fd = *(int *)arg;
    size_t len = 5 << 20;
    uint8_t *out = malloc(len);
    memset(out, 'l', len);
    wire_store32(out, (uint32_t)len);
    out[4] = 'E';
    put(fd, out, len);
    free(out);
    return NULL;
}

static void
test_large(void)
{
    int fd = dial();
    pthread_t thread;
    size_t len = 5 << 20;
    uint8_t *in = calloc(1, len);
    pthread_create(&thread, NULL, send_large, &fd);
    size_t got = get(fd, in, len);
    pthread_join(thread, NULL);
    ok(got == len && wire_load32(in) == len && in[len - 1] == 'l', "a message of 5 MiB comes back");
    free(in);
    close(fd);
}

static void
test_pieces(void)
{
    static const char want[] = "copy ile room file\n";
    uint8_t out[16];
    char in[64] = "";
    int fd = dial();
    put(fd, out, make(out, 'M', NULL, 0));
    get(fd, in, strlen(want));
    is_str(in, want, "copies, rooms and file ranges leave in the order of the calls");
    wait_count(&released_count, 2);
    is_int(atomic_load(&released_count), 2, "the ranges are released");
    close(fd);
}

static void
test_back_pressure(void)
{
    enum { BLOCKS = 400 };
    uint8_t out[16], *block = malloc(BLOCK);
    int fd = dial(), wrong = 0;
    put(fd, out, make_number(out, 'F', BLOCKS));
    wait_ms(300); /* the peer does not read */
    ok(atomic_load(&out_most) > OUT_MAX && atomic_load(&out_most) <= OUT_MAX + BLOCK,
        "output that nobody reads stops at its limit");
    int before = atomic_load(&drained_count);
    for (uint32_t i = 0; i < BLOCKS; i++)
        wrong += get(fd, block, BLOCK) != BLOCK || wire_load32(block) != i;
    is_int(wrong, 0, "all comes once it is read, in order");
    ok(atomic_load(&drained_count) > before, "the producer was told to go on");
    ok(atomic_load(&out_most) <= OUT_MAX + BLOCK, "and never passed the limit");
    free(block);
    close(fd);
}

static void
test_pause(void)
{
    uint8_t out[64], in[64];
    int before = all_closed(), fd = dial();
    size_t len = make(out, 'P', NULL, 0);
    len += make(out + len, 'E', "after", 5);
    double begun = seconds();
    put(fd, out, len);
    ok(get(fd, in, 10) == 10 && memcmp(in + 5, "after", 5) == 0,
        "what came with a message that pauses is delivered later");
    ok(seconds() - begun > 0.04, "not before the pause is over");
    put(fd, out, make(out, 'P', NULL, 0));
    close(fd);
    wait_count(&closed_count, before + 1);
    is_int(atomic_load(&closed_count), before + 1, "a peer that goes away meanwhile is noticed");
    fd = dial();
    len = 0;
    for (int i = 0; i < 3; i++) {
        len += make(out + len, 'W', NULL, 0);
        len += make(out + len, 'C', NULL, 0);
    }
    put(fd, out, len);
    close(fd);
    wait_count(&closed_count, before + 2);
    is_int(atomic_load(&counted), 3, "what it sent before is delivered if the handler wishes");
    is_int(atomic_load(&closed_count), before + 2, "and then the connection is closed");
}

/* More than the sockets hold is queued when the peer's end is read. */
static void
test_half_closed(void)
{
    enum { BLOCKS = 400 };
    uint8_t out[16], *block = malloc(BLOCK);
    int before = all_closed(), fd = dial(), wrong = 0;
    put(fd, out, make_number(out, 'B', BLOCKS));
    shutdown(fd, SHUT_WR);
    wait_ms(100);
    is_int(atomic_load(&closed_count), before, "a peer that closed its side is sent what is queued");
    for (uint32_t i = 0; i < BLOCKS; i++)
        wrong += get(fd, block, BLOCK) != BLOCK || wire_load32(block) != i;
    is_int(wrong, 0, "all of it");
    ok(at_end(fd), "and then the end");
    wait_count(&closed_count, before + 1);
    is_int(atomic_load(&closed_count), before + 1, "the connection is closed");
    close(fd);
    fd = dial();
    put(fd, out, make_number(out, 'B', BLOCKS));
    shutdown(fd, SHUT_WR);
    wait_ms(100);
    close(fd);
    wait_count(&closed_count, before + 2);
    is_int(atomic_load(&closed_count), before + 2, "one that does not read it, but goes, is noticed");
    fd = dial();
    put(fd, out, make_number(out, 'B', BLOCKS));
    close(fd);
    wait_count(&closed_count, before + 3);
    is_int(atomic_load(&closed_count), before + 3, "and so is one that goes at once");
    free(block);
}

static void
test_goodbyes(void)
{
    uint8_t out[64];
    char in[16] = "";
    int fd = dial();
    size_t len = make(out, 'Q', NULL, 0);
    len += make(out + len, 'E', "late", 4);
    put(fd, out, len);
    get(fd, in, 3);
    ok(memcmp(in, "bye", 3) == 0 && at_end(fd), "the last words arrive, then the end; no more is read");
    close(fd);
    fd = dial();
    memset(out, 0, sizeof(out));
    put(fd, out, sizeof(out)); /* more than is ever read */
    get(fd, in, 3);
    ok(memcmp(in, "bad", 3) == 0 && at_end(fd), "bytes that are no message are told so");
    close(fd);
    int before = all_closed();
    fd = dial();
    len = make(out, 'E', "half", 4);
    put(fd, out, len);
    wait_ms(20);
    shutdown(fd, SHUT_WR);
    ok(get(fd, in, 9) == 9 && memcmp(in + 5, "half", 4) == 0 && at_end(fd),
        "a peer that closes its half has its answer, then the end");
    wait_count(&closed_count, before + 1);
    is_int(atomic_load(&closed_count), before + 1, "which the handler hears once");
    close(fd);
}

/* Six peers at once; each limit is a second, looked at each second. */
static void
test_time_limits(void)
{
    uint8_t out[64], in[64];
    int before = all_closed(), silent = dial(), begun = dial(), busy = dial(), known = dial(),
        stalled = dial(), living = dial();
    put(begun, out, make_number(out, 'I', 60000));
    put(begun, "\0\0\1", 3);
    put(known, out, make_number(out, 'I', 700));
    put(living, out, make_number(out, 'I', 0));
    put(stalled, out, make_number(out, 'I', 0));
    put(stalled, out, make_number(out, 'F', 400));
    double start = seconds();
    size_t len = make(out, 'E', "alive", 5);
    int answers = 0;
    while (seconds() - start < 60 && atomic_load(&closed_count) < before + 5) {
        put(busy, out, len); /* not logged in: no message helps */
        struct timeval patience = {0, 100000};
        setsockopt(busy, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        answers += recv(busy, in, len, 0) == (ssize_t)len;
        wait_ms(50);
    }
    is_int(atomic_load(&closed_count), before + 5, "five of six are closed");
    ok(answers > 3, "one was answered until then");
    ok(at_end(silent), "who never says a word");
    ok(at_end(begun), "whose message does not end");
    ok(at_end(known), "who was idle too long");
    put(living, out, len);
    ok(get(living, in, len) == len, "who may be idle for ever is there");
    close(silent);
    close(begun);
    close(busy);
    close(known);
    close(stalled);
    close(living);
}

/* A throttled peer, or one whose answer took long, is not heard meanwhile: what it may
 * take itself begins then. Limits of three seconds, a pause that is longer. */
static void
test_limits_and_pauses(const struct net_limits *limits)
{
    struct net_limits own = *limits;
    uint8_t out[64], in[64];
    own.frame_ns = UINT64_C(3000000000);
    net_set_limits(net, &own);
    int idle = dial(), begun = dial();
    put(idle, out, make_number(out, 'I', 3000));
    put(idle, out, make_number(out, 'L', 3500));
    put(begun, out, make_number(out, 'I', 0));
    size_t len = make_number(out, 'L', 3500), whole = make(in, 'E', "halves", 6);
    memcpy(out + len, in, 6);
    put(begun, out, len + 6);
    memmove(in, in + 6, whole - 6);
    wait_ms(3550 + 1200); /* limits are looked at each second */
    put(begun, in, whole - 6);
    ok(get(begun, in, whole) == whole, "a message that a pause interrupts has its time after that");
    put(idle, out, make(out, 'E', "there", 5));
    ok(get(idle, in, 10) == 10, "and so has a peer that says nothing");
    close(idle);
    close(begun);
}

static void
test_number_limits(void)
{
    int fds[PER_ADDRESS + 3], good = 0, refused = 0;
    uint8_t out[64], in[64];
    size_t len = make(out, 'E', "there", 5);
    all_closed();
    for (int i = 0; i < PER_ADDRESS + 3; i++) {
        fds[i] = dial();
        put(fds[i], out, len);
        wait_ms(5);
    }
    for (int i = 0; i < PER_ADDRESS + 3; i++) {
        if (get(fds[i], in, len) == len)
            good++;
        else
            refused++;
    }
    is_int(good, PER_ADDRESS, "an address may have so many connections");
    is_int(refused, 3, "and no more");
    struct net_stats stats;
    net_stats(net, &stats);
    is_int((int64_t)stats.open, PER_ADDRESS, "the statistics count them");
    int before = atomic_load(&closed_count);
    net_close_all(net);
    loop_group_drain(group);
    is_int(atomic_load(&closed_count), before + PER_ADDRESS, "all can be closed at once");
    for (int i = 0; i < PER_ADDRESS + 3; i++)
        close(fds[i]);
}

/* What waits to be sent when a connection goes is given back. */
static void
test_dropped_output(void)
{
    uint8_t out[16];
    int fd = dial(), before = atomic_load(&released_count);
    put(fd, out, make_number(out, 'F', 400));
    wait_ms(100);
    put(fd, out, make(out, 'M', NULL, 0)); /* behind the blocks */
    wait_ms(100);
    close(fd);
    wait_count(&released_count, before + 2);
    is_int(atomic_load(&released_count), before + 2, "file ranges that were not sent are released");
}

/* The bytes of a buffer of the server's end of a connection. */
static int
buffer_of(int at, int option)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in own, peer;
        socklen_t own_len = sizeof(own), peer_len = sizeof(peer), len = sizeof(int);
        int bytes;
        if (getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 && own.sin_family == AF_INET &&
            ntohs(own.sin_port) == at && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
            getsockopt(fd, SOL_SOCKET, option, &bytes, &len) == 0)
            return bytes;
    }
    return -1;
}

static int
connect_to(int at)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)at)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    connect(fd, (struct sockaddr *)&to, sizeof(to));
    return fd;
}

static void
test_sockets(const struct net_limits *limits)
{
    enum { CLIENTS = 6 };
    struct net *own = net_new(group, limits);
    struct listener *listener;
    struct ox_err err;
    int fds[CLIENTS], waiting = 0, opened = atomic_load(&opened_count);
    ok(net_listen(own, "127.0.0.1", 0, &handler, NULL, NULL, &listener, &err) == OX_OK, "another");
    int at = net_listener_port(listener);
    net_listener_sockets(listener, 2, 30000, 20000);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = connect_to(at);
        struct pollfd poll_fd = {fds[i], POLLOUT, 0};
        waiting += poll(&poll_fd, 1, 100) == 1 && (poll_fd.revents & POLLOUT) != 0;
    }
    is_int(waiting, 3, "a backlog of two has room for two and one more");
    net_start_accepting(own);
    for (int i = 0; i < 1000 && atomic_load(&opened_count) == opened; i++)
        usleep(10000);
    is_int(buffer_of(at, SO_SNDBUF), 2 * 30000, "the buffer to the client, as the kernel counts");
    is_int(buffer_of(at, SO_RCVBUF), 2 * 20000, "and from it");
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    net_free(own);
}

/* One listener comes and goes while others serve. */
static void
test_listener_goes(void)
{
    struct listener *late;
    struct ox_err err;
    uint8_t out[16], in[16];
    size_t len = make(out, 'E', "there", 5);
    int kept = port, before = dial();
    ok(net_bind(net, "127.0.0.1", 0, &late, &err) == OX_OK, "a socket is bound");
    net_serve(late, &handler, NULL, NULL);
    net_listener_start(late);
    port = net_listener_port(late);
    int there = dial();
    put(there, out, len);
    is_int((int64_t)get(there, in, len), (int64_t)len, "and served later");
    net_listener_close(late, 1000000);
    ok(!net_listener_gone(late), "it has a connection");
    is_int((int64_t)get(there, in, len), 0, "which is closed");
    is_int(dial(), -1, "nobody comes in");
    close(there);
    for (int i = 0; i < 1000 && !net_listener_gone(late); i++)
        usleep(10000);
    ok(net_listener_gone(late), "it is gone");
    net_listener_free(late);
    port = kept;
    put(before, out, len);
    is_int((int64_t)get(before, in, len), (int64_t)len, "connections of others go on");
    close(before);
}

/* Access rules and quotas go by the address: it is the same on either kind of socket. */
static void
test_mapped_address(void)
{
    struct listener *both;
    struct ox_err err;
    uint8_t out[16], in[16];
    size_t len = make(out, 'E', "who?", 4);
    int kept = port;
    if (net_listen(net, "::", 0, &handler, NULL, NULL, &both, &err) != OX_OK) {
        ok(true, "there is no IPv6 here");
        return;
    }
    net_listener_start(both);
    port = net_listener_port(both);
    int fd = dial();
    put(fd, out, len);
    get(fd, in, len);
    ok(strcmp(last_host, "127.0.0.1") == 0, "who comes by IPv4 has an address of IPv4");
    close(fd);
    net_listener_close(both, 0);
    for (int i = 0; i < 1000 && !net_listener_gone(both); i++)
        usleep(10000);
    net_listener_free(both);
    port = kept;
}

int
main(void)
{
    struct loop_config config = {.count = 2, .pool_threads = 1};
    struct net_limits limits = {.conns_max = 1000, .conns_per_ip_max = PER_ADDRESS,
        .idle_ns = 1000000000, .frame_ns = 1000000000, .write_stall_ns = 1000000000,
        .out_max = OUT_MAX};
    struct net_limits patient = limits;
    struct listener *listener;
    struct ox_err err;
    file = tmpfile();
    fputs("file", file);
    fflush(file);
    ok(loop_group_start(&config, env_os(), &group, &err) == OX_OK, "loops start");
    patient.idle_ns = patient.frame_ns = patient.write_stall_ns = UINT64_C(60000000000);
    net = net_new(group, &patient);
    ok(net_listen(net, "127.0.0.1", 0, &handler, NULL, NULL, &listener, &err) == OX_OK, "a port listens");
    port = net_listener_port(listener);
    struct listener *second;
    is_int(net_listen(net, "127.0.0.1", port, &handler, NULL, NULL, &second, &err), OX_ADDRESS_IN_USE,
        "nobody else may");
    net_start_accepting(net);
    test_messages();
    test_large();
    test_pieces();
    test_back_pressure();
    test_pause();
    test_half_closed();
    test_goodbyes();
    test_dropped_output();
    net_set_limits(net, &limits);
    test_time_limits();
    test_limits_and_pauses(&patient);
    net_set_limits(net, &patient);
    test_number_limits();
    test_listener_goes();
    test_mapped_address();
    test_sockets(&patient);
    net_free(net);
    is_int(atomic_load(&closed_count), atomic_load(&opened_count), "each was opened and closed once");
    loop_group_stop(group);
    fclose(file);
    return done();
}
