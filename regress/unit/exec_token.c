/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "exec/exec.h"
#include "exec/scan_int.h"
#include "tap.h"

static void
test_murmur2(void)
{
    static const struct {
        const char *key;
        int32_t hash;
    } known[] = {{"", 275646681}, {"a", -1563381124}, {"21", -973932308}, {"abc", 479470107},
        {"foobar", -790332482}, {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        is_int((int32_t)exec_murmur2(known[i].key, strlen(known[i].key)), known[i].hash,
            "murmur2 is Java's");
    is_int((int32_t)exec_murmur2("\0\0\0\1", 4), -173113808, "murmur2 of bytes");
}

static void
test_tokens(struct arena *arena)
{
    struct uuid id = {{1, 2, 3}}, got;
    struct exec_position positions[] = {{0, 3, 100}, {7, -1, 0}, {2, 0, INT64_MAX}}, *back;
    uint32_t count;
    struct text text;
    ox_text_init(&text, NULL);
    exec_token_write(&id, positions, 3, &text);
    is_int(exec_token_read(ox_text_str(&text), arena, &got, &back, &count, NULL), OX_OK,
        "a token is read back");
    is_int(count, 3, "with all its positions");
    ok(ox_uuid_eq(&id, &got), "and its topic");
    ok(memcmp(back, positions, sizeof(positions)) == 0, "the same");
    int refused = 0;
    for (size_t i = 0; i < text.len; i++) {
        char was = text.ptr[i];
        text.ptr[i] = was == 'A' ? 'B' : 'A';
        refused += exec_token_read(ox_text_str(&text), arena, &got, &back, &count, NULL) != OX_OK;
        text.ptr[i] = was;
    }
    /* The last character may carry bits that no byte uses. */
    ok(refused >= (int)text.len - 1, "a changed character is noticed");
    refused = 0;
    for (size_t len = 0; len < text.len; len++)
        refused +=
            exec_token_read(ox_str_n(text.ptr, len), arena, &got, &back, &count, NULL) != OX_OK;
    is_int(refused, (int)text.len, "a cut token is refused");
    ox_text_fini(&text);
}

static void
test_offsets(struct arena *arena)
{
    struct exec_position *list;
    uint32_t count;
    ok(scan_parse_offsets(OX_STR("{0:12, 1 : 99}"), arena, &list, &count, NULL),
        "a list of offsets");
    is_int(count, 2, "has two");
    is_int(list[1].partition, 1, "partition");
    is_int(list[1].offset, 99, "offset");
    ok(scan_parse_offsets(OX_STR("{\"0\":5}"), arena, &list, &count, NULL), "JSON will do");
    ok(scan_parse_offsets(OX_STR("{}"), arena, &list, &count, NULL), "it may be empty");
    static const char *const bad[] = {"", "{", "{0}", "{0:}", "{0:1", "{0:1,}", "{0:-1}", "{a:1}",
        "{0:1}x", "{99999999999:1}", "{0:99999999999999999999}"};
    int refused = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refused += !scan_parse_offsets(ox_str(bad[i]), arena, &list, &count, NULL);
    is_int(refused, (int)(sizeof(bad) / sizeof(bad[0])), "nonsense is refused");
}

int
main(void)
{
    struct arena arena;
    ox_arena_init(&arena);
    test_murmur2();
    test_tokens(&arena);
    test_offsets(&arena);
    ox_arena_fini(&arena);
    return done();
}
