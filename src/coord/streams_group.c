/* SPDX-License-Identifier: Apache-2.0
 *
 * A streams group as a value: members, the topology that they all run, and which
 * tasks (a part of the topology and a partition) each has. As with consumer
 * groups the coordinator assigns, and members approach their target heartbeat by
 * heartbeat; a task is active at one member, and at others standby or warming up.
 *
 *   group    EMPTY -> NOT READY (topics of the topology are missing or do not fit)
 *              -> ASSIGNING (epoch > assignment epoch) -> RECONCILING -> STABLE
 *   member   STABLE -> UNREVOKED -> UNRELEASED -> STABLE, as in consumer_group.c;
 *            a task is released when no process has it in a way that conflicts
 *
 * All of this changes by records alone, live as at replay, except what is not
 * worth keeping: the plan (computed from topology and topics), end point epochs
 * and a request to shut down. Subtopologies have numbers here, so that sets of
 * tasks are sets of struct tp.
 *
 * Invariants (streams_group_check):
 * 1. The assignment epoch is at most the group's epoch.
 * 2. An active task is held by one member at most: held names, for each that is
 *    assigned or revoking, the member that has it, and no others.
 * 3. What a member revokes it is not assigned; it revokes only while UNREVOKED.
 * 4. Every member's own record was seen.
 * 5. There are as many epochs as active tasks. */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/wire.h"
#include "coord/streams_group.h"

/* ---- sets of tasks ---- */

void
tasks_fini(struct tasks *tasks)
{
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        tpset_fini(&tasks->of[kind]);
}

void
tasks_copy(struct tasks *to, const struct tasks *from)
{
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        tpset_copy(&to->of[kind], &from->of[kind]);
}

bool
tasks_equal(const struct tasks *a, const struct tasks *b)
{
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        if (!tpset_equal(&a->of[kind], &b->of[kind]))
            return false;
    return true;
}

bool
tasks_meet(const struct tasks *a, const struct tasks *b)
{
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        if (tpset_meet(&a->of[kind], &b->of[kind]))
            return true;
    return false;
}

bool
tasks_none(const struct tasks *tasks)
{
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
        if (tasks->of[kind].count > 0)
            return false;
    return true;
}

/* ---- numbers of subtopologies ---- */

static struct tp
task_of(uint32_t number, int32_t partition)
{
    struct tp task = {.partition = partition};
    wire_store32(task.topic.bytes + 12, number);
    return task;
}

static uint32_t
number_of(const struct tp *task)
{
    return wire_load32(task->topic.bytes + 12);
}

struct tp
streams_task_find(const struct streams_group *streams, struct str subtopology, int32_t partition)
{
    void *number = ox_map_get(&streams->numbers, subtopology);
    return task_of((uint32_t)(uintptr_t)number, partition); /* 0: nobody's */
}

struct tp
streams_task(struct streams_group *streams, struct str subtopology, int32_t partition)
{
    if (ox_map_get(&streams->numbers, subtopology) == NULL) {
        streams->names = ox_realloc(streams->names,
            ox_size_mul(streams->name_count + 1, sizeof(*streams->names)));
        streams->names[streams->name_count++] = heap_str(subtopology);
        ox_map_put(&streams->numbers, subtopology, (void *)(uintptr_t)streams->name_count);
    }
    return streams_task_find(streams, subtopology, partition);
}

static int
by_subtopology(const void *a, const void *b)
{
    return ox_str_cmp(((const struct coord_task_ids *)a)->subtopology,
        ((const struct coord_task_ids *)b)->subtopology);
}

struct coord_tasks
streams_task_rows(const struct streams_group *streams, const struct tpset *set,
    struct arena *arena)
{
    struct coord_tasks out = {ox_arena_array(arena, struct coord_task_ids, set->count + 1), 0};
    for (uint32_t at = 0; at < set->count;) {
        struct coord_task_ids *row = &out.at[out.count++];
        uint32_t number = number_of(&set->at[at]), end = tpset_run(set, at);
        ox_assert(number > 0 && number <= streams->name_count);
        row->subtopology = ox_str_dup(arena, streams->names[number - 1]);
        row->partitions = ox_arena_array(arena, int32_t, end - at);
        for (; at < end; at++)
            row->partitions[row->partition_count++] = set->at[at].partition;
    }
    if (out.count > 1)
        qsort(out.at, out.count, sizeof(*out.at), by_subtopology);
    return out;
}

/* ---- life ---- */

struct streams_group *
streams_group_get(struct group *group)
{
    if (group->streams == NULL) {
        struct streams_group *streams = ox_calloc(1, sizeof(*streams));
        ox_map_init(&streams->members);
        ox_map_init(&streams->held);
        ox_map_init(&streams->numbers);
        ox_arena_init(&streams->arena);
        streams->topics_generation = UINT64_MAX;
        streams->epoch = streams->assignment_epoch = 1;
        streams->standbys = -1;
        streams->group = group;
        group->streams = streams;
    }
    return group->streams;
}

static void
current_fini(struct streams_current *current)
{
    tasks_fini(&current->assigned);
    tasks_fini(&current->revoking);
    ox_free(current->assigned_epochs);
    ox_free(current->revoking_epochs);
    current->assigned_epochs = current->revoking_epochs = NULL;
}

static void
member_free(struct streams_member *member)
{
    shard_timer_stop(member->group->shard, &member->session);
    shard_timer_stop(member->group->shard, &member->rebalance);
    current_fini(&member->current);
    tasks_fini(&member->target);
    ox_arena_fini(&member->offsets.arena);
    ox_arena_fini(&member->end_offsets.arena);
    heap_str_free(&member->id);
    ox_arena_fini(&member->arena);
    ox_free(member);
}

void
streams_group_free(struct group *group)
{
    struct streams_group *streams = group->streams;
    struct map_entry *entry;
    if (streams == NULL)
        return;
    shard_timer_stop(group->shard, &streams->initial);
    for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;)
        member_free(entry->value);
    for (uint32_t i = 0; i < streams->name_count; i++)
        heap_str_free(&streams->names[i]);
    ox_free(streams->names);
    ox_map_fini(&streams->members);
    ox_map_fini(&streams->held);
    ox_map_fini(&streams->numbers);
    streams_plan_free(streams->plan);
    ox_arena_fini(&streams->arena);
    heap_str_free(&streams->shutdown);
    ox_free(streams);
    group->streams = NULL;
}

struct streams_member *
streams_member_find(const struct group *group, struct str id)
{
    return ox_map_get(&group->streams->members, id);
}

struct streams_member *
streams_member_static(const struct group *group, struct str instance_id)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->streams->members, &at)) != NULL;) {
        struct streams_member *member = entry->value;
        if (member->said.instance_id.ptr != NULL &&
            ox_str_eq(member->said.instance_id, instance_id))
            return member;
    }
    return NULL;
}

struct coord_task_offsets
streams_copy_offsets(struct coord_task_offsets rows, struct arena *arena)
{
    struct coord_task_offset *out = ox_arena_array(arena, struct coord_task_offset, rows.count);
    for (size_t i = 0; i < rows.count; i++) {
        out[i] = rows.at[i];
        out[i].subtopology = ox_str_dup(arena, rows.at[i].subtopology);
    }
    return (struct coord_task_offsets){out, rows.count};
}

void
streams_tell_offsets(struct streams_told *told, struct coord_task_offsets rows)
{
    if (rows.at == NULL)
        return;
    ox_arena_fini(&told->arena);
    ox_arena_init(&told->arena);
    told->rows = streams_copy_offsets(rows, &told->arena);
}

void
streams_forget_offsets(struct streams_member *member)
{
    static const struct coord_task_offset none;
    struct coord_task_offsets nothing = {&none, 0};
    streams_tell_offsets(&member->offsets, nothing);
    streams_tell_offsets(&member->end_offsets, nothing);
}

static bool
reconciled(const struct streams_member *member, int32_t assignment_epoch)
{
    return member->current.state == CONSUMER_STABLE && member->current.epoch == assignment_epoch;
}

const char *
streams_group_state(const struct group *group)
{
    const struct streams_group *streams = group->streams;
    struct map_entry *entry;
    if (group->state == GROUP_DEAD)
        return "Dead";
    if (streams->members.count == 0)
        return "Empty";
    if (streams->topology == NULL || streams->topology->epoch != streams->validated_epoch)
        return "NotReady";
    if (streams->epoch > streams->assignment_epoch)
        return "Assigning";
    for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;)
        if (!reconciled(entry->value, streams->assignment_epoch))
            return "Reconciling";
    return "Stable";
}

bool
streams_group_subscribed(const struct group *group, struct str topic)
{
    const struct streams_group *streams = group->streams;
    return streams->members.count > 0 && streams->topology != NULL &&
           streams_reader(streams->topology, topic) != NULL;
}

bool
streams_commit_allowed(const struct streams_member *member, struct str topic, int32_t partition,
    int32_t epoch)
{
    const struct streams_group *streams = member->group->streams;
    const struct streams_current *now = &member->current;
    const streams_subtopology *reader =
        streams->topology != NULL ? streams_reader(streams->topology, topic) : NULL;
    if (reader == NULL)
        return false;
    struct tp task = streams_task_find(streams, reader->subtopology_id, partition);
    int32_t since = tpset_epoch(&now->assigned.of[COORD_ACTIVE], now->assigned_epochs, &task);
    if (since < 0)
        since = tpset_epoch(&now->revoking.of[COORD_ACTIVE], now->revoking_epochs, &task);
    return since >= 0 && epoch >= since;
}

/* ---- what records do ---- */

static struct streams_member *
member_get(struct group *group, struct str id)
{
    struct streams_member *member = streams_member_find(group, id);
    if (member != NULL)
        return member;
    member = ox_calloc(1, sizeof(*member));
    member->group = group;
    member->id = heap_str(id);
    ox_arena_init(&member->arena);
    ox_arena_init(&member->offsets.arena);
    ox_arena_init(&member->end_offsets.arena);
    member->said = (struct streams_said){.client_id = OX_STR(""), .client_host = OX_STR(""),
        .process_id = OX_STR(""), .rebalance_timeout_ms = -1, .topology_epoch = -1};
    struct streams_group *streams = group->streams;
    ox_map_put(&streams->members, member->id, member);
    member->joined = ++streams->joins;
    streams->last_peak = streams->peak;
    streams->peak = OX_MAX(streams->peak, streams->members.count);
    return member;
}

static void
remove_member(struct streams_member *member)
{
    struct streams_group *streams = member->group->streams;
    tpset_let_go(&member->current.assigned.of[COORD_ACTIVE], &streams->held, member);
    tpset_let_go(&member->current.revoking.of[COORD_ACTIVE], &streams->held, member);
    ox_map_remove(&streams->members, member->id);
    if (streams->members.count == 0)
        heap_str_free(&streams->shutdown);
    member_free(member);
}

static void
set_member(struct streams_member *member, const struct streams_said *from)
{
    struct arena arena;
    struct streams_said own = *from;
    ox_arena_init(&arena);
    own.instance_id = ox_str_dup(&arena, from->instance_id);
    own.rack_id = ox_str_dup(&arena, from->rack_id);
    own.client_id = ox_str_dup(&arena, from->client_id);
    own.client_host = ox_str_dup(&arena, from->client_host);
    own.process_id = ox_str_dup(&arena, from->process_id);
    own.host = ox_str_dup(&arena, from->host);
    struct coord_tag *tags = ox_arena_array(&arena, struct coord_tag, from->tag_count);
    for (size_t i = 0; i < from->tag_count; i++) {
        tags[i].key = ox_str_dup(&arena, from->tags[i].key);
        tags[i].value = ox_str_dup(&arena, from->tags[i].value);
    }
    own.tags = tags;
    ox_arena_fini(&member->arena);
    member->arena = arena;
    member->said = own;
    member->known = true;
}

static void
set_current(struct streams_member *member, struct streams_current *from)
{
    struct map *held = &member->group->streams->held;
    tpset_let_go(&member->current.assigned.of[COORD_ACTIVE], held, member);
    tpset_let_go(&member->current.revoking.of[COORD_ACTIVE], held, member);
    current_fini(&member->current);
    member->current = *from;
    *from = (struct streams_current){0};
    tpset_hold(&member->current.assigned.of[COORD_ACTIVE], held, member);
    tpset_hold(&member->current.revoking.of[COORD_ACTIVE], held, member);
}

/* The plan was one of the topology before. */
static void
set_topology(struct streams_group *streams, struct str bytes)
{
    struct arena arena;
    streams_topology *topology = NULL;
    ox_arena_init(&arena);
    if (bytes.ptr != NULL)
        topology = streams_topology_read(ox_str_dup(&arena, bytes), &arena);
    streams_plan_free(streams->plan);
    streams->plan = NULL;
    streams->topology = topology;
    ox_arena_fini(&streams->arena);
    streams->arena = arena;
    for (int32_t i = 0; topology != NULL && i < topology->subtopologies.count; i++)
        streams_task(streams, topology->subtopologies.at[i].subtopology_id, 0);
}

void
streams_group_set(struct group *group, int16_t type, struct streams_value *value)
{
    struct streams_group *streams = streams_group_get(group);
    struct streams_member *member = value->id.ptr != NULL ? member_get(group, value->id) : NULL;
    switch (type) {
    case KEY_STREAMS_EPOCH:
        streams->epoch = value->epoch;
        streams->metadata_hash = value->metadata_hash;
        streams->validated_epoch = value->validated_epoch;
        streams->standbys = value->standbys;
        group->logged = true;
        break;
    case KEY_STREAMS_MEMBER:
        set_member(member, &value->said);
        break;
    case KEY_STREAMS_TARGET_EPOCH:
        streams->assignment_epoch = value->epoch;
        streams->assignment_ms = value->assignment_ms;
        break;
    case KEY_STREAMS_TARGET:
        tasks_fini(&member->target);
        member->target = value->current.assigned;
        value->current.assigned = (struct tasks){0};
        member->targeted = true;
        break;
    case KEY_STREAMS_CURRENT:
        set_current(member, &value->current);
        break;
    case KEY_STREAMS_TOPOLOGY:
        set_topology(streams, value->topology);
        break;
    default:
        ox_unreachable();
    }
}

/* A tombstone. That of the epoch ends the group as a streams group. */
void
streams_group_unset(struct group *group, int16_t type, struct str id)
{
    struct streams_group *streams = group->streams;
    if (streams == NULL)
        return;
    struct streams_member *member = id.ptr != NULL ? streams_member_find(group, id) : NULL;
    switch (type) {
    case KEY_STREAMS_EPOCH:
        group->logged = false;
        group->lingers = group->topics.count > 0;
        streams_group_free(group);
        break;
    case KEY_STREAMS_MEMBER:
        if (member != NULL)
            remove_member(member);
        break;
    case KEY_STREAMS_TARGET_EPOCH:
        streams->assignment_epoch = 0;
        streams->assignment_ms = 0;
        break;
    case KEY_STREAMS_TARGET:
        if (member != NULL) {
            tasks_fini(&member->target);
            member->targeted = false;
        }
        break;
    case KEY_STREAMS_CURRENT:
        if (member != NULL)
            set_current(member, &(struct streams_current){0});
        break;
    case KEY_STREAMS_TOPOLOGY:
        set_topology(streams, OX_STR_NULL);
        break;
    default:
        break;
    }
}

/* ---- invariants, load ---- */

/* Which of them does not hold, or NULL. */
static const char *
member_flaw(const struct streams_member *member, const struct tpset *set)
{
    const struct map *held = &member->group->streams->held;
    if (!member->known)
        return "a member is not known";
    if (!tasks_none(&member->current.revoking) && member->current.state != CONSUMER_UNREVOKED)
        return "a member revokes without need";
    if (tasks_meet(&member->current.assigned, &member->current.revoking))
        return "a member has what it revokes";
    for (uint32_t i = 0; i < set->count; i++)
        if (tp_holder(held, &set->at[i]) != member)
            return "an active task is held twice";
    return NULL;
}

static const char *
flaw(const struct group *group)
{
    const struct streams_group *streams = group->streams;
    struct map_entry *entry;
    uint32_t held = 0;
    if (streams->assignment_epoch > streams->epoch)
        return "the assignment is ahead of the group";
    for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;) {
        const struct streams_member *member = entry->value;
        const struct tpset *assigned = &member->current.assigned.of[COORD_ACTIVE];
        const struct tpset *revoking = &member->current.revoking.of[COORD_ACTIVE];
        const char *wrong = member_flaw(member, assigned);
        wrong = wrong != NULL ? wrong : member_flaw(member, revoking);
        if (wrong != NULL)
            return wrong;
        held += assigned->count + revoking->count;
    }
    if (streams->members.count > 0 && streams->topology == NULL)
        return "there is no topology";
    return held != streams->held.count ? "a task is held by nobody" : NULL;
}

void
streams_group_check(const struct group *group)
{
    ox_assert(group->members.count == 0 && group->consumer == NULL && group->share == NULL);
    ox_assert(flaw(group) == NULL);
}

/* Records that do not fit together cost the members their place, not the server
 * its life. */
void
streams_group_resume(struct group *group)
{
    struct streams_group *streams = group->streams;
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;)
        if (!((struct streams_member *)entry->value)->known)
            remove_member(entry->value);
    const char *wrong = flaw(group);
    if (wrong != NULL) {
        ox_warn("group must start anew", "group=%.*s reason=\"%s\"", OX_STR_ARG(group->id), wrong);
        for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;)
            remove_member(entry->value);
        ox_map_fini(&streams->held);
        ox_map_init(&streams->held);
        streams->epoch = OX_MAX(streams->epoch, streams->assignment_epoch);
    }
    group_epochs_mend(&streams->epoch, &streams->assignment_epoch);
    for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;) {
        streams_restart_session(entry->value);
        streams_start_rebalance_timer(entry->value);
    }
}
