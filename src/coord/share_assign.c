/* SPDX-License-Identifier: Apache-2.0
 *
 * Who reads what in a share group: Kafka's assignor "simple". First each
 * partition goes to whom it is cheapest for (who had it, else who has least);
 * then members that got nothing join the partition with the fewest members.
 * Members come by rising id, so that the result depends on nothing else. */
#include "coord/share_group.h"

static bool
reads(const struct assign_member *member, uint32_t topic)
{
    for (uint32_t i = 0; i < member->topic_count; i++)
        if (member->topics[i] == topic)
            return true;
    return false;
}

/* Of the members that read the topic: fewest partitions, then who had it. */
static struct assign_member *
cheapest(struct assign_member *members, uint32_t count, uint32_t topic, const struct tp *tp)
{
    struct assign_member *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct assign_member *member = &members[i];
        if (!reads(member, topic))
            continue;
        if (best == NULL || member->target.count < best->target.count ||
            (member->target.count == best->target.count && !tpset_has(best->before, tp) &&
                tpset_has(member->before, tp)))
            best = member;
    }
    return best;
}

struct shared {
    struct tp tp;
    uint32_t topic, members;
};

static const struct shared *
least_shared(struct shared *all, uint32_t count, const struct assign_member *member)
{
    struct shared *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!reads(member, all[i].topic))
            continue;
        if (best == NULL || all[i].members < best->members ||
            (all[i].members == best->members && !tpset_has(member->before, &best->tp) &&
                tpset_has(member->before, &all[i].tp)))
            best = &all[i];
    }
    if (best != NULL)
        best->members++;
    return best;
}

void
assign_shares(const struct assign_topic *topics, const struct tpset *usable,
    struct assign_member *members, uint32_t member_count)
{
    struct shared *all = ox_malloc((usable->count + 1) * sizeof(*all));
    uint32_t count = 0, topic = 0;
    for (uint32_t i = 0; i < member_count; i++)
        members[i].target = (struct tpset){0};
    for (uint32_t i = 0; i < usable->count; i++) {
        const struct tp *tp = &usable->at[i];
        while (!ox_uuid_eq(&topics[topic].id, &tp->topic))
            topic++;
        struct assign_member *member = cheapest(members, member_count, topic, tp);
        if (member == NULL)
            continue;
        tpset_add(&member->target, &tp->topic, tp->partition);
        all[count++] = (struct shared){*tp, topic, 1};
    }
    for (uint32_t i = 0; i < member_count; i++) {
        if (members[i].target.count > 0)
            continue;
        const struct shared *found = least_shared(all, count, &members[i]);
        if (found != NULL)
            tpset_add(&members[i].target, &found->tp.topic, found->tp.partition);
    }
    for (uint32_t i = 0; i < member_count; i++)
        tpset_sort(&members[i].target);
    ox_free(all);
}
