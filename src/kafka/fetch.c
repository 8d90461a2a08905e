/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch: ranges of whole batches, found in the log and sent from the page cache.
 *
 * A request is tried at once. If it may wait (max_wait_ms, nothing wrong, fewer
 * than min_bytes there) it puts a waiter on each partition and a timer on itself,
 * and is tried again when one of them calls; nothing polls. What was found before
 * waiting is let go, so that a parked request pins no segment.
 *
 *   try -> enough, an error, nothing to wait for -> answer
 *       -> park -> a waiter or the timer calls -> end of turn -> try
 *
 * The first partition that has data gives its first batch whole, however large,
 * so that every consumer gets on. */
#include "base/fault.h"
#include "kafka/kafka_int.h"

typedef struct fetch_response_responses topic_out;
typedef struct fetch_response_responses_partitions part_out;

struct fetch {
    struct kafka_request *req;
    struct fetch_context ctx;
    struct engine_read *reads; /* one a partition, in the order of ctx.parts */
    struct fetch_waiter {
        struct partition_waiter waiter; /* first */
        struct fetch *fetch;
    } *waiters; /* made when parked first */
    struct loop_timer timer;
    struct loop_tick tick;
    uint64_t until_ns;
    size_t bytes_max;
    enum partition_isolation isolation;
    bool parked, expired, abandoned;
};

static void try(struct fetch *fetch);

/* ---- reading ---- */

static bool
zstd_refused(const struct fetch *fetch, const struct fetch_part *part)
{
    if (fetch->req->version >= 10)
        return false;
    const struct meta_topic *topic = meta_view_topic(kafka_view(fetch->req), part->topic);
    return topic != NULL && topic->config->compression_type == TOPIC_COMPRESSION_TYPE_ZSTD;
}

/* A broker asks, or says that it is one. */
static bool
from_replica(const struct fetch *fetch)
{
    const struct fetch_request *request = fetch->req->body;
    return (fetch->req->version >= 15 ? request->replica_state.replica_id
                                      : request->replica_id) >= 0;
}

/* Brokers fetch from each other in another way; this one is not in any replica
 * set. */
static void
refuse_replica(const struct fetch *fetch, const struct fetch_part *part, struct engine_read *read)
{
    if (!from_replica(fetch))
        return;
    read->code = OX_UNKNOWN_LEADER_EPOCH;
    if (part->current_leader_epoch >= 0)
        return;
    const struct meta_view *view = kafka_view(fetch->req);
    const struct meta_topic *topic = fetch->req->version >= 13
                                         ? meta_view_topic_by_id(view, &part->topic_id)
                                         : meta_view_topic(view, part->topic);
    const struct meta_partition *facts =
        topic != NULL ? meta_topic_partition(topic, part->partition) : NULL;
    read->code = OX_NOT_LEADER;
    read->leader_id = facts != NULL ? facts->leader : -1;
    read->leader_epoch = facts != NULL ? facts->leader_epoch : -1;
}

static bool
isolation_known(const struct fetch_request *request)
{
    return request->isolation_level == 0 || request->isolation_level == 1;
}

/* For the tests: what a reader must notice. */
static void
mistake(struct engine_read *read)
{
    enum { FAR = 40 };
    if (ox_fault("fetch.wrong_offset") != OX_OK)
        read->offset += FAR;
    if (read->isolation == READ_UNCOMMITTED && ox_fault("fetch.wrong_uncommitted") != OX_OK)
        read->offset += FAR;
    if (ox_fault("fetch.wrong_partition") != OX_OK)
        read->partition ^= 1;
}

static void
read_part(struct fetch *fetch, const struct fetch_part *part, struct engine_read *read,
    size_t room, bool min_one)
{
    *read = (struct engine_read){
        .topic = part->topic,
        .topic_id = part->topic_id,
        .partition = part->partition,
        .current_leader_epoch = part->current_leader_epoch,
        .offset = part->offset,
        .max_bytes = OX_MIN((size_t)OX_MAX(part->max_bytes, 0), room),
        .min_one = min_one,
        .isolation = fetch->isolation,
        .leader_id = -1,
        .leader_epoch = -1,
    };
    mistake(read);
    refuse_replica(fetch, part, read);
    const struct fetch_request *request = fetch->req->body;
    /* A limit below zero fails the first partition; it leaves none to the others. */
    bool nonsense = part->max_bytes < 0 || !isolation_known(request) ||
                    (request->max_bytes < 0 && part == fetch->ctx.parts);
    if (read->code == OX_OK && nonsense)
        read->code = OX_UNKNOWN_SERVER_ERROR;
    if (read->code == OX_OK && zstd_refused(fetch, part))
        read->code = OX_UNSUPPORTED_COMPRESSION_TYPE;
    if (read->code == OX_OK)
        engine_read(fetch->req->sess, read);
}

static void
put_ranges(struct fetch *fetch)
{
    for (int32_t i = 0; i < fetch->ctx.part_count; i++)
        if (fetch->reads[i].code == OX_OK)
            log_range_put(&fetch->reads[i].range);
}

/* A reader that was ahead of its leader: where the two logs part; -1, -1 if its last
   epoch is not known here. */
static bool
diverges(const struct fetch_part *part, const struct engine_read *read, int32_t *epoch,
    int64_t *end)
{
    if (part->last_fetched_epoch < 0 || read->code != OX_OK || read->part == NULL)
        return false;
    if (part->last_fetched_epoch == read->state.leader_epoch && part->offset <= read->state.log_end)
        return false;
    plog_epoch_end(partition_log(read->part), part->last_fetched_epoch,
        read->state.leader_epoch, epoch, end);
    return *epoch < 0 || *epoch < part->last_fetched_epoch || *end < part->offset;
}

/* More is visible than the range gives: it ends with its segment, or at a limit. */
static bool
more_behind(const struct fetch *fetch, const struct engine_read *read)
{
    return read->range.len > 0 &&
           read->range.next_offset < partition_visible_end(&read->state, fetch->isolation);
}

/* Reads everything; whether the answer should go now. */
static bool
read_all(struct fetch *fetch)
{
    const struct fetch_request *request = fetch->req->body;
    size_t total = 0, min_bytes = OX_MIN((size_t)OX_MAX(request->min_bytes, 0), fetch->bytes_max);
    bool now = fetch->ctx.part_count == 0;
    for (int32_t i = 0; i < fetch->ctx.part_count; i++) {
        struct engine_read *read = &fetch->reads[i];
        size_t room = fetch->bytes_max > total ? fetch->bytes_max - total : 0;
        int32_t epoch;
        int64_t end;
        read_part(fetch, &fetch->ctx.parts[i], read, room, total == 0);
        if (read->code != OX_OK || diverges(&fetch->ctx.parts[i], read, &epoch, &end))
            now = true;
        else
            total += read->range.len;
        now |= read->code == OX_OK && more_behind(fetch, read);
    }
    return now || total >= min_bytes;
}

/* ---- parking ---- */

static void
at_tick_end(struct loop_tick *tick)
{
    struct fetch *fetch = ox_container_of(tick, struct fetch, tick);
    try(fetch);
}

static void
wake(struct fetch *fetch)
{
    fetch->tick.fn = at_tick_end;
    loop_at_tick_end(fetch->req->sess->loop, &fetch->tick);
}

static void
waiter_called(struct partition_waiter *waiter)
{
    wake(((struct fetch_waiter *)(void *)waiter)->fetch);
}

static void
timer_called(struct loop_timer *timer)
{
    struct fetch *fetch = ox_container_of(timer, struct fetch, timer);
    fetch->expired = true;
    wake(fetch);
}

static void
unpark(struct fetch *fetch)
{
    loop_timer_stop(&fetch->timer);
    for (int32_t i = 0; fetch->waiters != NULL && i < fetch->ctx.part_count; i++)
        partition_unwait(&fetch->waiters[i].waiter);
    fetch->parked = false;
}

static void
abandoned(struct kafka_request *req)
{
    struct fetch *fetch = req->state;
    fetch->abandoned = true;
    if (fetch->parked)
        wake(fetch);
}

/* False: something moved meanwhile. */
static bool
park(struct fetch *fetch)
{
    struct loop *loop = fetch->req->sess->loop;
    if (fetch->waiters == NULL)
        fetch->waiters = kafka_array(fetch->req, struct fetch_waiter, fetch->ctx.part_count);
    for (int32_t i = 0; i < fetch->ctx.part_count; i++) {
        struct fetch_waiter *waiter = &fetch->waiters[i];
        const struct engine_read *read = &fetch->reads[i];
        int64_t seen = partition_visible_end(&read->state, fetch->isolation);
        waiter->fetch = fetch;
        partition_unwait(&waiter->waiter);
        waiter->waiter.fn = waiter_called;
        waiter->waiter.loop = loop;
        waiter->waiter.offset = OX_MAX(fetch->ctx.parts[i].offset, seen);
        waiter->waiter.isolation = fetch->isolation;
        if (!partition_wait(read->part, &waiter->waiter))
            return false;
    }
    fetch->parked = true;
    fetch->req->abandoned = abandoned;
    uint64_t now = loop_now_ns(loop);
    loop_timer_start(loop, &fetch->timer, fetch->until_ns > now ? fetch->until_ns - now : 0,
        timer_called);
    return true;
}

/* ---- the answer ---- */

/* False: it cannot be told which of the records were aborted, so none may go out. */
static bool
fill_aborted(struct fetch *fetch, const struct fetch_part *part, const struct engine_read *read,
    part_out *out)
{
    typedef struct fetch_response_responses_partitions_aborted_transactions aborted_row;
    struct log_aborted_txn *txns;
    size_t count = 0;
    out->aborted_transactions.count = 0;
    if (read->range.len == 0 || ox_fault("txn.wrong_aborted_list") != OX_OK)
        return true;
    struct kafka_request *req = fetch->req;
    if (plog_aborted_txns(partition_log(read->part), part->offset, read->range.next_offset,
            &req->arena, &txns, &count, NULL) != OX_OK)
        return false;
    out->aborted_transactions.at = kafka_array(req, aborted_row, count);
    for (size_t i = 0; i < count; i++)
        out->aborted_transactions.at[out->aborted_transactions.count++] =
            (aborted_row){txns[i].producer_id, txns[i].first_offset};
    return true;
}

static void
fill_fault(struct fetch *fetch, const struct engine_read *read, part_out *out)
{
    ox_code code = read->code;
    if (code == OX_STORAGE_ERROR && fetch->req->version <= 5)
        code = OX_NOT_LEADER;
    out->error_code = ox_code_kafka(code);
    out->high_watermark = -1;
    /* As Kafka does it: null only where the partition was looked at. */
    bool unseen = code == OX_UNKNOWN_TOPIC_OR_PARTITION || code == OX_UNKNOWN_TOPIC_ID ||
                  code == OX_TOPIC_AUTHORIZATION_FAILED ||
                  !isolation_known(fetch->req->body);
    out->aborted_transactions.count = unseen ? 0 : -1;
    out->records.bytes = OX_STR("");
    if (code == OX_NOT_LEADER || code == OX_FENCED_LEADER_EPOCH) {
        out->current_leader.leader_id = read->leader_id;
        out->current_leader.leader_epoch = read->leader_epoch;
    }
}

/* It was read, but cannot be given. */
static void
fail_part(struct fetch *fetch, const struct fetch_part *part, struct engine_read *read,
    ox_code code, part_out *out)
{
    log_range_put(&read->range);
    read->code = code;
    fetch_response_responses_partitions_init(out);
    out->partition_index = part->partition;
    fill_fault(fetch, read, out);
}

static void
fill_part(struct fetch *fetch, const struct fetch_part *part, struct engine_read *read,
    part_out *out)
{
    int32_t epoch;
    int64_t end;
    fetch_response_responses_partitions_init(out);
    out->partition_index = part->partition;
    if (read->code != OX_OK) {
        fill_fault(fetch, read, out);
        return;
    }
    out->high_watermark = read->state.high_watermark;
    out->last_stable_offset = read->state.last_stable;
    out->log_start_offset = read->state.log_start;
    out->aborted_transactions.count = -1;
    if (diverges(part, read, &epoch, &end) && epoch < 0) {
        fail_part(fetch, part, read, OX_OFFSET_OUT_OF_RANGE, out);
        return;
    }
    if (diverges(part, read, &epoch, &end)) {
        out->diverging_epoch.epoch = epoch;
        out->diverging_epoch.end_offset = end;
        out->records.bytes = OX_STR("");
        log_range_put(&read->range);
        return;
    }
    if (fetch->isolation == READ_COMMITTED && !fill_aborted(fetch, part, read, out)) {
        fail_part(fetch, part, read, OX_STORAGE_ERROR, out);
        return;
    }
    out->records = kafka_splice_range(fetch->req, &read->range);
}

/* In a session, what the client knows already is left out. */
static bool
worth_telling(const struct fetch_part *part, const part_out *out)
{
    return out->records.splice != NULL || out->error_code != 0 ||
           out->high_watermark != part->told_high_watermark ||
           out->log_start_offset != part->told_log_start || out->diverging_epoch.epoch >= 0;
}

static bool
same_topic(const topic_out *topic, const struct fetch_part *part)
{
    return part->topic.ptr != NULL ? ox_str_eq(topic->topic, part->topic)
                                   : ox_uuid_eq(&topic->topic_id, &part->topic_id);
}

static void
add_endpoint(struct kafka_request *req, struct fetch_response *response, int32_t node_id)
{
    typedef struct fetch_response_node_endpoints endpoint_row;
    const struct meta_listener *endpoint = node_id >= 0 ? kafka_endpoint(req, node_id) : NULL;
    for (int32_t i = 0; i < response->node_endpoints.count; i++)
        if (response->node_endpoints.at[i].node_id == node_id)
            return;
    if (endpoint == NULL)
        return;
    if (response->node_endpoints.at == NULL)
        response->node_endpoints.at =
            kafka_array(req, endpoint_row, kafka_view(req)->broker_count);
    response->node_endpoints.at[response->node_endpoints.count++] = (endpoint_row){node_id,
        endpoint->host, endpoint->port, meta_view_broker(kafka_view(req), node_id)->rack};
}

/* Over a quota the answer goes without records, and what it says costs nothing. */
static bool
throttled(struct fetch *fetch)
{
    size_t total = 0;
    for (int32_t i = 0; i < fetch->ctx.part_count; i++)
        total += fetch->reads[i].code == OX_OK ? fetch->reads[i].range.len : 0;
    kafka_count_time(fetch->req);
    return !engine_quota_fetch(fetch->req->sess, (double)total);
}

static void
answer_empty(struct fetch *fetch)
{
    struct fetch_response response;
    put_ranges(fetch);
    fetch_response_init(&response);
    response.session_id = fetch->ctx.session_id;
    kafka_answer(fetch->req, &response);
}

static void
answer(struct fetch *fetch)
{
    struct kafka_request *req = fetch->req;
    struct fetch_context *ctx = &fetch->ctx;
    struct fetch_response response;
    fetch_response_init(&response);
    if (!isolation_known(req->body))
        response.error_code = ox_code_kafka(OX_UNKNOWN_SERVER_ERROR);
    part_out *outs = kafka_array(req, part_out, ctx->part_count);
    part_out **rows = kafka_array(req, part_out *, ctx->part_count);
    response.responses.at = kafka_array(req, topic_out, ctx->part_count);
    topic_out *topic = NULL;
    int32_t used = 0;
    bool tell = isolation_known(req->body) || req->version < 13;
    for (int32_t i = 0; tell && i < ctx->part_count; i++) {
        const struct fetch_part *part = &ctx->parts[i];
        part_out *out = &outs[used];
        fill_part(fetch, part, &fetch->reads[i], out);
        if (ctx->incremental && !worth_telling(part, out))
            continue;
        rows[i] = out;
        used++;
        if (topic == NULL || !same_topic(topic, part)) {
            topic = &response.responses.at[response.responses.count++];
            topic->topic = part->topic;
            topic->topic_id = part->topic_id;
            topic->partitions.at = out;
        }
        topic->partitions.count++;
        if (!from_replica(fetch))
            add_endpoint(req, &response, out->current_leader.leader_id);
    }
    fetch_session_end(req->kc->door->fetch_cache, req, ctx, rows);
    response.session_id = ctx->session_id;
    kafka_answer(req, &response);
}

static void
try(struct fetch *fetch)
{
    unpark(fetch);
    fetch->req->abandoned = NULL;
    for (;;) {
        bool now = read_all(fetch);
        if (now || fetch->expired || fetch->abandoned ||
            fetch->until_ns <= loop_now_ns(fetch->req->sess->loop)) {
            if (throttled(fetch))
                answer_empty(fetch);
            else
                answer(fetch);
            return;
        }
        put_ranges(fetch);
        if (park(fetch))
            return;
        unpark(fetch);
    }
}

static void
answer_fault(struct kafka_request *req, ox_code code)
{
    struct fetch_response response;
    fetch_response_init(&response);
    response.error_code = ox_code_kafka(code);
    kafka_answer(req, &response);
}

void
kafka_fetch(struct kafka_request *req)
{
    const struct fetch_request *request = req->body;
    struct fetch *fetch = kafka_array(req, struct fetch, 1);
    req->state = fetch;
    fetch->req = req;
    fetch->isolation = request->isolation_level == 1 ? READ_COMMITTED : READ_UNCOMMITTED;
    int32_t limit = engine_settings(kafka_engine(req))->fetch_max_bytes;
    fetch->bytes_max = engine_quota_fetch_max(req->sess,
        (size_t)OX_MAX(OX_MIN(request->max_bytes, limit), 0));
    ox_code code = fetch_session_begin(req->kc->door->fetch_cache, req, &fetch->ctx);
    if (code != OX_OK) {
        answer_fault(req, code);
        return;
    }
    fetch->reads = kafka_array(req, struct engine_read, fetch->ctx.part_count);
    fetch->until_ns = loop_now_ns(req->sess->loop) +
                      (uint64_t)OX_MAX(request->max_wait_ms, 0) * 1000000;
    try(fetch);
}
