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
    ox_code code = engine_groups_start(engine, err);
    if (code != OX_OK) {
        ox_free(engine);
        return code;
    }
    *out = engine;
    return OX_OK;
}

void
engine_quiesce(struct engine *engine)
{
    atomic_store(&engine->stopping, true);
    engine_groups_quiesce(engine);
}

void
engine_stop(struct engine *engine)
{
    engine_groups_stop(engine);
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
engine_allowed(struct engine_session *sess, enum engine_resource type, struct str name,
    enum engine_op op)
{
    /* Only loopback listeners without authentication exist, and those trust
     * everybody, as PostgreSQL's trust and Kafka's PLAINTEXT do. */
    (void)sess;
    (void)type;
    (void)name;
    (void)op;
    return true;
}

int32_t
engine_allowed_mask(struct engine_session *sess, enum engine_resource type, struct str name)
{
    static const struct {
        enum engine_resource type;
        uint8_t ops[9];
    } valid[] = {
        {ENGINE_TOPIC, {ENGINE_READ, ENGINE_WRITE, ENGINE_CREATE, ENGINE_DESCRIBE, ENGINE_DELETE,
                           ENGINE_ALTER, ENGINE_DESCRIBE_CONFIGS, ENGINE_ALTER_CONFIGS}},
        {ENGINE_GROUP, {ENGINE_READ, ENGINE_DESCRIBE, ENGINE_DELETE, ENGINE_DESCRIBE_CONFIGS,
                           ENGINE_ALTER_CONFIGS}},
        {ENGINE_CLUSTER, {ENGINE_CREATE, ENGINE_CLUSTER_ACTION, ENGINE_DESCRIBE_CONFIGS,
                             ENGINE_ALTER_CONFIGS, ENGINE_IDEMPOTENT_WRITE, ENGINE_ALTER,
                             ENGINE_DESCRIBE}},
        {ENGINE_TRANSACTIONAL_ID, {ENGINE_DESCRIBE, ENGINE_WRITE}},
    };
    int32_t mask = 0;
    for (size_t i = 0; i < ox_count(valid); i++)
        for (int j = 0; valid[i].type == type && valid[i].ops[j] != 0; j++)
            if (engine_allowed(sess, type, name, valid[i].ops[j]))
                mask |= 1 << valid[i].ops[j];
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

struct engine_stats *
engine_stats(struct engine *engine)
{
    return &engine->stats;
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
    if (facts->leader != sess->engine->config.node_id)
        return ox_fail(err, OX_NOT_LEADER, "node %d does not lead partition %d of topic \"%s\"",
            sess->engine->config.node_id, index, topic->name.ptr);
    *out = replica_partition(sess->engine->config.replica, &topic->id, index);
    if (*out == NULL || partition_log(*out) == NULL)
        return ox_fail(err, OX_STORAGE_ERROR, "partition %d of topic \"%s\" is not open", index,
            topic->name.ptr);
    return OX_OK;
}
