# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/auth/acl.c src/auth/exchange.c src/auth/jaas.c src/auth/jwt.c src/auth/keys.c src/auth/network.c src/auth/pattern.c \
    src/auth/principal.c src/auth/scram.c

check_PROGRAMS += regress/unit/auth_sasl regress/unit/auth_acl regress/unit/auth_exchange regress/unit/auth_jaas \
    regress/unit/auth_principal
check_PROGRAMS += regress/unit/fuzz_auth_exchange regress/unit/fuzz_auth_names regress/unit/fuzz_auth_jaas
regress_unit_fuzz_auth_exchange_SOURCES = regress/fuzz/auth_exchange.c regress/fuzz/replay.c
regress_unit_fuzz_auth_names_SOURCES = regress/fuzz/auth_names.c regress/fuzz/replay.c
regress_unit_fuzz_auth_jaas_SOURCES = regress/fuzz/auth_jaas.c regress/fuzz/replay.c
if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/auth_exchange regress/fuzz/auth_names regress/fuzz/auth_jaas
regress_fuzz_auth_exchange_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_auth_jaas_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_auth_names_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
