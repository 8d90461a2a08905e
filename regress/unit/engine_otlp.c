/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics in protocol buffers, written here by hand. */
#include <string.h>

#include "engine/otlp.h"
#include "tap.h"

struct bytes {
    uint8_t at[2000];
    size_t len;
};

static void
put_field(struct bytes *out, int number, const void *ptr, size_t len)
{
    out->at[out->len++] = (uint8_t)(number << 3 | 2);
    if (len >= 128)
        out->at[out->len++] = (uint8_t)(len & 127) | 128;
    out->at[out->len++] = (uint8_t)(len >= 128 ? len >> 7 : len);
    memcpy(out->at + out->len, ptr, len);
    out->len += len;
}

static void
put_message(struct bytes *out, int number, const struct bytes *in)
{
    put_field(out, number, in->at, in->len);
}

static void
put_fixed(struct bytes *out, int number, const void *eight)
{
    out->at[out->len++] = (uint8_t)(number << 3 | 1);
    memcpy(out->at + out->len, eight, 8);
    out->len += 8;
}

static void
put_varint(struct bytes *out, int number, uint8_t value)
{
    out->at[out->len++] = (uint8_t)(number << 3);
    out->at[out->len++] = value;
}

static void
put_attr(struct bytes *out, int number, const char *key, const char *text)
{
    struct bytes value = {.len = 0}, attr = {.len = 0};
    put_field(&value, 1, text, strlen(text));
    put_field(&attr, 1, key, strlen(key));
    put_message(&attr, 2, &value);
    put_message(out, number, &attr);
}

/* A resource with one attribute, a metric whose name comes after its data. */
static struct bytes
sum_of(double value, const char *name, bool delta)
{
    struct bytes point = {.len = 0}, data = {.len = 0}, metric = {.len = 0}, scope = {.len = 0},
                 resource = {.len = 0}, one = {.len = 0}, all = {.len = 0};
    put_fixed(&point, 4, &value);
    put_attr(&point, 7, "topic", "t");
    put_message(&data, 1, &point);
    put_varint(&data, 2, delta ? 1 : 2);
    put_varint(&data, 3, 1);
    put_message(&metric, 7, &data);
    put_field(&metric, 1, name, strlen(name));
    put_message(&scope, 2, &metric);
    put_attr(&resource, 1, "rack", "r");
    put_message(&one, 2, &scope);
    put_message(&one, 1, &resource);
    put_message(&all, 1, &one);
    return all;
}

struct seen {
    int count;
    struct otlp_point last;
};

static void
note(const struct otlp_point *point, void *arg)
{
    struct seen *seen = arg;
    seen->count++;
    seen->last = *point;
}

int
main(void)
{
    struct bytes bytes = sum_of(2.5, "a.total", true);
    struct seen seen = {0};
    ok(otlp_decode(bytes.at, bytes.len, note, &seen), "metrics are read");
    is_int(seen.count, 1, "one point");
    ok(ox_str_is(seen.last.name, "a.total"), "its name, though it comes last");
    ok(seen.last.kind == OTLP_SUM && seen.last.delta && seen.last.monotonic, "of a sum");
    ok(seen.last.value == 2.5, "its value");
    is_int((long)seen.last.attr_count, 2, "attributes of resource and point");
    ok(ox_str_is(seen.last.attrs[0].key, "rack") && ox_str_is(seen.last.attrs[1].text, "t"),
        "in this order, though the resource comes last");
    int cut_fine = 0;
    for (size_t len = 1; len < bytes.len; len++)
        cut_fine += otlp_decode(bytes.at, len, note, &seen);
    is_int(cut_fine, 0, "cut anywhere, they are no metrics");
    ok(otlp_decode(bytes.at, 0, note, &seen), "nothing is nothing");
    uint8_t endless[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    ok(!otlp_decode(endless, sizeof(endless), note, &seen), "a length beyond the bytes");
    uint8_t group[] = {0x0b};
    ok(!otlp_decode(group, sizeof(group), note, &seen), "a shape that does not exist");
    return done();
}
