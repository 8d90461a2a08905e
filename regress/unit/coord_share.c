/* SPDX-License-Identifier: Apache-2.0
 *
 * Share groups and the share coordinator, each in a world of its own: what a group
 * notes of its states before and after they are made and deleted, whatever fails
 * in between, and whichever of two answers is late. */
#include "coord/share_group.h"
#include "coord_sim.h"
#include "tap.h"

static struct sim groups, states;
static struct coord_config config;
static const struct str topic_names[] = {{"t", 1}};

static void
run(void)
{
    while (sim_step(&groups) || sim_step(&states))
        ;
}

static void
pass(uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += 50) {
        sim_advance(&groups, 50);
        run();
        sim_advance(&states, 50);
        run();
    }
}

static void
attach(int32_t epoch)
{
    groups.has_states = states.coord;
    sim_attach(&groups, &config, 1, epoch);
}

static void
begin(void)
{
    coord_config_init(&config);
    config.share_assignment_ms = 0;
    sim_init(&states, &config, 0);
    states.states = true;
    sim_attach(&states, &config, 1, 0);
    sim_init(&groups, &config, 0);
    sim_set_topic(&states, "t", 2);
    sim_set_topic(&groups, "t", 1);
    attach(0);
}

static void
end(void)
{
    run();
    sim_detach(&groups);
    ox_arena_fini(&groups.arena);
    sim_fini(&states);
}

static struct uuid
topic_id(void)
{
    return groups.topics[0].id;
}

/* ---- what is asked ---- */

static struct sim_share *
beat_start(int32_t epoch)
{
    struct sim_share *beat = sim_share_new();
    beat->c.group_id = OX_STR("g");
    beat->c.member_id = OX_STR("m");
    beat->c.member_epoch = epoch;
    if (epoch == 0) {
        beat->c.topics = topic_names;
        beat->c.topic_count = 1;
    }
    coord_share_heartbeat(groups.coord, &beat->c);
    return beat;
}

static int32_t
beat(int32_t epoch)
{
    struct sim_share *beat = beat_start(epoch);
    run();
    ox_assert(beat->done == 1);
    int32_t next = beat->c.call.code == OX_OK ? beat->c.out_member_epoch : -(int32_t)beat->c.call.code;
    sim_share_free(beat);
    return next;
}

/* A member comes; how many partitions it has after a while. */
static int32_t
partitions_had(void)
{
    int32_t epoch = beat(0);
    for (int i = 0; i < 3; i++) {
        pass(1000);
        epoch = beat(epoch);
    }
    struct sim_share *last = beat_start(0); /* again: it is told all */
    run();
    int32_t count = 0;
    for (size_t i = 0; i < last->c.assignment_count; i++)
        count += (int32_t)last->c.assignment[i].partition_count;
    sim_share_free(last);
    return count;
}

static struct sim_share_offsets *
offsets_start(enum coord_share_offsets_op op, int32_t partition)
{
    struct sim_share_offsets *call = sim_share_offsets_new();
    struct coord_share_topic *topic = ox_arena_new(&call->arena, struct coord_share_topic);
    topic->name = topic_names[0];
    topic->id = topic_id();
    topic->partitions = ox_arena_new(&call->arena, struct coord_share_partition);
    topic->partitions[0] = (struct coord_share_partition){.partition = partition, .start_offset = 5};
    topic->partition_count = 1;
    call->c.op = op;
    call->c.group_id = OX_STR("g");
    call->c.topics = topic;
    call->c.topic_count = 1;
    coord_share_offsets(groups.coord, &call->c);
    return call;
}

static ox_code
offsets_end(struct sim_share_offsets *call)
{
    ox_assert(call->done == 1);
    ox_code code = call->c.call.code;
    if (code == OX_OK)
        code = call->c.op == COORD_SHARE_DELETE ? call->c.topics[0].code
                                                : call->c.topics[0].partitions[0].code;
    sim_share_offsets_free(call);
    return code;
}

static ox_code
delete_group(void)
{
    struct sim_delete *call = sim_delete_new();
    call->c.group_id = OX_STR("g");
    coord_delete(groups.coord, &call->c);
    run();
    ox_assert(call->done == 1);
    ox_code code = call->c.call.code;
    sim_delete_free(call);
    return code;
}

enum { NO_STATE = -100 };

/* Where the group's state of a partition begins. */
static int64_t
state_start(int32_t partition)
{
    struct sim_state *call = sim_state_new();
    call->c.op = COORD_STATE_READ;
    call->c.group_id = OX_STR("g");
    call->c.topic_id = topic_id();
    call->c.partition = partition;
    call->c.leader_epoch = -1;
    call->c.state_epoch = -1;
    coord_state(states.coord, &call->c);
    run();
    int64_t start = call->c.call.code == OX_OK ? call->c.start_offset : NO_STATE;
    sim_state_free(call);
    return start;
}

/* ---- the tests ---- */

/* The log takes `appends` more writes, then none: the group is as it was before. */
static bool
alter_breaks_off(int appends)
{
    groups.hold = true;
    struct sim_share_offsets *call = offsets_start(COORD_SHARE_ALTER, 0);
    run();
    for (; appends > 0 && groups.append_count > 0; appends--) {
        struct coord_append *append = groups.appends[0];
        ox_assert(groups.append_count == 1);
        groups.append_count = 0;
        sim_append_done(&groups, append, OX_OK);
        run();
    }
    bool broken = groups.append_count > 0;
    groups.fail = OX_STORAGE_ERROR;
    groups.hold = false;
    run();
    groups.fail = OX_OK;
    pass(1000);
    is_int(offsets_end(call) == OX_OK, !broken, broken ? "altering fails" : "altering is done");
    return broken;
}

static void
test_alter_broken_off(void)
{
    int broken = 0;
    for (int appends = 0; appends < 4; appends++) {
        begin();
        broken += alter_breaks_off(appends);
        sim_detach(&groups);
        attach(1);
        run();
        delete_group();
        is_int(state_start(0), NO_STATE, "no state outlives its group");
        is_int(partitions_had(), 1, "and who comes next reads");
        is_int(state_start(0), -1, "from where it wants");
        end();
    }
    is_int(broken, 2, "there are two writes");
}

/* The answer that a state is there comes when it has been deleted again. */
static void
test_deleted_meanwhile(bool altered)
{
    begin();
    struct sim_share_offsets *alter = NULL;
    if (altered) {
        ox_assert(partitions_had() == 1 && beat(-1) == -1);
        states.hold = true;
        alter = offsets_start(COORD_SHARE_ALTER, 0);
    } else {
        states.hold = true;
        beat(0);
        beat(-1);
    }
    run();
    struct sim_share_offsets *call = offsets_start(COORD_SHARE_DELETE, 0);
    run();
    states.hold = false;
    pass(1000);
    is_int(offsets_end(call), OX_OK, "states are deleted while others are made");
    if (alter != NULL)
        is_int(offsets_end(alter), OX_OK, "which are altered");
    is_int(state_start(0), NO_STATE, "there is none");
    is_int(partitions_had(), 1, "who comes next reads");
    is_int(state_start(0), -1, "what has a state");
    end();
}

/* A topic gets a partition more; `again`: and the group is loaded before it is asked for. */
static void
test_grown(bool again)
{
    begin();
    is_int(partitions_had(), 1, "a topic with one partition");
    is_int(state_start(0), -1, "is read from where the group wants");
    sim_set_topic(&groups, "t", 2);
    states.hold = again;
    struct sim_share *last = beat_start(0);
    run();
    sim_share_free(last);
    if (again) {
        pass(100);
        states.fail = OX_STORAGE_ERROR;
        states.hold = false;
        run();
        states.fail = OX_OK;
        sim_detach(&groups);
        attach(1);
        run();
    }
    is_int(partitions_had(), 2, "it gets another one");
    is_int(state_start(1), 0, "which is read from its start");
    is_int(state_start(0), -1, "and the first one goes on");
    end();
}

/* The group is loaded again while the answer to an administrator is out. */
static void
test_loaded_meanwhile(void)
{
    begin();
    sim_set_topic(&groups, "t", 2);
    states.hold = true;
    struct sim_share_offsets *alter = offsets_start(COORD_SHARE_ALTER, 0);
    run();
    groups.fail = OX_STORAGE_ERROR;
    beat(0);
    groups.fail = OX_OK;
    pass(100);
    states.hold = false;
    pass(1000);
    is_int(offsets_end(alter), OX_NOT_COORDINATOR, "an answer for a group of before");
    is_int(partitions_had(), 2, "and the one of now has its partitions initialized");
    end();
}

/* A member comes while an administrator's change is out, which fails. */
static void
test_subscribed_meanwhile(void)
{
    begin();
    states.hold = true;
    struct sim_share_offsets *alter = offsets_start(COORD_SHARE_ALTER, 0);
    run();
    int32_t epoch = beat(0);
    states.fail = OX_STORAGE_ERROR;
    states.hold = false;
    run();
    states.fail = OX_OK;
    ok(offsets_end(alter) != OX_OK, "a change fails");
    for (int i = 0; i < 3; i++) {
        pass(1000);
        epoch = beat(epoch);
    }
    is_int(partitions_had(), 1, "who came meanwhile reads all the same");
    end();
}

int
main(void)
{
    test_loaded_meanwhile();
    test_subscribed_meanwhile();
    test_alter_broken_off();
    test_deleted_meanwhile(false);
    test_deleted_meanwhile(true);
    test_grown(false);
    test_grown(true);
    return done();
}
