/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of time functions (func_time*.c) share. */
#ifndef EXEC_FUNC_TIME_H
#define EXEC_FUNC_TIME_H

#include "exec/expr_int.h"

static inline bool
infinite(int64_t us)
{
    return us == TIME_INF || us == TIME_NINF;
}

/* The session's. */
static inline const struct timezone *
zone(const struct call *call)
{
    return call_format(call)->tz;
}

/* A zone by the name that a query says. Fails: OX_INVALID_PARAMETER_VALUE */
ox_code time_zone_named(struct call *call, struct str name, const struct timezone **out);
/* Fails: OX_DATETIME_FIELD_OVERFLOW */
ox_code date_check(struct call *call, int64_t days);
/* Midnight of a day; zoned: there. Fails: OX_DATETIME_FIELD_OVERFLOW */
ox_code date_us(struct call *call, int64_t days, bool zoned, int64_t *us);

#endif
