/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions as text: the opaque token of a subscription, '{0:12,1:99}', and the
 * partition that a key goes to.
 *
 * A token is base64url of
 *   u8 version 1 | topic id 16 | uvarint count
 *   count times: uvarint partition | uvarint offset | uvarint leader epoch + 1
 *   u32 CRC-32C of all before it */
#include "base/crc32c.h"
#include "exec/exec_int.h"
#include "exec/scan_int.h"

enum { TOKEN_VERSION = 1, TOKEN_LEN_MAX = 4 * 1024 * 1024 };

void
exec_token_write(const struct uuid *topic_id, const struct exec_position *positions, uint32_t count,
    struct text *out)
{
    struct text bytes;
    ox_text_init(&bytes, NULL);
    struct wire_out wire = wire_out(&bytes);
    wire_put8(&wire, TOKEN_VERSION);
    wire_put_bytes(&wire, topic_id->bytes, sizeof(topic_id->bytes));
    wire_put_uvarint(&wire, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_uvarint(&wire, (uint64_t)positions[i].partition);
        wire_put_uvarint(&wire, (uint64_t)positions[i].offset);
        wire_put_uvarint(&wire, (uint64_t)(positions[i].leader_epoch + 1));
    }
    wire_put32(&wire, (int32_t)ox_crc32c(0, bytes.ptr, bytes.len));
    char *to = ox_text_reserve(out, 4 * ((bytes.len + 2) / 3) + 1);
    out->len += ox_base64_encode(to, bytes.ptr, bytes.len, true);
    ox_text_fini(&bytes);
}

static ox_code
bad_token(struct ox_err *err)
{
    ox_fail(err, OX_INVALID_PARAMETER_VALUE, "subscription token is not valid");
    return ox_hint(err, "Give a token as it was received in the _token column.");
}

ox_code
exec_token_read(struct str token, struct arena *arena, struct uuid *topic_id,
    struct exec_position **positions, uint32_t *count, struct ox_err *err)
{
    if (token.ptr == NULL || token.len > TOKEN_LEN_MAX)
        return bad_token(err);
    uint8_t *bytes = ox_arena_alloc(arena, 3 * (token.len / 4) + 4);
    ptrdiff_t len = ox_base64_decode(bytes, token.ptr, token.len);
    if (len < 1 + 16 + 1 + 4 || bytes[0] != TOKEN_VERSION ||
        ox_crc32c(0, bytes, (size_t)len - 4) != wire_load32(bytes + len - 4))
        return bad_token(err);
    struct wire_in in = wire_in(bytes + 1, (size_t)len - 5);
    memcpy(topic_id->bytes, wire_skip(&in, 16), 16);
    *count = wire_get_uvarint(&in);
    if (in.failed || *count > wire_left(&in) / 3)
        return bad_token(err);
    *positions = ox_arena_alloc(arena, (*count + 1) * sizeof(**positions));
    for (uint32_t i = 0; i < *count; i++) {
        uint64_t partition = wire_get_uvarlong(&in), offset = wire_get_uvarlong(&in);
        uint64_t epoch = wire_get_uvarlong(&in);
        if (partition > INT32_MAX || offset > INT64_MAX || epoch > (uint64_t)INT32_MAX + 1)
            return bad_token(err);
        (*positions)[i] = (struct exec_position){
            (int32_t)partition, (int32_t)((int64_t)epoch - 1), (int64_t)offset};
    }
    return in.failed || wire_left(&in) != 0 ? bad_token(err) : OX_OK;
}

/* One unsigned number, surrounded by blanks. */
static bool
number(const char **at, const char *end, int64_t max, int64_t *out)
{
    const char *p = *at;
    while (p < end && *p == ' ')
        p++;
    const char *first = p;
    int64_t value = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (value > (max - (*p - '0')) / 10)
            return false;
        value = value * 10 + (*p - '0');
    }
    if (p == first)
        return false;
    while (p < end && *p == ' ')
        p++;
    *at = p;
    *out = value;
    return true;
}

static bool
skip_char(const char **at, const char *end, char c)
{
    while (*at < end && **at == ' ')
        ++*at;
    if (*at == end || **at != c)
        return false;
    ++*at;
    return true;
}

bool
scan_parse_offsets(struct str text, struct arena *arena, struct exec_position **out,
    uint32_t *count, struct ox_err *err)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    size_t cap = 0;
    *count = 0;
    *out = NULL;
    bool good = skip_char(&at, end, '{');
    bool empty = good && skip_char(&at, end, '}');
    while (good && !empty) {
        int64_t partition, offset;
        bool quoted = skip_char(&at, end, '"');
        good = number(&at, end, INT32_MAX, &partition) && (!quoted || skip_char(&at, end, '"')) &&
               skip_char(&at, end, ':') && number(&at, end, INT64_MAX, &offset);
        if (!good)
            break;
        ox_arena_grow(arena, (void **)out, &cap, *count + 1, sizeof(**out));
        (*out)[(*count)++] = (struct exec_position){(int32_t)partition, -1, offset};
        if (skip_char(&at, end, ','))
            continue;
        good = skip_char(&at, end, '}');
        break;
    }
    while (at < end && *at == ' ')
        at++;
    if (good && at == end)
        return true;
    ox_fail(err, OX_INVALID_PARAMETER_VALUE, "invalid list of offsets: \"%.*s\"", OX_STR_ARG(text));
    ox_hint(err, "Write it as '{0:12,1:99}': partition and offset.");
    return false;
}

uint32_t
exec_murmur2(const void *ptr, size_t len)
{
    static const uint32_t m = 0x5bd1e995;
    const uint8_t *at = ptr;
    uint32_t h = 0x9747b28cu ^ (uint32_t)len;
    for (size_t left = len; left >= 4; left -= 4, at += 4) {
        uint32_t k =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    switch (len % 4) {
    case 3:
        h ^= (uint32_t)at[2] << 16; /* fall through */
    case 2:
        h ^= (uint32_t)at[1] << 8; /* fall through */
    case 1:
        h ^= at[0];
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}
