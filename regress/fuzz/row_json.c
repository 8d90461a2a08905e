/* SPDX-License-Identifier: Apache-2.0
 *
 * The lazy finder against the full parser: on valid JSON both give the same
 * member; the wide and the plain form of the finder agree on anything. The first
 * byte is the key's length, then key and document. */
#include "base/arena.h"
#include "base/check.h"
#include "row/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1 || data[0] > len - 1)
        return 0;
    struct str key = ox_str_n(data + 1, data[0]),
               doc = ox_str_n(data + 1 + data[0], len - 1 - data[0]);
    struct str wide_value = OX_STR_NULL, plain_value = OX_STR_NULL, text;
    struct json_finder finder, plain;
    struct json_node *node = NULL;
    struct arena arena;
    ox_arena_init(&arena);
    json_finder_init(&finder, key);
    plain = finder;
    plain.wide = false;
    bool found = json_find(&finder, doc, &wide_value), again = json_find(&plain, doc, &plain_value);
    ox_assert(found == again);
    ox_assert(!found || (wide_value.ptr == plain_value.ptr && wide_value.len == plain_value.len));
    if (found)
        json_as_text(wide_value, &arena, &text, NULL);
    json_index(doc, 1, &text);
    json_index(doc, -1, &text);
    bool valid = json_validate(doc, NULL) == OX_OK;
    ox_code code = json_parse(doc, false, &arena, &node, NULL);
    ox_assert(valid == (code == OX_OK));
    if (valid && node->kind == JSON_OBJECT && ox_utf8_valid(doc.ptr, doc.len)) {
        const struct json_node *member = json_node_get(node, key);
        bool escaped =
            memchr(doc.ptr, '\\', doc.len) != NULL; /* duplicates may be spelled differently */
        ox_assert(escaped || (member != NULL) == found);
        ox_assert(escaped || member == NULL || ox_str_eq(member->raw, wide_value));
    }
    struct text normal, twice;
    ox_text_init(&normal, &arena);
    ox_text_init(&twice, &arena);
    if (jsonb_normalise(doc, &normal, NULL) == OX_OK) {
        ox_assert(jsonb_normalise(ox_text_str(&normal), &twice, NULL) == OX_OK);
        ox_assert(ox_str_eq(ox_text_str(&normal), ox_text_str(&twice)));
    }
    ox_arena_fini(&arena);
    return 0;
}
