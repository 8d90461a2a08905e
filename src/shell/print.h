/* SPDX-License-Identifier: Apache-2.0
 *
 * Result tables on paper: aligned, wrapped, unaligned, csv, json, html, each
 * also expanded (a line a column). The layout is psql's, to the byte, where
 * psql has the format. */
#ifndef SHELL_PRINT_H
#define SHELL_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/str.h"

enum print_format {
    FORMAT_ALIGNED,
    FORMAT_CSV,
    FORMAT_HTML,
    FORMAT_JSON,
    FORMAT_JSONL,
    FORMAT_UNALIGNED,
    FORMAT_WRAPPED,
    FORMAT_COUNT
};

enum print_expanded { EXPANDED_OFF, EXPANDED_ON, EXPANDED_AUTO };

/* What \pset sets. Texts are owned by whoever fills it. */
struct print_opts {
    enum print_format format;
    enum print_expanded expanded;
    int border;
    bool unicode;
    bool tuples_only;
    bool footer;            /* "(n rows)" */
    int pager;              /* 0 never, 1 when needed, 2 always */
    int pager_min_lines;
    int columns;            /* target width, 0: the terminal's */
    int encoding;           /* libpq's number */
    const char *null;       /* shown for null */
    const char *fieldsep;   /* unaligned */
    const char *recordsep;
    bool fieldsep_zero, recordsep_zero;
    char csv_sep;
    const char *title;      /* NULL: none */
    const char *tableattr;  /* html, NULL: none */
    const char *(*env)(const char *name); /* getenv; a seam for tests */
};

enum print_kind { KIND_TEXT, KIND_NUMBER, KIND_BOOL, KIND_JSON }; /* for json output */

/* A table, or a piece of one when rows are printed as they come. Borrows everything. */
struct print_table {
    size_t columns, rows;
    const char *const *headers;
    const char *const *cells; /* row by row; NULL is null */
    const bool *right;        /* columns to align right; NULL: none */
    const enum print_kind *kinds; /* NULL: all text */
    const char *title;        /* overrides opts->title when not NULL */
    const char *const *footers; /* NULL-terminated, in place of the row count; NULL: row count */
    bool more_before, more_after; /* a middle piece: no header, no footer */
    size_t rows_before;       /* printed in earlier pieces */
};

void print_opts_init(struct print_opts *opts);
/* Print to out. Only stdout on a terminal goes through the pager. */
void print_table(const struct print_table *table, const struct print_opts *opts, FILE *out);
const char *print_format_name(enum print_format format);

/* Fixed-width rows of a result whose end is not known: widths come from the rows at hand and
 * only grow. */
struct print_live {
    size_t columns;
    int *widths;
    bool started;
};
void print_live_rows(struct print_live *live, const struct print_table *table,
    const struct print_opts *opts, FILE *out);
void print_live_end(struct print_live *live, const struct print_opts *opts, FILE *out, size_t rows);
void print_live_fini(struct print_live *live);

/* One column kind from a type oid, for alignment and json. */
enum print_kind print_kind_of(unsigned type_oid);

/* --- inside of print*.c --- */

struct cell_line {
    const char *ptr;
    size_t len;
    int width;
};

struct cell {
    struct cell_line *lines;
    size_t count;
    int width; /* of the widest line */
};

/* Width and number of lines a text takes; control characters are spelled out. */
void cell_measure(const char *text, int encoding, int *width, size_t *lines);
/* The same, as lines in the arena. */
struct cell cell_format(struct arena *arena, const char *text, int encoding);
/* How many bytes of ptr fit in *width columns, at least one character; *width receives the
 * columns taken. */
size_t cell_fit(const char *ptr, size_t len, int encoding, int *width);

const char *print_cell(const struct print_table *table, const struct print_opts *opts, size_t row,
    size_t column);
const char *print_title(const struct print_table *table, const struct print_opts *opts);
bool print_right(const struct print_table *table, size_t column);
/* Appends what stands below the table, one line each; false if nothing. */
bool print_footers(const struct print_table *table, const struct print_opts *opts, bool with_count,
    struct text *out);
void print_spaces(struct text *out, int count);
void print_flush(struct text *out, FILE *file);
/* Columns of the paper, 0 if it has none (not a terminal and not asked for). */
int print_paper_width(const struct print_opts *opts, FILE *out);
/* One pipe more (1) or less (-1) that is written to: while there is one, a reader that ends
 * does not end the shell. */
void print_count_pipes(int change);
/* Opens a pager for `lines` lines when out is a terminal and that is too much for it; else gives
 * back out itself. */
FILE *print_pager_open(const struct print_opts *opts, FILE *out, size_t lines, bool too_wide);
void print_pager_close(FILE *pager, FILE *out);

void print_aligned(const struct print_table *table, const struct print_opts *opts, FILE *out);
void print_expanded_aligned(const struct print_table *table, const struct print_opts *opts,
    FILE *out);
void print_json(const struct print_table *table, const struct print_opts *opts, FILE *out);
void print_html(const struct print_table *table, const struct print_opts *opts, FILE *out);

/* Rules and marks of a line style. */
struct print_rule {
    const char *dash, *left, *middle, *right;
};
struct print_style {
    struct print_rule top, between, bottom;
    const char *bar;         /* between columns */
    const char *newline;     /* the cell goes on below */
    const char *wrap_left, *wrap_right;
};
const struct print_style *print_style(const struct print_opts *opts);

#endif
