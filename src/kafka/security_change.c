/* SPDX-License-Identifier: Apache-2.0
 *
 * What the APIs that change users, rules and quotas share: some changes for one
 * command, and a row that each of them belongs to. */
#include "kafka/kafka_int.h"

struct security_call {
    struct engine_security call; /* first: done() gets its head */
    struct kafka_request *req;
    kafka_changed_fn finish;
};

static void
finished(struct security_call *job)
{
    struct engine_admin *admin = &job->call.admin;
    job->finish(job->req, admin->code, &admin->err);
}

static void
change_done(struct engine_admin *admin)
{
    finished((struct security_call *)(void *)admin);
}

static void
call_end(void *arg)
{
    engine_admin_fini(arg);
}

void
kafka_change_security(struct kafka_request *req, const struct meta_security_change *changes,
    uint32_t count, bool validate_only, kafka_changed_fn finish)
{
    struct ox_err none = {0};
    if (count == 0) {
        finish(req, OX_OK, &none);
        return;
    }
    struct security_call *job = kafka_array(req, struct security_call, 1);
    job->req = req;
    job->finish = finish;
    job->call.admin.sess = req->sess;
    job->call.admin.done = change_done;
    job->call.changes = changes;
    job->call.change_count = count;
    job->call.validate_only = validate_only;
    bool over = engine_security(&job->call);
    ox_arena_on_free(&req->arena, call_end, &job->call.admin);
    if (over)
        finished(job);
}

ox_code
kafka_may_cluster(struct kafka_request *req, enum engine_op op, struct ox_err *err)
{
    if (kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, op))
        return OX_OK;
    return ox_fail_plain(err, OX_CLUSTER_AUTHORIZATION_FAILED);
}
