/* SPDX-License-Identifier: Apache-2.0
 *
 * Who holds a replica, and who leads. Brokers are grouped by rack; each rack
 * keeps its own cursor. Partition p starts at rack (start + p) and takes one
 * broker of each rack in turn, so that replicas are spread over racks first and
 * leaders over brokers. After a full cycle of brokers the followers shift by one
 * more, so that the same broker does not always follow the same leader. */
#include <stdlib.h>

#include "base/rand.h"
#include "meta/meta_int.h"

struct rack {
    struct str name;
    int32_t *ids; /* usable brokers, rising */
    uint32_t count;
};

struct placement {
    struct rack *racks;
    uint32_t rack_count, broker_count;
};

static int
broker_cmp(const void *a, const void *b)
{
    const struct meta_broker *x = *(const struct meta_broker *const *)a;
    const struct meta_broker *y = *(const struct meta_broker *const *)b;
    int order = ox_str_cmp(x->rack, y->rack);
    return order != 0 ? order : (x->node_id > y->node_id) - (x->node_id < y->node_id);
}

static void
group_by_rack(const struct meta_view *view, struct arena *arena, struct placement *out)
{
    const struct meta_broker **usable = ox_arena_array(arena, const struct meta_broker *,
        view->broker_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->broker_count; i++)
        if (!view->brokers[i]->fenced && !view->brokers[i]->in_shutdown)
            usable[count++] = view->brokers[i];
    qsort(usable, count, sizeof(*usable), broker_cmp);
    out->racks = ox_arena_array(arena, struct rack, count + 1);
    out->broker_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct rack *rack = out->rack_count > 0 ? &out->racks[out->rack_count - 1] : NULL;
        if (rack == NULL || !ox_str_eq(rack->name, usable[i]->rack)) {
            rack = &out->racks[out->rack_count++];
            rack->name = usable[i]->rack;
            rack->ids = ox_arena_array(arena, int32_t, count);
        }
        rack->ids[rack->count++] = usable[i]->node_id;
    }
}

/* Which broker of a rack serves in this round. The first rack gives the leader,
 * and its further brokers in an order that shifts; distinct for each round. */
static int32_t
pick(const struct rack *rack, bool leads, uint32_t round, uint64_t base, uint64_t shift)
{
    if (!leads)
        return rack->ids[(base + round + shift) % rack->count];
    if (round == 0)
        return rack->ids[base % rack->count];
    return rack->ids[(base + 1 + (round - 1 + shift) % (rack->count - 1)) % rack->count];
}

/* Replicas of the partition with this number, counted from start. */
static void
place_one(const struct placement *placement, uint64_t number, uint64_t shift, uint32_t replicas,
    int32_t *out)
{
    uint32_t racks = placement->rack_count, taken = 0;
    shift += number / placement->broker_count;
    for (uint32_t round = 0; taken < replicas; round++) {
        for (uint32_t i = 0; i < racks && taken < replicas; i++) {
            const struct rack *rack = &placement->racks[(number + i) % racks];
            if (round < rack->count)
                out[taken++] = pick(rack, i == 0, round, number / racks, shift);
        }
    }
}

ox_code
meta_place(const struct meta_view *view, uint32_t first, uint32_t count,
    int16_t replication_factor, uint64_t seed, struct arena *arena, struct meta_assignment **out,
    struct ox_err *err)
{
    struct placement placement = {NULL, 0, 0};
    struct rand_state rand;
    if (count == 0 || count > META_PARTITIONS_MAX)
        return ox_fail(err, OX_INVALID_PARTITIONS, "number of partitions must be 1 to %d",
            META_PARTITIONS_MAX);
    if (replication_factor < 1)
        return ox_fail(err, OX_INVALID_REPLICATION_FACTOR,
            "replication factor must be at least 1");
    group_by_rack(view, arena, &placement);
    if ((uint32_t)replication_factor > placement.broker_count)
        return ox_fail(err, OX_INVALID_REPLICATION_FACTOR,
            "replication factor %d is larger than the number of usable brokers (%u)",
            replication_factor, placement.broker_count);
    ox_rand_seed(&rand, seed);
    uint64_t start = ox_rand_below(&rand, placement.broker_count);
    uint64_t shift = ox_rand_below(&rand, placement.broker_count);
    uint32_t replicas = (uint32_t)replication_factor;
    struct meta_assignment *at = ox_arena_array(arena, struct meta_assignment, count);
    int32_t *ids = ox_arena_array(arena, int32_t, (size_t)count * replicas);
    for (uint32_t i = 0; i < count; i++, ids += replicas) {
        place_one(&placement, start + first + i, shift, replicas, ids);
        at[i] = (struct meta_assignment){ids, replicas};
    }
    *out = at;
    return OX_OK;
}
