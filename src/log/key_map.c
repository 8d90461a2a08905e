/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest offset of each key in the part of a log that a compaction pass
 * looks at. Keys are not kept, only 128 bits of a hash under a secret of the
 * pass: an entry takes 24 bytes whatever the key, and nobody who writes keys can
 * make two of them meet.
 *
 * 1. used <= used_max < slot_count, so that a search ends.
 * 2. A slot is never freed: it is found from its home on without a hole. */
#include "log/log_int.h"

#include "base/check.h"

/* ---- hash ---- */

static inline uint64_t
rotl(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

static inline void
sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static uint64_t
sip_end(uint64_t v[4])
{
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t
load_le64(const uint8_t *at)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | at[i];
    return word;
}

/* SipHash-2-4 with 128 bits of output. */
static void
hash_key(const uint64_t secret[2], struct str key, uint64_t out[2])
{
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du ^ 0xee,
        secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    const uint8_t *at = (const uint8_t *)key.ptr;
    size_t left = key.len;
    for (; left >= 8; left -= 8, at += 8)
        sip_word(v, load_le64(at));
    uint64_t last = (uint64_t)key.len << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)at[i] << (8 * i);
    sip_word(v, last);
    v[2] ^= 0xee;
    out[0] = sip_end(v);
    v[1] ^= 0xdd;
    out[1] = sip_end(v);
}

/* ---- table ---- */

void
key_map_init(struct key_map *map, uint64_t keys, uint64_t bytes_max, const uint64_t secret[2])
{
    uint64_t most = OX_MAX(bytes_max, (uint64_t)KEY_SLOT_BYTES_MIN) / sizeof(struct key_slot);
    uint64_t wanted = keys > most ? most : keys + keys / 8 + 64; /* at most 90 % are used */
    *map = (struct key_map){.secret = {secret[0], secret[1]}};
    map->slot_count = OX_MIN(wanted, most);
    map->used_max = map->slot_count - map->slot_count / 10 - 1;
    map->slots = ox_calloc(map->slot_count, sizeof(*map->slots));
}

void
key_map_fini(struct key_map *map)
{
    ox_free(map->slots);
    *map = (struct key_map){0};
}

/* The slot of a key, or the free one where it would go. */
static struct key_slot *
find(const struct key_map *map, struct str key, uint64_t hash[2])
{
    hash_key(map->secret, key, hash);
    uint64_t i = (uint64_t)(((unsigned __int128)hash[0] * map->slot_count) >> 64);
    for (;;) {
        struct key_slot *slot = &map->slots[i];
        if (slot->offset == 0 || (slot->hash[0] == hash[0] && slot->hash[1] == hash[1]))
            return slot;
        i = i + 1 == map->slot_count ? 0 : i + 1;
    }
}

void
key_map_put(struct key_map *map, struct str key, int64_t offset)
{
    uint64_t hash[2];
    struct key_slot *slot = find(map, key, hash);
    if (slot->offset == 0) {
        ox_assert(map->used < map->used_max);
        map->used++;
        slot->hash[0] = hash[0];
        slot->hash[1] = hash[1];
    }
    slot->offset = offset + 1;
}

int64_t
key_map_get(const struct key_map *map, struct str key)
{
    uint64_t hash[2];
    return find(map, key, hash)->offset - 1;
}
