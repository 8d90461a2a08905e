/* SPDX-License-Identifier: Apache-2.0
 *
 * Libraries that are loaded when they are first needed. What few servers use
 * (a codec, fetching a URL, the HTTP door) and what brings many more libraries
 * along would otherwise cost every start milliseconds and megabytes.
 *
 *   static struct { typeof(snappy_compress) *compress; } snappy;
 *   static const struct late_symbol symbols[] = {{"snappy_compress", &snappy.compress}};
 *   static struct late_library library = {OX_LATE_SNAPPY, symbols, ox_count(symbols)};
 *
 *   if (ox_late_load(&library, err) == OX_OK)
 *       snappy.compress(...);
 *
 * File names are the sonames that configure found. */
#ifndef BASE_LATE_H
#define BASE_LATE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/err.h"

struct late_symbol {
    const char *name;
    void *at; /* the function pointer that is set */
};

struct late_library {
    const char *file;
    const struct late_symbol *symbols;
    size_t count;
    _Atomic(void *) handle;
};

/* Loads it once, whoever comes first; it stays. Any thread.
 * Fails: OX_FEATURE_NOT_SUPPORTED if it or a symbol is missing */
ox_code ox_late_load(struct late_library *library, struct ox_err *err);

#endif
