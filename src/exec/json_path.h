/* SPDX-License-Identifier: Apache-2.0
 *
 * SQL/JSON paths in lax mode: '$.items[*] ? (@.price > 10).name'. A path is read
 * once into a tree and then walked over documents. */
#ifndef EXEC_JSON_PATH_H
#define EXEC_JSON_PATH_H

#include "row/row.h"

struct json_path;

/* A sequence of items; nodes are the document's own or new ones in the arena. */
struct json_items {
    const struct json_node **items;
    uint32_t count;
    size_t cap;
};

/* Fails: OX_SYNTAX_ERROR, OX_FEATURE_NOT_SUPPORTED (strict mode), OX_STATEMENT_TOO_COMPLEX */
ox_code json_path_parse(struct str text, struct arena *arena, struct json_path **out,
    struct ox_err *err);
/* vars: an object that $name looks into, or NULL. A condition gives one of true, false
 * and null. Fails: OX_SINGLETON_JSON_ITEM_REQUIRED, OX_NON_NUMERIC_JSON_ITEM, ... */
ox_code json_path_query(const struct json_path *path, const struct json_node *doc,
    const struct json_node *vars, struct arena *arena, struct json_items *out, struct ox_err *err);
/* Is the path as a whole a condition? */
bool json_path_is_condition(const struct json_path *path);

#endif
