/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads metrics as OpenTelemetry writes them (MetricsData in protocol buffers):
 * what clients push about themselves. Nothing is allocated, everything borrows
 * the bytes; what is not known is skipped. */
#ifndef ENGINE_OTLP_H
#define ENGINE_OTLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { OTLP_ATTRS_MAX = 64 };

enum otlp_kind { OTLP_GAUGE, OTLP_SUM, OTLP_HISTOGRAM, OTLP_SUMMARY };

struct otlp_attr {
    struct str key;
    struct str text;   /* null: a number */
    double number;
};

struct otlp_point {
    struct str name, unit;
    enum otlp_kind kind;
    bool monotonic; /* of a sum */
    bool delta;     /* since the last one, not since the beginning */
    double value;   /* or the sum of a histogram or summary */
    uint64_t count; /* of a histogram or summary */
    /* of the resource, then of the point; further ones are left out */
    struct otlp_attr attrs[OTLP_ATTRS_MAX];
    size_t attr_count;
};

/* Calls fn for each point. False: these bytes are no metrics; fn may have been
 * called for those before the fault. */
bool otlp_decode(const void *bytes, size_t len,
    void (*fn)(const struct otlp_point *point, void *arg), void *arg);

#endif
