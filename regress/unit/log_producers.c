/* SPDX-License-Identifier: Apache-2.0
 *
 * What an idempotent producer and a deletion may rely on after the server was
 * stopped or killed: up to five batches sent again are known, also when a
 * snapshot came after them and their records are of long ago; a log start that
 * was answered stays. */
#include "log_helper.h"

static ox_code
send(int64_t producer, int32_t sequence, int count, int64_t time, struct log_append *append)
{
    struct record_builder_config with = RECORD_BUILDER_PLAIN;
    with.producer_id = producer;
    with.producer_epoch = 0;
    with.base_sequence = sequence;
    *append = (struct log_append){.leader_epoch = 1};
    return help_send(help_batch(&with, count, time, "value"), append);
}

static void
again(const char *when, int64_t time)
{
    struct log_append append;
    int known = 0;
    for (int i = 5; i < 10; i++) {
        ox_code rc = send(7, i * 3, 3, time, &append);
        known += rc == OX_OK && append.duplicate && append.base_offset == i * 6;
    }
    is_int(known, 5, when);
    is_int(send(7, 12, 3, time, &append), OX_OUT_OF_ORDER_SEQUENCE, "an older one is not");
    is_int(send(8, 27, 3, time, &append), OX_OK, "another producer is known, too");
    ok(append.duplicate, "its last batch is a duplicate");
}

static void
test_sent_again(int64_t time)
{
    struct log_append append;
    config.segment_bytes = 1 << 20;
    ok(help_open("p") == OX_OK, "the log opens");
    int good = 0;
    for (int i = 0; i < 10; i++) {
        good += send(7, i * 3, 3, time, &append) == OX_OK;
        good += send(8, i * 3, 3, time, &append) == OX_OK;
    }
    is_int(good, 20, "two producers write");
    log_dir_flush_step(dir, &err);
    again("five batches are known", time);
    help_kill();
    ok(help_open("p") == OX_OK, "the log opens after a kill");
    again("and after a kill", time);
    ok(plog_roll(plog, &err) == OX_OK, "a snapshot is made at a roll");
    log_dir_checkpoint_step(dir, &err);
    help_kill();
    ok(help_open("p") == OX_OK, "the log opens");
    again("and after a kill right behind the roll", time);
    help_close();
    ok(help_open("p") == OX_OK, "the log opens after a clean stop");
    again("and after that", time);
    is_int(send(7, 30, 3, time, &append), OX_OK, "the next batch is new");
    ok(!append.duplicate && append.base_offset == 60, "at the end");
    plog_expire_producers(plog, wall + config.producer_id_expiration_ms,
        config.producer_id_expiration_ms);
    is_int(send(7, 30, 3, time, &append), OX_OK, "silent for less than a day it is known");
    ok(append.duplicate, "as its last batch shows");
    plog_expire_producers(plog, wall + config.producer_id_expiration_ms + 3,
        config.producer_id_expiration_ms);
    is_int(send(7, 99, 3, time, &append), OX_OK, "for longer: it begins anew");
    plog_delete(plog, &err);
    log_dir_purge(dir, INT64_MAX);
    log_dir_close(dir);
    dir = NULL;
}

static void
test_log_start(void)
{
    int64_t start;
    ok(help_open("d") == OX_OK, "the log opens");
    for (int i = 0; i < 10; i++)
        help_append(2, "v");
    log_dir_flush_step(dir, &err);
    plog_set_high_watermark(plog, 20);
    ok(plog_delete_records(plog, 15, &start, &err) == OX_OK && start == 15,
        "records are deleted");
    help_kill();
    file_sim_restart(sim);
    ok(help_open("d") == OX_OK, "the log opens after a power cut");
    is_int(plog_log_start(plog), 15, "they are still deleted");
    is_int(plog_log_end(plog), 20, "the others are there");
    help_close();
}

int
main(void)
{
    ox_diag_set_level(OX_DIAG_ERROR);
    help_init();
    wall = 1790000000000;
    test_sent_again(wall);
    test_sent_again(1000000000000);
    test_log_start();
    file_sim_free(sim);
    return done();
}
