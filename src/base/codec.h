/* SPDX-License-Identifier: Apache-2.0
 *
 * The five codecs of Kafka's record batches. The only place that knows zlib,
 * snappy, lz4 and zstd. Contexts are kept per thread.
 *
 * Framing as Java's clients write and read it: gzip stream; snappy in xerial
 * blocks (raw snappy is read too); lz4 frame with independent 64 KiB blocks and
 * no content checksum; zstd frame. */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/err.h"
#include "base/str.h"

enum ox_codec { OX_CODEC_NONE, OX_CODEC_GZIP, OX_CODEC_SNAPPY, OX_CODEC_LZ4, OX_CODEC_ZSTD };
#define OX_CODEC_COUNT 5
/* Level argument that means the codec's default. */
#define OX_CODEC_LEVEL_DEFAULT INT32_MIN

/* Append the compressed bytes to out. level: gzip 1-9, lz4 1-17, zstd
 * -131072..22; ignored by snappy. */
ox_code ox_compress(enum ox_codec codec, int level, const void *ptr, size_t len,
    struct text *out, struct ox_err *err);

/* Append the inflated bytes to out, which may grow by at most len_max bytes:
 * a stream that inflates to more fails with
 * OX_MESSAGE_TOO_LARGE before more memory is taken; zstd windows over 128 MiB
 * are refused; bad bytes fail with OX_CORRUPT_MESSAGE. */
ox_code ox_decompress(enum ox_codec codec, const void *ptr, size_t len, size_t len_max,
    struct text *out, struct ox_err *err);

/* "none", "gzip", "snappy", "lz4", "zstd". */
const char *ox_codec_name(enum ox_codec codec);

#endif
