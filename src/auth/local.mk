# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/auth/acl.c src/auth/exchange.c src/auth/jwt.c src/auth/keys.c src/auth/pattern.c \
    src/auth/principal.c src/auth/scram.c

check_PROGRAMS += regress/unit/auth_sasl
