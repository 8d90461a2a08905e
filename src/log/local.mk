# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/log/checkpoint.c src/log/checkpoint_files.c src/log/cleaner.c \
    src/log/compact.c src/log/dir_threads.c src/log/index.c src/log/key_map.c src/log/leader_epochs.c \
    src/log/log_cursor.c src/log/log_dir.c src/log/log_verify.c src/log/plog.c src/log/plog_append.c \
    src/log/plog_move.c src/log/plog_read.c src/log/plog_validate.c src/log/producer_state.c \
    src/log/record_batch.c src/log/recover.c src/log/retain.c src/log/segment.c src/log/wal.c \
    src/log/wal_replay.c
check_PROGRAMS += regress/unit/log_compact regress/unit/log_crash regress/unit/log_detach \
    regress/unit/log_fault regress/unit/log_move regress/unit/log_plog regress/unit/log_producers \
    regress/unit/log_read regress/unit/log_record_batch regress/unit/log_threads \
    regress/unit/log_retain regress/unit/log_txn regress/unit/log_validate
EXTRA_PROGRAMS += regress/bench/log_bench
regress_bench_log_bench_SOURCES = regress/bench/log_bench.c
check_PROGRAMS += regress/unit/fuzz_log_batch regress/unit/fuzz_log_recover
regress_unit_fuzz_log_batch_SOURCES = regress/fuzz/log_batch.c regress/fuzz/replay.c
regress_unit_fuzz_log_recover_SOURCES = regress/fuzz/log_recover.c regress/fuzz/replay.c

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/log_batch regress/fuzz/log_recover
regress_fuzz_log_batch_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_log_recover_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
