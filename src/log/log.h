/* SPDX-License-Identifier: Apache-2.0
 *
 * Partition logs on this node's disk, laid out byte for byte as Kafka's.
 *
 *   struct log_dir   one log directory: lock, identity, write-ahead log,
 *                    checkpoints, a flusher and a checkpointer thread
 *   struct plog      one partition in it, directory `<topic>-<partition>`
 *   struct log_range whole batches in a pinned segment file, for sendfile
 *   struct log_cursor reads batches forward or backward into a buffer
 *
 * A caller's path: log_dir_open, plog_open (recovers), plog_append, plog_read
 * or log_cursor_*, plog_set_high_watermark, plog_retain, plog_close,
 * log_dir_close. Offsets of a plog, always:
 *
 *   log start <= first unstable, high watermark <= log end
 *   log start <= flushed end <= log end
 *
 * Threads: a plog has its own short lock; unless a call says otherwise it may
 * be made from any thread, also under the caller's own partition lock (rank
 * below "plog"). Calls that say "blocks" wait for the disk: not on a loop. */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/str.h"
#include "log/record_batch.h"

struct arena;
struct file;
struct log_dir;
struct plog;
struct log_segment;

/* ---- log directory ---- */

struct log_dir_config {
    const char *path;       /* made if missing */
    const char *cluster_id; /* NULL: take what meta.properties says */
    int32_t node_id;        /* -1: likewise */
    bool threads;           /* false: drive with the *_step calls */
    uint64_t reserve_bytes; /* free space that produce must leave, 256 MiB */
    uint32_t wal_file_bytes;      /* of one write-ahead file, 64 MiB */
    uint64_t wal_bytes_max;       /* a checkpoint is forced at, 1 GiB */
    uint32_t flush_linger_us;     /* how long bytes nobody waits for may queue, 20 ms */
    uint64_t flush_queue_bytes_max; /* buffers held for the write-ahead log, 64 MiB,
                                       4 of them large batches' */
    uint32_t direct_bytes_min;    /* a flush with at least so many bytes per file, 256 KiB, */
    uint32_t direct_files_max;    /* and at most so many files skips the WAL, 4 */
    int64_t checkpoint_interval_ms;    /* recovery points and log starts, 60 s */
    int64_t high_watermark_interval_ms; /* high watermarks, 5 s */
    /* Called once, on the thread that met the failure, when the directory goes
     * offline: a flush failed, nothing is acknowledged any more. */
    void (*on_offline)(void *arg, const struct ox_err *err);
    void *arg;
};

/* The defaults of the comments above. */
void log_dir_config_init(struct log_dir_config *config);

/* Locks the directory, checks or writes meta.properties, replays the
 * write-ahead log. Blocks.
 * Fails: OX_LOCK_HELD, OX_IDENTITY_MISMATCH, OX_DATA_CORRUPTED, I/O codes */
ox_code log_dir_open(const struct log_dir_config *config, const struct env *env,
    struct log_dir **out, struct ox_err *err);
/* Flushes and checkpoints everything, empties the write-ahead log, writes the
 * clean shutdown mark, frees. All plogs must have been closed. Blocks. */
void log_dir_close(struct log_dir *dir);
/* As if the process had been killed: stops the threads, frees, writes nothing.
 * For tests; plogs must have been dropped with plog_drop(). */
void log_dir_abandon(struct log_dir *dir);

/* A partition directory found on disk. */
struct log_dir_entry {
    const char *topic;
    int32_t partition;
    struct uuid topic_id; /* zero when partition.metadata is missing or bad */
};
/* Partition directories, in byte order of their names; those being deleted and
 * what does not look like a partition are left out. Blocks. */
ox_code log_dir_list(struct log_dir *dir, struct arena *arena, struct log_dir_entry **out,
    size_t *count, struct ox_err *err);

const char *log_dir_path(const struct log_dir *dir);
const struct uuid *log_dir_id(const struct log_dir *dir);
const char *log_dir_cluster_id(const struct log_dir *dir);
int32_t log_dir_node_id(const struct log_dir *dir);

struct log_dir_stats {
    bool offline, full, clean_start; /* clean_start: the last stop was clean */
    uint64_t total_bytes, usable_bytes;
    uint64_t wal_bytes, wal_flushes, direct_flushes, checkpoints;
    uint64_t wal_batches, wal_batch_bytes, queued_bytes;
    uint32_t plogs;
};
void log_dir_stats(struct log_dir *dir, struct log_dir_stats *out);

/* One round of what the threads do; for config.threads = false. Blocks.
 * flush: writes and flushes all that is queued, runs on_flushed. checkpoint:
 * flushes segments, writes the checkpoint files, recycles write-ahead files. */
ox_code log_dir_flush_step(struct log_dir *dir, struct ox_err *err);
ox_code log_dir_checkpoint_step(struct log_dir *dir, struct ox_err *err);
/* Unlinks files whose file.delete.delay.ms has passed; the checkpointer does
 * this too. Blocks. */
void log_dir_purge(struct log_dir *dir, int64_t now_ms);

/* ---- configuration of one log ---- */

enum log_compression { LOG_COMPRESSION_PRODUCER = -1 }; /* or an enum ox_codec */

/* What Kafka's topic configs say about one log, and `flush`. */
struct plog_config {
    int64_t segment_bytes, segment_ms, segment_jitter_ms;
    int32_t index_interval_bytes, segment_index_bytes;
    int64_t retention_ms, retention_bytes; /* -1: no limit */
    bool policy_delete, policy_compact;    /* cleanup.policy */
    int32_t max_decompressed_bytes;    /* of a record in a compressed batch; INT32_MAX: any */
    int32_t max_message_bytes;
    bool log_append_time; /* message.timestamp.type */
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    int compression; /* enum ox_codec, or LOG_COMPRESSION_PRODUCER */
    int gzip_level, lz4_level, zstd_level;
    bool flush_ack; /* flush=ack; false: flush=lazy */
    int64_t flush_messages, flush_ms;
    bool preallocate;
    int64_t file_delete_delay_ms;
    int64_t delete_retention_ms, min_compaction_lag_ms, max_compaction_lag_ms;
    double min_cleanable_dirty_ratio;
    int64_t producer_id_expiration_ms; /* of the node */
    int64_t inflated_max;              /* bytes a compressed batch may inflate to, 64 MiB */
};

/* Kafka's defaults, flush=ack. */
void plog_config_init(struct plog_config *config);

/* ---- one partition ---- */

struct plog_args {
    const char *topic;
    int32_t partition;
    struct uuid topic_id;
    struct plog_config config;
    /* May be NULL. Called without locks, on the flusher (or in
     * log_dir_flush_step), when the flushed end has moved; calls for one plog
     * do not overlap, and none runs once plog_close() has returned. */
    void (*on_flushed)(void *arg, int64_t flushed_end);
    void *arg;
    /* The caller opens many: the name of a new directory is durable when it has
     * called log_dir_flush_names(), before it lets anybody append. */
    bool name_later;
};

/* Opens or makes the partition, recovering it if the last stop was not clean.
 * A log with corrupt bytes opens, readable up to them, with plog_fault() set.
 * Blocks.
 * Fails: OX_INCONSISTENT_TOPIC_ID (the directory belongs to another topic of
 *        that name), OX_FILE_EXISTS (already open), I/O codes */
ox_code plog_open(struct log_dir *dir, const struct plog_args *args, struct plog **out,
    struct ox_err *err);
/* Before many are opened: what stays known of a partition for good gets its memory now,
 * beside that of the others and not amid what goes with its log. */
void log_dir_expect(struct log_dir *dir, const char *topic, int32_t partition);
/* What name_later put off. A failure puts the directory offline. Blocks. */
ox_code log_dir_flush_names(struct log_dir *dir, struct ox_err *err);
/* Flushes and closes. Do not hold a lock that on_flushed takes. Ranges and
 * cursors that are still out stay valid. Blocks. */
void plog_close(struct plog *plog);
/* Closes without writing anything, as a crash would. For tests. */
void plog_drop(struct plog *plog);
/* Renames the directory to `<topic>-<partition>.<uuid>-delete`, durably; the
 * files go after file.delete.delay.ms. Appends are refused from then on, reads
 * and cursors of those who still hold the plog go on; plog_close() then only
 * frees. The partition may be made anew at once. Blocks. */
ox_code plog_detach(struct plog *plog, struct ox_err *err);
bool plog_detached(struct plog *plog);
/* plog_close() of a detached plog by the directory's background thread (or the
 * next step, or log_dir_close). Takes plog. Any thread, does not block. */
void plog_close_later(struct plog *plog);
/* plog_detach and plog_close in one. Takes plog. Blocks. */
ox_code plog_delete(struct plog *plog, struct ox_err *err);
/* The same for a partition that is not open. Blocks. */
ox_code log_dir_delete_partition(struct log_dir *dir, const char *topic, int32_t partition,
    struct ox_err *err);
/* A directory that the metadata does not know is kept, but out of the way, as
 * `<topic>-<partition>.<uuid>-stray`. It is not open. Blocks. */
ox_code log_dir_set_stray(struct log_dir *dir, const char *topic, int32_t partition,
    struct ox_err *err);
/* The directory that was set aside becomes that of the partition, which is not open.
 * Fails: OX_OBJECT_IN_USE (the partition has one), I/O codes. Blocks. */
ox_code log_dir_take_back(struct log_dir *dir, const char *name, const char *topic,
    int32_t partition, struct ox_err *err);

void plog_set_config(struct plog *plog, const struct plog_config *config);
void plog_get_config(struct plog *plog, struct plog_config *out);

const struct uuid *plog_topic_id(const struct plog *plog);
/* The directory that has it now. */
struct log_dir *plog_log_dir(const struct plog *plog);
/* OX_OK, or why the log takes no appends (OX_DATA_CORRUPTED, OX_STORAGE_ERROR);
 * err says where. */
ox_code plog_fault(struct plog *plog, struct ox_err *err);

/* Single values: no lock, any thread. */
int64_t plog_log_start(const struct plog *plog);
int64_t plog_log_end(const struct plog *plog);
int64_t plog_flushed_end(const struct plog *plog);
int64_t plog_high_watermark(const struct plog *plog);
/* First offset of a transaction that is open, or ended by a marker that is not
 * below the high watermark; INT64_MAX if none. */
int64_t plog_first_unstable(const struct plog *plog);
/* min(high watermark, first unstable), but not below the log's start: records of an
 * open transaction may be deleted. */
int64_t plog_last_stable(const struct plog *plog);
/* Bytes of all segments. */
uint64_t plog_bytes(const struct plog *plog);

/* The owner tells how far the log is visible: bounds retention and the last
 * stable offset, and is written to the checkpoint. At open it is the
 * checkpointed one, or the log start. Lower or equal values are ignored unless
 * the log was truncated. */
void plog_set_high_watermark(struct plog *plog, int64_t offset);

/* ---- append ---- */

enum log_origin {
    LOG_FROM_CLIENT,      /* everything is checked */
    LOG_FROM_COORDINATOR, /* group and transaction records, markers: no timestamp and key checks */
    LOG_FROM_LEADER, /* replication: offsets and epochs are in the bytes, any number of batches */
};

enum log_append_flags {
    LOG_NO_ZSTD = 1,     /* Produce < 7: zstd is refused */
    LOG_FLUSH_SOON = 2,  /* somebody waits for the flush */
    LOG_TXN_VERIFIED = 4, /* in place of a guard, where no coordinator is asked (tests) */
};

/* One record of a refused batch. */
struct log_record_error {
    int32_t index;
    const char *message; /* static */
};

/* One batch on its way in. Zero it, fill the upper part. */
struct log_append {
    /* The raw records field: bytes of exactly one batch (LOG_FROM_LEADER: one
     * or more). Borrowed; the log may change the bytes in place, keeps its own
     * reference while it needs one, and the caller must not change them after.
     * records.buf NULL or len 0: null records, refused. */
    struct slice records;
    enum log_origin origin;
    int32_t leader_epoch;
    int64_t now_ms;
    uint32_t flags; /* enum log_append_flags */
    uint64_t txn_guard; /* of plog_txn_guard(), 0: none */
    /* Markers: the transaction protocol of who sends them. From 2 on the epoch
     * was raised for the marker, so that an equal one is a repetition. */
    int8_t txn_version;
    /* Lives until the answer is out: record errors. NULL: none are listed. */
    struct arena *arena;

    /* What came of it. On failure base_offset is -1. */
    int64_t base_offset, last_offset;
    int64_t append_time_ms; /* with LogAppendTime, else -1 */
    int64_t log_start;
    bool duplicate; /* seen before: base_offset is the original one */
    const struct log_record_error *record_errors;
    uint32_t record_error_count;

    /* Private to log/. */
    bool validated;
    struct record_batch batch;
    struct buf *own; /* of a rebuilt batch */
    struct slice bytes; /* what will be written */
};

/* The part of an append that needs no lock: framing, CRC, codec, every record
 * (kafka-fidelity order: see log/README.md). plog_append() does it if it was not
 * done. Any thread; large compressed batches take milliseconds.
 * Fails: OX_INVALID_RECORD, OX_INVALID_TIMESTAMP, OX_CORRUPT_MESSAGE,
 *        OX_MESSAGE_TOO_LARGE, OX_RECORD_LIST_TOO_LARGE,
 *        OX_UNSUPPORTED_COMPRESSION_TYPE */
ox_code plog_validate(struct plog *plog, struct log_append *append, struct ox_err *err);

/* Validates if need be, assigns offsets, writes. Does not wait for the disk to
 * flush: that is plog_flushed_end() > last_offset. After a failure nothing was
 * written and the same bytes may be tried again.
 * Fails: as validate; OX_OUT_OF_ORDER_SEQUENCE, OX_INVALID_PRODUCER_EPOCH,
 *        OX_INVALID_TXN_STATE, OX_TRANSACTION_COORDINATOR_FENCED, OX_DISK_FULL,
 *        OX_STORAGE_ERROR (directory offline), OX_DATA_CORRUPTED (faulty log) */
ox_code plog_append(struct plog *plog, struct log_append *append, struct ox_err *err);

/* As plog_append for several batches, in order, with one gathered write. codes
 * holds one code per append; errs too, or NULL. */
void plog_append_many(struct plog *plog, struct log_append **appends, size_t count,
    ox_code *codes, struct ox_err *errs);

/* Releases what a log_append that was validated, but never appended, holds. */
void log_append_drop(struct log_append *append);

/* Somebody waits: flush what is queued without lingering. Cheap, no waiting. */
void plog_flush_soon(struct plog *plog);
/* Flush the segments themselves up to the log end (flush.ms, tests). Blocks. */
ox_code plog_flush(struct plog *plog, struct ox_err *err);

/* ---- read ---- */

/* Whole batches, back to back, in a pinned file. The first may begin below the
 * offset asked for. seg NULL: empty. */
struct log_range {
    struct log_segment *seg;
    struct file *file; /* for fs_fd() and fs_pread() */
    uint64_t pos;
    size_t len;
    int64_t base_offset, next_offset; /* first offset in, first offset after */
    bool older; /* what was asked for goes on in a later segment */
};

/* Finds batches from the one that holds offset on, all below end_offset, at
 * most max_bytes; with min_one the first is given even when larger. Empty when
 * offset is at or above end_offset, or the first batch does not fit. Bytes that
 * this process neither wrote nor checked before have their CRC checked.
 * Fails: OX_OFFSET_OUT_OF_RANGE (below log start, above log end),
 *        OX_CORRUPT_MESSAGE, OX_STORAGE_ERROR, I/O codes */
ox_code plog_read(struct plog *plog, int64_t offset, int64_t end_offset, size_t max_bytes,
    bool min_one, struct log_range *out, struct ox_err *err);
void log_range_put(struct log_range *range); /* empty ranges are allowed */
/* The bytes of a range (simulated disks have no descriptor to send from). */
ox_code log_range_pread(const struct log_range *range, void *to, struct ox_err *err);

/* A reader of batches. Not shared between threads. */
struct log_cursor;

enum log_cursor_flags {
    LOG_CURSOR_HEADERS = 1, /* headers only: batch.ptr has 61 bytes, no CRC check */
    LOG_CURSOR_BACKWARD = 2,
};

/* Forward: starts at the batch that holds `from` and ends before `to`.
 * Backward: starts at the last batch with an offset below `to`, ends with the
 * one that holds `from`. from is raised to the log start. Batches at either end
 * may hold offsets outside of [from, to): the caller skips those records. */
ox_code log_cursor_open(struct plog *plog, int64_t from, int64_t to, int flags,
    struct log_cursor **out, struct ox_err *err);
/* The next batch; false in *more at the end. batch->ptr is valid until the next
 * call. Retention may overtake a slow cursor: OX_OFFSET_OUT_OF_RANGE.
 * Blocks on a cold page cache only. */
ox_code log_cursor_next(struct log_cursor *cursor, struct record_batch *batch, bool *more,
    struct ox_err *err);
/* Extends the end of a forward cursor that follows a log. */
void log_cursor_extend(struct log_cursor *cursor, int64_t to);
void log_cursor_close(struct log_cursor *cursor); /* NULL is allowed */

/* ---- offsets by time and by epoch ---- */

struct log_timed_offset {
    int64_t offset, timestamp; /* -1, -1: none */
    int32_t leader_epoch;      /* -1: not known */
};
/* First record with a timestamp >= timestamp and an offset below end_offset. */
ox_code plog_offset_by_time(struct plog *plog, int64_t timestamp, int64_t end_offset,
    struct log_timed_offset *out, struct ox_err *err);
/* First record with the largest timestamp. */
ox_code plog_offset_of_max_time(struct plog *plog, struct log_timed_offset *out,
    struct ox_err *err);

/* Epoch of the batch at offset, from the epoch list; -1 if not known. */
int32_t plog_epoch_of(struct plog *plog, int64_t offset);
/* Latest epoch in the log, -1 if there is none. */
int32_t plog_latest_epoch(struct plog *plog);
/* OffsetForLeaderEpoch: the largest epoch <= asked and where it ends. -1, -1
 * when nothing is known or asked is above the leader's current epoch. */
void plog_epoch_end(struct plog *plog, int32_t asked, int32_t current_leader_epoch,
    int32_t *epoch, int64_t *end_offset);
/* A leader starts its epoch at the log end. Blocks. */
ox_code plog_begin_epoch(struct plog *plog, int32_t leader_epoch, struct ox_err *err);

/* ---- shortening ---- */

/* Retention by time, size and log start, rolling included. *freed: bytes.
 * Blocks. */
ox_code plog_retain(struct plog *plog, int64_t now_ms, uint64_t *freed, struct ox_err *err);
/* Moves the log start up to offset (-1: the high watermark); it must not pass
 * the high watermark (OX_OFFSET_OUT_OF_RANGE). *log_start: where it is now, also
 * after a crash. Blocks. */
ox_code plog_delete_records(struct plog *plog, int64_t offset, int64_t *log_start,
    struct ox_err *err);
/* Moves the log start as the leader or the metadata says, also past the log end: then it
 * blocks, and the log begins anew there. */
ox_code plog_advance_log_start(struct plog *plog, int64_t offset, struct ox_err *err);
/* Removes everything at and above offset (whole batches: the batch that holds
 * offset goes too). Blocks. */
ox_code plog_truncate(struct plog *plog, int64_t offset, struct ox_err *err);
/* Closes the active segment and begins the next (tests, compaction). Blocks. */
ox_code plog_roll(struct plog *plog, struct ox_err *err);

/* ---- facts for views ---- */

struct log_segment_facts {
    int64_t base_offset, next_offset;
    uint64_t bytes;
    int64_t max_timestamp; /* -1: none */
    int64_t first_timestamp;
    bool active;
};
/* Oldest first, in the arena. */
ox_code plog_segments(struct plog *plog, struct arena *arena, struct log_segment_facts **out,
    size_t *count, struct ox_err *err);

struct log_producer_facts {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t last_sequence;      /* -1 */
    int64_t last_timestamp;     /* -1 */
    int32_t coordinator_epoch;  /* -1 */
    int64_t txn_start_offset;   /* -1: no open transaction */
};
void plog_producers(struct plog *plog, struct arena *arena, struct log_producer_facts **out,
    size_t *count);
/* Whether the producer has an open transaction here (its later batches need no
 * new verification). */
bool plog_txn_open(struct plog *plog, int64_t producer_id);
/* Before the first batch of a transaction is appended, its coordinator must say
 * that the partition belongs to the transaction. The guard is taken before
 * asking and given with the append: a marker that was written in between makes
 * it void, so that nothing opens a transaction that has ended. *guard 0: the
 * transaction is open here, nobody need be asked. sequence: the batch's first;
 * raised: the producer's epoch rises with each transaction (protocol 2).
 * Fails: OX_INVALID_PRODUCER_EPOCH: a later epoch was seen here. */
ox_code plog_txn_guard(struct plog *plog, int64_t producer_id, int16_t producer_epoch,
    int32_t sequence, bool raised, uint64_t *guard);
/* The coordinator does not know of such a transaction: forget the guard. */
void plog_txn_unguard(struct plog *plog, int64_t producer_id, uint64_t guard);
/* Forgets producers that have been silent for age_ms: producer.id.expiration.ms as it is
 * now, which may differ from that of the log's configuration. */
void plog_expire_producers(struct plog *plog, int64_t now_ms, int64_t age_ms);

/* An aborted transaction; from the index. */
struct log_aborted_txn {
    int64_t producer_id;
    int64_t first_offset, last_offset;
    int64_t last_stable; /* when its marker was written */
};
/* Those that touch [from, to), by first offset, in the arena. */
ox_code plog_aborted_txns(struct plog *plog, int64_t from, int64_t to, struct arena *arena,
    struct log_aborted_txn **out, size_t *count, struct ox_err *err);

/* ---- several directories ---- */

/* Copies the log to another directory while it is used, and goes on there; the
 * old files are deleted as those of a dropped partition. go_on is asked for about
 * each MiB; false gives up. After a failure the log is where it was, and what was
 * copied stays: the next call for this directory goes on there, also after a restart.
 * Blocks, for long.
 * Fails: OX_OBJECT_IN_USE (it is being moved or compacted: try again),
 *        OX_CANCELED (go_on, or the log was closed or truncated meanwhile),
 *        OX_STORAGE_ERROR (the other directory is offline), I/O codes */
ox_code plog_move(struct plog *plog, struct log_dir *to, bool (*go_on)(void *arg), void *arg,
    struct ox_err *err);
/* Makes the directory that says that the log shall move, if there is none. Not while
 * this log is being moved there. Blocks. */
ox_code plog_move_prepare(struct plog *plog, struct log_dir *to, struct ox_err *err);
/* Removes it with what was copied. As above. */
ox_code plog_move_forget(struct plog *plog, struct log_dir *to, struct ox_err *err);
/* What else there is of partitions: moves to this directory that were asked for and not
 * done, or what was set aside. `topic` of an entry is the name of the directory. Blocks. */
enum log_aside { LOG_FUTURE, LOG_STRAY };
ox_code log_dir_list_aside(struct log_dir *dir, enum log_aside what, struct arena *arena,
    struct log_dir_entry **out, size_t *count, struct ox_err *err);
/* Removes a move. Blocks. */
ox_code log_dir_remove_future(struct log_dir *dir, const char *name, struct ox_err *err);
/* The directory to which a move is at work (NULL: none), the bytes copied and the
 * offset reached. */
struct log_dir *plog_moving(struct plog *plog, uint64_t *bytes, int64_t *end_offset);
/* Whether the directory has the partition of this topic; *made_ms: since when. */
bool log_dir_has(struct log_dir *dir, const char *topic, int32_t partition,
    const struct uuid *topic_id, int64_t *made_ms);
/* Partitions that are open, without asking the file system. */
uint32_t log_dir_plog_count(struct log_dir *dir);
bool log_dir_is_offline(struct log_dir *dir);

/* ---- compaction ---- */

struct log_cleaner; /* the threads that compact the logs of some directories */

struct log_cleaner_config {
    bool enabled;
    int threads;             /* 1 to LOG_CLEANER_THREADS_MAX */
    uint64_t buffer_bytes;   /* of all threads: a key takes 24 bytes */
    uint64_t io_buffer_bytes; /* of all threads */
    double io_bytes_per_second; /* read and written, by all threads */
    int64_t backoff_ms;      /* between looks at logs of which none is dirty */
};

enum { LOG_CLEANER_THREADS_MAX = 16 };

/* Compacts logs with cleanup.policy=compact when they are dirty enough or old
 * enough, the dirtiest first. dirs is borrowed until log_cleaner_stop(). */
struct log_cleaner *log_cleaner_start(const struct log_cleaner_config *config,
    const struct env *env, struct log_dir *const *dirs, size_t dir_count);
/* Obeyed from the next buffer on. */
void log_cleaner_configure(struct log_cleaner *cleaner, const struct log_cleaner_config *config);
/* Interrupts passes; they leave the logs as they were. Before the directories
 * are closed. Blocks. */
void log_cleaner_stop(struct log_cleaner *cleaner);
void log_cleaner_free(struct log_cleaner *cleaner);
/* Runs one pass over the dirtiest log, if one wants it; for config.threads =
 * false. *worked: there was one. Blocks. */
ox_code log_dir_clean_step(struct log_dir *dir, uint64_t buffer_bytes, int64_t now_ms,
    bool *worked, struct ox_err *err);

struct log_cleaner_stats {
    uint64_t passes, failures;
    uint64_t bytes_read, bytes_written, records_read, records_removed;
    uint64_t throttled_ms;
    uint32_t running; /* passes at work */
};
void log_cleaner_stats(struct log_cleaner *cleaner, struct log_cleaner_stats *out);

enum log_compaction_phase { LOG_COMPACT_IDLE, LOG_COMPACT_MAP, LOG_COMPACT_COPY };

struct log_compaction_facts {
    bool compacted;   /* cleanup.policy has compact */
    bool uncleanable; /* a pass found damage: not tried again until it is opened */
    enum log_compaction_phase phase;
    uint64_t bytes_done, bytes_total; /* of the pass that runs */
    int64_t cleaned;                  /* compacted below, -1 never */
    int64_t first_dirty, limit;       /* what the next pass looks at */
    uint64_t clean_bytes, dirty_bytes;
    double dirty_ratio;
    uint64_t passes, bytes_read, bytes_written, records_read, records_removed;
    int64_t last_start_ms, last_end_ms; /* 0: never */
};
void plog_compaction(struct plog *plog, int64_t now_ms, struct log_compaction_facts *out);

/* ---- offline ---- */

/* Verdict over a partition directory that nobody has open; nothing is changed.
 * Prints one line per finding through say(). */
struct log_verify_result {
    uint64_t batches, records, bytes;
    uint64_t problems;
};
ox_code log_verify_partition(const struct env *env, const char *path,
    void (*say)(void *arg, const char *line), void *arg, struct log_verify_result *out,
    struct ox_err *err);

#endif
