/* SPDX-License-Identifier: Apache-2.0
 *
 * References of the Kafka door, each a process of its own.
 *
 * The null server does what no broker can do without, in the way that costs
 * least: as many epoll loops as there are cores, connections dealt out in turn;
 * each reads as much as has come, checks the CRC of whole batches, appends them
 * to one file, and sends all answers of a turn at once. Like the server it looks
 * for more for 20 us before it sleeps. Its file is replaced at the size at which
 * the topic's segments are. It knows no topics, offsets, records or errors.
 *
 * A flusher thread, if asked for, calls fdatasync for whatever was written until
 * then; the loops do not wait for it, or answer behind it:
 *
 *   loop: append, queue (connection, end of file) -> flusher: fdatasync, synced = end
 *         -> eventfd of each loop that waits -> loop: answer what is below synced */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "log/record_batch.h"
#include "tool/bench.h"

enum {
    LOOPS_MAX = 16,
    READ_LEN = 256 * 1024,
    ANSWER_MAX = 256,
    WAITING_MAX = 8192,
    POLL_NS = 20 * 1000,
};


struct null_conn {
    int fd;
    uint8_t *buf;
    size_t cap, have;
    uint32_t answers; /* to be sent at the end of the turn */
    bool closed;
};

struct null_loop {
    struct null_server *server;
    int epoll, event;
    pthread_t thread;
    /* sync: what waits for the flusher, oldest first */
    struct {
        struct null_conn *conn;
        uint64_t end;
    } waiting[WAITING_MAX];
    uint32_t first, count;
    _Atomic bool waits;
};

struct null_server {
    int listen_fd, file, older; /* as retention has it: one file behind the newest */
    enum null_flush flush;
    char path[300];
    pthread_mutex_t lock; /* file, written, base */
    uint64_t written, base; /* the file began at base */
    _Atomic uint64_t synced;
    pthread_cond_t more;
    int loop_count;
    struct null_loop loops[LOOPS_MAX];
    uint8_t answer[ANSWER_MAX];
    size_t answer_len;
};

/* ---- a listening socket ---- */

static int
listen_any(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 128) != 0)
        die("listen");
    getsockname(fd, (struct sockaddr *)&at, &len);
    *port = ntohs(at.sin_port);
    return fd;
}

/* ---- the null server ---- */

static void
new_file(struct null_server *server)
{
    snprintf(server->path, sizeof(server->path), "%s/oxbench.XXXXXX", opt.scratch);
    server->file = mkstemp(server->path);
    if (server->file < 0)
        die(server->path);
    unlink(server->path);
}

/* One file, one appender at a time, as a partition has it. Returns the end. */
static uint64_t
append(struct null_server *server, const uint8_t *batch, size_t len)
{
    pthread_mutex_lock(&server->lock);
    if (server->written - server->base + len > BENCH_SEGMENT) {
        if (server->flush != NULL_NEVER)
            fdatasync(server->file);
        if (server->older > 0)
            close(server->older);
        server->older = server->file;
        new_file(server);
        server->base = server->written;
    }
    if (pwrite(server->file, batch, len, (off_t)(server->written - server->base)) !=
        (ssize_t)len)
        die("write");
    uint64_t end = server->written += len;
    if (server->flush != NULL_NEVER)
        pthread_cond_signal(&server->more);
    pthread_mutex_unlock(&server->lock);
    return end;
}

static void *
null_flusher(void *arg)
{
    struct null_server *server = arg;
    pthread_mutex_lock(&server->lock);
    for (;;) {
        while (server->written == atomic_load(&server->synced))
            pthread_cond_wait(&server->more, &server->lock);
        uint64_t end = server->written;
        int file = dup(server->file);
        pthread_mutex_unlock(&server->lock);
        fdatasync(file);
        close(file);
        atomic_store(&server->synced, end);
        for (int i = 0; i < server->loop_count; i++)
            if (atomic_load(&server->loops[i].waits))
                eventfd_write(server->loops[i].event, 1);
        pthread_mutex_lock(&server->lock);
    }
    return NULL;
}

static void
make_answer(struct null_server *server)
{
    uint8_t *answer = server->answer;
    size_t topic = strlen(opt.topic);
    ox_assert(topic < 128);
    server->answer_len = 4 + 4 + 4 + 2 + topic + 4 + 4 + 2 + 8 + 8 + 8 + 4;
    wire_store32(answer, (uint32_t)server->answer_len - 4);
    wire_store32(answer + 4, 1);
    wire_store32(answer + 8, 1);
    wire_store16(answer + 12, (uint16_t)topic);
    memcpy(answer + 14, opt.topic, topic);
    wire_store32(answer + 14 + topic, 1);
}

/* A Produce of one batch: the batch is what ends the frame. */
static void
take_frame(struct null_loop *loop, struct null_conn *conn, const uint8_t *frame, size_t len)
{
    struct null_server *server = loop->server;
    size_t at = 4 + 2 + 2 + 4 + 2 + 7 + 2 + 2 + 4 + 4 + 2 + strlen(opt.topic) + 4 + 4;
    if (len < at + 4 + RECORD_BATCH_HEADER)
        die("null server: short frame");
    const uint8_t *batch = frame + at + 4;
    size_t batch_len = wire_load32(frame + at);
    if (batch_len != len - at - 4 ||
        wire_load32(batch + 17) !=
            ox_crc32c(0, batch + RECORD_BATCH_CRC_AT, batch_len - RECORD_BATCH_CRC_AT))
        die("null server: bad batch");
    uint64_t end = append(server, batch, batch_len);
    if (server->flush != NULL_BEFORE) {
        conn->answers++;
        return;
    }
    ox_assert(loop->count < WAITING_MAX);
    uint32_t slot = (loop->first + loop->count++) % WAITING_MAX;
    loop->waiting[slot].conn = conn;
    loop->waiting[slot].end = end;
    atomic_store(&loop->waits, true);
}

static void
send_answers(const struct null_server *server, struct null_conn *conn)
{
    uint8_t out[64 * ANSWER_MAX];
    while (conn->answers > 0) {
        uint32_t count = OX_MIN(conn->answers, 64u);
        for (uint32_t i = 0; i < count; i++)
            memcpy(out + i * server->answer_len, server->answer, server->answer_len);
        conn->answers -= count;
        if (send(conn->fd, out, count * server->answer_len, MSG_NOSIGNAL) < 0)
            conn->closed = true;
    }
}

static void
take_input(struct null_loop *loop, struct null_conn *conn)
{
    for (;;) {
        /* The rest of a frame that has begun, or whatever has come. */
        size_t want = READ_LEN;
        if (conn->have >= 4)
            want = wire_load32(conn->buf) + 4 - conn->have;
        if (conn->have + want > conn->cap)
            conn->buf = ox_realloc(conn->buf, conn->cap = conn->have + want);
        ssize_t got = recv(conn->fd, conn->buf + conn->have, want, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            conn->closed = true;
            return;
        }
        if (got < 0)
            return;
        size_t pos = 0, end = conn->have += (size_t)got;
        while (end - pos >= 4 && end - pos >= wire_load32(conn->buf + pos) + 4) {
            size_t len = wire_load32(conn->buf + pos) + 4;
            take_frame(loop, conn, conn->buf + pos, len);
            pos += len;
        }
        if (pos > 0 && end > pos)
            memmove(conn->buf, conn->buf + pos, end - pos);
        conn->have = end - pos;
        if ((size_t)got < want)
            return;
    }
}

static void
take_synced(struct null_loop *loop)
{
    uint64_t synced = atomic_load(&loop->server->synced);
    struct null_conn *last = NULL;
    while (loop->count > 0 && loop->waiting[loop->first].end <= synced) {
        struct null_conn *conn = loop->waiting[loop->first].conn;
        if (last != NULL && last != conn)
            send_answers(loop->server, last);
        conn->answers++;
        last = conn;
        loop->first = (loop->first + 1) % WAITING_MAX;
        loop->count--;
    }
    if (last != NULL)
        send_answers(loop->server, last);
    if (loop->count == 0)
        atomic_store(&loop->waits, false);
}

static void *
null_loop_main(void *arg)
{
    struct null_loop *loop = arg;
    struct epoll_event events[64];
    uint64_t poll_until = 0, now;
    eventfd_t value;
    for (;;) {
        now = (uint64_t)(now_s() * 1e9);
        int count = epoll_wait(loop->epoll, events, 64, now < poll_until ? 0 : -1);
        for (int i = 0; i < count; i++) {
            struct null_conn *conn = events[i].data.ptr;
            if (conn == NULL) {
                eventfd_read(loop->event, &value);
                continue;
            }
            take_input(loop, conn);
            send_answers(loop->server, conn);
            if (conn->closed)
                close(conn->fd);
        }
        if (loop->count > 0)
            take_synced(loop);
        if (count > 0)
            poll_until = (uint64_t)(now_s() * 1e9) + POLL_NS;
    }
    return NULL;
}

_Noreturn static void
null_accept(struct null_server *server)
{
    for (unsigned next = 0;; next++) {
        int fd = accept(server->listen_fd, NULL, NULL), on = 1;
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct null_conn *conn = ox_calloc(1, sizeof(*conn));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        conn->fd = fd;
        epoll_ctl(server->loops[next % (unsigned)server->loop_count].epoll, EPOLL_CTL_ADD, fd,
            &event);
    }
}

_Noreturn static void
null_main(struct null_server *server)
{
    pthread_t flusher;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->more, NULL);
    new_file(server);
    make_answer(server);
    server->loop_count = (int)OX_MIN(OX_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1), (long)LOOPS_MAX);
    for (int i = 0; i < server->loop_count; i++) {
        struct null_loop *loop = &server->loops[i];
        struct epoll_event event = {.events = EPOLLIN};
        loop->server = server;
        loop->epoll = epoll_create1(0);
        loop->event = eventfd(0, EFD_NONBLOCK);
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->event, &event);
        pthread_create(&loop->thread, NULL, null_loop_main, loop);
    }
    if (server->flush != NULL_NEVER)
        pthread_create(&flusher, NULL, null_flusher, server);
    null_accept(server);
}

void
null_start(struct target *target, enum null_flush flush)
{
    static const char *const names[] = {"null server", "null, flush behind", "null+fdatasync"};
    struct null_server *server = ox_calloc(1, sizeof(*server));
    memset(target, 0, sizeof(*target));
    target->name = names[flush];
    server->flush = flush;
    server->listen_fd = listen_any(&target->kafka_port);
    target->pid = target_fork();
    if (target->pid == 0)
        null_main(server);
    close(server->listen_fd);
    ox_free(server);
}

/* ---- sendfile ---- */

static void *
send_file(void *arg)
{
    int fd = *(int *)arg, file = ((int *)arg)[1];
    struct stat status;
    ox_free(arg);
    if (fstat(file, &status) != 0)
        die("stat");
    for (off_t pos = 0;; pos = pos >= status.st_size ? 0 : pos)
        if (sendfile(fd, file, &pos, 1 << 20) <= 0)
            break;
    close(fd);
    return NULL;
}

void
sender_start(struct target *target, const char *path)
{
    memset(target, 0, sizeof(*target));
    target->name = "raw sendfile";
    int listen_fd = listen_any(&target->kafka_port), file = open(path, O_RDONLY);
    if (file < 0)
        die(path);
    target->pid = target_fork();
    while (target->pid == 0) {
        int *pair = ox_malloc(2 * sizeof(int));
        pthread_t thread;
        pair[0] = accept(listen_fd, NULL, NULL);
        pair[1] = file;
        pthread_create(&thread, NULL, send_file, pair);
        pthread_detach(thread);
    }
    close(listen_fd);
    close(file);
}
