/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns and texts: first byte is the pattern's length, second the flags.
 * Spans must lie in the text, and a search without spans must agree. */
#include "base/arena.h"
#include "base/check.h"
#include "exec/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2 || data[0] > len - 2 || data[0] > 60)
        return 0;
    struct str pattern = ox_str_n(data + 2, data[0]),
               text = ox_str_n(data + 2 + data[0], len - 2 - data[0]);
    struct regex *re;
    struct arena arena;
    if (!ox_utf8_valid(pattern.ptr, pattern.len) || !ox_utf8_valid(text.ptr, text.len) ||
        text.len > 200)
        return 0;
    ox_arena_init(&arena);
    if (regex_compile(pattern, data[1] & 0x0F, &arena, &re, NULL) == OX_OK) {
        size_t *spans = ox_arena_alloc(&arena, (regex_groups(re) + 1) * 2 * sizeof(size_t));
        bool found = regex_search(re, text, 0, spans);
        ox_assert(found == regex_search(re, text, 0, NULL));
        for (uint32_t i = 0; found && i <= regex_groups(re) * 2 + 1; i++)
            ox_assert(spans[i] == SIZE_MAX || spans[i] <= text.len);
        ox_assert(!found || spans[0] <= spans[1]);
    }
    ox_arena_fini(&arena);
    return 0;
}
