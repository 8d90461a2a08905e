/* SPDX-License-Identifier: Apache-2.0
 *
 * Producers. Each keeps a few requests in flight, of a few batches each:
 *
 *   exact    idempotent: what was not acknowledged is sent again, with the same
 *            sequences and in the same order, until it is; each record must be
 *            there once and without a gap
 *   plain    sent once: a record that was not acknowledged may be there or not
 *
 * Requests are a queue: [0, sent) are on the connection, [sent, count) wait to
 * be sent again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"

enum { IN_FLIGHT = 4, BATCHES = 3, RECORDS_MAX = 40, PRODUCE = 9, INIT_PRODUCER = 4 };
enum { TIMEOUT_MS = 30000, DUPLICATE_SEQUENCE = 46 };

struct load_batch {
    int slot, count;
    int64_t first; /* number */
    struct slice bytes;
};

struct load_request {
    struct load_batch batches[BATCHES];
    int count;
};

struct writer {
    int number;
    bool exact;
    enum ox_codec codec;
    struct load_link link;
    struct rand_state rng;
    int64_t producer_id; /* -1: not asked for yet */
    int16_t epoch;
    int32_t sequence[LOAD_SLOTS];
    struct load_request requests[IN_FLIGHT];
    int count, sent;
};

static void
drop_request(struct load_request *request)
{
    for (int i = 0; i < request->count; i++)
        ox_buf_put(request->batches[i].bytes.buf);
    request->count = 0;
}

static void
drop_first(struct writer *writer)
{
    drop_request(&writer->requests[0]);
    memmove(writer->requests, writer->requests + 1,
        (size_t)(writer->count - 1) * sizeof(writer->requests[0]));
    writer->count--;
    writer->sent--;
}

/* ---- making ---- */

static int64_t
wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
make_batch(struct writer *writer, struct load_batch *batch, int slot)
{
    struct record_builder builder;
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    char value[512];
    struct load_track *track = &load_tracks[writer->number][slot];
    batch->slot = slot;
    batch->first = track->count;
    batch->count = 1 + (int)ox_rand_below(&writer->rng, RECORDS_MAX);
    config.codec = writer->codec;
    if (writer->exact) {
        config.producer_id = writer->producer_id;
        config.producer_epoch = writer->epoch;
        config.base_sequence = writer->sequence[slot];
        writer->sequence[slot] += batch->count;
    }
    record_builder_init(&builder);
    record_builder_begin(&builder, &config);
    for (int i = 0; i < batch->count; i++) {
        int len = snprintf(value, sizeof(value), "%d:%d:%lld:", writer->number, slot,
            (long long)load_track_add(track));
        int fill = (int)ox_rand_below(&writer->rng, 300);
        memset(value + len, 'a' + fill % 26, (size_t)fill);
        record_builder_add(&builder, wall_ms(), OX_STR("key"),
            ox_str_n(value, (size_t)(len + fill)), NULL, 0);
    }
    struct ox_err err;
    if (record_builder_finish(&builder, &batch->bytes, &err) != OX_OK)
        abort();
    record_builder_fini(&builder);
}

static void
make_request(struct writer *writer)
{
    struct load_request *request = &writer->requests[writer->count++];
    int slot = (int)ox_rand_below(&writer->rng, LOAD_SLOTS);
    request->count = 1 + (int)ox_rand_below(&writer->rng, BATCHES);
    for (int i = 0; i < request->count; i++)
        make_batch(writer, &request->batches[i], (slot + i) % LOAD_SLOTS);
}

static bool
send_request(struct writer *writer, const struct load_request *from)
{
    struct produce_request_topic_data_partition_data parts[BATCHES];
    struct produce_request_topic_data topics[BATCHES];
    struct produce_request request;
    produce_request_init(&request);
    request.acks = -1;
    request.timeout_ms = TIMEOUT_MS;
    request.topic_data.at = topics;
    request.topic_data.count = from->count;
    for (int i = 0; i < from->count; i++) { /* a topic may be named twice */
        const struct load_batch *batch = &from->batches[i];
        produce_request_topic_data_init(&topics[i]);
        produce_request_topic_data_partition_data_init(&parts[i]);
        parts[i].index = load_slots[batch->slot].partition;
        parts[i].records.bytes = ox_str_n(ox_slice_ptr(&batch->bytes), batch->bytes.len);
        topics[i].name = ox_str(load_slots[batch->slot].topic);
        topics[i].partition_data.at = &parts[i];
        topics[i].partition_data.count = 1;
    }
    return load_send(&writer->link, 0, PRODUCE, &request);
}

/* ---- answers ---- */

static bool
may_retry(int code)
{
    static const int codes[] = {3, 5, 6, 7, 13, 19, 20, 56, 80};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (code == codes[i])
            return true;
    return false;
}

static const struct produce_response_responses_partition_responses *
answer_for(const struct produce_response *response, const struct load_slot *slot)
{
    for (int32_t t = 0; t < response->responses.count; t++) {
        const struct produce_response_responses *topic = &response->responses.at[t];
        if (!ox_str_is(topic->name, slot->topic))
            continue;
        for (int32_t p = 0; p < topic->partition_responses.count; p++)
            if (topic->partition_responses.at[p].index == slot->partition)
                return &topic->partition_responses.at[p];
    }
    return NULL;
}

/* False: it is not done, and must be sent again. */
static bool
take_answer(struct writer *writer, const struct load_batch *batch,
    const struct produce_response *response)
{
    const struct load_slot *slot = &load_slots[batch->slot];
    const struct produce_response_responses_partition_responses *got = answer_for(response, slot);
    struct load_track *track = &load_tracks[writer->number][batch->slot];
    if (got == NULL) {
        load_bad("writer %d: no answer for %s-%d", writer->number, slot->topic, slot->partition);
        return false;
    }
    if (got->error_code == 0 || (writer->exact && got->error_code == DUPLICATE_SEQUENCE)) {
        for (int i = 0; i < batch->count; i++)
            track->known[batch->first + i] =
                got->error_code == 0 && got->base_offset >= 0 ? got->base_offset + i
                                                              : LOAD_SOMEWHERE;
        return true;
    }
    if (!may_retry(got->error_code))
        load_bad("writer %d: %s-%d answers %d to numbers from %lld", writer->number, slot->topic,
            slot->partition, got->error_code, (long long)batch->first);
    return false;
}

/* False: go on with a new connection. */
static bool
receive(struct writer *writer)
{
    struct produce_response response;
    bool all = true;
    if (!load_receive(&writer->link, 0, PRODUCE, &response))
        return false;
    for (int i = 0; i < writer->requests[0].count; i++)
        all &= take_answer(writer, &writer->requests[0].batches[i], &response);
    if (!all && writer->exact)
        return false;
    drop_first(writer);
    return true;
}

/* ---- the connection ---- */

static bool
ask_producer_id(struct writer *writer)
{
    struct init_producer_id_request request;
    struct init_producer_id_response response;
    init_producer_id_request_init(&request);
    request.transactional_id = OX_STR_NULL;
    request.transaction_timeout_ms = 60000;
    if (!load_call(&writer->link, 22, INIT_PRODUCER, &request, &response) ||
        response.error_code != 0)
        return false;
    writer->producer_id = response.producer_id;
    writer->epoch = response.producer_epoch;
    return true;
}

static void
lose(struct writer *writer)
{
    load_hang_up(&writer->link);
    writer->sent = 0;
    while (!writer->exact && writer->count > 0) {
        writer->sent = 1; /* of a plain writer's records nothing more is known */
        drop_first(writer);
    }
}

/* Connected, and everything in the queue sent. */
static bool
ready(struct writer *writer)
{
    if (writer->link.fd < 0 && !load_dial(&writer->link, load_kafka_port))
        return false;
    if (writer->exact && writer->producer_id < 0 && !ask_producer_id(writer))
        return false;
    while (writer->sent < writer->count) {
        if (!send_request(writer, &writer->requests[writer->sent]))
            return false;
        writer->sent++;
    }
    return true;
}

void *
load_write_kafka(void *arg)
{
    static const enum ox_codec codecs[] = {OX_CODEC_NONE, OX_CODEC_LZ4, OX_CODEC_ZSTD};
    struct writer writer = {.number = (int)(intptr_t)arg, .producer_id = -1};
    writer.exact = load_exact[writer.number];
    writer.codec = codecs[writer.number % 3];
    ox_rand_seed(&writer.rng, (uint64_t)writer.number + 1);
    load_link_init(&writer.link);
    while (writer.count > 0 || load_go_on()) {
        bool good = ready(&writer);
        if (good && writer.count < IN_FLIGHT && !load_calming()) {
            make_request(&writer);
            load_wait_ms((int)ox_rand_below(&writer.rng, 4));
        } else if (good && writer.count > 0) {
            good = receive(&writer);
        }
        if (!good) {
            lose(&writer);
            load_wait_ms(5);
        }
    }
    load_hang_up(&writer.link);
    ox_arena_fini(&writer.link.arena);
    return NULL;
}
