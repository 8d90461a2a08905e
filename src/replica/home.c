/* SPDX-License-Identifier: Apache-2.0
 *
 * Which partitions this node holds. The table is immutable and counted, like the
 * metadata view it was made from; a new view makes a new table that shares what
 * did not change. Loops look at a table without a lock:
 *
 *   meta thread: view -> open, close, update partitions -> new table -> publish
 *   loop:        generation changed? take the new table, keep the old one to the
 *                end of the tick; one that has nothing to do is asked to, or it
 *                would hold the logs of dropped topics, and their files, for ever
 *
 * Invariants
 *  1. A table holds its view, every topic entry in it, and so every partition.
 *  2. Only the meta thread makes tables (and boot, before loops look).
 *  3. A loop's cached table is replaced only by that loop. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/diag.h"
#include "base/map.h"
#include "base/side.h"
#include "replica/replica_int.h"

/* The partitions of one topic, shared by all tables in which they are the same. */
struct topic_entry {
    _Atomic uint32_t refs;
    struct uuid id;
    uint32_t count;
    struct partition *parts[]; /* NULL: this node has no replica */
};

struct table {
    _Atomic uint32_t refs;
    const struct meta_view *view;
    struct map by_id; /* topic id -> topic_entry */
};

/* Partitions that the next table has to open, together. */
struct opening {
    const struct meta_topic *topic;
    const struct meta_partition *facts;
    struct partition **to;
};

struct loop_cache {
    struct table *table, *old;
    uint64_t generation;
    struct loop_tick tick;
    struct append_queue appends;
    struct replica *replica;
    struct loop_msg look; /* from replica_tend() */
    _Atomic bool looking; /* it is posted */
};

struct replica {
    struct replica_config config;
    const struct env *env;
    struct meta *meta;
    struct lock lock; /* current */
    struct table *current;
    struct opening *openings; /* while a table is made */
    uint32_t opening_count, opening_cap;
    _Atomic uint64_t generation;
    uint64_t generation_told; /* to all loops, by replica_tend() */
    struct loop_cache *caches;
    struct loop_timer housekeeping;
    struct pool_job housekeeping_job;
    bool stopping; /* on loop 0 */
    pthread_mutex_t housekeeping_mutex;
    pthread_cond_t housekeeping_back;
    bool housekeeping_out; /* under its mutex: a worker looks at the table */
    _Atomic bool starting;
    struct mover *mover;
    struct log_cleaner *cleaner;
    struct log_cleaner_config cleaner_config; /* as the newest view has it */
};

const struct replica_config *
replica_config(const struct replica *replica)
{
    return &replica->config;
}

/* ---- tables ---- */

static struct str
id_key(const struct uuid *id)
{
    return ox_str_n(id->bytes, sizeof(id->bytes));
}

static void
entry_put(struct topic_entry *entry)
{
    if (atomic_fetch_sub(&entry->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < entry->count; i++)
        partition_put(entry->parts[i]);
    ox_free(entry);
}

static void
table_put(struct table *table)
{
    if (table == NULL || atomic_fetch_sub(&table->refs, 1) > 1)
        return;
    uint32_t at = 0;
    for (struct map_entry *e; (e = ox_map_next(&table->by_id, &at)) != NULL;)
        entry_put(e->value);
    ox_map_fini(&table->by_id);
    meta_view_put(table->view);
    ox_free(table);
}

static struct table *
table_current(struct replica *replica)
{
    ox_lock(&replica->lock);
    struct table *table = replica->current;
    if (table != NULL)
        atomic_fetch_add(&table->refs, 1);
    ox_unlock(&replica->lock);
    return table;
}

static bool
holds_replica(const struct replica *replica, const struct meta_partition *facts)
{
    for (uint32_t i = 0; i < facts->replica_count; i++)
        if (facts->replicas[i] == replica->config.node_id)
            return true;
    return false;
}

/* ---- many at once ---- */

/* What waits for the disk is done side by side: flushes of many files share a
 * commit of the file system's journal. */
enum { SIDE_BY_SIDE = 8, WORTH_A_THREAD = 16, THREADS_MAX = 64 };

/* For work that is short: threads where there is much of it. */
static uint32_t
worth_threads(uint32_t count, uint32_t most)
{
    return OX_MIN(1 + count / WORTH_A_THREAD, most);
}

/* What num.recovery.threads.per.data.dir allows. A log that was not closed may take long:
 * it is worth a thread. */
static uint32_t
recovery_threads(const struct replica *replica, uint32_t count, bool opening)
{
    const struct meta_view *view = meta_view_get(replica->meta);
    uint32_t each = (uint32_t)view->settings->num_recovery_threads_per_data_dir;
    uint32_t most = (uint32_t)OX_MIN((uint64_t)each * replica->config.dir_count,
        (uint64_t)THREADS_MAX);
    bool clean = true;
    meta_view_put(view);
    for (size_t i = 0; i < replica->config.dir_count && opening; i++) {
        struct log_dir_stats stats;
        log_dir_stats(replica->config.dirs[i], &stats);
        clean &= stats.clean_start;
    }
    return clean ? worth_threads(count, most) : OX_MAX(OX_MIN(count, most), 1u);
}

static void
open_later(struct replica *replica, const struct meta_topic *topic,
    const struct meta_partition *facts, struct partition **to)
{
    if (replica->opening_count == replica->opening_cap) {
        replica->opening_cap = OX_MAX(replica->opening_cap * 2, 16u);
        replica->openings = ox_realloc(replica->openings,
            ox_size_mul(replica->opening_cap, sizeof(*replica->openings)));
    }
    replica->openings[replica->opening_count++] = (struct opening){topic, facts, to};
}

static void
open_one(void *arg, uint32_t i)
{
    struct replica *replica = arg;
    const struct opening *opening = &replica->openings[i];
    *opening->to = partition_open(replica, opening->topic, opening->facts);
}

/* Of several directories it is not known yet which will have it. */
static void
expect_all(struct replica *replica)
{
    enum { MANY = 256 };
    if (replica->opening_count < MANY || replica->config.dir_count != 1)
        return;
    for (uint32_t i = 0; i < replica->opening_count; i++) {
        const struct opening *opening = &replica->openings[i];
        char name[256];
        snprintf(name, sizeof(name), "%.*s", (int)opening->topic->name.len,
            opening->topic->name.ptr);
        log_dir_expect(replica->config.dirs[0], name, opening->facts->index);
    }
}

static void
open_all(struct replica *replica)
{
    struct ox_err err;
    uint32_t count = replica->opening_count;
    expect_all(replica);
    bool starting = replica_is_starting(replica) && count > 0;
    uint32_t threads = ox_side_by_side(count, starting ? recovery_threads(replica, count, true)
        : worth_threads(count, SIDE_BY_SIDE), open_one, replica);
    if (starting)
        ox_info("partitions were opened", "count=%u threads=%u", count, threads);
    for (size_t i = 0; i < replica->config.dir_count && replica->opening_count > 0; i++)
        if (log_dir_flush_names(replica->config.dirs[i], &err) != OX_OK)
            ox_diag_err(OX_DIAG_ERROR, "new partitions were not made durable", &err);
    ox_free(replica->openings);
    replica->openings = NULL;
    replica->opening_count = replica->opening_cap = 0;
}

/* The entry for a topic as it is now: what was open stays open. */
static struct topic_entry *
make_entry(struct replica *replica, const struct meta_topic *topic, struct topic_entry *old)
{
    struct topic_entry *entry =
        ox_calloc(1, sizeof(*entry) + topic->partition_count * sizeof(entry->parts[0]));
    atomic_init(&entry->refs, 1);
    entry->id = topic->id;
    entry->count = topic->partition_count;
    for (uint32_t i = 0; i < entry->count; i++) {
        const struct meta_partition *facts = topic->partitions[i];
        struct partition *part = old != NULL && i < old->count ? old->parts[i] : NULL;
        if (part != NULL) {
            entry->parts[i] = partition_hold(part);
            partition_update(part, topic, facts);
        } else if (holds_replica(replica, facts)) {
            open_later(replica, topic, facts, &entry->parts[i]);
        }
    }
    return entry;
}

static struct topic_entry *
entry_for(struct replica *replica, const struct table *old, const struct meta_topic *topic)
{
    struct topic_entry *entry = old ? ox_map_get(&old->by_id, id_key(&topic->id)) : NULL;
    if (entry != NULL && meta_view_topic_by_id(old->view, &topic->id) == topic) {
        atomic_fetch_add(&entry->refs, 1);
        return entry;
    }
    return make_entry(replica, topic, entry);
}

/* Close what the new view does not have any more. Their directories are out of
 * the way before topics of the same names are opened; loops that still look at
 * the old table find the partitions closed. */
static void
drop_one(void *arg, uint32_t i)
{
    struct topic_entry *entry = arg;
    if (entry->parts[i] != NULL)
        partition_close(entry->parts[i], OX_UNKNOWN_TOPIC_OR_PARTITION, true);
}

static void
drop_topics(const struct table *old, const struct meta_view *view)
{
    uint32_t at = 0;
    for (struct map_entry *e; old != NULL && (e = ox_map_next(&old->by_id, &at)) != NULL;) {
        struct topic_entry *entry = e->value;
        if (meta_view_topic_by_id(view, &entry->id) != NULL)
            continue;
        ox_side_by_side(entry->count, worth_threads(entry->count, SIDE_BY_SIDE), drop_one, entry);
    }
}

/* The cleaner follows the settings. */
static void
configure_cleaner(struct replica *replica, const struct server_config *settings)
{
    struct log_cleaner_config config = {
        .enabled = settings->log_cleaner_enable,
        .threads = settings->log_cleaner_threads,
        .buffer_bytes = (uint64_t)settings->log_cleaner_dedupe_buffer_size,
        .io_buffer_bytes = (uint64_t)settings->log_cleaner_io_buffer_size,
        .io_bytes_per_second = settings->log_cleaner_io_max_bytes_per_second,
        .backoff_ms = settings->log_cleaner_backoff_ms,
    };
    const struct log_cleaner_config *old = &replica->cleaner_config;
    bool same = config.enabled == old->enabled && config.threads == old->threads &&
                config.buffer_bytes == old->buffer_bytes &&
                config.io_buffer_bytes == old->io_buffer_bytes &&
                config.io_bytes_per_second == old->io_bytes_per_second &&
                config.backoff_ms == old->backoff_ms;
    replica->cleaner_config = config;
    if (!same)
        log_cleaner_configure(replica->cleaner, &config);
}

/* On the meta thread, or in boot. */
static void
on_view(const struct meta_view *view, void *arg)
{
    struct replica *replica = arg;
    struct table *old = replica->current; /* only this thread replaces it */
    struct table *table = ox_calloc(1, sizeof(*table));
    atomic_init(&table->refs, 1);
    table->view = meta_view_hold(view);
    ox_map_init(&table->by_id);
    drop_topics(old, view);
    for (uint32_t i = 0; i < view->topic_count; i++) {
        const struct meta_topic *topic = meta_view_topic_at(view, i);
        ox_map_put(&table->by_id, id_key(&topic->id), entry_for(replica, old, topic));
    }
    open_all(replica);
    ox_lock(&replica->lock);
    replica->current = table;
    ox_unlock(&replica->lock);
    atomic_fetch_add(&replica->generation, 1);
    table_put(old);
    configure_cleaner(replica, view->settings);
}

/* ---- looking up ---- */

static void
forget_old(struct loop_tick *tick)
{
    struct loop_cache *cache = ox_container_of(tick, struct loop_cache, tick);
    table_put(cache->old);
    cache->old = NULL;
}

static struct table *
table_of_tick(struct replica *replica)
{
    struct loop *loop = loop_self();
    ox_assert(loop != NULL);
    struct loop_cache *cache = &replica->caches[loop_index(loop)];
    uint64_t generation = atomic_load_explicit(&replica->generation, memory_order_acquire);
    if (ox_likely(generation == cache->generation))
        return cache->table;
    struct table *newer = table_current(replica);
    if (cache->old == NULL)
        cache->old = cache->table;
    else
        table_put(cache->table); /* taken and replaced within this tick: nobody borrowed it
                                    across a second change without asking again */
    cache->table = newer;
    cache->generation = generation;
    cache->tick.fn = forget_old;
    loop_at_tick_end(loop, &cache->tick);
    return newer;
}

static void
look(struct loop_msg *msg)
{
    struct loop_cache *cache = ox_container_of(msg, struct loop_cache, look);
    struct replica *replica = cache->replica;
    atomic_store(&cache->looking, false); /* from here on it is posted again */
    table_of_tick(replica);
}

void
replica_tend(struct replica *replica)
{
    uint64_t generation = atomic_load(&replica->generation);
    if (generation == replica->generation_told)
        return;
    replica->generation_told = generation;
    for (int i = 0; i < loop_running_count(replica->config.loops); i++) {
        struct loop_cache *cache = &replica->caches[i];
        if (atomic_exchange(&cache->looking, true))
            continue; /* it has not looked since */
        cache->replica = replica;
        cache->look.fn = look;
        loop_post(loop_at(replica->config.loops, i), &cache->look);
    }
}

const struct meta_view *
replica_view(struct replica *replica)
{
    return table_of_tick(replica)->view;
}

struct partition *
replica_partition(struct replica *replica, const struct uuid *topic_id, int32_t index)
{
    struct topic_entry *entry = ox_map_get(&table_of_tick(replica)->by_id, id_key(topic_id));
    if (entry == NULL || index < 0 || (uint32_t)index >= entry->count)
        return NULL;
    return entry->parts[index];
}

void
replica_each(struct replica *replica, void (*fn)(struct partition *part, void *arg), void *arg)
{
    struct table *table = table_current(replica);
    uint32_t at = 0;
    for (struct map_entry *e; table != NULL && (e = ox_map_next(&table->by_id, &at)) != NULL;) {
        struct topic_entry *entry = e->value;
        for (uint32_t i = 0; i < entry->count; i++)
            if (entry->parts[i] != NULL)
                fn(entry->parts[i], arg);
    }
    table_put(table);
}

struct append_queue *
replica_append_queue(struct replica *replica)
{
    return &replica->caches[loop_index(loop_self())].appends;
}

struct log_dir *
replica_log_dir(struct replica *replica, size_t number)
{
    return number < replica->config.dir_count ? replica->config.dirs[number] : NULL;
}

const char *
replica_failed_dir(struct replica *replica, size_t number)
{
    return number < replica->config.failed_count ? replica->config.failed[number] : NULL;
}

int32_t
replica_node_id(const struct replica *replica)
{
    return replica->config.node_id;
}

struct meta *
replica_meta(const struct replica *replica)
{
    return replica->meta;
}

struct mover *
replica_mover(struct replica *replica)
{
    return replica->mover;
}

bool
replica_is_starting(const struct replica *replica)
{
    return atomic_load(&replica->starting);
}

void
replica_cleaner_stats(struct replica *replica, struct log_cleaner_stats *out)
{
    log_cleaner_stats(replica->cleaner, out);
}

/* ---- who leads ---- */

struct election {
    struct meta_call call;
};

static void
election_done(struct meta_call *call)
{
    struct election *election = ox_container_of(call, struct election, call);
    if (call->code != OX_OK && call->code != OX_UNKNOWN_TOPIC_ID)
        ox_diag_err(OX_DIAG_WARN, "leaders could not be changed", &call->err);
    ox_free(election);
}

static void
propose(struct replica *replica, const struct meta_command *cmd)
{
    struct election *election = ox_calloc(1, sizeof(*election));
    struct ox_err err;
    election->call.done = election_done;
    if (meta_propose(replica->meta, &election->call, cmd, &err) == OX_OK)
        return;
    ox_diag_err(OX_DIAG_WARN, "leaders could not be changed", &err);
    ox_free(election);
}

/* A partition without a working directory has no leader; at the start those that have
 * one again get theirs. Each change raises the leader epoch. */
static uint32_t
changes_of(const struct replica *replica, const struct meta_topic *topic,
    const struct topic_entry *entry, bool starting, struct meta_partition_change *to)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < OX_MIN(entry->count, topic->partition_count); i++) {
        struct partition *part = entry->parts[i];
        int32_t leader = topic->partitions[i]->leader, next = leader;
        if (part == NULL)
            continue;
        if (partition_offline(part))
            next = leader == replica->config.node_id ? -1 : leader;
        else if (starting && leader == -1)
            next = replica->config.node_id;
        if (next != leader)
            to[count++] = (struct meta_partition_change){.index = (int32_t)i,
                .expect_partition_epoch = topic->partitions[i]->partition_epoch,
                .leader = next, .recovery = -1};
    }
    return count;
}

static ox_code
elect(struct replica *replica, bool starting, struct ox_err *err)
{
    struct table *table = table_current(replica);
    struct arena arena;
    uint32_t at = 0;
    ox_code code = OX_OK;
    ox_arena_init(&arena);
    for (struct map_entry *e;
         table != NULL && code == OX_OK && (e = ox_map_next(&table->by_id, &at)) != NULL;) {
        struct topic_entry *entry = e->value;
        const struct meta_topic *topic = meta_view_topic_by_id(table->view, &entry->id);
        struct meta_partition_change *changes =
            ox_arena_array(&arena, struct meta_partition_change, entry->count + 1);
        struct meta_command cmd = {.kind = META_PARTITION_CHANGE, .partition_change = {
            entry->id, changes, changes_of(replica, topic, entry, starting, changes)}};
        if (cmd.partition_change.change_count > 0 && starting)
            code = meta_propose_wait(replica->meta, &cmd, NULL, err);
        else if (cmd.partition_change.change_count > 0)
            propose(replica, &cmd);
    }
    ox_arena_fini(&arena);
    table_put(table);
    return code;
}

void
replica_elect(struct replica *replica)
{
    elect(replica, false, NULL);
}

/* ---- housekeeping: retention, on a worker ---- */

struct housekeeping {
    int64_t now_ms, producer_id_expiration_ms;
};

static void
retain_one(struct partition *part, void *arg)
{
    const struct housekeeping *round = arg;
    struct ox_err err;
    uint64_t freed;
    struct plog *log = partition_log(part);
    if (log == NULL)
        return;
    if (plog_retain(log, round->now_ms, &freed, &err) != OX_OK)
        ox_diag_err(OX_DIAG_WARN, "retention failed", &err);
    plog_expire_producers(log, round->now_ms, round->producer_id_expiration_ms);
}

static void
housekeeping_work(struct pool_job *job)
{
    struct replica *replica = ox_container_of(job, struct replica, housekeeping_job);
    const struct meta_view *view = meta_view_get(replica->meta);
    struct housekeeping round = {env_wall_ms(replica->env),
        view->settings->producer_id_expiration_ms};
    meta_view_put(view);
    replica_each(replica, retain_one, &round);
    pthread_mutex_lock(&replica->housekeeping_mutex);
    replica->housekeeping_out = false;
    pthread_cond_signal(&replica->housekeeping_back);
    pthread_mutex_unlock(&replica->housekeeping_mutex);
}

static void start_housekeeping(struct loop *loop, void *arg);

static void
housekeeping_done(struct pool_job *job)
{
    struct replica *replica = ox_container_of(job, struct replica, housekeeping_job);
    if (!replica->stopping)
        start_housekeeping(job->loop, replica);
}

static void
housekeeping_due(struct loop_timer *timer)
{
    struct replica *replica = ox_container_of(timer, struct replica, housekeeping);
    replica->housekeeping_job.work = housekeeping_work;
    replica->housekeeping_job.done = housekeeping_done;
    pthread_mutex_lock(&replica->housekeeping_mutex);
    replica->housekeeping_out = true;
    pthread_mutex_unlock(&replica->housekeeping_mutex);
    loop_pool_submit(timer->loop, &replica->housekeeping_job);
}

static void
start_housekeeping(struct loop *loop, void *arg)
{
    struct replica *replica = arg;
    if (loop_index(loop) == 0)
        loop_timer_start(loop, &replica->housekeeping,
            (uint64_t)replica->config.housekeeping_ms * 1000000, housekeeping_due);
}

static void
stop_housekeeping(struct loop *loop, void *arg)
{
    struct replica *replica = arg;
    if (loop_index(loop) == 0) {
        replica->stopping = true;
        loop_timer_stop(&replica->housekeeping);
    }
}

/* A round that is at work holds the partitions: they are closed after it. */
static void
await_housekeeping(struct replica *replica)
{
    pthread_mutex_lock(&replica->housekeeping_mutex);
    while (replica->housekeeping_out)
        loop_group_wait(replica->config.loops, &replica->housekeeping_back,
            &replica->housekeeping_mutex);
    pthread_mutex_unlock(&replica->housekeeping_mutex);
}

/* ---- life ---- */

/* Directories of topics that were dropped just before a crash. */
static ox_code
set_strays_aside(struct replica *replica, struct log_dir *dir, struct ox_err *err)
{
    const struct table *table = replica->current;
    struct arena arena;
    struct log_dir_entry *entries;
    size_t count = 0;
    ox_arena_init(&arena);
    ox_code code = log_dir_list(dir, &arena, &entries, &count, err);
    for (size_t i = 0; i < count && code == OX_OK; i++)
        if (strcmp(entries[i].topic, "__cluster_metadata") != 0 && /* Kafka's own */
            ox_map_get(&table->by_id, id_key(&entries[i].topic_id)) == NULL)
            code = log_dir_set_stray(dir, entries[i].topic, entries[i].partition, err);
    ox_arena_fini(&arena);
    return code;
}

static bool
has_log(const struct replica_config *config, const struct meta_topic *topic, const char *name,
    int32_t index)
{
    int64_t made_ms;
    bool found = false;
    for (size_t i = 0; i < config->dir_count && !found; i++)
        found = log_dir_has(config->dirs[i], name, index, &topic->id, &made_ms);
    return found;
}

/* What is in its place is of another topic of that name. */
static ox_code
take_back(struct log_dir *dir, const char *name, const char *topic, int32_t index,
    struct ox_err *err)
{
    ox_code code = log_dir_take_back(dir, name, topic, index, err);
    if (code != OX_OBJECT_IN_USE)
        return code;
    code = log_dir_set_stray(dir, topic, index, err);
    return code == OX_OK ? log_dir_take_back(dir, name, topic, index, err) : code;
}

/* A Kafka broker that ran on the directory meanwhile set aside the partitions of topics
 * that were made here. Before any partition is opened. */
static ox_code
take_strays_back(struct replica *replica, struct log_dir *dir, struct ox_err *err)
{
    const struct meta_view *view = meta_view_get(replica->meta);
    struct arena arena;
    struct log_dir_entry *entries;
    size_t count = 0;
    ox_arena_init(&arena);
    ox_code code = log_dir_list_aside(dir, LOG_STRAY, &arena, &entries, &count, err);
    for (size_t i = 0; i < count && code == OX_OK; i++) {
        const struct meta_topic *topic = meta_view_topic_by_id(view, &entries[i].topic_id);
        int32_t index = entries[i].partition;
        if (topic == NULL || meta_topic_partition(topic, index) == NULL)
            continue;
        const char *name = ox_arena_printf(&arena, "%.*s", OX_STR_ARG(topic->name));
        if (!has_log(&replica->config, topic, name, index))
            code = take_back(dir, entries[i].topic, name, index, err);
    }
    ox_arena_fini(&arena);
    meta_view_put(view);
    return code;
}

/* Of the newest view; held. */
static struct partition *
find_held(struct replica *replica, const struct uuid *topic_id, int32_t index)
{
    struct table *table = table_current(replica);
    struct topic_entry *entry = ox_map_get(&table->by_id, id_key(topic_id));
    struct partition *part = NULL;
    if (entry != NULL && (uint32_t)index < entry->count && entry->parts[index] != NULL)
        part = partition_hold(entry->parts[index]);
    table_put(table);
    return part;
}

/* Moves that were asked for before the last stop. What nobody wants is removed; if
 * the partition cannot be used now, what was copied waits for another start. Of two
 * for one partition, which a crash may leave, the first is taken. */
static ox_code
resume_moves(struct replica *replica, struct log_dir *dir, struct ox_err *err)
{
    struct arena arena;
    struct log_dir_entry *entries;
    size_t count = 0;
    ox_arena_init(&arena);
    ox_code code = log_dir_list_aside(dir, LOG_FUTURE, &arena, &entries, &count, err);
    for (size_t i = 0; i < count && code == OX_OK; i++) {
        struct partition *part =
            find_held(replica, &entries[i].topic_id, entries[i].partition);
        bool usable = part != NULL && partition_log(part) != NULL && !partition_offline(part);
        struct log_dir *to = usable ? mover_target(replica->mover, part) : NULL;
        if (part == NULL || (usable && (plog_log_dir(partition_log(part)) == dir || to != NULL)))
            code = log_dir_remove_future(dir, entries[i].topic, err);
        else if (usable)
            mover_ask(replica->mover, part, dir);
        partition_put(part);
    }
    ox_arena_fini(&arena);
    return code;
}

ox_code
replica_start(const struct replica_config *config, const struct env *env, struct meta *meta,
    struct replica **out, struct ox_err *err)
{
    struct replica *replica = ox_calloc(1, sizeof(*replica));
    replica->config = *config;
    replica->env = env;
    replica->meta = meta;
    ox_lock_init(&replica->lock, LOCK_META_VIEW);
    pthread_mutex_init(&replica->housekeeping_mutex, NULL);
    pthread_cond_init(&replica->housekeeping_back, NULL);
    replica->caches = ox_calloc(LOOPS_MAX, sizeof(*replica->caches));
    for (int i = 0; i < LOOPS_MAX; i++)
        append_queue_init(&replica->caches[i].appends);
    replica->cleaner = log_cleaner_start(&replica->cleaner_config, env, replica->config.dirs,
        replica->config.dir_count);
    replica->mover = mover_start(replica, env);
    ox_code code = OX_OK;
    for (size_t i = 0; i < config->dir_count && code == OX_OK; i++)
        code = take_strays_back(replica, config->dirs[i], err);
    *out = replica;
    if (code != OX_OK)
        return code; /* an empty partition must not take the place of one that is aside */
    atomic_store(&replica->starting, true);
    meta_on_view(meta, on_view, replica);
    atomic_store(&replica->starting, false);
    loop_each_sync(config->loops, start_housekeeping, replica);
    for (size_t i = 0; i < config->dir_count && code == OX_OK; i++)
        code = set_strays_aside(replica, config->dirs[i], err);
    if (code == OX_OK)
        code = elect(replica, true, err);
    for (size_t i = 0; i < config->dir_count && code == OX_OK; i++)
        code = resume_moves(replica, config->dirs[i], err);
    mover_go(replica->mover);
    return code;
}

static void
quiesce_one(struct partition *part, void *arg)
{
    partition_close(part, OX_SHUTTING_DOWN, false);
}

void
replica_quiesce(struct replica *replica)
{
    meta_off_view(replica->meta, on_view, replica);
    loop_each_sync(replica->config.loops, stop_housekeeping, replica);
    await_housekeeping(replica);
    log_cleaner_stop(replica->cleaner);
    mover_stop(replica->mover);
    replica_each(replica, quiesce_one, NULL);
}

struct closing {
    struct partition **parts;
    uint32_t count;
};

static void
close_nth(void *arg, uint32_t i)
{
    struct closing *closing = arg;
    partition_put(closing->parts[i]);
}

/* The references of the last table go here, side by side, so that the logs are
 * closed then. */
static void
close_logs(const struct replica *replica, struct table *table)
{
    struct closing closing = {0};
    uint32_t at = 0, total = 0;
    if (table == NULL)
        return;
    for (struct map_entry *e; (e = ox_map_next(&table->by_id, &at)) != NULL;)
        total += ((struct topic_entry *)e->value)->count;
    closing.parts = ox_calloc((size_t)total + 1, sizeof(*closing.parts));
    at = 0;
    for (struct map_entry *e; (e = ox_map_next(&table->by_id, &at)) != NULL;) {
        struct topic_entry *entry = e->value;
        for (uint32_t i = 0; i < entry->count; i++) {
            closing.parts[closing.count++] = entry->parts[i];
            entry->parts[i] = NULL;
        }
    }
    ox_side_by_side(closing.count, recovery_threads(replica, closing.count, false), close_nth,
        &closing);
    ox_free(closing.parts);
}

void
replica_stop(struct replica *replica)
{
    for (int i = 0; i < LOOPS_MAX; i++) {
        table_put(replica->caches[i].old);
        table_put(replica->caches[i].table);
    }
    close_logs(replica, replica->current);
    table_put(replica->current);
    log_cleaner_free(replica->cleaner);
    mover_free(replica->mover);
    ox_lock_fini(&replica->lock);
    pthread_cond_destroy(&replica->housekeeping_back);
    pthread_mutex_destroy(&replica->housekeeping_mutex);
    ox_free(replica->caches);
    ox_free(replica);
}
