/* SPDX-License-Identifier: Apache-2.0
 *
 * A load whose outcome is known: see kill_load.c. load_kafka.c has the blocking
 * Kafka client that it and its checks use. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rand.h"
#include "base/str.h"
#include "gen/kafka.gen.h"
#include "log/record_batch.h"

/* ---- a connection that speaks Kafka; one thread's ---- */

struct load_link {
    int fd; /* -1: none */
    int32_t correlation;
    struct arena arena; /* of the last answer */
};

void load_link_init(struct load_link *link);
bool load_dial(struct load_link *link, int port);
void load_hang_up(struct load_link *link);
/* Sends a request; false when the connection is gone. */
bool load_send(struct load_link *link, int api, int version, const void *request);
/* Reads the next answer, in the link's arena; false when the connection is gone
 * or what came is no such answer. */
bool load_receive(struct load_link *link, int api, int version, void *response);
bool load_call(struct load_link *link, int api, int version, const void *request, void *response);

/* ---- what was written, and what is known of it ---- */

enum {
    LOAD_SLOTS = 9, /* partitions of all topics, numbered through */
    LOAD_WRITERS = 8,
};

/* What is known of a record: its offset, or: */
enum {
    LOAD_UNKNOWN = -1, /* not acknowledged: may be there or not */
    LOAD_SOMEWHERE = -2, /* acknowledged without an offset */
    LOAD_ABSENT = -3, /* not acknowledged, and was not there: must never be */
};

/* The records of one writer in one partition, numbered from 0. */
struct load_track {
    int64_t *known;
    int64_t count, cap;
};

struct load_slot {
    const char *topic;
    int partition;
    /* What a reader has seen at each offset: must be the same for ever. */
    int64_t *seen;
    int64_t seen_count, seen_cap;
};

extern struct load_slot load_slots[LOAD_SLOTS];
extern struct load_track load_tracks[LOAD_WRITERS][LOAD_SLOTS];
extern bool load_exact[LOAD_WRITERS]; /* exactly once, without a gap */
extern _Atomic int load_problems;

/* Says that something is wrong, and counts it. */
void load_bad(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The number of a new record. */
int64_t load_track_add(struct load_track *track);

/* ---- reading ---- */

/* What a record's value says: writer and number in one. -1: it is not ours. */
int64_t load_code(struct str value, int slot);
static inline int load_code_writer(int64_t code) { return (int)(code >> 48); }
static inline int64_t load_code_number(int64_t code) { return code & ((INT64_C(1) << 48) - 1); }

/* Called for each record, in order. */
typedef void (*load_record_fn)(void *arg, int slot, int64_t offset, int64_t code);
/* One fetch of a slot from *offset on, which moves to the end of what was read.
 * *end is the high watermark. False when the connection is gone. */
bool load_read(struct load_link *link, int slot, int64_t *offset, int64_t *end,
    load_record_fn fn, void *arg);

/* ---- control ---- */

extern int load_kafka_port, load_sql_port;

/* A thread that has nothing outstanding calls this before it begins more: waits
 * while the load is calm; false when it is over. */
bool load_go_on(void);
/* The load is to become calm: what is outstanding is finished, nothing begun. */
bool load_calming(void);
/* Before the next attempt to reach a server that is not there. */
void load_wait_ms(int ms);

/* ---- the threads; arg: a number ---- */
void *load_write_kafka(void *arg);  /* writer 0 ... 5 */
void *load_write_sql(void *arg);    /* writer 6, 7 */
void *load_change_catalog(void *arg);
/* While all is calm: is the catalog as it was acknowledged? Returns how many
 * changes were. */
int64_t load_check_catalog(void);
bool load_make_topics(void);
/* What SELECT counts in a topic; -1: it failed. */
int64_t load_sql_count(const char *topic);

#endif
