/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the metadata of a Kafka node: what its records, replayed in order, leave.
 *
 *   DIR/__cluster_metadata-0/
 *     OFFSET-EPOCH.checkpoint   a snapshot: all below OFFSET, as records
 *     OFFSET.log                batches from OFFSET on
 *
 * A value is a frame: uvarint 1, uvarint type, uvarint version, and the record,
 * as grammar/disk/cluster_metadata.msg has it.
 *
 * 1. What is not understood is refused: a type or a version that is unknown may
 *    say anything. Types that only tell of the life of brokers are passed over.
 * 2. The records of a transaction count when its end is there.
 * 3. A torn batch at the end of the last segment was never committed. Any other
 *    damage is refused: also a bad batch of the last one that whole ones follow, and
 *    a snapshot without the record that ends it. */
#include "meta/meta_int.h"

#include <stdlib.h>

#include "gen/disk.gen.h"
#include "log/record_batch.h"

enum { FILE_BYTES_MAX = INT32_MAX, PARTITIONS_MAX = 1000000, BATCH_INFLATED_MAX = 64 << 20,
    CONTROL_SNAPSHOT_END = 4 };

enum record_kind {
    KIND_REGISTER_BROKER = 0,
    KIND_UNREGISTER_BROKER = 1,
    KIND_TOPIC = 2,
    KIND_PARTITION = 3,
    KIND_CONFIG = 4,
    KIND_PARTITION_CHANGE = 5,
    KIND_FENCE_BROKER = 7,
    KIND_UNFENCE_BROKER = 8,
    KIND_REMOVE_TOPIC = 9,
    KIND_TOKEN = 10,
    KIND_SCRAM = 11,
    KIND_FEATURE_LEVEL = 12,
    KIND_QUOTA = 14,
    KIND_PRODUCER_IDS = 15,
    KIND_BROKER_CHANGE = 17,
    KIND_ACL = 18,
    KIND_REMOVE_ACL = 19,
    KIND_NO_OP = 20,
    KIND_ZK_MIGRATION = 21,
    KIND_REMOVE_SCRAM = 22,
    KIND_BEGIN = 23,
    KIND_END = 24,
    KIND_ABORT = 25,
    KIND_REMOVE_TOKEN = 26,
    KIND_REGISTER_CONTROLLER = 27,
    KIND_CLEAR_ELR = 28,
};

void
meta_kafka_init(struct meta_kafka *kafka, int32_t node_id)
{
    memset(kafka, 0, sizeof(*kafka));
    kafka->node_id = node_id;
    kafka->producer_id_next = -1;
    ox_arena_init(&kafka->arena);
    struct map *maps[] = {&kafka->topics, &kafka->configs, &kafka->scrams, &kafka->acls,
        &kafka->quotas, &kafka->tokens};
    for (size_t i = 0; i < ox_count(maps); i++)
        ox_map_init(maps[i]);
}

void
meta_kafka_fini(struct meta_kafka *kafka)
{
    struct map *maps[] = {&kafka->topics, &kafka->configs, &kafka->scrams, &kafka->acls,
        &kafka->quotas, &kafka->tokens};
    for (size_t i = 0; i < ox_count(maps); i++)
        ox_map_fini(maps[i]);
    ox_arena_fini(&kafka->arena);
}

/* ---- one record ---- */

struct frame {
    struct meta_kafka *kafka;
    struct arena arena; /* of this record */
    struct wire_in in;
    uint32_t kind, version;
    struct text key; /* of a map */
    struct ox_err *err;
};

static ox_code
malformed(struct frame *frame)
{
    return ox_fail(frame->err, OX_DATA_CORRUPTED, "a metadata record of type %u is malformed",
        frame->kind);
}

/* The body; false when the version is unknown or the bytes are not one. */
static ox_code
take_body(struct frame *frame, const struct msg_type *type, void *out)
{
    if (frame->version > type->to)
        return ox_fail(frame->err, OX_UNSUPPORTED_VERSION,
            "version %u of the metadata record %s is not known", frame->version, type->name);
    if (!msg_decode(type, &frame->in, (int)frame->version, &frame->arena, out))
        return malformed(frame);
    return OX_OK;
}

static struct str
keep(struct frame *frame, struct str s)
{
    return ox_str_dup(&frame->kafka->arena, s);
}

static void
add_key(struct frame *frame, struct str part)
{
    ox_text_addf(&frame->key, "%lld:", part.ptr != NULL ? (long long)part.len : -1);
    ox_text_add(&frame->key, part.ptr, part.len);
}

static struct str
uuid_key(const struct uuid *id)
{
    return ox_str_n(id->bytes, sizeof(id->bytes));
}

static ox_code
take_topic(struct frame *frame)
{
    struct topic_record record;
    ox_code code = take_body(frame, &topic_record_type, &record);
    if (code != OX_OK)
        return code;
    struct meta_kafka_topic *topic =
        ox_arena_array(&frame->kafka->arena, struct meta_kafka_topic, 1);
    topic->name = keep(frame, record.name);
    topic->id = record.topic_id;
    ox_map_put(&frame->kafka->topics, uuid_key(&topic->id), topic);
    return OX_OK;
}

/* The partition, made with those before it if it is new; NULL: not allowed. */
static struct meta_kafka_partition *
partition_of(struct frame *frame, struct meta_kafka_topic *topic, int32_t index)
{
    if (index < 0 || index >= PARTITIONS_MAX)
        return NULL;
    if ((uint32_t)index >= topic->cap) {
        uint32_t cap = OX_MAX(topic->cap * 2, (uint32_t)index + 8);
        struct meta_kafka_partition *more =
            ox_arena_array(&frame->kafka->arena, struct meta_kafka_partition, cap);
        for (uint32_t i = 0; i < cap; i++)
            more[i] = i < topic->partition_count ? topic->partitions[i]
                                                 : (struct meta_kafka_partition){-1, true};
        topic->partitions = more;
        topic->cap = cap;
    }
    topic->partition_count = OX_MAX(topic->partition_count, (uint32_t)index + 1);
    return &topic->partitions[index];
}

static bool
is_foreign(const struct meta_kafka *kafka, struct msg_int32s replicas)
{
    return replicas.count != 1 || replicas.at[0] != kafka->node_id;
}

static ox_code
take_partition(struct frame *frame)
{
    struct partition_record record;
    ox_code code = take_body(frame, &partition_record_type, &record);
    if (code != OX_OK)
        return code;
    struct meta_kafka_topic *topic = ox_map_get(&frame->kafka->topics, uuid_key(&record.topic_id));
    struct meta_kafka_partition *part =
        topic != NULL ? partition_of(frame, topic, record.partition_id) : NULL;
    if (part == NULL || record.leader_epoch < 0 || record.leader_epoch > INT32_MAX - 1000)
        return malformed(frame);
    part->leader_epoch = record.leader_epoch;
    part->foreign = is_foreign(frame->kafka, record.replicas);
    return OX_OK;
}

static ox_code
take_partition_change(struct frame *frame)
{
    struct partition_change_record record;
    ox_code code = take_body(frame, &partition_change_record_type, &record);
    if (code != OX_OK)
        return code;
    struct meta_kafka_topic *topic = ox_map_get(&frame->kafka->topics, uuid_key(&record.topic_id));
    if (topic == NULL || record.partition_id < 0 ||
        (uint32_t)record.partition_id >= topic->partition_count)
        return malformed(frame);
    struct meta_kafka_partition *part = &topic->partitions[record.partition_id];
    if (part->leader_epoch < 0 || part->leader_epoch > INT32_MAX - 1000)
        return malformed(frame);
    if (record.leader != -2)
        part->leader_epoch++;
    if (record.replicas.count >= 0)
        part->foreign = is_foreign(frame->kafka, record.replicas);
    return OX_OK;
}

static ox_code
take_remove_topic(struct frame *frame)
{
    struct remove_topic_record record;
    struct meta_kafka *kafka = frame->kafka;
    ox_code code = take_body(frame, &remove_topic_record_type, &record);
    if (code != OX_OK)
        return code;
    struct meta_kafka_topic *topic = ox_map_remove(&kafka->topics, uuid_key(&record.topic_id));
    if (topic == NULL)
        return malformed(frame);
    uint32_t at = 0;
    for (struct map_entry *e; (e = ox_map_next(&kafka->configs, &at)) != NULL;) {
        struct meta_kafka_config *config = e->value;
        if (config->resource == META_RESOURCE_TOPIC && ox_str_eq(config->object, topic->name))
            ox_map_remove(&kafka->configs, e->key);
    }
    return OX_OK;
}

/* A setting takes this value; null: it has none any more. */
static void
put_config(struct frame *frame, int8_t resource, struct str object, struct str name,
    struct str value)
{
    struct meta_kafka *kafka = frame->kafka;
    ox_text_addf(&frame->key, "%d:", resource);
    add_key(frame, object);
    add_key(frame, name);
    if (value.ptr == NULL) {
        ox_map_remove(&kafka->configs, ox_text_str(&frame->key));
        return;
    }
    struct meta_kafka_config *config = ox_arena_array(&kafka->arena, struct meta_kafka_config, 1);
    *config = (struct meta_kafka_config){resource, keep(frame, object), keep(frame, name),
        keep(frame, value)};
    ox_map_put(&kafka->configs, ox_text_str(&frame->key), config);
}

static ox_code
take_config(struct frame *frame)
{
    struct config_record record;
    ox_code code = take_body(frame, &config_record_type, &record);
    if (code == OX_OK)
        put_config(frame, record.resource_type, record.resource_name, record.name, record.value);
    return code;
}

/* Kept as our own setting of that name; 0 as Kafka does: none. */
static ox_code
take_feature(struct frame *frame)
{
    struct feature_level_record record;
    ox_code code = take_body(frame, &feature_level_record_type, &record);
    if (code == OX_OK)
        put_config(frame, META_RESOURCE_FEATURE, OX_STR(META_FEATURES), record.name,
            ox_str(ox_arena_printf(&frame->arena, "%d", record.feature_level)));
    return code;
}

static void
scram_key(struct frame *frame, struct str user, int8_t mechanism)
{
    ox_text_addf(&frame->key, "%d:", mechanism);
    add_key(frame, user);
}

static ox_code
take_scram(struct frame *frame)
{
    struct user_scram_credential_record record;
    ox_code code = take_body(frame, &user_scram_credential_record_type, &record);
    if (code != OX_OK)
        return code;
    scram_key(frame, record.name, record.mechanism);
    struct meta_scram *scram = ox_arena_array(&frame->kafka->arena, struct meta_scram, 1);
    *scram = (struct meta_scram){keep(frame, record.name), record.mechanism, record.iterations,
        keep(frame, record.salt), keep(frame, record.stored_key), keep(frame, record.server_key)};
    ox_map_put(&frame->kafka->scrams, ox_text_str(&frame->key), scram);
    return OX_OK;
}

static ox_code
take_remove_scram(struct frame *frame)
{
    struct remove_user_scram_credential_record record;
    ox_code code = take_body(frame, &remove_user_scram_credential_record_type, &record);
    if (code != OX_OK)
        return code;
    scram_key(frame, record.name, record.mechanism);
    ox_map_remove(&frame->kafka->scrams, ox_text_str(&frame->key));
    return OX_OK;
}

/* Kafka's null name is the default entity, which is "" here. */
static ox_code
take_quota(struct frame *frame)
{
    struct client_quota_record record;
    struct meta_kafka *kafka = frame->kafka;
    ox_code code = take_body(frame, &client_quota_record_type, &record);
    if (code != OX_OK)
        return code;
    struct meta_quota quota = {.key = record.key, .value = record.value};
    for (int32_t i = 0; i < record.entity.count; i++) {
        struct str type = record.entity.at[i].entity_type, name = record.entity.at[i].entity_name;
        struct str *part = ox_str_is(type, "user")        ? &quota.user
                           : ox_str_is(type, "client-id") ? &quota.client_id
                           : ox_str_is(type, "ip")        ? &quota.ip
                                                          : NULL;
        if (part == NULL)
            return malformed(frame);
        *part = name.ptr != NULL ? name : OX_STR("");
    }
    add_key(frame, quota.user);
    add_key(frame, quota.client_id);
    add_key(frame, quota.ip);
    add_key(frame, quota.key);
    if (record.remove) {
        ox_map_remove(&kafka->quotas, ox_text_str(&frame->key));
        return OX_OK;
    }
    struct meta_quota *kept = ox_arena_array(&kafka->arena, struct meta_quota, 1);
    *kept = (struct meta_quota){keep(frame, quota.user), keep(frame, quota.client_id),
        keep(frame, quota.ip), keep(frame, quota.key), quota.value};
    ox_map_put(&kafka->quotas, ox_text_str(&frame->key), kept);
    return OX_OK;
}

static ox_code
take_producer_ids(struct frame *frame)
{
    struct producer_ids_record record;
    ox_code code = take_body(frame, &producer_ids_record_type, &record);
    if (code == OX_OK)
        frame->kafka->producer_id_next =
            OX_MAX(frame->kafka->producer_id_next, record.next_producer_id);
    return code;
}

static ox_code
take_acl(struct frame *frame)
{
    struct access_control_entry_record record;
    ox_code code = take_body(frame, &access_control_entry_record_type, &record);
    if (code != OX_OK)
        return code;
    struct meta_acl *acl = ox_arena_array(&frame->kafka->arena, struct meta_acl, 1);
    *acl = (struct meta_acl){record.resource_type, record.pattern_type, record.operation,
        record.permission_type, keep(frame, record.resource_name), keep(frame, record.principal),
        keep(frame, record.host)};
    ox_map_put(&frame->kafka->acls, uuid_key(&record.id), acl);
    return OX_OK;
}

static ox_code
take_remove_acl(struct frame *frame)
{
    struct remove_access_control_entry_record record;
    ox_code code = take_body(frame, &remove_access_control_entry_record_type, &record);
    if (code == OX_OK)
        ox_map_remove(&frame->kafka->acls, uuid_key(&record.id));
    return code;
}

static ox_code
take_token(struct frame *frame)
{
    struct delegation_token_record record;
    struct meta_kafka *kafka = frame->kafka;
    struct text renewers;
    ox_code code = take_body(frame, &delegation_token_record_type, &record);
    if (code != OX_OK)
        return code;
    ox_text_init(&renewers, &kafka->arena);
    for (int32_t i = 0; i < record.renewers.count; i++)
        ox_text_addf(&renewers, "%.*s\n", OX_STR_ARG(record.renewers.at[i]));
    struct meta_token *token = ox_arena_array(&kafka->arena, struct meta_token, 1);
    *token = (struct meta_token){keep(frame, record.token_id), keep(frame, record.owner),
        keep(frame, record.requester), renewers.len > 0 ? ox_text_str(&renewers) : OX_STR(""),
        record.issue_timestamp, record.expiration_timestamp, record.max_timestamp};
    ox_map_put(&kafka->tokens, token->id, token);
    return OX_OK;
}

static ox_code
take_remove_token(struct frame *frame)
{
    struct remove_delegation_token_record record;
    ox_code code = take_body(frame, &remove_delegation_token_record_type, &record);
    if (code == OX_OK)
        ox_map_remove(&frame->kafka->tokens, record.token_id);
    return code;
}

static ox_code
take_record(struct frame *frame)
{
    switch (frame->kind) {
    case KIND_TOPIC:
        return take_topic(frame);
    case KIND_PARTITION:
        return take_partition(frame);
    case KIND_PARTITION_CHANGE:
        return take_partition_change(frame);
    case KIND_REMOVE_TOPIC:
        return take_remove_topic(frame);
    case KIND_CONFIG:
        return take_config(frame);
    case KIND_SCRAM:
        return take_scram(frame);
    case KIND_REMOVE_SCRAM:
        return take_remove_scram(frame);
    case KIND_QUOTA:
        return take_quota(frame);
    case KIND_PRODUCER_IDS:
        return take_producer_ids(frame);
    case KIND_ACL:
        return take_acl(frame);
    case KIND_REMOVE_ACL:
        return take_remove_acl(frame);
    case KIND_TOKEN:
        return take_token(frame);
    case KIND_REMOVE_TOKEN:
        return take_remove_token(frame);
    case KIND_FEATURE_LEVEL:
        return take_feature(frame);
    case KIND_REGISTER_BROKER:
    case KIND_UNREGISTER_BROKER:
    case KIND_FENCE_BROKER:
    case KIND_UNFENCE_BROKER:
    case KIND_BROKER_CHANGE:
    case KIND_NO_OP:
    case KIND_ZK_MIGRATION:
    case KIND_REGISTER_CONTROLLER:
    case KIND_CLEAR_ELR:
        return OX_OK;
    }
    return ox_fail(frame->err, OX_UNSUPPORTED_VERSION, "metadata records of type %u are not known",
        frame->kind);
}

/* ---- transactions ---- */

static void
put_off(struct meta_kafka *kafka, struct str value)
{
    if (kafka->pending_count == kafka->pending_cap) {
        uint32_t cap = OX_MAX(kafka->pending_cap * 2, 64u);
        struct str *more = ox_arena_array(&kafka->arena, struct str, cap);
        for (uint32_t i = 0; i < kafka->pending_count; i++)
            more[i] = kafka->pending[i];
        kafka->pending = more;
        kafka->pending_cap = cap;
    }
    kafka->pending[kafka->pending_count++] = ox_str_dup(&kafka->arena, value);
}

static ox_code
end_transaction(struct meta_kafka *kafka, struct ox_err *err)
{
    ox_code code = OX_OK;
    kafka->in_transaction = false;
    for (uint32_t i = 0; i < kafka->pending_count && code == OX_OK; i++)
        code = meta_kafka_replay(kafka, kafka->pending[i], err);
    kafka->pending_count = 0;
    return code;
}

ox_code
meta_kafka_replay(struct meta_kafka *kafka, struct str value, struct ox_err *err)
{
    struct frame frame = {.kafka = kafka, .in = wire_in(value.ptr, value.len), .err = err};
    uint32_t frame_version = wire_get_uvarint(&frame.in);
    frame.kind = wire_get_uvarint(&frame.in);
    frame.version = wire_get_uvarint(&frame.in);
    if (frame.in.failed || frame_version != 1)
        return ox_fail(err, OX_DATA_CORRUPTED, "a metadata record has no known frame");
    bool inside = kafka->in_transaction;
    if (frame.kind == KIND_BEGIN || frame.kind == KIND_END || frame.kind == KIND_ABORT) {
        if (inside == (frame.kind == KIND_BEGIN))
            return malformed(&frame);
        kafka->in_transaction = frame.kind == KIND_BEGIN;
        if (frame.kind == KIND_END)
            return end_transaction(kafka, err);
        kafka->pending_count = 0;
        return OX_OK;
    }
    if (inside) {
        put_off(kafka, value);
        return OX_OK;
    }
    ox_arena_init(&frame.arena);
    ox_text_init(&frame.key, &frame.arena);
    ox_code code = take_record(&frame);
    ox_arena_fini(&frame.arena);
    return code;
}

/* ---- files ---- */

struct metadata_file {
    const char *name;
    int64_t offset; /* that its name says */
};

/* Is it the control record of a snapshot's end? Its key is i16 version, i16 type. */
static bool
ends_snapshot(const struct record_batch *batch, struct text *scratch)
{
    struct record_iter iter;
    struct record record;
    return record_batch_is_control(batch) &&
        record_iter_init(&iter, batch, scratch, BATCH_INFLATED_MAX, NULL) == OX_OK &&
        record_iter_next(&iter, &record) && record.key.len >= 4 &&
        wire_load16(record.key.ptr + 2) == CONTROL_SNAPSHOT_END;
}

static ox_code
replay_batch(struct meta_kafka *kafka, const struct record_batch *batch, struct text *scratch,
    struct ox_err *err)
{
    struct record_iter iter;
    struct record record;
    kafka->snapshot_ended = ends_snapshot(batch, scratch);
    if (record_batch_is_control(batch))
        return OX_OK;
    ox_code code = record_iter_init(&iter, batch, scratch, BATCH_INFLATED_MAX, err);
    while (code == OX_OK && record_iter_next(&iter, &record))
        if (record.value.ptr != NULL)
            code = meta_kafka_replay(kafka, record.value, err);
    if (code == OX_OK && iter.failed)
        code = ox_fail(err, OX_DATA_CORRUPTED, "%s", iter.fault);
    return code;
}

/* Whether a whole batch follows somewhere behind a bad one, which then is not the end that
 * was being written. Its offset is at most as much above end as there are bytes before it. */
static bool
goes_on(const char *ptr, size_t len, int64_t end)
{
    struct record_batch batch;
    for (size_t at = 1; at + RECORD_BATCH_HEADER <= len; at++) {
        uint64_t above = wire_load64(ptr + at) - (uint64_t)end;
        if (ptr[at + 16] == 2 && above <= len &&
            record_batch_check(ptr + at, len - at, &batch, NULL) == OX_OK)
            return true;
    }
    return false;
}

static ox_code
damaged(const char *path, size_t pos, bool is_last, struct ox_err *err)
{
    ox_code code =
        ox_fail(err, OX_DATA_CORRUPTED, "\"%s\" is damaged at position %zu", path, pos);
    if (is_last)
        ox_hint(err, "Whole batches follow. If the power went, Kafka cuts its log there when it "
            "starts once more.");
    return code;
}

/* All batches of a file that begin at or above from; *end: behind the last one. A
 * bad one at its end ends the last file of a log, and is a fault anywhere else. */
static ox_code
replay_file(struct meta_kafka *kafka, struct file_system *fs, const char *path, bool is_last,
    int64_t from, int64_t *end, struct ox_err *err)
{
    struct arena arena;
    struct text scratch;
    char *ptr;
    size_t len, pos = 0;
    ox_arena_init(&arena);
    ox_text_init(&scratch, NULL);
    ox_code code = file_read_all(fs, path, FILE_BYTES_MAX, &arena, &ptr, &len, err);
    while (code == OX_OK && pos < len) {
        struct record_batch batch;
        ox_code bad = record_batch_check(ptr + pos, len - pos, &batch, err);
        if (bad != OX_OK && is_last && !goes_on(ptr + pos, len - pos, *end)) {
            ox_warn("Kafka's metadata log ends with a torn batch, which was not committed",
                "path=%s position=%zu", path, pos);
            break;
        }
        if (bad != OX_OK)
            code = damaged(path, pos, is_last, err);
        else if (batch.base_offset > *end)
            code = ox_fail(err, OX_DATA_CORRUPTED, "records %lld to %lld are missing before "
                "position %zu of \"%s\"", (long long)*end, (long long)batch.base_offset - 1, pos,
                path);
        else if (batch.base_offset >= from)
            code = replay_batch(kafka, &batch, &scratch, err);
        if (code == OX_OK)
            *end = OX_MAX(*end, record_batch_next_offset(&batch));
        pos += bad == OX_OK ? batch.bytes : 0;
    }
    ox_text_fini(&scratch);
    ox_arena_fini(&arena);
    return code;
}

/* The number at the front of "00000000000000000123-0000000002.checkpoint" or
 * "00000000000000000000.log"; -1: another file. */
static int64_t
offset_of(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);
    int64_t offset;
    if (len < 20 + suffix_len || strcmp(name + len - suffix_len, suffix) != 0 ||
        !ox_str_to_i64(ox_str_n(name, 20), &offset) || offset < 0)
        return -1;
    return offset;
}

static int
by_offset(const void *a, const void *b)
{
    const struct metadata_file *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static ox_code
replay_log(struct meta_kafka *kafka, struct file_system *fs, const char *folder,
    const struct file_name *names, size_t count, struct arena *arena, struct ox_err *err)
{
    struct metadata_file *files = ox_arena_array(arena, struct metadata_file, count + 1);
    size_t file_count = 0;
    int64_t from = kafka->end_offset, end = from;
    for (size_t i = 0; i < count; i++)
        if (offset_of(names[i].name, ".log") >= 0)
            files[file_count++] =
                (struct metadata_file){names[i].name, offset_of(names[i].name, ".log")};
    qsort(files, file_count, sizeof(*files), by_offset);
    ox_code code = OX_OK;
    for (size_t i = 0; i < file_count && code == OX_OK; i++)
        if (i + 1 == file_count || files[i + 1].offset > from)
            code = replay_file(kafka, fs, ox_arena_printf(arena, "%s/%s", folder, files[i].name),
                i + 1 == file_count, from, &end, err);
    kafka->end_offset = end;
    return code;
}

ox_code
meta_kafka_read(struct meta_kafka *kafka, struct file_system *fs, const char *dir,
    struct ox_err *err)
{
    struct arena arena;
    struct file_name *names;
    size_t count;
    const char *snapshot = NULL;
    int64_t newest = -1, ignored = INT64_MAX;
    ox_arena_init(&arena);
    const char *folder = ox_arena_printf(&arena, "%s/__cluster_metadata-0", dir);
    ox_code code = fs_list(fs, folder, &arena, &names, &count, err);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        if (offset_of(names[i].name, ".checkpoint") >= newest &&
            offset_of(names[i].name, ".checkpoint") >= 0) {
            snapshot = names[i].name; /* names are in order: of two, the later epoch */
            newest = offset_of(snapshot, ".checkpoint");
        }
    if (code == OX_OK && snapshot != NULL) {
        code = replay_file(kafka, fs, ox_arena_printf(&arena, "%s/%s", folder, snapshot), false, 0,
            &ignored, err);
        if (code == OX_OK && !kafka->snapshot_ended)
            code = ox_fail(err, OX_DATA_CORRUPTED, "snapshot \"%s/%s\" has no end", folder,
                snapshot);
        kafka->end_offset = newest;
    }
    if (code == OX_OK)
        code = replay_log(kafka, fs, folder, names, count, &arena, err);
    ox_arena_fini(&arena);
    return code;
}
