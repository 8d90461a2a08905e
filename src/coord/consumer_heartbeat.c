/* SPDX-License-Identifier: Apache-2.0
 *
 * ConsumerGroupHeartbeat: a member joins, says what it wants and what it has,
 * leaves; and learns what it may have. One heartbeat goes through
 *
 *   check the request -> find group and member -> check its epoch ->
 *   subscription (record 5) -> patterns (16) -> epoch of the group (3) ->
 *   target (7, 6) -> its own assignment (8) -> answer when they are committed
 *
 * Each record takes effect at once, so that the next step sees it; if the log
 * then refuses them the shard forgets everything and loads again. An answer
 * without records waits for the records that the group has on their way, for it
 * may tell of them.
 *
 * A classic group becomes a consumer group on the first heartbeat, and goes back
 * when only classic members are left (migrate.c). */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "coord/share_group.h"

enum { ID_LEN_MAX = INT16_MAX - 40, TOPICS_MAX = 100000, REGEX_REFRESH_MS = 10000,
    REGEX_AGE_MS = 600000 };

/* One heartbeat on its way through. */
struct beat {
    struct coord_consumer_call *call;
    struct shard *shard;
    struct group *group;
    struct consumer_group *consumer;
    struct write *write;
    struct consumer_member *member; /* NULL until it has a subscription */
    struct consumer_member *gone;   /* a static member that it takes the place of */
    struct str member_id;
    struct tpset owned;
    bool bump;       /* the group's epoch must move */
    bool comes_back; /* a static member, for one that left for a while or spoke otherwise */
};

/* ---- answers ---- */

static void
fail(struct coord_consumer_call *call, ox_code code, const char *message)
{
    call->message = ox_str(message);
    call->out_member_id = OX_STR_NULL;
    call->out_member_epoch = 0;
    call->heartbeat_interval_ms = 0;
    call->has_assignment = false;
    call->assignment = NULL;
    call->assignment_count = 0;
    call_finish(&call->call, code);
}

static void
beat_done(struct shard *shard, struct write *write, ox_code code)
{
    struct coord_consumer_call *call =
        ox_container_of(write->call, struct coord_consumer_call, call);
    if (code != OX_OK)
        fail(call, write_error(code), NULL);
    else
        call_finish(&call->call, OX_OK);
}

void
consumer_list_partitions(const struct group *group, const struct tpset *set, struct arena *arena,
    bool names, struct coord_topic_partitions **out, size_t *count)
{
    const struct coord_host *host = group->shard->coord->host;
    *out = ox_arena_array(arena, struct coord_topic_partitions, set->count);
    *count = 0;
    for (uint32_t at = 0; at < set->count;) {
        struct coord_topic_partitions *topic = &(*out)[(*count)++];
        struct coord_topic facts;
        uint32_t end = at;
        topic->topic_id = set->at[at].topic;
        while (end < set->count && ox_uuid_eq(&set->at[end].topic, &topic->topic_id))
            end++;
        topic->partitions = ox_arena_array(arena, int32_t, end - at);
        for (; at < end; at++)
            if (set->at[at].partition >= 0)
                topic->partitions[topic->partition_count++] = set->at[at].partition;
        topic->topic = OX_STR("");
        if (names && host->topic_by_id(host->self, &topic->topic_id, &facts))
            topic->topic = ox_str_dup(arena, facts.name);
    }
}

/* ---- the request ---- */

static bool
too_long(struct str s)
{
    return s.len > ID_LEN_MAX;
}

static const char *
check_join(const struct coord_consumer_call *call)
{
    if (call->rebalance_timeout_ms < 0)
        return "RebalanceTimeoutMs must be provided in first request.";
    if (call->owned == NULL || call->owned_count > 0)
        return "TopicPartitions must be empty when (re-)joining.";
    if (call->topics == NULL && call->regex.ptr == NULL)
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
               "(re-)joining.";
    return NULL;
}

/* What is wrong with the request, or NULL. */
static const char *
check_request(const struct coord_consumer_call *call)
{
    if (call->group_id.len == 0 || too_long(call->group_id))
        return "GroupId can't be empty.";
    if (call->member_epoch < EPOCH_LEAVE_STATIC)
        return "MemberEpoch is invalid.";
    if (call->member_id.len == 0 && (call->version > 0 || call->member_epoch != 0))
        return "MemberId can't be empty.";
    if (too_long(call->member_id) || too_long(call->instance_id) || too_long(call->rack_id) ||
        too_long(call->client_id) || too_long(call->client_host))
        return "an id is too long";
    if (call->instance_id.ptr != NULL && call->instance_id.len == 0)
        return "InstanceId can't be empty.";
    if (call->rack_id.ptr != NULL && call->rack_id.len == 0)
        return "the rack id must not be empty";
    if (call->member_epoch == EPOCH_LEAVE_STATIC && call->instance_id.ptr == NULL)
        return "InstanceId can't be null.";
    if (call->rebalance_timeout_ms < -1)
        return "the rebalance timeout is not valid";
    if (call->topic_count > TOPICS_MAX)
        return "the subscription has too many topics";
    return call->member_epoch == 0 ? check_join(call) : NULL;
}

static void
read_owned(struct beat *beat)
{
    const struct coord_consumer_call *call = beat->call;
    for (size_t i = 0; i < call->owned_count; i++)
        for (size_t j = 0; j < call->owned[i].partition_count; j++)
            tpset_add(&beat->owned, &call->owned[i].topic_id, call->owned[i].partitions[j]);
    tpset_sort(&beat->owned);
}

/* ---- group and member ---- */

/* The group, which may still have to become a consumer group. */
static ox_code
find_group(struct beat *beat, const char **message)
{
    const struct coord_consumer_call *call = beat->call;
    struct group *group = group_find(beat->shard, call->group_id);
    if (group != NULL && group->state == GROUP_DEAD)
        return OX_COORDINATOR_NOT_AVAILABLE;
    bool shared = group != NULL && (group->share != NULL || group->streams != NULL);
    bool other = group != NULL && group->consumer == NULL &&
                 (shared || group->state != GROUP_EMPTY) &&
                 !(call->member_epoch == 0 && migrate_possible(group));
    if (other || (call->member_epoch != 0 && (group == NULL || group->consumer == NULL))) {
        *message = shared  ? "the group is of another kind"
                   : other ? "the group uses the classic protocol"
                           : "the group does not exist";
        return OX_GROUP_ID_NOT_FOUND;
    }
    return group_get(beat->shard, call->group_id, &beat->group);
}

static ox_code
check_epoch(const struct beat *beat, const struct consumer_member *member, const char **message)
{
    int32_t epoch = beat->call->member_epoch;
    if (epoch <= 0 || epoch == member->epoch)
        return OX_OK;
    *message = epoch > member->epoch ? "the member epoch is ahead of the group's"
                                     : "the member epoch is stale: give up all partitions, rejoin";
    if (epoch > member->epoch)
        return OX_FENCED_MEMBER_EPOCH;
    /* It may have missed our last answer. */
    bool lost = epoch == member->previous_epoch && beat->call->owned != NULL &&
                tpset_within(&beat->owned, &member->assigned);
    return lost ? OX_OK : OX_FENCED_MEMBER_EPOCH;
}

static ox_code
find_static(struct beat *beat, const char **message)
{
    const struct coord_consumer_call *call = beat->call;
    struct consumer_member *holder =
        ox_map_get(&beat->group->consumer->instances, call->instance_id);
    if (holder == NULL) {
        *message = "no member has this instance id";
        return call->member_epoch == 0 ? OX_OK : OX_UNKNOWN_MEMBER_ID;
    }
    bool same = ox_str_eq(holder->id, beat->member_id);
    if (same && call->member_epoch != 0) {
        beat->member = holder;
        return check_epoch(beat, holder, message);
    }
    if (call->member_epoch != 0) {
        *message = "another member has taken the instance id over";
        return OX_FENCED_INSTANCE_ID;
    }
    if (!holder->subscription.classic && holder->epoch != EPOCH_LEAVE_STATIC) {
        *message = "a member still uses the instance id";
        return OX_UNRELEASED_INSTANCE_ID;
    }
    if (same)
        beat->member = holder;
    else
        beat->gone = holder;
    beat->comes_back = true;
    return OX_OK;
}

static ox_code
find_member(struct beat *beat, const char **message)
{
    const struct coord_consumer_call *call = beat->call;
    const struct group *group = beat->group;
    beat->member_id = call->member_id;
    if (group->consumer == NULL)
        return OX_OK;
    if (call->instance_id.ptr != NULL) {
        ox_code code = find_static(beat, message);
        if (code != OX_OK || beat->member != NULL || beat->gone != NULL)
            return code;
    } else {
        beat->member = consumer_member_find(group, beat->member_id);
    }
    if (beat->member != NULL)
        return check_epoch(beat, beat->member, message);
    if (call->member_epoch != 0) {
        *message = "the member is not part of the group";
        return OX_UNKNOWN_MEMBER_ID;
    }
    if (group->consumer->members.count >= (uint32_t)beat->shard->config.consumer_size_max)
        return OX_GROUP_MAX_SIZE_REACHED;
    return OX_OK;
}

static struct str
make_member_id(struct beat *beat)
{
    const struct coord_host *host = beat->shard->coord->host;
    struct uuid id;
    char text[23];
    host->random(host->self, &id, sizeof(id));
    ox_uuid_to_base64(&id, text);
    return ox_str(ox_arena_strdup(beat->call->call.arena, text));
}

/* The members of a classic group have become members of this one. */
static void
look_again(struct beat *beat)
{
    struct str instance_id = beat->call->instance_id;
    struct consumer_group *consumer = beat->group->consumer;
    struct consumer_member *holder =
        instance_id.ptr != NULL ? ox_map_get(&consumer->instances, instance_id) : NULL;
    beat->member = consumer_member_find(beat->group, beat->member_id);
    if (holder != NULL && holder != beat->member)
        beat->gone = holder;
}

/* An empty classic group goes, its offsets stay. */
static void
become_consumer_group(struct beat *beat)
{
    struct group *group = beat->group;
    if (group->consumer == NULL && group->state != GROUP_EMPTY) {
        migrate_upgrade(group, beat->write);
        look_again(beat);
    } else if (group->consumer == NULL) {
        group_leave_classic(group, beat->write);
        beat->bump = true;
    }
    beat->consumer = consumer_group_get(group);
}

/* ---- subscription ---- */

static int
by_name(const void *a, const void *b)
{
    return ox_str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void
subscription_set_topics(struct consumer_subscription *to, const struct str *topics, size_t count,
    struct arena *arena)
{
    size_t kept = 0;
    to->topics = ox_arena_array(arena, struct str, count);
    if (count > 0) {
        memcpy(to->topics, topics, count * sizeof(*topics));
        qsort(to->topics, count, sizeof(*topics), by_name);
    }
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || ox_str_cmp(to->topics[kept - 1], to->topics[i]) != 0)
            to->topics[kept++] = to->topics[i];
    to->topic_count = kept;
}

static bool
same_topics(const struct consumer_subscription *a, const struct consumer_subscription *b)
{
    if (a->topic_count != b->topic_count)
        return false;
    for (size_t i = 0; i < a->topic_count; i++)
        if (!ox_str_eq(a->topics[i], b->topics[i]))
            return false;
    return true;
}

/* Null and empty are the same: no pattern. */
static bool
same_pattern(struct str a, struct str b)
{
    return (a.len == 0 && b.len == 0) || ox_str_eq(a, b);
}

static bool
same_classic(const struct consumer_subscription *a, const struct consumer_subscription *b)
{
    if (a->classic != b->classic || a->session_timeout_ms != b->session_timeout_ms ||
        a->protocol_count != b->protocol_count)
        return false;
    for (size_t i = 0; i < a->protocol_count; i++)
        if (!ox_str_eq(a->protocols[i].name, b->protocols[i].name) ||
            !ox_str_eq(a->protocols[i].metadata, b->protocols[i].metadata))
            return false;
    return true;
}

bool
subscription_wants_same(const struct consumer_subscription *a,
    const struct consumer_subscription *b)
{
    return same_topics(a, b) && same_pattern(a->regex, b->regex);
}

bool
subscription_same(const struct consumer_subscription *a, const struct consumer_subscription *b)
{
    return subscription_wants_same(a, b) && ox_str_eq(a->assignor, b->assignor) &&
           ox_str_eq(a->instance_id, b->instance_id) &&
           ox_str_eq(a->rack_id, b->rack_id) && ox_str_eq(a->client_id, b->client_id) &&
           ox_str_eq(a->client_host, b->client_host) &&
           a->rebalance_timeout_ms == b->rebalance_timeout_ms && same_classic(a, b);
}

static void
subscribe(struct beat *beat)
{
    const struct coord_consumer_call *call = beat->call;
    const struct consumer_member *from = beat->member ? beat->member : beat->gone;
    struct consumer_subscription next = {.rebalance_timeout_ms = -1};
    if (from != NULL)
        next = from->subscription;
    if (call->instance_id.ptr != NULL)
        next.instance_id = call->instance_id;
    if (call->rack_id.ptr != NULL)
        next.rack_id = call->rack_id;
    next.client_id = call->client_id.ptr ? call->client_id : OX_STR("");
    next.client_host = call->client_host.ptr ? call->client_host : OX_STR("");
    if (call->topics != NULL)
        subscription_set_topics(&next, call->topics, call->topic_count, call->call.arena);
    if (call->regex.ptr != NULL)
        next.regex = call->regex.len > 0 ? call->regex : OX_STR_NULL;
    if (call->assignor.ptr != NULL)
        next.assignor = call->assignor;
    if (call->rebalance_timeout_ms >= 0)
        next.rebalance_timeout_ms = call->rebalance_timeout_ms;
    bool fresh = beat->member == NULL;
    next.classic = false; /* whatever it spoke before */
    next.session_timeout_ms = 0;
    next.protocols = NULL;
    next.protocol_count = 0;
    beat->bump |= from == NULL || !subscription_wants_same(&next, &from->subscription);
    beat->consumer->regex_due |= from == NULL ? next.regex.len > 0
                                              : !same_pattern(next.regex, from->subscription.regex);
    enum coord_assignor assignor = consumer_group_assignor(beat->group);
    if (fresh || !subscription_same(&next, &from->subscription))
        put_member(beat->write, beat->member_id, &next);
    beat->bump |= consumer_group_assignor(beat->group) != assignor;
    beat->member = consumer_member_find(beat->group, beat->member_id);
}

/* The one who comes gets what the one who left has. Its subscription, with the
 * instance id, has been put before. */
void
consumer_take_over(struct write *write, struct consumer_member *gone, struct str member_id)
{
    struct tpset target = {0}, assigned = {0}, none = {0};
    struct str id = ox_str_dup(&write->arena, gone->id);
    tpset_copy(&target, &gone->target);
    tpset_copy(&assigned, &gone->assigned);
    put_gone(write, KEY_CONSUMER_CURRENT, id);
    put_gone(write, KEY_CONSUMER_TARGET, id);
    put_gone(write, KEY_CONSUMER_MEMBER, id);
    put_target(write, member_id, &target);
    put_current(write, member_id, 0, 0, CONSUMER_STABLE, &assigned, &none);
    tpset_fini(&target);
    tpset_fini(&assigned);
}

/* The same for a member that comes back as itself. */
static void
start_again(struct beat *beat)
{
    struct tpset assigned = {0}, none = {0};
    tpset_copy(&assigned, &beat->member->assigned);
    put_current(beat->write, beat->member->id, 0, 0, CONSUMER_STABLE, &assigned, &none);
    tpset_fini(&assigned);
}

/* ---- patterns ---- */

struct matches {
    const struct topic_regex *regex;
    const struct coord_consumer_call *call;
    struct arena *arena;
    struct str *topics;
    size_t count, cap;
};

static void
match_topic(void *arg, const struct coord_topic *topic)
{
    struct matches *matches = arg;
    const struct coord_consumer_call *call = matches->call;
    if (!topic_regex_match(matches->regex, topic->name) ||
        (call->sees != NULL && !call->sees(call->sees_of, topic->name)))
        return;
    ox_arena_grow(matches->arena, (void **)&matches->topics, &matches->cap, matches->count + 1,
        sizeof(*matches->topics));
    matches->topics[matches->count++] = ox_str_dup(matches->arena, topic->name);
}

/* Returns whether what the pattern matches has changed: topics that there are, and
 * of which the one who calls may know, as in Kafka. */
static bool
resolve_one(const struct beat *beat, struct str pattern)
{
    struct group *group = beat->group;
    struct write *write = beat->write;
    struct shard *shard = group->shard;
    const struct coord_host *host = shard->coord->host;
    const struct consumer_regex *old = ox_map_get(&group->consumer->regexes, pattern);
    const char *reason;
    struct topic_regex *regex = topic_regex_new(pattern, &reason);
    struct matches matches = {.regex = regex, .call = beat->call, .arena = &write->arena};
    if (regex == NULL)
        return false; /* of another implementation's making: matches nothing here */
    host->each_topic(host->self, match_topic, &matches);
    topic_regex_free(regex);
    if (matches.count > 0)
        qsort(matches.topics, matches.count, sizeof(*matches.topics), by_name);
    bool same = old != NULL && old->topic_count == matches.count;
    for (size_t i = 0; same && i < matches.count; i++)
        same = ox_str_eq(old->topics[i], matches.topics[i]);
    if (!same)
        put_regex(write, pattern, matches.topics, matches.count,
            (int64_t)host->topics_generation(host->self), shard_wall(shard));
    return !same;
}

static void
resolve_patterns(struct beat *beat)
{
    struct consumer_group *consumer = beat->consumer;
    const struct coord_host *host = beat->shard->coord->host;
    struct map wanted;
    struct map_entry *entry;
    uint64_t now = shard_now(beat->shard);
    /* As in Kafka at times anyway: rights may have changed. */
    bool stale = now >= consumer->regex_ms + REGEX_AGE_MS ||
                 (host->topics_generation(host->self) != consumer->regex_generation &&
                     now >= consumer->regex_ms + REGEX_REFRESH_MS);
    bool none = consumer->regexes.count == 0, all = consumer->regex_again || stale || none;
    if (!consumer->regex_due && (!all || none))
        return;
    consumer->regex_due = false;
    if (all) {
        consumer->regex_again = false;
        consumer->regex_ms = now;
        consumer->regex_generation = host->topics_generation(host->self);
    }
    ox_map_init(&wanted);
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        if (member->subscription.regex.len > 0)
            ox_map_put(&wanted, member->subscription.regex, &wanted);
    }
    for (uint32_t at = 0; (entry = ox_map_next(&wanted, &at)) != NULL;)
        if (all || ox_map_get(&consumer->regexes, entry->key) == NULL)
            beat->bump |= resolve_one(beat, entry->key);
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->regexes, &at)) != NULL;)
        if (ox_map_get(&wanted, entry->key) == NULL)
            put_gone(beat->write, KEY_CONSUMER_REGEX, entry->key);
    ox_map_fini(&wanted);
}

/* ---- the group's epoch ---- */

static void
add_topics(struct topic_table *table, const struct consumer_member *member)
{
    const struct consumer_subscription *own = &member->subscription;
    const struct consumer_regex *regex =
        own->regex.len > 0 ? ox_map_get(&member->group->consumer->regexes, own->regex) : NULL;
    topic_table_add(table, own->topics, own->topic_count);
    if (regex != NULL)
        topic_table_add(table, regex->topics, regex->topic_count);
}

/* All topics that somebody in the group reads, as they are now. */
static void
read_topics(struct topic_table *table, struct group *group)
{
    struct map_entry *entry;
    topic_table_init(table, group->shard->coord->host);
    for (uint32_t at = 0; (entry = ox_map_next(&group->consumer->members, &at)) != NULL;)
        add_topics(table, entry->value);
    topic_table_sort(table);
}

static int64_t
metadata_hash(struct group *group)
{
    const struct coord_host *host = group->shard->coord->host;
    struct topic_table table;
    read_topics(&table, group);
    int64_t hash = (int64_t)table.hash;
    topic_table_fini(&table);
    group->consumer->topics_generation = host->topics_generation(host->self);
    return hash;
}

void
consumer_put_epoch(struct group *group, struct write *write, int32_t epoch)
{
    put_epoch(write, epoch, metadata_hash(group));
}

void
consumer_move_epoch(struct group *group, struct write *write, bool bump)
{
    const struct consumer_group *consumer = group->consumer;
    const struct coord_host *host = group->shard->coord->host;
    if (!bump && host->topics_generation(host->self) == consumer->topics_generation)
        return;
    int64_t hash = metadata_hash(group);
    if (!bump && hash == consumer->metadata_hash)
        return;
    ox_assert(consumer->epoch < INT32_MAX);
    put_epoch(write, consumer->epoch + 1, hash);
}

/* ---- the target ---- */

/* The topics that a member reads, as rising indexes into the table. */
static void
fill_topics(const struct topic_table *table, const struct consumer_member *member,
    struct assign_member *out, struct arena *arena)
{
    const struct consumer_subscription *own = &member->subscription;
    const struct consumer_regex *regex =
        own->regex.len > 0 ? ox_map_get(&member->group->consumer->regexes, own->regex) : NULL;
    size_t max = own->topic_count + (regex != NULL ? regex->topic_count : 0);
    struct str *names = ox_arena_array(arena, struct str, max);
    if (own->topic_count > 0)
        memcpy(names, own->topics, own->topic_count * sizeof(*names));
    if (regex != NULL && regex->topic_count > 0)
        memcpy(names + own->topic_count, regex->topics, regex->topic_count * sizeof(*names));
    topic_table_indexes(table, names, max, arena, &out->topics, &out->topic_count);
}

void
consumer_compute_target(struct group *group, struct write *write)
{
    struct consumer_group *consumer = group->consumer;
    struct map_entry *entry;
    struct topic_table table;
    struct arena arena;
    uint32_t count = 0;
    int32_t interval_ms = group_setting(group, "consumer.assignment.interval.ms",
        group->shard->config.consumer_assignment_ms);
    if (consumer->assignment_epoch == consumer->epoch ||
        !assignment_due(group->shard, consumer->assignment_ms, interval_ms))
        return;
    read_topics(&table, group);
    ox_arena_init(&arena);
    struct assign_member *members =
        ox_arena_array(&arena, struct assign_member, consumer->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&consumer->members, &at)) != NULL;) {
        const struct consumer_member *member = entry->value;
        struct assign_member *to = &members[count++];
        to->id = member->id;
        to->instance_id = member->subscription.instance_id;
        to->before = &member->target;
        fill_topics(&table, member, to, &arena);
    }
    if (consumer_group_assignor(group) == COORD_RANGE)
        assign_range(table.topics, table.count, members, count);
    else
        assign_uniform(table.topics, table.count, members, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct consumer_member *member = consumer_member_find(group, members[i].id);
        if (!tpset_equal(&member->target, &members[i].target))
            put_target(write, member->id, &members[i].target);
        tpset_fini(&members[i].target);
    }
    put_target_epoch(write, consumer->epoch, shard_wall(group->shard));
    ox_arena_fini(&arena);
    topic_table_fini(&table);
}

/* ---- the member's own assignment ---- */

static bool
among(const struct topic_table *table, const struct uuid *id)
{
    uint32_t low = 0, high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = memcmp(&table->topics[middle].id, id, sizeof(*id));
        if (order == 0)
            return true;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

/* Those of topics that the member reads. */
static void
keep_subscribed(struct tpset *out, const struct tpset *from, const struct consumer_member *member)
{
    struct topic_table table;
    *out = (struct tpset){0};
    topic_table_init(&table, member->group->shard->coord->host);
    add_topics(&table, member);
    topic_table_sort(&table);
    for (uint32_t i = 0, end; i < from->count; i = end) {
        bool reads = among(&table, &from->at[i].topic);
        end = tpset_run(from, i);
        for (uint32_t p = i; reads && p < end; p++)
            tpset_add(out, &from->at[p].topic, from->at[p].partition);
    }
    topic_table_fini(&table);
}

static bool
owns(const struct tpset *owned, const struct tpset *set)
{
    return set->count > 0 && (owned == NULL || tpset_meet(owned, set));
}

/* Nobody holds them but the member itself; others are left out. True if there are such. */
static bool
add_free(struct tpset *keep, const struct tpset *add, const struct consumer_member *member)
{
    bool others = false;
    for (uint32_t i = 0; i < add->count; i++) {
        const struct consumer_member *holder =
            consumer_holder(member->group->consumer, &add->at[i]);
        if (holder == NULL || holder == member)
            tpset_add(keep, &add->at[i].topic, add->at[i].partition);
        else
            others = true;
    }
    tpset_sort(keep);
    return others;
}

/* A target that is still to be computed may have topics that the member no longer reads. */
static void
next_assignment(struct consumer_member *member, struct write *write, const struct tpset *owned)
{
    const struct consumer_group *consumer = member->group->consumer;
    struct tpset target, keep, revoke, add, none = {0};
    if (consumer->assignment_epoch != consumer->epoch)
        keep_subscribed(&target, &member->target, member);
    else
        tpset_and(&target, &member->target, &member->target);
    tpset_and(&keep, &member->assigned, &target);
    tpset_minus(&revoke, &member->assigned, &target);
    tpset_minus(&add, &target, &member->assigned);
    if (owns(owned, &revoke)) {
        put_current(write, member->id, member->epoch, member->epoch, CONSUMER_UNREVOKED, &keep,
            &revoke);
    } else {
        bool wait = add_free(&keep, &add, member);
        enum consumer_state state = wait ? CONSUMER_UNRELEASED : CONSUMER_STABLE;
        int32_t epoch = consumer->assignment_epoch;
        if (epoch != member->epoch || member->epoch != member->previous_epoch ||
            state != member->state || member->revoking.count > 0 ||
            !tpset_equal(&keep, &member->assigned))
            put_current(write, member->id, epoch, member->epoch, state, &keep, &none);
    }
    tpset_fini(&target);
    tpset_fini(&keep);
    tpset_fini(&revoke);
    tpset_fini(&add);
}

/* The member reads other topics than before: those it does not are taken from it at once. */
static void
take_unsubscribed(struct consumer_member *member, struct write *write, const struct tpset *owned)
{
    struct tpset keep, revoke;
    keep_subscribed(&keep, &member->assigned, member);
    tpset_minus(&revoke, &member->assigned, &keep);
    bool changed = revoke.count > 0;
    tpset_unite(&revoke, &member->revoking);
    if (changed && owns(owned, &revoke))
        put_current(write, member->id, member->epoch, member->epoch, CONSUMER_UNREVOKED, &keep,
            &revoke);
    else if (changed)
        put_current(write, member->id, member->epoch, member->epoch, member->state, &keep,
            &member->revoking);
    tpset_fini(&keep);
    tpset_fini(&revoke);
}

/* Owned NULL: the client did not say. changed: what it reads. */
void
consumer_reconcile(struct consumer_member *member, struct write *write, const struct tpset *owned,
    bool changed)
{
    const struct consumer_group *consumer = member->group->consumer;
    bool stable = member->state == CONSUMER_STABLE && member->epoch == consumer->assignment_epoch;
    bool unrevoked = member->state == CONSUMER_UNREVOKED && owns(owned, &member->revoking);
    if (!stable && !unrevoked)
        next_assignment(member, write, owned);
    else if (changed)
        take_unsubscribed(member, write, owned);
}

/* ---- leaving, and being thrown out ---- */

void
consumer_remove_member(struct write *write, const struct consumer_member *member)
{
    struct str id = ox_str_dup(&write->arena, member->id);
    write->group->consumer->regex_due |= member->subscription.regex.len > 0;
    put_gone(write, KEY_CONSUMER_CURRENT, id);
    put_gone(write, KEY_CONSUMER_TARGET, id);
    put_gone(write, KEY_CONSUMER_MEMBER, id);
}

void
consumer_left(struct group *group, struct write *write)
{
    if (migrate_downgrade(group, write))
        return;
    consumer_move_epoch(group, write, true);
    if (group_is_empty(group))
        put_target_epoch(write, group->consumer->epoch, 0);
}

void
consumer_fence(struct consumer_member *member, const char *why)
{
    struct group *group = member->group;
    struct write *write = write_new(group->shard, group);
    ox_info(why, "group=%.*s member=%.*s", OX_STR_ARG(group->id), OX_STR_ARG(member->id));
    consumer_remove_member(write, member);
    consumer_left(group, write);
    write_submit(group->shard, write);
    ox_check_slow((group_check(group), true));
}

static void
session_expired(struct shard *shard, struct coord_timer *timer)
{
    consumer_fence(ox_container_of(timer, struct consumer_member, session),
        "group member timed out");
}

static void
rebalance_expired(struct shard *shard, struct coord_timer *timer)
{
    struct consumer_member *member = ox_container_of(timer, struct consumer_member, rebalance);
    if (member->state == CONSUMER_UNREVOKED)
        consumer_fence(member, "group member did not give up its partitions in time");
}

void
consumer_restart_session(struct consumer_member *member)
{
    struct shard *shard = member->group->shard;
    const struct coord_config *config = &member->group->shard->config;
    int32_t session_ms =
        group_setting(member->group, "consumer.session.timeout.ms", config->consumer_session_ms);
    if (member->subscription.classic)
        session_ms = member->subscription.session_timeout_ms;
    shard_timer(shard, &member->session, session_ms, session_expired);
    if (!member->subscription.classic && member->state == CONSUMER_UNREVOKED &&
        member->rebalance.slot == 0)
        shard_timer(shard, &member->rebalance, member->subscription.rebalance_timeout_ms,
            rebalance_expired);
}

static void
leave(struct beat *beat)
{
    struct coord_consumer_call *call = beat->call;
    struct consumer_member *member = beat->member;
    struct tpset none = {0};
    call->out_member_id = ox_str_dup(call->call.arena, beat->member_id);
    call->out_member_epoch = call->member_epoch;
    ox_info("group member leaves", "group=%.*s member=%.*s", OX_STR_ARG(beat->group->id),
        OX_STR_ARG(member->id));
    if (call->member_epoch == EPOCH_LEAVE_STATIC) {
        put_current(beat->write, member->id, EPOCH_LEAVE_STATIC, member->epoch, CONSUMER_STABLE,
            &member->assigned, &none);
        shard_timer_stop(beat->shard, &member->rebalance);
    } else {
        consumer_remove_member(beat->write, member);
        consumer_left(beat->group, beat->write);
    }
    write_answer(beat->write, &call->call, beat_done);
}

/* ---- a heartbeat ---- */

/* The sets are copied: records change what the member has. */
static void
go_on(struct beat *beat)
{
    struct coord_consumer_call *call = beat->call;
    struct tpset before = {0};
    become_consumer_group(beat);
    if (beat->member_id.len == 0)
        beat->member_id = make_member_id(beat);
    subscribe(beat);
    if (beat->gone != NULL)
        consumer_take_over(beat->write, beat->gone, beat->member_id);
    else if (beat->comes_back)
        start_again(beat);
    resolve_patterns(beat);
    consumer_move_epoch(beat->group, beat->write, beat->bump);
    consumer_compute_target(beat->group, beat->write);
    struct consumer_member *member = beat->member;
    int32_t epoch_before = member->epoch;
    enum consumer_state state_before = member->state;
    tpset_copy(&before, &member->assigned);
    consumer_reconcile(member, beat->write, call->owned != NULL ? &beat->owned : NULL, beat->bump);
    if (member->epoch != epoch_before || member->state != state_before)
        shard_timer_stop(beat->shard, &member->rebalance);
    consumer_restart_session(member);
    call->out_member_id = ox_str_dup(call->call.arena, member->id);
    call->out_member_epoch = member->epoch;
    call->heartbeat_interval_ms = group_setting(beat->group, "consumer.heartbeat.interval.ms",
        beat->shard->config.consumer_heartbeat_ms);
    /* Also to who says everything, as after an error. */
    bool full = call->owned != NULL && call->rebalance_timeout_ms != -1 &&
                (call->topics != NULL || call->regex.ptr != NULL);
    call->has_assignment =
        call->member_epoch == 0 || full || !tpset_equal(&before, &member->assigned);
    if (call->has_assignment)
        consumer_list_partitions(beat->group, &member->assigned, call->call.arena, false,
            &call->assignment, &call->assignment_count);
    tpset_fini(&before);
    ox_check_slow((consumer_group_check(beat->group), true));
    write_answer(beat->write, &call->call, beat_done);
}

static ox_code
check_pattern(struct str pattern, const char **message)
{
    struct topic_regex *regex = topic_regex_new(pattern, message);
    topic_regex_free(regex);
    return regex != NULL ? OX_OK : OX_INVALID_REGULAR_EXPRESSION;
}

static void
heartbeat_run(struct coord_call *base)
{
    struct coord_consumer_call *call = ox_container_of(base, struct coord_consumer_call, call);
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
    if (code == OX_OK && call->assignor.ptr != NULL &&
        !(beat.shard->config.consumer_assignors >> coord_assignor_find(call->assignor) & 1)) {
        code = OX_UNSUPPORTED_ASSIGNOR;
        message = "there is no such assignor";
    }
    read_owned(&beat);
    if (code == OX_OK)
        code = find_group(&beat, &message);
    if (code == OX_OK)
        code = find_member(&beat, &message);
    if (code == OX_OK && call->regex.len > 0)
        code = check_pattern(call->regex, &message);
    if (code != OX_OK) {
        fail(call, code, message);
        if (beat.group != NULL)
            group_maybe_drop(beat.group);
        tpset_fini(&beat.owned);
        return;
    }
    beat.write = write_new(beat.shard, beat.group);
    beat.consumer = beat.group->consumer;
    if (call->member_epoch < 0)
        leave(&beat);
    else
        go_on(&beat);
    tpset_fini(&beat.owned);
}

void
coord_consumer_heartbeat(struct coord *coord, struct coord_consumer_call *call)
{
    call_start(coord, &call->call, call->group_id, heartbeat_run);
}
