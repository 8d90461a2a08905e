/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to syntax trees: cuts a text into statements, looks up the first words
 * of each (catalog/commands.tbl), and feeds the parser, with the look-ahead that
 * a few words need. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/stop.h"
#include "sql/ast.h"
#include "sql/commands.h"
#include "sql/scan.h"
#include "sql_parser.gen.h"

/* The text of a query, and its syntax trees. */
enum { TEXT_MAX = LIMIT_SQL_TEXT_VALUE, TREES_MAX = 256 << 20 };

/* The parser that lemon made. */
void *sql_parserAlloc(void *(*alloc)(size_t));
void sql_parserFree(void *parser, void (*release)(void *));
void sql_parser(void *parser, int code, struct ast_token token, struct ast_parse *parse);

struct feed {
    struct sql_scan scan;
    int code; /* of the next token */
    struct ast_token token;
    int behind; /* of the one after it, when scanned already: has_behind */
    struct ast_token behind_token;
    bool has_behind;
};

static void
advance(struct feed *feed)
{
    if (feed->has_behind) {
        feed->code = feed->behind;
        feed->token = feed->behind_token;
        feed->has_behind = false;
        return;
    }
    feed->code = sql_scan_next(&feed->scan, &feed->token);
}

static int
peek(struct feed *feed)
{
    if (!feed->has_behind) {
        feed->behind = sql_scan_next(&feed->scan, &feed->behind_token);
        feed->has_behind = true;
    }
    return feed->behind;
}

/* Words whose meaning depends on what follows. */
static int
look_ahead(struct feed *feed)
{
    switch (feed->code) {
    case T_NOT:
        switch (peek(feed)) {
        case T_BETWEEN: case T_IN: case T_LIKE: case T_ILIKE: case T_SIMILAR:
            return T_NOT_LA;
        }
        break;
    case T_NULLS:
        if (peek(feed) == T_FIRST || peek(feed) == T_LAST)
            return T_NULLS_LA;
        break;
    case T_WITH:
        if (peek(feed) == T_TIME || peek(feed) == T_ORDINALITY)
            return T_WITH_LA;
        break;
    case T_FOR:
        if (peek(feed) == T_SYSTEM_TIME)
            return T_FOR_LA;
        break;
    case T_WITHIN:
        if (peek(feed) == T_GROUP)
            return T_WITHIN_LA;
        break;
    }
    return feed->code;
}

/* Is c the row's words? Gives how many words they are, 0 if not. */
static int
match_words(const char *words, char found[SQL_COMMAND_WORDS_MAX][32], int count)
{
    int matched = 0;
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        if (matched == count || strlen(found[matched]) != len ||
            strncmp(found[matched], words, len) != 0)
            return 0;
        matched++;
        words += len;
        words += *words == ' ';
    }
    return matched;
}

/* The row of the statement that starts here, or NULL. The scanner is copied, so that
 * nothing is consumed and a scanner failure is found again by the parse proper. */
static const struct sql_command *
find_command(struct feed *feed)
{
    char found[SQL_COMMAND_WORDS_MAX][32] = {{0}};
    struct sql_scan scan = feed->scan;
    struct ast_parse quiet = *feed->scan.parse;
    quiet.err = NULL;
    scan.parse = &quiet;
    struct ast_token token = feed->token;
    int code = feed->code, count = 0;
    while (count < SQL_COMMAND_WORDS_MAX && code > 0 && token.text.len < sizeof(found[0]) &&
           isalpha((unsigned char)scan.start[token.pos])) {
        memcpy(found[count++], token.text.ptr, token.text.len);
        code = sql_scan_next(&scan, &token);
        if (count == 2 && strcmp(found[0], "create") == 0 && strcmp(found[1], "or") == 0)
            count = 1, code = sql_scan_next(&scan, &token); /* OR REPLACE */
    }
    const struct sql_command *best = NULL;
    int best_words = 0;
    for (int i = 0; i < sql_command_count; i++) {
        if (sql_commands[i].words[0] != found[0][0])
            continue;
        int words = match_words(sql_commands[i].words, found, count);
        if (words > best_words) {
            best_words = words;
            best = &sql_commands[i];
        }
    }
    return best;
}

static bool
is_verb(const char *words)
{
    return strcmp(words, "CREATE") == 0 || strcmp(words, "ALTER") == 0 ||
           strcmp(words, "DROP") == 0 || strcmp(words, "COMMENT") == 0;
}

static struct str
upper_words(struct ast_parse *p, const char *words, struct ast_token next)
{
    char *text = ox_arena_printf(p->arena, "%s %.*s", words, OX_STR_ARG(next.text));
    for (char *c = text; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    return ox_str(text);
}

/* A statement that is not parsed: skip it. */
static void
skip_statement(struct feed *feed, struct ast_parse *p, const struct sql_command *command)
{
    bool noop = command->served == SQL_COMMAND_NOOP;
    struct ast_stmt *stmt = ast_stmt_new(p, noop ? AST_NOOP : AST_REFUSED, feed->token.pos);
    char *words = ox_arena_strdup(p->arena, command->words);
    for (char *c = words; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    if (noop && strcmp(words, "ANALYSE") == 0)
        words = ox_arena_strdup(p->arena, "ANALYZE");
    stmt->words = ox_str(words);
    stmt->command = command;
    int end = feed->token.end, count = 0;
    while (feed->code > 0 && feed->code != T_SEMI) {
        end = feed->token.end;
        advance(feed);
        /* CREATE INDEX is called so, though one row is for all of CREATE. */
        if (count++ == 0 && !noop && strchr(words, ' ') == NULL && feed->code > 0 &&
            isalpha((unsigned char)p->text.ptr[feed->token.pos]) && is_verb(words) &&
            feed->code != T_OR && feed->code != T_ON)
            stmt->words = upper_words(p, words, feed->token);
    }
    if (noop && strncmp(words, "RESET ", 6) == 0)
        stmt->words = OX_STR("RESET");
    if (noop && (strncmp(words, "SET SESSION", 11) == 0 || strcmp(words, "SET ROLE NONE") == 0))
        stmt->words = OX_STR("SET");
    if (feed->code >= 0)
        ast_stmt_add(p, stmt, end);
}

static void
parse_statement(struct feed *feed, struct ast_parse *p, void *parser)
{
    size_t before = p->stmts.count;
    int pos = feed->token.pos, end = pos;
    p->start = pos;
    p->params = 0;
    while (feed->code > 0 && feed->code != T_SEMI && p->code == OX_OK) {
        int code = look_ahead(feed);
        end = feed->token.end;
        sql_parser(parser, code, feed->token, p);
        if (ox_unlikely(p->arena->used > TREES_MAX) && p->code == OX_OK)
            ast_fail(p, OX_PROGRAM_LIMIT_EXCEEDED, feed->token.pos,
                "statement has too many parts: send it in pieces");
        if (ox_stopped(150) && p->code == OX_OK)
            p->code = ox_stop_fail(p->err);
        advance(feed);
    }
    if (feed->code < 0 || p->code != OX_OK)
        return;
    struct ast_token last = {.text = OX_STR_NULL, .pos = (int)p->text.len};
    if (feed->code == T_SEMI) {
        last = feed->token;
        last.end = last.pos + 1;
    }
    sql_parser(parser, 0, last, p);
    if (p->code == OX_OK && p->stmts.count == before)
        ast_fail(p, OX_SYNTAX_ERROR, pos, "syntax error");
    if (p->code == OX_OK) {
        struct ast_stmt *stmt = ast_at(&p->stmts, before, struct ast_stmt);
        stmt->pos = pos;
        stmt->end = end;
    }
}

static ox_code
check_text(struct str text, struct ox_err *err)
{
    if (text.len > TEXT_MAX)
        limit_met(LIMIT_SQL_TEXT);
    if (text.len > TEXT_MAX)
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
            "statement of %zu bytes exceeds the limit of %d", text.len, TEXT_MAX);
    const char *nul = memchr(text.ptr, '\0', text.len);
    if (nul != NULL || !ox_utf8_valid(text.ptr, text.len))
        return ox_fail(err, OX_CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\"%s", nul != NULL ? ": 0x00" : "");
    return OX_OK;
}

ox_code
sql_parse(struct str text, struct arena *arena, struct ast_parse *p, struct ox_err *err)
{
    struct ox_err own;
    *p = (struct ast_parse){.arena = arena, .err = err != NULL ? err : &own};
    if (text.ptr == NULL)
        text = OX_STR("");
    ox_code code = check_text(text, err);
    if (code != OX_OK)
        return code;
    p->text = ox_str_dup(arena, text);
    struct feed feed = {0};
    sql_scan_init(&feed.scan, p);
    void *parser = NULL;
    for (advance(&feed); feed.code > 0 && p->code == OX_OK; advance(&feed)) {
        if (feed.code == T_SEMI)
            continue;
        feed.scan.depth = 0;
        const struct sql_command *command = find_command(&feed);
        if (command != NULL && command->served != SQL_COMMAND_YES) {
            skip_statement(&feed, p, command);
        } else {
            if (parser == NULL)
                parser = sql_parserAlloc(ox_malloc);
            parse_statement(&feed, p, parser);
        }
        if (feed.code <= 0)
            break;
    }
    if (parser != NULL)
        sql_parserFree(parser, ox_free);
    return p->code;
}
