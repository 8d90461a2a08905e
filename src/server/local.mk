# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += oxbow
oxbow_SOURCES = src/server/boot.c src/server/config.c src/server/http.c src/server/main.c
