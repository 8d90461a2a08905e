/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings, growing text, maps, arenas, lists, wire, errors: what everything
 * else stands on. */
#include "base/str.h"

#include <float.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/wire.h"
#include "tap.h"

static void
test_str(void)
{
    ok(ox_str_eq(OX_STR("a"), ox_str("a")), "equal strings");
    ok(!ox_str_eq(OX_STR(""), OX_STR_NULL), "empty is not null");
    ok(ox_str_cmp(OX_STR("ab"), OX_STR("abc")) < 0, "shorter first");
    ok(ox_str_cmp(OX_STR_NULL, OX_STR("")) < 0, "null before everything");
    ok(ox_str_cmp(ox_str("\xff"), ox_str("a")) > 0, "bytes compare unsigned");
    ok(ox_str_ieq(OX_STR("SeLect"), OX_STR("sELECT")), "case folded");
    ok(ox_str_starts(OX_STR("topic-1"), OX_STR("topic")), "prefix");
    ok(!ox_str_starts(OX_STR("top"), OX_STR("topic")), "longer prefix");
    ok(ox_hash("abc", 3, 0) != ox_hash("abd", 3, 0), "hashes differ by content");
    ok(ox_hash("a", 1, 0) != ox_hash("a\0", 2, 0), "hashes differ by length");
}

static void
test_numbers(void)
{
    int64_t i = 0;
    double f = 0;
    ok(ox_str_to_i64(OX_STR("-9223372036854775808"), &i) && i == INT64_MIN, "smallest integer");
    ok(ox_str_to_i64(OX_STR("+9223372036854775807"), &i) && i == INT64_MAX, "largest integer");
    ok(!ox_str_to_i64(OX_STR("9223372036854775808"), &i), "one more overflows");
    ok(!ox_str_to_i64(OX_STR("-9223372036854775809"), &i), "one less overflows");
    ok(!ox_str_to_i64(OX_STR(""), &i), "nothing is no number");
    ok(!ox_str_to_i64(OX_STR("-"), &i), "a sign is no number");
    ok(!ox_str_to_i64(OX_STR("12x"), &i), "garbage behind");
    ok(ox_str_to_f64(OX_STR("1.5e3"), &f) && f > 1499.99 && f < 1500.01, "a float");
    ok(!ox_str_to_f64(OX_STR("1.5x"), &f), "not a float");
}

static void
test_utf8(void)
{
    ok(ox_utf8_valid("z\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", 10), "1 to 4 bytes");
    ok(!ox_utf8_valid("\xc0\x80", 2), "overlong NUL");
    ok(!ox_utf8_valid("\xed\xa0\x80", 3), "surrogate");
    ok(!ox_utf8_valid("\xf4\x90\x80\x80", 4), "beyond U+10FFFF");
    ok(!ox_utf8_valid("abcdefgh\xe2\x82", 10), "cut short");
    is_int(ox_utf8_count("z\xc3\xbc\xe2\x82\xac", 6), 3, "characters counted");
    char to[4];
    is_int(ox_utf8_put(to, 0x20AC), 3, "euro takes three");
    ok(memcmp(to, "\xe2\x82\xac", 3) == 0, "and reads back");
    is_int(ox_utf8_put(to, 0x1F600), 4, "beyond the first plane takes four");
}

static void
test_text(void)
{
    struct text text;
    ox_text_init(&text, NULL);
    for (int i = 0; i < 1000; i++)
        ox_text_addf(&text, "%d,", i);
    is_int(text.len, 3890, "formatted text adds up");
    ok(strlen(text.ptr) == text.len, "and stays terminated");
    ox_text_clear(&text);
    ox_text_adds(&text, "a");
    ox_text_addc(&text, 'b');
    is_str(text.ptr, "ab", "cleared and used again");
    ox_text_fini(&text);
}

static void
test_uuid_base64(void)
{
    struct uuid id, back;
    char b64[23], hex[37], coded[32], plain[32];
    for (int i = 0; i < 16; i++)
        id.bytes[i] = (uint8_t)(i * 16);
    ox_uuid_to_base64(&id, b64);
    ox_uuid_to_hex(&id, hex);
    is_str(b64, "ABAgMEBQYHCAkKCwwNDg8A", "uuid as Kafka writes it");
    is_str(hex, "00102030-4050-6070-8090-a0b0c0d0e0f0", "uuid as PostgreSQL writes it");
    ok(ox_uuid_from_base64(ox_str(b64), &back) && ox_uuid_eq(&id, &back), "base64 reads back");
    ok(ox_uuid_from_hex(ox_str(hex), &back) && ox_uuid_eq(&id, &back), "hexadecimal reads back");
    ok(!ox_uuid_from_hex(OX_STR("00102030-4050"), &back), "too short a uuid");
    ok(!ox_uuid_is_zero(&id), "not zero");
    is_int(ox_base64_encode(coded, "hello", 5, false), 8, "base64 length");
    is_str(coded, "aGVsbG8=", "base64 with padding");
    is_int(ox_base64_decode(plain, coded, 8), 5, "decoded length");
    ok(memcmp(plain, "hello", 5) == 0, "decoded bytes");
    is_int(ox_base64_decode(plain, "a*b=", 4), -1, "bad base64");
}

static int cleaned;

static void
clean(void *arg)
{
    cleaned = cleaned * 10 + *(int *)arg;
}

static void
test_arena(void)
{
    struct arena arena;
    static int one = 1, two = 2;
    ox_arena_init(&arena);
    bool aligned = true, apart = true;
    char *last = NULL;
    for (size_t len = 0; len < 3000; len += 7) {
        char *ptr = ox_arena_alloc(&arena, len);
        memset(ptr, (int)len, len);
        aligned = aligned && (uintptr_t)ptr % 16 == 0;
        apart = apart && ptr != last;
        last = ptr;
    }
    ok(aligned, "aligned to 16");
    ok(apart, "apart, empty ones too");
    char *big = ox_arena_alloc(&arena, 1 << 20);
    memset(big, 1, 1 << 20);
    is_str(ox_arena_printf(&arena, "%s-%d", "p", 7), "p-7", "printf");
    ox_arena_on_free(&arena, clean, &one);
    ox_arena_on_free(&arena, clean, &two);
    ox_arena_reset(&arena);
    is_int(cleaned, 21, "cleanups run last first");
    is_int(arena.used, 0, "reset forgets");
    arena.cap = 100;
    ok(!ox_arena_over(&arena), "below its cap");
    ox_arena_alloc(&arena, 200);
    ok(ox_arena_over(&arena), "over its cap, and alive");
    int *ints = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        ox_arena_grow(&arena, (void **)&ints, &cap, (size_t)i + 1, sizeof(int));
        ints[i] = i;
    }
    ok(ints[0] == 0 && ints[999] == 999, "an array grows");
    ox_arena_fini(&arena);
}

static void
test_map(void)
{
    struct map map;
    static int values[5000];
    char key[16];
    ox_map_init(&map);
    ok(ox_map_get(&map, OX_STR("x")) == NULL, "empty map");
    for (int i = 0; i < 5000; i++) {
        values[i] = i;
        ox_map_put(&map, ox_str_n(key, (size_t)sprintf(key, "k%d", i)), &values[i]);
    }
    is_int(map.count, 5000, "all in");
    ok(ox_map_put(&map, OX_STR("k7"), &values[8]) == &values[7], "the old value comes back");
    ox_map_put(&map, OX_STR("k7"), &values[7]);
    uint32_t at = 0;
    struct map_entry *entry;
    for (int i = 0; (entry = ox_map_next(&map, &at)) != NULL; i++)
        if (i % 2)
            ox_map_remove(&map, entry->key);
    is_int(map.count, 2500, "half removed while walking");
    at = 0;
    bool ordered = true;
    for (int i = 0; (entry = ox_map_next(&map, &at)) != NULL; i++)
        ordered = ordered && *(int *)entry->value == 2 * i;
    ok(ordered, "the rest keeps its order");
    ok(ox_map_get(&map, OX_STR("k4999")) == NULL, "removed is gone");
    ok(ox_map_remove(&map, OX_STR("k4999")) == NULL, "and cannot be removed again");
    for (int round = 0; round < 20000; round++) {
        ox_map_put(&map, OX_STR("again"), &values[1]);
        ox_map_remove(&map, OX_STR("again"));
    }
    ok(map.cap < 50000, "coming and going does not grow it");
    ox_map_fini(&map);
}

struct item {
    int n;
    struct list link;
};

static void
test_list(void)
{
    struct list head;
    struct item items[3] = {{.n = 0}, {.n = 1}, {.n = 2}};
    ox_list_init(&head);
    ok(ox_list_empty(&head) && ox_list_pop(&head) == NULL, "empty list");
    for (int i = 0; i < 3; i++)
        ox_list_push(&head, &items[i].link);
    ox_list_remove(&items[1].link);
    int seen = 0;
    ox_list_each(node, &head)
        seen = seen * 10 + (int)((struct item *)(void *)((char *)node -
                       offsetof(struct item, link)))->n + 1;
    is_int(seen, 13, "removed from the middle");
    ok(ox_list_pop(&head) == &items[0].link, "pops from the front");
}

static void
test_wire(void)
{
    struct text text;
    ox_text_init(&text, NULL);
    struct wire_out out = wire_out(&text), count = wire_out(NULL);
    static const int64_t values[] = {0, 1, -1, 63, 64, -64, -65, INT32_MAX, INT32_MIN, INT64_MAX,
        INT64_MIN};
    for (int pass = 0; pass < 2; pass++) {
        struct wire_out *to = pass ? &count : &out;
        wire_put8(to, -2);
        wire_put16(to, -300);
        wire_put32(to, 0x01020304);
        wire_put64(to, INT64_MIN + 5);
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
            wire_put_varint(to, values[i]);
    }
    is_int(count.len, text.len, "counting counts what writing writes");
    ok(memcmp(text.ptr + 3, "\1\2\3\4", 4) == 0, "big-endian");
    struct wire_in in = wire_in(text.ptr, text.len);
    is_int(wire_get8(&in), -2, "int8");
    is_int(wire_get16(&in), -300, "int16");
    is_int(wire_get32(&in), 0x01020304, "int32");
    is_int(wire_get64(&in), INT64_MIN + 5, "int64");
    bool good = true;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        good = good && wire_get_varlong(&in) == values[i];
    ok(good && wire_left(&in) == 0 && !in.failed, "varints come back");
    is_int(wire_get32(&in), 0, "reading past the end gives zero");
    ok(in.failed, "and is remembered");
    static const uint8_t six[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    in = wire_in(six, sizeof(six));
    wire_get_uvarint(&in);
    ok(in.failed, "a sixth byte is refused");
    ox_text_fini(&text);
}

static void
test_err(void)
{
    struct ox_err err;
    ox_code code = ox_fail(&err, OX_TOPIC_EXISTS, "topic \"%s\" exists", "a");
    is_int(code, OX_TOPIC_EXISTS, "the code comes back");
    is_str(err.message, "topic \"a\" exists", "the message is kept");
    is_int(ox_code_kafka(code), 36, "Kafka's number");
    is_str(ox_code_facts(code)->sqlstate, "42P07", "the SQLSTATE");
    is_int(ox_fail(NULL, OX_CORRUPT_MESSAGE, "no slot"), OX_CORRUPT_MESSAGE, "no error slot");
    char umlauts[1000];
    for (int i = 0; i < 499; i++)
        memcpy(umlauts + 2 * i, "\xc3\xbc", 2);
    umlauts[998] = '\0';
    ox_fail(&err, OX_CORRUPT_MESSAGE, "%s", umlauts);
    ok(ox_utf8_valid(err.message, strlen(err.message)), "a cut message stays valid UTF-8");
}

int
main(void)
{
    test_str();
    test_numbers();
    test_utf8();
    test_text();
    test_uuid_base64();
    test_arena();
    test_map();
    test_list();
    test_wire();
    test_err();
    return done();
}
