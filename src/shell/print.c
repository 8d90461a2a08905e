/* SPDX-License-Identifier: Apache-2.0
 *
 * Which format prints a table; the formats that need no layout; paper and
 * pager. */
#include "config.h"

#include "shell/print.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"

static void print_unaligned(const struct print_table *table, const struct print_opts *opts,
    FILE *out);
static void print_csv(const struct print_table *table, const struct print_opts *opts, FILE *out);

static const char *
environment(const char *name)
{
    return getenv(name);
}

void
print_opts_init(struct print_opts *opts)
{
    *opts = (struct print_opts){
        .format = FORMAT_ALIGNED,
        .border = 1,
        .footer = true,
        .pager = 1,
        .encoding = 6, /* UTF8 */
        .null = "",
        .fieldsep = "|",
        .recordsep = "\n",
        .csv_sep = ',',
        .env = environment,
    };
}

const char *
print_format_name(enum print_format format)
{
    static const char *const names[FORMAT_COUNT] = {
        "aligned", "csv", "html", "json", "jsonl", "unaligned", "wrapped"};
    return names[format];
}

void
print_table(const struct print_table *table, const struct print_opts *opts, FILE *out)
{
    struct print_opts framed = *opts;
    if (opts->format != FORMAT_HTML && opts->border > 2) { /* there is no wider frame than 2 */
        framed.border = 2;
        opts = &framed;
    }
    switch (opts->format) {
    case FORMAT_ALIGNED:
    case FORMAT_WRAPPED:
        if (opts->expanded == EXPANDED_ON)
            print_expanded_aligned(table, opts, out);
        else
            print_aligned(table, opts, out);
        break;
    case FORMAT_CSV:
        print_csv(table, opts, out);
        break;
    case FORMAT_HTML:
        print_html(table, opts, out);
        break;
    case FORMAT_JSON:
    case FORMAT_JSONL:
        print_json(table, opts, out);
        break;
    case FORMAT_UNALIGNED:
        print_unaligned(table, opts, out);
        break;
    case FORMAT_COUNT:
        ox_unreachable();
    }
    fflush(out);
}

enum print_kind
print_kind_of(unsigned type_oid)
{
    switch (type_oid) {
    case 20:   /* int8 */
    case 21:   /* int2 */
    case 23:   /* int4 */
    case 26:   /* oid */
    case 28:   /* xid */
    case 29:   /* cid */
    case 700:  /* float4 */
    case 701:  /* float8 */
    case 790:  /* money */
    case 1700: /* numeric */
    case 5069: /* xid8 */
        return KIND_NUMBER;
    case 16:
        return KIND_BOOL;
    case 114:
    case 3802:
        return KIND_JSON;
    default:
        return KIND_TEXT;
    }
}

const char *
print_cell(const struct print_table *table, const struct print_opts *opts, size_t row,
    size_t column)
{
    const char *cell = table->cells[row * table->columns + column];
    return cell ? cell : opts->null;
}

const char *
print_title(const struct print_table *table, const struct print_opts *opts)
{
    return table->title ? table->title : opts->title;
}

bool
print_right(const struct print_table *table, size_t column)
{
    return table->right && table->right[column];
}

bool
print_footers(const struct print_table *table, const struct print_opts *opts, bool with_count,
    struct text *out)
{
    if (opts->tuples_only)
        return false;
    if (table->footers) {
        for (size_t i = 0; table->footers[i]; i++)
            ox_text_addf(out, "%s\n", table->footers[i]);
        return table->footers[0] != NULL;
    }
    if (!with_count || !opts->footer)
        return false;
    size_t rows = table->rows_before + table->rows;
    ox_text_addf(out, "(%zu row%s)\n", rows, rows == 1 ? "" : "s");
    return true;
}

void
print_spaces(struct text *out, int count)
{
    if (count <= 0)
        return;
    memset(ox_text_reserve(out, (size_t)count), ' ', (size_t)count);
    out->len += (size_t)count;
    out->ptr[out->len] = '\0';
}

void
print_flush(struct text *out, FILE *file)
{
    if (out->len > 0)
        fwrite(out->ptr, 1, out->len, file);
    ox_text_clear(out);
}

static const struct print_style style_ascii = {
    {"-", "+", "+", "+"}, {"-", "+", "+", "+"}, {"-", "+", "+", "+"}, "|", "+", ".", "."};
static const struct print_style style_unicode = {{"─", "┌", "┬", "┐"}, {"─", "├", "┼", "┤"},
    {"─", "└", "┴", "┘"}, "│", "↵", "…", "…"};

const struct print_style *
print_style(const struct print_opts *opts)
{
    return opts->unicode ? &style_unicode : &style_ascii;
}

static bool
terminal_size(FILE *out, struct winsize *size)
{
    return isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, size) == 0 && size->ws_col > 0;
}

int
print_paper_width(const struct print_opts *opts, FILE *out)
{
    struct winsize size;
    if (opts->columns > 0)
        return opts->format == FORMAT_WRAPPED || opts->expanded == EXPANDED_AUTO ? opts->columns : 0;
    if (out != stdout)
        return 0;
    const char *columns = opts->env ? opts->env("COLUMNS") : NULL;
    if (!terminal_size(out, &size))
        return 0;
    return columns && atoi(columns) > 0 ? atoi(columns) : size.ws_col;
}

void
print_count_pipes(int change)
{
    static int pipes;
    pipes += change;
    signal(SIGPIPE, pipes > 0 ? SIG_IGN : SIG_DFL);
}

FILE *
print_pager_open(const struct print_opts *opts, FILE *out, size_t lines, bool too_wide)
{
    struct winsize size;
    if (opts->pager == 0 || out != stdout || !opts->env || !isatty(STDIN_FILENO) ||
        !terminal_size(out, &size))
        return out;
    if (opts->pager == 1) {
        if (opts->pager_min_lines > 0 && lines < (size_t)opts->pager_min_lines)
            return out;
        if (!too_wide && lines < size.ws_row)
            return out;
    }
    const char *program = opts->env("OXSQL_PAGER");
    if (!program)
        program = opts->env("PAGER");
    if (!program)
        program = access("/usr/bin/less", X_OK) == 0 ? "less -S" : "more";
    if (strspn(program, " \t\r\n") == strlen(program))
        return out;
    fflush(out);
    FILE *pager = popen(program, "w");
    if (!pager)
        return out;
    print_count_pipes(1);
    return pager;
}

void
print_pager_close(FILE *pager, FILE *out)
{
    if (pager == out)
        return;
    pclose(pager);
    print_count_pipes(-1);
}

static void
add_separator(struct text *text, const char *separator, bool zero)
{
    if (zero)
        ox_text_addc(text, '\0');
    else
        ox_text_adds(text, separator);
}

/* psql prints the last record's end as a newline, or as a zero byte. */
static void
add_last_end(struct text *text, const struct print_opts *opts)
{
    ox_text_addc(text, opts->recordsep_zero ? '\0' : '\n');
}

/* The end of a record is written with the next one, as the last end may differ. Pieces of a live
 * result end their last record at once where both ends are the same, so that readers of a pipe
 * are never a record behind. */
static bool
ends_at_once(const struct print_opts *opts)
{
    return opts->recordsep_zero || strcmp(opts->recordsep, "\n") == 0;
}

/* *need: a record stands there without its end. Footers join like records. */
static void
add_unaligned_end(const struct print_table *table, const struct print_opts *opts, bool with_count,
    bool need, struct text *text)
{
    struct text footers;
    ox_text_init(&footers, NULL);
    if (!table->more_after)
        print_footers(table, opts, with_count, &footers);
    for (char *at = footers.ptr; at && *at;) {
        char *end = strchr(at, '\n');
        if (need)
            add_separator(text, opts->recordsep, opts->recordsep_zero);
        ox_text_add(text, at, (size_t)(end - at));
        need = true;
        at = end + 1;
    }
    ox_text_fini(&footers);
    if (need && (!table->more_after || ends_at_once(opts)))
        add_last_end(text, opts);
}

static void
print_unaligned_rows(const struct print_table *table, const struct print_opts *opts,
    struct text *text, FILE *out)
{
    bool need = table->more_before && !ends_at_once(opts);
    if (!table->more_before && !opts->tuples_only) {
        if (print_title(table, opts)) {
            ox_text_adds(text, print_title(table, opts));
            add_separator(text, opts->recordsep, opts->recordsep_zero);
        }
        for (size_t i = 0; i < table->columns; i++) {
            if (i > 0)
                add_separator(text, opts->fieldsep, opts->fieldsep_zero);
            ox_text_adds(text, table->headers[i]);
        }
        need = true;
    }
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t i = 0; i < table->columns; i++) {
            if (need)
                add_separator(text, opts->recordsep, opts->recordsep_zero);
            need = false;
            ox_text_adds(text, print_cell(table, opts, row, i));
            if (i + 1 < table->columns)
                add_separator(text, opts->fieldsep, opts->fieldsep_zero);
            else
                need = true;
        }
        if (text->len > 32768)
            print_flush(text, out);
    }
    add_unaligned_end(table, opts, true, need, text);
}

static void
print_unaligned_expanded(const struct print_table *table, const struct print_opts *opts,
    struct text *text, FILE *out)
{
    bool need = table->more_before, ended = need && ends_at_once(opts);
    if (!table->more_before && !opts->tuples_only && print_title(table, opts)) {
        ox_text_adds(text, print_title(table, opts));
        need = true;
    }
    for (size_t row = 0; row < table->rows; row++) {
        if (need && !ended)
            add_separator(text, opts->recordsep, opts->recordsep_zero);
        if (need)
            add_separator(text, opts->recordsep, opts->recordsep_zero);
        need = ended = false;
        for (size_t i = 0; i < table->columns; i++) {
            ox_text_adds(text, table->headers[i]);
            add_separator(text, opts->fieldsep, opts->fieldsep_zero);
            ox_text_adds(text, print_cell(table, opts, row, i));
            if (i + 1 < table->columns)
                add_separator(text, opts->recordsep, opts->recordsep_zero);
            else
                need = true;
        }
        if (text->len > 32768)
            print_flush(text, out);
    }
    if (!opts->tuples_only && !table->more_after && table->footers && table->footers[0])
        add_separator(text, opts->recordsep, opts->recordsep_zero);
    add_unaligned_end(table, opts, false, need && !ended, text);
}

static void
print_unaligned(const struct print_table *table, const struct print_opts *opts, FILE *out)
{
    struct text text;
    ox_text_init(&text, NULL);
    if (opts->expanded == EXPANDED_ON)
        print_unaligned_expanded(table, opts, &text, out);
    else
        print_unaligned_rows(table, opts, &text, out);
    print_flush(&text, out);
    ox_text_fini(&text);
}

static void
add_csv(struct text *text, const char *cell, char separator)
{
    char special[] = {separator, '"', '\r', '\n', '\0'};
    if (cell[strcspn(cell, special)] == '\0' && strcmp(cell, "\\.") != 0) {
        ox_text_adds(text, cell);
        return;
    }
    ox_text_addc(text, '"');
    for (; *cell; cell++) {
        if (*cell == '"')
            ox_text_addc(text, '"');
        ox_text_addc(text, *cell);
    }
    ox_text_addc(text, '"');
}

static void
print_csv(const struct print_table *table, const struct print_opts *opts, FILE *out)
{
    struct text text;
    bool expanded = opts->expanded == EXPANDED_ON;
    ox_text_init(&text, NULL);
    if (!expanded && !table->more_before && !opts->tuples_only) {
        for (size_t i = 0; i < table->columns; i++) {
            if (i > 0)
                ox_text_addc(&text, opts->csv_sep);
            add_csv(&text, table->headers[i], opts->csv_sep);
        }
        ox_text_addc(&text, '\n');
    }
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t i = 0; i < table->columns; i++) {
            if (expanded)
                add_csv(&text, table->headers[i], opts->csv_sep);
            if (expanded || i > 0)
                ox_text_addc(&text, opts->csv_sep);
            add_csv(&text, print_cell(table, opts, row, i), opts->csv_sep);
            if (expanded || i + 1 == table->columns)
                ox_text_addc(&text, '\n');
        }
        if (text.len > 32768)
            print_flush(&text, out);
    }
    print_flush(&text, out);
    ox_text_fini(&text);
}
