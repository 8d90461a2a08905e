/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking over the directory of a single Kafka node (KRaft, 4.x): its topics with
 * their ids, settings, users, access rules, quotas and tokens become entries of a
 * metadata log of ours. Partitions stay where and as they are; __consumer_offsets
 * and the other internal topics are topics like any.
 *
 *   DIR/.lock               held meanwhile: Kafka is not running
 *   DIR/oxbow-takeover/     raft.db grows here; left by a crash, it is begun anew
 *   DIR/raft.db             renamed to here when it is whole
 *
 * 1. Nothing of Kafka's is changed or removed, but that meta.properties of a Kafka
 *    before 3.7 gets a directory id when all else is done; until the rename the
 *    directory is Kafka's, and Kafka may start on it again.
 * 2. Leaders' epochs go on above Kafka's: clients refuse metadata that goes back.
 * 3. Producer ids go on far above Kafka's. A Kafka that runs on the directory later goes on
 *    with its own: the partitions would take a new producer of an id that we gave before for
 *    the old one, and its records for records that they have. */
#include "meta/meta_int.h"

#include <stdio.h>

#include "meta/sqlite.h"

enum { CHANGES_AT_ONCE = 500 };

struct takeover {
    const struct meta_config *config;
    const struct env *env;
    struct meta_kafka kafka;
    struct meta_identity who;
    bool id_made; /* directory_id of who: Kafka's file has none */
    struct meta *meta; /* the new one */
    struct arena arena;
    uint32_t skipped; /* settings that have no meaning here */
    char folder[4200];
};

/* ---- one command after the other ---- */

struct proposal {
    struct meta_call call;
    bool answered;
};

static void
answered(struct meta_call *call)
{
    ox_container_of(call, struct proposal, call)->answered = true;
}

static ox_code
propose(struct takeover *takeover, struct meta_command *cmd, struct ox_err *err)
{
    struct proposal proposal = {.call.done = answered};
    ox_code code = meta_propose(takeover->meta, &proposal.call, cmd, err);
    if (code != OX_OK)
        return code;
    while (!proposal.answered)
        meta_turn(takeover->meta);
    if (proposal.call.code != OX_OK && err != NULL)
        *err = proposal.call.err;
    return proposal.call.code;
}

/* ---- topics ---- */

static ox_code
check_topics(struct takeover *takeover, struct ox_err *err)
{
    uint32_t at = 0;
    for (struct map_entry *e; (e = ox_map_next(&takeover->kafka.topics, &at)) != NULL;) {
        const struct meta_kafka_topic *topic = e->value;
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            if (topic->partitions[i].leader_epoch < 0)
                return ox_fail(err, OX_DATA_CORRUPTED, "Kafka's metadata has no partition %u of "
                    "topic \"%.*s\"", i, OX_STR_ARG(topic->name));
            if (!topic->partitions[i].foreign)
                continue;
            ox_code code = ox_fail(err, OX_FEATURE_NOT_SUPPORTED,
                "partition %u of topic \"%.*s\" has replicas on other nodes", i,
                OX_STR_ARG(topic->name));
            ox_hint(err, "The directory of a single node can be taken over. Nothing was changed.");
            return code;
        }
    }
    return OX_OK;
}

/* Whether our server would take the setting; it is left out, loudly, if not. */
static bool
has_meaning(struct takeover *takeover, const struct meta_kafka_config *config)
{
    struct meta_config_change change = {config->name, config->value, META_CONFIG_SET};
    struct meta_config_item *items;
    uint32_t count;
    struct ox_err err;
    if (config->resource != META_RESOURCE_TOPIC && config->resource != META_RESOURCE_BROKER &&
        config->resource != META_RESOURCE_CLIENT_METRICS &&
        config->resource != META_RESOURCE_GROUP && config->resource != META_RESOURCE_FEATURE)
        return false;
    ox_code code = meta_validate_config_changes(NULL, config->resource, false, &change, 1,
        &takeover->arena, &items, &count, &err);
    if (code == OX_OK)
        return true;
    ox_warn("a setting of Kafka's has no meaning here", "object=\"%.*s\" name=\"%.*s\" reason=\"%s\"",
        OX_STR_ARG(config->object), OX_STR_ARG(config->name), err.message);
    takeover->skipped++;
    return false;
}

static const struct meta_config_change *
configs_of(struct takeover *takeover, int8_t resource, struct str object, uint32_t *count)
{
    struct map *configs = &takeover->kafka.configs;
    struct meta_config_change *changes =
        ox_arena_array(&takeover->arena, struct meta_config_change, configs->count + 1);
    uint32_t at = 0;
    *count = 0;
    for (struct map_entry *e; (e = ox_map_next(configs, &at)) != NULL;) {
        const struct meta_kafka_config *config = e->value;
        if (config->resource == resource && ox_str_eq(config->object, object) &&
            has_meaning(takeover, config))
            changes[(*count)++] =
                (struct meta_config_change){config->name, config->value, META_CONFIG_SET};
    }
    return changes;
}

static ox_code
make_topic(struct takeover *takeover, const struct meta_kafka_topic *topic, struct ox_err *err)
{
    uint32_t count = topic->partition_count;
    struct meta_assignment *assignments =
        ox_arena_array(&takeover->arena, struct meta_assignment, count);
    int32_t *epochs = ox_arena_array(&takeover->arena, int32_t, count);
    struct meta_command cmd = {.kind = META_TOPIC_CREATE};
    for (uint32_t i = 0; i < count; i++) {
        assignments[i] = (struct meta_assignment){&takeover->who.node_id, 1};
        epochs[i] = topic->partitions[i].leader_epoch + 1;
    }
    cmd.topic_create.name = topic->name;
    cmd.topic_create.id = topic->id;
    cmd.topic_create.owner = OX_STR_NULL;
    cmd.topic_create.comment = OX_STR_NULL;
    cmd.topic_create.assignments = assignments;
    cmd.topic_create.partition_count = count;
    cmd.topic_create.configs =
        configs_of(takeover, META_RESOURCE_TOPIC, topic->name, &cmd.topic_create.config_count);
    ox_code code = propose(takeover, &cmd, err);
    if (code != OX_OK)
        return code;
    struct meta_command numbers = {.kind = META_TAKEN_OVER,
        .taken_over = {topic->id, epochs, count, -1}};
    return propose(takeover, &numbers, err);
}

static ox_code
make_topics(struct takeover *takeover, struct ox_err *err)
{
    uint32_t at = 0;
    ox_code code = OX_OK;
    for (struct map_entry *e;
         code == OX_OK && (e = ox_map_next(&takeover->kafka.topics, &at)) != NULL;) {
        const struct meta_kafka_topic *topic = e->value;
        if (topic->partition_count > 0)
            code = make_topic(takeover, topic, err);
        ox_arena_reset(&takeover->arena);
    }
    return code;
}

/* A feature that Kafka's log does not speak of is switched off there. */
static ox_code
make_features(struct takeover *takeover, struct ox_err *err)
{
    struct meta_config_change changes[PARAM_FEATURE_COUNT];
    struct meta_command cmd = {.kind = META_CONFIG_ALTER};
    cmd.config_alter.resource = META_RESOURCE_FEATURE;
    cmd.config_alter.name = OX_STR(META_FEATURES);
    cmd.config_alter.changes = changes;
    for (int i = 0; i < PARAM_FEATURE_COUNT; i++) {
        const struct param *param = param_at(PARAM_SCOPE_FEATURE, i);
        if (param->min <= 0)
            changes[cmd.config_alter.change_count++] = (struct meta_config_change){
                ox_str(param->kafka_name), OX_STR("0"), META_CONFIG_SET};
    }
    return propose(takeover, &cmd, err);
}

/* Settings of brokers, groups and client metrics, an object at a time. */
static ox_code
make_settings(struct takeover *takeover, struct ox_err *err)
{
    struct map *configs = &takeover->kafka.configs, seen;
    uint32_t at = 0;
    ox_code code = OX_OK;
    ox_map_init(&seen);
    for (struct map_entry *e; code == OX_OK && (e = ox_map_next(configs, &at)) != NULL;) {
        const struct meta_kafka_config *config = e->value;
        char key[16];
        snprintf(key, sizeof(key), "%d:", config->resource);
        const char *object =
            ox_arena_printf(&takeover->arena, "%s%.*s", key, OX_STR_ARG(config->object));
        if (config->resource == META_RESOURCE_TOPIC ||
            ox_map_put(&seen, ox_str(object), e->value) != NULL)
            continue;
        struct meta_command cmd = {.kind = META_CONFIG_ALTER};
        cmd.config_alter.resource = config->resource;
        cmd.config_alter.name = config->object;
        cmd.config_alter.changes = configs_of(takeover, config->resource, config->object,
            &cmd.config_alter.change_count);
        if (cmd.config_alter.change_count > 0)
            code = propose(takeover, &cmd, err);
    }
    ox_map_fini(&seen);
    return code;
}

/* ---- users and what they may ---- */

static ox_code
make_security_of(struct takeover *takeover, const struct map *map, enum meta_security_kind kind,
    struct ox_err *err)
{
    struct meta_security_change *changes =
        ox_arena_array(&takeover->arena, struct meta_security_change, CHANGES_AT_ONCE);
    struct meta_command cmd = {.kind = META_SECURITY, .security = {changes, 0}};
    uint32_t at = 0;
    ox_code code = OX_OK;
    for (struct map_entry *e; code == OX_OK && (e = ox_map_next(map, &at)) != NULL;) {
        struct meta_security_change *change = &changes[cmd.security.change_count++];
        *change = (struct meta_security_change){.kind = (int8_t)kind};
        if (kind == META_SCRAM_PUT)
            change->scram = *(const struct meta_scram *)e->value;
        else if (kind == META_ACL_ADD)
            change->acl = *(const struct meta_acl *)e->value;
        else if (kind == META_QUOTA_SET)
            change->quota = *(const struct meta_quota *)e->value;
        else
            change->token = *(const struct meta_token *)e->value;
        if (cmd.security.change_count < CHANGES_AT_ONCE)
            continue;
        code = propose(takeover, &cmd, err);
        cmd.security.change_count = 0;
    }
    return code == OX_OK && cmd.security.change_count > 0 ? propose(takeover, &cmd, err) : code;
}

static ox_code
make_security(struct takeover *takeover, struct ox_err *err)
{
    struct meta_kafka *kafka = &takeover->kafka;
    ox_code code = make_security_of(takeover, &kafka->scrams, META_SCRAM_PUT, err);
    if (code == OX_OK)
        code = make_security_of(takeover, &kafka->acls, META_ACL_ADD, err);
    if (code == OX_OK)
        code = make_security_of(takeover, &kafka->quotas, META_QUOTA_SET, err);
    if (code == OX_OK)
        code = make_security_of(takeover, &kafka->tokens, META_TOKEN_PUT, err);
    return code;
}

/* ---- the new log ---- */

/* Partitions can only be given to a broker that is known; the server says
 * where it listens when it starts. */
static ox_code
make_broker(struct takeover *takeover, struct ox_err *err)
{
    struct meta_command cmd = {.kind = META_BROKER_REGISTER};
    cmd.broker_register.node_id = takeover->who.node_id;
    cmd.broker_register.directory_id = takeover->who.directory_id;
    cmd.broker_register.rack = OX_STR_NULL;
    cmd.broker_register.fenced = true;
    return propose(takeover, &cmd, err);
}

/* Later takeovers of the directory have higher ones; of 2^53, which all clients can
 * count to, a fifth is used up. */
static int64_t
first_producer_id(const struct takeover *takeover)
{
    return OX_MAX(takeover->kafka.producer_id_next, env_wall_ms(takeover->env) * 1000);
}

static ox_code
make_all(struct takeover *takeover, struct ox_err *err)
{
    struct meta_command numbers = {.kind = META_TAKEN_OVER,
        .taken_over = {.producer_id_next = first_producer_id(takeover)}};
    ox_code code = make_broker(takeover, err);
    if (code == OX_OK)
        code = make_topics(takeover, err);
    if (code == OX_OK)
        code = make_features(takeover, err);
    if (code == OX_OK)
        code = make_settings(takeover, err);
    if (code == OX_OK)
        code = make_security(takeover, err);
    if (code == OX_OK)
        code = propose(takeover, &numbers, err);
    return code;
}

static void
remove_folder(struct takeover *takeover)
{
    struct file_system *fs = takeover->env->fs;
    struct file_name *names;
    size_t count = 0;
    if (fs_list(fs, takeover->folder, &takeover->arena, &names, &count, NULL) != OX_OK)
        return;
    for (size_t i = 0; i < count; i++)
        fs_unlink(fs, "meta.takeover",
            ox_arena_printf(&takeover->arena, "%s/%s", takeover->folder, names[i].name), NULL);
    fs_rmdir(fs, "meta.takeover", takeover->folder, NULL);
}

static ox_code
write_log(struct takeover *takeover, struct ox_err *err)
{
    struct file_system *fs = takeover->env->fs;
    struct meta_config config = {.dir = takeover->folder, .node_id = takeover->who.node_id,
        .cluster_id = takeover->who.cluster_id, .directory_id = &takeover->who.directory_id,
        .format = true, .manual = true};
    remove_folder(takeover);
    ox_code code = fs_mkdir(fs, "meta.takeover", takeover->folder, err);
    if (code == OX_OK)
        code = meta_open(&config, takeover->env, &takeover->meta, err);
    if (code != OX_OK)
        return code;
    while (!takeover->meta->image.view.pub.ready && meta_turn(takeover->meta))
        continue;
    code = make_all(takeover, err);
    if (code == OX_OK)
        code = meta_health(takeover->meta, err);
    meta_close(takeover->meta);
    return code;
}

static ox_code
publish(struct takeover *takeover, struct ox_err *err)
{
    const char *dir = takeover->config->dir;
    struct arena *arena = &takeover->arena;
    return meta_sqlite_publish(takeover->env, "meta.takeover",
        ox_arena_printf(arena, "%s/raft.db", takeover->folder), dir,
        ox_arena_printf(arena, "%s/raft.db", dir), err);
}

/* Who the directory is; a Kafka before 3.7 gave it no id. It gets it when nothing else can
 * stop the takeover. */
static ox_code
take_identity(struct takeover *takeover, struct ox_err *err)
{
    const char *dir = takeover->config->dir;
    ox_code code = meta_identity_read(takeover->env->fs, dir, &takeover->who, err);
    if (code != OX_OK || !ox_uuid_is_zero(&takeover->who.directory_id))
        return code;
    env_random(takeover->env, takeover->who.directory_id.bytes, sizeof(struct uuid));
    takeover->who.directory_id.bytes[0] &= 0x7f; /* does not print as '-' */
    takeover->id_made = true;
    return OX_OK;
}

static ox_code
take_over_locked(struct takeover *takeover, struct ox_err *err)
{
    const struct meta_kafka *kafka = &takeover->kafka;
    ox_code code = take_identity(takeover, err);
    if (code != OX_OK)
        return code;
    meta_kafka_init(&takeover->kafka, takeover->who.node_id);
    code = meta_kafka_read(&takeover->kafka, takeover->env->fs, takeover->config->dir, err);
    if (code == OX_OK)
        code = check_topics(takeover, err);
    if (code == OX_OK)
        code = write_log(takeover, err);
    if (code == OX_OK)
        code = meta_kafka_mark_write(&takeover->kafka, takeover->env->fs, takeover->config->dir,
            err);
    if (code == OX_OK && takeover->id_made)
        code = meta_identity_write(takeover->env->fs, takeover->config->dir, &takeover->who, err);
    if (code == OX_OK)
        code = publish(takeover, err);
    if (code == OX_OK)
        ox_info("the directory of a Kafka node was taken over",
            "dir=%s metadata_offset=%lld topics=%u settings=%u settings_skipped=%u users=%u "
            "acls=%u quotas=%u tokens=%u",
            takeover->config->dir, (long long)kafka->end_offset, kafka->topics.count,
            kafka->configs.count, takeover->skipped, kafka->scrams.count, kafka->acls.count,
            kafka->quotas.count, kafka->tokens.count);
    remove_folder(takeover);
    meta_kafka_fini(&takeover->kafka);
    return code;
}

ox_code
meta_take_over(const struct meta_config *config, const struct env *env, struct ox_err *err)
{
    struct takeover takeover = {.config = config, .env = env};
    struct file *lock;
    ox_arena_init(&takeover.arena);
    snprintf(takeover.folder, sizeof(takeover.folder), "%s/oxbow-takeover", config->dir);
    ox_code code = fs_open(env->fs, "meta.takeover",
        ox_arena_printf(&takeover.arena, "%s/.lock", config->dir),
        FILE_READ | FILE_WRITE | FILE_CREATE, &lock, err);
    if (code == OX_OK) {
        code = fs_lock(env->fs, lock, err);
        if (code == OX_LOCK_HELD)
            ox_fail(err, OX_LOCK_HELD, "a Kafka server uses \"%s\"", config->dir);
        if (code == OX_OK)
            code = take_over_locked(&takeover, err);
        fs_close(env->fs, lock);
    }
    ox_arena_fini(&takeover.arena);
    return code;
}
