/* SPDX-License-Identifier: Apache-2.0
 *
 * Times made from numbers: make_date() and its kin, to_timestamp(); and seen in
 * another zone. */
#include <math.h>

#include "exec/func_time.h"

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
    if (call->nargs > 6 && (code = time_zone_named(call, args[6].s, &tz)) != OX_OK)
        return code;
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
        if (!infinite(us) && (to_local ? __builtin_add_overflow(us, v.us, &out->i)
                                       : __builtin_sub_overflow(us, v.us, &out->i)))
            return call_fail(call, OX_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        return timestamp_check(out->i, call->err);
    }
    const struct timezone *tz = *call->state;
    if (tz == NULL || call->expr == NULL || call->expr->args[0]->kind != EXPR_CONST) {
        ox_code code = time_zone_named(call, args[0].s, &tz);
        if (code != OX_OK)
            return code;
        *call->state = (void *)(uintptr_t)tz;
    }
    if (!infinite(us))
        out->i = to_local ? us + timezone_offset(tz, us, NULL) * US_SEC : timezone_to_utc(tz, us);
    return timestamp_check(out->i, call->err);
}
