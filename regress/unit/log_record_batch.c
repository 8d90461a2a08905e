/* SPDX-License-Identifier: Apache-2.0
 *
 * record_walk() beside a walk that takes no short cuts: batches of many shapes, as
 * built, cut off, with bytes changed, in a block that ends where they end (so
 * that a sanitizer sees a read behind them). */
#include <stdlib.h>

#include "base/check.h"
#include "log/record_batch.h"
#include "tap.h"

static uint64_t seed = 1;

static uint32_t
draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

/* ---- the slow walk ---- */

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static int64_t
get_varlong(struct reader *in)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (in->failed || in->at >= in->end)
            break;
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 127) << (shift < 64 ? shift : 63);
        if (byte < 128)
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    in->failed = true;
    return 0;
}

/* Skips a length and as many bytes; whether it is null. */
static bool
skip_part(struct reader *in, bool may_be_null)
{
    int64_t len = get_varlong(in);
    if (in->failed || len < (may_be_null ? -1 : 0) || len > in->end - in->at) {
        in->failed = true;
        return false;
    }
    in->at += len > 0 ? len : 0;
    return len < 0;
}

static bool
slow_record(struct reader *in, const struct record_batch *batch, struct record_walk *walk)
{
    int64_t len = get_varlong(in);
    if (in->failed || len < 6 || len > in->end - in->at)
        return false;
    struct reader rest = {in->at + 1, in->at + len, false};
    in->at += len;
    int64_t time = get_varlong(&rest), offset = get_varlong(&rest);
    bool null_key = skip_part(&rest, true);
    skip_part(&rest, true);
    int64_t headers = get_varlong(&rest);
    if (rest.failed || offset != (int32_t)offset || headers < 0)
        return false;
    for (; headers > 0 && !rest.failed; headers--) {
        skip_part(&rest, false);
        skip_part(&rest, true);
    }
    if (rest.failed || rest.at != rest.end)
        return false;
    time = batch->attributes & RECORD_LOG_APPEND_TIME
        ? batch->max_timestamp : (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)time);
    if (walk->count == 0 || time > walk->max_timestamp) {
        walk->max_timestamp = time;
        walk->max_timestamp_at = walk->count;
    }
    if (time < walk->min_timestamp)
        walk->min_timestamp = time;
    walk->deltas_in_order &= offset == walk->count;
    walk->null_key |= null_key;
    return true;
}

static bool
slow_walk(const struct record_iter *iter, struct record_walk *walk)
{
    struct reader in = {iter->at, iter->end, false};
    *walk = (struct record_walk){.max_timestamp = -1, .min_timestamp = INT64_MAX,
        .deltas_in_order = true, .inflated = (size_t)(iter->end - iter->at)};
    for (; walk->count < iter->batch.count; walk->count++)
        if (!slow_record(&in, &iter->batch, walk))
            return false;
    return in.at == in.end;
}

/* ---- batches ---- */

struct shape {
    int32_t count;
    uint32_t key_max, value_max, headers_max, time_max, gap_max;
};

static struct str
part(uint32_t max)
{
    static const char bytes[70000];
    if (max == 0 || draw(8) == 0)
        return OX_STR_NULL;
    return ox_str_n(bytes, draw(max));
}

static struct slice
build(const struct shape *shape)
{
    struct record_builder builder;
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    struct record_header header = {OX_STR("h"), OX_STR("some value")};
    struct slice out;
    record_builder_init(&builder);
    record_builder_begin(&builder, &config);
    int32_t delta = 0;
    for (int32_t i = 0; i < shape->count; i++, delta++) {
        uint8_t headers[64];
        uint8_t *to = headers;
        int32_t headers_count = shape->headers_max > 0 ? (int32_t)draw(shape->headers_max) : 0;
        for (int32_t h = 0; h < headers_count; h++) {
            to = wire_store_uvarlong(to, header.key.len << 1);
            *to++ = 'h';
            to = wire_store_uvarlong(to, 2);
            *to++ = 'v';
        }
        int64_t time = 1700000000000;
        if (shape->time_max > 0)
            time += (int64_t)draw(shape->time_max) - (int64_t)(shape->time_max / 3);
        if (shape->gap_max > 0)
            delta += (int32_t)draw(shape->gap_max);
        record_builder_add_at(&builder, delta, time, part(shape->key_max),
            part(shape->value_max), headers_count, ox_str_n(headers, (size_t)(to - headers)));
    }
    if (record_builder_finish(&builder, &out, NULL) != OX_OK)
        abort();
    record_builder_fini(&builder);
    return out;
}

/* Whether both walks say the same of the bytes, which are a batch's header and something. */
static bool
agree(const uint8_t *bytes, size_t len, bool *valid)
{
    struct record_batch batch;
    struct record_iter iter;
    struct record_walk fast, slow;
    uint8_t *block = malloc(len);
    memcpy(block, bytes, len);
    wire_store32(block + 8, (uint32_t)(len - RECORD_BATCH_PREFIX));
    if (record_batch_decode(block, len, &batch, NULL) != OX_OK ||
        record_iter_init(&iter, &batch, NULL, 0, NULL) != OX_OK)
        abort();
    *valid = slow_walk(&iter, &slow);
    bool same = (record_walk(&iter, &fast, NULL) == OX_OK) == *valid && fast.count == slow.count;
    if (same && *valid)
        same = fast.max_timestamp == slow.max_timestamp &&
               fast.max_timestamp_at == slow.max_timestamp_at &&
               fast.min_timestamp == slow.min_timestamp && fast.inflated == slow.inflated &&
               fast.deltas_in_order == slow.deltas_in_order && fast.null_key == slow.null_key;
    free(block);
    return same;
}

static void
try_shape(const struct shape *shape, int changes, const char *name)
{
    bool valid, same = true;
    char sentence[120];
    int still_valid = 0;
    struct slice batch = build(shape);
    uint8_t *bytes = ox_slice_ptr(&batch);
    snprintf(sentence, sizeof(sentence), "%s: as built", name);
    ok(agree(bytes, batch.len, &valid) && valid, sentence);
    for (size_t cut = 1; cut <= 40 && cut < batch.len - RECORD_BATCH_HEADER; cut++)
        same &= agree(bytes, batch.len - cut, &valid) && !valid;
    snprintf(sentence, sizeof(sentence), "%s: cut off", name);
    ok(same, sentence);
    for (int i = 0; i < changes && same; i++) {
        size_t at[3];
        uint8_t was[3];
        uint32_t count = 1 + draw(3);
        for (uint32_t c = 0; c < count; c++) {
            uint32_t room = (uint32_t)(batch.len - RECORD_BATCH_HEADER);
            at[c] = RECORD_BATCH_HEADER + (draw(2) ? draw(room) : draw(OX_MIN(room, 40u)));
            was[c] = bytes[at[c]];
            bytes[at[c]] = draw(2) ? (uint8_t)(was[c] ^ 1u << draw(8)) : (uint8_t)draw(256);
        }
        same = agree(bytes, batch.len, &valid);
        still_valid += valid;
        for (uint32_t c = count; c-- > 0;)
            bytes[at[c]] = was[c];
    }
    snprintf(sentence, sizeof(sentence), "%s: with bytes changed, %d of %d times still valid", name,
        still_valid, changes);
    ok(same, sentence);
    ox_buf_put(batch.buf);
}

int
main(void)
{
    static const struct {
        const char *name;
        int changes;
        struct shape shape;
    } shapes[] = {
        {"one empty record", 3000, {1, 0, 0, 0, 0, 0}},
        {"small records", 20000, {3, 4, 8, 0, 3, 0}},
        {"small records with headers", 20000, {5, 4, 8, 3, 300, 0}},
        {"no keys", 5000, {100, 0, 150, 0, 50, 0}},
        {"keys and values around two bytes' length", 3000, {70, 140, 140, 0, 20000, 0}},
        {"gaps in offsets", 5000, {90, 20, 20, 0, 5, 3}},
        {"times all over", 3000, {200, 10, 30, 0, 2000000000, 0}},
        {"large values", 200, {12, 9000, 60000, 2, 10, 0}},
        {"offsets of three bytes", 100, {9000, 3, 10, 0, 2, 0}},
        {"far offsets", 3000, {60, 3, 10, 0, 2, 30000000}},
    };
    for (size_t i = 0; i < ox_count(shapes); i++)
        try_shape(&shapes[i].shape, shapes[i].changes, shapes[i].name);
    return done();
}
