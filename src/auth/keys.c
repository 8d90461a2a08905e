/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords at rest: what RFC 5802 keeps of them. */
#include "auth/auth_int.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>

void
auth_wipe(void *ptr, size_t len)
{
    if (ptr != NULL)
        OPENSSL_cleanse(ptr, len);
}

static const EVP_MD *
message_digest(int mechanism)
{
    return mechanism == META_SCRAM_SHA_256 ? EVP_sha256() : EVP_sha512();
}

size_t
auth_md_len(int mechanism)
{
    return mechanism == META_SCRAM_SHA_256 ? 32 : 64;
}

void
auth_hmac(int mechanism, const void *key, size_t key_len, const void *data, size_t len,
    uint8_t *out)
{
    unsigned int out_len;
    bool done = HMAC(message_digest(mechanism), key, (int)key_len, data, len, out, &out_len) != NULL;
    ox_assert(done && out_len == auth_md_len(mechanism));
}

void
auth_hash(int mechanism, const void *data, size_t len, uint8_t *out)
{
    unsigned int out_len;
    int done = EVP_Digest(data, len, out, &out_len, message_digest(mechanism), NULL);
    ox_assert(done == 1 && out_len == auth_md_len(mechanism));
}

ox_code
auth_keys_of_salted(int mechanism, struct str salted, struct auth_keys *out, struct ox_err *err)
{
    uint8_t client_key[AUTH_KEY_MAX];
    out->len = auth_md_len(mechanism);
    if (salted.len == 0 || salted.len > 1024)
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "salted password is empty or too long");
    auth_hmac(mechanism, salted.ptr, salted.len, "Client Key", 10, client_key);
    auth_hash(mechanism, client_key, out->len, out->stored_key);
    auth_hmac(mechanism, salted.ptr, salted.len, "Server Key", 10, out->server_key);
    auth_wipe(client_key, sizeof(client_key));
    return OX_OK;
}

ox_code
auth_keys_derive(int mechanism, struct str password, struct str salt, int iterations,
    struct auth_keys *out, struct ox_err *err)
{
    uint8_t salted[AUTH_KEY_MAX];
    size_t len = auth_md_len(mechanism);
    if (PKCS5_PBKDF2_HMAC(password.len > 0 ? password.ptr : "", (int)password.len,
            (const uint8_t *)salt.ptr, (int)salt.len, iterations, message_digest(mechanism), (int)len,
            salted) != 1)
        return ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "keys of a password cannot be derived");
    ox_code code = auth_keys_of_salted(mechanism, ox_str_n(salted, len), out, err);
    auth_wipe(salted, sizeof(salted));
    return code;
}

void
auth_scram_of_keys(struct str user, int mechanism, int iterations, struct str salt,
    struct auth_keys *keys, struct arena *arena, struct meta_scram *out)
{
    *out = (struct meta_scram){.user = user, .mechanism = (int8_t)mechanism,
        .iterations = iterations, .salt = salt};
    out->stored_key = ox_str_n(ox_arena_copy(arena, keys->stored_key, keys->len), keys->len);
    out->server_key = ox_str_n(ox_arena_copy(arena, keys->server_key, keys->len), keys->len);
    auth_wipe(keys, sizeof(*keys));
}

ox_code
auth_scram_make(const struct env *env, struct str user, int mechanism, struct str password,
    int iterations, struct arena *arena, struct meta_scram *out, struct ox_err *err)
{
    struct auth_keys keys;
    uint8_t *salt = ox_arena_alloc(arena, AUTH_SALT_LEN);
    env_random(env, salt, AUTH_SALT_LEN);
    ox_code code = auth_keys_derive(mechanism, password, ox_str_n(salt, AUTH_SALT_LEN),
        iterations, &keys, err);
    if (code == OX_OK)
        auth_scram_of_keys(user, mechanism, iterations, ox_str_n(salt, AUTH_SALT_LEN), &keys,
            arena, out);
    return code;
}

/* The part before sep; *rest goes on behind it. */
static bool
cut(struct str *rest, char sep, struct str *part)
{
    const char *at = rest->len > 0 ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (at == NULL)
        return false;
    *part = ox_str_n(rest->ptr, (size_t)(at - rest->ptr));
    *rest = ox_str_n(at + 1, rest->len - part->len - 1);
    return true;
}

static bool
decode(struct str text, size_t len_max, struct arena *arena, struct str *out)
{
    if (text.len > len_max * 2)
        return false;
    uint8_t *to = ox_arena_alloc(arena, 3 * (text.len / 4) + 3);
    ptrdiff_t len = ox_base64_decode(to, text.ptr, text.len);
    *out = ox_str_n(to, len > 0 ? (size_t)len : 0);
    return len > 0;
}

ox_code
auth_scram_parse(struct str user, struct str text, struct arena *arena, struct meta_scram *out,
    bool *is, struct ox_err *err)
{
    struct str rest = text, name, iterations, salt, stored, server;
    int64_t count;
    *is = cut(&rest, '$', &name) &&
        (ox_str_is(name, "SCRAM-SHA-256") || ox_str_is(name, "SCRAM-SHA-512"));
    if (!*is)
        return OX_OK;
    int mechanism = ox_str_is(name, "SCRAM-SHA-256") ? META_SCRAM_SHA_256 : META_SCRAM_SHA_512;
    *out = (struct meta_scram){.user = user, .mechanism = (int8_t)mechanism};
    if (!cut(&rest, ':', &iterations) || !cut(&rest, '$', &salt) || !cut(&rest, ':', &stored) ||
        !ox_str_to_i64(iterations, &count) || count < 1 || count > INT32_MAX)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "stored password is not well-formed");
    server = rest;
    out->iterations = (int32_t)count;
    if (!decode(salt, 1024, arena, &out->salt) ||
        !decode(stored, AUTH_KEY_MAX, arena, &out->stored_key) ||
        !decode(server, AUTH_KEY_MAX, arena, &out->server_key) ||
        out->stored_key.len != auth_md_len(mechanism) ||
        out->server_key.len != auth_md_len(mechanism))
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE, "stored password is not well-formed");
    return OX_OK;
}

void
auth_token_hmac(const char *secret, struct str id, uint8_t out[AUTH_TOKEN_HMAC_LEN])
{
    auth_hmac(META_SCRAM_SHA_512, secret, strlen(secret), id.ptr, id.len, out);
}
