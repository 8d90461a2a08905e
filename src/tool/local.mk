# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += ox
ox_SOURCES = src/tool/ox.c src/tool/ox_users.c
bin_PROGRAMS += oxbench
oxbench_SOURCES = src/tool/oxbench.c src/tool/bench.h src/tool/bench_cancel.c src/tool/bench_clients.c \
    src/tool/bench_fetch.c \
    src/tool/bench_kafka.c \
    src/tool/bench_life.c src/tool/bench_null.c src/tool/bench_nullsql.c src/tool/bench_produce.c \
    src/tool/bench_report.c src/tool/bench_sql.c src/tool/bench_target.c
oxbench_CPPFLAGS = $(AM_CPPFLAGS) $(SHELL_DEPS_CFLAGS) $(BENCH_CFLAGS)
oxbench_LDADD = liboxbow.a $(SHELL_DEPS_LIBS) $(SERVER_LIBS) $(BENCH_LIBS)

noinst_PROGRAMS += regress/bench/micro_bench
regress_bench_micro_bench_LDADD = liboxbow.a $(SERVER_LIBS) -lsnappy
