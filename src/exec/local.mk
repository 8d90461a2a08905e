# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/exec/aggregate.c src/exec/concat.c src/exec/cte.c src/exec/distinct.c \
    src/exec/feed.c src/exec/filter.c src/exec/function_scan.c src/exec/insert.c \
    src/exec/insert_headers.c src/exec/join.c src/exec/join_hash.c src/exec/join_loop.c \
    src/exec/keytable.c src/exec/limit.c src/exec/plan_build.c src/exec/project.c src/exec/recursive.c \
    src/exec/rows.c src/exec/run.c src/exec/scan_bounds.c src/exec/scan_catalog.c \
    src/exec/scan_decode.c src/exec/scan_headers.c src/exec/scan_last.c src/exec/scan_parts.c src/exec/scan_topic.c src/exec/setop.c src/exec/slice.c \
    src/exec/snapshot.c src/exec/sort.c src/exec/sorter.c src/exec/spill.c src/exec/spill_parts.c src/exec/store.c \
    src/exec/subquery.c src/exec/subscribe.c src/exec/token.c src/exec/values.c src/exec/window.c

# Expressions, functions, aggregates
BUILT_SOURCES += src/exec/functions.gen.h src/exec/functions.gen.c
nodist_liboxbow_a_SOURCES += src/exec/functions.gen.c
liboxbow_a_SOURCES += src/exec/agg.c src/exec/agg_collect.c src/exec/expr.c src/exec/expr_compound.c src/exec/expr_bind.c \
    src/exec/expr_tree.c src/exec/func_array.c src/exec/func_bytes.c src/exec/func_catalog.c \
    src/exec/func_choose.c src/exec/func_compare.c src/exec/func_format.c src/exec/func_format_number.c src/exec/func_json.c \
    src/exec/func_jsonpath.c src/exec/json_path.c src/exec/func_math.c \
    src/exec/func_privilege.c src/exec/func_regex.c src/exec/func_set.c src/exec/func_sys.c src/exec/func_text.c src/exec/func_time.c \
    src/exec/func_time_make.c src/exec/func_time_part.c src/exec/regex.c

src/exec/functions.gen.h: $(srcdir)/catalog/functions.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_functions.pm
	$(AM_V_GEN)$(MKDIR_P) src/exec && $(TBL) functions $(srcdir)/catalog/functions.tbl $@
src/exec/functions.gen.c: $(srcdir)/catalog/functions.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_functions.pm
	$(AM_V_GEN)$(MKDIR_P) src/exec && $(TBL) functions $(srcdir)/catalog/functions.tbl $@

check_PROGRAMS += regress/unit/exec_last regress/unit/exec_plan regress/unit/exec_token \
    regress/unit/exec_topic regress/unit/fuzz_exec_token regress/unit/fuzz_exec_scan
regress_unit_fuzz_exec_token_SOURCES = regress/fuzz/exec_token.c regress/fuzz/replay.c
regress_unit_fuzz_exec_scan_SOURCES = regress/fuzz/exec_scan.c regress/fuzz/replay.c

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/exec_token regress/fuzz/exec_scan
regress_fuzz_exec_token_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_exec_scan_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif

check_PROGRAMS += regress/unit/exec_oracle regress/unit/exec_expr
check_PROGRAMS += regress/unit/fuzz_exec_regex regress/unit/fuzz_exec_json_path
regress_unit_fuzz_exec_regex_SOURCES = regress/fuzz/exec_regex.c regress/fuzz/replay.c
regress_unit_fuzz_exec_json_path_SOURCES = regress/fuzz/exec_json_path.c regress/fuzz/replay.c

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/exec_regex regress/fuzz/exec_json_path
regress_fuzz_exec_regex_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_exec_json_path_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
