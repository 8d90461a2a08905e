/* SPDX-License-Identifier: Apache-2.0
 *
 * Coordinators: this node coordinates the groups of every partition of
 * __consumer_offsets that it leads, the transactions of __transaction_state and
 * the states of share groups in __share_group_state likewise. The view says
 * which; each is told to the coordinators once per leader epoch.
 *
 * They are also told which topics have gone, to forget what was committed for
 * them: both views are in order of name and share what did not change.
 *
 * The topics are made when somebody first asks for a coordinator (the front ends
 * call engine_internal_topic), since most servers never have a group. */
#include <string.h>

#include "base/check.h"
#include "coord/host.h"
#include "engine/engine_int.h"
#include "share/share.h"

/* Leader epochs already announced, by partition; -1 none. */
struct announced_topic {
    const char *name;
    struct coord *coord;
    uint32_t count;
    int32_t *epochs;
};

/* Meta thread only. */
struct announced {
    struct engine *engine;
    struct announced_topic topics[3];
    const struct meta_view *last; /* held */
};

static void
announce(const struct engine *engine, struct announced_topic *known,
    const struct meta_topic *topic)
{
    if (topic->partition_count > known->count) {
        known->epochs =
            ox_realloc(known->epochs, topic->partition_count * sizeof(*known->epochs));
        for (uint32_t i = known->count; i < topic->partition_count; i++)
            known->epochs[i] = -1;
        known->count = topic->partition_count;
        coord_set_partitions(known->coord, (int32_t)known->count);
    }
    for (uint32_t i = 0; i < known->count; i++) {
        const struct meta_partition *facts = topic->partitions[i];
        bool leads = facts->leader == engine->config.node_id;
        if (leads && facts->leader_epoch != known->epochs[i])
            coord_elected(known->coord, (int32_t)i, facts->leader_epoch);
        else if (!leads && known->epochs[i] != -1)
            coord_resigned(known->coord, (int32_t)i, facts->leader_epoch);
        known->epochs[i] = leads ? facts->leader_epoch : -1;
    }
}

/* A topic made anew under its old name has gone too. */
static void
announce_gone(const struct announced *known, const struct meta_view *view)
{
    uint32_t at = 0;
    for (uint32_t i = 0; known->last != NULL && i < known->last->topic_count; i++) {
        const struct meta_topic *old = meta_view_topic_at(known->last, i), *now = NULL;
        int order = 1;
        while (at < view->topic_count) {
            now = meta_view_topic_at(view, at);
            order = now == old ? 0 : ox_str_cmp(now->name, old->name);
            if (order >= 0)
                break;
            at++;
        }
        if (at == view->topic_count || order > 0 || !ox_uuid_eq(&now->id, &old->id))
            coord_topic_deleted(known->engine->coord, old->name);
    }
}

/* Names were checked at the start. */
static void
read_assignors(struct coord_config *config, const char *names)
{
    struct arena arena;
    struct str *items;
    ox_arena_init(&arena);
    size_t count = param_list_items(ox_str(names), &arena, &items);
    config->consumer_assignors = 0;
    for (size_t i = 0; i < count; i++)
        config->consumer_assignors |= (uint8_t)(1 << coord_assignor_find(items[i]));
    config->consumer_assignor = coord_assignor_find(items[0]);
    ox_arena_fini(&arena);
}

static void
read_settings(struct coord_config *config, const struct server_config *settings)
{
    coord_config_init(config);
    config->session_timeout_ms_min = settings->group_min_session_timeout_ms;
    config->session_timeout_ms_max = settings->group_max_session_timeout_ms;
    config->initial_rebalance_delay_ms = settings->group_initial_rebalance_delay_ms;
    config->group_size_max = settings->group_max_size;
    config->offset_metadata_max = settings->offset_metadata_max_bytes;
    config->offsets_retention_ms = (int64_t)settings->offsets_retention_minutes * 60000;
    config->offsets_check_ms = settings->offsets_retention_check_interval_ms;
    config->offset_commit_timeout_ms = settings->offsets_commit_timeout_ms;
    config->linger_ms = settings->group_coordinator_append_linger_ms;
    config->codec = settings->offsets_topic_compression_codec;
    config->consumer_session_ms = settings->group_consumer_session_timeout_ms;
    config->consumer_heartbeat_ms = settings->group_consumer_heartbeat_interval_ms;
    config->consumer_size_max = settings->group_consumer_max_size;
    config->consumer_assignment_ms = settings->group_consumer_assignment_interval_ms;
    read_assignors(config, settings->group_consumer_assignors);
    int policy = settings->group_consumer_migration_policy; /* one way, the other, or both */
    config->upgrade = policy & SERVER_GROUP_CONSUMER_MIGRATION_POLICY_UPGRADE;
    config->downgrade = policy & SERVER_GROUP_CONSUMER_MIGRATION_POLICY_DOWNGRADE;
    config->share_assignment_ms = settings->group_share_assignment_interval_ms;
    config->share_session_ms = settings->group_share_session_timeout_ms;
    config->share_heartbeat_ms = settings->group_share_heartbeat_interval_ms;
    config->share_size_max = settings->group_share_max_size;
    config->streams_session_ms = settings->group_streams_session_timeout_ms;
    config->streams_heartbeat_ms = settings->group_streams_heartbeat_interval_ms;
    config->streams_size_max = settings->group_streams_max_size;
    config->streams_standbys = settings->group_streams_num_standby_replicas;
    config->streams_initial_delay_ms = settings->group_streams_initial_rebalance_delay_ms;
    config->streams_assignment_ms = settings->group_streams_assignment_interval_ms;
    config->txn_timeout_ms_max = settings->transaction_max_timeout_ms;
    config->txn_abort_check_ms =
        settings->transaction_abort_timed_out_transaction_cleanup_interval_ms;
    config->txn_expire_check_ms =
        settings->transaction_remove_expired_transaction_cleanup_interval_ms;
    config->txn_id_expiration_ms = settings->transactional_id_expiration_ms;
}

/* What differs where states of share groups are kept. */
static void
state_settings(struct coord_config *config, const struct server_config *settings)
{
    config->offset_commit_timeout_ms = settings->share_coordinator_write_timeout_ms;
    config->linger_ms = settings->share_coordinator_append_linger_ms;
    config->codec = settings->share_coordinator_state_topic_compression_codec;
    config->snapshot_updates =
        settings->share_coordinator_snapshot_update_records_per_snapshot;
}

/* What is in a log is not taken back: a record of a transaction may be slow, but
 * nobody is told that it failed while it may still be written. */
static void
txn_settings(struct coord_config *config)
{
    config->offset_commit_timeout_ms = INT32_MAX;
    config->linger_ms = 0;
    config->codec = OX_CODEC_NONE;
}

static void
on_view(const struct meta_view *view, void *arg)
{
    struct announced *known = arg;
    if (known->last != NULL && known->last->settings != view->settings) {
        struct coord_config config;
        read_settings(&config, view->settings);
        coord_configure(known->engine->coord, &config);
        state_settings(&config, view->settings);
        coord_configure(known->engine->states, &config);
        txn_settings(&config);
        coord_configure(known->engine->txns, &config);
    }
    announce_gone(known, view);
    meta_view_put(known->last);
    known->last = meta_view_hold(view);
    for (size_t i = 0; i < ox_count(known->topics); i++) {
        const struct meta_topic *topic = meta_view_topic(view, ox_str(known->topics[i].name));
        if (topic != NULL)
            announce(known->engine, &known->topics[i], topic);
    }
}

ox_code
engine_groups_start(struct engine *engine, struct ox_err *err)
{
    struct coord_config config;
    const struct meta_view *view = meta_view_get(engine->config.meta);
    struct coord_config state_config, txn_config;
    read_settings(&config, view->settings);
    state_config = txn_config = config;
    state_settings(&state_config, view->settings);
    txn_settings(&txn_config);
    meta_view_put(view);
    engine->coord_host = coord_host_new(engine->config.loops, engine->config.replica, engine->env);
    engine->coord = coord_new(&config, engine->coord_host);
    coord_host_set(engine->coord_host, engine->coord);
    engine->state_host =
        coord_host_new_states(engine->config.loops, engine->config.replica, engine->env);
    engine->states = coord_new_states(&state_config, engine->state_host);
    coord_host_set(engine->state_host, engine->states);
    coord_set_states(engine->coord, engine->states);
    engine_dead_letters_start(engine);
    engine->share = share_new(engine->config.loops, engine->config.replica, engine->states,
        engine_dead_letters, engine);
    engine->txn_host = coord_host_new_txns(engine->config.loops, engine->config.replica,
        engine->env, engine->config.meta, engine->config.node_id, engine->coord);
    engine->txns = coord_new_txns(&txn_config, engine->txn_host);
    coord_host_set(engine->txn_host, engine->txns);
    engine->announced = ox_calloc(1, sizeof(*engine->announced));
    engine->announced->engine = engine;
    engine->announced->topics[0] =
        (struct announced_topic){"__consumer_offsets", engine->coord, 0, NULL};
    engine->announced->topics[1] =
        (struct announced_topic){"__transaction_state", engine->txns, 0, NULL};
    engine->announced->topics[2] =
        (struct announced_topic){"__share_group_state", engine->states, 0, NULL};
    meta_on_view(engine->config.meta, on_view, engine->announced);
    return OX_OK;
}

void
engine_groups_quiesce(struct engine *engine)
{
    meta_off_view(engine->config.meta, on_view, engine->announced);
    share_stop(engine->share);
    coord_host_stop(engine->txn_host); /* its markers need the groups */
    coord_host_stop(engine->coord_host);
    coord_host_stop(engine->state_host); /* the groups need it */
}

void
engine_groups_stop(struct engine *engine)
{
    coord_free(engine->txns);
    coord_host_free(engine->txn_host);
    coord_free(engine->coord);
    coord_host_free(engine->coord_host);
    share_free(engine->share);
    engine_dead_letters_stop(engine);
    coord_free(engine->states);
    coord_host_free(engine->state_host);
    meta_view_put(engine->announced->last);
    for (size_t i = 0; i < ox_count(engine->announced->topics); i++)
        ox_free(engine->announced->topics[i].epochs);
    ox_free(engine->announced);
}
