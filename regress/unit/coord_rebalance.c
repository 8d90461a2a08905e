/* SPDX-License-Identifier: Apache-2.0
 *
 * Classic groups: every rule that names an answer, per state and event, in
 * virtual time. */
#include "coord_sim.h"
#include "tap.h"

static struct sim sim;
static struct coord_config config;

static void
begin(void)
{
    sim_init(&sim, &config, 1);
}

static void
end(void)
{
    sim_fini(&sim);
}

/* ---- short hands ---- */

struct join_args {
    const char *group, *member, *instance, *type, *proto, *meta, *proto2, *client;
    int version, session, rebalance;
};

static struct coord_join_protocol join_protocols[64][2];
static int join_slot;

static struct sim_join *
join_start(struct join_args args)
{
    struct sim_join *join = sim_join_new();
    struct coord_join_protocol *protocols = join_protocols[join_slot++ % 64];
    protocols[0].name = ox_str(args.proto ? args.proto : "range");
    protocols[0].metadata = ox_str(args.meta ? args.meta : "m");
    protocols[1].name = ox_str(args.proto2);
    protocols[1].metadata = ox_str("m2");
    join->c.version = (int16_t)(args.version ? args.version : 9);
    join->c.group_id = ox_str(args.group ? args.group : "g");
    join->c.member_id = ox_str(args.member ? args.member : "");
    join->c.instance_id = ox_str(args.instance);
    join->c.client_id = ox_str(args.client ? args.client : "cli");
    join->c.client_host = ox_str("/127.0.0.1");
    join->c.protocol_type = ox_str(args.type ? args.type : "consumer");
    join->c.protocols = protocols;
    join->c.protocol_count = args.proto && !*args.proto ? 0 : args.proto2 ? 2 : 1;
    join->c.session_timeout_ms = args.session ? args.session : 10000;
    join->c.rebalance_timeout_ms = args.rebalance ? args.rebalance : 60000;
    coord_join(sim.coord, &join->c);
    ok(!join->done, "a join is never answered before it returns");
    sim_run(&sim);
    return join;
}
#define JOIN(...) join_start((struct join_args){__VA_ARGS__})

static ox_code
join_code(struct join_args args)
{
    struct sim_join *join = join_start(args);
    ox_code code = join->done ? join->c.call.code : -1;
    if (join->done)
        sim_join_free(join);
    return code;
}
#define JOIN_CODE(...) join_code((struct join_args){__VA_ARGS__})

static struct sim_sync *
sync_start(const char *member, int generation, const struct coord_sync_assignment *assignments,
    size_t count, const char *instance)
{
    struct sim_sync *sync = sim_sync_new();
    sync->c.group_id = OX_STR("g");
    sync->c.member_id = ox_str(member);
    sync->c.instance_id = ox_str(instance);
    sync->c.generation = generation;
    sync->c.assignments = assignments;
    sync->c.assignment_count = count;
    coord_sync(sim.coord, &sync->c);
    sim_run(&sim);
    return sync;
}

static ox_code
sync_code(const char *member, int generation, const char *instance)
{
    struct sim_sync *sync = sync_start(member, generation, NULL, 0, instance);
    ox_code code = sync->done ? sync->c.call.code : -1;
    if (sync->done)
        sim_sync_free(sync);
    return code;
}

static ox_code
beat_in(const char *group, const char *member, int generation, const char *instance)
{
    struct sim_beat *beat = sim_beat_new();
    beat->c.group_id = ox_str(group);
    beat->c.member_id = ox_str(member);
    beat->c.instance_id = ox_str(instance);
    beat->c.generation = generation;
    coord_heartbeat(sim.coord, &beat->c);
    sim_run(&sim);
    ox_code code = beat->done ? beat->c.call.code : -1;
    sim_beat_free(beat);
    return code;
}

static ox_code
beat(const char *member, int generation)
{
    return beat_in("g", member, generation, NULL);
}

static ox_code
leave_in(const char *group, const char *member, const char *instance, ox_code *top)
{
    struct sim_leave *leave = sim_leave_new();
    struct coord_leave_member leaver = {ox_str(member), ox_str(instance), OX_OK};
    leave->c.group_id = ox_str(group);
    leave->c.members = &leaver;
    leave->c.member_count = 1;
    coord_leave(sim.coord, &leave->c);
    sim_run(&sim);
    if (top != NULL)
        *top = leave->c.call.code;
    sim_leave_free(leave);
    return leaver.code;
}

static ox_code
leave(const char *member)
{
    return leave_in("g", member, NULL, NULL);
}

static const char *
state(void)
{
    struct group *group = group_find(&sim.coord->shards[0], OX_STR("g"));
    if (group == NULL)
        return "none";
    group_check(group);
    return group_state_name(group);
}

static char *
keep(struct str s)
{
    static char ring[64][128];
    static int at;
    char *to = ring[at++ % 64];
    snprintf(to, 128, "%.*s", OX_STR_ARG(s));
    return to;
}

/* A new dynamic member of version 4 and up: id first, then the parked join. */
static const char *
known_id(void)
{
    struct sim_join *join = JOIN(0);
    const char *id = keep(join->c.out_member_id);
    ok(join->c.call.code == OX_MEMBER_ID_REQUIRED, "a new member is told its id first");
    sim_join_free(join);
    return id;
}

/* A stable group of n dynamic members, the first leading; ids in member[]. */
static const char *member[8];
static int generation;

static void
stable(int n)
{
    struct sim_join *joins[8];
    struct sim_sync *syncs[8];
    struct coord_sync_assignment assignments[8];
    for (int i = 0; i < n; i++) {
        member[i] = known_id();
        joins[i] = JOIN(.member = member[i]);
    }
    sim_advance(&sim, 3000 * (uint64_t)(n > 1 ? 2 : 1));
    for (int i = 0; i < n; i++) {
        ok(joins[i]->done && joins[i]->c.call.code == OX_OK, "all joins are answered together");
        ok((joins[i]->c.member_count == (size_t)n) == (i == 0), "members are for the leader only");
        generation = joins[i]->c.generation;
        assignments[i] = (struct coord_sync_assignment){ox_str(member[i]), ox_str("a")};
        sim_join_free(joins[i]);
    }
    is_str(state(), "CompletingRebalance", "the group waits for the leader's assignment");
    for (int i = n - 1; i >= 0; i--) {
        syncs[i] = sync_start(member[i], generation, assignments, i == 0 ? (size_t)n : 0, NULL);
        ok(syncs[i]->done == (i == 0), "syncs are parked until the leader's came");
    }
    for (int i = 0; i < n; i++) {
        ok(syncs[i]->done && ox_str_is(syncs[i]->c.assignment, "a"), "a sync gets its assignment");
        sim_sync_free(syncs[i]);
    }
    is_str(state(), "Stable", "the group is stable");
}

/* ---- JoinGroup ---- */

static void
test_join_checks(void)
{
    begin();
    is_int(JOIN_CODE(.group = ""), OX_INVALID_GROUP_ID, "join: empty group id");
    is_int(JOIN_CODE(.session = 5999), OX_INVALID_SESSION_TIMEOUT, "join: session too short");
    is_int(JOIN_CODE(.session = 1800001), OX_INVALID_SESSION_TIMEOUT, "join: session too long");
    is_int(JOIN_CODE(.member = "x"), OX_UNKNOWN_MEMBER_ID, "join: no group, but a member id");
    is_str(state(), "none", "a refused join leaves no group behind");
    is_int(JOIN_CODE(.type = ""), OX_INCONSISTENT_GROUP_PROTOCOL, "join: no protocol type");
    is_int(JOIN_CODE(.proto = ""), OX_INCONSISTENT_GROUP_PROTOCOL, "join: no protocols");
    is_str(state(), "none", "and again no group");
    end();

    begin();
    stable(1);
    is_int(JOIN_CODE(.type = "connect"), OX_INCONSISTENT_GROUP_PROTOCOL,
        "join: another protocol type");
    is_int(JOIN_CODE(.proto = "sticky"), OX_INCONSISTENT_GROUP_PROTOCOL,
        "join: no protocol that all support");
    is_int(JOIN_CODE(.member = "x"), OX_UNKNOWN_MEMBER_ID, "join: unknown member id");
    is_int(JOIN_CODE(.member = "x", .instance = "i"), OX_UNKNOWN_MEMBER_ID,
        "join: unknown instance id");
    is_str(state(), "Stable", "refused joins do not disturb the group");
    end();
}

static void
test_member_id_required(void)
{
    begin();
    struct sim_join *join = JOIN(.client = "app");
    is_int(join->c.call.code, OX_MEMBER_ID_REQUIRED, "version 4+ asks for the member id");
    ok(ox_str_starts(join->c.out_member_id, OX_STR("app-")), "it is made of the client id");
    is_int(join->c.out_member_id.len, 4 + 36, "and a uuid");
    is_int(join->c.generation, -1, "generation -1 on failure");
    ok(join->c.out_protocol.ptr == NULL && join->c.leader.len == 0, "no protocol, no leader");
    const char *id = keep(join->c.out_member_id);
    sim_join_free(join);
    is_str(state(), "Empty", "a pending member is no member");
    join = JOIN(.member = id);
    ok(!join->done, "it joins with the id it was given");
    sim_advance(&sim, 3000);
    ok(join->done && join->c.call.code == OX_OK, "and is answered after the initial delay");
    is_int(join->c.generation, 1, "the first generation is 1");
    ok(ox_str_is(join->c.leader, id), "it leads");
    ok(ox_str_is(join->c.out_protocol, "range"), "protocol chosen");
    ok(ox_str_is(join->c.out_protocol_type, "consumer"), "protocol type told");
    sim_join_free(join);
    end();

    begin();
    join = JOIN(.version = 3);
    ok(!join->done, "version 3 joins at once");
    sim_advance(&sim, 3000);
    ok(join->done && ox_str_starts(join->c.out_member_id, OX_STR("cli-")), "id made on the way");
    sim_join_free(join);
    end();

    begin();
    known_id();
    sim_advance(&sim, 9999);
    is_str(state(), "Empty", "a pending member is remembered for its session timeout");
    sim_advance(&sim, 1);
    is_str(state(), "Empty", "then it is forgotten; the group goes at the next sweep");
    end();

    begin();
    join = JOIN(.instance = "i1");
    ok(!join->done, "a static member joins at once at any version");
    sim_advance(&sim, 3000);
    ok(ox_str_starts(join->c.out_member_id, OX_STR("i1-")), "its id is made of the instance id");
    sim_join_free(join);
    end();
}

static void
test_initial_delay(void)
{
    begin();
    struct sim_join *a = JOIN(.version = 3, .rebalance = 7000);
    sim_advance(&sim, 2000);
    struct sim_join *b = JOIN(.version = 3, .rebalance = 7000);
    sim_advance(&sim, 1000);
    ok(!a->done && !b->done, "a member that comes during the delay prolongs it");
    sim_advance(&sim, 2999);
    ok(!a->done, "by the same step");
    sim_advance(&sim, 1);
    ok(a->done && b->done, "then all are answered");
    is_int(a->c.generation, 1, "in one generation");
    is_int(a->c.member_count, 2, "the leader sees both");
    sim_join_free(a);
    sim_join_free(b);
    end();

    begin();
    struct sim_join *joins[5];
    for (int i = 0; i < 5; i++) {
        joins[i] = JOIN(.version = 3, .rebalance = 7000);
        sim_advance(&sim, 1700);
    }
    ok(joins[0]->done, "the total delay is bounded by the rebalance timeout");
    end();
    for (int i = 0; i < 5; i++) {
        ok(joins[i]->done, "answered");
        sim_join_free(joins[i]);
    }

    config.initial_rebalance_delay_ms = 0;
    begin();
    a = JOIN(.version = 3);
    ok(a->done, "no delay: the first member is answered at once");
    sim_join_free(a);
    end();
    config.initial_rebalance_delay_ms = 3000;
}

static void
test_rejoin(void)
{
    begin();
    stable(2);
    struct sim_join *join = JOIN(.member = member[1]);
    ok(join->done && join->c.call.code == OX_OK, "stable: a follower with the same metadata");
    is_int(join->c.generation, generation, "gets the current generation");
    is_int(join->c.member_count, 0, "and no members");
    sim_join_free(join);
    is_str(state(), "Stable", "without a rebalance");
    join = JOIN(.member = member[1], .meta = "other");
    ok(!join->done, "stable: changed metadata rebalances");
    is_str(state(), "PreparingRebalance", "the others are waited for");
    is_int(beat(member[0], generation), OX_REBALANCE_IN_PROGRESS, "who learn it by heartbeat");
    struct sim_join *lead = JOIN(.member = member[0]);
    ok(lead->done && join->done, "all have joined: answered at once");
    is_int(lead->c.generation, generation + 1, "next generation");
    ok(ox_str_is(lead->c.leader, member[0]), "the leader stays");
    ok(ox_str_is(lead->c.members[1].metadata, "other"), "the leader sees the new metadata");
    sim_join_free(join);
    sim_join_free(lead);
    is_str(state(), "CompletingRebalance", "completing");
    join = JOIN(.member = member[1], .meta = "other");
    ok(join->done && join->c.generation == generation + 1,
        "completing: same metadata, current generation at once");
    sim_join_free(join);
    join = JOIN(.member = member[0]);
    is_int(join->done ? (int)join->c.member_count : -1, 2, "completing: the leader gets the list");
    sim_join_free(join);
    join = JOIN(.member = member[1], .meta = "third");
    ok(!join->done, "completing: changed metadata rebalances");
    is_str(state(), "PreparingRebalance", "again preparing");
    lead = JOIN(.member = member[0]);
    ok(lead->done && join->done, "both again");
    sim_join_free(lead);
    sim_join_free(join);
    end();

    begin();
    stable(2);
    join = JOIN(.member = member[0]);
    ok(!join->done, "stable: the leader's rejoin always rebalances");
    struct sim_join *again = JOIN(.member = member[0]);
    ok(join->done && join->c.call.code == OX_REBALANCE_IN_PROGRESS,
        "preparing: a repeated join takes the place of the first");
    ok(!again->done, "and is parked");
    sim_join_free(join);
    join = JOIN(.member = member[1]);
    ok(again->done && join->done, "preparing: the join that was missing completes it");
    sim_join_free(join);
    sim_join_free(again);
    end();
}

static void
test_rebalance_timeout(void)
{
    begin();
    stable(3);
    struct sim_join *join = JOIN(.member = member[2], .meta = "x");
    for (int i = 0; i < 6; i++) {
        sim_advance(&sim, 9000);
        beat(member[0], generation);
        beat(member[1], generation);
    }
    ok(!join->done, "heartbeats while preparing keep sessions alive");
    sim_advance(&sim, 6000);
    ok(join->done && join->c.call.code == OX_OK, "the rebalance timeout ends the wait");
    is_int(join->c.member_count, 1, "who did not rejoin is removed");
    ok(ox_str_is(join->c.leader, member[2]), "the first who rejoined leads");
    sim_join_free(join);
    is_int(beat(member[0], generation + 1), OX_UNKNOWN_MEMBER_ID, "the removed are unknown");
    end();

    begin();
    stable(2);
    join = JOIN(.member = member[1], .meta = "x");
    sim_advance(&sim, 10000);
    ok(join->done, "the silent member's session ended first: nobody is missing any more");
    is_int(join->c.member_count, 1, "one is left");
    sim_join_free(join);
    sim_advance(&sim, 10000);
    is_str(state(), "Empty", "and it expires too when it is silent");
    end();

    begin();
    stable(1);
    const char *id = known_id();
    struct sim_join *lead = JOIN(.member = member[0]);
    ok(!lead->done, "a pending member is waited for");
    struct sim_join *other = JOIN(.member = id);
    ok(lead->done && other->done, "until it joins");
    is_int(lead->c.member_count, 2, "both are in");
    sim_join_free(lead);
    sim_join_free(other);
    end();
}

static void
test_group_max_size(void)
{
    config.group_size_max = 2;
    begin();
    stable(2);
    is_int(JOIN_CODE(.version = 3), OX_GROUP_MAX_SIZE_REACHED, "stable: a full group takes nobody");
    ok(JOIN_CODE(.member = member[1]) == OX_OK, "but its members may rejoin");
    struct sim_join *a = JOIN(.member = member[0]);
    const char *id = known_id();
    struct sim_join *b = JOIN(.member = id);
    ok(!b->done, "preparing: whoever joins first");
    is_int(JOIN_CODE(.member = member[1]), OX_GROUP_MAX_SIZE_REACHED,
        "preparing: the last one is turned away");
    ok(a->done && b->done, "and no longer waited for");
    is_int(beat(member[1], generation + 1), OX_UNKNOWN_MEMBER_ID, "it is removed");
    sim_join_free(a);
    sim_join_free(b);
    end();
    config.group_size_max = INT32_MAX;
    config.group_count_max = 1;
    begin();
    known_id();
    is_int(JOIN_CODE(.group = "h"), OX_LIMIT_EXCEEDED, "the number of groups is bounded");
    end();
    config.group_count_max = 100000;
}

static void
test_protocol_choice(void)
{
    begin();
    struct sim_join *a = JOIN(.version = 3, .proto = "x", .proto2 = "y");
    struct sim_join *b = JOIN(.version = 3, .proto = "y", .proto2 = "x");
    struct sim_join *c = JOIN(.version = 3, .proto = "y", .proto2 = "z");
    sim_advance(&sim, 9000);
    ok(a->done && ox_str_is(a->c.out_protocol, "y"), "only a protocol that all support is chosen");
    ok(ox_str_is(a->c.members[0].metadata, "m2"), "with each member's metadata for it");
    sim_join_free(a);
    sim_join_free(b);
    sim_join_free(c);
    end();

    begin();
    a = JOIN(.version = 3, .proto = "x", .proto2 = "y");
    b = JOIN(.version = 3, .proto = "y", .proto2 = "x");
    c = JOIN(.version = 3, .proto = "y", .proto2 = "x");
    sim_advance(&sim, 9000);
    ok(ox_str_is(a->c.out_protocol, "y"), "the most votes win");
    sim_join_free(a);
    sim_join_free(b);
    sim_join_free(c);
    end();
}

static void
test_new_member_cap(void)
{
    begin();
    stable(1);
    struct sim_join *join = JOIN(.version = 3, .rebalance = 1800000, .session = 1800000);
    for (int i = 0; i < 35; i++) {
        sim_advance(&sim, 9000);
        beat(member[0], generation); /* alive, but it does not rejoin */
    }
    ok(join->done && join->c.call.code == OX_UNKNOWN_MEMBER_ID,
        "a first join is parked for five minutes at most");
    sim_join_free(join);
    end();
}

/* ---- static members ---- */

static const char *static_id;

static void
stable_static(int version)
{
    struct sim_join *join = JOIN(.instance = "i", .version = version);
    sim_advance(&sim, 3000);
    static_id = keep(join->c.out_member_id);
    generation = join->c.generation;
    sim_join_free(join);
    struct coord_sync_assignment assignment = {ox_str(static_id), OX_STR("a")};
    sim_sync_free(sync_start(static_id, generation, &assignment, 1, "i"));
    is_str(state(), "Stable", "a static member alone");
}

static void
test_static_replace(void)
{
    for (int version = 5; version <= 9; version += 4) {
        begin();
        stable_static(version);
        struct sim_join *join = JOIN(.instance = "i", .version = version);
        ok(join->done && join->c.call.code == OX_OK, "static: a restart takes its place at once");
        is_int(join->c.generation, generation, "in the same generation");
        ok(!ox_str_is(join->c.out_member_id, static_id), "under a new member id");
        if (version == 9) {
            ok(join->c.skip_assignment, "version 9: the leader is told to skip the assignment");
            is_int(join->c.member_count, 1, "and sees the members");
            ok(ox_str_eq(join->c.leader, join->c.out_member_id), "leading under its new id");
        } else {
            ok(!join->c.skip_assignment, "below 9 there is no such flag");
            is_int(join->c.member_count, 0, "no members");
            ok(ox_str_is(join->c.leader, static_id), "and the leader is shown by its old id");
        }
        const char *id = keep(join->c.out_member_id);
        sim_join_free(join);
        is_str(state(), "Stable", "no rebalance");
        struct sim_sync *sync = sync_start(id, generation, NULL, 0, "i");
        ok(sync->done && ox_str_is(sync->c.assignment, "a"), "its assignment is still there");
        sim_sync_free(sync);
        is_int(beat_in("g", static_id, generation, "i"), OX_FENCED_INSTANCE_ID,
            "heartbeat: the old one is fenced");
        is_int(sync_code(static_id, generation, "i"), OX_FENCED_INSTANCE_ID,
            "sync: the old one is fenced");
        is_int(JOIN_CODE(.member = static_id, .instance = "i"), OX_FENCED_INSTANCE_ID,
            "join: the old one is fenced");
        is_int(leave_in("g", static_id, "i", NULL), OX_FENCED_INSTANCE_ID,
            "leave: the old one is fenced");
        is_int(beat_in("g", id, generation, "other"), OX_UNKNOWN_MEMBER_ID,
            "heartbeat: unknown instance");
        end();
    }
}

static void
test_static_cases(void)
{
    begin();
    stable_static(9);
    struct sim_join *join = JOIN(.instance = "i", .proto = "sticky", .proto2 = "range");
    ok(join->done && join->c.generation == generation + 1,
        "static: another choice of protocol rebalances");
    sim_join_free(join);
    end();

    begin();
    stable_static(9);
    sim.fail = OX_NOT_ENOUGH_REPLICAS;
    join = JOIN(.instance = "i", .meta = "new");
    is_int(join->c.call.code, OX_COORDINATOR_NOT_AVAILABLE,
        "static: a replacement that cannot be logged fails");
    sim_join_free(join);
    sim.fail = OX_OK;
    is_int(beat_in("g", static_id, generation, "i"), OX_OK, "and the old one is in its place");
    end();

    begin();
    stable_static(9);
    join = JOIN(.instance = "j");
    sim_advance(&sim, 9000);
    is_str(state(), "PreparingRebalance", "a second static member is waiting");
    struct sim_join *second = JOIN(.instance = "j");
    ok(join->done && join->c.call.code == OX_FENCED_INSTANCE_ID,
        "a parked join is fenced when its instance is taken over");
    ok(!second->done, "the new one is parked");
    sim_join_free(join);
    beat_in("g", static_id, generation, "i");
    sim_advance(&sim, 9000);
    beat_in("g", static_id, generation, "i");
    for (int i = 0; i < 5; i++) {
        sim_advance(&sim, 9000);
        beat_in("g", static_id, generation, "i");
    }
    ok(second->done, "the rebalance timeout does not wait for static members");
    is_int(second->c.call.code, OX_OK, "and completes");
    struct group *group = group_find(&sim.coord->shards[0], OX_STR("g"));
    is_int(group->members.count, 2, "but keeps them");
    ok(ox_str_eq(group->leader->id, second->c.out_member_id), "the one who came leads");
    struct sim_sync *sync = sync_start(keep(second->c.out_member_id), second->c.generation, NULL, 0,
        "j");
    ok(sync->done, "the leader syncs");
    sim_sync_free(sync);
    sim_join_free(second);
    sim_advance(&sim, 10001);
    is_int(group->members.count <= 1, 1, "a static member's session expires too");
    end();

    begin();
    struct sim_join *a = JOIN(.instance = "i");
    sim_advance(&sim, 3000);
    const char *id = keep(a->c.out_member_id);
    sim_join_free(a);
    is_str(state(), "CompletingRebalance", "completing");
    join = JOIN(.instance = "i");
    ok(join->done && join->c.generation == 2, "completing: a replacement rebalances");
    is_int(sync_code(id, 1, "i"), OX_FENCED_INSTANCE_ID, "the old one is fenced");
    sim_join_free(join);
    end();

    begin();
    stable_static(9);
    is_int(leave_in("g", "", "i", NULL), OX_OK, "leave: by instance id alone");
    is_str(state(), "Empty", "and it is gone");
    is_int(leave_in("g", "", "i", NULL), OX_UNKNOWN_MEMBER_ID, "leave: unknown instance id");
    end();

    begin();
    stable_static(9);
    sim.hold = true;
    join = JOIN(.instance = "i");
    struct sim_join *other = JOIN(.version = 3);
    ok(join->done && other->done,
        "a replacement that is being logged takes part in a rebalance that begins");
    is_int(join->c.generation, generation + 1, "and gets the new generation");
    sim.hold = false;
    sim_run(&sim);
    is_int(join->done, 1, "only once");
    sim_join_free(join);
    sim_join_free(other);
    end();
}

/* ---- SyncGroup ---- */

static void
test_sync(void)
{
    begin();
    is_int(sync_code("x", 1, NULL), OX_UNKNOWN_MEMBER_ID, "sync: no such group");
    stable(2);
    is_int(sync_code("x", generation, NULL), OX_UNKNOWN_MEMBER_ID, "sync: no such member");
    is_int(sync_code(member[0], generation + 1, NULL), OX_ILLEGAL_GENERATION,
        "sync: another generation");
    is_int(sync_code(member[0], generation, "i"), OX_UNKNOWN_MEMBER_ID, "sync: unknown instance");
    struct sim_sync *sync = sim_sync_new();
    sync->c.group_id = OX_STR("g");
    sync->c.member_id = ox_str(member[0]);
    sync->c.generation = generation;
    sync->c.protocol = OX_STR("sticky");
    coord_sync(sim.coord, &sync->c);
    sim_run(&sim);
    is_int(sync->c.call.code, OX_INCONSISTENT_GROUP_PROTOCOL, "sync: another protocol");
    sync->done = 0;
    sync->c.protocol = OX_STR("range");
    sync->c.protocol_type = OX_STR("connect");
    coord_sync(sim.coord, &sync->c);
    sim_run(&sim);
    is_int(sync->c.call.code, OX_INCONSISTENT_GROUP_PROTOCOL, "sync: another protocol type");
    sync->c.protocol_type = OX_STR("consumer");
    coord_sync(sim.coord, &sync->c);
    sim_run(&sim);
    is_int(sync->c.call.code, OX_OK, "sync: stable, the stored assignment");
    ok(ox_str_is(sync->c.assignment, "a") && ox_str_is(sync->c.out_protocol, "range") &&
           ox_str_is(sync->c.out_protocol_type, "consumer"),
        "with protocol and type");
    sim_sync_free(sync);
    sync = sim_sync_new();
    coord_sync(sim.coord, &sync->c);
    sim_run(&sim);
    is_int(sync->c.call.code, OX_INVALID_GROUP_ID, "sync: empty group id");
    sim_sync_free(sync);
    struct sim_join *join = JOIN(.member = member[0]);
    is_int(sync_code(member[1], generation, NULL), OX_REBALANCE_IN_PROGRESS, "sync: preparing");
    leave(member[0]);
    ok(join->done && join->c.call.code == OX_UNKNOWN_MEMBER_ID, "a parked join of one who leaves");
    sim_join_free(join);
    leave(member[1]);
    is_str(state(), "Empty", "all have left");
    is_int(sync_code(member[0], generation, NULL), OX_UNKNOWN_MEMBER_ID, "sync: empty");
    end();
}

/* n members in CompletingRebalance of generation 1. */
static void
completing(int n)
{
    struct sim_join *joins[8];
    for (int i = 0; i < n; i++)
        joins[i] = JOIN(.version = 3);
    sim_advance(&sim, 6000);
    for (int i = 0; i < n; i++) {
        member[i] = keep(joins[i]->c.out_member_id);
        sim_join_free(joins[i]);
    }
    generation = 1;
    is_str(state(), "CompletingRebalance", "completing");
}

static void
test_sync_completing(void)
{
    begin();
    completing(2);
    struct sim_sync *follower = sync_start(member[1], 1, NULL, 0, NULL);
    ok(!follower->done, "completing: a follower is parked");
    struct coord_sync_assignment assignments[] = {{ox_str(member[0]), OX_STR("A")},
        {OX_STR("stranger"), OX_STR("S")}};
    struct sim_sync *leader = sync_start(member[0], 1, assignments, 2, NULL);
    ok(leader->done && ox_str_is(leader->c.assignment, "A"), "the leader gets its own");
    ok(follower->done && follower->c.assignment.len == 0, "who was left out gets nothing");
    sim_sync_free(leader);
    sim_sync_free(follower);
    end();

    begin();
    completing(2);
    follower = sync_start(member[1], 1, NULL, 0, NULL);
    struct sim_sync *again = sync_start(member[1], 1, NULL, 0, NULL);
    ok(follower->done && follower->c.call.code == OX_REBALANCE_IN_PROGRESS && !again->done,
        "a repeated sync takes the place of the first");
    sim_sync_free(follower);
    struct sim_join *join = JOIN(.version = 3);
    ok(again->done && again->c.call.code == OX_REBALANCE_IN_PROGRESS,
        "a join while completing sends parked syncs back");
    sim_sync_free(again);
    is_str(state(), "PreparingRebalance", "preparing");
    is_int(leave(member[0]), OX_OK, "leave while preparing");
    is_int(leave(member[1]), OX_OK, "may complete the join");
    ok(join->done && join->c.generation == 2, "of the one who is left");
    sim_join_free(join);
    end();

    static const struct {
        ox_code append, answer;
        const char *what;
    } failures[] = {
        {OX_UNKNOWN_TOPIC_OR_PARTITION, OX_COORDINATOR_NOT_AVAILABLE, "unknown topic"},
        {OX_NOT_ENOUGH_REPLICAS, OX_COORDINATOR_NOT_AVAILABLE, "not enough replicas"},
        {OX_NOT_ENOUGH_REPLICAS_AFTER_APPEND, OX_COORDINATOR_NOT_AVAILABLE, "after append"},
        {OX_REQUEST_TIMED_OUT, OX_COORDINATOR_NOT_AVAILABLE, "timed out"},
        {OX_NOT_LEADER, OX_NOT_COORDINATOR, "not leader"},
        {OX_STORAGE_ERROR, OX_NOT_COORDINATOR, "storage error"},
        {OX_MESSAGE_TOO_LARGE, OX_UNKNOWN_SERVER_ERROR, "message too large"},
        {OX_RECORD_LIST_TOO_LARGE, OX_UNKNOWN_SERVER_ERROR, "record list too large"},
    };
    for (size_t i = 0; i < ox_count(failures); i++) {
        begin();
        completing(2);
        sim.fail = failures[i].append;
        follower = sync_start(member[1], 1, NULL, 0, NULL);
        leader = sync_start(member[0], 1, assignments, 2, NULL);
        is_int(leader->done ? leader->c.call.code : -1, failures[i].answer, failures[i].what);
        is_int(follower->done ? follower->c.call.code : -1, failures[i].answer, "for all syncs");
        is_str(state(), "PreparingRebalance", "and the group rebalances");
        sim_sync_free(leader);
        sim_sync_free(follower);
        end();
    }

    begin();
    completing(1);
    sim.hold = true;
    leader = sync_start(member[0], 1, NULL, 0, NULL);
    sim_advance(&sim, 4999);
    ok(!leader->done, "the log is slow");
    sim_advance(&sim, 1);
    is_int(leader->done ? leader->c.call.code : -1, OX_COORDINATOR_NOT_AVAILABLE,
        "offsets.commit.timeout.ms bounds the wait");
    sim_sync_free(leader);
    end();
}

static void
test_sync_timeout(void)
{
    begin();
    completing(2);
    struct sim_sync *leader = sync_start(member[0], 1, NULL, 0, NULL);
    sim_sync_free(leader);
    is_str(state(), "Stable", "one has synced");
    for (int i = 0; i < 6; i++) {
        sim_advance(&sim, 9000);
        is_int(beat(member[0], 1), OX_OK, "heartbeat of the one");
        is_int(beat(member[1], 1), OX_OK, "heartbeat of the other");
    }
    sim_advance(&sim, 6000);
    is_str(state(), "PreparingRebalance", "the other never synced: rebalance");
    is_int(beat(member[1], 1), OX_UNKNOWN_MEMBER_ID, "without it");
    is_int(beat(member[0], 1), OX_REBALANCE_IN_PROGRESS, "with the one that did");
    end();
}

/* ---- Heartbeat, LeaveGroup, sessions ---- */

static void
test_heartbeat(void)
{
    begin();
    is_int(beat_in("", "x", 1, NULL), OX_INVALID_GROUP_ID, "heartbeat: empty group id");
    is_int(beat("x", 1), OX_UNKNOWN_MEMBER_ID, "heartbeat: no such group");
    const char *id = known_id();
    is_int(beat(id, 0), OX_UNKNOWN_MEMBER_ID, "heartbeat: empty group");
    sim_advance(&sim, 10000);
    completing(1);
    is_int(beat("x", 1), OX_UNKNOWN_MEMBER_ID, "heartbeat: no such member");
    is_int(beat(member[0], 2), OX_ILLEGAL_GENERATION, "heartbeat: another generation");
    is_int(beat(member[0], 1), OX_OK, "heartbeat: completing");
    sim_sync_free(sync_start(member[0], 1, NULL, 0, NULL));
    is_int(beat(member[0], 1), OX_OK, "heartbeat: stable");
    for (int i = 0; i < 10; i++) {
        sim_advance(&sim, 9999);
        is_int(beat(member[0], 1), OX_OK, "it keeps the session alive");
    }
    sim_advance(&sim, 10000);
    is_str(state(), "Empty", "silence ends it");
    is_int(beat(member[0], 1), OX_UNKNOWN_MEMBER_ID, "the member is gone");
    end();
}

static void
test_leave(void)
{
    ox_code top;
    begin();
    leave_in("", "x", NULL, &top);
    is_int(top, OX_INVALID_GROUP_ID, "leave: empty group id");
    is_int(leave_in("g", "x", NULL, &top), OX_UNKNOWN_MEMBER_ID, "leave: no such group");
    is_int(top, OX_OK, "which is each member's error, not the call's");
    const char *id = known_id();
    is_int(leave(id), OX_OK, "leave: a pending member");
    is_str(state(), "Empty", "is forgotten, the group goes later");
    stable(2);
    is_int(leave("x"), OX_UNKNOWN_MEMBER_ID, "leave: no such member");
    is_str(state(), "Stable", "disturbs nobody");
    id = known_id();
    is_int(leave(id), OX_OK, "leave: a pending member of a stable group");
    is_str(state(), "Stable", "disturbs nobody either");
    is_int(leave(member[0]), OX_OK, "leave: the leader");
    is_str(state(), "PreparingRebalance", "rebalances");
    struct sim_join *join = JOIN(.member = member[1]);
    ok(join->done && ox_str_is(join->c.leader, member[1]), "the other leads");
    int gen = join->c.generation;
    sim_join_free(join);
    is_int(leave(member[1]), OX_OK, "leave: while completing");
    is_str(state(), "Empty", "the last one leaves an empty group");
    struct group *group = group_find(&sim.coord->shards[0], OX_STR("g"));
    is_int(group->generation, gen + 1, "of a generation of its own");
    join = JOIN(.version = 3);
    sim_advance(&sim, 3000);
    is_int(join->c.generation, gen + 2, "from which the next goes on");
    sim_join_free(join);
    end();

    begin();
    stable(3);
    struct sim_leave *many = sim_leave_new();
    struct coord_leave_member leavers[] = {{ox_str(member[0]), OX_STR_NULL, 0},
        {OX_STR("x"), OX_STR_NULL, 0}, {ox_str(member[2]), OX_STR_NULL, 0}};
    many->c.group_id = OX_STR("g");
    many->c.members = leavers;
    many->c.member_count = 3;
    coord_leave(sim.coord, &many->c);
    sim_run(&sim);
    ok(leavers[0].code == OX_OK && leavers[1].code == OX_UNKNOWN_MEMBER_ID &&
           leavers[2].code == OX_OK,
        "leave: several at once, each with its answer");
    sim_leave_free(many);
    group = group_find(&sim.coord->shards[0], OX_STR("g"));
    is_int(group->members.count, 1, "one is left");
    end();

    begin();
    completing(2);
    struct sim_sync *sync = sync_start(member[1], 1, NULL, 0, NULL);
    leave(member[1]);
    ok(sync->done && sync->c.call.code == OX_UNKNOWN_MEMBER_ID, "a parked sync of one who leaves");
    sim_sync_free(sync);
    end();
}

/* A parked sync counts as alive; the session goes on when it is answered. */
static void
test_parked_is_alive(void)
{
    begin();
    completing(2);
    struct sim_sync *follower = sync_start(member[1], 1, NULL, 0, NULL);
    for (int i = 0; i < 3; i++) {
        sim_advance(&sim, 9000);
        is_int(beat(member[0], 1), OX_OK, "the leader thinks");
    }
    struct sim_sync *leader = sync_start(member[0], 1, NULL, 0, NULL);
    ok(leader->done && follower->done && follower->c.call.code == OX_OK,
        "a parked member outlives its session timeout");
    sim_sync_free(leader);
    sim_sync_free(follower);
    sim_advance(&sim, 9999);
    is_int(beat(member[1], 1), OX_OK, "its session began anew with the answer");
    end();
}

/* ---- states of the shard ---- */

static void
test_shard_states(void)
{
    sim_init(&sim, &config, 0);
    sim.coord = coord_new(&config, &sim.host);
    for (int i = 0; i < SIM_PARTITIONS_MAX; i++)
        sim.alarms[i] = UINT64_MAX;
    is_int(coord_find(sim.coord, OX_STR("g")), -1, "no topic, no coordinator");
    is_int(JOIN_CODE(0), OX_COORDINATOR_NOT_AVAILABLE, "join: no topic");
    is_int(beat("x", 1), OX_COORDINATOR_NOT_AVAILABLE, "heartbeat: no topic");
    coord_set_partitions(sim.coord, 1);
    is_int(coord_find(sim.coord, OX_STR("g")), 0, "now there is one");
    is_int(JOIN_CODE(0), OX_NOT_COORDINATOR, "join: not the leader");
    is_int(sync_code("x", 1, NULL), OX_NOT_COORDINATOR, "sync: not the leader");
    is_int(beat("x", 1), OX_NOT_COORDINATOR, "heartbeat: not the leader");
    ox_code top;
    is_int(leave_in("g", "x", NULL, &top), OX_NOT_COORDINATOR, "leave: not the leader");
    is_int(top, OX_NOT_COORDINATOR, "for the call as a whole");
    sim.hold_load = true;
    coord_elected(sim.coord, 0, 3);
    sim_run(&sim);
    is_int(JOIN_CODE(0), OX_COORDINATOR_LOAD_IN_PROGRESS, "join: loading");
    is_int(sync_code("x", 1, NULL), OX_COORDINATOR_LOAD_IN_PROGRESS, "sync: loading");
    is_int(beat("x", 1), OX_OK, "heartbeat: loading is no reason to give up");
    is_int(leave_in("g", "x", NULL, NULL), OX_COORDINATOR_LOAD_IN_PROGRESS, "leave: loading");
    sim.hold_load = false;
    sim_run(&sim);
    stable(2);
    struct sim_join *join = JOIN(.member = member[0]);
    coord_resigned(sim.coord, 0, 2);
    sim_run(&sim);
    ok(!join->done, "an older epoch's resignation is ignored");
    coord_resigned(sim.coord, 0, 4);
    sim_run(&sim);
    ok(join->done && join->c.call.code == OX_NOT_COORDINATOR, "parked joins are sent elsewhere");
    sim_join_free(join);
    is_int(beat(member[0], generation), OX_NOT_COORDINATOR, "resigned");
    coord_elected(sim.coord, 0, 4);
    sim_run(&sim);
    is_int(beat(member[0], generation), OX_NOT_COORDINATOR, "the same epoch does not come back");
    coord_elected(sim.coord, 0, 5);
    sim_run(&sim);
    is_str(state(), "Stable", "elected again: the group is back");
    is_int(beat(member[0], generation), OX_OK, "with its members");
    is_int(beat(member[1], generation), OX_OK, "all of them");
    sim_advance(&sim, 10000);
    is_str(state(), "Empty", "whose sessions run");
    sim.load_fail = OX_IO_ERROR;
    coord_elected(sim.coord, 0, 6);
    sim_run(&sim);
    is_int(beat(member[0], generation), OX_NOT_COORDINATOR, "a load that fails serves nothing");
    sim.load_fail = OX_OK;
    sim_detach(&sim);
    ox_arena_fini(&sim.arena);
}

static void
test_stop(void)
{
    begin();
    completing(1);
    sim.hold = true;
    struct sim_sync *sync = sync_start(member[0], 1, NULL, 0, NULL);
    struct coord_stop_call stop = {.call.done = sim_stopped};
    coord_stop(sim.coord, &stop);
    sim_run(&sim);
    ok(sync->done && sync->c.call.code == OX_COORDINATOR_NOT_AVAILABLE,
        "stop answers what is parked");
    sim_sync_free(sync);
    ok(!stop.call.answered, "and waits for the batch that is out");
    is_int(JOIN_CODE(0), OX_COORDINATOR_NOT_AVAILABLE, "join: stopped");
    sim.hold = false;
    sim_run(&sim);
    ok(stop.call.answered, "then it is done");
    coord_free(sim.coord);
    ox_arena_fini(&sim.arena);
}

static void
test_over_capacity(void)
{
    begin();
    stable(2);
    sim_detach(&sim);
    config.group_size_max = 1;
    sim_attach(&sim, &config, 1, 1);
    is_str(state(), "PreparingRebalance", "a loaded group over its limit rebalances");
    config.group_size_max = INT32_MAX;
    end();
}

int
main(void)
{
    ox_diag_set_level(OX_DIAG_ERROR);
    coord_config_init(&config);
    test_join_checks();
    test_member_id_required();
    test_initial_delay();
    test_rejoin();
    test_rebalance_timeout();
    test_group_max_size();
    test_protocol_choice();
    test_new_member_cap();
    test_static_replace();
    test_static_cases();
    test_sync();
    test_sync_completing();
    test_sync_timeout();
    test_heartbeat();
    test_leave();
    test_parked_is_alive();
    test_shard_states();
    test_stop();
    test_over_capacity();
    return done();
}
