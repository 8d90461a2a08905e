/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients send as text to be positions and headers: the first byte picks a
 * token, a list of offsets, or _headers. */
#include "base/arena.h"
#include "base/check.h"
#include "base/wire.h"
#include "exec/exec.h"
#include "exec/insert_int.h"
#include "exec/scan_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
token(struct str text, struct arena *arena)
{
    struct uuid id;
    struct exec_position *positions;
    uint32_t count;
    if (exec_token_read(text, arena, &id, &positions, &count, NULL) != OX_OK)
        return;
    struct text again;
    ox_text_init(&again, NULL);
    exec_token_write(&id, positions, count, &again);
    ox_assert(again.len > 0);
    ox_text_fini(&again);
}

static void
headers(struct str text, struct arena *arena)
{
    struct str encoded;
    int32_t count;
    if (insert_headers(text, arena, &encoded, &count, NULL) != OX_OK)
        return;
    struct wire_in in = wire_in(encoded.ptr, encoded.len);
    struct record_header header;
    for (int32_t i = 0; i < count; i++)
        ox_assert(record_header_next(&in, &header));
    ox_assert(wire_left(&in) == 0);
    struct str json = scan_headers_json(encoded, count, arena);
    ox_assert(json_validate(json, NULL) == OX_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena;
    struct exec_position *list;
    uint32_t count;
    if (len == 0)
        return 0;
    ox_arena_init(&arena);
    struct str text = ox_str_n(data + 1, len - 1);
    switch (data[0] % 3) {
    case 0: token(text, &arena); break;
    case 1: (void)scan_parse_offsets(text, &arena, &list, &count, NULL); break;
    case 2:
        if (ox_utf8_valid(text.ptr, text.len))
            headers(text, &arena);
        break;
    }
    ox_arena_fini(&arena);
    return 0;
}
