/* SPDX-License-Identifier: Apache-2.0 */
#include "meta_help.h"

/* A view that only has brokers; racks[i] is that of broker i. */
static struct meta_view
view_of(const char *const *racks, uint32_t count)
{
    const struct meta_broker **brokers = ox_arena_array(&arena, const struct meta_broker *, count);
    for (uint32_t i = 0; i < count; i++) {
        struct meta_broker *broker = ox_arena_new(&arena, struct meta_broker);
        broker->node_id = (int32_t)i;
        broker->rack = ox_str(racks[i]);
        brokers[i] = broker;
    }
    return (struct meta_view){.brokers = brokers, .broker_count = count};
}

static void
check(const char *const *racks, uint32_t count, int16_t replicas, bool one_a_rack,
    const char *sentence)
{
    struct meta_view view = view_of(racks, count);
    struct meta_assignment *at;
    uint32_t partitions = count * 12, leads[16] = {0}, holds[16] = {0};
    bool distinct = true, spread = true;
    for (uint64_t seed = 0; seed < 20; seed++) {
        meta_place(&view, 0, partitions, replicas, seed, &arena, &at, &err);
        for (uint32_t p = 0; p < partitions; p++) {
            leads[at[p].replicas[0]]++;
            for (int16_t i = 0; i < replicas; i++) {
                holds[at[p].replicas[i]]++;
                for (int16_t j = 0; j < i; j++) {
                    int32_t a = at[p].replicas[i], b = at[p].replicas[j];
                    distinct &= a != b;
                    spread &= racks[a] == NULL || strcmp(racks[a], racks[b]) != 0;
                }
            }
        }
    }
    ok(distinct && (spread || !one_a_rack), sentence);
    bool even = true;
    for (uint32_t i = 0; i < count; i++)
        even &= leads[i] == leads[0] && holds[i] == holds[0];
    ok(even, "leaders and replicas are even");
}

static void
test_place(void)
{
    static const char *const none[] = {NULL, NULL, NULL, NULL, NULL};
    static const char *const three[] = {"a", "b", "c", "a", "b", "c"};
    static const char *const two[] = {"a", "a", "b", "b"};
    struct meta_assignment *at;
    check(none, 1, 1, false, "one broker");
    check(none, 5, 1, false, "five brokers, one replica");
    check(none, 5, 3, false, "five brokers, three replicas, distinct");
    check(none, 5, 5, false, "as many as brokers");
    check(three, 6, 3, true, "three racks, a replica in each");
    check(three, 6, 6, false, "more replicas than racks");
    check(two, 4, 2, true, "two racks");
    check(two, 4, 3, false, "two racks, three replicas");
    struct meta_view view = view_of(none, 2);
    is_int(meta_place(&view, 0, 1, 3, 0, &arena, &at, &err), OX_INVALID_REPLICATION_FACTOR,
        "more replicas than brokers");
    is_int(meta_place(&view, 0, 1, 0, 0, &arena, &at, &err), OX_INVALID_REPLICATION_FACTOR,
        "no replicas");
    is_int(meta_place(&view, 0, 0, 1, 0, &arena, &at, &err), OX_INVALID_PARTITIONS,
        "no partitions");
}

META_TESTS(test_place())
