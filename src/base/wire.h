/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing binary formats. Big-endian unless the name says le.
 *
 * struct wire_in: pointer, end, sticky error. Every get checks the rest; after
 * an error all gets return zero, and the caller looks once at the end. Nothing
 * is allocated and nothing is copied.
 *
 * struct wire_out: writes into a growing struct text, or, with a NULL text,
 * only counts (so that sizes and bytes come from one function). */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct wire_in {
    const uint8_t *at, *end;
    bool failed;
};

static inline struct wire_in
wire_in(const void *ptr, size_t len)
{
    return (struct wire_in){(const uint8_t *)ptr, (const uint8_t *)ptr + len, false};
}

static inline size_t
wire_left(const struct wire_in *in)
{
    return (size_t)(in->end - in->at);
}

/* The next len bytes, or NULL (and failed). */
static inline const uint8_t *
wire_skip(struct wire_in *in, size_t len)
{
    if (in->failed || wire_left(in) < len) {
        in->failed = true;
        in->at = in->end;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += len;
    return at;
}

static inline uint16_t
wire_load16(const void *at)
{
    uint16_t v;
    memcpy(&v, at, 2);
    return __builtin_bswap16(v);
}

static inline uint32_t
wire_load32(const void *at)
{
    uint32_t v;
    memcpy(&v, at, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t
wire_load64(const void *at)
{
    uint64_t v;
    memcpy(&v, at, 8);
    return __builtin_bswap64(v);
}

static inline void
wire_store16(void *at, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(at, &v, 2);
}

static inline void
wire_store32(void *at, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(at, &v, 4);
}

static inline void
wire_store64(void *at, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(at, &v, 8);
}

static inline int8_t
wire_get8(struct wire_in *in)
{
    const uint8_t *at = wire_skip(in, 1);
    return at ? (int8_t)*at : 0;
}

static inline int16_t
wire_get16(struct wire_in *in)
{
    const uint8_t *at = wire_skip(in, 2);
    return at ? (int16_t)wire_load16(at) : 0;
}

static inline int32_t
wire_get32(struct wire_in *in)
{
    const uint8_t *at = wire_skip(in, 4);
    return at ? (int32_t)wire_load32(at) : 0;
}

static inline int64_t
wire_get64(struct wire_in *in)
{
    const uint8_t *at = wire_skip(in, 8);
    return at ? (int64_t)wire_load64(at) : 0;
}

/* LEB128; a 32-bit value takes at most 5 bytes, a 64-bit one 10. */
uint32_t wire_get_uvarint(struct wire_in *in);
uint64_t wire_get_uvarlong(struct wire_in *in);

/* zigzag of the above (record fields). */
static inline int32_t
wire_get_varint(struct wire_in *in)
{
    uint32_t v = wire_get_uvarint(in);
    return (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
}

static inline int64_t
wire_get_varlong(struct wire_in *in)
{
    uint64_t v = wire_get_uvarlong(in);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

struct wire_out {
    struct text *text; /* NULL: count only */
    size_t len;        /* bytes written or counted through this wire_out */
};

static inline struct wire_out
wire_out(struct text *text)
{
    return (struct wire_out){text, 0};
}

static inline void
wire_put_bytes(struct wire_out *out, const void *ptr, size_t len)
{
    if (out->text != NULL)
        ox_text_add(out->text, ptr, len);
    out->len += len;
}

static inline void
wire_put8(struct wire_out *out, int8_t v)
{
    wire_put_bytes(out, &v, 1);
}

static inline void
wire_put16(struct wire_out *out, int16_t v)
{
    uint8_t bytes[2];
    wire_store16(bytes, (uint16_t)v);
    wire_put_bytes(out, bytes, 2);
}

static inline void
wire_put32(struct wire_out *out, int32_t v)
{
    uint8_t bytes[4];
    wire_store32(bytes, (uint32_t)v);
    wire_put_bytes(out, bytes, 4);
}

static inline void
wire_put64(struct wire_out *out, int64_t v)
{
    uint8_t bytes[8];
    wire_store64(bytes, (uint64_t)v);
    wire_put_bytes(out, bytes, 8);
}

/* Writes to `to` (10 bytes suffice), returns the end. */
uint8_t *wire_store_uvarlong(uint8_t *to, uint64_t v);
size_t wire_uvarlong_len(uint64_t v);

static inline uint64_t
wire_zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline void
wire_put_uvarint(struct wire_out *out, uint64_t v)
{
    uint8_t bytes[10];
    wire_put_bytes(out, bytes, (size_t)(wire_store_uvarlong(bytes, v) - bytes));
}

/* zigzag; serves varint and varlong, whose bytes are the same. */
static inline void
wire_put_varint(struct wire_out *out, int64_t v)
{
    wire_put_uvarint(out, wire_zigzag(v));
}

#endif
