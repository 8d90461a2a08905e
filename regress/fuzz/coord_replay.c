/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes what a coordinator reads from its topic: the input is a byte that says
 * which (0 __consumer_offsets, 1 __transaction_state, 2 __share_group_state) and
 * a list of records that is replayed, then what came of it lives for a while.
 *
 *   record: flags u8, key length u16, value length u16, key, value
 *   flags:  1 null value, 2 transactional, 4 marker (8: commit), 48 producer id */
#include "../unit/coord_sim.h"
#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
replay(struct sim *sim, const uint8_t *data, size_t len)
{
    struct wire_in in = wire_in(data, len);
    for (int64_t offset = 0; wire_left(&in) > 0 && !in.failed; offset++) {
        uint8_t flags = (uint8_t)wire_get8(&in);
        size_t key_len = (uint16_t)wire_get16(&in), value_len = (uint16_t)wire_get16(&in);
        const uint8_t *key = wire_skip(&in, key_len), *value = wire_skip(&in, value_len);
        struct coord_replayed record = {.offset = offset, .key = ox_str_n(key, key_len),
            .value = flags & 1 ? OX_STR_NULL : ox_str_n(value, value_len),
            .transactional = flags & 2, .producer_id = flags >> 4 & 3};
        if (in.failed)
            break;
        if (flags & 4)
            coord_replay_marker(sim->coord, 0, 0, record.producer_id, 0, flags & 8);
        else
            coord_replay(sim->coord, 0, 0, &record);
    }
}

static void
live(struct sim *sim)
{
    sim_run(sim);
    sim_advance(sim, 2000000);
}

static void
live_groups(struct sim *sim)
{
    struct sim_snapshot *snapshot = sim_snapshot_new();
    struct map_entry *entry;
    sim_run(sim);
    for (uint32_t at = 0; (entry = ox_map_next(&sim->coord->shards[0].groups, &at)) != NULL;) {
        struct group *group = entry->value;
        group_check(group);
        group_subscribed(group, OX_STR("t"));
    }
    snapshot->c.with_members = snapshot->c.with_offsets = true;
    coord_snapshot(sim->coord, &snapshot->c);
    sim_run(sim);
    ox_assert(snapshot->done == 1);
    sim_snapshot_free(snapshot);
    sim_advance(sim, 2000000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct sim sim;
    struct coord_config config;
    ox_diag_set_level((enum ox_diag_level)(OX_DIAG_ERROR + 1));
    coord_config_init(&config);
    config.group_count_max = 100;
    int topic = len > 0 ? data[0] % 3 : 0;
    sim_init(&sim, &config, 0);
    sim.txns = topic == 1;
    sim.coord = topic == 1   ? coord_new_txns(&config, &sim.host)
                : topic == 2 ? coord_new_states(&config, &sim.host)
                             : coord_new(&config, &sim.host);
    for (int i = 0; i < SIM_PARTITIONS_MAX; i++)
        sim.alarms[i] = UINT64_MAX;
    coord_set_partitions(sim.coord, 1);
    sim.hold_load = true;
    coord_elected(sim.coord, 0, 0);
    sim_run(&sim);
    if (len > 0)
        replay(&sim, data + 1, len - 1);
    sim.load_wanted[0] = false;
    coord_loaded(sim.coord, 0, 0, OX_OK);
    if (topic == 0)
        live_groups(&sim);
    else
        live(&sim);
    sim_fini(&sim);
    return 0;
}
