/* SPDX-License-Identifier: Apache-2.0
 *
 * Committed offsets: commit, fetch, delete, expiry, deletion of topics and
 * groups, list, describe, snapshot. */
#include "coord_sim.h"
#include "tap.h"

static struct sim sim;
static struct coord_config config;
static const char *member_id; /* of a stable group of one, generation 1 */

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

struct commit_args {
    const char *group, *member, *instance, *topic, *metadata;
    int64_t offset, retention;
    int generation, partition, version, epoch;
    ox_code preset;
};

static struct coord_offset_topic commit_topics[16];
static struct coord_offset commit_offsets[16];
static int commit_slot;

static struct sim_commit *
commit_start(struct commit_args args)
{
    struct sim_commit *commit = sim_commit_new();
    int slot = commit_slot++ % 16;
    commit_offsets[slot] = (struct coord_offset){.partition = args.partition,
        .leader_epoch = args.epoch, .offset = args.offset, .metadata = ox_str(args.metadata),
        .code = args.preset};
    commit_topics[slot] = (struct coord_offset_topic){ox_str(args.topic ? args.topic : "t"),
        &commit_offsets[slot], 1};
    commit->c.tells_epochs = args.version >= 9;
    commit->c.group_id = ox_str(args.group ? args.group : "g");
    commit->c.member_id = ox_str(args.member ? args.member : "");
    commit->c.instance_id = ox_str(args.instance);
    commit->c.generation = args.generation ? args.generation : -1;
    commit->c.retention_ms = args.retention ? args.retention : -1;
    commit->c.topics = &commit_topics[slot];
    commit->c.topic_count = 1;
    coord_offset_commit(sim.coord, &commit->c);
    sim_run(&sim);
    return commit;
}

static ox_code
commit_code(struct commit_args args)
{
    struct sim_commit *commit = commit_start(args);
    ox_assert(commit->done);
    ox_code code = commit->c.topics[0].partitions[0].code;
    sim_commit_free(commit);
    return code;
}
/* No generation: -1, as an administrator. */
#define COMMIT(...) commit_code((struct commit_args){__VA_ARGS__})

struct fetched {
    ox_code code, top;
    int64_t offset, commit_ms;
    int32_t epoch;
    char metadata[64];
};

static struct fetched
fetch_of(const char *group, const char *topic, int partition, bool stable)
{
    struct sim_fetch *fetch = sim_fetch_new();
    struct coord_offset offset = {.partition = partition};
    struct coord_offset_topic one = {ox_str(topic), &offset, 1};
    struct fetched out;
    fetch->c.group_id = ox_str(group);
    fetch->c.member_epoch = -1;
    fetch->c.require_stable = stable;
    fetch->c.topics = &one;
    fetch->c.topic_count = 1;
    coord_offset_fetch(sim.coord, &fetch->c);
    sim_run(&sim);
    ox_assert(fetch->done);
    out = (struct fetched){offset.code, fetch->c.call.code, offset.offset, offset.commit_ms,
        offset.leader_epoch, ""};
    snprintf(out.metadata, sizeof(out.metadata), "%.*s", OX_STR_ARG(offset.metadata));
    sim_fetch_free(fetch);
    return out;
}

static int64_t
fetch(const char *topic, int partition)
{
    return fetch_of("g", topic, partition, false).offset;
}

static struct group *
group(void)
{
    return group_find(&sim.coord->shards[0], OX_STR("g"));
}

static ox_code
beat(int generation)
{
    struct sim_beat *call = sim_beat_new();
    call->c.group_id = OX_STR("g");
    call->c.member_id = ox_str(member_id);
    call->c.generation = generation;
    coord_heartbeat(sim.coord, &call->c);
    sim_run(&sim);
    ox_code code = call->c.call.code;
    sim_beat_free(call);
    return code;
}

static const char subscription[] = {0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 0, 0, 0, 0, 0};
static const char assignment[] = {0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
    0, 0, 0, 0};

/* One member, subscribed to "t", up to CompletingRebalance. */
static void
completing(const char *type, struct str metadata)
{
    static char id[64];
    struct sim_join *join = sim_join_new();
    struct coord_join_protocol protocol = {OX_STR("range"), metadata};
    join->c.version = 3;
    join->c.group_id = OX_STR("g");
    join->c.member_id = OX_STR("");
    join->c.client_id = OX_STR("cli");
    join->c.client_host = OX_STR("/h");
    join->c.protocol_type = ox_str(type);
    join->c.protocols = &protocol;
    join->c.protocol_count = 1;
    join->c.session_timeout_ms = 10000;
    join->c.rebalance_timeout_ms = 60000;
    coord_join(sim.coord, &join->c);
    sim_advance(&sim, 3000);
    ox_assert(join->done);
    snprintf(id, sizeof(id), "%.*s", OX_STR_ARG(join->c.out_member_id));
    member_id = id;
    sim_join_free(join);
}

static void
stable(const char *type, struct str metadata)
{
    completing(type, metadata);
    struct sim_sync *sync = sim_sync_new();
    struct coord_sync_assignment own = {ox_str(member_id),
        ox_str_n(assignment, sizeof(assignment))};
    sync->c.group_id = OX_STR("g");
    sync->c.member_id = ox_str(member_id);
    sync->c.generation = 1;
    sync->c.assignments = &own;
    sync->c.assignment_count = 1;
    coord_sync(sim.coord, &sync->c);
    sim_run(&sim);
    ox_assert(sync->done);
    sim_sync_free(sync);
}

static void
stable_consumer(void)
{
    stable("consumer", ox_str_n(subscription, sizeof(subscription)));
}

static ox_code
leave(void)
{
    struct sim_leave *call = sim_leave_new();
    struct coord_leave_member leaver = {ox_str(member_id), OX_STR_NULL, OX_OK};
    call->c.group_id = OX_STR("g");
    call->c.members = &leaver;
    call->c.member_count = 1;
    coord_leave(sim.coord, &call->c);
    sim_run(&sim);
    sim_leave_free(call);
    return leaver.code;
}

static ox_code
offset_delete(const char *name, const char *topic, int partition, ox_code *top)
{
    struct sim_offset_delete *call = sim_offset_delete_new();
    struct coord_offset offset = {.partition = partition};
    struct coord_offset_topic one = {ox_str(topic), &offset, 1};
    call->c.group_id = ox_str(name);
    call->c.topics = &one;
    call->c.topic_count = 1;
    coord_offset_delete(sim.coord, &call->c);
    sim_run(&sim);
    ox_assert(call->done);
    if (top != NULL)
        *top = call->c.call.code;
    sim_offset_delete_free(call);
    return offset.code;
}

static ox_code
delete_group(const char *name)
{
    struct sim_delete *call = sim_delete_new();
    call->c.group_id = ox_str(name);
    coord_delete(sim.coord, &call->c);
    sim_run(&sim);
    ox_assert(call->done);
    ox_code code = call->c.call.code;
    sim_delete_free(call);
    return code;
}

/* Another life: the log is replayed by new coordinators. */
static void
restart(void)
{
    static int32_t epoch;
    sim_detach(&sim);
    sim_attach(&sim, &config, 1, ++epoch);
}

/* ---- tests ---- */

static void
test_commit(void)
{
    begin();
    is_int(COMMIT(.offset = 5, .generation = 5), OX_ILLEGAL_GENERATION,
        "commit: a generation, but no group");
    is_int(COMMIT(.offset = 5, .generation = 5, .version = 9), OX_GROUP_ID_NOT_FOUND,
        "commit: the same from version 9 on");
    ok(group() == NULL, "neither makes a group");
    is_int(fetch("t", 0), -1, "nothing to fetch");
    is_int(COMMIT(.offset = 5, .epoch = 7, .metadata = "hello"), OX_OK,
        "commit: no generation makes a simple group");
    struct fetched got = fetch_of("g", "t", 0, true);
    is_int(got.offset, 5, "fetch: the offset");
    is_int(got.epoch, 7, "fetch: the leader epoch");
    is_str(got.metadata, "hello", "fetch: the metadata");
    is_int(got.commit_ms, sim.wall, "fetch: the time of the broker");
    is_int(COMMIT(.offset = 6, .epoch = -1), OX_OK, "commit: null metadata");
    is_str(fetch_of("g", "t", 0, false).metadata, "", "is an empty string");
    is_int(fetch("t", 0), 6, "the later commit counts");
    is_int(fetch("t", 1), -1, "another partition has none");
    is_int(fetch_of("h", "t", 1, false).code, OX_OK, "an unknown group is no error");
    is_int(COMMIT(.offset = 1, .group = ""), OX_OK, "commit: the group id may be empty");
    is_int(fetch_of("", "t", 0, false).offset, 1, "and fetched");
    is_int(COMMIT(.offset = 9, .preset = OX_TOPIC_AUTHORIZATION_FAILED),
        OX_TOPIC_AUTHORIZATION_FAILED, "a partition that failed before is skipped");
    is_int(fetch("t", 0), 6, "and not written");
    is_int(COMMIT(.offset = 1, .generation = 1, .member = "m"), OX_UNKNOWN_MEMBER_ID,
        "commit: a member of an empty group");
    restart();
    is_int(fetch("t", 0), 6, "replay: offsets are back");
    end();
}

static void
test_commit_states(void)
{
    begin();
    completing("consumer", OX_STR("x"));
    is_int(COMMIT(.offset = 1, .generation = 1, .member = member_id), OX_REBALANCE_IN_PROGRESS,
        "commit: completing");
    is_int(COMMIT(.offset = 1), OX_UNKNOWN_MEMBER_ID, "commit: no member, but the group has");
    end();
    begin();
    stable_consumer();
    is_int(COMMIT(.offset = 1, .generation = 1, .member = "x"), OX_UNKNOWN_MEMBER_ID,
        "commit: unknown member");
    is_int(COMMIT(.offset = 1, .generation = 1, .member = member_id, .instance = "i"),
        OX_UNKNOWN_MEMBER_ID, "commit: unknown instance");
    is_int(COMMIT(.offset = 1, .generation = 2, .member = member_id), OX_ILLEGAL_GENERATION,
        "commit: another generation");
    is_int(COMMIT(.offset = 1, .member = member_id), OX_ILLEGAL_GENERATION,
        "commit: a member without its generation");
    is_int(COMMIT(.offset = 1), OX_UNKNOWN_MEMBER_ID, "commit: an administrator, group in use");
    is_int(COMMIT(.offset = 1, .generation = 1, .member = member_id), OX_OK, "commit: stable");
    for (int i = 0; i < 5; i++) {
        sim_advance(&sim, 9000);
        is_int(COMMIT(.offset = i, .generation = 1, .member = member_id), OX_OK,
            "commit: keeps the session alive");
    }
    sim_advance(&sim, 9000);
    is_int(beat(1), OX_OK, "so it is");
    is_int(leave(), OX_OK, "the member leaves");
    is_int(COMMIT(.offset = 77), OX_OK, "commit: an administrator, group empty");
    end();
}

static void
test_commit_log(void)
{
    char big[4098];
    begin();
    memset(big, 'x', sizeof(big));
    big[4097] = '\0';
    is_int(COMMIT(.offset = 1, .metadata = big), OX_OFFSET_METADATA_TOO_LARGE,
        "commit: metadata too large");
    big[4096] = '\0';
    is_int(COMMIT(.offset = 1, .metadata = big), OX_OK, "commit: metadata of 4096 units");
    for (int i = 0; i < 4096; i += 4)
        memcpy(big + i, "\xF0\x9F\x98\x80", 4);
    is_int(COMMIT(.offset = 1, .metadata = big), OX_OK, "2048 units in 4096 bytes");
    static const struct {
        ox_code append, answer;
    } failures[] = {
        {OX_UNKNOWN_TOPIC_OR_PARTITION, OX_COORDINATOR_NOT_AVAILABLE},
        {OX_NOT_ENOUGH_REPLICAS, OX_COORDINATOR_NOT_AVAILABLE},
        {OX_NOT_ENOUGH_REPLICAS_AFTER_APPEND, OX_COORDINATOR_NOT_AVAILABLE},
        {OX_REQUEST_TIMED_OUT, OX_COORDINATOR_NOT_AVAILABLE},
        {OX_NOT_LEADER, OX_NOT_COORDINATOR},
        {OX_FENCED_LEADER_EPOCH, OX_NOT_COORDINATOR},
        {OX_STORAGE_ERROR, OX_NOT_COORDINATOR},
        {OX_DISK_FULL, OX_NOT_COORDINATOR},
        {OX_MESSAGE_TOO_LARGE, OX_UNKNOWN_SERVER_ERROR},
    };
    for (size_t i = 0; i < ox_count(failures); i++) {
        sim.fail = failures[i].append;
        is_int(COMMIT(.offset = 100, .topic = "f"), failures[i].answer,
            ox_code_facts(failures[i].append)->name);
    }
    sim.fail = OX_OK;
    is_int(fetch("f", 0), -1, "what was not logged is not there");

    sim.hold = true;
    struct sim_commit *commit = commit_start((struct commit_args){.offset = 8});
    ok(!commit->done && fetch("t", 0) == 1, "an offset is fetched only once it is committed");
    sim.hold = false;
    sim_run(&sim);
    ok(commit->done && fetch("t", 0) == 8, "then it is");
    sim_commit_free(commit);

    sim.hold = true;
    size_t batches = sim.batch_total;
    struct sim_commit *many[10];
    for (int i = 0; i < 10; i++)
        many[i] = commit_start((struct commit_args){.offset = i, .partition = i});
    sim.hold = false;
    sim_run(&sim);
    is_int(sim.batch_total - batches, 2, "commits that wait for the log leave in one batch");
    for (int i = 0; i < 10; i++) {
        ok(many[i]->done && fetch("t", i) == i, "each is answered");
        sim_commit_free(many[i]);
    }

    sim.hold = true;
    struct sim_commit *sent = commit_start((struct commit_args){.offset = 50});
    struct sim_commit *queued = commit_start((struct commit_args){.offset = 51});
    sim_advance(&sim, 5000);
    is_int(sent->c.topics[0].partitions[0].code, OX_COORDINATOR_NOT_AVAILABLE,
        "a commit waits five seconds for the log");
    ok(queued->done, "also behind another");
    sim.hold = false;
    sim_run(&sim);
    is_int(fetch("t", 0), 50, "one that was sent takes effect when it is committed after all");
    sim_commit_free(sent);
    sim_commit_free(queued);

    config.batch_bytes_max = 1000;
    restart();
    sim.hold = false;
    memset(big, 'x', 2000);
    big[2000] = '\0';
    is_int(COMMIT(.offset = 1, .metadata = big), OX_UNKNOWN_SERVER_ERROR,
        "records that no batch can hold");
    config.batch_bytes_max = 1000000;
    end();
}

static void
test_fetch_all(void)
{
    begin();
    COMMIT(.offset = 1, .topic = "b", .partition = 3);
    COMMIT(.offset = 2, .topic = "a", .partition = 1);
    COMMIT(.offset = 3, .topic = "b", .partition = 0);
    struct sim_fetch *call = sim_fetch_new();
    call->c.group_id = OX_STR("g");
    coord_offset_fetch(sim.coord, &call->c);
    sim_run(&sim);
    is_int(call->c.topic_count, 2, "fetch all: both topics");
    ok(ox_str_is(call->c.topics[0].name, "b") && call->c.topics[0].partition_count == 2,
        "in order of their first commit");
    is_int(call->c.topics[0].partitions[0].partition, 0, "partitions ascending");
    is_int(call->c.topics[0].partitions[1].offset, 1, "with their offsets");
    sim_fetch_free(call);
    call = sim_fetch_new();
    call->c.group_id = OX_STR("nobody");
    coord_offset_fetch(sim.coord, &call->c);
    sim_run(&sim);
    ok(call->c.call.code == OX_OK && call->c.topic_count == 0, "fetch all: of an unknown group");
    sim_fetch_free(call);
    coord_resigned(sim.coord, 0, 1000);
    sim_run(&sim);
    struct fetched got = fetch_of("g", "b", 0, false);
    ok(got.top == OX_NOT_COORDINATOR && got.code == OX_NOT_COORDINATOR && got.offset == -1,
        "fetch: elsewhere");
    is_int(COMMIT(.offset = 1), OX_NOT_COORDINATOR, "commit: elsewhere");
    end();
}

static void
test_offset_delete(void)
{
    ox_code top;
    begin();
    offset_delete("", "t", 0, &top);
    is_int(top, OX_INVALID_GROUP_ID, "offset delete: empty group id");
    offset_delete("g", "t", 0, &top);
    is_int(top, OX_GROUP_ID_NOT_FOUND, "offset delete: no such group");
    COMMIT(.offset = 1);
    COMMIT(.offset = 2, .topic = "u");
    is_int(offset_delete("g", "x", 0, NULL), OX_OK, "offset delete: no offset there");
    is_int(offset_delete("g", "t", 0, NULL), OX_OK, "offset delete: done");
    is_int(fetch("t", 0), -1, "it is gone");
    is_int(fetch("u", 0), 2, "the other is not");
    COMMIT(.offset = 1);
    stable_consumer();
    is_int(offset_delete("g", "t", 0, NULL), OX_GROUP_SUBSCRIBED_TO_TOPIC,
        "offset delete: a topic the group reads");
    is_int(offset_delete("g", "u", 0, NULL), OX_OK, "offset delete: one it does not");
    restart();
    is_int(fetch("u", 0), -1, "replay: it stays deleted");
    is_int(fetch("t", 0), 1, "replay: and the other there");
    end();
    begin();
    COMMIT(.offset = 1);
    stable("consumer", OX_STR("garbage"));
    is_int(offset_delete("g", "u", 0, NULL), OX_GROUP_SUBSCRIBED_TO_TOPIC,
        "offset delete: unreadable subscriptions may be to anything");
    end();
    begin();
    COMMIT(.offset = 1);
    stable("connect", OX_STR("x"));
    offset_delete("g", "t", 0, &top);
    is_int(top, OX_NON_EMPTY_GROUP, "offset delete: members of another protocol type");
    leave();
    is_int(offset_delete("g", "t", 0, NULL), OX_OK, "offset delete: once they left");
    end();
    begin();
    COMMIT(.offset = 1);
    offset_delete("g", "t", 0, NULL);
    ok(group() != NULL, "a group without its offsets stays");
    restart();
    ok(group() != NULL, "replay: it does");
    sim_advance(&sim, 600000);
    ok(group() == NULL, "until the next sweep");
    COMMIT(.offset = 1);
    offset_delete("g", "t", 0, NULL);
    is_int(delete_group("g"), OX_OK, "or until it is deleted");
    ok(group() == NULL, "which is at once");
    end();
}

static void
test_expiry(void)
{
    const uint64_t day = 86400000;
    begin();
    COMMIT(.offset = 1);
    sim_advance(&sim, 6 * day);
    COMMIT(.offset = 2, .partition = 1);
    sim_advance(&sim, day - 1000000);
    is_int(fetch("t", 0), 1, "simple group: an offset lives seven days");
    sim_advance(&sim, 2000000);
    is_int(fetch("t", 0), -1, "from its commit");
    is_int(fetch("t", 1), 2, "each by itself");
    sim_advance(&sim, 6 * day);
    ok(group() == NULL, "with the last offset the group goes");
    restart();
    ok(group() == NULL, "replay: for good");
    end();

    begin();
    COMMIT(.offset = 1, .topic = "t");
    COMMIT(.offset = 1, .topic = "u");
    stable_consumer();
    for (uint64_t at = 0; at < 8 * day; at += 1500000) {
        sim_advance(&sim, 9000);
        ox_assert(beat(1) == OX_OK);
        sim.mono += 1491000 - 9000 * 2; /* time flies: sessions are not the point here */
        sim.wall += 1491000;
        struct member *own = group_member(group(), ox_str(member_id));
        member_restart_session(own, 10000);
        sim_run(&sim);
    }
    is_int(fetch("t", 0), 1, "stable group: what is subscribed does not expire");
    is_int(fetch("u", 0), -1, "what is not, does");
    leave();
    is_str(group_state_name(group()), "Empty", "all have left");
    sim_advance(&sim, 7 * day - 1000000);
    is_int(fetch("t", 0), 1, "empty group: seven days");
    sim_advance(&sim, 2000000);
    ok(group() == NULL, "from when it became empty");
    end();

    begin();
    COMMIT(.offset = 1, .retention = 1000000);
    restart();
    sim_advance(&sim, 600000);
    is_int(fetch("t", 0), 1, "an explicit retention");
    sim_advance(&sim, 600000);
    is_int(fetch("t", 0), -1, "is kept to");
    end();

    begin();
    stable_consumer();
    leave();
    ok(group() != NULL, "an empty group without offsets");
    sim_advance(&sim, 600000);
    ok(group() == NULL, "goes at the next sweep");
    end();
}

static void
test_topic_deleted(void)
{
    begin();
    COMMIT(.offset = 1, .topic = "t");
    COMMIT(.offset = 2, .topic = "t", .partition = 5);
    COMMIT(.offset = 3, .topic = "u");
    COMMIT(.offset = 4, .topic = "t", .group = "h");
    coord_topic_deleted(sim.coord, OX_STR("t"));
    sim_run(&sim);
    ok(fetch("t", 0) == -1 && fetch("t", 5) == -1, "a topic's deletion takes its offsets along");
    is_int(fetch_of("h", "t", 0, false).offset, -1, "in every group");
    is_int(fetch("u", 0), 3, "and no others");
    restart();
    ok(fetch("t", 0) == -1 && fetch("u", 0) == 3, "replay: the same");
    sim.gone = OX_STR("u");
    restart();
    is_int(fetch("u", 0), -1, "a topic that went unseen is noticed at load");
    end();
}

static void
test_delete_group(void)
{
    begin();
    is_int(delete_group("g"), OX_GROUP_ID_NOT_FOUND, "delete: no such group");
    COMMIT(.offset = 1);
    stable_consumer();
    is_int(delete_group("g"), OX_NON_EMPTY_GROUP, "delete: it has members");
    leave();
    sim.fail = OX_NOT_ENOUGH_REPLICAS;
    is_int(delete_group("g"), OX_COORDINATOR_NOT_AVAILABLE, "delete: the log does not take it");
    sim.fail = OX_OK;
    is_int(fetch("t", 0), 1, "then nothing is deleted");
    is_str(group_state_name(group()), "Empty", "and the group is back");

    sim.hold = true;
    struct sim_commit *before = commit_start(
        (struct commit_args){.offset = 2, .partition = 2});
    struct sim_delete *delete = sim_delete_new();
    delete->c.group_id = OX_STR("g");
    coord_delete(sim.coord, &delete->c);
    sim_run(&sim);
    ok(!delete->done, "delete waits for commits that are on their way");
    struct sim_commit *after = commit_start((struct commit_args){.offset = 3});
    is_int(after->c.topics[0].partitions[0].code, OX_COORDINATOR_NOT_AVAILABLE,
        "a commit to a group that is being deleted comes back");
    is_int(delete_group("g"), OX_GROUP_ID_NOT_FOUND, "a second delete finds it dead");
    struct sim_join *join = sim_join_new();
    struct coord_join_protocol protocol = {OX_STR("range"), OX_STR("")};
    join->c.group_id = OX_STR("g");
    join->c.session_timeout_ms = 10000;
    join->c.protocol_type = OX_STR("consumer");
    join->c.protocols = &protocol;
    join->c.protocol_count = 1;
    coord_join(sim.coord, &join->c);
    sim_run(&sim);
    is_int(join->c.call.code, OX_COORDINATOR_NOT_AVAILABLE, "join: dead");
    sim_join_free(join);
    is_int(beat(1), OX_COORDINATOR_NOT_AVAILABLE, "heartbeat: dead");
    is_int(leave(), OX_COORDINATOR_NOT_AVAILABLE, "leave: dead");
    ox_code top;
    offset_delete("g", "t", 0, &top);
    is_int(top, OX_GROUP_ID_NOT_FOUND, "offset delete: dead");
    sim.hold = false;
    sim_run(&sim);
    ok(before->done && before->c.topics[0].partitions[0].code == OX_OK, "the commit was taken");
    ok(delete->done && delete->c.call.code == OX_OK, "and deleted with the group");
    ok(group() == NULL && fetch("t", 2) == -1, "all gone");
    sim_commit_free(before);
    sim_commit_free(after);
    sim_delete_free(delete);
    restart();
    ok(group() == NULL, "replay: gone");
    end();

    config.batch_bytes_max = 400;
    begin();
    for (int i = 0; i < 50; i++)
        COMMIT(.offset = i, .partition = i);
    is_int(delete_group("g"), OX_OK, "a large group is deleted in several batches");
    restart();
    ok(group() == NULL, "replay: completely");
    end();
    config.batch_bytes_max = 1000000;
}

static void
test_transactional_replay(void)
{
    begin();
    COMMIT(.offset = 1);
    COMMIT(.offset = 1, .partition = 1);
    struct sim other;
    sim_init(&other, &config, 0);
    other.coord = coord_new(&config, &other.host);
    for (int i = 0; i < SIM_PARTITIONS_MAX; i++)
        other.alarms[i] = UINT64_MAX;
    coord_set_partitions(other.coord, 1);
    other.hold_load = true;
    coord_elected(other.coord, 0, 0);
    sim_run(&other);
    other.load_wanted[0] = false;
    struct arena *arena = &other.arena;
    struct coord_replayed record = {.offset = 10, .transactional = true, .producer_id = 7};
#define REPLAY(at, txn, producer, partition_, value_) \
    record.offset = (at); \
    record.transactional = (txn); \
    record.producer_id = (producer); \
    record.key = record_offset_key(arena, OX_STR("g"), OX_STR("t"), (partition_)); \
    record.value = record_offset_value(arena, (value_), -1, OX_STR("m"), 5, -1); \
    ok(coord_replay(other.coord, 0, 0, &record), "replay")
    REPLAY(0, false, -1, 0, 100);
    REPLAY(1, true, 7, 0, 200);
    REPLAY(2, true, 7, 1, 201);
    REPLAY(3, false, -1, 1, 300);
    REPLAY(4, true, 8, 2, 400);
    REPLAY(5, true, 9, 3, 500);
    REPLAY(6, true, 10, 4, 600);
    REPLAY(7, true, 11, 5, 700);
    record.transactional = false;
    record.producer_id = -1;
    record.key = record_offset_key(arena, OX_STR("g"), OX_STR("t"), 4);
    record.value = OX_STR_NULL;
    ok(coord_replay(other.coord, 0, 0, &record), "replay: a tombstone");
    ok(coord_replay_marker(other.coord, 0, 0, 7, 0, true), "commit of one");
    ok(coord_replay_marker(other.coord, 0, 0, 10, 0, true), "of one that has nothing left");
    ok(coord_replay_marker(other.coord, 0, 0, 8, 0, false), "abort of another");
    coord_loaded(other.coord, 0, 0, OX_OK);
    struct sim keep = sim;
    sim = other;
    sim.host.self = &sim;
    sim.coord->host = &sim.host;
    ox_list_init(&sim.entering);
    ox_list_init(&sim.leaving);
    is_int(fetch("t", 0), 200, "a committed transaction's offset counts");
    is_int(fetch("t", 1), 300, "unless a later commit has overtaken it");
    is_int(fetch("t", 2), -1, "an aborted one does not");
    is_int(fetch("t", 3), -1, "an open one not yet");
    is_int(fetch_of("g", "t", 3, true).code, OX_UNSTABLE_OFFSET_COMMIT,
        "and whoever wants stable offsets must come back");
    is_int(fetch_of("g", "t", 0, true).code, OX_OK, "for that partition only");
    is_int(fetch("t", 4), -1, "what was deleted meanwhile is not committed");
    is_int(offset_delete("g", "t", 5, NULL), OX_OK, "one that is open is deleted");
    is_int(fetch_of("g", "t", 5, true).code, OX_OK, "and is stable then");
    coord_topic_deleted(sim.coord, OX_STR("t"));
    sim_run(&sim);
    is_int(fetch_of("g", "t", 3, true).code, OX_OK, "a deleted topic's are dropped");
    sim_fini(&sim);
    sim = keep;
    end();
}

/* Two transactions, of which one has the partition twice, and a topic of the same
 * name in another group: each place is stable when the last of its own has ended. */
static void
test_pending_places(void)
{
    begin();
    COMMIT(.offset = 1);
    COMMIT(.offset = 1, .group = "h");
    struct coord_replayed record = {.transactional = true};
    struct arena *arena = &sim.arena;
    static const struct {
        int64_t producer;
        const char *group, *topic;
        int partition;
    } held[] = {{7, "g", "t", 0}, {7, "g", "t", 0}, {8, "g", "t", 0}, {8, "g", "t", 1},
        {8, "g", "u", 0}, {9, "h", "t", 0}};
    struct group *of[2] = {group(), group_find(&sim.coord->shards[0], OX_STR("h"))};
    for (int i = 0; i < 6; i++) {
        record.offset = 100 + i;
        record.producer_id = held[i].producer;
        record.key = record_offset_key(arena, ox_str(held[i].group), ox_str(held[i].topic),
            held[i].partition);
        record.value = record_offset_value(arena, 10 + i, -1, OX_STR("m"), 5, -1);
        offsets_replay_txn(&sim.coord->shards[0], &record);
    }
#define PENDING(group_, topic_, partition_) \
    (fetch_of((group_), (topic_), (partition_), true).code == OX_UNSTABLE_OFFSET_COMMIT)
    ok(PENDING("g", "t", 0) && PENDING("g", "t", 1) && PENDING("g", "u", 0) &&
           PENDING("h", "t", 0),
        "what open transactions have is not stable");
    ok(!PENDING("g", "t", 2) && !PENDING("g", "v", 0) && !PENDING("h", "t", 1) &&
           !PENDING("h", "u", 0) && !PENDING("i", "t", 0),
        "what they do not have is: partitions, topics, groups");
    offsets_replay_marker(&sim.coord->shards[0], 7, true);
    ok(PENDING("g", "t", 0), "one of two that have the partition ends: not stable yet");
    is_int(fetch("t", 0), 11, "it counts, with the last it had");
    offsets_forget_held(of[0], OX_STR("t"), 1);
    ok(!PENDING("g", "t", 1) && PENDING("g", "t", 0) && of[0]->txns == 2,
        "a tombstone ends those of its partition alone");
    offsets_replay_marker(&sim.coord->shards[0], 8, false);
    ok(!PENDING("g", "t", 0) && !PENDING("g", "u", 0), "the other ends, too: stable");
    ok(of[0]->held.count == 0 && of[0]->txns == 0, "and nothing is kept of them");
    ok(PENDING("h", "t", 0) && of[1]->txns == 1, "another group's are its own");
    offsets_replay_txn(&sim.coord->shards[0], &record);
    offsets_forget_held(of[1], OX_STR("t"), 0);
    ok(of[1]->txns == 0 && !PENDING("h", "t", 0), "a tombstone ends all of the partition");
    end();
}

/* ---- describe, list, snapshot ---- */

static struct sim_describe *
describe(const char *name)
{
    struct sim_describe *call = sim_describe_new();
    call->c.group_id = ox_str(name);
    coord_describe(sim.coord, &call->c);
    sim_run(&sim);
    ox_assert(call->done);
    return call;
}

static void
test_describe(void)
{
    begin();
    struct sim_describe *call = describe("g");
    is_int(call->c.call.code, OX_GROUP_ID_NOT_FOUND, "describe: unknown");
    is_str(call->c.state, "Dead", "is dead");
    sim_describe_free(call);
    COMMIT(.offset = 1);
    call = describe("g");
    is_str(call->c.state, "Empty", "describe: simple group");
    is_int(call->c.protocol_type.len, 0, "of no type");
    sim_describe_free(call);
    completing("consumer", ox_str_n(subscription, sizeof(subscription)));
    call = describe("g");
    is_str(call->c.state, "CompletingRebalance", "describe: completing");
    is_int(call->c.member_count, 1, "members are listed");
    ok(call->c.members[0].metadata.len == 0 && call->c.protocol.len == 0,
        "without metadata and protocol");
    sim_describe_free(call);
    end();
    begin();
    stable_consumer();
    call = describe("g");
    is_str(call->c.state, "Stable", "describe: stable");
    ok(ox_str_is(call->c.protocol, "range") && ox_str_is(call->c.protocol_type, "consumer"),
        "protocol and type");
    is_int(call->c.members[0].metadata.len, sizeof(subscription), "with metadata");
    is_int(call->c.members[0].assignment.len, sizeof(assignment), "and assignment");
    ok(ox_str_is(call->c.members[0].client_host, "/h"), "the host has its slash");
    sim_describe_free(call);
    end();
}

static struct sim_list *
list(const char *state, const char *type)
{
    static struct str states[1], types[1];
    struct sim_list *call = sim_list_new();
    states[0] = ox_str(state);
    types[0] = ox_str(type);
    call->c.states = states;
    call->c.state_count = state != NULL;
    call->c.types = types;
    call->c.type_count = type != NULL;
    coord_list(sim.coord, &call->c);
    sim_run(&sim);
    ox_assert(call->done);
    return call;
}

static void
test_list(void)
{
    sim_init(&sim, &config, 8);
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < ox_count(names); i++)
        COMMIT(.offset = 1, .group = names[i]);
    struct sim_list *call = list(NULL, NULL);
    is_int(call->c.group_count, 6, "list: of all shards");
    is_str(call->c.groups[0].type, "classic", "with their type");
    sim_list_free(call);
    call = list("EMPTY", NULL);
    is_int(call->c.group_count, 6, "list: by state, without case");
    sim_list_free(call);
    call = list("stable", NULL);
    is_int(call->c.group_count, 0, "list: another state");
    sim_list_free(call);
    call = list(NULL, "Classic");
    is_int(call->c.group_count, 6, "list: by type");
    sim_list_free(call);
    call = list(NULL, "consumer");
    is_int(call->c.group_count, 0, "list: another type");
    sim_list_free(call);
    coord_resigned(sim.coord, 3, 1);
    sim.hold_load = true;
    coord_elected(sim.coord, 3, 2);
    sim_run(&sim);
    call = list(NULL, NULL);
    is_int(call->c.call.code, OX_COORDINATOR_LOAD_IN_PROGRESS, "list: a shard is loading");
    sim_list_free(call);
    sim.hold_load = false;
    sim_run(&sim);
    sim_fini(&sim);
}

static void
test_snapshot(void)
{
    begin();
    COMMIT(.offset = 5, .topic = "t", .partition = 3, .metadata = "note");
    stable_consumer();
    COMMIT(.offset = 1, .group = "h");
    struct sim_snapshot *call = sim_snapshot_new();
    call->c.with_members = call->c.with_offsets = true;
    coord_snapshot(sim.coord, &call->c);
    sim_run(&sim);
    is_int(call->c.group_count, 2, "snapshot: all groups");
    const struct coord_snapshot_group *one = &call->c.groups[0];
    ok(ox_str_is(one->group_id, "g") && one->generation == 1 && one->member_count == 1 &&
           one->members[0].leader,
        "with generation and members");
    is_int(one->members[0].assigned_count, 1, "what is assigned, by topic");
    ok(ox_str_is(one->members[0].assigned[0].name, "t") &&
           one->members[0].assigned[0].partition_count == 2 &&
           one->members[0].assigned[0].partitions[1].partition == 3,
        "and partition");
    ok(one->topic_count == 1 && one->topics[0].partitions[0].offset == 5 &&
           ox_str_is(one->topics[0].partitions[0].metadata, "note"),
        "and committed offsets");
    sim_snapshot_free(call);
    call = sim_snapshot_new();
    call->c.group_id = OX_STR("h");
    coord_snapshot(sim.coord, &call->c);
    sim_run(&sim);
    ok(call->c.group_count == 1 && call->c.groups[0].topic_count == 0,
        "snapshot: one group, only itself");
    sim_snapshot_free(call);
    end();
}

static void
test_find(void)
{
    is_int(coord_partition_of(OX_STR("my-group"), 50), 12, "my-group");
    is_int(coord_partition_of(OX_STR("test"), 50), 48, "test");
    is_int(coord_partition_of(OX_STR("group-1"), 50), 49, "group-1");
    is_int(coord_partition_of(OX_STR("consumer-group"), 50), 38, "consumer-group");
    is_int(coord_partition_of(OX_STR(""), 50), 0, "the empty id");
    is_int(coord_partition_of(OX_STR("polygenelubricants"), 50), 0,
        "a hash of INT_MIN counts as 0");
    /* U+1F600 is d83d de00 in UTF-16: 31 * 0xd83d + 0xde00 = 1772899. */
    is_int(coord_partition_of(OX_STR("\xF0\x9F\x98\x80"), 1000003), 1772899 % 1000003,
        "UTF-16 units, not bytes");
}

int
main(void)
{
    ox_diag_set_level(OX_DIAG_ERROR);
    coord_config_init(&config);
    test_find();
    test_commit();
    test_commit_states();
    test_commit_log();
    test_fetch_all();
    test_offset_delete();
    test_expiry();
    test_topic_deleted();
    test_delete_group();
    test_transactional_replay();
    test_pending_places();
    test_describe();
    test_list();
    test_snapshot();
    return done();
}
