/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON: the lazy finder of one member, the full parser, jsonb's normal form.
 *
 * The finder looks at 64 bytes at a time as bit masks: unescaped quotes give by
 * prefix xor what lies inside strings; brackets outside strings give the depth;
 * an opening quote at depth 1 whose next byte is the key's first is compared.
 * The last match wins, as in PostgreSQL. The vector form needs AVX2 and is
 * chosen at run time; the plain form fills the masks byte by byte. */
#include "row/row.h"

#include <stdio.h>

#include "base/check.h"
#include "row/row_int.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { JSON_DEPTH_MAX = 1000 };

/* ---- masks of 64 bytes ---------------------------------------------------------- */

struct masks {
    uint64_t quote, slash, open, close, first;
};

static void
masks_plain(const uint8_t *at, uint8_t first, struct masks *m)
{
    memset(m, 0, sizeof(*m));
    for (int i = 0; i < 64; i++) {
        uint64_t bit = 1ull << i;
        uint8_t c = at[i];
        m->quote |= c == '"' ? bit : 0;
        m->slash |= c == '\\' ? bit : 0;
        m->open |= (c | 0x20) == '{' ? bit : 0;
        m->close |= (c | 0x20) == '}' ? bit : 0;
        m->first |= c == first ? bit : 0;
    }
}

typedef void (*masks_fn)(const uint8_t *at, uint8_t first, struct masks *m);

/* Bits of characters that a backslash before them escapes. */
static inline uint64_t
escaped_bits(uint64_t slash, uint64_t *carry)
{
    if (slash == 0) {
        uint64_t r = *carry;
        *carry = 0;
        return r;
    }
    uint64_t escaped = 0;
    bool pending = *carry != 0;
    uint64_t todo = slash;
    if (pending)
        escaped |= 1, todo &= ~1ull;
    *carry = 0;
    while (todo != 0) {
        int i = __builtin_ctzll(todo);
        todo &= todo - 1;
        if (i == 63) {
            *carry = 1;
            break;
        }
        escaped |= 2ull << i;
        todo &= ~(2ull << i);
    }
    return escaped;
}

static inline uint64_t
prefix_xor(uint64_t v)
{
    v ^= v << 1;
    v ^= v << 2;
    v ^= v << 4;
    v ^= v << 8;
    v ^= v << 16;
    v ^= v << 32;
    return v;
}

static inline bool
is_ws(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* After an opening quote at `at`: does key" : follow? Then where the value starts. */
static inline const uint8_t *
key_matches(const uint8_t *at, const uint8_t *end, struct str key)
{
    if ((size_t)(end - at) < key.len + 3 || at[key.len + 1] != '"' ||
        memcmp(at + 1, key.ptr, key.len) != 0)
        return NULL;
    at += key.len + 2;
    while (at < end && is_ws(*at))
        at++;
    if (at == end || *at != ':')
        return NULL;
    at++;
    while (at < end && is_ws(*at))
        at++;
    return at < end ? at : NULL;
}

struct scan {
    const uint8_t *found;
    bool slashes;
};

static inline __attribute__((always_inline)) void
scan_member(
    const uint8_t *start, const uint8_t *end, struct str key, masks_fn fill, struct scan *scan)
{
    uint8_t first = key.len > 0 ? (uint8_t)key.ptr[0] : '"';
    uint64_t escape_carry = 0, inside = 0;
    int64_t depth = 0;
    for (const uint8_t *at = start; at < end; at += 64) {
        uint8_t tail[64];
        const uint8_t *block = at;
        if (end - at < 64) {
            memset(tail, ' ', sizeof(tail));
            memcpy(tail, at, (size_t)(end - at));
            block = tail;
        }
        struct masks m;
        fill(block, first, &m);
        if (m.slash | escape_carry) {
            scan->slashes = true;
            m.quote &= ~escaped_bits(m.slash, &escape_carry);
        }
        uint64_t in_string = prefix_xor(m.quote) ^ inside;
        inside = (uint64_t)((int64_t)in_string >> 63);
        uint64_t open = m.open & ~in_string, close = m.close & ~in_string;
        uint64_t starts = m.quote & in_string & (m.first >> 1 | 1ull << 63);
        while (starts != 0) {
            int i = __builtin_ctzll(starts);
            starts &= starts - 1;
            uint64_t below = (1ull << i) - 1;
            if (depth + __builtin_popcountll(open & below) - __builtin_popcountll(close & below) !=
                1)
                continue;
            const uint8_t *value = key_matches(at + i, end, key);
            if (value != NULL)
                scan->found = value;
        }
        depth += __builtin_popcountll(open) - __builtin_popcountll(close);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline void
masks_avx2(const uint8_t *at, uint8_t first, struct masks *m)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32));
    __m256i bit5 = _mm256_set1_epi8(0x20);
    __m256i low5 = _mm256_or_si256(low, bit5), high5 = _mm256_or_si256(high, bit5);
#define EQ64(a, b, c)                                                                              \
    ((uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, _mm256_set1_epi8(c))) |         \
        (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, _mm256_set1_epi8(c))) << 32)
    m->quote = EQ64(low, high, '"');
    m->slash = EQ64(low, high, '\\');
    m->open = EQ64(low5, high5, '{');
    m->close = EQ64(low5, high5, '}');
    m->first = EQ64(low, high, (char)first);
#undef EQ64
}

__attribute__((target("avx2,popcnt,bmi"))) static void
scan_avx2(const uint8_t *start, const uint8_t *end, struct str key, struct scan *scan)
{
    scan_member(start, end, key, masks_avx2, scan);
}
#endif

static void
scan_plain(const uint8_t *start, const uint8_t *end, struct str key, struct scan *scan)
{
    scan_member(start, end, key, masks_plain, scan);
}

/* ---- walking byte by byte ------------------------------------------------------------ */

/* The end of the string whose opening quote is at `at`; NULL: unterminated. */
static const uint8_t *
string_end(const uint8_t *at, const uint8_t *end)
{
    for (at++; at < end; at++) {
        const uint8_t *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL)
            return NULL;
        const uint8_t *back = quote;
        while (back > at && back[-1] == '\\')
            back--;
        if ((quote - back) % 2 == 0)
            return quote + 1;
        at = quote;
    }
    return NULL;
}

/* The end of the value at `at`; NULL: cut short. */
static const uint8_t *
value_end(const uint8_t *at, const uint8_t *end)
{
    if (at >= end)
        return NULL;
    if (*at == '"')
        return string_end(at, end);
    if (*at != '{' && *at != '[') {
        const uint8_t *start = at;
        while (at < end && *at != ',' && *at != '}' && *at != ']' && *at != ':' && !is_ws(*at))
            at++;
        return at > start ? at : NULL;
    }
    int64_t depth = 0;
    while (at < end) {
        uint8_t c = *at;
        if (c == '"') {
            if ((at = string_end(at, end)) == NULL)
                return NULL;
            continue;
        }
        if ((c | 0x20) == '{')
            depth++;
        else if ((c | 0x20) == '}' && --depth == 0)
            return at + 1;
        at++;
    }
    return NULL;
}

static inline const uint8_t *
skip_ws(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_ws(*at))
        at++;
    return at;
}

static bool unescape(const uint8_t *at, const uint8_t *end, struct arena *arena, bool strict,
    struct str *out, const char **why);

/* Members one by one, keys unescaped: for documents with backslashes. */
static bool
find_slow(struct str key, struct str doc, struct str *value)
{
    const uint8_t *at = (const uint8_t *)doc.ptr, *end = at + doc.len;
    struct arena arena;
    bool found = false;
    ox_arena_init(&arena);
    at = skip_ws(at, end);
    at++;
    for (;;) {
        at = skip_ws(at, end);
        if (at >= end || *at != '"')
            break;
        const uint8_t *stop = string_end(at, end), *colon;
        if (stop == NULL || (colon = skip_ws(stop, end)) == end || *colon != ':')
            break;
        struct str name;
        const uint8_t *start = skip_ws(colon + 1, end), *last = value_end(start, end);
        if (last == NULL)
            break;
        if (unescape(at + 1, stop - 1, &arena, false, &name, NULL) && ox_str_eq(name, key)) {
            *value = ox_str_n(start, (size_t)(last - start));
            found = true;
        }
        at = skip_ws(last, end);
        if (at >= end || *at != ',')
            break;
        at++;
    }
    ox_arena_fini(&arena);
    return found;
}

void
json_finder_init(struct json_finder *finder, struct str key)
{
    finder->key = key;
    finder->plain = true;
    finder->wide = false;
    for (size_t i = 0; i < key.len; i++)
        if ((uint8_t)key.ptr[i] < 0x20 || key.ptr[i] == '"' || key.ptr[i] == '\\')
            finder->plain = false;
#if defined(__x86_64__)
    finder->wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
                   __builtin_cpu_supports("bmi");
#endif
}

bool
json_find(const struct json_finder *finder, struct str doc, struct str *value)
{
    const uint8_t *start = (const uint8_t *)doc.ptr, *end = start + doc.len;
    start = skip_ws(start, end);
    if (start == end || *start != '{')
        return false;
    if (!finder->plain)
        return find_slow(finder->key, doc, value);
    struct scan scan = {NULL, false};
#if defined(__x86_64__)
    if (finder->wide)
        scan_avx2(start, end, finder->key, &scan);
    else
#endif
        scan_plain(start, end, finder->key, &scan);
    if (scan.found == NULL)
        return scan.slashes && find_slow(finder->key, doc, value);
    const uint8_t *stop = value_end(scan.found, end);
    if (stop == NULL)
        return false;
    *value = ox_str_n(scan.found, (size_t)(stop - scan.found));
    return true;
}

bool
json_index(struct str doc, int64_t index, struct str *value)
{
    const uint8_t *at = (const uint8_t *)doc.ptr, *end = at + doc.len;
    at = skip_ws(at, end);
    if (at == end || *at != '[')
        return false;
    const uint8_t *first = skip_ws(at + 1, end);
    if (index < 0) { /* count, then go forward */
        int64_t count = 0;
        for (const uint8_t *p = first; p < end && *p != ']';) {
            const uint8_t *stop = value_end(p, end);
            if (stop == NULL)
                return false;
            count++;
            p = skip_ws(stop, end);
            if (p < end && *p == ',')
                p = skip_ws(p + 1, end);
        }
        index += count;
        if (index < 0)
            return false;
    }
    for (const uint8_t *p = first; p < end && *p != ']';) {
        const uint8_t *stop = value_end(p, end);
        if (stop == NULL)
            return false;
        if (index-- == 0) {
            *value = ox_str_n(p, (size_t)(stop - p));
            return true;
        }
        p = skip_ws(stop, end);
        if (p < end && *p == ',')
            p = skip_ws(p + 1, end);
    }
    return false;
}

enum json_kind
json_kind_of(struct str value)
{
    const uint8_t *at = skip_ws((const uint8_t *)value.ptr, (const uint8_t *)value.ptr + value.len);
    switch (at < (const uint8_t *)value.ptr + value.len ? *at : 'n') {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* ---- strings ---------------------------------------------------------------------------- */

static int
hex4(const uint8_t *at)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = at[i], d = c >= '0' && c <= '9'                 ? c - '0'
                           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* Between the quotes. strict: control characters are refused. */
static bool
unescape(const uint8_t *at, const uint8_t *end, struct arena *arena, bool strict, struct str *out,
    const char **why)
{
    const char *reason = NULL;
    size_t len = (size_t)(end - at);
    bool plain = len == 0 || memchr(at, '\\', len) == NULL;
    if (strict)
        for (const uint8_t *p = at; p < end; p++)
            if (*p < 0x20) {
                reason = "Character must be escaped.";
                goto bad;
            }
    if (plain) {
        *out = ox_str_n(at, len);
        return true;
    }
    char *to = ox_arena_alloc(arena, len + 1);
    size_t n = 0;
    while (at < end) {
        if (*at != '\\') {
            to[n++] = (char)*at++;
            continue;
        }
        if (++at >= end)
            goto bad;
        int c = *at++;
        switch (c) {
        case 'b':
            to[n++] = '\b';
            break;
        case 'f':
            to[n++] = '\f';
            break;
        case 'n':
            to[n++] = '\n';
            break;
        case 'r':
            to[n++] = '\r';
            break;
        case 't':
            to[n++] = '\t';
            break;
        case '"':
        case '\\':
        case '/':
            to[n++] = (char)c;
            break;
        case 'u': {
            int v = end - at >= 4 ? hex4(at) : -1;
            if (v < 0)
                goto bad;
            at += 4;
            uint32_t code = (uint32_t)v;
            if (v == 0) {
                reason = "\\u0000 cannot be converted to text.";
                goto bad;
            }
            if (v >= 0xDC00 && v < 0xE000) {
                reason = "Unicode low surrogate must follow a high surrogate.";
                goto bad;
            }
            if (v >= 0xD800 && v < 0xDC00) {
                int low = end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? hex4(at + 2) : -1;
                if (low < 0xDC00 || low >= 0xE000) {
                    reason = "Unicode low surrogate must follow a high surrogate.";
                    goto bad;
                }
                at += 6;
                code = 0x10000 + ((uint32_t)(v - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
            }
            n += ox_utf8_put(to + n, code);
            break;
        }
        default:
            goto bad;
        }
    }
    *out = ox_str_n(to, n);
    return true;
bad:
    if (why != NULL)
        *why = reason;
    return false;
}

bool
json_as_text(struct str value, struct arena *arena, struct str *out, bool *valid)
{
    if (valid != NULL)
        *valid = true;
    switch (json_kind_of(value)) {
    case JSON_NULL:
        return false;
    case JSON_STRING: {
        const uint8_t *at = (const uint8_t *)value.ptr;
        if (value.len < 2 || !unescape(at + 1, at + value.len - 1, arena, false, out, NULL)) {
            if (valid != NULL)
                *valid = false;
            return false;
        }
        return true;
    }
    default:
        *out = value;
        return true;
    }
}

void
json_quote(struct str s, struct text *to)
{
    ox_text_addc(to, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        ox_text_add(to, s.ptr + from, i - from);
        from = i + 1;
        switch (c) {
        case '"':
            ox_text_adds(to, "\\\"");
            break;
        case '\\':
            ox_text_adds(to, "\\\\");
            break;
        case '\b':
            ox_text_adds(to, "\\b");
            break;
        case '\f':
            ox_text_adds(to, "\\f");
            break;
        case '\n':
            ox_text_adds(to, "\\n");
            break;
        case '\r':
            ox_text_adds(to, "\\r");
            break;
        case '\t':
            ox_text_adds(to, "\\t");
            break;
        default:
            ox_text_addf(to, "\\u%04x", c);
        }
    }
    ox_text_add(to, s.ptr + from, s.len - from);
    ox_text_addc(to, '"');
}

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
    const uint8_t *stop = string_end(p->at, p->end);
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
    bool good = unescape(p->at + 1, stop - 1, arena, true, out, &why);
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
    p->at = skip_ws(p->at, p->end);
    if (p->at < p->end && *p->at == close) {
        p->at++;
        return OX_OK;
    }
    for (;;) {
        struct str key = OX_STR_NULL;
        struct json_node *item = NULL;
        ox_code code;
        if (close == '}') {
            p->at = skip_ws(p->at, p->end);
            if (p->at >= p->end || *p->at != '"')
                return bad_token(p);
            if ((code = parse_string(p, &key)) != OX_OK)
                return code;
            p->at = skip_ws(p->at, p->end);
            if (p->at >= p->end || *p->at != ':')
                return bad_token(p);
            p->at++;
        }
        if ((code = parse_value(p, &item)) != OX_OK)
            return code;
        if (p->build)
            json_node_add(node, key, item, p->arena);
        p->at = skip_ws(p->at, p->end);
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
    p->at = skip_ws(p->at, p->end);
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
    p->at = skip_ws(p->at, p->end);
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
        for (uint32_t i = 0; i < node->count; i++) {
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
    for (uint32_t i = 0; i < node->count; i++) {
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

int
json_node_compare(const struct json_node *a, const struct json_node *b)
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
            c = json_node_compare(a->items[i], b->items[i]);
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
        c = ex != ey ? (ex ? -1 : 1) : json_node_compare(x, y);
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
    return kind_rank(a) == kind_rank(b) && a->kind != JSON_OBJECT && json_node_compare(a, b) == 0;
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

/* ---- any value as JSON ------------------------------------------------------------------------
 */

static void
array_to_json(const struct array_view *view, uint32_t dim, uint32_t *at,
    const struct row_format *format, struct text *to)
{
    ox_text_addc(to, '[');
    for (int32_t i = 0; view->ndim > 0 && i < view->len[dim]; i++) {
        if (i > 0)
            ox_text_addc(to, ',');
        if (dim + 1 < view->ndim) {
            array_to_json(view, dim + 1, at, format, to);
        } else {
            struct datum item = array_get(view, (*at)++);
            json_from_datum(view->element, &item, format, to);
        }
    }
    ox_text_addc(to, ']');
}

static void
iso_time(
    struct type type, const struct datum *value, const struct row_format *format, struct text *to)
{
    struct row_format iso = *format;
    iso.date_style = DATE_ISO;
    size_t at = to->len;
    ox_text_addc(to, '"');
    type_out_text(type, value, &iso, to);
    for (; at < to->len; at++)
        if (to->ptr[at] == ' ') {
            if (to->ptr[at + 1] != 'B')
                to->ptr[at] = 'T';
            break;
        }
    if (type.id == TYPE_TIMESTAMPTZ && to->len > 3 && value->i != TIME_INF &&
        value->i != TIME_NINF) {
        char sign = to->ptr[to->len - 3];
        if (sign == '+' || sign == '-') /* RFC 3339 wants minutes */
            ox_text_adds(to, ":00");
    }
    ox_text_addc(to, '"');
}

void
json_from_datum(
    struct type type, const struct datum *value, const struct row_format *format, struct text *to)
{
    if (value->null) {
        ox_text_adds(to, "null");
        return;
    }
    if (type.array) {
        struct array_view view;
        uint32_t at = 0;
        array_view(value->s, &view);
        array_to_json(&view, 0, &at, format, to);
        return;
    }
    switch (type.id) {
    case TYPE_BOOL:
        ox_text_adds(to, value->b ? "true" : "false");
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        row_put_int(value->i, to);
        return;
    case TYPE_JSON:
    case TYPE_JSONB:
        ox_text_add(to, value->s.ptr, value->s.len);
        return;
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        iso_time(type, value, format, to);
        return;
    case TYPE_RECORD: {
        struct arena arena;
        struct record_view record;
        ox_arena_init(&arena);
        record_view(value->s, &arena, &record);
        ox_text_addc(to, '{');
        for (uint32_t i = 0; i < record.count; i++) {
            char name[16];
            snprintf(name, sizeof(name), "f%u", i + 1);
            if (i > 0)
                ox_text_addc(to, ',');
            json_quote(record.names[i].ptr ? record.names[i] : ox_str(name), to);
            ox_text_addc(to, ':');
            json_from_datum(record.types[i], &record.values[i], format, to);
        }
        ox_text_addc(to, '}');
        ox_arena_fini(&arena);
        return;
    }
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC: {
        size_t at = to->len;
        type_out_text(type, value, format, to);
        char c = to->ptr[to->len - 1];
        if (c == 'N' || c == 'y') { /* NaN and infinities are strings */
            char word[16];
            size_t len = to->len - at;
            memcpy(word, to->ptr + at, len);
            to->len = at;
            json_quote(ox_str_n(word, len), to);
        }
        return;
    }
    default: {
        struct text text;
        ox_text_init(&text, NULL);
        type_out_text(type, value, format, &text);
        json_quote(ox_text_str(&text), to);
        ox_text_fini(&text);
    }
    }
}
