/* SPDX-License-Identifier: Apache-2.0
 *
 * Assignors: who should read what.
 *
 * uniform  counts as equal as they can be, and what a member had stays with it
 *          as far as that allows.
 * range    per topic, contiguous runs in order of members (those with an
 *          instance id first), so that topics of equal size line up.
 *
 * Members are put in order first, so that the result depends on nothing else. */
#include <stdlib.h>
#include <string.h>

#include "coord/consumer_int.h"

static const char *const assignors[] = {[COORD_UNIFORM] = "uniform", [COORD_RANGE] = "range"};

enum coord_assignor
coord_assignor_find(struct str name)
{
    int found = 0;
    while (found < COORD_ASSIGNOR_COUNT && !ox_str_is(name, assignors[found]))
        found++;
    return (enum coord_assignor)found;
}

const char *
assignor_name(enum coord_assignor assignor)
{
    return assignors[assignor];
}

bool
assignment_due(const struct shard *shard, int64_t last_ms, int32_t interval_ms)
{
    int64_t earliest;
    return last_ms == 0 || interval_ms == 0 ||
           __builtin_add_overflow(last_ms, (int64_t)interval_ms, &earliest) ||
           shard_wall(shard) >= earliest || shard_wall(shard) < last_ms; /* set back */
}

static int
by_instance(const void *a, const void *b)
{
    const struct assign_member *x = *(struct assign_member *const *)a;
    const struct assign_member *y = *(struct assign_member *const *)b;
    if (x->instance_id.ptr != NULL && y->instance_id.ptr != NULL)
        return ox_str_cmp(x->instance_id, y->instance_id);
    if (x->instance_id.ptr != NULL || y->instance_id.ptr != NULL)
        return x->instance_id.ptr != NULL ? -1 : 1;
    return ox_str_cmp(x->id, y->id);
}

static struct assign_member **
in_order(struct assign_member *members, uint32_t count)
{
    struct assign_member **order = ox_malloc((count + 1) * sizeof(*order));
    for (uint32_t i = 0; i < count; i++) {
        members[i].target = (struct tpset){0};
        order[i] = &members[i];
    }
    qsort(order, count, sizeof(*order), by_instance);
    return order;
}

static bool
reads(const struct assign_member *member, uint32_t topic)
{
    uint32_t low = 0, high = member->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (member->topics[middle] == topic)
            return true;
        if (member->topics[middle] < topic)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- range ---- */

static void
range_topic(const struct assign_topic *topic, struct assign_member **readers, uint32_t count)
{
    int32_t next = 0, total = topic->partition_count;
    for (uint32_t i = 0; i < count; i++) {
        int32_t share = total / (int32_t)count + ((int32_t)i < total % (int32_t)count);
        for (; share > 0; share--)
            tpset_add(&readers[i]->target, &topic->id, next++);
    }
}

void
assign_range(const struct assign_topic *topics, uint32_t topic_count,
    struct assign_member *members, uint32_t member_count)
{
    struct assign_member **order = in_order(members, member_count);
    struct assign_member **readers = ox_malloc((member_count + 1) * sizeof(*readers));
    for (uint32_t t = 0; t < topic_count; t++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < member_count; i++)
            if (reads(order[i], t))
                readers[count++] = order[i];
        if (count > 0)
            range_topic(&topics[t], readers, count);
    }
    for (uint32_t i = 0; i < member_count; i++)
        tpset_sort(&members[i].target);
    ox_free(readers);
    ox_free(order);
}

/* ---- uniform ---- */

/* All partitions in one row: those of topic t begin at first[t]. */
struct uniform {
    const struct assign_topic *topics;
    uint32_t topic_count, partition_count, member_count;
    struct assign_member **members; /* in order */
    uint32_t *first;
    uint32_t *topic_of;  /* of a partition */
    int32_t *owner;      /* of a partition: index of a member, -1 none */
    uint32_t *load;      /* of a member */
};

static uint32_t
find_topic(const struct uniform *u, const struct uuid *id)
{
    uint32_t low = 0, high = u->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = memcmp(&u->topics[middle].id, id, sizeof(*id));
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

/* What each had and still may have, up to its quota: the first `larger` members
 * that have more than the base may have one more. */
static void
keep_before(struct uniform *u, uint32_t base, uint32_t larger)
{
    for (uint32_t m = 0; m < u->member_count; m++) {
        const struct tpset *before = u->members[m]->before;
        for (uint32_t i = 0; before != NULL && i < before->count; i++) {
            uint32_t topic = find_topic(u, &before->at[i].topic);
            int32_t number = before->at[i].partition;
            if (topic == UINT32_MAX || number < 0 || number >= u->topics[topic].partition_count ||
                !reads(u->members[m], topic))
                continue;
            uint32_t partition = u->first[topic] + (uint32_t)number;
            if (u->owner[partition] >= 0 || u->load[m] > base ||
                (u->load[m] == base && larger == 0))
                continue;
            if (u->load[m] == base)
                larger--;
            u->owner[partition] = (int32_t)m;
            u->load[m]++;
        }
    }
}

/* The reader of the topic with the least load, the first of equals. */
static int32_t
least_loaded(const struct uniform *u, uint32_t topic)
{
    int32_t best = -1;
    for (uint32_t m = 0; m < u->member_count; m++)
        if (reads(u->members[m], topic) && (best < 0 || u->load[m] < u->load[best]))
            best = (int32_t)m;
    return best;
}

static void
give(struct uniform *u, uint32_t partition, int32_t to)
{
    if (u->owner[partition] >= 0)
        u->load[u->owner[partition]]--;
    u->owner[partition] = to;
    if (to >= 0)
        u->load[to]++;
}

/* With different subscriptions: move partitions from who has more to who has at
 * least two less, while there are any. Each move lowers the sum of squares. */
static void
level(struct uniform *u)
{
    bool moved = true;
    for (uint32_t round = 0; moved && round < u->member_count + 1; round++) {
        moved = false;
        for (uint32_t p = 0; p < u->partition_count; p++) {
            int32_t from = u->owner[p];
            int32_t to = from < 0 ? -1 : least_loaded(u, u->topic_of[p]);
            if (to >= 0 && u->load[from] > u->load[to] + 1) {
                give(u, p, to);
                moved = true;
            }
        }
    }
}

static bool
same_topics(const struct uniform *u)
{
    for (uint32_t m = 1; m < u->member_count; m++)
        if (u->members[m]->topic_count != u->members[0]->topic_count ||
            memcmp(u->members[m]->topics, u->members[0]->topics,
                u->members[0]->topic_count * sizeof(uint32_t)) != 0)
            return false;
    return true;
}

/* Everybody reads the same: hand what is left to the next below its quota. */
static void
fill_quotas(struct uniform *u, uint32_t base)
{
    uint32_t next = 0, quota = base;
    for (uint32_t p = 0; p < u->partition_count; p++) {
        if (u->owner[p] >= 0 || !reads(u->members[0], u->topic_of[p]))
            continue;
        while (next < u->member_count && u->load[next] >= quota)
            if (++next == u->member_count && quota == base) {
                quota = base + 1;
                next = 0;
            }
        ox_assert(next < u->member_count);
        give(u, p, (int32_t)next);
    }
}

static void
lay_out(struct uniform *u)
{
    u->first = ox_malloc((u->topic_count + 1) * sizeof(*u->first));
    for (uint32_t t = 0; t < u->topic_count; t++) {
        u->first[t] = u->partition_count;
        u->partition_count += (uint32_t)u->topics[t].partition_count;
    }
    u->topic_of = ox_malloc((u->partition_count + 1) * sizeof(*u->topic_of));
    u->owner = ox_malloc((u->partition_count + 1) * sizeof(*u->owner));
    u->load = ox_calloc(u->member_count + 1, sizeof(*u->load));
    for (uint32_t t = 0, p = 0; t < u->topic_count; t++)
        for (int32_t i = 0; i < u->topics[t].partition_count; i++, p++) {
            u->topic_of[p] = t;
            u->owner[p] = -1;
        }
}

void
assign_uniform(const struct assign_topic *topics, uint32_t topic_count,
    struct assign_member *members, uint32_t member_count)
{
    struct uniform u = {.topics = topics, .topic_count = topic_count,
        .member_count = member_count};
    u.members = in_order(members, member_count);
    lay_out(&u);
    if (member_count > 0 && same_topics(&u)) {
        uint32_t total = 0;
        for (uint32_t i = 0; i < u.members[0]->topic_count; i++)
            total += (uint32_t)topics[u.members[0]->topics[i]].partition_count;
        keep_before(&u, total / member_count, total % member_count);
        fill_quotas(&u, total / member_count);
    } else if (member_count > 0) {
        keep_before(&u, UINT32_MAX - 1, 0);
        for (uint32_t p = 0; p < u.partition_count; p++)
            if (u.owner[p] < 0)
                give(&u, p, least_loaded(&u, u.topic_of[p]));
        level(&u);
    }
    for (uint32_t p = 0; p < u.partition_count; p++)
        if (u.owner[p] >= 0)
            tpset_add(&u.members[u.owner[p]]->target, &topics[u.topic_of[p]].id,
                (int32_t)(p - u.first[u.topic_of[p]]));
    for (uint32_t i = 0; i < member_count; i++)
        tpset_sort(&members[i].target);
    ox_free(u.first);
    ox_free(u.topic_of);
    ox_free(u.owner);
    ox_free(u.load);
    ox_free(u.members);
}
