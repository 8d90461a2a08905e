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
 * Records are handed out in bundles (Kafka's in-flight batches): what was acquired
 * together goes together, also when it comes back, until somebody speaks of a part
 * of it; then the bundle is split, and each of its records has a fate of its own.
 * Neighbours in a bundle that share everything are one run, so that a partition
 * whose consumers keep up is a handful of runs however many records are in hand.
 * Records that nobody was ever given, between others that the share coordinator
 * knew, are fresh runs: AVAILABLE, never delivered, no part of a bundle that is split.
 *
 * Invariants (runs_check_all):
 * 1. Runs cover [start, end) without holes or overlaps.
 * 2. The first run is not done (else it is trimmed) when runs_trim was called.
 * 3. acquired is the number of records in ACQUIRED runs.
 * 4. A bundle that is not split is one run. */
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
is_fresh(const struct share_run *run)
{
    return run->state == RUN_AVAILABLE && run->count == 0 && !run->split;
}

static bool
alike(const struct share_run *a, const struct share_run *b)
{
    return (a->bundle == b->bundle || (is_fresh(a) && is_fresh(b))) && a->split == b->split &&
           a->state == b->state && a->count == b->count && a->dirty == b->dirty &&
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
    runs->remains = false;
    insert(runs, runs->count,
        (struct share_run){.first = runs->end, .last = last, .bundle = runs->end});
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
        run->bundle = run->first;
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

/* ---- bundles ---- */

/* The index after the last run of the bundle that begins at index `at`. */
static uint32_t
bundle_end(const struct share_runs *runs, uint32_t at)
{
    uint32_t end = at + 1;
    while (end < runs->count && runs->at[end].bundle == runs->at[at].bundle)
        end++;
    return end;
}

static uint32_t
bundle_begin(const struct share_runs *runs, uint32_t at)
{
    while (at > 0 && runs->at[at - 1].bundle == runs->at[at].bundle)
        at--;
    return at;
}

static bool
within(const struct share_runs *runs, uint32_t at, int64_t first, int64_t last)
{
    return runs->at[at].bundle >= first && runs->at[bundle_end(runs, at) - 1].last <= last;
}

static void
split_bundle(struct share_runs *runs, uint32_t at)
{
    for (uint32_t i = at, end = bundle_end(runs, at); i < end; i++)
        runs->at[i].split = true;
}

/* ---- handing out ---- */

/* A row of its own, unless it goes on where a row since `from` ends. */
static void
list(struct arena *arena, struct share_acquired *out, size_t from, int64_t first, int64_t last,
    int16_t count)
{
    struct share_acquired_row *row = out->count > from ? &out->at[out->count - 1] : NULL;
    if (row != NULL && row->last + 1 == first && row->count == count) {
        row->last = last;
        return;
    }
    ox_arena_grow(arena, (void **)&out->at, &out->cap, out->count + 1, sizeof(*out->at));
    out->at[out->count++] = (struct share_acquired_row){first, last, count};
}

static void
acquire(struct share_runs *runs, struct share_run *run, const struct share_take *take)
{
    run->state = RUN_ACQUIRED;
    run->count++;
    run->dirty = false; /* while it is in hand its state is nobody's business */
    run->owner = take->owner;
    run->deadline_ms = take->deadline_ms;
    runs->acquired += length(run);
}

/* Where the log's batch that holds the offset ends. */
static int64_t
batch_end(const struct share_take *take, int64_t offset)
{
    for (size_t i = 0; i < take->batch_count; i++)
        if (take->batches[i].first <= offset && offset <= take->batches[i].last)
            return take->batches[i].last;
    return offset;
}

/* [first, last] was fresh and becomes bundles: whole batches of the log, at least max records,
 * cut where a batch begins and a bundle has enough. strict: one bundle, of which only max are
 * handed out. The run is the one of [first, ...]. Returns how many. */
static uint64_t
acquire_new(struct share_runs *runs, int64_t first, int64_t last, uint64_t max,
    const struct share_take *take, struct arena *arena, struct share_acquired *out)
{
    if ((uint64_t)(last - first + 1) > max)
        last = OX_MIN(last, batch_end(take, first + (int64_t)max - 1));
    runs_extend(runs, last);
    uint32_t rest = split(runs, last + 1);
    if (rest < runs->count && runs->at[rest].bundle <= last) /* it stays fresh */
        runs->at[rest].bundle = last + 1;
    for (int64_t at = first, end; at <= last; at = end + 1) {
        end = last;
        for (size_t i = 0; i < take->batch_count && !take->strict &&
                           last - first + 1 > take->bundle_size; i++)
            if (take->batches[i].first - at >= take->bundle_size && take->batches[i].first <= last) {
                end = take->batches[i].first - 1;
                break;
            }
        bool some = take->strict && (uint64_t)(end - at + 1) > max;
        int64_t given = some ? at + (int64_t)max - 1 : end;
        uint32_t index = split(runs, at);
        split(runs, end + 1);
        for (uint32_t i = index; i < runs->count && runs->at[i].first <= end; i++) {
            runs->at[i].bundle = at;
            runs->at[i].split = some;
        }
        index = split(runs, at);
        split(runs, given + 1);
        acquire(runs, &runs->at[index], take);
        list(arena, out, out->count, at, given, 1);
        if (some)
            return max;
    }
    return (uint64_t)(last - first + 1);
}

/* Deliveries after which records come in smaller and smaller portions. */
static int16_t
slow_after(int16_t limit)
{
    return OX_MAX((int16_t)2, (int16_t)((limit + 1) / 2));
}

/* Whether something available of the bundle was delivered that often. */
static bool
is_slow(const struct share_runs *runs, uint32_t at, const struct share_take *take)
{
    for (uint32_t i = at, end = bundle_end(runs, at); i < end; i++) {
        const struct share_run *run = &runs->at[i];
        if (run->state == RUN_AVAILABLE && run->count >= slow_after(take->limit) &&
            (!run->split || (run->last >= take->first && run->first <= take->last)))
            return true;
    }
    return false;
}

/* How many of a run may be taken when `got` were taken of its bundle before; *stop: then no more.
 * What is delivered for the last time goes alone; what was delivered often, in half, a quarter,
 * ... of its bundle. */
static uint64_t
portion(const struct share_run *run, uint64_t many, uint64_t got, uint64_t size, uint64_t max,
    const struct share_take *take, uint64_t *slow_max, bool *stop)
{
    int16_t slow = slow_after(take->limit);
    *stop = true;
    if (take->limit > 2 && run->count == take->limit - 1)
        return got > 0 ? 0 : 1;
    if (run->count >= slow && *slow_max == 0) {
        int shift = run->count - slow + 1;
        *slow_max = shift < 63 && size >> shift > 0 ? size >> shift : 1;
        if (*slow_max <= got)
            *slow_max = UINT64_MAX; /* passed already */
    }
    uint64_t most = UINT64_MAX;
    if (take->strict)
        most = max - got;
    if (*slow_max > 0 && *slow_max != UINT64_MAX)
        most = OX_MIN(most, *slow_max - got);
    *stop = many >= most;
    return OX_MIN(many, most);
}

/* Of a bundle that is split: record by record. */
static uint64_t
acquire_some(struct share_runs *runs, uint32_t at, uint64_t max, const struct share_take *take,
    struct arena *arena, struct share_acquired *out)
{
    int64_t bundle = runs->at[at].bundle;
    uint64_t got = 0, slow_max = 0;
    uint64_t size = (uint64_t)(runs->at[bundle_end(runs, at) - 1].last - bundle + 1);
    size_t from = out->count;
    bool stop = false;
    for (uint32_t i = at; i < runs->count && runs->at[i].bundle == bundle && !stop; i++) {
        int64_t first = OX_MAX(runs->at[i].first, take->first);
        int64_t last = OX_MIN(runs->at[i].last, take->last);
        if (runs->at[i].state != RUN_AVAILABLE || first > last)
            continue;
        uint64_t many = portion(&runs->at[i], (uint64_t)(last - first + 1), got, size, max, take,
            &slow_max, &stop);
        if (many == 0)
            break;
        last = first + (int64_t)many - 1;
        i = split(runs, first);
        split(runs, last + 1);
        acquire(runs, &runs->at[i], take);
        list(arena, out, from, first, last, runs->at[i].count);
        got += many;
    }
    return got;
}

/* One bundle; *stop: nothing after it. */
static uint64_t
acquire_bundle(struct share_runs *runs, uint32_t at, uint64_t left, bool any,
    const struct share_take *take, struct arena *arena, struct share_acquired *out, bool *stop)
{
    struct share_run *run = &runs->at[at];
    uint64_t size = (uint64_t)(runs->at[bundle_end(runs, at) - 1].last - run->bundle + 1);
    bool slow = is_slow(runs, at, take);
    *stop = slow && any;
    if (*stop || (!run->split && run->state != RUN_AVAILABLE))
        return 0;
    if (run->split || slow || !within(runs, at, take->first, take->last) ||
        (take->strict && size > left)) {
        split_bundle(runs, at);
        uint64_t got = acquire_some(runs, at, left, take, arena, out);
        *stop = slow && got > 0;
        return got;
    }
    acquire(runs, run, take);
    list(arena, out, out->count, run->first, run->last, run->count);
    return length(run);
}

uint64_t
runs_acquire(struct share_runs *runs, const struct share_take *take, struct arena *arena,
    struct share_acquired *out)
{
    uint64_t taken = 0;
    bool stop = false;
    if (take->last < runs->start || take->max == 0)
        return 0;
    for (uint32_t i = runs->count > 0 && take->first < runs->end
                          ? bundle_begin(runs, find(runs, OX_MAX(take->first, runs->start)))
                          : runs->count;
         i < runs->count && runs->at[i].bundle <= take->last && taken < take->max && !stop;) {
        int64_t next = runs->at[bundle_end(runs, i) - 1].last + 1;
        if (is_fresh(&runs->at[i])) {
            int64_t first = OX_MAX(runs->at[i].first, take->first);
            if (first <= take->last)
                taken += acquire_new(runs, first, OX_MIN(next - 1, take->last),
                    take->max - taken, take, arena, out);
        } else {
            taken += acquire_bundle(runs, i, take->max - taken, taken > 0, take, arena, out, &stop);
        }
        if (next >= runs->end)
            break;
        i = find(runs, next);
    }
    if (taken < take->max && !stop && take->last >= runs->end)
        taken += acquire_new(runs, runs->end, take->last, take->max - taken, take, arena, out);
    join(runs);
    return taken;
}

/* What is in state `from` between two offsets. A bundle of which that is a part is split. */
static void
archive(struct share_runs *runs, int64_t first, int64_t last, enum run_state from)
{
    first = OX_MAX(first, runs->start);
    last = OX_MIN(last, runs->end - 1);
    if (first > last)
        return;
    for (uint32_t i = bundle_begin(runs, find(runs, first));
         i < runs->count && runs->at[i].bundle <= last; i = bundle_end(runs, i))
        if (runs->at[i].state == from && !is_fresh(&runs->at[i]) && !within(runs, i, first, last))
            split_bundle(runs, i);
    split(runs, last + 1);
    for (uint32_t i = split(runs, first); i < runs->count && runs->at[i].first <= last; i++)
        if (runs->at[i].state == from) {
            if (is_fresh(&runs->at[i]))
                runs->at[i].bundle = runs->at[i].first;
            become(runs, &runs->at[i], RUN_ARCHIVED);
            runs->at[i].rejected = false;
        }
    for (uint32_t i = 1; i < runs->count; i++) /* what is left of a fresh run behind it */
        if (is_fresh(&runs->at[i]))
            runs->at[i].bundle = runs->at[i].first;
    join(runs);
}

void
runs_archive(struct share_runs *runs, int64_t first, int64_t last)
{
    archive(runs, first, last, RUN_AVAILABLE);
}

/* Drops [first, last] from the rows. */
static void
unlist(struct arena *arena, struct share_acquired *rows, int64_t first, int64_t last)
{
    struct share_acquired left = {0};
    for (size_t i = 0; i < rows->count; i++) {
        struct share_acquired_row row = rows->at[i];
        if (row.first < first)
            list(arena, &left, left.count, row.first, OX_MIN(row.last, first - 1), row.count);
        if (row.last > last)
            list(arena, &left, left.count, OX_MAX(row.first, last + 1), row.last, row.count);
    }
    *rows = left;
}

void
runs_discard(struct share_runs *runs, int64_t first, int64_t last, struct arena *arena,
    struct share_acquired *rows)
{
    if (runs->count > 0 && first >= runs->end) { /* as Kafka, which looks at what stands before */
        uint32_t before = bundle_begin(runs, runs->count - 1);
        if (runs->at[before].state == RUN_ACQUIRED)
            split_bundle(runs, before);
        return;
    }
    archive(runs, first, last, RUN_ACQUIRED);
    unlist(arena, rows, first, last);
}

/* ---- acknowledging ---- */

ox_code
runs_check(struct share_runs *runs, uint64_t owner, const struct share_ack *ack, bool renew)
{
    int64_t first = OX_MAX(ack->first, runs->start);
    if (ack->last < runs->start)
        return OX_OK; /* long done */
    if (runs->count == 0)
        return runs->remains ? OX_INVALID_REQUEST : OX_INVALID_RECORD_STATE; /* nothing in hand */
    if (ack->last >= runs->end)
        return OX_INVALID_REQUEST;
    for (uint32_t i = find(runs, first); i < runs->count && runs->at[i].first <= ack->last; i++) {
        const struct share_run *run = &runs->at[i];
        if (run->state != RUN_ACQUIRED || run->owner != owner)
            return OX_INVALID_RECORD_STATE;
        if (!run->split && (!within(runs, i, ack->first, ack->last) || ack->type_count > 1 ||
                               run->bundle < runs->start))
            split_bundle(runs, i);
        int64_t until = OX_MIN(run->last, ack->last);
        for (int64_t at = OX_MAX(run->first, first); !renew && at <= until; at++) {
            if (ack->types[ack->type_count == 1 ? 0 : (size_t)(at - ack->first)] == SHARE_RENEW)
                return OX_INVALID_RECORD_STATE;
            if (ack->type_count == 1)
                break;
        }
    }
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
        run->split |= run->bundle < runs->start;
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
        runs->remains |= runs->count > 0;
        runs->count = 0;
        runs->acquired = 0;
        runs->start = runs->end = log_start;
        return;
    }
    uint32_t index = find(runs, log_start);
    if (runs->at[index].state == RUN_AVAILABLE && !is_fresh(&runs->at[index]) &&
        runs->at[index].bundle < log_start)
        split_bundle(runs, bundle_begin(runs, index));
    uint32_t count = split(runs, log_start);
    if (is_fresh(&runs->at[count]))
        runs->at[count].bundle = log_start;
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
        ox_assert(run->bundle <= run->first);
        if (i > 0 && run->bundle == run[-1].bundle)
            ox_assert(run->split && run[-1].split);
        next = run->last + 1;
    }
    ox_assert(next == runs->end);
    ox_assert(acquired == runs->acquired);
}
