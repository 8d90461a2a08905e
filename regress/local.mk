# SPDX-License-Identifier: Apache-2.0
# Every unit test is a TAP program; `make check` runs them through prove.
check-local: $(check_PROGRAMS)
	$(PROVE) --exec '' $(check_PROGRAMS)
