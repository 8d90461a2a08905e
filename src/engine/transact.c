/* SPDX-License-Identifier: Apache-2.0
 *
 * Enlisting: what stands between a batch of a transaction and the log.
 *
 *   guard taken in each partition -> coordinator asked -> append under the guard
 *
 * The guard is taken before the coordinator is asked. If the transaction ends in
 * between, its marker voids the guard and the append is refused; so a message
 * that was late cannot leave a transaction open that nobody will end. The
 * coordinator may let the call wait for the end of the transaction before, whose
 * markers void guards, too: then guards are taken and the coordinator is asked
 * again. Then its answer is put into the words that a client of that version
 * knows: old ones retry NOT_ENOUGH_REPLICAS. */
#include <string.h>

#include "base/check.h"
#include "coord/host.h"
#include "engine/engine_int.h"

enum { ENLIST_TRIES = 3 };

struct enlist {
    struct coord_txn_add_call call;
    int tries;
    struct engine_enlist *owner;
    struct engine_enlist_part **asked; /* in the order of call.parts */
};

/* The client leaves it to us to add the partitions: KIP-890, second part. */
static bool
adds(const struct engine_enlist *call)
{
    return call->version >= (call->what == ENLIST_PRODUCE ? 12 : 5);
}

static bool
knows_abortable(const struct engine_enlist *call)
{
    return call->version >= (call->what == ENLIST_PRODUCE ? 11 : 4);
}

static ox_code
words(const struct engine_enlist *call, ox_code code)
{
    bool produce = call->what == ENLIST_PRODUCE;
    switch (code) {
    case OX_PRODUCER_FENCED:
        return OX_INVALID_PRODUCER_EPOCH;
    case OX_TRANSACTION_ABORTABLE:
        return knows_abortable(call) ? code : OX_INVALID_TXN_STATE;
    case OX_CONCURRENT_TRANSACTIONS:
        return produce && !adds(call) ? OX_NOT_ENOUGH_REPLICAS : code;
    case OX_COORDINATOR_LOAD_IN_PROGRESS:
    case OX_COORDINATOR_NOT_AVAILABLE:
    case OX_NOT_COORDINATOR:
    case OX_SHUTTING_DOWN:
        return produce ? OX_NOT_ENOUGH_REPLICAS : OX_COORDINATOR_NOT_AVAILABLE;
    default:
        return code;
    }
}

static void
settle(const struct engine_enlist *call, struct engine_enlist_part *part, ox_code code)
{
    /* What may succeed when it is sent again keeps its guard, and with it the
     * lowest sequence that was seen. */
    if (code != OX_OK && !ox_code_facts(code)->retry)
        plog_txn_unguard(partition_log(part->part), call->producer_id, part->guard);
    part->code = words(call, code);
    partition_put(part->part);
    part->part = NULL;
}

/* Was a guard voided while the coordinator had the call? Then there is another. */
static bool
guards_changed(struct enlist *self)
{
    const struct engine_enlist *call = self->owner;
    bool changed = false;
    for (size_t i = 0; i < self->call.part_count; i++) {
        struct engine_enlist_part *part = self->asked[i];
        if (self->call.parts[i].code != OX_OK)
            continue;
        uint64_t guard;
        self->call.parts[i].code = plog_txn_guard(partition_log(part->part), call->producer_id,
            call->producer_epoch, part->first_sequence, adds(call), &guard);
        changed |= guard != part->guard;
        part->guard = guard;
    }
    return changed;
}

static void
asked(struct coord_call *base)
{
    struct enlist *self = ox_container_of(base, struct enlist, call.call);
    struct engine_enlist *call = self->owner;
    if (base->code == OX_OK && adds(call) && ++self->tries < ENLIST_TRIES &&
        guards_changed(self)) {
        coord_txn_add(call->sess->engine->txns, &self->call);
        return;
    }
    for (size_t i = 0; i < self->call.part_count; i++) {
        ox_code code = self->call.parts[i].code;
        settle(call, self->asked[i], code != OX_OK ? code : base->code);
    }
    call->done(call);
}

/* The open partition and its topic; NULL if the append will say why not. */
static struct partition *
find_part(struct engine_enlist *call, const struct engine_enlist_part *part)
{
    struct partition *found;
    const struct meta_view *view = engine_view(call->sess->engine);
    if (call->what == ENLIST_PRODUCE)
        return engine_partition(call->sess, part->topic, &part->topic_id, part->partition,
                   ENGINE_WRITE, &found, NULL) == OX_OK
                   ? found
                   : NULL;
    const struct meta_topic *topic = meta_view_topic(view, part->topic);
    return topic == NULL ? NULL
                         : replica_partition(engine_replica(call->sess->engine), &topic->id,
                               part->partition);
}

bool
engine_enlist(struct engine_enlist *call)
{
    struct enlist *self = ox_arena_array(call->arena, struct enlist, 1);
    self->owner = call;
    self->asked = ox_arena_array(call->arena, struct engine_enlist_part *, call->part_count);
    self->call.parts = ox_arena_array(call->arena, struct coord_txn_part, call->part_count);
    size_t count = 0;
    for (size_t i = 0; i < call->part_count; i++) {
        struct engine_enlist_part *part = &call->parts[i];
        part->code = OX_OK;
        part->guard = 0;
        struct partition *found = find_part(call, part);
        if (found == NULL || partition_log(found) == NULL)
            continue;
        part->code = plog_txn_guard(partition_log(found), call->producer_id,
            call->producer_epoch, part->first_sequence, adds(call), &part->guard);
        if (part->guard == 0)
            continue;
        part->part = partition_hold(found);
        self->asked[count] = part;
        self->call.parts[count++] = (struct coord_txn_part){
            ox_str_dup(call->arena, ox_str(partition_topic(found))), part->partition, OX_OK};
    }
    if (count == 0)
        return true;
    self->call.call.arena = call->arena;
    self->call.call.done = asked;
    self->call.transactional_id = call->transactional_id;
    self->call.producer_id = call->producer_id;
    self->call.producer_epoch = call->producer_epoch;
    self->call.verify_only = !adds(call);
    self->call.txn_version = 2;
    self->call.part_count = count;
    coord_txn_add(call->sess->engine->txns, &self->call);
    return false;
}

/* ---- markers ---- */

struct marker_call {
    struct coord_marker marker;
    struct engine_marker *owner;
};

static void
marker_done(struct coord_marker *marker)
{
    struct marker_call *self = ox_container_of(marker, struct marker_call, marker);
    struct engine_marker *call = self->owner;
    call->code = marker->code;
    ox_free(self);
    call->done(call);
}

void
engine_marker(struct engine_marker *call)
{
    struct marker_call *self = ox_calloc(1, sizeof(*self));
    self->owner = call;
    self->marker = (struct coord_marker){
        .topic = call->topic,
        .partition = call->partition,
        .producer_id = call->producer_id,
        .producer_epoch = call->producer_epoch,
        .commit = call->commit,
        .txn_version = call->txn_version,
        .coordinator_epoch = call->coordinator_epoch,
        .done = marker_done,
    };
    coord_host_marker(call->sess->engine->txn_host, &self->marker);
}
