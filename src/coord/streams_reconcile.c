/* SPDX-License-Identifier: Apache-2.0
 *
 * A member of a streams group approaches its target: what it keeps, what it must give
 * up first, what it may have now.
 *
 *   STABLE -> UNREVOKED (told to give up tasks; once it has) -> next step
 *          -> UNRELEASED (others still have some of its tasks) -> STABLE
 *
 * A task runs once in a process: as active in one process of all, as standby or warming
 * up in others. A member may change the role of a task in place: an active task becomes a
 * standby, a standby one that warms up and back, at once; a standby or warm task stays
 * what it is until it is handed out as active, so that its state is not thrown away. */
#include <stdlib.h>

#include "coord/streams_group.h"

/* Whether some member of the process has the task so, or is giving it up. */
static bool
process_has(const struct streams_member *asks, enum coord_task_kind kind, const struct tp *task)
{
    struct map_entry *entry;
    const struct group *group = asks->group;
    if (kind == COORD_ACTIVE) {
        const struct streams_member *holder = tp_holder(&group->streams->held, task);
        return holder != NULL && ox_str_eq(holder->said.process_id, asks->said.process_id);
    }
    for (uint32_t at = 0; (entry = ox_map_next(&group->streams->members, &at)) != NULL;) {
        const struct streams_member *member = entry->value;
        if (ox_str_eq(member->said.process_id, asks->said.process_id) &&
            (tpset_has(&member->current.assigned.of[kind], task) ||
                tpset_has(&member->current.revoking.of[kind], task)))
            return true;
    }
    return false;
}

/* The same, and it is not the one who asks that runs it. */
static bool
others_have(const struct streams_member *asks, enum coord_task_kind kind, const struct tp *task)
{
    return process_has(asks, kind, task) && !tpset_has(&asks->current.assigned.of[kind], task);
}

/* May the member have it so, as far as others go? */
static bool
released(const struct streams_member *member, enum coord_task_kind kind, const struct tp *task)
{
    switch (kind) {
    case COORD_ACTIVE:
        return tp_holder(&member->group->streams->held, task) == NULL &&
               !others_have(member, COORD_STANDBY, task) &&
               !others_have(member, COORD_WARMUP, task);
    case COORD_STANDBY:
        return !others_have(member, COORD_ACTIVE, task) &&
               !process_has(member, COORD_STANDBY, task) &&
               !others_have(member, COORD_WARMUP, task);
    default:
        return !process_has(member, COORD_ACTIVE, task) &&
               !others_have(member, COORD_STANDBY, task) &&
               !process_has(member, COORD_WARMUP, task);
    }
}

/* What it keeps, must give up, may have from now on; wait: others have some. */
struct step {
    struct tasks keep, revoke, add;
    bool wait;
};

static void
step_init(struct step *step, const struct streams_member *member, const struct tasks *target)
{
    *step = (struct step){0};
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++) {
        const struct tpset *has = &member->current.assigned.of[kind], *to = &target->of[kind];
        struct tpset missing;
        tpset_and(&step->keep.of[kind], has, to);
        tpset_minus(&step->revoke.of[kind], has, to);
        tpset_minus(&missing, to, has);
        for (uint32_t i = 0; i < missing.count; i++) {
            if (released(member, kind, &missing.at[i]))
                tpset_add(&step->add.of[kind], &missing.at[i].topic, missing.at[i].partition);
            else
                step->wait = true;
        }
        tpset_fini(&missing);
    }
}

/* ---- changes of role, in place ---- */

/* Tasks that it has as `from` and is to have as `to`: it has them so at once. */
static void
change_role(struct step *step, const struct streams_member *member, enum coord_task_kind from,
    enum coord_task_kind to, bool gives_up)
{
    struct tpset granted;
    tpset_and(&granted, &member->current.assigned.of[from], &step->add.of[to]);
    tpset_drop(&step->add.of[to], &granted);
    tpset_unite(&step->keep.of[to], &granted);
    if (!gives_up)
        tpset_drop(&step->revoke.of[from], &granted);
    tpset_fini(&granted);
}

static void
change_roles(struct step *step, const struct streams_member *member)
{
    change_role(step, member, COORD_ACTIVE, COORD_STANDBY, true);
    change_role(step, member, COORD_STANDBY, COORD_WARMUP, false);
    change_role(step, member, COORD_WARMUP, COORD_STANDBY, false);
}

/* What is to become active is not given up, but kept until it is handed out so. Returns
 * whether tasks must be given up before anything is added. Owned NULL: the client did
 * not say what it has. */
static bool
promote(struct step *step, const struct streams_member *member, const struct tasks *target,
    const struct tasks *owned)
{
    struct tpset stay[COORD_TASK_KINDS] = {0};
    for (int kind = COORD_STANDBY; kind <= COORD_WARMUP; kind++) {
        tpset_and(&stay[kind], &member->current.assigned.of[kind], &target->of[COORD_ACTIVE]);
        tpset_drop(&step->revoke.of[kind], &stay[kind]);
    }
    bool revoke = !tasks_none(&step->revoke) && (owned == NULL || tasks_meet(owned, &step->revoke));
    for (int kind = COORD_STANDBY; kind <= COORD_WARMUP; kind++) {
        if (!revoke)
            tpset_drop(&stay[kind], &step->add.of[COORD_ACTIVE]);
        tpset_unite(&step->keep.of[kind], &stay[kind]);
        tpset_fini(&stay[kind]);
    }
    return revoke;
}

/* ---- a step ---- */

/* Of active tasks: as they were, or now. */
static int32_t *
epochs_of(const struct streams_member *member, const struct tpset *set, int32_t now)
{
    const struct tpset *had = &member->current.assigned.of[COORD_ACTIVE];
    int32_t *epochs = ox_calloc(set->count + 1, sizeof(*epochs));
    for (uint32_t i = 0; i < set->count; i++) {
        int64_t at = tpset_find(had, &set->at[i]);
        epochs[i] = at >= 0 ? member->current.assigned_epochs[at] : now;
    }
    return epochs;
}

static bool
same_current(const struct streams_current *a, const struct streams_current *b)
{
    return a->epoch == b->epoch && a->previous_epoch == b->previous_epoch &&
           a->state == b->state && tasks_equal(&a->assigned, &b->assigned) &&
           tasks_equal(&a->revoking, &b->revoking);
}

static void
next_tasks(struct streams_member *member, struct write *write, const struct tasks *target,
    int32_t epoch, const struct tasks *owned)
{
    int32_t target_epoch = member->group->streams->assignment_epoch;
    struct streams_current next = {.previous_epoch = member->current.epoch};
    struct step step;
    step_init(&step, member, target);
    change_roles(&step, member);
    bool revoke = promote(&step, member, target, owned);
    next.epoch = revoke ? epoch : target_epoch;
    next.state = revoke      ? CONSUMER_UNREVOKED
                 : step.wait ? CONSUMER_UNRELEASED
                             : CONSUMER_STABLE;
    tasks_copy(&next.assigned, &step.keep);
    if (revoke)
        tasks_copy(&next.revoking, &step.revoke);
    for (int kind = 0; kind < COORD_TASK_KINDS && !revoke; kind++) {
        const struct tpset *add = &step.add.of[kind];
        for (uint32_t i = 0; i < add->count; i++)
            tpset_add(&next.assigned.of[kind], &add->at[i].topic, add->at[i].partition);
        tpset_sort(&next.assigned.of[kind]);
    }
    next.assigned_epochs = epochs_of(member, &next.assigned.of[COORD_ACTIVE], target_epoch);
    next.revoking_epochs = epochs_of(member, &next.revoking.of[COORD_ACTIVE], target_epoch);
    if (!same_current(&next, &member->current)) {
        put_streams_current(write, member->id, &next);
        streams_start_rebalance_timer(member);
    }
    tasks_fini(&next.assigned);
    tasks_fini(&next.revoking);
    ox_free(next.assigned_epochs);
    ox_free(next.revoking_epochs);
    tasks_fini(&step.keep);
    tasks_fini(&step.revoke);
    tasks_fini(&step.add);
}

void
streams_reconcile(struct streams_member *member, struct write *write, const struct tasks *target,
    const struct tasks *owned)
{
    const struct streams_current *now = &member->current;
    switch (now->state) {
    case CONSUMER_STABLE:
        if (now->epoch != member->group->streams->assignment_epoch)
            next_tasks(member, write, target, now->epoch, owned);
        return;
    case CONSUMER_UNREVOKED:
        if (owned != NULL && !tasks_meet(owned, &now->revoking))
            next_tasks(member, write, target, now->epoch + 1, owned);
        return;
    case CONSUMER_UNRELEASED:
        next_tasks(member, write, target, now->epoch, owned);
        return;
    }
}
