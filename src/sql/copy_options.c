/* SPDX-License-Identifier: Apache-2.0
 *
 * COPY's options: PostgreSQL's, and KEY for JSON. */
#include "sql/copy.h"
#include "sql/session.h"

struct reader {
    struct copy_options *options;
    const struct ast_copy *ast;
    struct arena *arena;
    struct ox_err *err;
};

static ox_code
one_char(const struct ast_option *option, struct str value, char *to, struct ox_err *err)
{
    if (value.len != 1)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
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
    ox_fail(reader->err, OX_INVALID_PARAMETER_VALUE, "COPY format \"%.*s\" not recognized",
        OX_STR_ARG(value));
    return ox_hint(reader->err, "Formats are text, csv, binary, json and raw.");
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
    return ox_fail(reader->err, OX_INVALID_PARAMETER_VALUE, "encoding \"%.*s\" is not supported",
        OX_STR_ARG(value));
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

static ox_code
read_option(struct reader *reader, const struct ast_option *option)
{
    struct copy_options *options = reader->options;
    struct copy_format *format = &options->format;
    struct ox_err *err = reader->err;
    struct str value, name = option->name;
    ox_code code = option_text(reader, option, &value);
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
    if ((ox_str_is(name, "quote") || ox_str_is(name, "escape")) && options->kind != COPY_CSV)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "COPY %.*s available only in CSV mode",
            OX_STR_ARG(name));
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
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "COPY option \"%.*s\" is not supported",
            OX_STR_ARG(name));
    return OX_OK;
}

ox_code
copy_options_read(struct copy_options *options, const struct ast_copy *ast, struct arena *arena,
    struct ox_err *err)
{
    struct reader reader = {options, ast, arena, err};
    ox_code code = OX_OK;
    size_t count = ast->options != NULL ? ast->options->count : 0;
    options->key_path = OX_STR_NULL;
    for (size_t i = 0; i < count && code == OX_OK; i++) {
        const struct ast_option *option = ast_at(ast->options, i, struct ast_option);
        struct str value;
        if (!ox_str_is(option->name, "format"))
            continue;
        code = option_text(&reader, option, &value);
        if (code == OX_OK)
            code = read_kind(&reader, value);
    }
    copy_format_init(&options->format, options->kind == COPY_CSV);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        code = read_option(&reader, ast_at(ast->options, i, struct ast_option));
    return code;
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
