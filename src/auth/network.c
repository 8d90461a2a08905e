/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts of access rules that are networks: 10.0.0.0/8, 2001:db8::/32; and addresses
 * that may be spelled in several ways. */
#include "auth/auth_int.h"

#include <arpa/inet.h>
#include <string.h>

struct network {
    uint8_t address[16];
    int len, bits; /* bytes of the address: 4 or 16 */
};

static int
read_address(struct str text, uint8_t out[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(copy))
        return 0;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(AF_INET, copy, out) == 1 ? 4 : inet_pton(AF_INET6, copy, out) == 1 ? 16 : 0;
}

/* ::ffff:10.0.0.1 is 10.0.0.1, as peers are called who come that way. */
static int
read_unmapped(struct str text, uint8_t out[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
    int len = read_address(text, out);
    if (len != 16 || memcmp(out, mapped, sizeof(mapped)) != 0)
        return len;
    memcpy(out, out + sizeof(mapped), 4);
    return 4;
}

static bool
read_network(struct str text, struct network *out)
{
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    int64_t bits;
    if (slash == NULL)
        return false;
    size_t len = (size_t)(slash - text.ptr);
    if (len + 1 == text.len || slash[1] < '0' || slash[1] > '9' ||
        !ox_str_to_i64(ox_str_n(slash + 1, text.len - len - 1), &bits))
        return false;
    out->len = read_address(ox_str_n(text.ptr, len), out->address);
    out->bits = (int)OX_MIN(bits, INT64_C(1000));
    return out->len > 0 && out->bits <= out->len * 8;
}

bool
auth_network_valid(struct str text)
{
    struct network network;
    return read_network(text, &network);
}

bool
auth_address_same(struct str a, struct str b)
{
    uint8_t one[16], other[16];
    bool spelled = (a.len > 0 && memchr(a.ptr, ':', a.len) != NULL) ||
        (b.len > 0 && memchr(b.ptr, ':', b.len) != NULL);
    int len = spelled ? read_unmapped(a, one) : 0;
    return len > 0 && read_unmapped(b, other) == len && memcmp(one, other, (size_t)len) == 0;
}

bool
auth_network_has(struct str text, struct str host)
{
    struct network network;
    uint8_t address[16];
    if (!read_network(text, &network) || read_address(host, address) != network.len)
        return false;
    int whole = network.bits / 8, rest = network.bits % 8;
    uint8_t mask = (uint8_t)(0xFF00 >> rest);
    return memcmp(network.address, address, (size_t)whole) == 0 &&
           (rest == 0 || ((network.address[whole] ^ address[whole]) & mask) == 0);
}
