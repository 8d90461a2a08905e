/* SPDX-License-Identifier: Apache-2.0
 *
 * Expressions as trees: folding, comparing, walking, printing. */
#include "exec/expr_int.h"

bool
expr_is_constant(const struct expr *expr)
{
    return expr->kind == EXPR_CONST;
}

struct expr *
expr_fold(const struct expr_bind *bind, struct expr *expr)
{
    if (expr->kind <= EXPR_PARAM || expr->kind == EXPR_SUBQUERY || expr->kind == EXPR_ROW ||
        expr->unfolded)
        return expr;
    bool constant = true;
    for (uint32_t i = 0; i < expr->nargs; i++) {
        if (expr->args[i] == NULL)
            continue;
        expr->args[i] = expr_fold(bind, expr->args[i]);
        constant &= expr->args[i]->kind == EXPR_CONST;
    }
    if (!constant || expr->type.id == TYPE_RECORD || expr->type.id == TYPE_VOID)
        return expr;
    if (expr_volatility(expr) != FUNC_IMMUTABLE ||
        (expr->kind == EXPR_CALL && expr->func->kind > FUNC_CAST))
        return expr;
    struct eval_config config = {
        .format = bind->format != NULL ? bind->format : &row_format_default};
    struct eval ev;
    struct batch batch = {.count = 1, .sel_count = 1};
    struct vector vec;
    eval_init(&ev, &config, bind->arena);
    struct expr *folded = expr;
    if (expr_eval(&ev, expr, &batch, &vec, NULL) == OX_OK) {
        folded = expr_const(bind->arena, expr->type, vector_get(&vec, 0), expr->position);
        folded->implicit = expr->implicit;
    } else {
        expr->unfolded = true;
    }
    eval_fini(&ev);
    return folded;
}

static enum func_volatility
own_volatility(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_CALL:
        return expr->func->volatility;
    case EXPR_CAST_TEXT: {
        /* text to and from these depends on settings */
        struct type from = expr->args[0]->type, to = expr->type;
        const uint16_t stable[] = {TYPE_DATE, TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, TYPE_INTERVAL,
            TYPE_REGCLASS, TYPE_REGTYPE, TYPE_REGPROC, TYPE_REGNAMESPACE, TYPE_REGROLE, TYPE_BYTEA,
            TYPE_FLOAT4, TYPE_FLOAT8, TYPE_TIME};
        for (size_t i = 0; i < ox_count(stable); i++)
            if (from.id == stable[i] || to.id == stable[i])
                return FUNC_STABLE;
        return FUNC_IMMUTABLE;
    }
    case EXPR_PARAM:
    case EXPR_SUBQUERY:
    case EXPR_OUTER:
        return FUNC_STABLE;
    default:
        return FUNC_IMMUTABLE;
    }
}

enum func_volatility
expr_volatility(const struct expr *expr)
{
    enum func_volatility worst = own_volatility(expr);
    for (uint32_t i = 0; i < expr->nargs && worst < FUNC_VOLATILE; i++) {
        enum func_volatility v =
            expr->args[i] != NULL ? expr_volatility(expr->args[i]) : FUNC_IMMUTABLE;
        worst = OX_MAX(worst, v);
    }
    return worst;
}

bool
expr_equal(const struct expr *a, const struct expr *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->kind != b->kind || !type_same(a->type, b->type) ||
        a->nargs != b->nargs || a->column != b->column || a->level != b->level ||
        a->func != b->func || a->negate != b->negate || a->test != b->test || a->op != b->op ||
        a->subplan != b->subplan || a->variadic != b->variadic || a->type.typmod != b->type.typmod)
        return false;
    if (a->kind == EXPR_CONST) {
        if (a->value.null || b->value.null)
            return a->value.null && b->value.null;
        /* by bytes: 1.0 and 1.00 are different constants */
        switch (type_phys(a->type)) {
        case PHYS_BOOL:
            return a->value.b == b->value.b;
        case PHYS_STR:
            return ox_str_eq(a->value.s, b->value.s);
        default:
            return a->value.i == b->value.i;
        }
    }
    for (uint32_t i = 0; i < a->nargs; i++)
        if (!expr_equal(a->args[i], b->args[i]))
            return false;
    return true;
}

bool
expr_walk(struct expr *expr, bool (*fn)(struct expr *node, void *arg), void *arg)
{
    if (!fn(expr, arg))
        return false;
    for (uint32_t i = 0; i < expr->nargs; i++)
        if (expr->args[i] != NULL && !expr_walk(expr->args[i], fn, arg))
            return false;
    return true;
}

struct expr *
expr_map(struct arena *arena, const struct expr *expr,
    struct expr *(*fn)(const struct expr *node, void *arg), void *arg)
{
    struct expr *replacement = fn(expr, arg);
    if (replacement != NULL)
        return replacement;
    struct expr *copy = ox_arena_copy(arena, expr, sizeof(*expr));
    copy->args = ox_arena_alloc(arena, (expr->nargs + 1) * sizeof(*copy->args));
    for (uint32_t i = 0; i < expr->nargs; i++)
        copy->args[i] = expr->args[i] != NULL ? expr_map(arena, expr->args[i], fn, arg) : NULL;
    return copy;
}

/* ---- printing ------------------------------------------------------------------------- */

static void
deparse_const(const struct expr *expr, struct text *to)
{
    if (expr->value.null) {
        ox_text_adds(to, "NULL");
        if (expr->type.id != TYPE_UNKNOWN && expr->type.id != TYPE_TEXT) {
            ox_text_adds(to, "::");
            type_format(expr->type, to);
        }
        return;
    }
    if (expr->type.id == TYPE_BOOL && !expr->type.array) {
        ox_text_adds(to, expr->value.b ? "true" : "false");
        return;
    }
    bool bare = !expr->type.array && (expr->type.id == TYPE_INT4 || expr->type.id == TYPE_NUMERIC);
    struct text text;
    ox_text_init(&text, NULL);
    type_out_text(expr->type, &expr->value, &row_format_default, &text);
    struct str s = ox_text_str(&text);
    if (bare && s.len > 0 && s.ptr[0] != '-' && s.ptr[0] != 'N') {
        ox_text_add(to, s.ptr, s.len);
    } else {
        ox_text_addc(to, '\'');
        for (size_t i = 0; i < s.len; i++) {
            if (s.ptr[i] == '\'')
                ox_text_addc(to, '\'');
            ox_text_addc(to, s.ptr[i]);
        }
        ox_text_addc(to, '\'');
        if (expr->type.id != TYPE_UNKNOWN) {
            ox_text_adds(to, "::");
            type_format(expr->type, to);
        }
    }
    ox_text_fini(&text);
}

static void
deparse_list(struct expr *const *args, uint32_t count, const char *between, struct text *to)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            ox_text_adds(to, between);
        if (args[i] != NULL)
            expr_deparse(args[i], to);
    }
}

static void
deparse_call(const struct expr *expr, struct text *to)
{
    const struct func *func = expr->func;
    if (func->kind == FUNC_CAST) {
        if (expr->implicit) {
            expr_deparse(expr->args[0], to);
            return;
        }
        ox_text_addc(to, '(');
        expr_deparse(expr->args[0], to);
        ox_text_adds(to, ")::");
        type_format(expr->type, to);
    } else if (func->kind == FUNC_OPERATOR && expr->nargs == 2) {
        ox_text_addc(to, '(');
        expr_deparse(expr->args[0], to);
        ox_text_addf(to, " %s ", func->name);
        expr_deparse(expr->args[1], to);
        ox_text_addc(to, ')');
    } else if (func->kind == FUNC_OPERATOR) {
        ox_text_addf(to, "(%s ", func->name);
        expr_deparse(expr->args[0], to);
        ox_text_addc(to, ')');
    } else {
        ox_text_addf(to, "%s(", func->name);
        if (func->kind == FUNC_AGGREGATE && expr->nargs == 0)
            ox_text_addc(to, '*');
        deparse_list(expr->args, expr->nargs, ", ", to);
        ox_text_addc(to, ')');
    }
}

static const char *const op_names[] = {"=", "<>", "<", "<=", ">", ">="};

static void
deparse_subquery(const struct expr *expr, struct text *to)
{
    static const char *const names[] = {"", "EXISTS", "IN", "ANY", "ALL", "ARRAY"};
    if (expr->nargs > 0) {
        deparse_list(expr->args, expr->nargs, ", ", to);
        ox_text_addc(to, ' ');
        if (expr->subkind != SUBQUERY_IN)
            ox_text_addf(to, "%s ", expr->func != NULL ? expr->func->name : op_names[expr->op]);
    }
    ox_text_addf(to, "%s(SubPlan)", names[expr->subkind]);
}

static void
deparse_between(const char *open, struct expr *const *args, uint32_t count, const char *separator,
    const char *close, struct text *to)
{
    ox_text_adds(to, open);
    deparse_list(args, count, separator, to);
    ox_text_adds(to, close);
}

/* What gives a truth; false: it is another expression. */
static bool
deparse_condition(const struct expr *expr, struct text *to)
{
    static const char *const tests[] = {"IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT TRUE",
        "IS FALSE", "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"};
    uint32_t half = expr->nargs / 2;
    switch (expr->kind) {
    case EXPR_AND:
        deparse_between("(", expr->args, expr->nargs, " AND ", ")", to);
        return true;
    case EXPR_OR:
        deparse_between("(", expr->args, expr->nargs, " OR ", ")", to);
        return true;
    case EXPR_NOT:
        deparse_between("(NOT ", expr->args, 1, "", ")", to);
        return true;
    case EXPR_TEST:
        deparse_between("(", expr->args, 1, "", " ", to);
        ox_text_addf(to, "%s)", tests[expr->test]);
        return true;
    case EXPR_DISTINCT:
        deparse_between("(", expr->args, 2,
            expr->negate ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ", ")", to);
        return true;
    case EXPR_IN:
        deparse_between("(", expr->args, 1, "", expr->negate ? " NOT IN (" : " IN (", to);
        deparse_between("", expr->args + 1, expr->nargs - 1, ", ", "))", to);
        return true;
    case EXPR_ANY:
    case EXPR_ALL:
        deparse_between("(", expr->args, 1, "", " ", to);
        ox_text_addf(to, "%s %s (", expr->func->name, expr->kind == EXPR_ANY ? "ANY" : "ALL");
        deparse_between("", expr->args + 1, 1, "", "))", to);
        return true;
    case EXPR_ROW_COMPARE:
        deparse_between("(ROW(", expr->args, half, ", ", ") ", to);
        ox_text_adds(to, op_names[expr->op]);
        deparse_between(" ROW(", expr->args + half, half, ", ", "))", to);
        return true;
    default:
        return false;
    }
}

static void
deparse_case(const struct expr *expr, struct text *to)
{
    ox_text_adds(to, "CASE");
    for (uint32_t i = 0; i + 1 < expr->nargs; i += 2) {
        deparse_between(" WHEN ", expr->args + i, 1, "", "", to);
        deparse_between(" THEN ", expr->args + i + 1, 1, "", "", to);
    }
    if (expr->nargs % 2 == 1)
        deparse_between(" ELSE ", expr->args + expr->nargs - 1, 1, "", "", to);
    ox_text_adds(to, " END");
}

void
expr_deparse(const struct expr *expr, struct text *to)
{
    if (deparse_condition(expr, to))
        return;
    switch (expr->kind) {
    case EXPR_CONST:
        deparse_const(expr, to);
        break;
    case EXPR_COLUMN:
    case EXPR_OUTER:
        if (expr->label != NULL)
            ox_text_adds(to, expr->label);
        else
            ox_text_addf(to, "column %u", expr->column + 1);
        break;
    case EXPR_PARAM:
        ox_text_addf(to, "$%u", expr->column + 1);
        break;
    case EXPR_CALL:
        deparse_call(expr, to);
        break;
    case EXPR_CASE:
        deparse_case(expr, to);
        break;
    case EXPR_COALESCE:
        deparse_between("COALESCE(", expr->args, expr->nargs, ", ", ")", to);
        break;
    case EXPR_GREATEST:
        deparse_between("GREATEST(", expr->args, expr->nargs, ", ", ")", to);
        break;
    case EXPR_LEAST:
        deparse_between("LEAST(", expr->args, expr->nargs, ", ", ")", to);
        break;
    case EXPR_NULLIF:
        deparse_between("NULLIF(", expr->args, 1, "", ", ", to);
        expr_deparse(expr->args[1]->kind == EXPR_CALL ? expr->args[1]->args[1] : expr->args[1], to);
        ox_text_addc(to, ')');
        break;
    case EXPR_ARRAY:
        deparse_between("ARRAY[", expr->args, expr->nargs, ", ", "]", to);
        break;
    case EXPR_SUBSCRIPT:
        expr_deparse(expr->args[0], to);
        for (uint32_t i = 1; i < expr->nargs; i++)
            deparse_between("[", expr->args + i, 1, "", "]", to);
        break;
    case EXPR_SLICE:
        expr_deparse(expr->args[0], to);
        for (uint32_t i = 1; i < expr->nargs; i += 2)
            deparse_between("[", expr->args + i, 2, ":", "]", to);
        break;
    case EXPR_ROW:
        deparse_between("ROW(", expr->args, expr->nargs, ", ", ")", to);
        break;
    case EXPR_FIELD:
        deparse_between("(", expr->args, 1, "", ").", to);
        ox_text_adds(to, expr->label != NULL ? expr->label : "field");
        break;
    case EXPR_CAST_TEXT:
        if (expr->implicit) {
            expr_deparse(expr->args[0], to);
            break;
        }
        deparse_between("(", expr->args, 1, "", ")::", to);
        type_format(expr->type, to);
        break;
    case EXPR_SUBQUERY:
        deparse_subquery(expr, to);
        break;
    default: /* a condition, above */
        ox_unreachable();
    }
}
