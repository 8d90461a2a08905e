/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside coord/: share groups (KIP-932), whose members share partitions instead
 * of owning them. The group as a value (share_group.c), its records
 * (share_records.c), heartbeats (share_heartbeat.c), start offsets
 * (share_offsets.c), who reads what (share_assign.c). */
#ifndef COORD_SHARE_GROUP_H
#define COORD_SHARE_GROUP_H

#include "coord/consumer_int.h"

struct share_member {
    struct group *group;
    struct str id;
    struct arena arena; /* of what the client last said */
    struct str rack_id, client_id, client_host; /* rack_id nullable */
    struct str *topics; /* sorted, no repetitions */
    size_t topic_count;
    bool subscribed; /* its record was seen */
    int32_t epoch, previous_epoch;
    struct tpset assigned, target; /* partition -1: nothing of the topic any more */
    struct coord_timer session;
};

struct share_group {
    int32_t epoch, assignment_epoch;
    int64_t assignment_ms;      /* when the target was computed; 0: not known */
    int64_t metadata_hash;      /* of the topics subscribed to; 0 none */
    uint64_t topics_generation; /* metadata_hash was computed for it */
    struct map members;         /* id -> struct share_member */
    uint32_t table_peak;        /* entries of Kafka's table of members: their order */
    /* Partitions by their state at the share coordinator: asked for, there. */
    struct tpset initializing, initialized;
    struct tpset deleting; /* topics, as partition -1 */
    /* Of initializing, what was added to topics that the group knew: it is read from its first
     * record, else the group would miss what comes before it has found it. */
    struct tpset grown;
    bool more_initialized; /* since a heartbeat looked whether all of it is assigned */
    bool asking;           /* somebody waits for the share coordinator */
    bool forgetting;       /* the group is deleted, and the share coordinator asked for it */
    uint32_t altering;     /* administrators who wait for it */
    uint32_t deletions;    /* of states: what was asked before one may be gone when it is answered */
    struct group *group;
    struct coord_timer again; /* it was not to be had */
};

/* A record's value; which fields count depends on its type. */
struct share_value {
    struct str id; /* of the key: member id; null for the group itself */
    int32_t epoch, previous_epoch;
    int64_t metadata_hash, assignment_ms;
    struct str rack_id, client_id, client_host;
    struct str *topics;
    size_t topic_count;
    struct tpset partitions;                       /* assigned, target */
    struct tpset initializing, initialized, deleting;
};

/* ---- share_group.c ---- */

struct share_group *share_group_get(struct group *group); /* makes it one */
void share_group_free(struct group *group);
/* What a record, or its tombstone, does to the group. Takes the sets in value. */
void share_group_set(struct group *group, int16_t type, struct share_value *value);
void share_group_unset(struct group *group, int16_t type, struct str id);
struct share_member *share_member_find(const struct group *group, struct str id);
const char *share_group_state(const struct group *group);
void share_group_check(const struct group *group);
/* Notes which of the partitions, that are to be initialized, are of topics that have others:
 * initialized, or (also) about to be. */
void share_note_grown(struct share_group *share, const struct tpset *fresh, bool also);
/* At load: sessions begin; what does not fit together is dropped. */
void share_group_resume(struct group *group);

/* ---- share_heartbeat.c ---- */

void share_restart_session(struct share_member *member);

/* ---- share_assign.c ---- */

/* Every partition gets a member, and every member a partition, as far as their
 * subscriptions allow; what a member had stays where that is even. Topics by
 * rising id: all that somebody reads. alike: all members name the same topics.
 * Members whose hashes meet keep the order given; target is out.
 * Partitions not in `usable` are left out. */
void assign_shares(const struct assign_topic *topics, uint32_t topic_count,
    const struct tpset *usable, struct assign_member *members, uint32_t member_count, bool alike);

/* ---- share_offsets.c ---- */

/* Ask the share coordinator for the state of what is initializing. */
void share_initialize(struct group *group);
/* A group that is deleted: its state goes first. True: there is none any more; else
 * group_start_delete() comes again. */
bool share_forget_state(struct group *group);

/* ---- share_records.c: keys 10 to 15 ---- */

enum {
    KEY_SHARE_MEMBER = 10,
    KEY_SHARE_EPOCH = 11,
    KEY_SHARE_TARGET_EPOCH = 12,
    KEY_SHARE_TARGET = 13,
    KEY_SHARE_CURRENT = 14,
    KEY_SHARE_STATE = 15,
};

/* Each adds one record to the write and applies it at once. */
void put_share_member(struct write *write, struct str member_id,
    const struct share_value *said);
void put_share_epoch(struct write *write, int32_t epoch, int64_t metadata_hash);
/* made_ms: when the target was computed; 0: nobody waits for the next one. */
void put_share_target_epoch(struct write *write, int32_t epoch, int64_t made_ms);
void put_share_target(struct write *write, struct str member_id, const struct tpset *target);
void put_share_current(struct write *write, struct str member_id, int32_t epoch,
    int32_t previous_epoch, const struct tpset *assigned);
void put_share_state(struct write *write, const struct tpset *initializing,
    const struct tpset *initialized, const struct tpset *deleting);
/* A tombstone; member_id null for the keys of the group itself. */
void put_share_gone(struct write *write, int16_t key, struct str member_id);
/* All tombstones of a group without members. */
void put_share_group_gone(struct write *write);

/* Apply one; false if it is not understood. */
bool share_apply(struct shard *shard, int16_t type, struct str key, struct str value);

#endif
