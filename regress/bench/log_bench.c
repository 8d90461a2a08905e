/* SPDX-License-Identifier: Apache-2.0
 *
 * What the storage costs beside what the machine can do: each figure stands
 * next to its reference, taken in the same run.
 *
 *   log_bench DIR [SECONDS]
 *
 * append   page cache: plog_append of ready batches against pwritev of the same
 * flush    flush=ack over many partitions against one fdatasync for each round
 * walk     record_walk against a CRC of the same bytes
 * scan     count from headers, and batch bytes, by cursors */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/crc32c.h"
#include "base/diag.h"
#include "base/env.h"
#include "base/file.h"
#include "log/log.h"

#include <stdio.h>
#include <string.h>

enum { PARTITIONS = 64 };

static const char *root;
static double seconds = 1;
static struct ox_err err;

static double
now(void)
{
    return (double)env_mono_ns(env_os()) / 1e9;
}

static void
die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, err.message);
    exit(1);
}

static struct slice
make_batch(size_t bytes, size_t value_len)
{
    struct record_builder builder;
    struct slice out;
    char value[4096];
    memset(value, 'v', sizeof(value));
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    do
        record_builder_add(&builder, env_wall_ms(env_os()), OX_STR("key-0000"),
            ox_str_n(value, value_len), NULL, 0);
    while (record_builder_len(&builder) + value_len + 24 <= bytes);
    if (record_builder_finish(&builder, &out, &err) != OX_OK)
        die("batch");
    record_builder_fini(&builder);
    return out;
}

static struct log_dir *
open_dir(bool threads)
{
    struct log_dir_config config;
    struct log_dir *dir;
    log_dir_config_init(&config);
    config.path = root;
    config.cluster_id = "bench";
    config.node_id = 1;
    config.threads = threads;
    if (log_dir_open(&config, env_os(), &dir, &err) != OX_OK)
        die("log_dir_open");
    return dir;
}

static struct plog *
open_plog(struct log_dir *dir, const char *topic, int partition, bool flush_ack)
{
    struct plog_args args = {.topic = topic, .partition = partition};
    struct plog *plog;
    plog_config_init(&args.config);
    args.config.flush_ack = flush_ack;
    args.config.max_message_bytes = 16 << 20;
    memset(args.topic_id.bytes, topic[0], 16);
    if (plog_open(dir, &args, &plog, &err) != OX_OK)
        die("plog_open");
    return plog;
}

static void
append_one(struct plog *plog, struct slice batch, uint32_t flags)
{
    /* As from the network: base offset 0, epoch -1. */
    record_batch_stamp(ox_slice_ptr(&batch), 0, -1);
    struct log_append append = {.records = batch, .now_ms = env_wall_ms(env_os()),
        .flags = flags};
    if (plog_append(plog, &append, &err) != OX_OK)
        die("plog_append");
}

/* A null server's work: check the CRC, walk the records, write. */
static double
raw_append(struct slice batch, uint64_t *count)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/raw", root);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint64_t pos = 0, n = 0;
    double start = now(), end;
    do {
        struct record_batch header;
        struct record_iter iter;
        struct record_walk walk;
        record_batch_stamp(ox_slice_ptr(&batch), 0, -1);
        record_batch_check(ox_slice_ptr(&batch), batch.len, &header, &err);
        record_iter_init(&iter, &header, NULL, 0, &err);
        record_walk(&iter, &walk, &err);
        struct iovec iov = {ox_slice_ptr(&batch), batch.len};
        if (pwritev(fd, &iov, 1, (off_t)pos) < 0)
            exit(1);
        pos += batch.len;
        n++;
        end = now();
    } while (end - start < seconds && pos < (uint64_t)2 << 30);
    close(fd);
    unlink(path);
    *count = n;
    return end - start;
}

static void
bench_append(size_t bytes)
{
    struct slice batch = make_batch(bytes, 76);
    struct record_batch header;
    record_batch_decode(ox_slice_ptr(&batch), batch.len, &header, &err);
    uint64_t raw, n = 0;
    double raw_time = raw_append(batch, &raw);
    struct log_dir *dir = open_dir(false);
    struct plog *plog = open_plog(dir, "append", 0, false);
    double start = now(), end;
    do {
        append_one(plog, batch, 0);
        n++;
        end = now();
    } while (end - start < seconds && plog_bytes(plog) < (uint64_t)2 << 30);
    double mine = (double)n / (end - start), theirs = (double)raw / raw_time;
    printf("append %7zu B batches of %5d records: %8.0f batches/s %6.2f M records/s "
           "%5.0f ns/record | raw %8.0f batches/s | ratio %.2f\n",
        batch.len, header.count, mine, mine * header.count / 1e6, 1e9 / (mine * header.count),
        theirs, mine / theirs);
    plog_delete(plog, &err);
    log_dir_purge(dir, INT64_MAX);
    log_dir_close(dir);
    ox_buf_put(batch.buf);
}

/* A file of 64 MiB that is on disk: what is written over it needs no space. */
static int
raw_file(char path[512])
{
    static char zeros[1 << 20];
    snprintf(path, 512, "%s/raw", root);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 64; i++)
        if (pwrite(fd, zeros, sizeof(zeros), (off_t)i << 20) < 0)
            exit(1);
    fdatasync(fd);
    return fd;
}

/* One batch to each of the partitions, then wait until all are flushed. */
static void
bench_flush(int partitions, size_t bytes)
{
    struct slice batch = make_batch(bytes, 76);
    struct plog *plogs[PARTITIONS];
    char path[512];
    int fd = raw_file(path);
    uint64_t pos = 0, raw = 0, n = 0;
    double start = now(), end;
    do {
        for (int i = 0; i < partitions; i++, pos += batch.len)
            if (pwrite(fd, ox_slice_ptr(&batch), batch.len, (off_t)(pos % (60 << 20))) < 0)
                exit(1);
        fdatasync(fd);
        raw++;
        end = now();
    } while (end - start < seconds);
    double theirs = (end - start) / (double)raw;
    close(fd);
    unlink(path);
    struct log_dir *dir = open_dir(false);
    for (int i = 0; i < partitions; i++)
        plogs[i] = open_plog(dir, "flush", i, true);
    /* Once around, so that the write-ahead log has a file to use again. */
    append_one(plogs[0], batch, 0);
    log_dir_flush_step(dir, &err);
    log_dir_checkpoint_step(dir, &err);
    struct log_dir_stats stats;
    do {
        for (int i = 0; i < partitions; i++)
            append_one(plogs[i], batch, 0);
        log_dir_flush_step(dir, &err);
        log_dir_stats(dir, &stats);
    } while (stats.wal_bytes < (65u << 20) && stats.wal_batch_bytes > 0 && partitions > 4);
    start = now();
    do {
        for (int i = 0; i < partitions; i++)
            append_one(plogs[i], batch, LOG_FLUSH_SOON);
        if (log_dir_flush_step(dir, &err) != OX_OK)
            die("flush");
        n++;
        end = now();
    } while (end - start < seconds);
    double mine = (end - start) / (double)n;
    printf("flush=ack round over %2d partitions of %6zu B: %7.0f us, %8.0f acks/s | one fdatasync "
           "of the same %7.0f us | ratio %.2f\n",
        partitions, batch.len, mine * 1e6, partitions / mine, theirs * 1e6, theirs / mine);
    for (int i = 0; i < partitions; i++)
        plog_delete(plogs[i], &err);
    log_dir_purge(dir, INT64_MAX);
    log_dir_close(dir);
    ox_buf_put(batch.buf);
}

static pthread_mutex_t ack_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ack_wake = PTHREAD_COND_INITIALIZER;
static int64_t acked;

static void
on_flushed(void *arg, int64_t end)
{
    pthread_mutex_lock(&ack_mutex);
    acked = end;
    pthread_cond_signal(&ack_wake);
    pthread_mutex_unlock(&ack_mutex);
}

static int
compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
print_times(const char *what, double *times, size_t n)
{
    qsort(times, n, sizeof(*times), compare_times);
    printf("%-40s p50 %5.0f us, p99 %5.0f us\n", what, times[n / 2] * 1e6, times[n * 99 / 100] * 1e6);
}

/* One batch, acknowledged when it is on disk, then the next; with the real
 * flusher, so two wake-ups across threads are in it. */
static void
bench_ack(size_t bytes)
{
    enum { MAX = 200000 };
    static double times[MAX];
    struct slice batch = make_batch(bytes, 76);
    struct log_dir *dir = open_dir(true);
    struct plog_args args = {.topic = "ack", .on_flushed = on_flushed};
    struct plog *plog;
    size_t n = 0;
    plog_config_init(&args.config);
    memset(args.topic_id.bytes, 'k', 16);
    if (plog_open(dir, &args, &plog, &err) != OX_OK)
        die("plog_open");
    for (double start = now(), at; (at = now()) - start < seconds && n < MAX; n++) {
        append_one(plog, batch, LOG_FLUSH_SOON);
        int64_t end = plog_log_end(plog);
        pthread_mutex_lock(&ack_mutex);
        while (acked < end)
            pthread_cond_wait(&ack_wake, &ack_mutex);
        pthread_mutex_unlock(&ack_mutex);
        times[n] = now() - at;
    }
    print_times("durable ack, one batch at a time", times, n);
    plog_delete(plog, &err);
    log_dir_purge(dir, INT64_MAX);
    log_dir_close(dir);
    char path[512];
    int fd = raw_file(path);
    n = 0;
    for (double start = now(), at; (at = now()) - start < seconds && n < MAX; n++) {
        if (pwrite(fd, ox_slice_ptr(&batch), batch.len, (off_t)((n * batch.len) % (60 << 20))) < 0)
            exit(1);
        fdatasync(fd);
        times[n] = now() - at;
    }
    print_times("  one pwrite and fdatasync, no threads", times, n);
    close(fd);
    unlink(path);
    ox_buf_put(batch.buf);
}

static void
bench_walk(void)
{
    struct slice batch = make_batch(64 << 10, 76);
    struct record_batch header;
    struct record_iter iter;
    struct record_walk walk;
    struct record record;
    uint64_t n = 0, sum = 0;
    record_batch_decode(ox_slice_ptr(&batch), batch.len, &header, &err);
    double start = now(), end;
    do {
        for (int i = 0; i < 100; i++, n++) {
            record_iter_init(&iter, &header, NULL, 0, &err);
            record_walk(&iter, &walk, &err);
        }
        end = now();
    } while (end - start < seconds);
    double walked = (double)n * header.count / (end - start);
    for (n = 0, start = now();; n += 100) {
        for (int i = 0; i < 100; i++) {
            record_iter_init(&iter, &header, NULL, 0, &err);
            while (record_iter_next(&iter, &record))
                sum += record.value.len;
        }
        if ((end = now()) - start > seconds)
            break;
    }
    double iterated = (double)n * header.count / (end - start);
    for (n = 0, start = now();; n += 100) {
        for (int i = 0; i < 100; i++)
            sum += ox_crc32c(0, ox_slice_ptr(&batch), batch.len);
        if ((end = now()) - start > seconds)
            break;
    }
    printf("walk %.1f M records/s, iterate %.1f M records/s, crc %.1f GB/s (%llu)\n",
        walked / 1e6, iterated / 1e6, (double)n * (double)batch.len / (end - start) / 1e9,
        (unsigned long long)(sum & 1));
    ox_buf_put(batch.buf);
}

static void
scan(struct plog *plog, int flags, const char *what)
{
    struct log_cursor *cursor;
    struct record_batch batch;
    uint64_t rows = 0, bytes = 0;
    bool more;
    double start = now();
    if (log_cursor_open(plog, 0, INT64_MAX, flags, &cursor, &err) != OX_OK)
        die("cursor");
    while (log_cursor_next(cursor, &batch, &more, &err) == OX_OK && more) {
        rows += (uint64_t)batch.count;
        bytes += batch.bytes;
    }
    log_cursor_close(cursor);
    double took = now() - start;
    printf("scan %-16s %8.1f M rows/s, %6.2f GB/s\n", what, (double)rows / took / 1e6,
        (double)bytes / took / 1e9);
}

static void
bench_scan(size_t bytes)
{
    struct slice batch = make_batch(bytes, 76);
    struct log_dir *dir = open_dir(false);
    struct plog *plog = open_plog(dir, "scan", 0, false);
    while (plog_bytes(plog) < (uint64_t)512 << 20)
        append_one(plog, batch, 0);
    printf("batches of %zu B:\n", batch.len);
    scan(plog, LOG_CURSOR_HEADERS, "headers");
    scan(plog, 0, "bytes");
    scan(plog, LOG_CURSOR_BACKWARD, "backward");
    plog_delete(plog, &err);
    log_dir_purge(dir, INT64_MAX);
    log_dir_close(dir);
    ox_buf_put(batch.buf);
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: log_bench DIR [SECONDS]\n");
        return 2;
    }
    root = argv[1];
    if (argc > 2)
        seconds = atof(argv[2]);
    ox_diag_set_level(OX_DIAG_ERROR);
    bench_walk();
    static const size_t sizes[] = {1 << 10, 16 << 10, 64 << 10, 1 << 20};
    for (size_t i = 0; i < 4; i++)
        bench_append(sizes[i]);
    bench_ack(1 << 10);
    bench_ack(16 << 10);
    bench_flush(1, 16 << 10);
    bench_flush(8, 16 << 10);
    bench_flush(64, 1 << 10);
    bench_flush(64, 16 << 10);
    bench_scan(64 << 10);
    bench_scan(1 << 10);
    return 0;
}
