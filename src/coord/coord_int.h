/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside coord/: shards and their writes (runtime.c), timers (timers.c), groups
 * (group.c) and the calls on them (rebalance.c, offsets.c, admin.c), record
 * formats (records.c). Everything here runs on the shard's home loop. */
#ifndef COORD_COORD_INT_H
#define COORD_COORD_INT_H

#include <stdatomic.h>

#include "base/check.h"
#include "base/map.h"
#include "coord/coord.h"
#include "coord/coord_host.h"

struct shard;
struct group;
struct consumer_group;
struct share_group;
struct streams_group;

/* ---- timers.c: one heap per shard, virtual or real milliseconds ---- */

struct coord_timer {
    uint64_t at_ms;
    uint32_t slot; /* in the heap, 1-based; 0: not running */
    void (*fn)(struct shard *shard, struct coord_timer *timer);
};

struct coord_timers {
    struct coord_timer **heap; /* 1-based: heap[1] is due first */
    uint32_t count, cap;
};

void timers_fini(struct coord_timers *timers);
/* (Re)start; an equal due time runs in no particular order. */
void timers_start(struct coord_timers *timers, struct coord_timer *timer, uint64_t at_ms);
void timers_stop(struct coord_timers *timers, struct coord_timer *timer);
uint64_t timers_next(const struct coord_timers *timers); /* UINT64_MAX: none */
/* Take out one that is due, or NULL. */
struct coord_timer *timers_pop(struct coord_timers *timers, uint64_t now_ms);

/* ---- runtime.c ---- */

enum shard_state {
    SHARD_OFF,     /* another node leads */
    SHARD_LOADING, /* replaying the log */
    SHARD_ACTIVE,
    SHARD_STOPPED, /* the server ends */
};

/* Records on their way to the log, and who waits for them. */
struct write {
    struct list link; /* of the shard's queue or of a batch */
    struct arena arena;
    struct group *group; /* counted in group->writes */
    struct coord_record *records;
    size_t record_count, record_cap, bytes;
    bool replay;   /* the records take effect in memory when committed */
    bool ahead;    /* they took effect already: if they fail, load again */
    bool finished; /* finish was called */
    struct coord_stamp stamp; /* not plain: it is a batch of its own */
    uint64_t at_ms;
    int64_t at; /* log offset of the first record, once committed */
    /* Exactly once: committed, failed (then nothing was applied) or timed out
     * (then it may still be applied later). */
    void (*finish)(struct shard *shard, struct write *write, ox_code code);
    /* of whoever submits */
    struct coord_call *call;
    int32_t generation;
    struct str member_id; /* in arena */
    void *extra;
};

struct batch;

struct shard {
    struct coord *coord;
    int32_t partition, epoch;
    enum shard_state state;
    uint32_t unloads;         /* how often all it has was forgotten */
    struct coord_config config;
    struct map groups; /* id -> struct group */
    struct coord_timers timers;
    uint64_t alarm_ms;        /* what the host was asked for */
    struct list queue;        /* writes not yet in a batch */
    size_t queue_bytes;
    struct list refused;      /* writes that are too large */
    struct batch *flying;     /* at most one batch is out */
    ox_code append_code;      /* of the last one that came back */
    struct list orphans;      /* batches out that an unload gave up */
    struct list spare;        /* writes to use again */
    uint32_t spare_count;
    bool lingers;             /* the queue waits for linger_timer */
    bool ahead;               /* of the log, which refused something: about to load again */
    struct coord_timer linger_timer, write_timer, refuse_timer, sweep_timer, reload_timer;
    uint64_t skipped;         /* records not understood at load */
    struct coord_call *stop;  /* waits for orphans and markers */
    struct map pending_txns;  /* producer id -> struct txn_offsets, offsets.c */
    struct map txns;          /* transactional id -> struct txn, txn.c */
    struct map states;        /* group:topic:partition -> struct share_state, share_state.c */
    uint32_t outside;         /* markers and producer ids that the host still holds */
    uint64_t expire_ms;       /* next search for expired transactional ids */
};

/* What a shard is a coordinator of. */
struct coord_kind {
    const char *topic; /* whose partitions the shards are */
    void (*replay)(struct shard *shard, const struct coord_replayed *record);
    void (*replay_marker)(struct shard *shard, int64_t producer_id, bool committed);
    void (*resume)(struct shard *shard);                  /* it was loaded */
    void (*fail_parked)(struct shard *shard, ox_code code);
    void (*forget)(struct shard *shard);                  /* all state */
    void (*sweep)(struct shard *shard);                   /* from time to time */
    int64_t (*sweep_ms)(const struct shard *shard);
};
extern const struct coord_kind txn_kind;   /* txn.c */
extern const struct coord_kind share_kind; /* share_state.c */

struct coord {
    const struct coord_kind *kind;
    struct coord *states; /* of share groups; groups only */
    const struct coord_host *host;
    struct coord_config config;
    _Atomic int32_t partition_count;
    struct shard *shards; /* set before partition_count, then never moved */
};

static inline uint64_t
shard_now(const struct shard *shard)
{
    return shard->coord->host->mono_ms(shard->coord->host->self);
}

static inline int64_t
shard_wall(const struct shard *shard)
{
    return shard->coord->host->wall_ms(shard->coord->host->self);
}

/* Start a call on the shard of a group, to run on its home loop. */
void call_start(struct coord *coord, struct coord_call *call, struct str group_id,
    void (*run)(struct coord_call *call));
/* The same on a given shard, -1: none. */
void call_start_at(struct coord *coord, struct coord_call *call, int32_t partition,
    void (*run)(struct coord_call *call));
/* Start a call that visits every shard in turn. */
void call_start_all(struct coord *coord, struct coord_call *call,
    void (*run)(struct coord_call *call));
/* Go on to the next shard; answers with call->code after the last. */
void call_next(struct coord_call *call);
/* Answer. */
void call_finish(struct coord_call *call, ox_code code);
/* The shard the call is on, NULL if it went nowhere. */
struct shard *call_shard(struct coord_call *call);
/* OX_OK if the shard serves. */
ox_code shard_ready(const struct shard *shard);

void shard_timer(struct shard *shard, struct coord_timer *timer, int64_t delay_ms,
    void (*fn)(struct shard *shard, struct coord_timer *timer));
void shard_timer_stop(struct shard *shard, struct coord_timer *timer);

/* An empty write for a group; add records, then submit or drop it. */
struct write *write_new(struct shard *shard, struct group *group);
/* Key and value are in write->arena already; value null: tombstone. */
void write_add(struct write *write, struct str key, struct str value);
void write_drop(struct shard *shard, struct write *write);
/* finish is called later, never from within. */
void write_submit(struct shard *shard, struct write *write);
/* The answer to a call is filled in: finish, once the records, and others that the
 * group has on their way and that the answer may tell of, are committed. */
void write_answer(struct write *write, struct coord_call *call,
    void (*finish)(struct shard *shard, struct write *write, ox_code code));
/* What the shard knows and what its log says may differ: load it again. */
void shard_reload(struct shard *shard);
/* The host gave back a marker or an id. */
void shard_came_home(struct shard *shard);
/* What a client is told when an append failed so. */
ox_code write_error(ox_code code);

/* ---- group.c ---- */

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };

struct member_protocol {
    struct str name, metadata;
};

struct member {
    struct group *group;
    struct str id, instance_id; /* instance_id null: dynamic */
    struct str client_id, client_host;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    struct member_protocol *protocols; /* one allocation with the bytes */
    size_t protocol_count;
    struct str assignment;
    /* Since the group came back from the consumer protocol, until it is given another: what it
     * really has, while the assignment is what it was to have. Null: the same. Not logged. */
    struct str held;
    struct str offered; /* by the leader, on its way to the log; null: none */
    struct coord_join_call *join; /* parked, or NULL */
    struct coord_sync_call *sync; /* parked, or NULL */
    struct coord_timer session;
    bool is_new;       /* its first join has not been answered yet */
    bool sync_pending; /* has not sent SyncGroup in this generation */
};

/* Told to come back with the member id it was given. */
struct pending_member {
    struct group *group;
    struct str id;
    struct coord_timer timer;
};

struct committed {
    int64_t offset, commit_ms, expire_ms; /* expire_ms -1: by retention */
    int64_t log_offset;                   /* of its record; -1: not known */
    struct str metadata;                  /* heap */
    int32_t partition, leader_epoch;
};

struct group_topic {
    struct str name;
    struct committed *partitions; /* ascending */
    uint32_t count, cap;
};

struct group {
    struct shard *shard;
    struct str id;
    struct map topics; /* name -> struct group_topic: committed offsets */
    uint32_t writes;   /* on their way to the log */
    uint32_t txns;     /* pending offsets of transactions */
    struct map held;   /* topic -> struct held_topic: where those are, offsets.c */
    bool logged;       /* the log holds a record of the group itself */
    bool lingers;      /* it had offsets, or who would join: it stays until the next sweep */
    struct coord_delete_call *deleting; /* waits for writes to be 0 */

    enum group_state state, previous;
    int64_t state_since_ms; /* wall clock; -1 not known */
    int32_t generation;
    struct str protocol_type; /* null: simple group, only offsets */
    struct str protocol;      /* null until the first generation */
    struct member *leader;
    struct map members;   /* id -> struct member, in order of joining */
    struct map instances; /* instance id -> struct member */
    struct map pending;   /* id -> struct pending_member */
    struct map votes;     /* protocol name -> count of members that support it */
    uint32_t joins_parked, syncs_pending;
    bool new_member_added;
    bool storing; /* this generation's assignment is on its way to the log */
    int32_t delay_ms, delay_left_ms; /* of the initial rebalance */
    struct coord_timer join_timer, sync_timer;
    struct map *subscribed; /* topics; NULL: not computed */
    bool subscribed_unknown;

    struct consumer_group *consumer; /* not NULL: of the new protocol; state is EMPTY or DEAD */
    struct share_group *share;       /* not NULL: a share group; state is EMPTY or DEAD */
    struct streams_group *streams;   /* not NULL: a streams group; state is EMPTY or DEAD */
};

/* Of the first protocol, or with offsets only. */
static inline bool
group_is_classic(const struct group *group)
{
    return group->consumer == NULL && group->share == NULL && group->streams == NULL;
}

const char *group_state_name(const struct group *group);
struct group *group_find(struct shard *shard, struct str id);
/* OX_LIMIT_EXCEEDED when the shard is full. */
ox_code group_get(struct shard *shard, struct str id, struct group **out);
void group_free(struct group *group); /* parked calls were answered before */
/* Free a group that nothing remembers: no member, no offset, no record, no write. */
void group_maybe_drop(struct group *group);
void group_check(const struct group *group);
void group_transition(struct group *group, enum group_state to);
/* At load, of a modern group: epochs that no record can have are brought into range, the
 * assignment's to the group's at most. */
void group_epochs_mend(int32_t *epoch, int32_t *assignment_epoch);
/* Names and their bytes, in the arena. */
struct str *names_dup(const struct str *names, size_t count, struct arena *arena);

struct member *group_member(const struct group *group, struct str id);
struct member *group_instance(const struct group *group, struct str instance_id);
struct member *group_add_member(struct group *group, struct str id, struct str instance_id,
    struct str client_id, struct str client_host);
void group_remove_member(struct member *member);
/* Give the member another id; its instance id stays. */
void group_rename_member(struct member *member, struct str id);
void member_set_protocols(struct member *member, const struct coord_join_protocol *protocols,
    size_t count);
void member_set_assignment(struct member *member, struct str assignment);
struct str member_metadata(const struct member *member, struct str protocol);
bool member_matches(const struct member *member, const struct coord_join_protocol *protocols,
    size_t count);
struct pending_member *group_add_pending(struct group *group, struct str id);
void group_remove_pending(struct pending_member *pending);
/* Answer or forget the parked join; keeps the count. Returns the call or NULL. */
struct coord_join_call *member_take_join(struct member *member);
void member_park_join(struct member *member, struct coord_join_call *call);

bool group_supports(const struct group *group, struct str protocol_type,
    const struct coord_join_protocol *protocols, size_t count);
struct str group_select_protocol(const struct group *group);
int32_t group_rebalance_timeout(const struct group *group);
void group_set_protocol(struct group *group, struct str protocol);
void group_set_protocol_type(struct group *group, struct str protocol_type);
void group_forget_subscriptions(struct group *group);
bool group_subscribed(struct group *group, struct str topic);

struct committed *group_offset(const struct group *group, struct str topic, int32_t partition);
void group_set_offset(struct group *group, struct str topic, const struct committed *from);
void group_remove_offset(struct group *group, struct str topic, int32_t partition);

/* Copies on the heap that remember null. */
struct str heap_str(struct str s);
void heap_str_free(struct str *s);

/* No members of either protocol. */
bool group_is_empty(const struct group *group);

static inline uintptr_t
group_member_count(const struct group *group)
{
    return group->members.count;
}

/* What the group has set for itself, or else this. */
static inline int32_t
group_setting(const struct group *group, const char *name, int32_t value)
{
    const struct coord_host *host = group->shard->coord->host;
    host->group_setting(host->self, group->id, name, &value);
    return value;
}

/* An empty classic group goes, its offsets stay; what comes instead is next. Who was
 * given a member id there has to ask again. */
void group_leave_classic(struct group *group, struct write *write);

/* ---- rebalance.c ---- */

/* Members of a group that was loaded start their sessions; a group over its
 * limit rebalances. */
void group_resume(struct group *group);
/* Answer what is parked, with this code. */
void group_fail_parked(struct group *group, ox_code code);
void member_restart_session(struct member *member, int32_t timeout_ms);
/* Begin a rebalance of a group with members (or that just lost them). */
void group_rebalance(struct group *group, const char *reason);
/* A snapshot of the group; with the assignments that were offered, if there are. */
void group_add_record(struct write *write, const struct group *group);
/* A join of somebody with a member id. */
void group_join_known(struct group *group, struct coord_join_call *call);
struct str join_member_id(struct shard *shard, const struct coord_join_call *call);
void join_fail(struct coord_join_call *call, ox_code code, struct str member_id);
void sync_fail(struct coord_sync_call *call, ox_code code);
/* OX_FENCED_INSTANCE_ID, OX_UNKNOWN_MEMBER_ID or the member. */
ox_code group_validate(struct group *group, struct str member_id, struct str instance_id,
    struct member **out);

/* ---- offsets.c, admin.c ---- */

void offsets_sweep(struct shard *shard);
/* The group's last write ended: go on with what waited for it. */
void group_writes_done(struct group *group);
void group_start_delete(struct group *group);
void offsets_replay_txn(struct shard *shard, const struct coord_replayed *record);
void offsets_replay_marker(struct shard *shard, int64_t producer_id, bool committed);
void offsets_forget_txns(struct shard *shard);
/* What transactions have for the partition is gone. */
void offsets_forget_held(struct group *group, struct str topic, int32_t partition);
void offsets_forget_gone_topics(struct group *group);

/* ---- records.c ---- */

enum record_type {
    RECORD_OFFSET,
    RECORD_GROUP,
    RECORD_CONSUMER, /* consumer_records.c */
    RECORD_SHARE,    /* share_records.c */
    RECORD_STREAMS,  /* streams_records.c */
    RECORD_OTHER,
    RECORD_BAD,
};

struct record_key {
    enum record_type type;
    int16_t version;
    struct str group_id, topic;
    int32_t partition;
};

struct record_member {
    struct str id, instance_id, client_id, client_host, subscription, assignment;
    int32_t rebalance_timeout_ms, session_timeout_ms;
};

struct record_group {
    struct str protocol_type, protocol, leader; /* the last two nullable */
    int32_t generation;
    int64_t state_since_ms;
    int32_t member_count;
    struct record_member *members; /* in the arena */
};

struct str record_offset_key(struct arena *arena, struct str group, struct str topic,
    int32_t partition);
/* Version 3; version 1 when an expire time is given (>= 0). */
struct str record_offset_value(struct arena *arena, int64_t offset, int32_t leader_epoch,
    struct str metadata, int64_t commit_ms, int64_t expire_ms);
struct str record_group_key(struct arena *arena, struct str group);
/* Version 3. */
struct str record_group_value(struct arena *arena, const struct record_group *value);

void record_read_key(struct str key, struct record_key *out);
/* Strings borrow from the value. False: not well-formed or of an unknown version. */
bool record_read_offset(struct str value, struct committed *out);
bool record_read_group(struct str value, struct arena *arena, struct record_group *out);

/* Records of groups that are not classic. One is put into the write and applied
 * at once; id null: of the group itself, else of a member (or a pattern). */
typedef bool (*record_apply_fn)(struct shard *shard, int16_t type, struct str key,
    struct str value);
void record_put(struct write *write, int16_t type, struct str id, struct str value,
    record_apply_fn apply);
/* A value of version 0, in the write's arena. */
struct msg_type;
struct str record_encode(struct write *write, const struct msg_type *layout, const void *value);
/* What a key names; id NULL: the group only. */
bool record_read_ids(struct str key, struct str *group_id, struct str *id);
/* A tombstone, of a group that may not be there; while loading the group goes when
 * nothing is left of it. */
void record_unset(struct shard *shard, int16_t type, struct str group_id, struct str id,
    void (*unset)(struct group *group, int16_t type, struct str id));

/* Apply one record to the shard, at load or when a write was committed. */
void shard_apply(struct shard *shard, struct str key, struct str value, int64_t log_offset);

/* ---- consumer_protocol.c: the blobs of protocol type "consumer" ---- */

/* Calls add for each topic of a subscription; false if it is not well-formed. */
bool consumer_subscription_topics(struct str blob, void (*add)(void *arg, struct str topic),
    void *arg);
/* The partitions of an assignment, in the arena; false if it is not well-formed. */
bool consumer_assignment_read(struct str blob, struct arena *arena,
    struct coord_offset_topic **topics, size_t *topic_count);

#endif
