/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients of consumer groups in the world of coord_sim.h, for tests of the new
 * protocol: struct client speaks it, struct classic the old one in the same
 * group. What a client owns is a string, "t0 t1 u0"; it does what the last
 * answer says when told to obey(). */
#ifndef REGRESS_COORD_CLIENTS_H
#define REGRESS_COORD_CLIENTS_H

#include <stdlib.h>

#include "coord/consumer_int.h"
#include "coord_sim.h"
#include "tap.h"

static struct sim sim;
static struct coord_config config;

/* Before the first test: quiet, Kafka's defaults, assignments without delay. */
static inline void
clients_start(void)
{
    ox_diag_set_level((enum ox_diag_level)(OX_DIAG_ERROR + 1));
    coord_config_init(&config);
    config.consumer_assignment_ms = config.share_assignment_ms = 0;
}

static inline void
begin(void)
{
    sim_init(&sim, &config, 1);
    sim_set_topic(&sim, "t", 4);
    sim_set_topic(&sim, "u", 2);
}

static inline void
end(void)
{
    sim_fini(&sim);
}

/* ---- a client ---- */

struct client {
    const char *group, *id, *instance, *topics, *regex, *assignor;
    const char *hidden; /* a topic that it may not know of */
    int32_t epoch, rebalance;
    char owned[256];  /* "t0 t1 u0": sorted as the answer had it */
    char answer[256]; /* the last assignment; "-" none given */
    ox_code code;
    char message[128], got_id[64];
};

static inline void
print_assignment(const struct coord_consumer_call *call, char out[256])
{
    size_t len = 0;
    strcpy(out, call->has_assignment ? "" : "-");
    for (size_t i = 0; i < call->assignment_count; i++)
        for (size_t j = 0; j < call->assignment[i].partition_count; j++)
            len += (size_t)snprintf(out + len, 256 - len, "%s%s%d", len ? " " : "",
                (const char *)call->assignment[i].topic_id.bytes,
                call->assignment[i].partitions[j]);
}

static inline size_t
split(const char *words, struct arena *arena, struct str **out)
{
    size_t count = 0;
    *out = ox_arena_array(arena, struct str, 32);
    while (words != NULL && *words) {
        size_t len = strcspn(words, " ");
        (*out)[count++] = ox_str_n(words, len);
        words += len + strspn(words + len, " ");
    }
    return count;
}

/* Owned as "t0 t1": one entry per partition. */
static inline size_t
parse_owned(const char *words, struct arena *arena, struct coord_topic_partitions **out)
{
    struct str *list;
    size_t count = split(words, arena, &list);
    *out = ox_arena_array(arena, struct coord_topic_partitions, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct coord_topic_partitions *to = &(*out)[i];
        int32_t *number = ox_arena_new(arena, int32_t);
        *number = list[i].ptr[list[i].len - 1] - '0';
        memcpy(to->topic_id.bytes, list[i].ptr, OX_MIN(list[i].len - 1, 16u));
        to->partitions = number;
        to->partition_count = 1;
    }
    return count;
}

static inline bool
sees(const void *of, struct str topic)
{
    return !ox_str_is(topic, of);
}

static inline struct sim_consumer *
beat_start(struct client *client, bool full)
{
    struct sim_consumer *beat = sim_consumer_new();
    struct coord_consumer_call *call = &beat->c;
    bool joins = client->epoch == 0;
    call->version = 1;
    call->group_id = ox_str(client->group ? client->group : "g");
    call->member_id = ox_str(client->id ? client->id : "");
    call->member_epoch = client->epoch;
    call->instance_id = ox_str(client->instance);
    call->client_id = OX_STR("cli");
    call->client_host = OX_STR("/h");
    call->rebalance_timeout_ms = joins || full ? client->rebalance ? client->rebalance : 60000 : -1;
    if (client->topics != NULL) {
        struct str *topics;
        call->topic_count = split(client->topics, &beat->arena, &topics);
        call->topics = topics;
    }
    call->regex = ox_str(client->regex);
    call->assignor = ox_str(client->assignor);
    call->sees = client->hidden != NULL ? sees : NULL;
    call->sees_of = client->hidden;
    if (full || joins) {
        struct coord_topic_partitions *owned;
        call->owned_count = parse_owned(joins ? "" : client->owned, &beat->arena, &owned);
        call->owned = owned;
    }
    coord_consumer_heartbeat(sim.coord, call);
    return beat;
}

static inline void
beat_end(struct client *client, struct sim_consumer *beat)
{
    const struct coord_consumer_call *call = &beat->c;
    ox_assert(beat->done == 1);
    client->code = call->call.code;
    snprintf(client->message, sizeof(client->message), "%.*s", OX_STR_ARG(call->message));
    if (client->code == OX_OK) {
        client->epoch = call->out_member_epoch;
        snprintf(client->got_id, sizeof(client->got_id), "%.*s",
            OX_STR_ARG(call->out_member_id));
        print_assignment(call, client->answer);
    }
    sim_consumer_free(beat);
}

/* Say what is owned. */
static inline ox_code
full(struct client *client)
{
    struct sim_consumer *beat = beat_start(client, true);
    sim_run(&sim);
    beat_end(client, beat);
    return client->code;
}

static inline ox_code
beat(struct client *client)
{
    struct sim_consumer *call = beat_start(client, false);
    sim_run(&sim);
    beat_end(client, call);
    return client->code;
}

/* Take what was assigned, and say so. */
static inline void
obey(struct client *client)
{
    if (strcmp(client->answer, "-") != 0)
        snprintf(client->owned, sizeof(client->owned), "%s", client->answer);
    full(client);
}

static inline struct group *
group(void)
{
    struct group *found = group_find(&sim.coord->shards[0], OX_STR("g"));
    if (found != NULL)
        group_check(found);
    return found;
}

static inline const char *
state(void)
{
    return group() ? group_state_name(group()) : "none";
}

static inline void
restart(void)
{
    static int32_t epoch;
    sim_detach(&sim);
    sim_attach(&sim, &config, 1, ++epoch);
}

/* Reads "t" unless told otherwise; topics "" are none at all. */
static inline struct client
client_of(struct client client)
{
    if (client.topics == NULL)
        client.topics = "t";
    else if (*client.topics == '\0')
        client.topics = NULL;
    return client;
}
#define CLIENT(...) client_of((struct client){__VA_ARGS__})

/* ---- classic members, who revoke everything before they join ---- */

struct classic {
    const char *instance;
    char id[80], owned[256];
    int32_t generation, rebalance;
    bool leads;
    char peers[8][80];
    size_t peer_count;
    ox_code code; /* of the last call */
    struct sim_join *join;
};

/* version 1: topics t and u, nothing owned. */
static const char classic_blob[] = {0, 1, 0, 0, 0, 2, 0, 1, 't', 0, 1, 'u', (char)0xFF, (char)0xFF,
    (char)0xFF, (char)0xFF, 0, 0, 0, 0};

static inline void
join_begin(struct classic *client)
{
    struct sim_join *join = sim_join_new();
    struct coord_join_protocol *protocol = ox_arena_new(&join->arena, struct coord_join_protocol);
    protocol->name = OX_STR("range");
    protocol->metadata = ox_str_n(classic_blob, sizeof(classic_blob));
    join->c.version = 3;
    join->c.group_id = OX_STR("g");
    join->c.member_id = ox_str_dup(&join->arena, ox_str(client->id));
    join->c.instance_id = ox_str(client->instance);
    join->c.client_id = OX_STR("old");
    join->c.client_host = OX_STR("/h");
    join->c.protocol_type = OX_STR("consumer");
    join->c.protocols = protocol;
    join->c.protocol_count = 1;
    join->c.session_timeout_ms = 10000;
    join->c.rebalance_timeout_ms = client->rebalance ? client->rebalance : 30000;
    client->owned[0] = '\0';
    client->join = join;
    coord_join(sim.coord, &join->c);
    sim_run(&sim);
}

static inline void
print_blob(struct str blob, char out[256])
{
    struct arena arena;
    struct consumer_blob read;
    size_t len = 0;
    ox_arena_init(&arena);
    ox_assert(consumer_assigned_read(blob, &arena, &read));
    out[0] = '\0';
    for (size_t i = 0; i < read.owned_count; i++)
        len += (size_t)snprintf(out + len, 256 - len, "%s%.*s%d", len ? " " : "",
            OX_STR_ARG(read.owned[i].topic), read.owned[i].partition);
    ox_arena_fini(&arena);
}

/* The leader of a classic group deals the partitions out. */
static inline size_t
deal(const struct classic *client, struct arena *arena, struct coord_sync_assignment **out)
{
    size_t count = client->leads ? client->peer_count : 0;
    *out = ox_arena_array(arena, struct coord_sync_assignment, count + 1);
    for (size_t m = 0; m < count; m++) {
        struct named_tp named[32];
        size_t named_count = 0;
        for (size_t t = 0; t < sim.topic_count; t++)
            for (int32_t i = 0; i < sim.topics[t].partition_count; i++)
                if ((size_t)i % count == m && sim.topics[t].name.len == 1)
                    named[named_count++] = (struct named_tp){sim.topics[t].name, i};
        (*out)[m] = (struct coord_sync_assignment){ox_str(client->peers[m]),
            consumer_assignment_write(arena, 1, named, named_count)};
    }
    return count;
}

static inline struct sim_sync *
sync_begin(struct classic *client)
{
    struct sim_sync *sync = sim_sync_new();
    struct coord_sync_assignment *dealt;
    sync->c.assignment_count = deal(client, &sync->arena, &dealt);
    sync->c.assignments = dealt;
    sync->c.group_id = OX_STR("g");
    sync->c.member_id = ox_str_dup(&sync->arena, ox_str(client->id));
    sync->c.instance_id = ox_str(client->instance);
    sync->c.generation = client->generation;
    coord_sync(sim.coord, &sync->c);
    sim_run(&sim);
    return sync;
}

/* If the join has been answered, take it; returns whether it was OK. */
static inline bool
join_look(struct classic *client)
{
    if (client->join == NULL || !client->join->done)
        return false;
    const struct coord_join_call *call = &client->join->c;
    client->code = call->call.code;
    if (client->code == OX_OK) {
        snprintf(client->id, sizeof(client->id), "%.*s", OX_STR_ARG(call->out_member_id));
        client->generation = call->generation;
        client->leads = ox_str_eq(call->leader, call->out_member_id);
        client->peer_count = call->member_count;
        for (size_t i = 0; i < call->member_count; i++)
            snprintf(client->peers[i], 80, "%.*s", OX_STR_ARG(call->members[i].member_id));
    } else {
        client->id[0] = '\0';
    }
    sim_join_free(client->join);
    client->join = NULL;
    return client->code == OX_OK;
}

static inline void
sync_end(struct classic *client, struct sim_sync *sync)
{
    ox_assert(sync->done == 1);
    client->code = sync->c.call.code;
    if (client->code == OX_OK)
        print_blob(sync->c.assignment, client->owned);
    sim_sync_free(sync);
}

/* In a consumer group nobody is waited for. */
static inline void
join_and_sync(struct classic *client)
{
    join_begin(client);
    if (join_look(client))
        sync_end(client, sync_begin(client));
}

static inline ox_code
classic_beat(struct classic *client)
{
    struct sim_beat *call = sim_beat_new();
    call->c.group_id = OX_STR("g");
    call->c.member_id = ox_str(client->id);
    call->c.instance_id = ox_str(client->instance);
    call->c.generation = client->generation;
    coord_heartbeat(sim.coord, &call->c);
    sim_run(&sim);
    ox_assert(call->done == 1);
    client->code = call->c.call.code;
    sim_beat_free(call);
    return client->code;
}

static inline ox_code
classic_leave(struct classic *client)
{
    struct sim_leave *call = sim_leave_new();
    struct coord_leave_member leaver = {ox_str(client->id), ox_str(client->instance), OX_OK};
    call->c.group_id = OX_STR("g");
    call->c.members = &leaver;
    call->c.member_count = 1;
    coord_leave(sim.coord, &call->c);
    sim_run(&sim);
    ox_assert(call->done == 1);
    sim_leave_free(call);
    client->id[0] = client->owned[0] = '\0';
    return leaver.code;
}

/* Two classic members, stable. */
static inline void
classic_pair(struct classic *a, struct classic *b)
{
    join_begin(a);
    join_begin(b);
    sim_advance(&sim, 6000);
    ox_assert(join_look(a) && join_look(b));
    struct sim_sync *first = sync_begin(b), *second = sync_begin(a);
    sync_end(a, second);
    sync_end(b, first);
    is_str(state(), "Stable", "two classic members");
}

#endif
