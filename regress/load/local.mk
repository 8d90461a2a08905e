# SPDX-License-Identifier: Apache-2.0
# The load for servers that are killed: run by client/070_kill9.t.
check_PROGRAMS += regress/load/kill_load
regress_load_kill_load_SOURCES = regress/load/kill_load.c regress/load/load_kafka.c \
    regress/load/load_sql.c regress/load/load_write.c
regress_load_kill_load_LDADD = liboxbow.a $(SHELL_DEPS_LIBS) $(SERVER_LIBS)
regress_load_kill_load_CPPFLAGS = $(AM_CPPFLAGS) $(SHELL_DEPS_CFLAGS)
