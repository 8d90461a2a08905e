/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference of the SQL door, a process of its own: what libpq and the sockets
 * leave of a COPY or an INSERT when the server does nothing.
 *
 *   COPY ... FROM   CopyInResponse; bytes are read and thrown away until CopyDone
 *   COPY ... TO     CopyOutResponse; the same row again and again, then CopyDone
 *   anything else   written to a file; a flusher commits as much as has queued with
 *                   one fdatasync, then "INSERT 0 1"
 *
 * A thread a connection. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/wire.h"
#include "tool/bench.h"

enum { BLOCK = 64 * 1024, FILE_LEN = 16 << 20 };

static struct {
    const char *line;
    int rows, file;
    pthread_mutex_t lock;
    pthread_cond_t more, synced_more;
    uint64_t written, synced;
} null;

static void *
flusher(void *arg)
{
    pthread_mutex_lock(&null.lock);
    for (;;) {
        while (null.written == null.synced)
            pthread_cond_wait(&null.more, &null.lock);
        uint64_t end = null.written;
        pthread_mutex_unlock(&null.lock);
        fdatasync(null.file);
        pthread_mutex_lock(&null.lock);
        null.synced = end;
        pthread_cond_broadcast(&null.synced_more);
    }
    return arg;
}

static void
commit(const void *bytes, size_t len)
{
    pthread_mutex_lock(&null.lock);
    if (pwrite(null.file, bytes, len, (off_t)(null.written % FILE_LEN)) < 0)
        die("write");
    uint64_t end = null.written += len;
    pthread_cond_signal(&null.more);
    while (null.synced < end)
        pthread_cond_wait(&null.synced_more, &null.lock);
    pthread_mutex_unlock(&null.lock);
}

static void
put_message(struct text *out, char type, const void *body, size_t len)
{
    struct wire_out wire = wire_out(out);
    wire_put8(&wire, type);
    wire_put32(&wire, (int32_t)len + 4);
    wire_put_bytes(&wire, body, len);
}

static void
ready(int fd, struct text *out, const char *tag)
{
    if (tag != NULL)
        put_message(out, 'C', tag, strlen(tag) + 1);
    put_message(out, 'Z', "I", 1);
    write_full(fd, out->ptr, out->len);
    ox_text_clear(out);
}

static void
copy_out(int fd, struct text *out)
{
    put_message(out, 'H', "\0\0\0", 3);
    for (int i = 0; i < null.rows; i++) {
        put_message(out, 'd', null.line, strlen(null.line));
        if (out->len >= BLOCK) {
            write_full(fd, out->ptr, out->len);
            ox_text_clear(out);
        }
    }
    put_message(out, 'c', "", 0);
    ready(fd, out, "COPY 0");
}

/* Messages until CopyDone; they come in pieces of any size. */
static void
copy_in(int fd, struct text *out)
{
    uint8_t *buf = ox_malloc(4 * BLOCK);
    size_t have = 0, skip = 0;
    bool done = false;
    put_message(out, 'G', "\0\0\0", 3);
    write_full(fd, out->ptr, out->len);
    ox_text_clear(out);
    while (!done) {
        ssize_t got = recv(fd, buf + have, 4 * BLOCK - have, 0);
        if (got <= 0)
            break;
        size_t end = have + (size_t)got, at = OX_MIN(skip, end);
        skip -= at;
        while (end - at >= 5) {
            size_t len = wire_load32(buf + at + 1) + 1;
            done = buf[at] == 'c';
            if (len > end - at) {
                skip = len - (end - at);
                at = end;
                break;
            }
            at += len;
        }
        memmove(buf, buf + at, end - at);
        have = end - at;
    }
    ox_free(buf);
    ready(fd, out, "COPY 0");
}

static void *
serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    uint8_t head[5], body[4096];
    struct text out;
    ox_text_init(&out, NULL);
    read_full(fd, head, 4);
    read_full(fd, body, OX_MIN((size_t)wire_load32(head) - 4, sizeof(body)));
    put_message(&out, 'R', "\0\0\0\0", 4);
    ready(fd, &out, NULL);
    while (recv(fd, head, 5, MSG_WAITALL) == 5) {
        size_t len = OX_MIN((size_t)wire_load32(head + 1) - 4, sizeof(body) - 1);
        if (head[0] == 'X')
            break;
        read_full(fd, body, len);
        body[len] = '\0';
        if (strstr((char *)body, "TO STDOUT") != NULL) {
            copy_out(fd, &out);
        } else if (strstr((char *)body, "FROM STDIN") != NULL) {
            copy_in(fd, &out);
        } else {
            commit(body, len);
            ready(fd, &out, "INSERT 0 1");
        }
    }
    ox_text_fini(&out);
    close(fd);
    return NULL;
}

_Noreturn static void
nullsql_main(int listen_fd)
{
    pthread_t thread;
    char path[300], *block = ox_calloc(1, BLOCK);
    pthread_mutex_init(&null.lock, NULL);
    pthread_cond_init(&null.more, NULL);
    pthread_cond_init(&null.synced_more, NULL);
    snprintf(path, sizeof(path), "%s/oxbench.XXXXXX", opt.scratch);
    null.file = mkstemp(path);
    if (null.file < 0)
        die(path);
    unlink(path);
    for (off_t at = 0; at < FILE_LEN + BLOCK; at += BLOCK)
        if (pwrite(null.file, block, BLOCK, at) < 0)
            die("write");
    fsync(null.file);
    pthread_create(&thread, NULL, flusher, NULL);
    for (;;) {
        int fd = accept(listen_fd, NULL, NULL), on = 1;
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd);
        pthread_detach(thread);
    }
}

void
nullsql_start(struct target *target, const char *line, int rows)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(target, 0, sizeof(*target));
    target->name = "null SQL server";
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 64) != 0)
        die("listen");
    getsockname(fd, (struct sockaddr *)&at, &len);
    target->sql_port = ntohs(at.sin_port);
    null.line = line;
    null.rows = rows;
    target->pid = target_fork();
    if (target->pid == 0)
        nullsql_main(fd);
    close(fd);
}
