/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "shell/print.h"
#include "tap.h"

static const char *const headers[] = {"id", "a long name", "t"};
static const bool right[] = {true, false, false};
static const enum print_kind kinds[] = {KIND_NUMBER, KIND_TEXT, KIND_BOOL};
static const char *const cells[] = {"1", "hello", "t", "22", "two\nlines", NULL};

static const char *
printed(const struct print_opts *opts, size_t rows)
{
    static char *out;
    size_t len;
    free(out);
    FILE *file = open_memstream(&out, &len);
    struct print_table table = {.columns = 3, .rows = rows, .headers = headers, .cells = cells,
        .right = right, .kinds = kinds};
    print_table(&table, opts, file);
    fclose(file);
    return out;
}

static const char *
env_none(const char *name)
{
    (void)name;
    return NULL;
}

static void
test_live(struct print_opts *opts)
{
    char *out = NULL;
    size_t len;
    FILE *file = open_memstream(&out, &len);
    struct print_live live = {0};
    struct print_table table = {.columns = 3, .rows = 1, .headers = headers, .cells = cells,
        .right = right};
    print_live_rows(&live, &table, opts, file);
    table.cells = (const char *const[]){"333", "x", "f"};
    print_live_rows(&live, &table, opts, file);
    print_live_end(&live, opts, file, 2);
    print_live_fini(&live);
    fclose(file);
    is_str(out,
        " id | a long name | t \n----+-------------+---\n  1 | hello       | t\n 333 | x           | f\n"
        "(2 rows)\n\n",
        "live rows keep the widths they began with, and grow");
    free(out);
}

int
main(void)
{
    struct print_opts opts;
    print_opts_init(&opts);
    opts.env = env_none;
    is_str(printed(&opts, 2),
        " id | a long name | t \n"
        "----+-------------+---\n"
        "  1 | hello       | t\n"
        " 22 | two        +| \n"
        "    | lines       | \n"
        "(2 rows)\n\n",
        "aligned");
    is_str(printed(&opts, 0), " id | a long name | t \n----+-------------+---\n(0 rows)\n\n", "no rows");
    is_str(printed(&opts, 1),
        " id | a long name | t \n----+-------------+---\n  1 | hello       | t\n(1 row)\n\n", "one row");
    opts.border = 2;
    opts.unicode = true;
    opts.null = "-";
    is_str(printed(&opts, 2),
        "┌────┬─────────────┬───┐\n"
        "│ id │ a long name │ t │\n"
        "├────┼─────────────┼───┤\n"
        "│  1 │ hello       │ t │\n"
        "│ 22 │ two        ↵│ - │\n"
        "│    │ lines       │   │\n"
        "└────┴─────────────┴───┘\n"
        "(2 rows)\n\n",
        "unicode frame, null text");
    opts.unicode = false;
    opts.border = 0;
    is_str(printed(&opts, 1), "id a long name t \n-- ----------- -\n 1 hello       t\n(1 row)\n\n", "border 0");
    opts.border = 1;
    opts.expanded = EXPANDED_ON;
    is_str(printed(&opts, 2),
        "-[ RECORD 1 ]------\n"
        "id          | 1\n"
        "a long name | hello\n"
        "t           | t\n"
        "-[ RECORD 2 ]------\n"
        "id          | 22\n"
        "a long name | two  +\n"
        "            | lines\n"
        "t           | -\n\n",
        "expanded");
    opts.expanded = EXPANDED_OFF;
    opts.null = "";
    opts.format = FORMAT_WRAPPED;
    opts.columns = 20;
    is_str(printed(&opts, 1), " id | a long name | t \n----+-------------+---\n  1 | hello       | t\n(1 row)\n\n",
        "wrapped leaves headers whole");
    opts.format = FORMAT_UNALIGNED;
    is_str(printed(&opts, 2), "id|a long name|t\n1|hello|t\n22|two\nlines|\n(2 rows)\n", "unaligned");
    opts.tuples_only = true;
    opts.fieldsep = ",";
    is_str(printed(&opts, 1), "1,hello,t\n", "rows only, other separator");
    opts.tuples_only = false;
    opts.format = FORMAT_CSV;
    is_str(printed(&opts, 2), "id,a long name,t\n1,hello,t\n22,\"two\nlines\",\n", "csv");
    opts.format = FORMAT_JSON;
    is_str(printed(&opts, 2),
        "[{\"id\": 1, \"a long name\": \"hello\", \"t\": true},\n"
        " {\"id\": 22, \"a long name\": \"two\\nlines\", \"t\": null}]\n",
        "json");
    is_str(printed(&opts, 0), "[]\n", "json of nothing");
    opts.format = FORMAT_JSONL;
    is_str(printed(&opts, 1), "{\"id\": 1, \"a long name\": \"hello\", \"t\": true}\n", "json lines");
    opts.format = FORMAT_ALIGNED;
    test_live(&opts);
    int width;
    size_t lines;
    cell_measure("日本\na", 6, &width, &lines);
    is_int(width, 4, "wide characters take two columns");
    is_int(lines, 2, "lines are counted");
    cell_measure("\t\x01", 6, &width, &lines);
    is_int(width, 12, "tabs and control characters are spelled out");
    return done();
}
