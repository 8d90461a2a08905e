/* SPDX-License-Identifier: Apache-2.0
 *
 * Produce: one append per partition, all started before any is waited for. The
 * record bytes stay where the connection read them; the log checks and stamps
 * them in place. With acks=0 nothing is ever answered: a failure closes the
 * connection, so that the client notices. */
#include "kafka/kafka_int.h"

typedef struct produce_request_topic_data topic_in;
typedef struct produce_request_topic_data_partition_data part_in;
typedef struct produce_response_responses topic_out;
typedef struct produce_response_responses_partition_responses part_out;

struct produce {
    struct kafka_wait wait;
    struct produce_part {
        struct engine_append append; /* first: done() gets this */
        struct produce *produce;
    } *parts; /* of all topics, in order */
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

static bool
any_transactional(const struct produce_request *request)
{
    enum { ATTRIBUTES_AT = 22, TRANSACTIONAL = 16 };
    for (int32_t t = 0; t < request->topic_data.count; t++) {
        const topic_in *topic = &request->topic_data.at[t];
        for (int32_t p = 0; p < topic->partition_data.count; p++) {
            const struct str *bytes = &topic->partition_data.at[p].records.bytes;
            if (bytes->len > ATTRIBUTES_AT && (bytes->ptr[ATTRIBUTES_AT] & TRANSACTIONAL))
                return true;
        }
    }
    return false;
}

static void
append_done(struct engine_append *append)
{
    struct produce_part *part = (struct produce_part *)(void *)append;
    kafka_wait_done(&part->produce->wait);
}

static void
start_part(struct kafka_request *req, const topic_in *topic, const part_in *in,
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
    append->transactional_id = request->transactional_id;
    append->arena = &req->arena;
    append->done = append_done;
    part->produce->wait.pending++;
    if (engine_append(append))
        kafka_wait_done(&part->produce->wait);
}

static void
refuse_part(struct engine_append *append, ox_code code)
{
    append->code = code;
    append->err.message[0] = '\0';
    append->base_offset = append->append_time_ms = append->log_start = -1;
    append->leader_id = append->leader_epoch = -1;
}

void
kafka_produce(struct kafka_request *req)
{
    const struct produce_request *request = req->body;
    struct produce *produce = kafka_array(req, struct produce, 1);
    size_t count = 0;
    for (int32_t t = 0; t < request->topic_data.count; t++)
        count += (size_t)request->topic_data.at[t].partition_data.count;
    produce->parts = ox_arena_array(&req->arena, struct produce_part, count);
    req->state = produce;
    kafka_wait_init(&produce->wait, req, finish);
    bool refused = any_transactional(request) &&
                   (request->transactional_id.ptr == NULL ||
                       !kafka_may(req, ENGINE_TRANSACTIONAL_ID, request->transactional_id,
                           ENGINE_WRITE));
    struct produce_part *part = produce->parts;
    for (int32_t t = 0; t < request->topic_data.count; t++) {
        const topic_in *topic = &request->topic_data.at[t];
        for (int32_t p = 0; p < topic->partition_data.count; p++, part++) {
            part->produce = produce;
            if (refused)
                refuse_part(&part->append, OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
            else
                start_part(req, topic, &topic->partition_data.at[p], part);
        }
    }
    kafka_wait_done(&produce->wait);
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
    response.responses.count = request->topic_data.count;
    response.responses.at = kafka_array(req, topic_out, request->topic_data.count);
    for (int32_t t = 0; t < request->topic_data.count; t++) {
        const topic_in *in = &request->topic_data.at[t];
        topic_out *out = &response.responses.at[t];
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
