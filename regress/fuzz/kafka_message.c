/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of grammar/kafka and grammar/disk: the first byte picks the message,
 * the second the version, the rest is decoded. What decodes must encode, and
 * what was encoded must come back the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/msg.h"
#include "gen/disk.gen.h"
#include "gen/kafka.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
encode(const struct msg_type *type, const void *msg, int version, struct text *out)
{
    struct wire_out wire = wire_out(out);
    msg_encode(type, msg, version, &wire, NULL);
    ox_assert(wire.len == out->len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    int pick = data[0] % (KAFKA_MSG_COUNT + DISK_MSG_COUNT);
    const struct msg_type *type =
        pick < KAFKA_MSG_COUNT ? kafka_msgs[pick] : disk_msgs[pick - KAFKA_MSG_COUNT];
    int version = type->from + data[1] % (type->to - type->from + 1);
    struct arena arena;
    struct text first, second, shown;
    ox_arena_init(&arena);
    arena.cap = 16 << 20;
    ox_text_init(&first, NULL);
    ox_text_init(&second, NULL);
    ox_text_init(&shown, NULL);
    void *msg = ox_malloc(type->top->size), *back = ox_malloc(type->top->size);
    struct wire_in in = wire_in(data + 2, len - 2);
    if (msg_decode(type, &in, version, &arena, msg)) {
        encode(type, msg, version, &first);
        ox_assert(msg_size(type, msg, version) == first.len);
        msg_print(type, msg, version, &shown);
        arena.cap = SIZE_MAX;
        in = wire_in(first.ptr, first.len);
        ox_assert(msg_decode(type, &in, version, &arena, back));
        ox_assert(wire_left(&in) == 0);
        encode(type, back, version, &second);
        ox_assert(ox_str_eq(ox_text_str(&first), ox_text_str(&second)));
    }
    ox_free(msg);
    ox_free(back);
    ox_text_fini(&first);
    ox_text_fini(&second);
    ox_text_fini(&shown);
    ox_arena_fini(&arena);
    return 0;
}
