# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/replica/append_queue.c src/replica/home.c src/replica/mover.c \
    src/replica/partition.c
check_PROGRAMS += regress/unit/replica_partition
