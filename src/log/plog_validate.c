/* SPDX-License-Identifier: Apache-2.0
 *
 * What Produce checks before a batch may enter the log, in Kafka's order, and
 * the changes that need no offset: the log's own compression, LogAppendTime, a
 * max_timestamp that lies. Runs without the log's lock. */
#include "log/log_int.h"

#include "base/check.h"
#include "base/limits.h"

enum { BATCH_MAGIC = 2 };

static ox_code
refuse(struct log_append *append, struct ox_err *err, ox_code code, const char *why)
{
    append->base_offset = append->last_offset = append->append_time_ms = -1;
    return ox_fail(err, code, "%s", why);
}

/* Refused before the log is asked: its start is not told either. */
static ox_code
refuse_frame(struct log_append *append, struct ox_err *err, ox_code code, const char *why)
{
    append->log_start = -1;
    return refuse(append, err, code, why);
}

/* Length of the batch that starts at `at`, 0 if it is not there whole. Bytes that
 * cannot start one are corrupt, a start of less than a size is nothing. */
static ox_code
next_batch(const uint8_t *at, size_t len, size_t *bytes)
{
    enum { PREFIX = 12, MAGIC_AT = 16, LEAST = 14 };
    *bytes = 0;
    if (len < PREFIX)
        return OX_OK;
    int32_t size = (int32_t)wire_load32(at + 8);
    if (size < LEAST || (len > MAGIC_AT && at[MAGIC_AT] > BATCH_MAGIC))
        return OX_CORRUPT_MESSAGE;
    if (len > MAGIC_AT && (size_t)size + PREFIX <= len)
        *bytes = (size_t)size + PREFIX;
    return OX_OK;
}

/* One batch of magic 2 is there, and no second one. The start of one behind it
 * is left out. */
static ox_code
check_single(struct log_append *append, struct ox_err *err)
{
    const struct slice *in = &append->records;
    size_t bytes = 0, more = 0;
    if (in->buf == NULL || in->len == 0)
        return refuse_frame(append, err, OX_INVALID_RECORD, "no record batch was sent");
    const uint8_t *at = ox_slice_ptr(in);
    if (next_batch(at, in->len, &bytes) != OX_OK)
        return refuse_frame(append, err, OX_CORRUPT_MESSAGE,
            "what was sent does not start with a record batch");
    if (bytes == 0)
        return refuse_frame(append, err, OX_INVALID_RECORD, "record batch is cut off");
    if (at[16] != BATCH_MAGIC)
        return refuse_frame(append, err, OX_INVALID_RECORD, "record batch is not of magic 2");
    if (bytes < RECORD_BATCH_HEADER)
        return refuse_frame(append, err, OX_CORRUPT_MESSAGE,
            "record batch is shorter than its header");
    int codec = wire_load16(at + 21) & RECORD_CODEC_MASK;
    if (codec == OX_CODEC_ZSTD && (append->flags & LOG_NO_ZSTD))
        return refuse_frame(append, err, OX_UNSUPPORTED_COMPRESSION_TYPE,
            "zstd is not allowed before Produce version 7");
    if (next_batch(at + bytes, in->len - bytes, &more) != OX_OK)
        return refuse_frame(append, err, OX_CORRUPT_MESSAGE,
            "what follows the record batch is not a record batch");
    if (more > 0)
        return refuse_frame(append, err, OX_INVALID_RECORD,
            "more than one record batch was sent for the partition");
    append->bytes.len = bytes;
    return OX_OK;
}

/* Checks 1 to 5: one whole batch of the right kind. */
static ox_code
check_frame(struct log_append *append, struct ox_err *err)
{
    ox_code rc = check_single(append, err);
    if (rc == OX_OK)
        rc = record_batch_decode(ox_slice_ptr(&append->bytes), append->bytes.len, &append->batch,
            err);
    if (rc != OX_OK || append->origin == LOG_FROM_COORDINATOR)
        return rc; /* the latter built by this process */
    if (append->batch.base_offset != 0)
        return refuse(append, err, OX_INVALID_RECORD, "base offset of a new batch is not 0");
    return OX_OK;
}

/* Checks 6 to 11: its size, the checksum, limits and header fields. */
static ox_code
check_header(struct log_append *append, const struct plog_config *config, struct ox_err *err)
{
    const struct record_batch *batch = &append->batch;
    if (batch->bytes > (uint64_t)config->max_message_bytes) {
        limit_met(LIMIT_BATCH);
        return ox_fail(err, OX_MESSAGE_TOO_LARGE,
            "record batch of %zu bytes exceeds \"max.message.bytes\" (%d)", batch->bytes,
            config->max_message_bytes);
    }
    if (append->origin != LOG_FROM_COORDINATOR && !record_batch_crc_ok(batch))
        return refuse(append, err, OX_CORRUPT_MESSAGE, "record batch has a wrong checksum");
    if (batch->bytes > (uint64_t)config->segment_bytes)
        return ox_fail(err, OX_RECORD_LIST_TOO_LARGE,
            "record batch of %zu bytes exceeds \"segment.bytes\" (%lld)", batch->bytes,
            (long long)config->segment_bytes);
    if (batch->last_offset_delta < 0 || batch->last_offset_delta == INT32_MAX)
        return refuse(append, err, OX_INVALID_RECORD, "last offset delta is out of range");
    if (batch->count != batch->last_offset_delta + 1)
        return ox_fail(err, OX_INVALID_RECORD,
            "record count %d does not match the last offset delta %d", batch->count,
            batch->last_offset_delta);
    if (append->origin == LOG_FROM_CLIENT && record_batch_is_control(batch))
        return refuse(append, err, OX_INVALID_RECORD, "clients may not write control batches");
    if (batch->producer_id >= 0 && batch->base_sequence < 0 && !record_batch_is_control(batch) &&
        append->origin == LOG_FROM_CLIENT)
        return refuse(append, err, OX_INVALID_RECORD, "producer id comes without a sequence");
    return OX_OK;
}

/* ---- record by record ---- */

/* a - b > bound, for any values. */
static bool
exceeds(int64_t a, int64_t b, int64_t bound)
{
    return (__int128)a - b > bound;
}

static bool
time_refused(int64_t time, int64_t now, const struct plog_config *config)
{
    return time != -1 && (exceeds(now, time, config->timestamp_before_max_ms) ||
                             exceeds(time, now, config->timestamp_after_max_ms));
}

static void
list_error(struct log_append *append, size_t *cap, int32_t index, const char *message)
{
    if (append->arena == NULL || ox_arena_over(append->arena))
        return;
    void *list = (void *)(uintptr_t)append->record_errors;
    ox_arena_grow(append->arena, &list, cap, append->record_error_count + 1,
        sizeof(*append->record_errors));
    append->record_errors = list;
    ((struct log_record_error *)list)[append->record_error_count++] =
        (struct log_record_error){index, message};
}

/* Some record is refused, or may be: look at each. */
static ox_code
check_each(struct log_append *append, const struct plog_config *config, struct record_iter iter,
    struct ox_err *err)
{
    struct record record;
    size_t cap = 0;
    bool any = false, any_time = false;
    for (int32_t i = 0; record_iter_next(&iter, &record); i++) {
        const char *why = NULL;
        if (config->policy_compact && record.key.ptr == NULL) {
            why = "Compacted topic cannot accept message without key";
        } else if (config->log_append_time) {
            if (append->batch.attributes & RECORD_LOG_APPEND_TIME)
                why = "Producer may not set the timestamp type to LogAppendTime";
            any_time |= why != NULL;
        } else if (time_refused(record.timestamp, append->now_ms, config)) {
            why = "Timestamp of the record is out of the topic's range";
            any_time = true;
        }
        if (why == NULL)
            continue;
        any = true;
        list_error(append, &cap, i, why);
    }
    if (!any)
        return OX_OK;
    if (any_time)
        return refuse(append, err, OX_INVALID_TIMESTAMP,
            "timestamps of some records are out of the topic's range");
    return refuse(append, err, OX_INVALID_RECORD, "some records are not valid");
}

/* No record that was compressed is larger than the topic takes. */
static ox_code
check_sizes(struct log_append *append, const struct plog_config *config, struct record_iter iter,
    struct ox_err *err)
{
    struct record record;
    const uint8_t *at = iter.at;
    if (config->max_decompressed_bytes >= (int64_t)config->inflated_max ||
        record_batch_codec(&append->batch) == OX_CODEC_NONE)
        return OX_OK;
    for (; record_iter_next(&iter, &record); at = iter.at) {
        struct wire_in in = wire_in(at, (size_t)(iter.at - at));
        if (wire_get_varint(&in) > config->max_decompressed_bytes)
            return refuse(append, err, OX_INVALID_RECORD,
                "a record exceeds \"max.decompressed.message.bytes\"");
    }
    return OX_OK;
}

/* Checks 12 to 16. */
static ox_code
check_records(struct log_append *append, const struct plog_config *config,
    const struct record_iter *iter, struct record_walk *walk, struct ox_err *err)
{
    ox_code rc = record_walk(iter, walk, err);
    if (rc == OX_OK && append->origin == LOG_FROM_CLIENT)
        rc = check_sizes(append, config, *iter, err);
    if (rc != OX_OK || append->origin != LOG_FROM_CLIENT)
        return rc;
    if (ox_unlikely(walk->headers_max > LIMIT_RECORD_HEADERS_VALUE)) {
        limit_met(LIMIT_RECORD_HEADERS);
        return refuse(append, err, OX_INVALID_RECORD, "a record has more headers than it may");
    }
    bool suspect = config->policy_compact && walk->null_key;
    if (config->log_append_time)
        suspect |= (append->batch.attributes & RECORD_LOG_APPEND_TIME) != 0;
    else
        suspect |= exceeds(append->now_ms, walk->min_timestamp, config->timestamp_before_max_ms) ||
                   exceeds(walk->max_timestamp, append->now_ms, config->timestamp_after_max_ms);
    return suspect ? check_each(append, config, *iter, err) : OX_OK;
}

/* ---- changes ---- */

int
plog_codec_level(const struct plog_config *config, enum ox_codec codec)
{
    switch (codec) {
    case OX_CODEC_GZIP:
        return config->gzip_level < 0 ? OX_CODEC_LEVEL_DEFAULT : config->gzip_level;
    case OX_CODEC_LZ4:
        return config->lz4_level;
    case OX_CODEC_ZSTD:
        return config->zstd_level;
    default:
        return OX_CODEC_LEVEL_DEFAULT;
    }
}

/* The same records in a new batch: another codec, or offsets in order. */
static ox_code
rebuild(struct log_append *append, const struct plog_config *config, enum ox_codec codec,
    struct record_iter iter, struct ox_err *err)
{
    struct record_builder builder;
    struct record record;
    const struct record_batch *batch = &append->batch;
    record_builder_init(&builder);
    record_builder_begin(&builder,
        &(struct record_builder_config){.codec = codec, .level = plog_codec_level(config, codec),
            .producer_id = batch->producer_id, .producer_epoch = batch->producer_epoch,
            .base_sequence = batch->base_sequence,
            .transactional = record_batch_is_transactional(batch)});
    while (record_iter_next(&iter, &record))
        record_builder_add_encoded(&builder, record.timestamp, record.key, record.value,
            record.header_count, record.headers);
    struct slice out;
    ox_code rc = record_builder_finish(&builder, &out, err);
    record_builder_fini(&builder);
    if (rc != OX_OK)
        return rc;
    append->own = out.buf;
    append->bytes = out;
    if (out.len > (uint64_t)config->max_message_bytes) {
        limit_met(LIMIT_BATCH);
        return ox_fail(err, OX_MESSAGE_TOO_LARGE,
            "recompressed batch of %zu bytes exceeds \"max.message.bytes\" (%d)", out.len,
            config->max_message_bytes);
    }
    return record_batch_decode(ox_slice_ptr(&out), out.len, &append->batch, err);
}

/* LogAppendTime, or the max_timestamp that the records really have. */
static void
fix_times(struct log_append *append, const struct plog_config *config, int64_t max_timestamp)
{
    struct record_batch *batch = &append->batch;
    uint8_t *at = ox_slice_ptr(&append->bytes);
    bool same_kind = wire_load16(at + 21) == (uint16_t)batch->attributes;
    if (config->log_append_time) {
        batch->attributes |= RECORD_LOG_APPEND_TIME;
        batch->max_timestamp = append->append_time_ms = append->now_ms;
    } else if (!same_kind || batch->max_timestamp != max_timestamp) {
        batch->max_timestamp = max_timestamp;
    } else {
        return;
    }
    wire_store16(at + 21, (uint16_t)batch->attributes);
    wire_store64(at + 35, (uint64_t)batch->max_timestamp);
    record_batch_seal(at, batch->bytes);
    batch->crc = wire_load32(at + 17);
}

static ox_code
walk_and_change(struct log_append *append, const struct plog_config *config, struct text *scratch,
    struct ox_err *err)
{
    struct record_iter iter;
    struct record_walk walk;
    enum ox_codec codec = record_batch_codec(&append->batch);
    /* Whose clock it is, is the topic's to say. */
    if (append->origin == LOG_FROM_CLIENT && !config->log_append_time)
        append->batch.attributes &= ~RECORD_LOG_APPEND_TIME;
    ox_code rc = record_iter_init(&iter, &append->batch, scratch, (size_t)config->inflated_max,
        err);
    if (rc == OX_OK)
        rc = check_records(append, config, &iter, &walk, err);
    if (rc != OX_OK)
        return rc;
    enum ox_codec target = config->compression == LOG_COMPRESSION_PRODUCER
        ? codec : (enum ox_codec)config->compression;
    bool control = record_batch_is_control(&append->batch);
    if (!control && (target != codec || !walk.deltas_in_order))
        rc = rebuild(append, config, target, iter, err);
    if (rc == OX_OK)
        fix_times(append, config, walk.max_timestamp);
    return rc;
}

/* ---- replication ---- */

/* Any number of batches; the leader has validated them. */
static ox_code
validate_from_leader(struct log_append *append, struct ox_err *err)
{
    const uint8_t *at = ox_slice_ptr(&append->bytes);
    size_t left = append->bytes.len;
    int64_t next = INT64_MIN;
    while (left > 0) {
        struct record_batch batch;
        ox_code rc = record_batch_check(at, left, &batch, err);
        if (rc != OX_OK)
            return rc;
        if (batch.base_offset < next || batch.last_offset_delta < 0)
            return ox_fail(err, OX_CORRUPT_MESSAGE,
                "replicated batch at offset %lld follows offset %lld",
                (long long)batch.base_offset, (long long)next - 1);
        next = record_batch_next_offset(&batch);
        at += batch.bytes;
        left -= batch.bytes;
    }
    return OX_OK;
}

ox_code
plog_validate(struct plog *plog, struct log_append *append, struct ox_err *err)
{
    struct plog_config config;
    plog_get_config(plog, &config);
    append->base_offset = append->last_offset = append->append_time_ms = -1;
    append->log_start = plog_log_start(plog);
    append->duplicate = false;
    append->record_errors = NULL;
    append->record_error_count = 0;
    append->bytes = append->records;
    ox_code rc;
    if (append->origin == LOG_FROM_LEADER) {
        if (append->records.buf == NULL || append->records.len == 0)
            return refuse(append, err, OX_INVALID_RECORD, "no record batch was sent");
        rc = validate_from_leader(append, err);
    } else {
        rc = check_frame(append, err);
        if (rc == OX_OK)
            rc = check_header(append, &config, err);
        struct text scratch;
        ox_text_init(&scratch, NULL);
        if (rc == OX_OK)
            rc = walk_and_change(append, &config, &scratch, err);
        ox_text_fini(&scratch);
    }
    if (rc == OX_OK)
        append->validated = true;
    else
        log_append_drop(append);
    return rc;
}

void
log_append_drop(struct log_append *append)
{
    ox_buf_put(append->own);
    append->own = NULL;
    append->validated = false;
}
