/* SPDX-License-Identifier: Apache-2.0
 *
 * The share coordinator: how far each share group has come in each partition,
 * kept in __share_group_state (layouts: grammar/disk/share_state.msg). The
 * partition's leader (share/) reads a state when it begins to hand records out,
 * and writes what has changed with every acknowledgement.
 *
 *   none --INITIALIZE--> state --WRITE (update record)--> state ... --DELETE--> none
 *                          |  every so many updates: a snapshot record
 *
 * A record takes effect at once and its call is answered when it is committed;
 * if the log refuses it the shard loads again. So that the log does not grow for
 * ever, a sweep takes snapshots of what has not had one for long, and drops the
 * log before the oldest snapshot that counts.
 *
 * Invariants:
 * 1. A state's epochs never go back: a write of an older leader or of an older
 *    incarnation of the state is refused.
 * 2. Batches are ascending, do not overlap, begin at or after the start offset,
 *    and neighbours differ in state or count.
 * 3. Replaying from any offset up to the oldest snapshot_at gives the same. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "coord/share_group.h"
#include "gen/disk.gen.h"

enum { KEY_SNAPSHOT = 0, KEY_UPDATE = 1, BATCHES_MAX = 100000 };
enum { SWEEP_MS = 300000 };

struct share_state {
    struct str group_id; /* heap */
    struct uuid topic_id;
    int32_t partition;
    int32_t snapshot_epoch, state_epoch, leader_epoch, complete_count;
    int32_t leader_seen; /* the latest leader there ever was: fences those before */
    int64_t start_offset, create_ms, write_ms;
    struct coord_state_batch *batches; /* heap */
    size_t batch_count, batch_cap;
    uint32_t updates;    /* since the snapshot */
    int64_t snapshot_at; /* log offset; -1: on its way */
};

/* ---- names ---- */

static struct str
state_name(struct arena *arena, struct str group_id, const struct uuid *topic_id,
    int32_t partition)
{
    char id[23];
    ox_uuid_to_base64(topic_id, id);
    return ox_str(
        ox_arena_printf(arena, "%.*s:%s:%d", OX_STR_ARG(group_id), id, partition));
}

static void
state_free(struct share_state *state)
{
    heap_str_free(&state->group_id);
    ox_free(state->batches);
    ox_free(state);
}

/* ---- batches ---- */

static void
push_batch(struct share_state *state, struct coord_state_batch batch)
{
    struct coord_state_batch *last =
        state->batch_count > 0 ? &state->batches[state->batch_count - 1] : NULL;
    batch.first = OX_MAX(batch.first, state->start_offset);
    if (batch.first > batch.last)
        return; /* empty, or before the start */
    if (last != NULL && last->last + 1 == batch.first && last->state == batch.state &&
        last->count == batch.count) {
        last->last = batch.last;
        return;
    }
    if (state->batch_count == state->batch_cap) {
        state->batch_cap = state->batch_cap == 0 ? 8 : state->batch_cap * 2;
        state->batches =
            ox_realloc(state->batches, ox_size_mul(state->batch_cap, sizeof(*state->batches)));
    }
    state->batches[state->batch_count++] = batch;
}

/* What is new lies over what there was. Both ascending. */
static void
lay_over(struct share_state *state, const struct coord_state_batch *over, size_t count)
{
    struct coord_state_batch *old = state->batches;
    size_t old_count = state->batch_count, j = 0;
    state->batches = NULL;
    state->batch_count = state->batch_cap = 0;
    for (size_t i = 0; i < old_count; i++) {
        struct coord_state_batch rest = old[i];
        while (rest.first <= rest.last) {
            while (j < count && over[j].last < rest.first)
                push_batch(state, over[j++]);
            if (j == count || over[j].first > rest.last) {
                push_batch(state, rest);
                break;
            }
            struct coord_state_batch before = rest;
            before.last = over[j].first - 1;
            push_batch(state, before); /* nothing, if the new one begins earlier */
            rest.first = over[j].last + 1;
        }
    }
    while (j < count)
        push_batch(state, over[j++]);
    ox_free(old);
}

/* ---- records ---- */

typedef struct share_snapshot_value_state_batches snapshot_row;
typedef struct share_update_value_state_batches update_row;
_Static_assert(sizeof(snapshot_row) == sizeof(update_row), "one layout under two names");

static struct str
make_key(struct write *write, int16_t type, const struct coord_state_call *call)
{
    struct text text;
    struct share_snapshot_key key = {call->group_id, call->topic_id, call->partition};
    ox_text_init(&text, &write->arena);
    struct wire_out out = wire_out(&text);
    wire_put16(&out, type);
    share_snapshot_key_encode(&key, 0, &out);
    return ox_text_str(&text);
}

static snapshot_row *
make_rows(struct write *write, const struct coord_state_batch *batches, size_t count)
{
    snapshot_row *rows = ox_arena_array(&write->arena, snapshot_row, count);
    for (size_t i = 0; i < count; i++)
        rows[i] = (snapshot_row){batches[i].first, batches[i].last, batches[i].state,
            batches[i].count};
    return rows;
}

static void state_apply(struct shard *shard, struct str key, struct str value, int64_t at);

static void
emit(struct write *write, struct shard *shard, struct str key, struct str value)
{
    write->ahead = true;
    write_add(write, key, value);
    state_apply(shard, key, value, -1);
}

static void
put_snapshot(struct write *write, struct shard *shard, const struct coord_state_call *call,
    const struct share_state *from)
{
    int64_t now = shard_wall(shard);
    struct share_snapshot_value value = {from->snapshot_epoch, from->state_epoch,
        from->leader_epoch, from->start_offset, from->complete_count, from->create_ms, now,
        {make_rows(write, from->batches, from->batch_count), (int32_t)from->batch_count}};
    emit(write, shard, make_key(write, KEY_SNAPSHOT, call),
        record_encode(write, &share_snapshot_value_type, &value));
}

static void
put_update(struct write *write, struct shard *shard, const struct coord_state_call *call,
    const struct share_state *state)
{
    struct share_update_value value = {state->snapshot_epoch, call->leader_epoch,
        call->start_offset, call->complete_count,
        {(update_row *)(void *)make_rows(write, call->batches, call->batch_count),
            (int32_t)call->batch_count}};
    emit(write, shard, make_key(write, KEY_UPDATE, call),
        record_encode(write, &share_update_value_type, &value));
}

static bool
read_rows(const snapshot_row *rows, int32_t count, struct arena *arena,
    struct coord_state_batch **out)
{
    *out = ox_arena_array(arena, struct coord_state_batch, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        (*out)[i] = (struct coord_state_batch){rows[i].first_offset, rows[i].last_offset,
            rows[i].delivery_state, rows[i].delivery_count};
        if (rows[i].first_offset < 0 || rows[i].last_offset < rows[i].first_offset ||
            (i > 0 && rows[i].first_offset <= rows[i - 1].last_offset))
            return false;
    }
    return true;
}

static struct share_state *
state_get(struct shard *shard, struct str name, const struct share_snapshot_key *key)
{
    struct share_state *state = ox_map_get(&shard->states, name);
    if (state == NULL) {
        state = ox_calloc(1, sizeof(*state));
        state->group_id = heap_str(key->group_id);
        state->topic_id = key->topic_id;
        state->partition = key->partition;
        state->start_offset = -1;
        ox_map_put(&shard->states, name, state);
    }
    return state;
}

static bool
apply_snapshot(struct shard *shard, struct str name, const struct share_snapshot_key *key,
    struct wire_in *in, struct arena *arena, int64_t at)
{
    struct share_snapshot_value value;
    struct coord_state_batch *batches;
    if (!share_snapshot_value_decode(in, 0, arena, &value) ||
        !read_rows(value.state_batches.at, value.state_batches.count, arena, &batches))
        return false;
    struct share_state *state = state_get(shard, name, key);
    state->snapshot_epoch = value.snapshot_epoch;
    state->state_epoch = value.state_epoch;
    state->leader_epoch = value.leader_epoch;
    state->leader_seen = OX_MAX(state->leader_seen, value.leader_epoch);
    state->start_offset = value.start_offset;
    state->complete_count = value.delivery_complete_count;
    state->create_ms = value.create_timestamp;
    state->write_ms = value.write_timestamp;
    state->batch_count = 0;
    state->updates = 0;
    state->snapshot_at = at;
    lay_over(state, batches, (size_t)value.state_batches.count);
    return true;
}

static bool
apply_update(struct shard *shard, struct str name, struct wire_in *in, struct arena *arena)
{
    struct share_update_value value;
    struct coord_state_batch *batches;
    struct share_state *state = ox_map_get(&shard->states, name);
    if (!share_update_value_decode(in, 0, arena, &value) ||
        !read_rows((snapshot_row *)(void *)value.state_batches.at, value.state_batches.count,
            arena, &batches))
        return false;
    if (state == NULL || value.snapshot_epoch != state->snapshot_epoch)
        return true; /* of a state that is gone */
    state->leader_epoch = OX_MAX(state->leader_epoch, value.leader_epoch);
    state->leader_seen = OX_MAX(state->leader_seen, value.leader_epoch);
    if (value.start_offset >= 0)
        state->start_offset = OX_MAX(state->start_offset, value.start_offset);
    state->complete_count = value.delivery_complete_count;
    state->write_ms = shard_wall(shard);
    state->updates++;
    lay_over(state, batches, (size_t)value.state_batches.count);
    return true;
}

static bool
apply_record(struct shard *shard, struct str key, struct str value, int64_t at,
    struct arena *arena)
{
    struct wire_in in = wire_in(key.ptr, key.len), body = wire_in(value.ptr, value.len);
    struct share_snapshot_key read;
    int16_t type = wire_get16(&in);
    if ((type != KEY_SNAPSHOT && type != KEY_UPDATE) ||
        !share_snapshot_key_decode(&in, 0, arena, &read))
        return false;
    struct str name = state_name(arena, read.group_id, &read.topic_id, read.partition);
    if (value.ptr == NULL) {
        struct share_state *state = type == KEY_SNAPSHOT ? ox_map_remove(&shard->states, name)
                                                         : NULL;
        if (state != NULL)
            state_free(state);
        return true;
    }
    if (wire_get16(&body) != 0)
        return false;
    return type == KEY_SNAPSHOT ? apply_snapshot(shard, name, &read, &body, arena, at)
                                : apply_update(shard, name, &body, arena);
}

/* at: log offset, -1 while the record is on its way. */
static void
state_apply(struct shard *shard, struct str key, struct str value, int64_t at)
{
    struct arena arena;
    ox_arena_init(&arena);
    if (!apply_record(shard, key, value, at, &arena))
        shard->skipped++;
    ox_arena_fini(&arena);
}

/* ---- calls ---- */

static void
tell(struct coord_state_call *call, const struct share_state *state)
{
    call->state_epoch = state != NULL ? state->state_epoch : 0;
    call->leader_epoch = state != NULL ? state->leader_epoch : 0;
    call->start_offset = state != NULL ? state->start_offset : -1;
    call->complete_count = state != NULL ? state->complete_count : -1;
    call->batches = NULL;
    call->batch_count = 0;
    if (call->op != COORD_STATE_READ || state == NULL)
        return;
    call->batches =
        ox_arena_array(call->call.arena, struct coord_state_batch, state->batch_count);
    call->batch_count = state->batch_count;
    if (state->batch_count > 0)
        memcpy(call->batches, state->batches, state->batch_count * sizeof(*call->batches));
}

static void
initialize(struct write *write, struct shard *shard, const struct coord_state_call *call,
    const struct share_state *old)
{
    struct share_state fresh = {
        .snapshot_epoch = old != NULL ? old->snapshot_epoch + 1 : 0,
        .state_epoch = call->state_epoch,
        .complete_count = call->start_offset < 0 ? -1 : 0,
        .start_offset = call->start_offset,
        .create_ms = shard_wall(shard),
    };
    put_snapshot(write, shard, call, &fresh);
}

static int
by_priority(const void *a, const void *b)
{
    const struct coord_state_batch *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return (x->state > y->state) - (x->state < y->state);
}

/* Where batches of one request overlap, more deliveries count more, then the
 * later state. */
static void
put_in_order(struct coord_state_call *call)
{
    struct share_state merged = {.start_offset = call->start_offset};
    if (call->batch_count == 0)
        return;
    qsort(call->batches, call->batch_count, sizeof(*call->batches), by_priority);
    for (size_t i = 0; i < call->batch_count; i++)
        lay_over(&merged, &call->batches[i], 1);
    call->batch_count = merged.batch_count;
    call->batches = ox_arena_copy(call->call.arena, merged.batches,
        merged.batch_count * sizeof(*merged.batches));
    ox_free(merged.batches);
}

/* Only a read makes a leader. */
static void
write_state(struct write *write, struct shard *shard, struct coord_state_call *call,
    const struct share_state *state)
{
    if (call->strict)
        put_in_order(call);
    call->leader_epoch = state->leader_epoch;
    put_update(write, shard, call, state);
}

/* A new leader's first word fences the one before. */
static void
raise_leader(struct write *write, struct shard *shard, const struct coord_state_call *call,
    const struct share_state *state)
{
    struct coord_state_call raise = *call;
    raise.start_offset = -1;
    raise.complete_count = state->complete_count;
    raise.batch_count = 0;
    put_update(write, shard, &raise, state);
}

static ox_code
check_strict(const struct shard *shard, const struct coord_state_call *call,
    const struct share_state *state)
{
    const struct coord_host *host = shard->coord->host;
    struct coord_topic facts;
    bool used = call->op == COORD_STATE_READ || call->op == COORD_STATE_WRITE;
    if (used && state == NULL)
        return OX_INVALID_REQUEST;
    if (call->op == COORD_STATE_READ && call->leader_epoch < state->leader_seen)
        return OX_FENCED_LEADER_EPOCH;
    if (!host->topic_by_id(host->self, &call->topic_id, &facts) ||
        call->partition >= facts.partition_count)
        return OX_UNKNOWN_TOPIC_OR_PARTITION;
    return OX_OK;
}

/* Epochs of requests are not negative, those of this process may be: unknown. */
static bool
epochs_sound(const struct coord_state_call *call)
{
    bool leader = call->op == COORD_STATE_READ || call->op == COORD_STATE_WRITE;
    bool state = call->op == COORD_STATE_INITIALIZE || call->op == COORD_STATE_WRITE;
    return !call->strict ||
           (!(leader && call->leader_epoch < 0) && !(state && call->state_epoch < 0));
}

static ox_code
check(const struct coord_state_call *call, const struct share_state *state)
{
    if (call->group_id.len == 0 || call->group_id.len > INT16_MAX || call->partition < 0 ||
        call->batch_count > BATCHES_MAX || !epochs_sound(call))
        return OX_INVALID_REQUEST;
    for (size_t i = 0; call->op == COORD_STATE_WRITE && i < call->batch_count; i++)
        if (call->batches[i].first < 0 || call->batches[i].last < call->batches[i].first ||
            (!call->strict && i > 0 && call->batches[i].first <= call->batches[i - 1].last))
            return OX_INVALID_REQUEST;
    if (state == NULL)
        return call->op == COORD_STATE_WRITE || call->op == COORD_STATE_READ ? OX_INVALID_REQUEST
                                                                            : OX_OK;
    bool led = call->op == COORD_STATE_READ || call->op == COORD_STATE_WRITE ||
               (call->op == COORD_STATE_SUMMARY && !call->strict);
    if (led && call->leader_epoch >= 0 && call->leader_epoch < state->leader_seen)
        return OX_FENCED_LEADER_EPOCH;
    bool owned = call->op == COORD_STATE_WRITE || call->op == COORD_STATE_INITIALIZE;
    if (owned && call->state_epoch >= 0 && call->state_epoch < state->state_epoch)
        return OX_FENCED_STATE_EPOCH;
    return OX_OK;
}

/* Where the snapshot that was just committed stands. */
static void
note_snapshot(struct shard *shard, const struct write *write)
{
    struct share_state *state = ox_map_get(&shard->states, write->member_id);
    if (write->member_id.ptr != NULL && state != NULL && state->snapshot_at < 0)
        state->snapshot_at = write->at;
}

static void
state_done(struct shard *shard, struct write *write, ox_code code)
{
    if (code == OX_OK)
        note_snapshot(shard, write);
    if (write->call != NULL)
        call_finish(write->call, write_error(code));
}

static void
state_run(struct coord_call *base)
{
    struct coord_state_call *call = ox_container_of(base, struct coord_state_call, call);
    struct shard *shard = call_shard(base);
    struct share_state *state = NULL;
    struct str name = OX_STR_NULL;
    ox_code code = shard_ready(shard);
    if (code == OX_OK) {
        name = state_name(base->arena, call->group_id, &call->topic_id, call->partition);
        state = ox_map_get(&shard->states, name);
        code = check(call, state);
    }
    if (code == OX_OK && call->strict)
        code = check_strict(shard, call, state);
    if (code != OX_OK) {
        call_finish(base, code);
        return;
    }
    struct write *write = write_new(shard, NULL);
    write->call = base;
    write->finish = state_done;
    if (call->op == COORD_STATE_INITIALIZE)
        initialize(write, shard, call, state);
    else if (call->op == COORD_STATE_DELETE && state != NULL)
        emit(write, shard, make_key(write, KEY_SNAPSHOT, call), OX_STR_NULL);
    else if (call->op == COORD_STATE_WRITE)
        write_state(write, shard, call, state);
    else if (call->op == COORD_STATE_READ && state != NULL &&
             call->leader_epoch > state->leader_seen)
        raise_leader(write, shard, call, state);
    state = ox_map_get(&shard->states, name);
    if (state != NULL && state->updates >= (uint32_t)shard->config.snapshot_updates) {
        state->snapshot_epoch++;
        put_snapshot(write, shard, call, state);
    }
    /* A snapshot alone in its write begins where the write does; one behind an
     * update stands one further, which only keeps a record too many. */
    if (state != NULL && state->snapshot_at < 0)
        write->member_id = ox_str_dup(&write->arena, name);
    if (call->op == COORD_STATE_READ || call->op == COORD_STATE_SUMMARY)
        tell(call, state);
    write_submit(shard, write);
}

void
coord_state(struct coord *coord, struct coord_state_call *call)
{
    call_start(coord, &call->call,
        state_name(call->call.arena, call->group_id, &call->topic_id, call->partition),
        state_run);
}

/* ---- the sweep ---- */

static void
sweep_one(struct shard *shard, struct str name, struct share_state *state)
{
    const struct coord_host *host = shard->coord->host;
    struct coord_state_call call = {.group_id = state->group_id, .topic_id = state->topic_id,
        .partition = state->partition};
    struct coord_topic facts;
    bool gone = !host->topic_by_id(host->self, &state->topic_id, &facts);
    if (!gone && (state->updates == 0 || shard_wall(shard) < state->write_ms + SWEEP_MS))
        return;
    struct write *write = write_new(shard, NULL);
    write->finish = state_done;
    if (gone) {
        emit(write, shard, make_key(write, KEY_SNAPSHOT, &call), OX_STR_NULL);
    } else {
        write->member_id = ox_str_dup(&write->arena, name);
        state->snapshot_epoch++;
        put_snapshot(write, shard, &call, state);
    }
    write_submit(shard, write);
}

static void
share_sweep(struct shard *shard)
{
    const struct coord_host *host = shard->coord->host;
    struct map_entry *entry;
    int64_t needed = INT64_MAX;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->states, &at)) != NULL;)
        sweep_one(shard, entry->key, entry->value);
    for (uint32_t at = 0; (entry = ox_map_next(&shard->states, &at)) != NULL;)
        needed = OX_MIN(needed, ((struct share_state *)entry->value)->snapshot_at);
    if (needed != INT64_MAX && needed > 0)
        host->prune(host->self, shard->partition, needed);
}

static int64_t
share_sweep_ms(const struct shard *shard)
{
    return SWEEP_MS;
}

static void
share_replay(struct shard *shard, const struct coord_replayed *record)
{
    state_apply(shard, record->key, record->value, record->offset);
}

static void
share_replay_marker(struct shard *shard, int64_t producer_id, bool committed)
{
}

static void
share_resume(struct shard *shard)
{
}

static void
share_fail_parked(struct shard *shard, ox_code code)
{
}

static void
share_forget(struct shard *shard)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->states, &at)) != NULL;)
        state_free(entry->value);
    ox_map_fini(&shard->states);
}

const struct coord_kind share_kind = {
    .topic = "__share_group_state",
    .replay = share_replay,
    .replay_marker = share_replay_marker,
    .resume = share_resume,
    .fail_parked = share_fail_parked,
    .forget = share_forget,
    .sweep = share_sweep,
    .sweep_ms = share_sweep_ms,
};
