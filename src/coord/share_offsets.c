/* SPDX-License-Identifier: Apache-2.0
 *
 * What a share group and the share coordinator have to say to each other: states
 * of partitions are made when somebody subscribes, looked at, moved and deleted
 * by administrators, and go with the group.
 *
 * What is to be deleted is first moved from `initializing` and `initialized` to `deleting`
 * by a record: were the states deleted before, a crash in between would leave a group that
 * believes in states that there are not. Who subscribes again takes the topic out of
 * `deleting`; who deletes again asks for all partitions of what stands there (KIP-932).
 * What an administrator moves is first added to `initializing` for the same reason: a crash in
 * between would leave a state that nobody deletes, and whose epoch fences the group's next one.
 *
 * A job asks for a number of partitions at once. The group's shard may unload
 * while the answers are out: it counts them (shard->outside) and waits for them
 * when it stops, and an answer that finds it loaded anew changes nothing: the group that
 * is there is another (shard->unloads). */
#include <string.h>

#include "base/diag.h"
#include "coord/share_group.h"

struct share_job {
    struct shard *shard;
    uint32_t unloads; /* of the shard when it began */
    struct str group_id;
    struct share_ask {
        struct coord_state_call call; /* first */
        struct arena arena;           /* answers come from other loops */
        struct share_job *job;
    } *asks;
    uint32_t count, cap, pending;
    ox_code code; /* of the record before it */
    struct tpset noted; /* what that added to `initializing` */
    uint32_t deletions; /* of the group when it began */
    struct coord_share_offsets_call *offsets; /* NULL: nobody waits for it */
    /* The group is NULL if it is not coordinated here any more, or was loaded again. */
    void (*finish)(struct share_job *job, struct group *group);
};

/* ---- jobs ---- */

static struct share_job *
job_new(struct shard *shard, struct str group_id)
{
    struct share_job *job = ox_calloc(1, sizeof(*job));
    job->shard = shard;
    job->unloads = shard->unloads;
    job->group_id = heap_str(group_id);
    return job;
}

/* Room for what it asks; what was added does not move afterwards. */
static void
job_reserve(struct share_job *job, uint32_t cap)
{
    job->cap = cap;
    job->asks = ox_calloc(OX_MAX(cap, 1u), sizeof(*job->asks));
}

static void
job_free(struct share_job *job)
{
    for (uint32_t i = 0; i < job->count; i++)
        ox_arena_fini(&job->asks[i].arena);
    ox_free(job->asks);
    tpset_fini(&job->noted);
    heap_str_free(&job->group_id);
    ox_free(job);
}

static struct coord_state_call *
job_add(struct share_job *job, enum coord_state_op op, const struct uuid *topic,
    int32_t partition)
{
    ox_assert(job->count < job->cap);
    struct share_ask *ask = &job->asks[job->count++];
    ask->job = job;
    ox_arena_init(&ask->arena);
    ask->call = (struct coord_state_call){.op = op, .group_id = job->group_id,
        .topic_id = *topic, .partition = partition, .state_epoch = -1, .leader_epoch = -1,
        .start_offset = -1, .complete_count = -1};
    return &ask->call;
}

static void
job_end(struct share_job *job)
{
    struct shard *shard = job->shard;
    bool here = shard->state == SHARD_ACTIVE && shard->unloads == job->unloads;
    job->finish(job, here ? group_find(shard, job->group_id) : NULL);
    job_free(job);
}

static void
job_came_home(struct share_job *job)
{
    struct shard *shard = job->shard;
    job_end(job);
    shard_came_home(shard);
}

static void
answered(struct coord_call *call)
{
    struct share_ask *ask = (struct share_ask *)(void *)call;
    if (--ask->job->pending == 0)
        job_came_home(ask->job);
}

static void
job_start(struct share_job *job)
{
    struct coord *states = job->shard->coord->states;
    job->shard->outside++;
    job->pending = job->count + 1;
    for (uint32_t i = 0; i < job->count; i++) {
        job->asks[i].call.call.arena = &job->asks[i].arena;
        job->asks[i].call.call.done = answered;
        coord_state(states, &job->asks[i].call);
    }
    if (--job->pending == 0)
        job_came_home(job);
}

/* The first failure, or OX_OK. */
static ox_code
job_code(const struct share_job *job)
{
    for (uint32_t i = 0; i < job->count && job->code == OX_OK; i++)
        if (job->asks[i].call.call.code != OX_OK)
            return job->asks[i].call.call.code;
    return job->code;
}

/* The partitions for which it went well. */
static void
job_done_set(const struct share_job *job, struct tpset *out)
{
    *out = (struct tpset){0};
    for (uint32_t i = 0; i < job->count; i++)
        if (job->asks[i].call.call.code == OX_OK)
            tpset_add(out, &job->asks[i].call.topic_id, job->asks[i].call.partition);
    tpset_sort(out);
}

/* The write's record is in the log. */
static void
job_noted(struct shard *shard, struct write *write, ox_code code)
{
    struct share_job *job = write->extra;
    job->code = write_error(code);
    if (job->code == OX_OK)
        job_start(job);
    else
        job_end(job);
}

/* The job begins when the record of what is being deleted is in the log. */
static void
job_start_after(struct share_job *job, struct write *write)
{
    write->extra = job;
    write->finish = job_noted;
    write_submit(job->shard, write);
}

/* The partitions that have a state now; the next heartbeat has them assigned. given_up: that are
 * not to have one any more. */
static void
note_initialized(struct write *write, struct share_group *share, const struct tpset *done,
    const struct tpset *given_up)
{
    struct tpset waiting, there = {0}, topics, deleting;
    tpset_minus(&waiting, &share->initializing, done);
    tpset_drop(&waiting, given_up);
    tpset_copy(&there, &share->initialized);
    tpset_unite(&there, done);
    tpset_topics(&topics, done);
    tpset_minus(&deleting, &share->deleting, &topics);
    put_share_state(write, &waiting, &there, &deleting);
    tpset_fini(&waiting);
    tpset_fini(&there);
    tpset_fini(&topics);
    tpset_fini(&deleting);
}

/* ---- somebody subscribed ---- */

enum { ASK_AGAIN_MS = 200 };

static void
ask_again(struct shard *shard, struct coord_timer *timer)
{
    share_initialize(ox_container_of(timer, struct share_group, again)->group);
}

static void
initialized(struct share_job *job, struct group *group)
{
    struct tpset done = {0}, none = {0};
    if (group == NULL || group->share == NULL)
        return;
    group->share->asking = false;
    if (group->state == GROUP_DEAD)
        return;
    if (job->deletions == group->share->deletions)
        job_done_set(job, &done);
    if (done.count > 0) {
        struct write *write = write_new(job->shard, group);
        note_initialized(write, group->share, &done, &none);
        write_submit(job->shard, write);
    }
    if (done.count < job->count) /* its topic is being made, or it is loading */
        shard_timer(job->shard, &group->share->again, ASK_AGAIN_MS, ask_again);
    tpset_fini(&done);
}

void
share_initialize(struct group *group)
{
    struct share_group *share = group->share;
    if (share->asking || share->altering > 0 || share->initializing.count == 0 ||
        group->state == GROUP_DEAD || group->shard->coord->states == NULL)
        return;
    struct share_job *job = job_new(group->shard, group->id);
    job_reserve(job, share->initializing.count);
    for (uint32_t i = 0; i < share->initializing.count; i++) {
        const struct tp *tp = &share->initializing.at[i];
        struct coord_state_call *state =
            job_add(job, COORD_STATE_INITIALIZE, &tp->topic, tp->partition);
        state->state_epoch = share->epoch;
        if (tpset_has(&share->grown, tp))
            state->start_offset = 0;
    }
    job->finish = initialized;
    job->deletions = share->deletions;
    share->asking = true;
    job_start(job);
}

/* ---- states are deleted ---- */

/* What share knows of a topic, or of all (NULL): its partitions in out, itself in topics
 * (as partition -1); false: nothing. Of a topic that was being deleted before nobody knows
 * which have gone. */
static bool
collect_states(const struct group *group, const struct uuid *topic, struct tpset *out,
    struct tpset *topics)
{
    const struct share_group *share = group->share;
    const struct tpset *sets[] = {&share->initializing, &share->initialized, &share->deleting};
    const struct coord_host *host = group->shard->coord->host;
    bool any = false;
    for (size_t s = 0; s < ox_count(sets); s++)
        for (uint32_t i = 0; i < sets[s]->count; i++) {
            const struct tp *tp = &sets[s]->at[i];
            struct coord_topic facts = {.partition_count = 0};
            if (topic != NULL && !ox_uuid_eq(&tp->topic, topic))
                continue;
            any = true;
            tpset_add(topics, &tp->topic, -1);
            if (tp->partition >= 0)
                tpset_add(out, &tp->topic, tp->partition);
            else if (host->topic_by_id(host->self, &tp->topic, &facts))
                for (int32_t p = 0; p < facts.partition_count; p++)
                    tpset_add(out, &tp->topic, p);
        }
    return any;
}

/* What is not of the topics (partition -1) of less; out is initialised by it. */
static void
without_topics(struct tpset *out, const struct tpset *from, const struct tpset *less)
{
    *out = (struct tpset){0};
    for (uint32_t i = 0; i < from->count; i++)
        if (!tpset_has(less, &(struct tp){from->at[i].topic, -1}))
            tpset_add(out, &from->at[i].topic, from->at[i].partition);
    tpset_sort(out);
}

/* Deletes the states once it is noted that they are being deleted. Empties both sets. */
static void
delete_states(struct share_job *job, struct write *write, struct tpset *states,
    struct tpset *topics)
{
    struct share_group *share = write->group->share;
    struct tpset waiting, there, gone = {0};
    share->deletions++;
    tpset_sort(states);
    tpset_sort(topics);
    job_reserve(job, states->count);
    for (uint32_t i = 0; i < states->count; i++)
        job_add(job, COORD_STATE_DELETE, &states->at[i].topic, states->at[i].partition);
    without_topics(&waiting, &share->initializing, topics);
    without_topics(&there, &share->initialized, topics);
    tpset_copy(&gone, &share->deleting);
    tpset_unite(&gone, topics);
    put_share_state(write, &waiting, &there, &gone);
    job_start_after(job, write);
    tpset_fini(&waiting);
    tpset_fini(&there);
    tpset_fini(&gone);
    tpset_fini(states);
    tpset_fini(topics);
}

/* ---- the group goes ---- */

static void
forgotten(struct share_job *job, struct group *group)
{
    ox_code code = job_code(job);
    if (group == NULL || group->share == NULL)
        return; /* who waited was told */
    group->share->forgetting = false;
    if (group->deleting == NULL)
        return;
    if (code == OX_OK) {
        tpset_fini(&group->share->deleting);
        if (group->writes == 0) /* else it comes when they are done */
            group_start_delete(group);
        return;
    }
    struct coord_call *call = &group->deleting->call;
    group->deleting = NULL;
    group_transition(group, GROUP_EMPTY);
    call_finish(call, code);
}

bool
share_forget_state(struct group *group)
{
    struct share_group *share = group->share;
    struct tpset states = {0}, topics = {0};
    if (share->forgetting)
        return false;
    if (!collect_states(group, NULL, &states, &topics))
        return true;
    struct share_job *job = job_new(group->shard, group->id);
    job->finish = forgotten;
    share->forgetting = true;
    delete_states(job, write_new(group->shard, group), &states, &topics);
    return false;
}

/* ---- administrators: describe ---- */

static void
list_initialized(struct coord_share_offsets_call *call, const struct group *group)
{
    struct arena *arena = call->call.arena;
    struct coord_topic_partitions *topics;
    size_t count;
    consumer_list_partitions(group, &group->share->initialized, arena, true, &topics, &count);
    call->topics = ox_arena_array(arena, struct coord_share_topic, count);
    call->topic_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (topics[i].topic.len == 0)
            continue; /* it has gone */
        struct coord_share_topic *to = &call->topics[call->topic_count++];
        to->name = topics[i].topic;
        to->id = topics[i].topic_id;
        to->partition_count = topics[i].partition_count;
        to->partitions =
            ox_arena_array(arena, struct coord_share_partition, topics[i].partition_count);
        for (size_t j = 0; j < topics[i].partition_count; j++)
            to->partitions[j].partition = topics[i].partitions[j];
    }
}

static uint32_t
partitions_asked(const struct coord_share_offsets_call *call)
{
    uint32_t count = 0;
    for (size_t i = 0; i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++)
            count += call->topics[i].partitions[j].code == OX_OK;
    return count;
}

/* Answers to partitions in the order in which they were asked. */
static void
described(struct share_job *job, struct group *group)
{
    struct coord_share_offsets_call *call = job->offsets;
    uint32_t at = 0;
    for (size_t i = 0; i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++) {
            struct coord_share_partition *part = &call->topics[i].partitions[j];
            if (part->code != OX_OK)
                continue;
            const struct coord_state_call *state = &job->asks[at++].call;
            part->code = state->call.code;
            part->start_offset = state->call.code == OX_OK ? state->start_offset : -1;
            part->leader_epoch = state->call.code == OX_OK ? OX_MAX(state->leader_epoch, 0) : 0;
            part->complete = state->call.code == OX_OK ? state->complete_count : -1;
        }
    call_finish(&call->call, OX_OK);
}

static void
describe(struct coord_share_offsets_call *call, struct share_job *job)
{
    for (size_t i = 0; i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++)
            if (call->topics[i].partitions[j].code == OX_OK)
                job_add(job, COORD_STATE_SUMMARY, &call->topics[i].id,
                    call->topics[i].partitions[j].partition);
    job->finish = described;
}

/* ---- administrators: alter, delete ---- */

static void
changed(struct shard *shard, struct write *write, ox_code code)
{
    call_finish(write->call, write_error(code));
}

static bool
is_alive(const struct group *group)
{
    return group != NULL && group->share != NULL && group->state != GROUP_DEAD;
}

static void
altered(struct share_job *job, struct group *group)
{
    struct coord_share_offsets_call *call = job->offsets;
    struct tpset done, known = {0}, kept, none = {0};
    ox_code code = is_alive(group) ? job->code : OX_NOT_COORDINATOR;
    uint32_t at = 0;
    if (group != NULL && group->share != NULL)
        group->share->altering--;
    if (code != OX_OK) {
        call_finish(&call->call, code);
        return;
    }
    for (size_t i = 0; i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++)
            if (call->topics[i].partitions[j].code == OX_OK)
                call->topics[i].partitions[j].code = job->asks[at++].call.call.code;
    struct share_group *share = group->share;
    job_done_set(job, &done);
    tpset_copy(&known, &share->initializing);
    tpset_unite(&known, &share->initialized);
    tpset_and(&kept, &done, &known); /* the rest was deleted meanwhile */
    struct write *write = write_new(job->shard, group);
    write->call = &call->call;
    write->finish = changed;
    note_initialized(write, share, &kept,
        job->deletions == share->deletions ? &job->noted : &none);
    write_submit(job->shard, write);
    share_initialize(group); /* for who subscribed meanwhile */
    tpset_fini(&done);
    tpset_fini(&known);
    tpset_fini(&kept);
}

/* The job begins when it is noted what it adds to the group's states. */
static void
note_and_start(struct share_job *job, struct group *group, const struct tpset *asked)
{
    struct share_group *share = group->share;
    struct tpset waiting = {0}, topics, deleting;
    tpset_minus(&job->noted, asked, &share->initialized);
    tpset_drop(&job->noted, &share->initializing);
    if (job->noted.count == 0) {
        job_start(job);
        return;
    }
    tpset_copy(&waiting, &share->initializing);
    tpset_unite(&waiting, &job->noted);
    tpset_topics(&topics, &job->noted);
    tpset_minus(&deleting, &share->deleting, &topics);
    struct write *write = write_new(group->shard, group);
    put_share_state(write, &waiting, &share->initialized, &deleting);
    job_start_after(job, write);
    tpset_fini(&waiting);
    tpset_fini(&topics);
    tpset_fini(&deleting);
}

static void
alter(struct coord_share_offsets_call *call, struct group *group, struct share_job *job)
{
    struct tpset asked = {0};
    for (size_t i = 0; i < call->topic_count; i++)
        for (size_t j = 0; j < call->topics[i].partition_count; j++) {
            const struct coord_share_partition *part = &call->topics[i].partitions[j];
            if (part->code != OX_OK)
                continue;
            struct coord_state_call *state = job_add(job, COORD_STATE_INITIALIZE,
                &call->topics[i].id, part->partition);
            state->start_offset = part->start_offset;
            state->state_epoch = group->share->epoch + 1;
            tpset_add(&asked, &state->topic_id, state->partition);
        }
    tpset_sort(&asked);
    job->finish = altered;
    job->deletions = group->share->deletions;
    group->share->altering++;
    note_and_start(job, group, &asked);
    tpset_fini(&asked);
}

static void
deleted(struct share_job *job, struct group *group)
{
    struct coord_share_offsets_call *call = job->offsets;
    struct tpset left, topics = {0};
    ox_code code = is_alive(group) ? job_code(job) : OX_NOT_COORDINATOR;
    if (code != OX_OK) {
        call_finish(&call->call, code);
        return;
    }
    for (size_t t = 0; t < call->topic_count; t++)
        if (call->topics[t].code == OX_OK)
            tpset_add(&topics, &call->topics[t].id, -1);
    tpset_sort(&topics);
    tpset_minus(&left, &group->share->deleting, &topics);
    struct write *write = write_new(job->shard, group);
    write->call = &call->call;
    write->finish = changed;
    put_share_state(write, &group->share->initializing, &group->share->initialized, &left);
    write_submit(job->shard, write);
    tpset_fini(&left);
    tpset_fini(&topics);
}

/* Topics of which the group knows nothing have nothing to delete. */
static void
delete_topics(struct coord_share_offsets_call *call, struct group *group, struct share_job *job)
{
    struct tpset states = {0}, topics = {0};
    for (size_t t = 0; t < call->topic_count; t++)
        if (call->topics[t].code == OX_OK &&
            !collect_states(group, &call->topics[t].id, &states, &topics))
            call->topics[t].code = OX_UNKNOWN_TOPIC_OR_PARTITION;
    if (topics.count == 0) {
        job_free(job);
        call_finish(&call->call, OX_OK);
        return;
    }
    job->finish = deleted;
    delete_states(job, write_new(group->shard, group), &states, &topics);
}

/* ---- administrators ---- */

static ox_code
find_group(struct coord_share_offsets_call *call, struct shard *shard, struct group **out)
{
    struct group *group = group_find(shard, call->group_id);
    *out = group;
    if (call->group_id.len == 0 || call->group_id.len > INT16_MAX)
        return OX_INVALID_GROUP_ID;
    if (group != NULL && group->state == GROUP_DEAD)
        return OX_COORDINATOR_NOT_AVAILABLE;
    if (call->op == COORD_SHARE_DESCRIBE) {
        if (group != NULL && group->share == NULL)
            *out = NULL; /* as Kafka: also what is no share group has come nowhere */
        return OX_OK;
    }
    if (group != NULL && group->share != NULL)
        return group_is_empty(group) ? OX_OK : OX_NON_EMPTY_GROUP;
    if (group != NULL || call->op != COORD_SHARE_ALTER)
        return OX_GROUP_ID_NOT_FOUND;
    ox_code code = group_get(shard, call->group_id, out);
    if (code == OX_OK)
        share_group_get(*out);
    return code;
}

static void
offsets_run(struct coord_call *base)
{
    struct coord_share_offsets_call *call =
        ox_container_of(base, struct coord_share_offsets_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    ox_code code = shard_ready(shard);
    if (code == OX_OK && shard->coord->states == NULL)
        code = OX_COORDINATOR_NOT_AVAILABLE;
    if (code == OX_OK)
        code = find_group(call, shard, &group);
    if (code != OX_OK) {
        call_finish(base, code);
        return;
    }
    if (call->op == COORD_SHARE_DESCRIBE && call->topics == NULL && group != NULL)
        list_initialized(call, group);
    struct share_job *job = job_new(shard, call->group_id);
    job->offsets = call;
    if (call->op == COORD_SHARE_DELETE) {
        delete_topics(call, group, job);
        return;
    }
    job_reserve(job, partitions_asked(call));
    if (call->op == COORD_SHARE_DESCRIBE) {
        describe(call, job);
        job_start(job);
    } else {
        alter(call, group, job);
    }
}

void
coord_share_offsets(struct coord *coord, struct coord_share_offsets_call *call)
{
    call_start(coord, &call->call, call->group_id, offsets_run);
}
