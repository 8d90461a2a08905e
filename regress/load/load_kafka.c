/* SPDX-License-Identifier: Apache-2.0
 *
 * A blocking Kafka client on the server's own codec: one request, one answer,
 * whole frames. Nothing is retried here. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/wire.h"
#include "load.h"

enum { ANSWER_SECONDS = 60, FRAME_MAX = 64 << 20, FETCH_BYTES = 1 << 20 };

void
load_link_init(struct load_link *link)
{
    link->fd = -1;
    link->correlation = 0;
    ox_arena_init(&link->arena);
}

bool
load_dial(struct load_link *link, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {ANSWER_SECONDS, 0};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(link->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return true;
    load_hang_up(link);
    return false;
}

void
load_hang_up(struct load_link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

static const struct msg_api *
find_api(int key)
{
    for (int i = 0; i < KAFKA_API_COUNT; i++)
        if (kafka_apis[i].key == key)
            return &kafka_apis[i];
    abort();
}

bool
load_send(struct load_link *link, int api, int version, const void *request)
{
    const struct msg_type *type = find_api(api)->request;
    struct request_header header = {(int16_t)api, (int16_t)version, ++link->correlation,
        ox_str("kill_load")};
    struct text frame;
    ox_text_init(&frame, NULL);
    struct wire_out out = wire_out(&frame);
    wire_put32(&out, 0);
    request_header_encode(&header, version >= type->flexible ? 2 : 1, &out);
    msg_encode(type, request, version, &out, NULL);
    wire_store32((uint8_t *)frame.ptr, (uint32_t)(frame.len - 4));
    size_t done = 0;
    while (done < frame.len) {
        ssize_t n = send(link->fd, frame.ptr + done, frame.len - done, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    bool sent = done == frame.len;
    ox_text_fini(&frame);
    return sent;
}

static bool
read_exactly(int fd, void *to, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = recv(fd, (char *)to + done, len - done, 0);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool
load_receive(struct load_link *link, int api, int version, void *response)
{
    const struct msg_type *type = find_api(api)->response;
    struct response_header header;
    uint8_t prefix[4];
    ox_arena_reset(&link->arena);
    if (!read_exactly(link->fd, prefix, 4))
        return false;
    size_t len = wire_load32(prefix);
    if (len > FRAME_MAX) {
        load_bad("an answer of %zu bytes", len);
        return false;
    }
    uint8_t *frame = ox_arena_alloc(&link->arena, len + 1);
    if (!read_exactly(link->fd, frame, len))
        return false;
    struct wire_in in = wire_in(frame, len);
    bool good = response_header_decode(&in, version >= type->flexible ? 1 : 0, &link->arena,
                    &header) &&
                msg_decode(type, &in, version, &link->arena, response) && wire_left(&in) == 0;
    if (!good)
        load_bad("an answer to %s that does not decode", find_api(api)->name);
    return good;
}

bool
load_call(struct load_link *link, int api, int version, const void *request, void *response)
{
    return load_send(link, api, version, request) && load_receive(link, api, version, response);
}

/* ---- reading ---- */

int64_t
load_code(struct str value, int slot)
{
    char text[64];
    int writer, of;
    long long number;
    snprintf(text, sizeof(text), "%.*s", (int)(value.len < 63 ? value.len : 63), value.ptr);
    if (sscanf(text, "%d:%d:%lld:", &writer, &of, &number) != 3 || of != slot || writer < 0 ||
        writer >= LOAD_WRITERS)
        return -1;
    return (int64_t)writer << 48 | number;
}

/* Batches of an answer: whole, right, one behind the other. The last may be cut. */
static void
take_records(struct str bytes, int slot, int64_t *offset, load_record_fn fn, void *arg)
{
    struct text scratch;
    ox_text_init(&scratch, NULL);
    const char *at = bytes.ptr, *end = bytes.ptr + bytes.len;
    while (at < end) {
        struct record_batch batch;
        struct record_iter iter;
        struct record record;
        if (record_batch_check(at, (size_t)(end - at), &batch, NULL) != OX_OK ||
            record_iter_init(&iter, &batch, &scratch, 64 << 20, NULL) != OX_OK) {
            load_bad("%s-%d: no valid batch at offset %lld", load_slots[slot].topic,
                load_slots[slot].partition, (long long)*offset);
            break;
        }
        if (batch.base_offset > *offset)
            load_bad("%s-%d: a hole from offset %lld to %lld", load_slots[slot].topic,
                load_slots[slot].partition, (long long)*offset, (long long)batch.base_offset);
        while (record_iter_next(&iter, &record))
            if (record.offset >= *offset)
                fn(arg, slot, record.offset, load_code(record.value, slot));
        *offset = record_batch_next_offset(&batch);
        at += batch.bytes;
    }
    ox_text_fini(&scratch);
}

bool
load_read(struct load_link *link, int slot, int64_t *offset, int64_t *end, load_record_fn fn,
    void *arg)
{
    struct fetch_request_topics_partitions part;
    struct fetch_request_topics topic;
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_topics_partitions_init(&part);
    fetch_request_topics_init(&topic);
    fetch_request_init(&request);
    part.partition = load_slots[slot].partition;
    part.fetch_offset = *offset;
    part.partition_max_bytes = FETCH_BYTES;
    topic.topic = ox_str(load_slots[slot].topic);
    topic.partitions.at = &part;
    topic.partitions.count = 1;
    request.max_wait_ms = 0;
    request.max_bytes = FETCH_BYTES;
    request.topics.at = &topic;
    request.topics.count = 1;
    request.rack_id = ox_str("");
    if (!load_call(link, 1, 12, &request, &response))
        return false;
    if (response.error_code != 0 || response.responses.count != 1 ||
        response.responses.at[0].partitions.count != 1)
        return false;
    const struct fetch_response_responses_partitions *got = response.responses.at[0].partitions.at;
    if (got->error_code != 0)
        return false;
    *end = got->high_watermark;
    if (got->records.bytes.len > 0)
        take_records(got->records.bytes, slot, offset, fn, arg);
    return true;
}
