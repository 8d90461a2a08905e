/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wire.h"

static uint64_t
get_leb128(struct wire_in *in, int bytes_max)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes_max; i++) {
        if (in->failed || in->at == in->end)
            break;
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80)
            return value;
    }
    in->failed = true;
    in->at = in->end;
    return 0;
}

uint32_t
wire_get_uvarint(struct wire_in *in)
{
    if (!in->failed && in->at < in->end && *in->at < 0x80)
        return *in->at++;
    return (uint32_t)get_leb128(in, 5);
}

uint64_t
wire_get_uvarlong(struct wire_in *in)
{
    if (!in->failed && in->at < in->end && *in->at < 0x80)
        return *in->at++;
    return get_leb128(in, 10);
}

uint8_t *
wire_store_uvarlong(uint8_t *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *to++ = (uint8_t)(v | 0x80);
    *to++ = (uint8_t)v;
    return to;
}

size_t
wire_uvarlong_len(uint64_t v)
{
    size_t len = 1;
    for (; v >= 0x80; v >>= 7)
        len++;
    return len;
}
