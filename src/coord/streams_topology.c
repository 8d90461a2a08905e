/* SPDX-License-Identifier: Apache-2.0
 *
 * What a topology needs of topics. A subtopology reads source topics and writes
 * repartition topics, which other subtopologies read; its states are kept in
 * changelog topics. A task of it is one partition of all that it reads, so it has
 * as many tasks as the widest topic that it reads has partitions.
 *
 *   source topics must be there
 *   -> a repartition topic is as wide as the topology says, or as the widest
 *      that its writer reads, which may need other repartition topics first
 *   -> topics read together (copartitioned) are made equally wide
 *   -> a changelog is as wide as its subtopology has tasks
 *   -> internal topics that are there must be so wide, the others are made
 *
 * Whatever a client sends ends in a plan, perhaps with a status that says what is
 * amiss, or in an error when no topics in the world would do. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "coord/java_order.h"
#include "coord/streams_group.h"

enum { PARTS_MAX = 1000, NAMES_MAX = 100000, NAMES_SHOWN = 3 };

typedef struct streams_group_topology_value_subtopologies_state_changelog_topics internal_said;
typedef struct streams_group_topology_value_subtopologies_repartition_source_topics source_said;
typedef struct streams_group_topology_value_subtopologies_copartition_groups copartition;
_Static_assert(sizeof(internal_said) == sizeof(source_said), "internal topics are alike");

static const internal_said *
sources_of(const streams_subtopology *sub)
{
    return (const void *)sub->repartition_source_topics.at;
}

/* ---- names ---- */

static void
add_name(struct str **names, size_t *count, struct str name)
{
    (*names)[(*count)++] = name;
}

void
streams_topology_names(const streams_topology *topology, struct arena *arena, struct str **names,
    size_t *count)
{
    size_t max = 0;
    for (int32_t i = 0; i < topology->subtopologies.count; i++) {
        const streams_subtopology *sub = &topology->subtopologies.at[i];
        max += (size_t)sub->source_topics.count + (size_t)sub->repartition_source_topics.count +
               (size_t)sub->state_changelog_topics.count;
    }
    *names = ox_arena_array(arena, struct str, max);
    *count = 0;
    for (int32_t i = 0; i < topology->subtopologies.count; i++) {
        const streams_subtopology *sub = &topology->subtopologies.at[i];
        for (int32_t j = 0; j < sub->source_topics.count; j++)
            add_name(names, count, sub->source_topics.at[j]);
        for (int32_t j = 0; j < sub->repartition_source_topics.count; j++)
            add_name(names, count, sources_of(sub)[j].name);
        for (int32_t j = 0; j < sub->state_changelog_topics.count; j++)
            add_name(names, count, sub->state_changelog_topics.at[j].name);
    }
}

const streams_subtopology *
streams_reader(const streams_topology *topology, struct str topic)
{
    for (int32_t i = 0; i < topology->subtopologies.count; i++) {
        const streams_subtopology *sub = &topology->subtopologies.at[i];
        for (int32_t j = 0; j < sub->source_topics.count; j++)
            if (ox_str_eq(sub->source_topics.at[j], topic))
                return sub;
        for (int32_t j = 0; j < sub->repartition_source_topics.count; j++)
            if (ox_str_eq(sources_of(sub)[j].name, topic))
                return sub;
    }
    return NULL;
}

/* ---- topologies as such ---- */

streams_topology *
streams_topology_read(struct str bytes, struct arena *arena)
{
    struct wire_in in = wire_in(bytes.ptr, bytes.len);
    streams_topology *topology = ox_arena_new(arena, streams_topology);
    const char *why;
    if (wire_get16(&in) != 0 ||
        !streams_group_topology_value_decode(&in, 0, arena, topology) ||
        streams_topology_sound(topology, arena, &why) == OX_UNKNOWN_SERVER_ERROR)
        return NULL;
    return topology;
}

static int
by_id(const void *a, const void *b)
{
    return ox_str_cmp((*(const streams_subtopology *const *)a)->subtopology_id,
        (*(const streams_subtopology *const *)b)->subtopology_id);
}

/* Subtopologies by rising id. */
static const streams_subtopology **
sorted_parts(const streams_topology *topology, struct arena *arena)
{
    size_t count = (size_t)topology->subtopologies.count;
    const streams_subtopology **out = ox_arena_array(arena, const streams_subtopology *, count);
    for (size_t i = 0; i < count; i++)
        out[i] = &topology->subtopologies.at[i];
    if (count > 1)
        qsort(out, count, sizeof(*out), by_id);
    return out;
}

static struct str
sorted_bytes(const streams_topology *topology, struct arena *arena)
{
    const streams_subtopology **parts = sorted_parts(topology, arena);
    streams_topology copy = *topology;
    struct text text;
    copy.subtopologies.at = ox_arena_array(arena, streams_subtopology, copy.subtopologies.count);
    for (int32_t i = 0; i < copy.subtopologies.count; i++)
        copy.subtopologies.at[i] = *parts[i];
    ox_text_init(&text, arena);
    struct wire_out out = wire_out(&text);
    streams_group_topology_value_encode(&copy, 0, &out);
    return ox_text_str(&text);
}

bool
streams_topology_same(const streams_topology *a, const streams_topology *b)
{
    struct arena arena;
    ox_arena_init(&arena);
    bool same = ox_str_eq(sorted_bytes(a, &arena), sorted_bytes(b, &arena));
    ox_arena_fini(&arena);
    return same;
}

static bool
indexes_fit(const struct msg_int16s *indexes, int32_t count)
{
    for (int32_t i = 0; i < indexes->count; i++)
        if (indexes->at[i] < 0 || indexes->at[i] >= count)
            return false;
    return true;
}

static bool
part_sound(const streams_subtopology *sub)
{
    for (int32_t i = 0; i < sub->copartition_groups.count; i++) {
        const copartition *together = &sub->copartition_groups.at[i];
        if (!indexes_fit(&together->source_topics, sub->source_topics.count) ||
            !indexes_fit(&together->repartition_source_topics,
                sub->repartition_source_topics.count))
            return false;
    }
    return true;
}

ox_code
streams_topology_sound(const streams_topology *topology, struct arena *arena, const char **why)
{
    struct str *names;
    size_t count;
    *why = NULL;
    if (topology->epoch < 0)
        return OX_UNKNOWN_SERVER_ERROR;
    const streams_subtopology **parts = sorted_parts(topology, arena);
    for (int32_t i = 0; i < topology->subtopologies.count; i++)
        if (!part_sound(parts[i]) ||
            (i > 0 && ox_str_eq(parts[i]->subtopology_id, parts[i - 1]->subtopology_id)))
            return OX_UNKNOWN_SERVER_ERROR; /* as with Kafka: nothing was planned for it */
    streams_topology_names(topology, arena, &names, &count);
    if (topology->subtopologies.count > PARTS_MAX || count > NAMES_MAX) {
        *why = "the topology is too large";
        return OX_STREAMS_INVALID_TOPOLOGY;
    }
    for (int32_t i = 0; i < topology->subtopologies.count; i++) {
        for (int32_t j = 0; j < parts[i]->state_changelog_topics.count; j++)
            if (parts[i]->state_changelog_topics.at[j].partitions != 0)
                *why = "a changelog topic must leave its number of partitions open";
        for (int32_t j = 0; j < parts[i]->repartition_source_topics.count; j++)
            if (parts[i]->repartition_source_topics.at[j].partitions < 0)
                *why = "the number of partitions of a repartition topic is not valid";
    }
    return *why != NULL ? OX_STREAMS_INVALID_TOPOLOGY : OX_OK;
}

/* ---- a plan in the making ---- */

struct making {
    const streams_topology *topology;
    const struct coord_host *host;
    struct arena *scratch;
    struct streams_plan *plan;
    const char *why;   /* the topology cannot be */
    ox_code code;      /* likewise */
    const streams_subtopology **order; /* in which they are decided: of Kafka's hash table */
    struct map counts; /* internal topic -> partitions decided */
    struct map fixed;  /* repartition topic -> partitions that the topology says; 0: none */
};

/* Returns false: the plan ends here, with that status. */
static bool __attribute__((format(printf, 3, 4)))
stop(struct making *making, int8_t status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    making->plan->status = status;
    making->plan->detail = ox_str(ox_arena_vprintf(&making->plan->arena, format, args));
    va_end(args);
    return false;
}

static bool
refuse(struct making *making, ox_code code, const char *why)
{
    making->code = code;
    making->why = why;
    return false;
}

static void
decide(struct map *map, struct str name, int32_t partitions)
{
    ox_map_put(map, name, (void *)((intptr_t)partitions + 1));
}

/* 0: nobody has decided. */
static int32_t
decided(const struct map *map, struct str name)
{
    void *value = ox_map_get(map, name);
    return value == NULL ? 0 : (int32_t)((intptr_t)value - 1);
}

/* Of a topic that there is, else as decided; 0: not known. */
static int32_t
width(const struct making *making, struct str name)
{
    struct coord_topic facts;
    if (making->host->topic_by_name(making->host->self, name, &facts))
        return facts.partition_count;
    return decided(&making->counts, name);
}

static int
by_name(const void *a, const void *b)
{
    return ox_str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The first few of the sorted names, and how many more. */
static const char *
summary(struct making *making, struct str *names, size_t count)
{
    struct text text;
    size_t kept = 0;
    if (count > 0)
        qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !ox_str_eq(names[kept - 1], names[i]))
            names[kept++] = names[i];
    ox_text_init(&text, making->scratch);
    for (size_t i = 0; i < kept && i < NAMES_SHOWN; i++)
        ox_text_addf(&text, "%s%.*s", i > 0 ? ", " : "", OX_STR_ARG(names[i]));
    if (kept > NAMES_SHOWN)
        ox_text_addf(&text, " and %zu additional topics", kept - NAMES_SHOWN);
    return text.ptr != NULL ? text.ptr : "<none>";
}

static bool
sources_are_there(struct making *making)
{
    struct str *names;
    size_t count, missing = 0;
    struct coord_topic facts;
    streams_topology_names(making->topology, making->scratch, &names, &count);
    for (int32_t i = 0; i < making->topology->subtopologies.count; i++) {
        const streams_subtopology *sub = &making->topology->subtopologies.at[i];
        for (int32_t j = 0; j < sub->source_topics.count; j++)
            if (!making->host->topic_by_name(making->host->self, sub->source_topics.at[j], &facts))
                names[missing++] = sub->source_topics.at[j];
    }
    return missing == 0 || stop(making, COORD_MISSING_SOURCE_TOPICS,
                               "Source topics %s are missing.", summary(making, names, missing));
}

/* ---- repartition topics ---- */

/* The widest topic that the subtopology reads, as far as that is known. */
static int32_t
widest_known(const struct making *making, const streams_subtopology *sub)
{
    int32_t most = 0;
    for (int32_t j = 0; j < sub->repartition_source_topics.count; j++)
        most = OX_MAX(most, decided(&making->counts, sources_of(sub)[j].name));
    for (int32_t j = 0; j < sub->source_topics.count; j++)
        most = OX_MAX(most, width(making, sub->source_topics.at[j]));
    return most;
}

/* What is decided of a topic depends on what is known then, and so on who comes first. */
static void
put_in_order(struct making *making)
{
    uint32_t count = (uint32_t)making->topology->subtopologies.count;
    const streams_subtopology *all = making->topology->subtopologies.at;
    struct java_row *rows = ox_arena_array(making->scratch, struct java_row, count);
    making->order = ox_arena_array(making->scratch, const streams_subtopology *, count);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct java_row){.id = all[i].subtopology_id, .what = i};
    java_map_order(rows, count);
    for (uint32_t i = 0; i < count; i++)
        making->order[i] = &all[rows[i].what];
}

/* One round over all; sets what could be decided and what could not. */
static void
decide_sinks(struct making *making, bool *progress, bool *open)
{
    *progress = *open = false;
    for (int32_t i = 0; i < making->topology->subtopologies.count; i++) {
        const streams_subtopology *sub = making->order[i];
        int32_t most = sub->repartition_sink_topics.count > 0 ? widest_known(making, sub) : 0;
        for (int32_t j = 0; j < sub->repartition_sink_topics.count; j++) {
            struct str sink = sub->repartition_sink_topics.at[j];
            if (decided(&making->counts, sink) != 0)
                continue;
            *open |= most == 0;
            *progress |= most != 0;
            if (most != 0)
                decide(&making->counts, sink, most);
        }
    }
}

static bool
decide_repartitions(struct making *making)
{
    const streams_topology *topology = making->topology;
    bool progress, open;
    put_in_order(making);
    for (int32_t i = 0; i < topology->subtopologies.count; i++) {
        const streams_subtopology *sub = &topology->subtopologies.at[i];
        for (int32_t j = 0; j < sub->repartition_source_topics.count; j++) {
            const internal_said *said = &sources_of(sub)[j];
            decide(&making->fixed, said->name, said->partitions);
            if (said->partitions != 0)
                decide(&making->counts, said->name, said->partitions);
        }
    }
    do {
        decide_sinks(making, &progress, &open);
        if (open && !progress)
            return refuse(making, OX_STREAMS_INVALID_TOPOLOGY,
                "the widths of repartition topics depend on each other");
    } while (open);
    for (int32_t i = 0; i < topology->subtopologies.count; i++) {
        const streams_subtopology *sub = &topology->subtopologies.at[i];
        for (int32_t j = 0; j < sub->repartition_source_topics.count; j++)
            if (decided(&making->counts, sources_of(sub)[j].name) == 0)
                return refuse(making, OX_STREAMS_INVALID_TOPOLOGY,
                    "a repartition topic is read that no subtopology writes");
    }
    return true;
}

/* ---- topics that are read together ---- */

static bool
unequal(struct making *making, struct str *names, size_t count)
{
    struct text text;
    ox_text_init(&text, making->scratch);
    qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++)
        ox_text_addf(&text, "%s%.*s=%" PRId32, i > 0 ? ", " : "", OX_STR_ARG(names[i]),
            width(making, names[i]));
    return stop(making, COORD_INCORRECTLY_PARTITIONED_TOPICS,
        "Following topics do not have the same number of partitions: [{%s}]", text.ptr);
}

static bool
same_width(const struct making *making, const struct str *names, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (width(making, names[i]) != width(making, names[0]))
            return false;
    return true;
}

/* Of topics that are all repartition topics: those whose width the topology says
 * (anywhere, as with Kafka) decide, else the widest. */
static bool
width_of_internal(struct making *making, struct str *names, size_t count, int32_t *out)
{
    struct map_entry *entry;
    *out = 0;
    for (uint32_t at = 0; (entry = ox_map_next(&making->fixed, &at)) != NULL;) {
        int32_t partitions = decided(&making->fixed, entry->key) != 0 ? width(making, entry->key)
                                                                      : 0;
        if (partitions != 0 && *out != 0 && *out != partitions)
            return unequal(making, names, count);
        *out = partitions != 0 ? partitions : *out;
    }
    if (*out == 0)
        for (size_t i = 0; i < count; i++)
            *out = OX_MAX(*out, width(making, names[i]));
    return *out != 0 || refuse(making, OX_STREAMS_INVALID_TOPOLOGY,
                            "topics that are read together have no width");
}

static bool
make_equal(struct making *making, const streams_subtopology *sub, const copartition *together)
{
    size_t max = (size_t)together->source_topics.count +
                 (size_t)together->repartition_source_topics.count;
    struct str *internal = ox_arena_array(making->scratch, struct str, max);
    struct str *others = ox_arena_array(making->scratch, struct str, max);
    size_t internal_count = 0, other_count = 0;
    int32_t partitions;
    for (int32_t i = 0; i < together->repartition_source_topics.count; i++)
        internal[internal_count++] =
            sources_of(sub)[together->repartition_source_topics.at[i]].name;
    for (int32_t i = 0; i < together->source_topics.count; i++) {
        struct str name = sub->source_topics.at[together->source_topics.at[i]];
        if (ox_map_get(&making->fixed, name) != NULL)
            internal[internal_count++] = name;
        else
            others[other_count++] = name;
    }
    if (internal_count + other_count == 0)
        return true;
    if (other_count == 0) {
        if (!width_of_internal(making, internal, internal_count, &partitions))
            return false;
    } else {
        if (!same_width(making, others, other_count))
            return unequal(making, others, other_count);
        partitions = width(making, others[0]);
    }
    for (size_t i = 0; i < internal_count; i++) {
        int32_t now = width(making, internal[i]);
        if (decided(&making->fixed, internal[i]) != 0 && now != partitions)
            return stop(making, COORD_INCORRECTLY_PARTITIONED_TOPICS,
                "Number of partitions [%" PRId32 "] of repartition topic [%.*s] doesn't match "
                "number of partitions [%" PRId32 "] of the source topic.",
                now, OX_STR_ARG(internal[i]), partitions);
        decide(&making->counts, internal[i], partitions);
    }
    return true;
}

static bool
equalize(struct making *making)
{
    for (int32_t i = 0; i < making->topology->subtopologies.count; i++) {
        const streams_subtopology *sub = making->order[i];
        for (int32_t j = 0; j < sub->copartition_groups.count; j++)
            if (!make_equal(making, sub, &sub->copartition_groups.at[j]))
                return false;
    }
    return true;
}

/* ---- tasks, changelogs, what is missing ---- */

static bool
fill_part(struct making *making, const streams_subtopology *sub, struct streams_part *out)
{
    struct arena *arena = &making->plan->arena;
    out->said = sub;
    for (int32_t j = 0; j < sub->source_topics.count; j++)
        out->task_count = OX_MAX(out->task_count, width(making, sub->source_topics.at[j]));
    for (int32_t j = 0; j < sub->repartition_source_topics.count; j++)
        out->task_count = OX_MAX(out->task_count, width(making, sources_of(sub)[j].name));
    if (out->task_count == 0)
        return refuse(making, OX_STREAMS_INVALID_TOPOLOGY, "a subtopology reads no topic");
    out->sources =
        ox_arena_array(arena, struct streams_internal, sub->repartition_source_topics.count);
    for (int32_t j = 0; j < sub->repartition_source_topics.count; j++) {
        const internal_said *said = &sources_of(sub)[j];
        out->sources[out->source_count++] = (struct streams_internal){said,
            said->partitions != 0 ? said->partitions : decided(&making->counts, said->name)};
    }
    out->changelogs =
        ox_arena_array(arena, struct streams_internal, sub->state_changelog_topics.count);
    for (int32_t j = 0; j < sub->state_changelog_topics.count; j++)
        out->changelogs[out->changelog_count++] =
            (struct streams_internal){&sub->state_changelog_topics.at[j], out->task_count};
    return true;
}

static bool
see_topics(struct making *making, struct map *seen, const struct streams_internal *topics,
    size_t count)
{
    struct streams_plan *plan = making->plan;
    struct coord_topic facts;
    for (size_t i = 0; i < count; i++) {
        struct str name = topics[i].said->name;
        if (ox_map_put(seen, name, plan) != NULL)
            continue;
        if (!making->host->topic_by_name(making->host->self, name, &facts))
            plan->missing[plan->missing_count++] = topics[i];
        else if (facts.partition_count != topics[i].partitions)
            return stop(making, COORD_INCORRECTLY_PARTITIONED_TOPICS,
                "Existing topic %.*s has different number of partitions: expected %" PRId32
                ", found %" PRId32, OX_STR_ARG(name), topics[i].partitions,
                facts.partition_count);
    }
    return true;
}

static bool
see_all_topics(struct making *making)
{
    struct streams_plan *plan = making->plan;
    struct map seen;
    size_t count = 0;
    bool good = true;
    for (size_t i = 0; i < plan->part_count; i++)
        count += plan->parts[i].source_count + plan->parts[i].changelog_count;
    plan->missing = ox_arena_array(&plan->arena, struct streams_internal, count);
    ox_map_init(&seen);
    for (size_t i = 0; good && i < plan->part_count; i++) {
        const struct streams_part *part = &plan->parts[i];
        good = see_topics(making, &seen, part->sources, part->source_count) &&
               see_topics(making, &seen, part->changelogs, part->changelog_count);
    }
    ox_map_fini(&seen);
    return good;
}

static bool
make_parts(struct making *making)
{
    struct streams_plan *plan = making->plan;
    size_t count = (size_t)making->topology->subtopologies.count;
    const streams_subtopology **parts = sorted_parts(making->topology, making->scratch);
    plan->parts = ox_arena_array(&plan->arena, struct streams_part, count);
    for (; plan->part_count < count; plan->part_count++)
        if (!fill_part(making, parts[plan->part_count], &plan->parts[plan->part_count]))
            return false;
    return see_all_topics(making);
}

static void
tell_missing(struct making *making)
{
    struct streams_plan *plan = making->plan;
    struct str *names = ox_arena_array(making->scratch, struct str, plan->missing_count);
    for (size_t i = 0; i < plan->missing_count; i++)
        names[i] = plan->missing[i].said->name;
    if (plan->missing_count > 0)
        stop(making, COORD_MISSING_INTERNAL_TOPICS, "Internal topics are missing: %s",
            summary(making, names, plan->missing_count));
}

void
streams_plan_free(struct streams_plan *plan)
{
    if (plan == NULL)
        return;
    ox_arena_fini(&plan->arena);
    ox_free(plan);
}

ox_code
streams_plan_new(const streams_topology *topology, const struct coord_host *host,
    struct arena *scratch, struct streams_plan **out, const char **why)
{
    struct making making = {.topology = topology, .host = host, .scratch = scratch,
        .code = OX_OK, .plan = ox_calloc(1, sizeof(*making.plan))};
    ox_arena_init(&making.plan->arena);
    making.plan->status = -1;
    ox_map_init(&making.counts);
    ox_map_init(&making.fixed);
    bool whole = sources_are_there(&making) && decide_repartitions(&making) &&
                 equalize(&making) && make_parts(&making);
    if (whole) {
        tell_missing(&making);
    } else {
        making.plan->parts = NULL;
        making.plan->part_count = making.plan->missing_count = 0;
    }
    ox_map_fini(&making.counts);
    ox_map_fini(&making.fixed);
    *why = making.why;
    if (making.code != OX_OK) {
        streams_plan_free(making.plan);
        making.plan = NULL;
    }
    *out = making.plan;
    return making.code;
}
