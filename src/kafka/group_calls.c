/* SPDX-License-Identifier: Apache-2.0
 *
 * What the handlers of group protocols have in common: ConsumerGroupDescribe,
 * ShareGroupDescribe and StreamsGroupDescribe ask alike, heartbeats and JoinGroup
 * introduce a client alike. Each handler then fills the rows of its own response. */
#include "kafka/group_calls.h"

#include <string.h>

/* ---- describing groups ---- */

struct modern_groups {
    struct kafka_wait wait;
    struct modern_group {
        struct coord_modern_call call; /* first: done() gets its head */
        struct modern_groups *all;
    } *groups;
    int32_t *firsts; /* where each group is named for the first time */
    int32_t count;
};

static void
described(struct coord_call *call)
{
    struct modern_group *job = (struct modern_group *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

void
kafka_describe_modern(struct kafka_request *req, const struct msg_strs *group_ids,
    enum coord_modern kind, int feature, void (*finish)(struct kafka_request *req))
{
    struct modern_groups *all = kafka_array(req, struct modern_groups, 1);
    all->count = group_ids->count;
    all->groups = kafka_array(req, struct modern_group, group_ids->count);
    all->firsts = kafka_firsts(req, group_ids->at, group_ids->count);
    req->state = all;
    bool off = kafka_feature(req, feature) == 0;
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; i < group_ids->count; i++) {
        struct modern_group *job = &all->groups[i];
        if (all->firsts[i] != i)
            continue;
        job->all = all;
        job->call.kind = kind;
        job->call.group_id = group_ids->at[i];
        bool may = kafka_may(req, ENGINE_GROUP, job->call.group_id, ENGINE_DESCRIBE);
        job->call.call.code = off                           ? OX_UNSUPPORTED_VERSION
                              : !may                        ? OX_GROUP_AUTHORIZATION_FAILED
                              : job->call.group_id.len == 0 ? OX_INVALID_GROUP_ID
                                                            : OX_OK;
        if (job->call.call.code != OX_OK)
            continue;
        job->call.call.arena = kafka_arena(req);
        job->call.call.done = described;
        all->wait.pending++;
        coord_modern_describe(engine_coord(kafka_engine(req)), &job->call);
    }
    kafka_wait_done(&all->wait);
}

void *
kafka_described_rows(struct kafka_request *req, size_t size,
    void (*fill)(struct kafka_request *req, const struct coord_modern_call *call, void *row),
    int32_t *count)
{
    const struct modern_groups *all = req->state;
    char *rows = ox_arena_alloc0(&req->arena, ox_size_mul((size_t)all->count, size));
    for (int32_t i = 0; i < all->count; i++) {
        int32_t first = all->firsts[i];
        char *row = rows + (size_t)i * size;
        if (first == i)
            fill(req, &all->groups[i].call, row);
        else
            memcpy(row, rows + (size_t)first * size, size);
    }
    *count = all->count;
    return rows;
}

struct str
kafka_group_text(struct kafka_request *req, ox_code code, struct str group_id)
{
    return code == OX_GROUP_ID_NOT_FOUND
               ? ox_str(ox_arena_printf(&req->arena, "Group %.*s not found.",
                     OX_STR_ARG(group_id)))
               : OX_STR_NULL;
}

kafka_named_partitions *
kafka_named_rows(struct kafka_request *req, const struct coord_topic_partitions *from,
    size_t count)
{
    kafka_named_partitions *rows = kafka_array(req, kafka_named_partitions, count);
    for (size_t i = 0; i < count; i++)
        rows[i] = (kafka_named_partitions){from[i].topic_id, from[i].topic,
            {from[i].partitions, (int32_t)from[i].partition_count}};
    return rows;
}

bool
kafka_may_see(struct kafka_request *req, const struct coord_topic_partitions *topics,
    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!kafka_may(req, ENGINE_TOPIC, topics[i].topic, ENGINE_DESCRIBE))
            return false;
    return true;
}

/* ---- members' calls ---- */

struct str
kafka_client_id(const struct kafka_request *req)
{
    return req->client_id.ptr != NULL ? req->client_id : OX_STR("");
}

struct str
kafka_client_host(struct kafka_request *req)
{
    return ox_str(ox_arena_printf(&req->arena, "/%s", req->sess->host));
}

const struct engine_session *
kafka_session_copy(struct kafka_request *req)
{
    if (!engine_authorizes(kafka_engine(req)))
        return NULL;
    struct engine_session *copy = kafka_array(req, struct engine_session, 1);
    *copy = *req->sess;
    return copy;
}

const struct str *
kafka_names_given(const struct msg_strs *names, size_t *count)
{
    static const struct str none;
    *count = (size_t)OX_MAX(names->count, 0);
    if (names->count < 0)
        return NULL;
    return names->count > 0 ? names->at : &none;
}

kafka_assignment *
kafka_assignment_row(struct kafka_request *req, const struct coord_topic_partitions *from,
    size_t count)
{
    typedef struct consumer_group_heartbeat_response_assignment_topic_partitions topic_out;
    kafka_assignment *out = kafka_array(req, kafka_assignment, 1);
    out->topic_partitions.at = kafka_array(req, topic_out, count);
    out->topic_partitions.count = (int32_t)count;
    for (size_t i = 0; i < count; i++)
        out->topic_partitions.at[i] = (topic_out){from[i].topic_id,
            {from[i].partitions, (int32_t)from[i].partition_count}};
    return out;
}

kafka_tasks *
kafka_task_rows(struct kafka_request *req, const struct coord_tasks *from, int32_t *count)
{
    kafka_tasks *out = kafka_array(req, kafka_tasks, from->count);
    for (size_t i = 0; i < from->count; i++)
        out[i] = (kafka_tasks){from->at[i].subtopology,
            {from->at[i].partitions, from->at[i].partition_count}};
    *count = (int32_t)from->count;
    return out;
}

struct str
kafka_heartbeat_text(struct kafka_request *req, ox_code code, struct str message)
{
    if (code == OX_UNSUPPORTED_VERSION) /* the protocol is switched off */
        return message;
    return message.ptr != NULL ? message : kafka_error_text(req, code, NULL);
}
