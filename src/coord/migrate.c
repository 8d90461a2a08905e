/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups on their way from the classic to the consumer protocol, and back.
 *
 *   classic group --first ConsumerGroupHeartbeat--> consumer group, whose
 *       members of old go on with JoinGroup, SyncGroup, Heartbeat
 *   consumer group --the last member of the new protocol leaves--> classic
 *       group, which rebalances
 *
 * To a classic member of a consumer group, its member epoch is the generation.
 * JoinGroup brings its subscription and what it owns, and is answered without
 * leader and members, so that it assigns nothing; SyncGroup gives it what the
 * coordinator assigned, as a blob of protocol type "consumer"; Heartbeat tells
 * it to join again whenever its assignment is about to change. From then it has
 * its rebalance timeout to do so, and again to sync: member->rebalance.
 *
 * All of it needs protocol type "consumer" and readable subscriptions. */
#include <string.h>

#include "base/diag.h"
#include "coord/consumer_int.h"

/* ---- partitions by name and by id ---- */

/* Topics that do not exist and partitions held by another are left out. */
static void
set_of_named(const struct group *group, const struct named_tp *named, size_t count,
    struct tpset *out)
{
    const struct coord_host *host = group->shard->coord->host;
    for (size_t i = 0; i < count; i++) {
        struct coord_topic facts;
        if (!host->topic_by_name(host->self, named[i].topic, &facts) || named[i].partition < 0 ||
            named[i].partition >= facts.partition_count)
            continue;
        tpset_add(out, &facts.id, named[i].partition);
    }
    tpset_sort(out);
}

static struct str
assignment_blob(const struct consumer_member *member, const struct tpset *set, struct arena *arena)
{
    const struct coord_host *host = member->group->shard->coord->host;
    struct named_tp *named = ox_arena_array(arena, struct named_tp, set->count);
    struct consumer_blob blob;
    size_t count = 0;
    int16_t version = 0;
    if (member->subscription.protocol_count > 0 &&
        consumer_subscription_read(member->subscription.protocols[0].metadata, arena, &blob))
        version = blob.version;
    for (uint32_t i = 0; i < set->count; i++) {
        struct coord_topic facts;
        if (host->topic_by_id(host->self, &set->at[i].topic, &facts))
            named[count++] = (struct named_tp){facts.name, set->at[i].partition};
    }
    return consumer_assignment_write(arena, version, named, count);
}

/* ---- upgrade ---- */

static struct str
subscription_blob(const struct group *group, const struct member *member)
{
    struct str blob = OX_STR_NULL;
    if (group->protocol.ptr != NULL)
        blob = member_metadata(member, group->protocol);
    return blob.ptr != NULL ? blob : member->protocols[0].metadata;
}

bool
migrate_possible(const struct group *group)
{
    struct map_entry *entry;
    struct arena arena;
    const struct coord_config *config = &group->shard->config;
    bool good = config->upgrade && group->consumer == NULL && group->members.count > 0 &&
                group->members.count <= (uint32_t)config->consumer_size_max &&
                ox_str_is(group->protocol_type, "consumer");
    ox_arena_init(&arena);
    for (uint32_t at = 0; good && (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        struct consumer_blob blob, assigned;
        /* What an assignor of the clients' has put by would be lost. */
        good = consumer_subscription_read(subscription_blob(group, member), &arena, &blob) &&
               consumer_assigned_read(member->assignment, &arena, &assigned) && !assigned.user_data;
    }
    ox_arena_fini(&arena);
    return good;
}

/* A classic member's subscription, in the arena; the blob was found readable. */
static void
subscription_of(const struct member *member, struct str blob_bytes, struct arena *arena,
    struct consumer_subscription *out)
{
    struct consumer_blob blob;
    consumer_subscription_read(blob_bytes, arena, &blob);
    *out = (struct consumer_subscription){
        .instance_id = ox_str_dup(arena, member->instance_id),
        .rack_id = blob.rack_id,
        .client_id = ox_str_dup(arena, member->client_id),
        .client_host = ox_str_dup(arena, member->client_host),
        .rebalance_timeout_ms = member->rebalance_timeout_ms,
        .classic = true,
        .session_timeout_ms = member->session_timeout_ms,
        .protocols = ox_arena_array(arena, struct member_protocol, member->protocol_count),
        .protocol_count = member->protocol_count,
    };
    subscription_set_topics(out, blob.topics, blob.topic_count, arena);
    for (size_t i = 0; i < out->protocol_count; i++) {
        out->protocols[i].name = ox_str_dup(arena, member->protocols[i].name);
        out->protocols[i].metadata = ox_str_dup(arena, member->protocols[i].metadata);
    }
}

/* The classic side of a group ends; nothing of it is logged here. */
static void
drop_classic(struct group *group)
{
    struct map_entry *entry;
    shard_timer_stop(group->shard, &group->join_timer);
    shard_timer_stop(group->shard, &group->sync_timer);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;)
        group_remove_member(entry->value);
    for (uint32_t at = 0; (entry = ox_map_next(&group->pending, &at)) != NULL;)
        group_remove_pending(entry->value);
    group_forget_subscriptions(group);
    group_set_protocol_type(group, OX_STR_NULL);
    group_set_protocol(group, OX_STR_NULL);
    group->generation = 0;
    group->storing = false;
    group->previous = group->state;
    group->state = GROUP_EMPTY;
}

struct moving {
    struct str id, assignment, held;
    struct consumer_subscription subscription;
};

static void
move_in(struct group *group, struct write *write, const struct moving *from, int32_t epoch)
{
    struct consumer_blob blob;
    struct tpset assigned = {0}, own = {0}, none = {0};
    if (consumer_assigned_read(from->assignment, &write->arena, &blob))
        set_of_named(group, blob.owned, blob.owned_count, &assigned);
    for (uint32_t i = 0; i < assigned.count; i++)
        if (consumer_holder(group->consumer, &assigned.at[i]) == NULL)
            tpset_add(&own, &assigned.at[i].topic, assigned.at[i].partition);
    put_target(write, from->id, &own);
    put_current(write, from->id, epoch, epoch, CONSUMER_STABLE, &own, &none);
    consumer_restart_session(consumer_member_find(group, from->id));
    tpset_fini(&assigned);
    tpset_fini(&own);
}

void
migrate_upgrade(struct group *group, struct write *write)
{
    struct arena *arena = &write->arena;
    struct map_entry *entry;
    int32_t epoch = group->generation;
    uint32_t count = 0;
    struct moving *moving = ox_arena_array(arena, struct moving, group->members.count);
    ox_info("group goes over to the consumer protocol", "group=%.*s members=%u",
        OX_STR_ARG(group->id), group->members.count);
    group_fail_parked(group, OX_REBALANCE_IN_PROGRESS);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        struct moving *to = &moving[count++];
        to->id = ox_str_dup(arena, member->id);
        to->assignment = /* two members must not have a partition */
            ox_str_dup(arena, member->held.ptr != NULL ? member->held : member->assignment);
        subscription_of(member, ox_str_dup(arena, subscription_blob(group, member)), arena,
            &to->subscription);
    }
    drop_classic(group);
    write->ahead = true;
    /* Also where its record is on its way. */
    write_add(write, record_group_key(arena, group->id), OX_STR_NULL);
    for (uint32_t i = 0; i < count; i++)
        put_member(write, moving[i].id, &moving[i].subscription);
    consumer_put_epoch(group, write, epoch);
    put_target_epoch(write, epoch, 0);
    for (uint32_t i = 0; i < count; i++)
        move_in(group, write, &moving[i], epoch);
}

/* ---- downgrade ---- */

static bool
only_classic(const struct group *group)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->consumer->members, &at)) != NULL;)
        if (!((struct consumer_member *)entry->value)->subscription.classic)
            return false;
    return group->consumer->members.count > 0;
}

static void
move_back(struct group *group, const struct moving *from)
{
    const struct consumer_subscription *own = &from->subscription;
    struct member *member = group_add_member(group, from->id, own->instance_id, own->client_id,
        own->client_host);
    member->session_timeout_ms = own->session_timeout_ms;
    member->rebalance_timeout_ms = own->rebalance_timeout_ms;
    _Static_assert(sizeof(struct coord_join_protocol) == sizeof(struct member_protocol),
        "the same two strings");
    member_set_protocols(member, (const struct coord_join_protocol *)(const void *)own->protocols,
        own->protocol_count);
    member_set_assignment(member, from->assignment);
    member->held = heap_str(from->held);
    member_restart_session(member, own->session_timeout_ms);
}

static void
gather(struct group *group, struct arena *arena, struct moving *out)
{
    struct map_entry *entry;
    uint32_t count = 0;
    for (uint32_t at = 0; (entry = ox_map_next(&group->consumer->members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        const struct consumer_subscription *own = &member->subscription;
        struct moving *to = &out[count++];
        to->id = ox_str_dup(arena, member->id);
        to->assignment = assignment_blob(member, &member->target, arena); /* as Kafka does */
        to->held = assignment_blob(member, &member->assigned, arena);
        to->subscription = *own;
        to->subscription.instance_id = ox_str_dup(arena, own->instance_id);
        to->subscription.client_id = ox_str_dup(arena, own->client_id);
        to->subscription.client_host = ox_str_dup(arena, own->client_host);
        to->subscription.protocols =
            ox_arena_array(arena, struct member_protocol, own->protocol_count);
        for (size_t i = 0; i < own->protocol_count; i++) {
            to->subscription.protocols[i].name = ox_str_dup(arena, own->protocols[i].name);
            to->subscription.protocols[i].metadata =
                ox_str_dup(arena, own->protocols[i].metadata);
        }
    }
}

bool
migrate_downgrade(struct group *group, struct write *write)
{
    const struct coord_config *config = &group->shard->config;
    if (!config->downgrade || !only_classic(group) ||
        group->consumer->members.count > (uint32_t)config->group_size_max)
        return false;
    struct arena *arena = &write->arena;
    uint32_t count = group->consumer->members.count;
    int32_t generation = group->consumer->epoch;
    struct moving *moving = ox_arena_array(arena, struct moving, count);
    ox_info("group goes back to the classic protocol", "group=%.*s members=%u",
        OX_STR_ARG(group->id), count);
    gather(group, arena, moving);
    for (uint32_t i = 0; i < count; i++)
        put_gone(write, KEY_CONSUMER_CURRENT, moving[i].id);
    for (uint32_t i = 0; i < count; i++)
        put_gone(write, KEY_CONSUMER_TARGET, moving[i].id);
    for (uint32_t i = 0; i < count; i++)
        put_gone(write, KEY_CONSUMER_MEMBER, moving[i].id);
    put_group_gone(write, group);
    group_set_protocol_type(group, OX_STR("consumer"));
    for (uint32_t i = 0; i < count; i++)
        move_back(group, &moving[i]);
    group_set_protocol(group, group_select_protocol(group));
    group->generation = generation;
    group->state = group->previous = GROUP_STABLE;
    group->state_since_ms = shard_wall(group->shard);
    group_add_record(write, group);
    group->logged = true;
    group_rebalance(group, "members of the new protocol left");
    return true;
}

/* ---- classic members ---- */

/* As group_validate(), among consumers; only members that speak classic. */
static ox_code
find_classic(const struct group *group, struct str member_id, struct str instance_id,
    struct consumer_member **out)
{
    *out = NULL;
    if (instance_id.ptr != NULL) {
        const struct consumer_member *holder =
            ox_map_get(&group->consumer->instances, instance_id);
        if (holder == NULL)
            return OX_UNKNOWN_MEMBER_ID;
        if (!ox_str_eq(holder->id, member_id))
            return OX_FENCED_INSTANCE_ID;
    }
    *out = consumer_member_find(group, member_id);
    return *out != NULL && (*out)->subscription.classic ? OX_OK : OX_UNKNOWN_MEMBER_ID;
}

static void
deadline_over(struct shard *shard, struct coord_timer *timer)
{
    consumer_fence(ox_container_of(timer, struct consumer_member, rebalance),
        "group member did not join or sync in time");
}

static void
start_deadline(struct consumer_member *member)
{
    shard_timer(member->group->shard, &member->rebalance,
        member->subscription.rebalance_timeout_ms, deadline_over);
}

/* ---- join ---- */

static void
join_done(struct shard *shard, struct write *write, ox_code code)
{
    struct coord_join_call *call = ox_container_of(write->call, struct coord_join_call, call);
    if (code != OX_OK)
        join_fail(call, write_error(code), OX_STR(""));
    else
        call_finish(&call->call, OX_OK);
}

/* Every classic member must support one of the protocols, by what it joined with. */
static bool
protocol_common(const struct group *group, const struct coord_join_call *call, size_t index)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->consumer->members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        bool found = !member->subscription.classic;
        for (size_t i = 0; !found && i < member->subscription.protocol_count; i++)
            found = ox_str_eq(member->subscription.protocols[i].name,
                call->protocols[index].name);
        if (!found)
            return false;
    }
    return true;
}

static bool
supported(const struct group *group, const struct coord_join_call *call)
{
    for (size_t i = 0; i < call->protocol_count; i++)
        if (protocol_common(group, call, i))
            return ox_str_is(call->protocol_type, "consumer");
    return false;
}

/* One join on its way through. */
struct joining {
    struct group *group;
    struct coord_join_call *call;
    struct consumer_blob blob;
    struct str member_id;
    struct consumer_member *member, *gone;
};

static struct str
new_member_id(const struct joining *joining)
{
    const struct coord_host *host = joining->group->shard->coord->host;
    struct uuid id;
    char text[23];
    host->random(host->self, &id, sizeof(id));
    ox_uuid_to_base64(&id, text);
    return ox_str_dup(joining->call->call.arena, ox_str(text));
}

static ox_code
find_joining(struct joining *joining)
{
    struct coord_join_call *call = joining->call;
    struct consumer_group *consumer = joining->group->consumer;
    struct consumer_member *holder =
        call->instance_id.ptr != NULL ? ox_map_get(&consumer->instances, call->instance_id) : NULL;
    bool fresh = call->member_id.len == 0;
    joining->member_id = fresh ? new_member_id(joining) : call->member_id;
    if (call->instance_id.ptr != NULL && !fresh && holder == NULL)
        return OX_UNKNOWN_MEMBER_ID;
    if (holder != NULL && !fresh && !ox_str_eq(holder->id, call->member_id))
        return OX_FENCED_INSTANCE_ID;
    joining->gone = fresh ? holder : NULL;
    joining->member = consumer_member_find(joining->group, joining->member_id);
    if (joining->member == NULL && joining->gone == NULL &&
        consumer->members.count >= (uint32_t)joining->group->shard->config.consumer_size_max)
        return OX_GROUP_MAX_SIZE_REACHED;
    if (fresh && call->instance_id.ptr == NULL && call->version >= 4)
        return OX_MEMBER_ID_REQUIRED;
    return OX_OK;
}

static void
put_joining(struct joining *joining, struct write *write, bool *bump)
{
    struct coord_join_call *call = joining->call;
    struct arena *arena = &write->arena;
    const struct consumer_member *from = joining->member ? joining->member : joining->gone;
    struct consumer_subscription next = {
        .instance_id = call->instance_id,
        .rack_id = joining->blob.rack_id,
        .client_id = call->client_id.ptr ? call->client_id : OX_STR(""),
        .client_host = call->client_host.ptr ? call->client_host : OX_STR(""),
        .rebalance_timeout_ms = call->rebalance_timeout_ms,
        .classic = true,
        .session_timeout_ms = call->session_timeout_ms,
        .protocols = ox_arena_array(arena, struct member_protocol, call->protocol_count),
        .protocol_count = call->protocol_count,
    };
    for (size_t i = 0; i < call->protocol_count; i++)
        next.protocols[i] =
            (struct member_protocol){call->protocols[i].name, call->protocols[i].metadata};
    subscription_set_topics(&next, joining->blob.topics, joining->blob.topic_count, arena);
    *bump = from == NULL || !subscription_wants_same(&next, &from->subscription);
    if (joining->member == NULL || !subscription_same(&next, &from->subscription))
        put_member(write, joining->member_id, &next);
    if (joining->gone != NULL)
        consumer_take_over(write, joining->gone, joining->member_id);
    joining->member = consumer_member_find(joining->group, joining->member_id);
}

static void
fill_answer(struct coord_join_call *call, const struct consumer_member *member)
{
    struct arena *arena = call->call.arena;
    call->generation = member->epoch;
    call->out_protocol_type = OX_STR("consumer");
    call->out_protocol = ox_str_dup(arena, member->subscription.protocols[0].name);
    call->leader = OX_STR("");
    call->out_member_id = ox_str_dup(arena, member->id);
    call->skip_assignment = false;
    call->members = NULL;
    call->member_count = 0;
}

static void
go_on(struct joining *joining)
{
    struct group *group = joining->group;
    struct coord_join_call *call = joining->call;
    struct write *write = write_new(group->shard, group);
    struct tpset owned = {0};
    bool bump;
    put_joining(joining, write, &bump);
    if (migrate_downgrade(group, write)) {
        /* It took the place of the last one of the new protocol. */
        write_submit(group->shard, write);
        call->member_id = joining->member_id;
        group_join_known(group, call);
        return;
    }
    consumer_move_epoch(group, write, bump);
    consumer_compute_target(group, write);
    set_of_named(group, joining->blob.owned, joining->blob.owned_count, &owned);
    consumer_reconcile(joining->member, write, &owned, bump);
    tpset_fini(&owned);
    consumer_restart_session(joining->member);
    start_deadline(joining->member);
    fill_answer(call, joining->member);
    if (write->record_count == 0 && group->writes == 1) {
        write_drop(group->shard, write);
        call_finish(&call->call, OX_OK);
        return;
    }
    write->call = &call->call;
    write->finish = join_done;
    write_submit(group->shard, write);
}

void
migrate_join(struct group *group, struct coord_join_call *call)
{
    struct joining joining = {.group = group, .call = call};
    const struct coord_config *config = &group->shard->config;
    if (!(config->upgrade || config->downgrade) || !supported(group, call)) {
        join_fail(call, OX_INCONSISTENT_GROUP_PROTOCOL, OX_STR(""));
        return;
    }
    ox_code code = find_joining(&joining);
    if (code == OX_OK && !consumer_subscription_read(call->protocols[0].metadata,
                             call->call.arena, &joining.blob))
        code = OX_INCONSISTENT_GROUP_PROTOCOL;
    if (code != OX_OK) {
        join_fail(call, code, code == OX_MEMBER_ID_REQUIRED ? joining.member_id : OX_STR(""));
        return;
    }
    go_on(&joining);
}

/* ---- sync, heartbeat, leave ---- */

static void
sync_done(struct shard *shard, struct write *write, ox_code code)
{
    struct coord_sync_call *call = ox_container_of(write->call, struct coord_sync_call, call);
    if (code != OX_OK)
        sync_fail(call, write_error(code));
    else
        call_finish(&call->call, OX_OK);
}

static ox_code
check_sync(struct group *group, const struct coord_sync_call *call, struct consumer_member **out)
{
    ox_code code = find_classic(group, call->member_id, call->instance_id, out);
    if (code != OX_OK)
        return code;
    const struct consumer_member *member = *out;
    if (call->generation != member->epoch)
        return OX_ILLEGAL_GENERATION;
    if ((call->protocol_type.ptr != NULL && !ox_str_is(call->protocol_type, "consumer")) ||
        (call->protocol.ptr != NULL &&
            !ox_str_eq(call->protocol, member->subscription.protocols[0].name)))
        return OX_INCONSISTENT_GROUP_PROTOCOL;
    if (group->consumer->assignment_epoch > member->epoch && member->state != CONSUMER_UNREVOKED)
        return OX_REBALANCE_IN_PROGRESS;
    return OX_OK;
}

void
migrate_sync(struct group *group, struct coord_sync_call *call)
{
    struct consumer_member *member;
    ox_code code = check_sync(group, call, &member);
    if (code == OX_REBALANCE_IN_PROGRESS && member->rebalance.slot == 0)
        start_deadline(member);
    if (code != OX_OK) {
        sync_fail(call, code);
        return;
    }
    shard_timer_stop(group->shard, &member->rebalance);
    consumer_restart_session(member);
    call->out_protocol_type = OX_STR("consumer");
    call->out_protocol = ox_str_dup(call->call.arena, member->subscription.protocols[0].name);
    call->assignment = assignment_blob(member, &member->assigned, call->call.arena);
    if (group->writes == 0) {
        call_finish(&call->call, OX_OK);
        return;
    }
    struct write *write = write_new(group->shard, group);
    write->call = &call->call;
    write->finish = sync_done;
    write_submit(group->shard, write);
}

/* Whether others hold some partition that the member is to get. */
static bool
waits_for_others(const struct consumer_member *member)
{
    for (uint32_t i = 0; i < member->target.count; i++)
        if (!tpset_has(&member->assigned, &member->target.at[i]) &&
            consumer_holder(member->group->consumer, &member->target.at[i]) != NULL)
            return true;
    return false;
}

ox_code
migrate_heartbeat(struct group *group, const struct coord_heartbeat_call *call)
{
    struct consumer_member *member;
    ox_code code = find_classic(group, call->member_id, call->instance_id, &member);
    if (code == OX_OK && call->generation != member->epoch)
        code = OX_ILLEGAL_GENERATION;
    if (code != OX_OK)
        return code;
    consumer_restart_session(member);
    if (member->epoch >= group->consumer->assignment_epoch &&
        member->state != CONSUMER_UNREVOKED &&
        (member->state != CONSUMER_UNRELEASED || waits_for_others(member)))
        return OX_OK;
    if (member->rebalance.slot == 0)
        start_deadline(member);
    return OX_REBALANCE_IN_PROGRESS;
}

static void
leave_done(struct shard *shard, struct write *write, ox_code code)
{
    call_finish(write->call, write_error(code));
}

static ox_code
find_leaver(const struct group *group, const struct coord_leave_member *leaver,
    struct consumer_member **out)
{
    if (leaver->member_id.len > 0)
        return find_classic(group, leaver->member_id, leaver->instance_id, out);
    *out = leaver->instance_id.ptr != NULL
               ? ox_map_get(&group->consumer->instances, leaver->instance_id)
               : NULL;
    return *out != NULL ? OX_OK : OX_UNKNOWN_MEMBER_ID;
}

void
migrate_leave(struct group *group, struct coord_leave_call *call)
{
    struct write *write = write_new(group->shard, group);
    for (size_t i = 0; i < call->member_count; i++) {
        struct consumer_member *member;
        call->members[i].code = find_leaver(group, &call->members[i], &member);
        if (call->members[i].code == OX_OK)
            consumer_remove_member(write, member);
    }
    if (write->record_count == 0) {
        write_drop(group->shard, write);
        call_finish(&call->call, OX_OK);
        return;
    }
    consumer_left(group, write);
    write->call = &call->call;
    write->finish = leave_done;
    write_submit(group->shard, write);
}
