/* SPDX-License-Identifier: Apache-2.0
 *
 * Group coordinators: who is in a consumer group, who reads what, and how far
 * each group has read. One shard per partition of __consumer_offsets; a shard
 * is a state machine that replays its partition when this node comes to lead
 * it, and appends a record for whatever must survive. Transaction coordinators
 * are the same on __transaction_state: which partitions a producer's transaction
 * has touched, and how it ended.
 *
 * Every call is a struct that the caller embeds: fill the inputs, start it with
 * its function, read the answer in done. Common to all calls:
 *
 * On:    any loop. The work happens on the home loop of the group's shard.
 * Takes: nothing. Inputs (and whatever their strs point to) and call.arena are
 *        lent until done; answers are built in the arena.
 * Done:  on the loop that started the call, exactly once, never before the
 *        start returns, with call.code. What had to be logged is then
 *        committed. Joins and syncs may be parked for the rebalance timeout.
 * Codes: Kafka's, by ox_code_kafka(call.code). Of every call:
 *        OX_COORDINATOR_NOT_AVAILABLE  no __consumer_offsets yet, shutting down
 *        OX_NOT_COORDINATOR            another node leads the shard
 *        OX_COORDINATOR_LOAD_IN_PROGRESS  (a heartbeat answers OX_OK instead)
 *
 * Who may do what is the engine's to check, before. Calls over topics skip
 * every partition whose code the caller has set to a failure (not authorised,
 * no such topic) and leave that code alone. */
#ifndef COORD_COORD_H
#define COORD_COORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"

struct coord;
struct coord_host; /* coord/coord_host.h: what the coordinators need from outside */

/* How partitions are given to the members of a consumer group. */
enum coord_assignor { COORD_UNIFORM, COORD_RANGE, COORD_ASSIGNOR_COUNT };
/* By its name; COORD_ASSIGNOR_COUNT: none. */
enum coord_assignor coord_assignor_find(struct str name);

/* Bounds and periods; the names of the settings are Kafka's. */
struct coord_config {
    int32_t session_timeout_ms_min;     /* group.min.session.timeout.ms */
    int32_t session_timeout_ms_max;     /* group.max.session.timeout.ms */
    int32_t initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms */
    int32_t new_member_join_ms_max;     /* a first join may be parked so long */
    int32_t group_size_max;             /* group.max.size */
    int32_t group_count_max;            /* groups of one shard */
    int32_t offset_metadata_max;        /* offset.metadata.max.bytes, UTF-16 units */
    int64_t offsets_retention_ms;       /* offsets.retention.minutes */
    int64_t offsets_check_ms;           /* offsets.retention.check.interval.ms */
    int32_t offset_commit_timeout_ms;   /* offsets.commit.timeout.ms */
    int32_t batch_bytes_max;            /* of one batch of records appended */
    int32_t linger_ms;                  /* *.coordinator.append.linger.ms; 0, -1: no wait */
    int32_t codec;                      /* enum ox_codec of batches that are written */
    int32_t snapshot_updates;           /* share.coordinator.snapshot.update.records.per.snapshot */
    int32_t consumer_session_ms;        /* group.consumer.session.timeout.ms */
    int32_t consumer_heartbeat_ms;      /* group.consumer.heartbeat.interval.ms */
    int32_t consumer_size_max;          /* group.consumer.max.size */
    int32_t consumer_assignment_ms;     /* group.consumer.assignment.interval.ms */
    uint8_t consumer_assignors;         /* group.consumer.assignors: a bit for each */
    uint8_t consumer_assignor;          /* the first of them */
    bool upgrade, downgrade;            /* group.consumer.migration.policy */
    int32_t share_session_ms;           /* group.share.session.timeout.ms */
    int32_t share_heartbeat_ms;         /* group.share.heartbeat.interval.ms */
    int32_t share_assignment_ms;        /* group.share.assignment.interval.ms */
    int32_t share_size_max;             /* group.share.max.size */
    int32_t streams_session_ms;         /* group.streams.session.timeout.ms */
    int32_t streams_heartbeat_ms;       /* group.streams.heartbeat.interval.ms */
    int32_t streams_size_max;           /* group.streams.max.size */
    int32_t streams_standbys;           /* group.streams.num.standby.replicas */
    int32_t streams_initial_delay_ms;   /* group.streams.initial.rebalance.delay.ms */
    int32_t streams_assignment_ms;      /* group.streams.assignment.interval.ms */
    int32_t txn_timeout_ms_max;         /* transaction.max.timeout.ms */
    int32_t txn_abort_check_ms;         /* transaction.abort.timed.out.transaction.cleanup.interval.ms */
    int32_t txn_expire_check_ms; /* transaction.remove.expired.transaction.cleanup.interval.ms */
    int32_t txn_id_expiration_ms;       /* transactional.id.expiration.ms */
    int32_t txn_count_max;              /* transactional ids of one shard */
};

/* Kafka's defaults. */
void coord_config_init(struct coord_config *config);

/* ---- life ---- */

/* The host and what it points to outlive the coordinators. */
struct coord *coord_new(const struct coord_config *config, const struct coord_host *host);
/* Coordinators of transactions, on __transaction_state: the same life, and the
 * calls that begin with coord_txn_. */
struct coord *coord_new_txns(const struct coord_config *config, const struct coord_host *host);
/* Share coordinators, on __share_group_state: the same life, and coord_state(). */
struct coord *coord_new_states(const struct coord_config *config, const struct coord_host *host);
/* Where the groups of coord have the states of their share groups kept; set once,
 * before the first partition. NULL (the default): there are no share groups. */
void coord_set_states(struct coord *coord, struct coord *states);
/* After coord_stop() was done. NULL is allowed. */
void coord_free(struct coord *coord);

/* Bounds and periods change; what runs already keeps its time. On: the thread
 * that calls coord_set_partitions. */
void coord_configure(struct coord *coord, const struct coord_config *config);

/* The topic has this many partitions. Counts: the first call; adding
 * partitions later would move groups to coordinators that do not know them. Any
 * thread. */
void coord_set_partitions(struct coord *coord, int32_t count);
int32_t coord_partition_count(const struct coord *coord); /* 0: not known yet */

/* The partition whose leader coordinates the group; -1 while the topic is not
 * known (create it and answer COORDINATOR_NOT_AVAILABLE). Any thread. */
int32_t coord_find(const struct coord *coord, struct str group_id);
/* abs(java String.hashCode) mod count, over UTF-16 units: transactional ids too. */
int32_t coord_partition_of(struct str key, int32_t count);

/* This node came to lead the partition in this leader epoch (load and serve),
 * or does no longer (answer what is parked, forget). Ignored for partitions that
 * were added later. Any thread; asynchronous. */
void coord_elected(struct coord *coord, int32_t partition, int32_t leader_epoch);
void coord_resigned(struct coord *coord, int32_t partition, int32_t leader_epoch);

/* Forget the offsets that groups committed for a deleted topic. Any loop. */
void coord_topic_deleted(struct coord *coord, struct str topic);

/* ---- calls ---- */

/* Embedded first in every call below. */
struct coord_call {
    struct arena *arena;                   /* in: for the answer */
    void (*done)(struct coord_call *call); /* in */
    ox_code code;                          /* out */

    /* inside */
    struct coord *coord;
    void (*run)(struct coord_call *call);
    void *origin;            /* of the host: where to answer */
    union {
        struct list link;
        struct loop_msg msg;
    } hop;                   /* of the host */
    int32_t partition;
    bool answered;
};

/* JoinGroup. Parked until the group has a new generation. */
struct coord_join_protocol {
    struct str name, metadata;
};
struct coord_join_member {
    struct str member_id, instance_id, metadata;
};
struct coord_join_call {
    struct coord_call call;
    int16_t version; /* of JoinGroup: decides its quirks (4: two steps, 9: skip_assignment) */
    struct str group_id, member_id, instance_id; /* instance_id: null if none */
    struct str client_id, client_host;           /* host as "/10.0.0.1" */
    struct str protocol_type;
    const struct coord_join_protocol *protocols;
    size_t protocol_count;
    int32_t session_timeout_ms, rebalance_timeout_ms; /* the latter < 0: as the former */
    /* out */
    int32_t generation;                       /* -1 on failure */
    struct str out_protocol_type, out_protocol; /* null on failure */
    struct str leader, out_member_id;         /* "" if none */
    bool skip_assignment;
    struct coord_join_member *members; /* all of them for the leader, else none */
    size_t member_count;
};
void coord_join(struct coord *coord, struct coord_join_call *call);

/* SyncGroup. Parked until the leader's assignment is committed. */
struct coord_sync_assignment {
    struct str member_id, assignment;
};
struct coord_sync_call {
    struct coord_call call;
    struct str group_id, member_id, instance_id;
    struct str protocol_type, protocol; /* null: not given */
    int32_t generation;
    const struct coord_sync_assignment *assignments;
    size_t assignment_count;
    /* out */
    struct str out_protocol_type, out_protocol; /* null on failure */
    struct str assignment;                      /* "" on failure */
};
void coord_sync(struct coord *coord, struct coord_sync_call *call);

/* Heartbeat. */
struct coord_heartbeat_call {
    struct coord_call call;
    struct str group_id, member_id, instance_id;
    int32_t generation;
};
void coord_heartbeat(struct coord *coord, struct coord_heartbeat_call *call);

/* LeaveGroup; one member below version 3, whose code is then the answer's. */
struct coord_leave_member {
    struct str member_id, instance_id; /* member_id "" and an instance_id: by instance */
    ox_code code;                      /* out */
};
struct coord_leave_call {
    struct coord_call call;
    struct str group_id;
    struct coord_leave_member *members;
    size_t member_count;
};
void coord_leave(struct coord *coord, struct coord_leave_call *call);

/* A partition's committed offset, in commit, fetch and delete. */
struct coord_offset {
    int32_t partition;
    int32_t leader_epoch; /* -1: not known */
    int64_t offset;       /* -1: none */
    struct str metadata;
    int64_t commit_ms; /* out, fetch: when it was committed, -1: none */
    ox_code code;      /* in: skip if a failure; out */
};
struct coord_offset_topic {
    struct str name;
    struct coord_offset *partitions;
    size_t partition_count;
};

/* OffsetCommit. A failure of the call as a whole is also set on each partition
 * that had none. Generation -1 and no member: an administrator or a consumer
 * without a group; accepted while the group has no members. */
struct coord_offset_commit_call {
    struct coord_call call;
    bool transactional; /* TxnOffsetCommit: held until the producer's marker comes */
    int64_t producer_id;
    int16_t producer_epoch;
    uint64_t guard; /* of plog_txn_guard() on the group's partition */
    bool tells_epochs; /* the answer may be OX_STALE_MEMBER_EPOCH and OX_GROUP_ID_NOT_FOUND, which
                        * older versions do not know: they get OX_ILLEGAL_GENERATION */
    struct str group_id, member_id, instance_id;
    int32_t generation; /* or member epoch; -1: none */
    int64_t retention_ms; /* -1: the default */
    struct coord_offset_topic *topics;
    size_t topic_count;
};
void coord_offset_commit(struct coord *coord, struct coord_offset_commit_call *call);

/* OffsetFetch of one group. topics NULL: all; they are then built in the arena,
 * topics in order of first commit, partitions ascending. What has no offset
 * answers offset -1, metadata "", OX_OK. */
struct coord_offset_fetch_call {
    struct coord_call call;
    struct str group_id, member_id; /* member_id null: none given */
    int32_t member_epoch;           /* -1: none given */
    bool require_stable;
    struct coord_offset_topic *topics; /* in and out */
    size_t topic_count;
};
void coord_offset_fetch(struct coord *coord, struct coord_offset_fetch_call *call);

/* OffsetDelete. */
struct coord_offset_delete_call {
    struct coord_call call;
    struct str group_id;
    struct coord_offset_topic *topics; /* codes are the answer */
    size_t topic_count;
};
void coord_offset_delete(struct coord *coord, struct coord_offset_delete_call *call);

/* DescribeGroups, one group. Unknown: state "Dead" and OX_GROUP_ID_NOT_FOUND
 * (which Kafka shows from version 6 on). */
struct coord_described_member {
    struct str member_id, instance_id, client_id, client_host, metadata, assignment;
};
struct coord_describe_call {
    struct coord_call call;
    struct str group_id;
    /* out */
    const char *state; /* "Stable", ...: as on Kafka's wire */
    struct str protocol_type, protocol;
    struct coord_described_member *members;
    size_t member_count;
};
void coord_describe(struct coord *coord, struct coord_describe_call *call);

/* ListGroups of this node. Filters are matched without case; none means all. */
struct coord_listed_group {
    struct str group_id, protocol_type;
    const char *state, *type; /* type: "classic", "consumer", "share" or "streams" */
};
struct coord_list_call {
    struct coord_call call;
    const struct str *states, *types;
    size_t state_count, type_count;
    /* out */
    struct coord_listed_group *groups;
    size_t group_count, group_cap;
};
void coord_list(struct coord *coord, struct coord_list_call *call);

/* DeleteGroups, one group: OX_GROUP_ID_NOT_FOUND, OX_NON_EMPTY_GROUP. */
struct coord_delete_call {
    struct coord_call call;
    struct str group_id;
};
void coord_delete(struct coord *coord, struct coord_delete_call *call);

/* ConsumerGroupHeartbeat: the consumer protocol. Besides its own codes (KIP-848)
 * OX_INVALID_REQUEST with a message that says what is wrong. */
struct coord_topic_partitions {
    struct uuid topic_id;
    struct str topic; /* name, in descriptions; "" if the topic has gone */
    int32_t *partitions;
    size_t partition_count;
};
struct coord_consumer_call {
    struct coord_call call;
    int16_t version; /* of ConsumerGroupHeartbeat: in 0 the server makes the member id */
    struct str group_id, member_id;
    int32_t member_epoch;              /* 0 joins, -1 leaves, -2 leaves for a while */
    struct str instance_id, rack_id;   /* null: none */
    struct str client_id, client_host; /* host as "/10.0.0.1" */
    int32_t rebalance_timeout_ms;      /* -1: unchanged */
    const struct str *topics;          /* subscribed names; NULL: unchanged, none: not NULL */
    size_t topic_count;
    struct str regex;                  /* null: unchanged, "": none */
    struct str assignor;               /* null: unchanged or the group's */
    const struct coord_topic_partitions *owned; /* NULL: unchanged, none: not NULL */
    size_t owned_count;
    /* May who calls know of the topic? Patterns bring in no others. NULL: of all.
     * On: the shard's home loop. */
    bool (*sees)(const void *of, struct str topic);
    const void *sees_of;
    /* out */
    struct str message;       /* null, or what is wrong with the request */
    struct str out_member_id; /* null on failure */
    int32_t out_member_epoch, heartbeat_interval_ms;
    bool has_assignment; /* false: unchanged */
    struct coord_topic_partitions *assignment;
    size_t assignment_count;
};
void coord_consumer_heartbeat(struct coord *coord, struct coord_consumer_call *call);

/* WriteTxnMarkers on one partition of __consumer_offsets: the offsets that the
 * transaction committed there take effect, or are forgotten. */
struct coord_group_marker_call {
    struct coord_call call;
    int32_t partition;
    int64_t producer_id;
    int16_t producer_epoch;
    bool commit;
    int8_t txn_version;
    int32_t coordinator_epoch;
};
void coord_group_marker(struct coord *coord, struct coord_group_marker_call *call);

/* ShareGroupHeartbeat (KIP-932). Codes besides the common ones as those of the
 * consumer protocol. */
struct coord_share_call {
    struct coord_call call;
    struct str group_id, member_id;
    int32_t member_epoch;              /* 0 joins, -1 leaves */
    struct str rack_id;                /* null: none */
    struct str client_id, client_host; /* host as "/10.0.0.1" */
    const struct str *topics;          /* subscribed names; NULL: unchanged */
    size_t topic_count;
    /* out */
    struct str message; /* null, or what is wrong with the request */
    int32_t out_member_epoch, heartbeat_interval_ms;
    bool has_assignment; /* false: unchanged */
    struct coord_topic_partitions *assignment;
    size_t assignment_count;
};
void coord_share_heartbeat(struct coord *coord, struct coord_share_call *call);

/* DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets of
 * one group. Describe with topics NULL: all that are initialized. Alter makes
 * the group if there is none; both that change need it empty
 * (OX_NON_EMPTY_GROUP). Partitions whose code is a failure are passed over. */
struct coord_share_partition {
    int32_t partition;
    int64_t start_offset;           /* in: alter; out: describe, -1 not known */
    int32_t leader_epoch, complete; /* out, describe: done beyond the start, -1 not known */
    ox_code code;                   /* in and out */
};
struct coord_share_topic {
    struct str name;
    struct uuid id;
    struct coord_share_partition *partitions; /* delete: not used */
    size_t partition_count;
    ox_code code; /* delete: in and out */
};
enum coord_share_offsets_op { COORD_SHARE_DESCRIBE, COORD_SHARE_ALTER, COORD_SHARE_DELETE };
struct coord_share_offsets_call {
    struct coord_call call;
    enum coord_share_offsets_op op;
    struct str group_id;
    struct coord_share_topic *topics; /* in and out */
    size_t topic_count;
};
void coord_share_offsets(struct coord *coord, struct coord_share_offsets_call *call);

/* StreamsGroupHeartbeat (KIP-1071). Besides the common codes those of the consumer
 * protocol, OX_STREAMS_INVALID_TOPOLOGY. The topology has the layout of the record
 * in which it is kept (gen/disk.gen.h). */
enum coord_task_kind { COORD_ACTIVE, COORD_STANDBY, COORD_WARMUP, COORD_TASK_KINDS };
struct coord_task_ids {
    struct str subtopology;
    int32_t *partitions;
    int32_t partition_count;
};
struct coord_tasks {
    struct coord_task_ids *at; /* NULL: not given */
    size_t count;
};
struct coord_tag {
    struct str key, value;
};
struct coord_status {
    int8_t status; /* as on Kafka's wire */
    struct str detail;
};
enum {
    COORD_STALE_TOPOLOGY,
    COORD_MISSING_SOURCE_TOPICS,
    COORD_INCORRECTLY_PARTITIONED_TOPICS,
    COORD_MISSING_INTERNAL_TOPICS,
    COORD_SHUTDOWN_APPLICATION,
    COORD_ASSIGNMENT_DELAYED,
    COORD_STATUS_MAX = 8, /* at most so many at once */
};
struct coord_endpoint {
    struct str host;
    uint16_t port;
    /* What its tasks read, by name; ids are not set. */
    struct coord_topic_partitions *of[2]; /* COORD_ACTIVE, COORD_STANDBY */
    size_t count[2];
};
/* A topic that the topology needs and that there is not. */
struct coord_wanted_topic {
    struct str name;
    int32_t partitions;
    int16_t replication_factor; /* -1: the default */
    struct coord_tag *configs;
    size_t config_count;
};
/* How far a client has a task's state: its changelogs' offsets, added up. */
struct coord_task_offset {
    struct str subtopology;
    int32_t partition;
    int64_t offset;
};
struct coord_task_offsets {
    const struct coord_task_offset *at; /* NULL: not told */
    size_t count;
};
struct streams_group_topology_value;
struct coord_streams_call {
    struct coord_call call;
    struct str group_id, member_id;
    int32_t member_epoch;              /* 0 joins, -1 leaves, -2 leaves and comes back: static */
    int32_t endpoint_epoch;            /* of what the client knows of end points */
    struct str instance_id, rack_id;   /* null: none */
    struct str client_id, client_host; /* host as "/10.0.0.1" */
    struct str process_id;             /* null: unchanged */
    int32_t rebalance_timeout_ms;      /* -1: unchanged */
    const struct streams_group_topology_value *topology; /* NULL: not given */
    struct coord_tasks owned[COORD_TASK_KINDS];
    struct str host;              /* of its end point; null: unchanged or none */
    uint16_t port;
    const struct coord_tag *tags; /* NULL: unchanged, none: not NULL */
    size_t tag_count;
    struct coord_task_offsets offsets, end_offsets; /* what it has, what there is */
    bool shutdown; /* the whole application is to end */
    /* out */
    struct str message; /* null, or what is wrong with the request */
    int32_t out_member_epoch, heartbeat_interval_ms, out_endpoint_epoch;
    bool has_tasks, has_endpoints; /* false: unchanged */
    struct coord_tasks tasks[COORD_TASK_KINDS];
    struct coord_endpoint *endpoints;
    size_t endpoint_count;
    struct coord_status statuses[COORD_STATUS_MAX];
    size_t status_count;
    struct coord_wanted_topic *wanted; /* the caller has them made */
    size_t wanted_count;
};
void coord_streams_heartbeat(struct coord *coord, struct coord_streams_call *call);

/* ConsumerGroupDescribe, ShareGroupDescribe, StreamsGroupDescribe (KIP-848, 932, 1071),
 * one group of those that Kafka calls modern: the coordinator assigns. A group of
 * another kind is OX_GROUP_ID_NOT_FOUND. */
enum coord_modern { COORD_CONSUMER_GROUP, COORD_SHARE_GROUP, COORD_STREAMS_GROUP };
struct coord_modern_member { /* of a consumer group; of a share group: no instance, pattern, target */
    struct str member_id, instance_id, rack_id, client_id, client_host, regex;
    int32_t member_epoch;
    bool classic; /* it speaks the classic protocol */
    struct str *topics;
    size_t topic_count;
    struct coord_topic_partitions *assigned, *target;
    size_t assigned_count, target_count;
};
struct coord_internal_topic {
    struct str name;
    int32_t partitions; /* 0: not decided */
    int16_t replication_factor;
    struct coord_tag *configs;
    size_t config_count;
};
struct coord_subtopology {
    struct str id;
    struct str *sources, *sinks; /* topics; those of sinks are repartition topics */
    size_t source_count, sink_count;
    struct coord_internal_topic *changelogs, *repartitions;
    size_t changelog_count, repartition_count;
};
struct coord_streams_member {
    struct str member_id, instance_id, rack_id, client_id, client_host, process_id;
    struct str host; /* null: no end point */
    uint16_t port;
    int32_t member_epoch, topology_epoch;
    struct coord_tag *tags;
    size_t tag_count;
    struct coord_task_offsets offsets, end_offsets;
    struct coord_tasks assigned[COORD_TASK_KINDS], target[COORD_TASK_KINDS];
};
struct coord_modern_call {
    struct coord_call call;
    enum coord_modern kind;
    struct str group_id;
    /* out */
    const char *state;    /* Empty, NotReady, Assigning, Reconciling, Stable */
    const char *assignor; /* "": of a streams group */
    int32_t group_epoch, assignment_epoch;
    size_t member_count;
    struct coord_modern_member *members;          /* of consumer and share groups */
    struct coord_streams_member *streams_members; /* and what else a streams group has: */
    bool has_topology;
    int32_t topology_epoch;
    struct coord_subtopology *subtopologies;
    size_t subtopology_count;
};
void coord_modern_describe(struct coord *coord, struct coord_modern_call *call);

/* Everything this node coordinates, for SQL: oxbow.groups, group_members,
 * group_offsets. A consistent picture of each group, not across groups. Shards
 * that are loading are left out (and then code says so, rows are kept). */
struct coord_snapshot_member {
    struct str member_id, instance_id, client_id, client_host;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    struct coord_offset_topic *assigned; /* only names and partition numbers */
    size_t assigned_count;
    const struct coord_tasks *tasks; /* of a streams group, by kind; else NULL */
    bool leader;
};
struct coord_snapshot_group {
    struct str group_id, protocol_type, protocol; /* protocol "" if none */
    const char *state, *type;
    int32_t generation, partition; /* partition: of __consumer_offsets */
    int64_t state_since_ms;        /* -1: not known */
    struct coord_snapshot_member *members;
    size_t member_count;
    struct coord_offset_topic *topics; /* committed offsets */
    size_t topic_count;
};
struct coord_snapshot_call {
    struct coord_call call;
    struct str group_id; /* null: all groups */
    bool with_members, with_offsets;
    /* out */
    struct coord_snapshot_group *groups;
    size_t group_count, group_cap;
};
void coord_snapshot(struct coord *coord, struct coord_snapshot_call *call);

/* ---- states of share groups: coordinators on __share_group_state ---- */

/* Records from first to last share a delivery state and count. */
struct coord_state_batch {
    int64_t first, last;
    int8_t state; /* 0 available, 2 acknowledged, 4 archived */
    int16_t count;
};

/* One partition's state of one share group. Codes: OX_FENCED_STATE_EPOCH,
 * OX_FENCED_LEADER_EPOCH, OX_INVALID_REQUEST (also: written before it was
 * initialized). What has no state reads as start offset -1 without batches. */
enum coord_state_op {
    COORD_STATE_INITIALIZE, /* state_epoch, start_offset */
    COORD_STATE_READ,       /* leader_epoch: fences leaders before it */
    COORD_STATE_WRITE,      /* all; start_offset -1: unchanged; only what has changed */
    COORD_STATE_DELETE,
    COORD_STATE_SUMMARY, /* as read, without batches */
};
struct coord_state_call {
    struct coord_call call;
    enum coord_state_op op;
    /* A peer asks: the partition must be there, only what was initialized can be
     * read, leaders before the last are fenced, batches may come in any order. */
    bool strict;
    struct str group_id;
    struct uuid topic_id;
    int32_t partition;
    int32_t state_epoch, leader_epoch; /* in; out of read and summary; -1: any */
    int64_t start_offset;              /* in and out, -1: none */
    int32_t complete_count;            /* of records beyond the start that are done; -1 */
    struct coord_state_batch *batches; /* ascending; in: write, out: read */
    size_t batch_count;
};
void coord_state(struct coord *coord, struct coord_state_call *call);

/* ---- transactions: coordinators on __transaction_state ---- */

/* A marker that ends a producer's transaction in one partition. */
struct coord_marker {
    struct str topic; /* borrowed until done */
    int32_t partition;
    int64_t producer_id;
    int16_t producer_epoch;
    bool commit;
    int8_t txn_version; /* 2: the epoch was raised for the marker */
    int32_t coordinator_epoch;
    void (*done)(struct coord_marker *marker); /* on the loop that began it, once */
    ox_code code;                              /* out */
};

struct coord_txn_part {
    struct str topic;
    int32_t partition;
    ox_code code; /* out */
};

/* InitProducerId with a transactional id. Codes besides the common ones:
 * OX_INVALID_REQUEST, OX_INVALID_TRANSACTION_TIMEOUT, OX_PRODUCER_FENCED,
 * OX_CONCURRENT_TRANSACTIONS (come back: the transaction before is being ended). */
struct coord_txn_init_call {
    struct coord_call call;
    struct str transactional_id;
    int32_t timeout_ms;
    int64_t producer_id;    /* in: of a producer that goes on, -1; out: -1 on failure */
    int16_t producer_epoch; /* in and out, likewise */
    /* inside */
    int64_t fresh_id;
};
void coord_txn_init(struct coord *coord, struct coord_txn_init_call *call);

/* AddPartitionsToTxn, AddOffsetsToTxn, and what Produce and TxnOffsetCommit ask.
 * Fails for all: OX_INVALID_PRODUCER_ID_MAPPING, OX_PRODUCER_FENCED,
 * OX_CONCURRENT_TRANSACTIONS, OX_INVALID_REQUEST. verify_only: adds nothing,
 * parts that are not in the transaction have OX_TRANSACTION_ABORTABLE. While the
 * transaction before is being ended, adding waits a moment. */
struct coord_txn_add_call {
    struct coord_call call;
    struct str transactional_id;
    int64_t producer_id;
    int16_t producer_epoch;
    bool verify_only;
    int8_t txn_version; /* of the client: 2 if its epoch rises with each end */
    struct coord_txn_part *parts;
    size_t part_count;
    /* inside */
    struct list link;
    uint64_t until_ms;
};
void coord_txn_add(struct coord *coord, struct coord_txn_add_call *call);

/* EndTxn: answered when the decision is in the log; markers follow. */
struct coord_txn_end_call {
    struct coord_call call;
    struct str transactional_id;
    int64_t producer_id;    /* in; out: to go on with */
    int16_t producer_epoch; /* in and out, likewise */
    bool commit;
    int8_t txn_version;
    /* inside */
    int64_t fresh_id;
};
void coord_txn_end(struct coord *coord, struct coord_txn_end_call *call);

/* DescribeTransactions, one id: OX_TRANSACTIONAL_ID_NOT_FOUND, OX_INVALID_REQUEST. */
struct coord_txn_describe_call {
    struct coord_call call;
    struct str transactional_id;
    /* out */
    const char *state; /* "Ongoing", ...: as on Kafka's wire */
    int32_t timeout_ms;
    int64_t start_ms, update_ms; /* start -1: none */
    int64_t producer_id;
    int16_t producer_epoch;
    struct coord_txn_part *parts; /* topics together */
    size_t part_count;
};
void coord_txn_describe(struct coord *coord, struct coord_txn_describe_call *call);

/* ListTransactions of this node; each filter is off when it has no values.
 * OX_INVALID_REGULAR_EXPRESSION, and OX_COORDINATOR_LOAD_IN_PROGRESS if some
 * partition is loading. */
struct coord_listed_txn {
    struct str transactional_id;
    int64_t producer_id, start_ms, update_ms;
    int16_t producer_epoch;
    int32_t timeout_ms, partition;
    uint32_t part_count;
    const char *state;
};
struct coord_txn_list_call {
    struct coord_call call;
    const struct str *states;
    size_t state_count;
    const int64_t *producer_ids;
    size_t producer_id_count;
    int64_t duration_ms; /* open for longer; -1: any */
    struct str pattern;  /* of the transactional id; null or "": any */
    /* out */
    struct coord_listed_txn *txns;
    size_t txn_count, txn_cap;
    /* inside */
    void *regex;
};
void coord_txn_list(struct coord *coord, struct coord_txn_list_call *call);
/* Is it the name of a state? */
bool coord_txn_state_known(struct str name);

/* ---- patterns of names (topic_regex.c): RE2's syntax, as far as it needs no back
 * tracking. new gives NULL and a reason when it is not valid; the whole name is
 * matched ---- */
struct coord_pattern;
struct coord_pattern *coord_pattern_new(struct str pattern, const char **reason);
bool coord_pattern_matches(const struct coord_pattern *pattern, struct str name);
void coord_pattern_free(struct coord_pattern *pattern);

/* Answer everything parked with OX_COORDINATOR_NOT_AVAILABLE, refuse new calls. */
struct coord_stop_call {
    struct coord_call call;
};
void coord_stop(struct coord *coord, struct coord_stop_call *call);

#endif
