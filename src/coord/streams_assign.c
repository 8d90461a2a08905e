/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets which task: Kafka's assignor "sticky". Members belong to processes
 * (an instance of the application with several threads); what is balanced is the
 * load of processes, tasks by member, and then the members within each.
 *
 *   active   1. where the task was active, 2. where its state is, while the
 *               member has less than its share; 3. the process with least load
 *   standby  1. where it was active, 2. where its state is, while the member
 *               has less than its share and its process not the task; 3. the
 *               process with least load that has not the task
 *
 * The state of a task is where it was standby and, after those, where a client says
 * that it has some; among each the one that has most comes first, and one further
 * behind is preferred only where its process and itself have less to do.
 *
 * A member's share is what is left, by those that have not got their share yet.
 * Ties go by id, so that the result depends on nothing else. */
#include <stdlib.h>
#include <string.h>

#include "coord/streams_group.h"

enum { NONE = UINT32_MAX };

struct process {
    uint32_t first, capacity; /* its members, in the order of seats */
    uint32_t load;            /* tasks */
};

/* A member's place among the others, by process and id. */
struct seat {
    struct str process_id, id;
    uint32_t member;
};

/* A task that a member had, or whose state it has. */
struct had {
    struct tp task;
    uint32_t member;
    bool standby;
    int64_t offset; /* as far as it has the state; 0: not told */
};

struct hads {
    struct had *at;
    uint32_t count;
};

struct todo {
    struct tp task;
    uint32_t source;
    int32_t replicas; /* still to be placed */
};

/* A share: so many tasks for so many members are left. */
struct share_left {
    int64_t tasks, members, each;
};

struct sticky {
    struct task_member *members;
    uint32_t member_count;
    struct seat *seats;
    struct process *processes;
    uint32_t process_count;
    struct hads active, state;   /* by task; state: the best first */
    struct map placed;           /* task and process */
    struct share_left actives, all;
};

/* ---- shares ---- */

static void
share_compute(struct share_left *share)
{
    share->each = share->members == 0 ? 0 : (share->tasks + share->members - 1) / share->members;
}

/* A member that has just got its share is out of the reckoning. */
static void
share_note(struct share_left *share, uint32_t load)
{
    if ((int64_t)load != share->each)
        return;
    share->members--;
    share->tasks -= load;
    share_compute(share);
}

/* ---- the state ---- */

static int
by_task(const void *a, const void *b)
{
    const struct had *x = a, *y = b;
    int order = tp_cmp(&x->task, &y->task);
    if (order != 0)
        return order;
    if (x->standby != y->standby)
        return x->standby ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset > y->offset ? -1 : 1;
    return (x->member > y->member) - (x->member < y->member);
}

static void
sort_hads(struct hads *hads)
{
    if (hads->count > 1)
        qsort(hads->at, hads->count, sizeof(*hads->at), by_task);
}

static struct hads
collect_active(const struct sticky *sticky)
{
    struct hads out = {0};
    size_t count = 0;
    for (uint32_t i = 0; i < sticky->member_count; i++)
        count += sticky->members[i].before->of[COORD_ACTIVE].count;
    out.at = ox_malloc(ox_size_mul(count + 1, sizeof(*out.at)));
    for (uint32_t i = 0; i < sticky->member_count; i++) {
        const struct tpset *set = &sticky->members[i].before->of[COORD_ACTIVE];
        for (uint32_t j = 0; j < set->count; j++)
            out.at[out.count++] = (struct had){.task = set->at[j], .member = i};
    }
    sort_hads(&out);
    return out;
}

static int
by_offset_task(const void *a, const void *b)
{
    const struct task_offset *x = a, *y = b;
    return tp_cmp(&x->task, &y->task);
}

static int64_t
told_offset(const struct task_member *member, const struct tp *task)
{
    struct task_offset key = {*task, 0}, *found = NULL;
    if (member->offset_count > 0)
        found = bsearch(&key, member->offsets, member->offset_count, sizeof(key), by_offset_task);
    return found == NULL ? 0 : found->offset;
}

static struct hads
collect_state(const struct sticky *sticky)
{
    struct hads out = {0};
    size_t count = 0;
    for (uint32_t i = 0; i < sticky->member_count; i++)
        count += sticky->members[i].before->of[COORD_STANDBY].count +
                 sticky->members[i].offset_count;
    out.at = ox_malloc(ox_size_mul(count + 1, sizeof(*out.at)));
    for (uint32_t i = 0; i < sticky->member_count; i++) {
        const struct task_member *member = &sticky->members[i];
        const struct tpset *set = &member->before->of[COORD_STANDBY];
        for (uint32_t j = 0; j < set->count; j++)
            out.at[out.count++] =
                (struct had){set->at[j], i, true, told_offset(member, &set->at[j])};
        for (size_t j = 0; j < member->offset_count; j++)
            if (!tpset_has(set, &member->offsets[j].task))
                out.at[out.count++] = (struct had){
                    member->offsets[j].task, i, false, member->offsets[j].offset};
    }
    sort_hads(&out);
    return out;
}

/* The members that had the task, out->at[0 .. count). */
static struct hads
who_had(const struct hads *all, const struct tp *task)
{
    uint32_t low = 0, high = all->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tp_cmp(&all->at[middle].task, task) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct hads out = {all->at + low, 0};
    while (low + out.count < all->count && tp_cmp(&out.at[out.count].task, task) == 0)
        out.count++;
    return out;
}

static int
by_seat(const void *a, const void *b)
{
    const struct seat *x = a, *y = b;
    int order = ox_str_cmp(x->process_id, y->process_id);
    return order != 0 ? order : ox_str_cmp(x->id, y->id);
}

static void
seat_members(struct sticky *sticky)
{
    sticky->seats = ox_malloc(ox_size_mul(sticky->member_count, sizeof(*sticky->seats)));
    sticky->processes = ox_calloc(sticky->member_count, sizeof(*sticky->processes));
    for (uint32_t i = 0; i < sticky->member_count; i++)
        sticky->seats[i] =
            (struct seat){sticky->members[i].process_id, sticky->members[i].id, i};
    qsort(sticky->seats, sticky->member_count, sizeof(*sticky->seats), by_seat);
    for (uint32_t i = 0; i < sticky->member_count; i++) {
        struct task_member *member = &sticky->members[sticky->seats[i].member];
        if (i == 0 || !ox_str_eq(sticky->seats[i].process_id, sticky->seats[i - 1].process_id))
            sticky->processes[sticky->process_count++].first = i;
        member->process = sticky->process_count - 1;
        member->load = 0;
        member->target = (struct tasks){0};
        sticky->processes[member->process].capacity++;
    }
}

static bool
less_loaded(const struct process *a, const struct process *b)
{
    return (uint64_t)a->load * b->capacity < (uint64_t)b->load * a->capacity;
}

struct placed_key {
    struct tp task;
    uint32_t process;
};
_Static_assert(sizeof(struct placed_key) == sizeof(struct tp) + 4, "no padding: a key");

static bool
has_task(const struct sticky *sticky, uint32_t process, const struct tp *task)
{
    struct placed_key key = {*task, process};
    return ox_map_get(&sticky->placed, ox_str_n(&key, sizeof(key))) != NULL;
}

static void
place(struct sticky *sticky, uint32_t at, const struct tp *task, enum coord_task_kind kind)
{
    struct task_member *member = &sticky->members[at];
    struct placed_key key = {*task, member->process};
    tpset_add(&member->target.of[kind], &task->topic, task->partition);
    ox_map_put(&sticky->placed, ox_str_n(&key, sizeof(key)), sticky);
    sticky->processes[member->process].load++;
    member->load++;
    if (kind == COORD_ACTIVE)
        share_note(&sticky->actives, member->load);
    share_note(&sticky->all, member->load);
}

/* To the member with least load of a process. */
static void
place_within(struct sticky *sticky, uint32_t process, const struct tp *task,
    enum coord_task_kind kind)
{
    const struct process *own = &sticky->processes[process];
    uint32_t best = sticky->seats[own->first].member;
    for (uint32_t i = 1; i < own->capacity; i++) {
        uint32_t member = sticky->seats[own->first + i].member;
        if (sticky->members[member].load < sticky->members[best].load)
            best = member;
    }
    place(sticky, best, task, kind);
}

/* The process with least load; task not NULL: of those that have it not. NONE:
 * there is none. */
static uint32_t
least_loaded(const struct sticky *sticky, const struct tp *task)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < sticky->process_count; i++)
        if ((best == NONE || less_loaded(&sticky->processes[i], &sticky->processes[best])) &&
            (task == NULL || !has_task(sticky, i, task)))
            best = i;
    return best;
}

/* Of those that have the task's state, the first, or one after it that has less to do;
 * task not NULL: whose process has it not. NONE: there is none. */
static uint32_t
least_of(const struct sticky *sticky, const struct hads *had, const struct tp *task)
{
    uint32_t best = NONE;
    for (uint32_t i = 0; i < had->count; i++) {
        const struct task_member *member = &sticky->members[had->at[i].member];
        if (task != NULL && has_task(sticky, member->process, task))
            continue;
        const struct task_member *than = best == NONE ? NULL : &sticky->members[best];
        if (than == NULL || (member->load < than->load &&
                less_loaded(&sticky->processes[member->process],
                    &sticky->processes[than->process])))
            best = had->at[i].member;
    }
    return best;
}

/* ---- active tasks ---- */

static int
by_partition(const void *a, const void *b)
{
    const struct todo *x = a, *y = b;
    if (x->task.partition != y->task.partition)
        return x->task.partition < y->task.partition ? -1 : 1;
    return (x->source > y->source) - (x->source < y->source);
}

static int
by_source(const void *a, const void *b)
{
    const struct todo *x = a, *y = b;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    return (x->task.partition > y->task.partition) - (x->task.partition < y->task.partition);
}

static struct todo *
list_tasks(const struct task_source *sources, size_t source_count, bool stateful, int32_t replicas,
    size_t *count)
{
    size_t max = 0;
    for (size_t i = 0; i < source_count; i++)
        max += (size_t)sources[i].count;
    struct todo *out = ox_malloc(ox_size_mul(max + 1, sizeof(*out)));
    *count = 0;
    for (size_t i = 0; i < source_count; i++)
        for (int32_t j = 0; j < sources[i].count && (!stateful || sources[i].stateful); j++) {
            out[*count] = (struct todo){sources[i].first, (uint32_t)i, replicas};
            out[(*count)++].task.partition = j;
        }
    return out;
}

/* Where it was; a member that has its share gets no more that way. */
static bool
place_again(struct sticky *sticky, uint32_t member, const struct tp *task)
{
    if (member == NONE || sticky->members[member].load >= sticky->actives.each)
        return false;
    place(sticky, member, task, COORD_ACTIVE);
    return true;
}

static void
assign_active(struct sticky *sticky, struct todo *todo, size_t count)
{
    qsort(todo, count, sizeof(*todo), by_partition);
    for (size_t i = 0; i < count; i++) {
        struct hads had = who_had(&sticky->active, &todo[i].task);
        uint32_t last = had.count > 0 ? had.at[had.count - 1].member : NONE;
        todo[i].replicas = !place_again(sticky, last, &todo[i].task);
    }
    for (size_t i = 0; i < count; i++) {
        struct hads had = who_had(&sticky->state, &todo[i].task);
        if (todo[i].replicas > 0)
            todo[i].replicas =
                !place_again(sticky, least_of(sticky, &had, NULL), &todo[i].task);
    }
    qsort(todo, count, sizeof(*todo), by_source);
    for (size_t i = 0; i < count; i++)
        if (todo[i].replicas > 0)
            place_within(sticky, least_loaded(sticky, NULL), &todo[i].task, COORD_ACTIVE);
}

/* ---- standby tasks ---- */

static bool
has_room(const struct sticky *sticky, uint32_t member)
{
    return sticky->members[member].load < sticky->all.each;
}

/* Where it was active, or where its state is. */
static bool
place_standby_again(struct sticky *sticky, const struct tp *task)
{
    struct hads had = who_had(&sticky->active, task);
    if (had.count > 0) {
        uint32_t last = had.at[had.count - 1].member;
        if (!has_task(sticky, sticky->members[last].process, task) && has_room(sticky, last)) {
            place(sticky, last, task, COORD_STANDBY);
            return true;
        }
    }
    had = who_had(&sticky->state, task);
    uint32_t member = least_of(sticky, &had, task);
    if (member == NONE || !has_room(sticky, member))
        return false;
    place(sticky, member, task, COORD_STANDBY);
    return true;
}

static void
assign_standby(struct sticky *sticky, struct todo *todo, size_t count)
{
    if (count > 0)
        qsort(todo, count, sizeof(*todo), by_partition);
    for (size_t i = count; i-- > 0;)
        while (todo[i].replicas > 0 && place_standby_again(sticky, &todo[i].task))
            todo[i].replicas--;
    if (count > 0)
        qsort(todo, count, sizeof(*todo), by_source);
    for (size_t i = count; i-- > 0;)
        for (; todo[i].replicas > 0; todo[i].replicas--) {
            uint32_t process = least_loaded(sticky, &todo[i].task);
            if (process == NONE)
                break; /* there are not enough processes */
            place_within(sticky, process, &todo[i].task, COORD_STANDBY);
        }
}

/* ---- all ---- */

static void
shares_init(struct sticky *sticky, const struct task_source *sources, size_t source_count,
    int32_t standbys)
{
    sticky->actives.members = sticky->all.members = sticky->member_count;
    for (size_t i = 0; i < source_count; i++) {
        sticky->actives.tasks += sources[i].count;
        sticky->all.tasks += sources[i].count;
        if (sources[i].stateful)
            sticky->all.tasks += (int64_t)sources[i].count * standbys;
    }
    share_compute(&sticky->actives);
    share_compute(&sticky->all);
}

void
assign_tasks(const struct task_source *sources, size_t source_count, int32_t standbys,
    struct task_member *members, uint32_t member_count)
{
    struct sticky sticky = {.members = members, .member_count = member_count};
    size_t count;
    if (member_count == 0)
        return;
    ox_map_init(&sticky.placed);
    for (uint32_t i = 0; i < member_count; i++)
        if (members[i].offset_count > 1)
            qsort(members[i].offsets, members[i].offset_count, sizeof(*members[i].offsets),
                by_offset_task);
    seat_members(&sticky);
    sticky.active = collect_active(&sticky);
    sticky.state = collect_state(&sticky);
    shares_init(&sticky, sources, source_count, standbys);
    struct todo *todo = list_tasks(sources, source_count, false, 1, &count);
    if (count > 0)
        assign_active(&sticky, todo, count);
    ox_free(todo);
    if (standbys > 0) {
        todo = list_tasks(sources, source_count, true, standbys, &count);
        assign_standby(&sticky, todo, count);
        ox_free(todo);
    }
    for (uint32_t i = 0; i < member_count; i++)
        for (int kind = 0; kind < COORD_TASK_KINDS; kind++)
            tpset_sort(&members[i].target.of[kind]);
    ox_map_fini(&sticky.placed);
    ox_free(sticky.seats);
    ox_free(sticky.processes);
    ox_free(sticky.active.at);
    ox_free(sticky.state.at);
}
