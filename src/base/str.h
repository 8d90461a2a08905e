/* SPDX-License-Identifier: Apache-2.0
 *
 * Borrowed bytes (struct str) and growing text (struct text). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

/* Bytes somebody else owns; not terminated. ptr NULL means null (as in a
 * nullable field), which differs from the empty string. */
struct str {
    const char *ptr;
    size_t len;
};

#define OX_STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define OX_STR_NULL ((struct str){NULL, 0})
/* For "%.*s". */
#define OX_STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct str
ox_str(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

static inline struct str
ox_str_n(const void *ptr, size_t len)
{
    return (struct str){(const char *)ptr, len};
}

static inline bool
ox_str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.ptr == NULL) == (b.ptr == NULL) &&
           (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
ox_str_is(struct str a, const char *text)
{
    size_t len = strlen(text);
    return a.ptr != NULL && a.len == len && memcmp(a.ptr, text, len) == 0;
}

/* Byte order, shorter first; null before everything. */
int ox_str_cmp(struct str a, struct str b);
/* ASCII case folded equality. */
bool ox_str_ieq(struct str a, struct str b);
bool ox_str_starts(struct str s, struct str prefix);
/* 64-bit hash of the bytes; stable within a process only. */
uint64_t ox_hash(const void *ptr, size_t len, uint64_t seed);
/* Copies into the arena; null stays null. The copy is NUL-terminated. */
struct str ox_str_dup(struct arena *arena, struct str s);
/* Whole-string integer, optional sign; false on garbage or overflow. */
bool ox_str_to_i64(struct str s, int64_t *out);
bool ox_str_to_f64(struct str s, double *out);
/* Whether the bytes are well-formed UTF-8 (NUL bytes are allowed). */
bool ox_utf8_valid(const void *ptr, size_t len);
/* Number of characters of well-formed UTF-8. */
size_t ox_utf8_count(const void *ptr, size_t len);
/* Writes 1-4 bytes, returns how many; code must be a scalar value. */
size_t ox_utf8_put(char *to, uint32_t code);
/* The character at `at`, of valid UTF-8, and its bytes; one that end cuts off is its
 * first byte. */
static inline uint32_t
ox_utf8_get(const char *at, const char *end, size_t *len)
{
    const uint8_t *p = (const uint8_t *)at;
    *len = *p < 0x80 ? 1 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3 : 4;
    if (*len > (size_t)(end - at))
        *len = 1;
    switch (*len) {
    case 1:
        return p[0];
    case 2:
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    case 3:
        return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    default:
        return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 |
               (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
    }
}

/* Bytes that grow. Heap memory unless an arena was given at init. */
struct text {
    char *ptr; /* NUL-terminated once something was added */
    size_t len, cap;
    struct arena *arena;
};

void ox_text_init(struct text *text, struct arena *arena);
void ox_text_fini(struct text *text); /* nothing to do with an arena */
void ox_text_clear(struct text *text);
/* Room for len more bytes; returns where they go. */
char *ox_text_reserve(struct text *text, size_t len);

static inline void
ox_text_addc(struct text *text, char c)
{
    char *to = text->len + 1 < text->cap ? text->ptr + text->len : ox_text_reserve(text, 1);
    to[0] = c;
    to[1] = '\0';
    text->len++;
}

void ox_text_add(struct text *text, const void *ptr, size_t len);
void ox_text_adds(struct text *text, const char *s);
void ox_text_addf(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ox_text_addvf(struct text *text, const char *fmt, va_list args);

static inline struct str
ox_text_str(const struct text *text)
{
    return (struct str){text->ptr ? text->ptr : "", text->len};
}

/* 16 bytes, as on Kafka's wire. Text form: base64url without padding (Kafka)
 * or the dashed hexadecimal form (PostgreSQL). */
struct uuid {
    uint8_t bytes[16];
};

bool ox_uuid_is_zero(const struct uuid *id);
bool ox_uuid_eq(const struct uuid *a, const struct uuid *b);
void ox_uuid_to_base64(const struct uuid *id, char to[23]);
bool ox_uuid_from_base64(struct str s, struct uuid *out);
void ox_uuid_to_hex(const struct uuid *id, char to[37]);
/* Accepts what PostgreSQL accepts: dashes anywhere between pairs, braces. */
bool ox_uuid_from_hex(struct str s, struct uuid *out);

/* base64 with padding (url: base64url without). Returns bytes written to `to`,
 * which holds 4*((len+2)/3)+1; a NUL follows. */
size_t ox_base64_encode(char *to, const void *from, size_t len, bool url);
/* Returns decoded length or -1. `to` holds 3*(len/4)+3. Either alphabet. */
ptrdiff_t ox_base64_decode(void *to, const char *from, size_t len);

#endif
