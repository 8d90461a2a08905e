/* SPDX-License-Identifier: Apache-2.0
 *
 * COPY data between the connection and files, terminals, programs; and \copy,
 * which is COPY with its file on this side. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell/shell.h"

/* Rows of COPY ... TO STDOUT, flushed whenever the server has nothing more at hand. */
bool
copy_out(struct shell *sh, FILE *to, PGresult **result)
{
    bool worked = true;
    for (;;) {
        char *row = NULL;
        int len = PQgetCopyData(sh->conn, &row, 1);
        if (len > 0) {
            if (worked && to && fwrite(row, 1, (size_t)len, to) != (size_t)len) {
                shell_error(sh, "could not write COPY data: %s", strerror(errno));
                worked = false;
            }
            PQfreemem(row);
            continue;
        }
        if (len < 0)
            break;
        if (to)
            fflush(to);
        struct pollfd fd = {.fd = PQsocket(sh->conn), .events = POLLIN};
        poll(&fd, 1, -1);
        if (!PQconsumeInput(sh->conn))
            break;
    }
    if (worked && to && fflush(to) != 0) {
        shell_error(sh, "could not write COPY data: %s", strerror(errno));
        worked = false;
    }
    *result = PQgetResult(sh->conn);
    return worked;
}

/* Lines from a person or a script, up to "\." or the end. */
static bool
send_lines(struct shell *sh, FILE *from)
{
    bool person = from == stdin && isatty(STDIN_FILENO) && sh->interactive;
    if (person && !sh->vars.set.quiet)
        puts("Enter data to be copied followed by a newline.\n"
             "End with a backslash and a period on a line by itself, or an EOF signal.");
    struct text batch;
    bool worked = true, ended = false;
    char *line = NULL;
    size_t cap = 0;
    ox_text_init(&batch, NULL);
    while (worked && !ended && !shell_interrupted) {
        if (person) {
            fputs(prompt_text(sh, (enum split_prompt)'>'), stdout);
            fflush(stdout);
        }
        ssize_t len = getline(&line, &cap, from);
        if (len < 0)
            break;
        if (from == sh->in)
            sh->line++;
        ended = strcmp(line, "\\.\n") == 0 || strcmp(line, "\\.\r\n") == 0 ||
                strcmp(line, "\\.") == 0;
        if (ended)
            break;
        ox_text_add(&batch, line, (size_t)len);
        if (person || batch.len > 65536) {
            worked = PQputCopyData(sh->conn, batch.ptr, (int)batch.len) > 0;
            ox_text_clear(&batch);
        }
    }
    if (worked && batch.len > 0)
        worked = PQputCopyData(sh->conn, batch.ptr, (int)batch.len) > 0;
    if (person)
        clearerr(stdin);
    free(line);
    ox_text_fini(&batch);
    return worked && !shell_interrupted;
}

static bool
send_bytes(struct shell *sh, FILE *from)
{
    char block[65536];
    size_t len;
    while ((len = fread(block, 1, sizeof(block), from)) > 0)
        if (PQputCopyData(sh->conn, block, (int)len) <= 0 || shell_interrupted)
            return false;
    return !ferror(from);
}

bool
copy_in(struct shell *sh, FILE *from, bool binary, PGresult **result)
{
    bool worked = from && (binary ? send_bytes(sh, from) : send_lines(sh, from));
    const char *why = shell_interrupted ? "canceled by user" : worked ? NULL : "could not read data";
    if (from && ferror(from)) {
        why = strerror(errno);
        worked = false;
    }
    if (PQputCopyEnd(sh->conn, why) <= 0)
        worked = false;
    *result = PQgetResult(sh->conn);
    if (PQresultStatus(*result) == PGRES_FATAL_ERROR)
        worked = false;
    return worked;
}

/* What follows \copy, cut up. Texts are in sh->arena. */
struct copy_parts {
    const char *before; /* relation or (query), columns */
    const char *file;   /* NULL: the stream named by pstream or stdin/stdout */
    const char *after;  /* options */
    bool from, program, session_stream;
};

/* One token: a word, a quoted string, a parenthesised run. */
static struct str
copy_token(const char **text)
{
    const char *at = *text + strspn(*text, " \t\n\r");
    size_t len = 0;
    int depth = 0;
    if (*at == '\0')
        return OX_STR_NULL;
    do {
        if (at[len] == '\'' || at[len] == '"') {
            char quote = at[len++];
            while (at[len] && at[len] != quote)
                len++;
            if (at[len])
                len++;
        } else {
            depth += at[len] == '(';
            depth -= at[len] == ')';
            len++;
        }
    } while (at[len] && (depth > 0 || !isspace((unsigned char)at[len])));
    *text = at + len;
    return ox_str_n(at, len);
}

static bool
copy_parse(struct shell *sh, const char *args, struct copy_parts *parts)
{
    const char *at = args, *start = args + strspn(args, " \t");
    *parts = (struct copy_parts){0};
    struct str token, direction = OX_STR_NULL;
    for (;;) {
        token = copy_token(&at);
        if (!token.ptr)
            return false;
        if (token.ptr != start && (ox_str_ieq(token, OX_STR("from")) || ox_str_ieq(token, OX_STR("to"))))
            break;
    }
    direction = token;
    parts->from = ox_str_ieq(direction, OX_STR("from"));
    parts->before = ox_arena_strndup(&sh->arena, start, (size_t)(direction.ptr - start));
    token = copy_token(&at);
    if (!token.ptr)
        return false;
    if (ox_str_ieq(token, OX_STR("program"))) {
        parts->program = true;
        token = copy_token(&at);
        if (!token.ptr || token.ptr[0] != '\'')
            return false;
    }
    if (token.ptr[0] == '\'') {
        if (token.len < 2 || token.ptr[token.len - 1] != '\'')
            return false; /* it does not end */
        char *file = ox_arena_strndup(&sh->arena, token.ptr + 1, token.len - 2), *to = file;
        for (char *c = file; *c; c++) { /* doubled quotes stand for one */
            if (c[0] == '\'' && c[1] == '\'')
                c++;
            *to++ = *c;
        }
        *to = '\0';
        parts->file = file;
    } else if (ox_str_ieq(token, OX_STR("pstdin")) || ox_str_ieq(token, OX_STR("pstdout"))) {
        parts->file = NULL;
    } else if (ox_str_ieq(token, OX_STR("stdin")) || ox_str_ieq(token, OX_STR("stdout"))) {
        parts->session_stream = true;
    } else {
        parts->file = ox_arena_strndup(&sh->arena, token.ptr, token.len);
    }
    parts->after = at + strspn(at, " \t");
    return true;
}

static FILE *
copy_open(struct shell *sh, const struct copy_parts *parts)
{
    FILE *stream;
    if (parts->session_stream)
        return parts->from ? sh->in : sh->out;
    if (!parts->file)
        return parts->from ? stdin : stdout;
    fflush(NULL);
    if (parts->program) {
        stream = popen(parts->file, parts->from ? "r" : "w");
        print_count_pipes(stream != NULL);
    } else {
        struct stat facts;
        stream = fopen(parts->file, parts->from ? "r" : "w");
        if (stream && fstat(fileno(stream), &facts) == 0 && S_ISDIR(facts.st_mode)) {
            fclose(stream);
            shell_error(sh, "%s: cannot copy from/to a directory", parts->file);
            return NULL;
        }
    }
    if (!stream)
        shell_error(sh, "%s: %s", parts->file, strerror(errno));
    return stream;
}

bool
copy_command(struct shell *sh, const char *args)
{
    struct copy_parts parts;
    struct text query;
    if (!args || !*args) {
        shell_error(sh, "\\copy: arguments required");
        return false;
    }
    if (!copy_parse(sh, args, &parts)) {
        shell_error(sh, "\\copy: parse error at end of line");
        return false;
    }
    FILE *stream = copy_open(sh, &parts);
    if (!stream)
        return false;
    ox_text_init(&query, NULL);
    ox_text_addf(&query, "COPY %s %s %s", parts.before, parts.from ? "FROM STDIN" : "TO STDOUT",
        parts.after);
    sh->copy_stream = stream;
    bool worked = query_send(sh, query.ptr);
    sh->copy_stream = NULL;
    if (parts.program) {
        worked = pclose(stream) == 0 && worked;
        print_count_pipes(-1);
    } else if (parts.file && fclose(stream) != 0) {
        worked = false;
    }
    ox_text_fini(&query);
    return worked;
}
