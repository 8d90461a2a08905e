/* SPDX-License-Identifier: Apache-2.0
 *
 * The splitter reads a line at a time and keeps what a line cannot tell: the
 * quote, comment or parenthesis that it ended in.
 *
 *   SPLIT_SQL --'--> SPLIT_QUOTE, E'--> SPLIT_ESCAPE, "--> SPLIT_IDENT,
 *             --$tag$--> SPLIT_DOLLAR, --slash star--> SPLIT_COMMENT, and back
 *
 * Invariants: 1. pos <= line.len; 2. guards are nested, the innermost ends
 * first; 3. dollar is set exactly in SPLIT_DOLLAR; 4. comments > 0 exactly in
 * SPLIT_COMMENT. */
#include "config.h"

#include "shell/splitter.h"

#include <ctype.h>
#include <strings.h>

#include "base/check.h"

static bool step_sql(struct splitter *sp, struct text *query, enum split_result *result);
static void step_inside(struct splitter *sp, struct text *query);
static enum split_result end_of_line(struct splitter *sp, const struct text *query,
    enum split_prompt *prompt);

void
splitter_init(struct splitter *sp, split_lookup_fn lookup, void *arg)
{
    memset(sp, 0, sizeof(*sp));
    sp->lookup = lookup;
    sp->arg = arg;
    ox_text_init(&sp->line, NULL);
}

static void
guards_pop(struct splitter *sp, size_t pos)
{
    while (sp->guards && sp->guards->end <= pos) {
        struct split_guard *guard = sp->guards;
        sp->guards = guard->next;
        ox_free(guard->name);
        ox_free(guard);
    }
}

static void
statement_reset(struct splitter *sp)
{
    sp->parens = sp->begins = sp->words = 0;
}

void
splitter_fini(struct splitter *sp)
{
    splitter_reset(sp);
    ox_text_fini(&sp->line);
}

void
splitter_reset(struct splitter *sp)
{
    guards_pop(sp, SIZE_MAX);
    ox_text_clear(&sp->line);
    ox_free(sp->dollar);
    sp->dollar = NULL;
    sp->pos = 0;
    sp->comments = 0;
    sp->state = SPLIT_SQL;
    statement_reset(sp);
}

void
splitter_statement_done(struct splitter *sp)
{
    statement_reset(sp);
}

void
splitter_line(struct splitter *sp, struct str line)
{
    guards_pop(sp, SIZE_MAX);
    ox_text_clear(&sp->line);
    ox_text_add(&sp->line, line.ptr, line.len);
    sp->pos = 0;
}

struct str
splitter_rest(const struct splitter *sp)
{
    return ox_str_n(sp->line.ptr ? sp->line.ptr + sp->pos : "", sp->line.len - sp->pos);
}

void
splitter_skip(struct splitter *sp, size_t len)
{
    ox_assert(len <= sp->line.len - sp->pos);
    sp->pos += len;
    guards_pop(sp, sp->pos);
}

enum split_result
splitter_next(struct splitter *sp, struct text *query, enum split_prompt *prompt)
{
    enum split_result result;
    while (sp->pos < sp->line.len) {
        if (sp->state != SPLIT_SQL) {
            step_inside(sp, query);
        } else if (step_sql(sp, query, &result)) {
            *prompt = PROMPT_READY;
            return result;
        }
        guards_pop(sp, sp->pos);
    }
    return end_of_line(sp, query, prompt);
}

static enum split_result
end_of_line(struct splitter *sp, const struct text *query, enum split_prompt *prompt)
{
    static const char prompts[] = {[SPLIT_QUOTE] = PROMPT_SINGLE, [SPLIT_ESCAPE] = PROMPT_SINGLE,
        [SPLIT_IDENT] = PROMPT_DOUBLE, [SPLIT_DOLLAR] = PROMPT_DOLLAR,
        [SPLIT_COMMENT] = PROMPT_COMMENT};
    if (sp->state != SPLIT_SQL)
        *prompt = (enum split_prompt)prompts[sp->state];
    else if (sp->parens > 0)
        *prompt = PROMPT_PAREN;
    else if (sp->begins > 0)
        *prompt = PROMPT_CONTINUE;
    else if (query->len == 0)
        *prompt = PROMPT_READY;
    else {
        *prompt = PROMPT_CONTINUE;
        return SPLIT_END;
    }
    return SPLIT_PARTIAL;
}

static void
take(struct splitter *sp, struct text *query, size_t len)
{
    ox_text_add(query, sp->line.ptr + sp->pos, len);
    sp->pos += len;
}

static bool
ident_start(unsigned char c)
{
    return isalpha(c) || c == '_' || c >= 0x80;
}

static bool
ident_part(unsigned char c)
{
    return ident_start(c) || isdigit(c) || c == '$';
}

/* Inside a quote or comment: copies up to and over its end, or the rest of the line. */
static void
step_inside(struct splitter *sp, struct text *query)
{
    const char *at = sp->line.ptr + sp->pos;
    size_t left = sp->line.len - sp->pos, len = 0;
    if (sp->state == SPLIT_DOLLAR) {
        const char *end = memmem(at, left, sp->dollar, strlen(sp->dollar));
        if (end) {
            len = (size_t)(end - at) + strlen(sp->dollar);
            ox_free(sp->dollar);
            sp->dollar = NULL;
            sp->state = SPLIT_SQL;
        } else {
            len = left;
        }
        take(sp, query, len);
        return;
    }
    char close = sp->state == SPLIT_IDENT ? '"' : '\'';
    while (len < left) {
        if (sp->state == SPLIT_COMMENT) {
            if (at[len] == '*' && len + 1 < left && at[len + 1] == '/') {
                len += 2;
                if (--sp->comments == 0) {
                    sp->state = SPLIT_SQL;
                    break;
                }
            } else if (at[len] == '/' && len + 1 < left && at[len + 1] == '*') {
                len += 2;
                sp->comments++;
            } else {
                len++;
            }
        } else if (sp->state == SPLIT_ESCAPE && at[len] == '\\' && len + 1 < left) {
            len += 2;
        } else if (at[len] == close && len + 1 < left && at[len + 1] == close) {
            len += 2; /* a doubled quote stands for itself */
        } else if (at[len++] == close) {
            sp->state = SPLIT_SQL;
            break;
        }
    }
    take(sp, query, len);
}

/* The words CREATE [OR REPLACE] {FUNCTION | PROCEDURE} open a statement whose BEGIN ... END
 * holds semicolons of its own; CASE ... END nests inside. */
static void
word_seen(struct splitter *sp, struct str word)
{
    static const char *const heads[] = {"create", "or", "replace", "function", "procedure"};
    if (sp->words < 4) {
        char head = '-';
        for (size_t i = 0; i < ox_count(heads); i++)
            if (ox_str_ieq(word, ox_str(heads[i])))
                head = heads[i][0];
        sp->heads[sp->words] = head;
        sp->words++;
    }
    const char *h = sp->heads;
    bool routine = sp->words >= 2 && h[0] == 'c' &&
                   (h[1] == 'f' || h[1] == 'p' ||
                       (sp->words >= 4 && h[1] == 'o' && h[2] == 'r' && (h[3] == 'f' || h[3] == 'p')));
    if (!routine || sp->parens > 0)
        return;
    if (ox_str_ieq(word, OX_STR("begin")))
        sp->begins++;
    else if (ox_str_ieq(word, OX_STR("case")) && sp->begins > 0)
        sp->begins++;
    else if (ox_str_ieq(word, OX_STR("end")) && sp->begins > 0)
        sp->begins--;
}

/* $tag$ at the position: its length, else 0. */
static size_t
dollar_tag(struct str text)
{
    size_t len = 1;
    if (text.len > 1 && ident_start((unsigned char)text.ptr[1]))
        while (len < text.len && ident_part((unsigned char)text.ptr[len]) && text.ptr[len] != '$')
            len++;
    return len < text.len && text.ptr[len] == '$' ? len + 1 : 0;
}

static void
step_word(struct splitter *sp, struct text *query, struct str rest)
{
    size_t len = 1;
    while (len < rest.len && ident_part((unsigned char)rest.ptr[len]))
        len++;
    struct str word = ox_str_n(rest.ptr, len);
    if (len == 1 && rest.len > 1 && rest.ptr[1] == '\'' && (word.ptr[0] == 'e' || word.ptr[0] == 'E')) {
        sp->state = SPLIT_ESCAPE;
        take(sp, query, 2);
        return;
    }
    word_seen(sp, word);
    take(sp, query, len);
}

/* A colon: a variable reference, a cast, or itself. */
static void
step_colon(struct splitter *sp, struct text *query, struct str rest)
{
    if (rest.len > 1 && (rest.ptr[1] == ':' || rest.ptr[1] == '=')) {
        take(sp, query, 2);
        return;
    }
    size_t used = 0;
    struct str name = OX_STR_NULL;
    char *value = splitter_variable(rest, sp->lookup, sp->arg, &used, &name);
    if (!value) {
        take(sp, query, used ? used : 1);
        return;
    }
    bool plain = name.ptr == rest.ptr + 1;
    if (plain) {
        for (struct split_guard *guard = sp->guards; guard; guard = guard->next)
            if (ox_str_is(name, guard->name)) { /* expanding itself: leave it as it is */
                ox_free(value);
                if (sp->recursion)
                    sp->recursion(sp->arg, name);
                take(sp, query, used);
                return;
            }
    }
    struct text joined;
    ox_text_init(&joined, NULL);
    ox_text_add(&joined, sp->line.ptr, sp->pos);
    ox_text_adds(&joined, value);
    size_t end = joined.len, removed = used, added = strlen(value);
    ox_text_add(&joined, rest.ptr + used, rest.len - used);
    for (struct split_guard *guard = sp->guards; guard; guard = guard->next)
        guard->end = guard->end - removed + added;
    if (plain) { /* its text is read as SQL; quoted forms are taken as they are */
        struct split_guard *guard = ox_calloc(1, sizeof(*guard));
        guard->name = ox_malloc(name.len + 1);
        memcpy(guard->name, name.ptr, name.len);
        guard->name[name.len] = '\0';
        guard->end = end;
        guard->next = sp->guards;
        sp->guards = guard;
    }
    ox_text_fini(&sp->line);
    sp->line = joined;
    if (!plain)
        take(sp, query, added);
    ox_free(value);
}

/* White space or a comment: kept inside of a statement, dropped before it. */
static void
step_blank(struct splitter *sp, struct text *query, size_t len)
{
    if (query->len > 0)
        take(sp, query, len);
    else
        sp->pos += len;
}

/* $tag$: the rest is quoted until it comes again. False: it is none. */
static bool
step_dollar(struct splitter *sp, struct text *query, struct str rest)
{
    size_t tag = dollar_tag(rest);
    if (tag == 0)
        return false;
    sp->dollar = ox_malloc(tag + 1);
    memcpy(sp->dollar, rest.ptr, tag);
    sp->dollar[tag] = '\0';
    sp->state = SPLIT_DOLLAR;
    take(sp, query, tag);
    return true;
}

/* A backslash begins a command, except before a semicolon or a colon, which then are
 * themselves. */
static bool
step_backslash(struct splitter *sp, struct text *query, char next, enum split_result *result)
{
    sp->pos++;
    if (next != ';' && next != ':') {
        *result = SPLIT_BACKSLASH;
        return true;
    }
    take(sp, query, 1);
    if (next == ';')
        sp->words = 0;
    return false;
}

/* One token outside of quotes. True when a border was met. */
static bool
step_sql(struct splitter *sp, struct text *query, enum split_result *result)
{
    struct str rest = splitter_rest(sp);
    char c = rest.ptr[0], next = rest.len > 1 ? rest.ptr[1] : '\0';
    if (isspace((unsigned char)c)) {
        step_blank(sp, query, 1);
        return false;
    }
    if (c == '-' && next == '-') {
        step_blank(sp, query, rest.len);
        return false;
    }
    if (ident_start((unsigned char)c)) {
        step_word(sp, query, rest);
        return false;
    }
    switch (c) {
    case ';':
        take(sp, query, 1);
        if (sp->parens > 0 || sp->begins > 0)
            return false;
        statement_reset(sp);
        *result = SPLIT_SEMICOLON;
        return true;
    case '\\':
        return step_backslash(sp, query, next, result);
    case ':':
        step_colon(sp, query, rest);
        return false;
    case '$':
        if (step_dollar(sp, query, rest))
            return false;
        break;
    case '/':
        if (next == '*') {
            sp->state = SPLIT_COMMENT;
            sp->comments = 1;
            take(sp, query, 2);
            return false;
        }
        break;
    case '\'':
        sp->state = sp->plain_escapes ? SPLIT_ESCAPE : SPLIT_QUOTE;
        break;
    case '"':
        sp->state = SPLIT_IDENT;
        break;
    case '(':
        sp->parens++;
        break;
    case ')':
        sp->parens -= sp->parens > 0;
        break;
    default:
        break;
    }
    take(sp, query, 1);
    return false;
}

char *
splitter_variable(struct str text, split_lookup_fn lookup, void *arg, size_t *used,
    struct str *name)
{
    enum split_quote quote = QUOTE_SHELL;
    size_t start = 1, len;
    char close = 0;
    bool test = false;
    *used = 0;
    if (text.len < 2)
        return NULL;
    if (text.ptr[1] == '\'' || text.ptr[1] == '"') {
        quote = text.ptr[1] == '"' ? QUOTE_IDENT : QUOTE_LITERAL;
        close = text.ptr[1];
        start = 2;
    } else if (text.len > 3 && text.ptr[1] == '{' && text.ptr[2] == '?') {
        test = true;
        close = '}';
        start = 3;
    }
    len = start;
    while (len < text.len && text.ptr[len] != '$' && ident_part((unsigned char)text.ptr[len]))
        len++;
    struct str found = ox_str_n(text.ptr + start, len - start);
    if (found.len == 0 || (close && (len >= text.len || text.ptr[len] != close)))
        return NULL;
    *name = found;
    *used = len + (close ? 1 : 0);
    char *value = lookup ? lookup(arg, found, quote) : NULL;
    if (test) {
        bool set = value != NULL;
        ox_free(value);
        return ox_strdup(set ? "TRUE" : "FALSE");
    }
    return value;
}
