/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection: bytes in, cut into messages; pieces out, in order.
 *
 * In. All idle connections of a loop read into one shared buffer, so that they
 * own none. What is left of a message that is not whole moves to a buffer of
 * the connection's own, sized for the message, and the rest is read straight
 * into that:
 *
 *   recv -> shared buffer -> whole messages -> handler (slices of the buffer)
 *                         -> the start of one -> the rest right behind it, if there is more
 *                                             -> own buffer <- recv, exactly the rest
 *
 * After a large message the next one is read into a buffer of its size at once.
 *
 * Out. A queue of pieces (parts of buffers, file ranges), sent at the end of the
 * turn with one gathered write per run of such parts and sendfile for ranges. What
 * does not fit waits for the socket to be writable.
 *
 * With TLS the same path has a stage more each way: receive() gives opened
 * bytes, conn_flush() seals pieces (copying small ones together, reading file
 * ranges) before it sends.
 *
 *   OPEN --close_after_write--> DRAINING --all sent--> LINGER --eof, 1 s--> CLOSED
 *     \------ close, eof, error, limit ----------------------------------/
 *
 * LINGER exists because closing a socket with unread input resets it, and the
 * peer would lose the answer that says why.
 *
 * Invariants
 *  1. own is NULL or holds [own_pos, own_end), the unread start of the stream.
 *  2. out_len is the sum of the queued pieces; the socket is polled for writing
 *     iff a send came back short.
 *  3. closed() is called once, in a turn's end, and nothing of the handler's
 *     after it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "net/net_int.h"

enum {
    SHARED_LEN = 256 * 1024,
    READ_LEN = 64 * 1024, /* of one recv into the shared buffer */
    LARGE_MIN = 48 * 1024, /* messages that are read into a buffer of their own */
    LARGE_MAX = 2 * 1024 * 1024,
    READS_PER_TURN = 16,
    OWN_FIRST = 1024 * 1024, /* of a message, before its bytes are there */
    TAIL_FIRST = 4096,
    TAIL_LEN = 64 * 1024,
    IOV_MAX_USED = 64,
    SENDFILE_MAX = 4 * 1024 * 1024,
    SEAL_LEN = 16 * 1024,      /* bytes of one TLS record */
    SEAL_TURN = 256 * 1024,    /* sealed before they are sent */
    QUIET_BYTES = 1024 * 1024, /* of a second, below which it is quiet */
    QUIET_SECONDS = 5,
};
#define SECOND_NS UINT64_C(1000000000)

enum conn_state { CONN_OPEN, CONN_DRAINING, CONN_LINGER, CONN_CLOSED };

struct piece {
    struct buf *buf; /* NULL: a file range */
    uint64_t pos;
    size_t len;
    int fd;
    void (*release)(void *arg);
    void *arg;
};

struct conn {
    struct net_loop *home;
    struct listener *listener; /* it came from */
    const struct conn_handler *handler;
    void *user, *session;
    struct list link;
    struct tls *tls;
    uv_poll_t poll;
    int fd, events;
    enum conn_state state;
    int paused;
    bool full_seen, in_input, surplus;
    bool tail_apart; /* the last piece is not the tail's */
    bool came_paused; /* bytes that may not be read yet: not polled for */
    bool hung_up; /* the peer; what it sent is still to be read, or what is queued to be sent */
    bool known;   /* conn_set_idle_limit() was called */
    bool starved; /* there is no memory for the rest of its message */
    bool new_turn; /* what TLS holds may be read on */
    uint64_t id;
    char peer_host[48];
    int peer_port;
    int64_t opened_ms;
    uint64_t opened_ns;
    /* in */
    struct buf *own;
    size_t own_pos, own_end, own_want;
    size_t last_len; /* of the last message */
    uint64_t last_message_ns, frame_start_ns, idle_ns;
    /* out */
    struct piece *queue;
    uint32_t head, count, cap;
    size_t out_len;
    struct buf *tail; /* what was copied last is in it, and more goes on there */
    size_t tail_used;
    uint32_t tail_pieces; /* queued, of that buffer */
    uint64_t write_progress_ns;
    uint64_t bytes_in, bytes_out, messages;
    struct loop_tick flush_tick, close_tick, input_tick;
    struct loop_timer input_timer;
    struct loop_msg free_msg; /* of a simulated socket */
};

static void update_poll(struct conn *conn);
static void on_flush_tick(struct loop_tick *tick);
static void read_input(struct conn *conn);
static void read_on_later(struct conn *conn);
static void peer_left(struct conn *conn);

/* ---- output ---- */

static struct piece *
piece_at(struct conn *conn, uint32_t index)
{
    return &conn->queue[(conn->head + index) & (conn->cap - 1)];
}

static struct piece *
add_piece(struct conn *conn)
{
    if (conn->count == conn->cap) {
        uint32_t cap = conn->cap ? conn->cap * 2 : 1;
        struct piece *bigger = ox_malloc(cap * sizeof(*bigger));
        for (uint32_t i = 0; i < conn->count; i++)
            bigger[i] = *piece_at(conn, i);
        ox_free(conn->queue);
        conn->queue = bigger;
        conn->cap = cap;
        conn->head = 0;
    }
    struct piece *piece = piece_at(conn, conn->count++);
    memset(piece, 0, sizeof(*piece));
    return piece;
}

static void
output_grew(struct conn *conn, size_t len)
{
    if (conn->out_len == 0)
        conn->write_progress_ns = loop_now_ns(conn->home->loop);
    conn->out_len += len;
    loop_at_tick_end(conn->home->loop, &conn->flush_tick);
}

/* Behind a file range the tail goes on as a piece of its own: heads of thousands of
 * ranges share a few buffers. */
static uint8_t *
tail_end(struct conn *conn)
{
    if (conn->tail_apart) {
        struct piece *piece = add_piece(conn);
        piece->buf = ox_buf_get(conn->tail);
        piece->pos = conn->tail_used;
        conn->tail_pieces++;
        conn->tail_apart = false;
    }
    return conn->tail->ptr + conn->tail_used;
}

static size_t
tail_room(const struct conn *conn)
{
    return conn->tail != NULL ? conn->tail->cap - conn->tail_used : 0;
}

uint8_t *
conn_reserve(struct conn *conn, size_t len)
{
    if (conn->tail != NULL && tail_room(conn) >= len)
        return tail_end(conn);
    size_t cap = conn->tail == NULL && conn->out_len == 0 ? TAIL_FIRST : TAIL_LEN;
    conn->tail = ox_buf_new(OX_MAX(cap, len));
    conn->tail_used = 0;
    conn->tail_pieces = 1;
    conn->tail_apart = false;
    struct piece *piece = add_piece(conn);
    piece->buf = conn->tail;
    return conn->tail->ptr;
}

void
conn_commit(struct conn *conn, size_t len)
{
    ox_assert(!conn->tail_apart && tail_room(conn) >= len);
    conn->tail_used += len;
    piece_at(conn, conn->count - 1)->len += len;
    output_grew(conn, len);
}

void
conn_write(struct conn *conn, const void *ptr, size_t len)
{
    const uint8_t *from = ptr;
    if (len > 0 && tail_room(conn) > 0) {
        size_t part = OX_MIN(len, tail_room(conn));
        memcpy(tail_end(conn), from, part);
        conn_commit(conn, part);
        from += part;
        len -= part;
    }
    if (len > 0) {
        memcpy(conn_reserve(conn, len), from, len);
        conn_commit(conn, len);
    }
}

void
conn_write_file(struct conn *conn, int fd, uint64_t pos, size_t len, void (*release)(void *arg),
    void *arg)
{
    ox_assert(fd >= 0);
    conn->tail_apart = conn->tail != NULL;
    struct piece *piece = add_piece(conn);
    *piece = (struct piece){NULL, pos, len, fd, release, arg};
    output_grew(conn, len);
}

static void
drop_piece(struct conn *conn)
{
    struct piece *piece = piece_at(conn, 0);
    if (piece->buf != NULL) {
        if (piece->buf == conn->tail && --conn->tail_pieces == 0) {
            conn->tail = NULL;
            conn->tail_apart = false;
        }
        ox_buf_put(piece->buf);
    } else if (piece->release != NULL) {
        piece->release(piece->arg);
    }
    conn->head = (conn->head + 1) & (conn->cap - 1);
    conn->count--;
}

static void
drop_output(struct conn *conn)
{
    while (conn->count > 0)
        drop_piece(conn);
    conn->out_len = 0;
    ox_free(conn->queue);
    conn->queue = NULL;
    conn->cap = conn->head = 0;
}

static void
sent(struct conn *conn, size_t len)
{
    conn->out_len -= len;
    conn->bytes_out += len;
    conn->home->moved += len;
    conn->write_progress_ns = loop_now_ns(conn->home->loop);
    atomic_fetch_add_explicit(&conn->home->net->bytes_out, len, memory_order_relaxed);
    while (conn->count > 0) {
        struct piece *piece = piece_at(conn, 0);
        size_t part = OX_MIN(len, piece->len);
        piece->pos += part;
        piece->len -= part;
        len -= part;
        if (piece->len > 0)
            break;
        drop_piece(conn);
    }
    ox_assert(len == 0);
}

/* Send the run of buffers at the head of the queue. */
static ssize_t
send_buffers(struct conn *conn)
{
    struct iovec iov[IOV_MAX_USED];
    int iov_count = 0;
    bool more = false;
    for (uint32_t i = 0; i < conn->count; i++) {
        struct piece *piece = piece_at(conn, i);
        if (piece->buf == NULL || iov_count == IOV_MAX_USED) {
            more = true;
            break;
        }
        iov[iov_count++] = (struct iovec){piece->buf->ptr + piece->pos, piece->len};
    }
    return sock_send(conn->home->net, conn->fd, iov, iov_count, more);
}

static ssize_t
send_head(struct conn *conn)
{
    struct piece *piece = piece_at(conn, 0);
    if (piece->buf != NULL)
        return send_buffers(conn);
    off_t pos = (off_t)piece->pos;
    ssize_t got = sock_send_file(conn->home->net, conn->fd, piece->fd, &pos,
        OX_MIN(piece->len, (size_t)SENDFILE_MAX));
    if (got == 0 && piece->len > 0) { /* the file is shorter than promised */
        errno = EIO;
        return -1;
    }
    return got;
}

/* ---- sealing ---- */

static bool
output_waits(const struct conn *conn)
{
    return conn->out_len > 0 || (conn->tls != NULL && tls_out_len(conn->tls) > 0);
}

/* Bytes at the head of the queue, copied together; -1 with errno. */
static ssize_t
gather(struct conn *conn, uint8_t *to, size_t room)
{
    size_t len = 0;
    for (uint32_t i = 0; i < conn->count && len < room; i++) {
        const struct piece *piece = piece_at(conn, i);
        size_t part = OX_MIN(piece->len, room - len);
        if (piece->buf != NULL) {
            memcpy(to + len, piece->buf->ptr + piece->pos, part);
        } else if (part > 0) {
            ssize_t got = pread(piece->fd, to + len, part, (off_t)piece->pos);
            if (got <= 0) {
                errno = got == 0 ? EIO : errno; /* shorter than promised */
                return -1;
            }
            part = (size_t)got;
        }
        len += part;
        if (part < piece->len)
            break;
    }
    return (ssize_t)len;
}

/* Seal some of what is queued; bytes taken, or -1 with errno. */
static ssize_t
seal_some(struct conn *conn)
{
    uint8_t together[SEAL_LEN];
    const struct piece *head = piece_at(conn, 0);
    if (head->buf != NULL && head->len >= SEAL_LEN)
        return tls_write(conn->tls, head->buf->ptr + head->pos,
            OX_MIN(head->len, (size_t)4 * SEAL_LEN));
    ssize_t len = gather(conn, together, sizeof(together));
    return len > 0 ? tls_write(conn->tls, together, (size_t)len) : len;
}

static ssize_t
send_tls(struct conn *conn)
{
    if (!tls_ready(conn->tls) && tls_out_len(conn->tls) == 0) {
        errno = EAGAIN; /* the handshake is waiting for the peer */
        return -1;
    }
    while (conn->out_len > 0 && tls_ready(conn->tls) && tls_out_len(conn->tls) < SEAL_TURN) {
        ssize_t got = seal_some(conn);
        if (got < 0 && errno == EAGAIN && tls_out_len(conn->tls) > 0)
            break;
        if (got < 0)
            return -1;
        sent(conn, (size_t)got);
    }
    ssize_t got = tls_send(conn->tls, conn->home->net, conn->fd);
    if (got > 0)
        conn->write_progress_ns = loop_now_ns(conn->home->loop);
    return got;
}

static void
output_empty(struct conn *conn)
{
    if (conn->state == CONN_DRAINING && conn->tls != NULL) {
        tls_goodbye(conn->tls);
        tls_send(conn->tls, conn->home->net, conn->fd);
    }
    if (conn->state == CONN_DRAINING) {
        sock_shutdown(conn->home->net, conn->fd);
        conn->state = CONN_LINGER;
        conn->write_progress_ns = loop_now_ns(conn->home->loop);
        update_poll(conn);
    }
}

void
conn_flush(struct conn *conn)
{
    if (conn->state == CONN_CLOSED || conn->state == CONN_LINGER)
        return;
    while (output_waits(conn)) {
        ssize_t got = conn->tls != NULL ? send_tls(conn) : send_head(conn);
        if (got >= 0) {
            if (conn->tls == NULL)
                sent(conn, (size_t)got);
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            update_poll(conn);
            return;
        }
        conn_close(conn);
        return;
    }
    while (conn->count > 0) /* reserved, nothing committed */
        drop_piece(conn);
    update_poll(conn);
    output_empty(conn);
}

static void
tell_drained(struct conn *conn)
{
    if (conn->full_seen && conn->state == CONN_OPEN &&
        conn->out_len <= NET_LIMIT(conn->home->net, out_max) / 2) {
        conn->full_seen = false;
        if (conn->handler->drained != NULL)
            conn->handler->drained(conn);
    }
}

static void
on_flush_tick(struct loop_tick *tick)
{
    struct conn *conn = ox_container_of(tick, struct conn, flush_tick);
    conn_flush(conn);
    tell_drained(conn);
}

bool
conn_output_waits(const struct conn *conn)
{
    return output_waits(conn);
}

bool
conn_full(struct conn *conn)
{
    bool full = conn->out_len > NET_LIMIT(conn->home->net, out_max);
    if (full && !conn->full_seen)
        limit_met(LIMIT_OUTPUT_QUEUE);
    conn->full_seen |= full;
    return full;
}

/* ---- input ---- */

static bool
may_deliver(const struct conn *conn)
{
    return conn->paused == 0 && conn->state == CONN_OPEN && !conn->starved;
}

/* Hand over the whole messages in [pos, end) of buf; returns the new pos. Sets
 * own_want to the length of the first message that is not whole, 0 if unknown. */
static size_t
deliver(struct conn *conn, struct buf *buf, size_t pos, size_t end)
{
    conn->own_want = 0;
    while (pos < end && may_deliver(conn)) {
        struct tls *tls = conn->tls;
        ptrdiff_t len = conn->handler->frame_len(conn, buf->ptr + pos, end - pos);
        if (conn->tls != tls)
            return end; /* a hello: TLS has the bytes */
        if (len < 0) {
            if (conn->state == CONN_OPEN)
                conn_close_after_write(conn);
            return end;
        }
        if (len == 0 || (size_t)len > end - pos) {
            conn->own_want = (size_t)len;
            break;
        }
        conn->messages++;
        conn->last_len = (size_t)len;
        conn->last_message_ns = loop_now_ns(conn->home->loop);
        conn->frame_start_ns = 0;
        struct slice message = {buf, pos, (size_t)len};
        pos += (size_t)len;
        conn->handler->frame(conn, &message);
        if (conn->tls != tls) {
            if (pos < end)
                conn_close(conn); /* in clear, behind the wish for encryption */
            return end;
        }
    }
    if (conn->state != CONN_OPEN)
        return end;
    if (pos < end && conn->frame_start_ns == 0 && conn->paused == 0)
        conn->frame_start_ns = loop_now_ns(conn->home->loop);
    return pos;
}

static void
drop_own(struct conn *conn)
{
    ox_buf_put(conn->own);
    conn->own = NULL;
    conn->own_pos = conn->own_end = 0;
}

/* Keep [pos, end) of buf as the connection's own, with room for what is wanted: a
 * peer must send as much as we set aside, so that room for a large message grows
 * with what is there of it. */
static void
keep_rest(struct conn *conn, struct buf *buf, size_t pos, size_t end)
{
    size_t have = end - pos;
    if (have == 0) {
        if (conn->own != NULL)
            drop_own(conn);
        return;
    }
    size_t most = OX_MAX(have * 2, (size_t)OWN_FIRST);
    size_t want = OX_MAX(OX_MAX(OX_MIN(conn->own_want, most), have), (size_t)512);
    if (conn->own == buf && conn->own->cap - pos >= want) {
        conn->own_pos = pos;
        conn->own_end = end;
        return;
    }
    if (conn->own == buf && want > OWN_FIRST && mem_over()) {
        conn->own_pos = pos;
        conn->own_end = end;
        conn->starved = true; /* on_sweep() looks again */
        limit_met(LIMIT_MEMORY);
        return;
    }
    struct buf *own = ox_buf_new(want == have && conn->own_want == 0 ? want * 2 : want);
    memcpy(own->ptr, buf->ptr + pos, have);
    if (conn->own != NULL)
        ox_buf_put(conn->own);
    conn->own = own;
    conn->own_pos = 0;
    conn->own_end = have;
}

static void
use_shared(struct net_loop *home)
{
    if (home->shared != NULL &&
        atomic_load_explicit(&home->shared->refs, memory_order_acquire) == 1)
        home->shared_used = 0;
    if (home->shared == NULL || home->shared->cap - home->shared_used < READ_LEN) {
        ox_buf_put(home->shared);
        home->shared = ox_buf_new(SHARED_LEN);
        home->shared_used = 0;
    }
}

/* Returns what recv returned. */
static ssize_t
receive(struct conn *conn, struct buf *buf, size_t at, size_t len)
{
    const struct net *net = conn->home->net;
    bool held = conn->tls != NULL && tls_wants_input(conn->tls);
    ssize_t got = conn->tls != NULL ? tls_read(conn->tls, net, conn->fd, buf->ptr + at, len)
                                    : sock_recv(net, conn->fd, buf->ptr + at, len);
    if (held || (conn->tls != NULL && tls_out_len(conn->tls) > 0)) {
        int saved = errno;
        if (got < 0 && saved == EPROTO)
            tls_send(conn->tls, net, conn->fd); /* the alert that says why */
        loop_at_tick_end(conn->home->loop, &conn->flush_tick);
        errno = saved;
    }
    if (got > 0) {
        conn->bytes_in += (size_t)got;
        conn->home->moved += (size_t)got;
        atomic_fetch_add_explicit(&conn->home->net->bytes_in, (uint64_t)got,
            memory_order_relaxed);
    }
    return got;
}

/* Whether the rest of the message that starts at pos fits behind end. */
static bool
rest_fits(const struct conn *conn, const struct buf *buf, size_t pos, size_t end)
{
    size_t need = OX_MAX(conn->own_want, end - pos + 1);
    return pos < end && buf->cap - pos >= need;
}

/* Reads into the shared buffer for as long as what is left over of a message can
 * go on there: moving it away and back is for sockets that have no more. */
static ssize_t
read_shared(struct conn *conn)
{
    struct net_loop *home = conn->home;
    use_shared(home);
    struct buf *buf = ox_buf_get(home->shared);
    size_t pos = home->shared_used, end = pos;
    ssize_t got;
    do {
        got = receive(conn, buf, end, OX_MIN(buf->cap - end, (size_t)READ_LEN));
        if (got <= 0)
            break;
        end += (size_t)got;
        pos = deliver(conn, buf, pos, end);
    } while (may_deliver(conn) && rest_fits(conn, buf, pos, end));
    home->shared_used = OX_MIN((end + 15) & ~(size_t)15, buf->cap);
    keep_rest(conn, buf, pos, end);
    ox_buf_put(buf);
    return got;
}

/* A message as large as the last one is likely to follow: it is read into a
 * buffer of that size, where it stays if a good part of it has come. */
static ssize_t
read_large(struct conn *conn)
{
    size_t cap = conn->last_len, pos = 0, end = 0;
    struct buf *buf = ox_buf_new(cap);
    ssize_t got = receive(conn, buf, 0, cap);
    if (got > 0) {
        end = (size_t)got;
        pos = deliver(conn, buf, 0, end);
    }
    if (pos == 0 && end >= cap / 4 && conn->own_want > 0 && buf->cap >= conn->own_want) {
        conn->own = buf;
        conn->own_pos = 0;
        conn->own_end = end;
        return got;
    }
    keep_rest(conn, buf, pos, end);
    ox_buf_put(buf);
    return got;
}

static ssize_t
read_own(struct conn *conn)
{
    if (conn->own_end - conn->own_pos >= conn->own_want || conn->own_end == conn->own->cap)
        keep_rest(conn, conn->own, conn->own_pos, conn->own_end);
    if (conn->own_end == conn->own->cap) { /* length unknown and no room: grow */
        conn->own_want = (conn->own_end - conn->own_pos) * 2;
        keep_rest(conn, conn->own, conn->own_pos, conn->own_end);
    }
    size_t room = conn->own->cap - conn->own_end;
    size_t missing = conn->own_want > conn->own_end - conn->own_pos
                         ? conn->own_want - (conn->own_end - conn->own_pos)
                         : room;
    ssize_t got = receive(conn, conn->own, conn->own_end, OX_MIN(room, missing));
    if (got > 0) {
        struct buf *buf = ox_buf_get(conn->own);
        size_t end = conn->own_end + (size_t)got;
        conn->own_end = end;
        size_t pos = deliver(conn, buf, conn->own_pos, end);
        keep_rest(conn, buf, pos, end);
        ox_buf_put(buf);
    }
    return got;
}

/* Peer's bytes after we said goodbye. */
static void
read_linger(struct conn *conn)
{
    char waste[4096];
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t got = sock_recv(conn->home->net, conn->fd, waste, sizeof(waste));
        if (got > 0 || (got < 0 && errno == EINTR))
            continue;
        if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
            conn_close(conn);
        return;
    }
}

static bool
expects_large(const struct conn *conn)
{
    return conn->last_len >= LARGE_MIN && conn->last_len <= LARGE_MAX;
}

static void
read_input(struct conn *conn)
{
    conn->in_input = true;
    for (int i = 0; i < READS_PER_TURN && may_deliver(conn); i++) {
        ssize_t got = conn->own != NULL        ? read_own(conn)
                      : expects_large(conn) ? read_large(conn)
                                            : read_shared(conn);
        if (got > 0) {
            /* A short read of a small message: the socket is most likely empty. */
            if (got < 16384 && conn->own == NULL && conn->tls == NULL)
                break;
            continue;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            peer_left(conn);
        else if (errno != EAGAIN && errno != EWOULDBLOCK)
            conn_close(conn);
        break;
    }
    conn->in_input = false;
    read_on_later(conn);
}

static void
on_input_timer(struct loop_timer *timer)
{
    struct conn *conn = ox_container_of(timer, struct conn, input_timer);
    conn->new_turn = true;
    loop_at_tick_end(conn->home->loop, &conn->input_tick);
}

/* What TLS holds already does not make the socket readable. It is read in the next turn: the
 * end of this one would never come while the peer sends as fast. */
static void
read_on_later(struct conn *conn)
{
    if (conn->tls != NULL && may_deliver(conn) && tls_has_input(conn->tls))
        loop_timer_start(conn->home->loop, &conn->input_timer, 0, on_input_timer);
}

/* After a resume: messages that were read before the pause come first. */
static void
on_input_tick(struct loop_tick *tick)
{
    struct conn *conn = ox_container_of(tick, struct conn, input_tick);
    bool new_turn = conn->new_turn;
    conn->new_turn = false;
    if (!may_deliver(conn))
        return;
    if (conn->own != NULL) {
        struct buf *buf = ox_buf_get(conn->own);
        size_t end = conn->own_end, pos = deliver(conn, buf, conn->own_pos, end);
        keep_rest(conn, buf, pos, end);
        ox_buf_put(buf);
    }
    if (new_turn && conn->tls != NULL && may_deliver(conn))
        read_input(conn);
    else
        read_on_later(conn);
    update_poll(conn);
}

void
conn_pause(struct conn *conn)
{
    conn->paused++;
    if (conn->paused == 1 && !conn->in_input)
        update_poll(conn);
}

void
conn_resume(struct conn *conn)
{
    ox_assert(conn->paused > 0);
    if (--conn->paused > 0)
        return;
    /* The peer could not be heard: its time begins now. */
    conn->last_message_ns = loop_now_ns(conn->home->loop);
    if (conn->frame_start_ns != 0)
        conn->frame_start_ns = conn->last_message_ns;
    if (conn->state == CONN_OPEN)
        loop_at_tick_end(conn->home->loop, &conn->input_tick);
}

/* ---- the socket ---- */

/* The peer closed its side: nothing is read now, or all has been read. */
static void
peer_left(struct conn *conn)
{
    const struct conn_handler *handler = conn->handler;
    bool open = conn->state == CONN_OPEN;
    bool awaits = (open || conn->state == CONN_DRAINING) && handler->awaits_rest != NULL &&
                  handler->awaits_rest(conn);
    conn->hung_up |= awaits;
    if (awaits && open && !may_deliver(conn))
        conn->came_paused = true;
    else if (awaits && output_waits(conn))
        conn_close_after_write(conn);
    else
        conn_close(conn);
}

static void
ready(void *arg, int events)
{
    struct conn *conn = arg;
    loop_mark_work(conn->home->loop);
    if (events & UV_WRITABLE) {
        conn_flush(conn);
        tell_drained(conn);
    }
    if (conn->state == CONN_LINGER)
        read_linger(conn);
    else if ((events & (UV_READABLE | UV_DISCONNECT)) && may_deliver(conn))
        read_input(conn);
    else if ((events & UV_DISCONNECT) && conn->state != CONN_CLOSED)
        peer_left(conn);
    else if (events & UV_READABLE)
        conn->came_paused = true;
    update_poll(conn);
}

static void
on_ready(uv_poll_t *poll, int status, int events)
{
    struct conn *conn = ox_container_of(poll, struct conn, poll);
    if (status < 0)
        conn_close(conn);
    else
        ready(conn, events);
}

static void
update_poll(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    bool draining = conn->state == CONN_DRAINING;
    bool await = conn->hung_up && (draining || (conn->state == CONN_OPEN && !may_deliver(conn)));
    int events = await ? 0 : UV_DISCONNECT;
    /* A pause changes nothing until bytes come in it: most peers wait for their
     * answer, and four system calls a statement are saved. */
    if (may_deliver(conn))
        conn->came_paused = false;
    if (conn->state == CONN_LINGER || may_deliver(conn))
        events |= UV_READABLE;
    else if (conn->state == CONN_OPEN && !conn->came_paused)
        events |= conn->events & UV_READABLE;
    /* Output that is flushed at the end of this turn has not met a full socket
     * yet: changing the poll for it would cost three system calls a request. */
    if (output_waits(conn) && conn->state != CONN_LINGER && !conn->flush_tick.waiting &&
        (conn->tls == NULL || tls_out_len(conn->tls) > 0 ||
            (tls_ready(conn->tls) && !tls_wants_input(conn->tls))))
        events |= UV_WRITABLE;
    if (events == conn->events)
        return;
    conn->events = events;
    const struct stream_system *streams = conn->home->net->streams;
    if (streams == NULL)
        uv_poll_start(&conn->poll, events, on_ready);
    else
        streams->watch(streams->self, conn->fd, events, ready, conn);
}

static void
on_poll_closed(uv_handle_t *handle)
{
    struct conn *conn = ox_container_of(handle, struct conn, poll);
    ox_free(conn);
}

static void
free_simulated(struct loop_msg *msg)
{
    ox_free(ox_container_of(msg, struct conn, free_msg));
}

/* The struct goes in a later turn: hooks of this one may still run. */
static void
close_socket(struct conn *conn)
{
    bool simulated = conn->home->net->streams != NULL;
    if (!simulated) /* before its number can be another's */
        uv_close((uv_handle_t *)&conn->poll, on_poll_closed);
    tls_free(conn->tls);
    sock_close(conn->home->net, conn->fd);
    if (!simulated)
        return;
    conn->free_msg.fn = free_simulated;
    loop_post(conn->home->loop, &conn->free_msg);
}

static void
on_close_tick(struct loop_tick *tick)
{
    struct conn *conn = ox_container_of(tick, struct conn, close_tick);
    struct net_loop *home = conn->home;
    conn->handler->closed(conn);
    loop_timer_stop(&conn->input_timer);
    drop_output(conn);
    if (conn->own != NULL)
        drop_own(conn);
    ox_list_remove(&conn->link);
    home->conn_count--;
    if (home->conn_count == 0) {
        ox_buf_put(home->shared);
        home->shared = NULL;
    }
    net_count_out(conn->listener, conn->peer_host);
    if (!conn->known)
        atomic_fetch_sub(&home->net->strangers, 1);
    close_socket(conn);
}

void
conn_close(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    loop_at_tick_end(conn->home->loop, &conn->close_tick);
}

void
conn_close_after_write(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->state = CONN_DRAINING;
    conn->write_progress_ns = loop_now_ns(conn->home->loop);
    loop_at_tick_end(conn->home->loop, &conn->flush_tick);
}

bool
conn_closing(const struct conn *conn)
{
    return conn->state != CONN_OPEN;
}

/* ---- limits in time ---- */

/* The limit in time that the connection has passed, or LIMIT_COUNT. */
static enum limit_id
passed(const struct conn *conn, uint64_t now)
{
    const struct net *net = conn->home->net;
    uint64_t stall_ns = NET_LIMIT(net, write_stall_ns), frame_ns = NET_LIMIT(net, frame_ns);
    if (conn->state == CONN_LINGER)
        return now - conn->write_progress_ns > SECOND_NS ? LIMIT_IDLE_TIME : LIMIT_COUNT;
    if (conn->flush_tick.waiting)
        return LIMIT_COUNT; /* a long turn: it was not tried to send it yet */
    if (output_waits(conn) && stall_ns > 0)
        return now - conn->write_progress_ns > stall_ns ? LIMIT_WRITE_TIME : LIMIT_COUNT;
    if (conn->paused > 0)
        return LIMIT_COUNT;
    if (!conn->known)
        return conn->idle_ns > 0 && now - conn->opened_ns > conn->idle_ns ? LIMIT_LOGIN_TIME
                                                                         : LIMIT_COUNT;
    if (conn->frame_start_ns != 0 && frame_ns > 0)
        return now - conn->frame_start_ns > frame_ns ? LIMIT_FRAME_TIME : LIMIT_COUNT;
    return conn->idle_ns > 0 && now - conn->last_message_ns > conn->idle_ns ? LIMIT_IDLE_TIME
                                                                           : LIMIT_COUNT;
}

static bool
overdue(const struct conn *conn, uint64_t now)
{
    enum limit_id limit = passed(conn, now);
    if (limit != LIMIT_COUNT && conn->state != CONN_LINGER)
        limit_met(limit);
    return limit != LIMIT_COUNT;
}

/* What a busy time left goes back to the system when it is over. */
static void
note_quiet(struct net_loop *home)
{
    home->quiet_seconds = home->moved < QUIET_BYTES ? home->quiet_seconds + 1 : 0;
    home->moved = 0;
    ox_buf_tend();
    if (home->quiet_seconds != QUIET_SECONDS)
        return;
    ox_buf_trim();
    ox_heap_trim();
}

static void
on_sweep(struct loop_timer *timer)
{
    struct net_loop *home = ox_container_of(timer, struct net_loop, sweep);
    uint64_t now = loop_now_ns(home->loop);
    ox_list_each(node, &home->conns) {
        struct conn *conn = ox_container_of(node, struct conn, link);
        if (conn->state == CONN_CLOSED)
            continue;
        if (overdue(conn, now)) {
            conn_close(conn);
        } else if (conn->starved && !mem_over()) {
            conn->starved = false;
            loop_at_tick_end(home->loop, &conn->input_tick);
        }
    }
    note_quiet(home);
    /* A loop without connections sleeps. */
    if (home->conn_count > 0 || home->quiet_seconds < QUIET_SECONDS)
        loop_timer_start(home->loop, &home->sweep, SECOND_NS, on_sweep);
}

static void
know(struct conn *conn)
{
    if (!conn->known)
        atomic_fetch_sub(&conn->home->net->strangers, 1);
    conn->known = true;
}

void
conn_set_idle_limit(struct conn *conn, uint64_t idle_ns)
{
    conn->idle_ns = idle_ns;
    know(conn);
}

bool
conn_is_surplus(const struct conn *conn)
{
    return conn->surplus;
}

void
conn_start(struct net_loop *home, int fd, struct listener *listener,
    const struct conn_handler *handler, void *listener_arg, struct net_tls *tls,
    const char *peer_host, int peer_port, bool surplus)
{
    struct conn *conn = ox_calloc(1, sizeof(*conn));
    conn->home = home;
    conn->listener = listener;
    conn->handler = handler;
    conn->fd = fd;
    conn->id = atomic_fetch_add(&home->net->next_id, 1) + 1;
    snprintf(conn->peer_host, sizeof(conn->peer_host), "%s", peer_host);
    conn->peer_port = peer_port;
    conn->opened_ms = loop_wall_ms(home->loop);
    conn->opened_ns = conn->last_message_ns = loop_now_ns(home->loop);
    conn->idle_ns = NET_LIMIT(home->net, idle_ns);
    conn->surplus = surplus;
    conn->tls = tls != NULL ? tls_new(tls, fd) : NULL;
    conn->flush_tick.fn = on_flush_tick;
    conn->close_tick.fn = on_close_tick;
    conn->input_tick.fn = on_input_tick;
    ox_list_push(&home->conns, &conn->link);
    home->conn_count++;
    if (!loop_timer_running(&home->sweep))
        loop_timer_start(home->loop, &home->sweep, SECOND_NS, on_sweep);
    int failed = home->net->streams != NULL ? 0
                                            : uv_poll_init(loop_uv(home->loop), &conn->poll, fd);
    ox_assert(failed == 0);
    uint32_t most = NET_LIMIT(home->net, strangers_max);
    uint32_t strangers = atomic_fetch_add(&home->net->strangers, 1) + 1;
    handler->opened(conn, listener_arg);
    if (!conn->known && most > 0 && strangers > most) {
        limit_met(LIMIT_CONNECTIONS_LOGGING_IN);
        conn_close(conn);
    }
    update_poll(conn);
}

void
conn_start_tls(struct conn *conn, struct net_tls *tls, const void *bytes, size_t len)
{
    ox_assert(conn->tls == NULL);
    conn_flush(conn);
    if (conn->out_len > 0) { /* a single byte that does not fit: give up */
        conn_close(conn);
        return;
    }
    conn->tls = tls_new(tls, conn->fd);
    if (len > 0)
        tls_feed(conn->tls, bytes, len);
}

const struct conn_tls *
conn_tls(const struct conn *conn)
{
    return conn->tls != NULL ? tls_facts(conn->tls) : NULL;
}

const char *
conn_tls_refusal(const struct conn *conn)
{
    return conn->tls != NULL ? tls_refusal(conn->tls) : NULL;
}

void
conn_close_all(struct net_loop *home)
{
    ox_list_each(node, &home->conns)
        conn_close(ox_container_of(node, struct conn, link));
}

void
conn_close_of(struct net_loop *home, const struct listener *listener)
{
    ox_list_each(node, &home->conns) {
        struct conn *conn = ox_container_of(node, struct conn, link);
        if (conn->listener == listener && conn->state == CONN_OPEN)
            conn_close_after_write(conn);
    }
}

void
conn_each_idle(struct net_loop *home, void (*fn)(void *arg, uint64_t id, uint64_t last_ns),
    void *arg)
{
    ox_list_each(node, &home->conns) {
        const struct conn *conn = ox_container_of(node, struct conn, link);
        if (conn->state == CONN_OPEN && net_listener_sheds(conn->listener))
            fn(arg, conn->id, conn->last_message_ns);
    }
}

void
conn_close_id(struct net_loop *home, uint64_t id)
{
    ox_list_each(node, &home->conns) {
        struct conn *conn = ox_container_of(node, struct conn, link);
        if (conn->id == id && conn->state != CONN_CLOSED)
            conn_close(conn);
    }
}

/* ---- facts ---- */

void
conn_set_user(struct conn *conn, void *user)
{
    conn->user = user;
}

void
conn_set_session(struct conn *conn, void *session)
{
    conn->session = session;
}

void *
conn_user(const struct conn *conn)
{
    return conn->user;
}

struct loop *
conn_loop(const struct conn *conn)
{
    return conn->home->loop;
}

uint64_t
conn_id(const struct conn *conn)
{
    return conn->id;
}

const char *
conn_peer_host(const struct conn *conn)
{
    return conn->peer_host;
}

int
conn_peer_port(const struct conn *conn)
{
    return conn->peer_port;
}

void
net_each_conn(struct net *net, struct loop *loop,
    void (*fn)(struct conn *conn, const struct conn_facts *facts, void *arg), void *arg)
{
    struct net_loop *home = &net->per_loop[loop_index(loop)];
    ox_assert(loop_is(loop));
    ox_list_each(node, &home->conns) {
        struct conn *conn = ox_container_of(node, struct conn, link);
        if (conn->state == CONN_CLOSED)
            continue;
        struct conn_facts facts = {conn->id, conn->handler->protocol, conn->peer_host,
            conn->peer_port, loop_index(loop), conn->opened_ms, conn->bytes_in, conn->bytes_out,
            conn->messages, conn->session};
        fn(conn, &facts, arg);
    }
}
