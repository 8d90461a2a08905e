/* SPDX-License-Identifier: Apache-2.0
 *
 * The topics that a group reads, as they are now: what an assignor assigns, and
 * a hash by which a group notices that something about them has changed. */
#include <stdlib.h>
#include <string.h>

#include "coord/consumer_int.h"

static uint64_t
fnv(uint64_t hash, const void *ptr, size_t len)
{
    const uint8_t *at = ptr;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 0x100000001B3u;
    return hash;
}

void
topic_table_init(struct topic_table *table, const struct coord_host *host)
{
    *table = (struct topic_table){.host = host};
    ox_map_init(&table->seen);
}

void
topic_table_fini(struct topic_table *table)
{
    ox_map_fini(&table->seen);
    ox_free(table->topics);
}

static void
add_one(struct topic_table *table, struct str name)
{
    struct coord_topic facts;
    if (ox_map_put(&table->seen, name, table) != NULL ||
        !table->host->topic_by_name(table->host->self, name, &facts))
        return;
    if (table->count == table->cap) {
        table->cap = table->cap == 0 ? 16 : table->cap * 2;
        table->topics = ox_realloc(table->topics, ox_size_mul(table->cap, sizeof(*table->topics)));
    }
    table->topics[table->count++] = (struct assign_topic){facts.id, facts.partition_count};
    uint64_t hash = fnv(0xCBF29CE484222325u, facts.id.bytes, sizeof(facts.id.bytes));
    hash = fnv(hash, name.ptr, name.len);
    table->hash ^= fnv(hash, &facts.partition_count, sizeof(facts.partition_count));
}

void
topic_table_add(struct topic_table *table, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_one(table, names[i]);
}

static int
by_id(const void *a, const void *b)
{
    return memcmp(&((const struct assign_topic *)a)->id, &((const struct assign_topic *)b)->id,
        sizeof(struct uuid));
}

void
topic_table_sort(struct topic_table *table)
{
    if (table->count > 0)
        qsort(table->topics, table->count, sizeof(*table->topics), by_id);
}

static uint32_t
index_of(const struct topic_table *table, const struct uuid *id)
{
    struct assign_topic key = {.id = *id};
    const struct assign_topic *found =
        table->count == 0
            ? NULL
            : bsearch(&key, table->topics, table->count, sizeof(*table->topics), by_id);
    return found == NULL ? UINT32_MAX : (uint32_t)(found - table->topics);
}

static int
by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void
topic_table_indexes(const struct topic_table *table, const struct str *names, size_t count,
    struct arena *arena, const uint32_t **out, uint32_t *out_count)
{
    uint32_t *indexes = ox_arena_array(arena, uint32_t, count), found = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct coord_topic facts;
        if (!table->host->topic_by_name(table->host->self, names[i], &facts))
            continue;
        uint32_t index = index_of(table, &facts.id);
        if (index != UINT32_MAX)
            indexes[found++] = index;
    }
    if (found > 1)
        qsort(indexes, found, sizeof(*indexes), by_number);
    for (uint32_t i = 0; i < found; i++)
        if (kept == 0 || indexes[kept - 1] != indexes[i])
            indexes[kept++] = indexes[i];
    *out = indexes;
    *out_count = kept;
}
