/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of the engine, sessions, and who may do what. */
#include "engine/engine_int.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"

ox_code
engine_start(const struct engine_config *config, const struct env *env, struct engine **out,
    struct ox_err *err)
{
    struct engine *engine = ox_calloc(1, sizeof(*engine));
    engine->config = *config;
    engine->env = env;
    uint64_t seed;
    env_random(env, &seed, sizeof(seed));
    atomic_store(&engine->seed, seed);
    env_random(env, engine->decision_seed, sizeof(engine->decision_seed));
    engine->telemetry = telemetry_new();
    engine_quotas_start(engine);
    engine_hosts_start(engine);
    engine_logins_start(engine);
    ox_code code = engine_groups_start(engine, err);
    if (code != OX_OK) {
        engine_logins_stop(engine);
        engine_quotas_stop(engine);
        engine_hosts_stop(engine);
        telemetry_free(engine->telemetry);
        ox_free(engine);
        return code;
    }
    *out = engine;
    return OX_OK;
}

static void
errand_begin(struct loop_msg *msg)
{
    loop_pool_submit(loop_self(), &ox_container_of(msg, struct engine_errand, msg)->job);
}

void
engine_errand_send(struct engine *engine, struct engine_errand *errand,
    void (*work)(struct pool_job *job), void (*done)(struct pool_job *job))
{
    errand->job.work = work;
    errand->job.done = done;
    errand->msg.fn = errand_begin;
    loop_post(loop_at(engine->config.loops, 0), &errand->msg);
}

void
engine_quiesce(struct engine *engine)
{
    atomic_store(&engine->stopping, true);
    engine_hosts_quiesce(engine);
    engine_groups_quiesce(engine);
}

void
engine_stop(struct engine *engine)
{
    engine_groups_stop(engine);
    engine_logins_stop(engine);
}

void
engine_free(struct engine *engine)
{
    engine_quotas_stop(engine);
    engine_hosts_stop(engine);
    telemetry_free(engine->telemetry);
    ox_free(engine->attachment);
    ox_free(engine);
}

/* ---- sessions ---- */

void
engine_session_init(struct engine_session *sess, struct engine *engine, struct loop *loop,
    const char *door, const char *listener, const char *host, uint64_t conn_id)
{
    memset(sess, 0, sizeof(*sess));
    sess->engine = engine;
    sess->loop = loop;
    sess->door = door;
    sess->listener = listener;
    sess->conn_id = conn_id;
    sess->started_ms = loop_wall_ms(loop);
    snprintf(sess->principal, sizeof(sess->principal), "User:ANONYMOUS");
    snprintf(sess->host, sizeof(sess->host), "%s", host);
}

bool
engine_authorizes(struct engine *engine)
{
    const char *name = engine_settings(engine)->authorizer_class_name;
    return name != NULL && name[0] != 0;
}

/* Is the principal an item of a list with semicolons? */
static bool
names_principal(const char *list, const char *principal)
{
    size_t len = strlen(principal);
    for (const char *at = list; at != NULL && *at != 0;) {
        at += strspn(at, "; ");
        size_t item = strcspn(at, ";");
        size_t trimmed = item;
        while (trimmed > 0 && at[trimmed - 1] == ' ')
            trimmed--;
        if (trimmed == len && memcmp(at, principal, len) == 0)
            return true;
        at += item;
    }
    return false;
}

bool
engine_is_super(const struct engine_session *sess)
{
    const struct meta_view *view = engine_view(sess->engine);
    if (sess->internal || names_principal(view->settings->super_users, sess->principal))
        return true;
    if (strncmp(sess->principal, "User:", 5) != 0)
        return false;
    const struct meta_role *role = meta_security_role(view->security, ox_str(sess->principal + 5));
    return role != NULL && (role->flags & META_ROLE_SUPERUSER) != 0;
}

static struct auth_question
question_of(const struct engine_session *sess, enum engine_resource type, struct str name,
    enum engine_op op)
{
    return (struct auth_question){ox_str(sess->principal), ox_str(sess->host), (int8_t)type,
        (int8_t)op, name};
}

static bool
decide(const struct engine_session *sess, const struct meta_view *view, enum engine_resource type,
    struct str name, enum engine_op op)
{
    if (engine_is_super(sess))
        return true;
    struct auth_question question = question_of(sess, type, name, op);
    switch (auth_ask(view->security, &question)) {
    case AUTH_IS_ALLOWED:
        return true;
    case AUTH_IS_DENIED:
        return false;
    case AUTH_NO_RULE:
        break;
    }
    return view->settings->allow_everyone_if_no_acl_found;
}

enum { DECISIONS = 32 };

struct engine_decision {
    uint64_t key[2];
    uint64_t rules; /* version of the rules it holds for */
    bool allowed;
};

/* Questions come again and again: the last answers are kept under a keyed hash
 * of the question for as long as the rules stay as they are. */
bool
engine_allowed(struct engine_session *sess, enum engine_resource type, struct str name,
    enum engine_op op)
{
    struct engine *engine = sess->engine;
    if (!engine_authorizes(engine))
        return true;
    const struct meta_view *view = engine_view(engine);
    uint64_t what = (uint64_t)type << 32 | (uint64_t)op;
    const char *ptr = name.ptr != NULL ? name.ptr : "";
    uint64_t key[2] = {ox_hash(ptr, name.len, engine->decision_seed[0] ^ what),
        ox_hash(ptr, name.len, engine->decision_seed[1] + what)};
    if (sess->decisions == NULL)
        sess->decisions = ox_calloc(DECISIONS, sizeof(*sess->decisions));
    struct engine_decision *known = &sess->decisions[key[0] % DECISIONS];
    if (known->rules == view->security->version + 1 && known->key[0] == key[0] &&
        known->key[1] == key[1])
        return known->allowed;
    *known = (struct engine_decision){{key[0], key[1]}, view->security->version + 1,
        decide(sess, view, type, name, op)};
    return known->allowed;
}

bool
engine_allowed_of(const struct engine_session *copy, enum engine_resource type,
    struct str name, enum engine_op op)
{
    return !engine_authorizes(copy->engine) ||
           decide(copy, engine_view(copy->engine), type, name, op);
}

bool
engine_allowed_any(struct engine_session *sess, enum engine_resource type, enum engine_op op)
{
    if (engine_allowed(sess, type, OX_STR("hardcode"), op))
        return true;
    struct auth_question question = question_of(sess, type, OX_STR_NULL, op);
    return auth_ask_any(engine_view(sess->engine)->security, &question);
}

int32_t
engine_allowed_mask(struct engine_session *sess, enum engine_resource type, struct str name)
{
    uint32_t operations = auth_operations(type);
    int32_t mask = 0;
    for (int op = ENGINE_READ; op <= ENGINE_TWO_PHASE_COMMIT; op++)
        if ((operations & (UINT32_C(1) << op)) != 0 &&
            engine_allowed(sess, type, name, (enum engine_op)op))
            mask |= 1 << op;
    return mask;
}

/* ---- what there is ---- */

const struct meta_view *
engine_view(struct engine *engine)
{
    return replica_view(engine->config.replica);
}

const struct server_config *
engine_settings(struct engine *engine)
{
    return engine_view(engine)->settings;
}

struct meta *
engine_meta(struct engine *engine)
{
    return engine->config.meta;
}

struct replica *
engine_replica(struct engine *engine)
{
    return engine->config.replica;
}

struct coord *
engine_coord(struct engine *engine)
{
    return engine->coord;
}

struct coord *
engine_states(struct engine *engine)
{
    return engine->states;
}

struct share *
engine_share(struct engine *engine)
{
    return engine->share;
}

struct coord *
engine_txns(struct engine *engine)
{
    return engine->txns;
}

void **
engine_attachment(struct engine *engine)
{
    return &engine->attachment;
}

struct net *
engine_net(struct engine *engine)
{
    return engine->config.net;
}

const struct env *
engine_env(const struct engine *engine)
{
    return engine->env;
}

struct loop_group *
engine_loops(struct engine *engine)
{
    return engine->config.loops;
}

int32_t
engine_node_id(const struct engine *engine)
{
    return engine->config.node_id;
}

ox_code
engine_find_topic(struct engine_session *sess, struct str name, const struct uuid *id,
    enum engine_op op, const struct meta_topic **out, struct ox_err *err)
{
    const struct meta_view *view = engine_view(sess->engine);
    const struct meta_topic *topic;
    if (name.ptr != NULL) {
        if (!engine_allowed(sess, ENGINE_TOPIC, name, op))
            return ox_fail(err, OX_TOPIC_AUTHORIZATION_FAILED,
                "permission denied for topic \"%.*s\"", OX_STR_ARG(name));
        topic = meta_view_topic(view, name);
        if (topic == NULL)
            return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION, "topic \"%.*s\" does not exist",
                OX_STR_ARG(name));
    } else {
        char text[23];
        ox_uuid_to_base64(id, text);
        topic = meta_view_topic_by_id(view, id);
        if (topic == NULL)
            return ox_fail(err, OX_UNKNOWN_TOPIC_ID, "topic id %s does not exist", text);
        if (!engine_allowed(sess, ENGINE_TOPIC, topic->name, op))
            return ox_fail(err, OX_TOPIC_AUTHORIZATION_FAILED,
                "permission denied for topic id %s", text);
    }
    *out = topic;
    return OX_OK;
}

ox_code
engine_partition(struct engine_session *sess, struct str name, const struct uuid *topic_id,
    int32_t index, enum engine_op op, struct partition **out, struct ox_err *err)
{
    const struct meta_topic *topic;
    ox_code code = engine_find_topic(sess, name, topic_id, op, &topic, err);
    if (code != OX_OK)
        return code;
    const struct meta_partition *facts = meta_topic_partition(topic, index);
    if (facts == NULL)
        return ox_fail(err, OX_UNKNOWN_TOPIC_OR_PARTITION,
            "topic \"%s\" has no partition %d", topic->name.ptr, index);
    /* One that is offline has lost its leader, but not its place: that is the better answer. */
    *out = replica_partition(sess->engine->config.replica, &topic->id, index);
    bool offline = *out == NULL || partition_offline(*out);
    if (facts->leader != sess->engine->config.node_id && (*out == NULL || !offline))
        return ox_fail(err, OX_NOT_LEADER, "node %d does not lead partition %d of topic \"%s\"",
            sess->engine->config.node_id, index, topic->name.ptr);
    if (offline)
        return ox_fail(err, OX_STORAGE_ERROR, "partition %d of topic \"%s\" is not open, or its "
            "log directory is offline", index, topic->name.ptr);
    return OX_OK;
}
