/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of times: date_part() and extract(), date_trunc(), date_bin(). A field
 * is found by name for each row; names are few and short. */
#include <math.h>
#include <stdio.h>

#include "exec/func_time.h"

enum field {
    F_MICROSECONDS,
    F_MILLISECONDS,
    F_SECOND,
    F_MINUTE,
    F_HOUR,
    F_DAY,
    F_WEEK,
    F_MONTH,
    F_QUARTER,
    F_YEAR,
    F_DECADE,
    F_CENTURY,
    F_MILLENNIUM,
    F_DOW,
    F_ISODOW,
    F_DOY,
    F_ISOYEAR,
    F_EPOCH,
    F_JULIAN,
    F_TIMEZONE,
    F_TIMEZONE_H,
    F_TIMEZONE_M,
    F_NONE
};

static enum field
field_of(struct str name)
{
    static const struct {
        const char *name;
        enum field field;
    } names[] = {{"microseconds", F_MICROSECONDS}, {"microsecond", F_MICROSECONDS},
        {"us", F_MICROSECONDS}, {"usec", F_MICROSECONDS}, {"milliseconds", F_MILLISECONDS},
        {"millisecond", F_MILLISECONDS}, {"ms", F_MILLISECONDS}, {"msec", F_MILLISECONDS},
        {"second", F_SECOND}, {"seconds", F_SECOND}, {"sec", F_SECOND}, {"s", F_SECOND},
        {"minute", F_MINUTE}, {"minutes", F_MINUTE}, {"min", F_MINUTE}, {"m", F_MINUTE},
        {"hour", F_HOUR}, {"hours", F_HOUR}, {"h", F_HOUR}, {"hr", F_HOUR}, {"day", F_DAY},
        {"days", F_DAY}, {"d", F_DAY}, {"week", F_WEEK}, {"weeks", F_WEEK}, {"w", F_WEEK},
        {"month", F_MONTH}, {"months", F_MONTH}, {"mon", F_MONTH}, {"quarter", F_QUARTER},
        {"qtr", F_QUARTER}, {"year", F_YEAR}, {"years", F_YEAR}, {"y", F_YEAR},
        {"decade", F_DECADE}, {"decades", F_DECADE}, {"century", F_CENTURY},
        {"centuries", F_CENTURY}, {"c", F_CENTURY}, {"millennium", F_MILLENNIUM},
        {"millennia", F_MILLENNIUM}, {"mil", F_MILLENNIUM}, {"dow", F_DOW}, {"isodow", F_ISODOW},
        {"doy", F_DOY}, {"isoyear", F_ISOYEAR}, {"epoch", F_EPOCH}, {"julian", F_JULIAN},
        {"j", F_JULIAN}, {"timezone", F_TIMEZONE}, {"timezone_hour", F_TIMEZONE_H},
        {"timezone_minute", F_TIMEZONE_M}, {"timezone_h", F_TIMEZONE_H},
        {"timezone_m", F_TIMEZONE_M}};
    for (size_t i = 0; i < ox_count(names); i++)
        if (ox_str_ieq(name, ox_str(names[i].name)))
            return names[i].field;
    return F_NONE;
}

static ox_code
bad_field(struct call *call, struct str name, uint32_t arg)
{
    bool known = field_of(name) != F_NONE;
    return call_fail(call, known ? OX_FEATURE_NOT_SUPPORTED : OX_INVALID_PARAMETER_VALUE,
        "unit \"%.*s\" not %s for type %s", OX_STR_ARG(name), known ? "supported" : "recognized",
        type_facts(call->types[arg])->sql);
}

/* value / 10^scale; scale -1: days of the Julian calendar, value being microseconds;
 * 100 and -100: infinite; none: there is no such field of infinity. */
struct part {
    __int128 value; /* the epoch of the last days that there are is beyond 64 bits */
    int scale;
    bool none;
};

static int64_t
decade_of(int64_t year)
{
    return floor_div(year, 10);
}

static int64_t
century_of(int64_t year, int64_t n)
{
    return year > 0 ? (year + n - 1) / n : -((n - year) / n);
}

static bool
clock_part(enum field field, int64_t us_of_minute, int64_t minute, int64_t hour, struct part *out)
{
    switch (field) {
    case F_MICROSECONDS:
        *out = (struct part){us_of_minute, 0, false};
        return true;
    case F_MILLISECONDS:
        *out = (struct part){us_of_minute, 3, false};
        return true;
    case F_SECOND:
        *out = (struct part){us_of_minute, 6, false};
        return true;
    case F_MINUTE:
        *out = (struct part){minute, 0, false};
        return true;
    case F_HOUR:
        *out = (struct part){hour, 0, false};
        return true;
    default:
        return false;
    }
}

/* A field of the calendar day; false: it is none. */
static bool
day_part(enum field field, const struct civil *c, int64_t days, struct part *out)
{
    int iso_year, week;
    switch (field) {
    case F_DAY:
        out->value = c->day;
        return true;
    case F_MONTH:
        out->value = c->month;
        return true;
    case F_QUARTER:
        out->value = (c->month - 1) / 3 + 1;
        return true;
    case F_YEAR:
        out->value = c->year > 0 ? c->year : c->year - 1;
        return true;
    case F_DECADE:
        out->value = decade_of(c->year);
        return true;
    case F_CENTURY:
        out->value = century_of(c->year, 100);
        return true;
    case F_MILLENNIUM:
        out->value = century_of(c->year, 1000);
        return true;
    case F_DOW:
        out->value = civil_weekday(days);
        return true;
    case F_ISODOW:
        out->value = civil_weekday(days) == 0 ? 7 : civil_weekday(days);
        return true;
    case F_DOY:
        out->value = days - civil_to_days(c->year, 1, 1) + 1;
        return true;
    case F_WEEK:
        civil_iso_week(days, &iso_year, &week);
        out->value = week;
        return true;
    case F_ISOYEAR:
        civil_iso_week(days, &iso_year, &week);
        out->value = iso_year > 0 ? iso_year : iso_year - 1;
        return true;
    default:
        return false;
    }
}

/* Fields that grow for ever are infinite, others are not there. */
static void
infinite_part(enum field field, int64_t us, struct part *out)
{
    bool rising = field == F_YEAR || field == F_DECADE || field == F_CENTURY ||
                  field == F_MILLENNIUM || field == F_JULIAN || field == F_ISOYEAR ||
                  field == F_EPOCH;
    out->none = !rising;
    out->scale = rising ? (us == TIME_INF ? 100 : -100) : 0;
}

static ox_code
timestamp_part(struct call *call, enum field field, int64_t us, struct str name, struct part *out)
{
    bool zoned = call->types[1].id == TYPE_TIMESTAMPTZ;
    *out = (struct part){0, 0, false};
    if (infinite(us)) {
        infinite_part(field, us, out);
        return field == F_NONE ? bad_field(call, name, 1) : OX_OK;
    }
    int32_t offset = zoned ? timezone_offset(zone(call), us, NULL) : 0;
    int64_t wall = us + offset * US_SEC, days = floor_div(wall, US_DAY);
    struct civil c;
    civil_from_us(wall, &c);
    if (clock_part(field, c.second * US_SEC + c.us, c.minute, c.hour, out))
        return OX_OK;
    if (day_part(field, &c, days, out))
        return OX_OK;
    switch (field) {
    case F_EPOCH:
        *out = (struct part){(__int128)us + ROW_EPOCH_UNIX_S * US_SEC, 6, false};
        break;
    case F_JULIAN:
        out->value = days + 2451545;
        if (wall % US_DAY != 0)
            *out = (struct part){wall, -1, false}; /* with a fraction */
        break;
    case F_TIMEZONE:
    case F_TIMEZONE_H:
    case F_TIMEZONE_M:
        if (!zoned)
            return bad_field(call, name, 1);
        out->value = field == F_TIMEZONE     ? offset
                     : field == F_TIMEZONE_H ? offset / 3600
                                             : offset / 60 % 60;
        break;
    default:
        return bad_field(call, name, 1);
    }
    return OX_OK;
}

/* There are dates beyond the last timestamp. */
static ox_code
date_field(
    struct call *call, enum field field, int64_t date, struct str name, struct part *out)
{
    bool finite = date != DATE_INF && date != DATE_NINF;
    int64_t days = finite ? date : 0;
    struct civil c = {0};
    *out = (struct part){0, 0, false};
    civil_from_days(days, &c.year, &c.month, &c.day);
    if (field == F_EPOCH)
        out->value = days * 86400 + ROW_EPOCH_UNIX_S;
    else if (field == F_JULIAN)
        out->value = days + 2451545;
    else if (!day_part(field, &c, days, out))
        return bad_field(call, name, 1);
    if (!finite)
        infinite_part(field, date == DATE_INF ? TIME_INF : TIME_NINF, out);
    return OX_OK;
}

static ox_code
interval_part(
    struct call *call, enum field field, struct interval v, struct str name, struct part *out)
{
    int64_t hour = v.us / US_HOUR, rest = v.us % US_HOUR, minute = rest / US_MIN;
    *out = (struct part){0, 0, false};
    if (clock_part(field, rest % US_MIN, minute, hour, out))
        return OX_OK;
    int64_t years = v.months / 12;
    switch (field) {
    case F_DAY:
        out->value = v.days;
        break;
    case F_MONTH:
        out->value = v.months % 12;
        break;
    case F_QUARTER:
        out->value = v.months % 12 / 3 + 1;
        break;
    case F_YEAR:
        out->value = years;
        break;
    case F_DECADE:
        out->value = years / 10;
        break;
    case F_CENTURY:
        out->value = years / 100;
        break;
    case F_MILLENNIUM:
        out->value = years / 1000;
        break;
    case F_EPOCH: {
        /* a year has 365.25 days here */
        __int128 s = (__int128)years * 31557600 + (__int128)(v.months % 12) * 2592000 +
                     (__int128)v.days * 86400;
        *out = (struct part){s * 1000000 + v.us, 6, false};
        break;
    }
    default:
        return bad_field(call, name, 1);
    }
    return OX_OK;
}

static ox_code
part_of(struct call *call, const struct datum *args, struct part *out)
{
    enum field field = field_of(args[0].s);
    switch (call->types[1].id) {
    case TYPE_INTERVAL:
        return interval_part(call, field, datum_interval(&args[1]), args[0].s, out);
    case TYPE_TIME: {
        int64_t us = args[1].i;
        if (clock_part(field, us % US_MIN, us / US_MIN % 60, us / US_HOUR, out))
            return OX_OK;
        if (field != F_EPOCH)
            return bad_field(call, args[0].s, 1);
        *out = (struct part){us, 6, false};
        return OX_OK;
    }
    case TYPE_DATE:
        return date_field(call, field, args[1].i, args[0].s, out);
    default:
        return timestamp_part(call, field, args[1].i, args[0].s, out);
    }
}

ox_code
time_part(struct call *call, const struct datum *args, struct datum *out)
{
    struct part part = {0, 0, false};
    struct type types[2] = {call->types[0], call->types[1]};
    struct call as_timestamp = *call;
    struct datum values[2] = {args[0], args[1]};
    if (types[1].id == TYPE_DATE) { /* only extract() knows dates */
        ox_code failed = date_us(call, args[1].i, false, &values[1].i);
        if (failed != OX_OK)
            return failed;
        types[1].id = TYPE_TIMESTAMP;
    }
    as_timestamp.types = types;
    ox_code code = part_of(&as_timestamp, values, &part);
    out->null = part.none;
    if (code != OX_OK || out->null)
        return code;
    if (part.scale == 100 || part.scale == -100)
        out->f = part.scale > 0 ? (double)INFINITY : -(double)INFINITY;
    else if (part.scale == -1)
        out->f = (double)(floor_div((int64_t)part.value, US_DAY) + 2451545) +
                 (double)(part.value - floor_div((int64_t)part.value, US_DAY) * US_DAY) /
                     (double)US_DAY;
    else
        out->f = (double)part.value / (part.scale == 6 ? 1e6 : part.scale == 3 ? 1e3 : 1);
    return OX_OK;
}

static struct str
decimal(struct arena *arena, __int128 value, int scale)
{
    char text[40];
    int64_t unit = scale == 6 ? 1000000 : 1000;
    __int128 a = value < 0 ? -value : value;
    int len = snprintf(text, sizeof(text), "%s%llu.%0*llu", value < 0 ? "-" : "",
        (unsigned long long)(a / unit), scale, (unsigned long long)(a % unit));
    struct str num = OX_STR_NULL;
    numeric_in(ox_str_n(text, (size_t)len), -1, arena, &num, NULL);
    return num;
}

ox_code
time_extract(struct call *call, const struct datum *args, struct datum *out)
{
    struct part part = {0, 0, false};
    ox_code code = part_of(call, args, &part);
    out->null = part.none;
    if (code != OX_OK || out->null)
        return code;
    if (part.scale == 100 || part.scale == -100) {
        out->s = numeric_from_f64(
            part.scale > 0 ? (double)INFINITY : -(double)INFINITY, 15, call->arena);
    } else if (part.scale == -1) {
        struct str day = numeric_from_i64(US_DAY, call->arena), fraction;
        int64_t days = floor_div(part.value, US_DAY);
        code = numeric_div(numeric_from_i64(part.value - days * US_DAY, call->arena), day,
            call->arena, &fraction, call->err);
        if (code == OX_OK)
            code = numeric_add(numeric_from_i64(days + 2451545, call->arena), fraction, call->arena,
                &out->s, call->err);
    } else {
        out->s = part.scale == 0 ? numeric_from_i64((int64_t)part.value, call->arena)
                                 : decimal(call->arena, part.value, part.scale);
    }
    return code;
}

/* ---- truncation ---- */

static int64_t
trunc_year(int64_t year, int64_t n)
{
    return year > 0 ? (year - 1) / n * n + 1 : -((n - 1 - (year - 1)) / n) * n + 1;
}

/* Microseconds of the clock below the field; false: it is no field of the clock. */
static bool
clock_rest(enum field field, const struct civil *c, int64_t *rest)
{
    switch (field) {
    case F_MICROSECONDS:
        *rest = 0;
        return true;
    case F_MILLISECONDS:
        *rest = c->us % 1000;
        return true;
    case F_SECOND:
        *rest = c->us;
        return true;
    case F_MINUTE:
        *rest = c->second * US_SEC + c->us;
        return true;
    case F_HOUR:
        *rest = c->minute * US_MIN + c->second * US_SEC + c->us;
        return true;
    default:
        return false;
    }
}

/* The day's year, month and day become those of the first day of the field; false: it
 * is no field of the calendar. */
static bool
first_day(enum field field, struct civil *day)
{
    switch (field) {
    case F_DAY:
        return true;
    case F_WEEK: {
        int64_t days = civil_to_days(day->year, day->month, day->day);
        int64_t monday = days - (civil_weekday(days) + 6) % 7;
        civil_from_days(monday, &day->year, &day->month, &day->day);
        return true;
    }
    case F_MONTH:
        break;
    case F_QUARTER:
        day->month = (day->month - 1) / 3 * 3 + 1;
        break;
    case F_YEAR:
        day->month = 1;
        break;
    case F_DECADE:
        day->year = (int32_t)(decade_of(day->year) * 10);
        day->month = 1;
        break;
    case F_CENTURY:
        day->year = (int32_t)trunc_year(day->year, 100);
        day->month = 1;
        break;
    case F_MILLENNIUM:
        day->year = (int32_t)trunc_year(day->year, 1000);
        day->month = 1;
        break;
    default:
        return false;
    }
    day->day = 1;
    return true;
}

ox_code
time_trunc(struct call *call, const struct datum *args, struct datum *out)
{
    bool zoned = call->types[1].id == TYPE_TIMESTAMPTZ;
    const struct timezone *tz = zone(call);
    enum field field = field_of(args[0].s);
    ox_code code = call->nargs > 2 ? time_zone_named(call, args[2].s, &tz) : OX_OK;
    if (code != OX_OK)
        return code;
    if (field == F_NONE)
        return bad_field(call, args[0].s, 1);
    out->i = args[1].i;
    if (infinite(args[1].i))
        return OX_OK;
    int64_t rest, wall = args[1].i;
    if (zoned)
        wall += timezone_offset(tz, args[1].i, NULL) * US_SEC;
    struct civil c;
    civil_from_us(wall, &c);
    if (clock_rest(field, &c, &rest)) {
        out->i -= rest;
        return OX_OK;
    }
    struct civil day = {.year = c.year, .month = c.month, .day = c.day};
    if (!first_day(field, &day))
        return bad_field(call, args[0].s, 1);
    code = civil_to_us(&day, &out->i, call->err);
    if (code == OX_OK && zoned) /* the zone's offset may differ then */
        out->i = timezone_to_utc(tz, out->i);
    return code;
}

ox_code
interval_trunc(struct call *call, const struct datum *args, struct datum *out)
{
    struct interval v = datum_interval(&args[1]);
    int64_t keep = 0;
    enum field field = field_of(args[0].s);
    switch (field) {
    case F_MICROSECONDS:
        keep = 1;
        break;
    case F_MILLISECONDS:
        keep = 1000;
        break;
    case F_SECOND:
        keep = US_SEC;
        break;
    case F_MINUTE:
        keep = US_MIN;
        break;
    case F_HOUR:
        keep = US_HOUR;
        break;
    case F_DAY:
        break;
    case F_MONTH:
        v.days = 0;
        break;
    case F_QUARTER:
        v.days = 0;
        v.months = v.months / 3 * 3;
        break;
    case F_YEAR:
        v.days = 0;
        v.months = v.months / 12 * 12;
        break;
    case F_DECADE:
        v.days = 0;
        v.months = v.months / 120 * 120;
        break;
    case F_CENTURY:
        v.days = 0;
        v.months = v.months / 1200 * 1200;
        break;
    case F_MILLENNIUM:
        v.days = 0;
        v.months = v.months / 12000 * 12000;
        break;
    default:
        return bad_field(call, args[0].s, 1);
    }
    v.us = keep > 0 ? v.us / keep * keep : 0;
    give_interval(call->arena, v, out);
    return OX_OK;
}

ox_code
time_bin(struct call *call, const struct datum *args, struct datum *out)
{
    struct interval stride = datum_interval(&args[0]);
    int64_t step, delta;
    out->i = args[1].i;
    if (infinite(args[1].i))
        return OX_OK;
    if (infinite(args[2].i))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "origin out of range");
    if (stride.months != 0)
        return call_fail(call, OX_FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years");
    if (__builtin_mul_overflow((int64_t)stride.days, US_DAY, &step) ||
        __builtin_add_overflow(step, stride.us, &step))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    if (step <= 0)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "stride must be greater than zero");
    if (__builtin_sub_overflow(args[1].i, args[2].i, &delta))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    out->i = args[2].i + floor_div(delta, step) * step;
    return OX_OK;
}
