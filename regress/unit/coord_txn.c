/* SPDX-License-Identifier: Apache-2.0
 *
 * Transaction coordinators in a world in memory: the states and what each call
 * answers in each; time-outs, expiry, epochs that run out; and a crash after
 * every single step of a transaction, with the record that was on its way
 * written or lost, after which there must be one outcome in all partitions. */
#include "coord/txn_int.h"
#include "coord_sim.h"
#include "tap.h"

static struct coord_config config;

/* ---- calls that run to their answer ---- */

struct answer {
    ox_code code;
    int64_t id;
    int16_t epoch;
};

static struct answer
init(struct sim *sim, const char *name, int64_t id, int16_t epoch)
{
    struct sim_txn_init *call = sim_txn_init_new();
    call->c.transactional_id = ox_str(name);
    call->c.timeout_ms = 60000;
    call->c.producer_id = id;
    call->c.producer_epoch = epoch;
    coord_txn_init(sim->coord, &call->c);
    sim_run(sim);
    ox_assert(call->done == 1);
    struct answer out = {call->c.call.code, call->c.producer_id, call->c.producer_epoch};
    sim_txn_init_free(call);
    return out;
}

static struct sim_txn_add *
start_add(struct sim *sim, const char *name, struct answer who, int parts, bool verify)
{
    static struct coord_txn_part all[] = {{.topic = {"a", 1}, .partition = 0},
        {.topic = {"a", 1}, .partition = 1}, {.topic = {"b", 1}, .partition = 0}};
    struct sim_txn_add *call = sim_txn_add_new();
    call->c.transactional_id = ox_str(name);
    call->c.producer_id = who.id;
    call->c.producer_epoch = who.epoch;
    call->c.verify_only = verify;
    call->c.txn_version = 2;
    call->c.parts = ox_arena_array(&call->arena, struct coord_txn_part, 3);
    memcpy(call->c.parts, all, sizeof(all));
    call->c.part_count = (size_t)parts;
    coord_txn_add(sim->coord, &call->c);
    return call;
}

static ox_code
add(struct sim *sim, const char *name, struct answer who, int parts, bool verify)
{
    struct sim_txn_add *call = start_add(sim, name, who, parts, verify);
    sim_advance(sim, 200);
    ox_assert(call->done == 1);
    ox_code code = call->c.call.code;
    for (int i = 0; code == OX_OK && i < parts; i++)
        code = call->c.parts[i].code;
    sim_txn_add_free(call);
    return code;
}

static struct sim_txn_end *
start_end(struct sim *sim, const char *name, struct answer who, bool commit, int version)
{
    struct sim_txn_end *call = sim_txn_end_new();
    call->c.transactional_id = ox_str(name);
    call->c.producer_id = who.id;
    call->c.producer_epoch = who.epoch;
    call->c.commit = commit;
    call->c.txn_version = (int8_t)version;
    coord_txn_end(sim->coord, &call->c);
    return call;
}

static struct answer
end(struct sim *sim, const char *name, struct answer who, bool commit, int version)
{
    struct sim_txn_end *call = start_end(sim, name, who, commit, version);
    sim_run(sim);
    ox_assert(call->done == 1);
    struct answer out = {call->c.call.code, call->c.producer_id, call->c.producer_epoch};
    sim_txn_end_free(call);
    return out;
}

/* State, epoch and number of partitions as one text. */
static const char *
describe(struct sim *sim, const char *name)
{
    static char text[80];
    struct sim_txn_describe *call = sim_txn_describe_new();
    call->c.transactional_id = ox_str(name);
    coord_txn_describe(sim->coord, &call->c);
    sim_run(sim);
    if (call->c.call.code == OX_OK)
        snprintf(text, sizeof(text), "%s %d %zu", call->c.state, call->c.producer_epoch,
            call->c.part_count);
    else
        snprintf(text, sizeof(text), "%s", ox_code_facts(call->c.call.code)->name);
    sim_txn_describe_free(call);
    return text;
}

static void
begin(struct sim *sim)
{
    sim_init(sim, &config, 0);
    sim->txns = true;
    sim_attach(sim, &config, 2, 0);
}

static void
again(struct sim *sim, int32_t epoch)
{
    sim_detach(sim);
    sim_attach(sim, &config, 2, epoch);
}

/* ---- states ---- */

static void
test_init(void)
{
    struct sim sim;
    begin(&sim);
    sim.next_id = 100;
    struct answer who = init(&sim, "t", -1, -1);
    ok(who.code == OX_OK && who.id == 100 && who.epoch == 0, "a new id begins with epoch 0");
    who = init(&sim, "t", -1, -1);
    ok(who.id == 100 && who.epoch == 1, "the next producer raises it");
    ok(init(&sim, "t", 100, 0).code == OX_PRODUCER_FENCED, "the one before is fenced");
    struct answer on = init(&sim, "t", 100, 1);
    ok(on.code == OX_OK && on.epoch == 2, "who holds it may raise it for itself");
    ok(init(&sim, "t", 100, 1).epoch == 2, "and ask again when the answer was lost");
    ok(init(&sim, "t", 7, 2).code == OX_PRODUCER_FENCED, "another id is fenced");
    ok(init(&sim, "", -1, -1).code == OX_INVALID_REQUEST, "a name is needed");
    sim.id_fail = OX_SHUTTING_DOWN;
    is_str(ox_code_facts(init(&sim, "u", -1, -1).code)->name, "not_coordinator", "no id is to be had");
    is_str(describe(&sim, "u"), "transactional_id_not_found", "then there is no such id");
    sim.id_fail = OX_OK;
    again(&sim, 1);
    is_str(describe(&sim, "t"), "Empty 2 0", "another coordinator knows it");
    sim_fini(&sim);
}

static void
test_first_protocol(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t", -1, -1);
    ok(end(&sim, "t", who, true, 0).code == OX_INVALID_TXN_STATE, "nothing to commit");
    ok(add(&sim, "t", who, 3, true) == OX_TRANSACTION_ABORTABLE, "nothing was added");
    ok(add(&sim, "t", who, 2, false) == OX_OK, "two partitions are added");
    is_str(describe(&sim, "t"), "Ongoing 0 2", "ongoing");
    size_t appended = sim.append_total;
    ok(add(&sim, "t", who, 1, false) == OX_OK && sim.append_total == appended,
        "what is there is not written again");
    ok(add(&sim, "t", (struct answer){0, who.id, 1}, 1, false) == OX_PRODUCER_FENCED, "a wrong epoch");
    ok(add(&sim, "t", (struct answer){0, 99, 0}, 1, false) == OX_INVALID_PRODUCER_ID_MAPPING,
        "a wrong id");
    ok(end(&sim, "t", who, true, 0).code == OX_OK, "committed");
    is_str(describe(&sim, "t"), "CompleteCommit 0 0", "complete, the epoch stays");
    ok(end(&sim, "t", who, true, 0).code == OX_OK, "again is fine");
    ok(end(&sim, "t", who, false, 0).code == OX_INVALID_TXN_STATE, "the contrary is not");
    ok(add(&sim, "t", who, 1, true) == OX_TRANSACTION_ABORTABLE, "late: not part of it any more");
    sim_fini(&sim);
}

static void
test_second_protocol(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t", -1, -1), next;
    ok(end(&sim, "t", who, true, 2).code == OX_INVALID_TXN_STATE, "nothing to commit");
    next = end(&sim, "t", who, false, 2);
    ok(next.code == OX_OK && next.epoch == 1, "the abort of nothing raises the epoch");
    ok(end(&sim, "t", who, false, 2).epoch == 1, "and may be repeated");
    who = next;
    ok(add(&sim, "t", who, 3, false) == OX_OK, "three partitions");
    next = end(&sim, "t", who, true, 2);
    ok(next.code == OX_OK && next.epoch == 2, "the end raises the epoch");
    ok(end(&sim, "t", who, true, 2).epoch == 2, "a retry gets the same answer");
    ok(end(&sim, "t", who, false, 2).code == OX_INVALID_TXN_STATE, "not the contrary");
    ok(add(&sim, "t", who, 1, false) == OX_PRODUCER_FENCED, "a late one is of an old epoch");
    ok(end(&sim, "t", next, true, 2).code == OX_INVALID_TXN_STATE, "nothing new to commit");
    is_str(describe(&sim, "t"), "CompleteCommit 2 0", "committed");
    sim_fini(&sim);
}

static void
test_exhaustion(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t", -1, -1);
    while (who.epoch < TXN_EPOCH_LAST)
        who = end(&sim, "t", who, false, 2);
    ok(add(&sim, "t", who, 1, false) == OX_OK, "the last epoch is used");
    struct answer next = end(&sim, "t", who, true, 2);
    ok(next.code == OX_OK && next.id != who.id && next.epoch == 0, "then comes another id");
    struct answer lost = end(&sim, "t", who, true, 2);
    ok(lost.code == OX_OK && lost.id == next.id && lost.epoch == 0, "also when asked again");
    ok(add(&sim, "t", next, 1, false) == OX_OK, "which goes on");
    while (next.epoch < TXN_EPOCH_LAST)
        next = end(&sim, "t", next, false, 2);
    struct answer other = init(&sim, "t", -1, -1);
    ok(other.id != next.id && other.epoch == 0, "InitProducerId changes it too");
    sim_fini(&sim);
}

static void
test_fencing(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t", -1, -1);
    add(&sim, "t", who, 2, false);
    ok(init(&sim, "t", -1, -1).code == OX_CONCURRENT_TRANSACTIONS, "first the open one is aborted");
    is_str(describe(&sim, "t"), "CompleteAbort 1 0", "it is, at a raised epoch");
    ok(init(&sim, "t", -1, -1).epoch == 2, "then the other has it");
    ok(end(&sim, "t", who, true, 0).code == OX_PRODUCER_FENCED, "the zombie cannot commit");
    ok(add(&sim, "t", who, 1, false) == OX_PRODUCER_FENCED, "nor add");
    sim_fini(&sim);
}

static void
test_waiting(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t", -1, -1);
    add(&sim, "t", who, 1, false);
    sim.hold_markers = true;
    struct answer next = end(&sim, "t", who, true, 2);
    ok(next.code == OX_OK, "answered before the markers are written");
    is_str(describe(&sim, "t"), "PrepareCommit 1 1", "decided");
    ok(init(&sim, "t", -1, -1).code == OX_CONCURRENT_TRANSACTIONS, "nobody takes it now");
    ok(end(&sim, "t", who, true, 2).code == OX_CONCURRENT_TRANSACTIONS, "the end is under way");
    ok(add(&sim, "t", next, 1, true) == OX_CONCURRENT_TRANSACTIONS, "nothing is known yet");
    struct sim_txn_add *call = start_add(&sim, "t", next, 1, false);
    sim_advance(&sim, 50);
    ok(call->done == 0, "the next transaction waits a little");
    sim_advance(&sim, 60);
    ok(call->done == 1 && call->c.call.code == OX_CONCURRENT_TRANSACTIONS, "not for long");
    ok(call->c.parts[0].code == OX_CONCURRENT_TRANSACTIONS, "which is said of each partition");
    sim_txn_add_free(call);
    call = start_add(&sim, "t", next, 1, false);
    sim_run(&sim);
    sim.hold_markers = false;
    sim_run(&sim);
    ok(call->done == 1 && call->c.call.code == OX_OK, "or begins with the end of the one before");
    sim_txn_add_free(call);
    sim_fini(&sim);
}

static void
test_time(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t", -1, -1);
    add(&sim, "t", who, 2, false);
    sim_advance(&sim, 50000);
    is_str(describe(&sim, "t"), "Ongoing 0 2", "within its time");
    sim_advance(&sim, 25000);
    is_str(describe(&sim, "t"), "CompleteAbort 1 0", "aborted after it");
    ok(end(&sim, "t", who, true, 0).code == OX_PRODUCER_FENCED, "its producer is fenced");
    ok(init(&sim, "t", who.id, 0).epoch == 1, "and may go on, if nobody else came");
    sim_advance(&sim, 604800000ull + 2 * 3600000);
    is_str(describe(&sim, "t"), "transactional_id_not_found", "forgotten after a week");
    again(&sim, 1);
    is_str(describe(&sim, "t"), "transactional_id_not_found", "for good");
    sim_fini(&sim);
}

static void
test_refusing_log(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t", -1, -1);
    add(&sim, "t", who, 1, false);
    sim.fail = OX_DISK_FULL;
    ok(end(&sim, "t", who, true, 2).code != OX_OK, "a decision that was not written is none");
    sim.fail = OX_OK;
    sim_run(&sim);
    is_str(describe(&sim, "t"), "Ongoing 0 1", "the log counts");
    ok(end(&sim, "t", who, true, 2).code == OX_OK, "and then it is written");
    sim_fini(&sim);
}

static void
test_list(void)
{
    struct sim sim;
    begin(&sim);
    struct answer who = init(&sim, "t-1", -1, -1);
    init(&sim, "u-1", -1, -1);
    add(&sim, "t-1", who, 1, false);
    static const struct {
        const char *state, *pattern;
        int64_t duration;
        size_t count;
    } cases[] = {{NULL, NULL, -1, 2}, {"Ongoing", NULL, -1, 1}, {"Nonsense", NULL, -1, 0},
        {NULL, "t.*", -1, 1}, {NULL, "1", -1, 0}, {"Ongoing", NULL, 100000, 0}};
    for (size_t i = 0; i < ox_count(cases); i++) {
        struct sim_txn_list *call = sim_txn_list_new();
        struct str state = cases[i].state ? ox_str(cases[i].state) : OX_STR_NULL;
        call->c.states = &state;
        call->c.state_count = state.ptr != NULL;
        call->c.duration_ms = cases[i].duration;
        call->c.pattern = cases[i].pattern ? ox_str(cases[i].pattern) : OX_STR_NULL;
        coord_txn_list(sim.coord, &call->c);
        sim_run(&sim);
        ok(call->done == 1, "the list came");
        is_int(call->c.txn_count, cases[i].count, "as long as it should be");
        sim_txn_list_free(call);
    }
    sim_fini(&sim);
}

/* ---- a crash after every step ---- */

enum { PARTS = 3 };
static struct {
    int commits, aborts;
    int16_t epoch;
} marked[PARTS];
static int lost_every; /* every so many-th marker gets lost once */
static int marker_no;

static ox_code
write_marker(struct sim *sim, const struct coord_marker *marker)
{
    if (sim->fail != OX_OK)
        return OX_NOT_LEADER; /* the crash */
    if (lost_every > 0 && ++marker_no % lost_every == 0)
        return OX_REQUEST_TIMED_OUT;
    int at = ox_str_is(marker->topic, "b") ? 2 : marker->partition;
    if (marker->producer_epoch < marked[at].epoch)
        return OX_INVALID_PRODUCER_EPOCH;
    marked[at].epoch = marker->producer_epoch;
    marked[at].commits += marker->commit;
    marked[at].aborts += !marker->commit;
    return OX_OK;
}

/* One transaction; the world ends after `steps` steps of it. Returns whether the
 * transaction was over before. */
static bool
crash_at(int steps, bool commit, int version, bool written)
{
    struct sim sim;
    bool told = false, over = false;
    int patience = 4;
    begin(&sim);
    sim.on_marker = write_marker;
    memset(marked, 0, sizeof(marked));
    struct answer who = init(&sim, "t", -1, -1);
    struct sim_txn_add *adding = start_add(&sim, "t", who, PARTS, false);
    struct sim_txn_end *ending = NULL;
    for (int i = 0; i < steps; i++) {
        bool idle = !sim_step(&sim);
        if (idle && lost_every > 0 && patience-- > 0) {
            sim_advance(&sim, 60); /* markers that were lost come again */
            continue;
        }
        if (idle) {
            over = true;
            break;
        }
        if (adding->done && ending == NULL)
            ending = start_end(&sim, "t", who, commit, version);
        told = ending != NULL && ending->done && ending->c.call.code == OX_OK;
    }
    if (written && sim.append_count > 0) {
        struct coord_append *append = sim.appends[0];
        for (size_t i = 0; i < append->record_count; i++) {
            ox_arena_grow(&sim.arena, (void **)&sim.log, &sim.log_cap, sim.log_count + 1,
                sizeof(*sim.log));
            sim.log[sim.log_count++] = (struct sim_record){append->partition,
                sim.ends[append->partition]++, ox_str_dup(&sim.arena, append->records[i].key),
                ox_str_dup(&sim.arena, append->records[i].value)};
        }
    }
    sim.fail = OX_NOT_LEADER;
    sim_detach(&sim);
    sim.fail = OX_OK;
    sim_attach(&sim, &config, 2, 1);
    sim_advance(&sim, 200000);
    bool added = adding->done && adding->c.call.code == OX_OK;
    bool same = true;
    for (int i = 0; i < PARTS; i++)
        same = same && (marked[i].commits > 0) == (marked[0].commits > 0) &&
               (marked[i].aborts > 0) == (marked[0].aborts > 0);
    bool one = !(marked[0].commits > 0 && marked[0].aborts > 0);
    bool kept = !told || (commit ? marked[0].commits : marked[0].aborts) > 0;
    bool ended = !added || marked[0].commits + marked[0].aborts > 0;
    const char *state = describe(&sim, "t");
    bool complete = strncmp(state, "Complete", 8) == 0 || strncmp(state, "Empty", 5) == 0;
    if (!same || !one || !kept || !ended || !complete)
        printf("# steps %d commit %d version %d written %d: same %d one %d kept %d ended %d %s\n", steps,
            commit, version, written, same, one, kept, ended, state);
    if (!same || !one || !kept || !ended || !complete)
        ok(false, "a crash");
    sim_txn_add_free(adding);
    if (ending != NULL)
        sim_txn_end_free(ending);
    sim_fini(&sim);
    return over;
}

static void
test_crashes(void)
{
    int worlds = 0;
    for (int mode = 0; mode < 16; mode++) {
        lost_every = mode & 8 ? 2 : 0;
        int steps = 0;
        for (bool over = false; !over && steps < 200; steps++, worlds++) {
            marker_no = 0;
            over = crash_at(steps, mode & 1, mode & 2 ? 2 : 0, mode & 4);
        }
        if (steps < 8 || steps == 200)
            ok(false, "a transaction has so many steps");
    }
    printf("# %d worlds ended\n", worlds);
    ok(worlds > 150, "one outcome after a crash at any step");
}

int
main(void)
{
    ox_diag_set_level(OX_DIAG_ERROR);
    coord_config_init(&config);
    config.offset_commit_timeout_ms = INT32_MAX;
    test_init();
    test_first_protocol();
    test_second_protocol();
    test_exhaustion();
    test_fencing();
    test_waiting();
    test_time();
    test_refusing_log();
    test_list();
    test_crashes();
    return done();
}
