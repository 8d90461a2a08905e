/* SPDX-License-Identifier: Apache-2.0
 *
 * Building bound expressions: which casts a function or operator takes once it is
 * chosen (func_choose.c), what type a list of expressions shares, and every shape
 * an expression has. The rules are those of PostgreSQL's chapter on type
 * conversion. */
#include "base/near.h"
#include "exec/expr_int.h"

#include <stdio.h>

/* ---- nodes ------------------------------------------------------------------------- */

struct expr *
expr_new(struct arena *arena, enum expr_kind kind, struct type type, int position)
{
    struct expr *expr = ox_arena_new(arena, struct expr);
    expr->kind = kind;
    expr->type = type;
    expr->position = position;
    return expr;
}

static void
set_args(struct arena *arena, struct expr *expr, struct expr **args, uint32_t count)
{
    expr->args = ox_arena_alloc(arena, (count + 1) * sizeof(*expr->args));
    if (count > 0)
        memcpy(expr->args, args, count * sizeof(*args));
    expr->nargs = count;
}

struct expr *
expr_const(struct arena *arena, struct type type, struct datum value, int position)
{
    struct expr *expr = expr_new(arena, EXPR_CONST, type, position);
    expr->value = datum_copy(type, value, arena);
    return expr;
}

struct expr *
expr_literal(struct arena *arena, struct str text, int position)
{
    return expr_const(arena, TYPE(TYPE_UNKNOWN), datum_str(text), position);
}

struct expr *
expr_null(struct arena *arena, int position)
{
    return expr_const(arena, TYPE(TYPE_UNKNOWN), DATUM_NULL, position);
}

struct expr *
expr_column(struct arena *arena, uint32_t column, struct type type, const char *label, int position)
{
    struct expr *expr = expr_new(arena, EXPR_COLUMN, type, position);
    expr->column = column;
    expr->label = label;
    return expr;
}

struct expr *
expr_outer(struct arena *arena, uint32_t level, uint32_t column, struct type type,
    const char *label, int position)
{
    struct expr *expr = expr_new(arena, EXPR_OUTER, type, position);
    expr->level = level;
    expr->column = column;
    expr->label = label;
    return expr;
}

struct expr *
expr_param(struct arena *arena, uint32_t index, struct type type, int position)
{
    struct expr *expr = expr_new(arena, EXPR_PARAM, type, position);
    expr->column = index;
    return expr;
}

/* A parameter whose type an earlier use has settled. */
static void
refresh_param(const struct expr_bind *bind, struct expr *expr)
{
    if (expr->kind == EXPR_PARAM && type_is_unknown(expr->type) && bind->param_types != NULL &&
        expr->column < bind->param_count && bind->param_types[expr->column].id != TYPE_NONE)
        expr->type = bind->param_types[expr->column];
}

static ox_code
at_position(ox_code code, struct ox_err *err, int position)
{
    if (err != NULL && err->position == 0)
        err->position = position;
    return code;
}

/* ---- casts --------------------------------------------------------------------------------- */

enum cast_path { CAST_NONE, CAST_SAME, CAST_FUNC, CAST_ARRAY, CAST_IO };

static const struct func *
cast_row(struct type from, struct type to)
{
    uint32_t count;
    const struct func *func = func_find(ox_str(type_facts(to)->name), &count);
    for (uint32_t i = 0; i < count; i++)
        if (func[i].kind == FUNC_CAST && type_same(func[i].args[0], from) &&
            type_same(func[i].result, to))
            return &func[i];
    return NULL;
}

static enum cast_path
cast_find(struct type from, struct type to, enum cast_context context, const struct func **func)
{
    *func = NULL;
    if (type_same(from, to))
        return CAST_SAME;
    if (!(from.array && to.array) && (*func = cast_row(from, to)) != NULL)
        return (*func)->context <= context ? CAST_FUNC : CAST_NONE;
    if (from.array && to.array) {
        enum cast_path path = cast_find(type_element(from), type_element(to), context, func);
        return path == CAST_NONE ? CAST_NONE : CAST_ARRAY;
    }
    if (from.id == TYPE_VOID || to.id == TYPE_VOID || to.id >= TYPE_ANY || to.id == TYPE_RECORD)
        return CAST_NONE;
    bool to_string = type_category(to) == 'S', from_string = type_category(from) == 'S';
    if (to_string && context >= CAST_ASSIGNMENT)
        return CAST_IO;
    if ((from_string || type_is_unknown(from)) && context >= CAST_EXPLICIT)
        return CAST_IO;
    return CAST_NONE;
}

bool
cast_exists(struct type from, struct type to, enum cast_context context)
{
    const struct func *func;
    if (type_is_unknown(from))
        return true;
    if (type_is_polymorphic(to))
        return type_wants_array(to) ? from.array : to.id != TYPE_ANYNONARRAY || !from.array;
    return cast_find(from, to, context, &func) != CAST_NONE;
}

/* Functions no name reaches. */
static ox_code cast_length_explicit(struct call *call, const struct datum *args, struct datum *out);
static ox_code cast_length_assign(struct call *call, const struct datum *args, struct datum *out);
static ox_code cast_array(struct call *call, const struct datum *args, struct datum *out);

static const struct func func_length_explicit = {.name = "length",
    .kind = FUNC_CAST,
    .nargs = 1,
    .required = 1,
    .strict = true,
    .context = CAST_EXPLICIT,
    .fn = cast_length_explicit};
static const struct func func_length_assign = {.name = "length",
    .kind = FUNC_CAST,
    .nargs = 1,
    .required = 1,
    .strict = true,
    .context = CAST_ASSIGNMENT,
    .fn = cast_length_assign};
static const struct func func_cast_array = {.name = "array",
    .kind = FUNC_CAST,
    .nargs = 1,
    .required = 1,
    .strict = true,
    .context = CAST_EXPLICIT,
    .volatility = FUNC_STABLE,
    .fn = cast_array};

static ox_code
apply_typmod(struct type type, struct datum in, bool explicit_cast, struct arena *arena,
    struct datum *out, struct ox_err *err)
{
    *out = in;
    if (in.null || type.typmod < 0)
        return OX_OK;
    if (type.array) {
        struct array_view view;
        array_view(in.s, &view);
        struct datum *items = ox_arena_alloc(arena, (view.count + 1) * sizeof(*items));
        for (uint32_t i = 0; i < view.count; i++) {
            ox_code code = apply_typmod(
                type_element(type), array_get(&view, i), explicit_cast, arena, &items[i], err);
            if (code != OX_OK)
                return code;
        }
        out->s = array_make_dims(
            type_element(type), items, view.count, view.ndim, view.len, view.lower, arena);
        return OX_OK;
    }
    switch (type.id) {
    case TYPE_NUMERIC:
        return numeric_apply_typmod(in.s, type.typmod, arena, &out->s, err);
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        out->i = timestamp_round(in.i, type.typmod);
        return OX_OK;
    case TYPE_INTERVAL: {
        struct interval span;
        memcpy(&span, in.s.ptr, 16);
        interval_apply_typmod(&span, type.typmod);
        out->s = ox_str_n(ox_arena_copy(arena, &span, 16), 16);
        return OX_OK;
    }
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
        if (explicit_cast && type.typmod >= 4) { /* cut silently */
            size_t max = (size_t)type.typmod - 4, at = 0;
            for (size_t n = 0; at < in.s.len && n < max; n++)
                for (at++; at < in.s.len && ((uint8_t)in.s.ptr[at] & 0xC0) == 0x80;)
                    at++;
            in.s.len = at;
        }
        return type_in_text(type, in.s, &row_format_default, arena, out, err);
    default:
        return OX_OK;
    }
}

static ox_code
cast_length_explicit(struct call *call, const struct datum *args, struct datum *out)
{
    return apply_typmod(call->type, args[0], true, call->arena, out, call->err);
}

static ox_code
cast_length_assign(struct call *call, const struct datum *args, struct datum *out)
{
    return apply_typmod(call->type, args[0], false, call->arena, out, call->err);
}

/* Element by element; expr->subplan is the elements' cast, NULL for I/O. */
static ox_code
cast_array(struct call *call, const struct datum *args, struct datum *out)
{
    const struct func *func = call->expr->subplan;
    struct type from = type_element(call->types[0]), to = type_element(call->type);
    struct array_view view;
    array_view(args[0].s, &view);
    struct datum *items = ox_arena_alloc0(call->arena, (view.count + 1) * sizeof(*items));
    for (uint32_t i = 0; i < view.count; i++) {
        struct datum item = array_get(&view, i);
        ox_code code = OX_OK;
        if (item.null) {
            items[i].null = true;
        } else if (func != NULL) {
            code = func_call(call->eval, func, &from, &item, 1, to, &items[i], call->err);
        } else if (type_same(from, to)) {
            items[i] = item;
        } else {
            struct text text;
            ox_text_init(&text, call->arena);
            type_out_text(from, &item, call_format(call), &text);
            code = type_in_text(
                to, ox_text_str(&text), call_format(call), call->arena, &items[i], call->err);
        }
        if (code != OX_OK)
            return code;
    }
    out->s = array_make_dims(to, items, view.count, view.ndim, view.len, view.lower, call->arena);
    return OX_OK;
}

static struct expr *
call_new(struct arena *arena, const struct func *func, struct type type, struct expr **args,
    uint32_t count, int position)
{
    struct expr *expr = expr_new(arena, EXPR_CALL, type, position);
    expr->func = func;
    set_args(arena, expr, args, count);
    return expr;
}

static ox_code
coerce_failed(struct expr *expr, struct type target, enum cast_context context, struct ox_err *err)
{
    struct arena arena;
    ox_arena_init(&arena);
    ox_code code;
    if (context == CAST_ASSIGNMENT) {
        code = ox_fail(err, OX_DATATYPE_MISMATCH, "expression is of type %s but %s is expected",
            type_name(expr->type, &arena), type_name(target, &arena));
        ox_hint(err, "You will need to rewrite or cast the expression.");
    } else {
        code = ox_fail(err, OX_CANNOT_COERCE, "cannot cast type %s to %s",
            type_name(expr->type, &arena), type_name(target, &arena));
    }
    ox_arena_fini(&arena);
    return at_position(code, err, expr->position);
}

static ox_code
coerce_literal(const struct expr_bind *bind, struct expr *expr, struct type target,
    struct expr **out, struct ox_err *err)
{
    struct datum value = DATUM_NULL;
    struct type base = {target.id, target.array, -1}, read = base;
    const struct row_format *format = bind->format != NULL ? bind->format : &row_format_default;
    if (target.id == TYPE_INTERVAL && !target.array)
        read.typmod = target.typmod; /* its fields say what "5" means */
    if (!expr->value.null) {
        ox_code code = type_in_text(read, expr->value.s, format, bind->arena, &value, err);
        if (code != OX_OK)
            return at_position(code, err, expr->position);
    }
    *out = expr_new(bind->arena, EXPR_CONST, base, expr->position);
    (*out)->value = value;
    return OX_OK;
}

static ox_code
coerce_base(const struct expr_bind *bind, struct expr *expr, struct type target,
    enum cast_context context, struct expr **out, struct ox_err *err)
{
    const struct func *func;
    refresh_param(bind, expr);
    *out = expr;
    if (type_same(expr->type, target))
        return OX_OK;
    if (type_is_polymorphic(target))
        return OX_OK;
    struct type base = {target.id, target.array, -1};
    if (expr->kind == EXPR_CONST && type_is_unknown(expr->type))
        return coerce_literal(bind, expr, target, out, err);
    if (expr->kind == EXPR_PARAM && type_is_unknown(expr->type)) {
        expr->type = base;
        if (bind->param_types != NULL && expr->column < bind->param_count)
            bind->param_types[expr->column] = base;
        return OX_OK;
    }
    if (expr->kind == EXPR_ARRAY && target.array && context == CAST_EXPLICIT) {
        /* ARRAY[...]::t[]: the elements are cast one by one */
        struct expr **items = ox_arena_alloc(bind->arena, (expr->nargs + 1) * sizeof(*items));
        for (uint32_t i = 0; i < expr->nargs; i++) {
            struct type item = expr->args[i]->type.array ? base : type_element(base);
            ox_code code = expr_coerce(bind, expr->args[i], item, context, &items[i], err);
            if (code != OX_OK)
                return code;
        }
        *out = expr_new(bind->arena, EXPR_ARRAY, base, expr->position);
        set_args(bind->arena, *out, items, expr->nargs);
        return OX_OK;
    }
    enum cast_path path = cast_find(expr->type, target, context, &func);
    if (type_is_unknown(expr->type) && path == CAST_NONE)
        path = CAST_IO;
    switch (path) {
    case CAST_NONE:
        return coerce_failed(expr, target, context, err);
    case CAST_SAME:
        return OX_OK;
    case CAST_FUNC:
        *out = call_new(bind->arena, func, base, &expr, 1, expr->position);
        break;
    case CAST_ARRAY:
        *out = call_new(bind->arena, &func_cast_array, base, &expr, 1, expr->position);
        (*out)->subplan = func;
        break;
    case CAST_IO:
        *out = expr_new(bind->arena, EXPR_CAST_TEXT, base, expr->position);
        set_args(bind->arena, *out, &expr, 1);
        break;
    }
    (*out)->implicit = context != CAST_EXPLICIT;
    return OX_OK;
}

ox_code
expr_coerce(const struct expr_bind *bind, struct expr *expr, struct type target,
    enum cast_context context, struct expr **out, struct ox_err *err)
{
    ox_code code = coerce_base(bind, expr, target, context, out, err);
    if (code != OX_OK || target.typmod < 0 || (*out)->type.typmod == target.typmod ||
        context == CAST_IMPLICIT)
        return code;
    struct expr *inner = *out;
    *out = call_new(bind->arena,
        context == CAST_EXPLICIT ? &func_length_explicit : &func_length_assign, target, &inner, 1,
        expr->position);
    (*out)->implicit = context != CAST_EXPLICIT;
    *out = expr_fold(bind, *out);
    return OX_OK;
}

/* ---- polymorphism -----------------------------------------------------------------------------
 */

static ox_code
polymorphic_mismatch(struct str name, struct ox_err *err, int position)
{
    return at_position(
        ox_fail(err, OX_DATATYPE_MISMATCH, "arguments of function %.*s do not have matching types",
            OX_STR_ARG(name)),
        err, position);
}

static struct type
concrete(struct type want, struct type element, struct type compatible)
{
    switch (want.id) {
    case TYPE_ANYELEMENT:
    case TYPE_ANYNONARRAY:
        return element;
    case TYPE_ANYARRAY:
        return type_array_of(element);
    case TYPE_ANYCOMPATIBLE:
        return compatible;
    case TYPE_ANYCOMPATIBLEARRAY:
        return type_array_of(compatible);
    default:
        return want;
    }
}

static ox_code
finish_call(const struct expr_bind *bind, const struct func *func, struct str name,
    struct expr **args, uint32_t nargs, bool variadic, int position, struct expr **out,
    struct ox_err *err)
{
    struct type element, compatible, types[CALL_ARGS_MAX];
    ox_code code;
    for (uint32_t i = 0; i < nargs; i++)
        types[i] = variadic && i == nargs - 1 && !func_declared(func, i).array
                       ? type_element(args[i]->type)
                       : args[i]->type;
    if (!func_deduce(func, types, nargs, &element, &compatible))
        return polymorphic_mismatch(name, err, position);
    if (type_is_unknown(element))
        element = TYPE(TYPE_TEXT);
    if (type_is_unknown(compatible))
        compatible = TYPE(TYPE_TEXT);
    struct expr **cast = ox_arena_alloc(bind->arena, (nargs + 1) * sizeof(*cast));
    for (uint32_t i = 0; i < nargs; i++) {
        struct type want = concrete(func_declared(func, i), element, compatible);
        if (want.id == TYPE_ANY)
            want = type_is_unknown(args[i]->type) && args[i]->kind == EXPR_PARAM ? TYPE(TYPE_TEXT)
                                                                            : args[i]->type;
        if (variadic && i == nargs - 1 && !want.array && args[i]->type.array)
            want = args[i]->type;
        want.typmod = -1;
        if ((code = expr_coerce(bind, args[i], want, CAST_IMPLICIT, &cast[i], err)) != OX_OK)
            return code;
    }
    struct type result = concrete(func->result, element, compatible);
    result.typmod = -1;
    *out = call_new(bind->arena, func, result, cast, nargs, position);
    (*out)->variadic = variadic;
    return OX_OK;
}

static const char *
type_list(struct arena *arena, struct expr **args, uint32_t nargs)
{
    struct text text;
    ox_text_init(&text, arena);
    ox_text_adds(&text, "");
    for (uint32_t i = 0; i < nargs; i++)
        ox_text_addf(&text, "%s%s", i > 0 ? ", " : "", type_name(args[i]->type, arena));
    return nargs > 0 ? text.ptr : "";
}

/* What other databases call it, and what PostgreSQL has that cannot be here. */
static const struct {
    const char *name, *hint;
} known_functions[] = {{"charindex", "Use strpos()."}, {"date_format", "Use to_char()."},
    {"currval", "There are no sequences: _offset numbers the records of a partition."},
    {"getdate", "Use now()."}, {"group_concat", "Use string_agg()."}, {"if", "Use CASE WHEN."},
    {"ifnull", "Use coalesce()."}, {"instr", "Use strpos()."}, {"isnull", "Use IS NULL."},
    {"lcase", "Use lower()."}, {"len", "Use length()."},
    {"nextval", "There are no sequences: _offset numbers the records of a partition."},
    {"nvl", "Use coalesce()."}, {"pg_advisory_lock", "Locks between sessions are not served."},
    {"pg_advisory_xact_lock", "Locks between sessions are not served."},
    {"pg_notify", "INSERT appends a record that SUBSCRIBE shows."},
    {"pg_try_advisory_lock", "Locks between sessions are not served."},
    {"sysdate", "Use now()."}, {"to_tsquery", "Use LIKE or a regular expression."},
    {"to_tsvector", "Use LIKE or a regular expression."}, {"ucase", "Use upper()."},
    {"unix_timestamp", "Use extract(epoch FROM ...)."}};

static void
hint_function(struct str name, struct ox_err *err)
{
    uint32_t count;
    struct near near;
    for (size_t i = 0; i < ox_count(known_functions); i++)
        if (ox_str_is(name, known_functions[i].name)) {
            ox_hint(err, "%s", known_functions[i].hint);
            return;
        }
    near_init(&near, name);
    for (uint32_t i = 0; func_find(name, &count) == NULL && i < func_count; i++)
        if (func_table[i].kind != FUNC_OPERATOR && func_table[i].kind != FUNC_CAST &&
            (i == 0 || strcmp(func_table[i].name, func_table[i - 1].name) != 0))
            near_offer(&near, ox_str(func_table[i].name), NULL);
    if (near_found(&near) > 0)
        ox_hint(err, "Perhaps you meant the function \"%.*s\".", OX_STR_ARG(near.names[0]));
    else
        ox_hint(err, "No function matches the given name and argument types. You might need to "
                     "add explicit type casts.");
}

ox_code
expr_function(const struct expr_bind *bind, struct str name, struct expr **args, uint32_t nargs,
    bool variadic, int position, struct expr **out, struct ox_err *err)
{
    struct type types[CALL_ARGS_MAX] = {{0, false, 0}}, target;
    bool ambiguous;
    if (name.len > 11 && memcmp(name.ptr, "pg_catalog.", 11) == 0)
        name = ox_str_n(name.ptr + 11, name.len - 11);
    if (nargs > CALL_ARGS_MAX)
        return at_position(ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
                               "cannot pass more than %d arguments to a function", CALL_ARGS_MAX),
            err, position);
    for (uint32_t i = 0; i < nargs; i++) {
        refresh_param(bind, args[i]);
        types[i] = args[i]->type;
    }
    if (variadic && nargs > 0 && types[nargs - 1].array)
        types[nargs - 1] = type_element(types[nargs - 1]);
    const struct func *func = func_choose(name, types, nargs, false, &ambiguous);
    if (func != NULL) {
        ox_code code = finish_call(bind, func, name, args, nargs, variadic, position, out, err);
        if (code == OX_OK && func->kind == FUNC_SCALAR)
            *out = expr_fold(bind, *out);
        return code;
    }
    /* f(x) with the name of a type is a cast. */
    if (!ambiguous && nargs == 1 && type_from_name(name, &target)) {
        ox_code code = expr_coerce(bind, args[0], target, CAST_EXPLICIT, out, err);
        if (code == OX_OK)
            return code;
    }
    struct arena *arena = bind->arena;
    if (ambiguous) {
        ox_fail(err, OX_AMBIGUOUS_FUNCTION, "function %.*s(%s) is not unique", OX_STR_ARG(name),
            type_list(arena, args, nargs));
        ox_hint(err, "Could not choose a best candidate function. You might need to add explicit "
                     "type casts.");
        return at_position(OX_AMBIGUOUS_FUNCTION, err, position);
    }
    ox_fail(err, OX_UNDEFINED_FUNCTION, "function %.*s(%s) does not exist", OX_STR_ARG(name),
        type_list(arena, args, nargs));
    hint_function(name, err);
    return at_position(OX_UNDEFINED_FUNCTION, err, position);
}

ox_code
expr_operator(const struct expr_bind *bind, struct str op, struct expr *left, struct expr *right,
    int position, struct expr **out, struct ox_err *err)
{
    struct expr *args[2] = {left != NULL ? left : right, right};
    uint32_t nargs = left != NULL ? 2 : 1;
    struct type types[2] = {TYPE(TYPE_UNKNOWN), TYPE(TYPE_UNKNOWN)};
    bool ambiguous;
    if (ox_str_is(op, "!="))
        op = OX_STR("<>");
    for (uint32_t i = 0; i < nargs; i++) {
        refresh_param(bind, args[i]);
        types[i] = args[i]->type;
    }
    const struct func *func = func_choose(op, types, nargs, true, &ambiguous);
    if (func != NULL) {
        ox_code code = finish_call(bind, func, op, args, nargs, false, position, out, err);
        if (code != OX_OK)
            return code;
        struct expr *inner = (*out)->args[0];
        if (op.len >= 2 && (op.ptr[0] == '-' || op.ptr[0] == '#') && op.ptr[1] == '>' &&
            inner->kind == EXPR_CALL && inner->func->kind == FUNC_OPERATOR &&
            inner->type.id == TYPE_JSONB)
            inner->raw = true;
        *out = expr_fold(bind, *out);
        return OX_OK;
    }
    struct arena *arena = bind->arena;
    ox_code code = ambiguous ? OX_AMBIGUOUS_FUNCTION : OX_UNDEFINED_FUNCTION;
    const char *what = ambiguous ? "operator is not unique" : "operator does not exist";
    if (nargs == 2)
        ox_fail(err, code, "%s: %s %.*s %s", what, type_name(types[0], arena), OX_STR_ARG(op),
            type_name(types[1], arena));
    else
        ox_fail(err, code, "%s: %.*s %s", what, OX_STR_ARG(op), type_name(types[0], arena));
    ox_hint(err, ambiguous ? "Could not choose a best candidate operator. You might need to add "
                             "explicit type casts."
                           : "No operator matches the given name and argument types. You might "
                             "need to add explicit type casts.");
    return at_position(code, err, position);
}

/* ---- common types
 * --------------------------------------------------------------------------------- */

ox_code
expr_common_type(const struct expr_bind *bind, struct expr **exprs, uint32_t count,
    const char *context, struct type *out, struct ox_err *err)
{
    struct type best = TYPE(TYPE_UNKNOWN);
    for (uint32_t i = 0; i < count; i++) {
        if (exprs[i] == NULL)
            continue;
        refresh_param(bind, exprs[i]);
        struct type type = exprs[i]->type;
        if (type_is_unknown(type))
            continue;
        if (type_is_unknown(best)) {
            best = type;
            continue;
        }
        struct type merged;
        if (!type_common(best, type, &merged))
            return at_position(
                ox_fail(err, OX_DATATYPE_MISMATCH, "%s types %s and %s cannot be matched", context,
                    type_name(best, bind->arena), type_name(type, bind->arena)),
                err, exprs[i]->position);
        if (!type_same(merged, best) || best.typmod != type.typmod)
            merged.typmod = type_same(merged, best) && type_same(merged, type) ? -1 : merged.typmod;
        best = merged;
    }
    if (type_is_unknown(best))
        best = TYPE(TYPE_TEXT);
    /* A modifier survives only where all agree. */
    for (uint32_t i = 0; i < count; i++)
        if (exprs[i] != NULL &&
            (!type_same(exprs[i]->type, best) || exprs[i]->type.typmod != best.typmod))
            best.typmod = -1;
    *out = best;
    return OX_OK;
}

ox_code
expr_unify(const struct expr_bind *bind, struct expr **exprs, uint32_t count, const char *context,
    struct type *out, struct ox_err *err)
{
    ox_code code = expr_common_type(bind, exprs, count, context, out, err);
    for (uint32_t i = 0; code == OX_OK && i < count; i++)
        if (exprs[i] != NULL) {
            code = expr_coerce(bind, exprs[i], *out, CAST_IMPLICIT, &exprs[i], err);
            if (code == OX_CANNOT_COERCE)
                code = at_position(
                    ox_fail(err, OX_CANNOT_COERCE, "%s could not convert type %s to %s", context,
                        type_name(exprs[i]->type, bind->arena), type_name(*out, bind->arena)),
                    err, exprs[i]->position);
        }
    return code;
}

ox_code
expr_boolean(const struct expr_bind *bind, struct expr **expr, const char *what, struct ox_err *err)
{
    struct expr *in = *expr;
    refresh_param(bind, in);
    if (expr_coerce(bind, in, TYPE(TYPE_BOOL), CAST_IMPLICIT, expr, err) == OX_OK)
        return OX_OK;
    if (type_is_unknown(in->type))
        return err != NULL ? err->code : OX_INVALID_TEXT_REPRESENTATION;
    if (err != NULL)
        err->position = 0;
    return at_position(
        ox_fail(err, OX_DATATYPE_MISMATCH, "argument of %s must be type boolean, not type %s", what,
            type_name(in->type, bind->arena)),
        err, in->position);
}

ox_code
expr_settle(const struct expr_bind *bind, struct expr **expr, struct ox_err *err)
{
    refresh_param(bind, *expr);
    if (!type_is_unknown((*expr)->type))
        return OX_OK;
    return expr_coerce(bind, *expr, TYPE(TYPE_TEXT), CAST_IMPLICIT, expr, err);
}

/* ---- shapes
 * ------------------------------------------------------------------------------------------ */

static struct expr *
logic(struct arena *arena, enum expr_kind kind, struct expr **args, uint32_t count)
{
    uint32_t total = 0, n = 0;
    for (uint32_t i = 0; i < count; i++)
        total += args[i] == NULL ? 0 : args[i]->kind == kind ? args[i]->nargs : 1;
    if (total == 0)
        return NULL;
    struct expr **flat = ox_arena_alloc(arena, total * sizeof(*flat));
    for (uint32_t i = 0; i < count; i++) {
        if (args[i] == NULL)
            continue;
        if (args[i]->kind == kind)
            for (uint32_t k = 0; k < args[i]->nargs; k++)
                flat[n++] = args[i]->args[k];
        else
            flat[n++] = args[i];
    }
    if (n == 1)
        return flat[0];
    struct expr *expr = expr_new(arena, kind, TYPE(TYPE_BOOL), flat[0]->position);
    expr->args = flat;
    expr->nargs = n;
    return expr;
}

struct expr *
expr_and(struct arena *arena, struct expr **args, uint32_t count)
{
    return logic(arena, EXPR_AND, args, count);
}

struct expr *
expr_or(struct arena *arena, struct expr **args, uint32_t count)
{
    return logic(arena, EXPR_OR, args, count);
}

ox_code
expr_not(const struct expr_bind *bind, struct expr *arg, struct expr **out, struct ox_err *err)
{
    ox_code code = expr_boolean(bind, &arg, "NOT", err);
    *out = expr_new(bind->arena, EXPR_NOT, TYPE(TYPE_BOOL), arg->position);
    set_args(bind->arena, *out, &arg, 1);
    return code;
}

struct expr *
expr_test(struct arena *arena, enum expr_test test, struct expr *arg, int position)
{
    struct expr *expr = expr_new(arena, EXPR_TEST, TYPE(TYPE_BOOL), position);
    expr->test = test;
    set_args(arena, expr, &arg, 1);
    return expr;
}

/* Both sides of "=" in one type: what the operator's resolution made of them. */
static ox_code
comparable(const struct expr_bind *bind, struct str op, struct expr **left, struct expr **right,
    int position, const struct func **func, struct ox_err *err)
{
    struct expr *call;
    struct expr *l = *left, *r = *right;
    ox_code code = expr_operator(bind, op, l, r, position, &call, err);
    if (code != OX_OK)
        return code;
    if (call->kind != EXPR_CALL) { /* folded: bind again, unfolded */
        struct type types[2] = {l->type, r->type};
        bool ambiguous;
        const struct func *f = func_choose(op, types, 2, true, &ambiguous);
        if ((code = finish_call(
                 bind, f, op, (struct expr *[]){l, r}, 2, false, position, &call, err)) != OX_OK)
            return code;
    }
    *left = call->args[0];
    *right = call->args[1];
    *func = call->func;
    if (!type_same((*left)->type, (*right)->type)) {
        /* int4 = int8, date = timestamp: widen for a plain comparison */
        struct type common;
        struct expr *both[2] = {*left, *right};
        if ((code = expr_unify(bind, both, 2, "comparison", &common, err)) != OX_OK)
            return code;
        *left = both[0];
        *right = both[1];
    }
    return OX_OK;
}

ox_code
expr_distinct(const struct expr_bind *bind, struct expr *left, struct expr *right, bool negate,
    int position, struct expr **out, struct ox_err *err)
{
    const struct func *func;
    ox_code code = comparable(bind, OX_STR("="), &left, &right, position, &func, err);
    if (code != OX_OK)
        return code;
    *out = expr_new(bind->arena, EXPR_DISTINCT, TYPE(TYPE_BOOL), position);
    (*out)->negate = negate;
    (*out)->func = func;
    set_args(bind->arena, *out, (struct expr *[]){left, right}, 2);
    return OX_OK;
}

ox_code
expr_case(const struct expr_bind *bind, struct expr *arg, struct expr **conds, struct expr **values,
    uint32_t count, struct expr *otherwise, int position, struct expr **out, struct ox_err *err)
{
    struct expr **results = ox_arena_alloc(bind->arena, (count + 1) * sizeof(*results));
    struct expr **args = ox_arena_alloc(bind->arena, (count * 2 + 1) * sizeof(*args));
    struct type type;
    ox_code code;
    if (arg != NULL && (code = expr_settle(bind, &arg, err)) != OX_OK)
        return code;
    for (uint32_t i = 0; i < count; i++) {
        struct expr *cond = conds[i];
        code = arg != NULL ? expr_operator(bind, OX_STR("="), arg, cond, cond->position, &cond, err)
                           : OX_OK;
        if (code == OX_OK)
            code = expr_boolean(bind, &cond, "CASE/WHEN", err);
        if (code != OX_OK)
            return code;
        args[i * 2] = cond;
        results[i] = values[i];
    }
    results[count] = otherwise;
    /* ELSE speaks first, as in PostgreSQL */
    struct expr **order = ox_arena_alloc(bind->arena, (count + 1) * sizeof(*order));
    order[0] = otherwise;
    memcpy(order + 1, results, count * sizeof(*order));
    if ((code = expr_common_type(bind, order, count + 1, "CASE", &type, err)) != OX_OK)
        return code;
    for (uint32_t i = 0; i <= count; i++)
        if (results[i] != NULL &&
            (code = expr_coerce(bind, results[i], type, CAST_IMPLICIT, &results[i], err)) != OX_OK)
            return code;
    for (uint32_t i = 0; i < count; i++)
        args[i * 2 + 1] = results[i];
    args[count * 2] = results[count];
    *out = expr_new(bind->arena, EXPR_CASE, type, position);
    set_args(bind->arena, *out, args, count * 2 + (otherwise != NULL));
    return OX_OK;
}

ox_code
expr_choice(const struct expr_bind *bind, enum expr_kind kind, struct expr **args, uint32_t count,
    int position, struct expr **out, struct ox_err *err)
{
    struct expr **copy = ox_arena_copy(bind->arena, args, count * sizeof(*copy));
    struct type type;
    const char *context = kind == EXPR_COALESCE   ? "COALESCE"
                          : kind == EXPR_GREATEST ? "GREATEST"
                                                  : "LEAST";
    ox_code code = expr_unify(bind, copy, count, context, &type, err);
    if (code != OX_OK)
        return code;
    if (kind != EXPR_COALESCE && !type_orderable(type))
        return at_position(ox_fail(err, OX_UNDEFINED_FUNCTION,
                               "could not identify a comparison function for type %s",
                               type_name(type, bind->arena)),
            err, position);
    *out = expr_new(bind->arena, kind, type, position);
    set_args(bind->arena, *out, copy, count);
    return OX_OK;
}

ox_code
expr_nullif(const struct expr_bind *bind, struct expr *left, struct expr *right, int position,
    struct expr **out, struct ox_err *err)
{
    struct expr *same;
    ox_code code = expr_operator(bind, OX_STR("="), left, right, position, &same, err);
    if (code == OX_OK)
        code = expr_settle(bind, &left, err);
    if (code != OX_OK)
        return code;
    if (same->kind == EXPR_CALL && type_is_unknown(left->type))
        left = same->args[0];
    *out = expr_new(bind->arena, EXPR_NULLIF, left->type, position);
    set_args(bind->arena, *out, (struct expr *[]){left, same}, 2);
    return OX_OK;
}

ox_code
expr_in(const struct expr_bind *bind, struct expr *left, struct expr **list, uint32_t count,
    bool negate, int position, struct expr **out, struct ox_err *err)
{
    struct expr **all = ox_arena_alloc(bind->arena, (count + 1) * sizeof(*all));
    struct type type;
    all[0] = left;
    memcpy(all + 1, list, count * sizeof(*all));
    ox_code code = expr_common_type(bind, all, count + 1, "IN", &type, NULL);
    if (code == OX_OK && type_orderable(type)) {
        type.typmod = -1;
        for (uint32_t i = 0; i <= count; i++) {
            if ((code = expr_coerce(bind, all[i], type, CAST_IMPLICIT, &all[i], err)) != OX_OK)
                return code;
            all[i] = expr_fold(bind, all[i]);
        }
        *out = expr_new(bind->arena, EXPR_IN, TYPE(TYPE_BOOL), position);
        (*out)->negate = negate;
        set_args(bind->arena, *out, all, count + 1);
        return OX_OK;
    }
    /* No common type: a chain of comparisons says what is wrong or works. */
    for (uint32_t i = 0; i < count; i++)
        if ((code = expr_operator(bind, negate ? OX_STR("<>") : OX_STR("="), left, list[i],
                 position, &all[i], err)) != OX_OK)
            return code;
    *out = negate ? expr_and(bind->arena, all, count) : expr_or(bind->arena, all, count);
    return OX_OK;
}

ox_code
expr_array(const struct expr_bind *bind, struct expr **items, uint32_t count, int position,
    struct expr **out, struct ox_err *err)
{
    struct expr **copy = ox_arena_alloc(bind->arena, (count + 1) * sizeof(*copy));
    struct type type;
    if (count > 0)
        memcpy(copy, items, count * sizeof(*copy));
    if (count == 0) {
        *out = expr_new(bind->arena, EXPR_ARRAY, TYPE_ARRAY(TYPE_TEXT), position);
        set_args(bind->arena, *out, copy, 0);
        return OX_OK;
    }
    ox_code code = expr_unify(bind, copy, count, "ARRAY", &type, err);
    if (code != OX_OK)
        return code;
    *out = expr_new(bind->arena, EXPR_ARRAY, type_array_of(type), position);
    set_args(bind->arena, *out, copy, count);
    return OX_OK;
}

static ox_code
subscript_of(
    const struct expr_bind *bind, struct expr *array, struct expr **index, struct ox_err *err)
{
    if (!array->type.array)
        return at_position(ox_fail(err, OX_DATATYPE_MISMATCH,
                               "cannot subscript type %s because it does not support subscripting",
                               type_name(array->type, bind->arena)),
            err, array->position);
    if (*index == NULL)
        return OX_OK;
    return expr_coerce(bind, *index, TYPE(TYPE_INT4), CAST_ASSIGNMENT, index, err);
}

ox_code
expr_subscript(const struct expr_bind *bind, struct expr *array, struct expr *index, int position,
    struct expr **out, struct ox_err *err)
{
    /* a[1][2] is one node: the parser gives it as a subscript of a subscript */
    struct expr *base = array->kind == EXPR_SUBSCRIPT ? array->args[0] : array;
    if (array->type.id == TYPE_JSONB && !array->type.array)
        return expr_operator(bind, OX_STR("->"), array, index, position, out, err);
    ox_code code = subscript_of(bind, base, &index, err);
    if (code != OX_OK)
        return code;
    uint32_t n = array->kind == EXPR_SUBSCRIPT ? array->nargs : 1;
    struct expr **args = ox_arena_alloc(bind->arena, (n + 1) * sizeof(*args));
    args[0] = array;
    if (array->kind == EXPR_SUBSCRIPT)
        memcpy(args, array->args, n * sizeof(*args));
    args[n] = index;
    *out = expr_new(bind->arena, EXPR_SUBSCRIPT, type_element(base->type), position);
    set_args(bind->arena, *out, args, n + 1);
    return OX_OK;
}

ox_code
expr_slice(const struct expr_bind *bind, struct expr *array, struct expr *from, struct expr *to,
    bool further, int position, struct expr **out, struct ox_err *err)
{
    ox_code code = subscript_of(bind, array, &from, err);
    if (code == OX_OK)
        code = subscript_of(bind, array, &to, err);
    if (code != OX_OK)
        return code;
    /* a[1:2][2:3] is one slice of two dimensions */
    uint32_t n = further && array->kind == EXPR_SLICE ? array->nargs : 0;
    if (n >= 1 + 2 * ARRAY_DIMS_MAX)
        return at_position(ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED,
                               "number of array dimensions exceeds the maximum allowed (%d)",
                               ARRAY_DIMS_MAX),
            err, position);
    struct expr **args = ox_arena_array(bind->arena, struct expr *, n + 3);
    if (n > 0)
        memcpy(args, array->args, n * sizeof(*args));
    else
        args[n++] = array;
    args[n] = from;
    args[n + 1] = to;
    *out = expr_new(bind->arena, EXPR_SLICE, array->type, position);
    set_args(bind->arena, *out, args, n + 2);
    return OX_OK;
}

ox_code
expr_any_all(const struct expr_bind *bind, enum expr_kind kind, struct str op, struct expr *left,
    struct expr *array, int position, struct expr **out, struct ox_err *err)
{
    refresh_param(bind, left);
    refresh_param(bind, array);
    struct type item = array->type.array ? type_element(array->type) : TYPE(TYPE_UNKNOWN);
    struct type types[2] = {left->type, item}, element, compatible;
    bool ambiguous;
    if (!array->type.array && !type_is_unknown(array->type))
        return at_position(
            ox_fail(err, OX_WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side"),
            err, position);
    if (ox_str_is(op, "!="))
        op = OX_STR("<>");
    const struct func *func = func_choose(op, types, 2, true, &ambiguous);
    if (func == NULL)
        return at_position(
            ox_fail(err, OX_UNDEFINED_FUNCTION, "operator does not exist: %s %.*s %s",
                type_name(types[0], bind->arena), OX_STR_ARG(op), type_name(types[1], bind->arena)),
            err, position);
    if (func->result.id != TYPE_BOOL)
        return at_position(ox_fail(err, OX_WRONG_OBJECT_TYPE,
                               "op ANY/ALL (array) requires operator to yield boolean"),
            err, position);
    if (!func_deduce(func, types, 2, &element, &compatible))
        return polymorphic_mismatch(op, err, position);
    ox_code code;
    struct type want_left = concrete(func->args[0], element, compatible);
    struct type want_item = concrete(func->args[1], element, compatible);
    code = expr_coerce(bind, left, want_left, CAST_IMPLICIT, &left, err);
    if (code == OX_OK)
        code = expr_coerce(bind, array, type_array_of(want_item), CAST_IMPLICIT, &array, err);
    if (code != OX_OK)
        return code;
    *out = expr_new(bind->arena, kind, TYPE(TYPE_BOOL), position);
    (*out)->func = func;
    set_args(bind->arena, *out, (struct expr *[]){left, array}, 2);
    return OX_OK;
}

static bool
row_op(struct str op, enum expr_op *out)
{
    static const struct {
        const char *text;
        enum expr_op op;
    } ops[] = {{"=", OP_EQ}, {"<>", OP_NE}, {"!=", OP_NE}, {"<", OP_LT}, {"<=", OP_LE},
        {">", OP_GT}, {">=", OP_GE}};
    for (size_t i = 0; i < ox_count(ops); i++)
        if (ox_str_is(op, ops[i].text)) {
            *out = ops[i].op;
            return true;
        }
    return false;
}

ox_code
expr_row_compare(const struct expr_bind *bind, struct str op, struct expr **left,
    struct expr **right, uint32_t count, int position, struct expr **out, struct ox_err *err)
{
    enum expr_op kind;
    if (!row_op(op, &kind))
        return at_position(ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
                               "operator %.*s does not compare rows", OX_STR_ARG(op)),
            err, position);
    struct expr **args = ox_arena_alloc(bind->arena, (count * 2 + 1) * sizeof(*args));
    for (uint32_t i = 0; i < count; i++) {
        const struct func *func;
        args[i] = left[i];
        args[count + i] = right[i];
        ox_code code = comparable(bind, op, &args[i], &args[count + i], position, &func, err);
        if (code != OX_OK)
            return code;
    }
    *out = expr_new(bind->arena, EXPR_ROW_COMPARE, TYPE(TYPE_BOOL), position);
    (*out)->op = kind;
    set_args(bind->arena, *out, args, count * 2);
    return OX_OK;
}

struct expr *
expr_row(struct arena *arena, struct expr **fields, const struct str *names, uint32_t count,
    int position)
{
    struct expr *expr = expr_new(arena, EXPR_ROW, TYPE(TYPE_RECORD), position);
    expr->names = names;
    set_args(arena, expr, fields, count);
    return expr;
}

ox_code
expr_subquery_compare(const struct expr_bind *bind, struct str op, struct expr **left,
    struct type column, struct type *right_type, const struct func **func, struct ox_err *err)
{
    struct expr *probe = expr_column(bind->arena, 0, column, NULL, 0), *right = probe;
    ox_code code = comparable(bind, op, left, &right, (*left)->position, func, err);
    *right_type = right->type;
    if (code != OX_OK)
        return code;
    /* after widening both sides are of one type: take that comparison */
    struct type types[2] = {(*left)->type, right->type};
    bool ambiguous;
    if (ox_str_is(op, "!="))
        op = OX_STR("<>");
    const struct func *same = func_choose(op, types, 2, true, &ambiguous);
    if (same != NULL)
        *func = same;
    return OX_OK;
}
