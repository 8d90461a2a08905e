/* SPDX-License-Identifier: Apache-2.0
 *
 * Cancelling: from the CancelRequest to the error of a statement that computes,
 * beside a bare TCP connection with one byte there and back. */
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "tool/bench.h"

/* What a statement can be at when it is cancelled. */
static const struct {
    const char *name, *text;
} kinds[] = {
    {"a wait", "SELECT pg_sleep(1000)"},
    {"a series", "SELECT count(*) FROM generate_series(1, 1000000000000) g"},
    {"a nested loop", "SELECT * FROM generate_series(1, 100000000) a JOIN generate_series(1, 1000) "
                      "b ON length((a + b)::text) < 0"},
    {"a sort", "SELECT g FROM generate_series(1, 100000000) g ORDER BY md5(g::text)"},
    {"groups", "SELECT g, count(*) FROM generate_series(1, 100000000) g GROUP BY g HAVING "
               "count(*) > 1"},
    {"a distinct", "SELECT count(DISTINCT g) FROM generate_series(1, 100000000) g"},
    {"a sub-query of each row", "SELECT (SELECT count(*) FROM generate_series(1, 1000000) h WHERE "
                                "h % 7 = g % 7) FROM generate_series(1, 100000) g"},
    {"a window", "SELECT sum(g) OVER (ORDER BY g ROWS BETWEEN 100000 PRECEDING AND CURRENT ROW "
                 "EXCLUDE CURRENT ROW) FROM generate_series(1, 1000000) g"},
    {"a regular expression", "SELECT repeat('ab', 60000000) ~ '(a|b|ab|ba)*(aa|bb)(a|b)*c'"},
    {"a long number", "SELECT count(*) FROM generate_series(1, 10000) g WHERE "
                      "length(factorial(30000)::text) < g"},
    {"a long document", "SELECT sum(jsonb_array_length(d)) FROM generate_series(1, 100000) g, "
                        "LATERAL (SELECT ('[' || repeat('{\"a\": [1]}, ', 300000) || g || "
                        "']')::jsonb AS d FROM generate_series(g, g)) s"},
    {"a catalog query", "SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c, "
                        "pg_attribute d"},
};

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- the reference ---- */

static int
echo_start(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&at, &len) != 0)
        die("echo");
    if (target_fork() == 0)
        for (;;) {
            char byte;
            int fd = accept(listener, NULL, NULL);
            if (fd >= 0 && recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) < 0)
                _exit(1);
            close(fd);
        }
    close(listener);
    return ntohs(at.sin_port);
}

static double
round_trip(int port)
{
    char byte = 'x';
    double start = now_s();
    int fd = connect_to(port);
    write_full(fd, &byte, 1);
    read_full(fd, &byte, 1);
    close(fd);
    return now_s() - start;
}

/* ---- the figure ---- */

/* Seconds until the error was there. */
static double
cancel_once(PGconn *conn, const char *text, useconds_t after)
{
    char why[256];
    PGcancel *cancel = PQgetCancel(conn);
    if (cancel == NULL || PQsendQuery(conn, text) != 1)
        die("query");
    usleep(after);
    double start = now_s();
    if (PQcancel(cancel, why, sizeof(why)) != 1)
        die("cancel");
    PGresult *result = PQgetResult(conn);
    double took = now_s() - start;
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (state == NULL || strcmp(state, "57014") != 0)
        report_note("ended by itself: %s", text);
    PQfreeCancel(cancel);
    while (result != NULL) {
        PQclear(result);
        result = PQgetResult(conn);
    }
    return took;
}

void
bench_cancel(void)
{
    enum { EACH_MAX = 64 };
    double all[ox_count(kinds) * EACH_MAX], took[EACH_MAX], trips[EACH_MAX];
    int each = OX_MIN(opt.small ? 1 : opt.slices, EACH_MAX), count = 0;
    int echo = echo_start();
    PGconn *conn = sql_connect(&ours);
    PQclear(sql_run(conn, "SET work_mem = '256MB'"));
    for (size_t k = 0; k < ox_count(kinds); k++) {
        for (int i = 0; i < each; i++) {
            took[i] = cancel_once(conn, kinds[k].text, 50000 + (useconds_t)i * 13000);
            trips[i] = round_trip(echo);
            all[count++] = took[i];
        }
        struct pair pair = {.ours = median(took, each), .reference = median(trips, each)};
        pair.ratio = pair.ours / pair.reference;
        report("s", &pair, "connection, byte, byte", REACH_AT_MOST, 0.010, "cancel %s, median",
            kinds[k].name);
        report_note("the slowest of them %.1f ms", took[each - 1] * 1e3); /* median() sorts */
    }
    qsort(all, (size_t)count, sizeof(*all), by_value);
    report_value("s", all[OX_MIN(count - 1, count * 99 / 100)], REACH_AT_MOST, 0.010,
        "cancel, 99 of 100, all kinds");
    report_value("s", all[count - 1], REACH_NOTHING, 0, "cancel, the slowest");
    PQfinish(conn);
}
