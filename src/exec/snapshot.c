/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots: what of a partition a statement, or a transaction, sees. The range
 * is taken when the partition is first touched; a whole statement touches its
 * partitions when its scans open, in one step of the loop, a cursor when it is
 * declared. */
#include "engine/engine.h"
#include "exec/exec_int.h"
#include "exec/scan_int.h"

struct exec_snapshot {
    uint32_t refs;
    struct map ranges; /* topic id, partition, isolation -> struct exec_range */
    struct arena arena;
};

struct range_key {
    struct uuid topic_id;
    int32_t partition;
    int32_t uncommitted;
};

struct exec_snapshot *
exec_snapshot_new(void)
{
    struct exec_snapshot *snapshot = ox_calloc(1, sizeof(*snapshot));
    snapshot->refs = 1;
    ox_map_init(&snapshot->ranges);
    ox_arena_init(&snapshot->arena);
    return snapshot;
}

struct exec_snapshot *
exec_snapshot_get(struct exec_snapshot *snapshot)
{
    snapshot->refs++;
    return snapshot;
}

void
exec_snapshot_put(struct exec_snapshot *snapshot)
{
    if (snapshot == NULL || --snapshot->refs > 0)
        return;
    ox_map_fini(&snapshot->ranges);
    ox_arena_fini(&snapshot->arena);
    ox_free(snapshot);
}

void
snapshot_range(
    struct exec_run *run, struct partition *part, bool uncommitted, struct exec_range *out)
{
    struct range_key key = {*partition_topic_id(part), partition_index(part), uncommitted};
    struct str bytes = ox_str_n(&key, sizeof(key));
    struct exec_range *range = ox_map_get(&run->snapshot->ranges, bytes);
    if (range == NULL) {
        struct partition_state state;
        partition_state(part, &state);
        range = ox_arena_new(&run->snapshot->arena, struct exec_range);
        range->start = state.log_start;
        range->end = partition_visible_end(&state, uncommitted ? READ_UNCOMMITTED : READ_COMMITTED);
        ox_map_put(&run->snapshot->ranges, bytes, range);
    }
    *out = *range;
}

static void
see_topic(struct exec_run *run, const struct plan_scan_topic *scan, const struct plan_topic *topic)
{
    struct exec_range range;
    struct partition *part;
    for (uint32_t p = 0; p < scan_partition_count(run, topic); p++)
        if (engine_partition(run->config.session, topic->name, &topic->id, (int32_t)p, ENGINE_READ,
                &part, NULL) == OX_OK)
            snapshot_range(run, part, scan_uncommitted(run, scan), &range);
}

void
exec_run_snapshot(struct exec_run *run)
{
    for (uint32_t i = 0; i < run->root->node_count; i++) {
        const struct plan *plan = run->root->nodes[i];
        const struct plan_scan_topic *scan =
            plan->kind == PLAN_SCAN_TOPIC     ? (const void *)plan
            : plan->kind == PLAN_SCAN_HEADERS ? ((const struct plan_scan_headers *)plan)->scan
                                              : NULL;
        for (uint32_t t = 0; scan != NULL && !scan->follow && t < scan->topic_count; t++)
            see_topic(run, scan, &scan->topics[t]);
    }
}
