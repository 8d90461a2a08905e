/* SPDX-License-Identifier: Apache-2.0
 *
 * The first byte chooses: a subject's DER bytes; rules of mapping, a newline and a
 * name; a set of keys; a stored password. */
#include "config.h"

#include "auth/auth.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
map_name(struct str text, struct arena *arena, struct text *out)
{
    struct auth_mapping *mapping;
    struct ox_err err;
    const char *line = text.len > 0 ? memchr(text.ptr, '\n', text.len) : NULL;
    if (line == NULL)
        return;
    char *rules = ox_arena_strndup(arena, text.ptr, (size_t)(line - text.ptr));
    if (auth_mapping_parse(rules, &mapping, &err) == OX_OK) {
        auth_mapping_apply(mapping, ox_str_n(line + 1, text.len - (size_t)(line + 1 - text.ptr)),
            out, &err);
        auth_mapping_free(mapping);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena;
    struct text out;
    struct ox_err err;
    struct auth_jwks *keys;
    struct meta_scram scram;
    bool is;
    if (len < 1)
        return 0;
    struct str rest = ox_str_n((const char *)data + 1, len - 1);
    ox_arena_init(&arena);
    ox_text_init(&out, &arena);
    switch (data[0] % 4) {
    case 0:
        auth_dn_print(rest.ptr, rest.len, &out, &err);
        break;
    case 1:
        map_name(rest, &arena, &out);
        break;
    case 2:
        if (auth_jwks_parse(rest, &keys, &err) == OX_OK) {
            ox_assert(auth_jwks_count(keys) > 0);
            auth_jwks_free(keys);
        }
        break;
    default:
        if (auth_scram_parse(OX_STR("ann"), rest, &arena, &scram, &is, &err) == OX_OK && is)
            ox_assert(scram.stored_key.len == 32 || scram.stored_key.len == 64);
        break;
    }
    ox_arena_fini(&arena);
    return 0;
}
