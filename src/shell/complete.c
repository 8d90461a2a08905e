/* SPDX-License-Identifier: Apache-2.0
 *
 * Tab completion. The words before the cursor pick a list: backslash commands,
 * statements, key words that may follow, topics, columns of the topics named in
 * the line, groups, settings, variables. Names come from the server and are kept
 * until DDL is typed, quietly: completion never shows an error. */
#include "config.h"

#include <ctype.h>
#include <editline/readline.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shell/shell.h"

struct names {
    char **items;
    size_t count, cap;
    bool loaded;
    double loaded_ms;
};

static struct shell *the_shell; /* libedit's callbacks carry no argument */
static struct {
    struct names topics, groups, settings, configs, functions, columns;
    char *columns_of;
} cache;
static struct names offer; /* candidates of the completion under way */
static bool offer_keywords;

static const char *const statements[] = {"ALTER", "ANALYZE", "BEGIN", "CHECKPOINT", "CLOSE", "COMMENT",
    "COMMIT", "COPY", "CREATE", "DEALLOCATE", "DECLARE", "DELETE FROM", "DESCRIBE", "DISCARD", "DROP",
    "END", "EXECUTE", "EXPLAIN", "FETCH", "INSERT INTO", "PREPARE", "RESET", "ROLLBACK", "SELECT",
    "SET", "SHOW", "START TRANSACTION", "SUBSCRIBE", "TABLE", "TRUNCATE", "VALUES", "WITH", NULL};
static const char *const functions[] = {"abs(", "avg(", "coalesce(", "count(", "date_bin(",
    "date_trunc(", "extract(", "header(", "json_object(", "jsonb_build_object(", "length(", "lower(",
    "max(", "md5(", "min(", "now()", "nullif(", "octet_length(", "round(", "split_part(", "string_agg(",
    "substring(", "sum(", "to_char(", "trim(", "upper(", NULL};
static const char *const system_columns[] = {"_partition", "_offset", "_timestamp", "_key", "_value",
    "_headers", "_key_bytes", "_value_bytes", "_size", "_tombstone", "_timestamp_type", NULL};
static const char *const views[] = {"oxbow.topics", "oxbow.partitions", "oxbow.segments",
    "oxbow.compaction", "oxbow.producers", "oxbow.configs", "oxbow.brokers", "oxbow.groups",
    "oxbow.group_members", "oxbow.group_offsets", "oxbow.lag", "oxbow.connections", "oxbow.users",
    "oxbow.acls", "oxbow.quotas", "oxbow.delegation_tokens", "oxbow.client_metrics",
    "oxbow.settings", "oxbow.limits", "oxbow.memory", "oxbow.metrics", NULL};

/* After the last words (right to left, '*' any word): what may follow. '@' names a cached list. */
struct rule {
    const char *words;
    const char *offers;
};

static const struct rule rules[] = {
    {"CREATE", "TOPIC"},
    {"DROP", "TOPIC"},
    {"ALTER", "TOPIC|SYSTEM SET"},
    {"TRUNCATE", "@topics|TOPIC"},
    {"COMMENT", "ON TOPIC"},
    {"COMMENT ON", "TOPIC"},
    {"ON TOPIC", "@topics"},
    {"DROP TOPIC", "@topics|IF EXISTS"},
    {"ALTER TOPIC", "@topics"},
    {"DESCRIBE TOPIC", "@topics"},
    {"DESCRIBE", "TOPIC|@topics"},
    {"ALTER TOPIC *", "ADD PARTITIONS|SET (|SET PARTITIONS|RESET (|RETAIN|RENAME TO|OWNER TO"},
    {"CREATE TOPIC", "IF NOT EXISTS"},
    {"CREATE TOPIC *", "PARTITIONS|REPLICAS|RETAIN|WITH ("},
    {"TOPIC * WITH (", "@configs"},
    {"TOPIC * SET (", "@configs"},
    {"TOPIC * RESET (", "@configs"},
    {"RETAIN", "FOR|SIZE|ALL"},
    {"INSERT INTO", "@topics"},
    {"INSERT INTO *", "(|VALUES|SELECT"},
    {"DELETE FROM", "@topics"},
    {"DELETE FROM *", "WHERE"},
    {"COPY", "@topics|("},
    {"COPY *", "FROM STDIN|TO STDOUT|("},
    {"COPY * FROM", "STDIN"},
    {"COPY * TO", "STDOUT"},
    {"SUBSCRIBE", "@topics|TO|("},
    {"SUBSCRIBE TO", "@topics"},
    {"SUBSCRIBE *", "WHERE|FROM|UNTIL|PARTITIONS (|LIMIT|WITH ("},
    {"SUBSCRIBE * FROM", "EARLIEST|LATEST|OFFSET|OFFSETS|TIMESTAMP|LAST|TOKEN"},
    {"FROM EARLIEST", "UNTIL|PARTITIONS (|LIMIT|WITH ("},
    {"UNTIL", "LATEST|OFFSET|OFFSETS|TIMESTAMP|IDLE"},
    {"FROM", "@topics|@views|subscribe(|tail(|read_topic("},
    {"JOIN", "@topics|@views"},
    {"TABLE", "@topics|@views"},
    {"SELECT", "@columns|*|DISTINCT|@functions"},
    {"WHERE", "@columns|@functions"},
    {"AND", "@columns"},
    {"OR", "@columns"},
    {"BY", "@columns"},
    {"ORDER", "BY"},
    {"GROUP", "BY"},
    {"FROM *", "WHERE|GROUP BY|ORDER BY|LIMIT|JOIN|LEFT JOIN|AS"},
    {"SHOW", "@settings|ALL|TOPICS|GROUPS|LAG"},
    {"SET", "@settings|SESSION|LOCAL|TIME ZONE"},
    {"RESET", "@settings|ALL"},
    {"SET *", "TO|="},
    {"SYSTEM SET", "@settings"},
    {"EXPLAIN", "ANALYZE|SELECT|SUBSCRIBE|INSERT INTO"},
    {"EXPLAIN ANALYZE", "SELECT|SUBSCRIBE"},
    {"BEGIN", "TRANSACTION|WORK|READ ONLY"},
    {"DECLARE *", "CURSOR FOR|NO SCROLL CURSOR FOR"},
    {"CURSOR FOR", "SELECT|SUBSCRIBE"},
    {"FETCH", "FORWARD|ALL|NEXT|FROM"},
    {"DISCARD", "ALL|PLANS|TEMP"},
    {"DEALLOCATE", "ALL|PREPARE"},
};

static void
names_add(struct names *names, const char *name)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 64;
        names->items = ox_realloc(names->items, names->cap * sizeof(*names->items));
    }
    names->items[names->count++] = ox_strdup(name);
}

static void
names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        ox_free(names->items[i]);
    ox_free(names->items);
    *names = (struct names){0};
}

static void
names_load(struct names *names, const char *query)
{
    names_clear(names);
    PGresult *result = query_quiet(the_shell, query);
    names->loaded = result != NULL;
    names->loaded_ms = shell_clock_ms();
    for (int row = 0; result && row < PQntuples(result); row++)
        names_add(names, PQgetvalue(result, row, 0));
    PQclear(result);
}

void
complete_forget(struct shell *sh)
{
    (void)sh;
    names_clear(&cache.topics);
    names_clear(&cache.groups);
    names_clear(&cache.settings);
    names_clear(&cache.configs);
    names_clear(&cache.columns);
    ox_free(cache.columns_of);
    cache.columns_of = NULL;
}

/* Topics come and go at the other door too, so what is known of them is not kept for long. */
static const struct names *
topics(void)
{
    enum { KEEP_MS = 3000 };
    if (!cache.topics.loaded || shell_clock_ms() - cache.topics.loaded_ms > KEEP_MS)
        names_load(&cache.topics,
            "SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c "
            "WHERE c.relkind IN ('r','v','m','f','p') AND pg_catalog.pg_table_is_visible(c.oid) "
            "AND c.relname !~ '^pg_' ORDER BY 1");
    if (!cache.topics.loaded && the_shell->oxbow)
        names_load(&cache.topics, "SELECT name FROM oxbow.topics ORDER BY 1");
    return &cache.topics;
}

static void
offer_one(const char *name)
{
    for (size_t i = 0; i < offer.count; i++)
        if (strcmp(offer.items[i], name) == 0)
            return;
    names_add(&offer, name);
}

static void
offer_list(const char *const *list)
{
    for (; *list; list++)
        offer_one(*list);
}

static void
offer_names(const struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        offer_one(names->items[i]);
}

/* Columns of the relation that follows FROM, INTO or SUBSCRIBE in the line; system columns always. */
static void
offer_columns(const char *line)
{
    static const char *const leads[] = {"from", "into", "subscribe", "join"};
    char relation[256] = "";
    for (const char *at = line; *at && !relation[0];) {
        struct str word = query_word(&at);
        if (!word.ptr) {
            if (*at)
                at++;
            continue;
        }
        for (size_t i = 0; i < ox_count(leads); i++)
            if (ox_str_ieq(word, ox_str(leads[i]))) {
                const char *start = at + strspn(at, " \t\n");
                size_t len = strcspn(start, " \t\n;(),");
                if (len > 0 && len < sizeof(relation)) {
                    memcpy(relation, start, len);
                    relation[len] = '\0';
                }
            }
    }
    if (relation[0] && (!cache.columns_of || strcmp(cache.columns_of, relation) != 0)) {
        char *literal = PQescapeLiteral(the_shell->conn, relation, strlen(relation));
        struct text query;
        ox_text_init(&query, NULL);
        ox_text_addf(&query,
            "SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute a "
            "WHERE a.attrelid = %s::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped",
            literal);
        names_load(&cache.columns, query.ptr);
        ox_free(cache.columns_of);
        cache.columns_of = ox_strdup(relation);
        ox_text_fini(&query);
        PQfreemem(literal);
    }
    offer_names(&cache.columns);
    if (the_shell->oxbow)
        offer_list(system_columns);
}

static void
offer_special(const char *name, const char *line)
{
    if (strcmp(name, "@topics") == 0) {
        offer_names(topics());
    } else if (strcmp(name, "@views") == 0) {
        if (the_shell->oxbow)
            offer_list(views);
    } else if (strcmp(name, "@columns") == 0) {
        offer_columns(line);
    } else if (strcmp(name, "@functions") == 0) {
        offer_list(functions);
    } else if (strcmp(name, "@groups") == 0) {
        if (!cache.groups.loaded)
            names_load(&cache.groups, "SELECT \"group\" FROM oxbow.groups ORDER BY 1");
        offer_names(&cache.groups);
    } else if (strcmp(name, "@settings") == 0) {
        if (!cache.settings.loaded)
            names_load(&cache.settings, "SHOW ALL");
        offer_names(&cache.settings);
    } else if (strcmp(name, "@configs") == 0) {
        if (!cache.configs.loaded)
            names_load(&cache.configs, "SELECT DISTINCT name FROM oxbow.configs ORDER BY 1");
        offer_names(&cache.configs);
    }
}

/* The words of the line before the cursor, upper case, into words[]; returns how many. A
 * parenthesis is a word of its own. */
static size_t
split_words(const char *line, size_t len, char words[][64], size_t max)
{
    size_t count = 0;
    for (size_t at = 0; at < len;) {
        while (at < len && (isspace((unsigned char)line[at]) || line[at] == ','))
            at++;
        size_t start = at;
        if (at < len && (line[at] == '(' || line[at] == ')'))
            at++;
        else
            while (at < len && !isspace((unsigned char)line[at]) && !strchr(",()", line[at]))
                at++;
        if (at == start)
            break;
        if (count == max) {
            memmove(words[0], words[1], (max - 1) * 64);
            count--;
        }
        size_t used = OX_MIN(at - start, (size_t)63);
        for (size_t i = 0; i < used; i++)
            words[count][i] = (char)toupper((unsigned char)line[start + i]);
        words[count++][used] = '\0';
        if (line[at - 1] == ';')
            count = 0;
    }
    return count;
}

/* How many words of the rule match the end of words[]; 0 if it does not. */
static size_t
rule_match(const char *pattern, char words[][64], size_t count)
{
    char parts[8][64];
    size_t n = split_words(pattern, strlen(pattern), parts, 8);
    if (n > count)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(parts[i], "*") != 0 && strcmp(parts[i], words[count - n + i]) != 0)
            return 0;
    return n;
}

static void
offer_rule(const struct rule *rule, const char *line)
{
    char item[64];
    for (const char *at = rule->offers; *at;) {
        size_t len = strcspn(at, "|");
        snprintf(item, sizeof(item), "%.*s", (int)len, at);
        if (item[0] == '@') {
            offer_special(item, line);
        } else {
            names_add(&offer, item);
        }
        at += len + (at[len] == '|');
    }
}

static void
offer_sql(const char *line, size_t cursor)
{
    char words[8][64];
    const struct rule *best = NULL;
    size_t best_len = 0, best_plain = 0;
    size_t count = split_words(line, cursor, words, 8);
    bool first = count == 0 && (!the_shell->query || the_shell->query->len == 0);
    offer_keywords = true;
    if (first) {
        offer_list(statements);
        return;
    }
    for (size_t i = 0; i < ox_count(rules); i++) {
        size_t len = rule_match(rules[i].words, words, count);
        size_t plain = len - (strchr(rules[i].words, '*') != NULL);
        if (len > 0 && (plain > best_plain || (plain == best_plain && len < best_len))) {
            best = &rules[i];
            best_len = len;
            best_plain = plain;
        }
    }
    if (best) {
        offer_rule(best, line);
        return;
    }
    offer_columns(line);
    offer_list(functions);
    offer_list((const char *const[]){"AND", "AS", "ASC", "BETWEEN", "BY", "DESC", "FROM", "GROUP BY",
        "HAVING", "IN", "IS NOT NULL", "IS NULL", "LIKE", "LIMIT", "NOT", "OFFSET", "OR", "ORDER BY",
        "RETURNING", "UNION", "VALUES", "WHERE", NULL});
}

static void
offer_backslash(const char *line, size_t cursor)
{
    static const char *const on_topic[] = {"\\d", "\\d+", "\\dt", "\\dt+", "\\follow", "\\tail", "\\peek",
        "\\produce", "\\config", "\\dv", "\\dp", "\\z", "\\copy"};
    static const char *const toggles[] = {"on", "off", "auto", NULL};
    char words[8][64];
    size_t count = split_words(line, cursor, words, 8);
    if (count == 0) {
        offer_list(backslash_names());
        return;
    }
    const char *last = words[count - 1];
    for (size_t i = 0; i < ox_count(on_topic); i++)
        if (count == 1 && strcasecmp(last, on_topic[i]) == 0)
            offer_names(topics());
    if (count == 1 && (strcmp(last, "\\LAG") == 0 || strncmp(last, "\\GROUPS", 7) == 0))
        offer_special("@groups", line);
    if (count == 1 && strcmp(last, "\\PSET") == 0)
        offer_list(pset_names());
    if (count == 2 && strcmp(words[0], "\\PSET") == 0 && strcmp(last, "FORMAT") == 0)
        for (int i = 0; i < FORMAT_COUNT; i++)
            names_add(&offer, print_format_name((enum print_format)i));
    if (count == 1 &&
        (strcmp(last, "\\X") == 0 || strcmp(last, "\\T") == 0 || strcmp(last, "\\TIMING") == 0))
        offer_list(toggles);
    if (count == 1 && (strcmp(last, "\\H") == 0 || strcmp(last, "\\HELP") == 0))
        for (size_t i = 0; help_pages[i].name; i++)
            names_add(&offer, help_pages[i].name);
    if (count == 1 && (strcmp(last, "\\SET") == 0 || strcmp(last, "\\UNSET") == 0)) {
        const char *name;
        for (size_t i = 0; (name = vars_known(i, NULL)); i++)
            names_add(&offer, name);
    }
    if (count == 2 && strcmp(words[0], "\\SET") == 0 && vars_choices(last))
        offer_list(vars_choices(last));
}

/* A key word in the case that COMP_KEYWORD_CASE asks for. */
static char *
word_case(const char *word, const char *typed)
{
    bool keyword = offer_keywords && isupper((unsigned char)word[0]);
    char *copy = strdup(word);
    enum comp_case mode = (enum comp_case)the_shell->vars.set.comp_case;
    bool lower = mode == COMP_LOWER ||
                 (islower((unsigned char)typed[0]) &&
                     (mode == COMP_PRESERVE_LOWER || mode == COMP_PRESERVE_UPPER)) ||
                 (!typed[0] && mode == COMP_PRESERVE_LOWER);
    if (keyword && lower)
        for (char *c = copy; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    return copy;
}

static char *
next_offer(const char *typed, int state)
{
    static size_t at;
    size_t len = strlen(typed);
    if (state == 0)
        at = 0;
    while (at < offer.count) {
        const char *item = offer.items[at++];
        bool match = offer_keywords && typed[0] != '"' ? strncasecmp(item, typed, len) == 0
                                                       : strncmp(item, typed, len) == 0;
        if (match)
            return word_case(item, typed);
    }
    return NULL;
}

static char **
complete(const char *typed, int start, int end)
{
    static const char *const files[] = {"\\i", "\\ir", "\\o", "\\w", "\\s", "\\cd", "\\e"};
    const char *line = rl_line_buffer;
    (void)end;
    names_clear(&offer);
    offer_keywords = false;
    rl_attempted_completion_over = 1;
    rl_completion_append_character = ' ';
    if (line[0] == '\\' || typed[0] == '\\') {
        for (size_t i = 0; i < ox_count(files); i++)
            if (strncmp(line, files[i], strlen(files[i])) == 0 && line[strlen(files[i])] == ' ')
                return rl_completion_matches(typed, rl_filename_completion_function);
        offer_backslash(typed[0] == '\\' ? "" : line, typed[0] == '\\' ? 0 : (size_t)start);
    } else if (typed[0] == ':') {
        size_t count;
        const char **names = vars_names(&the_shell->vars, &count);
        char item[256];
        for (size_t i = 0; i < count; i++) {
            snprintf(item, sizeof(item), ":%s", names[i]);
            names_add(&offer, item);
        }
        ox_free(names);
    } else {
        offer_sql(line, (size_t)start);
    }
    char **matches = rl_completion_matches(typed, next_offer);
    if (matches && !matches[1] && matches[0][strlen(matches[0]) - 1] == '(')
        rl_completion_append_character = '\0';
    return matches;
}

void
complete_init(struct shell *sh)
{
    the_shell = sh;
    rl_attempted_completion_function = complete;
    rl_basic_word_break_characters = (char *)(uintptr_t)"\t\n@$><=;|&{() ,";
}
