/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch from the beginning to the end, again and again, beside a process that
 * sends the very segment file with sendfile to a reader that asks for nothing.
 * Both readers are the same: one thread, epoll, bytes thrown away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/wire.h"
#include "tool/bench.h"

enum { SINK_LEN = 1 << 18, HEAD_MAX = 256, READERS_MAX = 16, FILLED = 256 << 20 };

struct reader {
    int fd;
    bool asking; /* Kafka's protocol; otherwise bytes just come */
    uint8_t head[HEAD_MAX];
    size_t have, body; /* of the head; still to come of the records */
    int64_t offset;
    bool idle;
};

struct readers {
    int epoll, count, fetch_bytes;
    size_t batch_len, batch_records;
    int64_t end;
    uint64_t bytes;
    bool draining;
    struct reader at[READERS_MAX];
    uint8_t *sink;
};

/* Bytes of a Fetch answer (v4) before the records. */
static size_t
head_len(void)
{
    return 4 + 4 + 4 + 4 + 2 + strlen(opt.topic) + 4 + 4 + 2 + 8 + 8 + 4 + 4;
}

static void
ask(struct readers *all, struct reader *reader)
{
    struct text text;
    struct wire_out out = wire_out(&text);
    uint16_t topic = (uint16_t)strlen(opt.topic);
    reader->idle = all->draining;
    if (reader->idle)
        return;
    if (reader->offset >= all->end)
        reader->offset = 0;
    ox_text_init(&text, NULL);
    wire_put32(&out, 0);
    wire_put16(&out, 1);
    wire_put16(&out, 4);
    wire_put32(&out, 1);
    wire_put16(&out, 7);
    wire_put_bytes(&out, "oxbench", 7);
    wire_put32(&out, -1);
    wire_put32(&out, 500);
    wire_put32(&out, 1);
    wire_put32(&out, all->fetch_bytes);
    wire_put8(&out, 0);
    wire_put32(&out, 1);
    wire_put16(&out, (int16_t)topic);
    wire_put_bytes(&out, opt.topic, topic);
    wire_put32(&out, 1);
    wire_put32(&out, 0);
    wire_put64(&out, reader->offset);
    wire_put32(&out, all->fetch_bytes);
    wire_store32(text.ptr, (uint32_t)text.len - 4);
    write_full(reader->fd, text.ptr, text.len);
    ox_text_fini(&text);
}

static void
head_done(struct readers *all, struct reader *reader)
{
    size_t topic = strlen(opt.topic);
    if (wire_load16(reader->head + 16 + 2 + topic + 8) != 0)
        die("fetch refused");
    reader->body = wire_load32(reader->head + head_len() - 4);
    if (reader->body == 0 || reader->body % all->batch_len != 0)
        die("fetch answered a part of a batch");
    reader->offset += (int64_t)(reader->body / all->batch_len * all->batch_records);
}

static void
take(struct readers *all, struct reader *reader)
{
    bool head = reader->asking && reader->body == 0;
    ssize_t got = head
        ? recv(reader->fd, reader->head + reader->have, head_len() - reader->have, 0)
        : recv(reader->fd, all->sink, reader->asking ? OX_MIN(reader->body, (size_t)SINK_LEN)
                                                     : (size_t)SINK_LEN, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("connection lost");
    all->bytes += (uint64_t)got;
    if (!reader->asking)
        return;
    if (head) {
        reader->have += (size_t)got;
        if (reader->have < head_len())
            return;
        reader->have = 0;
        head_done(all, reader);
        return;
    }
    reader->body -= (size_t)got;
    if (reader->body == 0)
        ask(all, reader);
}

static bool
all_idle(const struct readers *all)
{
    for (int i = 0; i < all->count; i++)
        if (all->at[i].asking && !all->at[i].idle)
            return false;
    return true;
}

static double
readers_slice(struct target *target, void *arg)
{
    struct readers *all = arg;
    struct epoll_event events[READERS_MAX];
    all->bytes = 0;
    all->draining = false;
    double start = now_s(), elapsed = 0;
    uint64_t bytes = 0;
    for (int i = 0; i < all->count; i++)
        if (all->at[i].asking)
            ask(all, &all->at[i]);
    while (!all->draining || !all_idle(all)) {
        int count = epoll_wait(all->epoll, events, READERS_MAX, 10000);
        if (count <= 0)
            die("nothing came in ten seconds");
        for (int i = 0; i < count; i++)
            take(all, events[i].data.ptr);
        if (!all->draining && now_s() - start >= opt.seconds) {
            elapsed = now_s() - start;
            bytes = all->bytes;
            all->draining = true;
        }
    }
    return (double)bytes / elapsed;
}

static void
readers_open(struct readers *all, const struct target *target, int count, bool asking)
{
    all->epoll = epoll_create1(0);
    all->count = count;
    all->sink = ox_malloc(SINK_LEN);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all->at[i]};
        all->at[i] = (struct reader){.fd = connect_to(target->kafka_port), .asking = asking};
        fcntl(all->at[i].fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(all->epoll, EPOLL_CTL_ADD, all->at[i].fd, &event);
    }
}

static void
readers_close(struct readers *all)
{
    for (int i = 0; i < all->count; i++)
        close(all->at[i].fd);
    close(all->epoll);
    ox_free(all->sink);
}

/* Fills the topic; returns its end. */
static int64_t
fill(const struct target *target, const struct slice *batch, size_t records)
{
    struct load_config config = {1, 1, 1, 1, batch};
    struct load *load = load_open(target, &config);
    size_t count = FILLED / batch->len;
    if (opt.small)
        count /= 16;
    make_topic(target, 1, true);
    load_count(load, count);
    load_close(load);
    return (int64_t)(count * records);
}

static void
consume_figure(struct target *raw, int connections, int fetch_bytes, const struct slice *batch,
    size_t records, int64_t end)
{
    struct pair pair;
    struct target *other = against.pid != 0 ? &against : raw;
    struct readers a = {.fetch_bytes = fetch_bytes, .batch_len = batch->len,
        .batch_records = records, .end = end}, b = a;
    readers_open(&a, &ours, connections, true);
    readers_open(&b, other, connections, other == &against);
    measure(&ours, &a, other, &b, readers_slice, &pair);
    readers_close(&a);
    readers_close(&b);
    report("B/s", &pair, other->name, REACH_RATIO, 0.8, "fetch, %d KiB answers, %d conn%s",
        fetch_bytes / 1024, connections, connections > 1 ? "s" : "");
    double gigabytes = pair.ours * opt.seconds / 1e9;
    if (ours.pid != 0)
        report_value("s", pair.ours_cpu_ns / 1e9 / gigabytes, REACH_AT_MOST, 0.120,
            "server CPU a GB fetched, %d KiB answers, %d conn%s", fetch_bytes / 1024, connections,
            connections > 1 ? "s" : "");
    if (other->pid != 0)
        report_note("%s: %.0f ms of CPU a GB", other->name,
            pair.reference_cpu_ns / 1e6 / (pair.reference * opt.seconds / 1e9));
}

void
bench_consume(void)
{
    static const int sizes[] = {1 << 20, 8 << 20}, connections[] = {1, 4};
    size_t records;
    struct slice batch = make_batch(100, 65536, &records);
    struct target raw = {0};
    char path[512];
    int64_t end = fill(&ours, &batch, records);
    if (against.pid != 0)
        fill(&against, &batch, records);
    if (ours.dir[0] == '\0') {
        report_note("fetch is measured on a server that oxbench starts: the file must be at hand");
        return;
    }
    snprintf(path, sizeof(path), "%s/data/%s-0/00000000000000000000.log", ours.dir, opt.topic);
    sender_start(&raw, path);
    for (size_t s = 0; s < ox_count(sizes); s++)
        for (size_t c = 0; c < ox_count(connections); c++)
            consume_figure(&raw, connections[c], sizes[s], &batch, records, end);
    target_stop(&raw, false);
    drop_topic(&ours);
    drop_topic(&against);
    ox_buf_put(batch.buf);
}
