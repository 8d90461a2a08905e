/* SPDX-License-Identifier: Apache-2.0
 *
 * oxbench: timed loads against a running server, each figure beside a reference
 * measured in the same run.
 *
 *   produce  pre-built batches over Kafka's protocol; reference: a null server in
 *            this process that reads the socket, checks the CRC and writes a file
 *   consume  Fetch from the beginning to the end; reference: sendfile of a file
 *   latency  produce at a fixed rate; percentiles
 *   scan     SQL statements over a topic it fills; rows per second
 *   insert   single-row INSERTs from many sessions; reference: fdatasync per second
 *
 * Loads are bounded in time (--seconds) and run against loopback. Machines are
 * shared and noisy: quote ratios. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/env.h"
#include "log/record_batch.h"

struct options {
    const char *host, *topic;
    int kafka_port, sql_port;
    int record, connections, depth, acks, partitions, rate;
    size_t batch;
    double seconds;
    bool json, lazy;
};

static struct options opt = {.host = "127.0.0.1", .topic = "oxbench", .kafka_port = 9092,
    .sql_port = 9432, .record = 100, .connections = 1, .depth = 5, .acks = 1, .partitions = 1,
    .rate = 1000, .batch = 16384, .seconds = 3};

_Noreturn static void
die(const char *what)
{
    fprintf(stderr, "oxbench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double
now_s(void)
{
    return (double)env_mono_ns(env_os()) / 1e9;
}

static void
report(const char *what, double value, const char *unit, double reference)
{
    if (opt.json)
        printf("{\"what\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"reference\": %.6g}\n", what,
            value, unit, reference);
    else if (reference > 0)
        printf("%-28s %14.0f %-10s reference %14.0f  ratio %.2f\n", what, value, unit, reference,
            value / reference);
    else
        printf("%-28s %14.0f %s\n", what, value, unit);
    fflush(stdout);
}

/* ---- sockets ---- */

static int
connect_to(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    inet_pton(AF_INET, opt.host, &at.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void
read_full(int fd, void *to, size_t len)
{
    for (char *at = to; len > 0;) {
        ssize_t got = recv(fd, at, len, 0);
        if (got <= 0)
            die("connection lost");
        at += got;
        len -= (size_t)got;
    }
}

static void
write_full(int fd, const void *from, size_t len)
{
    for (const char *at = from; len > 0;) {
        ssize_t got = send(fd, at, len, MSG_NOSIGNAL);
        if (got <= 0)
            die("connection lost");
        at += got;
        len -= (size_t)got;
    }
}

/* ---- a batch and its Produce request (v7) ---- */

static struct slice
make_batch(size_t *records)
{
    struct record_builder builder;
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    struct slice batch;
    char *value = ox_malloc((size_t)opt.record);
    memset(value, 'x', (size_t)opt.record);
    record_builder_init(&builder);
    record_builder_begin(&builder, &config);
    *records = 0;
    do {
        record_builder_add(&builder, env_wall_ms(env_os()), OX_STR_NULL,
            ox_str_n(value, (size_t)opt.record), NULL, 0);
        (*records)++;
    } while (record_builder_len(&builder) + (size_t)opt.record + 20 < opt.batch);
    if (record_builder_finish(&builder, &batch, NULL) != OX_OK)
        die("batch");
    record_builder_fini(&builder);
    ox_free(value);
    return batch;
}

static void
put_header(struct wire_out *out, int16_t api, int16_t version)
{
    wire_put32(out, 0);
    wire_put16(out, api);
    wire_put16(out, version);
    wire_put32(out, 1);
    wire_put16(out, 7);
    wire_put_bytes(out, "oxbench", 7);
}

static void
end_frame(struct text *text)
{
    wire_store32(text->ptr, (uint32_t)text->len - 4);
}

static void
produce_request(struct text *text, const struct slice *batch, int partition)
{
    struct wire_out out = wire_out(text);
    put_header(&out, 0, 7);
    wire_put16(&out, -1);
    wire_put16(&out, (int16_t)opt.acks);
    wire_put32(&out, 30000);
    wire_put32(&out, 1);
    wire_put16(&out, (int16_t)strlen(opt.topic));
    wire_put_bytes(&out, opt.topic, strlen(opt.topic));
    wire_put32(&out, 1);
    wire_put32(&out, partition);
    wire_put32(&out, (int32_t)batch->len);
    wire_put_bytes(&out, ox_slice_ptr(batch), batch->len);
    end_frame(text);
}

/* error_code of the one partition answered. */
static int16_t
read_produce_answer(int fd)
{
    uint8_t head[4], body[512];
    read_full(fd, head, 4);
    uint32_t len = wire_load32(head);
    if (len > sizeof(body))
        die("answer too long");
    read_full(fd, body, len);
    struct wire_in in = wire_in(body, len);
    wire_skip(&in, 8);
    uint16_t topic = (uint16_t)wire_get16(&in);
    wire_skip(&in, topic);
    wire_skip(&in, 8);
    return wire_get16(&in);
}

/* ---- the null server: what a broker cannot do without ---- */

struct null_server {
    int listen_fd, port, file;
    bool sync;
    _Atomic bool stop;
    _Atomic uint64_t written, synced;
    pthread_t thread, flusher;
};

struct null_conn {
    struct null_server *server;
    int fd;
};

static void *
null_flusher(void *arg)
{
    struct null_server *server = arg;
    while (!atomic_load(&server->stop)) {
        uint64_t upto = atomic_load(&server->written);
        if (upto == atomic_load(&server->synced)) {
            usleep(20);
            continue;
        }
        fdatasync(server->file);
        atomic_store(&server->synced, upto);
    }
    return NULL;
}

static void *
null_serve(void *arg)
{
    struct null_conn *conn = arg;
    struct null_server *server = conn->server;
    size_t cap = opt.batch + 65536;
    uint8_t *frame = ox_malloc(cap), answer[128];
    uint8_t head[4];
    size_t topic = strlen(opt.topic);
    size_t answer_len = 4 + 4 + 4 + 2 + topic + 4 + 4 + 2 + 8 + 8 + 8 + 4;
    memset(answer, 0, sizeof(answer));
    wire_store32(answer, (uint32_t)answer_len - 4);
    wire_store32(answer + 8, 1);
    wire_store16(answer + 12, (uint16_t)topic);
    memcpy(answer + 14, opt.topic, topic);
    wire_store32(answer + 14 + topic, 1);
    while (recv(conn->fd, head, 4, MSG_WAITALL) == 4) {
        uint32_t len = wire_load32(head);
        if (len > cap || recv(conn->fd, frame, len, MSG_WAITALL) != (ssize_t)len)
            break;
        /* The batch ends the request. */
        size_t batch_len = OX_MIN((size_t)len, opt.batch);
        uint8_t *batch = frame + (len - batch_len);
        uint32_t crc = wire_load32(batch + 17);
        if (batch_len > RECORD_BATCH_HEADER &&
            crc != ox_crc32c(0, batch + RECORD_BATCH_CRC_AT, batch_len - RECORD_BATCH_CRC_AT))
            break;
        uint64_t pos = atomic_fetch_add(&server->written, batch_len);
        if (pwrite(server->file, batch, batch_len, (off_t)(pos % (1u << 30))) < 0)
            break;
        while (server->sync && atomic_load(&server->synced) < pos + batch_len)
            usleep(10);
        if (send(conn->fd, answer, answer_len, MSG_NOSIGNAL) < 0)
            break;
    }
    close(conn->fd);
    ox_free(frame);
    ox_free(conn);
    return NULL;
}

static void *
null_accept(void *arg)
{
    struct null_server *server = arg;
    int fd;
    while ((fd = accept(server->listen_fd, NULL, NULL)) >= 0) {
        struct null_conn *conn = ox_malloc(sizeof(*conn));
        pthread_t thread;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        *conn = (struct null_conn){server, fd};
        pthread_create(&thread, NULL, null_serve, conn);
        pthread_detach(thread);
    }
    return NULL;
}

static void
null_start(struct null_server *server, bool sync)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    char path[] = "oxbench.XXXXXX";
    memset(server, 0, sizeof(*server));
    server->sync = sync;
    server->file = mkstemp(path);
    unlink(path);
    server->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    if (server->file < 0 || bind(server->listen_fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(server->listen_fd, 64) != 0)
        die("null server");
    getsockname(server->listen_fd, (struct sockaddr *)&at, &len);
    server->port = ntohs(at.sin_port);
    pthread_create(&server->thread, NULL, null_accept, server);
    if (sync)
        pthread_create(&server->flusher, NULL, null_flusher, server);
}

static void
null_stop(struct null_server *server)
{
    atomic_store(&server->stop, true);
    shutdown(server->listen_fd, SHUT_RDWR);
    close(server->listen_fd);
    pthread_join(server->thread, NULL);
    if (server->sync)
        pthread_join(server->flusher, NULL);
    close(server->file);
}

/* ---- produce ---- */

/* Requests per second with `depth` in flight on each connection. */
static double
produce_rate(int port, const struct slice *batch)
{
    struct pollfd *polls = ox_calloc((size_t)opt.connections, sizeof(*polls));
    struct text *requests = ox_calloc((size_t)opt.connections, sizeof(*requests));
    uint64_t done = 0, failed = 0;
    for (int i = 0; i < opt.connections; i++) {
        polls[i] = (struct pollfd){connect_to(port), POLLIN, 0};
        ox_text_init(&requests[i], NULL);
        produce_request(&requests[i], batch, i % opt.partitions);
        for (int j = 0; j < opt.depth; j++)
            write_full(polls[i].fd, requests[i].ptr, requests[i].len);
    }
    double start = now_s(), end = start + opt.seconds;
    while (now_s() < end) {
        if (poll(polls, (nfds_t)opt.connections, 1000) < 0)
            die("poll");
        for (int i = 0; i < opt.connections; i++) {
            if (!(polls[i].revents & POLLIN))
                continue;
            failed += read_produce_answer(polls[i].fd) != 0;
            done++;
            write_full(polls[i].fd, requests[i].ptr, requests[i].len);
        }
    }
    double elapsed = now_s() - start;
    for (int i = 0; i < opt.connections; i++) {
        close(polls[i].fd);
        ox_text_fini(&requests[i]);
    }
    ox_free(polls);
    ox_free(requests);
    if (failed > 0)
        fprintf(stderr, "oxbench: %llu of %llu requests were refused\n",
            (unsigned long long)failed, (unsigned long long)done);
    return (double)(done - failed) / elapsed;
}

static PGconn *
sql_connect(void)
{
    char info[256];
    snprintf(info, sizeof(info), "host=%s port=%d user=oxbench dbname=oxbow", opt.host,
        opt.sql_port);
    PGconn *conn = PQconnectdb(info);
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "oxbench: %s", PQerrorMessage(conn));
        exit(1);
    }
    return conn;
}

static PGresult *
sql_run(PGconn *conn, const char *text)
{
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN) {
        fprintf(stderr, "oxbench: %s: %s", text, PQerrorMessage(conn));
        exit(1);
    }
    return result;
}

static void
make_topic(void)
{
    PGconn *conn = sql_connect();
    char text[512];
    snprintf(text, sizeof(text), "DROP TOPIC IF EXISTS \"%s\"", opt.topic);
    PQclear(sql_run(conn, text));
    snprintf(text, sizeof(text), "CREATE TOPIC \"%s\" PARTITIONS %d WITH (flush = %s)", opt.topic,
        opt.partitions, opt.lazy ? "lazy" : "ack");
    PQclear(sql_run(conn, text));
    PQfinish(conn);
}

static void
drop_topic(void)
{
    PGconn *conn = sql_connect();
    char text[512];
    snprintf(text, sizeof(text), "DROP TOPIC IF EXISTS \"%s\"", opt.topic);
    PQclear(sql_run(conn, text));
    PQfinish(conn);
}

static void
bench_produce(void)
{
    size_t records;
    struct null_server null;
    struct slice batch = make_batch(&records);
    opt.batch = batch.len;
    make_topic();
    double ours = produce_rate(opt.kafka_port, &batch);
    null_start(&null, opt.acks == -1 && !opt.lazy);
    double reference = produce_rate(null.port, &batch);
    null_stop(&null);
    report("produce requests", ours, "/s", reference);
    report("produce records", ours * (double)records, "/s", reference * (double)records);
    report("produce bytes", ours * (double)batch.len, "B/s", reference * (double)batch.len);
    ox_buf_put(batch.buf);
    drop_topic();
}

/* ---- latency ---- */

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
bench_latency(void)
{
    size_t records, count = 0, most = (size_t)(opt.seconds * opt.rate) + 1;
    struct slice batch = make_batch(&records);
    struct text request;
    double *times = ox_calloc(most, sizeof(*times));
    make_topic();
    int fd = connect_to(opt.kafka_port);
    ox_text_init(&request, NULL);
    produce_request(&request, &batch, 0);
    double start = now_s();
    while (count < most) {
        double due = start + (double)count / opt.rate, wait = due - now_s();
        if (wait > 0)
            usleep((useconds_t)(wait * 1e6));
        double sent = now_s();
        write_full(fd, request.ptr, request.len);
        if (read_produce_answer(fd) != 0)
            die("refused");
        times[count++] = now_s() - sent;
    }
    qsort(times, count, sizeof(*times), compare_doubles);
    report("produce latency p50", times[count / 2] * 1e6, "us", 0);
    report("produce latency p99", times[count * 99 / 100] * 1e6, "us", 0);
    report("produce latency p99.9", times[count * 999 / 1000] * 1e6, "us", 0);
    close(fd);
    ox_free(times);
    ox_text_fini(&request);
    ox_buf_put(batch.buf);
    drop_topic();
}

/* ---- consume ---- */

static void
fetch_request(struct text *text, int64_t offset)
{
    struct wire_out out = wire_out(text);
    ox_text_clear(text);
    put_header(&out, 1, 4);
    wire_put32(&out, -1);
    wire_put32(&out, 500);
    wire_put32(&out, 1);
    wire_put32(&out, 8 << 20);
    wire_put8(&out, 0);
    wire_put32(&out, 1);
    wire_put16(&out, (int16_t)strlen(opt.topic));
    wire_put_bytes(&out, opt.topic, strlen(opt.topic));
    wire_put32(&out, 1);
    wire_put32(&out, 0);
    wire_put64(&out, offset);
    wire_put32(&out, 1 << 20);
    end_frame(text);
}

/* Reads one answer; gives the bytes of records and the offset after them. */
static size_t
read_fetch_answer(int fd, uint8_t **buf, size_t *cap, int64_t *next)
{
    uint8_t head[4];
    read_full(fd, head, 4);
    uint32_t len = wire_load32(head);
    if (len > *cap)
        *buf = ox_realloc(*buf, *cap = len);
    read_full(fd, *buf, len);
    struct wire_in in = wire_in(*buf, len);
    wire_skip(&in, 12);
    wire_skip(&in, (uint16_t)wire_get16(&in));
    wire_skip(&in, 8);
    if (wire_get16(&in) != 0)
        die("fetch refused");
    wire_skip(&in, 16);
    int32_t aborted = wire_get32(&in);
    wire_skip(&in, aborted > 0 ? (size_t)aborted * 16 : 0);
    int32_t bytes = wire_get32(&in);
    struct record_batch batch;
    for (size_t at = 0; bytes > 0 && at + RECORD_BATCH_HEADER <= (size_t)bytes;) {
        if (record_batch_decode(in.at + at, (size_t)bytes - at, &batch, NULL) != OX_OK ||
            batch.bytes > (size_t)bytes - at)
            break;
        *next = record_batch_next_offset(&batch);
        at += batch.bytes;
    }
    return bytes > 0 ? (size_t)bytes : 0;
}

static double
sendfile_rate(size_t total)
{
    char path[] = "oxbench.XXXXXX";
    int file = mkstemp(path), pair[2];
    char *chunk = ox_calloc(1, 1 << 20), *sink = ox_malloc(1 << 20);
    unlink(path);
    for (size_t at = 0; at < total; at += 1 << 20)
        if (write(file, chunk, 1 << 20) < 0)
            die("write");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 1) != 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&at, &len);
    pair[0] = connect_to(ntohs(at.sin_port));
    pair[1] = accept(listener, NULL, NULL);
    double start = now_s();
    pid_t child = fork();
    if (child == 0) {
        off_t pos = 0;
        while ((size_t)pos < total && sendfile(pair[1], file, &pos, 1 << 20) > 0)
            ;
        _exit(0);
    }
    size_t got = 0;
    while (got < total) {
        ssize_t n = recv(pair[0], sink, 1 << 20, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    double elapsed = now_s() - start;
    close(pair[0]);
    close(pair[1]);
    close(listener);
    close(file);
    ox_free(chunk);
    ox_free(sink);
    return (double)got / elapsed;
}

static void
bench_consume(void)
{
    size_t records, cap = 0, total = 0;
    uint8_t *buf = NULL;
    struct text request;
    int64_t offset = 0, next = 0;
    struct slice batch = make_batch(&records);
    opt.lazy = true;
    make_topic();
    ox_text_init(&request, NULL);
    produce_request(&request, &batch, 0);
    int fd = connect_to(opt.kafka_port);
    size_t wanted = (size_t)512 << 20, sent = 0;
    for (; sent < wanted; sent += batch.len) {
        write_full(fd, request.ptr, request.len);
        if (read_produce_answer(fd) != 0)
            die("refused");
    }
    double start = now_s();
    while (total < sent) {
        fetch_request(&request, offset);
        write_full(fd, request.ptr, request.len);
        total += read_fetch_answer(fd, &buf, &cap, &next);
        if (next <= offset)
            break;
        offset = next;
    }
    double elapsed = now_s() - start;
    report("consume bytes", (double)total / elapsed, "B/s", sendfile_rate(total));
    report("consume records", (double)offset / elapsed, "/s", 0);
    close(fd);
    ox_free(buf);
    ox_text_fini(&request);
    ox_buf_put(batch.buf);
    drop_topic();
}

/* ---- scan ---- */

static void
fill_json(PGconn *conn, int rows)
{
    char text[512], line[256];
    snprintf(text, sizeof(text), "COPY \"%s\" (_key, _value) FROM STDIN", opt.topic);
    PQclear(sql_run(conn, text));
    double start = now_s();
    for (int i = 0; i < rows; i++) {
        int len = snprintf(line, sizeof(line),
            "k%d\t{\"user\": \"user-%04d\", \"amount\": %d, \"note\": \"%s\"}\n", i % 1000, i % 1000,
            i % 10000, "a line of text that makes the record two hundred bytes long or so");
        if (PQputCopyData(conn, line, len) != 1)
            die("copy");
    }
    PQputCopyEnd(conn, NULL);
    PGresult *result = PQgetResult(conn);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fprintf(stderr, "oxbench: %s", PQerrorMessage(conn));
        exit(1);
    }
    PQclear(result);
    while ((result = PQgetResult(conn)) != NULL)
        PQclear(result);
    report("COPY in rows", rows / (now_s() - start), "/s", 0);
}

static void
time_query(PGconn *conn, const char *what, const char *format, int rows)
{
    char text[512];
    double best = 1e9;
    snprintf(text, sizeof(text), format, opt.topic);
    for (int i = 0; i < 3; i++) {
        double start = now_s();
        PQclear(sql_run(conn, text));
        best = OX_MIN(best, now_s() - start);
    }
    report(what, rows / best, "rows/s", 0);
}

static void
time_copy_out(PGconn *conn, int rows)
{
    char text[512], *line;
    int count = 0;
    snprintf(text, sizeof(text), "COPY (SELECT _offset, _key FROM \"%s\") TO STDOUT", opt.topic);
    double start = now_s();
    PGresult *result = PQexec(conn, text);
    PQclear(result);
    while (PQgetCopyData(conn, &line, 0) > 0) {
        PQfreemem(line);
        count++;
    }
    while ((result = PQgetResult(conn)) != NULL)
        PQclear(result);
    if (count != rows)
        fprintf(stderr, "oxbench: %d rows came, %d expected\n", count, rows);
    report("COPY out rows", rows / (now_s() - start), "/s", 0);
}

static void
bench_scan(void)
{
    enum { ROWS = 1000000 };
    make_topic();
    PGconn *conn = sql_connect();
    fill_json(conn, ROWS);
    time_query(conn, "count(*)", "SELECT count(*) FROM \"%s\"", ROWS);
    time_query(conn, "filter on a JSON number",
        "SELECT count(*) FROM \"%s\" WHERE (_value->>'amount')::int > 9990", ROWS);
    time_query(conn, "filter, group by, sum",
        "SELECT _value->>'user', sum((_value->>'amount')::int) FROM \"%s\" WHERE "
        "(_value->>'amount')::int > 100 GROUP BY 1",
        ROWS);
    time_copy_out(conn, ROWS);
    PQfinish(conn);
    drop_topic();
}

/* ---- insert ---- */

static double
fdatasync_rate(void)
{
    char path[] = "oxbench.XXXXXX", block[4096] = {0};
    int file = mkstemp(path), count = 0;
    unlink(path);
    for (int i = 0; i < 4096; i++)
        if (write(file, block, sizeof(block)) < 0)
            die("write");
    fdatasync(file);
    double start = now_s();
    while (now_s() - start < 1) {
        if (pwrite(file, block, sizeof(block), (count++ % 4096) * 4096) < 0)
            die("write");
        fdatasync(file);
    }
    close(file);
    return count / (now_s() - start);
}

static void
bench_insert(void)
{
    int sessions = opt.connections > 1 ? opt.connections : 16;
    PGconn **conns = ox_calloc((size_t)sessions, sizeof(*conns));
    struct pollfd *polls = ox_calloc((size_t)sessions, sizeof(*polls));
    char text[512];
    uint64_t done = 0;
    make_topic();
    snprintf(text, sizeof(text), "INSERT INTO \"%s\" (_key, _value) VALUES ('k', 'a value')",
        opt.topic);
    for (int i = 0; i < sessions; i++) {
        conns[i] = sql_connect();
        PQsendQuery(conns[i], text);
        polls[i] = (struct pollfd){PQsocket(conns[i]), POLLIN, 0};
    }
    double start = now_s(), end = start + opt.seconds;
    while (now_s() < end) {
        poll(polls, (nfds_t)sessions, 1000);
        for (int i = 0; i < sessions; i++) {
            if (!(polls[i].revents & POLLIN) || !PQconsumeInput(conns[i]))
                continue;
            while (!PQisBusy(conns[i])) {
                PGresult *result = PQgetResult(conns[i]);
                if (result == NULL) {
                    PQsendQuery(conns[i], text);
                    break;
                }
                done += PQresultStatus(result) == PGRES_COMMAND_OK;
                PQclear(result);
            }
        }
    }
    double elapsed = now_s() - start;
    for (int i = 0; i < sessions; i++)
        PQfinish(conns[i]);
    report("single-row INSERTs", (double)done / elapsed, "/s", fdatasync_rate());
    ox_free(conns);
    ox_free(polls);
    drop_topic();
}

/* ---- options ---- */

static void
usage(FILE *to)
{
    fputs("Usage: oxbench produce|consume|latency|scan|insert [options]\n\n"
          "  --kafka-port N, --sql-port N   of the server on 127.0.0.1\n"
          "  --record N       bytes of a record's value (100)\n"
          "  --batch N        bytes of a batch (16384)\n"
          "  --connections N  (1; insert: 16)    --depth N  requests in flight on each (5)\n"
          "  --acks N         -1, 1 (1)          --lazy     topic with flush=lazy\n"
          "  --partitions N   (1)                --rate N   requests a second of latency (1000)\n"
          "  --seconds S      of each load (3)   --json\n",
        to);
}

int
main(int argc, char **argv)
{
    static const struct option longs[] = {{"kafka-port", 1, NULL, 'k'}, {"sql-port", 1, NULL, 's'},
        {"record", 1, NULL, 'r'}, {"batch", 1, NULL, 'b'}, {"connections", 1, NULL, 'c'},
        {"depth", 1, NULL, 'd'}, {"acks", 1, NULL, 'a'}, {"partitions", 1, NULL, 'p'},
        {"rate", 1, NULL, 'R'}, {"seconds", 1, NULL, 't'}, {"json", 0, NULL, 'j'},
        {"lazy", 0, NULL, 'l'}, {"help", 0, NULL, 'h'}, {0}};
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"produce", bench_produce}, {"consume", bench_consume},
        {"latency", bench_latency}, {"scan", bench_scan}, {"insert", bench_insert}};
    int option;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 'k': opt.kafka_port = atoi(optarg); break;
        case 's': opt.sql_port = atoi(optarg); break;
        case 'r': opt.record = atoi(optarg); break;
        case 'b': opt.batch = (size_t)atol(optarg); break;
        case 'c': opt.connections = atoi(optarg); break;
        case 'd': opt.depth = atoi(optarg); break;
        case 'a': opt.acks = atoi(optarg); break;
        case 'p': opt.partitions = atoi(optarg); break;
        case 'R': opt.rate = atoi(optarg); break;
        case 't': opt.seconds = atof(optarg); break;
        case 'j': opt.json = true; break;
        case 'l': opt.lazy = true; break;
        case 'h': usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
    }
    for (size_t i = 0; optind + 1 == argc && i < ox_count(modes); i++)
        if (strcmp(argv[optind], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    usage(stderr);
    return 2;
}
