/* SPDX-License-Identifier: Apache-2.0
 *
 * json: an array of objects, one to a line; jsonl: the objects alone. html: a
 * table element. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "shell/print.h"

static void
add_json_string(struct text *text, const char *cell)
{
    ox_text_addc(text, '"');
    for (const unsigned char *c = (const unsigned char *)cell; *c; c++) {
        switch (*c) {
        case '"':
            ox_text_adds(text, "\\\"");
            break;
        case '\\':
            ox_text_adds(text, "\\\\");
            break;
        case '\n':
            ox_text_adds(text, "\\n");
            break;
        case '\r':
            ox_text_adds(text, "\\r");
            break;
        case '\t':
            ox_text_adds(text, "\\t");
            break;
        default:
            if (*c < 0x20)
                ox_text_addf(text, "\\u%04x", *c);
            else
                ox_text_addc(text, (char)*c);
        }
    }
    ox_text_addc(text, '"');
}

/* Whether a number's text is also JSON's: not NaN, Infinity, money. */
static bool
json_number(const char *cell)
{
    size_t len = strlen(cell), digits = strspn(cell, "0123456789.eE+-");
    return len > 0 && digits == len && cell[0] != '+' && cell[0] != '.';
}

static void
add_json_value(struct text *text, const char *cell, enum print_kind kind)
{
    if (!cell)
        ox_text_adds(text, "null");
    else if (kind == KIND_BOOL)
        ox_text_adds(text, cell[0] == 't' ? "true" : "false");
    else if (kind == KIND_JSON || (kind == KIND_NUMBER && json_number(cell)))
        ox_text_adds(text, cell);
    else
        add_json_string(text, cell);
}

void
print_json(const struct print_table *table, const struct print_opts *opts, FILE *out)
{
    bool array = opts->format == FORMAT_JSON;
    struct text text;
    ox_text_init(&text, NULL);
    if (array && !table->more_before)
        ox_text_addc(&text, '[');
    for (size_t row = 0; row < table->rows; row++) {
        if (array && (row > 0 || table->rows_before > 0))
            ox_text_adds(&text, ",\n ");
        ox_text_addc(&text, '{');
        for (size_t i = 0; i < table->columns; i++) {
            if (i > 0)
                ox_text_adds(&text, ", ");
            add_json_string(&text, table->headers[i]);
            ox_text_adds(&text, ": ");
            add_json_value(&text, table->cells[row * table->columns + i],
                table->kinds ? table->kinds[i] : KIND_TEXT);
        }
        ox_text_adds(&text, array ? "}" : "}\n");
        if (text.len > 32768)
            print_flush(&text, out);
    }
    if (array && !table->more_after)
        ox_text_adds(&text, "]\n");
    print_flush(&text, out);
    ox_text_fini(&text);
}

static void
add_html(struct text *text, const char *cell)
{
    bool leading = true; /* spaces at the start of a line would vanish */
    for (; *cell; cell++) {
        if (*cell == '&')
            ox_text_adds(text, "&amp;");
        else if (*cell == '<')
            ox_text_adds(text, "&lt;");
        else if (*cell == '>')
            ox_text_adds(text, "&gt;");
        else if (*cell == '"')
            ox_text_adds(text, "&quot;");
        else if (*cell == '\n')
            ox_text_adds(text, "<br />\n");
        else if (*cell == ' ' && leading)
            ox_text_adds(text, "&nbsp;");
        else
            ox_text_addc(text, *cell);
        if (*cell != ' ')
            leading = false;
    }
}

static void
add_html_cell(struct text *text, const struct print_table *table, const struct print_opts *opts,
    size_t row, size_t column)
{
    const char *cell = print_cell(table, opts, row, column);
    ox_text_addf(text, "<td align=\"%s\">", print_right(table, column) ? "right" : "left");
    if (cell[strspn(cell, " \t")] == '\0')
        ox_text_adds(text, "&nbsp; ");
    else
        add_html(text, cell);
    ox_text_adds(text, "</td>\n");
}

static void
add_html_header(struct text *text, const struct print_table *table, const struct print_opts *opts)
{
    const char *title = print_title(table, opts);
    ox_text_addf(text, "<table border=\"%d\"", opts->border);
    if (opts->tableattr)
        ox_text_addf(text, " %s", opts->tableattr);
    ox_text_adds(text, ">\n");
    if (!opts->tuples_only && title) {
        ox_text_adds(text, "  <caption>");
        add_html(text, title);
        ox_text_adds(text, "</caption>\n");
    }
    if (opts->tuples_only || opts->expanded == EXPANDED_ON)
        return;
    ox_text_adds(text, "  <tr>\n");
    for (size_t i = 0; i < table->columns; i++) {
        ox_text_adds(text, "    <th align=\"center\">");
        add_html(text, table->headers[i]);
        ox_text_adds(text, "</th>\n");
    }
    ox_text_adds(text, "  </tr>\n");
}

static void
add_html_rows(struct text *text, const struct print_table *table, const struct print_opts *opts)
{
    bool expanded = opts->expanded == EXPANDED_ON;
    for (size_t row = 0; row < table->rows; row++) {
        if (!expanded) {
            ox_text_adds(text, "  <tr valign=\"top\">\n");
        } else if (opts->tuples_only) {
            ox_text_adds(text, "\n  <tr><td colspan=\"2\">&nbsp;</td></tr>\n");
        } else {
            ox_text_addf(text, "\n  <tr><td colspan=\"2\" align=\"center\">Record %zu</td></tr>\n",
                table->rows_before + row + 1);
        }
        for (size_t i = 0; i < table->columns; i++) {
            if (expanded) {
                ox_text_adds(text, "  <tr valign=\"top\">\n    <th>");
                add_html(text, table->headers[i]);
                ox_text_adds(text, "</th>\n");
            }
            ox_text_adds(text, "    ");
            add_html_cell(text, table, opts, row, i);
            if (expanded)
                ox_text_adds(text, "  </tr>\n");
        }
        if (!expanded)
            ox_text_adds(text, "  </tr>\n");
    }
}

void
print_html(const struct print_table *table, const struct print_opts *opts, FILE *out)
{
    struct text text, footers;
    ox_text_init(&text, NULL);
    ox_text_init(&footers, NULL);
    if (!table->more_before)
        add_html_header(&text, table, opts);
    add_html_rows(&text, table, opts);
    if (!table->more_after) {
        ox_text_adds(&text, "</table>\n");
        if (print_footers(table, opts, opts->expanded != EXPANDED_ON, &footers)) {
            ox_text_adds(&text, "<p>");
            for (char *at = footers.ptr; *at;) {
                char *end = strchr(at, '\n');
                *end = '\0';
                add_html(&text, at);
                ox_text_adds(&text, "<br />\n");
                at = end + 1;
            }
            ox_text_adds(&text, "</p>");
        }
        ox_text_addc(&text, '\n');
    }
    print_flush(&text, out);
    ox_text_fini(&text);
    ox_text_fini(&footers);
}
