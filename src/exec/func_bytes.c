/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of byte strings: digests, encodings, single bytes, and Kafka's
 * murmur2. */
#include "exec/expr_int.h"

#include <openssl/evp.h>

enum { DIGEST_PIECE = 256 * 1024 }; /* between two looks whether it is still wanted */

static struct str
digest(struct call *call, struct str s, const EVP_MD *md)
{
    unsigned len = 0;
    unsigned char *to = call_alloc(call, EVP_MAX_MD_SIZE);
    if (s.len <= DIGEST_PIECE) {
        EVP_Digest(s.ptr, s.len, to, &len, md, NULL);
        return ox_str_n(to, len);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, md, NULL);
    for (size_t at = 0; at < s.len && !ox_stopped(DIGEST_PIECE * 2); at += DIGEST_PIECE)
        EVP_DigestUpdate(context, s.ptr + at, OX_MIN(s.len - at, (size_t)DIGEST_PIECE));
    EVP_DigestFinal_ex(context, to, &len);
    EVP_MD_CTX_free(context);
    return ox_str_n(to, len);
}

static struct str
hex(struct call *call, struct str s)
{
    static const char digits[] = "0123456789abcdef";
    char *to = call_alloc(call, s.len * 2 + 1);
    for (size_t i = 0; i < s.len && !ox_stopped_at(i); i++) {
        to[i * 2] = digits[(uint8_t)s.ptr[i] >> 4];
        to[i * 2 + 1] = digits[(uint8_t)s.ptr[i] & 15];
    }
    return ox_str_n(to, s.len * 2);
}

ox_code
bytes_md5(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = hex(call, digest(call, args[0].s, EVP_md5()));
    return OX_OK;
}

#define SHA_FN(NAME)                                                                               \
    ox_code bytes_##NAME(struct call *call, const struct datum *args, struct datum *out)           \
    {                                                                                              \
        out->s = digest(call, args[0].s, EVP_##NAME());                                            \
        return OX_OK;                                                                              \
    }
SHA_FN(sha224)
SHA_FN(sha256)
SHA_FN(sha384)
SHA_FN(sha512)

ox_code
bytes_overlay(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s, new = args[1].s;
    int64_t from = args[2].i, count = call->nargs > 3 ? args[3].i : (int64_t)new.len;
    if (from <= 0)
        return ox_fail_plain(call->err, OX_SUBSTRING_ERROR);
    size_t a = OX_MIN((size_t)(from - 1), s.len);
    size_t b = OX_MIN((size_t)OX_MAX(from - 1 + count, 0), s.len);
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_add(&text, s.ptr, a);
    ox_text_add(&text, new.ptr, new.len);
    ox_text_add(&text, s.ptr + b, s.len - b);
    out->s = ox_text_str(&text);
    return OX_OK;
}

ox_code
bytes_encode(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s;
    if (ox_str_ieq(args[1].s, OX_STR("hex"))) {
        out->s = hex(call, s);
    } else if (ox_str_ieq(args[1].s, OX_STR("base64"))) {
        char *flat = call_alloc(call, (s.len + 2) / 3 * 4 + 1), *to;
        size_t len = ox_base64_encode(flat, s.ptr, s.len, false), n = 0;
        to = call_alloc(call, len + len / 76 + 1);
        for (size_t i = 0; i < len; i++) { /* lines of 76, as MIME */
            if (i > 0 && i % 76 == 0)
                to[n++] = '\n';
            to[n++] = flat[i];
        }
        out->s = ox_str_n(to, n);
    } else if (ox_str_ieq(args[1].s, OX_STR("escape"))) {
        struct text text;
        ox_text_init(&text, call->arena);
        ox_text_reserve(&text, 1);
        for (size_t i = 0; i < s.len; i++) {
            uint8_t c = (uint8_t)s.ptr[i];
            if (c == 0 || c >= 0x80)
                ox_text_addf(&text, "\\%03o", c);
            else if (c == '\\')
                ox_text_adds(&text, "\\\\");
            else
                ox_text_addc(&text, (char)c);
        }
        out->s = ox_text_str(&text);
    } else {
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "unrecognized encoding: \"%.*s\"",
            OX_STR_ARG(args[1].s));
    }
    return OX_OK;
}

static ox_code
decode_hex(struct call *call, struct str s, struct datum *out)
{
    struct text text;
    ox_text_init(&text, call->arena);
    ox_text_adds(&text, "\\x");
    ox_text_add(&text, s.ptr, s.len);
    return type_in_text(
        TYPE(TYPE_BYTEA), ox_text_str(&text), &row_format_default, call->arena, out, call->err);
}

ox_code
bytes_decode(struct call *call, const struct datum *args, struct datum *out)
{
    struct str s = args[0].s;
    if (ox_str_ieq(args[1].s, OX_STR("hex")))
        return decode_hex(call, s, out);
    if (ox_str_ieq(args[1].s, OX_STR("escape")))
        return type_in_text(TYPE(TYPE_BYTEA), s, &row_format_default, call->arena, out, call->err);
    if (!ox_str_ieq(args[1].s, OX_STR("base64")))
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "unrecognized encoding: \"%.*s\"",
            OX_STR_ARG(args[1].s));
    char *clean = call_alloc(call, s.len + 1), *to = call_alloc(call, s.len + 4);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            continue;
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '+' || c == '/' || c == '=';
        if (!good)
            return call_fail(call, OX_INVALID_PARAMETER_VALUE,
                "invalid symbol \"%c\" found while decoding base64 sequence", c);
        clean[n++] = c;
    }
    ptrdiff_t len = n % 4 != 0 ? -1 : ox_base64_decode(to, clean, n);
    if (len < 0)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "invalid base64 end sequence");
    out->s = ox_str_n(to, (size_t)len);
    return OX_OK;
}

static ox_code
utf8_only(struct call *call, struct str name)
{
    if (ox_str_ieq(name, OX_STR("utf8")) || ox_str_ieq(name, OX_STR("utf-8")) ||
        ox_str_ieq(name, OX_STR("sql_ascii")))
        return OX_OK;
    return call_fail(
        call, OX_FEATURE_NOT_SUPPORTED, "encoding \"%.*s\" is not supported", OX_STR_ARG(name));
}

ox_code
bytes_convert(struct call *call, const struct datum *args, struct datum *out)
{
    out->s = args[0].s;
    return utf8_only(call, args[1].s);
}

ox_code
bytes_convert_from(struct call *call, const struct datum *args, struct datum *out)
{
    ox_code code = utf8_only(call, args[1].s);
    out->s = args[0].s;
    return code != OX_OK ? code : row_check_text(out->s, call->err);
}

static ox_code
byte_index(struct call *call, const struct datum *args)
{
    if (args[1].i >= 0 && args[1].i < (int64_t)args[0].s.len)
        return OX_OK;
    return call_fail(call, OX_ARRAY_SUBSCRIPT_ERROR, "index %lld out of valid range, 0..%lld",
        (long long)args[1].i, (long long)args[0].s.len - 1);
}

ox_code
bytes_get(struct call *call, const struct datum *args, struct datum *out)
{
    ox_code code = byte_index(call, args);
    if (code == OX_OK)
        out->i = (uint8_t)args[0].s.ptr[args[1].i];
    return code;
}

ox_code
bytes_set(struct call *call, const struct datum *args, struct datum *out)
{
    ox_code code = byte_index(call, args);
    if (code != OX_OK)
        return code;
    char *to = ox_arena_copy(call->arena, args[0].s.ptr, args[0].s.len);
    to[args[1].i] = (char)args[2].i;
    out->s = ox_str_n(to, args[0].s.len);
    return OX_OK;
}

static ox_code
bit_index(struct call *call, const struct datum *args)
{
    int64_t bits = (int64_t)args[0].s.len * 8;
    if (args[1].i < 0 || args[1].i >= bits)
        return call_fail(call, OX_ARRAY_SUBSCRIPT_ERROR, "index %lld out of valid range, 0..%lld",
            (long long)args[1].i, (long long)bits - 1);
    return OX_OK;
}

/* Bit 0 is the lowest of the first byte. */
ox_code
bytes_get_bit(struct call *call, const struct datum *args, struct datum *out)
{
    ox_code code = bit_index(call, args);
    if (code == OX_OK)
        out->i = (uint8_t)args[0].s.ptr[args[1].i / 8] >> (args[1].i % 8) & 1;
    return code;
}

ox_code
bytes_set_bit(struct call *call, const struct datum *args, struct datum *out)
{
    ox_code code = bit_index(call, args);
    if (code != OX_OK)
        return code;
    if (args[2].i != 0 && args[2].i != 1)
        return call_fail(call, OX_INVALID_PARAMETER_VALUE, "new bit must be 0 or 1");
    char *to = ox_arena_copy(call->arena, args[0].s.ptr, args[0].s.len);
    uint8_t bit = (uint8_t)(1u << args[1].i % 8), byte = (uint8_t)to[args[1].i / 8];
    to[args[1].i / 8] = (char)(args[2].i != 0 ? byte | bit : byte & ~bit);
    out->s = ox_str_n(to, args[0].s.len);
    return OX_OK;
}

ox_code
bytes_bit_count(struct call *call, const struct datum *args, struct datum *out)
{
    (void)call;
    out->i = 0;
    for (size_t i = 0; i < args[0].s.len; i++)
        out->i += __builtin_popcount((uint8_t)args[0].s.ptr[i]);
    return OX_OK;
}

/* Kafka's default partitioner hashes keys with this. */
ox_code
bytes_murmur2(struct call *call, const struct datum *args, struct datum *out)
{
    const uint8_t *p = (const uint8_t *)args[0].s.ptr;
    size_t len = args[0].s.len;
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)len;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t k =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    if (len >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (len >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (len >= 1)
        h = (h ^ p[0]) * m;
    h = (h ^ h >> 13) * m;
    out->i = (int32_t)(h ^ h >> 15);
    return OX_OK;
}
