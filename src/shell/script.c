/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop that reads lines, cuts them and runs what is complete. It nests: \i
 * runs a script inside a script, each with its own splitter, statement and
 * conditions; messages name the innermost. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shell/shell.h"

/* What one level of input owns; saved in the parent's frame. */
struct level {
    struct splitter splitter;
    struct text query, previous;
    size_t newline_at; /* where a line end was added to the query; SIZE_MAX none */
    int result;
    int eof_count;
    bool quit;
};

static bool run_line(struct shell *sh, struct level *level, char *line);
static bool run_statement(struct shell *sh, struct level *level);
static void finish_input(struct shell *sh, struct level *level);

bool
script_active(const struct shell *sh)
{
    enum cond_state state = sh->cond ? sh->cond->state : COND_NONE;
    return state == COND_NONE || state == COND_TRUE || state == COND_ELSE_TRUE;
}

static void
cond_clear(struct shell *sh, struct cond *keep)
{
    while (sh->cond && sh->cond != keep) {
        struct cond *top = sh->cond;
        sh->cond = top->outer;
        ox_free(top);
    }
}

static void
warn_recursion(void *arg, struct str name)
{
    shell_warn(arg, "skipping recursive expansion of variable \"%.*s\"", OX_STR_ARG(name));
}

static void
level_init(struct shell *sh, struct level *level)
{
    memset(level, 0, sizeof(*level));
    splitter_init(&level->splitter, shell_lookup, sh);
    level->splitter.recursion = warn_recursion;
    ox_text_init(&level->query, NULL);
    ox_text_init(&level->previous, NULL);
}

static void
level_fini(struct level *level)
{
    splitter_fini(&level->splitter);
    ox_text_fini(&level->query);
    ox_text_fini(&level->previous);
}

static char *
read_line(struct shell *sh)
{
    if (sh->interactive)
        return input_line(sh, prompt_text(sh, sh->prompt));
    return input_file_line(sh->in);
}

/* Ctrl-C at the prompt or in a script. True if reading goes on. */
static bool
interrupted(struct shell *sh, struct level *level, struct cond *outer_cond)
{
    shell_interrupted = 0;
    if (!sh->interactive) {
        level->result = EXIT_SCRIPT;
        return false;
    }
    splitter_reset(&level->splitter);
    ox_text_clear(&level->query);
    cond_clear(sh, outer_cond);
    sh->prompt = PROMPT_READY;
    return true;
}

/* The end of input at the prompt; true if IGNOREEOF holds the shell open. */
static bool
hold_open(struct shell *sh, struct level *level)
{
    level->eof_count++;
    if (sh->interactive && level->eof_count <= sh->vars.set.ignoreeof && sh->in == stdin) {
        if (!sh->vars.set.quiet)
            printf("Use \"\\q\" to leave oxsql.\n");
        clearerr(stdin);
        return true;
    }
    if (sh->interactive)
        puts(sh->vars.set.quiet ? "" : "\\q");
    return false;
}

int
script_run(struct shell *sh, FILE *in, const char *name)
{
    struct shell outer = *sh; /* the fields of the input are put back below */
    struct level level;
    level_init(sh, &level);
    sh->in = in;
    sh->in_name = name;
    sh->interactive = in == stdin && !sh->notty;
    sh->line = 0;
    sh->statement_line = 1;
    sh->splitter = &level.splitter;
    sh->query = &level.query;
    sh->previous = &level.previous;
    sh->prompt = PROMPT_READY;
    while (!level.quit && level.result == EXIT_OK) {
        if (shell_interrupted && !interrupted(sh, &level, outer.cond))
            break;
        fflush(stdout);
        char *line = read_line(sh);
        if (!line) {
            if (shell_interrupted) {
                if (interrupted(sh, &level, outer.cond)) {
                    puts("");
                    clearerr(in);
                    continue;
                }
                break;
            }
            if (hold_open(sh, &level))
                continue;
            break;
        }
        level.eof_count = 0;
        sh->line++;
        run_line(sh, &level, line);
        free(line);
    }
    finish_input(sh, &level);
    if (sh->cond != outer.cond) {
        if (!level.quit && !sh->interactive && level.result == EXIT_OK) {
            shell_error(sh, "reached EOF without finding closing \\endif(s)");
            if (sh->vars.set.on_error_stop)
                level.result = EXIT_SCRIPT;
        }
        cond_clear(sh, outer.cond);
    }
    sh->in = outer.in;
    sh->in_name = outer.in_name;
    sh->interactive = outer.interactive;
    sh->line = outer.line;
    sh->statement_line = outer.statement_line;
    sh->splitter = outer.splitter;
    sh->query = outer.query;
    sh->previous = outer.previous;
    sh->prompt = outer.prompt;
    level_fini(&level);
    return level.result;
}

/* Words that a person may type instead of a command. True if one was. */
static bool
plain_word(struct shell *sh, struct level *level, const char *line)
{
    char word[16];
    if (!sh->interactive || level->query.len > 0 || sh->prompt != PROMPT_READY)
        return false;
    size_t start = strspn(line, " \t"), len = strcspn(line + start, " \t;");
    if (len >= sizeof(word) || line[start + len + strspn(line + start + len, " \t;")] != '\0')
        return false;
    memcpy(word, line + start, len);
    word[len] = '\0';
    if (strcasecmp(word, "quit") == 0 || strcasecmp(word, "exit") == 0) {
        level->quit = true;
        return true;
    }
    if (strcasecmp(word, "help") != 0)
        return false;
    puts("You are using oxsql, the shell of Oxbow.\n"
         "Type:  \\h for help with SQL commands\n"
         "       \\? for help with oxsql commands\n"
         "       \\d to list topics, \\follow TOPIC to watch one\n"
         "       \\g or terminate with semicolon to execute query\n"
         "       \\q to quit");
    return true;
}

/* After a failure: a script may end here. */
static void
note_outcome(struct shell *sh, struct level *level, bool worked)
{
    if (worked)
        return;
    if (!sh->interactive && sh->vars.set.on_error_stop)
        level->result = EXIT_SCRIPT;
    else if (!sh->conn && !sh->interactive)
        level->result = EXIT_BADCONN;
}

static bool
run_statement(struct shell *sh, struct level *level)
{
    if (!script_active(sh)) {
        if (sh->interactive)
            shell_error(sh, "query ignored; use \\endif or Ctrl-C to exit current \\if block");
        level->query.len = OX_MIN(level->query.len, sh->cond->query_len);
        return true;
    }
    bool worked = query_send(sh, level->query.ptr ? level->query.ptr : "");
    ox_text_clear(&level->previous);
    ox_text_add(&level->previous, level->query.ptr ? level->query.ptr : "", level->query.len);
    ox_text_clear(&level->query);
    level->newline_at = SIZE_MAX;
    note_outcome(sh, level, worked);
    sh->statement_line = 1;
    return worked;
}

/* A backslash command stands at the splitter. */
static void
run_backslash(struct shell *sh, struct level *level)
{
    if (level->newline_at != SIZE_MAX && level->query.len == level->newline_at) {
        level->query.len--; /* a line that holds only a command leaves the statement alone */
        level->query.ptr[level->query.len] = '\0';
        level->newline_at = SIZE_MAX;
    }
    enum backslash_result result = backslash_run(sh);
    bool worked = result != BS_ERROR && result != BS_UNKNOWN;
    switch (result) {
    case BS_QUIT:
        level->quit = true;
        return;
    case BS_SEND:
        if (level->query.len == 0)
            ox_text_add(&level->query, level->previous.ptr, level->previous.len);
        if (level->query.len > 0)
            run_statement(sh, level);
        else
            query_once_reset(sh);
        splitter_statement_done(&level->splitter);
        return;
    case BS_NEWEDIT: { /* \e: what was edited is read as if typed */
        char *edited = ox_arena_strndup(&sh->arena, level->query.ptr, level->query.len);
        ox_text_clear(&level->query);
        splitter_reset(&level->splitter);
        splitter_line(&level->splitter, ox_str(edited));
        return;
    }
    default:
        note_outcome(sh, level, worked);
    }
}

static bool
run_line(struct shell *sh, struct level *level, char *line)
{
    if (sh->line == 1 && !sh->interactive && strncmp(line, "\xef\xbb\xbf", 3) == 0)
        memmove(line, line + 3, strlen(line + 3) + 1);
    if (*line == '\0' && level->query.len == 0 && sh->prompt == PROMPT_READY)
        return true;
    if (plain_word(sh, level, line))
        return true;
    if (sh->vars.set.echo == ECHO_ALL && !sh->interactive) {
        puts(line);
        fflush(stdout);
    }
    if (sh->interactive)
        input_remember(sh, line);
    level->newline_at = SIZE_MAX;
    if (level->query.len > 0) {
        ox_text_addc(&level->query, '\n');
        level->newline_at = level->query.len;
    }
    level->splitter.plain_escapes =
        sh->conn && PQparameterStatus(sh->conn, "standard_conforming_strings") &&
        strcmp(PQparameterStatus(sh->conn, "standard_conforming_strings"), "off") == 0;
    splitter_line(&level->splitter, ox_str(line));
    while (!level->quit && level->result == EXIT_OK && !shell_interrupted) {
        size_t before = level->query.len;
        enum split_result found = splitter_next(&level->splitter, &level->query, &sh->prompt);
        if (level->query.len > before && before > 0 && level->newline_at == before)
            level->newline_at = SIZE_MAX;
        if (found == SPLIT_SEMICOLON || (found == SPLIT_END && sh->vars.set.singleline)) {
            run_statement(sh, level);
        } else if (found == SPLIT_BACKSLASH) {
            run_backslash(sh, level);
        } else {
            break;
        }
    }
    return true;
}

/* A script's last statement needs no semicolon. */
static void
finish_input(struct shell *sh, struct level *level)
{
    if (level->query.len == 0 || sh->interactive || level->result != EXIT_OK || level->quit)
        return;
    run_statement(sh, level);
}

bool
script_command(struct shell *sh, const char *text)
{
    if (text[0] != '\\')
        return (sh->vars.set.echo == ECHO_ALL ? (void)puts(text) : (void)0), query_send(sh, text);
    if (sh->vars.set.echo == ECHO_ALL)
        puts(text);
    struct level level;
    level_init(sh, &level);
    sh->splitter = &level.splitter;
    sh->query = &level.query;
    sh->previous = &level.previous;
    splitter_line(&level.splitter, ox_str(text + 1));
    enum backslash_result result = backslash_run(sh);
    bool worked = result != BS_ERROR && result != BS_UNKNOWN;
    sh->splitter = NULL;
    sh->query = sh->previous = NULL;
    level_fini(&level);
    return worked;
}
