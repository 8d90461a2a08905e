# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/loop/loop.c src/loop/pool.c
check_PROGRAMS += regress/unit/loop_loop
