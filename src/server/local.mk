# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += oxbow
oxbow_SOURCES = src/server/boot.c src/server/certificates.c src/server/config.c src/server/doors.c src/server/http.c \
    src/server/listeners.c src/server/main.c src/server/teller.c

check_PROGRAMS += regress/unit/server_listeners
regress_unit_server_listeners_SOURCES = regress/unit/server_listeners.c src/server/listeners.c \
    src/server/certificates.c

check_PROGRAMS += regress/unit/server_teller
regress_unit_server_teller_SOURCES = regress/unit/server_teller.c src/server/teller.c

# A whole node in a simulated world; the door of HTTP is the test's.
check_PROGRAMS += regress/unit/server_sim
regress_unit_server_sim_SOURCES = regress/unit/server_sim.c src/server/boot.c \
    src/server/certificates.c src/server/config.c src/server/doors.c src/server/listeners.c src/server/teller.c
check_PROGRAMS += regress/unit/fuzz_server_config
regress_unit_fuzz_server_config_SOURCES = regress/fuzz/server_config.c regress/fuzz/replay.c \
    src/server/config.c

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/server_config
regress_fuzz_server_config_SOURCES = regress/fuzz/server_config.c src/server/config.c
regress_fuzz_server_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
