/* SPDX-License-Identifier: Apache-2.0
 *
 * oxsql's start: options, start-up file, then the actions of -c and -f or the
 * prompt. */
#include "config.h"

#include "shell/shell.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


enum action_kind { ACTION_COMMAND, ACTION_FILE };
struct action {
    enum action_kind kind;
    const char *text;
};

struct options {
    struct conn_wish wish;
    const char *output, *log;
    bool list, no_rc;
    struct action *actions;
    size_t action_count;
};

static void parse_options(struct shell *sh, int argc, char **argv, struct options *options);
static int run_actions(struct shell *sh, const struct options *options);
static void run_rc(struct shell *sh);

static void
var_changed(void *arg, const char *name)
{
    struct shell *sh = arg;
    if (strcmp(name, "VERBOSITY") == 0 || strcmp(name, "SHOW_CONTEXT") == 0)
        conn_settings(sh);
}

static void
shell_init(struct shell *sh)
{
    memset(sh, 0, sizeof(*sh));
    sh->program = "oxsql";
    sh->out = stdout;
    sh->prompt = PROMPT_READY;
    ox_arena_init(&sh->session);
    ox_arena_init(&sh->arena);
    print_opts_init(&sh->print);
    vars_init(&sh->vars);
    sh->vars.changed = var_changed;
    sh->vars.arg = sh;
    vars_set(&sh->vars, "VERSION", "oxsql " PACKAGE_VERSION, NULL);
    vars_set(&sh->vars, "VERSION_NAME", PACKAGE_VERSION, NULL);
    vars_set(&sh->vars, "VERSION_NUM", "000100", NULL);
    vars_set(&sh->vars, "LAST_ERROR_MESSAGE", "", NULL);
    vars_set(&sh->vars, "LAST_ERROR_SQLSTATE", "00000", NULL);
    sh->notty = !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
}

static void
shell_fini(struct shell *sh)
{
    if (sh->out != stdout)
        query_output_close(sh->out, sh->out_pipe);
    if (sh->log)
        fclose(sh->log);
    query_once_reset(sh);
    PQclear(sh->last_error);
    PQfinish(sh->conn);
    PQfinish(sh->dead);
    vars_fini(&sh->vars);
    ox_arena_fini(&sh->arena);
    ox_arena_fini(&sh->session);
}

static bool
open_files(struct shell *sh, const struct options *options)
{
    if (options->output) {
        FILE *out = query_output_open(sh, options->output, &sh->out_pipe);
        if (!out)
            return false;
        sh->out = out;
    }
    if (options->log && !(sh->log = fopen(options->log, "a"))) {
        shell_error(sh, "could not open log file \"%s\": %s", options->log, strerror(errno));
        return false;
    }
    return true;
}

static int
run_prompt(struct shell *sh)
{
    bool person = !sh->notty;
    if (person && !sh->vars.set.quiet)
        conn_banner(sh);
    if (person)
        input_open(sh);
    int code = script_run(sh, stdin, NULL);
    if (person)
        input_close(sh);
    return code;
}

static int
run(struct shell *sh, const struct options *options)
{
    if (!open_files(sh, options))
        return EXIT_FAILED;
    if (!conn_open(sh, &options->wish))
        return EXIT_BADCONN;
    sh->in = stdin;
    if (options->list)
        return describe_run(sh, "l") == BS_OK ? EXIT_OK : EXIT_FAILED;
    if (!options->no_rc)
        run_rc(sh);
    return options->action_count > 0 ? run_actions(sh, options) : run_prompt(sh);
}

int
main(int argc, char **argv)
{
    struct shell sh;
    struct options options = {0};
    setlocale(LC_ALL, "");
    shell_init(&sh);
    parse_options(&sh, argc, argv, &options);
    shell_signals();
    int code = run(&sh, &options);
    ox_free(options.actions);
    shell_fini(&sh);
    return code;
}

/* ~/.oxsqlrc, or the file that OXSQLRC names. */
static void
run_rc(struct shell *sh)
{
    char path[4096];
    const char *named = getenv("OXSQLRC"), *home = getenv("HOME");
    if (!named && !home)
        return;
    snprintf(path, sizeof(path), "%s%s", named ? named : home, named ? "" : "/.oxsqlrc");
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    script_run(sh, file, path);
    fclose(file);
}

static int
run_file(struct shell *sh, const char *path)
{
    if (strcmp(path, "-") == 0)
        return script_run(sh, stdin, sh->notty ? "<stdin>" : NULL);
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "%s: error: %s: %s\n", sh->program, path, strerror(errno));
        return EXIT_FAILED;
    }
    int code = script_run(sh, file, path);
    fclose(file);
    return code;
}

static int
run_actions(struct shell *sh, const struct options *options)
{
    int code = EXIT_OK;
    if (sh->single_txn && !query_command(sh, "BEGIN"))
        return sh->vars.set.on_error_stop ? EXIT_SCRIPT : EXIT_FAILED;
    for (size_t i = 0; i < options->action_count; i++) {
        const struct action *action = &options->actions[i];
        if (action->kind == ACTION_COMMAND)
            code = script_command(sh, action->text) ? EXIT_OK : EXIT_FAILED;
        else
            code = run_file(sh, action->text);
        if (code != EXIT_OK && sh->vars.set.on_error_stop)
            break;
    }
    if (sh->single_txn && sh->conn) {
        bool failed = code != EXIT_OK && sh->vars.set.on_error_stop;
        if (!query_command(sh, failed ? "ROLLBACK" : "COMMIT") && sh->vars.set.on_error_stop)
            code = EXIT_SCRIPT;
    }
    return code;
}

enum { OPT_CSV = 256, OPT_JSON, OPT_HELP };

static const struct option long_options[] = {
    {"echo-all", no_argument, NULL, 'a'}, {"no-align", no_argument, NULL, 'A'},
    {"echo-errors", no_argument, NULL, 'b'}, {"command", required_argument, NULL, 'c'},
    {"dbname", required_argument, NULL, 'd'}, {"echo-queries", no_argument, NULL, 'e'},
    {"echo-hidden", no_argument, NULL, 'E'}, {"file", required_argument, NULL, 'f'},
    {"field-separator", required_argument, NULL, 'F'}, {"host", required_argument, NULL, 'h'},
    {"html", no_argument, NULL, 'H'}, {"list", no_argument, NULL, 'l'},
    {"log-file", required_argument, NULL, 'L'}, {"no-readline", no_argument, NULL, 'n'},
    {"output", required_argument, NULL, 'o'}, {"port", required_argument, NULL, 'p'},
    {"pset", required_argument, NULL, 'P'}, {"quiet", no_argument, NULL, 'q'},
    {"record-separator", required_argument, NULL, 'R'}, {"single-step", no_argument, NULL, 's'},
    {"single-line", no_argument, NULL, 'S'}, {"tuples-only", no_argument, NULL, 't'},
    {"table-attr", required_argument, NULL, 'T'}, {"username", required_argument, NULL, 'U'},
    {"set", required_argument, NULL, 'v'}, {"variable", required_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'}, {"no-password", no_argument, NULL, 'w'},
    {"password", no_argument, NULL, 'W'}, {"expanded", no_argument, NULL, 'x'},
    {"no-oxsqlrc", no_argument, NULL, 'X'}, {"no-psqlrc", no_argument, NULL, 'X'},
    {"field-separator-zero", no_argument, NULL, 'z'},
    {"record-separator-zero", no_argument, NULL, '0'},
    {"single-transaction", no_argument, NULL, '1'}, {"csv", no_argument, NULL, OPT_CSV},
    {"json", no_argument, NULL, OPT_JSON}, {"help", optional_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0}};

static void
add_action(struct options *options, enum action_kind kind, const char *text)
{
    options->actions =
        ox_realloc(options->actions, (options->action_count + 1) * sizeof(*options->actions));
    options->actions[options->action_count++] = (struct action){kind, text};
}

static void
set_or_die(struct shell *sh, const char *name, const char *value)
{
    struct text why;
    ox_text_init(&why, NULL);
    if (!vars_set(&sh->vars, name, value, &why)) {
        shell_error(sh, "%s", why.ptr);
        exit(EXIT_FAILED);
    }
    ox_text_fini(&why);
}

/* NAME=VALUE of -v and -P, cut apart in place; value NULL without '='. */
static void
split_assignment(char *text, char **value)
{
    *value = strchr(text, '=');
    if (*value)
        *(*value)++ = '\0';
}

static void
option_help(struct shell *sh, const char *about)
{
    if (about && strcmp(about, "commands") == 0)
        help_commands(sh);
    else if (about && strcmp(about, "variables") == 0)
        help_variables(sh);
    else
        help_usage(stdout);
    exit(EXIT_OK);
}

/* Options that only set a variable or a print setting. True if it was one. */
static bool
simple_option(struct shell *sh, int option)
{
    static const struct {
        int option;
        const char *name, *value;
        bool print;
    } rows[] = {{'a', "ECHO", "all", false}, {'b', "ECHO", "errors", false},
        {'e', "ECHO", "queries", false}, {'E', "ECHO_HIDDEN", "on", false},
        {'q', "QUIET", "on", false}, {'s', "SINGLESTEP", "on", false},
        {'S', "SINGLELINE", "on", false}, {'A', "format", "unaligned", true},
        {'H', "format", "html", true}, {OPT_CSV, "format", "csv", true},
        {OPT_JSON, "format", "json", true}, {'t', "tuples_only", "on", true},
        {'x', "expanded", "on", true}, {'z', "fieldsep_zero", NULL, true},
        {'0', "recordsep_zero", NULL, true}};
    for (size_t i = 0; i < ox_count(rows); i++) {
        if (rows[i].option != option)
            continue;
        if (rows[i].print)
            pset_set(sh, &sh->print, rows[i].name, rows[i].value, true);
        else
            set_or_die(sh, rows[i].name, rows[i].value);
        return true;
    }
    return false;
}

static bool
value_option(struct shell *sh, int option, char *arg, struct options *options)
{
    char *value;
    switch (option) {
    case 'c':
        add_action(options, ACTION_COMMAND, arg);
        return true;
    case 'f':
        add_action(options, ACTION_FILE, arg);
        return true;
    case 'd':
        options->wish.dbname = arg;
        return true;
    case 'h':
        options->wish.host = arg;
        return true;
    case 'p':
        options->wish.port = arg;
        return true;
    case 'U':
        options->wish.user = arg;
        return true;
    case 'o':
        options->output = arg;
        return true;
    case 'L':
        options->log = arg;
        return true;
    case 'F':
        return pset_set(sh, &sh->print, "fieldsep", arg, true);
    case 'R':
        return pset_set(sh, &sh->print, "recordsep", arg, true);
    case 'T':
        return pset_set(sh, &sh->print, "tableattr", arg, true);
    case 'P':
        split_assignment(arg, &value);
        if (!pset_set(sh, &sh->print, arg, value, true)) {
            shell_error(sh, "could not set printing parameter \"%s\"", arg);
            exit(EXIT_FAILED);
        }
        return true;
    case 'v':
        split_assignment(arg, &value);
        if (value)
            set_or_die(sh, arg, value);
        else
            vars_set(&sh->vars, arg, NULL, NULL);
        return true;
    default:
        return false;
    }
}

static void
parse_options(struct shell *sh, int argc, char **argv, struct options *options)
{
    int option;
    while ((option = getopt_long(argc, argv, "aAbc:d:eEf:F:h:HlL:no:p:P:qR:sStT:U:v:VwWxXz?01",
                long_options, NULL)) != -1) {
        if (simple_option(sh, option) || value_option(sh, option, optarg, options))
            continue;
        switch (option) {
        case 'l':
            options->list = true;
            break;
        case 'n':
            sh->no_readline = true;
            break;
        case 'V':
            puts("oxsql (Oxbow) " PACKAGE_VERSION);
            exit(EXIT_OK);
        case 'w':
            sh->password = PASSWORD_NEVER;
            break;
        case 'W':
            sh->password = PASSWORD_ALWAYS;
            break;
        case 'X':
            options->no_rc = true;
            break;
        case '1':
            sh->single_txn = true;
            break;
        case OPT_HELP:
            option_help(sh, optarg);
            break;
        case '?':
            if (optind <= argc && strcmp(argv[optind - 1], "-?") == 0)
                option_help(sh, NULL);
            fprintf(stderr, "%s: hint: Try \"%s --help\" for more information.\n", sh->program, sh->program);
            exit(EXIT_FAILED);
        }
    }
    for (; optind < argc; optind++) {
        if (!options->wish.dbname)
            options->wish.dbname = argv[optind];
        else if (!options->wish.user)
            options->wish.user = argv[optind];
        else if (!sh->vars.set.quiet)
            shell_warn(sh, "extra command-line argument \"%s\" ignored", argv[optind]);
    }
    if (sh->single_txn && options->action_count == 0) {
        shell_error(sh, "-1 can only be used in non-interactive mode");
        exit(EXIT_FAILED);
    }
}
