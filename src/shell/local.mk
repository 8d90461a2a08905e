# SPDX-License-Identifier: Apache-2.0
# libshell.a holds all but main(), so that unit tests can link it.
noinst_LIBRARIES += libshell.a
bin_PROGRAMS += oxsql
libshell_a_SOURCES = src/shell/backslash.c src/shell/backslash_args.c src/shell/cell.c \
    src/shell/complete.c src/shell/describe.c src/shell/describe_one.c src/shell/input.c \
    src/shell/print.c src/shell/print_aligned.c src/shell/print_expanded.c \
    src/shell/print_markup.c src/shell/prompt.c src/shell/pset.c src/shell/query.c \
    src/shell/query_live.c src/shell/script.c src/shell/shell_conn.c src/shell/shell_copy.c \
    src/shell/shell_help.c src/shell/shell_say.c src/shell/splitter.c src/shell/vars.c
nodist_libshell_a_SOURCES = src/shell/help.gen.c
libshell_a_CFLAGS = $(AM_CFLAGS) $(SHELL_DEPS_CFLAGS)
oxsql_SOURCES = src/shell/shell.c
oxsql_CFLAGS = $(AM_CFLAGS) $(SHELL_DEPS_CFLAGS)
oxsql_LDADD = libshell.a liboxbow.a $(SHELL_DEPS_LIBS)

HELP_PAGES = $(wildcard $(srcdir)/doc/sql/*.md)
BUILT_SOURCES += src/shell/help.gen.c
src/shell/help.gen.c: $(HELP_PAGES) $(srcdir)/src/gen/help.pl
	$(AM_V_GEN)$(MKDIR_P) src/shell && $(PERL) $(srcdir)/src/gen/help.pl $@ $(HELP_PAGES)

SHELL_TESTS = regress/unit/shell_print regress/unit/shell_splitter regress/unit/shell_vars
check_PROGRAMS += $(SHELL_TESTS)
regress_unit_shell_print_LDADD = libshell.a liboxbow.a $(SHELL_DEPS_LIBS)
regress_unit_shell_splitter_LDADD = libshell.a liboxbow.a $(SHELL_DEPS_LIBS)
regress_unit_shell_vars_LDADD = libshell.a liboxbow.a $(SHELL_DEPS_LIBS)

check_PROGRAMS += regress/unit/fuzz_shell_splitter
regress_unit_fuzz_shell_splitter_SOURCES = regress/fuzz/shell_splitter.c regress/fuzz/replay.c
regress_unit_fuzz_shell_splitter_LDADD = libshell.a liboxbow.a $(SHELL_DEPS_LIBS)
if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/shell_splitter
regress_fuzz_shell_splitter_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_shell_splitter_LDADD = libshell.a liboxbow.a $(SHELL_DEPS_LIBS)
endif
