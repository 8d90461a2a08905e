/* SPDX-License-Identifier: Apache-2.0
 *
 * What a scan of topics can do for a condition. A comparison of _partition, _offset,
 * _timestamp or _key with a value that is known when the scan opens becomes a bound,
 * exactly, and leaves the filter. From others follows a bound that is wider (an OR of
 * ranges, a row comparison): the filter stays. From LIKE follow bytes that a record
 * must have. For the rest EXPLAIN says why not. */
#include "base/check.h"
#include "sql/bind_int.h"

static bool
bound_what(const struct rel *rel, const struct expr *expr, enum scan_bound_what *what,
    struct type *type)
{
    if (expr->kind != EXPR_COLUMN)
        return false;
    for (uint32_t i = 0; i < rel->column_count; i++) {
        if (rel->columns[i].id != expr->column)
            continue;
        *type = rel->columns[i].type;
        switch (bind_topic_column(i)) {
        case SCAN_PARTITION: *what = BOUND_PARTITION; return true;
        case SCAN_OFFSET: *what = BOUND_OFFSET; return true;
        case SCAN_TIMESTAMP: *what = BOUND_TIMESTAMP; return true;
        case SCAN_KEY:
        case SCAN_KEY_BYTES: *what = BOUND_KEY; return true;
        default: return false;
        }
    }
    return false;
}

static bool
is_integer_type(struct type type)
{
    return !type.array &&
           (type.id == TYPE_INT2 || type.id == TYPE_INT4 || type.id == TYPE_INT8);
}

/* A value the scan can compute before it starts, in the type the bound has. */
static bool
bound_value(struct bind *b, enum scan_bound_what what, struct type column, struct expr *value)
{
    struct type type = value->type;
    if (bind_rels_of(b->scope, value) != 0 || expr_volatility(value) == FUNC_VOLATILE)
        return false;
    if (what == BOUND_PARTITION || what == BOUND_OFFSET)
        return is_integer_type(type);
    if (what == BOUND_TIMESTAMP)
        return !type.array && type.id == TYPE_TIMESTAMPTZ;
    return !type.array && type.id == column.id;
}

static bool
bound_op(const struct func *func, bool swapped, enum scan_bound_op *op)
{
    static const struct {
        const char *name;
        enum scan_bound_op op, swapped;
    } ops[] = {{"=", BOUND_EQ, BOUND_EQ}, {"<", BOUND_LT, BOUND_GT}, {"<=", BOUND_LE, BOUND_GE},
        {">", BOUND_GT, BOUND_LT}, {">=", BOUND_GE, BOUND_LE}};
    for (size_t i = 0; func != NULL && i < ox_count(ops); i++)
        if (strcmp(func->name, ops[i].name) == 0) {
            *op = swapped ? ops[i].swapped : ops[i].op;
            return true;
        }
    return false;
}

/* int8 = int4 and such put a cast around the column; it changes nothing. */
static struct expr *
without_widening(struct expr *expr)
{
    while (expr->kind == EXPR_CALL && expr->func->kind == FUNC_CAST && expr->implicit &&
           type_phys(expr->type) == PHYS_I64 && type_phys(expr->args[0]->type) == PHYS_I64 &&
           expr->type.id != TYPE_TIMESTAMP && expr->args[0]->type.id != TYPE_DATE)
        expr = expr->args[0];
    return expr;
}

/* column = ANY (array): the array is evaluated when the scan opens. */
static bool
any_bound(struct bind *b, const struct rel *rel, struct expr *condition, struct scan_bound *out)
{
    struct type type;
    struct expr *value = condition->args[1];
    if (!bound_what(rel, without_widening(condition->args[0]), &out->what, &type) ||
        out->what == BOUND_TIMESTAMP || !value->type.array ||
        bind_rels_of(b->scope, value) != 0 || expr_volatility(value) == FUNC_VOLATILE)
        return false;
    struct type element = type_element(value->type);
    if (out->what == BOUND_KEY ? element.id != type.id : !is_integer_type(element))
        return false;
    out->op = BOUND_IN;
    out->value_count = 1;
    out->values = ox_arena_array(b->arena, struct expr *, 1);
    out->values[0] = value;
    return true;
}

/* Does the condition become a bound of the scan? */
bool
bind_as_bound(struct bind *b, const struct rel *rel, struct expr *condition, struct scan_bound *out)
{
    struct type type;
    if (condition->kind == EXPR_CALL && condition->func->kind == FUNC_OPERATOR &&
        condition->nargs == 2) {
        for (int side = 0; side < 2; side++) {
            struct expr *column = without_widening(condition->args[side]);
            struct expr *value = without_widening(condition->args[1 - side]);
            if (bound_what(rel, column, &out->what, &type) &&
                bound_value(b, out->what, type, value) &&
                bound_op(condition->func, side == 1, &out->op) &&
                (out->what != BOUND_KEY || out->op == BOUND_EQ)) {
                out->values = ox_arena_array(b->arena, struct expr *, 1);
                out->values[0] = value;
                out->value_count = 1;
                return true;
            }
        }
        return false;
    }
    if (condition->kind == EXPR_IN && !condition->negate &&
        bound_what(rel, without_widening(condition->args[0]), &out->what, &type)) {
        if (out->what == BOUND_TIMESTAMP)
            return false;
        out->op = BOUND_IN;
        out->value_count = condition->nargs - 1;
        out->values = ox_arena_array(b->arena, struct expr *, out->value_count);
        for (uint32_t i = 0; i < out->value_count; i++) {
            out->values[i] = without_widening(condition->args[i + 1]);
            if (!bound_value(b, out->what, type, out->values[i]))
                return false;
        }
        return true;
    }
    if (condition->kind == EXPR_ANY && strcmp(condition->func->name, "=") == 0)
        return any_bound(b, rel, condition, out);
    return false;
}

/* The text between % and % of a LIKE whose bytes every match must have. A value
 * that is not UTF-8 shows as hex digits, so the text must not be all of those. */
bool
bind_as_needle(struct bind *b, const struct rel *rel, const struct expr *condition, struct str *out)
{
    if (condition->kind != EXPR_CALL || condition->nargs != 2 ||
        strcmp(condition->func->name, "~~") != 0 || condition->args[0]->kind != EXPR_COLUMN ||
        condition->args[1]->kind != EXPR_CONST || condition->args[1]->value.null)
        return false;
    bool is_value = false;
    for (uint32_t i = 0; i < rel->column_count; i++)
        is_value |= rel->columns[i].id == condition->args[0]->column &&
                    (bind_topic_column(i) == SCAN_VALUE || bind_topic_column(i) == SCAN_KEY);
    struct str pattern = condition->args[1]->value.s;
    if (!is_value || memchr(pattern.ptr, '\\', pattern.len) != NULL)
        return false;
    struct str best = OX_STR(""), run = {pattern.ptr, 0};
    bool telling = false, best_telling = false;
    for (size_t i = 0; i <= pattern.len; i++) {
        if (i < pattern.len && pattern.ptr[i] != '%' && pattern.ptr[i] != '_') {
            telling |= strchr("0123456789abcdefx", pattern.ptr[i]) == NULL;
            run.len++;
            continue;
        }
        if (telling && run.len > best.len) {
            best = run;
            best_telling = true;
        }
        run = ox_str_n(pattern.ptr + i + 1, 0);
        telling = false;
    }
    *out = ox_str_dup(b->arena, best);
    return best_telling && best.len >= 2;
}

/* ---- bounds that follow from a condition which stays ---- */

/* The values of _partition and _offset that a condition lets pass, or more. */
struct hull {
    bool by_partition, by_offset;
    int64_t partitions[BIND_IMPLIED_PARTITIONS];
    uint32_t partition_count;
    int64_t from, to; /* of offsets, half open */
};

static bool
constant_int(const struct expr *expr, int64_t *out)
{
    *out = expr->value.i;
    return expr_is_constant(expr) && !expr->value.null && type_phys(expr->type) == PHYS_I64;
}

static void
narrow_hull(struct hull *hull, const struct scan_bound *bound)
{
    int64_t value;
    if (bound->what == BOUND_OFFSET && bound->op != BOUND_IN &&
        constant_int(bound->values[0], &value)) {
        hull->by_offset = true;
        if (bound->op == BOUND_EQ || bound->op == BOUND_GE)
            hull->from = OX_MAX(hull->from, value);
        if (bound->op == BOUND_GT && value < INT64_MAX)
            hull->from = OX_MAX(hull->from, value + 1);
        if ((bound->op == BOUND_EQ || bound->op == BOUND_LE) && value < INT64_MAX)
            hull->to = OX_MIN(hull->to, value + 1);
        if (bound->op == BOUND_LT)
            hull->to = OX_MIN(hull->to, value);
        return;
    }
    if (bound->what != BOUND_PARTITION || (bound->op != BOUND_EQ && bound->op != BOUND_IN) ||
        bound->value_count > BIND_IMPLIED_PARTITIONS || hull->by_partition)
        return;
    for (uint32_t i = 0; i < bound->value_count; i++)
        if (bound->values[i]->type.array || !constant_int(bound->values[i], &hull->partitions[i]))
            return;
    hull->by_partition = true;
    hull->partition_count = bound->value_count;
}

static void
hull_of(struct bind *b, const struct rel *rel, struct expr *condition, struct hull *hull)
{
    struct expr **list;
    uint32_t count;
    *hull = (struct hull){.from = 0, .to = INT64_MAX};
    bind_split(b, condition, &list, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct scan_bound bound;
        if (bind_as_bound(b, rel, list[i], &bound))
            narrow_hull(hull, &bound);
    }
}

static void
widen_hull(struct hull *hull, const struct hull *other)
{
    hull->by_offset &= other->by_offset;
    hull->from = OX_MIN(hull->from, other->from);
    hull->to = OX_MAX(hull->to, other->to);
    hull->by_partition &= other->by_partition &&
                          hull->partition_count + other->partition_count <=
                              BIND_IMPLIED_PARTITIONS;
    if (hull->by_partition)
        for (uint32_t i = 0; i < other->partition_count; i++)
            hull->partitions[hull->partition_count++] = other->partitions[i];
}

static struct scan_bound
constant_bound(struct bind *b, enum scan_bound_what what, enum scan_bound_op op,
    const int64_t *values, uint32_t count)
{
    struct type type = TYPE(what == BOUND_PARTITION ? TYPE_INT4 : TYPE_INT8);
    struct scan_bound bound = {.what = what, .op = op, .value_count = count};
    bound.values = ox_arena_array(b->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++)
        bound.values[i] = expr_const(b->arena, type, datum_i64(values[i]), 0);
    return bound;
}

/* (_partition = 0 AND _offset > 5) OR (_partition = 1 AND ...) */
static uint32_t
implied_by_or(struct bind *b, const struct rel *rel, struct expr *condition,
    struct scan_bound *out)
{
    struct hull all, branch;
    uint32_t count = 0;
    hull_of(b, rel, condition->args[0], &all);
    for (uint32_t i = 1; i < condition->nargs; i++) {
        hull_of(b, rel, condition->args[i], &branch);
        widen_hull(&all, &branch);
    }
    if (all.by_partition)
        out[count++] = constant_bound(b, BOUND_PARTITION, BOUND_IN, all.partitions,
            all.partition_count);
    if (all.by_offset && all.from > 0)
        out[count++] = constant_bound(b, BOUND_OFFSET, BOUND_GE, &all.from, 1);
    if (all.by_offset && all.to < INT64_MAX)
        out[count++] = constant_bound(b, BOUND_OFFSET, BOUND_LT, &all.to, 1);
    return count;
}

/* (_partition, _offset) > (0, 100): the first field is at least as large. */
static uint32_t
implied_by_row(struct bind *b, const struct rel *rel, struct expr *condition,
    struct scan_bound *out)
{
    uint32_t width = condition->nargs / 2, count = 0;
    bool less = condition->op == OP_LT || condition->op == OP_LE;
    bool equal = condition->op == OP_EQ;
    if (condition->op == OP_NE)
        return 0;
    for (uint32_t i = 0; i < (equal ? width : 1) && count < BIND_IMPLIED_MAX; i++) {
        struct type type;
        struct expr *column = without_widening(condition->args[i]);
        struct expr *value = without_widening(condition->args[width + i]);
        enum scan_bound_what what;
        bool swapped = !bound_what(rel, column, &what, &type);
        if (swapped) {
            struct expr *left = column;
            column = value;
            value = left;
            if (!bound_what(rel, column, &what, &type))
                continue;
        }
        if (!bound_value(b, what, type, value) || (what == BOUND_KEY && !equal))
            continue;
        struct scan_bound *bound = &out[count++];
        bound->what = what;
        bound->op = equal ? BOUND_EQ : less != swapped ? BOUND_LE : BOUND_GE;
        bound->values = ox_arena_array(b->arena, struct expr *, 1);
        bound->values[0] = bind_copy(b, value); /* the filter keeps its own */
        bound->value_count = 1;
    }
    return count;
}

uint32_t
bind_implied_bounds(struct bind *b, const struct rel *rel, struct expr *condition,
    struct scan_bound *out)
{
    if (condition->kind == EXPR_OR)
        return implied_by_or(b, rel, condition, out);
    if (condition->kind == EXPR_ROW_COMPARE)
        return implied_by_row(b, rel, condition, out);
    return 0;
}

/* ---- why not ---- */

struct seen_columns {
    const struct rel *rel;
    bool any[4]; /* by enum scan_bound_what */
    uint32_t count;
};

static bool
see_column(struct expr *node, void *arg)
{
    struct seen_columns *seen = arg;
    enum scan_bound_what what;
    struct type type;
    if (bound_what(seen->rel, node, &what, &type)) {
        seen->any[what] = true;
        seen->count++;
    }
    return true;
}

static struct expr *
without_casts(struct expr *expr)
{
    while (expr->kind == EXPR_CALL && expr->func->kind == FUNC_CAST && expr->implicit)
        expr = expr->args[0];
    return expr;
}

static const char *
why_not_operator(struct bind *b, const struct rel *rel, const struct expr *condition)
{
    enum scan_bound_what what;
    enum scan_bound_op op;
    struct type type;
    for (int side = 0; side < 2; side++) {
        struct expr *column = without_casts(condition->args[side]);
        struct expr *value = without_widening(condition->args[1 - side]);
        if (!bound_what(rel, column, &what, &type))
            continue;
        bool known = bound_op(condition->func, side == 1, &op);
        if (what == BOUND_KEY && (!known || op != BOUND_EQ))
            return "keys are looked up by = and IN only";
        if (!known)
            return "the scan takes =, <, <=, >, >= and IN";
        if (expr_volatility(value) == FUNC_VOLATILE)
            return "the value may be another one for each record";
        if (bind_rels_of(b->scope, value) != 0)
            return "the value comes from the record itself";
        return what == BOUND_TIMESTAMP
                   ? "_timestamp is compared with another type than timestamptz"
                   : "the column is compared with another type than its own";
    }
    return "the column is part of an expression; compare it by itself";
}

const char *
bind_why_not(struct bind *b, const struct rel *rel, struct expr *condition)
{
    struct seen_columns seen = {.rel = rel};
    expr_walk(condition, see_column, &seen);
    if (seen.count == 0)
        return NULL;
    switch (condition->kind) {
    case EXPR_OR: return "not every side of the OR bounds the same column by constants";
    case EXPR_NOT:
    case EXPR_TEST:
    case EXPR_DISTINCT: return "the scan takes =, <, <=, >, >= and IN";
    case EXPR_IN:
    case EXPR_ANY:
        if (condition->negate)
            return "what is left out is no range";
        return seen.any[BOUND_TIMESTAMP] ? "_timestamp takes ranges, not lists"
                                         : "the list is not one of values of the column's type";
    case EXPR_CALL:
        if (condition->func->kind == FUNC_OPERATOR && condition->nargs == 2)
            return why_not_operator(b, rel, condition);
        return "the column is part of an expression; compare it by itself";
    default: return "the column is part of an expression; compare it by itself";
    }
}
