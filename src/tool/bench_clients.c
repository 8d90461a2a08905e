/* SPDX-License-Identifier: Apache-2.0
 *
 * Records through librdkafka, as an application sends them, beside librdkafka's
 * own mock cluster: a broker in the client's process that keeps little and checks
 * nothing. Left out where librdkafka was not there at build time. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "tool/bench.h"

#ifdef HAVE_RDKAFKA
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

struct client {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    size_t record;
    uint64_t delivered, failed;
};

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct client *client = opaque;
    if (message->err)
        client->failed++;
    else
        client->delivered++;
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

static rd_kafka_t *
new_producer(struct client *client, const char *brokers)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (brokers != NULL)
        set(conf, "bootstrap.servers", brokers);
    set(conf, "acks", "1");
    set(conf, "linger.ms", "5");
    set(conf, "queue.buffering.max.messages", "500000");
    set(conf, "log_level", "3");
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (rk == NULL)
        die(text);
    return rk;
}

static void
client_open(struct client *client, const char *brokers, size_t record)
{
    memset(client, 0, sizeof(*client));
    client->record = record;
    client->rk = new_producer(client, brokers);
    client->topic = rd_kafka_topic_new(client->rk, opt.topic, NULL);
}

static void
client_close(struct client *client)
{
    rd_kafka_topic_destroy(client->topic);
    rd_kafka_destroy(client->rk);
}

/* Records delivered a second, the last ones waited for. */
static double
client_slice(struct target *target, void *arg)
{
    struct client *client = arg;
    char value[2048];
    memset(value, 'x', sizeof(value));
    double start = now_s();
    client->delivered = 0;
    for (uint64_t sent = 0;; sent++) {
        while (rd_kafka_produce(client->topic, 0, RD_KAFKA_MSG_F_COPY, value, client->record, NULL,
                   0, NULL) != 0)
            rd_kafka_poll(client->rk, 1);
        if (sent % 1024 == 0) {
            rd_kafka_poll(client->rk, 0);
            if (now_s() - start >= opt.seconds)
                break;
        }
    }
    rd_kafka_flush(client->rk, 10000);
    if (client->failed > 0)
        die("records were not delivered");
    return (double)client->delivered / (now_s() - start);
}

static void
client_figure(const char *mock, size_t record, double wanted)
{
    struct client a, b;
    struct pair pair;
    struct target reference = {.name = "its mock cluster"};
    char brokers[64], other[64];
    snprintf(brokers, sizeof(brokers), "127.0.0.1:%d", ours.kafka_port);
    snprintf(other, sizeof(other), "127.0.0.1:%d", against.kafka_port);
    make_rolling_topic(&ours, 1, false);
    make_rolling_topic(&against, 1, false);
    client_open(&a, brokers, record);
    client_open(&b, against.pid != 0 ? other : mock, record);
    measure(&ours, &a, against.pid != 0 ? &against : &reference, &b, client_slice, &pair);
    client_close(&a);
    client_close(&b);
    report("rec/s", &pair, against.pid != 0 ? against.name : reference.name,
        wanted > 0 ? REACH_RATIO : REACH_NOTHING, wanted, "librdkafka producer, %zu B records",
        record);
    if (ours.pid != 0)
        report_note("server CPU %.0f ns a record", pair.ours_cpu_ns / (pair.ours * opt.seconds));
    drop_topic(&ours);
    drop_topic(&against);
}

void
bench_clients(void)
{
    struct client keeper;
    memset(&keeper, 0, sizeof(keeper));
    keeper.rk = new_producer(&keeper, NULL);
    rd_kafka_mock_cluster_t *mock = rd_kafka_mock_cluster_new(keeper.rk, 1);
    if (mock == NULL)
        die("mock cluster");
    rd_kafka_mock_topic_create(mock, opt.topic, 1, 1);
    double seconds = opt.seconds;
    if (!opt.small)
        opt.seconds = OX_MAX(seconds, 1.0);
    client_figure(rd_kafka_mock_cluster_bootstraps(mock), 100, 0.9);
    client_figure(rd_kafka_mock_cluster_bootstraps(mock), 1024, 0);
    opt.seconds = seconds;
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(keeper.rk);
}

#else

void
bench_clients(void)
{
    report_note("librdkafka was not there at build time: not measured");
}

#endif
