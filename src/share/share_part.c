/* SPDX-License-Identifier: Apache-2.0
 *
 * A partition of a share group at its leader:
 *
 *   NEW --READ--> LOADING --> READY --WRITE--> READY ...
 *    ^               |           |
 *    +---------------+-----------+  what failed is forgotten, the next use reads again
 *
 * At most one call to the share coordinator is out. What changes meanwhile goes
 * with the next; an acknowledgement is answered when the write that carries it
 * is committed. If a write fails nobody knows what the coordinator has, so all
 * is forgotten: records in hand are then nobody's, and come again.
 *
 * Home loop only. */
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "share/share_int.h"

enum { NS_PER_MS = 1000000, DEAD_LETTERS_SINCE = 2 /* share.version */ };

/* ---- names ---- */

static struct str
part_key(struct arena *arena, struct str group_id, const struct uuid *topic_id, int32_t index)
{
    char *to = ox_arena_alloc(arena, group_id.len + 1 + sizeof(*topic_id) + sizeof(index));
    memcpy(to, group_id.ptr, group_id.len);
    to[group_id.len] = '\0';
    memcpy(to + group_id.len + 1, topic_id, sizeof(*topic_id));
    memcpy(to + group_id.len + 1 + sizeof(*topic_id), &index, sizeof(index));
    return ox_str_n(to, group_id.len + 1 + sizeof(*topic_id) + sizeof(index));
}

static struct str
heap_copy(struct str s)
{
    char *copy = ox_malloc(s.len + 1);
    memcpy(copy, s.ptr, s.len);
    return ox_str_n(copy, s.len);
}

struct share_part *
part_find(struct share_home *home, struct str group_id, const struct uuid *topic_id, int32_t index)
{
    struct arena arena;
    ox_arena_init(&arena);
    struct share_part *sp = ox_map_get(&home->parts, part_key(&arena, group_id, topic_id, index));
    ox_arena_fini(&arena);
    return sp;
}

/* ---- settings ---- */

static struct str
group_setting(const struct meta_view *view, struct str group_id, const char *name)
{
    const struct meta_config_set *set = meta_view_config(view, META_RESOURCE_GROUP, group_id);
    for (uint32_t i = 0; set != NULL && i < set->count; i++)
        if (ox_str_is(set->items[i].name, name))
            return set->items[i].value;
    return OX_STR_NULL;
}

static int32_t
group_number(const struct meta_view *view, struct str group_id, const char *name, int32_t initial)
{
    int64_t value;
    struct str text = group_setting(view, group_id, name);
    return text.ptr != NULL && ox_str_to_i64(text, &value) && value > 0 && value <= INT32_MAX
               ? (int32_t)value
               : initial;
}

int32_t
part_lock_ms(const struct meta_view *view, struct str group_id)
{
    return group_number(view, group_id, "share.record.lock.duration.ms",
        view->settings->group_share_record_lock_duration_ms);
}

void
part_settings(struct share_part *sp)
{
    const struct meta_view *view = replica_view(sp->home->share->replica);
    const struct server_config *server = view->settings;
    if (sp->settings_of == view->generation)
        return;
    sp->settings_of = view->generation;
    sp->lock_ms = part_lock_ms(view, sp->group_id);
    sp->limit = (int16_t)group_number(view, sp->group_id, "share.delivery.count.limit",
        server->group_share_delivery_count_limit);
    sp->locks_max = (uint32_t)group_number(view, sp->group_id, "share.partition.max.record.locks",
        server->group_share_partition_max_record_locks);
    struct str renew = group_setting(view, sp->group_id, "share.renew.acknowledge.enable");
    sp->renew = renew.ptr == NULL || ox_str_is(renew, "true");
    struct str isolation = group_setting(view, sp->group_id, "share.isolation.level");
    sp->isolation = isolation.ptr != NULL && ox_str_is(isolation, "read_committed")
                        ? READ_COMMITTED
                        : READ_UNCOMMITTED;
    struct str queue = group_setting(view, sp->group_id, "errors.deadletterqueue.topic.name");
    sp->runs.bury = sp->home->share->bury != NULL && queue.len > 0 &&
                    meta_feature_level(view, PARAM_FEATURE_SHARE_VERSION) >= DEAD_LETTERS_SINCE;
}

/* ISO 8601, as java.time.Duration reads it: P1DT2H3M4S, any part left out. */
static bool
read_duration(struct str text, int64_t *ms)
{
    static const struct {
        char unit;
        bool time;
        int64_t ms;
    } units[] = {{'D', false, 86400000}, {'H', true, 3600000}, {'M', true, 60000}, {'S', true, 1000}};
    size_t at = 1, next = 0;
    bool time = false;
    *ms = 0;
    if (text.len < 3 || (text.ptr[0] != 'P' && text.ptr[0] != 'p'))
        return false;
    while (at < text.len) {
        int64_t number = 0;
        size_t digits = 0;
        if (!time && (text.ptr[at] == 'T' || text.ptr[at] == 't')) {
            time = true;
            at++;
            continue;
        }
        for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9' && digits < 9; at++, digits++)
            number = number * 10 + (text.ptr[at] - '0');
        if (digits == 0 || at == text.len)
            return false;
        while (next < ox_count(units) &&
               (units[next].time != time || units[next].unit != (text.ptr[at] & ~0x20)))
            next++;
        if (next == ox_count(units))
            return false;
        *ms += number * units[next++].ms;
        at++;
    }
    return next > 0;
}

/* The duration in by_duration:DURATION, or -1. */
static int64_t
reset_duration(struct str reset)
{
    struct str prefix = OX_STR("by_duration:");
    int64_t ms;
    if (reset.len <= prefix.len || memcmp(reset.ptr, prefix.ptr, prefix.len) != 0 ||
        !read_duration(ox_str_n(reset.ptr + prefix.len, reset.len - prefix.len), &ms))
        return -1;
    return ms;
}

bool
share_reset_valid(struct str reset)
{
    return ox_str_is(reset, "earliest") || ox_str_is(reset, "latest") ||
           reset_duration(reset) >= 0;
}

/* Where a group begins that has never read the partition; OX_OFFSET_NOT_AVAILABLE: nothing is as
 * young as it wants. */
static ox_code
first_offset(struct share_part *sp, int64_t *out)
{
    const struct meta_view *view = replica_view(sp->home->share->replica);
    struct str reset = group_setting(view, sp->group_id, "share.auto.offset.reset");
    struct partition_state state;
    partition_state(sp->part, &state);
    *out = reset.ptr != NULL && ox_str_is(reset, "earliest") ? state.log_start
                                                             : state.high_watermark;
    int64_t back_ms = reset.ptr != NULL ? reset_duration(reset) : -1;
    if (back_ms < 0)
        return OX_OK;
    struct log_timed_offset found;
    ox_code code = plog_offset_by_time(partition_log(sp->part),
        loop_wall_ms(sp->home->loop) - back_ms, state.high_watermark, &found, NULL);
    if (code != OX_OK || found.offset < 0)
        return OX_OFFSET_NOT_AVAILABLE;
    *out = found.offset;
    return OX_OK;
}

/* ---- waiting ---- */

void
part_wait(struct share_part *sp, struct share_call *call, ox_code *code)
{
    struct share_waiter *waiter = ox_arena_new(call->arena, struct share_waiter);
    waiter->call = call;
    waiter->code = code;
    call->pending++;
    ox_list_push(&sp->next, &waiter->link);
}

static void
tell(struct list *waiters, ox_code code)
{
    for (struct list *node; (node = ox_list_pop(waiters)) != NULL;) {
        struct share_waiter *waiter = ox_container_of(node, struct share_waiter, link);
        if (waiter->code != NULL)
            *waiter->code = code;
        share_waited(waiter->call);
    }
}

static void
move(struct list *to, struct list *from)
{
    for (struct list *node; (node = ox_list_pop(from)) != NULL;)
        ox_list_push(to, node);
}

/* ---- the share coordinator ---- */

static void load_done(struct coord_call *call);
static void write_done(struct coord_call *call);

/* What members are told when the share coordinator says that. */
static ox_code
for_members(ox_code code)
{
    switch (code) {
    case OX_FENCED_STATE_EPOCH:
    case OX_FENCED_LEADER_EPOCH:
        return OX_NOT_LEADER;
    case OX_INVALID_REQUEST: /* it has no state of the partition */
        return OX_UNKNOWN_SERVER_ERROR;
    default:
        return code;
    }
}

static void
ask(struct share_part *sp, void (*done)(struct coord_call *call))
{
    sp->out = true;
    atomic_fetch_add(&sp->home->share->out, 1);
    sp->call.call.arena = &sp->arena;
    sp->call.call.done = done;
    sp->call.group_id = sp->group_id;
    sp->call.topic_id = sp->topic_id;
    sp->call.partition = sp->index;
    coord_state(sp->home->share->states, &sp->call);
}

static void
answered(struct share_part *sp)
{
    ox_arena_reset(&sp->arena);
    sp->out = false;
    atomic_fetch_sub(&sp->home->share->out, 1);
}

/* The table has a copy of the key. */
static size_t
weight(const struct share_part *sp)
{
    return sizeof(*sp) + 2 * sp->key.len;
}

static void
load(struct share_part *sp)
{
    struct partition_state state;
    sp->fault = OX_OK;
    sp->absent = true;
    if (sp->part == NULL) {
        struct partition *part =
            replica_partition(sp->home->share->replica, &sp->topic_id, sp->index);
        sp->part = part != NULL && partition_log(part) != NULL ? partition_hold(part) : NULL;
        sp->home->unread -= sp->part != NULL ? weight(sp) : 0;
    }
    if (sp->part == NULL) {
        sp->fault = OX_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    partition_state(sp->part, &state);
    sp->fault = state.fault;
    if (state.fault != OX_OK)
        return;
    sp->leader_epoch = state.leader_epoch;
    sp->absent = false;
    sp->state = PART_LOADING;
    sp->call = (struct coord_state_call){.op = COORD_STATE_READ,
        .leader_epoch = sp->leader_epoch, .state_epoch = -1};
    ask(sp, load_done);
}

static void
forget(struct share_part *sp, ox_code fault)
{
    loop_timer_stop(&sp->timer);
    runs_fini(&sp->runs);
    sp->state = PART_NEW;
    sp->fault = fault;
}

/* Goes on after a call came home; frees what nobody reads any more. */
static void
settle(struct share_part *sp)
{
    if (sp->dropped && sp->sessions == 0 && !sp->out && !sp->burying && ox_list_empty(&sp->next) &&
        ox_list_empty(&sp->waiting)) {
        ox_map_remove(&sp->home->parts, sp->key);
        sp->home->unread -= sp->part == NULL ? weight(sp) : 0;
        part_free(sp);
    }
}

/* ---- the dead-letter queue ---- */

static void buried(struct share_burial *burial);

/* Sends off what was given up, run after run. */
static void
bury(struct share_part *sp)
{
    struct share *share = sp->home->share;
    struct share_run run;
    if (sp->burying || sp->out || sp->state != PART_READY || sp->home->stopping ||
        share->bury == NULL || !runs_archiving(&sp->runs, &run))
        return;
    sp->burying = true;
    atomic_fetch_add(&share->out, 1);
    sp->burial = (struct share_burial){.loop = sp->home->loop, .group_id = sp->group_id,
        .topic_id = sp->topic_id, .partition = sp->index, .part = sp->part, .first = run.first,
        .last = run.last, .count = run.count, .done = buried,
        .rejected = run.rejected || run.count < sp->limit};
    share->bury(share->bury_arg, &sp->burial);
}

/* If it was forgotten and loaded meanwhile the same records wait again. */
static void
buried(struct share_burial *burial)
{
    struct share_part *sp = ox_container_of(burial, struct share_part, burial);
    sp->burying = false;
    if (burial->code != OX_SHUTTING_DOWN && sp->state == PART_READY) {
        runs_buried(&sp->runs, burial->first, burial->last);
        sp->sessions++;
        part_write(sp);
        bury(sp);
        sp->sessions--;
    }
    atomic_fetch_sub(&sp->home->share->out, 1);
    settle(sp);
}

/* ---- what the share coordinator said ---- */

static void
load_done(struct coord_call *call)
{
    struct share_part *sp =
        ox_container_of(ox_container_of(call, struct coord_state_call, call), struct share_part,
            call);
    struct coord_state_call *state = &sp->call;
    ox_code code = state->call.code;
    int64_t start = state->start_offset;
    if (code == OX_OK && start < 0)
        code = first_offset(sp, &start);
    if (code == OX_OK) {
        sp->state_epoch = state->state_epoch;
        sp->met = -1;
        sp->told_start = start; /* where a group begins is nobody's business until it moves */
        runs_init(&sp->runs, start);
        sp->settings_of = 0;
        part_settings(sp);
        runs_load(&sp->runs, state->batches, state->batch_count);
        sp->state = PART_READY;
    } else {
        forget(sp, for_members(code));
    }
    answered(sp);
    struct list waiters;
    ox_list_init(&waiters);
    move(&waiters, &sp->next);
    sp->sessions++; /* who waits may leave */
    tell(&waiters, code);
    bury(sp);
    sp->sessions--;
    settle(sp);
}

void
part_write(struct share_part *sp)
{
    if (sp->out || sp->state != PART_READY)
        return;
    if (!runs_dirty(&sp->runs) && sp->runs.start == sp->told_start) {
        tell(&sp->next, OX_OK);
        return;
    }
    sp->call = (struct coord_state_call){.op = COORD_STATE_WRITE,
        .state_epoch = sp->state_epoch, .leader_epoch = sp->leader_epoch,
        .start_offset = sp->runs.start, .complete_count = runs_complete(&sp->runs)};
    sp->told_start = sp->runs.start;
    sp->release_out = sp->released;
    sp->released = false;
    runs_take_dirty(&sp->runs, &sp->arena, &sp->call.batches, &sp->call.batch_count);
    move(&sp->waiting, &sp->next);
    ask(sp, write_done);
}

static void
write_done(struct coord_call *call)
{
    struct share_part *sp =
        ox_container_of(ox_container_of(call, struct coord_state_call, call), struct share_part,
            call);
    ox_code code = sp->call.call.code;
    struct list waiters;
    answered(sp);
    ox_list_init(&waiters);
    move(&waiters, &sp->waiting);
    if (code == OX_FENCED_STATE_EPOCH && ox_list_empty(&waiters) && !sp->release_out) {
        code = OX_OK; /* only locks that ran out: a member will hear of it */
    } else if (code != OX_OK) {
        ox_warn("share group state was not written", "group=%.*s partition=%d code=%s",
            OX_STR_ARG(sp->group_id), sp->index, ox_code_facts(code)->name);
        move(&waiters, &sp->next);
        forget(sp, for_members(code));
    }
    sp->sessions++;
    tell(&waiters, for_members(code));
    if (code == OX_OK)
        part_write(sp);
    bury(sp);
    sp->sessions--;
    settle(sp);
}

/* ---- coming and going ---- */

struct share_part *
part_get(struct share_home *home, struct str group_id, const struct uuid *topic_id, int32_t index)
{
    struct share_part *sp = part_find(home, group_id, topic_id, index);
    if (sp == NULL) {
        struct arena arena;
        ox_arena_init(&arena);
        sp = ox_calloc(1, sizeof(*sp));
        sp->home = home;
        sp->key = heap_copy(part_key(&arena, group_id, topic_id, index));
        ox_arena_fini(&arena);
        sp->group_id = ox_str_n(sp->key.ptr, group_id.len);
        sp->topic_id = *topic_id;
        sp->index = index;
        ox_arena_init(&sp->arena);
        ox_list_init(&sp->waiting);
        ox_list_init(&sp->next);
        ox_map_put(&home->parts, sp->key, sp);
        home->unread += weight(sp);
    }
    sp->dropped = false;
    return sp;
}

void
part_load(struct share_part *sp)
{
    if (sp->state == PART_NEW && !sp->out)
        load(sp);
}

void
part_free(struct share_part *sp)
{
    ox_assert(!sp->out && !sp->burying && ox_list_empty(&sp->waiting) && ox_list_empty(&sp->next));
    loop_timer_stop(&sp->timer);
    runs_fini(&sp->runs);
    partition_put(sp->part);
    ox_arena_fini(&sp->arena);
    ox_free((void *)sp->key.ptr);
    ox_free(sp);
}

void
part_leave(struct share_part *sp)
{
    ox_assert(sp->sessions > 0);
    sp->sessions--;
    sp->dropped |= sp->sessions == 0 && sp->part == NULL; /* it was never read */
    settle(sp);
}

/* ---- locks ---- */

static uint64_t
now_ms(const struct share_part *sp)
{
    return loop_now_ns(sp->home->loop) / NS_PER_MS;
}

static void arm(struct share_part *sp);

static void
locks_ran_out(struct loop_timer *timer)
{
    struct share_part *sp = ox_container_of(timer, struct share_part, timer);
    if (sp->state != PART_READY)
        return;
    part_settings(sp);
    if (runs_release(&sp->runs, 0, now_ms(sp), sp->limit)) {
        part_write(sp);
        share_wake_group(sp->home, sp->group_id);
    }
    arm(sp);
}

static void
arm(struct share_part *sp)
{
    uint64_t at = runs_deadline(&sp->runs), now = now_ms(sp);
    ox_check_slow((runs_check_all(&sp->runs), true));
    if (at == UINT64_MAX)
        loop_timer_stop(&sp->timer);
    else
        loop_timer_start(sp->home->loop, &sp->timer, (at > now ? at - now : 0) * NS_PER_MS,
            locks_ran_out);
}

void
part_release(struct share_part *sp, uint64_t owner)
{
    if (sp->state != PART_READY)
        return;
    part_settings(sp);
    if (!runs_release(&sp->runs, owner, 0, sp->limit))
        return;
    sp->released = true;
    arm(sp);
    part_write(sp);
    share_wake_group(sp->home, sp->group_id);
}

void
parts_forget(struct share_home *home, struct str group_id)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&home->parts, &at)) != NULL;) {
        struct share_part *sp = entry->value;
        if (!ox_str_eq(sp->group_id, group_id))
            continue;
        sp->dropped = true;
        settle(sp);
    }
}

void
parts_sweep(struct share_home *home)
{
    const struct meta_view *view = replica_view(home->share->replica);
    struct map_entry *entry;
    if (home->swept == view->generation)
        return;
    home->swept = view->generation;
    for (uint32_t at = 0; (entry = ox_map_next(&home->parts, &at)) != NULL;) {
        struct share_part *sp = entry->value;
        struct partition_state state = {0};
        if (sp->sessions > 0)
            continue;
        if (sp->part != NULL)
            partition_state(sp->part, &state);
        if (sp->part == NULL || state.fault != OX_OK ||
            meta_view_topic_by_id(view, &sp->topic_id) == NULL) {
            sp->dropped = true;
            settle(sp);
        }
    }
}

/* ---- handing out ---- */

/* Records between the first that is not done and the last that was handed out count, whatever has
 * become of them. */
static uint64_t
locked(const struct share_runs *runs)
{
    return runs->count == 0 ? 0 : (uint64_t)(runs->end - runs->start);
}

bool
part_has_room(struct share_part *sp)
{
    part_settings(sp);
    return runs_next(&sp->runs) < sp->runs.end || locked(&sp->runs) < sp->locks_max;
}

bool
part_stock(struct share_part *sp, size_t max, bool exactly, uint64_t *bytes)
{
    struct partition_state state;
    struct log_range range;
    int64_t from = runs_next(&sp->runs);
    partition_state(sp->part, &state);
    if (state.fault != OX_OK || from < state.log_start || from > state.log_end)
        return true;
    sp->seen = OX_MAX(from, partition_visible_end(&state, sp->isolation));
    if (from == sp->seen)
        return false;
    if (!exactly) {
        ++*bytes;
        return false;
    }
    if (partition_read(sp->part, from, max, true, sp->isolation, -1, &range, &state, NULL) != OX_OK)
        return true;
    sp->seen = OX_MAX(from, partition_visible_end(&state, sp->isolation));
    *bytes += range.len > 0 && range.next_offset < sp->seen ? max : OX_MIN(range.len, max);
    bool older = range.len > 0 && range.older;
    log_range_put(&range);
    return older;
}

/* What was read: the log's batches, and which of them nobody is to see. */
struct reading {
    struct share_batch *batches;
    size_t count, cap;
    struct log_aborted_txn *aborted;
    size_t aborted_count;
};

static bool
is_aborted(const struct reading *reading, const struct record_batch *batch)
{
    for (size_t i = 0; i < reading->aborted_count && record_batch_is_transactional(batch); i++)
        if (batch->producer_id == reading->aborted[i].producer_id &&
            batch->base_offset >= reading->aborted[i].first_offset &&
            batch->base_offset <= reading->aborted[i].last_offset)
            return !record_batch_is_control(batch);
    return false;
}

static void
note_batch(struct reading *reading, const struct record_batch *batch, struct arena *arena)
{
    ox_arena_grow(arena, (void **)&reading->batches, &reading->cap, reading->count + 1,
        sizeof(*reading->batches));
    reading->batches[reading->count++] = (struct share_batch){batch->base_offset,
        batch->base_offset + batch->last_offset_delta, batch->bytes, is_aborted(reading, batch)};
}

static ox_code
walk(const struct share_part *sp, const struct log_range *range, int64_t from, struct arena *arena,
    struct reading *reading)
{
    struct log_cursor *cursor;
    struct record_batch batch;
    bool more = true;
    struct plog *plog = partition_log(sp->part);
    if (sp->isolation == READ_COMMITTED &&
        plog_aborted_txns(plog, from, range->next_offset, arena, &reading->aborted,
            &reading->aborted_count, NULL) != OX_OK)
        return OX_STORAGE_ERROR;
    ox_code code =
        log_cursor_open(plog, from, range->next_offset, LOG_CURSOR_HEADERS, &cursor, NULL);
    if (code != OX_OK)
        return code;
    while (code == OX_OK && more) {
        code = log_cursor_next(cursor, &batch, &more, NULL);
        if (code == OX_OK && more)
            note_batch(reading, &batch, arena);
    }
    log_cursor_close(cursor);
    return code;
}

/* Only batches that hold what was handed out are sent. */
static void
slice(struct log_range *range, const struct reading *reading, const struct share_acquired *rows)
{
    int64_t first = rows->at[0].first, last = rows->at[rows->count - 1].last;
    size_t skipped = 0, kept = 0, at = 0;
    while (at + 1 < reading->count && reading->batches[at + 1].first <= first)
        skipped += reading->batches[at++].bytes;
    for (; at < reading->count && (kept == 0 || reading->batches[at].first <= last); at++)
        kept += reading->batches[at].bytes;
    if (skipped >= range->len)
        return;
    range->pos += skipped;
    range->len = OX_MIN(range->len - skipped, kept);
}

/* Hands out of what was read; returns how many. */
static uint64_t
hand_out(struct share_part *sp, const struct share_call *call, const struct part_read *read,
    int64_t from, const struct reading *reading, struct share_acquired *out)
{
    struct share_runs *runs = &sp->runs;
    struct share_take take = {.first = reading->batches[0].first,
        .last = reading->batches[reading->count - 1].last, .batches = reading->batches,
        .batch_count = reading->count, .max = read->max, .strict = call->strict,
        .bundle_size = call->bundle_size, .limit = sp->limit, .owner = read->owner,
        .deadline_ms = now_ms(sp) + (uint64_t)sp->lock_ms};
    if (take.last < runs->start)
        return 0;
    if (locked(runs) >= sp->locks_max) { /* there is a gap to fill, and no more */
        if (from >= runs->end)
            return 0;
        take.max = OX_MIN(take.max, (uint64_t)(runs->end - from));
        take.last = OX_MIN(take.last, runs->end - 1);
    } else {
        take.max = OX_MIN(take.max, sp->locks_max - locked(runs));
    }
    if (runs->count == 0) {
        if (take.first > runs->end)
            runs->start = runs->end = take.first;
    } else if (from < take.first) { /* nothing stands there any more */
        runs_extend(runs, take.first - 1);
        runs_archive(runs, from, take.first - 1);
    }
    runs_acquire(runs, &take, call->arena, out);
    for (size_t i = 0; i < reading->count; i++)
        if (reading->batches[i].hidden)
            runs_discard(runs, reading->batches[i].first, reading->batches[i].last, call->arena,
                out);
    uint64_t taken = 0;
    for (size_t i = 0; i < out->count; i++)
        taken += (uint64_t)(out->at[i].last - out->at[i].first + 1);
    if (taken == 0 && locked(runs) >= sp->locks_max)
        runs_trim(runs); /* what nobody is given nobody acknowledges */
    return taken;
}

/* Where to read; false: nothing can be handed out now. */
static bool
begin_read(struct share_part *sp, struct part_read *read, struct share_call_part *out,
    int64_t *from)
{
    struct partition_state state;
    partition_state(sp->part, &state);
    out->code = state.fault;
    if (state.fault != OX_OK || !part_has_room(sp))
        return false;
    *from = runs_next(&sp->runs);
    if (*from < state.log_start) {
        runs_cut(&sp->runs, state.log_start);
        read->cut = true;
        return false;
    }
    if (*from > state.log_end) {
        forget(sp, OX_OK); /* the log is shorter than it was: begin anew */
        read->cut = true;
        return false;
    }
    return true;
}

uint64_t
part_acquire(struct share_part *sp, const struct share_call *call, struct part_read *read,
    struct share_call_part *out)
{
    struct partition_state state;
    struct reading reading = {0};
    uint64_t taken = 0;
    int64_t from;
    if (!begin_read(sp, read, out, &from))
        return 0;
    out->code = partition_read(sp->part, from, read->max_bytes, read->min_one, sp->isolation, -1,
        &out->range, &state, NULL);
    if (out->code != OX_OK || out->range.len == 0)
        return 0;
    read->bytes = out->range.len;
    out->code = walk(sp, &out->range, from, call->arena, &reading);
    if (out->code == OX_OK && reading.count > 0)
        taken = hand_out(sp, call, read, from, &reading, &out->acquired);
    if (taken == 0 || out->code != OX_OK) {
        log_range_put(&out->range);
        out->range = (struct log_range){0};
    } else {
        slice(&out->range, &reading, &out->acquired);
    }
    part_write(sp);
    arm(sp);
    return taken;
}
