# SPDX-License-Identifier: Apache-2.0
BUILT_SOURCES += src/kafka/apis.gen.h
CLEANFILES += src/kafka/apis.gen.c
nodist_liboxbow_a_SOURCES += src/kafka/apis.gen.c
liboxbow_a_SOURCES += src/kafka/acls.c src/kafka/add_offsets_to_txn.c \
    src/kafka/add_partitions_to_txn.c src/kafka/alter_configs.c src/kafka/alter_replica_log_dirs.c \
    src/kafka/alter_share_group_offsets.c src/kafka/api_versions.c src/kafka/client_quotas.c \
    src/kafka/consumer_group_describe.c src/kafka/consumer_group_heartbeat.c \
    src/kafka/create_partitions.c src/kafka/create_topics.c src/kafka/delete_groups.c \
    src/kafka/topic_words.c src/kafka/words.c \
    src/kafka/delete_records.c src/kafka/delete_share_group_offsets.c \
    src/kafka/delete_topics.c src/kafka/describe_cluster.c src/kafka/describe_configs.c \
    src/kafka/describe_groups.c src/kafka/describe_log_dirs.c src/kafka/describe_producers.c \
    src/kafka/describe_share_group_offsets.c src/kafka/describe_topic_partitions.c \
    src/kafka/describe_transactions.c src/kafka/dispatch.c src/kafka/end_txn.c \
    src/kafka/fetch.c src/kafka/fetch_session.c src/kafka/find_coordinator.c src/kafka/frame.c \
    src/kafka/group_calls.c src/kafka/heartbeat.c src/kafka/init_producer_id.c src/kafka/join_group.c \
    src/kafka/leave_group.c src/kafka/list_groups.c src/kafka/list_offsets.c \
    src/kafka/list_transactions.c src/kafka/metadata.c src/kafka/offset_commit.c \
    src/kafka/offset_delete.c src/kafka/offset_fetch.c src/kafka/offset_for_leader_epoch.c \
    src/kafka/produce.c src/kafka/sasl.c src/kafka/scram_credentials.c \
    src/kafka/security_change.c src/kafka/share_call.c src/kafka/share_group_describe.c \
    src/kafka/share_group_heartbeat.c src/kafka/share_group_state.c src/kafka/streams_group_describe.c \
    src/kafka/streams_group_heartbeat.c src/kafka/sync_group.c src/kafka/txn_offset_commit.c \
    src/kafka/write_txn_markers.c
liboxbow_a_SOURCES += src/kafka/delegation_tokens.c
# administration
liboxbow_a_SOURCES += src/kafka/broker_loggers.c src/kafka/elect_leaders.c \
    src/kafka/list_config_resources.c src/kafka/partition_reassignments.c src/kafka/raft_voters.c src/kafka/telemetry_calls.c \
    src/kafka/update_features.c

src/kafka/apis.gen.h: $(srcdir)/catalog/apis.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_apis.pm
	$(AM_V_GEN)$(MKDIR_P) src/kafka && $(TBL) apis $(srcdir)/catalog/apis.tbl $@
src/kafka/apis.gen.c: $(srcdir)/catalog/apis.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_apis.pm
	$(AM_V_GEN)$(MKDIR_P) src/kafka && $(TBL) apis $(srcdir)/catalog/apis.tbl $@

check_PROGRAMS += regress/unit/kafka_frame
