/* SPDX-License-Identifier: Apache-2.0
 *
 * InitProducerId: a fresh id for an idempotent producer, epoch 0. Transactional
 * ids need a transaction coordinator, which this release does not have. */
#include "kafka/kafka_int.h"

struct init_producer_id {
    struct engine_producer_id call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
answer(struct kafka_request *req, ox_code code, int64_t producer_id)
{
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    response.error_code = ox_code_kafka(code);
    response.producer_id = code == OX_OK ? producer_id : -1;
    response.producer_epoch = code == OX_OK ? 0 : -1;
    kafka_answer(req, &response);
}

static void
finished(struct init_producer_id *job)
{
    ox_code code = job->call.admin.code;
    engine_admin_fini(&job->call.admin);
    answer(job->req, code, job->call.producer_id);
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
    if (kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_IDEMPOTENT_WRITE))
        return true;
    const struct meta_view *view = kafka_view(req);
    for (uint32_t i = 0; i < view->topic_count; i++)
        if (kafka_may(req, ENGINE_TOPIC, meta_view_topic_at(view, i)->name, ENGINE_WRITE))
            return true;
    return false;
}

void
kafka_init_producer_id(struct kafka_request *req)
{
    const struct init_producer_id_request *request = req->body;
    if (request->transactional_id.ptr != NULL) {
        bool allowed = kafka_may(req, ENGINE_TRANSACTIONAL_ID, request->transactional_id,
            ENGINE_WRITE);
        answer(req, !allowed ? OX_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                    : request->transactional_id.len == 0 ? OX_INVALID_REQUEST
                                                         : OX_UNSUPPORTED_VERSION, -1);
        return;
    }
    if (!may_write(req)) {
        answer(req, OX_CLUSTER_AUTHORIZATION_FAILED, -1);
        return;
    }
    if ((request->producer_id == -1) != (request->producer_epoch == -1)) {
        answer(req, OX_INVALID_REQUEST, -1);
        return;
    }
    struct init_producer_id *job = kafka_array(req, struct init_producer_id, 1);
    job->req = req;
    job->call.admin.sess = req->sess;
    job->call.admin.done = id_done;
    if (engine_producer_id(&job->call))
        finished(job);
}
