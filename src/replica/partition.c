/* SPDX-License-Identifier: Apache-2.0
 *
 * One partition that this node leads: append, read, and waiting for either.
 *
 * Append and read run on the caller's loop under the partition's lock. What has
 * to wait is a node on one of two lists:
 *
 *   appends  acks=all, until the high watermark reaches the batch's end
 *   readers  until the visible end passes an offset
 *
 *   LISTED --high watermark moved, closed--> POSTED --on its loop--> done/fn, free
 *     \--forget, unwait: taken off, free       \--forget, unwait: silenced
 *
 * The high watermark moves when the flusher has made a batch durable (its thread
 * calls on_flushed), or at once for a lazily flushed log.
 *
 * Invariants, under the lock
 *  1. log start <= high watermark <= log end; it never goes back.
 *  2. appends is ordered by end offset, and every end is above the watermark.
 *  3. A node is on a list iff its state is LISTED. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/fault.h"
#include "replica/replica_int.h"

struct wait_node {
    struct list link;
    struct loop_msg msg;
    struct loop *loop;
    struct partition *part; /* held */
    bool listed;
    ox_code code;   /* outcome of an append */
    int64_t offset; /* append: the batch's end; reader: wants the end beyond this */
    enum partition_isolation isolation;
    struct partition_append *append; /* one of the two; both NULL: silenced */
    struct partition_waiter *reader;
};

static void on_flushed(void *arg, int64_t flushed_end);

/* ---- opening and closing ---- */

/* The topic's settings as the log reads them, and the one of the node. */
static void
read_config(struct plog_config *to, const struct topic_config *from, struct replica *replica)
{
    static const int codecs[] = {
        [TOPIC_COMPRESSION_TYPE_UNCOMPRESSED] = OX_CODEC_NONE,
        [TOPIC_COMPRESSION_TYPE_ZSTD] = OX_CODEC_ZSTD,
        [TOPIC_COMPRESSION_TYPE_LZ4] = OX_CODEC_LZ4,
        [TOPIC_COMPRESSION_TYPE_SNAPPY] = OX_CODEC_SNAPPY,
        [TOPIC_COMPRESSION_TYPE_GZIP] = OX_CODEC_GZIP,
        [TOPIC_COMPRESSION_TYPE_PRODUCER] = LOG_COMPRESSION_PRODUCER,
    };
    plog_config_init(to);
    to->segment_bytes = from->segment_bytes;
    to->segment_ms = from->segment_ms;
    to->segment_jitter_ms = from->segment_jitter_ms;
    to->index_interval_bytes = from->index_interval_bytes;
    to->segment_index_bytes = from->segment_index_bytes;
    to->retention_ms = from->retention_ms;
    to->retention_bytes = from->retention_bytes;
    to->policy_delete = (from->cleanup_policy & TOPIC_CLEANUP_POLICY_DELETE) != 0;
    to->policy_compact = (from->cleanup_policy & TOPIC_CLEANUP_POLICY_COMPACT) != 0;
    to->max_message_bytes = from->max_message_bytes;
    to->max_decompressed_bytes = from->max_decompressed_message_bytes;
    to->log_append_time = from->message_timestamp_type == TOPIC_MESSAGE_TIMESTAMP_TYPE_LOG_APPEND_TIME;
    to->timestamp_before_max_ms = from->message_timestamp_before_max_ms;
    to->timestamp_after_max_ms = from->message_timestamp_after_max_ms;
    to->compression = codecs[from->compression_type];
    to->gzip_level = from->compression_gzip_level;
    to->lz4_level = from->compression_lz4_level;
    to->zstd_level = from->compression_zstd_level;
    to->flush_ack = from->flush == TOPIC_FLUSH_ACK;
    to->flush_messages = from->flush_messages;
    to->flush_ms = from->flush_ms;
    to->preallocate = from->preallocate;
    to->file_delete_delay_ms = from->file_delete_delay_ms;
    to->delete_retention_ms = from->delete_retention_ms;
    to->min_compaction_lag_ms = from->min_compaction_lag_ms;
    to->max_compaction_lag_ms = from->max_compaction_lag_ms;
    to->min_cleanable_dirty_ratio = from->min_cleanable_dirty_ratio;
    const struct meta_view *view = meta_view_get(replica_meta(replica));
    to->producer_id_expiration_ms = view->settings->producer_id_expiration_ms;
    meta_view_put(view);
}

/* What the metadata says is deleted is, also when the power went before the log
 * took note of it. */
static ox_code
obey_log_start(struct partition *part, const struct meta_partition *facts, struct ox_err *err)
{
    if (facts->log_start_min <= plog_log_start(part->log))
        return OX_OK;
    return plog_advance_log_start(part->log, facts->log_start_min, err);
}

/* What recovery kept is safe, and this node is the only in-sync replica. */
static ox_code
start_leading(struct partition *part, const struct meta_partition *facts, struct ox_err *err)
{
    ox_code code = plog_fault(part->log, err);
    if (code == OX_OK)
        code = obey_log_start(part, facts, err);
    part->high_watermark = plog_log_end(part->log);
    plog_set_high_watermark(part->log, part->high_watermark);
    if (code == OX_OK && plog_latest_epoch(part->log) < part->leader_epoch)
        code = plog_begin_epoch(part->log, part->leader_epoch, err);
    return code;
}

/* A directory of this name and another topic id belongs to a topic that was
 * dropped: names are unique among those that are there. */
static ox_code
open_log(struct log_dir *dir, const struct plog_args *args, struct plog **out, struct ox_err *err)
{
    ox_code code = plog_open(dir, args, out, err);
    if (code != OX_INCONSISTENT_TOPIC_ID)
        return code;
    code = log_dir_set_stray(dir, args->topic, args->partition, err);
    return code == OX_OK ? plog_open(dir, args, out, err) : code;
}

struct partition *
partition_open(struct replica *replica, const struct meta_topic *topic,
    const struct meta_partition *facts)
{
    struct partition *part = ox_calloc(1, sizeof(*part));
    struct ox_err err;
    atomic_init(&part->refs, 1);
    part->replica = replica;
    part->topic = ox_calloc(1, topic->name.len + 1);
    memcpy(part->topic, topic->name.ptr, topic->name.len);
    part->topic_id = topic->id;
    part->index = facts->index;
    part->leader_epoch = facts->leader_epoch;
    ox_lock_init(&part->lock, LOCK_PARTITION);
    ox_list_init(&part->appends);
    ox_list_init(&part->readers);
    part->lazy = topic->config->flush == TOPIC_FLUSH_LAZY;
    struct plog_args args = {part->topic, facts->index, topic->id, .on_flushed = on_flushed,
        .arg = part, .name_later = true};
    read_config(&args.config, topic->config, replica);
    struct log_dir *dir;
    part->fault = replica_choose_dir(replica, topic, part->topic, facts->index,
        replica_is_starting(replica), &dir, &err);
    if (part->fault == OX_OK)
        part->fault = open_log(dir, &args, &part->log, &err);
    if (part->fault == OX_OK)
        part->fault = start_leading(part, facts, &err);
    else
        part->fault = OX_STORAGE_ERROR; /* whatever kept the log from opening */
    if (part->fault != OX_OK)
        ox_diag_err(OX_DIAG_ERROR, "partition cannot be used", &err);
    return part;
}

struct partition *
partition_hold(struct partition *part)
{
    atomic_fetch_add(&part->refs, 1);
    return part;
}

void
partition_put(struct partition *part)
{
    if (part == NULL || atomic_fetch_sub(&part->refs, 1) > 1)
        return;
    ox_assert(ox_list_empty(&part->appends) && ox_list_empty(&part->readers));
    /* The last holder of a dropped topic's partition may be a loop. */
    if (part->log != NULL && plog_detached(part->log))
        plog_close_later(part->log);
    else if (part->log != NULL)
        plog_close(part->log);
    ox_lock_fini(&part->lock);
    ox_free(part->topic);
    ox_free(part);
}

void
partition_update(struct partition *part, const struct meta_topic *topic,
    const struct meta_partition *facts)
{
    struct plog_config config;
    struct ox_err err;
    read_config(&config, topic->config, part->replica);
    if (part->log != NULL)
        plog_set_config(part->log, &config);
    if (!partition_offline(part) && plog_fault(part->log, NULL) == OX_OK &&
        obey_log_start(part, facts, &err) != OX_OK)
        ox_diag_err(OX_DIAG_ERROR, "log start could not be moved", &err);
    /* Only this thread changes the epoch. */
    bool leads = facts->leader == replica_config(part->replica)->node_id;
    if (leads && facts->leader_epoch > part->leader_epoch && !partition_offline(part) &&
        plog_begin_epoch(part->log, facts->leader_epoch, &err) != OX_OK)
        ox_diag_err(OX_DIAG_ERROR, "leader epoch could not be begun", &err);
    ox_lock(&part->lock);
    part->leader_epoch = facts->leader_epoch;
    part->lazy = topic->config->flush == TOPIC_FLUSH_LAZY;
    ox_unlock(&part->lock);
    if (part->log != NULL)
        on_flushed(part, plog_flushed_end(part->log));
}

/* ---- answering waiters ---- */

static void
answer(struct loop_msg *msg)
{
    struct wait_node *node = ox_container_of(msg, struct wait_node, msg);
    struct partition_append *append = node->append;
    struct partition_waiter *reader = node->reader;
    ox_code code = node->code;
    partition_put(node->part);
    ox_free(node);
    if (append != NULL) {
        append->node = NULL;
        loop_timer_stop(&append->timer);
        append->code = code;
        if (code != OX_OK)
            ox_fail_plain(&append->err, code);
        append->done(append);
    } else if (reader != NULL) {
        reader->node = NULL;
        reader->fn(reader);
    }
}

/* Under the lock: take a node off its list, for posting. */
static void
take_off(struct wait_node *node, struct list *ready, ox_code code)
{
    ox_list_remove(&node->link);
    node->listed = false;
    node->code = code;
    ox_list_push(ready, &node->link);
}

static void
post_ready(struct list *ready)
{
    for (struct list *link; (link = ox_list_pop(ready)) != NULL;) {
        struct wait_node *node = ox_container_of(link, struct wait_node, link);
        node->msg.fn = answer;
        loop_post(node->loop, &node->msg);
    }
}

static void
fill_state(struct partition *part, struct partition_state *out)
{
    out->fault = part->fault;
    out->leader_epoch = part->leader_epoch;
    if (part->log == NULL) {
        out->log_start = out->last_stable = out->high_watermark = out->log_end = 0;
        return;
    }
    out->log_start = plog_log_start(part->log);
    out->log_end = plog_log_end(part->log);
    out->high_watermark = OX_MAX(part->high_watermark, out->log_start);
    out->last_stable = OX_MIN(out->high_watermark, plog_first_unstable(part->log));
    out->last_stable = OX_MAX(out->last_stable, out->log_start); /* deleted under way */
    if (ox_fault("txn.wrong_last_stable") != OX_OK)
        out->last_stable = out->high_watermark;
}

int64_t
partition_visible_end(const struct partition_state *state, enum partition_isolation isolation)
{
    return isolation == READ_COMMITTED     ? state->last_stable
           : isolation == READ_UNCOMMITTED ? state->high_watermark
                                           : state->log_end;
}

/* Under the lock: who waits for what is now true. */
static void
collect_ready(struct partition *part, struct list *ready)
{
    struct partition_state state;
    fill_state(part, &state);
    ox_list_each(link, &part->appends)
    {
        struct wait_node *node = ox_container_of(link, struct wait_node, link);
        if (node->offset > part->high_watermark)
            break;
        take_off(node, ready, OX_OK);
    }
    ox_list_each(link, &part->readers)
    {
        struct wait_node *node = ox_container_of(link, struct wait_node, link);
        if (partition_visible_end(&state, node->isolation) > node->offset ||
            state.log_start > node->offset)
            take_off(node, ready, OX_OK);
    }
}

/* Under the lock: as far as the log is safe to show. */
static void
advance(struct partition *part, struct list *ready)
{
    int64_t safe = part->lazy ? plog_log_end(part->log) : plog_flushed_end(part->log);
    if (safe > part->high_watermark) {
        part->high_watermark = safe;
        plog_set_high_watermark(part->log, safe);
    }
    collect_ready(part, ready);
}

static void
fail_appends(struct partition *part, ox_code code, struct list *ready)
{
    ox_list_each(link, &part->appends)
        take_off(ox_container_of(link, struct wait_node, link), ready, code);
}

/* On the flusher's thread: more of the log is durable, or the directory failed. */
static void
on_flushed(void *arg, int64_t flushed_end)
{
    struct partition *part = arg;
    struct list ready;
    ox_list_init(&ready);
    if (part->log == NULL)
        return;
    ox_lock(&part->lock);
    ox_code fault = plog_fault(part->log, NULL);
    if (fault == OX_OK) {
        advance(part, &ready);
    } else {
        part->fault = OX_STORAGE_ERROR;
        fail_appends(part, OX_STORAGE_ERROR, &ready);
        collect_ready(part, &ready);
    }
    ox_unlock(&part->lock);
    post_ready(&ready);
}

void
partition_fail(struct partition *part)
{
    struct list ready;
    ox_list_init(&ready);
    ox_lock(&part->lock);
    bool first = part->fault == OX_OK;
    if (first) {
        part->fault = OX_STORAGE_ERROR;
        fail_appends(part, OX_STORAGE_ERROR, &ready);
        ox_list_each(link, &part->readers)
            take_off(ox_container_of(link, struct wait_node, link), &ready, OX_STORAGE_ERROR);
    }
    ox_unlock(&part->lock);
    post_ready(&ready);
}

bool
partition_offline(struct partition *part)
{
    return part->log == NULL || log_dir_is_offline(plog_log_dir(part->log));
}

void
partition_move(struct partition *part, struct log_dir *to)
{
    mover_ask(replica_mover(part->replica), part, to);
}

struct log_dir *
partition_moving(struct partition *part, uint64_t *bytes, int64_t *end_offset)
{
    struct log_dir *to = mover_target(replica_mover(part->replica), part);
    *bytes = 0;
    *end_offset = 0;
    if (to != NULL && part->log != NULL && plog_moving(part->log, bytes, end_offset) != to)
        *bytes = 0, *end_offset = plog_log_start(part->log);
    return to;
}

void
partition_close(struct partition *part, ox_code code, bool dropped)
{
    struct list ready;
    ox_list_init(&ready);
    ox_lock(&part->lock);
    part->fault = code;
    fail_appends(part, code, &ready);
    ox_list_each(link, &part->readers)
        take_off(ox_container_of(link, struct wait_node, link), &ready, code);
    ox_unlock(&part->lock);
    post_ready(&ready);
    /* At once, though readers may hold the partition for long: a topic of the
     * same name may be made in the meantime. */
    struct ox_err err;
    if (dropped && part->log != NULL && plog_detach(part->log, &err) != OX_OK)
        ox_diag_err(OX_DIAG_WARN, "partition could not be deleted", &err);
}

/* ---- facts ---- */

const char *
partition_topic(const struct partition *part)
{
    return part->topic;
}

const struct uuid *
partition_topic_id(const struct partition *part)
{
    return &part->topic_id;
}

int32_t
partition_index(const struct partition *part)
{
    return part->index;
}

struct plog *
partition_log(struct partition *part)
{
    return part->log;
}

void
partition_state(struct partition *part, struct partition_state *out)
{
    ox_lock(&part->lock);
    fill_state(part, out);
    ox_unlock(&part->lock);
}

/* Under the lock. -1 asks for nothing. */
static ox_code
check_epoch(struct partition *part, int32_t asked, struct ox_err *err)
{
    if (part->fault != OX_OK)
        return ox_fail(err, part->fault, "partition %s-%d is not available: %s", part->topic,
            part->index, ox_code_facts(part->fault)->message);
    if (asked >= 0 && asked < part->leader_epoch)
        return ox_fail(err, OX_FENCED_LEADER_EPOCH, "leader epoch %d of %s-%d is older than %d",
            asked, part->topic, part->index, part->leader_epoch);
    if (asked > part->leader_epoch)
        return ox_fail(err, OX_UNKNOWN_LEADER_EPOCH, "leader epoch %d of %s-%d is newer than %d",
            asked, part->topic, part->index, part->leader_epoch);
    return OX_OK;
}

/* ---- append ---- */

static struct wait_node *
new_node(struct partition *part, struct loop *loop, int64_t offset)
{
    struct wait_node *node = ox_calloc(1, sizeof(*node));
    node->loop = loop;
    node->part = partition_hold(part);
    node->offset = offset;
    node->listed = true;
    return node;
}

/* Under the lock: keep the list ordered; new ends are nearly always the last. */
static void
list_append(struct partition *part, struct partition_append *call, int64_t end)
{
    struct wait_node *node = new_node(part, call->loop, end);
    node->append = call;
    call->node = node;
    struct list *at = part->appends.prev;
    while (at != &part->appends && ox_container_of(at, struct wait_node, link)->offset > end)
        at = at->prev;
    ox_list_add_after(at, &node->link);
}

static void
append_timed_out(struct loop_timer *timer)
{
    struct partition_append *call = ox_container_of(timer, struct partition_append, timer);
    partition_append_forget(call);
    call->code = ox_fail(&call->err, OX_REQUEST_TIMED_OUT,
        "batch at offset %lld of %s-%d was not flushed in time",
        (long long)call->append.base_offset, call->part->topic, call->part->index);
    call->done(call);
}

/* Under the lock: those that may be appended, written at once. */
static void
append_allowed(struct partition *part, struct partition_append **calls, uint32_t count)
{
    struct log_append *appends[APPENDS_TOGETHER];
    struct partition_append *allowed[APPENDS_TOGETHER];
    struct ox_err errs[APPENDS_TOGETHER];
    ox_code codes[APPENDS_TOGETHER];
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct partition_append *call = calls[i];
        call->code = check_epoch(part, call->current_leader_epoch, &call->err);
        call->append.leader_epoch = part->leader_epoch;
        if (call->code != OX_OK) {
            log_append_drop(&call->append);
            continue;
        }
        allowed[used] = call;
        appends[used++] = &call->append;
    }
    if (used > 0)
        plog_append_many(part->log, appends, used, codes, errs);
    for (uint32_t i = 0; i < used; i++) {
        allowed[i]->code = codes[i];
        if (codes[i] != OX_OK)
            allowed[i]->err = errs[i];
    }
}

void
partition_append_all(struct partition *part, struct partition_append **calls, uint32_t count)
{
    struct list ready;
    ox_list_init(&ready);
    ox_lock(&part->lock);
    append_allowed(part, calls, count);
    if (part->log != NULL)
        advance(part, &ready);
    for (uint32_t i = 0; i < count; i++) {
        struct partition_append *call = calls[i];
        int64_t end = call->append.last_offset + 1;
        if (call->code == OX_OK && call->acks == -1 && end > part->high_watermark)
            list_append(part, call, end);
    }
    ox_unlock(&part->lock);
    post_ready(&ready);
    for (uint32_t i = 0; i < count; i++)
        if (calls[i]->node != NULL && calls[i]->timeout_ns > 0)
            loop_timer_start(calls[i]->loop, &calls[i]->timer, calls[i]->timeout_ns,
                append_timed_out);
}

bool
partition_append(struct partition *part, struct partition_append *call)
{
    ox_assert(loop_is(call->loop));
    call->node = NULL;
    call->part = part;
    memset(&call->timer, 0, sizeof(call->timer));
    ox_list_init(&call->link);
    if (part->log != NULL && (call->code = plog_validate(part->log, &call->append, &call->err)))
        return true;
    if (call->acks == -1)
        call->append.flags |= LOG_FLUSH_SOON;
    if (call->together && append_queue_take(replica_append_queue(part->replica), call))
        return false;
    partition_append_all(part, &call, 1);
    return call->node == NULL;
}

/* Take the node off, or keep its message from doing anything. */
static void
silence(struct wait_node *node)
{
    struct partition *part = node->part;
    ox_lock(&part->lock);
    bool listed = node->listed;
    if (listed)
        ox_list_remove(&node->link);
    ox_unlock(&part->lock);
    if (listed) {
        partition_put(part);
        ox_free(node);
        return;
    }
    node->append = NULL;
    node->reader = NULL;
}

void
partition_append_forget(struct partition_append *call)
{
    loop_timer_stop(&call->timer);
    append_queue_forget(call);
    if (call->node != NULL)
        silence(call->node);
    call->node = NULL;
}

/* ---- read ---- */

static ox_code
out_of_range(const struct partition *part, int64_t offset, const struct partition_state *state,
    struct ox_err *err)
{
    ox_code code = ox_fail(err, OX_OFFSET_OUT_OF_RANGE, "offset %lld of %s-%d is out of range",
        (long long)offset, part->topic, part->index);
    ox_detail(err, "Offsets %lld to %lld are available.", (long long)state->log_start,
        (long long)state->log_end);
    return code;
}

ox_code
partition_read(struct partition *part, int64_t offset, size_t max_bytes, bool min_one,
    enum partition_isolation isolation, int32_t current_leader_epoch, struct log_range *range,
    struct partition_state *state, struct ox_err *err)
{
    ox_lock(&part->lock);
    ox_code code = check_epoch(part, current_leader_epoch, err);
    fill_state(part, state);
    ox_unlock(&part->lock);
    if (code != OX_OK)
        return code;
    if (offset < state->log_start || offset > state->log_end)
        return out_of_range(part, offset, state, err);
    int64_t end = partition_visible_end(state, isolation);
    memset(range, 0, sizeof(*range));
    if (offset >= end)
        return OX_OK;
    return plog_read(part->log, offset, end, max_bytes, min_one, range, err);
}

/* ---- waiting ---- */

bool
partition_wait(struct partition *part, struct partition_waiter *waiter)
{
    struct partition_state state;
    ox_assert(loop_is(waiter->loop));
    waiter->node = NULL;
    ox_lock(&part->lock);
    fill_state(part, &state);
    bool now = part->fault != OX_OK || state.log_start > waiter->offset ||
               partition_visible_end(&state, waiter->isolation) > waiter->offset;
    if (!now) {
        waiter->node = new_node(part, waiter->loop, waiter->offset);
        waiter->node->isolation = waiter->isolation;
        waiter->node->reader = waiter;
        ox_list_push(&part->readers, &waiter->node->link);
    }
    ox_unlock(&part->lock);
    return !now;
}

void
partition_unwait(struct partition_waiter *waiter)
{
    if (waiter->node != NULL)
        silence(waiter->node);
    waiter->node = NULL;
}

/* ---- administration ---- */

ox_code
partition_delete_records(struct partition *part, int64_t offset, int64_t *low_watermark,
    struct ox_err *err)
{
    struct partition_state state;
    struct list ready;
    ox_list_init(&ready);
    partition_state(part, &state);
    if (state.fault != OX_OK)
        return ox_fail(err, state.fault, "partition %s-%d is not available", part->topic,
            part->index);
    if (offset == -1)
        offset = state.high_watermark;
    if (offset < 0 || offset > state.high_watermark)
        return ox_fail(err, OX_OFFSET_OUT_OF_RANGE,
            "offset %lld of %s-%d is not in 0 to the high watermark %lld", (long long)offset,
            part->topic, part->index, (long long)state.high_watermark);
    ox_code code = plog_delete_records(part->log, offset, low_watermark, err);
    ox_lock(&part->lock);
    collect_ready(part, &ready);
    ox_unlock(&part->lock);
    post_ready(&ready);
    return code;
}
