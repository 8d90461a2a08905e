/* SPDX-License-Identifier: Apache-2.0
 *
 * Who reads what in a share group: what Kafka's assignor "simple" gives. Each
 * partition is for `sharing` members, so that everybody has one; a member's due
 * is its part of all these places. From what there was
 *
 *   members that have more than their due give the rest back,
 *   partitions that have more members than `sharing` let them go,
 *   partitions that have fewer are given to members below their due, in turns.
 *
 * If all members read the same topics that is done once, else topic by topic.
 *
 * Which partition goes and who is asked first is, in Kafka, the order in which
 * Java's hash sets are walked: by the lower bits of a hash, then by who came
 * first. That order is kept here, because it decides who reads what when a group
 * moves from a Kafka broker. Kafka's own order of topics whose hashes meet in one
 * place changes from start to start; here they come by id. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "coord/java_order.h"
#include "coord/share_group.h"

enum { TABLE_INITIAL = 16, NEVER = UINT32_MAX };

/* ---- the order of Java's hash sets ---- */

static uint32_t
spread(uint32_t hash)
{
    return hash ^ hash >> 16;
}

static uint32_t
table_for(uint32_t places)
{
    uint32_t table = 1;
    while (table < places)
        table *= 2;
    return table;
}

/* A table made for so many entries. */
static uint32_t
table_of(uint32_t entries)
{
    return table_for((uint32_t)((float)(entries + 1) / 0.75f + 1.0f));
}

/* It doubles as it fills. */
static uint32_t
table_with(uint32_t table, uint32_t entries)
{
    while (entries > table / 4 * 3 + table % 4 * 3 / 4)
        table *= 2;
    return table;
}

struct placed {
    uint32_t spread, seq, value;
};

static int
by_seq(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return x->spread != y->spread ? (x->spread > y->spread) - (x->spread < y->spread)
                                  : (x->seq > y->seq) - (x->seq < y->seq);
}

/* In the order in which a table of that size is walked. */
static void
walk_order(struct placed *all, uint32_t count, uint32_t table)
{
    for (uint32_t i = 0; i < count; i++)
        all[i].spread &= table - 1;
    if (count > 1)
        qsort(all, count, sizeof(*all), by_seq);
}

static uint32_t
uuid_hash(const struct uuid *id)
{
    uint32_t hash = 0;
    for (int i = 0; i < 16; i += 4)
        hash ^= (uint32_t)id->bytes[i] << 24 | (uint32_t)id->bytes[i + 1] << 16 |
                (uint32_t)id->bytes[i + 2] << 8 | id->bytes[i + 3];
    return hash;
}

/* ---- one assignment ---- */

struct numbers {
    uint32_t *at;
    uint32_t count, cap;
};

/* A partition and its members. */
struct cell {
    struct tp tp;
    uint32_t spread, seq; /* seq NEVER: it is not part of it yet */
    bool target;
    struct numbers members;
};

struct job {
    struct assign_member **members; /* of the group, in order */
    uint32_t member_count;
    bool *reads, *open; /* by member: takes part; is below its due */
    uint32_t *due;
    struct numbers *has; /* by member: cells */
    struct cell *cells;  /* by rising partition */
    uint32_t cell_count, target_count, reader_count, sharing, seq;
    struct placed *order; /* room for cells, or members */
};

static void
push(struct numbers *to, uint32_t number)
{
    if (to->count == to->cap) {
        to->cap = to->cap == 0 ? 4 : to->cap * 2;
        to->at = ox_realloc(to->at, ox_size_mul(to->cap, sizeof(*to->at)));
    }
    to->at[to->count++] = number;
}

static bool
holds(const struct numbers *set, uint32_t number)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->at[i] == number)
            return true;
    return false;
}

static void
drop(struct numbers *from, uint32_t number)
{
    for (uint32_t i = 0; i < from->count; i++)
        if (from->at[i] == number) {
            memmove(from->at + i, from->at + i + 1, (--from->count - i) * sizeof(*from->at));
            return;
        }
}

static int
by_cell(const void *a, const void *b)
{
    return tp_cmp(&((const struct cell *)a)->tp, &((const struct cell *)b)->tp);
}

static struct cell *
cell_of(const struct job *job, const struct tp *tp)
{
    struct cell key = {.tp = *tp};
    if (job->cell_count == 0)
        return NULL;
    return bsearch(&key, job->cells, job->cell_count, sizeof(key), by_cell);
}

static void
enter(struct job *job, struct cell *cell)
{
    if (cell->seq == NEVER)
        cell->seq = job->seq++;
}

/* The due of each who takes part: the places in equal parts, rounded so that all are given. */
static void
set_dues(struct job *job)
{
    uint32_t readers = job->reader_count, targets = job->target_count, nth = 0;
    job->sharing = targets == 0 ? 0 : (readers + targets - 1) / targets;
    double each = (double)((uint64_t)job->sharing * targets) / (double)readers;
    for (uint32_t m = 0; m < job->member_count; m++) {
        job->due[m] = 0;
        if (!job->reads[m])
            continue;
        job->due[m] = (uint32_t)ceil(each * (nth + 1)) - (uint32_t)ceil(each * nth);
        nth++;
    }
}

/* What a member had of one topic, as Java walks it. */
static void
take_topic(struct job *job, uint32_t m, const struct tp *tps, uint32_t count)
{
    struct placed *order = ox_malloc((count + 1) * sizeof(*order));
    if (count > 0 && tps[0].partition < 0) {
        tps++; /* only says that there is the topic */
        count--;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = (struct placed){spread((uint32_t)tps[i].partition), i, i};
    walk_order(order, count,
        OX_MAX(table_for((uint32_t)((float)count / 0.75f + 1.0f)), (uint32_t)TABLE_INITIAL));
    for (uint32_t i = 0; i < count; i++) {
        struct cell *cell = cell_of(job, &tps[order[i].value]);
        enter(job, cell);
        push(&cell->members, m);
        push(&job->has[m], (uint32_t)(cell - job->cells));
    }
    ox_free(order);
}

static void
take_before(struct job *job, uint32_t m)
{
    const struct tpset *before = job->members[m]->before;
    uint32_t topics = 0;
    struct placed *order = ox_malloc((before->count + 1) * sizeof(*order));
    for (uint32_t at = 0; at < before->count; at = tpset_run(before, at))
        order[topics++] = (struct placed){spread(uuid_hash(&before->at[at].topic)), at, at};
    walk_order(order, topics, table_with(TABLE_INITIAL, topics));
    for (uint32_t i = 0; i < topics; i++) {
        uint32_t at = order[i].value;
        if (cell_of(job, &before->at[tpset_run(before, at) - 1]) != NULL)
            take_topic(job, m, &before->at[at], tpset_run(before, at) - at);
    }
    ox_free(order);
}

/* Gives back what is more than the due. */
static void
shrink(struct job *job, uint32_t m)
{
    struct numbers *has = &job->has[m];
    uint32_t count = has->count;
    if (count <= job->due[m])
        return;
    for (uint32_t i = 0; i < count; i++)
        job->order[i] = (struct placed){job->cells[has->at[i]].spread, i, has->at[i]};
    walk_order(job->order, count, table_with(TABLE_INITIAL, count));
    for (uint32_t i = 0; has->count > job->due[m]; i++) {
        drop(&job->cells[job->order[i].value].members, m);
        drop(has, job->order[i].value);
    }
}

static void
let_go(struct job *job, struct cell *cell)
{
    uint32_t count = cell->members.count;
    if (count <= job->sharing)
        return;
    struct placed *order = ox_malloc(count * sizeof(*order));
    for (uint32_t i = 0; i < count; i++)
        order[i] = (struct placed){spread(cell->members.at[i]), i, cell->members.at[i]};
    walk_order(order, count, table_with(TABLE_INITIAL, count));
    for (uint32_t i = 0; cell->members.count > job->sharing; i++) {
        drop(&cell->members, order[i].value);
        drop(&job->has[order[i].value], (uint32_t)(cell - job->cells));
        job->open[order[i].value] = true;
    }
    ox_free(order);
}

/* The cells that take part, as Java walks them: what computeIfAbsent() adds stands before what
 * met it there, and the table grows one entry later. */
static uint32_t
order_cells(struct job *job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->cell_count; i++)
        if (job->cells[i].seq != NEVER)
            job->order[count++] =
                (struct placed){job->cells[i].spread, NEVER - job->cells[i].seq, i};
    walk_order(job->order, count,
        table_with(table_of(job->target_count), count > 0 ? count - 1 : 0));
    return count;
}

/* The next open member from *m on; begins again at most once without having given anything. */
static bool
next_open(const struct job *job, uint32_t *m, bool *given)
{
    for (;;) {
        while (*m < job->member_count && !job->open[*m])
            ++*m;
        if (*m < job->member_count)
            return true;
        if (!*given)
            return false;
        *given = false;
        *m = 0;
    }
}

/* As Kafka's, a member may be asked twice for one partition; it has it once. */
static void
give_rest(struct job *job)
{
    uint32_t cells = order_cells(job), m = 0;
    bool given = false;
    for (uint32_t i = 0; i < cells; i++) {
        struct cell *cell = &job->cells[job->order[i].value];
        uint32_t here = job->order[i].value, there = cell->members.count;
        for (uint32_t places = there < job->sharing ? job->sharing - there : 0;
             places > 0 && next_open(job, &m, &given); m++) {
            if (holds(&cell->members, m))
                continue;
            if (!holds(&job->has[m], here))
                push(&job->has[m], here);
            places--;
            given = true;
            if (job->has[m].count >= job->due[m])
                job->open[m] = false;
        }
    }
}

static void
run(struct job *job, bool alike)
{
    set_dues(job);
    for (uint32_t m = 0; m < job->member_count; m++) {
        take_before(job, m);
        job->open[m] = alike && job->has[m].count < job->due[m];
    }
    for (uint32_t m = 0; m < job->member_count; m++)
        shrink(job, m);
    for (uint32_t i = 0, cells = order_cells(job); i < cells; i++)
        let_go(job, &job->cells[job->order[i].value]);
    for (uint32_t i = 0; i < job->cell_count; i++)
        if (job->cells[i].target)
            enter(job, &job->cells[i]);
    for (uint32_t m = 0; m < job->member_count && !alike; m++)
        job->open[m] = job->reads[m] && job->has[m].count < job->due[m];
    give_rest(job);
    for (uint32_t m = 0; m < job->member_count; m++)
        for (uint32_t i = 0; i < job->has[m].count; i++) {
            const struct tp *tp = &job->cells[job->has[m].at[i]].tp;
            tpset_add(&job->members[m]->target, &tp->topic, tp->partition);
        }
}

/* ---- all of them ---- */

static bool
reads(const struct assign_member *member, uint32_t topic)
{
    for (uint32_t i = 0; i < member->topic_count; i++)
        if (member->topics[i] == topic)
            return true;
    return false;
}

/* The cells of topics [first, last]: what is to be given, and what was. */
static void
make_cells(struct job *job, const struct assign_topic *topics, uint32_t first, uint32_t last,
    const struct tpset *usable, bool alike)
{
    struct tpset all = {0};
    for (uint32_t i = 0; i < usable->count; i++)
        if (memcmp(&usable->at[i].topic, &topics[first].id, sizeof(struct uuid)) >= 0 &&
            memcmp(&usable->at[i].topic, &topics[last].id, sizeof(struct uuid)) <= 0)
            tpset_add(&all, &usable->at[i].topic, usable->at[i].partition);
    job->target_count = all.count;
    for (uint32_t m = 0; m < job->member_count; m++)
        for (uint32_t t = first, i = 0; t <= last; t++) {
            const struct tpset *before = job->members[m]->before;
            while (i < before->count &&
                   memcmp(&before->at[i].topic, &topics[t].id, sizeof(struct uuid)) < 0)
                i++;
            for (; i < before->count && ox_uuid_eq(&before->at[i].topic, &topics[t].id); i++)
                if (before->at[i].partition >= 0)
                    tpset_add(&all, &before->at[i].topic, before->at[i].partition);
        }
    tpset_sort(&all);
    job->cells = ox_calloc(all.count + 1, sizeof(*job->cells));
    job->cell_count = all.count;
    for (uint32_t i = 0; i < all.count; i++) {
        uint32_t hash = (uint32_t)all.at[i].partition;
        job->cells[i] = (struct cell){.tp = all.at[i], .seq = NEVER,
            .spread = spread(alike ? 31 * uuid_hash(&all.at[i].topic) + hash : hash),
            .target = tpset_has(usable, &all.at[i])};
    }
    job->order = ox_malloc((all.count + 1) * sizeof(*job->order));
    tpset_fini(&all);
}

static void
assign_topics(struct assign_member **members, uint32_t count, const struct assign_topic *topics,
    uint32_t first, uint32_t last, const struct tpset *usable, bool alike)
{
    struct job job = {.members = members, .member_count = count};
    job.reads = ox_calloc(count, sizeof(*job.reads));
    job.open = ox_calloc(count, sizeof(*job.open));
    job.due = ox_calloc(count, sizeof(*job.due));
    job.has = ox_calloc(count, sizeof(*job.has));
    for (uint32_t m = 0; m < count; m++)
        job.reader_count += job.reads[m] = alike || reads(members[m], first);
    make_cells(&job, topics, first, last, usable, alike);
    run(&job, alike);
    for (uint32_t i = 0; i < job.cell_count; i++)
        ox_free(job.cells[i].members.at);
    for (uint32_t m = 0; m < count; m++)
        ox_free(job.has[m].at);
    ox_free(job.cells);
    ox_free(job.order);
    ox_free(job.reads);
    ox_free(job.open);
    ox_free(job.due);
    ox_free(job.has);
}

/* As a map from their ids is walked. */
static struct assign_member **
in_order(struct assign_member *members, uint32_t count)
{
    struct placed *order = ox_malloc((count + 1) * sizeof(*order));
    struct assign_member **out = ox_malloc((count + 1) * sizeof(struct assign_member *));
    for (uint32_t i = 0; i < count; i++)
        order[i] = (struct placed){spread(java_hash(members[i].id)), i, i};
    walk_order(order, count, table_with(TABLE_INITIAL, count));
    for (uint32_t i = 0; i < count; i++)
        out[i] = &members[order[i].value];
    ox_free(order);
    return out;
}

static bool
has_topic(const struct tpset *set, const struct uuid *topic)
{
    for (uint32_t at = 0; at < set->count; at = tpset_run(set, at))
        if (ox_uuid_eq(&set->at[at].topic, topic))
            return true;
    return false;
}

/* A topic of which a member has nothing left stays with it, as partition -1. What nobody reads
 * any more stays a member's own as long as members differ. */
static void
keep_topics(struct assign_member *member, const struct assign_topic *topics, uint32_t topic_count,
    bool alike)
{
    const struct tpset *before = member->before;
    tpset_sort(&member->target);
    uint32_t count = member->target.count;
    for (uint32_t at = 0, t = 0; at < before->count; at = tpset_run(before, at)) {
        const struct uuid *topic = &before->at[at].topic;
        const struct tpset now = {.at = member->target.at, .count = count};
        while (t < topic_count && memcmp(&topics[t].id, topic, sizeof(*topic)) < 0)
            t++;
        if (t < topic_count && ox_uuid_eq(&topics[t].id, topic)) {
            if (!has_topic(&now, topic))
                tpset_add(&member->target, topic, -1);
        } else if (!alike) {
            for (uint32_t i = at; i < tpset_run(before, at); i++)
                tpset_add(&member->target, topic, before->at[i].partition);
        }
    }
    tpset_sort(&member->target);
}

void
assign_shares(const struct assign_topic *topics, uint32_t topic_count, const struct tpset *usable,
    struct assign_member *members, uint32_t member_count, bool alike)
{
    struct assign_member **order = in_order(members, member_count);
    for (uint32_t m = 0; m < member_count; m++)
        members[m].target = (struct tpset){0};
    if (alike && topic_count > 0)
        assign_topics(order, member_count, topics, 0, topic_count - 1, usable, true);
    for (uint32_t t = 0; t < topic_count && !alike; t++)
        assign_topics(order, member_count, topics, t, t, usable, false);
    for (uint32_t m = 0; m < member_count && topic_count > 0; m++)
        keep_topics(&members[m], topics, topic_count, alike);
    ox_free(order);
}
