/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that are full, that fail, that lie. */
#include "log_helper.h"

static int offline_calls;

static void
on_offline(void *arg, const struct ox_err *why)
{
    offline_calls++;
}

static void
fresh(void)
{
    if (sim != NULL)
        file_sim_free(sim);
    help_init();
    dir_config.on_offline = on_offline;
    offline_calls = 0;
}

static void
test_disk_full(void)
{
    fresh();
    ok(help_open("full") == OX_OK, "a log opens");
    for (int i = 0; i < 20; i++)
        help_append(5, "a value that takes some room");
    log_dir_flush_step(dir, &err);
    file_sim_set_usable(sim, 100);
    int64_t end = plog_log_end(plog);
    is_int(help_append(5, "a value that does not fit any more, by far"), OX_DISK_FULL,
        "a batch that does not fit is refused");
    ok(ox_code_facts(OX_DISK_FULL)->retry, "with an error that may be retried");
    is_int(plog_log_end(plog), end, "nothing was appended");
    is_int(help_count(), end, "what was there is readable");
    file_sim_set_usable(sim, UINT64_MAX);
    is_int(help_append(5, "a value that fits"), OX_OK, "appends go on when space returns");
    is_int(help_count(), end + 5, "nothing is lost and nothing is torn");
    dir_config.reserve_bytes = 1000;
    help_close();
    file_sim_set_usable(sim, 900);
    ok(help_open("full") == OX_OK, "it opens on a full disk");
    is_int(help_append(1, "v"), OX_DISK_FULL, "the reserve is not touched");
    struct log_dir_stats stats;
    log_dir_stats(dir, &stats);
    ok(stats.full, "the directory says that it is full");
    uint64_t freed;
    config.retention_bytes = 0;
    plog_set_config(plog, &config);
    plog_set_high_watermark(plog, plog_log_end(plog));
    is_int(plog_retain(plog, wall, &freed, &err), OX_OK, "retention works on a full disk");
    ok(freed > 0, "and frees space");
    log_dir_purge(dir, INT64_MAX);
    is_int(help_append(1, "v"), OX_OK, "so that appends go on");
    help_close();
}

static void
test_fsync_error(const char *site, bool direct)
{
    fresh();
    if (direct)
        dir_config.direct_bytes_min = 0;
    help_open("sync");
    help_append(3, "one");
    log_dir_flush_step(dir, &err);
    is_int(plog_flushed_end(plog), 3, "the first records are flushed");
    help_append(3, "two");
    file_sim_fail(sim, site, 1, false, OX_IO_ERROR);
    ok(log_dir_flush_step(dir, &err) != OX_OK, "a flush fails");
    is_int(plog_flushed_end(plog), 3, "nothing new counts as flushed");
    is_int(offline_calls, 1, "the owner is told once");
    is_int(help_append(1, "x"), OX_STORAGE_ERROR, "appends are refused");
    ok(log_dir_flush_step(dir, &err) != OX_OK, "a later flush does not heal it");
    is_int(plog_flushed_end(plog), 3, "and acknowledges nothing");
    is_int(plog_fault(plog, &err), OX_STORAGE_ERROR, "the log says so");
    help_kill();
    file_sim_fail_clear(sim);
    file_sim_restart(sim);
    ok(help_open("sync") == OX_OK, "it opens after a power cut");
    ok(plog_log_end(plog) >= 3, "with what was flushed");
    help_close();
}

/* After a clean stop nothing is scanned: who reads it meets the damage. */
static void
test_corruption_at_rest(void)
{
    struct log_range range;
    fresh();
    help_open("bad");
    for (int i = 0; i < 10; i++)
        help_append(2, "some value");
    help_close();
    ok(file_sim_corrupt(sim, "/data/bad-0/00000000000000000000.log", 75) == OX_OK,
        "a bit of a batch flips");
    ok(help_open("bad") == OX_OK, "the log opens");
    is_int(help_count(), -1, "a cursor meets the bad batch");
    is_int(err.code, OX_CORRUPT_MESSAGE, "as a corrupt one");
    is_int(plog_read(plog, 0, 20, 1 << 20, true, &range, &err), OX_CORRUPT_MESSAGE,
        "Fetch is not given it either");
    help_kill();
}

/* Damage below what was flushed is no torn tail. */
static void
test_corruption_met_by_recovery(void)
{
    struct file_stat st;
    fresh();
    config.flush_ack = false;
    help_open("bad");
    for (int i = 0; i < 10; i++)
        help_append(2, "some value");
    log_dir_checkpoint_step(dir, &err);
    help_append(2, "some value");
    help_kill();
    fs_stat(env.fs, "/data/bad-0/00000000000000000000.log", &st, &err);
    uint64_t size = st.size;
    file_sim_corrupt(sim, "/data/bad-0/00000000000000000000.log", 500);
    ok(help_open("bad") == OX_OK, "a log with a damaged batch below the recovery point opens");
    is_int(plog_fault(plog, &err), OX_DATA_CORRUPTED, "and is faulty");
    ok(plog_log_end(plog) < 20 && help_count() == plog_log_end(plog), "readable up to it");
    is_int(help_append(2, "more"), OX_DATA_CORRUPTED, "appends are refused");
    help_close();
    fs_stat(env.fs, "/data/bad-0/00000000000000000000.log", &st, &err);
    is_int(st.size, size, "its bytes are kept");
    help_open("bad");
    is_int(plog_fault(plog, &err), OX_DATA_CORRUPTED, "it is faulty after a restart, too");
    help_close();
    fs_stat(env.fs, "/data/bad-0/00000000000000000000.log", &st, &err);
    is_int(st.size, size, "its bytes are still kept");
}

static void
test_corruption_above_recovery_point(void)
{
    fresh();
    help_open("bad");
    for (int i = 0; i < 10; i++)
        help_append(2, "some value");
    /* Flushed by the segment itself, known to the write-ahead log by a note. */
    dir_config.direct_bytes_min = 0;
    log_dir_flush_step(dir, &err);
    help_append(2, "after");
    log_dir_flush_step(dir, &err);
    help_kill();
    file_sim_corrupt(sim, "/data/bad-0/00000000000000000000.log", 300);
    ok(help_open("bad") == OX_OK, "a log with a damaged batch opens");
    is_int(plog_fault(plog, &err), OX_OK, "the write-ahead log restores the batch");
    is_int(help_count(), 22, "all is readable");
    help_close();
}

static void
test_torn_tail(void)
{
    struct file *file;
    uint64_t size;
    fresh();
    help_open("torn");
    for (int i = 0; i < 10; i++)
        help_append(2, "some value");
    log_dir_flush_step(dir, &err);
    help_kill();
    fs_open(env.fs, "test", "/data/torn-0/00000000000000000000.log", FILE_READ | FILE_WRITE, &file,
        &err);
    fs_size(env.fs, file, &size, &err);
    file_pwrite(env.fs, "test", file, "half of a batch that was never flushed", 38, size, &err);
    fs_close(env.fs, file);
    ok(help_open("torn") == OX_OK, "a log with a torn tail opens");
    is_int(plog_fault(plog, &err), OX_OK, "and is fine");
    is_int(plog_log_end(plog), 20, "the tail is cut off");
    is_int(help_append(2, "more"), OX_OK, "appends go on");
    is_int(help_count(), 22, "all is readable");
    help_close();
}

static void
test_bad_derived_files(void)
{
    static const char *const names[] = {"00000000000000000000.index",
        "00000000000000000000.timeindex", "leader-epoch-checkpoint"};
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        struct file *file;
        struct log_timed_offset timed;
        fresh();
        config.index_interval_bytes = 100;
        config.segment_bytes = 2000;
        help_open("d");
        for (int k = 0; k < 40; k++, wall += 10)
            help_append(3, "some value");
        help_close();
        snprintf(path, sizeof(path), "/data/d-0/%s", names[i]);
        fs_open(env.fs, "test", path, FILE_WRITE | FILE_TRUNCATE, &file, &err);
        file_pwrite(env.fs, "test", file, "garbage", 7, 0, &err);
        fs_close(env.fs, file);
        ok(help_open("d") == OX_OK, names[i]);
        is_int(plog_log_end(plog), 120, "a bad derived file does not shorten the log");
        is_int(help_count(), 120, "all is readable");
        is_int(plog_latest_epoch(plog), 1, "the epoch is known");
        plog_offset_by_time(plog, wall - 200, 120, &timed, &err);
        is_int(timed.offset, 60, "times are found");
        help_close();
        wall = 1000000;
    }
}

static void
test_identity(void)
{
    fresh();
    help_open("id");
    help_close();
    dir_config.cluster_id = "another";
    struct log_dir *other;
    is_int(log_dir_open(&dir_config, &env, &other, &err), OX_IDENTITY_MISMATCH,
        "a directory of another cluster is refused");
    dir_config.cluster_id = "unit";
    dir_config.node_id = 2;
    is_int(log_dir_open(&dir_config, &env, &other, &err), OX_IDENTITY_MISMATCH,
        "a directory of another node is refused");
    dir_config.node_id = 1;
    help_open("id");
    is_int(log_dir_open(&dir_config, &env, &other, &err), OX_LOCK_HELD,
        "a directory in use is refused");
    struct plog *second;
    struct plog_args args = {.topic = "id", .config = config};
    is_int(plog_open(dir, &args, &second, &err), OX_FILE_EXISTS, "a log opens once");
    plog_close(plog);
    is_int(plog_open(dir, &args, &second, &err), OX_INCONSISTENT_TOPIC_ID,
        "a directory of another topic id is refused");
    log_dir_close(dir);
    dir = NULL;
}

/* An offset that the empty segment cannot hold wants another one: where that is
 * not to be had, the log is as it was, in memory and on the disk. */
static void
test_segment_not_replaced(const char *site, bool preallocate)
{
    const struct record_builder_config with = RECORD_BUILDER_PLAIN;
    struct file_stat st;
    fresh();
    config.preallocate = preallocate;
    config.segment_bytes = 1 << 16;
    help_open("far");
    int64_t far = (int64_t)INT32_MAX + 10;
    for (int round = 0; round < 2; round++) {
        struct log_append append = {.origin = LOG_FROM_LEADER};
        struct slice batch = help_batch(&with, 1, wall, "far away");
        record_batch_stamp(ox_slice_ptr(&batch), far, 1);
        file_sim_fail_clear(sim);
        if (round == 0)
            file_sim_fail(sim, site, 1, false, OX_IO_ERROR);
        is_int(help_send(batch, &append), round == 0 ? OX_IO_ERROR : OX_OK, site);
        is_int(plog_log_end(plog), round == 0 ? 0 : far + 1, "the end of the log");
        is_int(fs_stat(env.fs, "/data/far-0/00000000000000000000.log", &st, &err),
            round == 0 ? OX_OK : OX_FILE_NOT_FOUND, "the empty segment");
        is_int(fs_stat(env.fs, "/data/far-0/00000000002147483657.log", &st, &err),
            round == 0 ? OX_FILE_NOT_FOUND : OX_OK, "the new one");
    }
    log_dir_flush_step(dir, &err);
    help_kill();
    ok(help_open("far") == OX_OK, "it opens after a kill");
    is_int(plog_log_end(plog), far + 1, "with its record");
    is_int(plog_fault(plog, &err), OX_OK, "and no fault");
    help_close();
    config.preallocate = false;
}

/* What a write-ahead file says of the end of the one before it. */
static uint32_t
wal_previous_end(const char *name)
{
    struct arena arena;
    char *bytes;
    size_t len;
    uint32_t end = 0;
    ox_arena_init(&arena);
    if (file_read_all(env.fs, name, 8 << 20, &arena, &bytes, &len, &err) == OX_OK && len >= 40)
        end = (uint32_t)wire_load32((const uint8_t *)bytes + 36);
    ox_arena_fini(&arena);
    return end;
}

/* The note that a segment was flushed may get lost: its file ends before it. */
static void
test_lost_note(void)
{
    static char large[4000];
    struct log_dir_stats stats;
    memset(large, 'x', sizeof(large) - 1);
    fresh();
    dir_config.direct_bytes_min = 2000;
    help_open("note");
    help_append(1, "small, for the write-ahead log");
    is_int(log_dir_flush_step(dir, &err), OX_OK, "a small batch is flushed");
    log_dir_stats(dir, &stats);
    uint32_t end = 512 + (uint32_t)stats.wal_bytes;
    help_append(1, large);
    file_sim_fail(sim, "wal.append", 1, false, OX_DISK_FULL);
    is_int(log_dir_flush_step(dir, &err), OX_OK, "a large one where it lies, without a note");
    file_sim_fail_clear(sim);
    help_append(1, "small");
    is_int(log_dir_flush_step(dir, &err), OX_OK, "a small one in another file");
    is_int(wal_previous_end("/data/oxbow-wal-00000002"), end, "which knows where the first ends");
    help_kill();
    file_sim_restart(sim);
    help_open("note");
    is_int(help_count(), 3, "all are there after a power cut");
    help_close();
}

static int
count_spares(void)
{
    struct arena arena;
    struct file_name *names;
    size_t count;
    int spares = 0;
    ox_arena_init(&arena);
    if (fs_list(env.fs, "/data", &arena, &names, &count, &err) == OX_OK)
        for (size_t i = 0; i < count; i++)
            spares += strstr(names[i].name, "spare-") != NULL;
    ox_arena_fini(&arena);
    return spares;
}

/* A file that was left while it was short would have to be left again. */
static void
test_short_spare(void)
{
    fresh();
    dir_config.wal_file_bytes = 4 << 20;
    help_open("short");
    help_append(1, "in a file that grows");
    log_dir_flush_step(dir, &err);
    log_dir_checkpoint_step(dir, &err);
    is_int(count_spares(), 1, "a file is prepared");
    help_append(1, "in the prepared one");
    log_dir_flush_step(dir, &err);
    is_int(count_spares(), 0, "it is used at once");
    is_int(wal_previous_end("/data/oxbow-wal-00000002") > 512, 1, "after the other");
    help_append(1, "more");
    log_dir_flush_step(dir, &err);
    log_dir_checkpoint_step(dir, &err);
    struct file_stat st;
    uint64_t size = fs_stat(env.fs, "/data/oxbow-wal-spare-00000001", &st, &err) == OX_OK ? st.size : 0;
    is_int((int64_t)size, 0, "the short one is not kept");
    is_int(count_spares(), 1, "but another prepared");
    help_close();
}

int
main(void)
{
    ox_diag_set_level(OX_DIAG_ERROR + 1); /* nothing: failures are the point */
    test_disk_full();
    test_fsync_error("wal.sync", false);
    test_fsync_error("log.sync", true);
    test_corruption_at_rest();
    test_corruption_met_by_recovery();
    test_corruption_above_recovery_point();
    test_torn_tail();
    test_bad_derived_files();
    test_identity();
    test_segment_not_replaced("segment.create", false);
    test_segment_not_replaced("segment.allocate", true);
    test_segment_not_replaced("segment.unlink", false);
    test_lost_note();
    test_short_spare();
    file_sim_free(sim);
    return done();
}
