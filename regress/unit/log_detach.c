/* SPDX-License-Identifier: Apache-2.0
 *
 * A topic goes while somebody still reads it, and comes again with its name:
 * whoever holds the old log reads on, the new one begins empty, also when the
 * power goes at any operation on the way. */
#include "log_helper.h"

#include "base/file.h"

static const uint8_t OLD = 7, NEW = 8;

static ox_code
open_id(uint8_t id, struct plog **out)
{
    struct plog_args args = {.topic = "t", .partition = 0, .config = config};
    memset(args.topic_id.bytes, id, 16);
    return plog_open(dir, &args, out, &err);
}

static void
open_dir(void)
{
    ox_code rc = log_dir_open(&dir_config, &env, &dir, &err);
    if (rc != OX_OK)
        printf("# %s\n", err.message);
    ok(rc == OX_OK, "the directory opens");
}

/* How many entries of the log directory end so. */
static int
count_names(const char *tail)
{
    struct arena arena;
    struct file_name *names;
    size_t count, len = strlen(tail);
    int found = 0;
    ox_arena_init(&arena);
    ok(fs_list(env.fs, "/data", &arena, &names, &count, &err) == OX_OK, "the directory is listed");
    for (size_t i = 0; i < count; i++) {
        size_t have = strlen(names[i].name);
        found += have >= len && strcmp(names[i].name + have - len, tail) == 0;
    }
    ox_arena_fini(&arena);
    return found;
}

static void
test_readers_go_on(void)
{
    struct log_cursor *cursor;
    struct record_batch batch;
    struct log_range range;
    bool more;
    open_dir();
    ok(open_id(OLD, &plog) == OX_OK, "a log is made");
    for (int i = 0; i < 40; i++)
        help_append(5, "a value that is to be read");
    log_dir_flush_step(dir, &err);
    log_dir_checkpoint_step(dir, &err);
    ok(log_cursor_open(plog, 0, 200, 0, &cursor, &err) == OX_OK, "a cursor is open on it");
    ok(log_cursor_next(cursor, &batch, &more, &err) == OX_OK && more, "and has begun");
    ok(plog_read(plog, 50, 200, 4096, true, &range, &err) == OX_OK && range.len > 0,
        "a range of it is out");

    struct plog *old = plog, *fresh;
    ok(!plog_detached(old), "it is not detached");
    ok(plog_detach(old, &err) == OX_OK && plog_detached(old), "it is detached");
    ok(plog_detach(old, &err) == OX_OK, "once more does nothing");
    is_int(count_names("-delete"), 1, "its directory is condemned");
    is_int(count_names("t-0"), 0, "and the name is free");
    is_int(help_append(1, "v"), OX_NOT_LEADER, "it takes no appends");

    ok(open_id(NEW, &fresh) == OX_OK, "a log of the same name is made");
    is_int(plog_log_end(fresh), 0, "it is empty");
    plog = fresh;
    is_int(help_append(3, "other"), OX_OK, "and takes appends");
    log_dir_flush_step(dir, &err);

    log_dir_purge(dir, INT64_MAX);
    is_int(count_names("-delete"), 0, "the condemned directory goes");
    int64_t seen = batch.count;
    while (log_cursor_next(cursor, &batch, &more, &err) == OX_OK && more)
        seen += batch.count;
    is_int(seen, 200, "the cursor reads the old log to its end");
    log_cursor_close(cursor);
    void *bytes = malloc(range.len);
    ok(log_range_pread(&range, bytes, &err) == OX_OK, "the range can be read");
    free(bytes);
    log_range_put(&range);
    plog = old;
    is_int(help_count(), 200, "a new cursor reads it, too");
    plog_close_later(old);
    log_dir_checkpoint_step(dir, &err);
    plog = fresh;
    is_int(help_count(), 3, "the new one has its own records");
    plog_close(fresh);
    log_dir_close(dir);
}

/* The checkpoint files speak of the old log until they are written again: its
 * log start must not delete what the new one has acknowledged. */
static void
test_stale_checkpoints(void)
{
    int64_t start;
    uint64_t count = 0;
    for (uint64_t crash = 1; crash < 400; crash++) {
        file_sim_free(sim);
        sim = file_sim_new(crash);
        env.fs = file_sim_fs(sim);
        dir = NULL;
        if (log_dir_open(&dir_config, &env, &dir, &err) != OX_OK ||
            open_id(OLD, &plog) != OX_OK)
            break;
        for (int i = 0; i < 20; i++)
            help_append(5, "old");
        log_dir_flush_step(dir, &err);
        plog_set_high_watermark(plog, 100);
        plog_delete_records(plog, 100, &start, &err);
        log_dir_checkpoint_step(dir, &err);
        uint64_t from = file_sim_ops(sim);
        file_sim_crash_at(sim, from + crash);
        bool acked = false, opened = false;
        ox_code rc = plog_delete(plog, &err);
        if (rc == OX_OK && open_id(NEW, &plog) == OX_OK) {
            opened = true;
            acked = help_append(4, "new") == OX_OK && log_dir_flush_step(dir, &err) == OX_OK &&
                    plog_flushed_end(plog) == 4;
        }
        bool crashed = file_sim_crashed(sim);
        if (opened)
            plog_drop(plog);
        log_dir_abandon(dir);
        dir = NULL;
        file_sim_crash_at(sim, 0);
        file_sim_restart(sim);
        if (log_dir_open(&dir_config, &env, &dir, &err) != OX_OK) {
            printf("# crash at %llu: %s\n", (unsigned long long)crash, err.message);
            ok(false, "the directory opens after a crash");
            break;
        }
        rc = open_id(NEW, &plog);
        if (rc == OX_INCONSISTENT_TOPIC_ID) {
            rc = log_dir_set_stray(dir, "t", 0, &err);
            if (rc == OX_OK)
                rc = open_id(NEW, &plog);
        }
        if (rc != OX_OK || (acked && (plog_log_end(plog) != 4 || plog_log_start(plog) != 0)) ||
            plog_fault(plog, &err) != OX_OK || plog_log_start(plog) > plog_log_end(plog)) {
            printf("# crash at %llu: code %d, log [%lld, %lld), acked %d\n",
                (unsigned long long)crash, (int)rc, (long long)(rc ? -1 : plog_log_start(plog)),
                (long long)(rc ? -1 : plog_log_end(plog)), acked);
            ok(false, "the new log is whole");
            break;
        }
        plog_close(plog);
        log_dir_close(dir);
        dir = NULL;
        count++;
        if (!crashed)
            break;
    }
    printf("# %llu crash points\n", (unsigned long long)count);
    ok(count > 20, "a crash while a topic is dropped and made again loses nothing");
}

static void
test_stray(void)
{
    file_sim_free(sim);
    sim = file_sim_new(3);
    env.fs = file_sim_fs(sim);
    open_dir();
    ok(open_id(OLD, &plog) == OX_OK, "a log is made");
    help_append(3, "kept");
    is_int(log_dir_set_stray(dir, "t", 0, &err), OX_OBJECT_IN_USE, "an open one is no stray");
    plog_close(plog);
    is_int(open_id(NEW, &plog), OX_INCONSISTENT_TOPIC_ID, "another topic cannot have it");
    ok(log_dir_set_stray(dir, "t", 0, &err) == OX_OK, "it is set aside");
    is_int(count_names("-stray"), 1, "under Kafka's name for that");
    ok(open_id(NEW, &plog) == OX_OK && plog_log_end(plog) == 0, "the name is free");
    plog_close(plog);
    log_dir_close(dir);
    open_dir();
    is_int(count_names("-stray"), 1, "it outlives a start");
    log_dir_close(dir);
}

/* A log that ends below what was flushed is not taken for a short one. */
static void
test_missing_end(void)
{
    file_sim_free(sim);
    sim = file_sim_new(4);
    env.fs = file_sim_fs(sim);
    open_dir();
    ok(open_id(OLD, &plog) == OX_OK, "a log is made");
    for (int i = 0; i < 4; i++)
        help_append(5, "v");
    log_dir_flush_step(dir, &err);
    log_dir_checkpoint_step(dir, &err);
    help_close();
    struct file *file;
    ok(fs_open(env.fs, "test", "/data/t-0/00000000000000000000.log", FILE_READ | FILE_WRITE,
           &file, &err) == OX_OK &&
            fs_truncate(env.fs, "test", file, 0, &err) == OX_OK,
        "somebody empties its segment");
    fs_close(env.fs, file);
    open_dir();
    ok(open_id(OLD, &plog) == OX_OK, "it opens");
    is_int(plog_fault(plog, &err), OX_DATA_CORRUPTED, "but is known to be short");
    is_int(help_append(1, "v"), OX_DATA_CORRUPTED, "and takes nothing");
    plog_close(plog);
    log_dir_close(dir);
    open_dir();
    ok(open_id(OLD, &plog) == OX_OK && plog_fault(plog, &err) == OX_DATA_CORRUPTED,
        "also the next time");
    plog_close(plog);
    log_dir_close(dir);
    dir = NULL;
}

int
main(void)
{
    ox_diag_set_level(OX_DIAG_ERROR);
    help_init();
    test_readers_go_on();
    test_stale_checkpoints();
    test_stray();
    test_missing_end();
    file_sim_free(sim);
    return done();
}
