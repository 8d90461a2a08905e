/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEC_INSERT_INT_H
#define EXEC_INSERT_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* _headers as it is written, an object {"k":"v"} or an array of {"key":"k","value":"v"} and
 * {"key":"k","bytes":"base64"}, as a record's headers.
 * Fails: OX_INVALID_PARAMETER_VALUE */
ox_code insert_headers(
    struct str json, struct arena *arena, struct str *encoded, int32_t *count, struct ox_err *err);

#endif
