/* SPDX-License-Identifier: Apache-2.0
 *
 * Words of PostgreSQL that are understood well enough to say that they are not
 * served, and what is: instead of a syntax error or a type that does not exist. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "sql/bind.h"
#include "sql/refuse.h"

/* ---- syntax ------------------------------------------------------------------------ */

/* The word, lower case, that stands before or behind a place; "" where there is none. */
static void
word_before(struct str text, size_t *at, char out[16])
{
    size_t end = *at, len = 0;
    while (end > 0 && isspace((unsigned char)text.ptr[end - 1]))
        end--;
    size_t start = end;
    while (start > 0 && (isalnum((unsigned char)text.ptr[start - 1]) || text.ptr[start - 1] == '_'))
        start--;
    for (size_t i = start; i < end && len < 15; i++)
        out[len++] = (char)tolower((unsigned char)text.ptr[i]);
    out[len] = '\0';
    *at = start < end ? start : end;
}

static void
word_at(struct str text, size_t at, char out[16])
{
    size_t len = 0;
    while (at < text.len && isspace((unsigned char)text.ptr[at]))
        at++;
    while (at < text.len && isalpha((unsigned char)text.ptr[at]) && len < 15)
        out[len++] = (char)tolower((unsigned char)text.ptr[at++]);
    out[len] = '\0';
}

static bool
is_word(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || (b != NULL && strcmp(word, b) == 0) ||
           (c != NULL && strcmp(word, c) == 0);
}

/* "LIMIT 5, 10": the comma has just been met. */
static bool
is_limit_pair(struct str text, size_t comma, size_t *limit)
{
    char word[16];
    *limit = comma;
    word_before(text, limit, word);
    if (!isdigit((unsigned char)word[0]))
        return false;
    word_before(text, limit, word);
    return strcmp(word, "limit") == 0;
}

bool
refuse_syntax(struct ast_parse *p, struct ast_token token)
{
    char word[16], next[16], before[16], first[16];
    size_t at = (size_t)token.pos;
    if (p->text.ptr[token.pos] == ',' && is_limit_pair(p->text, at, &at)) {
        ast_fail(p, OX_SYNTAX_ERROR, (int)at, "LIMIT #,# syntax is not supported");
        ox_hint(p->err, "Use separate LIMIT and OFFSET clauses.");
        return true;
    }
    word_at(p->text, at, word);
    word_at(p->text, (size_t)token.end, next);
    word_at(p->text, (size_t)p->start, first);
    word_before(p->text, &at, before);
    char sign = at > 0 && before[0] == '\0' ? p->text.ptr[at - 1] : '\0';
    const char *what = NULL, *hint = NULL;
    if (sign == '(' && strcmp(first, "with") == 0 && (is_word(word, "insert", "update", "delete") ||
                                                         strcmp(word, "merge") == 0)) {
        what = "a statement that writes in WITH";
        hint = "Run the INSERT by itself; its RETURNING gives rows.";
    } else if (sign == ')' && strcmp(word, "search") == 0 && is_word(next, "depth", "breadth", NULL)) {
        what = "SEARCH";
        hint = "Carry an array with the path through the recursion and ORDER BY it.";
    } else if (sign == ')' && strcmp(word, "cycle") == 0) {
        what = "CYCLE";
        hint = "Carry an array with the keys that were met and end where a key = ANY of it.";
    } else if (strcmp(word, "into") == 0 && strcmp(first, "select") == 0) {
        what = "SELECT INTO";
        hint = "CREATE TOPIC makes it, INSERT ... SELECT fills it.";
    } else if (strcmp(before, "is") == 0 && is_word(word, "json", "normalized", NULL)) {
        what = word[0] == 'j' ? "IS JSON" : "IS NORMALIZED";
        hint = word[0] == 'j' ? "The function json_valid() tells." : "normalize() gives the form NFC.";
    }
    if (what != NULL)
        ast_refuse(p, token.pos, what, hint);
    return what != NULL;
}

/* ---- types -------------------------------------------------------------------------- */

static const struct {
    const char *names, *hint;
} types[] = {
    {" timetz ", "Use time, or timestamptz."},
    {" bit varbit ", "Use bytea, or text of 0 and 1."},
    {" money ", "Use numeric."},
    {" xml ", "Use text."},
    {" inet cidr macaddr macaddr8 ", "Use text."},
    {" point line lseg box path polygon circle ", "Use float8[] or jsonb."},
    {" int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange "
     "nummultirange tsmultirange tstzmultirange datemultirange ", "Use two columns."},
    {" tsvector tsquery ", "Use LIKE or a regular expression."},
    {" jsonpath ", "Paths are given as text: jsonb_path_query(value, '$.a')."},
    {" pg_lsn txid_snapshot pg_snapshot xid8 cid tid refcursor int2vector oidvector regprocedure "
     "regoper regoperator regconfig regdictionary regcollation ", NULL},
};

ox_code
refuse_type(struct str name, struct ox_err *err)
{
    char padded[40];
    if (name.len + 3 > sizeof(padded))
        return OX_OK;
    snprintf(padded, sizeof(padded), " %.*s ", OX_STR_ARG(name));
    for (size_t i = 0; i < ox_count(types); i++) {
        if (strstr(types[i].names, padded) == NULL)
            continue;
        ox_code code = ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "type \"%.*s\" is not served",
            OX_STR_ARG(name));
        if (types[i].hint != NULL)
            ox_hint(err, "%s", types[i].hint);
        return code;
    }
    return OX_OK;
}
