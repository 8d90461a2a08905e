# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/pgwire/dialog.c src/pgwire/login.c src/pgwire/message.c src/pgwire/result.c \
    src/pgwire/startup.c
