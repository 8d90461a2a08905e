# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/coord/admin.c src/coord/assign.c src/coord/consumer_group.c \
    src/coord/consumer_heartbeat.c src/coord/consumer_protocol.c src/coord/consumer_records.c \
    src/coord/group.c src/coord/host.c src/coord/java_order.c src/coord/migrate.c \
    src/coord/modern_describe.c src/coord/offsets.c src/coord/rebalance.c \
    src/coord/records.c src/coord/runtime.c src/coord/timers.c src/coord/topic_regex.c \
    src/coord/share_assign.c src/coord/share_group.c src/coord/share_heartbeat.c \
    src/coord/share_offsets.c src/coord/share_records.c src/coord/share_state.c \
    src/coord/streams_assign.c src/coord/streams_describe.c src/coord/streams_group.c \
    src/coord/streams_heartbeat.c src/coord/streams_reconcile.c src/coord/streams_records.c \
    src/coord/streams_topology.c \
    src/coord/topic_table.c src/coord/tpset.c src/coord/txn.c src/coord/txn_admin.c \
    src/coord/txn_calls.c

check_PROGRAMS += regress/unit/coord_consumer regress/unit/coord_host \
    regress/unit/coord_migrate regress/unit/coord_offsets regress/unit/coord_random \
    regress/unit/coord_rebalance regress/unit/coord_records regress/unit/coord_share \
    regress/unit/coord_streams regress/unit/coord_txn regress/unit/coord_walks \
    regress/unit/share_assign

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/coord_replay
regress_fuzz_coord_replay_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
