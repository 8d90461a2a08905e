/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside kafka/: a connection, a request on it, and how handlers answer. */
#ifndef KAFKA_KAFKA_INT_H
#define KAFKA_KAFKA_INT_H

#include <stdatomic.h>

#include "base/limits.h"
#include "base/check.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/msg.h"
#include "gen/kafka.gen.h"
#include "kafka/apis.gen.h"
#include "kafka/kafka.h"

struct fetch_cache; /* fetch_session.c */

enum {
    /* Produce requests of one connection that may wait for the disk together. */
    KAFKA_PIPELINE_MAX = LIMIT_REQUESTS_UNDER_WAY_VALUE,
    KAFKA_PIPELINE_BYTES = LIMIT_BYTES_UNDER_WAY_VALUE,
    /* Requests kept for reuse, per loop. */
    KAFKA_SPARE_MAX = 64,
};

/* A row of catalog/apis.tbl. */
struct kafka_api {
    int16_t key;
    const char *name;
    int16_t from, to;                 /* served */
    int16_t offered_from, offered_to; /* what ApiVersions says */
    void (*handle)(struct kafka_request *req);
    const struct msg_type *request, *response;
    const char *needs;
};
extern const struct kafka_api kafka_served[KAFKA_SERVED_COUNT]; /* by rising key */

/* Shared by all loops; freed when the listener and the last connection let go. */
struct kafka_door {
    struct kafka_door_config config; /* `live` aside: that is below */
    _Atomic uint32_t refs;
    _Atomic uint32_t mechanisms;
    _Atomic int64_t reauth_ms[AUTH_MECHANISM_COUNT], sasl_request_max;
    struct fetch_cache *fetch_cache;
    struct kafka_spare {
        struct list list; /* of kafka_request.link; touched by its loop only */
        uint32_t count;
    } spares[64];
};

/* Where the login of a connection is (sasl.c). */
enum kafka_login {
    KAFKA_LOGIN_BEGIN,  /* ApiVersions, then SaslHandshake */
    KAFKA_LOGIN_SECOND, /* ApiVersions was answered */
    KAFKA_LOGIN_RAW,    /* tokens without Kafka's headers */
    KAFKA_LOGIN_TOKENS, /* SaslAuthenticate */
    KAFKA_LOGIN_DONE,   /* requests; or no login is asked for */
};

/* One client. Lives until it is closed and its last request is answered. */
struct kafka_conn {
    struct kafka_door *door;
    struct conn *conn; /* NULL once closed */
    struct engine_session sess;
    struct list requests; /* unanswered ones, oldest first */
    uint32_t request_count;
    size_t request_bytes; /* of their frames */
    uint32_t holds; /* other things that borrow sess */
    bool paused;
    bool shares;  /* a share session was opened through it */
    bool silent;  /* its last request was one without an answer */
    bool held_back; /* a Produce has not begun to append yet: none may overtake it */
    struct kafka_request *running; /* its handler has not returned, and its time counts */
    struct kafka_request *held; /* read, but must wait for those before it */
    bool named; /* the principal of its certificate is known */
    /* the login */
    enum kafka_login login;
    bool again;                     /* it was logged in before */
    bool failed;                    /* its failure was counted */
    enum auth_mechanism mechanism;
    struct auth_exchange *exchange; /* NULL: none under way */
    uint64_t expires_ns;            /* 0: never */
    uint64_t again_ns;              /* when it last began to log in again */
    struct loop_timer delay;        /* of the answer to a failed login */
    struct loop_timer mute;         /* over its quota: nothing is read until then */
    struct kafka_request *delayed;
};
void kafka_conn_hold(struct kafka_conn *kc);
void kafka_conn_put(struct kafka_conn *kc);

/* Until kafka_let_go() no further request is started. The caller holds kc. */
void kafka_hold_back(struct kafka_conn *kc);
void kafka_let_go(struct kafka_conn *kc);

/* One request, from its frame to its answer. */
struct kafka_request {
    struct list link;
    struct kafka_conn *kc;
    struct engine_session *sess; /* &kc->sess */
    const struct kafka_api *api;
    int16_t version;
    int32_t correlation_id;
    struct str client_id; /* null possible; borrows the frame */
    struct slice frame;   /* a reference is held: request strings point into it */
    void *body;           /* the decoded request struct */
    struct arena arena;   /* everything of this request */
    /* The connection is gone; called once if set. Answer at once if possible. */
    void (*abandoned)(struct kafka_request *req);
    void *state; /* of the handler */

    /* the answer */
    bool answered, silent, close_after;
    uint64_t begun_ns, used_ns; /* for the quota of request time; begun 0: not counted */
    uint32_t throttle_ms; /* the connection is muted so long behind it */
    struct text out;
    struct msg_splices splices;
};

/* ---- sasl.c ---- */

void kafka_login_init(struct kafka_conn *kc);
/* Longest request before the login is over. */
size_t kafka_login_request_max(const struct kafka_conn *kc);
void kafka_login_closed(struct kafka_conn *kc);
/* May this request be answered now? False: the connection is to be closed. */
bool kafka_login_admits(struct kafka_conn *kc, struct kafka_request *req);
/* A token without headers (after a handshake of version 0). */
void kafka_login_raw(struct kafka_conn *kc, const struct slice *message);

/* dispatch.c: header and body of req->frame. False: not a request that is
 * answered; the connection is to be closed. */
bool kafka_request_decode(struct kafka_request *req);

/* ---- answering; exactly once per request ---- */

/* Encode the response and send it when those before it are out. May free req. */
void kafka_answer(struct kafka_request *req, const void *response);
/* As kafka_answer, in another version of the body (ApiVersions). */
void kafka_answer_version(struct kafka_request *req, const void *response, int version);
/* Its time so far counts against the quota; once, at the latest with the answer. */
void kafka_count_time(struct kafka_request *req);
/* No answer at all (acks=0). */
void kafka_answer_nothing(struct kafka_request *req);
/* Close the connection instead. */
void kafka_answer_close(struct kafka_request *req);

/* Record bytes in a response: send the range with it. Takes range. */
struct msg_records kafka_splice_range(struct kafka_request *req, struct log_range *range);

/* ---- helpers for handlers ---- */

static inline struct engine *
kafka_engine(const struct kafka_request *req)
{
    return req->sess->engine;
}

static inline const struct meta_view *
kafka_view(const struct kafka_request *req)
{
    return engine_view(req->sess->engine);
}

#define kafka_array(req, type, count) ox_arena_array(&(req)->arena, type, (size_t)(count))

/* A further arena that goes with the request: calls that run on other loops at
 * the same time must not share one. */
struct arena *kafka_arena(struct kafka_request *req);

/* What an answer says of an error, in the request's arena; null when there is none. Where
 * err says no more than its code does, Kafka's words for the code (words.c). */
struct str kafka_error_text(struct kafka_request *req, ox_code code, const struct ox_err *err);

/* A member of the group reads it and may describe every topic that it names:
 * OX_GROUP_AUTHORIZATION_FAILED, OX_TOPIC_AUTHORIZATION_FAILED. */
ox_code kafka_may_subscribe(struct kafka_request *req, struct str group_id,
    const struct str *topics, int32_t count);

/* Whether the leader epoch that a client believes in (-1: none) is the partition's:
 * OX_FENCED_LEADER_EPOCH, OX_UNKNOWN_LEADER_EPOCH. */
ox_code kafka_epoch_check(int32_t believed, const struct partition_state *state);

/* Which of the keys are there more than once; one value a key. Kafka answers such
 * a key once: later ones have no row. */
enum kafka_double { KAFKA_ALONE, KAFKA_FIRST_OF_MANY, KAFKA_AGAIN };
uint8_t *kafka_doubles(struct kafka_request *req, const struct str *keys, int32_t count);
/* Where each key stands for the first time: at its own index, or before. */
int32_t *kafka_firsts(struct kafka_request *req, const struct str *keys, int32_t count);

/* Start creating a topic that a client asked for in passing; outlives the
 * request. Returns OX_UNKNOWN_TOPIC_OR_PARTITION when it is under way, or why it
 * cannot be. name is valid. */
ox_code kafka_auto_create(struct kafka_request *req, struct str name);

/* Where clients of this connection reach a broker; NULL: not on this listener. */
const struct meta_listener *kafka_endpoint(struct kafka_request *req, int32_t node_id);

/* The broker that has the replica is not there, or its log directory failed. */
bool kafka_replica_offline(struct kafka_request *req, const struct meta_topic *topic,
    const struct meta_partition *part, int32_t node_id);

static inline bool
kafka_may(struct kafka_request *req, enum engine_resource type, struct str name,
    enum engine_op op)
{
    return engine_allowed(req->sess, type, name, op);
}
#define KAFKA_CLUSTER_NAME OX_STR("kafka-cluster")

/* For the whole cluster. Fails: OX_CLUSTER_AUTHORIZATION_FAILED */
ox_code kafka_may_cluster(struct kafka_request *req, enum engine_op op, struct ox_err *err);

/* A setting that Kafka does not have, or does not list, at its default: not listed unasked. */
static inline bool
kafka_config_hidden(const struct meta_config_fact *fact)
{
    const struct param *param = fact->param;
    bool dynamic = param != NULL && param->scope == PARAM_SCOPE_SERVER &&
        (param->index == PARAM_SERVER_PLAIN_SASL_JAAS_CONFIG ||
            param->index == PARAM_SERVER_LEADER_REPLICATION_THROTTLED_RATE ||
            param->index == PARAM_SERVER_FOLLOWER_REPLICATION_THROTTLED_RATE ||
            param->index == PARAM_SERVER_REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND);
    bool unlisted = dynamic || (param != NULL && param->kafka_name == NULL);
    return unlisted && fact->source == META_SOURCE_DEFAULT;
}

/* Loggers as settings of the broker (broker_loggers.c); named as the broker. */
ox_code kafka_loggers_check(struct kafka_request *req, struct str broker,
    const struct engine_config_kv *changes, uint32_t count, struct ox_err *err);
void kafka_loggers_change(const struct engine_config_kv *changes, uint32_t count);
/* Put Kafka's words into err (topic_words.c): for what is wrong with a topic or its
 * settings; with settings of any resource; with a value, if something is (true). */
void kafka_topic_words(struct kafka_request *req, struct str name,
    const struct engine_config_kv *changes, uint32_t count, struct ox_err *err);
void kafka_config_words(struct kafka_request *req, int8_t resource,
    const struct engine_config_kv *changes, uint32_t count, struct ox_err *err);
bool kafka_value_words(struct kafka_request *req, const struct param *param, struct str value,
    struct ox_err *err);

struct kafka_broker_words { /* of Kafka's refusals, which has others in each place */
    const char *kind, *unexpected, *or_else;
};
/* A broker that is named as a resource: "01" and "+1" are broker 1, *name becomes "1".
 * Fails:  OX_INVALID_REQUEST: no number, another broker */
ox_code kafka_broker_named(struct kafka_request *req, const struct kafka_broker_words *words,
    struct str *name, struct ox_err *err);
ox_code kafka_loggers_describe(struct kafka_request *req, struct str broker,
    struct meta_config_fact **out, size_t *count, struct ox_err *err);

/* Level of a feature (enum param_feature); 0: what it stands for is switched off. */
int kafka_feature(const struct kafka_request *req, int which);

/* Users, rules, quotas: all changes or none; finish() answers. Changes are
 * borrowed until this returns. */
typedef void (*kafka_changed_fn)(struct kafka_request *req, ox_code code,
    const struct ox_err *err);
void kafka_change_security(struct kafka_request *req, const struct meta_security_change *changes,
    uint32_t count, bool validate_only, kafka_changed_fn finish);

/* Topics of OffsetCommit, by name or by id; TxnOffsetCommit's have the same layout.
 * kafka_commit_topics: fills call->topics, each partition with why it is refused;
 * how many are not. kafka_commit_refuse: all, for that reason. kafka_committed_topics:
 * the answer; all: of the call. */
struct coord_offset_commit_call;
int kafka_commit_topics(struct kafka_request *req,
    const struct offset_commit_request_topics *topics, int32_t count, bool by_id,
    struct coord_offset_commit_call *call);
void kafka_commit_refuse(struct coord_offset_commit_call *call, ox_code code);
struct offset_commit_response_topics *kafka_committed_topics(struct kafka_request *req,
    const struct offset_commit_request_topics *topics,
    const struct coord_offset_commit_call *call, ox_code all);

/* ---- many engine calls for one request: counted, answered when all are in ---- */

struct kafka_wait {
    struct kafka_request *req;
    int32_t pending;
    void (*finish)(struct kafka_request *req);
};
static inline void
kafka_wait_init(struct kafka_wait *wait, struct kafka_request *req,
    void (*finish)(struct kafka_request *req))
{
    *wait = (struct kafka_wait){req, 1, finish}; /* 1: the start itself */
}
static inline void
kafka_wait_done(struct kafka_wait *wait)
{
    if (--wait->pending == 0)
        wait->finish(wait->req);
}

/* ---- fetch sessions (fetch_session.c) ---- */

struct fetch_part {
    struct str topic; /* null: by id */
    struct uuid topic_id;
    int32_t partition, current_leader_epoch, last_fetched_epoch, max_bytes;
    int64_t offset, log_start;
    /* what the client was told last; -1: nothing yet */
    int64_t told_high_watermark, told_log_start;
};

struct fetch_context {
    int32_t session_id; /* of the answer; 0: none */
    bool incremental;
    bool create; /* make a session when the answer is known */
    struct fetch_part *parts; /* in the request's arena, in order */
    int32_t part_count;
    int32_t epoch; /* of the session, after this request */
};

/* Sessions, and partitions of all of them. */
struct fetch_cache *fetch_cache_new(uint32_t slots, uint32_t parts_max);
void fetch_cache_free(struct fetch_cache *cache);
uint32_t fetch_cache_count(struct fetch_cache *cache);
/* What this request is to read. Fails: OX_FETCH_SESSION_ID_NOT_FOUND,
 * OX_INVALID_FETCH_SESSION_EPOCH, OX_FETCH_SESSION_TOPIC_ID_ERROR */
ox_code fetch_session_begin(struct fetch_cache *cache, struct kafka_request *req,
    struct fetch_context *ctx);
/* What was answered: row is NULL where ctx->parts[i] was left out. Makes the
 * session if one is to be made, and sets ctx->session_id. */
void fetch_session_end(struct fetch_cache *cache, struct kafka_request *req,
    struct fetch_context *ctx,
    struct fetch_response_responses_partitions *const *rows);

#endif
