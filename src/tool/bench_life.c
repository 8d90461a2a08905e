/* SPDX-License-Identifier: Apache-2.0
 *
 * Start, size, memory: servers of their own, started and stopped here. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "tool/bench.h"

/* ---- start ---- */

/* What the kernel and the dynamic linker take to run the same program. */
static double
version_slice(struct target *target, void *arg)
{
    fflush(stdout);
    double start = now_s();
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) != NULL)
            execl(target->path, "oxbow", "--version", (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    return now_s() - start;
}

struct start {
    struct target server, other;
    bool fresh;
};

static double
start_slice(struct target *target, void *arg)
{
    struct start *start = arg;
    struct target *server = target == &ours ? &start->server : &start->other;
    if (target->name[0] == '-')
        return version_slice(target, arg);
    if (start->fresh)
        target_stop(server, false);
    double elapsed = target_start(server, target == &ours ? opt.server : opt.against);
    target_stop(server, !start->fresh);
    return elapsed;
}

static void
size_figure(void)
{
    char command[1200], path[300];
    struct stat status;
    snprintf(path, sizeof(path), "%s/oxbench.stripped.%d", opt.scratch, (int)getpid());
    snprintf(command, sizeof(command), "strip -o '%s' '%s'", path, opt.server);
    if (system(command) != 0 || stat(path, &status) != 0) {
        report_note("strip is not there: the size of the program is not measured");
        return;
    }
    unlink(path);
    report_value("B", (double)status.st_size, REACH_AT_MOST, 5e6, "stripped server");
}

void
bench_start(void)
{
    struct target version = {.name = "-", .path = opt.server};
    struct target *other = against.pid != 0 ? &against : &version;
    const char *name = against.pid != 0 ? against.name : "oxbow --version";
    struct start start = {.fresh = true};
    struct pair pair;
    measure(&ours, &start, other, &start, start_slice, &pair);
    report("s", &pair, name, REACH_AT_MOST, 0.100, "start to ready, new directory");
    start.fresh = false;
    measure(&ours, &start, other, &start, start_slice, &pair);
    report("s", &pair, name, REACH_AT_MOST, 0.030, "start to ready, existing directory");
    target_stop(&start.server, false);
    target_stop(&start.other, false);
    size_figure();
}

/* ---- memory ---- */

static void
subscribers_figure(struct target *server)
{
    enum { MANY = 400 };
    int count = opt.small ? 20 : MANY;
    PGconn **conns = ox_calloc((size_t)count, sizeof(*conns));
    char text[300];
    make_topic(server, 1, false);
    snprintf(text, sizeof(text), "SUBSCRIBE \"%s\"", opt.topic);
    size_t before = 0;
    /* The first few pay for what all share. */
    for (int i = 0; i < count; i++) {
        if (i == count / 10) {
            usleep(200000);
            before = target_rss(server, false);
        }
        conns[i] = sql_connect(server);
        PQsendQuery(conns[i], text);
        PQflush(conns[i]);
    }
    usleep(500000);
    size_t after = target_rss(server, false);
    report_value("B", (double)(after - before) / (count - count / 10), REACH_AT_MOST, 16384,
        "idle subscriber");
    for (int i = 0; i < count; i++)
        PQfinish(conns[i]);
    drop_topic(server);
    ox_free(conns);
}

void
bench_memory(void)
{
    struct target server = {.name = "oxbow"};
    target_start(&server, opt.server);
    usleep(300000);
    report_value("B", (double)target_rss(&server, false), REACH_AT_MOST, 12 * 1048576.0,
        "idle server, resident");
    report_value("B", (double)target_rss(&server, true), REACH_NOTHING, 0,
        "idle server, resident and its own");
    subscribers_figure(&server);
    target_stop(&server, false);
}

/* ---- growth ---- */

/* One turn of everything, about a second. */
static void
soak_turn(struct target *server, int turn)
{
    static const size_t batches[] = {1024, 65536, 1048576};
    size_t records;
    struct slice batch = make_batch(100, batches[turn % 3], &records);
    struct load_config config = {1 + turn % 8, 5, turn % 2 ? 1 : -1, 1, &batch};
    struct load *load = load_open(server, &config);
    char text[300];
    load_run(load, 0.2);
    load_close(load);
    ox_buf_put(batch.buf);
    PGconn *conn = sql_connect(server);
    snprintf(text, sizeof(text), "SELECT count(_value), max(_offset) FROM \"%s\"", opt.topic);
    PQclear(sql_run(conn, text));
    snprintf(text, sizeof(text),
        "SELECT _value FROM \"%s\" ORDER BY _offset DESC LIMIT 1000", opt.topic);
    PQclear(sql_run(conn, text));
    snprintf(text, sizeof(text), "INSERT INTO \"%s\" (_value) SELECT 'row ' || g FROM "
                                 "generate_series(1, 1000) g", opt.topic);
    PQclear(sql_run(conn, text));
    PQfinish(conn);
}

void
bench_soak(void)
{
    struct target server = {.name = "oxbow"};
    double start = now_s(), told = start;
    size_t first = 0, last = 0;
    int turn = 0;
    target_start(&server, opt.server);
    make_topic(&server, 1, false);
    while (now_s() - start < opt.seconds) {
        soak_turn(&server, turn++);
        if (turn % 10 == 0)
            make_topic(&server, 1, turn % 20 == 0);
        last = target_rss(&server, true);
        /* What a server needs at all is there after a fifth of the time. */
        if (first == 0 && now_s() - start > opt.seconds / 5)
            first = last;
        if (now_s() - told > opt.seconds / 20) {
            told = now_s();
            report_value("B", (double)last, REACH_NOTHING, 0, "its own memory after %.0f s",
                told - start);
        }
    }
    if (first > 0)
        report_value("B", last > first ? (double)(last - first) : 0, REACH_AT_MOST,
            (double)first / 4, "growth since a fifth of the time, %d turns", turn);
    target_stop(&server, false);
}
