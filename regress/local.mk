# SPDX-License-Identifier: Apache-2.0
# Every unit test is a TAP program; `make check` runs them through prove.
EXTRA_DIST += regress
check-programs: $(BUILT_SOURCES) $(check_PROGRAMS)
check-local: $(check_PROGRAMS) $(SHIMS)
	$(top_srcdir)/regress/run $(abs_builddir)
.PHONY: check-programs
