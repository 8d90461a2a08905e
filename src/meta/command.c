/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands as bytes of a raft entry:
 *
 *     u8 'M'  u8 version 1  i16 kind  i32 length of the body
 *     i64 time_ms  i64 proposer  i64 sequence
 *     body, zeros up to a multiple of 8
 *
 * Strings are an i32 length (-1: null) and bytes, arrays an i32 count and the
 * elements. proposer and sequence name a proposal, so that one that is sent
 * again after an unknown outcome can be told from a new one; a quorum of one
 * knows every outcome and writes zeros. */
#include "meta/meta_int.h"

enum { COMMAND_MAGIC = 'M', COMMAND_VERSION = 1, COMMAND_HEAD = 32 };

/* ---- Encode -------------------------------------------------------------- */

static void
put_str(struct wire_out *out, struct str s)
{
    wire_put32(out, s.ptr != NULL ? (int32_t)s.len : -1);
    if (s.ptr != NULL)
        wire_put_bytes(out, s.ptr, s.len);
}

static void
put_uuid(struct wire_out *out, const struct uuid *id)
{
    wire_put_bytes(out, id->bytes, sizeof(id->bytes));
}

static void
put_ints(struct wire_out *out, const int32_t *ints, uint32_t count)
{
    wire_put32(out, ints != NULL ? (int32_t)count : -1);
    for (uint32_t i = 0; ints != NULL && i < count; i++)
        wire_put32(out, ints[i]);
}

static void
put_cuts(struct wire_out *out, const struct meta_cut *at, uint32_t count)
{
    wire_put32(out, (int32_t)count);
    for (uint32_t i = 0; i < count; i++) {
        put_uuid(out, &at[i].topic_id);
        wire_put32(out, (int32_t)at[i].start_count);
        for (uint32_t j = 0; j < at[i].start_count; j++)
            wire_put64(out, at[i].starts[j]);
    }
}

static void
put_assignments(struct wire_out *out, const struct meta_assignment *at, uint32_t count)
{
    wire_put32(out, (int32_t)count);
    for (uint32_t i = 0; i < count; i++)
        put_ints(out, at[i].replicas, at[i].replica_count);
}

static void
put_changes(struct wire_out *out, const struct meta_config_change *at, uint32_t count)
{
    wire_put32(out, (int32_t)count);
    for (uint32_t i = 0; i < count; i++) {
        wire_put8(out, at[i].op);
        put_str(out, at[i].name);
        put_str(out, at[i].value);
    }
}

static void
put_broker(struct wire_out *out, const struct meta_command *cmd)
{
    wire_put32(out, cmd->broker_register.node_id);
    put_uuid(out, &cmd->broker_register.incarnation);
    put_uuid(out, &cmd->broker_register.directory_id);
    put_str(out, cmd->broker_register.rack);
    wire_put8(out, cmd->broker_register.fenced);
    wire_put32(out, (int32_t)cmd->broker_register.listener_count);
    for (uint32_t i = 0; i < cmd->broker_register.listener_count; i++) {
        const struct meta_listener *listener = &cmd->broker_register.listeners[i];
        put_str(out, listener->name);
        put_str(out, listener->host);
        wire_put32(out, listener->port);
        wire_put16(out, listener->protocol);
    }
}

static void
put_partition_changes(struct wire_out *out, const struct meta_command *cmd)
{
    put_uuid(out, &cmd->partition_change.topic_id);
    wire_put32(out, (int32_t)cmd->partition_change.change_count);
    for (uint32_t i = 0; i < cmd->partition_change.change_count; i++) {
        const struct meta_partition_change *change = &cmd->partition_change.changes[i];
        wire_put32(out, change->index);
        wire_put32(out, change->expect_partition_epoch);
        wire_put32(out, change->leader);
        wire_put8(out, change->recovery);
        put_ints(out, change->isr, change->isr_count);
        put_ints(out, change->replicas, change->replica_count);
    }
}

static void
put_security(struct wire_out *out, const struct meta_security_change *change)
{
    wire_put8(out, change->kind);
    wire_put8(out, change->mode);
    switch (change->kind) {
    case META_ROLE_PUT:
    case META_ROLE_DELETE:
        put_str(out, change->role.name);
        wire_put32(out, (int32_t)change->role.flags);
        wire_put64(out, change->role.valid_until_ms);
        break;
    case META_SCRAM_PUT:
    case META_SCRAM_DELETE:
        put_str(out, change->scram.user);
        wire_put8(out, change->scram.mechanism);
        wire_put32(out, change->scram.iterations);
        put_str(out, change->scram.salt);
        put_str(out, change->scram.stored_key);
        put_str(out, change->scram.server_key);
        break;
    case META_ACL_ADD:
    case META_ACL_REMOVE:
        wire_put8(out, change->acl.resource);
        wire_put8(out, change->acl.pattern);
        wire_put8(out, change->acl.operation);
        wire_put8(out, change->acl.permission);
        put_str(out, change->acl.name);
        put_str(out, change->acl.principal);
        put_str(out, change->acl.host);
        break;
    case META_QUOTA_SET:
    case META_QUOTA_REMOVE: {
        int64_t bits;
        memcpy(&bits, &change->quota.value, sizeof(bits));
        put_str(out, change->quota.user);
        put_str(out, change->quota.client_id);
        put_str(out, change->quota.ip);
        put_str(out, change->quota.key);
        wire_put64(out, bits);
        break;
    }
    default:
        put_str(out, change->token.id);
        put_str(out, change->token.owner);
        put_str(out, change->token.requester);
        put_str(out, change->token.renewers);
        wire_put64(out, change->token.issue_ms);
        wire_put64(out, change->token.expiry_ms);
        wire_put64(out, change->token.max_ms);
    }
}

static void
put_body(struct wire_out *out, const struct meta_command *cmd)
{
    switch (cmd->kind) {
    case META_TOPIC_CREATE:
        put_str(out, cmd->topic_create.name);
        put_uuid(out, &cmd->topic_create.id);
        put_str(out, cmd->topic_create.owner);
        put_str(out, cmd->topic_create.comment);
        put_assignments(out, cmd->topic_create.assignments, cmd->topic_create.partition_count);
        put_changes(out, cmd->topic_create.configs, cmd->topic_create.config_count);
        break;
    case META_TOPIC_DELETE:
        put_str(out, cmd->topic_delete.name);
        put_uuid(out, &cmd->topic_delete.id);
        break;
    case META_PARTITIONS_CREATE:
        put_str(out, cmd->partitions_create.name);
        wire_put32(out, (int32_t)cmd->partitions_create.count);
        put_assignments(out, cmd->partitions_create.assignments,
            cmd->partitions_create.assignment_count);
        break;
    case META_CONFIG_ALTER:
        wire_put8(out, cmd->config_alter.resource);
        put_str(out, cmd->config_alter.name);
        wire_put8(out, cmd->config_alter.replace);
        put_changes(out, cmd->config_alter.changes, cmd->config_alter.change_count);
        break;
    case META_COMMENT:
        put_str(out, cmd->comment.topic);
        put_str(out, cmd->comment.text);
        break;
    case META_BROKER_REGISTER:
        put_broker(out, cmd);
        break;
    case META_BROKER_CHANGE:
        wire_put32(out, cmd->broker_change.node_id);
        wire_put64(out, cmd->broker_change.epoch);
        wire_put8(out, cmd->broker_change.fenced);
        wire_put8(out, cmd->broker_change.in_shutdown);
        break;
    case META_PARTITION_CHANGE:
        put_partition_changes(out, cmd);
        break;
    case META_PRODUCER_IDS:
        wire_put32(out, cmd->producer_ids.node_id);
        wire_put32(out, cmd->producer_ids.count);
        break;
    case META_CLUSTER_INIT:
        put_str(out, cmd->cluster_init.cluster_id);
        put_uuid(out, &cmd->cluster_init.incarnation);
        break;
    case META_SECURITY:
        wire_put32(out, (int32_t)cmd->security.change_count);
        for (uint32_t i = 0; i < cmd->security.change_count; i++)
            put_security(out, &cmd->security.changes[i]);
        break;
    case META_TAKEN_OVER:
        put_uuid(out, &cmd->taken_over.topic_id);
        put_ints(out, cmd->taken_over.leader_epochs, cmd->taken_over.epoch_count);
        wire_put64(out, cmd->taken_over.producer_id_next);
        break;
    case META_TRUNCATE:
        put_cuts(out, cmd->truncate.cuts, cmd->truncate.cut_count);
        break;
    }
}

ox_code
meta_command_encode(const struct meta_command *cmd, struct text *text, struct ox_err *err)
{
    static const char zeros[8];
    struct wire_out size = wire_out(NULL), out = wire_out(text);
    if (cmd->kind < META_TOPIC_CREATE || cmd->kind > META_TRUNCATE)
        return ox_fail(err, OX_INVALID_REQUEST, "metadata command %d does not exist",
            (int)cmd->kind);
    put_body(&size, cmd);
    if (size.len > META_COMMAND_BYTES_MAX)
        return ox_fail(err, OX_LIMIT_EXCEEDED, "metadata command of %zu bytes is too large",
            size.len);
    wire_put8(&out, COMMAND_MAGIC);
    wire_put8(&out, COMMAND_VERSION);
    wire_put16(&out, (int16_t)cmd->kind);
    wire_put32(&out, (int32_t)size.len);
    wire_put64(&out, cmd->time_ms);
    wire_put64(&out, 0);
    wire_put64(&out, 0);
    put_body(&out, cmd);
    wire_put_bytes(&out, zeros, (8 - out.len % 8) % 8);
    return OX_OK;
}

/* ---- Decode -------------------------------------------------------------- */

static struct str
get_str(struct wire_in *in)
{
    int32_t len = wire_get32(in);
    if (len == -1 || in->failed)
        return OX_STR_NULL;
    const uint8_t *ptr = len >= 0 ? wire_skip(in, (size_t)len) : NULL;
    in->failed |= ptr == NULL;
    return ox_str_n(ptr, ptr != NULL ? (size_t)len : 0);
}

static struct uuid
get_uuid(struct wire_in *in)
{
    struct uuid id = {{0}};
    const uint8_t *ptr = wire_skip(in, sizeof(id.bytes));
    if (ptr != NULL)
        memcpy(id.bytes, ptr, sizeof(id.bytes));
    return id;
}

/* A count that the bytes left can hold, each element taking least at least. */
static uint32_t
get_count(struct wire_in *in, size_t least)
{
    int32_t count = wire_get32(in);
    if (count < 0 || (size_t)count > wire_left(in) / least) {
        in->failed = true;
        return 0;
    }
    return (uint32_t)count;
}

/* NULL for an absent array. */
static const int32_t *
get_ints(struct wire_in *in, uint32_t *count, struct arena *arena)
{
    struct wire_in peek = *in;
    *count = 0;
    if (wire_get32(&peek) == -1 && !peek.failed) {
        *in = peek;
        return NULL;
    }
    *count = get_count(in, 4);
    int32_t *ints = ox_arena_array(arena, int32_t, *count + 1);
    for (uint32_t i = 0; i < *count; i++)
        ints[i] = wire_get32(in);
    return ints;
}

static const struct meta_assignment *
get_assignments(struct wire_in *in, uint32_t *count, struct arena *arena)
{
    *count = get_count(in, 4);
    struct meta_assignment *at = ox_arena_array(arena, struct meta_assignment, *count + 1);
    for (uint32_t i = 0; i < *count; i++)
        at[i].replicas = get_ints(in, &at[i].replica_count, arena);
    return at;
}

static const struct meta_config_change *
get_changes(struct wire_in *in, uint32_t *count, struct arena *arena)
{
    *count = get_count(in, 9);
    struct meta_config_change *at = ox_arena_array(arena, struct meta_config_change, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        at[i].op = wire_get8(in);
        at[i].name = get_str(in);
        at[i].value = get_str(in);
    }
    return at;
}

static void
get_broker(struct wire_in *in, struct meta_command *cmd, struct arena *arena)
{
    cmd->broker_register.node_id = wire_get32(in);
    cmd->broker_register.incarnation = get_uuid(in);
    cmd->broker_register.directory_id = get_uuid(in);
    cmd->broker_register.rack = get_str(in);
    cmd->broker_register.fenced = wire_get8(in) != 0;
    uint32_t count = get_count(in, 14);
    struct meta_listener *at = ox_arena_array(arena, struct meta_listener, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        at[i].name = get_str(in);
        at[i].host = get_str(in);
        at[i].port = (uint16_t)wire_get32(in);
        at[i].protocol = wire_get16(in);
    }
    cmd->broker_register.listeners = at;
    cmd->broker_register.listener_count = count;
}

static void
get_partition_changes(struct wire_in *in, struct meta_command *cmd, struct arena *arena)
{
    cmd->partition_change.topic_id = get_uuid(in);
    uint32_t count = get_count(in, 21);
    struct meta_partition_change *at = ox_arena_array(arena, struct meta_partition_change,
        count + 1);
    for (uint32_t i = 0; i < count; i++) {
        at[i].index = wire_get32(in);
        at[i].expect_partition_epoch = wire_get32(in);
        at[i].leader = wire_get32(in);
        at[i].recovery = wire_get8(in);
        at[i].isr = get_ints(in, &at[i].isr_count, arena);
        at[i].replicas = get_ints(in, &at[i].replica_count, arena);
    }
    cmd->partition_change.changes = at;
    cmd->partition_change.change_count = count;
}

static void
get_security_change(struct wire_in *in, struct meta_security_change *change)
{
    change->kind = wire_get8(in);
    change->mode = wire_get8(in);
    switch (change->kind) {
    case META_ROLE_PUT:
    case META_ROLE_DELETE:
        change->role.name = get_str(in);
        change->role.flags = (uint32_t)wire_get32(in);
        change->role.valid_until_ms = wire_get64(in);
        break;
    case META_SCRAM_PUT:
    case META_SCRAM_DELETE:
        change->scram.user = get_str(in);
        change->scram.mechanism = wire_get8(in);
        change->scram.iterations = wire_get32(in);
        change->scram.salt = get_str(in);
        change->scram.stored_key = get_str(in);
        change->scram.server_key = get_str(in);
        break;
    case META_ACL_ADD:
    case META_ACL_REMOVE:
        change->acl.resource = wire_get8(in);
        change->acl.pattern = wire_get8(in);
        change->acl.operation = wire_get8(in);
        change->acl.permission = wire_get8(in);
        change->acl.name = get_str(in);
        change->acl.principal = get_str(in);
        change->acl.host = get_str(in);
        break;
    case META_QUOTA_SET:
    case META_QUOTA_REMOVE: {
        change->quota.user = get_str(in);
        change->quota.client_id = get_str(in);
        change->quota.ip = get_str(in);
        change->quota.key = get_str(in);
        int64_t bits = wire_get64(in);
        memcpy(&change->quota.value, &bits, sizeof(bits));
        break;
    }
    case META_TOKEN_PUT:
    case META_TOKEN_DELETE:
        change->token.id = get_str(in);
        change->token.owner = get_str(in);
        change->token.requester = get_str(in);
        change->token.renewers = get_str(in);
        change->token.issue_ms = wire_get64(in);
        change->token.expiry_ms = wire_get64(in);
        change->token.max_ms = wire_get64(in);
        break;
    default:
        in->failed = true;
    }
}

static void
get_security(struct wire_in *in, struct meta_command *cmd, struct arena *arena)
{
    uint32_t count = get_count(in, 17);
    struct meta_security_change *at = ox_arena_array(arena, struct meta_security_change,
        count + 1);
    for (uint32_t i = 0; i < count && !in->failed; i++)
        get_security_change(in, &at[i]);
    cmd->security.changes = at;
    cmd->security.change_count = count;
}

static const struct meta_cut *
get_cuts(struct wire_in *in, uint32_t *count, struct arena *arena)
{
    *count = get_count(in, 20);
    struct meta_cut *at = ox_arena_array(arena, struct meta_cut, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        at[i].topic_id = get_uuid(in);
        at[i].start_count = get_count(in, 8);
        int64_t *starts = ox_arena_array(arena, int64_t, at[i].start_count + 1);
        for (uint32_t j = 0; j < at[i].start_count; j++)
            starts[j] = wire_get64(in);
        at[i].starts = starts;
    }
    return at;
}

static void
get_body(struct wire_in *in, struct meta_command *cmd, struct arena *arena)
{
    switch (cmd->kind) {
    case META_TOPIC_CREATE:
        cmd->topic_create.name = get_str(in);
        cmd->topic_create.id = get_uuid(in);
        cmd->topic_create.owner = get_str(in);
        cmd->topic_create.comment = get_str(in);
        cmd->topic_create.assignments =
            get_assignments(in, &cmd->topic_create.partition_count, arena);
        cmd->topic_create.configs = get_changes(in, &cmd->topic_create.config_count, arena);
        break;
    case META_TOPIC_DELETE:
        cmd->topic_delete.name = get_str(in);
        cmd->topic_delete.id = get_uuid(in);
        break;
    case META_PARTITIONS_CREATE:
        cmd->partitions_create.name = get_str(in);
        cmd->partitions_create.count = (uint32_t)wire_get32(in);
        cmd->partitions_create.assignments =
            get_assignments(in, &cmd->partitions_create.assignment_count, arena);
        break;
    case META_CONFIG_ALTER:
        cmd->config_alter.resource = wire_get8(in);
        cmd->config_alter.name = get_str(in);
        cmd->config_alter.replace = wire_get8(in) != 0;
        cmd->config_alter.changes = get_changes(in, &cmd->config_alter.change_count, arena);
        break;
    case META_COMMENT:
        cmd->comment.topic = get_str(in);
        cmd->comment.text = get_str(in);
        break;
    case META_BROKER_REGISTER:
        get_broker(in, cmd, arena);
        break;
    case META_BROKER_CHANGE:
        cmd->broker_change.node_id = wire_get32(in);
        cmd->broker_change.epoch = wire_get64(in);
        cmd->broker_change.fenced = wire_get8(in);
        cmd->broker_change.in_shutdown = wire_get8(in);
        break;
    case META_PARTITION_CHANGE:
        get_partition_changes(in, cmd, arena);
        break;
    case META_PRODUCER_IDS:
        cmd->producer_ids.node_id = wire_get32(in);
        cmd->producer_ids.count = wire_get32(in);
        break;
    case META_CLUSTER_INIT:
        cmd->cluster_init.cluster_id = get_str(in);
        cmd->cluster_init.incarnation = get_uuid(in);
        break;
    case META_SECURITY:
        get_security(in, cmd, arena);
        break;
    case META_TAKEN_OVER:
        cmd->taken_over.topic_id = get_uuid(in);
        cmd->taken_over.leader_epochs = get_ints(in, &cmd->taken_over.epoch_count, arena);
        cmd->taken_over.producer_id_next = wire_get64(in);
        break;
    case META_TRUNCATE:
        cmd->truncate.cuts = get_cuts(in, &cmd->truncate.cut_count, arena);
        break;
    default:
        in->failed = true;
    }
}

ox_code
meta_command_decode(const void *ptr, size_t len, struct arena *arena, struct meta_command *cmd,
    struct ox_err *err)
{
    struct wire_in in = wire_in(ptr, len);
    memset(cmd, 0, sizeof(*cmd));
    bool known = wire_get8(&in) == COMMAND_MAGIC;
    known &= wire_get8(&in) == COMMAND_VERSION;
    cmd->kind = (enum meta_command_kind)wire_get16(&in);
    int32_t body = wire_get32(&in);
    cmd->time_ms = wire_get64(&in);
    wire_get64(&in);
    wire_get64(&in);
    if (in.failed || !known || body < 0 || (size_t)body > wire_left(&in) ||
        wire_left(&in) - (size_t)body >= 8)
        return ox_fail(err, OX_DATA_CORRUPTED, "metadata command has a bad header");
    in.end = in.at + body;
    get_body(&in, cmd, arena);
    if (in.failed || wire_left(&in) != 0)
        return ox_fail(err, OX_DATA_CORRUPTED, "metadata command of kind %d is damaged",
            (int)cmd->kind);
    return OX_OK;
}
