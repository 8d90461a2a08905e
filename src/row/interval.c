/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals: months, days and microseconds that do not convert into each other
 * by themselves. Reading knows PostgreSQL's verbose form, the SQL standard's
 * and ISO 8601's; writing follows IntervalStyle. */
#include "row/row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "row/row_int.h"

enum unit {
    UNIT_US,
    UNIT_MS,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_NONE
};

static const struct {
    const char *name;
    enum unit unit;
} unit_names[] = {
    {"us", UNIT_US},
    {"usec", UNIT_US},
    {"usecs", UNIT_US},
    {"microsecond", UNIT_US},
    {"microseconds", UNIT_US},
    {"ms", UNIT_MS},
    {"msec", UNIT_MS},
    {"msecs", UNIT_MS},
    {"millisecond", UNIT_MS},
    {"milliseconds", UNIT_MS},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"m", UNIT_MINUTE},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"h", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"y", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"dec", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"mil", UNIT_MILLENNIUM},
    {"mils", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
};

static enum unit
unit_find(struct str word)
{
    for (size_t i = 0; i < ox_count(unit_names); i++)
        if (ox_str_ieq(word, ox_str(unit_names[i].name)))
            return unit_names[i].unit;
    return UNIT_NONE;
}

struct sum {
    double months, days; /* whole */
    __int128 us;
    enum unit plain;    /* of a number without one */
    bool minutes_first; /* "4:5" are minutes and seconds */
};

/* value units: whole parts stay in their field, fractions flow down. */
static void
sum_add(struct sum *sum, enum unit unit, int64_t whole, double fraction)
{
    static const int64_t us_of[] = {1, 1000, US_SEC, US_MIN, US_HOUR};
    static const int64_t months_of[] = {1, 12, 120, 1200, 12000};
    if (unit <= UNIT_HOUR) {
        sum->us += (__int128)whole * us_of[unit] + (int64_t)rint(fraction * (double)us_of[unit]);
    } else if (unit <= UNIT_WEEK) {
        int64_t scale = unit == UNIT_WEEK ? 7 : 1;
        double days = fraction * (double)scale, d = trunc(days);
        sum->days += (double)whole * (double)scale + d;
        sum->us += (int64_t)rint((days - d) * (double)US_DAY);
    } else {
        int64_t scale = months_of[unit - UNIT_MONTH];
        sum->months += (double)whole * (double)scale;
        if (unit >= UNIT_YEAR) {
            sum->months += rint(fraction * (double)scale);
        } else {
            double days = fraction * 30, d = trunc(days);
            sum->days += d;
            sum->us += (int64_t)rint((days - d) * (double)US_DAY);
        }
    }
}

static inline bool
digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* [digits][.digits]: magnitude parts. */
static const char *
read_number(const char *at, const char *end, int64_t *whole, double *fraction)
{
    *whole = 0;
    *fraction = 0;
    const char *start = at;
    for (; digit(at, end); at++)
        if (*whole < INT64_MAX / 20)
            *whole = *whole * 10 + (*at - '0');
        else
            return NULL;
    if (at < end && *at == '.') {
        double unit = 0.1;
        const char *dot = at;
        for (at++; digit(at, end); at++, unit /= 10)
            ;
        char text[32];
        size_t len = (size_t)(at - dot) < sizeof(text) - 1 ? (size_t)(at - dot) : sizeof(text) - 1;
        memcpy(text, dot, len);
        text[len] = '\0';
        *fraction = len > 1 ? strtod(text, NULL) : 0;
    }
    return at == start ? NULL : at;
}

/* hh:mm[:ss[.f]], after its first number. */
static const char *
read_clock(const char *at, const char *end, int64_t first, int sign, struct sum *sum)
{
    int64_t part[3] = {first, 0, 0};
    double fraction = 0;
    int n = 1;
    while (n < 3 && at < end && *at == ':') {
        at = read_number(at + 1, end, &part[n], &fraction);
        if (at == NULL)
            return NULL;
        n++;
        if (fraction != 0)
            break;
    }
    if (n == 2 && (fraction != 0 || sum->minutes_first)) { /* mm:ss.f */
        part[2] = part[1];
        part[1] = part[0];
        part[0] = 0;
    }
    if (part[1] > 59 || part[2] > 60)
        return NULL;
    sum->us += (__int128)sign * ((__int128)part[0] * US_HOUR + part[1] * US_MIN + part[2] * US_SEC +
                                    (int64_t)rint(fraction * 1e6));
    return at;
}

/* The alternative form, years-months-days: P0001-02-03T04:05:06. Where it ends; NULL:
 * it is not of that form. */
static const char *
read_iso_date(const char *at, const char *end, struct sum *sum)
{
    int64_t part[3];
    double fraction;
    for (int i = 0; i < 3; i++) {
        if (i > 0 && (at == end || *at++ != '-'))
            return NULL;
        if (!digit(at, end) || (at = read_number(at, end, &part[i], &fraction)) == NULL)
            return NULL;
    }
    if (at < end && *at != 'T')
        return NULL;
    sum->months += (double)part[0] * 12 + (double)part[1];
    sum->days += (double)part[2];
    return at;
}

static bool
parse_iso(struct str text, struct sum *sum)
{
    const char *at = text.ptr + 1, *end = text.ptr + text.len;
    bool clock = false, any = false;
    const char *after_date = read_iso_date(at, end, sum);
    if (after_date != NULL) {
        int64_t hours;
        double fraction;
        if (after_date == end)
            return true;
        at = read_number(after_date + 1, end, &hours, &fraction);
        return at != NULL && at < end && *at == ':' && read_clock(at, end, hours, 1, sum) == end;
    }
    while (at < end) {
        if (*at == 'T') {
            clock = true;
            at++;
            continue;
        }
        int sign = 1;
        if (*at == '-' || *at == '+')
            sign = *at++ == '-' ? -1 : 1;
        int64_t whole;
        double fraction;
        if ((at = read_number(at, end, &whole, &fraction)) == NULL || at == end)
            return false;
        enum unit unit = UNIT_NONE;
        switch (*at++) {
        case 'Y':
            unit = UNIT_YEAR;
            break;
        case 'M':
            unit = clock ? UNIT_MINUTE : UNIT_MONTH;
            break;
        case 'W':
            unit = UNIT_WEEK;
            break;
        case 'D':
            unit = UNIT_DAY;
            break;
        case 'H':
            unit = UNIT_HOUR;
            break;
        case 'S':
            unit = UNIT_SECOND;
            break;
        }
        if (unit == UNIT_NONE || clock != (unit <= UNIT_HOUR))
            return false;
        sum_add(sum, unit, sign * whole, sign * fraction);
        any = true;
    }
    return any;
}

static inline bool
is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* A number and what it counts: a unit behind it, a clock, years-months. NULL: it is
 * none. seen: units that were there. */
static const char *
verbose_item(const char *at, const char *end, unsigned *seen, struct sum *sum)
{
    int sign = 1;
    int64_t whole, months;
    double fraction, rest;
    if (*at == '-' || *at == '+') {
        sign = *at++ == '-' ? -1 : 1;
        while (at < end && *at == ' ')
            at++;
    }
    if ((at = read_number(at, end, &whole, &fraction)) == NULL)
        return NULL;
    if (at < end && *at == ':')
        return read_clock(at, end, whole, sign, sum);
    if (at < end && *at == '-' && at + 1 < end && at[1] >= '0' && at[1] <= '9') {
        if ((at = read_number(at + 1, end, &months, &rest)) == NULL || rest != 0 || months > 11)
            return NULL;
        sum->months += sign * ((double)whole * 12 + (double)months);
        return at;
    }
    while (at < end && *at == ' ')
        at++;
    const char *word = at;
    while (at < end && is_letter(*at))
        at++;
    enum unit unit = unit_find(ox_str_n(word, (size_t)(at - word)));
    if (at == word) {
        /* A bare number: days before a clock. */
        bool before_clock = at < end && memchr(at, ':', (size_t)(end - at)) != NULL;
        unit = before_clock ? UNIT_DAY : sum->plain;
    } else if (unit == UNIT_NONE || (*seen >> unit & 1)) {
        return NULL;
    } else {
        *seen |= 1u << unit;
    }
    sum_add(sum, unit, sign * whole, sign * fraction);
    return at;
}

static bool
parse_verbose(struct str text, struct sum *sum)
{
    const char *at = text.ptr, *end = at + text.len;
    bool any = false, ago = false;
    unsigned seen = 0;
    while (at < end) {
        if (*at == ' ' || (*at >= '\t' && *at <= '\r') || *at == '@' || *at == ',') {
            at++;
        } else if (end - at >= 3 && ox_str_ieq(ox_str_n(at, 3), OX_STR("ago")) && any) {
            ago = true;
            at += 3;
        } else if (ago || (at = verbose_item(at, end, &seen, sum)) == NULL) {
            return false;
        } else {
            any = true;
        }
    }
    if (ago) {
        sum->months = -sum->months;
        sum->days = -sum->days;
        sum->us = -sum->us;
    }
    return any;
}

/* What the type leaves out is cut off; seconds are rounded. */
void
interval_apply_typmod(struct interval *span, int32_t typmod)
{
    int fields = typmod >> 16;
    if (typmod < 0)
        return;
    if ((fields & INTERVAL_SECOND) != 0) {
        span->us = timestamp_round(span->us, typmod & 0xFFFF);
    } else if ((fields & (INTERVAL_MINUTE | INTERVAL_HOUR)) != 0) {
        span->us -= span->us % (fields & INTERVAL_MINUTE ? US_MIN : US_HOUR);
    } else {
        span->us = 0;
        if ((fields & INTERVAL_DAY) == 0)
            span->days = 0;
        if ((fields & (INTERVAL_DAY | INTERVAL_MONTH)) == 0)
            span->months -= span->months % 12;
    }
}

/* The last of the fields. */
static enum unit
plain_unit(int fields)
{
    return fields & INTERVAL_SECOND   ? UNIT_SECOND
           : fields & INTERVAL_MINUTE ? UNIT_MINUTE
           : fields & INTERVAL_HOUR   ? UNIT_HOUR
           : fields & INTERVAL_DAY    ? UNIT_DAY
           : fields & INTERVAL_MONTH  ? UNIT_MONTH
                                      : UNIT_YEAR;
}

ox_code
interval_in(struct str text, const struct row_format *format, int32_t typmod, struct interval *out,
    struct ox_err *err)
{
    int fields = typmod >= 0 ? typmod >> 16 : INTERVAL_ALL_FIELDS;
    struct sum sum = {.plain = plain_unit(fields),
        .minutes_first = fields == (INTERVAL_MINUTE | INTERVAL_SECOND)};
    bool good =
        text.len > 1 && text.ptr[0] == 'P' ? parse_iso(text, &sum) : parse_verbose(text, &sum);
    if (!good)
        return ox_fail(err, OX_INVALID_DATETIME_FORMAT,
            "invalid input syntax for type interval: \"%.*s\"", OX_STR_ARG(text));
    if (fabs(sum.months) > INT32_MAX || fabs(sum.days) > INT32_MAX || sum.us > INT64_MAX ||
        sum.us < INT64_MIN)
        return ox_fail(err, OX_INTERVAL_FIELD_OVERFLOW,
            "interval field value out of range: \"%.*s\"", OX_STR_ARG(text));
    *out = (struct interval){(int64_t)sum.us, (int32_t)sum.days, (int32_t)sum.months};
    interval_apply_typmod(out, typmod);
    return OX_OK;
}

__int128
interval_length(const struct interval *span)
{
    return (__int128)span->us + ((__int128)span->days + (__int128)span->months * 30) * US_DAY;
}

int64_t
interval_wait_us(const struct interval *span)
{
    __int128 us = interval_length(span), most = 36500 * US_DAY;
    return us < 0 ? 0 : (int64_t)OX_MIN(us, most);
}

int
interval_compare(const struct interval *a, const struct interval *b)
{
    __int128 x = interval_length(a), y = interval_length(b);
    return x < y ? -1 : x > y;
}

static void
put_seconds(int64_t s, int64_t us, struct text *to, bool pad)
{
    char text[40];
    int len = snprintf(text, sizeof(text), pad ? "%02lld" : "%lld", (long long)s);
    if (us != 0) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, ".%06lld", (long long)us);
        while (text[len - 1] == '0')
            len--;
    }
    ox_text_add(to, text, (size_t)len);
}

struct parts {
    int64_t hour, minute, second, us;
};

static struct parts
split(int64_t us)
{
    struct parts p;
    p.hour = us / US_HOUR;
    us -= p.hour * US_HOUR;
    p.minute = us / US_MIN;
    us -= p.minute * US_MIN;
    p.second = us / US_SEC;
    p.us = us - p.second * US_SEC;
    return p;
}

static void
out_postgres(const struct interval *s, struct text *to)
{
    int years = s->months / 12, months = s->months % 12;
    bool any = false, before = false;
    const struct {
        int64_t v;
        const char *name;
    } fields[] = {{years, "year"}, {months, "mon"}, {s->days, "day"}};
    for (int i = 0; i < 3; i++) {
        if (fields[i].v == 0)
            continue;
        ox_text_addf(to, "%s%s%lld %s%s", any ? " " : "", before && fields[i].v > 0 ? "+" : "",
            (long long)fields[i].v, fields[i].name, fields[i].v == 1 ? "" : "s");
        before = fields[i].v < 0;
        any = true;
    }
    if (any && s->us == 0)
        return;
    struct parts p = split(s->us);
    bool minus = s->us < 0;
    ox_text_addf(to, "%s%s%02lld:%02lld:", any ? " " : "",
        minus    ? "-"
        : before ? "+"
                 : "",
        llabs(p.hour), llabs(p.minute));
    put_seconds(llabs(p.second), llabs(p.us), to, true);
}

static void
out_verbose(const struct interval *s, struct text *to)
{
    struct parts p = split(s->us);
    bool any = false, before = false;
    const struct {
        int64_t v;
        const char *name;
    } fields[] = {{s->months / 12, "year"}, {s->months % 12, "mon"}, {s->days, "day"},
        {p.hour, "hour"}, {p.minute, "min"}};
    ox_text_adds(to, "@");
    for (int i = 0; i < 5; i++) {
        int64_t v = fields[i].v;
        if (v == 0)
            continue;
        if (!any)
            before = v < 0;
        if (before)
            v = -v;
        ox_text_addf(to, " %lld %s%s", (long long)v, fields[i].name, v == 1 ? "" : "s");
        any = true;
    }
    if (p.second != 0 || p.us != 0) {
        bool minus = p.second < 0 || p.us < 0;
        if (!any)
            before = minus;
        else if (minus != before)
            ox_text_adds(to, " -");
        if (!any || minus == before)
            ox_text_adds(to, " ");
        put_seconds(llabs(p.second), llabs(p.us), to, false);
        ox_text_addf(to, " sec%s", llabs(p.second) != 1 || p.us != 0 ? "s" : "");
        any = true;
    }
    if (!any)
        ox_text_adds(to, " 0");
    if (before)
        ox_text_adds(to, " ago");
}

static void
out_iso(const struct interval *s, struct text *to)
{
    struct parts p = split(s->us);
    if (s->months == 0 && s->days == 0 && s->us == 0) {
        ox_text_adds(to, "PT0S");
        return;
    }
    ox_text_addc(to, 'P');
    if (s->months / 12)
        ox_text_addf(to, "%dY", s->months / 12);
    if (s->months % 12)
        ox_text_addf(to, "%dM", s->months % 12);
    if (s->days)
        ox_text_addf(to, "%dD", s->days);
    if (s->us == 0)
        return;
    ox_text_addc(to, 'T');
    if (p.hour)
        ox_text_addf(to, "%lldH", (long long)p.hour);
    if (p.minute)
        ox_text_addf(to, "%lldM", (long long)p.minute);
    if (p.second || p.us) {
        if (p.second < 0 || p.us < 0)
            ox_text_addc(to, '-');
        put_seconds(llabs(p.second), llabs(p.us), to, false);
        ox_text_addc(to, 'S');
    }
}

static void
out_sql(const struct interval *s, struct text *to)
{
    bool neg = s->months < 0 || s->days < 0 || s->us < 0;
    bool pos = s->months > 0 || s->days > 0 || s->us > 0;
    bool year_month = s->months != 0, day_time = s->days != 0 || s->us != 0;
    struct interval v = *s;
    if (!neg && !pos) {
        ox_text_adds(to, "0");
        return;
    }
    if ((neg && pos) || (year_month && day_time)) {
        struct parts p = split(v.us);
        ox_text_addf(to, "%c%d-%d %c%lld %c%lld:%02lld:", v.months < 0 ? '-' : '+',
            abs(v.months / 12), abs(v.months % 12), v.days < 0 ? '-' : '+', llabs(v.days),
            v.us < 0 ? '-' : '+', llabs(p.hour), llabs(p.minute));
        put_seconds(llabs(p.second), llabs(p.us), to, true);
        return;
    }
    if (neg) {
        ox_text_addc(to, '-');
        v = (struct interval){-v.us, -v.days, -v.months};
    }
    struct parts p = split(v.us);
    if (year_month) {
        ox_text_addf(to, "%d-%d", v.months / 12, v.months % 12);
        return;
    }
    if (v.days)
        ox_text_addf(to, "%d ", v.days);
    ox_text_addf(to, "%lld:%02lld:", (long long)p.hour, (long long)p.minute);
    put_seconds(p.second, p.us, to, true);
}

void
interval_out(const struct interval *span, const struct row_format *format, struct text *to)
{
    switch (format->interval_style) {
    case INTERVAL_POSTGRES_VERBOSE:
        out_verbose(span, to);
        break;
    case INTERVAL_SQL:
        out_sql(span, to);
        break;
    case INTERVAL_ISO:
        out_iso(span, to);
        break;
    default:
        out_postgres(span, to);
        break;
    }
}

ox_code
timestamp_add_interval(int64_t us, const struct interval *span, const struct timezone *tz,
    bool zoned, int64_t *out, struct ox_err *err)
{
    *out = us;
    if (us == TIME_INF || us == TIME_NINF)
        return OX_OK;
    if (span->months != 0 || span->days != 0) {
        int64_t local = us + (zoned ? timezone_offset(tz, us, NULL) * US_SEC : 0);
        struct civil c;
        civil_from_us(local, &c);
        if (span->months != 0) {
            int64_t months = (int64_t)c.year * 12 + c.month - 1 + span->months;
            int64_t year = months / 12 - (months % 12 < 0);
            if (year > 300000 || year < -5000)
                return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
            c.year = (int32_t)year;
            c.month = (int)(months - year * 12) + 1;
            c.day = OX_MIN(c.day, civil_month_days(c.year, c.month));
        }
        int64_t days = civil_to_days(c.year, c.month, c.day) + span->days;
        if (days < DATE_MIN_DAYS - 1 || days > 106751991)
            return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        local = days * US_DAY + c.hour * US_HOUR + c.minute * US_MIN + c.second * US_SEC + c.us;
        us = zoned ? timezone_to_utc(tz, local) : local;
    }
    if (__builtin_add_overflow(us, span->us, &us) || us == TIME_INF || us == TIME_NINF)
        return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    *out = us;
    return timestamp_check(us, err);
}
