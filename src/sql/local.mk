# SPDX-License-Identifier: Apache-2.0
# sql.y is put together with the words of keywords.tbl before lemon sees it. A
# conflict in the grammar fails the build.
LEMPAR = /usr/share/lemon/lempar.c
BUILT_SOURCES += sql_parser.gen.h
nodist_liboxbow_a_SOURCES += src/sql/views.gen.c src/sql/sql_parser.gen.c src/sql/sql_scan.gen.c \
    src/sql/keywords.gen.c src/sql/commands.gen.c
liboxbow_a_SOURCES += src/sql/ast.c src/sql/bind.c src/sql/bind_call.c src/sql/bind_expr.c src/sql/bind_from.c \
    src/sql/bind_group.c src/sql/bind_insert.c src/sql/bind_live.c src/sql/bind_push.c \
    src/sql/bind_query.c src/sql/bind_record.c src/sql/bind_setop.c src/sql/copy.c src/sql/copy_options.c \
    src/sql/ddl.c src/sql/explain.c src/sql/hold.c src/sql/parse.c src/sql/portal.c src/sql/refuse.c src/sql/roles.c src/sql/session_facts.c src/sql/settings.c src/sql/statement.c src/sql/syscat.c \
    src/sql/syscat_feeds.c src/sql/utility.c

src/sql/views.gen.c: $(srcdir)/catalog/views.tbl $(srcdir)/catalog/types.tbl $(srcdir)/src/gen/views.pl
	$(AM_V_GEN)$(MKDIR_P) src/sql && $(PERL) $(srcdir)/src/gen/views.pl $(srcdir)/catalog/views.tbl $(srcdir)/catalog/types.tbl $@
src/sql/sql_words.gen.y: $(srcdir)/catalog/keywords.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_keywords.pm
	$(AM_V_GEN)$(MKDIR_P) src/sql && $(TBL) keywords $(srcdir)/catalog/keywords.tbl $@
src/sql/sql_parser.gen.c: $(srcdir)/grammar/sql.y src/sql/sql_words.gen.y
	$(AM_V_GEN)$(MKDIR_P) src/sql && cat $(srcdir)/grammar/sql.y src/sql/sql_words.gen.y > src/sql/sql_parser.y && \
	$(LEMON) -q -T$(LEMPAR) src/sql/sql_parser.y && mv src/sql/sql_parser.c $@
sql_parser.gen.h: src/sql/sql_parser.gen.c
	$(AM_V_GEN)cp src/sql/sql_parser.h $@
src/sql/sql_scan.gen.c: $(srcdir)/grammar/sql.re
	$(AM_V_GEN)$(MKDIR_P) src/sql && $(RE2C) -W -Wno-nondeterministic-tags --no-generation-date -i -o $@ $(srcdir)/grammar/sql.re
src/sql/keywords.gen.c: $(srcdir)/catalog/keywords.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_keywords.pm
	$(AM_V_GEN)$(MKDIR_P) src/sql && $(TBL) keywords $(srcdir)/catalog/keywords.tbl $@
src/sql/commands.gen.c: $(srcdir)/catalog/commands.tbl $(TBL_DEPS) $(srcdir)/src/gen/tbl_commands.pm
	$(AM_V_GEN)$(MKDIR_P) src/sql && $(TBL) commands $(srcdir)/catalog/commands.tbl $@
CLEANFILES += src/sql/views.gen.c src/sql/sql_words.gen.y src/sql/sql_parser.gen.c src/sql/sql_parser.y src/sql/sql_parser.h \
    src/sql/sql_parser.out src/sql/sql_scan.gen.c src/sql/keywords.gen.c src/sql/commands.gen.c
EXTRA_DIST += grammar/sql.y grammar/sql.re catalog/keywords.tbl catalog/commands.tbl
check_PROGRAMS += regress/unit/sql_parse
EXTRA_DIST += regress/unit/sql_sentences.inc
check_PROGRAMS += regress/unit/fuzz_sql_parse
regress_unit_fuzz_sql_parse_SOURCES = regress/fuzz/sql_parse.c regress/fuzz/replay.c
if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/sql_parse
regress_fuzz_sql_parse_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
