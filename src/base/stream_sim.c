/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated network of stream_sim.h.
 *
 *   peer --put--> in [unread | on its way] --recv--> server --send--> out --get--> peer
 *
 * 1. A pipe holds its bytes at [start, start + len); the first `arrived` of them
 *    can be read. Its end arrives after all of them.
 * 2. A slot is free again when server and peer are both gone. */
#include "base/stream_sim.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/rand.h"

enum { STREAMS_MAX = 256, WINDOW = 64 * 1024, FIRST_PORT = 20000 };
enum stream_kind { STREAM_FREE, STREAM_LISTENER, STREAM_PAIR };

struct pipe {
    uint8_t *bytes;
    size_t start, len, arrived, cap;
    bool ended; /* by the writer */
};

struct stream {
    enum stream_kind kind;
    int port, peer_port;
    struct pipe in, out;
    bool accepted, reset, server_gone, peer_gone;
    int events;
    void (*ready)(void *arg, int events);
    void *arg;
};

struct stream_sim {
    struct stream_system system;
    struct stream streams[STREAMS_MAX];
    struct rand_state rand;
    size_t window;
    int next_port;
    bool disturbing;
};

static bool
chance(struct stream_sim *sim, uint64_t one_in)
{
    return sim->disturbing && ox_rand_below(&sim->rand, one_in) == 0;
}

/* Some of what could be moved: a few bytes as often as much. */
static size_t
some(struct stream_sim *sim, size_t most)
{
    if (!sim->disturbing || most < 2)
        return most;
    return 1 + ox_rand_below(&sim->rand, ox_rand_below(&sim->rand, 2) ? most : OX_MIN(most, (size_t)9));
}

/* ---- pipes ---- */

static void
pipe_add(struct pipe *pipe, const void *ptr, size_t len)
{
    if (pipe->start + pipe->len + len > pipe->cap) {
        size_t cap = OX_MAX((pipe->len + len) * 2, (size_t)512);
        uint8_t *bytes = ox_malloc(cap);
        if (pipe->len > 0)
            memcpy(bytes, pipe->bytes + pipe->start, pipe->len);
        ox_free(pipe->bytes);
        pipe->bytes = bytes;
        pipe->cap = cap;
        pipe->start = 0;
    }
    if (len > 0)
        memcpy(pipe->bytes + pipe->start + pipe->len, ptr, len);
    pipe->len += len;
}

static void
pipe_take(struct pipe *pipe, void *to, size_t len)
{
    ox_assert(len <= pipe->arrived && pipe->arrived <= pipe->len);
    memcpy(to, pipe->bytes + pipe->start, len);
    pipe->start += len;
    pipe->len -= len;
    pipe->arrived -= len;
}

static bool
end_arrived(const struct pipe *pipe)
{
    return pipe->ended && pipe->len == pipe->arrived;
}

static void
pipe_drop(struct pipe *pipe)
{
    pipe->len = pipe->arrived = 0;
    pipe->ended = true;
}

/* ---- streams ---- */

static struct stream *
stream_at(struct stream_sim *sim, int id)
{
    ox_assert(id >= 0 && id < STREAMS_MAX && sim->streams[id].kind != STREAM_FREE);
    return &sim->streams[id];
}

static struct stream *
new_stream(struct stream_sim *sim, enum stream_kind kind)
{
    for (int i = 0; i < STREAMS_MAX; i++)
        if (sim->streams[i].kind == STREAM_FREE) {
            sim->streams[i] = (struct stream){.kind = kind};
            return &sim->streams[i];
        }
    ox_unreachable();
}

static void
free_if_gone(struct stream *stream)
{
    if (stream->kind == STREAM_PAIR && !(stream->server_gone && stream->peer_gone))
        return;
    ox_free(stream->in.bytes);
    ox_free(stream->out.bytes);
    *stream = (struct stream){.kind = STREAM_FREE};
}

static void
reset(struct stream *stream)
{
    stream->reset = true;
    pipe_drop(&stream->in);
    pipe_drop(&stream->out);
}

static struct stream *
listener_at(struct stream_sim *sim, int port)
{
    for (int i = 0; i < STREAMS_MAX; i++)
        if (sim->streams[i].kind == STREAM_LISTENER && sim->streams[i].port == port)
            return &sim->streams[i];
    return NULL;
}

/* The next peer that waits at the port, or -1. */
static int
next_waiting(struct stream_sim *sim, int port)
{
    for (int i = 0; i < STREAMS_MAX; i++) {
        const struct stream *stream = &sim->streams[i];
        if (stream->kind == STREAM_PAIR && stream->port == port && !stream->accepted)
            return i;
    }
    return -1;
}

/* ---- the server's side ---- */

static int
sim_listen(void *self, int port)
{
    struct stream_sim *sim = self;
    if (port != 0 && listener_at(sim, port) != NULL) {
        errno = EADDRINUSE;
        return -1;
    }
    struct stream *stream = new_stream(sim, STREAM_LISTENER);
    stream->port = port != 0 ? port : sim->next_port++;
    return (int)(stream - sim->streams);
}

static int
sim_port(void *self, int id)
{
    return stream_at(self, id)->port;
}

static int
sim_accept(void *self, int listener, int *peer_port)
{
    struct stream_sim *sim = self;
    int id = next_waiting(sim, stream_at(sim, listener)->port);
    if (id < 0) {
        errno = EAGAIN;
        return -1;
    }
    sim->streams[id].accepted = true;
    *peer_port = sim->streams[id].peer_port;
    return id;
}

static ssize_t
fail(int error)
{
    errno = error;
    return -1;
}

static ssize_t
sim_recv(void *self, int id, void *to, size_t len)
{
    struct stream_sim *sim = self;
    struct stream *stream = stream_at(sim, id);
    ox_assert(!stream->server_gone);
    if (stream->reset)
        return fail(ECONNRESET);
    if (chance(sim, 16))
        return fail(chance(sim, 2) ? EINTR : EAGAIN);
    if (stream->in.arrived == 0)
        return end_arrived(&stream->in) ? 0 : fail(EAGAIN);
    size_t part = some(sim, OX_MIN(len, stream->in.arrived));
    pipe_take(&stream->in, to, part);
    return (ssize_t)part;
}

static ssize_t
sim_send(void *self, int id, const struct iovec *iov, int count)
{
    struct stream_sim *sim = self;
    struct stream *stream = stream_at(sim, id);
    size_t all = 0, done = 0;
    ox_assert(!stream->server_gone);
    if (stream->reset || stream->peer_gone) {
        reset(stream);
        return fail(EPIPE);
    }
    ox_assert(!stream->out.ended);
    if (chance(sim, 16))
        return fail(chance(sim, 2) ? EINTR : EAGAIN);
    if (stream->out.len >= sim->window)
        return fail(EAGAIN);
    for (int i = 0; i < count; i++)
        all += iov[i].iov_len;
    size_t most = some(sim, OX_MIN(all, sim->window - stream->out.len));
    for (int i = 0; i < count && done < most; i++) {
        size_t part = OX_MIN(iov[i].iov_len, most - done);
        pipe_add(&stream->out, iov[i].iov_base, part);
        done += part;
    }
    return (ssize_t)done;
}

static void
sim_shutdown(void *self, int id)
{
    stream_at(self, id)->out.ended = true;
}

static void
sim_close(void *self, int id)
{
    struct stream *stream = stream_at(self, id);
    stream->events = 0;
    stream->server_gone = true;
    stream->out.ended = true;
    if (stream->in.len > 0)
        reset(stream);
    free_if_gone(stream);
}

static void
sim_watch(void *self, int id, int events, void (*ready)(void *arg, int events), void *arg)
{
    struct stream *stream = stream_at(self, id);
    stream->events = events;
    stream->ready = ready;
    stream->arg = arg;
}

/* ---- what is ready ---- */

static void
arrive(struct stream_sim *sim, struct pipe *pipe)
{
    size_t way = pipe->len - pipe->arrived;
    if (way > 0 && !chance(sim, 4))
        pipe->arrived += some(sim, way);
}

static int
ready_events(struct stream_sim *sim, const struct stream *stream)
{
    int events = 0;
    if (stream->kind == STREAM_LISTENER)
        return next_waiting(sim, stream->port) >= 0 ? STREAM_READABLE : 0;
    if (stream->in.arrived > 0 || end_arrived(&stream->in) || stream->reset)
        events |= STREAM_READABLE;
    if (stream->out.len < sim->window || stream->reset)
        events |= STREAM_WRITABLE;
    if (end_arrived(&stream->in) || stream->reset)
        events |= STREAM_DISCONNECT;
    return events;
}

void
stream_sim_poll(void *arg)
{
    struct stream_sim *sim = arg;
    int first = sim->disturbing ? (int)ox_rand_below(&sim->rand, STREAMS_MAX) : 0;
    for (int i = 0; i < STREAMS_MAX; i++) {
        struct stream *stream = &sim->streams[(first + i) % STREAMS_MAX];
        if (stream->kind == STREAM_PAIR) {
            arrive(sim, &stream->in);
            arrive(sim, &stream->out);
        }
        int events = stream->kind == STREAM_FREE || stream->events == 0 || chance(sim, 8)
                         ? 0
                         : ready_events(sim, stream) & stream->events;
        if (events != 0)
            stream->ready(stream->arg, events);
    }
}

/* ---- the peers' side ---- */

int
stream_sim_connect(struct stream_sim *sim, int port)
{
    if (listener_at(sim, port) == NULL)
        return -1;
    struct stream *stream = new_stream(sim, STREAM_PAIR);
    stream->port = port;
    stream->peer_port = sim->next_port++;
    return (int)(stream - sim->streams);
}

size_t
stream_sim_put(struct stream_sim *sim, int id, const void *ptr, size_t len)
{
    struct stream *stream = stream_at(sim, id);
    if (stream->reset || stream->server_gone || stream->in.ended ||
        stream->in.len >= sim->window)
        return 0;
    size_t part = OX_MIN(len, sim->window - stream->in.len);
    pipe_add(&stream->in, ptr, part);
    return part;
}

size_t
stream_sim_get(struct stream_sim *sim, int id, void *to, size_t len)
{
    struct stream *stream = stream_at(sim, id);
    size_t part = OX_MIN(len, stream->out.arrived);
    if (part > 0)
        pipe_take(&stream->out, to, part);
    return part;
}

bool
stream_sim_ended(struct stream_sim *sim, int id)
{
    const struct stream *stream = stream_at(sim, id);
    return stream->reset || (end_arrived(&stream->out) && stream->out.len == 0);
}

void
stream_sim_leave(struct stream_sim *sim, int id, bool at_once)
{
    struct stream *stream = stream_at(sim, id);
    stream->peer_gone = true;
    stream->in.ended = true;
    if (!stream->accepted)
        stream->server_gone = true; /* it never was one */
    if (at_once || stream->out.len > 0)
        reset(stream);
    free_if_gone(stream);
}

/* ---- life ---- */

struct stream_sim *
stream_sim_new(uint64_t seed)
{
    struct stream_sim *sim = ox_calloc(1, sizeof(*sim));
    sim->system = (struct stream_system){sim_listen, sim_port, sim_accept, sim_recv, sim_send,
        sim_shutdown, sim_close, sim_watch, sim};
    ox_rand_seed(&sim->rand, seed);
    sim->window = WINDOW;
    sim->next_port = FIRST_PORT;
    return sim;
}

void
stream_sim_free(struct stream_sim *sim)
{
    for (int i = 0; i < STREAMS_MAX; i++) {
        ox_free(sim->streams[i].in.bytes);
        ox_free(sim->streams[i].out.bytes);
    }
    ox_free(sim);
}

const struct stream_system *
stream_sim_system(struct stream_sim *sim)
{
    return &sim->system;
}

void
stream_sim_disturb(struct stream_sim *sim, bool on)
{
    sim->disturbing = on;
}

void
stream_sim_set_window(struct stream_sim *sim, size_t bytes)
{
    sim->window = bytes;
}
