/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics: the rows of catalog/metrics.tbl with their values of this moment,
 * for Prometheus and for oxbow.metrics. Any thread. */
#ifndef ENGINE_METRICS_H
#define ENGINE_METRICS_H

#include "engine/engine.h"
#include "engine/metrics.gen.h" /* enum metric_id */

struct metric_facts {
    const char *name, *type, *help;
};

extern const struct metric_facts metric_table[METRIC_COUNT];

/* Calls fn once for each series, those of one metric together; labels is "" or
 * Prometheus text as loop="0". */
void engine_metrics_each(struct engine *engine,
    void (*fn)(enum metric_id id, const char *labels, double value, void *arg), void *arg);

/* The Prometheus text format, version 0.0.4. */
void engine_metrics_text(struct engine *engine, struct text *out);

#endif
