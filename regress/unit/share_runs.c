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
    bool split;
    int64_t bundle;
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
static bool remains; /* all that there was went with the log's start */
static bool bury; /* there is a dead-letter queue */
static bool log_begins[OFFSETS + 1]; /* a batch of the log */

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

/* Nobody ever had it. */
static bool
is_fresh(const struct row *row)
{
    return row->state == RUN_AVAILABLE && row->count == 0 && !row->split;
}

static bool
together(int64_t a, int64_t b)
{
    return is_fresh(&model[a]) || is_fresh(&model[b]) ? is_fresh(&model[a]) && is_fresh(&model[b])
                                                      : model[a].bundle == model[b].bundle;
}

static int64_t
bundle_begin(int64_t at)
{
    while (at > start && together(at - 1, at))
        at--;
    return at;
}

static int64_t
bundle_last(int64_t at)
{
    while (at + 1 < end && together(at, at + 1))
        at++;
    return at;
}

static void
model_split(int64_t at)
{
    int64_t last = bundle_last(at);
    for (at = bundle_begin(at); at <= last; at++)
        model[at].split = true;
}

/* Of a bundle that is split by this, if it is not all of it. */
static void
model_archive(int64_t first, int64_t last, enum run_state from)
{
    first = OX_MAX(first, start);
    last = OX_MIN(last, end - 1);
    if (first > last)
        return;
    for (int64_t at = bundle_begin(first), next; at <= last; at = next) {
        next = bundle_last(at) + 1;
        if (model[at].state == from && !is_fresh(&model[at]) && !model[at].split &&
            (model[at].bundle < first || next - 1 > last))
            model_split(at);
    }
    int64_t piece = -1;
    for (int64_t at = first; at <= last; at++) {
        bool fresh = is_fresh(&model[at]);
        if (model[at].state == from) {
            if (fresh)
                model[at].bundle = piece = piece >= 0 ? piece : at;
            model_end(&model[at], RUN_ARCHIVED);
        }
        if (!fresh)
            piece = -1;
    }
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
            run->owner != row->owner || run->deadline_ms != row->deadline_ms ||
            run->split != row->split || (!is_fresh(row) && run->bundle != row->bundle))
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

static struct share_acquired_row rows[OFFSETS];
static size_t row_count;

static void
expect(int64_t first, int64_t last, int16_t count)
{
    rows[row_count++] = (struct share_acquired_row){first, last, count};
}

static void
give(int64_t at, const struct share_take *take)
{
    model[at].state = RUN_ACQUIRED;
    model[at].count++;
    model[at].owner = take->owner;
    model[at].deadline_ms = take->deadline_ms;
}

static uint64_t
model_new(int64_t first, int64_t last, uint64_t max, const struct share_take *take)
{
    if ((uint64_t)(last - first + 1) > max) {
        int64_t most = first + (int64_t)max - 1;
        while (most < last && !log_begins[most + 1])
            most++;
        last = most;
    }
    bool many = last - first + 1 > take->bundle_size && !take->strict;
    bool some = take->strict && (uint64_t)(last - first + 1) > max;
    int64_t bundle = first;
    for (; end <= last; end++) {
        remains = false;
        model[end] = (struct row){0};
    }
    for (int64_t at = first; at <= last; at++) {
        if (many && log_begins[at] && at - bundle >= take->bundle_size) {
            expect(bundle, at - 1, 1);
            bundle = at;
        }
        model[at].bundle = bundle;
        model[at].split = some;
        if (!some || at < first + (int64_t)max)
            give(at, take);
    }
    expect(bundle, some ? first + (int64_t)max - 1 : last, 1);
    return some ? max : (uint64_t)(last - first + 1);
}

static uint64_t
model_some(int64_t at, int64_t last, uint64_t max, const struct share_take *take)
{
    int16_t slow = OX_MAX(2, (take->limit + 1) / 2);
    uint64_t got = 0, slow_max = 0, size = (uint64_t)(last - model[at].bundle + 1);
    size_t from = row_count;
    for (; at <= last && at <= take->last; at++) {
        struct row *row = &model[at];
        if (at < take->first || row->state != RUN_AVAILABLE)
            continue;
        if (take->limit > 2 && row->count == take->limit - 1 && got > 0)
            break;
        if (row->count >= slow && slow_max == 0)
            slow_max = OX_MAX(size >> (row->count - slow + 1), (uint64_t)1);
        give(at, take);
        got++;
        if (row_count > from && rows[row_count - 1].last + 1 == at &&
            rows[row_count - 1].count == row->count)
            rows[row_count - 1].last = at;
        else
            expect(at, at, row->count);
        if ((take->limit > 2 && row->count == take->limit) || (take->strict && got == max) ||
            (slow_max > 0 && got == slow_max))
            break;
    }
    return got;
}

static uint64_t
model_bundle(int64_t at, int64_t last, uint64_t left, bool any, const struct share_take *take,
    bool *stop)
{
    bool slow = false;
    for (int64_t i = at; i <= last; i++)
        slow |= model[i].state == RUN_AVAILABLE &&
                model[i].count >= OX_MAX(2, (take->limit + 1) / 2) &&
                (!model[i].split || (i >= take->first && i <= take->last));
    *stop = slow && any;
    if (*stop || (!model[at].split && model[at].state != RUN_AVAILABLE))
        return 0;
    if (model[at].split || slow || model[at].bundle < take->first || last > take->last ||
        (take->strict && (uint64_t)(last - model[at].bundle + 1) > left)) {
        model_split(at);
        uint64_t got = model_some(at, last, left, take);
        *stop = slow && got > 0;
        return got;
    }
    for (int64_t i = at; i <= last; i++)
        give(i, take);
    expect(at, last, model[at].count);
    return (uint64_t)(last - at + 1);
}

static uint64_t
model_acquire(const struct share_take *take)
{
    uint64_t got = 0;
    bool stop = false;
    row_count = 0;
    if (take->last < start)
        return 0;
    for (int64_t at = take->first < end ? bundle_begin(OX_MAX(take->first, start)) : end, last;
         at < end && got < take->max && !stop; at = last + 1) {
        bool fresh = is_fresh(&model[at]);
        last = bundle_last(at);
        if ((fresh ? at : model[at].bundle) > take->last)
            break;
        if (!fresh)
            got += model_bundle(at, last, take->max - got, got > 0, take, &stop);
        else if (OX_MAX(at, take->first) <= OX_MIN(last, take->last))
            got += model_new(OX_MAX(at, take->first), OX_MIN(last, take->last), take->max - got,
                take);
    }
    if (got < take->max && !stop && take->last >= end)
        got += model_new(end, take->last, take->max - got, take);
    return got;
}

/* A batch that was read holds nothing that may be seen. */
static void
model_discard(int64_t first, int64_t last)
{
    if (end > start && first >= end) {
        if (model[end - 1].state == RUN_ACQUIRED && !model[end - 1].split)
            model_split(end - 1);
        else if (model[bundle_begin(end - 1)].state == RUN_ACQUIRED)
            model_split(end - 1);
        return;
    }
    model_archive(first, last, RUN_ACQUIRED);
    struct share_acquired_row before[OFFSETS];
    size_t count = row_count;
    memcpy(before, rows, count * sizeof(*rows));
    row_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (before[i].first < first)
            expect(before[i].first, OX_MIN(before[i].last, first - 1), before[i].count);
        if (before[i].last > last)
            expect(OX_MAX(before[i].first, last + 1), before[i].last, before[i].count);
    }
}

/* Some batches of the log from the first record on that is available, as they are read. */
static size_t
read_log(struct share_batch *batches, int64_t from)
{
    size_t count = 0, most = 1 + ox_rand_below(&dice, 6);
    while (!log_begins[from])
        from--;
    for (int64_t at = from + 1; at <= OFFSETS && count < most; at++)
        if (log_begins[at]) {
            batches[count++] = (struct share_batch){.first = from, .last = at - 1,
                .hidden = ox_rand_below(&dice, 8) == 0};
            from = at;
        }
    return count;
}

static bool
step_acquire(void)
{
    struct share_batch batches[8];
    struct share_acquired out = {0};
    int64_t from = runs_next(&runs);
    if (from >= OFFSETS)
        return true;
    size_t count = read_log(batches, from);
    struct share_take take = {.first = batches[0].first, .last = batches[count - 1].last,
        .batches = batches, .batch_count = count, .max = 1 + ox_rand_below(&dice, 15),
        .strict = ox_rand_below(&dice, 2) > 0, .bundle_size = 1 + ox_rand_below(&dice, 12),
        .limit = LIMIT, .owner = 1 + ox_rand_below(&dice, MEMBERS), .deadline_ms = now_ms + 30};
    if (runs_acquire(&runs, &take, &arena, &out) != model_acquire(&take))
        return false;
    for (size_t i = 0; i < count; i++)
        if (batches[i].hidden) {
            runs_discard(&runs, batches[i].first, batches[i].last, &arena, &out);
            model_discard(batches[i].first, batches[i].last);
        }
    runs_trim(&runs);
    model_trim();
    return out.count == row_count &&
           (row_count == 0 || memcmp(out.at, rows, row_count * sizeof(*rows)) == 0);
}

static ox_code
model_check(uint64_t owner, const struct share_ack *ack)
{
    if (ack->last < start)
        return OX_OK;
    if (start == end)
        return remains ? OX_INVALID_REQUEST : OX_INVALID_RECORD_STATE;
    if (ack->last >= end)
        return OX_INVALID_REQUEST;
    for (int64_t at = OX_MAX(ack->first, start); at <= ack->last; at++) {
        if (model[at].state != RUN_ACQUIRED || model[at].owner != owner)
            return OX_INVALID_RECORD_STATE;
        if (!model[at].split && (model[at].bundle < OX_MAX(ack->first, start) ||
                                    bundle_last(at) > ack->last || ack->type_count > 1))
            model_split(at);
    }
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
    int64_t begin = start;
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
        row->split |= row->bundle < begin;
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
    model_archive(first, last, RUN_AVAILABLE);
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
    if (log_start > start && log_start < end && model[log_start].state == RUN_AVAILABLE &&
        !is_fresh(&model[log_start]) && model[log_start].bundle < log_start)
        model_split(log_start);
    remains |= end > start && log_start >= end;
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
    for (int64_t at = run.first; at <= run.last; at++)
        if (model[at].state != RUN_ARCHIVING || model[at].told != RUN_ARCHIVING)
            return false;
    model_archive(run.first, run.last, RUN_ARCHIVING);
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
        *row = row->told_done
                   ? (struct row){.state = row->told, .count = row->told_count, .bundle = at,
                         .told_done = true, .told = row->told, .told_count = row->told_count}
                   : (struct row){0};
        if (!row_done(row) && row->state != RUN_ARCHIVING)
            row->state = RUN_AVAILABLE;
    }
    runs_fini(&runs);
    runs_init(&runs, start);
    runs.bury = bury;
    runs_load(&runs, batches, count);
    end = last + 1;
    remains = false;
    model_trim();
    return true;
}

static bool
walk(void)
{
    static bool (*const steps[])(void) = {step_acquire, step_acquire, step_acquire, step_acquire,
        step_acquire, step_acknowledge, step_acknowledge, step_acknowledge, step_release,
        step_bury, step_archive, step_cut, step_tell, step_restart};
    start = end = 10;
    remains = false;
    now_ms = 1000;
    for (int64_t at = 0; at <= OFFSETS; at++)
        log_begins[at] = at == 0 || at == OFFSETS || ox_rand_below(&dice, 4) == 0;
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
    static const int8_t accept[] = {SHARE_ACCEPT, SHARE_ACCEPT}, renew[] = {SHARE_RENEW};
    const struct share_batch batch = {.first = 0, .last = 9};
    const struct share_take take = {.last = 9, .batches = &batch, .batch_count = 1, .max = 5,
        .strict = true, .bundle_size = 5, .limit = 5, .owner = 1, .deadline_ms = 100};
    struct share_acquired out = {0};
    runs_init(&runs, 0);
    is_int((int64_t)runs_acquire(&runs, &take, &arena, &out), 5, "five of a batch of ten");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 4, accept, 1}, false), OX_OK, "all of it");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 1, accept, 2}, false), OX_OK, "one by one");
    is_int(runs_check(&runs, 1, &(struct share_ack){0, 0, renew, 1}, false),
        OX_INVALID_RECORD_STATE, "renewing where the group has it not");
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
