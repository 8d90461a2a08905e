/* SPDX-License-Identifier: Apache-2.0
 *
 * A consumer group of the new protocol as a value. The coordinator assigns: it
 * keeps an epoch of the group (who is in it, what they want, what there is), a
 * target (who should have what, computed at some epoch) and for each member what
 * it has now, which approaches the target heartbeat by heartbeat.
 *
 *   group    EMPTY -> ASSIGNING (epoch > assignment epoch) -> RECONCILING -> STABLE
 *   member   STABLE --target moved, must give up--> UNREVOKED --given up--+
 *               ^  \--target moved, others hold some--> UNRELEASED <------+
 *               +------------------ all there ------------+
 *
 * All of this changes by records alone: consumer_apply() serves a heartbeat as
 * it serves the replay.
 *
 * Invariants (consumer_group_check):
 * 1. The assignment epoch is at most the group's epoch.
 * 2. A partition is held by one member at most: held names, for each partition
 *    that is assigned or revoking, the member that has it, and no others.
 * 3. A member's assigned and revoking partitions do not meet; it revokes only
 *    while UNREVOKED.
 * 4. A member's epoch is at most the assignment epoch.
 * 5. instances holds exactly the members with an instance id.
 * 6. The classic side of the group is empty. */
#include <string.h>

#include "base/diag.h"
#include "coord/consumer_int.h"

struct consumer_group *
consumer_group_get(struct group *group)
{
    if (group->consumer == NULL) {
        struct consumer_group *consumer = ox_calloc(1, sizeof(*consumer));
        ox_map_init(&consumer->members);
        ox_map_init(&consumer->instances);
        ox_map_init(&consumer->held);
        ox_map_init(&consumer->regexes);
        consumer->topics_generation = UINT64_MAX;
        consumer->epoch = consumer->assignment_epoch = 1;
        group->consumer = consumer;
    }
    return group->consumer;
}

static void
member_free(struct consumer_member *member)
{
    shard_timer_stop(member->group->shard, &member->session);
    shard_timer_stop(member->group->shard, &member->rebalance);
    tpset_fini(&member->assigned);
    tpset_fini(&member->revoking);
    tpset_fini(&member->target);
    ox_free(member->assigned_epochs);
    ox_free(member->revoking_epochs);
    heap_str_free(&member->id);
    ox_arena_fini(&member->arena);
    ox_free(member);
}

static void
regex_free(struct consumer_regex *regex)
{
    ox_arena_fini(&regex->arena);
    ox_free(regex);
}

void
consumer_group_free(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    struct map_entry *entry;
    if (consumer == NULL)
        return;
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->members, &at)) != NULL;)
        member_free(entry->value);
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->regexes, &at)) != NULL;)
        regex_free(entry->value);
    ox_map_fini(&consumer->members);
    ox_map_fini(&consumer->instances);
    ox_map_fini(&consumer->held);
    ox_map_fini(&consumer->regexes);
    ox_free(consumer);
    group->consumer = NULL;
}

struct consumer_member *
consumer_member_find(const struct group *group, struct str id)
{
    return ox_map_get(&group->consumer->members, id);
}

struct consumer_member *
consumer_holder(const struct consumer_group *consumer, const struct tp *tp)
{
    return tp_holder(&consumer->held, tp);
}

int32_t
consumer_since(const struct consumer_member *member, const struct tp *tp)
{
    int32_t since = tpset_epoch(&member->assigned, member->assigned_epochs, tp);
    return since >= 0 ? since : tpset_epoch(&member->revoking, member->revoking_epochs, tp);
}

const char *
consumer_group_state(const struct group *group)
{
    const struct consumer_group *consumer = group->consumer;
    struct map_entry *entry;
    if (group->state == GROUP_DEAD)
        return "Dead";
    if (consumer->members.count == 0)
        return "Empty";
    if (consumer->epoch > consumer->assignment_epoch)
        return "Assigning";
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        if (member->state != CONSUMER_STABLE || member->epoch != consumer->assignment_epoch)
            return "Reconciling";
    }
    return "Stable";
}

/* ---- subscriptions ---- */

static bool
names_hold(const struct str *names, size_t count, struct str name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = ox_str_cmp(names[middle], name);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool
member_subscribed(const struct consumer_member *member, struct str topic)
{
    const struct consumer_subscription *subscription = &member->subscription;
    if (names_hold(subscription->topics, subscription->topic_count, topic))
        return true;
    if (subscription->regex.len == 0)
        return false;
    const struct consumer_regex *regex =
        ox_map_get(&member->group->consumer->regexes, subscription->regex);
    return regex != NULL && names_hold(regex->topics, regex->topic_count, topic);
}

bool
consumer_group_subscribed(const struct group *group, struct str topic)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->consumer->members, &at)) != NULL;)
        if (member_subscribed(entry->value, topic))
            return true;
    return false;
}

/* What most members wish for; a member without a wish counts for none. */
enum coord_assignor
consumer_group_assignor(const struct group *group)
{
    enum coord_assignor best = group->shard->config.consumer_assignor;
    uint32_t votes[COORD_ASSIGNOR_COUNT + 1] = {0};
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->consumer->members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        if (member->subscription.assignor.ptr != NULL)
            votes[coord_assignor_find(member->subscription.assignor)]++;
    }
    for (int i = 0; i < COORD_ASSIGNOR_COUNT; i++)
        if (votes[i] > votes[best])
            best = (enum coord_assignor)i;
    return best;
}

/* ---- what records do ---- */

static struct consumer_member *
member_get(struct group *group, struct str id)
{
    struct consumer_group *consumer = consumer_group_get(group);
    struct consumer_member *member = ox_map_get(&consumer->members, id);
    if (member != NULL)
        return member;
    member = ox_calloc(1, sizeof(*member));
    member->group = group;
    member->id = heap_str(id);
    ox_arena_init(&member->arena);
    ox_map_put(&consumer->members, member->id, member);
    return member;
}

static void
forget_instance(struct consumer_member *member)
{
    struct str instance_id = member->subscription.instance_id;
    struct map *instances = &member->group->consumer->instances;
    if (instance_id.ptr != NULL && ox_map_get(instances, instance_id) == member)
        ox_map_remove(instances, instance_id);
}

static void
remove_member(struct consumer_member *member)
{
    struct consumer_group *consumer = member->group->consumer;
    forget_instance(member);
    tpset_let_go(&member->assigned, &consumer->held, member);
    tpset_let_go(&member->revoking, &consumer->held, member);
    ox_map_remove(&consumer->members, member->id);
    member_free(member);
}

static void
set_member(struct group *group, struct str id, const struct consumer_subscription *from)
{
    struct consumer_member *member = member_get(group, id);
    struct arena arena;
    struct consumer_subscription own = *from;
    ox_arena_init(&arena);
    own.instance_id = ox_str_dup(&arena, from->instance_id);
    own.rack_id = ox_str_dup(&arena, from->rack_id);
    own.client_id = ox_str_dup(&arena, from->client_id);
    own.client_host = ox_str_dup(&arena, from->client_host);
    own.regex = ox_str_dup(&arena, from->regex);
    own.assignor = ox_str_dup(&arena, from->assignor);
    own.topics = names_dup(from->topics, from->topic_count, &arena);
    own.protocols = ox_arena_array(&arena, struct member_protocol, from->protocol_count);
    for (size_t i = 0; i < from->protocol_count; i++) {
        own.protocols[i].name = ox_str_dup(&arena, from->protocols[i].name);
        own.protocols[i].metadata = ox_str_dup(&arena, from->protocols[i].metadata);
    }
    forget_instance(member);
    ox_arena_fini(&member->arena);
    member->arena = arena;
    member->subscription = own;
    member->subscribed = true;
    if (own.instance_id.ptr != NULL)
        ox_map_put(&group->consumer->instances, own.instance_id, member);
}

static void
set_current(struct consumer_member *member, struct consumer_current *from)
{
    struct map *held = &member->group->consumer->held;
    tpset_let_go(&member->assigned, held, member);
    tpset_let_go(&member->revoking, held, member);
    tpset_take(&member->assigned, &from->assigned);
    tpset_take(&member->revoking, &from->revoking);
    ox_free(member->assigned_epochs);
    ox_free(member->revoking_epochs);
    member->assigned_epochs = from->assigned_epochs;
    member->revoking_epochs = from->revoking_epochs;
    from->assigned_epochs = from->revoking_epochs = NULL;
    member->epoch = from->epoch;
    member->previous_epoch = from->previous_epoch;
    member->state = from->state;
    tpset_hold(&member->assigned, held, member);
    tpset_hold(&member->revoking, held, member);
}

static void
set_regex(struct group *group, const struct consumer_value *value)
{
    struct consumer_group *consumer = consumer_group_get(group);
    struct consumer_regex *regex = ox_calloc(1, sizeof(*regex));
    ox_arena_init(&regex->arena);
    regex->topic_count = value->topic_count;
    regex->topics = names_dup(value->topics, value->topic_count, &regex->arena);
    regex->version = value->version;
    regex->time_ms = value->time_ms;
    struct consumer_regex *old = ox_map_put(&consumer->regexes, value->id, regex);
    if (old != NULL)
        regex_free(old);
}

void
consumer_group_set(struct group *group, int16_t type, struct consumer_value *value)
{
    struct consumer_group *consumer = consumer_group_get(group);
    switch (type) {
    case KEY_CONSUMER_EPOCH:
        consumer->epoch = value->epoch;
        consumer->metadata_hash = value->metadata_hash;
        group->logged = true;
        break;
    case KEY_CONSUMER_MEMBER:
        set_member(group, value->id, &value->subscription);
        break;
    case KEY_CONSUMER_TARGET_EPOCH:
        consumer->assignment_epoch = value->epoch;
        consumer->assignment_ms = value->time_ms;
        break;
    case KEY_CONSUMER_TARGET:
        tpset_take(&member_get(group, value->id)->target, &value->current.assigned);
        break;
    case KEY_CONSUMER_CURRENT:
        set_current(member_get(group, value->id), &value->current);
        break;
    case KEY_CONSUMER_REGEX:
        set_regex(group, value);
        break;
    default:
        ox_unreachable();
    }
}

/* A tombstone. That of the epoch ends the group as a consumer group. */
void
consumer_group_unset(struct group *group, int16_t type, struct str id)
{
    struct consumer_group *consumer = group->consumer;
    if (consumer == NULL)
        return;
    struct consumer_member *member = id.ptr ? ox_map_get(&consumer->members, id) : NULL;
    switch (type) {
    case KEY_CONSUMER_EPOCH:
        group->logged = false;
        group->lingers = group->topics.count > 0;
        consumer_group_free(group);
        break;
    case KEY_CONSUMER_MEMBER:
        if (member != NULL)
            remove_member(member);
        break;
    case KEY_CONSUMER_TARGET_EPOCH:
        consumer->assignment_epoch = 0;
        consumer->assignment_ms = 0;
        break;
    case KEY_CONSUMER_TARGET:
        if (member != NULL)
            tpset_fini(&member->target);
        break;
    case KEY_CONSUMER_CURRENT:
        if (member != NULL)
            set_current(member, &(struct consumer_current){0});
        break;
    case KEY_CONSUMER_REGEX: {
        struct consumer_regex *regex = ox_map_remove(&consumer->regexes, id);
        if (regex != NULL)
            regex_free(regex);
        break;
    }
    default:
        break;
    }
}

/* ---- invariants ---- */

/* Which of them does not hold, or NULL. */
static const char *
flaw(const struct group *group)
{
    const struct consumer_group *consumer = group->consumer;
    struct map_entry *entry;
    uint32_t held = 0, instances = 0;
    if (consumer->assignment_epoch > consumer->epoch)
        return "the assignment is ahead of the group";
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        if (!member->subscribed)
            return "a member has no subscription";
        if (member->epoch > consumer->assignment_epoch)
            return "a member is ahead of the assignment";
        if (member->revoking.count > 0 && member->state != CONSUMER_UNREVOKED)
            return "a member revokes without need";
        if (tpset_meet(&member->assigned, &member->revoking))
            return "a member has what it revokes";
        held += member->assigned.count + member->revoking.count;
        for (uint32_t i = 0; i < member->assigned.count; i++)
            if (consumer_holder(consumer, &member->assigned.at[i]) != member)
                return "a partition is assigned twice";
        for (uint32_t i = 0; i < member->revoking.count; i++)
            if (consumer_holder(consumer, &member->revoking.at[i]) != member)
                return "a partition is revoked that another has";
        struct str instance_id = member->subscription.instance_id;
        if (instance_id.ptr == NULL)
            continue;
        instances++;
        if (ox_map_get(&consumer->instances, instance_id) != member)
            return "an instance id is used twice";
    }
    if (held != consumer->held.count)
        return "a partition is held by nobody";
    if (instances != consumer->instances.count)
        return "an instance id is nobody's";
    return NULL;
}

void
consumer_group_check(const struct group *group)
{
    ox_assert(group->members.count == 0);
    ox_assert(flaw(group) == NULL);
}

/* ---- load ---- */

static void
remove_members(struct group *group, bool all)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->consumer->members, &at)) != NULL;) {
        struct consumer_member *member = entry->value;
        if (all || !member->subscribed)
            remove_member(member);
    }
}

/* Records that do not fit together (they were cut, or are not Kafka's) cost the
 * members their place, not the server its life. */
void
consumer_group_resume(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    struct map_entry *entry;
    remove_members(group, false);
    if (flaw(group) != NULL) {
        ox_warn("group must start anew", "group=%.*s reason=\"%s\"", OX_STR_ARG(group->id),
            flaw(group));
        remove_members(group, true);
        ox_map_fini(&consumer->held);
        ox_map_init(&consumer->held);
        consumer->epoch = OX_MAX(consumer->epoch, consumer->assignment_epoch);
    }
    group_epochs_mend(&consumer->epoch, &consumer->assignment_epoch);
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->members, &at)) != NULL;)
        consumer_restart_session(entry->value);
    consumer->regex_again = consumer->regexes.count > 0;
}
