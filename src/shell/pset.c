/* SPDX-License-Identifier: Apache-2.0
 *
 * \pset: output settings by name. Each setting is a row with a function that
 * reads it and one that words it. */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shell/shell.h"

struct pset_row {
    const char *name;
    bool (*set)(struct shell *sh, struct print_opts *opts, const char *name, const char *value);
    void (*say)(const struct print_opts *opts);              /* one sentence */
    void (*value)(const struct print_opts *opts, struct text *out); /* for \pset alone */
};

static const struct pset_row *row_find(const char *name);

static bool
read_bool(struct shell *sh, const char *name, const char *value, bool *slot)
{
    bool flag = !*slot; /* no value toggles */
    if (value && !vars_parse_bool(value, &flag)) {
        shell_error(sh, "unrecognized value \"%s\" for \"%s\": Boolean expected", value, name);
        return false;
    }
    *slot = flag;
    return true;
}

static const char *
on_off(bool flag)
{
    return flag ? "on" : "off";
}

static const char *
keep(struct shell *sh, const char *text)
{
    return ox_arena_strdup(&sh->session, text);
}

static void
add_quoted(struct text *out, const char *value)
{
    ox_text_addc(out, '\'');
    for (; *value; value++) {
        if (*value == '\n')
            ox_text_adds(out, "\\n");
        else if (*value == '\'')
            ox_text_adds(out, "\\'");
        else
            ox_text_addc(out, *value);
    }
    ox_text_addc(out, '\'');
}

static bool
set_border(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (value)
        opts->border = OX_MAX(0, atoi(value));
    return true;
}

static void
say_border(const struct print_opts *opts)
{
    printf("Border style is %d.\n", opts->border);
}

static void
value_border(const struct print_opts *opts, struct text *out)
{
    ox_text_addf(out, "%d", opts->border);
}

static bool
set_columns(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (value)
        opts->columns = atoi(value);
    return true;
}

static void
say_columns(const struct print_opts *opts)
{
    if (opts->columns)
        printf("Target width is %d.\n", opts->columns);
    else
        printf("Target width is unset.\n");
}

static void
value_columns(const struct print_opts *opts, struct text *out)
{
    ox_text_addf(out, "%d", opts->columns);
}

static bool
set_csv(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (!value)
        return true;
    if (strlen(value) != 1) {
        shell_error(sh, "\\pset: csv_fieldsep must be a single one-byte character");
        return false;
    }
    if (strchr("\"\n\r", *value)) {
        shell_error(sh,
            "\\pset: csv_fieldsep cannot be a double quote, a newline, or a carriage return");
        return false;
    }
    opts->csv_sep = *value;
    return true;
}

static void
say_csv(const struct print_opts *opts)
{
    printf("Field separator for CSV is \"%c\".\n", opts->csv_sep);
}

static void
value_csv(const struct print_opts *opts, struct text *out)
{
    char text[2] = {opts->csv_sep, '\0'};
    add_quoted(out, text);
}

static bool
set_expanded(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    bool flag = opts->expanded == EXPANDED_OFF;
    if (value && strcasecmp(value, "auto") == 0) {
        opts->expanded = EXPANDED_AUTO;
        return true;
    }
    if (value && !vars_parse_bool(value, &flag)) {
        shell_error(sh, "unrecognized value \"%s\" for \"%s\"\n"
                        "Available values are: on, off, auto.",
            value, name);
        return false;
    }
    opts->expanded = flag ? EXPANDED_ON : EXPANDED_OFF;
    return true;
}

static void
say_expanded(const struct print_opts *opts)
{
    static const char *const words[] = {"off", "on", "used automatically"};
    printf("Expanded display is %s.\n", words[opts->expanded]);
}

static void
value_expanded(const struct print_opts *opts, struct text *out)
{
    static const char *const words[] = {"off", "on", "auto"};
    ox_text_adds(out, words[opts->expanded]);
}

static bool
set_fieldsep(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (value) {
        opts->fieldsep = keep(sh, value);
        opts->fieldsep_zero = false;
    }
    return true;
}

static void
say_fieldsep(const struct print_opts *opts)
{
    if (opts->fieldsep_zero)
        printf("Field separator is zero byte.\n");
    else
        printf("Field separator is \"%s\".\n", opts->fieldsep);
}

static void
value_fieldsep(const struct print_opts *opts, struct text *out)
{
    add_quoted(out, opts->fieldsep_zero ? "" : opts->fieldsep);
}

static bool
set_fieldsep_zero(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    opts->fieldsep_zero = true;
    return true;
}

static void
value_fieldsep_zero(const struct print_opts *opts, struct text *out)
{
    ox_text_adds(out, on_off(opts->fieldsep_zero));
}

static bool
set_footer(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    return read_bool(sh, name, value, &opts->footer);
}

static void
say_footer(const struct print_opts *opts)
{
    printf("Default footer is %s.\n", on_off(opts->footer));
}

static void
value_footer(const struct print_opts *opts, struct text *out)
{
    ox_text_adds(out, on_off(opts->footer));
}

static bool
set_format(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    int found = -1, matches = 0;
    if (!value)
        return true;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const char *format = print_format_name((enum print_format)i);
        if (strcasecmp(format, value) == 0) {
            found = i;
            matches = 1;
            break;
        }
        if (*value && strncasecmp(format, value, strlen(value)) == 0) {
            found = i;
            matches++;
        }
    }
    if (matches == 0)
        shell_error(sh, "\\pset: allowed formats are aligned, csv, html, json, jsonl, unaligned, wrapped");
    else if (matches > 1)
        shell_error(sh, "\\pset: ambiguous abbreviation \"%s\" matches more than one format", value);
    if (matches != 1)
        return false;
    opts->format = (enum print_format)found;
    return true;
}

static void
say_format(const struct print_opts *opts)
{
    printf("Output format is %s.\n", print_format_name(opts->format));
}

static void
value_format(const struct print_opts *opts, struct text *out)
{
    ox_text_adds(out, print_format_name(opts->format));
}

static bool
set_linestyle(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (!value)
        return true;
    if (*value && strncasecmp("ascii", value, strlen(value)) == 0)
        opts->unicode = false;
    else if (*value && strncasecmp("unicode", value, strlen(value)) == 0)
        opts->unicode = true;
    else {
        shell_error(sh, "\\pset: allowed line styles are ascii, unicode");
        return false;
    }
    return true;
}

static void
say_linestyle(const struct print_opts *opts)
{
    printf("Line style is %s.\n", opts->unicode ? "unicode" : "ascii");
}

static void
value_linestyle(const struct print_opts *opts, struct text *out)
{
    ox_text_adds(out, opts->unicode ? "unicode" : "ascii");
}

static bool
set_null(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (value)
        opts->null = keep(sh, value);
    return true;
}

static void
say_null(const struct print_opts *opts)
{
    printf("Null display is \"%s\".\n", opts->null);
}

static void
value_null(const struct print_opts *opts, struct text *out)
{
    add_quoted(out, opts->null);
}

static bool
set_pager(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    bool flag = opts->pager == 0;
    if (value && strcasecmp(value, "always") == 0) {
        opts->pager = 2;
        return true;
    }
    if (value && !vars_parse_bool(value, &flag)) {
        shell_error(sh, "unrecognized value \"%s\" for \"%s\"\n"
                        "Available values are: on, off, always.",
            value, name);
        return false;
    }
    opts->pager = flag;
    return true;
}

static void
say_pager(const struct print_opts *opts)
{
    static const char *const words[] = {"Pager usage is off.", "Pager is used for long output.",
        "Pager is always used."};
    puts(words[opts->pager]);
}

static void
value_pager(const struct print_opts *opts, struct text *out)
{
    ox_text_addf(out, "%d", opts->pager);
}

static bool
set_pager_lines(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (value)
        opts->pager_min_lines = atoi(value);
    return true;
}

static void
say_pager_lines(const struct print_opts *opts)
{
    printf("Pager won't be used for less than %d line%s.\n", opts->pager_min_lines,
        opts->pager_min_lines == 1 ? "" : "s");
}

static void
value_pager_lines(const struct print_opts *opts, struct text *out)
{
    ox_text_addf(out, "%d", opts->pager_min_lines);
}

static bool
set_recordsep(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    if (value) {
        opts->recordsep = keep(sh, value);
        opts->recordsep_zero = false;
    }
    return true;
}

static void
say_recordsep(const struct print_opts *opts)
{
    if (opts->recordsep_zero)
        printf("Record separator is zero byte.\n");
    else if (strcmp(opts->recordsep, "\n") == 0)
        printf("Record separator is <newline>.\n");
    else
        printf("Record separator is \"%s\".\n", opts->recordsep);
}

static void
value_recordsep(const struct print_opts *opts, struct text *out)
{
    add_quoted(out, opts->recordsep_zero ? "" : opts->recordsep);
}

static bool
set_recordsep_zero(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    opts->recordsep_zero = true;
    return true;
}

static void
value_recordsep_zero(const struct print_opts *opts, struct text *out)
{
    ox_text_adds(out, on_off(opts->recordsep_zero));
}

static bool
set_tableattr(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    opts->tableattr = value ? keep(sh, value) : NULL;
    return true;
}

static void
say_tableattr(const struct print_opts *opts)
{
    if (opts->tableattr)
        printf("Table attributes are \"%s\".\n", opts->tableattr);
    else
        printf("Table attributes unset.\n");
}

static void
value_tableattr(const struct print_opts *opts, struct text *out)
{
    if (opts->tableattr)
        add_quoted(out, opts->tableattr);
}

static bool
set_title(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    opts->title = value ? keep(sh, value) : NULL;
    return true;
}

static void
say_title(const struct print_opts *opts)
{
    if (opts->title)
        printf("Title is \"%s\".\n", opts->title);
    else
        printf("Title is unset.\n");
}

static void
value_title(const struct print_opts *opts, struct text *out)
{
    if (opts->title)
        add_quoted(out, opts->title);
}

static bool
set_tuples(struct shell *sh, struct print_opts *opts, const char *name, const char *value)
{
    return read_bool(sh, name, value, &opts->tuples_only);
}

static void
say_tuples(const struct print_opts *opts)
{
    printf("Tuples only is %s.\n", on_off(opts->tuples_only));
}

static void
value_tuples(const struct print_opts *opts, struct text *out)
{
    ox_text_adds(out, on_off(opts->tuples_only));
}

static const struct pset_row rows[] = {
    {"border", set_border, say_border, value_border},
    {"columns", set_columns, say_columns, value_columns},
    {"csv_fieldsep", set_csv, say_csv, value_csv},
    {"expanded", set_expanded, say_expanded, value_expanded},
    {"fieldsep", set_fieldsep, say_fieldsep, value_fieldsep},
    {"fieldsep_zero", set_fieldsep_zero, say_fieldsep, value_fieldsep_zero},
    {"footer", set_footer, say_footer, value_footer},
    {"format", set_format, say_format, value_format},
    {"linestyle", set_linestyle, say_linestyle, value_linestyle},
    {"null", set_null, say_null, value_null},
    {"pager", set_pager, say_pager, value_pager},
    {"pager_min_lines", set_pager_lines, say_pager_lines, value_pager_lines},
    {"recordsep", set_recordsep, say_recordsep, value_recordsep},
    {"recordsep_zero", set_recordsep_zero, say_recordsep, value_recordsep_zero},
    {"tableattr", set_tableattr, say_tableattr, value_tableattr},
    {"title", set_title, say_title, value_title},
    {"tuples_only", set_tuples, say_tuples, value_tuples},
};

static const struct pset_row *
row_find(const char *name)
{
    static const char *const aliases[][2] = {
        {"x", "expanded"}, {"vertical", "expanded"}, {"t", "tuples_only"}, {"T", "tableattr"},
        {"C", "title"}, {"f", "fieldsep"}};
    for (size_t i = 0; i < ox_count(aliases); i++)
        if (strcmp(name, aliases[i][0]) == 0)
            name = aliases[i][1];
    for (size_t i = 0; i < ox_count(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

bool
pset_set(struct shell *sh, struct print_opts *opts, const char *name, const char *value, bool quiet)
{
    const struct pset_row *row = row_find(name);
    if (!row) {
        shell_error(sh, "\\pset: unknown option: %s", name);
        return false;
    }
    if (!row->set(sh, opts, name, value))
        return false;
    bool silent = value && (row->set == set_tuples || row->set == set_footer); /* as in psql */
    if (!quiet && !silent)
        row->say(opts);
    return true;
}

void
pset_show_all(struct shell *sh)
{
    struct text out;
    ox_text_init(&out, NULL);
    for (size_t i = 0; i < ox_count(rows); i++) {
        ox_text_clear(&out);
        rows[i].value(&sh->print, &out);
        printf("%-24s %s\n", rows[i].name, out.len ? out.ptr : "");
    }
    ox_text_fini(&out);
}

const char *const *
pset_names(void)
{
    static const char *names[ox_count(rows) + 1];
    for (size_t i = 0; i < ox_count(rows); i++)
        names[i] = rows[i].name;
    return names;
}
