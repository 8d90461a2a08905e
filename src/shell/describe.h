/* SPDX-License-Identifier: Apache-2.0
 *
 * What describe.c (lists) and describe_one.c (one relation, lag, configuration)
 * share. */
#ifndef SHELL_DESCRIBE_H
#define SHELL_DESCRIBE_H

#include "shell/shell.h"

/* Regular expressions of a shell pattern; schema is NULL without a dot. With dots false a dot is
 * part of the name, as in names of topics. */
void describe_pattern(struct arena *arena, const char *pattern, bool dots, const char **schema,
    const char **name);
void describe_where(struct shell *sh, struct text *query, const char *pattern,
    const char *schema_column, const char *name_column, const char *visible);
void describe_print(struct shell *sh, const PGresult *result, const char *title,
    const char *const *footers);
enum backslash_result describe_relations(struct shell *sh, const char *pattern, bool verbose);

#endif
