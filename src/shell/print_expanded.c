/* SPDX-License-Identifier: Apache-2.0
 *
 * The aligned and wrapped formats, expanded: a line a column, a rule before
 * each record. Header and value advance side by side, each with its own lines. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "shell/print.h"

struct sheet {
    const struct print_opts *opts;
    const struct print_style *style;
    int header_width, data_width;
    bool header_multiline, data_multiline;
    size_t lines;
};

static void sheet_measure(struct sheet *sheet, const struct print_table *table);
static void sheet_fit(struct sheet *sheet, int paper, size_t records);
static void add_record_rule(struct sheet *sheet, const struct print_rule *rule, size_t record,
    struct text *text);
static void add_pair(struct sheet *sheet, struct cell header, struct cell data,
    struct text *text);

static int
pick_expanded_paper(const struct print_opts *opts, FILE *out)
{
    return opts->format == FORMAT_WRAPPED ? print_paper_width(opts, out) : 0;
}

static void
add_records(struct sheet *sheet, const struct print_table *table, struct text *text, FILE *out)
{
    const struct print_opts *opts = sheet->opts;
    struct arena headers, values;
    ox_arena_init(&headers);
    ox_arena_init(&values);
    struct cell *cells = ox_arena_array(&headers, struct cell, table->columns + 1);
    for (size_t i = 0; i < table->columns; i++)
        cells[i] = cell_format(&headers, table->headers[i], opts->encoding);
    for (size_t row = 0; row < table->rows && !ferror(out); row++) {
        bool first = row == 0 && !table->more_before;
        const struct print_rule *rule = first ? &sheet->style->top : &sheet->style->between;
        if (!opts->tuples_only)
            add_record_rule(sheet, rule, table->rows_before + row + 1, text);
        else if (!first || opts->border == 2)
            add_record_rule(sheet, rule, 0, text);
        for (size_t i = 0; i < table->columns; i++)
            add_pair(sheet, cells[i],
                cell_format(&values, print_cell(table, opts, row, i), opts->encoding), text);
        ox_arena_reset(&values);
        if (text->len > 32768)
            print_flush(text, out);
    }
    ox_arena_fini(&values);
    ox_arena_fini(&headers);
}

void
print_expanded_aligned(const struct print_table *table, const struct print_opts *opts, FILE *out)
{
    struct sheet sheet = {.opts = opts, .style = print_style(opts)};
    struct text text;
    ox_text_init(&text, NULL);
    if ((table->rows == 0 || table->columns == 0) && !table->more_before && !table->more_after) {
        print_footers(table, opts, true, &text);
        ox_text_addc(&text, '\n');
        print_flush(&text, out);
        ox_text_fini(&text);
        return;
    }
    sheet_measure(&sheet, table);
    sheet_fit(&sheet, pick_expanded_paper(opts, out), table->rows_before + table->rows);
    FILE *paged = print_pager_open(opts, out, sheet.lines, false);
    if (!table->more_before && !opts->tuples_only && print_title(table, opts))
        ox_text_addf(&text, "%s\n", print_title(table, opts));
    add_records(&sheet, table, &text, paged);
    if (!table->more_after) {
        if (opts->border == 2)
            add_record_rule(&sheet, &sheet.style->bottom, 0, &text);
        if (!opts->tuples_only && table->footers && table->footers[0]) {
            if (opts->border < 2)
                ox_text_addc(&text, '\n');
            print_footers(table, opts, false, &text);
        }
        ox_text_addc(&text, '\n');
    }
    print_flush(&text, paged);
    print_pager_close(paged, out);
    ox_text_fini(&text);
}

static void
sheet_measure(struct sheet *sheet, const struct print_table *table)
{
    size_t lines;
    int width;
    for (size_t i = 0; i < table->columns; i++) {
        cell_measure(table->headers[i], sheet->opts->encoding, &width, &lines);
        sheet->header_width = OX_MAX(sheet->header_width, width);
        sheet->header_multiline = sheet->header_multiline || lines > 1;
    }
    for (size_t row = 0; row < table->rows; row++)
        for (size_t i = 0; i < table->columns; i++) {
            cell_measure(print_cell(table, sheet->opts, row, i), sheet->opts->encoding, &width,
                &lines);
            sheet->data_width = OX_MAX(sheet->data_width, width);
            sheet->data_multiline = sheet->data_multiline || lines > 1;
            sheet->lines += lines;
        }
    sheet->lines += table->rows;
}

/* What stands beside header and value: bars, spaces, marks. */
static int
sheet_frame(const struct sheet *sheet)
{
    int border = sheet->opts->border;
    int frame = border == 0 ? 1 + sheet->header_multiline : border == 1 ? 3 : 7;
    return frame + (border < 2 && sheet->data_multiline ? 1 : 0);
}

/* Sets the values' width: as wide as they are and as a record's rule needs, or what the paper
 * leaves (paper 0: no limit), though never under three columns. Wrapping needs a column for its
 * mark where the border has none. */
static void
sheet_fit(struct sheet *sheet, int paper, size_t records)
{
    enum { LEAST = 3 };
    int rule = 0, border = sheet->opts->border;
    if (!sheet->opts->tuples_only) {
        rule = snprintf(NULL, 0, "%zu", records);
        /* "* Record ", "-[ RECORD  ]", "+-[ RECORD  ]-+" */
        rule += border == 0 ? 9 : border == 1 ? 12 : 15;
    }
    for (;;) {
        int sides = sheet->header_width + sheet_frame(sheet);
        int room = OX_MAX(sheet->data_width, rule - sides);
        if (paper > 0 && paper < sides + room)
            room = OX_MAX(paper - sides, OX_MAX((int)LEAST, rule - sides));
        if (room >= sheet->data_width || sheet->data_multiline || border == 2) {
            sheet->data_width = room;
            return;
        }
        sheet->data_multiline = true;
    }
}

static void
add_repeat(struct text *text, const char *what, int count)
{
    while (count-- > 0)
        ox_text_adds(text, what);
}

/* "-[ RECORD 1 ]-+-----": the label is written over the dashes, bar included. */
static void
add_record_rule(struct sheet *sheet, const struct print_rule *rule, size_t record,
    struct text *text)
{
    int border = sheet->opts->border, used = 0;
    const char *fill = border > 0 ? rule->dash : " ";
    if (border == 2)
        ox_text_adds(text, rule->left);
    if (border > 0)
        ox_text_adds(text, rule->dash);
    if (record > 0) {
        size_t before = text->len;
        ox_text_addf(text, border == 0 ? "* Record %zu" : "[ RECORD %zu ]", record);
        used = (int)(text->len - before);
    }
    if (border != 2)
        used++; /* the rule's left end sits one column further left than the headers */
    int left = sheet->header_width - used;
    add_repeat(text, fill, left);
    int over = left < 0 ? -left : 0; /* columns of the label beyond the headers */
    if (border > 0) {
        const char *joint[] = {rule->dash, rule->middle, rule->dash};
        for (int i = 0; i < 3; i++)
            if (over-- <= 0)
                ox_text_adds(text, joint[i]);
    } else if (over-- <= 0) {
        ox_text_addc(text, ' ');
    }
    add_repeat(text, fill, sheet->data_width - OX_MAX(over, 0));
    if (border == 2) {
        ox_text_adds(text, rule->dash);
        ox_text_adds(text, rule->right);
    }
    ox_text_addc(text, '\n');
}

/* The header's side of one line. */
static void
add_header_side(struct sheet *sheet, const struct cell *header, size_t line, struct text *text)
{
    int border = sheet->opts->border;
    bool marks = border > 0 || sheet->header_multiline;
    if (line >= header->count) {
        print_spaces(text, sheet->header_width + border + (border == 0 && sheet->header_multiline));
        return;
    }
    if (border == 2)
        ox_text_addc(text, ' ');
    ox_text_add(text, header->lines[line].ptr, header->lines[line].len);
    print_spaces(text, sheet->header_width - header->lines[line].width);
    if (marks)
        ox_text_adds(text, line + 1 < header->count ? sheet->style->newline : " ");
}

/* The value's side of one line; returns false when the value is used up. */
static bool
add_data_side(struct sheet *sheet, const struct cell *data, size_t *line, size_t *pos,
    struct text *text)
{
    int border = sheet->opts->border, taken;
    if (*line >= data->count) {
        if (border == 2)
            print_spaces(text, sheet->data_width + 2);
        return false;
    }
    const struct cell_line *part = &data->lines[*line];
    ox_text_adds(text, *pos > 0 ? sheet->style->wrap_left : " ");
    taken = part->width;
    size_t len = part->len - *pos;
    if (*pos > 0 || part->width > sheet->data_width) {
        taken = sheet->data_width;
        len = cell_fit(part->ptr + *pos, len, sheet->opts->encoding, &taken);
    }
    ox_text_add(text, part->ptr + *pos, len);
    *pos += len;
    const char *mark = " ";
    bool pad = border == 2;
    if (*pos < part->len) {
        mark = sheet->style->wrap_right;
        pad = border == 2 || sheet->data_multiline;
    } else {
        *pos = 0;
        if (++*line < data->count) {
            mark = sheet->style->newline;
            pad = border == 2 || sheet->data_multiline;
        }
    }
    if (pad) {
        print_spaces(text, sheet->data_width - taken);
        ox_text_adds(text, mark);
    }
    return *line < data->count;
}

static void
add_pair(struct sheet *sheet, struct cell header, struct cell data, struct text *text)
{
    int border = sheet->opts->border;
    size_t data_line = 0, pos = 0;
    for (size_t line = 0; line < header.count || data_line < data.count; line++) {
        if (border == 2)
            ox_text_adds(text, sheet->style->bar);
        add_header_side(sheet, &header, line, text);
        if (border > 0)
            ox_text_adds(text, sheet->style->bar);
        add_data_side(sheet, &data, &data_line, &pos, text);
        if (border == 2)
            ox_text_adds(text, sheet->style->bar);
        ox_text_addc(text, '\n');
    }
}
