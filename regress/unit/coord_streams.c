/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams groups: topologies and the topics they need, each rule of the
 * heartbeat, the assignor; then random walks of clients that obey the protocol,
 * with members that vanish and coordinators that load again: no active task is at
 * two members, no process has a task twice, in the end each task is somewhere.
 * Arguments: SEED WALKS. */
#include <stdlib.h>

#include "coord/java_order.h"
#include "coord/streams_group.h"
#include "coord_sim.h"
#include "tap.h"

SIM_CALL(coord_streams_call, streams)

static struct sim sim;
static struct coord_config config;

typedef struct streams_group_topology_value_subtopologies_state_changelog_topics changelog;
typedef struct streams_group_topology_value_subtopologies_repartition_source_topics repartition;
typedef struct streams_group_topology_value_subtopologies_copartition_groups copartition;

/* A word count: 0 reads "in" and writes "r"; 1 reads "r" and has the state "c". */
static struct str in_name[] = {{"in", 2}}, r_name[] = {{"r", 1}};
static changelog c_topic[] = {{.name = {"c", 1}}};
static repartition r_topic[] = {{.name = {"r", 1}}};
static streams_subtopology count_parts[2];
static streams_topology count_topology = {.epoch = 1, .subtopologies = {count_parts, 2}};

static void
make_topology(void)
{
    count_parts[0] = (streams_subtopology){.subtopology_id = OX_STR("0"),
        .source_topics = {in_name, 1}, .repartition_sink_topics = {r_name, 1}};
    count_parts[1] = (streams_subtopology){.subtopology_id = OX_STR("1"),
        .repartition_source_topics = {r_topic, 1}, .state_changelog_topics = {c_topic, 1}};
}

static void
begin(int32_t partitions)
{
    config.streams_initial_delay_ms = 0;
    config.streams_assignment_ms = 0;
    sim_init(&sim, &config, 1);
    sim_set_topic(&sim, "other", 1);
    if (partitions > 0)
        sim_set_topic(&sim, "in", partitions);
}

static void
make_internal(int32_t partitions)
{
    sim_set_topic(&sim, "r", partitions);
    sim_set_topic(&sim, "c", partitions);
}

static void
end(void)
{
    sim_fini(&sim);
}

static void
load_again(int32_t epoch)
{
    sim_detach(&sim);
    sim_attach(&sim, &config, 1, epoch);
}

/* ---- a client ---- */

enum { TASKS_MAX = 64 };

struct set {
    char at[TASKS_MAX][8]; /* "0/3" */
    int count;
};

struct client {
    const char *group, *process, *instance;
    char id[16];
    struct coord_task_offsets offsets; /* to be told */
    int32_t epoch, heartbeat_ms, delay_ms;
    bool shutdown, told; /* it is told of tasks in the last answer */
    struct set has[COORD_TASK_KINDS];
    int status; /* bits */
    size_t wanted;
    ox_code code;
};

static int
by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
take_set(struct set *to, const struct coord_tasks *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        for (int32_t j = 0; j < from->at[i].partition_count; j++) {
            ox_assert(to->count < TASKS_MAX);
            snprintf(to->at[to->count++], sizeof(to->at[0]), "%.*s/%d",
                OX_STR_ARG(from->at[i].subtopology), from->at[i].partitions[j]);
        }
    qsort(to->at, (size_t)to->count, sizeof(to->at[0]), by_text);
}

static struct coord_tasks
give_set(const struct set *from, struct arena *arena)
{
    struct coord_tasks out = {ox_arena_array(arena, struct coord_task_ids, from->count + 1),
        (size_t)from->count};
    for (int i = 0; i < from->count; i++) {
        out.at[i].subtopology = ox_str_n(from->at[i], 1);
        out.at[i].partitions = ox_arena_new(arena, int32_t);
        out.at[i].partitions[0] = atoi(from->at[i] + 2);
        out.at[i].partition_count = 1;
    }
    return out;
}

static const char *
spell(const struct set *set)
{
    static char out[TASKS_MAX * 8];
    out[0] = 0;
    for (int i = 0; i < set->count; i++)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? " " : "", set->at[i]);
    return out;
}

static struct sim_streams *
beat_start(struct client *client)
{
    struct sim_streams *beat = sim_streams_new();
    struct coord_streams_call *call = &beat->c;
    call->group_id = ox_str(client->group ? client->group : "g");
    call->member_id = ox_str(client->id);
    call->member_epoch = client->epoch;
    call->client_id = OX_STR("cli");
    call->client_host = OX_STR("/h");
    call->rebalance_timeout_ms = -1;
    call->shutdown = client->shutdown;
    call->instance_id = client->instance ? ox_str(client->instance) : OX_STR_NULL;
    call->offsets = client->offsets;
    if (client->epoch == 0) {
        call->rebalance_timeout_ms = 60000;
        call->process_id = ox_str(client->process);
        call->topology = &count_topology;
        for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
            client->has[kind].count = 0;
    }
    for (int kind = 0; kind < COORD_TASK_KINDS && client->epoch >= 0; kind++)
        call->owned[kind] = give_set(&client->has[kind], &beat->arena);
    coord_streams_heartbeat(sim.coord, call);
    return beat;
}

static void
beat_end(struct client *client, struct sim_streams *beat)
{
    const struct coord_streams_call *call = &beat->c;
    ox_assert(beat->done == 1);
    client->code = call->call.code;
    client->status = 0;
    client->told = false;
    client->wanted = 0;
    if (client->code == OX_OK) {
        client->epoch = call->out_member_epoch;
        client->heartbeat_ms = call->heartbeat_interval_ms;
        client->told = call->has_tasks;
        client->wanted = call->wanted_count;
        for (size_t i = 0; i < call->status_count; i++)
            client->status |= 1 << call->statuses[i].status;
        for (int kind = 0; kind < COORD_TASK_KINDS && call->has_tasks; kind++)
            take_set(&client->has[kind], &call->tasks[kind]);
    }
    sim_streams_free(beat);
}

static ox_code
heartbeat(struct client *client)
{
    struct sim_streams *one = beat_start(client);
    sim_run(&sim);
    beat_end(client, one);
    return client->code;
}

static ox_code
leave(struct client *client)
{
    client->epoch = -1;
    return heartbeat(client);
}

static const char *
state_of(const char *group)
{
    static char state[32];
    struct sim_modern_describe *call = sim_modern_describe_new();
    call->c.kind = COORD_STREAMS_GROUP;
    call->c.group_id = ox_str(group);
    coord_modern_describe(sim.coord, &call->c);
    sim_run(&sim);
    snprintf(state, sizeof(state), "%s", call->c.call.code == OX_OK ? call->c.state : "none");
    sim_modern_describe_free(call);
    return state;
}

static struct client
client_make(const char *id, const char *process)
{
    struct client client = {.process = process};
    snprintf(client.id, sizeof(client.id), "%s", id);
    return client;
}

/* ---- topics of a topology ---- */

static void
topics(void)
{
    struct client m = client_make("m", "p");
    begin(0);
    is_int(heartbeat(&m), OX_OK, "a member joins while its source topic is missing");
    is_int(m.status, 1 << COORD_MISSING_SOURCE_TOPICS, "and is told so");
    is_str(state_of("g"), "NotReady", "the group is not ready");
    sim_set_topic(&sim, "in", 3);
    heartbeat(&m);
    is_int(m.status, 1 << COORD_MISSING_INTERNAL_TOPICS, "then its internal topics are missing");
    is_int((int)m.wanted, 2, "two are to be made");
    is_int(m.has[COORD_ACTIVE].count, 0, "no tasks before they are there");
    sim_set_topic(&sim, "r", 3);
    sim_set_topic(&sim, "c", 2);
    heartbeat(&m);
    is_int(m.status, 1 << COORD_INCORRECTLY_PARTITIONED_TOPICS, "one has the wrong width");
    sim_set_topic(&sim, "c", 3);
    heartbeat(&m);
    is_int(m.status, 0, "all is well");
    is_str(spell(&m.has[COORD_ACTIVE]), "0/0 0/1 0/2 1/0 1/1 1/2", "it gets all tasks");
    is_str(state_of("g"), "Stable", "the group is stable");
    sim_set_topic(&sim, "c", 0);
    heartbeat(&m);
    ok(m.status == 1 << COORD_MISSING_INTERNAL_TOPICS && m.has[COORD_ACTIVE].count == 0,
        "a topic that goes takes the tasks away");
    end();
}

/* Plans alone. */
static const char *
plan_of(const streams_topology *topology)
{
    static char out[200];
    struct arena scratch;
    struct streams_plan *plan;
    const char *why = NULL;
    ox_arena_init(&scratch);
    ox_code code = streams_topology_sound(topology, &scratch, &why);
    if (code == OX_OK)
        code = streams_plan_new(topology, &sim.host, &scratch, &plan, &why);
    if (code != OX_OK) {
        snprintf(out, sizeof(out), "%d", ox_code_kafka(code));
    } else {
        snprintf(out, sizeof(out), "status %d", plan->status);
        for (size_t i = 0; i < plan->part_count; i++) {
            snprintf(out + strlen(out), sizeof(out) - strlen(out), "; %.*s has %d",
                OX_STR_ARG(plan->parts[i].said->subtopology_id), plan->parts[i].task_count);
            for (size_t j = 0; j < plan->parts[i].source_count; j++)
                snprintf(out + strlen(out), sizeof(out) - strlen(out), " %.*s=%d",
                    OX_STR_ARG(plan->parts[i].sources[j].said->name),
                    plan->parts[i].sources[j].partitions);
        }
        streams_plan_free(plan);
    }
    ox_arena_fini(&scratch);
    return out;
}

static void
plans(void)
{
    struct str both[] = {{"a", 1}, {"b", 1}}, a[] = {{"a", 1}}, x[] = {{"x", 1}}, y[] = {{"y", 1}};
    repartition rx[] = {{.name = {"x", 1}}}, ry[] = {{.name = {"y", 1}}};
    int16_t first[] = {0}, two[] = {0, 1};
    copartition equal[] = {{.source_topics = {two, 2}}};
    copartition with_x[] = {{.source_topics = {first, 1}, .repartition_source_topics = {first, 1}}};
    streams_subtopology parts[3] = {{.subtopology_id = OX_STR("0"), .source_topics = {both, 2}}};
    streams_topology topology = {.epoch = 0, .subtopologies = {parts, 1}};
    begin(0);
    sim_set_topic(&sim, "a", 4);
    sim_set_topic(&sim, "b", 2);
    is_str(plan_of(&topology), "status -1; 0 has 4", "as many tasks as the widest topic");
    parts[0].copartition_groups.at = equal;
    parts[0].copartition_groups.count = 1;
    is_str(plan_of(&topology), "status 2", "topics that are read together must be equally wide");
    two[1] = 2;
    is_str(plan_of(&topology), "-1", "an index beyond the topics is refused");
    parts[0] = (streams_subtopology){.subtopology_id = OX_STR("0"), .source_topics = {a, 1},
        .repartition_sink_topics = {x, 1}};
    parts[1] = (streams_subtopology){.subtopology_id = OX_STR("1"),
        .repartition_source_topics = {rx, 1}, .repartition_sink_topics = {y, 1}};
    parts[2] = (streams_subtopology){.subtopology_id = OX_STR("2"), .source_topics = {&both[1], 1},
        .repartition_source_topics = {ry, 1}};
    topology.subtopologies.count = 3;
    is_str(plan_of(&topology), "status 3; 0 has 4; 1 has 4 x=4; 2 has 4 y=4",
        "widths go from topic to topic");
    parts[2].copartition_groups.at = with_x;
    parts[2].copartition_groups.count = 1;
    is_str(plan_of(&topology), "status 3; 0 has 4; 1 has 4 x=4; 2 has 2 y=2",
        "a repartition topic is as wide as what it is read with");
    parts[0].subtopology_id = OX_STR("s0");
    parts[1].source_topics = (struct msg_strs){&both[1], 1};
    parts[2].copartition_groups.count = 0;
    is_str(plan_of(&topology), "status 3; 1 has 4 x=4; 2 has 2 y=2; s0 has 4",
        "who comes first in Kafka's hash table is decided by what is known then");
    parts[0].subtopology_id = OX_STR("0");
    is_str(plan_of(&topology), "status 3; 0 has 4; 1 has 4 x=4; 2 has 4 y=4",
        "and mostly that is the one who writes");
    parts[1].source_topics.count = 0;
    parts[2].copartition_groups.count = 1;
    ry[0].partitions = 7;
    is_str(plan_of(&topology), "status 2", "unless its width is given");
    parts[0].repartition_sink_topics.count = 0;
    is_str(plan_of(&topology), "130", "a topic that nobody writes has no width");
    parts[1].subtopology_id = OX_STR("0");
    is_str(plan_of(&topology), "-1", "a subtopology cannot be there twice");
    end();
}

/* ---- heartbeats ---- */

static void
rules(void)
{
    struct client m1 = client_make("m1", "p1"), m2 = client_make("m2", "p2");
    struct client old;
    begin(2);
    make_internal(2);
    heartbeat(&m1);
    is_str(spell(&m1.has[COORD_ACTIVE]), "0/0 0/1 1/0 1/1", "the first member gets all");
    heartbeat(&m2);
    is_str(spell(&m2.has[COORD_ACTIVE]), "", "the second waits for what the first has");
    old = m1;
    heartbeat(&m1);
    is_int(m1.epoch, old.epoch, "the first must give up before its epoch moves");
    is_int(m1.has[COORD_ACTIVE].count, 2, "half of its tasks");
    heartbeat(&m2);
    is_int(m2.has[COORD_ACTIVE].count, 0, "which are not free yet");
    heartbeat(&m1);
    is_int(m1.epoch, m2.epoch, "it has: its epoch moves");
    heartbeat(&m2);
    is_int(m2.has[COORD_ACTIVE].count, 2, "and the second has them");
    is_str(state_of("g"), "Stable", "the group is stable");
    is_int(heartbeat(&old), OX_FENCED_MEMBER_EPOCH, "an old epoch that owns more is fenced");
    m1.shutdown = true;
    heartbeat(&m1);
    m1.shutdown = false;
    heartbeat(&m2);
    is_int(m2.status, 1 << COORD_SHUTDOWN_APPLICATION, "a member asks all to shut down");
    load_again(1);
    is_int(heartbeat(&m2), OX_OK, "loaded again: a member goes on");
    is_int(m2.told, false, "with what it has");
    leave(&m1);
    heartbeat(&m2);
    is_int(m2.has[COORD_ACTIVE].count, 4, "one leaves: the other has all");
    leave(&m2);
    is_str(state_of("g"), "Empty", "the group is empty");
    end();
}

/* How many offsets the only member of the group has told. */
static int
offsets_told(void)
{
    struct sim_modern_describe *call = sim_modern_describe_new();
    call->c.kind = COORD_STREAMS_GROUP;
    call->c.group_id = OX_STR("g");
    coord_modern_describe(sim.coord, &call->c);
    sim_run(&sim);
    int count = call->c.member_count == 1 ? (int)call->c.streams_members[0].offsets.count : -1;
    sim_modern_describe_free(call);
    return count;
}

/* A static member that left for a time comes back: Kafka removes it and adds it again. */
static void
back(void)
{
    static const struct coord_task_offset seven = {{"0", 1}, 0, 7};
    struct coord_task_offsets none = {0};
    struct client m1 = client_make("m1", "p1"), m2 = client_make("m2", "p1");
    m1.instance = m2.instance = "i";
    begin(2);
    make_internal(2);
    heartbeat(&m1);
    m1.offsets = (struct coord_task_offsets){&seven, 1};
    m1.shutdown = true;
    is_int(heartbeat(&m1), OX_OK, "a static member tells how far a task is");
    m1.offsets = none;
    m1.shutdown = false;
    is_int(offsets_told(), 1, "the group knows");
    m1.epoch = -2;
    is_int(heartbeat(&m1), OX_OK, "it leaves for a time");
    is_int(offsets_told(), 1, "the group still knows");
    m1.epoch = 0;
    m1.offsets = (struct coord_task_offsets){&seven, 1};
    is_int(heartbeat(&m1), OX_OK, "it comes back, and tells again");
    m1.offsets = none;
    is_int(offsets_told(), 0, "which is forgotten, as is what it told before");
    is_int(m1.status, 1 << COORD_SHUTDOWN_APPLICATION, "it hears of the shutdown");
    heartbeat(&m1);
    is_int(m1.status, 0, "that is forgotten, too: nobody else was there");
    m1.epoch = -2;
    heartbeat(&m1);
    m2.offsets = (struct coord_task_offsets){&seven, 1};
    is_int(heartbeat(&m2), OX_OK, "another comes in its place");
    is_int(offsets_told(), 1, "what that tells is kept");
    end();
}

static void
times(void)
{
    struct client m1 = client_make("m1", "p1"), m2 = client_make("m2", "p2");
    begin(2);
    make_internal(2);
    config.streams_initial_delay_ms = 3000;
    coord_configure(sim.coord, &config);
    sim_run(&sim);
    load_again(1);
    heartbeat(&m1);
    is_int(m1.status, 1 << COORD_ASSIGNMENT_DELAYED, "a new group waits for more members");
    sim_advance(&sim, 1000);
    heartbeat(&m2);
    sim_advance(&sim, 2100);
    heartbeat(&m1);
    heartbeat(&m2);
    ok(m1.has[COORD_ACTIVE].count == 2 && m2.has[COORD_ACTIVE].count == 2,
        "and then gives each its share at once");
    config.streams_initial_delay_ms = 0;
    sim_advance(&sim, 44000);
    heartbeat(&m1);
    sim_advance(&sim, 2000);
    heartbeat(&m1);
    is_int(m1.has[COORD_ACTIVE].count, 4, "a member that is not heard of loses its tasks");
    is_int(heartbeat(&m2), OX_UNKNOWN_MEMBER_ID, "and its place");
    m2.epoch = 0;
    heartbeat(&m2);
    heartbeat(&m1);
    for (int i = 0; i < 3; i++) {
        struct client quiet = m1;
        sim_advance(&sim, 25000);
        quiet.has[COORD_ACTIVE].count = 4; /* it keeps what it should give up */
        snprintf(quiet.has[COORD_ACTIVE].at[2], 8, "1/0");
        snprintf(quiet.has[COORD_ACTIVE].at[3], 8, "1/1");
        heartbeat(&quiet);
        heartbeat(&m2);
    }
    is_int(heartbeat(&m1), OX_UNKNOWN_MEMBER_ID, "one that does not give up is thrown out");
    heartbeat(&m2);
    is_int(m2.has[COORD_ACTIVE].count, 4, "the other has all");
    end();
}

static void
failures(void)
{
    struct client m1 = client_make("m1", "p1");
    begin(2);
    make_internal(2);
    sim.fail = OX_NOT_ENOUGH_REPLICAS;
    ok(heartbeat(&m1) != OX_OK, "the log refuses a join");
    sim.fail = OX_OK;
    sim_advance(&sim, 1000);
    is_str(state_of("g"), "none", "nothing is left of it");
    is_int(heartbeat(&m1), OX_OK, "the next one goes through");
    is_int(m1.has[COORD_ACTIVE].count, 4, "with all tasks");
    end();
}

/* ---- the assignor ---- */

static void
standbys(void)
{
    struct client m[3] = {client_make("m1", "p1"), client_make("m2", "p2"),
        client_make("m3", "p2")};
    begin(3);
    make_internal(3);
    for (int i = 0; i < 3; i++)
        m[i].group = "standby";
    for (int round = 0; round < 8; round++)
        for (int i = 0; i < 3; i++)
            heartbeat(&m[i]);
    int active = 0, standby = 0, wrong = 0;
    for (int i = 0; i < 3; i++) {
        active += m[i].has[COORD_ACTIVE].count;
        standby += m[i].has[COORD_STANDBY].count;
        for (int j = 0; j < m[i].has[COORD_STANDBY].count; j++)
            wrong += m[i].has[COORD_STANDBY].at[j][0] != '1';
    }
    is_int(active, 6, "each task is active once");
    is_int(standby, 3, "those with a state have a standby");
    is_int(wrong, 0, "and only those");
    leave(&m[0]);
    for (int round = 0; round < 8; round++)
        for (int i = 1; i < 3; i++)
            heartbeat(&m[i]);
    is_int(m[1].has[COORD_STANDBY].count + m[2].has[COORD_STANDBY].count, 0,
        "there is no other process for a standby");
    is_int(m[1].has[COORD_ACTIVE].count, 3, "the two threads share the tasks");
    end();
}

/* ---- walks ---- */

enum { CLIENTS = 6, STEPS = 300 };

static void
check_walk(const struct client *clients, const char *what)
{
    for (int i = 0; i < CLIENTS; i++)
        for (int j = 0; j < CLIENTS; j++)
            for (int k = 0; k < COORD_TASK_KINDS; k++)
                for (int l = 0; l < COORD_TASK_KINDS; l++) {
                    bool both_active = k == COORD_ACTIVE && l == COORD_ACTIVE;
                    bool near = strcmp(clients[i].process, clients[j].process) == 0;
                    if ((i == j && k == l) || !(both_active || near))
                        continue;
                    for (int a = 0; a < clients[i].has[k].count; a++)
                        for (int b = 0; b < clients[j].has[l].count; b++)
                            if (strcmp(clients[i].has[k].at[a], clients[j].has[l].at[b]) == 0) {
                                ok(false, what);
                                printf("# %s is at %s and %s\n", clients[i].has[k].at[a],
                                    clients[i].id, clients[j].id);
                            }
                }
}

static void
forget(struct client *client)
{
    client->epoch = 0;
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        client->has[kind].count = 0;
}

static void
walk_step(struct client *client, struct rand_state *rand, int32_t *epoch)
{
    switch (ox_rand(rand) % 20) {
    case 0:
        if (client->epoch > 0)
            leave(client);
        forget(client);
        break;
    case 1:
        forget(client); /* it died: its session ends some time */
        sim_advance(&sim, 1000);
        snprintf(client->id, sizeof(client->id), "x%u", (unsigned)(ox_rand(rand) % 10000));
        break;
    case 2:
        load_again(++*epoch);
        break;
    case 3:
        sim_advance(&sim, ox_rand(rand) % 3000);
        break;
    default:
        if (heartbeat(client) != OX_OK)
            forget(client);
        break;
    }
}

static bool
settle(struct client *clients)
{
    for (int i = 0; i < 60; i++) {
        sim_advance(&sim, 2000);
        for (int j = 0; j < CLIENTS; j++)
            if (heartbeat(&clients[j]) != OX_OK)
                forget(&clients[j]);
    }
    return strcmp(state_of("standby"), "Stable") == 0;
}

static void
walk(uint64_t seed)
{
    static const char *const processes[] = {"p1", "p1", "p2", "p2", "p3", "p3"};
    struct client clients[CLIENTS];
    struct rand_state rand;
    int32_t epoch = 0, active = 0, standby = 0;
    ox_rand_seed(&rand, seed);
    begin(4);
    make_internal(4);
    for (int i = 0; i < CLIENTS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "m%d", i);
        clients[i] = client_make(id, processes[i]);
        clients[i].group = "standby";
    }
    for (int i = 0; i < STEPS; i++) {
        walk_step(&clients[ox_rand(&rand) % CLIENTS], &rand, &epoch);
        check_walk(clients, "a task is where it must not be");
    }
    bool settled = settle(clients);
    check_walk(clients, "settled: a task is where it must not be");
    for (int i = 0; i < CLIENTS; i++) {
        active += clients[i].has[COORD_ACTIVE].count;
        standby += clients[i].has[COORD_STANDBY].count;
    }
    printf("# seed %llu: %d active, %d standby, %s\n", (unsigned long long)seed, active, standby,
        state_of("standby"));
    ok(settled && active == 8 && standby == 4, "in the end every task is somewhere");
    end();
}

/* Three processes of one member each, one task with a state and a standby: who gets it,
 * "active standby". */
struct candidate {
    bool active, standby;
    int64_t offset; /* -1: not told */
};

static const char *
who_gets(const struct candidate *had)
{
    static const char *ids[] = {"m0", "m1", "m2"};
    static char out[16];
    struct tp task = {.partition = 0};
    struct task_source source = {task, 1, true};
    struct tasks before[3] = {0};
    struct task_offset offsets[3];
    struct task_member members[3];
    for (int i = 0; i < 3; i++) {
        if (had[i].active)
            tpset_add(&before[i].of[COORD_ACTIVE], &task.topic, 0);
        if (had[i].standby)
            tpset_add(&before[i].of[COORD_STANDBY], &task.topic, 0);
        offsets[i] = (struct task_offset){task, had[i].offset};
        members[i] = (struct task_member){.id = ox_str(ids[i]), .process_id = ox_str(ids[i]),
            .before = &before[i], .offsets = &offsets[i], .offset_count = had[i].offset >= 0};
    }
    assign_tasks(&source, 1, 1, members, 3);
    out[0] = 0;
    for (int kind = COORD_ACTIVE; kind <= COORD_STANDBY; kind++)
        for (int i = 0; i < 3; i++)
            if (members[i].target.of[kind].count > 0)
                snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s",
                    kind == COORD_ACTIVE ? "" : " ", ids[i]);
    for (int i = 0; i < 3; i++) {
        tasks_fini(&before[i]);
        tasks_fini(&members[i].target);
    }
    return out;
}

static void
states(void)
{
    is_str(who_gets((struct candidate[]){{0, 0, -1}, {0, 0, 50}, {0, 0, 70}}), "m2 m1",
        "a task goes where most of its state is, its standby to the next");
    is_str(who_gets((struct candidate[]){{0, 0, 90}, {0, 1, 10}, {0, 0, 70}}), "m1 m0",
        "a standby comes before those who have more");
    is_str(who_gets((struct candidate[]){{0, 1, 10}, {0, 1, 20}, {0, 1, -1}}), "m1 m0",
        "of standbys the one that has most");
    is_str(who_gets((struct candidate[]){{0, 0, -1}, {0, 0, 10}, {1, 0, 100}}), "m2 m1",
        "who has the task already is passed over");
}

/* ---- the order of equals ---- */

static bool
load_less(const void *self, uint32_t a, uint32_t b)
{
    const int *loads = self;
    return loads[a] < loads[b];
}

/* As a program in Java printed it. */
static void
java(void)
{
    struct java_row rows[] = {{.id = OX_STR("banana")}, {.id = OX_STR("apple")},
        {.id = OX_STR("cherry")}, {.id = OX_STR("banana")}};
    is_int((int)java_hash(OX_STR("hello")), 99162322, "a string's hash");
    is_int((int)java_hash(OX_STR("gr\xc3\xbc\xc3\x9f \xf0\x9f\xa6\x80")), 428496084,
        "by units of UTF-16");
    java_map_order(rows, 3);
    ok(ox_str_is(rows[0].id, "banana") && ox_str_is(rows[1].id, "apple") &&
           ox_str_is(rows[2].id, "cherry"), "a map's order");
    int loads[] = {0, 0, 0};
    uint32_t space[3];
    struct java_heap heap = {.at = space, .less = load_less, .self = loads};
    for (uint32_t i = 0; i < 3; i++)
        java_heap_add(&heap, i);
    char got[8] = "";
    for (int i = 0; i < 6; i++) {
        uint32_t first = java_heap_poll(&heap);
        loads[first]++;
        java_heap_add(&heap, first);
        got[i] = (char)('a' + first);
    }
    is_str(got, "acbcba", "who comes first of equals in a heap");
}

int
main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    int walks = argc > 2 ? atoi(argv[2]) : 30;
    ox_diag_set_level((enum ox_diag_level)(OX_DIAG_ERROR + 1));
    coord_config_init(&config);
    make_topology();
    topics();
    plans();
    rules();
    back();
    times();
    failures();
    standbys();
    states();
    java();
    for (int i = 0; i < walks; i++)
        walk(seed + (uint64_t)i);
    return done();
}
