/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots: what of a partition a statement, or a transaction, sees. The range
 * is taken when the partition is first touched; a whole statement touches its
 * partitions when its scans open, in one step of the loop. */
#include "engine/engine.h"
#include "exec/exec_int.h"

struct exec_snapshot {
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
    ox_map_init(&snapshot->ranges);
    ox_arena_init(&snapshot->arena);
    return snapshot;
}

void
exec_snapshot_free(struct exec_snapshot *snapshot)
{
    if (snapshot == NULL)
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
