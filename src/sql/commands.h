/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of catalog/commands.tbl: statements by their first words. */
#ifndef SQL_COMMANDS_H
#define SQL_COMMANDS_H

enum sql_command_served { SQL_COMMAND_NO, SQL_COMMAND_YES, SQL_COMMAND_NOOP };
enum sql_command_kind {
    SQL_KIND_READ,
    SQL_KIND_WRITE,
    SQL_KIND_COPY,
    SQL_KIND_DEFINITION,
    SQL_KIND_SESSION,
    SQL_KIND_TRANSACTION,
};

enum { SQL_COMMAND_WORDS_MAX = 4 };

struct sql_command {
    const char *words; /* lower case, one blank between */
    enum sql_command_served served;
    enum sql_command_kind kind;
    const char *hint; /* or NULL */
};

extern const struct sql_command sql_commands[];
extern const int sql_command_count;

#endif
