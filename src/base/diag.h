/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics: one line each on stderr, as
 *   2026-11-21T10:00:00.123Z warn  replica left the set topic=a partition=3
 * The text is constant, facts are keys, so that lines can be grouped. error
 * needs a person, warn a look, info a life event, debug is off by default.
 * Never secrets or payloads. Any thread. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

enum ox_diag_level { OX_DIAG_DEBUG, OX_DIAG_INFO, OX_DIAG_WARN, OX_DIAG_ERROR };

struct ox_err;

/* fmt gives the facts ("topic=%s ms=%d"), or "" where there are none. */
void ox_diag(enum ox_diag_level level, const char *text, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void ox_diag_set_level(enum ox_diag_level level);
enum ox_diag_level ox_diag_level(void);

#define ox_error(text, ...) ox_diag(OX_DIAG_ERROR, (text), __VA_ARGS__)
#define ox_warn(text, ...) ox_diag(OX_DIAG_WARN, (text), __VA_ARGS__)
#define ox_info(text, ...) ox_diag(OX_DIAG_INFO, (text), __VA_ARGS__)
#define ox_debug(text, ...) \
    (ox_diag_level() == OX_DIAG_DEBUG ? ox_diag(OX_DIAG_DEBUG, (text), __VA_ARGS__) : (void)0)

/* The failure's code, message and detail as facts. */
void ox_diag_err(enum ox_diag_level level, const char *text, const struct ox_err *err);

#endif
