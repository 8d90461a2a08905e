/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines from a person (libedit, with history) or from a file. The history file
 * keeps one statement an entry; line ends inside become a control character
 * while it is on disk, as psql does, so that recalled statements stay whole. */
#include "config.h"

#include <editline/readline.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell/shell.h"

static bool editing;
static char *history_path;
static struct text entry; /* lines of the statement being typed */

char *
input_file_line(FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len = getline(&line, &cap, in);
    if (len < 0) {
        free(line);
        return NULL;
    }
    if (len > 0 && line[len - 1] == '\n')
        line[--len] = '\0';
    return line;
}

static void
swap_newlines(char *text, char from, char to)
{
    for (; *text; text++)
        if (*text == from)
            *text = to;
}

static const char *
history_file(struct shell *sh)
{
    const char *named = vars_get(&sh->vars, "HISTFILE"), *home = getenv("HOME");
    if (!named)
        named = getenv("OXSQL_HISTORY");
    ox_free(history_path);
    history_path = NULL;
    if (!named && !home)
        return NULL;
    struct text path;
    ox_text_init(&path, NULL);
    if (named && named[0] == '~' && named[1] == '/' && home)
        ox_text_addf(&path, "%s%s", home, named + 1);
    else if (named)
        ox_text_adds(&path, named);
    else
        ox_text_addf(&path, "%s/.oxsql_history", home);
    history_path = path.ptr;
    return history_path;
}

void
input_open(struct shell *sh)
{
    if (sh->no_readline)
        return;
    editing = true;
    rl_readline_name = "oxsql";
    rl_initialize();
    using_history();
    complete_init(sh);
    const char *file = history_file(sh);
    if (!file)
        return;
    read_history(file);
    history_set_pos(0);
    for (HIST_ENTRY *at = current_history(); at; at = next_history())
        swap_newlines((char *)(uintptr_t)at->line, '\1', '\n');
}

bool
input_save(struct shell *sh, const char *file, bool complain)
{
    if (!editing)
        return false;
    int keep = sh->vars.set.histsize;
    if (keep >= 0)
        stifle_history(keep);
    history_set_pos(0);
    for (HIST_ENTRY *at = current_history(); at; at = next_history())
        swap_newlines((char *)(uintptr_t)at->line, '\n', '\1');
    errno = 0;
    int failed = write_history(file);
    history_set_pos(0);
    for (HIST_ENTRY *at = current_history(); at; at = next_history())
        swap_newlines((char *)(uintptr_t)at->line, '\1', '\n');
    if (failed && errno && complain)
        shell_error(sh, "could not save history to file \"%s\": %s", file, strerror(errno));
    return !failed;
}

static void
entry_flush(struct shell *sh)
{
    int control = sh->vars.set.histcontrol;
    if (!editing || entry.len == 0)
        return;
    HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    bool skip = ((control & HIST_IGNORESPACE) && entry.ptr[0] == ' ') ||
                ((control & HIST_IGNOREDUPS) && last && strcmp(last->line, entry.ptr) == 0);
    if (!skip)
        add_history(entry.ptr);
    ox_text_clear(&entry);
}

void
input_close(struct shell *sh)
{
    entry_flush(sh);
    const char *file = history_file(sh);
    if (editing && file && sh->vars.set.histsize != 0)
        input_save(sh, file, true);
    ox_text_fini(&entry);
    ox_free(history_path);
    history_path = NULL;
}

/* A line was typed: it joins the entry of its statement. */
void
input_remember(struct shell *sh, const char *line)
{
    if (sh->prompt == PROMPT_READY)
        entry_flush(sh);
    if (entry.len > 0)
        ox_text_addc(&entry, '\n');
    ox_text_adds(&entry, line);
}

void
input_print_history(struct shell *sh, FILE *out)
{
    entry_flush(sh);
    if (!editing)
        return;
    for (int i = 0; i < history_length; i++) {
        HIST_ENTRY *at = history_get(history_base + i);
        if (at)
            fprintf(out, "%s\n", at->line);
    }
}

char *
input_line(struct shell *sh, const char *prompt)
{
    if (!editing) {
        fputs(prompt, stdout);
        fflush(stdout);
        return input_file_line(sh->in);
    }
    if (sh->prompt == PROMPT_READY)
        entry_flush(sh);
    char *line = readline(prompt);
    shell_signals(); /* libedit puts its own handlers in place meanwhile */
    return line;
}
