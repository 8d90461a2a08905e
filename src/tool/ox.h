/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside ox: what is in files of its own. */
#ifndef TOOL_OX_H
#define TOOL_OX_H

#include "meta/meta.h"

enum { OX_USERS_MAX = 64 };

/* Users to be made, as the command line names them. */
struct ox_users {
    const char *scram[OX_USERS_MAX]; /* SCRAM-SHA-256=[name=alice,password=secret] */
    int scram_count;
    const char *superusers[OX_USERS_MAX];
    int superuser_count;
};

/* The command that makes them. */
ox_code ox_users_read(const struct env *env, const struct ox_users *users, struct arena *arena,
    struct meta_command *out, struct ox_err *err);
/* Into the metadata of a directory whose server is stopped; opened with manual. */
ox_code ox_users_put(struct meta *meta, const struct meta_command *cmd, struct ox_err *err);

#endif
