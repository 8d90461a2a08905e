/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetFetch: one group below version 8, any number from then on; inside, always
 * a list of groups. Topics null: all that the group has. */
#include "coord/coord.h"
#include "kafka/kafka_int.h"

typedef struct offset_fetch_request_groups group_in;
typedef struct offset_fetch_request_groups_topics topic_in;
typedef struct offset_fetch_response_groups group_out;
typedef struct offset_fetch_response_groups_topics topic_out;
typedef struct offset_fetch_response_groups_topics_partitions part_out;

struct offset_fetch {
    struct kafka_wait wait;
    int32_t count;
    struct fetch_group {
        struct coord_offset_fetch_call call; /* first: done() gets its head */
        struct offset_fetch *all;
        const group_in *in;
        bool everything; /* topics were null */
        int32_t same; /* everything of a group was asked for there before; -1: not */
    } *groups;
};

static void finish(struct kafka_request *req);

static void
fetched(struct coord_call *call)
{
    struct fetch_group *job = (struct fetch_group *)(void *)call;
    kafka_wait_done(&job->all->wait);
}

/* The one group of an old request in the new shape. */
static const group_in *
old_group(struct kafka_request *req)
{
    const struct offset_fetch_request *request = req->body;
    group_in *group = kafka_array(req, group_in, 1);
    group->group_id = request->group_id;
    group->member_id = OX_STR_NULL;
    group->member_epoch = -1;
    group->topics.count = request->topics.count;
    group->topics.at = kafka_array(req, topic_in, OX_MAX(request->topics.count, 0));
    for (int32_t i = 0; i < request->topics.count; i++) {
        group->topics.at[i].name = request->topics.at[i].name;
        group->topics.at[i].partition_indexes = request->topics.at[i].partition_indexes;
    }
    return group;
}

static ox_code
find_topic(struct kafka_request *req, const topic_in *in, struct str *name)
{
    *name = in->name;
    if (req->version >= 10) {
        const struct meta_topic *topic = meta_view_topic_by_id(kafka_view(req), &in->topic_id);
        *name = topic != NULL ? ox_str_dup(&req->arena, topic->name) : OX_STR("");
        if (topic == NULL)
            return OX_UNKNOWN_TOPIC_ID;
    }
    return kafka_may(req, ENGINE_TOPIC, *name, ENGINE_DESCRIBE) ? OX_OK
                                                               : OX_TOPIC_AUTHORIZATION_FAILED;
}

static void
fill_topics(struct kafka_request *req, struct fetch_group *job)
{
    struct coord_offset_fetch_call *call = &job->call;
    if (job->everything)
        return;
    call->topic_count = (size_t)job->in->topics.count;
    /* NULL would mean all. */
    call->topics =
        kafka_array(req, struct coord_offset_topic, OX_MAX(call->topic_count, (size_t)1));
    for (int32_t t = 0; t < job->in->topics.count; t++) {
        const topic_in *in = &job->in->topics.at[t];
        struct coord_offset_topic *out = &call->topics[t];
        ox_code code = find_topic(req, in, &out->name);
        out->partition_count = (size_t)in->partition_indexes.count;
        out->partitions = kafka_array(req, struct coord_offset, out->partition_count);
        for (int32_t p = 0; p < in->partition_indexes.count; p++)
            out->partitions[p] = (struct coord_offset){
                .partition = in->partition_indexes.at[p],
                .leader_epoch = -1,
                .offset = -1,
                .metadata = OX_STR(""),
                .commit_ms = -1,
                .code = code,
            };
    }
}

static void
start(struct kafka_request *req, struct fetch_group *job)
{
    const struct offset_fetch_request *request = req->body;
    struct coord_offset_fetch_call *call = &job->call;
    fill_topics(req, job);
    if (!kafka_may(req, ENGINE_GROUP, job->in->group_id, ENGINE_DESCRIBE)) {
        call->call.code = OX_GROUP_AUTHORIZATION_FAILED;
        return;
    }
    call->call.arena = kafka_arena(req);
    call->call.done = fetched;
    call->group_id = job->in->group_id;
    call->member_id = job->in->member_id;
    call->member_epoch = job->in->member_epoch;
    call->require_stable = request->require_stable;
    job->all->wait.pending++;
    coord_offset_fetch(engine_coord(kafka_engine(req)), call);
}

/* All that a group has is looked up once for the same member, however often it is asked for. */
static void
find_same(struct kafka_request *req, struct offset_fetch *all)
{
    struct str *names = kafka_array(req, struct str, all->count);
    int32_t *last = kafka_array(req, int32_t, all->count); /* of the name that is first here */
    for (int32_t i = 0; i < all->count; i++)
        names[i] = all->groups[i].in->group_id;
    const int32_t *firsts = kafka_firsts(req, names, all->count);
    for (int32_t i = 0; i < all->count; i++)
        last[i] = -1;
    for (int32_t i = 0; i < all->count; i++) {
        struct fetch_group *job = &all->groups[i];
        int32_t *known = &last[firsts[i]];
        job->everything = job->in->topics.count < 0;
        job->same = -1;
        if (!job->everything)
            continue;
        const group_in *before = *known >= 0 ? all->groups[*known].in : NULL;
        if (before != NULL && before->member_epoch == job->in->member_epoch &&
            ox_str_eq(before->member_id, job->in->member_id))
            job->same = *known;
        else
            *known = i;
    }
}

void
kafka_offset_fetch(struct kafka_request *req)
{
    const struct offset_fetch_request *request = req->body;
    struct offset_fetch *all = kafka_array(req, struct offset_fetch, 1);
    all->count = req->version >= 8 ? request->groups.count : 1;
    all->groups = kafka_array(req, struct fetch_group, all->count);
    req->state = all;
    kafka_wait_init(&all->wait, req, finish);
    for (int32_t i = 0; i < all->count; i++) {
        all->groups[i].all = all;
        all->groups[i].in = req->version >= 8 ? &request->groups.at[i] : old_group(req);
    }
    find_same(req, all);
    for (int32_t i = 0; i < all->count; i++)
        if (all->groups[i].same < 0)
            start(req, &all->groups[i]);
    kafka_wait_done(&all->wait);
}

/* ---- the answer ---- */

static void
fill_parts(struct kafka_request *req, const struct coord_offset_topic *topic, topic_out *out)
{
    out->partitions.count = (int32_t)topic->partition_count;
    out->partitions.at = kafka_array(req, part_out, topic->partition_count);
    for (size_t p = 0; p < topic->partition_count; p++) {
        const struct coord_offset *offset = &topic->partitions[p];
        bool good = offset->code == OX_OK;
        out->partitions.at[p] = (part_out){offset->partition, good ? offset->offset : -1,
            good ? offset->leader_epoch : -1, good ? offset->metadata : OX_STR(""),
            ox_code_kafka(offset->code)};
    }
}

/* When everything was asked for, topics that may not be seen are left out, and
 * with ids those that are no more. */
static bool
fill_topic(struct kafka_request *req, const struct fetch_group *job, size_t index,
    topic_out *out)
{
    const struct coord_offset_topic *topic = &job->call.topics[index];
    out->name = topic->name;
    if (!job->everything) {
        out->topic_id = job->in->topics.at[index].topic_id;
    } else {
        const struct meta_topic *known = meta_view_topic(kafka_view(req), topic->name);
        if (!kafka_may(req, ENGINE_TOPIC, topic->name, ENGINE_DESCRIBE) ||
            (req->version >= 10 && known == NULL))
            return false;
        if (known != NULL)
            out->topic_id = known->id;
    }
    fill_parts(req, topic, out);
    return true;
}

static void
fill_group(struct kafka_request *req, const struct fetch_group *job, group_out *out)
{
    const struct coord_offset_fetch_call *call = &job->call;
    out->group_id = job->in->group_id;
    out->error_code = ox_code_kafka(call->call.code);
    if (call->call.code != OX_OK)
        return;
    out->topics.at = kafka_array(req, topic_out, call->topic_count);
    for (size_t t = 0; t < call->topic_count; t++)
        out->topics.count += fill_topic(req, job, t, &out->topics.at[out->topics.count]);
}

/* Below version 2 there is no error but that of a partition. */
static void
repeat_error(struct kafka_request *req, const struct fetch_group *job, group_out *out)
{
    out->topics.count = job->in->topics.count;
    out->topics.at = kafka_array(req, topic_out, OX_MAX(out->topics.count, 0));
    for (int32_t t = 0; t < out->topics.count; t++) {
        const topic_in *in = &job->in->topics.at[t];
        topic_out *topic = &out->topics.at[t];
        topic->name = in->name;
        topic->partitions.count = in->partition_indexes.count;
        topic->partitions.at = kafka_array(req, part_out, in->partition_indexes.count);
        for (int32_t p = 0; p < in->partition_indexes.count; p++)
            topic->partitions.at[p] = (part_out){in->partition_indexes.at[p], -1, -1, OX_STR(""),
                out->error_code};
    }
}

static void
answer_old(struct kafka_request *req, const group_out *group)
{
    typedef struct offset_fetch_response_topics old_topic;
    typedef struct offset_fetch_response_topics_partitions old_part;
    struct offset_fetch_response response;
    offset_fetch_response_init(&response);
    response.error_code = group->error_code;
    response.topics.count = group->topics.count;
    response.topics.at = kafka_array(req, old_topic, group->topics.count);
    for (int32_t t = 0; t < group->topics.count; t++) {
        const topic_out *in = &group->topics.at[t];
        old_topic *out = &response.topics.at[t];
        out->name = in->name;
        out->partitions.count = in->partitions.count;
        out->partitions.at = kafka_array(req, old_part, in->partitions.count);
        for (int32_t p = 0; p < in->partitions.count; p++) {
            const part_out *part = &in->partitions.at[p];
            out->partitions.at[p] = (old_part){part->partition_index, part->committed_offset,
                part->committed_leader_epoch, part->metadata, part->error_code};
        }
    }
    kafka_answer(req, &response);
}

static void
finish(struct kafka_request *req)
{
    const struct offset_fetch *all = req->state;
    group_out *groups = kafka_array(req, group_out, all->count);
    for (int32_t i = 0; i < all->count; i++)
        if (all->groups[i].same < 0)
            fill_group(req, &all->groups[i], &groups[i]);
        else
            groups[i] = groups[all->groups[i].same];
    if (req->version < 8) {
        if (req->version < 2 && groups->error_code != 0)
            repeat_error(req, all->groups, groups);
        answer_old(req, groups);
        return;
    }
    struct offset_fetch_response response;
    offset_fetch_response_init(&response);
    response.groups.at = groups;
    response.groups.count = all->count;
    kafka_answer(req, &response);
}
