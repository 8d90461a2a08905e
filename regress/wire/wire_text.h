/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages as text, both ways, for wire.c; its syntax stands there. One thread;
 * what is wrong ends the program with the script's line. */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

#include "base/arena.h"
#include "base/msg.h"

extern struct arena text_arena;  /* of one line */
extern const char *text_at;      /* in the text being parsed */
extern int text_line;

void text_init(void);
void text_fini(void);
_Noreturn void text_bad(const char *what);
/* Fields that are printed as * from now on. */
void text_hide(char *names);
/* Fields of ids: printed is which of the values so far it is. */
void text_number(char *names);

void text_blanks(void);
/* "{name: value, ...}" at text_at into a struct of that shape. */
void text_parse(const struct msg_struct *st, char *to);
void text_print(const struct msg_struct *st, const char *from, int version, struct text *out);
/* What a row looks like when it is printed; rows are sorted by that. NULL: as it is. */
extern char *(*text_shown)(char *row);
void text_print_value(const struct msg_field *field, bool in_array, const void *from, int version,
    struct text *out);

#endif
