/* SPDX-License-Identifier: Apache-2.0
 *
 * Every thread keeps one context per library, made at first use and freed when
 * the thread ends: making one costs more than a small batch.
 *
 * Inflating never trusts a length that stands in the data. Output goes through
 * struct sink, which hands out room as the stream proves that it needs it and
 * never beyond the caller's bound; once the bound is reached it hands out one
 * spare byte, and a stream that writes it is too long. */
#include "base/codec.h"

#include <lz4frame.h>
#include <lz4hc.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/late.h"
#include "base/limits.h"
#include "base/wire.h"

_Static_assert(LIMIT_ZSTD_WINDOW_VALUE == 1 << 27, "as ZSTD_WINDOW_LOG_MAX");

enum {
    LZ4_LEVEL_JAVA_DEFAULT = 9, /* Java's way to say: the fast compressor */
    ZSTD_LEVEL = 3,
    ZSTD_WINDOW_LOG_MAX = 27, /* 128 MiB: what level 22 declares, also for a short stream */
    ZSTD_KEPT = 16 << 20, /* a larger context is not kept for the next batch */
    SNAPPY_BLOCK = 32 * 1024,
    SINK_STEP = 16 * 1024,
};

struct contexts {
    z_stream deflate, inflate;
    bool have_deflate, have_inflate;
    int deflate_level;
    LZ4F_dctx *lz4_in;
    ZSTD_CCtx *zstd_out;
    ZSTD_DCtx *zstd_in;
};

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void
contexts_free(void *arg)
{
    struct contexts *ctx = arg;
    if (ctx->have_deflate)
        deflateEnd(&ctx->deflate);
    if (ctx->have_inflate)
        inflateEnd(&ctx->inflate);
    LZ4F_freeDecompressionContext(ctx->lz4_in);
    ZSTD_freeCCtx(ctx->zstd_out);
    ZSTD_freeDCtx(ctx->zstd_in);
    ox_free(ctx);
}

/* The main thread ends without running key destructors. */
static void
contexts_free_main(void)
{
    struct contexts *ctx = pthread_getspecific(contexts_key);
    if (ctx != NULL) {
        pthread_setspecific(contexts_key, NULL);
        contexts_free(ctx);
    }
}

static void
contexts_make_key(void)
{
    ox_assert(pthread_key_create(&contexts_key, contexts_free) == 0);
    atexit(contexts_free_main);
}

static struct contexts *
contexts(void)
{
    static __thread struct contexts *mine;
    if (ox_likely(mine != NULL))
        return mine;
    pthread_once(&contexts_once, contexts_make_key);
    mine = ox_calloc(1, sizeof(*mine));
    ox_assert(pthread_setspecific(contexts_key, mine) == 0);
    return mine;
}

const char *
ox_codec_name(enum ox_codec codec)
{
    static const char *const names[OX_CODEC_COUNT] = {"none", "gzip", "snappy", "lz4", "zstd"};
    return (unsigned)codec < OX_CODEC_COUNT ? names[codec] : "unknown";
}

/* ---- compressing ---- */

static ox_code
gzip_compress(struct contexts *ctx, int level, const void *ptr, size_t len, struct text *out,
    struct ox_err *err)
{
    enum { GZIP_WINDOW = 15 + 16, MEMORY = 8 };
    if (level < 1 || level > 9)
        level = Z_DEFAULT_COMPRESSION;
    if (ctx->have_deflate && ctx->deflate_level != level) {
        deflateEnd(&ctx->deflate);
        ctx->have_deflate = false;
    }
    z_stream *z = &ctx->deflate;
    if (!ctx->have_deflate) {
        memset(z, 0, sizeof(*z));
        if (deflateInit2(z, level, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
            return ox_fail(err, OX_OUT_OF_MEMORY, "no memory for gzip");
        ctx->have_deflate = true;
        ctx->deflate_level = level;
    }
    deflateReset(z);
    size_t room = deflateBound(z, len);
    if (len > UINT32_MAX || room > UINT32_MAX)
        return ox_fail(err, OX_MESSAGE_TOO_LARGE, "%zu bytes are too many for gzip", len);
    z->next_in = (Bytef *)(uintptr_t)ptr;
    z->avail_in = (uInt)len;
    z->next_out = (Bytef *)ox_text_reserve(out, room);
    z->avail_out = (uInt)room;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "gzip does not finish");
    out->len += room - z->avail_out;
    return OX_OK;
}

/* Snappy brings the C++ library along: it is loaded for the first batch that needs it. */
static struct {
    typeof(snappy_max_compressed_length) *max_compressed_length;
    typeof(snappy_compress) *compress;
    typeof(snappy_uncompressed_length) *uncompressed_length;
    typeof(snappy_uncompress) *uncompress;
} snappy;

static const struct late_symbol snappy_symbols[] = {
    {"snappy_max_compressed_length", &snappy.max_compressed_length},
    {"snappy_compress", &snappy.compress},
    {"snappy_uncompressed_length", &snappy.uncompressed_length},
    {"snappy_uncompress", &snappy.uncompress},
};

static struct late_library snappy_library = {OX_LATE_SNAPPY, snappy_symbols,
    ox_count(snappy_symbols), NULL};

static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
enum { XERIAL_HEADER = 16 };

static ox_code
snappy_pack(const void *ptr, size_t len, struct text *out, struct ox_err *err)
{
    static const uint8_t versions[8] = {0, 0, 0, 1, 0, 0, 0, 1}; /* writer, oldest reader */
    ox_code code = ox_late_load(&snappy_library, err);
    if (code != OX_OK)
        return code;
    ox_text_add(out, xerial_magic, sizeof(xerial_magic));
    ox_text_add(out, versions, sizeof(versions));
    for (const char *at = ptr, *end = at + len; at < end;) {
        size_t piece = OX_MIN((size_t)(end - at), (size_t)SNAPPY_BLOCK);
        size_t room = snappy.max_compressed_length(piece);
        char *to = ox_text_reserve(out, 4 + room);
        if (snappy.compress(at, piece, to + 4, &room) != SNAPPY_OK)
            return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "snappy does not finish");
        wire_store32(to, (uint32_t)room);
        out->len += 4 + room;
        at += piece;
    }
    return OX_OK;
}

static ox_code
lz4_compress(int level, const void *ptr, size_t len, struct text *out, struct ox_err *err)
{
    LZ4F_preferences_t prefs = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level < 1 || level == LZ4_LEVEL_JAVA_DEFAULT
                                ? 0
                                : OX_MIN(level, LZ4HC_CLEVEL_MAX),
    };
    size_t room = LZ4F_compressFrameBound(len, &prefs);
    size_t made = LZ4F_compressFrame(ox_text_reserve(out, room), room, ptr, len, &prefs);
    if (LZ4F_isError(made))
        return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "lz4: %s", LZ4F_getErrorName(made));
    out->len += made;
    return OX_OK;
}

static ox_code
zstd_compress(struct contexts *ctx, int level, const void *ptr, size_t len, struct text *out,
    struct ox_err *err)
{
    if (ctx->zstd_out == NULL && (ctx->zstd_out = ZSTD_createCCtx()) == NULL)
        return ox_fail(err, OX_OUT_OF_MEMORY, "no memory for zstd");
    ZSTD_CCtx_reset(ctx->zstd_out, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(ctx->zstd_out, ZSTD_c_compressionLevel,
        level == OX_CODEC_LEVEL_DEFAULT ? ZSTD_LEVEL : level);
    size_t room = ZSTD_compressBound(len);
    size_t made = ZSTD_compress2(ctx->zstd_out, ox_text_reserve(out, room), room, ptr, len);
    if (ZSTD_isError(made))
        return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "zstd: %s", ZSTD_getErrorName(made));
    out->len += made;
    return OX_OK;
}

ox_code
ox_compress(enum ox_codec codec, int level, const void *ptr, size_t len, struct text *out,
    struct ox_err *err)
{
    switch (codec) {
    case OX_CODEC_NONE:
        ox_text_add(out, ptr, len);
        return OX_OK;
    case OX_CODEC_GZIP:
        return gzip_compress(contexts(), level, ptr, len, out, err);
    case OX_CODEC_SNAPPY:
        return snappy_pack(ptr, len, out, err);
    case OX_CODEC_LZ4:
        return lz4_compress(level, ptr, len, out, err);
    case OX_CODEC_ZSTD:
        return zstd_compress(contexts(), level, ptr, len, out, err);
    }
    return ox_fail(err, OX_UNSUPPORTED_COMPRESSION_TYPE, "compression type %d is not known",
        (int)codec);
}

/* ---- inflating ---- */

struct sink {
    struct text *out;
    size_t left; /* bytes that may still be added */
    uint8_t spare;
    bool on_spare;
};

static struct sink
sink_start(struct text *out, size_t len_max)
{
    return (struct sink){.out = out, .left = len_max};
}

/* Where to write next, and how much; hint is what the stream promises. */
static void *
sink_room(struct sink *sink, size_t hint, size_t *room)
{
    sink->on_spare = sink->left == 0;
    if (sink->on_spare) {
        *room = 1;
        return &sink->spare;
    }
    /* What is there already, doubling, or a promise: at most 64 KiB of it is
     * believed before it came true. */
    size_t want = OX_MAX((size_t)SINK_STEP, OX_MIN(hint, (size_t)64 * 1024));
    size_t spare = sink->out->cap > sink->out->len + 1 ? sink->out->cap - sink->out->len - 1 : 0;
    *room = OX_MIN(sink->left, OX_MAX(want, spare));
    return ox_text_reserve(sink->out, *room);
}

static bool
sink_wrote(struct sink *sink, size_t len)
{
    if (sink->on_spare)
        return len == 0;
    ox_assert(len <= sink->left);
    sink->out->len += len;
    sink->left -= len;
    return true;
}

static ox_code
too_long(enum ox_codec codec, struct ox_err *err)
{
    limit_met(LIMIT_INFLATED_BATCH);
    return ox_fail(err, OX_MESSAGE_TOO_LARGE, "%s data inflate to more than is allowed",
        ox_codec_name(codec));
}

static ox_code
corrupt(enum ox_codec codec, const char *reason, struct ox_err *err)
{
    return ox_fail(err, OX_CORRUPT_MESSAGE, "%s data are corrupt: %s", ox_codec_name(codec),
        reason);
}

/* Members may follow one another; other bytes after a member are ignored, as
 * Java's reader does. */
static ox_code
gzip_decompress(struct contexts *ctx, const void *ptr, size_t len, struct sink *sink,
    struct ox_err *err)
{
    enum { GZIP_ONLY = 15 + 16 };
    z_stream *z = &ctx->inflate;
    if (!ctx->have_inflate) {
        memset(z, 0, sizeof(*z));
        if (inflateInit2(z, GZIP_ONLY) != Z_OK)
            return ox_fail(err, OX_OUT_OF_MEMORY, "no memory for gzip");
        ctx->have_inflate = true;
    }
    if (len > UINT32_MAX)
        return too_long(OX_CODEC_GZIP, err);
    inflateReset(z);
    z->next_in = (Bytef *)(uintptr_t)ptr;
    z->avail_in = (uInt)len;
    for (;;) {
        size_t room;
        z->next_out = sink_room(sink, len * 4, &room);
        room = OX_MIN(room, (size_t)UINT32_MAX);
        z->avail_out = (uInt)room;
        int result = inflate(z, Z_NO_FLUSH);
        if (!sink_wrote(sink, room - z->avail_out))
            return too_long(OX_CODEC_GZIP, err);
        if (result == Z_STREAM_END) {
            if (z->avail_in < 2 || z->next_in[0] != 0x1F || z->next_in[1] != 0x8B)
                return OX_OK;
            inflateReset(z);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return corrupt(OX_CODEC_GZIP, z->msg ? z->msg : "bad stream", err);
        } else if (z->avail_in == 0 && z->avail_out > 0) {
            return corrupt(OX_CODEC_GZIP, "cut short", err);
        }
    }
}

/* One raw block. Snappy cannot pack more than 64 bytes into 3, so a length
 * beyond that is a lie, and is refused before room is made for it. */
static ox_code
snappy_block(const char *ptr, size_t len, struct sink *sink, struct ox_err *err)
{
    size_t want;
    if (snappy.uncompressed_length(ptr, len, &want) != SNAPPY_OK || want / 22 > len)
        return corrupt(OX_CODEC_SNAPPY, "bad length", err);
    if (want > sink->left)
        return too_long(OX_CODEC_SNAPPY, err);
    char *to = ox_text_reserve(sink->out, want);
    if (snappy.uncompress(ptr, len, to, &want) != SNAPPY_OK)
        return corrupt(OX_CODEC_SNAPPY, "bad block", err);
    sink->out->len += want;
    sink->left -= want;
    return OX_OK;
}

static ox_code
snappy_unpack(const void *ptr, size_t len, struct sink *sink, struct ox_err *err)
{
    ox_code code = ox_late_load(&snappy_library, err);
    if (code != OX_OK)
        return code;
    if (len < XERIAL_HEADER || memcmp(ptr, xerial_magic, sizeof(xerial_magic)) != 0)
        return snappy_block(ptr, len, sink, err);
    struct wire_in in = wire_in(ptr, len);
    while (wire_left(&in) > 0) {
        if (wire_left(&in) >= XERIAL_HEADER &&
            memcmp(in.at, xerial_magic, sizeof(xerial_magic)) == 0) {
            wire_skip(&in, XERIAL_HEADER);
            continue;
        }
        uint32_t block = (uint32_t)wire_get32(&in);
        const void *at = wire_skip(&in, block);
        if (in.failed)
            return corrupt(OX_CODEC_SNAPPY, "cut short", err);
        code = snappy_block(at, block, sink, err);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

/* Java's clients cannot read frames whose blocks depend on one another, so such
 * a frame must not get into a log. */
static ox_code
lz4_decompress(struct contexts *ctx, const void *ptr, size_t len, struct sink *sink,
    struct ox_err *err)
{
    enum { FLAGS_AT = 4, BLOCKS_INDEPENDENT = 0x20 };
    if (ctx->lz4_in == NULL &&
        LZ4F_isError(LZ4F_createDecompressionContext(&ctx->lz4_in, LZ4F_VERSION)))
        return ox_fail(err, OX_OUT_OF_MEMORY, "no memory for lz4");
    if (len > FLAGS_AT && (((const uint8_t *)ptr)[FLAGS_AT] & BLOCKS_INDEPENDENT) == 0)
        return corrupt(OX_CODEC_LZ4, "blocks depend on one another", err);
    LZ4F_resetDecompressionContext(ctx->lz4_in);
    for (const char *at = ptr, *end = at + len;;) {
        size_t room, took = (size_t)(end - at);
        void *to = sink_room(sink, len * 4, &room);
        size_t wrote = room;
        size_t result = LZ4F_decompress(ctx->lz4_in, to, &wrote, at, &took, NULL);
        if (LZ4F_isError(result))
            return corrupt(OX_CODEC_LZ4, LZ4F_getErrorName(result), err);
        if (!sink_wrote(sink, wrote))
            return too_long(OX_CODEC_LZ4, err);
        if (result == 0)
            return OX_OK;
        at += took;
        if (at == end && wrote < room)
            return corrupt(OX_CODEC_LZ4, "cut short", err);
    }
}

/* Of a window only what the stream inflates to is ever touched. */
static ox_code
zstd_inflate(struct contexts *ctx, const void *ptr, size_t len, struct sink *sink,
    struct ox_err *err)
{
    if (ctx->zstd_in == NULL) {
        if ((ctx->zstd_in = ZSTD_createDCtx()) == NULL)
            return ox_fail(err, OX_OUT_OF_MEMORY, "no memory for zstd");
        ZSTD_DCtx_setParameter(ctx->zstd_in, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    }
    ZSTD_DCtx_reset(ctx->zstd_in, ZSTD_reset_session_only);
    ZSTD_inBuffer in = {ptr, len, 0};
    for (;;) {
        ZSTD_outBuffer out = {NULL, 0, 0};
        out.dst = sink_room(sink, len * 4, &out.size);
        size_t result = ZSTD_decompressStream(ctx->zstd_in, &out, &in);
        if (ZSTD_isError(result))
            return corrupt(OX_CODEC_ZSTD, ZSTD_getErrorName(result), err);
        if (!sink_wrote(sink, out.pos))
            return too_long(OX_CODEC_ZSTD, err);
        if (result == 0 && in.pos == in.size)
            return OX_OK;
        if (in.pos == in.size && out.pos < out.size)
            return corrupt(OX_CODEC_ZSTD, "cut short", err);
    }
}

static ox_code
zstd_decompress(struct contexts *ctx, const void *ptr, size_t len, struct sink *sink,
    struct ox_err *err)
{
    ox_code code = zstd_inflate(ctx, ptr, len, sink, err);
    if (ctx->zstd_in != NULL && ZSTD_sizeof_DCtx(ctx->zstd_in) > ZSTD_KEPT) {
        ZSTD_freeDCtx(ctx->zstd_in);
        ctx->zstd_in = NULL;
    }
    return code;
}

ox_code
ox_decompress(enum ox_codec codec, const void *ptr, size_t len, size_t len_max, struct text *out,
    struct ox_err *err)
{
    struct sink sink = sink_start(out, len_max);
    ox_code code;
    switch (codec) {
    case OX_CODEC_NONE:
        if (len > len_max)
            return too_long(codec, err);
        ox_text_add(out, ptr, len);
        return OX_OK;
    case OX_CODEC_GZIP:
        code = gzip_decompress(contexts(), ptr, len, &sink, err);
        break;
    case OX_CODEC_SNAPPY:
        code = snappy_unpack(ptr, len, &sink, err);
        break;
    case OX_CODEC_LZ4:
        code = lz4_decompress(contexts(), ptr, len, &sink, err);
        break;
    case OX_CODEC_ZSTD:
        code = zstd_decompress(contexts(), ptr, len, &sink, err);
        break;
    default:
        return ox_fail(err, OX_UNSUPPORTED_COMPRESSION_TYPE, "compression type %d is not known",
            (int)codec);
    }
    if (out->ptr != NULL)
        out->ptr[out->len] = '\0';
    return code;
}
