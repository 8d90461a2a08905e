/* SPDX-License-Identifier: Apache-2.0
 *
 * What the process holds, and that it goes on without pages it can have back. */
#include "base/mem.h"

#include <unistd.h>

#include "base/buf.h"

#include "tap.h"

enum { SIZE = 1024 * 1024, COUNT = 4 };

static void
take_and_put(int count)
{
    struct buf *bufs[COUNT];
    for (int i = 0; i < count; i++)
        bufs[i] = ox_buf_new_as(SIZE, MEM_OTHER);
    for (int i = 0; i < count; i++)
        ox_buf_put(bufs[i]);
}

static void
tend(void)
{
    ox_buf_tend();
    ox_buf_tend_depot();
}

static void
test_buffers(void)
{
    take_and_put(COUNT);
    is_int((int64_t)mem_used(MEM_CACHE), COUNT * SIZE, "free buffers are kept");
    tend();
    is_int((int64_t)mem_used(MEM_CACHE), COUNT * SIZE, "for a while");
    take_and_put(3);
    tend();
    is_int((int64_t)mem_used(MEM_CACHE), 3 * SIZE, "what nobody needed in it goes");
    tend();
    is_int((int64_t)mem_used(MEM_CACHE), 0, "and all when nobody needs any");
    take_and_put(1);
    ox_buf_trim();
    is_int((int64_t)mem_used(MEM_CACHE), 0, "or at once when that is asked for");
}

int
main(void)
{
    test_buffers();
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
