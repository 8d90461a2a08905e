/* SPDX-License-Identifier: Apache-2.0
 *
 * The scan's own walk over the plain records of a batch, forward and backward,
 * against a header whose numbers are the input's too. All columns are made. */
#include "base/arena.h"
#include "base/check.h"
#include "exec/scan_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const enum scan_column all[] = {SCAN_PARTITION, SCAN_OFFSET, SCAN_TIMESTAMP,
    SCAN_TIMESTAMP_TYPE, SCAN_KEY, SCAN_KEY_BYTES, SCAN_VALUE, SCAN_VALUE_BYTES, SCAN_HEADERS,
    SCAN_TOMBSTONE, SCAN_SIZE, SCAN_TOPIC, SCAN_LEADER_EPOCH, SCAN_PRODUCER_ID,
    SCAN_PRODUCER_EPOCH, SCAN_SEQUENCE, SCAN_TXN, SCAN_COMPRESSION, SCAN_BATCH_OFFSET,
    SCAN_SCHEMA_ID};

static void
walk(const struct record_batch *header, const uint8_t *data, size_t len, bool backward,
    bool needle)
{
    static const struct str needles[] = {{"ab", 2}, {"c", 1}};
    static const struct plan_topic topic = {.name = {"t", 1}, .partition_count = 1};
    struct plan_scan_topic plan = {.plan = {.column_count = ox_count(all)}, .what = all,
        .topics = &topic, .topic_count = 1, .needles = needles, .needle_count = needle ? 2 : 0};
    struct scan_bounds bounds = {.offset_to = INT64_MAX, .us_to = INT64_MAX};
    struct exec_counters counters = {0};
    struct arena arena;
    struct scan_sink sink;
    struct scan_cut cut = {.from = 0, .to = INT64_MAX, .stop_us = INT64_MAX};
    struct batch batch;
    ox_arena_init(&arena);
    scan_sink_init(&sink, &plan, &bounds, &arena);
    scan_cut_begin(&cut, header, data, len);
    bool good = true;
    while (good && cut.active) {
        ox_arena_reset(&arena);
        scan_sink_begin(&sink);
        good = backward ? scan_cut_backward(&cut, &sink, VECTOR_MAX, &counters, NULL)
                        : scan_cut_forward(&cut, &sink, &counters, NULL);
        if (good)
            scan_sink_batch(&sink, &batch);
    }
    ox_free(cut.places);
    ox_arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 8)
        return 0;
    struct record_batch header = {.count = (int16_t)wire_load16(data), .producer_id = data[2] - 1,
        .base_sequence = INT32_MAX - data[3], .base_timestamp = (int64_t)data[4] - 1,
        .max_timestamp = data[5], .attributes = (int16_t)(data[6] & ~RECORD_CODEC_MASK),
        .base_offset = 10};
    for (int mode = 0; mode < 4; mode++)
        walk(&header, data + 8, len - 8, mode & 1, mode & 2);
    return 0;
}
