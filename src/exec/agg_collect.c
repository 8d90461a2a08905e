/* SPDX-License-Identifier: Apache-2.0
 *
 * Aggregates that keep what they saw: string_agg, array_agg, the JSON
 * builders, and the ordered sets (percentiles, mode), which sort at the end. */
#include "exec/expr_int.h"
#include "base/stop.h"

#include <math.h>
#include <stdlib.h>

/* ---- growing text ------------------------------------------------------------------ */

struct text_state {
    struct text text;
    bool any;
    size_t first; /* bytes of the first separator, which a merge needs */
};

static void
text_init(struct agg_call *call, void *state)
{
    struct text_state *s = state;
    memset(s, 0, sizeof(*s));
    ox_text_init(&s->text, call->arena);
}

static void
text_save(struct agg_call *call, const void *state, struct wire_out *out)
{
    const struct text_state *s = state;
    wire_put8(out, s->any);
    wire_put_uvarint(out, s->first);
    wire_put_uvarint(out, s->text.len);
    wire_put_bytes(out, s->text.ptr, s->text.len);
}

static ox_code
text_load(struct agg_call *call, void *state, struct wire_in *in, struct ox_err *err)
{
    struct text_state *s = state;
    s->any = wire_get8(in) != 0;
    s->first = wire_get_uvarlong(in);
    size_t len = wire_get_uvarlong(in);
    const uint8_t *bytes = wire_skip(in, len);
    if (bytes == NULL)
        return ox_fail(err, OX_DATA_CORRUPTED, "saved aggregate is cut short");
    ox_text_add(&s->text, bytes, len);
    return OX_OK;
}

/* Everything is kept with its leading separator; the first one is cut at the end. */
static ox_code
text_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    struct text_state *a = into;
    const struct text_state *b = from;
    if (!b->any)
        return OX_OK;
    if (!a->any)
        a->first = b->first;
    a->any = true;
    ox_text_add(&a->text, b->text.ptr, b->text.len);
    return OX_OK;
}

static ox_code
string_step(struct agg_call *call, void *const *states, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel != NULL ? sel[k] : k;
        struct text_state *s = states[k];
        struct datum value = vector_get(&args[0], r), separator = vector_get(&args[1], r);
        if (value.null)
            continue;
        if (!s->any)
            s->first = separator.null ? 0 : separator.s.len;
        s->any = true;
        if (!separator.null)
            ox_text_add(&s->text, separator.s.ptr, separator.s.len);
        ox_text_add(&s->text, value.s.ptr, value.s.len);
        if (ox_unlikely(s->text.len > EVAL_VALUE_MAX))
            return eval_value_too_large(err);
    }
    return OX_OK;
}

static ox_code
string_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct text_state *s = state;
    *out = (struct datum){.null = !s->any};
    if (s->any)
        *out = datum_copy(call->type,
            datum_str(
                ox_str_n((s->text.ptr ? s->text.ptr : "") + s->first, s->text.len - s->first)),
            call->eval->arena);
    return OX_OK;
}

const struct agg_func agg_string = {sizeof(struct text_state), text_init, string_step, NULL,
    text_combine, string_final, text_save, text_load, false};

/* ---- JSON ---------------------------------------------------------------------------- */

static ox_code
json_step(struct agg_call *call, void *const *states, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    struct type type = call->types[0];
    bool lines = type.array || type.id == TYPE_RECORD;
    for (uint32_t k = 0; k < n; k++) {
        struct text_state *s = states[k];
        struct datum value = vector_get(&args[0], sel != NULL ? sel[k] : k);
        const char *separator = lines && s->any && !value.null ? ", \n " : ", ";
        if (!s->any)
            s->first = 2;
        s->any = true;
        ox_text_adds(&s->text, separator);
        json_from_datum(type, &value, call->eval->config->format, &s->text);
        if (ox_unlikely(s->text.len > EVAL_VALUE_MAX))
            return eval_value_too_large(err);
    }
    return OX_OK;
}

static ox_code
wrapped(struct agg_call *call, const struct text_state *s, const char *open, const char *close,
    struct datum *out, struct ox_err *err)
{
    struct text to;
    *out = (struct datum){.null = !s->any};
    if (!s->any)
        return OX_OK;
    ox_text_init(&to, call->eval->arena);
    ox_text_adds(&to, open);
    ox_text_add(&to, s->text.ptr + s->first, s->text.len - s->first);
    ox_text_adds(&to, close);
    out->s = ox_text_str(&to);
    if (call->type.id != TYPE_JSONB)
        return OX_OK;
    struct text normal;
    ox_text_init(&normal, call->eval->arena);
    ox_code code = jsonb_normalise(out->s, &normal, err);
    out->s = ox_text_str(&normal);
    return code;
}

static ox_code
json_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    return wrapped(call, state, "[", "]", out, err);
}

static ox_code
json_object_step(struct agg_call *call, void *const *states, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel != NULL ? sel[k] : k;
        struct text_state *s = states[k];
        struct datum key = vector_get(&args[0], r), value = vector_get(&args[1], r);
        s->first = 2;
        s->any = true;
        ox_text_adds(&s->text, ", ");
        if (key.null)
            return ox_fail(err,
                call->type.id == TYPE_JSONB ? OX_INVALID_PARAMETER_VALUE
                                            : OX_INVALID_PARAMETER_VALUE,
                "field name must not be null");
        ox_code code =
            json_add_key(err, call->types[0], &key, call->eval->config->format, &s->text);
        if (code != OX_OK)
            return code;
        ox_text_adds(&s->text, " : ");
        json_from_datum(call->types[1], &value, call->eval->config->format, &s->text);
        if (ox_unlikely(s->text.len > EVAL_VALUE_MAX))
            return eval_value_too_large(err);
    }
    return OX_OK;
}

static ox_code
json_object_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    return wrapped(call, state, "{ ", " }", out, err);
}

const struct agg_func agg_json = {sizeof(struct text_state), text_init, json_step, NULL,
    text_combine, json_final, text_save, text_load, false};
const struct agg_func agg_json_object = {sizeof(struct text_state), text_init, json_object_step,
    NULL, text_combine, json_object_final, text_save, text_load, false};

/* ---- bounds --------------------------------------------------------------------------- */

/* Values cannot be spilled while they are one group's: 53200. */
static ox_code
kept_room(struct agg_call *call, struct ox_err *err)
{
    return ox_likely(call->arena->used <= EVAL_BYTES_MAX) ? OX_OK : eval_bytes_exceeded(err);
}

/* ---- values in a list ------------------------------------------------------------------- */

struct list_state {
    struct datum *items;
    size_t cap;
    uint32_t count;
    struct datum direct; /* the fraction of a percentile */
    bool has_direct;
};

static void
list_init(struct agg_call *call, void *state)
{
    memset(state, 0, sizeof(struct list_state));
}

static struct type
list_type(const struct agg_call *call)
{
    return call->types[call->nargs - 1];
}

static void
list_add(struct agg_call *call, struct list_state *s, struct datum value)
{
    ox_arena_grow(call->arena, (void **)&s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] = datum_copy(list_type(call), value, call->arena);
}

static ox_code
list_step(struct agg_call *call, void *const *states, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err)
{
    for (uint32_t k = 0; k < n; k++)
        list_add(call, states[k], vector_get(&args[0], sel != NULL ? sel[k] : k));
    return kept_room(call, err);
}

static ox_code
list_combine(struct agg_call *call, void *into, const void *from, struct ox_err *err)
{
    struct list_state *a = into;
    const struct list_state *b = from;
    for (uint32_t i = 0; i < b->count; i++)
        list_add(call, a, b->items[i]);
    if (b->has_direct && !a->has_direct) {
        a->has_direct = true;
        a->direct = datum_copy(call->types[0], b->direct, call->arena);
    }
    return OX_OK;
}

static void
list_save(struct agg_call *call, const void *state, struct wire_out *out)
{
    const struct list_state *s = state;
    wire_put_uvarint(out, s->count);
    for (uint32_t i = 0; i < s->count; i++)
        datum_save(list_type(call), &s->items[i], out);
    wire_put8(out, s->has_direct);
    if (s->has_direct)
        datum_save(call->types[0], &s->direct, out);
}

static ox_code
list_load(struct agg_call *call, void *state, struct wire_in *in, struct ox_err *err)
{
    struct list_state *s = state;
    uint32_t count = wire_get_uvarint(in);
    for (uint32_t i = 0; i < count; i++) {
        struct datum value;
        ox_code code = datum_load(list_type(call), in, call->arena, &value, err);
        if (code != OX_OK)
            return code;
        list_add(call, s, value);
    }
    s->has_direct = wire_get8(in) != 0;
    return s->has_direct ? datum_load(call->types[0], in, call->arena, &s->direct, err) : OX_OK;
}

static ox_code
array_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct list_state *s = state;
    *out = (struct datum){.null = s->count == 0};
    if (s->count > 0)
        out->s = array_make(type_element(call->type), s->items, s->count, call->eval->arena);
    return OX_OK;
}

/* array_agg of arrays: one dimension more, all of one shape. */
static ox_code
array_cat_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct list_state *s = state;
    struct arena *arena = call->eval->arena;
    struct array_view first = {0}, view;
    struct datum *flat = NULL;
    size_t cap = 0;
    uint32_t count = 0;
    *out = (struct datum){.null = s->count == 0};
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->items[i].null)
            return ox_fail(err, OX_NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays");
        array_view(s->items[i].s, &view);
        if (view.ndim == 0)
            return ox_fail(err, OX_ARRAY_SUBSCRIPT_ERROR, "cannot accumulate empty arrays");
        if (i == 0)
            first = view;
        bool same = view.ndim == first.ndim && view.ndim < ARRAY_DIMS_MAX;
        for (uint32_t d = 0; same && d < view.ndim; d++)
            same = view.len[d] == first.len[d];
        if (!same)
            return ox_fail(err, OX_ARRAY_SUBSCRIPT_ERROR,
                "cannot accumulate arrays of different dimensionality");
        ox_arena_grow(arena, (void **)&flat, &cap, count + view.count, sizeof(*flat));
        for (uint32_t k = 0; k < view.count; k++)
            flat[count++] = array_get(&view, k);
    }
    if (out->null)
        return OX_OK;
    int32_t len[ARRAY_DIMS_MAX] = {(int32_t)s->count}, lower[ARRAY_DIMS_MAX] = {1};
    for (uint32_t d = 0; d < first.ndim; d++) {
        len[d + 1] = first.len[d];
        lower[d + 1] = first.lower[d];
    }
    out->s =
        array_make_dims(type_element(call->type), flat, count, first.ndim + 1, len, lower, arena);
    return OX_OK;
}

const struct agg_func agg_array = {sizeof(struct list_state), list_init, list_step, NULL,
    list_combine, array_final, list_save, list_load, false};
const struct agg_func agg_array_cat = {sizeof(struct list_state), list_init, list_step, NULL,
    list_combine, array_cat_final, list_save, list_load, false};

/* ---- ordered sets --------------------------------------------------------------------------- */

static ox_code
set_step(struct agg_call *call, void *const *states, const struct vector *args, const uint32_t *sel,
    uint32_t n, struct ox_err *err)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = sel != NULL ? sel[k] : k;
        struct list_state *s = states[k];
        if (call->nargs > 1 && !s->has_direct) {
            s->has_direct = true;
            s->direct = datum_copy(call->types[0], vector_get(&args[0], r), call->arena);
        }
        struct datum value = vector_get(&args[call->nargs - 1], r);
        if (!value.null)
            list_add(call, s, value);
    }
    return kept_room(call, err);
}

struct sort_by {
    struct type type;
    int direction;
};

/* Merge sort, so that it can be left at any time. */
static void
sort_items(const struct sort_by *by, struct datum *at, struct datum *temp, uint32_t n)
{
    if (n < 2 || ox_stopped(50))
        return;
    uint32_t half = n / 2, left = 0, right = half, to = 0;
    sort_items(by, at, temp, half);
    sort_items(by, at + half, temp, n - half);
    if (by->direction * datum_compare(by->type, &at[half - 1], &at[half]) <= 0)
        return;
    memcpy(temp, at, half * sizeof(*at));
    while (left < half && right < n && !ox_stopped_at(to)) {
        bool after = by->direction * datum_compare(by->type, &temp[left], &at[right]) > 0;
        at[to++] = after ? at[right++] : temp[left++];
    }
    memcpy(at + to, temp + left, (half - left) * sizeof(*at));
}

static struct datum *
sorted(struct agg_call *call, const struct list_state *s)
{
    struct sort_by by = {list_type(call), call->descending ? -1 : 1};
    struct datum *items = ox_arena_copy(call->eval->arena, s->items, s->count * sizeof(*items));
    struct datum *temp = ox_malloc((s->count / 2 + 1) * sizeof(*temp));
    sort_items(&by, items, temp, s->count);
    ox_free(temp);
    return items;
}

static ox_code
fraction_check(double p, struct ox_err *err)
{
    if (p >= 0 && p <= 1)
        return OX_OK;
    return ox_fail(
        err, OX_NUMERIC_VALUE_OUT_OF_RANGE, "percentile value %g is not between 0 and 1", p);
}

static double
interpolate(const struct datum *items, uint32_t count, double p)
{
    double at = p * (double)(count - 1), low = floor(at);
    double a = items[(uint32_t)low].f, b = items[(uint32_t)ceil(at)].f;
    return low == ceil(at) ? a : a + (at - low) * (b - a);
}

static ox_code
cont_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct list_state *s = state;
    *out = (struct datum){.null = s->count == 0 || s->direct.null};
    if (s->has_direct && !s->direct.null && fraction_check(s->direct.f, err) != OX_OK)
        return OX_NUMERIC_VALUE_OUT_OF_RANGE;
    if (!out->null)
        out->f = interpolate(sorted(call, s), s->count, s->direct.f);
    return OX_OK;
}

static ox_code
cont_interval_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct list_state *s = state;
    *out = (struct datum){.null = s->count == 0 || s->direct.null};
    if (out->null || fraction_check(s->direct.f, err) != OX_OK)
        return out->null ? OX_OK : OX_NUMERIC_VALUE_OUT_OF_RANGE;
    const struct datum *items = sorted(call, s);
    double at = s->direct.f * (double)(s->count - 1), low = floor(at), f = at - low;
    struct interval a = datum_interval(&items[(uint32_t)low]),
                    b = datum_interval(&items[(uint32_t)ceil(at)]);
    double months = (double)a.months + f * (double)(b.months - a.months), m = trunc(months);
    double days = (double)a.days + f * (double)(b.days - a.days) + (months - m) * 30,
           d = trunc(days);
    give_interval(call->eval->arena,
        (struct interval){
            (int64_t)rint((double)a.us + f * (double)(b.us - a.us) + (days - d) * (double)US_DAY),
            (int32_t)d, (int32_t)m},
        out);
    return OX_OK;
}

static uint32_t
disc_index(double p, uint32_t count)
{
    uint32_t row = (uint32_t)ceil(p * (double)count);
    return row > 0 ? row - 1 : 0;
}

static ox_code
disc_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct list_state *s = state;
    *out = (struct datum){.null = s->count == 0 || s->direct.null};
    if (s->has_direct && !s->direct.null && fraction_check(s->direct.f, err) != OX_OK)
        return OX_NUMERIC_VALUE_OUT_OF_RANGE;
    if (!out->null)
        *out = datum_copy(
            call->type, sorted(call, s)[disc_index(s->direct.f, s->count)], call->eval->arena);
    return OX_OK;
}

static ox_code
many_final(struct agg_call *call, const struct list_state *s, bool cont, struct datum *out,
    struct ox_err *err)
{
    struct array_view view;
    *out = (struct datum){.null = s->count == 0 || s->direct.null};
    if (out->null)
        return OX_OK;
    array_view(s->direct.s, &view);
    const struct datum *items = sorted(call, s);
    struct datum *results = ox_arena_alloc0(call->eval->arena, (view.count + 1) * sizeof(*results));
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum p = array_get(&view, i);
        results[i].null = p.null;
        if (p.null)
            continue;
        if (fraction_check(p.f, err) != OX_OK)
            return OX_NUMERIC_VALUE_OUT_OF_RANGE;
        if (cont)
            results[i].f = interpolate(items, s->count, p.f);
        else
            results[i] = items[disc_index(p.f, s->count)];
    }
    out->s = array_make_dims(type_element(call->type), results, view.count, view.ndim, view.len,
        view.lower, call->eval->arena);
    return OX_OK;
}

static ox_code
cont_many_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    return many_final(call, state, true, out, err);
}

static ox_code
disc_many_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    return many_final(call, state, false, out, err);
}

static ox_code
mode_final(struct agg_call *call, const void *state, struct datum *out, struct ox_err *err)
{
    const struct list_state *s = state;
    *out = (struct datum){.null = s->count == 0};
    if (out->null)
        return OX_OK;
    const struct datum *items = sorted(call, s);
    uint32_t best = 0, best_run = 0;
    for (uint32_t i = 0; i < s->count;) {
        uint32_t run = 1;
        while (
            i + run < s->count && datum_compare(list_type(call), &items[i], &items[i + run]) == 0)
            run++;
        if (run > best_run) {
            best = i;
            best_run = run;
        }
        i += run;
    }
    *out = datum_copy(call->type, items[best], call->eval->arena);
    return OX_OK;
}

#define SET_AGG(NAME, FINAL)                                                                       \
    const struct agg_func agg_##NAME = {sizeof(struct list_state), list_init, set_step, NULL,      \
        list_combine, FINAL, list_save, list_load, true};
SET_AGG(percentile_cont, cont_final)
SET_AGG(percentile_cont_interval, cont_interval_final)
SET_AGG(percentile_cont_many, cont_many_final)
SET_AGG(percentile_disc, disc_final)
SET_AGG(percentile_disc_many, disc_many_final)
SET_AGG(mode, mode_final)
