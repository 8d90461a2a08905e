/* SPDX-License-Identifier: Apache-2.0
 *
 * One committed entry becomes rows and a changed image. Deterministic: every
 * node that applies the same entries has the same rows, object ids included.
 * A command that the state does not allow changes nothing; its refusal is the
 * proposer's answer. Order in each function: rows first (they can fail, and then
 * the node stops with the transaction undone), then the image. */
#include "meta/meta_int.h"
#include "meta/queries.gen.h"

struct apply {
    struct image *image;
    struct catalog_writer *catalog;
    struct queries *queries;
    struct arena arena;
    uint64_t index;
    struct meta_command cmd;
    struct meta_result *result;
    struct ox_err *err;
};

static struct str
uuid_str(const struct uuid *id)
{
    return ox_str_n(id->bytes, sizeof(id->bytes));
}

/* A partition as it is when it is made: everybody in sync, the first leads. */
static const struct meta_partition *
new_partition(struct apply *apply, uint32_t index, const struct meta_assignment *assignment)
{
    uint32_t count = assignment->replica_count;
    struct uuid *directories = ox_arena_array(&apply->arena, struct uuid, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct meta_broker *broker = meta_view_broker(&apply->image->view.pub,
            assignment->replicas[i]);
        directories[i] = broker->directory_id;
    }
    struct meta_partition part = {.index = (int32_t)index, .leader = assignment->replicas[0],
        .replica_count = count, .isr_count = count, .replicas = assignment->replicas,
        .isr = assignment->replicas, .directories = directories};
    return meta_image_partition_new(&part);
}

/* Partitions first.. of a topic and their rows. */
static ox_code
add_partitions(struct apply *apply, uint32_t oid, uint32_t first,
    const struct meta_assignment *assignments, uint32_t count,
    const struct meta_partition **partitions)
{
    for (uint32_t i = 0; i < count; i++) {
        partitions[i] = new_partition(apply, first + i, &assignments[i]);
        ox_code code = catalog_partition_put(apply->catalog, oid, partitions[i], apply->err);
        if (code != OX_OK)
            return code;
    }
    return OX_OK;
}

static ox_code
apply_topic_create(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    struct image *image = apply->image;
    uint32_t count = cmd->topic_create.partition_count, item_count;
    struct meta_config_item *items;
    uint32_t oid = image->oid_next;
    ox_code code = meta_validate_config_changes(NULL, META_RESOURCE_TOPIC, false,
        cmd->topic_create.configs, cmd->topic_create.config_count, &apply->arena, &items,
        &item_count, apply->err);
    ox_assert(code == OX_OK);
    const struct meta_config_set *own = meta_image_config_new(META_RESOURCE_TOPIC,
        cmd->topic_create.name, items, item_count);
    const struct meta_partition **partitions = ox_arena_array(&apply->arena,
        const struct meta_partition *, count);
    code = query_topic_insert(apply->queries, oid, uuid_str(&cmd->topic_create.id),
        cmd->topic_create.name, meta_topic_is_internal(cmd->topic_create.name), cmd->time_ms,
        (int64_t)apply->index, cmd->topic_create.owner, cmd->topic_create.comment, apply->err);
    if (code == OX_OK)
        code = catalog_config_put(apply->catalog, META_RESOURCE_TOPIC, cmd->topic_create.name,
            own, apply->err);
    if (code == OX_OK)
        code = add_partitions(apply, oid, 0, cmd->topic_create.assignments, count, partitions);
    if (code != OX_OK)
        return code;
    image->oid_next++;
    meta_image_topic_add(image, &(struct image_topic){.name = cmd->topic_create.name,
        .id = cmd->topic_create.id, .oid = oid, .created_ms = cmd->time_ms,
        .owner = cmd->topic_create.owner, .comment = cmd->topic_create.comment,
        .created_index = apply->index, .changed_index = apply->index, .partition_count = count,
        .partitions = partitions, .own = own});
    apply->result->topic_id = cmd->topic_create.id;
    return OX_OK;
}

static ox_code
apply_topic_delete(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    const struct meta_view *view = &apply->image->view.pub;
    const struct meta_topic *topic = ox_uuid_is_zero(&cmd->topic_delete.id)
        ? meta_view_topic(view, cmd->topic_delete.name)
        : meta_view_topic_by_id(view, &cmd->topic_delete.id);
    ox_code code = query_topic_delete(apply->queries, topic->oid, apply->err);
    if (code == OX_OK)
        code = query_partitions_delete(apply->queries, topic->oid, apply->err);
    if (code == OX_OK && topic->own != NULL)
        code = query_configs_delete(apply->queries, META_RESOURCE_TOPIC, topic->name, apply->err);
    if (code != OX_OK)
        return code;
    apply->result->topic_id = topic->id;
    meta_image_topic_remove(apply->image, topic);
    return OX_OK;
}

/* The topic with another set of partitions or settings. */
static ox_code
replace_topic(struct apply *apply, const struct meta_topic *topic, struct image_topic *from)
{
    from->changed_index = apply->index;
    ox_code code = query_topic_touch(apply->queries, (int64_t)apply->index, topic->oid,
        apply->err);
    if (code == OX_OK)
        meta_image_topic_replace(apply->image, topic, from);
    return code;
}

static ox_code
apply_partitions_create(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    const struct meta_topic *topic = meta_view_topic(&apply->image->view.pub,
        cmd->partitions_create.name);
    struct image_topic from = meta_image_topic_of(topic);
    const struct meta_partition **partitions = ox_arena_array(&apply->arena,
        const struct meta_partition *, cmd->partitions_create.count);
    memcpy(partitions, topic->partitions, topic->partition_count * sizeof(*partitions));
    ox_code code = add_partitions(apply, topic->oid, topic->partition_count,
        cmd->partitions_create.assignments, cmd->partitions_create.assignment_count,
        partitions + topic->partition_count);
    if (code != OX_OK)
        return code;
    from.partitions = partitions;
    from.partition_count = cmd->partitions_create.count;
    return replace_topic(apply, topic, &from);
}

static ox_code
apply_config_alter(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    const struct meta_view *view = &apply->image->view.pub;
    struct str name = cmd->config_alter.name;
    int resource = cmd->config_alter.resource;
    struct meta_config_item *items;
    uint32_t count;
    ox_code code = meta_validate_config_changes(meta_view_config(view, resource, name), resource,
        cmd->config_alter.replace, cmd->config_alter.changes, cmd->config_alter.change_count,
        &apply->arena, &items, &count, apply->err);
    ox_assert(code == OX_OK);
    const struct meta_config_set *set = meta_image_config_new(resource, name, items, count);
    code = catalog_config_put(apply->catalog, resource, name, set, apply->err);
    if (code != OX_OK)
        return code;
    if (resource != META_RESOURCE_TOPIC) {
        meta_image_config_put(apply->image, resource, name, set);
        return OX_OK;
    }
    const struct meta_topic *topic = meta_view_topic(view, name);
    struct image_topic from = meta_image_topic_of(topic);
    from.own = set;
    return replace_topic(apply, topic, &from);
}

static ox_code
apply_comment(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    const struct meta_topic *topic = meta_view_topic(&apply->image->view.pub, cmd->comment.topic);
    struct image_topic from = meta_image_topic_of(topic);
    ox_code code = query_topic_comment(apply->queries, cmd->comment.text, (int64_t)apply->index,
        topic->oid, apply->err);
    if (code != OX_OK)
        return code;
    from.comment = cmd->comment.text;
    from.changed_index = apply->index;
    meta_image_topic_replace(apply->image, topic, &from);
    return OX_OK;
}

static ox_code
put_broker(struct apply *apply, const struct meta_broker *broker)
{
    ox_code code = catalog_broker_put(apply->catalog, broker, apply->err);
    if (code == OX_OK)
        meta_image_broker_put(apply->image, broker);
    return code;
}

static ox_code
apply_broker_register(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    apply->result->broker_epoch = (int64_t)apply->index;
    return put_broker(apply, &(struct meta_broker){
        .node_id = cmd->broker_register.node_id, .epoch = (int64_t)apply->index,
        .incarnation = cmd->broker_register.incarnation,
        .directory_id = cmd->broker_register.directory_id, .rack = cmd->broker_register.rack,
        .fenced = cmd->broker_register.fenced, .registered_ms = cmd->time_ms,
        .listener_count = cmd->broker_register.listener_count,
        .listeners = cmd->broker_register.listeners});
}

static ox_code
apply_broker_change(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    struct meta_broker broker = *meta_view_broker(&apply->image->view.pub,
        cmd->broker_change.node_id);
    if (cmd->broker_change.fenced >= 0)
        broker.fenced = cmd->broker_change.fenced;
    if (cmd->broker_change.in_shutdown >= 0)
        broker.in_shutdown = cmd->broker_change.in_shutdown;
    return put_broker(apply, &broker);
}

static struct uuid
directory_of(const struct meta_partition *part, const struct meta_broker *broker)
{
    for (uint32_t i = 0; i < part->replica_count; i++)
        if (part->replicas[i] == broker->node_id)
            return part->directories[i];
    return broker->directory_id;
}

static const struct meta_partition *
changed_partition(struct apply *apply, const struct meta_partition *old,
    const struct meta_partition_change *change)
{
    struct meta_partition part = *old;
    part.partition_epoch++;
    if (change->leader != -2 && change->leader != old->leader) {
        part.leader = change->leader;
        part.leader_epoch++;
    }
    if (change->isr != NULL) {
        part.isr = change->isr;
        part.isr_count = change->isr_count;
    }
    if (change->replicas != NULL) {
        struct uuid *directories = ox_arena_array(&apply->arena, struct uuid,
            change->replica_count);
        for (uint32_t i = 0; i < change->replica_count; i++)
            directories[i] = directory_of(old,
                meta_view_broker(&apply->image->view.pub, change->replicas[i]));
        part.replicas = change->replicas;
        part.replica_count = change->replica_count;
        part.directories = directories;
    }
    if (change->recovery >= 0)
        part.recovery = change->recovery;
    return meta_image_partition_new(&part);
}

static ox_code
apply_partition_change(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    const struct meta_topic *topic = meta_view_topic_by_id(&apply->image->view.pub,
        &cmd->partition_change.topic_id);
    struct image_topic from = meta_image_topic_of(topic);
    const struct meta_partition **partitions = ox_arena_copy(&apply->arena, topic->partitions,
        topic->partition_count * sizeof(*partitions));
    for (uint32_t i = 0; i < cmd->partition_change.change_count; i++) {
        const struct meta_partition_change *change = &cmd->partition_change.changes[i];
        const struct meta_partition *old = partitions[change->index];
        const struct meta_partition *part = changed_partition(apply, old, change);
        ox_code code = catalog_partition_put(apply->catalog, topic->oid, part, apply->err);
        if (code != OX_OK)
            return code;
        partitions[change->index] = part;
        meta_image_retire(apply->image, old);
    }
    from.partitions = partitions;
    return replace_topic(apply, topic, &from);
}

static ox_code
apply_cluster_init(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    struct image *image = apply->image;
    char *id = ox_malloc(cmd->cluster_init.cluster_id.len + 1);
    memcpy(id, cmd->cluster_init.cluster_id.ptr, cmd->cluster_init.cluster_id.len);
    id[cmd->cluster_init.cluster_id.len] = 0;
    image->view.pub.cluster_id = ox_str(id);
    image->incarnation = cmd->cluster_init.incarnation;
    image->changed = true;
    return OX_OK;
}

/* The partition in the slot becomes this, in the catalog too. */
static ox_code
change_partition(struct apply *apply, const struct meta_topic *topic,
    const struct meta_partition **slot, const struct meta_partition *next)
{
    const struct meta_partition *old = *slot;
    *slot = meta_image_partition_new(next);
    ox_code code = catalog_partition_put(apply->catalog, topic->oid, *slot, apply->err);
    if (code == OX_OK)
        meta_image_retire(apply->image, old);
    return code;
}

static ox_code
apply_taken_over(struct apply *apply)
{
    const struct meta_command *cmd = &apply->cmd;
    struct meta_view *pub = &apply->image->view.pub;
    const struct meta_topic *topic = meta_view_topic_by_id(pub, &cmd->taken_over.topic_id);
    if (cmd->taken_over.producer_id_next > pub->producer_id_next) {
        pub->producer_id_next = cmd->taken_over.producer_id_next;
        apply->image->changed = true;
    }
    if (topic == NULL)
        return OX_OK;
    struct image_topic from = meta_image_topic_of(topic);
    const struct meta_partition **partitions = ox_arena_copy(&apply->arena, topic->partitions,
        topic->partition_count * sizeof(*partitions));
    for (uint32_t i = 0; i < cmd->taken_over.epoch_count; i++) {
        struct meta_partition part = *partitions[i];
        if (cmd->taken_over.leader_epochs[i] <= part.leader_epoch)
            continue;
        part.leader_epoch = cmd->taken_over.leader_epochs[i];
        part.partition_epoch++;
        ox_code code = change_partition(apply, topic, &partitions[i], &part);
        if (code != OX_OK)
            return code;
    }
    from.partitions = partitions;
    return replace_topic(apply, topic, &from);
}

static ox_code
apply_cut(struct apply *apply, const struct meta_cut *cut)
{
    const struct meta_topic *topic = meta_view_topic_by_id(&apply->image->view.pub,
        &cut->topic_id);
    struct image_topic from = meta_image_topic_of(topic);
    const struct meta_partition **partitions = ox_arena_copy(&apply->arena, topic->partitions,
        topic->partition_count * sizeof(*partitions));
    for (uint32_t i = 0; i < cut->start_count; i++) {
        struct meta_partition part = *partitions[i];
        if (cut->starts[i] <= part.log_start_min)
            continue;
        part.log_start_min = cut->starts[i];
        ox_code code = change_partition(apply, topic, &partitions[i], &part);
        if (code != OX_OK)
            return code;
    }
    from.partitions = partitions;
    return replace_topic(apply, topic, &from);
}

static ox_code
apply_truncate(struct apply *apply)
{
    ox_code code = OX_OK;
    for (uint32_t i = 0; i < apply->cmd.truncate.cut_count && code == OX_OK; i++)
        code = apply_cut(apply, &apply->cmd.truncate.cuts[i]);
    return code;
}

static ox_code
apply_allowed(struct apply *apply)
{
    struct meta_view *pub = &apply->image->view.pub;
    switch (apply->cmd.kind) {
    case META_TOPIC_CREATE:
        return apply_topic_create(apply);
    case META_TOPIC_DELETE:
        return apply_topic_delete(apply);
    case META_PARTITIONS_CREATE:
        return apply_partitions_create(apply);
    case META_CONFIG_ALTER:
        return apply_config_alter(apply);
    case META_COMMENT:
        return apply_comment(apply);
    case META_BROKER_REGISTER:
        return apply_broker_register(apply);
    case META_BROKER_CHANGE:
        return apply_broker_change(apply);
    case META_PARTITION_CHANGE:
        return apply_partition_change(apply);
    case META_PRODUCER_IDS:
        apply->result->producer_id_first = pub->producer_id_next;
        pub->producer_id_next += apply->cmd.producer_ids.count;
        apply->image->changed = true;
        return OX_OK;
    case META_CLUSTER_INIT:
        return apply_cluster_init(apply);
    case META_TAKEN_OVER:
        return apply_taken_over(apply);
    case META_TRUNCATE:
        return apply_truncate(apply);
    case META_SECURITY:
        return meta_security_apply(apply->image, apply->queries, apply->index, &apply->cmd,
            &apply->arena, apply->err);
    }
    ox_unreachable();
}

ox_code
meta_apply_entry(struct image *image, struct catalog_writer *catalog, uint64_t index,
    const void *ptr, size_t len, struct meta_result *result, ox_code *storage, struct ox_err *err)
{
    struct apply apply = {.image = image, .catalog = catalog, .index = index, .result = result,
        .queries = catalog_writer_queries(catalog), .err = err};
    ox_assert(index > image->view.pub.index);
    memset(result, 0, sizeof(*result));
    result->index = index;
    ox_arena_init(&apply.arena);
    *storage = catalog_writer_begin(catalog, err);
    ox_code code = *storage;
    if (code == OX_OK)
        code = meta_command_decode(ptr, len, &apply.arena, &apply.cmd, err);
    if (code == OX_OK)
        code = meta_validate_command(&image->view, &apply.cmd, &apply.arena, err);
    if (code == OX_OK)
        code = *storage = apply_allowed(&apply);
    if (*storage == OX_OK)
        image->view.pub.index = index;
    ox_arena_fini(&apply.arena);
    return code;
}
