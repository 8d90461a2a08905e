/* SPDX-License-Identifier: Apache-2.0
 *
 * Text and binary input of every type. What is taken must survive a round trip
 * through both forms. First byte: type; second: 1 binary, 2 array. */
#include "base/arena.h"
#include "base/check.h"
#include "row/row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
round_trip(struct type type, struct datum *value, struct arena *arena)
{
    struct text binary, text;
    struct datum again, third;
    ox_text_init(&binary, arena);
    ox_text_init(&text, arena);
    type_out_binary(type, value, &binary);
    type_out_text(type, value, &row_format_default, &text);
    datum_hash(type, value, 1);
    if (type.id == TYPE_RECORD || type.id >= TYPE_ANY || type.id == TYPE_VOID)
        return;
    bool readable = row_check_text(ox_text_str(&text), NULL) == OX_OK;
    if (!readable)
        return;
    ox_assert(type_in_binary(type, ox_text_str(&binary), arena, &again, NULL) == OX_OK);
    if (type_orderable(type))
        ox_assert(datum_equal(type, value, &again));
    ox_code code = type_in_text(type, ox_text_str(&text), &row_format_default, arena, &third, NULL);
    bool exact = type.id != TYPE_INTERVAL && type.id < TYPE_REGCLASS && type.id != TYPE_REGPROC;
    ox_assert(code == OX_OK || !exact);
    if (code == OX_OK && exact && type_orderable(type))
        ox_assert(datum_equal(type, value, &third));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    struct type type = {(uint16_t)(data[0] % (TYPE_COUNT - 1) + 1),
        (data[1] & 2) != 0 && type_table[data[0] % (TYPE_COUNT - 1) + 1].array_oid != 0, -1};
    struct str bytes = ox_str_n(data + 2, len - 2);
    struct datum value;
    struct arena arena;
    ox_arena_init(&arena);
    ox_code code;
    if (type.id == TYPE_RECORD || type.id >= TYPE_ANY)
        code = OX_FEATURE_NOT_SUPPORTED;
    else if (data[1] & 1)
        code = type_in_binary(type, bytes, &arena, &value, NULL);
    else if (row_check_text(bytes, NULL) == OX_OK)
        code = type_in_text(type, bytes, &row_format_default, &arena, &value, NULL);
    else
        code = OX_CHARACTER_NOT_IN_REPERTOIRE;
    if (code == OX_OK)
        round_trip(type, &value, &arena);
    ox_arena_fini(&arena);
    return 0;
}
