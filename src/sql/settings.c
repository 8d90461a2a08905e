/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of a session: SET, SHOW, RESET, what is reported as ParameterStatus,
 * and what the values mean to the executor. A value is text in PostgreSQL's
 * spelling. A SET is undone when its transaction rolls back, a SET LOCAL at its
 * end in any case. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/near.h"
#include "base/param.h"
#include "sql/session.h"
#include "sql/syscat.h"

enum kind { TEXT, BOOL, INT, TIME, BYTES, ENUM, FIXED };

struct setting {
    const char *name, *fallback;
    enum kind kind;
    bool report;
    int64_t min, max;
    const char *choices; /* of ENUM, parted by blanks or '|' */
    const char *doc;
};

#define ANY 0, INT32_MAX, NULL
static const struct setting table[] = {
    [SET_APPLICATION_NAME] = {"application_name", "", TEXT, true, ANY,
        "Name of the application, shown in pg_stat_activity."},
    [SET_BYTEA_OUTPUT] = {"bytea_output", "hex", ENUM, false, 0, 0, "hex|escape",
        "Output format of bytea."},
    [SET_CLIENT_ENCODING] = {"client_encoding", "UTF8", TEXT, true, ANY,
        "Character set of the client; always UTF8."},
    [SET_CLIENT_MIN_MESSAGES] = {"client_min_messages", "notice", ENUM, false, 0, 0,
        "debug5|debug4|debug3|debug2|debug1|log|notice|warning|error",
        "Least severity of messages sent to the client."},
    [SET_DATESTYLE] = {"DateStyle", "ISO, MDY", TEXT, true, ANY, "Form of dates and times."},
    [SET_DEFAULT_TRANSACTION_ISOLATION] = {"default_transaction_isolation", "read committed",
        ENUM, false, 0, 0, "read committed|read uncommitted|repeatable read|serializable",
        "Isolation level of new transactions."},
    [SET_DEFAULT_TRANSACTION_READ_ONLY] = {"default_transaction_read_only", "off", BOOL, true, ANY,
        "Whether new transactions are read-only."},
    [SET_EXTRA_FLOAT_DIGITS] = {"extra_float_digits", "1", INT, false, -15, 3, NULL,
        "Digits of floating-point output; 1 and more is the shortest exact form."},
    [SET_IDLE_TIMEOUT] = {"idle_in_transaction_session_timeout", "0", TIME, false, ANY,
        "Time after which a session that idles in a transaction block is ended; 0 is never."},
    [SET_IDLE_SESSION_TIMEOUT] = {"idle_session_timeout", "0", TIME, false, ANY,
        "Time after which a session that idles outside of a transaction is ended; 0 is never."},
    [SET_IN_HOT_STANDBY] = {"in_hot_standby", "off", FIXED, true, ANY, "Always off."},
    [SET_INTEGER_DATETIMES] = {"integer_datetimes", "on", FIXED, true, ANY, "Always on."},
    [SET_INTERVALSTYLE] = {"IntervalStyle", "postgres", ENUM, true, 0, 0,
        "postgres|postgres_verbose|sql_standard|iso_8601", "Form of intervals."},
    [SET_IS_SUPERUSER] = {"is_superuser", "on", FIXED, true, ANY,
        "Whether the user may do everything."},
    [SET_JSON_ERRORS] = {"json_errors", "null", ENUM, false, 0, 0, "null",
        "What ->> gives for text that is not JSON: NULL."},
    [SET_READ_UNCOMMITTED] = {"read_uncommitted", "off", BOOL, false, ANY,
        "Read up to the high watermark, open and aborted transactions included."},
    [SET_ROW_LIMIT] = {"row_limit", "0", INT, false, 0, INT64_MAX, NULL,
        "Most rows a statement may return; 0 is without limit."},
    [SET_SCAN_BYTES_LIMIT] = {"scan_bytes_limit", "0", BYTES, false, 0, INT64_MAX, NULL,
        "Most bytes of log a statement may read; 0 is without limit."},
    [SET_SEARCH_PATH] = {"search_path", "public", TEXT, false, ANY,
        "Schemas in which unqualified names are looked up."},
    [SET_SERVER_ENCODING] = {"server_encoding", "UTF8", FIXED, true, ANY, "Always UTF8."},
    [SET_SERVER_VERSION] = {"server_version", "16.3", FIXED, true, ANY, "Version of the server."},
    [SET_SERVER_VERSION_NUM] = {"server_version_num", "160003", FIXED, false, ANY,
        "Version of the server as a number."},
    [SET_SESSION_AUTHORIZATION] = {"session_authorization", "", FIXED, true, ANY,
        "The user of the session."},
    [SET_STANDARD_CONFORMING_STRINGS] = {"standard_conforming_strings", "on", BOOL, true, ANY,
        "Always on: a backslash in '...' is itself."},
    [SET_STATEMENT_TIMEOUT] = {"statement_timeout", "0", TIME, false, ANY,
        "Time after which a statement is cancelled; 0 is never."},
    [SET_STREAM_LINGER] = {"stream_linger", "-1", TIME, false, -1, INT32_MAX, NULL,
        "Suspend a portal with fewer rows than asked for after this wait; -1 is never."},
    [SET_SYNCHRONOUS_COMMIT] = {"synchronous_commit", "on", ENUM, false, 0, 0,
        "on|remote_apply|remote_write|local|off",
        "on: acks=all; local: the leader's; off: answered at once."},
    [SET_TIMEZONE] = {"TimeZone", "UTC", TEXT, true, ANY, "Time zone of the session."},
    [SET_TRANSACTION_ISOLATION] = {"transaction_isolation", "read committed", ENUM, false, 0, 0,
        "read committed|read uncommitted|repeatable read|serializable",
        "Isolation level of this transaction."},
    [SET_TRANSACTION_READ_ONLY] = {"transaction_read_only", "off", BOOL, false, ANY,
        "Whether this transaction is read-only."},
    [SET_WORK_MEM] = {"work_mem", "4MB", BYTES, false, 65536, INT64_MAX, NULL,
        "Memory of one sort, aggregate or join before it spills to disk."},
    [SET_OTHERS] = {"lock_timeout", "0", TIME, false, ANY, "Accepted; nothing is locked."},
    {"jit", "off", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"row_security", "on", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"xmloption", "content", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"max_identifier_length", "249", FIXED, false, ANY, "Longest name of a topic."},
    {"max_index_keys", "32", FIXED, false, ANY, "Accepted; has no meaning here."},
    {"block_size", "8192", FIXED, false, ANY, "Accepted; has no meaning here."},
    {"lc_collate", "C", FIXED, false, ANY, "Text is ordered by bytes."},
    {"lc_ctype", "C.UTF-8", FIXED, false, ANY, "Character classes."},
    {"lc_messages", "C", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"lc_monetary", "C", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"lc_numeric", "C", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"lc_time", "C", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"default_tablespace", "", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"default_table_access_method", "log", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"default_with_oids", "off", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"check_function_bodies", "on", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"escape_string_warning", "on", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"backslash_quote", "safe_encoding", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"synchronize_seqscans", "on", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"transaction_deferrable", "off", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"default_transaction_deferrable", "off", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"tcp_keepalives_idle", "60", INT, false, ANY, "Accepted; has no meaning here."},
    {"geqo", "on", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"enable_seqscan", "on", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"max_parallel_workers_per_gather", "0", INT, false, ANY, "Accepted; has no meaning here."},
    {"password_encryption", "scram-sha-256", TEXT, false, ANY, "How passwords are kept."},
    {"plan_cache_mode", "auto", TEXT, false, ANY, "Accepted; has no meaning here."},
    {"track_activities", "on", BOOL, false, ANY, "Accepted; has no meaning here."},
    {"wal_level", "replica", FIXED, false, ANY, "Accepted; has no meaning here."},
};
enum { SETTING_COUNT = ox_count(table) };
_Static_assert((int)SETTING_COUNT <= (int)SETTINGS_MAX, "room for all settings");

static ox_code
unknown_setting(struct str name, struct ox_err *err)
{
    struct near near;
    near_init(&near, name);
    for (int i = 0; i < SETTING_COUNT; i++)
        near_offer(&near, ox_str(table[i].name), NULL);
    ox_code code = ox_fail(err, OX_UNDEFINED_OBJECT,
        "unrecognized configuration parameter \"%.*s\"", OX_STR_ARG(name));
    if (near_found(&near) > 0)
        ox_hint(err, "Perhaps you meant \"%.*s\".", OX_STR_ARG(near.names[0]));
    return code;
}

static int
find(struct str name)
{
    if (ox_str_ieq(name, OX_STR("timezone")))
        return SET_TIMEZONE;
    for (int i = 0; i < SETTING_COUNT; i++)
        if (table[i].name != NULL && ox_str_ieq(name, ox_str(table[i].name)))
            return i;
    return -1;
}

/* ---- Checking values -------------------------------------------------------------- */

static ox_code
bad_value(const struct setting *s, const char *value, struct ox_err *err)
{
    return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": \"%s\"",
        s->name, value);
}

static bool
bool_value(const char *value, bool *out)
{
    static const char *const yes[] = {"on", "true", "t", "yes", "y", "1"};
    static const char *const no[] = {"off", "false", "f", "no", "n", "0"};
    for (size_t i = 0; i < ox_count(yes); i++) {
        if (strcasecmp(value, yes[i]) == 0)
            return *out = true, true;
        if (strcasecmp(value, no[i]) == 0)
            return *out = false, true;
    }
    return false;
}

struct unit {
    const char *name;
    double factor;
};

static bool
number_value(const char *value, const struct unit *units, size_t count, int64_t *out)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value)
        return false;
    while (isspace((unsigned char)*end))
        end++;
    double factor = 1;
    if (*end != '\0') {
        size_t i = 0;
        while (i < count && strcasecmp(end, units[i].name) != 0)
            i++;
        if (i == count)
            return false;
        factor = units[i].factor;
    }
    number *= factor;
    if (!(number > -9e18 && number < 9e18))
        return false;
    *out = (int64_t)number;
    return true;
}

static bool
setting_number(enum kind kind, const char *value, int64_t *out)
{
    static const struct unit times[] = {{"us", 0.001}, {"ms", 1}, {"s", 1000}, {"min", 60000},
        {"h", 3600000}, {"d", 86400000}};
    static const struct unit bytes[] = {{"B", 1}, {"kB", 1024}, {"MB", 1048576},
        {"GB", 1073741824.0}, {"TB", 1099511627776.0}};
    if (kind == TIME)
        return number_value(value, times, ox_count(times), out);
    if (kind != BYTES)
        return number_value(value, NULL, 0, out);
    if (!number_value(value, bytes, ox_count(bytes), out))
        return false;
    /* A plain number is kilobytes, as PostgreSQL's work_mem. */
    if (value[0] != '\0' && isdigit((unsigned char)value[strlen(value) - 1]))
        *out *= 1024;
    return true;
}

static bool
choice(const char *choices, const char *value, char *to, size_t cap)
{
    while (*choices != '\0') {
        size_t len = strcspn(choices, "|");
        if (strlen(value) == len && strncasecmp(choices, value, len) == 0) {
            snprintf(to, cap, "%.*s", (int)len, choices);
            return true;
        }
        choices += len + (choices[len] == '|');
    }
    return false;
}

/* "ISO, DMY": a style, an order, either, in any order of words. */
static ox_code
date_style(struct settings *set, const char *value, char *to, size_t cap, struct ox_err *err)
{
    static const char *const styles[] = {"ISO", "Postgres", "SQL", "German"};
    static const char *const orders[] = {"MDY", "DMY", "YMD"};
    int style = set->format.date_style, order = set->format.date_order;
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", value);
    char *save = NULL;
    for (char *w = strtok_r(copy, ", ", &save); w != NULL; w = strtok_r(NULL, ", ", &save)) {
        bool known = false;
        for (int i = 0; i < 4; i++)
            if (strcasecmp(w, styles[i]) == 0)
                style = i, known = true;
        for (int i = 0; i < 3; i++)
            if (strcasecmp(w, orders[i]) == 0)
                order = i, known = true;
        if (strcasecmp(w, "us") == 0 || strcasecmp(w, "noneuropean") == 0)
            order = DATE_MDY, known = true;
        if (strcasecmp(w, "european") == 0 || strcasecmp(w, "euro") == 0)
            order = DATE_DMY, known = true;
        if (strcasecmp(w, "default") == 0)
            style = DATE_ISO, order = DATE_MDY, known = true;
        if (!known)
            return bad_value(&table[SET_DATESTYLE], value, err);
    }
    snprintf(to, cap, "%s, %s", styles[style], orders[order]);
    return OX_OK;
}

/* The value as it is kept and shown. */
static ox_code
canonical(struct sql_session *sess, int id, const char *value, char *to, size_t cap,
    struct ox_err *err)
{
    const struct setting *s = &table[id];
    bool flag;
    int64_t number;
    snprintf(to, cap, "%s", value);
    if (id == SET_DATESTYLE)
        return date_style(&sess->settings, value, to, cap, err);
    if (id == SET_TIMEZONE && timezone_find(ox_str(value)) == NULL)
        return bad_value(s, value, err);
    if (id == SET_CLIENT_ENCODING) {
        if (strcasecmp(value, "utf8") != 0 && strcasecmp(value, "utf-8") != 0 &&
            strcasecmp(value, "unicode") != 0 && strcasecmp(value, "'utf-8'") != 0 &&
            strcasecmp(value, "sql_ascii") != 0)
            return bad_value(s, value, err);
        snprintf(to, cap, "UTF8");
        return OX_OK;
    }
    switch (s->kind) {
    case TEXT:
        return OX_OK;
    case FIXED:
        return ox_fail(err, OX_CANT_CHANGE_RUNTIME_PARAM, "parameter \"%s\" cannot be changed",
            s->name);
    case BOOL:
        if (!bool_value(value, &flag) || (id == SET_STANDARD_CONFORMING_STRINGS && !flag))
            return bad_value(s, value, err);
        snprintf(to, cap, "%s", flag ? "on" : "off");
        return OX_OK;
    case ENUM:
        return choice(s->choices, value, to, cap) ? OX_OK : bad_value(s, value, err);
    case INT:
    case TIME:
    case BYTES:
        if (!setting_number(s->kind, value, &number))
            return bad_value(s, value, err);
        if (number < s->min || number > s->max)
            return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
                "%lld is outside the valid range for parameter \"%s\" (%lld .. %lld)",
                (long long)number, s->name, (long long)s->min, (long long)s->max);
        return OX_OK;
    }
    return OX_OK;
}

/* ---- What values mean ------------------------------------------------------------------- */

enum { SEARCH_PATH_MAX = 17 };

static void
apply_search_path(struct settings *set)
{
    const char *found[SEARCH_PATH_MAX + 1];
    ox_free(set->search_path_text);
    set->search_path_text = ox_strdup(set->values[SET_SEARCH_PATH]);
    size_t count = 0;
    char *c = set->search_path_text;
    while (*c != '\0' && count < SEARCH_PATH_MAX) {
        while (*c == ' ' || *c == ',')
            c++;
        if (*c == '\0')
            break;
        char quote = *c == '"' ? *c++ : 0;
        char *start = c;
        while (*c != '\0' && (quote ? *c != '"' : *c != ',' && *c != ' '))
            c++;
        char *end = c;
        if (*c != '\0')
            c++;
        *end = '\0';
        if (strcmp(start, "$user") != 0 && *start != '\0')
            found[count++] = start;
    }
    found[count++] = NULL;
    set->search_path = ox_realloc(set->search_path, count * sizeof(*found));
    memcpy(set->search_path, found, count * sizeof(*found));
}

static int
index_of(const char *choices, const char *value)
{
    int index = 0;
    while (*choices != '\0') {
        size_t len = strcspn(choices, "|");
        if (strlen(value) == len && strncmp(choices, value, len) == 0)
            return index;
        choices += len + (choices[len] == '|');
        index++;
    }
    return 0;
}

static int64_t
number_of(struct settings *set, int id)
{
    int64_t number = 0;
    setting_number(table[id].kind, set->values[id], &number);
    return number;
}

static void
apply(struct sql_session *sess)
{
    static const uint8_t intervals[] = {INTERVAL_POSTGRES, INTERVAL_POSTGRES_VERBOSE,
        INTERVAL_SQL, INTERVAL_ISO};
    struct settings *set = &sess->settings;
    const char *style = set->values[SET_DATESTYLE];
    set->format.date_style = style[0] == 'I'   ? DATE_ISO
                             : style[0] == 'P' ? DATE_POSTGRES
                             : style[0] == 'S' ? DATE_SQL
                                               : DATE_GERMAN;
    set->format.date_order = strstr(style, "DMY")   ? DATE_DMY
                             : strstr(style, "YMD") ? DATE_YMD
                                                    : DATE_MDY;
    set->format.interval_style = intervals[index_of(table[SET_INTERVALSTYLE].choices,
        set->values[SET_INTERVALSTYLE])];
    set->format.bytea_escape = strcmp(set->values[SET_BYTEA_OUTPUT], "escape") == 0;
    set->format.extra_float_digits = (int8_t)number_of(set, SET_EXTRA_FLOAT_DIGITS);
    set->format.tz = timezone_find(ox_str(set->values[SET_TIMEZONE]));
    set->work_mem = number_of(set, SET_WORK_MEM);
    set->statement_timeout_ms = number_of(set, SET_STATEMENT_TIMEOUT);
    set->idle_block_ms = number_of(set, SET_IDLE_TIMEOUT);
    set->idle_session_ms = number_of(set, SET_IDLE_SESSION_TIMEOUT);
    set->row_limit = number_of(set, SET_ROW_LIMIT);
    set->scan_bytes_limit = number_of(set, SET_SCAN_BYTES_LIMIT);
    set->linger_ms = number_of(set, SET_STREAM_LINGER);
    set->read_uncommitted = strcmp(set->values[SET_READ_UNCOMMITTED], "on") == 0;
    const char *commit = set->values[SET_SYNCHRONOUS_COMMIT];
    set->acks = strcmp(commit, "off") == 0     ? INSERT_ACKS_NONE
                : strcmp(commit, "local") == 0 ? INSERT_ACKS_LEADER
                                               : INSERT_ACKS_ALL;
    sess->read_only = strcmp(set->values[SET_TRANSACTION_READ_ONLY], "on") == 0;
    sess->info.application_name = set->values[SET_APPLICATION_NAME];
    apply_search_path(set);
    sess->info.search_path = set->search_path;
    set->changed = false;
}

bool
settings_facts(uint32_t number, struct setting_facts *out)
{
    static const char *const types[] = {[TEXT] = "string", [BOOL] = "bool", [INT] = "integer",
        [TIME] = "integer", [BYTES] = "integer", [ENUM] = "enum", [FIXED] = "string"};
    if (number >= SETTING_COUNT)
        return false;
    const struct setting *s = &table[number];
    *out = (struct setting_facts){s->name, s->fallback, types[s->kind], s->doc, s->kind == FIXED};
    return true;
}

/* ---- Life ---------------------------------------------------------------------------------- */

/* A setting of the server; secrets are not told. */
static const char *
server_setting(struct sql_session *sess, struct str name)
{
    const struct param *param = param_find(PARAM_SCOPE_SERVER, name);
    struct arena arena;
    if (param == NULL || param->type == PARAM_PASSWORD)
        return NULL;
    ox_arena_init(&arena);
    struct str value =
        param_load(param, engine_settings(sess->config.engine->engine), &arena);
    ox_free(sess->settings.shown);
    sess->settings.shown = ox_strdup(value.ptr != NULL ? value.ptr : "");
    ox_arena_fini(&arena);
    return sess->settings.shown;
}

static const char *
info_get(void *self, const char *name)
{
    const char *value;
    return settings_get(self, ox_str(name), &value, NULL) == OX_OK
               ? value
               : server_setting(self, ox_str(name));
}

static ox_code
info_set(void *self, const char *name, const char *value, bool local, struct ox_err *err)
{
    return settings_set(self, ox_str(name), value, local, err);
}

static bool
info_cancel(void *self, int32_t pid, bool end)
{
    struct sql_session *sess = self;
    return sess->client->cancel != NULL && sess->client->cancel(sess->client, pid, end);
}

/* A slot of the table's row: most hold what the table says, and then they point
 * there. */
static void
put(char **slot, int id, const char *value)
{
    char *fallback = (char *)(uintptr_t)table[id].fallback, *old = *slot;
    *slot = strcmp(value, fallback) == 0 ? fallback : ox_strdup(value);
    if (old != fallback)
        ox_free(old);
}

/* What a setting was when the session began, where that is not the fallback. */
struct setting_start {
    struct setting_start *next;
    int id;
    char value[];
};

static void
keep_start(struct settings *set, int id)
{
    const char *value = set->values[id];
    if (value == table[id].fallback)
        return;
    size_t len = strlen(value) + 1;
    struct setting_start *start = ox_malloc(sizeof(*start) + len);
    start->id = id;
    memcpy(start->value, value, len);
    start->next = set->starts;
    set->starts = start;
}

static const char *
start_of(const struct settings *set, int id)
{
    for (const struct setting_start *start = set->starts; start != NULL; start = start->next)
        if (start->id == id)
            return start->value;
    return table[id].fallback;
}

/* A startup parameter: what it is set to becomes the default of the session. */
static ox_code
start_setting(struct sql_session *sess, struct str name, struct str value, struct ox_err *err)
{
    char text[1024], to[1024];
    int id = find(name);
    if (id < 0 && memchr(name.ptr, '.', name.len) == NULL)
        return unknown_setting(name, err);
    if (value.len >= sizeof(text))
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "value of parameter \"%.*s\" is longer than %zu bytes", OX_STR_ARG(name),
            sizeof(text) - 1);
    snprintf(text, sizeof(text), "%.*s", OX_STR_ARG(value));
    if (id < 0) {
        char *copy = ox_strdup(text);
        ox_free(ox_map_put(&sess->settings.custom, name, copy));
        return OX_OK;
    }
    ox_code code = canonical(sess, id, text, to, sizeof(to), err);
    if (code != OX_OK)
        return code;
    put(&sess->settings.values[id], id, to);
    return OX_OK;
}

ox_code
settings_init(struct sql_session *sess, const struct sql_session_config *config,
    struct ox_err *err)
{
    struct settings *set = &sess->settings;
    ox_map_init(&set->custom);
    set->format = row_format_default;
    for (int i = 0; i < SETTING_COUNT; i++)
        put(&set->values[i], i, table[i].fallback);
    if (sess->server->config.version != NULL)
        put(&set->values[SET_SERVER_VERSION], SET_SERVER_VERSION, sess->server->config.version);
    put(&set->values[SET_SESSION_AUTHORIZATION], SET_SESSION_AUTHORIZATION, sess->user);
    ox_code code = OX_OK;
    for (uint32_t i = 0; i < config->setting_count && code == OX_OK; i++)
        code = start_setting(sess, config->settings[i].name, config->settings[i].value, err);
    for (int i = 0; i < SETTING_COUNT; i++)
        keep_start(set, i);
    sess->info.setting_get = info_get;
    sess->info.setting_set = info_set;
    sess->info.session_cancel = info_cancel;
    sess->info.self = sess;
    apply(sess);
    return code;
}

static void
free_undo(struct setting_undo *undo)
{
    ox_free(undo->name);
    ox_free(undo->old);
    ox_free(undo);
}

void
settings_fini(struct sql_session *sess)
{
    struct settings *set = &sess->settings;
    while (set->undo != NULL) {
        struct setting_undo *next = set->undo->next;
        free_undo(set->undo);
        set->undo = next;
    }
    ox_free(set->search_path_text);
    ox_free(set->search_path);
    ox_free(set->shown);
    for (int i = 0; i < SETTING_COUNT; i++)
        if (set->values[i] != table[i].fallback)
            ox_free(set->values[i]);
    while (set->starts != NULL) {
        struct setting_start *next = set->starts->next;
        ox_free(set->starts);
        set->starts = next;
    }
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&set->custom, &at)) != NULL)
        ox_free(entry->value);
    ox_map_fini(&set->custom);
}

void
settings_report(struct sql_session *sess)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        if (table[i].report)
            sess->client->parameter(sess->client, table[i].name, sess->settings.values[i]);
}

/* ---- SET, SHOW, RESET -------------------- */

static void
change(struct sql_session *sess, int id, const char *value)
{
    char **slot = &sess->settings.values[id];
    if (strcmp(*slot, value) == 0)
        return;
    put(slot, id, value);
    sess->settings.changed = true;
    if (table[id].report)
        sess->client->parameter(sess->client, table[id].name, value);
}

static void
remember(struct sql_session *sess, int id, struct str name, const char *old, bool local)
{
    if (sess->status != 'T' && sess->status != 'E' && !sess->implicit_block)
        return;
    struct setting_undo *undo = ox_calloc(1, sizeof(*undo));
    undo->id = id;
    undo->local = local;
    if (id < 0) {
        undo->name = ox_calloc(1, name.len + 1);
        memcpy(undo->name, name.ptr, name.len);
    }
    undo->old = old != NULL ? ox_strdup(old) : NULL;
    undo->next = sess->settings.undo;
    sess->settings.undo = undo;
}

static ox_code
set_custom(struct sql_session *sess, struct str name, const char *value, bool local,
    struct ox_err *err)
{
    if (memchr(name.ptr, '.', name.len) == NULL)
        return unknown_setting(name, err);
    struct map *custom = &sess->settings.custom;
    remember(sess, -1, name, ox_map_get(custom, name), local);
    if (value == NULL)
        ox_free(ox_map_remove(custom, name));
    else
        ox_free(ox_map_put(custom, name, ox_strdup(value)));
    return OX_OK;
}

ox_code
settings_set(struct sql_session *sess, struct str name, const char *value, bool local,
    struct ox_err *err)
{
    char to[1024];
    int id = find(name);
    if (id < 0)
        return set_custom(sess, name, value, local, err);
    if (value == NULL && table[id].kind == FIXED)
        return OX_OK;
    if (value == NULL)
        value = start_of(&sess->settings, id);
    ox_code code = canonical(sess, id, value, to, sizeof(to), err);
    if (code != OX_OK)
        return code;
    if (local && sess->status != 'T' && !sess->implicit_block) {
        session_notice(sess, "WARNING", OX_NO_ACTIVE_TRANSACTION,
            "SET LOCAL can only be used in transaction blocks");
        return OX_OK;
    }
    remember(sess, id, name, sess->settings.values[id], local);
    change(sess, id, to);
    apply(sess);
    return OX_OK;
}

ox_code
settings_get(struct sql_session *sess, struct str name, const char **value, struct ox_err *err)
{
    int id = find(name);
    *value = id >= 0 ? sess->settings.values[id] : ox_map_get(&sess->settings.custom, name);
    if (*value == NULL)
        return unknown_setting(name, err);
    return OX_OK;
}

const char *
settings_name(struct str name)
{
    int id = find(name);
    return id >= 0 ? table[id].name : NULL;
}

void
settings_reset_all(struct sql_session *sess)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        if (table[i].kind != FIXED && i != SET_TRANSACTION_ISOLATION &&
            i != SET_TRANSACTION_READ_ONLY) {
            remember(sess, i, OX_STR_NULL, sess->settings.values[i], false);
            change(sess, i, start_of(&sess->settings, i));
        }
    apply(sess);
}

static void
put_back(struct sql_session *sess, const struct setting_undo *undo)
{
    struct map *custom = &sess->settings.custom;
    if (undo->id >= 0)
        change(sess, undo->id, undo->old);
    else if (undo->old != NULL)
        ox_free(ox_map_put(custom, ox_str(undo->name), ox_strdup(undo->old)));
    else
        ox_free(ox_map_remove(custom, ox_str(undo->name)));
}

void
settings_back_to(struct sql_session *sess, const struct setting_undo *undo)
{
    struct settings *set = &sess->settings;
    while (set->undo != undo) {
        struct setting_undo *newest = set->undo;
        set->undo = newest->next;
        put_back(sess, newest);
        free_undo(newest);
    }
    if (set->changed)
        apply(sess);
}

/* The transaction ends: SET LOCAL is undone unless a SET followed, on rollback everything. */
void
settings_end(struct sql_session *sess, bool commit)
{
    struct settings *set = &sess->settings;
    struct map stays;
    ox_map_init(&stays);
    /* Newest first, so that the oldest value is put back last. */
    while (set->undo != NULL) {
        struct setting_undo *undo = set->undo;
        struct str name = ox_str(undo->id >= 0 ? table[undo->id].name : undo->name);
        set->undo = undo->next;
        if (!commit || (undo->local && ox_map_get(&stays, name) == NULL))
            put_back(sess, undo);
        else if (!undo->local)
            ox_map_put(&stays, name, set);
        free_undo(undo);
    }
    ox_map_fini(&stays);
    change(sess, SET_TRANSACTION_ISOLATION, set->values[SET_DEFAULT_TRANSACTION_ISOLATION]);
    change(sess, SET_TRANSACTION_READ_ONLY, set->values[SET_DEFAULT_TRANSACTION_READ_ONLY]);
    if (set->changed)
        apply(sess);
}

bool
settings_at(struct sql_session *sess, int i, const char **name, const char **value,
    const char **doc)
{
    if (i >= SETTING_COUNT)
        return false;
    *name = table[i].name;
    *value = sess->settings.values[i];
    *doc = table[i].doc;
    return true;
}

/* Times in ms, sizes in kB: as pg_settings tells them. */
static const char *
number_text(const struct setting *s, const char *value, struct arena *arena)
{
    int64_t number = 0;
    if (s->kind != TIME && s->kind != BYTES)
        return value;
    setting_number(s->kind, value, &number);
    char *text = ox_arena_alloc(arena, 24);
    snprintf(text, 24, "%lld", (long long)(s->kind == BYTES ? number / 1024 : number));
    return text;
}

bool
settings_state(struct sql_session *sess, int i, struct arena *arena, struct setting_state *out)
{
    struct setting_facts facts;
    if (!settings_facts((uint32_t)i, &facts))
        return false;
    const struct setting *s = &table[i];
    const struct settings *set = &sess->settings;
    const char *start = start_of(set, i);
    bool sized = s->kind == BYTES;
    *out = (struct setting_state){.name = s->name, .value = number_text(s, set->values[i], arena),
        .unit = s->kind == TIME ? "ms" : sized ? "kB" : NULL, .type = facts.type, .doc = s->doc,
        .fallback = number_text(s, s->fallback, arena), .reset = number_text(s, start, arena),
        .choices = s->kind == ENUM ? s->choices : NULL, .min = sized ? s->min / 1024 : s->min,
        .max = sized ? s->max / 1024 : s->max,
        .number = s->kind == INT || s->kind == TIME || sized, .fixed = s->kind == FIXED};
    out->source = strcmp(set->values[i], start) != 0      ? "session"
                  : strcmp(start, s->fallback) != 0 ? "client"
                                                    : "default";
    return true;
}
