/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map from bytes to a pointer: open addressing, keys copied into the map.
 * Iteration goes in insertion order, so that nothing that reaches disk, wire or
 * a decision depends on hashes. Removal keeps the order of the rest. Not thread
 * safe. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct map_entry {
    struct str key; /* ptr NULL: removed */
    uint64_t hash;
    void *value;
};

struct map {
    struct map_entry *entries; /* in insertion order, with holes */
    uint32_t *slots;           /* entry index + 1; 0 empty */
    uint32_t count;            /* live entries */
    uint32_t used, cap;        /* entries used (holes included), allocated */
    uint32_t slot_count;       /* power of two */
};

void ox_map_init(struct map *map);
void ox_map_fini(struct map *map);
void *ox_map_get(const struct map *map, struct str key); /* NULL if absent */
/* Sets the value (not NULL); returns the value it replaced, or NULL. */
void *ox_map_put(struct map *map, struct str key, void *value);
void *ox_map_remove(struct map *map, struct str key); /* the value removed */

/* uint32_t at = 0; while ((e = ox_map_next(map, &at))) ...; removing the entry
 * just returned is allowed, adding is not. */
struct map_entry *ox_map_next(const struct map *map, uint32_t *at);

static inline struct str
ox_key_i64(const int64_t *key)
{
    return ox_str_n(key, sizeof(*key));
}

#endif
