/* SPDX-License-Identifier: Apache-2.0
 *
 * A share group as a value: members, what each subscribes to, and which
 * partitions each reads. A partition may have many members; the records in it
 * are handed out one by one by the partition's leader (share/), so that nothing
 * has to be given up before another member gets it: a member's assignment is its
 * target.
 *
 *   group    EMPTY <-- members come and go --> STABLE
 *
 * A partition is assigned only when the share coordinator keeps a state for it:
 * initializing (asked for) -> initialized. All of this changes by records alone,
 * live as at replay.
 *
 * Invariants (share_group_check):
 * 1. The assignment epoch is at most the group's epoch, a member's at most the
 *    assignment's.
 * 2. Every member has a subscription.
 * 3. A partition is initializing or initialized, not both. */
#include <string.h>

#include "base/diag.h"
#include "coord/share_group.h"

struct share_group *
share_group_get(struct group *group)
{
    if (group->share == NULL) {
        struct share_group *share = ox_calloc(1, sizeof(*share));
        ox_map_init(&share->members);
        share->topics_generation = UINT64_MAX;
        share->epoch = share->assignment_epoch = 1;
        share->group = group;
        group->share = share;
    }
    return group->share;
}

static void
member_free(struct share_member *member)
{
    shard_timer_stop(member->group->shard, &member->session);
    tpset_fini(&member->assigned);
    tpset_fini(&member->target);
    heap_str_free(&member->id);
    ox_arena_fini(&member->arena);
    ox_free(member);
}

static void
remove_member(struct share_member *member)
{
    ox_map_remove(&member->group->share->members, member->id);
    member_free(member);
}

void
share_group_free(struct group *group)
{
    struct share_group *share = group->share;
    struct map_entry *entry;
    if (share == NULL)
        return;
    shard_timer_stop(group->shard, &share->again);
    for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;)
        member_free(entry->value);
    ox_map_fini(&share->members);
    tpset_fini(&share->initializing);
    tpset_fini(&share->initialized);
    tpset_fini(&share->deleting);
    tpset_fini(&share->grown);
    ox_free(share);
    group->share = NULL;
}

struct share_member *
share_member_find(const struct group *group, struct str id)
{
    return ox_map_get(&group->share->members, id);
}

const char *
share_group_state(const struct group *group)
{
    if (group->state == GROUP_DEAD)
        return "Dead";
    return group->share->members.count == 0 ? "Empty" : "Stable";
}

/* ---- what records do ---- */

static struct share_member *
member_get(struct group *group, struct str id)
{
    struct share_member *member = share_member_find(group, id);
    if (member != NULL)
        return member;
    member = ox_calloc(1, sizeof(*member));
    member->group = group;
    member->id = heap_str(id);
    ox_arena_init(&member->arena);
    ox_map_put(&group->share->members, member->id, member);
    return member;
}

static void
set_member(struct share_member *member, const struct share_value *from)
{
    struct arena arena;
    ox_arena_init(&arena);
    struct str *topics = names_dup(from->topics, from->topic_count, &arena);
    member->rack_id = ox_str_dup(&arena, from->rack_id);
    member->client_id = ox_str_dup(&arena, from->client_id);
    member->client_host = ox_str_dup(&arena, from->client_host);
    member->topics = topics;
    member->topic_count = from->topic_count;
    member->subscribed = true;
    ox_arena_fini(&member->arena);
    member->arena = arena;
}

void
share_note_grown(struct share_group *share, const struct tpset *fresh, bool also)
{
    struct tpset known;
    tpset_topics(&known, &share->initialized);
    if (also) {
        struct tpset soon;
        tpset_topics(&soon, &share->initializing);
        tpset_unite(&known, &soon);
        tpset_fini(&soon);
    }
    for (uint32_t i = 0; i < fresh->count; i++)
        if (tpset_has(&known, &(struct tp){fresh->at[i].topic, -1}))
            tpset_add(&share->grown, &fresh->at[i].topic, fresh->at[i].partition);
    tpset_sort(&share->grown);
    tpset_fini(&known);
}

/* What is not to be initialized any more. */
static void
trim_grown(struct share_group *share)
{
    struct tpset kept;
    tpset_and(&kept, &share->grown, &share->initializing);
    tpset_take(&share->grown, &kept);
}

void
share_group_set(struct group *group, int16_t type, struct share_value *value)
{
    struct share_group *share = share_group_get(group);
    struct share_member *member = value->id.ptr != NULL ? member_get(group, value->id) : NULL;
    switch (type) {
    case KEY_SHARE_MEMBER:
        set_member(member, value);
        break;
    case KEY_SHARE_EPOCH:
        share->epoch = value->epoch;
        share->metadata_hash = value->metadata_hash;
        group->logged = true;
        break;
    case KEY_SHARE_TARGET_EPOCH:
        share->assignment_epoch = value->epoch;
        share->assignment_ms = value->assignment_ms;
        break;
    case KEY_SHARE_TARGET:
        tpset_take(&member->target, &value->partitions);
        break;
    case KEY_SHARE_CURRENT:
        member->epoch = value->epoch;
        member->previous_epoch = value->previous_epoch;
        tpset_take(&member->assigned, &value->partitions);
        break;
    case KEY_SHARE_STATE:
        tpset_take(&share->initializing, &value->initializing);
        tpset_take(&share->initialized, &value->initialized);
        share->more_initialized = true;
        tpset_take(&share->deleting, &value->deleting);
        trim_grown(share);
        break;
    default:
        ox_unreachable();
    }
}

/* A tombstone. That of the epoch ends the group as a share group. */
void
share_group_unset(struct group *group, int16_t type, struct str id)
{
    struct share_group *share = group->share;
    if (share == NULL)
        return;
    struct share_member *member = id.ptr != NULL ? share_member_find(group, id) : NULL;
    switch (type) {
    case KEY_SHARE_EPOCH:
        group->logged = false;
        group->lingers = group->topics.count > 0;
        share_group_free(group);
        break;
    case KEY_SHARE_MEMBER:
        if (member != NULL)
            remove_member(member);
        break;
    case KEY_SHARE_TARGET_EPOCH:
        share->assignment_epoch = 0;
        share->assignment_ms = 0;
        break;
    case KEY_SHARE_TARGET:
        if (member != NULL)
            tpset_fini(&member->target);
        break;
    case KEY_SHARE_CURRENT:
        if (member != NULL)
            tpset_fini(&member->assigned);
        break;
    case KEY_SHARE_STATE:
        tpset_fini(&share->initializing);
        tpset_fini(&share->initialized);
        tpset_fini(&share->deleting);
        tpset_fini(&share->grown);
        break;
    default:
        break;
    }
}

/* ---- invariants, load ---- */

/* Which of them does not hold, or NULL. */
static const char *
flaw(const struct group *group)
{
    const struct share_group *share = group->share;
    struct map_entry *entry;
    if (share->assignment_epoch > share->epoch)
        return "the assignment is ahead of the group";
    if (tpset_meet(&share->initializing, &share->initialized))
        return "a partition is initialized twice";
    for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;) {
        const struct share_member *member = entry->value;
        if (!member->subscribed)
            return "a member has no subscription";
        if (member->epoch > share->assignment_epoch)
            return "a member is ahead of the assignment";
    }
    return NULL;
}

void
share_group_check(const struct group *group)
{
    ox_assert(group->members.count == 0 && group->consumer == NULL);
    ox_assert(flaw(group) == NULL);
}

/* Records that do not fit together cost the members their place, not the server
 * its life. */
void
share_group_resume(struct group *group)
{
    struct share_group *share = group->share;
    struct map_entry *entry;
    const char *wrong = flaw(group);
    if (wrong != NULL) {
        ox_warn("group must start anew", "group=%.*s reason=\"%s\"", OX_STR_ARG(group->id), wrong);
        for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;)
            remove_member(entry->value);
        share->epoch = OX_MAX(share->epoch, share->assignment_epoch);
        tpset_fini(&share->initializing);
    }
    share_note_grown(share, &share->initializing, false);
    group_epochs_mend(&share->epoch, &share->assignment_epoch);
    for (uint32_t at = 0; (entry = ox_map_next(&share->members, &at)) != NULL;)
        share_restart_session(entry->value);
}
