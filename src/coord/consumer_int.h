/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside coord/: consumer groups of the new protocol (KIP-848). Sets of
 * partitions (tpset.c), the group as a value and its records (consumer_group.c,
 * consumer_records.c), heartbeats (consumer_heartbeat.c), assignors (assign.c),
 * subscriptions by pattern (topic_regex.c). */
#ifndef COORD_CONSUMER_INT_H
#define COORD_CONSUMER_INT_H

#include "coord/coord_int.h"

/* ---- tpset.c: sets of partitions, by rising topic id and number ---- */

struct tp {
    struct uuid topic;
    int32_t partition;
};

struct tpset {
    struct tp *at; /* heap */
    uint32_t count, cap;
};

int tp_cmp(const struct tp *a, const struct tp *b);
void tpset_fini(struct tpset *set);
void tpset_add(struct tpset *set, const struct uuid *topic, int32_t partition); /* unsorted */
void tpset_sort(struct tpset *set); /* after the last add; drops repetitions */
void tpset_copy(struct tpset *to, const struct tpset *from); /* replaces what was there */
void tpset_take(struct tpset *to, struct tpset *from); /* the same; from is empty then */
bool tpset_equal(const struct tpset *a, const struct tpset *b);
bool tpset_has(const struct tpset *set, const struct tp *tp);
int64_t tpset_find(const struct tpset *set, const struct tp *tp); /* its place, or -1 */
uint32_t tpset_run(const struct tpset *set, uint32_t at); /* the end of what has its topic */
bool tpset_meet(const struct tpset *a, const struct tpset *b); /* whether they share one */
bool tpset_within(const struct tpset *a, const struct tpset *b); /* a is a subset of b */
/* out is initialised (empty) by these. */
void tpset_and(struct tpset *out, const struct tpset *a, const struct tpset *b);
void tpset_minus(struct tpset *out, const struct tpset *a, const struct tpset *b);
void tpset_topics(struct tpset *out, const struct tpset *of); /* its topics, as partition -1 */
/* In place: to gets what more has, from loses what less has. */
void tpset_unite(struct tpset *to, const struct tpset *more);
void tpset_drop(struct tpset *from, const struct tpset *less);
/* Epochs that stand beside a set, in its order: that of tp, -1 if it is not in the set. */
int32_t tpset_epoch(const struct tpset *set, const int32_t *epochs, const struct tp *tp);

/* Who holds what: a map from struct tp to a member, one holder each. Letting go leaves
 * alone what another holds by now. */
void *tp_holder(const struct map *held, const struct tp *tp); /* NULL: nobody */
void tpset_hold(const struct tpset *set, struct map *held, void *holder);
void tpset_let_go(const struct tpset *set, struct map *held, const void *holder);

/* ---- consumer_group.c ---- */

enum consumer_state {
    CONSUMER_STABLE = 0,
    CONSUMER_UNREVOKED = 1,  /* must give partitions up before its epoch moves */
    CONSUMER_UNRELEASED = 2, /* others still hold some of its partitions */
};

enum { EPOCH_LEAVE = -1, EPOCH_LEAVE_STATIC = -2 };

/* A subscription: what the client last said. */
struct consumer_subscription {
    struct str instance_id, rack_id, client_id, client_host; /* the first two nullable */
    struct str *topics; /* sorted, no repetitions */
    size_t topic_count;
    struct str regex, assignor; /* null: none */
    int32_t rebalance_timeout_ms;
    /* A member that still speaks the classic protocol: what it last joined with. */
    bool classic;
    int32_t session_timeout_ms;
    struct member_protocol *protocols;
    size_t protocol_count;
};

struct consumer_member {
    struct group *group;
    struct str id;
    struct arena arena; /* of the subscription */
    struct consumer_subscription subscription;
    bool subscribed; /* its subscription record was seen */
    int32_t epoch, previous_epoch;
    enum consumer_state state;
    struct tpset assigned, revoking, target;
    int32_t *assigned_epochs, *revoking_epochs; /* when it got each; heap */
    struct coord_timer session;
    struct coord_timer rebalance; /* must give up; classic: must join again, or sync */
};

/* What a pattern matched. */
struct consumer_regex {
    struct arena arena;
    struct str *topics; /* sorted */
    size_t topic_count;
    int64_t version, time_ms;
};

struct consumer_group {
    int32_t epoch, assignment_epoch;
    int64_t assignment_ms; /* when the target was computed; 0: not known */
    int64_t metadata_hash; /* of the topics subscribed to; 0 none */
    struct map members;    /* id -> struct consumer_member */
    struct map instances;  /* instance id -> struct consumer_member */
    struct map held;       /* tp -> struct consumer_member: assigned or revoking */
    struct map regexes;    /* pattern -> struct consumer_regex */
    uint64_t topics_generation; /* metadata_hash was computed for it */
    uint64_t regex_generation; /* of the topics when patterns were last resolved, */
    uint64_t regex_ms;         /* and when that was, monotonic */
    bool regex_due;        /* a new pattern came, or one went */
    bool regex_again;      /* all must be resolved */
};

/* A member's current assignment, as one record has it. */
struct consumer_current {
    int32_t epoch, previous_epoch;
    enum consumer_state state;
    struct tpset assigned, revoking;
    int32_t *assigned_epochs, *revoking_epochs; /* heap */
};

/* A record's value; which fields count depends on its type. */
struct consumer_value {
    struct str id; /* of the key: member id or pattern; null for the group itself */
    int32_t epoch;
    int64_t metadata_hash;
    struct consumer_subscription subscription;
    struct consumer_current current; /* a target is in current.assigned */
    struct str *topics;
    size_t topic_count;
    int64_t version, time_ms;
};

struct consumer_group *consumer_group_get(struct group *group); /* makes it one */
/* What a record, or its tombstone, does to the group. Takes the sets in value. */
void consumer_group_set(struct group *group, int16_t type, struct consumer_value *value);
void consumer_group_unset(struct group *group, int16_t type, struct str id);
void consumer_restart_session(struct consumer_member *member); /* consumer_heartbeat.c */
void consumer_group_free(struct group *group);
void consumer_group_check(const struct group *group);
const char *consumer_group_state(const struct group *group);
struct consumer_member *consumer_member_find(const struct group *group, struct str id);
/* Who has the partition, assigned or still to be revoked; NULL: nobody. */
struct consumer_member *consumer_holder(const struct consumer_group *consumer,
    const struct tp *tp);
/* The epoch at which the member got the partition that it has or is giving up; -1: it
 * has it not. */
int32_t consumer_since(const struct consumer_member *member, const struct tp *tp);
/* Whether some member reads the topic. */
bool consumer_group_subscribed(const struct group *group, struct str topic);
/* At load: members without a subscription are remains; sessions begin. */
void consumer_group_resume(struct group *group);
/* The name of the assignor that most members want. */
enum coord_assignor consumer_group_assignor(const struct group *group);

/* ---- consumer_heartbeat.c, for migrate.c and share groups ---- */

/* As an answer has them; with names, if the topics are there. */
void consumer_list_partitions(const struct group *group, const struct tpset *set,
    struct arena *arena, bool names, struct coord_topic_partitions **out, size_t *count);

/* The sorted names without repetitions, in the arena. */
void subscription_set_topics(struct consumer_subscription *to, const struct str *topics,
    size_t count, struct arena *arena);
bool subscription_same(const struct consumer_subscription *a,
    const struct consumer_subscription *b);
/* Everything but client, host and times: what assignments depend on. */
bool subscription_wants_same(const struct consumer_subscription *a,
    const struct consumer_subscription *b);
void consumer_take_over(struct write *write, struct consumer_member *gone, struct str member_id);
/* The epoch as it is, with the hash of what is subscribed to now. */
void consumer_put_epoch(struct group *group, struct write *write, int32_t epoch);
void consumer_move_epoch(struct group *group, struct write *write, bool bump);
/* Members have been removed: the group becomes classic again, or its epoch moves. */
void consumer_left(struct group *group, struct write *write);
void consumer_compute_target(struct group *group, struct write *write);
void consumer_reconcile(struct consumer_member *member, struct write *write, const struct tpset *owned,
    bool changed);
/* Its records go; the caller moves the epoch. */
void consumer_remove_member(struct write *write, const struct consumer_member *member);
void consumer_fence(struct consumer_member *member, const char *why);

/* ---- migrate.c: members of both protocols in one group ---- */

/* A classic group with members goes over to the consumer protocol; the records
 * are added to the write. False: it cannot, nothing was done. */
bool migrate_possible(const struct group *group);
void migrate_upgrade(struct group *group, struct write *write);
/* After members left: if only classic ones remain, the group is classic again
 * and rebalances, in this write, which is submitted by the caller. */
bool migrate_downgrade(struct group *group, struct write *write);
void migrate_join(struct group *group, struct coord_join_call *call);
void migrate_sync(struct group *group, struct coord_sync_call *call);
ox_code migrate_heartbeat(struct group *group, const struct coord_heartbeat_call *call);
/* Sets each member's code; answers later if anything was written. */
void migrate_leave(struct group *group, struct coord_leave_call *call);

/* ---- consumer_protocol.c ---- */

/* A partition by topic name. */
struct named_tp {
    struct str topic;
    int32_t partition;
};
struct consumer_blob {
    int16_t version;
    struct str *topics; /* subscription */
    size_t topic_count;
    struct named_tp *owned; /* from version 1 on; or what is assigned */
    size_t owned_count;
    struct str rack_id; /* null: none */
    bool user_data;     /* an assignment: an assignor of the client's has put something by */
};
bool consumer_subscription_read(struct str blob, struct arena *arena, struct consumer_blob *out);
bool consumer_assigned_read(struct str blob, struct arena *arena, struct consumer_blob *out);
/* Partitions of one topic must stand together. */
struct str consumer_assignment_write(struct arena *arena, int16_t version,
    const struct named_tp *partitions, size_t count);

/* ---- consumer_records.c: keys 3 to 8 and 16 ---- */

enum {
    KEY_CONSUMER_EPOCH = 3,
    KEY_CONSUMER_TOPICS = 4, /* no longer written */
    KEY_CONSUMER_MEMBER = 5,
    KEY_CONSUMER_TARGET_EPOCH = 6,
    KEY_CONSUMER_TARGET = 7,
    KEY_CONSUMER_CURRENT = 8,
    KEY_CONSUMER_REGEX = 16,
};

/* Each adds one record to the write and applies it at once. */
void put_epoch(struct write *write, int32_t epoch, int64_t metadata_hash);
void put_member(struct write *write, struct str member_id,
    const struct consumer_subscription *subscription);
/* made_ms: when the target was computed; 0: nobody waits for the next one. */
void put_target_epoch(struct write *write, int32_t epoch, int64_t made_ms);
void put_target(struct write *write, struct str member_id, const struct tpset *target);
void put_current(struct write *write, struct str member_id, int32_t epoch, int32_t previous_epoch,
    enum consumer_state state, const struct tpset *assigned, const struct tpset *revoking);
void put_regex(struct write *write, struct str regex, const struct str *topics, size_t count,
    int64_t version, int64_t time_ms);
/* A tombstone; member_id null for the keys of the group itself. */
void put_gone(struct write *write, int16_t key, struct str member_id);
/* All tombstones of a group without members, in Kafka's order. */
void put_group_gone(struct write *write, const struct group *group);

/* Apply one; false if it is not understood. */
bool consumer_apply(struct shard *shard, int16_t type, struct str key, struct str value);

/* ---- assign.c ---- */

struct assign_topic {
    struct uuid id;
    int32_t partition_count;
};

struct assign_member {
    struct str id, instance_id;
    const struct tpset *before; /* the last target: what should stay */
    const uint32_t *topics;     /* rising indexes into the topics */
    uint32_t topic_count;
    struct tpset target; /* out */
};

/* Whether enough time has passed since the last assignment of a group; 0: none known. */
bool assignment_due(const struct shard *shard, int64_t last_ms, int32_t interval_ms);
const char *assignor_name(enum coord_assignor assignor);
/* Topics by rising id. Deterministic: the order of members does not matter. */
void assign_uniform(const struct assign_topic *topics, uint32_t topic_count,
    struct assign_member *members, uint32_t member_count);
void assign_range(const struct assign_topic *topics, uint32_t topic_count,
    struct assign_member *members, uint32_t member_count);

/* ---- topic_table.c: the topics of a group, by rising id ---- */

struct topic_table {
    const struct coord_host *host;
    struct map seen; /* names */
    struct assign_topic *topics;
    uint32_t count, cap;
    uint64_t hash; /* of ids, names and partition counts, in any order */
};

void topic_table_init(struct topic_table *table, const struct coord_host *host);
void topic_table_fini(struct topic_table *table);
/* Names of topics that there are not are passed over. The names are borrowed. */
void topic_table_add(struct topic_table *table, const struct str *names, size_t count);
void topic_table_sort(struct topic_table *table); /* after the last add */
/* Rising indexes into the topics, without repetitions, in the arena. */
void topic_table_indexes(const struct topic_table *table, const struct str *names, size_t count,
    struct arena *arena, const uint32_t **out, uint32_t *out_count);

/* ---- topic_regex.c ---- */

struct topic_regex;
/* NULL if the pattern is not well-formed or not supported; reason says why. */
struct topic_regex *topic_regex_new(struct str pattern, const char **reason);
bool topic_regex_match(const struct topic_regex *regex, struct str topic); /* the whole name */
void topic_regex_free(struct topic_regex *regex);

#endif
