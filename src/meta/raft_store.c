/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_io on SQLite. Three small tables hold what a server must never forget:
 * term and vote, the log, the newest snapshot. They are written inside one
 * transaction that stays open from the first change to raft_store_flush(), so
 * that everything raft asks for in one turn costs one flush of the write-ahead
 * log:
 *
 *     raft_apply ... append(e1)   BEGIN, INSERT
 *     raft_apply ... append(e2)   INSERT
 *     raft_store_flush            COMMIT (one fdatasync), then both callbacks
 *
 * Term and vote are committed before set_term and set_vote return.
 *
 * Invariants
 * 1. Entries in the table are contiguous: first .. next-1, and first is at most
 *    snapshot index + 1.
 * 2. No callback runs before the commit that covers its request, and none from
 *    inside the call that made the request: the library registers a request
 *    only after that call has returned.
 * 3. After a write has failed nothing is committed and no callback reports
 *    success again: after a failed flush the kernel's pages prove nothing.
 * 4. Every entry and the snapshot carry a CRC-32C that is checked when read. */
#include "meta/raft_store.h"

#include <pthread.h>
#include <raft.h>
#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/rand.h"
#include "base/wire.h"
#include "meta/queries.gen.h"
#include "meta/sqlite.h"

enum { STORE_FORMAT = 1, PENDING_APPEND = 1, PENDING_SEND, PENDING_PUT, PENDING_GET };

/* A request whose callback waits for the next flush. */
struct pending {
    int kind;
    void *req;
};

struct raft_store {
    struct raft_io io;
    const struct env *env;
    struct sqlite3 *db;
    struct queries queries;
    struct raft_store_identity identity;
    uint64_t first, next; /* invariant 1 */
    uint64_t snapshot_index;
    uint64_t last_found; /* newest index when the file was opened */
    raft_term term;
    raft_id vote;
    bool in_transaction;
    bool put_pending;
    struct pending *pending;
    size_t pending_count, pending_cap;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    ox_code failed; /* invariant 3 */
    struct ox_err failure;
    struct rand_state rand;
    uint64_t commits, commit_ns_sum;
};

uint64_t
raft_store_server_id(int32_t node_id, const struct uuid *directory_id)
{
    return (uint64_t)(uint32_t)node_id << 32 | ox_crc32c(0, directory_id->bytes, 16) | 1;
}

static uint32_t
entry_crc(uint64_t index, uint64_t term, int type, const void *data, size_t len)
{
    uint8_t head[20];
    wire_store64(head, index);
    wire_store64(head + 8, term);
    wire_store32(head + 16, (uint32_t)type);
    return ox_crc32c(ox_crc32c(0, head, sizeof(head)), data, len);
}

static struct str
uuid_str(const struct uuid *id)
{
    return ox_str_n(id->bytes, sizeof(id->bytes));
}

/* ---- Format -------------------------------------------------------------- */

static ox_code
put_entry(struct queries *queries, uint64_t index, uint64_t term, int type, const void *data,
    size_t len, struct ox_err *err)
{
    return query_raft_entry_put(queries, (int64_t)index, (int64_t)term, type,
        entry_crc(index, term, type, data, len), ox_str_n(data, len), err);
}

static ox_code
put_configuration(struct queries *queries, const struct raft_store_identity *identity,
    struct ox_err *err)
{
    struct raft_configuration conf;
    struct raft_buffer buf = {NULL, 0};
    char address[16];
    ox_code code;
    raft_configuration_init(&conf);
    snprintf(address, sizeof(address), "%d", identity->who.node_id);
    uint64_t id = raft_store_server_id(identity->who.node_id, &identity->who.directory_id);
    if (raft_configuration_add(&conf, id, address, RAFT_VOTER) != 0 ||
        raft_configuration_encode(&conf, &buf) != 0)
        code = ox_fail_plain(err, OX_OUT_OF_MEMORY);
    else
        code = put_entry(queries, 1, 1, RAFT_CHANGE, buf.base, buf.len, err);
    raft_free(buf.base);
    raft_configuration_close(&conf);
    return code;
}

static ox_code
format_rows(struct sqlite3 *db, const struct raft_store_identity *identity, const void *command,
    size_t len, struct ox_err *err)
{
    struct queries queries;
    queries_init(&queries, db);
    ox_code code = queries_exec(db, "BEGIN", err);
    if (code == OX_OK)
        code = queries_exec(db, schema_raft, err);
    if (code == OX_OK)
        code = query_raft_identity_put(&queries, STORE_FORMAT, ox_str(identity->who.cluster_id),
            identity->who.node_id, uuid_str(&identity->who.directory_id),
            uuid_str(&identity->incarnation), err);
    if (code == OX_OK)
        code = query_raft_state_put(&queries, 1, 0, err);
    if (code == OX_OK)
        code = put_configuration(&queries, identity, err);
    if (code == OX_OK)
        code = put_entry(&queries, 2, 1, RAFT_COMMAND, command, len, err);
    if (code == OX_OK)
        code = queries_exec(db, "COMMIT", err);
    queries_fini(&queries);
    return code;
}

ox_code
raft_store_format(const struct env *env, const char *dir,
    const struct raft_store_identity *identity, const void *command, size_t len,
    struct ox_err *err)
{
    struct arena arena;
    struct sqlite3 *db = NULL;
    ox_arena_init(&arena);
    char *path = ox_arena_printf(&arena, "%s/raft.db", dir);
    char *made = ox_arena_printf(&arena, "%s/raft.db.new", dir);
    ox_code code = meta_sqlite_unlink(env->fs, made, err);
    if (code == OX_OK)
        code = meta_sqlite_open(env, made, SQLITE_NEW, &db, err);
    /* Nothing refers to the file yet, so it is forced to disk once, whole. */
    if (code == OX_OK)
        code = queries_exec(db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY", err);
    if (code == OX_OK)
        code = format_rows(db, identity, command, len, err);
    meta_sqlite_close(db);
    if (code == OX_OK)
        code = meta_sqlite_publish(env, "meta.format", made, dir, path, err);
    ox_arena_fini(&arena);
    return code;
}

/* ---- Failure ------------------------------------------------------------- */

/* The first failure is kept; it ends all promises. Returns raft's code. */
static int
store_failed(struct raft_store *store, const struct ox_err *err)
{
    if (store->failed == OX_OK) {
        store->failed = err->code;
        store->failure = *err;
    }
    return err->code == OX_DISK_FULL ? RAFT_NOSPACE : RAFT_IOERR;
}

ox_code
raft_store_health(const struct raft_store *store, struct ox_err *err)
{
    if (store->failed != OX_OK && err != NULL)
        *err = store->failure;
    return store->failed;
}

/* ---- Transactions -------------------------------------------------------- */

static int
store_begin(struct raft_store *store)
{
    struct ox_err err;
    if (store->failed != OX_OK)
        return RAFT_IOERR;
    if (store->in_transaction)
        return 0;
    if (queries_exec(store->db, "BEGIN IMMEDIATE", &err) != OX_OK)
        return store_failed(store, &err);
    store->in_transaction = true;
    return 0;
}

static int
store_commit(struct raft_store *store)
{
    struct ox_err err;
    if (store->failed != OX_OK)
        return RAFT_IOERR;
    if (!store->in_transaction)
        return 0;
    uint64_t began = env_mono_ns(store->env);
    if (queries_exec(store->db, "COMMIT", &err) != OX_OK)
        return store_failed(store, &err);
    store->in_transaction = false;
    store->commits++;
    store->commit_ns_sum += env_mono_ns(store->env) - began;
    return 0;
}

static void
store_wait(struct raft_store *store, int kind, void *req)
{
    if (store->pending_count == store->pending_cap) {
        store->pending_cap = store->pending_cap ? store->pending_cap * 2 : 64;
        store->pending = ox_realloc(store->pending,
            ox_size_mul(store->pending_cap, sizeof(*store->pending)));
    }
    store->pending[store->pending_count++] = (struct pending){kind, req};
}

/* The newest snapshot as the library wants it, to send to a follower. */
static int load_snapshot(struct raft_store *store, struct raft_snapshot **out);

static void
store_answer(struct raft_store *store, const struct pending *pending, int status)
{
    struct raft_snapshot *snapshot = NULL;
    struct raft_io_append *append = pending->req;
    struct raft_io_send *message = pending->req;
    struct raft_io_snapshot_put *put = pending->req;
    struct raft_io_snapshot_get *get = pending->req;
    switch (pending->kind) {
    case PENDING_APPEND:
        append->cb(append, status);
        break;
    case PENDING_SEND:
        message->cb(message, RAFT_NOCONNECTION);
        break;
    case PENDING_PUT:
        store->put_pending = false;
        put->cb(put, status);
        break;
    case PENDING_GET:
        status = load_snapshot(store, &snapshot);
        get->cb(get, snapshot, status);
        break;
    }
}

bool
raft_store_flush(struct raft_store *store)
{
    bool dirty = store->in_transaction && store->failed == OX_OK;
    if (!dirty && store->pending_count == 0)
        return false;
    int status = store_commit(store);
    struct pending *pending = store->pending;
    size_t count = store->pending_count;
    store->pending = NULL;
    store->pending_count = store->pending_cap = 0;
    for (size_t i = 0; i < count; i++)
        store_answer(store, &pending[i], status);
    ox_free(pending);
    return true;
}

/* ---- raft_io: load ------------------------------------------------------- */

struct load {
    struct ox_err *err;
    struct raft_entry *entries;
    size_t count, cap;
    char *batch, *at;
    size_t batch_len;
    uint64_t first, last;
};

static ox_code
corrupt(struct ox_err *err, const char *what, uint64_t index)
{
    ox_code code = ox_fail(err, OX_DATA_CORRUPTED, "metadata log is damaged: %s at index %llu",
        what, (unsigned long long)index);
    ox_hint(err, "Restore raft.db from a backup; partitions were not touched.");
    return code;
}

static ox_code
load_bounds_row(void *arg, const struct query_raft_entry_bounds *row)
{
    struct load *load = arg;
    load->first = (uint64_t)row->first;
    load->last = (uint64_t)row->last;
    load->batch_len = (size_t)row->bytes;
    return OX_OK;
}

static ox_code
load_entry_row(void *arg, const struct query_raft_entries *row)
{
    struct load *load = arg;
    struct ox_err *err = load->err;
    uint64_t index = (uint64_t)row->idx;
    size_t padded = (row->data.len + 7) & ~(size_t)7;
    if (load->count == load->cap || index != load->first + load->count)
        return corrupt(err, "entries are missing", index);
    if (entry_crc(index, (uint64_t)row->term, (int)row->type, row->data.ptr, row->data.len) !=
        (uint32_t)row->crc)
        return corrupt(err, "checksum does not match", index);
    if (row->type < RAFT_COMMAND || row->type > RAFT_CHANGE || row->term <= 0)
        return corrupt(err, "impossible entry", index);
    if (padded > load->batch_len - (size_t)(load->at - load->batch))
        return corrupt(err, "entries changed while they were read", index);
    memcpy(load->at, row->data.ptr, row->data.len);
    load->entries[load->count++] = (struct raft_entry){.term = (raft_term)row->term,
        .type = (enum raft_entry_type)row->type, .buf = {load->at, row->data.len},
        .batch = load->batch};
    load->at += padded;
    return OX_OK;
}

/* All entries in one allocation, which the library frees with the last. */
static ox_code
load_entries(struct raft_store *store, struct load *load, struct ox_err *err)
{
    ox_code code = query_raft_entry_bounds(&store->queries, load_bounds_row, load, err);
    if (code != OX_OK || load->first == 0)
        return code;
    load->cap = (size_t)(load->last - load->first + 1);
    if (load->last < load->first || load->cap > 1u << 26)
        return corrupt(err, "impossible range", load->last);
    load->entries = raft_calloc(load->cap, sizeof(*load->entries));
    load->batch = load->at = raft_malloc(load->batch_len + 8);
    if (load->entries == NULL || load->batch == NULL)
        return ox_fail_plain(err, OX_OUT_OF_MEMORY);
    code = query_raft_entries(&store->queries, load_entry_row, load, err);
    if (code == OX_OK && load->count != load->cap)
        code = corrupt(err, "entries are missing", load->last);
    return code;
}

struct snapshot_load {
    struct raft_snapshot *snapshot;
    struct ox_err *err;
};

static ox_code
load_snapshot_row(void *arg, const struct query_raft_snapshot *row)
{
    struct snapshot_load *load = arg;
    struct raft_buffer conf = {(void *)(uintptr_t)row->conf.ptr, row->conf.len};
    struct raft_snapshot *snap = raft_calloc(1, sizeof(*snap));
    if (snap == NULL)
        return ox_fail_plain(load->err, OX_OUT_OF_MEMORY);
    load->snapshot = snap;
    snap->index = (raft_index)row->idx;
    snap->term = (raft_term)row->term;
    snap->configuration_index = (raft_index)row->conf_idx;
    if (entry_crc(snap->index, snap->term, 0, row->data.ptr, row->data.len) != (uint32_t)row->crc)
        return corrupt(load->err, "snapshot checksum does not match", snap->index);
    raft_configuration_init(&snap->configuration);
    if (raft_configuration_decode(&conf, &snap->configuration) != 0)
        return corrupt(load->err, "configuration of the snapshot", snap->index);
    snap->bufs = raft_calloc(1, sizeof(*snap->bufs));
    if (snap->bufs == NULL)
        return ox_fail_plain(load->err, OX_OUT_OF_MEMORY);
    snap->n_bufs = 1;
    snap->bufs[0].base = raft_malloc(row->data.len + 1);
    snap->bufs[0].len = row->data.len;
    if (snap->bufs[0].base == NULL)
        return ox_fail_plain(load->err, OX_OUT_OF_MEMORY);
    memcpy(snap->bufs[0].base, row->data.ptr, row->data.len);
    return OX_OK;
}

static void
free_snapshot(struct raft_snapshot *snap)
{
    if (snap == NULL)
        return;
    raft_configuration_close(&snap->configuration);
    if (snap->n_bufs > 0)
        raft_free(snap->bufs[0].base);
    raft_free(snap->bufs);
    raft_free(snap);
}

static int
load_snapshot(struct raft_store *store, struct raft_snapshot **out)
{
    struct ox_err err;
    struct snapshot_load load = {NULL, &err};
    *out = NULL;
    if (query_raft_snapshot(&store->queries, load_snapshot_row, &load, &err) != OX_OK) {
        free_snapshot(load.snapshot);
        store_failed(store, &err);
        return err.code == OX_OUT_OF_MEMORY ? RAFT_NOMEM : RAFT_CORRUPT;
    }
    *out = load.snapshot;
    return 0;
}

static int
io_load(struct raft_io *io, raft_term *term, raft_id *vote, struct raft_snapshot **snapshot,
    raft_index *start, struct raft_entry **entries, size_t *count)
{
    struct raft_store *store = io->impl;
    struct ox_err err;
    struct load load = {.err = &err};
    int status = load_snapshot(store, snapshot);
    if (status != 0)
        return status;
    store->snapshot_index = *snapshot != NULL ? (*snapshot)->index : 0;
    ox_code code = load_entries(store, &load, &err);
    if (code == OX_OK && load.count > 0 && load.first > store->snapshot_index + 1)
        code = corrupt(&err, "entries after the snapshot are missing", load.first);
    if (code != OX_OK) {
        raft_free(load.entries);
        raft_free(load.batch);
        free_snapshot(*snapshot);
        *snapshot = NULL;
        store_failed(store, &err);
        snprintf(io->errmsg, sizeof(io->errmsg), "%.200s", err.message);
        return RAFT_CORRUPT;
    }
    if (load.count == 0) {
        raft_free(load.batch);
        load.first = store->snapshot_index + 1;
    }
    store->first = load.first;
    store->next = load.first + load.count;
    *term = store->term;
    *vote = store->vote;
    *start = load.first;
    *entries = load.entries;
    *count = load.count;
    return 0;
}

/* ---- raft_io: writing ---------------------------------------------------- */

static int
put_state(struct raft_store *store, raft_term term, raft_id vote)
{
    struct ox_err err;
    int status = store_begin(store);
    if (status != 0)
        return status;
    if (query_raft_state_put(&store->queries, (int64_t)term, (int64_t)vote, &err) != OX_OK)
        return store_failed(store, &err);
    status = store_commit(store);
    if (status == 0) {
        store->term = term;
        store->vote = vote;
    }
    return status;
}

static int
io_set_term(struct raft_io *io, raft_term term)
{
    return put_state(io->impl, term, 0);
}

static int
io_set_vote(struct raft_io *io, raft_id vote)
{
    struct raft_store *store = io->impl;
    return put_state(store, store->term, vote);
}

static int
io_append(struct raft_io *io, struct raft_io_append *req, const struct raft_entry *entries,
    unsigned count, raft_io_append_cb cb)
{
    struct raft_store *store = io->impl;
    struct ox_err err;
    int status = store_begin(store);
    if (status != 0)
        return status;
    for (unsigned i = 0; i < count; i++) {
        const struct raft_entry *entry = &entries[i];
        if (put_entry(&store->queries, store->next, entry->term, (int)entry->type,
                entry->buf.base, entry->buf.len, &err) != OX_OK)
            return store_failed(store, &err);
        store->next++;
    }
    req->cb = cb;
    store_wait(store, PENDING_APPEND, req);
    return 0;
}

static int
io_truncate(struct raft_io *io, raft_index index)
{
    struct raft_store *store = io->impl;
    struct ox_err err;
    if (index >= store->next)
        return 0;
    int status = store_begin(store);
    if (status != 0)
        return status;
    if (query_raft_entries_delete_from(&store->queries, (int64_t)index, &err) != OX_OK)
        return store_failed(store, &err);
    store->next = index;
    store->first = store->first > index ? index : store->first;
    return 0;
}

static ox_code
put_snapshot_row(struct raft_store *store, const struct raft_snapshot *snap, struct ox_err *err)
{
    struct raft_buffer conf = {NULL, 0};
    struct text data;
    ox_text_init(&data, NULL);
    for (unsigned i = 0; i < snap->n_bufs; i++)
        ox_text_add(&data, snap->bufs[i].base, snap->bufs[i].len);
    ox_code code = OX_OK;
    if (raft_configuration_encode(&snap->configuration, &conf) != 0)
        code = ox_fail_plain(err, OX_OUT_OF_MEMORY);
    else
        code = query_raft_snapshot_put(&store->queries, (int64_t)snap->index,
            (int64_t)snap->term, (int64_t)snap->configuration_index,
            ox_str_n(conf.base, conf.len),
            entry_crc(snap->index, snap->term, 0, data.ptr, data.len), ox_text_str(&data), err);
    raft_free(conf.base);
    ox_text_fini(&data);
    return code;
}

/* trailing 0: the leader's snapshot replaces everything we had. */
static int
io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
    const struct raft_snapshot *snap, raft_io_snapshot_put_cb cb)
{
    struct raft_store *store = io->impl;
    struct ox_err err;
    uint64_t keep_from = snap->index + 1;
    int status = store_begin(store);
    if (status != 0)
        return status;
    if (put_snapshot_row(store, snap, &err) != OX_OK)
        return store_failed(store, &err);
    ox_code code = OX_OK;
    if (trailing == 0) {
        code = query_raft_entries_delete_from(&store->queries, 0, &err);
        store->next = keep_from;
    } else if (snap->index > trailing) {
        keep_from = snap->index - trailing + 1;
        code = query_raft_entries_delete_to(&store->queries, (int64_t)keep_from - 1, &err);
    } else {
        keep_from = store->first;
    }
    if (code != OX_OK)
        return store_failed(store, &err);
    store->first = store->first > keep_from ? store->first : keep_from;
    store->snapshot_index = snap->index;
    store->put_pending = true;
    req->cb = cb;
    store_wait(store, PENDING_PUT, req);
    return 0;
}

static int
io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req, raft_io_snapshot_get_cb cb)
{
    req->cb = cb;
    store_wait(io->impl, PENDING_GET, req);
    return 0;
}

/* There are no peers to send to: a message is dropped, which raft allows. */
static int
io_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *message,
    raft_io_send_cb cb)
{
    req->cb = cb;
    store_wait(io->impl, PENDING_SEND, req);
    return 0;
}

/* ---- raft_io: the rest --------------------------------------------------- */

static int
io_init(struct raft_io *io, raft_id id, const char *address)
{
    return 0;
}

static void
io_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct raft_store *store = io->impl;
    while (raft_store_flush(store))
        continue;
    if (cb != NULL)
        cb(io);
}

static int
io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct raft_store *store = io->impl;
    store->tick = tick;
    store->recv = recv;
    return 0;
}

/* A log is begun by raft_store_format() only, never by a server that starts. */
static int
io_bootstrap(struct raft_io *io, const struct raft_configuration *conf)
{
    return RAFT_CANTBOOTSTRAP;
}

static int
io_recover(struct raft_io *io, const struct raft_configuration *conf)
{
    return RAFT_INVALID;
}

static raft_time
io_time(struct raft_io *io)
{
    struct raft_store *store = io->impl;
    return (raft_time)(env_mono_ns(store->env) / 1000000);
}

static int
io_random(struct raft_io *io, int min, int max)
{
    struct raft_store *store = io->impl;
    return min + (int)ox_rand_below(&store->rand, (uint64_t)(max - min) + 1);
}

/* ---- Open and close ------------------------------------------------------ */

static ox_code
identity_row(void *arg, const struct query_raft_identity *row)
{
    struct raft_store *store = arg;
    if (row->format != STORE_FORMAT || row->cluster_id.len > META_CLUSTER_ID_MAX ||
        row->directory_id.len != 16 || row->incarnation.len != 16)
        return OX_OK;
    memcpy(store->identity.who.cluster_id, row->cluster_id.ptr, row->cluster_id.len);
    store->identity.who.node_id = (int32_t)row->node_id;
    memcpy(store->identity.who.directory_id.bytes, row->directory_id.ptr, 16);
    memcpy(store->identity.incarnation.bytes, row->incarnation.ptr, 16);
    return OX_OK;
}

static ox_code
state_row(void *arg, const struct query_raft_state *row)
{
    struct raft_store *store = arg;
    store->term = (raft_term)row->term;
    store->vote = (raft_id)row->vote;
    return OX_OK;
}

static ox_code
last_row(void *arg, const struct query_raft_last *row)
{
    *(uint64_t *)arg = (uint64_t)row->idx;
    return OX_OK;
}

static ox_code
read_identity(struct raft_store *store, const char *path, struct ox_err *err)
{
    ox_code code = query_raft_identity(&store->queries, identity_row, store, err);
    if (code == OX_OK)
        code = query_raft_state(&store->queries, state_row, store, err);
    if (code == OX_OK)
        code = query_raft_last(&store->queries, last_row, &store->last_found, err);
    if (code == OX_OK && (store->identity.who.cluster_id[0] == 0 || store->term == 0))
        code = ox_fail(err, OX_DATA_CORRUPTED, "\"%s\" is not a metadata log of this version",
            path);
    return code;
}

static void
init_io(struct raft_store *store)
{
    struct raft_io *io = &store->io;
    io->version = 1;
    io->capacity = UINT16_MAX;
    io->impl = store;
    io->init = io_init;
    io->close = io_close;
    io->load = io_load;
    io->start = io_start;
    io->bootstrap = io_bootstrap;
    io->recover = io_recover;
    io->set_term = io_set_term;
    io->set_vote = io_set_vote;
    io->send = io_send;
    io->append = io_append;
    io->truncate = io_truncate;
    io->snapshot_put = io_snapshot_put;
    io->snapshot_get = io_snapshot_get;
    io->time = io_time;
    io->random = io_random;
}

/* ---- memory of the library ----
 *
 * It goes on with what it did not get: without memory the node stops and says so, as for
 * small things of our own, instead of crashing in the library. */

static void *
heap_malloc(void *data, size_t size)
{
    return ox_malloc(size);
}

static void
heap_free(void *data, void *ptr)
{
    ox_free(ptr);
}

static void *
heap_calloc(void *data, size_t count, size_t size)
{
    return ox_calloc(count, size);
}

static void *
heap_realloc(void *data, void *ptr, size_t size)
{
    return ox_realloc(ptr, size);
}

/* More is asked for by the library's own disk code alone, which is not used here. */
static void *
heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    ox_assert(alignment <= _Alignof(max_align_t));
    return ox_malloc(size);
}

static void
heap_aligned_free(void *data, size_t alignment, void *ptr)
{
    ox_free(ptr);
}

static void
set_heap(void)
{
    static struct raft_heap heap = {NULL, heap_malloc, heap_free, heap_calloc, heap_realloc,
        heap_aligned_alloc, heap_aligned_free};
    raft_heap_set(&heap);
}

ox_code
raft_store_open(const struct env *env, const char *dir, struct raft_store **out,
    struct ox_err *err)
{
    char path[4096];
    uint64_t seed;
    static pthread_once_t heap_once = PTHREAD_ONCE_INIT;
    pthread_once(&heap_once, set_heap);
    snprintf(path, sizeof(path), "%s/raft.db", dir);
    struct raft_store *store = ox_calloc(1, sizeof(*store));
    store->env = env;
    init_io(store);
    env_random(env, &seed, sizeof(seed));
    ox_rand_seed(&store->rand, seed);
    ox_code code = meta_sqlite_open(env, path, SQLITE_OLD | SQLITE_ALONE, &store->db, err);
    if (code == OX_OK)
        code = queries_exec(store->db,
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
            "PRAGMA cache_size=-256",
            err);
    if (code == OX_OK) {
        queries_init(&store->queries, store->db);
        code = read_identity(store, path, err);
    }
    if (code != OX_OK) {
        raft_store_close(store);
        return code;
    }
    *out = store;
    return OX_OK;
}

void
raft_store_close(struct raft_store *store)
{
    if (store == NULL)
        return;
    if (store->db != NULL && store->in_transaction)
        queries_exec(store->db, "ROLLBACK", NULL);
    queries_fini(&store->queries);
    meta_sqlite_close(store->db);
    ox_free(store->pending);
    ox_free(store);
}

const struct raft_store_identity *
raft_store_identity(const struct raft_store *store)
{
    return &store->identity;
}

uint64_t
raft_store_last_found(const struct raft_store *store)
{
    return store->last_found;
}

struct raft_io *
raft_store_io(struct raft_store *store)
{
    return &store->io;
}

void
raft_store_tick(struct raft_store *store)
{
    if (store->tick != NULL)
        store->tick(&store->io);
}

void
raft_store_stats(const struct raft_store *store, struct raft_store_stats *out)
{
    out->commits = store->commits;
    out->commit_ns_sum = store->commit_ns_sum;
    out->first = store->next > store->first ? store->first : 0;
    out->last = store->next > 0 ? store->next - 1 : 0;
    out->snapshot_index = store->snapshot_index;
}
