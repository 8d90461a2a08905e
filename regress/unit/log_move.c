/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving a log between two directories: with appends in between, over power
 * cuts at every operation, over restarts, and away from a directory that fails. */
#include "base/check.h"
#include "log_helper.h"

static struct log_dir *other;
static struct log_dir_config other_config;
static int appended;

static bool
busy(void *arg)
{
    if (appended < 60) {
        help_append(1, "while it is moved");
        appended++;
    }
    return true;
}

static bool
never(void *arg)
{
    return false;
}

static bool
quiet(void *arg)
{
    return true;
}

static bool
some(void *arg)
{
    int *left = arg;
    return --*left > 0;
}

static void
open_both(void)
{
    dir = other = NULL;
    other_config = dir_config;
    other_config.path = "/other";
    if (log_dir_open(&dir_config, &env, &dir, &err) != OX_OK)
        dir = NULL;
    if (log_dir_open(&other_config, &env, &other, &err) != OX_OK)
        other = NULL;
}

static void
fill(int count)
{
    for (int i = 0; i < count; i++)
        help_append(2, "before it is moved");
    log_dir_flush_step(dir, &err);
    plog_set_high_watermark(plog, plog_flushed_end(plog));
}

static void
test_move(void)
{
    open_both();
    config.segment_bytes = 2000;
    is_int(help_open("t"), OX_OK, "open");
    fill(50);
    struct log_range range;
    is_int(plog_read(plog, 10, 100, 500, true, &range, &err), OX_OK, "a reader holds a range");
    int64_t end = plog_log_end(plog), count = help_count();
    is_int(plog_move(plog, other, never, NULL, &err), OX_CANCELED, "a move that is given up");
    ok(plog_log_dir(plog) == dir, "changes nothing");
    appended = 0;
    is_int(plog_move(plog, other, busy, NULL, &err), OX_OK, "a move");
    ok(plog_log_dir(plog) == other, "the log is in the other directory");
    is_int(plog_log_end(plog), end + appended, "with what was appended meanwhile");
    is_int(help_count(), count + appended, "all records are there");
    is_int(plog_flushed_end(plog), plog_log_end(plog), "flushed");
    uint8_t bytes[4096];
    is_int(log_range_pread(&range, bytes, &err), OX_OK, "the range can still be read");
    log_range_put(&range);
    int64_t made;
    ok(!log_dir_has(dir, "t", 0, plog_topic_id(plog), &made), "the old directory has it no more");
    ok(log_dir_has(other, "t", 0, plog_topic_id(plog), &made), "the new one has");
    help_append(3, "after it was moved");
    is_int(log_dir_flush_step(other, &err), OX_OK, "the new one flushes it");
    is_int(plog_flushed_end(plog), plog_log_end(plog), "all of it");
    is_int(log_dir_plog_count(dir), 0, "the old one has no log");
    is_int(log_dir_plog_count(other), 1, "the new one has one");
    plog_close(plog);
    log_dir_close(dir);
    log_dir_close(other);
    open_both();
    struct log_dir *old = dir;
    dir = other;
    is_int(help_open("t"), OX_OK, "it is opened there again");
    is_int(help_count(), count + appended + 3, "with all records");
    plog_close(plog);
    log_dir_close(old);
    log_dir_close(other);
    dir = other = NULL;
}

static size_t
future_count(struct log_dir *of)
{
    struct arena arena;
    struct log_dir_entry *entries;
    size_t count = 0;
    ox_arena_init(&arena);
    log_dir_list_aside(of, LOG_FUTURE, &arena, &entries, &count, &err);
    for (size_t i = 0; i < count; i++)
        is_int(entries[i].partition, 0, "it is of the partition");
    ox_arena_fini(&arena);
    return count;
}

static void
reopen_both(void)
{
    plog_close(plog);
    log_dir_close(dir);
    log_dir_close(other);
    open_both();
    is_int(help_open("t"), OX_OK, "all is opened again");
}

/* A move that is interrupted goes on where it was, if the log is still the same. */
static void
test_resume(void)
{
    file_sim_free(sim);
    sim = file_sim_new(3);
    env.fs = file_sim_fs(sim);
    open_both();
    config.segment_bytes = 2000;
    help_open("t");
    fill(600);
    int64_t count = help_count();
    is_int(plog_move_prepare(plog, other, &err), OX_OK, "a move is noted down");
    is_int(plog_move_prepare(plog, other, &err), OX_OK, "twice");
    is_int((int64_t)future_count(other), 1, "there is one note");
    int left = 20;
    is_int(plog_move(plog, other, some, &left, &err), OX_CANCELED, "a move is interrupted");
    reopen_both();
    is_int((int64_t)future_count(other), 1, "its directory is there after a restart");
    left = 30;
    file_sim_fail(sim, "move.write", 11, false, OX_IO_ERROR);
    is_int(plog_move(plog, other, some, &left, &err), OX_CANCELED,
        "the next try does not write what it finds");
    file_sim_fail_clear(sim);
    plog_set_high_watermark(plog, plog_flushed_end(plog));
    int64_t low;
    is_int(plog_delete_records(plog, 30, &low, &err), OX_OK, "the log's beginning goes");
    plog_retain(plog, wall, &(uint64_t){0}, &err);
    count = help_count();
    reopen_both();
    plog_set_high_watermark(plog, plog_flushed_end(plog));
    is_int(plog_move(plog, other, quiet, NULL, &err), OX_OK, "the move is finished");
    is_int(help_count(), count, "all records are there");
    is_int((int64_t)future_count(other), 0, "nothing is left of it");
    is_int(plog_move_prepare(plog, dir, &err), OX_OK, "a move back is noted down");
    is_int((int64_t)future_count(dir), 1, "there");
    is_int(plog_move_forget(plog, dir, &err), OX_OK, "and is not wanted");
    is_int((int64_t)future_count(dir), 0, "nothing is left of it");
    plog_close(plog);
    log_dir_close(dir);
    log_dir_close(other);
    dir = other = NULL;
    plog = NULL;
}

/* The log is in one directory or in both, alike; a move goes on, or can be made. */
static bool
whole_after_cut(int64_t flushed)
{
    struct uuid id;
    int64_t made[2] = {-1, -1};
    memset(id.bytes, 5, 16);
    open_both();
    if (dir == NULL || other == NULL)
        return false;
    bool in_old = log_dir_has(dir, "t", 0, &id, &made[0]);
    bool in_new = log_dir_has(other, "t", 0, &id, &made[1]);
    struct log_dir *old = dir, *new = other;
    bool good = in_old || in_new;
    if (in_new && (!in_old || made[1] >= made[0]))
        dir = other;
    good = good && help_open("t") == OX_OK && plog_fault(plog, &err) == OX_OK &&
           plog_log_end(plog) >= flushed && help_count() == plog_log_end(plog);
    if (good) {
        plog_set_high_watermark(plog, plog_log_end(plog));
        appended = 58;
        good = plog_move(plog, dir == old ? new : old, busy, NULL, &err) == OX_OK &&
               help_count() == plog_log_end(plog);
    }
    if (plog != NULL)
        plog_drop(plog);
    plog = NULL;
    log_dir_abandon(old);
    log_dir_abandon(new);
    dir = other = NULL;
    return good;
}

static void
test_cuts(void)
{
    int bad = 0, moved = 0, tries = 0;
    for (uint64_t at = 1; at < 400 && moved < 3; at++, tries++) {
        file_sim_free(sim);
        sim = file_sim_new(at);
        env.fs = file_sim_fs(sim);
        wall += 1000;
        open_both();
        help_open("t");
        fill(20);
        wall += 1000;
        int64_t flushed = plog_flushed_end(plog);
        file_sim_crash_at(sim, file_sim_ops(sim) + at);
        appended = 50;
        ox_code rc = plog_move(plog, other, busy, NULL, &err);
        moved += rc == OX_OK && !file_sim_crashed(sim);
        if (rc == OX_OK) {
            help_append(1, "after");
            if (log_dir_flush_step(other, &err) == OX_OK)
                flushed = plog_flushed_end(plog);
        }
        plog_drop(plog);
        plog = NULL;
        log_dir_abandon(dir);
        log_dir_abandon(other);
        file_sim_restart(sim);
        if (!whole_after_cut(flushed)) {
            printf("# cut at operation %llu: %s\n", (unsigned long long)at, err.message);
            bad++;
        }
    }
    is_int(bad, 0, "no power cut loses what was flushed");
    ok(moved == 3 && tries > 20, "each operation of a move was cut");
}

static void
test_failing_disk(void)
{
    file_sim_free(sim);
    sim = file_sim_new(7);
    env.fs = file_sim_fs(sim);
    open_both();
    help_open("t");
    fill(20);
    int64_t count = help_count();
    for (uint64_t hit = 1; hit < 60; hit++) {
        file_sim_fail(sim, NULL, hit, false, OX_IO_ERROR);
        ox_code rc = plog_move(plog, other, quiet, NULL, &err);
        file_sim_fail_clear(sim);
        if (rc == OX_OK || plog_fault(plog, NULL) != OX_OK)
            break;
        if (help_count() != count || plog_log_dir(plog) != dir) {
            is_int(help_count(), count, "a failed move changes nothing");
            break;
        }
    }
    is_int(help_count(), count, "errors leave the log readable");
    plog_drop(plog);
    plog = NULL;
    log_dir_abandon(dir);
    log_dir_abandon(other);
}

int
main(void)
{
    help_init();
    ox_diag_set_level(OX_DIAG_ERROR + 1);
    test_move();
    test_resume();
    test_cuts();
    test_failing_disk();
    file_sim_free(sim);
    return done();
}
