/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups between the protocols: empty ones change freely, those with members go
 * over with the first consumer and back with the last (migrate.c). */
#include "coord_clients.h"

static ox_code
classic_join(void)
{
    struct sim_join *join = sim_join_new();
    struct coord_join_protocol protocol = {OX_STR("range"), OX_STR("m")};
    join->c.version = 3;
    join->c.group_id = OX_STR("g");
    join->c.client_id = OX_STR("cli");
    join->c.session_timeout_ms = 10000;
    join->c.rebalance_timeout_ms = 60000;
    join->c.protocol_type = OX_STR("consumer");
    join->c.protocols = &protocol;
    join->c.protocol_count = 1;
    coord_join(sim.coord, &join->c);
    sim_advance(&sim, 3000);
    ox_assert(join->done);
    ox_code code = join->c.call.code;
    sim_join_free(join);
    return code;
}

static void
test_conversion(void)
{
    begin();
    struct client a = CLIENT(.id = "a");
    beat(&a);
    is_int(classic_join(), OX_INCONSISTENT_GROUP_PROTOCOL, "a classic join among consumers");
    a.epoch = -1;
    beat(&a);
    is_int(classic_join(), OX_OK, "an empty consumer group becomes a classic one");
    is_str(state(), "CompletingRebalance", "completing");
    a.epoch = 0;
    is_int(beat(&a), OX_GROUP_ID_NOT_FOUND, "a consumer among classic members");
    sim_advance(&sim, 10000);
    is_str(state(), "Empty", "they are gone");
    is_int(beat(&a), OX_OK, "an empty classic group becomes a consumer group");
    restart();
    is_int(beat(&a), OX_OK, "replay: it is one");
    ok(group()->consumer != NULL, "still");
    end();
}

static ox_code
commit_as(const char *member, int epoch, int version)
{
    struct sim_commit *commit = sim_commit_new();
    struct coord_offset offset = {.partition = 0, .offset = 7, .metadata = OX_STR("")};
    struct coord_offset_topic topic = {OX_STR("t"), &offset, 1};
    commit->c.tells_epochs = version >= 9;
    commit->c.group_id = OX_STR("g");
    commit->c.member_id = ox_str(member);
    commit->c.generation = epoch;
    commit->c.retention_ms = -1;
    commit->c.topics = &topic;
    commit->c.topic_count = 1;
    coord_offset_commit(sim.coord, &commit->c);
    sim_run(&sim);
    sim_commit_free(commit);
    return offset.code;
}

static void
test_upgrade(void)
{
    begin();
    struct classic a = {0}, b = {0};
    classic_pair(&a, &b);
    is_str(a.owned, "t0 t2 u0", "the leader dealt");
    struct client c = CLIENT(.id = "c", .topics = "t u");
    is_int(beat(&c), OX_OK, "a consumer among them: the group goes over");
    is_int(c.epoch, 2, "in the next epoch");
    is_str(c.answer, "", "nothing is free yet");
    is_str(state(), "Reconciling", "reconciling");
    is_int(classic_beat(&a), OX_REBALANCE_IN_PROGRESS, "classic members learn it by heartbeat");
    is_int(commit_as(a.id, 1, 8), OX_OK, "commit: a classic member, an old version");
    is_int(commit_as(a.id, 2, 8), OX_ILLEGAL_GENERATION, "commit: another generation");
    struct sim_sync *sync = sync_begin(&a);
    is_int(sync->c.call.code, OX_REBALANCE_IN_PROGRESS, "sync: it must join first");
    sim_sync_free(sync);
    join_begin(&a);
    ok(a.join->done && a.join->c.call.code == OX_OK, "join: answered at once");
    ok(a.join->c.member_count == 0 && a.join->c.leader.len == 0, "without leader and members");
    join_look(&a);
    is_int(a.generation, 2, "the generation is the epoch");
    sync_end(&a, sync_begin(&a));
    is_str(a.owned, "t0 t2", "sync: what the coordinator assigned");
    is_int(classic_beat(&a), OX_OK, "heartbeat: nothing to do");
    restart();
    is_int(classic_beat(&a), OX_OK, "replay: the same");
    is_int(classic_beat(&b), OX_REBALANCE_IN_PROGRESS, "replay: and the other still must join");
    join_and_sync(&b);
    is_str(b.owned, "t1 t3", "it keeps what it had");
    beat(&c);
    is_str(c.answer, "u0 u1", "what was given up goes to the consumer");
    obey(&c);
    is_str(state(), "Stable", "stable");
    struct sim_modern_describe *describe = sim_modern_describe_new();
    describe->c.group_id = OX_STR("g");
    coord_modern_describe(sim.coord, &describe->c);
    sim_run(&sim);
    int old = 0;
    for (size_t i = 0; i < describe->c.member_count; i++)
        old += describe->c.members[i].classic;
    is_int(old, 2, "describe: two of them are classic");
    sim_modern_describe_free(describe);

    struct classic d = {0};
    join_and_sync(&d);
    is_int(d.generation, 3, "a new classic member joins");
    beat(&c);
    is_int(classic_beat(&a), OX_REBALANCE_IN_PROGRESS, "the others join again");
    join_and_sync(&a);
    join_and_sync(&b);
    is_int(classic_leave(&d), OX_OK, "it leaves");
    beat(&c);
    obey(&c);
    join_and_sync(&a);
    join_and_sync(&b);
    obey(&c);
    c.epoch = -1;
    is_int(beat(&c), OX_OK, "the consumer leaves");
    is_str(state(), "PreparingRebalance", "only classic members: a classic group again");
    is_int(classic_beat(&a), OX_REBALANCE_IN_PROGRESS, "which rebalances");
    restart();
    is_str(state(), "Stable", "replay: a classic group");
    join_begin(&a);
    join_begin(&b);
    ok(join_look(&a) && join_look(&b), "both join");
    ok(a.leads && a.peer_count == 2, "one leads and assigns");
    sync = sync_begin(&b);
    sync_end(&a, sync_begin(&a));
    sync_end(&b, sync);
    is_str(state(), "Stable", "stable");
    is_str(b.owned, "t1 t3 u1", "as before");
    end();
}

static void
test_upgrade_cases(void)
{
    begin();
    struct classic a = {.instance = "i"}, b = {0};
    classic_pair(&a, &b);
    struct client c = CLIENT(.id = "c", .topics = "t u", .instance = "i");
    is_int(beat(&c), OX_OK, "a static member comes back with the new protocol");
    is_str(c.answer, "t0 t2 u0", "and has what it had");
    is_int(classic_beat(&a), OX_FENCED_INSTANCE_ID, "the old one is fenced");
    is_int(classic_beat(&b), OX_OK, "nobody else is disturbed");
    struct classic again = {.instance = "i"};
    join_begin(&again);
    is_str(state(), "PreparingRebalance", "back to the old protocol: the group goes with it");
    join_begin(&b);
    ok(join_look(&again) && join_look(&b), "and rebalances");
    end();

    begin();
    struct classic d = {0}, e = {0};
    classic_pair(&d, &e);
    struct client f = CLIENT(.id = "f", .topics = "t u");
    beat(&f);
    for (int i = 0; i < 5; i++) {
        sim_advance(&sim, 9000);
        beat(&f);
        classic_beat(&d); /* alive, but it does not join again */
        if (classic_beat(&e) == OX_REBALANCE_IN_PROGRESS)
            join_and_sync(&e);
    }
    is_int(classic_beat(&d), OX_UNKNOWN_MEMBER_ID, "who does not join again in time is removed");
    for (int i = 0; i < 5; i++) {
        sim_advance(&sim, 9000);
        classic_beat(&e);
        if (e.code == OX_REBALANCE_IN_PROGRESS)
            join_and_sync(&e);
    }
    ok(group()->consumer == NULL, "the last consumer's session ended: classic again");
    end();

    begin();
    struct classic g = {0}, h = {0};
    classic_pair(&g, &h);
    sim.fail = OX_NOT_ENOUGH_REPLICAS;
    struct client k = CLIENT(.id = "k", .topics = "t u");
    is_int(beat(&k), OX_COORDINATOR_NOT_AVAILABLE, "the log refuses the upgrade");
    sim.fail = OX_OK;
    sim_run(&sim);
    is_str(state(), "Stable", "the group is as it was");
    is_int(classic_beat(&g), OX_OK, "with its members");
    end();
}

/* The classic group's record may be on its way when the group changes its kind: it is
 * taken back all the same. */
static void
test_record_under_way(void)
{
    begin();
    struct classic a = {0}, b = {0};
    join_begin(&a);
    join_begin(&b);
    sim_advance(&sim, 6000);
    ok(join_look(&a) && join_look(&b), "two classic members join");
    sim.hold = true;
    struct sim_sync *sync = sync_begin(a.leads ? &a : &b);
    is_int(sync->done, 0, "the assignment is on its way to the log");
    struct client c = CLIENT(.id = "c", .topics = "t u");
    struct sim_consumer *call = beat_start(&c, false);
    sim_run(&sim);
    sim.hold = false;
    sim_run(&sim);
    is_int(sync->c.call.code, OX_REBALANCE_IN_PROGRESS, "a consumer comes: the group goes over");
    sim_sync_free(sync);
    beat_end(&c, call);
    is_int(c.code, OX_OK, "it joins");
    restart();
    ok(group()->consumer != NULL, "replay: it is a consumer group");
    is_int(group()->consumer != NULL ? (int)group()->consumer->members.count : 0, 3,
        "with all three members");
    is_int(beat(&c), OX_OK, "the consumer goes on");
    end();

    begin();
    struct classic d = {0};
    join_begin(&d);
    sim_advance(&sim, 3000);
    ok(join_look(&d), "a classic member joins");
    sim.hold = true;
    struct sim_leave *leave = sim_leave_new();
    struct coord_leave_member leaver = {ox_str(d.id), OX_STR_NULL, OX_OK};
    leave->c.group_id = OX_STR("g");
    leave->c.members = &leaver;
    leave->c.member_count = 1;
    coord_leave(sim.coord, &leave->c);
    sim_run(&sim);
    sim_leave_free(leave);
    is_str(state(), "Empty", "and leaves before anything is assigned");
    struct client e = CLIENT(.id = "e", .topics = "t u");
    call = beat_start(&e, false);
    sim_run(&sim);
    sim.hold = false;
    sim_run(&sim);
    beat_end(&e, call);
    is_int(e.code, OX_OK, "a consumer comes");
    e.epoch = -1;
    is_int(beat(&e), OX_OK, "and leaves");
    struct sim_delete *gone = sim_delete_new();
    gone->c.group_id = OX_STR("g");
    coord_delete(sim.coord, &gone->c);
    sim_run(&sim);
    is_int(gone->c.call.code, OX_OK, "the group is deleted");
    sim_delete_free(gone);
    restart();
    ok(group() == NULL, "replay: nothing is left of it");
    end();
}

static void
test_migration_policy(void)
{
    config.upgrade = false;
    begin();
    struct classic a = {0}, b = {0};
    classic_pair(&a, &b);
    struct client c = CLIENT(.id = "c", .topics = "t u");
    is_int(beat(&c), OX_GROUP_ID_NOT_FOUND, "no upgrade: the new protocol stays out");
    is_int(classic_beat(&a), OX_OK, "and the group is as it was");
    end();
    config.upgrade = true;

    config.downgrade = false;
    begin();
    struct classic d = {0}, e = {0};
    classic_pair(&d, &e);
    struct client f = CLIENT(.id = "f", .topics = "t u");
    beat(&f);
    f.epoch = -1;
    is_int(beat(&f), OX_OK, "no downgrade: the last of the new protocol leaves");
    ok(group()->consumer != NULL, "and the group stays one of consumers");
    end();
    config.downgrade = true;
}

int
main(void)
{
    clients_start();
    test_conversion();
    test_upgrade();
    test_upgrade_cases();
    test_record_under_way();
    test_migration_policy();
    return done();
}
