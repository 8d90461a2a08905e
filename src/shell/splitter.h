/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts lines of input into statements and backslash commands, and expands
 * :variables on the way. Knows quotes, escapes, dollar quotes, nested comments,
 * parentheses and the bodies of CREATE FUNCTION ... BEGIN ATOMIC; knows no SQL. */
#ifndef SHELL_SPLITTER_H
#define SHELL_SPLITTER_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

enum split_result {
    SPLIT_SEMICOLON, /* the statement in `query` is complete */
    SPLIT_BACKSLASH, /* a command stands at splitter_rest() */
    SPLIT_PARTIAL,   /* line used up, inside of something or with nothing collected */
    SPLIT_END,       /* line used up, the statement might go on */
};

/* What the next line continues: %R of the prompt. */
enum split_prompt {
    PROMPT_READY = '=',
    PROMPT_CONTINUE = '-',
    PROMPT_COMMENT = '*',
    PROMPT_SINGLE = '\'',
    PROMPT_DOUBLE = '"',
    PROMPT_DOLLAR = '$',
    PROMPT_PAREN = '(',
};

enum split_quote { QUOTE_SHELL, QUOTE_LITERAL, QUOTE_IDENT };

/* Gives the text to put in place of a variable, in heap memory that the splitter frees;
 * NULL: no such variable, the reference stays as it is. */
typedef char *(*split_lookup_fn)(void *arg, struct str name, enum split_quote quote);

struct split_guard { /* an expansion that is being read; it may not expand itself */
    char *name;
    size_t end;
    struct split_guard *next;
};

struct splitter {
    split_lookup_fn lookup;
    void (*recursion)(void *arg, struct str name); /* told of a variable that expands itself; or NULL */
    void *arg;
    bool plain_escapes; /* standard_conforming_strings is off: '' has backslash escapes */

    struct text line; /* the line, expansions spliced in */
    size_t pos;
    struct split_guard *guards;

    enum { SPLIT_SQL, SPLIT_QUOTE, SPLIT_ESCAPE, SPLIT_IDENT, SPLIT_DOLLAR, SPLIT_COMMENT } state;
    int parens, comments, begins;
    char *dollar; /* the tag being looked for, with both dollars */
    int words;    /* identifiers of this statement so far, counting stops at 5 */
    char heads[4];
};

void splitter_init(struct splitter *sp, split_lookup_fn lookup, void *arg);
void splitter_fini(struct splitter *sp);
/* Forget the statement under way and what is left of the line. */
void splitter_reset(struct splitter *sp);
/* The statement was sent by a command: forget its open parentheses. */
void splitter_statement_done(struct splitter *sp);
/* Start a line; what was left of the one before is dropped. No newline at its end. */
void splitter_line(struct splitter *sp, struct str line);
/* Go on to the next border, appending SQL to query. */
enum split_result splitter_next(struct splitter *sp, struct text *query, enum split_prompt *prompt);

/* For SPLIT_BACKSLASH: the unread part of the line, behind the backslash. */
struct str splitter_rest(const struct splitter *sp);
void splitter_skip(struct splitter *sp, size_t len);

/* At a ':' in text: the value of the variable reference there and its length in *used; NULL if
 * there is none (the colon stands for itself). Gives heap memory. */
char *splitter_variable(struct str text, split_lookup_fn lookup, void *arg, size_t *used,
    struct str *name);

#endif
