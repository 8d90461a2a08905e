/* SPDX-License-Identifier: Apache-2.0
 *
 * \d and its family: questions to the catalogs, as SQL that ECHO_HIDDEN shows.
 * Topics come from oxbow.*, everything else from pg_catalog, so that the shell
 * also describes a PostgreSQL server. */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "shell/describe.h"
#include "shell/shell.h"

static enum backslash_result list_relations(struct shell *sh, const char *kinds, const char *pattern,
    bool verbose, bool system);
static enum backslash_result list_topics(struct shell *sh, const char *pattern, bool verbose);

char *
describe_literal(struct arena *arena, const char *value)
{
    struct text out;
    ox_text_init(&out, arena);
    if (strchr(value, '\\'))
        ox_text_addc(&out, 'E');
    ox_text_addc(&out, '\'');
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            ox_text_addc(&out, *value);
        ox_text_addc(&out, *value);
    }
    ox_text_addc(&out, '\'');
    return out.ptr;
}

char *
describe_ident(struct arena *arena, const char *name)
{
    bool plain = islower((unsigned char)name[0]) || name[0] == '_';
    struct text out;
    for (const char *c = name; plain && *c; c++)
        plain = islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_';
    if (plain && *name)
        return ox_arena_strdup(arena, name);
    ox_text_init(&out, arena);
    ox_text_addc(&out, '"');
    for (; *name; name++) {
        if (*name == '"')
            ox_text_addc(&out, '"');
        ox_text_addc(&out, *name);
    }
    ox_text_addc(&out, '"');
    return out.ptr;
}

/* A shell pattern as regular expressions: '*' any run, '?' any character, a dot between schema
 * and name, double quotes take letters as they are. */
void
describe_pattern(struct arena *arena, const char *pattern, bool dots, const char **schema,
    const char **name)
{
    struct text part;
    bool quoted = false;
    *schema = *name = NULL;
    ox_text_init(&part, arena);
    ox_text_adds(&part, "^(");
    for (const char *c = pattern; *c; c++) {
        if (*c == '"' && quoted && c[1] == '"') {
            ox_text_addc(&part, *c++);
        } else if (*c == '"') {
            quoted = !quoted;
        } else if (!quoted && *c == '*') {
            ox_text_adds(&part, ".*");
        } else if (!quoted && *c == '?') {
            ox_text_addc(&part, '.');
        } else if (!quoted && *c == '.' && dots) {
            ox_text_adds(&part, ")$");
            *schema = ox_arena_strdup(arena, part.ptr);
            ox_text_clear(&part);
            ox_text_adds(&part, "^(");
        } else {
            if (strchr(quoted ? "|*+?()[]{}.^$\\" : "$.", *c))
                ox_text_addc(&part, '\\');
            ox_text_addc(&part, quoted ? *c : (char)tolower((unsigned char)*c));
        }
    }
    ox_text_adds(&part, ")$");
    *name = part.ptr;
}

/* Appends " AND column ~ pattern" conditions. */
void
describe_where(struct shell *sh, struct text *query, const char *pattern, const char *schema_column,
    const char *name_column, const char *visible)
{
    const char *schema, *name;
    if (!pattern) {
        if (visible)
            ox_text_addf(query, "  AND %s\n", visible);
        return;
    }
    describe_pattern(&sh->arena, pattern, schema_column != NULL, &schema, &name);
    if (strcmp(name, "^(.*)$") != 0)
        ox_text_addf(query, "  AND %s OPERATOR(pg_catalog.~) %s\n", name_column,
            describe_literal(&sh->arena, name));
    if (schema && strcmp(schema, "^(.*)$") != 0)
        ox_text_addf(query, "  AND %s OPERATOR(pg_catalog.~) %s\n", schema_column,
            describe_literal(&sh->arena, schema));
    else if (!schema && visible)
        ox_text_addf(query, "  AND %s\n", visible);
}

void
describe_print(struct shell *sh, const PGresult *result, const char *title,
    const char *const *footers)
{
    struct print_opts opts = sh->print;
    struct print_table table = query_table(result, &sh->arena);
    table.title = title;
    table.footers = footers;
    print_table(&table, &opts, sh->out);
}

bool
describe_query(struct shell *sh, const char *query, const char *title)
{
    PGresult *result = query_hidden(sh, query);
    if (!result)
        return false;
    describe_print(sh, result, title, NULL);
    PQclear(result);
    return true;
}

static const char *
and_description(bool verbose, const char *expression)
{
    return verbose ? expression : "";
}

static enum backslash_result
list_schemas(struct shell *sh, const char *pattern, bool verbose, bool system)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_addf(&query,
        "SELECT n.nspname AS \"Name\",\n  pg_catalog.pg_get_userbyid(n.nspowner) AS \"Owner\"%s\n"
        "FROM pg_catalog.pg_namespace n\n",
        and_description(verbose,
            ",\n  pg_catalog.array_to_string(n.nspacl, E'\\n') AS \"Access privileges\",\n"
            "  pg_catalog.obj_description(n.oid, 'pg_namespace') AS \"Description\""));
    ox_text_adds(&query, pattern || system ? "WHERE true\n"
                                           : "WHERE n.nspname !~ '^pg_' AND n.nspname <> "
                                             "'information_schema'\n");
    describe_where(sh, &query, pattern, NULL, "n.nspname", NULL);
    ox_text_adds(&query, "ORDER BY 1;");
    return describe_query(sh, query.ptr, "List of schemas") ? BS_OK : BS_ERROR;
}

static enum backslash_result
list_databases(struct shell *sh, const char *pattern, bool verbose)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_addf(&query,
        "SELECT d.datname AS \"Name\",\n  pg_catalog.pg_get_userbyid(d.datdba) AS \"Owner\",\n"
        "  pg_catalog.pg_encoding_to_char(d.encoding) AS \"Encoding\",\n"
        "  d.datcollate AS \"Collate\",\n  d.datctype AS \"Ctype\"%s\n"
        "FROM pg_catalog.pg_database d\nWHERE true\n",
        and_description(verbose,
            ",\n  pg_catalog.shobj_description(d.oid, 'pg_database') AS \"Description\""));
    describe_where(sh, &query, pattern, NULL, "d.datname", NULL);
    ox_text_adds(&query, "ORDER BY 1;");
    return describe_query(sh, query.ptr, "List of databases") ? BS_OK : BS_ERROR;
}

static enum backslash_result
list_functions(struct shell *sh, const char *pattern, bool verbose, bool system)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_addf(&query,
        "SELECT n.nspname AS \"Schema\",\n  p.proname AS \"Name\",\n"
        "  pg_catalog.pg_get_function_result(p.oid) AS \"Result data type\",\n"
        "  pg_catalog.pg_get_function_arguments(p.oid) AS \"Argument data types\",\n"
        "  CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'w' THEN 'window' WHEN 'p' THEN 'proc'\n"
        "    ELSE 'func' END AS \"Type\"%s\n"
        "FROM pg_catalog.pg_proc p\n"
        "  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace\nWHERE true\n",
        and_description(verbose,
            ",\n  pg_catalog.obj_description(p.oid, 'pg_proc') AS \"Description\""));
    describe_where(sh, &query, pattern, "n.nspname", "p.proname",
        "pg_catalog.pg_function_is_visible(p.oid)");
    if (!pattern && !system)
        ox_text_adds(&query, "  AND n.nspname <> 'pg_catalog'\n"
                             "  AND n.nspname <> 'information_schema'\n");
    ox_text_adds(&query, "ORDER BY 1, 2, 4;");
    return describe_query(sh, query.ptr, "List of functions") ? BS_OK : BS_ERROR;
}

static enum backslash_result
list_types(struct shell *sh, const char *pattern, bool verbose, bool system)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_addf(&query,
        "SELECT n.nspname AS \"Schema\",\n  pg_catalog.format_type(t.oid, NULL) AS \"Name\",\n"
        "%s  pg_catalog.obj_description(t.oid, 'pg_type') AS \"Description\"\n"
        "FROM pg_catalog.pg_type t\n"
        "  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace\n"
        "WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c\n"
        "    WHERE c.oid = t.typrelid))\n"
        "  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type el\n"
        "    WHERE el.oid = t.typelem AND el.typarray = t.oid)\n",
        verbose ? "  t.typname AS \"Internal name\",\n" : "");
    if (!pattern && !system)
        ox_text_adds(&query, "  AND n.nspname <> 'pg_catalog'\n"
                             "  AND n.nspname <> 'information_schema'\n");
    describe_where(sh, &query, pattern, "n.nspname", "t.typname",
        "pg_catalog.pg_type_is_visible(t.oid)");
    ox_text_adds(&query, "ORDER BY 1, 2;");
    return describe_query(sh, query.ptr, "List of data types") ? BS_OK : BS_ERROR;
}

static enum backslash_result
list_privileges(struct shell *sh, const char *pattern)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_adds(&query,
        "SELECT n.nspname AS \"Schema\",\n  c.relname AS \"Name\",\n"
        "  CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN "
        "'materialized view'\n"
        "    WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'p' THEN 'partitioned "
        "table' END AS \"Type\",\n"
        "  pg_catalog.array_to_string(c.relacl, E'\\n') AS \"Access privileges\"\n"
        "FROM pg_catalog.pg_class c\n"
        "  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
        "WHERE c.relkind IN ('r','v','m','S','f','p')\n");
    if (!pattern)
        ox_text_adds(&query, "  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'\n");
    describe_where(sh, &query, pattern, "n.nspname", "c.relname",
        "pg_catalog.pg_table_is_visible(c.oid)");
    ox_text_adds(&query, "ORDER BY 1, 2;");
    return describe_query(sh, query.ptr, "Access privileges") ? BS_OK : BS_ERROR;
}

/* Roles: their flags become words here. */
static enum backslash_result
list_roles(struct shell *sh, const char *pattern, bool verbose)
{
    static const struct {
        int column;
        const char *when, *word;
    } flags[] = {{1, "t", "Superuser"}, {2, "f", "No inheritance"}, {3, "t", "Create role"},
        {4, "t", "Create DB"}, {5, "f", "Cannot login"}};
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_addf(&query,
        "SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb,\n"
        "  r.rolcanlogin, r.rolconnlimit%s\n"
        "FROM pg_catalog.pg_roles r\nWHERE %s\n",
        verbose ? ",\n  pg_catalog.shobj_description(r.oid, 'pg_authid') AS description" : "",
        pattern ? "true" : "r.rolname !~ '^pg_'");
    describe_where(sh, &query, pattern, NULL, "r.rolname", NULL);
    ox_text_adds(&query, "ORDER BY 1;");
    PGresult *result = query_hidden(sh, query.ptr);
    if (!result)
        return BS_ERROR;
    size_t rows = (size_t)PQntuples(result), columns = verbose ? 3 : 2;
    const char *headers[] = {"Role name", "Attributes", "Description"};
    const char **cells = ox_arena_array(&sh->arena, const char *, rows * columns + 1);
    for (size_t row = 0; row < rows; row++) {
        struct text words;
        ox_text_init(&words, &sh->arena);
        ox_text_adds(&words, "");
        for (size_t i = 0; i < ox_count(flags); i++)
            if (strcmp(PQgetvalue(result, (int)row, flags[i].column), flags[i].when) == 0)
                ox_text_addf(&words, "%s%s", words.len ? ", " : "", flags[i].word);
        const char *limit = PQgetvalue(result, (int)row, 6);
        if (atoi(limit) >= 0)
            ox_text_addf(&words, "%s%s connection%s", words.len ? "\n" : "", limit,
                atoi(limit) == 1 ? "" : "s");
        cells[row * columns] = PQgetvalue(result, (int)row, 0);
        cells[row * columns + 1] = words.ptr;
        if (verbose)
            cells[row * columns + 2] = PQgetvalue(result, (int)row, 7);
    }
    struct print_table table = {.columns = columns, .rows = rows, .headers = headers,
        .cells = cells, .title = "List of roles"};
    print_table(&table, &sh->print, sh->out);
    PQclear(result);
    return BS_OK;
}

static enum backslash_result
list_extensions(struct shell *sh, const char *pattern)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_adds(&query,
        "SELECT e.extname AS \"Name\",\n  e.extversion AS \"Version\",\n"
        "  n.nspname AS \"Schema\",\n"
        "  pg_catalog.obj_description(e.oid, 'pg_extension') AS \"Description\"\n"
        "FROM pg_catalog.pg_extension e\n"
        "  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace\nWHERE true\n");
    describe_where(sh, &query, pattern, NULL, "e.extname", NULL);
    ox_text_adds(&query, "ORDER BY 1;");
    return describe_query(sh, query.ptr, "List of installed extensions") ? BS_OK : BS_ERROR;
}

/* \dconfig: all that a pattern names, or what is not as it is by default. */
static enum backslash_result
list_settings(struct shell *sh, const char *pattern, bool verbose)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_adds(&query, "SELECT s.name AS \"Parameter\",\n"
                         "  pg_catalog.current_setting(s.name) AS \"Value\"");
    if (verbose)
        ox_text_adds(&query, ",\n  s.vartype AS \"Type\",\n  s.context AS \"Context\"");
    ox_text_adds(&query, "\nFROM pg_catalog.pg_settings s\nWHERE true\n");
    if (pattern)
        describe_where(sh, &query, pattern, NULL, "pg_catalog.lower(s.name)", NULL);
    else
        ox_text_adds(&query, "  AND s.source <> 'default'\n"
                             "  AND s.setting IS DISTINCT FROM s.boot_val\n");
    ox_text_adds(&query, "ORDER BY 1;");
    const char *title = pattern ? "List of configuration parameters"
                                : "List of non-default configuration parameters";
    return describe_query(sh, query.ptr, title) ? BS_OK : BS_ERROR;
}

static void
add_kinds(struct text *query, const char *kinds)
{
    ox_text_adds(query, "WHERE c.relkind IN (");
    for (const char *kind = kinds; *kind; kind++)
        ox_text_addf(query, "%s'%c'", kind == kinds ? "" : ",", *kind);
    ox_text_adds(query, ")\n");
}

static enum backslash_result
list_relations(struct shell *sh, const char *kinds, const char *pattern, bool verbose, bool system)
{
    bool indexes = strchr(kinds, 'i') != NULL;
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_addf(&query,
        "SELECT n.nspname AS \"Schema\",\n  c.relname AS \"Name\",\n"
        "  CASE c.relkind WHEN 'r' THEN '%s' WHEN 'v' THEN 'view'\n"
        "    WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence'\n"
        "    WHEN 't' THEN 'TOAST table' WHEN 'f' THEN 'foreign table'\n"
        "    WHEN 'p' THEN 'partitioned table' WHEN 'I' THEN 'partitioned index' END AS \"Type\",\n"
        "  pg_catalog.pg_get_userbyid(c.relowner) AS \"Owner\"",
        sh->oxbow ? "topic" : "table");
    if (indexes)
        ox_text_adds(&query, ",\n  t.relname AS \"Table\"");
    if (verbose)
        ox_text_adds(&query,
            ",\n  CASE c.relpersistence WHEN 'p' THEN 'permanent' WHEN 't' THEN 'temporary'\n"
            "    WHEN 'u' THEN 'unlogged' END AS \"Persistence\",\n");
    if (verbose && !sh->oxbow)
        ox_text_adds(&query, "  am.amname AS \"Access method\",\n");
    if (verbose)
        ox_text_adds(&query,
            "  pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)) AS \"Size\",\n"
            "  pg_catalog.obj_description(c.oid, 'pg_class') AS \"Description\"");
    ox_text_adds(&query, "\nFROM pg_catalog.pg_class c\n"
                         "  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n");
    if (verbose && !sh->oxbow)
        ox_text_adds(&query, "  LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam\n");
    if (indexes)
        ox_text_adds(&query, "  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid\n"
                             "  LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid\n");
    add_kinds(&query, kinds);
    if (!system && !pattern)
        ox_text_adds(&query, "  AND n.nspname <> 'pg_catalog'\n  AND n.nspname !~ '^pg_toast'\n"
                             "  AND n.nspname <> 'information_schema'\n");
    describe_where(sh, &query, pattern, "n.nspname", "c.relname",
        "pg_catalog.pg_table_is_visible(c.oid)");
    ox_text_adds(&query, "ORDER BY 1, 2;");
    PGresult *result = query_hidden(sh, query.ptr);
    if (!result)
        return BS_ERROR;
    bool found = PQntuples(result) > 0 || sh->vars.set.quiet;
    if (found)
        describe_print(sh, result, "List of relations", NULL);
    else if (pattern)
        shell_error(sh, "Did not find any relation named \"%s\".", pattern);
    else
        shell_error(sh, "Did not find any relations.");
    PQclear(result);
    return BS_OK;
}

/* Topics with what an operator asks of them first. */
static enum backslash_result
list_topics(struct shell *sh, const char *pattern, bool verbose)
{
    struct text query;
    ox_text_init(&query, &sh->arena);
    ox_text_adds(&query,
        "SELECT CASE WHEN t.internal THEN 'oxbow_internal' ELSE 'public' END AS \"Schema\",\n"
        "  t.name AS \"Name\",\n  t.kind AS \"Type\",\n"
        "  pg_catalog.regexp_replace(t.owner, '^User:', '') AS \"Owner\"");
    if (verbose)
        ox_text_adds(&query,
            ",\n  t.partitions AS \"Partitions\",\n  t.records AS \"Records\",\n"
            "  t.bytes AS \"Bytes\",\n"
            "  g.lag AS \"Lag\",\n"
            "  t.cleanup_policy AS \"Cleanup\",\n  t.latest AS \"Latest record\",\n"
            "  t.comment AS \"Description\"");
    ox_text_adds(&query, "\nFROM oxbow.topics t\n");
    if (verbose) /* of the group that is furthest behind */
        ox_text_adds(&query, "  LEFT JOIN (SELECT s.topic, max(s.lag) AS lag\n"
                             "    FROM (SELECT topic, \"group\", sum(lag) AS lag FROM oxbow.lag\n"
                             "      GROUP BY topic, \"group\") s\n"
                             "    GROUP BY s.topic) g ON g.topic = t.name\n");
    ox_text_adds(&query, "WHERE true\n");
    const char *schema, *name;
    if (pattern) {
        describe_pattern(&sh->arena, pattern, false, &schema, &name);
        ox_text_addf(&query, "  AND t.name ~ %s\n", describe_literal(&sh->arena, name));
    } else {
        ox_text_adds(&query, "  AND NOT t.internal\n");
    }
    ox_text_adds(&query, "ORDER BY 1, 2;");
    PGresult *result = query_hidden(sh, query.ptr);
    if (!result)
        return BS_ERROR;
    if (PQntuples(result) > 0 || sh->vars.set.quiet)
        describe_print(sh, result, "List of topics", NULL);
    else if (pattern)
        shell_error(sh, "Did not find any topic named \"%s\".", pattern);
    else
        shell_error(sh, "Did not find any topics.");
    PQclear(result);
    return BS_OK;
}

/* The letters behind \d that name relation kinds; NULL if others are among them. */
static const char *
relation_kinds(struct shell *sh, const char *letters, char kinds[16])
{
    static const char *const rows[] = {"trp", "vv", "mm", "iiI", "sS", "Ef"};
    size_t filled = 0;
    for (; *letters; letters++) {
        bool known = false;
        for (size_t i = 0; i < ox_count(rows); i++)
            if (rows[i][0] == *letters) {
                known = true;
                for (const char *kind = rows[i] + 1; *kind && filled < 14; kind++)
                    kinds[filled++] = *kind;
            }
        if (!known)
            return NULL;
    }
    kinds[filled] = '\0';
    return kinds;
}

enum backslash_result
describe_run(struct shell *sh, const char *command)
{
    char letters[16] = "", kinds[16];
    size_t filled = 0;
    bool verbose = false, system = false, list = command[0] == 'l', z = command[0] == 'z';
    for (const char *c = command + (list && command[1] == 'i' ? 4 : 1); *c && filled < 15; c++) {
        if (*c == '+')
            verbose = true;
        else if (*c == 'S' && c != command)
            system = true;
        else
            letters[filled++] = *c;
    }
    if (filled >= 15)
        return BS_UNKNOWN;
    char *pattern = sh->splitter ? arg_next(sh, ARG_PLAIN, true, NULL) : NULL;
    if (list)
        return list_databases(sh, pattern, verbose);
    if (z || strcmp(letters, "p") == 0)
        return list_privileges(sh, pattern);
    if (strcmp(letters, "n") == 0)
        return list_schemas(sh, pattern, verbose, system);
    if (strcmp(letters, "u") == 0 || strcmp(letters, "g") == 0)
        return list_roles(sh, pattern, verbose);
    if (strcmp(letters, "x") == 0)
        return list_extensions(sh, pattern);
    if (strcmp(letters, "config") == 0)
        return list_settings(sh, pattern, verbose);
    if (strcmp(letters, "T") == 0)
        return list_types(sh, pattern, verbose, system);
    if (letters[0] == 'f' && strspn(letters + 1, "anptw") == strlen(letters + 1))
        return list_functions(sh, pattern, verbose, system);
    if (letters[0] == '\0' && pattern)
        return describe_relations(sh, pattern, verbose);
    if (letters[0] == '\0' || strcmp(letters, "t") == 0)
        if (sh->oxbow && !system && (letters[0] || !pattern))
            return list_topics(sh, pattern, verbose);
    if (letters[0] == '\0')
        return list_relations(sh, "rpvmSf", pattern, verbose, system);
    if (!relation_kinds(sh, letters, kinds))
        return BS_UNKNOWN;
    return list_relations(sh, kinds, pattern, verbose, system);
}
