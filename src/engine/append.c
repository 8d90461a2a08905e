/* SPDX-License-Identifier: Apache-2.0
 *
 * One batch into one partition: authorise, find the leader, check min.insync,
 * append. Record bytes are not looked at here; the log validates them. */
#include <string.h>

#include "base/check.h"
#include "engine/engine_int.h"

static void
finish(struct engine_append *call)
{
    engine_quota_use(call->sess, ENGINE_QUOTA_PRODUCE, (double)call->records.len);
    struct partition_append *append = &call->append;
    struct engine_stats *stats = &call->sess->engine->stats;
    call->code = append->code;
    if (append->code != OX_OK) {
        call->err = append->err;
        call->log_start = append->append.log_start;
        call->record_errors = append->append.record_errors;
        call->record_error_count = append->append.record_error_count;
        atomic_fetch_add_explicit(&stats->append_errors, 1, memory_order_relaxed);
        return;
    }
    call->base_offset = append->append.base_offset;
    call->last_offset = append->append.last_offset;
    call->append_time_ms = append->append.append_time_ms;
    call->log_start = append->append.log_start;
    atomic_fetch_add_explicit(&stats->appends, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->append_bytes, call->records.len, memory_order_relaxed);
}

static void
append_done(struct partition_append *append)
{
    struct engine_append *call = ox_container_of(append, struct engine_append, append);
    finish(call);
    call->done(call);
}

static void
reset(struct engine_append *call)
{
    call->code = OX_OK;
    call->base_offset = call->last_offset = call->append_time_ms = call->log_start = -1;
    call->record_errors = NULL;
    call->record_error_count = 0;
    call->leader_id = call->leader_epoch = -1;
    memset(&call->append.append, 0, sizeof(call->append.append));
    call->append.node = NULL;
    ox_list_init(&call->append.link);
}

/* Clients write to internal topics through their coordinators only. */
static ox_code
find_target(struct engine_append *call, struct partition **part)
{
    struct engine_session *sess = call->sess;
    struct ox_err *err = &call->err;
    const struct meta_topic *topic;
    ox_code code =
        engine_find_topic(sess, call->topic, &call->topic_id, ENGINE_WRITE, &topic, err);
    if (code != OX_OK)
        return code;
    if (topic->internal && strcmp(sess->client_id, "__admin_client") != 0)
        return ox_fail(err, OX_INVALID_TOPIC, "internal topic \"%s\" cannot be written to",
            topic->name.ptr);
    code = engine_partition(sess, topic->name, NULL, call->partition, ENGINE_WRITE, part, err);
    const struct meta_partition *facts = meta_topic_partition(topic, call->partition);
    if (code == OX_NOT_LEADER) {
        call->leader_id = facts->leader;
        call->leader_epoch = facts->leader_epoch;
    }
    if (code != OX_OK)
        return code;
    uint32_t needed = OX_MIN((uint32_t)topic->config->min_insync_replicas, facts->replica_count);
    if (call->acks == -1 && facts->isr_count < needed)
        return ox_fail(err, OX_NOT_ENOUGH_REPLICAS,
            "partition %d of topic \"%s\" has %u in-sync replicas, %u are needed",
            call->partition, topic->name.ptr, facts->isr_count, needed);
    return OX_OK;
}

static bool
refuse(struct engine_append *call, ox_code code)
{
    call->code = code;
    atomic_fetch_add_explicit(&call->sess->engine->stats.append_errors, 1, memory_order_relaxed);
    return true;
}

bool
engine_append(struct engine_append *call)
{
    struct partition *part;
    reset(call);
    if (atomic_load_explicit(&call->sess->engine->stopping, memory_order_relaxed))
        return refuse(call, ox_fail(&call->err, OX_NOT_LEADER, "the server is shutting down"));
    ox_code code = find_target(call, &part);
    if (code != OX_OK)
        return refuse(call, code);
    if (call->acks < -1 || call->acks > 1)
        return refuse(call, ox_fail(&call->err, OX_INVALID_REQUIRED_ACKS,
            "acks %d is not -1, 0 or 1", call->acks));
    struct partition_append *append = &call->append;
    append->append.records = call->records;
    append->append.now_ms = loop_wall_ms(call->sess->loop);
    append->append.origin = LOG_FROM_CLIENT;
    append->append.flags = call->produce_version < 7 ? LOG_NO_ZSTD : 0;
    append->append.txn_guard = call->txn_guard;
    append->append.arena = call->arena;
    append->acks = call->acks;
    append->together = true;
    append->current_leader_epoch = -1;
    append->timeout_ns =
        call->acks == -1 && call->timeout_ms > 0 ? (uint64_t)call->timeout_ms * 1000000 : 0;
    append->done = append_done;
    append->loop = call->sess->loop;
    if (!partition_append(part, append))
        return false;
    finish(call);
    return true;
}

void
engine_append_forget(struct engine_append *call)
{
    partition_append_forget(&call->append);
}
