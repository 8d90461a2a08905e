/* SPDX-License-Identifier: Apache-2.0
 *
 * The aligned and wrapped formats, one row a line. A row of cells becomes as
 * many lines as its tallest cell; each cell remembers how far it was printed
 * (struct cursor). */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "shell/print.h"

struct layout {
    const struct print_opts *opts;
    const struct print_style *style;
    size_t columns;
    int *header_widths; /* of the headers */
    int *max_widths;    /* of headers and cells */
    int *widths;        /* as printed: max_widths, or less when wrapping */
    int *averages;      /* of the cells, rounded down */
    int total;          /* of a printed line */
    size_t lines;       /* about how many lines will be printed */
};

struct cursor {
    struct cell cell;
    size_t line; /* next line of the cell */
    size_t pos;  /* bytes of that line already printed (wrapped) */
};

static void layout_measure(struct layout *lay, const struct print_table *table);
static void layout_wrap(struct layout *lay, int paper);
static void add_title(struct layout *lay, const char *title, struct text *text);
static void add_rule(struct layout *lay, const struct print_rule *rule, struct text *text);
static void add_header(struct layout *lay, const struct print_table *table, struct arena *arena,
    struct text *text);
static void add_row(struct layout *lay, const struct print_table *table, size_t row,
    struct cursor *cursors, struct arena *arena, struct text *text);

static int
frame_width(const struct print_opts *opts, size_t columns)
{
    int count = (int)columns;
    if (opts->border == 0)
        return count;
    return opts->border == 1 ? count * 3 - (count > 0 ? 1 : 0) : count * 3 + 1;
}

static void
layout_init(struct layout *lay, const struct print_table *table, const struct print_opts *opts,
    struct arena *arena)
{
    *lay = (struct layout){.opts = opts, .style = print_style(opts), .columns = table->columns};
    lay->header_widths = ox_arena_array(arena, int, table->columns + 1);
    lay->max_widths = ox_arena_array(arena, int, table->columns + 1);
    lay->widths = ox_arena_array(arena, int, table->columns + 1);
    lay->averages = ox_arena_array(arena, int, table->columns + 1);
}

void
print_aligned(const struct print_table *table, const struct print_opts *opts, FILE *out)
{
    struct arena arena;
    struct text text;
    struct layout lay;
    ox_arena_init(&arena);
    ox_text_init(&text, NULL);
    layout_init(&lay, table, opts, &arena);
    layout_measure(&lay, table);
    int paper = print_paper_width(opts, out), header_total = frame_width(opts, table->columns);
    for (size_t i = 0; i < table->columns; i++)
        header_total += lay.header_widths[i];
    if (opts->format == FORMAT_WRAPPED && paper > 0)
        layout_wrap(&lay, paper);
    bool too_wide = paper > 0 && (paper < header_total || paper < lay.total);
    if (opts->expanded == EXPANDED_AUTO && too_wide) {
        print_expanded_aligned(table, opts, out);
        goto done;
    }
    FILE *paged = print_pager_open(opts, out, lay.lines, too_wide);
    if (!table->more_before) {
        if (!opts->tuples_only && print_title(table, opts))
            add_title(&lay, print_title(table, opts), &text);
        if (!opts->tuples_only)
            add_header(&lay, table, &arena, &text);
    }
    struct cursor *cursors = ox_arena_array(&arena, struct cursor, table->columns + 1);
    struct arena row_arena;
    ox_arena_init(&row_arena);
    for (size_t row = 0; row < table->rows && lay.columns > 0 && !ferror(paged); row++) {
        add_row(&lay, table, row, cursors, &row_arena, &text);
        ox_arena_reset(&row_arena);
        if (text.len > 32768)
            print_flush(&text, paged);
    }
    ox_arena_fini(&row_arena);
    if (!table->more_after) {
        if (opts->border == 2)
            add_rule(&lay, &lay.style->bottom, &text);
        print_footers(table, opts, true, &text);
        ox_text_addc(&text, '\n');
    }
    print_flush(&text, paged);
    print_pager_close(paged, out);
done:
    ox_text_fini(&text);
    ox_arena_fini(&arena);
}

static void
layout_measure(struct layout *lay, const struct print_table *table)
{
    const struct print_opts *opts = lay->opts;
    size_t tallest = 1, lines;
    for (size_t i = 0; i < table->columns; i++) {
        cell_measure(table->headers[i], opts->encoding, &lay->header_widths[i], &lines);
        lay->max_widths[i] = lay->header_widths[i];
        tallest = OX_MAX(tallest, lines);
    }
    lay->lines = opts->tuples_only ? 0 : tallest + 3 + (print_title(table, opts) != NULL);
    for (size_t row = 0; row < table->rows; row++) {
        tallest = 1;
        for (size_t i = 0; i < table->columns; i++) {
            int width;
            cell_measure(print_cell(table, opts, row, i), opts->encoding, &width, &lines);
            lay->max_widths[i] = OX_MAX(lay->max_widths[i], width);
            lay->averages[i] += width;
            tallest = OX_MAX(tallest, lines);
        }
        lay->lines += tallest;
    }
    lay->total = frame_width(opts, table->columns);
    for (size_t i = 0; i < table->columns; i++) {
        if (table->rows > 0)
            lay->averages[i] /= (int)table->rows;
        lay->widths[i] = lay->max_widths[i];
        lay->total += lay->max_widths[i];
    }
}

/* Takes columns of paper, one by one, from the column that is widest against what it holds on
 * average, until the table fits or no column can give. Wide maxima break ties. */
static void
layout_wrap(struct layout *lay, int paper)
{
    int header_total = frame_width(lay->opts, lay->columns);
    for (size_t i = 0; i < lay->columns; i++)
        header_total += lay->header_widths[i];
    if (paper < header_total)
        return;
    while (lay->total > paper) {
        double best = 0;
        size_t pick = lay->columns;
        for (size_t i = 0; i < lay->columns; i++) {
            if (lay->averages[i] <= 0 || lay->widths[i] <= lay->header_widths[i])
                continue;
            double ratio = (double)lay->widths[i] / lay->averages[i] + lay->max_widths[i] * 0.01;
            if (ratio > best) {
                best = ratio;
                pick = i;
            }
        }
        if (pick == lay->columns)
            return;
        lay->widths[pick]--;
        lay->total--;
    }
}

static void
add_title(struct layout *lay, const char *title, struct text *text)
{
    int width;
    size_t lines;
    cell_measure(title, lay->opts->encoding, &width, &lines);
    if (width < lay->total)
        print_spaces(text, (lay->total - width) / 2);
    ox_text_adds(text, title);
    ox_text_addc(text, '\n');
}

static void
add_dashes(struct text *text, const char *dash, int count)
{
    while (count-- > 0)
        ox_text_adds(text, dash);
}

static void
add_rule(struct layout *lay, const struct print_rule *rule, struct text *text)
{
    int border = lay->opts->border;
    if (border == 2)
        ox_text_adds(text, rule->left);
    for (size_t i = 0; i < lay->columns; i++) {
        if (i > 0)
            ox_text_adds(text, border == 0 ? " " : rule->middle);
        add_dashes(text, rule->dash, lay->widths[i] + (border == 0 ? 0 : 2));
    }
    if (border > 0 && lay->columns == 0)
        add_dashes(text, rule->dash, 2);
    if (border == 2)
        ox_text_adds(text, rule->right);
    ox_text_addc(text, '\n');
}

static void
add_header(struct layout *lay, const struct print_table *table, struct arena *arena,
    struct text *text)
{
    int border = lay->opts->border;
    size_t tallest = 0;
    struct cell *cells = ox_arena_array(arena, struct cell, lay->columns + 1);
    for (size_t i = 0; i < lay->columns; i++) {
        cells[i] = cell_format(arena, table->headers[i], lay->opts->encoding);
        tallest = OX_MAX(tallest, cells[i].count);
    }
    if (border == 2)
        add_rule(lay, &lay->style->top, text);
    for (size_t line = 0; line < tallest; line++) {
        if (border == 2)
            ox_text_adds(text, lay->style->bar);
        for (size_t i = 0; i < lay->columns; i++) {
            if (border > 0)
                ox_text_addc(text, ' ');
            if (line < cells[i].count) {
                int room = lay->widths[i] - cells[i].lines[line].width;
                print_spaces(text, room / 2);
                ox_text_add(text, cells[i].lines[line].ptr, cells[i].lines[line].len);
                print_spaces(text, (room + 1) / 2);
            } else {
                print_spaces(text, lay->widths[i]);
            }
            ox_text_adds(text, line + 1 < cells[i].count ? lay->style->newline : " ");
            if (border > 0 && i + 1 < lay->columns)
                ox_text_adds(text, lay->style->bar);
        }
        if (border == 2)
            ox_text_adds(text, lay->style->bar);
        ox_text_addc(text, '\n');
    }
    add_rule(lay, &lay->style->between, text);
}

/* The next line of one cell, with what marks that it goes on. */
static void
add_cell_line(struct layout *lay, struct cursor *cursor, size_t column, bool right,
    struct text *text)
{
    int border = lay->opts->border, width = lay->widths[column], taken = 0;
    bool last = column + 1 == lay->columns, pad = border == 2 || !last;
    if (border > 0)
        ox_text_adds(text, cursor->pos > 0 ? lay->style->wrap_left : " ");
    if (cursor->line >= cursor->cell.count) {
        if (pad)
            print_spaces(text, width + 1);
        return;
    }
    struct cell_line *line = &cursor->cell.lines[cursor->line];
    size_t len = line->len - cursor->pos;
    bool wraps = false, more = false;
    taken = line->width;
    if (cursor->pos > 0 || line->width > width) {
        taken = width;
        len = cell_fit(line->ptr + cursor->pos, len, lay->opts->encoding, &taken);
    }
    if (right)
        print_spaces(text, width - taken);
    ox_text_add(text, line->ptr + cursor->pos, len);
    cursor->pos += len;
    if (cursor->pos < line->len) {
        wraps = true;
    } else {
        cursor->pos = 0;
        more = ++cursor->line < cursor->cell.count;
    }
    if (!right && (pad || wraps || more))
        print_spaces(text, width - taken);
    if (wraps)
        ox_text_adds(text, lay->style->wrap_right);
    else if (more)
        ox_text_adds(text, lay->style->newline);
    else if (pad)
        ox_text_addc(text, ' ');
}

static void
add_row(struct layout *lay, const struct print_table *table, size_t row, struct cursor *cursors,
    struct arena *arena, struct text *text)
{
    int border = lay->opts->border;
    for (size_t i = 0; i < lay->columns; i++)
        cursors[i] = (struct cursor){
            cell_format(arena, print_cell(table, lay->opts, row, i), lay->opts->encoding), 0, 0};
    bool more = true;
    while (more) {
        more = false;
        if (border == 2)
            ox_text_adds(text, lay->style->bar);
        for (size_t i = 0; i < lay->columns; i++) {
            add_cell_line(lay, &cursors[i], i, print_right(table, i), text);
            if (border > 0 && i + 1 < lay->columns)
                ox_text_adds(text, lay->style->bar);
            more = more || cursors[i].line < cursors[i].cell.count;
        }
        if (border == 2)
            ox_text_adds(text, lay->style->bar);
        ox_text_addc(text, '\n');
    }
}

void
print_live_rows(struct print_live *live, const struct print_table *table,
    const struct print_opts *opts, FILE *out)
{
    struct arena arena;
    struct text text;
    struct layout lay;
    ox_arena_init(&arena);
    ox_text_init(&text, NULL);
    layout_init(&lay, table, opts, &arena);
    layout_measure(&lay, table);
    if (!live->widths) {
        live->columns = table->columns;
        live->widths = ox_calloc(table->columns + 1, sizeof(int));
    }
    for (size_t i = 0; i < table->columns; i++) {
        live->widths[i] = OX_MAX(live->widths[i], lay.widths[i]);
        lay.widths[i] = live->widths[i];
    }
    if (!live->started && !opts->tuples_only)
        add_header(&lay, table, &arena, &text);
    live->started = true;
    struct cursor *cursors = ox_arena_array(&arena, struct cursor, table->columns + 1);
    for (size_t row = 0; row < table->rows; row++)
        add_row(&lay, table, row, cursors, &arena, &text);
    print_flush(&text, out);
    fflush(out);
    ox_text_fini(&text);
    ox_arena_fini(&arena);
}

void
print_live_end(struct print_live *live, const struct print_opts *opts, FILE *out, size_t rows)
{
    struct text text;
    struct layout lay = {.opts = opts, .style = print_style(opts), .columns = live->columns,
        .widths = live->widths};
    struct print_table table = {.columns = live->columns, .rows_before = rows};
    ox_text_init(&text, NULL);
    if (opts->border == 2)
        add_rule(&lay, &lay.style->bottom, &text);
    print_footers(&table, opts, true, &text);
    ox_text_addc(&text, '\n');
    print_flush(&text, out);
    fflush(out);
    ox_text_fini(&text);
}

void
print_live_fini(struct print_live *live)
{
    ox_free(live->widths);
    *live = (struct print_live){0};
}
