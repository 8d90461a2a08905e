# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/share/share.c src/share/share_part.c src/share/share_runs.c
check_PROGRAMS += regress/unit/share_runs
