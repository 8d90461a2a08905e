/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner: text to tokens, by PostgreSQL's lexical rules. */
#ifndef SQL_SCAN_H
#define SQL_SCAN_H

#include "sql/ast.h"

struct sql_keyword {
    const char *word;
    int token;
    char kind; /* 'f'ree, 'a'part, 'r'eserved */
};
extern const struct sql_keyword sql_keywords[]; /* sorted */
extern const int sql_keyword_count;

/* NULL: word (in lower case) is no keyword. */
const struct sql_keyword *sql_keyword_find(struct str word);

struct sql_scan {
    const char *start;  /* NUL-terminated, valid UTF-8 without NUL */
    const char *cursor;
    const char *end;    /* the NUL */
    struct ast_parse *parse; /* for its arena and failures */
    int depth;          /* of parentheses and brackets */
};

void sql_scan_init(struct sql_scan *scan, struct ast_parse *parse);
/* The next token's code, 0 at the end, -1 on failure (told to the parse). No
 * look-ahead tokens: sql_scan_next alone knows one token at a time. */
int sql_scan_next(struct sql_scan *scan, struct ast_token *out);

#endif
