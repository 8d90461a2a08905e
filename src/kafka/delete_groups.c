/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteGroups: groups without members, with their offsets. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct delete_groups_response_results group_out;

struct delete_groups {
    struct kafka_wait wait;
    struct delete_group {
        struct coord_delete_call call; /* first: done() gets its head */
        struct delete_groups *all;
        bool again; /* named before: no row */
    } *groups;
};

static void
group_done(struct coord_call *call)
{
    struct delete_group *job = (struct delete_group *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

static void
finish(struct kafka_request *req)
{
    const struct delete_groups_request *request = req->body;
    const struct delete_groups *all = req->state;
    struct delete_groups_response response;
    delete_groups_response_init(&response);
    response.results.at = kafka_array(req, group_out, request->groups_names.count);
    for (int32_t i = 0; i < request->groups_names.count; i++)
        if (!all->groups[i].again)
            response.results.at[response.results.count++] = (group_out){
                .group_id = request->groups_names.at[i],
                .error_code = ox_code_kafka(all->groups[i].call.call.code)};
    kafka_answer(req, &response);
}

void
kafka_delete_groups(struct kafka_request *req)
{
    const struct delete_groups_request *request = req->body;
    struct delete_groups *all = kafka_array(req, struct delete_groups, 1);
    all->groups = kafka_array(req, struct delete_group, request->groups_names.count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    const uint8_t *doubles =
        kafka_doubles(req, request->groups_names.at, request->groups_names.count);
    for (int32_t i = 0; i < request->groups_names.count; i++) {
        struct delete_group *job = &all->groups[i];
        job->all = all;
        job->again = doubles[i] == KAFKA_AGAIN;
        if (job->again)
            continue;
        job->call.group_id = request->groups_names.at[i];
        if (!kafka_may(req, ENGINE_GROUP, job->call.group_id, ENGINE_DELETE)) {
            job->call.call.code = OX_GROUP_AUTHORIZATION_FAILED;
            continue;
        }
        job->call.call.arena = kafka_arena(req);
        job->call.call.done = group_done;
        all->wait.pending++;
        coord_delete(engine_coord(kafka_engine(req)), &job->call);
    }
    kafka_wait_done(&all->wait);
}
