/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics of clients: every text of every point lies in the bytes, and a second
 * reading gives as many points. */
#include "base/check.h"
#include "engine/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
    const uint8_t *data;
    size_t len, points;
};

static void
check_text(const struct seen *seen, struct str s)
{
    const char *from = (const char *)seen->data;
    ox_assert(s.len == 0 || (s.ptr >= from && s.ptr + s.len <= from + seen->len));
}

static void
check_point(const struct otlp_point *point, void *arg)
{
    struct seen *seen = arg;
    seen->points++;
    check_text(seen, point->name);
    check_text(seen, point->unit);
    ox_assert(point->attr_count <= OTLP_ATTRS_MAX);
    for (size_t i = 0; i < point->attr_count; i++) {
        const struct otlp_attr *attr = &point->attrs[i];
        check_text(seen, attr->key);
        if (attr->text.ptr != NULL && !ox_str_is(attr->text, "true") &&
            !ox_str_is(attr->text, "false"))
            check_text(seen, attr->text);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct seen first = {data, len, 0}, second = {data, len, 0};
    bool fine = otlp_decode(data, len, check_point, &first);
    ox_assert(otlp_decode(data, len, check_point, &second) == fine);
    ox_assert(first.points == second.points);
    return 0;
}
