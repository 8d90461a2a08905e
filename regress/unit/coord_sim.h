/* SPDX-License-Identifier: Apache-2.0
 *
 * A world for coordinators: virtual time, a log in memory, calls that hop
 * through a queue. Nothing happens by itself: sim_run() delivers what is due
 * now, sim_advance() lets time pass. Appends can be held back or made to fail. */
#ifndef UNIT_COORD_SIM_H
#define UNIT_COORD_SIM_H

#include "base/arena.h"
#include "base/check.h"
#include "base/rand.h"
#include "coord/coord.h"
#include "coord/coord_host.h"
#include "base/diag.h"
#include "coord/coord_int.h"

enum { SIM_PARTITIONS_MAX = 8 };

struct sim_record {
    int32_t partition;
    int64_t offset;
    struct str key, value;
};

struct sim {
    struct coord_host host;
    struct coord *coord;
    uint64_t mono;
    int64_t wall;
    struct rand_state rand;
    struct list entering, leaving;
    uint64_t alarms[SIM_PARTITIONS_MAX];
    struct arena arena; /* of the log */
    struct sim_record *log;
    size_t log_count, log_cap;
    int64_t ends[SIM_PARTITIONS_MAX];
    struct coord_append *appends[64];
    size_t append_count, append_total, batch_total;
    bool hold;          /* appends wait */
    ox_code fail;       /* appends fail with this */
    struct str gone;    /* a topic that does not exist */
    struct coord_topic topics[16];
    size_t topic_count;
    uint64_t topics_generation;
    int32_t load_epoch[SIM_PARTITIONS_MAX];
    bool load_wanted[SIM_PARTITIONS_MAX], hold_load;
    ox_code load_fail;
    bool txns, states;  /* coordinators of transactions, or of the states of share groups */
    struct coord *has_states; /* for groups: those */
    struct coord_marker *markers[256]; /* on their way, oldest first */
    size_t marker_count;
    bool hold_markers;
    /* Writes the marker; NULL: all are written. */
    ox_code (*on_marker)(struct sim *sim, const struct coord_marker *marker);
    struct coord_producer_id *ids[16];
    size_t id_count;
    int64_t next_id;
    ox_code id_fail;
};

static inline uint64_t
sim_mono(void *self)
{
    return ((struct sim *)self)->mono;
}

static inline int64_t
sim_wall(void *self)
{
    return ((struct sim *)self)->wall;
}

static inline void
sim_random(void *self, void *to, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = (uint8_t)ox_rand(&((struct sim *)self)->rand);
}

static inline void
sim_enter(void *self, int32_t partition, struct coord_call *call)
{
    ox_list_push(&((struct sim *)self)->entering, &call->hop.link);
}

static inline bool
sim_is_home(void *self, int32_t partition)
{
    return partition % 2 == 0; /* some hops, some not */
}

static inline void
sim_leave(void *self, struct coord_call *call)
{
    ox_list_push(&((struct sim *)self)->leaving, &call->hop.link);
}

static inline void
sim_alarm(void *self, int32_t partition, uint64_t at_ms)
{
    ((struct sim *)self)->alarms[partition] = at_ms;
}

static inline void
sim_append(void *self, struct coord_append *append)
{
    struct sim *sim = self;
    ox_assert(sim->append_count < ox_count(sim->appends));
    sim->appends[sim->append_count++] = append;
}

static inline void
sim_marker(void *self, struct coord_marker *marker)
{
    struct sim *sim = self;
    ox_assert(sim->marker_count < ox_count(sim->markers));
    sim->markers[sim->marker_count++] = marker;
}

static inline void
sim_producer_id(void *self, struct coord_producer_id *want)
{
    struct sim *sim = self;
    ox_assert(sim->id_count < ox_count(sim->ids));
    sim->ids[sim->id_count++] = want;
}

/* Answers one marker, and an id. */
static inline void
sim_marker_done(struct sim *sim)
{
    struct coord_marker *marker = sim->markers[0];
    sim->marker_count--;
    memmove(sim->markers, sim->markers + 1, sim->marker_count * sizeof(*sim->markers));
    marker->code = sim->on_marker != NULL ? sim->on_marker(sim, marker) : OX_OK;
    marker->done(marker);
}

static inline void
sim_id_done(struct sim *sim)
{
    struct coord_producer_id *want = sim->ids[0];
    sim->id_count--;
    memmove(sim->ids, sim->ids + 1, sim->id_count * sizeof(*sim->ids));
    want->code = sim->id_fail;
    want->producer_id = sim->id_fail == OX_OK ? sim->next_id++ : -1;
    want->done(want);
}

static inline void
sim_abort(void *self, struct coord_append *append)
{
}

/* Topics: those of the list, and while that is empty all but `gone`, with one
 * partition and the name as id. */
static inline uint64_t
sim_topics_generation(void *self)
{
    return ((struct sim *)self)->topics_generation;
}

static inline bool
sim_topic_by_name(void *self, struct str name, struct coord_topic *out)
{
    struct sim *sim = self;
    for (size_t i = 0; i < sim->topic_count; i++)
        if (ox_str_eq(sim->topics[i].name, name)) {
            *out = sim->topics[i];
            return true;
        }
    *out = (struct coord_topic){.name = name, .partition_count = 1};
    memcpy(out->id.bytes, name.ptr, OX_MIN(name.len, 16u));
    return sim->topic_count == 0 && (sim->gone.ptr == NULL || !ox_str_eq(sim->gone, name));
}

static inline bool
sim_topic_by_id(void *self, const struct uuid *id, struct coord_topic *out)
{
    struct sim *sim = self;
    for (size_t i = 0; i < sim->topic_count; i++)
        if (ox_uuid_eq(&sim->topics[i].id, id)) {
            *out = sim->topics[i];
            return true;
        }
    return false;
}

static inline void
sim_group_setting(void *self, struct str group_id, const char *name, int32_t *value)
{
    if (ox_str_is(group_id, "quick") && strstr(name, ".session.timeout.ms") != NULL)
        *value = 7000;
    if (ox_str_is(group_id, "quick") && strstr(name, ".heartbeat.interval.ms") != NULL)
        *value = 1000;
    if (ox_str_is(group_id, "standby") && strcmp(name, "streams.num.standby.replicas") == 0)
        *value = 1;
}

static inline void
sim_each_topic(void *self, void (*fn)(void *arg, const struct coord_topic *topic), void *arg)
{
    struct sim *sim = self;
    for (size_t i = 0; i < sim->topic_count; i++)
        fn(arg, &sim->topics[i]);
}

/* count 0 removes it. */
static inline void
sim_set_topic(struct sim *sim, const char *name, int32_t count)
{
    size_t at = 0;
    while (at < sim->topic_count && !ox_str_is(sim->topics[at].name, name))
        at++;
    struct coord_topic *topic = &sim->topics[at];
    sim->topics_generation++;
    if (count == 0) {
        *topic = sim->topics[--sim->topic_count];
        return;
    }
    if (at == sim->topic_count) {
        ox_assert(sim->topic_count < ox_count(sim->topics));
        sim->topic_count++;
        memset(topic, 0, sizeof(*topic));
        topic->name = ox_str(name);
        memcpy(topic->id.bytes, name, OX_MIN(strlen(name), 16u));
    }
    topic->partition_count = count;
}

static inline void
sim_load(void *self, int32_t partition, int32_t leader_epoch)
{
    struct sim *sim = self;
    sim->load_epoch[partition] = leader_epoch;
    sim->load_wanted[partition] = true;
}

static inline void
sim_load_now(struct sim *sim, int32_t partition)
{
    sim->load_wanted[partition] = false;
    int32_t epoch = sim->load_epoch[partition];
    for (size_t i = 0; i < sim->log_count; i++) {
        const struct sim_record *from = &sim->log[i];
        struct coord_replayed record = {.offset = from->offset, .key = from->key,
            .value = from->value, .producer_id = -1, .producer_epoch = -1};
        if (from->partition == partition &&
            !coord_replay(sim->coord, partition, epoch, &record))
            return;
    }
    coord_loaded(sim->coord, partition, epoch, sim->load_fail);
}

static inline void
sim_append_done(struct sim *sim, struct coord_append *append, ox_code code)
{
    if (code == OX_OK) {
        for (size_t i = 0; i < append->record_count; i++) {
            ox_arena_grow(&sim->arena, (void **)&sim->log, &sim->log_cap, sim->log_count + 1,
                sizeof(*sim->log));
            sim->log[sim->log_count++] = (struct sim_record){append->partition,
                sim->ends[append->partition]++, ox_str_dup(&sim->arena, append->records[i].key),
                ox_str_dup(&sim->arena, append->records[i].value)};
        }
        sim->append_total += append->record_count;
    }
    sim->batch_total++;
    append->done(append, code, sim->ends[append->partition]);
}

/* Deliver one thing; false when nothing is due. */
static inline bool
sim_step(struct sim *sim)
{
    struct list *node = ox_list_pop(&sim->leaving);
    if (node != NULL) {
        coord_call_answer(ox_container_of(node, struct coord_call, hop.link));
        return true;
    }
    node = ox_list_pop(&sim->entering);
    if (node != NULL) {
        coord_call_enter(ox_container_of(node, struct coord_call, hop.link));
        return true;
    }
    for (int32_t i = 0; i < SIM_PARTITIONS_MAX; i++) {
        if (sim->load_wanted[i] && !sim->hold_load) {
            sim_load_now(sim, i);
            return true;
        }
        if (sim->alarms[i] <= sim->mono) {
            sim->alarms[i] = UINT64_MAX;
            coord_alarm(sim->coord, i);
            return true;
        }
    }
    if (sim->append_count > 0 && !sim->hold) {
        struct coord_append *append = sim->appends[0];
        sim->append_count--;
        memmove(sim->appends, sim->appends + 1, sim->append_count * sizeof(*sim->appends));
        sim_append_done(sim, append, sim->fail);
        return true;
    }
    if (sim->id_count > 0) {
        sim_id_done(sim);
        return true;
    }
    if (sim->marker_count > 0 && !sim->hold_markers) {
        sim_marker_done(sim);
        return true;
    }
    return false;
}

static inline void
sim_run(struct sim *sim)
{
    while (sim_step(sim))
        ;
}

static inline void
sim_advance(struct sim *sim, uint64_t ms)
{
    uint64_t until = sim->mono + ms;
    sim_run(sim);
    while (sim->mono < until) {
        uint64_t next = until;
        for (int32_t i = 0; i < SIM_PARTITIONS_MAX; i++)
            next = OX_MIN(next, sim->alarms[i]);
        next = OX_MAX(next, sim->mono);
        sim->wall += (int64_t)(next - sim->mono);
        sim->mono = next;
        sim_run(sim);
    }
}

static inline void
sim_attach(struct sim *sim, const struct coord_config *config, int32_t partitions, int32_t epoch)
{
    sim->coord = sim->txns     ? coord_new_txns(config, &sim->host)
                 : sim->states ? coord_new_states(config, &sim->host)
                               : coord_new(config, &sim->host);
    if (sim->has_states != NULL)
        coord_set_states(sim->coord, sim->has_states);
    for (int32_t i = 0; i < SIM_PARTITIONS_MAX; i++)
        sim->alarms[i] = UINT64_MAX;
    coord_set_partitions(sim->coord, partitions);
    for (int32_t i = 0; i < partitions; i++)
        coord_elected(sim->coord, i, epoch);
    sim_run(sim);
}

static inline void
sim_init(struct sim *sim, const struct coord_config *config, int32_t partitions)
{
    memset(sim, 0, sizeof(*sim));
    sim->host = (struct coord_host){
        .self = sim,
        .mono_ms = sim_mono,
        .wall_ms = sim_wall,
        .random = sim_random,
        .enter = sim_enter,
        .move = sim_enter,
        .is_home = sim_is_home,
        .leave = sim_leave,
        .alarm = sim_alarm,
        .append = sim_append,
        .abort = sim_abort,
        .topics_generation = sim_topics_generation,
        .topic_by_name = sim_topic_by_name,
        .topic_by_id = sim_topic_by_id,
        .each_topic = sim_each_topic,
        .group_setting = sim_group_setting,
        .load = sim_load,
        .marker = sim_marker,
        .producer_id = sim_producer_id,
    };
    sim->mono = 1000;
    sim->wall = 1700000000000;
    ox_rand_seed(&sim->rand, 42);
    ox_list_init(&sim->entering);
    ox_list_init(&sim->leaving);
    ox_arena_init(&sim->arena);
    if (partitions > 0)
        sim_attach(sim, config, partitions, 0);
}

static void
sim_stopped(struct coord_call *call)
{
}

static inline void
sim_detach(struct sim *sim)
{
    struct coord_stop_call stop = {.call.done = sim_stopped};
    coord_stop(sim->coord, &stop);
    sim->hold = sim->hold_markers = false;
    sim_run(sim);
    coord_free(sim->coord);
}

static inline void
sim_fini(struct sim *sim)
{
    sim_detach(sim);
    ox_arena_fini(&sim->arena);
}

/* ---- calls that know whether they were answered ---- */

#define SIM_CALL(type, name) \
    struct sim_##name { \
        struct type c; \
        struct arena arena; \
        int done; \
    }; \
    static void sim_##name##_done(struct coord_call *call) \
    { \
        ox_container_of(call, struct sim_##name, c.call)->done++; \
    } \
    static inline struct sim_##name *sim_##name##_new(void) \
    { \
        struct sim_##name *self = ox_calloc(1, sizeof(*self)); \
        ox_arena_init(&self->arena); \
        self->c.call.arena = &self->arena; \
        self->c.call.done = sim_##name##_done; \
        return self; \
    } \
    static inline void sim_##name##_free(struct sim_##name *self) \
    { \
        ox_arena_fini(&self->arena); \
        ox_free(self); \
    }

SIM_CALL(coord_join_call, join)
SIM_CALL(coord_sync_call, sync)
SIM_CALL(coord_heartbeat_call, beat)
SIM_CALL(coord_leave_call, leave)
SIM_CALL(coord_offset_commit_call, commit)
SIM_CALL(coord_offset_fetch_call, fetch)
SIM_CALL(coord_offset_delete_call, offset_delete)
SIM_CALL(coord_describe_call, describe)
SIM_CALL(coord_list_call, list)
SIM_CALL(coord_delete_call, delete)
SIM_CALL(coord_snapshot_call, snapshot)
SIM_CALL(coord_consumer_call, consumer)
SIM_CALL(coord_modern_call, modern_describe)
SIM_CALL(coord_share_call, share)
SIM_CALL(coord_share_offsets_call, share_offsets)
SIM_CALL(coord_state_call, state)
SIM_CALL(coord_txn_init_call, txn_init)
SIM_CALL(coord_txn_add_call, txn_add)
SIM_CALL(coord_txn_end_call, txn_end)
SIM_CALL(coord_txn_describe_call, txn_describe)
SIM_CALL(coord_txn_list_call, txn_list)

#endif
