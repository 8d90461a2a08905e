/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of backslash commands, read from what is left of the line: quotes
 * with escapes, `programs`, :variables. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shell/shell.h"

char *
shell_lookup(void *arg, struct str name, enum split_quote quote)
{
    struct shell *sh = arg;
    const char *value = script_active(sh) ? vars_get_str(&sh->vars, name) : NULL;
    if (!value)
        return NULL;
    if (quote == QUOTE_SHELL)
        return ox_strdup(value);
    if (!sh->conn) {
        shell_error(sh, "cannot escape without active connection");
        return NULL;
    }
    char *quoted = quote == QUOTE_IDENT ? PQescapeIdentifier(sh->conn, value, strlen(value))
                                        : PQescapeLiteral(sh->conn, value, strlen(value));
    if (!quoted) {
        shell_error(sh, "%s", PQerrorMessage(sh->conn));
        return NULL;
    }
    char *copy = ox_strdup(quoted);
    PQfreemem(quoted);
    return copy;
}

/* One escape after a backslash in '...'; returns the bytes it took. */
static size_t
add_escape(struct text *out, struct str rest)
{
    static const char plain[] = "n\nt\tb\br\rf\f";
    char c = rest.ptr[0];
    for (size_t i = 0; plain[i]; i += 2)
        if (plain[i] == c) {
            ox_text_addc(out, plain[i + 1]);
            return 1;
        }
    size_t len = 0;
    int code = 0;
    if (c >= '0' && c <= '7') {
        for (; len < 3 && len < rest.len && rest.ptr[len] >= '0' && rest.ptr[len] <= '7'; len++)
            code = code * 8 + (rest.ptr[len] - '0');
        ox_text_addc(out, (char)code);
        return len;
    }
    if (c == 'x' && rest.len > 1 && isxdigit((unsigned char)rest.ptr[1])) {
        for (len = 1; len < 3 && len < rest.len && isxdigit((unsigned char)rest.ptr[len]); len++) {
            int digit = tolower((unsigned char)rest.ptr[len]);
            code = code * 16 + (digit <= '9' ? digit - '0' : digit - 'a' + 10);
        }
        ox_text_addc(out, (char)code);
        return len;
    }
    ox_text_addc(out, c);
    return 1;
}

/* '...' at the start of rest; returns bytes taken, 0 if it does not end. */
static size_t
add_quoted(struct text *out, struct str rest)
{
    size_t at = 1;
    while (at < rest.len) {
        if (rest.ptr[at] == '\'') {
            if (at + 1 >= rest.len || rest.ptr[at + 1] != '\'')
                return at + 1;
            ox_text_addc(out, '\'');
            at += 2;
        } else if (rest.ptr[at] == '\\' && at + 1 < rest.len) {
            at++;
            at += add_escape(out, ox_str_n(rest.ptr + at, rest.len - at));
        } else {
            ox_text_addc(out, rest.ptr[at++]);
        }
    }
    return 0;
}

static size_t
add_variable(struct shell *sh, struct text *out, struct str rest)
{
    size_t used;
    struct str name;
    char *value = splitter_variable(rest, shell_lookup, sh, &used, &name);
    if (!value) {
        ox_text_add(out, rest.ptr, used ? used : 1);
        return used ? used : 1;
    }
    ox_text_adds(out, value);
    ox_free(value);
    return used;
}

static void
add_program(struct shell *sh, struct text *out, const char *command)
{
    fflush(NULL);
    FILE *pipe = popen(command, "r");
    char block[4096];
    size_t len, before = out->len;
    if (!pipe) {
        shell_error(sh, "%s: %s", command, strerror(errno));
        return;
    }
    while ((len = fread(block, 1, sizeof(block), pipe)) > 0)
        ox_text_add(out, block, len);
    if (pclose(pipe) != 0)
        out->len = before; /* a program that fails gives nothing */
    if (out->len > before && out->ptr[out->len - 1] == '\n')
        out->ptr[--out->len] = '\0';
}

/* `...`: runs it and adds what it printed, less a last newline. */
static size_t
add_backquote(struct shell *sh, struct text *out, struct str rest)
{
    struct text command;
    size_t at = 1;
    ox_text_init(&command, NULL);
    while (at < rest.len && rest.ptr[at] != '`') {
        if (rest.ptr[at] == ':') {
            at += add_variable(sh, &command, ox_str_n(rest.ptr + at, rest.len - at));
        } else {
            ox_text_addc(&command, rest.ptr[at++]);
        }
    }
    if (at < rest.len && script_active(sh))
        add_program(sh, out, command.ptr ? command.ptr : "");
    ox_text_fini(&command);
    return at < rest.len ? at + 1 : 0;
}

static size_t
add_double_quoted(struct text *out, struct str rest)
{
    size_t at = 1;
    while (at < rest.len && rest.ptr[at] != '"')
        at++;
    if (at >= rest.len)
        return 0;
    ox_text_add(out, rest.ptr, at + 1);
    return at + 1;
}

static char *
take_line(struct shell *sh)
{
    struct str rest = splitter_rest(sh->splitter);
    while (rest.len > 0 && isspace((unsigned char)rest.ptr[0])) {
        rest.ptr++;
        rest.len--;
    }
    char *line = ox_arena_strndup(&sh->arena, rest.ptr, rest.len);
    arg_skip_rest(sh);
    return *line ? line : NULL;
}

void
arg_skip_rest(struct shell *sh)
{
    splitter_skip(sh->splitter, splitter_rest(sh->splitter).len);
}

static void
arg_unterminated(struct shell *sh)
{
    shell_error(sh, "unterminated quoted string");
    arg_skip_rest(sh);
}

static void arg_fold(char *name, bool fold);

char *
arg_next(struct shell *sh, enum arg_kind kind, bool strip, char *quoted)
{
    struct splitter *sp = sh->splitter;
    struct text out;
    char seen = 0;
    if (quoted)
        *quoted = 0;
    while (splitter_rest(sp).len > 0 && isspace((unsigned char)splitter_rest(sp).ptr[0]))
        splitter_skip(sp, 1);
    struct str rest = splitter_rest(sp);
    if (rest.len == 0 || (rest.ptr[0] == '\\' && kind != ARG_LINE))
        return NULL;
    if (kind == ARG_LINE || (kind == ARG_FILEPIPE && rest.ptr[0] == '|'))
        return take_line(sh);
    ox_text_init(&out, &sh->arena);
    ox_text_reserve(&out, 1);
    while ((rest = splitter_rest(sp)).len > 0) {
        char c = rest.ptr[0];
        size_t used = 1;
        if (isspace((unsigned char)c) || c == '\\')
            break;
        if (c == '\'') {
            used = add_quoted(&out, rest);
            seen = seen ? seen : c;
        } else if (c == '`') {
            used = add_backquote(sh, &out, rest);
            seen = seen ? seen : c;
        } else if (c == '"') {
            used = add_double_quoted(&out, rest);
            seen = seen ? seen : c;
        } else if (c == ':') {
            used = add_variable(sh, &out, rest);
            seen = seen ? seen : c;
        } else {
            ox_text_addc(&out, c);
        }
        if (used == 0) {
            arg_unterminated(sh);
            return NULL;
        }
        splitter_skip(sp, used);
    }
    if (quoted)
        *quoted = seen;
    char *arg = ox_arena_strndup(&sh->arena, out.ptr, out.len);
    if (strip && seen == 0)
        while (*arg && (arg[strlen(arg) - 1] == ';' || isspace((unsigned char)arg[strlen(arg) - 1])))
            arg[strlen(arg) - 1] = '\0';
    if (kind == ARG_IDENT || kind == ARG_IDENT_KEEP)
        arg_fold(arg, kind == ARG_IDENT);
    return arg;
}

/* Lower case outside of double quotes, which go. In place. */
static void
arg_fold(char *name, bool fold)
{
    bool inside = false;
    char *to = name;
    for (const char *from = name; *from; from++) {
        if (*from == '"' && inside && from[1] == '"') {
            *to++ = '"';
            from++;
        } else if (*from == '"') {
            inside = !inside;
        } else {
            *to++ = inside || !fold ? *from : (char)tolower((unsigned char)*from);
        }
    }
    *to = '\0';
}
