# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/log/checkpoint.c src/log/index.c src/log/leader_epochs.c \
    src/log/log_cursor.c src/log/log_dir.c src/log/log_verify.c src/log/plog.c src/log/plog_append.c \
    src/log/plog_read.c src/log/plog_validate.c src/log/producer_state.c \
    src/log/record_batch.c src/log/recover.c src/log/retain.c src/log/segment.c src/log/wal.c \
    src/log/wal_replay.c
check_PROGRAMS += regress/unit/log_crash regress/unit/log_fault regress/unit/log_plog \
    regress/unit/log_txn regress/unit/log_validate
noinst_PROGRAMS += regress/bench/log_bench
regress_bench_log_bench_SOURCES = regress/bench/log_bench.c
