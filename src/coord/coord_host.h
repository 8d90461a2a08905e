/* SPDX-License-Identifier: Apache-2.0
 *
 * What the coordinators need from outside, as a table of functions: coord/host.c
 * fills it over loop/ and replica/, unit tests with virtual time and a log in
 * memory. Functions run on the home loop of the partition they name unless said
 * otherwise. */
#ifndef COORD_COORD_HOST_H
#define COORD_COORD_HOST_H

#include "coord/coord.h"

struct coord_record {
    struct str key, value; /* value null: tombstone */
};

/* How a batch is marked: plain, part of a producer's transaction, or the marker
 * that ends one (which has no records of its own). */
enum coord_stamp_kind { COORD_PLAIN, COORD_TXN, COORD_MARKER };
struct coord_stamp {
    enum coord_stamp_kind kind;
    int64_t producer_id;
    int16_t producer_epoch;
    uint64_t guard;            /* COORD_TXN: of plog_txn_guard() */
    bool commit;               /* COORD_MARKER */
    int8_t txn_version;        /* likewise */
    int32_t coordinator_epoch; /* likewise */
};

/* Records to append as one batch, acks=all. Embedded by the runtime. */
struct coord_append {
    int32_t partition, leader_epoch;
    struct coord_stamp stamp;
    const struct coord_record *records; /* borrowed until done */
    size_t record_count;
    int64_t timestamp_ms;
    int32_t codec; /* enum ox_codec */
    /* On the home loop, exactly once, never before append returns. end_offset is
     * the offset after the batch. Codes as replica's: OX_NOT_LEADER, ... */
    void (*done)(struct coord_append *append, ox_code code, int64_t end_offset);
    void *inside; /* of the host while the append is out */
};

/* A fresh producer id. Embedded by who asks. */
struct coord_producer_id {
    void (*done)(struct coord_producer_id *want); /* on the loop that asked */
    ox_code code;
    int64_t producer_id;
};

/* A topic as the metadata has it; name is borrowed to the end of the tick. */
struct coord_topic {
    struct str name;
    struct uuid id;
    int32_t partition_count;
};

struct coord_host {
    void *self;
    uint64_t (*mono_ms)(void *self); /* any thread */
    int64_t (*wall_ms)(void *self);  /* any thread */
    void (*random)(void *self, void *to, size_t len);

    /* From any loop: remember the loop in call->origin and have
     * coord_call_enter(call) run on the partition's home loop, later. Calls of
     * one loop to one partition keep their order. */
    void (*enter)(void *self, int32_t partition, struct coord_call *call);
    /* Move on to another partition: as enter, but origin stays. */
    void (*move)(void *self, int32_t partition, struct coord_call *call);
    bool (*is_home)(void *self, int32_t partition);
    /* Have coord_call_answer(call) run on the loop that entered, later. */
    void (*leave)(void *self, struct coord_call *call);

    /* Run coord_alarm(coord, partition) once mono_ms reaches at_ms; replaces the
     * alarm before. UINT64_MAX: none. */
    void (*alarm)(void *self, int32_t partition, uint64_t at_ms);

    void (*append)(void *self, struct coord_append *append);
    /* The server stops: do not wait for the disk, done comes soon. */
    void (*abort)(void *self, struct coord_append *append);

    /* The topics there are. The generation changes whenever they may have. */
    uint64_t (*topics_generation)(void *self);
    bool (*topic_by_name)(void *self, struct str name, struct coord_topic *out);
    bool (*topic_by_id)(void *self, const struct uuid *id, struct coord_topic *out);
    /* A group's own setting, if it has one, replaces the default that stands there. */
    void (*group_setting)(void *self, struct str group_id, const char *name, int32_t *value);
    void (*each_topic)(void *self, void (*fn)(void *arg, const struct coord_topic *topic),
        void *arg);

    /* States of share groups only. What is before the offset is not needed; may
     * be forgotten any time. */
    void (*prune)(void *self, int32_t partition, int64_t offset);

    /* Transactions only. Write a marker where it belongs (coord.h), never answered
     * before this returns; an id that nobody had before, likewise. */
    void (*marker)(void *self, struct coord_marker *marker);
    void (*producer_id)(void *self, struct coord_producer_id *want);

    /* Read the partition from its start to the end it has now: coord_replay()
     * for each record, coord_replay_marker() for each transaction marker, then
     * coord_loaded(). Stops when one of them answers false. */
    void (*load)(void *self, int32_t partition, int32_t leader_epoch);
};

/* ---- called by the host, on the partition's home loop ---- */

void coord_call_enter(struct coord_call *call);
void coord_call_answer(struct coord_call *call); /* on the loop that entered */
void coord_alarm(struct coord *coord, int32_t partition);

struct coord_replayed {
    int64_t offset;
    struct str key, value;
    bool transactional;
    int64_t producer_id;
    int16_t producer_epoch;
};
/* False: the shard is no longer loading in this epoch, stop. */
bool coord_replay(struct coord *coord, int32_t partition, int32_t leader_epoch,
    const struct coord_replayed *record);
bool coord_replay_marker(struct coord *coord, int32_t partition, int32_t leader_epoch,
    int64_t producer_id, int16_t producer_epoch, bool committed);
void coord_loaded(struct coord *coord, int32_t partition, int32_t leader_epoch, ox_code code);

#endif
