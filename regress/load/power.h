/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal between power.c, which writes it inside of a server, and
 * power_cut.c, which reads it when the server is dead. */
#ifndef LOAD_POWER_H
#define LOAD_POWER_H

#include <stdint.h>

enum power_kind {
    POWER_OPEN = 1, /* a file is used; if it is empty, changes before are of another one */
    POWER_CHANGE,   /* the bytes that were at pos follow, before they change */
    POWER_SYNC,     /* all changes numbered up to `number` are on disk */
};

enum { POWER_MAGIC = 0x6f787057 };

struct power_entry {
    uint32_t magic, kind;
    uint64_t device, inode;
    uint64_t number; /* of changes and, in SYNC, of the last one before it */
    uint64_t pos, len; /* what changes */
    uint64_t size; /* of the file before */
    uint32_t kept; /* bytes behind the entry */
    uint32_t pad;
};

#endif
