/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows that come while the statement runs: SUBSCRIBE, FETCH_COUNT, \follow.
 *
 *   collect what has arrived -> nothing more at hand -> print it, flush, poll
 *
 * The first rows are held back for a moment so that column widths fit more than
 * one row. Widths only grow afterwards. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/shell.h"

enum { FIRST_WAIT_MS = 60, FIRST_ROWS = 200, BATCH_ROWS = 4096 };

struct live {
    struct shell *sh;
    const struct print_opts *opts;
    FILE *out;
    bool is_pipe;
    size_t columns, batch_rows, printed;
    const char **headers;
    bool *right;
    enum print_kind *kinds;
    PGresult **held; /* one row each, until printed */
    size_t held_cap;
    struct print_live state;
    bool fixed;      /* aligned rows of fixed width; else pieces of an ordinary table */
    bool failed;
};

static void live_columns(struct live *live, const PGresult *result);
static void live_print(struct live *live, bool end);

/* Waits until the socket can be read. False at once when interrupted. */
static bool
wait_readable(PGconn *conn, int timeout_ms)
{
    struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
    return poll(&fd, 1, timeout_ms) > 0;
}

static bool
live_take(struct live *live, PGresult *result)
{
    if (live->columns == 0 && PQnfields(result) > 0)
        live_columns(live, result);
    if (PQntuples(result) == 0) {
        PQclear(result);
        return true;
    }
    if (live->batch_rows == live->held_cap) {
        live->held_cap = live->held_cap ? live->held_cap * 2 : 256;
        live->held = ox_realloc(live->held, ox_size_mul(live->held_cap, sizeof(*live->held)));
    }
    live->held[live->batch_rows++] = result;
    return true;
}

static void
live_columns(struct live *live, const PGresult *result)
{
    live->columns = (size_t)PQnfields(result);
    live->headers = ox_calloc(live->columns, sizeof(*live->headers));
    live->right = ox_calloc(live->columns, sizeof(*live->right));
    live->kinds = ox_calloc(live->columns, sizeof(*live->kinds));
    for (size_t i = 0; i < live->columns; i++) {
        live->headers[i] = ox_strdup(PQfname(result, (int)i));
        live->kinds[i] = print_kind_of(PQftype(result, (int)i));
        live->right[i] = live->kinds[i] == KIND_NUMBER;
    }
}

static void
live_print(struct live *live, bool end)
{
    size_t cells_count = ox_size_mul(live->columns, live->batch_rows);
    const char **cells = ox_calloc(cells_count + 1, sizeof(*cells));
    for (size_t row = 0; row < live->batch_rows; row++)
        for (size_t i = 0; i < live->columns; i++)
            cells[row * live->columns + i] =
                PQgetisnull(live->held[row], 0, (int)i) ? NULL
                                                        : PQgetvalue(live->held[row], 0, (int)i);
    struct print_table table = {.columns = live->columns, .rows = live->batch_rows,
        .headers = live->headers, .cells = cells, .right = live->right, .kinds = live->kinds,
        .more_before = live->printed > 0, .more_after = !end, .rows_before = live->printed};
    if (!live->fixed)
        print_table(&table, live->opts, live->out);
    else if (live->batch_rows > 0 || end)
        print_live_rows(&live->state, &table, live->opts, live->out);
    fflush(live->out);
    live->failed = live->failed || ferror(live->out);
    for (size_t row = 0; row < live->batch_rows; row++)
        PQclear(live->held[row]);
    live->printed += live->batch_rows;
    live->batch_rows = 0;
    ox_free(cells);
    if (end && live->fixed)
        print_live_end(&live->state, live->opts, live->out, live->printed);
}

static void
live_fini(struct live *live)
{
    for (size_t i = 0; i < live->columns; i++)
        ox_free((char *)(uintptr_t)live->headers[i]);
    ox_free(live->headers);
    ox_free(live->right);
    ox_free(live->kinds);
    ox_free(live->held);
    print_live_fini(&live->state);
    if (live->out != live->sh->out)
        query_output_close(live->out, live->is_pipe);
}

/* True when what is held should be printed now rather than wait for more. */
static bool
live_due(const struct live *live, double held_since)
{
    if (live->batch_rows == 0)
        return false;
    if (live->printed > 0 || live->batch_rows >= FIRST_ROWS)
        return true;
    return shell_clock_ms() - held_since >= FIRST_WAIT_MS;
}

/* Takes everything that has arrived; returns the result that is no row, or NULL when libpq
 * would have to wait. *ended is set when there are no more results. */
static PGresult *
live_drain(struct live *live, bool *ended)
{
    PGconn *conn = live->sh->conn;
    while (!PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (!result) {
            *ended = true;
            return NULL;
        }
        if (PQresultStatus(result) != PGRES_SINGLE_TUPLE) {
            if (live->columns == 0 && PQnfields(result) > 0)
                live_columns(live, result);
            return result;
        }
        live_take(live, result);
        if (live->batch_rows >= BATCH_ROWS)
            live_print(live, false);
    }
    return NULL;
}

size_t
live_run(struct shell *sh, PGresult **last, bool *canceled)
{
    struct print_opts opts = *query_opts(sh);
    opts.pager = 0;
    struct live live = {.sh = sh, .opts = &opts, .out = sh->out};
    bool ended = false;
    double held_since = 0;
    live.fixed = (opts.format == FORMAT_ALIGNED || opts.format == FORMAT_WRAPPED) &&
                 opts.expanded != EXPANDED_ON;
    if (opts.format == FORMAT_JSON)
        opts.format = FORMAT_JSONL; /* an array has no end to wait for */
    if (sh->once.file) {
        FILE *opened = query_output_open(sh, sh->once.file, &live.is_pipe);
        if (opened)
            live.out = opened;
    }
    *last = NULL;
    while (!ended && !*last) {
        size_t before = live.batch_rows;
        *last = live_drain(&live, &ended);
        if (before == 0 && live.batch_rows > 0)
            held_since = shell_clock_ms();
        if (ended || *last)
            break;
        if (live_due(&live, held_since))
            live_print(&live, false);
        query_notifies(sh);
        if (live.failed) {
            shell_interrupted = 1; /* nobody reads: stop the server too */
            PGcancel *cancel = PQgetCancel(sh->conn);
            char why[256];
            PQcancel(cancel, why, sizeof(why));
            PQfreeCancel(cancel);
            live.failed = false;
        }
        wait_readable(sh->conn, live.batch_rows > 0 ? FIRST_WAIT_MS : -1);
        if (!PQconsumeInput(sh->conn) && PQstatus(sh->conn) == CONNECTION_BAD)
            break;
    }
    *canceled = shell_interrupted;
    if (live.columns > 0 && (live.batch_rows > 0 || live.printed > 0 ||
                                (*last && PQresultStatus(*last) != PGRES_FATAL_ERROR)))
        live_print(&live, true);
    else if (*last && PQresultStatus(*last) == PGRES_COMMAND_OK && !sh->vars.set.quiet)
        fprintf(live.out, "%s\n", PQcmdStatus(*last));
    size_t rows = live.printed;
    live_fini(&live);
    return rows;
}

/* \follow prints what a topic's records say, not a table's frame: the terminal shows
 * partition:offset, key and value; FOLLOW_FORMAT picks json or raw (the value alone). */
bool
live_follow(struct shell *sh, const char *topic, long last)
{
    struct text query;
    const char *format = vars_get(&sh->vars, "FOLLOW_FORMAT");
    ox_text_init(&query, NULL);
    ox_text_addf(&query, "SUBSCRIBE %s FROM LAST %ld ROWS", describe_ident(&sh->arena, topic), last);
    sh->once.no_echo = true;
    sh->once.has_print = true;
    sh->once.print = sh->print;
    sh->once.print.pager = 0;
    if (format && strcmp(format, "json") == 0) {
        sh->once.print.format = FORMAT_JSONL;
    } else if (format && strcmp(format, "raw") == 0) {
        ox_text_clear(&query);
        ox_text_addf(&query, "SUBSCRIBE %s (_value) FROM LAST %ld ROWS",
            describe_ident(&sh->arena, topic), last);
        sh->once.print.format = FORMAT_UNALIGNED;
        sh->once.print.tuples_only = true;
    }
    if (sh->vars.set.echo_hidden != HIDDEN_OFF)
        printf("********* QUERY **********\n%s\n**************************\n\n", query.ptr);
    bool worked = sh->vars.set.echo_hidden == HIDDEN_NOEXEC || query_send(sh, query.ptr);
    ox_text_fini(&query);
    return worked || shell_interrupted;
}
