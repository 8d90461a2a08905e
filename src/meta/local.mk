# SPDX-License-Identifier: Apache-2.0
META_SCHEMA = $(srcdir)/catalog/schema/001_catalog.sql \
    $(srcdir)/catalog/schema/002_security.sql $(srcdir)/catalog/schema/003_truncate.sql
META_QUERIES = $(srcdir)/catalog/queries.sql $(srcdir)/catalog/raft.sql $(META_SCHEMA)

BUILT_SOURCES += src/meta/queries.gen.h src/meta/queries.gen.c
nodist_liboxbow_a_SOURCES += src/meta/queries.gen.c
liboxbow_a_SOURCES += src/meta/apply.c src/meta/catalog.c src/meta/catalog_db.c \
    src/meta/command.c src/meta/identity.c src/meta/kafka_log.c \
    src/meta/kafka_mark.c src/meta/meta_snapshot.c \
    src/meta/node.c src/meta/place.c src/meta/propose.c src/meta/queries.c src/meta/raft.c \
    src/meta/raft_store.c src/meta/meta_settings.c src/meta/security.c src/meta/sqlite.c \
    src/meta/takeover.c src/meta/validate.c src/meta/vfs.c src/meta/view.c

src/meta/queries.gen.h: $(META_QUERIES) $(srcdir)/src/gen/queries.pl
	$(AM_V_GEN)$(MKDIR_P) src/meta && $(PERL) $(srcdir)/src/gen/queries.pl $@ $(META_QUERIES)
src/meta/queries.gen.c: $(META_QUERIES) $(srcdir)/src/gen/queries.pl
	$(AM_V_GEN)$(MKDIR_P) src/meta && $(PERL) $(srcdir)/src/gen/queries.pl $@ $(META_QUERIES)

# The manual's list of settings.
doc_DATA += doc/ref/settings.gen.md
BUILT_SOURCES += doc/ref/settings.gen.md
doc/ref/settings.gen.md: $(srcdir)/catalog/params.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_params.pm
	$(AM_V_GEN)$(MKDIR_P) doc/ref && $(TBL) params $(srcdir)/catalog/params.tbl $@

check_PROGRAMS += regress/unit/meta_node regress/unit/meta_catalog_db regress/unit/meta_command \
    regress/unit/meta_crash regress/unit/meta_kafka regress/unit/meta_place \
    regress/unit/meta_settings regress/unit/meta_takeover regress/unit/meta_vfs \
    regress/unit/meta_view \
    regress/unit/fuzz_meta_kafka
regress_unit_fuzz_meta_kafka_SOURCES = regress/fuzz/meta_kafka.c regress/fuzz/replay.c

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/meta_command regress/fuzz/meta_kafka regress/fuzz/meta_snapshot
regress_fuzz_meta_kafka_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_meta_command_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_meta_snapshot_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
