/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside coord/: streams groups (KIP-1071), whose members are handed tasks of a
 * topology instead of partitions. The group as a value (streams_group.c), its
 * records (streams_records.c), what a topology needs of topics
 * (streams_topology.c), who gets which task (streams_assign.c), how a member
 * gets there (streams_reconcile.c), heartbeats
 * (streams_heartbeat.c), descriptions (streams_describe.c). */
#ifndef COORD_STREAMS_GROUP_H
#define COORD_STREAMS_GROUP_H

#include "coord/consumer_int.h"
#include "gen/disk.gen.h"

typedef struct streams_group_topology_value streams_topology;
typedef struct streams_group_topology_value_subtopologies streams_subtopology;

/* A task is a struct tp: a subtopology by its number in the group, and a
 * partition. In sets of them subtopologies come in order of their numbers. */
struct tasks {
    struct tpset of[COORD_TASK_KINDS];
};

void tasks_fini(struct tasks *tasks);
void tasks_copy(struct tasks *to, const struct tasks *from); /* replaces what was there */
bool tasks_equal(const struct tasks *a, const struct tasks *b);
bool tasks_meet(const struct tasks *a, const struct tasks *b);
bool tasks_none(const struct tasks *tasks);

/* What a client last said of itself. */
struct streams_said {
    struct str instance_id, rack_id; /* nullable */
    struct str client_id, client_host, process_id;
    int32_t rebalance_timeout_ms, topology_epoch;
    struct str host; /* of its end point; null: it has none */
    uint16_t port;
    const struct coord_tag *tags; /* by rising key */
    size_t tag_count;
};

/* What a member has now, as one record has it. Epochs: when each active task
 * was assigned, in the order of the set. */
struct streams_current {
    int32_t epoch, previous_epoch;
    enum consumer_state state;
    struct tasks assigned, revoking;
    int32_t *assigned_epochs, *revoking_epochs; /* heap */
};

/* Offsets of tasks as they were last told; not worth a record. */
struct streams_told {
    struct arena arena;
    struct coord_task_offsets rows;
};

struct streams_member {
    struct group *group;
    struct str id;
    struct arena arena; /* of said */
    struct streams_said said;
    bool known;    /* its record was seen */
    bool targeted; /* a record has its target, be it empty */
    struct streams_current current;
    struct tasks target;
    struct coord_timer session;
    struct coord_timer rebalance; /* it must give up tasks */
    int32_t rebalance_epoch;      /* it was at when that began */
    uint64_t joined;              /* rises from member to member */
    struct streams_told offsets, end_offsets;
};

/* A topology made concrete: how many tasks, which internal topics. */
struct streams_internal {
    const struct streams_group_topology_value_subtopologies_state_changelog_topics *said;
    int32_t partitions;
};
struct streams_part {
    const streams_subtopology *said;
    int32_t task_count;
    struct streams_internal *sources, *changelogs; /* repartition topics it reads; states */
    size_t source_count, changelog_count;
};
struct streams_plan {
    struct arena arena;
    int8_t status;            /* -1: all is there; else why tasks cannot be assigned */
    struct str detail;
    struct streams_part *parts; /* by rising id; NULL when not even that is known */
    size_t part_count;
    struct streams_internal *missing; /* topics to be made */
    size_t missing_count;
};

struct streams_group {
    struct group *group;
    int32_t epoch, assignment_epoch;
    int64_t assignment_ms;      /* when the target was computed; 0: not known */
    int64_t metadata_hash;      /* of the topics that the topology needs */
    int32_t validated_epoch;    /* of the topology whose topics were all there; -1: none */
    int64_t standbys;           /* what the last assignment was made with; -1: not known */
    uint64_t topics_generation; /* metadata_hash was computed for it */
    struct map members;         /* id -> struct streams_member */
    uint64_t joins;             /* members there have been */
    uint32_t peak, last_peak;   /* most at a time; and before the newest came */
    struct map held;            /* active task -> struct streams_member: assigned or revoking */
    struct map numbers;         /* id of a subtopology -> its number */
    struct str *names;          /* by number - 1; heap */
    uint32_t name_count;
    struct arena arena; /* of the topology */
    streams_topology *topology; /* NULL: none yet */
    struct streams_plan *plan;  /* of the topology and the topics there are; NULL: not made */
    struct str shutdown;        /* who asked for the end of the application; null: nobody */
    int32_t endpoint_epoch;
    struct coord_timer initial; /* a new group waits for more members */
};

/* A record's value; which fields count depends on its type. */
struct streams_value {
    struct str id; /* of the key: member id; null for the group itself */
    int32_t epoch, validated_epoch;
    int64_t metadata_hash, assignment_ms, standbys;
    struct streams_said said;
    struct streams_current current; /* a target is in current.assigned */
    struct str topology;            /* bytes of the record */
};

/* ---- streams_group.c ---- */

struct streams_group *streams_group_get(struct group *group); /* makes it one */
void streams_group_free(struct group *group);
/* What a record, or its tombstone, does to the group. Takes the sets in value. */
void streams_group_set(struct group *group, int16_t type, struct streams_value *value);
void streams_group_unset(struct group *group, int16_t type, struct str id);
struct streams_member *streams_member_find(const struct group *group, struct str id);
/* The member with this instance id, or NULL. */
struct streams_member *streams_member_static(const struct group *group, struct str instance_id);
/* Keeps what was told, by subtopology and partition; nothing where nothing was. */
void streams_tell_offsets(struct streams_told *told, struct coord_task_offsets rows);
void streams_forget_offsets(struct streams_member *member);
/* The same rows in another arena. */
struct coord_task_offsets streams_copy_offsets(struct coord_task_offsets rows,
    struct arena *arena);
const char *streams_group_state(const struct group *group);
/* Whether the group has members and its topology reads the topic. */
bool streams_group_subscribed(const struct group *group, struct str topic);
/* May this member commit an offset with an epoch behind its own? */
bool streams_commit_allowed(const struct streams_member *member, struct str topic,
    int32_t partition, int32_t epoch);
void streams_group_check(const struct group *group);
/* At load: sessions begin; what does not fit together is dropped. */
void streams_group_resume(struct group *group);
/* A task; the subtopology gets a number if it has none. */
struct tp streams_task(struct streams_group *streams, struct str subtopology, int32_t partition);
/* The same of a client's making: one that nobody has where it has no number. */
struct tp streams_task_find(const struct streams_group *streams, struct str subtopology,
    int32_t partition);
/* As messages have them: one row a subtopology, in order of their names. */
struct coord_tasks streams_task_rows(const struct streams_group *streams,
    const struct tpset *set, struct arena *arena);
/* The subtopology that reads the topic, or NULL. */
const streams_subtopology *streams_reader(const streams_topology *topology, struct str topic);

/* ---- streams_topology.c ---- */

/* The names of all topics that a topology needs. */
void streams_topology_names(const streams_topology *topology, struct arena *arena,
    struct str **names, size_t *count);
/* What cannot be a topology at all. Fails: OX_INTERNAL, OX_STREAMS_INVALID_TOPOLOGY; *why is
 * a sentence in the arena, or NULL. */
ox_code streams_topology_sound(const streams_topology *topology, struct arena *arena,
    const char **why);
/* Give every internal topic a number of partitions, see what there is. Fails as
 * above; a sound topology that cannot be had now is a plan with a status. The
 * plan borrows the topology. */
ox_code streams_plan_new(const streams_topology *topology, const struct coord_host *host,
    struct arena *scratch, struct streams_plan **out, const char **why);
void streams_plan_free(struct streams_plan *plan); /* NULL is allowed */
/* Whether they are the same, whatever the order of subtopologies. */
bool streams_topology_same(const streams_topology *a, const streams_topology *b);
/* A topology in the arena; NULL: the bytes, which the arena must hold, are none. */
streams_topology *streams_topology_read(struct str bytes, struct arena *arena);

/* ---- streams_assign.c ---- */

struct task_offset {
    struct tp task;
    int64_t offset;
};
struct task_member {
    struct str id, process_id;
    const struct tasks *before; /* what it has: what should stay */
    struct task_offset *offsets; /* as far as it has states, each task once; is sorted */
    size_t offset_count;
    struct tasks target;        /* out */
    uint32_t process, load;     /* inside */
};
struct task_source {
    struct tp first; /* partition 0 */
    int32_t count;
    bool stateful; /* its tasks have standbys */
};

/* Active tasks where they were, or where their state is, as far as that is even; then
 * standbys, on other processes. Sources by rising name, members as Kafka's group has them;
 * deterministic. The members are put into another order. */
void assign_tasks(const struct task_source *sources, size_t source_count, int32_t standbys,
    struct task_member *members, uint32_t member_count);

/* ---- streams_reconcile.c ---- */

/* One step of the member towards the target; a record if anything changed. Owned: what its
 * client says that it has; NULL: it did not say. */
void streams_reconcile(struct streams_member *member, struct write *write,
    const struct tasks *target, const struct tasks *owned);

/* ---- streams_heartbeat.c ---- */

void streams_restart_session(struct streams_member *member);
void streams_start_rebalance_timer(struct streams_member *member);

/* ---- streams_describe.c, for modern_describe.c ---- */

/* All of it but the group's id, in the call's arena. */
void streams_describe(const struct group *group, struct coord_modern_call *call);

/* ---- streams_records.c: keys 17 and 19 to 23 ---- */

enum {
    KEY_STREAMS_EPOCH = 17,
    KEY_STREAMS_MEMBER = 19,
    KEY_STREAMS_TARGET_EPOCH = 20,
    KEY_STREAMS_TARGET = 21,
    KEY_STREAMS_CURRENT = 22,
    KEY_STREAMS_TOPOLOGY = 23,
};

/* Each adds one record to the write and applies it at once. */
void put_streams_member(struct write *write, struct str member_id,
    const struct streams_said *said);
void put_streams_epoch(struct write *write, int32_t epoch, int64_t metadata_hash,
    int32_t validated_epoch, int64_t standbys);
/* made_ms: when the target was computed; 0: nobody waits for the next one. */
void put_streams_target_epoch(struct write *write, int32_t epoch, int64_t made_ms);
void put_streams_target(struct write *write, struct str member_id, const struct tasks *target);
void put_streams_current(struct write *write, struct str member_id,
    const struct streams_current *current);
void put_streams_topology(struct write *write, const streams_topology *topology);
/* A tombstone; member_id null for the keys of the group itself. */
void put_streams_gone(struct write *write, int16_t key, struct str member_id);
/* All tombstones of a group without members. */
void put_streams_group_gone(struct write *write);

/* Apply one; false if it is not understood. */
bool streams_apply(struct shard *shard, int16_t type, struct str key, struct str value);

#endif
