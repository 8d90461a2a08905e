/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "engine/engine_int.h"

static const char *const keys[] = {"client_instance_id", "client_id", "client_software_name",
    "client_software_version", "client_source_address", "client_source_port"};

int
engine_telemetry_key(struct str name)
{
    for (int i = 0; i < (int)ox_count(keys); i++)
        if (ox_str_is(name, keys[i]))
            return i;
    return -1;
}
