# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += ox
ox_SOURCES = src/tool/ox.c
