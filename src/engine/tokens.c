/* SPDX-License-Identifier: Apache-2.0
 *
 * Delegation tokens whose time is over are removed, as often as
 * delegation.token.expiry.check.interval.ms says. Until then they are described, but
 * nobody logs in with one. */
#include "base/check.h"
#include "base/diag.h"
#include "engine/engine_int.h"

enum { SWEPT_MAX = 1000 }; /* by a command; the rest goes with the next look */

struct sweep {
    struct meta_call call; /* first: done gets it */
    uint32_t count;
};

static void
swept(struct meta_call *call)
{
    struct sweep *sweep = (struct sweep *)(void *)call;
    if (call->code == OX_OK)
        ox_info("delegation tokens that ran out were removed", "count=%u", sweep->count);
    else
        ox_diag_err(OX_DIAG_WARN, "delegation tokens that ran out were not removed", &call->err);
    ox_free(sweep);
}

static void
remove_tokens(struct engine *engine, struct meta_security_change *changes, uint32_t count)
{
    struct sweep *sweep = ox_calloc(1, sizeof(*sweep));
    struct meta_command cmd = {.kind = META_SECURITY};
    struct ox_err err;
    cmd.security.changes = changes;
    cmd.security.change_count = count;
    sweep->call.done = swept;
    sweep->count = count;
    if (meta_propose(engine->config.meta, &sweep->call, &cmd, &err) != OX_OK)
        ox_free(sweep); /* the next look tries again */
}

void
engine_tokens_tend(struct engine *engine, const struct meta_view *view)
{
    uint64_t now_ns = env_mono_ns(engine->env);
    uint64_t every_ns =
        (uint64_t)view->settings->delegation_token_expiry_check_interval_ms * 1000000;
    const struct meta_security *security = view->security;
    int64_t now = env_wall_ms(engine->env);
    struct arena arena;
    uint32_t count = 0;
    if (engine->tokens_looked_ns == 0)
        engine->tokens_looked_ns = now_ns;
    if (now_ns - engine->tokens_looked_ns < every_ns)
        return;
    engine->tokens_looked_ns = now_ns;
    ox_arena_init(&arena);
    struct meta_security_change *changes = ox_arena_array(&arena, struct meta_security_change,
        OX_MIN(security->token_count, (uint32_t)SWEPT_MAX));
    for (uint32_t i = 0; i < security->token_count && count < SWEPT_MAX; i++)
        if (OX_MIN(security->tokens[i].max_ms, security->tokens[i].expiry_ms) < now)
            changes[count++] = (struct meta_security_change){.kind = META_TOKEN_DELETE,
                .token = security->tokens[i]};
    if (count > 0)
        remove_tokens(engine, changes, count);
    ox_arena_fini(&arena);
}
