/* SPDX-License-Identifier: Apache-2.0
 *
 * Retention and rolling with settings at their ends, or changed while the log is open. */
#include "base/check.h"
#include "log_helper.h"

static void
settle(void)
{
    plog_roll(plog, &err);
    log_dir_flush_step(dir, &err);
    plog_set_high_watermark(plog, plog_flushed_end(plog));
}

static uint64_t
size_of(const char *path)
{
    struct file_stat st;
    return fs_stat(env.fs, path, &st, NULL) == OX_OK ? st.size : UINT64_MAX;
}

/* file.delete.delay.ms: what has no end does not end. */
static void
test_delete_delay(void)
{
    static const int64_t delays[] = {1000, INT64_MAX};
    uint64_t freed;
    config.retention_ms = 1000;
    for (size_t i = 0; i < ox_count(delays); i++) {
        config.file_delete_delay_ms = delays[i];
        help_open("delay");
        int64_t base = plog_log_end(plog);
        char name[128];
        snprintf(name, sizeof(name), "/data/delay-0/%020lld.log.deleted", (long long)base);
        help_append(3, "v");
        settle();
        wall += 5000;
        ok(plog_retain(plog, wall, &freed, &err) == OX_OK && freed > 0, "a segment goes");
        log_dir_purge(dir, wall);
        ok(size_of(name) == freed, "its file is still there");
        log_dir_purge(dir, wall + 1000);
        is_int(size_of(name) == freed, i == 1, i == 1 ? "and stays" : "until the delay is over");
        help_close();
    }
    config.file_delete_delay_ms = 60000;
}

/* Kafka's cleaner leaves empty segments; one in front must not keep the others. */
static void
test_empty_front(void)
{
    struct file *file;
    uint64_t freed;
    config.retention_ms = 1000;
    config.policy_compact = true;
    help_open("empty");
    help_append(3, "v");
    settle();
    help_append(3, "v");
    settle();
    help_append(3, "v");
    help_close();
    if (fs_open(env.fs, "test", "/data/empty-0/00000000000000000000.log", FILE_READ | FILE_WRITE,
            &file, &err) != OX_OK ||
        fs_truncate(env.fs, "test", file, 0, &err) != OX_OK)
        abort();
    fs_close(env.fs, file);
    ok(help_open("empty") == OX_OK && help_count() == 6, "a log with an empty first segment");
    plog_set_high_watermark(plog, plog_log_end(plog));
    wall += (int64_t)1 << 42;
    is_int(plog_retain(plog, wall, &freed, &err), OX_OK, "retention");
    ok(freed > 0 && plog_log_start(plog) == 9, "takes it, and all that is old behind it");
    help_close();
    config.policy_compact = false;
}

/* preallocate is switched off while the active segment has its space already. */
static void
test_preallocate(void)
{
    config.retention_ms = -1;
    config.segment_bytes = 1 << 20;
    config.preallocate = true;
    help_open("ahead");
    is_int(size_of("/data/ahead-0/00000000000000000000.log"), 1 << 20, "space is set aside");
    help_append(5, "v");
    config.preallocate = false;
    plog_set_config(plog, &config);
    settle();
    ok(size_of("/data/ahead-0/00000000000000000000.log") < 1000, "a roll gives it back");
    help_append(5, "v");
    settle();
    help_append(5, "v");
    help_close();
    is_int(help_open("ahead"), OX_OK, "the log opens again");
    is_int(plog_fault(plog, &err), OX_OK, "and is in order");
    is_int(help_count(), 15, "with all records");
    help_append(5, "v");
    help_close();
    config.preallocate = true;
    help_open("new");
    config.preallocate = false;
    plog_set_config(plog, &config);
    help_close();
    is_int(size_of("/data/new-0/00000000000000000000.log"), 0,
        "so does a clean stop, of a log without records too");
}

int
main(void)
{
    help_init();
    test_delete_delay();
    test_empty_front();
    test_preallocate();
    file_sim_free(sim);
    return done();
}
