/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON without a parser: one member of an object, one element of an array, by
 * walking the bytes. Nothing is allocated where keys have no escapes.
 *
 * The finder looks at 64 bytes at a time as bit masks: unescaped quotes give by
 * prefix xor what lies inside strings; brackets outside strings give the depth;
 * an opening quote at depth 1 whose next byte is the key's first is compared.
 * The last match wins, as in PostgreSQL. The vector form needs AVX2 and is
 * chosen at run time; the plain form fills the masks byte by byte. Bytes that
 * are not JSON give no value or some value, never a read outside. */
#include "base/stop.h"
#include "row/json_int.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/* After an opening quote at `at`: does key" : follow? Then where the value starts. */
static inline const uint8_t *
key_matches(const uint8_t *at, const uint8_t *end, struct str key)
{
    if ((size_t)(end - at) < key.len + 3 || at[key.len + 1] != '"' ||
        memcmp(at + 1, key.ptr, key.len) != 0)
        return NULL;
    at += key.len + 2;
    at = json_skip_ws(at, end);
    if (at == end || *at != ':')
        return NULL;
    at = json_skip_ws(at + 1, end);
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

const uint8_t *
json_string_end(const uint8_t *at, const uint8_t *end)
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
        return json_string_end(at, end);
    if (*at != '{' && *at != '[') {
        const uint8_t *start = at;
        while (at < end && *at != ',' && *at != '}' && *at != ']' && *at != ':' && !json_is_ws(*at))
            at++;
        return at > start ? at : NULL;
    }
    int64_t depth = 0;
    uint32_t step = 0;
    while (at < end && !ox_stopped_at(++step)) {
        uint8_t c = *at;
        if (c == '"') {
            if ((at = json_string_end(at, end)) == NULL)
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

/* Members one by one, keys unescaped: for documents with backslashes. */
static bool
find_slow(struct str key, struct str doc, struct str *value)
{
    const uint8_t *at = (const uint8_t *)doc.ptr, *end = at + doc.len;
    struct arena arena;
    bool found = false;
    ox_arena_init(&arena);
    at = json_skip_ws(at, end);
    at++;
    for (;;) {
        at = json_skip_ws(at, end);
        if (at >= end || *at != '"')
            break;
        const uint8_t *stop = json_string_end(at, end), *colon;
        if (stop == NULL || (colon = json_skip_ws(stop, end)) == end || *colon != ':')
            break;
        struct str name;
        const uint8_t *start = json_skip_ws(colon + 1, end), *last = value_end(start, end);
        if (last == NULL)
            break;
        if (json_unescape(at + 1, stop - 1, &arena, false, &name, NULL) && ox_str_eq(name, key)) {
            *value = ox_str_n(start, (size_t)(last - start));
            found = true;
        }
        at = json_skip_ws(last, end);
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
    start = json_skip_ws(start, end);
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

/* Where the element of an array after the one at `at` begins; NULL: cut short. stop
 * (may be NULL): the end of the one at `at`. */
static const uint8_t *
next_element(const uint8_t *at, const uint8_t *end, const uint8_t **stop)
{
    const uint8_t *behind = value_end(at, end);
    if (behind == NULL)
        return NULL;
    if (stop != NULL)
        *stop = behind;
    at = json_skip_ws(behind, end);
    return at < end && *at == ',' ? json_skip_ws(at + 1, end) : at;
}

bool
json_index(struct str doc, int64_t index, struct str *value)
{
    const uint8_t *at = (const uint8_t *)doc.ptr, *end = at + doc.len, *stop, *next;
    at = json_skip_ws(at, end);
    if (at == end || *at != '[')
        return false;
    const uint8_t *first = json_skip_ws(at + 1, end);
    if (index < 0) /* count, then go forward */
        for (at = first; at < end && *at != ']'; index++)
            if ((at = next_element(at, end, NULL)) == NULL)
                return false;
    if (index < 0)
        return false;
    for (at = first; at < end && *at != ']'; at = next) {
        if ((next = next_element(at, end, &stop)) == NULL)
            return false;
        if (index-- == 0) {
            *value = ox_str_n(at, (size_t)(stop - at));
            return true;
        }
    }
    return false;
}

enum json_kind
json_kind_of(struct str value)
{
    const uint8_t *at = (const uint8_t *)value.ptr, *end = at + value.len;
    at = json_skip_ws(at, end);
    switch (at < end ? *at : 'n') {
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
