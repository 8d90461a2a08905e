# SPDX-License-Identifier: Apache-2.0
# Every decoder has a target here: regress/fuzz/NAME.c, seeds in seed/NAME/.
# In an ordinary build each becomes a test that replays its seeds; with
# --enable-fuzz (clang) also a libFuzzer program:
#   build-fuzz/regress/fuzz/NAME regress/fuzz/seed/NAME -max_total_time=60
check_PROGRAMS += regress/unit/fuzz_kafka_message regress/unit/fuzz_kafka_request \
    regress/unit/fuzz_codec regress/unit/fuzz_pgwire_message
regress_unit_fuzz_kafka_message_SOURCES = regress/fuzz/kafka_message.c regress/fuzz/replay.c
regress_unit_fuzz_kafka_request_SOURCES = regress/fuzz/kafka_request.c regress/fuzz/replay.c
regress_unit_fuzz_pgwire_message_SOURCES = regress/fuzz/pgwire_message.c regress/fuzz/replay.c
regress_unit_fuzz_codec_SOURCES = regress/fuzz/codec.c regress/fuzz/replay.c

if ENABLE_FUZZ
noinst_PROGRAMS += regress/fuzz/kafka_message regress/fuzz/kafka_request regress/fuzz/codec \
    regress/fuzz/pgwire_message
regress_fuzz_kafka_message_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_kafka_request_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_pgwire_message_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
regress_fuzz_codec_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
