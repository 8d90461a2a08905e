/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at groups and deleting them: DescribeGroups, ListGroups,
 * DeleteGroups, and the snapshot behind the views of SQL. */
#include "coord/share_group.h"
#include "coord/streams_group.h"

/* ---- describe ---- */

static void
describe_members(struct coord_describe_call *call, const struct group *group)
{
    struct arena *arena = call->call.arena;
    struct map_entry *entry;
    bool stable = group->state == GROUP_STABLE;
    call->members = ox_arena_array(arena, struct coord_described_member, group->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        call->members[call->member_count++] = (struct coord_described_member){
            .member_id = ox_str_dup(arena, member->id),
            .instance_id = ox_str_dup(arena, member->instance_id),
            .client_id = ox_str_dup(arena, member->client_id),
            .client_host = ox_str_dup(arena, member->client_host),
            .metadata = stable ? ox_str_dup(arena, member_metadata(member, group->protocol))
                               : OX_STR(""),
            /* As Kafka: the old one is shown while the group rebalances. */
            .assignment = ox_str_dup(arena, member->assignment),
        };
    }
}

static void
describe_run(struct coord_call *base)
{
    struct coord_describe_call *call = ox_container_of(base, struct coord_describe_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    ox_code code = shard_ready(shard);
    call->state = "";
    call->protocol_type = call->protocol = OX_STR("");
    call->members = NULL;
    call->member_count = 0;
    if (code == OX_OK) {
        group = group_find(shard, call->group_id);
        if (group == NULL || !group_is_classic(group)) {
            call->state = "Dead";
            code = OX_GROUP_ID_NOT_FOUND;
        }
    }
    if (code == OX_OK) {
        call->state = group_state_name(group);
        if (group->protocol_type.ptr != NULL)
            call->protocol_type = ox_str_dup(base->arena, group->protocol_type);
        if (group->state == GROUP_STABLE)
            call->protocol = ox_str_dup(base->arena, group->protocol);
        describe_members(call, group);
    }
    call_finish(base, code);
}

void
coord_describe(struct coord *coord, struct coord_describe_call *call)
{
    call_start(coord, &call->call, call->group_id, describe_run);
}

/* ---- list ---- */

static const char *
group_type(const struct group *group)
{
    return group->share != NULL      ? "share"
           : group->streams != NULL  ? "streams"
           : group->consumer != NULL ? "consumer"
                                     : "classic";
}

static struct str
group_protocol_type(const struct group *group)
{
    if (group->share != NULL)
        return OX_STR("share");
    if (group->streams != NULL)
        return OX_STR("streams");
    if (group->consumer != NULL)
        return OX_STR("consumer");
    return group->protocol_type.ptr != NULL ? group->protocol_type : OX_STR("");
}

/* The name by which a filter knows the state. */
static const char *
filter_name(const char *state)
{
    return strcmp(state, "NotReady") == 0 ? "not_ready" : state;
}

static bool
listed(const struct str *filter, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (ox_str_ieq(filter[i], ox_str(name)))
            return true;
    return count == 0;
}

static void
list_run(struct coord_call *base)
{
    struct coord_list_call *call = ox_container_of(base, struct coord_list_call, call);
    struct shard *shard = call_shard(base);
    struct map_entry *entry;
    ox_code code = shard_ready(shard);
    if (shard == NULL) {
        call_finish(base, OX_OK); /* no topic, no groups */
        return;
    }
    if (code == OX_COORDINATOR_LOAD_IN_PROGRESS || code == OX_COORDINATOR_NOT_AVAILABLE) {
        call->groups = NULL;
        call->group_count = 0;
        call_finish(base, code);
        return;
    }
    for (uint32_t at = 0; (entry = ox_map_next(&shard->groups, &at)) != NULL;) {
        const struct group *group = entry->value;
        const char *state = group_state_name(group), *type = group_type(group);
        if (!listed(call->states, call->state_count, filter_name(state)) ||
            !listed(call->types, call->type_count, type))
            continue;
        ox_arena_grow(base->arena, (void **)&call->groups, &call->group_cap,
            call->group_count + 1, sizeof(*call->groups));
        call->groups[call->group_count++] = (struct coord_listed_group){
            .group_id = ox_str_dup(base->arena, group->id),
            .protocol_type = ox_str_dup(base->arena, group_protocol_type(group)),
            .state = state,
            .type = type,
        };
    }
    call_next(base);
}

void
coord_list(struct coord *coord, struct coord_list_call *call)
{
    call->groups = NULL;
    call->group_count = call->group_cap = 0;
    call_start_all(coord, &call->call, list_run);
}

/* ---- delete ---- */

static void
delete_run(struct coord_call *base)
{
    struct coord_delete_call *call = ox_container_of(base, struct coord_delete_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    ox_code code = shard_ready(shard);
    if (code == OX_OK) {
        group = group_find(shard, call->group_id);
        if (group == NULL || group->state == GROUP_DEAD)
            code = OX_GROUP_ID_NOT_FOUND;
        else if (!group_is_empty(group))
            code = OX_NON_EMPTY_GROUP;
    }
    if (code != OX_OK) {
        call_finish(base, code);
        return;
    }
    /* Commits on their way end first: their offsets are deleted too. */
    group_transition(group, GROUP_DEAD);
    group->deleting = call;
    if (group->writes == 0)
        group_start_delete(group);
}

void
coord_delete(struct coord *coord, struct coord_delete_call *call)
{
    call_start(coord, &call->call, call->group_id, delete_run);
}

/* ---- snapshot ---- */

static void
snapshot_members(struct coord_snapshot_group *out, const struct group *group, struct arena *arena)
{
    struct map_entry *entry;
    bool consumer = group->protocol_type.ptr != NULL && ox_str_is(group->protocol_type, "consumer");
    out->members = ox_arena_array(arena, struct coord_snapshot_member, group->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        struct coord_snapshot_member *to = &out->members[out->member_count++];
        *to = (struct coord_snapshot_member){
            .member_id = ox_str_dup(arena, member->id),
            .instance_id = ox_str_dup(arena, member->instance_id),
            .client_id = ox_str_dup(arena, member->client_id),
            .client_host = ox_str_dup(arena, member->client_host),
            .session_timeout_ms = member->session_timeout_ms,
            .rebalance_timeout_ms = member->rebalance_timeout_ms,
            .leader = group->leader == member,
        };
        if (consumer && group->state == GROUP_STABLE)
            consumer_assignment_read(member->assignment, arena, &to->assigned,
                &to->assigned_count);
    }
}

/* One entry per partition run; topics that have gone are left out. */
static void
snapshot_assigned(struct coord_snapshot_member *to, const struct group *group,
    const struct tpset *set, struct arena *arena)
{
    const struct coord_host *host = group->shard->coord->host;
    to->assigned = ox_arena_array(arena, struct coord_offset_topic, set->count);
    for (uint32_t at = 0, end; at < set->count; at = end) {
        struct coord_topic facts;
        for (end = at; end < set->count; end++)
            if (!ox_uuid_eq(&set->at[end].topic, &set->at[at].topic))
                break;
        if (!host->topic_by_id(host->self, &set->at[at].topic, &facts))
            continue;
        struct coord_offset_topic *topic = &to->assigned[to->assigned_count++];
        topic->name = ox_str_dup(arena, facts.name);
        topic->partition_count = end - at;
        topic->partitions = ox_arena_array(arena, struct coord_offset, end - at);
        for (uint32_t i = at; i < end; i++)
            topic->partitions[i - at] = (struct coord_offset){.partition = set->at[i].partition,
                .leader_epoch = -1, .offset = -1, .commit_ms = -1, .metadata = OX_STR("")};
    }
}

static void
snapshot_consumers(struct coord_snapshot_group *out, const struct group *group,
    struct arena *arena)
{
    struct map_entry *entry;
    const struct map *members = &group->consumer->members;
    out->members = ox_arena_array(arena, struct coord_snapshot_member, members->count);
    for (uint32_t at = 0; (entry = ox_map_next(members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        struct coord_snapshot_member *to = &out->members[out->member_count++];
        *to = (struct coord_snapshot_member){
            .member_id = ox_str_dup(arena, member->id),
            .instance_id = ox_str_dup(arena, member->subscription.instance_id),
            .client_id = ox_str_dup(arena, member->subscription.client_id),
            .client_host = ox_str_dup(arena, member->subscription.client_host),
            .session_timeout_ms = group->shard->config.consumer_session_ms,
            .rebalance_timeout_ms = member->subscription.rebalance_timeout_ms,
        };
        snapshot_assigned(to, group, &member->assigned, arena);
    }
}

static void
snapshot_sharers(struct coord_snapshot_group *out, const struct group *group, struct arena *arena)
{
    struct map_entry *entry;
    const struct map *members = &group->share->members;
    out->members = ox_arena_array(arena, struct coord_snapshot_member, members->count);
    for (uint32_t at = 0; (entry = ox_map_next(members, &at)) != NULL;) {
        const struct share_member *member = entry->value;
        struct coord_snapshot_member *to = &out->members[out->member_count++];
        *to = (struct coord_snapshot_member){
            .member_id = ox_str_dup(arena, member->id),
            .client_id = ox_str_dup(arena, member->client_id),
            .client_host = ox_str_dup(arena, member->client_host),
            .session_timeout_ms = group->shard->config.share_session_ms,
        };
        snapshot_assigned(to, group, &member->assigned, arena);
    }
}

static void
snapshot_streams(struct coord_snapshot_group *out, const struct group *group, struct arena *arena)
{
    struct map_entry *entry;
    const struct map *members = &group->streams->members;
    out->members = ox_arena_array(arena, struct coord_snapshot_member, members->count);
    for (uint32_t at = 0; (entry = ox_map_next(members, &at)) != NULL;) {
        const struct streams_member *member = entry->value;
        struct coord_tasks *tasks = ox_arena_array(arena, struct coord_tasks, COORD_TASK_KINDS);
        for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
            tasks[kind] =
                streams_task_rows(group->streams, &member->current.assigned.of[kind], arena);
        out->members[out->member_count++] = (struct coord_snapshot_member){
            .member_id = ox_str_dup(arena, member->id),
            .client_id = ox_str_dup(arena, member->said.client_id),
            .client_host = ox_str_dup(arena, member->said.client_host),
            .session_timeout_ms = group->shard->config.streams_session_ms,
            .rebalance_timeout_ms = member->said.rebalance_timeout_ms,
            .instance_id = ox_str_dup(arena, member->said.instance_id),
            .tasks = tasks,
        };
    }
}

static void
snapshot_offsets(struct coord_snapshot_group *out, const struct group *group, struct arena *arena)
{
    struct map_entry *entry;
    out->topics = ox_arena_array(arena, struct coord_offset_topic, group->topics.count);
    for (uint32_t at = 0; (entry = ox_map_next(&group->topics, &at)) != NULL;) {
        const struct group_topic *from = entry->value;
        struct coord_offset_topic *to = &out->topics[out->topic_count++];
        to->name = ox_str_dup(arena, from->name);
        to->partitions = ox_arena_array(arena, struct coord_offset, from->count);
        to->partition_count = from->count;
        for (uint32_t i = 0; i < from->count; i++) {
            const struct committed *own = &from->partitions[i];
            to->partitions[i] = (struct coord_offset){
                .partition = own->partition,
                .leader_epoch = own->leader_epoch,
                .offset = own->offset,
                .metadata = own->metadata.len > 0 ? ox_str_dup(arena, own->metadata) : OX_STR(""),
                .commit_ms = own->commit_ms,
            };
        }
    }
}

static void
snapshot_group(struct coord_snapshot_call *call, const struct group *group)
{
    struct arena *arena = call->call.arena;
    ox_arena_grow(arena, (void **)&call->groups, &call->group_cap, call->group_count + 1,
        sizeof(*call->groups));
    struct coord_snapshot_group *out = &call->groups[call->group_count++];
    bool chosen = group->protocol.ptr != NULL;
    *out = (struct coord_snapshot_group){
        .group_id = ox_str_dup(arena, group->id),
        .protocol_type = ox_str_dup(arena, group_protocol_type(group)),
        .protocol = chosen ? ox_str_dup(arena, group->protocol)
                    : group->consumer != NULL ? ox_str(assignor_name(consumer_group_assignor(group)))
                    : group->share != NULL    ? OX_STR("simple")
                    : group->streams != NULL  ? OX_STR("sticky")
                                              : OX_STR(""),
        .state = group_state_name(group),
        .type = group_type(group),
        .generation = group->consumer != NULL ? group->consumer->epoch
                      : group->share != NULL  ? group->share->epoch
                      : group->streams != NULL ? group->streams->epoch
                                               : group->generation,
        .partition = group->shard->partition,
        .state_since_ms = group->state_since_ms,
    };
    if (call->with_members && group->consumer != NULL)
        snapshot_consumers(out, group, arena);
    else if (call->with_members && group->share != NULL)
        snapshot_sharers(out, group, arena);
    else if (call->with_members && group->streams != NULL)
        snapshot_streams(out, group, arena);
    else if (call->with_members)
        snapshot_members(out, group, arena);
    if (call->with_offsets)
        snapshot_offsets(out, group, arena);
}

static void
snapshot_run(struct coord_call *base)
{
    struct coord_snapshot_call *call = ox_container_of(base, struct coord_snapshot_call, call);
    struct shard *shard = call_shard(base);
    struct map_entry *entry;
    if (shard == NULL) {
        call_finish(base, OX_OK);
        return;
    }
    if (shard_ready(shard) == OX_COORDINATOR_LOAD_IN_PROGRESS)
        base->code = OX_COORDINATOR_LOAD_IN_PROGRESS;
    if (call->group_id.ptr != NULL) {
        const struct group *group = group_find(shard, call->group_id);
        if (group != NULL && shard->state == SHARD_ACTIVE)
            snapshot_group(call, group);
        call_finish(base, base->code);
        return;
    }
    for (uint32_t at = 0; shard->state == SHARD_ACTIVE &&
                          (entry = ox_map_next(&shard->groups, &at)) != NULL;)
        snapshot_group(call, entry->value);
    call_next(base);
}

void
coord_snapshot(struct coord *coord, struct coord_snapshot_call *call)
{
    call->groups = NULL;
    call->group_count = call->group_cap = 0;
    if (call->group_id.ptr != NULL)
        call_start(coord, &call->call, call->group_id, snapshot_run);
    else
        call_start_all(coord, &call->call, snapshot_run);
}
