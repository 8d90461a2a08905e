/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths over a document: the first byte is the path's length. A path that is read
 * walks, and what it gives can be written. */
#include "base/check.h"
#include "exec/json_path.h"
#include "row/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1 || data[0] > len - 1)
        return 0;
    struct str text = ox_str_n(data + 1, data[0]),
               doc = ox_str_n(data + 1 + data[0], len - 1 - data[0]);
    if (!ox_utf8_valid(text.ptr, text.len) || !ox_utf8_valid(doc.ptr, doc.len) || doc.len > 2000)
        return 0;
    struct arena arena;
    struct json_path *path;
    struct json_node *node;
    struct json_items items;
    ox_arena_init(&arena);
    if (json_path_parse(text, &arena, &path, NULL) == OX_OK &&
        json_parse(doc, true, &arena, &node, NULL) == OX_OK &&
        json_path_query(path, node, node, &arena, &items, NULL) == OX_OK) {
        struct text out;
        ox_text_init(&out, &arena);
        for (uint32_t i = 0; i < items.count && out.len < 1000000; i++)
            json_write(items.items[i], &out);
        ox_assert(!json_path_is_condition(path) || items.count == 1);
    }
    ox_arena_fini(&arena);
    return 0;
}
