/* SPDX-License-Identifier: Apache-2.0
 *
 * THE interface of both front ends. Kafka and PostgreSQL wire code only
 * translate; the engine authorises, finds the leader, applies limits, appends,
 * reads, administers. Nothing can be had through one door that the other would
 * refuse, and a feature is built once.
 *
 * Calls are made on a loop. A call that may have to wait is a struct embedded
 * by the caller; its start returns true when the outcome is already in the
 * struct and false when done() follows, exactly once, on the loop it was started
 * on. Strings given to a call are borrowed until it is done unless said
 * otherwise. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "auth/auth.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/param.h"
#include "loop/loop.h"
#include "meta/meta.h"
#include "replica/replica.h"

struct engine;
struct coord;
struct share;

/* ---- who ---- */

/* A principal behind a connection. Embedded by the front end. */
/* What a session does right now. Texts live until its loop goes on. */
struct engine_activity {
    const char *application, *state, *wait_type, *wait, *query; /* NULL: unknown, none */
    int64_t xact_start_us, query_start_us, state_change_us; /* since 2000; 0 none */
};

struct engine_session {
    struct engine *engine;
    struct loop *loop;
    const char *door;      /* "kafka" or "sql" */
    const char *listener;  /* name of the listener it came through */
    char principal[256];   /* "User:alice"; "User:ANONYMOUS" */
    char client_id[256];   /* Kafka's client.id or application_name, cut */
    char host[64];         /* of the client, "127.0.0.1" */
    char software[128];    /* client software name and version, or "" */
    int64_t started_ms;
    uint64_t conn_id;
    _Atomic uint64_t requests;
    bool encrypted;
    bool internal;         /* our own: may do everything */
    char token_id[48];     /* of the delegation token that was the password, or "" */
    /* private: answers of access rules, by question; NULL until one was asked */
    struct engine_decision *decisions;
    /* private: quotas that apply */
    struct engine_bound {
        struct quota_meter *meter; /* NULL: none */
        double bound;
    } bounds[4];
    uint64_t bounds_of; /* version of the quotas they hold for; 0: look them up */
    uint32_t throttle_ms;
    /* Of who serves it, or NULL. On: its loop. */
    void (*activity)(const void *of, struct engine_activity *out);
    const void *activity_of;
};

void engine_session_init(struct engine_session *sess, struct engine *engine, struct loop *loop,
    const char *door, const char *listener, const char *host, uint64_t conn_id);
void engine_session_fini(struct engine_session *sess);

/* ---- logging in (logins.c) ---- */

/* What an exchange may look at; borrowed to the end of the tick, and to be given
 * back with engine_login_end(). */
struct engine_login {
    struct auth_context ctx;
    struct auth_jwt_rules jwt;
    struct engine_keys *keys;
};
void engine_login_begin(struct engine *engine, struct engine_login *login);
void engine_login_end(struct engine_login *login);
/* The session is this user's from now on.
 * Fails:  OX_SASL_AUTHENTICATION_FAILED (a name too long to be a principal) */
ox_code engine_login_done(struct engine_session *sess, const char *mechanism, struct str user,
    struct ox_err *err);
/* A token named a key that is not there: it may be new. */
void engine_login_key_wanted(struct engine *engine);
/* Counted, and written down without secrets (a few a second). */
void engine_login_failed(struct engine_session *sess, const char *mechanism, const char *user,
    const struct ox_err *why);
/* As one that failed: why TLS was refused; NULL: it was not. */
void engine_login_refused(struct engine_session *sess, const char *reason);
/* False for a role that was made without LOGIN; passwords and tokens are asked by
 * their exchange. */
bool engine_login_allowed(struct engine *engine, struct str user);
/* The name that a client's certificate gives; "ANONYMOUS" without one.
 * Fails: OX_SASL_AUTHENTICATION_FAILED */
ox_code engine_login_subject(struct engine *engine, const struct auth_mapping *mapping,
    struct str subject, struct text *out, struct ox_err *err);

/* ---- quotas (quota.c) ---- */

enum engine_quota {
    ENGINE_QUOTA_PRODUCE,  /* bytes a second */
    ENGINE_QUOTA_FETCH,
    ENGINE_QUOTA_REQUEST,  /* percent of one thread's time */
    ENGINE_QUOTA_MUTATION, /* partitions created and deleted a second */
    ENGINE_QUOTA_COUNT
};
/* Is there such a quota for such an entity, with such a value? What its host is, is not
 * asked. Fails: OX_INVALID_REQUEST */
ox_code engine_quota_check(const struct meta_quota *quota, bool with_value, struct ox_err *err);
/* Count what the session used. Over its quota, the session owes time: see
 * engine_throttle_take(). append counts bytes by itself; a Fetch asks with
 * engine_quota_fetch() when it is answered, a scan counts what it reads. */
void engine_quota_use(struct engine_session *sess, enum engine_quota kind, double amount);
/* May that many bytes go out now? If not they do not count, and the answer has to
 * go without them; false too when the session owes time for something else. */
bool engine_quota_fetch(struct engine_session *sess, double amount);
/* A Fetch that is larger could never go out. */
size_t engine_quota_fetch_max(struct engine_session *sess, size_t most);
/* One more connection of that address: 0 it is let in, else how many milliseconds
 * it is held before it is closed. *most: how many the address may have, UINT32_MAX:
 * as many as any. On: any loop. */
uint64_t engine_quota_connect(struct engine *engine, const char *host, uint64_t mono_ms,
    uint32_t *most);
/* The host of a quota (hosts.c): an address, or a name that stands for one. */
enum { ENGINE_ADDRESS_MAX = 46 };
bool engine_is_address(struct str text);
/* As Java does; "" and false: it stands for none, or the server stops. May take seconds.
 * On: a worker */
bool engine_host_look_up(struct engine *engine, struct str name, char out[ENGINE_ADDRESS_MAX]);
/* Nothing more is looked up. Any thread. */
bool engine_hosts_stopping(const struct engine *engine);
/* A quota names that host, whose address is known. Any thread. */
void engine_host_learn(struct engine *engine, struct str name, const char *address);
/* Once a second: names that are new to this node. On: one thread, no loop. */
void engine_hosts_tend(struct engine *engine, const struct meta_view *view);
/* Does the session have such a quota at all? */
bool engine_quota_applies(struct engine_session *sess, enum engine_quota kind);
/* May that many partitions be created or deleted now? Counted if so, and always
 * when not strict. The session owes time when it is refused or not strict.
 * Fails: OX_THROTTLING_QUOTA_EXCEEDED */
ox_code engine_quota_mutate(struct engine_session *sess, double count, bool strict,
    struct ox_err *err);
/* How long the session is to be muted, in milliseconds; forgotten with the call. */
uint32_t engine_throttle_take(struct engine_session *sess);
/* The client id changed: other quotas may apply. */
void engine_quota_changed(struct engine_session *sess);

/* ---- life; server/boot.c ---- */

struct engine_config {
    int32_t node_id;
    struct loop_group *loops;
    struct net *net;
    struct meta *meta;
    struct replica *replica;
};
ox_code engine_start(const struct engine_config *config, const struct env *env,
    struct engine **out, struct ox_err *err);
/* Refuse new work, answer what waits; free when the catalog is closed and loops
 * are drained: sessions outlive their connections until that. On: no loop. */
void engine_quiesce(struct engine *engine);
void engine_stop(struct engine *engine);
void engine_free(struct engine *engine);

/* ---- metadata. Borrowed to the end of the tick ---- */
const struct meta_view *engine_view(struct engine *engine);
/* This view's settings, e.g. engine_settings(e)->auto_create_topics_enable. */
const struct server_config *engine_settings(struct engine *engine);
struct meta *engine_meta(struct engine *engine);
struct replica *engine_replica(struct engine *engine);
struct coord *engine_coord(struct engine *engine); /* of groups */
struct coord *engine_txns(struct engine *engine);  /* of transactions */
struct coord *engine_states(struct engine *engine); /* of share groups */
struct share *engine_share(struct engine *engine);
struct net *engine_net(struct engine *engine);
/* A place for what sql/ keeps for the engine's life: NULL at first, freed with
 * ox_free() at the end. Atomic. */
void **engine_attachment(struct engine *engine);
const struct env *engine_env(const struct engine *engine);
struct loop_group *engine_loops(struct engine *engine);
int32_t engine_node_id(const struct engine *engine);

/* ---- append: one partition of a Produce, an INSERT, a COPY ---- */

struct engine_append {
    /* in */
    struct engine_session *sess;
    struct str topic;            /* name, or null with topic_id */
    struct uuid topic_id;        /* zero: by name */
    int32_t partition;
    struct slice records;        /* one batch, alone in these bytes; may be modified
                                    in place. The engine takes its own reference */
    int16_t acks;
    int32_t timeout_ms;
    int16_t produce_version;     /* of the Kafka request; INT16_MAX from SQL */
    uint64_t txn_guard;          /* of engine_enlist(), 0: none */
    struct arena *arena;         /* lives until the answer is out; record errors go there.
                                    NULL: none are listed */
    void (*done)(struct engine_append *call);
    /* out */
    ox_code code;
    struct ox_err err;
    int64_t base_offset;         /* -1 on failure */
    int64_t last_offset;
    int64_t append_time_ms;      /* LogAppendTime topics, else -1 */
    int64_t log_start;           /* -1 when not known */
    const struct log_record_error *record_errors; /* in arena */
    uint32_t record_error_count;
    int32_t leader_id, leader_epoch; /* hint with OX_NOT_LEADER, else -1 */
    /* private */
    struct partition_append append;
};
/* True: finished. False: done() follows. */
bool engine_append(struct engine_append *call);
/* The caller goes away while the append waits: done() will not run; the struct
 * may be freed after this returns. */
void engine_append_forget(struct engine_append *call);

/* ---- transactions ---- */

/* Before batches of a transaction are appended, its coordinator must know the
 * partitions: it is asked about (Produce before version 12, TxnOffsetCommit
 * before 5: the client has added them), or they are added. Partitions in which
 * the transaction is open already cost nothing.
 * Codes of a part: as Kafka shows them to that client. */
enum engine_enlist_for { ENLIST_PRODUCE, ENLIST_OFFSETS };
struct engine_enlist_part {
    struct str topic; /* null: by id */
    struct uuid topic_id;
    int32_t partition;
    int32_t first_sequence; /* -1: none */
    /* out */
    ox_code code;
    uint64_t guard; /* for engine_append */
    struct partition *part; /* inside, held */
};
struct engine_enlist {
    /* in */
    struct engine_session *sess;
    enum engine_enlist_for what;
    int16_t version; /* of that request; INT16_MAX from SQL */
    struct str transactional_id;
    int64_t producer_id;
    int16_t producer_epoch;
    struct engine_enlist_part *parts;
    size_t part_count;
    struct arena *arena; /* for the call alone until done */
    void (*done)(struct engine_enlist *call);
    /* private */
    void *inside;
};
/* True: finished. False: done() follows. */
bool engine_enlist(struct engine_enlist *call);

/* WriteTxnMarkers, one partition. Always answered later, on the same loop. */
struct engine_marker {
    struct engine_session *sess;
    struct str topic;
    int32_t partition;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    bool commit;
    int8_t txn_version;
    void (*done)(struct engine_marker *call);
    ox_code code; /* out */
    void *inside;
};
void engine_marker(struct engine_marker *call);

/* ---- read: one partition of a Fetch, a scan ---- */

struct engine_read {
    /* in */
    struct str topic;
    struct uuid topic_id;
    int32_t partition;
    int32_t current_leader_epoch; /* -1: any */
    int64_t offset;
    size_t max_bytes;
    bool min_one; /* a first batch larger than max_bytes is given whole */
    enum partition_isolation isolation;
    struct ox_err *err; /* what failed, if it does; NULL: the code is enough */
    /* out */
    ox_code code;
    struct log_range range;       /* put with log_range_put() when code is OX_OK */
    struct partition_state state; /* valid when code is OX_OK */
    struct partition *part;       /* borrowed to the end of the tick, or NULL */
    int32_t leader_id, leader_epoch;
};
/* Never waits; to wait for more, partition_wait(read->part, ...). */
void engine_read(struct engine_session *sess, struct engine_read *read);

/* Finds a partition and checks that the session may do `op` on its topic.
 * Kafka's order: authorise, then existence. topic wins when not null. */
enum engine_op {
    ENGINE_READ = 3,
    ENGINE_WRITE = 4,
    ENGINE_CREATE = 5,
    ENGINE_DELETE = 6,
    ENGINE_ALTER = 7,
    ENGINE_DESCRIBE = 8,
    ENGINE_CLUSTER_ACTION = 9,
    ENGINE_DESCRIBE_CONFIGS = 10,
    ENGINE_ALTER_CONFIGS = 11,
    ENGINE_IDEMPOTENT_WRITE = 12,
    ENGINE_CREATE_TOKENS = 13,
    ENGINE_DESCRIBE_TOKENS = 14,
    ENGINE_TWO_PHASE_COMMIT = 15,
};
enum engine_resource {
    ENGINE_TOPIC = 2,
    ENGINE_GROUP = 3,
    ENGINE_CLUSTER = 4,
    ENGINE_TRANSACTIONAL_ID = 5,
    ENGINE_DELEGATION_TOKEN = 6,
    ENGINE_USER = 7,
};
ox_code engine_partition(struct engine_session *sess, struct str topic,
    const struct uuid *topic_id, int32_t index, enum engine_op op, struct partition **out,
    struct ox_err *err);
/* May the session do op on the resource? The one place that asks: super users
 * may, then the access rules say; without an authorizer everybody may. */
bool engine_allowed(struct engine_session *sess, enum engine_resource type, struct str name,
    enum engine_op op);
/* The same of a copy of the session, on any loop. */
bool engine_allowed_of(const struct engine_session *copy, enum engine_resource type,
    struct str name, enum engine_op op);
/* May the session do op on some resource of the type, be it there yet or not?
 * What may be done to a name of no meaning may be done to any (super users, no rules at all);
 * else a rule must allow it that none which denies takes away whole. */
bool engine_allowed_any(struct engine_session *sess, enum engine_resource type, enum engine_op op);
/* Are access rules enforced? */
bool engine_authorizes(struct engine *engine);
bool engine_is_super(const struct engine_session *sess);
/* Bit mask of allowed operations, as in Kafka's authorized_operations. */
int32_t engine_allowed_mask(struct engine_session *sess, enum engine_resource type,
    struct str name);

/* ---- topics and configs: one asynchronous administrative call ---- */

struct engine_config_kv {
    struct str name, value; /* value null: delete / refuse, as the call says */
    int8_t op;              /* enum meta_config_op */
};

struct engine_admin; /* a call in progress */
typedef void (*engine_admin_fn)(struct engine_admin *call);

/* Shared head of all administrative calls: embed first. */
struct engine_admin {
    struct engine_session *sess;
    engine_admin_fn done;
    ox_code code;
    struct ox_err err;
    /* private */
    struct meta_call meta;
    struct loop_msg msg;
    struct loop *loop;
    struct arena arena;
    engine_admin_fn finish; /* fills the out fields of the call that embeds this */
};
/* Frees what the call holds, after it is finished. */
void engine_admin_fini(struct engine_admin *call);

struct engine_topic_create {
    struct engine_admin admin;
    struct str name;
    int32_t partitions;          /* -1: num.partitions */
    int16_t replication_factor;  /* -1: default.replication.factor */
    const struct meta_assignment *assignments; /* or NULL; then partitions = -1 */
    uint32_t assignment_count;
    const struct engine_config_kv *configs;
    uint32_t config_count;
    bool validate_only;
    bool internal; /* our own need: the session's rights do not matter */
    bool late;     /* over its quota the client waits, but is not refused */
    /* out */
    struct uuid topic_id;
    int32_t partition_count;
    int16_t replicas;
};
bool engine_topic_create(struct engine_topic_create *call);

struct engine_topic_delete {
    struct engine_admin admin;
    struct str name; /* or null with topic_id */
    struct uuid topic_id;
    bool late; /* as in engine_topic_create */
};
bool engine_topic_delete(struct engine_topic_delete *call);

struct engine_partitions_create {
    struct engine_admin admin;
    struct str name;
    int32_t count; /* the new total */
    const struct meta_assignment *assignments;
    uint32_t assignment_count;
    bool validate_only;
    bool late; /* as in engine_topic_create */
};
bool engine_partitions_create(struct engine_partitions_create *call);

struct engine_config_alter {
    struct engine_admin admin;
    int8_t resource; /* enum meta_resource */
    struct str name;
    bool replace; /* AlterConfigs */
    const struct engine_config_kv *changes;
    uint32_t change_count;
    bool validate_only;
    /* out */
    bool unfit; /* refused by the check of engine_set_broker_check() */
    /* private */
    struct pool_job job;
};
bool engine_config_alter(struct engine_config_alter *call);
/* May max.connections.per.ip.overrides be list? Fails: OX_INVALID_CONFIG */
ox_code engine_check_overrides(struct str list, struct ox_err *err);
/* How many connections it lets host have; UINT32_MAX: it does not name that address. */
uint32_t engine_override_of(struct str list, struct str host);
/* Why no signed token can be taken, as these settings are; NULL: they can. */
const char *engine_tokens_unmet(const struct server_config *settings);
/* Once a second: delegation tokens that ran out. On: one thread, no loop. */
void engine_tokens_tend(struct engine *engine, const struct meta_view *view);
/* Once a second: keys of tokens that could not be fetched. On: no loop. */
void engine_logins_tend(struct engine *engine);
/* May cordoned.log.dirs be list? strays: its entries that are no log directory of this
 * node, joined by commas in the arena, where that is what is wrong. */
enum engine_cordoned { ENGINE_CORDONED_GOOD, ENGINE_CORDONED_TWICE, ENGINE_CORDONED_STRAY };
enum engine_cordoned engine_cordoned_judge(struct replica *replica, struct str list,
    struct arena *arena, struct str *strays);
/* The same, in words. Fails: OX_INVALID_CONFIG */
ox_code engine_check_cordoned(struct replica *replica, struct str list, struct ox_err *err);

/* What only who starts the engine knows: whether this node could do what a change of
 * brokers' settings asks for. then: as it would be; kept: it is about to be, if nobody
 * else refuses. On: a pool thread. */
typedef ox_code (*engine_broker_check_fn)(void *arg, const struct meta_view *now,
    const struct meta_view *then, bool kept, struct ox_err *err);
/* Before connections are accepted. */
void engine_set_broker_check(struct engine *engine, engine_broker_check_fn check, void *arg);

struct engine_topic_comment {
    struct engine_admin admin;
    struct str name, text; /* text null removes it */
};
bool engine_topic_comment(struct engine_topic_comment *call);

struct engine_delete_records {
    struct engine_admin admin;
    struct str topic;
    int32_t partition;
    int64_t offset; /* -1: the high watermark */
    /* out */
    int64_t low_watermark;
    /* private */
    struct pool_job job;
    struct partition *part;
};
bool engine_delete_records(struct engine_delete_records *call);

/* Deletes the beginnings of the logs of topics, all or none: also when the node
 * dies meanwhile. What is appended after the call stays. */
struct engine_cut {
    struct str topic;
    const int64_t *starts; /* one a partition: where it begins then, at most at its high
                              watermark; -1: stays. NULL: all records go */
    uint32_t start_count;
};
struct engine_truncate {
    struct engine_admin admin;
    const struct engine_cut *cuts;
    uint32_t cut_count;
};
bool engine_truncate(struct engine_truncate *call);

/* A fresh producer id, epoch 0 (non-transactional InitProducerId). */
struct engine_producer_id {
    struct engine_admin admin;
    int64_t producer_id; /* out */
};
bool engine_producer_id(struct engine_producer_id *call);

/* Users, rules, quotas, tokens: all changes or none. The caller has authorised. */
struct engine_security {
    struct engine_admin admin;
    const struct meta_security_change *changes;
    uint32_t change_count;
    bool validate_only;
};
bool engine_security(struct engine_security *call);

/* Ensure an internal topic (__consumer_offsets) exists with its own settings. */
bool engine_internal_topic(struct engine_topic_create *call, struct str name);

/* ---- what clients tell about themselves (telemetry.c) ---- */

/* Which metrics a client is to push, how often. id zero: it is given one. */
struct engine_telemetry {
    struct engine_session *sess;
    int port; /* of the client */
    struct uuid id;
    /* out; texts and the array in the arena */
    struct arena *arena;
    int32_t subscription_id, interval_ms, max_bytes;
    struct str *metrics;
    uint32_t metric_count;
};
/* Fails: OX_THROTTLING_QUOTA_EXCEEDED (asked too early) */
ox_code engine_telemetry_subscribe(struct engine_telemetry *call);
/* Fails: also OX_INVALID_REQUEST, OX_UNKNOWN_SUBSCRIPTION_ID, OX_TELEMETRY_TOO_LARGE,
 * OX_UNSUPPORTED_COMPRESSION_TYPE, OX_INVALID_RECORD (not metrics) */
ox_code engine_telemetry_push(struct engine_telemetry *call, int32_t subscription_id,
    bool terminating, int8_t compression, struct str metrics);

/* One metric of one client as it was pushed last; sums are summed up. */
struct engine_client_metric {
    struct uuid client;
    const char *client_id, *software, *host;
    struct str name, unit;
    struct str attributes; /* JSON */
    struct str labels;     /* Prometheus' text, of the attributes */
    const char *kind;      /* gauge, counter, histogram, summary */
    double value;          /* or the sum of a histogram or summary */
    uint64_t count;        /* of a histogram or summary */
    int64_t updated_ms;
};
/* All, in the arena, by name, kind, client. Any thread. */
struct engine_client_metric *engine_telemetry_list(struct engine *engine, struct arena *arena,
    size_t *count);

/* ---- the connections of both doors, for oxbow.connections ---- */
struct engine_conn_fact {
    uint64_t id;
    const char *door, *principal, *client_id, *host, *software, *state;
    int64_t started_ms;
    uint64_t requests, bytes_in, bytes_out;
};

/* ---- metrics ---- */
struct engine_stats {
    _Atomic uint64_t appends, append_bytes, append_errors, reads, read_bytes;
    _Atomic uint64_t logins, logins_failed;
    _Atomic uint64_t throttles, throttled_ms;
    _Atomic uint64_t telemetry_pushes, telemetry_refused;
};

#endif
