/* SPDX-License-Identifier: Apache-2.0
 *
 * Topics and settings: authorise, complete what the caller left open (number of
 * partitions, placement, ids), check against the view, propose to meta/, answer
 * on the caller's loop.
 *
 *   loop: engine_x() -> meta_propose => meta thread: commit, apply, publish
 *   loop: done(call) <- loop_post    <= done(meta_call)
 *
 * A command that would be refused by the current view is refused at once; apply
 * has the last word, since another command may have come first. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "engine/engine_int.h"

static void
admin_init(struct engine_admin *call)
{
    ox_arena_init(&call->arena);
    call->loop = call->sess->loop;
    call->code = OX_OK;
    call->finish = NULL;
    memset(&call->err, 0, sizeof(call->err));
    ox_assert(loop_is(call->loop));
}

void
engine_admin_fini(struct engine_admin *call)
{
    ox_arena_fini(&call->arena);
}

static void
admin_answer(struct loop_msg *msg)
{
    struct engine_admin *call = ox_container_of(msg, struct engine_admin, msg);
    if (call->finish != NULL)
        call->finish(call);
    call->done(call);
}

/* On the meta thread. */
static void
admin_committed(struct meta_call *meta)
{
    struct engine_admin *call = ox_container_of(meta, struct engine_admin, meta);
    call->code = meta->code;
    call->err = meta->err;
    call->msg.fn = admin_answer;
    loop_post(call->loop, &call->msg);
}

/* Check or propose; true: finished. */
static bool
admin_submit(struct engine_admin *call, const struct meta_command *cmd, bool validate_only)
{
    struct engine *engine = call->sess->engine;
    call->code = meta_check(engine_view(engine), cmd, &call->err);
    if (call->code != OX_OK || validate_only)
        return true;
    call->meta.done = admin_committed;
    ox_code code = meta_propose(engine->config.meta, &call->meta, cmd, &call->err);
    if (code != OX_OK)
        call->code = code; /* else it is the meta thread's by now */
    return code != OX_OK;
}

static bool
admin_refuse(struct engine_admin *call, ox_code code)
{
    call->code = code;
    return true;
}

/* Only what would be done counts against the quota. */
static ox_code
admin_mutate(struct engine_admin *call, const struct meta_command *cmd, int64_t partitions,
    bool free, bool late)
{
    if (free || !engine_quota_applies(call->sess, ENGINE_QUOTA_MUTATION) ||
        meta_check(engine_view(call->sess->engine), cmd, NULL) != OX_OK)
        return OX_OK;
    return engine_quota_mutate(call->sess, (double)partitions, !late, &call->err);
}

static struct meta_config_change *
copy_changes(struct engine_admin *call, const struct engine_config_kv *from, uint32_t count)
{
    struct meta_config_change *changes =
        ox_arena_array(&call->arena, struct meta_config_change, count);
    for (uint32_t i = 0; i < count; i++)
        changes[i] = (struct meta_config_change){from[i].name, from[i].value, from[i].op};
    return changes;
}

/* ---- create ---- */

/* Is there a directory for a new partition? chosen: this node was named for it. */
static ox_code
check_room(struct engine *engine, bool chosen, struct ox_err *err)
{
    if (!replica_dir_cordoned(engine->config.replica, NULL))
        return OX_OK;
    if (chosen)
        return ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT, "The manual partition assignment "
            "includes broker %d, but all its log directories are cordoned.",
            engine->config.node_id);
    return ox_fail(err, OX_INVALID_REPLICATION_FACTOR,
        "All brokers are currently fenced, or have all their log directories cordoned.");
}

/* Number of partitions and replicas, explicit or by default, and where. */
static ox_code
choose_placement(struct engine_topic_create *call, struct meta_command *cmd)
{
    struct engine *engine = call->admin.sess->engine;
    const struct meta_view *view = engine_view(engine);
    struct ox_err *err = &call->admin.err;
    if (call->assignment_count > 0) {
        if (call->partitions != -1 || call->replication_factor != -1)
            return ox_fail(err, OX_INVALID_REQUEST, "both an assignment and a number of partitions "
                "or replicas are given for topic \"%.*s\"", OX_STR_ARG(call->name));
        cmd->topic_create.assignments = call->assignments;
        cmd->topic_create.partition_count = call->assignment_count;
        call->partition_count = (int32_t)call->assignment_count;
        call->replicas = (int16_t)call->assignments[0].replica_count;
        return check_room(engine, true, err);
    }
    call->partition_count =
        call->partitions == -1 ? view->settings->num_partitions : call->partitions;
    call->replicas = call->replication_factor == -1
                         ? (int16_t)view->settings->default_replication_factor
                         : call->replication_factor;
    if (call->partition_count <= 0)
        return ox_fail(err, OX_INVALID_PARTITIONS,
            "number of partitions %d of topic \"%.*s\" is not larger than 0", call->partitions,
            OX_STR_ARG(call->name));
    if (call->replicas <= 0)
        return ox_fail(err, OX_INVALID_REPLICATION_FACTOR,
            "replication factor %d of topic \"%.*s\" is not larger than 0",
            call->replication_factor, OX_STR_ARG(call->name));
    struct meta_assignment *assignments;
    uint64_t seed = atomic_fetch_add(&engine->seed, 1);
    ox_code code = meta_place(view, 0, (uint32_t)call->partition_count, call->replicas, seed,
        &call->admin.arena, &assignments, err);
    cmd->topic_create.assignments = assignments;
    cmd->topic_create.partition_count = (uint32_t)call->partition_count;
    return code == OX_OK ? check_room(engine, false, err) : code;
}

static void
note_topic_id(struct engine_admin *admin)
{
    struct engine_topic_create *call = ox_container_of(admin, struct engine_topic_create, admin);
    if (admin->code == OX_OK)
        call->topic_id = admin->meta.result.topic_id;
}

bool
engine_topic_create(struct engine_topic_create *call)
{
    struct engine_admin *admin = &call->admin;
    admin_init(admin);
    memset(&call->topic_id, 0, sizeof(call->topic_id));
    call->partition_count = -1;
    call->replicas = -1;
    if (!call->internal &&
        !engine_allowed(admin->sess, ENGINE_CLUSTER, OX_STR("kafka-cluster"), ENGINE_CREATE) &&
        !engine_allowed(admin->sess, ENGINE_TOPIC, call->name, ENGINE_CREATE))
        return admin_refuse(admin, ox_fail(&admin->err, OX_TOPIC_AUTHORIZATION_FAILED,
            "permission denied to create topic \"%.*s\"", OX_STR_ARG(call->name)));
    ox_code code = meta_topic_name_check(call->name, &admin->err);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    struct meta_command cmd = {.kind = META_TOPIC_CREATE};
    cmd.topic_create.name = call->name;
    cmd.topic_create.owner = ox_str(admin->sess->principal);
    cmd.topic_create.comment = OX_STR_NULL;
    cmd.topic_create.configs = copy_changes(admin, call->configs, call->config_count);
    cmd.topic_create.config_count = call->config_count;
    if (meta_view_topic(engine_view(admin->sess->engine), call->name) != NULL)
        return admin_refuse(admin, ox_fail(&admin->err, OX_TOPIC_EXISTS,
            "topic \"%.*s\" already exists", OX_STR_ARG(call->name)));
    code = choose_placement(call, &cmd);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    admin->finish = note_topic_id;
    code = admin_mutate(admin, &cmd, call->partition_count,
        call->validate_only || call->internal, call->late);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    return admin_submit(admin, &cmd, call->validate_only);
}

/* The settings of an internal topic, from the server's. */
static void
internal_settings(struct engine_topic_create *call, const struct meta_view *view,
    struct engine_config_kv *configs)
{
    const struct server_config *settings = view->settings;
    static _Thread_local char segment_bytes[16];
    int replicas, bytes;
    bool shares = ox_str_is(call->name, "__share_group_state");
    if (ox_str_is(call->name, "__consumer_offsets")) {
        call->partitions = settings->offsets_topic_num_partitions;
        replicas = settings->offsets_topic_replication_factor;
        bytes = settings->offsets_topic_segment_bytes;
    } else if (shares) {
        call->partitions = settings->share_coordinator_state_topic_num_partitions;
        replicas = settings->share_coordinator_state_topic_replication_factor;
        bytes = settings->share_coordinator_state_topic_segment_bytes;
    } else {
        call->partitions = settings->transaction_state_log_num_partitions;
        replicas = settings->transaction_state_log_replication_factor;
        bytes = settings->transaction_state_log_segment_bytes;
    }
    snprintf(segment_bytes, sizeof(segment_bytes), "%d", bytes);
    call->replication_factor = (int16_t)OX_MIN(replicas, (int)view->broker_count);
    configs[0] = (struct engine_config_kv){OX_STR("segment.bytes"), ox_str(segment_bytes), 0};
    configs[1] = (struct engine_config_kv){OX_STR("compression.type"), OX_STR("producer"), 0};
    configs[2] = shares ? (struct engine_config_kv){OX_STR("retention.ms"), OX_STR("-1"), 0}
                        : (struct engine_config_kv){OX_STR("cleanup.policy"), OX_STR("compact"), 0};
}

bool
engine_internal_topic(struct engine_topic_create *call, struct str name)
{
    static _Thread_local struct engine_config_kv configs[3];
    call->name = name;
    call->assignment_count = 0;
    call->validate_only = false;
    call->internal = true;
    internal_settings(call, engine_view(call->admin.sess->engine), configs);
    call->configs = configs;
    call->config_count = 3;
    return engine_topic_create(call);
}

/* ---- delete ---- */

bool
engine_topic_delete(struct engine_topic_delete *call)
{
    struct engine_admin *admin = &call->admin;
    admin_init(admin);
    if (!engine_settings(admin->sess->engine)->delete_topic_enable)
        return admin_refuse(admin, ox_fail_plain(&admin->err, OX_TOPIC_DELETION_DISABLED));
    const struct meta_topic *topic;
    ox_code code = engine_find_topic(admin->sess, call->name, &call->topic_id, ENGINE_DELETE,
        &topic, &admin->err);
    if (code == OX_TOPIC_AUTHORIZATION_FAILED && call->name.ptr != NULL &&
        meta_view_topic(engine_view(admin->sess->engine), call->name) == NULL) /* may it know? */
        code = engine_find_topic(admin->sess, call->name, NULL, ENGINE_DESCRIBE, &topic,
            &admin->err);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    if (topic->internal) /* what the coordinators know would be lost under them */
        return admin_refuse(admin, ox_fail(&admin->err, OX_INVALID_TOPIC,
            "internal topic \"%s\" cannot be deleted", topic->name.ptr));
    struct meta_command cmd = {.kind = META_TOPIC_DELETE};
    cmd.topic_delete.name = topic->name;
    cmd.topic_delete.id = topic->id;
    code = admin_mutate(admin, &cmd, topic->partition_count, false, call->late);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    return admin_submit(admin, &cmd, false);
}

/* ---- more partitions ---- */

bool
engine_partitions_create(struct engine_partitions_create *call)
{
    struct engine_admin *admin = &call->admin;
    struct ox_err *err = &admin->err;
    admin_init(admin);
    struct engine *engine = admin->sess->engine;
    const struct meta_topic *topic;
    ox_code code =
        engine_find_topic(admin->sess, call->name, NULL, ENGINE_ALTER, &topic, err);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    if (call->count <= (int32_t)topic->partition_count)
        return admin_refuse(admin, ox_fail(err, OX_INVALID_PARTITIONS,
            "topic \"%s\" has %u partitions, %d is not more", topic->name.ptr,
            topic->partition_count, call->count));
    uint32_t added = (uint32_t)call->count - topic->partition_count;
    const struct meta_assignment *assignments = call->assignments;
    if (assignments != NULL && call->assignment_count != added)
        return admin_refuse(admin, ox_fail(err, OX_INVALID_REPLICA_ASSIGNMENT,
            "Attempted to add %u additional partition(s), but only %u assignment(s) were "
            "specified.", added, call->assignment_count));
    code = check_room(engine, assignments != NULL, err);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    if (assignments == NULL) {
        struct meta_assignment *placed;
        int16_t replicas = (int16_t)topic->partitions[0]->replica_count;
        code = meta_place(engine_view(engine), topic->partition_count, added, replicas,
            atomic_fetch_add(&engine->seed, 1), &admin->arena, &placed, err);
        if (code != OX_OK)
            return admin_refuse(admin, code);
        assignments = placed;
    }
    struct meta_command cmd = {.kind = META_PARTITIONS_CREATE};
    cmd.partitions_create.name = call->name;
    cmd.partitions_create.count = (uint32_t)call->count;
    cmd.partitions_create.assignments = assignments;
    cmd.partitions_create.assignment_count = added;
    code = admin_mutate(admin, &cmd, added, call->validate_only, call->late);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    return admin_submit(admin, &cmd, call->validate_only);
}

/* ---- settings, comments ---- */

/* A topic that does not exist: what is wrong with the settings goes first, as with Kafka. */
static ox_code
settings_of_nothing(struct engine_config_alter *call)
{
    struct engine_admin *admin = &call->admin;
    struct meta_config_change *changes = copy_changes(admin, call->changes, call->change_count);
    struct meta_config_fact *facts;
    struct ox_err err = {0};
    size_t count;
    ox_code code = meta_config_describe_new(engine_view(admin->sess->engine), changes,
        call->change_count, &admin->arena, &facts, &count, &err);
    if (code != OX_OK)
        admin->err = err;
    return code != OX_OK ? code : admin->err.code;
}

static ox_code
may_alter_config(struct engine_config_alter *call)
{
    struct engine_admin *admin = &call->admin;
    struct ox_err *err = &admin->err;
    switch (call->resource) {
    case META_RESOURCE_TOPIC: {
        const struct meta_topic *topic;
        ox_code code =
            engine_find_topic(admin->sess, call->name, NULL, ENGINE_ALTER_CONFIGS, &topic, err);
        return code == OX_UNKNOWN_TOPIC_OR_PARTITION ? settings_of_nothing(call) : code;
    }
    case META_RESOURCE_GROUP:
        if (!engine_allowed(admin->sess, ENGINE_GROUP, call->name, ENGINE_ALTER_CONFIGS))
            return ox_fail(err, OX_GROUP_AUTHORIZATION_FAILED,
                "permission denied for group \"%.*s\"", OX_STR_ARG(call->name));
        return OX_OK;
    default:
        if (!engine_allowed(admin->sess, ENGINE_CLUSTER, OX_STR("kafka-cluster"),
                call->resource == META_RESOURCE_FEATURE ? ENGINE_ALTER : ENGINE_ALTER_CONFIGS))
            return ox_fail_plain(err, OX_CLUSTER_AUTHORIZATION_FAILED);
        return OX_OK;
    }
}

void
engine_set_broker_check(struct engine *engine, engine_broker_check_fn check, void *arg)
{
    engine->broker_check = check;
    engine->broker_check_arg = arg;
}

/* Settings of listeners and their certificates. */
static bool
needs_broker_check(const struct engine_config_alter *call)
{
    if (call->resource != META_RESOURCE_BROKER || call->admin.sess->engine->broker_check == NULL)
        return false;
    for (uint32_t i = 0; i < call->change_count; i++) {
        struct str listener;
        const struct param *param = param_find(PARAM_SCOPE_SERVER, call->changes[i].name);
        if (meta_listener_param(call->changes[i].name, &listener) != NULL ||
            (param != NULL && meta_is_of_listeners(param)))
            return true;
    }
    return call->replace;
}

static bool
submit_config(struct engine_config_alter *call)
{
    struct engine_admin *admin = &call->admin;
    struct meta_command cmd = {.kind = META_CONFIG_ALTER};
    cmd.config_alter.resource = call->resource;
    cmd.config_alter.name = call->name;
    cmd.config_alter.replace = call->replace;
    cmd.config_alter.changes = copy_changes(admin, call->changes, call->change_count);
    cmd.config_alter.change_count = call->change_count;
    return admin_submit(admin, &cmd, call->validate_only);
}

static void
broker_check_work(struct pool_job *job)
{
    struct engine_config_alter *call = ox_container_of(job, struct engine_config_alter, job);
    struct engine_admin *admin = &call->admin;
    struct engine *engine = admin->sess->engine;
    const struct meta_view *now = meta_view_get(engine->config.meta), *then;
    struct arena arena;
    ox_arena_init(&arena);
    struct meta_config_change *changes =
        ox_arena_array(&arena, struct meta_config_change, call->change_count + 1);
    for (uint32_t i = 0; i < call->change_count; i++)
        changes[i] = (struct meta_config_change){call->changes[i].name, call->changes[i].value,
            call->changes[i].op};
    admin->code = meta_view_if_changed(now, call->name, call->replace, changes,
        call->change_count, &arena, &then, &admin->err);
    if (admin->code == OX_OK) {
        admin->code = engine->broker_check(engine->broker_check_arg, now, then,
            !call->validate_only, &admin->err);
        call->unfit = admin->code != OX_OK;
    }
    ox_arena_fini(&arena);
    meta_view_put(now);
}

static void
broker_check_done(struct pool_job *job)
{
    struct engine_config_alter *call = ox_container_of(job, struct engine_config_alter, job);
    if (call->admin.code != OX_OK || submit_config(call))
        call->admin.done(&call->admin);
}

bool
engine_config_alter(struct engine_config_alter *call)
{
    struct engine_admin *admin = &call->admin;
    admin_init(admin);
    call->unfit = false;
    ox_code code = may_alter_config(call);
    if (code == OX_OK)
        code = engine_config_check(call);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    if (!needs_broker_check(call))
        return submit_config(call);
    call->job.work = broker_check_work;
    call->job.done = broker_check_done;
    loop_pool_submit(admin->loop, &call->job);
    return false;
}

bool
engine_topic_comment(struct engine_topic_comment *call)
{
    struct engine_admin *admin = &call->admin;
    admin_init(admin);
    const struct meta_topic *topic;
    ox_code code =
        engine_find_topic(admin->sess, call->name, NULL, ENGINE_ALTER, &topic, &admin->err);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    struct meta_command cmd = {.kind = META_COMMENT};
    cmd.comment.topic = call->name;
    cmd.comment.text = call->text;
    return admin_submit(admin, &cmd, false);
}

/* ---- users, rules, quotas ---- */

bool
engine_security(struct engine_security *call)
{
    struct engine_admin *admin = &call->admin;
    admin_init(admin);
    struct meta_command cmd = {.kind = META_SECURITY};
    cmd.security.changes = call->changes;
    cmd.security.change_count = call->change_count;
    return admin_submit(admin, &cmd, call->validate_only);
}

/* ---- producer ids ---- */

static void
note_producer_id(struct engine_admin *admin)
{
    struct engine_producer_id *call = ox_container_of(admin, struct engine_producer_id, admin);
    if (admin->code == OX_OK)
        call->producer_id = admin->meta.result.producer_id_first;
}

bool
engine_producer_id(struct engine_producer_id *call)
{
    struct engine_admin *admin = &call->admin;
    admin_init(admin);
    struct meta_command cmd = {.kind = META_PRODUCER_IDS};
    cmd.producer_ids.node_id = admin->sess->engine->config.node_id;
    cmd.producer_ids.count = 1;
    call->producer_id = -1;
    admin->finish = note_producer_id;
    return admin_submit(admin, &cmd, false);
}

/* ---- DeleteRecords: moves the log start, on a worker since it writes ---- */

static void
delete_records_work(struct pool_job *job)
{
    struct engine_delete_records *call = ox_container_of(job, struct engine_delete_records, job);
    call->admin.code = partition_delete_records(call->part, call->offset, &call->low_watermark,
        &call->admin.err);
}

static void
delete_records_done(struct pool_job *job)
{
    struct engine_delete_records *call = ox_container_of(job, struct engine_delete_records, job);
    partition_put(call->part);
    call->admin.done(&call->admin);
}

/* May the beginning of this topic's logs be deleted, whoever asks? */
static ox_code
may_be_cut(const struct meta_topic *topic, struct ox_err *err)
{
    if (topic->internal)
        return ox_fail(err, OX_INVALID_TOPIC, "records of internal topic \"%s\" cannot be deleted",
            topic->name.ptr);
    if ((topic->config->cleanup_policy & TOPIC_CLEANUP_POLICY_DELETE) == 0)
        return ox_fail(err, OX_POLICY_VIOLATION,
            "topic \"%s\" does not have \"delete\" in its cleanup.policy", topic->name.ptr);
    return OX_OK;
}

bool
engine_delete_records(struct engine_delete_records *call)
{
    struct engine_admin *admin = &call->admin;
    struct ox_err *err = &admin->err;
    admin_init(admin);
    call->low_watermark = -1;
    struct partition *part;
    ox_code code = engine_partition(admin->sess, call->topic, NULL, call->partition,
        ENGINE_DELETE, &part, err);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    const struct meta_topic *topic = meta_view_topic(engine_view(admin->sess->engine), call->topic);
    code = may_be_cut(topic, err);
    if (code != OX_OK)
        return admin_refuse(admin, code);
    call->part = partition_hold(part);
    call->job.work = delete_records_work;
    call->job.done = delete_records_done;
    loop_pool_submit(admin->loop, &call->job);
    return false;
}

/* ---- the same for many partitions at once: the metadata says where logs begin ---- */

static ox_code
cut_partition(struct engine_session *sess, struct str topic, uint32_t index, int64_t *start,
    struct ox_err *err)
{
    struct partition *part;
    struct partition_state state;
    ox_code code = engine_partition(sess, topic, NULL, (int32_t)index, ENGINE_DELETE, &part, err);
    if (code != OX_OK)
        return code;
    partition_state(part, &state);
    if (state.fault != OX_OK)
        return ox_fail(err, state.fault, "partition %.*s-%u is not available", OX_STR_ARG(topic),
            index);
    if (*start > state.high_watermark)
        return ox_fail(err, OX_OFFSET_OUT_OF_RANGE,
            "offset %lld of %.*s-%u is above the high watermark %lld", (long long)*start,
            OX_STR_ARG(topic), index, (long long)state.high_watermark);
    if (*start == -1)
        *start = state.high_watermark;
    return OX_OK;
}

static ox_code
cut_topic(struct engine_admin *admin, const struct engine_cut *from, struct meta_cut *cut)
{
    const struct meta_topic *topic;
    ox_code code = engine_find_topic(admin->sess, from->topic, NULL, ENGINE_DELETE, &topic,
        &admin->err);
    if (code == OX_OK)
        code = may_be_cut(topic, &admin->err);
    if (code != OX_OK)
        return code;
    uint32_t count = from->starts != NULL ? from->start_count : topic->partition_count;
    int64_t *starts = ox_arena_array(&admin->arena, int64_t, count);
    for (uint32_t i = 0; i < count && code == OX_OK; i++) {
        starts[i] = from->starts != NULL ? from->starts[i] : -1;
        if (from->starts == NULL || starts[i] != -1)
            code = cut_partition(admin->sess, from->topic, i, &starts[i], &admin->err);
    }
    *cut = (struct meta_cut){topic->id, starts, count};
    return code;
}

bool
engine_truncate(struct engine_truncate *call)
{
    struct engine_admin *admin = &call->admin;
    admin_init(admin);
    struct meta_cut *cuts = ox_arena_array(&admin->arena, struct meta_cut, call->cut_count);
    for (uint32_t i = 0; i < call->cut_count; i++) {
        ox_code code = cut_topic(admin, &call->cuts[i], &cuts[i]);
        if (code != OX_OK)
            return admin_refuse(admin, code);
    }
    struct meta_command cmd = {.kind = META_TRUNCATE};
    cmd.truncate.cuts = cuts;
    cmd.truncate.cut_count = call->cut_count;
    return admin_submit(admin, &cmd, false);
}
