/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of log/: what its files share. Nobody else includes this.
 *
 * Locks, in the order in which they are taken:
 *   dir->checkpoint  one writer of the checkpoint files (plain mutex)
 *   plog->work       one blocking maintenance job on a plog at a time:
 *                    checkpoint, retention, truncation, close (plain mutex)
 *   dir->round       one flush round at a time; on_flushed runs under it
 *                    (plain mutex)
 *   plog->lock       rank "plog": end, segments, epochs, producers
 *   dir->cleaned     the file of cleaner offsets (plain mutex; only dir->lock
 *                    is taken under it)
 *   dir->lock        rank "log_dir": the list of plogs, checkpoint numbers
 *   dir->wal.lock    rank "wal": the queue
 * The plain mutexes are held over system calls, the ranked ones only for the
 * write of a batch and for reading index entries. */
#ifndef LOG_LOG_INT_H
#define LOG_LOG_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "log/log.h"

enum {
    INDEX_ENTRY = 8,       /* u32 offset - base, u32 position */
    TIME_ENTRY = 12,       /* i64 timestamp, u32 offset - base */
    TXN_ENTRY = 34,        /* i16 0, i64 producer, i64 first, i64 last, i64 last stable */
    VERIFY_CHUNK = 1 << 20, /* bytes whose batches are checked together */
    PATH_LEN_MAX = 4096,
    HEADER_WALK_WIDE = 65536, /* bytes of a buffer given to a header_walk */
};

/* ---- index.c: sparse indexes, and the aborted transactions beside them ---- */

/* Sorted fixed-size entries as they lie in the file. The index of the active
 * segment is in memory, and written when it is sealed or checkpointed; a sealed
 * one is read where it lies. */
struct log_index {
    struct file_system *fs;
    char *path;
    struct file *file; /* opened at first use, NULL until then */
    uint8_t *entries;  /* NULL once sealed */
    uint32_t entry_len;
    uint32_t count, cap;
    uint32_t written; /* entries that the file has */
};

void log_index_init(struct log_index *index, struct file_system *fs, const char *path,
    uint32_t entry_len);
void log_index_fini(struct log_index *index);
/* Takes the entry count from the file; OX_DATA_CORRUPTED when its size is not a
 * multiple of the entry, OX_FILE_NOT_FOUND. */
ox_code log_index_attach(struct log_index *index, struct ox_err *err);
/* Reads all entries into memory, to go on appending. */
ox_code log_index_load(struct log_index *index, struct ox_err *err);
void log_index_add(struct log_index *index, const void *entry);
/* Forgets the entries from slot on (memory; the file at the next write). */
void log_index_cut(struct log_index *index, uint32_t count);
ox_code log_index_get(struct log_index *index, uint32_t slot, uint8_t *entry, struct ox_err *err);
/* Writes what the file does not have, cuts what it has too much; sync flushes. */
ox_code log_index_write(struct log_index *index, bool sync, struct ox_err *err);
/* Opens the file now: the directory is about to be renamed. */
/* Lets go of the descriptor: it is opened again when it is needed. */
void log_index_release(struct log_index *index);
void log_index_pin(struct log_index *index);
/* Drops the memory after a write. */
void log_index_seal(struct log_index *index);

/* ---- segment.c ---- */

struct log_segment {
    _Atomic uint32_t refs;
    struct file_system *fs;
    struct file *file;
    char *path; /* of the .log file */
    const char *suffix; /* that all its names end in: "", ".cleaned" or ".swap" */
    int64_t base_offset;
    int64_t created_ms;
    /* Under plog->lock from here. */
    uint64_t size; /* bytes of whole batches */
    int64_t next_offset;
    int64_t first_timestamp;      /* max_timestamp of the first batch; -1 none */
    int64_t max_timestamp;        /* -1 none */
    int64_t max_timestamp_offset; /* last offset of the batch that has it */
    struct log_index index, times;
    uint64_t unindexed; /* bytes since the last index entry */
    uint64_t flushed;   /* bytes that are on disk */
    uint64_t written_back; /* bytes that the kernel was asked to write already */
    uint64_t reserved;  /* end of the blocks asked for ahead; UINT64_MAX: not to be asked */
    bool preallocated;  /* zeros follow the batches in the file while it is active */
    bool name_flushed;  /* the directory entry is on disk */
    bool sealed;
    bool index_stale;   /* sealed, but the index files are not written and flushed yet */
    struct log_aborted_txn *aborted;
    uint32_t aborted_count, aborted_cap;
    uint32_t aborted_written; /* entries the file has; UINT32_MAX: others */
    bool aborted_loaded;
    /* Bytes below this are not ours: checked by chunk before they are served. */
    uint64_t unverified_end;
    _Atomic uint64_t *verified; /* a bit a chunk; NULL if unverified_end is 0 */
};

/* Path of a file of a segment: dir/%020lld + suffix. */
void log_segment_path(char to[PATH_LEN_MAX], const char *dir, int64_t base, const char *suffix);
/* Makes (create) or opens the file. The indexes are empty until loaded. */
ox_code log_segment_open(struct file_system *fs, const char *dir, int64_t base, bool create,
    struct log_segment **out, struct ox_err *err);
/* Makes the file `<base>.log.cleaned`, for compaction. */
ox_code log_segment_create_cleaned(struct file_system *fs, const char *dir, int64_t base,
    struct log_segment **out, struct ox_err *err);
/* Gives all files of a segment another suffix, the data last. */
ox_code log_segment_resuffix(struct log_segment *seg, const char *suffix, struct ox_err *err);
struct log_segment *log_segment_get(struct log_segment *seg);
void log_segment_put(struct log_segment *seg);
/* Bookkeeping for a batch that was written at the end. */
void log_segment_added(struct log_segment *seg, const struct record_batch *batch, uint64_t pos,
    int32_t interval);
/* Asks for blocks ahead of a write that ends at end, of at most limit bytes in all. */
void log_segment_reserve(struct log_segment *seg, uint64_t end, uint64_t limit);
/* Nothing will be written behind what is there: gives blocks back. */
void log_segment_unreserve(struct log_segment *seg);
/* Forces the last time index entry: before sealing and closing. */
void log_segment_end_times(struct log_segment *seg);
/* Largest position known to be at or before the batch that holds offset. */
ox_code log_segment_lookup(struct log_segment *seg, int64_t offset, uint64_t *pos,
    struct ox_err *err);
/* Largest batch start in the index that is <= pos. */
ox_code log_segment_lookup_pos(struct log_segment *seg, uint64_t pos, uint64_t *found,
    struct ox_err *err);
/* Largest offset in the time index whose entry's timestamp is <= timestamp. */
ox_code log_segment_lookup_time(struct log_segment *seg, int64_t timestamp, int64_t *offset,
    struct ox_err *err);
/* Marks the bytes below end as not checked by this process. */
void log_segment_distrust(struct log_segment *seg, uint64_t end);
/* Whether a batch that starts at pos was checked or written by this process. */
bool log_segment_trusted(const struct log_segment *seg, uint64_t pos);
/* Checks all chunks that hold starts of batches in [pos, end). No lock. start:
 * some batch start <= pos. OX_CORRUPT_MESSAGE when a batch is bad. */
ox_code log_segment_verify(struct log_segment *seg, uint64_t start, uint64_t pos, uint64_t end,
    uint64_t size, struct ox_err *err);
/* Renames all files of the segment to .deleted; they keep serving those who
 * have them open. */
ox_code log_segment_condemn(struct log_segment *seg, struct log_dir *dir, int64_t due_ms,
    struct ox_err *err);
/* Removes derived files and the data file at once (recovery, truncation). */
ox_code log_segment_unlink(struct log_segment *seg, struct ox_err *err);

/* Whether a batch may lie where one at or above `next` is expected: its checksum
 * does not cover its offsets. */
static inline bool
log_batch_fits(const struct record_batch *batch, int64_t next)
{
    return batch->base_offset >= next && batch->last_offset_delta >= 0 &&
           batch->base_offset <= INT64_MAX - 1 - batch->last_offset_delta;
}

/* Walks batch headers in a file without a lock. */
struct header_walk {
    struct log_segment *seg;
    uint64_t pos, end;   /* of the next batch; where to stop */
    int64_t next_offset; /* the next batch must not begin below it */
    struct record_batch batch; /* the last one returned; ptr is into buffer */
    uint64_t batch_pos;
    uint64_t buffer_pos;
    size_t buffer_len, window;
    uint8_t *buffer; /* = space, or the caller's */
    uint8_t space[4096];
};
void header_walk_init(struct header_walk *walk, struct log_segment *seg, uint64_t pos,
    uint64_t end);
/* OX_CORRUPT_MESSAGE for a bad header, a batch that passes the end, or one with
 * an offset that does not belong there. */
ox_code header_walk_next(struct header_walk *walk, bool *more, struct ox_err *err);

/* Aborted transactions of the segment. Under plog->lock. OX_DATA_CORRUPTED: the file is
 * not one that was written; plog_load_aborted() makes the index anew then. */
ox_code log_segment_load_aborted(struct log_segment *seg, struct ox_err *err);
void log_segment_add_aborted(struct log_segment *seg, const struct log_aborted_txn *txn);
/* Forgets those that end at or above next. */
void log_segment_cut_aborted(struct log_segment *seg, int64_t next);
ox_code log_segment_write_aborted(struct log_segment *seg, bool sync, struct ox_err *err);

/* ---- producer_state.c ---- */

enum { PRODUCER_BATCHES = 5 };

struct producer_batch {
    int32_t first_sequence, last_sequence, offset_delta;
    int64_t last_offset, timestamp;
};

struct producer_recall;

struct producer {
    int64_t id;
    int16_t epoch;
    int32_t coordinator_epoch;
    int64_t last_timestamp;   /* of its last batch */
    int64_t active_ms;        /* when that came; its records may be of long ago */
    int64_t txn_first_offset; /* -1: none open */
    struct list txn_link;     /* on producers.open, by first offset */
    uint32_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES]; /* oldest first */
    struct producer_recall *recall; /* while old batches are being recalled */
};

/* A transaction whose marker is written but not yet below the high watermark. */
struct completed_txn {
    int64_t first_offset, last_offset;
};

/* A transaction whose first batch is on its way: its coordinator is being asked. */
struct txn_guard {
    int64_t producer_id;
    uint64_t guard;
    int32_t lowest_sequence; /* seen at this epoch */
    int16_t producer_epoch;
    bool raised;
};

struct producers {
    struct map by_id;
    struct map guards; /* producer id -> struct txn_guard; in memory only */
    uint64_t guard_last;
    struct list open; /* struct producer.txn_link */
    struct completed_txn *completed;
    uint32_t completed_count, completed_cap;
    int64_t snapshot_offset; /* of the newest snapshot on disk, -1 */
    bool changed;            /* since that snapshot */
    int64_t now_ms;          /* when what is being applied came */
};

void producers_init(struct producers *producers);
void producers_fini(struct producers *producers);
void producers_clear(struct producers *producers);
/* May append->batch be written? *duplicate is set to the batch it repeats, or
 * NULL. */
ox_code producers_check(struct producers *producers, const struct log_append *append,
    const struct producer_batch **duplicate, struct ox_err *err);
/* See plog_txn_guard(). */
ox_code producers_guard(struct producers *producers, int64_t producer_id, int16_t producer_epoch,
    int32_t sequence, bool raised, uint64_t *guard);
void producers_unguard(struct producers *producers, int64_t producer_id, uint64_t guard);
/* The batch is in the log at its base offset. If it ended a transaction by an
 * abort, *aborted is filled and true is returned. */
bool producers_update(struct producers *producers, const struct record_batch *batch,
    const struct control_record *control, struct log_aborted_txn *aborted);
int64_t producers_first_unstable(const struct producers *producers);
void producers_high_watermark(struct producers *producers, int64_t offset);
void producers_expire(struct producers *producers, int64_t now_ms, int64_t age_ms);
/* A batch from before the snapshot that was loaded, in the order of the log, up
 * to the last one: snapshots have only that of each producer, but a producer may
 * send up to five again. */
void producers_recall(struct producers *producers, const struct record_batch *batch);
void producers_recalled(struct producers *producers);
/* The bytes of a snapshot file. */
void producers_encode(const struct producers *producers, struct text *out);
/* Replaces the state. OX_DATA_CORRUPTED when the bytes are bad. */
ox_code producers_decode(struct producers *producers, const void *ptr, size_t len,
    struct ox_err *err);
bool producers_txn_open(const struct producers *producers, int64_t producer_id);

/* ---- leader_epochs.c ---- */

struct leader_epoch {
    int32_t epoch;
    int64_t start;
};

struct leader_epochs {
    struct leader_epoch *entries; /* both rise */
    uint32_t count, cap;
    bool dirty; /* differs from the file */
    bool begun; /* in the last one only: it is not in the file, and is missed there
                   only when it has batches */
};

void leader_epochs_fini(struct leader_epochs *epochs);
void leader_epochs_add(struct leader_epochs *epochs, int32_t epoch, int64_t start);
void leader_epochs_cut_end(struct leader_epochs *epochs, int64_t end);   /* starts >= end go */
void leader_epochs_cut_start(struct leader_epochs *epochs, int64_t start); /* first entry moves */
int32_t leader_epochs_of(const struct leader_epochs *epochs, int64_t offset);
void leader_epochs_encode(const struct leader_epochs *epochs, struct text *out);
ox_code leader_epochs_decode(struct leader_epochs *epochs, struct str text, struct ox_err *err);

/* ---- key_map.c: the newest offset of each key, in bounded memory ---- */

struct key_slot {
    uint64_t hash[2];
    int64_t offset; /* + 1; 0: free */
};

struct key_map {
    struct key_slot *slots;
    uint64_t slot_count, used, used_max;
    uint64_t secret[2]; /* of this pass */
};

enum { KEY_SLOT_BYTES_MIN = 1 << 16 };

/* Room for `keys` keys if bytes_max allows it (at least KEY_SLOT_BYTES_MIN are
 * taken). secret: random. */
void key_map_init(struct key_map *map, uint64_t keys, uint64_t bytes_max,
    const uint64_t secret[2]);
void key_map_fini(struct key_map *map);
/* How many more keys are sure to fit. */
static inline uint64_t
key_map_room(const struct key_map *map)
{
    return map->used_max - map->used;
}
/* Offsets of one key must come rising. The caller has seen that there is room. */
void key_map_put(struct key_map *map, struct str key, int64_t offset);
int64_t key_map_get(const struct key_map *map, struct str key); /* -1: not there */

/* ---- compact.c: one pass over one log ---- */

/* What the owner of a pass lends it. */
struct compact_run {
    uint64_t buffer_bytes;  /* of the key map, at most */
    size_t io_buffer_bytes; /* of reading, and as much of writing */
    /* Called for about every io_buffer_bytes moved: slows down. false: give up. */
    bool (*go_on)(void *arg, uint64_t bytes);
    void *arg;
};

struct compact_plan {
    int64_t first_dirty, limit; /* what a pass would look at */
    uint64_t clean_bytes, dirty_bytes;
    double ratio;
    int64_t failed_ms; /* see compact_state; set by who chooses */
    bool overdue; /* max.compaction.lag.ms has passed */
    bool wanted;  /* by ratio or age */
};

/* What is known of a log's passes; see struct log_compaction_facts. */
struct compact_state {
    bool uncleanable;
    int64_t failed_ms; /* when its last pass failed, 0: it did not */
    enum log_compaction_phase phase;
    uint64_t bytes_done, bytes_total; /* of the pass that runs */
    uint64_t passes, bytes_read, bytes_written, records_read, records_removed;
    int64_t last_start_ms, last_end_ms;
};

/* ---- plog ---- */

enum { READ_HINTS = 8 };

struct read_hint {
    int64_t offset; /* -1: unused */
    int64_t seg_base;
    uint64_t pos;
};

struct plog {
    _Atomic uint32_t refs;
    struct log_dir *_Atomic dir; /* changed by plog_move(), under work and lock */
    struct file_system *fs;
    char *topic;
    char *path; /* likewise */
    int32_t partition;
    bool name_later; /* see plog_args */
    struct uuid topic_id;
    void (*on_flushed)(void *arg, int64_t flushed_end);
    void *arg;
    pthread_mutex_t work;
    struct list link; /* dir->plogs; once detached and closed, dir->closing */

    struct lock lock;
    struct plog_config config;
    struct log_segment **segments; /* by base offset; the last is active */
    uint32_t segment_count, segment_cap;
    int64_t jitter_ms;
    struct producers producers;
    struct leader_epochs epochs;
    struct read_hint hints[READ_HINTS];
    uint32_t hint_next;
    ox_code fault;
    struct ox_err *fault_err; /* NULL: fault is OX_OK */
    bool closed;
    uint32_t generation; /* raised by truncation: queued batches are void */
    int64_t unflushed_since_ms; /* of lazily flushed bytes, 0 none */

    _Atomic int64_t log_start, log_end, flushed_end, high_watermark, first_unstable;
    _Atomic uint64_t bytes;
    int64_t recovery_point; /* under dir->lock */
    /* The log end for which all derived files are there as a clean stop leaves
     * them, -1: none; of generation 0. */
    int64_t tidy_end;
    _Atomic int64_t cleaned; /* compacted below; -1: never */
    struct compact_state compact; /* under lock */
    _Atomic bool compacting; /* a pass or a move is at work */
    _Atomic(struct log_dir *) moving_to; /* a move is at work */
    _Atomic uint64_t moved_bytes;
    _Atomic int64_t moved_end; /* offset up to which it is copied */

    /* The flusher's own, during a round. */
    uint64_t round;
    uint32_t round_slot;
};

/* Locks the checkpoint of the directory that has the log; returns it. */
struct log_dir *plog_lock_checkpoint(struct plog *plog);
struct plog *plog_get(struct plog *plog);
void plog_put(struct plog *plog);
struct log_segment *plog_active(struct plog *plog); /* under lock */
/* The segment that holds offset: the last whose base is <= offset; -1 if none. */
int plog_segment_at(const struct plog *plog, int64_t offset);
void plog_push_segment(struct plog *plog, struct log_segment *seg);
void plog_first_unstable_changed(struct plog *plog);
/* Remembers the first failure; appends are refused from then on. Under lock. */
ox_code plog_set_fault(struct plog *plog, ox_code code, const struct ox_err *err);
/* Applies a batch that lies in the log to epochs and producers. Under lock (or
 * before the plog is shared). seg: the segment that holds it. */
ox_code plog_apply(struct plog *plog, struct log_segment *seg, const struct record_batch *batch,
    struct ox_err *err);
/* What a new active segment gets: its jitter, and its space if that is wanted. */
ox_code plog_prepare_segment(struct plog *plog, struct log_segment *seg, struct ox_err *err);
/* Opens and prepares an empty segment from base on, which is then to be pushed. Gives out. */
ox_code plog_make_segment(struct plog *plog, int64_t base, struct log_segment **out,
    struct ox_err *err);
/* Seals the active segment and makes a new one at the log end. Under lock. */
ox_code plog_roll_locked(struct plog *plog, int64_t now_ms, struct ox_err *err);
/* Loads segments and state from disk, recovering when needed. recover.c */
ox_code plog_recover(struct plog *plog, int64_t recovery_point, int64_t flushed_hint, bool clean,
    struct ox_err *err);
/* As log_segment_load_aborted(). An index that is damaged is made again from the batches
 * of the segment and those before it. Under lock. recover.c */
ox_code plog_load_aborted(struct plog *plog, struct log_segment *seg, struct ox_err *err);
/* Producer state at log end from the newest good snapshot and the batches
 * after it; the snapshots above the log end go. recover.c */
ox_code plog_rebuild_producers(struct plog *plog, struct ox_err *err);
ox_code plog_write_snapshot(struct plog *plog, int64_t offset, const struct text *bytes,
    bool sync, struct ox_err *err);
/* A durable snapshot of the producers as they are now. Under plog->work. */
ox_code plog_save_producers(struct plog *plog, struct ox_err *err);
void plog_prune_snapshots(struct plog *plog, int64_t keep_from);
/* Flushes segments and derived files up to the log end, moves the recovery
 * point. Under plog->work. checkpoint.c */
ox_code plog_checkpoint(struct plog *plog, bool closing, struct ox_err *err);
ox_code plog_write_epochs(struct plog *plog, struct ox_err *err);
/* Flushes the files of the segments up to the log end; *end is that. */
ox_code plog_sync_segments(struct plog *plog, int64_t *end, struct ox_err *err);
/* The flushed end moves up and on_flushed runs; under dir->round. */
void plog_flushed(struct plog *plog, uint32_t generation, int64_t end);

/* Where a pass would begin and end. Under lock. */
void plog_plan_compaction(struct plog *plog, int64_t now_ms, struct compact_plan *out);
/* One pass. OX_CANCELLED: go_on said no, or the log was closed or cut meanwhile;
 * it is as it was. *moved: the pass has got ahead. Blocks, for long. */
ox_code plog_compact(struct plog *plog, const struct compact_run *run, int64_t now_ms,
    bool *moved, struct ox_err *err);
/* The level with which a codec packs batches of this log. */
int plog_codec_level(const struct plog_config *config, enum ox_codec codec);

/* Opens what readers may still need by name, before names change. */
void plog_pin_files(struct plog *plog);
/* That, and it goes after delay_ms; the directory forgets the partition. */
ox_code log_dir_condemn_partition(struct log_dir *dir, const char *topic, int32_t partition,
    int64_t delay_ms, struct ox_err *err);
/* Writes partition.metadata into a directory. */
ox_code log_write_partition_metadata(struct file_system *fs, const char *dir,
    const struct uuid *topic_id, struct ox_err *err);

/* ---- wal.c ---- */

/* A plog in a flush round. */
struct wal_slot {
    struct plog *plog; /* counted */
    uint32_t generation;
    bool direct; /* flush its segments */
    uint64_t bytes;
    int64_t end; /* flushed to, when the round is done */
};

/* A batch in the queue. */
struct wal_item {
    struct plog *plog;
    struct log_segment *seg;
    struct buf *buf; /* NULL: the segments must be flushed instead */
    const uint8_t *ptr;
    uint32_t len, generation;
    uint64_t pos; /* in the segment */
    int64_t base_offset, end_offset;
};

struct wal_file {
    struct list link;
    struct file *file;
    uint32_t seq;
};

struct wal {
    struct lock lock; /* queue, soon */
    struct wal_item *queue;
    uint32_t queue_count, queue_cap;
    uint64_t queue_bytes;
    bool soon;
    /* The rest belongs to whoever holds dir->round. */
    struct wal_item *taken;
    uint32_t taken_cap;
    struct list files;  /* struct wal_file, oldest first; the last is written */
    struct list spares; /* already written, to be used again */
    uint32_t file_count, spare_count;
    uint32_t seq_next;
    uint64_t pos;        /* end of the entries in the last file */
    uint64_t written;    /* bytes of the last file that exist, zeros included */
    uint64_t synced_lsn; /* everything before it is on disk */
    uint64_t round;
    struct wal_slot *slots; /* the plogs of this round */
    uint32_t slot_count, slot_cap;
    bool begin_new; /* the last file must not be written any more */
    _Atomic uint64_t bytes; /* in all files */
};

void log_wal_init(struct log_dir *dir);
void log_wal_fini(struct log_dir *dir);
/* Queues a batch that was just written. Under plog->lock. */
void log_wal_enqueue(struct log_dir *dir, const struct wal_item *item, bool soon);
/* One round of the flusher. Takes dir->round. */
ox_code log_wal_round(struct log_dir *dir, struct ox_err *err);
/* Position that a checkpoint beginning now may drop up to. */
uint64_t log_wal_mark(struct log_dir *dir);
/* Drops the files whose entries all lie below lsn, or all and the spares. */
ox_code log_wal_recycle(struct log_dir *dir, uint64_t lsn, bool all, struct ox_err *err);
/* Makes a written spare file, if the log is in use and has none. */
void log_wal_prepare(struct log_dir *dir);
/* Durable note that entries of plog written so far are void. Under dir->round. */
ox_code log_wal_void(struct log_dir *dir, struct plog *plog, struct ox_err *err);
/* The same, and notes that everything below end is flushed all the same. */
ox_code log_wal_settle(struct log_dir *dir, struct plog *plog, int64_t end, struct ox_err *err);
/* At open: puts batches back into segments, flushes them, fills dir->hints. */
ox_code log_wal_replay(struct log_dir *dir, struct ox_err *err);

/* Reads entries of one file's bytes; for replay, tools and fuzzing. */
enum wal_kind { WAL_BATCH = 1, WAL_VOID = 2, WAL_FLUSHED = 3 };
struct wal_entry {
    enum wal_kind kind;
    uint64_t lsn, synced_lsn;
    struct uuid topic_id;
    int32_t partition;
    int64_t seg_base, end_offset;
    uint64_t pos;
    const uint8_t *payload;
    uint32_t len;
    size_t bytes; /* of the entry in the file */
};
bool log_wal_decode(const uint8_t *ptr, size_t len, uint64_t lsn, struct wal_entry *out);

/* ---- log_dir.c ---- */

/* What the write-ahead log and the checkpoints know about a partition that is
 * not open yet. */
struct partition_hint {
    int64_t recovery_point, log_start, high_watermark; /* -1 unknown */
    int64_t flushed_end;                               /* -1 unknown */
    int64_t cleaned;                                   /* compacted below, -1 unknown */
    bool dirty; /* was opened by this process and not closed cleanly since */
    bool open;  /* its plog is in the list */
    /* The checkpoint files may name it; those being written will. */
    bool listed, listing;
};

#define PARTITION_HINT_NONE ((struct partition_hint){-1, -1, -1, -1, -1, .dirty = false})

/* A file or directory to unlink when its time has come. */
struct condemned {
    char *path;
    bool is_dir;
    int64_t due_ms;
};

struct log_dir {
    struct log_dir_config config;
    const struct env *env;
    struct file_system *fs;
    char *path;
    char cluster_id[128];
    int32_t node_id;
    struct uuid id;
    struct file *lock_file;
    bool clean_start;
    bool faulty_closed; /* some log is not as it should be: no clean mark */
    pthread_mutex_t round;
    pthread_mutex_t cleaned; /* writers of the cleaner's checkpoint */

    struct lock lock; /* plogs, closing, hints, condemned */
    struct list plogs, closing;
    uint32_t closed_logs; /* since the heap was trimmed; the checkpointer's */
    uint32_t plog_count;
    struct map hints; /* "topic-partition" -> struct partition_hint */
    struct condemned *condemned;
    uint32_t condemned_count, condemned_cap;

    struct wal wal;

    _Atomic bool offline, full;
    _Atomic bool names_due; /* of new partitions */
    struct ox_err offline_err; /* written once, before offline is set */
    _Atomic uint64_t unchecked_bytes; /* written since free space was looked at */
    _Atomic uint64_t wal_flushes, direct_flushes, checkpoints, wal_batches, wal_batch_bytes;

    pthread_mutex_t checkpoint; /* one at a time; before any plog->work */
    pthread_mutex_t files;      /* a checkpoint file is being written; the last one taken */
    pthread_mutex_t thread_lock;
    pthread_cond_t flusher_wake, checkpointer_wake;
    pthread_t flusher, checkpointer;
    bool flusher_work, checkpoint_work, stop;
};

/* The directory is lost: refuse appends, tell the owner. Returns code. */
ox_code log_dir_fail(struct log_dir *dir, ox_code code, const struct ox_err *err);
/* OX_OK, or why nothing may be written: offline or full. */
ox_code log_dir_writable(struct log_dir *dir, size_t len, struct ox_err *err);
/* A write found no space: refuse appends until there is some. */
void log_dir_found_full(struct log_dir *dir);
/* Looks how much space there is. */
void log_dir_check_space(struct log_dir *dir);
/* The open plogs, counted; ox_free() the array. */
struct plog **log_dir_hold_plogs(struct log_dir *dir, uint32_t *count);
/* Makes all logs durable, writes the checkpoint files and recycles the write-ahead log,
 * down to nothing when closing. Takes dir->checkpoint. Blocks. */
ox_code log_dir_checkpoint(struct log_dir *dir, bool closing, struct ox_err *err);
/* For the checkpointer: lets others use the disk for a moment. False: it is to stop. */
bool log_dir_pause(struct log_dir *dir, uint32_t us);
/* When something goes that is to go after a delay: a delay without end has no end. */
static inline int64_t
log_due_ms(int64_t now_ms, int64_t delay_ms)
{
    return delay_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + delay_ms;
}

/* path is unlinked, a directory with the files in it, once it is due_ms. */
void log_dir_condemn(struct log_dir *dir, const char *path, bool is_dir, int64_t due_ms);
/* The checkpointer closes plog, which is detached. */
void log_dir_close_later(struct log_dir *dir, struct plog *plog);
/* Closes those that wait for it; how many. */
uint32_t log_dir_close_pending(struct log_dir *dir);

/* The next line of text without its newline; false at the end. */
bool log_next_line(struct str *text, struct str *line);
/* Splits at the last space. */
bool log_split_last(struct str line, struct str *before, struct str *after);
/* Splits "topic-12"; false if it is not that. */
bool log_dir_parse_name(const char *name, char topic[256], int32_t *partition);
/* Reads topic_id of a partition.metadata file; false when missing or bad. */
bool log_read_partition_metadata(struct file_system *fs, const char *dir, struct uuid *out);
/* Removes a directory with the files in it. */
ox_code log_remove_tree(struct file_system *fs, const char *path, struct ox_err *err);

/* ---- dir_threads.c ---- */

/* Nothing when config.threads is false. Stop waits for what they are at. */
void log_dir_start_threads(struct log_dir *dir);
void log_dir_stop_threads(struct log_dir *dir);
void log_dir_wake_flusher(struct log_dir *dir);
/* It makes a checkpoint then. */
void log_dir_wake_checkpointer(struct log_dir *dir);

/* ---- checkpoint_files.c ---- */

/* The hint of a partition; made if missing. Under dir->lock. */
struct partition_hint *log_dir_hint(struct log_dir *dir, const char *topic, int32_t partition);
/* All files into the hints. One that is missing or not valid tells nothing. */
void log_dir_read_checkpoints(struct log_dir *dir);
/* Writes recovery points, log starts and high watermarks as the plogs are now. Under
 * dir->checkpoint. */
ox_code log_dir_write_checkpoints(struct log_dir *dir, struct ox_err *err);
/* Only that one. Takes dir->checkpoint. */
ox_code log_dir_write_high_watermarks(struct log_dir *dir, struct ox_err *err);
/* Writes the log starts as the hints have them. */
ox_code log_dir_write_log_starts(struct log_dir *dir, struct ox_err *err);
/* Writes the cleaner's checkpoint. Not under dir->lock. */
ox_code log_dir_write_cleaned(struct log_dir *dir, struct ox_err *err);
/* Nothing is known of the partition any more, in the checkpoint files neither:
 * the next directory of that name is another one. Takes dir->checkpoint. */
ox_code log_dir_forget(struct log_dir *dir, const char *topic, int32_t partition,
    struct ox_err *err);

#endif
