# SPDX-License-Identifier: Apache-2.0
BUILT_SOURCES += src/row/types.gen.h src/row/types.gen.c
nodist_liboxbow_a_SOURCES += src/row/types.gen.c
liboxbow_a_SOURCES += src/row/array.c src/row/csv.c src/row/datetime.c src/row/interval.c src/row/json.c \
    src/row/numeric.c src/row/text.c src/row/timezone.c src/row/type.c src/row/vector.c

src/row/types.gen.h: $(srcdir)/catalog/types.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_types.pm
	$(AM_V_GEN)$(MKDIR_P) src/row && $(TBL) types $(srcdir)/catalog/types.tbl $@
src/row/types.gen.c: $(srcdir)/catalog/types.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_types.pm
	$(AM_V_GEN)$(MKDIR_P) src/row && $(TBL) types $(srcdir)/catalog/types.tbl $@
