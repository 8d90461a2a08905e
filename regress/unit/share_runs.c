/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of a share group's records against the plainest model there is: one row
 * a record. Random walks hand out, acknowledge, release, let time pass, cut the
 * log's start and reload what the share coordinator was told; after every step
 * both say the same of every offset. The seed is printed; give another as the
 * first argument, and a number of walks as the second. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/rand.h"
#include "share/share_int.h"
#include "tap.h"

enum { OFFSETS = 200, STEPS = 400, MEMBERS = 3, LIMIT = 3 };

struct row {
    enum run_state state;
    int16_t count;
    uint64_t owner, deadline_ms;
    bool told_done; /* what the share coordinator has */
    enum run_state told;
    int16_t told_count;
};

static struct row model[OFFSETS];
static int64_t start, end;
static struct share_runs runs;
static struct arena arena;
static struct rand_state dice;
static uint64_t now_ms;
static bool bury; /* there is a dead-letter queue */

static bool
row_done(const struct row *row)
{
    return row->state == RUN_ACKNOWLEDGED || row->state == RUN_ARCHIVED;
}

static void
model_trim(void)
{
    while (start < end && row_done(&model[start]))
        start++;
}

static void
model_end(struct row *row, enum run_state state)
{
    row->state = state;
    row->owner = row->deadline_ms = 0;
}

static void
model_back(struct row *row)
{
    enum run_state given_up = bury ? RUN_ARCHIVING : RUN_ARCHIVED;
    model_end(row, row->count >= LIMIT ? given_up : RUN_AVAILABLE);
}

/* The run that holds the offset, or NULL. */
static const struct share_run *
run_of(int64_t offset)
{
    for (uint32_t i = 0; i < runs.count; i++)
        if (runs.at[i].first <= offset && offset <= runs.at[i].last)
            return &runs.at[i];
    return NULL;
}

static bool
same(void)
{
    runs_check_all(&runs);
    if (runs.start != start || runs.end != end)
        return false;
    int64_t next = end, complete = 0;
    for (int64_t at = end - 1; at >= start; at--) {
        const struct row *row = &model[at];
        const struct share_run *run = run_of(at);
        if (run == NULL || run->state != row->state || run->count != row->count ||
            run->owner != row->owner || run->deadline_ms != row->deadline_ms)
            return false;
        if (row->state == RUN_AVAILABLE)
            next = at;
        complete += row_done(row);
    }
    return runs_next(&runs) == next && runs_complete(&runs) == complete;
}

/* ---- steps; each returns whether both did the same ---- */

static int64_t
some_offset(void)
{
    return start - 3 + ox_rand_below(&dice, (uint32_t)(end - start + 6));
}

static bool
step_extend(void)
{
    int64_t last = end - 2 + ox_rand_below(&dice, 12);
    if (last >= OFFSETS)
        return true;
    runs_extend(&runs, last);
    for (; end <= last; end++)
        model[end] = (struct row){0};
    return true;
}

static bool
step_acquire(void)
{
    int64_t first = some_offset(), last = first + ox_rand_below(&dice, 20);
    uint64_t max = 1 + ox_rand_below(&dice, 15), owner = 1 + ox_rand_below(&dice, MEMBERS);
    struct share_acquired out = {0};
    uint64_t taken = runs_acquire(&runs, first, last, max, owner, now_ms + 30, &arena, &out);
    uint64_t want = 0, row_at = 0;
    for (int64_t at = OX_MAX(first, start); at <= last && at < end && want < max; at++) {
        if (model[at].state != RUN_AVAILABLE)
            continue;
        model[at] = (struct row){RUN_ACQUIRED, model[at].count + 1, owner, now_ms + 30,
            model[at].told_done, model[at].told, model[at].told_count};
        want++;
        while (row_at < out.count && out.at[row_at].last < at)
            row_at++;
        if (row_at == out.count || out.at[row_at].first > at ||
            out.at[row_at].count != model[at].count)
            return false;
    }
    return taken == want;
}

static ox_code
model_check(uint64_t owner, const struct share_ack *ack)
{
    if (ack->last < start)
        return OX_OK;
    if (start == end)
        return OX_INVALID_RECORD_STATE;
    if (ack->last >= end)
        return OX_INVALID_REQUEST;
    for (int64_t at = OX_MAX(ack->first, start); at <= ack->last; at++)
        if (model[at].state != RUN_ACQUIRED || model[at].owner != owner)
            return OX_INVALID_RECORD_STATE;
    return OX_OK;
}

static bool
step_acknowledge(void)
{
    int8_t types[20];
    struct share_ack ack = {.first = OX_MAX(some_offset(), 0), .types = types};
    uint64_t owner = 1 + ox_rand_below(&dice, MEMBERS);
    ack.last = ack.first + ox_rand_below(&dice, 12);
    for (int64_t at = ack.first; at < end && at <= ack.last; at++)
        if (at >= start && model[at].owner != owner && ox_rand_below(&dice, 4) > 0)
            ack.last = at - 1; /* mostly what is allowed */
    if (ack.last < ack.first)
        return true;
    ack.type_count = ox_rand_below(&dice, 2) == 0 ? 1 : (size_t)(ack.last - ack.first + 1);
    for (size_t i = 0; i < ack.type_count; i++)
        types[i] = (int8_t)ox_rand_below(&dice, SHARE_RENEW + 1);
    ox_code code = runs_check(&runs, owner, &ack, true);
    if (code != model_check(owner, &ack))
        return false;
    if (code != OX_OK)
        return true;
    runs_acknowledge(&runs, &ack, LIMIT, now_ms + 50);
    for (int64_t at = OX_MAX(ack.first, start); at <= ack.last; at++) {
        int8_t type = types[ack.type_count == 1 ? 0 : at - ack.first];
        if (type == SHARE_RENEW)
            model[at].deadline_ms = now_ms + 50;
        else if (type == SHARE_RELEASE)
            model_back(&model[at]);
        else
            model_end(&model[at], type == SHARE_ACCEPT         ? RUN_ACKNOWLEDGED
                                  : type == SHARE_REJECT && bury ? RUN_ARCHIVING
                                                                 : RUN_ARCHIVED);
    }
    model_trim();
    return true;
}

static bool
step_release(void)
{
    uint64_t owner = ox_rand_below(&dice, MEMBERS + 1); /* 0: whose time is up */
    now_ms += owner == 0 ? ox_rand_below(&dice, 20) : 0;
    bool any = false;
    uint64_t first = UINT64_MAX;
    for (int64_t at = start; at < end; at++)
        if (model[at].state == RUN_ACQUIRED)
            first = OX_MIN(first, model[at].deadline_ms);
    if (runs_deadline(&runs) != first)
        return false;
    for (int64_t at = start; at < end; at++) {
        struct row *row = &model[at];
        if (row->state != RUN_ACQUIRED ||
            (owner != 0 ? row->owner != owner : row->deadline_ms > now_ms))
            continue;
        model_back(row);
        any = true;
    }
    model_trim();
    return runs_release(&runs, owner, now_ms, LIMIT) == any;
}

static bool
step_archive(void)
{
    int64_t first = some_offset(), last = first + ox_rand_below(&dice, 4);
    runs_archive(&runs, first, last);
    runs_trim(&runs);
    for (int64_t at = OX_MAX(first, start); at <= last && at < end; at++)
        if (model[at].state == RUN_AVAILABLE)
            model_end(&model[at], RUN_ARCHIVED);
    model_trim();
    return true;
}

static bool
step_cut(void)
{
    int64_t log_start = start + ox_rand_below(&dice, 6);
    if (log_start >= OFFSETS)
        return true;
    runs_cut(&runs, log_start);
    start = log_start;
    end = OX_MAX(end, start);
    model_trim();
    return true;
}

/* What waits for the dead-letter queue and was told gets there, run by run. */
static bool
step_bury(void)
{
    struct share_run run;
    if (!runs_archiving(&runs, &run)) {
        for (int64_t at = start; at < end; at++)
            if (model[at].state == RUN_ARCHIVING && model[at].told_done &&
                model[at].told == RUN_ARCHIVING)
                return false;
        return true;
    }
    for (int64_t at = run.first; at <= run.last; at++) {
        if (model[at].state != RUN_ARCHIVING || model[at].told != RUN_ARCHIVING)
            return false;
        model_end(&model[at], RUN_ARCHIVED);
    }
    runs_buried(&runs, run.first, run.last);
    model_trim();
    return true;
}

/* Every offset whose state the share coordinator should know is among the dirty
   ones; what it then has is what a restart finds. */
static bool
step_tell(void)
{
    struct coord_state_batch *batches;
    size_t count;
    runs_take_dirty(&runs, &arena, &batches, &count);
    if (runs_dirty(&runs))
        return false;
    for (size_t i = 0; i < count; i++)
        for (int64_t at = batches[i].first; at <= batches[i].last; at++) {
            if (model[at].state != (enum run_state)batches[i].state ||
                model[at].count != batches[i].count)
                return false;
            model[at].told_done = true;
            model[at].told = (enum run_state)batches[i].state;
            model[at].told_count = batches[i].count;
        }
    for (int64_t at = start; at < end; at++)
        if (row_done(&model[at]) && (!model[at].told_done || model[at].told != model[at].state))
            return false;
    return true;
}

/* A restart: what was told is loaded, what was in hand is available again. */
static bool
step_restart(void)
{
    if (!step_tell())
        return false;
    static struct coord_state_batch batches[OFFSETS];
    size_t count = 0;
    int64_t last = start - 1;
    for (int64_t at = start; at < end; at++) {
        struct row *row = &model[at];
        if (!row->told_done)
            continue;
        batches[count++] = (struct coord_state_batch){at, at, (int8_t)row->told, row->told_count};
        last = at;
    }
    for (int64_t at = start; at <= last; at++) {
        struct row *row = &model[at];
        *row = row->told_done ? (struct row){row->told, row->told_count, 0, 0, true, row->told,
                                    row->told_count}
                              : (struct row){0};
        if (!row_done(row) && row->state != RUN_ARCHIVING)
            row->state = RUN_AVAILABLE;
    }
    runs_fini(&runs);
    runs_init(&runs, start);
    runs.bury = bury;
    runs_load(&runs, batches, count);
    end = last + 1;
    model_trim();
    return true;
}

static bool
walk(void)
{
    static bool (*const steps[])(void) = {step_extend, step_extend, step_acquire, step_acquire,
        step_acquire, step_acknowledge, step_acknowledge, step_acknowledge, step_release,
        step_bury, step_archive, step_cut, step_tell, step_restart};
    start = end = 10;
    now_ms = 1000;
    runs_init(&runs, start);
    runs.bury = bury = ox_rand_below(&dice, 2) > 0;
    bool good = true;
    for (int step = 0; step < STEPS && good; step++) {
        uint32_t kind = ox_rand_below(&dice, ox_count(steps));
        if (kind >= 10 && ox_rand_below(&dice, 3) > 0)
            kind = 3;
        good = steps[kind]() && same();
        if (!good)
            printf("#   step %d of kind %u\n", step, kind);
        ox_arena_reset(&arena);
    }
    runs_fini(&runs);
    return good;
}

/* What an acknowledgement may not be. */
static void
test_check(void)
{
    static const int8_t accept[] = {SHARE_ACCEPT, SHARE_ACCEPT}, renew[] = {SHARE_RENEW}, odd[] = {9};
    struct share_acquired out = {0};
    runs_init(&runs, 0);
    runs_extend(&runs, 9);
    runs_acquire(&runs, 0, 4, 100, 1, 100, &arena, &out);
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 4, accept, 1}, false), OX_OK, "all of it");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 1, accept, 2}, false), OX_OK, "one by one");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 2, accept, 2}, false), OX_INVALID_REQUEST,
        "too few types");
    is_int(runs_check(&runs, 1, &(struct share_ack){3, 2, accept, 1}, false), OX_INVALID_REQUEST,
        "last before first");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 0, accept, 0}, false), OX_INVALID_REQUEST,
        "no type");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 0, odd, 1}, true), OX_INVALID_REQUEST,
        "no such type");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 0, renew, 1}, false), OX_INVALID_REQUEST,
        "renewing where the version has it not");
    is_int(runs_check(&runs, 2, &(struct share_ack){0, 0, accept, 1}, false),
        OX_INVALID_RECORD_STATE, "of another");
    is_int(runs_check(&runs, 1, &(struct share_ack){4, 5, accept, 1}, false),
        OX_INVALID_RECORD_STATE, "in nobody's hand");
    is_int(runs_check(&runs, 1, &(struct share_ack){4, 10, accept, 1}, false), OX_INVALID_REQUEST,
        "beyond the end");
    runs_fini(&runs);
}

int
main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    int walks = argc > 2 ? atoi(argv[2]) : 200;
    printf("# seed %llu\n", (unsigned long long)seed);
    ox_rand_seed(&dice, seed);
    ox_arena_init(&arena);
    test_check();
    int good = 0;
    while (good < walks && walk())
        good++;
    is_int(good, walks, "random walks say what one row a record says");
    ox_arena_fini(&arena);
    return done();
}
