/* SPDX-License-Identifier: Apache-2.0
 *
 * Exchanges. A user that does not exist, may not log in or whose password has
 * run out goes through the same steps as any other, with made-up salt, and fails
 * at the last one with the same words.
 *
 *   PLAIN        BEGIN --password--> WORKING --keys agree--> done
 *                BEGIN --password of the setting--> done
 *   SCRAM        BEGIN --first--> CHALLENGED --proof agrees--> done
 *                BEGIN --first, token--> WORKING --> CHALLENGED ...
 *   OAUTHBEARER  BEGIN --good token--> done
 *                BEGIN --bad token, reply says so--> REFUSED --^A--> failed
 *
 * Invariants
 *  1. keys hold what the view said, or random bytes when real is false
 *  2. real && the keys agree is the only way to AUTH_DONE with a password
 *  3. secrets are wiped in auth_exchange_free(), passwords as soon as used */
#include "auth/auth_int.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { USER_MAX = 1024, SECRET_MAX = 1024, NONCE_LEN = 24, MESSAGE_MAX = 65536 };

enum state { BEGIN, WORKING, CHALLENGED, REFUSED, OVER };

struct auth_exchange {
    enum auth_mechanism mechanism;
    enum state state;
    int hash; /* enum meta_mechanism of keys */
    char user[USER_MAX];
    bool user_given, token, real;
    uint8_t binding[64];
    size_t binding_len;
    bool binding_required;
    struct auth_keys keys;
    uint8_t salt[1024];
    size_t salt_len;
    int iterations;
    char secret[SECRET_MAX]; /* a password, or a token's hmac in base64 */
    size_t secret_len;
    struct auth_keys derived;
    ox_code derive_code;
    char nonce[300]; /* the client's and ours */
    struct text gs2, bare, server_first;
    int64_t expiry_ms;
    char token_id[USER_MAX], error[160];
    bool key_unknown;
};

static const char *const names[AUTH_MECHANISM_COUNT] = {"PLAIN", "SCRAM-SHA-256",
    "SCRAM-SHA-512", "OAUTHBEARER"};

const char *
auth_mechanism_name(enum auth_mechanism mechanism)
{
    return mechanism < AUTH_MECHANISM_COUNT ? names[mechanism] : "";
}

enum auth_mechanism
auth_mechanism_find(struct str name)
{
    for (int i = 0; i < AUTH_MECHANISM_COUNT; i++)
        if (ox_str_is(name, names[i]))
            return (enum auth_mechanism)i;
    return AUTH_MECHANISM_COUNT;
}

struct auth_exchange *
auth_exchange_new(enum auth_mechanism mechanism)
{
    struct auth_exchange *exchange = ox_calloc(1, sizeof(*exchange));
    exchange->mechanism = mechanism;
    exchange->hash = mechanism == AUTH_SCRAM_SHA_512 ? META_SCRAM_SHA_512 : META_SCRAM_SHA_256;
    exchange->expiry_ms = -1;
    ox_text_init(&exchange->gs2, NULL);
    ox_text_init(&exchange->bare, NULL);
    ox_text_init(&exchange->server_first, NULL);
    return exchange;
}

void
auth_exchange_free(struct auth_exchange *exchange)
{
    if (exchange == NULL)
        return;
    ox_text_fini(&exchange->gs2);
    ox_text_fini(&exchange->bare);
    ox_text_fini(&exchange->server_first);
    auth_wipe(exchange, sizeof(*exchange));
    ox_free(exchange);
}

static bool
set_user(struct auth_exchange *exchange, struct str user)
{
    if (user.len == 0 || user.len >= USER_MAX)
        return false;
    memcpy(exchange->user, user.ptr, user.len);
    exchange->user[user.len] = 0;
    return true;
}

void
auth_exchange_for_user(struct auth_exchange *exchange, struct str user, const void *binding,
    size_t binding_len)
{
    exchange->user_given = set_user(exchange, user);
    exchange->binding_len = OX_MIN(binding_len, sizeof(exchange->binding));
    if (exchange->binding_len > 0)
        memcpy(exchange->binding, binding, exchange->binding_len);
}

void
auth_exchange_require_binding(struct auth_exchange *exchange)
{
    exchange->binding_required = true;
}

const char *
auth_exchange_user(const struct auth_exchange *exchange)
{
    return exchange->user;
}

int64_t
auth_exchange_expiry_ms(const struct auth_exchange *exchange)
{
    return exchange->expiry_ms;
}

const char *
auth_exchange_token_id(const struct auth_exchange *exchange)
{
    return exchange->token_id;
}

bool
auth_exchange_key_unknown(const struct auth_exchange *exchange)
{
    return exchange->key_unknown;
}

/* ---- failing ---- */

static enum auth_result
fail(struct auth_exchange *exchange, struct ox_err *err, const char *why)
{
    exchange->state = OVER;
    ox_fail(err, OX_SASL_AUTHENTICATION_FAILED, "%s", why);
    return AUTH_FAILED;
}

/* Kafka's words: the mechanism's name and no more. */
static enum auth_result
bad_credentials(struct auth_exchange *exchange, struct ox_err *err)
{
    char why[160];
    if (exchange->mechanism == AUTH_PLAIN)
        return fail(exchange, err, "Authentication failed: Invalid username or password");
    snprintf(why, sizeof(why), "Authentication failed during authentication due to invalid "
        "credentials with SASL mechanism %s", auth_mechanism_name(exchange->mechanism));
    return fail(exchange, err, why);
}

static enum auth_result
bad_message(struct auth_exchange *exchange, struct ox_err *err)
{
    return bad_credentials(exchange, err);
}

/* ---- users ---- */

/* Salt of a user that does not exist: always the same for the same name. */
static void
make_up(struct auth_exchange *exchange, const struct auth_context *ctx)
{
    uint8_t made[AUTH_KEY_MAX];
    auth_hmac(META_SCRAM_SHA_512, ctx->salt_secret, sizeof(ctx->salt_secret), exchange->user,
        strlen(exchange->user), made);
    memcpy(exchange->salt, made, AUTH_SALT_LEN);
    exchange->salt_len = AUTH_SALT_LEN;
    exchange->iterations = AUTH_ITERATIONS;
    exchange->keys.len = auth_md_len(exchange->hash);
    env_random(ctx->env, exchange->keys.stored_key, AUTH_KEY_MAX);
    env_random(ctx->env, exchange->keys.server_key, AUTH_KEY_MAX);
    exchange->real = false;
}

static bool
may_log_in(const struct auth_context *ctx, struct str user)
{
    const struct meta_role *role = meta_security_role(ctx->security, user);
    return role == NULL || ((role->flags & META_ROLE_LOGIN) != 0 &&
        (role->valid_until_ms < 0 || ctx->now_ms < role->valid_until_ms));
}

static void
find_user(struct auth_exchange *exchange, const struct auth_context *ctx)
{
    struct str user = ox_str(exchange->user);
    const struct meta_scram *scram = meta_security_scram(ctx->security, user, exchange->hash);
    if (scram == NULL && exchange->mechanism == AUTH_PLAIN) {
        scram = meta_security_scram(ctx->security, user, META_SCRAM_SHA_512);
        if (scram != NULL)
            exchange->hash = META_SCRAM_SHA_512;
    }
    if (scram == NULL || !may_log_in(ctx, user) || scram->salt.len > sizeof(exchange->salt)) {
        make_up(exchange, ctx);
        return;
    }
    exchange->real = true;
    exchange->iterations = scram->iterations;
    exchange->salt_len = scram->salt.len;
    memcpy(exchange->salt, scram->salt.ptr, scram->salt.len);
    exchange->keys.len = scram->stored_key.len;
    memcpy(exchange->keys.stored_key, scram->stored_key.ptr, scram->stored_key.len);
    memcpy(exchange->keys.server_key, scram->server_key.ptr, scram->server_key.len);
}

/* A token's password is its hmac, in base64. It stands for its owner, who must be one that
 * may log in. Its salt is made up as for a token that does not exist: who asks twice learns
 * nothing. */
static void
find_token(struct auth_exchange *exchange, const struct auth_context *ctx)
{
    uint8_t hmac[AUTH_TOKEN_HMAC_LEN];
    struct str id = ox_str(exchange->user);
    const struct meta_token *token = meta_security_token(ctx->security, id);
    make_up(exchange, ctx);
    if (token == NULL || ctx->token_secret == NULL || ctx->now_ms > token->expiry_ms ||
        token->owner.len >= USER_MAX + 5 || token->owner.len < 6)
        return;
    struct str owner = ox_str_n(token->owner.ptr + 5, token->owner.len - 5); /* "User:" */
    if (!may_log_in(ctx, owner))
        return;
    auth_token_hmac(ctx->token_secret, id, hmac);
    exchange->secret_len = ox_base64_encode(exchange->secret, hmac, sizeof(hmac), false);
    auth_wipe(hmac, sizeof(hmac));
    snprintf(exchange->token_id, sizeof(exchange->token_id), "%s", exchange->user);
    exchange->expiry_ms = token->expiry_ms;
    exchange->real = true;
    set_user(exchange, owner);
}

/* ---- passwords in clear ---- */

enum auth_result
auth_step_password(struct auth_exchange *exchange, const struct auth_context *ctx,
    struct str user, struct str password, struct ox_err *err)
{
    if (exchange->state != BEGIN || password.len == 0 || password.len > SECRET_MAX ||
        !set_user(exchange, user))
        return bad_message(exchange, err);
    find_user(exchange, ctx);
    memcpy(exchange->secret, password.ptr, password.len);
    exchange->secret_len = password.len;
    exchange->state = WORKING;
    return AUTH_WORK;
}

/* Users of the setting and no others: passwords are as they stand there. */
static enum auth_result
step_plain_setting(struct auth_exchange *exchange, const struct auth_context *ctx,
    struct str user, struct str password, struct str *reply, struct ox_err *err)
{
    if (exchange->state != BEGIN || !set_user(exchange, user))
        return bad_message(exchange, err);
    if (!auth_jaas_knows(ox_str(ctx->plain_users), user, password) || !may_log_in(ctx, user))
        return bad_credentials(exchange, err);
    *reply = OX_STR("");
    exchange->state = OVER;
    return AUTH_DONE;
}

static enum auth_result
step_plain(struct auth_exchange *exchange, const struct auth_context *ctx, struct str message,
    struct str *reply, struct ox_err *err)
{
    const char *first = memchr(message.ptr, 0, message.len);
    if (first == NULL)
        return fail(exchange, err, "Invalid SASL/PLAIN response: expected 3 tokens, got 1");
    struct str authzid = ox_str_n(message.ptr, (size_t)(first - message.ptr));
    struct str rest = ox_str_n(first + 1, message.len - authzid.len - 1);
    const char *second = rest.len > 0 ? memchr(rest.ptr, 0, rest.len) : NULL;
    if (second == NULL)
        return fail(exchange, err, "Invalid SASL/PLAIN response: expected 3 tokens, got 2");
    struct str user = ox_str_n(rest.ptr, (size_t)(second - rest.ptr));
    struct str password = ox_str_n(second + 1, rest.len - user.len - 1);
    if (password.len > 0 && memchr(password.ptr, 0, password.len) != NULL)
        return fail(exchange, err, "Invalid SASL/PLAIN response: expected 3 tokens, got 4");
    if (user.len == 0)
        return fail(exchange, err, "Authentication failed: username not specified");
    if (password.len == 0)
        return fail(exchange, err, "Authentication failed: password not specified");
    if (!ox_utf8_valid(user.ptr, user.len))
        return bad_message(exchange, err);
    if (authzid.len > 0 && !ox_str_eq(authzid, user))
        return fail(exchange, err, "Authentication failed: Client requested an authorization id "
            "that is different from username");
    if (ctx->plain_users != NULL && ctx->plain_users[0] != 0)
        return step_plain_setting(exchange, ctx, user, password, reply, err);
    return auth_step_password(exchange, ctx, user, password, err);
}

void
auth_work(struct auth_exchange *exchange)
{
    ox_assert(exchange->state == WORKING);
    exchange->derive_code = auth_keys_derive(exchange->hash,
        ox_str_n(exchange->secret, exchange->secret_len),
        ox_str_n(exchange->salt, exchange->salt_len), exchange->iterations, &exchange->derived,
        NULL);
    auth_wipe(exchange->secret, sizeof(exchange->secret));
}

/* ---- SCRAM ---- */

static enum auth_result
challenge(struct auth_exchange *exchange, struct arena *arena, struct str *reply)
{
    char salt[4 * 1024 / 3 + 8];
    size_t len = ox_base64_encode(salt, exchange->salt, exchange->salt_len, false);
    ox_text_addf(&exchange->server_first, "r=%s,s=%.*s,i=%d", exchange->nonce, (int)len, salt,
        exchange->iterations);
    *reply = ox_str_dup(arena, ox_text_str(&exchange->server_first));
    exchange->state = CHALLENGED;
    return AUTH_MORE;
}

/* Bindings: the PostgreSQL door may have one; Kafka's has none and takes 'n' alone. */
static bool
binding_fits(const struct auth_exchange *exchange, const struct scram_first *first)
{
    if (first->flag == 'p')
        return exchange->binding_len > 0 && exchange->binding_required &&
            ox_str_is(first->binding, "tls-server-end-point");
    if (exchange->binding_required)
        return false;
    /* 'y': the client thinks that we have no binding. If we do, somebody took it
     * out of our list of mechanisms. */
    return first->flag == 'n' || (exchange->user_given && exchange->binding_len == 0);
}

static bool
take_scram_user(struct auth_exchange *exchange, const struct scram_first *first)
{
    struct text user, authzid;
    bool good = true;
    if (exchange->user_given)
        return first->authzid.ptr == NULL;
    ox_text_init(&user, NULL);
    ox_text_init(&authzid, NULL);
    good = scram_unescape(first->user, &user) && set_user(exchange, ox_text_str(&user));
    if (good && first->authzid.ptr != NULL)
        good = scram_unescape(first->authzid, &authzid) &&
            ox_str_eq(ox_text_str(&authzid), ox_text_str(&user));
    ox_text_fini(&user);
    ox_text_fini(&authzid);
    return good;
}

static enum auth_result
scram_first(struct auth_exchange *exchange, const struct auth_context *ctx, struct str message,
    struct arena *arena, struct str *reply, struct ox_err *err)
{
    struct scram_first first;
    uint8_t random[NONCE_LEN];
    char ours[NONCE_LEN * 2];
    if (!scram_first_parse(message, &first) || !binding_fits(exchange, &first) ||
        !take_scram_user(exchange, &first))
        return bad_message(exchange, err);
    env_random(ctx->env, random, sizeof(random));
    size_t len = ox_base64_encode(ours, random, sizeof(random), true);
    snprintf(exchange->nonce, sizeof(exchange->nonce), "%.*s%.*s", OX_STR_ARG(first.nonce),
        (int)len, ours);
    ox_text_add(&exchange->gs2, first.gs2.ptr, first.gs2.len);
    ox_text_add(&exchange->bare, first.bare.ptr, first.bare.len);
    if (!first.token || exchange->user_given) {
        find_user(exchange, ctx);
        return challenge(exchange, arena, reply);
    }
    find_token(exchange, ctx);
    exchange->state = WORKING;
    return AUTH_WORK;
}

static bool
binding_agrees(const struct auth_exchange *exchange, struct str given)
{
    uint8_t want[512];
    char text[1024];
    size_t len = exchange->gs2.len;
    if (len + exchange->binding_len > sizeof(want))
        return false;
    memcpy(want, exchange->gs2.ptr, len);
    if (exchange->binding_required) {
        memcpy(want + len, exchange->binding, exchange->binding_len);
        len += exchange->binding_len;
    }
    size_t text_len = ox_base64_encode(text, want, len, false);
    return ox_str_eq(given, ox_str_n(text, text_len));
}

/* The proof is the client key under a signature of all messages: whoever knows
 * it is shown to know the password, without sending it. */
static bool
proof_agrees(struct auth_exchange *exchange, const struct text *all, struct str proof)
{
    uint8_t given[3 * 128], signature[AUTH_KEY_MAX], key[AUTH_KEY_MAX];
    size_t len = exchange->keys.len;
    ptrdiff_t given_len = ox_base64_decode(given, proof.ptr, proof.len);
    if (given_len < 0 || (size_t)given_len != len)
        return false;
    auth_hmac(exchange->hash, exchange->keys.stored_key, len, all->ptr, all->len, signature);
    for (size_t i = 0; i < len; i++)
        key[i] = given[i] ^ signature[i];
    auth_hash(exchange->hash, key, len, signature);
    bool same = CRYPTO_memcmp(signature, exchange->keys.stored_key, len) == 0;
    auth_wipe(key, sizeof(key));
    return same && exchange->real;
}

/* Older releases of librdkafka repeat their own part before the whole; Kafka
 * asks only how it ends. */
static bool
nonce_agrees(const struct auth_exchange *exchange, struct str given)
{
    size_t len = strlen(exchange->nonce);
    if (exchange->user_given)
        return ox_str_is(given, exchange->nonce);
    return given.len >= len && memcmp(given.ptr + given.len - len, exchange->nonce, len) == 0;
}

static enum auth_result
scram_final(struct auth_exchange *exchange, struct str message, struct arena *arena,
    struct str *reply, struct ox_err *err)
{
    struct scram_final final;
    struct text all;
    uint8_t signature[AUTH_KEY_MAX];
    char text[128];
    if (!scram_final_parse(message, &final) || !nonce_agrees(exchange, final.nonce) ||
        !binding_agrees(exchange, final.binding))
        return bad_message(exchange, err);
    ox_text_init(&all, NULL);
    ox_text_addf(&all, "%s,%s,%.*s", exchange->bare.ptr, exchange->server_first.ptr,
        OX_STR_ARG(final.without_proof));
    bool good = proof_agrees(exchange, &all, final.proof);
    auth_hmac(exchange->hash, exchange->keys.server_key, exchange->keys.len, all.ptr, all.len,
        signature);
    ox_text_fini(&all);
    if (!good)
        return bad_credentials(exchange, err);
    size_t len = ox_base64_encode(text, signature, exchange->keys.len, false);
    *reply = ox_str(ox_arena_printf(arena, "v=%.*s", (int)len, text));
    exchange->state = OVER;
    return AUTH_DONE;
}

enum auth_result
auth_worked(struct auth_exchange *exchange, const struct auth_context *ctx, struct arena *arena,
    struct str *reply, struct ox_err *err)
{
    (void)ctx;
    *reply = OX_STR_NULL;
    ox_assert(exchange->state == WORKING);
    if (exchange->derive_code != OX_OK)
        return fail(exchange, err, "Authentication failed: keys cannot be derived");
    if (exchange->mechanism != AUTH_PLAIN) {
        if (exchange->real)
            exchange->keys = exchange->derived;
        return challenge(exchange, arena, reply);
    }
    bool same = CRYPTO_memcmp(exchange->derived.stored_key, exchange->keys.stored_key,
        exchange->keys.len) == 0;
    if (!same || !exchange->real)
        return bad_credentials(exchange, err);
    *reply = OX_STR("");
    exchange->state = OVER;
    return AUTH_DONE;
}

/* ---- OAUTHBEARER: RFC 7628 ---- */

/* n,[a=authzid],^Akey=value^A...^A: the value of "auth", after "Bearer ". */
static bool
bearer_token(struct str message, struct str *authzid, struct str *token)
{
    if (message.len < 5 || message.ptr[0] != 'n' || message.ptr[1] != ',')
        return false;
    const char *comma = memchr(message.ptr + 2, ',', message.len - 2);
    if (comma == NULL || (size_t)(comma + 1 - message.ptr) >= message.len || comma[1] != 1)
        return false;
    *authzid = ox_str_n(message.ptr + 2, (size_t)(comma - message.ptr) - 2);
    if (authzid->len > 0) {
        if (!ox_str_starts(*authzid, OX_STR("a=")))
            return false;
        *authzid = ox_str_n(authzid->ptr + 2, authzid->len - 2);
    }
    struct str rest = ox_str_n(comma + 2, message.len - (size_t)(comma + 2 - message.ptr));
    *token = OX_STR_NULL;
    while (rest.len > 1) {
        const char *end = memchr(rest.ptr, 1, rest.len);
        if (end == NULL)
            return false;
        struct str pair = ox_str_n(rest.ptr, (size_t)(end - rest.ptr));
        if (ox_str_starts(pair, OX_STR("auth=")) && pair.len > 12 &&
            ox_str_ieq(ox_str_n(pair.ptr + 5, 7), OX_STR("bearer ")))
            *token = ox_str_n(pair.ptr + 12, pair.len - 12);
        rest = ox_str_n(end + 1, rest.len - pair.len - 1);
    }
    return rest.len == 1 && rest.ptr[0] == 1 && token->len > 0;
}

static enum auth_result
step_bearer(struct auth_exchange *exchange, const struct auth_context *ctx, struct str message,
    struct arena *arena, struct str *reply, struct ox_err *err)
{
    struct str authzid, token, subject;
    struct ox_err why;
    if (exchange->state == REFUSED)
        return fail(exchange, err, exchange->error);
    if (!bearer_token(message, &authzid, &token))
        return fail(exchange, err, "Authentication failed: invalid OAUTHBEARER message");
    ox_code code;
    if (ctx->jwt == NULL)
        code = ox_fail(&why, OX_SASL_AUTHENTICATION_FAILED, "no keys are configured");
    else if (ctx->jwt->unmet != NULL)
        code = ox_fail(&why, OX_SASL_AUTHENTICATION_FAILED, "%s", ctx->jwt->unmet);
    else
        code = auth_jwt_check(token, ctx->jwt, ctx->now_ms, arena, &subject,
            &exchange->expiry_ms, &exchange->key_unknown, &why);
    if (code == OX_OK && (!set_user(exchange, subject) || !may_log_in(ctx, subject)))
        code = ox_fail(&why, OX_SASL_AUTHENTICATION_FAILED, "subject may not log in");
    if (code == OX_OK && authzid.len > 0 && !ox_str_eq(authzid, subject))
        code = ox_fail(&why, OX_SASL_AUTHENTICATION_FAILED,
            "authorization id differs from the token's principal name");
    if (code == OX_OK) {
        *reply = OX_STR("");
        exchange->state = OVER;
        return AUTH_DONE;
    }
    snprintf(exchange->error, sizeof(exchange->error),
        "Authentication failed during authentication due to invalid credentials with SASL "
        "mechanism OAUTHBEARER");
    *err = why; /* for the log: the client is not told why */
    *reply = OX_STR("{\"status\":\"invalid_token\"}");
    exchange->state = REFUSED;
    return AUTH_MORE;
}

enum auth_result
auth_step(struct auth_exchange *exchange, const struct auth_context *ctx, struct str message,
    struct arena *arena, struct str *reply, struct ox_err *err)
{
    *reply = OX_STR_NULL;
    if (message.ptr == NULL)
        message = OX_STR("");
    if (exchange->state == OVER || exchange->state == WORKING || message.len > MESSAGE_MAX)
        return bad_message(exchange, err);
    if (exchange->mechanism == AUTH_OAUTHBEARER)
        return step_bearer(exchange, ctx, message, arena, reply, err);
    if (exchange->mechanism == AUTH_PLAIN)
        return step_plain(exchange, ctx, message, reply, err);
    if (exchange->state == BEGIN)
        return scram_first(exchange, ctx, message, arena, reply, err);
    return scram_final(exchange, message, arena, reply, err);
}
