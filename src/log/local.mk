# SPDX-License-Identifier: Apache-2.0
liboxbow_a_SOURCES += src/log/index.c src/log/leader_epochs.c src/log/producer_state.c \
    src/log/record_batch.c src/log/segment.c
