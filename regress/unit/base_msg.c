/* SPDX-License-Identifier: Apache-2.0
 *
 * Every message in every version: random contents survive a round trip, sizes
 * agree with bytes, every cut is refused. Then some bytes known by hand. */
#include "base/msg.h"

#include <stdlib.h>

#include "base/rand.h"
#include "gen/disk.gen.h"
#include "gen/kafka.gen.h"
#include "tap.h"

static struct rand_state rng;
static struct arena arena;

static void fill_struct(const struct msg_struct *st, char *to, int version, int depth);

static struct str
random_str(void)
{
    size_t len = ox_rand_below(&rng, 12);
    char *ptr = ox_arena_alloc(&arena, len + 1);
    for (size_t i = 0; i < len; i++)
        ptr[i] = (char)('a' + ox_rand_below(&rng, 26));
    return (struct str){ptr, len};
}

static void
fill_value(const struct msg_field *field, void *to, int version, int depth)
{
    uint64_t word = ox_rand(&rng);
    if (msg_set_number(field, to, (int64_t)(field->kind == MSG_BOOL ? word & 1 : word)))
        return;
    switch (field->kind) {
    case MSG_UUID:
        memcpy(to, &word, 8);
        break;
    case MSG_STRING:
    case MSG_BYTES:
        *(struct str *)to = random_str();
        break;
    case MSG_RECORDS:
        ((struct msg_records *)to)->bytes = random_str();
        break;
    case MSG_STRUCT:
        fill_struct(field->sub, to, version, depth + 1);
        break;
    }
}

static void
fill_field(const struct msg_field *field, void *to, int version, int depth)
{
    bool null_allowed = version >= field->null_from && version <= field->null_to;
    bool null = null_allowed && ox_rand_below(&rng, 4) == 0;
    size_t size = msg_kind_size(field);
    if (field->flags & MSG_ARRAY) {
        struct msg_int8s *array = to;
        array->count = null ? -1 : (int32_t)ox_rand_below(&rng, depth > 2 ? 2 : 4);
        array->at = array->count > 0 ? ox_arena_alloc0(&arena, size * (size_t)array->count) : NULL;
        for (int32_t i = 0; i < array->count; i++)
            fill_value(field, (char *)array->at + size * (size_t)i, version, depth);
    } else if (field->flags & MSG_POINTER) {
        *(void **)to = null ? NULL : ox_arena_alloc0(&arena, size);
        if (!null)
            fill_value(field, *(void **)to, version, depth);
    } else if (!null) {
        fill_value(field, to, version, depth);
    } else {
        ((struct str *)to)->ptr = NULL;
    }
}

static void
fill_struct(const struct msg_struct *st, char *to, int version, int depth)
{
    msg_init(st, to);
    for (unsigned i = 0; i < st->field_count; i++) {
        const struct msg_field *field = &st->fields[i];
        bool carried = version >= field->from && version <= field->to;
        if (carried && (field->tag < 0 || ox_rand_below(&rng, 2)))
            fill_field(field, to + field->offset, version, depth);
    }
}

/* Returns what went wrong, or NULL. */
static const char *
round_trip(const struct msg_type *type, int version)
{
    struct text first, second, shown, shown_back;
    const char *wrong = NULL;
    ox_text_init(&first, &arena);
    ox_text_init(&second, &arena);
    ox_text_init(&shown, &arena);
    ox_text_init(&shown_back, &arena);
    void *msg = ox_arena_alloc0(&arena, type->top->size);
    void *back = ox_arena_alloc0(&arena, type->top->size);
    fill_struct(type->top, msg, version, 0);
    struct wire_out out = wire_out(&first);
    msg_encode(type, msg, version, &out, NULL);
    if (out.len != first.len || msg_size(type, msg, version) != first.len)
        wrong = "sizes differ";
    struct wire_in in = wire_in(first.ptr, first.len);
    if (!msg_decode(type, &in, version, &arena, back) || wire_left(&in) != 0)
        return "does not decode";
    out = wire_out(&second);
    msg_encode(type, back, version, &out, NULL);
    if (first.len != second.len || (first.len && memcmp(first.ptr, second.ptr, first.len) != 0))
        wrong = "bytes differ after a round trip";
    msg_print(type, msg, version, &shown);
    msg_print(type, back, version, &shown_back);
    if (!ox_str_eq(ox_text_str(&shown), ox_text_str(&shown_back)))
        wrong = "contents differ after a round trip";
    size_t step = first.len > 200 ? first.len / 97 : 1;
    for (size_t cut = 0; cut < first.len; cut += step) {
        uint8_t *copy = malloc(cut ? cut : 1); /* exact, so that ASan sees a read past it */
        if (cut > 0)
            memcpy(copy, first.ptr, cut);
        in = wire_in(copy, cut);
        if (msg_decode(type, &in, version, &arena, back))
            wrong = "a cut message decodes";
        free(copy);
    }
    return wrong;
}

static void
test_round_trips(const char *set, const struct msg_type *const *types, int count)
{
    int bad = 0, versions = 0;
    for (int i = 0; i < count; i++)
        for (int version = types[i]->from; version <= types[i]->to; version++)
            for (int round = 0; round < 12; round++, versions += round == 1) {
                const char *wrong = round_trip(types[i], version);
                ox_arena_reset(&arena);
                if (wrong != NULL && bad++ < 10)
                    printf("# %s version %d: %s\n", types[i]->name, version, wrong);
            }
    printf("# %s: %d messages, %d versions\n", set, count, versions);
    is_int(bad, 0, "every version of every message survives a round trip, no cut does");
}

static void
test_bounds(void)
{
    struct metadata_request request;
    /* A null array, then counts that no message could hold. */
    static const uint8_t null[] = {0xff, 0xff, 0xff, 0xff};
    static const uint8_t below[] = {0xff, 0xff, 0xff, 0xfe};
    static const uint8_t large[] = {0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'};
    struct wire_in in = wire_in(null, 4);
    ok(metadata_request_decode(&in, 1, &arena, &request) && request.topics.count == -1,
        "null topics from version 1");
    in = wire_in(null, 4);
    ok(!metadata_request_decode(&in, 0, &arena, &request), "but not in version 0");
    in = wire_in(below, 4);
    ok(metadata_request_decode(&in, 1, &arena, &request) && request.topics.count == -1,
        "a count below -1 is null, as for Java");
    in = wire_in(below, 4);
    ok(!metadata_request_decode(&in, 0, &arena, &request), "but not in version 0");
    in = wire_in(large, sizeof(large));
    ok(!metadata_request_decode(&in, 1, &arena, &request), "a count beyond the bytes");
    ok(arena.used < 4096, "reserved nothing for it");

    uint8_t *many = calloc(1, 40000);
    wire_store32(many, 9000);
    in = wire_in(many, 40000);
    ok(metadata_request_decode(&in, 1, &arena, &request) && request.topics.count == 9000,
        "9000 empty names");
    ox_arena_reset(&arena);
    arena.cap = 10000;
    in = wire_in(many, 40000);
    ok(!metadata_request_decode(&in, 1, &arena, &request), "do not pass the arena's cap");
    arena.cap = SIZE_MAX;
    free(many);
    ox_arena_reset(&arena);
}

static void
test_tags(void)
{
    struct api_versions_request request;
    static const uint8_t unknown[] = {2, 'a', 2, '1', 2, 0, 1, 9, 0x80, 1, 2, 8, 7};
    struct wire_in in = wire_in(unknown, sizeof(unknown));
    ok(api_versions_request_decode(&in, 3, &arena, &request) && wire_left(&in) == 0,
        "unknown tagged fields are skipped");
    ok(ox_str_is(request.client_software_name, "a"), "and the rest is kept");

    struct fetch_request fetch;
    fetch_request_init(&fetch);
    is_int(fetch.max_bytes, INT32_MAX, "a default");
    is_int(fetch.replica_state.replica_epoch, -1, "a default inside a struct");
    size_t plain = fetch_request_size(&fetch, 15);
    fetch.replica_state.replica_id = 3;
    is_int(fetch_request_size(&fetch, 15), plain + 2 + 13, "a tagged field costs when it is set");
    is_int(fetch_request_size(&fetch, 12), plain + 4, "and is left out where it does not exist");
    ox_arena_reset(&arena);
}

static void
test_known(void)
{
    /* ApiVersions 0, as kcat asks: header and no body. */
    static const uint8_t header[] = {0, 18, 0, 0, 0, 0, 0, 7, 0, 4, 'k', 'c', 'a', 't'};
    struct request_header head;
    struct wire_in in = wire_in(header, sizeof(header));
    ok(request_header_decode(&in, 1, &arena, &head) && wire_left(&in) == 0, "a request header");
    is_int(head.request_api_key, 18, "its key");
    is_int(head.correlation_id, 7, "its correlation id");
    ok(ox_str_is(head.client_id, "kcat"), "its client id");
    /* In version 2 the client id keeps its int16 length. */
    static const uint8_t flexible[] = {0, 18, 0, 3, 0, 0, 0, 8, 0xff, 0xff, 0};
    in = wire_in(flexible, sizeof(flexible));
    ok(request_header_decode(&in, 2, &arena, &head) && wire_left(&in) == 0, "a flexible header");
    ok(head.client_id.ptr == NULL, "without a client id");

    struct describe_topic_partitions_request_cursor cursor = {OX_STR("t"), 5};
    struct describe_topic_partitions_request request;
    describe_topic_partitions_request_init(&request);
    request.cursor = &cursor;
    struct text text;
    ox_text_init(&text, &arena);
    struct wire_out out = wire_out(&text);
    describe_topic_partitions_request_encode(&request, 0, &out);
    static const uint8_t want[] = {1, 0, 0, 7, 0xd0, 1, 2, 't', 0, 0, 0, 5, 0, 0};
    ok(text.len == sizeof(want) && memcmp(text.ptr, want, sizeof(want)) == 0,
        "a nullable struct: a marker, the struct with its own tagged section");

    ox_text_clear(&text);
    struct fetch_response_responses_partitions part;
    struct fetch_response_responses topic = {.topic = OX_STR("t"), .partitions = {&part, 1}};
    struct fetch_response response = {.responses = {&topic, 1}};
    fetch_response_responses_partitions_init(&part);
    part.records = (struct msg_records){.splice = &part, .splice_len = 1000};
    struct msg_splices splices = {.arena = &arena};
    out = wire_out(&text);
    msg_encode(&fetch_response_type, &response, 4, &out, &splices);
    is_int(out.len, text.len + 1000, "a splice counts");
    ok(splices.count == 1 && splices.at[0].pos == text.len && splices.at[0].splice == &part,
        "and its place is known");
    is_int(fetch_response_size(&response, 4), out.len, "the size too");
    ox_arena_reset(&arena);
}

/* A message that grows too long while there is no memory for it. */
static void
test_cut(void)
{
    enum { COUNT = 1000 };
    static struct fetch_response_responses_partitions parts[COUNT];
    struct fetch_response_responses topic = {.topic = OX_STR("t"), .partitions = {parts, COUNT}};
    struct fetch_response response = {.responses = {&topic, 1}};
    struct msg_splices splices = {.arena = &arena, .most = 2000};
    struct text text;
    for (int i = 0; i < COUNT; i++) {
        fetch_response_responses_partitions_init(&parts[i]);
        parts[i].records = (struct msg_records){.splice = &parts[i], .splice_len = 10};
    }
    ox_text_init(&text, &arena);
    struct wire_out out = wire_out(&text);
    msg_encode(&fetch_response_type, &response, 4, &out, &splices);
    size_t whole = text.len;
    ok(!splices.cut && whole > 20000 && splices.count == COUNT, "a long message is written");
    ox_text_clear(&text);
    splices = (struct msg_splices){.arena = &arena, .most = 2000};
    mem_set_limit(1);
    out = wire_out(&text);
    msg_encode(&fetch_response_type, &response, 4, &out, &splices);
    mem_set_limit(0);
    ok(splices.cut && text.len < 3000, "without memory only its beginning is");
    is_int(splices.count, COUNT, "but all that is put in is listed");
    is_int(out.len, whole + COUNT * 10, "and its length is known");
    ox_arena_reset(&arena);
}

int
main(void)
{
    ox_arena_init(&arena);
    ox_rand_seed(&rng, 20261121);
    test_round_trips("kafka", kafka_msgs, KAFKA_MSG_COUNT);
    test_round_trips("disk", disk_msgs, DISK_MSG_COUNT);
    test_bounds();
    test_tags();
    test_known();
    test_cut();
    ox_arena_fini(&arena);
    return done();
}
