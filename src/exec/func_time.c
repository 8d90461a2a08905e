/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates, times and intervals: arithmetic, parts, truncation, zones. */
#include "exec/expr_int.h"

#include <math.h>
#include <stdio.h>

static inline int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline bool
infinite(int64_t us)
{
    return us == TIME_INF || us == TIME_NINF;
}

static const struct timezone *
zone(const struct call *call)
{
    return call_format(call)->tz;
}

static ox_code
date_check(struct call *call, int64_t days)
{
    if (days == DATE_INF || days == DATE_NINF || (days >= DATE_MIN_DAYS && days < DATE_END_DAYS))
        return OX_OK;
    return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "date out of range");
}

static ox_code
date_us(struct call *call, int64_t days, bool zoned, int64_t *us)
{
    if (days == DATE_INF || days == DATE_NINF) {
        *us = days == DATE_INF ? TIME_INF : TIME_NINF;
        return OX_OK;
    }
    if (days > 106751983)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "date out of range for timestamp");
    *us = days * US_DAY;
    if (zoned)
        *us = timezone_to_utc(zone(call), *us);
    return OX_OK;
}

/* ---- casts --------------------------------------------------------------------------- */

ox_code
date_to_timestamp(struct call *call, const struct datum *args, struct datum *out)
{
    return date_us(call, args[0].i, call->type.id == TYPE_TIMESTAMPTZ, &out->i);
}

ox_code
timestamp_to_zoned(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = infinite(args[0].i) ? args[0].i : timezone_to_utc(zone(call), args[0].i);
    return timestamp_check(out->i, call->err);
}

static int64_t
local(const struct call *call, int64_t us)
{
    return infinite(us) ? us : us + timezone_offset(zone(call), us, NULL) * US_SEC;
}

static int64_t
local_arg(const struct call *call, uint32_t i, int64_t us)
{
    return call->types[i].id == TYPE_TIMESTAMPTZ ? local(call, us) : us;
}

ox_code
zoned_to_timestamp(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = local(call, args[0].i);
    return OX_OK;
}

ox_code
timestamp_to_date(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t us = local_arg(call, 0, args[0].i);
    out->i = us == TIME_INF ? DATE_INF : us == TIME_NINF ? DATE_NINF : floor_div(us, US_DAY);
    return OX_OK;
}

ox_code
timestamp_to_time(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t us = local_arg(call, 0, args[0].i);
    out->null = infinite(us);
    if (!out->null)
        out->i = us - floor_div(us, US_DAY) * US_DAY;
    return OX_OK;
}

ox_code
time_to_interval(struct call *call, const struct datum *args, struct datum *out)
{
    give_interval(call->arena, (struct interval){args[0].i, 0, 0}, out);
    return OX_OK;
}

ox_code
interval_to_time(struct call *call, const struct datum *args, struct datum *out)
{
    struct interval v = datum_interval(&args[0]);
    out->i = v.us - floor_div(v.us, US_DAY) * US_DAY;
    return OX_OK;
}

/* ---- arithmetic --------------------------------------------------------------------------- */

ox_code
date_add_days(struct call *call, const struct datum *args, struct datum *out)
{
    bool swapped = call->types[1].id == TYPE_DATE;
    int64_t days = args[swapped].i, n = args[!swapped].i;
    out->i = days == DATE_INF || days == DATE_NINF ? days : days + n;
    return date_check(call, out->i);
}

ox_code
date_sub_days(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = args[0].i == DATE_INF || args[0].i == DATE_NINF ? args[0].i : args[0].i - args[1].i;
    return date_check(call, out->i);
}

ox_code
date_diff(struct call *call, const struct datum *args, struct datum *out)
{
    for (int i = 0; i < 2; i++)
        if (args[i].i == DATE_INF || args[i].i == DATE_NINF)
            return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates");
    out->i = args[0].i - args[1].i;
    return OX_OK;
}

static struct interval
negated(struct interval v)
{
    return (struct interval){-v.us, -v.days, -v.months};
}

static ox_code
add_span(struct call *call, int64_t us, struct interval span, bool zoned, struct datum *out)
{
    return timestamp_add_interval(us, &span, zone(call), zoned, &out->i, call->err);
}

ox_code
date_add_interval(struct call *call, const struct datum *args, struct datum *out)
{
    bool swapped = call->types[0].id == TYPE_INTERVAL;
    int64_t us = 0;
    ox_code code = date_us(call, args[swapped].i, false, &us);
    return code != OX_OK ? code : add_span(call, us, datum_interval(&args[!swapped]), false, out);
}

ox_code
date_sub_interval(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t us = 0;
    ox_code code = date_us(call, args[0].i, false, &us);
    return code != OX_OK ? code : add_span(call, us, negated(datum_interval(&args[1])), false, out);
}

ox_code
date_add_time(struct call *call, const struct datum *args, struct datum *out)
{
    bool swapped = call->types[0].id == TYPE_TIME;
    int64_t us = 0;
    ox_code code = date_us(call, args[swapped].i, false, &us);
    out->i = infinite(us) ? us : us + args[!swapped].i;
    return code;
}

ox_code
timestamp_add(struct call *call, const struct datum *args, struct datum *out)
{
    bool swapped = call->types[0].id == TYPE_INTERVAL;
    return add_span(call, args[swapped].i, datum_interval(&args[!swapped]),
        call->type.id == TYPE_TIMESTAMPTZ, out);
}

ox_code
timestamp_sub(struct call *call, const struct datum *args, struct datum *out)
{
    return add_span(
        call, args[0].i, negated(datum_interval(&args[1])), call->type.id == TYPE_TIMESTAMPTZ, out);
}

static struct interval
justify_hours(struct interval v)
{
    v.days += (int32_t)(v.us / US_DAY);
    v.us %= US_DAY;
    if (v.days > 0 && v.us < 0) {
        v.us += US_DAY;
        v.days--;
    } else if (v.days < 0 && v.us > 0) {
        v.us -= US_DAY;
        v.days++;
    }
    return v;
}

static struct interval
justify_days(struct interval v)
{
    v.months += v.days / 30;
    v.days %= 30;
    if (v.months > 0 && v.days < 0) {
        v.days += 30;
        v.months--;
    } else if (v.months < 0 && v.days > 0) {
        v.days -= 30;
        v.months++;
    }
    return v;
}

ox_code
timestamp_diff(struct call *call, const struct datum *args, struct datum *out)
{
    if (infinite(args[0].i) || infinite(args[1].i))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps");
    int64_t us = 0;
    if (__builtin_sub_overflow(args[0].i, args[1].i, &us))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    give_interval(call->arena, justify_hours((struct interval){us, 0, 0}), out);
    return OX_OK;
}

static int64_t
wrap_day(int64_t us)
{
    return us - floor_div(us, US_DAY) * US_DAY;
}

ox_code
time_add(struct call *call, const struct datum *args, struct datum *out)
{
    bool swapped = call->types[0].id == TYPE_INTERVAL;
    out->i = wrap_day(args[swapped].i + datum_interval(&args[!swapped]).us % US_DAY);
    return OX_OK;
}

ox_code
time_sub(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = wrap_day(args[0].i - datum_interval(&args[1]).us % US_DAY);
    return OX_OK;
}

ox_code
time_diff(struct call *call, const struct datum *args, struct datum *out)
{
    give_interval(call->arena, (struct interval){args[0].i - args[1].i, 0, 0}, out);
    return OX_OK;
}

static ox_code
interval_sum(struct call *call, struct interval a, struct interval b, struct datum *out)
{
    struct interval r;
    if (__builtin_add_overflow(a.us, b.us, &r.us) ||
        __builtin_add_overflow(a.days, b.days, &r.days) ||
        __builtin_add_overflow(a.months, b.months, &r.months))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    give_interval(call->arena, r, out);
    return OX_OK;
}

ox_code
interval_add(struct call *call, const struct datum *args, struct datum *out)
{
    return interval_sum(call, datum_interval(&args[0]), datum_interval(&args[1]), out);
}

ox_code
interval_sub(struct call *call, const struct datum *args, struct datum *out)
{
    return interval_sum(call, datum_interval(&args[0]), negated(datum_interval(&args[1])), out);
}

ox_code
interval_negate(struct call *call, const struct datum *args, struct datum *out)
{
    give_interval(call->arena, negated(datum_interval(&args[0])), out);
    return OX_OK;
}

/* Rounds away the noise that a product of doubles has below a microsecond. */
static double
cleaned(double v)
{
    return rint(v * 1e6) / 1e6;
}

static ox_code
interval_scale(struct call *call, struct interval v, double factor, bool divide, struct datum *out)
{
    struct interval r;
    double months = divide ? (double)v.months / factor : (double)v.months * factor;
    double days = divide ? (double)v.days / factor : (double)v.days * factor;
    if (isnan(months) || fabs(months) > INT32_MAX || isnan(days) || fabs(days) > INT32_MAX)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    r.months = (int32_t)months;
    r.days = (int32_t)days;
    double month_days = cleaned((months - r.months) * 30);
    double seconds = (days - r.days + month_days - (double)(int64_t)month_days) * 86400.0;
    seconds = cleaned(seconds);
    if (fabs(seconds) >= 86400) {
        r.days += (int32_t)(seconds / 86400);
        seconds -= (double)(int64_t)(seconds / 86400) * 86400;
    }
    r.days += (int32_t)month_days;
    double us = rint((divide ? (double)v.us / factor : (double)v.us * factor) + seconds * 1e6);
    if (isnan(us) || fabs(us) >= 9.2e18)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    r.us = (int64_t)us;
    give_interval(call->arena, r, out);
    return OX_OK;
}

ox_code
interval_mul(struct call *call, const struct datum *args, struct datum *out)
{
    bool swapped = call->types[1].id == TYPE_INTERVAL;
    return interval_scale(call, datum_interval(&args[swapped]), args[!swapped].f, false, out);
}

ox_code
interval_div(struct call *call, const struct datum *args, struct datum *out)
{
    if (args[1].f == 0)
        return ox_fail_plain(call->err, OX_DIVISION_BY_ZERO);
    return interval_scale(call, datum_interval(&args[0]), args[1].f, true, out);
}

ox_code
interval_justify_hours(struct call *call, const struct datum *args, struct datum *out)
{
    give_interval(call->arena, justify_hours(datum_interval(&args[0])), out);
    return OX_OK;
}

ox_code
interval_justify_days(struct call *call, const struct datum *args, struct datum *out)
{
    give_interval(call->arena, justify_days(datum_interval(&args[0])), out);
    return OX_OK;
}

ox_code
interval_justify(struct call *call, const struct datum *args, struct datum *out)
{
    struct interval v = datum_interval(&args[0]);
    v.days += (int32_t)(v.us / US_DAY);
    v.us %= US_DAY;
    v.months += v.days / 30;
    v.days %= 30;
    if (v.months > 0 && (v.days < 0 || (v.days == 0 && v.us < 0))) {
        v.days += 30;
        v.months--;
    } else if (v.months < 0 && (v.days > 0 || (v.days == 0 && v.us > 0))) {
        v.days -= 30;
        v.months++;
    }
    if (v.days > 0 && v.us < 0) {
        v.us += US_DAY;
        v.days--;
    } else if (v.days < 0 && v.us > 0) {
        v.us -= US_DAY;
        v.days++;
    }
    give_interval(call->arena, v, out);
    return OX_OK;
}

/* ---- now --------------------------------------------------------------------------------------
 */

static int64_t
rounded(const struct call *call, const struct datum *args, int64_t us)
{
    return call->nargs > 0 ? timestamp_round(us, (int32_t)OX_MAX(args[0].i, 0)) : us;
}

ox_code
time_now(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = rounded(call, args, call->eval->config->now_us);
    return OX_OK;
}

ox_code
time_statement(struct call *call, const struct datum *args, struct datum *out)
{
    const struct eval_config *config = call->eval->config;
    out->i = config->statement_us != 0 ? config->statement_us : config->now_us;
    return OX_OK;
}

static int64_t
clock_us(const struct call *call)
{
    const struct env *env = call->eval->config->env;
    return row_us_from_unix_ms(env_wall_ms(env != NULL ? env : env_os()));
}

ox_code
time_clock(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = clock_us(call);
    return OX_OK;
}

ox_code
time_of_day(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t us = clock_us(call);
    const char *abbrev;
    struct civil c;
    us += timezone_offset(zone(call), us, &abbrev) * US_SEC;
    civil_from_us(us, &c);
    char *to = call_alloc(call, 64);
    out->s =
        ox_str_n(to, (size_t)snprintf(to, 64, "%.3s %.3s %02d %02d:%02d:%02d.%06d %d %s",
                         day_names[civil_weekday(floor_div(us, US_DAY))], month_names[c.month - 1],
                         c.day, c.hour, c.minute, c.second, c.us, c.year, abbrev));
    return OX_OK;
}

ox_code
time_current_date(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = floor_div(local(call, call->eval->config->now_us), US_DAY);
    return OX_OK;
}

ox_code
time_localtimestamp(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = rounded(call, args, local(call, call->eval->config->now_us));
    return OX_OK;
}

ox_code
time_localtime(struct call *call, const struct datum *args, struct datum *out)
{
    out->i = wrap_day(local(call, call->eval->config->now_us));
    return OX_OK;
}

/* ---- fields -------------------------------------------------------------------------------------
 */

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

/* value / 10^scale */
struct part {
    int64_t value;
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

static ox_code
timestamp_part(struct call *call, enum field field, int64_t us, struct str name, struct part *out)
{
    bool zoned = call->types[1].id == TYPE_TIMESTAMPTZ, date = call->types[1].id == TYPE_DATE;
    int32_t offset = zoned && !infinite(us) ? timezone_offset(zone(call), us, NULL) : 0;
    *out = (struct part){0, 0, false};
    if (infinite(us)) {
        bool rising = field == F_YEAR || field == F_DECADE || field == F_CENTURY ||
                      field == F_MILLENNIUM || field == F_JULIAN || field == F_ISOYEAR ||
                      field == F_EPOCH;
        out->none = !rising;
        out->scale = rising ? (us == TIME_INF ? 100 : -100) : 0;
        return field == F_NONE ? bad_field(call, name, 1) : OX_OK;
    }
    int64_t wall = us + offset * US_SEC, days = floor_div(wall, US_DAY);
    struct civil c;
    civil_from_us(wall, &c);
    int iso_year, week;
    if (!date && clock_part(field, c.second * US_SEC + c.us, c.minute, c.hour, out))
        return OX_OK;
    switch (field) {
    case F_DAY:
        out->value = c.day;
        break;
    case F_MONTH:
        out->value = c.month;
        break;
    case F_QUARTER:
        out->value = (c.month - 1) / 3 + 1;
        break;
    case F_YEAR:
        out->value = c.year > 0 ? c.year : c.year - 1;
        break;
    case F_DECADE:
        out->value = decade_of(c.year);
        break;
    case F_CENTURY:
        out->value = century_of(c.year, 100);
        break;
    case F_MILLENNIUM:
        out->value = century_of(c.year, 1000);
        break;
    case F_DOW:
        out->value = civil_weekday(days);
        break;
    case F_ISODOW:
        out->value = civil_weekday(days) == 0 ? 7 : civil_weekday(days);
        break;
    case F_DOY:
        out->value = days - civil_to_days(c.year, 1, 1) + 1;
        break;
    case F_WEEK:
        civil_iso_week(days, &iso_year, &week);
        out->value = week;
        break;
    case F_ISOYEAR:
        civil_iso_week(days, &iso_year, &week);
        out->value = iso_year > 0 ? iso_year : iso_year - 1;
        break;
    case F_EPOCH:
        *out = (struct part){us + ROW_EPOCH_UNIX_S * US_SEC, 6, false};
        if (date)
            *out = (struct part){days * 86400 + ROW_EPOCH_UNIX_S, 0, false};
        break;
    case F_JULIAN:
        out->value = days + 2451545;
        if (!date && wall % US_DAY != 0)
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
        __int128 us = s * 1000000 + v.us;
        if (us > INT64_MAX || us < INT64_MIN)
            return call_fail(call, OX_NUMERIC_VALUE_OUT_OF_RANGE, "interval out of range");
        *out = (struct part){(int64_t)us, 6, false};
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
    case TYPE_DATE: {
        int64_t us = args[1].i == DATE_INF    ? TIME_INF
                     : args[1].i == DATE_NINF ? TIME_NINF
                                              : args[1].i * US_DAY;
        return timestamp_part(call, field, us, args[0].s, out);
    }
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
        out->f = (double)(floor_div(part.value, US_DAY) + 2451545) +
                 (double)(part.value - floor_div(part.value, US_DAY) * US_DAY) / (double)US_DAY;
    else
        out->f = (double)part.value / (part.scale == 6 ? 1e6 : part.scale == 3 ? 1e3 : 1);
    return OX_OK;
}

static struct str
decimal(struct arena *arena, int64_t value, int scale)
{
    char text[40];
    int64_t unit = scale == 6 ? 1000000 : 1000;
    uint64_t a = value < 0 ? -(uint64_t)value : (uint64_t)value;
    int len = snprintf(text, sizeof(text), "%s%llu.%0*llu", value < 0 ? "-" : "",
        (unsigned long long)(a / (uint64_t)unit), scale, (unsigned long long)(a % (uint64_t)unit));
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
        out->s = part.scale == 0 ? numeric_from_i64(part.value, call->arena)
                                 : decimal(call->arena, part.value, part.scale);
    }
    return code;
}

/* ---- truncation
 * ------------------------------------------------------------------------------------ */

static int64_t
trunc_year(int64_t year, int64_t n)
{
    return year > 0 ? (year - 1) / n * n + 1 : -((n - 1 - (year - 1)) / n) * n + 1;
}

ox_code
time_trunc(struct call *call, const struct datum *args, struct datum *out)
{
    bool zoned = call->types[1].id == TYPE_TIMESTAMPTZ;
    const struct timezone *tz = zone(call);
    enum field field = field_of(args[0].s);
    if (call->nargs > 2 && (tz = timezone_find_spoken(args[2].s)) == NULL)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "time zone \"%.*s\" not recognized",
            OX_STR_ARG(args[2].s));
    if (field == F_NONE)
        return bad_field(call, args[0].s, 1);
    out->i = args[1].i;
    if (infinite(args[1].i))
        return OX_OK;
    int32_t offset = zoned ? timezone_offset(tz, args[1].i, NULL) : 0;
    int64_t wall = args[1].i + offset * US_SEC, days = floor_div(wall, US_DAY);
    struct civil c;
    civil_from_us(wall, &c);
    struct civil day = {.year = c.year, .month = c.month, .day = c.day};
    bool redo = true; /* the zone's offset may differ at the truncated time */
    switch (field) {
    case F_MICROSECONDS:
        return OX_OK;
    case F_MILLISECONDS:
        out->i -= c.us % 1000;
        return OX_OK;
    case F_SECOND:
        out->i -= c.us;
        return OX_OK;
    case F_MINUTE:
        out->i -= c.second * US_SEC + c.us;
        return OX_OK;
    case F_HOUR:
        out->i -= c.minute * US_MIN + c.second * US_SEC + c.us;
        return OX_OK;
    case F_DAY:
        break;
    case F_WEEK: {
        int64_t monday = days - (civil_weekday(days) + 6) % 7;
        civil_from_days(monday, &day.year, &day.month, &day.day);
        break;
    }
    case F_MILLENNIUM:
        day.year = (int32_t)trunc_year(c.year, 1000);
        day.month = day.day = 1;
        break;
    case F_CENTURY:
        day.year = (int32_t)trunc_year(c.year, 100);
        day.month = day.day = 1;
        break;
    case F_DECADE:
        day.year = (int32_t)(decade_of(c.year) * 10);
        day.month = day.day = 1;
        break;
    case F_YEAR:
        day.month = day.day = 1;
        break;
    case F_QUARTER:
        day.month = (c.month - 1) / 3 * 3 + 1;
        day.day = 1;
        break;
    case F_MONTH:
        day.day = 1;
        break;
    default:
        return bad_field(call, args[0].s, 1);
    }
    ox_code code = civil_to_us(&day, &out->i, call->err);
    if (code == OX_OK && zoned && redo)
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

/* ---- age, makers
 * ---------------------------------------------------------------------------------- */

ox_code
time_age(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t a = args[0].i, b = call->nargs > 1 ? args[1].i : args[0].i;
    bool zoned = call->types[0].id == TYPE_TIMESTAMPTZ;
    if (call->nargs == 1) {
        a = floor_div(local(call, call->eval->config->now_us), US_DAY) * US_DAY;
        if (zoned)
            a = timezone_to_utc(zone(call), a);
    }
    if (infinite(a) || infinite(b))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    if (zoned) {
        a = local(call, a);
        b = local(call, b);
    }
    bool negative = a < b;
    struct civil x, y;
    civil_from_us(negative ? b : a, &x);
    civil_from_us(negative ? a : b, &y);
    int64_t us = (x.hour - y.hour) * US_HOUR + (x.minute - y.minute) * US_MIN +
                 (x.second - y.second) * US_SEC + (x.us - y.us);
    int32_t days = x.day - y.day, months = x.month - y.month, years = x.year - y.year;
    if (us < 0) {
        us += US_DAY;
        days--;
    }
    while (days < 0) {
        /* borrow the days of the earlier date's month */
        days += civil_month_days(y.year, y.month);
        months--;
    }
    if (months < 0) {
        months += 12;
        years--;
    }
    struct interval v = {us, days, years * 12 + months};
    give_interval(call->arena, negative ? negated(v) : v, out);
    return OX_OK;
}

static ox_code
make_days(struct call *call, const struct datum *args, int64_t *days)
{
    int64_t year = args[0].i;
    if (year < 0)
        year++;
    if (args[0].i == 0 || year > 5874897 || year < -4713 || args[1].i < 1 || args[1].i > 12 ||
        args[2].i < 1 || args[2].i > 31 || !civil_valid(year, (int)args[1].i, (int)args[2].i))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW,
            "date field value out of range: %lld-%02lld-%02lld", (long long)args[0].i,
            (long long)args[1].i, (long long)args[2].i);
    *days = civil_to_days(year, (int)args[1].i, (int)args[2].i);
    return date_check(call, *days);
}

static ox_code
make_time(struct call *call, const struct datum *args, int64_t *us)
{
    double s = args[2].f;
    bool bad = args[0].i < 0 || args[0].i > 24 || args[1].i < 0 || args[1].i > 59 || isnan(s) ||
               s < 0 || s > 60 || (args[0].i == 24 && (args[1].i > 0 || s > 0));
    if (bad)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW,
            "time field value out of range: %lld:%02lld:%02g", (long long)args[0].i,
            (long long)args[1].i, s);
    *us = args[0].i * US_HOUR + args[1].i * US_MIN + (int64_t)rint(s * 1e6);
    return OX_OK;
}

ox_code
time_make_date(struct call *call, const struct datum *args, struct datum *out)
{
    return make_days(call, args, &out->i);
}

ox_code
time_make_time(struct call *call, const struct datum *args, struct datum *out)
{
    return make_time(call, args, &out->i);
}

ox_code
time_make_timestamp(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t days, us;
    ox_code code = make_days(call, args, &days);
    if (code == OX_OK)
        code = make_time(call, args + 3, &us);
    if (code != OX_OK)
        return code;
    if (days > 106751983)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    out->i = days * US_DAY + us;
    const struct timezone *tz = zone(call);
    if (call->nargs > 6 && (tz = timezone_find_spoken(args[6].s)) == NULL)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "time zone \"%.*s\" not recognized",
            OX_STR_ARG(args[6].s));
    if (call->type.id == TYPE_TIMESTAMPTZ)
        out->i = timezone_to_utc(tz, out->i);
    return timestamp_check(out->i, call->err);
}

ox_code
time_make_interval(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t v[6] = {0};
    for (uint32_t i = 0; i < call->nargs && i < 6; i++)
        v[i] = args[i].i;
    int64_t months = v[0] * 12 + v[1], days = v[2] * 7 + v[3];
    if (months != (int32_t)months || days != (int32_t)days)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    give_interval(call->arena,
        (struct interval){v[4] * US_HOUR + v[5] * US_MIN, (int32_t)days, (int32_t)months}, out);
    return OX_OK;
}

ox_code
time_make_interval_seconds(struct call *call, const struct datum *args, struct datum *out)
{
    struct call six = *call;
    six.nargs = 6;
    ox_code code = time_make_interval(&six, args, out);
    if (code != OX_OK)
        return code;
    struct interval v = datum_interval(out);
    double us = rint(args[6].f * 1e6);
    if (!(us > -9.2e18 && us < 9.2e18) || __builtin_add_overflow(v.us, (int64_t)us, &v.us))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    give_interval(call->arena, v, out);
    return OX_OK;
}

ox_code
time_from_epoch(struct call *call, const struct datum *args, struct datum *out)
{
    double s = args[0].f;
    if (isnan(s))
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN");
    if (isinf(s)) {
        out->i = s > 0 ? TIME_INF : TIME_NINF;
        return OX_OK;
    }
    if (s < -210866803200.0 || s > 9224318016000.0)
        return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range: \"%g\"", s);
    out->i = (int64_t)rint((s - (double)ROW_EPOCH_UNIX_S) * 1e6);
    return timestamp_check(out->i, call->err);
}

ox_code
time_isfinite(struct call *call, const struct datum *args, struct datum *out)
{
    switch (call->types[0].id) {
    case TYPE_INTERVAL:
        out->b = true;
        break;
    case TYPE_DATE:
        out->b = args[0].i != DATE_INF && args[0].i != DATE_NINF;
        break;
    default:
        out->b = !infinite(args[0].i);
    }
    return OX_OK;
}

/* timezone(zone, t): what t AT TIME ZONE zone means. */
ox_code
time_at_zone(struct call *call, const struct datum *args, struct datum *out)
{
    int64_t us = args[1].i;
    bool to_local = call->types[1].id == TYPE_TIMESTAMPTZ;
    out->i = us;
    if (call->types[0].id == TYPE_INTERVAL) {
        struct interval v = datum_interval(&args[0]);
        if (v.months != 0 || v.days != 0)
            return call_fail(call, OX_INVALID_PARAMETER_VALUE,
                "interval time zone must not include months or days");
        if (!infinite(us))
            out->i = to_local ? us + v.us : us - v.us;
        return timestamp_check(out->i, call->err);
    }
    const struct timezone *tz = *call->state;
    if (tz == NULL || call->expr == NULL || call->expr->args[0]->kind != EXPR_CONST) {
        tz = timezone_find_spoken(args[0].s);
        if (tz == NULL)
            return call_fail(call, OX_INVALID_PARAMETER_VALUE, "time zone \"%.*s\" not recognized",
                OX_STR_ARG(args[0].s));
        *call->state = (void *)(uintptr_t)tz;
    }
    if (!infinite(us))
        out->i = to_local ? us + timezone_offset(tz, us, NULL) * US_SEC : timezone_to_utc(tz, us);
    return timestamp_check(out->i, call->err);
}

/* ---- OVERLAPS
 * ---------------------------------------------------------------------------------------- */

static void
overlaps(int64_t a, int64_t b, int64_t c, int64_t d, struct datum *out)
{
    if (a > b) {
        int64_t t = a;
        a = b;
        b = t;
    }
    if (c > d) {
        int64_t t = c;
        c = d;
        d = t;
    }
    out->b = a == c ? true : a > c ? a < d : c < b;
}

ox_code
time_overlaps(struct call *call, const struct datum *args, struct datum *out)
{
    for (int i = 0; i < 4; i++)
        out->null |= args[i].null;
    if (!out->null)
        overlaps(args[0].i, args[1].i, args[2].i, args[3].i, out);
    return OX_OK;
}

/* The other end of a period: given, or an interval away. */
static ox_code
period_end(struct call *call, const struct datum *args, int at, struct datum *out)
{
    *out = args[at + 1];
    if (call->types[at + 1].id != TYPE_INTERVAL)
        return OX_OK;
    struct interval span = datum_interval(&args[at + 1]);
    if (call->types[at].id != TYPE_TIME)
        return add_span(call, args[at].i, span, call->types[at].id == TYPE_TIMESTAMPTZ, out);
    const int64_t day = INT64_C(86400000000);
    out->i = ((args[at].i + span.us) % day + day) % day;
    return OX_OK;
}

ox_code
time_overlaps_span(struct call *call, const struct datum *args, struct datum *out)
{
    struct datum b = {.null = false}, d = {.null = false};
    ox_code code = period_end(call, args, 0, &b);
    if (code == OX_OK)
        code = period_end(call, args, 2, &d);
    if (code == OX_OK)
        overlaps(args[0].i, b.i, args[2].i, d.i, out);
    return code;
}
