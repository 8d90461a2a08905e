/* SPDX-License-Identifier: Apache-2.0
 *
 * Record batches: see record_batch.h for the layout. The walks over records are
 * the hottest loops of Produce (record_walk) and of scans (record_iter_next):
 * varints have a fast path of one or two bytes, and cache lines are asked for
 * PREFETCH_AHEAD bytes early, since the lengths make a chain of dependent
 * loads. */
#include "log/record_batch.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/crc32c.h"

enum { PREFETCH_AHEAD = 2048, BUILDER_FIRST = 4096 };

/* ---- header ---- */

ox_code
record_batch_decode(const void *ptr, size_t len, struct record_batch *out, struct ox_err *err)
{
    const uint8_t *at = ptr;
    if (len < RECORD_BATCH_HEADER)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "record batch of %zu bytes has no whole header",
            len);
    int32_t length = (int32_t)wire_load32(at + 8);
    if (length < RECORD_BATCH_HEADER - RECORD_BATCH_PREFIX)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "record batch says its length is %d", length);
    out->ptr = at;
    out->bytes = (size_t)length + RECORD_BATCH_PREFIX;
    out->base_offset = (int64_t)wire_load64(at);
    out->leader_epoch = (int32_t)wire_load32(at + 12);
    out->magic = (int8_t)at[16];
    if (out->magic != 2)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "record batch has magic %d", out->magic);
    out->crc = wire_load32(at + 17);
    out->attributes = (int16_t)wire_load16(at + 21);
    out->last_offset_delta = (int32_t)wire_load32(at + 23);
    out->base_timestamp = (int64_t)wire_load64(at + 27);
    out->max_timestamp = (int64_t)wire_load64(at + 35);
    out->producer_id = (int64_t)wire_load64(at + 43);
    out->producer_epoch = (int16_t)wire_load16(at + 51);
    out->base_sequence = (int32_t)wire_load32(at + 53);
    out->count = (int32_t)wire_load32(at + 57);
    return OX_OK;
}

bool
record_batch_crc_ok(const struct record_batch *batch)
{
    return ox_crc32c(0, batch->ptr + RECORD_BATCH_CRC_AT, batch->bytes - RECORD_BATCH_CRC_AT) ==
           batch->crc;
}

ox_code
record_batch_check(const void *ptr, size_t len, struct record_batch *out, struct ox_err *err)
{
    ox_code rc = record_batch_decode(ptr, len, out, err);
    if (rc != OX_OK)
        return rc;
    if (out->bytes > len)
        return ox_fail(err, OX_CORRUPT_MESSAGE,
            "record batch says it has %zu bytes where %zu follow", out->bytes, len);
    if (!record_batch_crc_ok(out))
        return ox_fail(err, OX_CORRUPT_MESSAGE, "record batch has a wrong checksum");
    return OX_OK;
}

void
record_batch_seal(uint8_t *ptr, size_t bytes)
{
    ox_assert(bytes >= RECORD_BATCH_HEADER);
    uint32_t crc = ox_crc32c(0, ptr + RECORD_BATCH_CRC_AT, bytes - RECORD_BATCH_CRC_AT);
    wire_store32(ptr + 17, crc);
}

/* ---- walking ---- */

ox_code
record_iter_init(struct record_iter *iter, const struct record_batch *batch, struct text *scratch,
    size_t inflated_max, struct ox_err *err)
{
    iter->batch = *batch;
    iter->index = 0;
    iter->failed = false;
    iter->fault = NULL;
    iter->at = batch->ptr + RECORD_BATCH_HEADER;
    iter->end = batch->ptr + batch->bytes;
    int codec = batch->attributes & RECORD_CODEC_MASK;
    if (codec == OX_CODEC_NONE)
        return OX_OK;
    if (codec >= OX_CODEC_COUNT)
        return ox_fail(err, OX_UNSUPPORTED_COMPRESSION_TYPE, "compression type %d is not known",
            codec);
    ox_assert(scratch != NULL);
    ox_text_clear(scratch);
    ox_code rc = ox_decompress((enum ox_codec)codec, iter->at, (size_t)(iter->end - iter->at),
        inflated_max, scratch, err);
    if (rc != OX_OK)
        return rc;
    iter->at = (const uint8_t *)(scratch->len > 0 ? scratch->ptr : "");
    iter->end = iter->at + scratch->len;
    return OX_OK;
}

/* The varint at `at`, or NULL when it does not end before `end` or is longer
 * than ten bytes. */
static const uint8_t *
load_uvarlong_slow(const uint8_t *at, const uint8_t *end, uint64_t *v)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && at < end; shift += 7) {
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 127) << (shift < 64 ? shift : 63);
        if (byte < 128) {
            *v = value;
            return at;
        }
    }
    return NULL;
}

static inline const uint8_t *
load_uvarlong(const uint8_t *at, const uint8_t *end, uint64_t *v)
{
    if (ox_likely(end - at >= 2)) {
        if (ox_likely(at[0] < 128)) {
            *v = at[0];
            return at + 1;
        }
        if (ox_likely(at[1] < 128)) {
            *v = (uint64_t)(at[0] & 127) | (uint64_t)at[1] << 7;
            return at + 2;
        }
    }
    return load_uvarlong_slow(at, end, v);
}

static inline const uint8_t *
load_varlong(const uint8_t *at, const uint8_t *end, int64_t *v)
{
    uint64_t raw;
    at = load_uvarlong(at, end, &raw);
    if (ox_likely(at != NULL))
        *v = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
    return at;
}

/* The fixed front of a record and where its parts lie. */
struct raw_record {
    const uint8_t *end;
    int64_t timestamp_delta, offset_delta;
    const uint8_t *key, *value; /* NULL: null */
    int64_t key_len, value_len, header_count;
    const uint8_t *headers;
};

static const uint8_t *
bad_record(const char **fault, const char *why)
{
    *fault = why;
    return NULL;
}

/* Reads a length of -1 or up to what is left; *part is NULL when it is -1. */
static inline const uint8_t *
load_part(const uint8_t *at, const uint8_t *end, const uint8_t **part, int64_t *len)
{
    at = load_varlong(at, end, len);
    if (ox_unlikely(at == NULL || *len < -1 || *len > end - at))
        return NULL;
    if (*len < 0) {
        *part = NULL;
        return at;
    }
    *part = at;
    return at + *len;
}

/* Reads one record up to its headers; the next record's place, or NULL. */
static inline const uint8_t *
load_record(const uint8_t *at, const uint8_t *end, struct raw_record *raw, const char **fault)
{
    __builtin_prefetch(at + PREFETCH_AHEAD);
    __builtin_prefetch(at + PREFETCH_AHEAD + 64);
    int64_t len;
    at = load_varlong(at, end, &len);
    if (ox_unlikely(at == NULL))
        return bad_record(fault, "fewer records than the batch's count");
    if (ox_unlikely(len < 0 || len > end - at || len < 6))
        return bad_record(fault, "record length is out of bounds");
    raw->end = at + len;
    /* at[0], the record's own attributes, is not used by anybody. */
    at = load_varlong(at + 1, raw->end, &raw->timestamp_delta);
    if (ox_unlikely(at == NULL))
        return bad_record(fault, "record timestamp is cut off");
    at = load_varlong(at, raw->end, &raw->offset_delta);
    if (ox_unlikely(at == NULL || raw->offset_delta < INT32_MIN || raw->offset_delta > INT32_MAX))
        return bad_record(fault, "record offset delta is out of bounds");
    at = load_part(at, raw->end, &raw->key, &raw->key_len);
    if (ox_unlikely(at == NULL))
        return bad_record(fault, "record key length is out of bounds");
    at = load_part(at, raw->end, &raw->value, &raw->value_len);
    if (ox_unlikely(at == NULL))
        return bad_record(fault, "record value length is out of bounds");
    at = load_varlong(at, raw->end, &raw->header_count);
    /* A header has at least two bytes. */
    if (ox_unlikely(at == NULL || raw->header_count < 0 || raw->header_count > (raw->end - at) / 2))
        return bad_record(fault, "record header count is out of bounds");
    raw->headers = at;
    return raw->end;
}

static inline int64_t
record_time(const struct record_batch *batch, int64_t delta)
{
    if (batch->attributes & RECORD_LOG_APPEND_TIME)
        return batch->max_timestamp;
    return (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)delta);
}

bool
record_iter_next(struct record_iter *iter, struct record *out)
{
    if (ox_unlikely(iter->failed || iter->index >= iter->batch.count))
        return false;
    struct raw_record raw;
    const uint8_t *next = load_record(iter->at, iter->end, &raw, &iter->fault);
    if (ox_unlikely(next == NULL)) {
        iter->failed = true;
        return false;
    }
    iter->at = next;
    iter->index++;
    out->offset = (int64_t)((uint64_t)iter->batch.base_offset + (uint64_t)raw.offset_delta);
    out->timestamp = record_time(&iter->batch, raw.timestamp_delta);
    out->key.ptr = (const char *)raw.key;
    out->key.len = raw.key ? (size_t)raw.key_len : 0;
    out->value.ptr = (const char *)raw.value;
    out->value.len = raw.value ? (size_t)raw.value_len : 0;
    out->header_count = (int32_t)raw.header_count;
    out->headers.ptr = (const char *)raw.headers;
    out->headers.len = (size_t)(raw.end - raw.headers);
    return true;
}

bool
record_header_next(struct wire_in *in, struct record_header *out)
{
    if (in->failed || wire_left(in) == 0)
        return false;
    const uint8_t *part;
    int64_t len;
    const uint8_t *at = load_part(in->at, in->end, &part, &len);
    if (at == NULL || part == NULL)
        goto bad;
    out->key = ox_str_n(part, (size_t)len);
    at = load_part(at, in->end, &part, &len);
    if (at == NULL)
        goto bad;
    out->value = part ? ox_str_n(part, (size_t)len) : OX_STR_NULL;
    in->at = at;
    return true;
bad:
    in->failed = true;
    in->at = in->end;
    return false;
}

/* Whether the headers fill the record exactly. */
static bool
headers_ok(const struct raw_record *raw)
{
    struct wire_in in = wire_in(raw->headers, (size_t)(raw->end - raw->headers));
    struct record_header header;
    int64_t count = 0;
    while (count < raw->header_count && record_header_next(&in, &header))
        count++;
    return !in.failed && count == raw->header_count && wire_left(&in) == 0;
}

/* The walk in progress: what record_walk() will say, and the last timestamp,
 * since many records of a batch have the same. */
struct walker {
    const struct record_batch *batch;
    const uint8_t *end;
    int64_t max, min;
    uint32_t last_time; /* as it stands in the record */
    int32_t max_at;
    int64_t headers_max;
    bool in_order, null_key;
    const char *fault;
};

static inline void
note_time(struct walker *walker, int64_t delta, int32_t index)
{
    int64_t time = record_time(walker->batch, delta);
    if (time > walker->max) {
        walker->max = time;
        walker->max_at = index;
    }
    walker->min = OX_MIN(walker->min, time);
}

/* Any record; where the next one starts, or NULL. */
static __attribute__((noinline)) const uint8_t *
walk_any(struct walker *walker, const uint8_t *at, int32_t index)
{
    struct raw_record raw;
    at = load_record(at, walker->end, &raw, &walker->fault);
    if (at == NULL)
        return NULL;
    if (raw.header_count > 0 ? !headers_ok(&raw) : raw.headers != raw.end)
        return bad_record(&walker->fault, "record headers do not fill the record");
    note_time(walker, raw.timestamp_delta, index);
    walker->in_order &= raw.offset_delta == index;
    walker->null_key |= raw.key == NULL;
    walker->headers_max = OX_MAX(walker->headers_max, raw.header_count);
    return at;
}

/* Varints that stand in a word are taken off its low end. The branches are
 * what makes the walk fast: where the next record starts waits for no
 * instruction that finds out how long a varint is. */
struct word {
    uint64_t bits;
    const uint8_t *at; /* of its lowest byte */
};

static inline struct word
load_word(const uint8_t *at)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof(bits));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits = __builtin_bswap64(bits);
#endif
    return (struct word){bits, at};
}

/* False: more than two bytes. */
static inline bool
take_short(struct word *word, uint32_t *v)
{
    uint64_t bits = word->bits;
    if ((bits & 0x80) == 0) {
        *v = (uint32_t)bits & 0x7F;
        word->bits = bits >> 8;
        word->at++;
        return true;
    }
    *v = ((uint32_t)bits & 0x7F) | ((uint32_t)bits >> 1 & 0x3F80);
    word->bits = bits >> 16;
    word->at += 2;
    return (bits & 0x8000) == 0;
}

/* The offset delta that is due, as a varint; for all records for which that has
 * the same length. */
struct due {
    uint32_t raw, end; /* zigzag: twice the index */
    uint32_t mask;
    unsigned len;
};

static inline uint32_t
due_bytes(const struct due *due)
{
    uint32_t raw = due->raw, more = 0x808080 & due->mask >> 8;
    return (raw & 0x7F) | (raw << 1 & 0x7F00) | (raw << 2 & 0x7F0000) | (raw << 3 & 0x7F000000) |
           more;
}

/* From 2^27 on the varint is longer than what is compared, and never the same. */
static void
set_due(struct due *due, int32_t index)
{
    due->raw = (uint32_t)index << 1;
    due->len = due->raw < 1 << 7 ? 1 : due->raw < 1 << 14 ? 2 : due->raw < 1 << 21 ? 3 : 4;
    due->end = due->len < 4 ? 1u << 7 * due->len : UINT32_MAX;
    due->mask = UINT32_MAX >> (32 - 8 * due->len);
}

/* As far as a short record is read before its key is looked at. */
enum { SHORT_FRONT = 2 + 1 + 2 + 4 + sizeof(uint64_t) };

/* A record without headers whose offset is due and whose lengths have at most two
 * bytes, read by words:
 *
 *   length attributes timestamp | offset | key_length key value_length | value 0
 *
 * That the parts fill it exactly says that none of them leaves it. NULL: look
 * at it closely. SHORT_FRONT bytes are there. */
static inline const uint8_t *
walk_short(struct walker *walker, const struct due *due, const uint8_t *at)
{
    uint32_t len, time, key, value;
    struct word word = load_word(at);
    if (ox_unlikely(!take_short(&word, &len) || (len & 1) != 0))
        return NULL;
    if (ox_unlikely(len >> 1 > walker->end - word.at))
        return NULL;
    const uint8_t *next = word.at + (len >> 1);
    word.bits >>= 8; /* the attributes, which nobody uses */
    word.at++;
    if (ox_unlikely(!take_short(&word, &time)))
        return NULL;
    word = load_word(word.at);
    if (ox_unlikely(((uint32_t)word.bits & due->mask) != due_bytes(due)))
        return NULL;
    word = load_word(word.at + due->len);
    if ((word.bits & 0xFF) == 1) {
        word.bits >>= 8;
        word.at++;
        walker->null_key = true;
    } else {
        if (ox_unlikely(!take_short(&word, &key) || (key & 1) != 0))
            return NULL;
        if (ox_unlikely((key >> 1) + sizeof(uint64_t) > (size_t)(walker->end - word.at)))
            return NULL;
        word = load_word(word.at + (key >> 1));
    }
    if (ox_unlikely(!take_short(&word, &value)))
        return NULL;
    if (ox_unlikely(next - word.at != (value >> 1) + 1 || (value & 1) != 0 || next[-1] != 0))
        return NULL;
    if (time != walker->last_time) {
        walker->last_time = time;
        note_time(walker, (int32_t)(time >> 1) ^ -(int32_t)(time & 1), (int32_t)(due->raw >> 1));
    }
    return next;
}

/* Walks from record *index to the last whose offset delta has as many bytes;
 * where the next one starts, or NULL. */
static const uint8_t *
walk_some(struct walker *walker, const uint8_t *at, int32_t *index)
{
    struct walker w = *walker; /* in registers */
    struct due due;
    set_due(&due, *index);
    uint32_t end = OX_MIN(due.end, (uint32_t)w.batch->count << 1);
    for (; due.raw < end; due.raw += 2) {
        const uint8_t *next = NULL;
        __builtin_prefetch(at + PREFETCH_AHEAD);
        if (ox_likely(w.end - at >= SHORT_FRONT))
            next = walk_short(&w, &due, at);
        if (ox_unlikely(next == NULL)) {
            *walker = w;
            next = walk_any(walker, at, (int32_t)(due.raw >> 1));
            w = *walker;
        }
        at = next;
        if (ox_unlikely(at == NULL))
            break;
    }
    *walker = w;
    *index = (int32_t)(due.raw >> 1);
    return at;
}

ox_code
record_walk(const struct record_iter *start, struct record_walk *walk, struct ox_err *err)
{
    const struct record_batch *batch = &start->batch;
    const uint8_t *at = start->at, *end = start->end;
    struct walker walker = {.batch = batch, .end = end, .max = INT64_MIN, .min = INT64_MAX,
        .last_time = UINT32_MAX, .in_order = true};
    int32_t count = 0;
    while (at != NULL && count < batch->count)
        at = walk_some(&walker, at, &count);
    *walk = (struct record_walk){.max_timestamp = count > 0 ? walker.max : -1,
        .max_timestamp_at = walker.max_at, .deltas_in_order = walker.in_order,
        .null_key = walker.null_key, .headers_max = walker.headers_max,
        .min_timestamp = walker.min, .count = count,
        .inflated = (size_t)(end - start->at)};
    if (at == NULL)
        return ox_fail(err, OX_INVALID_RECORD, "record %d of the batch is not valid: %s", count,
            walker.fault);
    if (at != end)
        return ox_fail(err, OX_INVALID_RECORD, "%zu bytes follow the last record of the batch",
            (size_t)(end - at));
    return OX_OK;
}

ox_code
record_batch_control(const struct record_batch *batch, struct control_record *out,
    struct ox_err *err)
{
    struct record_iter iter;
    struct record record;
    out->type = CONTROL_UNKNOWN;
    out->coordinator_epoch = -1;
    if ((batch->attributes & RECORD_CODEC_MASK) != 0)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "control batch is compressed");
    ox_code rc = record_iter_init(&iter, batch, NULL, 0, err);
    if (rc != OX_OK)
        return rc;
    if (!record_iter_next(&iter, &record) || record.key.len < 4)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "control batch has no control record");
    struct wire_in key = wire_in(record.key.ptr, record.key.len);
    struct wire_in value = wire_in(record.value.ptr ? record.value.ptr : "", record.value.len);
    wire_get16(&key);
    int16_t type = wire_get16(&key);
    if (type != CONTROL_ABORT && type != CONTROL_COMMIT)
        return OX_OK; /* readers skip what they do not know */
    wire_get16(&value);
    out->coordinator_epoch = wire_get32(&value);
    if (value.failed)
        return ox_fail(err, OX_CORRUPT_MESSAGE, "transaction marker is cut off");
    out->type = (enum control_type)type;
    return OX_OK;
}

/* ---- building ---- */

void
record_builder_init(struct record_builder *builder)
{
    *builder = (struct record_builder){.config = RECORD_BUILDER_PLAIN, .last_offset_delta = -1};
}

void
record_builder_fini(struct record_builder *builder)
{
    ox_buf_put(builder->buf);
    builder->buf = NULL;
}

void
record_builder_begin(struct record_builder *builder, const struct record_builder_config *config)
{
    builder->config = *config;
    if (builder->buf == NULL)
        builder->buf = ox_buf_new(BUILDER_FIRST);
    builder->len = RECORD_BATCH_HEADER;
    builder->count = 0;
    builder->last_offset_delta = -1;
    builder->base_timestamp = builder->max_timestamp = -1;
}

size_t
record_builder_need(struct str key, struct str value, size_t headers_len)
{
    return key.len + value.len + headers_len + 36;
}

static uint8_t *
builder_reserve(struct record_builder *builder, size_t len)
{
    if (builder->len + len > builder->buf->cap) {
        size_t cap = builder->buf->cap * 2;
        while (cap < builder->len + len)
            cap *= 2;
        struct buf *bigger = ox_buf_new(cap);
        memcpy(bigger->ptr, builder->buf->ptr, builder->len);
        ox_buf_put(builder->buf);
        builder->buf = bigger;
    }
    return builder->buf->ptr + builder->len;
}

static inline uint8_t *
store_part(uint8_t *to, struct str part)
{
    if (part.ptr == NULL)
        return wire_store_uvarlong(to, 1); /* -1 */
    to = wire_store_uvarlong(to, (uint64_t)part.len << 1);
    memcpy(to, part.ptr, part.len);
    return to + part.len;
}

static inline size_t
part_len(struct str part)
{
    return part.ptr == NULL ? 1 : wire_uvarlong_len((uint64_t)part.len << 1) + part.len;
}

static void
add_record(struct record_builder *builder, int32_t delta, int64_t timestamp, struct str key,
    struct str value, int32_t header_count, size_t headers_len, uint8_t **headers_to)
{
    ox_assert(builder->count < INT32_MAX);
    ox_assert(delta > builder->last_offset_delta);
    if (builder->count == 0) {
        builder->base_timestamp =
            builder->config.delete_horizon ? builder->config.base_timestamp : timestamp;
        builder->max_timestamp = timestamp;
    } else if (timestamp > builder->max_timestamp) {
        builder->max_timestamp = timestamp;
    }
    uint64_t time_delta =
        wire_zigzag((int64_t)((uint64_t)timestamp - (uint64_t)builder->base_timestamp));
    uint64_t offset_delta = wire_zigzag(delta);
    size_t body = 1 + wire_uvarlong_len(time_delta) + wire_uvarlong_len(offset_delta) +
                  part_len(key) + part_len(value) +
                  wire_uvarlong_len(wire_zigzag(header_count)) + headers_len;
    uint8_t *to = builder_reserve(builder, body + 10);
    to = wire_store_uvarlong(to, (uint64_t)body << 1);
    *to++ = 0;
    to = wire_store_uvarlong(to, time_delta);
    to = wire_store_uvarlong(to, offset_delta);
    to = store_part(to, key);
    to = store_part(to, value);
    to = wire_store_uvarlong(to, wire_zigzag(header_count));
    *headers_to = to;
    builder->len = (size_t)(to - builder->buf->ptr) + headers_len;
    builder->last_offset_delta = delta;
    builder->count++;
}

void
record_builder_add(struct record_builder *builder, int64_t timestamp, struct str key,
    struct str value, const struct record_header *headers, int32_t header_count)
{
    size_t len = 0;
    for (int32_t i = 0; i < header_count; i++)
        len += part_len(headers[i].key) + part_len(headers[i].value);
    uint8_t *to;
    add_record(builder, builder->count, timestamp, key, value, header_count, len, &to);
    for (int32_t i = 0; i < header_count; i++) {
        ox_assert(headers[i].key.ptr != NULL);
        to = store_part(to, headers[i].key);
        to = store_part(to, headers[i].value);
    }
}

void
record_builder_add_encoded(struct record_builder *builder, int64_t timestamp, struct str key,
    struct str value, int32_t header_count, struct str headers)
{
    record_builder_add_at(builder, builder->count, timestamp, key, value, header_count, headers);
}

void
record_builder_add_at(struct record_builder *builder, int32_t offset_delta, int64_t timestamp,
    struct str key, struct str value, int32_t header_count, struct str headers)
{
    uint8_t *to;
    add_record(builder, offset_delta, timestamp, key, value, header_count, headers.len, &to);
    if (headers.len > 0)
        memcpy(to, headers.ptr, headers.len);
}

/* Replaces the plain records by compressed ones. */
static ox_code
builder_compress(struct record_builder *builder, struct ox_err *err)
{
    struct text packed;
    ox_text_init(&packed, NULL);
    ox_code rc = ox_compress(builder->config.codec, builder->config.level,
        builder->buf->ptr + RECORD_BATCH_HEADER, builder->len - RECORD_BATCH_HEADER, &packed, err);
    if (rc == OX_OK) {
        builder->len = RECORD_BATCH_HEADER;
        memcpy(builder_reserve(builder, packed.len), packed.ptr, packed.len);
        builder->len += packed.len;
    }
    ox_text_fini(&packed);
    return rc;
}

ox_code
record_builder_finish(struct record_builder *builder, struct slice *out, struct ox_err *err)
{
    const struct record_builder_config *config = &builder->config;
    if (builder->count == 0)
        return ox_fail(err, OX_INVALID_RECORD, "record batch has no records");
    if (config->codec != OX_CODEC_NONE) {
        ox_code rc = builder_compress(builder, err);
        if (rc != OX_OK)
            return rc;
    }
    if (builder->len - RECORD_BATCH_PREFIX > INT32_MAX)
        return ox_fail(err, OX_MESSAGE_TOO_LARGE, "record batch of %zu bytes is too large",
            builder->len);
    uint8_t *at = builder->buf->ptr;
    int16_t attributes = (int16_t)((int)config->codec |
        (config->log_append_time ? RECORD_LOG_APPEND_TIME : 0) |
        (config->transactional ? RECORD_TRANSACTIONAL : 0) |
        (config->control ? RECORD_CONTROL : 0) |
        (config->delete_horizon ? RECORD_DELETE_HORIZON : 0));
    record_batch_stamp(at, 0, -1);
    wire_store32(at + 8, (uint32_t)(builder->len - RECORD_BATCH_PREFIX));
    at[16] = 2;
    wire_store16(at + 21, (uint16_t)attributes);
    wire_store32(at + 23, (uint32_t)builder->last_offset_delta);
    wire_store64(at + 27, (uint64_t)builder->base_timestamp);
    wire_store64(at + 35, (uint64_t)builder->max_timestamp);
    wire_store64(at + 43, (uint64_t)config->producer_id);
    wire_store16(at + 51, (uint16_t)config->producer_epoch);
    wire_store32(at + 53, (uint32_t)config->base_sequence);
    wire_store32(at + 57, (uint32_t)builder->count);
    record_batch_seal(at, builder->len);
    *out = (struct slice){builder->buf, 0, builder->len};
    builder->buf = NULL;
    builder->count = 0;
    return OX_OK;
}

ox_code
record_batch_marker(int64_t producer_id, int16_t producer_epoch, bool commit,
    int32_t coordinator_epoch, int64_t now_ms, struct slice *out, struct ox_err *err)
{
    uint8_t key[4] = {0}, value[6] = {0};
    wire_store16(key + 2, commit ? CONTROL_COMMIT : CONTROL_ABORT);
    wire_store32(value + 2, (uint32_t)coordinator_epoch);
    struct record_builder builder;
    record_builder_init(&builder);
    record_builder_begin(&builder,
        &(struct record_builder_config){.level = OX_CODEC_LEVEL_DEFAULT,
            .producer_id = producer_id, .producer_epoch = producer_epoch, .base_sequence = -1,
            .transactional = true, .control = true});
    record_builder_add(&builder, now_ms, ox_str_n(key, 4), ox_str_n(value, 6), NULL, 0);
    ox_code rc = record_builder_finish(&builder, out, err);
    record_builder_fini(&builder);
    return rc;
}
