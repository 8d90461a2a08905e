# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/net/conn.c src/net/listen.c src/net/shed.c src/net/tls.c
check_PROGRAMS += regress/unit/net_conn regress/unit/net_tls
