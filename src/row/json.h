/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees, for the functions that change or compare documents. A tree lives
 * in an arena; reading one member needs none, see json_find(). Reached through
 * row/row.h. */
#ifndef ROW_JSON_H
#define ROW_JSON_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum json_kind {
    JSON_NULL,
    JSON_STRING,
    JSON_NUMBER,
    JSON_FALSE,
    JSON_TRUE,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_node {
    enum json_kind kind;
    struct str text; /* a number as written, a string unescaped */
    struct str raw;  /* the source */
    uint32_t count, cap;
    struct str *keys; /* of an object, unescaped */
    struct json_node **items;
};

/* normal: as jsonb: keys sorted (shorter first, then bytes) and unique (the last one
 * stays), numbers canonical, \u0000 refused. Otherwise order and duplicates stay.
 * Fails: OX_INVALID_TEXT_REPRESENTATION, OX_UNTRANSLATABLE_CHARACTER, OX_STATEMENT_TOO_COMPLEX */
ox_code json_parse(
    struct str text, bool normal, struct arena *arena, struct json_node **out, struct ox_err *err);
/* As jsonb prints: {"a": 1, "b": [1, 2]} */
void json_write(const struct json_node *node, struct text *to);
void json_write_pretty(const struct json_node *node, int indent, struct text *to);
bool json_node_contains(const struct json_node *a, const struct json_node *b); /* a @> b */
/* Builders. Objects are put in order by json_object_sort. */
struct json_node *json_node_new(struct arena *arena, enum json_kind kind);
struct json_node *json_node_string(struct arena *arena, struct str text);
void json_node_add(
    struct json_node *node, struct str key, struct json_node *item, struct arena *arena);
void json_object_sort(struct json_node *node);
struct json_node *json_node_get(
    const struct json_node *node, struct str key); /* of a sorted or unsorted object: last */

#endif
