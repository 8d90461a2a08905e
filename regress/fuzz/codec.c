/* SPDX-License-Identifier: Apache-2.0
 *
 * Inflating: the first byte picks the codec, the rest is inflated within 1 MiB. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum { LIMIT = 1 << 20 };
    struct text out;
    if (len == 0)
        return 0;
    ox_text_init(&out, NULL);
    (void)ox_decompress((enum ox_codec)(data[0] % OX_CODEC_COUNT), data + 1, len - 1, LIMIT, &out,
        NULL);
    ox_assert(out.len <= LIMIT);
    ox_text_fini(&out);
    return 0;
}
