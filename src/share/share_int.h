/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside share/: what has become of each record that is in hand (share_runs.c),
 * and the partitions, sessions and calls around it (share.c, share_part.c). */
#ifndef SHARE_SHARE_INT_H
#define SHARE_SHARE_INT_H

#include "base/list.h"
#include "base/map.h"
#include "coord/coord.h"
#include "share/share.h"

/* ---- share_runs.c: records by offset, in runs that share their fate ---- */

/* Numbers as on the wire and on disk. */
enum run_state {
    RUN_AVAILABLE = 0,
    RUN_ACQUIRED = 1,
    RUN_ACKNOWLEDGED = 2,
    RUN_ARCHIVING = 3, /* given up; on its way to the dead-letter queue */
    RUN_ARCHIVED = 4,
};

struct share_run {
    int64_t first, last;
    enum run_state state;
    int16_t count;        /* of deliveries */
    bool dirty;           /* the share coordinator does not know yet */
    bool rejected;        /* archiving: by a member; else delivered too often */
    bool split;           /* its bundle: the records of it have fates of their own */
    int64_t bundle;       /* where that begins, or began */
    uint64_t owner;       /* acquired: a session's id */
    uint64_t deadline_ms; /* acquired: when it goes back */
};

/* All offsets in [start, end), ascending, without holes. Before start all is
 * done; from end on nothing was ever handed out. */
struct share_runs {
    int64_t start, end;
    struct share_run *at; /* heap */
    uint32_t count, cap;
    uint64_t acquired;    /* records, now */
    bool remains;         /* the log's start went past all that there was */
    bool bury;            /* what is given up goes to a dead-letter queue */
};

void runs_init(struct share_runs *runs, int64_t start);
void runs_fini(struct share_runs *runs);
/* As the share coordinator keeps them. */
void runs_load(struct share_runs *runs, const struct coord_state_batch *batches, size_t count);
/* The first record that is available; end if none is. */
int64_t runs_next(const struct share_runs *runs);
/* What is new up to last becomes available. */
void runs_extend(struct share_runs *runs, int64_t last);
/* A batch of the log. */
struct share_batch {
    int64_t first, last;
    size_t bytes;
    bool hidden; /* of a transaction that was aborted */
};
/* Of what was read, the batches `batches` of the log: */
struct share_take {
    int64_t first, last; /* where the first begins; the last offset to be had */
    const struct share_batch *batches;
    size_t batch_count;
    uint64_t max;        /* records; more, if they come in one bundle or batch */
    bool strict;         /* never more than max */
    int64_t bundle_size; /* new bundles end with the batch that makes them this large */
    int16_t limit;       /* of deliveries */
    uint64_t owner, deadline_ms;
};
/* Hands out what is available; rows are added to the list in the arena. Returns how many. */
uint64_t runs_acquire(struct share_runs *runs, const struct share_take *take, struct arena *arena,
    struct share_acquired *out);
/* What was just acquired in [first, last] is nothing that anybody is to see: it is done, and
 * leaves the rows. */
void runs_discard(struct share_runs *runs, int64_t first, int64_t last, struct arena *arena,
    struct share_acquired *rows);
/* Nobody will be given what is available in [first, last]. */
void runs_archive(struct share_runs *runs, int64_t first, int64_t last);
/* Whether the owner may say so (types are known to be good): OX_INVALID_REQUEST,
 * OX_INVALID_RECORD_STATE. Splits the bundles of which it speaks in part. */
ox_code runs_check(struct share_runs *runs, uint64_t owner, const struct share_ack *ack,
    bool renew);
/* After runs_check. limit: deliveries after which a record is given up. */
void runs_acknowledge(struct share_runs *runs, const struct share_ack *ack, int16_t limit,
    uint64_t deadline_ms);
/* Everything of the owner, or (owner 0) all whose time is up, becomes available
 * again. Returns whether there was any. */
bool runs_release(struct share_runs *runs, uint64_t owner, uint64_t now_ms, int16_t limit);
/* The first run that waits for the dead-letter queue and that the share
 * coordinator knows; false: none. */
bool runs_archiving(const struct share_runs *runs, struct share_run *out);
/* It need not wait any more. */
void runs_buried(struct share_runs *runs, int64_t first, int64_t last);
/* When the first goes back; UINT64_MAX: none is acquired. */
uint64_t runs_deadline(const struct share_runs *runs);
/* Drops what is done at the start. */
void runs_trim(struct share_runs *runs);
/* The log begins here now: what was before is gone. */
void runs_cut(struct share_runs *runs, int64_t log_start);
/* What the share coordinator does not know, which counts as told from now on. */
void runs_take_dirty(struct share_runs *runs, struct arena *arena,
    struct coord_state_batch **out, size_t *count);
bool runs_dirty(const struct share_runs *runs);
/* Records in [start, end) that are done. */
int32_t runs_complete(const struct share_runs *runs);
void runs_check_all(const struct share_runs *runs);

/* ---- share_part.c: a partition of a group ---- */

struct share_home {
    struct share *share;
    struct loop *loop;
    struct map sessions; /* group NUL member -> struct share_session */
    struct map parts;    /* group NUL topic partition -> struct share_part */
    struct map groups;   /* group -> its number of sessions */
    struct map conns;    /* connection -> the group it read last, struct str on the heap */
    struct list parked;  /* struct share_call */
    size_t unread;       /* bytes of parts that were never there to be read */
    uint64_t swept;      /* generation of the view when parts_sweep() looked */
    uint64_t last_id;    /* of a session */
    bool stopping;
};

struct share {
    struct loop_group *loops;
    struct replica *replica;
    struct coord *states;
    share_bury_fn bury; /* or NULL */
    void *bury_arg;
    struct share_home *homes; /* one a loop */
    _Atomic uint32_t out;     /* calls to the share coordinators, of clients; burials */
    _Atomic uint32_t sessions;
    _Atomic uint64_t acknowledged[SHARE_ACK_TYPES]; /* records */
};

enum part_state { PART_NEW, PART_LOADING, PART_READY };

struct share_part {
    struct share_home *home;
    struct str key;           /* heap */
    struct str group_id;      /* in it */
    struct uuid topic_id;
    int32_t index;
    struct partition *part; /* held; NULL until loaded once */
    enum part_state state;
    ox_code fault; /* of the last load or write; the next use loads again */
    bool absent;   /* the fault: it cannot be read here, the share coordinator was not asked */
    struct share_runs runs;
    int64_t met;        /* where a fetch looked last; -1: none did */
    int64_t seen;       /* up to where it saw records then */
    int64_t told_start; /* what the share coordinator has, or where a new group began */
    int32_t state_epoch, leader_epoch, lock_ms;
    uint32_t locks_max;
    bool renew; /* may members renew their locks */
    int16_t limit; /* of deliveries */
    enum partition_isolation isolation;
    uint32_t sessions; /* that read it */
    bool dropped;      /* it goes when nobody reads it and nothing is out */
    struct coord_state_call call;
    struct arena arena; /* of the call */
    bool out;           /* the call is out */
    bool released, release_out; /* a session ended: not told yet; the call says it */
    struct list waiting, next; /* share_waiter: for what is out, for what follows */
    struct loop_timer timer;   /* the first lock that runs out */
    struct share_burial burial;
    bool burying;         /* it is out */
    uint64_t settings_of; /* generation of the view that the settings were read from */
};

/* A call that waits for a partition's load or write. */
struct share_waiter {
    struct list link;
    struct share_call *call;
    ox_code *code; /* where the outcome goes, or NULL */
};

/* The partition, made if it was not known. */
struct share_part *part_get(struct share_home *home, struct str group_id,
    const struct uuid *topic_id, int32_t index);
/* Has it loaded, if it is not, or failed before. */
void part_load(struct share_part *sp);
struct share_part *part_find(struct share_home *home, struct str group_id,
    const struct uuid *topic_id, int32_t index);
/* The group's settings, as they are now. */
void part_settings(struct share_part *sp);
/* How long its records stay with a member. */
int32_t part_lock_ms(const struct meta_view *view, struct str group_id);
/* One session less. What has become of the records stays known. */
void part_leave(struct share_part *sp);
/* Nobody reads the group any more: what is known of its partitions goes. */
void parts_forget(struct share_home *home, struct str group_id);
/* So does what nobody reads and is no longer here. */
void parts_sweep(struct share_home *home);
/* Whether something can be handed out, if there is something. */
bool part_has_room(struct share_part *sp);
/* Adds the bytes behind the next record that can be handed out, at most max; not exactly: 1 for
 * any. True: a fetch need not wait for more, as the next record is in an older segment, or cannot
 * be read. */
bool part_stock(struct share_part *sp, size_t max, bool exactly, uint64_t *bytes);
/* Have the call wait (call->pending) for what is on its way. */
void part_wait(struct share_part *sp, struct share_call *call, ox_code *code);
/* Tell the share coordinator what has changed, now or after what is out. */
void part_write(struct share_part *sp);
/* The owner's records go back. */
void part_release(struct share_part *sp, uint64_t owner);
/* What is asked of a partition, and what was read for it. */
struct part_read {
    uint64_t max, owner;
    size_t max_bytes;
    bool min_one; /* the first batch even when it is larger */
    /* out */
    size_t bytes;
    bool cut; /* the log begins later, or ends before: nothing now */
};
/* Hands out records into out; returns how many. */
uint64_t part_acquire(struct share_part *sp, const struct share_call *call, struct part_read *read,
    struct share_call_part *out);
void part_free(struct share_part *sp);

/* ---- share.c ---- */

/* Something of the group became available, or a wait of the call ended. */
void share_wake_group(struct share_home *home, struct str group_id);
void share_waited(struct share_call *call);

#endif
