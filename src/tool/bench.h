/* SPDX-License-Identifier: Apache-2.0
 *
 * oxbench from the inside: targets that are measured, slices, the table.
 *
 * A figure is measured in short slices that alternate between the server and its
 * reference, A B A B ..., so that both meet the same machine; what is reported is
 * the median of each and the median of the ratios pair by pair. */
#ifndef TOOL_BENCH_H
#define TOOL_BENCH_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    BENCH_SLICES_MAX = 64,
    /* Topics that are produced to keep two segments of this size, so that page
     * cache is reused as in a server that has run for long. Where memory comes
     * from a hypervisor, a page that it takes back costs more than all else. */
    BENCH_SEGMENT = 256 << 20,
};

/* Something with doors: the server, an older one, or a reference process. */
struct target {
    const char *name;
    const char *path; /* program; NULL for a reference or a server that runs already */
    pid_t pid;        /* 0: unknown, then CPU and memory are not measured */
    bool foreign; /* started by somebody else: never stopped here */
    int kafka_port, sql_port, tls_port;
    char dir[256]; /* data directory, empty if unknown */
};

struct bench_options {
    const char *host, *topic, *only;
    int kafka_port, sql_port; /* 0: start a server */
    const char *server, *against, *scratch;
    int record, connections, depth, acks, rows; /* 0: the whole matrix */
    size_t batch;
    double seconds; /* of one slice */
    int slices;
    double scale, warm; /* beside: of the number of records; seconds before */
    double fill_mb;     /* beside: only this much data, which stays */
    const char *ca;
    bool json, lazy, lazy_set, small, large;
    bool many; /* beside: only a topic of many partitions, which stays */
};

extern struct bench_options opt;
extern struct target ours;    /* the server that is measured */
extern struct target against; /* another build of it; pid 0 if there is none */

_Noreturn void die(const char *what);
double now_s(void);

/* ---- targets (bench_target.c) ---- */

/* Starts a server on a new directory, or on the one that target->dir names;
 * returns the seconds from fork to its ready line. */
double target_start(struct target *target, const char *path);
/* SIGTERM, waits, and removes the directory unless keep. */
void target_stop(struct target *target, bool keep);
/* fork(); the child dies with this process. 0 in the child. */
pid_t target_fork(void);
/* Nanoseconds of CPU that all threads used so far. */
uint64_t target_cpu_ns(const struct target *target);
/* Resident bytes: all, and those not backed by a file. */
size_t target_rss(const struct target *target, bool anonymous);
/* Moves this process and its children to a network of their own whose
 * connections are not paced, as bbr would even on loopback; true if that worked. */
bool own_network(void);
/* Every process that was started and not stopped yet ends with this one. */
void targets_kill(void);
int connect_to(int port);
void write_full(int fd, const void *from, size_t len);
void read_full(int fd, void *to, size_t len);

/* ---- references (bench_null.c, bench_nullsql.c) ---- */

/* A process that does what no broker can do without: epoll loops that read
 * frames, check the CRC, append the batch to one file and answer. A flusher calls
 * fdatasync for as much as has queued, all the time, and answers wait for it or
 * do not. */
enum null_flush { NULL_NEVER, NULL_BEHIND, NULL_BEFORE };
void null_start(struct target *target, enum null_flush flush);
/* A process that sends `path` from the page cache to whoever connects, with
 * sendfile, again and again. */
void sender_start(struct target *target, const char *path);
/* A process that speaks as much of PostgreSQL's protocol as libpq needs: COPY in
 * is read and thrown away, COPY out sends `rows` rows like `line`, an INSERT is
 * answered after a group-committed write and fdatasync. */
void nullsql_start(struct target *target, const char *line, int rows);

/* ---- loads (bench_produce.c, bench_fetch.c) ---- */

struct load; /* connections to one target with requests in flight */

struct load_config {
    int connections, depth, acks, partitions; /* partitions > 1: spread over connections */
    const struct slice *batch;
};

struct load *load_open(const struct target *target, const struct load_config *config);
/* Requests a second over `seconds`; the load is idle before and after. */
double load_run(struct load *load, double seconds);
/* Exactly count requests, one at a time. */
void load_count(struct load *load, size_t count);
void load_close(struct load *load);

struct slice make_batch(int record, size_t bytes, size_t *records);
/* A Produce request (v7) of one batch for each of count partitions from first on. */
void produce_request(struct text *text, const struct slice *batch, int acks, int first,
    int count);
void make_topic(const struct target *target, int partitions, bool lazy);
/* The same with segments of BENCH_SEGMENT bytes, of which two are kept. */
void make_rolling_topic(const struct target *target, int partitions, bool lazy);
void drop_topic(const struct target *target);
PGconn *sql_connect(const struct target *target);
PGresult *sql_run(PGconn *conn, const char *text);

/* ---- pairs and the table (bench_report.c) ---- */

/* One slice on one target; its figure. */
typedef double (*slice_fn)(struct target *target, void *arg);

struct pair {
    double ours, reference, ratio; /* medians; ratio 0 without a reference */
    double ours_cpu_ns, reference_cpu_ns; /* medians of CPU time a slice */
};
/* Alternates slices of two targets (b NULL: of one). */
void measure(struct target *a, void *arg_a, struct target *b, void *arg_b, slice_fn fn,
    struct pair *out);

enum target_kind {
    REACH_NOTHING,
    REACH_RATIO,   /* ratio >= wanted */
    REACH_AT_LEAST,
    REACH_AT_MOST,
};

void report_open(void);
/* One row. reference is the name of what pair->reference measures, or NULL. */
void report(const char *unit, const struct pair *pair, const char *reference,
    enum target_kind kind, double wanted, const char *name, ...)
    __attribute__((format(printf, 6, 7)));
/* A row of one value. */
void report_value(const char *unit, double value, enum target_kind kind, double wanted,
    const char *name, ...) __attribute__((format(printf, 5, 6)));
/* A remark under the last row. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Closes the table; how many rows missed what they were to reach. */
int report_close(void);
double median(double *values, int count);

/* ---- figures: each prints its rows ---- */

void bench_produce(void);
void bench_budget(void);
void bench_round(void);
void bench_latency(void);
void bench_consume(void);
void bench_clients(void);
void bench_scan(void);
void bench_insert(void);
void bench_cancel(void);
void bench_start(void);
void bench_memory(void);
void bench_beside(void);
void bench_soak(void);

#endif
