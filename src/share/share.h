/* SPDX-License-Identifier: Apache-2.0
 *
 * Share groups read (KIP-932): the leader of a partition hands its records out
 * to the members of a group one by one, each for a time, and keeps what they say
 * of them. One struct share per node.
 *
 * A group's partitions, sessions and waiting fetches live on one home loop, by
 * the group's id; calls come from any loop and are answered there. */
#ifndef SHARE_SHARE_H
#define SHARE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "log/log.h"
#include "loop/loop.h"
#include "replica/replica.h"

struct coord;
struct share;
struct share_part;

/* Records that a group has given up, one after the other: they go to the topic
 * that its settings name before they count as done. What the group did with them
 * is on disk by then, so that they come again after a crash. */
struct share_burial {
    struct loop *loop;
    struct str group_id;
    struct uuid topic_id;
    int32_t partition;
    struct partition *part;
    int64_t first, last;
    int16_t count; /* of deliveries */
    bool rejected; /* by a member; else they were delivered too often */
    /* On the loop, never before the start returns. OX_SHUTTING_DOWN: not now;
     * with any other code they are done, written or not. */
    void (*done)(struct share_burial *burial);
    ox_code code; /* out */
};
typedef void (*share_bury_fn)(void *arg, struct share_burial *burial);

/* states: the share coordinators (coord_new_states), which outlive it. bury: who
 * writes what is given up, with arg; NULL: nobody. */
struct share *share_new(struct loop_group *loops, struct replica *replica, struct coord *states,
    share_bury_fn bury, void *arg);
/* Answers what waits with OX_SHUTTING_DOWN; returns when nothing is out any more.
 * On: no loop; the loops run, the coordinators serve. */
void share_stop(struct share *share);
void share_free(struct share *share); /* after share_stop(); NULL is allowed */
/* The sessions that were opened through this connection end: what their members
 * had in hand goes to others. Any loop. */
void share_disconnected(struct share *share, uint64_t conn_id);

/* What a member says of a record. */
enum share_ack_type { SHARE_GAP, SHARE_ACCEPT, SHARE_RELEASE, SHARE_REJECT, SHARE_RENEW };
struct share_ack {
    int64_t first, last;
    const int8_t *types; /* one for all, or one for each */
    size_t type_count;
};

struct share_acquired_row {
    int64_t first, last;
    int16_t count; /* of deliveries, this one included */
};
struct share_acquired {
    struct share_acquired_row *at;
    size_t count, cap;
};

/* A partition of a call, asked for or answered. */
struct share_call_part {
    struct uuid topic_id;
    int32_t partition;
    ox_code refused; /* in: not OX_OK: no acknowledging, not authorised or there is none */
    const struct share_ack *acks;
    size_t ack_count;
    /* out; outs only */
    ox_code code, ack_code;
    struct log_range range; /* of the caller, put with log_range_put() */
    struct share_acquired acquired;
};

/* ShareFetch and ShareAcknowledge. Codes of a call: OX_SHARE_SESSION_NOT_FOUND,
 * OX_INVALID_SHARE_SESSION_EPOCH, OX_SHARE_SESSION_LIMIT_REACHED,
 * OX_INVALID_REQUEST, OX_SHUTTING_DOWN. Strings and arrays that go in are
 * borrowed until done, which runs once on the loop that started the call, never
 * before the start returns; the arena is not touched by others meanwhile. */
struct share_call {
    struct arena *arena;
    void (*done)(struct share_call *call);
    /* May the member read the partition? On the group's loop, before the call reads. */
    ox_code (*may)(const struct share_call *call, const struct uuid *topic_id, int32_t partition);
    struct str group_id, member_id;
    uint64_t conn_id;
    int32_t session_epoch; /* 0 opens, -1 closes, else the next one */
    bool fetch;            /* records are wanted; else only acknowledging */
    bool strict;           /* max_records exactly; else whole batches */
    bool renew;            /* SHARE_RENEW is known */
    bool renewing;         /* and may be said; nothing is fetched then */
    int32_t max_wait_ms, min_bytes, max_bytes, max_records, bundle_size;
    struct share_call_part *parts; /* with acknowledgements, or new to the session */
    size_t part_count;
    const struct share_call_part *forgotten;
    size_t forgotten_count;
    /* out */
    ox_code code;
    int32_t lock_ms; /* how long records stay with the member */
    struct share_call_part *outs;
    size_t out_count;
    /* inside */
    struct map out_index; /* of outs, when they are many */
    struct share_home *home;
    struct loop *origin;
    struct loop_msg msg;
    struct list link; /* of home->parked */
    struct str session_key;
    struct share_session *session; /* may have ended since: session_id tells */
    uint64_t session_id;
    struct share_part **reads; /* what the session had when the call began, and still has */
    struct share_part **turn;  /* the same, as the call goes through them */
    uint32_t read_count, open; /* of them; of those, how many may hand something out */
    uint64_t session_left;     /* how many partitions had left the session then */
    struct share_wait *waits;  /* one of each, while parked */
    size_t wait_count;
    struct loop_timer timer;
    struct loop_tick tick;
    uint64_t until_ns;
    uint32_t pending; /* partitions that load or write */
    ox_code refusal;  /* what it says when its time is up; OX_OK: what there is */
    bool parked, expired, gone; /* gone: the connection is, nobody hears the answer */
};
void share_call(struct share *share, struct share_call *call);

/* Records acknowledged since the start, by what their members said. Any thread. */
enum { SHARE_ACK_TYPES = SHARE_RENEW + 1 };
void share_acknowledged(const struct share *share, uint64_t counts[SHARE_ACK_TYPES]);

/* May "share.auto.offset.reset" be that? */
bool share_reset_valid(struct str reset);

#endif
