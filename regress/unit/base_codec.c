/* SPDX-License-Identifier: Apache-2.0 */
#include "base/codec.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/rand.h"
#include "tap.h"

enum { LEN = 300000 };

static char mixed[LEN], zeros[LEN];

static bool
same(const struct text *text, const void *ptr, size_t len)
{
    return text->len == len && (len == 0 || memcmp(text->ptr, ptr, len) == 0);
}

static void
test_round_trips(enum ox_codec codec)
{
    static const size_t lens[] = {0, 1, 100, 32768, 32769, 65536, 65537, LEN};
    bool good = true;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct text packed, plain;
        ox_text_init(&packed, NULL);
        ox_text_init(&plain, NULL);
        ox_text_adds(&plain, "kept");
        ox_code code = ox_compress(codec, OX_CODEC_LEVEL_DEFAULT, mixed, lens[i], &packed, NULL);
        good = good && code == OX_OK;
        code = ox_decompress(codec, packed.ptr, packed.len, lens[i], &plain, NULL);
        good = good && code == OX_OK && plain.len == lens[i] + 4 &&
               memcmp(plain.ptr, "kept", 4) == 0 && memcmp(plain.ptr + 4, mixed, lens[i]) == 0;
        ox_text_fini(&packed);
        ox_text_fini(&plain);
    }
    ok(good, "round trips at many lengths, behind what stands in the text");
}

static void
test_levels(enum ox_codec codec, int low, int high)
{
    bool good = true;
    for (int level = low; level <= high; level += level < 0 ? 40000 : 1) {
        struct text packed, plain;
        ox_text_init(&packed, NULL);
        ox_text_init(&plain, NULL);
        good = good && ox_compress(codec, level, mixed, 20000, &packed, NULL) == OX_OK &&
               ox_decompress(codec, packed.ptr, packed.len, 20000, &plain, NULL) == OX_OK &&
               same(&plain, mixed, 20000);
        ox_text_fini(&packed);
        ox_text_fini(&plain);
    }
    ok(good, "every level");
}

static void
test_bomb(enum ox_codec codec)
{
    struct text packed, plain;
    struct ox_err err;
    ox_text_init(&packed, NULL);
    ox_text_init(&plain, NULL);
    ox_compress(codec, OX_CODEC_LEVEL_DEFAULT, zeros, LEN, &packed, NULL);
    ox_code code = ox_decompress(codec, packed.ptr, packed.len, LEN - 1, &plain, &err);
    is_int(code, OX_MESSAGE_TOO_LARGE, "one byte more than allowed is refused");
    ok(plain.len <= LEN - 1, "and never more than allowed was kept");
    ox_text_fini(&plain);
    code = ox_decompress(codec, packed.ptr, packed.len, 10, &plain, &err);
    is_int(code, OX_MESSAGE_TOO_LARGE, "a bomb is refused");
    ok(plain.cap <= 128 * 1024, "before memory is taken for it");
    ox_text_fini(&packed);
    ox_text_fini(&plain);
}

/* Every cut must fail; every flipped byte must at least not crash. */
static void
test_damage(enum ox_codec codec)
{
    struct text packed, plain;
    ox_text_init(&packed, NULL);
    ox_text_init(&plain, NULL);
    ox_compress(codec, OX_CODEC_LEVEL_DEFAULT, mixed, 3000, &packed, NULL);
    bool refused = true;
    for (size_t cut = 1; cut < packed.len; cut++) {
        /* An exact copy, so that ASan sees a read past the end. */
        char *copy = malloc(cut);
        memcpy(copy, packed.ptr, cut);
        ox_text_clear(&plain);
        ox_code code = ox_decompress(codec, copy, cut, 10000, &plain, NULL);
        refused = refused && (code != OX_OK || !same(&plain, mixed, 3000));
        refused = refused && (code != OX_OK || codec == OX_CODEC_SNAPPY);
        free(copy);
    }
    ok(refused, "truncated data are refused");
    for (size_t at = 0; at < packed.len; at++) {
        packed.ptr[at] ^= 0x55;
        ox_text_clear(&plain);
        (void)ox_decompress(codec, packed.ptr, packed.len, 10000, &plain, NULL);
        packed.ptr[at] ^= 0x55;
    }
    ox_text_clear(&plain);
    is_int(ox_decompress(codec, "garbage!", 8, 10000, &plain, NULL), OX_CORRUPT_MESSAGE,
        "garbage is refused");
    ox_text_clear(&plain);
    is_int(ox_decompress(codec, packed.ptr, packed.len, 10000, &plain, NULL), OX_OK,
        "and the context is good for the next");
    ok(same(&plain, mixed, 3000), "which comes out whole");
    ox_text_fini(&packed);
    ox_text_fini(&plain);
}

static void
expect(enum ox_codec codec, const void *packed, size_t len, const char *want, const char *sentence)
{
    struct text plain;
    ox_text_init(&plain, NULL);
    bool good = ox_decompress(codec, packed, len, 1000, &plain, NULL) == OX_OK &&
                same(&plain, want, strlen(want));
    ok(good, sentence);
    ox_text_fini(&plain);
}

/* Bytes made elsewhere: gzip(1) and hand-written frames. */
static void
test_known(void)
{
    static const uint8_t gz[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7,
        0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0};
    uint8_t twice[2 * sizeof(gz) + 3] = {0};
    memcpy(twice, gz, sizeof(gz));
    memcpy(twice + sizeof(gz), gz, sizeof(gz));
    expect(OX_CODEC_GZIP, gz, sizeof(gz), "hello", "gzip as gzip(1) wrote it");
    expect(OX_CODEC_GZIP, twice, sizeof(twice), "hellohello", "two gzip members and padding");
    static const uint8_t raw[] = {5, 0x10, 'h', 'e', 'l', 'l', 'o'};
    expect(OX_CODEC_SNAPPY, raw, sizeof(raw), "hello", "raw snappy");
    static const uint8_t xerial[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
        0, 0, 0, 7, 5, 0x10, 'h', 'e', 'l', 'l', 'o', 0, 0, 0, 7, 5, 0x10, 'w', 'o', 'r', 'l', 'd'};
    expect(OX_CODEC_SNAPPY, xerial, sizeof(xerial), "helloworld", "xerial blocks");
    static const uint8_t lie[] = {0xff, 0xff, 0xff, 0x7f, 0x10, 'h', 'e', 'l', 'l', 'o'};
    struct text plain;
    ox_text_init(&plain, NULL);
    is_int(ox_decompress(OX_CODEC_SNAPPY, lie, sizeof(lie), SIZE_MAX / 4, &plain, NULL),
        OX_CORRUPT_MESSAGE, "a snappy length that cannot be is refused");
    ok(plain.cap == 0, "without making room");
    static const uint8_t linked[] = {0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0, 0, 0, 0, 0};
    is_int(ox_decompress(OX_CODEC_LZ4, linked, sizeof(linked), 10, &plain, NULL),
        OX_CORRUPT_MESSAGE, "lz4 blocks that depend on one another are refused");
    is_int(ox_decompress((enum ox_codec)5, "", 0, 10, &plain, NULL),
        OX_UNSUPPORTED_COMPRESSION_TYPE, "a sixth codec is refused");
    is_str(ox_codec_name(OX_CODEC_ZSTD), "zstd", "names");
    ox_text_fini(&plain);
}

/* What Kafka writes at level 22: a short stream that declares a window of 128 MiB. */
static void
test_zstd_window(void)
{
    unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x6c, 0x01, 0x00, 0x44, 0x02, 0xf8,
        0x07, 0x00, 0x00, 0x00, 0x02, 0x6b, 0xe8, 0x07, 0x70, 0x65, 0x74, 0x69, 0x78, 0x6d, 0x62,
        0x71, 0x66, 0x75, 0x6a, 0x79, 0x6e, 0x63, 0x72, 0x67, 0x76, 0x6b, 0x7a, 0x6f, 0x64, 0x73,
        0x68, 0x77, 0x6c, 0x61, 0x00, 0x01, 0x00, 0xbb, 0x6e, 0x75, 0x3e, 0x01, 0x01, 0x00, 0x00};
    struct text plain;
    ox_text_init(&plain, NULL);
    is_int(ox_decompress(OX_CODEC_ZSTD, frame, sizeof(frame), LEN, &plain, NULL), OX_OK,
        "a window of 128 MiB");
    ok(plain.len == 510 && memcmp(plain.ptr + 9, "petix", 5) == 0, "and its bytes");
    frame[5] = 0x90;
    is_int(ox_decompress(OX_CODEC_ZSTD, frame, sizeof(frame), LEN, &plain, NULL),
        OX_CORRUPT_MESSAGE, "one of 256 MiB");
    ox_text_fini(&plain);
}

int
main(void)
{
    struct rand_state rand;
    ox_rand_seed(&rand, 7);
    for (size_t i = 0; i < LEN; i++)
        mixed[i] = (char)(i % 500 < 250 ? "abcdefgh"[i % 8] : (char)ox_rand(&rand));
    for (int codec = OX_CODEC_NONE; codec < OX_CODEC_COUNT; codec++) {
        printf("# %s\n", ox_codec_name((enum ox_codec)codec));
        test_round_trips((enum ox_codec)codec);
        if (codec == OX_CODEC_NONE)
            continue;
        test_bomb((enum ox_codec)codec);
        test_damage((enum ox_codec)codec);
    }
    test_levels(OX_CODEC_GZIP, -1, 9);
    test_levels(OX_CODEC_LZ4, 0, 17);
    test_levels(OX_CODEC_ZSTD, -131072, 12);
    test_known();
    test_zstd_window();
    return done();
}
