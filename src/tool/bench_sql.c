/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL: a topic of JSON records filled by COPY, scanned by statements, read by
 * COPY; INSERTs of one row from many sessions. References: walking the same
 * records in this process (what any scan has to do at least), and a SQL server
 * that does nothing. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "log/record_batch.h"
#include "row/row.h"
#include "tool/bench.h"

static int
make_line(char *to, size_t len, int i)
{
    return snprintf(to, len,
        "k%d\t{\"user\": \"user-%04d\", \"amount\": %d, \"note\": \"%s\"}\n", i % 1000, i % 1000,
        i % 10000, "a line of text that makes the record two hundred bytes long or so");
}

/* ---- COPY in ---- */

struct copy {
    int rows;
    bool keep; /* the last slice's topic stays */
};

static double
copy_in_slice(struct target *target, void *arg)
{
    const struct copy *copy = arg;
    char text[300], line[256];
    make_topic(target, 1, false);
    PGconn *conn = sql_connect(target);
    snprintf(text, sizeof(text), "COPY \"%s\" (_key, _value) FROM STDIN", opt.topic);
    double start = now_s();
    PQclear(sql_run(conn, text));
    for (int i = 0; i < copy->rows; i++)
        if (PQputCopyData(conn, line, make_line(line, sizeof(line), i)) != 1)
            die("copy");
    PQputCopyEnd(conn, NULL);
    PGresult *result;
    while ((result = PQgetResult(conn)) != NULL) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            fprintf(stderr, "oxbench: %s", PQerrorMessage(conn));
            exit(1);
        }
        PQclear(result);
    }
    double elapsed = now_s() - start;
    PQfinish(conn);
    return copy->rows / elapsed;
}

/* ---- COPY out ---- */

static double
copy_out_slice(struct target *target, void *arg)
{
    const struct copy *copy = arg;
    char text[300], *line;
    int count = 0;
    PGconn *conn = sql_connect(target);
    snprintf(text, sizeof(text), "COPY (SELECT _offset, _key FROM \"%s\") TO STDOUT", opt.topic);
    double start = now_s();
    PQclear(sql_run(conn, text));
    while (PQgetCopyData(conn, &line, 0) > 0) {
        PQfreemem(line);
        count++;
    }
    double elapsed = now_s() - start;
    PGresult *result;
    while ((result = PQgetResult(conn)) != NULL)
        PQclear(result);
    PQfinish(conn);
    if (count != copy->rows)
        die("rows are missing");
    return copy->rows / elapsed;
}

/* ---- statements ---- */

struct query {
    PGconn *conn[2];
    const char *text;
    struct slice batch; /* walked by the reference */
    size_t records;
};

static double
query_slice(struct target *target, void *arg)
{
    struct query *query = arg;
    char text[512];
    snprintf(text, sizeof(text), query->text, opt.topic);
    double start = now_s();
    PQclear(sql_run(query->conn[target == &against], text));
    return opt.rows / (now_s() - start);
}

/* The same records, walked and looked into for a field, with nothing around. */
static double
walk_slice(struct target *target, void *arg)
{
    struct query *query = arg;
    struct record_batch batch;
    struct record_iter iter;
    struct record record;
    size_t walked = 0, found = 0;
    double start = now_s();
    while (walked < (size_t)opt.rows) {
        if (record_batch_decode(ox_slice_ptr(&query->batch), query->batch.len, &batch, NULL) !=
                OX_OK ||
            record_iter_init(&iter, &batch, NULL, SIZE_MAX, NULL) != OX_OK)
            die("batch");
        while (record_iter_next(&iter, &record)) {
            found += memmem(record.value.ptr, record.value.len, "\"amount\"", 8) != NULL;
            walked++;
        }
    }
    if (found != walked)
        die("walk");
    return (double)walked / (now_s() - start);
}

static double
either_slice(struct target *target, void *arg)
{
    return target->sql_port != 0 ? query_slice(target, arg) : walk_slice(target, arg);
}

static struct slice
json_batch(size_t *records)
{
    struct record_builder builder;
    struct slice batch;
    char line[256], *tab;
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    for (int i = 0; i < 4096; i++) {
        int len = make_line(line, sizeof(line), i);
        tab = strchr(line, '\t');
        record_builder_add(&builder, env_wall_ms(env_os()),
            ox_str_n(line, (size_t)(tab - line)),
            ox_str_n(tab + 1, (size_t)(line + len - tab - 2)), NULL, 0);
    }
    *records = 4096;
    if (record_builder_finish(&builder, &batch, NULL) != OX_OK)
        die("batch");
    record_builder_fini(&builder);
    return batch;
}

static void
scan_figures(void)
{
    static const struct {
        const char *name, *text;
        double least;
    } queries[] = {
        {"SELECT count(*)", "SELECT count(*) FROM \"%s\"", 100e6},
        {"filter on a JSON number", "SELECT count(*) FROM \"%s\" WHERE (_value->>'amount')::int > "
                                    "9990",
            5e6},
        {"filter, GROUP BY, sum", "SELECT _value->>'user', sum((_value->>'amount')::int) FROM "
                                  "\"%s\" WHERE (_value->>'amount')::int > 100 GROUP BY 1",
            3e6},
        {"GROUP BY _key, count", "SELECT _key, count(*) FROM \"%s\" GROUP BY 1", 10e6}};
    struct query query = {.batch = json_batch(&query.records)};
    struct target walk = {.name = "walk + memmem"};
    struct target *other = against.pid != 0 ? &against : &walk;
    query.conn[0] = sql_connect(&ours);
    if (against.pid != 0)
        query.conn[1] = sql_connect(&against);
    for (size_t i = 0; i < ox_count(queries); i++) {
        struct pair pair;
        query.text = queries[i].text;
        measure(&ours, &query, other, &query, either_slice, &pair);
        /* What is to be reached is what a core does, not what a busy machine left of it. */
        report("row/s", &pair, other->name, ours.pid == 0 ? REACH_AT_LEAST : REACH_NOTHING,
            queries[i].least, "%s", queries[i].name);
        if (ours.pid != 0)
            report_value("row/s", opt.rows / (pair.ours_cpu_ns / 1e9), REACH_AT_LEAST,
                queries[i].least, "%s, a CPU second", queries[i].name);
    }
    PQfinish(query.conn[0]);
    PQfinish(query.conn[1]);
    ox_buf_put(query.batch.buf);
}

void
bench_scan(void)
{
    struct pair pair;
    struct target null, *other = &null;
    struct copy copy = {.rows = opt.rows};
    int slices = opt.slices;
    nullsql_start(&null, "123456\tk123\n", opt.rows);
    if (against.pid != 0)
        other = &against;
    opt.slices = OX_MIN(slices, 3);
    measure(&ours, &copy, other, &copy, copy_in_slice, &pair);
    report("row/s", &pair, other->name, REACH_AT_LEAST, 0.8e6, "COPY in, 130 B JSON records");
    if (ours.pid != 0)
        report_note("server CPU %.0f ns a row", pair.ours_cpu_ns / copy.rows);
    measure(&ours, &copy, other, &copy, copy_out_slice, &pair);
    report("row/s", &pair, other->name, REACH_AT_LEAST, 1.2e6, "COPY out of _offset, _key");
    if (ours.pid != 0)
        report_note("server CPU %.0f ns a row", pair.ours_cpu_ns / copy.rows);
    opt.slices = slices;
    scan_figures();
    target_stop(&null, false);
    drop_topic(&ours);
    drop_topic(&against);
}

/* ---- INSERT ---- */

enum { SESSIONS = 16 };

struct sessions {
    PGconn *conns[SESSIONS];
    struct pollfd polls[SESSIONS];
    char text[300];
    uint64_t done;
    int busy;
    bool draining;
};

static void
sessions_open(struct sessions *all, const struct target *target)
{
    snprintf(all->text, sizeof(all->text),
        "INSERT INTO \"%s\" (_key, _value) VALUES ('k', 'a value')", opt.topic);
    for (int i = 0; i < SESSIONS; i++) {
        all->conns[i] = sql_connect(target);
        all->polls[i] = (struct pollfd){PQsocket(all->conns[i]), POLLIN, 0};
    }
}

static void
sessions_take(struct sessions *all, PGconn *conn)
{
    if (!PQconsumeInput(conn))
        die("connection lost");
    while (!PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (result == NULL) {
            if (all->draining)
                all->busy--;
            else
                PQsendQuery(conn, all->text);
            return;
        }
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            die(PQerrorMessage(conn));
        all->done++;
        PQclear(result);
    }
}

static double
insert_slice(struct target *target, void *arg)
{
    struct sessions *all = arg;
    all->done = 0;
    all->draining = false;
    all->busy = SESSIONS;
    double start = now_s(), elapsed = 0, rate = 0;
    for (int i = 0; i < SESSIONS; i++)
        PQsendQuery(all->conns[i], all->text);
    while (all->busy > 0) {
        if (poll(all->polls, SESSIONS, 10000) <= 0)
            die("no answer in ten seconds");
        for (int i = 0; i < SESSIONS; i++)
            if (all->polls[i].revents != 0)
                sessions_take(all, all->conns[i]);
        elapsed = now_s() - start;
        if (!all->draining && elapsed >= opt.seconds) {
            rate = (double)all->done / elapsed;
            all->draining = true;
        }
    }
    return rate;
}

void
bench_insert(void)
{
    struct pair pair;
    struct target null, *other = &null;
    struct sessions a, b;
    nullsql_start(&null, "", 0);
    if (against.pid != 0)
        other = &against;
    make_topic(&ours, 1, false);
    if (other == &against)
        make_topic(other, 1, false);
    sessions_open(&a, &ours);
    sessions_open(&b, other);
    measure(&ours, &a, other, &b, insert_slice, &pair);
    report("/s", &pair, other->name, REACH_AT_LEAST, 10e3,
        "single-row INSERTs, fsynced, %d sessions", SESSIONS);
    if (ours.pid != 0)
        report_note("server CPU %.1f us an INSERT",
            pair.ours_cpu_ns / (pair.ours * opt.seconds) / 1e3);
    for (int i = 0; i < SESSIONS; i++) {
        PQfinish(a.conns[i]);
        PQfinish(b.conns[i]);
    }
    target_stop(&null, false);
    drop_topic(&ours);
    drop_topic(&against);
}
