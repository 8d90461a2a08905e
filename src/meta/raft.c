/* SPDX-License-Identifier: Apache-2.0
 *
 * The consensus library, driven by the meta thread. This file and raft_store.c
 * are the only ones that call it.
 *
 * One turn (meta_quorum_step) of a leader:
 *
 *     meta_quorum_submit   raft_apply -> store: INSERT      (nothing durable yet)
 *     meta_quorum_step     raft_store_flush: COMMIT         durable
 *                          -> append callbacks -> commit index moves -> fsm_apply
 *                          -> catalog rows, image           (one transaction)
 *                          finished requests are collected  -> meta_propose_done
 *
 * The library knows no notification of leadership: after each turn role and
 * leader are compared with what they were (node.c).
 *
 * Invariants
 * 1. fsm_apply sees entry raft_last_applied + 1, and entries at or below the
 *    catalog's own index are skipped: they were applied before a restart.
 * 2. A request is answered exactly once: by its completion, by meta_quorum_fail when
 *    the disk failed, or by meta_quorum_stop.
 * 3. "Ready" means leader with everything in the log applied: the state that
 *    proposals are checked against is complete. A leader whose log has entries
 *    it cannot know to be committed proposes a barrier and waits for it. */
#include <raft.h>
#include <stdlib.h>

#include "meta/meta_int.h"

enum { INFLIGHT_MAX = 512, HEARTBEAT_MS = 20, ELECTION_MS = 500, INSTALL_MS = 5000,
    SNAPSHOT_THRESHOLD = 8192, SNAPSHOT_TRAILING = 16384, SNAPSHOT_TRAILING_ALONE = 256 };

struct quorum {
    struct meta *meta;
    struct raft_store *store;
    struct raft raft;
    struct raft_fsm fsm;
    struct list submitted; /* struct request, in the order of their indices */
    struct list flights;   /* all that the library may still link to */
    struct raft_barrier barrier;
    bool barrier_runs, ready, started;
};

/* raft's request with ours; the library links it in its lists. */
struct flight {
    struct raft_apply apply; /* first */
    struct list link;        /* in the quorum's flights */
    struct quorum *quorum;
    struct request *request; /* NULL: answered already */
    struct meta_result result;
    ox_code code;
    struct ox_err err;
};

/* ---- State machine ------------------------------------------------------- */

static struct flight *
flight_of(struct quorum *quorum, uint64_t index)
{
    ox_list_each(node, &quorum->submitted) {
        struct request *request = ox_container_of(node, struct request, link);
        if (request->index == index)
            return request->flight;
        if (request->index > index)
            break;
    }
    return NULL;
}

static int
fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct quorum *quorum = fsm->data;
    struct meta *meta = quorum->meta;
    struct meta_result nobody;
    struct ox_err err = {0};
    ox_code storage;
    uint64_t index = raft_last_applied(&quorum->raft) + 1;
    struct flight *flight = flight_of(quorum, index);
    *result = NULL;
    if (index <= meta->image.view.pub.index)
        return 0;
    ox_code code = meta_apply_entry(&meta->image, meta->catalog, index, buf->base, buf->len,
        flight != NULL ? &flight->result : &nobody, &storage, &err);
    if (flight != NULL) {
        flight->code = code;
        flight->err = err;
    }
    if (storage == OX_OK)
        return 0;
    if (storage == OX_DATA_CORRUPTED)
        catalog_writer_condemn(meta->catalog);
    meta_node_fail(meta, &err);
    return RAFT_IOERR;
}

static int
fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer **bufs, unsigned *count)
{
    struct quorum *quorum = fsm->data;
    struct meta *meta = quorum->meta;
    struct ox_err err;
    struct raft_buffer *buf = raft_malloc(sizeof(*buf));
    if (buf == NULL)
        return RAFT_NOMEM;
    if (meta_snapshot_encode(meta->catalog, &meta->image, &buf->base, &buf->len, &err) != OX_OK) {
        raft_free(buf);
        meta_node_fail(meta, &err);
        return RAFT_IOERR;
    }
    *bufs = buf;
    *count = 1;
    atomic_fetch_add(&meta->snapshots, 1);
    return 0;
}

static ox_code
restore(struct meta *meta, const struct raft_buffer *buf, struct ox_err *err)
{
    struct snapshot_facts facts;
    ox_code code = meta_snapshot_decode(buf->base, buf->len, &facts, err);
    if (code != OX_OK)
        return code;
    if (!ox_str_is(facts.cluster_id, meta->identity.cluster_id))
        return ox_fail(err, OX_IDENTITY_MISMATCH, "metadata snapshot is of cluster %.*s, not %s",
            OX_STR_ARG(facts.cluster_id), meta->identity.cluster_id);
    if (facts.index <= meta->image.view.pub.index)
        return OX_OK;
    code = catalog_writer_commit(meta->catalog, &meta->image, err);
    if (code == OX_OK)
        code = catalog_image_restore(meta->catalog, facts.database.ptr, facts.database.len, err);
    if (code != OX_OK)
        return code;
    meta_image_reset(&meta->image);
    return catalog_writer_load(meta->catalog, &meta->image, err);
}

static int
fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct quorum *quorum = fsm->data;
    struct ox_err err;
    if (restore(quorum->meta, buf, &err) != OX_OK) {
        meta_node_fail(quorum->meta, &err);
        return RAFT_CORRUPT;
    }
    raft_free(buf->base);
    return 0;
}

/* ---- Completed requests -------------------------------------------------- */

/* The outcome that the request's caller is told. */
static void
answer(struct flight *flight, int status)
{
    struct quorum *quorum = flight->quorum;
    struct request *request = flight->request;
    struct ox_err err = flight->err;
    ox_code code = flight->code;
    if (raft_store_health(quorum->store, &err) != OX_OK)
        code = err.code;
    else if (status == RAFT_LEADERSHIPLOST || status == RAFT_CANCELED || status == RAFT_SHUTDOWN)
        code = ox_fail(&err, OX_REQUEST_TIMED_OUT,
            "leadership of the metadata was lost, the command may or may not take effect");
    else if (status == RAFT_NOTLEADER)
        code = ox_fail_plain(&err, OX_NOT_CONTROLLER);
    else if (status != 0)
        code = ox_fail(&err, OX_UNKNOWN_SERVER_ERROR, "metadata command failed: %s",
            raft_strerror(status));
    ox_list_remove(&request->link);
    request->flight = NULL;
    flight->request = NULL;
    meta_propose_done(quorum->meta, request, code, &err, &flight->result);
}

static void
flight_done(struct flight *flight, int status)
{
    if (flight->request != NULL)
        answer(flight, status);
    ox_list_remove(&flight->link);
    ox_free(flight);
}

void
meta_quorum_fail(struct quorum *quorum, const struct ox_err *why)
{
    while (!ox_list_empty(&quorum->submitted)) {
        struct request *request = ox_container_of(quorum->submitted.next, struct request, link);
        struct flight *flight = request->flight;
        flight->code = why->code;
        flight->err = *why;
        answer(flight, 0);
    }
}

static void
barrier_done(struct quorum *quorum, int status)
{
    quorum->barrier_runs = false;
    quorum->ready = status == 0 && raft_state(&quorum->raft) == RAFT_LEADER;
}

/* The library leaves finished requests in a list of its own (see raft-io's
 * contract in README.md); the links are in the library's style. */
static bool
collect(struct quorum *quorum)
{
    void **head = quorum->raft.legacy.requests;
    bool any = false;
    while (head[0] != (void *)head && head[0] != NULL) {
        void **node = head[0];
        void **next = node[0], **prev = node[1];
        prev[0] = (void *)next;
        next[1] = (void *)prev;
        struct raft_apply *request = ox_container_of((void *(*)[2])node, struct raft_apply, queue);
        int status = request->status;
        any = true;
        if (request->type == RAFT_COMMAND)
            flight_done(ox_container_of(request, struct flight, apply), status);
        else if (request->type == RAFT_BARRIER)
            barrier_done(quorum, status);
    }
    return any;
}

/* ---- Proposals ----------------------------------------------------------- */

static void
refuse(struct quorum *quorum, struct request *request, int status)
{
    struct meta_result none = {0};
    struct ox_err err;
    ox_code code;
    if (raft_store_health(quorum->store, &err) != OX_OK)
        code = err.code;
    else if (status == RAFT_NOTLEADER)
        code = ox_fail_plain(&err, OX_NOT_CONTROLLER);
    else
        code = ox_fail(&err, OX_DISK_FULL, "metadata log cannot grow: %s", raft_strerror(status));
    raft_free(request->bytes);
    request->bytes = NULL;
    meta_propose_done(quorum->meta, request, code, &err, &none);
}

/* Completion is seen in collect(); the library only wants a callback. */
static void
apply_cb(struct raft_apply *req, int status, void *result)
{
    (void)req;
}

void
meta_quorum_submit(struct quorum *quorum, struct request *request)
{
    struct raft_buffer buf = {request->bytes, request->len};
    if (!quorum->ready) {
        refuse(quorum, request, RAFT_NOTLEADER);
        return;
    }
    struct flight *flight = ox_calloc(1, sizeof(*flight));
    flight->quorum = quorum;
    flight->request = request;
    ox_list_push(&quorum->flights, &flight->link);
    request->flight = flight;
    request->index = raft_last_index(&quorum->raft) + 1;
    ox_list_push(&quorum->submitted, &request->link);
    int status = raft_apply(&quorum->raft, &flight->apply, &buf, 1, apply_cb);
    if (status == 0) {
        ox_assert(flight->apply.index == request->index);
        request->bytes = NULL;
        return;
    }
    ox_list_remove(&request->link);
    request->flight = NULL;
    ox_list_remove(&flight->link);
    ox_free(flight);
    if (status != RAFT_NOTLEADER && status != RAFT_NOSPACE)
        request->bytes = NULL; /* the library's, whatever became of it */
    refuse(quorum, request, status);
}

static void
barrier_cb(struct raft_barrier *req, int status)
{
    (void)req;
}

/* Invariant 3. */
static void
check_ready(struct quorum *quorum)
{
    if (raft_state(&quorum->raft) != RAFT_LEADER) {
        quorum->ready = false;
        return;
    }
    if (quorum->ready || quorum->barrier_runs)
        return;
    if (raft_last_applied(&quorum->raft) == raft_last_index(&quorum->raft))
        quorum->ready = true;
    else
        quorum->barrier_runs = raft_barrier(&quorum->raft, &quorum->barrier, barrier_cb) == 0;
}

bool
meta_quorum_step(struct quorum *quorum)
{
    bool any = false, more;
    do {
        check_ready(quorum);
        more = raft_store_flush(quorum->store);
        more |= collect(quorum);
        any |= more;
    } while (more);
    check_ready(quorum);
    return any;
}

/* ---- Start and stop ------------------------------------------------------ */

static unsigned
voters(const struct quorum *quorum)
{
    unsigned count = 0;
    for (unsigned i = 0; i < quorum->raft.configuration.n; i++)
        count += quorum->raft.configuration.servers[i].role == RAFT_VOTER;
    return count;
}

static void
configure(struct quorum *quorum, const struct meta_config *config)
{
    struct raft *raft = &quorum->raft;
    uint32_t threshold = config->snapshot_threshold ? config->snapshot_threshold
        : SNAPSHOT_THRESHOLD;
    raft_set_election_timeout(raft,
        config->election_timeout_ms ? config->election_timeout_ms : ELECTION_MS);
    raft_set_heartbeat_timeout(raft, HEARTBEAT_MS);
    raft_set_install_snapshot_timeout(raft, INSTALL_MS);
    raft_set_pre_vote(raft, true);
    raft_set_max_inflight_entries(raft, INFLIGHT_MAX);
    raft_set_snapshot_threshold(raft, threshold);
    raft_set_snapshot_trailing(raft, config->snapshot_trailing ? config->snapshot_trailing
        : SNAPSHOT_TRAILING);
}

ox_code
meta_quorum_start(struct meta *meta, struct raft_store *store, const struct meta_config *config,
    struct quorum **out, struct ox_err *err)
{
    struct quorum *quorum = ox_calloc(1, sizeof(*quorum));
    const struct raft_store_identity *identity = raft_store_identity(store);
    char address[16];
    uint64_t id = raft_store_server_id(identity->who.node_id, &identity->who.directory_id);
    snprintf(address, sizeof(address), "%d", identity->who.node_id);
    quorum->meta = meta;
    quorum->store = store;
    ox_list_init(&quorum->submitted);
    ox_list_init(&quorum->flights);
    quorum->fsm = (struct raft_fsm){.version = 1, .data = quorum, .apply = fsm_apply,
        .snapshot = fsm_snapshot, .restore = fsm_restore};
    *out = quorum;
    int status = raft_init(&quorum->raft, raft_store_io(store), &quorum->fsm, id, address);
    if (status != 0)
        return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "consensus cannot start: %s",
            raft_strerror(status));
    quorum->started = true;
    configure(quorum, config);
    status = raft_start(&quorum->raft);
    if (atomic_load(&meta->failed) != OX_OK) {
        *err = meta->failure;
        return err->code;
    }
    if (status != 0 && raft_store_health(store, err) != OX_OK)
        return err->code;
    if (status != 0)
        return ox_fail(err, OX_DATA_CORRUPTED, "metadata log cannot be used: %s",
            raft_errmsg(&quorum->raft));
    if (voters(quorum) == 1 && config->snapshot_trailing == 0)
        raft_set_snapshot_trailing(&quorum->raft, SNAPSHOT_TRAILING_ALONE);
    meta_quorum_step(quorum);
    return OX_OK;
}

static void
close_cb(struct raft *raft)
{
    (void)raft;
}

void
meta_quorum_stop(struct quorum *quorum)
{
    if (quorum == NULL)
        return;
    if (quorum->started) {
        raft_close(&quorum->raft, close_cb);
        while (raft_store_flush(quorum->store))
            continue;
        collect(quorum);
    }
    while (!ox_list_empty(&quorum->flights))
        flight_done(ox_container_of(quorum->flights.next, struct flight, link), RAFT_SHUTDOWN);
    ox_free(quorum);
}

/* ---- Looking ------------------------------------------------------------- */

bool
meta_quorum_ready(const struct quorum *quorum)
{
    return quorum->ready;
}

int32_t
meta_quorum_leader(const struct quorum *quorum)
{
    raft_id id = 0;
    const char *address;
    raft_leader((struct raft *)(uintptr_t)&quorum->raft, &id, &address);
    return id != 0 ? raft_store_node_id(id) : -1;
}

bool
meta_quorum_alone(const struct quorum *quorum)
{
    return voters(quorum) == 1 && quorum->ready;
}

void
meta_quorum_tick(struct quorum *quorum)
{
    raft_store_tick(quorum->store);
}

uint64_t
meta_quorum_term(const struct quorum *quorum)
{
    return raft_current_term(&quorum->raft);
}
