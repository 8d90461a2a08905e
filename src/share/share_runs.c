/* SPDX-License-Identifier: Apache-2.0
 *
 * What has become of each record that a share group has in hand:
 *
 *   AVAILABLE --acquire--> ACQUIRED --accept--> ACKNOWLEDGED
 *       ^                     |  |---reject, gap--> ARCHIVED
 *       +--release, time-out--+  +--release, time-out, delivered often enough--> ARCHIVED
 *
 * With a dead-letter queue what was rejected or delivered too often is ARCHIVING
 * until it has been written there.
 *
 * Neighbours that share everything are one run, so that a partition whose
 * consumers keep up is a handful of runs however many records are in hand.
 *
 * Invariants (runs_check_all):
 * 1. Runs cover [start, end) without holes or overlaps.
 * 2. The first run is not done (else it is trimmed) when runs_trim was called.
 * 3. acquired is the number of records in ACQUIRED runs. */
#include <string.h>

#include "base/check.h"
#include "share/share_int.h"

void
runs_init(struct share_runs *runs, int64_t start)
{
    *runs = (struct share_runs){.start = start, .end = start};
}

void
runs_fini(struct share_runs *runs)
{
    ox_free(runs->at);
    *runs = (struct share_runs){0};
}

static void
insert(struct share_runs *runs, uint32_t at, struct share_run run)
{
    if (runs->count == runs->cap) {
        runs->cap = runs->cap == 0 ? 8 : runs->cap * 2;
        runs->at = ox_realloc(runs->at, ox_size_mul(runs->cap, sizeof(*runs->at)));
    }
    memmove(runs->at + at + 1, runs->at + at, (runs->count - at) * sizeof(*runs->at));
    runs->at[at] = run;
    runs->count++;
}

/* The index of the run that holds the offset, which is in [start, end). */
static uint32_t
find(const struct share_runs *runs, int64_t offset)
{
    uint32_t low = 0, high = runs->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (runs->at[middle].last < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Has a run begin at the offset; returns its index. */
static uint32_t
split(struct share_runs *runs, int64_t offset)
{
    if (offset >= runs->end)
        return runs->count;
    uint32_t at = find(runs, offset);
    if (runs->at[at].first == offset)
        return at;
    struct share_run right = runs->at[at];
    right.first = offset;
    runs->at[at].last = offset - 1;
    insert(runs, at + 1, right);
    return at + 1;
}

static bool
alike(const struct share_run *a, const struct share_run *b)
{
    return a->state == b->state && a->count == b->count && a->dirty == b->dirty &&
           a->rejected == b->rejected && a->owner == b->owner && a->deadline_ms == b->deadline_ms;
}

/* Neighbours that have become alike are one. */
static void
join(struct share_runs *runs)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        if (kept > 0 && alike(&runs->at[kept - 1], &runs->at[i]))
            runs->at[kept - 1].last = runs->at[i].last;
        else
            runs->at[kept++] = runs->at[i];
    }
    runs->count = kept;
}

static uint64_t
length(const struct share_run *run)
{
    return (uint64_t)(run->last - run->first + 1);
}

static void
become(struct share_runs *runs, struct share_run *run, enum run_state state)
{
    if (run->state == RUN_ACQUIRED)
        runs->acquired -= length(run);
    run->state = state;
    run->dirty = true;
    run->owner = 0;
    run->deadline_ms = 0;
}

void
runs_extend(struct share_runs *runs, int64_t last)
{
    if (last < runs->end)
        return;
    insert(runs, runs->count, (struct share_run){.first = runs->end, .last = last});
    runs->end = last + 1;
}

void
runs_load(struct share_runs *runs, const struct coord_state_batch *batches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (batches[i].last < runs->end)
            continue;
        int64_t first = OX_MAX(batches[i].first, runs->end);
        if (first > runs->end)
            runs_extend(runs, first - 1);
        runs_extend(runs, batches[i].last);
        struct share_run *run = &runs->at[runs->count - 1];
        run->count = batches[i].count;
        run->state = batches[i].state >= RUN_ACKNOWLEDGED && batches[i].state <= RUN_ARCHIVED
                         ? (enum run_state)batches[i].state
                         : RUN_AVAILABLE;
    }
    join(runs);
    runs_trim(runs);
}

int64_t
runs_next(const struct share_runs *runs)
{
    for (uint32_t i = 0; i < runs->count; i++)
        if (runs->at[i].state == RUN_AVAILABLE)
            return runs->at[i].first;
    return runs->end;
}

/* ---- handing out ---- */

static void
list(struct arena *arena, struct share_acquired *out, const struct share_run *run)
{
    struct share_acquired_row *last = out->count > 0 ? &out->at[out->count - 1] : NULL;
    if (last != NULL && last->last + 1 == run->first && last->count == run->count) {
        last->last = run->last;
        return;
    }
    ox_arena_grow(arena, (void **)&out->at, &out->cap, out->count + 1, sizeof(*out->at));
    out->at[out->count++] = (struct share_acquired_row){run->first, run->last, run->count};
}

uint64_t
runs_acquire(struct share_runs *runs, int64_t first, int64_t last, uint64_t max, uint64_t owner,
    uint64_t deadline_ms, struct arena *arena, struct share_acquired *out)
{
    uint64_t taken = 0;
    first = OX_MAX(first, runs->start);
    last = OX_MIN(last, runs->end - 1);
    if (first > last)
        return 0;
    for (uint32_t i = split(runs, first); i < runs->count && taken < max; i++) {
        if (runs->at[i].first > last)
            break;
        if (runs->at[i].state != RUN_AVAILABLE)
            continue;
        int64_t until = OX_MIN(runs->at[i].last, last);
        if ((uint64_t)(until - runs->at[i].first + 1) > max - taken)
            until = runs->at[i].first + (int64_t)(max - taken) - 1;
        split(runs, until + 1);
        struct share_run *run = &runs->at[i];
        run->state = RUN_ACQUIRED;
        run->count++;
        run->dirty = false; /* while it is in hand its state is nobody's business */
        run->owner = owner;
        run->deadline_ms = deadline_ms;
        runs->acquired += length(run);
        taken += length(run);
        list(arena, out, run);
    }
    join(runs);
    return taken;
}

/* What is in state `from` between two offsets. */
static void
archive(struct share_runs *runs, int64_t first, int64_t last, enum run_state from)
{
    first = OX_MAX(first, runs->start);
    last = OX_MIN(last, runs->end - 1);
    if (first > last)
        return;
    split(runs, last + 1);
    for (uint32_t i = split(runs, first); i < runs->count && runs->at[i].first <= last; i++)
        if (runs->at[i].state == from) {
            become(runs, &runs->at[i], RUN_ARCHIVED);
            runs->at[i].rejected = false;
        }
    join(runs);
}

void
runs_archive(struct share_runs *runs, int64_t first, int64_t last)
{
    archive(runs, first, last, RUN_AVAILABLE);
}

/* ---- acknowledging ---- */

ox_code
runs_check(const struct share_runs *runs, uint64_t owner, const struct share_ack *ack, bool renew)
{
    if (ack->last < ack->first || ack->first < 0 || ack->type_count == 0 ||
        (ack->type_count > 1 && ack->type_count - 1 != (uint64_t)(ack->last - ack->first)))
        return OX_INVALID_REQUEST;
    for (size_t i = 0; i < ack->type_count; i++)
        if (ack->types[i] < SHARE_GAP || ack->types[i] > (renew ? SHARE_RENEW : SHARE_REJECT))
            return OX_INVALID_REQUEST;
    int64_t first = OX_MAX(ack->first, runs->start);
    if (ack->last < runs->start)
        return OX_OK; /* long done */
    if (runs->count == 0)
        return OX_INVALID_RECORD_STATE; /* nothing is in hand at all */
    if (ack->last >= runs->end)
        return OX_INVALID_REQUEST;
    for (uint32_t i = find(runs, first); i < runs->count && runs->at[i].first <= ack->last; i++)
        if (runs->at[i].state != RUN_ACQUIRED || runs->at[i].owner != owner)
            return OX_INVALID_RECORD_STATE;
    return OX_OK;
}

static void
give_up(struct share_runs *runs, struct share_run *run, bool rejected)
{
    become(runs, run, runs->bury ? RUN_ARCHIVING : RUN_ARCHIVED);
    run->rejected = runs->bury && rejected;
}

/* It goes back, unless that has been often enough. */
static void
release(struct share_runs *runs, struct share_run *run, int16_t limit)
{
    if (run->count >= limit)
        give_up(runs, run, false);
    else
        become(runs, run, RUN_AVAILABLE);
}

static void
settle(struct share_runs *runs, struct share_run *run, int8_t type, int16_t limit,
    uint64_t deadline_ms)
{
    switch (type) {
    case SHARE_ACCEPT:
        become(runs, run, RUN_ACKNOWLEDGED);
        break;
    case SHARE_RELEASE:
        release(runs, run, limit);
        break;
    case SHARE_REJECT:
        give_up(runs, run, true);
        break;
    case SHARE_RENEW:
        run->deadline_ms = deadline_ms;
        break;
    default:
        become(runs, run, RUN_ARCHIVED);
        break;
    }
}

void
runs_acknowledge(struct share_runs *runs, const struct share_ack *ack, int16_t limit,
    uint64_t deadline_ms)
{
    int64_t first = OX_MAX(ack->first, runs->start);
    for (int64_t at = first, end; at <= ack->last; at = end + 1) {
        size_t index = ack->type_count == 1 ? 0 : (size_t)(at - ack->first);
        end = ack->last;
        if (ack->type_count > 1) /* a stretch of one type */
            for (end = at; end < ack->last &&
                           ack->types[end + 1 - ack->first] == ack->types[index]; end++)
                ;
        split(runs, end + 1);
        for (uint32_t i = split(runs, at); i < runs->count && runs->at[i].first <= end; i++)
            settle(runs, &runs->at[i], ack->types[index], limit, deadline_ms);
    }
    join(runs);
    runs_trim(runs);
}

bool
runs_release(struct share_runs *runs, uint64_t owner, uint64_t now_ms, int16_t limit)
{
    bool any = false;
    for (uint32_t i = 0; i < runs->count; i++) {
        struct share_run *run = &runs->at[i];
        if (run->state != RUN_ACQUIRED ||
            (owner != 0 ? run->owner != owner : run->deadline_ms > now_ms))
            continue;
        release(runs, run, limit);
        any = true;
    }
    join(runs);
    runs_trim(runs);
    return any;
}

bool
runs_archiving(const struct share_runs *runs, struct share_run *out)
{
    for (uint32_t i = 0; i < runs->count; i++)
        if (runs->at[i].state == RUN_ARCHIVING && !runs->at[i].dirty) {
            *out = runs->at[i];
            return true;
        }
    return false;
}

void
runs_buried(struct share_runs *runs, int64_t first, int64_t last)
{
    archive(runs, first, last, RUN_ARCHIVING);
    runs_trim(runs);
}

uint64_t
runs_deadline(const struct share_runs *runs)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < runs->count; i++)
        if (runs->at[i].state == RUN_ACQUIRED)
            first = OX_MIN(first, runs->at[i].deadline_ms);
    return first;
}

/* ---- the start ---- */

static void
drop_front(struct share_runs *runs, uint32_t count)
{
    runs->count -= count;
    memmove(runs->at, runs->at + count, runs->count * sizeof(*runs->at));
    runs->start = runs->count > 0 ? runs->at[0].first : runs->end;
}

static bool
done(const struct share_run *run)
{
    return run->state == RUN_ACKNOWLEDGED || run->state == RUN_ARCHIVED;
}

void
runs_trim(struct share_runs *runs)
{
    uint32_t count = 0;
    while (count < runs->count && done(&runs->at[count]))
        count++;
    if (count > 0)
        drop_front(runs, count);
}

void
runs_cut(struct share_runs *runs, int64_t log_start)
{
    if (log_start <= runs->start)
        return;
    if (log_start >= runs->end) {
        runs->count = 0;
        runs->acquired = 0;
        runs->start = runs->end = log_start;
        return;
    }
    uint32_t count = split(runs, log_start);
    for (uint32_t i = 0; i < count; i++)
        if (runs->at[i].state == RUN_ACQUIRED)
            runs->acquired -= length(&runs->at[i]);
    drop_front(runs, count);
    runs_trim(runs);
}

/* ---- what is told ---- */

bool
runs_dirty(const struct share_runs *runs)
{
    for (uint32_t i = 0; i < runs->count; i++)
        if (runs->at[i].dirty)
            return true;
    return false;
}

void
runs_take_dirty(struct share_runs *runs, struct arena *arena, struct coord_state_batch **out,
    size_t *count)
{
    *out = ox_arena_array(arena, struct coord_state_batch, runs->count);
    *count = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        struct share_run *run = &runs->at[i];
        if (!run->dirty)
            continue;
        (*out)[(*count)++] = (struct coord_state_batch){run->first, run->last,
            (int8_t)run->state, run->count};
        run->dirty = false;
    }
    join(runs);
}

int32_t
runs_complete(const struct share_runs *runs)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < runs->count; i++)
        if (done(&runs->at[i]))
            sum += length(&runs->at[i]);
    return (int32_t)OX_MIN(sum, (uint64_t)INT32_MAX);
}

void
runs_check_all(const struct share_runs *runs)
{
    int64_t next = runs->start;
    uint64_t acquired = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct share_run *run = &runs->at[i];
        ox_assert(run->first == next && run->last >= run->first);
        ox_assert((run->state == RUN_ACQUIRED) == (run->owner != 0));
        if (run->state == RUN_ACQUIRED)
            acquired += length(run);
        next = run->last + 1;
    }
    ox_assert(next == runs->end);
    ox_assert(acquired == runs->acquired);
}
