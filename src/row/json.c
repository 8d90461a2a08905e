/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees: the parser, jsonb's normal form (keys sorted and unique, numbers
 * canonical), printing, comparing. A tree lives in an arena; its strings borrow
 * the document where they have no escapes. Depth is bounded, so that recursion
 * is. Reading one member needs no tree: json_find.c. */
#include "base/check.h"
#include "base/stop.h"
#include "row/json_int.h"
#include "row/row_int.h"

enum { JSON_DEPTH_MAX = 1000 };

/* ---- the parser ----------------------------------------------------------------------------- */

struct parser {
    const uint8_t *at, *end;
    bool normal, build;
    struct arena *arena;
    struct ox_err *err;
    int depth;
};

static ox_code
bad_token(struct parser *p)
{
    const uint8_t *stop = p->at;
    if (p->at >= p->end) {
        ox_fail(p->err, OX_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
        ox_detail(p->err, "The input string ended unexpectedly.");
        return OX_INVALID_TEXT_REPRESENTATION;
    }
    while (
        stop < p->end && stop - p->at < 60 &&
        ((*stop | 32) >= 'a' ? (*stop | 32) <= 'z' || *stop >= 0x80 : *stop >= '0' && *stop <= '9'))
        stop++;
    if (stop == p->at)
        stop++;
    ox_fail(p->err, OX_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
    ox_detail(p->err, "Token \"%.*s\" is invalid.", (int)(stop - p->at), (const char *)p->at);
    return OX_INVALID_TEXT_REPRESENTATION;
}

struct json_node *
json_node_new(struct arena *arena, enum json_kind kind)
{
    struct json_node *node = ox_arena_new(arena, struct json_node);
    node->kind = kind;
    return node;
}

struct json_node *
json_node_string(struct arena *arena, struct str text)
{
    struct json_node *node = json_node_new(arena, JSON_STRING);
    node->text = text;
    return node;
}

void
json_node_add(struct json_node *node, struct str key, struct json_node *item, struct arena *arena)
{
    if (node->count == node->cap) {
        uint32_t cap = OX_MAX(node->cap * 2, 4u);
        struct json_node **items = ox_arena_alloc(arena, cap * sizeof(*items));
        if (node->count > 0)
            memcpy(items, node->items, node->count * sizeof(*items));
        node->items = items;
        if (node->kind == JSON_OBJECT) {
            struct str *keys = ox_arena_alloc(arena, cap * sizeof(*keys));
            if (node->count > 0)
                memcpy(keys, node->keys, node->count * sizeof(*keys));
            node->keys = keys;
        }
        node->cap = cap;
    }
    if (node->kind == JSON_OBJECT)
        node->keys[node->count] = key;
    node->items[node->count++] = item;
}

static int
key_compare(struct str a, struct str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len > 0 ? memcmp(a.ptr, b.ptr, a.len) : 0;
}

/* Stable merge sort by key, then the last of equals stays. */
static void
sort_range(
    struct json_node *node, uint32_t from, uint32_t to, struct str *keys, struct json_node **items)
{
    if (to - from < 2)
        return;
    if (ox_stopped(200))
        return;
    if (to - from <= 8) {
        for (uint32_t i = from + 1; i < to; i++) {
            struct str key = node->keys[i];
            struct json_node *item = node->items[i];
            uint32_t k = i;
            for (; k > from && key_compare(node->keys[k - 1], key) > 0; k--) {
                node->keys[k] = node->keys[k - 1];
                node->items[k] = node->items[k - 1];
            }
            node->keys[k] = key;
            node->items[k] = item;
        }
        return;
    }
    uint32_t mid = from + (to - from) / 2, a = from, b = mid, n = from;
    sort_range(node, from, mid, keys, items);
    sort_range(node, mid, to, keys, items);
    while (a < mid || b < to) {
        bool left = b == to || (a < mid && key_compare(node->keys[a], node->keys[b]) <= 0);
        uint32_t i = left ? a++ : b++;
        keys[n] = node->keys[i];
        items[n++] = node->items[i];
    }
    memcpy(node->keys + from, keys + from, (to - from) * sizeof(*keys));
    memcpy(node->items + from, items + from, (to - from) * sizeof(*items));
}

void
json_object_sort(struct json_node *node)
{
    struct str stack_keys[64], *keys = stack_keys;
    struct json_node *stack_items[64], **items = stack_items;
    if (node->count > 64) {
        keys = ox_malloc(node->count * sizeof(*keys));
        items = ox_malloc(node->count * sizeof(struct json_node *));
    }
    sort_range(node, 0, node->count, keys, items);
    if (keys != stack_keys) {
        ox_free(keys);
        ox_free(items);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        if (i + 1 < node->count && key_compare(node->keys[i], node->keys[i + 1]) == 0)
            continue;
        node->keys[n] = node->keys[i];
        node->items[n++] = node->items[i];
    }
    node->count = n;
}

static ox_code parse_value(struct parser *p, struct json_node **out);

static ox_code
parse_string(struct parser *p, struct str *out)
{
    const uint8_t *stop = json_string_end(p->at, p->end);
    const char *why = NULL;
    if (stop == NULL) {
        p->at = p->end;
        return bad_token(p);
    }
    struct arena scratch, *arena = p->arena;
    if (!p->build) {
        ox_arena_init(&scratch);
        arena = &scratch;
    }
    bool good = json_unescape(p->at + 1, stop - 1, arena, true, out, &why);
    if (!p->build)
        ox_arena_fini(&scratch);
    if (!good && why != NULL && strstr(why, "u0000") != NULL) {
        if (!p->normal) { /* json keeps what it cannot convert */
            *out = OX_STR("");
            p->at = stop;
            return OX_OK;
        }
        ox_fail(p->err, OX_UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence");
        ox_detail(p->err, "%s", why);
        return OX_UNTRANSLATABLE_CHARACTER;
    }
    if (!good) {
        ox_fail(p->err, OX_INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
        ox_detail(p->err, "%s", why != NULL ? why : "Escape sequence is invalid.");
        return OX_INVALID_TEXT_REPRESENTATION;
    }
    p->at = stop;
    return OX_OK;
}

static bool
scan_number(struct parser *p)
{
    const uint8_t *at = p->at, *end = p->end;
    if (at < end && *at == '-')
        at++;
    if (at == end || *at < '0' || *at > '9')
        return false;
    if (*at == '0')
        at++;
    else
        while (at < end && *at >= '0' && *at <= '9')
            at++;
    if (at < end && *at == '.') {
        const uint8_t *dot = ++at;
        while (at < end && *at >= '0' && *at <= '9')
            at++;
        if (at == dot)
            return false;
    }
    if (at < end && (*at | 32) == 'e') {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const uint8_t *exp = at;
        while (at < end && *at >= '0' && *at <= '9')
            at++;
        if (at == exp)
            return false;
    }
    if (at < end &&
        (((*at | 32) >= 'a' && (*at | 32) <= 'z') || (*at >= '0' && *at <= '9') || *at == '.'))
        return false;
    p->at = at;
    return true;
}

static ox_code
parse_members(struct parser *p, struct json_node *node, uint8_t close)
{
    p->at++;
    p->at = json_skip_ws(p->at, p->end);
    if (p->at < p->end && *p->at == close) {
        p->at++;
        return OX_OK;
    }
    for (;;) {
        struct str key = OX_STR_NULL;
        struct json_node *item = NULL;
        ox_code code;
        if (close == '}') {
            p->at = json_skip_ws(p->at, p->end);
            if (p->at >= p->end || *p->at != '"')
                return bad_token(p);
            if ((code = parse_string(p, &key)) != OX_OK)
                return code;
            p->at = json_skip_ws(p->at, p->end);
            if (p->at >= p->end || *p->at != ':')
                return bad_token(p);
            p->at++;
        }
        if ((code = parse_value(p, &item)) != OX_OK)
            return code;
        if (ox_stopped(50))
            return ox_stop_fail(p->err);
        if (p->build)
            json_node_add(node, key, item, p->arena);
        p->at = json_skip_ws(p->at, p->end);
        if (p->at < p->end && *p->at == close) {
            p->at++;
            return OX_OK;
        }
        if (p->at >= p->end || *p->at != ',')
            return bad_token(p);
        p->at++;
    }
}

static ox_code
normal_number(struct parser *p, struct json_node *node)
{
    bool plain = node->raw.len < 18;
    for (size_t i = 0; i < node->raw.len && plain; i++)
        plain = (node->raw.ptr[i] >= '0' && node->raw.ptr[i] <= '9') ||
                (i == 0 && node->raw.ptr[i] == '-' && node->raw.len > 1 && node->raw.ptr[1] != '0');
    if (plain)
        return OX_OK;
    struct str num;
    ox_code code = numeric_in(node->raw, -1, p->arena, &num, p->err);
    if (code != OX_OK)
        return code;
    struct text to;
    ox_text_init(&to, p->arena);
    numeric_out(num, &to);
    node->text = ox_text_str(&to);
    return OX_OK;
}

static ox_code
parse_value(struct parser *p, struct json_node **out)
{
    p->at = json_skip_ws(p->at, p->end);
    const uint8_t *start = p->at;
    ox_code code = OX_OK;
    struct json_node *node = p->build ? json_node_new(p->arena, JSON_NULL) : NULL;
    struct str text = OX_STR_NULL;
    enum json_kind kind;
    if (p->at >= p->end)
        return bad_token(p);
    if (++p->depth > JSON_DEPTH_MAX)
        return ox_fail(p->err, OX_STATEMENT_TOO_COMPLEX, "JSON is nested deeper than %d levels",
            JSON_DEPTH_MAX);
    size_t left = (size_t)(p->end - p->at);
    if (*p->at == '{' || *p->at == '[') {
        kind = *p->at == '{' ? JSON_OBJECT : JSON_ARRAY;
        if (node != NULL)
            node->kind = kind;
        code = parse_members(p, node, kind == JSON_OBJECT ? '}' : ']');
        if (code == OX_OK && p->normal && p->build && kind == JSON_OBJECT)
            json_object_sort(node);
    } else if (*p->at == '"') {
        kind = JSON_STRING;
        code = parse_string(p, &text);
    } else {
        static const struct {
            const char *word;
            size_t len;
            enum json_kind kind;
        } words[] = {{"true", 4, JSON_TRUE}, {"false", 5, JSON_FALSE}, {"null", 4, JSON_NULL}};
        kind = JSON_NUMBER;
        for (int i = 0; i < 3 && kind == JSON_NUMBER; i++)
            if (left >= words[i].len && memcmp(p->at, words[i].word, words[i].len) == 0 &&
                (left == words[i].len || (p->at[words[i].len] | 32) < 'a' ||
                    (p->at[words[i].len] | 32) > 'z')) {
                kind = words[i].kind;
                p->at += words[i].len;
            }
        if (kind == JSON_NUMBER && !scan_number(p))
            return bad_token(p);
    }
    p->depth--;
    if (code != OX_OK || node == NULL)
        return code;
    node->kind = kind;
    node->raw = ox_str_n(start, (size_t)(p->at - start));
    node->text = kind == JSON_STRING ? text : node->raw;
    if (kind == JSON_NUMBER && p->normal)
        code = normal_number(p, node);
    *out = node;
    return code;
}

static ox_code
parse_all(struct parser *p, struct json_node **out)
{
    ox_code code = parse_value(p, out);
    if (code != OX_OK)
        return code;
    p->at = json_skip_ws(p->at, p->end);
    return p->at == p->end ? OX_OK : bad_token(p);
}

ox_code
json_parse(
    struct str text, bool normal, struct arena *arena, struct json_node **out, struct ox_err *err)
{
    struct parser p = {(const uint8_t *)text.ptr, (const uint8_t *)text.ptr + text.len, normal,
        true, arena, err, 0};
    return parse_all(&p, out);
}

ox_code
json_validate(struct str text, struct ox_err *err)
{
    struct parser p = {(const uint8_t *)text.ptr, (const uint8_t *)text.ptr + text.len, false,
        false, NULL, err, 0};
    struct json_node *node = NULL;
    return parse_all(&p, &node);
}

void
json_write(const struct json_node *node, struct text *to)
{
    switch (node->kind) {
    case JSON_STRING:
        json_quote(node->text, to);
        break;
    case JSON_NUMBER:
        ox_text_add(to, node->text.ptr, node->text.len);
        break;
    case JSON_NULL:
        ox_text_adds(to, "null");
        break;
    case JSON_TRUE:
        ox_text_adds(to, "true");
        break;
    case JSON_FALSE:
        ox_text_adds(to, "false");
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        ox_text_addc(to, node->kind == JSON_ARRAY ? '[' : '{');
        for (uint32_t i = 0; i < node->count && !ox_stopped(30); i++) {
            if (i > 0)
                ox_text_adds(to, ", ");
            if (node->kind == JSON_OBJECT) {
                json_quote(node->keys[i], to);
                ox_text_adds(to, ": ");
            }
            json_write(node->items[i], to);
        }
        ox_text_addc(to, node->kind == JSON_ARRAY ? ']' : '}');
        break;
    }
}

void
json_write_pretty(const struct json_node *node, int indent, struct text *to)
{
    if ((node->kind != JSON_ARRAY && node->kind != JSON_OBJECT)) {
        json_write(node, to);
        return;
    }
    bool array = node->kind == JSON_ARRAY;
    ox_text_addc(to, array ? '[' : '{');
    for (uint32_t i = 0; i < node->count && !ox_stopped(100); i++) {
        ox_text_addf(to, "%s\n%*s", i > 0 ? "," : "", (indent + 1) * 4, "");
        if (!array) {
            json_quote(node->keys[i], to);
            ox_text_adds(to, ": ");
        }
        json_write_pretty(node->items[i], indent + 1, to);
    }
    ox_text_addf(to, "\n%*s%c", indent * 4, "", array ? ']' : '}');
}

ox_code
jsonb_normalise(struct str text, struct text *to, struct ox_err *err)
{
    struct arena arena;
    struct json_node *node = NULL;
    ox_arena_init(&arena);
    ox_code code = json_parse(text, true, &arena, &node, err);
    if (code == OX_OK)
        json_write(node, to);
    ox_arena_fini(&arena);
    return code;
}

/* ---- trees ---------------------------------------------------------------------------------- */

struct json_node *
json_node_get(const struct json_node *node, struct str key)
{
    if (node->kind == JSON_OBJECT)
        for (uint32_t i = node->count; i-- > 0;)
            if (ox_str_eq(node->keys[i], key))
                return node->items[i];
    return NULL;
}

static int
kind_rank(const struct json_node *n)
{
    static const int rank[] = {[JSON_NULL] = 0,
        [JSON_STRING] = 1,
        [JSON_NUMBER] = 2,
        [JSON_FALSE] = 3,
        [JSON_TRUE] = 3,
        [JSON_ARRAY] = 4,
        [JSON_OBJECT] = 5};
    return rank[n->kind];
}

static int
number_compare(struct str a, struct str b)
{
    if (ox_str_eq(a, b))
        return 0;
    struct arena arena;
    struct str x, y;
    ox_arena_init(&arena);
    int c = 0;
    if (numeric_in(a, -1, &arena, &x, NULL) == OX_OK &&
        numeric_in(b, -1, &arena, &y, NULL) == OX_OK)
        c = numeric_compare(x, y);
    ox_arena_fini(&arena);
    return c;
}

static int
bytes_order(struct str a, struct str b)
{
    size_t n = OX_MIN(a.len, b.len);
    int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return c != 0 ? (c < 0 ? -1 : 1) : a.len < b.len ? -1 : a.len > b.len;
}

static int
node_compare(const struct json_node *a, const struct json_node *b)
{
    int ra = kind_rank(a), rb = kind_rank(b);
    if (ra != rb)
        return ra < rb ? -1 : 1;
    switch (a->kind) {
    case JSON_NULL:
        return 0;
    case JSON_STRING:
        return bytes_order(a->text, b->text);
    case JSON_NUMBER:
        return number_compare(a->text, b->text);
    case JSON_FALSE:
    case JSON_TRUE:
        return (int)(a->kind == JSON_TRUE) - (int)(b->kind == JSON_TRUE);
    default:
        break;
    }
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (uint32_t i = 0; i < a->count; i++) {
        int c = a->kind == JSON_OBJECT ? bytes_order(a->keys[i], b->keys[i]) : 0;
        if (c == 0)
            c = node_compare(a->items[i], b->items[i]);
        if (c != 0)
            return c;
    }
    return 0;
}

int
jsonb_compare(struct str a, struct str b)
{
    if (ox_str_eq(a, b))
        return 0;
    struct arena arena;
    struct json_node *x = NULL, *y = NULL;
    int c = 0;
    ox_arena_init(&arena);
    if (json_parse(a, true, &arena, &x, NULL) == OX_OK &&
        json_parse(b, true, &arena, &y, NULL) == OX_OK) {
        /* An empty array is below everything, by PostgreSQL's history. */
        bool ex = x->kind == JSON_ARRAY && x->count == 0,
             ey = y->kind == JSON_ARRAY && y->count == 0;
        c = ex != ey ? (ex ? -1 : 1) : node_compare(x, y);
    }
    ox_arena_fini(&arena);
    return c;
}

static bool
contains(const struct json_node *a, const struct json_node *b)
{
    if (b->kind == JSON_OBJECT) {
        if (a->kind != JSON_OBJECT)
            return false;
        for (uint32_t i = 0; i < b->count; i++) {
            const struct json_node *item = json_node_get(a, b->keys[i]);
            if (item == NULL || !contains(item, b->items[i]))
                return false;
        }
        return true;
    }
    if (b->kind == JSON_ARRAY) {
        if (a->kind != JSON_ARRAY)
            return false;
        for (uint32_t i = 0; i < b->count; i++) {
            bool found = false;
            for (uint32_t k = 0; k < a->count && !found; k++)
                found = contains(a->items[k], b->items[i]);
            if (!found)
                return false;
        }
        return true;
    }
    return kind_rank(a) == kind_rank(b) && a->kind != JSON_OBJECT && node_compare(a, b) == 0;
}

bool
json_node_contains(const struct json_node *a, const struct json_node *b)
{
    if (a->kind == JSON_ARRAY && b->kind != JSON_ARRAY && b->kind != JSON_OBJECT) {
        for (uint32_t k = 0; k < a->count; k++)
            if (a->items[k]->kind != JSON_ARRAY && contains(a->items[k], b))
                return true;
        return false;
    }
    return contains(a, b);
}
