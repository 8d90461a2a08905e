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
 * Who comes first of equals is as with Kafka too (java_order.h). */
#include <stdlib.h>
#include <string.h>

#include "coord/java_order.h"
#include "coord/streams_group.h"

enum { NONE = UINT32_MAX };

struct process {
    uint32_t first, capacity; /* its members, in the order of seats */
    uint32_t load;            /* tasks */
    struct java_heap heap;    /* of its members by load */
    bool heaped;              /* it is as the loads are */
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
    struct java_row *seats; /* members, those of a process together */
    struct process *processes;
    uint32_t process_count;
    uint32_t *heap_space; /* for the members of each process, and for the processes twice */
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

/* The members come in the order in which Kafka looks at them. */
static void
order_members(struct sticky *sticky)
{
    uint32_t count = sticky->member_count;
    struct task_member *copy = ox_malloc(ox_size_mul(count, sizeof(*copy)));
    struct java_row *rows = ox_calloc(count, sizeof(*rows));
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = sticky->members[i];
        rows[i] = (struct java_row){.id = copy[i].id, .what = i};
    }
    java_map_order(rows, count);
    for (uint32_t i = 0; i < count; i++)
        sticky->members[i] = copy[rows[i].what];
    ox_free(copy);
    ox_free(rows);
}

/* Adds the process's members to the seats. */
static void
seat_process(struct sticky *sticky, struct str process_id, uint32_t *seats)
{
    struct process *process = &sticky->processes[sticky->process_count];
    process->first = *seats;
    for (uint32_t i = 0; i < sticky->member_count; i++) {
        struct task_member *member = &sticky->members[i];
        if (!ox_str_eq(member->process_id, process_id))
            continue;
        member->process = sticky->process_count;
        sticky->seats[(*seats)++] = (struct java_row){.id = member->id, .what = i};
    }
    process->capacity = *seats - process->first;
    process->heap.at = &sticky->heap_space[process->first];
    java_map_order(&sticky->seats[process->first], process->capacity);
    sticky->process_count++;
}

static void
seat_members(struct sticky *sticky)
{
    uint32_t count = sticky->member_count, seats = 0;
    struct java_row *rows = ox_calloc(count, sizeof(*rows));
    sticky->seats = ox_calloc(count, sizeof(*sticky->seats));
    sticky->processes = ox_calloc(count, sizeof(*sticky->processes));
    sticky->heap_space = ox_calloc(ox_size_mul(count, 3), sizeof(*sticky->heap_space));
    for (uint32_t i = 0; i < count; i++) {
        sticky->members[i].load = 0;
        sticky->members[i].target = (struct tasks){0};
        rows[i] = (struct java_row){.id = sticky->members[i].process_id};
    }
    uint32_t processes = java_compute_order(rows, count);
    for (uint32_t i = 0; i < processes; i++)
        seat_process(sticky, rows[i].id, &seats);
    ox_free(rows);
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
    sticky->processes[member->process].heaped = false;
    member->load++;
    if (kind == COORD_ACTIVE)
        share_note(&sticky->actives, member->load);
    share_note(&sticky->all, member->load);
}

static bool
member_less(const void *self, uint32_t a, uint32_t b)
{
    const struct sticky *sticky = self;
    return sticky->members[a].load < sticky->members[b].load;
}

/* To the member with least load of a process. */
static void
place_within(struct sticky *sticky, uint32_t at, const struct tp *task,
    enum coord_task_kind kind)
{
    struct process *process = &sticky->processes[at];
    if (!process->heaped) {
        process->heap.less = member_less;
        process->heap.self = sticky;
        process->heap.count = 0;
        for (uint32_t i = 0; i < process->capacity; i++)
            java_heap_add(&process->heap, sticky->seats[process->first + i].what);
    }
    uint32_t member = java_heap_poll(&process->heap);
    place(sticky, member, task, kind);
    java_heap_add(&process->heap, member);
    process->heaped = true;
}

static bool
process_less(const void *self, uint32_t a, uint32_t b)
{
    const struct sticky *sticky = self;
    return less_loaded(&sticky->processes[a], &sticky->processes[b]);
}

static struct java_heap
processes_by_load(const struct sticky *sticky)
{
    struct java_heap heap = {.at = sticky->heap_space + sticky->member_count,
        .less = process_less, .self = sticky};
    for (uint32_t i = 0; i < sticky->process_count; i++)
        java_heap_add(&heap, i);
    return heap;
}

/* To the process with least load that has not the task; false: all have it. */
static bool
place_least(struct sticky *sticky, struct java_heap *heap, const struct tp *task,
    enum coord_task_kind kind)
{
    uint32_t *polled = heap->at + sticky->member_count, count = 0;
    bool found = false;
    while (!found && heap->count > 0) {
        uint32_t process = polled[count++] = java_heap_poll(heap);
        found = !has_task(sticky, process, task);
        if (found)
            place_within(sticky, process, task, kind);
    }
    while (count > 0)
        java_heap_add(heap, polled[--count]);
    return found;
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
    struct java_heap heap = processes_by_load(sticky);
    for (size_t i = 0; i < count; i++)
        if (todo[i].replicas > 0)
            place_least(sticky, &heap, &todo[i].task, COORD_ACTIVE);
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
    struct java_heap heap = processes_by_load(sticky);
    for (size_t i = count; i-- > 0;)
        for (; todo[i].replicas > 0; todo[i].replicas--)
            if (!place_least(sticky, &heap, &todo[i].task, COORD_STANDBY))
                break; /* there are not enough processes */
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
    order_members(&sticky);
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
    ox_free(sticky.heap_space);
    ox_free(sticky.active.at);
    ox_free(sticky.state.at);
}
