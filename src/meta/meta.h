/* SPDX-License-Identifier: Apache-2.0
 *
 * The cluster's truth: which topics, partitions, settings and brokers exist.
 *
 * It is a state machine on a replicated log. Somebody proposes a command
 * (meta_propose, any thread); the meta thread appends it to the raft log,
 * flushes it, applies it to the SQLite catalog in the transaction that carries
 * its raft index, publishes a new immutable view and then calls done. One node
 * is a quorum of one: the path is the same.
 *
 * Reading goes two ways. Code reads the view: parsed, complete, in memory, no
 * lock held. SQL reads the catalog through src/meta/catalog.h.
 *
 * The directory: meta.properties (Kafka's format: who this directory is),
 * raft.db (log, term, vote, snapshot; flushed before anything is promised),
 * catalog.db (what the log says, as tables; rebuilt from raft.db when lost). */
#ifndef META_META_H
#define META_META_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/err.h"
#include "base/list.h"
#include "base/param.h"
#include "base/str.h"

struct meta;
struct meta_view;

/* ---- Who a directory is -------------------------------------------------- */

enum { META_CLUSTER_ID_MAX = 63 };

struct meta_identity {
    char cluster_id[META_CLUSTER_ID_MAX + 1]; /* a base64 uuid, as Kafka's */
    int32_t node_id;
    struct uuid directory_id;
};

/* Read DIR/meta.properties.
 * Fails:  OX_FILE_NOT_FOUND when there is none, OX_DATA_CORRUPTED */
ox_code meta_identity_read(struct file_system *fs, const char *dir, struct meta_identity *out,
    struct ox_err *err);

/* Replace DIR/meta.properties, durably. */
ox_code meta_identity_write(struct file_system *fs, const char *dir,
    const struct meta_identity *identity, struct ox_err *err);

/* ---- Start and stop ------------------------------------------------------ */

/* A setting as the configuration file or command line gave it. */
struct meta_setting {
    const struct param *param; /* of scope PARAM_SCOPE_SERVER */
    const char *value;         /* canonical */
    const char *listener;      /* it is set for alone, in lower case; NULL: for all */
    bool fixed;                /* of the command line: reloading the file leaves it */
};

struct meta_config {
    const char *dir;        /* must exist */
    int32_t node_id;        /* -1: the directory's, or 1 in a new one */
    const char *cluster_id; /* of a new directory; NULL makes one. Else must match */
    const struct uuid *directory_id; /* of a new directory; NULL makes one */
    bool format;            /* a directory without data may be initialised */
    bool manual;            /* no thread: the caller calls meta_turn() (tests, simulator) */
    const struct meta_setting *settings; /* this node's static ones; copied */
    size_t setting_count;
    uint32_t snapshot_threshold; /* raft entries between snapshots; 0: 8192 */
    uint32_t snapshot_trailing;  /* entries kept behind one; 0: 16384 */
    uint32_t election_timeout_ms; /* 0: 500 */
};

/* Open DIR, initialising it if it is new and format is set. A directory with the
 * metadata of a single Kafka node, and none of ours, is taken over: its metadata
 * is read, what it says becomes ours, nothing of Kafka's is changed. On return the view
 * is published and, for a quorum of one, commands are accepted.
 * Fails:  OX_LOCK_HELD (another server has it),
 *         OX_IDENTITY_MISMATCH (other node or cluster, or an older copy of the
 *         raft log), OX_DATA_CORRUPTED (raft.db damaged or gone while data
 *         exists; nothing was changed), OX_FILE_NOT_FOUND (new, but not format),
 *         I/O failures */
ox_code meta_open(const struct meta_config *config, const struct env *env, struct meta **out,
    struct ox_err *err);

/* Answers what was proposed, checkpoints, stops the thread. Views that are
 * still held stay valid until put. NULL is allowed. */
void meta_close(struct meta *meta);

const struct meta_identity *meta_identity(const struct meta *meta);

/* The configuration file was read again: its settings, copied, take the place of
 * those it had, as far as they may change live. A view with them follows soon.
 * Any thread. */
void meta_reload(struct meta *meta, const struct meta_setting *settings, size_t count);

/* Manual mode: do what is pending; returns whether there was anything. */
bool meta_turn(struct meta *meta);

/* Non-OK once the meta thread had to stop (its disk failed): nothing can be
 * changed any more, the node should stop. Any thread. */
ox_code meta_health(const struct meta *meta, struct ox_err *err);

/* ---- Commands ------------------------------------------------------------ */

enum meta_command_kind {
    META_TOPIC_CREATE = 1,
    META_TOPIC_DELETE,
    META_PARTITIONS_CREATE,
    META_CONFIG_ALTER,
    META_COMMENT,
    META_BROKER_REGISTER,
    META_BROKER_CHANGE,
    META_PARTITION_CHANGE,
    META_PRODUCER_IDS,
    META_CLUSTER_INIT, /* the first entry of every log; written at format time */
    META_SECURITY,     /* users, access rules, quotas, tokens: all changes or none */
    META_TAKEN_OVER,   /* numbers that another system had reached (takeover.c) */
    META_TRUNCATE,     /* beginnings of logs are deleted: of all that are named, or none */
};

/* Number of each resource type on Kafka's wire; those above 63 are ours alone. */
enum meta_resource {
    META_RESOURCE_TOPIC = 2,
    META_RESOURCE_BROKER = 4, /* name: node id in decimal, "" for the cluster's default */
    META_RESOURCE_BROKER_LOGGER = 8, /* not kept here: base/diag.h */
    META_RESOURCE_CLIENT_METRICS = 16,
    META_RESOURCE_GROUP = 32,
    META_RESOURCE_FEATURE = 64, /* name: META_FEATURES */
};
#define META_FEATURES "features"

/* As on Kafka's wire. */
enum meta_config_op {
    META_CONFIG_SET,
    META_CONFIG_DELETE,
    META_CONFIG_APPEND,
    META_CONFIG_SUBTRACT,
};

struct meta_config_change {
    struct str name; /* either name of the setting */
    struct str value; /* canonical or plain Kafka spelling; null for DELETE */
    int8_t op; /* enum meta_config_op */
};

/* Replicas of one partition; the first is preferred and leads. */
struct meta_assignment {
    const int32_t *replicas;
    uint32_t replica_count;
};

/* Where the logs of a topic's partitions begin from then on. */
struct meta_cut {
    struct uuid topic_id;
    const int64_t *starts; /* of partition 0, 1, ...; -1: stays. Never moves down */
    uint32_t start_count;  /* partitions behind it stay */
};

struct meta_listener {
    struct str name;     /* PLAINTEXT, SASL_SSL, ...; the listener's name */
    struct str host;     /* advertised */
    uint16_t port;
    int16_t protocol;    /* Kafka: 0 PLAINTEXT 1 SSL 2 SASL_PLAINTEXT 3 SASL_SSL */
};

/* What happens to a partition; a field with its "keep" value stays. */
struct meta_partition_change {
    int32_t index;
    int32_t expect_partition_epoch; /* refused when it is not the current one; -1: any */
    int32_t leader;                 /* -2: keep; -1: none. A change raises leader_epoch */
    const int32_t *isr;             /* NULL: keep */
    uint32_t isr_count;
    const int32_t *replicas; /* NULL: keep */
    uint32_t replica_count;
    int8_t recovery; /* -1: keep; 0 recovered, 1 recovering */
};

/* ---- Users, access rules, quotas (security.c) ---------------------------- */

enum { META_ROLE_LOGIN = 1, META_ROLE_SUPERUSER = 2 };

struct meta_role {
    struct str name;
    uint32_t flags;
    int64_t valid_until_ms; /* of its passwords; -1: for ever */
    uint32_t oid;           /* given by the first META_ROLE_PUT */
};

/* As on Kafka's wire. */
enum meta_mechanism { META_SCRAM_SHA_256 = 1, META_SCRAM_SHA_512 = 2 };
enum { META_ITERATIONS_MIN = 4096, META_ITERATIONS_MAX = 16384 };

/* What RFC 5802 lets a server keep of a password. */
struct meta_scram {
    struct str user;
    int8_t mechanism;
    int32_t iterations;
    struct str salt, stored_key, server_key;
};

/* An access rule; numbers as on Kafka's wire. */
struct meta_acl {
    int8_t resource, pattern, operation, permission;
    struct str name, principal, host;
};

/* A bound for an entity. Null: not part of the entity; "": the default of all
 * that have none of their own. */
struct meta_quota {
    struct str user, client_id, ip;
    struct str key;
    double value;
};

struct meta_token {
    struct str id, owner, requester; /* principals */
    struct str renewers;             /* principals, each with \n behind it */
    int64_t issue_ms, expiry_ms, max_ms;
};

enum meta_security_kind {
    META_ROLE_PUT = 1, /* mode */
    META_ROLE_DELETE,  /* with its passwords; must exist */
    META_SCRAM_PUT,
    META_SCRAM_DELETE, /* must exist */
    META_ACL_ADD,      /* may be there already */
    META_ACL_REMOVE,   /* may be gone already */
    META_QUOTA_SET,
    META_QUOTA_REMOVE, /* may be gone already */
    META_TOKEN_PUT,
    META_TOKEN_DELETE, /* may be gone already */
};

enum meta_put_mode { META_PUT_ANY, META_PUT_NEW, META_PUT_OLD };

struct meta_security_change {
    int8_t kind; /* enum meta_security_kind */
    int8_t mode; /* enum meta_put_mode */
    union {
        struct meta_role role;
        struct meta_scram scram;
        struct meta_acl acl;
        struct meta_quota quota;
        struct meta_token token;
    };
};

/* All of it, in the view. Sorted: roles, tokens by name; scrams by user,
 * mechanism; acls by resource, pattern, name; quotas by user, client id, ip, key
 * (null first). */
struct meta_security {
    uint64_t version; /* raft index of the last change */
    uint32_t role_count, scram_count, acl_count, quota_count, token_count;
    const struct meta_role *roles;
    const struct meta_scram *scrams;
    const struct meta_acl *acls;
    const struct meta_quota *quotas;
    const struct meta_token *tokens;
};

/* NULL if there is none. */
const struct meta_role *meta_security_role(const struct meta_security *security, struct str name);
const struct meta_scram *meta_security_scram(const struct meta_security *security,
    struct str user, int mechanism);
const struct meta_token *meta_security_token(const struct meta_security *security, struct str id);
/* Order of acls: by resource, pattern, name. */
int meta_acl_cmp_name(const struct meta_acl *acl, int resource, int pattern, struct str name);

/* A command is borrowed until meta_propose returns. Ids and times are the
 * proposer's: applying has neither clock nor randomness. */
struct meta_command {
    enum meta_command_kind kind;
    int64_t time_ms; /* 0: meta_propose stamps it */
    union {
        struct {
            struct str name;
            struct uuid id; /* zero: meta_propose makes one */
            struct str owner; /* principal, or null */
            struct str comment; /* or null */
            const struct meta_assignment *assignments; /* one a partition */
            uint32_t partition_count;
            const struct meta_config_change *configs; /* op SET */
            uint32_t config_count;
        } topic_create;
        struct {
            struct str name; /* null: by id */
            struct uuid id;  /* zero: by name. Both: both must agree */
        } topic_delete;
        struct {
            struct str name;
            uint32_t count; /* the new total */
            const struct meta_assignment *assignments; /* of the added ones */
            uint32_t assignment_count; /* = count - the present number */
        } partitions_create;
        struct {
            int8_t resource; /* enum meta_resource */
            struct str name;
            bool replace; /* AlterConfigs: what is not named is deleted */
            const struct meta_config_change *changes;
            uint32_t change_count;
        } config_alter;
        struct {
            struct str topic;
            struct str text; /* null removes it */
        } comment;
        struct {
            int32_t node_id;
            struct uuid incarnation;
            struct uuid directory_id;
            struct str rack; /* or null */
            const struct meta_listener *listeners;
            uint32_t listener_count;
            bool fenced;
        } broker_register; /* also an update: listeners known after binding */
        struct {
            int32_t node_id;
            int64_t epoch;    /* the broker's; refused when stale. -1: any */
            int8_t fenced;    /* -1: keep */
            int8_t in_shutdown; /* -1: keep */
        } broker_change;
        struct {
            struct uuid topic_id;
            const struct meta_partition_change *changes;
            uint32_t change_count;
        } partition_change;
        struct {
            int32_t node_id;
            int32_t count; /* ids wanted, 1..100000 */
        } producer_ids;
        struct {
            struct str cluster_id;
            struct uuid incarnation;
        } cluster_init;
        struct {
            const struct meta_security_change *changes;
            uint32_t change_count;
        } security;
        struct {
            struct uuid topic_id;         /* zero: none */
            const int32_t *leader_epochs; /* of its partitions; never lower than they are */
            uint32_t epoch_count;
            int64_t producer_id_next; /* at least; -1: keep */
        } taken_over;
        struct {
            const struct meta_cut *cuts;
            uint32_t cut_count;
        } truncate;
    };
};

struct meta_result {
    uint64_t index; /* raft index of the entry; views with index >= it show it */
    union {
        struct uuid topic_id;      /* TOPIC_CREATE, TOPIC_DELETE */
        int64_t broker_epoch;      /* BROKER_REGISTER */
        int64_t producer_id_first; /* PRODUCER_IDS */
    };
};

/* One proposal, embedded by the caller, untouched by it until done. */
struct meta_call {
    void (*done)(struct meta_call *call); /* set by the caller */
    /* Valid in and after done: */
    ox_code code;
    struct ox_err err;
    struct meta_result result;
    /* Private: */
    struct list link;
    struct meta *meta;
    void *request;
};

/* Propose a command. Any thread.
 * Takes:  call, until done. Borrows cmd until return.
 * Fails:  OX_SHUTTING_DOWN, OX_LIMIT_EXCEEDED, OX_INVALID_REQUEST; done is not
 *         called then
 * Done:   on the meta thread, exactly once, never before this returns, after
 *         commit, apply and publication of the view. code is
 *         OX_OK; the command's own refusal (OX_TOPIC_EXISTS ...); OX_NOT_CONTROLLER;
 *         OX_REQUEST_TIMED_OUT: outcome unknown, leadership was lost on the way.
 *         done must not block */
ox_code meta_propose(struct meta *meta, struct meta_call *call, const struct meta_command *cmd,
    struct ox_err *err);

/* Propose and wait. Not on the meta thread, not on a loop: boot, tools, tests. */
ox_code meta_propose_wait(struct meta *meta, const struct meta_command *cmd,
    struct meta_result *result, struct ox_err *err);

/* Would the command be accepted, as far as this view tells? For validate_only. */
ox_code meta_check(const struct meta_view *view, const struct meta_command *cmd,
    struct ox_err *err);

/* 1-249 of [A-Za-z0-9._-], not "." or "..". Fails: OX_INVALID_TOPIC */
ox_code meta_topic_name_check(struct str name, struct ox_err *err);

/* __consumer_offsets, __transaction_state, __share_group_state. */
bool meta_topic_is_internal(struct str name);

/* ---- Placement (place.c) ------------------------------------------------- */

/* Choose replicas for partitions first..first+count-1 over the view's unfenced
 * brokers, racks in turn, starting at a place that seed picks. The assignments
 * are made in the arena.
 * Fails:  OX_INVALID_REPLICATION_FACTOR, OX_INVALID_PARTITIONS */
ox_code meta_place(const struct meta_view *view, uint32_t first, uint32_t count,
    int16_t replication_factor, uint64_t seed, struct arena *arena,
    struct meta_assignment **out, struct ox_err *err);

/* ---- The view ------------------------------------------------------------ */

struct meta_partition {
    int32_t index;
    int32_t leader; /* -1: none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int8_t recovery; /* 0 recovered, 1 recovering from an unclean election */
    int64_t log_start_min; /* records below are deleted, whatever the log has: META_TRUNCATE */
    uint32_t replica_count, isr_count;
    const int32_t *replicas; /* the first is preferred */
    const int32_t *isr;
    const struct uuid *directories; /* one a replica; zero: not assigned */
};

/* Own (dynamic) settings of one resource, sorted by name. */
struct meta_config_item {
    const struct param *param; /* NULL for free names of client metrics */
    struct str name;           /* stored name, Kafka's spelling */
    struct str value;          /* canonical */
    struct str listener;       /* it is set for alone: a part of name; null: for all */
};

struct meta_config_set {
    int8_t resource;
    struct str name;
    uint32_t count;
    const struct meta_config_item *items;
};

struct meta_topic {
    struct str name; /* NUL-terminated, as every str of the view */
    struct uuid id;
    uint32_t oid;    /* for pg_catalog: stable, never reused */
    bool internal;
    int64_t created_ms;
    struct str owner;   /* or null */
    struct str comment; /* or null */
    uint64_t created_index, changed_index; /* raft indices */
    uint32_t partition_count;
    const struct meta_partition *const *partitions; /* by index */
    const struct meta_config_set *own;     /* what was set for this topic */
    const struct topic_config *config;     /* effective: own, server's, default */
};

struct meta_broker {
    int32_t node_id;
    int64_t epoch; /* raft index of its registration */
    struct uuid incarnation, directory_id;
    struct str rack; /* or null */
    bool fenced, in_shutdown;
    int64_t registered_ms;
    uint32_t listener_count;
    const struct meta_listener *listeners;
};

/* An immutable picture of the cluster at one raft index. Everything reached
 * from it lives as long as the view is held. Hold it for a tick or a statement:
 * a view held for long keeps what was replaced since in memory. */
struct meta_view {
    uint64_t index;      /* last raft index applied */
    uint64_t generation; /* +1 for each publication of this process */
    struct str cluster_id;
    int32_t node_id;       /* of this node */
    int32_t controller_id; /* who leads the metadata quorum; -1 unknown */
    bool ready;            /* this node leads and accepts commands */
    const struct server_config *settings; /* this node's effective ones */
    const struct topic_config *topic_default; /* of a topic without own settings */
    uint32_t topic_count;     /* of meta_view_topic_at */
    uint32_t partition_count; /* of all topics */
    uint32_t broker_count;
    const struct meta_broker *const *brokers; /* by rising node id */
    uint32_t config_count;
    const struct meta_config_set *const *configs; /* brokers, groups, client
                                                     metrics; by resource, name */
    int64_t producer_id_next;
    const struct meta_security *security; /* never NULL */
};

/* The current view, held. Any thread. */
const struct meta_view *meta_view_get(struct meta *meta);
const struct meta_view *meta_view_hold(const struct meta_view *view); /* once more */
void meta_view_put(const struct meta_view *view); /* NULL is allowed */

/* NULL if there is none. */
const struct meta_topic *meta_view_topic(const struct meta_view *view, struct str name);
const struct meta_topic *meta_view_topic_by_id(const struct meta_view *view,
    const struct uuid *id);
const struct meta_broker *meta_view_broker(const struct meta_view *view, int32_t node_id);
const struct meta_config_set *meta_view_config(const struct meta_view *view, int resource,
    struct str name);

/* Level of a feature; which: enum param_feature. */
int meta_feature_level(const struct meta_view *view, int which);

/* Topics by rising name: 0 .. topic_count-1. */
const struct meta_topic *meta_view_topic_at(const struct meta_view *view, uint32_t rank);
/* Rank of the first topic whose name is >= name. */
uint32_t meta_view_topic_rank(const struct meta_view *view, struct str name);

/* NULL if out of range. */
static inline const struct meta_partition *
meta_topic_partition(const struct meta_topic *topic, int32_t index)
{
    return index >= 0 && (uint32_t)index < topic->partition_count ? topic->partitions[index] : NULL;
}

/* Broker's listener of that name, or NULL. */
const struct meta_listener *meta_broker_listener(const struct meta_broker *broker,
    struct str name);

/* Call fn(view, arg) on the meta thread after each publication, and once from
 * here with the current view. The view is borrowed; hold it to keep it. */
typedef void (*meta_view_fn)(const struct meta_view *view, void *arg);
void meta_on_view(struct meta *meta, meta_view_fn fn, void *arg);
/* After return fn is not called again. Not from inside fn. */
void meta_off_view(struct meta *meta, meta_view_fn fn, void *arg);

/* ---- Settings as rows: DescribeConfigs, SHOW, oxbow.configs -------------- */

/* Numbers of Kafka's ConfigSource. */
enum meta_source {
    META_SOURCE_TOPIC = 1,
    META_SOURCE_BROKER = 2,         /* set at run time for one broker */
    META_SOURCE_BROKER_DEFAULT = 3, /* set at run time for all: ALTER SYSTEM */
    META_SOURCE_STATIC = 4,         /* configuration file, command line */
    META_SOURCE_DEFAULT = 5,
    META_SOURCE_LOGGER = 6,
    META_SOURCE_CLIENT_METRICS = 7,
    META_SOURCE_GROUP = 8,
};

struct meta_config_synonym {
    const char *name; /* the name under which the value was found */
    struct str value;
    int8_t source;
};

struct meta_config_fact {
    const struct param *param; /* NULL for client metrics */
    const char *name; /* Kafka's name, or Oxbow's where it has none */
    struct str value; /* effective, canonical; null if unset or sensitive */
    int8_t source;    /* enum meta_source */
    bool read_only;   /* cannot be changed while running */
    bool of_listener; /* listener.name.LISTENER.SETTING */
    bool sensitive;
    uint32_t synonym_count; /* the chain, effective one first */
    const struct meta_config_synonym *synonyms;
};

/* Views of what is not so yet, to ask whether it could be: brokers, settings of brokers,
 * nothing else of them is there. In the arena, not to be put.
 * A change of settings of broker `name` ("": all).  Fails: OX_INVALID_CONFIG, ... */
ox_code meta_view_if_changed(const struct meta_view *view, struct str name, bool replace,
    const struct meta_config_change *changes, uint32_t count, struct arena *arena,
    const struct meta_view **out, struct ox_err *err);
/* The configuration file says this now; view NULL: of a node without anything. */
const struct meta_view *meta_view_if_static(const struct meta_view *view,
    const struct meta_setting *settings, size_t count, struct arena *arena);

/* The setting behind listener.name.LISTENER.SETTING, NULL if name is not of that form
 * or the setting not one that a listener can have alone. *listener: that part of name;
 * of what is set for a mechanism of SASL, LISTENER.MECHANISM. */
const struct param *meta_listener_param(struct str name, struct str *listener);
/* Whether the setting is one of listeners, or says which there are. */
bool meta_is_of_listeners(const struct param *param);
/* What is in force for one listener: the node's settings with its own, in the arena. */
const struct server_config *meta_listener_settings(const struct meta_view *view,
    const char *listener, struct arena *arena);
/* The value, by its number, that is set for one listener alone, or for one of its
 * mechanisms (else NULL); a null string if none is. */
struct str meta_listener_own(const struct meta_view *view, const char *listener,
    const char *mechanism, int index);

/* All settings of a resource in table order, in the arena, those of single listeners
 * behind them. A broker by its own id gives everything; "" gives only what ALTER SYSTEM set.
 * Fails:  OX_UNKNOWN_TOPIC_OR_PARTITION, OX_INVALID_REQUEST (other broker,
 *         resource type that has none) */
ox_code meta_config_describe(const struct meta_view *view, int resource, struct str name,
    struct arena *arena, struct meta_config_fact **out, size_t *count, struct ox_err *err);

/* The settings a topic would have that is made with these.
 * Fails:  OX_INVALID_CONFIG */
ox_code meta_config_describe_new(const struct meta_view *view,
    const struct meta_config_change *changes, uint32_t change_count, struct arena *arena,
    struct meta_config_fact **out, size_t *count, struct ox_err *err);

/* ---- What the meta thread does (metrics, oxbow.* views) ------------------ */

struct meta_stats {
    uint64_t proposals, refused, commits, snapshots, publications;
    uint64_t log_first, log_last, applied, snapshot_index;
    uint64_t commit_ns_sum, publish_ns_sum; /* divide by commits, publications */
    uint64_t term;
    bool leader;
};
void meta_stats(struct meta *meta, struct meta_stats *out);

#endif
