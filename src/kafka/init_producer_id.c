/* SPDX-License-Identifier: Apache-2.0
 *
 * InitProducerId: a fresh id for an idempotent producer, epoch 0; with a
 * transactional id, the id and the next epoch that its coordinator gives out,
 * which fences whoever had it before. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

struct init_producer_id {
    struct engine_producer_id call; /* first: done() gets its head */
    struct kafka_request *req;
};

struct init_transactional {
    struct coord_txn_init_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, ox_code code, int64_t producer_id, int16_t producer_epoch)
{
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    if (code == OX_PRODUCER_FENCED && req->version < 4)
        code = OX_INVALID_PRODUCER_EPOCH;
    response.error_code = ox_code_kafka(code);
    response.producer_id = code == OX_OK ? producer_id : -1;
    response.producer_epoch = code == OX_OK ? producer_epoch : -1;
    kafka_answer(req, &response);
}

static void
finished(struct init_producer_id *job)
{
    ox_code code = job->call.admin.code;
    engine_admin_fini(&job->call.admin);
    answer(job->req, code, job->call.producer_id, 0);
}

static void
id_done(struct engine_admin *admin)
{
    finished((struct init_producer_id *)(void *)admin);
}

/* Writing anywhere is right enough. */
static bool
may_write(struct kafka_request *req)
{
    return kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_IDEMPOTENT_WRITE) ||
           engine_allowed_any(req->sess, ENGINE_TOPIC, ENGINE_WRITE);
}

static void
init_done(struct coord_call *call)
{
    struct init_transactional *job = (struct init_transactional *)(void *)call;
    answer(job->req, call->code, job->call.producer_id, job->call.producer_epoch);
}

static void
init_transactional(struct kafka_request *req)
{
    const struct init_producer_id_request *request = req->body;
    struct init_transactional *job = kafka_array(req, struct init_transactional, 1);
    job->req = req;
    job->call.call.arena = &req->arena;
    job->call.call.done = init_done;
    job->call.transactional_id = request->transactional_id;
    job->call.timeout_ms = request->transaction_timeout_ms;
    job->call.producer_id = request->producer_id;
    job->call.producer_epoch = request->producer_epoch;
    coord_txn_init(engine_txns(kafka_engine(req)), &job->call);
}

void
kafka_init_producer_id(struct kafka_request *req)
{
    const struct init_producer_id_request *request = req->body;
    bool transactional = request->transactional_id.ptr != NULL;
    ox_code code = OX_OK;
    if (transactional && !kafka_may(req, ENGINE_TRANSACTIONAL_ID, request->transactional_id,
                             ENGINE_WRITE))
        code = OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    else if (!transactional && !may_write(req))
        code = OX_CLUSTER_AUTHORIZATION_FAILED;
    else if ((request->producer_id == -1) != (request->producer_epoch == -1))
        code = OX_INVALID_REQUEST;
    if (code != OX_OK) {
        answer(req, code, -1, -1);
        return;
    }
    if (transactional) {
        init_transactional(req);
        return;
    }
    struct init_producer_id *job = kafka_array(req, struct init_producer_id, 1);
    job->req = req;
    job->call.admin.sess = req->sess;
    job->call.admin.done = id_done;
    if (engine_producer_id(&job->call))
        finished(job);
}
