/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text through the scanner and the parser: it either becomes statements
 * whose places lie in the text, or fails with a SQLSTATE and a position in it. */
#include "config.h"

#include <stdlib.h>

#include "base/check.h"
#include "sql/ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena;
    struct ast_parse parse;
    struct ox_err err = {0};
    ox_arena_init(&arena);
    struct str text = ox_str_n(data, len);
    ox_code code = sql_parse(text, &arena, &parse, &err);
    if (code == OX_OK) {
        for (size_t i = 0; i < parse.stmts.count; i++) {
            const struct ast_stmt *stmt = ast_at(&parse.stmts, i, struct ast_stmt);
            ox_assert(stmt->pos >= 0);
            ox_assert(stmt->end >= stmt->pos);
            ox_assert((size_t)stmt->end <= len);
        }
    } else {
        ox_assert(err.code == code);
        ox_assert(err.position >= 0);
        ox_assert((size_t)err.position <= len + 1);
    }
    ox_arena_fini(&arena);
    return 0;
}
