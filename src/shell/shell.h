/* SPDX-License-Identifier: Apache-2.0
 *
 * oxsql, the interactive shell. One struct shell is the whole session: its
 * connection, variables, output settings and input. Everything runs on one
 * thread; the only thing a signal handler does is to set shell_interrupted and
 * to send a cancel request for the statement under way. */
#ifndef SHELL_SHELL_H
#define SHELL_SHELL_H

#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/str.h"
#include "shell/print.h"
#include "shell/splitter.h"
#include "shell/vars.h"

/* Exit codes, as psql's. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_BADCONN = 2, EXIT_SCRIPT = 3 };

/* One \if that is open. */
enum cond_state { COND_NONE, COND_TRUE, COND_FALSE, COND_IGNORED, COND_ELSE_TRUE, COND_ELSE_FALSE };
struct cond {
    enum cond_state state;
    size_t query_len; /* of the statement when the branch began */
    int parens;
    struct cond *outer;
};

/* What \g, \gx, \gset, \bind ... ask of the next statement only. */
struct once {
    char *file;      /* \g FILE or |COMMAND */
    bool has_print;  /* print replaces the session's settings */
    struct print_opts print;
    char *gset;      /* prefix, "" none; NULL: not \gset */
    bool gdesc, gexec;
    bool bind;
    char **params;
    int param_count;
    bool no_echo;    /* a statement of ours, not the user's */
    bool no_tag;     /* COPY data just went where the tag would go */
};

struct shell {
    const char *program;
    PGconn *conn; /* NULL: not connected */
    PGconn *dead; /* the one that was lost: \c takes from it where to go */
    bool oxbow; /* the server is Oxbow, not PostgreSQL */
    struct vars vars;
    struct print_opts print;
    bool timing;
    struct once once;

    FILE *out; /* \o; stdout otherwise */
    bool out_pipe;
    FILE *log;

    /* The input being read; saved and restored around \i. */
    FILE *in;
    const char *in_name; /* prefix of messages; NULL: none */
    unsigned long line, statement_line;
    bool interactive; /* lines of `in` come from a person */
    bool notty;       /* standard input or output is no terminal */
    bool no_readline;
    enum split_prompt prompt;

    struct splitter *splitter; /* of the innermost script */
    struct text *query;        /* the statement being collected */
    struct text *previous;     /* the last one sent, for \g \p \e \watch on nothing */
    struct cond *cond;

    FILE *copy_stream; /* data for the COPY under way, when not `in`/`out` */
    PGresult *last_error;

    enum { PASSWORD_AUTO, PASSWORD_NEVER, PASSWORD_ALWAYS } password;
    bool single_txn;

    struct arena session; /* lives as long as the shell: texts of \pset */
    struct arena arena;   /* of one backslash command */
    struct completion *completion;
};

extern volatile sig_atomic_t shell_interrupted;

/* --- shell_say.c --- */

/* A complaint on stderr, with file and line when a script is read. */
void shell_error(struct shell *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void shell_warn(struct shell *sh, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What a server said; already worded. */
void shell_say(struct shell *sh, const char *text);
/* From here SIGINT cancels the statement of this connection; NULL: only sets the flag. */
void shell_cancel_arm(PGconn *conn);
void shell_signals(void);

/* --- shell_conn.c --- */

struct conn_wish { /* NULL: default */
    const char *dbname, *host, *port, *user;
};
/* Connects as wished and installs the connection; complains and returns false otherwise. */
bool conn_open(struct shell *sh, const struct conn_wish *wish);
/* \c: as conn_open, with what is not wished taken from the connection at hand; keeps that one
 * on failure when interactive. */
bool conn_switch(struct shell *sh, const struct conn_wish *wish);
/* After a failed statement: false if the connection is gone for good. */
bool conn_alive(struct shell *sh);
void conn_variables(struct shell *sh);
void conn_settings(struct shell *sh);
bool conn_info_print(struct shell *sh);
void conn_banner(struct shell *sh);

/* --- query.c --- */

/* Send a statement of the user's and print what comes back. True if all of it worked. */
bool query_send(struct shell *sh, const char *query);
/* A query of the shell's own: result, or NULL after a complaint. Shown under ECHO_HIDDEN. */
PGresult *query_hidden(struct shell *sh, const char *query);
/* The same without any message, for completion. */
PGresult *query_quiet(struct shell *sh, const char *query);
/* Run again and again every `seconds` until interrupted. */
bool query_watch(struct shell *sh, const char *query, double seconds);
/* Settings of the next statement's result. */
const struct print_opts *query_opts(struct shell *sh);
void query_once_reset(struct shell *sh);
/* The word that starts at or after text, comments skipped; ptr NULL if none. */
struct str query_word(const char **text);
/* Complains with the message of a failed result (or of the connection). */
void query_complain(struct shell *sh, const PGresult *result);
/* A statement that gives no rows. False: it failed, and the person was told. */
bool query_command(struct shell *sh, const char *command);
/* Headers, cells and alignment of a result as the printer wants them: in the arena, the
 * texts are the result's. */
struct print_table query_table(const PGresult *result, struct arena *arena);
FILE *query_output_open(struct shell *sh, const char *file, bool *pipe);
void query_output_close(FILE *file, bool pipe);
double shell_clock_ms(void);
/* Prints notifications that were already read from the connection; reads nothing, so that whoever
 * polls misses nothing. */
void query_notifies(struct shell *sh);

/* --- query_live.c --- */

/* Prints the rows of a statement already sent in single-row mode as they come; *last receives
 * the result that ended it. Returns the number of rows. */
size_t live_run(struct shell *sh, PGresult **last, bool *canceled);
/* \follow: rows of a topic from its last n on. */
bool live_follow(struct shell *sh, const char *topic, long last);

/* --- shell_copy.c --- */

/* Moves the data of a COPY under way; false if the local side failed. *result receives the
 * result that follows. */
bool copy_in(struct shell *sh, FILE *from, bool binary, PGresult **result);
bool copy_out(struct shell *sh, FILE *to, PGresult **result);
bool copy_command(struct shell *sh, const char *args); /* \copy */

/* --- script.c --- */

int script_run(struct shell *sh, FILE *in, const char *name);
/* A -c string: one backslash command or SQL. */
bool script_command(struct shell *sh, const char *text);
bool script_active(const struct shell *sh);

/* --- backslash.c --- */

enum backslash_result { BS_OK, BS_SEND, BS_NEWEDIT, BS_ERROR, BS_QUIT, BS_UNKNOWN };
enum backslash_result backslash_run(struct shell *sh);
const char *const *backslash_names(void); /* for completion, with the backslash */

/* --- backslash_args.c --- */

enum arg_kind { ARG_PLAIN, ARG_IDENT, ARG_IDENT_KEEP, ARG_FILEPIPE, ARG_LINE };
/* The next argument of the command at hand, in sh->arena; NULL if there is none. quoted (may be
 * NULL) receives the quote it began with, 0 none. A trailing ';' goes when strip is set. */
char *arg_next(struct shell *sh, enum arg_kind kind, bool strip, char *quoted);
void arg_skip_rest(struct shell *sh);
/* Variable text for splitter_variable(). */
char *shell_lookup(void *arg, struct str name, enum split_quote quote);

/* --- pset.c --- */

bool pset_set(struct shell *sh, struct print_opts *opts, const char *name, const char *value,
    bool quiet);
void pset_show_all(struct shell *sh);
const char *const *pset_names(void); /* NULL-terminated */

/* --- describe.c --- */

/* \d...: name is the command without backslash. BS_UNKNOWN if it is none. */
enum backslash_result describe_run(struct shell *sh, const char *name);
/* Ours: \tail \lag \config \peek \groups. */
bool describe_lag(struct shell *sh, const char *group);
bool describe_groups(struct shell *sh, const char *pattern, bool verbose);
bool describe_config(struct shell *sh, const char *topic);
bool describe_tail(struct shell *sh, const char *topic, long count);
bool describe_peek(struct shell *sh, const char *topic, long partition, long offset);
/* Prints the rows of a query of ours under a title. */
bool describe_query(struct shell *sh, const char *query, const char *title);
char *describe_ident(struct arena *arena, const char *name);   /* "quoted" if needed */
char *describe_literal(struct arena *arena, const char *text); /* 'quoted' */

/* --- shell_help.c --- */

void help_usage(FILE *out);
void help_commands(struct shell *sh);
void help_variables(struct shell *sh);
void help_sql(struct shell *sh, const char *topic);
struct help_page {
    const char *name, *summary, *synopsis;
};
extern const struct help_page help_pages[]; /* generated; ends with name NULL */

/* --- input.c, prompt.c, complete.c --- */

void input_open(struct shell *sh); /* line editor and history */
void input_close(struct shell *sh);
/* A line without its newline, NULL at the end or when interrupted. Heap memory. */
char *input_line(struct shell *sh, const char *prompt);
char *input_file_line(FILE *in);
void input_remember(struct shell *sh, const char *entry);
bool input_save(struct shell *sh, const char *file, bool complain);
void input_print_history(struct shell *sh, FILE *out);
const char *prompt_text(struct shell *sh, enum split_prompt status);
void complete_init(struct shell *sh);
void complete_forget(struct shell *sh); /* after \c: what was cached is another server's */

#endif
