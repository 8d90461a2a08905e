/* SPDX-License-Identifier: Apache-2.0
 *
 * A path is an expression: accessors bind closest, then signs, * / %, + -,
 * comparisons, !, &&, ||. Steps of an accessor work on each item of a sequence; in
 * lax mode a member is looked for in the elements of an array, and a subscript
 * takes what is no array for an array of one.
 *
 *   text -> tokens -> struct json_path (a tree) -> walk() over a document -> items */
#include "exec/json_path.h"

#include <ctype.h>

#include "base/check.h"
#include "exec/regex.h"
#include "row/json.h"

enum { DEPTH_MAX = 200, NODES_MAX = 500 }; /* a walk is as deep as a path is long */

enum kind {
    P_ROOT, P_CURRENT, P_VARIABLE, P_LITERAL, P_LAST,
    /* steps: of `left` */
    P_KEY, P_ANY_KEY, P_ANY_DEPTH, P_ANY_ITEM, P_SUBSCRIPTS, P_FILTER, P_METHOD,
    /* arithmetic */
    P_ADD, P_SUB, P_MUL, P_DIV, P_MOD, P_PLUS, P_MINUS,
    /* conditions */
    P_EQ, P_NE, P_LT, P_LE, P_GT, P_GE, P_AND, P_OR, P_NOT, P_EXISTS, P_UNKNOWN, P_STARTS, P_LIKE,
};

enum method { M_TYPE, M_SIZE, M_DOUBLE, M_CEILING, M_FLOOR, M_ABS };

struct range {
    struct json_path *from, *to; /* to NULL: one element */
    struct range *next;
};

struct json_path {
    enum kind kind;
    enum method method;
    struct json_path *left, *right;
    struct range *ranges;
    const struct json_node *literal;
    struct str text; /* a key, the name of a variable */
    struct regex *regex;
};

/* ---- parsing ---- */

struct reader {
    struct str text;
    size_t at;
    uint32_t depth, nodes;
    struct arena *arena;
    struct ox_err *err;
    bool failed;
};

static struct json_path *read_or(struct reader *r);

static struct json_path *
node_new(struct reader *r, enum kind kind, struct json_path *left, struct json_path *right)
{
    struct json_path *node = ox_arena_new(r->arena, struct json_path);
    node->kind = kind;
    node->left = left;
    node->right = right;
    if (++r->nodes > NODES_MAX && !r->failed) {
        ox_fail(r->err, OX_STATEMENT_TOO_COMPLEX, "jsonpath has more than %d parts", NODES_MAX);
        r->failed = true;
    }
    return node;
}

static struct json_path *
bad(struct reader *r)
{
    if (!r->failed && r->at >= r->text.len)
        ox_fail(r->err, OX_SYNTAX_ERROR, "syntax error at end of jsonpath input");
    else if (!r->failed)
        ox_fail(r->err, OX_SYNTAX_ERROR, "syntax error at or near \"%.*s\" of jsonpath input",
            (int)OX_MIN(r->text.len - r->at, (size_t)20), r->text.ptr + r->at);
    r->failed = true;
    return node_new(r, P_ROOT, NULL, NULL);
}

static void
skip_space(struct reader *r)
{
    while (r->at < r->text.len && isspace((unsigned char)r->text.ptr[r->at]))
        r->at++;
}

static bool
take(struct reader *r, const char *token)
{
    size_t len = strlen(token);
    skip_space(r);
    if (r->text.len - r->at < len || memcmp(r->text.ptr + r->at, token, len) != 0)
        return false;
    r->at += len;
    return true;
}

static bool
is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* A word that stands alone. */
static bool
take_word(struct reader *r, const char *word)
{
    size_t before = r->at;
    if (take(r, word) && (r->at == r->text.len || !is_name_char(r->text.ptr[r->at])))
        return true;
    r->at = before;
    return false;
}

/* "text", as JSON writes it. */
static bool
take_string(struct reader *r, struct str *out)
{
    skip_space(r);
    size_t start = r->at, end = start + 1;
    if (r->at >= r->text.len || r->text.ptr[r->at] != '"')
        return false;
    while (end < r->text.len && r->text.ptr[end] != '"')
        end += r->text.ptr[end] == '\\' ? 2 : 1;
    struct json_node *node;
    if (end >= r->text.len ||
        json_parse(ox_str_n(r->text.ptr + start, end + 1 - start), true, r->arena, &node, NULL) !=
            OX_OK) {
        bad(r);
        return false;
    }
    r->at = end + 1;
    *out = node->text;
    return true;
}

static struct json_path *
literal(struct reader *r, enum json_kind kind, struct str text)
{
    struct json_path *node = node_new(r, P_LITERAL, NULL, NULL);
    struct json_node *value = json_node_new(r->arena, kind);
    value->text = text;
    node->literal = value;
    return node;
}

static bool
take_name(struct reader *r, struct str *out)
{
    if (take_string(r, out))
        return true;
    size_t start = r->at;
    while (r->at < r->text.len && is_name_char(r->text.ptr[r->at]))
        r->at++;
    *out = ox_str_n(r->text.ptr + start, r->at - start);
    return out->len > 0 && !r->failed;
}

static struct json_path *
read_number(struct reader *r)
{
    size_t start = r->at;
    while (r->at < r->text.len) {
        char c = r->text.ptr[r->at];
        bool sign = (c == '+' || c == '-') && r->at > start && (r->text.ptr[r->at - 1] | 32) == 'e';
        if (!isdigit((unsigned char)c) && c != '.' && (c | 32) != 'e' && !sign)
            break;
        r->at++;
    }
    struct str text = ox_str_n(r->text.ptr + start, r->at - start), number;
    if (numeric_in(text, -1, r->arena, &number, NULL) != OX_OK)
        return bad(r);
    return literal(r, JSON_NUMBER, ox_str_dup(r->arena, text));
}

static struct json_path *
read_primary(struct reader *r)
{
    struct str text;
    skip_space(r);
    char c = r->at < r->text.len ? r->text.ptr[r->at] : '\0';
    if (take(r, "(")) {
        struct json_path *inner = read_or(r);
        return take(r, ")") ? inner : bad(r);
    }
    if (take(r, "@"))
        return node_new(r, P_CURRENT, NULL, NULL);
    if (take(r, "$")) {
        bool named = r->at < r->text.len &&
                     (is_name_char(r->text.ptr[r->at]) || r->text.ptr[r->at] == '"');
        struct json_path *node = node_new(r, named ? P_VARIABLE : P_ROOT, NULL, NULL);
        return named && !take_name(r, &node->text) ? bad(r) : node;
    }
    if (isdigit((unsigned char)c) || c == '.')
        return read_number(r);
    if (take_string(r, &text))
        return literal(r, JSON_STRING, text);
    if (take_word(r, "true"))
        return literal(r, JSON_TRUE, OX_STR_NULL);
    if (take_word(r, "false"))
        return literal(r, JSON_FALSE, OX_STR_NULL);
    if (take_word(r, "null"))
        return literal(r, JSON_NULL, OX_STR_NULL);
    if (take_word(r, "last"))
        return node_new(r, P_LAST, NULL, NULL);
    if (take_word(r, "exists")) {
        struct json_path *inner = take(r, "(") ? read_or(r) : bad(r);
        return take(r, ")") ? node_new(r, P_EXISTS, inner, NULL) : bad(r);
    }
    return bad(r);
}

static struct json_path *
read_subscripts(struct reader *r, struct json_path *of)
{
    struct json_path *node = node_new(r, P_SUBSCRIPTS, of, NULL);
    struct range **end = &node->ranges;
    do {
        struct range *range = ox_arena_new(r->arena, struct range);
        range->from = read_or(r);
        range->to = take_word(r, "to") ? read_or(r) : NULL;
        *end = range;
        end = &range->next;
    } while (take(r, ",") && !r->failed);
    return take(r, "]") ? node : bad(r);
}

/* .key, .*, .**, .method() */
static struct json_path *
read_member(struct reader *r, struct json_path *of)
{
    static const char *const methods[] = {"type", "size", "double", "ceiling", "floor", "abs"};
    struct json_path *node = node_new(r, P_KEY, of, NULL);
    skip_space(r);
    bool quoted = r->at < r->text.len && r->text.ptr[r->at] == '"';
    if (take(r, "**"))
        node->kind = P_ANY_DEPTH;
    else if (take(r, "*"))
        node->kind = P_ANY_KEY;
    if (node->kind != P_KEY)
        return node;
    if (!take_name(r, &node->text))
        return bad(r);
    size_t before = r->at;
    if (quoted || !take(r, "("))
        return node;
    for (size_t i = 0; i < ox_count(methods); i++)
        if (ox_str_is(node->text, methods[i]) && take(r, ")")) {
            node->kind = P_METHOD;
            node->method = (enum method)i;
            return node;
        }
    r->at = before;
    return bad(r);
}

static struct json_path *
read_accessor(struct reader *r)
{
    struct json_path *node = read_primary(r);
    while (!r->failed) {
        if (take(r, ".")) {
            node = read_member(r, node);
        } else if (take(r, "[")) {
            size_t before = r->at;
            if (take(r, "*") && take(r, "]")) {
                node = node_new(r, P_ANY_ITEM, node, NULL);
                continue;
            }
            r->at = before;
            node = read_subscripts(r, node);
        } else if (take(r, "?")) {
            struct json_path *condition = take(r, "(") ? read_or(r) : bad(r);
            node = take(r, ")") ? node_new(r, P_FILTER, node, condition) : bad(r);
        } else {
            break;
        }
    }
    return node;
}

/* Everything that goes deeper passes here, on its way up r->depth falls again. False: it
 * must not. */
static bool
go_deeper(struct reader *r)
{
    if (++r->depth > DEPTH_MAX && !r->failed) {
        ox_fail(r->err, OX_STATEMENT_TOO_COMPLEX, "jsonpath is nested too deeply");
        r->failed = true;
    }
    return !r->failed;
}

static struct json_path *
read_sign(struct reader *r)
{
    struct json_path *node;
    if (!go_deeper(r))
        node = node_new(r, P_ROOT, NULL, NULL);
    else if (take(r, "-"))
        node = node_new(r, P_MINUS, read_sign(r), NULL);
    else if (take(r, "+"))
        node = node_new(r, P_PLUS, read_sign(r), NULL);
    else
        node = read_accessor(r);
    r->depth--;
    return node;
}

static struct json_path *
read_product(struct reader *r)
{
    struct json_path *node = read_sign(r);
    while (!r->failed) {
        enum kind kind = take(r, "*") ? P_MUL : take(r, "/") ? P_DIV : take(r, "%") ? P_MOD : P_ROOT;
        if (kind == P_ROOT)
            break;
        node = node_new(r, kind, node, read_sign(r));
    }
    return node;
}

static struct json_path *
read_sum(struct reader *r)
{
    struct json_path *node = read_product(r);
    while (!r->failed) {
        enum kind kind = take(r, "+") ? P_ADD : take(r, "-") ? P_SUB : P_ROOT;
        if (kind == P_ROOT)
            break;
        node = node_new(r, kind, node, read_product(r));
    }
    return node;
}

static struct json_path *
read_like(struct reader *r, struct json_path *left)
{
    struct json_path *node = node_new(r, P_LIKE, left, NULL);
    struct str flags = OX_STR("");
    int bits = 0;
    if (!take_string(r, &node->text) || (take_word(r, "flag") && !take_string(r, &flags)))
        return bad(r);
    for (size_t i = 0; i < flags.len; i++)
        bits |= flags.ptr[i] == 'i'   ? REGEX_FOLD
                : flags.ptr[i] == 'q' ? REGEX_LITERAL
                : flags.ptr[i] == 'm' ? REGEX_ANCHORS
                                      : 0;
    if (regex_compile(node->text, bits, r->arena, &node->regex, r->err) != OX_OK)
        r->failed = true;
    return node;
}

static struct json_path *
read_comparison(struct reader *r)
{
    static const struct {
        const char *token;
        enum kind kind;
    } all[] = {{"==", P_EQ}, {"!=", P_NE}, {"<>", P_NE}, {"<=", P_LE}, {">=", P_GE}, {"<", P_LT},
        {">", P_GT}};
    struct json_path *node;
    if (take(r, "!")) { /* "!=" cannot stand here */
        node = go_deeper(r) ? read_comparison(r) : node_new(r, P_ROOT, NULL, NULL);
        r->depth--;
        return node_new(r, P_NOT, node, NULL);
    }
    node = read_sum(r);
    for (size_t i = 0; i < ox_count(all) && !r->failed; i++)
        if (take(r, all[i].token))
            return node_new(r, all[i].kind, node, read_sum(r));
    if (take_word(r, "starts"))
        return take_word(r, "with") ? node_new(r, P_STARTS, node, read_primary(r)) : bad(r);
    if (take_word(r, "like_regex"))
        return read_like(r, node);
    if (take_word(r, "is"))
        return take_word(r, "unknown") ? node_new(r, P_UNKNOWN, node, NULL) : bad(r);
    return node;
}

static struct json_path *
read_and(struct reader *r)
{
    struct json_path *node = read_comparison(r);
    while (!r->failed && take(r, "&&"))
        node = node_new(r, P_AND, node, read_comparison(r));
    return node;
}

static struct json_path *
read_or(struct reader *r)
{
    struct json_path *node = read_and(r);
    while (!r->failed && take(r, "||"))
        node = node_new(r, P_OR, node, read_and(r));
    return node;
}

ox_code
json_path_parse(struct str text, struct arena *arena, struct json_path **out, struct ox_err *err)
{
    struct ox_err own;
    struct reader r = {.text = text, .arena = arena, .err = err != NULL ? err : &own};
    if (take_word(&r, "strict"))
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "jsonpath's strict mode is not served");
    take_word(&r, "lax");
    *out = read_or(&r);
    skip_space(&r);
    if (!r.failed && r.at < text.len)
        bad(&r);
    return r.failed ? r.err->code : OX_OK;
}

bool
json_path_is_condition(const struct json_path *path)
{
    return path->kind >= P_EQ;
}

/* ---- walking ---- */

enum truth { NO, YES, UNKNOWN };

/* Items given and pairs compared, since nothing interrupts a walk. */
enum { STEPS_MAX = 5000000 };

struct walk {
    const struct json_node *root, *vars;
    struct arena *arena;
    struct ox_err *err;
    uint32_t steps;
};

/* Where in the document a path stands. */
struct place {
    const struct json_node *current;
    int64_t last; /* of the array whose subscripts are computed; -1: none */
};

static ox_code walk(struct walk *w, const struct json_path *path, const struct place *at,
    struct json_items *out);

static void
give(struct walk *w, struct json_items *out, const struct json_node *node)
{
    if (++w->steps > STEPS_MAX)
        return;
    ox_arena_grow(w->arena, (void **)&out->items, &out->cap, out->count + 1, sizeof(*out->items));
    out->items[out->count++] = node;
}

static struct str
number_of(struct walk *w, const struct json_node *node)
{
    struct str number = OX_STR_NULL;
    if (node->kind == JSON_NUMBER)
        numeric_in(node->text, -1, w->arena, &number, NULL);
    return number;
}

static void
give_number(struct walk *w, struct json_items *out, struct str number)
{
    struct text text;
    struct json_node *node = json_node_new(w->arena, JSON_NUMBER);
    ox_text_init(&text, w->arena);
    numeric_out(number, &text);
    node->text = ox_text_str(&text);
    give(w, out, node);
}

/* The items with arrays replaced by their elements. */
static ox_code
walk_unwrapped(struct walk *w, const struct json_path *path, const struct place *at,
    struct json_items *out)
{
    struct json_items items = {0};
    ox_code code = walk(w, path, at, &items);
    for (uint32_t i = 0; i < items.count; i++) {
        const struct json_node *item = items.items[i];
        if (item->kind != JSON_ARRAY)
            give(w, out, item);
        for (uint32_t k = 0; item->kind == JSON_ARRAY && k < item->count; k++)
            give(w, out, item->items[k]);
    }
    return code;
}

static enum truth
compare_two(struct walk *w, enum kind kind, const struct json_node *a, const struct json_node *b)
{
    int order;
    bool bool_a = a->kind == JSON_TRUE || a->kind == JSON_FALSE;
    bool bool_b = b->kind == JSON_TRUE || b->kind == JSON_FALSE;
    if (bool_a && bool_b)
        order = (a->kind == JSON_TRUE) - (b->kind == JSON_TRUE);
    else if (a->kind != b->kind)
        return a->kind == JSON_NULL || b->kind == JSON_NULL ? (kind == P_NE ? YES : NO) : UNKNOWN;
    else if (a->kind == JSON_NULL)
        order = 0;
    else if (a->kind == JSON_NUMBER)
        order = numeric_compare(number_of(w, a), number_of(w, b));
    else if (a->kind == JSON_STRING)
        order = ox_str_cmp(a->text, b->text);
    else
        return UNKNOWN;
    switch (kind) {
    case P_EQ: return order == 0;
    case P_NE: return order != 0;
    case P_LT: return order < 0;
    case P_LE: return order <= 0;
    case P_GT: return order > 0;
    default: return order >= 0;
    }
}

static enum truth
test_two(struct walk *w, const struct json_path *path, const struct json_node *a,
    const struct json_node *b)
{
    if (path->kind == P_LIKE)
        return a->kind != JSON_STRING ? UNKNOWN
               : regex_search(path->regex, a->text, 0, NULL) ? YES
                                                             : NO;
    if (path->kind == P_STARTS)
        return a->kind != JSON_STRING || b->kind != JSON_STRING ? UNKNOWN
               : ox_str_starts(a->text, b->text)                ? YES
                                                                : NO;
    return compare_two(w, path->kind, a, b);
}

/* True when one pair passes; unknown when none does and one cannot be told. */
static enum truth
test_pairs(struct walk *w, const struct json_path *path, const struct place *at)
{
    struct json_items left = {0}, right = {0};
    static const struct json_node nothing = {.kind = JSON_NULL};
    enum truth found = NO;
    if (walk_unwrapped(w, path->left, at, &left) != OX_OK)
        return UNKNOWN;
    if (path->right == NULL)
        give(w, &right, &nothing);
    else if (walk_unwrapped(w, path->right, at, &right) != OX_OK)
        return UNKNOWN;
    for (uint32_t i = 0; i < left.count; i++)
        for (uint32_t k = 0; k < right.count && w->steps <= STEPS_MAX; k++) {
            w->steps++;
            enum truth truth = test_two(w, path, left.items[i], right.items[k]);
            if (truth == YES)
                return YES;
            if (truth == UNKNOWN)
                found = UNKNOWN;
        }
    return found;
}

static enum truth
test(struct walk *w, const struct json_path *path, const struct place *at)
{
    struct json_items items = {0};
    enum truth left;
    switch (path->kind) {
    case P_AND:
        left = test(w, path->left, at);
        if (left == NO)
            return NO;
        switch (test(w, path->right, at)) {
        case NO: return NO;
        case YES: return left;
        default: return UNKNOWN;
        }
    case P_OR:
        left = test(w, path->left, at);
        if (left == YES)
            return YES;
        switch (test(w, path->right, at)) {
        case YES: return YES;
        case NO: return left;
        default: return UNKNOWN;
        }
    case P_NOT:
        left = test(w, path->left, at);
        return left == UNKNOWN ? UNKNOWN : left == YES ? NO : YES;
    case P_UNKNOWN: return test(w, path->left, at) == UNKNOWN ? YES : NO;
    case P_EXISTS:
        if (walk(w, path->left, at, &items) != OX_OK)
            return UNKNOWN;
        return items.count > 0 ? YES : NO;
    default: return json_path_is_condition(path) ? test_pairs(w, path, at) : UNKNOWN;
    }
}

static ox_code
walk_arithmetic(struct walk *w, const struct json_path *path, const struct place *at,
    struct json_items *out)
{
    static const char *const signs[] = {"+", "-", "*", "/", "%"};
    static ox_code (*const functions[])(struct str, struct str, struct arena *, struct str *,
        struct ox_err *) = {numeric_add, numeric_sub, numeric_mul, numeric_div, numeric_mod};
    const struct json_path *sides[2] = {path->left, path->right};
    struct str values[2], result;
    for (int side = 0; side < 2; side++) {
        struct json_items items = {0};
        ox_code code = walk_unwrapped(w, sides[side], at, &items);
        if (code != OX_OK)
            return code;
        if (items.count != 1 || items.items[0]->kind != JSON_NUMBER)
            return ox_fail(w->err, OX_SINGLETON_JSON_ITEM_REQUIRED,
                "%s operand of jsonpath operator %s is not a single numeric value",
                side == 0 ? "left" : "right", signs[path->kind - P_ADD]);
        values[side] = number_of(w, items.items[0]);
    }
    ox_code code = functions[path->kind - P_ADD](values[0], values[1], w->arena, &result, w->err);
    if (code == OX_OK)
        give_number(w, out, result);
    return code;
}

static ox_code
walk_sign(struct walk *w, const struct json_path *path, const struct place *at,
    struct json_items *out)
{
    struct json_items items = {0};
    ox_code code = walk_unwrapped(w, path->left, at, &items);
    for (uint32_t i = 0; i < items.count && code == OX_OK; i++) {
        struct str number = number_of(w, items.items[i]);
        if (number.ptr == NULL)
            code = ox_fail(w->err, OX_NON_NUMERIC_JSON_ITEM,
                "operand of unary jsonpath operator %s is not a numeric value",
                path->kind == P_MINUS ? "-" : "+");
        else
            give_number(w, out,
                path->kind == P_MINUS ? numeric_negate(number, w->arena) : number);
    }
    return code;
}

static ox_code
subscript(struct walk *w, const struct json_path *path, const struct json_node *array,
    const struct place *at, int64_t *out)
{
    struct place here = {at->current, (int64_t)array->count - 1};
    struct json_items items = {0};
    ox_code code = walk(w, path, &here, &items);
    if (code != OX_OK)
        return code;
    if (items.count != 1 || items.items[0]->kind != JSON_NUMBER)
        return ox_fail(w->err, OX_INVALID_JSON_SUBSCRIPT,
            "jsonpath array subscript is not a single numeric value");
    return numeric_to_i64(numeric_trunc(number_of(w, items.items[0]), 0, w->arena), out, w->err);
}

static ox_code
walk_subscripts(struct walk *w, const struct json_path *path, const struct json_node *item,
    const struct place *at, struct json_items *out)
{
    struct json_node one = {.kind = JSON_ARRAY, .count = 1,
        .items = (struct json_node **)(uintptr_t)&item};
    const struct json_node *array = item->kind == JSON_ARRAY ? item : &one;
    for (const struct range *range = path->ranges; range != NULL; range = range->next) {
        int64_t from, to;
        ox_code code = subscript(w, range->from, array, at, &from);
        to = from;
        if (code == OX_OK && range->to != NULL)
            code = subscript(w, range->to, array, at, &to);
        if (code != OX_OK)
            return code;
        to = OX_MIN(to, (int64_t)array->count - 1);
        for (int64_t i = OX_MAX(from, (int64_t)0); i <= to; i++)
            give(w, out, array->items[i]);
    }
    return OX_OK;
}

static void
walk_depth(struct walk *w, const struct json_node *node, struct json_items *out)
{
    bool inner = node->kind == JSON_ARRAY || node->kind == JSON_OBJECT;
    give(w, out, node);
    for (uint32_t i = 0; inner && i < node->count && w->steps <= STEPS_MAX; i++)
        walk_depth(w, node->items[i], out);
}

static void
walk_keys(struct walk *w, const struct json_path *path, const struct json_node *item,
    struct json_items *out)
{
    if (item->kind != JSON_OBJECT)
        return;
    if (path->kind == P_ANY_KEY) {
        for (uint32_t i = 0; i < item->count; i++)
            give(w, out, item->items[i]);
        return;
    }
    const struct json_node *member = json_node_get(item, path->text);
    if (member != NULL)
        give(w, out, member);
}

static ox_code
walk_method(struct walk *w, const struct json_path *path, const struct json_node *item,
    struct json_items *out)
{
    static const char *const names[] = {[JSON_NULL] = "null", [JSON_STRING] = "string",
        [JSON_NUMBER] = "number", [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean",
        [JSON_ARRAY] = "array", [JSON_OBJECT] = "object"};
    if (path->method == M_TYPE) {
        give(w, out, json_node_string(w->arena, ox_str(names[item->kind])));
        return OX_OK;
    }
    if (path->method == M_SIZE) {
        int64_t size = item->kind == JSON_ARRAY ? (int64_t)item->count : 1;
        give_number(w, out, numeric_from_i64(size, w->arena));
        return OX_OK;
    }
    struct str number = number_of(w, item);
    if (path->method == M_DOUBLE && item->kind == JSON_STRING &&
        numeric_in(item->text, -1, w->arena, &number, NULL) != OX_OK)
        number = OX_STR_NULL;
    if (number.ptr == NULL)
        return ox_fail(w->err, OX_NON_NUMERIC_JSON_ITEM,
            "jsonpath item method .%.*s() can only be applied to a numeric value",
            OX_STR_ARG(path->text));
    give_number(w, out,
        path->method == M_CEILING ? numeric_ceil(number, w->arena)
        : path->method == M_FLOOR ? numeric_floor(number, w->arena)
        : path->method == M_ABS   ? numeric_abs(number, w->arena)
                                  : number);
    return OX_OK;
}

/* Steps over each item that comes before. */
static ox_code
walk_step(struct walk *w, const struct json_path *path, const struct place *at,
    struct json_items *out)
{
    struct json_items before = {0};
    bool whole = path->kind == P_SUBSCRIPTS || path->kind == P_ANY_DEPTH ||
                 (path->kind == P_METHOD && path->method <= M_SIZE);
    ox_code code = whole ? walk(w, path->left, at, &before)
                         : walk_unwrapped(w, path->left, at, &before);
    for (uint32_t i = 0; i < before.count && code == OX_OK && w->steps <= STEPS_MAX; i++) {
        const struct json_node *item = before.items[i];
        struct place here = {item, at->last};
        switch (path->kind) {
        case P_KEY:
        case P_ANY_KEY: walk_keys(w, path, item, out); break;
        case P_ANY_DEPTH: walk_depth(w, item, out); break;
        case P_ANY_ITEM: give(w, out, item); break;
        case P_SUBSCRIPTS: code = walk_subscripts(w, path, item, at, out); break;
        case P_FILTER:
            if (test(w, path->right, &here) == YES)
                give(w, out, item);
            break;
        default: code = walk_method(w, path, item, out); break;
        }
    }
    return code;
}

static ox_code
walk_variable(struct walk *w, const struct json_path *path, struct json_items *out)
{
    const struct json_node *value = w->vars != NULL ? json_node_get(w->vars, path->text) : NULL;
    if (value == NULL)
        return ox_fail(w->err, OX_UNDEFINED_OBJECT, "could not find jsonpath variable \"%.*s\"",
            OX_STR_ARG(path->text));
    give(w, out, value);
    return OX_OK;
}

static ox_code
walk(struct walk *w, const struct json_path *path, const struct place *at, struct json_items *out)
{
    if (json_path_is_condition(path)) {
        enum truth truth = test(w, path, at);
        give(w, out, json_node_new(w->arena, truth == YES ? JSON_TRUE : truth == NO ? JSON_FALSE
                                                                                    : JSON_NULL));
        return OX_OK;
    }
    switch (path->kind) {
    case P_ROOT: give(w, out, w->root); return OX_OK;
    case P_CURRENT: give(w, out, at->current); return OX_OK;
    case P_LITERAL: give(w, out, path->literal); return OX_OK;
    case P_VARIABLE: return walk_variable(w, path, out);
    case P_LAST:
        if (at->last < 0)
            return ox_fail(w->err, OX_SYNTAX_ERROR, "LAST is allowed only in array subscripts");
        give_number(w, out, numeric_from_i64(at->last, w->arena));
        return OX_OK;
    case P_ADD:
    case P_SUB:
    case P_MUL:
    case P_DIV:
    case P_MOD: return walk_arithmetic(w, path, at, out);
    case P_PLUS:
    case P_MINUS: return walk_sign(w, path, at, out);
    default: return walk_step(w, path, at, out);
    }
}

ox_code
json_path_query(const struct json_path *path, const struct json_node *doc,
    const struct json_node *vars, struct arena *arena, struct json_items *out, struct ox_err *err)
{
    struct ox_err own;
    struct walk w = {.root = doc, .vars = vars, .arena = arena, .err = err != NULL ? err : &own};
    struct place at = {doc, -1};
    *out = (struct json_items){0};
    ox_code code = walk(&w, path, &at, out);
    if (w.steps > STEPS_MAX)
        return ox_fail(err, OX_PROGRAM_LIMIT_EXCEEDED, "jsonpath takes more than %d steps", STEPS_MAX);
    return code;
}
