/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups that the coordinator assigns, as their describe calls show them: consumer
 * and share groups here, streams groups in streams_describe.c. Classic groups are
 * described in admin.c. */
#include "coord/share_group.h"
#include "coord/streams_group.h"

/* ---- consumer groups ---- */

static void
consumer_member(const struct consumer_member *member, struct arena *arena,
    struct coord_modern_member *out)
{
    const struct consumer_subscription *own = &member->subscription;
    *out = (struct coord_modern_member){
        .member_id = ox_str_dup(arena, member->id),
        .instance_id = ox_str_dup(arena, own->instance_id),
        .rack_id = ox_str_dup(arena, own->rack_id),
        .client_id = ox_str_dup(arena, own->client_id),
        .client_host = ox_str_dup(arena, own->client_host),
        .regex = ox_str_dup(arena, own->regex),
        .member_epoch = member->epoch,
        .classic = own->classic,
        .topics = names_dup(own->topics, own->topic_count, arena),
        .topic_count = own->topic_count,
    };
    /* What it is to give up is still its own. */
    struct tpset held = {0};
    const struct tpset *sets[] = {&member->assigned, &member->revoking};
    for (size_t k = 0; k < ox_count(sets); k++)
        for (uint32_t i = 0; i < sets[k]->count; i++)
            tpset_add(&held, &sets[k]->at[i].topic, sets[k]->at[i].partition);
    tpset_sort(&held);
    consumer_list_partitions(member->group, &held, arena, true, &out->assigned,
        &out->assigned_count);
    tpset_fini(&held);
    consumer_list_partitions(member->group, &member->target, arena, true, &out->target,
        &out->target_count);
}

static void
consumer_describe(const struct group *group, struct coord_modern_call *call)
{
    const struct consumer_group *consumer = group->consumer;
    struct map_entry *entry;
    call->state = consumer_group_state(group);
    call->assignor = assignor_name(consumer_group_assignor(group));
    call->group_epoch = consumer->epoch;
    call->assignment_epoch = consumer->assignment_epoch;
    call->members = ox_arena_array(call->call.arena, struct coord_modern_member,
        consumer->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->members, &at)) != NULL;)
        consumer_member(entry->value, call->call.arena, &call->members[call->member_count++]);
}

/* ---- share groups ---- */

static void
share_member(const struct share_member *member, struct arena *arena,
    struct coord_modern_member *out)
{
    *out = (struct coord_modern_member){
        .member_id = ox_str_dup(arena, member->id),
        .rack_id = ox_str_dup(arena, member->rack_id),
        .client_id = ox_str_dup(arena, member->client_id),
        .client_host = ox_str_dup(arena, member->client_host),
        .member_epoch = member->epoch,
        .topics = names_dup(member->topics, member->topic_count, arena),
        .topic_count = member->topic_count,
    };
    consumer_list_partitions(member->group, &member->assigned, arena, true, &out->assigned,
        &out->assigned_count);
}

static void
share_describe(const struct group *group, struct coord_modern_call *call)
{
    const struct share_group *share = group->share;
    struct map_entry *entry;
    call->state = share_group_state(group);
    call->assignor = "simple"; /* the only one there is */
    call->group_epoch = share->epoch;
    call->assignment_epoch = share->assignment_epoch;
    call->members =
        ox_arena_array(call->call.arena, struct coord_modern_member, share->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;)
        share_member(entry->value, call->call.arena, &call->members[call->member_count++]);
}

/* ---- the call ---- */

static ox_code
describe(const struct group *group, struct coord_modern_call *call)
{
    if (group == NULL)
        return OX_GROUP_ID_NOT_FOUND;
    if (call->kind == COORD_CONSUMER_GROUP && group->consumer != NULL)
        consumer_describe(group, call);
    else if (call->kind == COORD_SHARE_GROUP && group->share != NULL)
        share_describe(group, call);
    else if (call->kind == COORD_STREAMS_GROUP && group->streams != NULL)
        streams_describe(group, call);
    else
        return OX_GROUP_ID_NOT_FOUND;
    return OX_OK;
}

static void
describe_run(struct coord_call *base)
{
    struct coord_modern_call *call = ox_container_of(base, struct coord_modern_call, call);
    struct shard *shard = call_shard(base);
    ox_code code = shard_ready(shard);
    call->state = call->assignor = "";
    call->group_epoch = call->assignment_epoch = 0;
    call->member_count = call->subtopology_count = 0;
    call->members = NULL;
    call->streams_members = NULL;
    call->has_topology = false;
    call_finish(base, code == OX_OK ? describe(group_find(shard, call->group_id), call) : code);
}

void
coord_modern_describe(struct coord *coord, struct coord_modern_call *call)
{
    call_start(coord, &call->call, call->group_id, describe_run);
}
