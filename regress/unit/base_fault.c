/* SPDX-License-Identifier: Apache-2.0
 *
 * Failpoints: their registry, programs, and counts. */
#include "base/fault.h"

#include "tap.h"

#ifdef OX_FAULT

/* The hits at which the point acts, of so many, as digits. */
static const char *
acts(const char *program, int hits)
{
    static char text[32];
    size_t len = 0;
    static struct ox_err err;
    ox_fault_clear();
    if (ox_fault_set(program, &err) != OX_OK)
        return err.message;
    for (int i = 1; i <= hits; i++)
        if (ox_fault("log.append") != OX_OK)
            text[len++] = (char)('0' + i);
    text[len] = '\0';
    ox_fault_clear();
    return text;
}

int
main(void)
{
    int sorted = 0, known = 0, count = 0;
    for (; ox_fault_site(count) != NULL; count++) {
        sorted += count > 0 && strcmp(ox_fault_site(count - 1), ox_fault_site(count)) >= 0;
        known += strcmp(ox_fault_site(count), "log.append") == 0;
    }
    ok(count > 10 && sorted == 0, "the registry lists points in order, each once");
    is_int(known, 1, "among them that of appends");
    uint64_t before = ox_fault_hits("log.append");
    ok(ox_fault("log.append") == OX_OK, "a point without a program does nothing");
    is_int(ox_fault_hits("log.append"), before + 1, "and is counted");
    is_int(ox_fault_hits("log.fsync"), 0, "another one is not");
    is_str(acts("log.append=disk_full", 3), "123", "a program acts at each hit");
    is_str(acts("log.append=disk_full@2", 4), "234", "from the second on");
    is_str(acts("log.append=disk_full@2!", 4), "2", "at the second alone");
    is_str(acts("log.append=disk_full@3*", 7), "36", "at each third");
    is_str(acts("log.fsync=disk_full,log.append=io_error@3!", 4), "3", "each point has its own");
    is_str(acts("log.append=delay:1", 2), "", "a delay fails nothing");
    is_int(ox_fault_set("log.append=disk_full", NULL), OX_OK, "an error by its name");
    is_int(ox_fault("log.append"), OX_DISK_FULL, "is what the point fails with");
    ox_fault_clear();
    is_int(ox_fault_set("log.apend=disk_full", NULL), OX_INVALID_PARAMETER_VALUE,
        "a point that no code has is refused");
    is_int(ox_fault_set("log.append=no_such_error", NULL), OX_INVALID_PARAMETER_VALUE, "so is an error");
    is_int(ox_fault_set("log.append=disk_full@0", NULL), OX_INVALID_PARAMETER_VALUE, "and hit 0");
    return done();
}

#else

int
main(void)
{
    printf("1..0 # SKIP not built with --enable-fault\n");
    return 0;
}

#endif
