/* SPDX-License-Identifier: Apache-2.0
 *
 * What the process holds, and that it goes on without pages it can have back. */
#include "base/mem.h"

#include <unistd.h>

#include "tap.h"

int
main(void)
{
    size_t before = mem_resident();
    if (before > 0 && access("/proc/self/smaps", R_OK) == 0) {
        size_t gone = mem_forget_code();
        ok(gone > 0, "pages of program and libraries can be let go");
        /* Where memory is short few were there, and the kernel counts by the dozen. */
        ok(gone < 256 << 10 || mem_resident() < before, "and are not held any more");
    }
    ok(mem_default_limit() > 0, "the program goes on");
    return done();
}
