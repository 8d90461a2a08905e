/* SPDX-License-Identifier: Apache-2.0
 *
 * Classic groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup and the timers
 * behind them. The states are drawn in group.c.
 *
 * A join is parked in its member until the group has a new generation: when all
 * known members are parked and nobody is pending, or when time is up. A sync is
 * parked until the leader's assignment is in the log. A member whose call is
 * parked counts as alive; else its session timer removes it.
 *
 * Timers: a member's session (its first join: new_member_join_ms_max even while
 * parked); a pending member (session timeout); the group's join timer (initial
 * delay, then the largest rebalance timeout); its sync timer (the same length).
 *
 * A parked call that the same member repeats is answered with
 * OX_REBALANCE_IN_PROGRESS: its client has given up on it. */
#include <string.h>

#include "base/diag.h"
#include "coord/share_group.h"
#include "coord/streams_group.h"

enum { PENDING_MAX = 100000, STATIC_WAIT_MS_MIN = 1000 };

static void complete_join(struct group *group);
static void session_expired(struct shard *shard, struct coord_timer *timer);

/* ---- answers ---- */

void
join_fail(struct coord_join_call *call, ox_code code, struct str member_id)
{
    call->generation = -1;
    call->out_protocol_type = call->out_protocol = OX_STR_NULL;
    call->leader = OX_STR("");
    call->out_member_id = ox_str_dup(call->call.arena, member_id);
    call->skip_assignment = false;
    call->members = NULL;
    call->member_count = 0;
    call_finish(&call->call, code);
}

static void
join_list_members(struct coord_join_call *call, const struct group *group)
{
    struct arena *arena = call->call.arena;
    struct map_entry *entry;
    call->members = ox_arena_array(arena, struct coord_join_member, group->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        struct str metadata = member_metadata(member, group->protocol);
        call->members[call->member_count++] = (struct coord_join_member){
            .member_id = ox_str_dup(arena, member->id),
            .instance_id = ox_str_dup(arena, member->instance_id),
            .metadata = ox_str_dup(arena, metadata.ptr ? metadata : OX_STR("")),
        };
    }
}

/* The group's current generation; the list of members for the leader only. */
static void
join_answer_current(struct coord_join_call *call, const struct member *member)
{
    const struct group *group = member->group;
    struct arena *arena = call->call.arena;
    call->generation = group->generation;
    call->out_protocol_type = ox_str_dup(arena, group->protocol_type);
    call->out_protocol = ox_str_dup(arena, group->protocol);
    call->leader = ox_str_dup(arena, group->leader->id);
    call->out_member_id = ox_str_dup(arena, member->id);
    call->skip_assignment = false;
    call->members = NULL;
    call->member_count = 0;
    if (group->leader == member)
        join_list_members(call, group);
    call_finish(&call->call, OX_OK);
}

void
sync_fail(struct coord_sync_call *call, ox_code code)
{
    call->out_protocol_type = call->out_protocol = OX_STR_NULL;
    call->assignment = OX_STR("");
    call_finish(&call->call, code);
}

static void
sync_answer_current(struct coord_sync_call *call, const struct member *member)
{
    struct arena *arena = call->call.arena;
    call->out_protocol_type = ox_str_dup(arena, member->group->protocol_type);
    call->out_protocol = ox_str_dup(arena, member->group->protocol);
    call->assignment = ox_str_dup(arena, member->assignment);
    call_finish(&call->call, OX_OK);
}

static void
fail_join(struct member *member, ox_code code, struct str member_id)
{
    struct coord_join_call *call = member_take_join(member);
    if (call != NULL)
        join_fail(call, code, member_id);
}

static void
fail_sync(struct member *member, ox_code code)
{
    struct coord_sync_call *call = member->sync;
    member->sync = NULL;
    if (call != NULL)
        sync_fail(call, code);
}

void
group_fail_parked(struct group *group, ox_code code)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        fail_join(entry->value, code, OX_STR(""));
        fail_sync(entry->value, code);
    }
    if (group->deleting != NULL) {
        struct coord_call *call = &group->deleting->call;
        group->deleting = NULL;
        call_finish(call, code);
    }
}

/* ---- sessions ---- */

void
member_restart_session(struct member *member, int32_t timeout_ms)
{
    shard_timer(member->group->shard, &member->session, timeout_ms, session_expired);
}

static void
restart_session(struct member *member)
{
    member_restart_session(member, member->session_timeout_ms);
}

static bool
all_joined(const struct group *group)
{
    return group->members.count == group->joins_parked && group->pending.count == 0;
}

/* The initial delay is waited for in any case. */
static void
maybe_complete_join(struct group *group)
{
    if (group->state == GROUP_PREPARING && group->previous != GROUP_EMPTY && all_joined(group))
        complete_join(group);
}

static void
remove_member(struct member *member)
{
    fail_join(member, OX_UNKNOWN_MEMBER_ID, OX_STR(""));
    fail_sync(member, OX_UNKNOWN_MEMBER_ID);
    group_remove_member(member);
}

/* Members or pending members have gone. */
static void
after_removal(struct group *group, const char *reason)
{
    if (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING)
        group_rebalance(group, reason);
    else
        maybe_complete_join(group);
}

static void
session_expired(struct shard *shard, struct coord_timer *timer)
{
    struct member *member = ox_container_of(timer, struct member, session);
    struct group *group = member->group;
    if (!member->is_new && (member->join != NULL || member->sync != NULL))
        return; /* the answer restarts it */
    ox_info("group member timed out", "group=%.*s member=%.*s", OX_STR_ARG(group->id),
        OX_STR_ARG(member->id));
    remove_member(member);
    after_removal(group, "member timed out");
    ox_check_slow((group_check(group), true));
}

static void
pending_expired(struct shard *shard, struct coord_timer *timer)
{
    struct pending_member *pending = ox_container_of(timer, struct pending_member, timer);
    struct group *group = pending->group;
    group_remove_pending(pending);
    maybe_complete_join(group);
    group_maybe_drop(group);
}

/* ---- rebalance ---- */

static void
reset_assignments(struct group *group, ox_code code)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        struct member *member = entry->value;
        member_set_assignment(member, OX_STR(""));
        heap_str_free(&member->offered);
        if (member->sync != NULL) {
            fail_sync(member, code);
            restart_session(member);
        }
    }
}

static void
forget_pending_syncs(struct group *group)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;)
        ((struct member *)entry->value)->sync_pending = false;
    group->syncs_pending = 0;
    shard_timer_stop(group->shard, &group->sync_timer);
}

static void
join_timeout(struct shard *shard, struct coord_timer *timer)
{
    struct group *group = ox_container_of(timer, struct group, join_timer);
    complete_join(group);
    ox_check_slow((group_check(group), true));
}

/* New members that came during the delay prolong it, up to the rebalance timeout. */
static void
initial_delay_over(struct shard *shard, struct coord_timer *timer)
{
    struct group *group = ox_container_of(timer, struct group, join_timer);
    if (!group->new_member_added || group->delay_left_ms == 0) {
        complete_join(group);
        return;
    }
    group->new_member_added = false;
    int32_t spent = group->delay_ms;
    group->delay_ms = OX_MIN(shard->config.initial_rebalance_delay_ms, group->delay_left_ms);
    group->delay_left_ms = OX_MAX(group->delay_left_ms - spent, 0);
    shard_timer(shard, timer, group->delay_ms, initial_delay_over);
}

void
group_rebalance(struct group *group, const char *reason)
{
    struct shard *shard = group->shard;
    bool initial = group->state == GROUP_EMPTY;
    if (group->state == GROUP_COMPLETING)
        reset_assignments(group, OX_REBALANCE_IN_PROGRESS);
    forget_pending_syncs(group);
    group_transition(group, GROUP_PREPARING);
    ox_info("group rebalances", "group=%.*s generation=%d members=%u reason=\"%s\"",
        OX_STR_ARG(group->id), group->generation, group->members.count, reason);
    if (initial) {
        group->new_member_added = false;
        group->delay_ms = shard->config.initial_rebalance_delay_ms;
        group->delay_left_ms = OX_MAX(group_rebalance_timeout(group) - group->delay_ms, 0);
        shard_timer(shard, &group->join_timer, group->delay_ms, initial_delay_over);
    } else if (all_joined(group)) {
        complete_join(group);
    } else {
        shard_timer(shard, &group->join_timer, group_rebalance_timeout(group), join_timeout);
    }
}

static void
maybe_prepare_rebalance(struct group *group, const char *reason)
{
    if (group->state == GROUP_PREPARING)
        maybe_complete_join(group);
    else
        group_rebalance(group, reason);
}

/* The leader stays if it rejoined, else the first who did leads. False: nobody did. */
static bool
elect_leader(struct group *group)
{
    struct map_entry *entry;
    if (group->leader != NULL && group->leader->join != NULL)
        return true;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        struct member *member = entry->value;
        if (member->join != NULL) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void
sync_timeout(struct shard *shard, struct coord_timer *timer)
{
    struct group *group = ox_container_of(timer, struct group, sync_timer);
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        struct member *member = entry->value;
        if (member->sync_pending)
            remove_member(member);
    }
    group_rebalance(group, "members did not sync in time");
    ox_check_slow((group_check(group), true));
}

static void
snapshot_done(struct shard *shard, struct write *write, ox_code code)
{
    if (code == OX_OK)
        write->group->logged = true;
}

static void
become_empty(struct group *group)
{
    group_set_protocol(group, OX_STR_NULL);
    group_transition(group, GROUP_EMPTY);
    struct write *write = write_new(group->shard, group);
    write->finish = snapshot_done;
    group_add_record(write, group);
    write_submit(group->shard, write);
}

static void
complete_join(struct group *group)
{
    struct shard *shard = group->shard;
    struct map_entry *entry;
    shard_timer_stop(shard, &group->join_timer);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        struct member *member = entry->value;
        if (member->join == NULL && member->instance_id.ptr == NULL)
            remove_member(member);
    }
    if (!elect_leader(group) && group->members.count > 0) {
        /* Only static members, and none came back: wait for their sessions. A
         * client's rebalance timeout may be 0. */
        shard_timer(shard, &group->join_timer,
            OX_MAX(group_rebalance_timeout(group), STATIC_WAIT_MS_MIN), join_timeout);
        return;
    }
    group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
    group->storing = false;
    group_forget_subscriptions(group);
    forget_pending_syncs(group);
    if (group->members.count == 0) {
        become_empty(group);
        return;
    }
    group_set_protocol(group, group_select_protocol(group));
    group_transition(group, GROUP_COMPLETING);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        struct member *member = entry->value;
        struct coord_join_call *call = member_take_join(member);
        member->is_new = false;
        member->sync_pending = true;
        group->syncs_pending++;
        restart_session(member);
        if (call != NULL)
            join_answer_current(call, member);
    }
    shard_timer(shard, &group->sync_timer, group_rebalance_timeout(group), sync_timeout);
}

/* ---- join ---- */

ox_code
group_validate(struct group *group, struct str member_id, struct str instance_id,
    struct member **out)
{
    *out = NULL;
    if (instance_id.ptr != NULL) {
        struct member *holder = group_instance(group, instance_id);
        if (holder == NULL)
            return OX_UNKNOWN_MEMBER_ID;
        if (!ox_str_eq(holder->id, member_id))
            return OX_FENCED_INSTANCE_ID;
    }
    *out = group_member(group, member_id);
    return *out == NULL ? OX_UNKNOWN_MEMBER_ID : OX_OK;
}

struct str
join_member_id(struct shard *shard, const struct coord_join_call *call)
{
    struct uuid id;
    char hex[37];
    shard->coord->host->random(shard->coord->host->self, &id, sizeof(id));
    id.bytes[6] = (id.bytes[6] & 0x0F) | 0x40;
    id.bytes[8] = (id.bytes[8] & 0x3F) | 0x80;
    ox_uuid_to_hex(&id, hex);
    struct str prefix = call->instance_id.ptr != NULL ? call->instance_id : call->client_id;
    return ox_str(ox_arena_printf(call->call.arena, "%.*s-%s", OX_STR_ARG(prefix), hex));
}

/* Whether the group may take (or keep) the one who asks. A group that shrank its
 * limit lets in who rejoins first. */
static bool
has_room(const struct group *group, struct str member_id)
{
    const struct member *member = group_member(group, member_id);
    uint32_t max = (uint32_t)group->shard->config.group_size_max;
    if (member_id.len == 0 && group->pending.count >= (uint32_t)PENDING_MAX)
        return false;
    switch (group->state) {
    case GROUP_EMPTY:
    case GROUP_DEAD:
        return true;
    case GROUP_PREPARING:
        return (member != NULL && member->join != NULL) || group->joins_parked < max;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        return member != NULL || group->members.count < max;
    }
    ox_unreachable();
}

static void
update_member(struct member *member, struct coord_join_call *call)
{
    member_set_protocols(member, call->protocols, call->protocol_count);
    member->session_timeout_ms = call->session_timeout_ms;
    member->rebalance_timeout_ms = call->rebalance_timeout_ms;
    fail_join(member, OX_REBALANCE_IN_PROGRESS, member->id);
}

static void
add_member(struct group *group, struct coord_join_call *call, struct str member_id)
{
    if (group->members.count == 0)
        group_set_protocol_type(group, call->protocol_type);
    struct member *member = group_add_member(group, member_id, call->instance_id,
        call->client_id, call->client_host);
    member->is_new = true;
    update_member(member, call);
    member_park_join(member, call);
    member_restart_session(member, group->shard->config.new_member_join_ms_max);
    if (group->state == GROUP_PREPARING && group->previous == GROUP_EMPTY)
        group->new_member_added = true;
    maybe_prepare_rebalance(group, "new member");
}

static void
rejoin(struct member *member, struct coord_join_call *call, const char *reason)
{
    update_member(member, call);
    member_park_join(member, call);
    maybe_prepare_rebalance(member->group, reason);
}

/* The protocols, times and id that a static member had before it was replaced,
 * to be restored if the log does not take the replacement. */
struct replaced {
    struct str id;
    struct coord_join_protocol *protocols;
    size_t protocol_count;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    struct coord_join_call *call;
    bool old_was_leader;
};

static struct replaced *
remember_member(struct write *write, const struct member *member)
{
    struct arena *arena = &write->arena;
    struct replaced *old = ox_arena_new(arena, struct replaced);
    old->id = ox_str_dup(arena, member->id);
    old->protocols = ox_arena_array(arena, struct coord_join_protocol, member->protocol_count);
    old->protocol_count = member->protocol_count;
    for (size_t i = 0; i < old->protocol_count; i++)
        old->protocols[i] = (struct coord_join_protocol){
            ox_str_dup(arena, member->protocols[i].name),
            ox_str_dup(arena, member->protocols[i].metadata),
        };
    old->session_timeout_ms = member->session_timeout_ms;
    old->rebalance_timeout_ms = member->rebalance_timeout_ms;
    old->old_was_leader = member->group->leader == member;
    return old;
}

static void
restore_member(struct member *member, const struct replaced *old)
{
    group_rename_member(member, old->id);
    member_set_protocols(member, old->protocols, old->protocol_count);
    member->session_timeout_ms = old->session_timeout_ms;
    member->rebalance_timeout_ms = old->rebalance_timeout_ms;
    restart_session(member);
}

/* The replacement of a static member is in the log: it goes on in the current
 * generation. Before version 9 a client that reads its own id as the leader's
 * would assign anew, so it is shown the id it had before. */
static void
replacement_done(struct shard *shard, struct write *write, ox_code code)
{
    struct group *group = write->group;
    const struct replaced *old = write->extra;
    struct coord_join_call *call = old->call;
    struct member *member = shard->state == SHARD_ACTIVE ? group_member(group, write->member_id)
                                                         : NULL;
    if (member == NULL || member->join != call)
        return; /* answered by something else meanwhile */
    if (group->state != GROUP_STABLE || group->generation != write->generation)
        return; /* it takes part in the rebalance that has begun */
    member_take_join(member);
    if (code != OX_OK) {
        restore_member(member, old);
        join_fail(call, write_error(code), call->member_id);
        return;
    }
    restart_session(member);
    bool leads = group->leader == member;
    struct arena *arena = call->call.arena;
    call->generation = group->generation;
    call->out_protocol_type = ox_str_dup(arena, group->protocol_type);
    call->out_protocol = ox_str_dup(arena, group->protocol);
    call->out_member_id = ox_str_dup(arena, member->id);
    call->members = NULL;
    call->member_count = 0;
    call->skip_assignment = call->version >= 9 && leads;
    call->leader = ox_str_dup(arena, call->version < 9 && leads ? old->id : group->leader->id);
    if (call->skip_assignment)
        join_list_members(call, group);
    call_finish(&call->call, OX_OK);
}

static void
replace_static(struct member *member, struct coord_join_call *call, struct str member_id)
{
    struct group *group = member->group;
    struct shard *shard = group->shard;
    struct write *write = write_new(shard, group);
    struct replaced *old = remember_member(write, member);
    old->call = call;
    ox_info("static group member was replaced", "group=%.*s instance=%.*s old=%.*s new=%.*s",
        OX_STR_ARG(group->id), OX_STR_ARG(member->instance_id), OX_STR_ARG(member->id),
        OX_STR_ARG(member_id));
    fail_join(member, OX_FENCED_INSTANCE_ID, member->id);
    fail_sync(member, OX_FENCED_INSTANCE_ID);
    group_rename_member(member, member_id);
    member->is_new = false;
    update_member(member, call);
    member_park_join(member, call);
    restart_session(member);
    if (group->state == GROUP_STABLE &&
        ox_str_eq(group_select_protocol(group), group->protocol)) {
        write->extra = old;
        write->member_id = ox_str_dup(&write->arena, member_id);
        write->generation = group->generation;
        write->finish = replacement_done;
        group_add_record(write, group);
        write_submit(shard, write);
        return;
    }
    write_drop(shard, write);
    /* While the group completes, the leader may be assigning to the old id. */
    maybe_prepare_rebalance(group, "static member was replaced");
}

static void
join_new(struct group *group, struct coord_join_call *call)
{
    struct shard *shard = group->shard;
    struct str member_id = join_member_id(shard, call);
    struct member *holder = group_instance(group, call->instance_id);
    if (holder != NULL) {
        replace_static(holder, call, member_id);
    } else if (call->instance_id.ptr == NULL && call->version >= 4) {
        struct pending_member *pending = group_add_pending(group, member_id);
        group->lingers = true;
        shard_timer(shard, &pending->timer, call->session_timeout_ms, pending_expired);
        join_fail(call, OX_MEMBER_ID_REQUIRED, member_id);
    } else {
        add_member(group, call, member_id);
    }
}

void
group_join_known(struct group *group, struct coord_join_call *call)
{
    struct member *member;
    if (ox_map_get(&group->pending, call->member_id) != NULL && call->instance_id.ptr == NULL) {
        add_member(group, call, call->member_id);
        return;
    }
    ox_code code = group_validate(group, call->member_id, call->instance_id, &member);
    if (code != OX_OK) {
        join_fail(call, code, call->member_id);
        return;
    }
    bool same = member_matches(member, call->protocols, call->protocol_count);
    switch (group->state) {
    case GROUP_PREPARING:
        rejoin(member, call, "member rejoins");
        return;
    case GROUP_COMPLETING:
        if (same)
            join_answer_current(call, member); /* it missed the answer */
        else
            rejoin(member, call, "member changed its metadata");
        return;
    case GROUP_STABLE:
        if (group->leader == member)
            rejoin(member, call, "leader rejoins");
        else if (!same)
            rejoin(member, call, "member changed its metadata");
        else if (member->join != NULL)
            rejoin(member, call, "static member rejoins while it is being replaced");
        else
            join_answer_current(call, member);
        return;
    case GROUP_EMPTY:
    case GROUP_DEAD:
        ox_unreachable(); /* they have no member */
    }
}

static void
turn_away(struct group *group, struct coord_join_call *call)
{
    struct pending_member *pending = ox_map_get(&group->pending, call->member_id);
    struct member *member = group_member(group, call->member_id);
    join_fail(call, OX_GROUP_MAX_SIZE_REACHED, OX_STR(""));
    if (pending != NULL)
        group_remove_pending(pending);
    if (member != NULL)
        remove_member(member);
    if (pending != NULL || member != NULL)
        maybe_complete_join(group);
}

/* What goes into a record must fit its 16-bit lengths. 40: "-" and a uuid. */
static bool
join_fits(const struct coord_join_call *call)
{
    size_t max = INT16_MAX - 40;
    for (size_t i = 0; i < call->protocol_count; i++)
        if (call->protocols[i].name.len > max)
            return false;
    return call->member_id.len <= max && call->instance_id.len <= max &&
           call->client_id.len <= max && call->client_host.len <= max &&
           call->protocol_type.len <= max;
}

/* A consumer or streams group without members gives way; its offsets stay. */
static void
become_classic(struct group *group)
{
    struct write *write = write_new(group->shard, group);
    if (group->streams != NULL)
        put_streams_group_gone(write);
    else
        put_group_gone(write, group);
    write_submit(group->shard, write);
}

static void
join_run(struct coord_call *base)
{
    struct coord_join_call *call = ox_container_of(base, struct coord_join_call, call);
    struct shard *shard = call_shard(base);
    struct group *group;
    ox_code code = shard_ready(shard);
    if (code == OX_OK && (call->group_id.len == 0 || call->group_id.len > INT16_MAX))
        code = OX_INVALID_GROUP_ID;
    if (code == OX_OK && !join_fits(call))
        code = OX_INVALID_REQUEST;
    if (code == OX_OK && (call->session_timeout_ms < shard->config.session_timeout_ms_min ||
                             call->session_timeout_ms > shard->config.session_timeout_ms_max))
        code = OX_INVALID_SESSION_TIMEOUT;
    if (code != OX_OK) {
        join_fail(call, code, call->member_id);
        return;
    }
    if (call->rebalance_timeout_ms < 0)
        call->rebalance_timeout_ms = call->session_timeout_ms;
    group = group_find(shard, call->group_id);
    if (group == NULL && call->member_id.len > 0) {
        join_fail(call, OX_UNKNOWN_MEMBER_ID, call->member_id);
        return;
    }
    code = group_get(shard, call->group_id, &group);
    if (code != OX_OK) {
        join_fail(call, code, call->member_id);
        return;
    }
    if ((group->consumer != NULL || group->streams != NULL) && group_is_empty(group))
        become_classic(group);
    if (group->share != NULL || group->streams != NULL)
        join_fail(call, OX_INCONSISTENT_GROUP_PROTOCOL, OX_STR(""));
    else if (group->state == GROUP_DEAD)
        join_fail(call, OX_COORDINATOR_NOT_AVAILABLE, call->member_id);
    else if (group->consumer != NULL && !group_is_empty(group))
        migrate_join(group, call);
    else if (!has_room(group, call->member_id))
        turn_away(group, call);
    else if (!group_supports(group, call->protocol_type, call->protocols, call->protocol_count))
        join_fail(call, OX_INCONSISTENT_GROUP_PROTOCOL, call->member_id);
    else if (call->member_id.len == 0)
        join_new(group, call);
    else
        group_join_known(group, call);
    ox_check_slow((group_check(group), true));
    group_maybe_drop(group);
}

void
coord_join(struct coord *coord, struct coord_join_call *call)
{
    call_start(coord, &call->call, call->group_id, join_run);
}

/* ---- sync ---- */

/* A snapshot of the group; with the assignments that were offered, if there are. */
void
group_add_record(struct write *write, const struct group *group)
{
    struct arena *arena = &write->arena;
    struct map_entry *entry;
    struct record_group value = {
        .protocol_type = group->protocol_type.ptr ? group->protocol_type : OX_STR(""),
        .protocol = group->protocol,
        .leader = group->leader ? group->leader->id : OX_STR_NULL,
        .generation = group->generation,
        .state_since_ms = group->state_since_ms,
        .members = ox_arena_array(arena, struct record_member, group->members.count),
    };
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        value.members[value.member_count++] = (struct record_member){
            .id = member->id,
            .instance_id = member->instance_id,
            .client_id = member->client_id,
            .client_host = member->client_host,
            .rebalance_timeout_ms = member->rebalance_timeout_ms,
            .session_timeout_ms = member->session_timeout_ms,
            .subscription = member_metadata(member, group->protocol),
            .assignment = member->offered.ptr ? member->offered : member->assignment,
        };
    }
    write_add(write, record_group_key(arena, group->id), record_group_value(arena, &value));
}

/* The leader's assignment is in the log, or it could not be written. */
static void
assignment_stored(struct shard *shard, struct write *write, ox_code code)
{
    struct group *group = write->group;
    struct map_entry *entry;
    if (code == OX_OK)
        group->logged = true;
    if (shard->state != SHARD_ACTIVE || group->state != GROUP_COMPLETING ||
        group->generation != write->generation)
        return; /* a rebalance has begun meanwhile */
    group->storing = false;
    if (code != OX_OK) {
        reset_assignments(group, write_error(code));
        group_rebalance(group, "assignment could not be stored");
        return;
    }
    group_transition(group, GROUP_STABLE);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        struct member *member = entry->value;
        heap_str_free(&member->held);
        heap_str_free(&member->assignment);
        member->assignment = member->offered;
        member->offered = OX_STR_NULL;
        struct coord_sync_call *call = member->sync;
        member->sync = NULL;
        if (call != NULL) {
            restart_session(member);
            sync_answer_current(call, member);
        }
    }
    ox_info("group is stable", "group=%.*s generation=%d members=%u", OX_STR_ARG(group->id),
        group->generation, group->members.count);
    ox_check_slow((group_check(group), true));
}

/* Members that the leader left out get nothing; ids that are no member's are ignored. */
static void
store_assignment(struct group *group, const struct coord_sync_call *call)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        struct member *member = entry->value;
        heap_str_free(&member->offered);
        member->offered = heap_str(OX_STR(""));
    }
    for (size_t i = 0; i < call->assignment_count; i++) {
        struct member *member = group_member(group, call->assignments[i].member_id);
        struct str assignment = call->assignments[i].assignment;
        if (member == NULL)
            continue;
        heap_str_free(&member->offered);
        member->offered = heap_str(assignment.ptr ? assignment : OX_STR(""));
    }
    group->storing = true;
    struct write *write = write_new(group->shard, group);
    write->generation = group->generation;
    write->finish = assignment_stored;
    group_add_record(write, group);
    write_submit(group->shard, write);
}

static bool
protocol_differs(struct str given, struct str own)
{
    return given.ptr != NULL && !ox_str_eq(given, own);
}

static void
sync_seen(struct member *member)
{
    struct group *group = member->group;
    if (!member->sync_pending)
        return;
    member->sync_pending = false;
    if (--group->syncs_pending == 0)
        shard_timer_stop(group->shard, &group->sync_timer);
}

static void
sync_run(struct coord_call *base)
{
    struct coord_sync_call *call = ox_container_of(base, struct coord_sync_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    struct member *member = NULL;
    ox_code code = shard_ready(shard);
    if (code == OX_OK && call->group_id.len == 0)
        code = OX_INVALID_GROUP_ID;
    if (code == OX_OK && (group = group_find(shard, call->group_id)) == NULL)
        code = OX_UNKNOWN_MEMBER_ID;
    if (code == OX_OK && group->state == GROUP_DEAD)
        code = OX_COORDINATOR_NOT_AVAILABLE;
    if (code == OX_OK && group->consumer != NULL) {
        migrate_sync(group, call);
        return;
    }
    if (code == OX_OK)
        code = group_validate(group, call->member_id, call->instance_id, &member);
    if (code == OX_OK && call->generation != group->generation)
        code = OX_ILLEGAL_GENERATION;
    if (code == OX_OK && (protocol_differs(call->protocol_type, group->protocol_type) ||
                             protocol_differs(call->protocol, group->protocol)))
        code = OX_INCONSISTENT_GROUP_PROTOCOL;
    if (code == OX_OK && group->state == GROUP_PREPARING)
        code = OX_REBALANCE_IN_PROGRESS;
    if (code != OX_OK) {
        sync_fail(call, code);
        return;
    }
    sync_seen(member);
    if (group->state == GROUP_STABLE) {
        restart_session(member);
        sync_answer_current(call, member);
        return;
    }
    ox_assert(group->state == GROUP_COMPLETING);
    fail_sync(member, OX_REBALANCE_IN_PROGRESS);
    member->sync = call;
    if (group->leader == member && !group->storing)
        store_assignment(group, call);
    ox_check_slow((group_check(group), true));
}

void
coord_sync(struct coord *coord, struct coord_sync_call *call)
{
    call_start(coord, &call->call, call->group_id, sync_run);
}

/* ---- heartbeat ---- */

static void
heartbeat_run(struct coord_call *base)
{
    struct coord_heartbeat_call *call = ox_container_of(base, struct coord_heartbeat_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    struct member *member = NULL;
    ox_code code = shard_ready(shard);
    if (call->group_id.len == 0 && (code == OX_OK || code == OX_COORDINATOR_LOAD_IN_PROGRESS)) {
        call_finish(base, OX_INVALID_GROUP_ID);
        return;
    }
    if (code == OX_COORDINATOR_LOAD_IN_PROGRESS) {
        /* The member's state is not known yet, but it must not give up its place. */
        call_finish(base, OX_OK);
        return;
    }
    if (code == OX_OK && (group = group_find(shard, call->group_id)) == NULL)
        code = OX_UNKNOWN_MEMBER_ID;
    if (code == OX_OK && group->state == GROUP_DEAD)
        code = OX_COORDINATOR_NOT_AVAILABLE;
    if (code == OX_OK && group->consumer != NULL) {
        call_finish(base, migrate_heartbeat(group, call));
        return;
    }
    if (code == OX_OK)
        code = group_validate(group, call->member_id, call->instance_id, &member);
    if (code == OX_OK && call->generation != group->generation)
        code = OX_ILLEGAL_GENERATION;
    if (code == OX_OK) {
        restart_session(member);
        if (group->state == GROUP_PREPARING)
            code = OX_REBALANCE_IN_PROGRESS;
    }
    call_finish(base, code);
}

void
coord_heartbeat(struct coord *coord, struct coord_heartbeat_call *call)
{
    call_start(coord, &call->call, call->group_id, heartbeat_run);
}

/* ---- leave ---- */

/* rebalance is set when a member went, not just a pending one. */
static ox_code
leave_one(struct group *group, const struct coord_leave_member *leaver, bool *rebalance)
{
    struct pending_member *pending = ox_map_get(&group->pending, leaver->member_id);
    struct member *member;
    if (leaver->member_id.len == 0) {
        member = group_instance(group, leaver->instance_id);
        if (member == NULL)
            return OX_UNKNOWN_MEMBER_ID;
    } else if (pending != NULL && leaver->instance_id.ptr == NULL) {
        group_remove_pending(pending);
        return OX_OK;
    } else {
        ox_code code = group_validate(group, leaver->member_id, leaver->instance_id, &member);
        if (code != OX_OK)
            return code;
    }
    ox_info("group member leaves", "group=%.*s member=%.*s", OX_STR_ARG(group->id),
        OX_STR_ARG(member->id));
    remove_member(member);
    *rebalance = true;
    return OX_OK;
}

static void
leave_run(struct coord_call *base)
{
    struct coord_leave_call *call = ox_container_of(base, struct coord_leave_call, call);
    struct shard *shard = call_shard(base);
    struct group *group = NULL;
    ox_code code = shard_ready(shard);
    bool rebalance = false;
    if (code == OX_OK && call->group_id.len == 0)
        code = OX_INVALID_GROUP_ID;
    if (code == OX_OK) {
        group = group_find(shard, call->group_id);
        if (group != NULL && group->state == GROUP_DEAD)
            code = OX_COORDINATOR_NOT_AVAILABLE;
    }
    if (code == OX_OK && group != NULL && group->consumer != NULL) {
        migrate_leave(group, call);
        return;
    }
    for (size_t i = 0; i < call->member_count; i++) {
        struct coord_leave_member *leaver = &call->members[i];
        leaver->code = code;
        if (code == OX_OK)
            leaver->code = group == NULL ? OX_UNKNOWN_MEMBER_ID
                                         : leave_one(group, leaver, &rebalance);
    }
    if (rebalance)
        after_removal(group, "member left");
    if (code == OX_OK && group != NULL) {
        maybe_complete_join(group);
        ox_check_slow((group_check(group), true));
        group_maybe_drop(group);
    }
    call_finish(base, code);
}

void
coord_leave(struct coord *coord, struct coord_leave_call *call)
{
    call_start(coord, &call->call, call->group_id, leave_run);
}

/* ---- load ---- */

void
group_resume(struct group *group)
{
    struct map_entry *entry;
    if (group->consumer != NULL)
        consumer_group_resume(group);
    if (group->share != NULL)
        share_group_resume(group);
    if (group->streams != NULL)
        streams_group_resume(group);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;)
        restart_session(entry->value);
    ox_check_slow((group_check(group), true));
    if (group->members.count > (uint32_t)group->shard->config.group_size_max)
        group_rebalance(group, "group is over its size limit");
}
