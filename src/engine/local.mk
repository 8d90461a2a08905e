# SPDX-License-Identifier: Apache-2.0
BUILT_SOURCES += src/engine/metrics.gen.h src/engine/metrics.gen.c
nodist_liboxbow_a_SOURCES += src/engine/metrics.gen.c
liboxbow_a_SOURCES += src/engine/append.c src/engine/consume.c src/engine/dead_letters.c src/engine/engine.c \
    src/engine/hosts.c src/engine/logins.c src/engine/metrics.c src/engine/quota.c src/engine/read.c src/engine/config_check.c src/engine/telemetry.c src/engine/otlp.c \
    src/engine/tokens.c src/engine/topic.c \
    src/engine/transact.c

src/engine/metrics.gen.h: $(srcdir)/catalog/metrics.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_metrics.pm
	$(AM_V_GEN)$(MKDIR_P) src/engine && $(TBL) metrics $(srcdir)/catalog/metrics.tbl $@
src/engine/metrics.gen.c: $(srcdir)/catalog/metrics.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_metrics.pm
	$(AM_V_GEN)$(MKDIR_P) src/engine && $(TBL) metrics $(srcdir)/catalog/metrics.tbl $@

check_PROGRAMS += regress/unit/engine_quota regress/unit/engine_otlp regress/unit/fuzz_engine_otlp
regress_unit_fuzz_engine_otlp_SOURCES = regress/fuzz/engine_otlp.c regress/fuzz/replay.c

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/engine_otlp
regress_fuzz_engine_otlp_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
