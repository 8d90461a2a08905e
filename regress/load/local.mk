# SPDX-License-Identifier: Apache-2.0
# The load for servers that are killed: run by client/070_kill9.t.
check_PROGRAMS += regress/load/kill_load
regress_load_kill_load_SOURCES = regress/load/kill_load.c regress/load/load_kafka.c \
    regress/load/load_sql.c regress/load/load_write.c
regress_load_kill_load_LDADD = liboxbow.a $(SHELL_DEPS_LIBS) $(SERVER_LIBS)
regress_load_kill_load_CPPFLAGS = $(AM_CPPFLAGS) $(SHELL_DEPS_CFLAGS)
# Loaded in front of a server: a disk that fails, memory that is not there, a clock that is set back, a disk
# whose power can be cut (by power_cut).
check_PROGRAMS += regress/load/power_cut
regress_load_power_cut_SOURCES = regress/load/power_cut.c
regress_load_power_cut_LDADD = liboxbow.a $(SERVER_LIBS)
SHIMS = regress/load/bad_disk.so regress/load/bad_memory.so regress/load/past_clock.so \
    regress/load/power.so
check-programs: $(SHIMS)
CLEANFILES += $(SHIMS)
regress/load/bad_disk.so: regress/load/bad_disk.c
regress/load/bad_memory.so: regress/load/bad_memory.c
regress/load/past_clock.so: regress/load/past_clock.c
regress/load/power.so: regress/load/power.c regress/load/power.h
$(SHIMS):
	$(AM_V_CCLD)$(MKDIR_P) regress/load && $(CC) -O1 -Wall -Wextra -shared -fPIC -o $@ \
	    $(srcdir)/$(@:.so=.c) -ldl
