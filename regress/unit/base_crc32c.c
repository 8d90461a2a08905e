/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include "base/rand.h"
#include "tap.h"

enum { BYTES_MAX = 70000 };

static uint8_t bytes[BYTES_MAX];

/* One bit at a time: slow, and plainly the definition. */
static uint32_t
definition(uint32_t crc, const uint8_t *at, size_t len)
{
    crc = ~crc;
    for (; len > 0; len--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

static void
test_known(const char *way)
{
    uint8_t zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xFF, sizeof(ones));
    for (int i = 0; i < 32; i++)
        rising[i] = (uint8_t)i;
    printf("# %s\n", way);
    is_int(ox_crc32c(0, "123456789", 9), 0xE3069283, "the check value");
    is_int(ox_crc32c(0, "", 0), 0, "nothing");
    is_int(ox_crc32c(0, zeros, 32), 0x8A9136AA, "32 zeros (RFC 3720)");
    is_int(ox_crc32c(0, ones, 32), 0x62A8AB43, "32 ones (RFC 3720)");
    is_int(ox_crc32c(0, rising, 32), 0x46DD794E, "32 rising bytes (RFC 3720)");
}

static void
test_against_definition(void)
{
    bool same = true;
    for (size_t len = 0; len < 1200; len++)
        same = same && ox_crc32c(0, bytes + len % 13, len) == definition(0, bytes + len % 13, len);
    ok(same, "agrees with the definition at every length below 1200, at any alignment");
    same = true;
    for (size_t len = 1200; len < BYTES_MAX - 8; len += 6133)
        same = same && ox_crc32c(7, bytes + 3, len) == definition(7, bytes + 3, len);
    ok(same, "agrees with the definition at long lengths, from a remainder");
    uint32_t whole = ox_crc32c(0, bytes, BYTES_MAX), pieces = ox_crc32c(0, bytes, 777);
    is_int(ox_crc32c(pieces, bytes + 777, BYTES_MAX - 777), whole, "continues where it stopped");
}

int
main(void)
{
    static const char *const ways[] = {"vpclmul", "crc32x3", "crc32", "table"};
    struct rand_state rand;
    ox_rand_seed(&rand, 42);
    for (size_t i = 0; i < BYTES_MAX; i++)
        bytes[i] = (uint8_t)ox_rand(&rand);
    is_int(ox_crc32c(0, "123456789", 9), 0xE3069283, "as chosen at start-up");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (!ox_crc32c_use(ways[i])) {
            printf("# no %s on this CPU\n", ways[i]);
            continue;
        }
        test_known(ways[i]);
        test_against_definition();
    }
    ok(!ox_crc32c_use("abacus"), "an unknown way is refused");
    return done();
}
