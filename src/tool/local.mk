# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += ox
ox_SOURCES = src/tool/ox.c
bin_PROGRAMS += oxbench
oxbench_SOURCES = src/tool/oxbench.c
oxbench_CPPFLAGS = $(AM_CPPFLAGS) $(SHELL_DEPS_CFLAGS)
oxbench_LDADD = liboxbow.a $(SHELL_DEPS_LIBS) $(SERVER_LIBS)
