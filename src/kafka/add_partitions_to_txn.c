/* SPDX-License-Identifier: Apache-2.0
 *
 * AddPartitionsToTxn: partitions become part of a producer's transaction before
 * it writes to them. Up to version 3 a client asks for its own transaction; from
 * 4 on brokers ask, for many at once, or only want to know (verify_only). All
 * partitions of a transaction are added or none: if one does not exist, the
 * others are not attempted. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct add_partitions_to_txn_request_transactions txn_in;
typedef struct add_partitions_to_txn_request_transactions_topics topic_in;
typedef struct add_partitions_to_txn_response_results_by_transaction txn_out;
typedef struct add_partitions_to_txn_response_results_by_transaction_topic_results topic_out;
typedef struct add_partitions_to_txn_response_results_by_transaction_topic_results_results_by_partition
    part_out;

struct add_partitions {
    struct kafka_wait wait;
    txn_in *txns;
    int32_t count;
    struct add_txn {
        struct coord_txn_add_call call; /* first: done() gets its head */
        struct add_partitions *all;
    } *calls;
};

static void finish(struct kafka_request *req);

/* Which partitions, and what is wrong with them; OX_OK if nothing is. */
static ox_code
fill_parts(struct kafka_request *req, const txn_in *in, struct coord_txn_add_call *call)
{
    ox_code worst = OX_OK;
    size_t count = 0;
    for (int32_t t = 0; t < in->topics.count; t++)
        count += (size_t)in->topics.at[t].partitions.count;
    call->parts = kafka_array(req, struct coord_txn_part, count);
    for (int32_t t = 0; t < in->topics.count; t++) {
        const topic_in *topic = &in->topics.at[t];
        const struct meta_topic *known = meta_view_topic(kafka_view(req), topic->name);
        bool may = req->version >= 4 || kafka_may(req, ENGINE_TOPIC, topic->name, ENGINE_WRITE);
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            int32_t index = topic->partitions.at[p];
            bool exists = known != NULL && meta_topic_partition(known, index) != NULL;
            ox_code code = !may      ? OX_TOPIC_AUTHORIZATION_FAILED
                           : !exists ? OX_UNKNOWN_TOPIC_OR_PARTITION
                                     : OX_OK;
            call->parts[call->part_count++] = (struct coord_txn_part){topic->name, index, code};
            worst = code != OX_OK ? code : worst;
        }
    }
    return worst;
}

static void
refuse_others(struct coord_txn_add_call *call, ox_code code)
{
    for (size_t i = 0; i < call->part_count; i++)
        if (call->parts[i].code == OX_OK)
            call->parts[i].code = code;
}

/* What failed for all is said for each. */
static void
added(struct coord_call *call)
{
    struct add_txn *job = (struct add_txn *)(void *)call;
    if (call->code != OX_OK)
        refuse_others(&job->call, call->code);
    kafka_wait_done(&job->all->wait);
}

static void
start(struct kafka_request *req, const txn_in *in, struct add_txn *job)
{
    struct coord_txn_add_call *call = &job->call;
    ox_code code = fill_parts(req, in, call);
    bool may = req->version >= 4 ||
               kafka_may(req, ENGINE_TRANSACTIONAL_ID, in->transactional_id, ENGINE_WRITE);
    if (!may) {
        for (size_t i = 0; i < call->part_count; i++)
            call->parts[i].code = OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        return;
    }
    if (code != OX_OK) {
        refuse_others(call, OX_OPERATION_NOT_ATTEMPTED);
        return;
    }
    call->call.arena = kafka_arena(req);
    call->call.done = added;
    call->transactional_id = in->transactional_id;
    call->producer_id = in->producer_id;
    call->producer_epoch = in->producer_epoch;
    call->verify_only = in->verify_only;
    call->txn_version = req->version >= 4 ? 2 : 0;
    job->all->wait.pending++;
    coord_txn_add(engine_txns(kafka_engine(req)), call);
}

/* The one transaction of an old request, as a new one says it. */
static void
take_old(struct kafka_request *req, struct add_partitions *all)
{
    const struct add_partitions_to_txn_request *request = req->body;
    all->txns = kafka_array(req, txn_in, 1);
    all->count = 1;
    txn_in *txn = all->txns;
    txn->transactional_id = request->v3_and_below_transactional_id;
    txn->producer_id = request->v3_and_below_producer_id;
    txn->producer_epoch = request->v3_and_below_producer_epoch;
    txn->topics.count = request->v3_and_below_topics.count;
    txn->topics.at = kafka_array(req, topic_in, txn->topics.count);
    for (int32_t t = 0; t < txn->topics.count; t++)
        txn->topics.at[t] = (topic_in){request->v3_and_below_topics.at[t].name,
            {request->v3_and_below_topics.at[t].partitions.at,
                request->v3_and_below_topics.at[t].partitions.count}};
}

void
kafka_add_partitions_to_txn(struct kafka_request *req)
{
    const struct add_partitions_to_txn_request *request = req->body;
    struct add_partitions *all = kafka_array(req, struct add_partitions, 1);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    if (req->version >= 4) {
        if (!kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_CLUSTER_ACTION)) {
            struct add_partitions_to_txn_response response;
            add_partitions_to_txn_response_init(&response);
            response.error_code = ox_code_kafka(OX_CLUSTER_AUTHORIZATION_FAILED);
            kafka_answer(req, &response);
            return;
        }
        all->txns = request->transactions.at;
        all->count = request->transactions.count;
    } else {
        take_old(req, all);
    }
    all->calls = kafka_array(req, struct add_txn, all->count);
    for (int32_t i = 0; i < all->count; i++) {
        all->calls[i].all = all;
        start(req, &all->txns[i], &all->calls[i]);
    }
    kafka_wait_done(&all->wait);
}

/* ---- the answer ---- */

static int16_t
shown(const struct kafka_request *req, ox_code code)
{
    if (code == OX_PRODUCER_FENCED && req->version < 2)
        code = OX_INVALID_PRODUCER_EPOCH;
    return ox_code_kafka(code);
}

static void
fill_txn(struct kafka_request *req, const txn_in *in, const struct coord_txn_add_call *call,
    txn_out *out)
{
    const struct coord_txn_part *part = call->parts;
    out->transactional_id = in->transactional_id;
    out->topic_results.at = kafka_array(req, topic_out, in->topics.count);
    for (int32_t t = 0; t < in->topics.count; t++) {
        if (in->topics.at[t].partitions.count == 0 && req->version >= 4) /* as Kafka */
            continue;
        topic_out *topic = &out->topic_results.at[out->topic_results.count++];
        topic->name = in->topics.at[t].name;
        topic->results_by_partition.count = in->topics.at[t].partitions.count;
        topic->results_by_partition.at =
            kafka_array(req, part_out, in->topics.at[t].partitions.count);
        for (int32_t p = 0; p < topic->results_by_partition.count; p++, part++)
            topic->results_by_partition.at[p] =
                (part_out){part->partition, shown(req, part->code)};
    }
}

static void
fill_old(struct kafka_request *req, const txn_out *from,
    struct add_partitions_to_txn_response *response)
{
    typedef struct add_partitions_to_txn_response_results_by_topic_v3_and_below old_topic;
    typedef struct add_partitions_to_txn_response_results_by_topic_v3_and_below_results_by_partition
        old_part;
    int32_t count = from->topic_results.count;
    response->results_by_topic_v3_and_below.count = count;
    response->results_by_topic_v3_and_below.at = kafka_array(req, old_topic, count);
    for (int32_t t = 0; t < count; t++) {
        const topic_out *topic = &from->topic_results.at[t];
        old_topic *out = &response->results_by_topic_v3_and_below.at[t];
        out->name = topic->name;
        out->results_by_partition.count = topic->results_by_partition.count;
        out->results_by_partition.at = kafka_array(req, old_part, out->results_by_partition.count);
        for (int32_t p = 0; p < out->results_by_partition.count; p++)
            out->results_by_partition.at[p] =
                (old_part){topic->results_by_partition.at[p].partition_index,
                    topic->results_by_partition.at[p].partition_error_code};
    }
}

static void
finish(struct kafka_request *req)
{
    struct add_partitions *all = req->state;
    struct add_partitions_to_txn_response response;
    add_partitions_to_txn_response_init(&response);
    txn_out *rows = kafka_array(req, txn_out, all->count);
    for (int32_t i = 0; i < all->count; i++)
        fill_txn(req, &all->txns[i], &all->calls[i].call, &rows[i]);
    if (req->version >= 4) {
        response.results_by_transaction.at = rows;
        response.results_by_transaction.count = all->count;
    } else {
        fill_old(req, rows, &response);
    }
    kafka_answer(req, &response);
}
