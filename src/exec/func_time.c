/* SPDX-License-Identifier: Apache-2.0
 *
 * Dates, times and intervals: casts, arithmetic, now, age, OVERLAPS. Their parts
 * are in func_time_part.c, what makes them in func_time_make.c. */
#include <math.h>
#include <stdio.h>

#include "exec/func_time.h"

ox_code
time_zone_named(struct call *call, struct str name, const struct timezone **out)
{
    *out = timezone_find_spoken(name);
    return *out != NULL ? OX_OK
                        : call_fail(call, OX_INVALID_PARAMETER_VALUE,
                              "time zone \"%.*s\" not recognized", OX_STR_ARG(name));
}

ox_code
date_check(struct call *call, int64_t days)
{
    if (days == DATE_INF || days == DATE_NINF || (days >= DATE_MIN_DAYS && days < DATE_END_DAYS))
        return OX_OK;
    return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "date out of range");
}

ox_code
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

ox_code
interval_scaled(struct interval v, double factor, bool divide, struct interval *out,
    struct ox_err *err)
{
    struct interval r;
    double months = divide ? (double)v.months / factor : (double)v.months * factor;
    double days = divide ? (double)v.days / factor : (double)v.days * factor;
    if (isnan(months) || fabs(months) > INT32_MAX || isnan(days) || fabs(days) > INT32_MAX)
        return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
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
        return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    r.us = (int64_t)us;
    *out = r;
    return OX_OK;
}

static ox_code
interval_scale(struct call *call, struct interval v, double factor, bool divide, struct datum *out)
{
    struct interval scaled;
    ox_code code = interval_scaled(v, factor, divide, &scaled, call->err);
    if (code == OX_OK)
        give_interval(call->arena, scaled, out);
    return code;
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

/* ---- now ---- */

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

/* ---- age ---- */

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

/* ---- OVERLAPS ---- */

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
    out->i = wrap_day(args[at].i + span.us);
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
