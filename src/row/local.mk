# SPDX-License-Identifier: Apache-2.0
BUILT_SOURCES += src/row/types.gen.h src/row/types.gen.c
nodist_liboxbow_a_SOURCES += src/row/types.gen.c
liboxbow_a_SOURCES += src/row/array.c src/row/csv.c src/row/datetime.c src/row/interval.c \
    src/row/json.c src/row/json_datum.c src/row/json_find.c src/row/json_string.c \
    src/row/num_digits.c src/row/num_math.c src/row/num_sum.c src/row/numeric.c src/row/text.c \
    src/row/timezone.c src/row/type.c src/row/type_binary.c src/row/vector.c

src/row/types.gen.h: $(srcdir)/catalog/types.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_types.pm
	$(AM_V_GEN)$(MKDIR_P) src/row && $(TBL) types $(srcdir)/catalog/types.tbl $@
src/row/types.gen.c: $(srcdir)/catalog/types.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_types.pm
	$(AM_V_GEN)$(MKDIR_P) src/row && $(TBL) types $(srcdir)/catalog/types.tbl $@

check_PROGRAMS += regress/unit/row_type regress/unit/fuzz_row_json regress/unit/fuzz_row_type \
    regress/unit/fuzz_row_copy regress/unit/fuzz_row_timezone
regress_unit_fuzz_row_json_SOURCES = regress/fuzz/row_json.c regress/fuzz/replay.c
regress_unit_fuzz_row_type_SOURCES = regress/fuzz/row_type.c regress/fuzz/replay.c
regress_unit_fuzz_row_copy_SOURCES = regress/fuzz/row_copy.c regress/fuzz/replay.c
regress_unit_fuzz_row_timezone_SOURCES = regress/fuzz/row_timezone.c regress/fuzz/replay.c

noinst_PROGRAMS += regress/bench/row_bench

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/row_json regress/fuzz/row_type regress/fuzz/row_copy \
    regress/fuzz/row_timezone
regress_fuzz_row_json_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_row_type_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_row_copy_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_row_timezone_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
