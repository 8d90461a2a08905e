/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside meta/: the image (the state after the last applied entry, private to
 * the meta thread), the views published from it, and the pieces between a
 * proposal and its answer. */
#ifndef META_META_INT_H
#define META_META_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/wire.h"
#include "meta/catalog_writer.h"
#include "meta/meta.h"
#include "meta/raft_store.h"

/* ---- Tables of a view (view.c) ------------------------------------------- */

/* Topics by slot: a small number that a topic keeps while it exists. Shared
 * between views while no topic changes. */
struct view_slots {
    _Atomic uint32_t refs;
    uint32_t count, cap;
    const struct meta_topic *at[]; /* NULL: free */
};

struct view_cell {
    uint32_t tag;  /* of the hash */
    uint32_t slot; /* + 1; 0: empty */
};

/* The set of topics: shared while none comes or goes. */
struct view_index {
    _Atomic uint32_t refs;
    uint32_t count, cap; /* of order */
    uint32_t mask;       /* of the hash tables */
    uint32_t *order;     /* slots by rising name */
    struct view_cell *by_name, *by_id;
};

/* Things replaced since, freed when nobody can see them any more. */
struct retired {
    void **at;
    size_t count, cap;
};

struct view_chain;

/* Settings of this node's configuration file and command line: one allocation. */
struct statics {
    size_t count;
    struct meta_setting at[];
};

struct view {
    struct meta_view pub; /* first: what others see */
    _Atomic uint32_t refs;
    struct view_chain *chain;
    struct list link; /* in the chain, oldest first */
    struct view_slots *slots;
    struct view_index *index;
    const struct statics *statics;
    struct retired retired; /* objects this view shows and the next does not */
};

/* All views somebody may still see. Lives until the last is put. */
struct view_chain {
    struct lock lock;
    _Atomic uint32_t refs;
    struct list views;
    struct view *current;
};

/* The state after the last applied entry. Its embedded view has no references
 * of its own: it lets the checks of validate.c run on image and view alike. */
struct image {
    struct view view;
    struct retired retired; /* since the last publication */
    uint32_t oid_next;
    bool changed; /* since the last publication */
    struct uuid incarnation;
};

struct view_chain *meta_view_chain_new(void);
void meta_view_chain_put(struct view_chain *chain);
/* The image's state becomes the chain's current view. */
struct view *meta_view_publish(struct view_chain *chain, struct image *image);

/* A topic whose name is equal once '.' is read as '_', itself included. */
const struct meta_topic *meta_view_topic_collides(const struct view *view, struct str name);

/* Takes statics. */
void meta_image_init(struct image *image, const struct statics *statics, int32_t node_id);
void meta_image_fini(struct image *image, struct view_chain *chain);
/* Other settings of this node. */
void meta_image_set_statics(struct image *image, const struct statics *statics);
/* Frees everything and starts empty; keeps the settings of this node. */
void meta_image_reset(struct image *image);

/* Free ptr (NULL is allowed) once no view can show it. */
void meta_image_retire(struct image *image, const void *ptr);

/* What a new topic object is made of; everything is copied. */
struct image_topic {
    struct str name;
    struct uuid id;
    uint32_t oid;
    int64_t created_ms;
    struct str owner, comment;
    uint64_t created_index, changed_index;
    uint32_t partition_count;
    const struct meta_partition *const *partitions; /* taken, not copied */
    const struct meta_config_set *own;              /* taken, or NULL */
};

void meta_image_topic_add(struct image *image, const struct image_topic *from);
/* As old, with what differs in from; retires what is no longer used. */
void meta_image_topic_replace(struct image *image, const struct meta_topic *old,
    const struct image_topic *from);
void meta_image_topic_remove(struct image *image, const struct meta_topic *topic);
struct image_topic meta_image_topic_of(const struct meta_topic *topic);

const struct meta_partition *meta_image_partition_new(const struct meta_partition *from);
const struct meta_config_set *meta_image_config_new(int resource, struct str name,
    const struct meta_config_item *items, uint32_t count);

/* Takes set; NULL or empty removes the resource's. Not for topics. */
void meta_image_config_put(struct image *image, int resource, struct str name,
    const struct meta_config_set *set);
void meta_image_broker_put(struct image *image, const struct meta_broker *from);

/* ---- Settings (meta_settings.c) ------------------------------------------ */

const struct statics *meta_settings_statics_new(const struct meta_setting *settings, size_t count);
/* What stays of old, and what the file says now. */
const struct statics *meta_settings_statics_merge(const struct statics *old,
    const struct statics *file);
struct server_config *meta_settings_server_new(const struct view *view);
struct topic_config *meta_settings_topic_new(const struct view *view,
    const struct meta_config_set *own);

/* The row behind either name of a setting, or behind listener.name.LISTENER.SETTING. */
const struct param *meta_settings_find(enum param_scope scope, struct str name,
    struct str *listener);
/* Whether the item is the setting, of that listener (null: of all). */
bool meta_settings_is(const struct meta_config_item *item, const struct param *param,
    struct str listener);

/* Scope of a resource's settings, or -1. */
int meta_settings_scope(int resource);

/* ---- Commands (command.c, validate.c, apply.c) --------------------------- */

struct queries;
enum { META_COMMAND_BYTES_MAX = 8 << 20, META_PARTITIONS_MAX = 1000000 };

/* Bytes of an entry, appended to out; padded to a multiple of 8. */
ox_code meta_command_encode(const struct meta_command *cmd, struct text *out, struct ox_err *err);
/* Arrays in the arena, strings borrowed from ptr.
 * Fails:  OX_DATA_CORRUPTED */
ox_code meta_command_decode(const void *ptr, size_t len, struct arena *arena,
    struct meta_command *cmd, struct ox_err *err);

/* Whether cmd may be applied to what the view shows. Deterministic. */
ox_code meta_validate_command(const struct view *view, const struct meta_command *cmd,
    struct arena *arena, struct ox_err *err);

/* New items of a resource after a config_alter, sorted by name, in the arena. */
ox_code meta_validate_config_changes(const struct meta_config_set *own, int resource, bool replace,
    const struct meta_config_change *changes, uint32_t count, struct arena *arena,
    struct meta_config_item **items, uint32_t *item_count, struct ox_err *err);

/* Check and apply one entry. A refusal is a result; a failure of the catalog
 * comes back in *storage, and the node stops. */
ox_code meta_apply_entry(struct image *image, struct catalog_writer *catalog, uint64_t index,
    const void *ptr, size_t len, struct meta_result *result, ox_code *storage,
    struct ox_err *err);

/* ---- Users, access rules, quotas (security.c) ---------------------------- */

const struct meta_security *meta_security_new(const struct meta_security *from);
ox_code meta_security_check(const struct view *view, const struct meta_command *cmd,
    struct arena *arena, struct ox_err *err);
ox_code meta_security_apply(struct image *image, struct queries *queries, uint64_t index,
    const struct meta_command *cmd, struct arena *arena, struct ox_err *err);
ox_code meta_security_load(struct image *image, struct queries *queries, struct arena *arena,
    struct ox_err *err);

/* ---- Snapshots (meta_snapshot.c) ----------------------------------------- */

/* Header and catalog image, in memory of raft's allocator. */
ox_code meta_snapshot_encode(struct catalog_writer *catalog, const struct image *image,
    void **ptr, size_t *len, struct ox_err *err);
struct snapshot_facts {
    uint64_t index;
    struct str cluster_id;
    struct uuid incarnation;
    struct str database; /* SQLite image */
};
/* Fails:  OX_DATA_CORRUPTED */
ox_code meta_snapshot_decode(const void *ptr, size_t len, struct snapshot_facts *out,
    struct ox_err *err);

/* ---- Consensus (raft.c) -------------------------------------------------- */

struct quorum;
struct request;
struct flight;

ox_code meta_quorum_start(struct meta *meta, struct raft_store *store,
    const struct meta_config *config, struct quorum **out, struct ox_err *err);
void meta_quorum_stop(struct quorum *quorum); /* NULL is allowed */
/* Hand a request to raft; its answer comes through meta_propose_done(). */
void meta_quorum_submit(struct quorum *quorum, struct request *request);
/* The disk failed: tell everybody who waits. */
void meta_quorum_fail(struct quorum *quorum, const struct ox_err *why);
/* Flush, apply and collect answers; whether anything happened. */
bool meta_quorum_step(struct quorum *quorum);
bool meta_quorum_ready(const struct quorum *quorum);
int32_t meta_quorum_leader(const struct quorum *quorum); /* node id, -1 unknown */
bool meta_quorum_alone(const struct quorum *quorum);     /* one voter: no timers needed */
void meta_quorum_tick(struct quorum *quorum);
uint64_t meta_quorum_term(const struct quorum *quorum);

/* ---- Proposals (propose.c) and the thread (node.c) ----------------------- */

/* A proposal on its way. */
struct request {
    struct list link;
    struct meta_call *call; /* NULL: nobody waits */
    void *bytes;            /* raft's memory until submitted */
    size_t len;
    uint64_t index;         /* of its entry, once submitted */
    struct flight *flight;  /* raft.c's */
};

struct observer {
    struct list link;
    meta_view_fn fn;
    void *arg;
};

struct meta {
    const struct env *env;
    char *dir;
    struct meta_identity identity;
    bool manual;
    struct file *lock_file;

    /* Meta thread only. */
    struct raft_store *store;
    struct catalog_writer *catalog;
    struct quorum *quorum;
    struct image image;
    struct list answered; /* requests whose outcome is known, not yet told */

    struct view_chain *chain;
    struct lock observers_lock;
    struct list observers;

    pthread_t thread;
    bool thread_runs;
    struct lock queue_lock; /* queue, queued, closing, reload */
    pthread_cond_t queue_cond;
    struct list queue;
    uint32_t queued;
    bool closing;
    const struct statics *reload; /* the file's settings, not yet taken */

    _Atomic int failed; /* ox_code */
    struct ox_err failure;

    _Atomic uint64_t proposals, refused, publications, publish_ns_sum, snapshots;
    _Atomic uint64_t commits, commit_ns_sum, log_first, log_last, applied, snapshot_index, term;
    _Atomic bool leader;
};

/* The answer to request is known: err->code OX_OK or why not. */
void meta_propose_done(struct meta *meta, struct request *request, ox_code code,
    const struct ox_err *err, const struct meta_result *result);
/* Tell all answered. Returns whether there were any. */
bool meta_propose_tell(struct meta *meta);
/* Answer a request that was not submitted. */
void meta_propose_refuse(struct meta *meta, struct request *request, ox_code code);
enum meta_command_kind meta_request_kind(const struct request *request);
/* Answer everything queued with code. */
void meta_propose_refuse_all(struct meta *meta, ox_code code);

/* The disk failed: nothing is accepted any more. */
void meta_node_fail(struct meta *meta, const struct ox_err *err);

/* ---- takeover.c ---- */

/* Makes raft.db of a directory that a single Kafka node has used: all or nothing.
 * Fails: OX_LOCK_HELD (Kafka has it), OX_DATA_CORRUPTED, OX_FEATURE_NOT_SUPPORTED
 * (more than one node) */
ox_code meta_take_over(const struct meta_config *config, const struct env *env,
    struct ox_err *err);

/* ---- kafka_log.c: what Kafka's metadata says ---- */

struct meta_kafka_partition {
    int32_t leader_epoch; /* -1: the partition is not known */
    bool foreign;         /* there is a replica on another node, or none here */
};

struct meta_kafka_topic {
    struct str name;
    struct uuid id;
    struct meta_kafka_partition *partitions;
    uint32_t partition_count, cap;
};

struct meta_kafka_config {
    int8_t resource;
    struct str object, name, value;
};

struct meta_kafka {
    int32_t node_id; /* whose directory it is */
    struct arena arena;
    struct map topics;  /* topic id -> meta_kafka_topic */
    struct map configs; /* resource, object, name -> meta_kafka_config */
    struct map scrams;  /* user, mechanism -> meta_scram */
    struct map acls;    /* id of the rule -> meta_acl */
    struct map quotas;  /* entity, key -> meta_quota */
    struct map tokens;  /* id -> meta_token */
    int64_t producer_id_next; /* -1: not known */
    int64_t end_offset;       /* of what was read */
    bool in_transaction;
    bool snapshot_ended; /* the batch read last says so */
    struct str *pending; /* records of the transaction */
    uint32_t pending_count, pending_cap;
};

void meta_kafka_init(struct meta_kafka *kafka, int32_t node_id);
void meta_kafka_fini(struct meta_kafka *kafka);
/* Reads DIR/__cluster_metadata-0: the newest snapshot and the log behind it.
 * Fails: OX_DATA_CORRUPTED, OX_UNSUPPORTED_VERSION, I/O codes */
ox_code meta_kafka_read(struct meta_kafka *kafka, struct file_system *fs, const char *dir,
    struct ox_err *err);
/* Takes one record's value. */
ox_code meta_kafka_replay(struct meta_kafka *kafka, struct str value, struct ox_err *err);

/* ---- kafka_mark.c ---- */

/* Notes in DIR what Kafka's metadata, as it was read from there, says. */
ox_code meta_kafka_mark_write(const struct meta_kafka *kafka, struct file_system *fs,
    const char *dir, struct ox_err *err);
/* Where nothing is noted any more, what Kafka's metadata says now is.
 * Fails: OX_IDENTITY_MISMATCH (it says something else now), as meta_kafka_read(), I/O codes */
ox_code meta_kafka_mark_check(struct file_system *fs, const char *dir, int32_t node_id,
    struct ox_err *err);

#endif
