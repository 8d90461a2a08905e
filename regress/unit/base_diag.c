/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics: which logger a source file belongs to, wherever the tree lies. */
#include <stdlib.h>
#include <unistd.h>

#include "base/diag.h"
#include "tap.h"

/* Whether a line of that source comes out. */
static bool
says(const char *path)
{
    FILE *to = tmpfile();
    int kept = dup(STDERR_FILENO);
    dup2(fileno(to), STDERR_FILENO);
    ox_diag_at(path, OX_DIAG_DEBUG, "a line", "number=%d", 1);
    dup2(kept, STDERR_FILENO);
    close(kept);
    bool said = lseek(fileno(to), 0, SEEK_END) > 0;
    fclose(to);
    return said;
}

int
main(void)
{
    int level = ox_logger_level_find("DEBUG", 5), net = ox_logger_find("oxbow.net", 9);
    ok(level >= 0 && net >= 0, "there are the level and the logger");
    ok(!says("../src/net/conn.c"), "it says little at first");
    ox_logger_set(net, level);
    ok(says("../src/net/conn.c") && says("src/net/conn.c"), "and more when it is told to");
    ok(says("/usr/src/oxbow/src/net/conn.c"), "in whatever directory the tree was built");
    ok(!says("../src/log/wal.c") && !says("/usr/src/net/src/log/wal.c"), "others do not");
    return done();
}
