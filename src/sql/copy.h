/* SPDX-License-Identifier: Apache-2.0
 *
 * What COPY's WITH says. */
#ifndef SQL_COPY_H
#define SQL_COPY_H

#include "sql/ast.h"
#include "row/row.h"

enum copy_kind { COPY_TEXT, COPY_CSV, COPY_BINARY, COPY_JSON, COPY_RAW };

struct copy_options {
    enum copy_kind kind;
    struct copy_format format;
    bool header_match;   /* its first line must name the columns */
    bool skip_bad;       /* ON_ERROR ignore */
    struct str key_path; /* JSON in: the field that is the key; null: none */
    const struct ast_option *force_quote, *force_null, *force_not_null;
};

/* source: the statement's text. Fails: OX_INVALID_PARAMETER_VALUE, OX_FEATURE_NOT_SUPPORTED,
 * OX_SYNTAX_ERROR, at the option's position */
ox_code copy_options_read(struct copy_options *options, const struct ast_copy *ast,
    struct str source, struct arena *arena, struct ox_err *err);
/* The FORCE_* lists, once the columns are known. Fails: OX_UNDEFINED_COLUMN */
ox_code copy_options_columns(struct copy_options *options, const struct str *names, uint32_t count,
    struct arena *arena, struct ox_err *err);

#endif
