/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics: one line each on stderr, as
 *   2026-11-21T10:00:00.123Z warn  replica left the set topic=a partition=3
 * The text is constant, facts are keys, so that lines can be grouped. error
 * needs a person, warn a look, info a life event, debug is off by default.
 * Never secrets or payloads. Any thread. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stddef.h>

enum ox_diag_level { OX_DIAG_DEBUG, OX_DIAG_INFO, OX_DIAG_WARN, OX_DIAG_ERROR };

struct ox_err;

/* fmt gives the facts ("topic=%s ms=%d"), or "" where there are none. file says
 * which logger is asked. */
void ox_diag_at(const char *file, enum ox_diag_level level, const char *text, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
#define ox_diag(level, text, ...) ox_diag_at(__FILE__, (level), (text), __VA_ARGS__)
/* Of the root logger, when it is not the one that was set here last. */
void ox_diag_set_level(enum ox_diag_level level);
/* The lowest that any logger lets through. */
enum ox_diag_level ox_diag_level(void);

/* Loggers: "root", and one for each folder of src/ ("oxbow.net"), which has the
 * root's level until it is given one. Levels by the names of Kafka's tools: TRACE
 * DEBUG INFO WARN ERROR FATAL. */
int ox_logger_count(void);
const char *ox_logger_name(int index);
const char *ox_logger_level(int index);
int ox_logger_find(const char *name, size_t len); /* -1: there is none */
/* Its number, or -1. */
int ox_logger_level_find(const char *name, size_t len);
/* level -1: the root's again; not for the root itself. */
void ox_logger_set(int index, int level);

#define ox_error(text, ...) ox_diag(OX_DIAG_ERROR, (text), __VA_ARGS__)
#define ox_warn(text, ...) ox_diag(OX_DIAG_WARN, (text), __VA_ARGS__)
#define ox_info(text, ...) ox_diag(OX_DIAG_INFO, (text), __VA_ARGS__)
#define ox_debug(text, ...) \
    (ox_diag_level() == OX_DIAG_DEBUG ? ox_diag(OX_DIAG_DEBUG, (text), __VA_ARGS__) : (void)0)

/* The failure's code, message and detail as facts. */
void ox_diag_err(enum ox_diag_level level, const char *text, const struct ox_err *err);

#endif
