/* SPDX-License-Identifier: Apache-2.0
 *
 * Oxbow beside another broker of the same protocol, both started by somebody
 * else (regress/bench/kafka) with their defaults: the same client, the same
 * records, slices in turn. What counts is the work a CPU second of the broker
 * does, because the machine is shared with the client and with whoever else.
 * Left out where librdkafka was not there at build time. */
#include "config.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/rand.h"
#include "base/wire.h"
#include "tool/bench.h"

#ifdef HAVE_RDKAFKA
#include <librdkafka/rdkafka.h>

enum { VALUES = 64, MANY = 5000 };

/* What a figure does, for both brokers. */
struct work {
    const char *codec, *acks;
    size_t record;
    int partitions, transaction; /* records of one, 0: none */
    uint64_t records;            /* of a slice */
    bool tls;
    char *values; /* VALUES of record bytes, which compress about as JSON does */
    uint64_t done, failed;
    rd_kafka_t *producer[2];
};

static int
side_of(const struct target *target)
{
    return target == &against;
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "oxbench: %s\n", text);
        die(name);
    }
}

static rd_kafka_conf_t *
new_conf(const struct target *target, bool tls)
{
    char text[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(text, sizeof(text), "127.0.0.1:%d", tls ? target->tls_port : target->kafka_port);
    set(conf, "bootstrap.servers", text);
    set(conf, "log_level", "3");
    if (tls) {
        set(conf, "security.protocol", "ssl");
        set(conf, "ssl.ca.location", opt.ca);
        set(conf, "ssl.endpoint.identification.algorithm", "none");
    }
    return conf;
}

static rd_kafka_t *
new_client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char text[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (rk == NULL) {
        fprintf(stderr, "oxbench: %s\n", text);
        exit(1);
    }
    return rk;
}

/* ---- topics, through the protocol ---- */

static void
admin(const struct target *target, int partitions)
{
    rd_kafka_t *rk = new_client(RD_KAFKA_PRODUCER, new_conf(target, false));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    char text[256];
    if (partitions > 0) {
        rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(opt.topic, partitions, 1, text,
            sizeof(text));
        rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
        rd_kafka_NewTopic_destroy(topic);
    } else {
        rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(opt.topic);
        rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
        rd_kafka_DeleteTopic_destroy(topic);
    }
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 60000);
    if (event == NULL || rd_kafka_event_error(event) != 0)
        die("topics cannot be made");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

static void
both_topics(int partitions)
{
    double start = now_s();
    admin(&ours, partitions);
    double between = now_s();
    admin(&against, partitions);
    struct pair pair = {.ours = between - start, .reference = now_s() - between};
    pair.ratio = pair.reference / pair.ours;
    if (partitions > 1)
        report("s", &pair, against.name, REACH_NOTHING, 0,
            "create a topic of %d partitions (ratio: how much less)", partitions);
    /* A deleted topic's files go later; a new one's leader is elected by then. */
    usleep(partitions > 0 ? 300000 : 100000);
}

static void
be_lazy(void)
{
    char text[300];
    if (ours.sql_port == 0)
        return;
    PGconn *conn = sql_connect(&ours);
    snprintf(text, sizeof(text), "ALTER TOPIC \"%s\" SET (flush = lazy)", opt.topic);
    PQclear(sql_run(conn, text));
    PQfinish(conn);
}

/* ---- producing ---- */

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct work *work = opaque;
    if (message->err)
        work->failed++;
    else
        work->done++;
}

static void
make_values(struct work *work)
{
    char line[512];
    struct rand_state state;
    ox_rand_seed(&state, 1);
    work->values = ox_malloc(VALUES * work->record);
    for (size_t i = 0; i < VALUES * work->record; i++) {
        if (i % 200 == 0)
            snprintf(line, sizeof(line),
                "{\"user\": \"user-%04d\", \"amount\": %d, \"id\": \"%016" PRIx64 "%016" PRIx64
                "\", \"note\": \"what somebody wrote about it, %d times\", \"of\": [1, 2, 3]}%200s",
                (int)ox_rand_below(&state, 10000), (int)ox_rand_below(&state, 100000),
                ox_rand(&state), ox_rand(&state), (int)ox_rand_below(&state, 100), "");
        work->values[i] = line[i % 200];
    }
}

static rd_kafka_t *
new_producer(const struct target *target, struct work *work)
{
    rd_kafka_conf_t *conf = new_conf(target, work->tls);
    set(conf, "acks", work->acks);
    set(conf, "compression.codec", work->codec);
    set(conf, "linger.ms", "5");
    set(conf, "queue.buffering.max.messages", "500000");
    if (work->transaction > 0)
        set(conf, "transactional.id", "oxbench");
    rd_kafka_conf_set_opaque(conf, work);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = new_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_error_t *error = NULL;
    if (work->transaction > 0 && (error = rd_kafka_init_transactions(rk, 60000)) != NULL)
        die(rd_kafka_error_string(error));
    return rk;
}

static void
send_records(rd_kafka_t *rk, struct work *work, uint64_t count)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, opt.topic, NULL);
    for (uint64_t i = 0; i < count; i++) {
        /* Some in a row to one partition, as sticky partitioners have it. */
        int32_t partition = (int32_t)(i / 100 % (uint64_t)work->partitions);
        void *value = work->values + i % VALUES * work->record;
        while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, work->record, NULL, 0,
                   NULL) != 0)
            rd_kafka_poll(rk, 1);
        if (i % 1024 == 0)
            rd_kafka_poll(rk, 0);
    }
    rd_kafka_topic_destroy(topic);
}

/* False: it was aborted, as applications do when they are told to. */
static bool
one_transaction(rd_kafka_t *rk, struct work *work)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(rk);
    if (error == NULL) {
        send_records(rk, work, (uint64_t)work->transaction);
        error = rd_kafka_commit_transaction(rk, 60000);
    }
    rd_kafka_poll(rk, 0);
    if (error == NULL)
        return true;
    if (!rd_kafka_error_txn_requires_abort(error))
        die(rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    if ((error = rd_kafka_abort_transaction(rk, 60000)) != NULL)
        die(rd_kafka_error_string(error));
    work->failed = 0;
    return false;
}

/* Records a second, all of them acknowledged. */
static double
produce_slice(struct target *target, void *arg)
{
    struct work *work = arg;
    rd_kafka_t *rk = work->producer[side_of(target)];
    double start = now_s();
    work->done = work->failed = 0;
    if (work->transaction == 0) {
        send_records(rk, work, work->records);
        rd_kafka_flush(rk, 60000);
    }
    for (uint64_t at = 0; work->transaction > 0 && at < work->records;
         at += (uint64_t)work->transaction)
        while (!one_transaction(rk, work))
            ;
    if (work->failed > 0)
        die("records were not delivered");
    return (double)work->records / (now_s() - start);
}

/* ---- fetching ---- */

static double
fetch_slice(struct target *target, void *arg)
{
    struct work *work = arg;
    enum { BATCH = 1000 };
    rd_kafka_message_t *messages[BATCH];
    rd_kafka_conf_t *conf = new_conf(target, work->tls);
    set(conf, "group.id", "oxbench");
    set(conf, "enable.auto.commit", "false");
    set(conf, "queued.min.messages", "1000000");
    rd_kafka_t *rk = new_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(work->partitions);
    for (int i = 0; i < work->partitions; i++)
        rd_kafka_topic_partition_list_add(list, opt.topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    double start = now_s();
    rd_kafka_assign(rk, list);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    for (uint64_t got = 0; got < work->records;) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, 10000, messages, BATCH);
        if (count <= 0)
            die("records do not come");
        for (ssize_t i = 0; i < count; i++) {
            got += messages[i]->err == 0;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    double elapsed = now_s() - start;
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return (double)work->records / elapsed;
}

/* ---- figures ---- */

/* Turns CPU of a slice into things a CPU second. */
static void
report_cpu(const char *unit, const struct pair *pair, double things, const char *name)
{
    char cpu_unit[32];
    struct pair cpu = {.ours = things / (pair->ours_cpu_ns / 1e9),
        .reference = things / (pair->reference_cpu_ns / 1e9)};
    cpu.ratio = cpu.reference > 0 ? cpu.ours / cpu.reference : 0;
    snprintf(cpu_unit, sizeof(cpu_unit), "%s/CPUs", unit);
    report(cpu_unit, &cpu, against.name, REACH_RATIO, 2, "%s, a CPU second", name);
    snprintf(cpu_unit, sizeof(cpu_unit), "%s/s", unit);
    report(cpu_unit, pair, against.name, REACH_NOTHING, 0, "%s", name);
}

static uint64_t
scaled(double records)
{
    return (uint64_t)OX_MAX(records * opt.scale, 200.0);
}

static struct work
make_work(const char *codec, const char *acks, size_t record, int partitions, double records)
{
    struct work work = {.codec = codec, .acks = acks, .record = record, .partitions = partitions,
        .records = scaled(records)};
    make_values(&work);
    return work;
}

static void
producers(struct work *work, bool open)
{
    for (int i = 0; i < 2; i++) {
        if (open)
            work->producer[i] = new_producer(i == 0 ? &ours : &against, work);
        else
            rd_kafka_destroy(work->producer[i]);
    }
    if (!open)
        ox_free(work->values);
}

/* Produces, and fetches what one slice produced. */
static void
both_ways(struct work *work, bool lazy, const char *what)
{
    struct pair pair;
    char name[128];
    both_topics(work->partitions);
    if (lazy)
        be_lazy();
    producers(work, true);
    measure(&ours, work, &against, work, produce_slice, &pair);
    snprintf(name, sizeof(name), "produce %s", what);
    report_cpu("rec", &pair, (double)work->records, name);
    measure(&ours, work, &against, work, fetch_slice, &pair);
    snprintf(name, sizeof(name), "fetch %s", what);
    report_cpu("rec", &pair, (double)work->records, name);
    producers(work, false);
    both_topics(0);
}

static void
codecs_figures(void)
{
    static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    char what[64];
    for (size_t i = 0; i < ox_count(codecs); i++) {
        struct work work = make_work(codecs[i], "all", 100, 1, i == 1 ? 400e3 : 1e6);
        snprintf(what, sizeof(what), "100 B, acks=all, %s", codecs[i]);
        both_ways(&work, false, what);
    }
    struct work lazy = make_work("none", "all", 100, 1, 1e6);
    both_ways(&lazy, true, "100 B, acks=all, flush=lazy");
    struct work one = make_work("none", "1", 1024, 1, 200e3);
    both_ways(&one, false, "1 KiB, acks=1");
}

static void
partitions_figures(void)
{
    static const int counts[] = {100, MANY};
    char what[64];
    for (size_t i = 0; i < (opt.large ? 2 : 1); i++) {
        struct work work = make_work("none", "all", 100, counts[i], 500e3);
        snprintf(what, sizeof(what), "100 B, %d partitions", counts[i]);
        both_ways(&work, false, what);
    }
}

static void
transactions_figures(void)
{
    static const int sizes[] = {1, 100, 10000};
    static const double records[] = {200, 20e3, 400e3};
    char what[64];
    for (size_t i = 0; i < ox_count(sizes); i++) {
        struct pair pair;
        struct work work = make_work("none", "all", 100, 1, records[i]);
        work.transaction = sizes[i];
        work.records = (work.records + (uint64_t)sizes[i] - 1) / (uint64_t)sizes[i] *
            (uint64_t)sizes[i];
        both_topics(1);
        producers(&work, true);
        measure(&ours, &work, &against, &work, produce_slice, &pair);
        double transactions = (double)(work.records / (uint64_t)sizes[i]);
        pair.ours /= sizes[i];
        pair.reference /= sizes[i];
        snprintf(what, sizeof(what), "transactions of %d", sizes[i]);
        report_cpu("txn", &pair, transactions, what);
        producers(&work, false);
        both_topics(0);
    }
}

static void
tls_figures(void)
{
    if (opt.ca == NULL || ours.tls_port == 0 || against.tls_port == 0)
        return;
    struct work work = make_work("none", "all", 100, 1, 1e6);
    work.tls = true;
    both_ways(&work, false, "100 B, acks=all, TLS");
}

/* ---- what needs no client library ---- */

static double
load_slice(struct target *target, void *arg)
{
    struct load **loads = arg;
    return load_run(loads[side_of(target)], OX_MAX(opt.seconds, 0.5));
}

static void
connections_figures(void)
{
    static const int counts[] = {1, 1000};
    char what[64];
    size_t records;
    struct slice batch = make_batch(100, 1024, &records);
    for (size_t i = 0; i < ox_count(counts); i++) {
        struct pair pair;
        struct load_config config = {counts[i], counts[i] == 1 ? 5 : 1, -1, 1, &batch};
        both_topics(1);
        struct load *loads[2] = {load_open(&ours, &config), load_open(&against, &config)};
        measure(&ours, loads, &against, loads, load_slice, &pair);
        snprintf(what, sizeof(what), "produce requests of 1 KiB, %d connection%s", counts[i],
            counts[i] > 1 ? "s" : "");
        struct pair cpu = pair;
        double seconds = OX_MAX(opt.seconds, 0.5);
        cpu.ours_cpu_ns = pair.ours_cpu_ns / (pair.ours * seconds);
        cpu.reference_cpu_ns = pair.reference_cpu_ns / (pair.reference * seconds);
        report_cpu("req", &cpu, 1, what);
        load_close(loads[0]);
        load_close(loads[1]);
        both_topics(0);
    }
    ox_buf_put(batch.buf);
}

/* 99 of 100 of a few slices must not be one request or two. */
#define SLICE_SAMPLES_MIN 200.0
enum { SAMPLES_MAX = 65536, PACED_CONNECTIONS = 8, ANSWER_SECONDS = 60 };

/* Requests that are due at a fixed rate, in turn over the connections; whether
 * earlier ones were answered or not. */
struct paced {
    int rate;
    struct pollfd fds[2][PACED_CONNECTIONS];
    struct text request;
    double times[2][SAMPLES_MAX];
    size_t count[2];
};

static double
due_at(const struct paced *paced, double start, size_t i)
{
    return start + (double)i / paced->rate;
}

/* An answer of connection c; a time counts from when the request was due. */
static void
take_answer(struct paced *paced, int side, int c, double start, size_t *answered)
{
    uint8_t head[4], body[512];
    size_t i = answered[c]++ * PACED_CONNECTIONS + (size_t)c;
    read_full(paced->fds[side][c].fd, head, 4);
    if (wire_load32(head) > sizeof(body))
        die("an answer is too long");
    read_full(paced->fds[side][c].fd, body, wire_load32(head));
    if (paced->count[side] < SAMPLES_MAX)
        paced->times[side][paced->count[side]++] = now_s() - due_at(paced, start, i);
}

static void
wait_for_answers(struct pollfd *fds, double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    if (ppoll(fds, PACED_CONNECTIONS, &time, NULL) < 0)
        die("poll");
}

static double
paced_slice(struct target *target, void *arg)
{
    struct paced *paced = arg;
    int side = side_of(target);
    struct pollfd *fds = paced->fds[side];
    double wanted = paced->rate * OX_MIN(OX_MAX(opt.scale, 0.1), 2.0);
    size_t most = (size_t)OX_MAX(wanted, SLICE_SAMPLES_MIN);
    size_t sent = 0, done = 0, answered[PACED_CONNECTIONS] = {0};
    double start = now_s();
    while (done < most) {
        double wait = sent < most ? due_at(paced, start, sent) - now_s() : ANSWER_SECONDS;
        if (wait <= 0) {
            write_full(fds[sent % PACED_CONNECTIONS].fd, paced->request.ptr, paced->request.len);
            sent++;
        }
        wait_for_answers(fds, OX_MAX(wait, 0.0));
        size_t before = done;
        for (int c = 0; c < PACED_CONNECTIONS; c++)
            if (fds[c].revents != 0) {
                take_answer(paced, side, c, start, answered);
                done++;
            }
        if (wait >= ANSWER_SECONDS && done == before)
            die("answers do not come");
    }
    return 1;
}

static void
latency_rows(struct paced *paced, const char *way)
{
    static const struct {
        const char *name;
        int permille;
    } marks[] = {{"p50", 500}, {"p99", 990}, {"p99.9", 999}};
    for (int side = 0; side < 2; side++)
        median(paced->times[side], (int)paced->count[side]); /* sorts */
    for (size_t i = 0; i < ox_count(marks); i++) {
        struct pair pair = {
            .ours = paced->times[0][paced->count[0] * (size_t)marks[i].permille / 1000],
            .reference = paced->times[1][paced->count[1] * (size_t)marks[i].permille / 1000]};
        pair.ratio = pair.reference / pair.ours;
        report("s", &pair, against.name, marks[i].permille == 990 ? REACH_RATIO : REACH_NOTHING, 5,
            "%s of a produce, %s, %d/s (ratio: how much less)", marks[i].name, way, paced->rate);
    }
}

static void
paced_connections(struct paced *paced, bool open)
{
    for (int side = 0; side < 2; side++)
        for (int c = 0; c < PACED_CONNECTIONS; c++) {
            struct pollfd *at = &paced->fds[side][c];
            if (open)
                *at = (struct pollfd){connect_to(side == 0 ? ours.kafka_port : against.kafka_port),
                    POLLIN, 0};
            else
                close(at->fd);
        }
}

static void
latency_figures(void)
{
    static const struct {
        const char *name;
        int acks;
        bool lazy;
    } ways[] = {{"acks=1", 1, false}, {"acks=all", -1, false}, {"acks=all, flush=lazy", -1, true}};
    static const int rates[] = {100, 1000, 5000};
    size_t records;
    struct pair pair;
    struct slice batch = make_batch(100, 1024, &records);
    struct paced *paced = ox_malloc(sizeof(*paced));
    prctl(PR_SET_TIMERSLACK, 1);
    for (size_t i = 0; i < ox_count(ways); i++) {
        both_topics(1);
        if (ways[i].lazy)
            be_lazy();
        for (size_t r = 0; r < ox_count(rates); r++) {
            memset(paced, 0, sizeof(*paced));
            paced->rate = rates[r];
            ox_text_init(&paced->request, NULL);
            produce_request(&paced->request, &batch, ways[i].acks, 0, 1);
            paced_connections(paced, true);
            measure(&ours, paced, &against, paced, paced_slice, &pair);
            latency_rows(paced, ways[i].name);
            paced_connections(paced, false);
            ox_text_fini(&paced->request);
        }
        both_topics(0);
    }
    ox_free(paced);
    ox_buf_put(batch.buf);
}

/* Only when asked for: a topic of 5,000 partitions with a batch in each, which
 * stays. */
static void
make_many(void)
{
    struct target *targets[] = {&ours, &against};
    struct text request;
    size_t records;
    struct slice batch = make_batch(100, 1024, &records);
    opt.topic = "many";
    for (int side = 0; side < 2; side++) {
        char body[512];
        uint8_t head[4];
        admin(targets[side], MANY);
        sleep(3);
        for (int at = 0; at < MANY; at += MANY / 10) {
            ox_text_init(&request, NULL);
            produce_request(&request, &batch, -1, at, MANY / 10);
            int fd = connect_to(targets[side]->kafka_port);
            write_full(fd, request.ptr, request.len);
            read_full(fd, head, 4);
            for (size_t left = wire_load32(head); left > 0; left -= OX_MIN(left, sizeof(body)))
                read_full(fd, body, OX_MIN(left, sizeof(body)));
            close(fd);
            ox_text_fini(&request);
        }
    }
    ox_buf_put(batch.buf);
}

/* Only when asked for: data that stays, for whoever kills both brokers then. */
static void
fill_both(void)
{
    enum { PARTITIONS = 8, BYTES = 512 * 1024 };
    size_t records;
    struct slice batch = make_batch(1024, BYTES, &records);
    struct load_config config = {PARTITIONS, 1, -1, PARTITIONS, &batch};
    size_t count = (size_t)(opt.fill_mb * 1e6 / (double)batch.len) + 1;
    both_topics(PARTITIONS);
    sleep(3); /* a slow machine: every partition has a leader by then */
    for (int side = 0; side < 2; side++) {
        struct load *load = load_open(side == 0 ? &ours : &against, &config);
        for (size_t done = 0; done < count;)
            done += (size_t)(load_run(load, 0.5) * 0.5) + 1;
        load_close(load);
    }
    ox_buf_put(batch.buf);
}

/* A virtual machine that compiles what is hot needs to see it first. */
static void
warm_up(void)
{
    struct pair pair;
    int slices = opt.slices;
    struct work work = make_work("none", "all", 100, 1, 300e3);
    double start = now_s();
    both_topics(1);
    producers(&work, true);
    opt.slices = 1;
    do {
        measure(&ours, &work, &against, &work, produce_slice, &pair);
        measure(&ours, &work, &against, &work, fetch_slice, &pair);
    } while (now_s() - start < opt.warm);
    opt.slices = slices;
    producers(&work, false);
    both_topics(0);
}

void
bench_beside(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"codecs", codecs_figures}, {"partitions", partitions_figures},
        {"transactions", transactions_figures}, {"tls", tls_figures},
        {"connections", connections_figures}, {"latency", latency_figures}};
    if (against.kafka_port == 0) {
        report_note("beside: another broker is named with --other-port and --other-pid");
        return;
    }
    opt.slices = OX_MIN(opt.slices, 5);
    if (opt.fill_mb > 0 || opt.many) {
        (opt.many ? make_many : fill_both)();
        return;
    }
    warm_up();
    for (size_t i = 0; i < ox_count(parts); i++)
        if (opt.only == NULL || strcmp(opt.only, parts[i].name) == 0)
            parts[i].run();
}

#else

void
bench_beside(void)
{
    report_note("librdkafka was not there at build time: not measured");
}

#endif
