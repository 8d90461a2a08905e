/* SPDX-License-Identifier: Apache-2.0
 *
 * Users before the first start: the words that Kafka's format tool takes,
 *
 *     SCRAM-SHA-256=[name=alice,password=secret]
 *     SCRAM-SHA-512=[name=bob,password=secret,iterations=8192,salt="base64"]
 *
 * become the same command that a running server would propose. */
#include "tool/ox.h"

#include <string.h>

#include "auth/auth.h"
#include "base/check.h"

static ox_code
malformed(const char *text, struct ox_err *err)
{
    /* The text holds a password: only the mechanism is repeated. */
    return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
        "--add-scram %.*s is not of the form MECHANISM=[name=NAME,password=PASSWORD]",
        (int)strcspn(text, "="), text);
}

/* A single quote is part of a password, as with Kafka. */
static struct str
unquoted(struct str s)
{
    if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
        return ox_str_n(s.ptr + 1, s.len - 2);
    return s;
}

static bool
decode(struct str text, struct arena *arena, struct str *out)
{
    uint8_t *to = ox_arena_alloc(arena, 3 * (text.len / 4) + 3);
    ptrdiff_t len = ox_base64_decode(to, text.ptr, text.len);
    *out = ox_str_n(to, len > 0 ? (size_t)len : 0);
    return len > 0;
}

struct words {
    struct str name, password, salted, salt;
    int64_t iterations;
};

/* key=value,key=value; a value ends at the next comma, also in quotes. */
static bool
read_words(struct str list, struct arena *arena, struct words *out)
{
    while (list.len > 0) {
        const char *equals = memchr(list.ptr, '=', list.len);
        if (equals == NULL)
            return false;
        struct str key = ox_str_n(list.ptr, (size_t)(equals - list.ptr));
        struct str rest = ox_str_n(equals + 1, list.len - key.len - 1);
        const char *comma = rest.len > 0 ? memchr(rest.ptr, ',', rest.len) : NULL;
        struct str value = ox_str_n(rest.ptr, comma ? (size_t)(comma - rest.ptr) : rest.len);
        struct str plain = unquoted(value);
        bool good = true;
        if (ox_str_is(key, "name"))
            out->name = plain;
        else if (ox_str_is(key, "password"))
            out->password = plain;
        else if (ox_str_is(key, "iterations"))
            good = ox_str_to_i64(plain, &out->iterations);
        else if (ox_str_is(key, "salt"))
            good = decode(plain, arena, &out->salt);
        else if (ox_str_is(key, "saltedpassword"))
            good = decode(plain, arena, &out->salted);
        else
            good = false;
        if (!good)
            return false;
        list = comma != NULL ? ox_str_n(comma + 1, rest.len - value.len - 1) : OX_STR("");
    }
    return out->name.len > 0 &&
        (out->password.len > 0 || (out->salted.len > 0 && out->salt.len > 0));
}

static ox_code
make_scram(const struct env *env, int mechanism, const struct words *words,
    struct arena *arena, struct meta_scram *out, struct ox_err *err)
{
    struct auth_keys keys;
    int iterations = (int)words->iterations;
    if (words->salt.len == 0)
        return auth_scram_make(env, words->name, mechanism, words->password, iterations, arena,
            out, err);
    ox_code code = words->password.len > 0
        ? auth_keys_derive(mechanism, words->password, words->salt, iterations, &keys, err)
        : auth_keys_of_salted(mechanism, words->salted, &keys, err);
    if (code != OX_OK)
        return code;
    *out = (struct meta_scram){.user = words->name, .mechanism = (int8_t)mechanism,
        .iterations = iterations, .salt = words->salt,
        .stored_key = ox_str_n(ox_arena_copy(arena, keys.stored_key, keys.len), keys.len),
        .server_key = ox_str_n(ox_arena_copy(arena, keys.server_key, keys.len), keys.len)};
    return OX_OK;
}

static ox_code
read_scram(const struct env *env, const char *text, struct arena *arena, struct meta_scram *out,
    struct ox_err *err)
{
    struct words words = {.iterations = AUTH_ITERATIONS};
    int mechanism;
    if (strncmp(text, "SCRAM-SHA-256=", 14) == 0)
        mechanism = META_SCRAM_SHA_256;
    else if (strncmp(text, "SCRAM-SHA-512=", 14) == 0)
        mechanism = META_SCRAM_SHA_512;
    else
        return malformed(text, err);
    struct str list = ox_str(text + 14);
    if (list.len < 2 || list.ptr[0] != '[' || list.ptr[list.len - 1] != ']' ||
        !read_words(ox_str_n(list.ptr + 1, list.len - 2), arena, &words))
        return malformed(text, err);
    if (words.iterations < META_ITERATIONS_MIN)
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "fewer than %d iterations",
            META_ITERATIONS_MIN);
    if (words.iterations > META_ITERATIONS_MAX) /* before they are done */
        return ox_fail(err, OX_UNACCEPTABLE_CREDENTIAL, "more than %d iterations",
            META_ITERATIONS_MAX);
    return make_scram(env, mechanism, &words, arena, out, err);
}

ox_code
ox_users_read(const struct env *env, const struct ox_users *users, struct arena *arena,
    struct meta_command *out, struct ox_err *err)
{
    size_t most = (size_t)users->scram_count + (size_t)users->superuser_count;
    struct meta_security_change *changes =
        ox_arena_array(arena, struct meta_security_change, most);
    uint32_t count = 0;
    for (int i = 0; i < users->scram_count; i++) {
        changes[count].kind = META_SCRAM_PUT;
        ox_code code = read_scram(env, users->scram[i], arena, &changes[count++].scram, err);
        if (code != OX_OK)
            return code;
    }
    for (int i = 0; i < users->superuser_count; i++) {
        changes[count].kind = META_ROLE_PUT;
        changes[count++].role = (struct meta_role){.name = ox_str(users->superusers[i]),
            .flags = META_ROLE_LOGIN | META_ROLE_SUPERUSER, .valid_until_ms = -1};
    }
    *out = (struct meta_command){.kind = META_SECURITY};
    out->security.changes = changes;
    out->security.change_count = count;
    return OX_OK;
}

struct proposal {
    struct meta_call call;
    bool answered;
};

static void
committed(struct meta_call *call)
{
    ox_container_of(call, struct proposal, call)->answered = true;
}

ox_code
ox_users_put(struct meta *meta, const struct meta_command *cmd, struct ox_err *err)
{
    struct proposal proposal = {.call.done = committed};
    if (cmd->security.change_count == 0)
        return OX_OK;
    ox_code code = meta_propose(meta, &proposal.call, cmd, err);
    if (code != OX_OK)
        return code;
    while (!proposal.answered) /* nobody else turns the wheel */
        meta_turn(meta);
    if (proposal.call.code != OX_OK)
        *err = proposal.call.err;
    return proposal.call.code;
}
