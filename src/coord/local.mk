# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/coord/admin.c src/coord/consumer_protocol.c src/coord/group.c \
    src/coord/host.c src/coord/offsets.c src/coord/rebalance.c src/coord/records.c \
    src/coord/runtime.c src/coord/timers.c

check_PROGRAMS += regress/unit/coord_rebalance
