# SPDX-License-Identifier: Apache-2.0
BUILT_SOURCES += src/base/faults.gen.h src/base/errors.gen.h src/base/errors.gen.c src/base/locks.gen.h \
    src/base/params.gen.h src/base/params.gen.c src/base/limits.gen.h src/base/limits.gen.c
nodist_liboxbow_a_SOURCES += src/base/errors.gen.c src/base/params.gen.c src/base/limits.gen.c
liboxbow_a_SOURCES += src/base/arena.c src/base/buf.c src/base/check.c src/base/codec.c \
    src/base/crc32c.c src/base/diag.c src/base/env.c src/base/err.c src/base/fault.c \
    src/base/file.c src/base/file_sim.c src/base/late.c src/base/limits.c \
    src/base/lock.c src/base/map.c src/base/mem.c src/base/msg.c src/base/near.c src/base/param.c \
    src/base/rate.c src/base/side.c src/base/stop.c src/base/str.c src/base/stream_sim.c \
    src/base/wire.c

C_FILES = $(wildcard $(srcdir)/src/*/*.c)
src/base/faults.gen.h: $(C_FILES) $(srcdir)/src/gen/faults.pl
	$(AM_V_GEN)$(MKDIR_P) src/base && $(PERL) $(srcdir)/src/gen/faults.pl $@ $(C_FILES)
src/base/errors.gen.h: $(srcdir)/catalog/errors.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_errors.pm
	$(AM_V_GEN)$(MKDIR_P) src/base && $(TBL) errors $(srcdir)/catalog/errors.tbl $@
src/base/errors.gen.c: $(srcdir)/catalog/errors.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_errors.pm
	$(AM_V_GEN)$(MKDIR_P) src/base && $(TBL) errors $(srcdir)/catalog/errors.tbl $@
src/base/limits.gen.h: $(srcdir)/catalog/limits.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_limits.pm
	$(AM_V_GEN)$(MKDIR_P) src/base && $(TBL) limits $(srcdir)/catalog/limits.tbl $@
src/base/limits.gen.c: $(srcdir)/catalog/limits.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_limits.pm
	$(AM_V_GEN)$(MKDIR_P) src/base && $(TBL) limits $(srcdir)/catalog/limits.tbl $@
src/base/locks.gen.h: $(srcdir)/catalog/locks.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_locks.pm
	$(AM_V_GEN)$(MKDIR_P) src/base && $(TBL) locks $(srcdir)/catalog/locks.tbl $@
src/base/params.gen.h: $(srcdir)/catalog/params.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_params.pm
	$(AM_V_GEN)$(MKDIR_P) src/base && $(TBL) params $(srcdir)/catalog/params.tbl $@
src/base/params.gen.c: $(srcdir)/catalog/params.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_params.pm
	$(AM_V_GEN)$(MKDIR_P) src/base && $(TBL) params $(srcdir)/catalog/params.tbl $@

check_PROGRAMS += regress/unit/base_codec regress/unit/base_crc32c regress/unit/base_diag \
    regress/unit/base_file \
    regress/unit/base_mem regress/unit/base_str regress/unit/base_param regress/unit/base_rate regress/unit/base_fault
