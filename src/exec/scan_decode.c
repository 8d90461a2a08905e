/* SPDX-License-Identifier: Apache-2.0
 *
 * Record batches to columns. One pass over the plain bytes of a batch: lengths
 * and deltas are read where they stand, keys and values are borrowed, nothing
 * is copied. What the plan does not ask for is stepped over.
 *
 * With needles the bytes are searched first: records that end before the next
 * place of the first needle are skipped by their length alone, and a batch that
 * does not hold it at all is not walked. */
#include "exec/scan_int.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline bool
need(const struct scan_sink *sink, enum scan_column column)
{
    return (sink->need >> column & 1) != 0;
}

void
scan_sink_init(struct scan_sink *sink, const struct plan_scan_topic *plan,
    const struct scan_bounds *bounds, struct arena *arena)
{
    memset(sink, 0, sizeof(*sink));
    sink->plan = plan;
    sink->bounds = bounds;
    sink->arena = arena;
    for (uint32_t i = 0; i < plan->plan.column_count; i++)
        sink->need |= 1u << plan->what[i];
    bool size = need(sink, SCAN_SIZE);
    sink->want_key = need(sink, SCAN_KEY) || need(sink, SCAN_KEY_BYTES) || size;
    sink->want_value = need(sink, SCAN_VALUE) || need(sink, SCAN_VALUE_BYTES) ||
                       need(sink, SCAN_TOMBSTONE) || need(sink, SCAN_SCHEMA_ID) || size;
    sink->want_headers = need(sink, SCAN_HEADERS) || need(sink, SCAN_HEADERS_RAW) || size;
    for (uint32_t i = 0; i < plan->plan.column_count; i++)
        switch (plan->what[i]) {
        case SCAN_TIMESTAMP_TYPE:
        case SCAN_LEADER_EPOCH:
        case SCAN_PRODUCER_ID:
        case SCAN_PRODUCER_EPOCH:
        case SCAN_SEQUENCE:
        case SCAN_TXN:
        case SCAN_COMPRESSION:
        case SCAN_BATCH_OFFSET:
            sink->want_batch = true;
            break;
        default:
            break;
        }
}

void
scan_sink_begin(struct scan_sink *sink)
{
    struct arena *arena = sink->arena;
    sink->count = 0;
    sink->partition = ox_arena_alloc(arena, VECTOR_MAX * sizeof(int32_t));
    sink->offset = ox_arena_alloc(arena, VECTOR_MAX * sizeof(int64_t));
    sink->timestamp = ox_arena_alloc(arena, VECTOR_MAX * sizeof(int64_t));
    sink->topic =
        sink->plan->topic_count > 1 ? ox_arena_alloc(arena, VECTOR_MAX * sizeof(uint32_t)) : NULL;
    sink->key = sink->want_key ? ox_arena_alloc(arena, VECTOR_MAX * sizeof(struct str)) : NULL;
    sink->value = sink->want_value ? ox_arena_alloc(arena, VECTOR_MAX * sizeof(struct str)) : NULL;
    if (sink->want_headers) {
        sink->headers = ox_arena_alloc(arena, VECTOR_MAX * sizeof(struct str));
        sink->header_count = ox_arena_alloc(arena, VECTOR_MAX * sizeof(int32_t));
    }
    if (sink->want_batch) {
        sink->batch = ox_arena_alloc(arena, VECTOR_MAX * sizeof(struct record_batch));
        sink->txn = ox_arena_alloc(arena, VECTOR_MAX);
    }
}

void
scan_cut_begin(
    struct scan_cut *cut, const struct record_batch *batch, const uint8_t *records, size_t len)
{
    cut->batch = *batch;
    cut->at = cut->at0 = records;
    cut->end = records + len;
    cut->index = 0;
    cut->count = batch->count;
    cut->hit = NULL;
    cut->places = NULL;
    cut->place_count = 0;
    cut->active = true;
}

/* ---- one record --------------------------------------------------------------- */

struct raw {
    int64_t offset, timestamp;
    struct str key, value, headers;
    int32_t header_count;
};

/* zigzag varint; NULL when it runs over the end or is too long. */
static inline const uint8_t *
varint(const uint8_t *at, const uint8_t *end, int64_t *out)
{
    if (ox_likely(at < end && *at < 0x80)) {
        *out = (int64_t)(*at >> 1) ^ -(int64_t)(*at & 1);
        return at + 1;
    }
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (at >= end)
            return NULL;
        uint8_t byte = *at++;
        value |= (uint64_t)(byte & 0x7F) << (shift < 64 ? shift : 63);
        if (byte < 0x80) {
            *out = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return at;
        }
    }
    return NULL;
}

static inline const uint8_t *
bytes_field(const uint8_t *at, const uint8_t *end, struct str *out)
{
    int64_t len;
    at = varint(at, end, &len);
    if (at == NULL)
        return NULL;
    if (len < 0) {
        *out = (struct str){NULL, 0};
        return at;
    }
    if (len > end - at)
        return NULL;
    *out = (struct str){(const char *)at, (size_t)len};
    return at + len;
}

/* The body of one record, between its length and its end. */
static inline bool
read_record(const struct scan_cut *cut, const uint8_t *at, const uint8_t *end, struct raw *raw)
{
    int64_t delta;
    if (at >= end)
        return false;
    at = varint(at + 1, end, &delta); /* attributes */
    if (at == NULL)
        return false;
    raw->timestamp = (cut->batch.attributes & RECORD_LOG_APPEND_TIME) != 0
                         ? cut->batch.max_timestamp
                     : cut->batch.base_timestamp == -1 ? -1
                                                       : cut->batch.base_timestamp + delta;
    at = varint(at, end, &delta);
    if (at == NULL)
        return false;
    raw->offset = cut->batch.base_offset + delta;
    at = bytes_field(at, end, &raw->key);
    if (at == NULL)
        return false;
    at = bytes_field(at, end, &raw->value);
    if (at == NULL)
        return false;
    at = varint(at, end, &delta);
    if (at == NULL || delta < 0 || delta > end - at)
        return false;
    raw->header_count = (int32_t)delta;
    raw->headers = (struct str){(const char *)at, (size_t)(end - at)};
    return true;
}

static bool
corrupt(const struct scan_cut *cut, const struct scan_sink *sink, struct ox_err *err)
{
    ox_fail(err, OX_CORRUPT_MESSAGE,
        "record %d of the batch at offset %lld of \"%.*s\" partition %d is damaged", cut->index,
        (long long)cut->batch.base_offset, OX_STR_ARG(sink->plan->topics[cut->topic].name),
        cut->partition);
    return false;
}

static struct str scan_text(struct str bytes, struct arena *arena);

static bool
key_wanted(const struct scan_bounds *bounds, struct str key, struct arena *arena)
{
    if (key.ptr == NULL)
        return false;
    /* Texts that start with \x may stand for bytes that are no text. */
    for (uint32_t i = 0; i < bounds->key_count; i++) {
        struct str want = bounds->keys[i];
        if (ox_str_eq(want, key))
            return !bounds->keys_are_text || scan_text(key, arena).ptr == key.ptr;
        if (bounds->keys_are_text && want.len >= 2 && want.ptr[0] == '\\' && want.ptr[1] == 'x' &&
            want.len == 2 + 2 * key.len && ox_str_eq(want, scan_text(key, arena)))
            return true;
    }
    return false;
}

static bool
sorted_has(const int64_t *values, uint32_t count, int64_t value)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (values[mid] < value)
            low = mid + 1;
        else
            high = mid;
    }
    return low < count && values[low] == value;
}

static inline bool
wanted(const struct scan_cut *cut, const struct scan_sink *sink, const struct raw *raw)
{
    const struct scan_bounds *bounds = sink->bounds;
    if (raw->offset < cut->from || raw->offset >= cut->to)
        return false;
    if (ox_unlikely(bounds->timed)) {
        if (raw->timestamp == -1)
            return false;
        int64_t us = row_us_from_unix_ms(raw->timestamp);
        if (us < bounds->us_from || us >= bounds->us_to)
            return false;
    }
    if (ox_unlikely(bounds->offsets != NULL) &&
        !sorted_has(bounds->offsets, bounds->offset_count, raw->offset))
        return false;
    if (ox_unlikely(bounds->sample_records != UINT64_MAX) &&
        !scan_sampled(bounds, bounds->sample_records, cut->partition, raw->offset))
        return false;
    return bounds->keys == NULL || key_wanted(bounds, raw->key, sink->arena);
}

static inline void
put(struct scan_sink *sink, const struct scan_cut *cut, const struct raw *raw)
{
    uint32_t at = sink->count++;
    sink->partition[at] = cut->partition;
    sink->offset[at] = raw->offset;
    sink->timestamp[at] = raw->timestamp;
    if (sink->topic != NULL)
        sink->topic[at] = cut->topic;
    if (sink->key != NULL)
        sink->key[at] = raw->key;
    if (sink->value != NULL)
        sink->value[at] = raw->value;
    if (sink->want_headers) {
        sink->headers[at] = raw->headers;
        sink->header_count[at] = raw->header_count;
    }
    if (sink->want_batch) {
        sink->batch[at] = cut->batch;
        sink->txn[at] = (uint8_t)cut->txn;
        if (cut->batch.base_sequence >= 0)
            sink->batch[at].base_sequence = (int32_t)(((int64_t)cut->batch.base_sequence +
                                                          raw->offset - cut->batch.base_offset) &
                                                      INT32_MAX);
    }
}

/* ---- forward ------------------------------------------------------------------- */

/* Whether the record [at, end) holds every needle. */
static bool
holds_needles(
    struct scan_cut *cut, const struct scan_sink *sink, const uint8_t *at, const uint8_t *end)
{
    const struct str *needles = sink->plan->needles;
    while (cut->hit != NULL && cut->hit < at)
        cut->hit = memmem(at, (size_t)(cut->end - at), needles[0].ptr, needles[0].len);
    if (cut->hit != NULL && cut->hit < end && cut->hit + needles[0].len > end)
        cut->hit =
            memmem(cut->hit + 1, (size_t)(cut->end - cut->hit - 1), needles[0].ptr, needles[0].len);
    if (cut->hit == NULL || cut->hit >= end)
        return false;
    for (uint32_t i = 1; i < sink->plan->needle_count; i++)
        if (memmem(at, (size_t)(end - at), needles[i].ptr, needles[i].len) == NULL)
            return false;
    return true;
}

bool
scan_cut_forward(struct scan_cut *cut, struct scan_sink *sink, struct exec_counters *counters,
    struct ox_err *err)
{
    bool search = sink->plan->needle_count > 0 && sink->plan->needles[0].len > 0;
    if (search && cut->index == 0)
        cut->hit = memmem(cut->at, (size_t)(cut->end - cut->at), sink->plan->needles[0].ptr,
            sink->plan->needles[0].len);
    uint64_t decoded = 0;
    int32_t first = cut->index;
    while (cut->index < cut->count && sink->count < VECTOR_MAX) {
        if (search && cut->hit == NULL) {
            cut->index = cut->count;
            break;
        }
        int64_t len;
        const uint8_t *at = varint(cut->at, cut->end, &len);
        if (at == NULL || len < 0 || len > cut->end - at)
            return corrupt(cut, sink, err);
        const uint8_t *end = at + len;
        __builtin_prefetch(end + 512);
        if (!search || holds_needles(cut, sink, at, end)) {
            struct raw raw;
            if (!read_record(cut, at, end, &raw))
                return corrupt(cut, sink, err);
            decoded++;
            if (ox_unlikely(cut->stop_us != INT64_MAX) && raw.timestamp != -1 &&
                raw.offset >= cut->from && row_us_from_unix_ms(raw.timestamp) >= cut->stop_us) {
                cut->stopped = true;
                cut->index = cut->count;
                break;
            }
            if (wanted(cut, sink, &raw))
                put(sink, cut, &raw);
        }
        cut->at = end;
        cut->index++;
    }
    counters->records_read += (uint64_t)(cut->index - first);
    counters->records_decoded += decoded;
    cut->active = cut->index < cut->count;
    return true;
}

/* ---- backward ------------------------------------------------------------------ */

static bool
find_places(struct scan_cut *cut, const struct scan_sink *sink, struct ox_err *err)
{
    /* A record takes at least 7 bytes: a count that lies cannot ask for more. */
    if (cut->count < 0 || cut->count > (cut->end - cut->at) / 7 + 1)
        return corrupt(cut, sink, err);
    cut->places = ox_malloc((size_t)OX_MAX(cut->count, 1) * sizeof(uint32_t));
    const uint8_t *at = cut->at;
    for (int32_t i = 0; i < cut->count; i++) {
        int64_t len;
        const uint8_t *body = varint(at, cut->end, &len);
        if (body == NULL || len < 0 || len > cut->end - body) {
            ox_free(cut->places);
            cut->places = NULL;
            return corrupt(cut, sink, err);
        }
        cut->places[i] = (uint32_t)(at - cut->at0);
        at = body + len;
    }
    cut->place_count = cut->count;
    return true;
}

bool
scan_cut_backward(struct scan_cut *cut, struct scan_sink *sink, uint64_t limit,
    struct exec_counters *counters, struct ox_err *err)
{
    if (cut->places == NULL && !find_places(cut, sink, err))
        return false;
    while (cut->place_count > 0 && sink->count < VECTOR_MAX && sink->count < limit) {
        int64_t len = 0;
        const uint8_t *at = varint(cut->at0 + cut->places[--cut->place_count], cut->end, &len);
        struct raw raw;
        counters->records_read++;
        counters->records_decoded++;
        if (!read_record(cut, at, at + len, &raw))
            return corrupt(cut, sink, err);
        if (wanted(cut, sink, &raw))
            put(sink, cut, &raw);
    }
    cut->active = cut->place_count > 0;
    if (!cut->active) {
        ox_free(cut->places);
        cut->places = NULL;
    }
    return true;
}

/* ---- columns ---------------------------------------------------------------------- */

/* Plain ASCII without NUL, by far the commonest; else the full check. */
static bool
text_safe(struct str s)
{
    const char *at = s.ptr, *end = s.ptr + s.len;
#if defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* signed bytes above zero are 0x01..0x7f */
        if (_mm_movemask_epi8(_mm_cmpgt_epi8(bytes, zero)) != 0xFFFF)
            goto slow;
    }
#endif
    for (; at < end; at++)
        if (*at <= 0 || (uint8_t)*at >= 0x80)
            goto slow;
    return true;
slow:
    return memchr(at, 0, (size_t)(end - at)) == NULL && ox_utf8_valid(s.ptr, s.len);
}

/* Text form of key and value: as is when UTF-8 without NUL, else \x and hex. */
static struct str
scan_text(struct str bytes, struct arena *arena)
{
    if (bytes.ptr == NULL || text_safe(bytes))
        return bytes;
    static const char digits[] = "0123456789abcdef";
    char *to = ox_arena_alloc(arena, bytes.len * 2 + 2);
    to[0] = '\\';
    to[1] = 'x';
    for (size_t i = 0; i < bytes.len; i++) {
        to[2 + 2 * i] = digits[(uint8_t)bytes.ptr[i] >> 4];
        to[3 + 2 * i] = digits[(uint8_t)bytes.ptr[i] & 15];
    }
    return (struct str){to, bytes.len * 2 + 2};
}

struct str
scan_headers_json(struct str encoded, int32_t count, struct arena *arena)
{
    struct text text;
    ox_text_init(&text, arena);
    ox_text_addc(&text, '[');
    struct wire_in in = wire_in(encoded.ptr, encoded.len);
    struct record_header header;
    for (int32_t i = 0; i < count && record_header_next(&in, &header); i++) {
        if (i > 0)
            ox_text_adds(&text, ", ");
        ox_text_adds(&text, "{\"key\": ");
        json_quote(scan_text(header.key, arena), &text);
        if (header.value.ptr == NULL) {
            ox_text_adds(&text, ", \"value\": null}");
        } else if (text_safe(header.value)) {
            ox_text_adds(&text, ", \"value\": ");
            json_quote(header.value, &text);
            ox_text_addc(&text, '}');
        } else {
            /* jsonb orders object keys by length: "key" before "bytes". */
            ox_text_adds(&text, ", \"bytes\": \"");
            char *to = ox_text_reserve(&text, 4 * ((header.value.len + 2) / 3) + 1);
            text.len += ox_base64_encode(to, header.value.ptr, header.value.len, false);
            ox_text_adds(&text, "\"}");
        }
    }
    ox_text_addc(&text, ']');
    return ox_text_str(&text);
}

/* record[] of (key, value); a key that is no text shows as hex, like _key. */
static struct str
headers_raw(struct str encoded, int32_t count, struct arena *arena)
{
    static const struct str names[] = {{"key", 3}, {"value", 5}};
    static const struct type types[] = {{TYPE_TEXT, false, -1}, {TYPE_BYTEA, false, -1}};
    struct datum *items = ox_arena_alloc(arena, ((size_t)count + 1) * sizeof(*items));
    struct wire_in in = wire_in(encoded.ptr, encoded.len);
    struct record_header header;
    uint32_t n = 0;
    while (n < (uint32_t)count && record_header_next(&in, &header)) {
        struct datum fields[] = {datum_str(scan_text(header.key, arena)),
            header.value.ptr != NULL ? datum_str(header.value) : DATUM_NULL};
        struct record_view view = {2, names, types, fields};
        items[n++] = datum_str(record_make(&view, arena));
    }
    return array_make(TYPE(TYPE_RECORD), items, n, arena);
}

static void
text_column(struct vector *col, const struct str *from, uint32_t n, bool check, struct arena *arena)
{
    col->s = ox_arena_alloc(arena, OX_MAX(n, 1u) * sizeof(struct str));
    for (uint32_t i = 0; i < n; i++) {
        if (from[i].ptr == NULL) {
            vector_nulls(col, n, arena)[i] = 1;
            col->s[i] = from[i];
        } else {
            col->s[i] = check ? scan_text(from[i], arena) : from[i];
        }
    }
}

static void
timestamp_column(struct vector *col, const int64_t *ms, uint32_t n, struct arena *arena)
{
    col->i = ox_arena_alloc(arena, OX_MAX(n, 1u) * sizeof(int64_t));
    for (uint32_t i = 0; i < n; i++) {
        if (ox_unlikely(ms[i] == -1))
            vector_nulls(col, n, arena)[i] = 1;
        col->i[i] = row_us_from_unix_ms(ms[i]);
    }
}

static struct str
txn_word(uint8_t txn)
{
    switch ((enum scan_txn)txn) {
    case SCAN_TXN_NONE:
        break;
    case SCAN_TXN_COMMITTED:
        return OX_STR("committed");
    case SCAN_TXN_ABORTED:
        return OX_STR("aborted");
    case SCAN_TXN_OPEN:
        return OX_STR("open");
    }
    return OX_STR("none");
}

/* Columns about the batch that a row came in. */
static void
batch_column(const struct scan_sink *sink, enum scan_column what, struct vector *col)
{
    uint32_t n = sink->count;
    vector_init(col, plan_scan_column_type(what), OX_MAX(n, 1u), sink->arena);
    for (uint32_t i = 0; i < n; i++) {
        const struct record_batch *batch = &sink->batch[i];
        bool null = false;
        switch (what) {
        case SCAN_TIMESTAMP_TYPE:
            col->s[i] = (batch->attributes & RECORD_LOG_APPEND_TIME) != 0 ? OX_STR("append")
                                                                          : OX_STR("create");
            break;
        case SCAN_LEADER_EPOCH:
            col->i[i] = batch->leader_epoch;
            break;
        case SCAN_PRODUCER_ID:
            null = batch->producer_id < 0;
            col->i[i] = batch->producer_id;
            break;
        case SCAN_PRODUCER_EPOCH:
            null = batch->producer_id < 0;
            col->i[i] = batch->producer_epoch;
            break;
        case SCAN_SEQUENCE:
            null = batch->base_sequence < 0;
            col->i[i] = batch->base_sequence;
            break;
        case SCAN_TXN:
            col->s[i] = txn_word(sink->txn[i]);
            break;
        case SCAN_COMPRESSION:
            col->s[i] = ox_str(ox_codec_name(record_batch_codec(batch)));
            break;
        case SCAN_BATCH_OFFSET:
            col->i[i] = batch->base_offset;
            break;
        default:
            ox_unreachable();
        }
        if (null)
            vector_nulls(col, n, sink->arena)[i] = 1;
    }
}

static void
value_column(const struct scan_sink *sink, enum scan_column what, struct vector *col)
{
    uint32_t n = sink->count;
    vector_init(col, plan_scan_column_type(what), OX_MAX(n, 1u), sink->arena);
    for (uint32_t i = 0; i < n; i++) {
        struct str value = sink->value[i];
        switch (what) {
        case SCAN_TOMBSTONE:
            col->b[i] = value.ptr == NULL;
            break;
        case SCAN_SIZE: {
            size_t headers = sink->header_count[i] > 0 ? sink->headers[i].len : 0;
            col->i[i] = (int64_t)(sink->key[i].len + value.len + headers);
            break;
        }
        case SCAN_SCHEMA_ID:
            if (value.ptr == NULL || value.len < 5 || value.ptr[0] != 0)
                vector_nulls(col, n, sink->arena)[i] = 1;
            else
                col->i[i] = (int32_t)wire_load32(value.ptr + 1);
            break;
        default:
            ox_unreachable();
        }
    }
}

static void
put_column(struct scan_sink *sink, enum scan_column what, struct vector *col)
{
    uint32_t n = sink->count;
    struct arena *arena = sink->arena;
    col->type = plan_scan_column_type(what);
    switch (what) {
    case SCAN_PARTITION:
        col->i = ox_arena_alloc(arena, OX_MAX(n, 1u) * sizeof(int64_t));
        for (uint32_t i = 0; i < n; i++)
            col->i[i] = sink->partition[i];
        break;
    case SCAN_OFFSET:
        col->i = sink->offset;
        break;
    case SCAN_TIMESTAMP:
        timestamp_column(col, sink->timestamp, n, arena);
        break;
    case SCAN_KEY:
        text_column(col, sink->key, n, true, arena);
        break;
    case SCAN_KEY_BYTES:
        text_column(col, sink->key, n, false, arena);
        break;
    case SCAN_VALUE:
        text_column(col, sink->value, n, true, arena);
        break;
    case SCAN_VALUE_BYTES:
        text_column(col, sink->value, n, false, arena);
        break;
    case SCAN_HEADERS:
        col->s = ox_arena_alloc(arena, OX_MAX(n, 1u) * sizeof(struct str));
        for (uint32_t i = 0; i < n; i++)
            col->s[i] = sink->header_count[i] == 0
                            ? OX_STR("[]")
                            : scan_headers_json(sink->headers[i], sink->header_count[i], arena);
        break;
    case SCAN_HEADERS_RAW:
        col->s = ox_arena_alloc(arena, OX_MAX(n, 1u) * sizeof(struct str));
        for (uint32_t i = 0; i < n; i++)
            col->s[i] = headers_raw(sink->headers[i], sink->header_count[i], arena);
        break;
    case SCAN_TOPIC:
        col->s = ox_arena_alloc(arena, OX_MAX(n, 1u) * sizeof(struct str));
        for (uint32_t i = 0; i < n; i++)
            col->s[i] = sink->plan->topics[sink->topic != NULL ? sink->topic[i] : 0].name;
        break;
    case SCAN_TOMBSTONE:
    case SCAN_SIZE:
    case SCAN_SCHEMA_ID:
        value_column(sink, what, col);
        break;
    default:
        batch_column(sink, what, col);
        break;
    }
}

void
scan_sink_batch(struct scan_sink *sink, struct batch *out)
{
    uint32_t ncols = sink->plan->plan.column_count;
    out->ncols = ncols;
    out->cols = ox_arena_alloc0(sink->arena, OX_MAX(ncols, 1u) * sizeof(struct vector));
    out->count = out->sel_count = sink->count;
    out->sel = NULL;
    for (uint32_t i = 0; i < ncols; i++)
        put_column(sink, sink->plan->what[i], &out->cols[i]);
}
