/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a login, one a line after the first byte, which says the
 * mechanism: no text gets in, and none breaks anything. */
#include "config.h"

#include "auth/auth.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool
refused(enum auth_result result)
{
    ox_assert(result != AUTH_DONE); /* nobody has a password */
    return result == AUTH_FAILED;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct meta_security nobody;
    struct auth_jwt_rules rules = {.subject_claim = "sub", .scope_claim = "scope"};
    struct auth_context ctx = {.env = env_os(), .security = &nobody, .token_secret = "secret",
        .jwt = &rules, .now_ms = 1};
    struct arena arena;
    if (len < 1)
        return 0;
    ox_arena_init(&arena);
    struct auth_exchange *exchange =
        auth_exchange_new((enum auth_mechanism)(data[0] % AUTH_MECHANISM_COUNT));
    bool binding = (data[0] & 64) != 0;
    if ((data[0] & 32) != 0)
        auth_exchange_for_user(exchange, OX_STR("ann"), "bind", binding ? 4 : 0);
    if (binding)
        auth_exchange_require_binding(exchange);
    const char *at = (const char *)data + 1, *end = (const char *)data + len;
    for (bool over = false; at < end && !over;) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t part = line != NULL ? (size_t)(line - at) : (size_t)(end - at);
        struct str reply;
        struct ox_err err = {0};
        enum auth_result result = auth_step(exchange, &ctx, ox_str_n(at, part), &arena, &reply,
            &err);
        if (result == AUTH_WORK) {
            auth_work(exchange);
            result = auth_worked(exchange, &ctx, &arena, &reply, &err);
        }
        over = refused(result);
        ox_assert(!over || err.code == OX_SASL_AUTHENTICATION_FAILED);
        at += OX_MIN(part + 1, (size_t)(end - at));
    }
    auth_exchange_free(exchange);
    ox_arena_fini(&arena);
    return 0;
}
