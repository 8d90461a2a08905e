/* SPDX-License-Identifier: Apache-2.0
 *
 * Shell variables. Values live in one map; the table below says which names
 * mean something to the shell, how a value is read and where it lands.
 *
 * Invariants: 1. a steering variable whose row has a default is always set;
 * 2. its typed copy in struct settings agrees with its text. */
#include "config.h"

#include "shell/vars.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include "base/arena.h"
#include "base/check.h"

enum var_kind { VAR_BOOL, VAR_INT, VAR_ENUM, VAR_BOOL_ENUM, VAR_TEXT, VAR_FREE };

struct var_row {
    const char *name;
    enum var_kind kind;
    const char *fallback;       /* value when unset; NULL: may stay unset */
    size_t at;                  /* offset into struct settings */
    const char *const *choices; /* of enums, index is the value */
    const char *doc;
};

static const char *const bool_words[] = {"off", "on", NULL};
static const char *const echo_words[] = {"none", "errors", "queries", "all", NULL};
static const char *const hidden_words[] = {"on", "off", "noexec", NULL};
static const char *const rollback_words[] = {"on", "off", "interactive", NULL};
static const char *const verbosity_words[] = {"default", "verbose", "terse", "sqlstate", NULL};
static const char *const context_words[] = {"never", "errors", "always", NULL};
static const char *const case_words[] = {"lower", "upper", "preserve-lower", "preserve-upper", NULL};
static const char *const hist_words[] = {"none", "ignorespace", "ignoredups", "ignoreboth", NULL};

#define AT(field) offsetof(struct settings, field)

static const struct var_row rows[] = {
    {"AUTOCOMMIT", VAR_BOOL, "on", AT(autocommit), bool_words,
        "if on, each statement is its own transaction"},
    {"COMP_KEYWORD_CASE", VAR_ENUM, "preserve-upper", AT(comp_case), case_words,
        "letter case of completed key words"},
    {"DBNAME", VAR_FREE, NULL, 0, NULL, "database of the connection"},
    {"ECHO", VAR_ENUM, "none", AT(echo), echo_words, "what input is written to standard output"},
    {"ECHO_HIDDEN", VAR_BOOL_ENUM, "off", AT(echo_hidden), hidden_words,
        "show the queries behind backslash commands; noexec: show only"},
    {"ENCODING", VAR_FREE, NULL, 0, NULL, "client character set"},
    {"ERROR", VAR_FREE, NULL, 0, NULL, "true if the last statement failed"},
    {"FETCH_COUNT", VAR_INT, "0", AT(fetch_count), NULL,
        "rows to fetch and show at a time, 0 for all"},
    {"FOLLOW_FORMAT", VAR_FREE, NULL, 0, NULL, "how \\follow prints: table, json or raw"},
    {"HISTCONTROL", VAR_ENUM, "none", AT(histcontrol), hist_words, "what the history leaves out"},
    {"HISTFILE", VAR_FREE, NULL, 0, NULL, "file of the command history"},
    {"HISTSIZE", VAR_INT, "500", AT(histsize), NULL, "commands kept in the history, -1 for all"},
    {"HOST", VAR_FREE, NULL, 0, NULL, "server of the connection"},
    {"IGNOREEOF", VAR_INT, "0", AT(ignoreeof), NULL, "end-of-file keys needed to leave"},
    {"LAST_ERROR_MESSAGE", VAR_FREE, NULL, 0, NULL, "message of the last error"},
    {"LAST_ERROR_SQLSTATE", VAR_FREE, NULL, 0, NULL, "SQLSTATE of the last error"},
    {"ON_ERROR_ROLLBACK", VAR_BOOL_ENUM, "off", AT(on_error_rollback), rollback_words,
        "an error does not end the transaction (implicit savepoints)"},
    {"ON_ERROR_STOP", VAR_BOOL, "off", AT(on_error_stop), bool_words, "an error ends a script"},
    {"PORT", VAR_FREE, NULL, 0, NULL, "port of the connection"},
    {"PROMPT1", VAR_TEXT, "%/%R%x> ", AT(prompt1), NULL, "prompt of a new statement"},
    {"PROMPT2", VAR_TEXT, "%/%R%x> ", AT(prompt2), NULL, "prompt of a statement that goes on"},
    {"PROMPT3", VAR_TEXT, ">> ", AT(prompt3), NULL, "prompt of rows for COPY ... FROM STDIN"},
    {"QUIET", VAR_BOOL, "off", AT(quiet), bool_words, "no messages, only results"},
    {"ROW_COUNT", VAR_FREE, NULL, 0, NULL, "rows returned or affected by the last statement"},
    {"SERVER_VERSION_NAME", VAR_FREE, NULL, 0, NULL, "version of the server"},
    {"SERVER_VERSION_NUM", VAR_FREE, NULL, 0, NULL, "version of the server as a number"},
    {"SHOW_ALL_RESULTS", VAR_BOOL, "on", AT(show_all_results), bool_words,
        "show every result of a combined query (\\;), not only the last"},
    {"SHOW_CONTEXT", VAR_ENUM, "errors", AT(show_context), context_words,
        "when the context of messages is shown"},
    {"SINGLELINE", VAR_BOOL, "off", AT(singleline), bool_words, "the end of a line ends a statement"},
    {"SINGLESTEP", VAR_BOOL, "off", AT(singlestep), bool_words, "ask before each statement"},
    {"SQLSTATE", VAR_FREE, NULL, 0, NULL, "SQLSTATE of the last statement, 00000 if it worked"},
    {"USER", VAR_FREE, NULL, 0, NULL, "user of the connection"},
    {"VERBOSITY", VAR_ENUM, "default", AT(verbosity), verbosity_words, "how much errors say"},
    {"VERSION", VAR_FREE, NULL, 0, NULL, "version of this shell, in words"},
    {"VERSION_NAME", VAR_FREE, NULL, 0, NULL, "version of this shell"},
    {"VERSION_NUM", VAR_FREE, NULL, 0, NULL, "version of this shell as a number"},
};

static bool row_assign(struct vars *vars, const struct var_row *row, const char **value,
    struct text *why);
static void vars_store(struct vars *vars, const char *name, const char *value);

static const struct var_row *
row_find(const char *name)
{
    for (size_t i = 0; i < ox_count(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

void
vars_init(struct vars *vars)
{
    memset(vars, 0, sizeof(*vars));
    ox_map_init(&vars->map);
    for (size_t i = 0; i < ox_count(rows); i++)
        if (rows[i].fallback)
            vars_set(vars, rows[i].name, NULL, NULL);
}

void
vars_fini(struct vars *vars)
{
    uint32_t at = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next(&vars->map, &at)))
        ox_free(entry->value);
    ox_map_fini(&vars->map);
}

const char *
vars_get(const struct vars *vars, const char *name)
{
    return ox_map_get(&vars->map, ox_str(name));
}

const char *
vars_get_str(const struct vars *vars, struct str name)
{
    return ox_map_get(&vars->map, name);
}

bool
vars_name_ok(struct str name)
{
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '_' || c >= 0x80))
            return false;
    }
    return true;
}

bool
vars_set(struct vars *vars, const char *name, const char *value, struct text *why)
{
    if (!vars_name_ok(ox_str(name))) {
        if (why)
            ox_text_addf(why, "invalid variable name: \"%s\"", name);
        return false;
    }
    const struct var_row *row = row_find(name);
    if (row) {
        if (!value)
            value = row->fallback;
        if (value && !row_assign(vars, row, &value, why))
            return false;
    }
    vars_store(vars, name, value);
    if (row && row->kind == VAR_TEXT)
        *(const char **)(void *)((char *)&vars->set + row->at) = vars_get(vars, name);
    if (row && vars->changed)
        vars->changed(vars->arg, name);
    return true;
}

static void
vars_store(struct vars *vars, const char *name, const char *value)
{
    void *old = value ? ox_map_put(&vars->map, ox_str(name), ox_strdup(value))
                      : ox_map_remove(&vars->map, ox_str(name));
    ox_free(old);
}

static bool
text_to_int(const char *text, int *out)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0 || number < INT_MIN || number > INT_MAX)
        return false;
    *out = (int)number;
    return true;
}

/* Reads *value as the row wants it and stores the typed copy; an empty Boolean means on. */
static bool
row_assign(struct vars *vars, const struct var_row *row, const char **value, struct text *why)
{
    int *slot = (int *)(void *)((char *)&vars->set + row->at);
    bool flag;
    switch (row->kind) {
    case VAR_FREE:
    case VAR_TEXT:
        return true;
    case VAR_INT:
        if (text_to_int(*value, slot))
            return true;
        if (why)
            ox_text_addf(why, "invalid value \"%s\" for \"%s\": integer expected", *value,
                row->name);
        return false;
    case VAR_BOOL:
        if (**value == '\0')
            *value = "on";
        if (vars_parse_bool(*value, &flag)) {
            *slot = flag;
            return true;
        }
        if (why)
            ox_text_addf(why, "unrecognized value \"%s\" for \"%s\": Boolean expected", *value,
                row->name);
        return false;
    case VAR_ENUM:
    case VAR_BOOL_ENUM:
        break;
    }
    if (row->kind == VAR_BOOL_ENUM && **value == '\0')
        *value = "on";
    for (int i = 0; row->choices[i]; i++)
        if (strcasecmp(*value, row->choices[i]) == 0) {
            *slot = i;
            return true;
        }
    if (row->kind == VAR_BOOL_ENUM && vars_parse_bool(*value, &flag)) {
        for (int i = 0; row->choices[i]; i++)
            if (strcmp(row->choices[i], flag ? "on" : "off") == 0)
                *slot = i;
        return true;
    }
    if (why) {
        ox_text_addf(why, "unrecognized value \"%s\" for \"%s\"\nAvailable values are: ", *value,
            row->name);
        for (int i = 0; row->choices[i]; i++)
            ox_text_addf(why, "%s%s", i ? ", " : "", row->choices[i]);
        ox_text_addc(why, '.');
    }
    return false;
}

static int
name_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **
vars_names(const struct vars *vars, size_t *count)
{
    const char **names = ox_calloc(vars->map.count + 1, sizeof(*names));
    uint32_t at = 0;
    size_t filled = 0;
    struct map_entry *entry;
    while ((entry = ox_map_next((struct map *)&vars->map, &at)))
        names[filled++] = entry->key.ptr;
    qsort(names, filled, sizeof(*names), name_order);
    *count = filled;
    return names;
}

bool
vars_parse_bool(const char *text, bool *out)
{
    static const struct {
        const char *word;
        size_t min; /* the shortest prefix that is clear */
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
        {"on", 2, true}, {"off", 2, false}, {"1", 1, true}, {"0", 1, false}};
    size_t len = strlen(text);
    for (size_t i = 0; i < ox_count(words); i++)
        if (len >= words[i].min && len <= strlen(words[i].word) &&
            strncasecmp(text, words[i].word, len) == 0) {
            *out = words[i].value;
            return true;
        }
    return false;
}

const char *const *
vars_choices(const char *name)
{
    const struct var_row *row = row_find(name);
    return row ? row->choices : NULL;
}

const char *
vars_known(size_t index, const char **doc)
{
    if (index >= ox_count(rows))
        return NULL;
    if (doc)
        *doc = rows[index].doc;
    return rows[index].name;
}
