/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumer groups of the new protocol: each rule of the heartbeat, assignment
 * step by step, records, assignors, patterns; then random walks of clients that
 * obey the protocol: no partition has two owners, all are read in the end. */
#include <stdlib.h>

#include "coord/consumer_int.h"
#include "coord_sim.h"
#include "tap.h"

static struct sim sim;
static struct coord_config config;

static void
begin(void)
{
    sim_init(&sim, &config, 1);
    sim_set_topic(&sim, "t", 4);
    sim_set_topic(&sim, "u", 2);
}

static void
end(void)
{
    sim_fini(&sim);
}

/* ---- a client ---- */

struct client {
    const char *group, *id, *instance, *topics, *regex, *assignor;
    int32_t epoch, rebalance;
    char owned[256];  /* "t0 t1 u0": sorted as the answer had it */
    char answer[256]; /* the last assignment; "-" none given */
    ox_code code;
    char message[128], got_id[64];
};


static void
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

static size_t
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
static size_t
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

static struct sim_consumer *
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
    if (full || joins) {
        struct coord_topic_partitions *owned;
        call->owned_count = parse_owned(joins ? "" : client->owned, &beat->arena, &owned);
        call->owned = owned;
    }
    coord_consumer_heartbeat(sim.coord, call);
    return beat;
}

static void
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
static ox_code
full(struct client *client)
{
    struct sim_consumer *beat = beat_start(client, true);
    sim_run(&sim);
    beat_end(client, beat);
    return client->code;
}

static ox_code
beat(struct client *client)
{
    struct sim_consumer *call = beat_start(client, false);
    sim_run(&sim);
    beat_end(client, call);
    return client->code;
}

/* Take what was assigned, and say so. */
static void
obey(struct client *client)
{
    if (strcmp(client->answer, "-") != 0)
        snprintf(client->owned, sizeof(client->owned), "%s", client->answer);
    full(client);
}

static struct group *
group(void)
{
    struct group *found = group_find(&sim.coord->shards[0], OX_STR("g"));
    if (found != NULL)
        group_check(found);
    return found;
}

static const char *
state(void)
{
    return group() ? group_state_name(group()) : "none";
}

static void
restart(void)
{
    static int32_t epoch;
    sim_detach(&sim);
    sim_attach(&sim, &config, 1, ++epoch);
}

/* Reads "t" unless told otherwise; topics "" are none at all. */
static struct client
client_of(struct client client)
{
    if (client.topics == NULL)
        client.topics = "t";
    else if (*client.topics == '\0')
        client.topics = NULL;
    return client;
}
#define CLIENT(...) client_of((struct client){__VA_ARGS__})

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

static void
test_other_calls(void)
{
    begin();
    struct client a = CLIENT(.id = "a");
    beat(&a);
    obey(&a);
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
        commit->c.version = (int16_t)rows[i].version;
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

static void
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

static void
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
static size_t
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

static struct sim_sync *
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
static bool
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

static void
sync_end(struct classic *client, struct sim_sync *sync)
{
    ox_assert(sync->done == 1);
    client->code = sync->c.call.code;
    if (client->code == OX_OK)
        print_blob(sync->c.assignment, client->owned);
    sim_sync_free(sync);
}

/* In a consumer group nobody is waited for. */
static void
join_and_sync(struct classic *client)
{
    join_begin(client);
    if (join_look(client))
        sync_end(client, sync_begin(client));
}

static ox_code
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

static ox_code
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
static void
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

static ox_code
commit_as(const char *member, int epoch, int version)
{
    struct sim_commit *commit = sim_commit_new();
    struct coord_offset offset = {.partition = 0, .offset = 7, .metadata = OX_STR("")};
    struct coord_offset_topic topic = {OX_STR("t"), &offset, 1};
    commit->c.version = (int16_t)version;
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

/* ---- random walks ---- */

enum { WALKERS = 6 };

static struct rand_state rnd;

static uint64_t
below(uint64_t bound)
{
    return ox_rand_below(&rnd, bound);
}

static bool
has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

/* No partition has two owners among those who think they are members. */
static void
check_owners(const struct client *clients)
{
    for (int i = 0; i < WALKERS; i++) {
        char words[256];
        snprintf(words, sizeof(words), "%s", clients[i].owned);
        for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
            for (int j = 0; j < WALKERS; j++)
                ox_assert(j == i || !has_word(clients[j].owned, word));
    }
}

/* What is gone from the answer is given up at once or later; what is new is
 * taken at once. */
static void
walk_one(struct client *client, bool eager)
{
    ox_code code = eager || below(2) ? full(client) : beat(client);
    if (code == OX_OK && strcmp(client->answer, "-") != 0 && (eager || below(3)))
        snprintf(client->owned, sizeof(client->owned), "%s", client->answer);
    if (code == OX_FENCED_MEMBER_EPOCH || code == OX_UNKNOWN_MEMBER_ID ||
        code == OX_GROUP_ID_NOT_FOUND) {
        client->owned[0] = '\0';
        client->epoch = 0;
    }
}

static void
compare_replay(void)
{
    struct group *now = group();
    sim_run(&sim);
    if (now != NULL && now->consumer == NULL)
        return; /* coord_random.c compares classic groups */
    struct sim other;
    sim_init(&other, &config, 0);
    other.log = sim.log;
    other.log_count = sim.log_count;
    memcpy(other.topics, sim.topics, sizeof(sim.topics));
    other.topic_count = sim.topic_count;
    sim_attach(&other, &config, 1, 0);
    struct group *then = group_find(&other.coord->shards[0], OX_STR("g"));
    ox_assert((now == NULL) == (then == NULL));
    if (now != NULL) {
        struct map_entry *entry;
        group_check(then);
        ox_assert(now->consumer->epoch == then->consumer->epoch);
        ox_assert(now->consumer->assignment_epoch == then->consumer->assignment_epoch);
        ox_assert(now->consumer->metadata_hash == then->consumer->metadata_hash);
        ox_assert(now->consumer->members.count == then->consumer->members.count);
        for (uint32_t at = 0; (entry = ox_map_next(&now->consumer->members, &at)) != NULL;) {
            const struct consumer_member *a = entry->value;
            const struct consumer_member *b = consumer_member_find(then, a->id);
            ox_assert(b != NULL);
            ox_assert(a->epoch == b->epoch && a->previous_epoch == b->previous_epoch);
            ox_assert(a->state == b->state);
            ox_assert(tpset_equal(&a->assigned, &b->assigned));
            ox_assert(tpset_equal(&a->revoking, &b->revoking));
            ox_assert(tpset_equal(&a->target, &b->target));
            for (uint32_t i = 0; i < a->assigned.count; i++)
                ox_assert(consumer_since(a, &a->assigned.at[i]) ==
                          consumer_since(b, &a->assigned.at[i]));
        }
    }
    other.log = NULL;
    sim_fini(&other);
}

static void
walk(uint64_t seed)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
    static const char *const subscriptions[] = {"t", "t u", "u"};
    struct client clients[WALKERS];
    int members = 0;
    ox_rand_seed(&rnd, seed);
    begin();
    for (int i = 0; i < WALKERS; i++)
        clients[i] = (struct client){.id = ids[i], .topics = "t u",
            .assignor = seed % 3 == 0 ? "range" : NULL};
    for (int i = 0; i < 400; i++) {
        struct client *client = &clients[below(WALKERS)];
        switch (below(12)) {
        case 0: /* leaves: gives everything up first */
            if (client->epoch > 0) {
                client->owned[0] = '\0';
                client->epoch = -1;
                beat(client);
                client->epoch = 0;
            }
            break;
        case 1: /* crashes: the server hears nothing until the session ends */
            if (below(4) == 0) {
                sim_advance(&sim, 46000);
                for (int j = 0; j < WALKERS; j++)
                    clients[j].owned[0] = '\0', clients[j].epoch = 0;
            }
            break;
        case 2:
            if (seed % 2 && client->epoch > 0)
                client->topics = subscriptions[below(3)];
            break;
        case 3:
            if (below(3) == 0)
                sim_set_topic(&sim, "t", 1 + (int32_t)below(9));
            break;
        case 4:
            if (below(5) == 0)
                compare_replay();
            break;
        case 5:
            if (below(10) == 0)
                restart();
            break;
        default:
            walk_one(client, false);
            break;
        }
        check_owners(clients);
        group();
    }
    for (int i = 0; i < WALKERS; i++)
        clients[i].topics = "t u";
    for (int round = 0; round < 12; round++)
        for (int i = 0; i < WALKERS; i++) {
            walk_one(&clients[i], true);
            check_owners(clients);
        }
    is_str(state(), "Stable", "left alone, the group becomes stable");
    int32_t total = 2;
    for (size_t i = 0; i < sim.topic_count; i++)
        if (ox_str_is(sim.topics[i].name, "t"))
            total += sim.topics[i].partition_count;
    for (int i = 0; i < WALKERS; i++)
        for (const char *at = clients[i].owned; *at; at += strcspn(at, " "), at += *at == ' ')
            members++;
    is_int(members, total, "and every partition is read");
    end();
}

/* Consumers and classic members in one group, which goes over and back. */

enum { OLD = 3 };

static void
check_mixed(const struct client *clients, const struct classic *olds)
{
    struct client all[WALKERS];
    memset(all, 0, sizeof(all));
    for (int i = 0; i < WALKERS - OLD; i++)
        strcpy(all[i].owned, clients[i].owned);
    for (int i = 0; i < OLD; i++)
        strcpy(all[WALKERS - OLD + i].owned, olds[i].owned);
    check_owners(all);
}

static struct sim_sync *old_syncs[OLD];

static void
walk_old(struct classic *client, struct sim_sync **sync)
{
    if (*sync != NULL) {
        if (!(*sync)->done)
            return;
        sync_end(client, *sync);
        *sync = NULL;
        if (client->code != OX_OK)
            client->generation = -1;
    }
    if (client->join != NULL) {
        if (join_look(client))
            *sync = sync_begin(client);
        return;
    }
    if (client->id[0] == '\0' || client->generation < 0) {
        join_begin(client);
        return;
    }
    ox_code code = classic_beat(client);
    if (code == OX_UNKNOWN_MEMBER_ID)
        client->id[0] = client->owned[0] = '\0';
    else if (code == OX_REBALANCE_IN_PROGRESS || code == OX_ILLEGAL_GENERATION)
        join_begin(client);
}

static void
walk_mixed(uint64_t seed)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct client clients[WALKERS];
    struct classic olds[OLD];
    int went_over = 0, went_back = 0;
    bool was = false;
    ox_rand_seed(&rnd, seed);
    begin();
    memset(olds, 0, sizeof(olds));
    memset(clients, 0, sizeof(clients));
    memset(old_syncs, 0, sizeof(old_syncs));
    for (int i = 0; i < OLD; i++)
        clients[i] = (struct client){.id = ids[i], .topics = "t u"};
    for (int i = 0; i < 600; i++) {
        int who = (int)below(OLD);
        uint64_t what = below(20);
        if (what < 10) {
            walk_old(&olds[who], &old_syncs[who]);
        } else if (what < 15) {
            if (clients[who].epoch > 0 || below(6) == 0)
                walk_one(&clients[who], below(2));
        } else if (what == 15 && clients[who].epoch > 0) {
            clients[who].owned[0] = '\0';
            clients[who].epoch = -1;
            beat(&clients[who]);
            clients[who].epoch = 0;
        } else if (what == 16 && olds[who].id[0] && olds[who].join == NULL &&
                   old_syncs[who] == NULL && below(3) == 0) {
            classic_leave(&olds[who]);
        } else if (what == 17 && below(4) == 0) {
            sim_set_topic(&sim, "t", 1 + (int32_t)below(9));
        } else if (what == 18) {
            sim_advance(&sim, below(2000));
        }
        check_mixed(clients, olds);
        const struct group *now = group();
        bool is = now != NULL && now->consumer != NULL;
        went_over += is && !was;
        went_back += !is && was;
        was = is;
    }
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < OLD; i++) {
            walk_old(&olds[i], &old_syncs[i]);
            walk_one(&clients[i], true);
            check_mixed(clients, olds);
        }
        sim_advance(&sim, 1000);
    }
    if (strcmp(state(), "Stable") != 0)
        printf("# %s\n", state());
    is_str(state(), "Stable", "mixed: left alone, the group becomes stable");
    int32_t total = 2, owned = 0;
    for (size_t i = 0; i < sim.topic_count; i++)
        if (ox_str_is(sim.topics[i].name, "t"))
            total += sim.topics[i].partition_count;
    for (int i = 0; i < OLD; i++) {
        for (const char *at = clients[i].owned; *at; at += strcspn(at, " "), at += *at == ' ')
            owned++;
        for (const char *at = olds[i].owned; *at; at += strcspn(at, " "), at += *at == ' ')
            owned++;
    }
    is_int(owned, total, "mixed: and every partition is read");
    printf("# went over %d times, back %d times\n", went_over, went_back);
    sim_detach(&sim);
    for (int i = 0; i < OLD; i++) {
        if (olds[i].join != NULL)
            sim_join_free(olds[i].join);
        if (old_syncs[i] != NULL)
            sim_sync_free(old_syncs[i]);
    }
    ox_arena_fini(&sim.arena);
}

int
main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    int walks = argc > 2 ? atoi(argv[2]) : 30;
    ox_diag_set_level((enum ox_diag_level)(OX_DIAG_ERROR + 1));
    coord_config_init(&config);
    config.consumer_assignment_ms = config.share_assignment_ms = 0;
    test_request();
    test_epochs();
    test_leave();
    test_rebalance_timeout();
    test_static();
    test_changes();
    test_regex();
    test_log();
    test_settings();
    test_assignment_interval();
    test_assignors_allowed();
    test_other_calls();
    test_conversion();
    test_upgrade();
    test_upgrade_cases();
    test_migration_policy();
    test_records();
    test_assignors();
    for (int i = 0; i < walks; i++) {
        printf("# seed %llu\n", (unsigned long long)(seed + (uint64_t)i));
        fflush(stdout);
        walk(seed + (uint64_t)i);
        walk_mixed(seed + (uint64_t)i);
    }
    return done();
}
