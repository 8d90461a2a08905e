/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside engine/. */
#ifndef ENGINE_ENGINE_INT_H
#define ENGINE_ENGINE_INT_H

#include "coord/coord.h"
#include "engine/engine.h"

struct announced;
struct telemetry;

struct engine {
    struct engine_config config;
    const struct env *env;
    struct coord *coord;
    struct coord_host *coord_host;
    struct coord *txns;
    struct coord_host *txn_host;
    struct coord *states; /* of share groups */
    struct coord_host *state_host;
    struct share *share;
    struct announced *announced; /* consume.c */
    struct engine_stats stats;
    struct telemetry *telemetry;
    void *attachment;
    _Atomic bool stopping;
    _Atomic uint64_t seed; /* of placement */
    uint64_t decision_seed[2];
    struct login_state *login; /* logins.c */
    struct quotas *quotas;     /* quota.c */
    struct hosts *hosts;       /* hosts.c */
    struct dead_letter_counts *dead_letters; /* dead_letters.c */
    uint64_t tokens_looked_ns; /* tokens.c; of one thread */
    engine_broker_check_fn broker_check;
    void *broker_check_arg;
};

/* Work for a worker, asked for by a thread that need not be a loop's. done() is called on a
 * loop. Any thread. */
struct engine_errand {
    struct loop_msg msg;
    struct pool_job job;
};
void engine_errand_send(struct engine *engine, struct engine_errand *errand,
    void (*work)(struct pool_job *job), void (*done)(struct pool_job *job));

/* consume.c: group coordinators on the partitions of __consumer_offsets. */
ox_code engine_groups_start(struct engine *engine, struct ox_err *err);
void engine_groups_quiesce(struct engine *engine);
void engine_groups_stop(struct engine *engine);

/* dead_letters.c: writes what a share group gave up; a share_bury_fn. */
struct share_burial;
void engine_dead_letters(void *engine, struct share_burial *burial);
void engine_dead_letters_start(struct engine *engine);
void engine_dead_letters_stop(struct engine *engine);

/* What became of a group's records since the start; group_id empty: of the
 * groups beyond those that are counted apart. Any thread. */
struct dead_letter_count {
    struct str group_id;
    uint64_t records, appends, failures;
};
struct dead_letter_count *engine_dead_letter_counts(struct engine *engine, struct arena *arena,
    size_t *count);

void engine_quotas_start(struct engine *engine);
void engine_quotas_stop(struct engine *engine);

void engine_hosts_start(struct engine *engine);
/* Nothing more is looked up. Any thread. */
void engine_hosts_quiesce(struct engine *engine);
void engine_hosts_stop(struct engine *engine);
/* Is that the address of the name, as far as it is known? Any thread. */
bool engine_host_is(struct engine *engine, struct str name, struct str address);

void engine_logins_start(struct engine *engine);
void engine_logins_stop(struct engine *engine);

/* config_check.c: what meta/ does not look at. Fails: OX_INVALID_CONFIG,
 * OX_INVALID_REQUEST */
ox_code engine_config_check(struct engine_config_alter *call);

struct telemetry *telemetry_new(void);
void telemetry_free(struct telemetry *telemetry);

/* All that clients pushed, in Prometheus' text. */
void engine_telemetry_text(struct engine *engine, struct text *out);

/* telemetry.c: by which facts subscriptions choose clients; -1: none of that name. */
int engine_telemetry_key(struct str name);

/* The topic by name or id, after authorising. Kafka's order: a principal without
 * rights learns nothing about what exists. */
ox_code engine_find_topic(struct engine_session *sess, struct str name, const struct uuid *id,
    enum engine_op op, const struct meta_topic **out, struct ox_err *err);

#endif
