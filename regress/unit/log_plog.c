/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/file.h"
#include "log/log.h"
#include "tap.h"

static char path[64];
static struct log_dir *dir;
static struct plog *plog;
static struct plog_config config;
static struct ox_err err;
static int64_t flushed_seen;

static void
on_flushed(void *arg, int64_t end)
{
    flushed_seen = end;
}

static void
open_dir(void)
{
    struct log_dir_config dc;
    log_dir_config_init(&dc);
    dc.path = path;
    dc.cluster_id = "unit";
    dc.node_id = 1;
    dc.threads = false;
    dc.wal_file_bytes = 1 << 20;
    ox_code rc = log_dir_open(&dc, env_os(), &dir, &err);
    if (rc != OX_OK)
        printf("# %s\n", err.message);
    ok(rc == OX_OK, "the directory opens");
}

static void
open_plog(const char *topic)
{
    struct plog_args args = {.topic = topic, .partition = 0, .config = config,
        .on_flushed = on_flushed};
    memset(args.topic_id.bytes, 7, 16);
    ox_code rc = plog_open(dir, &args, &plog, &err);
    if (rc != OX_OK)
        printf("# %s\n", err.message);
    ok(rc == OX_OK, "the log opens");
}

static struct slice
make_batch(int count, int64_t time, const char *value, int64_t pid, int32_t seq)
{
    struct record_builder b;
    struct slice out;
    struct record_builder_config c = RECORD_BUILDER_PLAIN;
    c.producer_id = pid;
    c.producer_epoch = pid >= 0 ? 0 : -1;
    c.base_sequence = seq;
    record_builder_init(&b);
    record_builder_begin(&b, &c);
    for (int i = 0; i < count; i++)
        record_builder_add(&b, time + i, OX_STR("k"), ox_str(value), NULL, 0);
    if (record_builder_finish(&b, &out, &err) != OX_OK)
        abort();
    record_builder_fini(&b);
    return out;
}

static ox_code
append_seq(int count, int64_t time, const char *value, int64_t pid, int32_t seq,
    struct log_append *a)
{
    struct slice s = make_batch(count, time, value, pid, seq);
    *a = (struct log_append){.records = s, .leader_epoch = 3, .now_ms = time,
        .flags = LOG_FLUSH_SOON};
    ox_code rc = plog_append(plog, a, &err);
    ox_buf_put(s.buf);
    return rc;
}

static ox_code
append(int count, int64_t time, const char *value)
{
    struct log_append a;
    return append_seq(count, time, value, -1, -1, &a);
}

static int
count_records(int flags)
{
    struct log_cursor *c;
    struct record_batch b;
    bool more;
    int n = 0;
    if (log_cursor_open(plog, 0, INT64_MAX, flags, &c, &err) != OX_OK)
        return -1;
    while (log_cursor_next(c, &b, &more, &err) == OX_OK && more)
        n += b.count;
    log_cursor_close(c);
    return n;
}

static void
test_append_read(void)
{
    open_dir();
    open_plog("t");
    for (int i = 0; i < 300; i++)
        if (append(10, 1000 + i * 10, "some value of a record") != OX_OK)
            printf("# %s\n", err.message);
    is_int(plog_log_end(plog), 3000, "3000 records are in the log");
    is_int(plog_flushed_end(plog), 0, "none are flushed yet");
    ok(log_dir_flush_step(dir, &err) == OX_OK, "flushes");
    is_int(plog_flushed_end(plog), 3000, "all are flushed");
    is_int(flushed_seen, 3000, "the owner was told");
    is_int(count_records(0), 3000, "a cursor sees all");
    is_int(count_records(LOG_CURSOR_HEADERS), 3000, "a header cursor sees all");
    is_int(count_records(LOG_CURSOR_BACKWARD), 3000, "a backward cursor sees all");
    struct log_range range;
    int64_t at = 0;
    int n = 0;
    while (at < 3000 && plog_read(plog, at, 3000, 5000, true, &range, &err) == OX_OK &&
           range.seg != NULL) {
        if (range.base_offset != at)
            break;
        at = range.next_offset;
        log_range_put(&range);
        n++;
    }
    is_int(at, 3000, "ranges cover the log");
    ok(n > 10, "in pieces of the size asked for");
    ok(plog_read(plog, 1005, 1500, 100000, true, &range, &err) == OX_OK && range.seg != NULL,
        "a read in the middle");
    is_int(range.base_offset, 1000, "begins at the batch that holds the offset");
    is_int(range.next_offset, 1500, "ends at the bound");
    log_range_put(&range);
    ok(plog_read(plog, 3000, 3000, 1000, true, &range, &err) == OX_OK && range.seg == NULL,
        "a read at the end is empty");
    is_int(plog_read(plog, 3001, 4000, 1000, true, &range, &err), OX_OFFSET_OUT_OF_RANGE,
        "a read above the end is refused");
    struct log_timed_offset timed;
    ok(plog_offset_by_time(plog, 2003, 3000, &timed, &err) == OX_OK, "finds by time");
    is_int(timed.offset, 1003, "the first record at that time");
    is_int(timed.timestamp, 2003, "with its own time");
    plog_offset_of_max_time(plog, &timed, &err);
    is_int(timed.offset, 2999, "the record with the largest time");
    plog_close(plog);
    log_dir_close(dir);
}

static void
test_reopen(void)
{
    open_dir();
    open_plog("t");
    is_int(plog_log_end(plog), 3000, "all is there after a clean stop");
    is_int(plog_latest_epoch(plog), 3, "so is the epoch");
    is_int(count_records(0), 3000, "a cursor sees all");
    is_int(count_records(LOG_CURSOR_BACKWARD), 3000, "backward too");
    append(1, 9000, "x");
    plog_drop(plog);
    log_dir_abandon(dir);
    open_dir();
    open_plog("t");
    is_int(plog_log_end(plog), 3001, "all is there after a kill");
    is_int(count_records(0), 3001, "a cursor sees all");
    ok(plog_truncate(plog, 1005, &err) == OX_OK, "truncates");
    is_int(plog_log_end(plog), 1000, "to the batch that holds the offset");
    is_int(count_records(0), 1000, "the rest is readable");
    ok(append(5, 9000, "y") == OX_OK, "appends go on");
    is_int(count_records(0), 1005, "and are readable");
    plog_close(plog);
    log_dir_close(dir);
}

/* Whether the records at offset lie in another segment than the last ones. */
static bool
in_older(int64_t offset)
{
    struct log_range range;
    if (plog_read(plog, offset, plog_log_end(plog), 100, true, &range, &err) != OX_OK ||
        range.seg == NULL)
        abort();
    bool older = range.older;
    log_range_put(&range);
    return older;
}

static void
test_roll_retain(void)
{
    config.segment_bytes = 10000;
    config.retention_bytes = 30000;
    open_dir();
    open_plog("r");
    for (int i = 0; i < 500; i++)
        append(10, 1000 + i * 10, "some value of a record");
    struct arena arena;
    ox_arena_init(&arena);
    struct log_segment_facts *segs;
    size_t n;
    plog_segments(plog, &arena, &segs, &n, &err);
    ok(n > 10, "many segments");
    ok(in_older(0) && in_older(2500) && !in_older(4990), "a range of an older one says so");
    plog_set_high_watermark(plog, plog_log_end(plog));
    uint64_t freed;
    ok(plog_retain(plog, 10000, &freed, &err) == OX_OK, "retention runs");
    ok(plog_bytes(plog) < 50000 && plog_log_start(plog) > 0, "and makes it smaller");
    is_int(count_records(0), 5000 - plog_log_start(plog), "the rest is readable");
    int64_t start;
    ok(plog_delete_records(plog, 4995, &start, &err) == OX_OK && start == 4995,
        "records are deleted");
    is_int(plog_delete_records(plog, 5001, &start, &err), OX_OFFSET_OUT_OF_RANGE,
        "not above the high watermark");
    is_int(count_records(0), 10, "one batch is left");
    log_dir_checkpoint_step(dir, &err);
    plog_drop(plog);
    log_dir_abandon(dir);
    open_dir();
    open_plog("r");
    is_int(plog_log_start(plog), 4995, "the log start survives");
    is_int(plog_log_end(plog), 5000, "and the end");
    is_int(plog_high_watermark(plog), 5000, "and the high watermark");
    ok(plog_delete(plog, &err) == OX_OK, "the log is deleted");
    log_dir_purge(dir, INT64_MAX);
    log_dir_close(dir);
    ox_arena_fini(&arena);
}

static void
test_idempotence(void)
{
    struct log_append a;
    plog_config_init(&config);
    config.producer_id_expiration_ms = INT64_MAX;
    config.timestamp_before_max_ms = INT64_MAX;
    open_dir();
    open_plog("i");
    is_int(append_seq(3, 1, "v", 5, 7, &a), OX_OK, "an unknown producer may begin anywhere");
    is_int(append_seq(3, 1, "v", 5, 7, &a), OX_OK, "a repeated batch is fine");
    ok(a.duplicate && a.base_offset == 0 && a.last_offset == 2, "and has its first offset");
    is_int(append_seq(3, 1, "v", 5, 11, &a), OX_OUT_OF_ORDER_SEQUENCE, "a gap is refused");
    is_int(append_seq(3, 1, "v", 5, 10, &a), OX_OK, "the next sequence is accepted");
    is_int(a.base_offset, 3, "at the next offset");
    plog_close(plog);
    open_plog("i");
    is_int(append_seq(3, 1, "v", 5, 10, &a), OX_OK, "a repeated batch is known after a restart");
    ok(a.duplicate && a.base_offset == 3, "with its first offset");
    plog_close(plog);
    log_dir_close(dir);
}

/* Whether the file of a segment is as long as `len` and takes little more of the disk. */
static bool
file_is(int64_t base, uint64_t len, uint64_t spare)
{
    char name[128];
    struct stat st;
    snprintf(name, sizeof(name), "%s/a-0/%020lld.log", path, (long long)base);
    if (stat(name, &st) != 0)
        return false;
    printf("# %lld bytes in %lld of disk\n", (long long)st.st_size, (long long)st.st_blocks * 512);
    return (uint64_t)st.st_size == len && (uint64_t)st.st_blocks * 512 <= len + spare;
}

/* Blocks are asked for ahead of a segment's end. */
static void
test_ahead(void)
{
    enum { VALUE = 60000, SLACK = 1 << 17 };
    static char value[VALUE + 1];
    plog_config_init(&config);
    config.timestamp_after_max_ms = config.timestamp_before_max_ms = INT64_MAX;
    memset(value, 'v', VALUE);
    open_dir();
    open_plog("a");
    bool all = true;
    for (int i = 0; i < 12; i++)
        all &= append(10, 1000 + i, value) == OX_OK;
    uint64_t bytes = plog_bytes(plog);
    ok(all && log_dir_flush_step(dir, &err) == OX_OK, "a large segment is written and flushed");
    ok(file_is(0, bytes, bytes / 4 + SLACK), "its file ends where its records do");
    ok(plog_roll(plog, &err) == OX_OK && file_is(0, bytes, SLACK),
        "a roll gives back what was asked for ahead");
    for (int i = 0; i < 12; i++)
        all &= append(10, 2000 + i, value) == OX_OK;
    ok(all && plog_truncate(plog, 200, &err) == OX_OK && append(10, 3000, value) == OX_OK,
        "a log that is cut goes on");
    is_int(count_records(0), 210, "and has what was written");
    bytes = plog_bytes(plog) - bytes;
    log_dir_flush_step(dir, &err);
    plog_close(plog);
    ok(file_is(120, bytes, SLACK), "and so does a clean end");
    log_dir_close(dir);
}

int
main(void)
{
    snprintf(path, sizeof(path), "/tmp/oxbow-unit-%d", (int)getpid());
    plog_config_init(&config);
    config.timestamp_after_max_ms = INT64_MAX;
    test_append_read();
    test_reopen();
    test_roll_retain();
    test_idempotence();
    test_ahead();
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", path);
    if (system(command) != 0)
        return 1;
    return done();
}
