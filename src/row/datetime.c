/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates, times and timestamps: the calendar, reading and writing. Input is cut
 * into fields (a number run, a word, a date with separators, a time, a zone)
 * which then find their places, as PostgreSQL does; the common ISO form has a
 * path of its own. Intervals are in interval.c. */
#include "row/row.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "row/row_int.h"

const char *const month_names[12] = {"January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December"};
const char *const day_names[7] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* ---- calendar ------------------------------------------------------------------ */

int64_t
civil_to_days(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 730425;
}

void
civil_from_days(int64_t days, int32_t *year, int *month, int *day)
{
    days += 730425;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    uint32_t doe = (uint32_t)(days - era * 146097);
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int32_t)((int64_t)yoe + era * 400 + (mp >= 10));
}

int
civil_month_days(int64_t year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool
civil_valid(int64_t year, int month, int day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= civil_month_days(year, month);
}

void
civil_from_us(int64_t us, struct civil *out)
{
    int64_t days = floor_div(us, US_DAY), rest = us - days * US_DAY;
    civil_from_days(days, &out->year, &out->month, &out->day);
    out->us = (int32_t)(rest % US_SEC);
    int32_t s = (int32_t)(rest / US_SEC);
    out->hour = s / 3600;
    out->minute = s / 60 % 60;
    out->second = s % 60;
}

ox_code
timestamp_check(int64_t us, struct ox_err *err)
{
    if (us == TIME_INF || us == TIME_NINF || (us >= TIMESTAMP_MIN && us < TIMESTAMP_END))
        return OX_OK;
    return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}

ox_code
civil_to_us(const struct civil *c, int64_t *out, struct ox_err *err)
{
    int64_t days = civil_to_days(c->year, c->month, c->day);
    if (days < DATE_MIN_DAYS || days > 109203528)
        return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    *out = days * US_DAY + c->hour * US_HOUR + c->minute * US_MIN + c->second * US_SEC + c->us;
    return timestamp_check(*out, err);
}

int
civil_weekday(int64_t days)
{
    return (int)(((days + 6) % 7 + 7) % 7);
}

void
civil_iso_week(int64_t days, int *year, int *week)
{
    int64_t thursday = days - (civil_weekday(days) + 6) % 7 + 3;
    int32_t y;
    int m, d;
    civil_from_days(thursday, &y, &m, &d);
    *year = y;
    *week = (int)((thursday - civil_to_days(y, 1, 1)) / 7 + 1);
}

int64_t
timestamp_round(int64_t us, int32_t typmod)
{
    static const int64_t unit[7] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (typmod < 0 || typmod >= 6 || us == TIME_INF || us == TIME_NINF)
        return us;
    int64_t u = unit[typmod];
    return us >= 0 ? (us + u / 2) / u * u : -((-us + u / 2) / u * u);
}

/* ---- fields ---------------------------------------------------------------------- */

enum field_kind { FIELD_NUMBER, FIELD_WORD, FIELD_DATE, FIELD_TIME, FIELD_ZONE };

struct field {
    enum field_kind kind;
    char text[40];
};

struct parsed {
    bool has_date, has_time, has_zone, bc, special;
    int64_t value; /* special */
    int64_t year;
    int month, day, doy;
    int64_t hour, time_us; /* the hour as it was written */
    int32_t zone_s; /* east */
    const struct timezone *tz;
    bool has_year, has_month, has_day, pm, am, julian;
    int year_digits;
};

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
word_eq(const char *word, const char *lower)
{
    return ox_str_ieq(ox_str(word), ox_str(lower));
}

/* 1-12 for a month's name or its first three letters, else 0. */
static int
month_of_name(const char *word, size_t len)
{
    for (int i = 0; i < 12; i++) {
        size_t full = strlen(month_names[i]);
        if ((len == 3 || len == full) &&
            ox_str_ieq(ox_str_n(word, len), ox_str_n(month_names[i], len)))
            return i + 1;
    }
    return len == 4 && ox_str_ieq(ox_str_n(word, len), OX_STR("sept")) ? 9 : 0;
}

static inline const char *
skip_letters(const char *at, const char *end)
{
    while (at < end && is_alpha(*at))
        at++;
    return at;
}

static inline const char *
skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

static const char *
skip_digits_or(const char *at, const char *end, const char *others)
{
    while (at < end && (is_digit(*at) || (*at != '\0' && strchr(others, *at) != NULL)))
        at++;
    return at;
}

static const char *
skip_word_or(const char *at, const char *end, const char *others)
{
    while (at < end &&
           (is_alpha(*at) || is_digit(*at) || (*at != '\0' && strchr(others, *at) != NULL)))
        at++;
    return at;
}

/* The rest of a date behind its first number. */
static const char *
split_date(const char *at, const char *end, enum field_kind *kind)
{
    char sep = *at;
    int seps = 0;
    for (; at < end && (is_digit(*at) || is_alpha(*at) || *at == sep); at++) {
        if (*at == sep)
            seps++;
        /* "2024-01-02T10:00": the T ends the date */
        if ((*at == 'T' || *at == 't') && seps == 2 && at + 1 < end && is_digit(at[1]))
            break;
        if (sep == '-' && seps == 2 && is_alpha(*at) && is_digit(at[-1]))
            break;
    }
    *kind = sep == '.' && seps == 1 ? FIELD_NUMBER : FIELD_DATE;
    return at;
}

static const char *
split_number(const char *at, const char *end, enum field_kind *kind)
{
    at = skip_digits(at, end);
    *kind = FIELD_NUMBER;
    if (at < end && *at == ':') {
        *kind = FIELD_TIME;
        return skip_digits_or(at, end, ":.");
    }
    if (at < end && (*at == '-' || *at == '/' || *at == '.'))
        return split_date(at, end, kind);
    return at;
}

/* A zone's distance, or a word with a sign. */
static const char *
split_signed(const char *at, const char *end, enum field_kind *kind)
{
    at++;
    while (at < end && is_blank(*at))
        at++;
    *kind = at < end && is_digit(*at) ? FIELD_ZONE : FIELD_WORD;
    if (*kind == FIELD_ZONE)
        return skip_digits_or(at, end, ":.");
    return at < end && is_alpha(*at) ? skip_letters(at, end) : NULL;
}

static const char *
split_word(const char *start, const char *end, enum field_kind *kind)
{
    const char *at = skip_letters(start, end), *posix = skip_digits(at, end);
    bool long_enough = at - start >= 3, digit_next = end - at > 1 && is_digit(at[1]);
    *kind = FIELD_WORD;
    if (posix > at && long_enough && end - posix >= 3 && is_alpha(posix[0]) && is_alpha(posix[1]) &&
        is_alpha(posix[2])) /* EST5EDT */
        return skip_letters(posix, end);
    if (at < end && (*at == '/' || *at == '_')) /* a zone's name */
        return skip_word_or(at, end, "/_-+");
    if (!long_enough || !digit_next)
        return at;
    if ((*at == '+' || *at == '-') && month_of_name(start, (size_t)(at - start)) == 0)
        return skip_word_or(at, end, "+-:"); /* a POSIX zone, whose sign is west: "GMT+8" */
    if (*at == '-') {                        /* "Jan-02-2024" */
        *kind = FIELD_DATE;
        return skip_word_or(at, end, "-");
    }
    return at;
}

/* -1: garbage. */
static int
split_fields(struct str text, struct field *fields, int max)
{
    const char *at = text.ptr, *end = at + text.len;
    int count = 0;
    while (at < end) {
        if (is_blank(*at) || *at == ',') {
            at++;
            continue;
        }
        if (count == max)
            return -1;
        struct field *f = &fields[count++];
        const char *start = at;
        at = is_digit(*at)              ? split_number(at, end, &f->kind)
             : *at == '+' || *at == '-' ? split_signed(at, end, &f->kind)
             : is_alpha(*at)            ? split_word(at, end, &f->kind)
                                        : NULL;
        size_t len = at != NULL ? (size_t)(at - start) : SIZE_MAX;
        if (len >= sizeof(f->text))
            return -1;
        memcpy(f->text, start, len);
        f->text[len] = '\0';
    }
    return count;
}

static bool
is_weekday(const char *word)
{
    size_t len = strlen(word);
    static const char *const more[] = {"tues", "wednes", "thur", "thurs", NULL};
    for (int i = 0; i < 7; i++)
        if ((len == 3 || len == strlen(day_names[i])) &&
            ox_str_ieq(ox_str_n(word, len), ox_str_n(day_names[i], len)))
            return true;
    for (int i = 0; more[i] != NULL; i++)
        if (word_eq(word, more[i]))
            return true;
    return false;
}

enum { PARSE_OK, PARSE_BAD, PARSE_RANGE, PARSE_ZONE, PARSE_NO_ZONE };

/* "hh:mm[:ss[.ffffff]]" or "hhmm[ss]" */
static int
parse_time(struct parsed *p, const char *text)
{
    int64_t part[3] = {0, 0, 0};
    int n = 0;
    const char *at = text;
    for (; n < 3; n++) {
        if (!is_digit(*at))
            return PARSE_BAD;
        while (is_digit(*at) && part[n] < 100000000)
            part[n] = part[n] * 10 + (*at++ - '0');
        if (*at != ':')
            break;
        at++;
    }
    if (n == 3)
        return PARSE_BAD;
    int64_t fraction = 0;
    if (*at == '.') {
        double f = strtod(at, NULL);
        fraction = (int64_t)(f * 1e6 + 0.5);
        at++;
        while (is_digit(*at))
            at++;
        if (n == 1) { /* mm:ss.fff */
            part[2] = part[1];
            part[1] = part[0];
            part[0] = 0;
        }
    }
    if (*at != '\0')
        return PARSE_BAD;
    if (part[1] > 59 || part[2] > 60 || part[0] > 24 ||
        (part[0] == 24 && (part[1] > 0 || part[2] > 0 || fraction > 0)))
        return PARSE_RANGE;
    p->hour = part[0];
    p->time_us = part[0] * US_HOUR + part[1] * US_MIN + part[2] * US_SEC + fraction;
    return p->time_us <= US_DAY ? PARSE_OK : PARSE_RANGE; /* "23:59:60" is midnight */
}

static int
parse_zone_number(const char *text, int32_t *seconds)
{
    int sign = *text == '-' ? -1 : 1;
    const char *at = text + 1;
    while (is_blank(*at))
        at++;
    int64_t part[3] = {0, 0, 0};
    int n = 0, digits = 0;
    for (; n < 3; n++) {
        int d = 0;
        while (is_digit(*at) && part[n] < 10000000)
            part[n] = part[n] * 10 + (*at++ - '0'), d++;
        if (n == 0)
            digits = d;
        if (d == 0)
            return PARSE_BAD;
        if (*at != ':')
            break;
        at++;
    }
    if (*at != '\0')
        return PARSE_BAD;
    if (n == 0 && digits > 2) { /* hhmm, hhmmss */
        int64_t v = part[0];
        if (digits > 4) {
            part[2] = v % 100;
            v /= 100;
        }
        part[1] = v % 100;
        part[0] = v / 100;
    }
    if (part[0] > 15 || part[1] > 59 || part[2] > 59)
        return PARSE_ZONE;
    *seconds = (int32_t)(sign * (part[0] * 3600 + part[1] * 60 + part[2]));
    return PARSE_OK;
}

/* Numbers of an ambiguous date find their places by DateOrder. */
static int
place_number(struct parsed *p, const char *text, int len, int order)
{
    long v = strtol(text, NULL, 10);
    if (len >= 3 && !p->has_year && !(len == 3 && !p->has_month)) {
        p->year = v;
        p->year_digits = len;
        p->has_year = true;
        return PARSE_OK;
    }
    if (!p->has_year && order == DATE_YMD && !p->has_month && !p->has_day) {
        p->year = v;
        p->year_digits = len;
        p->has_year = true;
        return PARSE_OK;
    }
    if (p->has_month && p->has_day && !p->has_year) {
        p->year = v;
        p->year_digits = len;
        p->has_year = true;
        return PARSE_OK;
    }
    bool month_next = !p->has_month && (order != DATE_DMY || p->has_day || p->has_year);
    if (p->has_year && !p->has_month)
        month_next = true;
    if (month_next) {
        p->month = (int)v;
        p->has_month = true;
        return v >= 1 && v <= 12 ? PARSE_OK : PARSE_RANGE;
    }
    if (p->has_day)
        return PARSE_BAD;
    p->day = (int)v;
    p->has_day = true;
    return v >= 1 && v <= 31 ? PARSE_OK : PARSE_RANGE;
}

static int
parse_date(struct parsed *p, const char *text, int order)
{
    const char *at = text;
    struct {
        const char *at;
        int len;
        bool word;
    } part[4];
    int n = 0;
    while (*at != '\0') {
        if (n == 3)
            return PARSE_BAD;
        part[n].at = at;
        part[n].word = is_alpha(*at);
        while (part[n].word ? is_alpha(*at) : is_digit(*at))
            at++;
        part[n].len = (int)(at - part[n].at);
        if (part[n].len == 0)
            return PARSE_BAD;
        n++;
        if (*at != '\0')
            at++;
    }
    if (n == 2 && part[1].len == 3 && !part[1].word &&
        part[0].len >= 4) { /* 2024.123 is a day of year */
        p->year = strtol(part[0].at, NULL, 10);
        p->has_year = true;
        p->year_digits = part[0].len;
        p->doy = (int)strtol(part[1].at, NULL, 10);
        p->has_month = p->has_day = true;
        return p->doy >= 1 && p->doy <= 366 ? PARSE_OK : PARSE_RANGE;
    }
    if (n != 3)
        return PARSE_BAD;
    for (int i = 0; i < n; i++)
        if (part[i].word) {
            if (p->has_month || (p->month = month_of_name(part[i].at, (size_t)part[i].len)) == 0)
                return PARSE_BAD;
            p->has_month = true;
        }
    for (int i = 0; i < n; i++) {
        if (part[i].word)
            continue;
        char number[24];
        if (part[i].len > 20)
            return PARSE_BAD;
        memcpy(number, part[i].at, (size_t)part[i].len);
        number[part[i].len] = '\0';
        int result;
        if (i == 0 && part[0].len >= 3) {
            p->year = strtol(number, NULL, 10);
            p->year_digits = part[0].len;
            p->has_year = true;
            result = PARSE_OK;
        } else if (p->has_month && part[1].word && i == 0 && part[0].len <= 2) {
            p->day = atoi(number);
            p->has_day = true;
            result = PARSE_OK;
        } else {
            result = place_number(p, number, part[i].len, order);
        }
        if (result != PARSE_OK)
            return result;
    }
    return PARSE_OK;
}

static int
parse_word(struct parsed *p, const char *word, const struct row_format *format, bool *zone_only)
{
    int month;
    if ((month = month_of_name(word, strlen(word))) > 0) {
        if (p->has_month) {
            /* the number read first was the day: "2 Jan 2024" */
            if (p->has_day)
                return PARSE_BAD;
            p->day = p->month;
            p->has_day = true;
        }
        p->month = month;
        p->has_month = true;
        return PARSE_OK;
    }
    if (is_weekday(word))
        return PARSE_OK;
    if (word_eq(word, "bc") || word_eq(word, "ad")) {
        p->bc = word_eq(word, "bc");
        return PARSE_OK;
    }
    if (word_eq(word, "am") || word_eq(word, "pm")) {
        p->am = word_eq(word, "am");
        p->pm = !p->am;
        return PARSE_OK;
    }
    if (word_eq(word, "t") || word_eq(word, "at") || word_eq(word, "on"))
        return PARSE_OK;
    if (word_eq(word, "z") || word_eq(word, "utc") || word_eq(word, "zulu") ||
        word_eq(word, "gmt")) {
        p->has_zone = true;
        p->zone_s = 0;
        return PARSE_OK;
    }
    p->tz = timezone_find_spoken(ox_str(word));
    if (p->tz == NULL)
        return strchr(word, '/') != NULL ? PARSE_NO_ZONE : PARSE_BAD;
    p->has_zone = true;
    return PARSE_OK;
}

/* now, today, epoch, infinity ... ; -1: none of them */
static int
parse_special(struct parsed *p, const char *word, const struct row_format *format)
{
    int64_t local = format->now_us + timezone_offset(format->tz, format->now_us, NULL) * US_SEC;
    int64_t midnight = floor_div(local, US_DAY) * US_DAY;
    if (word_eq(word, "infinity") || word_eq(word, "+infinity") || word_eq(word, "-infinity")) {
        p->special = true;
        p->value = word[0] == '-' ? TIME_NINF : TIME_INF;
        return PARSE_OK;
    }
    if (word_eq(word, "epoch")) {
        p->special = true;
        p->value = -ROW_EPOCH_UNIX_S * US_SEC;
        p->has_zone = true; /* UTC */
        return PARSE_OK;
    }
    if (word_eq(word, "now")) {
        p->special = true;
        p->value = local;
        return PARSE_OK;
    }
    int step = word_eq(word, "today")       ? 0
               : word_eq(word, "tomorrow")  ? 1
               : word_eq(word, "yesterday") ? -1
                                            : 9;
    if (step == 9)
        return -1;
    struct civil c;
    civil_from_us(midnight + step * US_DAY, &c);
    p->year = c.year;
    p->year_digits = 4;
    p->month = c.month;
    p->day = c.day;
    p->has_year = p->has_month = p->has_day = true;
    return PARSE_OK;
}

static int
parse_number(struct parsed *p, const char *text, int order, bool after_t)
{
    size_t len = strcspn(text, ".");
    if (len == 4 && text[4] == '.' && strlen(text) == 8 &&
        !p->has_year) { /* year and day of year */
        p->year = strtol(text, NULL, 10);
        p->year_digits = 4;
        p->doy = atoi(text + 5);
        p->has_year = p->has_month = p->has_day = true;
        return p->doy >= 1 && p->doy <= 366 ? PARSE_OK : PARSE_RANGE;
    }
    if (text[len] == '.' || (after_t && !p->has_time && (len == 6 || len == 4))) {
        /* hhmmss.fff after a date */
        if (len != 6 && len != 4)
            return PARSE_BAD;
        char t[48];
        if (len == 6)
            snprintf(t, sizeof(t), "%.2s:%.2s:%.2s%s", text, text + 2, text + 4, text + 6);
        else
            snprintf(t, sizeof(t), "%.2s:%.2s", text, text + 2);
        p->has_time = true;
        return parse_time(p, t);
    }
    if (!p->has_year && !p->has_month && (len == 8 || len == 6)) { /* yyyymmdd, yymmdd */
        int y = (int)len - 4;
        p->year = 0;
        for (int i = 0; i < y; i++)
            p->year = p->year * 10 + (text[i] - '0');
        p->year_digits = y;
        p->month = (text[y] - '0') * 10 + (text[y + 1] - '0');
        p->day = (text[y + 2] - '0') * 10 + (text[y + 3] - '0');
        p->has_year = p->has_month = p->has_day = true;
        return PARSE_OK;
    }
    if (p->has_year && p->has_month && p->has_day && !p->has_time && (len == 6 || len == 4))
        return parse_number(p, text, order, true);
    return place_number(p, text, (int)len, order);
}

static int
parse_fields(struct parsed *p, struct str text, const struct row_format *format)
{
    struct field fields[25];
    int n = split_fields(text, fields, 25), result = PARSE_OK;
    if (n <= 0)
        return PARSE_BAD;
    bool after_t = false, words = false;
    for (int i = 0; i < n && result == PARSE_OK; i++) {
        const char *t = fields[i].text;
        switch (fields[i].kind) {
        case FIELD_TIME:
            if (p->has_time)
                return PARSE_BAD;
            p->has_time = true;
            result = parse_time(p, t);
            break;
        case FIELD_DATE:
            if (p->has_year || p->has_day)
                return PARSE_BAD;
            result = parse_date(p, t, format->date_order);
            break;
        case FIELD_ZONE:
            if (p->has_zone || (!p->has_time && !p->has_day))
                return PARSE_BAD;
            p->has_zone = true;
            result = parse_zone_number(t, &p->zone_s);
            break;
        case FIELD_NUMBER:
            if (p->julian && !p->has_day) {
                int64_t days = strtol(t, NULL, 10) - 2451545;
                int32_t y;
                civil_from_days(days, &y, &p->month, &p->day);
                p->year = y;
                p->year_digits = 4;
                p->has_year = p->has_month = p->has_day = true;
                break;
            }
            result = parse_number(p, t, format->date_order, after_t);
            break;
        case FIELD_WORD:
            if (p->special)
                return PARSE_BAD;
            result = parse_special(p, t, format);
            if (result == PARSE_OK && p->special && n != 1)
                return PARSE_BAD;
            if (result == PARSE_OK)
                break;
            if (word_eq(t, "allballs")) {
                p->has_time = p->has_zone = true;
                result = PARSE_OK;
                break;
            }
            if (word_eq(t, "j") && i + 1 < n && fields[i + 1].kind == FIELD_NUMBER) {
                p->julian = true;
                result = PARSE_OK;
                break;
            }
            after_t = word_eq(t, "t");
            result = parse_word(p, t, format, &words);
            break;
        }
    }
    return result;
}

/* AM and PM. */
static int
apply_meridiem(struct parsed *p)
{
    if (!p->am && !p->pm)
        return PARSE_OK;
    if (p->hour > 12)
        return PARSE_RANGE;
    if (p->am && p->hour == 12)
        p->time_us -= 12 * US_HOUR;
    if (p->pm && p->hour < 12)
        p->time_us += 12 * US_HOUR;
    return p->time_us <= US_DAY ? PARSE_OK : PARSE_RANGE;
}

static int
check_date(struct parsed *p)
{
    if (!p->has_year || !p->has_month || !p->has_day)
        return PARSE_BAD;
    if (p->bc) {
        if (p->year <= 0)
            return PARSE_RANGE;
        p->year = 1 - p->year;
    } else if (p->year_digits <= 2) {
        p->year += p->year < 70 ? 2000 : 1900;
    } else if (p->year <= 0 && !p->julian) {
        return PARSE_RANGE;
    }
    if (p->doy > 0) {
        int32_t y;
        civil_from_days(civil_to_days(p->year, 1, 1) + p->doy - 1, &y, &p->month, &p->day);
    }
    if (p->year > 5874897 || !civil_valid(p->year, p->month, p->day))
        return PARSE_RANGE;
    return apply_meridiem(p);
}

static ox_code
parse_failed(int result, const char *type, struct str text, struct ox_err *err)
{
    if (result == PARSE_RANGE) {
        ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "date/time field value out of range: \"%.*s\"",
            OX_STR_ARG(text));
        return OX_DATETIME_FIELD_OVERFLOW;
    }
    if (result == PARSE_ZONE)
        return ox_fail(err, OX_TIME_ZONE_DISPLACEMENT,
            "time zone displacement out of range: \"%.*s\"", OX_STR_ARG(text));
    if (result == PARSE_NO_ZONE)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "time zone in \"%.*s\" not recognized",
            OX_STR_ARG(text));
    return ox_fail(err, OX_INVALID_DATETIME_FORMAT, "invalid input syntax for type %s: \"%.*s\"",
        type, OX_STR_ARG(text));
}

/* ---- input --------------------------------------------------------------------------- */

static inline int
two(const char *at)
{
    return (at[0] - '0') * 10 + (at[1] - '0');
}

static inline bool
digits_at(const char *at, int n)
{
    for (int i = 0; i < n; i++)
        if (!is_digit(at[i]))
            return false;
    return true;
}

/* YYYY-MM-DD[( |T)HH:MM[:SS[.ffffff]][Z|(+|-)HH[:MM]]]; false: not that form. */
static bool
iso_fast(struct str text, struct civil *c, bool *has_zone, int32_t *zone)
{
    const char *at = text.ptr, *end = at + text.len;
    *has_zone = false;
    *zone = 0;
    if (text.len < 10 || at[4] != '-' || at[7] != '-' || !digits_at(at, 4) ||
        !digits_at(at + 5, 2) || !digits_at(at + 8, 2))
        return false;
    *c = (struct civil){
        .year = two(at) * 100 + two(at + 2), .month = two(at + 5), .day = two(at + 8)};
    if (c->year == 0 || !civil_valid(c->year, c->month, c->day))
        return false;
    at += 10;
    if (at == end)
        return true;
    if ((*at != ' ' && *at != 'T') || end - at < 6 || at[3] != ':' || !digits_at(at + 1, 2) ||
        !digits_at(at + 4, 2))
        return false;
    c->hour = two(at + 1);
    c->minute = two(at + 4);
    at += 6;
    if (at < end && *at == ':') {
        if (end - at < 3 || !digits_at(at + 1, 2))
            return false;
        c->second = two(at + 1);
        at += 3;
        if (at < end && *at == '.') {
            int n = 0;
            for (at++; at < end && is_digit(*at); at++, n++)
                if (n < 6)
                    c->us = c->us * 10 + (*at - '0');
            if (n > 6)
                return false;
            for (; n < 6; n++)
                c->us *= 10;
        }
    }
    if (c->hour > 23 || c->minute > 59 || c->second > 59)
        return false;
    if (at == end)
        return true;
    *has_zone = true;
    if (*at == 'Z' && at + 1 == end)
        return true;
    if ((*at == '+' || *at == '-') && (end - at == 3 || (end - at == 6 && at[3] == ':')) &&
        digits_at(at + 1, 2) && (end - at == 3 || digits_at(at + 4, 2))) {
        int h = two(at + 1), m = end - at == 6 ? two(at + 4) : 0;
        if (h > 15 || m > 59)
            return false;
        *zone = (*at == '-' ? -1 : 1) * (h * 3600 + m * 60);
        return true;
    }
    return false;
}

ox_code
timestamp_in(struct str text, bool zoned, const struct row_format *format, int32_t typmod,
    int64_t *out, struct ox_err *err)
{
    const char *type = zoned ? "timestamp with time zone" : "timestamp";
    struct civil c;
    bool has_zone;
    int32_t zone;
    struct parsed p = {0};
    int64_t us;
    if (iso_fast(text, &c, &has_zone, &zone)) {
        us = civil_to_days(c.year, c.month, c.day) * US_DAY + c.hour * US_HOUR + c.minute * US_MIN +
             c.second * US_SEC + c.us;
    } else {
        int result = parse_fields(&p, text, format);
        if (result == PARSE_OK && p.special) {
            if (p.value == TIME_INF || p.value == TIME_NINF) {
                *out = p.value;
                return OX_OK;
            }
            *out = timestamp_round(
                zoned && !p.has_zone ? timezone_to_utc(format->tz, p.value) : p.value, typmod);
            if (word_eq("now", "now") && !p.has_zone && zoned)
                *out = timestamp_round(format->now_us, typmod);
            return OX_OK;
        }
        if (result == PARSE_OK)
            result = check_date(&p);
        if (result != PARSE_OK)
            return parse_failed(result, type, text, err);
        int64_t days = civil_to_days(p.year, p.month, p.day);
        if (days < DATE_MIN_DAYS - 1 || days > 106751991)
            return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range: \"%.*s\"",
                OX_STR_ARG(text));
        us = days * US_DAY + p.time_us;
        has_zone = p.has_zone;
        zone = p.zone_s;
    }
    if (zoned) {
        if (!has_zone)
            us = timezone_to_utc(format->tz, us);
        else if (p.tz != NULL)
            us = timezone_to_utc(p.tz, us);
        else
            us -= zone * US_SEC;
    }
    us = timestamp_round(us, typmod);
    if (timestamp_check(us, NULL) != OX_OK)
        return ox_fail(
            err, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range: \"%.*s\"", OX_STR_ARG(text));
    *out = us;
    return OX_OK;
}

ox_code
date_in(struct str text, const struct row_format *format, int64_t *out, struct ox_err *err)
{
    struct parsed p = {0};
    int result = parse_fields(&p, text, format);
    if (result == PARSE_OK && p.special) {
        *out = p.value == TIME_INF    ? DATE_INF
               : p.value == TIME_NINF ? DATE_NINF
                                      : floor_div(p.value, US_DAY);
        return OX_OK;
    }
    if (result == PARSE_OK)
        result = check_date(&p);
    if (result != PARSE_OK)
        return parse_failed(result, "date", text, err);
    *out = civil_to_days(p.year, p.month, p.day);
    if (*out < DATE_MIN_DAYS || *out >= DATE_END_DAYS)
        return ox_fail(
            err, OX_DATETIME_FIELD_OVERFLOW, "date out of range: \"%.*s\"", OX_STR_ARG(text));
    return OX_OK;
}

ox_code
time_in(struct str text, const struct row_format *format, int32_t typmod, int64_t *out,
    struct ox_err *err)
{
    struct parsed p = {0};
    int result = parse_fields(&p, text, format);
    if (result == PARSE_OK && p.special && p.value != TIME_INF && p.value != TIME_NINF) {
        p.time_us = p.value - floor_div(p.value, US_DAY) * US_DAY;
        p.has_time = true;
    }
    if (result == PARSE_BAD && text.len > 0) { /* "040506", "0405" */
        p = (struct parsed){0};
        size_t a = 0, b = text.len;
        while (a < b && is_blank(text.ptr[a]))
            a++;
        while (b > a && is_blank(text.ptr[b - 1]))
            b--;
        if (b - a == 4 || b - a == 6) {
            char number[8];
            memcpy(number, text.ptr + a, b - a);
            number[b - a] = '\0';
            if (digits_at(number, (int)(b - a)))
                result = parse_number(&p, number, format->date_order, true);
        }
    }
    if (result == PARSE_OK && !p.has_time && p.has_year && p.year_digits <= 4 && text.len == 6 &&
        digits_at(text.ptr, 6)) {
        p = (struct parsed){0};
        char number[8];
        memcpy(number, text.ptr, 6);
        number[6] = '\0';
        result = parse_number(&p, number, format->date_order, true);
    }
    if (result == PARSE_OK && (!p.has_time || (p.special && p.value == TIME_INF)))
        result = PARSE_BAD;
    if (result == PARSE_OK)
        result = apply_meridiem(&p);
    if (result != PARSE_OK)
        return parse_failed(result, "time", text, err);
    *out = timestamp_round(p.time_us, typmod);
    return OX_OK;
}

/* ---- output ---------------------------------------------------------------------------- */

static inline char *
put_two(char *at, int v)
{
    at[0] = (char)('0' + v / 10);
    at[1] = (char)('0' + v % 10);
    return at + 2;
}

static char *
put_year(char *at, int32_t year)
{
    int32_t y = year > 0 ? year : 1 - year;
    if (y < 10000) {
        put_two(at, y / 100);
        return put_two(at + 2, y % 100);
    }
    return at + sprintf(at, "%d", y);
}

static char *
put_time(char *at, int hour, int minute, int second, int32_t us)
{
    at = put_two(at, hour);
    *at++ = ':';
    at = put_two(at, minute);
    *at++ = ':';
    at = put_two(at, second);
    if (us != 0) {
        *at++ = '.';
        for (int32_t unit = 100000; unit > 0 && us > 0; unit /= 10) {
            *at++ = (char)('0' + us / unit);
            us %= unit;
        }
    }
    return at;
}

static char *
put_date(char *at, int32_t year, int month, int day, const struct row_format *format)
{
    if (format->date_style == DATE_ISO) {
        at = put_year(at, year);
        *at++ = '-';
        at = put_two(at, month);
        *at++ = '-';
        return put_two(at, day);
    }
    char sep = format->date_style == DATE_SQL ? '/' : format->date_style == DATE_GERMAN ? '.' : '-';
    bool day_first = format->date_style == DATE_GERMAN || format->date_order == DATE_DMY;
    at = put_two(at, day_first ? day : month);
    *at++ = sep;
    at = put_two(at, day_first ? month : day);
    *at++ = sep;
    return put_year(at, year);
}

void
date_out(int64_t days, const struct row_format *format, struct text *to)
{
    if (days == DATE_INF || days == DATE_NINF) {
        ox_text_adds(to, days == DATE_INF ? "infinity" : "-infinity");
        return;
    }
    int32_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    char *start = ox_text_reserve(to, 40), *at = put_date(start, year, month, day, format);
    if (year <= 0)
        at = (char *)memcpy(at, " BC", 3) + 3;
    to->len += (size_t)(at - start);
    to->ptr[to->len] = '\0';
}

void
time_out(int64_t us, struct text *to)
{
    char *start = ox_text_reserve(to, 40);
    int s = (int)(us / US_SEC);
    char *at = put_time(start, s / 3600, s / 60 % 60, s % 60, (int32_t)(us % US_SEC));
    to->len += (size_t)(at - start);
    to->ptr[to->len] = '\0';
}

static char *
put_zone(char *at, int32_t offset)
{
    *at++ = offset < 0 ? '-' : '+';
    int32_t a = offset < 0 ? -offset : offset;
    at = put_two(at, a / 3600);
    if (a % 3600 != 0) {
        *at++ = ':';
        at = put_two(at, a / 60 % 60);
        if (a % 60 != 0) {
            *at++ = ':';
            at = put_two(at, a % 60);
        }
    }
    return at;
}

void
timestamp_out(int64_t us, bool zoned, const struct row_format *format, struct text *to)
{
    if (us == TIME_INF || us == TIME_NINF) {
        ox_text_adds(to, us == TIME_INF ? "infinity" : "-infinity");
        return;
    }
    const char *abbrev = NULL;
    int32_t offset = 0;
    if (zoned) {
        offset = timezone_offset(format->tz, us, &abbrev);
        us += offset * US_SEC;
    }
    struct civil c;
    civil_from_us(us, &c);
    char *start = ox_text_reserve(to, 96), *at = start;
    if (format->date_style == DATE_POSTGRES) {
        int64_t days = floor_div(us, US_DAY);
        at += sprintf(at, "%.3s ", day_names[civil_weekday(days)]);
        if (format->date_order == DATE_DMY)
            at += sprintf(at, "%02d %.3s ", c.day, month_names[c.month - 1]);
        else
            at += sprintf(at, "%.3s %02d ", month_names[c.month - 1], c.day);
        at = put_time(at, c.hour, c.minute, c.second, c.us);
        *at++ = ' ';
        at = put_year(at, c.year);
        if (zoned)
            at += sprintf(at, " %s", abbrev);
    } else {
        at = put_date(at, c.year, c.month, c.day, format);
        *at++ = ' ';
        at = put_time(at, c.hour, c.minute, c.second, c.us);
        if (zoned && format->date_style == DATE_ISO)
            at = put_zone(at, offset);
        else if (zoned)
            at += sprintf(at, " %s", abbrev);
    }
    if (c.year <= 0)
        at = (char *)memcpy(at, " BC", 3) + 3;
    to->len += (size_t)(at - start);
    to->ptr[to->len] = '\0';
}
