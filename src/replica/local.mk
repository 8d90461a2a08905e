# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/replica/home.c src/replica/partition.c
