/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's metadata from start to stop, and the meta thread.
 *
 *     meta_open   who is this directory -> raft store -> catalog -> raft (replays
 *                 what the catalog lacks) -> first view -> thread
 *     a turn      queue -> raft -> flush -> apply -> catalog commit -> view ->
 *                 observers -> answers
 *     meta_close  last turns, raft, catalog, store
 *
 * What is in a directory decides what may happen to it:
 *
 *     meta.properties  raft.db   else          what
 *     no               no        nothing       new: formatted if asked
 *     no               no        partitions    refused: data without metadata
 *     yes              no        Kafka's log   taken over (takeover.c), but see below
 *     yes              no        any           refused: metadata log is gone
 *     no               yes       any           format was cut off: finished
 *     yes              yes       any           must name the same directory
 *
 * A new cluster begins in the first row only. Kafka's log stays when it was taken over: with a
 * catalog of ours beside it a metadata log is gone too, and Kafka's is too old to stand in. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "meta/meta_int.h"

enum { TURN_MAX = 256, TICK_MS = 20, RESERVE_BYTES = 16 << 20 };

/* ---- Identity ------------------------------------------------------------ */

/* One server a directory, from before it is formatted. */
static ox_code
lock_dir(struct meta *meta, const char *dir, struct ox_err *err)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/meta.lock", dir);
    ox_code code = fs_open(meta->env->fs, "meta.lock", path, FILE_READ | FILE_WRITE | FILE_CREATE,
        &meta->lock_file, err);
    if (code == OX_OK)
        code = fs_lock(meta->env->fs, meta->lock_file, err);
    if (code == OX_LOCK_HELD)
        ox_fail(err, OX_LOCK_HELD, "directory \"%s\" is in use by another server", dir);
    return code;
}

/* "NAME-NUMBER", or one of our databases: something a new cluster must not own. */
static bool
is_data(const struct file_name *name)
{
    const char *dash = strrchr(name->name, '-');
    int64_t number;
    if (!name->is_dir)
        return strcmp(name->name, "catalog.db") == 0;
    return dash != NULL && dash != name->name && ox_str_to_i64(ox_str(dash + 1), &number) &&
        number >= 0;
}

static ox_code
refuse_if_data(struct file_system *fs, const char *dir, struct ox_err *err)
{
    struct arena arena;
    struct file_name *names;
    size_t count;
    ox_arena_init(&arena);
    ox_code code = fs_list(fs, dir, &arena, &names, &count, err);
    for (size_t i = 0; code == OX_OK && i < count; i++) {
        if (!is_data(&names[i]))
            continue;
        code = ox_fail(err, OX_DATA_CORRUPTED,
            "\"%s\" holds data (\"%s\") but no metadata; it is not initialised anew", dir,
            names[i].name);
        ox_hint(err, "Restore meta.properties and raft.db, or use an empty directory.");
    }
    ox_arena_fini(&arena);
    return code;
}

static void
new_uuid(const struct env *env, struct uuid *id)
{
    do {
        env_random(env, id->bytes, sizeof(id->bytes));
    } while (id->bytes[0] >> 2 == 62 || ox_uuid_is_zero(id)); /* 62 prints as '-' */
    id->bytes[6] = (id->bytes[6] & 0x0f) | 0x40;
    id->bytes[8] = (id->bytes[8] & 0x3f) | 0x80;
}

static ox_code
format(const struct meta_config *config, const struct env *env, struct ox_err *err)
{
    struct raft_store_identity identity = {.who.node_id = config->node_id < 0 ? 1
        : config->node_id};
    struct meta_command cmd = {.kind = META_CLUSTER_INIT, .time_ms = env_wall_ms(env)};
    struct text bytes;
    struct uuid cluster;
    new_uuid(env, &cluster);
    if (config->directory_id != NULL)
        identity.who.directory_id = *config->directory_id;
    else
        new_uuid(env, &identity.who.directory_id);
    new_uuid(env, &identity.incarnation);
    if (config->cluster_id != NULL)
        snprintf(identity.who.cluster_id, sizeof(identity.who.cluster_id), "%s",
            config->cluster_id);
    else
        ox_uuid_to_base64(&cluster, identity.who.cluster_id);
    cmd.cluster_init.cluster_id = ox_str(identity.who.cluster_id);
    cmd.cluster_init.incarnation = identity.incarnation;
    ox_text_init(&bytes, NULL);
    ox_code code = meta_command_encode(&cmd, &bytes, err);
    if (code == OX_OK)
        code = raft_store_format(env, config->dir, &identity, bytes.ptr, bytes.len, err);
    if (code == OX_OK)
        code = meta_identity_write(env->fs, config->dir, &identity.who, err);
    ox_text_fini(&bytes);
    return code;
}

static ox_code
mismatch(struct ox_err *err, const char *dir, const char *what, const char *is,
    const char *wanted)
{
    return ox_fail(err, OX_IDENTITY_MISMATCH, "directory \"%s\" is of %s %s, not %s", dir, what,
        is, wanted);
}

static ox_code
compare_identity(const struct meta_config *config, const struct meta_identity *file,
    const struct meta_identity *log, struct ox_err *err)
{
    char is[24], wanted[24];
    if (strcmp(file->cluster_id, log->cluster_id) != 0)
        return ox_fail(err, OX_IDENTITY_MISMATCH,
            "meta.properties is of cluster %s and raft.db of cluster %s in \"%s\"",
            file->cluster_id, log->cluster_id, config->dir);
    if (file->node_id != log->node_id || !ox_uuid_eq(&file->directory_id, &log->directory_id))
        return ox_fail(err, OX_IDENTITY_MISMATCH,
            "meta.properties and raft.db in \"%s\" were not made for the same directory",
            config->dir);
    if (config->cluster_id != NULL && strcmp(config->cluster_id, log->cluster_id) != 0)
        return mismatch(err, config->dir, "cluster", log->cluster_id, config->cluster_id);
    if (config->node_id >= 0 && config->node_id != log->node_id) {
        snprintf(is, sizeof(is), "%d", log->node_id);
        snprintf(wanted, sizeof(wanted), "%d", config->node_id);
        return mismatch(err, config->dir, "node", is, wanted);
    }
    return OX_OK;
}

static bool
is_there(struct file_system *fs, const char *dir, const char *name)
{
    char path[4200];
    struct file_stat stat;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return fs_stat(fs, path, &stat, NULL) == OX_OK;
}

/* The table above; leaves the store open. */
static ox_code
open_store(struct meta *meta, const struct meta_config *config, struct ox_err *err)
{
    struct file_system *fs = meta->env->fs;
    struct meta_identity file = {.node_id = -1};
    bool has_file = is_there(fs, config->dir, "meta.properties");
    bool has_log = is_there(fs, config->dir, "raft.db");
    ox_code code = has_file ? meta_identity_read(fs, config->dir, &file, err) : OX_OK;
    if (code == OX_OK && has_file && !has_log &&
        is_there(fs, config->dir, "__cluster_metadata-0") &&
        !is_there(fs, config->dir, "catalog.db")) {
        code = compare_identity(config, &file, &file, err);
        if (code == OX_OK)
            code = meta_take_over(config, meta->env, err);
        if (code == OX_OK) /* it may have got a directory id */
            code = meta_identity_read(fs, config->dir, &file, err);
        has_log = true;
    }
    if (code == OX_OK && has_file && has_log)
        code = meta_kafka_mark_check(fs, config->dir, file.node_id, err);
    if (code == OX_OK && has_file && !has_log) {
        code = ox_fail(err, OX_DATA_CORRUPTED,
            "\"%s\" has meta.properties but no metadata log (raft.db)", config->dir);
        ox_hint(err, is_there(fs, config->dir, "__cluster_metadata-0")
                ? "Restore raft.db from a backup; partitions were not touched. Without catalog.db "
                  "the metadata would be Kafka's again, as old as that is."
                : "Restore raft.db from a backup; partitions were not touched.");
    }
    if (code == OX_OK && !has_file && !has_log) {
        code = refuse_if_data(fs, config->dir, err);
        if (code == OX_OK && !config->format)
            code = ox_fail(err, OX_FILE_NOT_FOUND, "\"%s\" is not initialised", config->dir);
        if (code == OX_OK)
            code = format(config, meta->env, err);
    }
    if (code == OX_OK)
        code = raft_store_open(meta->env, config->dir, &meta->store, err);
    if (code != OX_OK)
        return code;
    meta->identity = raft_store_identity(meta->store)->who;
    if (has_file)
        return compare_identity(config, &file, &meta->identity, err);
    code = compare_identity(config, &meta->identity, &meta->identity, err);
    if (code == OX_OK && has_log)
        code = meta_identity_write(fs, config->dir, &meta->identity, err);
    return code;
}

/* ---- Catalog ------------------------------------------------------------- */

static ox_code
open_catalog(struct meta *meta, const struct meta_config *config, struct ox_err *err)
{
    const struct raft_store_identity *identity = raft_store_identity(meta->store);
    struct ox_err why;
    ox_code code = catalog_writer_open(meta->env, config->dir,
        ox_str(identity->who.cluster_id), &identity->incarnation, &meta->catalog, err);
    if (code != OX_OK)
        return code;
    if (catalog_writer_index(meta->catalog) > raft_store_last_found(meta->store)) {
        code = ox_fail(err, OX_IDENTITY_MISMATCH,
            "metadata log in \"%s\" ends at %llu but its catalog has seen %llu: raft.db is an "
            "older copy", config->dir, (unsigned long long)raft_store_last_found(meta->store),
            (unsigned long long)catalog_writer_index(meta->catalog));
        ox_hint(err, "A voter must not forget what it promised: restore the newest raft.db.");
        return code;
    }
    code = catalog_writer_load(meta->catalog, &meta->image, &why);
    if (code == OX_OK)
        return OX_OK;
    ox_diag_err(OX_DIAG_WARN, "catalog is rebuilt from the metadata log", &why);
    meta_image_reset(&meta->image);
    return catalog_writer_reset(meta->catalog, err);
}

/* ---- A turn -------------------------------------------------------------- */

void
meta_node_fail(struct meta *meta, const struct ox_err *err)
{
    if (atomic_load(&meta->failed) != OX_OK)
        return;
    meta->failure = *err;
    atomic_store(&meta->failed, err->code);
    ox_diag_err(OX_DIAG_ERROR, "metadata stopped", err);
}

ox_code
meta_health(const struct meta *meta, struct ox_err *err)
{
    ox_code code = atomic_load(&meta->failed);
    if (code != OX_OK && err != NULL)
        *err = meta->failure;
    return code;
}

static void
tell_observers(struct meta *meta, const struct view *view)
{
    ox_lock(&meta->observers_lock);
    ox_list_each(node, &meta->observers) {
        struct observer *observer = ox_container_of(node, struct observer, link);
        observer->fn(&view->pub, observer->arg);
    }
    ox_unlock(&meta->observers_lock);
}

static void
publish(struct meta *meta)
{
    struct meta_view *pub = &meta->image.view.pub;
    bool ready = meta_quorum_ready(meta->quorum) && atomic_load(&meta->failed) == OX_OK;
    int32_t leader = meta_quorum_leader(meta->quorum);
    if (!meta->image.changed && ready == pub->ready && leader == pub->controller_id)
        return;
    uint64_t began = env_mono_ns(meta->env);
    pub->ready = ready;
    pub->controller_id = leader;
    pub->node_id = meta->identity.node_id;
    struct view *view = meta_view_publish(meta->chain, &meta->image);
    atomic_fetch_add(&meta->publications, 1);
    atomic_fetch_add(&meta->publish_ns_sum, env_mono_ns(meta->env) - began);
    tell_observers(meta, view);
}

static void
note_stats(struct meta *meta)
{
    struct raft_store_stats stats;
    raft_store_stats(meta->store, &stats);
    atomic_store(&meta->commits, stats.commits);
    atomic_store(&meta->commit_ns_sum, stats.commit_ns_sum);
    atomic_store(&meta->log_first, stats.first);
    atomic_store(&meta->log_last, stats.last);
    atomic_store(&meta->snapshot_index, stats.snapshot_index);
    atomic_store(&meta->applied, meta->image.view.pub.index);
    atomic_store(&meta->term, meta_quorum_term(meta->quorum));
    atomic_store(&meta->leader, meta_quorum_ready(meta->quorum));
}

/* After raft's turn: the catalog's transaction, the view, the answers. */
static void
finish_turn(struct meta *meta)
{
    struct ox_err err;
    if (raft_store_health(meta->store, &err) != OX_OK)
        meta_node_fail(meta, &err);
    if (atomic_load(&meta->failed) == OX_OK &&
        catalog_writer_commit(meta->catalog, &meta->image, &err) != OX_OK) {
        if (err.code == OX_DATA_CORRUPTED)
            catalog_writer_condemn(meta->catalog);
        meta_node_fail(meta, &err);
    }
    if (atomic_load(&meta->failed) == OX_OK)
        publish(meta);
    else
        meta_quorum_fail(meta->quorum, &meta->failure);
    note_stats(meta);
}

void
meta_reload(struct meta *meta, const struct meta_setting *settings, size_t count)
{
    const struct statics *statics = meta_settings_statics_new(settings, count);
    ox_lock(&meta->queue_lock);
    const struct statics *before = meta->reload;
    meta->reload = statics;
    pthread_cond_signal(&meta->queue_cond);
    ox_unlock(&meta->queue_lock);
    ox_free((void *)(uintptr_t)before);
}

static void
take_reload(struct meta *meta)
{
    ox_lock(&meta->queue_lock);
    const struct statics *file = meta->reload;
    meta->reload = NULL;
    ox_unlock(&meta->queue_lock);
    if (file == NULL)
        return;
    meta_image_set_statics(&meta->image,
        meta_settings_statics_merge(meta->image.view.statics, file));
    ox_free((void *)(uintptr_t)file);
}

static void
take_queue(struct meta *meta, struct list *taken)
{
    struct list *node;
    ox_list_init(taken);
    ox_lock(&meta->queue_lock);
    for (int i = 0; i < TURN_MAX && (node = ox_list_pop(&meta->queue)) != NULL; i++) {
        ox_list_push(taken, node);
        meta->queued--;
    }
    ox_unlock(&meta->queue_lock);
}

/* Room for the log and the catalog to grow. Checked ahead, because a write that
 * fails on the way ends all promises. */
static bool
has_room(struct meta *meta)
{
    struct file_space space;
    return fs_space(meta->env->fs, meta->dir, &space, NULL) != OX_OK ||
        space.usable >= RESERVE_BYTES;
}

/* What frees space is let through on a full disk. */
static bool
submit_queue(struct meta *meta)
{
    struct list taken, *node;
    take_queue(meta, &taken);
    if (ox_list_empty(&taken))
        return false;
    bool room = has_room(meta);
    while ((node = ox_list_pop(&taken)) != NULL) {
        struct request *request = ox_container_of(node, struct request, link);
        if (room || meta_request_kind(request) == META_TOPIC_DELETE)
            meta_quorum_submit(meta->quorum, request);
        else
            meta_propose_refuse(meta, request, OX_DISK_FULL);
    }
    return true;
}

bool
meta_turn(struct meta *meta)
{
    if (atomic_load(&meta->failed) != OX_OK) {
        meta_propose_refuse_all(meta, atomic_load(&meta->failed));
        return meta_propose_tell(meta);
    }
    take_reload(meta);
    bool any = submit_queue(meta);
    any |= meta_quorum_step(meta->quorum);
    finish_turn(meta);
    return meta_propose_tell(meta) || any;
}

/* ---- The thread ---------------------------------------------------------- */

/* Sleeps until there is work; alone there are no timers. False: stop. */
static bool
wait_for_work(struct meta *meta, bool alone)
{
    uint64_t until_ns = env_mono_ns(meta->env) + TICK_MS * 1000000u;
    struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    bool tick = false, go_on;
    ox_lock(&meta->queue_lock);
    while (ox_list_empty(&meta->queue) && meta->reload == NULL && !meta->closing && !tick) {
        if (alone)
            pthread_cond_wait(&meta->queue_cond, &meta->queue_lock.mutex);
        else
            tick = pthread_cond_timedwait(&meta->queue_cond, &meta->queue_lock.mutex, &until) ==
                ETIMEDOUT;
    }
    go_on = !meta->closing || !ox_list_empty(&meta->queue);
    ox_unlock(&meta->queue_lock);
    if (tick && atomic_load(&meta->failed) == OX_OK)
        meta_quorum_tick(meta->quorum);
    return go_on;
}

static void *
thread_main(void *arg)
{
    struct meta *meta = arg;
    while (wait_for_work(meta, meta_quorum_alone(meta->quorum)))
        meta_turn(meta);
    return NULL;
}

static ox_code
start_thread(struct meta *meta, struct ox_err *err)
{
    int status = pthread_create(&meta->thread, NULL, thread_main, meta);
    if (status != 0)
        return ox_fail_errno(err, status, "starting the meta thread");
    meta->thread_runs = true;
    return OX_OK;
}

/* ---- Open and close ------------------------------------------------------ */

static struct meta *
meta_new(const struct meta_config *config, const struct env *env)
{
    struct meta *meta = ox_calloc(1, sizeof(*meta));
    pthread_condattr_t attr;
    meta->env = env;
    meta->dir = ox_strdup(config->dir);
    meta->manual = config->manual;
    ox_list_init(&meta->answered);
    ox_list_init(&meta->observers);
    ox_list_init(&meta->queue);
    ox_lock_init(&meta->observers_lock, LOCK_META_OBSERVERS);
    ox_lock_init(&meta->queue_lock, LOCK_META_QUEUE);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&meta->queue_cond, &attr);
    pthread_condattr_destroy(&attr);
    meta->chain = meta_view_chain_new();
    return meta;
}

static ox_code
open_parts(struct meta *meta, const struct meta_config *config, struct ox_err *err)
{
    ox_code code = lock_dir(meta, config->dir, err);
    if (code == OX_OK)
        code = open_store(meta, config, err);
    if (code != OX_OK)
        return code;
    meta_image_init(&meta->image,
        meta_settings_statics_new(config->settings, config->setting_count),
        meta->identity.node_id);
    code = open_catalog(meta, config, err);
    if (code == OX_OK)
        code = meta_quorum_start(meta, meta->store, config, &meta->quorum, err);
    if (code != OX_OK)
        return code;
    finish_turn(meta);
    code = meta_health(meta, err);
    if (code == OX_OK && !meta->manual)
        code = start_thread(meta, err);
    return code;
}

ox_code
meta_open(const struct meta_config *config, const struct env *env, struct meta **out,
    struct ox_err *err)
{
    struct ox_err own;
    struct meta *meta = meta_new(config, env);
    *out = NULL;
    ox_code code = open_parts(meta, config, err != NULL ? err : &own);
    if (code != OX_OK) {
        meta_close(meta);
        return code;
    }
    *out = meta;
    return OX_OK;
}

void
meta_close(struct meta *meta)
{
    if (meta == NULL)
        return;
    ox_lock(&meta->queue_lock);
    meta->closing = true;
    pthread_cond_signal(&meta->queue_cond);
    ox_unlock(&meta->queue_lock);
    if (meta->thread_runs)
        pthread_join(meta->thread, NULL);
    if (meta->quorum != NULL && atomic_load(&meta->failed) == OX_OK)
        while (meta_turn(meta))
            continue;
    meta_quorum_stop(meta->quorum);
    meta_propose_refuse_all(meta, OX_SHUTTING_DOWN);
    meta_propose_tell(meta);
    catalog_writer_close(meta->catalog);
    raft_store_close(meta->store);
    if (meta->lock_file != NULL)
        fs_close(meta->env->fs, meta->lock_file);
    meta_image_fini(&meta->image, meta->chain);
    meta_view_chain_put(meta->chain);
    ox_free((void *)(uintptr_t)meta->reload);
    while (!ox_list_empty(&meta->observers))
        ox_free(ox_container_of(ox_list_pop(&meta->observers), struct observer, link));
    pthread_cond_destroy(&meta->queue_cond);
    ox_lock_fini(&meta->queue_lock);
    ox_lock_fini(&meta->observers_lock);
    ox_free(meta->dir);
    ox_free(meta);
}

const struct meta_identity *
meta_identity(const struct meta *meta)
{
    return &meta->identity;
}

/* ---- Observers and figures ----------------------------------------------- */

void
meta_on_view(struct meta *meta, meta_view_fn fn, void *arg)
{
    struct observer *observer = ox_calloc(1, sizeof(*observer));
    observer->fn = fn;
    observer->arg = arg;
    ox_lock(&meta->observers_lock);
    ox_list_push(&meta->observers, &observer->link);
    const struct meta_view *view = meta_view_get(meta);
    fn(view, arg);
    ox_unlock(&meta->observers_lock);
    meta_view_put(view);
}

void
meta_off_view(struct meta *meta, meta_view_fn fn, void *arg)
{
    ox_lock(&meta->observers_lock);
    ox_list_each(node, &meta->observers) {
        struct observer *observer = ox_container_of(node, struct observer, link);
        if (observer->fn != fn || observer->arg != arg)
            continue;
        ox_list_remove(node);
        ox_free(observer);
    }
    ox_unlock(&meta->observers_lock);
}

void
meta_stats(struct meta *meta, struct meta_stats *out)
{
    *out = (struct meta_stats){.proposals = meta->proposals, .refused = meta->refused,
        .commits = meta->commits, .snapshots = meta->snapshots,
        .publications = meta->publications, .log_first = meta->log_first,
        .log_last = meta->log_last, .applied = meta->applied,
        .snapshot_index = meta->snapshot_index, .commit_ns_sum = meta->commit_ns_sum,
        .publish_ns_sum = meta->publish_ns_sum, .term = meta->term, .leader = meta->leader};
}
