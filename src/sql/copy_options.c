/* SPDX-License-Identifier: Apache-2.0
 *
 * COPY's options: PostgreSQL's, and KEY for JSON. */
#include "sql/copy.h"
#include "sql/session.h"

struct reader {
    struct copy_options *options;
    const struct ast_copy *ast;
    struct str source; /* text of the statement */
    struct arena *arena;
    struct ox_err *err;
};

/* The failure is the option's. */
static ox_code
at_option(const struct reader *reader, const struct ast_option *option, ox_code code)
{
    reader->err->position = ast_position(reader->source, option->pos);
    return code;
}

static ox_code
one_char(const struct ast_option *option, struct str value, char *to, struct ox_err *err)
{
    if (value.len != 1)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "COPY %.*s must be a single one-byte character", OX_STR_ARG(option->name));
    *to = value.ptr[0];
    return OX_OK;
}

static ox_code
read_kind(struct reader *reader, struct str value)
{
    static const char *const names[] = {"text", "csv", "binary", "json", "raw"};
    for (int kind = 0; kind < 5; kind++)
        if (ox_str_ieq(value, ox_str(names[kind]))) {
            reader->options->kind = (enum copy_kind)kind;
            return OX_OK;
        }
    ox_code code = ox_fail(reader->err, OX_INVALID_PARAMETER_VALUE,
        "COPY format \"%.*s\" not recognized", OX_STR_ARG(value));
    ox_hint(reader->err, "Formats are text, csv, binary, json and raw.");
    return code;
}

static ox_code
option_text(struct reader *reader, const struct ast_option *option, struct str *out)
{
    struct text text;
    ox_text_init(&text, reader->arena);
    *out = OX_STR("true");
    if (option->value == NULL)
        return OX_OK;
    ox_code code = utility_text(option->value, &text);
    *out = ox_text_str(&text);
    return code == OX_OK ? OX_OK
                         : ox_fail(reader->err, code, "COPY option \"%.*s\" needs a constant",
                               OX_STR_ARG(option->name));
}

static bool
is_one_of(struct str value, const char *const *words)
{
    for (; *words != NULL; words++)
        if (ox_str_ieq(value, ox_str(*words)))
            return true;
    return false;
}

static ox_code
read_header(struct reader *reader, struct str value)
{
    static const char *const yes[] = {"true", "on", "1", NULL}, *const no[] = {"false", "off", "0", NULL};
    struct copy_options *options = reader->options;
    bool lines = options->kind == COPY_TEXT || options->kind == COPY_CSV;
    options->header_match = ox_str_ieq(value, OX_STR("match"));
    options->format.header = options->header_match || is_one_of(value, yes);
    if (!options->format.header && !is_one_of(value, no))
        return ox_fail(reader->err, OX_SYNTAX_ERROR, "header requires a Boolean value or \"match\"");
    if (options->header_match && !reader->ast->from)
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "cannot use \"match\" with HEADER in COPY TO");
    if (options->format.header && options->kind == COPY_BINARY)
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "cannot specify HEADER in BINARY mode");
    if (options->format.header && !lines)
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "COPY HEADER is for the formats text and csv");
    return OX_OK;
}

static ox_code
read_on_error(struct reader *reader, struct str value)
{
    if (!reader->ast->from)
        return ox_fail(reader->err, OX_INVALID_PARAMETER_VALUE, "COPY ON_ERROR cannot be used with COPY TO");
    reader->options->skip_bad = ox_str_ieq(value, OX_STR("ignore"));
    if (reader->options->skip_bad && reader->options->kind == COPY_BINARY)
        return ox_fail(reader->err, OX_SYNTAX_ERROR, "only ON_ERROR STOP is allowed in BINARY mode");
    if (!reader->options->skip_bad && !ox_str_ieq(value, OX_STR("stop")))
        return ox_fail(reader->err, OX_INVALID_PARAMETER_VALUE, "COPY ON_ERROR \"%.*s\" not recognized",
            OX_STR_ARG(value));
    return OX_OK;
}

static ox_code
read_encoding(struct reader *reader, struct str value)
{
    if (ox_str_ieq(value, OX_STR("utf8")) || ox_str_ieq(value, OX_STR("utf-8")))
        return OX_OK;
    ox_code code = ox_fail(reader->err, OX_INVALID_PARAMETER_VALUE,
        "encoding \"%.*s\" is not supported", OX_STR_ARG(value));
    ox_hint(reader->err, "UTF8 is the one encoding.");
    return code;
}

/* One way and one format each. */
static ox_code
read_force(struct reader *reader, const struct ast_option *option, const char *words, bool in,
    const struct ast_option **to)
{
    *to = option;
    if (option->list == NULL)
        return ox_fail(reader->err, OX_INVALID_PARAMETER_VALUE,
            "argument to option \"%.*s\" must be a list of column names", OX_STR_ARG(option->name));
    if (reader->options->kind != COPY_CSV)
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "COPY %s available only in CSV mode", words);
    if (reader->ast->from != in)
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "COPY %s only available using COPY %s",
            words, in ? "FROM" : "TO");
    return OX_OK;
}

/* Formats that have no fields have no signs between and around them. */
static ox_code
check_lines(struct reader *reader, const struct ast_option *option)
{
    struct str name = option->name;
    enum copy_kind kind = reader->options->kind;
    bool is_null = ox_str_is(name, "null"), delimiter = ox_str_is(name, "delimiter");
    if (kind != COPY_CSV && (ox_str_is(name, "quote") || ox_str_is(name, "escape")))
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "COPY %.*s available only in CSV mode",
            OX_STR_ARG(name));
    if (kind == COPY_BINARY && (is_null || delimiter))
        return ox_fail(reader->err, OX_SYNTAX_ERROR, "cannot specify %s in BINARY mode",
            is_null ? "NULL" : "DELIMITER");
    if ((kind == COPY_JSON || kind == COPY_RAW) && (is_null || delimiter))
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "COPY %s is for the formats text and csv",
            is_null ? "NULL" : "DELIMITER");
    return OX_OK;
}

static ox_code
unknown_option(struct reader *reader, const struct ast_option *option)
{
    if (ox_str_is(option->name, "freeze"))
        return ox_fail(reader->err, OX_FEATURE_NOT_SUPPORTED, "COPY option \"freeze\" is not supported");
    ox_code code = ox_fail(reader->err, OX_SYNTAX_ERROR, "option \"%.*s\" not recognized",
        OX_STR_ARG(option->name));
    ox_hint(reader->err, "Options are FORMAT, DELIMITER, NULL, HEADER, QUOTE, ESCAPE, FORCE_QUOTE, "
                         "FORCE_NOT_NULL, FORCE_NULL, ENCODING, ON_ERROR and KEY.");
    return code;
}

static ox_code
read_option(struct reader *reader, const struct ast_option *option)
{
    struct copy_options *options = reader->options;
    struct copy_format *format = &options->format;
    struct ox_err *err = reader->err;
    struct str value, name = option->name;
    ox_code code = option_text(reader, option, &value);
    if (code == OX_OK)
        code = check_lines(reader, option);
    if (code != OX_OK || ox_str_is(name, "format"))
        return code; /* read before */
    if (ox_str_is(name, "force_quote"))
        return read_force(reader, option, "force quote", false, &options->force_quote);
    if (ox_str_is(name, "force_null"))
        return read_force(reader, option, "force null", true, &options->force_null);
    if (ox_str_is(name, "force_not_null"))
        return read_force(reader, option, "force not null", true, &options->force_not_null);
    if (ox_str_is(name, "delimiter"))
        return one_char(option, value, &format->delimiter, err);
    if (ox_str_is(name, "quote"))
        return one_char(option, value, &format->quote, err);
    if (ox_str_is(name, "escape"))
        return one_char(option, value, &format->escape, err);
    if (ox_str_is(name, "header"))
        return read_header(reader, value);
    if (ox_str_is(name, "on_error"))
        return read_on_error(reader, value);
    if (ox_str_is(name, "encoding"))
        return read_encoding(reader, value);
    if (ox_str_is(name, "null"))
        format->null = value;
    else if (ox_str_is(name, "key"))
        options->key_path = value;
    else
        return unknown_option(reader, option);
    return OX_OK;
}

static const struct ast_option *
option_at(const struct reader *reader, size_t i)
{
    return ast_at(reader->ast->options, i, struct ast_option);
}

static bool
is_given(const struct reader *reader, size_t before, struct str name)
{
    for (size_t i = 0; i < before; i++)
        if (ox_str_eq(option_at(reader, i)->name, name))
            return true;
    return false;
}

/* FORMAT first, since what the others mean hangs on it. */
static ox_code
read_format(struct reader *reader, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ast_option *option = option_at(reader, i);
        struct str value;
        if (is_given(reader, i, option->name))
            return at_option(reader, option,
                ox_fail(reader->err, OX_SYNTAX_ERROR, "conflicting or redundant options"));
        if (!ox_str_is(option->name, "format"))
            continue;
        ox_code code = option_text(reader, option, &value);
        if (code == OX_OK)
            code = read_kind(reader, value);
        if (code != OX_OK)
            return at_option(reader, option, code);
    }
    return OX_OK;
}

static bool
has_char(struct str text, char c)
{
    return text.len > 0 && memchr(text.ptr, c, text.len) != NULL;
}

/* Signs that would make lines ambiguous. */
static ox_code
check_signs(const struct copy_options *options, struct ox_err *err)
{
    const struct copy_format *format = &options->format;
    char sign = format->delimiter;
    if (options->kind != COPY_TEXT && options->kind != COPY_CSV)
        return OX_OK;
    if (sign == '\n' || sign == '\r')
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "COPY delimiter cannot be newline or carriage return");
    if (has_char(format->null, '\n') || has_char(format->null, '\r'))
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "COPY null representation cannot use newline or carriage return");
    if (!format->csv && strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", sign) != NULL)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "COPY delimiter cannot be \"%c\"", sign);
    if (format->csv && sign == format->quote)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "COPY delimiter and quote must be different");
    if (has_char(format->null, sign))
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "COPY delimiter must not appear in the NULL specification");
    if (format->csv && has_char(format->null, format->quote))
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
            "CSV quote character must not appear in the NULL specification");
    return OX_OK;
}

ox_code
copy_options_read(struct copy_options *options, const struct ast_copy *ast, struct str source,
    struct arena *arena, struct ox_err *err)
{
    struct reader reader = {options, ast, source, arena, err};
    size_t count = ast->options != NULL ? ast->options->count : 0;
    options->key_path = OX_STR_NULL;
    ox_code code = read_format(&reader, count);
    copy_format_init(&options->format, options->kind == COPY_CSV);
    for (size_t i = 0; i < count && code == OX_OK; i++) {
        code = read_option(&reader, option_at(&reader, i));
        if (code != OX_OK)
            at_option(&reader, option_at(&reader, i), code);
    }
    if (is_given(&reader, count, OX_STR("quote")) && !is_given(&reader, count, OX_STR("escape")))
        options->format.escape = options->format.quote;
    return code == OX_OK ? check_signs(options, err) : code;
}

static ox_code
force(const struct ast_option *option, const char *what, const struct str *names, uint32_t count,
    const uint8_t **out, struct arena *arena, struct ox_err *err)
{
    if (option == NULL)
        return OX_OK;
    uint8_t *set = ox_arena_alloc0(arena, count + 1);
    *out = set;
    if (option->list->count == 0) { /* all of them */
        memset(set, 1, count);
        return OX_OK;
    }
    for (size_t i = 0; i < option->list->count; i++) {
        struct str name = ast_at(option->list, i, struct ast_token)->text;
        uint32_t at = 0;
        while (at < count && !ox_str_eq(names[at], name))
            at++;
        if (at == count)
            return ox_fail(err, OX_INVALID_COLUMN_REFERENCE, "%s column \"%.*s\" not referenced by COPY",
                what, OX_STR_ARG(name));
        set[at] = 1;
    }
    return OX_OK;
}

ox_code
copy_options_columns(struct copy_options *options, const struct str *names, uint32_t count,
    struct arena *arena, struct ox_err *err)
{
    struct copy_format *format = &options->format;
    ox_code code = force(options->force_quote, "FORCE_QUOTE", names, count, &format->force_quote, arena, err);
    if (code == OX_OK)
        code = force(options->force_null, "FORCE_NULL", names, count, &format->force_null, arena, err);
    if (code == OX_OK)
        code = force(options->force_not_null, "FORCE_NOT_NULL", names, count, &format->force_not_null,
            arena, err);
    return code;
}
