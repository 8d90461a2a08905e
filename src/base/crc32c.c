/* SPDX-License-Identifier: Apache-2.0
 *
 * A CRC is the remainder of the message, as a polynomial over GF(2), divided
 * by P. Bits are reflected: the lowest bit of a byte is its highest power.
 *
 * Three ways to be fast, all from one identity: bytes that are followed by n
 * more bytes count as multiplied by x^(8n), and x^(8n) mod P is a constant.
 *
 *   vpclmul  four 64-byte accumulators; each turn they are multiplied forward
 *            by 256 bytes and the next 256 bytes are added
 *   crc32x3  three crc32 chains side by side (one instruction takes three
 *            cycles, but one starts each cycle), joined by multiplication
 *   crc32    one chain; table: eight tables, where the CPU offers nothing
 *
 * Constants are computed at start-up, from P, by the rule that is written
 * beside each; nothing has to be believed. The carry-less product of two
 * reflected polynomials comes out multiplied by x, hence the "- 1"s. */
#include "base/crc32c.h"

#include <string.h>

#include "base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

enum { POLY = 0x82F63B78 - 0x100000000 }; /* reflected, without its top bit */

typedef uint32_t (*crc_fn)(uint32_t crc, const uint8_t *at, size_t len);

static uint32_t crc_table_bytes[8][256];

/* All functions below take and return the raw remainder (not inverted). */

static uint32_t
crc_table(uint32_t crc, const uint8_t *at, size_t len)
{
    for (; len >= 8; at += 8, len -= 8) {
        uint32_t lo = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                                (uint32_t)at[3] << 24);
        crc = crc_table_bytes[7][lo & 0xFF] ^ crc_table_bytes[6][lo >> 8 & 0xFF] ^
              crc_table_bytes[5][lo >> 16 & 0xFF] ^ crc_table_bytes[4][lo >> 24] ^
              crc_table_bytes[3][at[4]] ^ crc_table_bytes[2][at[5]] ^
              crc_table_bytes[1][at[6]] ^ crc_table_bytes[0][at[7]];
    }
    for (; len > 0; len--)
        crc = crc_table_bytes[0][(crc ^ *at++) & 0xFF] ^ crc >> 8;
    return crc;
}

static void
fill_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? (uint32_t)POLY : 0);
        crc_table_bytes[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) {
            uint32_t last = crc_table_bytes[t - 1][i];
            crc_table_bytes[t][i] = crc_table_bytes[0][last & 0xFF] ^ last >> 8;
        }
}

#if defined(__x86_64__)

/* x^n mod P. */
static uint32_t
power(unsigned n)
{
    uint32_t value = 0x80000000u; /* x^0 */
    for (; n > 0; n--)
        value = value >> 1 ^ (value & 1 ? (uint32_t)POLY : 0);
    return value;
}

__attribute__((target("sse4.2"))) static uint32_t
crc_crc32(uint32_t crc, const uint8_t *at, size_t len)
{
    uint64_t crc64 = crc, word;
    for (; len >= 8; at += 8, len -= 8) {
        memcpy(&word, at, 8);
        crc64 = _mm_crc32_u64(crc64, word);
    }
    crc = (uint32_t)crc64;
    for (; len > 0; len--)
        crc = _mm_crc32_u8(crc, *at++);
    return crc;
}

/* Lengths of one chain of crc32x3, and what carries a remainder over them. */
enum { LANE_LONG = 2048, LANE_SHORT = 256 };
static uint64_t lane_shift[2][2]; /* [long, short][one lane, two lanes] */

/* crc * x^(8n), where shift = x^(8n - 33): the product adds 1, crc32 32. */
__attribute__((target("sse4.2,pclmul"))) static inline uint64_t
carry_over(uint64_t crc, uint64_t shift)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
        _mm_cvtsi64_si128((long long)shift), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc_crc32x3(uint32_t crc, const uint8_t *at, size_t len)
{
    uint64_t a = crc;
    for (int size = 0; size < 2; size++) {
        size_t lane = size == 0 ? LANE_LONG : LANE_SHORT;
        for (; len >= 3 * lane; at += 3 * lane, len -= 3 * lane) {
            uint64_t b = 0, c = 0, word[3];
            for (const uint8_t *end = at + lane, *i = at; i < end; i += 8) {
                memcpy(&word[0], i, 8);
                memcpy(&word[1], i + lane, 8);
                memcpy(&word[2], i + 2 * lane, 8);
                a = _mm_crc32_u64(a, word[0]);
                b = _mm_crc32_u64(b, word[1]);
                c = _mm_crc32_u64(c, word[2]);
            }
            a = carry_over(a, lane_shift[size][1]) ^ carry_over(b, lane_shift[size][0]) ^ c;
        }
    }
    return crc_crc32((uint32_t)a, at, len);
}

#define VPCLMUL_TARGET "sse4.2,pclmul,avx512f,avx512vl,avx512bw,avx512dq,vpclmulqdq"

/* To move a 16-byte lane forward by d bits, its first half (x^64 higher) is
 * multiplied by x^(d + 64 - 1) and its second by x^(d - 1). A 32-bit constant
 * stands in the upper half of its 64-bit word. */
enum { FOLD_16, FOLD_64, FOLD_256, FOLD_COUNT };
static uint64_t fold_by[FOLD_COUNT][2];

__attribute__((target(VPCLMUL_TARGET))) static inline __m512i
fold(__m512i value, __m512i by, __m512i add)
{
    __m512i first = _mm512_clmulepi64_epi128(value, by, 0x00);
    __m512i second = _mm512_clmulepi64_epi128(value, by, 0x11);
    return _mm512_ternarylogic_epi64(first, second, add, 0x96); /* xor of three */
}

__attribute__((target(VPCLMUL_TARGET))) static inline __m128i
fold_lane(__m128i value, __m128i by, __m128i add)
{
    __m128i first = _mm_clmulepi64_si128(value, by, 0x00);
    __m128i second = _mm_clmulepi64_si128(value, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), add);
}

__attribute__((target(VPCLMUL_TARGET))) static inline __m512i
broadcast(const uint64_t by[2])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)by));
}

__attribute__((target(VPCLMUL_TARGET))) static uint32_t
crc_vpclmul(uint32_t crc, const uint8_t *at, size_t len)
{
    if (len < 256)
        return crc_crc32(crc, at, len);
    __m512i by = broadcast(fold_by[FOLD_256]);
    __m512i a = _mm512_loadu_si512(at), b = _mm512_loadu_si512(at + 64);
    __m512i c = _mm512_loadu_si512(at + 128), d = _mm512_loadu_si512(at + 192);
    a = _mm512_xor_si512(a, _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
    for (at += 256, len -= 256; len >= 256; at += 256, len -= 256) {
        a = fold(a, by, _mm512_loadu_si512(at));
        b = fold(b, by, _mm512_loadu_si512(at + 64));
        c = fold(c, by, _mm512_loadu_si512(at + 128));
        d = fold(d, by, _mm512_loadu_si512(at + 192));
    }
    by = broadcast(fold_by[FOLD_64]);
    d = fold(fold(fold(a, by, b), by, c), by, d);
    for (; len >= 64; at += 64, len -= 64)
        d = fold(d, by, _mm512_loadu_si512(at));
    __m128i by16 = _mm_loadu_si128((const __m128i *)(const void *)fold_by[FOLD_16]);
    __m128i lane = _mm512_castsi512_si128(d);
    lane = fold_lane(lane, by16, _mm512_extracti32x4_epi32(d, 1));
    lane = fold_lane(lane, by16, _mm512_extracti32x4_epi32(d, 2));
    lane = fold_lane(lane, by16, _mm512_extracti32x4_epi32(d, 3));
    uint64_t crc64 = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(lane));
    crc64 = _mm_crc32_u64(crc64, (uint64_t)_mm_extract_epi64(lane, 1));
    return crc_crc32((uint32_t)crc64, at, len);
}

static void
fill_constants(void)
{
    static const unsigned fold_bits[FOLD_COUNT] = {128, 512, 2048};
    for (int i = 0; i < FOLD_COUNT; i++) {
        fold_by[i][0] = (uint64_t)power(fold_bits[i] + 63) << 32;
        fold_by[i][1] = (uint64_t)power(fold_bits[i] - 1) << 32;
    }
    for (unsigned lanes = 1; lanes <= 2; lanes++) {
        lane_shift[0][lanes - 1] = power(8 * lanes * LANE_LONG - 33);
        lane_shift[1][lanes - 1] = power(8 * lanes * LANE_SHORT - 33);
    }
}

static bool
have(const char *name)
{
    __builtin_cpu_init();
    if (strcmp(name, "crc32") == 0)
        return __builtin_cpu_supports("sse4.2");
    if (strcmp(name, "crc32x3") == 0)
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("vpclmulqdq");
}

static const struct way {
    const char *name;
    crc_fn fn;
} ways[] = {
    {"vpclmul", crc_vpclmul}, {"crc32x3", crc_crc32x3}, {"crc32", crc_crc32}};

#elif defined(__aarch64__) && defined(__linux__)

#if defined(__clang__)
__attribute__((target("crc")))
#else
__attribute__((target("+crc")))
#endif
static uint32_t
crc_crc32(uint32_t crc, const uint8_t *at, size_t len)
{
    uint64_t word;
    for (; len >= 8; at += 8, len -= 8) {
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    for (; len > 0; len--)
        crc = __crc32cb(crc, *at++);
    return crc;
}

static void
fill_constants(void)
{
}

static bool
have(const char *name)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

static const struct way {
    const char *name;
    crc_fn fn;
} ways[] = {{"crc32", crc_crc32}};

#else

static void
fill_constants(void)
{
}

static bool
have(const char *name)
{
    return false;
}

static const struct way {
    const char *name;
    crc_fn fn;
} ways[] = {{"table", crc_table}};

#endif

static crc_fn chosen = crc_table;

bool
ox_crc32c_use(const char *name)
{
    if (strcmp(name, "table") == 0) {
        chosen = crc_table;
        return true;
    }
    for (size_t i = 0; i < ox_count(ways); i++)
        if (strcmp(name, ways[i].name) == 0 && have(name)) {
            chosen = ways[i].fn;
            return true;
        }
    return false;
}

/* Before main, so that no call has to ask whether it is the first. */
__attribute__((constructor)) static void
choose(void)
{
    fill_tables();
    fill_constants();
    for (size_t i = 0; i < ox_count(ways); i++)
        if (ox_crc32c_use(ways[i].name))
            return;
}

uint32_t
ox_crc32c(uint32_t crc, const void *ptr, size_t len)
{
    return ~chosen(~crc, ptr, len);
}
