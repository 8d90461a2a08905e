/* SPDX-License-Identifier: Apache-2.0
 *
 * slots[] holds entry numbers, probed linearly; entries[] holds the entries in
 * the order in which they came. A removal leaves a hole in entries[] and a
 * tombstone in slots[]; both go when the map is rebuilt. */
#include "base/map.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"

enum { TOMBSTONE = UINT32_MAX };

void
ox_map_init(struct map *map)
{
    memset(map, 0, sizeof(*map));
}

void
ox_map_fini(struct map *map)
{
    for (uint32_t i = 0; i < map->used; i++)
        ox_free((void *)map->entries[i].key.ptr);
    ox_free(map->entries);
    ox_free(map->slots);
    ox_map_init(map);
}

static uint32_t *
find_slot(const struct map *map, struct str key, uint64_t hash)
{
    uint32_t mask = map->slot_count - 1;
    for (uint32_t at = (uint32_t)hash & mask; map->slots[at] != 0; at = (at + 1) & mask) {
        if (map->slots[at] == (uint32_t)TOMBSTONE)
            continue;
        const struct map_entry *entry = &map->entries[map->slots[at] - 1];
        if (entry->hash == hash && entry->key.len == key.len &&
            memcmp(entry->key.ptr, key.ptr, key.len) == 0)
            return &map->slots[at];
    }
    return NULL;
}

/* Drop holes and tombstones; make room for one more. */
static void
rebuild(struct map *map)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < map->used; i++)
        if (map->entries[i].key.ptr != NULL)
            map->entries[kept++] = map->entries[i];
    map->used = kept;
    uint32_t slot_count = 16;
    while (slot_count < (kept + 1) * 2)
        slot_count *= 2;
    map->slot_count = slot_count;
    map->cap = slot_count;
    map->entries = ox_realloc(map->entries, sizeof(*map->entries) * map->cap);
    ox_free(map->slots);
    map->slots = ox_calloc(slot_count, sizeof(*map->slots));
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t at = (uint32_t)map->entries[i].hash & (slot_count - 1);
        while (map->slots[at] != 0)
            at = (at + 1) & (slot_count - 1);
        map->slots[at] = i + 1;
    }
}

void *
ox_map_get(const struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    uint32_t *slot = find_slot(map, key, ox_hash(key.ptr, key.len, 0));
    return slot ? map->entries[*slot - 1].value : NULL;
}

void *
ox_map_put(struct map *map, struct str key, void *value)
{
    ox_assert(value != NULL);
    uint64_t hash = ox_hash(key.ptr, key.len, 0);
    uint32_t *slot = map->slot_count ? find_slot(map, key, hash) : NULL;
    if (slot != NULL) {
        void *old = map->entries[*slot - 1].value;
        map->entries[*slot - 1].value = value;
        return old;
    }
    /* Each entry ever used took one slot, so used bounds the probe chains. */
    if ((map->used + 1) * 4 > map->slot_count * 3)
        rebuild(map);
    char *copy = ox_malloc(key.len + 1);
    if (key.len > 0)
        memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    map->entries[map->used] = (struct map_entry){{copy, key.len}, hash, value};
    uint32_t at = (uint32_t)hash & (map->slot_count - 1);
    while (map->slots[at] != 0 && map->slots[at] != (uint32_t)TOMBSTONE)
        at = (at + 1) & (map->slot_count - 1);
    map->slots[at] = ++map->used;
    map->count++;
    return NULL;
}

void *
ox_map_remove(struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    uint32_t *slot = find_slot(map, key, ox_hash(key.ptr, key.len, 0));
    if (slot == NULL)
        return NULL;
    struct map_entry *entry = &map->entries[*slot - 1];
    void *value = entry->value;
    ox_free((void *)entry->key.ptr);
    entry->key = OX_STR_NULL;
    *slot = (uint32_t)TOMBSTONE;
    map->count--;
    return value;
}

struct map_entry *
ox_map_next(const struct map *map, uint32_t *at)
{
    while (*at < map->used) {
        struct map_entry *entry = &map->entries[(*at)++];
        if (entry->key.ptr != NULL)
            return entry;
    }
    return NULL;
}
