/* SPDX-License-Identifier: Apache-2.0
 *
 * Aggregate functions: counts, sums, averages, extremes, variances, collectors.
 * Each state is a plain struct that starts zeroed; what grows lives in the
 * call's arena. Every state can be merged and saved, so that a hash table may
 * spill it. */
#include "exec/expr_int.h"

#include <math.h>
#include <stdlib.h>

typedef ox_code (*row_fn)(
    struct agg_call *call, void *state, const struct datum *args, struct ox_err *err);

static inline bool
null_at(const struct vector *vec, uint32_t row)
{
    return vec->nulls != NULL && vec->nulls[vec->constant ? 0 : row];
}

/* Row by row; strict: rows with a null argument are skipped. */
static ox_code
step_rows(struct agg_call *call, void *const *states, void *one, const struct vector *args,
    const uint32_t *sel, uint32_t n, bool strict, row_fn fn, struct ox_err *err)
{
    struct datum values[4];
    for (uint32_t k = 0; k < n; k++) {
        bool skip = false;
        for (uint32_t i = 0; i < call->nargs && i < 4; i++) {
            values[i] = vector_get(&args[i], sel[k]);
            skip |= strict && values[i].null;
        }
        if (skip)
            continue;
        ox_code code = fn(call, states != NULL ? states[k] : one, values, err);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

ox_code
agg_step_one(struct agg_call *call, void *state, const struct vector *args, const uint32_t *sel,
    uint32_t n, struct ox_err *err)
{
    const struct agg_func *agg = call->func->agg;
    if (sel == NULL)
        sel = eval_all_rows;
    if (agg->step_one != NULL)
        return agg->step_one(call, state, args, sel, n, err);
    void *states[VECTOR_MAX];
    for (uint32_t k = 0; k < n; k++)
        states[k] = state;
    return agg->step(call, states, args, sel, n, err);
}

/* step and step_one of a row function. */
#define ROW_STEPS(NAME, STRICT)                                                                    \
    static ox_code NAME##_step(struct agg_call *call, void *const *states,                         \
        const struct vector *args, const uint32_t *sel, uint32_t n, struct ox_err *err)            \
    {                                                                                              \
        return step_rows(call, states, NULL, args, sel != NULL ? sel : eval_all_rows, n, STRICT,   \
            NAME##_row, err);                                                                      \
    }                                                                                              \
    static ox_code NAME##_step_one(struct agg_call *call, void *state, const struct vector *args,  \
        const uint32_t *sel, uint32_t n, struct ox_err *err)                                       \
    {                                                                                              \
        return step_rows(call, NULL, state, args, sel != NULL ? sel : eval_all_rows, n, STRICT,    \
            NAME##_row, err);                                                                      \
    }

/* A state without pointers is saved as its bytes. */
#define PLAIN_STATE(NAME, STRUCT)                                                                  \
    static void NAME##_init(struct agg_call *call, void *state)                                    \
    {                                                                                              \
        memset(state, 0, sizeof(struct STRUCT));                                                   \
    }                                                                                              \
    static void NAME##_save(struct agg_call *call, const void *state, struct wire_out *out)        \
    {                                                                                              \
        wire_put_bytes(out, state, sizeof(struct STRUCT));                                         \
    }                                                                                              \
    static ox_code NAME##_load(                                                                    \
        struct agg_call *call, void *state, struct wire_in *in, struct ox_err *err)                \
    {                                                                                              \
        const uint8_t *bytes = wire_skip(in, sizeof(struct STRUCT));                               \
        if (bytes == NULL)                                                                         \
            return ox_fail(err, OX_DATA_CORRUPTED, "saved aggregate is cut short");                \
        memcpy(state, bytes, sizeof(struct STRUCT));                                               \
        return OX_OK;                                                                              \
    }

/* ---- count -------------------------------------------------------------------------- */

struct count_state {
    int64_t count;
};
PLAIN_STATE(count, count_state)

static ox_code
count_all_step(struct agg_call *call, void *const *states, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    for (uint32_t k = 0; k < n; k++)
        ((struct count_state *)states[k])->count++;
    return OX_OK;
}

static ox_code
count_all_step_one(struct agg_call *call, void *state, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    ((struct count_state *)state)->count += n;
    return OX_OK;
}

static ox_code
count_step(struct agg_call *call, void *const *states, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    for (uint32_t k = 0; k < n; k++)
        ((struct count_state *)states[k])->count += !null_at(&args[0], sel != NULL ? sel[k] : k);
    return OX_OK;
}

static ox_code
count_step_one(struct agg_call *call, void *state, const struct vector *args, const uint32_t *sel,
    uint32_t n, struct ox_err *err)
{
    struct count_state *s = state;
    if (args[0].nulls == NULL) {
        s->count += n;
        return OX_OK;
    }
    for (uint32_t k = 0; k < n; k++)
        s->count += !null_at(&args[0], sel != NULL ? sel[k] : k);
    return OX_OK;
}

static ox_code
count_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    ((struct count_state *)into)->count += ((const struct count_state *)from)->count;
    return OX_OK;
}

static ox_code
count_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    *out = datum_i64(((const struct count_state *)state)->count);
    return OX_OK;
}

const struct agg_func agg_count_all = {sizeof(struct count_state), count_init, count_all_step,
    count_all_step_one, count_combine, count_final, count_save, count_load, false};
const struct agg_func agg_count = {sizeof(struct count_state), count_init, count_step,
    count_step_one, count_combine, count_final, count_save, count_load, false};

/* ---- sums of integers ------------------------------------------------------------------- */

struct int_sum {
    __int128 sum;
    int64_t count;
};
PLAIN_STATE(int_sum, int_sum)

static ox_code
int_sum_step(struct agg_call *call, void *const *states, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel != NULL ? sel[k] : k;
        struct int_sum *s = states[k];
        if (null_at(&args[0], r))
            continue;
        s->sum += AT(&args[0], i, r);
        s->count++;
    }
    return OX_OK;
}

static ox_code
int_sum_step_one(struct agg_call *call, void *state, const struct vector *args, const uint32_t *sel,
    uint32_t n, struct ox_err *err)
{
    struct int_sum *s = state;
    if (args[0].constant || args[0].nulls != NULL) {
        for (uint32_t k = 0; k < n; k++) {
            uint32_t r = sel != NULL ? sel[k] : k;
            if (null_at(&args[0], r))
                continue;
            s->sum += AT(&args[0], i, r);
            s->count++;
        }
        return OX_OK;
    }
    __int128 sum = 0;
    const int64_t *v = args[0].i;
    for (uint32_t k = 0; k < n; k++)
        sum += v[sel != NULL ? sel[k] : k];
    s->sum += sum;
    s->count += n;
    return OX_OK;
}

static ox_code
int_sum_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    struct int_sum *a = into;
    const struct int_sum *b = from;
    a->sum += b->sum;
    a->count += b->count;
    return OX_OK;
}

static ox_code
int_sum_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct int_sum *s = state;
    *out = (struct datum){.null = s->count == 0};
    if (s->count == 0)
        return OX_OK;
    if (call->type.id == TYPE_NUMERIC) {
        out->s = numeric_from_i128(s->sum, call->eval->arena);
        return OX_OK;
    }
    if (s->sum > INT64_MAX || s->sum < INT64_MIN)
        return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
    out->i = (int64_t)s->sum;
    return OX_OK;
}

static ox_code
int_avg_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct int_sum *s = state;
    struct arena *arena = call->eval->arena;
    *out = (struct datum){.null = s->count == 0};
    if (s->count == 0)
        return OX_OK;
    return numeric_div(
        numeric_from_i128(s->sum, arena), numeric_from_i64(s->count, arena), arena, &out->s, err);
}

const struct agg_func agg_sum_int = {sizeof(struct int_sum), int_sum_init, int_sum_step,
    int_sum_step_one, int_sum_combine, int_sum_final, int_sum_save, int_sum_load, false};
const struct agg_func agg_sum_int8 = {sizeof(struct int_sum), int_sum_init, int_sum_step,
    int_sum_step_one, int_sum_combine, int_sum_final, int_sum_save, int_sum_load, false};
const struct agg_func agg_avg_int = {sizeof(struct int_sum), int_sum_init, int_sum_step,
    int_sum_step_one, int_sum_combine, int_avg_final, int_sum_save, int_sum_load, false};

/* ---- floats: Youngs and Cramer's update, as PostgreSQL, for sums of squares ------------------ */

struct float_state {
    double n, sum, squares; /* squares: sum of squared differences from the mean */
};
PLAIN_STATE(floats, float_state)

static ox_code
floats_sum_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct float_state *s = state;
    double before = s->sum;
    s->n++;
    s->sum += args[0].f;
    if (call->type.id == TYPE_FLOAT4)
        s->sum = (double)(float)s->sum;
    if (ox_unlikely(isinf(s->sum)) && !isinf(before) && !isinf(args[0].f))
        return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
    return OX_OK;
}
ROW_STEPS(floats_sum, true)

static ox_code
floats_var_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct float_state *s = state;
    double x = args[0].f, n = s->n + 1, sum = s->sum + x;
    if (s->n > 0) {
        double t = x * n - sum;
        s->squares += t * t / (n * (n - 1));
        if (isinf(sum) || isinf(s->squares)) {
            if (!isinf(s->sum) && !isinf(x))
                return ox_fail(err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow");
            s->squares = (double)NAN;
        }
    } else if (isnan(x) || isinf(x)) {
        s->squares = (double)NAN;
    }
    s->n = n;
    s->sum = sum;
    return OX_OK;
}
ROW_STEPS(floats_var, true)

static ox_code
floats_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    struct float_state *a = into;
    const struct float_state *b = from;
    if (b->n == 0)
        return OX_OK;
    if (a->n > 0) {
        double d = a->sum / a->n - b->sum / b->n, n = a->n + b->n;
        a->squares += b->squares + a->n * b->n * d * d / n;
    } else {
        a->squares = b->squares;
    }
    a->n += b->n;
    a->sum += b->sum;
    return OX_OK;
}

enum spread {
    SPREAD_SUM,
    SPREAD_AVG,
    SPREAD_VAR_POP,
    SPREAD_VAR_SAMP,
    SPREAD_STDDEV_POP,
    SPREAD_STDDEV_SAMP
};

static ox_code
float_final(const struct float_state *s, enum spread what, struct datum *out)
{
    bool sample = what == SPREAD_VAR_SAMP || what == SPREAD_STDDEV_SAMP;
    *out = (struct datum){.null = s->n < (sample ? 2 : 1)};
    if (out->null)
        return OX_OK;
    double v = what == SPREAD_SUM   ? s->sum
               : what == SPREAD_AVG ? s->sum / s->n
                                    : s->squares / (sample ? s->n - 1 : s->n);
    out->f = what >= SPREAD_STDDEV_POP ? sqrt(v) : v;
    return OX_OK;
}

#define FLOAT_AGG(NAME, STEPS, WHAT)                                                               \
    static ox_code NAME##_final(                                                                   \
        struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)           \
    {                                                                                              \
        return float_final(state, WHAT, out);                                                      \
    }                                                                                              \
    const struct agg_func agg_##NAME = {sizeof(struct float_state), floats_init, STEPS##_step,     \
        STEPS##_step_one, floats_combine, NAME##_final, floats_save, floats_load, false};
FLOAT_AGG(sum_float, floats_sum, SPREAD_SUM)
FLOAT_AGG(avg_float, floats_sum, SPREAD_AVG)
FLOAT_AGG(var_pop_float, floats_var, SPREAD_VAR_POP)
FLOAT_AGG(var_samp_float, floats_var, SPREAD_VAR_SAMP)
FLOAT_AGG(stddev_pop_float, floats_var, SPREAD_STDDEV_POP)
FLOAT_AGG(stddev_samp_float, floats_var, SPREAD_STDDEV_SAMP)

/* ---- two floats: regression -------------------- */

struct regr_state {
    double n, sx, sxx, sy, syy, sxy;
};
PLAIN_STATE(regr, regr_state)

static ox_code
regr_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct regr_state *s = state;
    double y = args[0].f, x = args[1].f;
    s->n++;
    s->sx += x;
    s->sy += y;
    if (s->n > 1) {
        double tx = x * s->n - s->sx, ty = y * s->n - s->sy, scale = 1.0 / (s->n * (s->n - 1));
        s->sxx += tx * tx * scale;
        s->syy += ty * ty * scale;
        s->sxy += tx * ty * scale;
    }
    return OX_OK;
}
ROW_STEPS(regr, true)

static ox_code
regr_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    struct regr_state *a = into;
    const struct regr_state *b = from;
    if (b->n == 0)
        return OX_OK;
    if (a->n == 0) {
        *a = *b;
        return OX_OK;
    }
    double n = a->n + b->n, dx = a->sx / a->n - b->sx / b->n, dy = a->sy / a->n - b->sy / b->n,
           w = a->n * b->n / n;
    a->sxx += b->sxx + w * dx * dx;
    a->syy += b->syy + w * dy * dy;
    a->sxy += b->sxy + w * dx * dy;
    a->sx += b->sx;
    a->sy += b->sy;
    a->n = n;
    return OX_OK;
}

#define REGR_AGG(NAME, NONE, VALUE)                                                                \
    static ox_code NAME##_final(                                                                   \
        struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)           \
    {                                                                                              \
        const struct regr_state *s = state;                                                        \
        *out = (struct datum){.null = s->n < 1 || (NONE)};                                         \
        if (!out->null)                                                                            \
            out->f = (VALUE);                                                                      \
        return OX_OK;                                                                              \
    }                                                                                              \
    const struct agg_func agg_##NAME = {sizeof(struct regr_state), regr_init, regr_step,           \
        regr_step_one, regr_combine, NAME##_final, regr_save, regr_load, false};
REGR_AGG(corr, s->sxx == 0 || s->syy == 0, s->sxy / sqrt(s->sxx * s->syy))
REGR_AGG(covar_pop, false, s->sxy / s->n)
REGR_AGG(covar_samp, s->n < 2, s->sxy / (s->n - 1))
REGR_AGG(regr_slope, s->sxx == 0, s->sxy / s->sxx)
REGR_AGG(regr_intercept, s->sxx == 0, (s->sy - s->sx * s->sxy / s->sxx) / s->n)
REGR_AGG(regr_r2, s->sxx == 0, s->syy == 0 ? 1.0 : (s->sxy * s->sxy) / (s->sxx * s->syy))
REGR_AGG(regr_avgx, false, s->sx / s->n)
REGR_AGG(regr_avgy, false, s->sy / s->n)
REGR_AGG(regr_sxx, false, s->sxx)
REGR_AGG(regr_syy, false, s->syy)
REGR_AGG(regr_sxy, false, s->sxy)

static ox_code
regr_count_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    *out = datum_i64((int64_t)((const struct regr_state *)state)->n);
    return OX_OK;
}
const struct agg_func agg_regr_count = {sizeof(struct regr_state), regr_init, regr_step,
    regr_step_one, regr_combine, regr_count_final, regr_save, regr_load, false};

/* ---- numeric: sums, averages, variances; integers for the latter too
 * ------------------------------ */

struct num_state {
    struct num_sum sum, squares;
    int64_t count;
};

static void
num_init(struct agg_call *call, void *state)
{
    memset(state, 0, sizeof(struct num_state));
}

static struct str
as_num(struct agg_call *call, const struct datum *d, struct arena *arena)
{
    return call->types[0].id == TYPE_NUMERIC ? d->s : numeric_from_i64(d->i, arena);
}

static ox_code
num_sum_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct num_state *s = state;
    s->count++;
    num_sum_add(&s->sum, as_num(call, &args[0], call->eval->arena), call->arena);
    return OX_OK;
}
ROW_STEPS(num_sum, true)

static ox_code
num_var_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct num_state *s = state;
    struct str x = as_num(call, &args[0], call->eval->arena), square;
    s->count++;
    num_sum_add(&s->sum, x, call->arena);
    ox_code code = numeric_mul(x, x, call->eval->arena, &square, err);
    if (code == OX_OK)
        num_sum_add(&s->squares, square, call->arena);
    return code;
}
ROW_STEPS(num_var, true)

static ox_code
num_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    struct num_state *a = into;
    const struct num_state *b = from;
    a->count += b->count;
    num_sum_merge(&a->sum, &b->sum, call->arena);
    num_sum_merge(&a->squares, &b->squares, call->arena);
    return OX_OK;
}

static void
sum_save(const struct num_sum *s, struct wire_out *out)
{
    wire_put_varint(out, s->high);
    wire_put_varint(out, s->count);
    wire_put_varint(out, s->dscale);
    wire_put_uvarint(out, s->nans);
    wire_put_uvarint(out, s->pinfs);
    wire_put_uvarint(out, s->ninfs);
    for (int i = 0; i < s->count; i++)
        wire_put_varint(out, s->cols[i]);
}

static void
sum_load(struct num_sum *s, struct wire_in *in, struct arena *arena)
{
    s->high = wire_get_varint(in);
    s->count = wire_get_varint(in);
    s->dscale = wire_get_varint(in);
    s->nans = wire_get_uvarlong(in);
    s->pinfs = wire_get_uvarlong(in);
    s->ninfs = wire_get_uvarlong(in);
    if (s->count < 0 || (size_t)s->count > wire_left(in)) {
        in->failed = true;
        s->count = 0;
    }
    s->cols = ox_arena_alloc(arena, (size_t)s->count * 8 + 8);
    for (int i = 0; i < s->count; i++)
        s->cols[i] = wire_get_varlong(in);
}

static void
num_save(struct agg_call *call, const void *state, struct wire_out *out)
{
    const struct num_state *s = state;
    wire_put_varint(out, s->count);
    sum_save(&s->sum, out);
    sum_save(&s->squares, out);
}

static ox_code
num_load(struct agg_call *call, void *state, struct wire_in *in, struct ox_err *err)
{
    struct num_state *s = state;
    s->count = wire_get_varlong(in);
    sum_load(&s->sum, in, call->arena);
    sum_load(&s->squares, in, call->arena);
    return in->failed ? ox_fail(err, OX_DATA_CORRUPTED, "saved aggregate is cut short") : OX_OK;
}

static ox_code
num_final(struct agg_call *call, const struct num_state *s, enum spread what, struct datum *out,
    struct ox_err *err)
{
    struct arena *arena = call->eval->arena;
    bool sample = what == SPREAD_VAR_SAMP || what == SPREAD_STDDEV_SAMP;
    *out = (struct datum){.null = s->count < (sample ? 2 : 1)};
    if (out->null)
        return OX_OK;
    struct str sum = num_sum_get(&s->sum, arena), n = numeric_from_i64(s->count, arena);
    out->s = sum;
    if (what == SPREAD_SUM)
        return OX_OK;
    if (what == SPREAD_AVG)
        return numeric_div(sum, n, arena, &out->s, err);
    if (numeric_scale(sum) < 0) { /* NaN or infinite */
        out->s = numeric_from_f64((double)NAN, 15, arena);
        return OX_OK;
    }
    /* (n * sum(x^2) - sum(x)^2) / (n * (n - 1 or n)) */
    struct str a, b, d, divisor = numeric_from_i64(sample ? s->count - 1 : s->count, arena);
    ox_code code = numeric_mul(n, num_sum_get(&s->squares, arena), arena, &a, err);
    if (code == OX_OK)
        code = numeric_mul(sum, sum, arena, &b, err);
    if (code == OX_OK)
        code = numeric_sub(a, b, arena, &d, err);
    if (code != OX_OK)
        return code;
    if (numeric_sign(d) <= 0) {
        out->s = numeric_from_i64(0, arena);
        return OX_OK;
    }
    code = numeric_mul(n, divisor, arena, &divisor, err);
    if (code == OX_OK)
        code = numeric_div(d, divisor, arena, &out->s, err);
    if (code == OX_OK && what >= SPREAD_STDDEV_POP)
        code = numeric_sqrt(out->s, arena, &out->s, err);
    return code;
}

#define NUM_AGG(NAME, STEPS, WHAT)                                                                 \
    static ox_code NAME##_final(                                                                   \
        struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)           \
    {                                                                                              \
        return num_final(call, state, WHAT, out, err);                                             \
    }                                                                                              \
    const struct agg_func agg_##NAME = {sizeof(struct num_state), num_init, STEPS##_step,          \
        STEPS##_step_one, num_combine, NAME##_final, num_save, num_load, false};
NUM_AGG(sum_num, num_sum, SPREAD_SUM)
NUM_AGG(avg_num, num_sum, SPREAD_AVG)
NUM_AGG(var_pop_num, num_var, SPREAD_VAR_POP)
NUM_AGG(var_samp_num, num_var, SPREAD_VAR_SAMP)
NUM_AGG(stddev_pop_num, num_var, SPREAD_STDDEV_POP)
NUM_AGG(stddev_samp_num, num_var, SPREAD_STDDEV_SAMP)

/* ---- intervals ---------------------------------------------------------------------------------
 */

struct span_state {
    __int128 us;
    int64_t days, months, count;
};
PLAIN_STATE(span, span_state)

static ox_code
span_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct span_state *s = state;
    struct interval v = datum_interval(&args[0]);
    s->us += v.us;
    s->days += v.days;
    s->months += v.months;
    s->count++;
    return OX_OK;
}
ROW_STEPS(span, true)

static ox_code
span_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    struct span_state *a = into;
    const struct span_state *b = from;
    a->us += b->us;
    a->days += b->days;
    a->months += b->months;
    a->count += b->count;
    return OX_OK;
}

static ox_code
span_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct span_state *s = state;
    *out = (struct datum){.null = s->count == 0};
    if (s->count == 0)
        return OX_OK;
    if (s->us > INT64_MAX || s->us < INT64_MIN || s->days != (int32_t)s->days ||
        s->months != (int32_t)s->months)
        return ox_fail(err, OX_DATETIME_FIELD_OVERFLOW, "interval out of range");
    give_interval(call->eval->arena,
        (struct interval){(int64_t)s->us, (int32_t)s->days, (int32_t)s->months}, out);
    return OX_OK;
}

static ox_code
span_avg_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct span_state *s = state;
    ox_code code = span_final(call, state, out, err);
    if (code != OX_OK || out->null)
        return code;
    struct interval mean;
    code = interval_scaled(datum_interval(out), (double)s->count, true, &mean, err);
    if (code == OX_OK)
        give_interval(call->eval->arena, mean, out);
    return code;
}

const struct agg_func agg_sum_interval = {sizeof(struct span_state), span_init, span_step,
    span_step_one, span_combine, span_final, span_save, span_load, false};
const struct agg_func agg_avg_interval = {sizeof(struct span_state), span_init, span_step,
    span_step_one, span_combine, span_avg_final, span_save, span_load, false};

/* ---- one value: min, max, first, last, any
 * --------------------------------------------------------- */

struct one_state {
    bool any;
    struct datum value;
    size_t room; /* bytes at value.s.ptr that are ours */
};

static void
one_init(struct agg_call *call, void *state)
{
    memset(state, 0, sizeof(struct one_state));
}

static void
one_keep(struct agg_call *call, struct type type, struct one_state *s, struct datum value)
{
    s->any = true;
    if (value.null || type_phys(type) != PHYS_STR) {
        s->value = value;
        return;
    }
    /* The bytes are reused while they fit. */
    char *to = s->room >= value.s.len && s->room > 0 ? (char *)(uintptr_t)s->value.s.ptr : NULL;
    if (s->value.null || to == NULL) {
        s->room = value.s.len * 2 + 16;
        to = ox_arena_alloc(call->arena, s->room);
    }
    if (value.s.len > 0)
        memcpy(to, value.s.ptr, value.s.len);
    s->value = datum_str(ox_str_n(to, value.s.len));
}

static ox_code
min_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct one_state *s = state;
    if (!s->any || datum_compare(call->types[0], &args[0], &s->value) < 0)
        one_keep(call, call->types[0], s, args[0]);
    return OX_OK;
}
ROW_STEPS(min, true)

static ox_code
max_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct one_state *s = state;
    if (!s->any || datum_compare(call->types[0], &args[0], &s->value) > 0)
        one_keep(call, call->types[0], s, args[0]);
    return OX_OK;
}
ROW_STEPS(max, true)

static ox_code
first_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    struct one_state *s = state;
    if (!s->any)
        one_keep(call, call->types[0], s, args[0]);
    return OX_OK;
}
ROW_STEPS(first, false)

static ox_code
last_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    one_keep(call, call->types[0], state, args[0]);
    return OX_OK;
}
ROW_STEPS(last, false)

static ox_code
any_row(struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)
{
    return first_row(call, state, args, err);
}
ROW_STEPS(any, true)

static ox_code
one_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct one_state *s = state;
    *out = s->any ? datum_copy(call->type, s->value, call->eval->arena) : DATUM_NULL;
    return OX_OK;
}

static void
one_save(struct agg_call *call, const void *state, struct wire_out *out)
{
    const struct one_state *s = state;
    wire_put8(out, s->any);
    if (s->any)
        datum_save(call->types[0], &s->value, out);
}

static ox_code
one_load(struct agg_call *call, void *state, struct wire_in *in, struct ox_err *err)
{
    struct one_state *s = state;
    s->any = wire_get8(in) != 0;
    s->room = 0;
    return s->any ? datum_load(call->types[0], in, call->arena, &s->value, err) : OX_OK;
}

#define ONE_AGG(NAME, STEPS)                                                                       \
    static ox_code NAME##_combine(                                                                 \
        struct agg_call *call, void *into, const void *from, struct ox_err *err)                   \
    {                                                                                              \
        const struct one_state *b = from;                                                          \
        return b->any ? STEPS##_row(call, into, &b->value, err) : OX_OK;                           \
    }                                                                                              \
    const struct agg_func agg_##NAME = {sizeof(struct one_state), one_init, STEPS##_step,          \
        STEPS##_step_one, NAME##_combine, one_final, one_save, one_load, false};
ONE_AGG(min, min)
ONE_AGG(max, max)
ONE_AGG(first, first)
ONE_AGG(last, last)
ONE_AGG(any_value, any)

/* ---- logic and bits
 * ----------------------------------------------------------------------------------- */

struct bits_state {
    bool any;
    int64_t bits;
};
PLAIN_STATE(bits, bits_state)

static ox_code
bits_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct bits_state *s = state;
    *out = (struct datum){.null = !s->any};
    if (call->type.id == TYPE_BOOL)
        out->b = s->bits != 0;
    else
        out->i = s->bits;
    return OX_OK;
}

#define BITS_AGG(NAME, GET, OP)                                                                    \
    static ox_code NAME##_row(                                                                     \
        struct agg_call *call, void *state, const struct datum *args, struct ox_err *err)          \
    {                                                                                              \
        struct bits_state *s = state;                                                              \
        s->bits = s->any ? (s->bits OP GET) : GET;                                                 \
        s->any = true;                                                                             \
        return OX_OK;                                                                              \
    }                                                                                              \
    ROW_STEPS(NAME, true)                                                                          \
    static ox_code NAME##_combine(                                                                 \
        struct agg_call *call, void *into, const void *from, struct ox_err *err)                   \
    {                                                                                              \
        struct bits_state *a = into;                                                               \
        const struct bits_state *b = from;                                                         \
        if (b->any) {                                                                              \
            a->bits = a->any ? (a->bits OP b->bits) : b->bits;                                     \
            a->any = true;                                                                         \
        }                                                                                          \
        return OX_OK;                                                                              \
    }                                                                                              \
    const struct agg_func agg_##NAME = {sizeof(struct bits_state), bits_init, NAME##_step,         \
        NAME##_step_one, NAME##_combine, bits_final, bits_save, bits_load, false};
BITS_AGG(bool_and, args[0].b, &)
BITS_AGG(bool_or, args[0].b, |)
BITS_AGG(bit_and, args[0].i, &)
BITS_AGG(bit_or, args[0].i, |)
BITS_AGG(bit_xor, args[0].i, ^)
