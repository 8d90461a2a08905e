/* SPDX-License-Identifier: Apache-2.0
 *
 * A message of protocol buffers is a sequence of fields, each with a number and one
 * of four shapes; a nested message is a field of bytes. The nesting that metrics
 * have is written out as one function a message, so that its depth is fixed:
 *
 *     MetricsData -> ResourceMetrics -> ScopeMetrics -> Metric -> data -> point
 *
 * Fields come in any order, so that what is said for all elements of a list (the
 * name of a metric, the attributes of a resource) is looked for in a first pass.
 * A message is passed over at most twice at each of six levels. */
#include "engine/otlp.h"

#include <string.h>

/* ---- fields ---- */

enum shape { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct message {
    const uint8_t *at, *end;
    bool bad;
};

struct field {
    uint32_t number;
    enum shape shape;
    uint64_t value;       /* of a number */
    struct message bytes; /* of BYTES */
};

static uint64_t
read_varint(struct message *in)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    in->bad = true;
    return 0;
}

static uint64_t
read_fixed(struct message *in, size_t len)
{
    uint64_t value = 0;
    if ((size_t)(in->end - in->at) < len) {
        in->bad = true;
        return 0;
    }
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)in->at[i] << (8 * i);
    in->at += len;
    return value;
}

/* False at the end, and where the message is bad. */
static bool
next_field(struct message *in, struct field *out)
{
    if (in->bad || in->at == in->end)
        return false;
    uint64_t tag = read_varint(in);
    out->number = (uint32_t)(tag >> 3);
    out->shape = (enum shape)(tag & 7);
    switch (out->shape) {
    case VARINT:
        out->value = read_varint(in);
        break;
    case FIXED64:
        out->value = read_fixed(in, 8);
        break;
    case FIXED32:
        out->value = read_fixed(in, 4);
        break;
    case BYTES: {
        uint64_t len = read_varint(in);
        if (in->bad || len > (uint64_t)(in->end - in->at)) {
            in->bad = true;
            break;
        }
        out->bytes = (struct message){in->at, in->at + len, false};
        in->at += len;
        break;
    }
    default:
        in->bad = true;
    }
    in->bad |= tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3;
    return !in->bad;
}

static bool
is_bytes(const struct field *field, uint32_t number)
{
    return field->number == number && field->shape == BYTES;
}

static struct str
as_text(const struct field *field)
{
    return ox_str_n(field->bytes.at, (size_t)(field->bytes.end - field->bytes.at));
}

static double
as_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* ---- attributes ---- */

enum { ATTR_KEY = 1, ATTR_VALUE = 2 };
enum { VALUE_STRING = 1, VALUE_BOOL, VALUE_INT, VALUE_DOUBLE };

static bool
read_value(struct message in, struct otlp_attr *out, bool *bad)
{
    struct field field;
    bool known = false;
    while (next_field(&in, &field)) {
        if (is_bytes(&field, VALUE_STRING)) {
            out->text = as_text(&field);
            known = true;
        } else if (field.number == VALUE_BOOL && field.shape == VARINT) {
            out->text = field.value ? OX_STR("true") : OX_STR("false");
            known = true;
        } else if (field.number == VALUE_INT && field.shape == VARINT) {
            out->number = (double)(int64_t)field.value;
            known = true;
        } else if (field.number == VALUE_DOUBLE && field.shape == FIXED64) {
            out->number = as_double(field.value);
            known = true;
        }
    }
    *bad |= in.bad;
    return known;
}

static bool
read_attr(struct message in, struct otlp_point *point)
{
    struct otlp_attr attr = {.text = OX_STR_NULL};
    struct field field;
    bool known = false, bad = false;
    while (next_field(&in, &field)) {
        if (is_bytes(&field, ATTR_KEY))
            attr.key = as_text(&field);
        else if (is_bytes(&field, ATTR_VALUE))
            known = read_value(field.bytes, &attr, &bad);
    }
    if (known && attr.key.len > 0 && point->attr_count < OTLP_ATTRS_MAX)
        point->attrs[point->attr_count++] = attr;
    return !in.bad && !bad;
}

/* Attributes are field number of the message. */
static bool
read_attrs(struct message in, uint32_t number, struct otlp_point *point)
{
    struct field field;
    while (next_field(&in, &field))
        if (is_bytes(&field, number) && !read_attr(field.bytes, point))
            return false;
    return !in.bad;
}

/* ---- points ---- */

struct reader {
    struct otlp_point point;
    void (*fn)(const struct otlp_point *point, void *arg);
    void *arg;
};

enum { NUMBER_DOUBLE = 4, NUMBER_INT = 6, NUMBER_ATTRS = 7 };
enum { HISTOGRAM_COUNT = 4, HISTOGRAM_SUM = 5, HISTOGRAM_ATTRS = 9, SUMMARY_ATTRS = 7 };

static bool
read_point(struct reader *reader, struct message in)
{
    struct otlp_point *point = &reader->point;
    bool number = point->kind == OTLP_GAUGE || point->kind == OTLP_SUM;
    size_t resource_attrs = point->attr_count;
    struct message again = in;
    struct field field;
    bool valued = false;
    point->value = 0;
    point->count = 0;
    while (next_field(&in, &field)) {
        if (field.shape != FIXED64)
            continue;
        if (number && field.number == NUMBER_DOUBLE) {
            point->value = as_double(field.value);
            valued = true;
        } else if (number && field.number == NUMBER_INT) {
            point->value = (double)(int64_t)field.value;
            valued = true;
        } else if (!number && field.number == HISTOGRAM_SUM) {
            point->value = as_double(field.value);
        } else if (!number && field.number == HISTOGRAM_COUNT) {
            point->count = field.value;
            valued = true;
        }
    }
    bool fine = !in.bad && read_attrs(again, number ? NUMBER_ATTRS
        : point->kind == OTLP_HISTOGRAM             ? HISTOGRAM_ATTRS
                                                    : SUMMARY_ATTRS,
                               point);
    if (fine && valued)
        reader->fn(point, reader->arg);
    point->attr_count = resource_attrs;
    return fine;
}

enum { DATA_POINTS = 1, DATA_TEMPORALITY = 2, DATA_MONOTONIC = 3, TEMPORALITY_DELTA = 1 };

static bool
read_data(struct reader *reader, struct message in)
{
    struct message again = in;
    struct field field;
    reader->point.monotonic = reader->point.delta = false;
    while (next_field(&in, &field)) {
        if (field.number == DATA_TEMPORALITY && field.shape == VARINT)
            reader->point.delta = field.value == TEMPORALITY_DELTA;
        else if (field.number == DATA_MONOTONIC && field.shape == VARINT)
            reader->point.monotonic = field.value != 0;
    }
    while (next_field(&again, &field))
        if (is_bytes(&field, DATA_POINTS) && !read_point(reader, field.bytes))
            return false;
    return !in.bad && !again.bad;
}

/* ---- metrics ---- */

enum { METRIC_NAME = 1, METRIC_UNIT = 3, METRIC_GAUGE = 5, METRIC_SUM = 7, METRIC_HISTOGRAM = 9,
    METRIC_SUMMARY = 11 };

static bool
read_metric(struct reader *reader, struct message in)
{
    struct message data = {NULL, NULL, false};
    struct field field;
    reader->point.name = reader->point.unit = OX_STR("");
    while (next_field(&in, &field)) {
        if (field.shape != BYTES)
            continue;
        switch (field.number) {
        case METRIC_NAME:
            reader->point.name = as_text(&field);
            break;
        case METRIC_UNIT:
            reader->point.unit = as_text(&field);
            break;
        case METRIC_GAUGE:
        case METRIC_SUM:
        case METRIC_HISTOGRAM:
        case METRIC_SUMMARY:
            data = field.bytes;
            reader->point.kind = field.number == METRIC_GAUGE       ? OTLP_GAUGE
                                 : field.number == METRIC_SUM       ? OTLP_SUM
                                 : field.number == METRIC_HISTOGRAM ? OTLP_HISTOGRAM
                                                                    : OTLP_SUMMARY;
            break;
        default:
            break;
        }
    }
    return !in.bad && (data.at == NULL || read_data(reader, data));
}

enum { SCOPE_METRICS = 2, RESOURCE = 1, RESOURCE_ATTRS = 1, RESOURCE_SCOPES = 2,
    DATA_RESOURCES = 1 };

static bool
read_scope(struct reader *reader, struct message in)
{
    struct field field;
    while (next_field(&in, &field))
        if (is_bytes(&field, SCOPE_METRICS) && !read_metric(reader, field.bytes))
            return false;
    return !in.bad;
}

static bool
read_resource(struct reader *reader, struct message in)
{
    struct message again = in;
    struct field field;
    reader->point.attr_count = 0;
    while (next_field(&in, &field))
        if (is_bytes(&field, RESOURCE) && !read_attrs(field.bytes, RESOURCE_ATTRS, &reader->point))
            return false;
    while (next_field(&again, &field))
        if (is_bytes(&field, RESOURCE_SCOPES) && !read_scope(reader, field.bytes))
            return false;
    return !in.bad && !again.bad;
}

bool
otlp_decode(const void *bytes, size_t len,
    void (*fn)(const struct otlp_point *point, void *arg), void *arg)
{
    struct message in = {bytes, (const uint8_t *)bytes + len, false};
    struct reader reader = {.fn = fn, .arg = arg};
    struct field field;
    while (next_field(&in, &field))
        if (is_bytes(&field, DATA_RESOURCES) && !read_resource(&reader, field.bytes))
            return false;
    return !in.bad;
}
