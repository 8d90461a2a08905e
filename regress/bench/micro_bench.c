/* SPDX-License-Identifier: Apache-2.0
 *
 * Small pieces beside what a library makes of the same: CRC-32C in each way this
 * CPU has, the codecs of record batches beside their libraries called directly,
 * the partitioner, walking records. Alternating slices, medians.
 *
 *   micro_bench [--json] [--seconds S] */
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/codec.h"
#include "base/crc32c.h"
#include "base/env.h"
#include "exec/exec.h"
#include "log/record_batch.h"

enum { SLICES = 9, PLAIN = 16384 };

static double seconds = 0.02;
static bool json;
static uint8_t plain[PLAIN], *sink;
static volatile uint64_t keep;

static double
now_s(void)
{
    return (double)env_mono_ns(env_os()) / 1e9;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Units done by one call. */
typedef double (*piece_fn)(const void *arg);

static double
rate(piece_fn fn, const void *arg)
{
    double done = 0, start = now_s(), elapsed;
    do {
        for (int i = 0; i < 8; i++)
            done += fn(arg);
        elapsed = now_s() - start;
    } while (elapsed < seconds);
    return done / elapsed;
}

static void
compare(const char *name, const char *unit, piece_fn ours, const void *arg, const char *other,
    piece_fn theirs, const void *their_arg)
{
    double a[SLICES], b[SLICES], ratios[SLICES];
    rate(ours, arg);
    for (int i = 0; i < SLICES; i++) {
        a[i] = rate(ours, arg);
        b[i] = theirs != NULL ? rate(theirs, their_arg) : 0;
        ratios[i] = theirs != NULL ? a[i] / b[i] : 0;
    }
    qsort(a, SLICES, sizeof(a[0]), compare_doubles);
    qsort(b, SLICES, sizeof(b[0]), compare_doubles);
    qsort(ratios, SLICES, sizeof(ratios[0]), compare_doubles);
    double scale = a[SLICES / 2] >= 1e9 ? 1e9 : 1e6;
    if (json)
        printf("{\"figure\": \"%s\", \"unit\": \"%s\", \"value\": %.6g, \"reference\": %.6g, "
               "\"reference_name\": \"%s\", \"ratio\": %.3f}\n",
            name, unit, a[SLICES / 2], b[SLICES / 2], other, ratios[SLICES / 2]);
    else if (theirs != NULL)
        printf("%-40s %8.2f %s%-6s %8.2f  %-22s %6.2f\n", name, a[SLICES / 2] / scale,
            scale == 1e9 ? "G" : "M", unit, b[SLICES / 2] / scale, other, ratios[SLICES / 2]);
    else
        printf("%-40s %8.2f %s%s\n", name, a[SLICES / 2] / scale, scale == 1e9 ? "G" : "M", unit);
}

/* ---- CRC ---- */

struct crc {
    const char *way;
    size_t len;
};

static double
crc_piece(const void *arg)
{
    const struct crc *crc = arg;
    keep += ox_crc32c(0, plain, crc->len);
    return (double)crc->len;
}

static double
zlib_crc_piece(const void *arg)
{
    const struct crc *crc = arg;
    keep += crc32(0, plain, (uInt)crc->len);
    return (double)crc->len;
}

static void
crcs(void)
{
    static const char *const ways[] = {"vpclmul", "crc32x3", "crc32", "table"};
    static const size_t lens[] = {1024, PLAIN};
    for (size_t i = 0; i < ox_count(ways); i++)
        for (size_t j = 0; j < ox_count(lens); j++) {
            struct crc crc = {ways[i], lens[j]};
            char name[64];
            if (!ox_crc32c_use(ways[i]))
                continue;
            snprintf(name, sizeof(name), "CRC-32C %s, %zu B", ways[i], lens[j]);
            compare(name, "B/s", crc_piece, &crc, "zlib crc32", zlib_crc_piece, &crc);
        }
    for (size_t i = 0; i < ox_count(ways); i++)
        if (ox_crc32c_use(ways[i]))
            break;
}

/* ---- codecs ---- */

struct packed {
    enum ox_codec codec;
    struct text frame; /* as Kafka frames it */
    char *raw;         /* as the library alone has it */
    size_t raw_len;
    ZSTD_CCtx *zstd_out;
    ZSTD_DCtx *zstd_in;
    LZ4F_dctx *lz4_in;
};

static double
pack_piece(const void *arg)
{
    const struct packed *packed = arg;
    struct text out;
    ox_text_init(&out, NULL);
    ox_compress(packed->codec, OX_CODEC_LEVEL_DEFAULT, plain, PLAIN, &out, NULL);
    keep += out.len;
    ox_text_fini(&out);
    return PLAIN;
}

static double
unpack_piece(const void *arg)
{
    const struct packed *packed = arg;
    struct text out;
    ox_text_init(&out, NULL);
    if (ox_decompress(packed->codec, packed->frame.ptr, packed->frame.len, 1 << 20, &out, NULL) !=
        OX_OK)
        abort();
    keep += out.len;
    ox_text_fini(&out);
    return PLAIN;
}

static size_t
library_pack(const struct packed *packed, char *to, size_t cap)
{
    uLongf zlen = cap;
    size_t slen = cap;
    switch (packed->codec) {
    case OX_CODEC_GZIP: return compress2((Bytef *)to, &zlen, plain, PLAIN, 6) == Z_OK ? zlen : 0;
    case OX_CODEC_SNAPPY:
        return snappy_compress((const char *)plain, PLAIN, to, &slen) == SNAPPY_OK ? slen : 0;
    case OX_CODEC_LZ4: return LZ4F_compressFrame(to, cap, plain, PLAIN, NULL);
    default: return ZSTD_compressCCtx(packed->zstd_out, to, cap, plain, PLAIN, 3);
    }
}

static double
library_pack_piece(const void *arg)
{
    static char to[2 * PLAIN];
    keep += library_pack(arg, to, sizeof(to));
    return PLAIN;
}

static double
library_unpack_piece(const void *arg)
{
    const struct packed *packed = arg;
    static char to[PLAIN];
    uLongf zlen = PLAIN;
    size_t len = PLAIN, from = packed->raw_len;
    switch (packed->codec) {
    case OX_CODEC_GZIP:
        uncompress((Bytef *)to, &zlen, (const Bytef *)packed->raw, packed->raw_len);
        break;
    case OX_CODEC_SNAPPY: snappy_uncompress(packed->raw, packed->raw_len, to, &len); break;
    case OX_CODEC_LZ4:
        LZ4F_decompress(packed->lz4_in, to, &len, packed->raw, &from, NULL);
        break;
    default: ZSTD_decompressDCtx(packed->zstd_in, to, PLAIN, packed->raw, packed->raw_len);
    }
    keep += (uint64_t)to[0];
    return PLAIN;
}

static void
codecs(void)
{
    static const char *const libraries[] = {"", "zlib", "snappy", "LZ4F", "ZSTD"};
    for (int codec = OX_CODEC_GZIP; codec < OX_CODEC_COUNT; codec++) {
        struct packed packed = {.codec = (enum ox_codec)codec};
        char name[64];
        packed.raw = ox_malloc(2 * PLAIN);
        packed.zstd_out = ZSTD_createCCtx();
        packed.zstd_in = ZSTD_createDCtx();
        LZ4F_createDecompressionContext(&packed.lz4_in, LZ4F_VERSION);
        packed.raw_len = library_pack(&packed, packed.raw, 2 * PLAIN);
        ox_text_init(&packed.frame, NULL);
        ox_compress(packed.codec, OX_CODEC_LEVEL_DEFAULT, plain, PLAIN, &packed.frame, NULL);
        snprintf(name, sizeof(name), "compress %s, 16 KiB JSON", ox_codec_name(packed.codec));
        compare(name, "B/s", pack_piece, &packed, libraries[codec], library_pack_piece, &packed);
        snprintf(name, sizeof(name), "decompress %s, 16 KiB JSON", ox_codec_name(packed.codec));
        compare(name, "B/s", unpack_piece, &packed, libraries[codec], library_unpack_piece,
            &packed);
        ox_text_fini(&packed.frame);
        ox_free(packed.raw);
        ZSTD_freeCCtx(packed.zstd_out);
        ZSTD_freeDCtx(packed.zstd_in);
        LZ4F_freeDecompressionContext(packed.lz4_in);
    }
}

/* ---- keys and records ---- */

static double
murmur_piece(const void *arg)
{
    for (int i = 0; i < 64; i++)
        keep += exec_murmur2(plain + i, 16);
    return 64;
}

static double
crc_key_piece(const void *arg)
{
    for (int i = 0; i < 64; i++)
        keep += crc32(0, plain + i, 16);
    return 64;
}

static double
walk_piece(const void *arg)
{
    const struct slice *slice = arg;
    struct record_batch batch;
    struct record_iter iter;
    struct record_walk walk;
    if (record_batch_decode(ox_slice_ptr(slice), slice->len, &batch, NULL) != OX_OK ||
        record_iter_init(&iter, &batch, NULL, SIZE_MAX, NULL) != OX_OK ||
        record_walk(&iter, &walk, NULL) != OX_OK)
        abort();
    return walk.count;
}

static double
copy_piece(const void *arg)
{
    const struct slice *slice = arg;
    memcpy(sink, ox_slice_ptr(slice), slice->len);
    return (double)slice->len / 107;
}

static void
records(void)
{
    struct record_builder builder;
    struct slice slice;
    record_builder_init(&builder);
    record_builder_begin(&builder, &RECORD_BUILDER_PLAIN);
    while (record_builder_len(&builder) < 65536)
        record_builder_add(&builder, 1700000000000, OX_STR_NULL, ox_str_n(plain, 100), NULL, 0);
    if (record_builder_finish(&builder, &slice, NULL) != OX_OK)
        abort();
    record_builder_fini(&builder);
    sink = ox_malloc(1 << 20);
    compare("check the framing of 100 B records", "rec/s", walk_piece, &slice, "memcpy of them",
        copy_piece, &slice);
    compare("murmur2 of 16 B keys", "key/s", murmur_piece, NULL, "zlib crc32", crc_key_piece, NULL);
    ox_free(sink);
    ox_buf_put(slice.buf);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
    for (size_t at = 0; at < PLAIN;) {
        char line[128];
        int len = snprintf(line, sizeof(line), "{\"user\":\"user-%04zu\",\"amount\":%zu,\"ok\":true}\n",
            at * 7 % 1000, at * 31 % 9973);
        memcpy(plain + at, line, OX_MIN((size_t)len, PLAIN - at));
        at += (size_t)len;
    }
    crcs();
    codecs();
    records();
    return 0;
}
