/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates, times and intervals: text forms and the calendar. Microseconds since
 * 2000-01-01. Reached through row/row.h. */
#ifndef ROW_DATETIME_H
#define ROW_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct row_format;
struct interval;
struct timezone;

#define US_SEC 1000000LL
#define US_MIN (60 * US_SEC)
#define US_HOUR (3600 * US_SEC)
#define US_DAY (86400 * US_SEC)
#define TIME_INF INT64_MAX
#define TIME_NINF INT64_MIN
#define DATE_INF INT32_MAX
#define DATE_NINF INT32_MIN
#define TIMESTAMP_MIN (-211813488000000000LL) /* 4713-11-24 BC */
#define TIMESTAMP_END (9223371331200000000LL) /* 294277-01-01 */
#define DATE_MIN_DAYS (-2451545)
#define DATE_END_DAYS (2145031949)

/* Towards minus infinity: of days before 2000 too. b > 0. */
static inline int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Broken-down wall time; year 0 is 1 BC. */
struct civil {
    int32_t year;
    int month, day, hour, minute, second;
    int32_t us;
};

int64_t civil_to_days(int64_t year, int month, int day); /* since 2000-01-01 */
void civil_from_days(int64_t days, int32_t *year, int *month, int *day);
int civil_month_days(int64_t year, int month);
bool civil_valid(int64_t year, int month, int day);
void civil_from_us(int64_t us, struct civil *out); /* finite */
/* Fails: OX_DATETIME_FIELD_OVERFLOW "timestamp out of range" */
ox_code civil_to_us(const struct civil *c, int64_t *out, struct ox_err *err);
int civil_weekday(int64_t days); /* 0 Sunday */
void civil_iso_week(int64_t days, int *year, int *week);

ox_code date_in(struct str text, const struct row_format *format, int64_t *out, struct ox_err *err);
ox_code time_in(struct str text, const struct row_format *format, int32_t typmod, int64_t *out,
    struct ox_err *err);
ox_code timestamp_in(struct str text, bool zoned, const struct row_format *format, int32_t typmod,
    int64_t *out, struct ox_err *err);
ox_code interval_in(struct str text, const struct row_format *format, int32_t typmod,
    struct interval *out, struct ox_err *err);
void date_out(int64_t days, const struct row_format *format, struct text *to);
void time_out(int64_t us, struct text *to);
void timestamp_out(int64_t us, bool zoned, const struct row_format *format, struct text *to);
void interval_out(const struct interval *span, const struct row_format *format, struct text *to);

int64_t timestamp_round(int64_t us, int32_t typmod); /* to typmod decimals of a second */
ox_code timestamp_check(int64_t us, struct ox_err *err);
/* us + span; zoned: days and months step in local time of tz. */
ox_code timestamp_add_interval(int64_t us, const struct interval *span, const struct timezone *tz,
    bool zoned, int64_t *out, struct ox_err *err);
/* Leaves what the modifier has no field for; rounds seconds. */
void interval_apply_typmod(struct interval *span, int32_t typmod);
int interval_compare(const struct interval *a, const struct interval *b);
/* How long it is, in microseconds; a month has 30 days. */
__int128 interval_length(const struct interval *span);
/* The same between nothing and 100 years: what a clock of nanoseconds can wait. */
int64_t interval_wait_us(const struct interval *span);

#endif
