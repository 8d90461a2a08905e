/* SPDX-License-Identifier: Apache-2.0
 *
 * Shards: one state machine per partition of __consumer_offsets (groups) or of
 * __transaction_state (transactions); struct coord_kind tells them apart.
 *
 *   OFF --elected--> LOADING --loaded--> ACTIVE
 *    ^                  |                   |
 *    +----- resigned or failed to load -----+        any --stop--> STOPPED
 *
 * A call hops to the shard's home loop, changes the group in memory, and is
 * either answered at once, parked in the group (rebalance.c), or tied to a
 * write. Writes queue behind the batch that is out and leave together as the
 * next batch, so that one flush serves all who came meanwhile.
 *
 *   call -> write (queue) -> batch (flying) -> committed: apply, finish, answer
 *
 * What a write changes takes effect when it is committed, through the same
 * shard_apply() that replays the log. Two exceptions: classic membership lives
 * in memory and its record is a snapshot of it; records of consumer groups take
 * effect at once, and if the log then refuses them the shard loads again.
 *
 * Invariants:
 * 1. At most one batch is flying; its epoch is the shard's.
 * 2. Writes end in the order in which they were submitted (time-outs apart).
 * 3. group->writes counts the writes that name the group; such a group lives.
 * 4. Only an ACTIVE shard has writes, parked calls or timers of groups.
 * 5. An offset is applied only if it is committed.
 * 6. After a write that took effect at once was refused, none is sent until the
 *    shard has loaded again: what comes later may build on it (ahead).
 * 7. The last epoch of a shard never goes back; what is older is ignored. */
#include <string.h>

#include "base/diag.h"
#include "coord/coord_int.h"

enum { SPARE_MAX = 8, QUEUE_BYTES_MAX = 64 << 20, PARTITIONS_MAX = 10000 };

struct batch {
    struct coord_append append;
    struct shard *shard;
    struct list writes;
    struct coord_record *records;
    struct list link; /* of shard->orphans */
    bool orphan;      /* the shard was unloaded meanwhile */
};

/* ---- life ---- */

void
coord_config_init(struct coord_config *config)
{
    *config = (struct coord_config){
        .session_timeout_ms_min = 6000,
        .session_timeout_ms_max = 1800000,
        .initial_rebalance_delay_ms = 3000,
        .new_member_join_ms_max = 5 * 60 * 1000,
        .group_size_max = INT32_MAX,
        .group_count_max = 100000,
        .offset_metadata_max = 4096,
        .offsets_retention_ms = 10080LL * 60 * 1000,
        .offsets_check_ms = 600000,
        .offset_commit_timeout_ms = 5000,
        .batch_bytes_max = 1000000,
        .snapshot_updates = 500,
        .consumer_session_ms = 45000,
        .consumer_heartbeat_ms = 5000,
        .consumer_size_max = INT32_MAX,
        .consumer_assignment_ms = 1000,
        .consumer_assignors = 1 << COORD_UNIFORM | 1 << COORD_RANGE,
        .consumer_assignor = COORD_UNIFORM,
        .upgrade = true,
        .downgrade = true,
        .share_session_ms = 45000,
        .share_heartbeat_ms = 5000,
        .share_assignment_ms = 1000,
        .share_size_max = 200,
        .streams_session_ms = 45000,
        .streams_heartbeat_ms = 5000,
        .streams_size_max = INT32_MAX,
        .streams_initial_delay_ms = 3000,
        .streams_assignment_ms = 1000,
        .txn_timeout_ms_max = 900000,
        .txn_abort_check_ms = 10000,
        .txn_expire_check_ms = 3600000,
        .txn_id_expiration_ms = 604800000,
        .txn_count_max = 1000000,
    };
}

static struct coord *
new_coord(const struct coord_config *config, const struct coord_host *host,
    const struct coord_kind *kind)
{
    struct coord *coord = ox_calloc(1, sizeof(*coord));
    coord->config = *config;
    coord->host = host;
    coord->kind = kind;
    return coord;
}

static const struct coord_kind group_kind;

struct coord *
coord_new(const struct coord_config *config, const struct coord_host *host)
{
    return new_coord(config, host, &group_kind);
}

struct coord *
coord_new_txns(const struct coord_config *config, const struct coord_host *host)
{
    return new_coord(config, host, &txn_kind);
}

struct coord *
coord_new_states(const struct coord_config *config, const struct coord_host *host)
{
    return new_coord(config, host, &share_kind);
}

void
coord_set_states(struct coord *coord, struct coord *states)
{
    coord->states = states;
}

static void
shard_init(struct shard *shard, struct coord *coord, int32_t partition)
{
    shard->coord = coord;
    shard->partition = partition;
    shard->epoch = -1;
    shard->config = coord->config;
    shard->alarm_ms = UINT64_MAX;
    ox_map_init(&shard->groups);
    ox_map_init(&shard->pending_txns);
    ox_map_init(&shard->txns);
    ox_map_init(&shard->states);
    ox_list_init(&shard->queue);
    ox_list_init(&shard->refused);
    ox_list_init(&shard->orphans);
    ox_list_init(&shard->spare);
}

static void
write_free(struct write *write)
{
    ox_arena_fini(&write->arena);
    ox_free(write);
}

static void
shard_fini(struct shard *shard)
{
    ox_assert(shard->groups.count == 0 && shard->txns.count == 0 && shard->states.count == 0);
    ox_assert(shard->flying == NULL && shard->outside == 0);
    ox_assert(ox_list_empty(&shard->orphans));
    ox_map_fini(&shard->groups);
    ox_map_fini(&shard->txns);
    ox_map_fini(&shard->states);
    ox_map_fini(&shard->pending_txns);
    timers_fini(&shard->timers);
    ox_list_each(node, &shard->spare)
        write_free(ox_container_of(node, struct write, link));
}

void
coord_free(struct coord *coord)
{
    if (coord == NULL)
        return;
    for (int32_t i = 0; i < coord->partition_count; i++)
        shard_fini(&coord->shards[i]);
    ox_free(coord->shards);
    ox_free(coord);
}

void
coord_set_partitions(struct coord *coord, int32_t count)
{
    ox_assert(count > 0);
    ox_assert(count <= PARTITIONS_MAX);
    int32_t known = atomic_load(&coord->partition_count);
    if (known != 0) {
        if (known != count)
            ox_warn("coordinators stay on the first partitions", "topic=%s partitions=%d used=%d",
                coord->kind->topic, count, known);
        return;
    }
    coord->shards = ox_calloc((size_t)count, sizeof(*coord->shards));
    for (int32_t i = 0; i < count; i++)
        shard_init(&coord->shards[i], coord, i);
    atomic_store(&coord->partition_count, count);
}

int32_t
coord_partition_count(const struct coord *coord)
{
    return atomic_load(&coord->partition_count);
}

/* Java hashes UTF-16 units: characters past U+FFFF count as two. */
static int32_t
java_hash(struct str s)
{
    uint32_t hash = 0;
    const uint8_t *at = (const uint8_t *)s.ptr, *end = at + s.len;
    while (at < end) {
        uint32_t code = *at++;
        int more = code >= 0xF0 ? 3 : code >= 0xE0 ? 2 : code >= 0xC0 ? 1 : 0;
        if (more > 0)
            code &= 0x3Fu >> more;
        for (; more > 0 && at < end; more--)
            code = code << 6 | (*at++ & 0x3F);
        if (code > 0xFFFF) {
            hash = hash * 31 + (0xD800 + ((code - 0x10000) >> 10));
            code = 0xDC00 + ((code - 0x10000) & 0x3FF);
        }
        hash = hash * 31 + code;
    }
    return (int32_t)hash;
}

int32_t
coord_partition_of(struct str key, int32_t count)
{
    int32_t hash = java_hash(key);
    return hash == INT32_MIN ? 0 : (hash < 0 ? -hash : hash) % count;
}

int32_t
coord_find(const struct coord *coord, struct str group_id)
{
    int32_t count = coord_partition_count(coord);
    return count == 0 ? -1 : coord_partition_of(group_id, count);
}

/* ---- calls ---- */

static void
call_prepare(struct coord *coord, struct coord_call *call, void (*run)(struct coord_call *))
{
    call->coord = coord;
    call->run = run;
    call->code = OX_OK;
    call->answered = false;
    call->origin = NULL;
    ox_list_init(&call->hop.link);
}

void
call_start_at(struct coord *coord, struct coord_call *call, int32_t partition,
    void (*run)(struct coord_call *call))
{
    call_prepare(coord, call, run);
    call->partition = partition < coord_partition_count(coord) ? partition : -1;
    coord->host->enter(coord->host->self, call->partition, call);
}

void
call_start(struct coord *coord, struct coord_call *call, struct str group_id,
    void (*run)(struct coord_call *call))
{
    call_start_at(coord, call, coord_find(coord, group_id), run);
}

void
call_start_all(struct coord *coord, struct coord_call *call, void (*run)(struct coord_call *call))
{
    call_prepare(coord, call, run);
    call->partition = coord_partition_count(coord) == 0 ? -1 : 0;
    coord->host->enter(coord->host->self, call->partition, call);
}

void
coord_call_enter(struct coord_call *call)
{
    call->run(call);
}

struct shard *
call_shard(struct coord_call *call)
{
    return call->partition < 0 ? NULL : &call->coord->shards[call->partition];
}

void
call_next(struct coord_call *call)
{
    const struct coord_host *host = call->coord->host;
    if (call->partition < 0 || call->partition + 1 >= coord_partition_count(call->coord)) {
        call_finish(call, call->code);
        return;
    }
    call->partition++;
    if (host->is_home(host->self, call->partition))
        call->run(call);
    else
        host->move(host->self, call->partition, call);
}

void
call_finish(struct coord_call *call, ox_code code)
{
    ox_assert(!call->answered);
    call->answered = true;
    call->code = code;
    call->coord->host->leave(call->coord->host->self, call);
}

void
coord_call_answer(struct coord_call *call)
{
    call->done(call);
}

ox_code
shard_ready(const struct shard *shard)
{
    if (shard == NULL)
        return OX_COORDINATOR_NOT_AVAILABLE;
    switch (shard->state) {
    case SHARD_OFF:
        return OX_NOT_COORDINATOR;
    case SHARD_LOADING:
        return OX_COORDINATOR_LOAD_IN_PROGRESS;
    case SHARD_ACTIVE:
        return shard->ahead ? OX_COORDINATOR_LOAD_IN_PROGRESS : OX_OK;
    case SHARD_STOPPED:
        return OX_COORDINATOR_NOT_AVAILABLE;
    }
    ox_unreachable();
}

/* ---- timers ---- */

static void
shard_arm(struct shard *shard)
{
    uint64_t next = timers_next(&shard->timers);
    /* An alarm that rings too early costs less than moving it at every heartbeat. */
    if (next >= shard->alarm_ms)
        return;
    shard->alarm_ms = next;
    shard->coord->host->alarm(shard->coord->host->self, shard->partition, next);
}

void
shard_timer(struct shard *shard, struct coord_timer *timer, int64_t delay_ms,
    void (*fn)(struct shard *shard, struct coord_timer *timer))
{
    timer->fn = fn;
    timers_start(&shard->timers, timer, shard_now(shard) + (uint64_t)OX_MAX(delay_ms, 0));
    shard_arm(shard);
}

void
shard_timer_stop(struct shard *shard, struct coord_timer *timer)
{
    timers_stop(&shard->timers, timer);
}

void
coord_alarm(struct coord *coord, int32_t partition)
{
    struct shard *shard = &coord->shards[partition];
    shard->alarm_ms = UINT64_MAX;
    uint64_t now = shard_now(shard);
    for (struct coord_timer *timer; (timer = timers_pop(&shard->timers, now)) != NULL;)
        timer->fn(shard, timer);
    shard_arm(shard);
}

/* ---- writes ---- */

struct write *
write_new(struct shard *shard, struct group *group)
{
    struct list *node = ox_list_pop(&shard->spare);
    struct write *write;
    if (node != NULL) {
        write = ox_container_of(node, struct write, link);
        shard->spare_count--;
        struct arena arena = write->arena;
        memset(write, 0, sizeof(*write));
        write->arena = arena;
    } else {
        write = ox_calloc(1, sizeof(*write));
        ox_arena_init(&write->arena);
    }
    ox_list_init(&write->link);
    write->group = group;
    if (group != NULL)
        group->writes++;
    return write;
}

void
write_add(struct write *write, struct str key, struct str value)
{
    ox_arena_grow(&write->arena, (void **)&write->records, &write->record_cap,
        write->record_count + 1, sizeof(*write->records));
    write->records[write->record_count++] = (struct coord_record){key, value};
    /* 32: the most that a record's own fields take. */
    write->bytes += key.len + value.len + 32;
}

/* The write is over: recycle it, then let the group go on. */
void
write_drop(struct shard *shard, struct write *write)
{
    struct group *group = write->group;
    ox_list_remove(&write->link);
    if (shard->spare_count < SPARE_MAX && write->bytes < (64 << 10)) {
        ox_arena_reset(&write->arena);
        ox_list_push(&shard->spare, &write->link);
        shard->spare_count++;
    } else {
        write_free(write);
    }
    if (group == NULL)
        return;
    ox_assert(group->writes > 0);
    if (--group->writes == 0)
        group_writes_done(group);
}

void
write_answer(struct write *write, struct coord_call *call,
    void (*finish)(struct shard *shard, struct write *write, ox_code code))
{
    struct shard *shard = write->group->shard;
    write->call = call;
    write->finish = finish;
    if (write->record_count > 0 || write->group->writes > 1) {
        write_submit(shard, write);
        return;
    }
    finish(shard, write, OX_OK);
    write_drop(shard, write);
}

ox_code
write_error(ox_code code)
{
    switch (ox_code_kafka(code)) {
    case 3:
    case 7:
    case 19:
    case 20:
        return OX_COORDINATOR_NOT_AVAILABLE;
    case 6:
    case 56:
    case 74:
    case 75:
        return OX_NOT_COORDINATOR;
    case 10:
    case 18:
        return OX_UNKNOWN_SERVER_ERROR;
    default:
        return code;
    }
}

static void
write_finish(struct shard *shard, struct write *write, ox_code code)
{
    if (write->finished)
        return;
    write->finished = true;
    if (write->finish != NULL)
        write->finish(shard, write, code);
}

static void batch_done(struct coord_append *append, ox_code code, int64_t end_offset);
static void batch_end(struct shard *shard, struct list *writes, ox_code code, int64_t at);

/* Send as many queued writes as fit in one batch. */
static void
shard_flush(struct shard *shard)
{
    if (shard->flying != NULL || shard->lingers || shard->ahead || ox_list_empty(&shard->queue))
        return;
    struct batch *batch = ox_calloc(1, sizeof(*batch));
    batch->shard = shard;
    ox_list_init(&batch->writes);
    ox_list_init(&batch->link);
    size_t bytes = 0, count = 0;
    struct coord_stamp stamp = {COORD_PLAIN, -1, -1, 0, false, 0, 0};
    ox_list_each(node, &shard->queue) {
        struct write *write = ox_container_of(node, struct write, link);
        bool alone = write->stamp.kind != COORD_PLAIN;
        if (!ox_list_empty(&batch->writes) &&
            (alone || bytes + write->bytes > (size_t)shard->config.batch_bytes_max))
            break;
        bytes += write->bytes;
        count += write->record_count;
        ox_list_remove(&write->link);
        ox_list_push(&batch->writes, &write->link);
        if (alone) {
            stamp = write->stamp;
            break;
        }
    }
    shard->queue_bytes -= bytes;
    if (count == 0 && stamp.kind == COORD_PLAIN) { /* answers that waited for those before */
        struct list writes;
        ox_list_init(&writes);
        for (struct list *node; (node = ox_list_pop(&batch->writes)) != NULL;)
            ox_list_push(&writes, node);
        ox_free(batch);
        batch_end(shard, &writes, OX_OK, 0);
        shard_flush(shard); /* one of a transaction, which goes alone */
        return;
    }
    batch->records = ox_malloc(ox_size_mul(count, sizeof(*batch->records)));
    size_t at = 0;
    ox_list_each(node, &batch->writes) {
        struct write *write = ox_container_of(node, struct write, link);
        if (write->record_count > 0)
            memcpy(batch->records + at, write->records, write->record_count * sizeof(*write->records));
        at += write->record_count;
    }
    batch->append = (struct coord_append){
        .partition = shard->partition,
        .leader_epoch = shard->epoch,
        .stamp = stamp,
        .records = batch->records,
        .record_count = count,
        .timestamp_ms = shard_wall(shard),
        .codec = shard->config.codec,
        .done = batch_done,
    };
    shard->flying = batch;
    shard->coord->host->append(shard->coord->host->self, &batch->append);
}

static void
batch_free(struct batch *batch)
{
    ox_free(batch->records);
    ox_free(batch);
}

static void
stop_if_idle(struct shard *shard)
{
    struct coord_call *stop = shard->stop;
    if (stop == NULL || !ox_list_empty(&shard->orphans) || shard->outside > 0)
        return;
    shard->stop = NULL;
    call_next(stop);
}

void
shard_came_home(struct shard *shard)
{
    ox_assert(shard->outside > 0);
    shard->outside--;
    stop_if_idle(shard);
}

static void
batch_done(struct coord_append *append, ox_code code, int64_t end_offset)
{
    struct batch *batch = ox_container_of(append, struct batch, append);
    struct shard *shard = batch->shard;
    if (batch->orphan) {
        /* Its writes were failed at unload and name no group any more. */
        ox_list_each(node, &batch->writes)
            write_drop(shard, ox_container_of(node, struct write, link));
        ox_list_remove(&batch->link);
        batch_free(batch);
        stop_if_idle(shard);
        return;
    }
    ox_assert(shard->flying == batch);
    struct list writes;
    ox_list_init(&writes);
    for (struct list *node; (node = ox_list_pop(&batch->writes)) != NULL;)
        ox_list_push(&writes, node);
    int64_t base = end_offset - (int64_t)append->record_count;
    shard->flying = NULL;
    batch_free(batch);
    if (code != OX_OK && code != shard->append_code) /* not for each of many */
        ox_warn("coordinator could not append", "topic=%s partition=%d code=%s",
            shard->coord->kind->topic, shard->partition, ox_code_facts(code)->name);
    shard->append_code = code;
    batch_end(shard, &writes, code, base);
    shard_flush(shard);
}

/* The write is in the log, its first record at offset at. */
static void
write_apply(struct shard *shard, const struct write *write, int64_t at)
{
    const struct coord_stamp *stamp = &write->stamp;
    if (stamp->kind == COORD_MARKER)
        shard->coord->kind->replay_marker(shard, stamp->producer_id, stamp->commit);
    for (size_t i = 0; write->replay && i < write->record_count; i++)
        shard->coord->kind->replay(shard,
            &(struct coord_replayed){at + (int64_t)i, write->records[i].key,
                write->records[i].value, stamp->kind == COORD_TXN, stamp->producer_id,
                stamp->producer_epoch});
}

/* at: log offset of the batch's first record. */
static void
batch_end(struct shard *shard, struct list *writes, ox_code code, int64_t at)
{
    for (struct list *node; (node = ox_list_pop(writes)) != NULL;) {
        struct write *write = ox_container_of(node, struct write, link);
        write->at = at;
        if (code == OX_OK)
            write_apply(shard, write, at);
        at += (int64_t)write->record_count;
        if (code != OX_OK && write->ahead)
            shard_reload(shard);
        write_finish(shard, write, code);
        write_drop(shard, write);
    }
}

/* Writes too long on their way: their callers are told, and those not sent yet
 * are taken back. */
static void
write_timeout(struct shard *shard, struct coord_timer *timer)
{
    uint64_t now = shard_now(shard), limit = (uint64_t)shard->config.offset_commit_timeout_ms;
    uint64_t next = UINT64_MAX;
    if (shard->flying != NULL)
        ox_list_each(node, &shard->flying->writes) {
            struct write *write = ox_container_of(node, struct write, link);
            if (write->at_ms + limit <= now)
                write_finish(shard, write, OX_REQUEST_TIMED_OUT);
            else
                next = OX_MIN(next, write->at_ms + limit);
        }
    while (!ox_list_empty(&shard->queue)) {
        struct write *write = ox_container_of(shard->queue.next, struct write, link);
        if (write->at_ms + limit > now) {
            next = OX_MIN(next, write->at_ms + limit);
            break;
        }
        shard->queue_bytes -= write->bytes;
        ox_list_remove(&write->link);
        if (write->ahead)
            shard_reload(shard);
        write_finish(shard, write, OX_REQUEST_TIMED_OUT);
        write_drop(shard, write);
    }
    if (next != UINT64_MAX && (timer->slot == 0 || next < timer->at_ms))
        shard_timer(shard, timer, (int64_t)(next - now), write_timeout);
}

/* Writes that cannot be sent fail in their own turn, never inside submit. */
static void
refuse(struct shard *shard, struct coord_timer *timer)
{
    struct list refused;
    ox_list_init(&refused);
    for (struct list *node; (node = ox_list_pop(&shard->refused)) != NULL;)
        ox_list_push(&refused, node);
    batch_end(shard, &refused, OX_MESSAGE_TOO_LARGE, 0);
}

static void
linger_over(struct shard *shard, struct coord_timer *timer)
{
    shard->lingers = false;
    shard_flush(shard);
}

/* The first write of a batch waits for more; transactions and full batches do not. */
static void
linger(struct shard *shard, const struct write *write)
{
    bool waits = shard->config.linger_ms > 0 && write->stamp.kind == COORD_PLAIN &&
        shard->queue_bytes < (size_t)shard->config.batch_bytes_max;
    if (!waits) {
        shard_timer_stop(shard, &shard->linger_timer);
        shard->lingers = false;
    } else if (!shard->lingers && shard->queue.next == &write->link) {
        shard->lingers = true;
        shard_timer(shard, &shard->linger_timer, shard->config.linger_ms, linger_over);
    }
}

void
write_submit(struct shard *shard, struct write *write)
{
    ox_assert(shard->state == SHARD_ACTIVE);
    write->at_ms = shard_now(shard);
    if (write->bytes > (size_t)shard->config.batch_bytes_max ||
        shard->queue_bytes + write->bytes > QUEUE_BYTES_MAX) {
        ox_list_push(&shard->refused, &write->link);
        shard->ahead |= write->ahead;
        shard_timer(shard, &shard->refuse_timer, 0, refuse);
        return;
    }
    ox_list_push(&shard->queue, &write->link);
    shard->queue_bytes += write->bytes;
    if (shard->write_timer.slot == 0)
        shard_timer(shard, &shard->write_timer, shard->config.offset_commit_timeout_ms,
            write_timeout);
    linger(shard, write);
    shard_flush(shard);
}

/* ---- settings ---- */

struct configure_call {
    struct coord_call call;
    struct coord_config config;
};

static void
configure_done(struct coord_call *call)
{
    ox_free(ox_container_of(call, struct configure_call, call));
}

static void
configure_run(struct coord_call *call)
{
    struct shard *shard = call_shard(call);
    if (shard != NULL)
        shard->config = ox_container_of(call, struct configure_call, call)->config;
    call_next(call);
}

void
coord_configure(struct coord *coord, const struct coord_config *config)
{
    struct configure_call *self = ox_calloc(1, sizeof(*self));
    coord->config = *config;
    self->config = *config;
    self->call.done = configure_done;
    call_start_all(coord, &self->call, configure_run);
}

static void
sweep(struct shard *shard, struct coord_timer *timer)
{
    shard->coord->kind->sweep(shard);
    shard_timer(shard, timer, shard->coord->kind->sweep_ms(shard), sweep);
}

static void
fail_writes(struct shard *shard, struct list *writes, ox_code code)
{
    ox_list_each(node, writes)
        write_finish(shard, ox_container_of(node, struct write, link), code);
}

/* ---- groups as a kind ---- */

static void
groups_replay(struct shard *shard, const struct coord_replayed *record)
{
    if (record->transactional)
        offsets_replay_txn(shard, record);
    else
        shard_apply(shard, record->key, record->value, record->offset);
}

static void
groups_resume(struct shard *shard)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->groups, &at)) != NULL;) {
        group_resume(entry->value);
        offsets_forget_gone_topics(entry->value);
    }
}

static void
groups_fail_parked(struct shard *shard, ox_code code)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&shard->groups, &at)) != NULL;)
        group_fail_parked(entry->value, code);
}

static void
groups_forget(struct shard *shard)
{
    struct map_entry *entry;
    offsets_forget_txns(shard);
    for (uint32_t at = 0; (entry = ox_map_next(&shard->groups, &at)) != NULL;) {
        struct group *group = entry->value;
        group->writes = 0;
        group_free(group);
    }
    ox_map_fini(&shard->groups);
}

static int64_t
groups_sweep_ms(const struct shard *shard)
{
    return shard->config.offsets_check_ms;
}

static const struct coord_kind group_kind = {
    .topic = "__consumer_offsets",
    .replay = groups_replay,
    .replay_marker = offsets_replay_marker,
    .resume = groups_resume,
    .fail_parked = groups_fail_parked,
    .forget = groups_forget,
    .sweep = offsets_sweep,
    .sweep_ms = groups_sweep_ms,
};

/* ---- load and unload ---- */

/* Answer everything with code and forget all state. */
static void
shard_unload(struct shard *shard, ox_code code)
{
    shard->state = SHARD_OFF; /* whoever is told of a failure starts nothing new */
    shard->unloads++;
    shard->coord->kind->fail_parked(shard, code);
    if (shard->flying != NULL)
        fail_writes(shard, &shard->flying->writes, code);
    fail_writes(shard, &shard->queue, code);
    fail_writes(shard, &shard->refused, code);
    for (struct list *node; (node = ox_list_pop(&shard->queue)) != NULL ||
                            (node = ox_list_pop(&shard->refused)) != NULL;) {
        struct write *write = ox_container_of(node, struct write, link);
        write->group = NULL;
        write_drop(shard, write);
    }
    shard->queue_bytes = 0;
    if (shard->flying != NULL) {
        ox_list_each(node, &shard->flying->writes)
            ox_container_of(node, struct write, link)->group = NULL;
        shard->flying->orphan = true;
        ox_list_push(&shard->orphans, &shard->flying->link);
        shard->flying = NULL;
    }
    shard->coord->kind->forget(shard);
    shard->ahead = false;
    shard_timer_stop(shard, &shard->write_timer);
    shard_timer_stop(shard, &shard->linger_timer);
    shard->lingers = false;
    shard_timer_stop(shard, &shard->refuse_timer);
    shard_timer_stop(shard, &shard->sweep_timer);
    shard_timer_stop(shard, &shard->reload_timer);
    ox_assert(shard->timers.count == 0);
}

/* What is in memory is ahead of a log that refused it: only the log counts. */
static void
reload(struct shard *shard, struct coord_timer *timer)
{
    const struct coord_host *host = shard->coord->host;
    ox_warn("coordinator loads again", "topic=%s partition=%d", shard->coord->kind->topic,
        shard->partition);
    shard_unload(shard, OX_COORDINATOR_LOAD_IN_PROGRESS);
    shard->state = SHARD_LOADING;
    shard->skipped = 0;
    host->load(host->self, shard->partition, shard->epoch);
}

void
shard_reload(struct shard *shard)
{
    if (shard->state != SHARD_ACTIVE)
        return;
    shard->ahead = true;
    if (shard->reload_timer.slot == 0)
        shard_timer(shard, &shard->reload_timer, 0, reload);
}

/* Elections come from any thread: as calls that nobody waits for. */
struct role_call {
    struct coord_call call;
    int32_t epoch;
};

static void
role_done(struct coord_call *call)
{
    ox_free(call);
}

static void
elected_run(struct coord_call *call)
{
    struct shard *shard = call_shard(call);
    int32_t epoch = ox_container_of(call, struct role_call, call)->epoch;
    if (shard->state != SHARD_STOPPED && epoch > shard->epoch) {
        if (shard->state != SHARD_OFF)
            shard_unload(shard, OX_NOT_COORDINATOR);
        shard->epoch = epoch;
        shard->state = SHARD_LOADING;
        shard->skipped = 0;
        call->coord->host->load(call->coord->host->self, shard->partition, epoch);
    }
    call_finish(call, OX_OK);
}

static void
resigned_run(struct coord_call *call)
{
    struct shard *shard = call_shard(call);
    int32_t epoch = ox_container_of(call, struct role_call, call)->epoch;
    if (shard->state != SHARD_STOPPED && epoch >= shard->epoch) {
        if (shard->state != SHARD_OFF)
            shard_unload(shard, OX_NOT_COORDINATOR);
        shard->epoch = epoch;
        shard->state = SHARD_OFF;
    }
    call_finish(call, OX_OK);
}

static void
role_start(struct coord *coord, int32_t partition, int32_t epoch,
    void (*run)(struct coord_call *call))
{
    ox_assert(partition >= 0);
    if (partition >= coord_partition_count(coord))
        return;
    struct role_call *role = ox_calloc(1, sizeof(*role));
    role->epoch = epoch;
    role->call.done = role_done;
    call_prepare(coord, &role->call, run);
    role->call.partition = partition;
    coord->host->enter(coord->host->self, partition, &role->call);
}

void
coord_elected(struct coord *coord, int32_t partition, int32_t leader_epoch)
{
    role_start(coord, partition, leader_epoch, elected_run);
}

void
coord_resigned(struct coord *coord, int32_t partition, int32_t leader_epoch)
{
    role_start(coord, partition, leader_epoch, resigned_run);
}

static struct shard *
loading(struct coord *coord, int32_t partition, int32_t leader_epoch)
{
    struct shard *shard = &coord->shards[partition];
    return shard->state == SHARD_LOADING && shard->epoch == leader_epoch ? shard : NULL;
}

bool
coord_replay(struct coord *coord, int32_t partition, int32_t leader_epoch,
    const struct coord_replayed *record)
{
    struct shard *shard = loading(coord, partition, leader_epoch);
    if (shard == NULL)
        return false;
    coord->kind->replay(shard, record);
    return true;
}

bool
coord_replay_marker(struct coord *coord, int32_t partition, int32_t leader_epoch,
    int64_t producer_id, int16_t producer_epoch, bool committed)
{
    struct shard *shard = loading(coord, partition, leader_epoch);
    if (shard == NULL)
        return false;
    coord->kind->replay_marker(shard, producer_id, committed);
    return true;
}

void
coord_loaded(struct coord *coord, int32_t partition, int32_t leader_epoch, ox_code code)
{
    struct shard *shard = loading(coord, partition, leader_epoch);
    if (shard == NULL)
        return;
    if (code != OX_OK) {
        ox_error("coordinator could not load", "topic=%s partition=%d code=%s",
            coord->kind->topic, partition, ox_code_facts(code)->name);
        shard_unload(shard, OX_NOT_COORDINATOR);
        shard->state = SHARD_OFF;
        return;
    }
    if (shard->skipped > 0)
        ox_warn("coordinator skipped records that it does not know",
            "topic=%s partition=%d count=%llu", coord->kind->topic, partition,
            (unsigned long long)shard->skipped);
    shard->state = SHARD_ACTIVE;
    coord->kind->resume(shard);
    shard_timer(shard, &shard->sweep_timer, coord->kind->sweep_ms(shard), sweep);
}

static void
stop_run(struct coord_call *call)
{
    struct shard *shard = call_shard(call);
    if (shard == NULL) {
        call_finish(call, OX_OK);
        return;
    }
    if (shard->state != SHARD_STOPPED && shard->state != SHARD_OFF)
        shard_unload(shard, OX_COORDINATOR_NOT_AVAILABLE);
    shard->state = SHARD_STOPPED;
    if (ox_list_empty(&shard->orphans) && shard->outside == 0) {
        call_next(call);
        return;
    }
    /* The host still holds what is out: it must come home first. */
    const struct coord_host *host = call->coord->host;
    shard->stop = call;
    ox_list_each(node, &shard->orphans)
        host->abort(host->self, &ox_container_of(node, struct batch, link)->append);
}

void
coord_stop(struct coord *coord, struct coord_stop_call *call)
{
    call_start_all(coord, &call->call, stop_run);
}
