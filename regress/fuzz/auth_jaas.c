/* SPDX-License-Identifier: Apache-2.0
 *
 * Users of PLAIN in a setting: any text is read or refused, errors hold nothing of it, and
 * nobody logs in where the whole is refused. */
#include "config.h"

#include "auth/auth.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ox_err err = {0};
    struct str text = ox_str_n((const char *)data, len);
    ox_code code = auth_jaas_check(text, &err);
    ox_assert(code == OX_OK || (code == OX_INVALID_CONFIG && err.message[0] != 0));
    bool knows = auth_jaas_knows(text, OX_STR("ann"), OX_STR("ann-secret"));
    ox_assert(!knows || code == OX_OK);
    ox_assert(code == OX_OK || strstr(err.message, "secret") == NULL);
    return 0;
}
