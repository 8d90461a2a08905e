/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinators' host: calls hop by mailbox, one loop timer per partition
 * rings for all of its timers, appends go to the partition of the coordinators'
 * topic with acks=all, and a load reads that partition in the pool, a chunk at a
 * time, and replays it on the home loop.
 *
 * A transaction's marker is appended to the partition it names, on the loop that
 * asks; one for __consumer_offsets goes through the group coordinator, which
 * must learn what became of the offsets. Producer ids come in blocks, one
 * metadata command each; what is left of a block is lost at a restart.
 *
 * Home loops: contiguous runs of partitions, so that a call which visits all of
 * them hops once per loop.
 *
 * Invariants:
 * 1. A load or an append that is out is counted in busy until it is freed; stop
 *    waits for 0.
 * 2. alarms[p] is touched on p's home loop only.
 * 3. At most one block of ids is asked for at a time; who wants one meanwhile
 *    waits in wanting, and nobody waits while ids are left. */
#include <pthread.h>
#include <string.h>

#include "base/diag.h"
#include "base/fault.h"
#include "base/lock.h"
#include "coord/coord_host.h"
#include "coord/coord_int.h"
#include "coord/host.h"
#include "log/log.h"

enum { ID_BLOCK = 1000, MARKER_TIMEOUT_MS = 30000 };
enum { CHUNK_BYTES = 256 << 10, INFLATED_MAX = 64 << 20, ALARMS_MAX = 10000, NS_PER_MS = 1000000 };

struct alarm {
    struct loop_timer timer;
    struct real_host *host;
    int32_t partition;
};

struct real_host {
    struct coord_host table; /* first: what the coordinators see */
    struct loop_group *loops;
    struct replica *replica;
    const struct env *env;
    struct coord *coord;
    const char *topic;      /* whose partitions the coordinators are on */
    struct coord *groups;   /* of transactions: who has __consumer_offsets */
    struct meta *meta;      /* likewise: where ids come from */
    int32_t node_id;
    struct alarm **alarms; /* by partition, made when first needed */
    _Atomic bool stopping;
    struct lock lock; /* busy, stopped, all of ids */
    pthread_cond_t idle;
    uint32_t busy;
    bool stopped;
    struct {
        int64_t next, end;
        struct list wanting; /* struct id_waiter */
        bool asked;
        struct meta_call call;
        struct ox_err err;
    } ids;
};

static struct real_host *
real(void *self)
{
    return self;
}

static void
busy(struct real_host *host, int by)
{
    ox_lock(&host->lock);
    host->busy += (uint32_t)by;
    if (host->busy == 0)
        pthread_cond_signal(&host->idle);
    ox_unlock(&host->lock);
}

static struct loop *
home(const struct real_host *host, int32_t partition)
{
    int64_t count = coord_partition_count(host->coord);
    return loop_at(host->loops, (int)(partition * (int64_t)loop_count(host->loops) / count));
}

/* ---- clock, randomness, topics ---- */

static uint64_t
host_mono_ms(void *self)
{
    struct loop *loop = loop_self();
    uint64_t ns = loop != NULL ? loop_now_ns(loop) : env_mono_ns(real(self)->env);
    return ns / NS_PER_MS;
}

static int64_t
host_wall_ms(void *self)
{
    struct loop *loop = loop_self();
    return loop != NULL ? loop_wall_ms(loop) : env_wall_ms(real(self)->env);
}

static void
host_random(void *self, void *to, size_t len)
{
    env_random(real(self)->env, to, len);
}

static uint64_t
host_topics_generation(void *self)
{
    return replica_view(real(self)->replica)->generation;
}

static bool
topic_facts(const struct meta_topic *topic, struct coord_topic *out)
{
    if (topic == NULL)
        return false;
    *out = (struct coord_topic){topic->name, topic->id, (int32_t)topic->partition_count};
    return true;
}

static bool
host_topic_by_name(void *self, struct str name, struct coord_topic *out)
{
    return topic_facts(meta_view_topic(replica_view(real(self)->replica), name), out);
}

static bool
host_topic_by_id(void *self, const struct uuid *id, struct coord_topic *out)
{
    return topic_facts(meta_view_topic_by_id(replica_view(real(self)->replica), id), out);
}

static void
host_group_setting(void *self, struct str group_id, const char *name, int32_t *value)
{
    const struct meta_view *view = replica_view(real(self)->replica);
    const struct meta_config_set *set = meta_view_config(view, META_RESOURCE_GROUP, group_id);
    for (uint32_t i = 0; set != NULL && i < set->count; i++) {
        int64_t own;
        if (ox_str_is(set->items[i].name, name) && ox_str_to_i64(set->items[i].value, &own) &&
            own >= 0 && own <= INT32_MAX)
            *value = (int32_t)own;
    }
}

static void
host_each_topic(void *self, void (*fn)(void *arg, const struct coord_topic *topic), void *arg)
{
    const struct meta_view *view = replica_view(real(self)->replica);
    for (uint32_t i = 0; i < view->topic_count; i++) {
        struct coord_topic facts;
        topic_facts(meta_view_topic_at(view, i), &facts);
        fn(arg, &facts);
    }
}

/* Of the coordinators' topic; borrowed to the end of the tick. */
static struct partition *
own_partition(struct real_host *host, int32_t partition)
{
    const struct meta_topic *topic =
        meta_view_topic(replica_view(host->replica), ox_str(host->topic));
    return topic ? replica_partition(host->replica, &topic->id, partition) : NULL;
}

/* ---- calls ---- */

static void
enter_msg(struct loop_msg *msg)
{
    coord_call_enter(ox_container_of(msg, struct coord_call, hop.msg));
}

static void
answer_msg(struct loop_msg *msg)
{
    coord_call_answer(ox_container_of(msg, struct coord_call, hop.msg));
}

static void
post(struct loop *loop, struct coord_call *call, void (*fn)(struct loop_msg *msg))
{
    call->hop.msg = (struct loop_msg){.fn = fn};
    loop_post(loop, &call->hop.msg);
}

static void
host_move(void *self, int32_t partition, struct coord_call *call)
{
    post(home(real(self), partition), call, enter_msg);
}

static void
host_enter(void *self, int32_t partition, struct coord_call *call)
{
    struct real_host *host = self;
    struct loop *here = loop_self();
    call->origin = here;
    if (partition < 0)
        post(here != NULL ? here : loop_at(host->loops, 0), call, enter_msg);
    else if (here != NULL && here == home(host, partition))
        coord_call_enter(call); /* its answer goes through the mailbox */
    else
        host_move(self, partition, call);
}

static bool
host_is_home(void *self, int32_t partition)
{
    return loop_is(home(real(self), partition));
}

static void
host_leave(void *self, struct coord_call *call)
{
    if (call->origin != NULL)
        post(call->origin, call, answer_msg);
    else
        coord_call_answer(call); /* of no loop: nobody's state to protect */
}

/* ---- alarms ---- */

static void
alarm_rings(struct loop_timer *timer)
{
    struct alarm *alarm = ox_container_of(timer, struct alarm, timer);
    coord_alarm(alarm->host->coord, alarm->partition);
}

static void
host_alarm(void *self, int32_t partition, uint64_t at_ms)
{
    struct real_host *host = self;
    struct alarm *alarm = host->alarms[partition];
    if (alarm == NULL) {
        alarm = host->alarms[partition] = ox_calloc(1, sizeof(*alarm));
        alarm->host = host;
        alarm->partition = partition;
    }
    if (at_ms == UINT64_MAX) {
        loop_timer_stop(&alarm->timer);
        return;
    }
    struct loop *loop = home(host, partition);
    uint64_t now = loop_now_ns(loop), at = at_ms * NS_PER_MS;
    loop_timer_start(loop, &alarm->timer, at > now ? at - now : 0, alarm_rings);
}

/* ---- append ---- */

struct host_append {
    struct partition_append call;
    struct loop_msg msg; /* the answer on its way */
    struct real_host *host;
    struct coord_append *append;
    struct slice bytes;
    bool waiting; /* in the partition */
};

static void
append_answer(struct loop_msg *msg)
{
    struct host_append *self = ox_container_of(msg, struct host_append, msg);
    struct real_host *host = self->host;
    struct coord_append *append = self->append;
    ox_code code = self->call.code;
    int64_t end = code == OX_OK ? self->call.append.last_offset + 1 : -1;
    ox_buf_put(self->bytes.buf);
    ox_free(self);
    append->done(append, code, end);
    busy(host, -1);
}

static void
append_ends(struct host_append *self)
{
    self->waiting = false;
    self->msg.fn = append_answer;
    loop_post(self->call.loop, &self->msg);
}

static void
append_done(struct partition_append *call)
{
    struct host_append *self = ox_container_of(call, struct host_append, call);
    self->waiting = false;
    append_answer(&self->msg);
}

static ox_code
build_batch(const struct coord_append *append, struct slice *out, struct ox_err *err)
{
    const struct coord_stamp *stamp = &append->stamp;
    struct record_builder_config config = RECORD_BUILDER_PLAIN;
    struct record_builder builder;
    if (stamp->kind == COORD_MARKER)
        return record_batch_marker(stamp->producer_id, stamp->producer_epoch, stamp->commit,
            stamp->coordinator_epoch, append->timestamp_ms, out, err);
    if (stamp->kind == COORD_TXN) {
        config.producer_id = stamp->producer_id;
        config.producer_epoch = stamp->producer_epoch;
        config.transactional = true;
    }
    config.codec = (enum ox_codec)append->codec;
    record_builder_init(&builder);
    record_builder_begin(&builder, &config);
    for (size_t i = 0; i < append->record_count; i++)
        record_builder_add(&builder, append->timestamp_ms, append->records[i].key,
            append->records[i].value, NULL, 0);
    ox_code code = record_builder_finish(&builder, out, err);
    record_builder_fini(&builder);
    return code;
}

static void
host_append(void *self, struct coord_append *append)
{
    struct real_host *host = self;
    struct host_append *out = ox_calloc(1, sizeof(*out));
    struct partition *part = own_partition(host, append->partition);
    out->host = host;
    out->append = append;
    append->inside = out;
    busy(host, 1);
    out->call.loop = home(host, append->partition);
    out->call.acks = -1;
    out->call.current_leader_epoch = append->leader_epoch;
    out->call.done = append_done;
    out->call.code = ox_fault("coord.append");
    if (out->call.code == OX_OK)
        out->call.code = part == NULL ? OX_NOT_LEADER
                                      : build_batch(append, &out->bytes, &out->call.err);
    if (out->call.code == OX_OK) {
        out->call.append.records = out->bytes;
        out->call.append.origin = LOG_FROM_COORDINATOR;
        out->call.append.leader_epoch = append->leader_epoch;
        out->call.append.now_ms = append->timestamp_ms;
        out->call.append.txn_guard = append->stamp.guard;
        out->call.append.txn_version = append->stamp.txn_version;
        out->waiting = !partition_append(part, &out->call);
    }
    if (!out->waiting)
        append_ends(out);
}

static void
host_abort(void *self, struct coord_append *append)
{
    struct host_append *out = append->inside;
    if (!out->waiting)
        return; /* the answer is on its way */
    partition_append_forget(&out->call);
    out->call.code = OX_SHUTTING_DOWN;
    append_ends(out);
}

/* ---- markers ---- */

struct host_marker {
    union {
        struct partition_append append;
        struct coord_group_marker_call group;
    } call; /* first */
    struct loop_msg msg;
    struct real_host *host;
    struct coord_marker *marker;
    struct slice bytes;
    struct arena arena; /* of a group call */
};

static void
marker_answer(struct host_marker *self, ox_code code)
{
    struct real_host *host = self->host;
    struct coord_marker *marker = self->marker;
    if (self->bytes.buf != NULL)
        ox_buf_put(self->bytes.buf);
    ox_arena_fini(&self->arena);
    ox_free(self);
    marker->code = code;
    marker->done(marker);
    busy(host, -1);
}

static void
marker_msg(struct loop_msg *msg)
{
    struct host_marker *self = ox_container_of(msg, struct host_marker, msg);
    marker_answer(self, self->marker->code);
}

static void
marker_appended(struct partition_append *append)
{
    struct host_marker *self = ox_container_of(append, struct host_marker, call.append);
    marker_answer(self, append->code);
}

static void
marker_in_group(struct coord_call *call)
{
    struct host_marker *self = ox_container_of(call, struct host_marker, call.group.call);
    marker_answer(self, call->code);
}

/* False: marker_appended() follows. */
static bool
append_marker(struct host_marker *self, struct partition *part)
{
    const struct coord_marker *marker = self->marker;
    struct partition_append *append = &self->call.append;
    int64_t now = loop_wall_ms(append->loop);
    append->code = record_batch_marker(marker->producer_id, marker->producer_epoch,
        marker->commit, marker->coordinator_epoch, now, &self->bytes, &append->err);
    if (append->code != OX_OK)
        return true;
    append->append.records = self->bytes;
    append->append.origin = LOG_FROM_COORDINATOR;
    append->append.now_ms = now;
    append->append.txn_version = marker->txn_version;
    append->acks = -1;
    append->current_leader_epoch = -1;
    append->timeout_ns = (uint64_t)MARKER_TIMEOUT_MS * NS_PER_MS;
    append->done = marker_appended;
    return partition_append(part, append);
}

static void
marker_to_group(struct host_marker *self)
{
    const struct coord_marker *marker = self->marker;
    struct coord_group_marker_call *call = &self->call.group;
    call->call.arena = &self->arena;
    call->call.done = marker_in_group;
    call->partition = marker->partition;
    call->producer_id = marker->producer_id;
    call->producer_epoch = marker->producer_epoch;
    call->commit = marker->commit;
    call->txn_version = marker->txn_version;
    call->coordinator_epoch = marker->coordinator_epoch;
    coord_group_marker(self->host->groups, call);
}

static void
host_marker_write(void *arg, struct coord_marker *marker)
{
    struct real_host *host = arg;
    struct host_marker *self = ox_calloc(1, sizeof(*self));
    const struct meta_topic *topic = meta_view_topic(replica_view(host->replica), marker->topic);
    const struct meta_partition *facts =
        topic ? meta_topic_partition(topic, marker->partition) : NULL;
    self->host = host;
    self->marker = marker;
    ox_arena_init(&self->arena);
    busy(host, 1);
    marker->code = facts == NULL                    ? OX_UNKNOWN_TOPIC_OR_PARTITION
                   : facts->leader != host->node_id ? OX_NOT_LEADER
                                                    : ox_fault("coord.marker");
    if (marker->code == OX_OK && ox_str_is(marker->topic, "__consumer_offsets")) {
        marker_to_group(self);
        return;
    }
    struct partition *part = NULL;
    if (marker->code == OX_OK) {
        part = replica_partition(host->replica, &topic->id, marker->partition);
        marker->code = part == NULL ? OX_STORAGE_ERROR : OX_OK;
    }
    struct loop *loop = loop_self();
    self->call.append.loop = loop;
    if (marker->code == OX_OK && !append_marker(self, part))
        return;
    if (marker->code == OX_OK)
        marker->code = self->call.append.code;
    self->msg.fn = marker_msg;
    loop_post(loop, &self->msg);
}

void
coord_host_marker(struct coord_host *table, struct coord_marker *marker)
{
    host_marker_write(table->self, marker);
}

/* ---- producer ids ---- */

struct id_waiter {
    struct loop_msg msg; /* first */
    struct list link;
    struct loop *loop;
    struct real_host *host;
    struct coord_producer_id *want;
    ox_code code;
    int64_t id;
};

static void
id_msg(struct loop_msg *msg)
{
    struct id_waiter *waiter = (struct id_waiter *)(void *)msg;
    struct real_host *host = waiter->host;
    struct coord_producer_id *want = waiter->want;
    want->code = waiter->code;
    want->producer_id = waiter->id;
    ox_free(waiter);
    want->done(want);
    busy(host, -1);
}

/* Under the lock: hand out what there is, or the failure. */
static void
serve_ids(struct real_host *host, ox_code code, struct list *served)
{
    while (!ox_list_empty(&host->ids.wanting) &&
           (code != OX_OK || host->ids.next < host->ids.end)) {
        struct list *node = ox_list_pop(&host->ids.wanting);
        struct id_waiter *waiter = ox_container_of(node, struct id_waiter, link);
        waiter->code = code;
        waiter->id = code == OX_OK ? host->ids.next++ : -1;
        ox_list_push(served, node);
    }
}

static void
post_served(struct list *served)
{
    for (struct list *node; (node = ox_list_pop(served)) != NULL;) {
        struct id_waiter *waiter = ox_container_of(node, struct id_waiter, link);
        waiter->msg.fn = id_msg;
        loop_post(waiter->loop, &waiter->msg);
    }
}

static void ask_for_ids(struct real_host *host);

/* On the meta thread. */
static void
ids_came(struct meta_call *call)
{
    struct real_host *host = ox_container_of(call, struct real_host, ids.call);
    struct list served;
    ox_list_init(&served);
    ox_lock(&host->lock);
    host->ids.asked = false;
    if (call->code == OX_OK) {
        host->ids.next = call->result.producer_id_first;
        host->ids.end = host->ids.next + ID_BLOCK;
    }
    serve_ids(host, call->code, &served);
    bool more = !ox_list_empty(&host->ids.wanting);
    host->ids.asked = more;
    ox_unlock(&host->lock);
    post_served(&served);
    if (more)
        ask_for_ids(host);
    busy(host, -1);
}

/* ids.asked is set. */
static void
ask_for_ids(struct real_host *host)
{
    struct meta_command cmd = {.kind = META_PRODUCER_IDS};
    cmd.producer_ids.node_id = host->node_id;
    cmd.producer_ids.count = ID_BLOCK;
    host->ids.call.done = ids_came;
    busy(host, 1);
    ox_code code = meta_propose(host->meta, &host->ids.call, &cmd, &host->ids.err);
    if (code == OX_OK)
        return;
    struct list served;
    ox_list_init(&served);
    ox_lock(&host->lock);
    host->ids.asked = false;
    serve_ids(host, code, &served);
    ox_unlock(&host->lock);
    post_served(&served);
    busy(host, -1);
}

static void
host_producer_id(void *self, struct coord_producer_id *want)
{
    struct real_host *host = self;
    struct id_waiter *waiter = ox_calloc(1, sizeof(*waiter));
    waiter->loop = loop_self();
    waiter->host = host;
    waiter->want = want;
    struct list served;
    ox_list_init(&served);
    ox_list_init(&waiter->link);
    busy(host, 1);
    ox_lock(&host->lock);
    ox_list_push(&host->ids.wanting, &waiter->link);
    serve_ids(host, OX_OK, &served);
    bool ask = !ox_list_empty(&host->ids.wanting) && !host->ids.asked;
    host->ids.asked |= ask;
    ox_unlock(&host->lock);
    post_served(&served);
    if (ask)
        ask_for_ids(host);
}

/* ---- load ---- */

struct host_load {
    struct pool_job job;
    struct real_host *host;
    struct partition *part; /* held */
    struct log_cursor *cursor;
    struct text chunk;   /* whole batches */
    struct text scratch; /* of a compressed one */
    int64_t from, to;
    int32_t partition, epoch;
    bool more;
    ox_code code;
    struct ox_err err;
};

static void
load_free(struct host_load *load)
{
    log_cursor_close(load->cursor);
    partition_put(load->part);
    ox_text_fini(&load->chunk);
    ox_text_fini(&load->scratch);
    busy(load->host, -1);
    ox_free(load);
}

/* In the pool: the next chunk of batches. */
static void
load_work(struct pool_job *job)
{
    struct host_load *load = ox_container_of(job, struct host_load, job);
    struct record_batch batch;
    ox_text_clear(&load->chunk);
    load->more = true;
    load->code = ox_fault("coord.load");
    if (load->code == OX_OK && load->cursor == NULL)
        load->code = log_cursor_open(partition_log(load->part), load->from, load->to, 0,
            &load->cursor, &load->err);
    while (load->code == OX_OK && load->chunk.len < CHUNK_BYTES) {
        load->code = log_cursor_next(load->cursor, &batch, &load->more, &load->err);
        if (load->code != OX_OK || !load->more)
            break;
        ox_text_add(&load->chunk, batch.ptr, batch.bytes);
    }
}

/* False: the shard does not load any more, or the batch is bad (load->code). */
static bool
replay_control(struct host_load *load, const struct record_batch *batch)
{
    struct control_record control;
    if (batch->count == 0)
        return true; /* compaction has emptied it: nothing of its transaction is left */
    load->code = record_batch_control(batch, &control, &load->err);
    if (load->code != OX_OK)
        return false;
    if (control.type == CONTROL_UNKNOWN)
        return true;
    return coord_replay_marker(load->host->coord, load->partition, load->epoch,
        batch->producer_id, batch->producer_epoch, control.type == CONTROL_COMMIT);
}

static bool
replay_batch(struct host_load *load, const struct record_batch *batch)
{
    struct record_iter iter;
    struct record record;
    if (record_batch_is_control(batch))
        return replay_control(load, batch);
    load->code = record_iter_init(&iter, batch, &load->scratch, INFLATED_MAX, &load->err);
    if (load->code != OX_OK)
        return false;
    while (record_iter_next(&iter, &record)) {
        struct coord_replayed replayed = {record.offset, record.key, record.value,
            record_batch_is_transactional(batch), batch->producer_id, batch->producer_epoch};
        if (!coord_replay(load->host->coord, load->partition, load->epoch, &replayed))
            return false;
    }
    if (iter.failed)
        load->code = ox_fail(&load->err, OX_CORRUPT_MESSAGE, "records are not well formed: %s",
            iter.fault);
    return !iter.failed;
}

static bool
replay_chunk(struct host_load *load)
{
    const char *at = load->chunk.ptr, *end = at + load->chunk.len;
    while (at < end) {
        struct record_batch batch;
        load->code = record_batch_decode(at, (size_t)(end - at), &batch, &load->err);
        if (load->code != OX_OK || !replay_batch(load, &batch))
            return false;
        at += batch.bytes;
    }
    return true;
}

/* On the home loop. */
static void
load_done(struct pool_job *job)
{
    struct host_load *load = ox_container_of(job, struct host_load, job);
    struct real_host *host = load->host;
    bool go_on = load->code == OX_OK && (load->chunk.len == 0 || replay_chunk(load));
    if (go_on && load->more && !atomic_load(&host->stopping)) {
        loop_pool_submit(load->job.loop, &load->job);
        return;
    }
    if (load->code != OX_OK)
        ox_diag_err(OX_DIAG_ERROR, "coordinator could not read its log", &load->err);
    if (load->code != OX_OK || (go_on && !load->more))
        coord_loaded(host->coord, load->partition, load->epoch, load->code);
    load_free(load);
}

static void
host_load(void *self, int32_t partition, int32_t leader_epoch)
{
    struct real_host *host = self;
    struct partition *part = own_partition(host, partition);
    struct partition_state state = {0};
    if (part != NULL)
        partition_state(part, &state);
    if (part == NULL || state.fault != OX_OK || state.log_start == state.log_end) {
        coord_loaded(host->coord, partition, leader_epoch,
            part == NULL ? OX_NOT_LEADER : state.fault);
        return;
    }
    struct host_load *load = ox_calloc(1, sizeof(*load));
    busy(host, 1);
    load->host = host;
    load->part = partition_hold(part);
    load->partition = partition;
    load->epoch = leader_epoch;
    load->from = state.log_start;
    load->to = state.log_end;
    ox_text_init(&load->chunk, NULL);
    ox_text_init(&load->scratch, NULL);
    load->job.work = load_work;
    load->job.done = load_done;
    loop_pool_submit(home(host, partition), &load->job);
}

/* ---- what is no longer needed ---- */

struct host_prune {
    struct pool_job job;
    struct real_host *host;
    struct partition *part;
    int64_t offset;
};

static void
prune_work(struct pool_job *job)
{
    struct host_prune *prune = ox_container_of(job, struct host_prune, job);
    int64_t low;
    struct ox_err err;
    if (partition_delete_records(prune->part, prune->offset, &low, &err) != OX_OK)
        ox_diag_err(OX_DIAG_WARN, "coordinator could not shorten its log", &err);
}

static void
prune_done(struct pool_job *job)
{
    struct host_prune *prune = ox_container_of(job, struct host_prune, job);
    struct real_host *host = prune->host;
    partition_put(prune->part);
    ox_free(prune);
    busy(host, -1);
}

static void
host_prune(void *self, int32_t partition, int64_t offset)
{
    struct real_host *host = self;
    struct partition *part = own_partition(host, partition);
    if (part == NULL || partition_log(part) == NULL || atomic_load(&host->stopping))
        return;
    struct host_prune *prune = ox_calloc(1, sizeof(*prune));
    busy(host, 1);
    *prune = (struct host_prune){.job = {.work = prune_work, .done = prune_done}, .host = host,
        .part = partition_hold(part), .offset = offset};
    loop_pool_submit(home(host, partition), &prune->job);
}

/* ---- life ---- */

struct coord_host *
coord_host_new(struct loop_group *loops, struct replica *replica, const struct env *env)
{
    struct real_host *host = ox_calloc(1, sizeof(*host));
    host->table = (struct coord_host){
        .self = host,
        .mono_ms = host_mono_ms,
        .wall_ms = host_wall_ms,
        .random = host_random,
        .enter = host_enter,
        .move = host_move,
        .is_home = host_is_home,
        .leave = host_leave,
        .alarm = host_alarm,
        .append = host_append,
        .abort = host_abort,
        .topics_generation = host_topics_generation,
        .topic_by_name = host_topic_by_name,
        .topic_by_id = host_topic_by_id,
        .each_topic = host_each_topic,
        .group_setting = host_group_setting,
        .load = host_load,
        .prune = host_prune,
        .marker = host_marker_write,
        .producer_id = host_producer_id,
    };
    host->loops = loops;
    host->replica = replica;
    host->env = env;
    host->topic = "__consumer_offsets";
    ox_list_init(&host->ids.wanting);
    host->alarms = ox_calloc(ALARMS_MAX, sizeof(*host->alarms));
    ox_lock_init(&host->lock, LOCK_COORD_HOST);
    pthread_cond_init(&host->idle, NULL);
    return &host->table;
}

struct coord_host *
coord_host_new_txns(struct loop_group *loops, struct replica *replica, const struct env *env,
    struct meta *meta, int32_t node_id, struct coord *groups)
{
    struct coord_host *table = coord_host_new(loops, replica, env);
    struct real_host *host = real(table->self);
    host->topic = "__transaction_state";
    host->meta = meta;
    host->node_id = node_id;
    host->groups = groups;
    return table;
}

struct coord_host *
coord_host_new_states(struct loop_group *loops, struct replica *replica, const struct env *env)
{
    struct coord_host *table = coord_host_new(loops, replica, env);
    real(table->self)->topic = "__share_group_state";
    return table;
}

void
coord_host_set(struct coord_host *table, struct coord *coord)
{
    real(table->self)->coord = coord;
}

static void
stopped(struct coord_call *call)
{
    struct real_host *host = real(call->coord->host->self);
    ox_lock(&host->lock);
    host->stopped = true;
    pthread_cond_signal(&host->idle);
    ox_unlock(&host->lock);
}

static void
stop_alarms(struct loop *loop, void *arg)
{
    struct real_host *host = arg;
    for (int32_t i = 0; i < coord_partition_count(host->coord); i++)
        if (host->alarms[i] != NULL && home(host, i) == loop)
            loop_timer_stop(&host->alarms[i]->timer);
}

void
coord_host_stop(struct coord_host *table)
{
    struct real_host *host = real(table->self);
    struct coord_stop_call stop = {.call.done = stopped};
    ox_assert(loop_self() == NULL);
    atomic_store(&host->stopping, true);
    coord_stop(host->coord, &stop);
    ox_lock(&host->lock);
    while (!host->stopped || host->busy > 0)
        loop_group_wait(host->loops, &host->idle, &host->lock.mutex);
    ox_unlock(&host->lock);
    loop_each_sync(host->loops, stop_alarms, host);
}

void
coord_host_free(struct coord_host *table)
{
    if (table == NULL)
        return;
    struct real_host *host = real(table->self);
    for (int32_t i = 0; i < ALARMS_MAX; i++)
        ox_free(host->alarms[i]);
    ox_free(host->alarms);
    pthread_cond_destroy(&host->idle);
    ox_lock_fini(&host->lock);
    ox_free(host);
}
