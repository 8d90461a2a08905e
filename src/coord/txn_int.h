/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the transaction coordinator: a transactional id as a value and its
 * moves (txn.c), the calls on it (txn_calls.c), views of it (txn_admin.c). */
#ifndef COORD_TXN_INT_H
#define COORD_TXN_INT_H

#include "coord/coord_int.h"

enum { TXN_EPOCH_NONE = -1, TXN_EPOCH_LAST = INT16_MAX - 1 };

/* As Kafka numbers them in its records. */
enum txn_state {
    TXN_EMPTY,
    TXN_ONGOING,
    TXN_PREPARE_COMMIT,
    TXN_PREPARE_ABORT,
    TXN_COMPLETE_COMMIT,
    TXN_COMPLETE_ABORT,
    TXN_DEAD,
};

/* What a record says, but for the partitions. */
struct txn_facts {
    enum txn_state state;
    int64_t producer_id;
    int64_t previous_id; /* the id before the last change, -1 */
    int64_t next_id;     /* PREPARE_*: the id to go on with, as the epochs are used up; -1 */
    int16_t epoch;       /* -1: nobody has been given one */
    int16_t last_epoch;  /* of the producer before it was raised for itself, -1; not logged */
    int32_t timeout_ms;
    int64_t start_ms, update_ms; /* start -1: none open */
    int8_t version;              /* of the client's protocol: 2 raises epochs */
};

struct txn_topic {
    struct str name; /* the map's key */
    int32_t *partitions; /* ascending */
    uint32_t count, cap;
};

struct txn {
    struct shard *shard;
    struct str id; /* heap */
    struct txn_facts now;
    struct map topics;    /* name -> struct txn_topic: partitions touched */
    uint32_t part_count;
    bool moving;          /* a record, an id or markers are on their way */
    struct list waiters;  /* coord_txn_add_call.link */
    struct list markers;  /* struct marker_out: not written yet */
    struct coord_timer retry, patience;
};

const char *txn_state_name(enum txn_state state);
struct txn *txn_find(struct shard *shard, struct str id);
struct txn *txn_new(struct shard *shard, struct str id, const struct txn_facts *facts);
bool txn_has(const struct txn *txn, struct str topic, int32_t partition);
static inline bool
txn_preparing(const struct txn *txn)
{
    return txn->now.state == TXN_PREPARE_COMMIT || txn->now.state == TXN_PREPARE_ABORT;
}
static inline bool
txn_exhausted(const struct txn *txn)
{
    return txn->now.epoch >= TXN_EPOCH_LAST;
}

/* Log the facts (with the parts added, if any) and make them so. done: once,
 * with OX_OK after they hold; not after the shard was unloaded with the call
 * NULL. The transaction must not be moving. */
typedef void (*txn_moved_fn)(struct txn *txn, struct coord_call *call, ox_code code);
void txn_move(struct txn *txn, const struct txn_facts *to, const struct coord_txn_part *parts,
    size_t part_count, struct coord_call *call, txn_moved_fn done);
/* The facts of an end, decided from the present state. */
struct txn_facts txn_end_facts(const struct txn *txn, bool commit, int8_t version,
    int64_t next_id);
/* Abort what is open, so that its producer is fenced off. */
void txn_fence(struct txn *txn, struct coord_call *call, txn_moved_fn done);
/* The call is tried again when the transaction is over, or refused soon. */
void txn_wait(struct txn *txn, struct coord_txn_add_call *call);

/* txn_calls.c */
void txn_add_again(struct txn *txn, struct coord_txn_add_call *call);
void txn_add_refuse(struct coord_txn_add_call *call, ox_code code);

#endif
