/* SPDX-License-Identifier: Apache-2.0
 *
 * Produce: pre-built batches over plain sockets, with a number of requests in
 * flight on each of a few connections, driven by one thread with epoll. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "base/wire.h"
#include "log/record_batch.h"
#include "tool/bench.h"

enum { IN_LEN = 65536 };

/* ---- a batch and its request (v7) ---- */

struct slice
make_batch(int record, size_t bytes, size_t *records)
{
    struct record_builder builder;
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    struct slice batch;
    char *value = ox_malloc((size_t)record);
    memset(value, 'x', (size_t)record);
    record_builder_init(&builder);
    record_builder_begin(&builder, &config);
    *records = 0;
    do {
        record_builder_add(&builder, env_wall_ms(env_os()), OX_STR_NULL,
            ox_str_n(value, (size_t)record), NULL, 0);
        (*records)++;
    } while (record_builder_len(&builder) + (size_t)record + 12 < bytes);
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

void
produce_request(struct text *text, const struct slice *batch, int acks, int first, int count)
{
    struct wire_out out = wire_out(text);
    put_header(&out, 0, 7);
    wire_put16(&out, -1);
    wire_put16(&out, (int16_t)acks);
    wire_put32(&out, 30000);
    wire_put32(&out, 1);
    wire_put16(&out, (int16_t)strlen(opt.topic));
    wire_put_bytes(&out, opt.topic, strlen(opt.topic));
    wire_put32(&out, count);
    for (int i = 0; i < count; i++) {
        wire_put32(&out, first + i);
        wire_put32(&out, (int32_t)batch->len);
        wire_put_bytes(&out, ox_slice_ptr(batch), batch->len);
    }
    wire_store32(text->ptr, (uint32_t)text->len - 4);
}

/* The first error_code of an answer, or 0. */
static int
answer_fault(const uint8_t *body, size_t len)
{
    struct wire_in in = wire_in(body, len);
    wire_skip(&in, 8);
    wire_skip(&in, (uint16_t)wire_get16(&in));
    int32_t count = wire_get32(&in);
    for (int32_t i = 0; i < count; i++) {
        wire_skip(&in, 4);
        int16_t code = wire_get16(&in);
        wire_skip(&in, 24);
        if (code != 0 || in.failed)
            return in.failed ? -1 : code;
    }
    return 0;
}

/* ---- connections with requests in flight ---- */

struct load_conn {
    int fd, in_flight;
    uint32_t events;
    struct text request;
    size_t sent; /* of the request being sent */
    uint32_t unsent; /* requests that are due, the one being sent included */
    uint8_t *in;
    size_t have;
};

struct load {
    int epoll, count, depth;
    bool draining;
    uint64_t done;
    struct load_conn *conns;
};

static void
watch(struct load *load, struct load_conn *conn, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (events == conn->events)
        return;
    epoll_ctl(load->epoll, conn->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, conn->fd, &event);
    conn->events = events;
}

struct load *
load_open(const struct target *target, const struct load_config *config)
{
    struct load *load = ox_calloc(1, sizeof(*load));
    load->epoll = epoll_create1(0);
    load->count = config->connections;
    load->depth = config->depth;
    load->conns = ox_calloc((size_t)load->count, sizeof(*load->conns));
    for (int i = 0; i < load->count; i++) {
        struct load_conn *conn = &load->conns[i];
        conn->fd = connect_to(target->kafka_port);
        fcntl(conn->fd, F_SETFL, O_NONBLOCK);
        conn->in = ox_malloc(IN_LEN);
        ox_text_init(&conn->request, NULL);
        produce_request(&conn->request, config->batch, config->acks, i % config->partitions, 1);
        watch(load, conn, EPOLLIN);
    }
    return load;
}

void
load_close(struct load *load)
{
    for (int i = 0; i < load->count; i++) {
        close(load->conns[i].fd);
        ox_text_fini(&load->conns[i].request);
        ox_free(load->conns[i].in);
    }
    close(load->epoll);
    ox_free(load->conns);
    ox_free(load);
}

static void
send_due(struct load *load, struct load_conn *conn)
{
    struct iovec iov[16];
    while (conn->unsent > 0) {
        int count = 0;
        size_t skip = conn->sent, total = 0;
        for (; count < 16 && (uint32_t)count < conn->unsent; count++, skip = 0) {
            iov[count] = (struct iovec){conn->request.ptr + skip, conn->request.len - skip};
            total += iov[count].iov_len;
        }
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        ssize_t got = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (got < 0 && errno != EAGAIN)
            die("connection lost");
        size_t sent = conn->sent + (got > 0 ? (size_t)got : 0);
        conn->unsent -= (uint32_t)(sent / conn->request.len);
        conn->sent = sent % conn->request.len;
        if (got < 0 || (size_t)got < total)
            break;
    }
    watch(load, conn, conn->unsent > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void
fill(struct load *load, struct load_conn *conn)
{
    if (!load->draining && conn->in_flight < load->depth) {
        conn->unsent += (uint32_t)(load->depth - conn->in_flight);
        conn->in_flight = load->depth;
    }
    send_due(load, conn);
}

static void
take_answers(struct load *load, struct load_conn *conn)
{
    ssize_t got = recv(conn->fd, conn->in + conn->have, IN_LEN - conn->have, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("connection lost");
    size_t pos = 0, end = conn->have + (size_t)got;
    while (end - pos >= 4 && end - pos >= wire_load32(conn->in + pos) + 4) {
        size_t len = wire_load32(conn->in + pos) + 4;
        int code = answer_fault(conn->in + pos + 4, len - 4);
        if (code != 0) {
            fprintf(stderr, "oxbench: a request was refused with error %d\n", code);
            exit(1);
        }
        pos += len;
        conn->in_flight--;
        load->done++;
    }
    memmove(conn->in, conn->in + pos, end - pos);
    conn->have = end - pos;
}

static bool
in_flight(const struct load *load)
{
    for (int i = 0; i < load->count; i++)
        if (load->conns[i].in_flight > 0)
            return true;
    return false;
}

double
load_run(struct load *load, double seconds)
{
    struct epoll_event events[64];
    double start = now_s(), elapsed = 0;
    uint64_t done = 0;
    load->done = 0;
    load->draining = false;
    for (int i = 0; i < load->count; i++)
        fill(load, &load->conns[i]);
    while (!load->draining || in_flight(load)) {
        int count = epoll_wait(load->epoll, events, 64, 10000);
        if (count <= 0)
            die("no answer in ten seconds");
        for (int i = 0; i < count; i++) {
            struct load_conn *conn = events[i].data.ptr;
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                take_answers(load, conn);
            fill(load, conn);
        }
        if (!load->draining && now_s() - start >= seconds) {
            elapsed = now_s() - start;
            done = load->done;
            load->draining = true;
        }
    }
    return (double)done / elapsed;
}

/* Exactly count requests, from one connection. */
void
load_count(struct load *load, size_t count)
{
    struct load_conn *conn = &load->conns[0];
    load->draining = true;
    for (size_t i = 0; i < count; i++) {
        conn->in_flight = 1;
        conn->unsent = 1;
        while (conn->in_flight > 0) {
            struct epoll_event event;
            send_due(load, conn);
            if (epoll_wait(load->epoll, &event, 1, 10000) <= 0)
                die("no answer in ten seconds");
            take_answers(load, conn);
        }
    }
}

/* ---- topics ---- */

PGconn *
sql_connect(const struct target *target)
{
    char info[256];
    snprintf(info, sizeof(info),
        "host=%s port=%d user=oxbench dbname=oxbow sslmode=disable gssencmode=disable", opt.host,
        target->sql_port);
    PGconn *conn = PQconnectdb(info);
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "oxbench: %s", PQerrorMessage(conn));
        exit(1);
    }
    return conn;
}

PGresult *
sql_run(PGconn *conn, const char *text)
{
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN &&
        status != PGRES_COPY_OUT) {
        fprintf(stderr, "oxbench: %s: %s", text, PQerrorMessage(conn));
        exit(1);
    }
    return result;
}

static void
create_topic(const struct target *target, int partitions, bool lazy, const char *more)
{
    char text[512];
    if (target->sql_port == 0)
        return;
    drop_topic(target);
    PGconn *conn = sql_connect(target);
    snprintf(text, sizeof(text), "CREATE TOPIC \"%s\" PARTITIONS %d WITH (flush = %s%s)", opt.topic,
        partitions, lazy ? "lazy" : "ack", more);
    PQclear(sql_run(conn, text));
    PQfinish(conn);
}

void
make_topic(const struct target *target, int partitions, bool lazy)
{
    create_topic(target, partitions, lazy, "");
}

void
make_rolling_topic(const struct target *target, int partitions, bool lazy)
{
    char more[100];
    snprintf(more, sizeof(more), ", segment_bytes = %d, retention_bytes = %d", BENCH_SEGMENT,
        BENCH_SEGMENT);
    create_topic(target, partitions, lazy, more);
}

static void
ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

void
drop_topic(const struct target *target)
{
    char text[512];
    if (target->sql_port == 0)
        return;
    PGconn *conn = sql_connect(target);
    snprintf(text, sizeof(text), "DROP TOPIC IF EXISTS \"%s\"", opt.topic);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    PQclear(sql_run(conn, text));
    PQfinish(conn);
}

/* ---- the matrix ---- */

static double
run_slice(struct target *target, void *arg)
{
    return load_run(arg, opt.seconds);
}

struct way {
    const char *name;
    int acks;
    bool lazy;
    enum null_flush flush;
};

static void
produce_figure(struct target *null, const struct way *way, int record, size_t bytes,
    int connections)
{
    size_t records;
    struct pair pair;
    struct slice batch = make_batch(record, bytes, &records);
    struct target *other = against.pid != 0 ? &against : null;
    struct load_config config = {connections, opt.depth, way->acks, 1, &batch};
    make_rolling_topic(&ours, 1, way->lazy);
    make_rolling_topic(other, 1, way->lazy);
    struct load *a = load_open(&ours, &config), *b = load_open(other, &config);
    measure(&ours, a, other, b, run_slice, &pair);
    load_close(a);
    load_close(b);
    double cpu = pair.ours_cpu_ns / (pair.ours * opt.seconds);
    report("req/s", &pair, other->name, REACH_RATIO, 0.8, "produce %s, %d B, %zu KiB, %d conn%s",
        way->name, record, bytes / 1024, connections, connections > 1 ? "s" : "");
    report_note("%.2f M records/s, %.0f MB/s, server CPU %.1f us a request (%s %.1f)",
        pair.ours * (double)records / 1e6, pair.ours * (double)batch.len / 1e6, cpu / 1e3,
        other->name, pair.reference_cpu_ns / (pair.reference * opt.seconds) / 1e3);
    drop_topic(&ours);
    drop_topic(other);
    ox_buf_put(batch.buf);
}

void
bench_produce(void)
{
    static const struct way ways[] = {{"acks=1 lazy", 1, true, NULL_NEVER},
        {"acks=all lazy", -1, true, NULL_NEVER}, {"acks=1", 1, false, NULL_BEHIND},
        {"acks=all", -1, false, NULL_BEFORE}};
    static const int records[] = {100, 1024}, connections[] = {1, 8};
    static const size_t batches[] = {1024, 16384, 65536, 1048576};
    for (size_t w = 0; w < ox_count(ways); w++) {
        struct target null;
        if ((opt.acks != 0 && opt.acks != ways[w].acks) ||
            (opt.lazy_set && opt.lazy != ways[w].lazy))
            continue;
        for (size_t r = 0; r < ox_count(records); r++)
            for (size_t b = 0; b < ox_count(batches); b++)
                for (size_t c = 0; c < ox_count(connections); c++) {
                    if ((opt.record != 0 && opt.record != records[r]) ||
                        (opt.batch != 0 && opt.batch != batches[b]) ||
                        (opt.connections != 0 && opt.connections != connections[c]))
                        continue;
                    null_start(&null, ways[w].flush);
                    produce_figure(&null, &ways[w], records[r], batches[b], connections[c]);
                    target_stop(&null, false);
                }
    }
}

/* ---- what the server's CPU costs ---- */

/* CPU seconds of a record, a request or a GB: per says of what. */
enum per { PER_RECORD, PER_REQUEST, PER_GB };

static void
budget(struct target *null, int record, size_t bytes, const char *what, enum per per, double most)
{
    size_t records;
    struct pair pair;
    struct slice batch = make_batch(record, bytes, &records);
    struct load_config config = {1, opt.depth, 1, 1, &batch};
    struct target *other = against.pid != 0 ? &against : null;
    make_rolling_topic(&ours, 1, true);
    make_rolling_topic(other, 1, true);
    struct load *a = load_open(&ours, &config), *b = load_open(other, &config);
    measure(&ours, a, other, b, run_slice, &pair);
    load_close(a);
    load_close(b);
    drop_topic(&ours);
    drop_topic(other);
    double units = per == PER_RECORD ? (double)records : 1;
    if (per == PER_GB)
        units = (double)batch.len / 1e9;
    struct pair cpu = {.ours = pair.ours_cpu_ns / 1e9 / (pair.ours * opt.seconds * units),
        .reference = pair.reference_cpu_ns / 1e9 / (pair.reference * opt.seconds * units)};
    cpu.ratio = cpu.reference > 0 ? cpu.ours / cpu.reference : 0;
    report("s", &cpu, other->name, REACH_AT_MOST, most, "server CPU %s", what);
    ox_buf_put(batch.buf);
}

void
bench_budget(void)
{
    struct target null;
    null_start(&null, NULL_NEVER);
    budget(&null, 100, 65536, "a 100 B record, 64 KiB batches", PER_RECORD, 60e-9);
    budget(&null, 100, 16384, "a 100 B record, 16 KiB batches", PER_RECORD, 100e-9);
    budget(&null, 100, 1024, "a produce request of 1 KiB", PER_REQUEST, 8e-6);
    budget(&null, 1024, 262144, "a GB produced, 256 KiB batches", PER_GB, 0.350);
    target_stop(&null, false);
}

/* ---- one round over 64 partitions ---- */

enum { PARTITIONS = 64, ROUND_VALUE = 1000 };

struct round {
    int fd, file;
    struct text request;
    off_t at;
};

static double
round_slice(struct target *target, void *arg)
{
    struct round *round = arg;
    double times[20];
    uint8_t head[4], body[8192];
    for (size_t i = 0; i < ox_count(times); i++) {
        double start = now_s();
        if (target->pid != 0) {
            write_full(round->fd, round->request.ptr, round->request.len);
            read_full(round->fd, head, 4);
            if (wire_load32(head) > sizeof(body))
                die("answer too long");
            read_full(round->fd, body, wire_load32(head));
            if (answer_fault(body, wire_load32(head)) != 0)
                die("refused");
        } else {
            if (pwrite(round->file, round->request.ptr, round->request.len, round->at) < 0 ||
                fdatasync(round->file) != 0)
                die("write");
            round->at = (round->at + 131072) % (16 << 20);
        }
        times[i] = now_s() - start;
    }
    return median(times, ox_count(times));
}

/* A file that was written once: what a recycled write-ahead log is. */
static int
written_file(size_t len)
{
    char path[300], *block = ox_calloc(1, 1 << 20);
    snprintf(path, sizeof(path), "%s/oxbench.XXXXXX", opt.scratch);
    int file = mkstemp(path);
    if (file < 0)
        die(path);
    unlink(path);
    for (size_t at = 0; at < len; at += 1 << 20)
        if (pwrite(file, block, 1 << 20, (off_t)at) < 0)
            die("write");
    fsync(file);
    ox_free(block);
    return file;
}

void
bench_round(void)
{
    size_t records;
    struct pair pair;
    struct slice batch = make_batch(ROUND_VALUE, ROUND_VALUE, &records);
    struct target disk = {.name = "one fdatasync"};
    struct round a = {0}, b = {0};
    make_topic(&ours, PARTITIONS, false);
    a.fd = connect_to(ours.kafka_port);
    ox_text_init(&a.request, NULL);
    produce_request(&a.request, &batch, -1, 0, PARTITIONS);
    b.file = written_file(16 << 20);
    b.request = a.request;
    struct target *other = &disk;
    if (against.pid != 0) {
        other = &against;
        make_topic(other, PARTITIONS, false);
        b.fd = connect_to(other->kafka_port);
    }
    measure(&ours, &a, other, &b, round_slice, &pair);
    report("s", &pair, other->name, REACH_AT_MOST, 0.002,
        "acks=all round over 64 partitions, p50");
    close(a.fd);
    close(b.file);
    if (b.fd > 0)
        close(b.fd);
    ox_text_fini(&a.request);
    ox_buf_put(batch.buf);
    drop_topic(&ours);
    drop_topic(other);
}

/* ---- latency at a tenth of the peak ---- */

struct paced {
    int fd;
    double rate;
    const struct text *request;
    double *times;
    size_t count;
    double p99, p50;
};

/* Requests at a fixed rate, one in flight; the time counts from when a request
 * was due, so that a stall delays all behind it. */
static double
paced_slice(struct target *target, void *arg)
{
    struct paced *paced = arg;
    size_t most = (size_t)(opt.seconds * paced->rate);
    uint8_t head[4], body[512];
    double start = now_s();
    double *times = ox_calloc(most + 1, sizeof(*times));
    for (size_t i = 0; i < most; i++) {
        double due = start + (double)i / paced->rate, wait = due - now_s();
        if (wait > 30e-6)
            usleep((useconds_t)((wait - 20e-6) * 1e6));
        while (now_s() < due)
            ;
        write_full(paced->fd, paced->request->ptr, paced->request->len);
        read_full(paced->fd, head, 4);
        read_full(paced->fd, body, OX_MIN((size_t)wire_load32(head), sizeof(body)));
        times[i] = now_s() - due;
    }
    double mid = median(times, (int)most), high = times[most * 99 / 100];
    ox_free(times);
    return paced->p99 != 0 ? high : mid;
}

void
bench_latency(void)
{
    size_t records;
    struct pair pair;
    struct target null, *other = &null;
    struct slice batch = make_batch(100, 16384, &records);
    struct load_config config = {1, opt.depth, 1, 1, &batch};
    struct text request;
    prctl(PR_SET_TIMERSLACK, 1);
    null_start(&null, NULL_BEHIND);
    if (against.pid != 0)
        other = &against;
    make_rolling_topic(&ours, 1, false);
    make_rolling_topic(other, 1, false);
    struct load *load = load_open(&ours, &config);
    load_run(load, opt.seconds);
    double peak = load_run(load, opt.seconds);
    load_close(load);
    ox_text_init(&request, NULL);
    produce_request(&request, &batch, 1, 0, 1);
    struct paced a = {.fd = connect_to(ours.kafka_port), .rate = peak / 10, .request = &request};
    struct paced b = {.fd = connect_to(other->kafka_port), .rate = peak / 10, .request = &request};
    measure(&ours, &a, other, &b, paced_slice, &pair);
    report("s", &pair, other->name, REACH_NOTHING, 0, "produce latency p50, acks=1, %.0f/s",
        peak / 10);
    a.p99 = b.p99 = 1;
    measure(&ours, &a, other, &b, paced_slice, &pair);
    report("s", &pair, other->name, REACH_AT_MOST, 0.001, "produce latency p99, acks=1, %.0f/s",
        peak / 10);
    close(a.fd);
    close(b.fd);
    drop_topic(&ours);
    drop_topic(other);
    target_stop(&null, false);
    ox_text_fini(&request);
    ox_buf_put(batch.buf);
}
