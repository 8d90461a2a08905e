/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.db, written by the meta thread alone.
 *
 *     closed -> open -> in transaction -> open ...
 *                 catalog_writer_begin  catalog_writer_commit
 *
 * WAL mode with synchronous=NORMAL: the raft log is the durable copy, so a power
 * cut may take back the last transactions but never half of one.
 *
 * Invariants
 * 1. meta_state.applied_index and the rows of the entries up to it commit in one
 *    transaction.
 * 2. A file that cannot be read, or that belongs to another log, is never used:
 *    it is made anew with applied_index 0, and the log fills it.
 * 3. user_version is the number of schema files that were run. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "meta/meta_int.h"
#include "meta/queries.gen.h"
#include "meta/sqlite.h"

struct catalog_writer {
    const struct env *env;
    char *path;
    struct sqlite3 *db;
    struct queries queries;
    char cluster_id[META_CLUSTER_ID_MAX + 1];
    struct uuid incarnation;
    uint64_t index;
    int64_t oid_next, producer_id_next;
    bool found, in_transaction, condemned;
};

static struct str
uuid_str(const struct uuid *id)
{
    return ox_str_n(id->bytes, sizeof(id->bytes));
}

/* ---- Open ---------------------------------------------------------------- */

static int
schema_version(struct sqlite3 *db)
{
    struct sqlite3_stmt *stmt = NULL;
    int version = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        version = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return version;
}

/* Run the schema files that this database has not seen. */
static ox_code
upgrade(struct catalog_writer *catalog, struct ox_err *err)
{
    char pragma[64];
    int version = schema_version(catalog->db);
    if (version < 0 || version > SCHEMA_CATALOG_COUNT)
        return ox_fail(err, OX_DATA_CORRUPTED, "catalog is of schema version %d", version);
    if (version == SCHEMA_CATALOG_COUNT)
        return OX_OK;
    ox_code code = queries_exec(catalog->db, "BEGIN IMMEDIATE", err);
    for (int i = version; code == OX_OK && i < SCHEMA_CATALOG_COUNT; i++)
        code = queries_exec(catalog->db, schema_catalog[i], err);
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", SCHEMA_CATALOG_COUNT);
    if (code == OX_OK)
        code = queries_exec(catalog->db, pragma, err);
    if (code == OX_OK)
        code = queries_exec(catalog->db, "COMMIT", err);
    return code;
}

static ox_code
state_row(void *arg, const struct query_state_get *row)
{
    struct catalog_writer *catalog = arg;
    catalog->found = ox_str_is(row->cluster_id, catalog->cluster_id) &&
        ox_str_eq(row->incarnation, uuid_str(&catalog->incarnation)) && row->applied_index >= 0;
    catalog->index = (uint64_t)row->applied_index;
    catalog->oid_next = row->oid_next;
    catalog->producer_id_next = row->producer_id_next;
    return OX_OK;
}

static void
close_database(struct catalog_writer *catalog)
{
    queries_fini(&catalog->queries);
    meta_sqlite_close(catalog->db);
    catalog->db = NULL;
    catalog->in_transaction = false;
}

static ox_code
open_existing(struct catalog_writer *catalog, struct ox_err *err)
{
    ox_code code = meta_sqlite_open(catalog->env, catalog->path, SQLITE_OLD, &catalog->db, err);
    if (code != OX_OK)
        return code;
    queries_init(&catalog->queries, catalog->db);
    code = queries_exec(catalog->db,
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-1024", err);
    if (code == OX_OK && schema_version(catalog->db) < 1)
        return ox_fail(err, OX_DATA_CORRUPTED, "catalog has no tables");
    if (code == OX_OK)
        code = upgrade(catalog, err);
    if (code == OX_OK)
        code = query_state_get(&catalog->queries, state_row, catalog, err);
    if (code == OX_OK && !catalog->found)
        code = ox_fail(err, OX_IDENTITY_MISMATCH, "catalog belongs to another metadata log");
    return code;
}

ox_code
catalog_writer_reset(struct catalog_writer *catalog, struct ox_err *err)
{
    close_database(catalog);
    catalog->index = 0;
    ox_code code = meta_sqlite_unlink(catalog->env->fs, catalog->path, err);
    if (code == OX_OK)
        code = meta_sqlite_open(catalog->env, catalog->path, SQLITE_NEW, &catalog->db, err);
    if (code != OX_OK)
        return code;
    queries_init(&catalog->queries, catalog->db);
    /* Nothing in it is relied upon yet: a torn new file is made anew. */
    code = queries_exec(catalog->db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL", err);
    if (code == OX_OK)
        code = upgrade(catalog, err);
    if (code == OX_OK)
        code = query_state_put(&catalog->queries, ox_str(catalog->cluster_id),
            uuid_str(&catalog->incarnation), 0, 0, 0, err);
    if (code == OX_OK)
        code = queries_exec(catalog->db, "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-1024",
            err);
    return code;
}

ox_code
catalog_writer_open(const struct env *env, const char *dir, struct str cluster_id,
    const struct uuid *incarnation, struct catalog_writer **out, struct ox_err *err)
{
    struct catalog_writer *catalog = ox_calloc(1, sizeof(*catalog));
    size_t path_len = strlen(dir) + sizeof("/catalog.db");
    struct ox_err why;
    catalog->env = env;
    catalog->path = ox_malloc(path_len);
    snprintf(catalog->path, path_len, "%s/catalog.db", dir);
    memcpy(catalog->cluster_id, cluster_id.ptr, OX_MIN(cluster_id.len, META_CLUSTER_ID_MAX));
    catalog->incarnation = *incarnation;
    ox_code code = open_existing(catalog, &why);
    if (code != OX_OK && code != OX_FILE_NOT_FOUND)
        ox_diag_err(OX_DIAG_WARN, "catalog is rebuilt from the metadata log", &why);
    if (code != OX_OK)
        code = catalog_writer_reset(catalog, err);
    if (code != OX_OK) {
        catalog_writer_close(catalog);
        return code;
    }
    *out = catalog;
    return OX_OK;
}

void
catalog_writer_close(struct catalog_writer *catalog)
{
    if (catalog == NULL)
        return;
    if (catalog->in_transaction)
        queries_exec(catalog->db, "ROLLBACK", NULL);
    close_database(catalog);
    if (catalog->condemned)
        meta_sqlite_unlink(catalog->env->fs, catalog->path, NULL);
    ox_free(catalog->path);
    ox_free(catalog);
}

void
catalog_writer_condemn(struct catalog_writer *catalog)
{
    catalog->condemned = true;
}

uint64_t
catalog_writer_index(const struct catalog_writer *catalog)
{
    return catalog->index;
}

struct queries *
catalog_writer_queries(struct catalog_writer *catalog)
{
    return &catalog->queries;
}

/* ---- Load ---------------------------------------------------------------- */

/* Rows of the partition and config tables, gathered by topic. */
struct loader {
    struct image *image;
    struct arena arena;
    struct ox_err *err;
    struct image_topic *topics; /* by rising oid */
    size_t topic_count, topic_cap;
    size_t at; /* the topic that partition rows are at */
    const struct meta_partition **partitions;
    size_t partition_count, partition_cap;
    struct meta_broker *brokers;
    size_t broker_count, broker_cap;
    struct meta_listener *listeners;
    int32_t *listener_nodes;
    size_t listener_count, listener_cap, node_cap;
    struct meta_config_item *items;
    size_t item_count, item_cap;
    int resource;
    struct str resource_name;
    struct map topic_configs;
};

static ox_code
contradiction(struct loader *loader, const char *what, int64_t which)
{
    return ox_fail(loader->err, OX_DATA_CORRUPTED, "catalog contradicts itself: %s (%lld)", what,
        (long long)which);
}

static ox_code
load_topic(void *arg, const struct query_topics *row)
{
    struct loader *loader = arg;
    struct image_topic topic = {.oid = (uint32_t)row->oid, .created_ms = row->created_ms,
        .created_index = (uint64_t)row->created_index,
        .changed_index = (uint64_t)row->changed_index};
    if (row->id.len != sizeof(topic.id.bytes) || row->name.len == 0)
        return contradiction(loader, "topic without id or name", row->oid);
    memcpy(topic.id.bytes, row->id.ptr, sizeof(topic.id.bytes));
    topic.name = ox_str_dup(&loader->arena, row->name);
    topic.owner = ox_str_dup(&loader->arena, row->owner);
    topic.comment = ox_str_dup(&loader->arena, row->comment);
    ox_arena_grow(&loader->arena, (void **)&loader->topics, &loader->topic_cap,
        loader->topic_count + 1, sizeof(topic));
    loader->topics[loader->topic_count++] = topic;
    return OX_OK;
}

/* "{1,2,3}" into ids; false on anything else. */
static bool
parse_ids(struct str text, int32_t **ids, uint32_t *count, struct arena *arena)
{
    struct str *items;
    int64_t id;
    if (text.len < 2 || text.ptr[0] != '{' || text.ptr[text.len - 1] != '}')
        return false;
    *count = (uint32_t)param_list_items(ox_str_n(text.ptr + 1, text.len - 2), arena, &items);
    *ids = ox_arena_array(arena, int32_t, *count + 1);
    for (uint32_t i = 0; i < *count; i++) {
        if (!ox_str_to_i64(items[i], &id) || id < 0 || id > INT32_MAX)
            return false;
        (*ids)[i] = (int32_t)id;
    }
    return true;
}

/* The topic before this row is complete. */
static ox_code
finish_topic(struct loader *loader)
{
    struct image_topic *topic = &loader->topics[loader->at];
    if (loader->partition_count == 0)
        return contradiction(loader, "topic without partitions", topic->oid);
    topic->partition_count = (uint32_t)loader->partition_count;
    topic->partitions = loader->partitions;
    topic->own = ox_map_get(&loader->topic_configs, topic->name);
    meta_image_topic_add(loader->image, topic);
    if (topic->own != NULL)
        ox_map_remove(&loader->topic_configs, topic->name);
    loader->partition_count = 0;
    loader->at++;
    return OX_OK;
}

static ox_code
load_partition(void *arg, const struct query_partitions *row)
{
    struct loader *loader = arg;
    struct arena arena;
    int32_t *replicas = NULL, *isr = NULL;
    struct meta_partition part = {.index = (int32_t)row->partition,
        .leader = (int32_t)row->leader, .leader_epoch = (int32_t)row->leader_epoch,
        .partition_epoch = (int32_t)row->partition_epoch, .recovery = (int8_t)row->recovery,
        .log_start_min = row->log_start_min};
    while (loader->at < loader->topic_count && loader->partition_count > 0 &&
        loader->topics[loader->at].oid != (uint32_t)row->topic_oid) {
        ox_code code = finish_topic(loader);
        if (code != OX_OK)
            return code;
    }
    if (loader->at == loader->topic_count ||
        loader->topics[loader->at].oid != (uint32_t)row->topic_oid ||
        row->partition != (int64_t)loader->partition_count)
        return contradiction(loader, "partition without its topic", row->topic_oid);
    ox_arena_init(&arena);
    bool good = parse_ids(row->replicas, &replicas, &part.replica_count, &arena) &&
        parse_ids(row->isr, &isr, &part.isr_count, &arena) && part.replica_count > 0 &&
        row->directories.len == part.replica_count * sizeof(struct uuid);
    if (good) {
        part.replicas = replicas;
        part.isr = isr;
        part.directories = (const void *)row->directories.ptr;
        ox_arena_grow(&loader->arena, (void **)&loader->partitions, &loader->partition_cap,
            loader->partition_count + 1, sizeof(*loader->partitions));
        loader->partitions[loader->partition_count++] = meta_image_partition_new(&part);
    }
    ox_arena_fini(&arena);
    return good ? OX_OK : contradiction(loader, "replicas of a partition", row->topic_oid);
}

static void
finish_resource(struct loader *loader)
{
    const struct meta_config_set *set = meta_image_config_new(loader->resource,
        loader->resource_name, loader->items, (uint32_t)loader->item_count);
    loader->item_count = 0;
    if (set == NULL)
        return;
    if (loader->resource == META_RESOURCE_TOPIC)
        ox_map_put(&loader->topic_configs, set->name, (void *)(uintptr_t)set);
    else
        meta_image_config_put(loader->image, loader->resource, set->name, set);
}

/* A setting that this version does not know stays in the table, unused. */
static ox_code
load_config(void *arg, const struct query_configs *row)
{
    struct loader *loader = arg;
    int scope = meta_settings_scope((int)row->resource);
    if (row->resource != loader->resource || !ox_str_eq(row->name, loader->resource_name)) {
        finish_resource(loader);
        loader->resource = (int)row->resource;
        loader->resource_name = ox_str_dup(&loader->arena, row->name);
    }
    struct str name = ox_str_dup(&loader->arena, row->key), listener;
    const struct param *param =
        scope >= 0 ? meta_settings_find((enum param_scope)scope, name, &listener) : NULL;
    if (param == NULL)
        return OX_OK;
    ox_arena_grow(&loader->arena, (void **)&loader->items, &loader->item_cap,
        loader->item_count + 1, sizeof(*loader->items));
    loader->items[loader->item_count++] = (struct meta_config_item){param,
        name, ox_str_dup(&loader->arena, row->value), listener};
    return OX_OK;
}

static ox_code
load_broker(void *arg, const struct query_brokers *row)
{
    struct loader *loader = arg;
    struct meta_broker broker = {.node_id = (int32_t)row->node_id, .epoch = row->epoch,
        .fenced = row->fenced != 0, .in_shutdown = row->in_shutdown != 0,
        .registered_ms = row->registered_ms};
    if (row->incarnation.len != 16 || row->directory_id.len != 16)
        return contradiction(loader, "ids of a broker", row->node_id);
    memcpy(broker.incarnation.bytes, row->incarnation.ptr, 16);
    memcpy(broker.directory_id.bytes, row->directory_id.ptr, 16);
    broker.rack = ox_str_dup(&loader->arena, row->rack);
    ox_arena_grow(&loader->arena, (void **)&loader->brokers, &loader->broker_cap,
        loader->broker_count + 1, sizeof(broker));
    loader->brokers[loader->broker_count++] = broker;
    return OX_OK;
}

static ox_code
load_listener(void *arg, const struct query_listeners *row)
{
    struct loader *loader = arg;
    ox_arena_grow(&loader->arena, (void **)&loader->listeners, &loader->listener_cap,
        loader->listener_count + 1, sizeof(*loader->listeners));
    ox_arena_grow(&loader->arena, (void **)&loader->listener_nodes, &loader->node_cap,
        loader->listener_count + 1, sizeof(*loader->listener_nodes));
    loader->listener_nodes[loader->listener_count] = (int32_t)row->node_id;
    loader->listeners[loader->listener_count++] = (struct meta_listener){
        ox_str_dup(&loader->arena, row->name), ox_str_dup(&loader->arena, row->host),
        (uint16_t)row->port, (int16_t)row->protocol};
    return OX_OK;
}

static void
finish_brokers(struct loader *loader)
{
    size_t at = 0;
    for (size_t i = 0; i < loader->broker_count; i++) {
        struct meta_broker *broker = &loader->brokers[i];
        while (at < loader->listener_count && loader->listener_nodes[at] < broker->node_id)
            at++;
        size_t from = at;
        while (at < loader->listener_count && loader->listener_nodes[at] == broker->node_id)
            at++;
        broker->listeners = loader->listeners + from;
        broker->listener_count = (uint32_t)(at - from);
        meta_image_broker_put(loader->image, broker);
    }
}

static ox_code
load_tables(struct catalog_writer *catalog, struct loader *loader)
{
    struct queries *queries = &catalog->queries;
    ox_code code = query_brokers(queries, load_broker, loader, loader->err);
    if (code == OX_OK)
        code = query_listeners(queries, load_listener, loader, loader->err);
    if (code != OX_OK)
        return code;
    finish_brokers(loader);
    code = query_configs(queries, load_config, loader, loader->err);
    finish_resource(loader);
    if (code == OX_OK)
        code = query_topics(queries, load_topic, loader, loader->err);
    if (code == OX_OK)
        code = meta_security_load(loader->image, queries, &loader->arena, loader->err);
    if (code == OX_OK)
        code = query_partitions(queries, load_partition, loader, loader->err);
    if (code == OX_OK && loader->at < loader->topic_count)
        code = finish_topic(loader);
    if (code == OX_OK && loader->at < loader->topic_count)
        code = contradiction(loader, "topics without partitions",
            loader->topics[loader->at].oid);
    return code;
}

static void
loader_fini(struct loader *loader)
{
    struct map_entry *entry;
    uint32_t at = 0;
    for (size_t i = 0; i < loader->partition_count; i++)
        meta_image_retire(loader->image, loader->partitions[i]);
    while ((entry = ox_map_next(&loader->topic_configs, &at)) != NULL)
        meta_image_retire(loader->image, entry->value);
    ox_map_fini(&loader->topic_configs);
    ox_arena_fini(&loader->arena);
}

ox_code
catalog_writer_load(struct catalog_writer *catalog, struct image *image, struct ox_err *err)
{
    struct loader loader = {.image = image, .err = err};
    struct meta_view *pub = &image->view.pub;
    if (catalog->index == 0)
        return OX_OK;
    ox_arena_init(&loader.arena);
    ox_map_init(&loader.topic_configs);
    ox_code code = load_tables(catalog, &loader);
    if (code == OX_OK) {
        pub->cluster_id = ox_str(ox_strdup(catalog->cluster_id));
        pub->index = catalog->index;
        pub->producer_id_next = catalog->producer_id_next;
        image->oid_next = (uint32_t)catalog->oid_next;
        image->incarnation = catalog->incarnation;
        image->changed = true;
    }
    loader_fini(&loader);
    return code;
}

/* ---- Write --------------------------------------------------------------- */

ox_code
catalog_writer_begin(struct catalog_writer *catalog, struct ox_err *err)
{
    if (catalog->in_transaction)
        return OX_OK;
    ox_code code = queries_exec(catalog->db, "BEGIN IMMEDIATE", err);
    catalog->in_transaction = code == OX_OK;
    return code;
}

ox_code
catalog_writer_commit(struct catalog_writer *catalog, const struct image *image,
    struct ox_err *err)
{
    if (!catalog->in_transaction)
        return OX_OK;
    ox_code code = query_state_advance(&catalog->queries, (int64_t)image->view.pub.index,
        image->oid_next, image->view.pub.producer_id_next, err);
    if (code == OX_OK)
        code = queries_exec(catalog->db, "COMMIT", err);
    if (code != OX_OK)
        return code;
    catalog->in_transaction = false;
    catalog->index = image->view.pub.index;
    return OX_OK;
}

static struct str
print_ids(const int32_t *ids, uint32_t count, struct text *text)
{
    ox_text_addc(text, '{');
    for (uint32_t i = 0; i < count; i++)
        ox_text_addf(text, "%s%d", i > 0 ? "," : "", ids[i]);
    ox_text_addc(text, '}');
    return ox_text_str(text);
}

ox_code
catalog_partition_put(struct catalog_writer *catalog, uint32_t oid,
    const struct meta_partition *part, struct ox_err *err)
{
    struct text replicas, isr;
    ox_text_init(&replicas, NULL);
    ox_text_init(&isr, NULL);
    ox_code code = query_partition_put(&catalog->queries, oid, part->index, part->leader,
        part->leader_epoch, part->partition_epoch, part->recovery,
        print_ids(part->replicas, part->replica_count, &replicas),
        print_ids(part->isr, part->isr_count, &isr),
        ox_str_n(part->directories, part->replica_count * sizeof(*part->directories)),
        part->log_start_min, err);
    ox_text_fini(&replicas);
    ox_text_fini(&isr);
    return code;
}

ox_code
catalog_broker_put(struct catalog_writer *catalog, const struct meta_broker *broker,
    struct ox_err *err)
{
    struct queries *queries = &catalog->queries;
    ox_code code = query_broker_put(queries, broker->node_id, broker->epoch,
        uuid_str(&broker->incarnation), uuid_str(&broker->directory_id), broker->rack,
        broker->fenced, broker->in_shutdown, broker->registered_ms, err);
    if (code == OX_OK)
        code = query_listeners_delete(queries, broker->node_id, err);
    for (uint32_t i = 0; code == OX_OK && i < broker->listener_count; i++) {
        const struct meta_listener *listener = &broker->listeners[i];
        code = query_listener_put(queries, broker->node_id, i, listener->name, listener->host,
            listener->port, listener->protocol, err);
    }
    return code;
}

ox_code
catalog_config_put(struct catalog_writer *catalog, int resource, struct str name,
    const struct meta_config_set *set, struct ox_err *err)
{
    ox_code code = query_configs_delete(&catalog->queries, resource, name, err);
    for (uint32_t i = 0; code == OX_OK && set != NULL && i < set->count; i++)
        code = query_config_put(&catalog->queries, resource, name, set->items[i].name,
            set->items[i].value, err);
    return code;
}

/* ---- The whole database as bytes ----------------------------------------- */

ox_code
catalog_image_take(struct catalog_writer *catalog, void **ptr, size_t *len, struct ox_err *err)
{
    sqlite3_int64 size = 0;
    *ptr = sqlite3_serialize(catalog->db, "main", &size, 0);
    if (*ptr == NULL)
        return ox_fail(err, OX_OUT_OF_MEMORY, "catalog of %lld bytes cannot be copied",
            (long long)size);
    *len = (size_t)size;
    return OX_OK;
}

void
catalog_image_free(void *ptr)
{
    sqlite3_free(ptr);
}

/* The bytes as a database in memory, checked. */
static ox_code
open_image(const void *ptr, size_t len, struct sqlite3 **out, struct ox_err *err)
{
    struct sqlite3_stmt *stmt = NULL;
    struct sqlite3 *db = NULL;
    *out = NULL;
    if (len < 512)
        return ox_fail(err, OX_DATA_CORRUPTED, "catalog snapshot is too short");
    uint8_t *copy = sqlite3_malloc64(len);
    if (copy == NULL)
        return ox_fail_plain(err, OX_OUT_OF_MEMORY);
    memcpy(copy, ptr, len);
    copy[18] = copy[19] = 1; /* a database in memory has no write-ahead log */
    int status = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
        NULL);
    if (status == SQLITE_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        status = sqlite3_deserialize(db, "main", copy, (sqlite3_int64)len, (sqlite3_int64)len,
            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
    } else {
        sqlite3_free(copy);
    }
    bool good = status == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    sqlite3_finalize(stmt);
    if (!good || schema_version(db) < 1 || schema_version(db) > SCHEMA_CATALOG_COUNT) {
        sqlite3_close_v2(db);
        return ox_fail(err, OX_DATA_CORRUPTED, "catalog snapshot is damaged");
    }
    *out = db;
    return OX_OK;
}

ox_code
catalog_image_restore(struct catalog_writer *catalog, const void *ptr, size_t len,
    struct ox_err *err)
{
    struct sqlite3 *from;
    ox_assert(!catalog->in_transaction);
    ox_code code = open_image(ptr, len, &from, err);
    if (code != OX_OK)
        return code;
    sqlite3_backup *backup = sqlite3_backup_init(catalog->db, "main", from, "main");
    int status = backup != NULL ? sqlite3_backup_step(backup, -1) : sqlite3_errcode(catalog->db);
    int end = sqlite3_backup_finish(backup);
    if (status != SQLITE_DONE)
        code = queries_fail(catalog->db, status, "restoring the catalog", err);
    else if (end != SQLITE_OK)
        code = queries_fail(catalog->db, end, "restoring the catalog", err);
    sqlite3_close_v2(from);
    catalog->found = false;
    if (code == OX_OK)
        code = upgrade(catalog, err);
    if (code == OX_OK)
        code = query_state_get(&catalog->queries, state_row, catalog, err);
    if (code == OX_OK && !catalog->found)
        code = ox_fail(err, OX_IDENTITY_MISMATCH, "snapshot belongs to another metadata log");
    return code;
}
