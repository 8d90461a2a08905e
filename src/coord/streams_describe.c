/* SPDX-License-Identifier: Apache-2.0
 *
 * What StreamsGroupDescribe says: a streams group, its topology and members. Where the
 * topics of the topology are all there the topology is shown with the partitions
 * that were decided, else as the client gave it. */
#include <stdlib.h>

#include "coord/streams_group.h"

typedef struct streams_group_topology_value_subtopologies_state_changelog_topics internal_said;

static struct coord_internal_topic
describe_internal(const internal_said *said, int32_t partitions, struct arena *arena)
{
    struct coord_internal_topic out = {
        .name = ox_str_dup(arena, said->name),
        .partitions = partitions,
        .replication_factor = said->replication_factor,
        .configs = ox_arena_array(arena, struct coord_tag, said->topic_configs.count),
    };
    for (int32_t i = 0; i < said->topic_configs.count; i++)
        out.configs[out.config_count++] =
            (struct coord_tag){ox_str_dup(arena, said->topic_configs.at[i].key),
                ox_str_dup(arena, said->topic_configs.at[i].value)};
    return out;
}

static int
by_text(const void *a, const void *b)
{
    return ox_str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str *
sorted_names(const struct msg_strs *names, struct arena *arena)
{
    struct str *out = ox_arena_array(arena, struct str, names->count);
    for (int32_t i = 0; i < names->count; i++)
        out[i] = ox_str_dup(arena, names->at[i]);
    if (names->count > 1)
        qsort(out, (size_t)names->count, sizeof(*out), by_text);
    return out;
}

static int
by_name(const void *a, const void *b)
{
    return ox_str_cmp(((const struct coord_internal_topic *)a)->name,
        ((const struct coord_internal_topic *)b)->name);
}

/* part NULL: nothing was decided. */
static void
describe_part(const streams_subtopology *said, const struct streams_part *part,
    struct arena *arena, struct coord_subtopology *out)
{
    out->id = ox_str_dup(arena, said->subtopology_id);
    out->sources = sorted_names(&said->source_topics, arena);
    out->source_count = (size_t)said->source_topics.count;
    out->sinks = sorted_names(&said->repartition_sink_topics, arena);
    out->sink_count = (size_t)said->repartition_sink_topics.count;
    out->changelogs =
        ox_arena_array(arena, struct coord_internal_topic, said->state_changelog_topics.count);
    for (int32_t i = 0; i < said->state_changelog_topics.count; i++) {
        const internal_said *own = &said->state_changelog_topics.at[i];
        out->changelogs[out->changelog_count++] = describe_internal(own,
            part != NULL ? part->changelogs[i].partitions : own->partitions, arena);
    }
    out->repartitions =
        ox_arena_array(arena, struct coord_internal_topic, said->repartition_source_topics.count);
    for (int32_t i = 0; i < said->repartition_source_topics.count; i++) {
        const internal_said *own = (const void *)&said->repartition_source_topics.at[i];
        out->repartitions[out->repartition_count++] = describe_internal(own,
            part != NULL ? part->sources[i].partitions : own->partitions, arena);
    }
    if (out->changelog_count > 1)
        qsort(out->changelogs, out->changelog_count, sizeof(*out->changelogs), by_name);
    if (out->repartition_count > 1)
        qsort(out->repartitions, out->repartition_count, sizeof(*out->repartitions), by_name);
}

static int
by_id(const void *a, const void *b)
{
    return ox_str_cmp(((const struct coord_subtopology *)a)->id,
        ((const struct coord_subtopology *)b)->id);
}

static void
describe_topology(struct coord_modern_call *call, const struct streams_group *streams)
{
    struct arena *arena = call->call.arena;
    const streams_topology *topology = streams->topology;
    const struct streams_plan *plan = streams->plan;
    if (topology == NULL)
        return;
    bool ready = plan != NULL && plan->status < 0;
    call->has_topology = true;
    call->topology_epoch = topology->epoch;
    call->subtopology_count = (size_t)topology->subtopologies.count;
    call->subtopologies = ox_arena_array(arena, struct coord_subtopology, call->subtopology_count);
    for (size_t i = 0; i < call->subtopology_count; i++)
        describe_part(ready ? plan->parts[i].said : &topology->subtopologies.at[i],
            ready ? &plan->parts[i] : NULL, arena, &call->subtopologies[i]);
    if (call->subtopology_count > 1)
        qsort(call->subtopologies, call->subtopology_count, sizeof(*call->subtopologies), by_id);
}

static void
describe_member(const struct streams_member *member, struct arena *arena,
    struct coord_streams_member *out)
{
    const struct streams_said *said = &member->said;
    *out = (struct coord_streams_member){
        .member_id = ox_str_dup(arena, member->id),
        .instance_id = ox_str_dup(arena, said->instance_id),
        .rack_id = ox_str_dup(arena, said->rack_id),
        .client_id = ox_str_dup(arena, said->client_id),
        .client_host = ox_str_dup(arena, said->client_host),
        .process_id = ox_str_dup(arena, said->process_id),
        .host = ox_str_dup(arena, said->host),
        .port = said->port,
        .member_epoch = member->current.epoch,
        .topology_epoch = said->topology_epoch,
        .tags = ox_arena_array(arena, struct coord_tag, said->tag_count),
        .offsets = streams_copy_offsets(member->offsets.rows, arena),
        .end_offsets = streams_copy_offsets(member->end_offsets.rows, arena),
    };
    for (size_t i = 0; i < said->tag_count; i++)
        out->tags[out->tag_count++] = (struct coord_tag){ox_str_dup(arena, said->tags[i].key),
            ox_str_dup(arena, said->tags[i].value)};
    for (int kind = 0; kind < COORD_TASK_KINDS; kind++) {
        const struct streams_group *streams = member->group->streams;
        out->assigned[kind] =
            streams_task_rows(streams, &member->current.assigned.of[kind], arena);
        out->target[kind] = streams_task_rows(streams, &member->target.of[kind], arena);
    }
}

void
streams_describe(const struct group *group, struct coord_modern_call *call)
{
    const struct streams_group *streams = group->streams;
    struct map_entry *entry;
    call->state = streams_group_state(group);
    call->group_epoch = streams->epoch;
    call->assignment_epoch = streams->assignment_epoch;
    describe_topology(call, streams);
    call->streams_members = ox_arena_array(call->call.arena, struct coord_streams_member,
        streams->members.count);
    for (uint32_t at = 0; (entry = ox_map_next(&streams->members, &at)) != NULL;)
        describe_member(entry->value, call->call.arena,
            &call->streams_members[call->member_count++]);
}
