/* SPDX-License-Identifier: Apache-2.0
 *
 * Kafka's record batch, magic 2: the bytes that travel, that are kept in memory
 * and that lie on disk. Part of the door of log/ (log.h includes it).
 *
 *   0 base_offset i64 | 8 batch_length i32 (bytes after it) | 12 leader_epoch i32
 *   16 magic i8 | 17 crc u32 (CRC-32C of 21..end) | 21 attributes i16
 *   23 last_offset_delta i32 | 27 base_timestamp i64 | 35 max_timestamp i64
 *   43 producer_id i64 | 51 producer_epoch i16 | 53 base_sequence i32
 *   57 record_count i32 | 61 records, as one compressed blob if a codec is set
 *
 * Nothing here allocates except inflating into the caller's text and the
 * builder. Any thread. */
#ifndef LOG_RECORD_BATCH_H
#define LOG_RECORD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"

enum {
    RECORD_BATCH_HEADER = 61, /* bytes before the records */
    RECORD_BATCH_PREFIX = 12, /* base_offset and batch_length */
    RECORD_BATCH_CRC_AT = 21, /* first byte under the CRC */
};

enum record_attributes {
    RECORD_CODEC_MASK = 7,
    RECORD_LOG_APPEND_TIME = 8,
    RECORD_TRANSACTIONAL = 16,
    RECORD_CONTROL = 32,
    RECORD_DELETE_HORIZON = 64,
};

/* A header, decoded. ptr borrows the bytes it came from. */
struct record_batch {
    const uint8_t *ptr;
    size_t bytes; /* of the whole batch, prefix included */
    int64_t base_offset;
    int32_t leader_epoch;
    uint32_t crc;
    int16_t attributes;
    int8_t magic;
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp;
    int64_t producer_id; /* -1 none */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
};

static inline int64_t
record_batch_last_offset(const struct record_batch *batch)
{
    return (int64_t)((uint64_t)batch->base_offset + (uint64_t)batch->last_offset_delta);
}

static inline int64_t
record_batch_next_offset(const struct record_batch *batch)
{
    return (int64_t)((uint64_t)record_batch_last_offset(batch) + 1);
}

static inline enum ox_codec
record_batch_codec(const struct record_batch *batch)
{
    return (enum ox_codec)(batch->attributes & RECORD_CODEC_MASK);
}

static inline bool
record_batch_is_control(const struct record_batch *batch)
{
    return (batch->attributes & RECORD_CONTROL) != 0;
}

static inline bool
record_batch_is_transactional(const struct record_batch *batch)
{
    return (batch->attributes & RECORD_TRANSACTIONAL) != 0;
}

/* Decodes the 61 header bytes. Fails with OX_CORRUPT_MESSAGE when there are
 * fewer, when the magic is not 2 or batch_length is below 49 or negative. The
 * batch itself may be longer than len: look at batch->bytes. */
ox_code record_batch_decode(const void *ptr, size_t len, struct record_batch *out,
    struct ox_err *err);
/* As decode, for bytes that must hold the whole batch; checks the CRC too. */
ox_code record_batch_check(const void *ptr, size_t len, struct record_batch *out,
    struct ox_err *err);
/* Whether the CRC of a batch whose bytes are all there is right. */
bool record_batch_crc_ok(const struct record_batch *batch);

/* Overwrites base offset and leader epoch (outside of the CRC). */
static inline void
record_batch_stamp(uint8_t *ptr, int64_t base_offset, int32_t leader_epoch)
{
    wire_store64(ptr, (uint64_t)base_offset);
    wire_store32(ptr + 12, (uint32_t)leader_epoch);
}

/* Computes the CRC of the bytes as they are now and stores it. */
void record_batch_seal(uint8_t *ptr, size_t bytes);

/* One record. key.ptr, value.ptr NULL: null. */
struct record {
    int64_t offset, timestamp;
    struct str key, value;
    int32_t header_count;
    struct str headers; /* encoded; walk them with record_header_next() */
};

struct record_header {
    struct str key, value; /* value.ptr NULL: null */
};

/* Walks the records of one batch, oldest first. */
struct record_iter {
    struct record_batch batch;
    const uint8_t *at, *end;
    int32_t index;     /* of the record that comes next */
    bool failed;       /* bytes are not well formed */
    const char *fault; /* then: why, static text */
};

/* Starts a walk. A compressed batch is inflated into scratch (cleared first,
 * must live as long as the walk; may be NULL when the batch is known to be
 * plain), to at most inflated_max bytes.
 * Fails: OX_CORRUPT_MESSAGE, OX_MESSAGE_TOO_LARGE, OX_UNSUPPORTED_COMPRESSION_TYPE */
ox_code record_iter_init(struct record_iter *iter, const struct record_batch *batch,
    struct text *scratch, size_t inflated_max, struct ox_err *err);
/* The next record; false after the last or when iter->failed. Key, value and
 * headers borrow the batch or scratch. */
bool record_iter_next(struct record_iter *iter, struct record *out);
/* Walks record->headers: start with struct wire_in in = record_headers(rec). */
static inline struct wire_in
record_headers(const struct record *record)
{
    return wire_in(record->headers.ptr, record->headers.len);
}
bool record_header_next(struct wire_in *in, struct record_header *out);

/* What a control record says. */
enum control_type { CONTROL_ABORT = 0, CONTROL_COMMIT = 1, CONTROL_UNKNOWN = -1 };
struct control_record {
    enum control_type type;
    int32_t coordinator_epoch;
};
/* Reads the one record of a control batch. */
ox_code record_batch_control(const struct record_batch *batch, struct control_record *out,
    struct ox_err *err);

/* What record_walk() learns about a batch. */
struct record_walk {
    int64_t max_timestamp;      /* -1 if no record */
    int32_t max_timestamp_at;   /* index of the first record with it */
    bool deltas_in_order;       /* offset deltas are exactly 0, 1, 2, ... */
    bool null_key;              /* some key is null */
    int64_t headers_max;        /* of one record */
    int64_t min_timestamp;
    int32_t count;              /* records seen */
    size_t inflated;            /* bytes of the plain records */
};
/* Checks the framing of every record, as fast as it goes; skips over keys and
 * values. On OX_INVALID_RECORD walk->count is the index of the bad one. */
ox_code record_walk(const struct record_iter *start, struct record_walk *walk,
    struct ox_err *err);

/* Makes a batch from records.
 *
 *   struct record_builder builder;
 *   record_builder_init(&builder);
 *   record_builder_begin(&builder, &(struct record_builder_config){ ... });
 *   record_builder_add(&builder, now, key, value, NULL, 0);       (many)
 *   rc = record_builder_finish(&builder, &slice, err);            (gives slice.buf)
 *   record_builder_fini(&builder);                                (begin again before that)
 */
struct record_builder_config {
    enum ox_codec codec;
    int level; /* OX_CODEC_LEVEL_DEFAULT */
    int64_t producer_id; /* -1 none; with epoch and base sequence */
    int16_t producer_epoch;
    int32_t base_sequence;
    bool transactional, control;
    bool log_append_time;
    bool delete_horizon; /* base_timestamp is the time from which tombstones may go */
    int64_t base_timestamp; /* then; else that of the first record */
};

/* No producer, no codec. */
#define RECORD_BUILDER_PLAIN \
    ((struct record_builder_config){.level = OX_CODEC_LEVEL_DEFAULT, .producer_id = -1, \
        .producer_epoch = -1, .base_sequence = -1})

struct record_builder {
    struct record_builder_config config;
    struct buf *buf; /* header and records, plain until finish */
    size_t len;
    int32_t count;
    int32_t last_offset_delta; /* -1 before the first record */
    int64_t base_timestamp, max_timestamp;
};

void record_builder_init(struct record_builder *builder);
void record_builder_fini(struct record_builder *builder);
void record_builder_begin(struct record_builder *builder,
    const struct record_builder_config *config);
void record_builder_add(struct record_builder *builder, int64_t timestamp, struct str key,
    struct str value, const struct record_header *headers, int32_t header_count);
/* As add, with the headers already encoded (struct record). */
void record_builder_add_encoded(struct record_builder *builder, int64_t timestamp, struct str key,
    struct str value, int32_t header_count, struct str headers);
/* As add_encoded, with the record's own offset delta, above that of the one
 * before: batches of which records were removed. */
void record_builder_add_at(struct record_builder *builder, int32_t offset_delta,
    int64_t timestamp, struct str key, struct str value, int32_t header_count,
    struct str headers);
/* Bytes so far, before compression: to end a batch in time. */
static inline size_t
record_builder_len(const struct record_builder *builder)
{
    return builder->len;
}
/* An upper bound of what one more record adds. */
size_t record_builder_need(struct str key, struct str value, size_t headers_len);
/* Compresses, fills the header (base offset 0, leader epoch -1), seals. out is
 * the batch; its buf reference belongs to the caller. The builder is then
 * empty. An empty builder fails with OX_INVALID_RECORD. */
ox_code record_builder_finish(struct record_builder *builder, struct slice *out,
    struct ox_err *err);

/* A transaction marker: a control batch with one record. Gives out->buf. */
ox_code record_batch_marker(int64_t producer_id, int16_t producer_epoch, bool commit,
    int32_t coordinator_epoch, int64_t now_ms, struct slice *out, struct ox_err *err);

#endif
