/* SPDX-License-Identifier: Apache-2.0
 *
 * Shell variables: what \set sets and :name reads. A few names steer the shell;
 * each of those is a row of a table in vars.c, is checked when it is set, and
 * lands as a typed value in struct settings. */
#ifndef SHELL_VARS_H
#define SHELL_VARS_H

#include <stdbool.h>

#include "base/map.h"
#include "base/str.h"

enum echo_mode { ECHO_NONE, ECHO_ERRORS, ECHO_QUERIES, ECHO_ALL };
enum hidden_mode { HIDDEN_ON, HIDDEN_OFF, HIDDEN_NOEXEC };
enum rollback_mode { ROLLBACK_ON, ROLLBACK_OFF, ROLLBACK_INTERACTIVE };
enum verbosity { VERBOSITY_DEFAULT, VERBOSITY_VERBOSE, VERBOSITY_TERSE, VERBOSITY_SQLSTATE };
enum context_mode { CONTEXT_NEVER, CONTEXT_ERRORS, CONTEXT_ALWAYS };
enum comp_case { COMP_LOWER, COMP_UPPER, COMP_PRESERVE_LOWER, COMP_PRESERVE_UPPER };
enum hist_control { HIST_ALL = 0, HIST_IGNORESPACE = 1, HIST_IGNOREDUPS = 2, HIST_IGNOREBOTH = 3 };

/* The steering variables, typed. Booleans are int so that one table serves all. */
struct settings {
    int autocommit, on_error_stop, quiet, singleline, singlestep, show_all_results;
    int fetch_count, histsize, ignoreeof;
    int echo, echo_hidden, on_error_rollback, verbosity, show_context, comp_case, histcontrol;
    const char *prompt1, *prompt2, *prompt3;
};

struct vars {
    struct map map; /* name -> char *value, owned */
    struct settings set;
    /* Called after a steering variable changed, so that libpq can be told. May be NULL. */
    void (*changed)(void *arg, const char *name);
    void *arg;
};

/* Steering variables get their defaults. */
void vars_init(struct vars *vars);
void vars_fini(struct vars *vars);

/* The value, borrowed until the variable changes; NULL if not set. */
const char *vars_get(const struct vars *vars, const char *name);
const char *vars_get_str(const struct vars *vars, struct str name);

/* Set (value not NULL) or unset. On a bad name or value nothing changes, `why` (which may be
 * NULL) receives the complaint and the answer is false. Unsetting a steering variable gives
 * it its default. */
bool vars_set(struct vars *vars, const char *name, const char *value, struct text *why);

/* Whether a name may be a variable's: letters, digits, underscores, bytes above 127. */
bool vars_name_ok(struct str name);

/* Names in byte order, for \set without arguments and completion. Gives the array (of borrowed
 * strings), which the caller frees with ox_free; count receives its length. */
const char **vars_names(const struct vars *vars, size_t *count);

/* on/off/true/false/yes/no/1/0 and unambiguous prefixes, any case. */
bool vars_parse_bool(const char *text, bool *out);

/* The values that a steering variable may take, NULL-terminated, or NULL. For completion. */
const char *const *vars_choices(const char *name);
/* Names of the steering variables, NULL-terminated; doc receives a line about each. */
const char *vars_known(size_t index, const char **doc);

#endif
