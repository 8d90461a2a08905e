/* SPDX-License-Identifier: Apache-2.0
 *
 * What the shell says about itself: --help, \?, \h. */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "shell/shell.h"

/* A line of the lists below: heading when text is NULL. */
struct help_line {
    const char *what, *text;
};

static void print_lines(struct shell *sh, const struct help_line *lines, size_t count, int width);

void
help_usage(FILE *out)
{
    fputs(
        "oxsql is the shell of Oxbow.\n"
        "\n"
        "Usage:\n"
        "  oxsql [OPTION]... [DBNAME [USERNAME]]\n"
        "\n"
        "General options:\n"
        "  -c, --command=COMMAND    run one command (SQL or internal), then exit; may be repeated\n"
        "  -d, --dbname=DBNAME      database or connection string (default: \"oxbow\")\n"
        "  -f, --file=FILENAME      run the commands of a file, then exit; may be repeated\n"
        "  -l, --list               list databases, then exit\n"
        "  -v, --set=NAME=VALUE     set a variable (e.g. -v ON_ERROR_STOP=1)\n"
        "  -V, --version            print the version, then exit\n"
        "  -X, --no-oxsqlrc         do not read the start-up file (~/.oxsqlrc)\n"
        "  -1, --single-transaction run -c and -f as a single transaction\n"
        "  -?, --help[=options]     print this help, then exit\n"
        "      --help=commands      list backslash commands, then exit\n"
        "      --help=variables     list special variables, then exit\n"
        "\n"
        "Input and output options:\n"
        "  -a, --echo-all           print all input of scripts\n"
        "  -b, --echo-errors        print statements that failed\n"
        "  -e, --echo-queries       print statements as they are sent\n"
        "  -E, --echo-hidden        print the queries behind backslash commands\n"
        "  -L, --log-file=FILENAME  copy the session to a file\n"
        "  -n, --no-readline        no line editing\n"
        "  -o, --output=FILENAME    write results to a file (or |program)\n"
        "  -q, --quiet              no messages, only results\n"
        "  -s, --single-step        ask before each statement\n"
        "  -S, --single-line        the end of a line ends a statement\n"
        "\n"
        "Output format options:\n"
        "  -A, --no-align           unaligned output\n"
        "      --csv                comma-separated values\n"
        "      --json               an array of JSON objects, one to a line\n"
        "  -F, --field-separator=STRING\n"
        "                           separator of unaligned fields (default: \"|\")\n"
        "  -H, --html               HTML tables\n"
        "  -P, --pset=VAR[=ARG]     set an output option (see \\pset)\n"
        "  -R, --record-separator=STRING\n"
        "                           separator of unaligned records (default: newline)\n"
        "  -t, --tuples-only        rows only\n"
        "  -T, --table-attr=TEXT    attributes of the HTML table tag\n"
        "  -x, --expanded           a line per column\n"
        "  -z, --field-separator-zero\n"
        "                           separate unaligned fields by a zero byte\n"
        "  -0, --record-separator-zero\n"
        "                           separate unaligned records by a zero byte\n"
        "\n"
        "Connection options (and environment):\n"
        "  -h, --host=HOSTNAME      server host or socket directory (PGHOST, default: \"127.0.0.1\")\n"
        "  -p, --port=PORT          server port (PGPORT, default: \"9432\")\n"
        "  -U, --username=USERNAME  user name (PGUSER)\n"
        "  -w, --no-password        never ask for a password\n"
        "  -W, --password           ask for a password first\n"
        "\n"
        "For more, type \"\\?\" (internal commands) or \"\\h\" (SQL commands) in oxsql.\n",
        out);
}

static const struct help_line command_lines[] = {
    {"Topics and groups", NULL},
    {"\\d[S+]", "list topics"},
    {"\\d[S+] NAME", "describe a topic, table or view"},
    {"\\dt[+] [PATTERN]", "list topics; +: partitions, records, bytes, lag"},
    {"\\follow TOPIC [N]", "show the last N records (10) and new ones as they come; Ctrl-C ends"},
    {"\\tail TOPIC [N]", "show the last N records"},
    {"\\peek TOPIC PART OFFSET", "show one record byte by byte"},
    {"\\produce TOPIC", "append records typed as key<TAB>value, one a line"},
    {"\\lag [GROUP]", "show how far consumer groups are behind"},
    {"\\groups[+] [PATTERN]", "list consumer groups (also \\dcg)"},
    {"\\config TOPIC", "show the settings of a topic"},
    {"General", NULL},
    {"\\bind [PARAM]...", "set parameters of the next statement"},
    {"\\errverbose", "show the last error with all its fields"},
    {"\\g [(OPTIONS)] [FILE]", "send the statement (result to file or |program)"},
    {"\\gdesc", "show what columns the statement has, without running it"},
    {"\\gexec", "send the statement, then each value of its result"},
    {"\\gset [PREFIX]", "send the statement, keep its row in variables"},
    {"\\gx [(OPTIONS)] [FILE]", "as \\g, expanded"},
    {"\\q", "quit"},
    {"\\watch [SEC]", "send the statement every SEC seconds"},
    {"Help", NULL},
    {"\\? [commands]", "this list"},
    {"\\? options", "command-line options"},
    {"\\? variables", "special variables"},
    {"\\h [NAME]", "syntax of SQL commands, * for all"},
    {"Statement at hand", NULL},
    {"\\e [FILE]", "edit it (or a file) in an editor"},
    {"\\p", "print it"},
    {"\\r", "forget it"},
    {"\\s [FILE]", "print the history, or save it to a file"},
    {"\\w FILE", "write it to a file"},
    {"Input and output", NULL},
    {"\\copy ...", "COPY with a file or program on this side"},
    {"\\echo [-n] [STRING]", "write to standard output"},
    {"\\i FILE", "run the commands of a file"},
    {"\\ir FILE", "as \\i, relative to the script at hand"},
    {"\\o [FILE]", "write results to a file or |program"},
    {"\\qecho [-n] [STRING]", "write to where results go"},
    {"\\warn [-n] [STRING]", "write to standard error"},
    {"Conditions", NULL},
    {"\\if EXPR", "begin a conditional block"},
    {"\\elif EXPR", "alternative"},
    {"\\else", "last alternative"},
    {"\\endif", "end the block"},
    {"Lists (S = system objects too, + = more detail)", NULL},
    {"\\dconfig[+] [PATTERN]", "settings"},
    {"\\df[S+] [PATTERN]", "functions"},
    {"\\di[S+] [PATTERN]", "indexes"},
    {"\\dm[S+] [PATTERN]", "materialized views"},
    {"\\dn[S+] [PATTERN]", "schemas"},
    {"\\dp [PATTERN]", "access privileges (also \\z)"},
    {"\\ds[S+] [PATTERN]", "sequences"},
    {"\\dT[S+] [PATTERN]", "data types"},
    {"\\du[+] [PATTERN]", "roles (also \\dg)"},
    {"\\dv[S+] [PATTERN]", "views"},
    {"\\dx [PATTERN]", "extensions"},
    {"\\l[+] [PATTERN]", "databases"},
    {"Format", NULL},
    {"\\a", "switch between aligned and unaligned output"},
    {"\\C [STRING]", "set the table title, or unset it"},
    {"\\f [STRING]", "set the field separator of unaligned output"},
    {"\\H", "switch HTML output"},
    {"\\pset [NAME [VALUE]]", "set an output option: border columns csv_fieldsep expanded fieldsep\n"
                              "fieldsep_zero footer format linestyle null pager pager_min_lines\n"
                              "recordsep recordsep_zero tableattr title tuples_only"},
    {"\\t [on|off]", "rows only"},
    {"\\T [STRING]", "set attributes of the HTML table tag"},
    {"\\x [on|off|auto]", "expanded output"},
    {"Connection", NULL},
    {"\\c [DBNAME|- USER|- HOST|- PORT|-]", "connect anew; or a connection string"},
    {"\\conninfo", "show the connection"},
    {"\\encoding [ENCODING]", "show or set the client encoding"},
    {"Operating system", NULL},
    {"\\cd [DIR]", "change the directory"},
    {"\\getenv VAR ENVVAR", "set a variable from the environment"},
    {"\\setenv NAME [VALUE]", "set or unset an environment variable"},
    {"\\timing [on|off]", "show how long statements take"},
    {"\\! [COMMAND]", "run a command in a shell"},
    {"Variables", NULL},
    {"\\prompt [TEXT] NAME", "ask for a value"},
    {"\\set [NAME [VALUE]]", "set a variable, or list all"},
    {"\\unset NAME", "unset a variable"},
};

void
help_commands(struct shell *sh)
{
    print_lines(sh, command_lines, ox_count(command_lines), 26);
}

static void
print_lines(struct shell *sh, const struct help_line *lines, size_t count, int width)
{
    FILE *out = print_pager_open(&sh->print, stdout, count + 14, false);
    for (size_t i = 0; i < count; i++) {
        if (!lines[i].text) {
            fprintf(out, "%s%s\n", i ? "\n" : "", lines[i].what);
            continue;
        }
        fprintf(out, "  %-*s ", width, lines[i].what);
        if ((int)strlen(lines[i].what) > width)
            fprintf(out, "\n  %*s ", width, "");
        for (const char *c = lines[i].text; *c; c++) {
            fputc(*c, out);
            if (*c == '\n')
                fprintf(out, "  %*s ", width, "");
        }
        fputc('\n', out);
    }
    print_pager_close(out, stdout);
}

void
help_variables(struct shell *sh)
{
    const char *name, *doc;
    FILE *out = print_pager_open(&sh->print, stdout, 120, false);
    fputs("Special variables: set with \\set NAME VALUE or oxsql --set=NAME=VALUE\n\n", out);
    for (size_t i = 0; (name = vars_known(i, &doc)); i++) {
        fprintf(out, "  %s\n    %s", name, doc);
        const char *const *choice = vars_choices(name);
        for (size_t k = 0; choice && choice[k]; k++)
            fprintf(out, "%s%s", k ? ", " : " [", choice[k]);
        fprintf(out, "%s\n", choice ? "]" : "");
    }
    fputs("\nEnvironment: PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGPASSFILE and libpq's others,\n"
          "COLUMNS, EDITOR, OXSQL_EDITOR, OXSQL_HISTORY, OXSQL_PAGER, OXSQLRC, PAGER, SHELL, TMPDIR\n",
        out);
    print_pager_close(out, stdout);
}

static void
list_pages(void)
{
    size_t count = 0, widest = 0;
    for (; help_pages[count].name; count++)
        widest = OX_MAX(widest, strlen(help_pages[count].name));
    struct winsize size;
    int paper = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    size_t columns = OX_MAX((size_t)paper / (widest + 3), (size_t)1);
    size_t rows = (count + columns - 1) / columns;
    puts("Available help:");
    for (size_t row = 0; row < rows; row++) {
        fputs("  ", stdout);
        for (size_t i = row; i < count; i += rows)
            printf("%-*s", i + rows < count ? (int)widest + 2 : 0, help_pages[i].name);
        fputc('\n', stdout);
    }
}

static void
print_page(const struct help_page *page, FILE *out)
{
    fprintf(out, "Command:     %s\nDescription: %s\nSyntax:\n%s\n", page->name, page->summary,
        page->synopsis);
}

/* Whether a line of the synopsis begins with the words: START TRANSACTION stands on BEGIN's page. */
static bool
page_spells(const struct help_page *page, const char *topic)
{
    size_t len = strlen(topic);
    for (const char *line = page->synopsis; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, topic, len) == 0 && !isalnum((unsigned char)line[len]))
            return true;
    }
    return false;
}

/* A full name wins; then all pages that begin so or spell it in their synopsis, with fewer and
 * fewer words. */
void
help_sql(struct shell *sh, const char *topic)
{
    if (!topic || !*topic) {
        list_pages();
        return;
    }
    size_t len = strlen(topic), found = 0, lines = 0;
    bool all = strcmp(topic, "*") == 0;
    while (!all && len > 0 && found == 0) {
        for (size_t i = 0; help_pages[i].name; i++)
            found += strncasecmp(help_pages[i].name, topic, len) == 0;
        for (size_t i = 0; found == 0 && help_pages[i].name; i++)
            if (page_spells(&help_pages[i], topic)) {
                print_page(&help_pages[i], stdout);
                return;
            }
        if (found > 0)
            break;
        while (len > 0 && topic[len - 1] != ' ')
            len--;
        while (len > 0 && topic[len - 1] == ' ')
            len--;
    }
    if (!all && found == 0) {
        printf("No help available for \"%s\".\nTry \\h with no arguments to see available help.\n", topic);
        return;
    }
    for (size_t i = 0; help_pages[i].name; i++)
        lines += 8;
    FILE *out = print_pager_open(&sh->print, stdout, found > 2 || all ? lines : 10, false);
    for (size_t i = 0; help_pages[i].name; i++) {
        bool exact = strcasecmp(help_pages[i].name, topic) == 0;
        if (all || exact || strncasecmp(help_pages[i].name, topic, len) == 0)
            print_page(&help_pages[i], out);
        if (exact)
            break;
    }
    print_pager_close(out, stdout);
}
