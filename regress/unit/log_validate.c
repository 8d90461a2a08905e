/* SPDX-License-Identifier: Apache-2.0
 *
 * What Produce refuses, in Kafka's order, and what it changes. */
#include "log_helper.h"

#include "base/crc32c.h"

static struct log_append append;

/* Appends a batch after `change` was made to its bytes; seals unless told not to. */
static ox_code
changed(void (*change)(uint8_t *ptr), bool seal)
{
    struct slice batch = help_batch(&RECORD_BUILDER_PLAIN, 3, wall, "value");
    change(ox_slice_ptr(&batch));
    if (seal)
        record_batch_seal(ox_slice_ptr(&batch), batch.len);
    append = (struct log_append){.leader_epoch = 4};
    return help_send(batch, &append);
}

static void set_magic(uint8_t *p) { p[16] = 1; }
static void set_crc(uint8_t *p) { p[20] ^= 1; }
static void set_offset(uint8_t *p) { p[7] = 1; }
static void set_length_small(uint8_t *p) { wire_store32(p + 8, 48); }
static void set_length_large(uint8_t *p) { wire_store32(p + 8, 100000); }
static void set_length_negative(uint8_t *p) { wire_store32(p + 8, UINT32_MAX); }
static void set_count_high(uint8_t *p) { wire_store32(p + 57, 4); wire_store32(p + 23, 3); }
static void set_count_low(uint8_t *p) { wire_store32(p + 57, 2); wire_store32(p + 23, 1); }
static void set_count_zero(uint8_t *p) { wire_store32(p + 57, 0); }
static void set_count_huge(uint8_t *p) { wire_store32(p + 57, INT32_MAX); wire_store32(p + 23, INT32_MAX - 1); }
static void set_delta(uint8_t *p) { wire_store32(p + 23, 7); }
static void set_control(uint8_t *p) { p[22] |= RECORD_CONTROL; }
static void set_append_time(uint8_t *p) { p[22] |= RECORD_LOG_APPEND_TIME; }
static void set_producer(uint8_t *p) { wire_store64(p + 43, 9); wire_store16(p + 51, 0); }
static void set_codec(uint8_t *p) { p[22] |= 5; }
static void set_gzip(uint8_t *p) { p[22] |= 1; }
static void set_record_length(uint8_t *p) { p[61] = 100; }
static void set_key_length(uint8_t *p) { p[65] = 126; }
static void set_offset_delta(uint8_t *p) { p[64] = 4; }
static void set_record_attributes(uint8_t *p) { p[62] = 1; }

static void
test_refusals(void)
{
    static const struct {
        void (*change)(uint8_t *ptr);
        bool seal;
        ox_code code;
        const char *what;
    } cases[] = {
        {set_magic, true, OX_INVALID_RECORD, "magic 1"},
        {set_crc, false, OX_CORRUPT_MESSAGE, "a wrong checksum"},
        {set_offset, false, OX_INVALID_RECORD, "a base offset"},
        {set_length_small, false, OX_CORRUPT_MESSAGE, "a length below 49"},
        {set_length_large, false, OX_INVALID_RECORD, "a length beyond the data"},
        {set_length_negative, false, OX_CORRUPT_MESSAGE, "a negative length"},
        {set_count_high, true, OX_INVALID_RECORD, "fewer records than the count"},
        {set_count_low, true, OX_INVALID_RECORD, "more records than the count"},
        {set_count_zero, true, OX_INVALID_RECORD, "a count of zero"},
        {set_count_huge, true, OX_INVALID_RECORD, "a huge count"},
        {set_delta, true, OX_INVALID_RECORD, "a last offset delta that differs from the count"},
        {set_control, true, OX_INVALID_RECORD, "a control batch from a client"},
        {set_producer, true, OX_INVALID_RECORD, "a producer without a sequence"},
        {set_codec, true, OX_UNSUPPORTED_COMPRESSION_TYPE, "an unknown codec"},
        {set_gzip, true, OX_CORRUPT_MESSAGE, "bytes that do not inflate"},
        {set_record_length, true, OX_INVALID_RECORD, "a record length out of bounds"},
        {set_key_length, true, OX_INVALID_RECORD, "a key length out of bounds"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(changed(cases[i].change, cases[i].seal), cases[i].code, cases[i].what);
        ok(append.base_offset == -1 && append.last_offset == -1, "gets no offset");
    }
    struct slice batch = help_batch(&RECORD_BUILDER_PLAIN, 1, wall, "v");
    struct buf *two = ox_buf_new(batch.len * 2);
    memcpy(two->ptr, ox_slice_ptr(&batch), batch.len);
    memcpy(two->ptr + batch.len, ox_slice_ptr(&batch), batch.len);
    append = (struct log_append){0};
    is_int(help_send((struct slice){two, 0, batch.len * 2}, &append), OX_INVALID_RECORD,
        "two batches");
    ox_buf_put(batch.buf);
    append = (struct log_append){.now_ms = wall};
    is_int(plog_append(plog, &append, &err), OX_INVALID_RECORD, "no batch at all");
    is_int(plog_log_end(plog), 0, "nothing of this is in the log");
}

static void
test_limits(void)
{
    char big[3000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    config.max_message_bytes = 2000;
    plog_set_config(plog, &config);
    is_int(help_append(1, big), OX_MESSAGE_TOO_LARGE, "max.message.bytes");
    config.max_message_bytes = 1 << 20;
    config.segment_bytes = 2000;
    plog_set_config(plog, &config);
    is_int(help_append(1, big), OX_RECORD_LIST_TOO_LARGE, "segment.bytes");
    config.segment_bytes = 1 << 30;
    config.timestamp_before_max_ms = 1000;
    config.timestamp_after_max_ms = 1000;
    plog_set_config(plog, &config);
    struct arena arena;
    ox_arena_init(&arena);
    append = (struct log_append){.arena = &arena};
    is_int(help_send(help_batch(&RECORD_BUILDER_PLAIN, 3, wall + 999, "v"), &append),
        OX_INVALID_TIMESTAMP, "timestamps after the bound");
    is_int(append.record_error_count, 1, "one record is named");
    is_int(append.record_errors[0].index, 2, "the third");
    append = (struct log_append){.arena = &arena};
    is_int(help_send(help_batch(&RECORD_BUILDER_PLAIN, 3, wall - 1002, "v"), &append),
        OX_INVALID_TIMESTAMP, "timestamps before the bound");
    is_int(append.record_error_count, 2, "two records are named");
    append = (struct log_append){0};
    is_int(help_send(help_batch(&RECORD_BUILDER_PLAIN, 1, -1, "v"), &append), OX_OK,
        "no timestamp is fine");
    config.timestamp_before_max_ms = INT64_MAX;
    config.policy_compact = true;
    plog_set_config(plog, &config);
    struct record_builder builder;
    struct slice batch;
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    record_builder_add(&builder, wall, OX_STR("k"), OX_STR("v"), NULL, 0);
    record_builder_add(&builder, wall, OX_STR_NULL, OX_STR("v"), NULL, 0);
    record_builder_finish(&builder, &batch, &err);
    record_builder_fini(&builder);
    append = (struct log_append){.arena = &arena};
    is_int(help_send(batch, &append), OX_INVALID_RECORD, "a null key in a compacted topic");
    ok(append.record_error_count == 1 && append.record_errors[0].index == 1, "is named");
    config.policy_compact = false;
    plog_set_config(plog, &config);
    ox_arena_fini(&arena);
}

/* What lies at offset, decoded into *batch; NULL buffer if nothing does. */
static struct buf *
fetch(int64_t offset, struct record_batch *batch)
{
    struct log_range range;
    if (plog_read(plog, offset, plog_log_end(plog), 1, true, &range, &err) != OX_OK ||
        range.seg == NULL)
        return NULL;
    struct buf *buf = ox_buf_new(range.len);
    ok(log_range_pread(&range, buf->ptr, &err) == OX_OK, "the batch is read back");
    ok(record_batch_check(buf->ptr, range.len, batch, &err) == OX_OK, "its checksum is right");
    log_range_put(&range);
    return buf;
}

static void
test_times(void)
{
    struct record_batch batch;
    append = (struct log_append){.leader_epoch = 4};
    is_int(changed(set_offset, false), OX_INVALID_RECORD, "(a refusal in between)");
    struct slice lies = help_batch(&RECORD_BUILDER_PLAIN, 3, wall, "v");
    wire_store64(ox_slice_ptr(&lies) + 35, (uint64_t)wall + 500);
    record_batch_seal(ox_slice_ptr(&lies), lies.len);
    append = (struct log_append){.leader_epoch = 4};
    is_int(help_send(lies, &append), OX_OK, "a max timestamp that lies is accepted");
    is_int(append.append_time_ms, -1, "CreateTime has no append time");
    struct buf *buf = fetch(append.base_offset, &batch);
    is_int(batch.max_timestamp, wall + 2, "and put right");
    is_int(batch.leader_epoch, 4, "the leader epoch is stamped");
    is_int(batch.base_offset, append.base_offset, "and the offset");
    ox_buf_put(buf);
    config.log_append_time = true;
    plog_set_config(plog, &config);
    append = (struct log_append){.leader_epoch = 4};
    help_send(help_batch(&RECORD_BUILDER_PLAIN, 3, 17, "v"), &append);
    is_int(append.append_time_ms, wall, "LogAppendTime is answered");
    buf = fetch(append.base_offset, &batch);
    is_int(batch.max_timestamp, wall, "and written");
    ok((batch.attributes & RECORD_LOG_APPEND_TIME) != 0, "with its bit");
    ox_buf_put(buf);
    is_int(changed(set_append_time, true), OX_INVALID_TIMESTAMP, "a client's own LogAppendTime");
    config.log_append_time = false;
    plog_set_config(plog, &config);
    is_int(changed(set_append_time, true), OX_OK, "whose bit means nothing where time is the client's");
    buf = fetch(append.base_offset, &batch);
    ok((batch.attributes & RECORD_LOG_APPEND_TIME) == 0, "and is taken off");
    ox_buf_put(buf);
    is_int(changed(set_record_attributes, true), OX_OK, "attributes of records are not used");
    is_int(changed(set_offset_delta, true), OX_OK, "offsets of records are given anew");
    buf = fetch(append.base_offset, &batch);
    struct record_iter iter;
    struct record record;
    record_iter_init(&iter, &batch, NULL, 0, &err);
    ok(record_iter_next(&iter, &record) && record.offset == append.base_offset, "in order");
    ox_buf_put(buf);
}

static void
test_codecs(void)
{
    for (int codec = 0; codec < OX_CODEC_COUNT; codec++)
        for (int target = -1; target < OX_CODEC_COUNT; target++) {
            struct record_builder_config with = RECORD_BUILDER_PLAIN;
            struct record_batch batch;
            struct record_iter iter;
            struct record record;
            struct text scratch;
            char sentence[64];
            with.codec = (enum ox_codec)codec;
            config.compression = target;
            plog_set_config(plog, &config);
            append = (struct log_append){0};
            snprintf(sentence, sizeof(sentence), "codec %d to %d", codec, target);
            is_int(help_send(help_batch(&with, 50, wall, "a value, again and again"), &append),
                OX_OK, sentence);
            struct buf *buf = fetch(append.base_offset, &batch);
            is_int(record_batch_codec(&batch), target < 0 ? codec : target, "the codec wanted");
            ox_text_init(&scratch, NULL);
            int n = 0;
            if (record_iter_init(&iter, &batch, &scratch, 1 << 20, &err) == OX_OK)
                while (record_iter_next(&iter, &record))
                    n += ox_str_is(record.value, "a value, again and again") &&
                         record.offset == append.base_offset + n;
            is_int(n, 50, "and all records");
            ox_text_fini(&scratch);
            ox_buf_put(buf);
        }
    config.compression = LOG_COMPRESSION_PRODUCER;
    config.inflated_max = 1000;
    plog_set_config(plog, &config);
    struct record_builder_config with = RECORD_BUILDER_PLAIN;
    with.codec = OX_CODEC_ZSTD;
    append = (struct log_append){0};
    is_int(help_send(help_batch(&with, 50, wall, "a value, again and again"), &append),
        OX_MESSAGE_TOO_LARGE, "a batch that inflates to too much");
    append = (struct log_append){.flags = LOG_NO_ZSTD};
    is_int(help_send(help_batch(&with, 1, wall, "v"), &append), OX_UNSUPPORTED_COMPRESSION_TYPE,
        "zstd before Produce 7");
}

int
main(void)
{
    help_init();
    help_open("v");
    test_refusals();
    test_limits();
    test_times();
    test_codecs();
    help_close();
    file_sim_free(sim);
    return done();
}
