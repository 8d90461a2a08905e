/* SPDX-License-Identifier: Apache-2.0
 *
 * Command line and configuration file. A file is lines of name = value; Kafka's
 * server.properties is read as it is: its names are aliases of ours, and those
 * that mean nothing here are listed in one warning. All faults are reported
 * before the start is refused. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/auth.h"
#include "base/check.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/near.h"
#include "config.h"
#include "server/server.h"

enum { CONFIG_BYTES_MAX = 4 * 1024 * 1024 };

struct reader {
    struct arena *arena;
    struct file_system *fs;
    FILE *to; /* faults */
    struct meta_setting *settings;
    size_t count, cap;
    int faults;
    bool fixed; /* reading the command line: a reload of the file leaves it */
    struct text ignored; /* Kafka's names without a meaning here */
};

static struct meta_setting *
find_setting(struct reader *reader, const struct param *param, const char *listener)
{
    for (size_t i = 0; i < reader->count; i++) {
        const char *other = reader->settings[i].listener;
        if (reader->settings[i].param == param &&
            (listener == NULL || other == NULL ? listener == other : strcmp(listener, other) == 0))
            return &reader->settings[i];
    }
    return NULL;
}

static void
report(struct reader *reader, const char *where, const struct ox_err *err)
{
    reader->faults++;
    fprintf(reader->to, "oxbow: %s: %s%s%s%s%s\n", where, err->message,
        err->detail[0] ? ". " : "", err->detail,
        err->hint[0] ? err->detail[0] ? " " : ". " : "", err->hint);
}

/* A setting has two names: messages have Kafka's, a person may have used ours. */
static void
report_value(struct reader *reader, const char *where, struct str name, const struct param *param,
    const struct ox_err *err)
{
    char place[640];
    bool same = ox_str_is(name, param_wire_name(param));
    snprintf(place, sizeof(place), "%s%s%.*s", where, same ? "" : ": ",
        same ? 0 : (int)OX_MIN(name.len, (size_t)100), name.ptr);
    report(reader, place, err);
}

static struct str
trim(struct str s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[0]) != NULL) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[s.len - 1]) != NULL)
        s.len--;
    return s;
}

/* TYPE:NAME, separated by semicolons: who writes "admin" would have no super user. */
static ox_code
check_super_users(struct str list, struct ox_err *err)
{
    const char *at = list.ptr, *end = list.ptr + list.len;
    while (at < end) {
        const char *semicolon = memchr(at, ';', (size_t)(end - at));
        const char *stop = semicolon != NULL ? semicolon : end;
        struct str item = trim(ox_str_n(at, (size_t)(stop - at)));
        const char *colon = item.len > 0 ? memchr(item.ptr, ':', item.len) : NULL;
        if (item.len > 0 && (colon == NULL || colon == item.ptr))
            return ox_fail(err, OX_INVALID_CONFIG,
                "\"super.users\" names \"%.*s\", which is no principal as User:NAME is",
                OX_STR_ARG(item));
        at = stop + 1;
    }
    return OX_OK;
}

/* The value in canonical form, and what the setting asks beyond that. */
static ox_code
check_value(struct reader *reader, const struct param *param, struct str value,
    struct str *canonical, struct ox_err *err)
{
    ox_code code = param_canonical(param, PARAM_PEOPLE, value, reader->arena, canonical, err);
    if (code == OX_OK && param->index == PARAM_SERVER_PLAIN_SASL_JAAS_CONFIG &&
        canonical->len > 0)
        code = auth_jaas_check(*canonical, err);
    if (code == OX_OK && param->index == PARAM_SERVER_MAX_CONNECTIONS_PER_IP_OVERRIDES)
        code = engine_check_overrides(*canonical, err);
    if (code == OX_OK && param->index == PARAM_SERVER_SUPER_USERS)
        code = check_super_users(*canonical, err);
    return code;
}

/* In lower case, as Kafka has it. */
static const char *
listener_of(struct reader *reader, struct str listener)
{
    if (listener.ptr == NULL)
        return NULL;
    char *name = ox_arena_strndup(reader->arena, listener.ptr, listener.len);
    for (char *at = name; *at != 0; at++)
        *at = (char)tolower((unsigned char)*at);
    return name;
}

/* replace: a later line of a file and the command line win over what is there. */
static void
keep_setting(struct reader *reader, const struct param *param, const char *listener,
    struct str canonical, bool replace)
{
    struct meta_setting *setting = find_setting(reader, param, listener);
    if (setting != NULL && !replace)
        return;
    if (setting == NULL) {
        ox_arena_grow(reader->arena, (void **)&reader->settings, &reader->cap, reader->count + 1,
            sizeof(*reader->settings));
        setting = &reader->settings[reader->count++];
    }
    *setting = (struct meta_setting){param,
        ox_arena_strndup(reader->arena, canonical.ptr, canonical.len), listener, reader->fixed};
}

static void
hint_setting(struct str name, struct ox_err *err)
{
    const struct param_table *table = &param_tables[PARAM_SCOPE_SERVER];
    struct near near;
    near_init(&near, name);
    for (int i = 0; i < table->count; i++)
        near_offer(&near, ox_str(table->rows[i].name), NULL);
    if (near_found(&near) > 0)
        ox_hint(err, "Perhaps you meant \"%.*s\".", OX_STR_ARG(near.names[0]));
}

static void
take_setting(struct reader *reader, const char *where, struct str name, struct str value,
    bool replace)
{
    struct ox_err err = {0};
    struct str canonical, listener = OX_STR_NULL;
    const struct param *param = param_find(PARAM_SCOPE_SERVER, name);
    if (param == NULL)
        param = meta_listener_param(name, &listener);
    if (param == NULL && memchr(name.ptr, '.', name.len) != NULL) {
        ox_text_addf(&reader->ignored, "%s%.*s", reader->ignored.len ? ", " : "",
            OX_STR_ARG(name));
        return;
    }
    if (param == NULL) {
        ox_fail(&err, OX_CONFIG_ERROR, "there is no setting \"%.*s\"", OX_STR_ARG(name));
        hint_setting(name, &err);
        report(reader, where, &err);
        return;
    }
    if (check_value(reader, param, value, &canonical, &err) != OX_OK) {
        report_value(reader, where, name, param, &err);
        return;
    }
    keep_setting(reader, param, listener_of(reader, listener), canonical, replace);
}

static bool
ends_in(struct str s, const char *end)
{
    size_t len = strlen(end);
    return s.len >= len && ox_str_ieq(ox_str_n(s.ptr + s.len - len, len), ox_str_n(end, len));
}

/* Takes the quotes off 'value' and the comment off an unquoted one. Secrets are taken as
 * they stand: a # may be part of them. */
static struct str
unquote(struct str value, bool secret)
{
    if (value.len >= 2 && value.ptr[0] == '\'') {
        const char *end = memchr(value.ptr + 1, '\'', value.len - 1);
        if (end != NULL)
            return ox_str_n(value.ptr + 1, (size_t)(end - value.ptr - 1));
    }
    for (size_t i = 1; i < value.len && !secret; i++)
        if (value.ptr[i] == '#' && (value.ptr[i - 1] == ' ' || value.ptr[i - 1] == '\t'))
            return trim(ox_str_n(value.ptr, i));
    return value;
}

static bool
is_secret(struct str name)
{
    const struct param *param = param_find(PARAM_SCOPE_SERVER, name);
    return (param != NULL && param->type == PARAM_PASSWORD) || ends_in(name, ".jaas.config") ||
        ends_in(name, "password");
}

/* The name ends before at. */
static bool
split_at(struct str line, const char *at, struct str *name, struct str *value)
{
    const char *end = line.ptr + line.len;
    *name = trim(ox_str_n(line.ptr, (size_t)(at - line.ptr)));
    at += at < end;
    *value = unquote(trim(ox_str_n(at, (size_t)(end - at))), is_secret(*name));
    return name->len > 0;
}

static bool
split_assignment(struct str line, struct str *name, struct str *value)
{
    const char *equals = memchr(line.ptr, '=', line.len);
    return equals != NULL && split_at(line, equals, name, value);
}

/* The same in a file of Java's, where a colon or blanks do as well; a backslash takes that
 * from the character behind it. */
static bool
split_property(struct str line, struct str *name, struct str *value)
{
    const char *at = line.ptr, *end = line.ptr + line.len;
    while (at < end && memchr("=: \t", *at, 4) == NULL)
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    const char *sign = at;
    while (sign < end && (*sign == ' ' || *sign == '\t'))
        sign++;
    bool signed_here = sign < end && (*sign == '=' || *sign == ':');
    return split_at(line, signed_here ? sign : at, name, value);
}

/* What may be told of a line that assigns nothing: it may have been meant to set a secret. */
static struct str
told_of(struct str line)
{
    struct str word = line;
    for (size_t i = 0; i < line.len && word.len == line.len; i++)
        if (memchr("=: \t", line.ptr[i], 4) != NULL)
            word.len = i;
    return is_secret(word) ? word : line;
}

/* ---- files ---- */

/* Does a line go on with the next one? An odd number of backslashes is at its end. */
static bool
continues(struct str line)
{
    size_t backslashes = 0;
    while (backslashes < line.len && line.ptr[line.len - 1 - backslashes] == '\\')
        backslashes++;
    return backslashes % 2 == 1;
}

static struct str
next_line(struct str *content, int *number)
{
    const char *end = memchr(content->ptr, '\n', content->len);
    size_t len = end != NULL ? (size_t)(end - content->ptr) : content->len;
    struct str line = ox_str_n(content->ptr, len);
    size_t used = len + (end != NULL);
    *content = ox_str_n(content->ptr + used, content->len - used);
    ++*number;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* A setting's whole text, from as many lines as it takes; blanks at the beginning of each
 * are not part of it. */
static struct str
logical_line(struct reader *reader, struct str *content, int *number)
{
    struct text all;
    struct str line = trim(next_line(content, number));
    if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!' || !continues(line))
        return line;
    ox_text_init(&all, reader->arena);
    while (continues(line)) {
        ox_text_add(&all, line.ptr, line.len - 1);
        line = content->len > 0 ? next_line(content, number) : OX_STR("");
        while (line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
            line = ox_str_n(line.ptr + 1, line.len - 1);
    }
    ox_text_add(&all, line.ptr, line.len);
    return trim(ox_text_str(&all));
}

/* What stands behind a backslash in a file of Java's. */
static struct str
unescape(struct reader *reader, struct str value)
{
    static const char from[] = "tnrf", to[] = "\t\n\r\f";
    struct text out;
    if (value.len == 0 || memchr(value.ptr, '\\', value.len) == NULL)
        return value;
    ox_text_init(&out, reader->arena);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] != '\\') {
            ox_text_add(&out, value.ptr + i, 1);
            continue;
        }
        if (++i == value.len)
            break;
        const char *letter = memchr(from, value.ptr[i], sizeof(from) - 1);
        char digits[5] = "", utf8[4], *end = digits;
        if (value.ptr[i] == 'u' && value.len - i > 4)
            memcpy(digits, value.ptr + i + 1, 4);
        unsigned long unit = strtoul(digits, &end, 16);
        if (end == digits + 4) {
            bool scalar = unit > 0 && (unit < 0xD800 || unit > 0xDFFF);
            ox_text_add(&out, utf8, ox_utf8_put(utf8, scalar ? (uint32_t)unit : 0xFFFD));
            i += 4;
        } else {
            ox_text_add(&out, letter != NULL ? &to[letter - from] : &value.ptr[i], 1);
        }
    }
    return ox_text_str(&out);
}

/* A file of Java's has its escapes. */
static void
read_lines(struct reader *reader, const char *path, struct str content)
{
    bool java = ends_in(ox_str(path), ".properties");
    int number = 0;
    while (content.len > 0) {
        char where[512];
        int first = number + 1;
        struct str line = logical_line(reader, &content, &number), name, value;
        if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == '!')
            continue;
        snprintf(where, sizeof(where), "%s:%d", path, first);
        if (java ? split_property(line, &name, &value) : split_assignment(line, &name, &value)) {
            take_setting(reader, where, name, java ? unescape(reader, value) : value, true);
            continue;
        }
        struct ox_err err;
        ox_fail(&err, OX_CONFIG_ERROR, "expected name = value, found \"%.*s\"",
            OX_STR_ARG(told_of(line)));
        report(reader, where, &err);
    }
}

static void
tell_ignored(struct reader *reader, const char *where)
{
    if (reader->ignored.len > 0)
        ox_warn("settings without a meaning here were ignored", "file=%s names=\"%s\"", where,
            reader->ignored.ptr);
    reader->ignored.len = 0;
}

static ox_code
read_file(struct reader *reader, const char *path, bool must_exist, struct ox_err *err)
{
    char *content;
    size_t len;
    ox_code code = file_read_all(reader->fs, path, CONFIG_BYTES_MAX, reader->arena, &content,
        &len, err);
    if (code == OX_FILE_NOT_FOUND && !must_exist)
        return OX_OK;
    if (code != OX_OK)
        return code;
    read_lines(reader, path, ox_str_n(content, len));
    tell_ignored(reader, path);
    return OX_OK;
}

static ox_code
finish(struct reader *reader, struct ox_err *err)
{
    ox_text_fini(&reader->ignored);
    if (reader->faults > 0)
        return ox_fail(err, OX_CONFIG_ERROR, "the configuration has %d fault%s", reader->faults,
            reader->faults == 1 ? "" : "s");
    return OX_OK;
}

static const char help[] =
    "oxbow stores streams of records and serves them to Kafka and PostgreSQL clients.\n\n"
    "Usage: oxbow -D DIR [-c NAME=VALUE]... [--config FILE]\n\n"
    "  -D DIR            data directory; made and initialised if it is new\n"
    "  -c NAME=VALUE     set a setting, by its own name or Kafka's; may be repeated\n"
    "  --config FILE     read settings from FILE instead of DIR/oxbow.conf;\n"
    "                    Kafka's server.properties is read as it is\n"
    "  --help, --version\n\n"
    "It listens on 127.0.0.1, port 9092 for Kafka's protocol (kafka_port), 9432 for\n"
    "PostgreSQL's (sql_port) and 9680 for metrics (http_port), prints one line when it\n"
    "serves, and writes its log to standard error. SIGTERM and SIGINT stop it in order,\n"
    "SIGHUP reads the file again. SELECT * FROM oxbow.settings lists all settings.\n";

static ox_code
misused(struct ox_err *err, const char *what, const char *word)
{
    ox_fail(err, OX_CONFIG_ERROR, "%s%s", what, word);
    return ox_hint(err, "Try \"oxbow --help\".");
}

static void
take_assignment(struct reader *reader, const char *text)
{
    struct str name, value;
    if (split_assignment(ox_str(text), &name, &value)) {
        take_setting(reader, "-c", name, value, true);
        return;
    }
    struct ox_err err;
    ox_fail(&err, OX_CONFIG_ERROR, "expected name=value, found \"%.*s\"",
        OX_STR_ARG(told_of(ox_str(text))));
    report(reader, "-c", &err);
}

/* The file first, so that the command line wins. */
static ox_code
read_all(struct server_options *options, char **assignments, int assignment_count,
    struct ox_err *err)
{
    struct reader reader = {.arena = &options->arena, .fs = env_os()->fs, .to = stderr};
    bool named = options->config_file != NULL;
    if (!named)
        options->config_file = ox_arena_printf(&options->arena, "%s/oxbow.conf", options->dir);
    ox_text_init(&reader.ignored, NULL);
    ox_code code = read_file(&reader, options->config_file, named, err);
    reader.fixed = true;
    for (int i = 0; i < assignment_count && code == OX_OK; i++)
        take_assignment(&reader, assignments[i]);
    tell_ignored(&reader, "-c");
    ox_code faults = finish(&reader, code == OX_OK ? err : NULL);
    if (code != OX_OK || faults != OX_OK)
        return code != OX_OK ? code : faults;
    options->settings = reader.settings;
    options->setting_count = reader.count;
    param_defaults(PARAM_SCOPE_SERVER, &options->config);
    for (size_t i = 0; i < reader.count && code == OX_OK; i++)
        if (reader.settings[i].listener == NULL)
            code = param_store(reader.settings[i].param, ox_str(reader.settings[i].value),
                &options->config, err);
    return code;
}

ox_code
server_options_read(int argc, char **argv, struct server_options *options, struct ox_err *err)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'C'},
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
    char *assignments[256];
    int count = 0, option;
    memset(options, 0, sizeof(*options));
    ox_arena_init(&options->arena);
    while ((option = getopt_long(argc, argv, "D:c:hV", longs, NULL)) != -1) {
        if (option == 'D')
            options->dir = ox_arena_strdup(&options->arena, optarg);
        else if (option == 'C')
            options->config_file = ox_arena_strdup(&options->arena, optarg);
        else if (option == 'c' && count < 256)
            assignments[count++] = optarg;
        else if (option == 'h' || option == 'V') {
            if (option == 'h')
                fputs(help, stdout);
            else
                puts("oxbow " PACKAGE_VERSION);
            exit(0);
        } else {
            return misused(err, option == 'c' ? "there are more than 256 -c"
                                              : "the options are not understood", "");
        }
    }
    if (options->dir == NULL)
        return misused(err, "no data directory is given (-D DIR)", "");
    if (optind < argc)
        return misused(err, "too many arguments: ", argv[optind]);
    return read_all(options, assignments, count, err);
}

ox_code
server_options_reload(const struct server_options *options, struct arena *arena,
    struct meta_setting **settings, size_t *count, struct ox_err *err)
{
    struct reader reader = {.arena = arena,
        .fs = options->env != NULL ? options->env->fs : env_os()->fs,
        .to = options->faults != NULL ? options->faults : stderr};
    ox_text_init(&reader.ignored, NULL);
    ox_code code = read_file(&reader, options->config_file, false, err);
    ox_code faults = finish(&reader, code == OX_OK ? err : NULL);
    size_t live = 0;
    for (size_t i = 0; i < reader.count; i++)
        if (reader.settings[i].param->change != PARAM_RESTART ||
            reader.settings[i].listener != NULL)
            reader.settings[live++] = reader.settings[i];
    *settings = reader.settings;
    *count = live;
    return code != OX_OK ? code : faults;
}

void
server_options_fini(struct server_options *options)
{
    ox_arena_fini(&options->arena);
}
