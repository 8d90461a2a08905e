/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumer groups of the new protocol: each rule of the heartbeat, assignment
 * step by step, records, assignors, patterns. */
#include "coord_clients.h"

/* ---- the request ---- */

static void
test_request(void)
{
    begin();
    struct client c = CLIENT(.id = "m", .group = "");
    is_int(beat(&c), OX_INVALID_REQUEST, "empty group id");
    ok(c.message[0] != '\0', "says what is wrong");
    c = CLIENT(.id = "");
    is_int(beat(&c), OX_INVALID_REQUEST, "no member id");
    c = CLIENT(.id = "m", .epoch = -3);
    is_int(beat(&c), OX_INVALID_REQUEST, "epoch below -2");
    c = CLIENT(.id = "m", .instance = "");
    is_int(beat(&c), OX_INVALID_REQUEST, "empty instance id");
    c = CLIENT(.id = "m", .epoch = -2);
    is_int(beat(&c), OX_INVALID_REQUEST, "-2 without an instance id");
    c = CLIENT(.id = "m", .topics = "");
    is_int(beat(&c), OX_INVALID_REQUEST, "joins without a subscription");
    struct sim_consumer *call = beat_start(&(struct client){.id = "m", .topics = "t"}, false);
    call->c.owned = NULL;
    sim_run(&sim);
    is_int(call->c.call.code, OX_INVALID_REQUEST, "joins without saying that it owns nothing");
    sim_consumer_free(call);
    call = beat_start(&(struct client){.id = "m", .topics = "t"}, false);
    call->c.rebalance_timeout_ms = -1;
    sim_run(&sim);
    is_int(call->c.call.code, OX_INVALID_REQUEST, "joins without a rebalance timeout");
    sim_consumer_free(call);
    c = CLIENT(.id = "m", .assignor = "sticky");
    is_int(beat(&c), OX_UNSUPPORTED_ASSIGNOR, "unknown assignor");
    c = CLIENT(.id = "m", .regex = "[");
    is_int(beat(&c), OX_INVALID_REGULAR_EXPRESSION, "bad pattern");
    c = CLIENT(.id = "m", .epoch = 5);
    is_int(beat(&c), OX_GROUP_ID_NOT_FOUND, "epoch, but no group");
    c = CLIENT(.id = "m", .epoch = -1);
    is_int(beat(&c), OX_GROUP_ID_NOT_FOUND, "leaves, but no group");
    is_str(state(), "none", "none of these leaves a group behind");
    end();

    begin();
    call = beat_start(&(struct client){.id = "", .topics = "t"}, false);
    call->c.version = 0;
    sim_run(&sim);
    ok(call->c.call.code == OX_OK && call->c.out_member_id.len == 22,
        "version 0: the server makes the member id");
    sim_consumer_free(call);
    end();
}

/* ---- epochs ---- */

static void
test_epochs(void)
{
    begin();
    struct client a = CLIENT(.id = "a");
    is_int(beat(&a), OX_OK, "the first member joins");
    is_int(a.epoch, 2, "epoch 2: a group begins with 1, which nobody has");
    is_str(a.answer, "t0 t1 t2 t3", "and has everything");
    is_str(state(), "Stable", "stable at once");
    obey(&a);
    is_str(a.answer, "t0 t1 t2 t3", "a full heartbeat is told again");
    is_int(beat(&a), OX_OK, "a plain one");
    is_str(a.answer, "-", "is not, while nothing changes");
    struct client other = CLIENT(.id = "x", .epoch = 1);
    is_int(beat(&other), OX_UNKNOWN_MEMBER_ID, "an unknown member");
    struct client late = a;
    late.epoch = 3;
    is_int(beat(&late), OX_FENCED_MEMBER_EPOCH, "an epoch ahead");
    struct client b = CLIENT(.id = "b");
    beat(&b);
    is_int(b.epoch, 3, "the second moves the group's epoch");
    is_str(b.answer, "", "and has nothing yet");
    is_str(state(), "Reconciling", "reconciling");
    beat(&a);
    is_int(a.epoch, 2, "who must give up keeps its epoch");
    is_str(a.answer, "t0 t1", "and learns what it keeps");
    beat(&b);
    is_str(b.answer, "-", "nothing is free before it is given up");
    obey(&a);
    is_int(a.epoch, 3, "given up: the epoch moves");
    beat(&b);
    is_str(b.answer, "t2 t3", "now it is free");
    obey(&b);
    is_str(state(), "Stable", "stable");
    late = a;
    late.epoch = 2;
    is_int(full(&late), OX_OK, "the epoch before, with no more than it may have: lost answer");
    is_int(late.epoch, 3, "it is told the current one");
    late.epoch = 2;
    is_int(beat(&late), OX_FENCED_MEMBER_EPOCH, "the epoch before without saying what it has");
    late.epoch = 2;
    strcpy(late.owned, "t0 t3");
    is_int(full(&late), OX_FENCED_MEMBER_EPOCH, "the epoch before with too much");
    late = CLIENT(.id = "a");
    is_int(beat(&late), OX_OK, "epoch 0 joins again");
    is_int(late.epoch, 3, "in the same epoch");
    is_str(late.answer, "t0 t1", "with the same partitions");
    end();
}

static void
test_leave(void)
{
    begin();
    struct client a = CLIENT(.id = "a"), b = CLIENT(.id = "b");
    beat(&a);
    beat(&b);
    obey(&a);
    obey(&a);
    beat(&b);
    obey(&b);
    is_str(state(), "Stable", "two members");
    b.epoch = -1;
    is_int(beat(&b), OX_OK, "one leaves");
    is_int(b.epoch, -1, "epoch -1 in the answer");
    beat(&a);
    is_str(a.answer, "t0 t1 t2 t3", "the other gets all");
    is_int(a.epoch, 4, "in a new epoch");
    for (int i = 0; i < 9; i++) {
        sim_advance(&sim, 40000);
        is_int(beat(&a), OX_OK, "heartbeats keep it alive");
    }
    sim_advance(&sim, 45000);
    is_str(state(), "Empty", "silence ends it");
    is_int(beat(&a), OX_UNKNOWN_MEMBER_ID, "unknown then");
    a.epoch = 0;
    beat(&a);
    is_int(a.epoch, 6, "epochs never go back");
    end();
}

static void
test_rebalance_timeout(void)
{
    begin();
    struct client a = CLIENT(.id = "a", .rebalance = 20000), b = CLIENT(.id = "b");
    beat(&a);
    obey(&a);
    beat(&b);
    beat(&a);
    is_str(a.answer, "t0 t1", "must give up two");
    for (int i = 0; i < 3; i++) {
        sim_advance(&sim, 5000);
        is_int(beat(&a), OX_OK, "alive, but does not");
        beat(&b);
    }
    sim_advance(&sim, 5000);
    is_int(beat(&a), OX_UNKNOWN_MEMBER_ID, "thrown out after its rebalance timeout");
    beat(&b);
    is_str(b.answer, "t0 t1 t2 t3", "the other gets all");
    end();
}

static void
test_static(void)
{
    begin();
    struct client a = CLIENT(.id = "a", .instance = "i"), b = CLIENT(.id = "b");
    beat(&a);
    beat(&b);
    obey(&a);
    obey(&a);
    beat(&b);
    obey(&b);
    is_str(state(), "Stable", "a static and a dynamic member");
    struct client again = CLIENT(.id = "c", .instance = "i");
    is_int(beat(&again), OX_UNRELEASED_INSTANCE_ID, "the instance id is in use");
    a.epoch = -2;
    is_int(beat(&a), OX_OK, "leaves for a while");
    is_int(a.epoch, -2, "epoch -2 in the answer");
    beat(&b);
    is_str(b.answer, "-", "its partitions wait for it");
    again.epoch = 0;
    is_int(beat(&again), OX_OK, "another with its instance id comes");
    is_str(again.answer, "t0 t1", "and inherits its partitions");
    is_int(again.epoch, 3, "in the same epoch");
    is_str(state(), "Stable", "nobody else is disturbed");
    a.epoch = 2;
    is_int(beat(&a), OX_FENCED_INSTANCE_ID, "the old one is fenced");
    struct client wrong = CLIENT(.id = "x", .instance = "j", .epoch = 2);
    is_int(beat(&wrong), OX_UNKNOWN_MEMBER_ID, "an instance id that nobody has");
    restart();
    is_int(beat(&again), OX_OK, "replay: the new one is known");
    again.epoch = -2;
    beat(&again);
    sim_advance(&sim, 44000);
    beat(&b);
    sim_advance(&sim, 1000);
    beat(&b);
    is_str(b.answer, "t0 t1 t2 t3", "who does not come back loses its place");
    end();
}

static void
test_changes(void)
{
    begin();
    struct client a = CLIENT(.id = "a");
    beat(&a);
    obey(&a);
    a.topics = "t u";
    beat(&a);
    is_str(a.answer, "t0 t1 t2 t3 u0 u1", "subscribes to more");
    obey(&a);
    a.topics = "u";
    beat(&a);
    is_str(a.answer, "u0 u1", "and to less");
    is_int(a.epoch, 3, "which must be given up first");
    a.topics = NULL;
    obey(&a);
    is_int(a.epoch, 4, "then the epoch moves");
    sim_set_topic(&sim, "u", 3);
    beat(&a);
    is_str(a.answer, "u0 u1 u2", "partitions are added");
    is_int(a.epoch, 5, "in a new epoch");
    sim_set_topic(&sim, "v", 3);
    beat(&a);
    is_int(a.epoch, 5, "a topic that nobody reads changes nothing");
    sim_set_topic(&sim, "u", 0);
    obey(&a);
    is_str(a.answer, "", "the topic goes");
    obey(&a);
    is_int(a.epoch, 6, "in a new epoch");
    end();

    begin();
    struct client b = CLIENT(.id = "b", .topics = "later");
    beat(&b);
    is_str(b.answer, "", "a topic that does not exist yet");
    sim_set_topic(&sim, "later", 1);
    beat(&b);
    is_str(b.answer, "later0", "is read once it does");
    end();
}

static void
test_regex(void)
{
    begin();
    sim_set_topic(&sim, "logs.a", 1);
    struct client a = CLIENT(.id = "a", .topics = "", .regex = "logs\\..*");
    beat(&a);
    is_str(a.answer, "logs.a0", "a pattern");
    obey(&a);
    sim_set_topic(&sim, "logs.b", 1);
    beat(&a);
    is_str(a.answer, "-", "patterns are not looked up all the time");
    sim_advance(&sim, 10000);
    beat(&a);
    is_str(a.answer, "logs.a0 logs.b0", "meets a new topic");
    obey(&a);
    restart();
    beat(&a);
    ok(a.code == OX_OK && strcmp(a.answer, "-") == 0, "replay: the same");
    a.regex = "";
    a.topics = "t";
    beat(&a);
    is_str(a.answer, "", "the pattern is cleared");
    obey(&a);
    is_str(a.answer, "t0 t1 t2 t3", "names instead");
    is_int(group()->consumer->regexes.count, 0, "what it matched is forgotten");
    end();

    begin();
    sim_set_topic(&sim, "logs.a", 1);
    sim_set_topic(&sim, "logs.b", 1);
    a = CLIENT(.id = "a", .topics = "", .regex = "logs\\..*", .hidden = "logs.b");
    beat(&a);
    is_str(a.answer, "logs.a0", "a pattern brings in no topics that its member may not know of");
    obey(&a);
    struct client b = CLIENT(.id = "b", .topics = "", .regex = "logs\\..*");
    beat(&b);
    obey(&b);
    is_str(b.owned, "", "nor for another who may, as long as it is not looked up again");
    sim_set_topic(&sim, "logs.c", 1);
    sim_advance(&sim, 10000);
    beat(&b);
    is_int(group()->consumer->regexes.count, 1, "there is one pattern");
    const struct consumer_regex *known =
        ox_map_get(&group()->consumer->regexes, OX_STR("logs\\..*"));
    is_int((int)known->topic_count, 3, "who asks then sees all");
    end();

    begin();
    sim_set_topic(&sim, "logs.a", 1);
    a = CLIENT(.id = "a", .topics = "", .regex = "logs\\..*", .hidden = "logs.a");
    beat(&a);
    is_str(a.answer, "", "a pattern of which its member may know nothing");
    obey(&a);
    a.hidden = NULL;
    for (int i = 0; i < 20; i++) {
        sim_advance(&sim, 30000);
        beat(&a);
    }
    is_str(a.answer, "logs.a0", "brings in what it may know of ten minutes later");
    end();

    static const struct {
        const char *pattern, *topic;
        int matches; /* -1: refused */
    } rows[] = {
        {"a", "a", 1}, {"a", "ab", 0}, {"a|b", "b", 1}, {"a|b", "xb", 0}, {"a.c", "abc", 1},
        {"a\\.c", "abc", 0}, {"a\\.c", "a.c", 1}, {"x\\d+", "x12", 1}, {"x\\d+", "x", 0},
        {"\\w+", "ab_1", 1}, {"(?:ab)+", "abab", 1}, {"(?i)LOG", "log", 1}, {"[a-c]*", "abc", 1},
        {"[^a]", "a", 0}, {"[\\w-]+", "a-b", 1}, {"a{2,3}", "aa", 1}, {"a{2,3}", "aaaa", 0},
        {"a*?", "aaa", 1}, {"^a$", "a", 1}, {"", "a", 0}, {"(?P<n>a)b", "ab", 1},
        {"(a", "a", -1}, {"[a", "a", -1}, {"(a)\\1", "aa", -1}, {"a{1001}", "a", -1},
        {"(a{100}){100}", "a", -1}, {"\\p{L}", "a", -1}, {"*a", "a", -1}, {"(?=a)", "a", -1},
        {"a\\", "a", -1},
    };
    for (size_t i = 0; i < ox_count(rows); i++) {
        const char *reason;
        struct topic_regex *regex = topic_regex_new(ox_str(rows[i].pattern), &reason);
        int got = regex == NULL ? -1 : topic_regex_match(regex, ox_str(rows[i].topic));
        topic_regex_free(regex);
        is_int(got, rows[i].matches, rows[i].pattern);
    }
}

static void
test_log(void)
{
    begin();
    struct client a = CLIENT(.id = "a");
    sim.hold = true;
    struct sim_consumer *call = beat_start(&a, false);
    sim_run(&sim);
    ok(!call->done, "a heartbeat is answered once its records are committed");
    struct client b = CLIENT(.id = "a", .epoch = 2);
    struct sim_consumer *second = beat_start(&b, false);
    sim_run(&sim);
    ok(!second->done, "and one without records behind it");
    sim.hold = false;
    sim_run(&sim);
    beat_end(&a, call);
    ok(second->done && second->c.call.code == OX_OK, "then both are");
    sim_consumer_free(second);
    obey(&a);
    sim.fail = OX_NOT_ENOUGH_REPLICAS;
    struct client c = CLIENT(.id = "c");
    is_int(beat(&c), OX_COORDINATOR_NOT_AVAILABLE, "the log refuses: retry");
    sim.fail = OX_OK;
    sim_run(&sim);
    is_int(group()->consumer->members.count, 1, "what was not logged is forgotten");
    is_int(beat(&a), OX_OK, "who was there before is still there");
    is_int(beat(&c), OX_OK, "and the other may try again");
    sim.hold = true;
    struct client d = CLIENT(.id = "d");
    call = beat_start(&d, false);
    sim_advance(&sim, 5000);
    ok(call->done && call->c.call.code == OX_COORDINATOR_NOT_AVAILABLE, "the log is too slow");
    sim_consumer_free(call);
    sim.hold = false;
    sim_run(&sim);
    is_int(group()->consumer->members.count, 3, "but took it in the end");
    end();
}

/* What came after a record that the log refused may build on it. */
static void
test_refused(void)
{
    begin();
    struct client a = CLIENT(.id = "a"), b = CLIENT(.id = "b");
    sim.hold = true;
    struct sim_consumer *first = beat_start(&a, false);
    sim_run(&sim);
    struct sim_consumer *second = beat_start(&b, false);
    sim_run(&sim);
    struct coord_append *append = sim.appends[0];
    sim.append_count = 0;
    sim_append_done(&sim, append, OX_NOT_ENOUGH_REPLICAS);
    is_int(sim.append_count, 0, "nothing more is sent");
    struct client c = CLIENT(.id = "c");
    struct sim_consumer *third = beat_start(&c, false);
    sim.hold = false;
    sim_run(&sim);
    is_int(first->c.call.code, OX_COORDINATOR_NOT_AVAILABLE, "who was refused is told");
    is_int(second->c.call.code, OX_COORDINATOR_LOAD_IN_PROGRESS, "who waited may come again");
    ok(third->done, "who comes meanwhile is answered");
    is_int(sim.log_count, 0, "the log has nothing of them");
    sim_consumer_free(first);
    sim_consumer_free(second);
    sim_consumer_free(third);
    is_int(beat(&b), OX_OK, "then all goes on");
    restart();
    is_int(beat(&b), OX_OK, "replay: too");
    end();
}

/* What a transaction writes goes alone: that it is refused is nobody else's concern. */
static void
test_alone(void)
{
    begin();
    struct client a = CLIENT(.id = "a");
    sim.hold = true;
    struct sim_consumer *first = beat_start(&a, false);
    sim_run(&sim);
    struct client again = CLIENT(.id = "a", .epoch = 2);
    struct sim_consumer *second = beat_start(&again, false);
    struct coord_offset offset = {.offset = 5, .leader_epoch = -1, .metadata = OX_STR("")};
    struct coord_offset_topic topic = {OX_STR("t"), &offset, 1};
    struct sim_commit *commit = sim_commit_new();
    commit->c.group_id = OX_STR("g");
    commit->c.member_id = OX_STR("");
    commit->c.generation = -1;
    commit->c.retention_ms = -1;
    commit->c.transactional = true;
    commit->c.producer_id = 7;
    commit->c.topics = &topic;
    commit->c.topic_count = 1;
    coord_offset_commit(sim.coord, &commit->c);
    sim_run(&sim);
    is_int(sim.append_count, 1, "a heartbeat's records are on their way, others wait behind them");
    struct coord_append *append = sim.appends[0];
    sim.append_count = 0;
    sim_append_done(&sim, append, OX_OK);
    sim.fail = OX_INVALID_PRODUCER_EPOCH;
    sim.hold = false;
    sim_run(&sim);
    ok(commit->done && offset.code == OX_INVALID_PRODUCER_EPOCH, "a fenced producer is told");
    ok(second->done && second->c.call.code == OX_OK, "the heartbeat before it is not");
    sim.fail = OX_OK;
    sim_commit_free(commit);
    sim_consumer_free(second);
    beat_end(&a, first);
    is_int(a.code, OX_OK, "nor the first");
    is_int(beat(&a), OX_OK, "the member goes on");
    end();
}

static void
test_settings(void)
{
    begin();
    struct client a = CLIENT(.id = "a", .group = "quick"), b = CLIENT(.id = "b");
    struct sim_consumer *call = beat_start(&a, false);
    sim_run(&sim);
    is_int(call->c.heartbeat_interval_ms, 1000, "a group's own heartbeat interval");
    beat_end(&a, call);
    call = beat_start(&b, false);
    sim_run(&sim);
    is_int(call->c.heartbeat_interval_ms, 5000, "the default of others");
    beat_end(&b, call);
    sim_advance(&sim, 7000);
    is_int(beat(&a), OX_UNKNOWN_MEMBER_ID, "a group's own session timeout");
    is_int(beat(&b), OX_OK, "the default of others");
    end();
}

/* Who comes too soon after an assignment gets its partitions with a later heartbeat. */
static void
test_assignment_interval(void)
{
    struct coord_config usual = config;
    config.consumer_assignment_ms = 1000;
    begin();
    struct client a = CLIENT(.id = "a"), b = CLIENT(.id = "b");
    beat(&a);
    is_str(a.answer, "t0 t1 t2 t3", "the first assignment is made at once");
    obey(&a);
    sim_advance(&sim, 300);
    beat(&b);
    is_str(b.answer, "", "the next waits for the assignment interval");
    is_str(state(), "Assigning", "which the group's state says");
    sim_advance(&sim, 600);
    is_int(beat(&a), OX_OK, "the others go on meanwhile");
    restart();
    sim_advance(&sim, 50);
    beat(&a);
    is_str(a.answer, "-", "a restart does not shorten it");
    sim_advance(&sim, 50);
    beat(&a);
    is_str(a.answer, "t0 t1", "when it is over the assignment is made");
    obey(&a);
    beat(&b);
    is_str(b.answer, "t2 t3", "for all");
    end();
    config = usual;
}

static void
test_assignors_allowed(void)
{
    struct coord_config usual = config;
    config.consumer_assignors = 1 << COORD_RANGE;
    config.consumer_assignor = COORD_RANGE;
    begin();
    struct client a = CLIENT(.id = "a", .assignor = "uniform"), b = CLIENT(.id = "b");
    is_int(beat(&a), OX_UNSUPPORTED_ASSIGNOR, "an assignor that is not among those allowed");
    is_int(beat(&b), OX_OK, "a member without a wish");
    is_int(consumer_group_assignor(group()), COORD_RANGE, "gets the first of those allowed");
    end();
    config = usual;
    config.consumer_size_max = 1;
    begin();
    struct client c = CLIENT(.id = "c"), d = CLIENT(.id = "d");
    beat(&c);
    is_int(beat(&d), OX_GROUP_MAX_SIZE_REACHED, "a group has a size of its own");
    end();
    config = usual;
}

/* Of the group with member a at epoch 2, here and below. */
static void
commit_offsets(void)
{
    static const struct {
        const char *member;
        int epoch, version;
        ox_code code;
        const char *what;
    } rows[] = {
        {"a", 2, 9, OX_OK, "commit: at the member's epoch"},
        {"a", 1, 9, OX_STALE_MEMBER_EPOCH, "commit: at another"},
        {"a", 3, 9, OX_STALE_MEMBER_EPOCH, "commit: ahead"},
        {"x", 2, 9, OX_UNKNOWN_MEMBER_ID, "commit: unknown member"},
        {"", -1, 9, OX_UNKNOWN_MEMBER_ID, "commit: an administrator, group in use"},
        {"a", 2, 8, OX_UNSUPPORTED_VERSION, "commit: an old version"},
    };
    for (size_t i = 0; i < ox_count(rows); i++) {
        struct sim_commit *commit = sim_commit_new();
        struct coord_offset offset = {.partition = 0, .offset = 7, .metadata = OX_STR("")};
        struct coord_offset_topic topic = {OX_STR("t"), &offset, 1};
        commit->c.tells_epochs = rows[i].version >= 9;
        commit->c.group_id = OX_STR("g");
        commit->c.member_id = ox_str(rows[i].member);
        commit->c.generation = rows[i].epoch;
        commit->c.retention_ms = -1;
        commit->c.topics = &topic;
        commit->c.topic_count = 1;
        coord_offset_commit(sim.coord, &commit->c);
        sim_run(&sim);
        is_int(offset.code, rows[i].code, rows[i].what);
        sim_commit_free(commit);
    }
}

static void
fetch_offsets(void)
{
    static const struct {
        const char *member;
        int epoch;
        ox_code code;
        const char *what;
    } fetches[] = {
        {"a", 2, OX_OK, "fetch: at the member's epoch"},
        {"a", 5, OX_STALE_MEMBER_EPOCH, "fetch: at another"},
        {"x", 2, OX_UNKNOWN_MEMBER_ID, "fetch: unknown member"},
        {NULL, -1, OX_OK, "fetch: nobody in particular"},
    };
    for (size_t i = 0; i < ox_count(fetches); i++) {
        struct sim_fetch *fetch = sim_fetch_new();
        struct coord_offset offset = {.partition = 0};
        struct coord_offset_topic topic = {OX_STR("t"), &offset, 1};
        fetch->c.group_id = OX_STR("g");
        fetch->c.member_id = ox_str(fetches[i].member);
        fetch->c.member_epoch = fetches[i].epoch;
        fetch->c.topics = &topic;
        fetch->c.topic_count = 1;
        coord_offset_fetch(sim.coord, &fetch->c);
        sim_run(&sim);
        is_int(fetch->c.call.code, fetches[i].code, fetches[i].what);
        is_int(offset.offset, fetches[i].code == OX_OK ? 7 : -1, "and its offset");
        sim_fetch_free(fetch);
    }
}

static void
describe_group(void)
{
    struct sim_describe *old = sim_describe_new();
    old->c.group_id = OX_STR("g");
    coord_describe(sim.coord, &old->c);
    sim_run(&sim);
    is_int(old->c.call.code, OX_GROUP_ID_NOT_FOUND, "describe: not a classic group");
    sim_describe_free(old);
    struct sim_modern_describe *describe = sim_modern_describe_new();
    describe->c.group_id = OX_STR("g");
    coord_modern_describe(sim.coord, &describe->c);
    sim_run(&sim);
    is_str(describe->c.state, "Stable", "describe: state");
    is_str(describe->c.assignor, "uniform", "assignor");
    ok(describe->c.group_epoch == 2 && describe->c.assignment_epoch == 2, "epochs");
    ok(describe->c.member_count == 1 && describe->c.members[0].assigned_count == 1 &&
           describe->c.members[0].assigned[0].partition_count == 4 &&
           ox_str_is(describe->c.members[0].assigned[0].topic, "t") &&
           describe->c.members[0].target_count == 1,
        "member, what it has and should have, by name");
    sim_modern_describe_free(describe);
}

static void
list_groups(void)
{
    struct sim_list *list = sim_list_new();
    coord_list(sim.coord, &list->c);
    sim_run(&sim);
    ok(list->c.group_count == 1 && strcmp(list->c.groups[0].type, "consumer") == 0 &&
           ox_str_is(list->c.groups[0].protocol_type, "consumer"),
        "list: type consumer");
    sim_list_free(list);
    struct sim_snapshot *snapshot = sim_snapshot_new();
    snapshot->c.with_members = snapshot->c.with_offsets = true;
    coord_snapshot(sim.coord, &snapshot->c);
    sim_run(&sim);
    ok(snapshot->c.groups[0].member_count == 1 &&
           snapshot->c.groups[0].members[0].assigned[0].partition_count == 4,
        "snapshot: members and what they have");
    sim_snapshot_free(snapshot);
}

static void
test_other_calls(void)
{
    begin();
    struct client a = CLIENT(.id = "a");
    beat(&a);
    obey(&a);
    commit_offsets();
    fetch_offsets();
    describe_group();
    list_groups();
    struct sim_delete *delete = sim_delete_new();
    delete->c.group_id = OX_STR("g");
    coord_delete(sim.coord, &delete->c);
    sim_run(&sim);
    is_int(delete->c.call.code, OX_NON_EMPTY_GROUP, "delete: it has members");
    a.epoch = -1;
    beat(&a);
    delete->done = 0;
    coord_delete(sim.coord, &delete->c);
    sim_run(&sim);
    is_int(delete->c.call.code, OX_OK, "delete: once they left");
    sim_delete_free(delete);
    is_str(state(), "none", "it is gone");
    restart();
    is_str(state(), "none", "replay: for good");
    end();
}

/* ---- records ---- */

static bool
last_record_is(int16_t type, const void *value, size_t len)
{
    for (size_t i = sim.log_count; i-- > 0;) {
        const struct sim_record *record = &sim.log[i];
        if (record->key.len < 2 || record->key.ptr[1] != type)
            continue;
        if (record->value.len == len && memcmp(record->value.ptr, value, len) == 0)
            return true;
        printf("# got");
        for (size_t j = 0; j < record->value.len; j++)
            printf(" %02x", (uint8_t)record->value.ptr[j]);
        printf("\n");
        return false;
    }
    return false;
}
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define T_ID 't', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0

static void
test_records(void)
{
    begin();
    struct client a = CLIENT(.id = "mm", .instance = "i");
    beat(&a);
    ok(last_record_is(KEY_CONSUMER_MEMBER,
           BYTES(0, 0, 2, 'i', 0, 4, 'c', 'l', 'i', 3, '/', 'h', 2, 2, 't', 0, 0, 0, 0xEA, 0x60, 0,
               1, 0, 1, 0)),
        "record 5: the member");
    ok(last_record_is(KEY_CONSUMER_TARGET_EPOCH, BYTES(0, 0, 0, 0, 0, 2, 1, 0, 8, 0, 0, 1, 0x8B, 0xCF, 0xE5, 0x68, 0)),
        "record 6: the target's epoch");
    ok(last_record_is(KEY_CONSUMER_TARGET,
           BYTES(0, 0, 2, T_ID, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0)),
        "record 7: the target");
    ok(last_record_is(KEY_CONSUMER_CURRENT,
           BYTES(0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 2, T_ID, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0,
               0, 0, 3, 1, 0, 17, 5, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 0)),
        "record 8: what it has");
    static const char order[] = {5, 3, 7, 6, 8};
    ok(sim.log_count == sizeof(order), "five records");
    for (size_t i = 0; i < sim.log_count && i < sizeof(order); i++)
        is_int(sim.log[i].key.ptr[1], order[i], "in Kafka's order");
    size_t before = sim.log_count;
    a.epoch = -1;
    beat(&a);
    static const char tombstones[] = {8, 7, 5, 3};
    for (size_t i = 0; i < sizeof(tombstones); i++)
        is_int(sim.log[before + i].key.ptr[1], tombstones[i], "leaving: tombstones in order");
    struct sim_delete *delete = sim_delete_new();
    before = sim.log_count;
    delete->c.group_id = OX_STR("g");
    coord_delete(sim.coord, &delete->c);
    sim_run(&sim);
    sim_delete_free(delete);
    ok(sim.log_count == before + 2 && sim.log[before].key.ptr[1] == 6 &&
           sim.log[before + 1].key.ptr[1] == 3,
        "deleting: 6, 3");
    end();
}

/* ---- assignors ---- */

static void
test_assignors(void)
{
    begin();
    struct client a = CLIENT(.id = "a", .topics = "t u", .assignor = "range");
    struct client b = CLIENT(.id = "b", .topics = "t u", .instance = "z", .assignor = "range");
    beat(&a);
    beat(&b);
    obey(&a);
    obey(&a);
    beat(&b);
    obey(&b);
    is_str(b.owned, "t0 t1 u0", "range: the one with an instance id first");
    is_str(a.owned, "t2 t3 u1", "then the other, each a run of every topic");
    end();

    /* Uniform, directly: random groups against its promises. */
    struct rand_state rnd;
    ox_rand_seed(&rnd, 7);
    int unbalanced = 0, moved = 0, missing = 0;
    for (int round = 0; round < 300; round++) {
        struct assign_topic topics[4];
        struct assign_member members[6];
        uint32_t topic_count = 1 + (uint32_t)ox_rand_below(&rnd, 4);
        uint32_t member_count = 1 + (uint32_t)ox_rand_below(&rnd, 6), total = 0;
        uint32_t all[] = {0, 1, 2, 3};
        static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
        memset(topics, 0, sizeof(topics));
        for (uint32_t t = 0; t < topic_count; t++) {
            topics[t].id.bytes[0] = (uint8_t)(t + 1);
            topics[t].partition_count = (int32_t)ox_rand_below(&rnd, 9);
            total += (uint32_t)topics[t].partition_count;
        }
        for (uint32_t m = 0; m < member_count; m++)
            members[m] = (struct assign_member){.id = ox_str(ids[m]), .topics = all,
                .topic_count = topic_count};
        assign_uniform(topics, topic_count, members, member_count);
        uint32_t low = UINT32_MAX, high = 0, sum = 0;
        struct tpset before[6];
        for (uint32_t m = 0; m < member_count; m++) {
            low = OX_MIN(low, members[m].target.count);
            high = OX_MAX(high, members[m].target.count);
            sum += members[m].target.count;
            before[m] = members[m].target;
        }
        unbalanced += high - low > 1;
        missing += sum != total;
        /* The last member goes: only its partitions move. */
        uint32_t left = member_count - 1, kept = 0, had = 0;
        for (uint32_t m = 0; m < left; m++)
            members[m].before = &before[m];
        assign_uniform(topics, topic_count, members, left);
        for (uint32_t m = 0; m < left; m++) {
            had += before[m].count;
            for (uint32_t i = 0; i < before[m].count; i++)
                kept += tpset_has(&members[m].target, &before[m].at[i]);
            tpset_fini(&members[m].target);
        }
        moved += kept != had;
        for (uint32_t m = 0; m < member_count; m++)
            tpset_fini(&before[m]);
    }
    is_int(unbalanced, 0, "uniform: counts differ by one at most");
    is_int(missing, 0, "uniform: nothing is left out");
    is_int(moved, 0, "uniform: when a member goes, nobody else loses anything");

    struct assign_topic topics[] = {{{{1}}, 6}, {{{2}}, 2}};
    uint32_t both[] = {0, 1}, first[] = {0};
    struct assign_member members[] = {
        {.id = OX_STR("a"), .topics = both, .topic_count = 2},
        {.id = OX_STR("b"), .topics = first, .topic_count = 1},
    };
    assign_uniform(topics, 2, members, 2);
    is_int(members[0].target.count, 4, "uniform: different subscriptions, the one");
    is_int(members[1].target.count, 4, "and the other");
    tpset_fini(&members[0].target);
    tpset_fini(&members[1].target);
}

int
main(void)
{
    clients_start();
    test_request();
    test_epochs();
    test_leave();
    test_rebalance_timeout();
    test_static();
    test_changes();
    test_regex();
    test_log();
    test_alone();
    test_refused();
    test_settings();
    test_assignment_interval();
    test_assignors_allowed();
    test_other_calls();
    test_records();
    test_assignors();
    return done();
}
