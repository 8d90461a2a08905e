/* SPDX-License-Identifier: Apache-2.0
 *
 * Backslash commands: a table of names, each with the function that reads its
 * arguments and does it. In a branch of \if that is not taken only the
 * conditions run. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell/shell.h"

typedef enum backslash_result (*command_fn)(struct shell *sh, const char *name);

struct command_row {
    const char *name;
    command_fn run;
};

static const struct command_row *command_find(const char *name);
static bool cond_command(struct shell *sh, const char *name, enum backslash_result *result);

static void
command_name(struct shell *sh, char *name, size_t size)
{
    struct str rest = splitter_rest(sh->splitter);
    size_t len = 0;
    while (len < rest.len && !isspace((unsigned char)rest.ptr[len]) && rest.ptr[len] != '\\')
        len++;
    snprintf(name, size, "%.*s", (int)len, rest.ptr);
    splitter_skip(sh->splitter, len);
}

/* What is left of the arguments is named and dropped; a second backslash ends the command. */
static void
command_end(struct shell *sh, const char *name, bool complain)
{
    char *extra;
    while ((extra = arg_next(sh, ARG_PLAIN, false, NULL)))
        if (complain)
            shell_warn(sh, "\\%s: extra argument \"%s\" ignored", name, extra);
    struct str rest = splitter_rest(sh->splitter);
    if (rest.len >= 2 && rest.ptr[0] == '\\' && rest.ptr[1] == '\\')
        splitter_skip(sh->splitter, 2);
}

enum backslash_result
backslash_run(struct shell *sh)
{
    enum backslash_result result = BS_UNKNOWN;
    ox_arena_reset(&sh->arena);
    char name[64]; /* not in the arena: a script run by the command resets it */
    command_name(sh, name, sizeof(name));
    if (cond_command(sh, name, &result)) {
        command_end(sh, name, result == BS_OK);
        return result;
    }
    if (!script_active(sh)) {
        if (sh->interactive)
            shell_warn(sh, "\\%s command ignored; use \\endif or Ctrl-C to exit current \\if block",
                name);
        command_end(sh, name, false);
        return BS_OK;
    }
    const struct command_row *row = command_find(name);
    if (row)
        result = row->run(sh, name);
    else if (name[0] == 'd')
        result = describe_run(sh, name);
    if (result == BS_UNKNOWN) {
        shell_error(sh, "invalid command \\%s", name);
        if (sh->interactive)
            shell_say(sh, "Try \\? for help.\n");
        arg_skip_rest(sh);
        return result;
    }
    if (result == BS_ERROR) {
        while (arg_next(sh, ARG_PLAIN, false, NULL))
            ;
    }
    command_end(sh, name, result != BS_ERROR);
    fflush(stdout);
    return result;
}

static enum backslash_result
missing(struct shell *sh, const char *name)
{
    shell_error(sh, "\\%s: missing required argument", name);
    return BS_ERROR;
}

static enum backslash_result
outcome(bool worked)
{
    return worked ? BS_OK : BS_ERROR;
}

static void
skip_all(struct shell *sh)
{
    while (arg_next(sh, ARG_PLAIN, false, NULL))
        ;
}

/* --- output settings --- */

static enum backslash_result
pset_alias(struct shell *sh, const char *setting, const char *value)
{
    return outcome(pset_set(sh, &sh->print, setting, value, sh->vars.set.quiet));
}

static enum backslash_result
do_a(struct shell *sh, const char *name)
{
    return pset_alias(sh, "format", sh->print.format == FORMAT_ALIGNED ? "unaligned" : "aligned");
}

static enum backslash_result
do_html(struct shell *sh, const char *name)
{
    return pset_alias(sh, "format", sh->print.format == FORMAT_HTML ? "aligned" : "html");
}

static enum backslash_result
do_title(struct shell *sh, const char *name)
{
    return pset_alias(sh, "title", arg_next(sh, ARG_PLAIN, true, NULL));
}

static enum backslash_result
do_fieldsep(struct shell *sh, const char *name)
{
    return pset_alias(sh, "fieldsep", arg_next(sh, ARG_PLAIN, false, NULL));
}

static enum backslash_result
do_tuples(struct shell *sh, const char *name)
{
    return pset_alias(sh, "tuples_only", arg_next(sh, ARG_PLAIN, true, NULL));
}

static enum backslash_result
do_tableattr(struct shell *sh, const char *name)
{
    return pset_alias(sh, "tableattr", arg_next(sh, ARG_PLAIN, false, NULL));
}

static enum backslash_result
do_expanded(struct shell *sh, const char *name)
{
    return pset_alias(sh, "expanded", arg_next(sh, ARG_PLAIN, true, NULL));
}

static enum backslash_result
do_pset(struct shell *sh, const char *name)
{
    char *setting = arg_next(sh, ARG_PLAIN, false, NULL);
    if (!setting) {
        pset_show_all(sh);
        return BS_OK;
    }
    return pset_alias(sh, setting, arg_next(sh, ARG_PLAIN, false, NULL));
}

static enum backslash_result
do_timing(struct shell *sh, const char *name)
{
    char *value = arg_next(sh, ARG_PLAIN, true, NULL);
    bool flag = !sh->timing;
    if (value && !vars_parse_bool(value, &flag)) {
        shell_error(sh, "unrecognized value \"%s\" for \"\\timing\": Boolean expected", value);
        return BS_ERROR;
    }
    sh->timing = flag;
    if (!sh->vars.set.quiet)
        puts(flag ? "Timing is on." : "Timing is off.");
    return BS_OK;
}

static enum backslash_result
do_output(struct shell *sh, const char *name)
{
    char *file = arg_next(sh, ARG_FILEPIPE, true, NULL);
    bool is_pipe = false;
    FILE *opened = stdout;
    if (file) {
        opened = query_output_open(sh, file, &is_pipe);
        if (!opened)
            return BS_ERROR;
    }
    if (sh->out != stdout)
        query_output_close(sh->out, sh->out_pipe);
    sh->out = opened;
    sh->out_pipe = is_pipe;
    return BS_OK;
}

/* --- running statements --- */

/* (name=value ...) of \g and \gx: settings for the next result only. */
static bool
once_options(struct shell *sh, char *first)
{
    char *text = first + 1;
    for (;;) {
        bool last = false;
        size_t len = text ? strlen(text) : 0;
        if (len > 0 && text[len - 1] == ')') {
            text[len - 1] = '\0';
            last = true;
        }
        if (text && *text) {
            char *value = strchr(text, '=');
            if (value)
                *value++ = '\0';
            if (!pset_set(sh, &sh->once.print, text, value, true))
                return false;
        }
        if (last)
            return true;
        text = arg_next(sh, ARG_PLAIN, false, NULL);
        if (!text) {
            shell_error(sh, "\\g: missing right parenthesis");
            return false;
        }
    }
}

static enum backslash_result
do_g(struct shell *sh, const char *name)
{
    char *arg = arg_next(sh, ARG_FILEPIPE, false, NULL);
    bool expanded = strcmp(name, "gx") == 0;
    if (expanded || (arg && *arg == '(')) {
        if (!sh->once.has_print)
            sh->once.print = sh->print;
        sh->once.has_print = true;
    }
    if (arg && *arg == '(') {
        if (!once_options(sh, arg)) {
            query_once_reset(sh);
            return BS_ERROR;
        }
        arg = arg_next(sh, ARG_FILEPIPE, false, NULL);
    }
    if (arg)
        sh->once.file = ox_strdup(arg);
    if (expanded)
        sh->once.print.expanded = EXPANDED_ON;
    return BS_SEND;
}

static enum backslash_result
do_gset(struct shell *sh, const char *name)
{
    char *prefix = arg_next(sh, ARG_PLAIN, false, NULL);
    sh->once.gset = ox_strdup(prefix ? prefix : "");
    return BS_SEND;
}

static enum backslash_result
do_gdesc(struct shell *sh, const char *name)
{
    sh->once.gdesc = true;
    return BS_SEND;
}

static enum backslash_result
do_gexec(struct shell *sh, const char *name)
{
    sh->once.gexec = true;
    return BS_SEND;
}

static enum backslash_result
do_bind(struct shell *sh, const char *name)
{
    char *value;
    sh->once.bind = true;
    while ((value = arg_next(sh, ARG_PLAIN, false, NULL))) {
        sh->once.params = ox_realloc(sh->once.params,
            (size_t)(sh->once.param_count + 1) * sizeof(*sh->once.params));
        sh->once.params[sh->once.param_count++] = ox_strdup(value);
    }
    return BS_OK;
}

/* The statement being typed, else the last one sent; NULL and a complaint if neither. */
static const char *
statement_at_hand(struct shell *sh)
{
    if (sh->query->len > 0)
        return sh->query->ptr;
    return sh->previous->len > 0 ? sh->previous->ptr : NULL;
}

static enum backslash_result
do_watch(struct shell *sh, const char *name)
{
    char *arg = arg_next(sh, ARG_PLAIN, true, NULL);
    const char *query = statement_at_hand(sh);
    double seconds = arg ? strtod(arg, NULL) : 2.0;
    if (!query) {
        shell_error(sh, "\\watch cannot be used with an empty query");
        return BS_ERROR;
    }
    char *copy = ox_strdup(query);
    bool worked = query_watch(sh, copy, seconds);
    ox_free(copy);
    ox_text_clear(sh->query);
    splitter_statement_done(sh->splitter);
    if (shell_interrupted && sh->interactive)
        shell_interrupted = 0;
    return outcome(worked);
}

static enum backslash_result
do_print_query(struct shell *sh, const char *name)
{
    const char *query = statement_at_hand(sh);
    if (query)
        puts(query);
    else if (!sh->vars.set.quiet)
        puts("Query buffer is empty.");
    fflush(stdout);
    return BS_OK;
}

static enum backslash_result
do_reset_query(struct shell *sh, const char *name)
{
    ox_text_clear(sh->query);
    splitter_statement_done(sh->splitter);
    if (!sh->vars.set.quiet)
        puts("Query buffer reset (cleared).");
    return BS_OK;
}

static enum backslash_result
do_write_query(struct shell *sh, const char *name)
{
    char *file = arg_next(sh, ARG_FILEPIPE, true, NULL);
    const char *query = statement_at_hand(sh);
    bool is_pipe;
    if (!file)
        return missing(sh, name);
    FILE *out = query_output_open(sh, file, &is_pipe);
    if (!out)
        return BS_ERROR;
    if (query)
        fprintf(out, "%s\n", query);
    query_output_close(out, is_pipe);
    return BS_OK;
}

static bool
run_editor(struct shell *sh, const char *file)
{
    const char *names[] = {"OXSQL_EDITOR", "EDITOR", "VISUAL"}, *editor = NULL;
    struct text command;
    for (size_t i = 0; i < ox_count(names) && !editor; i++)
        editor = getenv(names[i]);
    if (!editor)
        editor = access("/usr/bin/editor", X_OK) == 0 ? "editor" : "vi";
    ox_text_init(&command, NULL);
    ox_text_addf(&command, "exec %s '%s'", editor, file);
    int code = system(command.ptr);
    ox_text_fini(&command);
    if (code != 0)
        shell_error(sh, code == -1 ? "could not start editor \"%s\"" : "editor \"%s\" failed", editor);
    return code == 0;
}

/* A file that is ours alone, whatever others have put in /tmp. */
static bool
edit_write(struct shell *sh, char *file, int suffix_len, const char *query)
{
    int fd = mkstemps(file, suffix_len);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out) {
        shell_error(sh, "could not open temporary file \"%s\": %s", file, strerror(errno));
        return false;
    }
    if (query)
        fprintf(out, "%s%s", query, query[strlen(query) - 1] == '\n' ? "" : "\n");
    return fclose(out) == 0;
}

static bool
edit_read(struct shell *sh, const char *file)
{
    char block[8192];
    size_t len;
    FILE *in = fopen(file, "r");
    if (!in) {
        shell_error(sh, "%s: %s", file, strerror(errno));
        return false;
    }
    ox_text_clear(sh->query);
    while ((len = fread(block, 1, sizeof(block), in)) > 0)
        ox_text_add(sh->query, block, len);
    fclose(in);
    return true;
}

static enum backslash_result
do_edit(struct shell *sh, const char *name)
{
    char *file = arg_next(sh, ARG_PLAIN, true, NULL), temp[] = "/tmp/oxsql.edit.XXXXXX.sql";
    const char *query = statement_at_hand(sh);
    bool ours = file == NULL, worked = true;
    if (ours) {
        file = temp;
        worked = edit_write(sh, temp, (int)strlen(".sql"), query);
    }
    worked = worked && run_editor(sh, file) && edit_read(sh, file);
    if (ours)
        unlink(temp);
    if (worked && sh->query->len > 0 && sh->interactive)
        input_remember(sh, sh->query->ptr);
    return worked ? BS_NEWEDIT : BS_ERROR;
}

/* --- input and output --- */

static enum backslash_result
do_include(struct shell *sh, const char *name)
{
    char *file = arg_next(sh, ARG_PLAIN, true, NULL);
    if (!file)
        return missing(sh, name);
    bool relative = strcmp(name, "ir") == 0 || strcmp(name, "include_relative") == 0;
    const char *slash = sh->in_name ? strrchr(sh->in_name, '/') : NULL;
    if (relative && file[0] != '/' && slash)
        file = ox_arena_printf(&sh->arena, "%.*s%s", (int)(slash - sh->in_name + 1), sh->in_name, file);
    file = ox_strdup(file); /* the arena goes with the first command of the script */
    FILE *in = fopen(file, "r");
    int code = EXIT_FAILED;
    if (!in) {
        shell_error(sh, "%s: %s", file, strerror(errno));
    } else {
        code = script_run(sh, in, file);
        fclose(in);
    }
    ox_free(file);
    return outcome(code == EXIT_OK);
}

static enum backslash_result
do_echo(struct shell *sh, const char *name)
{
    FILE *out = strcmp(name, "qecho") == 0  ? sh->out
                : strcmp(name, "warn") == 0 ? stderr
                                            : stdout;
    bool newline = true, first = true;
    char *arg, quoted;
    while ((arg = arg_next(sh, ARG_PLAIN, false, &quoted))) {
        if (first && newline && quoted == 0 && strcmp(arg, "-n") == 0) {
            newline = false;
            continue;
        }
        fprintf(out, "%s%s", first ? "" : " ", arg);
        first = false;
    }
    if (newline)
        fputc('\n', out);
    fflush(out);
    return BS_OK;
}

static enum backslash_result
do_copy(struct shell *sh, const char *name)
{
    return outcome(copy_command(sh, arg_next(sh, ARG_LINE, false, NULL)));
}

static enum backslash_result
do_history(struct shell *sh, const char *name)
{
    char *file = arg_next(sh, ARG_PLAIN, true, NULL);
    if (!file) {
        input_print_history(sh, sh->out);
        return BS_OK;
    }
    if (!input_save(sh, file, true))
        return BS_ERROR;
    if (!sh->vars.set.quiet)
        printf("Wrote history to file \"%s\".\n", file);
    return BS_OK;
}

/* --- connection --- */

static const char *
wish_arg(struct shell *sh, enum arg_kind kind)
{
    char *arg = arg_next(sh, kind, true, NULL);
    return arg && strcmp(arg, "-") != 0 && *arg ? arg : NULL;
}

static enum backslash_result
do_connect(struct shell *sh, const char *name)
{
    struct conn_wish wish = {0};
    wish.dbname = wish_arg(sh, ARG_IDENT_KEEP);
    wish.user = wish_arg(sh, ARG_IDENT_KEEP);
    wish.host = wish_arg(sh, ARG_IDENT_KEEP);
    wish.port = wish_arg(sh, ARG_PLAIN);
    return outcome(conn_switch(sh, &wish));
}

static enum backslash_result
do_conninfo(struct shell *sh, const char *name)
{
    return outcome(conn_info_print(sh));
}

static enum backslash_result
do_encoding(struct shell *sh, const char *name)
{
    char *encoding = arg_next(sh, ARG_PLAIN, false, NULL);
    if (!sh->conn)
        return BS_ERROR;
    if (!encoding) {
        puts(pg_encoding_to_char(PQclientEncoding(sh->conn)));
        return BS_OK;
    }
    if (PQsetClientEncoding(sh->conn, encoding) == -1) {
        shell_error(sh, "%s: invalid encoding name or conversion procedure not found", encoding);
        return BS_ERROR;
    }
    conn_settings(sh);
    conn_variables(sh);
    return BS_OK;
}

static enum backslash_result
do_errverbose(struct shell *sh, const char *name)
{
    if (!sh->last_error) {
        puts("There is no previous error.");
        return BS_OK;
    }
    char *text = PQresultVerboseErrorMessage(sh->last_error, PQERRORS_VERBOSE, PQSHOW_CONTEXT_ALWAYS);
    if (text)
        shell_error(sh, "%s", text);
    PQfreemem(text);
    return BS_OK;
}

/* --- the operating system --- */

static enum backslash_result
do_cd(struct shell *sh, const char *name)
{
    const char *dir = arg_next(sh, ARG_PLAIN, true, NULL);
    if (!dir)
        dir = getenv("HOME");
    if (dir && chdir(dir) == 0)
        return BS_OK;
    shell_error(sh, "\\%s: could not change directory to \"%s\": %s", name, dir ? dir : "",
        strerror(errno));
    return BS_ERROR;
}

static enum backslash_result
do_shell(struct shell *sh, const char *name)
{
    char *command = arg_next(sh, ARG_LINE, false, NULL);
    const char *shell = getenv("SHELL");
    fflush(NULL);
    int code = system(command ? command : shell ? shell : "/bin/sh");
    if (code != -1 && code != 127)
        return BS_OK;
    shell_error(sh, "\\!: failed");
    return BS_ERROR;
}

static enum backslash_result
do_getenv(struct shell *sh, const char *name)
{
    char *var = arg_next(sh, ARG_PLAIN, false, NULL), *env = arg_next(sh, ARG_PLAIN, false, NULL);
    struct text why;
    if (!var || !env)
        return missing(sh, name);
    ox_text_init(&why, &sh->arena);
    if (!getenv(env) || vars_set(&sh->vars, var, getenv(env), &why))
        return BS_OK;
    shell_error(sh, "%s", why.ptr);
    return BS_ERROR;
}

static enum backslash_result
do_setenv(struct shell *sh, const char *name)
{
    char *var = arg_next(sh, ARG_PLAIN, false, NULL), *value = arg_next(sh, ARG_PLAIN, false, NULL);
    if (!var)
        return missing(sh, name);
    if (strchr(var, '=')) {
        shell_error(sh, "\\%s: environment variable name must not contain \"=\"", name);
        return BS_ERROR;
    }
    if (value)
        setenv(var, value, 1);
    else
        unsetenv(var);
    return BS_OK;
}

/* --- variables --- */

static void
print_variables(struct shell *sh)
{
    size_t count;
    const char **names = vars_names(&sh->vars, &count);
    for (size_t i = 0; i < count; i++)
        printf("%s = '%s'\n", names[i], vars_get(&sh->vars, names[i]));
    ox_free(names);
}

static enum backslash_result
do_set(struct shell *sh, const char *name)
{
    char *var = arg_next(sh, ARG_PLAIN, false, NULL), *part;
    struct text value, why;
    if (!var) {
        print_variables(sh);
        return BS_OK;
    }
    ox_text_init(&value, &sh->arena);
    ox_text_init(&why, &sh->arena);
    ox_text_adds(&value, "");
    while ((part = arg_next(sh, ARG_PLAIN, false, NULL))) /* the parts run together */
        ox_text_adds(&value, part);
    if (vars_set(&sh->vars, var, value.ptr, &why))
        return BS_OK;
    shell_error(sh, "%s", why.ptr);
    return BS_ERROR;
}

static enum backslash_result
do_unset(struct shell *sh, const char *name)
{
    char *var = arg_next(sh, ARG_PLAIN, false, NULL);
    struct text why;
    if (!var)
        return missing(sh, name);
    ox_text_init(&why, &sh->arena);
    if (vars_set(&sh->vars, var, NULL, &why))
        return BS_OK;
    shell_error(sh, "%s", why.ptr);
    return BS_ERROR;
}

static enum backslash_result
do_prompt(struct shell *sh, const char *name)
{
    char *first = arg_next(sh, ARG_PLAIN, false, NULL), *second = arg_next(sh, ARG_PLAIN, false, NULL);
    const char *question = second ? first : "", *var = second ? second : first;
    if (!first)
        return missing(sh, name);
    fputs(question, stdout);
    fflush(stdout);
    char *answer = input_file_line(stdin);
    struct text why;
    ox_text_init(&why, &sh->arena);
    if (!answer) {
        shell_error(sh, "\\%s: could not read value for variable", name);
        return BS_ERROR;
    }
    bool worked = vars_set(&sh->vars, var, answer, &why);
    if (!worked)
        shell_error(sh, "%s", why.ptr);
    free(answer);
    return outcome(worked);
}

/* --- help and leaving --- */

static enum backslash_result
do_help(struct shell *sh, const char *name)
{
    char *about = arg_next(sh, ARG_PLAIN, true, NULL);
    if (about && strcmp(about, "options") == 0)
        help_usage(stdout);
    else if (about && strcmp(about, "variables") == 0)
        help_variables(sh);
    else
        help_commands(sh);
    return BS_OK;
}

static enum backslash_result
do_sql_help(struct shell *sh, const char *name)
{
    char *topic = arg_next(sh, ARG_LINE, true, NULL);
    size_t len = topic ? strlen(topic) : 0;
    while (len > 0 && (topic[len - 1] == ';' || isspace((unsigned char)topic[len - 1])))
        topic[--len] = '\0';
    help_sql(sh, topic);
    return BS_OK;
}

static enum backslash_result
do_quit(struct shell *sh, const char *name)
{
    return BS_QUIT;
}

/* --- ours --- */

static enum backslash_result
do_list(struct shell *sh, const char *name)
{
    return describe_run(sh, name);
}

static bool
number_arg(struct shell *sh, const char *name, long fallback, long *out)
{
    char *arg = arg_next(sh, ARG_PLAIN, true, NULL), *end;
    *out = fallback;
    if (!arg)
        return true;
    *out = strtol(arg, &end, 10);
    if (*end == '\0' && end != arg && *out >= 0)
        return true;
    shell_error(sh, "\\%s: \"%s\" is not a number of records", name, arg);
    return false;
}

static enum backslash_result
do_follow(struct shell *sh, const char *name)
{
    char *topic = arg_next(sh, ARG_IDENT, true, NULL);
    long last;
    if (!topic)
        return missing(sh, name);
    if (!number_arg(sh, name, 10, &last))
        return BS_ERROR;
    bool worked = live_follow(sh, topic, last);
    if (sh->interactive)
        shell_interrupted = 0;
    return outcome(worked);
}

static enum backslash_result
do_tail(struct shell *sh, const char *name)
{
    char *topic = arg_next(sh, ARG_IDENT, true, NULL);
    long count;
    if (!topic)
        return missing(sh, name);
    return number_arg(sh, name, 10, &count) ? outcome(describe_tail(sh, topic, count)) : BS_ERROR;
}

static enum backslash_result
do_peek(struct shell *sh, const char *name)
{
    char *topic = arg_next(sh, ARG_IDENT, true, NULL);
    long partition, offset;
    if (!topic)
        return missing(sh, name);
    if (!number_arg(sh, name, 0, &partition) || !number_arg(sh, name, 0, &offset))
        return BS_ERROR;
    return outcome(describe_peek(sh, topic, partition, offset));
}

static enum backslash_result
do_lag(struct shell *sh, const char *name)
{
    return outcome(describe_lag(sh, arg_next(sh, ARG_PLAIN, true, NULL)));
}

static enum backslash_result
do_config(struct shell *sh, const char *name)
{
    char *topic = arg_next(sh, ARG_IDENT, true, NULL);
    return topic ? outcome(describe_config(sh, topic)) : missing(sh, name);
}

static enum backslash_result
do_groups(struct shell *sh, const char *name)
{
    return outcome(describe_groups(sh, arg_next(sh, ARG_PLAIN, true, NULL), strchr(name, '+') != NULL));
}

/* Lines "key<TAB>value" (or "value") up to "\." or the end become records: COPY in text form,
 * with the escapes it needs put in. */
static enum backslash_result
do_produce(struct shell *sh, const char *name)
{
    char *topic = arg_next(sh, ARG_IDENT, true, NULL), *line;
    if (!topic)
        return missing(sh, name);
    if (sh->interactive && !sh->vars.set.quiet)
        puts("Enter records, one a line: key, a tab, value; or a value alone.\n"
             "End with a backslash and a period on a line by itself, or an EOF signal.");
    char *path = ox_arena_strdup(&sh->arena, "/tmp/oxsql.produce.XXXXXX");
    int fd = mkstemp(path);
    FILE *rows = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (!rows) {
        shell_error(sh, "%s: %s", path, strerror(errno));
        return BS_ERROR;
    }
    unlink(path);
    while (!shell_interrupted && (line = input_file_line(sh->in))) {
        bool last = strcmp(line, "\\.") == 0;
        char *tab = strchr(line, '\t');
        if (!last && !tab)
            fputs("\\N\t", rows);
        for (char *c = line; !last && *c; c++) {
            if (*c == '\\')
                fputs("\\\\", rows);
            else if (*c == '\t' && c != tab)
                fputs("\\t", rows);
            else
                fputc(*c, rows);
        }
        if (!last)
            fputc('\n', rows);
        free(line);
        sh->line++;
        if (last)
            break;
    }
    if (sh->in == stdin)
        clearerr(stdin);
    rewind(rows);
    sh->copy_stream = rows;
    sh->once.no_echo = true;
    bool worked = query_send(sh, ox_arena_printf(&sh->arena, "COPY %s (_key, _value) FROM STDIN",
                                     describe_ident(&sh->arena, topic)));
    sh->copy_stream = NULL;
    fclose(rows);
    return outcome(worked);
}

/* --- \if --- */

static bool
cond_test(struct shell *sh, const char *name)
{
    struct text text;
    char *part;
    bool value = false;
    ox_text_init(&text, &sh->arena);
    ox_text_adds(&text, "");
    while ((part = arg_next(sh, ARG_PLAIN, false, NULL)))
        ox_text_addf(&text, "%s%s", text.len ? " " : "", part);
    if (!vars_parse_bool(text.ptr, &value)) {
        shell_error(sh, "unrecognized value \"%s\" for \"\\%s expression\": Boolean expected", text.ptr,
            name);
        value = false;
    }
    return value;
}

/* The text of a branch that was not taken goes. */
static void
cond_drop_text(struct shell *sh)
{
    if (sh->query->len > sh->cond->query_len) {
        sh->query->len = sh->cond->query_len;
        if (sh->query->ptr)
            sh->query->ptr[sh->query->len] = '\0';
    }
    sh->splitter->parens = sh->cond->parens;
}

static void
cond_mark(struct shell *sh)
{
    sh->cond->query_len = sh->query->len;
    sh->cond->parens = sh->splitter->parens;
}

static enum backslash_result
cond_if(struct shell *sh)
{
    bool outer_active = script_active(sh);
    struct cond *cond = ox_calloc(1, sizeof(*cond));
    bool value = false;
    if (outer_active)
        value = cond_test(sh, "if");
    else
        skip_all(sh);
    cond->state = !outer_active ? COND_IGNORED : value ? COND_TRUE : COND_FALSE;
    cond->outer = sh->cond;
    sh->cond = cond;
    cond_mark(sh);
    return BS_OK;
}

static enum backslash_result
cond_elif(struct shell *sh)
{
    switch (sh->cond ? sh->cond->state : COND_NONE) {
    case COND_TRUE:
        sh->cond->state = COND_IGNORED;
        cond_mark(sh);
        skip_all(sh);
        return BS_OK;
    case COND_FALSE:
        cond_drop_text(sh);
        sh->cond->state = COND_TRUE; /* the expression is evaluated as in an active branch */
        sh->cond->state = cond_test(sh, "elif") ? COND_TRUE : COND_FALSE;
        cond_mark(sh);
        return BS_OK;
    case COND_IGNORED:
        skip_all(sh);
        return BS_OK;
    case COND_ELSE_TRUE:
    case COND_ELSE_FALSE:
        shell_error(sh, "\\elif: cannot occur after \\else");
        return BS_ERROR;
    case COND_NONE:
        break;
    }
    shell_error(sh, "\\elif: no matching \\if");
    return BS_ERROR;
}

static enum backslash_result
cond_else(struct shell *sh)
{
    switch (sh->cond ? sh->cond->state : COND_NONE) {
    case COND_TRUE:
        sh->cond->state = COND_ELSE_FALSE;
        cond_mark(sh);
        return BS_OK;
    case COND_FALSE:
        cond_drop_text(sh);
        sh->cond->state = COND_ELSE_TRUE;
        return BS_OK;
    case COND_IGNORED:
        cond_drop_text(sh);
        sh->cond->state = COND_ELSE_FALSE;
        return BS_OK;
    case COND_ELSE_TRUE:
    case COND_ELSE_FALSE:
        shell_error(sh, "\\else: cannot occur after \\else");
        return BS_ERROR;
    case COND_NONE:
        break;
    }
    shell_error(sh, "\\else: no matching \\if");
    return BS_ERROR;
}

static enum backslash_result
cond_endif(struct shell *sh)
{
    struct cond *top = sh->cond;
    if (!top) {
        shell_error(sh, "\\endif: no matching \\if");
        return BS_ERROR;
    }
    if (!script_active(sh))
        cond_drop_text(sh);
    sh->cond = top->outer;
    ox_free(top);
    return BS_OK;
}

static bool
cond_command(struct shell *sh, const char *name, enum backslash_result *result)
{
    if (strcmp(name, "if") == 0)
        *result = cond_if(sh);
    else if (strcmp(name, "elif") == 0)
        *result = cond_elif(sh);
    else if (strcmp(name, "else") == 0)
        *result = cond_else(sh);
    else if (strcmp(name, "endif") == 0)
        *result = cond_endif(sh);
    else
        return false;
    return true;
}

static const struct command_row commands[] = {{"!", do_shell}, {"?", do_help}, {"C", do_title},
    {"H", do_html}, {"T", do_tableattr}, {"a", do_a}, {"bind", do_bind}, {"c", do_connect},
    {"cd", do_cd}, {"config", do_config}, {"connect", do_connect}, {"conninfo", do_conninfo},
    {"copy", do_copy}, {"dcg", do_groups}, {"dcg+", do_groups}, {"e", do_edit}, {"echo", do_echo},
    {"edit", do_edit}, {"encoding", do_encoding}, {"errverbose", do_errverbose}, {"f", do_fieldsep},
    {"follow", do_follow}, {"g", do_g}, {"gdesc", do_gdesc}, {"getenv", do_getenv},
    {"gexec", do_gexec}, {"groups", do_groups}, {"groups+", do_groups}, {"gset", do_gset},
    {"gx", do_g}, {"h", do_sql_help}, {"help", do_sql_help}, {"html", do_html}, {"i", do_include},
    {"include", do_include}, {"include_relative", do_include}, {"ir", do_include}, {"l", do_list},
    {"l+", do_list}, {"lag", do_lag}, {"list", do_list}, {"list+", do_list}, {"o", do_output},
    {"out", do_output}, {"p", do_print_query}, {"peek", do_peek}, {"print", do_print_query},
    {"produce", do_produce}, {"prompt", do_prompt}, {"pset", do_pset}, {"q", do_quit},
    {"qecho", do_echo}, {"quit", do_quit}, {"r", do_reset_query}, {"reset", do_reset_query},
    {"s", do_history}, {"set", do_set}, {"setenv", do_setenv}, {"t", do_tuples}, {"tail", do_tail},
    {"timing", do_timing}, {"unset", do_unset}, {"w", do_write_query}, {"warn", do_echo},
    {"watch", do_watch}, {"write", do_write_query}, {"x", do_expanded}, {"z", do_list}};

static const struct command_row *
command_find(const char *name)
{
    for (size_t i = 0; i < ox_count(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const char *const *
backslash_names(void)
{
    static const char *const lists[] = {"d", "d+", "dS", "dconfig", "df", "df+", "dg", "di", "dm",
        "dn", "dn+", "dp", "ds", "dt", "dt+", "dT", "du", "du+", "dv", "dv+", "dx", "if", "elif",
        "else", "endif"};
    static const char *names[ox_count(commands) + ox_count(lists) + 1];
    static char storage[ox_count(commands) + ox_count(lists)][24];
    size_t filled = 0;
    if (names[0])
        return names;
    for (size_t i = 0; i < ox_count(commands); i++, filled++)
        snprintf(storage[filled], sizeof(storage[0]), "\\%s", commands[i].name);
    for (size_t i = 0; i < ox_count(lists); i++, filled++)
        snprintf(storage[filled], sizeof(storage[0]), "\\%s", lists[i]);
    for (size_t i = 0; i < filled; i++)
        names[i] = storage[i];
    return names;
}
