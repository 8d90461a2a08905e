/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/stop.h"

int
ox_str_cmp(struct str a, struct str b)
{
    size_t len = OX_MIN(a.len, b.len);
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len ? 1 : (a.ptr != NULL) - (b.ptr != NULL);
}

static inline char
fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool
ox_str_ieq(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return false;
    return true;
}

bool
ox_str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Multiply and fold, eight bytes a turn. */
static inline uint64_t
mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t
ox_hash(const void *ptr, size_t len, uint64_t seed)
{
    const uint64_t k0 = 0x9E3779B97F4A7C15u, k1 = 0xD6E8FEB86659FD93u;
    const char *at = ptr;
    uint64_t hash = seed ^ k0, word, left = len;
    for (; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        hash = mix(hash ^ word, k1);
    }
    word = 0;
    if (left > 0)
        memcpy(&word, at, left);
    return mix(mix(hash ^ word, k1) ^ len, k0);
}

struct str
ox_str_dup(struct arena *arena, struct str s)
{
    if (s.ptr == NULL)
        return OX_STR_NULL;
    return (struct str){ox_arena_strndup(arena, s.ptr, s.len), s.len};
}

bool
ox_str_to_i64(struct str s, int64_t *out)
{
    bool negative = false;
    size_t at = 0;
    if (s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        negative = s.ptr[at++] == '-';
    if (at == s.len)
        return false;
    int64_t value = 0;
    for (; at < s.len; at++) {
        if (s.ptr[at] < '0' || s.ptr[at] > '9')
            return false;
        int digit = s.ptr[at] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *out = negative ? value : -value;
    return true;
}

bool
ox_str_to_f64(struct str s, double *out)
{
    char copy[400], *end;
    if (s.len == 0 || s.len >= sizeof(copy))
        return false;
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    *out = strtod(copy, &end);
    return end == copy + s.len;
}

bool
ox_utf8_valid(const void *ptr, size_t len)
{
    const uint8_t *at = ptr, *end = at + len;
    while (at < end) {
        while (end - at >= 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            if (word & 0x8080808080808080u)
                break;
            at += 8;
        }
        if (at == end)
            return true;
        uint8_t lead = *at++;
        if (lead < 0x80)
            continue;
        size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || (size_t)(end - at) < more)
            return false;
        if ((lead == 0xE0 && at[0] < 0xA0) || (lead == 0xED && at[0] > 0x9F) ||
            (lead == 0xF0 && at[0] < 0x90) || (lead == 0xF4 && at[0] > 0x8F))
            return false;
        for (; more > 0; more--)
            if ((*at++ & 0xC0) != 0x80)
                return false;
    }
    return true;
}

size_t
ox_utf8_count(const void *ptr, size_t len)
{
    const uint8_t *at = ptr;
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += (at[i] & 0xC0) != 0x80;
    return count;
}

size_t
ox_utf8_put(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xC0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xE0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3F));
        to[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3F));
    to[2] = (char)(0x80 | (code >> 6 & 0x3F));
    to[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* ---- growing text ---- */

void
ox_text_init(struct text *text, struct arena *arena)
{
    *text = (struct text){.arena = arena};
}

void
ox_text_fini(struct text *text)
{
    if (text->arena == NULL)
        ox_free(text->ptr);
    *text = (struct text){.arena = text->arena};
}

void
ox_text_clear(struct text *text)
{
    text->len = 0;
    if (text->ptr != NULL)
        text->ptr[0] = '\0';
}

/* A long text in pieces, as long as it is wanted. */
static void
copy_text(char *to, const char *from, size_t len)
{
    enum { PIECE = 1 << 20 };
    for (; len > PIECE && !ox_stopped(PIECE); len -= PIECE, to += PIECE, from += PIECE)
        memcpy(to, from, PIECE);
    memcpy(to, from, OX_MIN(len, (size_t)PIECE));
}

char *
ox_text_reserve(struct text *text, size_t len)
{
    size_t need;
    ox_assert(!__builtin_add_overflow(text->len, len + 1, &need));
    if (need > text->cap) {
        size_t cap = OX_MAX(OX_MAX(text->cap * 2, need), (size_t)64);
        if (text->arena != NULL) {
            char *bigger = ox_arena_alloc(text->arena, cap);
            if (text->len > 0)
                copy_text(bigger, text->ptr, text->len);
            text->ptr = bigger;
        } else {
            text->ptr = ox_realloc(text->ptr, cap);
        }
        text->cap = cap;
    }
    return text->ptr + text->len;
}

void
ox_text_add(struct text *text, const void *ptr, size_t len)
{
    char *to = ox_text_reserve(text, len);
    if (len > 0)
        memcpy(to, ptr, len);
    text->len += len;
    text->ptr[text->len] = '\0';
}

void
ox_text_adds(struct text *text, const char *s)
{
    ox_text_add(text, s, strlen(s));
}

void
ox_text_addvf(struct text *text, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    char *to = ox_text_reserve(text, 128);
    size_t room = text->cap - text->len;
    int len = vsnprintf(to, room, fmt, args);
    ox_assert(len >= 0);
    if ((size_t)len >= room) {
        to = ox_text_reserve(text, (size_t)len);
        vsnprintf(to, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    text->len += (size_t)len;
}

void
ox_text_addf(struct text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    ox_text_addvf(text, fmt, args);
    va_end(args);
}

/* ---- base64, uuid ---- */

static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t
ox_base64_encode(char *to, const void *from, size_t len, bool url)
{
    const char *digits = url ? base64_url : base64_std;
    const uint8_t *at = from;
    char *start = to;
    for (; len >= 3; len -= 3, at += 3) {
        *to++ = digits[at[0] >> 2];
        *to++ = digits[(at[0] & 3) << 4 | at[1] >> 4];
        *to++ = digits[(at[1] & 15) << 2 | at[2] >> 6];
        *to++ = digits[at[2] & 63];
    }
    if (len > 0) {
        *to++ = digits[at[0] >> 2];
        *to++ = digits[(at[0] & 3) << 4 | (len == 2 ? at[1] >> 4 : 0)];
        if (len == 2)
            *to++ = digits[(at[1] & 15) << 2];
        else if (!url)
            *to++ = '=';
        if (!url)
            *to++ = '=';
    }
    *to = '\0';
    return (size_t)(to - start);
}

static int
base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

ptrdiff_t
ox_base64_decode(void *to, const char *from, size_t len)
{
    uint8_t *out = to;
    uint32_t bits = 0;
    int count = 0;
    while (len > 0 && from[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(from[i]);
        if (digit < 0)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *out++ = (uint8_t)(bits >> count);
        }
    }
    return count >= 6 ? -1 : out - (uint8_t *)to;
}

bool
ox_uuid_is_zero(const struct uuid *id)
{
    static const struct uuid zero;
    return ox_uuid_eq(id, &zero);
}

bool
ox_uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void
ox_uuid_to_base64(const struct uuid *id, char to[23])
{
    ox_base64_encode(to, id->bytes, sizeof(id->bytes), true);
}

bool
ox_uuid_from_base64(struct str s, struct uuid *out)
{
    uint8_t bytes[32];
    if (s.len != 22 || ox_base64_decode(bytes, s.ptr, s.len) != 16)
        return false;
    memcpy(out->bytes, bytes, 16);
    return true;
}

void
ox_uuid_to_hex(const struct uuid *id, char to[37])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = digits[id->bytes[i] >> 4];
        *to++ = digits[id->bytes[i] & 15];
    }
    *to = '\0';
}

static int
hex_digit(char c)
{
    c = fold(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
ox_uuid_from_hex(struct str s, struct uuid *out)
{
    if (s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}')
        s = ox_str_n(s.ptr + 1, s.len - 2);
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (i > 0 && i % 2 == 0 && at < s.len && s.ptr[at] == '-')
            at++;
        if (s.len - at < 2)
            return false;
        int high = hex_digit(s.ptr[at]), low = hex_digit(s.ptr[at + 1]);
        if (high < 0 || low < 0)
            return false;
        out->bytes[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return at == s.len;
}
