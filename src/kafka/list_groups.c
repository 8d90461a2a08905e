/* SPDX-License-Identifier: Apache-2.0
 *
 * ListGroups: the groups that this node coordinates. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

struct list_groups {
    struct coord_list_call call; /* first: done() gets its head */
    struct kafka_request *req;
};

static void
listed(struct coord_call *head)
{
    typedef struct list_groups_response_groups group_row;
    struct list_groups *job = (struct list_groups *)(void *)head;
    struct kafka_request *req = job->req;
    const struct coord_list_call *call = &job->call;
    struct list_groups_response response;
    list_groups_response_init(&response);
    response.error_code = ox_code_kafka(call->call.code);
    bool all = kafka_may(req, ENGINE_CLUSTER, KAFKA_CLUSTER_NAME, ENGINE_DESCRIBE);
    response.groups.at = kafka_array(req, group_row, call->group_count);
    for (size_t i = 0; call->call.code == OX_OK && i < call->group_count; i++) {
        const struct coord_listed_group *group = &call->groups[i];
        if (all || kafka_may(req, ENGINE_GROUP, group->group_id, ENGINE_DESCRIBE))
            response.groups.at[response.groups.count++] = (group_row){group->group_id,
                group->protocol_type, ox_str(group->state), ox_str(group->type)};
    }
    kafka_answer(req, &response);
}

void
kafka_list_groups(struct kafka_request *req)
{
    const struct list_groups_request *request = req->body;
    struct list_groups *job = kafka_array(req, struct list_groups, 1);
    job->req = req;
    job->call.call.arena = &req->arena;
    job->call.call.done = listed;
    job->call.states = request->states_filter.at;
    job->call.state_count = (size_t)request->states_filter.count;
    job->call.types = request->types_filter.at;
    job->call.type_count = (size_t)request->types_filter.count;
    coord_list(engine_coord(kafka_engine(req)), &job->call);
}
