/* SPDX-License-Identifier: Apache-2.0
 *
 * Producers with sequences and transactions: what a partition remembers. */
#include "base/check.h"
#include "base/fault.h"
#include "log_helper.h"

static struct log_append append;

static ox_code
send_txn(int64_t producer, int16_t epoch, int32_t sequence, int count, bool transactional)
{
    struct record_builder_config with = RECORD_BUILDER_PLAIN;
    with.producer_id = producer;
    with.producer_epoch = epoch;
    with.base_sequence = sequence;
    with.transactional = transactional;
    append = (struct log_append){.flags = LOG_TXN_VERIFIED};
    return help_send(help_batch(&with, count, wall, "v"), &append);
}

static ox_code
send_marker(int64_t producer, int16_t epoch, bool commit, int32_t coordinator_epoch)
{
    struct slice marker;
    if (record_batch_marker(producer, epoch, commit, coordinator_epoch, wall, &marker, &err) != OX_OK)
        abort();
    append = (struct log_append){.origin = LOG_FROM_COORDINATOR};
    return help_send(marker, &append);
}

static ox_code
send_unverified(int64_t producer)
{
    struct record_builder_config with = RECORD_BUILDER_PLAIN;
    with.producer_id = producer;
    with.producer_epoch = 0;
    with.base_sequence = 0;
    with.transactional = true;
    append = (struct log_append){0};
    return help_send(help_batch(&with, 1, wall, "v"), &append);
}

static void
test_sequences(void)
{
    is_int(send_txn(1, 0, 0, 2, false), OX_OK, "a first batch");
    for (int i = 1; i <= 5; i++)
        is_int(send_txn(1, 0, i * 2, 2, false), OX_OK, "the next");
    is_int(send_txn(1, 0, 2, 2, false), OX_OK, "the fifth last again");
    ok(append.duplicate && append.base_offset == 2, "is known with its offset");
    is_int(send_txn(1, 0, 0, 2, false), OX_OUT_OF_ORDER_SEQUENCE, "the sixth last is forgotten");
    is_int(send_txn(1, 0, 13, 2, false), OX_OUT_OF_ORDER_SEQUENCE, "a gap");
    is_int(send_txn(1, 1, 5, 1, false), OX_OUT_OF_ORDER_SEQUENCE, "a new epoch begins at 0");
    is_int(send_txn(1, 1, 0, 1, false), OX_OK, "at 0 it is fine");
    is_int(send_txn(1, 0, 12, 2, false), OX_INVALID_PRODUCER_EPOCH, "the old epoch is fenced");
    is_int(send_txn(2, 0, INT32_MAX - 1, 3, false), OX_OK, "a sequence that wraps");
    is_int(send_txn(2, 0, 1, 1, false), OX_OK, "goes on at 1");
    is_int(send_unverified(77), OX_INVALID_TXN_STATE, "a transaction that was not verified");
}

#ifdef OX_FAULT
/* Logs with one rule broken: what is refused above would be taken. */
static void
test_mutants(void)
{
    is_int(send_txn(500, 3, 0, 1, false), OX_OK, "a producer of epoch 3");
    ox_fault_set("txn.wrong_epoch=io_error,txn.wrong_guard=io_error", &err);
    is_int(send_txn(500, 2, 0, 1, false), OX_OK, "a log that does not look at epochs takes an old one");
    is_int(send_unverified(501), OX_OK, "one that does not look at guards takes any transaction");
    ox_fault_clear();
    is_int(send_unverified(502), OX_INVALID_TXN_STATE, "and this one does again");
}
#endif

static void
test_transactions(void)
{
    int64_t start = plog_log_end(plog);
    plog_set_high_watermark(plog, start);
    is_int(plog_first_unstable(plog), INT64_MAX, "nothing is open");
    is_int(send_txn(10, 0, 0, 2, true), OX_OK, "one transaction begins");
    is_int(send_txn(11, 0, 0, 3, true), OX_OK, "and another");
    ok(plog_txn_open(plog, 10) && plog_txn_open(plog, 11), "both are open");
    is_int(plog_first_unstable(plog), start, "the first is unstable");
    is_int(send_txn(10, 0, 2, 1, false), OX_INVALID_TXN_STATE,
        "a plain batch inside of a transaction");
    is_int(send_marker(10, 0, false, 5), OX_OK, "the first is aborted");
    is_int(plog_first_unstable(plog), start, "unstable until the marker is visible");
    plog_set_high_watermark(plog, plog_log_end(plog));
    is_int(plog_first_unstable(plog), start + 2, "then the second is the first");
    is_int(plog_last_stable(plog), start + 2, "and bounds what is stable");
    is_int(send_marker(11, 0, true, 4), OX_OK, "the second is committed");
    is_int(send_marker(11, 0, true, 3), OX_TRANSACTION_COORDINATOR_FENCED,
        "an older coordinator is fenced");
    plog_set_high_watermark(plog, plog_log_end(plog));
    is_int(plog_last_stable(plog), plog_log_end(plog), "all is stable");
    struct arena arena;
    struct log_aborted_txn *aborted;
    size_t count;
    ox_arena_init(&arena);
    plog_aborted_txns(plog, 0, plog_log_end(plog), &arena, &aborted, &count, &err);
    is_int(count, 1, "one aborted transaction");
    ok(aborted[0].producer_id == 10 && aborted[0].first_offset == start &&
        aborted[0].last_offset == start + 5, "with its offsets");
    is_int(aborted[0].last_stable, start + 2, "and what was stable then");
    plog_aborted_txns(plog, start + 6, plog_log_end(plog), &arena, &aborted, &count, &err);
    is_int(count, 0, "none after it");
    ox_arena_fini(&arena);
}

static void
test_restart(bool kill)
{
    int64_t start = plog_log_end(plog), producer = kill ? 20 : 21;
    is_int(send_txn(producer, 3, 0, 2, true), OX_OK, "a transaction stays open");
    log_dir_flush_step(dir, &err);
    if (kill)
        help_kill();
    else
        help_close();
    ok(help_open("txn") == OX_OK, kill ? "after a kill" : "after a clean stop");
    ok(plog_txn_open(plog, producer), "the transaction is still open");
    plog_set_high_watermark(plog, plog_log_end(plog));
    is_int(plog_first_unstable(plog), start, "and unstable");
    is_int(send_txn(producer, 3, 2, 1, true), OX_OK, "its sequence goes on");
    struct arena arena;
    struct log_aborted_txn *aborted;
    struct log_producer_facts *facts;
    size_t count;
    ox_arena_init(&arena);
    plog_aborted_txns(plog, 0, plog_log_end(plog), &arena, &aborted, &count, &err);
    is_int(count, kill ? 1 : 2, "aborted transactions are known, once");
    plog_producers(plog, &arena, &facts, &count);
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found |= facts[i].producer_id == 10 && facts[i].coordinator_epoch == 5 &&
                 facts[i].last_sequence == 1 && facts[i].txn_start_offset == -1;
    ok(found, "an earlier producer is as it was");
    is_int(send_marker(producer, 3, false, 6), OX_OK, "it is aborted");
    plog_set_high_watermark(plog, plog_log_end(plog));
    is_int(plog_last_stable(plog), plog_log_end(plog), "all is stable");
    ox_arena_fini(&arena);
}

static void
test_epochs(void)
{
    int32_t epoch;
    int64_t end;
    help_open("epochs");
    for (int i = 0; i < 3; i++) {
        struct log_append a = {.leader_epoch = 2 + i * 2};
        help_send(help_batch(&RECORD_BUILDER_PLAIN, 5, wall, "v"), &a);
    }
    plog_epoch_end(plog, 6, 6, &epoch, &end);
    ok(epoch == 6 && end == 15, "the current epoch ends at the log end");
    plog_epoch_end(plog, 7, 6, &epoch, &end);
    ok(epoch == -1 && end == -1, "a newer one is not known");
    plog_epoch_end(plog, 1, 6, &epoch, &end);
    ok(epoch == 1 && end == 0, "one below the first ends where that begins");
    plog_epoch_end(plog, 2, 6, &epoch, &end);
    ok(epoch == 2 && end == 5, "an old one ends where the next begins");
    plog_epoch_end(plog, 5, 6, &epoch, &end);
    ok(epoch == 4 && end == 10, "one that never was is the one before");
    is_int(plog_epoch_of(plog, 7), 4, "the epoch of an offset");
    plog_truncate(plog, 10, &err);
    is_int(plog_latest_epoch(plog), 4, "truncation forgets epochs");
    plog_begin_epoch(plog, 9, &err);
    plog_epoch_end(plog, 4, 9, &epoch, &end);
    ok(epoch == 4 && end == 10, "a leader begins its epoch at the log end");
}

static void
test_follower(void)
{
    struct plog *leader = plog;
    struct log_range range;
    ok(plog_read(leader, 0, plog_log_end(leader), 1 << 20, true, &range, &err) == OX_OK,
        "a follower fetches");
    struct buf *buf = ox_buf_new(range.len);
    log_range_pread(&range, buf->ptr, &err);
    help_open("follower");
    append = (struct log_append){.origin = LOG_FROM_LEADER};
    is_int(help_send((struct slice){buf, 0, range.len}, &append), OX_OK, "and appends as it is");
    is_int(plog_log_end(plog), plog_log_end(leader), "to the same end");
    is_int(plog_latest_epoch(plog), 4, "with the leader's epochs");
    log_range_put(&range);
    is_int(plog_advance_log_start(plog, 100, &err), OX_OK, "a log start beyond the end");
    ok(plog_log_start(plog) == 100 && plog_log_end(plog) == 100, "starts the log again there");
    help_append(1, "v");
    is_int(help_count(), 1, "and it goes on");
    plog_close(leader);
}

/* ---- an index of aborted transactions that is not as it was written ---- */

#define TORN "/data/torn-0/00000000000000000000.txnindex"

static void
overwrite(uint64_t pos, size_t len)
{
    static const char zeros[64];
    struct file *file;
    if (fs_open(env.fs, "test", TORN, FILE_READ | FILE_WRITE, &file, &err) != OX_OK ||
        file_pwrite(env.fs, "test", file, zeros, len, pos, &err) != OX_OK)
        abort();
    fs_close(env.fs, file);
}

static void
aborted_are(const char *sentence)
{
    struct arena arena;
    struct log_aborted_txn *aborted;
    size_t count = 0;
    ox_arena_init(&arena);
    is_int(plog_aborted_txns(plog, 0, plog_log_end(plog), &arena, &aborted, &count, &err), OX_OK,
        sentence);
    is_int(count, 2, "both are there, and no other");
    ok(count == 2 && aborted[0].producer_id == 30 && aborted[0].first_offset == 0 &&
        aborted[0].last_offset == 3 && aborted[1].producer_id == 31 &&
        aborted[1].first_offset == 4 && aborted[1].last_offset == 6, "as they were");
    ox_arena_fini(&arena);
}

static void
test_damaged_index(bool sealed)
{
    help_open("torn");
    send_txn(30, 0, 0, 2, true);
    send_txn(0, 0, 0, 1, true);
    send_marker(30, 0, false, 1);
    send_txn(31, 0, 0, 1, true);
    send_marker(0, 0, true, 1);
    send_marker(31, 0, false, 1);
    plog_set_high_watermark(plog, plog_log_end(plog));
    if (sealed)
        plog_roll(plog, &err);
    log_dir_flush_step(dir, &err);
    static const struct {
        uint64_t pos;
        size_t len;
        const char *how;
    } damages[] = {{68, 34, "zeros behind the last entry"}, {68, 5, "a part of an entry"},
        {34, 34, "zeros in place of an entry"}};
    for (size_t i = 0; i < ox_count(damages); i++) {
        help_close();
        overwrite(damages[i].pos, damages[i].len);
        ok(help_open("torn") == OX_OK, sealed ? "a sealed segment"
                                            : "an active segment");
        aborted_are(damages[i].how);
        log_dir_checkpoint_step(dir, &err);
        help_kill();
        help_open("torn");
        aborted_are("it is made again");
    }
    plog_delete(plog, &err);
    log_dir_purge(dir, INT64_MAX);
    log_dir_close(dir);
    dir = NULL;
}

int
main(void)
{
    help_init();
    help_open("txn");
    test_sequences();
    test_transactions();
    test_restart(true);
    test_restart(false);
#ifdef OX_FAULT
    test_mutants();
#endif
    plog_close(plog);
    test_epochs();
    test_follower();
    help_close();
    test_damaged_index(false);
    test_damaged_index(true);
    file_sim_free(sim);
    return done();
}
