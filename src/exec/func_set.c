/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions that give rows: series, array elements; and what columns a call of
 * such a function has. Those over JSON are in func_json.c, over patterns in
 * func_regex.c. */
#include "exec/expr_int.h"

uint32_t
set_func_columns(const struct expr *call, const char **names, struct type *types)
{
    const struct func *func = call->func;
    if (func->set == &set_expandarray) {
        names[0] = "x";
        names[1] = "n";
        types[0] = type_element(call->args[0]->type);
        types[1] = TYPE(TYPE_INT4);
        return 2;
    }
    if (func->result.id == TYPE_RECORD) { /* json_each and its kin: key, value */
        bool text = func->set == &set_json_each_text;
        names[0] = "key";
        names[1] = "value";
        types[0] = TYPE(TYPE_TEXT);
        types[1] = text ? TYPE(TYPE_TEXT) : call->args[0]->type;
        return 2;
    }
    bool value = func->set == &set_json_elements || func->set == &set_json_elements_text;
    names[0] = value ? "value" : func->name;
    types[0] = call->type;
    return 1;
}

/* ---- generate_series -------------------------------------------------------------- */

struct series {
    struct datum at;
    struct datum stop, step;
    struct interval span;
    int direction;
    bool end;
};

static ox_code
series_open(struct set_call *call, struct ox_err *err)
{
    struct series *s = ox_arena_new(call->arena, struct series);
    struct type type = call->types[0];
    call->state = s;
    s->at = datum_copy(type, call->args[0], call->arena);
    s->stop = datum_copy(type, call->args[1], call->arena);
    if (type.id == TYPE_TIMESTAMP || type.id == TYPE_TIMESTAMPTZ) {
        s->span = datum_interval(&call->args[2]);
        s->direction = interval_compare(&s->span, &(struct interval){0, 0, 0});
        s->end = s->at.i == TIME_INF || s->at.i == TIME_NINF;
    } else if (type.id == TYPE_NUMERIC) {
        s->step = datum_str(call->nargs > 2 ? ox_str_dup(call->arena, call->args[2].s)
                                            : numeric_from_i64(1, call->arena));
        s->direction = numeric_sign(s->step.s);
        for (uint32_t i = 0; i < call->nargs; i++)
            if (numeric_scale(call->args[i].s) < 0)
                return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "%s value cannot be %s",
                    i == 0   ? "start"
                    : i == 1 ? "stop"
                             : "step size",
                    numeric_is_nan(call->args[i].s) ? "NaN" : "infinity");
    } else {
        s->step = call->nargs > 2 ? call->args[2] : datum_i64(1);
        s->direction = s->step.i > 0 ? 1 : s->step.i < 0 ? -1 : 0;
    }
    if (s->direction == 0)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "step size cannot equal zero");
    return OX_OK;
}

static ox_code
series_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct series *s = call->state;
    struct type type = call->types[0];
    int c = datum_compare(type, &s->at, &s->stop);
    *end = s->end || (s->direction > 0 ? c > 0 : c < 0);
    if (*end)
        return OX_OK;
    *row = s->at;
    switch (type.id) {
    case TYPE_NUMERIC: {
        *row = datum_copy(type, s->at, call->row_arena);
        struct str next;
        ox_code code = numeric_add(s->at.s, s->step.s, call->arena, &next, err);
        s->at.s = next;
        return code;
    }
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return timestamp_add_interval(s->at.i, &s->span, call->eval->config->format->tz,
            type.id == TYPE_TIMESTAMPTZ, &s->at.i, err);
    default: {
        int64_t next;
        s->end = __builtin_add_overflow(s->at.i, s->step.i, &next) ||
                 (type.id == TYPE_INT4 && next != (int32_t)next);
        s->at.i = next;
        return OX_OK;
    }
    }
}

const struct set_func set_series = {series_open, series_next};

/* ---- arrays ----------------------------------------------------------------------------- */

struct elements {
    struct array_view view;
    uint32_t at;
};

static ox_code
unnest_open(struct set_call *call, struct ox_err *err)
{
    struct elements *e = ox_arena_new(call->arena, struct elements);
    array_view(ox_str_dup(call->arena, call->args[0].s), &e->view);
    call->state = e;
    return OX_OK;
}

static ox_code
unnest_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct elements *e = call->state;
    *end = e->at >= e->view.count;
    if (!*end)
        *row = array_get(&e->view, e->at++);
    return OX_OK;
}

const struct set_func set_unnest = {unnest_open, unnest_next};

/* Elements with their number. */
static ox_code
expand_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct elements *e = call->state;
    ox_code code = unnest_next(call, row, end, err);
    row[1] = datum_i64(e->at);
    return code;
}

const struct set_func set_expandarray = {unnest_open, expand_next};

struct subscripts {
    int64_t at, stop, step;
};

static ox_code
subscripts_open(struct set_call *call, struct ox_err *err)
{
    struct subscripts *s = ox_arena_new(call->arena, struct subscripts);
    struct array_view view;
    int64_t dim = call->args[1].i;
    array_view(call->args[0].s, &view);
    call->state = s;
    s->step = 1;
    s->stop = -1;
    if (dim < 1 || dim > view.ndim)
        return OX_OK;
    s->at = view.lower[dim - 1];
    s->stop = s->at + view.len[dim - 1] - 1;
    if (call->nargs > 2 && call->args[2].b) {
        int64_t low = s->at;
        s->at = s->stop;
        s->stop = low;
        s->step = -1;
    }
    return OX_OK;
}

static ox_code
subscripts_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    struct subscripts *s = call->state;
    *end = s->step > 0 ? s->at > s->stop : s->at < s->stop;
    if (!*end)
        *row = datum_i64(s->at);
    s->at += s->step;
    return OX_OK;
}

const struct set_func set_subscripts = {subscripts_open, subscripts_next};

/* ---- pg_sleep: one row, later; the scan parks meanwhile ----------------------------------- */

static ox_code
sleep_open(struct set_call *call, struct ox_err *err)
{
    const struct env *env = call->eval->config->env;
    double seconds;
    if (call->types[0].id == TYPE_FLOAT8) {
        seconds = call->args[0].f;
    } else if (call->types[0].id == TYPE_INTERVAL) {
        struct interval span = datum_interval(&call->args[0]);
        seconds = (double)span.us / 1e6 + ((double)span.days + (double)span.months * 30) * 86400;
    } else {
        int64_t now = row_us_from_unix_ms(env_wall_ms(env));
        seconds = ((double)call->args[0].i - (double)now) / 1e6;
    }
    bool *given = ox_arena_new(call->arena, bool);
    call->state = given;
    if (!(seconds > 0))
        return OX_OK;
    call->wait_until_ns = env_mono_ns(env) + (uint64_t)(OX_MIN(seconds, 1e9) * 1e9);
    return OX_OK;
}

static ox_code
sleep_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    bool *given = call->state;
    *end = *given;
    *given = true;
    *row = datum_str(OX_STR(""));
    return OX_OK;
}

const struct set_func set_sleep = {sleep_open, sleep_next};

/* ---- nothing: what is asked of things that do not exist here -------------------------- */

static ox_code
nothing_open(struct set_call *call, struct ox_err *err)
{
    (void)call;
    (void)err;
    return OX_OK;
}

static ox_code
nothing_next(struct set_call *call, struct datum *row, bool *end, struct ox_err *err)
{
    (void)call;
    (void)row;
    (void)err;
    *end = true;
    return OX_OK;
}

const struct set_func set_nothing = {nothing_open, nothing_next};
