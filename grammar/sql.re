/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner of SQL, for re2c: PostgreSQL's lexical rules with
 * standard_conforming_strings on. The text is NUL-terminated and holds no other
 * NUL, so that the NUL ends every loop. re2c finds what kind of token starts;
 * bodies of strings, comments and operators are read by the functions below. */
#include "sql/scan.h"

#include <ctype.h>
#include <string.h>

#include "base/check.h"
#include "sql_parser.gen.h"

const struct sql_keyword *
sql_keyword_find(struct str word)
{
    int low = 0, high = sql_keyword_count;
    while (low < high) {
        int middle = (low + high) / 2;
        const char *other = sql_keywords[middle].word;
        int order = strncmp(word.ptr, other, word.len);
        if (order == 0 && other[word.len] != '\0')
            order = -1;
        if (order == 0)
            return &sql_keywords[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

void
sql_scan_init(struct sql_scan *scan, struct ast_parse *parse)
{
    *scan = (struct sql_scan){.start = parse->text.ptr, .cursor = parse->text.ptr,
        .end = parse->text.ptr + parse->text.len, .parse = parse};
}

static int
fail(struct sql_scan *scan, const char *at, ox_code code, const char *message)
{
    size_t left = (size_t)(scan->end - at);
    int shown = 0;
    while ((size_t)shown < left && shown < 40 && !isspace((unsigned char)at[shown]))
        shown++;
    while (shown > 0 && (at[shown] & 0xc0) == 0x80)
        shown--;
    ast_fail(scan->parse, code, (int)(at - scan->start), "%s at or near \"%.*s\"", message, shown,
        at);
    return -1;
}

/* The rest of a block comment; comments nest. False: it has no end. */
static bool
skip_comment(struct sql_scan *scan)
{
    int depth = 1;
    const char *c = scan->cursor;
    for (; depth > 0; c++) {
        if (c[0] == '\0')
            return false;
        if (c[0] == '/' && c[1] == '*') {
            depth++;
            c++;
        } else if (c[0] == '*' && c[1] == '/') {
            depth--;
            c++;
        }
    }
    scan->cursor = c;
    return true;
}

/* After a closing quote: blanks with a newline, then another quote, go on the
 * same string. Returns where it goes on, or NULL. */
static const char *
continued(const char *c, char quote)
{
    bool newline = false;
    for (;;) {
        if (*c == '\n' || *c == '\r')
            newline = true;
        else if (c[0] == '-' && c[1] == '-') {
            while (*c != '\0' && *c != '\n')
                c++;
            continue;
        } else if (*c != ' ' && *c != '\t' && *c != '\f' && *c != '\v')
            break;
        c++;
    }
    return newline && *c == quote ? c + 1 : NULL;
}

/* 'text' with '' for a quote; cursor stands after the opening quote. */
static bool
read_quoted(struct sql_scan *scan, char quote, struct text *to)
{
    const char *c = scan->cursor;
    for (;;) {
        const char *stop = strchr(c, quote);
        if (stop == NULL)
            return false;
        ox_text_add(to, c, (size_t)(stop - c));
        if (stop[1] == quote) {
            ox_text_addc(to, quote);
            c = stop + 2;
            continue;
        }
        scan->cursor = stop + 1;
        const char *more = quote == '\'' ? continued(scan->cursor, quote) : NULL;
        if (more == NULL)
            return true;
        c = more;
    }
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
hex_run(const char *c, int digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        int digit = hex_digit(c[i]);
        if (digit < 0)
            return false;
        *out = *out * 16 + (uint32_t)digit;
    }
    return true;
}

static bool
add_code(struct text *to, uint32_t code, uint32_t *high)
{
    if (*high != 0) {
        if (code < 0xdc00 || code > 0xdfff)
            return false;
        code = 0x10000 + ((*high - 0xd800) << 10) + (code - 0xdc00);
        *high = 0;
    } else if (code >= 0xd800 && code <= 0xdbff) {
        *high = code;
        return true;
    }
    if (code == 0 || code > 0x10ffff || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    char bytes[4];
    ox_text_add(to, bytes, ox_utf8_put(bytes, code));
    return true;
}

/* One escape of E'...'; c stands after the backslash. NULL: not valid. */
static const char *
read_escape(const char *c, struct text *to, uint32_t *high)
{
    uint32_t code = 0;
    switch (*c) {
    case '\0':
        return NULL;
    case 'b':
        ox_text_addc(to, '\b');
        return c + 1;
    case 'f':
        ox_text_addc(to, '\f');
        return c + 1;
    case 'n':
        ox_text_addc(to, '\n');
        return c + 1;
    case 'r':
        ox_text_addc(to, '\r');
        return c + 1;
    case 't':
        ox_text_addc(to, '\t');
        return c + 1;
    case 'u':
        return hex_run(c + 1, 4, &code) && add_code(to, code, high) ? c + 5 : NULL;
    case 'U':
        return hex_run(c + 1, 8, &code) && add_code(to, code, high) ? c + 9 : NULL;
    case 'x':
        if (hex_digit(c[1]) < 0) {
            ox_text_addc(to, 'x');
            return c + 1;
        }
        code = (uint32_t)hex_digit(c[1]);
        c += 2;
        if (hex_digit(*c) >= 0)
            code = code * 16 + (uint32_t)hex_digit(*c++);
        break;
    case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7':
        for (int i = 0; i < 3 && *c >= '0' && *c <= '7'; i++)
            code = code * 8 + (uint32_t)(*c++ - '0');
        break;
    default:
        ox_text_addc(to, *c);
        return c + 1;
    }
    ox_text_addc(to, (char)code); /* a NUL makes the text invalid */
    return c;
}

static bool
is_text(const struct text *s)
{
    return ox_utf8_valid(s->ptr, s->len) && (s->len == 0 || memchr(s->ptr, 0, s->len) == NULL);
}

/* E'...'. 1: read, 0: no end, -1: an escape is not valid, -2: the bytes are not
 * UTF-8 or have a NUL. */
static int
read_escaped(struct sql_scan *scan, struct text *to)
{
    uint32_t high = 0;
    const char *c = scan->cursor;
    for (;;) {
        size_t plain = strcspn(c, "'\\");
        if (plain > 0 && high != 0)
            return -1;
        ox_text_add(to, c, plain);
        c += plain;
        if (*c == '\0')
            return 0;
        if (*c == '\\') {
            c = read_escape(c + 1, to, &high);
            if (c == NULL)
                return -1;
            continue;
        }
        if (c[1] == '\'') {
            ox_text_addc(to, '\'');
            c += 2;
            continue;
        }
        scan->cursor = c + 1;
        c = continued(scan->cursor, '\'');
        if (c == NULL)
            return high != 0 ? -1 : is_text(to) ? 1 : -2;
    }
}

/* Escapes \XXXX and \+XXXXXX of U&'' and U&"", in place of the raw text. */
static bool
unicode_escapes(struct str raw, struct text *to)
{
    uint32_t high = 0;
    for (size_t i = 0; i < raw.len;) {
        if (raw.ptr[i] != '\\') {
            if (high != 0)
                return false;
            ox_text_addc(to, raw.ptr[i++]);
            continue;
        }
        uint32_t code;
        if (i + 1 < raw.len && raw.ptr[i + 1] == '\\') {
            ox_text_addc(to, '\\');
            i += 2;
        } else if (i + 7 < raw.len && raw.ptr[i + 1] == '+' && hex_run(raw.ptr + i + 2, 6, &code)) {
            if (!add_code(to, code, &high))
                return false;
            i += 8;
        } else if (i + 4 < raw.len && hex_run(raw.ptr + i + 1, 4, &code)) {
            if (!add_code(to, code, &high))
                return false;
            i += 5;
        } else {
            return false;
        }
    }
    return high == 0;
}

/* $tag$ ... $tag$; cursor stands after the opening tag, which starts at `tag`. */
static bool
read_dollar(struct sql_scan *scan, const char *tag, struct str *out)
{
    size_t len = (size_t)(scan->cursor - tag);
    for (const char *c = scan->cursor; (c = strchr(c, '$')) != NULL; c++)
        if (strncmp(c, tag, len) == 0) {
            *out = ox_str_n(scan->cursor, (size_t)(c - scan->cursor));
            scan->cursor = c + len;
            return true;
        }
    return false;
}

/* How many of the operator characters at c make one operator. */
static size_t
operator_len(const char *c)
{
    size_t len = 0;
    while (c[len] != '\0' && strchr("+-*/<>=~!@#%^&|`?", c[len]) != NULL) {
        if (len > 0 && ((c[len] == '-' && c[len + 1] == '-') || (c[len] == '/' && c[len + 1] == '*')))
            break;
        len++;
    }
    /* A trailing + or - belongs to it only beside characters that make clear
     * that it is no arithmetic. */
    bool special = false;
    for (size_t i = 0; i < len; i++)
        special = special || strchr("~!@#%^&|`?", c[i]) != NULL;
    while (len > 1 && !special && (c[len - 1] == '+' || c[len - 1] == '-'))
        len--;
    return len;
}

static int
operator_token(struct str op)
{
    static const struct {
        const char *text;
        int token;
    } known[] = {{"+", T_PLUS}, {"-", T_MINUS}, {"*", T_STAR}, {"/", T_SLASH}, {"%", T_PERCENT},
        {"^", T_CARET}, {"<", T_LT}, {">", T_GT}, {"=", T_EQ}, {"<=", T_LE}, {">=", T_GE},
        {"<>", T_NE}, {"!=", T_NE}, {"=>", T_ARROW2}};
    for (size_t i = 0; i < ox_count(known); i++)
        if (ox_str_is(op, known[i].text))
            return known[i].token;
    return T_OP;
}

/* Lower case of ASCII letters; PostgreSQL cuts at 63 bytes, topic names may be longer. */
static struct str
fold(struct sql_scan *scan, const char *from, size_t len)
{
    char *to = ox_arena_strndup(scan->parse->arena, from, len);
    for (size_t i = 0; i < len; i++)
        if (to[i] >= 'A' && to[i] <= 'Z')
            to[i] = (char)(to[i] + 32);
    return ox_str_n(to, len);
}

static int
word(struct sql_scan *scan, const char *from, struct ast_token *out)
{
    out->text = fold(scan, from, (size_t)(scan->cursor - from));
    const struct sql_keyword *keyword = sql_keyword_find(out->text);
    return keyword != NULL ? keyword->token : T_IDENT;
}

static struct text
new_text(struct sql_scan *scan)
{
    struct text text;
    ox_text_init(&text, scan->parse->arena);
    return text;
}

static int
deeper(struct sql_scan *scan, const char *from, int token)
{
    if (++scan->depth > AST_DEPTH_MAX)
        return fail(scan, from, OX_STATEMENT_TOO_COMPLEX, "statement is nested too deeply");
    return token;
}

/* Hexadecimal, octal and binary integers to decimal digits. */
static bool
radix(struct sql_scan *scan, const char *digits, int base, struct ast_token *out)
{
    uint64_t value = 0;
    for (const char *c = digits; c < scan->cursor; c++) {
        if (*c == '_')
            continue;
        if (value > (UINT64_MAX - 15) / (uint64_t)base)
            return false;
        value = value * (uint64_t)base + (uint64_t)hex_digit(*c);
    }
    out->text = ox_str(ox_arena_printf(scan->parse->arena, "%llu", (unsigned long long)value));
    return true;
}

static int
scan_token(struct sql_scan *scan, struct ast_token *out)
{
    const char *from, *YYMARKER;
    struct text text;
    struct str raw;
again:
    from = scan->cursor;
    out->pos = (int)(from - scan->start);
    out->text = OX_STR_NULL;
    /*!re2c
    re2c:define:YYCTYPE = "unsigned char";
    re2c:define:YYCURSOR = scan->cursor;
    re2c:yyfill:enable = 0;
    re2c:flags:tags = 0;

    digit = [0-9];
    int = digit+ ("_" digit+)*;
    start = [a-zA-Z_\x80-\xff];
    ident = start [a-zA-Z0-9_$\x80-\xff]*;
    tag = start [a-zA-Z0-9_\x80-\xff]*;
    opchar = [+*/<>=~!@#%^&|`?-];

    [ \t\n\r\f\v]+ { goto again; }
    "--" [^\n\x00]* { goto again; }
    "/*" {
        if (!skip_comment(scan))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated /* comment");
        goto again;
    }
    "\x00" { scan->cursor = from; return 0; }

    "'" {
        text = new_text(scan);
        if (!read_quoted(scan, '\'', &text))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated quoted string");
        out->text = ox_text_str(&text);
        return T_SCONST;
    }
    [nN] "'" {
        text = new_text(scan);
        if (!read_quoted(scan, '\'', &text))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated quoted string");
        out->text = ox_text_str(&text);
        return T_SCONST;
    }
    [eE] "'" {
        text = new_text(scan);
        int outcome = read_escaped(scan, &text);
        if (outcome == -2)
            return fail(scan, from, OX_CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\"");
        if (outcome <= 0)
            return fail(scan, from, outcome == 0 ? OX_SYNTAX_ERROR : OX_INVALID_ESCAPE_SEQUENCE,
                outcome == 0 ? "unterminated quoted string" : "invalid escape in string");
        out->text = ox_text_str(&text);
        return T_SCONST;
    }
    [uU] "&'" {
        struct text plain = new_text(scan);
        text = new_text(scan);
        if (!read_quoted(scan, '\'', &plain))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated quoted string");
        if (!unicode_escapes(ox_text_str(&plain), &text))
            return fail(scan, from, OX_SYNTAX_ERROR, "invalid Unicode escape");
        out->text = ox_text_str(&text);
        return T_SCONST;
    }
    [bBxX] "'" {
        text = new_text(scan);
        if (!read_quoted(scan, '\'', &text))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated bit string literal");
        for (size_t i = 0; i < text.len; i++)
            if (hex_digit(text.ptr[i]) < 0 || ((from[0] | 32) == 'b' && text.ptr[i] > '1'))
                return fail(scan, from, OX_INVALID_TEXT_REPRESENTATION, "invalid bit string");
        out->text = ox_text_str(&text);
        return (from[0] | 32) == 'b' ? T_BCONST : T_XCONST;
    }
    "\"" {
        text = new_text(scan);
        if (!read_quoted(scan, '"', &text))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated quoted identifier");
        if (text.len == 0)
            return fail(scan, from, OX_SYNTAX_ERROR, "zero-length delimited identifier");
        out->text = ox_text_str(&text);
        return T_IDENT;
    }
    [uU] "&\"" {
        struct text plain = new_text(scan);
        text = new_text(scan);
        if (!read_quoted(scan, '"', &plain))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated quoted identifier");
        if (!unicode_escapes(ox_text_str(&plain), &text) || text.len == 0)
            return fail(scan, from, OX_SYNTAX_ERROR, "invalid Unicode escape");
        out->text = ox_text_str(&text);
        return T_IDENT;
    }
    "$" tag? "$" {
        if (!read_dollar(scan, from, &raw))
            return fail(scan, from, OX_SYNTAX_ERROR, "unterminated dollar-quoted string");
        out->text = raw;
        return T_SCONST;
    }
    "$" digit+ {
        out->text = ox_str_n(from + 1, (size_t)(scan->cursor - from - 1));
        return T_PARAM;
    }
    "$" digit+ start {
        return fail(scan, from, OX_SYNTAX_ERROR, "trailing junk after parameter");
    }

    "0" [xX] [0-9a-fA-F]+ {
        if (!radix(scan, from + 2, 16, out))
            return fail(scan, from, OX_NUMERIC_VALUE_OUT_OF_RANGE, "integer is out of range");
        return T_ICONST;
    }
    "0" [oO] [0-7]+ {
        if (!radix(scan, from + 2, 8, out))
            return fail(scan, from, OX_NUMERIC_VALUE_OUT_OF_RANGE, "integer is out of range");
        return T_ICONST;
    }
    "0" [bB] [01]+ {
        if (!radix(scan, from + 2, 2, out))
            return fail(scan, from, OX_NUMERIC_VALUE_OUT_OF_RANGE, "integer is out of range");
        return T_ICONST;
    }
    int { return T_ICONST; }
    (int "." int?) | ("." int) { return T_FCONST; }
    ((int "." int?) | ("." int) | int) [eE] [+-]? int { return T_FCONST; }
    int ".." { scan->cursor -= 2; return T_ICONST; }
    (int | int "." int? | "." int) start {
        return fail(scan, from, OX_SYNTAX_ERROR, "trailing junk after numeric literal");
    }
    ident { return word(scan, from, out); }

    "::" { return T_TYPECAST; }
    ":=" { return T_COLON_EQUALS; }
    ":"  { return T_COLON; }
    "."  { return T_DOT; }
    ","  { return T_COMMA; }
    ";"  { return T_SEMI; }
    "("  { return deeper(scan, from, T_LP); }
    ")"  { scan->depth--; return T_RP; }
    "["  { return deeper(scan, from, T_LB); }
    "]"  { scan->depth--; return T_RB; }
    opchar {
        size_t len = operator_len(from);
        scan->cursor = from + len;
        out->text = ox_str_n(from, len);
        return operator_token(out->text);
    }
    * { return fail(scan, from, OX_SYNTAX_ERROR, "syntax error"); }
    */
}

/* Digits without the underscores that may part them. */
static struct str
without_underscores(struct sql_scan *scan, struct str text)
{
    if (memchr(text.ptr, '_', text.len) == NULL)
        return text;
    char *to = ox_arena_alloc(scan->parse->arena, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != '_')
            to[len++] = text.ptr[i];
    return ox_str_n(to, len);
}

int
sql_scan_next(struct sql_scan *scan, struct ast_token *out)
{
    int token = scan_token(scan, out);
    out->end = (int)(scan->cursor - scan->start);
    if (token > 0 && out->text.ptr == NULL)
        out->text = ox_str_n(scan->start + out->pos, (size_t)(out->end - out->pos));
    if (token == T_ICONST || token == T_FCONST)
        out->text = without_underscores(scan, out->text);
    return token;
}
