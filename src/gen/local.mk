# SPDX-License-Identifier: Apache-2.0
# Messages: each folder of grammar/ becomes one header and one source.
MSG = $(PERL) $(srcdir)/src/gen/msg.pl
KAFKA_MSGS = $(wildcard $(srcdir)/grammar/kafka/*.msg)
DISK_MSGS = $(wildcard $(srcdir)/grammar/disk/*.msg)
BUILT_SOURCES += src/gen/kafka.gen.h src/gen/disk.gen.h
CLEANFILES += src/gen/kafka.gen.c src/gen/disk.gen.c
nodist_liboxbow_a_SOURCES += src/gen/kafka.gen.c src/gen/disk.gen.c

src/gen/kafka.gen.h: $(KAFKA_MSGS) $(srcdir)/src/gen/msg.pl
	$(AM_V_GEN)$(MKDIR_P) src/gen && $(MSG) kafka $@ $(KAFKA_MSGS)
src/gen/kafka.gen.c: $(KAFKA_MSGS) $(srcdir)/src/gen/msg.pl
	$(AM_V_GEN)$(MKDIR_P) src/gen && $(MSG) kafka $@ $(KAFKA_MSGS)
src/gen/disk.gen.h: $(DISK_MSGS) $(srcdir)/src/gen/msg.pl
	$(AM_V_GEN)$(MKDIR_P) src/gen && $(MSG) disk $@ $(DISK_MSGS)
src/gen/disk.gen.c: $(DISK_MSGS) $(srcdir)/src/gen/msg.pl
	$(AM_V_GEN)$(MKDIR_P) src/gen && $(MSG) disk $@ $(DISK_MSGS)

check_PROGRAMS += regress/unit/base_msg
