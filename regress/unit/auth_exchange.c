/* SPDX-License-Identifier: Apache-2.0
 *
 * Delegation tokens in SCRAM: a client that knows the token's password gets in as its
 * owner, if that one may log in at all; and who does not know it learns nothing. */
#include <openssl/evp.h>

#include "auth/auth_int.h"

#include "tap.h"

static const char secret[] = "of-the-tokens", id[] = "the-token";
static struct arena arena;

static const struct meta_role roles[] = {
    {.name = {"ann", 3}, .flags = META_ROLE_LOGIN, .valid_until_ms = -1},
    {.name = {"ben", 3}, .flags = 0, .valid_until_ms = -1},
    {.name = {"cyd", 3}, .flags = META_ROLE_LOGIN, .valid_until_ms = 500},
};

static struct meta_security
world(struct meta_token *token, const char *owner)
{
    *token = (struct meta_token){.id = ox_str(id), .owner = ox_str(owner),
        .requester = ox_str(owner), .renewers = OX_STR(""), .issue_ms = 1, .expiry_ms = 2000,
        .max_ms = 3000};
    return (struct meta_security){.version = 1, .role_count = ox_count(roles), .roles = roles,
        .token_count = 1, .tokens = token};
}

static struct auth_context
context(const struct meta_security *security)
{
    return (struct auth_context){.env = env_os(), .security = security, .token_secret = secret,
        .salt_secret = {1, 2, 3}, .now_ms = 1000};
}

/* The server's first message to who names that token. */
static struct str
challenge(struct auth_exchange *exchange, const struct auth_context *ctx, const char *token)
{
    struct str reply, first = ox_str(ox_arena_printf(&arena, "n,,n=%s,r=abc,tokenauth=true", token));
    struct ox_err err;
    if (auth_step(exchange, ctx, first, &arena, &reply, &err) != AUTH_WORK)
        return OX_STR_NULL;
    auth_work(exchange);
    return auth_worked(exchange, ctx, &arena, &reply, &err) == AUTH_MORE ? reply : OX_STR_NULL;
}

static struct str
field(struct str message, char key)
{
    const char *at = message.ptr, *end = message.ptr + message.len;
    while (at < end && *at != key)
        at = (const char *)memchr(at, ',', (size_t)(end - at)) + 1;
    const char *comma = memchr(at, ',', (size_t)(end - at));
    return ox_str_n(at + 2, (size_t)((comma != NULL ? comma : end) - at) - 2);
}

/* What a client with the token's password answers. */
static struct str
answer(struct str server_first)
{
    uint8_t hmac[AUTH_TOKEN_HMAC_LEN], salt[1024], salted[64], key[64], stored[64], proof[64];
    char password[128], text[128];
    struct str r = field(server_first, 'r'), s = field(server_first, 's');
    auth_token_hmac(secret, ox_str(id), hmac);
    size_t len = ox_base64_encode(password, hmac, sizeof(hmac), false);
    ptrdiff_t salt_len = ox_base64_decode(salt, s.ptr, s.len);
    PKCS5_PBKDF2_HMAC(password, (int)len, salt, (int)salt_len, AUTH_ITERATIONS, EVP_sha256(), 32,
        salted);
    auth_hmac(META_SCRAM_SHA_256, salted, 32, "Client Key", 10, key);
    auth_hash(META_SCRAM_SHA_256, key, 32, stored);
    const char *all = ox_arena_printf(&arena, "n=%s,r=abc,tokenauth=true,%.*s,c=biws,r=%.*s", id,
        OX_STR_ARG(server_first), OX_STR_ARG(r));
    auth_hmac(META_SCRAM_SHA_256, stored, 32, all, strlen(all), proof);
    for (int i = 0; i < 32; i++)
        proof[i] ^= key[i];
    len = ox_base64_encode(text, proof, 32, false);
    return ox_str(ox_arena_printf(&arena, "c=biws,r=%.*s,p=%.*s", OX_STR_ARG(r), (int)len, text));
}

static bool
gets_in(const char *owner, int64_t now_ms)
{
    struct meta_token token;
    struct meta_security security = world(&token, owner);
    struct auth_context ctx = context(&security);
    struct auth_exchange *exchange = auth_exchange_new(AUTH_SCRAM_SHA_256);
    struct str reply;
    struct ox_err err;
    ctx.now_ms = now_ms;
    struct str first = challenge(exchange, &ctx, id);
    bool in = first.ptr != NULL &&
        auth_step(exchange, &ctx, answer(first), &arena, &reply, &err) == AUTH_DONE &&
        strcmp(auth_exchange_user(exchange), owner + 5) == 0;
    auth_exchange_free(exchange);
    return in;
}

static bool
same_salt_twice(const char *token_id)
{
    struct meta_token token;
    struct meta_security security = world(&token, "User:ann");
    struct auth_context ctx = context(&security);
    struct str salt[2];
    for (int i = 0; i < 2; i++) {
        struct auth_exchange *exchange = auth_exchange_new(AUTH_SCRAM_SHA_256);
        salt[i] = field(challenge(exchange, &ctx, token_id), 's');
        auth_exchange_free(exchange);
    }
    return ox_str_eq(salt[0], salt[1]);
}

int
main(void)
{
    ox_arena_init(&arena);
    ok(gets_in("User:ann", 1000), "a token lets its owner in");
    ok(gets_in("User:somebody", 1000), "one without a role, too");
    ok(!gets_in("User:ann", 2001), "not when its time is over");
    ok(!gets_in("User:ben", 1000), "an owner without LOGIN is not let in by a token either");
    ok(!gets_in("User:cyd", 1000), "nor one whose time to log in is over");
    ok(same_salt_twice("no-such-token"), "a token that does not exist has the same salt each time");
    ok(same_salt_twice(id), "and so has one that does: they cannot be told apart");
    ox_arena_fini(&arena);
    return done();
}
