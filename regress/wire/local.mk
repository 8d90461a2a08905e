# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += regress/wire/wire regress/wire/batches regress/unit/wire_frames
regress_wire_wire_SOURCES = regress/wire/wire.c regress/wire/wire_text.c regress/wire/grid.c
regress_wire_batches_SOURCES = regress/wire/batches.c
regress_unit_wire_frames_SOURCES = regress/wire/frames.c
