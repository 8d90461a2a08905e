/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sql/ast.h"
#include "tap.h"

static char sentence[512];
#define SAY(...) (snprintf(sentence, sizeof(sentence), __VA_ARGS__), sentence)

/* Each line is a sentence; one that starts with '!' must be refused with a
 * syntax error, the others must parse, or be known and not served. */
static const char *const sentences[] = {
#include "sql_sentences.inc"
};

static ox_code
parse(const char *text, struct ox_err *err, size_t *count, int *kind)
{
    struct arena arena;
    struct ast_parse p;
    ox_arena_init(&arena);
    ox_code code = sql_parse(ox_str(text), &arena, &p, err);
    *count = code == OX_OK ? p.stmts.count : 0;
    *kind = *count > 0 ? (int)ast_at(&p.stmts, 0, struct ast_stmt)->kind : -1;
    ox_arena_fini(&arena);
    return code;
}

static void
test_sentences(void)
{
    for (size_t i = 0; i < ox_count(sentences); i++) {
        const char *text = sentences[i];
        struct ox_err err;
        size_t count;
        int kind;
        bool refused = text[0] == '!';
        ox_code code = parse(text + refused, &err, &count, &kind);
        if (refused)
            ok(code == OX_SYNTAX_ERROR, SAY("refused: %s", text + 1));
        else
            ok(code == OX_OK || code == OX_FEATURE_NOT_SUPPORTED,
                SAY("taken: %s (%s)", text, code == OX_OK ? "ok" : err.message));
    }
}

static void
test_position(const char *text, ox_code expect, int position)
{
    struct ox_err err = {0};
    size_t count;
    int kind;
    ox_code code = parse(text, &err, &count, &kind);
    ok(code == expect && err.position == position,
        SAY("%.60s: %s at %d", text, err.message,
        err.position));
}

static char *
repeat(const char *head, const char *unit, int times, const char *tail)
{
    char *text = malloc(strlen(head) + strlen(unit) * (size_t)times + strlen(tail) + 1);
    char *to = stpcpy(text, head);
    for (int i = 0; i < times; i++)
        to = stpcpy(to, unit);
    strcpy(to, tail);
    return text;
}

static void
test_limits(void)
{
    struct ox_err err;
    size_t count;
    int kind;
    static const char *const units[] = {"(", "NOT ", "- ", "1 + ", "a IN (", "CASE WHEN ", "f("};
    for (size_t i = 0; i < ox_count(units); i++) {
        char *text = repeat("SELECT ", units[i], 100000, "1");
        ok(parse(text, &err, &count, &kind) == OX_STATEMENT_TOO_COMPLEX,
            SAY("%s is too deep: %s", units[i], err.message));
        free(text);
    }
    char *wide = repeat("SELECT 1 ", ", 1", 20000, "");
    ok(parse(wide, &err, &count, &kind) == OX_OK, "a wide list is fine");
    free(wide);
    char *ors = repeat("SELECT a", " OR a", 20000, "");
    ok(parse(ors, &err, &count, &kind) == OX_OK, "many ORs are one node");
    free(ors);
    char *big = repeat("SELECT '", "xxxxxxxxxxxxxxxx", 1 << 20, "'");
    ok(parse(big, &err, &count, &kind) == OX_PROGRAM_LIMIT_EXCEEDED, "16 MiB is the limit");
    free(big);
    struct arena arena;
    struct ast_parse p;
    ox_arena_init(&arena);
    ok(sql_parse(ox_str_n("SELECT 1\0", 9), &arena, &p, &err) ==
            OX_CHARACTER_NOT_IN_REPERTOIRE, "NUL is refused");
    ok(sql_parse(OX_STR("SELECT '\xff'"), &arena, &p, &err) == OX_CHARACTER_NOT_IN_REPERTOIRE,
        "invalid UTF-8 is refused");
    ox_arena_fini(&arena);
}

static void
test_many(void)
{
    struct ox_err err;
    size_t count;
    int kind;
    parse("; ;SELECT 1;; SHOW ALL ;", &err, &count, &kind);
    ok(count == 2, "empty statements are left out");
    parse("CREATE OR REPLACE VIEW x AS SELECT 1; SELECT 2", &err, &count, &kind);
    ok(count == 2 && kind == AST_REFUSED, "known words that are not served");
    parse("COMMIT OFFSETS GROUP 'g'", &err, &count, &kind);
    ok(kind == AST_REFUSED, "COMMIT OFFSETS is no COMMIT");
    parse("ANALYZE t", &err, &count, &kind);
    ok(kind == AST_NOOP, "ANALYZE does nothing");
}

int
main(void)
{
    test_sentences();
    test_position("SELECT 1 FROM WHERE", OX_SYNTAX_ERROR, 15);
    test_position("SELEC 1", OX_SYNTAX_ERROR, 1);
    test_position("SELECT 'é', FROM t", OX_SYNTAX_ERROR, 13);
    test_position("SELECT 'abc", OX_SYNTAX_ERROR, 8);
    test_position("SELECT (1", OX_SYNTAX_ERROR, 10);
    test_position("SELECT 1; SELECT )", OX_SYNTAX_ERROR, 18);
    test_position("SELECT 123abc", OX_SYNTAX_ERROR, 8);
    test_position("SELECT $0", OX_UNDEFINED_PARAMETER, 8);
    test_position("SELECT \"\"", OX_SYNTAX_ERROR, 8);
    test_position("SELECT /* x", OX_SYNTAX_ERROR, 8);
    test_limits();
    test_many();
    return done();
}
