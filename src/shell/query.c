/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending statements and printing what comes back.
 *
 *   query_send: echo, BEGIN or SAVEPOINT if asked for, then
 *     PQsendQuery -> for each PQgetResult: rows, COPY data, tag or error
 *     (or live_run for statements whose rows come while they run)
 *   -> undo or keep the savepoint, timing, notifications, variables
 *
 * Invariant: when query_send returns, no result is left on the connection. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "shell/shell.h"

static bool run_results(struct shell *sh, const char *query, double *elapsed_ms);
static bool take_result(struct shell *sh, PGresult **result, bool last);
static bool rollback_point(struct shell *sh);
static bool describe_only(struct shell *sh, const char *query, double *elapsed_ms);

double
shell_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void
print_timing(double ms)
{
    if (ms < 1000.0) {
        printf("Time: %.3f ms\n", ms);
        return;
    }
    double seconds = ms / 1000.0, minutes = (double)(long)(seconds / 60.0);
    double hours = (double)(long)(minutes / 60.0), days = (double)(long)(hours / 24.0);
    seconds -= minutes * 60.0;
    if (minutes < 60.0) {
        printf("Time: %.3f ms (%02d:%06.3f)\n", ms, (int)minutes, seconds);
        return;
    }
    minutes -= hours * 60.0;
    if (hours < 24.0) {
        printf("Time: %.3f ms (%02d:%02d:%06.3f)\n", ms, (int)hours, (int)minutes, seconds);
        return;
    }
    hours -= days * 24.0;
    printf("Time: %.3f ms (%.0f d %02d:%02d:%06.3f)\n", ms, days, (int)hours, (int)minutes, seconds);
}

struct str
query_word(const char **text)
{
    const char *at = *text;
    int depth = 0;
    for (;; at++) {
        if (at[0] == '/' && at[1] == '*') {
            depth++;
            at++;
        } else if (depth > 0 && at[0] == '*' && at[1] == '/') {
            depth--;
            at++;
        } else if (depth == 0 && at[0] == '-' && at[1] == '-') {
            at += strcspn(at, "\n");
        } else if (*at == '\0' || (depth == 0 && !strchr(" \t\n\r\f\v(", *at))) {
            break;
        }
        if (*at == '\0')
            break;
    }
    size_t len = 0;
    while ((at[len] >= 'a' && at[len] <= 'z') || (at[len] >= 'A' && at[len] <= 'Z') || at[len] == '_')
        len++;
    *text = at + len;
    return len ? ox_str_n(at, len) : OX_STR_NULL;
}

static bool
word_is(struct str word, const char *text)
{
    return word.ptr && ox_str_ieq(word, ox_str(text));
}

/* Whether rows of the statement come while it runs, perhaps without end. */
static bool
is_live(const char *query)
{
    const char *at = query;
    struct str first = query_word(&at);
    if (word_is(first, "subscribe"))
        return true;
    if (!word_is(first, "select") && !word_is(first, "with"))
        return false;
    const char *call = strcasestr(at, "subscribe");
    if (!call)
        return false;
    call += strlen("subscribe");
    return call[strspn(call, " \t\n")] == '(';
}

/* Statements that may not, or need not, stand in a transaction of AUTOCOMMIT off. */
static bool
stands_alone(const char *query)
{
    static const char *const txn[] = {"abort", "begin", "start", "commit", "end", "rollback", "vacuum",
        "subscribe", "checkpoint"};
    const char *at = query;
    struct str word = query_word(&at);
    for (size_t i = 0; i < ox_count(txn); i++)
        if (word_is(word, txn[i]))
            return true;
    struct str second = query_word(&at);
    if (word_is(word, "prepare") && word_is(second, "transaction"))
        return true;
    if (word_is(word, "alter") && word_is(second, "system"))
        return true;
    if (word_is(word, "discard") && word_is(second, "all"))
        return true;
    return (word_is(word, "create") || word_is(word, "drop")) &&
           (word_is(second, "database") || word_is(second, "tablespace"));
}

/* Remember a result's outcome in ERROR, SQLSTATE, ROW_COUNT... */
static void
note_outcome(struct shell *sh, const PGresult *result, bool worked)
{
    if (worked) {
        const char *rows = PQcmdTuples((PGresult *)result);
        vars_set(&sh->vars, "ERROR", "false", NULL);
        vars_set(&sh->vars, "SQLSTATE", "00000", NULL);
        vars_set(&sh->vars, "ROW_COUNT", *rows ? rows : "0", NULL);
        return;
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    vars_set(&sh->vars, "ERROR", "true", NULL);
    vars_set(&sh->vars, "SQLSTATE", state ? state : "", NULL);
    vars_set(&sh->vars, "ROW_COUNT", "0", NULL);
    vars_set(&sh->vars, "LAST_ERROR_SQLSTATE", state ? state : "", NULL);
    vars_set(&sh->vars, "LAST_ERROR_MESSAGE", message ? message : "", NULL);
}

void
query_complain(struct shell *sh, const PGresult *result)
{
    const char *text = result ? PQresultErrorMessage(result) : "";
    if (*text == '\0' && sh->conn)
        text = PQerrorMessage(sh->conn);
    if (*text)
        shell_say(sh, text);
}

/* Keeps a failed result for \errverbose. */
static void
keep_error(struct shell *sh, PGresult *result)
{
    PQclear(sh->last_error);
    sh->last_error = result;
}

void
query_notifies(struct shell *sh)
{
    PGnotify *notify;
    if (!sh->conn)
        return;
    while ((notify = PQnotifies(sh->conn))) {
        if (notify->extra[0])
            fprintf(sh->out,
                "Asynchronous notification \"%s\" with payload \"%s\" received from server process "
                "with PID %d.\n",
                notify->relname, notify->extra, notify->be_pid);
        else
            fprintf(sh->out,
                "Asynchronous notification \"%s\" received from server process with PID %d.\n",
                notify->relname, notify->be_pid);
        fflush(sh->out);
        PQfreemem(notify);
    }
}

const struct print_opts *
query_opts(struct shell *sh)
{
    return sh->once.has_print ? &sh->once.print : &sh->print;
}

void
query_once_reset(struct shell *sh)
{
    struct once *once = &sh->once;
    ox_free(once->file);
    ox_free(once->gset);
    for (int i = 0; i < once->param_count; i++)
        ox_free(once->params[i]);
    ox_free(once->params);
    *once = (struct once){0};
}

bool
query_command(struct shell *sh, const char *command)
{
    PGresult *result = PQexec(sh->conn, command);
    bool worked = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!worked)
        query_complain(sh, result);
    PQclear(result);
    return worked;
}

/* SINGLESTEP: false when the person says no. */
static bool
confirm_step(struct shell *sh, const char *query)
{
    fflush(stderr);
    printf("***(Single step mode: verify command)*******************************************\n"
           "%s\n"
           "***(press return to proceed or enter x and return to cancel)********************\n",
        query);
    fflush(stdout);
    char answer[8];
    bool go = !(fgets(answer, sizeof(answer), stdin) && answer[0] == 'x');
    return go && !shell_interrupted;
}

static void
echo_query(struct shell *sh, const char *query)
{
    if (sh->vars.set.echo == ECHO_QUERIES && !sh->once.no_echo) {
        puts(query);
        fflush(stdout);
    }
    if (sh->log) {
        fprintf(sh->log, "********* QUERY **********\n%s\n**************************\n\n", query);
        fflush(sh->log);
    }
}

bool
query_send(struct shell *sh, const char *query)
{
    bool worked = false, point = false;
    double elapsed = 0;
    if (!sh->conn) {
        shell_error(sh, "You are currently not connected to a database.");
        goto done;
    }
    if (sh->vars.set.singlestep && !confirm_step(sh, query))
        goto done;
    echo_query(sh, query);
    shell_cancel_arm(sh->conn);
    PGTransactionStatusType status = PQtransactionStatus(sh->conn);
    if (status == PQTRANS_IDLE && !sh->vars.set.autocommit && !stands_alone(query) &&
        !query_command(sh, "BEGIN"))
        goto done;
    status = PQtransactionStatus(sh->conn);
    int rollback = sh->vars.set.on_error_rollback;
    if (status == PQTRANS_INTRANS &&
        (rollback == ROLLBACK_ON || (rollback == ROLLBACK_INTERACTIVE && sh->interactive))) {
        if (!query_command(sh, "SAVEPOINT oxsql_before_statement"))
            goto done;
        point = true;
    }
    if (sh->once.gdesc)
        worked = describe_only(sh, query, &elapsed);
    else
        worked = run_results(sh, query, &elapsed);
    if (!worked && sh->vars.set.echo == ECHO_ERRORS) {
        struct text text;
        ox_text_init(&text, NULL);
        ox_text_addf(&text, "STATEMENT:  %s\n", query);
        shell_say(sh, text.ptr);
        ox_text_fini(&text);
    }
    if (point && !rollback_point(sh))
        worked = false;
    if (sh->timing)
        print_timing(elapsed);
    if (!conn_alive(sh))
        worked = false;
    else if (PQconsumeInput(sh->conn))
        query_notifies(sh);
    conn_settings(sh);
done:
    shell_cancel_arm(NULL);
    query_once_reset(sh);
    return worked;
}

/* After a statement under ON_ERROR_ROLLBACK. */
static bool
rollback_point(struct shell *sh)
{
    switch (PQtransactionStatus(sh->conn)) {
    case PQTRANS_INERROR:
        return query_command(sh, "ROLLBACK TO oxsql_before_statement");
    case PQTRANS_INTRANS:
        /* the statement may have ended the transaction the savepoint was in */
        return query_command(sh, "RELEASE oxsql_before_statement");
    default:
        return true;
    }
}

FILE *
query_output_open(struct shell *sh, const char *file, bool *is_pipe)
{
    *is_pipe = file[0] == '|';
    fflush(NULL);
    FILE *opened = *is_pipe ? popen(file + 1, "w") : fopen(file, "w");
    if (!opened)
        shell_error(sh, "%s: %s", *is_pipe ? file + 1 : file, strerror(errno));
    else if (*is_pipe)
        print_count_pipes(1);
    return opened;
}

void
query_output_close(FILE *file, bool is_pipe)
{
    if (is_pipe) {
        pclose(file);
        print_count_pipes(-1);
    } else {
        fclose(file);
    }
}

static bool
send_it(struct shell *sh, const char *query)
{
    int sent = sh->once.bind ? PQsendQueryParams(sh->conn, query, sh->once.param_count, NULL,
                                   (const char *const *)sh->once.params, NULL, NULL, 0)
                             : PQsendQuery(sh->conn, query);
    if (!sent)
        query_complain(sh, NULL);
    return sent;
}

/* Prints live rows, then takes the result that ended them as an ordinary one. */
static bool
run_live(struct shell *sh)
{
    PGresult *last = NULL;
    bool canceled = false;
    live_run(sh, &last, &canceled);
    bool worked = last && PQresultStatus(last) != PGRES_FATAL_ERROR;
    note_outcome(sh, last, worked);
    if (!last) {
        query_complain(sh, NULL);
    } else if (!worked && canceled && sh->interactive) {
        PQclear(last);
    } else if (!worked) {
        query_complain(sh, last);
        keep_error(sh, last);
    } else {
        PQclear(last);
    }
    PGresult *rest;
    while ((rest = PQgetResult(sh->conn)))
        PQclear(rest);
    return worked;
}

static bool
run_results(struct shell *sh, const char *query, double *elapsed_ms)
{
    double start = shell_clock_ms();
    bool worked = true;
    if (!send_it(sh, query))
        return false;
    bool plain = !sh->once.gset && !sh->once.gexec;
    bool live = plain && is_live(query);
    if ((live || (sh->vars.set.fetch_count > 0 && plain)) && PQsetSingleRowMode(sh->conn)) {
        worked = run_live(sh);
        *elapsed_ms = shell_clock_ms() - start;
        return worked;
    }
    PGresult *result = PQgetResult(sh->conn);
    *elapsed_ms = shell_clock_ms() - start;
    while (result) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
            PGresult *after = NULL;
            bool local;
            FILE *to = sh->out;
            bool is_pipe = false, opened = false;
            if (status == PGRES_COPY_OUT) {
                if (sh->copy_stream) {
                    to = sh->copy_stream;
                } else if (sh->once.file) {
                    to = query_output_open(sh, sh->once.file, &is_pipe);
                    opened = to != NULL;
                }
                local = copy_out(sh, to, &after);
                sh->once.no_tag = to == sh->out; /* it would stand among the data */
                if (opened)
                    query_output_close(to, is_pipe);
            } else {
                local = copy_in(sh, sh->copy_stream ? sh->copy_stream : sh->in,
                    PQbinaryTuples(result), &after);
            }
            PQclear(result);
            result = after;
            *elapsed_ms = shell_clock_ms() - start;
            if (!local && result && PQresultStatus(result) == PGRES_COMMAND_OK)
                worked = false;
            if (!result)
                break;
        }
        PGresult *next = PQgetResult(sh->conn);
        if (!next)
            *elapsed_ms = shell_clock_ms() - start;
        if (!take_result(sh, &result, next == NULL))
            worked = false;
        PQclear(result);
        result = next;
    }
    return worked;
}

static bool
store_gset(struct shell *sh, const PGresult *result)
{
    if (PQntuples(result) != 1) {
        shell_error(sh, PQntuples(result) < 1 ? "no rows returned for \\gset"
                                              : "more than one row returned for \\gset");
        return false;
    }
    bool worked = true;
    for (int i = 0; i < PQnfields(result); i++) {
        struct text name, why;
        ox_text_init(&name, NULL);
        ox_text_init(&why, NULL);
        ox_text_addf(&name, "%s%s", sh->once.gset, PQfname(result, i));
        const char *steering = NULL;
        for (size_t k = 0; (steering = vars_known(k, NULL)); k++)
            if (strcmp(steering, name.ptr) == 0)
                break;
        if (steering)
            shell_warn(sh, "attempt to \\gset into specially treated variable \"%s\" ignored",
                name.ptr);
        else if (!vars_set(&sh->vars, name.ptr,
                     PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i), &why)) {
            shell_error(sh, "%s", why.ptr);
            worked = false;
        }
        ox_text_fini(&name);
        ox_text_fini(&why);
        if (!worked)
            break;
    }
    return worked;
}

static bool
run_gexec(struct shell *sh, const PGresult *result)
{
    bool worked = true;
    sh->once.gexec = false;
    for (int row = 0; row < PQntuples(result); row++)
        for (int i = 0; i < PQnfields(result); i++) {
            if (PQgetisnull(result, row, i) || shell_interrupted)
                continue;
            const char *query = PQgetvalue(result, row, i);
            if (sh->vars.set.echo == ECHO_ALL && !sh->vars.set.singlestep) {
                puts(query);
                fflush(stdout);
            }
            if (!query_send(sh, query)) {
                worked = false;
                if (sh->vars.set.on_error_stop)
                    return false;
            }
        }
    return worked;
}

static void
print_tag(struct shell *sh, const PGresult *result, FILE *out)
{
    const char *tag = PQcmdStatus((PGresult *)result);
    if (strncmp(tag, "CREATE", 6) == 0 || strncmp(tag, "DROP", 4) == 0 || strncmp(tag, "ALTER", 5) == 0)
        complete_forget(sh);
    if (!sh->vars.set.quiet && !sh->once.no_tag) {
        if (query_opts(sh)->format == FORMAT_HTML)
            fprintf(out, "<p>%s</p>\n", tag);
        else
            fprintf(out, "%s\n", tag);
        fflush(out);
    }
    if (sh->log)
        fprintf(sh->log, "%s\n", tag);
}

static void print_result(struct shell *sh, const PGresult *result, const struct print_opts *opts,
    FILE *out);

static bool
print_rows(struct shell *sh, const PGresult *result)
{
    FILE *out = sh->out;
    bool is_pipe = false;
    if (sh->once.file) {
        out = query_output_open(sh, sh->once.file, &is_pipe);
        if (!out)
            return false;
    }
    print_result(sh, result, query_opts(sh), out);
    const char *tag = PQcmdStatus((PGresult *)result);
    bool wrote = strncmp(tag, "INSERT", 6) == 0 || strncmp(tag, "UPDATE", 6) == 0 ||
                 strncmp(tag, "DELETE", 6) == 0 || strncmp(tag, "UPSERT", 6) == 0;
    if (wrote)
        print_tag(sh, result, out);
    if (out != sh->out)
        query_output_close(out, is_pipe);
    return true;
}

/* Prints or stores one result. *result is set to NULL when it was kept. */
static bool
take_result(struct shell *sh, PGresult **result, bool last)
{
    bool worked = true, shown = last || sh->vars.set.show_all_results;
    switch (PQresultStatus(*result)) {
    case PGRES_TUPLES_OK:
        if (last && sh->once.gset)
            worked = store_gset(sh, *result);
        else if (last && sh->once.gexec) {
            worked = run_gexec(sh, *result);
        } else if (shown) {
            worked = print_rows(sh, *result);
        }
        break;
    case PGRES_COMMAND_OK:
        if (shown)
            print_tag(sh, *result, sh->out);
        break;
    case PGRES_EMPTY_QUERY:
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
        return true;
    default:
        note_outcome(sh, *result, false);
        query_complain(sh, *result);
        keep_error(sh, *result);
        *result = NULL;
        return false;
    }
    if (worked)
        note_outcome(sh, *result, true);
    return worked;
}

struct print_table
query_table(const PGresult *result, struct arena *arena)
{
    size_t columns = (size_t)PQnfields(result), rows = (size_t)PQntuples(result);
    const char **headers = ox_arena_array(arena, const char *, columns + 1);
    const char **cells = ox_arena_array(arena, const char *, columns * rows + 1);
    bool *right = ox_arena_array(arena, bool, columns + 1);
    enum print_kind *kinds = ox_arena_array(arena, enum print_kind, columns + 1);
    for (size_t i = 0; i < columns; i++) {
        headers[i] = PQfname(result, (int)i);
        kinds[i] = print_kind_of(PQftype(result, (int)i));
        right[i] = kinds[i] == KIND_NUMBER;
        for (size_t row = 0; row < rows; row++)
            cells[row * columns + i] = PQgetisnull(result, (int)row, (int)i)
                                           ? NULL
                                           : PQgetvalue(result, (int)row, (int)i);
    }
    return (struct print_table){.columns = columns, .rows = rows, .headers = headers,
        .cells = cells, .right = right, .kinds = kinds};
}

static void
print_result(struct shell *sh, const PGresult *result, const struct print_opts *opts, FILE *out)
{
    struct arena arena;
    ox_arena_init(&arena);
    struct print_table table = query_table(result, &arena);
    print_table(&table, opts, out);
    if (sh->log && out == stdout)
        print_table(&table, opts, sh->log);
    ox_arena_fini(&arena);
}

/* \gdesc: what columns the statement would have. */
static bool
describe_only(struct shell *sh, const char *query, double *elapsed_ms)
{
    double start = shell_clock_ms();
    bool worked = false;
    PGresult *described = NULL, *prepared = PQprepare(sh->conn, "", query, 0, NULL);
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK) {
        query_complain(sh, prepared);
        note_outcome(sh, prepared, false);
        keep_error(sh, prepared);
        return false;
    }
    described = PQdescribePrepared(sh->conn, "");
    *elapsed_ms = shell_clock_ms() - start;
    if (PQresultStatus(described) != PGRES_COMMAND_OK) {
        query_complain(sh, described);
    } else if (PQnfields(described) == 0) {
        fprintf(sh->out, "The command has no result, or the result has no columns.\n");
        worked = true;
    } else {
        struct text text;
        ox_text_init(&text, NULL);
        ox_text_adds(&text, "SELECT name AS \"Column\", pg_catalog.format_type(tp, tpm) AS \"Type\"\n"
                            "FROM (VALUES ");
        for (int i = 0; i < PQnfields(described); i++) {
            char *name = PQescapeLiteral(sh->conn, PQfname(described, i),
                strlen(PQfname(described, i)));
            ox_text_addf(&text, "%s(%s, '%u'::pg_catalog.oid, %d)", i ? ", " : "", name,
                PQftype(described, i), PQfmod(described, i));
            PQfreemem(name);
        }
        ox_text_adds(&text, ") s(name, tp, tpm)");
        PGresult *names = PQexec(sh->conn, text.ptr);
        worked = PQresultStatus(names) == PGRES_TUPLES_OK;
        if (worked)
            print_result(sh, names, query_opts(sh), sh->out);
        else
            query_complain(sh, names);
        PQclear(names);
        ox_text_fini(&text);
    }
    PQclear(described);
    PQclear(prepared);
    return worked;
}

/* Shows a query of ours when asked to; false if it is only to be shown. */
static bool
show_hidden(struct shell *sh, const char *query)
{
    if (sh->vars.set.echo_hidden == HIDDEN_OFF)
        return true;
    printf("********* QUERY **********\n%s\n**************************\n\n", query);
    fflush(stdout);
    if (sh->log)
        fprintf(sh->log, "********* QUERY **********\n%s\n**************************\n\n", query);
    return sh->vars.set.echo_hidden != HIDDEN_NOEXEC;
}

PGresult *
query_hidden(struct shell *sh, const char *query)
{
    if (!sh->conn) {
        shell_error(sh, "You are currently not connected to a database.");
        return NULL;
    }
    if (!show_hidden(sh, query))
        return NULL;
    shell_cancel_arm(sh->conn);
    PGresult *result = PQexec(sh->conn, query);
    shell_cancel_arm(NULL);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    query_complain(sh, result);
    note_outcome(sh, result, false);
    keep_error(sh, result);
    conn_alive(sh);
    return NULL;
}

PGresult *
query_quiet(struct shell *sh, const char *query)
{
    if (!sh->conn || PQtransactionStatus(sh->conn) == PQTRANS_INERROR ||
        PQtransactionStatus(sh->conn) == PQTRANS_ACTIVE)
        return NULL;
    PGresult *result = PQexec(sh->conn, query);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return result;
    PQclear(result);
    return NULL;
}

/* Sleeps in short steps so that Ctrl-C is noticed at once; false when it came. */
static bool
watch_sleep(double seconds)
{
    double until = shell_clock_ms() + seconds * 1e3;
    while (!shell_interrupted) {
        double left = until - shell_clock_ms();
        if (left <= 0)
            return true;
        usleep((useconds_t)(OX_MIN(left, 200.0) * 1e3));
    }
    return false;
}

bool
query_watch(struct shell *sh, const char *query, double seconds)
{
    bool worked = true;
    const char *user_title = query_opts(sh)->title;
    struct print_opts opts = *query_opts(sh);
    opts.pager = 0;
    if (seconds <= 0)
        seconds = 1;
    while (worked && !shell_interrupted) {
        char stamp[128], title[512];
        time_t now = time(NULL);
        strftime(stamp, sizeof(stamp), "%c", localtime(&now));
        snprintf(title, sizeof(title), "%s%s%s (every %gs)\n", user_title ? user_title : "",
            user_title ? "\t" : "", stamp, seconds);
        opts.title = title;
        sh->once.has_print = true;
        sh->once.print = opts;
        worked = query_send(sh, query);
        if (!worked || !watch_sleep(seconds))
            break;
    }
    query_once_reset(sh);
    return worked;
}
