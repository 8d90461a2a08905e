/* SPDX-License-Identifier: Apache-2.0
 *
 * Produce: one append per partition, all started before any is waited for. The
 * record bytes stay where the connection read them; the log checks and stamps
 * them in place. With acks=0 nothing is ever answered: a failure closes the
 * connection, so that the client notices.
 *
 * Batches of a transaction are enlisted first. While the coordinator is asked,
 * the requests behind are held back, so that none overtakes this one. */
#include "base/fault.h"
#include "kafka/kafka_int.h"

typedef struct produce_request_topic_data topic_in;
typedef struct produce_request_topic_data_partition_data part_in;
typedef struct produce_response_responses topic_out;
typedef struct produce_response_responses_partition_responses part_out;

struct produce {
    struct kafka_wait wait;
    struct engine_enlist enlist;
    struct produce_part **enlisted; /* whose part of enlist.parts is where */
    struct produce_part {
        struct engine_append append; /* first: done() gets this */
        struct produce *produce;
        bool refused;
    } *parts; /* of all topics, in order */
    size_t part_count;
};

static void finish(struct kafka_request *req);

static struct slice
records_of(struct kafka_request *req, const struct str *bytes)
{
    if (bytes->ptr == NULL || bytes->len == 0)
        return (struct slice){NULL, 0, 0};
    return (struct slice){req->frame.buf,
        (size_t)((const uint8_t *)bytes->ptr - req->frame.buf->ptr), bytes->len};
}

/* What a batch's header says about its producer. */
struct stamp {
    bool transactional;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t first_sequence;
};

static struct stamp
stamp_of(const struct str *bytes)
{
    enum { HEADER = 61, ATTRIBUTES_AT = 21, PRODUCER_AT = 43, EPOCH_AT = 51, SEQUENCE_AT = 53,
        TRANSACTIONAL = 16 };
    if (bytes->ptr == NULL || bytes->len < HEADER)
        return (struct stamp){.producer_id = -1};
    return (struct stamp){
        .transactional = (wire_load16(bytes->ptr + ATTRIBUTES_AT) & TRANSACTIONAL) != 0,
        .producer_id = (int64_t)wire_load64(bytes->ptr + PRODUCER_AT),
        .producer_epoch = (int16_t)wire_load16(bytes->ptr + EPOCH_AT),
        .first_sequence = (int32_t)wire_load32(bytes->ptr + SEQUENCE_AT),
    };
}

static void
append_done(struct engine_append *append)
{
    struct produce_part *part = (struct produce_part *)(void *)append;
    kafka_wait_done(&part->produce->wait);
}

static void
fill_part_in(struct kafka_request *req, const topic_in *topic, const part_in *in,
    struct produce_part *part)
{
    const struct produce_request *request = req->body;
    struct engine_append *append = &part->append;
    append->sess = req->sess;
    append->topic = req->version >= 13 ? OX_STR_NULL : topic->name;
    append->topic_id = topic->topic_id;
    append->partition = in->index;
    append->records = records_of(req, &in->records.bytes);
    append->acks = request->acks;
    append->timeout_ms = request->timeout_ms;
    append->produce_version = req->version;
    append->arena = &req->arena;
    append->done = append_done;
}

static void
refuse_part(struct engine_append *append, ox_code code)
{
    append->code = code;
    append->err.message[0] = '\0';
    append->base_offset = append->append_time_ms = append->log_start = -1;
    append->leader_id = append->leader_epoch = -1;
}

static void
start_parts(struct produce *produce)
{
    for (size_t i = 0; i < produce->part_count; i++) {
        struct produce_part *part = &produce->parts[i];
        if (part->refused)
            continue;
        produce->wait.pending++;
        if (engine_append(&part->append))
            kafka_wait_done(&produce->wait);
    }
    kafka_wait_done(&produce->wait);
}

static void
refuse_all(struct produce *produce, ox_code code)
{
    for (size_t i = 0; i < produce->part_count; i++) {
        refuse_part(&produce->parts[i].append, code);
        produce->parts[i].refused = true;
    }
}

/* ---- transactions ---- */

static void
take_guards(struct produce *produce)
{
    for (size_t i = 0; i < produce->enlist.part_count; i++) {
        struct produce_part *part = produce->enlisted[i];
        const struct engine_enlist_part *from = &produce->enlist.parts[i];
        part->append.txn_guard = from->guard;
        part->refused = from->code != OX_OK && ox_fault("txn.wrong_enlisting") == OX_OK;
        if (part->refused)
            refuse_part(&part->append, from->code);
    }
}

static void
enlist_done(struct engine_enlist *enlist)
{
    struct produce *produce = ox_container_of(enlist, struct produce, enlist);
    struct kafka_conn *kc = produce->wait.req->kc;
    kafka_conn_hold(kc);
    take_guards(produce);
    start_parts(produce);
    kafka_let_go(kc);
    kafka_conn_put(kc);
}

/* One producer writes one transaction: OX_INVALID_PRODUCER_ID_MAPPING. */
static ox_code
gather(struct kafka_request *req, struct produce *produce)
{
    const struct produce_request *request = req->body;
    struct engine_enlist *enlist = &produce->enlist;
    enlist->parts = kafka_array(req, struct engine_enlist_part, produce->part_count);
    produce->enlisted = kafka_array(req, struct produce_part *, produce->part_count);
    struct produce_part *part = produce->parts;
    for (int32_t t = 0; t < request->topic_data.count; t++) {
        const topic_in *topic = &request->topic_data.at[t];
        for (int32_t p = 0; p < topic->partition_data.count; p++, part++) {
            struct stamp stamp = stamp_of(&topic->partition_data.at[p].records.bytes);
            if (!stamp.transactional || stamp.producer_id < 0)
                continue;
            if (enlist->part_count > 0 && (enlist->producer_id != stamp.producer_id ||
                                              enlist->producer_epoch != stamp.producer_epoch))
                return OX_INVALID_PRODUCER_ID_MAPPING;
            enlist->producer_id = stamp.producer_id;
            enlist->producer_epoch = stamp.producer_epoch;
            produce->enlisted[enlist->part_count] = part;
            enlist->parts[enlist->part_count++] = (struct engine_enlist_part){
                .topic = part->append.topic,
                .topic_id = part->append.topic_id,
                .partition = part->append.partition,
                .first_sequence = stamp.first_sequence,
            };
        }
    }
    return OX_OK;
}

static void
enlist_parts(struct kafka_request *req, struct produce *produce)
{
    const struct produce_request *request = req->body;
    struct engine_enlist *enlist = &produce->enlist;
    ox_code code = gather(req, produce);
    if (code != OX_OK) {
        refuse_all(produce, code);
        start_parts(produce);
        return;
    }
    enlist->sess = req->sess;
    enlist->what = ENLIST_PRODUCE;
    enlist->version = req->version;
    enlist->transactional_id = request->transactional_id;
    enlist->arena = kafka_arena(req);
    enlist->done = enlist_done;
    if (enlist->part_count == 0 || engine_enlist(enlist)) {
        take_guards(produce);
        start_parts(produce);
        return;
    }
    kafka_hold_back(req->kc);
}

/* Records that are not there at all: a broker does not understand the request. */
static bool
misses_records(const struct produce_request *request)
{
    for (int32_t t = 0; t < request->topic_data.count; t++)
        for (int32_t p = 0; p < request->topic_data.at[t].partition_data.count; p++)
            if (request->topic_data.at[t].partition_data.at[p].records.bytes.ptr == NULL)
                return true;
    return false;
}

void
kafka_produce(struct kafka_request *req)
{
    const struct produce_request *request = req->body;
    if (misses_records(request)) {
        kafka_answer_close(req);
        return;
    }
    struct produce *produce = kafka_array(req, struct produce, 1);
    bool transactional = false;
    for (int32_t t = 0; t < request->topic_data.count; t++)
        produce->part_count += (size_t)request->topic_data.at[t].partition_data.count;
    produce->parts = kafka_array(req, struct produce_part, produce->part_count);
    req->state = produce;
    kafka_wait_init(&produce->wait, req, finish);
    struct produce_part *part = produce->parts;
    for (int32_t t = 0; t < request->topic_data.count; t++) {
        const topic_in *topic = &request->topic_data.at[t];
        for (int32_t p = 0; p < topic->partition_data.count; p++, part++) {
            part->produce = produce;
            fill_part_in(req, topic, &topic->partition_data.at[p], part);
            transactional |= stamp_of(&topic->partition_data.at[p].records.bytes).transactional;
        }
    }
    if (transactional && (request->transactional_id.ptr == NULL ||
                             !kafka_may(req, ENGINE_TRANSACTIONAL_ID,
                                 request->transactional_id, ENGINE_WRITE))) {
        refuse_all(produce, OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        start_parts(produce);
    } else if (transactional) {
        enlist_parts(req, produce);
    } else {
        start_parts(produce);
    }
}

/* ---- the answer ---- */

static void
add_record_errors(struct kafka_request *req, const struct engine_append *append, part_out *out)
{
    typedef struct produce_response_responses_partition_responses_record_errors error_row;
    out->record_errors.count = (int32_t)append->record_error_count;
    out->record_errors.at = kafka_array(req, error_row, append->record_error_count);
    for (uint32_t i = 0; i < append->record_error_count; i++)
        out->record_errors.at[i] = (error_row){append->record_errors[i].index,
            ox_str(append->record_errors[i].message)};
}

static bool
records_refused(ox_code code)
{
    return code == OX_INVALID_RECORD || code == OX_INVALID_TIMESTAMP ||
           code == OX_OUT_OF_ORDER_SEQUENCE || code == OX_INVALID_PRODUCER_EPOCH ||
           code == OX_INVALID_TXN_STATE;
}

static void
fill_part(struct kafka_request *req, const part_in *in, const struct engine_append *append,
    part_out *out)
{
    produce_response_responses_partition_responses_init(out);
    out->index = in->index;
    out->error_code = ox_code_kafka(append->code);
    out->base_offset = append->base_offset;
    out->log_append_time_ms = append->append_time_ms;
    out->log_start_offset = append->log_start;
    if (ox_likely(append->code == OX_OK))
        return;
    out->base_offset = -1;
    out->log_append_time_ms = -1;
    if (!records_refused(append->code))
        out->log_start_offset = -1;
    out->error_message = kafka_error_text(req, append->code, &append->err);
    if (append->record_error_count > 0)
        add_record_errors(req, append, out);
    if (append->code == OX_NOT_LEADER) {
        out->current_leader.leader_id = append->leader_id;
        out->current_leader.leader_epoch = append->leader_epoch;
    }
}

/* Each leader that was named, once. */
static void
add_endpoint(struct kafka_request *req, struct produce_response *response, int32_t node_id)
{
    typedef struct produce_response_node_endpoints endpoint_row;
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

static void
answer(struct kafka_request *req)
{
    const struct produce_request *request = req->body;
    const struct produce *produce = req->state;
    const struct produce_part *part = produce->parts;
    struct produce_response response;
    produce_response_init(&response);
    response.responses.at = kafka_array(req, topic_out, request->topic_data.count);
    for (int32_t t = 0; t < request->topic_data.count; t++) {
        const topic_in *in = &request->topic_data.at[t];
        if (in->partition_data.count <= 0)
            continue; /* nothing was asked, nothing is answered */
        topic_out *out = &response.responses.at[response.responses.count++];
        out->name = in->name;
        out->topic_id = in->topic_id;
        out->partition_responses.count = in->partition_data.count;
        out->partition_responses.at = kafka_array(req, part_out, in->partition_data.count);
        for (int32_t p = 0; p < in->partition_data.count; p++, part++) {
            fill_part(req, &in->partition_data.at[p], &part->append,
                &out->partition_responses.at[p]);
            if (part->append.code == OX_NOT_LEADER)
                add_endpoint(req, &response, part->append.leader_id);
        }
    }
    kafka_answer(req, &response);
}

static void
finish(struct kafka_request *req)
{
    const struct produce_request *request = req->body;
    const struct produce *produce = req->state;
    const struct produce_part *part = produce->parts;
    if (request->acks != 0) {
        answer(req);
        return;
    }
    for (int32_t t = 0; t < request->topic_data.count; t++)
        for (int32_t p = 0; p < request->topic_data.at[t].partition_data.count; p++, part++)
            if (part->append.code != OX_OK) {
                kafka_answer_close(req);
                return;
            }
    kafka_answer_nothing(req);
}
