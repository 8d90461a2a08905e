/* SPDX-License-Identifier: Apache-2.0
 *
 * A group as a value: members, their protocols, pending members, committed
 * offsets. What events do to it is in rebalance.c and offsets.c.
 *
 *            first join              all joined, or time is up
 *   EMPTY ----------------> PREPARING ----------------------> COMPLETING
 *     ^ ^                    |  ^  ^                            |   |
 *     | +---- nobody left ---+  |  +------ join, leave, --------+   | leader's
 *     |                         |          time-out                 | assignment
 *     |                         +-- join, leave, expiry -- STABLE <-+ committed
 *     +-- the commit of a delete failed -- DEAD <-- delete, expiry of EMPTY
 *
 * Invariants (group_check):
 * 1. EMPTY and DEAD groups have no members; COMPLETING and STABLE ones have.
 * 2. A group with members has a leader, which is one of them, and a type.
 * 3. joins_parked counts the members with a parked join.
 * 4. Syncs are parked only while COMPLETING.
 * 5. instances holds exactly the members with an instance id.
 * 6. A pending id is no member's.
 * 7. votes counts, per protocol, the members that support it.
 * 8. syncs_pending counts the members that have not sent SyncGroup; it is 0
 *    unless COMPLETING or STABLE.
 * 9. The join timer runs exactly while PREPARING, the sync timer only while
 *    COMPLETING or STABLE and syncs are pending.
 * 10. COMPLETING and STABLE groups have chosen a protocol, which all support. */
#include <string.h>

#include "coord/share_group.h"
#include "coord/streams_group.h"

bool
group_is_empty(const struct group *group)
{
    return group->state == GROUP_EMPTY &&
           (group->consumer == NULL || group->consumer->members.count == 0) &&
           (group->share == NULL || group->share->members.count == 0) &&
           (group->streams == NULL || group->streams->members.count == 0);
}

const char *
group_state_name(const struct group *group)
{
    if (group->consumer != NULL)
        return consumer_group_state(group);
    if (group->share != NULL)
        return share_group_state(group);
    if (group->streams != NULL)
        return streams_group_state(group);
    static const char *const names[] = {
        [GROUP_EMPTY] = "Empty",
        [GROUP_PREPARING] = "PreparingRebalance",
        [GROUP_COMPLETING] = "CompletingRebalance",
        [GROUP_STABLE] = "Stable",
        [GROUP_DEAD] = "Dead",
    };
    return names[group->state];
}

struct str
heap_str(struct str s)
{
    if (s.ptr == NULL)
        return s;
    char *copy = ox_malloc(s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return (struct str){copy, s.len};
}

void
heap_str_free(struct str *s)
{
    ox_free((void *)s->ptr);
    *s = OX_STR_NULL;
}

/* ---- groups ---- */

struct group *
group_find(struct shard *shard, struct str id)
{
    return ox_map_get(&shard->groups, id);
}

ox_code
group_get(struct shard *shard, struct str id, struct group **out)
{
    struct group *group = group_find(shard, id);
    *out = group;
    if (group != NULL)
        return OX_OK;
    if (shard->groups.count >= (uint32_t)shard->config.group_count_max)
        return OX_LIMIT_EXCEEDED;
    group = ox_calloc(1, sizeof(*group));
    group->shard = shard;
    group->id = heap_str(id);
    group->state_since_ms = -1;
    ox_map_init(&group->topics);
    ox_map_init(&group->held);
    ox_map_init(&group->members);
    ox_map_init(&group->instances);
    ox_map_init(&group->pending);
    ox_map_init(&group->votes);
    ox_map_put(&shard->groups, group->id, group);
    *out = group;
    return OX_OK;
}

static void
topic_free(struct group_topic *topic)
{
    for (uint32_t i = 0; i < topic->count; i++)
        heap_str_free(&topic->partitions[i].metadata);
    ox_free(topic->partitions);
    heap_str_free(&topic->name);
    ox_free(topic);
}

static void member_free(struct member *member);

static void
pending_free(struct pending_member *pending)
{
    shard_timer_stop(pending->group->shard, &pending->timer);
    heap_str_free(&pending->id);
    ox_free(pending);
}

void
group_free(struct group *group)
{
    struct map_entry *entry;
    ox_assert(group->writes == 0);
    ox_assert(group->deleting == NULL);
    ox_assert(group->held.count == 0);
    shard_timer_stop(group->shard, &group->join_timer);
    shard_timer_stop(group->shard, &group->sync_timer);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;)
        member_free(entry->value);
    for (uint32_t at = 0; (entry = ox_map_next(&group->pending, &at)) != NULL;)
        pending_free(entry->value);
    for (uint32_t at = 0; (entry = ox_map_next(&group->topics, &at)) != NULL;)
        topic_free(entry->value);
    group_forget_subscriptions(group);
    consumer_group_free(group);
    share_group_free(group);
    streams_group_free(group);
    ox_map_fini(&group->members);
    ox_map_fini(&group->instances);
    ox_map_fini(&group->pending);
    ox_map_fini(&group->votes);
    ox_map_fini(&group->topics);
    ox_map_fini(&group->held);
    heap_str_free(&group->id);
    heap_str_free(&group->protocol_type);
    heap_str_free(&group->protocol);
    ox_free(group);
}

void
group_leave_classic(struct group *group, struct write *write)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->pending, &at)) != NULL;)
        group_remove_pending(entry->value);
    write->ahead = true;
    if (group->logged || group->writes > 1) /* its record may be on its way */
        write_add(write, record_group_key(&write->arena, group->id), OX_STR_NULL);
    group->logged = false;
    group_set_protocol_type(group, OX_STR_NULL);
    group_set_protocol(group, OX_STR_NULL);
    group_forget_subscriptions(group);
    group->generation = 0;
}

void
group_maybe_drop(struct group *group)
{
    if (group->state != GROUP_EMPTY || group->logged || group->writes > 0 || group->txns > 0 ||
        group->topics.count > 0 || group->pending.count > 0 || group->lingers ||
        !group_is_classic(group))
        return;
    ox_map_remove(&group->shard->groups, group->id);
    group_free(group);
}

void
group_epochs_mend(int32_t *epoch, int32_t *assignment_epoch)
{
    *epoch = OX_MIN(OX_MAX(*epoch, 0), INT32_MAX / 2);
    *assignment_epoch = OX_MIN(OX_MAX(*assignment_epoch, 0), *epoch);
}

struct str *
names_dup(const struct str *names, size_t count, struct arena *arena)
{
    struct str *out = ox_arena_array(arena, struct str, count);
    for (size_t i = 0; i < count; i++)
        out[i] = ox_str_dup(arena, names[i]);
    return out;
}

void
group_transition(struct group *group, enum group_state to)
{
    static const uint8_t from[] = {
        [GROUP_EMPTY] = 1 << GROUP_PREPARING | 1 << GROUP_DEAD,
        [GROUP_PREPARING] = 1 << GROUP_STABLE | 1 << GROUP_COMPLETING | 1 << GROUP_EMPTY,
        [GROUP_COMPLETING] = 1 << GROUP_PREPARING,
        [GROUP_STABLE] = 1 << GROUP_COMPLETING,
        [GROUP_DEAD] = 1 << GROUP_EMPTY,
    };
    ox_assert(from[to] >> group->state & 1);
    group->previous = group->state;
    group->state = to;
    /* A delete that is taken back leaves the group empty for as long as it was. */
    if (to != GROUP_DEAD && group->previous != GROUP_DEAD)
        group->state_since_ms = shard_wall(group->shard);
}

void
group_set_protocol(struct group *group, struct str protocol)
{
    struct str copy = heap_str(protocol);
    heap_str_free(&group->protocol);
    group->protocol = copy;
}

void
group_set_protocol_type(struct group *group, struct str protocol_type)
{
    struct str copy = heap_str(protocol_type);
    heap_str_free(&group->protocol_type);
    group->protocol_type = copy;
}

/* ---- members ---- */

struct member *
group_member(const struct group *group, struct str id)
{
    return ox_map_get(&group->members, id);
}

struct member *
group_instance(const struct group *group, struct str instance_id)
{
    return instance_id.ptr == NULL ? NULL : ox_map_get(&group->instances, instance_id);
}

static void
vote(struct group *group, struct str protocol, int by)
{
    intptr_t count = (intptr_t)ox_map_get(&group->votes, protocol) + by;
    ox_assert(count >= 0);
    if (count == 0)
        ox_map_remove(&group->votes, protocol);
    else
        ox_map_put(&group->votes, protocol, (void *)count);
}

/* Whether an earlier protocol of the member has the same name: it counts once. */
static bool
named_before(const struct member *member, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (ox_str_eq(member->protocols[i].name, member->protocols[index].name))
            return true;
    return false;
}

static void
member_votes(struct member *member, int by)
{
    for (size_t i = 0; i < member->protocol_count; i++)
        if (!named_before(member, i))
            vote(member->group, member->protocols[i].name, by);
}

static void
member_free(struct member *member)
{
    ox_assert(member->join == NULL);
    ox_assert(member->sync == NULL);
    shard_timer_stop(member->group->shard, &member->session);
    heap_str_free(&member->id);
    heap_str_free(&member->instance_id);
    heap_str_free(&member->client_id);
    heap_str_free(&member->client_host);
    heap_str_free(&member->held);
    heap_str_free(&member->assignment);
    heap_str_free(&member->offered);
    ox_free(member->protocols);
    ox_free(member);
}

struct member *
group_add_member(struct group *group, struct str id, struct str instance_id, struct str client_id,
    struct str client_host)
{
    ox_assert(group_member(group, id) == NULL);
    ox_assert(group_instance(group, instance_id) == NULL);
    struct pending_member *pending = ox_map_get(&group->pending, id);
    struct member *member = ox_calloc(1, sizeof(*member));
    member->group = group;
    member->id = heap_str(id);
    member->instance_id = heap_str(instance_id);
    member->client_id = heap_str(client_id.ptr ? client_id : OX_STR(""));
    member->client_host = heap_str(client_host.ptr ? client_host : OX_STR(""));
    member->assignment = heap_str(OX_STR(""));
    ox_map_put(&group->members, member->id, member);
    if (instance_id.ptr != NULL)
        ox_map_put(&group->instances, member->instance_id, member);
    if (group->leader == NULL)
        group->leader = member;
    if (pending != NULL)
        group_remove_pending(pending);
    return member;
}

void
group_remove_member(struct member *member)
{
    struct group *group = member->group;
    ox_assert(member->join == NULL);
    ox_assert(member->sync == NULL);
    member_votes(member, -1);
    if (member->sync_pending)
        group->syncs_pending--;
    if (member->instance_id.ptr != NULL)
        ox_map_remove(&group->instances, member->instance_id);
    ox_map_remove(&group->members, member->id);
    if (group->leader == member) {
        uint32_t at = 0;
        struct map_entry *first = ox_map_next(&group->members, &at);
        group->leader = first != NULL ? first->value : NULL;
    }
    member_free(member);
}

void
group_rename_member(struct member *member, struct str id)
{
    struct str copy = heap_str(id);
    ox_map_remove(&member->group->members, member->id);
    heap_str_free(&member->id);
    member->id = copy;
    ox_map_put(&member->group->members, member->id, member);
}

void
member_set_protocols(struct member *member, const struct coord_join_protocol *protocols,
    size_t count)
{
    size_t bytes = ox_size_mul(count, sizeof(struct member_protocol));
    for (size_t i = 0; i < count; i++)
        bytes += protocols[i].name.len + protocols[i].metadata.len;
    struct member_protocol *copy = ox_malloc(bytes);
    char *at = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        const struct coord_join_protocol *from = &protocols[i];
        copy[i].name = ox_str_n(at, from->name.len);
        if (from->name.len > 0)
            memcpy(at, from->name.ptr, from->name.len);
        at += from->name.len;
        copy[i].metadata = ox_str_n(at, from->metadata.len);
        if (from->metadata.len > 0)
            memcpy(at, from->metadata.ptr, from->metadata.len);
        at += from->metadata.len;
    }
    member_votes(member, -1);
    ox_free(member->protocols);
    member->protocols = copy;
    member->protocol_count = count;
    member_votes(member, 1);
}

void
member_set_assignment(struct member *member, struct str assignment)
{
    struct str copy = heap_str(assignment.ptr ? assignment : OX_STR(""));
    heap_str_free(&member->assignment);
    heap_str_free(&member->held);
    member->assignment = copy;
}

struct str
member_metadata(const struct member *member, struct str protocol)
{
    for (size_t i = 0; i < member->protocol_count; i++)
        if (ox_str_eq(member->protocols[i].name, protocol))
            return member->protocols[i].metadata;
    return OX_STR_NULL;
}

bool
member_matches(const struct member *member, const struct coord_join_protocol *protocols,
    size_t count)
{
    if (count != member->protocol_count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct member_protocol *mine = &member->protocols[i];
        if (!ox_str_eq(mine->name, protocols[i].name) ||
            mine->metadata.len != protocols[i].metadata.len ||
            (mine->metadata.len > 0 &&
                memcmp(mine->metadata.ptr, protocols[i].metadata.ptr, mine->metadata.len) != 0))
            return false;
    }
    return true;
}

struct coord_join_call *
member_take_join(struct member *member)
{
    struct coord_join_call *call = member->join;
    if (call != NULL) {
        ox_assert(member->group->joins_parked > 0);
        member->group->joins_parked--;
        member->join = NULL;
    }
    return call;
}

void
member_park_join(struct member *member, struct coord_join_call *call)
{
    ox_assert(member->join == NULL);
    member->join = call;
    member->group->joins_parked++;
}

struct pending_member *
group_add_pending(struct group *group, struct str id)
{
    struct pending_member *pending = ox_calloc(1, sizeof(*pending));
    pending->group = group;
    pending->id = heap_str(id);
    ox_map_put(&group->pending, pending->id, pending);
    return pending;
}

void
group_remove_pending(struct pending_member *pending)
{
    ox_map_remove(&pending->group->pending, pending->id);
    pending_free(pending);
}

/* ---- protocols ---- */

bool
group_supports(const struct group *group, struct str protocol_type,
    const struct coord_join_protocol *protocols, size_t count)
{
    if (group->state == GROUP_EMPTY)
        return protocol_type.len > 0 && count > 0;
    if (group->protocol_type.ptr == NULL || !ox_str_eq(group->protocol_type, protocol_type))
        return false;
    for (size_t i = 0; i < count; i++)
        if ((uintptr_t)ox_map_get(&group->votes, protocols[i].name) == group_member_count(group))
            return true;
    return false;
}

/* The same name where it lives as long as somebody supports it. */
static struct str
lasting_name(const struct group *group, struct str name)
{
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->votes, &at)) != NULL;)
        if (ox_str_eq(entry->key, name))
            return entry->key;
    ox_unreachable();
}

/* Each member votes for the first of its protocols that all support; of equal
 * counts the one met first in the order of members wins. */
struct str
group_select_protocol(const struct group *group)
{
    struct map ballots;
    struct map_entry *entry;
    struct str best = OX_STR_NULL;
    intptr_t most = 0;
    ox_map_init(&ballots);
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        for (size_t i = 0; i < member->protocol_count; i++) {
            struct str name = member->protocols[i].name;
            if ((uintptr_t)ox_map_get(&group->votes, name) != group_member_count(group))
                continue;
            ox_map_put(&ballots, name, (void *)((intptr_t)ox_map_get(&ballots, name) + 1));
            break;
        }
    }
    for (uint32_t at = 0; (entry = ox_map_next(&ballots, &at)) != NULL;)
        if ((intptr_t)entry->value > most) {
            most = (intptr_t)entry->value;
            best = lasting_name(group, entry->key);
        }
    ox_map_fini(&ballots);
    return best;
}

int32_t
group_rebalance_timeout(const struct group *group)
{
    int32_t most = 0;
    struct map_entry *entry;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;)
        most = OX_MAX(most, ((struct member *)entry->value)->rebalance_timeout_ms);
    return most;
}

/* ---- subscriptions, for protocol type "consumer" ---- */

void
group_forget_subscriptions(struct group *group)
{
    if (group->subscribed != NULL) {
        ox_map_fini(group->subscribed);
        ox_free(group->subscribed);
        group->subscribed = NULL;
    }
    group->subscribed_unknown = false;
}

static void
add_subscribed(void *arg, struct str topic)
{
    ox_map_put(arg, topic, arg);
}

/* Unparsable metadata makes the group count as subscribed to everything. */
bool
group_subscribed(struct group *group, struct str topic)
{
    if (group->consumer != NULL)
        return consumer_group_subscribed(group, topic);
    if (group->streams != NULL)
        return streams_group_subscribed(group, topic);
    if (group->protocol_type.ptr == NULL || !ox_str_is(group->protocol_type, "consumer"))
        return false;
    if (group->subscribed == NULL) {
        group->subscribed = ox_malloc(sizeof(*group->subscribed));
        ox_map_init(group->subscribed);
        struct map_entry *entry;
        for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
            if (group->protocol.ptr == NULL) {
                group->subscribed_unknown = true;
                break;
            }
            struct str blob = member_metadata(entry->value, group->protocol);
            if (blob.ptr != NULL &&
                !consumer_subscription_topics(blob, add_subscribed, group->subscribed))
                group->subscribed_unknown = true;
        }
    }
    return group->subscribed_unknown || ox_map_get(group->subscribed, topic) != NULL;
}

/* ---- offsets ---- */

/* Where the partition is or belongs. */
static uint32_t
search(const struct group_topic *topic, int32_t partition)
{
    uint32_t low = 0, high = topic->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (topic->partitions[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct committed *
group_offset(const struct group *group, struct str name, int32_t partition)
{
    struct group_topic *topic = ox_map_get(&group->topics, name);
    if (topic == NULL)
        return NULL;
    uint32_t at = search(topic, partition);
    if (at == topic->count || topic->partitions[at].partition != partition)
        return NULL;
    return &topic->partitions[at];
}

void
group_set_offset(struct group *group, struct str name, const struct committed *from)
{
    struct group_topic *topic = ox_map_get(&group->topics, name);
    if (topic == NULL) {
        topic = ox_calloc(1, sizeof(*topic));
        topic->name = heap_str(name);
        ox_map_put(&group->topics, topic->name, topic);
    }
    uint32_t at = search(topic, from->partition);
    struct str metadata = from->metadata.len > 0 ? heap_str(from->metadata) : OX_STR_NULL;
    if (at < topic->count && topic->partitions[at].partition == from->partition) {
        heap_str_free(&topic->partitions[at].metadata);
    } else {
        if (topic->count == topic->cap) {
            topic->cap = topic->cap == 0 ? 4 : topic->cap * 2;
            topic->partitions = ox_realloc(topic->partitions,
                ox_size_mul(topic->cap, sizeof(*topic->partitions)));
        }
        memmove(topic->partitions + at + 1, topic->partitions + at,
            (topic->count - at) * sizeof(*topic->partitions));
        topic->count++;
    }
    topic->partitions[at] = *from;
    topic->partitions[at].metadata = metadata;
    group->lingers = true;
}

void
group_remove_offset(struct group *group, struct str name, int32_t partition)
{
    struct group_topic *topic = ox_map_get(&group->topics, name);
    if (topic == NULL)
        return;
    uint32_t at = search(topic, partition);
    if (at == topic->count || topic->partitions[at].partition != partition)
        return;
    heap_str_free(&topic->partitions[at].metadata);
    topic->count--;
    memmove(topic->partitions + at, topic->partitions + at + 1,
        (topic->count - at) * sizeof(*topic->partitions));
    if (topic->count == 0) {
        ox_map_remove(&group->topics, topic->name);
        topic_free(topic);
    }
}

/* ---- invariants ---- */

static void
check_members(const struct group *group)
{
    uint32_t joins = 0, syncs = 0, pending = 0, instances = 0;
    struct map_entry *entry;
    bool leader_found = false;
    for (uint32_t at = 0; (entry = ox_map_next(&group->members, &at)) != NULL;) {
        const struct member *member = entry->value;
        ox_assert(member->group == group);
        ox_assert(ox_str_eq(entry->key, member->id));
        joins += member->join != NULL;
        syncs += member->sync != NULL;
        pending += member->sync_pending;
        leader_found |= member == group->leader;
        if (member->instance_id.ptr != NULL) {
            instances++;
            ox_assert(group_instance(group, member->instance_id) == member);
        }
        ox_assert(ox_map_get(&group->pending, member->id) == NULL);
        if (group->state == GROUP_COMPLETING || group->state == GROUP_STABLE)
            ox_assert(member_metadata(member, group->protocol).ptr != NULL);
    }
    ox_assert(leader_found == (group->members.count > 0));
    ox_assert(leader_found || group->leader == NULL);
    ox_assert(joins == group->joins_parked);
    ox_assert(instances == group->instances.count);
    ox_assert(pending == group->syncs_pending);
    ox_assert(syncs == 0 || group->state == GROUP_COMPLETING);
}

void
group_check(const struct group *group)
{
    struct map_entry *entry;
    if (group->consumer != NULL)
        consumer_group_check(group);
    if (group->share != NULL)
        share_group_check(group);
    if (group->streams != NULL)
        streams_group_check(group);
    check_members(group);
    if (group->members.count > 0)
        ox_assert(group->protocol_type.ptr != NULL);
    for (uint32_t at = 0; (entry = ox_map_next(&group->votes, &at)) != NULL;) {
        struct map_entry *other;
        intptr_t count = 0;
        for (uint32_t from = 0; (other = ox_map_next(&group->members, &from)) != NULL;)
            count += member_metadata(other->value, entry->key).ptr != NULL;
        ox_assert(count == (intptr_t)entry->value);
    }
    switch (group->state) {
    case GROUP_EMPTY:
    case GROUP_DEAD:
        ox_assert(group->members.count == 0);
        break;
    case GROUP_PREPARING:
        break;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        ox_assert(group->members.count > 0);
        ox_assert(group->protocol.ptr != NULL);
        break;
    }
    ox_assert((group->join_timer.slot != 0) == (group->state == GROUP_PREPARING));
    bool assigned = group->state == GROUP_COMPLETING || group->state == GROUP_STABLE;
    ox_assert(group->syncs_pending == 0 || assigned);
    ox_assert(group->sync_timer.slot == 0 || group->syncs_pending > 0);
}
