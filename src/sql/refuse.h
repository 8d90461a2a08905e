/* SPDX-License-Identifier: Apache-2.0
 *
 * What PostgreSQL has and is not served, told as that. */
#ifndef SQL_REFUSE_H
#define SQL_REFUSE_H

#include "sql/ast.h"

/* The parser met a token that it did not expect. True: it is known what was meant, and said. */
bool refuse_syntax(struct ast_parse *p, struct ast_token token);

/* A name that is no type. OX_OK: it is not known. Fails: OX_FEATURE_NOT_SUPPORTED */
ox_code refuse_type(struct str name, struct ox_err *err);

#endif
