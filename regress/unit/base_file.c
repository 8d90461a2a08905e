/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operating system says of an open file. */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static void
alone(void)
{
    char path[64], other[80];
    struct file *first, *second;
    struct ox_err err;
    struct file_system *fs = file_system_os();
    snprintf(path, sizeof(path), "base_file.%d", (int)getpid());
    ok(fs_open(fs, "test", path, FILE_READ | FILE_WRITE | FILE_CREATE, &first, &err) == OX_OK,
        "a file is made");
    /* Not every file system knows. */
    if (fs_alone(fs, first)) {
        ok(fs_open(fs, "test", path, FILE_READ, &second, &err) == OX_OK, "and opened again");
        ok(!fs_alone(fs, first), "nobody is alone while another reads");
        fs_close(fs, second);
        ok(fs_alone(fs, first), "and is again when that one is gone");
        snprintf(other, sizeof(other), "%s.link", path);
        if (link(path, other) == 0) {
            ok(!fs_alone(fs, first), "nor while the file has another name");
            unlink(other);
        }
    }
    fs_close(fs, first);
    fs_unlink(fs, "test", path, &err);
}

int
main(void)
{
    alone();
    return done();
}
