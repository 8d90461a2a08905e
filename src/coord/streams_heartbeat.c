/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamsGroupHeartbeat: a member joins with its topology, says which tasks it
 * has, leaves; and learns which it may have. One heartbeat goes through
 *
 *   check the request -> find group and member -> check its epoch -> topology ->
 *   plan (which topics it needs, what is missing) ->
 *   member (record 19) -> topology (23) -> epoch of the group (17) ->
 *   target (21, 20) -> its own tasks (22) -> answer when they are committed
 *
 * All that can be refused is refused before the first record, for each record
 * takes effect at once; if the log then refuses them the shard loads again.
 *
 * Tasks are assigned only when every topic of the topology is there. Those that
 * are missing go back with the answer: who called has them made, the group
 * notices that there are new topics and plans again. A new group waits for more
 * members, and between two assignments some time must pass. */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "coord/java_order.h"
#include "coord/streams_group.h"

enum { ID_LEN_MAX = INT16_MAX - 40, TASK_OFFSETS_MAX = 10000 };

struct beat {
    struct coord_streams_call *call;
    struct shard *shard;
    struct group *group;
    struct streams_group *streams;  /* NULL until the first record of a new group */
    struct streams_member *member;  /* NULL: it joins */
    struct streams_member *gone;    /* static, left: the member comes in its place */
    struct write *write;
    const streams_topology *topology; /* the group's, or the one that is to be */
    struct streams_plan *plan;        /* the group's own, unless fresh_plan */
    bool new_topology, fresh_plan;
    bool new_group, was_classic;
    int64_t metadata_hash;
    uint64_t topics_generation; /* of the topics that it is of */
    struct tasks owned;
    bool owned_given;
    bool bump; /* the group's epoch must move */
    bool moved, reassigned; /* its end point, its tasks */
    bool fresh;             /* it was not there before */
    bool back, alone;       /* it left for a time, and is the same; was the only one */
};

/* ---- answers ---- */

static void
fail(struct coord_streams_call *call, ox_code code, const char *message)
{
    call->message = ox_str(message);
    call->out_member_epoch = call->heartbeat_interval_ms = call->out_endpoint_epoch = 0;
    call->has_tasks = call->has_endpoints = false;
    call->status_count = call->wanted_count = 0;
    call_finish(&call->call, code);
}

static void
beat_done(struct shard *shard, struct write *write, ox_code code)
{
    struct coord_streams_call *call =
        ox_container_of(write->call, struct coord_streams_call, call);
    if (code != OX_OK)
        fail(call, write_error(code), NULL);
    else
        call_finish(&call->call, OX_OK);
}

static void
tell(struct coord_streams_call *call, int8_t status, const char *detail)
{
    ox_assert(call->status_count < COORD_STATUS_MAX);
    call->statuses[call->status_count++] =
        (struct coord_status){status, ox_str(ox_arena_strdup(call->call.arena, detail))};
}

/* ---- the request ---- */

static bool
too_long(struct str s)
{
    return s.len > ID_LEN_MAX;
}

static bool
empty(struct str s)
{
    return s.ptr != NULL && s.len == 0;
}

static const char *
check_join(const struct coord_streams_call *call)
{
    if (call->rebalance_timeout_ms == -1)
        return "a member that joins must give its rebalance timeout";
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        if (call->owned[kind].at == NULL || call->owned[kind].count > 0)
            return "a member that joins must say that it owns no tasks";
    return call->topology == NULL ? "a member that joins must give its topology" : NULL;
}

static const char *
check_ids(const struct coord_streams_call *call)
{
    if (call->member_id.len == 0 || call->group_id.len == 0 || too_long(call->group_id))
        return "the ids of member and group must not be empty";
    if (empty(call->instance_id) || empty(call->rack_id))
        return "neither instance id nor rack id may be empty";
    if (too_long(call->member_id) || too_long(call->instance_id) || too_long(call->rack_id) ||
        too_long(call->client_id) || too_long(call->client_host) || too_long(call->process_id))
        return "an id is too long";
    return NULL;
}

/* What is wrong with the request, or NULL. */
static const char *
check_request(struct coord_streams_call *call)
{
    bool given = call->owned[COORD_ACTIVE].at != NULL;
    for (int32_t i = 0; call->topology != NULL && i < call->topology->subtopologies.count; i++)
        if (call->topology->subtopologies.at[i].source_topic_regex.count > 0)
            return "patterns of source topics are not supported";
    const char *message = check_ids(call);
    if (message == NULL && call->member_epoch == 0)
        message = check_join(call);
    if (message == NULL &&
        (call->offsets.count > TASK_OFFSETS_MAX || call->end_offsets.count > TASK_OFFSETS_MAX))
        message = "the offsets of too many tasks are told";
    if (message != NULL)
        return message;
    if (call->member_epoch < EPOCH_LEAVE_STATIC)
        return "the member epoch is not valid";
    if (call->member_epoch == EPOCH_LEAVE_STATIC && call->instance_id.ptr == NULL)
        return "only a member with an instance id may leave for a time";
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        if ((call->owned[kind].at != NULL) != given)
            return "all kinds of tasks must be given, or none";
    return call->member_epoch != 0 && call->topology != NULL
               ? "only a member that joins may give its topology"
               : NULL;
}

/* ---- group and member ---- */

static ox_code
find_group(struct beat *beat, const char **message)
{
    const struct coord_streams_call *call = beat->call;
    struct group *group = group_find(beat->shard, call->group_id);
    if (group != NULL && group->state == GROUP_DEAD)
        return OX_COORDINATOR_NOT_AVAILABLE;
    bool other = group != NULL && group->streams == NULL &&
                 (!group_is_classic(group) || group->state != GROUP_EMPTY);
    if (other || (call->member_epoch != 0 && (group == NULL || group->streams == NULL))) {
        *message = other ? "the group is no streams group" : "the group does not exist";
        return OX_GROUP_ID_NOT_FOUND;
    }
    ox_code code = group_get(beat->shard, call->group_id, &beat->group);
    if (code != OX_OK)
        return code;
    beat->was_classic = group != NULL && group->streams == NULL;
    beat->streams = beat->group->streams;
    beat->new_group = beat->streams == NULL;
    return OX_OK;
}

/* Tasks that the group has never heard of are nobody's. */
static void
read_owned(struct beat *beat)
{
    const struct coord_streams_call *call = beat->call;
    beat->owned_given = call->owned[COORD_ACTIVE].at != NULL;
    for (int kind = 0; kind < COORD_TASK_KINDS && beat->streams != NULL; kind++) {
        const struct coord_tasks *from = &call->owned[kind];
        for (size_t i = 0; i < from->count; i++)
            for (int32_t j = 0; j < from->at[i].partition_count; j++) {
                struct tp task = streams_task_find(beat->streams, from->at[i].subtopology,
                    from->at[i].partitions[j]);
                tpset_add(&beat->owned.of[kind], &task.topic, task.partition);
            }
        tpset_sort(&beat->owned.of[kind]);
    }
}

static bool
owned_within(const struct beat *beat)
{
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        if (!tpset_within(&beat->owned.of[kind], &beat->member->current.assigned.of[kind]))
            return false;
    return beat->owned_given;
}

static ox_code
check_epoch(const struct beat *beat, const char **message)
{
    const struct streams_current *now = &beat->member->current;
    int32_t epoch = beat->call->member_epoch;
    if (epoch <= 0 || epoch == now->epoch)
        return OX_OK;
    *message = epoch > now->epoch ? "the member epoch is ahead of the group's"
                                  : "the member epoch is stale: give up all tasks, rejoin";
    /* It may have missed our last answer. */
    return epoch == now->previous_epoch && owned_within(beat) ? OX_OK : OX_FENCED_MEMBER_EPOCH;
}

/* Who has the instance id, if it is the one who speaks. */
static ox_code
find_static(struct beat *beat, const char **message)
{
    const struct coord_streams_call *call = beat->call;
    struct streams_member *holder = streams_member_static(beat->group, call->instance_id);
    if (call->member_epoch == 0) {
        beat->member = streams_member_find(beat->group, call->member_id);
        beat->gone = holder;
        *message = "another member has this instance id and has not left";
        return holder != NULL && holder->current.epoch != EPOCH_LEAVE_STATIC
                   ? OX_UNRELEASED_INSTANCE_ID : OX_OK;
    }
    *message = "no member has this instance id";
    if (holder == NULL)
        return OX_UNKNOWN_MEMBER_ID;
    *message = "another member has taken this instance id";
    beat->member = holder;
    return ox_str_eq(holder->id, call->member_id) ? OX_OK : OX_FENCED_INSTANCE_ID;
}

static ox_code
find_member(struct beat *beat, const char **message)
{
    const struct coord_streams_call *call = beat->call;
    ox_code code = OX_OK;
    if (beat->streams != NULL && call->instance_id.ptr != NULL)
        code = find_static(beat, message);
    else if (beat->streams != NULL)
        beat->member = streams_member_find(beat->group, call->member_id);
    if (code != OX_OK)
        return code;
    if (beat->member != NULL)
        return check_epoch(beat, message);
    *message = "the member is not part of the group";
    if (call->member_epoch != 0)
        return OX_UNKNOWN_MEMBER_ID;
    uint32_t count = beat->new_group ? 0 : beat->streams->members.count;
    return beat->gone == NULL && count >= (uint32_t)beat->shard->config.streams_size_max
               ? OX_GROUP_MAX_SIZE_REACHED : OX_OK;
}

/* ---- topology and plan ---- */

static ox_code
find_topology(struct beat *beat, const char **message)
{
    const streams_topology *own = beat->streams != NULL ? beat->streams->topology : NULL;
    const streams_topology *said = beat->call->topology;
    beat->topology = own;
    if (said == NULL)
        return own != NULL ? OX_OK : OX_UNKNOWN_SERVER_ERROR;
    if (own == NULL) {
        beat->topology = said;
        beat->new_topology = true;
    } else if (said->epoch >= own->epoch && !streams_topology_same(said, own)) {
        *message = "the topology of a group cannot change";
        return OX_INVALID_REQUEST;
    }
    return OX_OK;
}

/* Of the topics that the topology needs, as they are now. */
static int64_t
metadata_hash(struct beat *beat)
{
    struct topic_table table;
    struct str *names;
    size_t count;
    streams_topology_names(beat->topology, beat->call->call.arena, &names, &count);
    topic_table_init(&table, beat->shard->coord->host);
    topic_table_add(&table, names, count);
    int64_t hash = (int64_t)table.hash;
    topic_table_fini(&table);
    return hash;
}

/* Plan again where the topics have changed. A group that has no topology yet
 * gets no plan to keep: the topology is still the caller's. What is made for a heartbeat
 * that is refused then is forgotten. */
static ox_code
make_plan(struct beat *beat, const char **message)
{
    const struct coord_host *host = beat->shard->coord->host;
    struct streams_group *streams = beat->streams;
    uint64_t generation = host->topics_generation(host->self);
    beat->metadata_hash = streams != NULL ? streams->metadata_hash : 0;
    beat->topics_generation = streams != NULL ? streams->topics_generation : UINT64_MAX;
    if (!beat->new_topology && streams->plan != NULL &&
        streams->topics_generation == generation) {
        beat->plan = streams->plan;
        return OX_OK;
    }
    int64_t hash = metadata_hash(beat);
    bool changed = hash != beat->metadata_hash;
    beat->bump |= changed;
    beat->metadata_hash = hash;
    beat->topics_generation = generation;
    if (!beat->new_topology && streams->plan != NULL && !changed) {
        beat->plan = streams->plan;
        return OX_OK;
    }
    ox_code code = streams_plan_new(beat->topology, host, beat->call->call.arena, &beat->plan,
        message);
    beat->fresh_plan = code == OX_OK;
    return code;
}

/* The group's plan is the one of the last heartbeat that was not refused. */
static void
keep_plan(struct beat *beat)
{
    struct streams_group *streams = beat->streams;
    if (beat->new_topology)
        return;
    if (beat->fresh_plan) {
        streams_plan_free(streams->plan);
        streams->plan = beat->plan;
        beat->fresh_plan = false;
    }
    streams->topics_generation = beat->topics_generation;
}

static const struct streams_part *
plan_part(const struct streams_plan *plan, struct str id)
{
    for (size_t i = 0; i < plan->part_count; i++)
        if (ox_str_eq(plan->parts[i].said->subtopology_id, id))
            return &plan->parts[i];
    return NULL;
}

static ox_code
check_owned(const struct beat *beat, const char **message)
{
    if (beat->plan->status >= 0)
        return OX_OK;
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        for (size_t i = 0; i < beat->call->owned[kind].count; i++) {
            const struct coord_task_ids *row = &beat->call->owned[kind].at[i];
            const struct streams_part *part = plan_part(beat->plan, row->subtopology);
            *message = "a task is not one of the topology";
            if (part == NULL)
                return OX_INVALID_REQUEST;
            for (int32_t j = 0; j < row->partition_count; j++)
                if (row->partitions[j] < 0 || row->partitions[j] >= part->task_count)
                    return OX_INVALID_REQUEST;
        }
    *message = NULL;
    return OX_OK;
}

static int
by_task(const void *a, const void *b)
{
    const struct coord_task_offset *left = a, *right = b;
    int order = ox_str_cmp(left->subtopology, right->subtopology);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

/* Puts them in order. */
static ox_code
sort_offsets(struct coord_task_offsets *rows, struct arena *arena, const char **message)
{
    if (rows->count < 2)
        return OX_OK;
    struct coord_task_offset *at = ox_arena_array(arena, struct coord_task_offset, rows->count);
    memcpy(at, rows->at, rows->count * sizeof(*at));
    qsort(at, rows->count, sizeof(*at), by_task);
    rows->at = at;
    for (size_t i = 1; i < rows->count; i++)
        if (by_task(&at[i - 1], &at[i]) == 0) {
            *message = "the offset of a task is told twice";
            return OX_INVALID_REQUEST;
        }
    return OX_OK;
}

/* ---- the member, the group's epoch ---- */

static int
by_key(const void *a, const void *b)
{
    return ox_str_cmp(((const struct coord_tag *)a)->key, ((const struct coord_tag *)b)->key);
}

static void
set_tags(struct streams_said *said, const struct coord_streams_call *call)
{
    struct coord_tag *tags = ox_arena_array(call->call.arena, struct coord_tag, call->tag_count);
    if (call->tag_count > 0)
        memcpy(tags, call->tags, call->tag_count * sizeof(*tags));
    if (call->tag_count > 1)
        qsort(tags, call->tag_count, sizeof(*tags), by_key);
    said->tags = tags;
    said->tag_count = call->tag_count;
}

static bool
same_tags(const struct streams_said *a, const struct streams_said *b)
{
    if (a->tag_count != b->tag_count)
        return false;
    for (size_t i = 0; i < a->tag_count; i++)
        if (!ox_str_eq(a->tags[i].key, b->tags[i].key) ||
            !ox_str_eq(a->tags[i].value, b->tags[i].value))
            return false;
    return true;
}

/* What assignments, and so the group's epoch, depend on. */
static bool
wants_same(const struct streams_said *a, const struct streams_said *b)
{
    return a->topology_epoch == b->topology_epoch && same_tags(a, b) &&
           ox_str_eq(a->rack_id, b->rack_id) && ox_str_eq(a->process_id, b->process_id);
}

static bool
same_said(const struct streams_said *a, const struct streams_said *b)
{
    return wants_same(a, b) && a->port == b->port && ox_str_eq(a->host, b->host) &&
           a->rebalance_timeout_ms == b->rebalance_timeout_ms &&
           ox_str_eq(a->client_id, b->client_id) && ox_str_eq(a->client_host, b->client_host) &&
           ox_str_eq(a->instance_id, b->instance_id);
}

/* All the member's records. */
static void
put_member_gone(struct write *write, struct str id)
{
    put_streams_gone(write, KEY_STREAMS_CURRENT, id);
    put_streams_gone(write, KEY_STREAMS_TARGET, id);
    put_streams_gone(write, KEY_STREAMS_MEMBER, id);
}

/* As it is but for the epochs: of a static member that left, or comes back. */
static void
put_static(struct write *write, struct str id, const struct streams_current *from,
    int32_t epoch)
{
    struct streams_current next = {.epoch = epoch,
        .previous_epoch = epoch == 0 ? 0 : from->epoch, .state = CONSUMER_STABLE};
    tasks_copy(&next.assigned, &from->assigned);
    next.assigned_epochs =
        ox_calloc(next.assigned.of[COORD_ACTIVE].count + 1, sizeof(*next.assigned_epochs));
    put_streams_current(write, id, &next);
    tasks_fini(&next.assigned);
    ox_free(next.assigned_epochs);
}

/* The one who comes, and whose own record was put, gets what the one who left has. */
static void
take_over(struct beat *beat)
{
    struct streams_member *gone = beat->gone;
    struct str id = beat->call->member_id;
    struct tasks target = {0};
    struct streams_current had = {.epoch = gone->current.epoch};
    tasks_copy(&target, &gone->target);
    tasks_copy(&had.assigned, &gone->current.assigned);
    struct streams_group *streams = beat->group->streams;
    beat->back = ox_str_eq(gone->id, id);
    if (!beat->back) {
        put_member_gone(beat->write, ox_str_dup(&beat->write->arena, gone->id));
        streams->peak = streams->last_peak; /* there never was one more */
    }
    beat->alone = streams->members.count == 1;
    put_streams_target(beat->write, id, &target);
    put_static(beat->write, id, &had, 0);
    tasks_fini(&target);
    tasks_fini(&had.assigned);
}

static void
update_member(struct beat *beat)
{
    const struct coord_streams_call *call = beat->call;
    struct streams_said next = {.process_id = OX_STR(""), .rebalance_timeout_ms = -1,
        .topology_epoch = -1};
    const struct streams_member *last = beat->gone != NULL ? beat->gone : beat->member;
    if (last != NULL)
        next = last->said;
    next.client_id = call->client_id.ptr ? call->client_id : OX_STR("");
    next.client_host = call->client_host.ptr ? call->client_host : OX_STR("");
    if (call->instance_id.ptr != NULL)
        next.instance_id = call->instance_id;
    if (call->rack_id.ptr != NULL)
        next.rack_id = call->rack_id;
    if (call->rebalance_timeout_ms != -1)
        next.rebalance_timeout_ms = call->rebalance_timeout_ms;
    if (call->topology != NULL)
        next.topology_epoch = call->topology->epoch;
    if (call->process_id.ptr != NULL)
        next.process_id = call->process_id;
    if (call->tags != NULL)
        set_tags(&next, call);
    if (call->host.ptr != NULL || call->member_epoch == 0) {
        next.host = call->host;
        next.port = call->port;
    }
    beat->moved = last == NULL ? next.host.ptr != NULL
                               : next.port != last->said.port ||
                                     !ox_str_eq(next.host, last->said.host);
    bool fixed = last != NULL && call->instance_id.ptr != NULL;
    beat->bump |= last == NULL || !(fixed ? wants_same : same_said)(&next, &last->said);
    if (last == NULL || last != beat->member || !same_said(&next, &last->said))
        put_streams_member(beat->write, call->member_id, &next);
    if (beat->gone != NULL)
        take_over(beat);
    beat->streams = beat->group->streams;
    beat->fresh = beat->member == NULL;
    beat->member = streams_member_find(beat->group, call->member_id);
    if (beat->new_group)
        return; /* Kafka forgets what was told before there was a group */
    streams_tell_offsets(&beat->member->offsets, call->offsets);
    streams_tell_offsets(&beat->member->end_offsets, call->end_offsets);
}

static void
move_epoch(struct beat *beat)
{
    const struct streams_group *streams = beat->streams;
    int32_t validated = beat->plan->status < 0 ? beat->topology->epoch : -1;
    int32_t standbys = group_setting(beat->group, "streams.num.standby.replicas",
        beat->shard->config.streams_standbys);
    if (!beat->bump && validated == streams->validated_epoch && standbys == streams->standbys)
        return;
    ox_assert(streams->epoch < INT32_MAX);
    put_streams_epoch(beat->write, streams->epoch + 1, beat->metadata_hash, validated, standbys);
}

/* ---- the target ---- */

/* What a member has told of the states that it has. */
static struct task_offset *
told_states(const struct streams_member *member, struct arena *arena)
{
    const struct coord_task_offsets *rows = &member->offsets.rows;
    struct task_offset *out = ox_arena_array(arena, struct task_offset, rows->count);
    for (size_t i = 0; i < rows->count; i++)
        out[i] = (struct task_offset){streams_task_find(member->group->streams,
            rows->at[i].subtopology, rows->at[i].partition), rows->at[i].offset};
    return out;
}

static int
by_joined(const void *a, const void *b)
{
    const struct streams_member *x = *(void *const *)a, *y = *(void *const *)b;
    return (x->joined > y->joined) - (x->joined < y->joined);
}

/* In the order in which Kafka's group has them: the newest, which has just come, last. */
static struct task_member *
list_members(const struct streams_group *streams, const struct streams_member *newest,
    struct arena *arena)
{
    uint32_t count = 0, all = streams->members.count;
    const struct streams_member **members = ox_arena_array(arena, const struct streams_member *, all);
    struct java_row *rows = ox_arena_array(arena, struct java_row, all);
    struct task_member *out = ox_arena_array(arena, struct task_member, all);
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;)
        members[count++] = entry->value;
    qsort(members, all, sizeof(*members), by_joined);
    for (uint32_t i = 0; i < all; i++)
        rows[i] = (struct java_row){.id = members[i]->id, .what = i};
    bool last = members[all - 1] == newest;
    java_timeline_order(rows, all - last, last ? streams->last_peak : streams->peak);
    for (uint32_t i = 0; i < all; i++) {
        const struct streams_member *member = members[rows[i].what];
        out[i] = (struct task_member){.id = member->id, .process_id = member->said.process_id,
            .before = &member->current.assigned, .offsets = told_states(member, arena),
            .offset_count = member->offsets.rows.count};
    }
    return out;
}

/* newest: the member that has just come; NULL: none has. */
static void
compute_target(struct group *group, struct write *write, const struct streams_plan *plan,
    const struct streams_member *newest)
{
    struct streams_group *streams = group->streams;
    struct arena arena;
    ox_arena_init(&arena);
    bool ready = plan->status < 0;
    size_t source_count = ready ? plan->part_count : 0;
    struct task_source *sources = ox_arena_array(&arena, struct task_source, source_count);
    for (size_t i = 0; i < source_count; i++)
        sources[i] = (struct task_source){
            streams_task(streams, plan->parts[i].said->subtopology_id, 0),
            plan->parts[i].task_count, plan->parts[i].changelog_count > 0};
    uint32_t count = streams->members.count;
    struct task_member *members = list_members(streams, newest, &arena);
    assign_tasks(sources, source_count, (int32_t)OX_MAX(streams->standbys, 0), members, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct streams_member *member = streams_member_find(group, members[i].id);
        if (!member->targeted || !tasks_equal(&member->target, &members[i].target))
            put_streams_target(write, member->id, &members[i].target);
        tasks_fini(&members[i].target);
    }
    put_streams_target_epoch(write, streams->epoch, shard_wall(group->shard));
    ox_arena_fini(&arena);
}

/* A new group has waited for more members. */
static void
initial_over(struct shard *shard, struct coord_timer *timer)
{
    struct streams_group *streams = ox_container_of(timer, struct streams_group, initial);
    struct group *group = streams->group;
    if (group->state == GROUP_DEAD || streams->members.count == 0 ||
        streams->epoch <= streams->assignment_epoch || streams->plan == NULL)
        return; /* the next heartbeat will do it */
    struct write *write = write_new(shard, group);
    compute_target(group, write, streams->plan, NULL);
    write_submit(shard, write);
}

static bool
may_assign(const struct beat *beat)
{
    int32_t interval_ms = group_setting(beat->group, "streams.assignment.interval.ms",
        beat->shard->config.streams_assignment_ms);
    return assignment_due(beat->shard, beat->streams->assignment_ms, interval_ms);
}

/* Moves the target, if it is time to. Returns false: the member has none yet. */
static bool
move_target(struct beat *beat)
{
    struct streams_group *streams = beat->streams;
    if (streams->initial.slot != 0) {
        tell(beat->call, COORD_ASSIGNMENT_DELAYED,
            "Assignment delayed due to the configured initial rebalance delay.");
        return false;
    }
    if (streams->assignment_epoch >= streams->epoch)
        return true;
    if (!may_assign(beat)) {
        tell(beat->call, COORD_ASSIGNMENT_DELAYED,
            "Assignment delayed due to the configured assignment interval.");
        return true;
    }
    compute_target(beat->group, beat->write, beat->plan, beat->fresh ? beat->member : NULL);
    return true;
}

/* ---- a member that must give up tasks ---- */

static void
rebalance_expired(struct shard *shard, struct coord_timer *timer);

void
streams_start_rebalance_timer(struct streams_member *member)
{
    if (member->current.state != CONSUMER_UNREVOKED) {
        shard_timer_stop(member->group->shard, &member->rebalance);
        return;
    }
    member->rebalance_epoch = member->current.epoch;
    shard_timer(member->group->shard, &member->rebalance,
        OX_MAX(member->said.rebalance_timeout_ms, 0), rebalance_expired);
}

/* ---- leaving, and being thrown out ---- */

/* Its records go, and the group's epoch moves. */
static void
remove_member(struct streams_member *member, struct write *write)
{
    struct group *group = member->group;
    const struct streams_group *streams = group->streams;
    struct str id = ox_str_dup(&write->arena, member->id);
    put_member_gone(write, id);
    put_streams_epoch(write, streams->epoch + 1, streams->metadata_hash,
        streams->validated_epoch, streams->standbys);
    if (group_is_empty(group))
        put_streams_target_epoch(write, streams->epoch, 0);
}

static void
fence(struct streams_member *member, const char *why)
{
    struct group *group = member->group;
    struct write *write = write_new(group->shard, group);
    ox_info(why, "group=%.*s member=%.*s", OX_STR_ARG(group->id), OX_STR_ARG(member->id));
    remove_member(member, write);
    write_submit(group->shard, write);
}

static void
session_expired(struct shard *shard, struct coord_timer *timer)
{
    fence(ox_container_of(timer, struct streams_member, session),
        "streams group member timed out");
}

static void
rebalance_expired(struct shard *shard, struct coord_timer *timer)
{
    struct streams_member *member = ox_container_of(timer, struct streams_member, rebalance);
    if (member->current.epoch == member->rebalance_epoch)
        fence(member, "streams group member did not give up its tasks in time");
}

void
streams_restart_session(struct streams_member *member)
{
    struct shard *shard = member->group->shard;
    shard_timer(shard, &member->session,
        group_setting(member->group, "streams.session.timeout.ms",
            shard->config.streams_session_ms),
        session_expired);
}

static void
ask_shutdown(struct streams_group *streams, struct str member_id)
{
    if (streams->shutdown.ptr != NULL)
        return;
    ox_info("streams application is to shut down", "group=%.*s member=%.*s",
        OX_STR_ARG(streams->group->id), OX_STR_ARG(member_id));
    streams->shutdown = heap_str(member_id);
}

static ox_code
leave(struct beat *beat, const char **message)
{
    struct coord_streams_call *call = beat->call;
    if (call->shutdown)
        ask_shutdown(beat->streams, call->member_id);
    ox_code code = find_member(beat, message);
    if (code != OX_OK)
        return code;
    ox_info("streams group member leaves", "group=%.*s member=%.*s",
        OX_STR_ARG(beat->group->id), OX_STR_ARG(call->member_id));
    beat->write = write_new(beat->shard, beat->group);
    if (call->member_epoch == EPOCH_LEAVE_STATIC) {
        put_static(beat->write, call->member_id, &beat->member->current, EPOCH_LEAVE_STATIC);
        shard_timer_stop(beat->shard, &beat->member->rebalance);
    } else {
        remove_member(beat->member, beat->write);
    }
    call->out_member_epoch = call->member_epoch;
    write_answer(beat->write, &call->call, beat_done);
    return OX_OK;
}

/* ---- end points: who has what, for interactive queries ---- */

/* A topic that a subtopology reads, with those of its tasks that the topic has a
 * partition for, if any. */
static void
add_topic(struct beat *beat, struct coord_endpoint *out, int kind, struct str topic,
    const struct coord_task_ids *row)
{
    const struct coord_host *host = beat->shard->coord->host;
    struct arena *arena = beat->call->call.arena;
    struct coord_topic facts;
    struct coord_topic_partitions *to = &out->of[kind][out->count[kind]];
    if (!host->topic_by_name(host->self, topic, &facts))
        return;
    *to = (struct coord_topic_partitions){.topic = ox_str_dup(arena, topic)};
    int32_t *partitions = ox_arena_array(arena, int32_t, row->partition_count);
    for (int32_t i = 0; i < row->partition_count; i++)
        if (row->partitions[i] < facts.partition_count)
            partitions[to->partition_count++] = row->partitions[i];
    to->partitions = partitions;
    out->count[kind] += to->partition_count > 0;
}

static void
fill_endpoint(struct beat *beat, const struct streams_member *member, int kind,
    struct coord_endpoint *out)
{
    struct arena *arena = beat->call->call.arena;
    struct coord_tasks rows =
        streams_task_rows(beat->streams, &member->current.assigned.of[kind], arena);
    size_t max = 0;
    for (size_t i = 0; i < rows.count; i++) {
        const struct streams_part *part = plan_part(beat->plan, rows.at[i].subtopology);
        if (part != NULL)
            max += (size_t)part->said->source_topics.count + part->source_count;
    }
    out->of[kind] = ox_arena_array(arena, struct coord_topic_partitions, max);
    for (size_t i = 0; i < rows.count; i++) {
        const struct streams_part *part = plan_part(beat->plan, rows.at[i].subtopology);
        for (int32_t j = 0; part != NULL && j < part->said->source_topics.count; j++)
            add_topic(beat, out, kind, part->said->source_topics.at[j], &rows.at[i]);
        for (size_t j = 0; part != NULL && j < part->source_count; j++)
            add_topic(beat, out, kind, part->sources[j].said->name, &rows.at[i]);
    }
}

static void
fill_endpoints(struct beat *beat)
{
    struct coord_streams_call *call = beat->call;
    struct map_entry *entry;
    call->has_endpoints = true;
    call->endpoints =
        ox_arena_array(call->call.arena, struct coord_endpoint, beat->streams->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&beat->streams->members, &at)) != NULL;) {
        const struct streams_member *member = entry->value;
        if (member->said.host.ptr == NULL)
            continue;
        struct coord_endpoint *out = &call->endpoints[call->endpoint_count++];
        out->host = ox_str_dup(call->call.arena, member->said.host);
        out->port = member->said.port;
        fill_endpoint(beat, member, COORD_ACTIVE, out);
        fill_endpoint(beat, member, COORD_STANDBY, out);
    }
}

/* ---- a heartbeat ---- */

static void
fill_tasks(struct beat *beat)
{
    struct coord_streams_call *call = beat->call;
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        call->tasks[kind] = streams_task_rows(beat->streams,
            &beat->member->current.assigned.of[kind], call->call.arena);
    call->has_tasks = true;
}

static void
fill_wanted(struct beat *beat)
{
    struct coord_streams_call *call = beat->call;
    const struct streams_plan *plan = beat->plan;
    struct arena *arena = call->call.arena;
    call->wanted = ox_arena_array(arena, struct coord_wanted_topic, plan->missing_count);
    for (size_t i = 0; i < plan->missing_count; i++) {
        const struct streams_internal *from = &plan->missing[i];
        struct coord_wanted_topic *to = &call->wanted[call->wanted_count++];
        to->name = ox_str_dup(arena, from->said->name);
        to->partitions = from->partitions;
        to->replication_factor =
            from->said->replication_factor != 0 ? from->said->replication_factor : -1;
        to->configs = ox_arena_array(arena, struct coord_tag, from->said->topic_configs.count);
        for (int32_t j = 0; j < from->said->topic_configs.count; j++)
            to->configs[to->config_count++] =
                (struct coord_tag){ox_str_dup(arena, from->said->topic_configs.at[j].key),
                    ox_str_dup(arena, from->said->topic_configs.at[j].value)};
    }
}

static void
tell_stale(struct beat *beat)
{
    const struct coord_streams_call *call = beat->call;
    if (beat->new_topology || beat->member->said.topology_epoch >= beat->topology->epoch)
        return;
    tell(beat->call, COORD_STALE_TOPOLOGY,
        ox_arena_printf(call->call.arena,
            "The member's topology epoch %d is behind the group's topology epoch %d.",
            beat->member->said.topology_epoch, beat->topology->epoch));
}

static void
tell_rest(struct beat *beat)
{
    struct coord_streams_call *call = beat->call;
    const struct streams_plan *plan = beat->plan;
    if (plan->status >= 0)
        tell(call, plan->status,
            ox_arena_printf(call->call.arena, "%.*s", OX_STR_ARG(plan->detail)));
    if (beat->streams->shutdown.ptr != NULL)
        tell(call, COORD_SHUTDOWN_APPLICATION,
            ox_arena_printf(call->call.arena, "Streams group member %.*s encountered a fatal "
                "error and requested a shutdown for the entire application.",
                OX_STR_ARG(beat->streams->shutdown)));
}

/* The answer tells of end points when the client does not know the latest. The first
 * heartbeat of a group moves nothing, and says 0 where there was none by that name. */
static void
answer_endpoints(struct beat *beat)
{
    struct coord_streams_call *call = beat->call;
    struct streams_group *streams = beat->streams;
    int32_t epoch = streams->endpoint_epoch;
    bool there = beat->member->said.host.ptr != NULL;
    if (beat->moved || (there && beat->reassigned))
        epoch++;
    if (epoch != call->endpoint_epoch)
        fill_endpoints(beat);
    if (!beat->new_group || beat->was_classic)
        call->out_endpoint_epoch = epoch;
    if (!beat->new_group)
        streams->endpoint_epoch = epoch;
}

/* Kafka removes a static member that comes back, and adds it again, when it has answered:
 * what it told is forgotten, it is the newest, and if nobody else is there the group was
 * empty for a moment, so that nobody asks for a shutdown any more. */
static void
come_back(struct beat *beat)
{
    struct streams_group *streams = beat->streams;
    if (beat->back) {
        streams_forget_offsets(beat->member);
        beat->member->joined = ++streams->joins;
        streams->last_peak = streams->peak;
    }
    if (beat->alone)
        heap_str_free(&streams->shutdown);
}

static void
go_on(struct beat *beat)
{
    struct coord_streams_call *call = beat->call;
    static const struct tasks none;
    struct tasks before = {0};
    beat->write = write_new(beat->shard, beat->group);
    if (beat->new_group)
        group_leave_classic(beat->group, beat->write);
    bool was_empty = beat->new_group || beat->streams->members.count == 0;
    update_member(beat);
    struct streams_member *member = beat->member;
    struct streams_group *streams = beat->streams;
    if (beat->new_topology)
        put_streams_topology(beat->write, beat->topology);
    tell_stale(beat);
    keep_plan(beat);
    move_epoch(beat);
    int32_t delay_ms = group_setting(beat->group, "streams.initial.rebalance.delay.ms",
        beat->shard->config.streams_initial_delay_ms);
    if (was_empty && delay_ms > 0 && streams->initial.slot == 0)
        shard_timer(beat->shard, &streams->initial, delay_ms, initial_over);
    bool targeted = move_target(beat);
    tasks_copy(&before, &member->current.assigned);
    streams_reconcile(member, beat->write, targeted ? &member->target : &none,
        beat->owned_given ? &beat->owned : NULL);
    streams_restart_session(member);
    if (call->shutdown)
        ask_shutdown(streams, call->member_id);
    call->out_member_epoch = member->current.epoch;
    call->heartbeat_interval_ms = group_setting(beat->group, "streams.heartbeat.interval.ms",
        beat->shard->config.streams_heartbeat_ms);
    beat->reassigned = !tasks_equal(&before, &member->current.assigned);
    if (call->member_epoch == 0 || beat->reassigned)
        fill_tasks(beat);
    answer_endpoints(beat);
    fill_wanted(beat);
    tell_rest(beat);
    come_back(beat);
    tasks_fini(&before);
    ox_check_slow((streams_group_check(beat->group), true));
    write_answer(beat->write, &call->call, beat_done);
}

static ox_code
try_beat(struct beat *beat, const char **message)
{
    struct coord_streams_call *call = beat->call;
    ox_code code = shard_ready(beat->shard);
    if (code == OX_OK && (*message = check_request(call)) != NULL)
        code = OX_INVALID_REQUEST;
    ox_code sound = OX_OK;
    if (code == OX_OK && call->topology != NULL)
        sound = streams_topology_sound(call->topology, call->call.arena, message);
    if (sound == OX_STREAMS_INVALID_TOPOLOGY)
        return sound;
    if (code == OX_OK)
        code = find_group(beat, message);
    if (code == OX_OK && call->member_epoch < 0)
        return leave(beat, message);
    if (code != OX_OK)
        return code;
    read_owned(beat);
    code = find_member(beat, message);
    if (code == OX_OK)
        code = sound;
    if (code == OX_OK)
        code = find_topology(beat, message);
    if (code == OX_OK)
        code = make_plan(beat, message);
    if (code == OX_OK)
        code = check_owned(beat, message);
    if (code == OX_OK)
        code = sort_offsets(&call->offsets, call->call.arena, message);
    if (code == OX_OK)
        code = sort_offsets(&call->end_offsets, call->call.arena, message);
    if (code == OX_OK)
        go_on(beat);
    if (beat->fresh_plan)
        streams_plan_free(beat->plan);
    tasks_fini(&beat->owned);
    return code;
}

static void
heartbeat_run(struct coord_call *base)
{
    struct coord_streams_call *call = ox_container_of(base, struct coord_streams_call, call);
    struct beat beat = {.call = call, .shard = call_shard(base)};
    const char *message = NULL;
    call->message = OX_STR_NULL;
    call->out_member_epoch = call->heartbeat_interval_ms = call->out_endpoint_epoch = 0;
    call->has_tasks = call->has_endpoints = false;
    call->endpoint_count = call->status_count = call->wanted_count = 0;
    ox_code code = try_beat(&beat, &message);
    if (code == OX_OK)
        return; /* answered, or about to be */
    fail(call, code, message);
    if (beat.group != NULL)
        group_maybe_drop(beat.group);
}

void
coord_streams_heartbeat(struct coord *coord, struct coord_streams_call *call)
{
    call_start(coord, &call->call, call->group_id, heartbeat_run);
}
