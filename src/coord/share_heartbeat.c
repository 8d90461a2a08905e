/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupHeartbeat. A heartbeat goes through
 *
 *   check the request -> find group and member -> check its epoch ->
 *   subscription (record 10) -> partitions to initialize (15) -> epoch (11) ->
 *   target (13, 12) -> its own assignment (14) -> answer when they are committed
 *
 * As with consumer groups each record takes effect at once. What is to be
 * initialized is asked of the share coordinator once the record is committed
 * (share_offsets.c); when it is there the group's epoch moves, and members get
 * the partitions with their next heartbeats. */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "coord/java_order.h"
#include "coord/share_group.h"

enum { ID_LEN_MAX = INT16_MAX - 40, MEMBER_ID_MAX = 36, TOPICS_MAX = 100000 };

struct beat {
    struct coord_share_call *call;
    struct shard *shard;
    struct group *group;
    struct share_group *share;
    struct share_member *member; /* NULL: it joins */
    struct write *write;
};

/* ---- answers ---- */

static void
fail(struct coord_share_call *call, ox_code code, const char *message)
{
    call->message = ox_str(message);
    call->out_member_epoch = call->heartbeat_interval_ms = 0;
    call->has_assignment = false;
    call_finish(&call->call, code);
}

static void
beat_done(struct shard *shard, struct write *write, ox_code code)
{
    struct coord_share_call *call = ox_container_of(write->call, struct coord_share_call, call);
    if (code != OX_OK) {
        fail(call, write_error(code), NULL);
        return;
    }
    if (write->group != NULL && write->group->share != NULL)
        share_initialize(write->group);
    call_finish(&call->call, OX_OK);
}

static void
answer(struct beat *beat)
{
    write_answer(beat->write, &beat->call->call, beat_done);
}

/* ---- the request ---- */

static bool
too_long(struct str s)
{
    return s.len > ID_LEN_MAX;
}

/* What is wrong with the request, or NULL. */
static const char *
check_request(const struct coord_share_call *call)
{
    if (call->group_id.len == 0 || too_long(call->group_id))
        return "GroupId can't be empty.";
    if (call->member_id.len == 0)
        return "the member id must not be empty";
    if (call->member_id.len > MEMBER_ID_MAX || too_long(call->rack_id) || too_long(call->client_id) ||
        too_long(call->client_host))
        return "an id is too long";
    if (call->member_epoch < EPOCH_LEAVE)
        return "MemberEpoch is invalid.";
    if (call->rack_id.ptr != NULL && call->rack_id.len == 0)
        return "RackId can't be empty.";
    if (call->topic_count > TOPICS_MAX)
        return "the subscription has too many topics";
    if (call->member_epoch == 0 && call->topic_count == 0)
        return "SubscribedTopicNames must be set in first request.";
    return NULL;
}

/* The group; one of another kind may only be replaced when nothing is in it. */
static ox_code
find_group(struct beat *beat, const char **message)
{
    const struct coord_share_call *call = beat->call;
    struct group *group = group_find(beat->shard, call->group_id);
    if (group != NULL && group->state == GROUP_DEAD)
        return OX_COORDINATOR_NOT_AVAILABLE;
    bool other = group != NULL && group->share == NULL &&
                 (group->logged || !group_is_classic(group) || group->topics.count > 0 ||
                     group->pending.count > 0 || group->state != GROUP_EMPTY);
    if (other || (call->member_epoch != 0 && (group == NULL || group->share == NULL))) {
        *message = other ? "the group is no share group" : "the group does not exist";
        return OX_GROUP_ID_NOT_FOUND;
    }
    return group_get(beat->shard, call->group_id, &beat->group);
}

static ox_code
find_member(struct beat *beat, const char **message)
{
    const struct coord_share_call *call = beat->call;
    int32_t epoch = call->member_epoch;
    beat->member = beat->group->share != NULL ? share_member_find(beat->group, call->member_id)
                                              : NULL;
    if (beat->member == NULL) {
        *message = "the member is not part of the group";
        if (epoch != 0)
            return OX_UNKNOWN_MEMBER_ID;
        uint32_t count = beat->group->share != NULL ? beat->group->share->members.count : 0;
        return count >= (uint32_t)beat->shard->config.share_size_max ? OX_GROUP_MAX_SIZE_REACHED
                                                                     : OX_OK;
    }
    if (epoch <= 0 || epoch == beat->member->epoch || epoch == beat->member->previous_epoch)
        return OX_OK;
    *message = epoch > beat->member->epoch
                   ? "the member epoch is ahead of the group's"
                   : "the member epoch is stale: give up all partitions, rejoin";
    return OX_FENCED_MEMBER_EPOCH;
}

/* ---- subscription, epoch ---- */

static bool
same_names(const struct str *a, size_t a_count, const struct str *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!ox_str_eq(a[i], b[i]))
            return false;
    return true;
}

/* Whether assignments depend on what has changed. */
static bool
subscribe(struct beat *beat)
{
    const struct coord_share_call *call = beat->call;
    const struct share_member *before = beat->member;
    struct share_value next = {0};
    struct consumer_subscription names = {0};
    if (before != NULL) {
        next.rack_id = before->rack_id;
        next.topics = before->topics;
        next.topic_count = before->topic_count;
    }
    if (call->rack_id.ptr != NULL)
        next.rack_id = call->rack_id;
    if (call->topics != NULL) {
        subscription_set_topics(&names, call->topics, call->topic_count, call->call.arena);
        next.topics = names.topics;
        next.topic_count = names.topic_count;
    }
    next.client_id = call->client_id.ptr ? call->client_id : OX_STR("");
    next.client_host = call->client_host.ptr ? call->client_host : OX_STR("");
    bool wants = before == NULL || !same_names(before->topics, before->topic_count, next.topics,
                                       next.topic_count);
    bool same = !wants && ox_str_eq(before->rack_id, next.rack_id) &&
                ox_str_eq(before->client_id, next.client_id) &&
                ox_str_eq(before->client_host, next.client_host);
    if (!same)
        put_share_member(beat->write, call->member_id, &next);
    beat->member = share_member_find(beat->group, call->member_id);
    return wants;
}

/* All topics that somebody in the group reads, as they are now. */
static void
read_topics(struct topic_table *table, const struct group *group)
{
    struct map_entry *entry;
    topic_table_init(table, group->shard->coord->host);
    for (uint32_t at = 0; (entry = ox_map_next(&group->share->members, &at)) != NULL;) {
        const struct share_member *member = entry->value;
        topic_table_add(table, member->topics, member->topic_count);
    }
    topic_table_sort(table);
}

/* Partitions that are read and that the share coordinator does not know. */
static void
note_new_partitions(struct beat *beat, const struct topic_table *table)
{
    struct share_group *share = beat->share;
    struct tpset fresh = {0}, initializing = {0}, topics, deleting;
    for (uint32_t i = 0; i < table->count; i++)
        for (int32_t p = 0; p < table->topics[i].partition_count; p++) {
            struct tp tp = {table->topics[i].id, p};
            if (!tpset_has(&share->initialized, &tp) && !tpset_has(&share->initializing, &tp))
                tpset_add(&fresh, &tp.topic, tp.partition);
        }
    if (fresh.count == 0)
        return;
    tpset_sort(&fresh);
    share_note_grown(share, &fresh, true);
    tpset_copy(&initializing, &share->initializing);
    tpset_unite(&initializing, &fresh);
    tpset_topics(&topics, &initializing);
    tpset_minus(&deleting, &share->deleting, &topics);
    put_share_state(beat->write, &initializing, &share->initialized, &deleting);
    tpset_fini(&fresh);
    tpset_fini(&initializing);
    tpset_fini(&topics);
    tpset_fini(&deleting);
}

/* What there still is of the partitions that are initialized. */
static void
usable_partitions(struct tpset *out, const struct share_group *share,
    const struct topic_table *table)
{
    struct tpset all = {0};
    for (uint32_t i = 0; i < table->count; i++)
        for (int32_t p = 0; p < table->topics[i].partition_count; p++)
            tpset_add(&all, &table->topics[i].id, p);
    tpset_sort(&all);
    tpset_and(out, &all, &share->initialized);
    tpset_fini(&all);
}

/* Whether a partition that is read has got its state, and no member has it. */
static bool
assignment_pending(const struct share_group *share, const struct topic_table *table)
{
    struct tpset usable, assigned = {0};
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;)
        tpset_unite(&assigned, &((const struct share_member *)entry->value)->target);
    usable_partitions(&usable, share, table);
    bool pending = false;
    for (uint32_t i = 0; i < usable.count && !pending; i++)
        pending = !tpset_has(&assigned, &usable.at[i]);
    tpset_fini(&usable);
    tpset_fini(&assigned);
    return pending;
}

static void
move_epoch(struct beat *beat, bool bump)
{
    const struct coord_host *host = beat->shard->coord->host;
    struct share_group *share = beat->share;
    struct topic_table table;
    bool look = share->more_initialized && share->assignment_epoch >= share->epoch;
    if (!bump && !look && host->topics_generation(host->self) == share->topics_generation)
        return;
    read_topics(&table, beat->group);
    bump = bump || (look && assignment_pending(share, &table));
    share->more_initialized &= !look;
    note_new_partitions(beat, &table);
    share->topics_generation = host->topics_generation(host->self);
    if (bump || (int64_t)table.hash != share->metadata_hash) {
        ox_assert(share->epoch < INT32_MAX);
        put_share_epoch(beat->write, share->epoch + 1, (int64_t)table.hash);
    }
    topic_table_fini(&table);
}

/* ---- the target ---- */

/* Kafka's group has its members in a table that grows before one is put into it, be it for
 * the second time, and never shrinks: the target is made as that table is walked. */
static void
grow_table(struct share_group *share, uint32_t entries)
{
    share->table_peak = OX_MAX(share->table_peak, entries);
}

static void
order_members(const struct share_group *share, struct assign_member *members, uint32_t count,
    struct arena *arena)
{
    struct java_row *rows = ox_arena_array(arena, struct java_row, count);
    struct assign_member *all = ox_arena_array(arena, struct assign_member, count);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = (struct java_row){.id = members[i].id, .what = i};
        all[i] = members[i];
    }
    java_timeline_order(rows, count, share->table_peak);
    for (uint32_t i = 0; i < count; i++)
        members[i] = all[rows[i].what];
}

/* Whether all members name the same topics. */
static bool
all_alike(const struct share_group *share)
{
    const struct share_member *first = NULL;
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;) {
        const struct share_member *member = entry->value;
        if (first == NULL)
            first = member;
        if (!same_names(first->topics, first->topic_count, member->topics, member->topic_count))
            return false;
    }
    return true;
}

/* What of its target a member reads. */
static void
own_part(struct tpset *out, const struct share_member *member)
{
    const struct coord_host *host = member->group->shard->coord->host;
    const struct tpset *target = &member->target;
    *out = (struct tpset){0};
    for (size_t i = 0; i < member->topic_count && target->count > 0; i++) {
        struct coord_topic facts;
        if (!host->topic_by_name(host->self, member->topics[i], &facts))
            continue;
        for (uint32_t at = 0; at < target->count; at = tpset_run(target, at))
            for (uint32_t j = at; j < tpset_run(target, at) &&
                                  ox_uuid_eq(&target->at[j].topic, &facts.id); j++)
                tpset_add(out, &facts.id, target->at[j].partition);
    }
    tpset_sort(out);
}

static void
compute_target(struct group *group, struct write *write)
{
    struct share_group *share = group->share;
    struct topic_table table;
    struct map_entry *entry;
    struct tpset usable;
    struct arena arena;
    uint32_t count = 0;
    int32_t interval_ms = group_setting(group, "share.assignment.interval.ms",
        group->shard->config.share_assignment_ms);
    if (share->assignment_epoch == share->epoch ||
        !assignment_due(group->shard, share->assignment_ms, interval_ms))
        return;
    ox_arena_init(&arena);
    read_topics(&table, group);
    usable_partitions(&usable, share, &table);
    struct assign_member *members =
        ox_arena_array(&arena, struct assign_member, share->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;) {
        const struct share_member *member = entry->value;
        struct assign_member *to = &members[count++];
        to->id = member->id;
        to->before = &member->target;
        topic_table_indexes(&table, member->topics, member->topic_count, &arena, &to->topics,
            &to->topic_count);
    }
    order_members(share, members, count, &arena);
    assign_shares(table.topics, table.count, &usable, members, count, all_alike(share));
    for (uint32_t i = 0; i < count; i++) {
        const struct share_member *member = share_member_find(group, members[i].id);
        if (!tpset_equal(&member->target, &members[i].target))
            put_share_target(write, member->id, &members[i].target);
        tpset_fini(&members[i].target);
    }
    put_share_target_epoch(write, share->epoch, shard_wall(group->shard));
    tpset_fini(&usable);
    topic_table_fini(&table);
    ox_arena_fini(&arena);
}

/* ---- leaving, and being thrown out ---- */

/* Its records go, and the group's epoch moves. */
static void
remove_member(struct share_member *member, struct write *write)
{
    struct group *group = member->group;
    struct topic_table table;
    struct str id = ox_str_dup(&write->arena, member->id);
    put_share_gone(write, KEY_SHARE_CURRENT, id);
    put_share_gone(write, KEY_SHARE_TARGET, id);
    put_share_gone(write, KEY_SHARE_MEMBER, id);
    read_topics(&table, group);
    put_share_epoch(write, group->share->epoch + 1, (int64_t)table.hash);
    topic_table_fini(&table);
    if (group_is_empty(group))
        put_share_target_epoch(write, group->share->epoch, 0);
    group->share->topics_generation = UINT64_MAX;
}

static void
session_expired(struct shard *shard, struct coord_timer *timer)
{
    struct share_member *member = ox_container_of(timer, struct share_member, session);
    struct group *group = member->group;
    struct write *write = write_new(shard, group);
    ox_info("share group member timed out", "group=%.*s member=%.*s", OX_STR_ARG(group->id),
        OX_STR_ARG(member->id));
    remove_member(member, write);
    write_submit(shard, write);
}

void
share_restart_session(struct share_member *member)
{
    const struct coord_config *config = &member->group->shard->config;
    int32_t session_ms =
        group_setting(member->group, "share.session.timeout.ms", config->share_session_ms);
    shard_timer(member->group->shard, &member->session, session_ms, session_expired);
}

static void
leave(struct beat *beat)
{
    ox_info("share group member leaves", "group=%.*s member=%.*s", OX_STR_ARG(beat->group->id),
        OX_STR_ARG(beat->member->id));
    remove_member(beat->member, beat->write);
    beat->call->out_member_epoch = beat->call->member_epoch;
    answer(beat);
}

/* ---- a heartbeat ---- */

/* Whether the member has other partitions now. */
static bool
reconcile(struct beat *beat, const struct share_member *member, bool wants)
{
    int32_t epoch = beat->share->assignment_epoch;
    struct tpset own;
    if (member->epoch == epoch && !wants)
        return false;
    own_part(&own, member);
    bool moved = !tpset_equal(&member->assigned, &own);
    if (member->epoch != epoch || moved)
        put_share_current(beat->write, member->id, epoch,
            member->epoch != epoch ? member->epoch : member->previous_epoch, &own);
    tpset_fini(&own);
    return moved;
}

static void
go_on(struct beat *beat)
{
    struct coord_share_call *call = beat->call;
    beat->share = share_group_get(beat->group);
    bool joins = beat->member == NULL;
    bool wants = subscribe(beat);
    struct share_member *member = beat->member;
    move_epoch(beat, wants);
    grow_table(beat->share, beat->share->members.count + !joins);
    compute_target(beat->group, beat->write);
    grow_table(beat->share, beat->share->members.count + 1);
    bool moved = reconcile(beat, member, wants);
    share_restart_session(member);
    call->out_member_epoch = member->epoch;
    call->heartbeat_interval_ms = group_setting(beat->group, "share.heartbeat.interval.ms",
        beat->shard->config.share_heartbeat_ms);
    call->has_assignment = call->member_epoch == 0 || call->topics != NULL || moved;
    if (call->has_assignment)
        consumer_list_partitions(beat->group, &member->assigned, call->call.arena, false,
            &call->assignment, &call->assignment_count);
    ox_check_slow((share_group_check(beat->group), true));
    answer(beat);
}

static void
heartbeat_run(struct coord_call *base)
{
    struct coord_share_call *call = ox_container_of(base, struct coord_share_call, call);
    struct beat beat = {.call = call, .shard = call_shard(base)};
    const char *message = NULL;
    call->message = OX_STR_NULL;
    call->has_assignment = false;
    call->assignment = NULL;
    call->assignment_count = 0;
    call->heartbeat_interval_ms = 0;
    ox_code code = shard_ready(beat.shard);
    if (code == OX_OK && (message = check_request(call)) != NULL)
        code = OX_INVALID_REQUEST;
    if (code == OX_OK)
        code = find_group(&beat, &message);
    if (code == OX_OK)
        code = find_member(&beat, &message);
    if (code != OX_OK) {
        fail(call, code, message);
        if (beat.group != NULL)
            group_maybe_drop(beat.group);
        return;
    }
    beat.share = beat.group->share;
    beat.write = write_new(beat.shard, beat.group);
    if (call->member_epoch < 0)
        leave(&beat);
    else
        go_on(&beat);
}

void
coord_share_heartbeat(struct coord *coord, struct coord_share_call *call)
{
    call_start(coord, &call->call, call->group_id, heartbeat_run);
}
