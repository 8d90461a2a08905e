/* SPDX-License-Identifier: Apache-2.0
 *
 * COPY input, text and CSV (first byte), line by line; the fields written again
 * must read as the same fields. */
#include "base/arena.h"
#include "base/check.h"
#include "row/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { FIELDS = 8 };

static void
again(const struct copy_format *copy, const struct str *fields, uint32_t count, struct arena *arena)
{
    struct vector cols[FIELDS];
    struct batch batch = {.count = 1, .ncols = count, .cols = cols, .sel_count = 1};
    struct text out;
    struct str line, back[FIELDS];
    uint32_t n;
    bool last;
    for (uint32_t i = 0; i < count; i++)
        vector_constant(&cols[i], TYPE(TYPE_TEXT),
            fields[i].ptr == NULL ? DATUM_NULL : datum_str(fields[i]), arena);
    ox_text_init(&out, arena);
    ox_assert(copy_out_rows(&batch, 0, 1, SIZE_MAX / 2, copy, &row_format_default, &out) == 1);
    ox_assert(copy_next_line(copy, ox_text_str(&out), true, &line, &last) == out.len);
    if (last && !copy->csv)
        return;
    ox_assert(copy_split_line(copy, line, arena, back, FIELDS, &n, NULL) == OX_OK);
    ox_assert(n == count);
    for (uint32_t i = 0; i < n; i++)
        ox_assert(ox_str_eq(back[i], fields[i]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    struct copy_format copy;
    copy_format_init(&copy, data[0] & 1);
    struct str input = ox_str_n(data + 1, len - 1), line, fields[FIELDS];
    struct arena arena;
    ox_arena_init(&arena);
    while (input.len > 0) {
        bool last;
        uint32_t count;
        size_t used = copy_next_line(&copy, input, true, &line, &last);
        if (used == 0)
            break;
        ox_assert(used <= input.len);
        if (copy_split_line(&copy, line, &arena, fields, FIELDS, &count, NULL) == OX_OK)
            again(&copy, fields, count, &arena);
        input = ox_str_n(input.ptr + used, input.len - used);
    }
    ox_arena_fini(&arena);
    return 0;
}
